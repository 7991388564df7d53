//! A network compiled against its parameters: the derivative and its Jacobians.
//!
//! The state is the storages' temperatures, then the outputs of lagging sensors, all in °C.
//!
//! ```
//! # use twinfleet_engine::dynamics::{DynamicsDef, model::Model};
//! let def = DynamicsDef::from_ron(r#"(
//!     parameters: {"c": (value: 10.0), "g": (value: 2.0)},
//!     boundaries: [(name: "room", at: Fixed(20.0))],
//!     storages: [(name: "box", capacity: "c")],
//!     conductances: [(between: ("box", "room"), value: "g")],
//!     outputs: [(signal: "probe.temperature", node: "box")],
//! )"#).unwrap();
//! let model = Model::compile(&def, &Default::default()).unwrap();
//! let mut rate = [0.0];
//! model.derivative(&[25.0], &model.values(), &[], &mut rate);
//! assert_eq!(rate, [-1.0]); // 5 K · 2 W/K ÷ 10 J/K
//! ```

mod names;
mod slopes;

pub use names::DynamicsError;
pub use slopes::Jacobians;
pub(crate) use slopes::{At, By};

use names::{Names, check_figures, checked_parameters, unknown};

use super::definition::{BecomesDef, DynamicsDef, InputDef, PriorDef, TimingDef, UnsaidDef};
use std::{
    collections::BTreeMap,
    ops::{Add, Div, Mul, Neg, Sub},
};

/// Stefan–Boltzmann constant, [W/m²K⁴] (CODATA 2018).
const STEFAN_BOLTZMANN: f64 = 5.670_374_419e-8;
const ZERO_CELSIUS_K: f64 = 273.15;

/// The arithmetic that [`Model::derivative`] needs, so that tests can run it on dual numbers.
pub trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// A constant.
    fn from_f64(x: f64) -> Self;
    /// The value alone.
    fn value(self) -> f64;
    /// A power with a constant exponent.
    fn power(self, exponent: f64) -> Self;
}

impl Real for f64 {
    fn from_f64(x: f64) -> Self {
        x
    }
    fn value(self) -> f64 {
        self
    }
    fn power(self, exponent: f64) -> Self {
        if exponent == 1.0 { self } else { self.powf(exponent) }
    }
}

/// A parameter, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Its value before anything was measured, in `unit`.
    pub value: f64,
    /// Its spread.
    pub prior: PriorDef,
    /// Bounds, in `unit`.
    pub bounds: (f64, f64),
    /// Whether each recording has its own.
    pub per_recording: bool,
    /// Random walk, per √s, in the prior's space.
    pub drift_per_sqrt_s: f64,
}

impl Parameter {
    /// Whether it is fitted and learnt in the logarithm.
    pub fn is_log(&self) -> bool {
        matches!(self.prior, PriorDef::Log(_))
    }

    /// Whether it may be fitted or learnt at all.
    pub fn is_free(&self) -> bool {
        self.prior != PriorDef::Fixed
    }

    /// Standard deviation of the prior, in its space.
    pub fn prior_sd(&self) -> f64 {
        match self.prior {
            PriorDef::Fixed => 0.0,
            PriorDef::Log(sd) | PriorDef::Linear(sd) => sd,
        }
    }

    /// From the unit to the space it is learnt in.
    pub fn to_space(&self, value: f64) -> f64 {
        if self.is_log() { value.ln() } else { value }
    }

    /// From the space it is learnt in to the unit, kept within the bounds.
    pub fn from_space(&self, eta: f64) -> f64 {
        let value = if self.is_log() { eta.exp() } else { eta };
        value.clamp(self.bounds.0, self.bounds.1)
    }

    /// d value / d space, at a value.
    pub fn slope(&self, value: f64) -> f64 {
        if self.is_log() { value } else { 1.0 }
    }
}

/// A product of powers of parameters.
#[derive(Clone, Debug, PartialEq)]
struct Monomial {
    scale: f64,
    factors: Vec<(usize, f64)>,
}

