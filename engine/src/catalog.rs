//! The catalog's shapes: boards, sensors, actuators and things. The files themselves live in `twins/catalog`, or next to
//! a user's scenario.

use crate::{
    clock::{ClockDef, CrystalDef},
    dynamics::DynamicsDef,
    link::profile::LinkProfileDef,
    physics::ViewDef,
    power::{cell::BatteryDef, regulator::RegulatorDef, solar::SolarDef},
    scenario::PublishDef,
    time::Span,
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Every definition that a run may name.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Boards by name.
    pub boards: BTreeMap<String, BoardDef>,
    /// Sensors by name.
    pub sensors: BTreeMap<String, SensorDef>,
    /// Actuators by name.
    pub actuators: BTreeMap<String, ActuatorDef>,
    /// Battery cells by name.
    pub batteries: BTreeMap<String, BatteryDef>,
    /// Regulators by name.
    pub regulators: BTreeMap<String, RegulatorDef>,
    /// Link profiles by name.
    pub links: BTreeMap<String, LinkProfileDef>,
    /// Things by name.
    pub things: BTreeMap<String, ThingDef>,
}

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
    /// I/O voltage, [V].
    pub logic_v: f64,
    /// Analogue converter.
    #[serde(default)]
    pub adc: Option<AdcDef>,
    /// Supply currents by state, [mA].
    pub current_ma: CurrentDef,
    /// Supply voltage below which it resets, [V].
    pub brown_out_v: f64,
    /// Frequency error of its clock, [ppm], one standard deviation over units.
    #[serde(default)]
    pub clock_ppm: f64,
    /// What temperature does to that clock; it counts where the firmware has a `clock`.
    #[serde(default)]
    pub crystal: Option<CrystalDef>,
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

/// An analogue converter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcDef {
    /// Resolution.
    pub bits: u32,
    /// Full scale, [V].
    pub reference_v: f64,
    /// Standard deviation of the reference over units, relative.
    #[serde(default)]
    pub reference_spread: f64,
    /// Noise, [LSB rms].
    #[serde(default)]
    pub noise_lsb: f64,
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

/// A sensor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Datasheet and page.
    pub source: String,
    /// How it can be wired.
    pub bus: BusDef,
    /// Supply current while measuring, [mA].
    pub active_ma: f64,
    /// Supply current between measurements, [mA].
    #[serde(default)]
    pub idle_ma: f64,
    /// Time one measurement takes on the part.
    #[serde(default)]
    pub conversion: Span,
    /// Shortest time between measurements; an earlier read returns the last value.
    #[serde(default)]
    pub min_interval: Span,
    /// What it measures.
    pub channels: Vec<ChannelDef>,
    /// What it sees, for a sensor of `distance` or `presence`; without it, the quantity's usual view.
    #[serde(default)]
    pub view: Option<ViewDef>,
}

/// How a part can be wired.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum BusDef {
    /// I2C at one of these addresses.
    I2c(Vec<u8>),
    /// SPI with a chip select.
    Spi,
    /// 1-Wire.
    OneWire,
    /// One or more digital pins.
    Digital(u32),
    /// An analogue pin.
    Analog,
    /// A serial port.
    Uart,
    /// A part of the board itself.
    Internal,
}

/// One measured quantity: the figures of the pipeline truth → mounting and self-heating → lag → cross-sensitivity → gain,
/// bias, drift → noise → fault → saturation → quantisation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelDef {
    /// `temperature`, `humidity`, `pressure`, `illuminance`, `soil_moisture`, `accel_x`, `distance`, ….
    pub quantity: String,
    /// Unit of all figures below.
    pub unit: String,
    /// Smallest and largest value it can give.
    pub range: (f64, f64),
    /// Quantisation step; 0: none.
    #[serde(default)]
    pub lsb: f64,
    /// White noise of one reading, standard deviation.
    #[serde(default)]
    pub noise_std: f64,
    /// Unit-to-unit offset, standard deviation.
    #[serde(default)]
    pub bias_std: f64,
    /// Unit-to-unit gain error, standard deviation, relative.
    #[serde(default)]
    pub gain_std: f64,
    /// Time constant of the first-order lag, [s]; 0: none.
    #[serde(default)]
    pub tau_s: f64,
    /// Slow offset: stationary standard deviation of a Gauss–Markov process.
    #[serde(default)]
    pub wander_std: f64,
    /// Its correlation time, [s].
    #[serde(default)]
    pub wander_tau_s: f64,
    /// Long-term drift of a year, standard deviation over units.
    #[serde(default)]
    pub drift_per_year: f64,
    /// Full width of the hysteresis loop.
    #[serde(default)]
    pub hysteresis: f64,
    /// Rise over the surroundings by its own heat while the device is awake all the time.
    #[serde(default)]
    pub self_heating: f64,
    /// Sensitivities to other quantities of the same place.
    #[serde(default)]
    pub cross: Vec<CrossDef>,
}

