//! Detectors: whether a stream's readings are still like those before them, one row at a time, the same code offline and
//! live.
//!
//! Reading order: what a row becomes ([`scale`], [`features`], [`autoregression`], [`counters`]), how unlike the past it is
//! ([`neighbours`], [`gauss`]), how rare that is ([`rank`], [`tail`]), how rare it has to be ([`contract`], [`teller`], and
//! over a fleet [`fdr`]), and the
//! two detectors: [`novelty`] learns as it goes and needs no clean data, [`trained`] learns what clean rows of several
//! signals look like together and names the signal that leaves them; both watch for signals that stop ([`standstill`]). [`ranked`] and [`pca`] are the textbook's, to be measured
//! against; [`metrics`] judges all against labels.
//!
//! # False alarms
//! Both keep a [`Contract`]: at most one false onset in so many rows, on average, while the stream stays what it was. The
//! tests count what was promised.
//!
//! ```
//! use twinfleet_engine::detect::{Contract, Detector, novelty::Novelty};
//! let mut watch = Novelty::new(1, Contract::default());
//! let (mut onsets, mut dice) = (Vec::new(), 1u32);
//! for k in 0..900 {
//!     dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
//!     let noise = f64::from(dice >> 8) / f64::from(1 << 24) - 0.5;
//!     let step = watch.take(&[if k < 700 { noise } else { noise + 5.0 }]);
//!     onsets.extend(step.onset.then_some(k));
//! }
//! assert!(onsets.iter().any(|k| (700..710).contains(k)), "{onsets:?}");
//! ```

pub mod autoregression;
pub mod contract;
pub mod counters;
pub mod fdr;
pub mod features;
pub mod gauss;
pub mod metrics;
pub mod neighbours;
pub mod novelty;
pub mod pca;
pub mod rank;
pub mod ranked;
pub mod scale;
pub mod standstill;
pub mod statistics;
pub mod tail;
pub mod teller;
#[cfg(test)]
mod tests;
pub mod trained;

pub use contract::Contract;

/// What a detector says of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// How unusual the row is; 0 where nothing is known yet. Of normal behaviour, −log₁₀ of the probability of such a row; of
    /// novelty, the mean over its views of −log₁₀ of the share of earlier rows that are as unlike what was before them: to be
    /// held against [`Detector::threshold`], no probability of the row (views agree on what is rare more often than chance).
    pub score: f64,
    /// Whether something is wrong now.
    pub alarm: bool,
    /// Whether that begins with this row.
    pub onset: bool,
    /// The signal that speaks most for it, by its place in the row.
    pub blame: Option<usize>,
}

/// A detector that is fed row by row. A value that is not finite is a reading that is missing.
pub trait Detector: Send + Sync {
    /// Takes a row in: one value for each signal.
    fn take(&mut self, row: &[f64]) -> Step;
    /// Before a row: for so many rows' time nothing came ([`standstill::Pace`]). Those that do not know of gaps pass over it.
    fn pause(&mut self, _rows: f64) {}
    /// The score from which on an onset is told, on the scale of [`Step::score`]; infinite while it is learning.
    fn threshold(&self) -> f64;
}
