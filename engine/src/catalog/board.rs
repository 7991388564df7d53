//! Boards: pins and what they can do, supply, memory, own heat.

use super::AdcDef;
use crate::clock::CrystalDef;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A board.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Where its figures come from.
    pub source: String,
    /// Pins by name.
    pub pins: BTreeMap<String, Vec<PinFn>>,
    /// I/O voltage, [V]; its regulator feeds parts with as much.
    pub logic_v: f64,
    /// Largest voltage that a pin stands, [V]. None: 0.3 V above `logic_v`.
    #[serde(default)]
    pub max_pin_v: Option<f64>,
    /// Where a pack is wired to, and the largest voltage there. None: not stated, not judged.
    #[serde(default)]
    pub fed: Option<FedDef>,
    /// A further input, before a linear regulator of its own: from what voltage to what, and what that takes at least, [V]. A pack
    /// of as much, where that is more than `fed` stands, is wired there.
    #[serde(default)]
    pub regulated: Option<(f64, f64, f64)>,
    /// Voltage of its pins from which on its processor keeps its clock, [V]. None: not stated, not judged.
    #[serde(default)]
    pub clock_v: Option<f64>,
    /// Whether a switching regulator of its own is behind its input: it takes a power there, its currents being stated at
    /// `supply_v`.
    #[serde(default)]
    pub converts: bool,
    /// Nominal supply voltage, [V], which it passes on to parts that need more than `logic_v`.
    #[serde(default = "five")]
    pub supply_v: f64,
    /// What its regulator leaves for parts at `logic_v`, [mA]. None: not stated, not judged.
    #[serde(default)]
    pub rail_ma: Option<f64>,
    /// What its supply pin passes on to parts, [mA]. None: not stated, not judged.
    #[serde(default)]
    pub supply_ma: Option<f64>,
    /// Largest current of one output pin, [mA]. None: not stated, not judged.
    #[serde(default)]
    pub pin_ma: Option<f64>,
    /// Largest current of all output pins together, [mA]. None: not stated, not judged.
    #[serde(default)]
    pub pins_ma: Option<f64>,
    /// Functions that any digital pin can have beside those that are listed, by a switch matrix in the chip or in software.
    #[serde(default)]
    pub anywhere: Vec<PinFn>,
    /// Pins of each serial port within its chip: both lines of a part are of one port, and a port is one part's. Empty: any
    /// transmit pin goes with any receive pin.
    #[serde(default)]
    pub ports: Vec<Vec<String>>,
    /// Chips on the board that answer on the I2C bus of its pins, by address.
    #[serde(default)]
    pub on_bus: BTreeMap<u8, String>,
    /// Pins that resistors on the board pull up, beside those of its I2C bus.
    #[serde(default)]
    pub pulled_up: Vec<String>,
    /// The pin that has to be wired to its reset, for its timer to end a deep sleep.
    #[serde(default)]
    pub wakes_by: Option<String>,
    /// Whether resistors on the board pull its I2C pins up.
    #[serde(default)]
    pub i2c_pull_up: bool,
    /// The resistor there, [Ω]. None: not stated, not judged.
    #[serde(default)]
    pub i2c_pull_up_ohm: Option<f64>,
    /// Digital pins that its chip cannot pull up by itself.
    #[serde(default)]
    pub no_pull_up: Vec<String>,
    /// Pins of its chip that lead to no header, but to a part of the board: a script may set them, and nothing is wired there.
    #[serde(default)]
    pub inner_pins: Vec<String>,
    /// Pins that it reads at its start, and what it wants there.
    #[serde(default)]
    pub straps: BTreeMap<String, StrapDef>,
    /// Processor and memory.
    #[serde(default)]
    pub cpu: Option<CpuDef>,
    /// Analogue converter.
    #[serde(default)]
    pub adc: Option<AdcDef>,
    /// Supply currents by state, [mA].
    pub current_ma: CurrentDef,
    /// Supply currents of further states that firmware may rest in, such as `light_sleep`, [mA].
    #[serde(default)]
    pub rest_ma: BTreeMap<String, f64>,
    /// Those of them in which its radio stays on the network, waking for its beacons.
    #[serde(default)]
    pub associated: Vec<String>,
    /// Supply voltage below which it resets, [V].
    pub brown_out_v: f64,
    /// Frequency error of its clock, [ppm], one standard deviation over units.
    #[serde(default)]
    pub clock_ppm: f64,
    /// What temperature does to that clock; it counts where the firmware has a `clock`.
    #[serde(default)]
    pub crystal: Option<CrystalDef>,
    /// Frequency error of what keeps time while it sleeps without its radio, [ppm], one standard deviation over units. None: the
    /// same clock does.
    #[serde(default)]
    pub sleep_clock_ppm: Option<f64>,
    /// Radios on it. None: not stated, not judged; empty: it has none.
    #[serde(default)]
    pub radios: Option<Vec<OnboardDef>>,
    /// Whether it has an Ethernet port.
    #[serde(default)]
    pub ethernet: bool,
    /// How its processor warms and what it does about it.
    #[serde(default)]
    pub thermal: Option<ThermalDef>,
}

