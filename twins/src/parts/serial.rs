//! A part on a UART: bytes in and out, each at its time.
//!
//! ```
//! use twinfleet_twins::parts::{clock::Clock, neo6m::Neo6m, serial::Uart, stimulus::Quantity};
//!
//! let clock = Clock::new();
//! let mut uart = Uart::new(Neo6m::new(1_700_000_000, |_: Quantity, _| 0.0), clock.clone());
//! clock.advance_ns(1_500_000_000);
//! let line: Vec<u8> = std::iter::from_fn(|| uart.read_byte()).take_while(|&b| b != b'\r').collect();
//! assert_eq!(line, b"$GPRMC,,V,,,,,,,,,,N*53");
//! ```

use super::clock::Clock;

/// A part that speaks by UART, 8 data bits, no parity, one stop bit.
pub trait SerialPart: Send {
    /// Its rate \[bit/s\].
    fn baud(&self) -> u32;

    /// A byte for it has arrived.
    fn receive(&mut self, at_ns: u64, byte: u8);

    /// The next byte whose stop bit is over by now, if there is one. A byte is given once.
    fn send(&mut self, at_ns: u64) -> Option<u8>;

    /// Before when it sends nothing more by itself, after the last time that it was asked for a byte \[ns\]; none where it
    /// cannot tell.
    fn silent_until_ns(&self) -> Option<u64> {
        None
    }
}

impl<P: SerialPart + ?Sized> SerialPart for Box<P> {
    fn baud(&self) -> u32 {
        (**self).baud()
    }
    fn receive(&mut self, at_ns: u64, byte: u8) {
        (**self).receive(at_ns, byte);
    }
    fn send(&mut self, at_ns: u64) -> Option<u8> {
        (**self).send(at_ns)
    }
    fn silent_until_ns(&self) -> Option<u64> {
        (**self).silent_until_ns()
    }
}

/// The controller's end of a serial line.
pub struct Uart<P> {
    /// The part at the other end.
    pub part: P,
    clock: Clock,
}

impl<P: SerialPart> Uart<P> {
    /// Connects a part.
    pub fn new(part: P, clock: Clock) -> Self {
        Self { part, clock }
    }

    /// A byte that has come, or `None`. Does not wait, and takes no time.
    pub fn read_byte(&mut self) -> Option<u8> {
        self.part.send(self.clock.now_ns())
    }

    /// Sends a byte; returns when its stop bit is over.
    pub fn write_byte(&mut self, byte: u8) {
        self.clock.advance_ns(byte_ns(self.part.baud()));
        self.part.receive(self.clock.now_ns(), byte);
    }
}

/// How long a byte takes with its start and stop bits \[ns\].
pub fn byte_ns(baud: u32) -> u64 {
    10_000_000_000_u64.div_ceil(u64::from(baud.max(1)))
}
