//! SHT30, SHT31 and SHT35 (temperature and humidity) on I2C.
//!
//! Source: Sensirion SHT3x-DIS datasheet, version 6 of March 2020: power-up, reset and measurement times §2.2;
//! repeatability tables 1 and 2 (medium and low from memory); commands, status register, checksum and conversion §4; alert limits: Sensirion's
//! application note "SHT3x-DIS Alert Mode", from memory; serial number: its note "SHT3x Electronic Identification Code", from memory and
//! as Adafruit's driver has it.
//!
//! A measurement takes the typical time unless [`Sht31::set_slow`] asks for the longest. An address with a read is
//! not acknowledged while there is nothing to read; after a single shot with clock stretching the clock is held
//! instead. Results are read once. Where the datasheet leaves room: a command that is none, or that periodic mode
//! does not take, is acknowledged and shows in the status' bit 1; it takes those of the heater (§4.5 only recommends to end it
//! before). The heater warms the chip by 3 K within some
//! seconds, as it does in still air (3.3 V, §4.10 "a few degrees"; how many and how soon: own estimate), and takes the
//! relative humidity down with it. The alert limits keep what is written with a right checksum; nothing compares with them
//! and the alert pin is not here.
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
    stimulus::{Noise, Quantity, Stimulus, middle_ns},
};

