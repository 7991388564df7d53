//! What happened to the thing itself: a lid was opened, a fan is blocked, something was put in.
//!
//! Each event that a thing's dynamics name is a competing twin: the filter's state from just before a supposed onset, under a
//! network whose parameter became another, of unknown size, which the filter then learns. Its likelihood since the onset is held
//! against "nothing happened", against each sensor being off by itself (the others then agree with the twin that does not
//! look at it), against a single wild reading, against an input that is wrong or does other than the model says ([`inputs`]),
//! and against "something that has no name here": states that move as they like. Priors are the events' own rates. Where the last
//! of these wins, the verdict is `unknown`.
//!
//! Likelihoods are heavy-tailed and diluted as those of [`crate::compare`] are, so that a model that is a little wrong does not
//! see lids everywhere.

mod hypotheses;
mod inputs;

use self::inputs::{Habit, Wrong};
use super::shift::Shift;
use crate::{
    compare::{Posterior, Reading, Verdict, noise::Calibration},
    dynamics::definition::{BecomesDef, DynamicsDef, HappeningDef, PriorDef},
    predict::{Estimator, Innovation, kalman::Filter},
    time::{SimTime, Span},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Rows that are remembered, with the filter's state after each.
const ROWS: usize = 256;
/// Ages of a suspicion, in rows, at which it is examined.
const EXAMINE: [u64; 14] = [1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 60, 90, 130];
/// How far before the suspicious row an event may have begun, in rows.
const BACK: [u64; 9] = [0, 1, 2, 3, 5, 8, 13, 21, 34];
/// By what a verdict must be ahead of nothing, and of every other hypothesis, [nat].
const DECIDE_NATS: f64 = 4.0;
const MARGIN_NATS: f64 = 2.0;
/// From this age on the likelier of two events is named, though the other is near.
const PATIENCE: u64 = 60;
/// Onsets whose likelihoods differ by less are not told apart, [nat].
const ALIKE_NATS: f64 = 0.1;
/// Age before which what has no name is not called so.
const UNKNOWN_AGE: u64 = 28;
/// Prior of a sensor's fault and of a single wild reading within a minute, and of something without a name, [nat].
const SENSOR_NATS: f64 = -10.0;
const SPIKE_NATS: f64 = -8.0;
const UNKNOWN_NATS: f64 = -14.0;
/// What a growing offset costs beside a constant one, [nat].
const SLOPE_NATS: f64 = 3.0;
/// Shortly after an event has ended, within a row or two of when it did, it takes so much more to name one, [nat].
const AGAIN_NATS: f64 = 8.0;
/// Prior that an event ends within a minute, [nat].
const END_NATS: f64 = -3.0;
/// How much more the states move when what happens has no name.
const LOOSE: f64 = 30.0;
/// Standard deviation of a sensor's offset, in its own noise.
const OFFSET_NOISES: f64 = 30.0;
/// Share of an event's typical size (in its space) below which it is not named, and below which it is over.
const LEAST_SHARE: f64 = 0.3;
const OVER_SHARE: f64 = 0.15;
/// How many times, and how many times its typical size, is no event of the kind: a unit is wrong, or it has no name.
const MOST_TIMES: f64 = 1e3;
const MOST_SHARE: f64 = 20.0;
/// Verdict on what no hypothesis explains.
pub const UNKNOWN: &str = "unknown";

/// One event as a network of its own.
#[derive(Clone, Debug)]
struct Event {
    happening: HappeningDef,
    def: DynamicsDef,
    nominal: f64,
    nats: f64,
    /// The input that is off, where nothing happened to the thing.
    input: Option<(usize, Wrong)>,
}

impl Event {
    fn new(def: &DynamicsDef, happening: &HappeningDef) -> Self {
        let mut changed = def.clone();
        let mut nominal = 0.0;
        if let Some(p) = changed.parameters.get_mut(&happening.parameter) {
            nominal = p.value;
            (p.value, p.prior) = match happening.becomes {
                BecomesDef::Times(factor, spread) => (p.value * factor, PriorDef::Log(spread)),
                BecomesDef::Plus(term, spread) => (p.value + term, PriorDef::Linear(spread)),
            };
            // A size is learnt once; a parameter that drifts would follow the world.
            p.drift_per_h = 0.0;
            if matches!(happening.becomes, BecomesDef::Times(..)) {
                p.bounds = (p.bounds.0.min(1e-3 * p.value).max(0.0), p.bounds.1.max(1e3 * p.value));
            } else {
                p.bounds = (f64::NEG_INFINITY, f64::INFINITY);
            }
        }
        let nats = (happening.per_day * 60.0 / 86_400.0).ln().min(0.0);
        Self { happening: happening.clone(), def: changed, nominal, nats, input: None }
    }

    /// Size as a verdict tells it, and as a share of the typical one.
    fn size(&self, value: f64) -> (f64, f64) {
        match self.happening.becomes {
            // What it says is above what is true by what the twin has to take off.
            BecomesDef::Plus(term, _) if self.input.is_some() => (-value, value / term),
            BecomesDef::Times(factor, _) => {
                let times = value / self.nominal;
                (times, times.max(1e-12).ln() / factor.ln())
            }
            BecomesDef::Plus(term, _) => (value - self.nominal, (value - self.nominal) / term),
        }
    }

    /// Whether it can be so large. What falls to nothing may; of one whose typical size is none there are no shares.
    fn is_possible(&self, size: f64, share: f64) -> bool {
        size.is_finite()
            && match self.happening.becomes {
                BecomesDef::Times(factor, _) => size <= MOST_TIMES * factor.max(1.0),
                BecomesDef::Plus(..) => !share.is_finite() || share.abs() <= MOST_SHARE,
            }
    }
}

#[derive(Clone, Debug)]
struct Row {
    t: SimTime,
    dt: Span,
    /// Length of a part of `dt` before which the inputs are not known.
    unknown: Span,
    inputs: Vec<Option<f64>>,
    outputs: Vec<f64>,
    innovations: Vec<Innovation>,
    after: Filter,
}

/// An event that holds.
#[derive(Clone, Debug)]
struct Active {
    event: Arc<Event>,
    verdict: usize,
    /// Row at which it began.
    onset: u64,
}

/// What is known of a thing beforehand, shared by all that watch one like it.
#[derive(Debug)]
struct Known {
    def: DynamicsDef,
    /// The same network, whose states move as they like.
    loose: DynamicsDef,
    covariates: BTreeMap<String, f64>,
    events: Vec<Arc<Event>>,
}

/// Watches one thing. A copy made before the first reading watches another one like it.
#[derive(Clone, Debug)]
pub struct World {
    known: Arc<Known>,
    current: Filter,
    rows: VecDeque<Row>,
    next: u64,
    last_t: Option<SimTime>,
    /// When the last reading arrived.
    arrived: SimTime,
    scale: Vec<Calibration>,
    shift: Shift,
    suspicion: Option<(u64, usize)>,
    /// Whether an event explains what is suspected, and only another one is near: then more is waited for.
    contested: bool,
    active: Option<Active>,
    ignored: Vec<bool>,
    /// Of each input.
    habits: Vec<Habit>,
    verdicts: Vec<Verdict>,
    last_end: SimTime,
    /// Row after which the last event was found to be over.
    ended: Option<u64>,
    /// What examinations found, where that is kept.
    posteriors: Option<Vec<Posterior>>,
}

const NONE: Innovation = Innovation { residual: f64::NAN, var: f64::NAN };

impl World {
    /// Watches with this filter, which follows `def`.
    pub fn new(def: &DynamicsDef, covariates: &BTreeMap<String, f64>, filter: Filter) -> Self {
        let outputs = def.outputs.len();
        let mut loose = def.clone();
        for s in &mut loose.storages {
            s.noise_k_per_sqrt_s = (s.noise_k_per_sqrt_s * LOOSE).max(1e-3);
        }
        let events = def.events.iter().map(|h| Arc::new(Event::new(def, h))).collect();
        Self {
            known: Arc::new(Known { def: def.clone(), loose, covariates: covariates.clone(), events }),
            current: filter,
            rows: VecDeque::new(),
            next: 0,
            last_t: None,
            arrived: SimTime::ZERO,
            scale: vec![Calibration::default(); outputs],
            shift: Shift::new(outputs),
            suspicion: None,
            contested: false,
            active: None,
            ignored: vec![false; outputs],
            habits: vec![Habit::default(); def.inputs.len()],
            verdicts: Vec::new(),
            last_end: SimTime(i64::MIN / 2),
            ended: None,
            posteriors: None,
        }
    }

    /// The same, keeping what its examinations find, for [`Self::posteriors`].
    #[must_use]
    pub fn keeping_posteriors(self) -> Self {
        Self { posteriors: Some(Vec::new()), ..self }
    }

    /// The filter as it follows now.
    pub fn filter(&self) -> &Filter {
        &self.current
    }

    /// All verdicts, oldest first.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What examinations found; empty unless it is kept.
    pub fn posteriors(&self) -> &[Posterior] {
        self.posteriors.as_deref().unwrap_or_default()
    }

    /// Whether an event holds.
    pub fn holds(&self) -> bool {
        self.active.is_some()
    }

    /// The device's clock was set back: times of rows would not ascend, and hypotheses start anew.
    pub fn clock_set(&mut self) {
        self.rows.clear();
        self.last_t = None;
        self.suspicion = None;
        self.last_end = SimTime(i64::MIN / 2);
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = self.current.state_bytes();
        self.scale.iter().for_each(|s| s.state_bytes(&mut bytes));
        bytes.extend_from_slice(&self.next.to_le_bytes());
        bytes
    }

    /// Whether an event holds, or was over so recently that its traces are still there.
    pub fn is_busy(&self, now: SimTime, patience: Span) -> bool {
        self.active.is_some() || now - self.last_end < patience
    }

    /// Whether something is looked into.
    pub fn in_doubt(&self) -> bool {
        self.suspicion.is_some_and(|(trigger, _)| self.next - trigger < PATIENCE)
    }

    /// From a time on an output is not to be believed (or is again): a sensor's fault was named.
    pub fn ignore(&mut self, output: usize, since: Option<SimTime>) {
        self.ignored[output] = since.is_some();
        let Some(since) = since else { return };
        let Some(at) = self.rows.iter().position(|r| r.t >= since) else { return };
        for row in self.rows.iter_mut().skip(at) {
            row.outputs[output] = f64::NAN;
        }
        // Where it has been wrong for longer than is remembered, all but the first row is gone over.
        let from = at.max(1);
        let start = self.rows[from - 1].after.clone();
        self.go_over(from, start);
        self.suspicion = None;
    }

    /// Takes a reading in; over the first part of the time since the one before it, `unknown` long, nobody knows the inputs.
    /// Returns whether a verdict began or ended.
    pub fn take(&mut self, r: &Reading<'_>, unknown: Span) -> bool {
        let dt = self.last_t.map_or(Span::ZERO, |last| Span((r.t - last).0.max(0)));
        self.last_t = Some(r.t);
        self.arrived = r.arrived;
        let unknown = unknown.min(dt);
        let inputs: Vec<Option<f64>> = r.inputs.iter().map(|v| Some(*v).filter(|v| v.is_finite())).collect();
        let mut outputs = r.outputs.to_vec();
        for (value, ignored) in outputs.iter_mut().zip(&self.ignored) {
            if *ignored {
                *value = f64::NAN;
            }
        }
        let mut innovations = vec![NONE; outputs.len()];
        carry(&mut self.current, (dt, unknown), &inputs);
        update(&mut self.current, &outputs, &mut |o, v| innovations[o] = v);
        let z: Vec<f64> =
            innovations.iter().zip(&self.scale).map(|(v, s)| v.whitened() / s.scale()).collect();
        self.habits.iter_mut().zip(&inputs).for_each(|(habit, value)| habit.take(*value));
        let after = self.current.clone();
        self.rows.push_back(Row { t: r.t, dt, unknown, inputs, outputs, innovations, after });
        if self.rows.len() > ROWS {
            self.rows.pop_front();
        }
        let i = self.next;
        self.next += 1;
        let settled = self.scale.iter().zip(&z).all(|(s, z)| s.ready() || z.is_nan());
        let wild = self.shift.take(&z) && settled;
        let contested = self.contested;
        let stale = |(trigger, _): (u64, usize)| i - trigger > if contested { PATIENCE } else { EXAMINE[6] };
        if wild && self.suspicion.is_none_or(stale) {
            self.suspicion = Some((i, 0));
            self.contested = false;
        }
        if self.suspicion.is_none() && self.active.is_none() {
            for (scale, v) in self.scale.iter_mut().zip(&self.rows[self.rows.len() - 1].innovations) {
                scale.take(v.whitened());
            }
        }
        if self.active.is_some() { self.examine_end(i) } else { self.examine(i) }
    }

    /// Number of the oldest row in memory.
    fn first(&self) -> u64 {
        self.next - self.rows.len() as u64
    }

    /// Whether the suspicion is of an age at which it is looked at; one that is too old is dropped.
    fn due(&mut self, i: u64) -> Option<u64> {
        let (trigger, examined) = self.suspicion?;
        let Some(age) = EXAMINE.get(examined) else {
            self.suspicion = None;
            return None;
        };
        if i - trigger < *age {
            return None;
        }
        self.suspicion = Some((trigger, examined + 1));
        Some(trigger)
    }

    fn examine(&mut self, i: u64) -> bool {
        let Some(trigger) = self.due(i) else { return false };
        let onsets: Vec<u64> =
            BACK.iter().filter_map(|b| trigger.checked_sub(*b)).filter(|k| *k > self.first()).collect();
        let mut found: Vec<Found> = Vec::new();
        for onset in &onsets {
            for e in 0..self.known.events.len() {
                found.extend(self.event_since(e, *onset));
            }
            found.extend((0..self.ignored.len()).filter_map(|o| self.sensor_since(o, *onset)));
            found.extend(self.unknown_since(*onset));
        }
        found.extend((0..self.ignored.len()).filter_map(|o| self.spike_at(o, trigger)));
        found.extend(self.of_inputs(trigger));
        found.sort_by(|a, b| b.nats.total_cmp(&a.nats));
        self.remember(&found);
        let Some(best) = found.first().cloned() else { return false };
        let rival = found.iter().find(|f| f.what != best.what).map_or(0.0, |f| f.nats.max(0.0));
        let other = found
            .iter()
            .find(|f| f.what != best.what && !matches!(f.what, What::Event(_)))
            .map_or(0.0, |f| f.nats.max(0.0));
        let age = i - trigger;
        let margin = if age >= PATIENCE { best.nats - other } else { best.nats - rival };
        let again = self.ended.is_some_and(|ended| trigger < ended + PATIENCE);
        let enough = if again { DECIDE_NATS + AGAIN_NATS } else { DECIDE_NATS };
        let by_event = best.nats >= DECIDE_NATS && best.nats - other >= MARGIN_NATS;
        self.contested = by_event && matches!(best.what, What::Event(_));
        if best.nats < enough || margin < MARGIN_NATS {
            return false;
        }
        match best.what {
            What::Event(_) | What::Input(_, Wrong::Off) if best.share > LEAST_SHARE => {
                self.begin(&self.refined(best, &onsets), margin);
                true
            }
            What::Unknown if age >= UNKNOWN_AGE => {
                let at = self.row(best.onset).t;
                self.tell(UNKNOWN, "", at, 0.0, margin);
                if let Some(v) = self.verdicts.last_mut() {
                    v.end = self.last_t;
                }
                self.last_end = self.last_t.unwrap_or(at);
                self.suspicion = None;
                true
            }
            _ => false,
        }
    }

    /// Whether an event explains what the sensor of an output is accused of, or (None) that of an input; then it is the verdict.
    pub fn explains(&mut self, output: Option<usize>, since: SimTime) -> bool {
        if self.active.is_some() {
            return true;
        }
        let Some(at) = self.rows.iter().position(|r| r.t >= since) else { return false };
        let at = self.first() + at as u64;
        let near = BACK.iter().flat_map(|b| [at.saturating_sub(*b), at + *b]);
        let onsets: Vec<u64> = near.filter(|k| *k > self.first() && *k + 3 < self.next).collect();
        let events = onsets.iter().flat_map(|k| (0..self.known.events.len()).map(move |e| (e, *k)));
        let mut found: Vec<Found> = events.filter_map(|(e, k)| self.event_since(e, k)).collect();
        let trigger = (at + BACK[BACK.len() - 1]).min(self.next - 1);
        found.extend(self.of_inputs(trigger));
        found.retain(|f| f.share > LEAST_SHARE || f.what.is_of_input());
        found.sort_by(|a, b| b.nats.total_cmp(&a.nats));
        let accused = onsets.iter().filter_map(|k| self.sensor_since(output?, *k));
        let sensor = accused.map(|f| f.nats).fold(0.0, f64::max);
        let Some(best) = found.first().cloned() else { return false };
        let named = match best.what {
            What::Event(_) => true,
            What::Input(_, wrong) => wrong != Wrong::Response && output.is_some() && best.share > LEAST_SHARE,
            _ => false,
        };
        // Which of two events it was is told by the likelier, whether it was one has to be clear.
        let rival =
            found.iter().find(|f| f.what != best.what && (f.what.is_of_input() || best.what.is_of_input()));
        let margin = best.nats - rival.map_or(sensor, |f| f.nats.max(sensor));
        if !named || best.nats < DECIDE_NATS || margin < MARGIN_NATS {
            return false;
        }
        self.begin(&self.refined(best, &onsets), margin);
        true
    }

    /// What was believed to have happened since a time was told by a stream that is not to be believed.
    pub fn withdraw(&mut self, since: SimTime) {
        self.suspicion = None;
        let Some(active) = self.active.clone() else { return };
        if self.verdicts[active.verdict].onset < since || self.rows.is_empty() {
            return;
        }
        let onset = active.onset.max(self.first() + 1);
        if let Some(start) = self.back_at(&active, onset) {
            self.go_over((onset - self.first()) as usize, start);
        }
        self.verdicts[active.verdict].end = self.last_t;
        self.active = None;
    }

    /// The stream is to be believed again, and the twin has to find it first.
    pub fn settle(&mut self) {
        self.suspicion = None;
        self.last_end = self.last_t.unwrap_or(self.last_end);
    }

    fn row(&self, i: u64) -> &Row {
        &self.rows[(i - self.first()) as usize]
    }

    fn remember(&mut self, found: &[Found]) {
        if self.posteriors.is_none() {
            return;
        }
        let Some(t) = self.last_t else { return };
        let mut best: BTreeMap<String, f64> = BTreeMap::new();
        best.insert("nothing".to_owned(), 0.0);
        for f in found {
            let name = match f.what {
                What::Event(e) => self.known.events[e].happening.kind.clone(),
                What::Sensor(o) => format!("{} wrong", self.known.def.outputs[o].signal),
                What::Spike(o) => format!("{} spike", self.known.def.outputs[o].signal),
                What::Input(k, Wrong::Response) => {
                    format!("other effect of {}", self.known.def.inputs[k].signal)
                }
                What::Input(k, _) => format!("{} wrong", self.known.def.inputs[k].signal),
                What::Unknown => UNKNOWN.to_owned(),
            };
            let nats = best.entry(name).or_insert(f.nats);
            *nats = nats.max(f.nats);
        }
        let most = best.values().copied().fold(0.0, f64::max);
        let total: f64 = best.values().map(|n| (n - most).exp()).sum();
        let of = best.into_iter().map(|(name, n)| (name, (n - most).exp() / total)).collect();
        self.posteriors.get_or_insert_default().push(Posterior { t, of });
    }

    fn begin(&mut self, best: &Found, margin: f64) {
        let event = match (best.what, &best.event) {
            (What::Event(e), _) => Arc::clone(&self.known.events[e]),
            (_, Some(event)) => Arc::clone(event),
            _ => return,
        };
        let fresh = [event.happening.parameter.clone()];
        let Some(Ok(start)) =
            self.before(best.onset).map(|f| f.carried_to(&event.def, &self.known.covariates, &fresh))
        else {
            return;
        };
        let (kind, part) = (leaked(&event.happening.kind), event.happening.part.clone());
        let at = self.row(best.onset).t;
        self.tell(kind, &part, at, best.size, margin);
        self.active = Some(Active { event, verdict: self.verdicts.len() - 1, onset: best.onset });
        self.go_over((best.onset - self.first()) as usize, start);
        self.suspicion = None;
    }

    fn tell(&mut self, kind: &'static str, part: &str, onset: SimTime, size: f64, margin: f64) {
        self.verdicts.push(Verdict {
            part: part.to_owned(),
            kind,
            onset,
            end: None,
            size,
            posterior: 1.0 / (1.0 + (-margin).exp()),
            decided_at: self.arrived,
        });
    }

    /// Follows the rows from `from` on once more, under another filter.
    fn go_over(&mut self, from: usize, mut filter: Filter) {
        for row in self.rows.iter_mut().skip(from) {
            let mut innovations = vec![NONE; row.outputs.len()];
            carry(&mut filter, (row.dt, row.unknown), &row.inputs);
            update(&mut filter, &row.outputs, &mut |o, v| innovations[o] = v);
            row.innovations = innovations;
            row.after = filter.clone();
        }
        self.current = filter;
    }

    /// Whether the event is over: its parameter came back by itself, or fits better as it was.
    fn examine_end(&mut self, i: u64) -> bool {
        let Some(active) = self.active.clone() else { return false };
        let event = &active.event;
        let at = self.current.model().parameter(&event.happening.parameter);
        let value = at.map_or(event.nominal, |k| self.current.parameters()[k]);
        let (size, share) = event.size(value);
        let faded = share < OVER_SHARE;
        if !faded
            && event.is_possible(size, share)
            && let Some(v) = self.verdicts.get_mut(active.verdict)
        {
            v.size = size;
        }
        let mut best: Option<(u64, f64)> = None;
        if let Some(trigger) = self.due(i) {
            for back in BACK {
                let Some(since) = trigger.checked_sub(back).filter(|k| *k > self.first()) else { continue };
                if since <= active.onset {
                    continue;
                }
                if let Some(start) = self.back_at(&active, since) {
                    let (gain, ..) = self.gain(start, since, None);
                    if best.is_none_or(|b| gain > b.1) {
                        best = Some((since, gain));
                    }
                }
            }
        }
        let over = best.filter(|b| b.1 + END_NATS > DECIDE_NATS).map(|b| b.0);
        let Some(since) = over.or_else(|| faded.then_some(i)) else { return false };
        let Some(start) = self.back_at(&active, since) else { return false };
        let end = self.row(since).t;
        self.go_over((since - self.first()) as usize, start);
        self.verdicts[active.verdict].end = Some(end);
        self.active = None;
        self.suspicion = None;
        self.ended = Some(i);
        self.last_end = self.last_t.unwrap_or(end);
        true
    }

    /// The filter from before a row, under the network as it was before the event.
    fn back_at(&self, active: &Active, since: u64) -> Option<Filter> {
        let fresh = [active.event.happening.parameter.clone()];
        self.before(since)?.carried_to(&self.known.def, &self.known.covariates, &fresh).ok()
    }
}

/// What may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Event(usize),
    Sensor(usize),
    Spike(usize),
    /// Something about an input.
    Input(usize, Wrong),
    Unknown,
}

