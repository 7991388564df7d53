//! The extended Kalman filter over a network: storages, inputs and learnt parameters in one joint state.
//!
//! An input that was read is known; over a gap or a forecast it is a mean-reverting process, and its covariance with the
//! storages is carried along. Positive parameters are learnt in the logarithm. Readings have the variance of their noise
//! and of their quantisation (q²/12; Widrow & Kollár, *Quantization Noise*, ch. 5).
//!
//! ```
//! # use twinfleet_engine::{dynamics::DynamicsDef, predict::{Estimator, kalman::Filter}, time::Span};
//! let def = DynamicsDef::from_ron(r#"(
//!     parameters: {"c": (value: 100.0), "g": (value: 1.0),
//!                  "room": (value: 20.0, prior: Linear(5.0), per_recording: true)},
//!     boundaries: [(name: "room", at: Parameter("room"))],
//!     storages: [(name: "box", capacity: "c")],
//!     conductances: [(between: ("box", "room"), value: "g")],
//!     outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)],
//! )"#).unwrap();
//! let mut twin = Filter::new(&def, &[]).unwrap();
//! for k in 0..600 {
//!     twin.predict(Span::from_secs(1), &[]);
//!     // The box cools towards a room of 24 °C, which the twin learns.
//!     twin.update(0, 24.0 + 16.0 * (-0.01 * f64::from(k)).exp());
//! }
//! let room = twin.state().into_iter().find(|(name, _)| name == "room").unwrap().1;
//! assert!((room.mean - 24.0).abs() < 0.5);
//! ```

mod branch;
mod propagate;
mod tangent;

use self::propagate::{Scratch, with_scratch};
use super::{Estimator, Gaussian, Innovation, Tangent, load::Load};
use crate::{
    dynamics::{
        definition::{DynamicsDef, TimingDef},
        dense::Mat,
        flow::take_reading,
        model::{DynamicsError, Model, Output, Parameter},
        step::Reversion,
    },
    time::Span,
};
use std::{collections::BTreeMap, sync::Arc};

/// Standard deviation of all storages together before the first reading, [K].
const NOTHING_KNOWN_K: f64 = 100.0;

/// A filter that follows one device.
#[derive(Clone, Debug)]
pub struct Filter {
    fixed: Arc<Fixed>,
    /// States, then inputs.
    y: Vec<f64>,
    /// Learnt parameters, each in its space.
    eta: Vec<f64>,
    /// All parameters, in their units; those of twins that learn none are shared.
    theta: Arc<[f64]>,
    /// Covariance of states, inputs, learnt parameters.
    p: Mat,
    loads: Vec<Load>,
    /// Factor on the storages' noise.
    restless: f64,
}

/// What never changes, shared between the copies.
#[derive(Debug)]
struct Fixed {
    model: Model,
    /// Indices of the learnt parameters: first those that drift, in their order, then the others.
    learnt: Vec<usize>,
    /// How many of them drift.
    drifting: usize,
    /// Of each parameter, its place among the learnt ones.
    column: Vec<Option<usize>>,
    /// Whether a learnt parameter is part of what rates are divided by.
    rates_matter: bool,
    /// Whether parameters were named that are learnt as it goes.
    learns: bool,
    outputs: Vec<String>,
    inputs: Vec<String>,
}

impl Filter {
    /// A filter over a network. Learnt are the named parameters and those of which each recording has its own.
    ///
    /// # Errors
    /// When the network does not compile, or `learn` names no free parameter.
    pub fn new(def: &DynamicsDef, learn: &[String]) -> Result<Self, DynamicsError> {
        Self::with_covariates(def, learn, &BTreeMap::new())
    }

