//! Many twins of one thing, stepped together: each by itself, side by side on the threads there are.
//!
//! A filter of a thing's dynamics has a handful of states and its buffers are the thread's own, so that a batch costs what its
//! twins cost; what is shared (the compiled network) is shared by reference.
//!
//! ```
//! # use twinfleet_engine::{dynamics::DynamicsDef, predict::{Estimator, batch::Batch, kalman::Filter}, time::Span};
//! let def = DynamicsDef::from_ron(r#"(
//!     parameters: {"c": (value: 100.0), "g": (value: 1.0)},
//!     boundaries: [(name: "room", at: Fixed(20.0))],
//!     storages: [(name: "box", capacity: "c")],
//!     conductances: [(between: ("box", "room"), value: "g")],
//!     outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)],
//! )"#).unwrap();
//! let mut batch = Batch::of(&Filter::new(&def, &[]).unwrap(), 1000);
//! let readings: Vec<f64> = (0..1000).map(|k| if k == 3 { f64::NAN } else { 20.0 + 0.01 * f64::from(k) }).collect();
//! batch.step(Span::from_secs(1), &[], &readings);
//! assert!(batch.twins()[900].expected(0).mean > 28.0);
//! assert!(batch.twins()[3].expected(0).var > 1.0, "a reading that is missing tells nothing");
//! ```

use super::{Estimator, kalman::Filter};
use crate::time::Span;
use rayon::prelude::*;

/// Twins that a thread takes at a time.
const AT_A_TIME: usize = 128;

/// Twins of one thing.
#[derive(Clone, Debug)]
pub struct Batch {
    twins: Vec<Filter>,
}

impl Batch {
    /// So many copies of a twin, which share its network.
    pub fn of(twin: &Filter, count: usize) -> Self {
        Self { twins: vec![twin.clone(); count] }
    }

    /// The twins.
    pub fn twins(&self) -> &[Filter] {
        &self.twins
    }

    /// Carries all forward by `dt` and takes a reading of each in. `inputs` and `outputs` hold a row for each twin, in the order
    /// of its inputs and outputs; NaN: missing.
    pub fn step(&mut self, dt: Span, inputs: &[f64], outputs: &[f64]) {
        let Some(first) = self.twins.first() else { return };
        let (m, n) = (first.inputs().len(), first.outputs().len());
        self.twins.par_chunks_mut(AT_A_TIME).enumerate().for_each(|(chunk, twins)| {
            let mut u = Vec::with_capacity(m);
            for (k, twin) in twins.iter_mut().enumerate() {
                let at = chunk * AT_A_TIME + k;
                let row = inputs.get(at * m..(at + 1) * m).unwrap_or_default();
                u.clear();
                u.extend(row.iter().map(|v| Some(*v).filter(|v| v.is_finite())));
                twin.predict(dt, &u);
                let row = outputs.get(at * n..(at + 1) * n).unwrap_or_default();
                for (o, value) in row.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                    twin.update(o, *value);
                }
            }
        });
    }
}
