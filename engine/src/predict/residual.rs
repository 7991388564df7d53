//! What physics leaves over, learnt as it goes: forecasts of a filter miss by something, and part of that can be known.
//!
//! A thing's dynamics say what follows from its state; what its surroundings and users will do is only believed on average. So
//! a forecast is off in ways that repeat: a load that is high comes down sooner than believed, a room follows a habit. A
//! [`Residual`] regresses what the forecasts of one output and horizon missed by, once they have come due, on what was known at
//! their origin: that it is usual at all, how far the filter expected the reading to move, and how far the reading was from
//! where it mostly is. It is shrunk towards pure physics, old errors fade, and it speaks only while it would have missed by less
//! than physics alone, forecast by forecast, on errors that it had not learnt yet.
//!
//! ```
//! use twinfleet_engine::{predict::{Gaussian, residual::Residual}, time::{SimTime, Span}};
//! let second = |s: i64| SimTime(s * 1_000_000_000);
//! let mut residual = Residual::new(Span::from_secs(10));
//! let physics = Gaussian { mean: 20.0, var: 1.0 };
//! for s in 0..400 {
//!     residual.correct(second(s), physics, 20.0);
//!     residual.settle(second(s), 22.0); // it always ends up two degrees higher
//! }
//! let told = residual.correct(second(400), physics, 20.0);
//! assert!((told.mean - 22.0).abs() < 0.2, "{told:?}");
//! ```

use super::Gaussian;
use crate::time::{SimTime, Span};
use nalgebra::{Matrix3, Vector3};
use std::collections::VecDeque;

/// Errors, a horizon apart each, that pure physics is worth beforehand.
const PRIOR: f64 = 2.0;
/// Horizons after which an error counts half.
const HALF_LIFE: f64 = 60.0;
/// Horizons over which the mean of the readings is taken.
const MEAN_OVER: f64 = 30.0;
/// Errors, in horizons, before it speaks.
const HEARD: f64 = 5.0;
/// Forecasts kept until they come due; of more, the oldest is forgotten.
const WAITING: usize = 4096;

/// A forecast that has not come due.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    due: SimTime,
    mean: f64,
    std: f64,
    known: Vector3<f64>,
    /// What would have been added.
    added: f64,
}

/// The learnt rest of one output at one horizon.
#[derive(Clone, Debug)]
pub struct Residual {
    horizon: Span,
    gram: Matrix3<f64>,
    cross: Vector3<f64>,
    weights: Vector3<f64>,
    waiting: VecDeque<Waiting>,
    settled: Option<SimTime>,
    /// Mean of the readings, and when the last was heard.
    usual: Option<(f64, SimTime)>,
    heard_s: f64,
    /// Errors seen, in horizons, and mean squares of physics and of both.
    worth: f64,
    physics: f64,
    both: f64,
}

impl Residual {
    /// Nothing learnt yet.
    pub fn new(horizon: Span) -> Self {
        Self {
            horizon,
            gram: Matrix3::zeros(),
            cross: Vector3::zeros(),
            weights: Vector3::zeros(),
            waiting: VecDeque::new(),
            settled: None,
            usual: None,
            heard_s: 0.0,
            worth: 0.0,
            physics: 0.0,
            both: 0.0,
        }
    }

