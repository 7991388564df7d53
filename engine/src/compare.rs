//! Residuals and verdicts: which fault, of which part, since when, how large.
//!
//! [`Judge`] owns a twin's estimator. Cheap detectors watch each reading (a wild innovation, a cumulative sum, a run of
//! identical values, a missing message, a clock that leaves the arrivals); only what they suspect is examined: competing
//! hypotheses are run as copies of the estimator from before the onset they suppose ([`glr`]), and the one that beats
//! "nothing happened" and the others by a margin becomes the verdict. While it holds, the twin follows the corrected
//! stream.
//!
//! # False alarms
//! Model error is no fault: every likelihood is scaled by the stream's own past innovations ([`noise`]). A verdict on values
//! needs [`DECIDE_NATS`] of log-likelihood beyond "nothing happened" after that scaling.
//!
//! # When a fault can be told
//! A stuck sensor, once the model expects motion of more than two quanta and the run of identical values is longer than any
//! that the stream had; a bias, gain or spike when it is several standard deviations of an innovation; a drift once rate ·
//! time exceeds about three of them; a skew after `6 s / κ` (see [`rhythm::DeviceClock`]); silence after eight periods or three
//! times the longest interval seen.
//!
//! ```
//! # use twinfleet_engine::{compare::{Judge, Reading}, dynamics::DynamicsDef, predict::kalman::Filter, time::SimTime};
//! let def: DynamicsDef = ron::from_str(r#"(
//!     parameters: {"c": (value: 100.0), "g": (value: 1.0), "room": (value: 20.0)},
//!     boundaries: [(name: "room", at: Parameter("room"))],
//!     storages: [(name: "box", capacity: "c", noise_k_per_sqrt_s: 0.01)],
//!     conductances: [(between: ("box", "room"), value: "g")],
//!     outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)],
//! )"#).unwrap();
//! let mut judge = Judge::new(Box::new(Filter::new(&def, &[]).unwrap()));
//! for k in 0..200 {
//!     let t = SimTime(k * 1_000_000_000);
//!     let wobble = if k % 2 == 0 { 0.08 } else { -0.08 };
//!     let bias = if k >= 150 { 2.0 } else { 0.0 };
//!     judge.take(&Reading { t, arrived: t, inputs: &[], outputs: &[20.0 + wobble + bias] });
//! }
//! let verdict = &judge.verdicts()[0];
//! assert_eq!((verdict.kind, verdict.part.as_str()), ("bias", "probe.temperature"));
//! assert_eq!(verdict.onset, SimTime(150_000_000_000));
//! ```

mod glr;
mod history;
pub mod noise;
pub mod rhythm;
mod run;
#[cfg(test)]
mod tests;

use self::{
    glr::{Fit, Search},
    history::{Correction, History, MAX_INPUTS, NONE, Sample, Shape, corrected},
    noise::{Calibration, cost},
    rhythm::{ClockNews, DeviceClock, Rhythm},
    run::Run,
};
use crate::{
    predict::{Estimator, Gaussian, Innovation},
    time::{SimTime, Span},
};

/// Log-likelihood that a hypothesis must gain over "nothing happened", [nat].
pub const DECIDE_NATS: f64 = 14.0;
/// … and over the next best kind, unless that has had [`PATIENCE`] readings to tell itself apart, [nat].
pub const MARGIN_NATS: f64 = 3.0;
/// Readings after which the best kind is named though another is near.
const PATIENCE: u64 = 45;
/// Scaled innovation that raises suspicion.
const WILD: f64 = 4.0;
/// Slack and limit of the cumulative sums of scaled innovations.
const CUSUM_SLACK: f64 = 0.25;
const CUSUM_LIMIT: f64 = 12.0;
/// Readings after the trigger at which a suspicion is examined.
const EXAMINE: [u64; 12] = [5, 8, 12, 18, 26, 36, 48, 64, 90, 130, 180, 240];
/// Readings before the trigger at which a step may have begun.
const STEP_BACK: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 60];
/// The same for a drift, before now.
const DRIFT_BACK: [u64; 7] = [25, 45, 80, 140, 230, 350, 500];
/// Readings of a stream before which no fault can have begun: what is wrong from the start is the model's to learn.
const SETTLE: u64 = 120;

