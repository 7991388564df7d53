//! HC-SR04 (ultrasonic range finder) on two lines.
//!
//! Source: ElecFreaks HC-SR04 User Guide: a trigger of at least 10 µs; eight cycles of 40 kHz; the echo line is high for
//! 58 µs for each centimetre. Where it leaves room: the echo line rises 450 µs after the trigger, and falls after 38 ms where
//! nothing answers, as modules are seen to do; a trigger during a measurement is not heard.
//!
//! ```
//! use twinfleet_twins::parts::{hc_sr04::{ECHO, HcSr04, TRIGGER}, line::LinePart, stimulus::Quantity};
//!
//! let mut part = HcSr04::new(|_: Quantity, _| 1000.0);
//! part.drive(0, TRIGGER, true);
//! part.drive(10_000, TRIGGER, false);
//! let rise = part.next_edge_ns(ECHO).unwrap();
//! assert!(part.level(rise, ECHO));
//! assert_eq!(part.next_edge_ns(ECHO), Some(rise + 5_800_000), "one metre");
//! ```

use super::{
    US,
    line::LinePart,
    stimulus::{Quantity, Stimulus},
};

/// Line of the trigger.
pub const TRIGGER: u8 = 0;
/// Line of the echo.
pub const ECHO: u8 = 1;

const TRIGGER_NS: u64 = 10 * US;
const BURST_NS: u64 = 450 * US;
const NS_PER_MM: f64 = 5_800.0;
const NOBODY_NS: u64 = 38_000 * US;
/// What it reaches \[mm\].
const REACH_MM: f64 = 4_000.0;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct HcSr04<S> {
    stimulus: S,
    /// Since when the trigger is high.
    triggered_ns: Option<u64>,
    /// From when to when the echo line is high.
    echo: Option<(u64, u64)>,
    at_ns: u64,
}

impl<S: Stimulus> HcSr04<S> {
    /// A part with its supply. It reads [`Quantity::DistanceMm`].
    pub fn new(stimulus: S) -> Self {
        Self { stimulus, triggered_ns: None, echo: None, at_ns: 0 }
    }

    fn advance(&mut self, at_ns: u64) {
        self.at_ns = self.at_ns.max(at_ns);
        self.echo = self.echo.filter(|(_, fall)| *fall > self.at_ns);
    }
}

impl<S: Stimulus> LinePart for HcSr04<S> {
    fn drive(&mut self, at_ns: u64, line: u8, high: bool) {
        if line != TRIGGER {
            return;
        }
        self.advance(at_ns);
        if high {
            self.triggered_ns.get_or_insert(at_ns);
            return;
        }
        let Some(since_ns) = self.triggered_ns.take() else { return };
        if at_ns - since_ns < TRIGGER_NS || self.echo.is_some() {
            return;
        }
        let mm = self.stimulus.value(Quantity::DistanceMm, at_ns);
        let rise_ns = at_ns + BURST_NS;
        let heard = (0.0..=REACH_MM).contains(&mm);
        let high_ns = if heard { (mm * NS_PER_MM).round() as u64 } else { NOBODY_NS };
        self.echo = Some((rise_ns, rise_ns + high_ns.max(1)));
    }

    fn level(&mut self, at_ns: u64, line: u8) -> bool {
        self.advance(at_ns);
        line == ECHO && self.echo.is_some_and(|(rise, fall)| (rise..fall).contains(&at_ns))
    }

    fn next_edge_ns(&mut self, line: u8) -> Option<u64> {
        let (rise, fall) = self.echo.filter(|_| line == ECHO)?;
        Some(if self.at_ns < rise { rise } else { fall })
    }

    fn rests_high(&self, _line: u8) -> bool {
        false
    }
}
