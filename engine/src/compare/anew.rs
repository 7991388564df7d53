//! A stream that leaps while it is new: what was before may have been wrong as well as what comes after, and the twin has seen
//! too little of either. It begins anew, from its first state, with the leap's reading.

use super::{Judge, history::Sample, lane::Cusum, layout::MAX_INPUTS, noise::Calibration, run::Run};
use crate::time::Span;

/// Readings for which a stream is new.
const NEW: u64 = 240;
/// Readings after a leap by which it is known from a spike.
const STAYS: u64 = 6;
/// What leaps: an innovation of so many standard deviations …
const LEAP: f64 = 6.0;
/// … and a difference of so many usual steps from reading to reading.
const LEAP_STEPS: f64 = 5.0;

impl Judge {
    /// Whether sample `i` shows that an output leapt a while ago, in a stream that is new; the twin has then begun anew.
    pub(super) fn leapt_while_new(&mut self, i: u64) -> bool {
        let Some(leap) = i.checked_sub(STAYS).filter(|k| (1..NEW).contains(k)) else { return false };
        let calm = !self.seasoned && self.corrections.is_empty() && self.est.knows_the_world();
        if !calm || !(0..self.lanes.len()).any(|o| self.leaps(o, leap, i)) {
            return false;
        }
        let Some((0, first)) = self.history.state_before(0, &*self.est) else { return false };
        self.est = first;
        let past = self.forget_history();
        self.history.set_restless(past.restless());
        self.aside = None;
        self.noise.fill(Calibration::default());
        for lane in &mut self.lanes {
            lane.run = Run::default().after(&lane.run);
            lane.sums.iter_mut().for_each(Cusum::clear);
            (lane.suspicion, lane.spike, lane.doubted) = (None, None, 0);
        }
        for run in &mut self.input_runs {
            *run = Run::default().after(run);
        }
        for k in leap..=i {
            let of = |signal| past.value(k, signal);
            let mut inputs = [f64::NAN; MAX_INPUTS];
            inputs.iter_mut().take(self.inputs()).enumerate().for_each(|(signal, value)| *value = of(signal));
            let outputs: Vec<f64> = (0..self.lanes.len()).map(|o| of(self.inputs() + o)).collect();
            let sample = past.sample(k);
            let sample =
                if k == leap { Sample { dt: Span::ZERO, unknown: Span::ZERO, ..sample } } else { sample };
            let at = k - leap;
            let n = self.inputs();
            self.history.push(sample, &inputs[..n], &outputs, &*self.est);
            self.follow(at);
            for (lane, value) in self.lanes.iter_mut().zip(&outputs).filter(|(_, v)| !v.is_nan()) {
                lane.run.take(*value, at);
                lane.last = *value;
            }
            for (run, value) in self.input_runs.iter_mut().zip(&inputs).filter(|(_, v)| !v.is_nan()) {
                run.take(*value, at);
            }
        }
        true
    }

    /// Whether an output was elsewhere at once at sample `leap`, and has stayed there until sample `i`.
    fn leaps(&self, o: usize, leap: u64, i: u64) -> bool {
        let y = |at: u64| self.history.value(at, self.inputs() + o);
        let by = y(leap) - y(leap - 1);
        let v = self.history.innovation(leap, o);
        by.abs() > LEAP_STEPS * self.lanes[o].step
            && v.residual * by > 0.0
            && v.whitened().abs() > LEAP
            && (leap + 1..=i).all(|k| (y(k) - y(leap - 1)) / by > 0.5)
    }
}
