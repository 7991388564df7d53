//! ADS1115 (four-channel 16-bit converter) on I2C.
//!
//! Source: Texas Instruments SBAS444D: noise by gain and data rate table 1 (peak to peak, 6.6 standard deviations, at
//! 860 a second; less by the root of the rate, which at ±0.256 V is the table's within a fifth; from memory); registers with gains
//! and data rates §9.6, conversion modes §9.4.2, comparator and conversion-ready pin §9.3.7 and §9.3.8, general call
//! reset §9.5.1.
//!
//! A conversion takes the inverse of the data rate, after 25 µs of waking up in single-shot mode; its value is that
//! of its middle. A new configuration in a running conversion counts from the next one on. After more than 4,096
//! conversions that nobody asked about, the comparator looks at the last ones only.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::ads1115::Ads1115;
//!
//! bus.add(Ads1115::new(0x48, |_: Quantity, _| 1.024))?;
//! bus.write(0x48, &[1, 0xC3, 0x83])?; // input 0 against ground, 4.096 V, once, 128 a second
//! clock.delay_ms(8);
//! let mut word = [0; 2];
//! bus.write_read(0x48, &[0], &mut word)?;
//! assert_eq!(i16::from_be_bytes(word), 8192);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    US,
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Noise, Quantity, Stimulus, middle_ns},
    words::Words,
};

const CONFIG_DEFAULT: u16 = 0x8583;
const OS: u16 = 1 << 15;
const SINGLE: u16 = 1 << 8;
const WINDOW: u16 = 1 << 4;
const ACTIVE_HIGH: u16 = 1 << 3;
const LATCHING: u16 = 1 << 2;
const WAKE_NS: u64 = 25 * US;
const READY_PULSE_NS: u64 = 8 * US;
const REMEMBERED: u64 = 4096;
const RATES: [u64; 8] = [8, 16, 32, 64, 128, 250, 475, 860];
/// Peak-to-peak noise at 860 a second by gain \[µV\].
const NOISE_UV: [f64; 8] = [430.06, 266.93, 118.63, 64.26, 40.04, 35.83, 35.83, 35.83];
/// The configuration that the catalog states the noise of: ±4.096 V, 128 a second.
const STATED: u16 = 1 << 9 | 4 << 5;
const FULL_SCALE_V: [f64; 8] = [6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256];

#[derive(Debug, Clone, Copy)]
struct Conversion {
    since_ns: u64,
    until_ns: u64,
    /// The configuration that it began with.
    config: u16,
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Ads1115<S> {
    address: u8,
    stimulus: S,
    config: u16,
    conversion: i16,
    low: i16,
    high: i16,
    running: Option<Conversion>,
    ended_ns: Option<u64>,
    /// Conversions in a row beyond the threshold, and the comparator's output.
    beyond: u8,
    alert: bool,
    words: Words,
}

impl<S: Stimulus> Ads1115<S> {
    /// A part that gets its supply at time zero, and then waits. ADDR gives 0x48 to 0x4B. It reads
    /// [`Quantity::Volts`] of its inputs 0 to 3.
    pub fn new(address: u8, stimulus: S) -> Self {
        Self {
            address,
            stimulus,
            config: CONFIG_DEFAULT,
            conversion: 0,
            low: i16::MIN,
            high: i16::MAX,
            running: None,
            ended_ns: None,
            beyond: 0,
            alert: false,
            words: Words::default(),
        }
    }

    /// The level of the ALERT/RDY pin with its pull-up.
    pub fn alert_pin(&mut self, at_ns: u64) -> bool {
        self.advance(at_ns);
        let asserted = if self.config & 3 == 3 {
            false
        } else if self.high < 0 && self.low >= 0 {
            // Both most significant bits the other way round make it a conversion-ready pin.
            let single = self.config & SINGLE != 0;
            self.ended_ns
                .is_some_and(|end| if single { self.running.is_none() } else { at_ns < end + READY_PULSE_NS })
        } else {
            self.alert
        };
        asserted == (self.config & ACTIVE_HIGH != 0)
    }

