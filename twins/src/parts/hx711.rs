//! HX711 (24-bit converter for bridges) on its two wires: [`CLOCK`] (PD_SCK) and [`DATA`] (DOUT).
//!
//! Source: AVIA Semiconductor HX711 datasheet: settling time in the electrical characteristics (page 3), full scales
//! and output rate (page 4), serial interface with pulses for channel and gain, reset and power-down (pages 4 and 5,
//! figures 2 and 3).
//!
//! DOUT is low while a result waits, and high after it is read until the next one. A result is that of the middle of
//! its conversion; one that is not read is replaced by the next. A bit stands until the next rising edge, however long
//! PD_SCK is low (T4 has no maximum); pulses are counted, 1 to 24 for the bits, 25 to 27 for the next channel and gain,
//! and a word that is not taken within one conversion period is given up for the next (page 5: 25 to 27 pulses within
//! one). Where the datasheet leaves room: DOUT stays high for the settling time (four conversions) after power-up and
//! after a change of channel or gain; a pulse after the 24th is the 25th, unless half a period has gone since the first.
//!
//! ```
//! use twinfleet_twins::parts::{hx711::{DATA, Hx711}, line::LinePart, stimulus::Quantity};
//!
//! let mut part = Hx711::new(5.0, true, |_: Quantity, _| 0.0);
//! assert!(part.level(49_000_000, DATA), "settling");
//! assert!(!part.level(50_000_000, DATA), "a result waits");
//! ```

use super::{
    MS, US,
    line::LinePart,
    stimulus::{Quantity, Stimulus, middle_ns},
};

/// The number of the clock line, PD_SCK.
pub const CLOCK: u8 = 0;
/// The number of the data line, DOUT.
pub const DATA: u8 = 1;
const POWER_DOWN_NS: u64 = 60 * US;
const SETTLING: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gain {
    A128,
    B32,
    A64,
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Hx711<S> {
    stimulus: S,
    supply_v: f64,
    period_ns: u64,
    gain: Gain,
    /// When the first conversion with this gain began, and how many results were taken since.
    since_ns: u64,
    taken: u64,
    clock_high: bool,
    rose_ns: u64,
    /// Pulses since the first of the word in hand, when that came, and what is left to shift out.
    pulses: u32,
    begun_ns: u64,
    shift: u32,
    /// Gain, start and results of the conversions before the pulses past the 24th.
    before: (Gain, u64, u64),
}

impl<S: Stimulus> Hx711<S> {
    /// A part that gets its supply (AVDD) \[V\] at time zero; RATE gives 10 results a second, or 80 (`fast`). It reads
    /// [`Quantity::BridgeV`] at channel A and [`Quantity::Volts`] 1 at channel B.
    pub fn new(supply_v: f64, fast: bool, stimulus: S) -> Self {
        Self {
            stimulus,
            supply_v,
            period_ns: if fast { 12_500 * US } else { 100 * MS },
            gain: Gain::A128,
            since_ns: 0,
            taken: 0,
            clock_high: false,
            rose_ns: 0,
            pulses: 0,
            begun_ns: 0,
            shift: 0,
            before: (Gain::A128, 0, 0),
        }
    }

    /// How many results there have been since this gain; the first takes the settling time.
    fn results(&self, at_ns: u64) -> u64 {
        ((at_ns.saturating_sub(self.since_ns)) / self.period_ns).saturating_sub(SETTLING - 1)
    }

    fn powered(&self, at_ns: u64) -> bool {
        !self.clock_high || at_ns < self.rose_ns + POWER_DOWN_NS
    }

    fn ready(&self, at_ns: u64) -> bool {
        self.powered(at_ns) && self.results(at_ns) > self.taken
    }

    fn restart(&mut self, at_ns: u64, gain: Gain) {
        (self.gain, self.since_ns, self.taken) = (gain, at_ns, 0);
    }

    fn convert(&mut self, at_ns: u64) {
        let index = self.results(at_ns);
        let until_ns = self.since_ns + (index + SETTLING - 1) * self.period_ns;
        let middle = middle_ns(until_ns - self.period_ns, until_ns);
        let (quantity, gain) = match self.gain {
            Gain::A128 => (Quantity::BridgeV, 128.0),
            Gain::A64 => (Quantity::BridgeV, 64.0),
            Gain::B32 => (Quantity::Volts(1), 32.0),
        };
        let full_v = 0.5 * self.supply_v / gain;
        let steps = self.stimulus.value(quantity, middle) / full_v * f64::from(1 << 23);
        let code = steps.round().clamp(-8_388_608.0, 8_388_607.0) as i32;
        self.shift = code as u32 & 0x00FF_FFFF;
        self.taken = index;
    }

    /// Whether a word has begun that the next pulse goes on with, whatever else is ready.
    fn shifting(&self, at_ns: u64) -> bool {
        let since_ns = at_ns.saturating_sub(self.begun_ns);
        match self.pulses {
            1..24 => since_ns <= self.period_ns,
            24 => since_ns < self.period_ns / 2,
            _ => false,
        }
    }

    fn rise(&mut self, at_ns: u64) {
        if self.ready(at_ns) && !self.shifting(at_ns) {
            self.convert(at_ns);
            (self.pulses, self.begun_ns) = (0, at_ns);
        }
        self.pulses = self.pulses.saturating_add(1);
        let gain = match self.pulses {
            25 => Gain::A128,
            26 => Gain::B32,
            27 => Gain::A64,
            _ => return,
        };
        if self.pulses == 25 {
            self.before = (self.gain, self.since_ns, self.taken);
        }
        // Each pulse more corrects the choice of the one before.
        if gain == self.before.0 {
            (self.gain, self.since_ns, self.taken) = self.before;
        } else {
            self.restart(at_ns, gain);
        }
    }
}

impl<S: Stimulus> LinePart for Hx711<S> {
    fn drive(&mut self, at_ns: u64, line: u8, high: bool) {
        if line != CLOCK || std::mem::replace(&mut self.clock_high, high) == high {
            return;
        }
        if high {
            self.rose_ns = at_ns;
            self.rise(at_ns);
        } else {
            if at_ns >= self.rose_ns + POWER_DOWN_NS {
                // Reset, and channel A with gain 128 again.
                self.restart(at_ns, Gain::A128);
                self.pulses = 0;
            }
        }
    }

    fn level(&mut self, at_ns: u64, line: u8) -> bool {
        match self.pulses {
            _ if line != DATA || !self.powered(at_ns) => true,
            1..=24 if self.shifting(at_ns) || !self.ready(at_ns) => self.shift >> (24 - self.pulses) & 1 != 0,
            _ => !self.ready(at_ns),
        }
    }
}
