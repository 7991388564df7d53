//! BME280 (temperature, pressure, humidity) and BMP280 (without humidity) on I2C or SPI.
//!
//! Source: Bosch BST-BME280-DS002 and BST-BMP280-DS001. Register map and reset values: §5.3/5.4 (BMP280: §4.2/4.3);
//! trim words: table 16 (table 17 there); modes and write rules: §3.3, §5.4.5, §5.4.6; measurement time: §9.1 (BMP280:
//! §3.8.1); filter: §3.4.4; noise by oversampling: §3.5 and §3.6 (BMP280: tables 8 and 9; from memory); compensation formulas in
//! floating point: appendix 8.1.
//!
//! Where the datasheet leaves room: of the 2 ms of start-up the part does not answer in the first and has `im_update`
//! set in the second; `im_update` before a conversion lasts for its fixed first millisecond; a write to `config` in
//! normal mode ("may be ignored") is ignored. A conversion takes the typical time unless [`Bme280::set_slow`] asks
//! for the longest.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::bme280::{Bme280, Trim};
//!
//! let room = |quantity, _| if quantity == Quantity::TemperatureC { 25.0 } else { 50.0 };
//! bus.add(Bme280::new(0x76, room).with_trim(Trim { t3: 50, ..Trim::default() }))?;
//! clock.delay_ms(2);
//! bus.write(0x76, &[0xF4, 0x21])?; // temperature, once
//! clock.delay_ms(4);
//! let mut raw = [0; 3];
//! bus.write_read(0x76, &[0xFA], &mut raw)?;
//! let code = u32::from_be_bytes([0, raw[0], raw[1], raw[2]]) >> 4;
//! assert!((Trim { t3: 50, ..Trim::default() }.temperature_c(code) - 25.0).abs() < 0.005);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    MS, US,
    i2c::{Direction, I2cPart, Reply},
    spi::SpiPart,
    stimulus::{Noise, Quantity, Stimulus, middle_ns},
};

mod trim;
pub use trim::Trim;

const STARTUP_NS: u64 = 2 * MS;
const SKIPPED_20: u32 = 0x80000;
const SKIPPED_16: u32 = 0x8000;
/// Noise at oversampling ×1, ×2, ×4, ×8 and ×16 without filter: temperature \[°C\], pressure \[Pa\], humidity \[%\].
const NOISE_C: [f64; 5] = [0.005, 0.004, 0.003, 0.003, 0.002];
const NOISE_PA: [f64; 5] = [3.3, 2.6, 2.1, 1.6, 1.3];
const NOISE_PCT: [f64; 5] = [0.07, 0.05, 0.04, 0.03, 0.02];
/// Cycles of normal mode after which a filter's start cannot be told from its output any more: (15/16)^400 < 1e-11.
const REMEMBERED_CYCLES: u64 = 400;
/// The filter's state has this many bits below the least one of its output.
const FILTER_BITS: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting { since_ns: u64 },
    Sleep,
    Measuring { since_ns: u64, until_ns: u64 },
    Standby { until_ns: u64 },
}

/// What one conversion found; `None` where it was skipped.
#[derive(Debug, Clone, Copy, Default)]
struct Filter {
    temperature: Option<u64>,
    pressure: Option<u64>,
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Bme280<S> {
    address: u8,
    humid: bool,
    trim: Trim,
    stimulus: S,
    slow: bool,
    state: State,
    pointer: Option<u8>,
    /// On SPI: what the controller asked for with its control byte.
    reading: bool,
    ctrl_hum_written: u8,
    ctrl_hum: u8,
    ctrl_meas: u8,
    ctrl_meas_next: Option<u8>,
    config: u8,
    filter: Filter,
    data: [u8; 8],
    shadow: [u8; 8],
}

impl<S: Stimulus> Bme280<S> {
    /// A BME280 that gets its supply at time zero, with ordinary trim words. SDO gives address 0x76 or 0x77.
    pub fn new(address: u8, stimulus: S) -> Self {
        let mut part = Self {
            address,
            humid: true,
            trim: Trim::default(),
            stimulus,
            slow: false,
            state: State::Sleep,
            pointer: None,
            reading: false,
            ctrl_hum_written: 0,
            ctrl_hum: 0,
            ctrl_meas: 0,
            ctrl_meas_next: None,
            config: 0,
            filter: Filter::default(),
            data: [0; 8],
            shadow: [0; 8],
        };
        part.reset(0);
        part
    }

