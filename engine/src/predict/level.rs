//! Signals of which nothing is known but their own past: each is a level that wanders, at a rate that is learnt.
//!
//! A local level (Durbin & Koopman, *Time Series Analysis by State Space Methods*, ch. 2): `x ← x + w`, `z = x + v`. The variance
//! rate of `w` is learnt from the innovations: their mean square, less what the noise of two readings explains. Such a twin
//! cannot tell a fault of the sensor from the world's doing, and does not try: a jump beyond three standard deviations counts
//! as the world's, and makes that innovation's variance larger. What remains is silence and the clock.
//!
//! ```
//! use twinfleet_engine::{predict::{Estimator, level::{Level, SignalDef}}, time::Span};
//! let signal = SignalDef { signal: "plug.power".into(), unit: "W".into(), quantum: 1.0, noise_std: 0.0 };
//! let mut twin = Level::new(&[signal]);
//! for k in 0..50 {
//!     twin.predict(Span::from_secs(10), &[]);
//!     twin.update(0, 40.0 + f64::from(k % 3));
//! }
//! let soon = twin.forecast(Span::from_secs(10))[0];
//! assert!((soon.mean - 41.0).abs() < 2.0 && soon.var.sqrt() < 5.0);
//! ```

use super::{Estimator, Gaussian, Innovation, Tangent};
use crate::time::Span;
use serde::Deserialize;
use std::sync::Arc;

/// A signal that is followed as it comes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalDef {
    /// `part.quantity`.
    pub signal: String,
    /// Its unit, the engine's own of that quantity; `none` where it has none.
    #[serde(default = "none")]
    pub unit: String,
    /// Quantisation step, in that unit; 0: not known.
    #[serde(default)]
    pub quantum: f64,
    /// Standard deviation of one reading's noise, in that unit.
    #[serde(default)]
    pub noise_std: f64,
}

fn none() -> String {
    "none".to_owned()
}

/// Variance of a level before its first reading: anything a sensor says.
const NOTHING_KNOWN: f64 = 1e18;
/// Innovations that the rate remembers.
const MEMORY: f64 = 200.0;
/// Standard deviations beyond which an innovation is a jump of the world.
const JUMP: f64 = 3.0;
/// Least standard deviation of a reading's noise: no filter is exact.
const LEAST_STD: f64 = 1e-6;

#[derive(Clone, Copy, Debug)]
struct Lane {
    mean: f64,
    var: f64,
    /// Variance that it gains each second.
    rate: f64,
    /// Since its last reading, [s].
    waited_s: f64,
    seen: u32,
}

/// A twin that follows signals as they come.
#[derive(Clone, Debug)]
pub struct Level {
    names: Arc<[String]>,
    quanta: Arc<[f64]>,
    noise: Arc<[f64]>,
    lanes: Vec<Lane>,
}

impl Level {
    /// A twin of these signals.
    pub fn new(signals: &[SignalDef]) -> Self {
        let start = Lane { mean: 0.0, var: NOTHING_KNOWN, rate: 0.0, waited_s: 0.0, seen: 0 };
        Self {
            names: signals.iter().map(|s| s.signal.clone()).collect(),
            quanta: signals.iter().map(|s| s.quantum).collect(),
            noise: signals.iter().map(|s| s.noise_std.max(LEAST_STD)).collect(),
            lanes: vec![start; signals.len()],
        }
    }

    fn reading_var(&self, output: usize) -> f64 {
        self.noise[output].powi(2) + self.quanta[output].powi(2) / 12.0
    }

    /// How far it may have wandered after `ahead_s` more seconds.
    fn after(&self, output: usize, ahead_s: f64) -> Gaussian {
        let lane = &self.lanes[output];
        Gaussian { mean: lane.mean, var: lane.var + lane.rate * ahead_s + self.reading_var(output) }
    }
}

impl Estimator for Level {
    fn outputs(&self) -> &[String] {
        &self.names
    }

    fn inputs(&self) -> &[String] {
        &[]
    }

    fn quantum(&self, output: usize) -> f64 {
        self.quanta[output]
    }

    fn noise_std(&self, output: usize) -> f64 {
        self.noise[output]
    }

    fn predict(&mut self, dt: Span, _: &[Option<f64>]) {
        let dt_s = dt.as_secs_f64().max(0.0);
        for lane in &mut self.lanes {
            lane.var += lane.rate * dt_s;
            lane.waited_s += dt_s;
        }
    }

    fn predict_traced(&mut self, dt: Span, inputs: &[Option<f64>], tangent: &mut Tangent) {
        self.predict(dt, inputs);
        let n = self.lanes.len();
        tangent.by_input.clear();
        tangent.by_state.clear();
        tangent.by_state.resize(n * n, 0.0);
        for i in 0..n {
            tangent.by_state[i * n + i] = 1.0;
        }
    }

    fn knows_the_world(&self) -> bool {
        false
    }

    fn entries(&self) -> (usize, usize) {
        (self.lanes.len(), self.lanes.len())
    }

    fn leads(&self, _: usize) -> bool {
        true
    }

    fn reads(&self, output: usize) -> usize {
        output
    }

    fn gain(&self, output: usize, gain: &mut [f64]) {
        gain.fill(0.0);
        gain[output] = self.lanes[output].var / self.expected(output).var;
    }

    fn expected(&self, output: usize) -> Gaussian {
        self.after(output, 0.0)
    }

