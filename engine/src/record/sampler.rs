//! A bounded memory of each watched signal, good enough to draw it: minimum, maximum and last value in each of at most
//! `buckets` stretches of time.
//!
//! ```
//! use twinfleet_engine::{record::Sampler, signal::SignalId, time::SimTime, world::Row};
//! let mut sampler = Sampler::new(10, 4);
//! for s in 0..100i64 {
//!     sampler.add(&Row { t: SimTime(s * 1_000_000_000), signal: SignalId(0), value: s as f64 });
//! }
//! let series: Vec<_> = sampler.series(SignalId(0)).collect();
//! assert!(series.len() <= 4);
//! assert_eq!((series[0].min, series.last().unwrap().max), (0.0, 99.0));
//! ```

use super::Reliability;
use crate::{
    signal::{SignalId, SignalTable},
    time::SimTime,
    world::{Event, Events, Row, Rows, TickSystems},
};
use bevy_ecs::prelude::*;
use std::collections::BTreeMap;

/// What a signal did in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Last value.
    pub last: f64,
    /// When it was, [ns].
    pub t: SimTime,
    /// Number of rows.
    pub rows: u64,
}

impl Bucket {
    const EMPTY: Self =
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, last: f64::NAN, t: SimTime::ZERO, rows: 0 };

    fn add(&mut self, row: &Row) {
        self.join(&Self { min: row.value, max: row.value, last: row.value, t: row.t, rows: 1 });
    }

    fn join(&mut self, later: &Self) {
        if later.rows == 0 {
            return;
        }
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        if self.rows == 0 || later.t >= self.t {
            (self.last, self.t) = (later.last, later.t);
        }
        self.rows += later.rows;
    }
}

/// The sampler of a run. All its signals share the width of a bucket, which doubles when a row lies beyond the last one.
#[derive(Clone, Debug)]
pub struct Sampler {
    width_ns: i64,
    buckets: usize,
    signals: BTreeMap<SignalId, Vec<Bucket>>,
    most_signals: usize,
    left_out: u64,
}

impl Sampler {
    /// A sampler of at most `signals` signals in at most `buckets` (even, ≥ 2) stretches each.
    pub fn new(signals: usize, buckets: usize) -> Self {
        let buckets = buckets.max(2).next_multiple_of(2);
        Self { width_ns: 1, buckets, signals: BTreeMap::new(), most_signals: signals, left_out: 0 }
    }

    /// Takes in a row; rows that are no number or lie before the start are left out.
    pub fn add(&mut self, row: &Row) {
        if row.value.is_nan() || row.t < SimTime::ZERO {
            return;
        }
        if !self.signals.contains_key(&row.signal) && self.signals.len() >= self.most_signals {
            self.left_out += 1;
            return;
        }
        while row.t.0 / self.width_ns >= self.buckets as i64 {
            self.widen();
        }
        let at = (row.t.0 / self.width_ns) as usize;
        let series = self.signals.entry(row.signal).or_default();
        if series.len() <= at {
            series.resize(at + 1, Bucket::EMPTY);
        }
        series[at].add(row);
    }

    fn widen(&mut self) {
        self.width_ns *= 2;
        for series in self.signals.values_mut() {
            let half = series.chunks(2).map(|pair| {
                let mut one = pair[0];
                if let Some(two) = pair.get(1) {
                    one.join(two);
                }
                one
            });
            *series = half.collect();
        }
    }

    /// Rows of signals beyond the most that it holds.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Signals that were seen, in id order.
    pub fn signals(&self) -> impl Iterator<Item = SignalId> {
        self.signals.keys().copied()
    }

    /// The stretches of a signal in which it had rows, in order.
    pub fn series(&self, signal: SignalId) -> impl Iterator<Item = &Bucket> {
        self.signals.get(&signal).into_iter().flatten().filter(|b| b.rows > 0)
    }

    /// Width of a stretch, [ns].
    pub const fn width_ns(&self) -> i64 {
        self.width_ns
    }
}

/// What a report is made of, gathered as the run goes, in [`TickSystems::Record`].
#[derive(Resource, Clone, Debug)]
pub struct Sampled {
    /// Every watched signal, coarsely.
    pub sampler: Sampler,
    /// How far from their forecasts readings came.
    pub reliability: Reliability,
    /// The run's events, the first `most_events` of them.
    pub events: Vec<Event>,
    /// Events beyond the most that are kept.
    pub events_left_out: u64,
    most_events: usize,
}

impl Sampled {
    /// Gathers into this sampler, and at most so many events.
    pub fn new(sampler: Sampler, most_events: usize) -> Self {
        Self {
            sampler,
            reliability: Reliability::default(),
            events: Vec::new(),
            events_left_out: 0,
            most_events,
        }
    }

    /// The same, which counts what comes of the forecasts among these signals.
    #[must_use]
    pub fn with_forecasts(mut self, table: &SignalTable) -> Self {
        self.reliability = Reliability::of(table);
        self
    }

    /// Takes in a tick.
    pub fn tick(&mut self, rows: &[Row], events: &[Event]) {
        for row in rows {
            self.sampler.add(row);
            self.reliability.add(row);
        }
        let room = self.most_events - self.events.len().min(self.most_events);
        let taken = events.len().min(room);
        self.events.extend_from_slice(&events[..taken]);
        self.events_left_out += (events.len() - taken) as u64;
    }
}

/// Adds the resource [`Sampled`] and the system that feeds it.
pub fn install(world: &mut World, schedule: &mut Schedule, sampled: Sampled) {
    world.insert_resource(sampled);
    schedule.add_systems(sample_tick.in_set(TickSystems::Record));
}

fn sample_tick(rows: Res<Rows>, events: Res<Events>, mut sampled: ResMut<Sampled>) {
    sampled.tick(&rows.0, &events.0);
}
