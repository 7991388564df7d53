//! Sensor faults: what can go wrong with a stream of readings, simulated or recorded.
//!
//! [`FaultDef`] says what, [`FaultRun`] does it to one stream, [`reach`] says which streams of a device an event reaches.
//! What acts on a voltage (a loose contact, leakage, a wrong reference) acts before the board's converter where a part has
//! one, everything else on the value just before it is rounded.
//!
//! ```
//! use twinfleet_engine::{sense::fault::{FaultDef, FaultRun}, time::SimTime};
//! let (from, until) = (SimTime(10), SimTime(20));
//! let mut fault = FaultRun::new(FaultDef::Stuck, from, until, 42, "node-7", "fault/0/bme280.temperature");
//! assert_eq!(fault.apply(SimTime(9), 21.5), Some(21.5));
//! assert_eq!(fault.apply(SimTime(12), 22.0), Some(21.5), "it stays at the last value before the onset");
//! assert_eq!(fault.apply(SimTime(20), 22.5), Some(22.5), "it has ended");
//! ```

pub(crate) mod reach;

use super::decay::exp_neg;
use crate::{
    environment::air::saturation_hpa,
    rng::{Rng, stream},
    time::{SimTime, Span},
};
use rand::RngExt;
use rand_distr::{Exp1, StandardNormal};
use serde::Deserialize;

/// A fault of a stream of readings. Sizes are in the unit that the signal is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FaultDef {
    /// The reading stays at its last value.
    Stuck,
    /// A constant offset.
    Bias {
        /// Offset.
        by: f64,
    },
    /// An offset that grows from zero.
    Drift {
        /// Growth per hour.
        per_h: f64,
    },
    /// The reading is multiplied.
    Gain {
        /// Factor.
        factor: f64,
    },
    /// Single readings are off.
    Spike {
        /// Size.
        by: f64,
        /// Mean time between spikes; the first comes at the onset. Zero: one only.
        #[serde(default)]
        every: Span,
    },
    /// Extra white noise.
    Noise {
        /// Standard deviation.
        std: f64,
    },
    /// No reading, no message.
    Dropout,
    /// The device's clock runs fast (positive) or slow.
    ClockSkew {
        /// Relative error, [ppm].
        ppm: f64,
    },
    /// A loose contact: all readings of its part are lost while it is open; a pin of a converter then is at 0 V. It opens at
    /// the onset, and opens and closes at random from then on.
    Intermittent {
        /// Mean time that it is open.
        open: Span,
        /// Mean time that it is closed.
        closed: Span,
    },
    /// The bus hangs: no part of the device on it can be read, until the board is reset for lack of power, or the end.
    BusLockUp,
    /// The reference of the board's converter is off, and with it all analogue parts of the device.
    AdcReference {
        /// Relative error: 0.02 for 2 % too high, which makes codes smaller.
        by: f64,
    },
    /// Wet parts: humidity reads 100 % and recovers slowly after the end; what leaks away is missing at analogue pins.
    Condensation {
        /// Time constant with which it dries, from the event's end on.
        recover: Span,
        /// Share of the voltage of an analogue part that is lost while it is wet, 0–1.
        #[serde(default = "leak")]
        leak: f64,
    },
    /// A part is warmer than what it measures; its humidity falls as that of the air around it does.
    SelfHeating {
        /// Rise that it comes to, [K].
        by: f64,
        /// Time constant with which it warms, and cools after the end.
        tau: Span,
    },
    /// Dust on a light sensor: its gain decays until somebody cleans it, at the end.
    Dust {
        /// Share of the light that is lost in a day, 0–1.
        per_day: f64,
    },
}

/// 100 kΩ of wet board beside a source of 10 kΩ take some 10 % of its voltage. Own estimate.
fn leak() -> f64 {
    0.1
}

/// An excess that has fallen to a hundredth counts as gone: it ends there, after ln 100 time constants, and so does the label.
const GONE_TAUS: f64 = 4.605_170_185_988_092;

