//! Inputs that are wrong: the outputs say so, as the model no longer explains them.

use super::{
    DECIDE_NATS, Judge, Reading,
    glr::{Fit, Search},
    history::Shape,
    run::Run,
    suspect::{by_gain, posterior},
    verdict::END_NATS,
};
use crate::time::SimTime;

/// Surprise of an input's run of identical values from which on it is said to stand still, [nat].
const STILL_NATS: f64 = 3.0;
/// Share of its range by which an input must be off before it is named, and what that must gain, [nat]: a model is not so
/// good that less could not be its own doing.
const OFF_SHARE: f64 = 0.15;
const OFF_NATS: f64 = 1.5 * DECIDE_NATS;
/// An input that is off leaves its range in at most one of so many readings.
const BEYOND_ONE_IN: usize = 10;
/// Share of what an input must be off by to be named, below which one that was is taken back.
const TAKEN_BACK: f64 = 0.5;
/// Share of what the outputs' own faults gain from which on an input's is worth a fit in full.
const RIVAL_SHARE: f64 = 0.25;
/// What an input that is off must be better by if it did not jump when that began, [nat].
const UNSEEN_NATS: f64 = 6.0;
/// How far from the supposed onset it may have jumped, and over how many readings on both sides that is measured.
const JUMP_NEAR: u64 = 20;
const JUMP_OVER: u64 = 4;
/// Readings after which the size of what is wrong is fitted once more.
const REFIT_AFTER: u64 = 60;

/// A verdict on an input: its index, and the correction's.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputFault {
    pub verdict: usize,
    pub correction: usize,
    next_refit: u64,
}

impl Judge {
    /// What an input may have to do with an output's misfit: it is off by a constant, or it is not to be
    /// believed at all.
    pub(super) fn of_inputs(
        &self,
        search: &Search<'_>,
        trigger: u64,
        onsets: &[u64],
        so_far: f64,
    ) -> Vec<Fit> {
        let oldest = self.oldest_onset();
        let mut fits = Vec::new();
        for input in (0..self.inputs()).filter(|k| self.input_faults[*k].is_none()) {
            let (low, high) = self.est.input_range(input);
            // Where it stands at the end of its range it says nothing, which only a fit in full knows of.
            let small = search.best(Shape::Bias, input, onsets, None);
            // Where it is far behind the others it need not be known so well.
            let rival = small.filter(|f| f.gain > RIVAL_SHARE * so_far);
            let once = rival.and_then(|f| search.again(&f));
            let twice = once.and_then(|f| search.again(&f));
            let best = [small, once, twice].into_iter().flatten().max_by(by_gain);
            let best = best.filter(|f| f.size.abs() <= high - low).map(|f| self.bounded(input, f));
            fits.extend(best.map(|f| {
                let gain = if self.jumps(&f, f.size) { f.gain } else { f.gain - UNSEEN_NATS };
                Fit { gain, ..f }
            }));
            let tried = [Some(trigger), Some(trigger.saturating_sub(16)), self.stands_still(input)];
            let tried = tried.into_iter().flatten().filter(|k| *k >= oldest);
            fits.extend(tried.filter_map(|k| search.unknown_input(input, k)).max_by(by_gain));
        }
        fits
    }

    /// Since when an input has stood still for longer than it is used to.
    fn stands_still(&self, input: usize) -> Option<u64> {
        let run = &self.input_runs[input];
        (run.long() && run.surprise() > STILL_NATS).then_some(run.start + 1)
    }

    /// Whether an input jumped by at least half of `by` next to the onset of a hypothesis on it.
    fn jumps(&self, fit: &Fit, by: f64) -> bool {
        let mean = |from: u64| {
            let values = (from..from + JUMP_OVER).map(|k| self.history.value(k, fit.signal));
            values.sum::<f64>() / JUMP_OVER as f64
        };
        let first = (fit.onset.saturating_sub(JUMP_NEAR)).max(self.history.oldest_start() + JUMP_OVER);
        let last = (fit.onset + JUMP_NEAR).min(self.history.next().saturating_sub(JUMP_OVER));
        (first..=last).any(|k| (mean(k) - mean(k - JUMP_OVER)) / by >= 0.5)
    }

    /// The most that an input can be off by in the direction of `size`, since `onset`: it was within its range, but for what a
    /// model may be wrong by, and but for some readings. Where it stands at the end of its range it may have been anything.
    fn most_off(&self, input: usize, onset: u64, size: f64) -> f64 {
        let (low, high) = self.est.input_range(input);
        let slack = OFF_SHARE * (high - low);
        if !slack.is_finite() || !size.is_finite() {
            return size;
        }
        // By how much each reading can be off at most.
        let room = |raw: f64| if size > 0.0 { raw - low + slack } else { high + slack - raw };
        let is_cut_off = |raw: f64| size > 0.0 && raw >= high || size < 0.0 && raw <= low;
        let values = (onset..self.history.next()).map(|k| self.history.value(k, input));
        let mut rooms: Vec<f64> = values.filter(|v| !v.is_nan() && !is_cut_off(*v)).map(room).collect();
        let beyond = rooms.len() / BEYOND_ONE_IN;
        if rooms.is_empty() {
            return size;
        }
        let (_, most, _) = rooms.select_nth_unstable_by(beyond, f64::total_cmp);
        most.clamp(0.0, size.abs()) * size.signum()
    }

    /// A hypothesis on an input, off by no more than it can be, and by what that explains: what a fit gains is a parabola of its
    /// size.
    fn bounded(&self, input: usize, f: Fit) -> Fit {
        let size = self.most_off(input, f.onset, f.size);
        let short = 1.0 - size / f.size;
        if short > 0.0 { Fit { size, gain: f.gain * (1.0 - short * short), ..f } } else { f }
    }