    /// A forecast with what is mostly left over added. `last` is the last reading.
    pub fn correct(&mut self, origin: SimTime, physics: Gaussian, last: f64) -> Gaussian {
        if !(physics.mean.is_finite() && physics.var > 0.0 && last.is_finite()) {
            return physics;
        }
        let usual = self.hear(origin, last);
        let std = physics.var.sqrt();
        let bounded = |x: f64| (x / std).clamp(-10.0, 10.0);
        let known = Vector3::new(1.0, bounded(last - physics.mean), bounded(last - usual));
        let added = self.weights.dot(&known) * std;
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { due: origin + self.horizon, mean: physics.mean, std, known, added });
        if self.speaks() { Gaussian { mean: physics.mean + added, ..physics } } else { physics }
    }

    /// Whether it is better than physics alone.
    pub fn speaks(&self) -> bool {
        self.worth >= HEARD && self.both < self.physics
    }

    fn hear(&mut self, origin: SimTime, last: f64) -> f64 {
        let span_s = self.horizon.as_secs_f64().max(1e-9);
        let (mean, before) = self.usual.unwrap_or((last, origin));
        let dt_s = (origin - before).as_secs_f64().clamp(0.0, span_s);
        self.heard_s += dt_s;
        // A plain mean until there are as many.
        let rate = (dt_s / self.heard_s.clamp(1e-9, MEAN_OVER * span_s)).min(1.0);
        let mean = mean + rate * (last - mean);
        self.usual = Some((mean, origin));
        mean
    }

    /// A reading came: the forecast that was due then is learnt from, those that were due before are forgotten.
    pub fn settle(&mut self, due: SimTime, came: f64) {
        while self.waiting.front().is_some_and(|w| w.due < due) {
            self.waiting.pop_front();
        }
        let Some(w) = self.waiting.front().copied().filter(|w| w.due == due && came.is_finite()) else {
            return;
        };
        self.waiting.pop_front();
        // Forecasts that overlap miss together: a horizon of them is one.
        let spacing = self.settled.map_or(self.horizon, |before| due - before);
        let weight = (spacing.0 as f64 / self.horizon.0.max(1) as f64).clamp(0.0, 1.0);
        self.settled = Some(due);
        let fade = 0.5f64.powf(weight / HALF_LIFE);
        let left = (came - w.mean) / w.std;
        // A wild reading is a fault's, and teaches nothing of the world.
        let left = left.clamp(-6.0, 6.0);
        self.worth = self.worth * fade + weight;
        let rate = if self.worth > 0.0 { weight / self.worth } else { 0.0 };
        self.physics += rate * (left * left - self.physics);
        self.both += rate * ((left - w.added / w.std).powi(2) - self.both);
        self.gram = self.gram * fade + w.known * w.known.transpose() * weight;
        self.cross = self.cross * fade + w.known * (left * weight);
        if let Some(factor) = (self.gram + Matrix3::identity() * PRIOR).cholesky() {
            self.weights = factor.solve(&self.cross);
        }
    }

    /// Drops the forecasts that have not come due.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.settled = None;
    }

    /// What it learnt, for the run's hash.
    pub fn state_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.weights.iter().flat_map(|w| w.to_bits().to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand_distr::{Distribution, StandardNormal};

    fn second(s: usize) -> SimTime {
        SimTime(s as i64 * 1_000_000_000)
    }

    /// Mean squared errors of physics alone and with what is learnt, over the second half of a world that forgets by `keep` a
    /// second, and that physics supposes to forget by `believed`.
    fn errors(keep: f64, believed: f64) -> (f64, f64) {
        let mut rng = stream(11, "residual", "world");
        let mut residual = Residual::new(Span::from_secs(10));
        let mut x = vec![0.0f64];
        for _ in 0..8000 {
            let z: f64 = StandardNormal.sample(&mut rng);
            x.push(keep * x[x.len() - 1] + z);
        }
        let (mut physics, mut both) = (0.0, 0.0);
        let var = (0..10).map(|k| believed.powi(2 * k)).sum();
        for s in 0..x.len() - 10 {
            residual.settle(second(s), x[s]);
            let mean = 5.0 + believed.powi(10) * x[s];
            let told = residual.correct(second(s), Gaussian { mean: mean - 5.0, var }, x[s]);
            if s > 4000 {
                physics += (mean - 5.0 - x[s + 10]).powi(2);
                both += (told.mean - x[s + 10]).powi(2);
            }
        }
        (physics / 4000.0, both / 4000.0)
    }

    #[test]
    fn what_physics_has_wrong_is_learnt_and_what_it_has_right_is_left() {
        let (physics, both) = errors(0.8, 0.99);
        assert!(both < 0.75 * physics, "a world that returns sooner than believed: {physics} {both}");
        let (physics, both) = errors(0.95, 0.95);
        assert!(both < 1.03 * physics, "physics that is right: {physics} {both}");
    }
}
