//! One twin as it hears its device: messages decoded, put in the order of the device's time, taken by the judge, forecast,
//! and told as rows and events.

use crate::{
    compare::{Judge, News, Reading, Verdict},
    diagnose,
    dialect::{Dialect, Ear, Heard, Told},
    message::Message,
    mirror::{
        self,
        alarm::Alarm,
        decode::{DecodeError, Decoder},
        outlook::Outlook,
    },
    predict::{Estimator, score::Score},
    scenario::MirrorDef,
    signal::SignalId,
    time::{NS_PER_S, SimTime, Span},
    units::Conversion,
    world::{Event, Row, Watch},
};
use bevy_ecs::prelude::*;
use std::collections::BTreeMap;

/// Messages in a row that all lie behind the newest one, yet ascend among themselves, after which the device's clock
/// counts as set back and its new time is followed.
const SET_BACK_MESSAGES: u32 = 5;
/// A time stamp farther than this from the arrival says nothing about simulated time (a clock never set, or seconds
/// since boot): rows are then stamped by arrival.
const CLOCK_UNSET: Span = Span(86_400 * NS_PER_S);

/// Fields that no signal is bound to and of which the last value is kept.
const MAX_OTHER: usize = 128;

/// How a binding becomes values: by a codec of the engine's own, or by an ear for a dialect.
enum Hearing {
    Codec(Decoder),
    Ear(Box<dyn Ear>),
}

/// How one twin fared.
#[derive(Debug, Clone, Default)]
pub struct TwinScore {
    /// Its id.
    pub twin: String,
    /// Messages taken, late, duplicate and refused.
    pub taken: u64,
    /// Messages older than what was already taken.
    pub late: u64,
    /// Messages that repeat a time and signal.
    pub duplicate: u64,
    /// Payloads that gave no values.
    pub bad: u64,
    /// Per output and horizon: signal, horizon, scores.
    pub forecasts: Vec<(String, Span, Score)>,
    /// All verdicts, oldest first.
    pub verdicts: Vec<Verdict>,
}

#[derive(Debug)]
pub(super) struct Signals {
    /// Per output: the first channel of its group.
    outputs: Vec<u32>,
    /// Per input: the first channel of its group.
    pub inputs: Vec<u32>,
    device: u32,
    base: SignalId,
}

impl Signals {
    fn new(base: SignalId, outputs: usize, inputs: usize, horizons: usize) -> Self {
        let per = 5 + 3 * horizons as u32;
        let after = outputs as u32 * per;
        Self {
            outputs: (0..outputs as u32).map(|o| o * per).collect(),
            inputs: (0..inputs as u32).map(|i| after + 2 * i).collect(),
            device: after + 2 * inputs as u32,
            base,
        }
    }

    pub fn at(&self, channel: u32) -> SignalId {
        SignalId(self.base.0 + channel)
    }
}

/// A message as it was heard: its place in the inbox, and the binding whose topic it came on.
#[derive(Clone, Copy)]
pub(super) struct Overheard {
    pub message: u32,
    pub binding: u32,
}

struct Pending {
    t: SimTime,
    arrived: SimTime,
    first: usize,
}

/// A twin: the judge that follows one physical, and where its rows go.
#[derive(Component)]
pub struct Twin {
    pub(super) index: usize,
    pub(super) id: String,
    names: Vec<String>,
    /// Per name: from the engine's unit, which payloads carry, to the one that the model counts in.
    conversions: Vec<Option<Conversion>>,
    hearing: Vec<Hearing>,
    told: Told,
    /// What the device said besides, by field, the last of each; bounded.
    other: BTreeMap<String, String>,
    /// What it owes the device, with its own ordinal as publisher.
    pub(super) replies: Vec<Message>,
    pub(super) publisher: u32,
    seq: u64,
    pub(super) judge: Judge,
    pub(super) outlook: Outlook,
    pub(super) alarm: Option<Alarm>,
    horizons: Vec<Span>,
    every: Span,
    next_forecast: SimTime,
    pub(super) signals: Signals,
    pub(super) heard: Vec<Overheard>,
    pending: Vec<Pending>,
    pending_values: Vec<f64>,
    /// What the tick's messages made, until it is put in the order of the twins.
    pub(super) rows: Vec<Row>,
    pub(super) events: Vec<Event>,
    /// Newest time taken, per signal and of all.
    pub(super) last_at: Vec<SimTime>,
    pub(super) newest: SimTime,
    behind: u32,
    behind_at: SimTime,
    pub(super) score: TwinScore,
    told_bad: bool,
}

