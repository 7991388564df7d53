//! A normal distribution of several signals, shrunk towards independent ones as far as its rows are few, and what each
//! signal adds to the distance from it.

use crate::dynamics::dense::{Mat, cholesky, cholesky_solve};

/// Mean and covariance of rows.
#[derive(Clone, Debug)]
pub struct Gauss {
    mean: Vec<f64>,
    root: Mat,
    /// Diagonal of the inverse covariance.
    precision: Vec<f64>,
}

impl Gauss {
    /// From rows of equal length. `independent` is how many of them say something of their own: rows that follow each other
    /// closely are worth fewer.
    pub fn of(rows: &[&[f64]], independent: f64) -> Option<Self> {
        let d = rows.first()?.len();
        let n = rows.len() as f64;
        let mean: Vec<f64> = (0..d).map(|k| rows.iter().map(|r| r[k]).sum::<f64>() / n).collect();
        let mut s = Mat::zeros(d, d);
        for row in rows {
            for i in 0..d {
                let x = row[i] - mean[i];
                for j in 0..=i {
                    s[(i, j)] += x * (row[j] - mean[j]) / n;
                }
            }
        }
        let trust = (d as f64 + 1.0) / (independent + d as f64 + 1.0);
        let shrinkage = trust.clamp(0.05, 0.95);
        for i in 0..d {
            for j in 0..i {
                s[(i, j)] *= 1.0 - shrinkage;
                s[(j, i)] = s[(i, j)];
            }
            s[(i, i)] = s[(i, i)] * 1.01 + 1e-9;
        }
        let root = cholesky(&s)?;
        let mut unit = vec![0.0; d];
        let precision = (0..d)
            .map(|i| {
                unit.fill(0.0);
                unit[i] = 1.0;
                cholesky_solve(&root, &unit)[i]
            })
            .collect();
        Some(Self { mean, root, precision })
    }

    /// The mean.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The Mahalanobis distance, as a mean over the signals.
    pub fn distance(&self, row: &[f64]) -> f64 {
        let d = self.mean.len();
        let mut y = vec![0.0; d];
        let mut sum = 0.0;
        for i in 0..d {
            let mut q = row[i] - self.mean[i];
            for (l, y) in self.root.row(i)[..i].iter().zip(&y) {
                q -= l * y;
            }
            y[i] = q / self.root[(i, i)];
            sum += y[i] * y[i];
        }
        (sum / d as f64).sqrt()
    }

    /// The signal without which the distance would shrink most: the largest residual against what the others make of it, in
    /// its own standard deviations (reconstruction-based contribution, Alcala and Qin 2009).
    pub fn blame(&self, row: &[f64]) -> Option<usize> {
        let away: Vec<f64> = row.iter().zip(&self.mean).map(|(v, m)| v - m).collect();
        let pull = cholesky_solve(&self.root, &away);
        let share = |i: usize| pull[i] * pull[i] / self.precision[i];
        (0..pull.len()).max_by(|a, b| share(*a).total_cmp(&share(*b)))
    }
}