    /// By how much an input must be off before that is named. Without a range, the evidence alone decides.
    fn least_off(&self, input: usize) -> f64 {
        let (low, high) = self.est.input_range(input);
        if (high - low).is_finite() { OFF_SHARE * (high - low) } else { 0.0 }
    }

    /// Whether an input has moved since a supposed onset: before, one that is off cannot be told from one that sticks.
    fn has_stirred(&self, fit: &Fit) -> bool {
        let values = (fit.onset..self.history.next()).map(|k| self.history.value(k, fit.signal));
        let mut heard = values.filter(|v| !v.is_nan());
        heard.next().is_some_and(|first| heard.any(|v| v != first))
    }

    /// An input explains an output's misfit best. It is named if it stands still, or is off by more than a model could be.
    pub(super) fn judge_input(&mut self, o: usize, fit: &Fit, arrived: SimTime) -> bool {
        let off = fit.size.abs() > self.least_off(fit.signal)
            && fit.gain > OFF_NATS
            && self.jumps(fit, fit.size)
            && self.has_stirred(fit);
        let off = off.then_some(fit.size);
        let (kind, size) = match (fit.shape, off) {
            (Shape::Ignore, _) if self.stands_still(fit.signal) == Some(fit.onset) => ("stuck", 0.0),
            (Shape::Bias, Some(size)) => ("bias", size),
            _ => return false,
        };
        let correction = self.search(o).correction(fit);
        self.input_faults[fit.signal] = Some(InputFault {
            verdict: self.verdicts.len(),
            correction: self.corrections.len(),
            next_refit: self.history.next() + REFIT_AFTER,
        });
        let part = self.names()[fit.signal].clone();
        self.begin(part, kind, correction.from, size, posterior(fit.gain), arrived);
        self.corrections.push(correction);
        self.go_over(fit.onset);
        true
    }

    /// Keeps the runs of the inputs, and ends the verdict on one that stood still and moves.
    pub(super) fn watch_inputs(&mut self, i: u64, r: &Reading<'_>) {
        for (k, value) in r.inputs.iter().take(self.inputs()).enumerate().filter(|(_, v)| !v.is_nan()) {
            if *value != self.input_runs[k].value
                && let Some(fault) = self.input_faults[k]
                && self.corrections[fault.correction].shape == Shape::Ignore
            {
                self.input_faults[k] = None;
                self.corrections[fault.correction].until = r.t;
                self.end(fault.verdict, r.t, r.arrived);
                self.input_runs[k] = Run::default().after(&self.input_runs[k]);
            }
            self.input_runs[k].take(*value, i);
        }
    }

    /// Whether, as an output is suspected, it fits better that an input's fault is over; then it is.
    pub(super) fn input_recovers(&mut self, o: usize, trigger: u64, arrived: SimTime) -> bool {
        for k in 0..self.inputs() {
            let Some(fault) = self.input_faults[k] else { continue };
            let c = self.corrections[fault.correction];
            if c.shape == Shape::Ignore {
                continue;
            }
            let begun = self.history.index_at(c.from).max(self.history.oldest_start());
            let search = self.search(o);
            // What may be wrong is its size, too.
            let of_size = search.fit(c.shape, k, begun, None).map_or(0.0, |f| f.gain.max(0.0));
            let best = [0, 1, 2, 4, 8, 16, 32, 60]
                .iter()
                .map(|b| trigger.saturating_sub(*b))
                .filter(|at| *at > begun)
                .filter_map(|at| {
                    let back = Fit::new(c.shape, k, at, None);
                    let unseen = if self.jumps(&back, -c.size) { 0.0 } else { UNSEEN_NATS };
                    Some((at, search.ended(fault.correction, at)? - unseen))
                })
                .max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((onset, _)) = best.filter(|b| b.1 > END_NATS + of_size) {
                let t = self.history.sample(onset).t;
                self.end(fault.verdict, t, arrived);
                self.input_faults[k] = None;
                self.corrections[fault.correction].until = t;
                // A size that was a little wrong has pulled the state with it: the time of the fault is gone over again
                // without the input.
                if begun > self.history.oldest_start() {
                    self.corrections[fault.correction].shape = Shape::Ignore;
                }
                self.go_over(begun.min(onset));
                return true;
            }
        }
        false
    }

    /// With more readings the size of what is wrong with an input is known better, as long as its onset is in memory. What turns
    /// out too small is taken back: it never was.
    pub(super) fn refit_inputs(&mut self, o: usize, i: u64, arrived: SimTime) {
        for k in 0..self.inputs() {
            let Some(fault) = self.input_faults[k].filter(|f| i >= f.next_refit) else { continue };
            let c = self.corrections[fault.correction];
            let onset = self.history.index_at(c.from);
            self.input_faults[k] = Some(InputFault { next_refit: i + REFIT_AFTER, ..fault });
            if c.shape == Shape::Ignore || onset <= self.history.oldest_start() {
                continue;
            }
            if let Some(more) = self.search(o).fit(c.shape, k, onset, None)
                && more.size.abs() > more.std
            {
                let size = self.most_off(k, onset, c.size + more.size);
                if size.abs() <= TAKEN_BACK * self.least_off(k) || size.signum() != c.size.signum() {
                    self.input_faults[k] = None;
                    self.corrections[fault.correction].until = c.from;
                    self.end(fault.verdict, c.from, arrived);
                    self.go_over(onset);
                    continue;
                }
                self.corrections[fault.correction].size = size;
                self.verdicts[fault.verdict].size = size;
                self.go_over(onset);
            }
        }
    }
}
