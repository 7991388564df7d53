//! Forecasts in flight: what was said, what came, and how wide the interval must be to keep its promise.
//!
//! The predictive variance of the model is scaled by one factor per output and horizon, learnt causally from the run's own
//! past forecasts (adaptive conformal inference, Gibbs & Candès 2021, arXiv 2106.00393, on the scale of the whitened
//! error): after each scored forecast `ln k += step · (missed − (1 − interval))`.
//!
//! ```
//! use twinfleet_engine::{mirror::outlook::Outlook, predict::Gaussian, time::{SimTime, Span}};
//! let mut outlook = Outlook::new(&[Span::from_secs(60)], 1, 0.9);
//! let band = outlook.issue(SimTime::ZERO, 0, 0, Gaussian { mean: 50.0, var: 4.0 }, 49.0);
//! assert!(band.lower < 50.0 && band.upper > 50.0);
//! outlook.arrived(SimTime(60_000_000_000), 0, 51.0, Span::from_secs(1));
//! assert_eq!(outlook.score(0, 0).n, 1);
//! ```

use crate::{
    predict::Gaussian,
    time::{SimTime, Span},
};
use std::collections::VecDeque;

/// Forecasts in flight that one output and horizon may have; the oldest is forgotten first.
const IN_FLIGHT_MAX: usize = 8192;
/// Step of the scale's learning, per scored forecast.
const SCALE_STEP: f64 = 0.02;

/// A forecast with its interval, in the signal's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Expected value.
    pub mean: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

/// Scores of one output and horizon so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Forecasts scored.
    pub n: u64,
    /// Of them, how many readings lay within the interval.
    pub covered: u64,
    /// Sum of squared errors, [unit²].
    pub squared: f64,
    /// The same for persistence: the last reading at the origin.
    pub squared_persistence: f64,
}

impl Score {
    /// Root mean square error of the forecast, in the signal's unit; NaN before the first.
    pub fn rmse(&self) -> f64 {
        (self.squared / self.n as f64).sqrt()
    }

    /// The same of persistence.
    pub fn rmse_persistence(&self) -> f64 {
        (self.squared_persistence / self.n as f64).sqrt()
    }

    /// Share of readings within the interval, 0–1.
    pub fn coverage(&self) -> f64 {
        self.covered as f64 / self.n as f64
    }
}

#[derive(Clone, Copy, Debug)]
struct Said {
    target: SimTime,
    band: Band,
    persistence: f64,
}

#[derive(Clone, Debug)]
struct Lane {
    horizon: Span,
    ln_scale: f64,
    in_flight: VecDeque<Said>,
    score: Score,
}

/// The forecasts of one twin.
#[derive(Clone, Debug)]
pub struct Outlook {
    outputs: usize,
    interval: f64,
    quantile: f64,
    lanes: Vec<Lane>,
}

impl Outlook {
    /// Forecasts of `outputs` signals over these horizons, whose intervals hold with probability `interval` (0–1).
    pub fn new(horizons: &[Span], outputs: usize, interval: f64) -> Self {
        let interval = interval.clamp(0.01, 0.999);
        let lane = |h: &Span| Lane { horizon: *h, ln_scale: 0.0, in_flight: VecDeque::new(), score: Score::default() };
        let lanes = (0..outputs).flat_map(|_| horizons.iter().map(lane)).collect();
        Self { outputs, interval, quantile: normal_quantile(0.5 + interval / 2.0), lanes }
    }

    /// Number of horizons.
    pub fn horizons(&self) -> usize {
        self.lanes.len().checked_div(self.outputs).unwrap_or(0)
    }

    fn lane(&mut self, output: usize, horizon: usize) -> &mut Lane {
        let n = self.horizons();
        &mut self.lanes[output * n + horizon]
    }

