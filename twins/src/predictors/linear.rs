//! Least squares in closed form: normal equations that grow as rows come due, and their ridge solution.

use nalgebra::{Cholesky, DMatrix};

/// Normal equations of K targets on D features.
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
        self.gram.gemm(1.0, x, &x.transpose(), 1.0);
        self.cross.gemm(1.0, x, &y.transpose(), 1.0);
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
    let mut weights = start.to_vec();
    let mut left = vec![0.0; n];
    let (mut scaled, mut target) = (x.clone(), DMatrix::zeros(1, n));
    for _ in 0..rounds {
        for (i, (l, column)) in left.iter_mut().zip(x.column_iter()).enumerate() {
            *l = (y[i] - column.iter().zip(&weights).map(|(a, b)| a * b).sum::<f64>()).abs();
        }
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
        for (i, l) in left.iter().enumerate() {
            let w = (l / mean).sqrt();
            for (to, from) in scaled.column_mut(i).iter_mut().zip(x.column(i).iter()) {
                *to = from * w;
            }
            target[(0, i)] = y[i] * w;
        }
        let mut normal = Normal::new(d, 1);
        normal.add(&scaled, &target);
        weights = normal.solve(penalty).iter().copied().collect();
    }
    weights
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
