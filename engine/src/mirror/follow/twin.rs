//! One twin as it hears its device: messages decoded, put in the order of the device's time, taken by the judge, forecast,
//! and told as rows and events.

use super::{
    follower::{Followed, Follower},
    sequence::{Place, Sequence, When},
};
use crate::{
    compare::{Judge, Layout, News, Reading, Verdict},
    diagnose,
    dialect::{Aim, Dialect, Ear, Heard, Order, Told, Unasked, Utterance, Wanted},
    message::Message,
    mirror::{
        self,
        alarm::Alarm,
        decode::{DecodeError, Decoder},
        outlook::Outlook,
    },
    predict::score::Score,
    scenario::MirrorDef,
    signal::SignalId,
    time::{NS_PER_S, SimTime, Span},
    units::Conversion,
    world::{Event, Row, Watch},
};
use bevy_ecs::prelude::*;
use std::{cell::Cell, collections::BTreeMap, num::NonZeroU32, sync::Arc};

/// A time stamp farther than this from the arrival says nothing about simulated time (a clock never set, or seconds
/// since boot): rows are then stamped by arrival.
const CLOCK_UNSET: Span = Span(86_400 * NS_PER_S);

/// Fields that no signal is bound to and of which the last value is kept.
const MAX_OTHER: usize = 128;

/// What twins of one thing that are bound alike have in common.
#[derive(Debug, PartialEq)]
pub(super) struct Ways {
    /// `part.quantity` of each signal: inputs first, then outputs.
    names: Vec<String>,
    /// Of each binding: how its payloads become values, where that is not a dialect's ear.
    decoders: Vec<Decoder>,
    /// Per signal: from the engine's unit, which payloads carry, to the one that the model counts in.
    conversions: Vec<Option<Conversion>>,
    horizons: Vec<Span>,
    every: Span,
}

/// Messages taken, late, duplicate and refused.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub taken: u64,
    pub late: u64,
    pub duplicate: u64,
    pub bad: u64,
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

/// Where the channels of a twin lie, as [`mirror::twin_channels`] puts them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    base: SignalId,
    outputs: u16,
    pub inputs: u16,
    horizons: u16,
}

impl Signals {
    /// Of a twin with these counts of outputs, inputs and horizons. A run has fewer signals than these could be.
    pub fn new(base: SignalId, outputs: usize, inputs: usize, horizons: usize) -> Self {
        let [outputs, inputs, horizons] =
            [outputs, inputs, horizons].map(|n| u16::try_from(n).unwrap_or(u16::MAX));
        Self { base, outputs, inputs, horizons }
    }

    /// The first channel of an output's group.
    fn output(self, o: usize) -> u32 {
        o as u32 * (5 + 3 * u32::from(self.horizons))
    }

    /// The first channel of an input's group.
    pub fn input(self, i: usize) -> u32 {
        self.output(usize::from(self.outputs)) + 2 * i as u32
    }

    fn device(self) -> u32 {
        self.input(usize::from(self.inputs))
    }

    pub fn at(self, channel: u32) -> SignalId {
        SignalId(self.base.0 + channel)
    }
}

/// A message as it was heard: its place in the inbox, and the binding whose topic it came on.
#[derive(Clone, Copy)]
pub(super) struct Overheard {
    pub message: u32,
    pub binding: u32,
}

/// What a twin needs while it takes messages in: kept by the thread, since no twin needs it for longer.
#[derive(Default)]
struct Desk {
    told: Told,
    pending: Vec<Pending>,
    values: Vec<f64>,
}

thread_local! {
    static DESK: Cell<Option<Box<Desk>>> = const { Cell::new(None) };
}

struct Pending {
    /// By the device's clock, as far as it is known.
    t: SimTime,
    when: When,
    first: usize,
}

/// A twin: what follows one physical, and where its rows go.
#[derive(Component)]
pub struct Twin {
    pub(super) index: usize,
    pub(super) id: Box<str>,
    ways: Arc<Ways>,
    /// Of each binding that names a dialect, its ear; none at all where there is no such binding.
    ears: Vec<Option<Box<dyn Ear>>>,
    /// What the device said besides, by field, the last of each; bounded.
    other: BTreeMap<String, String>,
    /// Whether its dialect said that it is there.
    online: Option<bool>,
    /// Its own ordinal, as publisher of what it owes the device, and how much that was.
    pub(super) publisher: u32,
    seq: u64,
    pub(super) follower: Follower,
    pub(super) outlook: Option<Box<Outlook>>,
    pub(super) alarm: Option<Box<Alarm>>,
    next_forecast: SimTime,
    signals: Signals,
    /// Its place among those that heard something in this tick.
    pub(super) slot: Option<NonZeroU32>,
    /// Newest time taken, per signal, and the order of all.
    last_at: Box<[SimTime]>,
    pub(super) sequence: Sequence,
    pub(super) score: Counts,
    told_bad: bool,
}