fn five() -> f64 {
    5.0
}

impl BoardDef {
    /// Its radio of a technology.
    pub fn radio(&self, kind: Technology) -> Option<&OnboardDef> {
        self.radios.as_ref()?.iter().find(|r| r.kind == kind)
    }

    /// The pin that a line of a bus is on where nobody says otherwise.
    pub fn usual(&self, function: PinFn) -> Option<&str> {
        self.pins.iter().find(|(_, has)| has.contains(&function)).map(|(pin, _)| pin.as_str())
    }

    /// Whether a pin with these functions can have another one.
    pub fn can(&self, has: &[PinFn], function: PinFn) -> bool {
        let drives = has.contains(&PinFn::Digital) || function == PinFn::Rx && has.contains(&PinFn::Input);
        has.contains(&function) || drives && self.anywhere.contains(&function)
    }

    /// Whether a resistor on the board pulls a pin up.
    pub fn pulls_up(&self, pin: &str) -> bool {
        let bus = |has: &Vec<PinFn>| has.contains(&PinFn::Sda) || has.contains(&PinFn::Scl);
        self.pulled_up.iter().any(|p| p == pin) || self.i2c_pull_up && self.pins.get(pin).is_some_and(bus)
    }

    /// Largest voltage that a pin stands, [V].
    pub fn max_pin_v(&self) -> f64 {
        self.max_pin_v.unwrap_or(self.logic_v + 0.3)
    }

    /// The same board with a pack that gives so much when full, [V], at the input that is made for it.
    #[must_use]
    pub fn fed_with(&self, full_v: f64) -> Self {
        let mut board = self.clone();
        if let (Some(FedDef::Rail(most)), Some((low, high, drop_v))) = (self.fed, self.regulated)
            && full_v > most
            && (low..=high).contains(&full_v)
        {
            board.fed = Some(FedDef::Input(high));
            board.brown_out_v += drop_v;
        }
        board
    }

    /// The same board resting in one of its further states.
    #[must_use]
    pub fn resting_in(&self, state: &str) -> Self {
        let mut board = self.clone();
        if let Some(ma) = self.rest_ma.get(state) {
            board.current_ma.sleep = *ma;
        }
        board
    }
}

/// Where a pack feeds a board, and the largest voltage that it stands there, [V]. It works down to its `brown_out_v`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FedDef {
    /// The rail of its pins itself, past its own regulator: parts get the pack's voltage.
    Rail(f64),
    /// Its input, before its own regulator: parts get `logic_v`.
    Input(f64),
}

impl FedDef {
    /// Largest voltage, [V].
    pub fn most_v(self) -> f64 {
        match self {
            Self::Rail(v) | Self::Input(v) => v,
        }
    }
}

/// Processor and memory.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuDef {
    /// Cores.
    pub cores: u32,
    /// Largest clock, [MHz].
    pub clock_mhz: f64,
    /// Working memory, [KiB].
    pub ram_kb: f64,
    /// Program memory, [KiB]; 0: a card.
    #[serde(default)]
    pub flash_kb: f64,
}

