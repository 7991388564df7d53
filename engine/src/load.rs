//! The intended trace of a load: which device sends at which instant, a pure function of scenario and seed. Who executes it,
//! in how many workers or shards, changes no instant of it.
//!
//! Schedules are drawn in *operational time*, in which a device keeps its own pace; stages map it to the time of the run:
//! where the rate is 2, twice as much operational time passes. So every schedule follows every stage, and a ramp needs no
//! thinning.
//!
//! ```
//! use twinfleet_engine::{load::{Schedule, Stages}, scenario::load::{ScheduleDef, StageDef}, time::Span};
//! use std::sync::Arc;
//! let stages = Arc::new(Stages::new(&[StageDef::Hold { length: Span::from_secs(10), rate: 2.0 }]));
//! let every_second = ScheduleDef::Constant(Span::from_secs(1));
//! assert_eq!(Schedule::new(&every_second, &stages, 7, "meter-0").count(), 20);
//! ```

use crate::{
    rng::{Rng, stream},
    scenario::load::{LoadDef, ScheduleDef, StageDef},
    time::NS_PER_S,
};
use rand::RngExt;
use std::{f64::consts::TAU, sync::Arc};

/// The stages of a run, and how operational time passes in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Part {
    /// Start, [ns] since the start of the first stage.
    from_ns: i64,
    /// Length, [s].
    length_s: f64,
    /// Rate at its start.
    rate: f64,
    /// Change of the rate, [1/s].
    slope: f64,
    /// Operational time at its start, [s].
    begin_s: f64,
    /// Operational time that passes in it, [s].
    passes_s: f64,
}

impl Stages {
    /// Stages, one after the other.
    pub fn new(defs: &[StageDef]) -> Self {
        let (mut from_ns, mut begin_s) = (0, 0.0);
        let part = |def: &StageDef| {
            let (rate, to) = def.rates();
            let length_s = def.length().as_secs_f64();
            let passes_s = (rate + to) / 2.0 * length_s;
            let part = Part { from_ns, length_s, rate, slope: (to - rate) / length_s, begin_s, passes_s };
            from_ns += def.length().0;
            begin_s += passes_s;
            part
        };
        Self { parts: defs.iter().map(part).collect() }
    }

    /// The same stages at a multiple of their rates.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        let scaled = |p: &Part| Part {
            rate: p.rate * factor,
            slope: p.slope * factor,
            begin_s: p.begin_s * factor,
            passes_s: p.passes_s * factor,
            ..*p
        };
        Self { parts: self.parts.iter().map(scaled).collect() }
    }

    /// Length of all of them, [ns].
    pub fn length_ns(&self) -> i64 {
        self.parts.last().map_or(0, |p| p.from_ns + (p.length_s * NS_PER_S as f64).round() as i64)
    }

    /// Operational time that passes in all of them, [s]: so many seconds at the devices' own rate.
    pub fn passes_s(&self) -> f64 {
        self.parts.last().map_or(0.0, |p| p.begin_s + p.passes_s)
    }

    /// Number of stages.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The stage that an instant belongs to.
    pub fn of(&self, at_ns: i64) -> usize {
        self.parts.partition_point(|p| p.from_ns <= at_ns).saturating_sub(1)
    }

    /// The instant at which so much operational time has passed, [ns]; None: after the last stage.
    pub fn instant(&self, passed_s: f64) -> Option<i64> {
        let p = self.parts.iter().find(|p| passed_s < p.begin_s + p.passes_s)?;
        let left = (passed_s - p.begin_s).max(0.0);
        // left = rate·t + slope/2·t², solved in the form that stays exact where the slope is small. The root of a square is exact:
        // without a slope, it is the rate to the last bit.
        let root =
            if p.slope == 0.0 { p.rate } else { (p.rate * p.rate + 2.0 * p.slope * left).max(0.0).sqrt() };
        let t_s = if left == 0.0 { 0.0 } else { (2.0 * left / (p.rate + root)).min(p.length_s) };
        Some(p.from_ns + (t_s * NS_PER_S as f64) as i64)
    }
}

/// The instants at which one device sends, in order, [ns] since the start of the first stage.
#[derive(Clone, Debug)]
pub struct Schedule {
    stages: Arc<Stages>,
    rng: Rng,
    kind: Kind,
    /// Messages planned so far.
    count: u64,
    /// Operational time of the last, [s].
    at_s: f64,
}

/// A schedule with its spans in seconds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Constant { spacing_s: f64, phase: f64 },
    Poisson { mean_s: f64 },
    Bursty { every_s: f64, phase: f64, messages: u64, gap_s: f64 },
    Diurnal { mean_s: f64, day_s: f64, swing: f64, from: f64 },
    Never,
}

