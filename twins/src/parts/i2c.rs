//! An I2C bus with virtual parts on it: what UM10204 calls a controller with its targets.
//!
//! The bus knows bytes, acknowledges and their time, and no part's registers. One controller, 7-bit addresses.
//!
//! ```
//! use embedded_hal::i2c::I2c;
//! use twinfleet_twins::parts::{bh1750::Bh1750, clock::Clock, i2c::{I2cBus, I2cPart}, stimulus::Quantity};
//!
//! let clock = Clock::new();
//! let mut bus: I2cBus<Box<dyn I2cPart>> = I2cBus::new(clock.clone(), 100_000);
//! bus.add(Box::new(Bh1750::new(0x23, |_: Quantity, _| 250.0)))?;
//! bus.write(0x23, &[0x01])?;
//! assert_eq!(clock.now_ns(), (10 + 9 + 1) * 10_000, "start, address and acknowledge; a byte; stop");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::clock::Clock;
use embedded_hal::i2c::{self, ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

/// Whether the controller will write or read after a start condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Controller to part.
    Write,
    /// Part to controller.
    Read,
}

/// How a part answers its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// It is there and goes on.
    Ack,
    /// It does not answer: powered down, starting, or busy.
    Nack,
    /// It answers, and holds the clock line until it can go on.
    Stretch {
        /// When it lets go \[ns\].
        until_ns: u64,
    },
}

impl Reply {
    /// What the controller sees of two parts that answer at once: either acknowledges, either holds the clock.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nack, one) | (one, Self::Nack) => one,
            (Self::Stretch { until_ns: a }, Self::Stretch { until_ns: b }) => {
                Self::Stretch { until_ns: a.max(b) }
            }
            (Self::Stretch { until_ns }, _) | (_, Self::Stretch { until_ns }) => Self::Stretch { until_ns },
            _ => Self::Ack,
        }
    }
}

/// A part on an I2C bus, a byte at a time. Times are those of the byte's end \[ns\] and never go back.
pub trait I2cPart: Send {
    /// The 7-bit address that its pins give it.
    fn address(&self) -> u8;

    /// A start or repeated start condition with this part's address.
    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply;

    /// A byte for it. Returns whether it acknowledges.
    fn write(&mut self, at_ns: u64, byte: u8) -> bool;

    /// A byte from it.
    fn read(&mut self, at_ns: u64) -> u8;

    /// A stop condition.
    fn stop(&mut self, _at_ns: u64) {}

    /// A byte after the general call address, which all parts hear. Returns whether it acknowledges.
    fn general_call(&mut self, _at_ns: u64, _byte: u8) -> bool {
        false
    }
}

impl<P: I2cPart + ?Sized> I2cPart for Box<P> {
    fn address(&self) -> u8 {
        (**self).address()
    }
    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        (**self).start(at_ns, direction)
    }
    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        (**self).write(at_ns, byte)
    }
    fn read(&mut self, at_ns: u64) -> u8 {
        (**self).read(at_ns)
    }
    fn stop(&mut self, at_ns: u64) {
        (**self).stop(at_ns);
    }
    fn general_call(&mut self, at_ns: u64, byte: u8) -> bool {
        (**self).general_call(at_ns, byte)
    }
}

/// What can go wrong in a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum I2cError {
    /// Nobody has this address, or its part does not answer now.
    #[error("nobody acknowledges address {0:#04x}")]
    NoAddress(u8),
    /// The part refuses a byte.
    #[error("the part at {0:#04x} refuses a byte")]
    NoData(u8),
    /// The part holds the clock line for longer than the controller waits.
    #[error("the part at {0:#04x} holds the clock line for too long")]
    StretchTooLong(u8),
}

impl i2c::Error for I2cError {
    fn kind(&self) -> ErrorKind {
        match self {
            I2cError::NoAddress(_) => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address),
            I2cError::NoData(_) => ErrorKind::NoAcknowledge(NoAcknowledgeSource::Data),
            I2cError::StretchTooLong(_) => ErrorKind::Bus,
        }
    }
}

/// Two parts cannot share an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "address {0:#04x} is taken: wire the address pin of one of the two parts differently, or use a second bus"
)]
pub struct AddressTaken(pub u8);

fn bit_ns(clock_hz: u32) -> u64 {
    1_000_000_000_u64.div_ceil(u64::from(clock_hz.max(1)))
}

/// One bus with its parts: all of a kind, or boxed ones of any kind.
pub struct I2cBus<P = Box<dyn I2cPart>> {
    parts: Vec<P>,
    clock: Clock,
    bit_ns: u64,
    stretch_max_ns: u64,
}

impl<P: I2cPart> I2cBus<P> {
    /// A bus without parts at a clock rate of `clock_hz` (100 kHz and 400 kHz are usual). A clock held low for more
    /// than 25 ms, SMBus's time-out, is an error; see [`I2cBus::set_stretch_max_ns`].
    pub fn new(clock: Clock, clock_hz: u32) -> Self {
        Self { parts: Vec::new(), clock, bit_ns: bit_ns(clock_hz), stretch_max_ns: 25_000_000 }
    }

