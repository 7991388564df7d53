//! Parts that pulse with what turns or flows: a fan's tachometer, a flow meter.
//!
//! Source: Intel "4-Wire Pulse Width Modulation (PWM) Controlled Fans" rev. 1.3: 2.1.3 (two pulses a turn, an open collector
//! with a pull-up); YF-S201 product description (7.5 Hz for each litre a minute). Half of each period is low: own choice.
//!
//! The part counts the turns that it has made; between two looks the rate is that of the earlier one.
//!
//! ```
//! use twinfleet_twins::parts::{line::LinePart, pulses::Pulses, stimulus::Quantity};
//!
//! let mut part = Pulses::new(|_: Quantity, _| 50.0);
//! assert!(!part.level(0, 0), "a pulse begins");
//! assert_eq!(part.next_edge_ns(0), Some(10_000_000));
//! assert!(part.level(10_000_000, 0));
//! assert_eq!(part.next_edge_ns(0), Some(20_000_000));
//! ```

use super::{
    line::LinePart,
    stimulus::{Quantity, Stimulus},
};

/// Longest stretch over which the rate is taken for the same \[ns\]: a second.
const STRETCH_NS: u64 = 1_000_000_000;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Pulses<S> {
    stimulus: S,
    /// Until when it has turned.
    at_ns: u64,
    hz: f64,
    /// Half periods that it has made.
    halves: f64,
}

impl<S: Stimulus> Pulses<S> {
    /// A part at rest that begins with a pulse. It reads [`Quantity::PulseHz`].
    pub fn new(stimulus: S) -> Self {
        Self { stimulus, at_ns: 0, hz: f64::NAN, halves: 0.0 }
    }

    fn look(&mut self) {
        let hz = self.stimulus.value(Quantity::PulseHz, self.at_ns);
        self.hz = if hz.is_finite() { hz.max(0.0) } else { 0.0 };
    }

    fn advance(&mut self, at_ns: u64) {
        if self.hz.is_nan() {
            self.look();
        }
        while self.at_ns < at_ns {
            let until_ns = at_ns.min(self.at_ns + STRETCH_NS);
            let halves = 2.0 * self.hz * (until_ns - self.at_ns) as f64 * 1e-9;
            // What ends at an edge ends on it, whatever the rounding of its time.
            let (sum, edge) = (self.halves + halves, (self.halves + halves).round());
            self.halves = if (sum - edge).abs() < 2.0 * self.hz * 1e-9 { edge } else { sum } % 2.0;
            self.at_ns = until_ns;
            self.look();
        }
    }
}

impl<S: Stimulus> LinePart for Pulses<S> {
    fn drive(&mut self, _at_ns: u64, _line: u8, _high: bool) {}

    fn level(&mut self, at_ns: u64, _line: u8) -> bool {
        self.advance(at_ns);
        self.halves >= 1.0
    }

    fn next_edge_ns(&mut self, _line: u8) -> Option<u64> {
        if self.hz.is_nan() {
            self.look();
        }
        let left = self.halves.floor() + 1.0 - self.halves;
        let ns = left / (2.0 * self.hz) * 1e9;
        // What stands still, or nearly, is looked at again.
        (ns < STRETCH_NS as f64).then(|| self.at_ns + (ns.round() as u64).max(1))
    }
}