impl Schedule {
    /// The schedule of the device with this id. A `Firmware` one is empty here: the world plans it.
    pub fn new(def: &ScheduleDef, stages: &Arc<Stages>, seed: u64, id: &str) -> Self {
        let mut rng = stream(seed, id, "load/schedule");
        let mut phase = || rng.random::<f64>();
        let kind = match def {
            ScheduleDef::Constant(s) => Kind::Constant { spacing_s: s.as_secs_f64(), phase: phase() },
            ScheduleDef::Poisson(s) => Kind::Poisson { mean_s: s.as_secs_f64() },
            ScheduleDef::Bursty { every, messages, gap } => Kind::Bursty {
                every_s: every.as_secs_f64(),
                phase: phase(),
                messages: u64::from(*messages),
                gap_s: gap.as_secs_f64(),
            },
            ScheduleDef::Diurnal { mean, day, swing, from } => Kind::Diurnal {
                mean_s: mean.as_secs_f64(),
                day_s: day.as_secs_f64(),
                swing: *swing,
                from: *from,
            },
            ScheduleDef::Firmware { .. } => Kind::Never,
        };
        Self { stages: Arc::clone(stages), rng, kind, count: 0, at_s: 0.0 }
    }

    fn gap(&mut self, mean_s: f64) -> f64 {
        // 1 − u lies in (0, 1]: its logarithm is finite.
        -mean_s * (1.0 - self.rng.random::<f64>()).ln()
    }
}

impl Iterator for Schedule {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        let k = self.count;
        let at_s = match self.kind {
            Kind::Constant { spacing_s, phase } => (phase + k as f64) * spacing_s,
            Kind::Poisson { mean_s } => {
                self.at_s += self.gap(mean_s);
                self.at_s
            }
            Kind::Bursty { every_s, phase, messages, gap_s } => {
                (phase + (k / messages) as f64) * every_s + (k % messages) as f64 * gap_s
            }
            Kind::Diurnal { mean_s, day_s, swing, from } => {
                self.at_s += self.gap(mean_s);
                undo_day(self.at_s, day_s, swing, from)
            }
            Kind::Never => return None,
        };
        self.count += 1;
        self.stages.instant(at_s)
    }
}

/// The time at which a day's rate, 1 + swing·sin(2π(t/day + from)), has added up to `sum_s`.
fn undo_day(sum_s: f64, day_s: f64, swing: f64, from: f64) -> f64 {
    let scale = swing * day_s / TAU;
    let added = |t: f64| t + scale * ((TAU * from).cos() - (TAU * (t / day_s + from)).cos());
    // The sum never strays from the time by more than twice the scale.
    let (mut low, mut high) = ((sum_s - 2.0 * scale).max(0.0), sum_s + 2.0 * scale);
    for _ in 0..64 {
        let middle = (low + high) / 2.0;
        if added(middle) < sum_s {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Whether a fault strikes the member with this id, if it strikes such a share of them.
pub fn strikes(seed: u64, fault: usize, id: &str, share: f64) -> bool {
    stream(seed, id, &format!("load/fault/{fault}")).random::<f64>() < share
}

/// Where between 0 and 1 a member comes back from a storm with jitter.
pub fn jitter(seed: u64, fault: usize, id: &str) -> f64 {
    stream(seed, id, &format!("load/jitter/{fault}")).random::<f64>()
}

/// A device or a listener of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Index of its group in the scenario.
    pub group: usize,
    /// Index within the group.
    pub index: u32,
    /// Ordinal over all groups of its kind, the same in every shard.
    pub ordinal: u32,
}

/// All devices of a load, in the order of their ordinals. `firmware_count` tells the size of a group of the fleet.
pub fn devices(load: &LoadDef, firmware_count: impl Fn(&str) -> u32) -> Vec<Member> {
    let count = |d: &crate::scenario::load::DeviceLoadDef| match &d.schedule {
        ScheduleDef::Firmware { fleet } => firmware_count(fleet),
        _ => d.count,
    };
    members(load.devices.iter().map(count))
}

/// All listeners of a load, in the order of their ordinals.
pub fn subscribers(load: &LoadDef) -> Vec<Member> {
    members(load.subscribers.iter().map(|s| s.count))
}

fn members(counts: impl Iterator<Item = u32>) -> Vec<Member> {
    let of_group = |(group, count): (usize, u32)| (0..count).map(move |index| (group, index));
    let all = counts.enumerate().flat_map(of_group);
    all.enumerate().map(|(i, (group, index))| Member { group, index, ordinal: i as u32 }).collect()
}

#[cfg(test)]
mod tests;
