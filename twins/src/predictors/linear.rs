//! Least squares in closed form: normal equations that grow as rows come due, and their ridge solution.

use nalgebra::{Cholesky, DMatrix, DMatrixView, DVector, Dyn};

/// Samples that are multiplied at once: as many as stay in the processor's cache.
const BATCH: usize = 512;
/// Rows of a block of the products; of a block beyond the diagonal nothing is computed.
const BLOCK: usize = 64;

/// Normal equations of K targets on D features. Of the products only the lower triangle is kept: they are symmetric.
#[derive(Clone, Debug)]
pub struct Normal {
    gram: DMatrix<f64>,
    cross: DMatrix<f64>,
}

impl Normal {
    /// Without any sample.
    pub fn new(features: usize, targets: usize) -> Self {
        Self { gram: DMatrix::zeros(features, features), cross: DMatrix::zeros(features, targets) }
    }

    /// Adds samples, one a column: features `x`, targets `y`.
    pub fn add(&mut self, x: &DMatrix<f64>, y: &DMatrix<f64>) {
        let (d, k) = (x.nrows(), y.nrows());
        for (x, y) in x.as_slice().chunks(BATCH * d.max(1)).zip(y.as_slice().chunks(BATCH * k.max(1))) {
            self.add_batch(x, y);
        }
    }

    /// Adds samples that lie one behind the other.
    fn add_batch(&mut self, x: &[f64], y: &[f64]) {
        let (d, k) = self.cross.shape();
        let n = x.len() / d.max(1);
        let samples = DMatrixView::from_slice(x, d, n);
        let across = |values, rows: usize, of: usize| {
            DMatrixView::<f64, Dyn, Dyn>::from_slice_with_strides(values, n, rows, of, 1)
        };
        let (from_x, from_y) = (across(x, d, d), across(y, k, k));
        for from in (0..d).step_by(BLOCK) {
            let rows = BLOCK.min(d - from);
            let to = from + rows;
            self.gram.view_mut((from, 0), (rows, to)).gemm(
                1.0,
                &samples.rows(from, rows),
                &from_x.columns(0, to),
                1.0,
            );
        }
        self.cross.gemm(1.0, &samples, &from_y, 1.0);
    }

    /// Weights, a row for each target. `penalty` is in units of the features' mean power.
    pub fn solve(&self, penalty: f64) -> DMatrix<f64> {
        let d = self.gram.nrows().max(1);
        let power = (self.gram.trace() / d as f64).max(f64::MIN_POSITIVE);
        let mut penalty = penalty.max(1e-10);
        loop {
            let mut a = self.gram.clone();
            for i in 0..a.nrows() {
                a[(i, i)] += penalty * power;
            }
            // Of which the lower triangle is read.
            if let Some(factor) = Cholesky::new(a) {
                return factor.solve(&self.cross).transpose();
            }
            // Features that depend on one another leave rounding errors below zero.
            penalty *= 10.0;
            if penalty > 1e6 {
                return DMatrix::zeros(self.cross.ncols(), d);
            }
        }
    }
}

