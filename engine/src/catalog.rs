//! The catalog's shapes: boards, sensors, actuators and things. The files themselves live in `twins/catalog`, or next to
//! a user's scenario.

mod actuator;
mod adc;
mod analog;
mod board;
mod script;
mod sensor;

pub use actuator::{ActuatorDef, EffectDef};
pub use adc::{AdcDef, RangeDef};
pub use analog::{AnalogDef, ResistanceDef};
pub use board::{
    BoardDef, CpuDef, CurrentDef, FedDef, Level, OnboardDef, PinFn, StrapDef, Technology, ThermalDef,
};
pub use script::{Runtime, ScriptDef};
pub use sensor::{BusDef, ChannelDef, CrossDef, CrossLaw, ReachDef, SensorDef};

use crate::{
    clock::ClockDef,
    dialect::Dialect,
    dynamics::DynamicsDef,
    link::profile::LinkProfileDef,
    power::{cell::BatteryDef, regulator::RegulatorDef, solar::SolarDef},
    predict::level::SignalDef,
    scenario::PublishDef,
    time::Span,
    units,
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
    /// The dialects that devices speak; they come with the program, not in files.
    pub dialects: Dialect,
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
    /// Signals that a twin follows as they come, where no dynamics are known: each as a level that wanders, at a rate that is
    /// learnt.
    #[serde(default)]
    pub signals: Vec<SignalDef>,
    /// What it runs.
    #[serde(default)]
    pub firmware: Option<Firmware>,
    /// A file of the user's own that it runs instead, written `firmware: Script(…)`.
    #[serde(default)]
    pub script: Option<ScriptDef>,
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
    /// The board's pins of its I2C bus, data and clock: parts that name the same are on one bus, which a board that leads its
    /// buses anywhere may have beside its own. None: the board's own.
    #[serde(default)]
    pub bus: Option<(String, String)>,
    /// The board's pin that its shutdown line is on, for a sensor that has one (XSHUT of a VL53L0X): low holds it in reset, so
    /// that several of one address can be given others one by one.
    #[serde(default)]
    pub shutdown: Option<String>,
    /// The actuator that it measures: the fan of a tachometer, the pump behind a flow meter, the load of a current sensor.
    /// None: all of the device's that give its quantity; for a current sensor, the device's own supply.
    #[serde(default)]
    pub of: Option<String>,
    /// Whether its bus is pulled up beside it: `true` where a resistor was added, `false` where a bare chip stands in for the
    /// module and its resistors. None: as the sensor's file says.
    #[serde(default)]
    pub pull_up: Option<bool>,
    /// Whether a level shifter or divider sits between it and the board.
    #[serde(default)]
    pub shifted: bool,
    /// Whether it has a supply of its own, apart from the device's.
    #[serde(default)]
    pub own_supply: bool,
    /// Whether it gets its supply only when the run begins: what its file says it needs to settle (`unsettled`), it needs then.
    /// Without it, it has been on for long.
    #[serde(default)]
    pub cold: bool,
    /// Range in which the board's converter reads it, such as `"6dB"` of an ESP32. None: the board's usual one.
    #[serde(default)]
    pub range: Option<String>,
}

/// How a part is wired.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum WireDef {
    /// The board's I2C bus at this address.
    I2c(u8),
    /// The board's SPI bus with this chip-select pin.
    Spi(String),
    /// One pin; of an analogue part also an input of a converter of the thing's, `adc.0` for the first of the part `adc`.
    Pin(String),
    /// Several pins.
    Pins(Vec<String>),
    /// Part of the board itself.
    Internal,
}

impl PartDef {
    /// The pins of its I2C bus, data and clock, where that is not where the board's own usually is.
    pub fn bus_on(&self, board: &BoardDef) -> Option<(&str, &str)> {
        let (sda, scl) = self.bus.as_ref()?;
        let usual = |f: PinFn, pin: &str| board.usual(f) == Some(pin);
        let own = usual(PinFn::Sda, sda) && usual(PinFn::Scl, scl);
        (!own).then_some((sda.as_str(), scl.as_str()))
    }
}

impl WireDef {
    /// The converter and its input that an analogue part is wired to, where that is no pin of the board.
    pub fn converter(&self) -> Option<(&str, u8)> {
        let Self::Pin(pin) = self else { return None };
        let (part, input) = pin.split_once('.')?;
        Some((part, input.parse().ok()?))
    }
}

impl ThingDef {
    /// The inputs of its converters that other parts drive: the input as `part.quantity`, and who makes its voltage.
    pub fn driven_inputs<'a>(
        &'a self,
        catalog: &'a Catalog,
    ) -> impl Iterator<Item = (String, &'a PartDef, &'a SensorDef)> {
        self.parts.iter().filter_map(move |part| {
            let (id, input) = part.on.converter()?;
            let sensor = catalog.sensors.get(&part.model)?;
            sensor.channels.first()?.analog?;
            let (_, converter) = self.converter(id, catalog)?;
            let quantity = format!("voltage_{input}");
            let named = converter.channels.iter().any(|c| c.quantity == quantity);
            named.then(|| (format!("{id}.{quantity}"), part, sensor))
        })
    }

    /// The converter among its parts with this id.
    pub fn converter<'a>(&'a self, id: &str, catalog: &'a Catalog) -> Option<(&'a PartDef, &'a SensorDef)> {
        let part = self.parts.iter().find(|p| p.id == id)?;
        let sensor = catalog.sensors.get(&part.model)?;
        let reads = sensor.channels.iter().any(|c| units::converter_input(&c.quantity).is_some());
        reads.then_some((part, sensor))
    }
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
    /// Time awake for one reading and sending. Where the link's profile makes each wake join anew, that comes on top.
    #[serde(default)]
    pub awake: Span,
    /// Whether it sleeps deeply between wakes.
    #[serde(default)]
    pub deep_sleep: bool,
    /// The board's state between wakes, one of its `rest_ma`, such as `light_sleep`. None: deep sleep or none.
    #[serde(default)]
    pub rest: Option<String>,
    /// What it publishes.
    #[serde(default)]
    pub publish: Vec<PublishDef>,
    /// Messages kept while the link is down; the oldest is dropped and counted.
    #[serde(default = "queue_default")]
    pub queue: u32,
    /// Transmissions of a message before it goes back to the queue.
    #[serde(default = "attempts_default")]
    pub attempts: u32,
    /// Whether its MQTT session outlasts its connections, so that the broker keeps messages of QoS 1 and 2 for it while it sleeps
    /// or is off the network. Without it only a retained message is told when it is back.
    #[serde(default)]
    pub persistent: bool,
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
    /// The user's own file that it stands for, where it is none of the engine's.
    #[serde(skip)]
    pub script: Option<ScriptDef>,
}

impl Firmware {
    /// Whether it sends over the device's radio.
    pub fn speaks(&self) -> bool {
        !self.publish.is_empty() || !self.control.is_empty() || self.script.is_some()
    }

    /// Whether it hears anything over the device's radio.
    pub fn listens(&self) -> bool {
        !self.commands.is_empty() || !self.control.is_empty() || self.script.is_some()
    }

    /// Whether radio and main clock are off between its wakes on this board, [`crate::link`]'s networks lost with them.
    pub fn dozes(&self, board: Option<&BoardDef>) -> bool {
        match &self.rest {
            Some(state) => board.is_none_or(|b| !b.associated.contains(state)),
            None => self.deep_sleep,
        }
    }
}

fn boot_default() -> Span {
    Span(500_000_000)
}

pub(crate) fn queue_default() -> u32 {
    32
}
pub(crate) fn attempts_default() -> u32 {
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
