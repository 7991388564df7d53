//! The wall clock of a mirror, which never goes back, and its simulated time beside it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use twinfleet_engine::time::SimTime;

/// By so much the system's clock was set, and is not just read a moment after ours, [ns].
const SET_AHEAD_NS: i64 = 1_000_000_000;

/// Wall time that ascends: read once from the system, then counted on by its steady clock; [`Self::catch_up`] reads it again.
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

    /// Follows the system's clock where that was set ahead since: by the first answer of a time server, on a board without a clock
    /// of its own, or by what passed while the machine slept. By how much, [ns]. It never goes back.
    pub fn catch_up(&mut self) -> Option<i64> {
        let ahead = system_unix_ns().saturating_sub(self.unix_ns());
        if ahead < SET_AHEAD_NS {
            return None;
        }
        self.start_unix_ns = self.start_unix_ns.saturating_add(ahead);
        Some(ahead)
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_NS: i64 = 3_600_000_000_000;

    #[test]
    fn a_system_clock_that_was_set_ahead_is_followed_and_one_set_back_is_not() {
        let mut wall = WallClock::new(0);
        wall.start_unix_ns -= HOUR_NS;
        let by = wall.catch_up().unwrap();
        assert!((HOUR_NS..HOUR_NS + SET_AHEAD_NS).contains(&by), "{by}");
        assert!(system_unix_ns() - wall.unix_ns() < SET_AHEAD_NS);
        assert_eq!(wall.catch_up(), None);
        wall.start_unix_ns += HOUR_NS;
        let before = wall.unix_ns();
        assert_eq!(wall.catch_up(), None);
        assert!(wall.unix_ns() >= before);
    }
}
