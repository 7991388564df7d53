//! What a shard of a load leaves, and how the parts become the whole: histograms add up, books are laid side by side.

use super::{
    Memory,
    health::{Accusation, CpuTime},
    judge::Finding,
    tally::{DeviceBook, SubscriberBook, Tallies, Tally},
    times::{Course, Times, WireTimes},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the file within its folder.
pub const FILE: &str = "load.json";

/// A shard's part, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Version of this format.
    pub format: u32,
    /// The scenario's text, with every `--set` applied.
    pub scenario: String,
    /// What it is called.
    pub name: String,
    /// Topic prefix.
    pub prefix: String,
    /// Seed.
    pub seed: u64,
    /// Multiple of the stages' rates.
    pub rate: f64,
    /// Shard `i` of `n`.
    pub shard: (u32, u32),
    /// The run that it is a part of.
    pub run: u32,
    /// When its first stage began, Unix time [ns].
    pub start_unix_ns: i64,
    /// Whether it came to its end.
    pub finished: bool,
    /// Wall time, [s].
    pub wall_s: f64,
    /// The broker, without a password.
    pub broker: String,
    /// Histograms.
    pub times: Vec<WireTimes>,
    /// The generator's own lag: HDR V2, base64.
    pub lag: Vec<WireTimes>,
    /// The course over time.
    pub course: Course,
    /// Counts.
    pub counts: Tallies,
    /// Devices.
    pub devices: BTreeMap<u32, DeviceBook>,
    /// Subscribers.
    pub subscribers: BTreeMap<u32, SubscriberBook>,
    /// Use of the cores.
    pub cpu: Vec<CpuTime>,
    /// What the generator holds against itself.
    pub accusations: Vec<Accusation>,
    /// Reasons for which connections were lost.
    pub reasons: BTreeMap<String, u64>,
    /// How long the connecting took, [s].
    #[serde(default)]
    pub connect_s: f64,
    /// Memory that it took.
    #[serde(default)]
    pub memory: Memory,
    /// What a newcomer found wrong with the messages that this shard's devices left with the broker; None: nobody looked.
    pub retained: Option<Vec<Finding>>,
}

/// Version of the format of [`Part`].
pub const FORMAT: u32 = 3;

/// Why parts do not make a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// No part at all.
    #[error("there is no part of a load to merge")]
    Empty,
    /// Another format.
    #[error("a part has format {0}, and this version reads {FORMAT}: run all shards with one version")]
    Format(u32),
    /// Parts of different runs.
    #[error("the parts are of different runs: they differ in {0}; merge the shards of one run")]
    Differ(&'static str),
    /// A shard twice.
    #[error("shard {0}/{1} is there twice")]
    Twice(u32, u32),
    /// A shard is missing.
    #[error(
        "shard {0}/{1} is missing: the others' subscribers heard nothing of it, so run all shards anew with one new `--start-at`, \
         then merge"
    )]
    Missing(u32, u32),
    /// A histogram that is none.
    #[error("a histogram of shard {0} cannot be read")]
    Histogram(u32),
}

impl Part {
    /// Whether the shard had anybody to connect: of more shards than members, some have none, and are over at once.
    pub fn has_members(&self) -> bool {
        !self.devices.is_empty() || !self.subscribers.is_empty()
    }

    /// Histograms and books, back from the file.
    pub fn tally(&self, stages: usize) -> Result<Tally, JoinError> {
        let bad = || JoinError::Histogram(self.shard.0);
        let mut tally = Tally::new(stages, 1);
        tally.times = Times::from_wire(&self.times, stages).ok_or_else(bad)?;
        let lag = Times::from_wire(&self.lag, 1).ok_or_else(bad)?;
        for (_, histogram) in lag.all() {
            tally.lag.add(histogram).map_err(|_| bad())?;
        }
        tally.course = self.course.clone();
        tally.counts = self.counts;
        tally.devices = self.devices.clone();
        tally.subscribers = self.subscribers.clone();
        tally.cpu = self.cpu.clone();
        tally.accusations = self.accusations.clone();
        tally.reasons = self.reasons.clone();
        Ok(tally)
    }
}

/// Whether these are all the parts of one run; in order of their shards.
///
/// # Errors
/// What is missing, twice, or of another run.
pub fn complete(mut parts: Vec<Part>) -> Result<Vec<Part>, JoinError> {
    parts.sort_by_key(|p| p.shard);
    let first = parts.first().ok_or(JoinError::Empty)?;
    let n = first.shard.1;
    for (i, part) in parts.iter().enumerate() {
        let differs = [
            ("their scenario", part.scenario != first.scenario),
            ("their seed", part.seed != first.seed),
            ("their rate", part.rate != first.rate),
            ("their number of shards", part.shard.1 != n),
            ("their topic prefix", part.prefix != first.prefix),
            ("their start (`--start-at`)", part.run != first.run),
        ];
        if part.format != FORMAT {
            return Err(JoinError::Format(part.format));
        }
        if let Some((what, _)) = differs.iter().find(|(_, differ)| *differ) {
            return Err(JoinError::Differ(what));
        }
        if i > 0 && parts[i - 1].shard == part.shard {
            return Err(JoinError::Twice(part.shard.0, n));
        }
    }
    let missing = (0..n).find(|i| parts.iter().all(|p| p.shard.0 != *i));
    match missing {
        Some(i) => Err(JoinError::Missing(i, n)),
        None => Ok(parts),
    }
}
