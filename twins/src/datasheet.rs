//! A part on the bench: many simulated units of it, measured through the engine's own door as one would measure real ones, so
//! that what its file states and what a datasheet says can be held against what comes out.
//!
//! ```
//! use twinfleet_twins::{catalog, datasheet::{self, Effort}};
//! let all = catalog::builtin().unwrap();
//! let found = datasheet::measure(&all, "sht31", Effort { units: 60, seed: 7 }).unwrap();
//! let tau = found.iter().find(|f| f.channel == "humidity" && f.name == "tau63").unwrap();
//! assert!((tau.value - 8.0).abs() < 0.2 && tau.unit == "s");
//! ```

pub mod allan;
mod bench;
mod board;
mod compare;
mod current;
mod latch;
mod sensor;
mod stated;
mod step;

pub use board::{Read, converter};
pub use compare::{Compared, compare};
pub use sensor::{Range, allan_of};
pub use stated::{Stated, stated};
pub use step::{Response, follows, responses};

use twinfleet_engine::catalog::Catalog;

/// How much is measured: units of the part, and the seed that they are drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Units of the part; a spread over them is known to one part in √(2·units).
    pub units: u32,
    /// Seed of the run.
    pub seed: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { units: 400, seed: 1 }
    }
}

/// A measured figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The quantity, or `part`, `supply`, `adc`, `clock`, `level`.
    pub channel: String,
    /// Which figure, such as `noise_std`, `tau63`, `hysteresis`.
    pub name: String,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: String,
    /// How far it may be off by chance, one standard error.
    pub error: f64,
}

impl Figure {
    fn new(channel: &str, name: &str, value: f64, unit: &str, error: f64) -> Self {
        Self { channel: channel.to_owned(), name: name.to_owned(), value, unit: unit.to_owned(), error }
    }
}

/// Why a part could not be measured.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Unmeasured(String);

/// Everything measured of a sensor, an actuator or a board of the catalog, in a fixed order.
///
/// # Errors
/// Where the catalog has no such part, or the bench does not run.
pub fn measure(catalog: &Catalog, part: &str, effort: Effort) -> Result<Vec<Figure>, Unmeasured> {
    if catalog.sensors.contains_key(part) {
        return sensor::measure(catalog, part, effort);
    }
    if catalog.boards.contains_key(part) {
        return board::measure(catalog, part, effort);
    }
    if catalog.actuators.contains_key(part) {
        return current::actuator(catalog, part, effort);
    }
    Err(Unmeasured(format!("there is no sensor, board or actuator `{part}`")))
}

/// The unit of a difference of two values in this unit.
pub fn difference_unit(unit: &str) -> &str {
    if unit == "degC" { "delta_K" } else { unit }
}

/// Mean and standard deviation.
fn spread(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let var = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, var.sqrt())
}
