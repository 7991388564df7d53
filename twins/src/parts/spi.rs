//! One part behind a chip select on an SPI bus, mode 0, most significant bit first.
//!
//! [`SpiWire`] is the wiring; drivers take [`SpiWire::device`] (1.0's `SpiDevice`), or bus and chip select as two
//! things: [`SpiWire::bus`] and [`SpiWire::chip_select`].
//!
//! ```
//! use embedded_hal::spi::SpiDevice;
//! use twinfleet_twins::parts::{clock::Clock, mcp3008::Mcp3008, spi::SpiWire, stimulus::Quantity};
//!
//! let wire = SpiWire::new(Mcp3008::new(5.0, |_: Quantity, _| 2.5), Clock::new(), 1_000_000);
//! let mut bytes = [0x01, 0x80, 0x00];
//! wire.device().transfer_in_place(&mut bytes)?;
//! assert_eq!(bytes[1..], [0x02, 0x00]); // 512 of 1024
//! # Ok::<(), std::convert::Infallible>(())
//! ```

use super::clock::Clock;
use embedded_hal::{
    digital::{self, OutputPin},
    spi::{ErrorType, Operation, SpiBus, SpiDevice},
};
use std::{cell::RefCell, convert::Infallible};

/// A part on an SPI bus, a byte at a time. Times are those of the byte's end \[ns\].
pub trait SpiPart: Send {
    /// Chip select goes low.
    fn select(&mut self, at_ns: u64);

    /// Eight clocks: a byte in and one out.
    fn exchange(&mut self, at_ns: u64, byte: u8) -> u8;

    /// Chip select goes high.
    fn deselect(&mut self, at_ns: u64);
}

struct State<P> {
    part: P,
    selected: bool,
}

/// The wires between a controller and one part.
pub struct SpiWire<P> {
    state: RefCell<State<P>>,
    clock: Clock,
    byte_ns: u64,
}

impl<P: SpiPart> SpiWire<P> {
    /// Wires a part; the bus runs at `clock_hz`.
    pub fn new(part: P, clock: Clock, clock_hz: u32) -> Self {
        let byte_ns = 8 * 1_000_000_000_u64.div_ceil(u64::from(clock_hz.max(1)));
        Self { state: RefCell::new(State { part, selected: false }), clock, byte_ns }
    }

    /// The part with the bus to it as one thing.
    pub fn device(&self) -> Device<'_, P> {
        Device(self)
    }

    /// The bus alone: without chip select the part hears nothing, and the controller reads an idle line.
    pub fn bus(&self) -> Bus<'_, P> {
        Bus(self)
    }

    /// The chip select line alone.
    pub fn chip_select(&self) -> ChipSelect<'_, P> {
        ChipSelect(self)
    }

    fn select(&self, low: bool) {
        let (at_ns, mut state) = (self.clock.now_ns(), self.state.borrow_mut());
        match (low, state.selected) {
            (true, false) => state.part.select(at_ns),
            (false, true) => state.part.deselect(at_ns),
            _ => {}
        }
        state.selected = low;
    }

    fn exchange(&self, byte: u8) -> u8 {
        self.clock.advance_ns(self.byte_ns);
        let mut state = self.state.borrow_mut();
        if state.selected { state.part.exchange(self.clock.now_ns(), byte) } else { 0xFF }
    }
}

/// See [`SpiWire::device`].
pub struct Device<'a, P>(&'a SpiWire<P>);
/// See [`SpiWire::bus`].
pub struct Bus<'a, P>(&'a SpiWire<P>);
/// See [`SpiWire::chip_select`].
pub struct ChipSelect<'a, P>(&'a SpiWire<P>);

impl<P> ErrorType for Device<'_, P> {
    type Error = Infallible;
}
impl<P> ErrorType for Bus<'_, P> {
    type Error = Infallible;
}
impl<P> digital::ErrorType for ChipSelect<'_, P> {
    type Error = Infallible;
}

impl<P: SpiPart> SpiBus for Bus<'_, P> {
    fn read(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        words.iter_mut().for_each(|w| *w = self.0.exchange(0));
        Ok(())
    }
    fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        words.iter().for_each(|&w| {
            self.0.exchange(w);
        });
        Ok(())
    }
    fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Infallible> {
        for i in 0..read.len().max(write.len()) {
            let got = self.0.exchange(write.get(i).copied().unwrap_or(0));
            if let Some(slot) = read.get_mut(i) {
                *slot = got;
            }
        }
        Ok(())
    }
    fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        words.iter_mut().for_each(|w| *w = self.0.exchange(*w));
        Ok(())
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<P: SpiPart> SpiDevice for Device<'_, P> {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        let mut bus = Bus(self.0);
        self.0.select(true);
        for operation in operations {
            match operation {
                Operation::Read(words) => bus.read(words)?,
                Operation::Write(words) => bus.write(words)?,
                Operation::Transfer(read, write) => bus.transfer(read, write)?,
                Operation::TransferInPlace(words) => bus.transfer_in_place(words)?,
                Operation::DelayNs(ns) => self.0.clock.advance_ns(u64::from(*ns)),
            }
        }
        self.0.select(false);
        Ok(())
    }
}

impl<P: SpiPart> OutputPin for ChipSelect<'_, P> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.select(true);
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.select(false);
        Ok(())
    }
}
