//! What a calibration leaves: a RON file that overlays a network's parameters, input statistics and noise.
//!
//! ```
//! # use twinfleet_engine::dynamics::{DynamicsDef, params::Params};
//! let def = DynamicsDef::from_ron(r#"(
//!     parameters: {"c": (value: 10.0, prior: Log(1.0))},
//!     storages: [(name: "box", capacity: "c")],
//!     outputs: [(signal: "probe.temperature", node: "box")],
//! )"#).unwrap();
//! let params = Params::from_ron(r#"(
//!     format: 1, thing: "box", fitted_on: ["run.csv"],
//!     parameters: {"c": (value: 12.0, sd: 0.1, identified: true)},
//! )"#).unwrap();
//! assert_eq!(params.applied_to(&def).unwrap().parameters["c"].value, 12.0);
//! ```

use super::{
    definition::{DynamicsDef, PriorDef},
    model::DynamicsError,
};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A file that `fit` wrote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Version of the file format.
    pub format: u32,
    /// The thing whose network was fitted.
    pub thing: String,
    /// The recordings it was fitted on, so that a reader can see what is held out.
    #[serde(default)]
    pub fitted_on: Vec<String>,
    /// Parameters by name.
    pub parameters: BTreeMap<String, Fitted>,
    /// Statistics of the inputs by signal.
    #[serde(default)]
    pub inputs: BTreeMap<String, InputFigures>,
    /// Random walk of the storages by name, [K/√s].
    #[serde(default)]
    pub noise_k_per_sqrt_s: BTreeMap<String, f64>,
    /// Standard deviation of one reading's noise by signal, [K].
    #[serde(default)]
    pub noise_std: BTreeMap<String, f64>,
}

/// A fitted parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// Its value, in the parameter's unit. Where each recording has its own: the middle over the recordings.
    pub value: f64,
    /// Standard deviation, in the prior's space (of the logarithm where the prior is `Log`). Where each recording has its
    /// own: that of a recording not seen yet.
    pub sd: f64,
    /// Whether the data said more than the prior.
    pub identified: bool,
}

/// What a driving signal did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFigures {
    /// Mean, in the signal's unit.
    pub mean: f64,
    /// Standard deviation.
    pub std: f64,
    /// Time over which its autocorrelation falls to 1/e, [s].
    pub correlation_s: f64,
}

/// Why a parameter file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParamsError {
    /// RON or shape, with line and column.
    #[error("{0}")]
    Shape(#[from] Box<ron::error::SpannedError>),
    /// A later version.
    #[error("this file has format {0}; this version of twinfleet reads format 1")]
    Version(u32),
}

impl Params {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no RON of this shape, or of another format version.
    pub fn from_ron(text: &str) -> Result<Self, ParamsError> {
        let params: Self = ron::from_str(text).map_err(Box::new)?;
        if params.format == 1 { Ok(params) } else { Err(ParamsError::Version(params.format)) }
    }

    /// The file's text.
    pub fn to_ron(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new().depth_limit(3);
        // Strings, numbers and maps of them always serialise.
        let mut text = ron::ser::to_string_pretty(self, pretty).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The network with these parameters in place of its own.
    ///
    /// # Errors
    /// When the file names a parameter, input or storage that the network has not.
    pub fn applied_to(&self, def: &DynamicsDef) -> Result<DynamicsDef, DynamicsError> {
        let missing = |what, name: &str| DynamicsError::Unknown {
            place: "parameter file".to_owned(),
            what,
            name: name.to_owned(),
            near: None,
        };
        let mut def = def.clone();
        for (name, fitted) in &self.parameters {
            // What was learnt for want of a measurement is measured now.
            if !def.parameters.contains_key(name) && def.inputs.iter().any(|i| i.learnt_as(name)) {
                continue;
            }
            let p = def.parameters.get_mut(name).ok_or_else(|| missing("parameter", name))?;
            p.value = fitted.value;
            p.prior = match p.prior {
                PriorDef::Fixed => PriorDef::Fixed,
                PriorDef::Log(_) => PriorDef::Log(fitted.sd),
                PriorDef::Linear(_) => PriorDef::Linear(fitted.sd),
            };
        }
        for (name, figures) in &self.inputs {
            // What was measured is learnt now, and is supposed where it was.
            if let Some(learnt) = def.learnt_for_mut(name) {
                learnt.value = figures.mean.clamp(learnt.bounds.0, learnt.bounds.1);
                continue;
            }
            let input = def.inputs.iter_mut().find(|i| i.signal == *name);
            let input = input.ok_or_else(|| missing("input", name))?;
            input.mean = Some(figures.mean);
            input.std = Some(figures.std);
            input.correlation = Span::from_secs_f64(figures.correlation_s);
        }
        for (name, noise) in &self.noise_k_per_sqrt_s {
            let storage = def.storages.iter_mut().find(|s| s.name == *name);
            storage.ok_or_else(|| missing("storage", name))?.noise_k_per_sqrt_s = *noise;
        }
        for (name, noise) in &self.noise_std {
            let output = def.outputs.iter_mut().find(|o| o.signal == *name);
            output.ok_or_else(|| missing("output", name))?.noise_std = *noise;
        }
        Ok(def)
    }
}
