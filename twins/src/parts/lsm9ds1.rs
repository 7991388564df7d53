//! LSM9DS1 (three axes of acceleration, of rotation and of magnetic field, temperature) on I2C: two chips in one package, each
//! at an address of its own.
//!
//! Source: ST LSM9DS1 datasheet DocID025715 rev. 2 or later, as the published drivers by Adafruit, SparkFun and Arduino have it:
//! sensitivities table 3 and 5, rates and bands of registers 10h and 20h (accelerometer and gyroscope), 20h to 24h (magnetometer).
//! From memory: the bands after the gyroscope's two filters, the rates of a fast magnetometer.
//!
//! A sample is that of its tick, with the noise that the filter's band lets through; what is slower than the band comes whole,
//! and what is beyond the stated range ends there. A rate of the gyroscope is the accelerometer's too. Temperature is 16 counts a
//! degree from 25 °C, right-justified (Adafruit's driver 2.1 shifts four bits of it away). Where the datasheet leaves room: a part
//! answers as soon as it has its supply, resets are over at once, any byte of a result that is read takes its flag, and a single
//! shot of the magnetometer takes as long as one at the fastest rate, reading the last byte of an acceleration takes a slot from the
//! FIFO, and its modes that wait for an interrupt go on as before one. Without a model are interrupts, self-test, high-pass filter
//! and the low-power modes: their registers keep what is written. In the package the two chips' x axes point opposite ways
//! (figure 1): here both tell the board's. MicroPython's driver (of 2023) writes five settings of the magnetometer at once
//! without the bit that lets them go on, so that it stays powered down, as the datasheet has it (5.1.1).
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::lsm9ds1::Inertial;
//!
//! let flat = |quantity, _| if quantity == Quantity::AccelerationG(2) { 1.0 } else { 0.0 };
//! bus.add(Inertial::new(0x6B, flat))?;
//! bus.write(0x6B, &[0x20, 0x60])?; // 119 Hz, ±2 g
//! clock.delay_ms(10);
//! let mut word = [0; 2];
//! bus.write_read(0x6B, &[0x2C], &mut word)?;
//! assert_eq!(i16::from_le_bytes(word), 16393); // 0.061 mg a count
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    burst::{Burst, onwards},
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Noise, Quantity, Stimulus},
};
use std::collections::VecDeque;

const WHO_AM_I: usize = 0x0F;
const CTRL_REG1_G: usize = 0x10;
const CTRL_REG2_G: usize = 0x11;
const OUT_TEMP: usize = 0x15;
const OUT_TEMP_END: usize = 0x16;
const STATUS: usize = 0x17;
const OUT_G: usize = 0x18;
const CTRL_REG4: usize = 0x1E;
const CTRL_REG5_XL: usize = 0x1F;
const CTRL_REG6_XL: usize = 0x20;
const CTRL_REG8: usize = 0x22;
const CTRL_REG9: usize = 0x23;
const STATUS_AGAIN: usize = 0x27;
/// Of accelerometer and magnetometer.
const OUT: usize = 0x28;
const OUT_END: usize = 0x2D;
const FIFO_CTRL: usize = 0x2E;
const FIFO_SRC: usize = 0x2F;
const INERTIAL_REGISTERS: usize = 0x38;

const OFFSET_M: usize = 0x05;
const CTRL_REG1_M: usize = 0x20;
const CTRL_REG2_M: usize = 0x21;
const CTRL_REG3_M: usize = 0x22;
const CTRL_REG4_M: usize = 0x23;
const STATUS_M: usize = 0x27;
const MAGNETIC_REGISTERS: usize = 0x34;

/// Flags of [`STATUS`]: acceleration, rotation, temperature.
const XLDA: u8 = 1;
const GDA: u8 = 1 << 1;
const TDA: u8 = 1 << 2;
const IF_ADD_INC: u8 = 1 << 2;
const SLEEP_G: u8 = 1 << 6;
const FIFO_EN: u8 = 1 << 1;
const FIFO_SLOTS: u64 = 32;
/// Of [`FIFO_SRC`]: as full as is asked for, and a slot was lost.
const FTH: u8 = 1 << 7;
const OVRN: u8 = 1 << 6;
/// All three axes and the three together.
const ZYXDA: u8 = 0x0F;

