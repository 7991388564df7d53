//! The covariance matrix adaptation evolution strategy, as a global search where the cost has several valleys (Hansen, *The
//! CMA Evolution Strategy: A Tutorial*, arXiv 1604.00772, figure 6; its constants are those of its table 1). It needs no
//! slopes, and draws from a stream of its own.

use super::problem::Problem;
use crate::rng;
use nalgebra::{DMatrix, DVector};
use rand_distr::{Distribution, StandardNormal};

/// Runs, each with twice the population of the one before.
const RUNS: u32 = 3;

/// The lowest point found: starting from the priors' middle, in units of their spread.
pub(super) fn search(problem: &Problem, seed: u64, iterations: usize) -> Vec<f64> {
    let n = problem.len();
    let at = |x: &DVector<f64>| {
        let mut v: Vec<f64> = (0..n).map(|i| problem.centre()[i] + problem.spread(i) * x[i]).collect();
        problem.bounded(&mut v);
        v
    };
    let cost = |v: &[f64]| Some(problem.cost(v)).filter(|c| c.is_finite()).unwrap_or(f64::MAX);
    let best = restarted(n, seed, 2 * iterations, &mut |x| cost(&at(x)));
    at(&best)
}

/// The best of several runs, each with twice the population of the one before and a start of its own (Auger & Hansen, *A
/// Restart CMA Evolution Strategy With Increasing Population Size*, 2005): one run alone stays in the valley it begins in.
fn restarted(
    n: usize,
    seed: u64,
    generations: usize,
    cost: &mut dyn FnMut(&DVector<f64>) -> f64,
) -> DVector<f64> {
    let mut best: Option<(f64, DVector<f64>)> = None;
    for run in 0..RUNS {
        let found = minimise(n, (seed, run), generations, cost);
        if best.as_ref().is_none_or(|b| found.0 < b.0) {
            best = Some(found);
        }
    }
    best.map_or_else(|| DVector::zeros(n), |b| b.1)
}

/// Minimises over `n` unknowns that are of order 1: the lowest cost, and where it is.
fn minimise(
    n: usize,
    (seed, run): (u64, u32),
    generations: usize,
    cost: &mut dyn FnMut(&DVector<f64>) -> f64,
) -> (f64, DVector<f64>) {
    let mut rng = rng::stream(seed, "fit", &format!("cma-es {run}"));
    let size = n as f64;
    let lambda = (4 + (3.0 * size.ln()).floor() as usize) << run;
    let mu = lambda / 2;
    let raw: Vec<f64> = (0..mu).map(|i| (0.5 * (lambda as f64 + 1.0)).ln() - ((i + 1) as f64).ln()).collect();
    let total: f64 = raw.iter().sum();
    let weights: Vec<f64> = raw.iter().map(|w| w / total).collect();
    let mu_eff = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
    let c_sigma = (mu_eff + 2.0) / (size + mu_eff + 5.0);
    let d_sigma = 1.0 + 2.0 * (((mu_eff - 1.0) / (size + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma;
    let c_c = (4.0 + mu_eff / size) / (size + 4.0 + 2.0 * mu_eff / size);
    let c_1 = 2.0 / ((size + 1.3).powi(2) + mu_eff);
    let c_mu = (2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((size + 2.0).powi(2) + mu_eff)).clamp(0.0, 1.0 - c_1);
    let expected = size.sqrt() * (1.0 - 1.0 / (4.0 * size) + 1.0 / (21.0 * size * size));

    let mut mean: DVector<f64> = DVector::zeros(n);
    if run > 0 {
        mean = DVector::from_fn(n, |_, _| StandardNormal.sample(&mut rng));
    }
    let mut sigma = 1.0;
    let (mut p_sigma, mut p_c) = (DVector::zeros(n), DVector::<f64>::zeros(n));
    let mut c = DMatrix::<f64>::identity(n, n);
    let mut best = (cost(&mean), mean.clone());
    for generation in 0..generations {
        let eigen = c.clone().symmetric_eigen();
        let roots = eigen.eigenvalues.map(|l| l.max(1e-14).sqrt());
        let mut drawn: Vec<(f64, DVector<f64>)> = (0..lambda)
            .map(|_| {
                let z = DVector::from_fn(n, |_, _| StandardNormal.sample(&mut rng));
                let y: DVector<f64> = &eigen.eigenvectors * roots.component_mul(&z);
                let x = &mean + sigma * &y;
                (cost(&x), y)
            })
            .collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        if drawn[0].0 < best.0 {
            best = (drawn[0].0, &mean + sigma * &drawn[0].1);
        }
        let step = weights.iter().zip(&drawn).fold(DVector::zeros(n), |sum, (w, (_, y))| sum + *w * y);
        mean += sigma * &step;
        let white = &eigen.eigenvectors * (eigen.eigenvectors.transpose() * &step).component_div(&roots);
        p_sigma = (1.0 - c_sigma) * p_sigma + (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt() * white;
        let length = p_sigma.norm();
        let fading = 1.0 - (1.0 - c_sigma).powi(2 * (generation as i32 + 1));
        let stalls = length / fading.sqrt() >= (1.4 + 2.0 / (size + 1.0)) * expected;
        let h = f64::from(u8::from(!stalls));
        p_c = (1.0 - c_c) * p_c + h * (c_c * (2.0 - c_c) * mu_eff).sqrt() * &step;
        let keeps = 1.0 - c_1 - c_mu + (1.0 - h) * c_1 * c_c * (2.0 - c_c);
        let ranks = weights
            .iter()
            .zip(&drawn)
            .fold(DMatrix::zeros(n, n), |sum, (w, (_, y))| sum + *w * y * y.transpose());
        c = keeps * c + c_1 * &p_c * p_c.transpose() + c_mu * ranks;
        sigma *= ((c_sigma / d_sigma) * (length / expected - 1.0)).exp().clamp(0.1, 10.0);
        if sigma * roots.max() < 1e-4 {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two valleys, of which a descent from the start finds the worse.
    #[test]
    fn the_lower_of_two_valleys_is_found() {
        let mut far = 0;
        for seed in 0..20 {
            let mut cost = |x: &DVector<f64>| {
                let near = (x[0] - 0.5).powi(2) + (x[1] - 0.5).powi(2) + 0.3;
                let deep = 0.5 * ((x[0] + 1.5).powi(2) + (x[1] + 1.0).powi(2));
                near.min(deep)
            };
            far += u32::from(restarted(2, seed, 200, &mut cost)[0] < -1.0);
        }
        assert!(far >= 18, "{far} of 20");
    }

    #[test]
    fn a_narrow_valley_is_followed_to_its_end() {
        let mut rosenbrock = |x: &DVector<f64>| 100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2);
        let found = restarted(2, 1, 400, &mut rosenbrock);
        assert!((found[0] - 1.0).abs() < 0.01 && (found[1] - 1.0).abs() < 0.02, "{found}");
    }
}
