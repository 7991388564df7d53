//! SCD41 (carbon dioxide, temperature and humidity) on I2C, at 0x62.
//!
//! Source: Sensirion SCD4x datasheet, version 1.4: commands and their execution times §3.4 to §3.10, conversion and checksum §3.3 and
//! §3.11, what is possible during periodic measurement table 9; the variant's word, the ambient pressure's reading and the periods of
//! self-calibration: version 1.7, as Adafruit's driver has them.
//!
//! A series measures every 5 s, or every 30 s in low power; a result is that of the end of its interval, is read once, and a newer one
//! takes its place. A command that a running series does not take, that is none, or whose checksum is wrong is not acknowledged, nor
//! is the address while a command runs. Where the datasheet leaves room: a part that is powered down wakes by being addressed, and
//! does not acknowledge that; a result that was not read outlives the end of its series. What its settings of altitude, pressure and
//! calibration do is not here: they keep what is written, and a forced recalibration says that it corrected nothing. The offset of
//! temperature works: with the 4 °C as delivered the part tells the air's.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 100_000);
//! use twinfleet_twins::parts::scd41::Scd41;
//!
//! bus.add(Scd41::new(1, |quantity: Quantity, _| if quantity == Quantity::Co2Ppm { 612.0 } else { 42.5 }))?;
//! clock.delay_ms(30);
//! bus.write(0x62, &[0x21, 0xB1])?; // a series
//! clock.delay_ms(5_000);
//! bus.write(0x62, &[0xEC, 0x05])?;
//! clock.delay_ms(1);
//! let mut nine = [0; 9];
//! bus.read(0x62, &mut nine)?;
//! assert_eq!(u16::from_be_bytes([nine[0], nine[1]]), 612);
//! assert_eq!(nine[3..5], [0x80, 0x00]); // 42.5 °C is the middle of −45 to 130
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    MS, crc,
    eeprom::Eeprom,
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Quantity, Stimulus, middle_ns},
};

const ADDRESS: u8 = 0x62;
const START_NS: u64 = 30 * MS;
/// The offset as delivered, 4 °C, in steps of 175 °C ÷ 65535.
const OFFSET: u16 = 1498;
const C_PER_STEP: f64 = 175.0 / 65535.0;
const VARIANT: u16 = 0x1440;

/// Settings: the command that writes each, the one that reads it, and its word as delivered.
const SETTINGS: [(u16, u16, u16); 7] = [
    (0x241D, 0x2318, OFFSET),
    (0x2427, 0x2322, 0),
    (0x2416, 0x2313, 1),
    (0x243A, 0x233F, 400),
    (0x2445, 0x2340, 44),
    (0x244E, 0x234B, 156),
    (0xE000, 0xE000, 1013),
];
/// Which of them is the ambient pressure, in hPa: the only one that a running series takes.
const PRESSURE: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Idle,
    Series { since_ns: u64, period_ns: u64, taken: u64 },
    Single { since_ns: u64, until_ns: u64, co2: bool },
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Scd41<S> {
    serial: u64,
    stimulus: S,
    state: State,
    busy_until_ns: u64,
    /// Words of the settings, and those in EEPROM.
    set: [u16; 7],
    kept: [u16; 7],
    eeprom: Eeprom,
    /// The last result, until it is read: carbon dioxide, temperature, humidity.
    result: Option<[u16; 3]>,
    command: [u8; 5],
    filled: usize,
    /// What the next read gives, and how much of it is given.
    answer: [u8; 9],
    length: usize,
    given: usize,
}

impl<S: Stimulus> Scd41<S> {
    /// A part with its serial number of 48 bits that gets its supply at time zero. It reads [`Quantity::Co2Ppm`],
    /// temperature and humidity.
    pub fn new(serial: u64, stimulus: S) -> Self {
        let set = SETTINGS.map(|(.., word)| word);
        Self {
            serial,
            stimulus,
            state: State::Idle,
            busy_until_ns: START_NS,
            set,
            kept: set,
            eeprom: Eeprom::default(),
            result: None,
            command: [0; 5],
            filled: 0,
            answer: [0; 9],
            length: 0,
            given: 0,
        }
    }

    /// The same with what it has kept before, and keeps from now on.
    pub fn kept_in(mut self, eeprom: Eeprom) -> Self {
        if let Some(words) = eeprom.words() {
            (self.set, self.kept) = (words, words);
        }
        self.eeprom = eeprom;
        self
    }

    /// Measures what it would have measured by now.
    fn advance(&mut self, at_ns: u64) {
        match self.state {
            State::Series { since_ns, period_ns, taken } => {
                // Of the results that nobody read, only the last is left.
                let ended = at_ns.saturating_sub(since_ns) / period_ns;
                if ended > taken {
                    self.measure(since_ns + ended * period_ns, true);
                    self.state = State::Series { since_ns, period_ns, taken: ended };
                }
            }
            State::Single { since_ns, until_ns, co2 } if until_ns <= at_ns => {
                self.measure(middle_ns(since_ns, until_ns), co2);
                self.state = State::Idle;
            }
            _ => {}
        }
    }

