//! Parts that speak by the level of pins and by time: 1-Wire, DHT, HX711.
//!
//! A pin is an open drain with a pull-up where part and controller share a line: the line is low while either pulls it.
//!
//! ```
//! use embedded_hal::digital::{InputPin, OutputPin};
//! use twinfleet_twins::parts::{clock::Clock, hx711::{CLOCK, DATA, Hx711}, line::Wires, stimulus::Quantity};
//!
//! let clock = Clock::new();
//! let wires = Wires::new(Hx711::new(5.0, false, |_: Quantity, _| 0.001), clock.clone(), 200);
//! let (mut sck, mut dout) = (wires.pin(CLOCK), wires.pin(DATA));
//! sck.set_low()?;
//! assert!(dout.is_high()?, "no result yet");
//! clock.advance_ns(400_000_000);
//! assert!(dout.is_low()?);
//! # Ok::<(), std::convert::Infallible>(())
//! ```

use super::clock::Clock;
use embedded_hal::digital::{ErrorType, InputPin, OutputPin, StatefulOutputPin};
use std::{cell::RefCell, convert::Infallible};

/// A part with one or more lines, numbered by the part.
pub trait LinePart: Send {
    /// The controller lets a line go high (or drives it so), or pulls it low.
    fn drive(&mut self, at_ns: u64, line: u8, high: bool);

    /// What the part does to a line: false while it pulls it low.
    fn level(&mut self, at_ns: u64, line: u8) -> bool;

    /// When the line changes next after the last instant that the part was asked about \[ns\], where it does so by itself and
    /// knows. None: not before something happens to it, or it does not tell.
    fn next_edge_ns(&mut self, _line: u8) -> Option<u64> {
        None
    }

    /// The level that a line has where the part is not there: high by its pull-up, low where the part would drive it.
    fn rests_high(&self, _line: u8) -> bool {
        true
    }
}

impl<P: LinePart + ?Sized> LinePart for Box<P> {
    fn drive(&mut self, at_ns: u64, line: u8, high: bool) {
        (**self).drive(at_ns, line, high);
    }
    fn level(&mut self, at_ns: u64, line: u8) -> bool {
        (**self).level(at_ns, line)
    }
    fn next_edge_ns(&mut self, line: u8) -> Option<u64> {
        (**self).next_edge_ns(line)
    }
    fn rests_high(&self, line: u8) -> bool {
        (**self).rests_high(line)
    }
}

/// What a controller's level does to a part that goes by edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// The line falls.
    Fell,
    /// It rises after it was low for so long \[ns\].
    Rose { low_ns: u64 },
}

/// A controller's level on a line, and since when it has been low.
#[derive(Debug)]
pub(super) struct Edges {
    high: bool,
    fell_ns: u64,
}

impl Edges {
    /// A line that its pull-up holds high.
    pub fn idle() -> Self {
        Self { high: true, fell_ns: 0 }
    }

    /// The controller sets the level. None: it was so before.
    pub fn drive(&mut self, at_ns: u64, high: bool) -> Option<Edge> {
        if std::mem::replace(&mut self.high, high) == high {
            return None;
        }
        if high {
            return Some(Edge::Rose { low_ns: at_ns - self.fell_ns });
        }
        self.fell_ns = at_ns;
        Some(Edge::Fell)
    }
}

/// The wires between a controller's pins and one part.
pub struct Wires<P> {
    part: RefCell<P>,
    clock: Clock,
    access_ns: u64,
}

impl<P: LinePart> Wires<P> {
    /// Wires a part. A controller takes `access_ns` to read or set a pin, and that time passes: a driver that polls a
    /// pin without waiting gets on, as it does on hardware (some 100 ns on a microcontroller).
    pub fn new(part: P, clock: Clock, access_ns: u64) -> Self {
        Self { part: RefCell::new(part), clock, access_ns }
    }

    /// The controller's pin on a line of the part; it starts high, as a pull-up leaves it.
    pub fn pin(&self, line: u8) -> Pin<'_, P> {
        Pin { wires: self, line, high: true }
    }

    /// Does something with the part itself.
    pub fn with<T>(&self, f: impl FnOnce(&mut P) -> T) -> T {
        f(&mut self.part.borrow_mut())
    }
}

/// A controller's pin.
pub struct Pin<'a, P> {
    wires: &'a Wires<P>,
    line: u8,
    high: bool,
}

impl<P: LinePart> Pin<'_, P> {
    fn drive(&mut self, high: bool) {
        self.wires.clock.advance_ns(self.wires.access_ns);
        self.high = high;
        self.wires.part.borrow_mut().drive(self.wires.clock.now_ns(), self.line, high);
    }

    /// The level of the line.
    pub fn level(&self) -> bool {
        self.wires.clock.advance_ns(self.wires.access_ns);
        self.high & self.wires.part.borrow_mut().level(self.wires.clock.now_ns(), self.line)
    }
}

impl<P> ErrorType for Pin<'_, P> {
    type Error = Infallible;
}

impl<P: LinePart> OutputPin for Pin<'_, P> {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.drive(false);
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        self.drive(true);
        Ok(())
    }
}

impl<P: LinePart> StatefulOutputPin for Pin<'_, P> {
    fn is_set_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.high)
    }
    fn is_set_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.high)
    }
}

impl<P: LinePart> InputPin for Pin<'_, P> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.level())
    }
    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.level())
    }
}

/// Several parts on one set of lines, each pulling low as it likes.
pub struct Together<P>(pub Vec<P>);

impl<P: LinePart> LinePart for Together<P> {
    fn drive(&mut self, at_ns: u64, line: u8, high: bool) {
        self.0.iter_mut().for_each(|p| p.drive(at_ns, line, high));
    }

    fn level(&mut self, at_ns: u64, line: u8) -> bool {
        // All are asked, so that all catch up.
        self.0.iter_mut().fold(true, |high, p| p.level(at_ns, line) & high)
    }

    fn next_edge_ns(&mut self, line: u8) -> Option<u64> {
        // Where several share a line, one may hide another's edge: whoever looks sees the level as it is.
        self.0.iter_mut().filter_map(|p| p.next_edge_ns(line)).min()
    }
}