/// A reading of all signals as it came.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// By the device's clock.
    pub t: SimTime,
    /// When it arrived.
    pub arrived: SimTime,
    /// Inputs in the estimator's order; NaN: missing.
    pub inputs: &'a [f64],
    /// Outputs in the estimator's order; NaN: missing.
    pub outputs: &'a [f64],
}

/// What the twin makes of one output now.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// What a reading would be, by the state after the last reading.
    pub estimate: Gaussian,
    /// Reported minus predicted, [signal's unit].
    pub residual: f64,
    /// The residual in standard deviations.
    pub whitened: f64,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// `part.quantity`; empty: the device as a whole.
    pub part: String,
    /// `stuck`, `bias`, `drift`, `gain`, `spike`, `noise`, `dropout` or `clock_skew`.
    pub kind: &'static str,
    /// Since when.
    pub onset: SimTime,
    /// Until when.
    pub end: Option<SimTime>,
    /// How large: in the signal's unit, per hour for a drift, a factor for a gain, ppm for a skew, 0 where there is no size.
    pub size: f64,
    /// Probability, as far as the likelihoods can say.
    pub posterior: f64,
    /// When it was decided, by simulated time of arrival.
    pub decided_at: SimTime,
}

/// A verdict that began or ended.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// When it was decided.
    pub t: SimTime,
    /// The verdict as it is now.
    pub verdict: Verdict,
    /// Whether it ended.
    pub ended: bool,
}

/// A verdict that holds: its index, and for values the correction's.
#[derive(Clone, Copy, Debug)]
struct Active {
    verdict: usize,
    correction: usize,
    shape: Shape,
    /// Evidence that it is over, and where that began.
    over: f64,
    over_since: u64,
    next_refit: u64,
}

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    trigger: u64,
    examined: usize,
}

/// One output as the detectors see it.
struct Lane {
    run: Run,
    up: f64,
    down: f64,
    cusum_since: (u64, u64),
    suspicion: Option<Suspicion>,
    spike: Option<u64>,
    active: Option<Active>,
    /// Robust scale of the step from reading to reading.
    step: f64,
    last: f64,
    view: View,
}

/// Follows one physical and says what is wrong with it.
pub struct Judge {
    est: Box<dyn Estimator>,
    names: Vec<String>,
    inputs: usize,
    history: History,
    corrections: Vec<Correction>,
    noise: Vec<Calibration>,
    lanes: Vec<Lane>,
    rhythm: Rhythm,
    rhythms: Vec<Rhythm>,
    /// Index of the verdict "silent" of each signal, and of the device.
    silent: Vec<Option<usize>>,
    device_silent: Option<usize>,
    clock: DeviceClock,
    clock_verdict: Option<usize>,
    held: Vec<(f64, SimTime)>,
    last_t: Option<SimTime>,
    unit: Vec<f64>,
    verdicts: Vec<Verdict>,
    news: Vec<News>,
    scratch: Vec<Innovation>,
}

