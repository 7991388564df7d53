//! What a run, a record or a live mirror has left so far, and the ledger that books it: rows, events, messages, frames.

use super::{
    history::{Frame, History, Pose},
    spell::{Planned, Spells},
    traffic::Traffic,
};
use crate::fleet::{Fleet, of_block};
use std::{collections::HashMap, sync::Arc};
use twinfleet_engine::{
    expect::Outcome,
    message::Message,
    plan::Plan,
    signal::{Kind, SignalId},
    time::SimTime,
    world::{Event, Row},
};

/// Memory for frames, [bytes].
const HISTORY_BYTES: usize = 192 << 20;
/// Memory for messages, [bytes].
const TRAFFIC_BYTES: usize = 48 << 20;
/// Events kept.
const MOST_EVENTS: usize = 100_000;

/// What has been left so far.
#[derive(Clone, Debug)]
pub struct Left {
    /// Simulated time reached.
    pub now: SimTime,
    /// When it ends; of a live mirror, the time reached.
    pub end: SimTime,
    /// Length of a tick.
    pub step_ns: i64,
    /// What the world was like.
    pub history: History,
    /// What lasts: so far, and of a record, in all of it.
    pub spells: Spells,
    /// Whether all spells are known ahead.
    pub foreseen: bool,
    /// Everything that happened, up to a bound.
    pub events: Vec<Event>,
    /// Events beyond it.
    pub events_left_out: u64,
    /// Messages.
    pub traffic: Traffic,
    /// Messages so far.
    pub messages: u64,
    /// The state hash at the end, once there.
    pub hash: Option<u128>,
    /// How the expectations came out, once there.
    pub outcomes: Vec<Outcome>,
    /// What a user should know of where this comes from: the broker is away, the record is cut short.
    pub note: Option<String>,
    /// Why it went no further than its end, where something outside the simulation failed, such as a script's runtime.
    pub failed: Option<String>,
}

impl Left {
    /// Up to when spells are known: those that have no end yet last until then.
    pub const fn known(&self) -> SimTime {
        if self.foreseen { self.end } else { self.now }
    }

    /// Catches up with a later state of the same source.
    pub fn take_from(&mut self, later: &Self) {
        (self.now, self.end) = (later.now, later.end);
        (self.messages, self.hash) = (later.messages, later.hash);
        self.history.clone_from(&later.history);
        self.spells.0.clone_from(&later.spells.0);
        self.events.extend_from_slice(&later.events[self.events.len().min(later.events.len())..]);
        self.events_left_out = later.events_left_out;
        self.traffic.follow(&later.traffic);
        self.failed.clone_from(&later.failed);
        self.outcomes.clone_from(&later.outcomes);
        self.note.clone_from(&later.note);
    }
}

/// Books what comes, tick by tick.
pub struct Ledger {
    latest: Vec<f32>,
    sent: Vec<SimTime>,
    /// Ordinals of the devices whose reports arrive by these signals: where messages themselves are not to be had, that a
    /// twin has heard tells that one was sent.
    reported: HashMap<SignalId, u32>,
    /// What only the timeline says.
    planned: Planned,
    /// What is left.
    pub left: Left,
}

impl Ledger {
    /// An empty one.
    pub fn new(plan: &Plan, end: SimTime, step_ns: i64) -> Self {
        let devices = plan.physical_ordinal(plan.scenario.physicals.len()) as usize;
        let left = Left {
            now: SimTime::ZERO,
            end,
            step_ns,
            history: History::new(HISTORY_BYTES),
            spells: Spells::default(),
            foreseen: false,
            events: Vec::new(),
            events_left_out: 0,
            traffic: Traffic::new(TRAFFIC_BYTES),
            messages: 0,
            hash: None,
            outcomes: Vec::new(),
            note: None,
            failed: None,
        };
        Self {
            latest: vec![f32::NAN; plan.signals.len()],
            sent: vec![SimTime::NEVER; devices + plan.scenario.mirror.len()],
            reported: HashMap::new(),
            planned: Planned::of(plan),
            left,
        }
    }

    /// Takes reports that arrive at twins for messages.
    pub fn hear_by_reports(&mut self, plan: &Plan, fleet: &Fleet) {
        for (def, block) in plan.scenario.mirror.iter().zip(&plan.twin_blocks) {
            let Some(ordinal) = fleet.find(&def.twin).and_then(|d| fleet.devices[d].ordinal) else {
                continue;
            };
            let reports =
                of_block(plan, *block, 0).filter(|id| plan.signals.channel(*id).kind == Kind::Reported);
            self.reported.extend(reports.map(|id| (id, ordinal)));
        }
    }

    /// Takes in rows.
    pub fn rows<'a>(&mut self, rows: impl IntoIterator<Item = &'a Row>) {
        for row in rows {
            if let Some(value) = self.latest.get_mut(row.signal.0 as usize) {
                *value = row.value as f32;
            }
            if let Some(ordinal) = self.reported.get(&row.signal)
                && let Some(sent) = self.sent.get_mut(*ordinal as usize)
            {
                *sent = row.t;
            }
        }
    }

    /// Takes in what is to happen: no event that comes later begins or ends a spell.
    pub fn foresee(&mut self, events: &[Event]) {
        events.iter().for_each(|event| self.left.spells.take(event, &self.planned));
        self.left.foreseen = true;
    }

    /// Takes in events.
    pub fn events(&mut self, events: &[Event]) {
        if !self.left.foreseen {
            events.iter().for_each(|event| self.left.spells.take(event, &self.planned));
        }
        let room = MOST_EVENTS - self.left.events.len().min(MOST_EVENTS);
        let taken = events.len().min(room);
        self.left.events.extend_from_slice(&events[..taken]);
        self.left.events_left_out += (events.len() - taken) as u64;
    }

    /// Takes in messages, at the time reached.
    pub fn messages(&mut self, outbox: &[Message]) {
        self.left.messages += outbox.len() as u64;
        // They come in any order within a tick.
        let mut all: Vec<&Message> = outbox.iter().collect();
        all.sort_by_key(|m| m.sent);
        for message in all {
            if let Some(sent) = self.sent.get_mut(message.publisher as usize) {
                *sent = message.sent;
            }
            self.left.traffic.push(self.left.now, message.clone());
        }
    }

    /// The latest value of a signal.
    pub fn latest(&self, id: SignalId) -> Option<f32> {
        self.latest.get(id.0 as usize).copied().filter(|v| !v.is_nan())
    }

    /// Keeps a frame of the time reached.
    pub fn keep_frame(&mut self, bodies: Arc<[Pose]>) {
        self.planned.reach(self.left.known(), &mut self.left.spells);
        self.left.history.push(Frame {
            t: self.left.now,
            values: Arc::from(self.latest.as_slice()),
            bodies,
            sent: Arc::from(self.sent.as_slice()),
            messages: self.left.messages,
        });
    }
}
