//! Commands in and control loops: what devices do with the messages they hear.
//!
//! Two steps of a tick. In `EnvironmentSystems::Hear` what arrived is sorted to commands (an actuator's level) and to
//! controllers (the last value heard on each topic), as far as their devices can hear it ([`mailbox`]). In the Firmware set controllers wake on their own period and hand
//! their levels to the radio through [`Submit`]. A payload that cannot be read is an event and a count. Of a board that was
//! reset, actuators are let go and control loops begin anew.
//!
//! A controller's input is the mean over the topics heard within `stale`. It publishes when the level changes, and every
//! tenth wake besides, so that an actuator that missed a message recovers.
//!
//! ```
//! use twinfleet_engine::{catalog::LawDef, firmware::control};
//! let heater = LawDef::OnBelow { on_below: 16.0, off_above: 18.0 };
//! assert_eq!(control::law(&heater, 15.9, 0.0), 1.0);
//! assert_eq!(control::law(&heater, 17.0, 1.0), 1.0);
//! assert_eq!(control::law(&heater, 17.0, 0.0), 0.0);
//! assert_eq!(control::level(b"ON", None).unwrap(), 1.0);
//! ```

mod desire;
mod mailbox;
mod pointer;

pub use desire::OPERATOR;
pub use pointer::{Pointer, PointerError, Scalar};

use crate::{
    actuate::ActuatorBank,
    catalog::{ControlDef, LawDef},
    environment::EnvironmentSystems,
    firmware::outage::Boards,
    message::{Message, Router, TopicFilter},
    plan::{GroupPlan, Plan},
    rng::{Rng, stream},
    sense::Cohort,
    time::{SimTime, Span},
    world::{Clock, Counters, Event, Events, Inbox, StateHash, StateHashers, Submit, TickSystems},
};
use bevy_ecs::{prelude::*, system::SystemParam};
use mailbox::Mailboxes;
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

/// Wakes after which a level is published although it did not change.
pub const REFRESH_WAKES: u32 = 10;

/// Topics that one control loop remembers; values on further ones are counted and left.
const HEARD_TOPICS: usize = 1 << 16;

/// The level, 0–1, that a law gives for an input after the level `last`.
pub fn law(law: &LawDef, input: f64, last: f64) -> f64 {
    match *law {
        LawDef::OnBelow { on_below, off_above } => two_point(input < on_below, input > off_above, last),
        LawDef::OnAbove { on_above, off_below } => two_point(input > on_above, input < off_below, last),
        LawDef::Proportional { gain, at } => (gain * (input - at)).clamp(0.0, 1.0),
    }
}

fn two_point(on: bool, off: bool, last: f64) -> f64 {
    match (on, off) {
        (true, _) => 1.0,
        (_, true) => 0.0,
        _ if last >= 0.5 => 1.0,
        _ => 0.0,
    }
}

/// Why a payload is no level.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LevelError {
    /// Not a text.
    #[error("the payload is not UTF-8 text")]
    Binary,
    /// None of the words, and no number.
    #[error("`{0}` is no level: send a number from 0 to 1, ON, OFF, true or false")]
    Word(String),
    /// A number, but no level.
    #[error("the level {0} is not from 0 to 1")]
    Range(f64),
    /// The value within the payload could not be had.
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

/// The level, 0–1, that a command's payload asks for: a number, `ON`/`OFF`, `true`/`false` in any case, alone or at
/// `pointer` within JSON.
pub fn level(payload: &[u8], pointer: Option<&Pointer>) -> Result<f64, LevelError> {
    let value = match pointer {
        Some(p) => match p.find(payload)? {
            Scalar::Number(x) => x,
            Scalar::Bool(on) => f64::from(u8::from(on)),
            Scalar::Text(text) => word(&text)?,
        },
        None => word(std::str::from_utf8(payload).map_err(|_| LevelError::Binary)?)?,
    };
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(LevelError::Range(value)) }
}

