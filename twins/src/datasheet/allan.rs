//! Allan deviation: how far averages over τ differ from the next, against τ.
//!
//! ```
//! use twinfleet_twins::datasheet::allan::{Noise, deviation};
//! // White noise falls with the square root of τ.
//! let white = Noise { white_std: 2.0, period_s: 0.01, wander_std: 0.0, wander_tau_s: 0.0 };
//! assert!((white.deviation(0.01) - 2.0).abs() < 1e-12 && (white.deviation(1.0) - 0.2).abs() < 1e-12);
//! // 0, 1, 0, 1, …: neighbours differ by 1, pairs not at all.
//! let series: Vec<f64> = (0..64).map(|i| f64::from(i % 2)).collect();
//! let (tau, dev) = deviation(&series, 1.0)[0];
//! assert!(tau == 1.0 && (dev - 0.5f64.sqrt()).abs() < 1e-12);
//! ```

/// Overlapping Allan deviation of a series with this spacing, [s], at averages of 1, 2, 4, … readings up to a ninth of the
/// series: (τ, deviation). IEEE Std 952, annex C.
pub fn deviation(series: &[f64], period_s: f64) -> Vec<(f64, f64)> {
    let mut sums = Vec::with_capacity(series.len() + 1);
    sums.push(0.0);
    // About its own start, so that small differences of large values keep their digits.
    let origin = series.first().copied().unwrap_or_default();
    for x in series {
        sums.push(sums[sums.len() - 1] + (x - origin));
    }
    let mut found = Vec::new();
    let mut m = 1;
    while 9 * m <= series.len() {
        let terms = series.len() - 2 * m + 1;
        let square = |k: usize| (sums[k + 2 * m] - 2.0 * sums[k + m] + sums[k]).powi(2);
        let variance = (0..terms).map(square).sum::<f64>() / (2.0 * (m * m) as f64 * terms as f64);
        found.push((m as f64 * period_s, variance.sqrt()));
        m *= 2;
    }
    found
}

/// Root mean square over units, point by point.
pub fn together(all: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let Some(first) = all.first() else { return Vec::new() };
    let point = |i: usize| {
        let squares: f64 = all.iter().map(|one| one[i].1 * one[i].1).sum();
        (first[i].0, (squares / all.len() as f64).sqrt())
    };
    (0..first.len()).map(point).collect()
}

/// White noise of single readings, and a Gauss–Markov wander.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    /// Standard deviation of one reading's white noise; quantisation adds step/√12.
    pub white_std: f64,
    /// Spacing of the readings, [s].
    pub period_s: f64,
    /// Stationary standard deviation of the wander.
    pub wander_std: f64,
    /// Its correlation time, [s].
    pub wander_tau_s: f64,
}

impl Noise {
    /// The closed form at an averaging time, [s] (IEEE Std 952, annex C: white noise and exponentially correlated noise).
    pub fn deviation(&self, tau_s: f64) -> f64 {
        let white = self.white_std * self.white_std * self.period_s / tau_s;
        let correlated = if self.wander_std > 0.0 && self.wander_tau_s > 0.0 {
            let (t, x) = (self.wander_tau_s, tau_s / self.wander_tau_s);
            let bend = 1.0 - (3.0 - 4.0 * (-x).exp() + (-2.0 * x).exp()) / (2.0 * x);
            2.0 * self.wander_std * self.wander_std * t / tau_s * bend
        } else {
            0.0
        };
        (white + correlated.max(0.0)).sqrt()
    }
}
