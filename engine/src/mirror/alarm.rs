//! A twin's alarm: a detector over the whitened residuals of its outputs, the same code as `score detect` runs on a table.
//!
//! A verdict names a fault of a known kind; an alarm says that the physical no longer behaves as it has behaved towards its
//! twin so far, whatever the reason.

use crate::{
    detect::{Contract, Detector, Step, novelty::Novelty},
    scenario::WatchDef,
};

/// The detector of one twin.
#[derive(Clone, Debug)]
pub struct Alarm {
    detector: Novelty,
    last: Step,
    /// The output that the alarm in progress names.
    named: usize,
}

/// An alarm that began or ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlarmNews {
    /// The output that speaks most for it.
    pub output: usize,
    /// Score of the reading, in powers of ten.
    pub score: f64,
    /// Whether it ended.
    pub ended: bool,
}

impl Alarm {
    /// Over so many outputs.
    pub fn new(def: &WatchDef, outputs: usize) -> Self {
        let contract = Contract { rows: def.readings_per_alarm };
        Self { detector: Novelty::new(outputs, contract), last: Step::default(), named: 0 }
    }

    /// Takes the whitened residuals of a reading in; NaN where an output has none.
    pub fn take(&mut self, whitened: &[f64]) -> Option<AlarmNews> {
        let step = self.detector.take(whitened);
        let was = std::mem::replace(&mut self.last, step).alarm;
        if step.onset && !was {
            self.named = step.blame.unwrap_or(0);
        }
        let ended = was && !step.alarm;
        ((step.onset && !was) || ended).then_some(AlarmNews { output: self.named, score: step.score, ended })
    }

    /// For the run's hash.
    pub fn state_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.last.score.to_bits().to_le_bytes());
        bytes.extend(self.detector.threshold().to_bits().to_le_bytes());
        bytes.push(u8::from(self.last.alarm));
    }
}
