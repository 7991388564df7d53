//! What a twin's model offers to those who follow, compare and forecast with it.
//!
//! [`Estimator`] is the contract; [`kalman::Filter`] keeps it for a thing's dynamics, [`level::Level`] for signals of which no
//! more is known than that they are; [`load`] is what it believes of future inputs, [`residual`] learns what they leave over, [`interval`]
//! calibrates its forecasts and [`score`] judges them; [`conformal`] does so for forecasts of tables, row by row.

pub mod conformal;
pub mod interval;
pub mod kalman;
pub mod level;
pub mod load;
pub mod residual;
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

/// How small deviations of an estimator's state pass through a step, row by row: those entries that a step moves (they
/// come first), by all entries before it and by the inputs. Where an input was not known, its column is 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tangent {
    /// One row of all entries for each entry that moves.
    pub by_state: Vec<f64>,
    /// One row of all inputs for each entry that moves.
    pub by_input: Vec<f64>,
}

impl Tangent {
    /// Becomes the tangent of both steps, `first` the earlier one; `entries` are those that move, and all.
    pub(crate) fn after(&mut self, first: &Self, (moving, all): (usize, usize)) {
        let row = |t: &Self, i: usize| t.by_state[i * all..(i + 1) * all].to_vec();
        let inputs = self.by_input.len() / moving.max(1);
        for i in 0..moving {
            let mine = row(self, i);
            let mut by_state = mine.clone();
            by_state[..moving].fill(0.0);
            for (k, m) in mine[..moving].iter().enumerate() {
                for (to, from) in by_state.iter_mut().zip(row(first, k)) {
                    *to += m * from;
                }
                for j in 0..inputs {
                    self.by_input[i * inputs + j] += m * first.by_input[k * inputs + j];
                }
            }
            self.by_state[i * all..(i + 1) * all].copy_from_slice(&by_state);
        }
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
    /// At what an input stays as long as nobody has ever told it. None: it may be anything.
    fn untold(&self, _input: usize) -> Option<f64> {
        None
    }
    /// Measurement quantum of an output (0: none), in its unit.
    fn quantum(&self, output: usize) -> f64;
    /// Standard deviation of one reading's noise, in the output's unit.
    fn noise_std(&self, output: usize) -> f64;
    /// Carries the state forward by `dt`. `inputs` are the latest readings at the end of that time, in the order of
    /// [`Self::inputs`]: an input that reports its mean since the last report held over `dt`, a setting holds from now on
    /// (which of the two is the thing's own `timing`). `None` is an input that is not known.
    fn predict(&mut self, dt: Span, inputs: &[Option<f64>]);
    /// The same, and how deviations pass through it.
    fn predict_traced(&mut self, dt: Span, inputs: &[Option<f64>], tangent: &mut Tangent);
    /// Whether it knows enough of the world that a reading which it did not expect may be the sensor's fault. Where not, a twin
    /// tells silence and a wrong clock alone.
    fn knows_the_world(&self) -> bool {
        true
    }
    /// How restless the world is held to be, as a factor on the process noise that the model states.
    fn restless(&self) -> f64 {
        1.0
    }
    /// From now on it is held to be so restless.
    fn set_restless(&mut self, _factor: f64) {}
    /// Whether that is to be learnt from the stream: where the model is learnt as it goes, what another device's fit left
    /// unexplained says little of this one.
    fn learns(&self) -> bool {
        false
    }
    /// How many entries of the state a step moves, and how many there are: storages and their like, then what is learnt.
    fn entries(&self) -> (usize, usize);
    /// Whether a reading of this input holds from then on, rather than over the time before it.
    fn leads(&self, input: usize) -> bool;
    /// The entry that an output reads.
    fn reads(&self, output: usize) -> usize;
    /// By how much a reading of an output taken now would move each entry, per unit of its residual.
    fn gain(&self, output: usize, gain: &mut [f64]);
    /// What a reading of an output would be now.
    fn expected(&self, output: usize) -> Gaussian;
    /// Takes a reading in.
    fn update(&mut self, output: usize, value: f64) -> Innovation;
    /// What readings of all outputs would be after `horizon`, the future inputs unknown.
    fn forecast(&self, horizon: Span) -> Vec<Gaussian>;
    /// The same for several horizons, each told by its place and the output's: what they share is done once.
    fn forecasts(&self, horizons: &[Span], told: &mut dyn FnMut(usize, usize, Gaussian));
    /// State means and variances by name, for reports: storages, then learnt parameters.
    fn state(&self) -> Vec<(String, Gaussian)>;
    /// An independent copy: the hypothesis that starts from here.
    fn fork(&self) -> Box<dyn Estimator>;
    /// Appends its state as numbers, always as many, of which [`Self::set_numbers`] makes it again; false where it is more than
    /// numbers, and has to be kept as a copy.
    fn numbers(&self, _out: &mut Vec<f64>) -> bool {
        false
    }
    /// Becomes what it was when it told these numbers; what they do not tell has not changed since.
    fn set_numbers(&mut self, _numbers: &[f64]) {}
    /// Bytes of the state, for the run's hash.
    fn state_bytes(&self) -> Vec<u8>;
}
