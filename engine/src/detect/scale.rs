//! One scale for readings of any unit: the median is 0, the usual spread is 1, and far values come near by a logarithm.

/// Robust standardisation of a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    centre: f64,
    spread: f64,
}

/// Beyond this many spreads, how far a value lies says nothing more.
const FAR: f64 = 1e12;

impl Scale {
    /// From the finite values of a stream's first rows: the median, and the deviation from it that a tenth exceeds. A
    /// stream that mostly stands still has a spread too, from its standard deviation.
    pub fn of(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        if sorted.is_empty() {
            return Self { centre: 0.0, spread: 1.0 };
        }
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let centre = sorted[n / 2];
        // Half of each, so that no difference of finite values overflows.
        let mut away: Vec<f64> = sorted.iter().map(|v| (v / 2.0 - centre / 2.0).abs()).collect();
        away.sort_by(f64::total_cmp);
        let largest = away[n - 1].max(f64::MIN_POSITIVE);
        let std = 2.0 * largest * (away.iter().map(|a| (a / largest).powi(2)).sum::<f64>() / n as f64).sqrt();
        let spread = (2.0 * away[n * 9 / 10]).max(0.2 * std).max(centre.abs() * 1e-9).max(1e-12);
        Self { centre, spread }
    }

    /// In spreads from the median.
    pub fn linear(&self, value: f64) -> f64 {
        ((value / self.spread) - (self.centre / self.spread)).clamp(-FAR, FAR)
    }

    /// The same, with far values brought near: `±ln(1 + |z|)`.
    pub fn compressed(&self, value: f64) -> f64 {
        let z = self.linear(value);
        z.abs().ln_1p().copysign(z)
    }
}
