//! Regression on all channels: each one's past in blocks that grow with age, the hour and the day, seasons ago, and what is
//! known ahead. Of a list of horizons the absolute error is made least, of a range the squared one.

use super::{
    Model,
    linear::{Normal, Scaler, least_absolute},
    naive::seasons,
    task::Task,
};
use nalgebra::DMatrix;

/// Raw lags of the target itself.
const LAGS: usize = 12;
/// Samples that are learnt from at most; beyond, they are thinned.
const SAMPLES: usize = 16_000;
/// Listed horizons for which the absolute error is made least.
const ABSOLUTE: usize = 12;
/// Penalties that are tried, on features of unit spread.
const PENALTIES: [f64; 6] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];
/// Rounds of reweighting from least squares, and from what was learnt before.
const ROUNDS: usize = 5;
const ROUNDS_ON: usize = 2;
/// Multiplications that learning all targets again may take; beyond, samples are thinned.
const WORK: f64 = 3e10;
/// Horizons that have features of their own.
const OWN: usize = 8;

/// One target's regression.
#[derive(Clone, Debug, Default)]
struct Fit {
    scaler: Scaler,
    scale: f64,
    penalty: Option<f64>,
    /// A row for each horizon.
    weights: DMatrix<f64>,
}

/// Regression on all channels, or on each target's own.
#[derive(Clone, Debug)]
pub struct Wide {
    others: bool,
    blocks: Vec<(usize, usize)>,
    coarse: Vec<(usize, usize)>,
    seasons: Vec<Vec<usize>>,
    sums: Vec<Vec<f64>>,
    spreads: Vec<f64>,
    fits: Vec<Fit>,
}

/// Blocks of lags, `from..to`, whose width grows by this factor.
fn blocks(longest: usize, growth: f64) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    let (mut at, mut width) = (1usize, 1.0f64);
    while at < longest {
        let next = (at + width.round().max(1.0) as usize).min(longest);
        all.push((at, next));
        at = next;
        width *= growth;
    }
    all
}

impl Wide {
    /// On all channels with `others`, else on each target's own past.
    pub fn new(others: bool) -> Self {
        Self {
            others,
            blocks: Vec::new(),
            coarse: Vec::new(),
            seasons: Vec::new(),
            sums: Vec::new(),
            spreads: Vec::new(),
            fits: Vec::new(),
        }
    }

    fn begin(&mut self, task: &Task, until: usize) {
        let series = &task.series;
        let day = series.slots_in(86_400.0).unwrap_or(144);
        let longest = (2 * day).clamp(24, 600).min(until / 4).max(4);
        self.blocks = blocks(longest, 1.25);
        self.coarse = blocks(longest, 1.8);
        self.seasons = (task.targets.iter())
            .map(|t| {
                let mut found = seasons(series, *t, until);
                found.truncate(3);
                found
            })
            .collect();
        self.sums = (0..series.len())
            .map(|c| {
                let held = series.held(c);
                let first = held.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
                let mut sum = 0.0;
                let mut all = vec![0.0];
                // Counted from the first value, so that a level far from zero costs no digits.
                all.extend(held.iter().map(|v| {
                    sum += if v.is_finite() { v - first } else { 0.0 };
                    sum
                }));
                all
            })
            .collect();
        self.spreads = (0..series.len())
            .map(|c| {
                let seen: Vec<f64> =
                    series.held(c)[..until].iter().copied().filter(|v| v.is_finite()).collect();
                let mean = seen.iter().sum::<f64>() / seen.len().max(1) as f64;
                let var = seen.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / seen.len().max(1) as f64;
                if var > 0.0 { var.sqrt() } else { 1.0 }
            })
            .collect();
        self.fits = vec![Fit::default(); task.targets.len()];
    }

    /// Mean of a channel over a block of lags before an origin, its first value subtracted.
    fn mean(&self, channel: usize, origin: usize, (from, to): (usize, usize)) -> f64 {
        let sums = &self.sums[channel];
        let (high, low) = ((origin + 1).saturating_sub(from), (origin + 1).saturating_sub(to));
        if high == low { sums[1.min(sums.len() - 1)] } else { (sums[high] - sums[low]) / (high - low) as f64 }
    }

    fn level(&self, channel: usize, origin: usize) -> f64 {
        self.sums[channel][origin + 1] - self.sums[channel][origin]
    }

