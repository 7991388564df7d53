//! SSD1306 on I2C: a display of 128 × 64 pixels, or 128 × 32, that is written to.
//!
//! Source: Solomon Systech SSD1306 rev. 1.1 (April 2008), from memory of it: control byte (8.1.5), the three ways of addressing its
//! memory (10.1.3), commands (table 9-1), reset values (8.5).
//!
//! What it shows as a whole is the share of its pixels that are lit, times its contrast; it is dark until it is switched on and its
//! charge pump feeds its panel, since modules on I2C have no other supply for that. Its memory is empty at power on, which the
//! datasheet leaves open. Scrolling, offsets and mirrored directions move pixels and light no others: they are taken and change
//! nothing.
//!
//! ```
//! use embedded_hal::i2c::I2c;
//! use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, ssd1306::Ssd1306};
//!
//! let display = Ssd1306::new(0x3C);
//! let glow = display.glow();
//! let mut bus = I2cBus::new(Clock::new(), 400_000);
//! bus.add(display)?;
//! // Full contrast, charge pump, on, all pixels lit whatever the memory holds.
//! bus.write(0x3C, &[0x00, 0x81, 0xFF, 0x8D, 0x14, 0xAF, 0xA5])?;
//! assert_eq!(glow.level(), 1.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::i2c::{Direction, I2cPart, Reply};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

const COLUMNS: usize = 128;
const PAGES: usize = 8;

/// How bright a display is as a whole, 0–1, for who looks at it from outside.
#[derive(Debug, Clone, Default)]
pub struct Glow(Arc<AtomicU64>);

impl Glow {
    /// Of pixels the share that are lit, times their contrast; of a backlight 0 or 1.
    pub fn level(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, level: f64) {
        self.0.store(level.to_bits(), Ordering::Relaxed);
    }
}

/// What a byte is to the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It says what the next one is, or all that follow.
    Control,
    /// One byte for the memory (true) or a command, then a control byte again.
    One(bool),
    /// The same for all until the stop condition.
    All(bool),
}

/// How its memory is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Horizontal,
    Vertical,
    Page,
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Ssd1306 {
    address: u8,
    glow: Glow,
    memory: Box<[u8; COLUMNS * PAGES]>,
    next: Next,
    /// A command that waits for its arguments, and those it has.
    command: Option<u8>,
    arguments: Vec<u8>,
    mode: Mode,
    /// First and last.
    columns: (u8, u8),
    pages: (u8, u8),
    column: u8,
    page: u8,
    rows: u8,
    contrast: u8,
    on: bool,
    pump: bool,
    all_lit: bool,
    inverse: bool,
}

impl Ssd1306 {
    /// A part after its reset: off. SA0 gives address 0x3C or 0x3D.
    pub fn new(address: u8) -> Self {
        Self {
            address,
            glow: Glow::default(),
            memory: Box::new([0; COLUMNS * PAGES]),
            next: Next::Control,
            command: None,
            arguments: Vec::new(),
            mode: Mode::Page,
            columns: (0, 127),
            pages: (0, 7),
            column: 0,
            page: 0,
            rows: 64,
            contrast: 0x7F,
            on: false,
            pump: false,
            all_lit: false,
            inverse: false,
        }
    }

    /// What is seen of it from outside, from now on.
    pub fn glow(&self) -> Glow {
        self.glow.clone()
    }

    fn take(&mut self, data: bool, byte: u8) {
        if data {
            self.memory[usize::from(self.page) * COLUMNS + usize::from(self.column)] = byte;
            self.advance();
            return;
        }
        let code = match self.command {
            Some(code) => {
                self.arguments.push(byte);
                code
            }
            None => {
                self.arguments.clear();
                byte
            }
        };
        if self.arguments.len() < arguments(code) {
            self.command = Some(code);
            return;
        }
        self.command = None;
        self.obey(code);
    }

    /// On to the next byte of its memory.
    fn advance(&mut self) {
        let next =
            |at: u8, (first, last): (u8, u8), most: u8| if at == last { first } else { (at + 1) & most };
        match self.mode {
            Mode::Page => self.column = (self.column + 1) & 127,
            Mode::Horizontal => {
                let ends = self.column == self.columns.1;
                self.column = next(self.column, self.columns, 127);
                if ends {
                    self.page = next(self.page, self.pages, 7);
                }
            }
            Mode::Vertical => {
                let ends = self.page == self.pages.1;
                self.page = next(self.page, self.pages, 7);
                if ends {
                    self.column = next(self.column, self.columns, 127);
                }
            }
        }
    }

    fn obey(&mut self, code: u8) {
        let argument = |i: usize| self.arguments.get(i).copied().unwrap_or(0);
        match code {
            0x00..=0x0F if self.mode == Mode::Page => self.column = self.column & 0x70 | code,
            0x10..=0x17 if self.mode == Mode::Page => self.column = self.column & 0x0F | (code & 7) << 4,
            0x20 => {
                self.mode = match argument(0) & 3 {
                    0 => Mode::Horizontal,
                    1 => Mode::Vertical,
                    _ => Mode::Page,
                }
            }
            0x21 => {
                self.columns = (argument(0) & 127, argument(1) & 127);
                self.column = self.columns.0;
            }
            0x22 => {
                self.pages = (argument(0) & 7, argument(1) & 7);
                self.page = self.pages.0;
            }
            0x81 => self.contrast = argument(0),
            0x8D => self.pump = argument(0) & 4 != 0,
            0xA4 | 0xA5 => self.all_lit = code & 1 != 0,
            0xA6 | 0xA7 => self.inverse = code & 1 != 0,
            // Fewer than 16 rows there are not.
            0xA8 => self.rows = ((argument(0) & 63) + 1).max(16),
            0xAE | 0xAF => self.on = code & 1 != 0,
            0xB0..=0xB7 => self.page = code & 7,
            _ => {}
        }
    }

