//! An online forecaster of the next value from the last ones: recursive least squares, with residuals in units of their
//! usual size.

use super::features::Lately;

/// Values that a forecast is made from.
const ORDER: usize = 8;
/// Those, and the constant.
const TERMS: usize = ORDER + 1;
/// Residuals beyond so many times their usual size teach no more than one of that size.
const WILD: f64 = 6.0;

/// Forecasts the next value of a stream and tells by how much it was missed.
#[derive(Clone, Debug)]
pub struct Autoregression {
    weights: [f64; TERMS],
    covariance: [[f64; TERMS]; TERMS],
    lately: Lately<ORDER>,
    rows: usize,
    size_sum: f64,
    judged: f64,
}

impl Default for Autoregression {
    fn default() -> Self {
        let mut covariance = [[0.0; TERMS]; TERMS];
        for (i, row) in covariance.iter_mut().enumerate() {
            row[i] = 1e3;
        }
        Self {
            weights: [0.0; TERMS],
            covariance,
            lately: Lately::default(),
            rows: 0,
            size_sum: 0.0,
            judged: 0.0,
        }
    }
}

impl Autoregression {
    /// The value's residual in units of the mean absolute residual so far, 0 while there is none; then it is learnt from.
    pub fn take(&mut self, value: f64) -> f64 {
        self.rows += 1;
        if self.rows <= ORDER {
            self.lately.take(value);
            return 0.0;
        }
        let mut x = [1.0; TERMS];
        x[..ORDER].copy_from_slice(&self.lately.0);
        let forecast: f64 = x.iter().zip(&self.weights).map(|(x, w)| x * w).sum();
        let error = value - forecast;
        let size = if self.judged > 0.0 { self.size_sum / self.judged } else { 0.0 };
        let residual = if size > 0.0 { error / size } else { 0.0 };
        self.learn(&x, if residual.abs() > WILD { error * WILD / residual.abs() } else { error });
        let bounded = if size > 0.0 { error.abs().min(10.0 * size) } else { error.abs() };
        self.size_sum += bounded;
        self.judged += 1.0;
        self.lately.take(value);
        residual
    }

    fn learn(&mut self, x: &[f64; TERMS], error: f64) {
        let gain: [f64; TERMS] =
            std::array::from_fn(|i| self.covariance[i].iter().zip(x).map(|(c, x)| c * x).sum());
        let total = 1.0 + gain.iter().zip(x).map(|(g, x)| g * x).sum::<f64>();
        for i in 0..TERMS {
            self.weights[i] += gain[i] / total * error;
            for j in 0..TERMS {
                self.covariance[i][j] -= gain[i] * gain[j] / total;
            }
        }
    }
}