/// Features scaled to their spread, a feature for each row.
#[derive(Clone, Debug, Default)]
pub struct Scaler {
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl Scaler {
    /// Of these samples; a feature that does not vary becomes 0.
    pub fn of(x: &DMatrix<f64>) -> Self {
        let n = x.ncols().max(1) as f64;
        let mut mean = vec![0.0; x.nrows()];
        let mut square = vec![0.0; x.nrows()];
        for column in x.column_iter() {
            for (m, v) in mean.iter_mut().zip(column.iter()) {
                *m += v / n;
            }
        }
        for column in x.column_iter() {
            for ((s, m), v) in square.iter_mut().zip(&mean).zip(column.iter()) {
                *s += (v - m).powi(2) / n;
            }
        }
        let largest = square.iter().copied().fold(0.0, f64::max);
        let std = square.iter().map(|s| if *s > 1e-18 * largest { s.sqrt() } else { f64::INFINITY });
        Self { std: std.collect(), mean }
    }

    /// The weights on features in this scale that say what `weights` say on features in the scale of `other`; a constant comes
    /// first.
    pub fn carried(&self, other: &Self, weights: &[f64]) -> Vec<f64> {
        let mut all = vec![0.0; weights.len()];
        all[0] = weights[0];
        for i in 1..weights.len() {
            let slope = weights[i] / other.std[i];
            all[0] += slope * (self.mean[i] - other.mean[i]);
            all[i] = if self.std[i].is_finite() { slope * self.std[i] } else { 0.0 };
        }
        all
    }

    /// Scales samples in place; far outside of what was seen, a feature says no more than at its edge.
    pub fn apply(&self, x: &mut DMatrix<f64>) {
        for mut column in x.column_iter_mut() {
            for (v, (m, s)) in column.iter_mut().zip(self.mean.iter().zip(&self.std)) {
                *v = ((*v - m) / s).clamp(-12.0, 12.0);
            }
        }
    }
}

/// Weights by least absolute deviations of one target: least squares, reweighted by what is left over.
///
/// `x` has a constant row; `start` are weights to begin with.
pub fn least_absolute(x: &DMatrix<f64>, y: &[f64], penalty: f64, start: &[f64], rounds: usize) -> Vec<f64> {
    let (d, n) = x.shape();
    let mut weights = DVector::from_column_slice(start);
    let (mut scaled, mut target) = (vec![0.0; BATCH.min(n) * d], vec![0.0; BATCH.min(n)]);
    for _ in 0..rounds {
        let told = x.tr_mul(&weights);
        let mut left: Vec<f64> = y.iter().zip(told.iter()).map(|(y, t)| (y - t).abs()).collect();
        let mut sorted = left.clone();
        let middle = n / 2;
        // Below a third of the median the loss is round: the minimum is found sooner, and is no worse.
        let floor = (0.3 * *sorted.select_nth_unstable_by(middle, f64::total_cmp).1).max(1e-12);
        let mut sum = 0.0;
        for l in &mut left {
            *l = 1.0 / l.max(floor);
            sum += *l;
        }
        let mean = sum / n as f64;
        let mut normal = Normal::new(d, 1);
        for (from, left) in left.chunks(BATCH).enumerate().map(|(i, left)| (i * BATCH, left)) {
            for (i, l) in left.iter().enumerate() {
                let w = (l / mean).sqrt();
                let column = &x.as_slice()[(from + i) * d..][..d];
                scaled[i * d..][..d].iter_mut().zip(column).for_each(|(to, from)| *to = from * w);
                target[i] = y[from + i] * w;
            }
            normal.add_batch(&scaled[..left.len() * d], &target[..left.len()]);
        }
        weights = normal.solve(penalty).row(0).transpose();
    }
    weights.iter().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_in_spite_of_wild_points() {
        let n = 200;
        let x = DMatrix::from_fn(2, n, |r, c| if r == 0 { 1.0 } else { c as f64 / 100.0 - 1.0 });
        let wild = |c: usize| if c.is_multiple_of(7) { 50.0 } else { 0.01 * ((c % 3) as f64 - 1.0) };
        let y: Vec<f64> = (0..n).map(|c| 3.0 - 2.0 * x[(1, c)] + wild(c)).collect();
        let mut normal = Normal::new(2, 1);
        normal.add(&x, &DMatrix::from_row_slice(1, n, &y));
        let squares: Vec<f64> = normal.solve(0.0).iter().copied().collect();
        assert!((squares[0] - 3.0).abs() > 5.0, "the wild points pull least squares: {squares:?}");
        let found = least_absolute(&x, &y, 0.0, &squares, 30);
        assert!((found[0] - 3.0).abs() < 0.1 && (found[1] + 2.0).abs() < 0.1, "{found:?}");
    }
}
