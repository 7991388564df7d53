//! The recent past of one stream, and the estimator's states along it, so that a hypothesis can start from before the
//! onset it supposes.

mod snaps;

use self::snaps::{SNAP_EVERY, Snaps};
use super::{
    layout::{Layout, MAX_INPUTS},
    strip::{Form, Strip, pair},
};
use crate::{
    predict::{Estimator, Innovation, Tangent},
    time::{SimTime, Span},
};
use std::sync::Arc;

/// Samples kept.
pub(crate) const SAMPLES: usize = 1200;

/// What readings are multiplied by if a gain is of this size. None: by more than any sensor does, so that it is something else.
pub(super) fn factor(size: f64) -> Option<f64> {
    let share = 1.0 - size;
    (share > 1e-3).then(|| 1.0 / share)
}

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

/// The last samples, as they came, and the states along them.
pub(crate) struct History {
    pub layout: Arc<Layout>,
    /// Number of the first sample kept.
    first: u64,
    /// Time of the sample before it.
    before: SimTime,
    /// Samples, by their number, that do not just follow the one before: their step, and what of it is unknown. They are few.
    odd: Vec<(u64, Span, Span)>,
    /// Of each sample: time; values of all signals (NaN: missing); residual and variance of each output under what was believed
    /// (NaN variance: none); how deviations pass through it. The last two only weigh hypotheses, so that seven digits do.
    samples: Strip,
    snaps: Snaps,
    /// How restless the world is held to be; the states kept are handed out so.
    restless: f64,
}

impl Layout {
    fn form(&self) -> Form {
        let signals = self.inputs + self.outputs;
        Form { lines: 1, reals: signals, pairs: self.outputs + self.trace().div_ceil(2) }
    }
}

impl History {
    pub fn new(layout: Arc<Layout>, restless: f64) -> Self {
        Self {
            layout,
            first: 0,
            before: SimTime::ZERO,
            odd: Vec::new(),
            samples: Strip::default(),
            snaps: Snaps::default(),
            restless,
        }
    }

    /// Index of the sample to come.
    pub fn next(&self) -> u64 {
        self.first + self.samples.len(self.layout.form()) as u64
    }

    /// Index of the oldest sample from which a hypothesis can start.
    pub fn oldest_start(&self) -> u64 {
        self.snaps.first().unwrap_or(self.next())
    }

    fn at(&self, i: u64) -> usize {
        (i - self.first) as usize
    }

    pub fn sample(&self, i: u64) -> Sample {
        let t = self.time(i);
        let odd = self.odd.partition_point(|o| o.0 < i);
        match self.odd.get(odd).filter(|o| o.0 == i) {
            Some((_, dt, unknown)) => Sample { t, dt: *dt, unknown: *unknown },
            None => Sample { t, dt: self.step_to(i), unknown: Span::ZERO },
        }
    }

    /// How long after the one before a sample came, as their times say.
    fn step_to(&self, i: u64) -> Span {
        let before = if i == self.first { self.before } else { self.time(i - 1) };
        Span((self.time(i) - before).0.max(0))
    }

    /// When a sample was taken.
    pub fn time(&self, i: u64) -> SimTime {
        SimTime(self.samples.word(self.at(i), 0, self.layout.form()) as i64)
    }

    pub fn value(&self, i: u64, signal: usize) -> f64 {
        f64::from_bits(self.samples.word(self.at(i), 1 + signal, self.layout.form()))
    }

    pub fn innovation(&self, i: u64, output: usize) -> Innovation {
        let [residual, var] = self.samples.pair(self.at(i), output, self.layout.form());
        Innovation { residual: f64::from(residual), var: f64::from(var) }
    }

    /// Changes the innovation of the last sample, or of one since [`Self::begin_again`].
    pub fn set_innovation(&mut self, i: u64, output: usize, innovation: Innovation) {
        let numbers = [innovation.residual as f32, innovation.var as f32];
        let at = self.at(i);
        self.samples.set_pair(at, output, numbers, self.layout.form());
    }

