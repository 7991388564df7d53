//! What is forecast from what.
//!
//! ```
//! use twinfleet_twins::predictors::{series::Series, task::Task};
//! let series = Series::new(&[0.0, 60.0, 120.0], None, vec![vec![1.0, 2.0, 4.0]]);
//! let task = Task::new(series, vec![0], vec![], vec![], vec![1, 2]);
//! assert_eq!((task.target(0, 0, 2), task.longest()), (4.0, 2));
//! ```

use super::series::Series;

/// A series and the parts that its channels play. Channels are told by their place in the series.
#[derive(Clone, Debug)]
pub struct Task {
    /// All channels.
    pub series: Series,
    /// Those to forecast.
    pub targets: Vec<usize>,
    /// Those known up to the origin only, beside the targets.
    pub inputs: Vec<usize>,
    /// Those known over the horizon, too.
    pub known: Vec<usize>,
    /// How many slots ahead, ascending.
    pub horizons: Vec<usize>,
    /// Whether the squared error counts rather than the absolute one.
    pub squared: bool,
}

impl Task {
    /// Forecasts of `targets`.
    pub fn new(
        series: Series,
        targets: Vec<usize>,
        inputs: Vec<usize>,
        known: Vec<usize>,
        horizons: Vec<usize>,
    ) -> Self {
        Self { series, targets, inputs, known, horizons, squared: true }
    }

    /// What came of a target after `ahead` slots; NaN where nothing was read, or the series is over.
    pub fn target(&self, target: usize, origin: usize, ahead: usize) -> f64 {
        self.series.channel(self.targets[target]).get(origin + ahead).copied().unwrap_or(f64::NAN)
    }

    /// The longest horizon.
    pub fn longest(&self) -> usize {
        self.horizons.last().copied().unwrap_or(0)
    }

    /// Number of values of one origin's forecast.
    pub fn width(&self) -> usize {
        self.targets.len() * self.horizons.len()
    }
}
