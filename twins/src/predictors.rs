//! Forecasters of series: what is known of a channel so far gives what it will be, over many horizons at once.
//!
//! [`series`] puts the rows of a table on a regular grid, [`task`] says what is forecast from what; a [`Model`] learns from
//! the grid before a slot and forecasts from any origin, [`find`] makes one by its name. A model sees of a channel what was
//! there at the origin, and of a channel that is known ahead also the slots after it: nothing else reaches it.

pub mod blend;
pub mod linear;
pub mod live;
pub mod naive;
pub mod network;
pub mod phases;
pub mod series;
pub mod task;
pub mod wide;
pub mod window;

use task::Task;

/// A forecaster.
pub trait Model: Send + Sync {
    /// Learns from the slots before `until`.
    fn fit(&mut self, task: &Task, until: usize);

    /// Forecasts from these origins, which ascend from call to call: `out` has for each of them one value for each target
    /// and, within it, each horizon. What cannot be told is NaN.
    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]);

    /// What it found while it learnt, in a line for people; empty where there is nothing to tell.
    fn about(&self) -> String {
        String::new()
    }
}

/// Name and description of each forecaster of series.
pub const NAMES: [(&str, &str); 7] = [
    ("blend", "the others' average, weighted by what each missed by of late (the default)"),
    (
        "ridge",
        "ridge regression on the last 336 rows, counted from their last: one for all targets, in closed form",
    ),
    ("own", "regression on each target's own past, hour, day and seasons"),
    ("wide", "the same on all channels, and on what is known ahead"),
    (
        "phases",
        "what is usual at this time of the day, on such a day, of the week, and how long what is unusual lasts",
    ),
    (
        "seasonal",
        "what was read one season ago (a day, a week, or the period found in the series) comes again",
    ),
    ("persistence", "the last reading stays"),
];

/// A forecaster by its name.
pub fn find(name: &str, task: &Task) -> Option<Box<dyn Model>> {
    match name {
        "blend" => Some(Box::new(blend::Blend::new(task))),
        "ridge" => Some(Box::new(window::Window::new(336, true, window::Centre::Last))),
        "own" => Some(Box::new(wide::Wide::new(false))),
        "wide" => Some(Box::new(wide::Wide::new(true))),
        "phases" => Some(Box::new(phases::Phases::default())),
        "persistence" => Some(Box::new(naive::Persistence)),
        "seasonal" => Some(Box::new(naive::Seasonal::default())),
        _ => None,
    }
}