    fn update(&mut self, output: usize, value: f64) -> Innovation {
        let expected = self.expected(output);
        if !value.is_finite() {
            return Innovation { residual: 0.0, var: expected.var };
        }
        let noise = self.reading_var(output);
        let lane = &mut self.lanes[output];
        let residual = value - expected.mean;
        let var = expected.var.max((residual / JUMP).powi(2));
        // The level takes the whole of what the noise does not explain.
        let before = var - noise;
        lane.mean += before / var * residual;
        lane.var = before * noise / var;
        if lane.seen > 0 && lane.waited_s > 0.0 {
            let wandered = (residual.powi(2) - 2.0 * noise).max(0.0) / lane.waited_s;
            lane.rate += (wandered - lane.rate) / f64::from(lane.seen).min(MEMORY);
        }
        lane.seen = lane.seen.saturating_add(1);
        lane.waited_s = 0.0;
        Innovation { residual, var }
    }

    fn forecast(&self, horizon: Span) -> Vec<Gaussian> {
        (0..self.lanes.len()).map(|o| self.after(o, horizon.as_secs_f64().max(0.0))).collect()
    }

    fn forecasts(&self, horizons: &[Span], told: &mut dyn FnMut(usize, usize, Gaussian)) {
        for (h, horizon) in horizons.iter().enumerate() {
            for o in 0..self.lanes.len() {
                told(h, o, self.after(o, horizon.as_secs_f64().max(0.0)));
            }
        }
    }

    fn state(&self) -> Vec<(String, Gaussian)> {
        let level = |(n, l): (&String, &Lane)| (n.clone(), Gaussian { mean: l.mean, var: l.var });
        self.names.iter().zip(&self.lanes).map(level).collect()
    }

    fn fork(&self) -> Box<dyn Estimator> {
        Box::new(self.clone())
    }

    fn numbers(&self, out: &mut Vec<f64>) -> bool {
        let figures = |l: &Lane| [l.mean, l.var, l.rate, l.waited_s, f64::from(l.seen)];
        out.extend(self.lanes.iter().flat_map(figures));
        true
    }

    fn set_numbers(&mut self, numbers: &[f64]) {
        for (lane, figures) in self.lanes.iter_mut().zip(numbers.chunks_exact(5)) {
            let &[mean, var, rate, waited_s, seen] = figures else { return };
            *lane = Lane { mean, var, rate, waited_s, seen: seen as u32 };
        }
    }

    fn state_bytes(&self) -> Vec<u8> {
        let figures = |l: &Lane| [l.mean, l.var, l.rate, l.waited_s];
        self.lanes.iter().flat_map(figures).flat_map(f64::to_le_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{Judge, Reading},
        rng,
        time::SimTime,
    };
    use rand_distr::{Distribution, StandardNormal};

    fn signal(name: &str, quantum: f64) -> SignalDef {
        SignalDef { signal: name.to_owned(), unit: "none".to_owned(), quantum, noise_std: 0.0 }
    }

    /// Readings of a process every 10 s for `n` readings.
    fn judged(quantum: f64, n: i64, mut next: impl FnMut(i64) -> f64) -> Judge {
        let mut judge = Judge::new(Box::new(Level::new(&[signal("a.x", quantum)])));
        for k in 0..n {
            let t = SimTime(k * 10_000_000_000);
            let value = if quantum > 0.0 { (next(k) / quantum).round() * quantum } else { next(k) };
            judge.take(&Reading { t, arrived: t, inputs: &[], outputs: &[value] });
            judge.wait(t);
        }
        judge
    }

    #[test]
    fn a_level_that_wanders_jumps_or_stands_still_is_no_fault() {
        let mut rng = rng::stream(7, "level", "test");
        let mut draw = move || -> f64 { StandardNormal.sample(&mut rng) };
        let mut x = 20.0;
        let mut walk = |k: i64| {
            x += 0.05 * draw();
            // A kettle: on for 2 minutes in 30.
            x + if k % 180 < 12 { 1800.0 } else { 0.0 }
        };
        let judge = judged(0.1, 3000, &mut walk);
        assert!(judge.verdicts().is_empty(), "{:?}", judge.verdicts());
        let contact = judged(1.0, 3000, |k| f64::from(u8::from(k % 700 < 5)));
        assert!(contact.verdicts().is_empty(), "{:?}", contact.verdicts());
        let still = judged(0.0, 3000, |_| 5.0);
        assert!(still.verdicts().is_empty(), "{:?}", still.verdicts());
    }

    #[test]
    fn silence_is_told_of_a_level_too() {
        let mut judge = judged(0.1, 300, |k| 20.0 + 0.1 * (k as f64 / 20.0).sin());
        judge.wait(SimTime(300 * 10_000_000_000 + 600_000_000_000));
        assert_eq!(judge.verdicts().last().map(|v| v.kind), Some("dropout"));
    }

    #[test]
    fn the_rate_is_learnt_and_the_interval_holds() {
        let mut rng = rng::stream(11, "level", "rate");
        let mut twin = Level::new(&[signal("a.x", 0.0)]);
        let (mut x, mut inside, mut asked) = (0.0, 0, 0);
        let mut pending: Vec<(i64, Gaussian)> = Vec::new();
        for k in 0..6000i64 {
            let w: f64 = StandardNormal.sample(&mut rng);
            // 0.2 each ten seconds: a rate of 0.004 a second.
            x += 0.2 * w;
            twin.predict(Span::from_secs(10), &[]);
            twin.update(0, x);
            pending.retain(|(due, g)| {
                if *due == k {
                    asked += 1;
                    inside += u32::from((x - g.mean).abs() < 1.645 * g.var.sqrt());
                }
                *due > k
            });
            if k > 500 {
                pending.push((k + 6, twin.forecast(Span::from_secs(60))[0]));
            }
        }
        assert!((twin.lanes[0].rate / 0.004 - 1.0).abs() < 0.4, "{}", twin.lanes[0].rate);
        let share = f64::from(inside) / f64::from(asked);
        assert!((0.85..0.95).contains(&share), "{share}");
    }
}
