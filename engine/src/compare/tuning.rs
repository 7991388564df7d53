//! How restless the world of a twin is, by its own innovations: the process noise that a fit to another device or run left is
//! made less or more where the stream's likelihood asks for it. Too much of it takes every fault for the world's doing.

use super::{
    Judge,
    history::NONE,
    noise::{Calibration, cost, weight},
};

/// Samples after which it is looked at for the first times; then every [`TUNE_EVERY`].
const TUNE_AT: [u64; 5] = [120, 180, 270, 400, 600];
const TUNE_EVERY: u64 = 1200;
/// Over how many of the last samples.
const TUNE_OVER: u64 = 240;
/// What a step down must gain, and one up: a drift that has begun must not pass for a restless world, [nat].
const LESS_NATS: f64 = 3.0;
const MORE_NATS: f64 = 10.0;
/// A step, and how far it may go in all.
const STEP: f64 = 2.0;
const LEAST: f64 = 1.0 / 16.0;
const MOST: f64 = 4.0;
/// Twins that are looked at in the same sample; the others follow, one sample each.
const AT_A_TIME: u64 = 64;

impl Judge {
    /// The same, one of many that began together: each tunes itself at another sample.
    #[must_use]
    pub fn one_of_many(mut self, index: usize) -> Self {
        self.turn = index as u64 % AT_A_TIME;
        self
    }

    /// Tunes the process noise where it is time to, and nothing is or was suspected of late.
    pub(super) fn tune(&mut self, i: u64) {
        let Some(n) = i.checked_sub(self.turn) else { return };
        if !(TUNE_AT.contains(&n) || n > 0 && n.is_multiple_of(TUNE_EVERY)) {
            return;
        }
        let calm = self.corrections.is_empty()
            && self.est.learns()
            && self.lanes.iter().all(|l| l.suspicion.is_none() && l.spike.is_none());
        if !calm {
            return;
        }
        let now = self.history.restless();
        let mut best = (now, self.likelihood(now));
        for (step, least) in [(1.0 / STEP, LESS_NATS), (STEP, MORE_NATS)] {
            loop {
                let next = best.0 * step;
                if !(LEAST..=MOST).contains(&next) {
                    break;
                }
                let gained = self.likelihood(next);
                if gained < best.1 + least {
                    break;
                }
                best = (next, gained);
            }
            if best.0 != now {
                break;
            }
        }
        if best.0 != now {
            self.history.set_restless(best.0);
            self.go_over(self.history.oldest_start());
            self.calibrate();
        }
    }

    /// Log-likelihood of the last readings with so much process noise, each output's noise at its own best scale.
    fn likelihood(&self, restless: f64) -> f64 {
        let from = self.history.next().saturating_sub(TUNE_OVER);
        let from = from.max(self.history.oldest_start());
        let Some((mut at, mut est)) = self.history.state_before(from, &*self.est) else {
            return f64::NEG_INFINITY;
        };
        est.set_restless(restless);
        let mut seen = vec![Vec::new(); self.lanes.len()];
        while at < self.history.next() {
            self.history.step(&mut *est, at, &self.corrections, &mut |o, v| seen[o].push(v));
            at += 1;
        }
        let of_output = |innovations: &Vec<crate::predict::Innovation>| {
            // The first ones still stand under the noise of before.
            let rest = &innovations[innovations.len().min(SETTLING)..];
            let z: Vec<f64> = rest.iter().map(|v| v.whitened()).collect();
            let scale = scale(&z);
            let widths: f64 = rest.iter().map(|v| 0.5 * v.var.ln() + scale.ln()).sum();
            -widths - z.iter().map(|z| cost(z / scale)).sum::<f64>()
        };
        seen.iter().filter(|s| s.len() > 2 * SETTLING).map(of_output).sum()
    }

    /// Learns scale and correlation of the innovations anew, from all that are remembered.
    fn calibrate(&mut self) {
        for (o, noise) in self.noise.iter_mut().enumerate() {
            *noise = Calibration::default();
            for i in self.history.oldest_start()..self.history.next() {
                let v = self.history.innovation(i, o);
                if v.var.is_finite() && v != NONE {
                    noise.take(v.whitened());
                }
            }
        }
    }
}

/// Readings that a filter needs to forget with which noise it came.
const SETTLING: usize = 30;

/// Scale of maximum likelihood under the heavy tail, by fixed point.
fn scale(z: &[f64]) -> f64 {
    let mut square = 1.0f64;
    for _ in 0..20 {
        let s = square.sqrt();
        square = (z.iter().map(|z| weight(z / s) * z * z).sum::<f64>() / z.len() as f64).max(1e-4);
    }
    square.sqrt()
}
