//! What a twin's model offers to those who follow, compare and forecast with it.
//!
//! [`Estimator`] is the contract; [`kalman::Filter`] keeps it for a thing's dynamics, [`load`] is what it believes of
//! future inputs, [`interval`] calibrates its forecasts and [`score`] judges them.

pub mod interval;
pub mod kalman;
pub mod load;
pub mod score;

use crate::time::Span;

/// A normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub var: f64,
}

/// What a measurement added to what was expected of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Innovation {
    /// Measured minus expected, in the signal's unit.
    pub residual: f64,
    /// Its predicted variance, measurement noise and quantisation included.
    pub var: f64,
}

impl Innovation {
    /// The residual in standard deviations: white and of unit variance while the model is right.
    pub fn whitened(&self) -> f64 {
        self.residual / self.var.sqrt()
    }
}

/// A filter over a thing's dynamics. Outputs are the signals it measures, inputs those that drive it, both
/// `part.quantity`.
pub trait Estimator: Send + Sync {
    /// Measured signals.
    fn outputs(&self) -> &[String];
    /// Driving signals.
    fn inputs(&self) -> &[String];
    /// Least and largest value that an input can have.
    fn input_range(&self, _input: usize) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }
    /// Measurement quantum of an output (0: none), in its unit.
    fn quantum(&self, output: usize) -> f64;
    /// Standard deviation of one reading's noise, in the output's unit.
    fn noise_std(&self, output: usize) -> f64;
    /// Carries the state forward by `dt`. `inputs` are the latest readings at the end of that time, in the order of
    /// [`Self::inputs`]: an input that reports its mean since the last report held over `dt`, a setting holds from now on
    /// (which of the two is the thing's own `timing`). `None` is an input that is not known.
    fn predict(&mut self, dt: Span, inputs: &[Option<f64>]);
    /// What a reading of an output would be now.
    fn expected(&self, output: usize) -> Gaussian;
    /// Takes a reading in.
    fn update(&mut self, output: usize, value: f64) -> Innovation;
    /// What readings of all outputs would be after `horizon`, the future inputs unknown.
    fn forecast(&self, horizon: Span) -> Vec<Gaussian>;
    /// State means and variances by name, for reports: storages, then learnt parameters.
    fn state(&self) -> Vec<(String, Gaussian)>;
    /// An independent copy: the hypothesis that starts from here.
    fn fork(&self) -> Box<dyn Estimator>;
    /// Bytes of the state, for the run's hash.
    fn state_bytes(&self) -> Vec<u8>;
}
