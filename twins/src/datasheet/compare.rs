//! What a file states against what the bench measured.

use super::{Figure, Stated};
use serde::Serialize;

/// Share by which a measured figure may differ from the stated one, beside chance.
const TOLERANCE: f64 = 0.08;
/// Standard errors that chance is allowed.
const CHANCE: f64 = 4.5;

/// One figure, stated and measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The quantity, or `part`, `supply`, `adc`, `clock`, `level`.
    pub channel: String,
    /// Which figure.
    pub figure: String,
    /// What the file says; none where it states no such figure.
    pub stated: Option<f64>,
    /// What the bench found.
    pub measured: f64,
    /// Its standard error.
    pub error: f64,
    /// Unit of both.
    pub unit: String,
    /// Whether the two agree; none where there is nothing to hold it against.
    pub agrees: Option<bool>,
}

/// Every measured figure beside the stated one.
pub fn compare(stated: &[Stated], found: &[Figure]) -> Vec<Compared> {
    let of = |f: &Figure| stated.iter().find(|s| (&s.name, &s.channel) == (&f.name, &f.channel));
    let line = |f: &Figure| {
        let said = of(f).map(|s| s.value).filter(|x| x.is_finite());
        Compared {
            channel: f.channel.clone(),
            figure: f.name.clone(),
            stated: said,
            measured: f.value,
            error: f.error,
            unit: f.unit.clone(),
            agrees: said.and_then(|s| agrees(f, s, found)),
        }
    };
    found.iter().map(line).collect()
}

/// Least time between new values of the part, [s].
fn interval(found: &[Figure]) -> f64 {
    found.iter().find(|f| f.name == "min_interval").map_or(0.0, |f| f.value)
}

/// Whether a figure is as stated, within what chance and one step of the reading leave open.
fn agrees(f: &Figure, said: f64, found: &[Figure]) -> Option<bool> {
    let other =
        |name: &str| found.iter().find(|o| o.name == name && o.channel == f.channel).map_or(0.0, |o| o.value);
    let (step, width) = (other("quantum"), other("range_max") - other("range_min"));
    let slack = match f.name.as_str() {
        // A part without a step of its own is read through a converter that has one.
        "quantum" if said == 0.0 => return None,
        "quantum" => 0.01 * said,
        // A lag that is over before the part gives another value cannot be seen.
        "tau63" if f.value == 0.0 && said < interval(found) => return None,
        // Where a converter ends, a part ends before its own range does, and never after.
        "range_min" | "range_max" => {
            let over = if f.name == "range_max" { f.value - said } else { said - f.value };
            let slack = if over > 0.0 { step } else { step.max(0.02 * width) };
            return Some(over.abs() <= slack * (1.0 + 1e-6) + 1e-9 * width.abs());
        }
        "bits" => 0.01,
        // The last term is what sums of numbers lose.
        _ => TOLERANCE * said.abs() + CHANCE * f.error + 0.3 * step + 1e-9 * width.abs() + 1e-15,
    };
    Some((f.value - said).abs() <= slack)
}
