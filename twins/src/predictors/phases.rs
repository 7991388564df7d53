//! Level by phase: what is usual at this time of the day, on a workday or a free day, on this day of the week, and how long
//! what is unusual now lasts.
//!
//! The usual level is a sum of layers. Each is a mean for every phase of a period of what the layers before it leave, the last
//! rounds counting more, and shrunk towards nothing where a phase was seen seldom. Deviations from it die away: those at a
//! horizon are regressed on those at the origin, a short while and a whole period before it. So a sharp edge that comes
//! every day is forecast sharply, and a level that wandered off comes back as slowly as it used to.
//!
//! A target without any period keeps its last reading.

use super::{
    Model,
    linear::{Normal, least_absolute},
    naive::seasons,
    series::Series,
    task::Task,
};
use nalgebra::DMatrix;

const DAY_S: f64 = 86_400.0;
/// Rounds of a period that have to be there before its phases are told apart.
const ROUNDS: usize = 3;
/// Rounds after which what was seen counts half.
const HALF_ROUNDS: f64 = 10.0;
/// How many rounds of nothing a phase of the first layer is mixed with, and one of a layer on top of it.
const FIRST_PRIOR: f64 = 0.1;
const NEXT_PRIOR: f64 = 1.5;
/// Samples that the regression learns from at most; beyond, they are thinned.
const SAMPLES: usize = 12_000;
/// Listed horizons for which the absolute error is made least.
const ABSOLUTE: usize = 12;
/// Constant, the deviation at the origin, its means over a while and over a period.
const FEATURES: usize = 4;
/// Share of a period that is a while.
const WHILE: usize = 12;
const PENALTY: f64 = 1e-4;

/// Phases of one period.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Period {
    /// So many slots.
    Slots(usize),
    /// The slots of a day.
    Day(usize),
    /// The slots of a day, workdays and free days apart.
    KindOfDay(usize),
    /// The slots of a week, from Monday on.
    Week(usize),
}

impl Period {
    fn phases(self) -> usize {
        match self {
            Self::Slots(n) | Self::Day(n) | Self::Week(n) => n,
            Self::KindOfDay(day) => 2 * day,
        }
    }

    /// The phase of a time, [s] from the first slot.
    fn phase(self, series: &Series, t: f64) -> usize {
        let of = |slots: usize, s: f64| ((series.phase_at(t, s) * slots as f64).round() as usize) % slots;
        match self {
            Self::Slots(n) => series.slot_of_period(t, n),
            // From the first row on, so that rows on a grid fall on whole slots whatever hour that was.
            Self::Day(n) => ((t / DAY_S).rem_euclid(1.0) * n as f64).round() as usize % n,
            Self::Week(n) => of(n, 7.0 * DAY_S),
            Self::KindOfDay(day) => {
                let free = series.phase_at(t, 7.0 * DAY_S) >= 5.0 / 7.0;
                of(day, DAY_S) + usize::from(free) * day
            }
        }
    }

    /// Slots of a round.
    fn round(self) -> usize {
        match self {
            Self::Slots(n) | Self::Day(n) | Self::Week(n) => n,
            Self::KindOfDay(day) => 7 * day,
        }
    }
}

/// Sums of what a period's phases showed.
#[derive(Clone, Debug)]
struct Layer {
    period: Period,
    prior: f64,
    sums: Vec<(f64, f64)>,
}

impl Layer {
    /// What is usual at a phase; `own` is a value with its weight that is not to count.
    fn level(&self, phase: usize, own: (f64, f64)) -> f64 {
        let (sum, weight) = self.sums[phase];
        let weight = (weight - own.1).max(0.0);
        if weight < 1e-9 { 0.0 } else { (sum - own.0 * own.1) / (weight + self.prior) }
    }
}

/// One target's level and regression.
#[derive(Clone, Debug, Default)]
struct Fit {
    /// What all layers count from.
    base: f64,
    layers: Vec<Layer>,
    /// Deviation from the usual of each slot; its sums, one more.
    off: Vec<f64>,
    sums: Vec<f64>,
    period: usize,
    weights: DMatrix<f64>,
}

