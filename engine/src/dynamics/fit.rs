//! Fit
use std::collections::BTreeMap;
/// A recording as a fit sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Name, for people.
    pub name: String,
    /// Times from the first row, [s], ascending.
    pub t_s: Vec<f64>,
    /// One column per input of the network, in its order; NaN: missing.
    pub inputs: Vec<Vec<f64>>,
    /// One column per output of the network, in its order; NaN: missing.
    pub outputs: Vec<Vec<f64>>,
    /// What the recording was taken with.
    pub covariates: BTreeMap<String, f64>,
}
