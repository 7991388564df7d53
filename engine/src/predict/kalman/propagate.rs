//! The joint state carried over a step: mean by the network, covariance by the step's transition and the noise along it.
//!
//! Inputs that are held are known exactly, so they take part in the mean only. The work is done in buffers that each
//! thread keeps: a twin is carried, and its copies are, more often than anything else in a run of twins.

use super::Filter;
use crate::dynamics::{
    flow::{Leap, Spread},
    model::At,
    step::{Linear, Reversion},
};
use std::cell::Cell;

/// Buffers of one thread; what [`Filter::propagate`] leaves in them is the result.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) linear: Linear,
    substeps: Linear,
    /// Of the last step: doublings of the short one.
    pub(super) doublings: usize,
    middle: Vec<f64>,
    rate: Vec<f64>,
    /// Slopes of the rates by the learnt parameters, one row a state.
    slopes: Vec<f64>,
    /// The same of the states at the end of a step.
    pub(super) by: Vec<f64>,
    noise: Spread,
    spread: Spread,
    /// The step made last, and what it is carried on to.
    once: Leap,
    leap: Leap,
    half: Leap,
    /// How the inputs move, for the caller to fill.
    pub(super) moves: Vec<Reversion>,
    pub(super) column: Vec<f64>,
    pub(super) gain: Vec<f64>,
    /// Mean of states and inputs after the step.
    pub(super) y: Vec<f64>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Hands the thread's buffers to `work`. Should it ask for them again, it gets new ones.