impl Fit {
    fn of(task: &Task, c: usize, until: usize) -> Self {
        let (series, channel) = (&task.series, task.targets[c]);
        let periods = periods(series, channel, until);
        let Some(period) = periods.first().map(|p| p.round()) else { return Self::default() };
        let held = series.held(channel);
        let known = held[..until].iter().filter(|v| v.is_finite());
        let base = known.clone().sum::<f64>() / known.count().max(1) as f64;
        // What is left of each slot's reading, and the weight with which each layer has it.
        let mut left: Vec<f64> =
            held.iter().map(|v| if v.is_finite() { v - base } else { f64::NAN }).collect();
        let mut off = left.clone();
        let mut layers: Vec<Layer> = Vec::new();
        for (k, period) in periods.into_iter().enumerate() {
            let fade = 0.5f64.powf(1.0 / (HALF_ROUNDS * period.round() as f64));
            let weight = |slot: usize| fade.powi((until - 1 - slot.min(until - 1)) as i32);
            let prior = if k == 0 { FIRST_PRIOR } else { NEXT_PRIOR };
            let mut layer = Layer { period, prior, sums: vec![(0.0, 0.0); period.phases()] };
            for (slot, v) in left[..until].iter().enumerate().filter(|(_, v)| v.is_finite()) {
                let (sum, n) = &mut layer.sums[period.phase(series, series.time(slot))];
                *sum += v * weight(slot);
                *n += weight(slot);
            }
            for slot in 0..left.len() {
                let phase = period.phase(series, series.time(slot));
                // What was learnt from is held against what the others say: it would explain itself.
                let own = if slot < until && left[slot].is_finite() {
                    (left[slot], weight(slot))
                } else {
                    (0.0, 0.0)
                };
                off[slot] -= layer.level(phase, own);
                left[slot] -= layer.level(phase, (0.0, 0.0));
            }
            layers.push(layer);
        }
        off.iter_mut().filter(|v| !v.is_finite()).for_each(|v| *v = 0.0);
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        sums.extend(off.iter().map(|v| {
            sum += v;
            sum
        }));
        let mut fit = Self { base, layers, off, sums, period, weights: DMatrix::zeros(0, 0) };
        fit.learn(task, until);
        fit
    }

    fn level(&self, series: &Series, t: f64) -> f64 {
        let each = self.layers.iter().map(|l| l.level(l.period.phase(series, t), (0.0, 0.0)));
        self.base + each.sum::<f64>()
    }

    fn features(&self, origin: usize) -> [f64; FEATURES] {
        let mean = |slots: usize| {
            let from = (origin + 1).saturating_sub(slots.max(1));
            (self.sums[origin + 1] - self.sums[from]) / (origin + 1 - from) as f64
        };
        [1.0, self.off[origin], mean(self.period / WHILE), mean(self.period)]
    }

    /// Learns how deviations last, from what had come due before `until`.
    fn learn(&mut self, task: &Task, until: usize) {
        let end = until.saturating_sub(task.longest());
        let from = self.period.min(end);
        let origins: Vec<usize> = (from..end).collect();
        let origins: Vec<usize> =
            origins.iter().copied().step_by(origins.len().div_ceil(SAMPLES).max(1)).collect();
        let h = task.horizons.len();
        if origins.len() < 20 {
            self.weights = DMatrix::zeros(h, FEATURES);
            return;
        }
        // In units of the deviations' own size, so that the constant is penalised as they are.
        let scale = (origins.iter().map(|o| self.off[*o].powi(2)).sum::<f64>() / origins.len() as f64).sqrt();
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let mut x = DMatrix::zeros(FEATURES, origins.len());
        for (i, origin) in origins.iter().enumerate() {
            let features = self.features(*origin);
            x.column_mut(i).iter_mut().zip(features).for_each(|(to, v)| *to = v / scale);
        }
        x.row_mut(0).fill(1.0);
        let y = DMatrix::from_fn(h, origins.len(), |k, i| self.off[origins[i] + task.horizons[k]] / scale);
        let mut normal = Normal::new(FEATURES, h);
        normal.add(&x, &y);
        let mut weights = normal.solve(PENALTY);
        if !task.squared && h <= ABSOLUTE {
            for k in 0..h {
                let start: Vec<f64> = weights.row(k).iter().copied().collect();
                let y: Vec<f64> = y.row(k).iter().copied().collect();
                let found = least_absolute(&x, &y, PENALTY, &start, 5);
                weights.row_mut(k).iter_mut().zip(found).for_each(|(to, w)| *to = w);
            }
        }
        weights.column_mut(0).iter_mut().for_each(|w| *w *= scale);
        self.weights = weights;
    }
}

/// The periods of a target that showed often enough: the finest first, which is the day where there is one.
fn periods(series: &Series, channel: usize, until: usize) -> Vec<Period> {
    let often = |period: usize| ROUNDS * period <= until;
    let Some(day) = series.slots_in(DAY_S).filter(|d| often(*d)) else {
        let found = seasons(series, channel, until).into_iter().find(|p| often(*p));
        return found.map(Period::Slots).into_iter().collect();
    };
    let mut all = vec![Period::Day(day)];
    if series.t0_unix_s.is_some() && 2 * 7 * day <= until {
        all.push(Period::KindOfDay(day));
    }
    if let Some(week) = series.slots_in(7.0 * DAY_S).filter(|w| often(*w)) {
        all.push(Period::Week(week));
    }
    all
}

