//! Integration in time: exact for linear networks under held inputs, of second order otherwise.
//!
//! One step of length h is `y + h·φ₁(h·J)·f(y)` with J the Jacobian at its start (Rosenbrock–Euler; Hochbruck & Ostermann,
//! *Exponential integrators*, Acta Numerica 2010, §2.4). For a linear network that is the matrix exponential; for
//! radiation, steps are at most `max_step` long, which tests hold to a stated error by halving it.
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
//! let (mut once, mut often) = (vec![25.0], vec![25.0]);
//! model.step(&mut once, &model.values(), &[], 60.0);
//! for _ in 0..60 {
//!     model.step(&mut often, &model.values(), &[], 1.0);
//! }
//! assert!((once[0] - often[0]).abs() < 1e-12);
//! ```

use super::{
    dense::Mat,
    flow::{Flow, phi1},
    model::{At, By, Model},
};

/// How an input moves over a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reversion {
    /// Level it reverts to.
    pub(crate) mean: f64,
    /// Rate of reversion, [1/s]; 0: held.
    pub(crate) rate_per_s: f64,
}

impl Reversion {
    /// A held input.
    pub(crate) const HELD: Self = Self { mean: 0.0, rate_per_s: 0.0 };
}

/// A network made linear at a point, over its states and those inputs that are not held; its buffers are used again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Linear {
    pub(crate) flow: Flow,
    /// Of each state and free input, its place among states and inputs.
    pub(crate) joint: Vec<usize>,
    /// What [`Model::coefficients`] gives.
    pub(crate) coefficients: Vec<f64>,
    /// Slopes of the states' rates by the inputs that are held, one row a state.
    pub(crate) driven: Vec<f64>,
    /// Of each input, its place in `joint`, if it is free.
    free: Vec<Option<usize>>,
    rate: Vec<f64>,
}

impl Linear {
    /// Takes parameters, and says which inputs move.
    pub(crate) fn aim(&mut self, model: &Model, theta: &[f64], inputs: &[Reversion]) {
        let n = model.states();
        self.joint.clear();
        self.joint.extend(0..n);
        self.free.clear();
        for (k, input) in inputs.iter().enumerate() {
            let free = *input != Reversion::HELD;
            self.free.push(free.then_some(self.joint.len()));
            self.joint.extend(free.then_some(n + k));
        }
        model.coefficients(theta, &mut self.coefficients);
    }

    /// Jacobian and rates where states and inputs are `y`, under what [`Self::aim`] was told.
    pub(crate) fn linearise(&mut self, model: &Model, y: &[f64], theta: &[f64], inputs: &[Reversion]) {
        let (n, d) = (model.states(), self.joint.len());
        let (x, u) = y.split_at(n);
        let at = At { x, u, theta, c: &self.coefficients };
        self.flow.reset(n, d);
        let (j, m) = (&mut self.flow.j, inputs.len());
        self.driven.clear();
        self.driven.resize(n * m, 0.0);
        model.slopes(at, |i, by, term| match by {
            By::State(k) => j[i * d + k] += term,
            By::Input(k) => match self.free[k] {
                Some(k) => j[i * d + k] += term,
                None => self.driven[i * m + k] += term,
            },
        });
        self.rate.resize(d, 0.0);
        model.rates(at, &mut self.rate[..n]);
        for (k, input) in inputs.iter().enumerate() {
            if let Some(at) = self.free[k] {
                j[at * d + at] = -input.rate_per_s;
                self.rate[at] = (input.mean - u[k]) * input.rate_per_s;
            }
        }
    }

    /// Moves states and inputs over the whole step of the flow.
    pub(crate) fn shift(&self, y: &mut [f64]) {
        self.shift_by(&self.flow.phi, y);
    }

    /// The same over a step of which Φ is given.
    pub(crate) fn shift_by(&self, phi: &[f64], y: &mut [f64]) {
        let d = self.joint.len();
        for (i, at) in self.joint.iter().enumerate() {
            let row = &phi[i * d..(i + 1) * d];
            y[*at] += row.iter().zip(&self.rate).map(|(p, r)| p * r).sum::<f64>();
        }
    }

