//! Firmware that the engine does not run itself: the seam for a user's own device code.
//!
//! A [`Program`] has its turn once a tick, in the order of the devices' ordinals: it hears the messages on the topics that it
//! subscribed to, runs until it needs what comes at or after the tick's end, and leaves what it said, did and showed. Programs
//! of different devices share nothing, so they run side by side on the run's own threads, and what they leave is put
//! together in their order: the run stays the same at any thread count.
//!
//! A program that fails for a reason outside the simulation (its process hangs, say) ends the run: see [`Programs::failed`].
//!
//! Resources: [`Programs`], [`Rests`]. Set: Firmware, before the control loops.

use crate::{
    actuate::ActuatorBank,
    environment::EnvironmentSystems,
    firmware::{control::ControlSystems, outage::Boards},
    message::{Message, Router, TopicFilter},
    plan::Plan,
    time::SimTime,
    world::{Clock, Counters, Event, Events, Inbox, StateHash, StateHashers, Submit, TickSystems, Wills},
};
use bevy_ecs::prelude::*;
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Messages that a program has not taken yet; the oldest is dropped and counted.
const HEARD: usize = 1024;

/// A device's own code.
pub trait Program: Send {
    /// When it wants to run again; [`SimTime::NEVER`] where only a message could wake it.
    fn next(&self) -> SimTime;

    /// Whether a message would wake it before that.
    fn listens(&self) -> bool;

    /// Runs it to the end of the tick.
    fn run(&mut self, turn: &mut Turn);

    /// Everything of it that decides its future, as far as the run can see it.
    fn hash_into(&self, bytes: &mut Vec<u8>);
}

/// What a program gets and leaves in a tick.
#[derive(Debug, Default)]
pub struct Turn {
    /// Start of the tick.
    pub now: SimTime,
    /// Its end.
    pub until: SimTime,
    /// Messages on its topics, in the order of their arrival.
    pub heard: Vec<Message>,
    /// What its supply did to its board since its last turn: when it gave way; None: it holds again.
    pub supply: Vec<Option<SimTime>>,
    /// What it published: when, topic, payload, QoS, retain.
    pub said: Vec<Said>,
    /// Actuators that it drove: when, part, level.
    pub levels: Vec<(SimTime, String, f64)>,
    /// Filters that it subscribed to.
    pub filters: Vec<TopicFilter>,
    /// From when on its board draws so much less than one that runs, [mA]; in order.
    pub rests: Vec<(SimTime, f64)>,
    /// What happened to it.
    pub events: Vec<Event>,
    /// Counts for the summary.
    pub counts: Vec<(&'static str, u64)>,
    /// Why the run cannot go on.
    pub failed: Option<String>,
}

/// A message as a program hands it to its device's radio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// When.
    pub at: SimTime,
    /// MQTT topic.
    pub topic: String,
    /// MQTT payload.
    pub payload: Vec<u8>,
    /// MQTT quality of service, 0–2.
    pub qos: u8,
    /// MQTT retain flag.
    pub retain: bool,
    /// Whether it is the broker that says it in the device's name: its will, which no radio sends.
    pub will: bool,
}

/// What devices save by their programs' rest, beside what a board draws that runs all the time.
#[derive(Resource, Debug, Default)]
pub struct Rests(BTreeMap<(usize, u32), Rest>);

#[derive(Debug, Default)]
struct Rest {
    /// Saved until `since`, [mA·s].
    saved_ma_s: f64,
    since: SimTime,
    /// And from then on, [mA].
    ma: f64,
}

impl Rest {
    fn saved_ma_s(&self, t: SimTime) -> f64 {
        self.saved_ma_s + self.ma * (t - self.since).as_secs_f64().max(0.0)
    }
}

impl Rests {
    /// Charge that a device (by its group and its place in it) has saved until an instant, [mAh].
    pub(crate) fn saved_mah(&self, device: (usize, u32), t: SimTime) -> f64 {
        self.0.get(&device).map_or(0.0, |rest| rest.saved_ma_s(t) / 3600.0)
    }

