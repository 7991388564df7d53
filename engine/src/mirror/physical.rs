//! Physicals: a recording published row by row as its device would have, faults of the timeline applied before the
//! payload is written.
//!
//! Where the recording itself has a gap (a step of more than [`GAP_STEPS`] median steps) or ends, the device was off:
//! `offline` is published, retained, on `<topic>/status` as a broker does with a device's last will, and `online` when
//! the rows go on. A `Dropout` of the timeline is another thing: the device stays connected and says nothing.
//!
//! Components: [`Physical`]. Set: [`PhysicalSystems`], between `Firmware` and `Publish`. Writes `Outbox`, `Events`,
//! `Counters`.
//!
//! ```
//! use twinfleet_engine::mirror::physical::Feed;
//! use twinfleet_engine::time::SimTime;
//! let feed = Feed::new(&[0.0, 1.002], vec![("soc.temperature".into(), vec![45.084, f64::NAN])]).unwrap();
//! assert_eq!(feed.time(1), SimTime(1_002_000_000));
//! ```

use crate::{
    dialect::{Client, Dialect, DialectError, Heard, Speaker, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    message::{Message, Router, TopicFilter},
    plan::Plan,
    rng::{self, Rng},
    scenario::{Action, PayloadDef, PhysicalDef, PublishDef, recording::Table},
    sense::{
        Cohort,
        fault::{
            FaultDef, FaultRun, Stream,
            reach::{self, Says, Wired, Wrong},
        },
    },
    signal::wildcard,
    time::{SimTime, Span},
    units::{self, Conversion},
    world::{Clock, Counters, Event, Events, Inbox, Outbox, StateHash, StateHashers, TickSystems},
};
use bevy_ecs::{prelude::*, schedule::SystemSet};
use std::{fmt::Write as _, sync::Arc};

/// Steps of the recording's median step after which a device without rows counts as gone.
pub const GAP_STEPS: i64 = 5;

/// The set in which physicals publish: after `Firmware`, before `Publish`.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PhysicalSystems;

/// A recording, ready to be published: times from its first row, and columns named `part.quantity` in which NaN is a
/// missing value.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    times: Vec<SimTime>,
    median_step: Span,
    columns: Vec<(String, Vec<f64>)>,
}

/// Why a table cannot be published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Times that do not ascend, or are not finite.
    #[error("row {0} of the recording does not come after the row before it")]
    Times(usize),
    /// A column of another length than the times.
    #[error("the column `{0}` has another length than the column of time")]
    Length(String),
}

impl Feed {
    /// A feed from seconds since the first row and columns in the signals' units.
    pub fn new(t_s: &[f64], mut columns: Vec<(String, Vec<f64>)>) -> Result<Self, FeedError> {
        let t0 = t_s.first().copied().unwrap_or(0.0);
        let times: Vec<SimTime> = t_s.iter().map(|t| SimTime(Span::from_secs_f64(t - t0).0)).collect();
        if let Some(at) =
            (0..t_s.len()).find(|i| !t_s[*i].is_finite() || (*i > 0 && times[*i] <= times[i - 1]))
        {
            return Err(FeedError::Times(at));
        }
        if let Some((name, _)) = columns.iter().find(|(_, v)| v.len() != times.len()) {
            return Err(FeedError::Length(name.clone()));
        }
        columns.sort_by(|a, b| a.0.cmp(&b.0));
        let mut steps: Vec<Span> = times.windows(2).map(|w| w[1] - w[0]).collect();
        steps.sort();
        let median_step = steps.get(steps.len() / 2).copied().unwrap_or_default();
        Ok(Self { times, median_step, columns })
    }

    /// A feed from a table read for a physical ([`crate::scenario::recording::Recording::of_physical`]).
    pub fn from_table(table: Table) -> Result<Self, FeedError> {
        Self::new(&table.t_s, table.columns.into_iter().map(|c| (c.name, c.values)).collect())
    }

