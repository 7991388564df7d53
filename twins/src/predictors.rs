//! Forecasters of series: what is known of a channel so far gives what it will be, over many horizons at once.
//!
//! [`series`] puts the rows of a table on a regular grid, [`task`] says what is forecast from what; a [`Model`] learns from
//! the grid before a slot and forecasts from any origin, [`find`] makes one by its name. A model sees of a channel what was
//! there at the origin, and of a channel that is known ahead also the slots after it: nothing else reaches it.

pub mod naive;
pub mod series;
pub mod task;

use task::Task;

/// A forecaster.
pub trait Model: Send + Sync {
    /// Learns from the slots before `until`.
    fn fit(&mut self, task: &Task, until: usize);

    /// Forecasts from one origin: `out` has one value for each target and, within it, each horizon. What cannot be told is
    /// NaN.
    fn forecast(&self, task: &Task, origin: usize, out: &mut [f64]);

    /// The same for several origins in a row; models for which that is cheaper do it their own way.
    fn forecast_many(&self, task: &Task, origins: &[usize], out: &mut [f64]) {
        let each = task.targets.len() * task.horizons.len();
        for (origin, out) in origins.iter().zip(out.chunks_mut(each.max(1))) {
            self.forecast(task, *origin, out);
        }
    }

    /// What it found while it learnt, in a line for people; empty where there is nothing to tell.
    fn about(&self) -> String {
        String::new()
    }
}

/// Name and description of each forecaster of series.
pub const NAMES: [(&str, &str); 2] = [
    ("persistence", "the last reading stays"),
    (
        "seasonal",
        "what was read one season ago (a day, a week, or the period found in the series) comes again",
    ),
];

/// A forecaster by its name.
pub fn find(name: &str) -> Option<Box<dyn Model>> {
    match name {
        "persistence" => Some(Box::new(naive::Persistence)),
        "seasonal" => Some(Box::new(naive::Seasonal::default())),
        _ => None,
    }
}
