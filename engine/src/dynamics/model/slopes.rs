//! The slopes of a network's rates, term by term, into whatever holds them: matrices of a fit, blocks of a filter.

use super::{Law, Model, Monomial, Node, Real, ZERO_CELSIUS_K, driving};
use crate::dynamics::dense::Mat;

/// Derivatives of the rate by state, inputs and parameters (by the parameters' own values, not their logarithms).
#[derive(Clone, Debug, PartialEq)]
pub struct Jacobians {
    pub(crate) x: Mat,
    pub(crate) u: Mat,
    pub(crate) theta: Mat,
}

impl Jacobians {
    /// ∂(rate of state `i`)/∂(state `j`), [1/s].
    pub fn by_state(&self, i: usize, j: usize) -> f64 {
        self.x[(i, j)]
    }

    /// ∂(rate of state `i`)/∂(input `j`).
    pub fn by_input(&self, i: usize, j: usize) -> f64 {
        self.u[(i, j)]
    }

    /// ∂(rate of state `i`)/∂(parameter `j`).
    pub fn by_parameter(&self, i: usize, j: usize) -> f64 {
        self.theta[(i, j)]
    }
}

/// Where a network is looked at, and the values of its coefficients there.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    /// Temperatures of the states, [°C].
    pub(crate) x: &'a [f64],
    /// All parameters, in their units.
    pub(crate) theta: &'a [f64],
    /// Inputs.
    pub(crate) u: &'a [f64],
    /// What [`Model::coefficients`] gave for `theta`.
    pub(crate) c: &'a [f64],
}

/// What a rate is derived by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum By {
    State(usize),
    Input(usize),
}

impl Monomial {
    /// Derivative by the `at`-th factor's parameter.
    fn slope(&self, theta: &[f64], at: usize) -> f64 {
        let mut v = self.scale;
        for (k, (i, e)) in self.factors.iter().enumerate() {
            v *= if k != at {
                theta[*i].power(*e)
            } else if *e == 1.0 {
                1.0
            } else {
                e * theta[*i].power(e - 1.0)
            };
        }
        v
    }
}

impl Model {
    /// Values of all coefficients, in the order in which [`At::c`] holds them: inverse capacities, conductances and
    /// radiating areas, gains, inverse lags.
    pub(crate) fn coefficients(&self, theta: &[f64], c: &mut Vec<f64>) {
        c.clear();
        c.extend(self.capacities.iter().map(|m| 1.0 / m.value(theta)));
        c.extend(self.links.iter().map(|l| l.value.value(theta)));
        c.extend(self.sources.iter().map(|s| s.gain.value(theta)));
        c.extend(self.lags.iter().map(|l| 1.0 / l.tau.value(theta)));
    }

    /// [`Self::derivative`] from the coefficients' values.
    pub(crate) fn rates(&self, at: At<'_>, rate: &mut [f64]) {
        self.rates_with(at.x, at.theta, at.u, rate, |i, _| at.c[i], |i, _| at.c[i]);
    }

    /// The slopes of the rates by states and inputs, each as (state, by what, term); terms of one place add up.
    pub(crate) fn slopes(&self, at: At<'_>, mut term: impl FnMut(usize, By, f64)) {
        let (inverse, rest) = at.c.split_at(self.capacities.len());
        let (links, rest) = rest.split_at(self.links.len());
        let (gains, speeds) = rest.split_at(self.sources.len());
        for (l, g) in self.links.iter().zip(links) {
            let (by_a, by_b) = match l.law {
                Law::Power(1.0) => (1.0, -1.0),
                law => {
                    let (_, by_a, by_b) = self.driving_slopes(law, l.a, l.b, at);
                    (by_a, by_b)
                }
            };
            let (drive, open) = match l.gate {
                Some(_) => (self.driving_slopes(l.law, l.a, l.b, at).0, l.open(at.u)),
                None => (0.0, 1.0),
            };
            for (end, sign) in [(l.a, -1.0), (l.b, 1.0)] {
                let Node::State(i) = end else { continue };
                if let Some(k) = l.gate {
                    term(i, By::Input(k), sign * inverse[i] * g * drive);
                }
                let s = sign * inverse[i] * g * open;
                for (node, slope) in [(l.a, by_a), (l.b, by_b)] {
                    match node {
                        Node::State(k) => term(i, By::State(k), s * slope),
                        Node::Input(k) => term(i, By::Input(k), s * slope),
                        Node::Parameter(_) | Node::Fixed(_) => {}
                    }
                }
            }
        }
        for (s, gain) in self.sources.iter().zip(gains) {
            if let Some(k) = s.input {
                term(s.into, By::Input(k), gain * inverse[s.into]);
            }
        }
        for (l, (lag, speed)) in self.lags.iter().zip(speeds).enumerate() {
            let i = self.capacities.len() + l;
            term(i, By::State(i), -speed);
            if let Node::State(k) = lag.node {
                term(i, By::State(k), *speed);
            }
        }
    }