    /// A BMP280: no humidity, another chip id, other standby times.
    pub fn bmp280(address: u8, stimulus: S) -> Self {
        Self { humid: false, ..Self::new(address, stimulus) }
    }

    /// Gives it other trim words.
    pub fn with_trim(mut self, trim: Trim) -> Self {
        self.trim = trim;
        self
    }

    /// Lets conversions take the longest time that the datasheet allows, instead of the typical one.
    pub fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    fn reset(&mut self, at_ns: u64) {
        self.state = State::Starting { since_ns: at_ns };
        (self.ctrl_hum_written, self.ctrl_hum, self.ctrl_meas, self.config) = (0, 0, 0, 0);
        self.ctrl_meas_next = None;
        self.filter = Filter::default();
        self.set_data(SKIPPED_20, SKIPPED_20, SKIPPED_16);
        self.shadow = self.data;
    }

    fn set_data(&mut self, pressure: u32, temperature: u32, humidity: u32) {
        let [_, p0, p1, p2] = (pressure << 4).to_be_bytes();
        let [_, t0, t1, t2] = (temperature << 4).to_be_bytes();
        let [.., h0, h1] = humidity.to_be_bytes();
        // A BMP280 has nothing behind its temperature; its reserved registers read as zero.
        let (h0, h1) = if self.humid { (h0, h1) } else { (0, 0) };
        self.data = [p0, p1, p2, t0, t1, t2, h0, h1];
    }

    /// Oversampling of temperature, pressure and humidity; 0 for skipped.
    fn oversampling(&self) -> [u32; 3] {
        let samples = |code: u8| if code == 0 { 0 } else { 1 << (code.min(5) - 1) };
        let humidity = if self.humid { samples(self.ctrl_hum & 7) } else { 0 };
        [samples(self.ctrl_meas >> 5), samples(self.ctrl_meas >> 2 & 7), humidity]
    }

    /// The fixed time, then what temperature, pressure and humidity take \[ns\].
    fn steps_ns(&self) -> [u64; 4] {
        let (fixed, sample, extra) =
            if self.slow { (1250 * US, 2300 * US, 575 * US) } else { (MS, 2 * MS, 500 * US) };
        let [t, p, h] = self.oversampling().map(u64::from);
        let with_extra = |n: u64| if n == 0 { 0 } else { n * sample + extra };
        [fixed, t * sample, with_extra(p), with_extra(h)]
    }

    fn standby_ns(&self) -> u64 {
        match (self.config >> 5, self.humid) {
            (0, _) => 500 * US,
            (code @ 1..=5, _) => (62_500 * US) << (code - 1),
            (6, true) => 10 * MS,
            (_, true) => 20 * MS,
            (6, false) => 2000 * MS,
            (_, false) => 4000 * MS,
        }
    }

    fn measure_from(&mut self, since_ns: u64) {
        let until_ns = since_ns + self.steps_ns().iter().sum::<u64>();
        self.state = State::Measuring { since_ns, until_ns };
    }

    /// Takes a mode from `ctrl_meas`.
    fn enter_mode(&mut self, at_ns: u64) {
        match self.ctrl_meas & 3 {
            0 => self.state = State::Sleep,
            _ => self.measure_from(at_ns),
        }
    }