/// Three standard deviations at high, medium and low repeatability \[°C, %\].
const REPEATABILITY_C: [f64; 3] = [0.04, 0.08, 0.15];
const REPEATABILITY_PCT: [f64; 3] = [0.08, 0.15, 0.21];
/// What the heater makes of the chip's temperature, and how soon.
const HEATED_K: f64 = 3.0;
const HEATING_NS: f64 = 8e9;
/// Alert limits as delivered: 80 % and 60 °C set, 79 % and 58 °C clear, 22 % and −9 °C clear, 20 % and −10 °C set; the upper
/// seven bits of humidity and nine of temperature.
const LIMITS: [u16; 4] = [0xCD33, 0xCB2D, 0x3869, 0x3266];
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
        repeatability: usize,
        stretch: bool,
    },
    Periodic {
        since_ns: u64,
        period_ns: u64,
        repeatability: usize,
        taken: u64,
    },
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Sht31<S> {
    address: u8,
    stimulus: S,
    serial: u32,
    slow: bool,
    state: State,
    status: u16,
    /// How far the heater had warmed it, and when that was.
    warmed: (f64, u64),
    /// Alert limits: high set, high clear, low clear, low set; and which the next word written is for.
    limits: [u16; 4],
    limit_next: Option<usize>,
    word: [u8; 3],
    word_filled: usize,
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
            serial: 0,
            slow: false,
            state: State::Busy { until_ns: MS },
            status: ALERT_PENDING | RESET_SEEN,
            warmed: (0.0, 0),
            limits: LIMITS,
            limit_next: None,
            word: [0; 3],
            word_filled: 0,
            half: None,
            answer: [0; 6],
            length: 0,
            given: 0,
        }
    }

    /// Gives it a serial number.
    pub fn with_serial(mut self, serial: u32) -> Self {
        self.serial = serial;
        self
    }

    /// Lets measurements take the longest time that the datasheet allows, instead of the typical one.
    pub fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    fn reset(&mut self, at_ns: u64) {
        self.state = State::Busy { until_ns: at_ns + 1500 * US };
        self.heat(at_ns, 0);
        self.status = ALERT_PENDING | RESET_SEEN;
        (self.limits, self.limit_next, self.word_filled) = (LIMITS, None, 0);
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

    fn measure(&mut self, since_ns: u64, until_ns: u64, repeatability: usize) {
        let at_ns = middle_ns(since_ns, until_ns);
        // The catalog states the noise of high repeatability.
        let noise = |table: [f64; 3]| Noise::white(table[repeatability] / table[0]);
        let (for_c, for_pct) = (noise(REPEATABILITY_C), noise(REPEATABILITY_PCT));
        let (around_c, rise) =
            (self.stimulus.value_in(Quantity::TemperatureC, at_ns, for_c), self.rise_k(at_ns));
        let humidity = self.stimulus.value_in(Quantity::HumidityPct, at_ns, for_pct);
        let t = raw((around_c + rise + 45.0) / 175.0);
        // The same vapour at the chip's temperature (Magnus).
        let pressure = |c: f64| (17.62 * c / (243.12 + c)).exp();
        let drier = if rise > 0.0 { pressure(around_c) / pressure(around_c + rise) } else { 1.0 };
        let h = raw(humidity * drier / 100.0);
        self.answer_words(&[t, h]);
    }

    /// How far the heater has the chip above its surroundings \[K\].
    fn rise_k(&self, at_ns: u64) -> f64 {
        let (from, since_ns) = self.warmed;
        let to = if self.status & HEATER != 0 { HEATED_K } else { 0.0 };
        to + (from - to) * (-(at_ns.saturating_sub(since_ns) as f64) / HEATING_NS).exp()
    }

    /// Turns the heater on (its bit) or off (0).
    fn heat(&mut self, at_ns: u64, heater: u16) {
        self.warmed = (self.rise_k(at_ns), at_ns);
        self.status = self.status & !HEATER | heater;
    }

    /// One word or two, each with its checksum, up for reading.
    fn answer_words(&mut self, words: &[u16]) {
        for (to, word) in self.answer.chunks_exact_mut(3).zip(words) {
            let [a, b] = word.to_be_bytes();
            to.copy_from_slice(&[a, b, crc::sensirion([a, b])]);
        }
        (self.length, self.given) = (3 * words.len(), 0);
    }

    fn single(&mut self, at_ns: u64, repeatability: usize, stretch: bool) {
        let until_ns = at_ns + self.takes_ns(repeatability);
        self.state = State::Single { since_ns: at_ns, until_ns, repeatability, stretch };
    }

    fn periodic(&mut self, at_ns: u64, repeatability: usize, period_ns: u64) {
        self.state = State::Periodic { since_ns: at_ns, period_ns, repeatability, taken: 0 };
    }

    /// Puts the newest result of periodic mode up for reading, if it has not been read.
    fn fetch(&mut self, at_ns: u64) {
        let State::Periodic { since_ns, period_ns, repeatability, taken } = self.state else { return };
        let takes_ns = self.takes_ns(repeatability);
        if let Some(into_ns) = at_ns.checked_sub(since_ns + takes_ns) {
            let index = into_ns / period_ns;
            if index >= taken {
                let begun_ns = since_ns + index * period_ns;
                self.measure(begun_ns, begun_ns + takes_ns, repeatability);
                self.state = State::Periodic { since_ns, period_ns, repeatability, taken: index + 1 };
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
                self.answer_words(&[self.status]);
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
            (0xE11F | 0xE114 | 0xE109 | 0xE102, _) => {
                self.answer_words(&[self.limits[limit(command & 0xFF)]]);
                true
            }
            (0x611D | 0x6116 | 0x610B | 0x6100, _) => {
                (self.limit_next, self.word_filled) = (Some(limit(command & 0xFF)), 0);
                true
            }
            (0x306D, _) => {
                self.heat(at_ns, HEATER);
                true
            }
            (0x3066, _) => {
                self.heat(at_ns, 0);
                true
            }
            (_, State::Periodic { .. }) => false,
            // With clock stretching and without; nothing has to be waited for.
            (0x3780 | 0x3682, _) => {
                self.answer_words(&[(self.serial >> 16) as u16, self.serial as u16]);
                true
            }
            _ => self.start_measuring(at_ns, command),
        };
        self.status = if done { self.status & !NOT_PROCESSED } else { self.status | NOT_PROCESSED };
    }

    /// A byte of an alert limit: two of the word, and its checksum, without which it is not taken.
    fn write_limit(&mut self, limit: usize, byte: u8) -> bool {
        self.word[self.word_filled] = byte;
        self.word_filled += 1;
        if self.word_filled < self.word.len() {
            return true;
        }
        let [a, b, check] = self.word;
        self.limit_next = None;
        let right = check == crc::sensirion([a, b]);
        if right {
            self.limits[limit] = u16::from_be_bytes([a, b]);
        }
        // Bit 0: the checksum of the last write failed.
        self.status = if right { self.status & !1 } else { self.status | 1 };
        right
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

/// Which limit the low byte of a command is for.
fn limit(low: u16) -> usize {
    match low {
        0x1F | 0x1D => 0,
        0x14 | 0x16 => 1,
        0x09 | 0x0B => 2,
        _ => 3,
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
        (self.half, self.limit_next) = (None, None);
        if matches!(self.state, State::Busy { .. }) {
            return Reply::Nack;
        }
        if direction == Direction::Write {
            return Reply::Ack;
        }
        if let State::Single { since_ns, until_ns, repeatability, stretch } = self.state
            && self.length == 0
            && (stretch || until_ns <= at_ns)
        {
            self.measure(since_ns, until_ns, repeatability);
            self.state = State::Idle;
            return if until_ns <= at_ns { Reply::Ack } else { Reply::Stretch { until_ns } };
        }
        if self.length > 0 { Reply::Ack } else { Reply::Nack }
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        if let Some(limit) = self.limit_next {
            return self.write_limit(limit, byte);
        }
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
