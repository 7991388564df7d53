//! MCP3008 (eight-channel 10-bit converter) on SPI.
//!
//! Source: Microchip DS21295D: serial communication §5 with figures 5-1 and 6-1, channel selection table 5-2, codes
//! §4.2 (equation 4-2).
//!
//! The part counts clocks from the start bit, so a controller may send any number of leading zeros. The input is read
//! at the end of its sample time, a clock and a half after the last channel bit. Where the datasheet leaves room: a
//! code is cut, not rounded, so that it changes where equation 4-2 does.
//!
//! ```
//! use twinfleet_twins::parts::{mcp3008::Mcp3008, spi::SpiPart, stimulus::Quantity};
//!
//! let mut part = Mcp3008::new(3.3, |_: Quantity, _| 3.3);
//! part.select(0);
//! let answer = [0x01, 0x80, 0x00].map(|byte| part.exchange(0, byte));
//! assert_eq!(answer[1..], [0x03, 0xFF]);
//! ```

use super::{
    spi::SpiPart,
    stimulus::{Quantity, Stimulus},
};

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Mcp3008<S> {
    stimulus: S,
    reference_v: f64,
    /// Clocks since the start bit, which is the first; none before it.
    clock: u32,
    selection: u8,
    code: u16,
}

impl<S: Stimulus> Mcp3008<S> {
    /// A part with its reference voltage \[V\]. It reads [`Quantity::Volts`] of its inputs 0 to 7.
    pub fn new(reference_v: f64, stimulus: S) -> Self {
        Self { stimulus, reference_v, clock: 0, selection: 0, code: 0 }
    }

    fn convert(&mut self, at_ns: u64) {
        let channel = self.selection & 7;
        let mut input = |i: u8| self.stimulus.value(Quantity::Volts(i), at_ns);
        let volts = if self.selection & 8 != 0 {
            input(channel)
        } else {
            input(channel) - input(channel ^ 1) // pairs, either way round
        };
        self.code = (volts / self.reference_v * 1024.0).floor().clamp(0.0, 1023.0) as u16;
    }

    /// One clock: a bit in and one out; none while the output is not driven.
    fn tick(&mut self, at_ns: u64, bit: bool) -> bool {
        if self.clock == 0 && !bit {
            return false;
        }
        self.clock += 1;
        match self.clock {
            1 => self.selection = 0,
            2..=5 => self.selection = self.selection << 1 | u8::from(bit),
            6 => self.convert(at_ns),
            // After the null bit the most significant bit comes first; then all again the other way round.
            8..=17 => return self.code >> (17 - self.clock) & 1 != 0,
            18..=26 => return self.code >> (self.clock - 17) & 1 != 0,
            _ => {}
        }
        false
    }
}

impl<S: Stimulus> SpiPart for Mcp3008<S> {
    fn select(&mut self, _at_ns: u64) {
        self.clock = 0;
    }

    fn exchange(&mut self, at_ns: u64, byte: u8) -> u8 {
        (0..8).rev().fold(0, |out, i| out << 1 | u8::from(self.tick(at_ns, byte >> i & 1 != 0)))
    }

    fn deselect(&mut self, _at_ns: u64) {
        self.clock = 0;
    }
}
