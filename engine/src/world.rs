//! What the systems of a tick share: clock, truth, rows, boxes, the state hash; and the order of the tick.
//!
//! A plugin is a function `install(world: &mut World, schedule: &mut Schedule, plan: &Plan)` beside the components it
//! adds. Systems are ordered by [`TickSystems`] alone; ambiguities are errors.

use crate::{
    message::Message,
    signal::SignalId,
    time::{SimTime, Span},
};
use bevy_ecs::{prelude::*, schedule::SystemSet};
use std::collections::HashMap;
use twox_hash::XxHash3_128;

/// The sets of a tick, in order.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TickSystems {
    /// Drains outside events: messages, timeline.
    Input,
    /// Weather, zones, fields.
    Environment,
    /// Rigid bodies.
    Physics,
    /// Lumped networks of devices that have dynamics.
    Dynamics,
    /// Batteries.
    Power,
    /// Sensor pipelines of the parts that are due.
    Sense,
    /// Declarative firmware: payloads, control laws, commands.
    Firmware,
    /// Links, queues, the outbox.
    Publish,
    /// Twins take in what arrived.
    Mirror,
    /// Forecasts.
    Predict,
    /// Residuals and verdicts.
    Compare,
    /// Rows and events of the tick are put in order.
    Gather,
    /// Expectations.
    Expect,
    /// Segments.
    Record,
}

/// Simulated time of the tick in progress: it covers `now..next`.
#[derive(Resource, Clone, Copy, Debug)]
pub struct Clock {
    /// Start of the tick.
    pub now: SimTime,
    /// End of the tick.
    pub next: SimTime,
    /// Its length.
    pub step: Span,
    /// Ticks done before this one.
    pub tick: u64,
    /// Unix time of the run's start, [ms].
    pub epoch_unix_ms: i64,
    /// End of the run.
    pub end: SimTime,
}

/// A place in [`Truth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TruthId(pub u32);

/// The simulated world's own values, by place: written by Environment and Physics, read by Sense.
///
/// A value holds over the tick. Where Physics sub-steps, a track holds one value per sub-step.
#[derive(Resource, Default, Debug)]
pub struct Truth {
    values: Vec<f64>,
    tracks: HashMap<u32, Vec<f64>>,
    names: HashMap<String, TruthId>,
    start: SimTime,
    step: Span,
}

impl Truth {
    /// The place of this name (`zone/<zone>/<quantity>`, `outside/<quantity>`, `part/<device>/<part>/<quantity>`), made if
    /// new. Units are the catalog's: degC, percent, hPa, lx, percent (soil), m/s2, rad/s, m, N.
    pub fn place(&mut self, name: &str) -> TruthId {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = TruthId(self.values.len() as u32);
        self.values.push(0.0);
        self.names.insert(name.to_owned(), id);
        id
    }

    /// The place of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<TruthId> {
        self.names.get(name).copied()
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sets the value for this tick.
    pub fn set(&mut self, id: TruthId, value: f64) {
        self.values[id.0 as usize] = value;
    }

    /// The value that holds over this tick (the last sub-step's, where there are sub-steps).
    #[inline]
    pub fn get(&self, id: TruthId) -> f64 {
        self.values[id.0 as usize]
    }

    /// Sets one value per sub-step of the tick that starts at `start` and lasts `step`.
    pub fn set_track(&mut self, id: TruthId, start: SimTime, step: Span, values: &[f64]) {
        self.start = start;
        self.step = step;
        let track = self.tracks.entry(id.0).or_default();
        track.clear();
        track.extend_from_slice(values);
        if let Some(last) = values.last() {
            self.values[id.0 as usize] = *last;
        }
    }

    /// Hands a place's value over the tick that starts at `start` to a place of another truth, with its track.
    pub fn copy(&self, from: TruthId, into: &mut Self, to: TruthId, start: SimTime, step: Span) {
        match self.tracks.get(&from.0) {
            Some(track) if !track.is_empty() => into.set_track(to, start, step, track),
            _ => into.set(to, self.get(from)),
        }
    }