impl Monomial {
    fn value<T: Real>(&self, theta: &[T]) -> T {
        self.factors.iter().fold(T::from_f64(self.scale), |v, (i, e)| v * theta[*i].power(*e))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    State(usize),
    Fixed(f64),
    Parameter(usize),
    Input(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    Power(f64),
    Radiation,
}

#[derive(Clone, Debug, PartialEq)]
struct Link {
    a: Node,
    b: Node,
    law: Law,
    value: Monomial,
    /// Input that it is multiplied with.
    gate: Option<usize>,
}

impl Link {
    fn open<T: Real>(&self, u: &[T]) -> T {
        self.gate.map_or(T::from_f64(1.0), |g| u[g])
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Source {
    into: usize,
    input: Option<usize>,
    gain: Monomial,
}

#[derive(Clone, Debug, PartialEq)]
struct Lag {
    node: Node,
    tau: Monomial,
}

/// A measured signal, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// `part.quantity`.
    pub signal: String,
    /// Its place in the state.
    pub state: usize,
    /// Standard deviation of one reading's noise, [K].
    pub noise_std: f64,
    /// Quantisation step, [K].
    pub quantum: f64,
}

impl Output {
    /// Variance of one reading about the truth, quantisation included, [K²].
    pub fn variance(&self) -> f64 {
        // A reading without any stated error would make the filter divide by zero.
        (self.noise_std * self.noise_std + self.quantum * self.quantum / 12.0).max(1e-6)
    }
}

/// A driving signal, compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// `part.quantity`.
    pub signal: String,
    /// Smallest and largest value.
    pub range: (f64, f64),
    /// What a reading stands for.
    pub timing: TimingDef,
    /// Long-run mean before anything was measured.
    pub mean: f64,
    /// Long-run standard deviation before anything was measured.
    pub std: f64,
    /// Correlation time before anything was measured, [s].
    pub correlation_s: f64,
    /// At what it stays where nobody tells it.
    pub untold: Option<f64>,
}

impl Input {
    fn new(def: &InputDef) -> Self {
        let (low, high) = def.range;
        Self {
            signal: def.signal.clone(),
            range: def.range,
            timing: def.timing,
            mean: def.mean.unwrap_or(0.5 * (low + high)),
            std: def.std.unwrap_or((high - low) / 12f64.sqrt()),
            correlation_s: def.correlation.as_secs_f64(),
            untold: def.unless_said.and_then(|u| match u {
                UnsaidDef::Stays(value) => Some(value),
                UnsaidDef::Learnt(..) => None,
            }),
        }
    }
}

/// A state's start.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Storage or lagging sensor.
    pub name: String,
    /// Stated start, [°C].
    pub initial_c: Option<f64>,
    /// Standard deviation about the first reading, [K].
    pub std_k: f64,
    /// Random walk, [K/√s].
    pub noise_k_per_sqrt_s: f64,
}

/// A compiled network.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Parameters in the order of their names.
    pub parameters: Vec<Parameter>,
    /// Driving signals.
    pub inputs: Vec<Input>,
    /// Measured signals.
    pub outputs: Vec<Output>,
    /// How each state starts.
    pub starts: Vec<Start>,
    capacities: Vec<Monomial>,
    links: Vec<Link>,
    sources: Vec<Source>,
    lags: Vec<Lag>,
    first_boundary: Node,
    linear: bool,
    max_step_s: f64,
}