impl FaultDef {
    /// The word used in labels, verdicts and expectations.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Bias { .. } => "bias",
            Self::Drift { .. } => "drift",
            Self::Gain { .. } => "gain",
            Self::Spike { .. } => "spike",
            Self::Noise { .. } => "noise",
            Self::Dropout => "dropout",
            Self::ClockSkew { .. } => "clock_skew",
            Self::Intermittent { .. } => "intermittent",
            Self::BusLockUp => "bus_lock_up",
            Self::AdcReference { .. } => "adc_reference",
            Self::Condensation { .. } => "condensation",
            Self::SelfHeating { .. } => "self_heating",
            Self::Dust { .. } => "dust",
        }
    }

    /// Its size for labels: offset, growth per hour, factor, standard deviation, ppm, share of the time open, relative error of
    /// the reference, share that leaks, rise, share lost a day; 0 where it has none.
    pub fn size(&self) -> f64 {
        match *self {
            Self::Stuck | Self::Dropout | Self::BusLockUp => 0.0,
            Self::Intermittent { open, closed } => {
                open.as_secs_f64() / (open.as_secs_f64() + closed.as_secs_f64())
            }
            Self::Condensation { leak, .. } => leak,
            Self::Dust { per_day } => per_day,
            Self::Bias { by }
            | Self::Spike { by, .. }
            | Self::AdcReference { by }
            | Self::SelfHeating { by, .. } => by,
            Self::Drift { per_h } => per_h,
            Self::Gain { factor } => factor,
            Self::Noise { std } => std,
            Self::ClockSkew { ppm } => ppm,
        }
    }

    /// Whether a fault of this [`Self::name`] and [`Self::size`] leaves every reading as it is.
    ///
    /// ```
    /// use twinfleet_engine::sense::fault::FaultDef;
    /// assert!(FaultDef::changes_nothing("bias", 0.0) && FaultDef::changes_nothing("gain", 1.0));
    /// assert!(!FaultDef::changes_nothing("gain", 0.0) && !FaultDef::changes_nothing("stuck", 0.0));
    /// ```
    pub fn changes_nothing(name: &str, size: f64) -> bool {
        match name {
            "gain" => size == 1.0,
            "bias" | "spike" | "adc_reference" | "self_heating" | "drift" | "noise" | "clock_skew"
            | "dust" => size == 0.0,
            _ => false,
        }
    }

    /// Unit of its size, for a stream in this unit: `delta_K`, `hPa/h`, `ppm`; empty where it has no size.
    pub fn unit(&self, of_stream: &str) -> String {
        // An offset is a difference of two readings.
        let offset = if of_stream == "degC" { "delta_K" } else { of_stream };
        match self {
            Self::Stuck | Self::Dropout | Self::BusLockUp => String::new(),
            Self::Bias { .. } | Self::Spike { .. } | Self::Noise { .. } => offset.to_owned(),
            // Of the part, whichever of its streams shows it.
            Self::SelfHeating { .. } => "delta_K".to_owned(),
            Self::Drift { .. } => format!("{offset}/h"),
            Self::Gain { .. }
            | Self::Intermittent { .. }
            | Self::AdcReference { .. }
            | Self::Condensation { .. } => "ratio".to_owned(),
            Self::Dust { .. } => "ratio/d".to_owned(),
            Self::ClockSkew { .. } => "ppm".to_owned(),
        }
    }

    /// When its last trace is gone, for an event that ends at `until`.
    pub fn gone(&self, until: SimTime) -> SimTime {
        match *self {
            Self::Condensation { recover: tau, .. } | Self::SelfHeating { tau, .. }
                if until != SimTime::NEVER =>
            {
                until + Span((tau.0 as f64 * GONE_TAUS) as i64)
            }
            _ => until,
        }
    }

    /// Whether readings are lost to it altogether.
    pub const fn takes_away(&self) -> bool {
        matches!(self, Self::Dropout | Self::BusLockUp | Self::Intermittent { .. })
    }

    /// Whether it befalls a device as a whole, not streams of readings.
    pub const fn is_of_device(&self) -> bool {
        matches!(self, Self::ClockSkew { .. })
    }
}

/// What a fault needs to know of the stream that it acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// What is measured.
    pub of: Measures,
    /// Whether it is read through a board's converter.
    pub analog: bool,
}

/// What a stream is of, as far as faults go by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measures {
    /// Temperature, [°C].
    Temperature,
    /// Relative humidity, [percent].
    Humidity,
    /// Light.
    Light,
    /// Anything else.
    #[default]
    Other,
}