    /// Does what it would have done by now.
    fn advance(&mut self, at_ns: u64) {
        loop {
            match self.state {
                State::Starting { since_ns } if since_ns + STARTUP_NS <= at_ns => self.state = State::Sleep,
                State::Measuring { since_ns, until_ns } if until_ns <= at_ns => {
                    self.finish(since_ns, until_ns)
                }
                State::Standby { until_ns } if until_ns <= at_ns => {
                    let cycle_ns = self.steps_ns().iter().sum::<u64>() + self.standby_ns();
                    let missed = ((at_ns - until_ns) / cycle_ns).saturating_sub(REMEMBERED_CYCLES);
                    self.measure_from(until_ns + missed * cycle_ns);
                }
                _ => return,
            }
        }
    }

    fn finish(&mut self, since_ns: u64, until_ns: u64) {
        self.convert(since_ns);
        if let Some(next) = self.ctrl_meas_next.take() {
            self.ctrl_meas = next;
            self.ctrl_hum = self.ctrl_hum_written;
            self.enter_mode(until_ns);
        } else if self.ctrl_meas & 3 == 3 {
            self.state = State::Standby { until_ns: until_ns + self.standby_ns() };
        } else {
            self.ctrl_meas &= !3;
            self.state = State::Sleep;
        }
    }

    fn convert(&mut self, since_ns: u64) {
        let [fixed, for_t, for_p, for_h] = self.steps_ns();
        let [samples_t, samples_p, samples_h] = self.oversampling();
        let t_ns = since_ns + fixed;
        let (p_ns, h_ns) = (t_ns + for_t, t_ns + for_t + for_p);
        let filtering = self.config >> 2 & 7;
        // Without filter a result has 16 bits and one more for each doubling of samples; with it, 20.
        let bits = |samples: u32| 16 + samples.trailing_zeros().min(4);

        // The catalog states the noise of ×1.
        let noise = |table: [f64; 5], samples: u32| {
            Noise::white(table[(samples.max(1).trailing_zeros() as usize).min(4)] / table[0])
        };
        let noise_c = noise(NOISE_C, samples_t);
        let truth_c = self.stimulus.value_in(Quantity::TemperatureC, middle_ns(t_ns, p_ns), noise_c);
        let mut temperature = SKIPPED_20;
        let mut t_fine = (truth_c * 5120.0) as i32;
        if samples_t > 0 {
            let raw = self.trim.raw_temperature(truth_c, bits(samples_t));
            temperature = filter(&mut self.filter.temperature, filtering, raw);
            t_fine = self.trim.t_fine(temperature) as i32;
        } else {
            self.filter.temperature = None;
        }
        let mut pressure = SKIPPED_20;
        if samples_p > 0 {
            let truth_pa = self.stimulus.value_in(
                Quantity::PressurePa,
                middle_ns(p_ns, h_ns),
                noise(NOISE_PA, samples_p),
            );
            let raw = self.trim.raw_pressure(truth_pa, t_fine, bits(samples_p));
            pressure = filter(&mut self.filter.pressure, filtering, raw);
        } else {
            self.filter.pressure = None;
        }
        let mut humidity = SKIPPED_16;
        if samples_h > 0 {
            let truth_pct = self.stimulus.value_in(
                Quantity::HumidityPct,
                middle_ns(h_ns, h_ns + for_h),
                noise(NOISE_PCT, samples_h),
            );
            humidity = self.trim.raw_humidity(truth_pct, t_fine);
        }
        self.set_data(pressure, temperature, humidity);
    }

    fn status(&self, at_ns: u64) -> u8 {
        match self.state {
            State::Starting { .. } => 1,
            State::Measuring { since_ns, .. } => 1 << 3 | u8::from(at_ns < since_ns + self.steps_ns()[0]),
            _ => 0,
        }
    }

    fn register(&self, at_ns: u64, register: u8) -> u8 {
        // The image registers hold nothing until they are copied.
        let image = !matches!(self.state, State::Starting { .. });
        match register {
            0x88..=0xA1 | 0xE1..=0xE7 if image => self.trim.register(register, self.humid),
            0xD0 if self.humid => 0x60,
            0xD0 => 0x58,
            0xF2 if self.humid => self.ctrl_hum_written,
            0xF3 => self.status(at_ns),
            0xF4 => self.ctrl_meas,
            0xF5 => self.config,
            0xF7..=0xFE => self.shadow[usize::from(register - 0xF7)],
            _ => 0,
        }
    }