    /// The same by the parameters that are `wanted`, as (state, parameter, term). `rate` is what [`Self::rates`] gives
    /// here; it is looked at only where [`Self::scales_rates`] says so.
    pub(crate) fn slopes_by_parameter(
        &self,
        at: At<'_>,
        rate: &[f64],
        wanted: impl Fn(usize) -> bool,
        mut term: impl FnMut(usize, usize, f64),
    ) {
        let first = self.capacities.len();
        let (inverse, rest) = at.c.split_at(first);
        let (links, rest) = rest.split_at(self.links.len());
        let (_, speeds) = rest.split_at(self.sources.len());
        for (l, g) in self.links.iter().zip(links) {
            let ends = [l.a, l.b].iter().any(|n| matches!(n, Node::Parameter(k) if wanted(*k)));
            if !ends && !l.value.factors.iter().any(|(k, _)| wanted(*k)) {
                continue;
            }
            let (drive, by_a, by_b) = self.driving_slopes(l.law, l.a, l.b, at);
            for (end, sign) in [(l.a, -1.0), (l.b, 1.0)] {
                let Node::State(i) = end else { continue };
                let s = sign * inverse[i] * l.open(at.u);
                for (node, slope) in [(l.a, by_a), (l.b, by_b)] {
                    if let Node::Parameter(k) = node
                        && wanted(k)
                    {
                        term(i, k, s * g * slope);
                    }
                }
                for (f, (k, _)) in l.value.factors.iter().enumerate().filter(|(_, (k, _))| wanted(*k)) {
                    term(i, *k, s * drive * l.value.slope(at.theta, f));
                }
            }
        }
        for s in &self.sources {
            let level = s.input.map_or(1.0, |i| at.u[i]);
            for (f, (k, _)) in s.gain.factors.iter().enumerate().filter(|(_, (k, _))| wanted(*k)) {
                term(s.into, *k, level * inverse[s.into] * s.gain.slope(at.theta, f));
            }
        }
        for (i, c) in self.capacities.iter().enumerate() {
            for (f, (k, _)) in c.factors.iter().enumerate().filter(|(_, (k, _))| wanted(*k)) {
                term(i, *k, -rate[i] * inverse[i] * c.slope(at.theta, f));
            }
        }
        for (l, (lag, speed)) in self.lags.iter().zip(speeds).enumerate() {
            for (f, (k, _)) in lag.tau.factors.iter().enumerate().filter(|(_, (k, _))| wanted(*k)) {
                term(first + l, *k, -rate[first + l] * speed * lag.tau.slope(at.theta, f));
            }
        }
    }

    /// Whether a parameter is part of what rates are divided by: a capacity or a lag.
    pub(crate) fn scales_rates(&self, parameter: usize) -> bool {
        let mut scales = self.capacities.iter().chain(self.lags.iter().map(|l| &l.tau));
        scales.any(|m| m.factors.iter().any(|(k, _)| *k == parameter))
    }

    /// Jacobians of [`Self::derivative`], analytically.
    pub fn jacobians(&self, x: &[f64], theta: &[f64], u: &[f64]) -> Jacobians {
        let (n, p, m) = (self.states(), self.parameters.len(), self.inputs.len());
        let mut j = Jacobians { x: Mat::zeros(n, n), u: Mat::zeros(n, m), theta: Mat::zeros(n, p) };
        let mut c = Vec::new();
        self.coefficients(theta, &mut c);
        let at = At { x, theta, u, c: &c };
        let mut rate = vec![0.0; n];
        self.rates(at, &mut rate);
        self.slopes(at, |i, by, term| match by {
            By::State(k) => j.x[(i, k)] += term,
            By::Input(k) => j.u[(i, k)] += term,
        });
        self.slopes_by_parameter(at, &rate, |_| true, |i, k, term| j.theta[(i, k)] += term);
        j
    }

    /// What a link's coefficient is multiplied with, and its derivatives by both temperatures.
    fn driving_slopes(&self, law: Law, a: Node, b: Node, at: At<'_>) -> (f64, f64, f64) {
        let (a, b) = (self.temperature(a, at.x, at.theta, at.u), self.temperature(b, at.x, at.theta, at.u));
        let drive = driving(law, a, b);
        match law {
            Law::Power(e) => {
                let slope = if e == 1.0 { 1.0 } else { e * (a - b).abs().powf(e - 1.0) };
                (drive, slope, -slope)
            }
            Law::Radiation => {
                (drive, 4.0 * (a + ZERO_CELSIUS_K).powi(3), -4.0 * (b + ZERO_CELSIUS_K).powi(3))
            }
        }
    }
}