impl Judge {
    /// A judge that follows with this estimator. Inputs beyond the sixteenth count as unknown.
    pub fn new(est: Box<dyn Estimator>) -> Self {
        let (inputs, outputs) = (est.inputs().len().min(MAX_INPUTS), est.outputs().len());
        let names: Vec<String> = est.inputs().iter().take(inputs).chain(est.outputs()).cloned().collect();
        let noise_floor = |o: usize| (est.noise_std(o).powi(2) + est.quantum(o).powi(2) / 12.0).sqrt();
        let lane = |o: usize| Lane {
            run: Run::default(),
            up: 0.0,
            down: 0.0,
            cusum_since: (0, 0),
            suspicion: None,
            spike: None,
            active: None,
            step: noise_floor(o).max(1e-9),
            last: f64::NAN,
            view: View { estimate: est.expected(o), residual: 0.0, whitened: 0.0 },
        };
        let mut unit = vec![1.0; inputs];
        unit.extend((0..outputs).map(|o| noise_floor(o).max(1e-9)));
        Self {
            history: History::new(inputs, outputs),
            corrections: Vec::new(),
            noise: vec![Calibration::default(); outputs],
            lanes: (0..outputs).map(lane).collect(),
            rhythm: Rhythm::default(),
            rhythms: vec![Rhythm::default(); names.len()],
            silent: vec![None; names.len()],
            device_silent: None,
            clock: DeviceClock::default(),
            clock_verdict: None,
            held: vec![(f64::NAN, SimTime::ZERO); inputs],
            last_t: None,
            unit,
            verdicts: Vec::new(),
            news: Vec::new(),
            scratch: vec![NONE; outputs],
            inputs,
            names,
            est,
        }
    }

    /// Takes a reading in. Times of readings must ascend; equal times are parts of one reading.
    pub fn take(&mut self, r: &Reading<'_>) {
        self.hear(r);
        let i = self.history.next();
        let sample = self.sample(r);
        let inputs = self.hold_inputs(r);
        for o in 0..r.outputs.len() {
            self.end_if_moving(o, r.t, r.arrived, r.outputs[o]);
        }
        self.history.push(sample, &inputs[..self.inputs], r.outputs, &*self.est);
        self.follow(i);
        for o in 0..r.outputs.len() {
            if !r.outputs[o].is_nan() {
                self.look(o, i, r.outputs[o], r.arrived);
            }
        }
        let oldest = self.history.oldest_start();
        let horizon = if oldest < i { self.history.sample(oldest).t } else { SimTime(i64::MIN) };
        if self.lanes.iter().all(|l| l.active.is_none()) {
            self.corrections.retain(|c| c.until > horizon);
        }
    }

    /// Rhythm and clock: what can be told without looking at the values.
    fn hear(&mut self, r: &Reading<'_>) {
        if let Some(v) = self.device_silent.take() {
            self.end(v, r.arrived, r.arrived);
        }
        self.rhythm.beat(r.arrived);
        let values = r.inputs.iter().take(self.inputs).chain(r.outputs);
        for (s, value) in values.enumerate() {
            if !value.is_nan() {
                if let Some(v) = self.silent[s].take() {
                    end_verdict(&mut self.verdicts, &mut self.news, v, r.arrived, r.arrived);
                }
                self.rhythms[s].beat(r.arrived);
            } else if self.silent[s].is_none() && self.rhythms[s].overdue(r.arrived) {
                let posterior = self.rhythms[s].posterior(r.arrived);
                let onset = self.rhythms[s].due();
                let part = self.names[s].clone();
                self.silent[s] = Some(self.verdicts.len());
                self.begin(part, "dropout", onset, 0.0, posterior, r.arrived);
            }
        }
        match self.clock.take(r.t, r.arrived) {
            Some(ClockNews::Began(skew)) => {
                self.clock_verdict = Some(self.verdicts.len());
                let posterior = 1.0 / (1.0 + 1e3 * (-0.5 * skew.sigmas.powi(2)).exp());
                self.begin(String::new(), "clock_skew", skew.onset, skew.ppm, posterior, r.arrived);
            }
            Some(ClockNews::Ended(t)) => {
                if let Some(v) = self.clock_verdict.take() {
                    self.end(v, t, r.arrived);
                }
            }
            None => {}
        }
    }

    fn sample(&mut self, r: &Reading<'_>) -> Sample {
        let dt = self.last_t.map_or(Span::ZERO, |last| Span((r.t - last).0.max(0)));
        self.last_t = Some(r.t);
        let period = self.rhythm.period();
        // Over a gap the inputs are not known until one period before its end.
        let gap = period > Span::ZERO && dt.0 > period.0.saturating_mul(4);
        Sample { t: r.t, dt, unknown: if gap { Span(dt.0 - period.0) } else { Span::ZERO } }
    }

