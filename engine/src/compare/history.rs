//! The recent past of one stream, and the estimator's states along it, so that a hypothesis can start from before the
//! onset it supposes.

use crate::{
    predict::{Estimator, Innovation, Tangent},
    time::{SimTime, Span},
};
use std::collections::VecDeque;

/// Samples kept.
pub(crate) const SAMPLES: usize = 1200;
/// A state is kept every so many samples …
const SNAP_EVERY: u64 = 15;
/// … over so many samples; before that every [`SNAP_EVERY_OLD`].
const SNAP_FINE: u64 = 150;
const SNAP_EVERY_OLD: u64 = 60;

/// What is wrong with a signal's stream, as the twin corrects for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The reading is not to be used.
    Ignore,
    /// reading = truth + size; at the end of its range an input that is off so says nothing.
    Bias,
    /// reading = truth + size · time since the onset [h].
    Drift,
    /// reading · (1 − size) = truth.
    Gain,
    /// Readings scatter by `size` more than the model says.
    Noise,
}

impl Shape {
    /// In a word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ignore => "another source",
            Self::Bias => "bias",
            Self::Drift => "drift",
            Self::Gain => "gain",
            Self::Noise => "noise",
        }
    }
}

/// A correction of one signal (inputs first, then outputs) from its onset to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correction {
    pub signal: usize,
    pub shape: Shape,
    pub size: f64,
    pub from: SimTime,
    pub until: SimTime,
}

impl Correction {
    pub fn covers(&self, t: SimTime) -> bool {
        self.from <= t && t < self.until
    }

    /// What one unit of size adds to a reading.
    pub fn profile(&self, t: SimTime, reading: f64) -> f64 {
        match self.shape {
            Shape::Ignore | Shape::Noise => 0.0,
            Shape::Bias => 1.0,
            Shape::Drift => (t - self.from).as_secs_f64() / 3600.0,
            Shape::Gain => reading,
        }
    }
}

/// One sample: when, and how long after the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub t: SimTime,
    pub dt: Span,
    /// Length of a part of `dt` before which the inputs are not known (zero: known over all of it).
    pub unknown: Span,
}

/// How deviations pass through one sample: its step, and the gain of each output's reading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    step: Tangent,
    before: Tangent,
    gains: Vec<f64>,
}

pub(crate) struct History {
    first: u64,
    times: VecDeque<SimTime>,
    /// Time of the sample before the first one kept.
    before: SimTime,
    /// Samples, by their number, that do not just follow the one before: their step, and what of it is unknown. They are few.
    odd: VecDeque<(u64, Span, Span)>,
    /// Inputs then outputs of each sample; NaN: missing.
    values: VecDeque<f64>,
    /// Residual and variance of each sample's outputs under what was believed; NaN variance: none. As traces do, they only weigh
    /// hypotheses.
    innovations: VecDeque<[f32; 2]>,
    snaps: VecDeque<(u64, Box<dyn Estimator>)>,
    /// Of each sample, at its number modulo [`SAMPLES`]: tangent by state, by input, gains of all outputs. As these only
    /// weigh hypotheses, seven digits do.
    traces: Vec<f32>,
    pub inputs: usize,
    pub outputs: usize,
    /// Entries of the state that move, and all.
    pub entries: (usize, usize),
    /// Of each input, whether a reading holds from then on, and its range.
    pub leads: Vec<bool>,
    ranges: Vec<(f64, f64)>,
    /// Of each output, the entry it reads.
    pub reads: Vec<usize>,
    /// How restless the world is held to be; the states kept are handed out so.
    restless: f64,
}