    /// Carries states and inputs forward, in as many steps as the network asks for.
    pub(crate) fn walk(
        &mut self,
        model: &Model,
        y: &mut [f64],
        theta: &[f64],
        inputs: &[Reversion],
        dt_s: f64,
    ) {
        let k = model.substeps(dt_s);
        self.aim(model, theta, inputs);
        for _ in 0..k {
            self.linearise(model, y, theta, inputs);
            self.flow.start(dt_s / k as f64, 0);
            self.shift(y);
        }
    }
}

/// A step of a linear network under held inputs, as far as it depends on the parameters and the length alone.
pub(crate) struct LinearStep {
    phi: Mat,
    by_y: Mat,
}

/// Steps with fixed parameters and held inputs: recordings are walked thousands of times by a fit, and steps of a linear
/// network repeat.
pub(crate) struct Stepper<'a> {
    model: &'a Model,
    theta: &'a [f64],
    held: Vec<Reversion>,
    /// By the length's bits, and those of the inputs that conductances are multiplied with.
    steps: std::collections::HashMap<(u64, u64), LinearStep>,
}

/// Steps that are kept: inputs that conductances are multiplied with may take any value.
const STEPS_KEPT: usize = 4096;

impl<'a> Stepper<'a> {
    pub(crate) fn new(model: &'a Model, theta: &'a [f64]) -> Self {
        let held = vec![Reversion::HELD; model.inputs.len()];
        Self { model, theta, held, steps: std::collections::HashMap::new() }
    }

    /// The shared part of a linear step, its length rounded to a relative 2⁻¹² so that jittered steps share it.
    fn linear(&mut self, u: &[f64], dt_s: f64) -> (f64, &LinearStep) {
        let grid = 2f64.powi(dt_s.log2().floor() as i32 - 11);
        let h = (dt_s / grid).round() * grid;
        let (model, theta, held) = (self.model, self.theta, &self.held);
        let gates = model.gates().fold(0u64, |key, k| key.rotate_left(21) ^ u[k].to_bits());
        if self.steps.len() >= STEPS_KEPT {
            self.steps.clear();
        }
        let step = self.steps.entry((h.to_bits(), gates)).or_insert_with(|| {
            let mut y = vec![0.0; model.states() + model.inputs.len()];
            y[model.states()..].copy_from_slice(u);
            let (j, _, _) = model.system(&y, theta, held);
            let phi = phi1(&j.clone().scaled(h)).scaled(h);
            let mut by_y = j.mul(&phi);
            for i in 0..y.len() {
                by_y[(i, i)] += 1.0;
            }
            LinearStep { phi, by_y }
        });
        (h, step)
    }

    /// Carries the states forward.
    pub(crate) fn step(&mut self, x: &mut [f64], u: &[f64], dt_s: f64) {
        if !self.model.is_linear_while_held() {
            return self.model.step(x, self.theta, u, dt_s);
        }
        let n = x.len();
        let mut rate = vec![0.0; n];
        self.model.derivative(x, self.theta, u, &mut rate);
        let (_, step) = self.linear(u, dt_s);
        for (i, x) in x.iter_mut().enumerate() {
            *x += step.phi.row(i)[..n].iter().zip(&rate).map(|(p, r)| p * r).sum::<f64>();
        }
    }

    /// The same with derivatives by state and parameters (rows and columns of inputs left as they come).
    pub(crate) fn step_with_jacobians(&mut self, x: &mut [f64], u: &[f64], dt_s: f64) -> StepJacobians {
        let (model, theta, n) = (self.model, self.theta, x.len());
        if !model.is_linear_while_held() {
            let mut y: Vec<f64> = x.iter().chain(u).copied().collect();
            let out = model.advance_with_jacobians(&mut y, theta, &self.held, dt_s);
            x.copy_from_slice(&y[..n]);
            return out;
        }
        let before = x.to_vec();
        self.step(x, u, dt_s);
        let middle: Vec<f64> = before.iter().zip(&*x).map(|(a, b)| 0.5 * (a + b)).collect();
        let by_theta = model.jacobians(&middle, theta, u).theta;
        let (_, step) = self.linear(u, dt_s);
        let mut out = Mat::zeros(n, by_theta.cols);
        for i in 0..n {
            for (l, p) in step.phi.row(i)[..n].iter().enumerate() {
                for (o, b) in out.a[i * by_theta.cols..].iter_mut().zip(by_theta.row(l)) {
                    *o += p * b;
                }
            }
        }
        StepJacobians { y: step.by_y.clone(), theta: out }
    }
}

