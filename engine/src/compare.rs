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
//! `6 s / κ` (see [`rhythm::DeviceClock`]); silence after eight periods or three times the longest interval seen.
//!
//! An input is named where it sticks, standing still for longer than it is used to while the outputs say that it should
//! have moved; and where it is off by a constant, if it jumped when that began and the model is far better for it. At the end
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
pub mod noise;
mod rename;
pub mod rhythm;
mod run;
mod shared;
mod signature;
mod suspect;
#[cfg(test)]
mod tests;
mod tuning;
mod verdict;

pub use self::lane::WILD;
use self::{
    history::{Correction, History, MAX_INPUTS, NONE, Sample, Shape, Trace, corrected},
    input::InputFault,
    lane::{Cusum, Lane},
    noise::Calibration,
    rhythm::{DeviceClock, Rhythm},
    run::Run,
};
use crate::{
    predict::{Estimator, Gaussian, Innovation},
    time::{SimTime, Span},
};

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
    aside: Option<Aside>,
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
    /// Of each input: the run of identical values in progress, and what is wrong with it.
    input_runs: Vec<Run>,
    input_faults: Vec<Option<InputFault>>,
    last_t: Option<SimTime>,
    unit: Vec<f64>,
    verdicts: Vec<Verdict>,
    news: Vec<News>,
    scratch: Vec<Innovation>,
    trace: Trace,
    /// What examinations found, where that is kept.
    examined: Option<Vec<Posterior>>,
    /// Among many that began together, after how many samples it is its turn to tune itself.
    turn: u64,
}

impl Judge {
    /// A judge that follows with this estimator. Inputs beyond the sixteenth count as unknown.
    pub fn new(est: Box<dyn Estimator>) -> Self {
        let (inputs, outputs) = (est.inputs().len().min(MAX_INPUTS), est.outputs().len());
        let names: Vec<String> = est.inputs().iter().take(inputs).chain(est.outputs()).cloned().collect();
        let noise_floor = |o: usize| (est.noise_std(o).powi(2) + est.quantum(o).powi(2) / 12.0).sqrt();
        let lane = |o: usize| Lane {
            run: Run::default(),
            sums: [Cusum::new(0.25, 12.0), Cusum::new(0.1, 36.0), Cusum::new(0.05, 60.0)],
            suspicion: None,
            spike: None,
            active: None,
            doubted: 0,
            step: noise_floor(o).max(1e-9),
            last: f64::NAN,
            view: View { estimate: est.expected(o), residual: 0.0, whitened: 0.0 },
        };
        let mut unit = vec![1.0; inputs];
        unit.extend((0..outputs).map(|o| noise_floor(o).max(1e-9)));
        Self {
            history: History::new(&*est),
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
            input_runs: vec![Run::default(); inputs],
            input_faults: vec![None; inputs],
            last_t: None,
            unit,
            verdicts: Vec::new(),
            news: Vec::new(),
            scratch: vec![NONE; outputs],
            trace: Trace::default(),
            examined: None,
            turn: 0,
            inputs,
            names,
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
        self.history.push(sample, &inputs[..self.inputs], r.outputs, &*self.est);
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
                signal: self.inputs + output,
                shape: Shape::Ignore,
                size: 0.0,
                from: self.history.sample(i).t,
                until: SimTime::NEVER,
            };
            self.aside = Some(Aside { est, output, trigger: i, doubt });
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
        let tell = &mut |o: usize, v| seen[o] = v;
        self.history.step_traced(&mut *self.est, i, &self.corrections, tell, &mut self.trace);
        self.history.set_trace(i, &self.trace);
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
            lane.view.whitened = residual / var.sqrt() / self.noise[o].scale();
        }
    }

    /// Whether a verdict on a signal (inputs first, then outputs) holds.
    pub fn holds(&self, signal: usize) -> bool {
        self.silent.get(signal).is_some_and(Option::is_some)
            || self.input_faults.get(signal).is_some_and(Option::is_some)
            || signal.checked_sub(self.inputs).is_some_and(|o| self.lanes[o].active.is_some())
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
