//! What an estimate is known to where the device is not built like its twin: its residuals then are no noise but the model's own
//! errors, which last as long as what causes them.
//!
//! Each reading moves an estimate by its influence: the inverse of the Gauss–Newton matrix times its own score. The variance of
//! the sum of these, their correlation from row to row counted as far as it stays positive (Newey & West, Econometrica 55, 1987;
//! the cut is Geyer's initial monotone sequence, Statistical Science 7, 1992), is that of the estimate whatever the residuals are
//! (White, Econometrica 50, 1982). How many stretches of their own that leaves is what Student's quantile and the degrees of
//! freedom go by.

use super::{
    problem::Problem,
    profile::Z,
    solve::{Solution, deviations},
};
use crate::{
    dynamics::dense::{cholesky, cholesky_solve},
    predict::interval::student_quantile,
};
use rayon::prelude::*;

/// Bins of rows whose influence is summed, in a piece at most.
const BINS: usize = 4096;

/// Of each unknown, by how much wider than by the Gauss–Newton matrix its interval is to be.
pub(super) fn widths(problem: &Problem, best: &Solution) -> Vec<f64> {
    let matrix = problem.normal(&best.v).matrix;
    let n = problem.len();
    let Some(l) = cholesky(&matrix) else { return vec![1.0; n] };
    let columns: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let mut unit = vec![0.0; n];
            unit[i] = 1.0;
            cholesky_solve(&l, &unit)
        })
        .collect();
    let sd = deviations(&matrix);
    let told: Vec<usize> = (0..n).filter(|i| problem.meaning(*i).is_some()).collect();
    let pieces: Vec<Vec<Vec<f64>>> =
        (0..problem.count()).into_par_iter().map(|p| influences(problem, best, p, &told, &columns)).collect();
    let mut out = vec![1.0; n];
    for (t, i) in told.iter().enumerate() {
        let series: Vec<&[f64]> = pieces.iter().map(|p| p[t].as_slice()).collect();
        let Some((sum, own)) = long_run(&series) else { continue };
        // What the prior says is no less sure for it.
        let prior: f64 = (0..n).map(|k| (columns[*i][k] / problem.spread(k)).powi(2)).sum::<f64>();
        // Fitting takes a degree of freedom for each unknown that the data tell.
        let told_by_data: f64 =
            told.iter().map(|k| 1.0 - (sd[*k] / problem.spread(*k)).powi(2).min(1.0)).sum();
        let free = (own - told_by_data).max(1.0);
        let few = student_quantile(0.95, free) / Z;
        let var = sum * (own / free).max(1.0) * few * few + prior;
        let most = (problem.spread(*i) / sd[*i]).max(1.0);
        out[*i] = (var.sqrt() / sd[*i]).clamp(1.0, most);
    }
    out
}

/// Influences of a piece's rows on the unknowns named, in bins.
fn influences(
    problem: &Problem,
    best: &Solution,
    piece: usize,
    told: &[usize],
    columns: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let places = problem.places(piece);
    let rows = problem.pieces().nth(piece).map_or(1, |p| p.2);
    let each = rows.div_ceil(BINS).max(1);
    let mut out = vec![vec![0.0; rows.div_ceil(each)]; told.len()];
    problem.walk(piece, &places, &best.v, |k, o, r, slope| {
        let score = r / problem.var[o];
        for (series, i) in out.iter_mut().zip(told) {
            let along: f64 = places.iter().zip(slope).map(|(p, s)| columns[*i][*p] * s).sum();
            series[k / each] += score * along;
        }
    });
    out
}

/// Variance of the sum of series, and how many stretches of their own they have.
fn long_run(series: &[&[f64]]) -> Option<(f64, f64)> {
    let n: usize = series.iter().map(|s| s.len()).sum();
    let at = |lag: usize| -> f64 {
        series.iter().map(|s| s.iter().zip(s.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>()).sum()
    };
    let none = at(0);
    if none <= 0.0 || n < 8 {
        return None;
    }
    let longest = series.iter().map(|s| s.len()).max().unwrap_or(0) / 3;
    let (mut sum, mut least, mut lag) = (-none, f64::INFINITY, 0);
    // What noise alone would show.
    let noise = none * (2.0 / n as f64).sqrt();
    while lag < longest.max(1) {
        let pair = (at(lag) + at(lag + 1)).min(least);
        if pair <= noise {
            break;
        }
        (sum, least, lag) = (sum + 2.0 * pair, pair, lag + 2);
    }
    let sum = sum.max(none);
    Some((sum, n as f64 * none / sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_their_own_are_counted() {
        let mut x = 1u32;
        let mut noise = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(x >> 8) / f64::from(1 << 24) - 0.5
        };
        let white: Vec<f64> = (0..4000).map(|_| noise()).collect();
        let (_, own) = long_run(&[&white]).unwrap();
        assert!((3000.0..=4000.0).contains(&own), "{own}");
        assert!(long_run(&[&[0.0; 400]]).is_none());
        let slow: Vec<f64> = (0..40).flat_map(|_| vec![noise(); 100]).collect();
        let (_, own) = long_run(&[&slow]).unwrap();
        assert!((20.0..80.0).contains(&own), "{own}");
    }
}
