//! Ridge regression on a channel's own window, in closed form: the window counts from its last value or its mean and in its
//! own spread (instance normalisation), so that neither level nor scale has to have been seen before.

use super::{Model, linear::Normal, task::Task};
use nalgebra::DMatrix;
use std::ops::Range;

/// Samples that are added to the normal equations at once.
const BATCH: usize = 1024;
/// Multiplications that learning may take; beyond, samples are thinned.
const WORK: f64 = 6e10;
/// Penalties that are tried, in units of the window's mean power.
const PENALTIES: [f64; 7] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];
/// Origins on which penalties are compared.
const TRIED: usize = 300;

/// What a window counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centre {
    /// Its last value.
    Last,
    /// Its mean, and in units of its spread.
    Mean,
}

/// Ridge regression on windows.
#[derive(Clone, Debug)]
pub struct Window {
    wanted: usize,
    shared: bool,
    centre: Centre,
    look_back: usize,
    scales: Vec<f64>,
    first: Vec<usize>,
    normals: Vec<Normal>,
    weights: Vec<DMatrix<f64>>,
    penalties: Vec<f64>,
    stride: usize,
    /// Of each target, whether windows that hold a gap are left out, too.
    whole: Vec<bool>,
    /// Origins before this are in the normal equations.
    learnt: usize,
}

impl Window {
    /// On windows of so many slots; one regression for all targets if `shared`, or else one each.
    pub fn new(look_back: usize, shared: bool, centre: Centre) -> Self {
        Self {
            wanted: look_back,
            shared,
            centre,
            look_back,
            scales: Vec::new(),
            first: Vec::new(),
            normals: Vec::new(),
            weights: Vec::new(),
            penalties: Vec::new(),
            stride: 1,
            whole: Vec::new(),
            learnt: 0,
        }
    }

