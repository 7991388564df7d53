//! PCF8574 on I2C with a character display (HD44780) behind it, as LCD modules of 16 × 2 and 20 × 4 have it.
//!
//! Source: NXP PCF8574 rev. 5 (2013), from memory of it: a write sets its eight pins byte by byte, a read gives their levels (7.1,
//! 8.2); address 0x20–0x27, of the PCF8574A 0x38–0x3F. The modules' wiring: RS, RW, E, backlight, then four data lines.
//!
//! What is written to the display behind it is taken and shown to nobody; its backlight is what is seen of it. A busy flag that is
//! read says that it is ready.
//!
//! ```
//! use embedded_hal::i2c::I2c;
//! use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, pcf8574::Pcf8574};
//!
//! let module = Pcf8574::new(0x27);
//! let glow = module.glow();
//! let mut bus = I2cBus::new(Clock::new(), 100_000);
//! bus.add(module)?;
//! assert_eq!(glow.level(), 1.0, "its pins are high when power comes");
//! bus.write(0x27, &[0x00])?;
//! assert_eq!(glow.level(), 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    i2c::{Direction, I2cPart, Reply},
    ssd1306::Glow,
};

const READ: u8 = 0x02;
const BACKLIGHT: u8 = 0x08;
const BUSY: u8 = 0x80;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Pcf8574 {
    address: u8,
    pins: u8,
    glow: Glow,
}

impl Pcf8574 {
    /// A part when power comes: all its pins are high.
    pub fn new(address: u8) -> Self {
        let glow = Glow::default();
        glow.set(1.0);
        Self { address, pins: 0xFF, glow }
    }

    /// Its backlight, on or off, from now on.
    pub fn glow(&self) -> Glow {
        self.glow.clone()
    }
}

impl I2cPart for Pcf8574 {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, _at_ns: u64, _: Direction) -> Reply {
        Reply::Ack
    }

    fn write(&mut self, _at_ns: u64, byte: u8) -> bool {
        self.pins = byte;
        self.glow.set(f64::from(u8::from(byte & BACKLIGHT != 0)));
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        // While it is asked, the display drives its flag: ready.
        if self.pins & READ != 0 { self.pins & !BUSY } else { self.pins }
    }
}