    /// The features of a target at an origin, a constant first.
    fn features(&self, task: &Task, c: usize, origin: usize, x: &mut Vec<f64>) {
        x.clear();
        x.push(1.0);
        let own = task.targets[c];
        let series = &task.series;
        let last = self.level(own, origin);
        for lag in 1..=LAGS {
            x.push(self.level(own, origin.saturating_sub(lag)) - last);
        }
        for block in &self.blocks {
            x.push(self.mean(own, origin, *block) - last);
        }
        x.push(last);
        // A day's and a week's harmonics at the origin: what they are at the horizon is a rotation of these.
        for (period_s, harmonics) in [(86_400.0, 4), (7.0 * 86_400.0, 3)] {
            if series.t0_unix_s.is_some() && series.slots_in(period_s).is_some() {
                let phase = std::f64::consts::TAU * series.phase(origin, period_s);
                for k in 1..=harmonics {
                    x.extend([(f64::from(k) * phase).sin(), (f64::from(k) * phase).cos()]);
                }
            }
        }
        for ahead in task.horizons.iter().take(if task.horizons.len() <= OWN { OWN } else { 0 }) {
            for season in &self.seasons[c] {
                let at = series.before(origin, *ahead, *season);
                x.push(at.map_or(0.0, |at| self.level(own, at) - last));
            }
        }
        if !self.others {
            return;
        }
        for channel in 0..series.len() {
            if channel == own {
                continue;
            }
            let last = self.level(channel, origin);
            x.push(last);
            for block in &self.coarse {
                x.push(self.mean(channel, origin, *block) - last);
            }
        }
        self.ahead(task, origin, x);
    }

    /// What is known over the horizon: at each listed one, or else its means over blocks.
    fn ahead(&self, task: &Task, origin: usize, x: &mut Vec<f64>) {
        for channel in &task.known {
            let sums = &self.sums[*channel];
            let last = self.level(*channel, origin);
            let end = sums.len() - 1;
            let mean = |from: usize, to: usize| {
                let (from, to) = ((origin + from).min(end), (origin + to).min(end));
                if to > from { (sums[to] - sums[from]) / (to - from) as f64 - last } else { 0.0 }
            };
            if task.horizons.len() <= OWN {
                let mut before = 1;
                for ahead in &task.horizons {
                    x.extend([mean(*ahead, ahead + 1), mean(before, ahead + 1)]);
                    before = ahead + 1;
                }
            } else {
                for (from, to) in blocks(task.longest() + 1, 1.5) {
                    x.push(mean(from, to));
                }
            }
        }
    }

    fn matrix(&self, task: &Task, c: usize, origins: &[usize]) -> DMatrix<f64> {
        let mut x = Vec::new();
        let mut all = Vec::new();
        for origin in origins {
            self.features(task, c, *origin, &mut x);
            all.extend_from_slice(&x);
        }
        DMatrix::from_vec(x.len(), origins.len(), all)
    }

    /// Whether the absolute error is made least, horizon by horizon.
    fn absolute(task: &Task) -> bool {
        !task.squared && task.horizons.len() <= ABSOLUTE
    }

    /// Samples that one target may learn from.
    fn affordable(&self, task: &Task, c: usize, end: usize) -> usize {
        let mut x = Vec::new();
        self.features(task, c, end.saturating_sub(1), &mut x);
        let products = if Self::absolute(task) { ROUNDS_ON * task.horizons.len() } else { 1 };
        let each = (task.targets.len() * products * x.len() * x.len()) as f64 / 2.0;
        ((WORK / each) as usize).clamp(1, SAMPLES)
    }