    /// When a row is published.
    pub fn time(&self, row: usize) -> SimTime {
        self.times[row]
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

/// A fault of the timeline as one physical sees it.
#[derive(Debug)]
struct Scheduled {
    does: Does,
    /// What the labels call it, and say of it.
    part: String,
    says: Says,
    from: SimTime,
    until: SimTime,
    started: bool,
    ended: bool,
}

/// What a fault does to a row.
#[derive(Debug)]
enum Does {
    /// It corrupts a column; None: the device.
    Corrupt(Option<usize>, StreamFault),
    /// A column shows what another was recorded as.
    Show(usize, usize),
}

/// A fault of a stream of readings from its onset to its end.
#[derive(Debug)]
pub struct StreamFault {
    from: SimTime,
    until: SimTime,
    kind: FaultDef,
    run: FaultRun,
    /// Whether it knows the value that a stuck reading stays at.
    held: bool,
}

impl StreamFault {
    /// A fault that lasts `from..until`, with its own random stream.
    pub fn new(kind: FaultDef, from: SimTime, until: SimTime, rng: Rng) -> Self {
        let run = FaultRun::drawing(kind, from, until, rng);
        Self { from, until: kind.gone(until), kind, run, held: false }
    }

    /// The same on a stream of this kind.
    fn on(self, stream: Stream) -> Self {
        Self { run: self.run.on(stream), ..self }
    }

    /// Whether it acts now.
    pub fn active(&self, t: SimTime) -> bool {
        self.from <= t && t < self.until
    }

    /// The reading as the fault leaves it while it acts (NaN: none); `last` is what was published before, NaN at first.
    pub fn corrupt(&mut self, t: SimTime, value: f64, last: f64) -> f64 {
        if self.kind == FaultDef::Stuck && !self.held {
            self.held = true;
            self.run.remember(if last.is_nan() { value } else { last });
        }
        self.run.apply(t, value).unwrap_or(f64::NAN)
    }

    /// The same where the fault's size is in another unit than the reading.
    fn corrupt_in(&mut self, shown: Option<Conversion>, t: SimTime, value: f64, last: f64) -> f64 {
        // One that sticks has no size, and stays to the last bit.
        match shown.filter(|_| self.kind != FaultDef::Stuck) {
            Some(unit) => unit.back().of(self.corrupt(t, unit.of(value), unit.of(last))),
            None => self.corrupt(t, value, last),
        }
    }
}

/// A device whose readings come from a recording.
#[derive(Component, Debug)]
pub struct Physical {
    id: String,
    zone: String,
    ordinal: u32,
    topic: Arc<str>,
    status_topic: Arc<str>,
    offline: bool,
    payload: PayloadDef,
    qos: u8,
    retain: bool,
    every: u32,
    feed: Feed,
    /// Per column: to the unit in which its twin shows it, and in which the sizes of faults are.
    shown: Vec<Option<Conversion>>,
    next: usize,
    seq: u64,
    faults: Vec<Scheduled>,
    /// Last published value by column.
    last: Vec<f64>,
    /// Its voice, where it speaks a dialect.
    speaker: Option<Speaker>,
    said: Vec<Utterance>,
}

/// Unit in which the sizes of a stream's faults are: that in which its twin shows it, or the engine's own.
fn unit_of(stream: &str, shown: Option<Conversion>) -> &'static str {
    let own = || units::of_quantity(stream.split_once('.').map_or("", |(_, quantity)| quantity));
    shown.map(Conversion::to).or_else(own).map_or("", |unit| unit.symbol)
}

impl Physical {
    /// A physical of a scenario, its recording read. `ordinal` is its place in the stable order of publishers.
    pub fn new(def: &PhysicalDef, feed: Feed, ordinal: u32, plan: &Plan) -> Self {
        let mut faults = Vec::new();
        let streams: Vec<Wired> = feed.columns.iter().map(|(name, _)| Wired::named(name)).collect();
        let shown: Vec<Option<Conversion>> =
            feed.columns.iter().map(|(name, _)| plan.input_shown_in(&def.id, name)).collect();
        let units: Vec<&str> =
            streams.iter().zip(&shown).map(|(w, shown)| unit_of(&w.name, *shown)).collect();
        for (n, event) in plan.scenario.timeline.iter().enumerate() {
            let (target, what) = match &event.action {
                Action::Fault { target, kind } => (target, Wrong::Fault(*kind)),
                Action::Swap { target, with } => (target, Wrong::Swap(with.clone())),
                _ => continue,
            };
            let (device, part) = target.split_once('/').unwrap_or((target, ""));
            if !wildcard(device.as_bytes(), def.id.as_bytes()) {
                continue;
            }
            let from = SimTime::ZERO + event.at;
            let until = event.until.map_or(SimTime::NEVER, |s| SimTime::ZERO + s);
            let kind = match what {
                Wrong::Fault(kind) => kind,
                Wrong::Swap(with) => {
                    let Some((a, b)) = reach::swapped(part, &with, &streams) else { continue };
                    for (column, other) in [(a, b), (b, a)] {
                        let (part, does) = (streams[column].name.clone(), Does::Show(column, other));
                        let says = Says::swap(&streams[other].name);
                        faults.push(Scheduled {
                            does,
                            part,
                            says,
                            from,
                            until,
                            started: false,
                            ended: false,
                        });
                    }
                    continue;
                }
            };
            let whole = kind.is_of_device() || (part.is_empty() && kind == FaultDef::Dropout);
            let mut add = |column: Option<usize>, label: &str, part: &str, stream: Stream| {
                let says = Says::fault(&kind, column.map_or("", |c| units[c]));
                let rng = rng::stream(plan.seed, &def.id, label);
                let fault = StreamFault::new(kind, from, until, rng).on(stream);
                let (until, part) = (fault.until, part.to_owned());
                let does = Does::Corrupt(column, fault);
                faults.push(Scheduled { does, part, says, from, until, started: false, ended: false });
            };
            // A clock is the whole device's, whatever part the target names.
            if whole {
                add(None, &format!("fault/{n}/"), "", Stream::default());
                continue;
            }
            for c in reach::reached(&kind, Some(part).filter(|p| !p.is_empty()), &streams) {
                let stream = &streams[c];
                add(Some(c), &reach::draws_as(&kind, n, stream), &stream.name, stream.stream);
            }
        }
        let zone = def.zone.clone().unwrap_or_default();
        let topic = def.publish.topic.replace("{device}", &def.id).replace("{zone}", &zone);
        let signals: Vec<(String, String)> = feed.columns.iter().map(|(n, _)| with_unit(n)).collect();
        let speaker = voice(&def.publish, &topic, &def.id, &signals, &plan.catalog.dialects);
        Self {
            // One that cannot be spoken has been refused by the scenario's checks; if it has not, it publishes nothing.
            speaker: speaker.and_then(Result::ok).map(Speaker::new),
            said: Vec::new(),
            id: def.id.clone(),
            zone,
            ordinal,
            status_topic: super::status_topic(&topic).into(),
            offline: false,
            topic: topic.into(),
            payload: def.publish.payload.clone(),
            qos: def.publish.qos,
            retain: def.publish.retain,
            every: def.publish.every.max(1),
            next: 0,
            seq: 0,
            faults,
            last: vec![f64::NAN; feed.columns.len()],
            shown,
            feed,
        }
    }