pub(super) struct Sink<'a> {
    pub watch: &'a Watch,
    pub rows: &'a mut Vec<Row>,
    pub events: &'a mut Vec<Event>,
}

impl Sink<'_> {
    fn row(&mut self, t: SimTime, signal: SignalId, value: f64) {
        if self.watch.wants(signal) && value.is_finite() {
            self.rows.push(Row { t, signal, value });
        }
    }
}

impl Twin {
    /// The twin of a mirror section, with its estimator. `base` is the first signal of its block.
    pub fn new(index: usize, def: &MirrorDef, estimator: Box<dyn Estimator>, base: SignalId) -> Self {
        let names: Vec<String> = estimator.inputs().iter().chain(estimator.outputs()).cloned().collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let (outputs, inputs) = (estimator.outputs().len(), estimator.inputs().len());
        let horizons = mirror::horizons(def).to_vec();
        let mut outlook = Outlook::new(&horizons, outputs, def.forecast.as_ref().map_or(0.9, |f| f.interval));
        if def.forecast.as_ref().is_some_and(|f| f.residual) {
            outlook = outlook.learning(&horizons);
        }
        Self {
            index,
            id: def.twin.clone(),
            hearing: def.bind.iter().map(|b| Hearing::Codec(Decoder::new(&b.decode, &refs))).collect(),
            told: Told::default(),
            other: BTreeMap::new(),
            replies: Vec::new(),
            publisher: u32::MAX,
            seq: 0,
            judge: Judge::new(estimator).one_of_many(index),
            alarm: def.watch.as_ref().map(|w| Alarm::new(w, outputs)),
            outlook,
            signals: Signals::new(base, outputs, inputs, horizons.len()),
            every: def.forecast.as_ref().map_or(Span(NS_PER_S), |f| f.every),
            horizons,
            next_forecast: SimTime(i64::MIN),
            heard: Vec::new(),
            pending: Vec::new(),
            pending_values: Vec::new(),
            rows: Vec::new(),
            events: Vec::new(),
            last_at: vec![SimTime(i64::MIN); names.len()],
            newest: SimTime(i64::MIN),
            behind: 0,
            behind_at: SimTime(i64::MIN),
            score: TwinScore { twin: def.twin.clone(), ..TwinScore::default() },
            told_bad: false,
            conversions: vec![None; names.len()],
            names,
        }
    }