    /// The value at an instant of the tick.
    #[inline]
    pub fn at(&self, id: TruthId, t: SimTime) -> f64 {
        match self.tracks.get(&id.0) {
            Some(track) if !track.is_empty() && self.step.0 > 0 => {
                let into = (t - self.start).0.clamp(0, self.step.0 - 1);
                let i = (into as i128 * track.len() as i128 / i128::from(self.step.0)) as usize;
                track[i]
            }
            _ => self.get(id),
        }
    }
}

/// One value of a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// When.
    pub t: SimTime,
    /// Which signal.
    pub signal: SignalId,
    /// How much, in the signal's unit.
    pub value: f64,
}

/// The rows of the tick in progress. Systems append in any order; the Expect and Record sets see them sorted by
/// (time, signal).
#[derive(Resource, Default, Debug)]
pub struct Rows(pub Vec<Row>);

/// Signals that somebody looks at. Systems emit rows for these only; nothing else may depend on it.
#[derive(Resource, Default, Debug)]
pub struct Watch(pub Vec<bool>);

impl Watch {
    /// Whether rows of this signal are wanted.
    #[inline]
    pub fn wants(&self, id: SignalId) -> bool {
        self.0.get(id.0 as usize).copied().unwrap_or(false)
    }
}

/// Something that happened, for the record, the report and the expectations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// When.
    pub t: SimTime,
    /// Device, zone or link it concerns.
    pub subject: String,
    /// Part or channel, where there is one.
    pub part: String,
    /// `fault_start`, `fault_end`, `verdict`, `verdict_end`, `brown_out`, `dropped`, `command`, ….
    pub kind: String,
    /// A sentence for people, or the fault's kind.
    pub detail: String,
    /// A figure, where there is one (size of a fault, posterior, count).
    pub value: f64,
    /// Unit of the figure, a symbol of [`crate::units`] or that over a time, such as `hPa/h`. Empty: it has none, or the kind says
    /// it.
    pub unit: String,
    /// The other one that it concerns: the stream that a swapped one is exchanged with. Empty: none.
    pub with: String,
    /// What led to it: the [id](crate::cause::id) of an earlier event, or the name of a signal. Empty: nothing that the run
    /// knows of, such as the timeline.
    pub cause: String,
}

/// The events of the tick in progress; sorted by (time, subject, part, kind) before Expect and Record see them.
#[derive(Resource, Default, Debug)]
pub struct Events(pub Vec<Event>);

/// Messages that arrived since the last tick, sorted by (publisher, sequence).
#[derive(Resource, Default, Debug)]
pub struct Inbox(pub Vec<Message>);

/// Messages handed to the radio this tick; `due` not yet set.
#[derive(Resource, Default, Debug)]
pub struct Submit(pub Vec<Message>);

/// Messages that the broker says in a device's name, as a last will: they come from no radio.
#[derive(Resource, Default, Debug)]
pub struct Wills(pub Vec<Message>);

/// Messages that reach the broker in this tick.
#[derive(Resource, Default, Debug)]
pub struct Outbox(pub Vec<Message>);

/// Counters for the summary, by name.
#[derive(Resource, Default, Debug)]
pub struct Counters(pub std::collections::BTreeMap<&'static str, u64>);

impl Counters {
    /// Adds to a counter.
    pub fn add(&mut self, name: &'static str, n: u64) {
        *self.0.entry(name).or_default() += n;
    }
}

/// The hash of a run's state: a wrapping sum of one hash per stable id, so that shards add up to the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateHash(pub u128);

impl StateHash {
    /// Adds the state of one stable id.
    pub fn add(&mut self, id: &str, state: &[u8]) {
        let seed = XxHash3_128::oneshot(id.as_bytes()) as u64;
        self.0 = self.0.wrapping_add(XxHash3_128::oneshot_with_seed(seed, state));
    }
}

/// Functions that add their plugin's state to the hash; each plugin pushes its own.
#[derive(Resource, Default)]
pub struct StateHashers(pub Vec<fn(&mut World, &mut StateHash)>);