/// Rates by ODR_G, and by ODR_XL where the gyroscope is off \[Hz\].
const GYRO_HZ: [f64; 8] = [0.0, 14.9, 59.5, 119.0, 238.0, 476.0, 952.0, 0.0];
const ACCEL_HZ: [f64; 8] = [0.0, 10.0, 50.0, 119.0, 238.0, 476.0, 952.0, 0.0];
/// The accelerometer's band by rate, and by BW_XL where that is set instead \[Hz\].
const ACCEL_BANDS: [f64; 8] = [408.0, 408.0, 408.0, 50.0, 105.0, 211.0, 408.0, 408.0];
const ACCEL_BANDS_SET: [f64; 4] = [408.0, 211.0, 105.0, 50.0];
/// The gyroscope's band after its first filter by rate, and after its second by rate and BW_G \[Hz\].
const GYRO_BANDS: [f64; 8] = [5.0, 5.0, 19.0, 38.0, 76.0, 100.0, 100.0, 100.0];
const GYRO_BANDS_SECOND: [[f64; 4]; 8] = [
    [5.0; 4],
    [5.0; 4],
    [16.0; 4],
    [14.0, 31.0, 31.0, 31.0],
    [14.0, 29.0, 63.0, 78.0],
    [21.0, 28.0, 57.0, 100.0],
    [33.0, 40.0, 58.0, 100.0],
    [100.0; 4],
];
/// The bands at which the catalog states noise \[Hz\].
const STATED_ACCEL_HZ: f64 = 408.0;
const STATED_GYRO_HZ: f64 = 100.0;

/// Full scale and step by FS_XL \[g\], by FS_G \[°/s\] (10b is none, and taken for the widest) and by FS of the magnetometer \[gauss\].
const ACCEL_SCALES: [(f64, f64); 4] = [(2.0, 0.061e-3), (16.0, 0.732e-3), (4.0, 0.122e-3), (8.0, 0.244e-3)];
const GYRO_SCALES: [(f64, f64); 4] = [(245.0, 8.75e-3), (500.0, 17.5e-3), (2000.0, 70e-3), (2000.0, 70e-3)];
const MAGNETIC_SCALES: [(f64, f64); 4] = [(4.0, 0.14e-3), (8.0, 0.29e-3), (12.0, 0.43e-3), (16.0, 0.58e-3)];
/// Rates of a fast magnetometer by its operating mode \[Hz\].
const FAST_HZ: [f64; 4] = [1000.0, 560.0, 300.0, 155.0];
const UT_PER_GAUSS: f64 = 100.0;

/// Samples at even times.
#[derive(Debug, Default)]
struct Pace {
    since_ns: u64,
    taken: u64,
}

impl Pace {
    fn restart(&mut self, at_ns: u64) {
        *self = Self { since_ns: at_ns, taken: 0 };
    }

    /// When the newest of the samples was that have come since the last call \[ns\]: none, where there is none.
    fn newest(&mut self, at_ns: u64, period_ns: u64) -> Option<u64> {
        let due = at_ns.saturating_sub(self.since_ns) / period_ns;
        if due <= self.taken {
            return None;
        }
        self.taken = due;
        Some(self.since_ns + due * period_ns)
    }
}

/// A value as a count of steps, in the order of bytes that is asked for.
fn word(value: f64, (full, step): (f64, f64), high_first: bool) -> [u8; 2] {
    let counts = (value.clamp(-full, full) / step).round().clamp(-32768.0, 32767.0) as i16;
    if high_first { counts.to_be_bytes() } else { counts.to_le_bytes() }
}

fn period_ns(hz: f64) -> Option<u64> {
    (hz > 0.0).then(|| (1e9 / hz).round() as u64)
}

/// What the FIFO does with a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fifo {
    /// It is off.
    Bypassed,
    /// It keeps the first, until it is read.
    Stops,
    /// It keeps the last.
    Goes,
}

/// Accelerometer, gyroscope and thermometer. See the module's text for its sources.
#[derive(Debug)]
pub struct Inertial<S> {
    address: u8,
    stimulus: S,
    registers: [u8; INERTIAL_REGISTERS],
    pace: Pace,
    burst: Burst,
    /// Samples, each of rotation and acceleration, the oldest first; and whether one was lost.
    fifo: VecDeque<[u8; 12]>,
    overrun: bool,
}