    /// With the units in which the model counts its inputs, in their order.
    #[must_use]
    pub fn counting_in<'a>(mut self, units: impl IntoIterator<Item = &'a str>) -> Self {
        for ((conversion, name), unit) in self.conversions.iter_mut().zip(&self.names).zip(units) {
            *conversion = Conversion::of_signal(name, unit);
        }
        self
    }

    /// With ears for the bindings that name a dialect. One that cannot be heard has been refused by the scenario's checks; if
    /// it has not, it tells nothing.
    #[must_use]
    pub fn hearing(mut self, def: &MirrorDef, dialects: &Dialect) -> Self {
        let signals: Vec<&str> = self.names.iter().map(String::as_str).collect();
        for (hearing, bind) in self.hearing.iter_mut().zip(&def.bind) {
            if let Some(Ok(ear)) = mirror::ear(def, bind, &signals, dialects) {
                *hearing = Hearing::Ear(ear);
            }
        }
        self
    }

    /// The topics of a binding: its own, and the one beside it that tells presence; or those of its dialect.
    pub(super) fn filters(&self, binding: usize, def: &MirrorDef) -> Vec<(String, bool)> {
        match &self.hearing[binding] {
            Hearing::Ear(ear) => ear.filters().into_iter().map(|f| (f, true)).collect(),
            Hearing::Codec(_) => {
                let topic = mirror::bound_topic(&def.bind[binding].topic, &def.twin);
                vec![(mirror::status_topic(&topic), false), (topic, true)]
            }
        }
    }

    /// What the device said that no signal is bound to, by field: the last of each.
    pub fn other(&self) -> &BTreeMap<String, String> {
        &self.other
    }

    /// The judge, with the estimator it follows with.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Takes what was heard in this tick, in the order of the device's time. Rows and events stay with the twin.
    pub(super) fn catch_up(&mut self, inbox: &[Message], epoch_unix_ms: i64, watch: &Watch) {
        let (mut rows, mut events) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.events));
        let mut sink = Sink { watch, rows: &mut rows, events: &mut events };
        let heard = std::mem::take(&mut self.heard);
        for h in &heard {
            let message = &inbox[h.message as usize];
            if self.ear(h.binding, message, epoch_unix_ms, &mut sink) {
                continue;
            }
            self.decode(h.binding, &message.payload, message.due, epoch_unix_ms, &mut sink);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let mut values = std::mem::take(&mut self.pending_values);
        pending.sort_by_key(|p| (p.t, p.arrived, p.first));
        for p in &pending {
            let n = self.names.len();
            self.take(p.t, p.arrived, &mut values[p.first..p.first + n], &mut sink);
        }
        (self.heard, self.pending, self.pending_values) = (heard, pending, values);
        self.heard.clear();
        self.pending.clear();
        self.pending_values.clear();
        (self.rows, self.events) = (rows, events);
    }

    /// Takes a payload in; it waits until the tick's messages are all there.
    fn decode(
        &mut self,
        binding: u32,
        payload: &[u8],
        arrived: SimTime,
        epoch_unix_ms: i64,
        sink: &mut Sink<'_>,
    ) {
        let first = self.pending_values.len();
        self.pending_values.resize(first + self.names.len(), f64::NAN);
        let slot = &mut self.pending_values[first..];
        let Hearing::Codec(decoder) = &self.hearing[binding as usize] else { return };
        match decoder.decode(payload, slot) {
            Ok(head) => {
                for (value, conversion) in slot.iter_mut().zip(&self.conversions) {
                    *value = conversion.map_or(*value, |c| c.of(*value));
                }
                let t = head.ts_ms.and_then(|ms| device_time(ms, epoch_unix_ms)).unwrap_or(arrived);
                self.pending.push(Pending { t, arrived, first });
            }
            Err(why) => {
                self.pending_values.truncate(first);
                self.refuse(arrived, &why, sink);
            }
        }
    }

    /// Counts a payload that cannot be read. One event for the first; the count says the rest, so that a babbling device
    /// fills no record.
    fn refuse(&mut self, arrived: SimTime, why: &DecodeError, sink: &mut Sink<'_>) {
        self.score.bad += 1;
        if !std::mem::replace(&mut self.told_bad, true) {
            sink.events.push(Event {
                t: arrived,
                subject: self.id.clone(),
                part: String::new(),
                kind: "bad_payload".to_owned(),
                detail: why.to_string(),
                value: 1.0,
                ..Event::default()
            });
        }
    }

    /// Takes a message in a dialect: values wait as those of [`Self::decode`] do, one reading for each time that the
    /// message names. False: the binding has no ear.
    fn ear(&mut self, binding: u32, message: &Message, epoch_unix_ms: i64, sink: &mut Sink<'_>) -> bool {
        let Hearing::Ear(ear) = &mut self.hearing[binding as usize] else { return false };
        let mut told = std::mem::take(&mut self.told);
        told.clear();
        let heard = Heard { topic: &message.topic, payload: &message.payload, retain: message.retain };
        let heard = ear.hear(&heard, &mut told);
        if let Err(why) = heard {
            self.refuse(message.due, &why, sink);
        }
        if let Some(online) = told.presence {
            self.judge.presence(message.due, online);
        }
        let from = self.pending.len();
        for v in &told.values {
            let t = v.ts_ms.and_then(|ms| device_time(ms, epoch_unix_ms)).unwrap_or(message.due);
            let at = match self.pending[from..].iter().find(|p| p.t == t) {
                Some(p) => p.first,
                None => {
                    let first = self.pending_values.len();
                    self.pending_values.resize(first + self.names.len(), f64::NAN);
                    self.pending.push(Pending { t, arrived: message.due, first });
                    first
                }
            };
            let value = self.conversions[v.signal].map_or(v.value, |c| c.of(v.value));
            self.pending_values[at + v.signal] = value;
        }
        for u in told.replies.drain(..) {
            let (publisher, seq) = (self.publisher, self.seq);
            let (topic, payload) = (u.topic.into(), u.payload.into());
            let (sent, due) = (message.due, message.due);
            self.replies.push(Message {
                sent,
                due,
                publisher,
                seq,
                topic,
                payload,
                qos: u.qos,
                retain: u.retain,
            });
            self.seq += 1;
        }
        for (field, text) in told.other.drain(..) {
            if self.other.len() < MAX_OTHER || self.other.contains_key(&field) {
                self.other.insert(field, text);
            }
        }
        self.told = told;
        true
    }

    fn take(&mut self, t: SimTime, arrived: SimTime, values: &mut [f64], sink: &mut Sink<'_>) {
        if t < self.newest && !self.set_back(t) {
            self.score.late += 1;
            return;
        }
        for (value, last) in values.iter_mut().zip(&mut self.last_at) {
            if !value.is_nan() && *last == t {
                *value = f64::NAN;
            } else if !value.is_nan() {
                *last = t;
            }
        }
        if values.iter().all(|v| v.is_nan()) {
            self.score.duplicate += 1;
            return;
        }
        self.behind = 0;
        self.newest = t;
        self.score.taken += 1;
        let (inputs, outputs) = values.split_at(self.signals.inputs.len());
        self.judge.take(&Reading { t, arrived, inputs, outputs });
        let far = (t - arrived).0.unsigned_abs() > CLOCK_UNSET.0 as u64;
        let row_t = if far || self.judge.clock_wrong() { arrived } else { t.min(arrived) };
        self.emit(row_t, inputs, outputs, sink);
        self.score_and_forecast(t, row_t, outputs, sink);
        self.news(sink);
        self.watch(arrived, outputs, sink);
    }

    /// What the detector makes of the reading's residuals, where there is one.
    fn watch(&mut self, arrived: SimTime, outputs: &[f64], sink: &mut Sink<'_>) {
        let Some(alarm) = &mut self.alarm else { return };
        let judge = &self.judge;
        let residual = |(o, v): (usize, &f64)| if v.is_nan() { f64::NAN } else { judge.view(o).whitened };
        let whitened: Vec<f64> = outputs.iter().enumerate().map(residual).collect();
        let Some(news) = alarm.take(&whitened) else { return };
        sink.events.push(Event {
            t: arrived,
            subject: self.id.clone(),
            part: self.names[self.signals.inputs.len() + news.output].clone(),
            kind: if news.ended { "alarm_end" } else { "alarm" }.to_owned(),
            detail: format!("residuals unlike those before, score {:.1}", news.score),
            value: news.score,
            ..Event::default()
        });
    }

    /// Whether a run of old time stamps means that the device's clock was set back; then its new time is followed.
    fn set_back(&mut self, t: SimTime) -> bool {
        self.behind = if t > self.behind_at { self.behind + 1 } else { 1 };
        self.behind_at = t;
        if self.behind < SET_BACK_MESSAGES {
            return false;
        }
        self.judge.clock_set(t);
        self.last_at.fill(SimTime(i64::MIN));
        self.next_forecast = SimTime(i64::MIN);
        for o in 0..self.signals.outputs.len() {
            self.outlook.forget(o);
        }
        true
    }

    fn emit(&self, t: SimTime, inputs: &[f64], outputs: &[f64], sink: &mut Sink<'_>) {
        for (o, value) in outputs.iter().enumerate() {
            let first = self.signals.outputs[o];
            let view = self.judge.view(o);
            sink.row(t, self.signals.at(first), *value);
            sink.row(t, self.signals.at(first + 1), view.estimate.mean);
            if !value.is_nan() {
                sink.row(t, self.signals.at(first + 2), view.residual);
                sink.row(t, self.signals.at(first + 3), view.whitened);
            }
            sink.row(t, self.signals.at(first + 4), f64::from(u8::from(self.judge.holds(inputs.len() + o))));
        }
        for (i, value) in inputs.iter().enumerate() {
            let first = self.signals.inputs[i];
            sink.row(t, self.signals.at(first), *value);
            sink.row(t, self.signals.at(first + 1), f64::from(u8::from(self.judge.holds(i))));
        }
        sink.row(t, self.signals.at(self.signals.device), f64::from(u8::from(self.judge.device_holds())));
    }

    fn score_and_forecast(&mut self, t: SimTime, row_t: SimTime, outputs: &[f64], sink: &mut Sink<'_>) {
        let trusted =
            |o: usize| !self.judge.holds(self.signals.inputs.len() + o) && !self.judge.device_holds();
        let tolerance = Span(self.judge.period().0.max(1).saturating_mul(2));
        for (o, value) in outputs.iter().enumerate() {
            if !trusted(o) {
                self.outlook.forget(o);
            } else if !value.is_nan() {
                let name = &self.names[self.signals.inputs.len() + o];
                for v in self.judge.fresh().iter().filter(|n| n.ended).map(|n| &n.verdict) {
                    if v.part == *name {
                        self.outlook.leave_out(o, v.onset, v.end.unwrap_or(t));
                    }
                }
                self.outlook.hear(t, o, *value, self.judge.in_doubt(o), tolerance);
            }
        }
        if self.horizons.is_empty() || t < self.next_forecast {
            return;
        }
        // From the last origin, so that a period that is no multiple of the readings' own does not wander.
        let due = if self.next_forecast.0 == i64::MIN { t } else { self.next_forecast };
        self.next_forecast = if t - due > self.every { t + self.every } else { due + self.every };
        let (outlook, signals) = (&mut self.outlook, &self.signals);
        self.judge.to_forecast().forecasts(&self.horizons, &mut |h, o, g| {
            let last = if trusted(o) { outputs[o] } else { f64::NAN };
            let band = outlook.issue(t, o, h, g, last);
            let first = signals.outputs[o] + 5 + 3 * h as u32;
            sink.row(row_t, signals.at(first), band.mean);
            sink.row(row_t, signals.at(first + 1), band.lower);
            sink.row(row_t, signals.at(first + 2), band.upper);
        });
    }

    fn news(&mut self, sink: &mut Sink<'_>) {
        for News { t, verdict, ended } in self.judge.news() {
            sink.events.push(Event {
                t,
                subject: self.id.clone(),
                part: verdict.part.clone(),
                kind: if ended { "verdict_end" } else { "verdict" }.to_owned(),
                detail: verdict.kind.to_owned(),
                value: verdict.posterior,
                ..Event::default()
            });
            sink.events.push(Event {
                t,
                subject: self.id.clone(),
                part: verdict.part.clone(),
                kind: diagnose::EVENT.to_owned(),
                detail: diagnose::detail(&verdict),
                value: verdict.posterior,
                ..Event::default()
            });
        }
    }

    /// Simulated time has come this far: silence is judged.
    pub(super) fn wait(&mut self, now: SimTime, sink: &mut Sink<'_>) {
        if self.judge.wait(now) {
            sink.row(
                now,
                self.signals.at(self.signals.device),
                f64::from(u8::from(self.judge.device_holds())),
            );
            self.news(sink);
        }
    }

    pub(super) fn summary(&self) -> TwinScore {
        let mut score = self.score.clone();
        for (o, name) in self.judge.estimator().outputs().iter().enumerate() {
            for (h, horizon) in self.horizons.iter().enumerate() {
                score.forecasts.push((name.clone(), *horizon, self.outlook.score(o, h)));
            }
        }
        score.verdicts = self.judge.verdicts().to_vec();
        score
    }
}

/// A device's time stamp as simulated time. None: out of all range.
fn device_time(ts_ms: f64, epoch_unix_ms: i64) -> Option<SimTime> {
    let ms = ts_ms - epoch_unix_ms as f64;
    // Half of what fits, so that differences of two such times never overflow.
    (ms.abs() < i64::MAX as f64 / 2.0e6).then(|| SimTime((ms * 1.0e6).round() as i64))
}