    /// Publishes the rows before `until`; labels of faults that begin or end before it go to `events`.
    pub fn publish(
        &mut self,
        until: SimTime,
        epoch_unix_ms: i64,
        events: &mut Vec<Event>,
        out: &mut Vec<Message>,
    ) {
        self.label(until, events);
        loop {
            if let Some(t) = self.gone_at().filter(|t| *t < until) {
                self.offline = true;
                self.tell(t, "offline", out);
            }
            if self.next >= self.feed.len() || self.feed.times[self.next] >= until {
                return;
            }
            let row = self.next;
            self.next += 1;
            if std::mem::take(&mut self.offline) {
                self.tell(self.feed.times[row], "online", out);
            }
            if row.is_multiple_of(self.every as usize) {
                self.publish_row(row, epoch_unix_ms, out);
            }
        }
    }

    /// When the device is given up, if the recording has a gap, or its end, after the row published last.
    fn gone_at(&self) -> Option<SimTime> {
        let last = *self.feed.times.get(self.next.checked_sub(1)?)?;
        let given_up = last + Span(self.feed.median_step.0.saturating_mul(GAP_STEPS));
        let next = self.feed.times.get(self.next).copied().unwrap_or(SimTime::NEVER);
        (!self.offline && given_up < next).then_some(given_up)
    }

