//! MPU-6050 (three axes of acceleration, three of rotation, temperature) on I2C.
//!
//! Source: InvenSense RM-MPU-6000A-00 rev. 4.2 (register map), by register number: sample rate 25, filter 26, full
//! scales 27 and 28, FIFO 35, 106 and 114 to 116, interrupts 56 and 58, data 59 to 72, power 107 and 108, WHO_AM_I
//! 117; and PS-MPU-6000A-00 rev. 3.4: sensitivities §6.1 and §6.2, start-up for register access §6.3.
//!
//! A sample is that of its tick, the filter's delay (register 26) earlier, with the noise that the filter's band lets
//! through; what is slower than the band comes whole. Where the documents leave room: the part does not answer in the
//! first 20 ms (typical) of its supply, a device reset is over at once, and status bits are set whether or not their
//! interrupt is enabled. Registers without a model (offsets, motion detection, auxiliary I2C, the motion processor's
//! memory) keep what is written and do nothing.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::mpu6050::Mpu6050;
//!
//! let flat = |quantity, _| if quantity == Quantity::AccelerationG(2) { 1.0 } else { 0.0 };
//! bus.add(Mpu6050::new(0x68, flat))?;
//! clock.delay_ms(20);
//! bus.write(0x68, &[0x6B, 0])?; // wakes it
//! clock.delay_ms(1);
//! let mut word = [0; 2];
//! bus.write_read(0x68, &[0x3F], &mut word)?;
//! assert_eq!(i16::from_be_bytes(word), 16384);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    MS, US,
    burst::{Burst, onwards},
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Noise, Quantity, Stimulus},
};

const STARTUP_NS: u64 = 20 * MS;
const FIFO_BYTES: usize = 1024;
const SMPLRT_DIV: usize = 0x19;
const CONFIG: usize = 0x1A;
const GYRO_CONFIG: usize = 0x1B;
const ACCEL_CONFIG: usize = 0x1C;
const FIFO_EN: usize = 0x23;
const INT_ENABLE: usize = 0x38;
const INT_STATUS: usize = 0x3A;
const DATA: usize = 0x3B;
const USER_CTRL: usize = 0x6A;
const PWR_MGMT_1: usize = 0x6B;
const PWR_MGMT_2: usize = 0x6C;
const FIFO_COUNT_H: usize = 0x72;
const FIFO_R_W: usize = 0x74;
const WHO_AM_I: usize = 0x75;
const SLEEP: u8 = 1 << 6;
const DATA_READY: u8 = 1;
const FIFO_OVERFLOW: u8 = 1 << 4;
/// Delay of the filter by DLPF_CFG: acceleration and rotation \[10 µs\].
const DELAYS: [(u64, u64); 8] =
    [(0, 98), (200, 190), (300, 280), (490, 480), (850, 830), (1380, 1340), (1900, 1860), (0, 98)];
/// Its band by DLPF_CFG: acceleration and rotation \[Hz\].
const BANDS: [(f64, f64); 8] = [
    (260.0, 256.0),
    (184.0, 188.0),
    (94.0, 98.0),
    (44.0, 42.0),
    (21.0, 20.0),
    (10.0, 10.0),
    (5.0, 5.0),
    (260.0, 256.0),
];

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Mpu6050<S> {
    address: u8,
    stimulus: S,
    registers: [u8; 128],
    /// When counting of samples began, and how many were taken since.
    since_ns: u64,
    samples: u64,
    fifo: [u8; FIFO_BYTES],
    oldest: usize,
    filled: usize,
    last_given: u8,
    burst: Burst,
    shadow: [u8; 14],
}

impl<S: Stimulus> Mpu6050<S> {
    /// A part that gets its supply at time zero; it then sleeps. AD0 gives address 0x68 or 0x69.
    pub fn new(address: u8, stimulus: S) -> Self {
        let mut part = Self {
            address,
            stimulus,
            registers: [0; 128],
            since_ns: 0,
            samples: 0,
            fifo: [0; FIFO_BYTES],
            oldest: 0,
            filled: 0,
            last_given: 0,
            burst: Burst::default(),
            shadow: [0; 14],
        };
        part.reset(0);
        part
    }

