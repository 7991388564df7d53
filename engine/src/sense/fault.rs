//! Sensor faults: what can go wrong with a stream of readings, simulated or recorded.
//!
//! ```
//! use twinfleet_engine::{sense::fault::{FaultDef, FaultRun}, time::SimTime};
//! let (from, until) = (SimTime(10), SimTime(20));
//! let mut fault = FaultRun::new(FaultDef::Stuck, from, until, 42, "node-7", "fault/0/bme280.temperature");
//! assert_eq!(fault.apply(SimTime(9), 21.5), Some(21.5));
//! assert_eq!(fault.apply(SimTime(12), 22.0), Some(21.5), "it stays at the last value before the onset");
//! assert_eq!(fault.apply(SimTime(20), 22.5), Some(22.5), "it has ended");
//! ```

use crate::{
    plan::Plan,
    rng::{Rng, stream},
    scenario::{Action, EventDef},
    signal::wildcard,
    time::{SimTime, Span},
    world::Event,
};
use rand::RngExt;
use rand_distr::{Exp1, StandardNormal};
use serde::Deserialize;

/// A fault of a stream of readings. Sizes are in the signal's unit.
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
}

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
        }
    }
}

impl FaultDef {
    /// Its size for labels: offset, growth per hour, factor, standard deviation or ppm; 0 where it has none.
    pub const fn size(&self) -> f64 {
        match *self {
            Self::Stuck | Self::Dropout => 0.0,
            Self::Bias { by } | Self::Spike { by, .. } => by,
            Self::Drift { per_h } => per_h,
            Self::Gain { factor } => factor,
            Self::Noise { std } => std,
            Self::ClockSkew { ppm } => ppm,
        }
    }
}

/// A fault as it acts on one stream of readings. Every reading of the stream passes through it from the start of the run,
/// since `Stuck` must know the last value before its onset.
#[derive(Clone, Debug)]
pub struct FaultRun {
    kind: FaultDef,
    from: SimTime,
    until: SimTime,
    rng: Rng,
    last: Option<f64>,
    next_spike: SimTime,
}

impl FaultRun {
    /// A fault of `owner` that acts over `from..until` and draws from its own stream `label`.
    pub fn new(kind: FaultDef, from: SimTime, until: SimTime, seed: u64, owner: &str, label: &str) -> Self {
        Self { kind, from, until, rng: stream(seed, owner, label), last: None, next_spike: from }
    }

    /// Whether it acts at this instant.
    pub fn is_active(&self, t: SimTime) -> bool {
        self.from <= t && t < self.until
    }

    /// What becomes of a reading taken at `t`; none: it is lost. Readings come in the order of time.
    pub fn apply(&mut self, t: SimTime, reading: f64) -> Option<f64> {
        if !self.is_active(t) {
            self.last = Some(reading);
            return Some(reading);
        }
        match self.kind {
            FaultDef::Stuck => Some(*self.last.get_or_insert(reading)),
            FaultDef::Bias { by } => Some(reading + by),
            FaultDef::Drift { per_h } => Some(reading + per_h * (t - self.from).as_secs_f64() / 3600.0),
            FaultDef::Gain { factor } => Some(reading * factor),
            FaultDef::Spike { by, every } => Some(reading + self.spike(t, by, every)),
            FaultDef::Noise { std } => Some(reading + std * self.rng.sample::<f64, _>(StandardNormal)),
            FaultDef::Dropout => None,
            FaultDef::ClockSkew { .. } => Some(reading),
        }
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
        if t < self.next_spike {
            return 0.0;
        }
        self.next_spike = if every == Span::ZERO {
            SimTime::NEVER
        } else {
            let gap: f64 = self.rng.sample(Exp1);
            t + Span((gap * every.0 as f64) as i64)
        };
        by
    }

    pub(crate) fn hash_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.last.unwrap_or_default().to_bits().to_le_bytes());
        bytes.extend(self.next_spike.0.to_le_bytes());
        bytes.extend(self.rng.clone().random::<u64>().to_le_bytes());
    }
}

/// A fault of the timeline that may concern simulated devices.
#[derive(Clone, Debug)]
pub(crate) struct TimelineFault {
    /// Index within the timeline: names its streams.
    pub index: usize,
    device: String,
    channel: Option<String>,
    pub kind: FaultDef,
    pub from: SimTime,
    pub until: SimTime,
}

impl TimelineFault {
    /// All faults of a plan's timeline.
    pub fn all(plan: &Plan) -> Vec<Self> {
        let read = |(index, event): (usize, &EventDef)| {
            let Action::Fault { target, kind } = &event.action else { return None };
            let (device, channel) = match target.split_once('/') {
                Some((device, channel)) => (device, Some(channel.to_owned())),
                None => (target.as_str(), None),
            };
            let from = SimTime::ZERO + event.at;
            let until = event.until.map_or(SimTime::NEVER, |u| SimTime::ZERO + u);
            Some(Self { index, device: device.to_owned(), channel, kind: *kind, from, until })
        };
        plan.scenario.timeline.iter().enumerate().filter_map(read).collect()
    }

    /// Whether it concerns this device.
    pub fn hits_device(&self, device: &str) -> bool {
        wildcard(self.device.as_bytes(), device.as_bytes())
    }

    /// Whether it concerns this channel of a device it hits. A skew is the device's, not a channel's.
    pub fn hits_channel(&self, name: &str) -> bool {
        !matches!(self.kind, FaultDef::ClockSkew { .. })
            && self.channel.as_ref().is_none_or(|c| wildcard(c.as_bytes(), name.as_bytes()))
    }

    /// Its labels on a device: `part` is the target's channel, empty for the whole device.
    pub fn labels(&self, device: &str, part: &str, into: &mut Vec<Event>) {
        for (t, kind) in [(self.from, "fault_start"), (self.until, "fault_end")] {
            if t != SimTime::NEVER {
                into.push(Event {
                    t,
                    subject: device.to_owned(),
                    part: part.to_owned(),
                    kind: kind.to_owned(),
                    detail: self.kind.name().to_owned(),
                    value: self.kind.size(),
                    ..Event::default()
                });
            }
        }
    }

    /// Whether its target is a whole device.
    pub fn is_of_device(&self) -> bool {
        self.channel.is_none() || matches!(self.kind, FaultDef::ClockSkew { .. })
    }
}
