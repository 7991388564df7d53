//! How far from its forecasts each reading came, in halves of their intervals, counted as a run goes: from that a report draws how
//! often intervals of any probability held.
//!
//! ```
//! use twinfleet_engine::record::Reliability;
//! use twinfleet_engine::signal::{Channel, Kind, SignalTable};
//! use twinfleet_engine::{time::SimTime, world::Row};
//! let mut table = SignalTable::default();
//! let forecast = ["soc.temperature.60s", "soc.temperature.60s.lower", "soc.temperature.60s.upper"];
//! let mut channels = vec![Channel::new("soc.temperature", Kind::Reported, "degC")];
//! channels.extend(forecast.map(|name| Channel::new(name, Kind::Forecast, "degC")));
//! let block = table.add_block("pi-1", 1, channels);
//! let mut counted = Reliability::of(&table);
//! let at = |s: i64| SimTime(s * 1_000_000_000);
//! for (channel, value) in [(1, 50.0), (2, 48.0), (3, 52.0)] {
//!     counted.add(&Row { t: at(0), signal: table.id(block, 0, channel), value });
//! }
//! counted.add(&Row { t: at(60), signal: table.id(block, 0, 0), value: 51.0 });
//! let beyond = counted.halves(table.id(block, 0, 1)).unwrap();
//! assert_eq!((beyond.n(), beyond.share_within(0.6), beyond.share_within(0.4)), (1, 1.0, 0.0));
//! ```

use crate::{
    signal::{BlockId, Kind, SignalId, SignalTable},
    time::{SimTime, Span},
    world::Row,
};
use std::collections::{HashMap, VecDeque};

/// Bins of a half of an interval, and halves that are told apart.
const PER_HALF: f64 = 40.0;
const MOST_HALVES: usize = 4;
/// Forecasts that wait for their reading at most; beyond, the oldest are forgotten.
const WAITING: usize = 100_000;
/// Share of the horizon that a reading may be late.
const LATE: i64 = 10;

/// Distances of readings from their forecasts, in halves of the interval on that side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halves {
    bins: Vec<u64>,
    n: u64,
}

impl Default for Halves {
    fn default() -> Self {
        Self { bins: vec![0; PER_HALF as usize * MOST_HALVES], n: 0 }
    }
}

impl Halves {
    fn add(&mut self, halves: f64) {
        self.n += 1;
        if let Some(bin) = self.bins.get_mut((halves * PER_HALF) as usize) {
            *bin += 1;
        }
    }

    /// Readings that came.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Share of them that came within so many halves.
    pub fn share_within(&self, halves: f64) -> f64 {
        let bins = ((halves * PER_HALF).round() as usize).min(self.bins.len());
        self.bins[..bins].iter().sum::<u64>() as f64 / self.n.max(1) as f64
    }
}

/// One output at one horizon.
#[derive(Clone, Debug)]
struct Stream {
    horizon_ns: i64,
    /// What was said last: when, the mean, the lower and the upper end.
    told: (SimTime, [f64; 3]),
    waiting: VecDeque<(i64, [f64; 3])>,
    halves: Halves,
}

/// What a row is to a stream.
#[derive(Clone, Copy, Debug)]
enum Part {
    Reading,
    Told(usize),
}

/// The forecasts of a run's twins, and how far from them readings came.
#[derive(Clone, Debug, Default)]
pub struct Reliability {
    streams: Vec<Stream>,
    parts: HashMap<SignalId, Vec<(usize, Part)>>,
    means: HashMap<SignalId, usize>,
}

impl Reliability {
    /// Of every forecast among these signals.
    pub fn of(table: &SignalTable) -> Self {
        let mut all = Self::default();
        for (at, (_, devices, channels)) in table.blocks().enumerate() {
            let place =
                |name: &str, kind: Kind| channels.iter().position(|c| c.kind == kind && c.name == name);
            let id = |channel: usize| table.id(BlockId(at as u32), 0, channel as u32);
            for (mean, c) in
                channels.iter().enumerate().filter(|(_, c)| devices == 1 && c.kind == Kind::Forecast)
            {
                let Some((signal, word)) = c.name.rsplit_once('.') else { continue };
                let (Ok(horizon), Some(reading)) = (word.parse::<Span>(), place(signal, Kind::Reported))
                else {
                    continue;
                };
                let end = |which: &str| place(&format!("{}.{which}", c.name), Kind::Forecast);
                let (Some(lower), Some(upper)) = (end("lower"), end("upper")) else { continue };
                let stream = all.streams.len();
                for (channel, part) in [
                    (reading, Part::Reading),
                    (mean, Part::Told(0)),
                    (lower, Part::Told(1)),
                    (upper, Part::Told(2)),
                ] {
                    all.parts.entry(id(channel)).or_default().push((stream, part));
                }
                all.means.insert(id(mean), stream);
                all.streams.push(Stream {
                    horizon_ns: horizon.0,
                    told: (SimTime::ZERO, [f64::NAN; 3]),
                    waiting: VecDeque::new(),
                    halves: Halves::default(),
                });
            }
        }
        all
    }

    /// Takes a row in; rows come in order of time.
    pub fn add(&mut self, row: &Row) {
        let Some(parts) = self.parts.get(&row.signal) else { return };
        for (stream, part) in parts {
            let stream = &mut self.streams[*stream];
            match part {
                Part::Reading => stream.hear(row.t, row.value),
                Part::Told(which) => stream.tell(row.t, *which, row.value),
            }
        }
    }

    /// What came of the forecasts of which this is the mean.
    pub fn halves(&self, mean: SignalId) -> Option<&Halves> {
        self.means.get(&mean).map(|stream| &self.streams[*stream].halves)
    }
}

impl Stream {
    fn tell(&mut self, t: SimTime, which: usize, value: f64) {
        if self.told.0 != t {
            self.told = (t, [f64::NAN; 3]);
        }
        self.told.1[which] = value;
        if self.told.1.iter().all(|v| v.is_finite()) {
            if self.waiting.len() >= WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back((t.0 + self.horizon_ns, self.told.1));
            self.told.1 = [f64::NAN; 3];
        }
    }

    fn hear(&mut self, t: SimTime, value: f64) {
        while let Some((due, [mean, lower, upper])) = self.waiting.front().copied().filter(|w| w.0 <= t.0) {
            self.waiting.pop_front();
            let half = if value < mean { mean - lower } else { upper - mean };
            if t.0 - due <= self.horizon_ns / LATE && value.is_finite() && half > 0.0 {
                self.halves.add((value - mean).abs() / half);
            }
        }
    }
}
