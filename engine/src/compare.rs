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
//! that the stream had; a spike or a bias when it is several standard deviations of an innovation, a gain when besides the
//! reading has moved by a quarter of itself; a drift once rate · time exceeds what the model cannot foresee over that time (a
//! filter with loose noise, or one that is still learning its parameters, takes it for the world's doing); a skew after
//! `6 s / κ` (see [`rhythm::DeviceClock`]; a slow one up to a minute later at 1 Hz); silence after eight periods or three times the longest interval seen
//! (before twenty messages, as [`rhythm`] says).
//!
//! An input is named where it sticks, standing still for longer than it is used to while the outputs say that it should
//! have moved; and where it is off by a constant, if it jumped when that began, the model is far better for it, it could have been
//! what it then was, and no drift of the output that is too young to be named would explain as much. At the end
//! of its range an input that is off says nothing; one that drifts is believed, and the output that it no longer explains
//! is accused.
//!
//! What leaps while a stream is new (two hundred and forty readings) may as well be the end of what was wrong from the start:
//! the twin begins anew there, and nothing is named ([`anew`]). Within a fault that has a size, one that has none (stuck,
//! a spike) is named too; a second one that has a size is not, before the first is over.
//!
//! A jump may be the beginning of one fault or the end of another that was not noticed: where the time before it speaks for
//! that, the verdict is on the past and over at once; where it is undecided, there is none.
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
//! for k in 0..400 {
//!     let t = SimTime(k * 1_000_000_000);
//!     let wobble = if k % 2 == 0 { 0.08 } else { -0.08 };
//!     let bias = if k >= 350 { 2.0 } else { 0.0 };
//!     judge.take(&Reading { t, arrived: t, inputs: &[], outputs: &[20.0 + wobble + bias] });
//! }
//! let verdict = &judge.verdicts()[0];
//! assert_eq!((verdict.kind, verdict.part.as_str()), ("bias", "probe.temperature"));
//! assert_eq!(verdict.onset, SimTime(350_000_000_000));
//! ```

mod anew;
mod device;
mod glr;
mod history;
mod input;
mod lane;
mod layout;
pub mod noise;
mod onward;
mod rename;
pub mod rhythm;
mod run;
mod shared;
mod signature;
mod strip;
mod suspect;
#[cfg(test)]
mod tests;
mod tuning;
mod verdict;

pub use self::lane::WILD;
use self::{
    device::Pulse,
    history::{Correction, History, NONE, Sample, Shape, Trace, corrected},
    input::InputFault,
    lane::Lane,
    layout::MAX_INPUTS,
    noise::Calibration,
    rhythm::{DeviceClock, Rhythm},
    run::Run,
};
use crate::{
    predict::{Estimator, Gaussian, Innovation},
    time::{SimTime, Span},
};
use std::{cell::Cell, sync::Arc};

pub(crate) use self::layout::Layout;

/// Log-likelihood that a hypothesis must gain over "nothing happened", [nat].
pub const DECIDE_NATS: f64 = 14.0;
/// … and over the next best kind, unless that has had 45 readings to tell itself apart, [nat].
pub const MARGIN_NATS: f64 = 3.0;

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
    /// The residual in standard deviations, as this stream's own past has shown them ([`noise::Calibration::scale`]): beyond
    /// [`WILD`] it is looked into.
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

/// What an examination found at one time: hypotheses and how likely they were, for a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Posterior {
    /// When.
    pub t: SimTime,
    /// Hypothesis and its probability.
    pub of: Vec<(String, f64)>,
}

/// Examinations that are kept of one judge, at most.
const MOST_POSTERIORS: usize = 20_000;

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

/// An input before its first reading: as it stays where it is never told, or not known.
fn untold(stays: Option<f64>) -> (f64, SimTime) {
    // As from a time that no reading's comes near to, yet whose difference to each is one.
    stays.map_or((f64::NAN, SimTime::ZERO), |value| (value, SimTime(i64::MAX / 2)))
}

/// The twin as it would be without the readings of an output that has just leapt: until these are believed or named, what is
/// to come is forecast from here.
struct Aside {
    est: Box<dyn Estimator>,
    output: usize,
    trigger: u64,
    doubt: Correction,
}

