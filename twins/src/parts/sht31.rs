//! SHT30, SHT31 and SHT35 (temperature and humidity) on I2C.
//!
//! Source: Sensirion SHT3x-DIS datasheet, version 6 of March 2020: power-up, reset and measurement times §2.2;
//! commands, status register, checksum and conversion §4.
//!
//! A measurement takes the typical time unless [`Sht31::set_slow`] asks for the longest. An address with a read is
//! not acknowledged while there is nothing to read; after a single shot with clock stretching the clock is held
//! instead. Results are read once. Where the datasheet leaves room: a command that is none, or that periodic mode
//! does not take, is acknowledged and shows in the status' bit 1. The heater changes the status only: what it does to
//! the temperature is the engine's to say. The alert limits and the alert pin are not here.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::sht31::Sht31;
//!
//! bus.add(Sht31::new(0x44, |_: Quantity, _| 42.5))?;
//! clock.delay_ms(1);
//! bus.write(0x44, &[0x24, 0x00])?;
//! let mut six = [0; 6];
//! assert!(bus.read(0x44, &mut six).is_err(), "still measuring");
//! clock.delay_ms(15);
//! bus.read(0x44, &mut six)?;
//! assert_eq!(six[..2], [0x80, 0x00]); // 42.5 °C is the middle of −45 to 130
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    MS, US, crc,
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Quantity, Stimulus, middle_ns},
};

const ALERT_PENDING: u16 = 1 << 15;
const HEATER: u16 = 1 << 13;
const RESET_SEEN: u16 = 1 << 4;
const NOT_PROCESSED: u16 = 1 << 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Powering up, resetting or leaving periodic mode.
    Busy {
        until_ns: u64,
    },
    Idle,
    Single {
        since_ns: u64,
        until_ns: u64,
        stretch: bool,
    },
    Periodic {
        since_ns: u64,
        period_ns: u64,
        takes_ns: u64,
        taken: u64,
    },
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Sht31<S> {
    address: u8,
    stimulus: S,
    slow: bool,
    state: State,
    status: u16,
    /// The first byte of a command.
    half: Option<u8>,
    /// What the next read gives, and how much of it is given.
    answer: [u8; 6],
    length: usize,
    given: usize,
}

impl<S: Stimulus> Sht31<S> {
    /// A part that gets its supply at time zero. ADDR gives address 0x44 or 0x45.
    pub fn new(address: u8, stimulus: S) -> Self {
        Self {
            address,
            stimulus,
            slow: false,
            state: State::Busy { until_ns: MS },
            status: ALERT_PENDING | RESET_SEEN,
            half: None,
            answer: [0; 6],
            length: 0,
            given: 0,
        }
    }

    /// Lets measurements take the longest time that the datasheet allows, instead of the typical one.
    pub fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    fn reset(&mut self, at_ns: u64) {
        self.state = State::Busy { until_ns: at_ns + 1500 * US };
        self.status = ALERT_PENDING | RESET_SEEN;
        self.length = 0;
    }

    fn advance(&mut self, at_ns: u64) {
        if let State::Busy { until_ns } = self.state
            && until_ns <= at_ns
        {
            self.state = State::Idle;
        }
    }

    /// How long a measurement takes by its repeatability: 0 high, 1 medium, 2 low.
    fn takes_ns(&self, repeatability: usize) -> u64 {
        let longest_us = [15_000, 6_000, 4_000];
        let typical_us = [12_500, 4_500, 2_500];
        US * if self.slow { longest_us[repeatability] } else { typical_us[repeatability] }
    }

    fn measure(&mut self, since_ns: u64, until_ns: u64) {
        let at_ns = middle_ns(since_ns, until_ns);
        let t = raw((self.stimulus.value(Quantity::TemperatureC, at_ns) + 45.0) / 175.0);
        let h = raw(self.stimulus.value(Quantity::HumidityPct, at_ns) / 100.0);
        let [t0, t1] = t.to_be_bytes();
        let [h0, h1] = h.to_be_bytes();
        self.answer = [t0, t1, crc::sensirion([t0, t1]), h0, h1, crc::sensirion([h0, h1])];
        (self.length, self.given) = (6, 0);
    }

    fn single(&mut self, at_ns: u64, repeatability: usize, stretch: bool) {
        let until_ns = at_ns + self.takes_ns(repeatability);
        self.state = State::Single { since_ns: at_ns, until_ns, stretch };
    }

