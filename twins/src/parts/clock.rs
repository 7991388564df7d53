//! Simulated time as drivers and buses share it: integer nanoseconds, moved by whoever waits or transfers.

use embedded_hal::delay::DelayNs;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A handle to one simulated clock; clones show the same time. Nothing but waiting and transferring moves it.
///
/// ```
/// use embedded_hal::delay::DelayNs;
/// use twinfleet_twins::parts::clock::Clock;
///
/// let (clock, mut delay) = { let c = Clock::new(); (c.clone(), c) };
/// delay.delay_us(3);
/// assert_eq!(clock.now_ns(), 3_000);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// A clock that shows zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time \[ns\].
    pub fn now_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Lets time pass \[ns\].
    pub fn advance_ns(&self, ns: u64) {
        self.0.fetch_add(ns, Ordering::Relaxed);
    }

    /// Lets time pass until an instant; one that is over changes nothing.
    pub fn advance_to_ns(&self, at_ns: u64) {
        self.0.fetch_max(at_ns, Ordering::Relaxed);
    }
}

impl DelayNs for Clock {
    fn delay_ns(&mut self, ns: u32) {
        self.advance_ns(u64::from(ns));
    }
}