    /// The first sample at or after a time.
    pub fn index_at(&self, t: SimTime) -> u64 {
        let (mut low, mut high) = (self.first, self.next());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time(middle) < t { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Appends a sample; `before` is the estimator's state before it.
    pub fn push(&mut self, sample: Sample, inputs: &[f64], outputs: &[f64], before: &dyn Estimator) {
        let (i, form) = (self.next(), self.layout.form());
        if i.is_multiple_of(SNAP_EVERY) {
            self.snaps.push(i, before);
        }
        if self.samples.len(form) == 0 {
            self.before = sample.t;
        }
        let values = inputs.iter().chain(outputs).map(|v| v.to_bits());
        let none = std::iter::repeat_n(pair(0.0, f32::NAN), self.layout.outputs);
        self.samples.push(std::iter::once(sample.t.0 as u64).chain(values).chain(none), form);
        if sample.unknown != Span::ZERO || sample.dt != self.step_to(i) {
            self.odd.push((i, sample.dt, sample.unknown));
        }
        if self.samples.len(form) > SAMPLES {
            self.before = self.time(self.first);
            self.samples.drop_first();
            self.first += 1;
            self.snaps.forget_before(self.first);
            let odd = self.odd.partition_point(|o| o.0 < self.first);
            self.odd.drain(..odd);
        }
    }

    /// Forgets the states after sample `i`, and makes ready to go over the samples since: what was believed then is no more.
    pub fn begin_again(&mut self, i: u64) {
        self.snaps.forget_after(i);
        let at = self.at(i);
        self.samples.open(at, self.layout.form());
    }

    /// Keeps a state while the past is gone over again.
    pub fn resnap(&mut self, i: u64, state: &dyn Estimator) {
        if i.is_multiple_of(SNAP_EVERY) && self.snaps.last().is_none_or(|s| s < i) {
            self.snaps.push(i, state);
        }
    }

    /// The newest state at or before sample `i`, and its sample; `like` is any state of the estimator.
    pub fn state_before(&self, i: u64, like: &dyn Estimator) -> Option<(u64, Box<dyn Estimator>)> {
        let (at, mut state) = self.snaps.before(i, like)?;
        state.set_restless(self.restless);
        Some((at, state))
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
        let inputs = &mut inputs[..self.layout.inputs.min(MAX_INPUTS)];
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
                trace.gains.resize(self.layout.outputs * self.layout.entries.1, 0.0);
                if s.unknown > Span::ZERO {
                    est.predict_traced(s.unknown, unknown, &mut trace.before);
                }
                est.predict_traced(rest, inputs, &mut trace.step);
                if s.unknown > Span::ZERO {
                    trace.step.after(&trace.before, self.layout.entries);
                }
            }
        }
        for o in 0..self.layout.outputs {
            let raw = self.value(i, self.layout.inputs + o);
            if raw.is_nan() {
                continue;
            }
            let Some(value) = corrected(corrections, self.layout.inputs + o, s.t, raw) else { continue };
            let noise = corrections
                .iter()
                .filter(|c| c.signal == self.layout.inputs + o && c.shape == Shape::Noise && c.covers(s.t))
                .map(|c| c.size * c.size)
                .sum::<f64>();
            let g = est.expected(o);
            // The gain the filter would have, had it known of the noise.
            let share = if noise > 0.0 { g.var / (g.var + noise) } else { 1.0 };
            if let Some(trace) = &mut trace {
                let gain = &mut trace.gains[o * self.layout.entries.1..(o + 1) * self.layout.entries.1];
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
        let (low, high) = self.layout.ranges[k];
        let off =
            |c: &&Correction| c.signal == k && c.covers(t) && matches!(c.shape, Shape::Bias | Shape::Drift);
        corrections.iter().filter(off).any(|c| {
            let off = c.size * c.profile(t, raw);
            off > 0.0 && raw >= high || off < 0.0 && raw <= low
        })
    }

    /// Keeps how deviations pass through the last sample, or one since [`Self::begin_again`].
    pub fn set_trace(&mut self, i: u64, trace: &Trace) {
        let form = self.layout.form();
        let at = self.at(i);
        let from = trace.step.by_state.iter().chain(&trace.step.by_input).chain(&trace.gains);
        let mut from = from.map(|v| *v as f32);
        for n in self.layout.outputs..form.pairs {
            let numbers = [from.next().unwrap_or(0.0), from.next().unwrap_or(0.0)];
            self.samples.set_pair(at, n, numbers, form);
        }
    }

    /// How deviations pass through the samples from `i` on, [`Layout::trace`] numbers each: by state, by input, and the gains of
    /// all outputs.
    pub fn traces(&self, i: u64) -> Vec<f32> {
        let (form, numbers) = (self.layout.form(), self.layout.trace());
        let mut all = Vec::with_capacity((self.next() - i) as usize * numbers + 1);
        for at in self.at(i)..self.at(self.next()) {
            let end = all.len() + numbers;
            all.extend((self.layout.outputs..form.pairs).flat_map(|n| self.samples.pair(at, n, form)));
            all.truncate(end);
        }
        all
    }
}

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