    fn level(&self) -> f64 {
        if !self.on || !self.pump {
            return 0.0;
        }
        let rows = usize::from(self.rows);
        let lit = if self.all_lit {
            rows * COLUMNS
        } else {
            let flip = if self.inverse { 0xFF } else { 0 };
            let shown = self.memory.chunks(COLUMNS).enumerate().map(|(page, bytes)| {
                let mask = ((1u16 << rows.saturating_sub(8 * page).min(8)) - 1) as u8;
                bytes.iter().map(|byte| ((byte ^ flip) & mask).count_ones() as usize).sum::<usize>()
            });
            shown.sum()
        };
        lit as f64 / (rows * COLUMNS) as f64 * (f64::from(self.contrast) + 1.0) / 256.0
    }
}

/// How many bytes follow a command.
fn arguments(code: u8) -> usize {
    match code {
        0x20 | 0x81 | 0x8D | 0xA8 | 0xD3 | 0xD5 | 0xD9 | 0xDA | 0xDB => 1,
        0x21 | 0x22 | 0xA3 => 2,
        0x29 | 0x2A => 5,
        0x26 | 0x27 => 6,
        _ => 0,
    }
}

impl I2cPart for Ssd1306 {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, _at_ns: u64, _: Direction) -> Reply {
        self.next = Next::Control;
        Reply::Ack
    }

    fn write(&mut self, _at_ns: u64, byte: u8) -> bool {
        match self.next {
            Next::Control => {
                let data = byte & 0x40 != 0;
                self.next = if byte & 0x80 != 0 { Next::One(data) } else { Next::All(data) };
            }
            Next::One(data) => {
                self.take(data, byte);
                self.next = Next::Control;
            }
            Next::All(data) => self.take(data, byte),
        }
        true
    }

    /// Its status: whether it is off.
    fn read(&mut self, _at_ns: u64) -> u8 {
        if self.on { 0x00 } else { 0x40 }
    }

    fn stop(&mut self, _at_ns: u64) {
        self.glow.set(self.level());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A display that was told this, transfer by transfer.
    fn told(transfers: &[&[u8]]) -> Ssd1306 {
        let mut display = Ssd1306::new(0x3C);
        for bytes in transfers {
            display.start(0, Direction::Write);
            bytes.iter().for_each(|b| assert!(display.write(0, *b)));
            display.stop(0);
        }
        display
    }

    /// On, at full contrast.
    const ON: &[u8] = &[0x00, 0x81, 0xFF, 0x8D, 0x14, 0xAF];

    #[test]
    fn it_is_dark_until_it_is_on_and_fed() {
        let full = vec![0xFF; 1024];
        let frame: Vec<u8> = [vec![0x40], full].concat();
        let horizontal: &[u8] = &[0x00, 0x20, 0x00];
        assert_eq!(told(&[horizontal, &frame]).glow().level(), 0.0);
        assert_eq!(told(&[horizontal, &frame, &[0x00, 0xAF]]).glow().level(), 0.0, "without its pump");
        assert_eq!(told(&[horizontal, &frame, ON]).glow().level(), 1.0);
        assert_eq!(
            told(&[horizontal, &frame, ON, &[0x80, 0x81, 0x80, 0x7F]]).glow().level(),
            0.5,
            "contrast"
        );
        assert_eq!(told(&[horizontal, &frame, ON, &[0x00, 0xA7]]).glow().level(), 0.0, "inverse");
        assert_eq!(told(&[ON, &[0x80, 0xAE]]).read(0) & 0x40, 0x40, "off again");
    }

    #[test]
    fn its_memory_is_filled_in_three_ways() {
        let pixels = |d: &Ssd1306| (d.glow().level() * 8192.0).round();
        // The window of a driver: three columns of two pages.
        let window: &[u8] = &[0x00, 0x20, 0x00, 0x21, 10, 12, 0x22, 3, 4];
        let across = told(&[ON, window, &[0x40, 1, 3, 7, 15, 31, 63]]);
        assert_eq!(across.memory[3 * 128 + 10..][..3], [1, 3, 7]);
        assert_eq!(across.memory[4 * 128 + 10..][..3], [15, 31, 63]);
        assert_eq!((pixels(&across), across.column, across.page), (21.0, 10, 3));
        let down = told(&[ON, window, &[0x00, 0x20, 0x01], &[0x40, 1, 3, 7, 15]]);
        assert_eq!((down.memory[3 * 128 + 11], down.memory[4 * 128 + 11]), (7, 15));
        let page = told(&[ON, &[0x00, 0xB2, 0x05, 0x11], &[0x40, 0xF0, 0x0F]]);
        assert_eq!(page.memory[2 * 128 + 0x15..][..2], [0xF0, 0x0F]);
        // Half as high: what lies below is not seen.
        let low = told(&[ON, &[0x00, 0xA8, 31], &[0x00, 0xB7], &[0x40, 0xFF], &[0x00, 0xB0], &[0x40, 0xFF]]);
        assert_eq!((low.glow().level() * 4096.0).round(), 8.0);
    }
}
