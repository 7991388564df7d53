//! The textbook's detectors of change, as statistics of one row after the other: what the others are measured against.

use super::{autoregression::Autoregression, features::Moments, scale::Scale};
use std::collections::VecDeque;

/// A figure that is large where something has changed. A value that is not finite changes nothing.
pub trait Statistic: Send + Sync {
    /// Takes a value in.
    fn take(&mut self, value: f64) -> f64;
}

/// How far a value is from the mean of all before it, in their standard deviations.
#[derive(Clone, Debug)]
pub struct Gaussian(Moments);

impl Default for Gaussian {
    fn default() -> Self {
        Self(Moments::over(6400.0))
    }
}

impl Statistic for Gaussian {
    fn take(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let std = self.0.var.sqrt();
        let away = if std > 0.0 { (value - self.0.mean).abs() / std } else { 0.0 };
        self.0.take(value);
        if away.is_finite() { away } else { f64::MAX }
    }
}

/// Cumulative sums of residuals, upwards and downwards, with an allowance for each (Page 1954).
#[derive(Clone, Debug)]
pub struct Cusum {
    residuals: Residuals,
    sums: (f64, f64),
}

/// What is taken off a cumulative sum with each row, in standard deviations: half of the least change that matters.
const ALLOWANCE: f64 = 0.5;

impl Default for Cusum {
    fn default() -> Self {
        Self { residuals: Residuals::default(), sums: (0.0, 0.0) }
    }
}

impl Statistic for Cusum {
    fn take(&mut self, value: f64) -> f64 {
        let Some(r) = self.residuals.take(value) else { return 0.0 };
        self.sums = ((self.sums.0 + r - ALLOWANCE).max(0.0), (self.sums.1 - r - ALLOWANCE).max(0.0));
        self.sums.0.max(self.sums.1)
    }
}

/// How far the sum of deviations from the running mean has come from its extremes (Page and Hinkley).
#[derive(Clone, Debug)]
pub struct PageHinkley {
    residuals: Residuals,
    mean: Moments,
    up: (f64, f64),
    down: (f64, f64),
}

/// Deviations that do not count, in standard deviations.
const TOLERANCE: f64 = 0.1;

impl Default for PageHinkley {
    fn default() -> Self {
        Self {
            residuals: Residuals::default(),
            mean: Moments::over(1000.0),
            up: (0.0, 0.0),
            down: (0.0, 0.0),
        }
    }
}

impl Statistic for PageHinkley {
    fn take(&mut self, value: f64) -> f64 {
        let Some(r) = self.residuals.take(value) else { return 0.0 };
        let away = r - self.mean.mean;
        self.mean.take(r);
        self.up.0 += away - TOLERANCE;
        self.up.1 = self.up.1.min(self.up.0);
        self.down.0 += away + TOLERANCE;
        self.down.1 = self.down.1.max(self.down.0);
        (self.up.0 - self.up.1).max(self.down.1 - self.down.0)
    }
}

/// The likelihood ratio of a change of the residuals' mean at the best of the last rows (Willsky and Jones 1976).
#[derive(Clone, Debug, Default)]
pub struct Glr {
    residuals: Residuals,
    lately: VecDeque<f64>,
}

/// Rows at which a change may have begun.
const GLR_ROWS: usize = 50;

impl Statistic for Glr {
    fn take(&mut self, value: f64) -> f64 {
        let Some(r) = self.residuals.take(value) else { return 0.0 };
        self.lately.push_front(r);
        self.lately.truncate(GLR_ROWS);
        let (mut sum, mut best) = (0.0, 0.0f64);
        for (k, r) in self.lately.iter().enumerate() {
            sum += r;
            best = best.max(sum * sum / (2.0 * (k + 1) as f64));
        }
        best
    }
}

/// Bayesian online detection of change points (Adams and MacKay 2007): the probability that the current run of rows with
/// one mean and variance began a few rows ago.
#[derive(Clone, Debug)]
pub struct Bocpd {
    scale: Warm,
    runs: Vec<RunLength>,
}