    /// Puts what was said into messages of their own.
    fn utter(&mut self, t: SimTime, out: &mut Vec<Message>) {
        for u in self.said.drain(..) {
            out.push(u.sent(t, self.ordinal, self.seq));
            self.seq += 1;
        }
    }

    /// What it last reported, for answers.
    fn report_with<'a>(&'a self, values: &'a [f64], ts_unix_ms: i64) -> Report<'a> {
        Report {
            device: &self.id,
            zone: &self.zone,
            seq: self.seq,
            ts_unix_ms,
            battery_v: None,
            rssi_dbm: None,
            values,
        }
    }

    /// Hears a message on one of its topics.
    fn hear(&mut self, message: &Message, t: SimTime, epoch_unix_ms: i64, out: &mut Vec<Message>) {
        let (Some(mut speaker), mut said) = (self.speaker.take(), std::mem::take(&mut self.said)) else {
            return;
        };
        let heard = Heard { topic: &message.topic, payload: &message.payload, retain: message.retain };
        let report = self.report_with(&self.last, epoch_unix_ms + t.0.div_euclid(1_000_000));
        speaker.answer(&heard, &report, &mut said);
        (self.speaker, self.said) = (Some(speaker), said);
        self.utter(t, out);
    }

    fn tell(&mut self, t: SimTime, what: &str, out: &mut Vec<Message>) {
        if let Some(speaker) = &mut self.speaker {
            // It greets again by itself with its next report; that it is gone, the broker says.
            self.said.extend(if what == "offline" { speaker.lost() } else { None });
            return self.utter(t, out);
        }
        out.push(Message {
            sent: t,
            due: t,
            publisher: self.ordinal,
            seq: self.seq,
            topic: self.status_topic.clone(),
            payload: what.as_bytes().into(),
            qos: self.qos,
            retain: true,
        });
        self.seq += 1;
    }

    fn label(&mut self, until: SimTime, events: &mut Vec<Event>) {
        for f in &mut self.faults {
            let mut push = |t, kind: &str| events.push(f.says.at(t, &self.id, &f.part, kind));
            if !f.started && f.from < until {
                f.started = true;
                push(f.from, "fault_start");
            }
            if !f.ended && f.until < until {
                f.ended = true;
                push(f.until, "fault_end");
            }
        }
    }

    fn publish_row(&mut self, row: usize, epoch_unix_ms: i64, out: &mut Vec<Message>) {
        let t = self.feed.times[row];
        let mut values: Vec<f64> = self.feed.columns.iter().map(|(_, v)| v[row]).collect();
        let mut silent = false;
        let mut clock_ns = t.0;
        for f in self.faults.iter_mut().filter(|f| f.from <= t && t < f.until) {
            match &mut f.does {
                Does::Show(column, other) => values[*column] = self.feed.columns[*other].1[row],
                Does::Corrupt(Some(c), fault) if !values[*c].is_nan() => {
                    values[*c] = fault.corrupt_in(self.shown[*c], t, values[*c], self.last[*c]);
                }
                Does::Corrupt(None, fault) => match fault.kind {
                    FaultDef::Dropout => silent = true,
                    FaultDef::ClockSkew { ppm } => {
                        clock_ns += ((t - fault.from).0 as f64 * ppm * 1e-6) as i64;
                    }
                    _ => {}
                },
                Does::Corrupt(..) => {}
            }
        }
        let seq = self.seq;
        self.seq += 1;
        if silent || values.iter().all(|v| v.is_nan()) {
            return;
        }
        let ts_ms = epoch_unix_ms + clock_ns.div_euclid(1_000_000);
        if let (Some(mut speaker), mut said) = (self.speaker.take(), std::mem::take(&mut self.said)) {
            speaker.report(&self.report_with(&values, ts_ms), &mut said);
            (self.speaker, self.said) = (Some(speaker), said);
            self.keep(&values);
            return self.utter(t, out);
        }
        let payload = self.render(&values, ts_ms, seq);
        self.keep(&values);
        out.push(Message {
            sent: t,
            due: t,
            publisher: self.ordinal,
            seq,
            topic: self.topic.clone(),
            payload: payload.into_bytes().into(),
            qos: self.qos,
            retain: self.retain,
        });
    }

