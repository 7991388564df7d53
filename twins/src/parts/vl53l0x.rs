//! VL53L0X (time of flight) on I2C: as much of its registers as drivers use to set it up and read ranges.
//!
//! Source: ST DS11555 rev. 4 (VL53L0X datasheet): reference registers table 4, address §3, timings and boot §2.3 and
//! §2.9, ranging modes §2.6; and ST's published API (STSW-IMG005), the only public description of the other
//! registers: start modes, interrupt and result block, sequence steps with their timeouts, and the reading of the
//! reference array's size.
//!
//! A ranging takes what its sequence steps' timeouts come to, as the API adds them up. Distance is read in the middle
//! of it. Beyond the reach (see [`Vl53l0x::set_reach_mm`]) the part tells 8190 mm with the status of a failed signal;
//! a target that sends back less than register 0x44 asks for has that status, too. The result block holds the rates of
//! signal and ambient light (9.7 bits, millions of counts a second) and how many SPADs counted them (8.8), as the API
//! takes them up for its own estimate of sigma. The light that comes back goes with reflectance over the square of the
//! distance: so much that white paper at 2 m, as far as the datasheet's table 11 goes, is just above the 0.25 that the
//! API asks for, and grey of 17 % ends at 0.9 m (table 11: 0.8). Where it would be more than 20, fewer SPADs count.
//! Daylight of 10 klx counts 10 (own estimates, as is the number of SPADs).
//! Where the documents leave room: the start bit clears as soon as it is taken, a reference calibration takes 1 ms,
//! reading non-volatile memory 50 µs. Registers without a model keep what is written, each page its own.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::vl53l0x::Vl53l0x;
//!
//! bus.add(Vl53l0x::new(|_: Quantity, _| 456.0))?;
//! clock.delay_ms(2);
//! bus.write(0x29, &[0x00, 0x01])?; // ranges once
//! clock.delay_ms(50);
//! let mut mm = [0; 2];
//! bus.write_read(0x29, &[0x1E], &mut mm)?;
//! assert_eq!(u16::from_be_bytes(mm), 456);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    MS, US,
    burst::{Burst, onwards},
    i2c::{Direction, I2cPart, Reply},
    shutdown::Shutdown,
    stimulus::{Quantity, Stimulus, middle_ns},
};

/// Its address as delivered, and none: no 7-bit address is as large.
const ADDRESS: u8 = 0x29;
const NOBODY: u8 = 0xFF;
const BOOT_NS: u64 = 1200 * US;
const CALIBRATION_NS: u64 = MS;
const NVM_NS: u64 = 50 * US;
const NO_TARGET_MM: u16 = 8190;
/// Counts of the signal from a metre and a reflectance of one, the most that it comes to, and of ambient light \[10⁶/s\].
const SIGNAL_AT_1M: f64 = 1.2;
const SIGNAL_MOST: f64 = 20.0;
const AMBIENT_PER_LX: f64 = 1e-3;
/// SPADs that count, and the fewest of them.
const SPADS: f64 = 176.0;
const SPADS_LEAST: f64 = 4.0;
/// Reflectance of the datasheet's white target.
const WHITE: f64 = 0.88;
const STATUS_VALID: u8 = 11;
const STATUS_SIGNAL_FAIL: u8 = 4;

