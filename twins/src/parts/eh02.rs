//! `embedded_hal` 0.2 for drivers that still want it: each of its traits in terms of 1.0's.

use super::{
    line::{LinePart, Pin},
    serial::{SerialPart, Uart},
};
use embedded_hal::{delay::DelayNs, digital::OutputPin, i2c::I2c, spi::SpiBus};
use embedded_hal_02::{
    blocking::{
        delay::{DelayMs, DelayUs},
        i2c, spi,
    },
    digital::v2,
    serial,
};
use std::convert::Infallible;

/// A bus, pin, delay or serial line of 1.0 as one of 0.2.
///
/// ```
/// use embedded_hal_02::blocking::delay::DelayMs;
/// use twinfleet_twins::parts::{clock::Clock, eh02::V02};
///
/// let clock = Clock::new();
/// V02(clock.clone()).delay_ms(7_u16);
/// assert_eq!(clock.now_ns(), 7_000_000);
/// ```
#[derive(Debug, Clone)]
pub struct V02<T>(pub T);

impl<T: I2c> i2c::Read for V02<T> {
    type Error = T::Error;
    fn read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), T::Error> {
        self.0.read(address, bytes)
    }
}

impl<T: I2c> i2c::Write for V02<T> {
    type Error = T::Error;
    fn write(&mut self, address: u8, bytes: &[u8]) -> Result<(), T::Error> {
        self.0.write(address, bytes)
    }
}

impl<T: I2c> i2c::WriteRead for V02<T> {
    type Error = T::Error;
    fn write_read(&mut self, address: u8, bytes: &[u8], answer: &mut [u8]) -> Result<(), T::Error> {
        self.0.write_read(address, bytes, answer)
    }
}

impl<T: SpiBus> spi::Transfer<u8> for V02<T> {
    type Error = T::Error;
    fn transfer<'w>(&mut self, words: &'w mut [u8]) -> Result<&'w [u8], T::Error> {
        self.0.transfer_in_place(words)?;
        Ok(words)
    }
}

impl<T: SpiBus> spi::Write<u8> for V02<T> {
    type Error = T::Error;
    fn write(&mut self, words: &[u8]) -> Result<(), T::Error> {
        self.0.write(words)
    }
}

impl<T: OutputPin> v2::OutputPin for V02<T> {
    type Error = T::Error;
    fn set_low(&mut self) -> Result<(), T::Error> {
        self.0.set_low()
    }
    fn set_high(&mut self) -> Result<(), T::Error> {
        self.0.set_high()
    }
}

// 0.2 reads a pin through a shared reference and 1.0 does not, so this is for our own pins only.
impl<P: LinePart> v2::InputPin for V02<Pin<'_, P>> {
    type Error = Infallible;
    fn is_high(&self) -> Result<bool, Infallible> {
        Ok(self.0.level())
    }
    fn is_low(&self) -> Result<bool, Infallible> {
        Ok(!self.0.level())
    }
}

macro_rules! delays {
    ($($unit:ty),+) => {$(
        impl<T: DelayNs> DelayMs<$unit> for V02<T> {
            fn delay_ms(&mut self, ms: $unit) {
                self.0.delay_ms(u32::from(ms));
            }
        }
        impl<T: DelayNs> DelayUs<$unit> for V02<T> {
            fn delay_us(&mut self, us: $unit) {
                self.0.delay_us(u32::from(us));
            }
        }
    )+};
}
delays!(u8, u16, u32);

impl<P: SerialPart> serial::Read<u8> for V02<Uart<P>> {
    type Error = Infallible;
    fn read(&mut self) -> nb::Result<u8, Infallible> {
        self.0.read_byte().ok_or(nb::Error::WouldBlock)
    }
}

impl<P: SerialPart> serial::Write<u8> for V02<Uart<P>> {
    type Error = Infallible;
    fn write(&mut self, byte: u8) -> nb::Result<(), Infallible> {
        self.0.write_byte(byte);
        Ok(())
    }
    fn flush(&mut self) -> nb::Result<(), Infallible> {
        Ok(())
    }
}