    fn keep(&mut self, values: &[f64]) {
        for (last, value) in self.last.iter_mut().zip(values) {
            if !value.is_nan() {
                *last = *value;
            }
        }
    }

    fn render(&self, values: &[f64], ts_ms: i64, seq: u64) -> String {
        let named =
            || self.feed.columns.iter().map(|(n, _)| n.as_str()).zip(values).filter(|(_, v)| !v.is_nan());
        match &self.payload {
            PayloadDef::Json => {
                let mut text = format!("{{\"ts\":{ts_ms}");
                for (name, value) in named() {
                    // Names come from a checked scenario; quotes in them would still be escaped.
                    let _ = write!(text, ",{}:{value}", serde_json::Value::from(name));
                }
                text.push('}');
                text
            }
            PayloadDef::Template(template) => {
                let mut text = String::with_capacity(template.len() + 16);
                let mut rest = template.as_str();
                while let Some(at) = rest.find(['{', '}']) {
                    text.push_str(&rest[..at]);
                    let tail = &rest[at..];
                    if tail.starts_with("{{") || tail.starts_with("}}") {
                        text.push_str(&tail[..1]);
                        rest = &tail[2..];
                    } else if let Some(end) = tail.starts_with('{').then(|| tail.find('}')).flatten() {
                        self.fill(&mut text, &tail[1..end], named(), ts_ms, seq);
                        rest = &tail[end + 1..];
                    } else {
                        text.push_str(&tail[..1]);
                        rest = &tail[1..];
                    }
                }
                text.push_str(rest);
                text
            }
            // A dialect has a voice.
            PayloadDef::Dialect { .. } => String::new(),
        }
    }

    fn fill<'a>(
        &self,
        text: &mut String,
        field: &str,
        mut named: impl Iterator<Item = (&'a str, &'a f64)>,
        ts_ms: i64,
        seq: u64,
    ) {
        let (name, decimals) = match field.split_once(":.") {
            Some((name, n)) => (name, n.parse::<usize>().ok().map(|n| n.min(17))),
            None => (field, None),
        };
        let _ = match name {
            "device" => write!(text, "{}", self.id),
            "zone" => write!(text, "{}", self.zone),
            "seq" => write!(text, "{seq}"),
            "ts" => write!(text, "{ts_ms}"),
            _ => match (named.find(|(n, _)| *n == name), decimals) {
                (Some((_, v)), Some(n)) => write!(text, "{v:.n$}"),
                (Some((_, v)), None) => write!(text, "{v}"),
                (None, _) => write!(text, "null"),
            },
        };
    }
}

/// The device with this ordinal as its broker sees it connect; none where nothing has this ordinal or it never spoke. A
/// device without a dialect has no will and subscribes to nothing.
pub fn client(world: &mut World, ordinal: u32) -> Option<Client> {
    let of = |speaker: Option<&Speaker>, id: &str| Client {
        id: id.to_owned(),
        will: speaker.and_then(|s| s.last_will().cloned()),
        filters: speaker.map_or_else(Vec::new, Speaker::filters),
    };
    let mut physicals = world.query::<&Physical>();
    if let Some(p) = physicals.iter(world).find(|p| p.ordinal == ordinal) {
        return Some(of(p.speaker.as_ref(), &p.id));
    }
    let mut cohorts = world.query::<&Cohort>();
    let (id, speaker) = cohorts.iter(world).find_map(|c| c.speaker_of(ordinal))?;
    Some(of(speaker, &id))
}

/// The device with this ordinal begins a new connection: with its next report it greets as it did at its first, and has a will anew.
pub fn begin_anew(world: &mut World, ordinal: u32) {
    let mut physicals = world.query::<&mut Physical>();
    if let Some(mut p) = physicals.iter_mut(world).find(|p| p.ordinal == ordinal) {
        // The broker has said its will.
        drop(p.speaker.as_mut().map(Speaker::lost));
        return;
    }
    let mut cohorts = world.query::<&mut Cohort>();
    for mut cohort in cohorts.iter_mut(world) {
        drop(cohort.speaker_mut(ordinal).map(Speaker::lost));
    }
}

