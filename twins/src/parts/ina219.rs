//! INA219 (shunt and bus voltage, current, power) on I2C.
//!
//! Source: Texas Instruments SBOS448G: configuration with ranges, conversion times and modes §8.6.2.1, data registers
//! with conversion ready and overflow §8.6.3, calibration and its sums §8.5.1, worked example §9.2.
//!
//! A conversion takes the typical time. A shunt conversion is followed by one of the bus, then by the sums. Where the
//! datasheet leaves room: a value is sampled in the middle of its conversion; with 9 to 11 bits the least 3 to 1 bits
//! are zero; sums round towards zero, and power is that of the current's size.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::ina219::Ina219;
//!
//! let battery = |quantity, _| if quantity == Quantity::ShuntV { 0.01 } else { 12.0 };
//! bus.add(Ina219::new(0x40, battery))?;
//! clock.delay_ms(2);
//! let mut word = [0; 2];
//! bus.write_read(0x40, &[1], &mut word)?;
//! assert_eq!(i16::from_be_bytes(word), 1000); // 10 µV each
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    US,
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Quantity, Stimulus, middle_ns},
    words::Words,
};

const CONFIG_DEFAULT: u16 = 0x399F;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Ina219<S> {
    address: u8,
    stimulus: S,
    config: u16,
    calibration: u16,
    shunt: i16,
    bus: u16,
    current: i16,
    power: u16,
    ready: bool,
    overflow: bool,
    /// When the running conversions began; none in power down and after a triggered one.
    since_ns: Option<u64>,
    words: Words,
}

impl<S: Stimulus> Ina219<S> {
    /// A part that gets its supply at time zero, and then converts continuously. A0 and A1 give 0x40 to 0x4F.
    pub fn new(address: u8, stimulus: S) -> Self {
        Self {
            address,
            stimulus,
            config: CONFIG_DEFAULT,
            calibration: 0,
            shunt: 0,
            bus: 0,
            current: 0,
            power: 0,
            ready: false,
            overflow: false,
            since_ns: Some(0),
            words: Words::default(),
        }
    }

    fn mode(&self) -> u16 {
        self.config & 7
    }

    /// What shunt and bus conversions take \[ns\]; zero where the mode does not convert.
    fn takes_ns(&self) -> [u64; 2] {
        let time = |code: u16| match code & 15 {
            code if code & 8 == 0 => [84, 148, 276, 532][usize::from(code & 3)] * US,
            8 => 532 * US,
            code => [1_060, 2_130, 4_260, 8_510, 17_020, 34_050, 68_100][usize::from(code - 9)] * US,
        };
        let shunt = if self.mode() & 1 != 0 { time(self.config >> 3) } else { 0 };
        let bus = if self.mode() & 2 != 0 { time(self.config >> 7) } else { 0 };
        [shunt, bus]
    }

    fn advance(&mut self, at_ns: u64) {
        let Some(since_ns) = self.since_ns else { return };
        let [shunt_ns, bus_ns] = self.takes_ns();
        let cycle_ns = shunt_ns + bus_ns;
        if cycle_ns == 0 {
            self.since_ns = None;
            return;
        }
        let Some(last) = ((at_ns - since_ns) / cycle_ns).checked_sub(1) else { return };
        let continuous = self.mode() & 4 != 0;
        let begun_ns = since_ns + if continuous { last * cycle_ns } else { 0 };
        self.convert(begun_ns, begun_ns + shunt_ns, begun_ns + cycle_ns);
        self.since_ns = continuous.then_some(begun_ns + cycle_ns);
    }

    fn convert(&mut self, begun_ns: u64, bus_ns: u64, end_ns: u64) {
        let coarse = |code: u16| if code & 8 == 0 { 1 << (3 - (code & 3)) } else { 1 };
        if self.mode() & 1 != 0 {
            let volts = self.stimulus.value(Quantity::ShuntV, middle_ns(begun_ns, bus_ns));
            let limit = 4000 << (self.config >> 11 & 3);
            self.shunt = quantise(volts / 10e-6, coarse(self.config >> 3), -limit, limit) as i16;
        }
        if self.mode() & 2 != 0 {
            let volts = self.stimulus.value(Quantity::Volts(0), middle_ns(bus_ns, end_ns));
            let limit = if self.config & 1 << 13 == 0 { 4000 } else { 8000 };
            self.bus = quantise(volts / 4e-3, coarse(self.config >> 7), 0, limit) as u16;
        }
        let current = i64::from(self.shunt) * i64::from(self.calibration) / 4096;
        let power = current.abs() * i64::from(self.bus) / 5000;
        self.overflow = i16::try_from(current).is_err() || u16::try_from(power).is_err();
        (self.current, self.power) = (current as i16, power as u16);
        self.ready = true;
    }

    fn register(&self, register: u8) -> u16 {
        match register {
            0 => self.config,
            1 => self.shunt as u16,
            2 => self.bus << 3 | u16::from(self.ready) << 1 | u16::from(self.overflow),
            3 => self.power,
            4 => self.current as u16,
            5 => self.calibration,
            _ => 0,
        }
    }

    fn set_register(&mut self, at_ns: u64, register: u8, value: u16) {
        match register {
            0 if value & 0x8000 != 0 => {
                (self.config, self.calibration) = (CONFIG_DEFAULT, 0);
                (self.shunt, self.bus, self.current, self.power) = (0, 0, 0, 0);
                (self.ready, self.overflow) = (false, false);
                self.since_ns = Some(at_ns);
            }
            0 => {
                self.config = value & 0x3FFF;
                // Power down and ADC off leave the flag (§8.6.3.2).
                let converts = self.mode() & 3 != 0;
                self.ready &= !converts;
                self.since_ns = converts.then_some(at_ns);
            }
            5 => self.calibration = value & !1,
            _ => {}
        }
    }
}

/// The nearest multiple of `step` within bounds.
fn quantise(value: f64, step: i32, low: i32, high: i32) -> i32 {
    let steps = (value / f64::from(step)).round() as i32; // saturates
    steps.saturating_mul(step).clamp(low, high)
}

impl<S: Stimulus> I2cPart for Ina219<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        let word = (direction == Direction::Read).then(|| self.register(self.words.pointer));
        self.words.start(word);
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        if let Some(word) = self.words.write(byte) {
            self.set_register(at_ns, self.words.pointer, word);
        }
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        let byte = self.words.read();
        // Reading the power register clears the flag.
        self.ready &= self.words.pointer != 3;
        byte
    }
}