    /// Inputs as they hold at this reading: those that came, and those that came a short while ago in another message.
    fn hold_inputs(&mut self, r: &Reading<'_>) -> [f64; MAX_INPUTS] {
        let mut inputs = [f64::NAN; MAX_INPUTS];
        for (k, value) in r.inputs.iter().take(self.inputs).enumerate() {
            let patience = Span(self.rhythms[k].period().0.saturating_mul(3));
            if !value.is_nan() {
                self.held[k] = (*value, r.t);
            } else if r.t - self.held[k].1 > patience {
                self.held[k].0 = f64::NAN;
            }
            inputs[k] = self.held[k].0;
        }
        inputs
    }

    /// Carries the estimator over sample `i`, and keeps what was expected and what came.
    fn follow(&mut self, i: u64) {
        self.scratch.fill(NONE);
        let seen = &mut self.scratch;
        self.history.step(&mut *self.est, i, &self.corrections, &mut |o, v| seen[o] = v);
        let t = self.history.sample(i).t;
        for o in 0..self.lanes.len() {
            let v = self.scratch[o];
            self.history.set_innovation(i, o, v);
            let raw = self.history.value(i, self.inputs + o);
            let g = self.est.expected(o);
            let lane = &mut self.lanes[o];
            lane.view.estimate = g;
            if raw.is_nan() {
                continue;
            }
            let (residual, var) = match corrected(&self.corrections, self.inputs + o, t, raw) {
                Some(value) => (v.residual + raw - value, v.var),
                None => (raw - g.mean, g.var),
            };
            lane.view.residual = residual;
            lane.view.whitened = residual / var.sqrt();
        }
    }

