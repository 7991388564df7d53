//! What a hypothesis would change in the residuals, found by the tangents that [`super::history::History`] keeps of each
//! sample.

use super::{
    history::{Correction, Shape, corrected},
    layout::Layout,
    shared::Believed,
};
use crate::time::SimTime;

/// What a hypothesis of size 1 changes in the residuals, to first order: its signature. Where the readings were taken in
/// stays as it is, so this needs no estimator.
pub(crate) struct Signature<'a> {
    layout: &'a Layout,
    past: &'a Believed,
    corrections: &'a [Correction],
    trial: Correction,
    /// Deviation of the estimator's state, and room for that of the moving entries.
    state: Vec<f64>,
    moved: Vec<f64>,
    /// Deviation of the input's last reading.
    told: f64,
}

impl<'a> Signature<'a> {
    /// Of a hypothesis, beside what is believed. It is followed from its first sample on.
    pub fn new(
        layout: &'a Layout,
        past: &'a Believed,
        corrections: &'a [Correction],
        trial: Correction,
    ) -> Self {
        let (moving, all) = layout.entries;
        Self { layout, past, corrections, trial, state: vec![0.0; all], moved: vec![0.0; moving], told: 0.0 }
    }

    /// Carries it over sample `i`; `seen` is told each output's change, for a reading that was taken in.
    #[inline]
    pub fn step(&mut self, i: u64, mut seen: impl FnMut(usize, f64)) {
        let (l, past) = (self.layout, self.past);
        let (moving, all) = l.entries;
        let (by_state, rest) = past.trace(i, l.trace()).split_at(moving * all);
        let (by_input, gains) = rest.split_at(moving * l.inputs);
        let t = past.time(i);
        let signal = self.trial.signal;
        let changed = if self.trial.covers(t) { -self.profile(i, t) } else { 0.0 };
        for (to, row) in self.moved.iter_mut().zip(by_state.chunks_exact(all)) {
            *to = row.iter().zip(&self.state).map(|(a, x)| f64::from(*a) * x).sum();
        }
        if signal < l.inputs {
            let told = if l.leads[signal] { self.told } else { changed };
            for (to, b) in self.moved.iter_mut().zip(by_input.iter().skip(signal).step_by(l.inputs)) {
                *to += f64::from(*b) * told;
            }
            self.told = changed;
        }
        self.state[..moving].copy_from_slice(&self.moved);
        for o in 0..l.outputs {
            if !past.was_taken(i, o, l.outputs) {
                continue;
            }
            let own = if signal == l.inputs + o { changed } else { 0.0 };
            let change = own - self.state[l.reads[o]];
            for (x, k) in self.state.iter_mut().zip(&gains[o * all..(o + 1) * all]) {
                *x += f64::from(*k) * change;
            }
            seen(o, change);
        }
    }

    /// What one unit of size adds to the reading of sample `i`.
    fn profile(&self, i: u64, t: SimTime) -> f64 {
        let raw = self.past.value(i, self.trial.signal, self.layout.inputs + self.layout.outputs);
        match self.trial.shape {
            _ if raw.is_nan() => 0.0,
            Shape::Gain => corrected(self.corrections, self.trial.signal, t, raw)
                .map_or(0.0, |value| self.trial.profile(t, value)),
            _ => self.trial.profile(t, raw),
        }
    }
}