impl<S: Stimulus> Inertial<S> {
    /// A part that gets its supply at time zero, powered down. SDO_A/G gives address 0x6A or 0x6B. It reads
    /// [`Quantity::AccelerationG`], [`Quantity::RateDps`] and temperature.
    pub fn new(address: u8, stimulus: S) -> Self {
        let mut part = Self {
            address,
            stimulus,
            registers: [0; INERTIAL_REGISTERS],
            pace: Pace::default(),
            burst: Burst::default(),
            fifo: VecDeque::with_capacity(FIFO_SLOTS as usize),
            overrun: false,
        };
        part.reset(0);
        part
    }

    fn reset(&mut self, at_ns: u64) {
        self.registers = [0; INERTIAL_REGISTERS];
        self.registers[WHO_AM_I] = 0x68;
        self.registers[CTRL_REG4] = 0x38;
        self.registers[CTRL_REG5_XL] = 0x38;
        self.registers[CTRL_REG8] = IF_ADD_INC;
        self.empty();
        self.pace.restart(at_ns);
    }

    /// The code of the rate at which it samples, and whether the gyroscope does.
    fn rate(&self) -> (usize, bool) {
        let gyro = usize::from(self.registers[CTRL_REG1_G] >> 5);
        let turning = GYRO_HZ[gyro] > 0.0;
        (if turning { gyro } else { usize::from(self.registers[CTRL_REG6_XL] >> 5) }, turning)
    }

    /// Time between samples \[ns\]. None: it is powered down.
    fn period_ns(&self) -> Option<u64> {
        let (code, turning) = self.rate();
        period_ns(if turning { GYRO_HZ[code] } else { ACCEL_HZ[code] })
    }

    fn fifo(&self) -> Fifo {
        match self.registers[FIFO_CTRL] >> 5 {
            _ if self.registers[CTRL_REG9] & FIFO_EN == 0 => Fifo::Bypassed,
            1 => Fifo::Stops,
            3 | 6 => Fifo::Goes,
            _ => Fifo::Bypassed,
        }
    }

    fn empty(&mut self) {
        self.fifo.clear();
        self.overrun = false;
    }

    fn advance(&mut self, at_ns: u64) {
        let Some(period_ns) = self.period_ns() else { return };
        let before = self.pace.taken;
        let Some(newest_ns) = self.pace.newest(at_ns, period_ns) else { return };
        let due = self.pace.taken - before;
        // Samples that nobody can read any more are only counted.
        let (first, last) = match self.fifo() {
            Fifo::Bypassed => (0, 1),
            Fifo::Stops => ((FIFO_SLOTS - self.fifo.len() as u64).min(due - 1), 1),
            Fifo::Goes => (0, due.min(FIFO_SLOTS + 1)),
        };
        for k in (1..=first).chain(due - last + 1..=due) {
            self.sample(newest_ns - (due - k) * period_ns);
            self.keep();
        }
    }

    fn sample(&mut self, tick_ns: u64) {
        let (code, turning) = self.rate();
        let [gyro_set, out_select, accel_set] =
            [CTRL_REG1_G, CTRL_REG2_G, CTRL_REG6_XL].map(|register| self.registers[register]);
        let high_first = self.registers[CTRL_REG8] & 1 << 1 != 0;
        let accel_hz = if accel_set & 1 << 2 != 0 {
            ACCEL_BANDS_SET[usize::from(accel_set & 3)]
        } else {
            ACCEL_BANDS[code]
        };
        let scale = ACCEL_SCALES[usize::from(accel_set >> 3 & 3)];
        let noise = Noise::in_band(accel_hz, STATED_ACCEL_HZ);
        let on = self.registers[CTRL_REG5_XL];
        for axis in (0..3_u8).filter(|&axis| on & 0x08 << axis != 0) {
            let g = self.stimulus.value_in(Quantity::AccelerationG(axis), tick_ns, noise);
            self.put(OUT + 2 * usize::from(axis), word(g, scale, high_first));
        }
        self.registers[STATUS] |= XLDA | TDA;
        let c = self.stimulus.value(Quantity::TemperatureC, tick_ns);
        self.put(OUT_TEMP, word(c - 25.0, (127.9375, 0.0625), high_first));
        if !turning || self.registers[CTRL_REG9] & SLEEP_G != 0 {
            return;
        }
        let gyro_hz = if out_select & 1 << 1 != 0 {
            GYRO_BANDS_SECOND[code][usize::from(gyro_set & 3)]
        } else {
            GYRO_BANDS[code]
        };
        let scale = GYRO_SCALES[usize::from(gyro_set >> 3 & 3)];
        let noise = Noise::in_band(gyro_hz, STATED_GYRO_HZ);
        let on = self.registers[CTRL_REG4];
        for axis in (0..3_u8).filter(|&axis| on & 0x08 << axis != 0) {
            let dps = self.stimulus.value_in(Quantity::RateDps(axis), tick_ns, noise);
            self.put(OUT_G + 2 * usize::from(axis), word(dps, scale, high_first));
        }
        self.registers[STATUS] |= GDA;
    }

