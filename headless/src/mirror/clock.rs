//! The wall clock of a mirror, which never goes back, and its simulated time beside it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use twinfleet_engine::time::SimTime;

/// Wall time that ascends: read once from the system, then counted on by its steady clock.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    start_unix_ns: i64,
    start: Instant,
    /// Unix time of simulated time zero, [ns].
    epoch_unix_ns: i64,
}

impl WallClock {
    /// A clock whose simulated time begins at `epoch_unix_ms`.
    pub fn new(epoch_unix_ms: i64) -> Self {
        Self {
            start_unix_ns: system_unix_ns(),
            start: Instant::now(),
            epoch_unix_ns: epoch_unix_ms.saturating_mul(1_000_000),
        }
    }

    /// Unix time, [ns].
    pub fn unix_ns(&self) -> i64 {
        self.start_unix_ns.saturating_add(ns(self.start.elapsed()))
    }

    /// Unix time, [ms].
    pub fn unix_ms(&self) -> i64 {
        self.unix_ns() / 1_000_000
    }

    /// A Unix time as simulated time.
    pub fn sim(&self, unix_ns: i64) -> SimTime {
        SimTime(unix_ns.saturating_sub(self.epoch_unix_ns))
    }

    /// A simulated time as Unix time, [ns].
    pub fn unix_of(&self, t: SimTime) -> i64 {
        t.0.saturating_add(self.epoch_unix_ns)
    }

    /// Seconds since the mirror started.
    pub fn up_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

/// What the system's clock says, Unix time, [ns].
pub fn system_unix_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, ns)
}

fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