fn word(text: &str) -> Result<f64, LevelError> {
    let text = text.trim();
    for (word, level) in [("on", 1.0), ("true", 1.0), ("off", 0.0), ("false", 0.0)] {
        if text.eq_ignore_ascii_case(word) {
            return Ok(level);
        }
    }
    // The start of a long payload is enough to find it by.
    text.parse().map_err(|_| LevelError::Word(text.chars().take(40).collect()))
}

/// The two steps of a tick.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlSystems {
    /// What arrived is sorted.
    Hear,
    /// Controllers wake.
    Run,
}

/// Where a command of a topic goes.
#[derive(Clone, Debug)]
struct CommandTarget {
    ordinal: u32,
    bank: Entity,
    unit: u32,
    pointer: Option<Arc<Pointer>>,
}

/// What a message is to a device that hears it.
#[derive(Clone, Debug)]
enum Target {
    Command(CommandTarget),
    Input { ordinal: u32, controller: Entity, at: u32 },
}

impl Target {
    /// Ordinal of the device.
    fn ordinal(&self) -> u32 {
        match self {
            Self::Command(c) => c.ordinal,
            Self::Input { ordinal, .. } => *ordinal,
        }
    }

    /// What tells it from others.
    fn key(&self) -> (Entity, u32) {
        match self {
            Self::Command(c) => (c.bank, c.unit),
            Self::Input { controller, at, .. } => (*controller, *at),
        }
    }
}

/// Who hears which topic.
#[derive(Resource, Default)]
pub struct Subscriptions {
    router: Router<Target>,
}

/// One control loop of a device.
#[derive(Debug)]
struct Loop {
    def: Arc<ControlDef>,
    pointer: Pointer,
    output: Arc<str>,
    /// Last value on each topic, and when it was heard. In the order of the topics, as the mean's bits depend on it.
    heard: BTreeMap<Arc<str>, (f64, SimTime)>,
    level: f64,
    published: Option<f64>,
    wakes_since: u32,
}

/// The control loops of one device.
#[derive(Component, Debug)]
pub struct Controller {
    device: String,
    ordinal: u32,
    loops: Vec<Loop>,
    period: Span,
    jitter_ns: f64,
    next: SimTime,
    rng: Rng,
    seq: u64,
}

impl Controller {
    fn new(plan: &Plan, group: &GroupPlan, i: u32) -> Option<Self> {
        let firmware = group.firmware.as_ref()?;
        let device = plan.device_id(group, i);
        let zone = zone_name(plan, group, i);
        let loops: Vec<_> = firmware.control.iter().filter_map(|def| Loop::new(def, &device, zone)).collect();
        if loops.is_empty() {
            return None;
        }
        let period = Span(firmware.period.0.max(1_000_000));
        let mut rng = stream(plan.seed, &device, "control/wake");
        let phase = (rng.random::<f64>() * period.0 as f64) as i64;
        Some(Self {
            ordinal: group.first + i,
            loops,
            period,
            jitter_ns: firmware.jitter.0 as f64,
            next: SimTime(phase.min(period.0 - 1)),
            rng,
            seq: 0,
            device,
        })
    }

    /// Runs every wake before `end`.
    fn run(&mut self, end: SimTime, submit: &mut Vec<Message>) {
        while self.next < end {
            let now = self.next;
            for l in &mut self.loops {
                if let Some(level) = l.wake(now) {
                    submit.push(Message {
                        sent: now,
                        due: now,
                        publisher: self.ordinal,
                        seq: self.seq,
                        topic: Arc::clone(&l.output),
                        payload: level_text(level).into_bytes().into(),
                        qos: 1,
                        retain: false,
                    });
                    self.seq += 1;
                }
            }
            let error: f64 = StandardNormal.sample(&mut self.rng);
            // However large the jitter, time goes on.
            let wait = (self.period.0 as f64 + self.jitter_ns * error).max(self.period.0 as f64 * 0.1);
            self.next = now + Span(wait.round() as i64);
        }
    }
}

/// A level as it is published: at most three decimals, which is finer than any actuator here.
fn level_text(level: f64) -> String {
    format!("{}", (level * 1000.0).round() / 1000.0)
}