    /// From the next transaction on the controller clocks it so fast.
    pub fn set_clock_hz(&mut self, clock_hz: u32) {
        self.bit_ns = bit_ns(clock_hz);
    }

    /// How long the controller waits for a part that holds the clock line \[ns\].
    pub fn set_stretch_max_ns(&mut self, ns: u64) {
        self.stretch_max_ns = ns;
    }

    /// Wires a part.
    ///
    /// # Errors
    /// Another part has its address.
    pub fn add(&mut self, part: P) -> Result<(), AddressTaken> {
        let address = part.address();
        if self.parts.iter().any(|p| p.address() == address) {
            return Err(AddressTaken(address));
        }
        self.parts.push(part);
        Ok(())
    }

    /// Wires a part that may have the address of another, such as one of several that a shutdown line holds in reset. Where
    /// both answer, both hear what is written, and a bit that either reads as zero is zero.
    pub fn add_beside(&mut self, part: P) {
        self.parts.push(part);
    }

    /// Those after a part that have its address.
    fn beside(&mut self, part: usize, address: u8) -> impl Iterator<Item = &mut P> {
        self.parts[part + 1..].iter_mut().filter(move |p| p.address() == address)
    }

    /// The part at an address.
    pub fn part(&mut self, address: u8) -> Option<&mut P> {
        self.parts.iter_mut().find(|p| p.address() == address)
    }

    fn bits(&self, count: u64) -> u64 {
        self.clock.advance_ns(count * self.bit_ns);
        self.clock.now_ns()
    }

    fn general_call(&mut self, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        self.bits(10);
        for operation in operations {
            let Operation::Write(bytes) = operation else { return Err(I2cError::NoAddress(0)) };
            for &byte in *bytes {
                let at_ns = self.bits(9);
                // Every part hears it; one acknowledge pulls the line for all.
                let mut heard = false;
                for part in &mut self.parts {
                    heard |= part.general_call(at_ns, byte);
                }
                if !heard {
                    return Err(I2cError::NoData(0));
                }
            }
        }
        Ok(())
    }

    /// Addresses a part, found before; `None` is nobody.
    fn address(&mut self, address: u8, part: Option<usize>, direction: Direction) -> Result<usize, I2cError> {
        let at_ns = self.bits(10); // start condition, address, direction, acknowledge
        let Some(part) = part else { return Err(I2cError::NoAddress(address)) };
        let mut reply = self.parts[part].start(at_ns, direction);
        for other in self.beside(part, address) {
            reply = reply.and(other.start(at_ns, direction));
        }
        match reply {
            Reply::Ack => Ok(part),
            Reply::Nack => Err(I2cError::NoAddress(address)),
            Reply::Stretch { until_ns } if until_ns <= at_ns.saturating_add(self.stretch_max_ns) => {
                self.clock.advance_to_ns(until_ns);
                Ok(part)
            }
            Reply::Stretch { .. } => {
                self.clock.advance_ns(self.stretch_max_ns);
                Err(I2cError::StretchTooLong(address))
            }
        }
    }

    fn transfer(
        &mut self,
        address: u8,
        found: Option<usize>,
        operations: &mut [Operation<'_>],
    ) -> Result<(), I2cError> {
        let mut going = None;
        for operation in operations {
            let direction = match operation {
                Operation::Read(_) => Direction::Read,
                Operation::Write(_) => Direction::Write,
            };
            // Operations of the same kind that follow each other are one transfer, as the trait wants it.
            let part = match going {
                Some((before, part)) if before == direction => part,
                _ => self.address(address, found, direction)?,
            };
            going = Some((direction, part));
            match operation {
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        let at_ns = self.bits(9);
                        *byte = self.parts[part].read(at_ns);
                        for other in self.beside(part, address) {
                            *byte &= other.read(at_ns);
                        }
                    }
                }
                Operation::Write(bytes) => {
                    for &byte in *bytes {
                        let at_ns = self.bits(9);
                        let mut heard = self.parts[part].write(at_ns, byte);
                        for other in self.beside(part, address) {
                            heard |= other.write(at_ns, byte);
                        }
                        if !heard {
                            return Err(I2cError::NoData(address));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl<P> ErrorType for I2cBus<P> {
    type Error = I2cError;
}

impl<P: I2cPart> I2c for I2cBus<P> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), I2cError> {
        if address == 0 {
            let done = self.general_call(operations);
            self.bits(1);
            return done;
        }
        let part = self.parts.iter().position(|p| p.address() == address);
        let done = self.transfer(address, part, operations);
        let at_ns = self.bits(1);
        if let Some(part) = part {
            // A part may take another address now.
            self.beside(part, address).for_each(|other| other.stop(at_ns));
            self.parts[part].stop(at_ns);
        }
        done
    }
}