/// Where a twin's rows, events and messages to its device go.
pub(super) struct Sink<'a> {
    pub watch: &'a Watch,
    pub rows: &'a mut Vec<Row>,
    pub events: &'a mut Vec<Event>,
    pub replies: &'a mut Vec<Message>,
}

/// Events of a device that says in its dialect that it is there, or of which the broker says that it is gone.
pub const ONLINE: &str = "online";
/// See [`ONLINE`].
pub const OFFLINE: &str = "offline";
/// Event of a device that says why it does not do as its twin asked; the reason is its detail.
pub const REFUSED: &str = "refused";

impl Sink<'_> {
    fn row(&mut self, t: SimTime, signal: SignalId, value: f64) {
        if self.watch.wants(signal) && value.is_finite() {
            self.rows.push(Row { t, signal, value });
        }
    }
}

impl Twin {
    /// The twin of a mirror section, with what its device is followed with, where its channels lie, and the units in which its model counts its
    /// inputs, in their order. What it has in common with a twin before it is shared with that.
    ///
    /// A dialect that cannot be heard has been refused by the scenario's checks; if it has not, it tells nothing.
    pub(super) fn new(
        index: usize,
        def: &MirrorDef,
        with: Followed,
        signals: Signals,
        units: &[&str],
        dialects: &Dialect,
        before: Option<&(Arc<Layout>, Arc<Ways>)>,
    ) -> Self {
        let estimator = &with.estimator;
        let outputs = estimator.outputs().len();
        let horizons = mirror::horizons(def).to_vec();
        let names: Vec<String> = estimator.inputs().iter().chain(estimator.outputs()).cloned().collect();
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let unit = |i: usize| units.get(i).copied();
        let conversion = |(i, name): (usize, &String)| Conversion::of_signal(name, unit(i)?);
        let ways = Ways {
            decoders: def.bind.iter().map(|b| Decoder::new(&b.decode, &refs)).collect(),
            conversions: names.iter().enumerate().map(conversion).collect(),
            every: def.forecast.as_ref().map_or(Span(NS_PER_S), |f| f.every),
            horizons,
            names: names.clone(),
        };
        let ear = |b| mirror::ear(def, b, &refs, dialects).and_then(Result::ok);
        let mut ears: Vec<Option<Box<dyn Ear>>> = def.bind.iter().map(ear).collect();
        if ears.iter().all(Option::is_none) {
            ears = Vec::new();
        }
        let outlook = def.forecast.as_ref().filter(|_| !ways.horizons.is_empty()).map(|f| {
            let outlook = Outlook::new(&ways.horizons, outputs, f.interval);
            Box::new(if f.residual { outlook.learning(&ways.horizons) } else { outlook })
        });
        Self {
            index,
            id: def.twin.as_str().into(),
            ears,
            other: BTreeMap::new(),
            online: None,
            publisher: u32::MAX,
            seq: 0,
            alarm: def.watch.as_ref().map(|w| Box::new(Alarm::new(w, outputs))),
            outlook,
            signals,
            next_forecast: SimTime(i64::MIN),
            slot: None,
            last_at: vec![SimTime(i64::MIN); names.len()].into(),
            sequence: Sequence::default(),
            score: Counts::default(),
            told_bad: false,
            follower: Follower::new(with, index, before.map(|b| &b.0)),
            ways: before.filter(|b| *b.1 == ways).map_or_else(|| Arc::new(ways), |b| Arc::clone(&b.1)),
        }
    }

    /// What the next twin may share.
    pub(super) fn common(&self) -> (Arc<Layout>, Arc<Ways>) {
        (Arc::clone(self.judge().layout()), Arc::clone(&self.ways))
    }

    /// The inputs' count, and the name of an output.
    fn inputs(&self) -> usize {
        usize::from(self.signals.inputs)
    }

    fn output_name(&self, o: usize) -> &str {
        &self.ways.names[self.inputs() + o]
    }