impl What {
    fn is_of_input(self) -> bool {
        matches!(self, Self::Input(..))
    }
}

#[derive(Clone, Debug)]
struct Found {
    what: What,
    /// Log of its odds against nothing.
    nats: f64,
    onset: u64,
    size: f64,
    /// Size as a share of the typical one.
    share: f64,
    /// The network that is supposed, where the thing's events do not have it.
    event: Option<Arc<Event>>,
}

/// Carries a filter over a step, of whose first part the inputs are not known.
fn carry(filter: &mut Filter, (dt, unknown): (Span, Span), inputs: &[Option<f64>]) {
    if unknown > Span::ZERO {
        filter.predict(unknown, &vec![None; inputs.len()]);
    }
    filter.predict(Span(dt.0 - unknown.0), inputs);
}

fn update(filter: &mut Filter, outputs: &[f64], seen: &mut dyn FnMut(usize, Innovation)) {
    for (o, value) in outputs.iter().enumerate() {
        if value.is_finite() {
            seen(o, filter.update(o, *value));
        }
    }
}

/// A verdict's kind lives as long as the program; there are as many as the catalog has names.
fn leaked(kind: &str) -> &'static str {
    use std::sync::Mutex;
    static KINDS: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut kinds = KINDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = kinds.iter().find(|k| **k == kind) {
        return known;
    }
    let new: &'static str = Box::leak(kind.to_owned().into_boxed_str());
    kinds.push(new);
    new
}