    fn change(&mut self, device: (usize, u32), at: SimTime, ma: f64) {
        let rest = self.0.entry(device).or_default();
        *rest = Rest { saved_ma_s: rest.saved_ma_s(at), since: at, ma };
    }
}

/// One device and its program.
struct Entry {
    ordinal: u32,
    device: String,
    /// Bank and first unit of its actuators, where it has some.
    group: usize,
    index: u32,
    /// Behind a lock only because the world is shared; nobody ever waits for it.
    program: Mutex<Box<dyn Program>>,
    turn: Turn,
    seq: u64,
}

/// The programs of a run, in the order of their devices.
#[derive(Resource, Default)]
pub struct Programs {
    entries: Vec<Entry>,
    subscriptions: Subscriptions,
    failed: Option<String>,
}

/// Who subscribed to what, each once, however often it said so: a device that sleeps deeply does at each start.
#[derive(Default)]
struct Subscriptions {
    router: Router<u32>,
    all: BTreeSet<(u32, String)>,
    /// Those that nobody has asked for yet.
    fresh: Vec<(u32, String)>,
}

impl Subscriptions {
    /// The device of this ordinal, the one at this place in the run, wants what fits.
    fn add(&mut self, ordinal: u32, place: u32, filter: TopicFilter) {
        let own = (ordinal, filter.as_str().to_owned());
        if self.all.insert(own.clone()) {
            self.fresh.push(own);
            self.router.add(filter, place);
        }
    }
}

impl Programs {
    /// Why the run cannot go on, if a program says so.
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Subscriptions since the last time that somebody asked: ordinal of the device, and filter.
    pub fn take_subscriptions(&mut self) -> Vec<(u32, String)> {
        std::mem::take(&mut self.subscriptions.fresh)
    }
}

/// Makes the program of a device: group, index in it, id.
pub type MakeProgram<'a, E> = dyn FnMut(usize, u32, &str) -> Result<Box<dyn Program>, E> + 'a;

/// Adds the programs of a plan to a run: `make` gives one for each device whose firmware is a script, by the group's place in
/// the plan, the index within it and the id. After `sense::install` and `control::install`.
///
/// # Errors
/// What `make` could not do.
pub fn install<E>(
    world: &mut World,
    schedule: &mut Schedule,
    plan: &Plan,
    make: &mut MakeProgram<'_, E>,
) -> Result<(), E> {
    let mut programs = Programs::default();
    for (g, group) in plan.groups.iter().enumerate() {
        if group.firmware.as_ref().is_none_or(|f| f.script.is_none()) {
            continue;
        }
        for index in (0..group.count).filter(|i| plan.owns(group, *i)) {
            let device = plan.device_id(group, index);
            let program = make(g, index, &device)?;
            let ordinal = group.first + index;
            programs.entries.push(Entry {
                ordinal,
                device,
                group: g,
                index,
                program: Mutex::new(program),
                turn: Turn::default(),
                seq: 0,
            });
        }
    }
    if programs.entries.is_empty() {
        return Ok(());
    }
    world.insert_resource(programs);
    world.insert_resource(Rests::default());
    world.get_resource_or_init::<StateHashers>().0.push(hash_programs);
    schedule.add_systems(hear.in_set(EnvironmentSystems::Hear).before(ControlSystems::Hear));
    // Both look at the actuators' levels, of which a payload tells those before this turn.
    let after = super::compose_messages;
    schedule.add_systems(run_programs.in_set(TickSystems::Firmware).after(after).before(ControlSystems::Run));
    Ok(())
}