impl Measures {
    /// Of a catalog's quantity.
    pub fn quantity(name: &str) -> Self {
        match name {
            "temperature" => Self::Temperature,
            "humidity" => Self::Humidity,
            "illuminance" => Self::Light,
            _ => Self::Other,
        }
    }
}

/// What faults do between an analogue part and its converter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AtPin {
    /// Share of the part's voltage that gets to the pin.
    pub share: f64,
    /// The converter's reference over what it should be.
    pub reference: f64,
}

impl AtPin {
    /// All is well.
    pub const SOUND: Self = Self { share: 1.0, reference: 1.0 };

    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self { share: self.share * other.share, reference: self.reference * other.reference }
    }
}

/// A fault as it acts on one stream of readings. Every reading of the stream passes through it from the start of the run,
/// since `Stuck` must know the last value before its onset.
#[derive(Clone, Debug)]
pub struct FaultRun {
    kind: FaultDef,
    stream: Stream,
    from: SimTime,
    until: SimTime,
    rng: Rng,
    last: Option<f64>,
    /// The next spike, or the next time that a loose contact opens or closes.
    next: SimTime,
    open: bool,
}

impl FaultRun {
    /// A fault of `owner` that acts over `from..until` and draws from its own stream `label`.
    pub fn new(kind: FaultDef, from: SimTime, until: SimTime, seed: u64, owner: &str, label: &str) -> Self {
        Self::drawing(kind, from, until, stream(seed, owner, label))
    }

    /// The same with its random stream given.
    pub fn drawing(kind: FaultDef, from: SimTime, until: SimTime, rng: Rng) -> Self {
        let stream = Stream::default();
        Self { kind, stream, from, until, rng, last: None, next: from, open: false }
    }

    /// The same on a stream of this kind.
    pub fn on(self, stream: Stream) -> Self {
        Self { stream, ..self }
    }

    /// Whether its event lasts at this instant; what a fault leaves behind may last longer, see [`FaultDef::gone`].
    pub fn is_active(&self, t: SimTime) -> bool {
        self.from <= t && t < self.until
    }

    /// Its board is reset: a hanging bus is free again.
    pub(crate) fn reset(&mut self, t: SimTime) {
        if self.kind == FaultDef::BusLockUp && self.from <= t {
            self.until = self.until.min(t);
        }
    }

    /// What it takes for the last value before its onset.
    pub(crate) fn remember(&mut self, last: f64) {
        self.last = Some(last);
    }

    /// What becomes of a reading taken at `t`; none: it is lost. Readings come in the order of time. The air is at 20 °C.
    pub fn apply(&mut self, t: SimTime, reading: f64) -> Option<f64> {
        self.apply_in(t, reading, 20.0)
    }

    /// As [`Self::apply`], in air of this temperature, [°C].
    pub fn apply_in(&mut self, t: SimTime, reading: f64, air_c: f64) -> Option<f64> {
        if !self.is_active(t) {
            self.last = Some(reading);
            return Some(self.afterwards(t, reading, air_c));
        }
        match self.kind {
            FaultDef::Stuck => Some(*self.last.get_or_insert(reading)),
            FaultDef::Bias { by } => Some(reading + by),
            FaultDef::Drift { per_h } => Some(reading + per_h * (t - self.from).as_secs_f64() / 3600.0),
            FaultDef::Gain { factor } => Some(reading * factor),
            FaultDef::Spike { by, every } => Some(reading + self.spike(t, by, every)),
            FaultDef::Noise { std } => Some(reading + std * self.rng.sample::<f64, _>(StandardNormal)),
            FaultDef::Dropout | FaultDef::BusLockUp => None,
            FaultDef::Intermittent { open, closed } => {
                // The converter of an open pin reads on.
                (self.stream.analog || !self.is_open(t, open, closed)).then_some(reading)
            }
            FaultDef::Condensation { .. } | FaultDef::SelfHeating { .. } => {
                Some(self.afterwards(t, reading, air_c))
            }
            FaultDef::Dust { per_day } => {
                let days = (t - self.from).as_secs_f64() / 86_400.0;
                Some(reading * exp_neg(days * (1.0 - per_day).ln()))
            }
            FaultDef::ClockSkew { .. } | FaultDef::AdcReference { .. } => Some(reading),
        }
    }

