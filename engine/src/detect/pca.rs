//! Principal components of clean rows: Hotelling's T² within them, and the squared prediction error outside; over several rows
//! at once it is dynamic PCA, of one signal's window sub-PCA. What the others are measured against.

use super::{Contract, Detector, Step, trained::TooFewRows};
use nalgebra::{DMatrix, SymmetricEigen};
use std::collections::VecDeque;

/// Share of the variance that the components keep.
const KEPT: f64 = 0.9;

/// The detector; see the module.
#[derive(Clone, Debug)]
pub struct Pca {
    signals: usize,
    lags: usize,
    mean: Vec<f64>,
    std: Vec<f64>,
    /// Components that are kept: variance and direction.
    components: Vec<(f64, Vec<f64>)>,
    t2: Vec<f64>,
    spe: Vec<f64>,
    allowed: f64,
    lately: VecDeque<f64>,
    last: Step,
}

impl Pca {
    /// Of clean rows, each with so many rows before it. Limits are the quantiles of the clean rows themselves, as usual.
    pub fn fit(rows: &[Vec<f64>], lags: usize, contract: Contract) -> Result<Self, TooFewRows> {
        let rows: Vec<&Vec<f64>> = rows.iter().filter(|r| r.iter().all(|v| v.is_finite())).collect();
        let signals = rows.first().map_or(0, |r| r.len());
        if rows.len() < super::trained::FEWEST_ROWS + lags || signals == 0 {
            return Err(TooFewRows { found: rows.len() });
        }
        let long: Vec<Vec<f64>> = rows
            .windows(lags + 1)
            .map(|w| w.iter().rev().flat_map(|r| r.iter().copied()).collect())
            .collect();
        let (d, n) = (signals * (lags + 1), long.len() as f64);
        let mean: Vec<f64> = (0..d).map(|k| long.iter().map(|r| r[k] / n).sum()).collect();
        let std: Vec<f64> = (0..d)
            .map(|k| (long.iter().map(|r| (r[k] - mean[k]).powi(2)).sum::<f64>() / n).sqrt().max(1e-9))
            .collect();
        let mut covariance = DMatrix::<f64>::zeros(d, d);
        let z = |r: &[f64]| -> Vec<f64> { (0..d).map(|k| (r[k] - mean[k]) / std[k]).collect() };
        for row in &long {
            let z = z(row);
            for i in 0..d {
                for j in 0..d {
                    covariance[(i, j)] += z[i] * z[j] / n;
                }
            }
        }
        let eigen = SymmetricEigen::new(covariance);
        let mut all: Vec<(f64, Vec<f64>)> = (0..d)
            .map(|k| (eigen.eigenvalues[k].max(0.0), eigen.eigenvectors.column(k).iter().copied().collect()))
            .collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let whole: f64 = all.iter().map(|c| c.0).sum();
        let (mut kept, mut components) = (0.0, Vec::new());
        for c in all {
            if c.0 <= 1e-9 || kept >= KEPT * whole {
                break;
            }
            kept += c.0;
            components.push(c);
        }
        let mut pca = Self {
            signals,
            lags,
            mean,
            std,
            components,
            t2: Vec::new(),
            spe: Vec::new(),
            allowed: (1.0 / contract.rows).clamp(1e-6, 0.5),
            lately: VecDeque::new(),
            last: Step::default(),
        };
        let (mut t2, mut spe): (Vec<f64>, Vec<f64>) =
            long.iter().map(|r| pca.measure(r)).map(|m| (m.0, m.1)).unzip();
        t2.sort_by(f64::total_cmp);
        spe.sort_by(f64::total_cmp);
        (pca.t2, pca.spe) = (t2, spe);
        Ok(pca)
    }

    /// T², SPE, and the signal with the largest part of the SPE.
    fn measure(&self, long: &[f64]) -> (f64, f64, usize) {
        let mut rest: Vec<f64> =
            long.iter().zip(&self.mean).zip(&self.std).map(|((v, m), s)| (v - m) / s).collect();
        let mut t2 = 0.0;
        let z = rest.clone();
        for (variance, direction) in &self.components {
            let along: f64 = z.iter().zip(direction).map(|(z, d)| z * d).sum();
            t2 += along * along / variance;
            rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
        }
        let mut parts = vec![0.0; self.signals];
        rest.iter().enumerate().for_each(|(i, r)| parts[i % self.signals] += r * r);
        let most = (0..self.signals).max_by(|a, b| parts[*a].total_cmp(&parts[*b])).unwrap_or(0);
        (t2, parts.iter().sum(), most)
    }
}

/// How a figure stands to the clean ones: 1 at the limit.
fn ratio(sorted: &[f64], allowed: f64, figure: f64) -> f64 {
    let at = ((sorted.len() as f64 * (1.0 - allowed)) as usize).min(sorted.len() - 1);
    figure / sorted[at].max(1e-12)
}

impl Detector for Pca {
    fn take(&mut self, row: &[f64]) -> Step {
        if row.iter().any(|v| !v.is_finite()) {
            return Step { onset: false, score: 0.0, ..self.last };
        }
        row.iter().rev().for_each(|v| self.lately.push_front(*v));
        self.lately.truncate(self.signals * (self.lags + 1));
        if self.lately.len() < self.signals * (self.lags + 1) {
            return Step::default();
        }
        let long: Vec<f64> = self.lately.iter().copied().collect();
        let (t2, spe, most) = self.measure(&long);
        // Half of what is allowed for each of the two.
        let over = ratio(&self.t2, self.allowed / 2.0, t2).max(ratio(&self.spe, self.allowed / 2.0, spe));
        let alarm = over > 1.0;
        let onset = alarm && !self.last.alarm;
        let score = if over.is_finite() { over.ln_1p() } else { f64::MAX.ln() };
        self.last = Step { score, alarm, onset, blame: Some(most) };
        self.last
    }

    fn threshold(&self) -> f64 {
        1f64.ln_1p()
    }
}