pub(super) fn with_scratch<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = work(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

impl Scratch {
    /// Variance of a state after the step.
    pub(super) fn var(&self, state: usize) -> f64 {
        self.spread.ss[state * self.linear.joint.len() + state]
    }
}

impl Filter {
    /// Leaves the mean of states and inputs, and the covariance, after `dt_s` in `s`, whose `moves` say what the inputs do.
    pub(super) fn propagate(&self, dt_s: f64, s: &mut Scratch) {
        let model = &self.fixed.model;
        s.linear.aim(model, &self.theta, &s.moves);
        s.linear.linearise(model, &self.y, &self.theta, &s.moves);
        // The noise's integral is a trapezium: short against the fastest mode, then doubled up to the step.
        let doublings = (dt_s * s.linear.flow.fastest() / 0.5).log2().ceil().clamp(0.0, 40.0) as usize;
        let h = dt_s * 0.5f64.powi(doublings as i32);
        s.linear.flow.start(h, doublings);
        s.doublings = doublings;
        s.y.clear();
        s.y.extend_from_slice(&self.y);
        if model.substeps(dt_s) == 1 {
            s.linear.shift(&mut s.y);
        } else {
            s.substeps.walk(model, &mut s.y, &self.theta, &s.moves, dt_s);
        }
        self.slopes(s);
        self.carry_covariance(h, doublings, s);
    }

    /// How the learnt parameters move the states over the short step: by the rates' slopes in the middle of the whole one.
    fn slopes(&self, s: &mut Scratch) {
        let Scratch { linear, middle, rate, slopes, by, y, .. } = s;
        let fixed = &*self.fixed;
        let (n, q) = (fixed.model.states(), fixed.learnt.len());
        middle.clear();
        middle.extend(self.y.iter().zip(&*y).map(|(a, b)| 0.5 * (a + b)));
        let (x, u) = middle.split_at(n);
        let at = At { x, u, theta: &self.theta, c: &linear.coefficients };
        rate.resize(n, 0.0);
        if fixed.rates_matter {
            fixed.model.rates(at, rate);
        }
        slopes.clear();
        slopes.resize(n * q, 0.0);
        let wanted = |p: usize| fixed.column[p].is_some();
        fixed.model.slopes_by_parameter(at, rate, wanted, |i, p, term| {
            if let Some(k) = fixed.column[p] {
                slopes[i * q + k] += term * fixed.model.parameters[p].slope(self.theta[p]);
            }
        });
        linear.flow.moved_by(slopes, by, q);
    }

    /// The noise over the step by doublings, and the covariance by the whole step's transition.
    fn carry_covariance(&self, h: f64, doublings: usize, s: &mut Scratch) {
        let fixed = &*self.fixed;
        let (n, q) = (fixed.model.states(), fixed.learnt.len());
        let Scratch { linear, by, noise, spread, moves, .. } = s;
        let Linear { flow, joint, .. } = linear;
        let d = joint.len();
        let drifting = fixed.drifting;
        noise.reset(d, drifting);
        noise.clear();
        for (i, start) in fixed.model.starts.iter().enumerate() {
            noise.ss[i * d + i] = (self.restless * start.noise_k_per_sqrt_s).powi(2);
        }
        for (i, place) in joint.iter().enumerate().skip(n) {
            let k = place - n;
            noise.ss[i * d + i] = 2.0 * self.loads[k].var() * moves[k].rate_per_s;
        }
        for (k, p) in fixed.learnt[..drifting].iter().enumerate() {
            let drift = fixed.model.parameters[*p].drift_per_sqrt_s;
            noise.ll[k * drifting + k] = drift * drift;
        }
        // Both ends of the short step, each with half its length.
        noise.carry((n, d, drifting), flow.m(0), (by, q), true);
        noise.scale(0.5 * h);
        for level in 0..doublings {
            noise.carry((n, d, drifting), flow.m(level), (by, q), true);
            flow.double_by(level, by, q);
        }
        self.gather(joint, spread);
        spread.carry((n, d, q), flow.m(doublings), (by, q), false);
        spread.add(noise, (n, d, q), drifting);
    }

    /// After [`Self::propagate`] over a step of a linear network: leaves the same after so many of these steps, at least 1.
    pub(super) fn propagate_on(&self, times: u32, s: &mut Scratch) {
        let (n, q) = (self.fixed.model.states(), self.fixed.learnt.len());
        let Scratch { linear, by, noise, once, leap, half, doublings, .. } = s;
        let (d, drifting) = (linear.joint.len(), self.fixed.drifting);
        for (to, from) in [
            (&mut once.m, linear.flow.m(*doublings)),
            (&mut once.phi, &linear.flow.phi[..d * d]),
            (&mut once.by, &by[..n * q]),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
        once.noise.copy(noise);
        leap.copy(once);
        // From the second highest bit down: twice as far, and one more where the bit is set.
        let sizes = (n, d, q, drifting);
        for bit in (0..times.ilog2()).rev() {
            half.copy(leap);
            leap.after(half, sizes);
            if times >> bit & 1 == 1 {
                leap.after(once, sizes);
            }
        }
        s.y.clear();
        s.y.extend_from_slice(&self.y);
        s.linear.shift_by(&s.leap.phi, &mut s.y);
        self.gather(&s.linear.joint, &mut s.spread);
        s.spread.carry((n, d, q), &s.leap.m, (&s.leap.by, q), false);
        s.spread.add(&s.leap.noise, (n, d, q), drifting);
    }

    /// The covariance of states, free inputs and learnt parameters, out of the joint one.
    fn gather(&self, joint: &[usize], spread: &mut Spread) {
        let (n, first, q, d) =
            (self.fixed.model.states(), self.y.len(), self.fixed.learnt.len(), joint.len());
        spread.reset(d, q);
        if d == n {
            return spread.take_blocks(&self.p.a, (n, q), first);
        }
        for (i, row) in joint.iter().map(|at| self.p.row(*at)).enumerate() {
            for (to, from) in spread.ss[i * d..(i + 1) * d].iter_mut().zip(joint) {
                *to = row[*from];
            }
            spread.sl[i * q..(i + 1) * q].copy_from_slice(&row[first..]);
        }
        for k in 0..q {
            spread.ll[k * q..(k + 1) * q].copy_from_slice(&self.p.row(first + k)[first..]);
        }
    }

    /// Takes over what [`Self::propagate`] left; held inputs have no covariance, before and after.
    pub(super) fn take_over(&mut self, s: &Scratch) {
        let (n, first, q) = (self.fixed.model.states(), self.y.len(), self.fixed.learnt.len());
        self.y.copy_from_slice(&s.y);
        let (joint, spread) = (&s.linear.joint, &s.spread);
        let d = joint.len();
        if d == n {
            return spread.give_blocks(&mut self.p.a, (n, q), first);
        }
        for (i, at) in joint.iter().enumerate() {
            for (k, to) in joint.iter().enumerate() {
                self.p[(*at, *to)] = spread.ss[i * d + k];
            }
            for k in 0..q {
                self.p[(*at, first + k)] = spread.sl[i * q + k];
                self.p[(first + k, *at)] = spread.sl[i * q + k];
            }
        }
        for k in 0..q {
            for l in 0..q {
                self.p[(first + k, first + l)] = spread.ll[k * q + l];
            }
        }
    }
}