    /// The detectors of one output.
    fn look(&mut self, o: usize, i: u64, raw: f64, arrived: SimTime) {
        let v = self.history.innovation(i, o);
        let ready = self.noise[o].ready();
        let z = v.residual / v.var.sqrt() / self.noise[o].scale();
        let jump = raw - self.lanes[o].last;
        self.lanes[o].last = raw;
        self.lanes[o].run.take(raw, i);
        if let Some(active) = self.lanes[o].active {
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
        self.noise[o].take(v.residual / v.var.sqrt());
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
        lane.accumulate(z, i);
        let since = if lane.up > CUSUM_LIMIT { Some(lane.cusum_since.0) } else { None }
            .or_else(|| (lane.down > CUSUM_LIMIT).then_some(lane.cusum_since.1))
            .or_else(|| (z.abs() > WILD).then_some(i));
        if let Some(trigger) = since {
            (lane.up, lane.down) = (0.0, 0.0);
            if lane.suspicion.is_none() {
                lane.suspicion = Some(Suspicion { trigger: trigger.max(i.saturating_sub(60)), examined: 0 });
            }
        }
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
        // What the innovations say against this run, and what the twin would have read, had it not been told.
        let misfit: f64 = (from..=i)
            .map(|k| self.history.innovation(k, o))
            .filter(|v| !v.var.is_nan())
            .map(|v| cost(v.residual / v.var.sqrt() / self.noise[o].scale()) - 0.5)
            .sum::<f64>();
        let nats = misfit / self.noise[o].dilution() + run.surprise();
        if nats < DECIDE_NATS {
            return false;
        }
        let t = self.history.sample(from).t;
        let signal = self.inputs + o;
        let ignore = Correction { signal, shape: Shape::Ignore, size: 0.0, from: t, until: SimTime::NEVER };
        let search = self.search();
        let Some(mut est) = search.state_at(from) else { return false };
        let mut all = self.corrections.clone();
        all.push(ignore);
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for k in from..=i {
            self.history.step(&mut *est, k, &all, &mut |_, _| {});
            let mean = est.expected(o).mean;
            (low, high) = (low.min(mean), high.max(mean));
        }
        if high - low < (2.0 * self.est.quantum(o)).max(3.0 * self.est.noise_std(o)) {
            return false;
        }
        self.accept(o, ignore, "stuck", from, 0.0, posterior(nats), arrived);
        true
    }

    /// A single reading that was off and came back.
    fn judge_spike(&mut self, o: usize, i: u64, arrived: SimTime) -> bool {
        let Some(k) = self.lanes[o].spike else { return false };
        if i < k + 2 {
            return false;
        }
        self.lanes[o].spike = None;
        let Some(before) = k.checked_sub(1) else { return false };
        let y = |at: u64| self.history.value(at, self.inputs + o);
        let (up, back, rest) = (y(k) - y(before), y(k) - y(k + 1), y(k + 1) - y(before));
        let least = 4.0 * self.lanes[o].step;
        if !(up * back > 0.0 && up.abs().min(back.abs()) > least && rest.abs() < 0.5 * up.abs().min(back.abs())) {
            return false;
        }
        let (from, until) = (self.history.sample(k).t, self.history.sample(k + 1).t);
        let ignore = Correction { signal: self.inputs + o, shape: Shape::Ignore, size: 0.0, from, until };
        let Some(mut est) = self.search().state_at(k) else { return false };
        let mut all = self.corrections.clone();
        all.push(ignore);
        let scale = self.noise[o].scale();
        let mut nats = 0.0;
        let mut size = 0.0;
        for at in k..=i {
            let mut spent = 0.0;
            self.history.step(&mut *est, at, &all, &mut |which, v| {
                if which == o {
                    spent = cost(v.residual / v.var.sqrt() / scale);
                }
            });
            if at == k {
                size = y(k) - est.expected(o).mean;
            }
            let v = self.history.innovation(at, o);
            if !v.var.is_nan() {
                nats += cost(v.residual / v.var.sqrt() / scale) - spent;
            }
        }
        // Two neighbours that agree with each other and not with it, each worth what the reading alone is.
        if nats < 0.5 * DECIDE_NATS {
            return false;
        }
        self.accept(o, ignore, "spike", k, size, posterior(2.0 * nats), arrived);
        let lane = &mut self.lanes[o];
        if let Some(active) = lane.active.take() {
            end_verdict(&mut self.verdicts, &mut self.news, active.verdict, until, arrived);
        }
        lane.suspicion = None;
        true
    }

    fn search(&self) -> Search<'_> {
        Search {
            history: &self.history,
            corrections: &self.corrections,
            noise: &self.noise,
            unit: &self.unit,
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
        if age < *due || self.lanes[o].run.suspect() {
            return;
        }
        // Several may have come due at once, where a run of identical values had to be waited for.
        let examined = EXAMINE.iter().filter(|a| **a <= age).count();
        self.lanes[o].suspicion = Some(Suspicion { examined, ..suspicion });
        let fits = self.hypotheses(o, i, suspicion.trigger);
        let Some(best) = fits.first().copied() else { return };
        if best.gain < 0.25 * DECIDE_NATS && age >= 30 {
            self.lanes[o].suspicion = None;
            return;
        }
        let second = fits.get(1).map_or(0.0, |f| f.gain);
        let clear = best.gain - second > MARGIN_NATS || age >= PATIENCE;
        if best.gain < DECIDE_NATS || !clear || best.shape == Shape::Disturbance {
            return;
        }
        let (kind, size) = match best.shape {
            Shape::Bias => ("bias", best.size),
            Shape::Drift => ("drift", best.size),
            Shape::Gain => ("gain", 1.0 / (1.0 - best.size).max(1e-3)),
            Shape::Noise => ("noise", best.size),
            Shape::Ignore | Shape::Disturbance => return,
        };
        let correction = Correction {
            signal: best.signal,
            shape: best.shape,
            size: best.size,
            from: self.history.sample(best.onset).t,
            until: SimTime::NEVER,
        };
        let share = 1.0 / (1.0 + (second - best.gain).exp());
        self.accept(o, correction, kind, best.onset, size, posterior(best.gain) * share, arrived);
    }

    /// All hypotheses on an output, best first.
    fn hypotheses(&self, o: usize, i: u64, trigger: u64) -> Vec<Fit> {
        let search = self.search();
        let oldest = self.history.oldest_start().max(SETTLE);
        let signal = self.inputs + o;
        let mut steps: Vec<u64> =
            STEP_BACK.iter().map(|b| trigger.saturating_sub(*b)).chain([trigger + 1, trigger + 3]).collect();
        let mut slopes: Vec<u64> = DRIFT_BACK.iter().map(|b| i.saturating_sub(*b)).collect();
        for list in [&mut steps, &mut slopes] {
            list.retain(|k| *k >= oldest && *k + 3 <= i);
            list.sort_unstable();
            list.dedup();
        }
        let mut fits: Vec<Fit> = Vec::new();
        fits.extend(search.best(Shape::Bias, signal, &steps));
        fits.extend(steps.iter().filter_map(|k| search.noise(o, *k)).max_by(|a, b| a.gain.total_cmp(&b.gain)));
        // A drift or a gain looks like a small step before it is told apart; where there is none, they are not looked for.
        let so_far = fits.iter().map(|f| f.gain).fold(0.0, f64::max);
        if so_far > 0.25 * DECIDE_NATS {
            fits.extend(search.best(Shape::Drift, signal, &slopes));
        }
        if so_far > 0.5 * DECIDE_NATS {
            fits.extend(search.best(Shape::Gain, signal, &steps).map(|f| Fit { gain: f.gain - 2.0, ..f }));
            for input in 0..self.inputs {
                fits.extend(search.best(Shape::Disturbance, input, &steps));
            }
        }
        fits.sort_by(|a, b| b.gain.total_cmp(&a.gain));
        fits
    }

    /// A hypothesis becomes the verdict: the past since its onset is gone over again, corrected.
    #[expect(clippy::too_many_arguments, reason = "the fields of a verdict")]
    fn accept(
        &mut self,
        o: usize,
        correction: Correction,
        kind: &'static str,
        onset: u64,
        size: f64,
        posterior: f64,
        arrived: SimTime,
    ) {
        let verdict = self.verdicts.len();
        let part = self.names[self.inputs + o].clone();
        self.begin(part, kind, correction.from, size, posterior, arrived);
        let at = self.corrections.len();
        self.corrections.push(correction);
        self.go_over(onset);
        let next_refit = self.history.next() + 30;
        let lane = &mut self.lanes[o];
        lane.active =
            Some(Active { verdict, correction: at, shape: correction.shape, over: 0.0, over_since: 0, next_refit });
        lane.suspicion = None;
        lane.spike = None;
        (lane.up, lane.down) = (0.0, 0.0);
    }

    /// Runs the estimator again from sample `onset` on, under what is believed now.
    fn go_over(&mut self, onset: u64) {
        let Some((mut at, mut est)) = self.history.state_before(onset) else { return };
        self.history.forget_states_after(at);
        while at < self.history.next() {
            self.history.resnap(at, &*est);
            self.scratch.fill(NONE);
            let seen = &mut self.scratch;
            self.history.step(&mut *est, at, &self.corrections, &mut |o, v| seen[o] = v);
            for o in 0..self.lanes.len() {
                let v = self.scratch[o];
                self.history.set_innovation(at, o, v);
            }
            at += 1;
        }
        self.est = est;
        for o in 0..self.lanes.len() {
            self.lanes[o].view.estimate = self.est.expected(o);
        }
    }

    /// A stuck sensor is over when it moves; that is known before its reading is taken in.
    fn end_if_moving(&mut self, o: usize, t: SimTime, arrived: SimTime, raw: f64) {
        let Some(active) = self.lanes[o].active else { return };
        if active.shape != Shape::Ignore || raw.is_nan() || raw == self.lanes[o].run.value {
            return;
        }
        self.corrections[active.correction].until = t;
        self.end(active.verdict, t, arrived);
        self.lanes[o].active = None;
        self.lanes[o].run = Run::default().after(&self.lanes[o].run);
    }

    /// Whether a verdict on values is over: the raw readings fit better than the corrected ones.
    fn watch_end(&mut self, o: usize, i: u64, mut active: Active, arrived: SimTime) {
        if active.shape == Shape::Ignore {
            return;
        }
        let c = self.corrections[active.correction];
        let v = self.history.innovation(i, o);
        let t = self.history.sample(i).t;
        let raw = self.history.value(i, self.inputs + o);
        let scale = self.noise[o].scale();
        let with = cost(v.residual / v.var.sqrt() / scale);
        let without = match c.shape {
            // Less noise: the innovation under its own variance, against that with the noise.
            Shape::Noise => {
                let own = (v.var - c.size * c.size).max(1e-12);
                cost(v.residual / own.sqrt() / scale) - 0.5 * (v.var / own).ln()
            }
            _ => cost((v.residual + c.size * c.profile(t, raw)) / v.var.sqrt() / scale),
        };
        let d = with - without;
        if d.is_finite() {
            if active.over <= 0.0 && d > 0.0 {
                active.over_since = i;
            }
            active.over = (active.over + d).max(0.0);
        }
        if active.over > 0.6 * DECIDE_NATS {
            self.finish(o, active, active.over_since, arrived);
            return;
        }
        if i >= active.next_refit {
            active.next_refit = i + 30;
            if self.refit(o, i, &active, arrived) {
                return;
            }
        }
        self.lanes[o].active = Some(active);
    }

    fn finish(&mut self, o: usize, active: Active, since: u64, arrived: SimTime) {
        let t = self.history.sample(since).t;
        self.corrections[active.correction].until = t;
        self.end(active.verdict, t, arrived);
        self.lanes[o].active = None;
        self.go_over(since);
    }

    /// With more readings the size is known better; and a slow end, which the sums above missed, shows as a step back.
    fn refit(&mut self, o: usize, i: u64, active: &Active, arrived: SimTime) -> bool {
        let c = self.corrections[active.correction];
        if c.shape == Shape::Noise {
            return false;
        }
        let onset = self.history.index_at(c.from);
        let oldest = self.history.oldest_start();
        let now = c.size * c.profile(self.history.sample(i).t, self.history.value(i, self.inputs + o));
        let search = self.search();
        let steps: Vec<u64> =
            [45u64, 30, 20, 12, 6].iter().map(|b| i.saturating_sub(*b)).filter(|k| *k > onset.max(oldest)).collect();
        let back = search.best(Shape::Bias, self.inputs + o, &steps);
        if let Some(back) = back.filter(|f| f.gain > DECIDE_NATS && (0.5..1.5).contains(&(-f.size / now))) {
            self.finish(o, *active, back.onset, arrived);
            return true;
        }
        if onset > oldest
            && let Some(more) = search.fit(c.shape, c.signal, onset)
            && more.size.abs() > more.std
        {
            self.corrections[active.correction].size += more.size;
            let size = self.corrections[active.correction].size;
            self.verdicts[active.verdict].size =
                if c.shape == Shape::Gain { 1.0 / (1.0 - size).max(1e-3) } else { size };
            self.go_over(onset);
        }
        false
    }

    fn begin(&mut self, part: String, kind: &'static str, onset: SimTime, size: f64, posterior: f64, t: SimTime) {
        let verdict = Verdict { part, kind, onset, end: None, size, posterior, decided_at: t };
        self.news.push(News { t, verdict: verdict.clone(), ended: false });
        self.verdicts.push(verdict);
    }

    fn end(&mut self, verdict: usize, end: SimTime, t: SimTime) {
        end_verdict(&mut self.verdicts, &mut self.news, verdict, end, t);
    }

    /// Simulated time has come to `now`: tells whether the silence became, or is, a verdict.
    pub fn wait(&mut self, now: SimTime) -> bool {
        if self.device_silent.is_none() && self.rhythm.overdue(now) {
            let (onset, posterior) = (self.rhythm.due(), self.rhythm.posterior(now));
            self.device_silent = Some(self.verdicts.len());
            self.begin(String::new(), "dropout", onset, 0.0, posterior, now);
            return true;
        }
        false
    }

    /// The broker says that the device is gone (`false`) or back: silence while it is gone is no fault of its stream.
    pub fn presence(&mut self, t: SimTime, here: bool) {
        if here {
            return;
        }
        if let Some(v) = self.device_silent.take() {
            self.end(v, t, t);
        }
        self.rhythm.pause();
        self.rhythms.iter_mut().for_each(Rhythm::pause);
    }

    /// The device's clock was set to a time before its last reading.
    pub fn clock_set(&mut self, t: SimTime) {
        self.clock.set();
        if let Some(v) = self.clock_verdict.take() {
            self.end(v, t, t);
        }
        self.last_t = None;
        // The samples' times would not ascend: hypotheses start anew.
        self.history = History::new(self.inputs, self.lanes.len());
        self.corrections.retain(|c| c.until == SimTime::NEVER);
        for lane in &mut self.lanes {
            lane.suspicion = None;
            lane.spike = None;
            lane.run = Run::default().after(&lane.run);
            if let Some(a) = lane.active.take() {
                end_verdict(&mut self.verdicts, &mut self.news, a.verdict, t, t);
            }
        }
        self.corrections.clear();
    }

    /// Whether a verdict on a signal (inputs first, then outputs) holds.
    pub fn holds(&self, signal: usize) -> bool {
        self.silent.get(signal).is_some_and(Option::is_some)
            || signal.checked_sub(self.inputs).is_some_and(|o| self.lanes[o].active.is_some())
    }

    /// Whether a verdict on the device as a whole holds.
    pub fn device_holds(&self) -> bool {
        self.device_silent.is_some() || self.clock_verdict.is_some()
    }

    /// Whether the device's clock runs wrong.
    pub fn clock_wrong(&self) -> bool {
        self.clock.skewed()
    }

    /// Median time between messages.
    pub fn period(&self) -> Span {
        self.rhythm.period()
    }

    /// What the twin makes of an output.
    pub fn view(&self, output: usize) -> View {
        self.lanes[output].view
    }

    /// The estimator, as it follows.
    pub fn estimator(&self) -> &dyn Estimator {
        &*self.est
    }

    /// All verdicts, oldest first.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What began or ended since the last call.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = self.est.state_bytes();
        for n in &self.noise {
            n.state_bytes(&mut bytes);
        }
        for v in &self.verdicts {
            bytes.extend_from_slice(v.kind.as_bytes());
            bytes.extend_from_slice(&v.onset.0.to_le_bytes());
            bytes.extend_from_slice(&v.end.map_or(-1, |t| t.0).to_le_bytes());
            bytes.extend_from_slice(&v.size.to_bits().to_le_bytes());
        }
        bytes
    }
}

impl Lane {
    /// Two one-sided cumulative sums (Page, *Continuous Inspection Schemes*, Biometrika 41, 1954).
    fn accumulate(&mut self, z: f64, i: u64) {
        let z = z.clamp(-3.0, 3.0);
        if self.up <= 0.0 {
            self.cusum_since.0 = i;
        }
        if self.down <= 0.0 {
            self.cusum_since.1 = i;
        }
        self.up = (self.up + z - CUSUM_SLACK).max(0.0);
        self.down = (self.down - z - CUSUM_SLACK).max(0.0);
    }
}

fn end_verdict(verdicts: &mut [Verdict], news: &mut Vec<News>, at: usize, end: SimTime, t: SimTime) {
    if let Some(v) = verdicts.get_mut(at) {
        v.end = Some(end);
        news.push(News { t, verdict: v.clone(), ended: true });
    }
}

/// Posterior of a hypothesis that gained so many nats, with prior odds of a fault of 1 to 10,000 a reading examined.
fn posterior(nats: f64) -> f64 {
    1.0 / (1.0 + 1e4 * (-nats).exp())
}