    /// Learns one target.
    fn learn(&self, task: &Task, c: usize, until: usize) -> Fit {
        let before = &self.fits[c];
        let (held, read) = (task.series.held(task.targets[c]), task.series.channel(task.targets[c]));
        let first = held.iter().position(|v| v.is_finite()).unwrap_or(usize::MAX);
        let longest = task.longest();
        let from = first.saturating_add(self.blocks.last().map_or(1, |b| b.1));
        let end = until.saturating_sub(longest);
        let whole = |o: &usize| task.horizons.iter().all(|h| read[o + h].is_finite());
        let mut origins: Vec<usize> = (from.min(end)..end).filter(whole).collect();
        // Of many horizons one is nearly always missing: then what was read just before stands for it.
        let lately = |o: &usize| {
            let mut due = task.horizons.iter().map(|h| o + h);
            !due.any(|due| task.series.is_stale(task.targets[c], due..due + 1))
        };
        let dated: Vec<usize> = (from.min(end)..end).filter(lately).collect();
        if 2 * origins.len() < dated.len() {
            origins = dated;
        }
        let most = self.affordable(task, c, end);
        let origins: Vec<usize> =
            origins.iter().copied().step_by(origins.len().div_ceil(most).max(1)).collect();
        let scale = self.spreads[task.targets[c]];
        if origins.len() < 20 {
            return Fit { scale, ..Fit::default() };
        }
        let mut x = self.matrix(task, c, &origins);
        let scaler = Scaler::of(&x);
        scaler.apply(&mut x);
        x.row_mut(0).fill(1.0);
        let targets = |origins: &[usize]| {
            DMatrix::from_fn(task.horizons.len(), origins.len(), |k, i| {
                (held[origins[i] + task.horizons[k]] - held[origins[i]]) / scale
            })
        };
        let y = targets(&origins);
        let penalty = before.penalty.unwrap_or_else(|| {
            let n = origins.len();
            let split = n - n / 4;
            // What came due after the split was not known before it.
            let learnable = origins[..split].partition_point(|o| o + longest <= origins[split]);
            if learnable < 10 {
                return PENALTIES[3];
            }
            let mut normal = Normal::new(x.nrows(), y.nrows());
            normal.add(&x.columns(0, learnable).into_owned(), &y.columns(0, learnable).into_owned());
            let (xt, yt) =
                (x.columns(split, n - split).into_owned(), y.columns(split, n - split).into_owned());
            let error = |p: &f64| {
                let left = &(normal.solve(*p) * &xt) - &yt;
                if task.squared { left.norm_squared() } else { left.iter().map(|e| e.abs()).sum() }
            };
            let all: Vec<f64> = PENALTIES.iter().map(error).collect();
            let best = (0..all.len()).min_by(|a, b| all[*a].total_cmp(&all[*b])).unwrap_or(3);
            PENALTIES[best]
        });
        let absolute = Self::absolute(task);
        // What was learnt before is a start from which few rounds lead to the least absolute error.
        let known = absolute && before.weights.ncols() == x.nrows();
        let mut weights = match known {
            true => before.weights.clone(),
            false => {
                let mut normal = Normal::new(x.nrows(), y.nrows());
                normal.add(&x, &y);
                normal.solve(penalty)
            }
        };
        if absolute {
            for k in 0..task.horizons.len() {
                let mut start: Vec<f64> = weights.row(k).iter().copied().collect();
                if known {
                    start = scaler.carried(&before.scaler, &start);
                }
                let y: Vec<f64> = y.row(k).iter().copied().collect();
                let rounds = if known { ROUNDS_ON } else { ROUNDS };
                let found = least_absolute(&x, &y, penalty, &start, rounds);
                for (to, from) in weights.row_mut(k).iter_mut().zip(found) {
                    *to = from;
                }
            }
        }
        Fit { scaler, scale, penalty: Some(penalty), weights }
    }
}

impl Model for Wide {
    fn fit(&mut self, task: &Task, until: usize) {
        if self.fits.is_empty() {
            self.begin(task, until);
        }
        self.fits = (0..task.targets.len()).map(|c| self.learn(task, c, until)).collect();
    }

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        let (h, width) = (task.horizons.len(), task.width());
        for (c, fit) in self.fits.iter().enumerate() {
            let held = task.series.held(task.targets[c]);
            if fit.weights.is_empty() {
                for (i, origin) in origins.iter().enumerate() {
                    out[i * width + c * h..][..h].fill(held[*origin]);
                }
                continue;
            }
            let mut x = self.matrix(task, c, origins);
            fit.scaler.apply(&mut x);
            x.row_mut(0).fill(1.0);
            let told = &fit.weights * x;
            for (i, origin) in origins.iter().enumerate() {
                let out = &mut out[i * width + c * h..][..h];
                for (to, from) in out.iter_mut().zip(told.column(i).iter()) {
                    *to = held[*origin] + fit.scale * from;
                }
            }
        }
    }

    fn about(&self) -> String {
        let features = self.fits.first().map_or(0, |f| f.weights.ncols());
        let penalties: Vec<String> =
            self.fits.iter().filter_map(|f| f.penalty).map(|p| p.to_string()).collect();
        format!("{features} features a target, penalty {}", penalties.join(", "))
    }
}
