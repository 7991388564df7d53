//! From a suspicion to a verdict: what the cheap detectors of an output point at is examined, as competing hypotheses.

use super::{
    DECIDE_NATS, Judge, MARGIN_NATS, MOST_POSTERIORS, Posterior,
    glr::{Fit, Search},
    history::{Correction, Shape, factor},
    lane::{EXAMINE, PATIENCE, Suspicion, WILD, YOUNG},
    noise::cost,
    shared::Shared,
    verdict::end_verdict,
};
use crate::time::SimTime;
use std::cmp::Ordering;

/// How wrong a model may be without a fault, as a share of the motion it has to explain. The innovations of the past cannot
/// say this where the inputs do what they never did before.
const MODEL_SHARE: f64 = 0.1;
/// What a gain has to be better by than a bias: it is rarer, and over a short time the two look alike, [nat].
const GAIN_PENALTY: f64 = 6.0;
/// What a part must be better by than another: what an input does shows late and blurred, [nat].
const PART_NATS: f64 = 5.0;
/// Readings before the trigger at which a step may have begun.
const STEP_BACK: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 60];
/// Readings before now at which a drift may have begun; and before the trigger, what is over by then.
const SLOW_BACK: [u64; 8] = [SLOWEST, 100, 150, 230, 350, 500, 700, 950];
/// The same for a bias that is over.
const OVER_BACK: [u64; 10] = [8, 16, 30, 60, 100, 150, 230, 350, 500, 700];
/// What a drift from a wrong onset gains at least where there is one, [nat].
const GLIMPSE_NATS: f64 = 1.5;
/// Readings over which a drift must have lasted: before, it is no other thing than a bias.
const SLOWEST: u64 = 60;
/// Share of its size by which a reading must have moved before a gain is told from a bias.
const GAIN_MOTION: f64 = 0.25;
/// Readings after a spike before it is named: more noise begins with what looks like one.
const SPIKE_ALONE: u64 = 6;
/// Readings of a stream before which no fault can have begun: what is wrong from the start is the model's to learn.
const SETTLE: u64 = 120;

impl Judge {
    /// The detectors of one output.
    pub(super) fn look(&mut self, o: usize, i: u64, raw: f64, arrived: SimTime) {
        let v = self.history.innovation(i, o);
        let ready = self.noise[o].ready();
        let z = v.residual / v.var.sqrt() / self.noise[o].scale();
        let jump = raw - self.lanes[o].last;
        self.lanes[o].last = raw;
        self.lanes[o].run.take(raw, i);
        if let Some(active) = self.lanes[o].active() {
            if active.shape != Shape::Ignore && z.is_finite() {
                let lane = &mut self.lanes[o];
                if z.abs() > WILD && jump.abs() > 4.0 * lane.step && lane.spike.is_none() {
                    lane.spike = Some(i);
                }
                // What has no size is told within what has one.
                if self.judge_stuck(o, i, arrived) || self.judge_spike(o, i, arrived) {
                    return;
                }
            }
            self.watch_end(o, i, active, arrived);
            return;
        }
        if z.is_nan() {
            return;
        }
        let lane = &mut self.lanes[o];
        let limit = 4.0 * lane.step;
        if jump.is_finite() {
            lane.step += 0.01 * (1.2533 * jump.abs().min(limit) - lane.step);
        }
        if self.input_faults.iter().all(Option::is_none) {
            self.noise[o].take(v.residual / v.var.sqrt());
        }
        if !ready {
            return;
        }
        if self.judge_stuck(o, i, arrived) || self.judge_spike(o, i, arrived) {
            return;
        }
        let lane = &mut self.lanes[o];
        if z.abs() > WILD && jump.abs() > 4.0 * lane.step && lane.spike.is_none() {
            lane.spike = Some(i);
        }
        lane.suspect(z, i);
        self.refit_inputs(o, i, arrived);
        self.examine(o, i, arrived);
    }