    /// The same for a device of which covariates are known.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_covariates(
        def: &DynamicsDef,
        learn: &[String],
        covariates: &BTreeMap<String, f64>,
    ) -> Result<Self, DynamicsError> {
        let model = Model::compile(def, covariates)?;
        for name in learn {
            let p = model.parameter(name).map(|i| &model.parameters[i]);
            if !p.is_some_and(Parameter::is_free) {
                return Err(DynamicsError::Figure {
                    place: "learn".to_owned(),
                    why: format!("`{name}` is no parameter with a prior, so it cannot be learnt"),
                });
            }
        }
        let mut learnt: Vec<usize> = (0..model.parameters.len())
            .filter(|i| {
                let p = &model.parameters[*i];
                p.is_free() && (p.per_recording || learn.contains(&p.name))
            })
            .collect();
        let drifts = |i: &usize| model.parameters[*i].drift_per_sqrt_s != 0.0;
        learnt.sort_by_key(|i| !drifts(i));
        let drifting = learnt.iter().filter(|i| drifts(i)).count();
        let column = (0..model.parameters.len()).map(|i| learnt.iter().position(|l| *l == i)).collect();
        let rates_matter = learnt.iter().any(|i| model.scales_rates(*i));
        let theta = model.values();
        let eta = learnt.iter().map(|i| model.parameters[*i].to_space(theta[*i])).collect();
        let loads: Vec<Load> =
            model.inputs.iter().map(|i| Load::new(i.mean, i.std, i.correlation_s)).collect();
        let u: Vec<f64> = model.inputs.iter().map(|i| i.mean).collect();
        let (y, p) = Self::start(&model, &theta, &learnt, &u);
        let outputs = model.outputs.iter().map(|o| o.signal.clone()).collect();
        let inputs = model.inputs.iter().map(|i| i.signal.clone()).collect();
        let learns = !learn.is_empty();
        let fixed =
            Arc::new(Fixed { model, learnt, drifting, column, rates_matter, learns, outputs, inputs });
        Ok(Self { fixed, y, eta, theta: theta.into(), p, loads, restless: 1.0 })
    }

    /// Before the first reading all states are anywhere, but near each other; so that reading finds them all.
    fn start(model: &Model, theta: &[f64], learnt: &[usize], u: &[f64]) -> (Vec<f64>, Mat) {
        let (n, m) = (model.states(), u.len());
        let rest = model.resting_c(theta, u);
        let mut y: Vec<f64> = model.starts.iter().map(|s| s.initial_c.unwrap_or(rest)).collect();
        y.extend_from_slice(u);
        let mut p = Mat::zeros(n + m + learnt.len(), n + m + learnt.len());
        for (i, a) in model.starts.iter().enumerate() {
            for (j, b) in model.starts.iter().enumerate() {
                if a.initial_c.is_none() && b.initial_c.is_none() {
                    p[(i, j)] += NOTHING_KNOWN_K * NOTHING_KNOWN_K;
                }
            }
            p[(i, i)] += a.std_k * a.std_k;
        }
        for (k, input) in model.inputs.iter().enumerate() {
            p[(n + k, n + k)] = input.std * input.std;
        }
        for (k, i) in learnt.iter().enumerate() {
            let sd = model.parameters[*i].prior_sd();
            p[(n + m + k, n + m + k)] = sd * sd;
        }
        (y, p)
    }

    /// The network it carries.
    pub fn model(&self) -> &Model {
        &self.fixed.model
    }

    /// Values of all parameters, in their units.
    pub fn parameters(&self) -> &[f64] {
        &self.theta
    }

    /// Temperatures of all states, [°C].
    pub fn states(&self) -> &[f64] {
        &self.y[..self.fixed.model.states()]
    }

    /// How an input moves that is not known.
    fn reversion(&self, input: usize) -> Reversion {
        let load = &self.loads[input];
        Reversion { mean: load.mean(), rate_per_s: 1.0 / load.correlation_s() }
    }

    /// The input is known to have this value: an exact reading.
    fn pin_input(&mut self, k: usize, value: f64, s: &mut Scratch) {
        let i = self.fixed.model.states() + k;
        let var = self.p[(i, i)];
        if var > 1e-12 {
            self.correct(i, value - self.y[i], var, 0.0, s);
        }
        self.y[i] = value;
        for l in 0..self.p.rows {
            self.p[(i, l)] = 0.0;
            self.p[(l, i)] = 0.0;
        }
    }

    /// Kalman step for a scalar reading of joint state `i`.
    fn correct(&mut self, i: usize, residual: f64, var: f64, noise: f64, s: &mut Scratch) {
        let (dim, total) = (self.y.len(), self.p.rows);
        let Scratch { column, gain, .. } = s;
        column.clear();
        column.extend_from_slice(self.p.row(i));
        gain.clear();
        gain.extend(column.iter().map(|c| c / var));
        for (y, k) in self.y.iter_mut().zip(&*gain) {
            *y += k * residual;
        }
        for (e, k) in self.eta.iter_mut().zip(&gain[dim..]) {
            *e += k * residual;
        }
        take_reading(total, &mut self.p.a, column, gain, column[i] + noise);
        if self.eta.is_empty() {
            return;
        }
        let theta = Arc::make_mut(&mut self.theta);
        for (q, eta) in self.fixed.learnt.iter().zip(&mut self.eta) {
            let p = &self.fixed.model.parameters[*q];
            let value = p.from_space(*eta);
            // At a bound the space has one too; elsewhere the way back would only round.
            if value == p.bounds.0 || value == p.bounds.1 {
                *eta = p.to_space(value);
            }
            theta[*q] = value;
        }
    }

    /// Carries the state forward by `dt`, and tells how if it is asked to.
    fn carry(&mut self, dt: Span, inputs: &[Option<f64>], tangent: Option<&mut Tangent>) {
        let dt_s = dt.as_secs_f64().max(0.0);
        let fixed = Arc::clone(&self.fixed);
        let read = |k: usize| {
            let (low, high) = fixed.model.inputs[k].range;
            let value = inputs.get(k).copied().flatten().filter(|v| v.is_finite());
            value.map(|v| v.clamp(low, high))
        };
        with_scratch(|s| {
            s.moves.clear();
            for (k, input) in fixed.model.inputs.iter().enumerate() {
                let value = read(k);
                if let (Some(v), TimingDef::Averaged) = (value, input.timing) {
                    self.pin_input(k, v, s);
                }
                let i = fixed.model.states() + k;
                let held = value.is_some() && (input.timing == TimingDef::Averaged || self.p[(i, i)] == 0.0);
                s.moves.push(if held { Reversion::HELD } else { self.reversion(k) });
            }
            if dt_s > 0.0 {
                self.propagate(dt_s, s);
                self.take_over(s);
            }
            if let Some(tangent) = tangent {
                self.trace(dt_s > 0.0, s, tangent);
            }
            for k in 0..fixed.model.inputs.len() {
                match read(k) {
                    Some(v) => {
                        // One that stands for the whole step was pinned before it.
                        if fixed.model.inputs[k].timing != TimingDef::Averaged {
                            self.pin_input(k, v, s);
                        }
                        self.loads[k].observe(v, dt_s);
                    }
                    None => self.loads[k].skip(),
                }
            }
        });
    }

    /// What readings of all outputs would be after `horizon`, with some inputs planned to stay at a known value.
    pub fn forecast_planned(&self, horizon: Span, planned: &[Option<f64>]) -> Vec<Gaussian> {
        if planned.iter().all(Option::is_none) {
            return self.forecast(horizon);
        }
        let mut start = self.clone();
        with_scratch(|s| {
            for (k, value) in planned.iter().enumerate().take(start.loads.len()) {
                if let Some(value) = value {
                    start.pin_input(k, *value, s);
                }
            }
        });
        let held = |k: usize| planned.get(k).is_some_and(Option::is_some);
        start.readings_after(horizon, |k| if held(k) { Reversion::HELD } else { start.reversion(k) })
    }

    fn readings_after(&self, horizon: Span, input: impl Fn(usize) -> Reversion) -> Vec<Gaussian> {
        with_scratch(|s| {
            s.moves.clear();
            s.moves.extend((0..self.loads.len()).map(input));
            self.propagate(horizon.as_secs_f64().max(0.0), s);
            self.fixed.model.outputs.iter().map(|o| reading(s, o)).collect()
        })
    }
}

