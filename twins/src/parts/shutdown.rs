//! A part's shutdown line, such as XSHUT of a VL53L0X: while it is low the part is in reset and answers to no address, and from
//! when it is let go it starts anew, as it was delivered.
//!
//! ```
//! use embedded_hal::{delay::DelayNs, i2c::I2c};
//! use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, shutdown::Shutdown, stimulus::Quantity, vl53l0x::Vl53l0x};
//!
//! let (mut clock, line) = (Clock::new(), Shutdown::default());
//! let mut bus = I2cBus::new(clock.clone(), 400_000);
//! bus.add_beside(Vl53l0x::new(|_: Quantity, _| 456.0).shut_by(line.clone()));
//! line.drive(clock.now_ns(), false);
//! clock.delay_ms(2);
//! assert!(bus.write(0x29, &[0xC0]).is_err(), "in reset");
//! line.drive(clock.now_ns(), true);
//! clock.delay_ms(2);
//! assert!(bus.write(0x29, &[0xC0]).is_ok());
//! ```

use std::sync::{Arc, Mutex, PoisonError};

/// The line, held by the part and by whoever drives it. A pull-up holds it high where nobody does.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct State {
    pub low: bool,
    /// How often it was pulled low, and when it rose last \[ns\].
    pub times: u32,
    pub rose_ns: u64,
}

impl Shutdown {
    /// The controller pulls it low, or lets it go high.
    pub fn drive(&self, at_ns: u64, high: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (state.low, high) {
            (true, true) => (state.low, state.rose_ns) = (false, at_ns),
            (false, false) => (state.low, state.times) = (true, state.times + 1),
            _ => {}
        }
    }

    pub(super) fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
