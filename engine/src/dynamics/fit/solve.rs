//! Levenberg–Marquardt with priors and bounds, from several starts, with the residuals' own weights.

use super::{
    FitError, Global, Settings, cma_es,
    problem::{Normal, Problem},
    profile::ENOUGH_NATS,
};
use crate::{
    dynamics::dense::{Mat, cholesky, cholesky_solve},
    rng,
};
use rand_distr::{Distribution, StandardNormal};

/// A minimum.
pub(super) struct Solution {
    pub(super) v: Vec<f64>,
    pub(super) cost: f64,
    /// Standard deviations, from the inverse of the Gauss–Newton matrix.
    pub(super) sd: Vec<f64>,
    pub(super) converged: bool,
    /// Floors of other valleys that are about as low.
    pub(super) rivals: Vec<Solution>,
}

/// Other valleys that are kept at most, and the steps in which each is gone down to its floor.
const RIVALS: usize = 2;
const RIVAL_STEPS: usize = 24;
/// How much higher than the lowest floor another may be, and how high the ground between two floors is at least where they are
/// two, [nat].
const RIVAL_NATS: f64 = 3.0;
const BETWEEN_NATS: f64 = 0.1;

/// The best of several starts, then twice more from there with weights that its residuals suggest.
pub(super) fn best_of(problem: &mut Problem, settings: &Settings) -> Result<Solution, FitError> {
    let wide = match settings.global {
        Global::Multistart => Vec::new(),
        Global::CmaEs => vec![cma_es::search(problem, settings.seed, settings.iterations)],
    };
    let starts: Vec<Vec<f64>> = wide
        .into_iter()
        .chain((0..settings.starts.max(1)).map(|k| starting_point(problem, settings.seed, k)))
        .collect();
    // A few steps tell which valley a start is in.
    let steps = if starts.len() > 1 { 16 } else { settings.iterations };
    let mut valleys: Vec<Solution> = starts
        .into_iter()
        .map(|v| minimise(problem, v, steps))
        .filter(|found| found.cost.is_finite())
        .collect();
    let mut best = lowest(problem, &mut valleys).ok_or(FitError::Diverged)?;
    for _ in 0..2 {
        problem.var = effective_variances(problem, &best.v);
        // Under other weights another valley may be the lowest.
        if let Some(other) = lowest(problem, &mut valleys) {
            let is_lower = other.cost < problem.cost(&best.v);
            valleys.push(if is_lower { std::mem::replace(&mut best, other) } else { other });
        }
        best = minimise(problem, best.v, settings.iterations);
    }
    best.cost = problem.cost(&best.v);
    if settings.profiled {
        best.rivals = rivals(problem, valleys, &mut best);
    }
    best.sd = deviations(&problem.normal(&best.v).matrix);
    Ok(best)
}

/// The floors of the other valleys that say of the readings about as much as the lowest does: what an interval has to span. The
/// lowest of all becomes the best.
fn rivals(problem: &Problem, valleys: Vec<Solution>, best: &mut Solution) -> Vec<Solution> {
    let mut floors: Vec<Solution> = valleys
        .into_iter()
        .map(|valley| minimise_but(problem, valley.v, RIVAL_STEPS, None, ENOUGH_NATS))
        .filter(|floor| floor.cost.is_finite() && floor.cost < best.cost + RIVAL_NATS)
        .collect();
    floors.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let lower = floors.first_mut().filter(|floor| floor.cost < best.cost - ENOUGH_NATS);
    if let Some(floor) = lower {
        std::mem::swap(floor, best);
        *best = minimise(problem, std::mem::take(&mut best.v), RIVAL_STEPS);
    }
    let mut kept: Vec<Solution> = Vec::new();
    for floor in floors {
        let apart = |from: &[f64]| are_two(problem, from, &floor.v);
        let near = floor.converged && floor.cost < best.cost + RIVAL_NATS;
        if kept.len() < RIVALS && near && apart(&best.v) && kept.iter().all(|k| apart(&k.v)) {
            let sd = deviations(&problem.normal(&floor.v).matrix);
            kept.push(Solution { sd, ..floor });
        }
    }
    kept
}

/// Whether the ground is higher between two floors than at either.
fn are_two(problem: &Problem, a: &[f64], b: &[f64]) -> bool {
    let higher = problem.cost(a).max(problem.cost(b)) + BETWEEN_NATS;
    [0.25, 0.5, 0.75].into_iter().any(|share| {
        let v: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect();
        problem.cost(&v) > higher
    })
}

/// The lowest of the valleys under the present weights, taken out of them.
fn lowest(problem: &Problem, valleys: &mut Vec<Solution>) -> Option<Solution> {
    for valley in valleys.iter_mut() {
        valley.cost = problem.cost(&valley.v);
    }
    let costs = valleys.iter().enumerate().filter(|(_, v)| v.cost.is_finite());
    let at = costs.min_by(|a, b| a.1.cost.total_cmp(&b.1.cost))?.0;
    Some(valleys.remove(at))
}