/// What a reading would be after the step that is in `s`.
fn reading(s: &Scratch, o: &Output) -> Gaussian {
    Gaussian { mean: s.y[o.state], var: s.var(o.state) + o.variance() }
}

/// How often a step fits into a longer one: more often than this it is made anew.
const MOST_TIMES: i64 = 64;

impl Estimator for Filter {
    fn outputs(&self) -> &[String] {
        &self.fixed.outputs
    }

    fn inputs(&self) -> &[String] {
        &self.fixed.inputs
    }

    fn input_range(&self, input: usize) -> (f64, f64) {
        self.fixed.model.inputs[input].range
    }

    fn untold(&self, input: usize) -> Option<f64> {
        self.fixed.model.inputs[input].untold
    }

    fn quantum(&self, output: usize) -> f64 {
        self.fixed.model.outputs[output].quantum
    }

    fn noise_std(&self, output: usize) -> f64 {
        self.fixed.model.outputs[output].noise_std
    }

    fn predict(&mut self, dt: Span, inputs: &[Option<f64>]) {
        self.carry(dt, inputs, None);
    }

    fn predict_traced(&mut self, dt: Span, inputs: &[Option<f64>], tangent: &mut Tangent) {
        self.carry(dt, inputs, Some(tangent));
    }

    fn restless(&self) -> f64 {
        self.restless
    }