/// A signal and the unit in which the engine keeps it.
pub(crate) fn with_unit(signal: &str) -> (String, String) {
    let unit = units::of_quantity(signal.rsplit('.').next().unwrap_or(signal)).map_or("", |u| u.symbol);
    (signal.to_owned(), unit.to_owned())
}

/// The voice of a publish that names a dialect; none for one that does not.
pub(crate) fn voice(
    publish: &PublishDef,
    topic: &str,
    device: &str,
    signals: &[(String, String)],
    dialects: &Dialect,
) -> Option<Result<Box<dyn Voice>, DialectError>> {
    let PayloadDef::Dialect { name, map, options } = &publish.payload else { return None };
    Some(dialects.voice(&VoiceSpec { dialect: name, topic, device, signals, map, options }))
}

/// Adds the physicals of the plan's shard. `load` reads a physical's recording. Physicals are dealt out over shards by index;
/// a twin lives in the shard of its physical.
pub fn install<E>(
    world: &mut World,
    schedule: &mut Schedule,
    plan: &Plan,
    load: &dyn Fn(&PhysicalDef) -> Result<Feed, E>,
) -> Result<(), E> {
    let first: u32 = plan.groups.iter().map(|g| g.count).sum();
    let mut spoken_to = SpokenTo::default();
    for (i, def) in plan.scenario.physicals.iter().enumerate() {
        let i = i as u32;
        if i % plan.shard.1.max(1) == plan.shard.0 {
            let physical = Physical::new(def, load(def)?, first + i, plan);
            let filters = physical.speaker.as_ref().map_or_else(Vec::new, Speaker::filters);
            let entity = world.spawn(physical).id();
            for filter in filters.iter().filter_map(|f| TopicFilter::new(f).ok()) {
                spoken_to.0.add(filter, entity);
            }
        }
    }
    world.insert_resource(spoken_to);
    schedule.configure_sets(PhysicalSystems.after(TickSystems::Firmware).before(TickSystems::Publish));
    schedule.add_systems(publish_recordings.in_set(PhysicalSystems));
    world.get_resource_or_init::<StateHashers>().0.push(hash);
    Ok(())
}

/// Which physical listens to which topic.
#[derive(Resource, Default, Debug)]
struct SpokenTo(Router<Entity>);

fn publish_recordings(
    clock: Res<Clock>,
    inbox: Res<Inbox>,
    mut spoken_to: ResMut<SpokenTo>,
    mut physicals: Query<&mut Physical>,
    mut events: ResMut<Events>,
    mut outbox: ResMut<Outbox>,
    mut counters: ResMut<Counters>,
) {
    let before = outbox.0.len();
    if !spoken_to.0.is_empty() {
        for message in &inbox.0 {
            for entity in &*spoken_to.0.targets(&message.topic) {
                if let Ok(mut p) = physicals.get_mut(*entity) {
                    p.hear(message, clock.now, clock.epoch_unix_ms, &mut outbox.0);
                }
            }
        }
    }
    for mut p in &mut physicals {
        p.publish(clock.next, clock.epoch_unix_ms, &mut events.0, &mut outbox.0);
    }
    // Spawn order is stable, yet what leaves is sorted by the world's own key.
    outbox.0[before..].sort_by_key(|m| (m.due, m.publisher, m.seq));
    let n = (outbox.0.len() - before) as u64;
    if n > 0 {
        counters.add("physical_messages", n);
    }
}

fn hash(world: &mut World, hash: &mut StateHash) {
    let mut query = world.query::<&Physical>();
    for p in query.iter(world) {
        let mut bytes = Vec::with_capacity(16 + 8 * p.last.len());
        bytes.extend_from_slice(&(p.next as u64).to_le_bytes());
        bytes.extend_from_slice(&p.seq.to_le_bytes());
        for v in &p.last {
            bytes.extend_from_slice(&v.to_bits().to_le_bytes());
        }
        for v in p.speaker.iter().flat_map(|s| s.set()) {
            bytes.extend_from_slice(&v.to_bits().to_le_bytes());
        }
        hash.add(&format!("physical/{}", p.id), &bytes);
    }
}