    /// Whether an enabled interrupt asserts the INT pin.
    pub fn interrupt(&mut self, at_ns: u64) -> bool {
        self.advance(at_ns);
        self.registers[INT_STATUS] & self.registers[INT_ENABLE] != 0
    }

    fn reset(&mut self, at_ns: u64) {
        self.registers = [0; 128];
        self.registers[PWR_MGMT_1] = SLEEP;
        self.registers[WHO_AM_I] = 0x68; // without AD0's bit
        (self.oldest, self.filled, self.last_given) = (0, 0, 0);
        self.restart(at_ns);
    }

    fn restart(&mut self, at_ns: u64) {
        (self.since_ns, self.samples) = (at_ns, 0);
    }

    fn awake(&self) -> bool {
        self.registers[PWR_MGMT_1] & SLEEP == 0
    }

    fn filter(&self) -> usize {
        usize::from(self.registers[CONFIG] & 7)
    }

    /// Time between samples \[ns\]: 8 kHz without filter, else 1 kHz, over one more than the divider.
    fn period_ns(&self) -> u64 {
        let base_ns = if matches!(self.filter(), 0 | 7) { 125 * US } else { MS };
        base_ns * (1 + u64::from(self.registers[SMPLRT_DIV]))
    }

    fn advance(&mut self, at_ns: u64) {
        if !self.awake() {
            return;
        }
        let period_ns = self.period_ns();
        let due = at_ns.saturating_sub(self.since_ns) / period_ns;
        if due <= self.samples {
            return;
        }
        let size = self.fifo_sample_bytes();
        let waiting = due - self.samples;
        // Samples that could no longer be seen are only counted: all but the last, or but those that still fit the
        // FIFO.
        let seen = FIFO_BYTES.checked_div(size).unwrap_or(0) as u64 + 1;
        if waiting > seen {
            self.samples = due - seen;
            if size > 0 {
                self.registers[INT_STATUS] |= FIFO_OVERFLOW;
                (self.oldest, self.filled) = (0, 0);
            }
        }
        while self.samples < due {
            self.samples += 1;
            self.sample(self.since_ns + self.samples * period_ns);
        }
    }

    fn sample(&mut self, tick_ns: u64) {
        let (accel, gyro) = DELAYS[self.filter()];
        let (accel_ns, gyro_ns) =
            (tick_ns.saturating_sub(accel * 10 * US), tick_ns.saturating_sub(gyro * 10 * US));
        // The catalog states the noise of the widest band.
        let ((wide_accel, wide_gyro), (accel_hz, gyro_hz)) = (BANDS[0], BANDS[self.filter()]);
        let accel_noise = Noise::in_band(accel_hz, wide_accel);
        let gyro_noise = Noise::in_band(gyro_hz, wide_gyro);
        let standby = self.registers[PWR_MGMT_2];
        let per_g = f64::from(16384 >> (self.registers[ACCEL_CONFIG] >> 3 & 3));
        let per_dps = [131.0, 65.5, 32.8, 16.4][usize::from(self.registers[GYRO_CONFIG] >> 3 & 3)];
        for axis in 0..3_u8 {
            if standby & 0x20 >> axis == 0 {
                let g = self.stimulus.value_in(Quantity::AccelerationG(axis), accel_ns, accel_noise);
                self.set_word(DATA + 2 * usize::from(axis), g * per_g);
            }
            if standby & 0x04 >> axis == 0 {
                let dps = self.stimulus.value_in(Quantity::RateDps(axis), gyro_ns, gyro_noise);
                self.set_word(DATA + 8 + 2 * usize::from(axis), dps * per_dps);
            }
        }
        if self.registers[PWR_MGMT_1] & 1 << 3 == 0 {
            let c = self.stimulus.value(Quantity::TemperatureC, tick_ns);
            self.set_word(DATA + 6, (c - 36.53) * 340.0);
        }
        self.registers[INT_STATUS] |= DATA_READY;
        self.fill_fifo();
    }

