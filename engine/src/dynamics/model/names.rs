//! What a network's text means: its names resolved, its coefficients read, its figures checked.

use super::{Monomial, Node, Parameter};
use crate::dynamics::definition::{BoundaryAt, DynamicsDef, PriorDef};
use std::collections::BTreeMap;

/// Why a network cannot be compiled.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum DynamicsError {
    /// A name that nothing in the network carries.
    #[error("{place}: there is no {what} `{name}`{}", near.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default())]
    Unknown {
        /// Where it is used.
        place: String,
        /// What was expected: a node, a parameter, an input.
        what: &'static str,
        /// The name as written.
        name: String,
        /// A name that is spelled much like it.
        near: Option<String>,
    },
    /// A coefficient that is no product.
    #[error(
        "{place}: `{text}` is no coefficient: write a product of numbers and parameters, such as \"c_box\", \"u * area\" or \"g * lid^lid_on\""
    )]
    Coefficient {
        /// Where it is used.
        place: String,
        /// The text.
        text: String,
    },
    /// Two things of one name.
    #[error("`{0}` is defined twice")]
    Twice(String),
    /// A figure that makes no sense.
    #[error("{place}: {why}")]
    Figure {
        /// Where it stands.
        place: String,
        /// What is wrong with it, and what was expected.
        why: String,
    },
    /// A part that a network cannot do without.
    #[error("the network has no {0}")]
    Empty(&'static str),
}

pub(super) struct Names<'a> {
    pub def: &'a DynamicsDef,
    pub parameters: Vec<&'a String>,
    pub covariates: &'a BTreeMap<String, f64>,
}

pub(super) fn unknown<'a>(
    place: &str,
    what: &'static str,
    name: &str,
    among: impl Iterator<Item = &'a String>,
) -> DynamicsError {
    let near = among
        .map(|n| (strsim::jaro_winkler(n, name), n))
        .filter(|(s, _)| *s > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.clone());
    DynamicsError::Unknown { place: place.to_owned(), what, name: name.to_owned(), near }
}

impl Names<'_> {
    pub fn parameter(&self, place: &str, name: &str) -> Result<usize, DynamicsError> {
        self.parameters
            .binary_search_by(|p| p.as_str().cmp(name))
            .map_err(|_| unknown(place, "parameter", name, self.parameters.iter().copied()))
    }

    pub fn input(&self, place: &str, name: &str) -> Result<usize, DynamicsError> {
        let inputs = &self.def.inputs;
        inputs
            .iter()
            .position(|i| i.signal == name)
            .ok_or_else(|| unknown(place, "input", name, inputs.iter().map(|i| &i.signal)))
    }

    pub fn storage(&self, place: &str, name: &str) -> Result<usize, DynamicsError> {
        let storages = &self.def.storages;
        storages
            .iter()
            .position(|s| s.name == name)
            .ok_or_else(|| unknown(place, "storage", name, storages.iter().map(|s| &s.name)))
    }

    pub fn node(&self, place: &str, name: &str) -> Result<Node, DynamicsError> {
        if let Ok(i) = self.storage(place, name) {
            return Ok(Node::State(i));
        }
        let boundaries = &self.def.boundaries;
        let Some(b) = boundaries.iter().find(|b| b.name == name) else {
            let all = self.def.storages.iter().map(|s| &s.name).chain(boundaries.iter().map(|b| &b.name));
            return Err(unknown(place, "node", name, all));
        };
        match &b.at {
            BoundaryAt::Fixed(t) => Ok(Node::Fixed(*t)),
            BoundaryAt::Parameter(p) => Ok(Node::Parameter(self.parameter(place, p)?)),
            BoundaryAt::Input(i) => Ok(Node::Input(self.input(place, i)?)),
        }
    }

    pub fn covariate(&self, name: &str) -> Option<f64> {
        self.covariates.get(name).or_else(|| self.def.covariates.get(name)).copied()
    }

    pub fn coefficient(&self, place: &str, text: &str) -> Result<Monomial, DynamicsError> {
        let bad = || DynamicsError::Coefficient { place: place.to_owned(), text: text.to_owned() };
        let mut m = Monomial { scale: 1.0, factors: Vec::new() };
        for factor in text.split('*') {
            let (base, exponent) = match factor.split_once('^') {
                Some((base, exponent)) => (base.trim(), self.exponent(place, exponent.trim())?),
                None => (factor.trim(), 1.0),
            };
            if base.is_empty() {
                return Err(bad());
            }
            if let Ok(number) = base.parse::<f64>() {
                m.scale *= number.powf(exponent);
            } else if base.starts_with(|c: char| c.is_alphabetic()) {
                let i = self.parameter(place, base)?;
                match m.factors.iter_mut().find(|(j, _)| *j == i) {
                    Some((_, e)) => *e += exponent,
                    None => m.factors.push((i, exponent)),
                }
            } else {
                return Err(bad());
            }
        }
        m.factors.retain(|(_, e)| *e != 0.0);
        if m.scale.is_finite() { Ok(m) } else { Err(bad()) }
    }

    fn exponent(&self, place: &str, text: &str) -> Result<f64, DynamicsError> {
        if let Ok(number) = text.parse::<f64>() {
            return Ok(number);
        }
        self.covariate(text).ok_or_else(|| unknown(place, "covariate", text, self.def.covariates.keys()))
    }
}