/// Level by phase.
#[derive(Clone, Debug, Default)]
pub struct Phases {
    fits: Vec<Fit>,
}

impl Model for Phases {
    fn fit(&mut self, task: &Task, until: usize) {
        self.fits = (0..task.targets.len()).map(|c| Fit::of(task, c, until)).collect();
    }

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        let h = task.horizons.len();
        for (origin, out) in origins.iter().zip(out.chunks_mut(task.width())) {
            for (c, (fit, out)) in self.fits.iter().zip(out.chunks_mut(h)).enumerate() {
                if fit.layers.is_empty() {
                    out.fill(task.series.held(task.targets[c])[*origin]);
                    continue;
                }
                let features = fit.features(*origin);
                for (k, out) in out.iter_mut().enumerate() {
                    let off: f64 = features.iter().zip(fit.weights.row(k).iter()).map(|(x, w)| x * w).sum();
                    *out = fit.level(&task.series, task.series.due(*origin, task.horizons[k])) + off;
                }
            }
        }
    }

    fn about(&self) -> String {
        let each = self.fits.iter().map(|f| {
            let periods: Vec<String> = f.layers.iter().map(|l| l.period.phases().to_string()).collect();
            if periods.is_empty() { "none".to_owned() } else { periods.join(" + ") }
        });
        format!("phases of each target: {}", each.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half-hours of weeks: an edge at eight and at six on workdays, and a wander of its own.
    fn weeks(n: usize, wander: f64) -> Task {
        let mut state = 3u32;
        let mut away = 0.0;
        let values = (0..n * 336).map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            away = 0.9 * away + wander * (f64::from(state >> 8) / f64::from(1 << 24) - 0.5);
            let (day, hour) = (i / 48 % 7, i % 48);
            5.0 + away + if day < 5 && (16..36).contains(&hour) { 10.0 } else { 0.0 }
        });
        let t_s: Vec<f64> = (0..n * 336).map(|i| i as f64 * 1800.0).collect();
        // 2021-03-01 was a Monday.
        let series = Series::new(&t_s, Some(1_614_556_800.0), vec![values.collect()]);
        Task::new(series, vec![0], vec![], vec![], vec![1, 12, 48])
    }

    #[test]
    fn edges_of_workdays_are_forecast_and_free_days_are_free() {
        let task = weeks(6, 0.4);
        let mut model = Phases::default();
        model.fit(&task, 5 * 336);
        let mut worst = [0.0f64; 3];
        for origin in 5 * 336..6 * 336 - 48 {
            let mut out = [0.0; 3];
            model.forecast(&task, &[origin], &mut out);
            for ((worst, told), ahead) in worst.iter_mut().zip(out).zip(&task.horizons) {
                *worst = worst.max((told - task.target(0, origin, *ahead)).abs());
            }
        }
        assert!(worst.iter().all(|w| *w < 3.0), "an edge that is missed is off by ten: {worst:?}");
    }

    #[test]
    fn what_came_later_does_not_reach_a_level() {
        let task = weeks(4, 0.4);
        let mut other = task.clone();
        let mut values = task.series.channel(0).to_vec();
        values[3 * 336..].iter_mut().for_each(|v| *v = -100.0);
        let t_s: Vec<f64> = (0..values.len()).map(|i| i as f64 * 1800.0).collect();
        other.series = Series::new(&t_s, task.series.t0_unix_s, vec![values]);
        let told = |task: &Task| {
            let mut model = Phases::default();
            model.fit(task, 3 * 336);
            let mut out = [0.0; 3];
            model.forecast(task, &[3 * 336 - 1], &mut out);
            out
        };
        assert_eq!(told(&task), told(&other));
    }

    #[test]
    fn without_a_period_the_last_reading_stays() {
        let t_s: Vec<f64> = (0..50).map(f64::from).collect();
        let series = Series::new(&t_s, None, vec![(0..50).map(f64::from).collect()]);
        let task = Task::new(series, vec![0], vec![], vec![], vec![1, 5]);
        let mut model = Phases::default();
        model.fit(&task, 40);
        let mut out = [0.0; 2];
        model.forecast(&task, &[44], &mut out);
        assert_eq!(out, [44.0, 44.0]);
    }
}
