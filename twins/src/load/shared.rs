//! What the workers and their leader tell each other while a load runs: the clock, the start, the end, and counts.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

/// Time in [ns] since the load generator began; never goes back.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock at zero.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time.
    pub fn now_ns(&self) -> i64 {
        self.0.elapsed().as_nanos() as i64
    }
}

/// Upper ends of the live figures' classes of latency, [ms]; one more class is above them.
pub const LATENCY_ENDS_MS: [u32; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Counts of a worker, or of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are up.
    pub up: u64,
    /// Connections that are given up.
    pub failed: u64,
    /// Messages written.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// First deliveries.
    pub fresh: u64,
    /// Deliveries that the messages written so far should bring.
    pub expected: u64,
    /// Devices that have nothing more to send and nothing in flight.
    pub finished: u64,
    /// Breaches that show in a delivery itself.
    pub breaches: u64,
    /// Strangers and takeovers whose deadline is still to come.
    pub awaited: u64,
    /// The generator's own largest lag, [µs].
    pub lag_us: u64,
    /// Sum of all latencies, [µs].
    pub latency_us: u64,
    /// Deliveries by class of latency.
    pub latency: [u64; LATENCY_ENDS_MS.len() + 1],
}

impl Counts {
    /// Writes the latency of a delivery down.
    pub fn took(&mut self, latency_ns: i64) {
        let us = (latency_ns.max(0) / 1_000) as u64;
        self.latency_us += us;
        let class = LATENCY_ENDS_MS.iter().position(|ms| us <= u64::from(*ms) * 1_000);
        self.latency[class.unwrap_or(LATENCY_ENDS_MS.len())] += 1;
    }

    /// A quantile of the latency as far as the classes tell: the upper end of the class that holds it, [ms]. None: nothing was
    /// delivered; the last class has no end.
    pub fn latency_ms(&self, quantile: f64) -> Option<f64> {
        let all: u64 = self.latency.iter().sum();
        let want = ((all as f64 * quantile).ceil() as u64).max(1);
        let mut below = 0;
        let class = self.latency.iter().position(|n| {
            below += n;
            below >= want
        })?;
        Some(LATENCY_ENDS_MS.get(class).map_or(f64::INFINITY, |ms| f64::from(*ms)))
    }

    /// All that add up; the lag does not.
    fn sums(&mut self) -> impl Iterator<Item = &mut u64> {
        let Self {
            up,
            failed,
            sent,
            acknowledged,
            fresh,
            expected,
            finished,
            breaches,
            awaited,
            latency_us,
            ..
        } = self;
        [up, failed, sent, acknowledged, fresh, expected, finished, breaches, awaited, latency_us]
            .into_iter()
            .chain(&mut self.latency)
    }
}

/// A worker's counts, for the leader to look at: what adds up, and the lag.
#[derive(Debug, Default)]
pub struct Board([AtomicU64; 11 + LATENCY_ENDS_MS.len()], AtomicU64);

impl Board {
    /// Shows counts.
    pub fn show(&self, mut counts: Counts) {
        self.1.store(counts.lag_us, Relaxed);
        for (cell, n) in self.0.iter().zip(counts.sums()) {
            cell.store(*n, Relaxed);
        }
    }

    /// Adds what is shown.
    pub fn add_to(&self, sum: &mut Counts) {
        sum.lag_us = sum.lag_us.max(self.1.load(Relaxed));
        for (cell, n) in self.0.iter().zip(sum.sums()) {
            *n += cell.load(Relaxed);
        }
    }
}

/// What all workers see.
#[derive(Debug)]
pub struct Shared {
    /// Their clock.
    pub clock: Clock,
    /// Start of the first stage by that clock, [ns]; `i64::MAX`: not yet known.
    pub start_ns: AtomicI64,
    /// Set when all is over.
    pub stop: AtomicBool,
    /// Passed twice by each worker and the leader: before a worker makes its connections, and once the leader has seen how
    /// much memory that finds taken.
    pub gate: Barrier,
    /// A board a worker.
    pub boards: Vec<Board>,
}

impl Shared {
    /// For so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            clock: Clock::start(),
            start_ns: AtomicI64::new(i64::MAX),
            stop: AtomicBool::new(false),
            gate: Barrier::new(workers + 1),
            boards: (0..workers).map(|_| Board::default()).collect(),
        }
    }

    /// The sum over all workers.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.boards.iter().for_each(|b| b.add_to(&mut sum));
        sum
    }
}
