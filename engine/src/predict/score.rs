//! How good forecasts were: error beside persistence, and the share of intervals that held.
//!
//! ```
//! use twinfleet_engine::predict::score::Score;
//! let mut score = Score::default();
//! score.add(21.0, (20.0, 22.0), 20.0, 21.5); // forecast, interval, last reading at the origin, what came
//! assert_eq!((score.n(), score.rmse(), score.rmse_persistence(), score.coverage()), (1, 0.5, 1.5, 1.0));
//! ```

/// Running figures over a series of forecasts of one output at one horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    n: u64,
    squares: f64,
    squares_persistence: f64,
    held: u64,
    widths: f64,
}

impl Score {
    /// Adds a forecast that has come due: its mean and interval, the last reading when it was issued, and what came.
    pub fn add(&mut self, forecast: f64, interval: (f64, f64), last: f64, came: f64) {
        self.n += 1;
        self.squares += (forecast - came).powi(2);
        self.squares_persistence += (last - came).powi(2);
        self.held += u64::from((interval.0..=interval.1).contains(&came));
        self.widths += interval.1 - interval.0;
    }

    /// Adds another series' figures.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.squares += other.squares;
        self.squares_persistence += other.squares_persistence;
        self.held += other.held;
        self.widths += other.widths;
    }

    /// Number of forecasts.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Root mean square error, in the output's unit; NaN without forecasts.
    pub fn rmse(&self) -> f64 {
        (self.squares / self.n as f64).sqrt()
    }

    /// The same of the naive forecast that nothing changes.
    pub fn rmse_persistence(&self) -> f64 {
        (self.squares_persistence / self.n as f64).sqrt()
    }

    /// Share of intervals that held.
    pub fn coverage(&self) -> f64 {
        self.held as f64 / self.n as f64
    }

    /// Mean width of the intervals.
    pub fn mean_width(&self) -> f64 {
        self.widths / self.n as f64
    }
}

/// Root mean square of the differences of two series; pairs with a missing (NaN) side are left out.
pub fn rmse(a: &[f64], b: &[f64]) -> f64 {
    let (mut n, mut sum) = (0u64, 0.0);
    for d in a.iter().zip(b).map(|(x, y)| x - y).filter(|d| d.is_finite()) {
        n += 1;
        sum += d * d;
    }
    (sum / n as f64).sqrt()
}