    fn set_word(&mut self, register: usize, value: f64) {
        let word = value.round().clamp(-32768.0, 32767.0) as i16;
        self.registers[register..register + 2].copy_from_slice(&word.to_be_bytes());
    }

    /// Whether a byte of data (from [`DATA`] on) goes into the FIFO.
    fn in_fifo(&self, byte: usize) -> bool {
        let enabled = self.registers[FIFO_EN];
        match byte {
            0..6 => enabled & 1 << 3 != 0,
            6..8 => enabled & 1 << 7 != 0,
            _ => enabled & 0x40 >> ((byte - 8) / 2) != 0,
        }
    }

    fn fifo_sample_bytes(&self) -> usize {
        let on = self.registers[USER_CTRL] & 1 << 6 != 0;
        if on { (0..14).filter(|&b| self.in_fifo(b)).count() } else { 0 }
    }

    fn fill_fifo(&mut self) {
        if self.registers[USER_CTRL] & 1 << 6 == 0 {
            return;
        }
        for byte in 0..14 {
            if self.in_fifo(byte) {
                self.fifo[(self.oldest + self.filled) % FIFO_BYTES] = self.registers[DATA + byte];
                if self.filled < FIFO_BYTES {
                    self.filled += 1;
                } else {
                    // The oldest is lost (register 116).
                    self.oldest = (self.oldest + 1) % FIFO_BYTES;
                    self.registers[INT_STATUS] |= FIFO_OVERFLOW;
                }
            }
        }
    }

    fn take_fifo(&mut self) -> u8 {
        if self.filled > 0 {
            self.last_given = self.fifo[self.oldest];
            self.oldest = (self.oldest + 1) % FIFO_BYTES;
            self.filled -= 1;
        }
        self.last_given // again, where there is nothing new
    }

    fn set_register(&mut self, at_ns: u64, register: usize, value: u8) {
        match register {
            PWR_MGMT_1 if value & 1 << 7 != 0 => self.reset(at_ns),
            PWR_MGMT_1 => {
                let slept = !self.awake();
                self.registers[PWR_MGMT_1] = value;
                if slept && self.awake() {
                    self.restart(at_ns);
                }
            }
            SMPLRT_DIV | CONFIG => {
                self.registers[register] = value;
                self.restart(at_ns);
            }
            USER_CTRL => {
                if value & 1 << 2 != 0 {
                    (self.oldest, self.filled) = (0, 0);
                }
                if value & 1 != 0 {
                    self.registers[DATA..DATA + 14].fill(0);
                }
                self.registers[USER_CTRL] = value & 0xF8; // resets are over
            }
            INT_STATUS | WHO_AM_I | FIFO_COUNT_H | 0x73 | DATA..=0x60 => {}
            _ => {
                if let Some(slot) = self.registers.get_mut(register) {
                    *slot = value;
                }
            }
        }
    }

    fn register(&mut self, register: usize) -> u8 {
        match register {
            INT_STATUS => std::mem::take(&mut self.registers[INT_STATUS]),
            DATA..=0x48 => self.shadow[register - DATA],
            FIFO_COUNT_H => (self.filled >> 8) as u8,
            0x73 => self.filled as u8,
            FIFO_R_W => self.take_fifo(),
            _ => self.registers.get(register).copied().unwrap_or(0),
        }
    }
}

impl<S: Stimulus> I2cPart for Mpu6050<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        if at_ns < STARTUP_NS {
            return Reply::Nack;
        }
        self.advance(at_ns);
        self.burst.start(direction);
        if direction == Direction::Read {
            // A burst sees one sample (registers 59 to 72).
            self.shadow.copy_from_slice(&self.registers[DATA..DATA + 14]);
        }
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        if let Some(register) = self.burst.write(byte, next) {
            self.set_register(at_ns, usize::from(register), byte);
        }
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        let register = self.burst.read(next);
        self.register(usize::from(register))
    }
}

/// Bursts go on to the next register, but stay at the FIFO's.
fn next(register: u8) -> u8 {
    let stays = usize::from(register) == FIFO_R_W || register == 0x6F;
    if stays { register } else { onwards(register) }
}