const SYSRANGE_START: u8 = 0x00;
const SEQUENCE: u8 = 0x01;
const PERIOD: u8 = 0x04;
const INTERRUPT_CONFIG: u8 = 0x0A;
const INTERRUPT_CLEAR: u8 = 0x0B;
const THRESHOLD_HIGH: u8 = 0x0C;
const THRESHOLD_LOW: u8 = 0x0E;
const INTERRUPT_STATUS: u8 = 0x13;
const RESULT: u8 = 0x14;
const SIGNAL_LIMIT: u8 = 0x44;
const MSRC_TIMEOUT: u8 = 0x46;
const PRE_VCSEL: u8 = 0x50;
const PRE_TIMEOUT: u8 = 0x51;
const FINAL_VCSEL: u8 = 0x70;
const FINAL_TIMEOUT: u8 = 0x71;
const NVM_READY: u8 = 0x83;
const SLAVE_ADDRESS: u8 = 0x8A;
const OSCILLATOR: u8 = 0xF8;
const PAGE: u8 = 0xFF;
/// The page through which non-volatile memory is read.
const NVM_PAGE: usize = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ranging {
    Off,
    Calibrating { until_ns: u64 },
    Once { since_ns: u64, takes_ns: u64 },
    Again { since_ns: u64, takes_ns: u64, period_ns: u64 },
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Vl53l0x<S> {
    address: u8,
    address_next: u8,
    stimulus: S,
    reach_mm: f64,
    reflectance: f64,
    pages: [[u8; 256]; 8],
    page: usize,
    ranging: Ranging,
    nvm_ready_ns: u64,
    burst: Burst,
    /// Its XSHUT, how often that has shut it down before, and when it has booted.
    xshut: Shutdown,
    shut: u32,
    booted_ns: u64,
}

/// Its registers after a reset.
fn delivered() -> [[u8; 256]; 8] {
    let mut pages = [[0; 256]; 8];
    for (register, value) in [
        (SEQUENCE, 0xFF),
        (INTERRUPT_CONFIG, 0x04),
        (0x61, 0x00),
        (MSRC_TIMEOUT, 0x25),
        (PRE_VCSEL, 0x06),
        (PRE_TIMEOUT, 0x00),
        (PRE_TIMEOUT + 1, 0x99), // reference register 0x51: 0x0099
        (FINAL_VCSEL, 0x04),
        (FINAL_TIMEOUT, 0x01),
        (FINAL_TIMEOUT + 1, 0xFE),
        (0x84, 0x10),
        (SLAVE_ADDRESS, ADDRESS),
        (0xC0, 0xEE),
        (0xC1, 0xAA),
        (0xC2, 0x10),
        (OSCILLATOR, 0x03),
        (OSCILLATOR + 1, 0xF2),
    ] {
        pages[0][usize::from(register)] = value;
    }
    pages[0][0xB0..0xB6].fill(0xFF); // every element of the reference array is good
    pages[1][0x91] = 0x3C; // the value that drivers put back before they start
    pages
}

impl<S: Stimulus> Vl53l0x<S> {
    /// A part that gets its supply at time zero, at its address 0x29.
    pub fn new(stimulus: S) -> Self {
        Self {
            address: ADDRESS,
            address_next: ADDRESS,
            stimulus,
            reach_mm: 2000.0,
            reflectance: WHITE,
            pages: delivered(),
            page: 0,
            ranging: Ranging::Off,
            nvm_ready_ns: 0,
            burst: Burst::default(),
            xshut: Shutdown::default(),
            shut: 0,
            booted_ns: BOOT_NS,
        }
    }

    /// The same at an address that its software has given it before, while others were held in reset.
    pub fn at(mut self, address: u8) -> Self {
        (self.address, self.address_next) = (address, address);
        self.pages[0][usize::from(SLAVE_ADDRESS)] = address;
        self
    }

    /// The same with its XSHUT on this line.
    pub fn shut_by(mut self, xshut: Shutdown) -> Self {
        (self.shut, self.xshut) = (xshut.state().times, xshut);
        self
    }

    /// Starts anew where it was shut down since.
    fn wake(&mut self) {
        let line = self.xshut.state();
        if line.times == self.shut {
            return;
        }
        (self.address, self.address_next) = (ADDRESS, ADDRESS);
        (self.pages, self.page) = (delivered(), 0);
        (self.ranging, self.nvm_ready_ns, self.burst) = (Ranging::Off, 0, Burst::default());
        (self.shut, self.booted_ns) = (line.times, line.rose_ns + BOOT_NS);
    }

    /// How far it sees \[mm\]; 2 m indoors on a white target as delivered.
    pub fn set_reach_mm(&mut self, reach_mm: f64) {
        self.reach_mm = reach_mm;
    }

    /// What share of its light the target sends back, 0 to 1; 0.88, white paper, as delivered.
    pub fn set_reflectance(&mut self, reflectance: f64) {
        self.reflectance = reflectance;
    }

    /// The level of GPIO1 with its pull-up.
    pub fn interrupt_pin(&mut self, at_ns: u64) -> bool {
        self.advance(at_ns);
        let active_high = self.byte(0x84) & 0x10 != 0;
        (self.byte(INTERRUPT_STATUS) & 7 != 0) == active_high
    }

    fn byte(&self, register: u8) -> u8 {
        self.pages[0][usize::from(register)]
    }

    fn word(&self, register: u8) -> u16 {
        u16::from_be_bytes([self.byte(register), self.byte(register + 1)])
    }

    /// How long a ranging takes \[ns\]: the sums of the API's timing budget over the steps that are on.
    fn takes_ns(&self) -> u64 {
        let steps = self.byte(SEQUENCE);
        let on = |bit: u8| steps & 1 << bit != 0;
        let clocks = |register: u8| (u64::from(self.byte(register)) + 1) << 1;
        let macro_ns = |clocks: u64| (2304 * clocks * 1655 + 500) / 1000;
        let decode = |code: u16| (u64::from(code & 0xFF) << (code >> 8).min(32)) + 1;
        let us = |periods: u64, clocks: u64| (periods * macro_ns(clocks) + 500) / 1000;
        let (pre_clocks, final_clocks) = (clocks(PRE_VCSEL), clocks(FINAL_VCSEL));
        let msrc_us = us(u64::from(self.byte(MSRC_TIMEOUT)) + 1, pre_clocks);
        let pre = decode(self.word(PRE_TIMEOUT));
        let mut last = decode(self.word(FINAL_TIMEOUT));
        let mut total_us = 1910 + 960;
        if on(4) {
            total_us += msrc_us + 590;
        }
        if on(3) {
            total_us += 2 * (msrc_us + 690);
        } else if on(2) {
            total_us += msrc_us + 660;
        }
        if on(6) {
            total_us += us(pre, pre_clocks) + 660;
            last = last.saturating_sub(pre); // the final timeout holds both
        }
        if on(7) {
            total_us += us(last, final_clocks) + 550;
        }
        total_us * US
    }

    fn advance(&mut self, at_ns: u64) {
        match self.ranging {
            Ranging::Calibrating { until_ns } if until_ns <= at_ns => {
                self.ranging = Ranging::Off;
                self.pages[0][usize::from(INTERRUPT_STATUS)] = 4;
            }
            Ranging::Once { since_ns, takes_ns } if since_ns + takes_ns <= at_ns => {
                self.ranging = Ranging::Off;
                self.range(since_ns, takes_ns);
            }
            Ranging::Again { since_ns, takes_ns, period_ns } if since_ns + takes_ns <= at_ns => {
                // Of the rangings that ended meanwhile, only the last can still be read.
                let begun_ns = since_ns + (at_ns - since_ns - takes_ns) / period_ns * period_ns;
                self.range(begun_ns, takes_ns);
                self.ranging = Ranging::Again { since_ns: begun_ns + period_ns, takes_ns, period_ns };
            }
            _ => {}
        }
    }

    fn range(&mut self, since_ns: u64, takes_ns: u64) {
        let middle = middle_ns(since_ns, since_ns + takes_ns);
        let truth_mm = self.stimulus.value(Quantity::DistanceMm, middle);
        let ambient = AMBIENT_PER_LX * self.stimulus.value(Quantity::IlluminanceLx, middle).max(0.0);
        let seen = (0.0..=self.reach_mm).contains(&truth_mm);
        let comes =
            if seen { SIGNAL_AT_1M * self.reflectance * (1000.0 / truth_mm.max(1.0)).powi(2) } else { 0.0 };
        let open = (SIGNAL_MOST / comes.max(SIGNAL_MOST)).max(SPADS_LEAST / SPADS);
        let signal = fixed(comes * open, 7);
        let enough = seen && signal >= self.word(SIGNAL_LIMIT);
        let mm = if seen { truth_mm.round() as u16 } else { NO_TARGET_MM };
        let status = if enough { STATUS_VALID } else { STATUS_SIGNAL_FAIL };
        let result = usize::from(RESULT);
        self.pages[0][result..result + 12].fill(0);
        self.pages[0][result] = status << 3 | 1;
        for (at, word) in [(2, fixed(SPADS * open, 8)), (6, signal), (8, fixed(ambient * open, 7)), (10, mm)]
        {
            self.pages[0][result + at..result + at + 2].copy_from_slice(&word.to_be_bytes());
        }
        // Thresholds count 2 mm.
        let (above, below) = (mm / 2 > self.word(THRESHOLD_HIGH), mm / 2 < self.word(THRESHOLD_LOW));
        let interrupt = match self.byte(INTERRUPT_CONFIG) & 7 {
            1 => below,
            2 => above,
            3 => below || above,
            4 => true,
            _ => false,
        };
        if interrupt {
            self.pages[0][usize::from(INTERRUPT_STATUS)] = self.byte(INTERRUPT_CONFIG) & 7;
        }
    }

    fn start_ranging(&mut self, at_ns: u64, value: u8) {
        let takes_ns = self.takes_ns();
        let calibrates = matches!(self.byte(SEQUENCE), 1 | 2);
        self.ranging = match (value & 0x0F, self.ranging) {
            (1, Ranging::Again { .. }) => Ranging::Off, // what starts a single one stops a series
            (1, _) if calibrates => Ranging::Calibrating { until_ns: at_ns + CALIBRATION_NS },
            (1, _) => Ranging::Once { since_ns: at_ns, takes_ns },
            (2, _) => Ranging::Again { since_ns: at_ns, takes_ns, period_ns: takes_ns },
            (4, _) => {
                let ticks = u64::from(self.word(PERIOD)) << 16 | u64::from(self.word(PERIOD + 2));
                let per_ms = u64::from(self.word(OSCILLATOR)).max(1);
                Ranging::Again { since_ns: at_ns, takes_ns, period_ns: takes_ns.max(ticks * MS / per_ms) }
            }
            (_, running) => running,
        };
    }

    fn set_register(&mut self, at_ns: u64, register: u8, value: u8) {
        match (self.page, register) {
            (_, PAGE) => self.page = usize::from(value & 7),
            (0, SYSRANGE_START) => self.start_ranging(at_ns, value),
            (0, INTERRUPT_CLEAR) => self.pages[0][usize::from(INTERRUPT_STATUS)] = 0,
            (0, SLAVE_ADDRESS) => self.address_next = value & 0x7F,
            (0, 0xC0..=0xC2 | INTERRUPT_STATUS | RESULT..=0x1F) => {}
            (NVM_PAGE, NVM_READY) if value == 0 => self.nvm_ready_ns = at_ns + NVM_NS,
            (page, _) => self.pages[page][usize::from(register)] = value,
        }
    }

    fn register(&self, at_ns: u64, register: u8) -> u8 {
        match (self.page, register) {
            (_, PAGE) => self.page as u8,
            (0, SYSRANGE_START) => match self.ranging {
                Ranging::Again { takes_ns, period_ns, .. } if takes_ns == period_ns => 2,
                Ranging::Again { .. } => 4,
                _ => 0,
            },
            (0, SLAVE_ADDRESS) => self.address_next,
            (NVM_PAGE, NVM_READY) => u8::from(at_ns >= self.nvm_ready_ns),
            // The word that 0x94 asked for; that of 0x6B tells five elements with an aperture.
            (NVM_PAGE, 0x92) if self.pages[NVM_PAGE][0x94] == 0x6B => 0x80 | 5,
            (page, _) => self.pages[page][usize::from(register)],
        }
    }
}

/// A number with so many bits behind its point; the most where it is more.
fn fixed(value: f64, bits: i32) -> u16 {
    (value * 2f64.powi(bits)).round().clamp(0.0, f64::from(u16::MAX)) as u16
}

impl<S: Stimulus> I2cPart for Vl53l0x<S> {
    fn address(&self) -> u8 {
        let line = self.xshut.state();
        if line.low {
            NOBODY
        } else if line.times != self.shut {
            ADDRESS
        } else {
            self.address
        }
    }

    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        self.wake();
        if at_ns < self.booted_ns {
            return Reply::Nack;
        }
        self.advance(at_ns);
        self.burst.start(direction);
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.advance(at_ns);
        if let Some(register) = self.burst.write(byte, onwards) {
            self.set_register(at_ns, register, byte);
        }
        true
    }

    fn read(&mut self, at_ns: u64) -> u8 {
        let register = self.burst.read(onwards);
        self.register(at_ns, register)
    }

    fn stop(&mut self, _at_ns: u64) {
        self.address = self.address_next;
    }
}