/// Follows one physical and says what is wrong with it.
pub struct Judge {
    est: Box<dyn Estimator>,
    aside: Option<Box<Aside>>,
    history: History,
    corrections: Vec<Correction>,
    noise: Vec<Calibration>,
    lanes: Vec<Lane>,
    rhythm: Rhythm,
    /// Of each signal: when it comes, and whether it has fallen silent.
    pulses: Vec<Pulse>,
    device_silent: Option<u32>,
    clock: DeviceClock,
    clock_verdict: Option<u32>,
    held: Vec<(f64, SimTime)>,
    /// Of each input: the run of identical values in progress, and what is wrong with it.
    input_runs: Vec<Run>,
    input_faults: Vec<Option<InputFault>>,
    last_t: Option<SimTime>,
    verdicts: Vec<Verdict>,
    news: Vec<News>,
    /// What examinations found, where that is kept.
    examined: Option<Vec<Posterior>>,
    /// Whether it has followed the device under another network before: then its stream is not new.
    seasoned: bool,
    /// Among many that began together, after how many samples it is its turn to tune itself.
    turn: u64,
}

/// What a sample tells on its way through the estimator: kept by the thread, since no twin needs it for longer.
#[derive(Default)]
struct Passing {
    seen: Vec<Innovation>,
    trace: Trace,
}

thread_local! {
    static PASSING: Cell<Option<Box<Passing>>> = const { Cell::new(None) };
}

impl Passing {
    /// Carries an estimator over sample `i`, and keeps what was expected and how deviations pass; what each output was off by.
    fn carry(
        &mut self,
        history: &mut History,
        est: &mut dyn Estimator,
        i: u64,
        corrections: &[Correction],
    ) -> &[Innovation] {
        self.seen.clear();
        self.seen.resize(history.layout.outputs, NONE);
        let Self { seen, trace } = self;
        history.step_traced(est, i, corrections, &mut |o, v| seen[o] = v, trace);
        history.set_trace(i, trace);
        for (o, v) in seen.iter().enumerate() {
            history.set_innovation(i, o, *v);
        }
        seen
    }
}

impl Judge {
    /// A judge that follows with this estimator. Inputs beyond the sixteenth count as unknown.
    pub fn new(est: Box<dyn Estimator>) -> Self {
        Self::like(est, None)
    }

    /// The same, which shares what it can with a judge before it.
    pub(crate) fn like(est: Box<dyn Estimator>, before: Option<&Arc<Layout>>) -> Self {
        let layout = Layout::shared(&*est, before);
        let lanes = (0..layout.outputs).map(|o| Lane::new(layout.unit[layout.inputs + o], est.expected(o)));
        Self {
            corrections: Vec::new(),
            noise: vec![Calibration::default(); layout.outputs],
            lanes: lanes.collect(),
            rhythm: Rhythm::default(),
            pulses: layout.names.iter().map(|_| Pulse::default()).collect(),
            device_silent: None,
            clock: DeviceClock::default(),
            clock_verdict: None,
            held: (0..layout.inputs).map(|k| untold(est.untold(k))).collect(),
            input_runs: vec![Run::default(); layout.inputs],
            input_faults: vec![None; layout.inputs],
            last_t: None,
            verdicts: Vec::new(),
            news: Vec::new(),
            examined: None,
            seasoned: false,
            turn: 0,
            history: History::new(layout, est.restless()),
            est,
            aside: None,
        }
    }

    /// The same, keeping what its examinations find, for [`Self::take_posteriors`].
    #[must_use]
    pub fn keeping_posteriors(self) -> Self {
        Self { examined: Some(Vec::new()), ..self }
    }

    /// What examinations found since this was last asked; empty unless it is kept.
    pub fn take_posteriors(&mut self) -> Vec<Posterior> {
        self.examined.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// How its signals are laid out, for other twins of the same model.
    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.history.layout
    }

    /// `part.quantity` of its signals: inputs first, then outputs.
    pub fn names(&self) -> &[String] {
        &self.history.layout.names
    }

    /// How many of its signals are inputs.
    fn inputs(&self) -> usize {
        self.history.layout.inputs
    }

    /// Begins to remember anew.
    fn forget_history(&mut self) -> History {
        let fresh = History::new(Arc::clone(self.layout()), self.est.restless());
        std::mem::replace(&mut self.history, fresh)
    }

