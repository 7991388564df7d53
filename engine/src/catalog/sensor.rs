//! Sensors: how they are wired and fed, and the figures of their pipelines.

use super::{AnalogDef, BoardDef, Level};
use crate::{physics::ViewDef, time::Span};
use serde::Deserialize;
use std::collections::BTreeMap;

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
    /// Boards that it is a part of, where it is one; empty: any.
    #[serde(default)]
    pub part_of: Vec<String>,
    /// Supply voltages it works at, [V]: smallest and largest. None: that of the board's pins.
    #[serde(default)]
    pub supply_v: Option<(f64, f64)>,
    /// Voltage that it puts on the board's pins, [V]. None: no more than it is fed with.
    #[serde(default)]
    pub out_v: Option<f64>,
    /// Largest voltage that its own lines stand, [V], of those that the board drives. None: that of its supply.
    #[serde(default)]
    pub lines_v: Option<f64>,
    /// Whether its module pulls its bus or line up by itself. None: not stated, not judged; a line of its own needs none then.
    #[serde(default)]
    pub pull_up: Option<bool>,
    /// The resistor of that pull-up, [Ω]. None: not stated, not judged.
    #[serde(default)]
    pub pull_up_ohm: Option<f64>,
    /// Whether its software can give it another address than its own.
    #[serde(default)]
    pub renamed: bool,
    /// Whether it has a line that shuts it down while it is low.
    #[serde(default)]
    pub shutdown: bool,
    /// Addresses of further chips in its package, by its own address.
    #[serde(default)]
    pub beside: BTreeMap<u8, u8>,
    /// Which of its digital pins several of its model may share, counted from 0.
    #[serde(default)]
    pub shares: Vec<usize>,
    /// Whether the weak pull-up within the board's chip does for its line.
    #[serde(default)]
    pub weak_pull_up: bool,
    /// Which of its digital pins, counted from 0, the board drives: a request, a trigger, a clock. The others it only reads.
    #[serde(default)]
    pub driven: Vec<usize>,
    /// Level that it puts on the pins that the board only reads while the board starts. None: not stated, not judged.
    #[serde(default)]
    pub at_start: Option<Level>,
    /// Supply current while measuring, [mA].
    pub active_ma: f64,
    /// Largest current within a measurement, [mA], where that is more: a heater's or lamp's pulse.
    #[serde(default)]
    pub peak_ma: f64,
    /// Supply current between measurements, [mA].
    #[serde(default)]
    pub idle_ma: f64,
    /// Time one measurement takes on the part.
    #[serde(default)]
    pub conversion: Span,
    /// Shortest time between measurements; an earlier read returns the last value.
    #[serde(default)]
    pub min_interval: Span,
    /// How long it gives nothing after it has got its supply, at the start of a run; whatever it is wired to, and whoever reads it.
    #[serde(default)]
    pub warm_up: Span,
    /// What it measures.
    pub channels: Vec<ChannelDef>,
    /// What it sees, for a sensor of `distance` or `presence`; without it, the quantity's usual view.
    #[serde(default)]
    pub view: Option<ViewDef>,
}

impl SensorDef {
    /// What feeds it on a board, [V]: the rail of the board's pins where it works at that, else what the board is fed with.
    /// None: it works at neither.
    pub fn fed_v(&self, board: &BoardDef) -> Option<f64> {
        let Some((low, high)) = self.supply_v else { return Some(board.logic_v) };
        [board.logic_v, board.supply_v].into_iter().find(|v| (low..=high).contains(v))
    }
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
    /// White noise that grows with what is measured, standard deviation as a share of it; it adds to `noise_std` in squares.
    #[serde(default)]
    pub noise_ratio: f64,
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
    /// The voltage it makes of the quantity, for a part on an analogue pin; the board's converter reads that. Without it the
    /// figures above are those of part and converter together.
    #[serde(default)]
    pub analog: Option<AnalogDef>,
    /// What its supply does to its range, for an input of a converter. None: nothing.
    #[serde(default)]
    pub reach: Option<ReachDef>,
    /// How long its output stays at 1 after it last saw something, for a channel of 0 and 1; each further sight starts it anew.
    #[serde(default)]
    pub hold: Span,
    /// How long it is blind once its output has fallen.
    #[serde(default)]
    pub block: Span,
    /// Within what time after it has got its supply its output rises by itself, up to three times, for a channel with a `hold`;
    /// only where its thing says that it is `cold`.
    #[serde(default)]
    pub unsettled: Span,
}

/// What a supply does to the range of a converter's input.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ReachDef {
    /// The supply is the reference: range, step, noise and offset are stated at so many volts, and go with it.
    Reference(f64),
    /// It reads no further than so much above its supply, [V].
    Above(f64),
}

impl ChannelDef {
    /// White noise of one reading of a value, standard deviation.
    pub fn noise_at(&self, value: f64) -> f64 {
        self.noise_std.hypot(self.noise_ratio * value)
    }

    /// From where to where its input reaches, [V], whatever its gain: as far beyond ground as above its supply.
    pub fn reach_v(&self, supply_v: Option<f64>) -> (f64, f64) {
        match (self.reach, supply_v) {
            (Some(ReachDef::Above(more_v)), Some(v)) => (-more_v, v + more_v),
            _ => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }

    /// The same channel fed with this voltage, [V]; as it is stated where that is not known.
    #[must_use]
    pub fn fed(&self, supply_v: Option<f64>) -> Self {
        let mut channel = self.clone();
        match (self.reach, supply_v) {
            (Some(ReachDef::Reference(at_v)), Some(v)) => {
                let times = v / at_v;
                channel.range = (times * self.range.0, times * self.range.1);
                channel.lsb *= times;
                channel.noise_std *= times;
                channel.bias_std *= times;
            }
            (Some(ReachDef::Above(more_v)), Some(v)) => channel.range.1 = self.range.1.min(v + more_v),
            _ => {}
        }
        channel
    }
}

/// Sensitivity to another quantity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossDef {
    /// The other quantity.
    pub quantity: String,
    /// Change per unit of the other quantity: of the reading, or of what divides it.
    pub per_unit: f64,
    /// Value of the other quantity at which there is no change.
    pub at: f64,
    /// What the change does to the reading.
    #[serde(default)]
    pub law: CrossLaw,
}

/// What another quantity does to a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CrossLaw {
    /// It adds to it, as much whatever is measured: an offset's temperature coefficient.
    #[default]
    Adds,
    /// One more than the change divides it: the time of an echo, by the speed of sound.
    Divides,
}

impl CrossDef {
    /// What is added to a reading, and what it was multiplied by before, where the other quantity has this value.
    pub fn change(&self, other: f64) -> (f64, f64) {
        let change = self.per_unit * (other - self.at);
        match self.law {
            CrossLaw::Adds => (change, 1.0),
            // Far outside of where the law holds, it stays finite.
            CrossLaw::Divides => (0.0, 1.0 / (1.0 + change).max(0.1)),
        }
    }
}