impl Loop {
    fn new(def: &ControlDef, device: &str, zone: &str) -> Option<Self> {
        Some(Self {
            pointer: Pointer::new(&def.pointer).ok()?,
            output: fill(&def.output, device, zone).into(),
            def: Arc::new(def.clone()),
            heard: BTreeMap::new(),
            level: 0.0,
            published: None,
            wakes_since: 0,
        })
    }

    /// Begins anew, knowing nothing.
    fn start(&mut self) {
        self.heard.clear();
        (self.level, self.published, self.wakes_since) = (0.0, None, 0);
    }

    /// Takes in a value; whether there was room for its topic.
    fn hear(&mut self, topic: &Arc<str>, value: f64, t: SimTime) -> bool {
        if let Some(known) = self.heard.get_mut(topic) {
            *known = (value, t);
        } else if self.heard.len() < HEARD_TOPICS {
            self.heard.insert(Arc::clone(topic), (value, t));
        } else {
            return false;
        }
        true
    }

    /// The level to publish now, if any.
    fn wake(&mut self, now: SimTime) -> Option<f64> {
        let stale = self.def.stale;
        self.heard.retain(|_, (_, at)| now - *at <= stale);
        let level = if self.heard.is_empty() {
            self.def.fallback.map(|l| l.clamp(0.0, 1.0))
        } else {
            let mean = self.heard.values().map(|(x, _)| x).sum::<f64>() / self.heard.len() as f64;
            Some(law(&self.def.law, mean, self.level))
        };
        // Without an input and without a fallback the last level holds; before the first input there is none.
        let level = match level {
            Some(level) => level,
            None => self.published?,
        };
        self.level = level;
        self.wakes_since += 1;
        // What is compared is what is sent.
        let sent = (level * 1000.0).round() / 1000.0;
        let due = self.published != Some(sent) || self.wakes_since >= REFRESH_WAKES;
        due.then(|| {
            self.published = Some(sent);
            self.wakes_since = 0;
            sent
        })
    }
}

fn zone_name<'a>(plan: &'a Plan, group: &GroupPlan, i: u32) -> &'a str {
    group.zone(i).map_or("outside", |z| &plan.scenario.world.zones[z].id)
}

/// A topic with its `{device}` and `{zone}` filled in; outside every zone that is `outside`.
pub fn fill(topic: &str, device: &str, zone: &str) -> String {
    topic.replace("{device}", device).replace("{zone}", zone)
}

/// Adds the commands and control loops of a plan to a run. After `actuate::install`.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    let mut router = Router::default();
    add_commands(world, plan, &mut router);
    for group in &plan.groups {
        for i in (0..group.count).filter(|i| plan.owns(group, *i)) {
            let Some(controller) = Controller::new(plan, group, i) else { continue };
            let zone = zone_name(plan, group, i);
            let filters: Vec<_> =
                controller.loops.iter().map(|l| fill(&l.def.input, &controller.device, zone)).collect();
            let entity = world.spawn(controller).id();
            for (at, filter) in filters.into_iter().enumerate() {
                if let Ok(filter) = TopicFilter::new(&filter) {
                    let target =
                        Target::Input { ordinal: group.first + i, controller: entity, at: at as u32 };
                    router.add(filter, target);
                }
            }
        }
    }
    world.insert_resource(Subscriptions { router });
    world.init_resource::<Submit>();
    world.init_resource::<Boards>();
    world.init_resource::<Mailboxes>();
    world.get_resource_or_init::<StateHashers>().0.push(hash_controllers);
    schedule.configure_sets((
        ControlSystems::Hear.in_set(EnvironmentSystems::Hear),
        ControlSystems::Run.in_set(TickSystems::Firmware),
    ));
    let hears = (follow_boards, hear).chain().in_set(ControlSystems::Hear);
    schedule.add_systems((hears, run_controllers.in_set(ControlSystems::Run)));
    desire::install(world, schedule, plan);
}