    fn begin(&mut self, at_ns: u64) {
        let wake_ns = if self.config & SINGLE != 0 { WAKE_NS } else { 0 };
        let until_ns = at_ns + wake_ns + period_ns(self.config);
        self.running = Some(Conversion { since_ns: at_ns + wake_ns, until_ns, config: self.config });
    }

    fn advance(&mut self, at_ns: u64) {
        while let Some(run) = self.running
            && run.until_ns <= at_ns
        {
            self.convert(run);
            if self.config & SINGLE != 0 {
                self.running = None;
                return;
            }
            let period_ns = period_ns(self.config);
            let waiting = (at_ns - run.until_ns) / period_ns;
            self.begin(run.until_ns + waiting.saturating_sub(REMEMBERED) * period_ns);
        }
    }

    fn convert(&mut self, run: Conversion) {
        let at_ns = middle_ns(run.since_ns, run.until_ns);
        let differential = run.config >> 12 & 7 < 4;
        // Two inputs' independent noises are one conversion's.
        let times = noise_uv(run.config) / noise_uv(STATED) * if differential { 0.5f64.sqrt() } else { 1.0 };
        let mut input = |i: u8| self.stimulus.value_in(Quantity::Volts(i), at_ns, Noise::white(times));
        let volts = match run.config >> 12 & 7 {
            0 => input(0) - input(1),
            1 => input(0) - input(3),
            2 => input(1) - input(3),
            3 => input(2) - input(3),
            single => input(single as u8 - 4),
        };
        let full_v = FULL_SCALE_V[usize::from(run.config >> 9 & 7)];
        self.conversion = (volts / full_v * 32768.0).round().clamp(-32768.0, 32767.0) as i16;
        self.ended_ns = Some(run.until_ns);
        self.compare();
    }

    fn compare(&mut self) {
        let above = self.conversion > self.high;
        let below = self.conversion < self.low;
        let beyond = above || (self.config & WINDOW != 0 && below);
        self.beyond = if beyond { self.beyond.saturating_add(1) } else { 0 };
        let wanted = [1, 2, 4, u8::MAX][usize::from(self.config & 3)];
        if self.beyond >= wanted {
            self.alert = true;
        } else if self.config & LATCHING == 0 {
            let back = if self.config & WINDOW != 0 { !beyond } else { below };
            self.alert &= !back;
        }
    }

    fn register(&self) -> u16 {
        match self.words.pointer & 3 {
            0 => self.conversion as u16,
            1 if self.config & SINGLE != 0 && self.running.is_none() => self.config | OS,
            1 => self.config & !OS,
            2 => self.low as u16,
            _ => self.high as u16,
        }
    }

    fn set_register(&mut self, at_ns: u64, value: u16) {
        match self.words.pointer & 3 {
            0 => {}
            1 => {
                self.config = value & !OS;
                if self.config & 3 == 3 {
                    (self.alert, self.beyond) = (false, 0);
                }
                let wanted = self.config & SINGLE == 0 || value & OS != 0;
                if wanted && self.running.is_none() {
                    self.begin(at_ns);
                }
            }
            2 => self.low = value as i16,
            _ => self.high = value as i16,
        }
    }
}

/// Noise in a configuration \[µV\], peak to peak.
fn noise_uv(config: u16) -> f64 {
    let rate = RATES[usize::from(config >> 5 & 7)] as f64 / RATES[7] as f64;
    NOISE_UV[usize::from(config >> 9 & 7)] * rate.sqrt()
}

fn period_ns(config: u16) -> u64 {
    1_000_000_000 / RATES[usize::from(config >> 5 & 7)]
}

impl<S: Stimulus> I2cPart for Ads1115<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        let read = direction == Direction::Read;
        let word = read.then(|| self.register());
        self.words.start(word);
        if read && self.words.pointer & 3 == 0 {
            self.alert &= self.config & LATCHING == 0; // reading the result unlatches
        }
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        if let Some(word) = self.words.write(byte) {
            self.set_register(at_ns, word);
        }
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        self.words.read()
    }

    fn general_call(&mut self, _at_ns: u64, byte: u8) -> bool {
        if byte == 0x06 {
            (self.config, self.low, self.high) = (CONFIG_DEFAULT, i16::MIN, i16::MAX);
            (self.running, self.alert, self.beyond) = (None, false, 0);
        }
        byte == 0x06
    }
}