    fn begin(&mut self, task: &Task, until: usize) {
        let targets = task.targets.len();
        let room = until.saturating_sub(task.longest());
        self.look_back = self.wanted.min((room / 3).max(2));
        self.scales.clear();
        self.first.clear();
        for target in &task.targets {
            let seen: Vec<f64> =
                task.series.held(*target)[..until].iter().copied().filter(|v| v.is_finite()).collect();
            let n = seen.len().max(1) as f64;
            let mean = seen.iter().sum::<f64>() / n;
            let std = (seen.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            self.scales.push(if std > 0.0 { std } else { 1.0 });
            self.first
                .push(task.series.held(*target).iter().position(|v| v.is_finite()).unwrap_or(usize::MAX));
        }
        let (l, h) = (self.look_back as f64, task.horizons.len() as f64);
        let work = 2.0 * (room * targets) as f64 * l * (l + h);
        self.stride = (work / WORK).ceil().max(1.0) as usize;
        let regressions = if self.shared { 1 } else { targets };
        self.normals = vec![Normal::new(self.look_back + 1, task.horizons.len()); regressions];
        self.weights.clear();
        self.learnt = self.look_back - 1;
        // Where gaps leave too few whole windows to learn from, one with a gap in it is better than none.
        let origins = self.learnt..room.max(self.learnt);
        let whole = |target: usize| origins.clone().filter(|o| self.is_whole(task, target, *o)).count();
        self.whole = task.targets.iter().map(|t| 2 * whole(*t) >= self.look_back).collect();
    }

    /// Whether the window that ends at an origin, and what came of it, were read: what is held over a gap is nothing to learn.
    fn is_whole(&self, task: &Task, target: usize, origin: usize) -> bool {
        let window = (origin + 1).saturating_sub(self.look_back)..origin + 1;
        let due = |ahead: &usize| origin + ahead..origin + ahead + 1;
        !task.series.is_stale(target, window)
            && !task.horizons.iter().any(|ahead| task.series.is_stale(target, due(ahead)))
    }

    /// Centre and spread of the window that ends at an origin, and the window in them, with a constant behind.
    fn window(&self, held: &[f64], first: usize, scale: f64, origin: usize, x: &mut [f64]) -> (f64, f64) {
        let l = self.look_back;
        for (i, to) in x[..l].iter_mut().enumerate() {
            // Before the first reading the series is taken as that reading.
            *to = held[(origin + 1 + i).saturating_sub(l).max(first.min(origin))];
        }
        let (centre, spread) = match self.centre {
            Centre::Last => (x[l - 1], scale),
            Centre::Mean => {
                let mean = x[..l].iter().sum::<f64>() / l as f64;
                let var = x[..l].iter().map(|v| (v - mean).powi(2)).sum::<f64>() / l as f64;
                // A window in which nothing moves must not blow up what does.
                (mean, var.sqrt() + 0.1 * scale)
            }
        };
        for v in &mut x[..l] {
            *v = (*v - centre) / spread;
        }
        x[l] = 1.0;
        (centre, spread)
    }

    /// Adds the samples of these origins whose forecasts came due before `until`.
    fn add(&mut self, task: &Task, origins: Range<usize>) {
        let h = task.horizons.len();
        for (c, target) in task.targets.iter().enumerate() {
            let held = task.series.held(*target);
            let first = self.first[c];
            let from = origins.start.max(first.saturating_add(1));
            let known = |o: &usize| !self.whole[c] || self.is_whole(task, *target, *o);
            let thinned = (from..origins.end.max(from)).filter(|o| o % self.stride == 0);
            let all: Vec<usize> = thinned.filter(known).collect();
            for batch in all.chunks(BATCH) {
                let mut x = DMatrix::zeros(self.look_back + 1, batch.len());
                let mut y = DMatrix::zeros(h, batch.len());
                for (i, origin) in batch.iter().enumerate() {
                    let mut column = x.column_mut(i);
                    let (centre, spread) =
                        self.window(held, first, self.scales[c], *origin, column.as_mut_slice());
                    for (to, ahead) in y.column_mut(i).iter_mut().zip(&task.horizons) {
                        *to = (held[origin + ahead] - centre) / spread;
                    }
                }
                let at = if self.shared { 0 } else { c };
                self.normals[at].add(&x, &y);
            }
        }
    }

    /// Sum of errors of weights at these origins, in the targets' spreads.
    fn error(&self, task: &Task, targets: &[usize], weights: &DMatrix<f64>, origins: &[usize]) -> f64 {
        let mut sum = 0.0;
        for c in targets {
            let held = task.series.held(task.targets[*c]);
            let mut x = DMatrix::zeros(self.look_back + 1, origins.len());
            let mut of = Vec::with_capacity(origins.len());
            for (i, origin) in origins.iter().enumerate() {
                let mut column = x.column_mut(i);
                of.push(self.window(held, self.first[*c], self.scales[*c], *origin, column.as_mut_slice()));
            }
            let told = weights * x;
            for (i, origin) in origins.iter().enumerate() {
                for (k, ahead) in task.horizons.iter().enumerate() {
                    let e = (of[i].0 + of[i].1 * told[(k, i)] - held[origin + ahead]) / self.scales[*c];
                    if e.is_finite() {
                        sum += if task.squared { e * e } else { e.abs() };
                    }
                }
            }
        }
        sum
    }

    fn targets_of(&self, regression: usize, task: &Task) -> Vec<usize> {
        if self.shared { (0..task.targets.len()).collect() } else { vec![regression] }
    }
}

impl Model for Window {
    fn fit(&mut self, task: &Task, until: usize) {
        let longest = task.longest();
        if self.normals.is_empty() {
            self.begin(task, until);
            // Penalties are compared on the last fifth, before that is learnt from, too.
            let end = until.saturating_sub(longest);
            let mut split = (end - end / 5).max(self.learnt);
            let known = |o: &usize| {
                let mut targets = task.targets.iter().zip(&self.whole);
                targets.any(|(target, whole)| !whole || self.is_whole(task, *target, *o))
            };
            let mut tried: Vec<usize> = (split..end).filter(known).collect();
            // Behind a gap hardly one of these may be whole: then on the last fifth of those that are.
            if 4 * tried.len() < end.saturating_sub(split) {
                let all: Vec<usize> = (self.learnt..end).filter(known).collect();
                let last = &all[all.len() - all.len().div_ceil(5)..];
                match last.first().filter(|first| **first > self.learnt + longest) {
                    Some(first) => (split, tried) = (*first, last.to_vec()),
                    None => tried = (split..end).collect(),
                }
            }
            let tried: Vec<usize> =
                tried.iter().copied().step_by(tried.len().div_ceil(TRIED).max(1)).collect();
            let learnable = split.saturating_sub(longest).max(self.learnt);
            self.add(task, self.learnt..learnable);
            self.learnt = learnable;
            self.penalties = (0..self.normals.len())
                .map(|r| {
                    let targets = self.targets_of(r, task);
                    let error = |p: &f64| self.error(task, &targets, &self.normals[r].solve(*p), &tried);
                    let all: Vec<f64> = PENALTIES.iter().map(error).collect();
                    let best = (0..all.len()).min_by(|a, b| all[*a].total_cmp(&all[*b])).unwrap_or(3);
                    PENALTIES[best]
                })
                .collect();
        }
        let end = until.saturating_sub(longest).max(self.learnt);
        self.add(task, self.learnt..end);
        self.learnt = end;
        self.weights = self.normals.iter().zip(&self.penalties).map(|(n, p)| n.solve(*p)).collect();
    }

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        let (h, width) = (task.horizons.len(), task.width());
        for (c, target) in task.targets.iter().enumerate() {
            let held = task.series.held(*target);
            let mut x = DMatrix::zeros(self.look_back + 1, origins.len());
            let mut of = Vec::with_capacity(origins.len());
            for (i, origin) in origins.iter().enumerate() {
                let mut column = x.column_mut(i);
                of.push(self.window(held, self.first[c], self.scales[c], *origin, column.as_mut_slice()));
            }
            let told = &self.weights[if self.shared { 0 } else { c }] * x;
            for (i, (centre, spread)) in of.into_iter().enumerate() {
                let out = &mut out[i * width + c * h..][..h];
                for (to, from) in out.iter_mut().zip(told.column(i).iter()) {
                    *to = centre + spread * from;
                }
            }
        }
    }

    fn about(&self) -> String {
        let mut penalties: Vec<String> = self.penalties.iter().map(f64::to_string).collect();
        penalties.dedup();
        let thinned = if self.stride > 1 { format!(", every {}th row", self.stride) } else { String::new() };
        format!("look-back {} rows, penalty {}{thinned}", self.look_back, penalties.join(" and "))
    }
}