/// A hypothesis: the run has lasted so long.
#[derive(Clone, Copy, Debug)]
struct RunLength {
    rows: f64,
    weight: f64,
    mean: f64,
    /// Pseudo-observations of the mean, shape and rate of the precision.
    kappa: f64,
    alpha: f64,
    beta: f64,
}

/// Rows between changes, expected.
const HAZARD_ROWS: f64 = 250.0;
/// Hypotheses kept: the likeliest.
const MOST_RUNS: usize = 60;
/// A run this short has just begun.
const NEW_ROWS: f64 = 8.0;

impl Default for Bocpd {
    fn default() -> Self {
        Self { scale: Warm::default(), runs: vec![RunLength::new(1.0)] }
    }
}

impl RunLength {
    fn new(weight: f64) -> Self {
        Self { rows: 0.0, weight, mean: 0.0, kappa: 0.1, alpha: 1.0, beta: 1.0 }
    }

    /// Density of a value: Student's t, up to a constant that all hypotheses share.
    fn density(&self, x: f64) -> f64 {
        let nu = 2.0 * self.alpha;
        let scale2 = self.beta * (self.kappa + 1.0) / (self.alpha * self.kappa);
        let d = x - self.mean;
        let log = ln_gamma_ratio(nu)
            - 0.5 * (nu * scale2).ln()
            - 0.5 * (nu + 1.0) * (d * d / (nu * scale2)).ln_1p();
        log.exp()
    }

    fn grown(&self, x: f64, weight: f64) -> Self {
        let kappa = self.kappa + 1.0;
        let d = x - self.mean;
        Self {
            rows: self.rows + 1.0,
            weight,
            mean: self.mean + d / kappa,
            kappa,
            alpha: self.alpha + 0.5,
            beta: self.beta + 0.5 * self.kappa * d * d / kappa,
        }
    }
}

/// ln Γ((ν+1)/2) − ln Γ(ν/2), by its expansion, good to a thousandth from ν = 2 on.
fn ln_gamma_ratio(nu: f64) -> f64 {
    let x = nu / 2.0;
    0.5 * x.ln() - 1.0 / (8.0 * x) + 1.0 / (192.0 * x * x * x)
}

impl Statistic for Bocpd {
    fn take(&mut self, value: f64) -> f64 {
        let Some(x) = self.scale.take(value) else { return 0.0 };
        let mut begun = 0.0;
        let mut next = Vec::with_capacity(self.runs.len() + 1);
        for run in &self.runs {
            let likely = run.weight * run.density(x);
            begun += likely / HAZARD_ROWS;
            next.push(run.grown(x, likely * (1.0 - 1.0 / HAZARD_ROWS)));
        }
        next.push(RunLength::new(begun));
        next.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.rows.total_cmp(&b.rows)));
        next.truncate(MOST_RUNS);
        let total: f64 = next.iter().map(|r| r.weight).sum();
        if !(total > 0.0 && total.is_finite()) {
            next = vec![RunLength::new(1.0)];
        } else {
            next.iter_mut().for_each(|r| r.weight /= total);
        }
        self.runs = next;
        let new: f64 = self.runs.iter().filter(|r| r.rows <= NEW_ROWS).map(|r| r.weight).sum();
        new.clamp(0.0, 1.0)
    }
}

/// Residuals of a forecaster, in its usual errors, of values on their own scale.
#[derive(Clone, Debug, Default)]
struct Residuals {
    scale: Warm,
    forecaster: Autoregression,
}

impl Residuals {
    fn take(&mut self, value: f64) -> Option<f64> {
        self.scale.take(value).map(|z| self.forecaster.take(z))
    }
}

/// The scale of a stream, once its first rows are known.
#[derive(Clone, Debug, Default)]
struct Warm {
    first: Vec<f64>,
    scale: Option<Scale>,
}

/// Rows that a scale is taken from.
const WARM_ROWS: usize = 200;

impl Warm {
    fn take(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        if self.scale.is_none() {
            self.first.push(value);
            if self.first.len() == WARM_ROWS {
                self.scale = Some(Scale::of(&std::mem::take(&mut self.first)));
            }
            return None;
        }
        self.scale.map(|s| s.compressed(value))
    }
}