    fn periodic(&mut self, at_ns: u64, repeatability: usize, period_ns: u64) {
        let takes_ns = self.takes_ns(repeatability);
        self.state = State::Periodic { since_ns: at_ns, period_ns, takes_ns, taken: 0 };
    }

    /// Puts the newest result of periodic mode up for reading, if it has not been read.
    fn fetch(&mut self, at_ns: u64) {
        if let State::Periodic { since_ns, period_ns, takes_ns, taken } = self.state
            && at_ns >= since_ns + takes_ns
        {
            let index = (at_ns - since_ns - takes_ns) / period_ns;
            if index >= taken {
                let begun_ns = since_ns + index * period_ns;
                self.measure(begun_ns, begun_ns + takes_ns);
                self.state = State::Periodic { since_ns, period_ns, takes_ns, taken: index + 1 };
            }
        }
    }

    fn command(&mut self, at_ns: u64, command: u16) {
        self.length = 0;
        let done = match (command, self.state) {
            (_, State::Busy { .. }) => false,
            (0x30A2, _) => {
                self.reset(at_ns);
                return;
            }
            (0xF32D, _) => {
                let [a, b] = self.status.to_be_bytes();
                self.answer[..3].copy_from_slice(&[a, b, crc::sensirion([a, b])]);
                (self.length, self.given) = (3, 0);
                true
            }
            (0x3041, _) => {
                self.status &= HEATER;
                true
            }
            (0xE000, State::Periodic { .. }) => {
                self.fetch(at_ns);
                true
            }
            (0x3093, _) => {
                self.state = State::Busy { until_ns: at_ns + MS };
                true
            }
            (0x2B32, _) => {
                self.periodic(at_ns, 0, 250 * MS);
                true
            }
            (_, State::Periodic { .. }) => false,
            (0x306D, _) => {
                self.status |= HEATER;
                true
            }
            (0x3066, _) => {
                self.status &= !HEATER;
                true
            }
            _ => self.start_measuring(at_ns, command),
        };
        self.status = if done { self.status & !NOT_PROCESSED } else { self.status | NOT_PROCESSED };
    }

    fn start_measuring(&mut self, at_ns: u64, command: u16) -> bool {
        let [mode, low] = command.to_be_bytes();
        let (lows, period_ms) = match mode {
            0x2C => ([0x06, 0x0D, 0x10], None),
            0x24 => ([0x00, 0x0B, 0x16], None),
            0x20 => ([0x32, 0x24, 0x2F], Some(2000)),
            0x21 => ([0x30, 0x26, 0x2D], Some(1000)),
            0x22 => ([0x36, 0x20, 0x2B], Some(500)),
            0x23 => ([0x34, 0x22, 0x29], Some(250)),
            0x27 => ([0x37, 0x21, 0x2A], Some(100)),
            _ => return false,
        };
        let Some(repeatability) = lows.iter().position(|&l| l == low) else { return false };
        match period_ms {
            Some(ms) => self.periodic(at_ns, repeatability, ms * MS),
            None => self.single(at_ns, repeatability, mode == 0x2C),
        }
        true
    }
}

/// A share of the range as the part's 16-bit word (§4.13: of 2¹⁶ − 1).
fn raw(share: f64) -> u16 {
    (share.clamp(0.0, 1.0) * 65535.0).round() as u16
}

impl<S: Stimulus> I2cPart for Sht31<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        self.half = None;
        if matches!(self.state, State::Busy { .. }) {
            return Reply::Nack;
        }
        if direction == Direction::Write {
            return Reply::Ack;
        }
        if let State::Single { since_ns, until_ns, stretch } = self.state
            && self.length == 0
            && (stretch || until_ns <= at_ns)
        {
            self.measure(since_ns, until_ns);
            self.state = State::Idle;
            return if until_ns <= at_ns { Reply::Ack } else { Reply::Stretch { until_ns } };
        }
        if self.length > 0 { Reply::Ack } else { Reply::Nack }
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        match self.half.take() {
            None => self.half = Some(byte),
            Some(high) => self.command(at_ns, u16::from_be_bytes([high, byte])),
        }
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        let byte = if self.given < self.length { self.answer[self.given] } else { 0xFF };
        self.given += 1;
        byte
    }

    fn stop(&mut self, _at_ns: u64) {
        if self.given > 0 {
            (self.length, self.given) = (0, 0);
        }
    }

    fn general_call(&mut self, at_ns: u64, byte: u8) -> bool {
        if byte == 0x06 {
            self.reset(at_ns);
        }
        byte == 0x06
    }
}
