//! A run, tick by tick, and what it leaves: frames, spells, events, messages, series to plot.

use super::{
    history::{Frame, History, Pose},
    open::Opened,
    spell::Spells,
};
use std::{collections::VecDeque, sync::Arc};
use twinfleet_engine::{
    expect::{Expectations, Outcome},
    message::Message,
    physics::plugin::SceneState,
    record::{Bucket, Sampled, Sampler},
    run::{Run, RunError},
    signal::SignalId,
    time::SimTime,
    world::{Event, Events, Rows, Watch},
};
use twinfleet_twins::assemble::assemble_watching;

/// Memory for frames, [bytes].
const HISTORY_BYTES: usize = 192 << 20;
/// Signals whose every value counts in plots, and stretches of each; others are plotted from the frames.
const SAMPLED_SIGNALS: usize = 4_096;
const SAMPLED_BUCKETS: usize = 512;
/// Events and messages kept.
const MOST_EVENTS: usize = 100_000;
const MOST_MESSAGES: usize = 2_000;

/// A message as the traffic panel shows it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it reached the broker.
    pub t: SimTime,
    /// The message.
    pub message: Message,
}

/// What a run has left so far.
#[derive(Clone, Debug)]
pub struct Left {
    /// Simulated time reached.
    pub now: SimTime,
    /// When it ends.
    pub end: SimTime,
    /// Length of a tick.
    pub step_ns: i64,
    /// What the world was like.
    pub history: History,
    /// What lasts.
    pub spells: Spells,
    /// Everything that happened, up to a bound.
    pub events: Vec<Event>,
    /// Events beyond it.
    pub events_left_out: u64,
    /// The latest messages.
    pub traffic: VecDeque<Heard>,
    /// Messages so far.
    pub messages: u64,
    /// The state hash at the end, once there.
    pub hash: Option<u128>,
    /// How the expectations came out, once there.
    pub outcomes: Vec<Outcome>,
}

impl Left {
    /// Catches up with a later state of the same run.
    pub fn take_from(&mut self, later: &Self) {
        (self.now, self.messages, self.hash) = (later.now, later.messages, later.hash);
        self.history.clone_from(&later.history);
        self.spells.0.clone_from(&later.spells.0);
        self.events.extend_from_slice(&later.events[self.events.len().min(later.events.len())..]);
        self.events_left_out = later.events_left_out;
        self.traffic.clone_from(&later.traffic);
        self.outcomes.clone_from(&later.outcomes);
    }
}

/// A run in progress.
pub struct Player {
    run: Run,
    latest: Vec<f32>,
    sent: Vec<SimTime>,
    inbox: Vec<Message>,
    left: Left,
}

impl Player {
    /// Sets up the run of a scenario; every signal is watched, which changes nothing.
    ///
    /// # Errors
    /// Bad input that only setting up can find, or threads that cannot be started.
    pub fn new(opened: &Opened, threads: usize) -> Result<Self, RunError> {
        let plan = &opened.plan;
        let signals = plan.signals.len();
        let sampled = Sampled::new(Sampler::new(SAMPLED_SIGNALS, SAMPLED_BUCKETS), 0);
        let watch = Watch(vec![true; signals]);
        let run = assemble_watching(&opened.loaded, plan, threads, None, sampled, watch)?;
        let devices = plan.physical_ordinal(plan.scenario.physicals.len()) as usize;
        let left = Left {
            now: run.now(),
            end: run.end(),
            step_ns: run.step().0,
            history: History::new(HISTORY_BYTES),
            spells: Spells::default(),
            events: Vec::new(),
            events_left_out: 0,
            traffic: VecDeque::new(),
            messages: 0,
            hash: None,
            outcomes: Vec::new(),
        };
        let mut player = Self {
            run,
            latest: vec![f32::NAN; signals],
            sent: vec![SimTime::NEVER; devices],
            inbox: Vec::new(),
            left,
        };
        player.keep_frame();
        Ok(player)
    }

    /// Advances one tick; whether there was one left.
    pub fn tick(&mut self) -> bool {
        if self.run.is_over() {
            return false;
        }
        let outbox = self.run.tick(std::mem::take(&mut self.inbox));
        self.left.now = self.run.now();
        self.take_rows();
        self.take_messages(&outbox);
        self.inbox = outbox;
        self.keep_frame();
        if self.run.is_over() {
            self.left.hash = Some(self.run.state_hash().0);
            let now = self.run.now();
            if let Some(expectations) = self.run.world().get_resource::<Expectations>() {
                self.left.outcomes = expectations.0.finish(now);
            }
        }
        true
    }

    /// Advances to an instant, or to the end.
    pub fn run_until(&mut self, t: SimTime) {
        while self.left.now < t && self.tick() {}
    }

    /// What it has left so far.
    pub const fn left(&self) -> &Left {
        &self.left
    }

    /// A signal's stretches, where every value of it counts.
    pub fn series(&self, id: SignalId) -> Vec<Bucket> {
        let sampled = self.run.world().get_resource::<Sampled>();
        sampled.map_or_else(Vec::new, |s| s.sampler.series(id).copied().collect())
    }

    fn take_rows(&mut self) {
        let world = self.run.world();
        for row in &world.resource::<Rows>().0 {
            if let Some(value) = self.latest.get_mut(row.signal.0 as usize) {
                *value = row.value as f32;
            }
        }
        let events = &world.resource::<Events>().0;
        for event in events {
            self.left.spells.take(event);
        }
        let room = MOST_EVENTS - self.left.events.len().min(MOST_EVENTS);
        let taken = events.len().min(room);
        self.left.events.extend_from_slice(&events[..taken]);
        self.left.events_left_out += (events.len() - taken) as u64;
    }

    fn take_messages(&mut self, outbox: &[Message]) {
        self.left.messages += outbox.len() as u64;
        for message in outbox {
            if let Some(sent) = self.sent.get_mut(message.publisher as usize) {
                *sent = message.sent;
            }
            if self.left.traffic.len() == MOST_MESSAGES {
                self.left.traffic.pop_front();
            }
            self.left.traffic.push_back(Heard { t: self.left.now, message: message.clone() });
        }
    }

    fn keep_frame(&mut self) {
        let scene = self.run.world().get_resource::<SceneState>().map(|s| &s.scene);
        let pose = |i: usize| {
            let state = scene.map(|s| s.state(i))?;
            let rotation = state.rotation.map(|v| v as f32);
            Some(Pose { position_m: state.position_m.map(|v| v as f32), rotation })
        };
        let bodies = (0..scene.map_or(0, twinfleet_engine::physics::scene::Scene::len)).filter_map(pose);
        self.left.history.push(Frame {
            t: self.left.now,
            values: Arc::from(self.latest.as_slice()),
            bodies: bodies.collect(),
            sent: Arc::from(self.sent.as_slice()),
            messages: self.left.messages,
        });
    }
}