impl Model {
    /// Compiles a network for a recording's covariates.
    ///
    /// # Errors
    /// When a name is not defined, a coefficient is no product, or a figure makes no sense.
    pub fn compile(def: &DynamicsDef, covariates: &BTreeMap<String, f64>) -> Result<Self, DynamicsError> {
        check_figures(def)?;
        let names = Names { def, parameters: def.parameters.keys().collect(), covariates };
        for name in covariates.keys() {
            if !def.covariates.contains_key(name) {
                return Err(unknown("covariates", "covariate", name, def.covariates.keys()));
            }
        }
        let mut model = Self {
            parameters: checked_parameters(def)?,
            inputs: def.inputs.iter().map(Input::new).collect(),
            outputs: Vec::new(),
            starts: Vec::new(),
            capacities: Vec::new(),
            links: Vec::new(),
            sources: Vec::new(),
            lags: Vec::new(),
            first_boundary: Node::Fixed(20.0),
            linear: true,
            max_step_s: def.max_step.as_secs_f64(),
        };
        if let Some(b) = def.boundaries.first() {
            model.first_boundary = names.node("boundaries", &b.name)?;
        }
        for s in &def.storages {
            let place = format!("storage `{}`", s.name);
            model.capacities.push(names.coefficient(&place, &s.capacity)?);
            model.starts.push(Start {
                name: s.name.clone(),
                initial_c: s.initial_c,
                std_k: s.initial_std_k,
                noise_k_per_sqrt_s: s.noise_k_per_sqrt_s,
            });
        }
        for c in &def.conductances {
            let place = format!("conductance `{}`–`{}`", c.between.0, c.between.1);
            if !(1.0..=4.0).contains(&c.exponent) {
                let why = "its exponent must be between 1 and 4".to_owned();
                return Err(DynamicsError::Figure { place, why });
            }
            model.linear &= c.exponent == 1.0;
            let (a, b) = (names.node(&place, &c.between.0)?, names.node(&place, &c.between.1)?);
            let value = names.coefficient(&place, &c.value)?;
            let gate = c.gate.as_ref().map(|g| names.input(&place, g)).transpose()?;
            model.links.push(Link { a, b, law: Law::Power(c.exponent), value, gate });
        }
        for r in &def.radiation {
            let place = format!("radiation `{}`–`{}`", r.between.0, r.between.1);
            let (a, b) = (names.node(&place, &r.between.0)?, names.node(&place, &r.between.1)?);
            let mut value = names.coefficient(&place, &r.area_m2)?;
            value.scale *= STEFAN_BOLTZMANN;
            model.links.push(Link { a, b, law: Law::Radiation, value, gate: None });
            model.linear = false;
        }
        for s in &def.sources {
            let place = format!("source into `{}`", s.into);
            let into = names.storage(&place, &s.into)?;
            let input = s.input.as_ref().map(|i| names.input(&place, i)).transpose()?;
            model.sources.push(Source { into, input, gain: names.coefficient(&place, &s.gain)? });
        }
        for o in &def.outputs {
            model.add_output(&names, o)?;
        }
        for e in &def.events {
            names.parameter(&format!("event `{}`", e.kind), &e.parameter)?;
            let (BecomesDef::Times(size, spread) | BecomesDef::Plus(size, spread)) = e.becomes;
            let positive = matches!(e.becomes, BecomesDef::Plus(..)) || size > 0.0;
            if !(size.is_finite() && positive && spread > 0.0 && e.per_day > 0.0) {
                return Err(DynamicsError::Figure {
                    place: format!("event `{}`", e.kind),
                    why: "a factor, a spread and a rate must be above 0".to_owned(),
                });
            }
        }
        for (m, s) in model.capacities.iter().zip(&def.storages) {
            let value = m.value(&model.values());
            if value.is_nan() || value <= 0.0 {
                let place = format!("storage `{}`", s.name);
                return Err(DynamicsError::Figure {
                    place,
                    why: "its capacity must be above 0 J/K".to_owned(),
                });
            }
        }
        Ok(model)
    }

    fn add_output(
        &mut self,
        names: &Names<'_>,
        o: &super::definition::OutputDef,
    ) -> Result<(), DynamicsError> {
        let place = format!("output `{}`", o.signal);
        let mut state = names.storage(&place, &o.node)?;
        if let Some(text) = &o.lag_s {
            self.lags.push(Lag { node: Node::State(state), tau: names.coefficient(&place, text)? });
            let storage = &self.starts[state];
            let start = Start {
                name: o.signal.clone(),
                initial_c: storage.initial_c,
                std_k: storage.std_k,
                noise_k_per_sqrt_s: 0.0,
            };
            state = self.starts.len();
            self.starts.push(start);
        }
        self.outputs.push(Output {
            signal: o.signal.clone(),
            state,
            noise_std: o.noise_std,
            quantum: o.quantum,
        });
        Ok(())
    }

    /// Number of states.
    pub fn states(&self) -> usize {
        self.starts.len()
    }

    /// The parameters' values before anything was measured.
    pub fn values(&self) -> Vec<f64> {
        self.parameters.iter().map(|p| p.value).collect()
    }