impl History {
    /// Room grows with what is kept: a page touched ahead of time for each of its parts would be most of what a young
    /// twin costs.
    pub fn new(est: &dyn Estimator) -> Self {
        let (inputs, outputs) = (est.inputs().len().min(MAX_INPUTS), est.outputs().len());
        let (moving, all) = est.entries();
        Self {
            first: 0,
            times: VecDeque::new(),
            before: SimTime::ZERO,
            odd: VecDeque::new(),
            values: VecDeque::new(),
            innovations: VecDeque::new(),
            snaps: VecDeque::new(),
            traces: Vec::new(),
            inputs,
            outputs,
            entries: (moving, all),
            leads: (0..inputs).map(|k| est.leads(k)).collect(),
            ranges: (0..inputs).map(|k| est.input_range(k)).collect(),
            reads: (0..outputs).map(|o| est.reads(o)).collect(),
            restless: est.restless(),
        }
    }

    /// Index of the sample to come.
    pub fn next(&self) -> u64 {
        self.first + self.times.len() as u64
    }

    /// Index of the oldest sample from which a hypothesis can start.
    pub fn oldest_start(&self) -> u64 {
        self.snaps.front().map_or(self.next(), |s| s.0)
    }

    pub fn sample(&self, i: u64) -> Sample {
        let at = (i - self.first) as usize;
        let t = self.times[at];
        let odd = self.odd.partition_point(|o| o.0 < i);
        match self.odd.get(odd).filter(|o| o.0 == i) {
            Some((_, dt, unknown)) => Sample { t, dt: *dt, unknown: *unknown },
            None => Sample { t, dt: self.step_to(at), unknown: Span::ZERO },
        }
    }

    /// How long after the one before the sample at this place came, as their times say.
    fn step_to(&self, at: usize) -> Span {
        let before = at.checked_sub(1).map_or(self.before, |b| self.times[b]);
        Span((self.times[at] - before).0.max(0))
    }

    pub fn value(&self, i: u64, signal: usize) -> f64 {
        self.values[(i - self.first) as usize * (self.inputs + self.outputs) + signal]
    }

    pub fn innovation(&self, i: u64, output: usize) -> Innovation {
        let [residual, var] = self.innovations[(i - self.first) as usize * self.outputs + output];
        Innovation { residual: f64::from(residual), var: f64::from(var) }
    }

    pub fn set_innovation(&mut self, i: u64, output: usize, innovation: Innovation) {
        let at = (i - self.first) as usize * self.outputs + output;
        self.innovations[at] = [innovation.residual as f32, innovation.var as f32];
    }

    /// The first sample at or after a time.
    pub fn index_at(&self, t: SimTime) -> u64 {
        self.first + self.times.partition_point(|s| *s < t) as u64
    }

    /// Appends a sample; `before` is the estimator's state before it.
    pub fn push(&mut self, sample: Sample, inputs: &[f64], outputs: &[f64], before: &dyn Estimator) {
        let i = self.next();
        if i.is_multiple_of(SNAP_EVERY) {
            self.snap(i, before);
        }
        if self.times.is_empty() {
            self.before = sample.t;
        }
        make_room(&mut self.times, 1, SAMPLES + 1);
        make_room(&mut self.values, self.inputs + self.outputs, (SAMPLES + 1) * (self.inputs + self.outputs));
        make_room(&mut self.innovations, self.outputs, (SAMPLES + 1) * self.outputs);
        self.times.push_back(sample.t);
        if sample.unknown != Span::ZERO || sample.dt != self.step_to(self.times.len() - 1) {
            self.odd.push_back((i, sample.dt, sample.unknown));
        }
        self.values.extend(inputs);
        self.values.extend(outputs);
        for _ in 0..self.outputs {
            self.innovations.push_back([0.0, f32::NAN]);
        }
        if self.times.len() > SAMPLES {
            self.before = self.times.pop_front().unwrap_or(self.before);
            self.values.drain(..self.inputs + self.outputs);
            self.innovations.drain(..self.outputs);
            self.first += 1;
            while self.snaps.front().is_some_and(|s| s.0 < self.first) {
                self.snaps.pop_front();
            }
            while self.odd.front().is_some_and(|o| o.0 < self.first) {
                self.odd.pop_front();
            }
        }
    }

