//! BH1750FVI (illuminance) on I2C.
//!
//! Source: ROHM BH1750FVI technical note, 2009.04 rev. B: resolutions and measurement times in the electrical
//! characteristics (page 2), instruction set (page 5), write and read format (page 10), measurement time register
//! (page 11).
//!
//! A measurement takes the typical time unless [`Bh1750::set_slow`] asks for the longest (1.5 times as long). While
//! one runs, the old value is read. Where the datasheet leaves room: a new measurement time counts from the next
//! measurement on, low resolution counts in steps of 4 lx at the default measurement time, and of a write only the
//! first byte is an instruction, since one has to end with a stop condition.
//!
//! ```
//! # use embedded_hal::{delay::DelayNs, i2c::I2c};
//! # use twinfleet_twins::parts::{clock::Clock, i2c::I2cBus, stimulus::Quantity};
//! # let mut clock = Clock::new();
//! # let mut bus = I2cBus::new(clock.clone(), 400_000);
//! use twinfleet_twins::parts::bh1750::Bh1750;
//!
//! bus.add(Bh1750::new(0x23, |_: Quantity, _| 250.0))?;
//! bus.write(0x23, &[0x20])?; // once, high resolution
//! clock.delay_ms(120);
//! let mut word = [0; 2];
//! bus.read(0x23, &mut word)?;
//! assert_eq!(u16::from_be_bytes(word), 300); // 1.2 counts a lux
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::{
    MS,
    i2c::{Direction, I2cPart, Reply},
    stimulus::{Quantity, Stimulus, middle_ns},
};

const DEFAULT_TIME: u8 = 69;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    /// 1 lx at the default measurement time.
    High,
    /// 0.5 lx.
    High2,
    /// 4 lx.
    Low,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    since_ns: u64,
    takes_ns: u64,
    resolution: Resolution,
    time: u8,
    continuous: bool,
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Bh1750<S> {
    address: u8,
    stimulus: S,
    slow: bool,
    powered: bool,
    /// The measurement time register.
    time: u8,
    data: u16,
    running: Option<Running>,
    started: bool,
    second: bool,
}

impl<S: Stimulus> Bh1750<S> {
    /// A part in power down. ADDR gives address 0x23 or 0x5C.
    pub fn new(address: u8, stimulus: S) -> Self {
        Self {
            address,
            stimulus,
            slow: false,
            powered: false,
            time: DEFAULT_TIME,
            data: 0,
            running: None,
            started: false,
            second: false,
        }
    }

    /// Lets measurements take the longest time that the datasheet allows, instead of the typical one.
    pub fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    fn measure(&mut self, at_ns: u64, resolution: Resolution, continuous: bool) {
        let typical_ns = if resolution == Resolution::Low { 16 * MS } else { 120 * MS };
        let ns = if self.slow { typical_ns / 2 * 3 } else { typical_ns };
        let takes_ns = ns * u64::from(self.time) / u64::from(DEFAULT_TIME);
        self.powered = true;
        self.running = Some(Running { since_ns: at_ns, takes_ns, resolution, time: self.time, continuous });
    }

    fn advance(&mut self, at_ns: u64) {
        let Some(run) = self.running else { return };
        let Some(last) = ((at_ns - run.since_ns) / run.takes_ns).checked_sub(1) else { return };
        // Of the measurements that ended meanwhile, only the last can still be read.
        let since_ns = if run.continuous { run.since_ns + last * run.takes_ns } else { run.since_ns };
        let until_ns = since_ns + run.takes_ns;
        let lx = self.stimulus.value(Quantity::IlluminanceLx, middle_ns(since_ns, until_ns)).max(0.0);
        let scale = f64::from(run.time) / f64::from(DEFAULT_TIME);
        let counts = match run.resolution {
            Resolution::High => lx * 1.2 * scale,
            Resolution::High2 => lx * 2.4 * scale,
            Resolution::Low => (lx / 4.0 * scale).round() * 4.8,
        };
        self.data = counts.round().min(65535.0) as u16;
        if run.continuous {
            let resolution = run.resolution;
            self.measure(until_ns, resolution, true);
            // A measurement time that changed meanwhile changes the length of those still to be caught up with.
            self.advance(at_ns);
        } else {
            self.running = None;
            self.powered = false;
        }
    }

    fn instruction(&mut self, at_ns: u64, code: u8) {
        match code {
            0x00 => (self.powered, self.running) = (false, None),
            0x01 => self.powered = true,
            0x07 if self.powered => self.data = 0,
            0x10 => self.measure(at_ns, Resolution::High, true),
            0x11 => self.measure(at_ns, Resolution::High2, true),
            0x13 => self.measure(at_ns, Resolution::Low, true),
            0x20 => self.measure(at_ns, Resolution::High, false),
            0x21 => self.measure(at_ns, Resolution::High2, false),
            0x23 => self.measure(at_ns, Resolution::Low, false),
            0x40..=0x47 => self.time = self.time & 0x1F | code << 5,
            0x60..=0x7F => self.time = self.time & 0xE0 | code & 0x1F,
            _ => {}
        }
        // Less than 31 and more than 254 are not allowed (page 11).
        if code & 0x60 == 0x60 {
            self.time = self.time.clamp(31, 254);
        }
    }
}

impl<S: Stimulus> I2cPart for Bh1750<S> {
    fn address(&self) -> u8 {
        self.address
    }

    fn start(&mut self, at_ns: u64, _: Direction) -> Reply {
        self.advance(at_ns);
        (self.started, self.second) = (true, false);
        Reply::Ack
    }

    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        if self.started {
            self.instruction(at_ns, byte);
        }
        self.started = false;
        true
    }

    fn read(&mut self, _at_ns: u64) -> u8 {
        let [high, low] = self.data.to_be_bytes();
        self.second = !self.second;
        if self.second { high } else { low }
    }
}