/// Sensitivity to another quantity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossDef {
    /// The other quantity.
    pub quantity: String,
    /// Change of the reading per unit of the other quantity.
    pub per_unit: f64,
    /// Value of the other quantity at which there is no change.
    pub at: f64,
}

/// An actuator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Where its figures come from.
    pub source: String,
    /// How it can be wired.
    pub bus: BusDef,
    /// What it does to its zone at full level.
    pub effect: EffectDef,
    /// Time constant with which it follows its command, [s].
    #[serde(default)]
    pub tau_s: f64,
    /// Supply current at full level, from the device's own supply, [mA].
    #[serde(default)]
    pub active_ma: f64,
}

/// What an actuator does to its zone at full level.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum EffectDef {
    /// Heat, [W].
    HeatW(f64),
    /// Exchange of air with the outside, [1/h].
    AirChangesPerH(f64),
    /// Water given to the soil, [mm/h].
    WaterMmPerH(f64),
    /// Light, [lx].
    LightLx(f64),
}

/// A thing: board, parts, dynamics, firmware and power. No instance state.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThingDef {
    /// Version of the file format.
    #[serde(default = "format_1")]
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Where its figures come from.
    pub source: String,
    /// Name of its board. None for a thing that is only mirrored.
    #[serde(default)]
    pub board: Option<String>,
    /// Its sensors and actuators.
    #[serde(default)]
    pub parts: Vec<PartDef>,
    /// Its physics as a lumped network.
    #[serde(default)]
    pub dynamics: Option<DynamicsDef>,
    /// What it runs.
    #[serde(default)]
    pub firmware: Option<Firmware>,
    /// What it runs on.
    #[serde(default)]
    pub power: Option<PowerDef>,
}

fn format_1() -> u32 {
    1
}

/// A sensor or actuator of a thing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartDef {
    /// Id within the thing.
    pub id: String,
    /// Name of the sensor or actuator.
    pub model: String,
    /// How it is wired.
    pub on: WireDef,
}

/// How a part is wired.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum WireDef {
    /// The board's I2C bus at this address.
    I2c(u8),
    /// The board's SPI bus with this chip-select pin.
    Spi(String),
    /// One pin.
    Pin(String),
    /// Several pins.
    Pins(Vec<String>),
    /// Part of the board itself.
    Internal,
}

/// Declarative firmware.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Time between wakes.
    pub period: Span,
    /// Standard deviation of each period's error.
    #[serde(default)]
    pub jitter: Span,
    /// Time awake for one reading and sending.
    #[serde(default)]
    pub awake: Span,
    /// Whether it sleeps deeply between wakes.
    #[serde(default)]
    pub deep_sleep: bool,
    /// What it publishes.
    #[serde(default)]
    pub publish: Vec<PublishDef>,
    /// Messages kept while the link is down; the oldest is dropped and counted.
    #[serde(default = "queue_default")]
    pub queue: u32,
    /// Transmissions of a message before it goes back to the queue.
    #[serde(default = "attempts_default")]
    pub attempts: u32,
    /// Commands it takes.
    #[serde(default)]
    pub commands: Vec<CommandDef>,
    /// Control loops it runs on what it hears.
    #[serde(default)]
    pub control: Vec<ControlDef>,
    /// What it does about time. None: it is right at the start but for its crystal, and is never set.
    #[serde(default)]
    pub clock: Option<ClockDef>,
    /// Time from a reset to its first lines, at the board's active current.
    #[serde(default = "boot_default")]
    pub boot: Span,
    /// How long it sleeps after a brown-out before it tries again: the guard against draining a tired battery by
    /// starting over and over. Zero: it starts at once.
    #[serde(default)]
    pub brown_out_pause: Span,
}