/// Subscribes every actuator to the topics of its device's commands.
fn add_commands(world: &mut World, plan: &Plan, router: &mut Router<Target>) {
    let mut banks = world.query::<(Entity, &ActuatorBank)>();
    let mut banks: Vec<_> = banks.iter(world).collect();
    banks.sort_by_key(|(_, b)| b.group);
    for (entity, bank) in banks {
        let group = &plan.groups[bank.group];
        let Some(firmware) = &group.firmware else { continue };
        let mut pointers = HashMap::new();
        for command in &firmware.commands {
            let Some(part) = bank.parts.iter().position(|(id, _)| *id == command.part) else { continue };
            let pointer = command.pointer.as_deref().and_then(|p| {
                let known = pointers.entry(p).or_insert_with(|| Pointer::new(p).ok().map(Arc::new));
                known.clone()
            });
            for (at, unit) in bank.units.iter().enumerate().filter(|(_, u)| u.part as usize == part) {
                let topic = fill(&command.topic, bank.device_id(at), zone_name(plan, group, unit.device));
                if let Ok(filter) = TopicFilter::new(&topic) {
                    let pointer = pointer.clone();
                    let ordinal = group.first + unit.device;
                    let target = CommandTarget { ordinal, bank: entity, unit: at as u32, pointer };
                    router.add(filter, Target::Command(target));
                }
            }
        }
    }
}

/// Tells actuators, control loops and brokers of boards that were reset or run again.
fn follow_boards(
    clock: Res<Clock>,
    mut boards: ResMut<Boards>,
    mut mailboxes: ResMut<Mailboxes>,
    mut banks: Query<&mut ActuatorBank>,
    mut controllers: Query<&mut Controller>,
    mut events: ResMut<Events>,
) {
    for board in boards.0.drain(..) {
        for mut bank in banks.iter_mut().filter(|b| b.group == board.group) {
            bank.board(board.index, board.reset, clock.now, &mut events);
        }
        for mut controller in controllers.iter_mut().filter(|c| c.ordinal == board.ordinal) {
            controller.loops.iter_mut().for_each(Loop::start);
        }
        mailboxes.connects(board.ordinal);
    }
}

/// Who hears.
#[derive(SystemParam)]
struct Hearers<'w, 's> {
    banks: Query<'w, 's, &'static mut ActuatorBank>,
    controllers: Query<'w, 's, &'static mut Controller>,
    events: ResMut<'w, Events>,
    counters: ResMut<'w, Counters>,
}

impl Hearers<'_, '_> {
    fn take(&mut self, target: &Target, message: &Message, now: SimTime) {
        let (events, counters) = (&mut self.events, &mut self.counters);
        match target {
            Target::Command(c) => {
                let Ok(mut bank) = self.banks.get_mut(c.bank) else { return };
                take_command(message, c, &mut bank, now, events, counters);
            }
            Target::Input { controller, at, .. } => {
                let Ok(mut controller) = self.controllers.get_mut(*controller) else { return };
                take_input(message, &mut controller, *at as usize, now, events, counters);
            }
        }
    }
}

/// Sorts what arrived to actuators and controllers.
fn hear(
    clock: Res<Clock>,
    inbox: Res<Inbox>,
    mut subscriptions: ResMut<Subscriptions>,
    mut mailboxes: ResMut<Mailboxes>,
    mut cohorts: Query<(Entity, &mut Cohort)>,
    mut hearers: Hearers,
) {
    if subscriptions.router.is_empty() {
        return;
    }
    for message in &inbox.0 {
        for target in &*subscriptions.router.targets(&message.topic) {
            if mailboxes.post((target.ordinal(), target, message), &cohorts, clock.now) {
                hearers.take(target, message, clock.now);
            }
        }
    }
    let (events, counters) = (&mut hearers.events, &mut hearers.counters);
    for (target, message) in mailboxes.deliver(&mut cohorts, clock.now, events, counters) {
        hearers.take(&target, &message, clock.now);
    }
}