/// Derivatives of a step's end by its start (states, then inputs) and by the parameters' own values.
pub(crate) struct StepJacobians {
    pub(crate) y: Mat,
    pub(crate) theta: Mat,
}

impl Model {
    /// Carries the state forward by `dt_s`, inputs held.
    pub fn step(&self, x: &mut [f64], theta: &[f64], u: &[f64], dt_s: f64) {
        let mut y: Vec<f64> = x.iter().chain(u).copied().collect();
        self.advance(&mut y, theta, &vec![Reversion::HELD; u.len()], dt_s);
        x.copy_from_slice(&y[..x.len()]);
    }

    /// Steps that a step is made of: a linear network's is exact at any length.
    pub(crate) fn substeps(&self, dt_s: f64) -> usize {
        if self.is_linear_while_held() { 1 } else { (dt_s / self.max_step_s()).ceil().max(1.0) as usize }
    }

    /// Carries states and inputs forward.
    pub(crate) fn advance(&self, y: &mut [f64], theta: &[f64], inputs: &[Reversion], dt_s: f64) {
        Linear::default().walk(self, y, theta, inputs, dt_s);
    }

    /// Carries states and inputs forward, and gives the step's derivatives.
    pub(crate) fn advance_with_jacobians(
        &self,
        y: &mut [f64],
        theta: &[f64],
        inputs: &[Reversion],
        dt_s: f64,
    ) -> StepJacobians {
        let (n, p) = (self.states(), self.parameters.len());
        let dim = n + self.inputs.len();
        let k = self.substeps(dt_s);
        let h = dt_s / k as f64;
        let mut total = StepJacobians { y: Mat::identity(dim), theta: Mat::zeros(dim, p) };
        for _ in 0..k {
            let (j, f, _) = self.system(y, theta, inputs);
            let phi = phi1(&j.clone().scaled(h)).scaled(h);
            let d = phi.mul_vec(&f);
            // The rate's slope by the parameters at the middle of the step makes this second-order.
            let middle: Vec<f64> = y.iter().zip(&d).map(|(y, d)| y + 0.5 * d).collect();
            let by_theta = self.jacobians(&middle[..n], theta, &middle[n..]).theta;
            let mut padded = Mat::zeros(dim, p);
            padded.a[..n * p].copy_from_slice(&by_theta.a);
            let mut by_y = j.mul(&phi);
            for i in 0..dim {
                by_y[(i, i)] += 1.0;
            }
            total.theta = by_y.mul(&total.theta);
            total.theta.add(&phi.mul(&padded));
            total.y = by_y.mul(&total.y);
            for (y, d) in y.iter_mut().zip(&d) {
                *y += d;
            }
        }
        total
    }

    /// Jacobian and rate of states and inputs together, and the slope by the parameters.
    pub(crate) fn system(&self, y: &[f64], theta: &[f64], inputs: &[Reversion]) -> (Mat, Vec<f64>, Mat) {
        let n = self.states();
        let dim = y.len();
        let (x, u) = y.split_at(n);
        let parts = self.jacobians(x, theta, u);
        let mut rate = vec![0.0; dim];
        self.derivative(x, theta, u, &mut rate[..n]);
        let mut j = Mat::zeros(dim, dim);
        for i in 0..n {
            j.a[i * dim..i * dim + n].copy_from_slice(parts.x.row(i));
            j.a[i * dim + n..(i + 1) * dim].copy_from_slice(parts.u.row(i));
        }
        for (k, input) in inputs.iter().enumerate() {
            j[(n + k, n + k)] = -input.rate_per_s;
            rate[n + k] = (input.mean - u[k]) * input.rate_per_s;
        }
        (j, rate, parts.theta)
    }
}