fn boot_default() -> Span {
    Span(500_000_000)
}

fn queue_default() -> u32 {
    32
}
fn attempts_default() -> u32 {
    3
}

/// A command taken over MQTT.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandDef {
    /// Topic; `{device}` and `{zone}` are replaced.
    pub topic: String,
    /// Actuator part whose level (0–1) is set by the payload: a number, `ON`/`OFF`, or the value at `pointer`.
    pub part: String,
    /// JSON Pointer of the level within the payload.
    #[serde(default)]
    pub pointer: Option<String>,
}

/// A control loop from a topic to a topic.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlDef {
    /// Topic filter heard, wildcards allowed; `{zone}` is replaced. The mean over the devices heard is the input.
    pub input: String,
    /// JSON Pointer of the value within the payload.
    pub pointer: String,
    /// A device not heard for so long drops out of the mean.
    pub stale: Span,
    /// Topic that is published to.
    pub output: String,
    /// Two-point or proportional law.
    pub law: LawDef,
    /// Level, 0–1, while no device has been heard for `stale`. None: the last one holds.
    #[serde(default)]
    pub fallback: Option<f64>,
}

/// A control law.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LawDef {
    /// 1 below `on_below` until above `off_above`: a heater.
    OnBelow {
        /// Switches on below this.
        on_below: f64,
        /// Switches off above this.
        off_above: f64,
    },
    /// 1 above `on_above` until below `off_below`: a vent, a fan.
    OnAbove {
        /// Switches on above this.
        on_above: f64,
        /// Switches off below this.
        off_below: f64,
    },
    /// level = clamp(gain · (input − at), 0, 1).
    Proportional {
        /// Level per unit of the input; negative for heating.
        gain: f64,
        /// Input at which the level is 0.
        at: f64,
    },
}

/// A power supply.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PowerDef {
    /// The mains.
    Mains,
    /// A battery, Thevenin model with an open-circuit curve; see FACTS "Battery".
    Battery {
        /// Capacity, [mAh].
        capacity_mah: f64,
        /// State of charge at the start, 0–1; units spread evenly between the two.
        charge: (f64, f64),
        /// Open-circuit voltage against state of charge, ascending.
        ocv_v: Vec<(f64, f64)>,
        /// Series resistance, [Ω].
        r0_ohm: f64,
        /// Self-discharge a month, relative.
        #[serde(default)]
        self_discharge_per_month: f64,
    },
    /// Cells of the catalog, which feel temperature and age, behind a regulator, perhaps with a panel. A device that it
    /// lets down is reset and tries again.
    Pack {
        /// Name of the cell, see `twinfleet list batteries`.
        cell: String,
        /// Cells in series.
        #[serde(default = "one")]
        series: u32,
        /// Such strings in parallel.
        #[serde(default = "one")]
        parallel: u32,
        /// State of charge at the start, 0–1; units spread evenly between the two.
        charge: (f64, f64),
        /// Years since it was made.
        #[serde(default)]
        years: f64,
        /// Full cycles behind it.
        #[serde(default)]
        cycles: f64,
        /// Time constant with which the cells follow the temperature of their place.
        #[serde(default = "twenty_minutes")]
        thermal_tau: Span,
        /// Name of the regulator, see `twinfleet list regulators`. None: the board runs on the battery's own voltage.
        #[serde(default)]
        regulator: Option<String>,
        /// A panel that charges it.
        #[serde(default)]
        solar: Option<SolarDef>,
    },
}

impl PowerDef {
    /// Whether it has a voltage and a charge to tell of.
    pub fn is_battery(&self) -> bool {
        !matches!(self, Self::Mains)
    }
}

fn one() -> u32 {
    1
}
/// Two AA cells in a small box: 50 g at about 1 J/(g·K), 60 cm² at 7 W/(m²·K). Own estimate.
fn twenty_minutes() -> Span {
    Span::from_secs(1200)
}