fn take_command(
    message: &Message,
    target: &CommandTarget,
    bank: &mut ActuatorBank,
    t: SimTime,
    events: &mut Events,
    counters: &mut Counters,
) {
    let unit = target.unit as usize;
    match level(&message.payload, target.pointer.as_deref()) {
        Ok(level) => {
            counters.add("commands_taken", 1);
            bank.command(unit, level, t, &message.topic, events);
        }
        Err(error) => {
            counters.add("commands_refused", 1);
            let part = &bank.parts[bank.units[unit].part as usize].0;
            events.0.push(refusal(t, bank.device_id(unit), part, "bad_command", message, &error));
        }
    }
}

fn take_input(
    message: &Message,
    controller: &mut Controller,
    at: usize,
    t: SimTime,
    events: &mut Events,
    counters: &mut Counters,
) {
    let l = &mut controller.loops[at];
    let value = l.pointer.find(&message.payload).and_then(|s| s.number());
    match value {
        Ok(value) => {
            let room = l.hear(&message.topic, value, t);
            counters.add(if room { "control_inputs" } else { "control_inputs_dropped" }, 1);
        }
        // A device that has lost a part still publishes the others.
        Err(PointerError::Absent(_)) => counters.add("control_inputs_absent", 1),
        Err(error) => {
            counters.add("control_inputs_refused", 1);
            events.0.push(refusal(t, &controller.device, "control", "bad_input", message, &error));
        }
    }
}

fn refusal(
    t: SimTime,
    subject: &str,
    part: &str,
    kind: &str,
    message: &Message,
    error: &dyn std::error::Error,
) -> Event {
    Event {
        t,
        subject: subject.to_owned(),
        part: part.to_owned(),
        kind: kind.to_owned(),
        detail: format!("{}: {error}", message.topic),
        value: 0.0,
        ..Event::default()
    }
}

/// Wakes the controllers that are due, in the order of their devices.
fn run_controllers(clock: Res<Clock>, mut controllers: Query<&mut Controller>, mut submit: ResMut<Submit>) {
    let mut due: Vec<_> = controllers.iter_mut().filter(|c| c.next < clock.next).collect();
    due.sort_by_key(|c| c.ordinal);
    for mut controller in due {
        controller.run(clock.next, &mut submit.0);
    }
}

