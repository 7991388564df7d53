//! What was held out, simulated from the state before it.

use super::{
    Dataset, FitError, at_its_resolution, carry_to, follow_row, pieces::pieces, problem::simulate_from,
    rows_of,
};
use crate::{dynamics::definition::DynamicsDef, predict::kalman::Filter};

/// Estimates the state over the first rows, then simulates the others without looking at their outputs. Behind a stretch over which
/// nothing tells the inputs the state is estimated anew, from what is read within `warmup_s`. By output and row, from row `rows` on;
/// NaN where nothing is simulated.
pub(super) fn over(
    def: &DynamicsDef,
    d: &Dataset,
    rows: usize,
    warmup_s: f64,
) -> Result<Vec<Vec<f64>>, FitError> {
    let n = d.t_s.len();
    let mut twin = Filter::with_covariates(&at_its_resolution(def, d), &[], &d.covariates)?;
    let mut out = vec![vec![f64::NAN; n - rows]; d.outputs.len()];
    let all = pieces(d);
    let begins: Vec<usize> = all.iter().map(|p| p.start).collect();
    let behind_gap = |k: usize| begins.binary_search(&k).is_ok();
    for k in 0..rows {
        follow_row(&mut twin, d, k, behind_gap(k), &mut |_| {});
    }
    let mut at = rows;
    for piece in all.into_iter().filter(|p| p.end > rows) {
        let from = if piece.start < rows {
            rows
        } else {
            let from = d.t_s.partition_point(|t| *t < d.t_s[piece.start] + warmup_s);
            from.clamp(piece.start + 1, piece.end)
        };
        for k in at..piece.end {
            // Beyond the warm-up it is carried along unseeing, so that it knows how little it knows behind the next gap.
            if (piece.start..from).contains(&k) && k >= rows {
                follow_row(&mut twin, d, k, behind_gap(k), &mut |_| {});
            } else {
                if k == from {
                    simulate(&twin, d, piece.start, from..piece.end, &mut out, rows);
                }
                carry_to(&mut twin, d, k, behind_gap(k));
            }
        }
        at = piece.end;
    }
    Ok(out)
}

/// Simulates rows of a piece that begins at `start` from where the filter is, which is at the row before them.
fn simulate(
    twin: &Filter,
    d: &Dataset,
    start: usize,
    rows: std::ops::Range<usize>,
    out: &mut [Vec<f64>],
    first: usize,
) {
    let piece = rows_of(d, start..rows.end);
    let mut x = twin.states().to_vec();
    let simulated = simulate_from(twin.model(), twin.parameters(), &mut x, &piece, rows.start - start);
    for (to, from) in out.iter_mut().zip(simulated) {
        to[rows.start - first..rows.end - first].copy_from_slice(&from);
    }
}