    /// Index of a parameter.
    pub fn parameter(&self, name: &str) -> Option<usize> {
        self.parameters.iter().position(|p| p.name == name)
    }

    /// Whether the rate is linear in state and inputs, so that a step of any length is exact.
    pub fn is_linear(&self) -> bool {
        self.linear && self.gates().next().is_none()
    }

    /// Whether the rate is linear in the state while inputs are held.
    pub(crate) fn is_linear_while_held(&self) -> bool {
        self.linear
    }

    /// Inputs that conductances are multiplied with.
    pub(crate) fn gates(&self) -> impl Iterator<Item = usize> {
        self.links.iter().filter_map(|l| l.gate)
    }

    pub(crate) fn max_step_s(&self) -> f64 {
        self.max_step_s
    }

    /// Where states start that nothing is said about: the temperature of the first boundary, [°C].
    pub fn resting_c(&self, theta: &[f64], u: &[f64]) -> f64 {
        self.temperature(self.first_boundary, &[], theta, u)
    }

    /// Heat stored relative to 0 °C, [J]; sensors store none.
    pub fn stored_j(&self, x: &[f64], theta: &[f64]) -> f64 {
        self.capacities.iter().zip(x).map(|(c, t)| c.value(theta) * t).sum()
    }

    fn temperature<T: Real>(&self, node: Node, x: &[T], theta: &[T], u: &[T]) -> T {
        match node {
            Node::State(i) => x[i],
            Node::Fixed(t) => T::from_f64(t),
            Node::Parameter(i) => theta[i],
            Node::Input(i) => u[i],
        }
    }

    /// Rate of change of every state, [K/s].
    pub fn derivative<T: Real>(&self, x: &[T], theta: &[T], u: &[T], rate: &mut [T]) {
        self.rates_with(x, theta, u, rate, |_, m| m.value(theta), |_, m| T::from_f64(1.0) / m.value(theta));
    }

    /// The same with the values of the coefficients, and the inverse ones of those that are divided by, from elsewhere: by
    /// their place in [`At::c`].
    fn rates_with<T: Real>(
        &self,
        x: &[T],
        theta: &[T],
        u: &[T],
        rate: &mut [T],
        value: impl Fn(usize, &Monomial) -> T,
        inverse: impl Fn(usize, &Monomial) -> T,
    ) {
        for r in rate.iter_mut() {
            *r = T::from_f64(0.0);
        }
        let mut place = self.capacities.len();
        for l in &self.links {
            let (a, b) = (self.temperature(l.a, x, theta, u), self.temperature(l.b, x, theta, u));
            let heat = value(place, &l.value) * driving(l.law, a, b);
            let heat = if l.gate.is_some() { heat * l.open(u) } else { heat };
            if let Node::State(i) = l.a {
                rate[i] = rate[i] - heat;
            }
            if let Node::State(i) = l.b {
                rate[i] = rate[i] + heat;
            }
            place += 1;
        }
        for s in &self.sources {
            let gain = value(place, &s.gain);
            rate[s.into] = rate[s.into] + s.input.map_or(gain, |i| gain * u[i]);
            place += 1;
        }
        for (k, (r, c)) in rate.iter_mut().zip(&self.capacities).enumerate() {
            *r = *r * inverse(k, c);
        }
        let first = self.capacities.len();
        for (k, lag) in self.lags.iter().enumerate() {
            let node = self.temperature(lag.node, x, theta, u);
            rate[first + k] = (node - x[first + k]) * inverse(place, &lag.tau);
            place += 1;
        }
    }
}

/// What a conductance is multiplied with: |ΔT|^e in the direction of ΔT, or T_a⁴ − T_b⁴ in kelvin.
fn driving<T: Real>(law: Law, a: T, b: T) -> T {
    match law {
        Law::Power(e) => {
            let d = a - b;
            if e == 1.0 {
                d
            } else if d.value() > 0.0 {
                d.power(e)
            } else if d.value() < 0.0 {
                -(-d).power(e)
            } else {
                T::from_f64(0.0)
            }
        }
        Law::Radiation => {
            let zero = T::from_f64(ZERO_CELSIUS_K);
            let (a, b) = (a + zero, b + zero);
            let (a2, b2) = (a * a, b * b);
            a2 * a2 - b2 * b2
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
