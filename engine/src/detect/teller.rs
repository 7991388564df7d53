//! When a detector without clean data speaks: an event begins by the contract, and is over when scores are usual again.

use super::{Contract, contract::Peaks, rank::Ranks};

/// An event is over after so many rows that are as usual as nine in ten.
const CALM_ROWS: u32 = 10;
/// Share of scores that are not usual.
const UNUSUAL: f64 = 0.1;

/// Tells events from scores, by the scores before them.
#[derive(Clone, Debug)]
pub struct Teller {
    contract: Contract,
    peaks: Peaks,
    scores: Ranks,
    alarm: bool,
    calm: u32,
}

impl Teller {
    /// No scores yet.
    pub fn new(contract: Contract) -> Self {
        let peaks = Peaks::new(contract);
        Self { contract, peaks, scores: Ranks::default(), alarm: false, calm: 0 }
    }

    /// Takes a score in: whether something is wrong now, and whether that begins with it.
    pub fn take(&mut self, score: f64) -> (bool, bool) {
        let onset = self.peaks.take(score);
        let usual = score <= self.scores.quantile(UNUSUAL);
        self.scores.push(score);
        self.calm = if usual { self.calm + 1 } else { 0 };
        self.alarm = onset || self.alarm && self.calm < CALM_ROWS;
        (self.alarm, onset)
    }

    /// Takes a score in that tells nothing.
    pub fn remember(&mut self, score: f64) {
        self.peaks.remember(score);
        self.scores.push(score);
    }

    /// Scores will be of another kind from now on; what is wrong stays wrong.
    pub fn forget_scores(&mut self) {
        self.peaks = self.peaks.afresh(self.contract);
        self.scores = Ranks::default();
    }

    /// The score that begins an event.
    pub fn threshold(&self) -> f64 {
        self.peaks.threshold()
    }
}