    /// Takes a reading in. Times of readings must ascend; equal times are parts of one reading.
    pub fn take(&mut self, r: &Reading<'_>) {
        self.hear(r);
        let i = self.history.next();
        let sample = self.sample(r);
        let inputs = self.hold_inputs(r);
        self.watch_inputs(i, r);
        for o in 0..r.outputs.len() {
            self.end_if_moving(o, r.t, r.arrived, r.outputs[o]);
        }
        self.history.push(sample, &inputs[..self.inputs()], r.outputs, &*self.est);
        self.follow(i);
        if self.leapt_while_new(i) {
            return;
        }
        let judged = if self.est.knows_the_world() { r.outputs.len() } else { 0 };
        for o in 0..judged {
            if !r.outputs[o].is_nan() {
                self.look(o, i, r.outputs[o], r.arrived);
                let lane = &mut self.lanes[o];
                let doubted = lane.spike.is_some() || lane.suspicion.is_some();
                lane.doubted = if doubted { lane.doubted + 1 } else { 0 };
            }
        }
        self.tune(i);
        self.keep_aside(i);
        let oldest = self.history.oldest_start();
        let horizon = if oldest < i { self.history.sample(oldest).t } else { SimTime(i64::MIN) };
        if self.lanes.iter().all(|l| l.active.is_none()) && self.input_faults.iter().all(Option::is_none) {
            self.corrections.retain(|c| c.until > horizon);
        }
    }

    /// Carries the twin without the readings in doubt over sample `i`, sets it up where an output has leapt, and lets it go
    /// once the doubt is over or too old.
    fn keep_aside(&mut self, i: u64) {
        self.aside = self.aside.take().filter(|a| {
            let lane = &self.lanes[a.output];
            lane.active.is_none()
                && lane.suspicion.is_some_and(|s| s.trigger == a.trigger)
                && i - a.trigger < lane::YOUNG
        });
        if self.aside.is_none() {
            let leapt = |l: &Lane| l.active.is_none() && l.suspicion.is_some_and(|s| s.trigger == i);
            let Some(output) = self.lanes.iter().position(leapt) else { return };
            let Some(est) = self.search(output).state_at(i) else { return };
            let doubt = Correction {
                signal: self.inputs() + output,
                shape: Shape::Ignore,
                size: 0.0,
                from: self.history.sample(i).t,
                until: SimTime::NEVER,
            };
            self.aside = Some(Box::new(Aside { est, output, trigger: i, doubt }));
        }
        if let Some(aside) = &mut self.aside {
            self.corrections.push(aside.doubt);
            self.history.step(&mut *aside.est, i, &self.corrections, &mut |_, _| {});
            self.corrections.pop();
        }
    }

    /// The estimator to forecast with: without the readings of an output that has just leapt, while these are in doubt.
    pub fn to_forecast(&self) -> &dyn Estimator {
        self.aside.as_ref().map_or(&*self.est, |a| &*a.est)
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
        for (k, value) in r.inputs.iter().take(self.inputs()).enumerate() {
            let patience = Span(self.rhythm_of(k).period().0.saturating_mul(3));
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
        let mut passing = PASSING.take().unwrap_or_default();
        let seen = passing.carry(&mut self.history, &mut *self.est, i, &self.corrections);
        let t = self.history.time(i);
        for (o, v) in seen.iter().enumerate().take(self.lanes.len()) {
            let raw = self.history.value(i, self.inputs() + o);
            let g = self.est.expected(o);
            let (inputs, lane) = (self.inputs(), &mut self.lanes[o]);
            lane.view.estimate = g;
            if raw.is_nan() {
                continue;
            }
            let (residual, var) = match corrected(&self.corrections, inputs + o, t, raw) {
                Some(value) => (v.residual + raw - value, v.var),
                None => (raw - g.mean, g.var),
            };
            lane.view.residual = residual;
            lane.view.whitened = residual / var.sqrt() / self.noise[o].scale();
        }
        PASSING.set(Some(passing));
    }

    /// Whether a verdict on a signal (inputs first, then outputs) holds.
    pub fn holds(&self, signal: usize) -> bool {
        self.pulses.get(signal).is_some_and(|p| p.silent.is_some())
            || self.input_faults.get(signal).is_some_and(Option::is_some)
            || signal.checked_sub(self.inputs()).is_some_and(|o| self.lanes[o].active.is_some())
    }

    /// Whether something about an output is being looked into, so that its last readings may yet fall under a verdict.
    pub fn in_doubt(&self, output: usize) -> bool {
        (1..=lane::DOUBT).contains(&self.lanes[output].doubted)
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

    /// What began or ended since [`Self::news`] was last called.
    pub fn fresh(&self) -> &[News] {
        &self.news
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