    fn set_restless(&mut self, factor: f64) {
        self.restless = factor;
    }

    fn learns(&self) -> bool {
        self.fixed.learns
    }

    fn entries(&self) -> (usize, usize) {
        let n = self.fixed.model.states();
        (n, n + self.fixed.learnt.len())
    }

    fn leads(&self, input: usize) -> bool {
        self.fixed.model.inputs[input].timing != TimingDef::Averaged
    }

    fn reads(&self, output: usize) -> usize {
        self.fixed.model.outputs[output].state
    }

    fn gain(&self, output: usize, gain: &mut [f64]) {
        self.gain_into(output, gain);
    }

    fn expected(&self, output: usize) -> Gaussian {
        let o = &self.fixed.model.outputs[output];
        Gaussian { mean: self.y[o.state], var: self.p[(o.state, o.state)] + o.variance() }
    }

    fn update(&mut self, output: usize, value: f64) -> Innovation {
        let expected = self.expected(output);
        if !value.is_finite() {
            return Innovation { residual: 0.0, var: expected.var };
        }
        let o = &self.fixed.model.outputs[output];
        let (state, noise) = (o.state, o.variance());
        let residual = value - expected.mean;
        with_scratch(|s| self.correct(state, residual, expected.var, noise, s));
        Innovation { residual, var: expected.var }
    }

    fn forecast(&self, horizon: Span) -> Vec<Gaussian> {
        self.readings_after(horizon, |k| self.reversion(k))
    }

    fn forecasts(&self, horizons: &[Span], told: &mut dyn FnMut(usize, usize, Gaussian)) {
        with_scratch(|s| {
            s.moves.clear();
            s.moves.extend((0..self.loads.len()).map(|k| self.reversion(k)));
            let mut made = Span::ZERO;
            for (h, horizon) in horizons.iter().enumerate() {
                let times = if made > Span::ZERO { horizon.0 / made.0 } else { 0 };
                let fits = (1..=MOST_TIMES).contains(&times) && made.0 * times == horizon.0;
                if fits && self.fixed.model.is_linear() {
                    self.propagate_on(times as u32, s);
                } else {
                    self.propagate(horizon.as_secs_f64().max(0.0), s);
                    made = *horizon;
                }
                for (o, output) in self.fixed.model.outputs.iter().enumerate() {
                    told(h, o, reading(s, output));
                }
            }
        });
    }

    fn state(&self) -> Vec<(String, Gaussian)> {
        let model = &self.fixed.model;
        let dim = self.y.len();
        let states = model
            .starts
            .iter()
            .enumerate()
            .map(|(i, s)| (s.name.clone(), Gaussian { mean: self.y[i], var: self.p[(i, i)] }));
        let learnt = model.parameters.iter().enumerate().filter_map(|(q, p)| {
            let k = self.fixed.column[q]?;
            let slope = p.slope(self.theta[q]);
            let var = slope * slope * self.p[(dim + k, dim + k)];
            Some((p.name.clone(), Gaussian { mean: self.theta[q], var }))
        });
        states.chain(learnt).collect()
    }

    fn fork(&self) -> Box<dyn Estimator> {
        Box::new(self.clone())
    }

    fn numbers(&self, out: &mut Vec<f64>) -> bool {
        out.extend(self.y.iter().chain(&self.eta).chain(&self.p.a));
        out.extend(self.fixed.learnt.iter().map(|i| self.theta[*i]));
        out.extend(self.loads.iter().flat_map(Load::numbers));
        true
    }

    fn set_numbers(&mut self, mut numbers: &[f64]) {
        for part in [&mut self.y, &mut self.eta, &mut self.p.a] {
            let (mine, rest) = numbers.split_at(part.len());
            part.copy_from_slice(mine);
            numbers = rest;
        }
        if !self.eta.is_empty() {
            let theta = Arc::make_mut(&mut self.theta);
            for i in &self.fixed.learnt {
                let (mine, rest) = numbers.split_at(1);
                theta[*i] = mine[0];
                numbers = rest;
            }
        }
        for (load, mine) in self.loads.iter_mut().zip(numbers.as_chunks::<{ Load::NUMBERS }>().0) {
            load.set_numbers(*mine);
        }
    }

    fn state_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for x in self.y.iter().chain(&*self.theta).chain(&self.p.a) {
            out.extend_from_slice(&x.to_le_bytes());
        }
        for l in &self.loads {
            l.bytes(&mut out);
        }
        out
    }
}