    /// Keeps a state, finely spaced over the last samples and coarsely before.
    fn snap(&mut self, i: u64, state: &dyn Estimator) {
        self.snaps.push_back((i, state.fork()));
        let edge = i.saturating_sub(SNAP_FINE);
        if let Some(at) = self.snaps.iter().position(|s| s.0 < edge && !s.0.is_multiple_of(SNAP_EVERY_OLD)) {
            self.snaps.remove(at);
        }
    }

    /// Forgets the states after sample `i`: what was believed then is no more.
    pub fn forget_states_after(&mut self, i: u64) {
        while self.snaps.back().is_some_and(|s| s.0 > i) {
            self.snaps.pop_back();
        }
    }

    /// Keeps a state while the past is gone over again.
    pub fn resnap(&mut self, i: u64, state: &dyn Estimator) {
        if i.is_multiple_of(SNAP_EVERY) && self.snaps.back().is_none_or(|s| s.0 < i) {
            self.snap(i, state);
        }
    }

    /// The newest state at or before sample `i`, and its sample.
    pub fn state_before(&self, i: u64) -> Option<(u64, Box<dyn Estimator>)> {
        let at = self.snaps.partition_point(|s| s.0 <= i);
        at.checked_sub(1).map(|at| {
            let mut state = self.snaps[at].1.fork();
            state.set_restless(self.restless);
            (self.snaps[at].0, state)
        })
    }

    /// How restless the world is held to be, as a factor on the model's process noise.
    pub fn restless(&self) -> f64 {
        self.restless
    }

    /// From now on it is held to be so restless.
    pub fn set_restless(&mut self, factor: f64) {
        self.restless = factor;
    }

    /// Carries `est` over sample `i` under these corrections; `seen` is told each output's innovation, before the noise
    /// of a noisy sensor is taken out.
    pub fn step(
        &self,
        est: &mut dyn Estimator,
        i: u64,
        corrections: &[Correction],
        seen: &mut dyn FnMut(usize, Innovation),
    ) {
        self.step_with(est, i, corrections, seen, None);
    }

    /// The same, and how deviations pass through it.
    pub fn step_traced(
        &self,
        est: &mut dyn Estimator,
        i: u64,
        corrections: &[Correction],
        seen: &mut dyn FnMut(usize, Innovation),
        trace: &mut Trace,
    ) {
        self.step_with(est, i, corrections, seen, Some(trace));
    }

    fn step_with(
        &self,
        est: &mut dyn Estimator,
        i: u64,
        corrections: &[Correction],
        seen: &mut dyn FnMut(usize, Innovation),
        mut trace: Option<&mut Trace>,
    ) {
        let s = self.sample(i);
        let mut inputs = [None; MAX_INPUTS];
        let inputs = &mut inputs[..self.inputs.min(MAX_INPUTS)];
        for (k, slot) in inputs.iter_mut().enumerate() {
            let raw = self.value(i, k);
            let believed = !raw.is_nan() && !self.is_cut_off(corrections, k, s.t, raw);
            *slot = believed.then(|| corrected(corrections, k, s.t, raw)).flatten();
        }
        let unknown = &[None; MAX_INPUTS][..inputs.len()];
        let rest = Span(s.dt.0 - s.unknown.0);
        match &mut trace {
            None if s.unknown > Span::ZERO => {
                est.predict(s.unknown, unknown);
                est.predict(rest, inputs);
            }
            None => est.predict(rest, inputs),
            Some(trace) => {
                trace.gains.clear();
                trace.gains.resize(self.outputs * self.entries.1, 0.0);
                if s.unknown > Span::ZERO {
                    est.predict_traced(s.unknown, unknown, &mut trace.before);
                }
                est.predict_traced(rest, inputs, &mut trace.step);
                if s.unknown > Span::ZERO {
                    trace.step.after(&trace.before, self.entries);
                }
            }
        }
        for o in 0..self.outputs {
            let raw = self.value(i, self.inputs + o);
            if raw.is_nan() {
                continue;
            }
            let Some(value) = corrected(corrections, self.inputs + o, s.t, raw) else { continue };
            let noise = corrections
                .iter()
                .filter(|c| c.signal == self.inputs + o && c.shape == Shape::Noise && c.covers(s.t))
                .map(|c| c.size * c.size)
                .sum::<f64>();
            let g = est.expected(o);
            // The gain the filter would have, had it known of the noise.
            let share = if noise > 0.0 { g.var / (g.var + noise) } else { 1.0 };
            if let Some(trace) = &mut trace {
                let gain = &mut trace.gains[o * self.entries.1..(o + 1) * self.entries.1];
                est.gain(o, gain);
                gain.iter_mut().for_each(|k| *k *= share);
            }
            if noise > 0.0 {
                let residual = value - g.mean;
                seen(o, Innovation { residual, var: g.var + noise });
                est.update(o, g.mean + residual * share);
            } else {
                seen(o, est.update(o, value));
            }
        }
    }