fn hash_controllers(world: &mut World, hash: &mut StateHash) {
    let mut query = world.query::<&Controller>();
    for c in query.iter(world) {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&c.next.0.to_le_bytes());
        bytes.extend_from_slice(&c.seq.to_le_bytes());
        for l in &c.loops {
            bytes.extend_from_slice(&l.level.to_le_bytes());
            for (topic, (value, at)) in &l.heard {
                bytes.extend_from_slice(topic.as_bytes());
                bytes.extend_from_slice(&value.to_le_bytes());
                bytes.extend_from_slice(&at.0.to_le_bytes());
            }
        }
        hash.add(&format!("control/{}", c.device), &bytes);
    }
    world.resource::<Mailboxes>().hash(hash);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn payloads_of_commands() {
        let at = |p: &str| Pointer::new(p).unwrap();
        let good: [(&str, Option<Pointer>, f64); 10] = [
            ("0.25", None, 0.25),
            (" 1\n", None, 1.0),
            ("ON", None, 1.0),
            ("off", None, 0.0),
            ("True", None, 1.0),
            ("false", None, 0.0),
            (r#"{"state":"ON"}"#, Some(at("/state")), 1.0),
            (r#"{"a":[{"level":0.5}]}"#, Some(at("/a/0/level")), 0.5),
            (r#"{"on":false}"#, Some(at("/on")), 0.0),
            ("1e-1", Some(at("")), 0.1),
        ];
        for (payload, pointer, expected) in good {
            assert_eq!(level(payload.as_bytes(), pointer.as_ref()), Ok(expected), "{payload}");
        }
        let bad: [(&[u8], Option<Pointer>); 12] = [
            (b"", None),
            (b"open", None),
            (b"75", None),
            (b"-0.1", None),
            (b"NaN", None),
            (b"inf", None),
            (b"\xff\xfe", None),
            (b"{}", Some(at("/state"))),
            (br#"{"state":null}"#, Some(at("/state"))),
            (br#"{"state":{"x":1}}"#, Some(at("/state"))),
            (br#"{"state":"ON"} rest"#, Some(at("/state"))),
            (br#"{"state":"#, Some(at("/state"))),
        ];
        for (payload, pointer) in bad {
            assert!(level(payload, pointer.as_ref()).is_err(), "{payload:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload in prop::collection::vec(any::<u8>(), 0..64), json in "[\\[\\]{}\":,0-9a-z]{0,64}") {
            let pointer = Pointer::new("/a/0").unwrap();
            for p in [&payload[..], json.as_bytes()] {
                for pointer in [None, Some(&pointer)] {
                    if let Ok(x) = level(p, pointer) {
                        prop_assert!((0.0..=1.0).contains(&x));
                    }
                }
            }
        }

        /// Within the band the level holds; outside it is what the law says; so it switches at most once a crossing.
        #[test]
        fn two_point_laws_have_hysteresis(inputs in prop::collection::vec(0.0..30.0f64, 1..50), low in 5.0..15.0f64, width in 0.0..8.0f64) {
            let high = low + width;
            let heat = LawDef::OnBelow { on_below: low, off_above: high };
            let cool = LawDef::OnAbove { on_above: high, off_below: low };
            let (mut h, mut c) = (0.0, 0.0);
            for x in inputs {
                let (h0, c0) = (h, c);
                h = law(&heat, x, h);
                c = law(&cool, x, c);
                if (low..=high).contains(&x) {
                    prop_assert_eq!((h, c), (h0, c0));
                } else {
                    prop_assert_eq!((h, c), if x < low { (1.0, 0.0) } else { (0.0, 1.0) });
                }
            }
        }

        #[test]
        fn the_proportional_law_is_monotone_and_limited(gain in -2.0..2.0f64, at in -10.0..30.0f64, a in -50.0..50.0f64, d in 0.0..20.0f64) {
            let p = LawDef::Proportional { gain, at };
            let (low, high) = (law(&p, a, 0.3), law(&p, a + d, 0.7));
            prop_assert!((0.0..=1.0).contains(&low));
            prop_assert!((high - low) * gain >= 0.0);
            prop_assert_eq!(law(&p, at, 0.5), 0.0);
        }
    }

    fn loop_of(law: LawDef, fallback: Option<f64>) -> Loop {
        let def = ControlDef {
            input: "z/+/state".into(),
            pointer: "/t".into(),
            stale: Span::from_secs(100),
            output: "{zone}/{device}/set".into(),
            law,
            fallback,
        };
        Loop::new(&def, "c-1", "z").unwrap()
    }

    fn at(s: i64) -> SimTime {
        SimTime::ZERO + Span::from_secs(s)
    }

    #[test]
    fn a_loop_takes_the_mean_of_what_is_fresh() {
        let mut l = loop_of(LawDef::Proportional { gain: 0.1, at: 0.0 }, None);
        assert_eq!(&*l.output, "z/c-1/set");
        assert_eq!(l.wake(at(0)), None, "nothing heard, nothing said");
        l.hear(&"z/a/state".into(), 2.0, at(0));
        l.hear(&"z/b/state".into(), 6.0, at(60));
        assert_eq!(l.wake(at(70)), Some(0.4));
        assert_eq!(l.wake(at(80)), None, "unchanged");
        assert_eq!(l.wake(at(101)), Some(0.6), "a is stale");
        assert_eq!(l.wake(at(161)), None, "both are stale: the last level holds");
        let said: Vec<_> = (0..30).filter_map(|k| l.wake(at(200 + k))).collect();
        assert_eq!(said, [0.6; 3], "and is said again every tenth wake");
        let mut safe = loop_of(LawDef::OnBelow { on_below: 10.0, off_above: 12.0 }, Some(0.0));
        safe.hear(&"z/a/state".into(), 2.0, at(0));
        assert_eq!(safe.wake(at(1)), Some(1.0));
        assert_eq!(safe.wake(at(102)), Some(0.0), "the fallback");
    }
}
