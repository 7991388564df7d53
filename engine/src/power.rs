//! Batteries and supply states.
//!
//! Two kinds of battery. [`simple`] is an open-circuit curve behind a resistance: its device is off for good once it
//! no longer holds the board. [`pack`] is made of catalog cells: two wells of charge ([`kibam`]) behind a resistance and a
//! relaxation branch ([`thevenin`]), both depending on temperature and age ([`cell`]), a regulator ([`regulator`]) and
//! perhaps a panel ([`solar`]); a device that it lets down is reset and starts again.
//!
//! Both are brought forward when their device wakes, exactly for currents that are constant between: a device that sleeps
//! costs nothing.
//!
//! ```
//! use twinfleet_engine::power::kibam::{Kibam, Wells};
//! let model = Kibam { c: 0.3, k_per_s: 1e-4 };
//! let mut wells = Wells { total: 1.0, gap: 0.0 };
//! model.step(&mut wells, 1e-4, 1000.0);
//! let tired = model.head(&wells);
//! model.step(&mut wells, 0.0, 1e6);
//! assert!(tired < 0.9 && (model.head(&wells) - 0.9).abs() < 1e-9, "at rest it recovers what was bound");
//! ```

pub(crate) mod bank;
pub mod cell;
pub mod kibam;
pub mod life;
pub mod pack;
pub mod regulator;
pub mod simple;
pub mod solar;
pub mod thevenin;

pub(crate) use simple::Batteries;
pub use simple::Supply;

/// Seconds in an hour.
pub(crate) const HOUR_S: f64 = 3600.0;
/// Hours in a mean month, 365.25 · 24 / 12.
pub(crate) const MONTH_H: f64 = 730.5;

/// A curve of points that ascend in their first number: linear between them, level beyond.
pub fn along(curve: &[(f64, f64)], at: f64) -> f64 {
    let after = curve.partition_point(|(x, _)| *x < at);
    match (after.checked_sub(1).and_then(|i| curve.get(i)), curve.get(after)) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (at - x0) / (x1 - x0),
        (Some((_, y)), None) | (None, Some((_, y))) => *y,
        (None, None) => 0.0,
    }
}