    /// The topics of a binding: its own, and the one beside it that tells presence; or those of its dialect.
    pub(super) fn filters(&self, binding: usize, def: &MirrorDef) -> Vec<(String, bool)> {
        match self.ears.get(binding).and_then(Option::as_ref) {
            Some(ear) => ear.filters().into_iter().map(|f| (f, true)).collect(),
            None => {
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
        self.follower.judge()
    }

    /// The message that asks the device to set a signal, given in the unit in which the twin keeps it, or a field by the
    /// dialect's own name.
    pub(super) fn command(
        &mut self,
        key: &str,
        wanted: &Wanted,
        ts_unix_ms: i64,
    ) -> Result<Utterance, Unasked> {
        let signal = self.ways.names.iter().position(|n| n == key);
        let conversion = signal.and_then(|i| self.ways.conversions[i]);
        let value = match (wanted, conversion) {
            (Wanted::Number(v), Some(c)) => &Wanted::Number(c.back().of(*v)),
            _ => wanted,
        };
        let order = Order { aim: signal.map_or(Aim::Field(key), Aim::Signal), value, ts_unix_ms };
        let mut why = Unasked::Never("its device speaks no dialect that has commands".to_owned());
        for ear in self.ears.iter_mut().flatten() {
            match ear.command(&order) {
                Ok(said) => return Ok(said),
                // Of several devices, one that may still know it is waited for.
                Err(other) if !matches!(why, Unasked::NotYet(_)) => why = other,
                Err(_) => {}
            }
        }
        Err(why)
    }

    /// Takes what was heard in this tick, in the order of the device's time.
    pub(super) fn catch_up(
        &mut self,
        heard: impl IntoIterator<Item = Overheard>,
        inbox: &[Message],
        epoch_unix_ms: i64,
        sink: &mut Sink<'_>,
    ) {
        let mut desk = DESK.take().unwrap_or_default();
        for h in heard {
            let message = &inbox[h.message as usize];
            let place = h.binding as usize;
            let ear = self.ears.get_mut(place).and_then(Option::take);
            if let Some(mut ear) = ear {
                self.ear(&mut *ear, message, epoch_unix_ms, &mut desk, sink);
                self.ears[place] = Some(ear);
            } else {
                self.decode(place, message, epoch_unix_ms, &mut desk, sink);
            }
        }
        desk.pending.sort_by_key(|p| (p.t, p.when.arrived, p.first));
        let n = self.last_at.len();
        let Desk { pending, values, .. } = &mut *desk;
        for p in pending.drain(..) {
            self.take(&p.when, &mut values[p.first..p.first + n], sink);
        }
        values.clear();
        DESK.set(Some(desk));
    }

    /// Takes a payload in; it waits until the tick's messages are all there.
    fn decode(
        &mut self,
        binding: usize,
        message: &Message,
        epoch_unix_ms: i64,
        desk: &mut Desk,
        sink: &mut Sink<'_>,
    ) {
        let first = desk.values.len();
        desk.values.resize(first + self.last_at.len(), f64::NAN);
        let slot = &mut desk.values[first..];
        match self.ways.decoders[binding].decode(&message.payload, slot) {
            Ok(head) => {
                for (value, conversion) in slot.iter_mut().zip(&self.ways.conversions) {
                    *value = conversion.map_or(*value, |c| c.of(*value));
                }
                let when = when(message, head.ts_ms, epoch_unix_ms);
                desk.pending.push(Pending { t: self.sequence.time(&when), when, first });
            }
            Err(why) => {
                desk.values.truncate(first);
                self.refuse(message.due, &why, sink);
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
                subject: self.id.to_string(),
                part: String::new(),
                kind: "bad_payload".to_owned(),
                detail: why.to_string(),
                value: 1.0,
                ..Event::default()
            });
        }
    }

    /// Takes a message in a dialect: values wait as those of [`Self::decode`] do, one reading for each time that the
    /// message names.
    fn ear(
        &mut self,
        ear: &mut dyn Ear,
        message: &Message,
        epoch_unix_ms: i64,
        desk: &mut Desk,
        sink: &mut Sink<'_>,
    ) {
        let Desk { told, pending, values } = desk;
        told.clear();
        let heard = Heard { topic: &message.topic, payload: &message.payload, retain: message.retain };
        if let Err(why) = ear.hear(&heard, told) {
            self.refuse(message.due, &why, sink);
        }
        if let Some(online) = told.presence {
            self.follower.presence(message.due, online);
            if self.online.replace(online) != Some(online) {
                let kind = if online { ONLINE } else { OFFLINE };
                sink.events.push(Event {
                    t: message.due,
                    subject: self.id.to_string(),
                    kind: kind.to_owned(),
                    ..Event::default()
                });
            }
        }
        if let Some(s) = told.allowed_silence_s.filter(|s| (1e-3..1e9).contains(s)) {
            self.follower.allow_silence(Span::from_secs_f64(s));
        }
        for why in told.refusals.drain(..) {
            sink.events.push(Event {
                t: message.due,
                subject: self.id.to_string(),
                kind: REFUSED.to_owned(),
                detail: why,
                ..Event::default()
            });
        }
        let from = pending.len();
        for v in &told.values {
            let when = when(message, v.ts_ms, epoch_unix_ms);
            let at = match pending[from..].iter().find(|p| p.when.stamp == when.stamp) {
                Some(p) => p.first,
                None => {
                    let first = values.len();
                    values.resize(first + self.last_at.len(), f64::NAN);
                    pending.push(Pending { t: self.sequence.time(&when), when, first });
                    first
                }
            };
            let value = self.ways.conversions[v.signal].map_or(v.value, |c| c.of(v.value));
            values[at + v.signal] = value;
        }
        for u in told.replies.drain(..) {
            sink.replies.push(u.sent(message.due, self.publisher, self.seq));
            self.seq += 1;
        }
        for (field, text) in told.other.drain(..) {
            if self.other.len() < MAX_OTHER || self.other.contains_key(&field) {
                self.other.insert(field, text);
            }
        }
    }

    fn take(&mut self, when: &When, values: &mut [f64], sink: &mut Sink<'_>) {
        let t = match self.sequence.place(when) {
            Place::Late => {
                self.score.late += 1;
                return;
            }
            Place::At(t) => t,
            Place::Anew(t) => {
                self.clock_set(t);
                t
            }
        };
        let arrived = when.arrived;
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
        self.sequence.took(t, when);
        self.score.taken += 1;
        let (inputs, outputs) = values.split_at(self.inputs());
        self.follower.take(&Reading { t, arrived, inputs, outputs });
        let far = (t - arrived).0.unsigned_abs() > CLOCK_UNSET.0 as u64;
        let by_arrival = far || when.stamp.is_none() || self.judge().clock_wrong();
        let row_t = if by_arrival { arrived } else { t.min(arrived) };
        self.emit(row_t, inputs, outputs, sink);
        self.score_and_forecast(t, row_t, outputs, sink);
        self.news(sink);
        self.watch(arrived, outputs, sink);
    }

    /// What the detector makes of the reading's residuals, where there is one.
    fn watch(&mut self, arrived: SimTime, outputs: &[f64], sink: &mut Sink<'_>) {
        let Some(alarm) = &mut self.alarm else { return };
        let judge = self.follower.judge();
        let residual = |(o, v): (usize, &f64)| if v.is_nan() { f64::NAN } else { judge.view(o).whitened };
        let whitened: Vec<f64> = outputs.iter().enumerate().map(residual).collect();
        let Some(news) = alarm.take(&whitened) else { return };
        sink.events.push(Event {
            t: arrived,
            subject: self.id.to_string(),
            part: self.output_name(news.output).to_owned(),
            kind: if news.ended { "alarm_end" } else { "alarm" }.to_owned(),
            detail: format!("residuals unlike those before, score {:.1}", news.score),
            value: news.score,
            ..Event::default()
        });
    }

    /// The device's clock was set: its new time is followed.
    fn clock_set(&mut self, t: SimTime) {
        self.follower.clock_set(t);
        self.last_at.fill(SimTime(i64::MIN));
        self.next_forecast = SimTime(i64::MIN);
        for o in 0..usize::from(self.signals.outputs) {
            self.forget_forecasts(o);
        }
    }

    fn emit(&self, t: SimTime, inputs: &[f64], outputs: &[f64], sink: &mut Sink<'_>) {
        for (o, value) in outputs.iter().enumerate() {
            let first = self.signals.output(o);
            let view = self.judge().view(o);
            sink.row(t, self.signals.at(first), *value);
            if is_known(self.last_at[inputs.len() + o], self.judge()) {
                sink.row(t, self.signals.at(first + 1), view.estimate.mean);
            }
            if !value.is_nan() {
                sink.row(t, self.signals.at(first + 2), view.residual);
                sink.row(t, self.signals.at(first + 3), view.whitened);
            }
            sink.row(
                t,
                self.signals.at(first + 4),
                f64::from(u8::from(self.follower.holds(inputs.len() + o))),
            );
        }
        for (i, value) in inputs.iter().enumerate() {
            let first = self.signals.input(i);
            sink.row(t, self.signals.at(first), *value);
            sink.row(t, self.signals.at(first + 1), f64::from(u8::from(self.follower.holds(i))));
        }
        sink.row(
            t,
            self.signals.at(self.signals.device()),
            f64::from(u8::from(self.follower.device_holds())),
        );
    }

    /// Forgets the forecasts in flight of an output.
    fn forget_forecasts(&mut self, output: usize) {
        if let Some(outlook) = &mut self.outlook {
            outlook.forget(output);
        }
    }

    fn score_and_forecast(&mut self, t: SimTime, row_t: SimTime, outputs: &[f64], sink: &mut Sink<'_>) {
        let (follower, signals, inputs) = (&self.follower, self.signals, self.inputs());
        let last_at = &self.last_at;
        let judge = follower.judge();
        let Some(outlook) = &mut self.outlook else { return };
        let trusted = |o: usize| follower.trusts(inputs + o);
        let tolerance = Span(judge.period().0.max(1).saturating_mul(2));
        for (o, value) in outputs.iter().enumerate() {
            if !trusted(o) || follower.turned() {
                outlook.forget(o);
            } else if !value.is_nan() {
                let name = &self.ways.names[inputs + o];
                for v in follower.fresh().iter().filter(|n| n.ended).map(|n| &n.verdict) {
                    if v.part == *name {
                        outlook.leave_out(o, v.onset, v.end.unwrap_or(t));
                    }
                }
                outlook.hear(t, o, *value, judge.in_doubt(o), tolerance);
            }
        }
        if t < self.next_forecast {
            return;
        }
        // From the last origin, so that a period that is no multiple of the readings' own does not wander.
        let every = self.ways.every;
        let due = if self.next_forecast.0 == i64::MIN { t } else { self.next_forecast };
        self.next_forecast = if t - due > every { t + every } else { due + every };
        judge.to_forecast().forecasts(&self.ways.horizons, &mut |h, o, g| {
            let last = if trusted(o) { outputs[o] } else { f64::NAN };
            let band = outlook.issue(t, o, h, g, last);
            if !is_known(last_at[inputs + o], judge) {
                return;
            }
            let first = signals.output(o) + 5 + 3 * h as u32;
            sink.row(row_t, signals.at(first), band.mean);
            sink.row(row_t, signals.at(first + 1), band.lower);
            sink.row(row_t, signals.at(first + 2), band.upper);
        });
    }

    fn news(&mut self, sink: &mut Sink<'_>) {
        for News { t, verdict, ended } in self.follower.news() {
            sink.events.push(Event {
                t,
                subject: self.id.to_string(),
                part: verdict.part.clone(),
                kind: if ended { "verdict_end" } else { "verdict" }.to_owned(),
                detail: verdict.kind.to_owned(),
                value: verdict.posterior,
                ..Event::default()
            });
            sink.events.push(Event {
                t,
                subject: self.id.to_string(),
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
        if self.follower.wait(now) {
            sink.row(
                now,
                self.signals.at(self.signals.device()),
                f64::from(u8::from(self.follower.device_holds())),
            );
            self.news(sink);
        }
    }

    pub(super) fn summary(&self) -> TwinScore {
        let Counts { taken, late, duplicate, bad } = self.score;
        let mut forecasts = Vec::new();
        for (o, name) in self.judge().estimator().outputs().iter().enumerate() {
            for (h, horizon) in self.ways.horizons.iter().enumerate() {
                forecasts.extend(self.outlook.as_ref().map(|l| (name.clone(), *horizon, l.score(o, h))));
            }
        }
        let verdicts = self.follower.verdicts().to_vec();
        TwinScore { twin: self.id.to_string(), taken, late, duplicate, bad, forecasts, verdicts }
    }
}

/// Whether what is estimated of an output that was last heard then means something: where nothing is known of the thing itself, one
/// that was never heard is at zero, as if it had been read.
fn is_known(last_at: SimTime, judge: &Judge) -> bool {
    last_at != SimTime(i64::MIN) || judge.estimator().knows_the_world()
}

/// When a message said something, by the stamp that it gave it, Unix [ms].
fn when(message: &Message, ts_ms: Option<f64>, epoch_unix_ms: i64) -> When {
    let stamp = ts_ms.and_then(|ms| device_time(ms, epoch_unix_ms));
    When { stamp, arrived: message.due, kept: message.retain }
}

/// A device's time stamp as simulated time. None: out of all range.
fn device_time(ts_ms: f64, epoch_unix_ms: i64) -> Option<SimTime> {
    let ms = ts_ms - epoch_unix_ms as f64;
    // Half of what fits, so that differences of two such times never overflow.
    (ms.abs() < i64::MAX as f64 / 2.0e6).then(|| SimTime((ms * 1.0e6).round() as i64))
}