    /// What faults that come and go slowly do, from their onset on.
    fn afterwards(&self, t: SimTime, reading: f64, air_c: f64) -> f64 {
        match (self.kind, self.stream) {
            (FaultDef::Condensation { .. }, Stream { of: Measures::Humidity, analog: false }) => {
                reading + (100.0 - reading) * self.wet(t)
            }
            (FaultDef::SelfHeating { by, tau }, Stream { of: Measures::Temperature, .. }) => {
                reading + by * self.warm(t, tau)
            }
            (FaultDef::SelfHeating { by, tau }, Stream { of: Measures::Humidity, .. }) => {
                // The vapour stays, what the air could hold grows.
                reading * saturation_hpa(air_c) / saturation_hpa(air_c + by * self.warm(t, tau))
            }
            _ => reading,
        }
    }

    /// What it does to an analogue part's voltage and to the reference that this is compared with.
    pub(crate) fn at_pin(&mut self, t: SimTime) -> AtPin {
        let (share, reference) = match self.kind {
            FaultDef::Intermittent { open, closed } if self.is_active(t) => {
                (if self.is_open(t, open, closed) { 0.0 } else { 1.0 }, 1.0)
            }
            FaultDef::Condensation { leak, .. } => (1.0 - leak * self.wet(t), 1.0),
            FaultDef::AdcReference { by } if self.is_active(t) => (1.0, 1.0 + by),
            _ => (1.0, 1.0),
        };
        AtPin { share, reference }
    }

    /// How wet it is, 0–1: wholly while the event lasts, and then w = e^(−t/τ).
    fn wet(&self, t: SimTime) -> f64 {
        let FaultDef::Condensation { recover, .. } = self.kind else { return 0.0 };
        if t < self.from || t >= self.kind.gone(self.until) {
            return 0.0;
        }
        if t < self.until { 1.0 } else { decayed(t - self.until, recover) }
    }

    /// How much of its rise it has come to, 0–1: 1 − e^(−t/τ) while the event lasts, and the decay of that afterwards.
    fn warm(&self, t: SimTime, tau: Span) -> f64 {
        if t < self.from || t >= self.kind.gone(self.until) {
            return 0.0;
        }
        let come_to = 1.0 - decayed(t.min(self.until) - self.from, tau);
        if t < self.until { come_to } else { come_to * decayed(t - self.until, tau) }
    }

    /// Whether a loose contact is open: the times between are exponential, from the fault's own stream, whoever asks.
    fn is_open(&mut self, t: SimTime, open: Span, closed: Span) -> bool {
        while self.next <= t {
            self.open = !self.open;
            let mean = if self.open { open } else { closed };
            let share: f64 = self.rng.sample(Exp1);
            self.next = self.next + Span(((share * mean.0 as f64) as i64).max(1_000_000));
        }
        self.open
    }

    /// How far the stream's clock is ahead because of it.
    pub fn clock_ahead(&self, t: SimTime) -> Span {
        match self.kind {
            FaultDef::ClockSkew { ppm } if self.is_active(t) => {
                Span((ppm * 1e-6 * (t - self.from).0 as f64) as i64)
            }
            _ => Span::ZERO,
        }
    }

    /// Spikes are a Poisson process that begins with one at the onset; the first reading after each is off.
    fn spike(&mut self, t: SimTime, by: f64, every: Span) -> f64 {
        if t < self.next {
            return 0.0;
        }
        self.next = if every == Span::ZERO {
            SimTime::NEVER
        } else {
            let gap: f64 = self.rng.sample(Exp1);
            t + Span((gap * every.0 as f64) as i64)
        };
        by
    }

    pub(crate) fn hash_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.last.unwrap_or_default().to_bits().to_le_bytes());
        bytes.extend(self.next.0.to_le_bytes());
        bytes.extend(self.until.0.to_le_bytes());
        bytes.push(u8::from(self.open));
        bytes.extend(self.rng.clone().random::<u64>().to_le_bytes());
    }
}

/// e^(−Δt/τ); with a τ of zero everything is over at once.
fn decayed(dt: Span, tau: Span) -> f64 {
    if tau.0 <= 0 { 0.0 } else { exp_neg(-(dt.0 as f64) / tau.0 as f64) }
}
