//! LoRa's time on air, by the formula of Semtech's SX1276/77/78/79 datasheet, section 4.1.1.7 (also AN1200.13).
//!
//! ```
//! use twinfleet_engine::link::lora::LoraDef;
//! let slow: LoraDef = ron::from_str("(sf: 12)").unwrap();
//! assert_eq!(slow.symbols(13), 23);
//! assert_eq!(slow.air_time(13).0, 1_155_072_000);
//! ```

use crate::time::Span;
use serde::Deserialize;

/// A LoRa modulation; the defaults are LoRaWAN's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraDef {
    /// Spreading factor, 6–12.
    pub sf: u8,
    /// Bandwidth, [Hz].
    #[serde(default = "wide")]
    pub bandwidth_hz: f64,
    /// Coding rate 4/(4 + n), 1–4.
    #[serde(default = "one")]
    pub coding: u8,
    /// Preamble, [symbols].
    #[serde(default = "eight")]
    pub preamble: u32,
}

fn wide() -> f64 {
    125e3
}
fn one() -> u8 {
    1
}
fn eight() -> u32 {
    8
}

impl LoraDef {
    /// Length of a symbol, 2^SF/BW, [s].
    pub fn symbol_s(&self) -> f64 {
        f64::from(1u32 << self.sf.min(12)) / self.bandwidth_hz
    }

    /// Symbols that a packet of so many bytes takes after its preamble: explicit header, checksum, and low data rate
    /// optimisation where a symbol lasts 16 ms or longer.
    pub fn symbols(&self, bytes: usize) -> u64 {
        let slow = i64::from(self.symbol_s() >= 16e-3);
        let sf = i64::from(self.sf);
        let bits = 8 * bytes as i64 - 4 * sf + 28 + 16;
        let per_block = 4 * (sf - 2 * slow);
        let blocks = (bits.max(0) + per_block - 1) / per_block;
        8 + (blocks * (i64::from(self.coding) + 4)) as u64
    }

    /// Time on the air of a packet of so many bytes.
    pub fn air_time(&self, bytes: usize) -> Span {
        let symbols = f64::from(self.preamble) + 4.25 + self.symbols(bytes) as f64;
        Span::from_secs_f64(symbols * self.symbol_s())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sf(sf: u8) -> LoraDef {
        LoraDef { sf, bandwidth_hz: 125e3, coding: 1, preamble: 8 }
    }

    /// Figures of others: what the tests of brocaar/lorawan (airtime) and of The Things Network's lorawan-stack (pkg/toa)
    /// expect, by spreading factor, bandwidth, coding rate and length.
    #[test]
    fn times_on_air_are_the_published_ones() {
        assert!((sf(12).symbol_s() - 32.768e-3).abs() < 1e-12 && (sf(9).symbol_s() - 4.096e-3).abs() < 1e-12);
        assert_eq!((sf(12).symbols(13), sf(12).symbols(50)), (23, 58));
        assert_eq!(LoraDef { coding: 2, ..sf(12) }.symbols(13), 26);
        let us = |def: LoraDef, bytes| def.air_time(bytes).0 / 1000;
        for (factor, published) in
            [(7, 41_216), (8, 72_192), (9, 144_384), (10, 288_768), (11, 577_536), (12, 991_232)]
        {
            assert_eq!(us(sf(factor), 10), published, "SF{factor}");
        }
        for (coding, published) in [(1, 41_216), (2, 45_312), (3, 49_408), (4, 53_504)] {
            assert_eq!(us(LoraDef { coding, ..sf(7) }, 10), published, "4/{}", 4 + coding);
        }
        for (bandwidth_hz, published) in [(250e3, 20_608), (500e3, 10_304)] {
            assert_eq!(us(LoraDef { bandwidth_hz, ..sf(7) }, 10), published, "{bandwidth_hz} Hz");
        }
        for (bytes, published) in [(13, 46_336), (15, 46_336), (16, 51_456), (19, 51_456)] {
            assert_eq!(us(sf(7), bytes), published, "{bytes} bytes");
        }
    }
}
