//! Intervals of forecasts that come row by row: two quantiles that follow what was missed, around a bias that does too.
//!
//! Each side's distance is tracked by the gradient of its own pinball loss, in units of the recent error (quantile tracking as
//! in Angelopoulos, Candès and Tibshirani, *Conformal PID Control for Time Series Prediction*, NeurIPS 2023), so that a share
//! (1 − interval)/2 lies beyond either side in the long run whatever the series does. An interval that only grows cannot
//! re-centre: the mean error is tracked beside it.
//!
//! ```
//! use twinfleet_engine::predict::conformal::Lane;
//! let mut lane = Lane::new(0.9);
//! for i in 0..2000 {
//!     lane.observe(f64::from(i % 11) - 5.0 + 100.0, 1.0); // errors of -5 to 5 about a bias of 100
//! }
//! let (lower, upper) = lane.bounds(1.0);
//! assert!((90.0..97.0).contains(&lower) && (103.0..110.0).contains(&upper));
//! ```

/// The interval of one target at one horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    miss: f64,
    /// Distances below and above the bias, in units of the recent error.
    below: f64,
    above: f64,
    bias: f64,
    /// Mean absolute error of late, in units of the scale given.
    error: f64,
    seen: u32,
}

/// Share of the way to a new error that the mean error goes.
const ERROR_RATE: f64 = 0.01;
/// The same of the bias.
const BIAS_RATE: f64 = 0.02;
/// Step of the quantiles, in units of the recent error.
const QUANTILE_RATE: f64 = 0.04;

impl Lane {
    /// An interval that shall hold with this probability, 0–1.
    pub fn new(interval: f64) -> Self {
        let interval = interval.clamp(0.01, 0.999);
        // Of normal errors, the quantile in units of the mean absolute one.
        let start =
            super::interval::normal_quantile(0.5 + 0.5 * interval) * (std::f64::consts::PI / 2.0).sqrt();
        Self { miss: 1.0 - interval, below: start, above: start, bias: 0.0, error: 0.0, seen: 0 }
    }

    /// Takes in what came minus what was forecast, where `scale` was expected of its size (1 where nothing was).
    pub fn observe(&mut self, error: f64, scale: f64) {
        let e = error / scale;
        if !e.is_finite() {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        // The first errors count as much as their number allows.
        let fresh = 1.0 / f64::from(self.seen);
        let off = e - self.bias;
        self.error += (off.abs() - self.error) * ERROR_RATE.max(fresh);
        self.bias += off * BIAS_RATE.max(fresh);
        if self.error > 0.0 {
            let side = 0.5 * self.miss;
            let step = QUANTILE_RATE.max(fresh.min(0.2));
            let s = off / self.error;
            self.above += step * if s > self.above { 1.0 - side } else { -side };
            self.below += step * if -s > self.below { 1.0 - side } else { -side };
            // The bounds never cross.
            self.above = self.above.max(-self.below + 1e-6);
        }
    }

    /// What is to be added to a forecast for its lower and upper bound.
    pub fn bounds(&self, scale: f64) -> (f64, f64) {
        let (low, high) = (self.bias - self.below * self.error, self.bias + self.above * self.error);
        (low * scale, high * scale)
    }

    /// Mean error of late, in units of the scale.
    pub fn bias(&self) -> f64 {
        self.bias
    }

    /// Errors taken in.
    pub fn seen(&self) -> u32 {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand_distr::{Distribution, StandardNormal};

    /// Share held over the second half, for errors with a jump of the mean and of the spread.
    fn coverage(interval: f64, jump: f64, spread: f64) -> f64 {
        let mut rng = stream(7, "conformal", "errors");
        let mut lane = Lane::new(interval);
        let n = 20_000;
        let mut held = 0;
        for i in 0..n {
            let (mean, std) = if i < n / 2 { (0.0, 1.0) } else { (jump, spread) };
            let z: f64 = StandardNormal.sample(&mut rng);
            let error = mean + std * z;
            let (low, high) = lane.bounds(1.0);
            held += usize::from(i >= n / 2 && (low..=high).contains(&error));
            lane.observe(error, 1.0);
        }
        held as f64 / (n / 2) as f64
    }

    #[test]
    fn what_is_promised_is_held_after_the_errors_change() {
        for (interval, jump, spread) in [(0.9, 0.0, 1.0), (0.9, 5.0, 3.0), (0.5, -2.0, 0.3), (0.98, 1.0, 2.0)]
        {
            let share = coverage(interval, jump, spread);
            assert!((share - interval).abs() < 0.02, "{interval}, jump {jump}, spread {spread}: {share}");
        }
    }
}