    /// Puts a forecast on record and gives its interval. `last` is the last reading, for persistence (NaN: unknown; then
    /// the forecast is not scored).
    pub fn issue(&mut self, origin: SimTime, output: usize, horizon: usize, g: Gaussian, last: f64) -> Band {
        let quantile = self.quantile;
        let lane = self.lane(output, horizon);
        let half = quantile * g.var.max(0.0).sqrt() * lane.ln_scale.exp();
        let band = Band { mean: g.mean, lower: g.mean - half, upper: g.mean + half };
        if !last.is_nan() && g.mean.is_finite() && half.is_finite() {
            if lane.in_flight.len() == IN_FLIGHT_MAX {
                lane.in_flight.pop_front();
            }
            lane.in_flight.push_back(Said { target: origin + lane.horizon, band, persistence: last });
        }
        band
    }

    /// A good reading came: forecasts whose target lies at most `tolerance` before it are scored, older ones forgotten.
    pub fn arrived(&mut self, t: SimTime, output: usize, value: f64, tolerance: Span) {
        let miss_allowed = 1.0 - self.interval;
        for h in 0..self.horizons() {
            let lane = self.lane(output, h);
            while let Some(said) = lane.in_flight.front().filter(|s| s.target <= t).copied() {
                lane.in_flight.pop_front();
                if t - said.target > tolerance {
                    continue;
                }
                let hit = (said.band.lower..=said.band.upper).contains(&value);
                let s = &mut lane.score;
                s.n += 1;
                s.covered += u64::from(hit);
                s.squared += (value - said.band.mean).powi(2);
                s.squared_persistence += (value - said.persistence).powi(2);
                let missed = if hit { 0.0 } else { 1.0 };
                lane.ln_scale = (lane.ln_scale + SCALE_STEP * (missed - miss_allowed)).clamp(-2.0, 2.0);
            }
        }
    }

    /// Forgets the forecasts in flight of an output: their origin, or what they would be held against, is not to be trusted.
    pub fn forget(&mut self, output: usize) {
        for h in 0..self.horizons() {
            self.lane(output, h).in_flight.clear();
        }
    }

    /// The scores of one output and horizon.
    pub fn score(&self, output: usize, horizon: usize) -> Score {
        self.lanes[output * self.horizons() + horizon].score
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self, bytes: &mut Vec<u8>) {
        for lane in &self.lanes {
            bytes.extend_from_slice(&lane.ln_scale.to_bits().to_le_bytes());
            bytes.extend_from_slice(&lane.score.n.to_le_bytes());
            bytes.extend_from_slice(&lane.score.squared.to_bits().to_le_bytes());
        }
    }
}

/// Quantile of the standard normal distribution (Acklam's rational approximation, relative error below 1.2e-9).
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];
    let horner = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, k| sum * x + k);
    let tail = |q: f64| horner(&C, q) / (horner(&D, q) * q + 1.0);
    if p <= 0.0 {
        f64::NEG_INFINITY
    } else if p < 0.02425 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p <= 0.97575 {
        let q = p - 0.5;
        let r = q * q;
        horner(&A, r) * q / (horner(&B, r) * r + 1.0)
    } else if p < 1.0 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn quantiles_are_the_tables() {
        for (p, z) in [(0.5, 0.0), (0.95, 1.644_853_627), (0.975, 1.959_963_985), (0.01, -2.326_347_874)] {
            assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
        }
    }

    /// A model that is wrong about its own variance by a factor of 9 either way still covers 90 % in the end.
    #[test]
    fn the_interval_finds_its_width() {
        for factor in [1.0 / 9.0, 9.0] {
            let mut rng = rng::stream(1, "outlook", "noise");
            let mut o = Outlook::new(&[Span::from_secs(5)], 1, 0.9);
            let (mut hits, mut n) = (0, 0);
            for k in 0..4000i64 {
                let t = SimTime(k * 1_000_000_000);
                let w: f64 = StandardNormal.sample(&mut rng);
                let before = o.score(0, 0);
                o.arrived(t, 0, w, Span::from_secs(1));
                if k > 1000 {
                    n += o.score(0, 0).n - before.n;
                    hits += o.score(0, 0).covered - before.covered;
                }
                o.issue(t, 0, 0, Gaussian { mean: 0.0, var: factor }, 0.0);
            }
            let coverage = hits as f64 / n as f64;
            assert!((0.88..0.92).contains(&coverage), "factor {factor}: {coverage}");
        }
    }
}
