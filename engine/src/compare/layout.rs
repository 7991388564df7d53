//! What a judge has to know of its estimator's signals, once for all twins of one model.

use crate::predict::Estimator;
use std::sync::Arc;

/// Inputs that a model may have here; further ones count as unknown.
pub(crate) const MAX_INPUTS: usize = 16;

/// The signals of an estimator: inputs first, then outputs.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    /// `part.quantity` of each signal.
    pub names: Vec<String>,
    pub inputs: usize,
    pub outputs: usize,
    /// Entries of the state that move, and all.
    pub entries: (usize, usize),
    /// Of each input, whether a reading holds from then on, and its range.
    pub leads: Vec<bool>,
    pub ranges: Vec<(f64, f64)>,
    /// Of each output, the entry it reads.
    pub reads: Vec<usize>,
    /// Size at which the signature of a fault is taken, per signal.
    pub unit: Vec<f64>,
}

impl Layout {
    pub fn of(est: &dyn Estimator) -> Self {
        let (inputs, outputs) = (est.inputs().len().min(MAX_INPUTS), est.outputs().len());
        let unit = (0..outputs).map(|o| noise_floor(est, o).max(1e-9));
        Self {
            names: est.inputs().iter().take(inputs).chain(est.outputs()).cloned().collect(),
            inputs,
            outputs,
            entries: est.entries(),
            leads: (0..inputs).map(|k| est.leads(k)).collect(),
            ranges: (0..inputs).map(|k| est.input_range(k)).collect(),
            reads: (0..outputs).map(|o| est.reads(o)).collect(),
            unit: std::iter::repeat_n(1.0, inputs).chain(unit).collect(),
        }
    }

    /// The same, shared with a twin before it where that is laid out alike.
    pub fn shared(est: &dyn Estimator, before: Option<&Arc<Self>>) -> Arc<Self> {
        let own = Self::of(est);
        before.filter(|b| ***b == own).map_or_else(|| Arc::new(own), Arc::clone)
    }

    /// Numbers that tell how deviations pass through a sample: tangent by state, by input, gains of all outputs.
    pub fn trace(&self) -> usize {
        let (moving, all) = self.entries;
        moving * (all + self.inputs) + self.outputs * all
    }
}

/// Standard deviation of a reading as its own noise and quantisation make it.
fn noise_floor(est: &dyn Estimator, o: usize) -> f64 {
    (est.noise_std(o).powi(2) + est.quantum(o).powi(2) / 12.0).sqrt()
}