    /// A run of identical values that the model cannot have meant.
    fn judge_stuck(&mut self, o: usize, i: u64, arrived: SimTime) -> bool {
        let run = &self.lanes[o].run;
        if !run.long() {
            return false;
        }
        let from = run.start + 1;
        if from < self.history.oldest_start() {
            return false;
        }
        let t = self.history.sample(from).t;
        let signal = self.inputs() + o;
        let ignore = Correction { signal, shape: Shape::Ignore, size: 0.0, from: t, until: SimTime::NEVER };
        let search = self.search(o);
        let Some(mut est) = search.state_at(from) else { return false };
        let mut all = self.corrections.clone();
        all.push(ignore);
        // What the twin would have read, had it not been told; a step before the run, which is no business of the run's,
        // drops out with the mean.
        let mut path = Vec::new();
        for k in from..=i {
            self.history.step(&mut *est, k, &all, &mut |_, _| {});
            let v = self.history.innovation(k, o);
            if !v.var.is_nan() {
                path.push((est.expected(o).mean, v.var.sqrt() * self.noise[o].scale()));
            }
        }
        let mean = path.iter().map(|p| p.0).sum::<f64>() / path.len() as f64;
        let (low, high) = path.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.0), h.max(p.0)));
        let misfit: f64 = path.iter().map(|(p, sd)| cost((p - mean) / sd) - 0.5).sum();
        let nats = misfit / self.noise[o].dilution() + self.lanes[o].run.surprise();
        let moved = high - low >= (2.0 * self.est.quantum(o)).max(3.0 * self.est.noise_std(o));
        if nats < DECIDE_NATS || !moved {
            return false;
        }
        self.accept(o, ignore, "stuck", from, 0.0, posterior(nats), arrived);
        true
    }

    /// A single reading that was off and came back.
    fn judge_spike(&mut self, o: usize, i: u64, arrived: SimTime) -> bool {
        let Some(k) = self.lanes[o].spike else { return false };
        if i < k + SPIKE_ALONE {
            return false;
        }
        self.lanes[o].spike = None;
        let Some(before) = k.checked_sub(1) else { return false };
        let y = |at: u64| self.history.value(at, self.inputs() + o);
        let (up, back, rest) = (y(k) - y(before), y(k) - y(k + 1), y(k + 1) - y(before));
        let least = 4.0 * self.lanes[o].step;
        if !(up * back > 0.0
            && up.abs().min(back.abs()) > least
            && rest.abs() < 0.5 * up.abs().min(back.abs()))
        {
            return false;
        }
        let (from, until) = (self.history.sample(k).t, self.history.sample(k + 1).t);
        let ignore = Correction { signal: self.inputs() + o, shape: Shape::Ignore, size: 0.0, from, until };
        let Some(mut est) = self.search(o).state_at(k) else { return false };
        let mut all = self.corrections.clone();
        all.push(ignore);
        let scale = self.noise[o].scale();
        let mut nats = 0.0;
        let mut size = 0.0;
        let (mut wildest, mut alone) = (0.0f64, 0.0);
        for at in k..=i {
            let mut spent = 0.0;
            self.history.step(&mut *est, at, &all, &mut |which, v| {
                if which == o {
                    let z = v.residual / v.var.sqrt() / scale;
                    (spent, wildest) = (cost(z), wildest.max(z.abs()));
                }
            });
            if at == k {
                size = y(k) - est.expected(o).mean;
                alone = size.abs() / est.expected(o).var.sqrt() / scale;
            }
            let v = self.history.innovation(at, o);
            if !v.var.is_nan() {
                nats += cost(v.residual / v.var.sqrt() / scale) - spent;
            }
        }
        // Two neighbours that agree with each other and not with it, each worth what the reading alone is.
        if nats < 0.5 * DECIDE_NATS || wildest > (0.75 * WILD).max(0.4 * alone) {
            return false;
        }
        let around = self.lanes[o].active.take();
        self.accept(o, ignore, "spike", k, size, posterior(2.0 * nats), arrived);
        let lane = &mut self.lanes[o];
        if let Some(active) = std::mem::replace(&mut lane.active, around) {
            end_verdict(&mut self.verdicts, &mut self.news, active.verdict, until, arrived);
        }
        lane.suspicion = None;
        true
    }

    /// A search under what is believed now.
    pub(super) fn search(&self, output: usize) -> Search<'_> {
        Search {
            output,
            history: &self.history,
            corrections: &self.corrections,
            noise: &self.noise,
            est: &*self.est,
            shared: Shared::default(),
        }
    }

    /// Examines a suspicion when its time has come.
    fn examine(&mut self, o: usize, i: u64, arrived: SimTime) {
        let Some(suspicion) = self.lanes[o].suspicion else { return };
        let age = i - suspicion.trigger;
        let Some(due) = EXAMINE.get(suspicion.examined) else {
            self.lanes[o].suspicion = None;
            return;
        };
        if age < *due || self.lanes[o].run.suspect() || self.lanes[o].spike.is_some() {
            return;
        }
        // Several may have come due at once, where a run of identical values had to be waited for.
        let examined = EXAMINE.iter().filter(|a| **a <= age).count();
        self.lanes[o].suspicion = Some(Suspicion { examined, ..suspicion });
        if self.input_recovers(o, suspicion.trigger, arrived) {
            self.lanes[o].suspicion = None;
            return;
        }
        let fits = self.hypotheses(o, i, suspicion.trigger);
        self.note(self.history.sample(i).t, &fits);
        let Some(best) = fits.iter().find(|f| f.is_shown()).copied() else { return };
        // What grows on will be over a sum's limit again.
        let share = if age >= EXAMINE[7] { 0.5 } else { 0.25 };
        if best.gain < share * DECIDE_NATS && age >= EXAMINE[5] {
            self.lanes[o].suspicion = None;
            return;
        }
        let is_over = |f: &Fit| f.until.is_some();
        let gain = |rival: &dyn Fn(&Fit) -> bool| fits.iter().find(|f| rival(f)).map_or(0.0, |f| f.gain);
        // Whether something began or ended, and whether here or in an input, stays open until it is clear; of two kinds,
        // the likelier is named in the end.
        let of_time = gain(&|f| f.is_shown() && is_over(f) != is_over(&best));
        let of_kind = gain(&|f| f.is_shown() && is_over(f) == is_over(&best) && f.shape != best.shape);
        let of_part = gain(&|f| f.signal != best.signal);
        // To a model that is still learning, what grows slowly may as well be an input's doing, where that explains half of it.
        let of_input = gain(&|f| f.signal < self.inputs());
        let slow = self.est.learns() && best.shape == Shape::Drift && 2.0 * of_input > best.gain;
        let clear = best.gain - of_time > MARGIN_NATS
            && best.gain - of_part > PART_NATS
            && !slow
            && (best.gain - of_kind > MARGIN_NATS || age >= PATIENCE);
        // What may have been there without a trace is not named, but it is doubt.
        let second = gain(&|f| (f.shape, is_over(f)) != (best.shape, is_over(&best)));
        let enough = if age < YOUNG { 2.0 * DECIDE_NATS } else { DECIDE_NATS };
        // What grows since before all that is looked at was not seen to begin: so does what the model is wrong about.
        let unbegun = best.shape == Shape::Drift && i - best.onset >= SLOW_BACK[SLOW_BACK.len() - 1];
        if best.gain < enough || !clear || unbegun {
            return;
        }
        if best.signal < self.inputs() {
            if !self.may_drift(o, i, suspicion.trigger, &best) && self.judge_input(o, &best, arrived) {
                self.lanes[o].suspicion = None;
            }
            return;
        }
        if !self.beyond_the_model(o, i, &best) {
            return;
        }
        let (kind, size) = match best.shape {
            Shape::Bias => ("bias", best.size),
            Shape::Drift => ("drift", best.size),
            Shape::Gain => {
                let Some(times) = factor(best.size) else { return };
                ("gain", times)
            }
            Shape::Noise => ("noise", best.size),
            Shape::Ignore => return,
        };
        let correction = self.search(o).correction(&best);
        let share = 1.0 / (1.0 + (second - best.gain).exp());
        if share < 0.5 || self.is_shaken(o, best.gain) {
            return;
        }
        self.accept(o, correction, kind, best.onset, size, posterior(best.gain) * share, arrived);
        if let (Some(end), Some(active)) = (best.until, self.lanes[o].active()) {
            self.finish(o, active, end, arrived);
        }
    }

    /// Whether what an input being off would explain may be a drift of the output that is too young to be named: what an input
    /// does to an output begins as a ramp, too.
    fn may_drift(&self, o: usize, i: u64, trigger: u64, input: &Fit) -> bool {
        if input.shape != Shape::Bias || i - input.onset >= SLOWEST {
            return false;
        }
        let onsets = self.onsets(trigger, &STEP_BACK, i);
        let drift = self.search(o).best(Shape::Drift, self.inputs() + o, &onsets, None);
        drift.is_some_and(|f| input.gain - f.gain < PART_NATS)
    }

    /// Whether another output, that is looked into as well, rather scatters more: what it tells the twin then moves all
    /// others.
    fn is_shaken(&self, o: usize, gain: f64) -> bool {
        (0..self.lanes.len()).filter(|p| *p != o && self.lanes[*p].active.is_none()).any(|p| {
            let Some(suspicion) = self.lanes[p].suspicion else { return false };
            let last = self.history.next() - 1;
            let search = self.search(p);
            let scatters = |onset: u64| search.noise(onset).is_some_and(|f| f.gain > gain);
            self.onsets(suspicion.trigger, &STEP_BACK, last).into_iter().any(scatters)
        })
    }

    /// Whether a fault is larger than what the model may be wrong by: [`MODEL_SHARE`] of the motion that was reported
    /// since shortly before the supposed onset.
    fn beyond_the_model(&self, o: usize, i: u64, fit: &Fit) -> bool {
        let from = fit.onset.saturating_sub(30).max(self.history.oldest_start());
        let c = self.search(o).correction(fit);
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for k in from..=i {
            let y = self.history.value(k, self.inputs() + o);
            if !y.is_nan() && k != fit.onset {
                let t = self.history.sample(k).t;
                let y = if c.covers(t) { y - c.size * c.profile(t, y) } else { y };
                (low, high) = (low.min(y), high.max(y));
            }
        }
        let now = match fit.shape {
            Shape::Drift => {
                let last = fit.until.unwrap_or(i);
                fit.size * (self.history.sample(last).t - self.history.sample(fit.onset).t).as_secs_f64()
                    / 3600.0
            }
            Shape::Gain => fit.size * self.history.value(i, self.inputs() + o),
            Shape::Noise => 2.0 * fit.size,
            _ => fit.size,
        };
        now.abs() > MODEL_SHARE * (high - low).max(0.0)
    }

    /// Whether the reading has moved enough since a supposed onset that a gain shows as one.
    fn has_moved(&self, o: usize, i: u64, fit: &Fit) -> bool {
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for y in (fit.onset + 1..=i).map(|k| self.history.value(k, self.inputs() + o)).filter(|y| !y.is_nan())
        {
            (low, high) = (low.min(y), high.max(y));
        }
        high - low > GAIN_MOTION * high.abs().max(low.abs())
    }

    /// All hypotheses on an output, best first.
    fn hypotheses(&self, o: usize, i: u64, trigger: u64) -> Vec<Fit> {
        let search = self.search(o);
        let signal = self.inputs() + o;
        let mut steps = self.onsets(trigger, &STEP_BACK, i);
        // A suspicion that had to wait for the end of a long run may be older than what is remembered.
        let oldest = self.history.oldest_start();
        steps.extend([trigger + 1, trigger + 3].into_iter().filter(|k| *k >= oldest && *k + 3 <= i));
        let slow = self.onsets(i, &SLOW_BACK, i);
        let bias = search.best(Shape::Bias, signal, &steps, None);
        let mut fits: Vec<Fit> = Vec::new();
        fits.extend(bias);
        fits.extend(steps.iter().filter_map(|k| search.noise(*k)).max_by(by_gain));
        // A drift, a gain, or a fault that is over looks like a small step before it is told apart; where there is none,
        // they are not looked for.
        let so_far = |fits: &[Fit]| fits.iter().map(|f| f.gain).fold(0.0, f64::max);
        if so_far(&fits) > 0.25 * DECIDE_NATS
            || i - trigger >= EXAMINE[5] && slow.iter().step_by(2).any(|k| is_glimpsed(&search, signal, *k))
        {
            fits.extend(search.best(Shape::Drift, signal, &slow, None));
        }
        if so_far(&fits) > 0.5 * DECIDE_NATS {
            let gain = search.best(Shape::Gain, signal, &steps, None);
            let gain = gain.filter(|f| factor(f.size).is_some() && self.has_moved(o, i, f));
            fits.extend(gain.map(|f| Fit { gain: f.gain - GAIN_PENALTY, ..f }));
            steps.extend(&slow);
            steps.sort_unstable();
            steps.dedup();
            fits.extend(self.of_inputs(&search, trigger, &steps, so_far(&fits)));
            // What looks like the beginning of one fault may be the end of another.
            let mut ends = vec![trigger];
            ends.extend(bias.map(|f| f.onset).filter(|k| *k != trigger));
            for (shape, back) in [(Shape::Bias, &OVER_BACK[..]), (Shape::Drift, &SLOW_BACK)] {
                let over = |end: &u64| search.best_over(shape, signal, &self.onsets(*end, back, *end), *end);
                fits.extend(ends.iter().filter_map(over).max_by(by_gain));
            }
        }
        fits.sort_by(|a, b| by_gain(b, a));
        fits
    }

    /// Keeps how likely each kind of fault is now, where that is wanted.
    fn note(&mut self, t: SimTime, fits: &[Fit]) {
        let names = &self.history.layout.names;
        let Some(kept) = self.examined.as_mut().filter(|kept| kept.len() < MOST_POSTERIORS) else { return };
        let mut gains: Vec<(String, f64)> = vec![("nothing".to_owned(), PRIOR_ODDS.ln())];
        for fit in fits.iter().filter(|f| f.gain.is_finite()) {
            let over = if fit.until.is_some() { ", over" } else { "" };
            let name = format!("{} of {}{over}", fit.shape.word(), names[fit.signal]);
            match gains.iter_mut().find(|(n, _)| *n == name) {
                Some((_, gain)) => *gain = gain.max(fit.gain),
                None => gains.push((name, fit.gain)),
            }
        }
        let most = gains.iter().map(|g| g.1).fold(0.0, f64::max);
        let sum: f64 = gains.iter().map(|g| (g.1 - most).exp()).sum();
        let of = gains.into_iter().map(|(name, gain)| (name, (gain - most).exp() / sum)).collect();
        kept.push(Posterior { t, of });
    }

    /// Samples so far before `at` at which a fault may have begun that shows in at least three samples before `last`.
    fn onsets(&self, at: u64, back: &[u64], last: u64) -> Vec<u64> {
        let oldest = self.oldest_onset();
        let mut list: Vec<u64> = back.iter().map(|b| at.saturating_sub(*b)).collect();
        list.retain(|k| *k >= oldest && *k + 3 <= last);
        list.sort_unstable();
        list.dedup();
        list
    }

    pub(super) fn oldest_onset(&self) -> u64 {
        self.history.oldest_start().max(SETTLE)
    }
}

/// Whether a drift from here, though it be a wrong onset, gains anything at all.
fn is_glimpsed(search: &Search<'_>, signal: usize, onset: u64) -> bool {
    search.fit(Shape::Drift, signal, onset, None).is_some_and(|f| f.gain > GLIMPSE_NATS)
}

pub(super) fn by_gain(a: &Fit, b: &Fit) -> Ordering {
    a.gain.total_cmp(&b.gain)
}

/// Prior odds against a fault, a reading examined.
const PRIOR_ODDS: f64 = 1e4;

/// Posterior of a hypothesis that gained so many nats.
pub(super) fn posterior(nats: f64) -> f64 {
    1.0 / (1.0 + PRIOR_ODDS * (-nats).exp())
}