    /// Keeps what was sampled, where it is to be kept.
    fn keep(&mut self) {
        if self.fifo() == Fifo::Bypassed {
            return;
        }
        if self.fifo.len() as u64 == FIFO_SLOTS {
            self.overrun = true;
            if self.fifo() == Fifo::Stops {
                return;
            }
            self.fifo.pop_front();
        }
        let mut slot = [0; 12];
        slot[..6].copy_from_slice(&self.registers[OUT_G..OUT_G + 6]);
        slot[6..].copy_from_slice(&self.registers[OUT..OUT + 6]);
        self.fifo.push_back(slot);
    }

    fn put(&mut self, register: usize, bytes: [u8; 2]) {
        self.registers[register..register + 2].copy_from_slice(&bytes);
    }

    fn set_register(&mut self, at_ns: u64, register: usize, value: u8) {
        match register {
            CTRL_REG8 if value & 1 != 0 => self.reset(at_ns),
            // What starts it anew has done so.
            CTRL_REG8 => self.registers[CTRL_REG8] = value & 0x7F,
            CTRL_REG1_G | CTRL_REG6_XL => {
                let before = self.rate();
                self.registers[register] = value;
                if self.rate() != before {
                    self.pace.restart(at_ns);
                }
            }
            WHO_AM_I | 0x14..CTRL_REG4 | 0x26..=OUT_END | FIFO_SRC => {}
            _ => {
                if let Some(slot) = self.registers.get_mut(register) {
                    *slot = value;
                }
                if self.fifo() == Fifo::Bypassed {
                    self.empty();
                }
            }
        }
    }

    fn register(&mut self, register: usize) -> u8 {
        let taken = match register {
            OUT_TEMP..=OUT_TEMP_END => TDA,
            OUT_G..CTRL_REG4 => GDA,
            OUT..=OUT_END => XLDA,
            _ => 0,
        };
        self.registers[STATUS] &= !taken;
        let kept = self.fifo.front().and_then(|slot| match register {
            OUT_G..CTRL_REG4 => Some(slot[register - OUT_G]),
            OUT..=OUT_END => Some(slot[6 + register - OUT]),
            _ => None,
        });
        if register == OUT_END && self.fifo.pop_front().is_some() {
            self.overrun = false;
        }
        match register {
            STATUS_AGAIN => self.registers[STATUS],
            FIFO_SRC => self.fill(),
            _ => kept.unwrap_or_else(|| self.registers.get(register).copied().unwrap_or(0)),
        }
    }

    /// How full the FIFO is, as its register says.
    fn fill(&self) -> u8 {
        let (slots, wanted) = (self.fifo.len() as u8, self.registers[FIFO_CTRL] & 0x1F);
        let full = if wanted > 0 && slots >= wanted { FTH } else { 0 };
        let lost = if self.overrun { OVRN } else { 0 };
        full | lost | slots
    }

    /// Where bursts go on: the next register, unless that is switched off.
    fn next(&self) -> fn(u8) -> u8 {
        if self.registers[CTRL_REG8] & IF_ADD_INC != 0 { onwards } else { stays }
    }
}

impl<S: Stimulus> I2cPart for Inertial<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        self.burst.start(direction);
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        let next = self.next();
        if let Some(register) = self.burst.write(byte, next) {
            self.set_register(at_ns, named(register), byte);
        }
        true
    }

    // Samples come at starts and writes only, so that a burst sees one.
    fn read(&mut self, _at_ns: u64) -> u8 {
        let next = self.next();
        let register = self.burst.read(next);
        self.register(named(register))
    }
}

/// Bursts that do not go on.
fn stays(register: u8) -> u8 {
    register
}

/// The register that a byte names: its highest bit is no part of it.
fn named(byte: u8) -> usize {
    usize::from(byte & 0x7F)
}