    fn set_register(&mut self, at_ns: u64, register: u8, value: u8) {
        let starting = matches!(self.state, State::Starting { .. });
        match register {
            0xE0 if value == 0xB6 => self.reset(at_ns),
            _ if starting => {}
            // Not while a change of mode waits (§3.3.1).
            0xF2 if self.humid && self.ctrl_meas_next.is_none() => self.ctrl_hum_written = value & 7,
            0xF4 if matches!(self.state, State::Measuring { .. }) => {
                // Carried out at the end of the running conversion; until then further ones are ignored.
                self.ctrl_meas_next.get_or_insert(value);
            }
            0xF4 => {
                let stays = self.ctrl_meas & value & 3 == 3;
                self.ctrl_meas = value;
                self.ctrl_hum = self.ctrl_hum_written;
                if !stays {
                    self.enter_mode(at_ns);
                }
            }
            0xF5 if self.ctrl_meas & 3 != 3 => {
                if (self.config ^ value) & 0x1C != 0 {
                    self.filter = Filter::default();
                }
                self.config = value & !2;
            }
            _ => {}
        }
    }
}

/// One step of the IIR filter, §3.4.4: `new = (old · (c − 1) + raw) / c`; its first value starts it.
fn filter(state: &mut Option<u64>, code: u8, raw: u32) -> u32 {
    let shift = u32::from(code.min(4));
    if shift == 0 {
        *state = None;
        return raw;
    }
    let raw = u64::from(raw) << FILTER_BITS;
    let new = state.map_or(raw, |old| (old * ((1 << shift) - 1) + raw) >> shift);
    *state = Some(new);
    (((new >> (FILTER_BITS - 1)) + 1) >> 1) as u32
}

impl<S: Stimulus> I2cPart for Bme280<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.advance(at_ns);
        match (self.state, direction) {
            (State::Starting { since_ns }, _) if at_ns < since_ns + STARTUP_NS / 2 => return Reply::Nack,
            // A burst sees the results of one conversion: they are held from its start (§4).
            (_, Direction::Read) => self.shadow = self.data,
            (_, Direction::Write) => self.pointer = None,
        }
        Reply::Ack
    }

    /// Pairs of register and value (§6.2.1); a lone first byte is where the next read begins.
    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        match self.pointer.take() {
            None => self.pointer = Some(byte),
            Some(register) => self.set_register(at_ns, register, byte),
        }
        true
    }

    fn read(&mut self, at_ns: u64) -> u8 {
        self.advance(at_ns);
        let register = self.pointer.unwrap_or(0);
        self.pointer = Some(register.wrapping_add(1));
        self.register(at_ns, register)
    }
}

/// Control bytes (§6.3): bit 7 says read, the others the register without its highest bit. A read goes on from register
/// to register; writes are pairs of control byte and value.
impl<S: Stimulus> SpiPart for Bme280<S> {
    fn select(&mut self, at_ns: u64) {
        self.advance(at_ns);
        (self.pointer, self.reading) = (None, false);
    }

    fn exchange(&mut self, at_ns: u64, byte: u8) -> u8 {
        self.advance(at_ns);
        match self.pointer.take() {
            None => {
                self.reading = byte & 0x80 != 0;
                self.pointer = Some(byte | 0x80);
                self.shadow = self.data;
                0
            }
            Some(register) if self.reading => {
                self.pointer = Some(register.wrapping_add(1));
                self.register(at_ns, register)
            }
            Some(register) => {
                self.set_register(at_ns, register, byte);
                0
            }
        }
    }

    fn deselect(&mut self, at_ns: u64) {
        self.advance(at_ns);
    }
}