    /// Whether an input that is supposed to be off stands at the end of its range, so that it may have been anything.
    fn is_cut_off(&self, corrections: &[Correction], k: usize, t: SimTime, raw: f64) -> bool {
        let (low, high) = self.ranges[k];
        let off =
            |c: &&Correction| c.signal == k && c.covers(t) && matches!(c.shape, Shape::Bias | Shape::Drift);
        corrections.iter().filter(off).any(|c| {
            let off = c.size * c.profile(t, raw);
            off > 0.0 && raw >= high || off < 0.0 && raw <= low
        })
    }

    /// Keeps how deviations pass through sample `i`.
    pub fn set_trace(&mut self, i: u64, trace: &Trace) {
        let stride = self.stride();
        let at = (i % SAMPLES as u64) as usize * stride;
        if self.traces.len() < at + stride {
            let most = SAMPLES * stride;
            let wanted = (self.traces.len() + self.traces.len() / 4).clamp(at + stride, most);
            self.traces.reserve_exact(wanted - self.traces.len());
            self.traces.resize(at + stride, 0.0);
        }
        let from = trace.step.by_state.iter().chain(&trace.step.by_input).chain(&trace.gains);
        for (to, from) in self.traces[at..at + stride].iter_mut().zip(from) {
            *to = *from as f32;
        }
    }

    fn stride(&self) -> usize {
        let (moving, all) = self.entries;
        moving * (all + self.inputs) + self.outputs * all
    }

    /// How deviations pass through sample `i`: by state, by input, and the gains of all outputs.
    pub fn trace(&self, i: u64) -> (&[f32], &[f32], &[f32]) {
        let stride = self.stride();
        let at = (i % SAMPLES as u64) as usize * stride;
        let (moving, all) = self.entries;
        let (by_state, rest) = self.traces[at..at + stride].split_at(moving * all);
        let (by_input, gains) = rest.split_at(moving * self.inputs);
        (by_state, by_input, gains)
    }
}

/// Makes room for some more: by a quarter each time and never beyond `most`, where doubling would leave up to half of it empty
/// for ever.
fn make_room<T>(queue: &mut VecDeque<T>, more: usize, most: usize) {
    let needed = queue.len() + more;
    if needed > queue.capacity() {
        let wanted = (queue.capacity() + queue.capacity() / 4).clamp(needed, most.max(needed));
        queue.reserve_exact(wanted - queue.len());
    }
}

/// Inputs that a model may have here; further ones count as unknown.
pub(crate) const MAX_INPUTS: usize = 16;

/// No innovation.
pub(crate) const NONE: Innovation = Innovation { residual: 0.0, var: f64::NAN };

/// A reading with all corrections applied; `None`: not to be used.
pub(crate) fn corrected(corrections: &[Correction], signal: usize, t: SimTime, raw: f64) -> Option<f64> {
    let mut value = raw;
    for c in corrections.iter().filter(|c| c.signal == signal && c.covers(t)) {
        if c.shape == Shape::Ignore {
            return None;
        }
        value -= c.size * c.profile(t, value);
    }
    Some(value)
}