/// Hands what arrived to those who listen, and tells those whose boards lost their supply or have it again.
fn hear(
    inbox: Res<Inbox>,
    boards: Res<Boards>,
    mut programs: ResMut<Programs>,
    mut counters: ResMut<Counters>,
) {
    let programs = &mut *programs;
    for board in &boards.0 {
        if let Ok(of) = programs.entries.binary_search_by_key(&board.ordinal, |e| e.ordinal) {
            programs.entries[of].turn.supply.push(board.reset);
        }
    }
    if programs.subscriptions.router.is_empty() {
        return;
    }
    let Programs { subscriptions, entries, .. } = &mut *programs;
    for message in &inbox.0 {
        let targets = subscriptions.router.targets(&message.topic);
        for (i, target) in targets.iter().enumerate() {
            // One client gets a message once, however many of its filters fit.
            if targets[..i].contains(target) {
                continue;
            }
            let heard = &mut entries[*target as usize].turn.heard;
            if heard.len() >= HEARD {
                heard.remove(0);
                counters.add("script_messages_dropped", 1);
            }
            heard.push(message.clone());
        }
    }
}

fn run_programs(
    clock: Res<Clock>,
    mut programs: ResMut<Programs>,
    mut banks: Query<&mut ActuatorBank>,
    (mut submit, mut wills): (ResMut<Submit>, ResMut<Wills>),
    mut events: ResMut<Events>,
    mut counters: ResMut<Counters>,
    mut rests: ResMut<Rests>,
) {
    let programs = &mut *programs;
    programs.entries.par_iter_mut().for_each(|Entry { program, turn, .. }| {
        let program = program.get_mut().unwrap_or_else(PoisonError::into_inner);
        let told = !turn.supply.is_empty() || (!turn.heard.is_empty() && program.listens());
        if program.next() < clock.next || told {
            (turn.now, turn.until) = (clock.now, clock.next);
            program.run(turn);
        }
    });
    for (number, entry) in programs.entries.iter_mut().enumerate() {
        let turn = &mut entry.turn;
        for said in turn.said.drain(..) {
            let out = if said.will { &mut wills.0 } else { &mut submit.0 };
            out.push(Message {
                sent: said.at,
                due: said.at,
                publisher: entry.ordinal,
                seq: entry.seq,
                topic: said.topic.into(),
                payload: Arc::from(said.payload),
                qos: said.qos,
                retain: said.retain,
            });
            entry.seq += 1;
        }
        for (at, part, level) in turn.levels.drain(..) {
            for mut bank in banks.iter_mut().filter(|b| b.group == entry.group) {
                let unit = bank
                    .units
                    .iter()
                    .position(|u| u.device == entry.index && bank.parts[u.part as usize].0 == part);
                if let Some(unit) = unit {
                    bank.command(unit, level, at, "by its script", &mut events);
                }
            }
        }
        for (at, ma) in turn.rests.drain(..) {
            rests.change((entry.group, entry.index), at, ma);
        }
        for filter in turn.filters.drain(..) {
            programs.subscriptions.add(entry.ordinal, number as u32, filter);
        }
        for (name, n) in turn.counts.drain(..) {
            counters.add(name, n);
        }
        events.0.append(&mut turn.events);
        if let Some(why) = turn.failed.take() {
            programs.failed.get_or_insert(why);
        }
    }
}

fn hash_programs(world: &mut World, hash: &mut StateHash) {
    let mut bytes = Vec::new();
    for entry in &world.resource::<Programs>().entries {
        bytes.clear();
        entry.program.lock().unwrap_or_else(PoisonError::into_inner).hash_into(&mut bytes);
        hash.add(&format!("script/{}", entry.device), &bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_subscribes_at_each_start_is_one_target_and_not_one_for_each() {
        let mut subscriptions = Subscriptions::default();
        for (ordinal, place, filter) in
            [(7, 0, "a/b"), (9, 1, "a/+"), (7, 0, "a/b"), (9, 1, "a/+"), (9, 1, "a/b")]
        {
            subscriptions.add(ordinal, place, TopicFilter::new(filter).unwrap());
        }
        let topic: Arc<str> = "a/b".into();
        assert_eq!(*subscriptions.router.targets(&topic), [0, 1, 1], "of two filters of one, each");
        let told = [(7, "a/b"), (9, "a/+"), (9, "a/b")].map(|(ordinal, filter)| (ordinal, filter.to_owned()));
        assert_eq!(subscriptions.fresh, told);
    }
}