fn starting_point(problem: &Problem, seed: u64, start: usize) -> Vec<f64> {
    let mut v = problem.centre().to_vec();
    if start > 0 {
        let mut rng = rng::stream(seed, "fit", &format!("start {start}"));
        for (i, x) in v.iter_mut().enumerate() {
            let z: f64 = StandardNormal.sample(&mut rng);
            if problem.meaning(i).is_some() {
                *x += z * problem.spread(i);
            }
        }
        problem.bounded(&mut v);
    }
    v
}

fn minimise(problem: &Problem, v: Vec<f64>, iterations: usize) -> Solution {
    minimise_but(problem, v, iterations, None, 0.0)
}

/// The same with one unknown held where it is. It is over where another step would gain less than `enough_nats`, or, where that is
/// 0, where one gained next to nothing of the cost: in a narrow valley that may be far from its lowest place.
pub(super) fn minimise_but(
    problem: &Problem,
    mut v: Vec<f64>,
    iterations: usize,
    held: Option<usize>,
    enough_nats: f64,
) -> Solution {
    let mut damping = 1e-3;
    let normal = |v: &[f64]| {
        let mut normal = problem.normal(v);
        if let Some(h) = held {
            normal.gradient[h] = 0.0;
            for k in 0..normal.matrix.rows {
                normal.matrix[(h, k)] = 0.0;
                normal.matrix[(k, h)] = 0.0;
            }
            normal.matrix[(h, h)] = 1.0;
        }
        normal
    };
    let is_there = |at: &Normal| enough_nats > 0.0 && to_gain_nats(at) < enough_nats;
    let least = |cost: f64| if enough_nats > 0.0 { 1e-3 * enough_nats } else { 1e-6 * cost };
    let mut now = normal(&v);
    let mut converged = is_there(&now);
    'outer: for _ in 0..iterations {
        if converged {
            break;
        }
        loop {
            let mut a = now.matrix.clone();
            for i in 0..a.rows {
                a[(i, i)] *= 1.0 + damping;
            }
            let down: Vec<f64> = now.gradient.iter().map(|g| -g).collect();
            if let Some(l) = cholesky(&a) {
                let step = cholesky_solve(&l, &down);
                let mut next: Vec<f64> = v.iter().zip(&step).map(|(x, d)| x + d).collect();
                problem.bounded(&mut next);
                let cost = problem.cost(&next);
                if cost < now.cost {
                    converged = now.cost - cost < least(now.cost);
                    v = next;
                    break;
                }
            }
            damping *= 8.0;
            if damping > 1e8 {
                converged = true;
                break 'outer;
            }
        }
        damping = (damping / 8.0).max(1e-9);
        now = normal(&v);
        converged |= is_there(&now);
    }
    Solution { cost: now.cost, v, sd: Vec::new(), converged, rivals: Vec::new() }
}

/// What a step to where the normal equations have their solution would gain, [nat].
fn to_gain_nats(at: &Normal) -> f64 {
    let Some(l) = cholesky(&at.matrix) else { return f64::INFINITY };
    let step = cholesky_solve(&l, &at.gradient);
    0.5 * step.iter().zip(&at.gradient).map(|(s, g)| s * g).sum::<f64>()
}

/// Variance of the residuals by output, times what their correlation costs: n rows tell as much as n·(1 − ρ)/(1 + ρ)
/// independent ones (Bayley & Hammersley, *The "effective" number of independent observations*, 1946).
fn effective_variances(problem: &Problem, v: &[f64]) -> Vec<f64> {
    (0..problem.var.len())
        .map(|o| {
            let (mut n, mut squares, mut products) = (0.0f64, 0.0, 0.0);
            for f in 0..problem.count() {
                let r = problem.residuals(f, o, v);
                n += r.len() as f64;
                squares += r.iter().map(|x| x * x).sum::<f64>();
                products += r.windows(2).map(|w| w[0] * w[1]).sum::<f64>();
            }
            if n < 2.0 || squares <= 0.0 {
                return problem.var[o];
            }
            let rho = (products / squares).clamp(0.0, 0.995);
            (squares / n).max(1e-6) * (1.0 + rho) / (1.0 - rho)
        })
        .collect()
}

pub(super) fn deviations(matrix: &Mat) -> Vec<f64> {
    let n = matrix.rows;
    let Some(l) = cholesky(matrix) else { return vec![f64::INFINITY; n] };
    (0..n)
        .map(|i| {
            let mut unit = vec![0.0; n];
            unit[i] = 1.0;
            cholesky_solve(&l, &unit)[i].sqrt()
        })
        .collect()
}