/// A radio on a board. A link over its technology goes by these figures in place of its profile's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnboardDef {
    /// What it speaks.
    pub kind: Technology,
    /// Transmit power, [dBm].
    pub tx_dbm: f64,
    /// Received power at which half the packets arrive, here its stated sensitivity, [dBm].
    pub rssi50_dbm: f64,
    /// Current while sending on top of the running board's, [mA]. None: the board's `current_ma.transmit` has it.
    #[serde(default)]
    pub tx_ma: Option<f64>,
    /// Current while listening on top of the running board's, [mA].
    pub rx_ma: f64,
}

/// A radio technology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Technology {
    /// IEEE 802.11 at 2.4 GHz.
    Wifi,
    /// Bluetooth LE.
    Ble,
    /// LoRa.
    Lora,
    /// LTE-M, NB-IoT, 5G.
    Cellular,
}

impl Technology {
    /// As a sentence says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Wifi => "Wi-Fi",
            Self::Ble => "Bluetooth",
            Self::Lora => "LoRa",
            Self::Cellular => "cellular",
        }
    }
}

/// How a processor warms, as die and package behind a board in the air, and what its firmware does about it: above the soft
/// limit it keeps to `soft_mhz`, from the hard one on it steps down, the further the nearer it comes to its limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThermalDef {
    /// Heat of the idle processor, [W].
    pub idle_w: f64,
    /// Heat with all cores busy at full clock, [W].
    pub full_w: f64,
    /// Heat capacity of die and package, [J/K].
    pub soc_j_k: f64,
    /// Conductance between them and the board, [W/K].
    pub soc_w_k: f64,
    /// Heat capacity of the board, [J/K].
    pub board_j_k: f64,
    /// Conductance between board and air, [W/K].
    pub board_w_k: f64,
    /// Soft limit, [°C]. None: it has none.
    #[serde(default)]
    pub soft_c: Option<f64>,
    /// Clock above the soft limit, [MHz].
    #[serde(default)]
    pub soft_mhz: f64,
    /// Temperature from which it throttles, [°C].
    pub hard_c: f64,
    /// Temperature at which it keeps to its slowest clock, [°C]. None: from `hard_c` on.
    #[serde(default)]
    pub limit_c: Option<f64>,
    /// Slowest clock, [MHz].
    pub least_mhz: f64,
    /// The clocks below the full one that it steps through, falling, [MHz]. Empty: ten even steps to the slowest.
    #[serde(default)]
    pub steps_mhz: Vec<f64>,
    /// Whether its heat is what the whole board takes from its supply, so that a busy one draws more: of boards that never sleep.
    #[serde(default)]
    pub drawn: bool,
    /// Supply below which under-voltage is reported and the clock capped, [V]; 0: it has no detector.
    #[serde(default)]
    pub under_v: f64,
}

/// A level of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Level {
    /// At ground.
    Low,
    /// At the pins' supply.
    High,
}

impl Level {
    /// As a sentence says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

/// A pin that is read at the start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrapDef {
    /// The level that it wants.
    pub wants: Level,
    /// What goes wrong at the other one: the end of a sentence that begins with `else`.
    pub or_else: String,
}

/// What a pin can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PinFn {
    /// Digital in and out.
    Digital,
    /// Digital in only.
    Input,
    /// Analogue in.
    Analog,
    /// Pulse-width modulation.
    Pwm,
    /// I2C data.
    Sda,
    /// I2C clock.
    Scl,
    /// SPI data out.
    Mosi,
    /// SPI data in.
    Miso,
    /// SPI clock.
    Sck,
    /// Serial out.
    Tx,
    /// Serial in.
    Rx,
}

/// Supply currents, [mA].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurrentDef {
    /// Running, radio off.
    pub active: f64,
    /// Sending.
    pub transmit: f64,
    /// Between wakes.
    pub sleep: f64,
}
