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
}

/// A worker's counts, for the leader to look at.
#[derive(Debug, Default)]
pub struct Board([AtomicU64; 7]);

impl Board {
    /// Shows counts.
    pub fn show(&self, c: Counts) {
        let all = [c.up, c.failed, c.sent, c.acknowledged, c.fresh, c.expected, c.finished];
        for (cell, n) in self.0.iter().zip(all) {
            cell.store(n, Relaxed);
        }
    }

    /// Adds what is shown.
    pub fn add_to(&self, sum: &mut Counts) {
        let [up, failed, sent, acknowledged, fresh, expected, finished] =
            [0, 1, 2, 3, 4, 5, 6].map(|i: usize| self.0[i].load(Relaxed));
        sum.up += up;
        sum.failed += failed;
        sum.sent += sent;
        sum.acknowledged += acknowledged;
        sum.fresh += fresh;
        sum.expected += expected;
        sum.finished += finished;
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