pub(super) fn checked_parameters(def: &DynamicsDef) -> Result<Vec<Parameter>, DynamicsError> {
    let mut out = Vec::new();
    for (name, p) in &def.parameters {
        let figure = |why: &str| {
            Err(DynamicsError::Figure { place: format!("parameter `{name}`"), why: why.to_owned() })
        };
        if !p.value.is_finite() || p.value < p.bounds.0 || p.value > p.bounds.1 {
            return figure("its value must be a number within its bounds");
        }
        match p.prior {
            PriorDef::Log(sd) if !(sd > 0.0 && sd.is_finite() && p.value > 0.0 && p.bounds.1 > 0.0) => {
                return figure("a Log prior needs a value, an upper bound and a deviation above 0");
            }
            PriorDef::Linear(sd) if !(sd > 0.0 && sd.is_finite()) => {
                return figure("a prior's deviation must be above 0");
            }
            _ => {}
        }
        let mut bounds = p.bounds;
        if matches!(p.prior, PriorDef::Log(_)) {
            bounds.0 = bounds.0.max(p.value * 1e-6);
        }
        out.push(Parameter {
            name: name.clone(),
            unit: p.unit.clone(),
            value: p.value,
            prior: p.prior,
            bounds,
            per_recording: p.per_recording,
            drift_per_sqrt_s: p.drift_per_h / 60.0,
        });
    }
    Ok(out)
}

pub(super) fn check_figures(def: &DynamicsDef) -> Result<(), DynamicsError> {
    let figure = |place: String, why: &str| Err(DynamicsError::Figure { place, why: why.to_owned() });
    if def.storages.is_empty() {
        return Err(DynamicsError::Empty("storages"));
    }
    if def.outputs.is_empty() {
        return Err(DynamicsError::Empty("outputs"));
    }
    let mut names: Vec<&String> =
        def.storages.iter().map(|s| &s.name).chain(def.boundaries.iter().map(|b| &b.name)).collect();
    names.extend(def.inputs.iter().map(|i| &i.signal));
    names.extend(def.outputs.iter().map(|o| &o.signal));
    names.sort();
    if let Some(w) = names.windows(2).find(|w| w[0] == w[1]) {
        return Err(DynamicsError::Twice(w[0].clone()));
    }
    for i in &def.inputs {
        let (low, high) = i.range;
        if !(low.is_finite() && high.is_finite() && low < high) || i.correlation.0 <= 0 {
            return figure(
                format!("input `{}`", i.signal),
                "its range must ascend and its correlation be above 0 s",
            );
        }
        if i.std.is_some_and(|s| s.is_nan() || s <= 0.0) {
            return figure(format!("input `{}`", i.signal), "its std must be above 0");
        }
    }
    for s in &def.storages {
        let ok = |x: f64| x.is_finite() && x >= 0.0;
        if !ok(s.initial_std_k) || !ok(s.noise_k_per_sqrt_s) {
            return figure(
                format!("storage `{}`", s.name),
                "initial_std_k and noise_k_per_sqrt_s must be at least 0",
            );
        }
    }
    for o in &def.outputs {
        if !(o.noise_std.is_finite() && o.noise_std >= 0.0 && o.quantum.is_finite() && o.quantum >= 0.0) {
            return figure(format!("output `{}`", o.signal), "noise_std and quantum must be at least 0");
        }
    }
    if def.max_step.0 <= 0 {
        return figure("max_step".to_owned(), "it must be above 0 s");
    }
    Ok(())
}