/// The magnetometer's bursts go on where the highest bit of the byte that named the register is set.
fn next_if_asked(register: u8) -> u8 {
    if register & 0x80 == 0 { register } else { onwards(register) | 0x80 }
}

/// The magnetometer. See the module's text for its sources.
#[derive(Debug)]
pub struct Magnetometer<S> {
    address: u8,
    stimulus: S,
    registers: [u8; MAGNETIC_REGISTERS],
    pace: Pace,
    burst: Burst,
}

impl<S: Stimulus> Magnetometer<S> {
    /// A part that gets its supply at time zero, powered down. SDO_M gives address 0x1C or 0x1E. It reads
    /// [`Quantity::MagneticUt`].
    pub fn new(address: u8, stimulus: S) -> Self {
        let registers = [0; MAGNETIC_REGISTERS];
        let mut part = Self { address, stimulus, registers, pace: Pace::default(), burst: Burst::default() };
        part.reset(0);
        part
    }

    fn reset(&mut self, at_ns: u64) {
        self.registers = [0; MAGNETIC_REGISTERS];
        self.registers[WHO_AM_I] = 0x3D;
        self.registers[CTRL_REG1_M] = 0x10;
        self.registers[CTRL_REG3_M] = 0x03;
        self.pace.restart(at_ns);
    }

    fn advance(&mut self, at_ns: u64) {
        let set = self.registers[CTRL_REG1_M];
        let fast_hz = FAST_HZ[usize::from(set >> 5 & 3)];
        let steady_hz = 0.625 * f64::from(1_u32 << (set >> 2 & 7));
        let single = match self.registers[CTRL_REG3_M] & 3 {
            0 => false,
            1 => true,
            _ => return,
        };
        let hz = if single || set & 1 << 1 != 0 { fast_hz } else { steady_hz };
        let Some(period_ns) = period_ns(hz) else { return };
        let until_ns = if single { at_ns.min(self.pace.since_ns + period_ns) } else { at_ns };
        let before = self.pace.taken;
        if let Some(tick_ns) = self.pace.newest(until_ns, period_ns) {
            self.sample(tick_ns, self.pace.taken - before > 1);
            if single {
                self.registers[CTRL_REG3_M] |= 3;
            }
        }
    }

    /// Takes a sample, before which others were `missed` or not.
    fn sample(&mut self, tick_ns: u64, missed: bool) {
        let scale = MAGNETIC_SCALES[usize::from(self.registers[CTRL_REG2_M] >> 5 & 3)];
        let high_first = self.registers[CTRL_REG4_M] & 1 << 1 != 0;
        for axis in 0..3_u8 {
            let gauss = self.stimulus.value(Quantity::MagneticUt(axis), tick_ns) / UT_PER_GAUSS;
            let at = OFFSET_M + 2 * usize::from(axis);
            let offset = f64::from(i16::from_le_bytes([self.registers[at], self.registers[at + 1]]));
            let bytes = word(gauss - offset * scale.1, scale, high_first);
            let at = OUT + 2 * usize::from(axis);
            self.registers[at..at + 2].copy_from_slice(&bytes);
        }
        // What was not read is overrun.
        let unread = if missed { ZYXDA } else { self.registers[STATUS_M] & ZYXDA };
        self.registers[STATUS_M] = ZYXDA | unread << 4;
    }

    fn set_register(&mut self, at_ns: u64, register: usize, value: u8) {
        match register {
            CTRL_REG2_M if value & 1 << 2 != 0 => self.reset(at_ns),
            // What starts it anew has done so.
            CTRL_REG2_M => self.registers[CTRL_REG2_M] = value & 0x60,
            CTRL_REG1_M | CTRL_REG3_M => {
                self.registers[register] = value;
                self.pace.restart(at_ns);
            }
            WHO_AM_I | STATUS_M..=OUT_END => {}
            _ => {
                if let Some(slot) = self.registers.get_mut(register) {
                    *slot = value;
                }
            }
        }
    }

    fn register(&mut self, register: usize) -> u8 {
        if (OUT..=OUT_END).contains(&register) {
            self.registers[STATUS_M] = 0;
        }
        self.registers.get(register).copied().unwrap_or(0)
    }
}

impl<S: Stimulus> I2cPart for Magnetometer<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        self.burst.start(direction);
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        if let Some(register) = self.burst.write(byte, next_if_asked) {
            self.set_register(at_ns, named(register), byte);
        }
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        let register = self.burst.read(next_if_asked);
        self.register(named(register))
    }
}