    fn measure(&mut self, at_ns: u64, co2: bool) {
        let around_c = self.stimulus.value(Quantity::TemperatureC, at_ns);
        let around_pct = self.stimulus.value(Quantity::HumidityPct, at_ns);
        let told_c = around_c + (f64::from(OFFSET) - f64::from(self.set[0])) * C_PER_STEP;
        // The same vapour at the temperature that it tells (Magnus).
        let pressure = |c: f64| (17.62 * c / (243.12 + c)).exp();
        let told_pct = if self.set[0] == OFFSET {
            around_pct
        } else {
            around_pct * pressure(around_c) / pressure(told_c)
        };
        let ppm = if co2 { self.stimulus.value(Quantity::Co2Ppm, at_ns) } else { 0.0 };
        let ppm = ppm.round().clamp(0.0, 40_000.0) as u16;
        self.result = Some([ppm, raw((told_c + 45.0) / 175.0), raw(told_pct / 100.0)]);
    }

    /// Words with their checksums up for reading.
    fn give(&mut self, words: &[u16]) {
        for (to, word) in self.answer.chunks_exact_mut(3).zip(words) {
            let [a, b] = word.to_be_bytes();
            to.copy_from_slice(&[a, b, crc::sensirion([a, b])]);
        }
        (self.length, self.given) = (3 * words.len(), 0);
    }

    /// Carries out a command of two bytes. Returns whether it acknowledges.
    fn obey(&mut self, at_ns: u64, command: u16) -> bool {
        self.length = 0;
        let measuring = matches!(self.state, State::Series { .. });
        let series = |period_ms: u64| State::Series { since_ns: at_ns, period_ns: period_ms * MS, taken: 0 };
        let single = |ms: u64, co2: bool| State::Single { since_ns: at_ns, until_ns: at_ns + ms * MS, co2 };
        let reads = SETTINGS.iter().position(|(_, read, _)| *read == command);
        let mut busy_ms = 1;
        match command {
            0xEC05 => {
                if let Some(words) = self.result.take() {
                    self.give(&words);
                }
            }
            // Some of the lowest 11 bits are set where a result waits.
            0xE4B8 => self.give(&[if self.result.is_some() { 0x8006 } else { 0x8000 }]),
            0x3F86 => (self.state, busy_ms) = (State::Idle, 500),
            _ if reads.is_some_and(|k| !measuring || k == PRESSURE) => {
                let word = reads.map_or(0, |k| self.set[k]);
                self.give(&[word]);
            }
            _ if measuring => return false,
            0x21B1 => (self.state, busy_ms) = (series(5_000), 0),
            0x21AC => (self.state, busy_ms) = (series(30_000), 0),
            0x219D => (self.state, busy_ms) = (single(5_000, true), 5_000),
            0x2196 => (self.state, busy_ms) = (single(50, false), 50),
            0x3682 => {
                let [.., a, b, c, d, e, f] = self.serial.to_be_bytes();
                let words = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
                self.give(&words);
            }
            0x202F => self.give(&[VARIANT]),
            0x3639 => {
                self.give(&[0]);
                busy_ms = 10_000;
            }
            0x3615 => {
                self.eeprom.write(self.set);
                (self.kept, busy_ms) = (self.set, 800);
            }
            0x3632 => {
                self.set = SETTINGS.map(|(.., word)| word);
                self.eeprom.write(self.set);
                (self.kept, self.result, busy_ms) = (self.set, None, 1_200);
            }
            0x3646 => (self.set, self.result, busy_ms) = (self.kept, None, 30),
            0x36E0 => self.state = State::Down,
            0x36F6 => {}
            _ => return false,
        }
        self.busy_until_ns = at_ns + busy_ms * MS;
        true
    }

    /// A command with a word. Returns whether it acknowledges.
    fn write_setting(&mut self, at_ns: u64, command: u16, word: u16) -> bool {
        self.length = 0;
        let measuring = matches!(self.state, State::Series { .. });
        match SETTINGS.iter().position(|(write, ..)| *write == command) {
            Some(k) if !measuring || k == PRESSURE => {
                self.set[k] = word;
                self.busy_until_ns = at_ns + MS;
            }
            None if command == 0x362F && !measuring => {
                self.give(&[0x8000]);
                self.busy_until_ns = at_ns + 400 * MS;
            }
            _ => return false,
        }
        true
    }
}

/// A share of the range as a word (§3.5.2: of 2¹⁶ − 1).
fn raw(share: f64) -> u16 {
    (share.clamp(0.0, 1.0) * 65535.0).round() as u16
}

/// Whether a command has a word behind it.
fn takes_word(command: u16) -> bool {
    command == 0x362F || SETTINGS.iter().any(|(write, read, _)| *write == command && write != read)
}

impl<S: Stimulus> I2cPart for Scd41<S> {
    fn address(&self) -> u8 {
        ADDRESS
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        if self.state == State::Down {
            (self.state, self.busy_until_ns) = (State::Idle, at_ns + START_NS);
            return Reply::Nack;
        }
        if at_ns < self.busy_until_ns {
            return Reply::Nack;
        }
        match direction {
            Direction::Write => self.filled = 0,
            Direction::Read if self.length == 0 => return Reply::Nack,
            Direction::Read => {}
        }
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        let Some(slot) = self.command.get_mut(self.filled) else { return false };
        *slot = byte;
        self.filled += 1;
        let [high, low, a, b, check] = self.command;
        let command = u16::from_be_bytes([high, low]);
        match self.filled {
            2 if takes_word(command) => true,
            2 => self.obey(at_ns, command),
            5 => {
                check == crc::sensirion([a, b])
                    && self.write_setting(at_ns, command, u16::from_be_bytes([a, b]))
            }
            _ => true,
        }
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
}
