//! Actuators: levels that follow their commands, and what they do to their zones.
//!
//! The plugin of the set `EnvironmentSystems::Actuate`. One [`ActuatorBank`] entity per device group that has actuators,
//! dense in (device, part) order. A level follows its command as a first-order lag, stepped exactly; its effect is summed
//! per zone in stable device order and acts on the zone in the next tick. `level@truth` is emitted at a tick's start. What
//! it draws from its device's battery is the integral of its level; the device accounts for it when it wakes.
//!
//! A timeline command without `until` is given once, like a message; with `until` it holds like a hand on the switch:
//! messages are taken in, but act only when it lets go. Of several hands the one that came last holds.
//!
//! A board that is reset lets its pins go: a relay falls off, a servo stays where it is, and the command is forgotten.
//! Without its supply nothing that the device feeds moves either, whoever holds the switch.
//!
//! ```
//! use twinfleet_engine::actuate::Follower;
//! let mut valve = Follower::new(10.0);
//! valve.command(1.0);
//! valve.advance(10.0);
//! assert!((valve.level() - (1.0 - (-1.0f64).exp())).abs() < 1e-12);
//! ```

use crate::{
    carry::Moved,
    catalog::{ActuatorDef, EffectDef},
    cause::id_of,
    environment::{EnvironmentSystems, ZoneInputs},
    plan::{GroupPlan, Plan},
    power::HOUR_S,
    scenario::{Action, definition::on_cells},
    signal::{SignalId, wildcard},
    time::SimTime,
    world::{Clock, Event, Events, Row, Rows, StateHash, StateHashers, Watch},
};
use bevy_ecs::prelude::*;

/// A level, 0–1, that follows its command: as a first-order lag, or at one speed from stop to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Follower {
    level: f64,
    command: f64,
    held: Option<f64>,
    tau_s: f64,
    travel_s: f64,
    steps: u32,
    /// Nothing feeds it.
    dead: bool,
}

impl Follower {
    /// At rest at 0, with this time constant, [s]; 0: it follows at once.
    pub fn new(tau_s: f64) -> Self {
        Self { level: 0.0, command: 0.0, held: None, tau_s, travel_s: 0.0, steps: 0, dead: false }
    }

    /// At rest at 0, as a definition has it.
    pub fn of(def: &ActuatorDef) -> Self {
        Self { travel_s: def.travel_s, steps: def.steps, ..Self::new(def.tau_s) }
    }

    /// Commands a level; it is limited to 0–1.
    pub fn command(&mut self, level: f64) {
        self.command = level.clamp(0.0, 1.0);
    }

    /// Holds a level by hand (`Some`), or lets go of it.
    pub fn hold(&mut self, level: Option<f64>) {
        self.held = level.map(|l| l.clamp(0.0, 1.0));
    }

    /// Nobody drives it any more: it returns to 0, or, where it travels, stays where it is.
    pub fn let_go(&mut self) {
        self.command = if self.travel_s > 0.0 { self.level } else { 0.0 };
    }

    /// Takes its supply away, or gives it back. Without it neither hand nor command moves it.
    pub fn feed(&mut self, fed: bool) {
        self.dead = !fed;
    }

    /// The level, 0–1.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// The level it follows: the nearest of those it can take.
    pub fn target(&self) -> f64 {
        if self.dead {
            return if self.travel_s > 0.0 { self.level } else { 0.0 };
        }
        let asked = self.held.unwrap_or(self.command);
        if self.steps == 0 { asked } else { (asked * f64::from(self.steps)).round() / f64::from(self.steps) }
    }

    /// Whether it is on its way.
    pub fn moves(&self) -> bool {
        self.level != self.target()
    }

    /// For how much of the next `dt_s` seconds it is on its way, [s], where it moves at one speed.
    pub fn moving_s(&self, dt_s: f64) -> f64 {
        ((self.target() - self.level).abs() * self.travel_s).min(dt_s)
    }

    /// Follows the command over `dt_s` seconds, exactly. Returns the level's integral over them, [s].
    pub fn advance(&mut self, dt_s: f64) -> f64 {
        let target = self.target();
        if self.travel_s > 0.0 {
            return self.travel(target, dt_s);
        }
        let mut integral_s = target * dt_s;
        if self.level != target {
            let left = if self.tau_s > 0.0 { (-dt_s / self.tau_s).exp() } else { 0.0 };
            integral_s += (self.level - target) * self.tau_s * (1.0 - left);
            self.level = target + (self.level - target) * left;
            // Beyond a relay's or valve's last step there is nothing: an exponential never quite arrives.
            if (self.level - target).abs() < 1e-9 {
                self.level = target;
            }
        }
        integral_s
    }

    /// Moves at its one speed. A motor that moves by steps stands on one only when it has arrived.
    fn travel(&mut self, target: f64, dt_s: f64) -> f64 {
        let before = self.level;
        let moving_s = ((target - before).abs() * self.travel_s).min(dt_s);
        let arrived = moving_s < dt_s;
        self.level =
            if arrived { target } else { before + (target - before).signum() * moving_s / self.travel_s };
        0.5 * (before + self.level) * moving_s + target * (dt_s - moving_s)
    }
}

/// One actuator of one device.
#[derive(Clone, Debug)]
pub struct Actuator {
    /// Index of the device within its group.
    pub device: u32,
    /// Index into the bank's parts.
    pub part: u32,
    /// Zone it acts on; none: outdoors, where it does nothing.
    pub zone: Option<usize>,
    /// Its level.
    pub follower: Follower,
    /// Whether its board is down: it hears no command.
    pub down: bool,
}

/// What an actuator takes from its supply, [mA].
#[derive(Clone, Copy, Debug)]
struct Draw {
    idle_ma: f64,
    active_ma: f64,
    moving_ma: f64,
    /// Whether that is the device's own.
    of_device: bool,
    /// Whether it is its pack's cells, past a regulator.
    of_cells: bool,
}

impl Draw {
    fn now_ma(&self, follower: &Follower) -> f64 {
        if follower.dead {
            return 0.0;
        }
        let moving_ma = if follower.travel_s > 0.0 && follower.moves() { self.moving_ma } else { 0.0 };
        self.idle_ma + self.active_ma * follower.level() + moving_ma
    }
}

/// The actuators of a group of devices, those of this shard, in (device, part) order.
#[derive(Component, Debug)]
pub struct ActuatorBank {
    /// Index of the group.
    pub group: usize,
    /// Its actuator parts: id and effect at full level.
    pub parts: Vec<(String, EffectDef)>,
    /// Its actuators.
    pub units: Vec<Actuator>,
    /// Device ids, by position in `units`.
    names: Vec<String>,
    /// Signals of `level@truth`, by position in `units`.
    signals: Vec<SignalId>,
    /// Per part: what it draws.
    draws: Vec<Draw>,
    /// Charge that each unit has taken since the start, [mA·s]; empty where its device is on the mains.
    taken_ma_s: Vec<f64>,
}

impl ActuatorBank {
    /// Id of the device of a unit.
    pub fn device_id(&self, unit: usize) -> &str {
        &self.names[unit]
    }

    /// The units of a device, in the order of the parts; empty where it is none of this shard's.
    fn of_device(&self, device: u32) -> std::ops::Range<usize> {
        let first = self.units.partition_point(|u| u.device < device);
        let end = self.units.partition_point(|u| u.device <= device);
        first..end
    }

    /// Levels of a device's actuators, in the order of the parts.
    pub fn levels(&self, device: u32) -> impl Iterator<Item = f64> {
        self.units[self.of_device(device)].iter().map(|u| u.follower.level())
    }

    /// What a device's actuators have taken from its battery since the start, and take now: summed in the order of its parts,
    /// so that the sum is the same to the last bit.
    pub fn drawn(&self, device: u32) -> Drawn {
        let mut drawn = Drawn::default();
        for unit in self.of_device(device).filter(|u| self.draw(*u).of_device) {
            let taken_ma_s = self.taken_ma_s.get(unit).copied().unwrap_or_default();
            let from = if self.draw(unit).of_cells { &mut drawn.cells } else { &mut drawn.rail };
            from.0 += taken_ma_s / HOUR_S;
            from.1 += self.now_ma(unit);
        }
        drawn
    }

    /// The board of a device was reset (when: the time of its brown-out), or runs again. One that is down drives no pin, and
    /// feeds nothing.
    pub(crate) fn board(&mut self, device: u32, reset: Option<SimTime>, now: SimTime, events: &mut Events) {
        for unit in self.of_device(device) {
            let of_device = self.draw(unit).of_device;
            let actuator = &mut self.units[unit];
            let before = actuator.follower.command;
            actuator.down = reset.is_some();
            actuator.follower.feed(reset.is_none() || !of_device);
            let Some(at) = reset else { continue };
            actuator.follower.let_go();
            if actuator.follower.command != before {
                let level = actuator.follower.command;
                let cause = id_of(&self.names[unit], "power", "brown_out", at);
                let event = self.event(unit, now, "its board is reset: it drives no pin", level);
                events.0.push(Event { cause, ..event });
            }
        }
    }

    /// Current that a unit takes now from whatever feeds it, [mA].
    pub fn now_ma(&self, unit: usize) -> f64 {
        self.draw(unit).now_ma(&self.units[unit].follower)
    }

    fn draw(&self, unit: usize) -> &Draw {
        &self.draws[self.units[unit].part as usize]
    }

    /// Commands a unit and says so where the level changes; one whose board is down hears nothing.
    pub fn command(&mut self, unit: usize, level: f64, t: SimTime, why: &str, events: &mut Events) {
        if self.units[unit].down || self.units[unit].follower.command == level.clamp(0.0, 1.0) {
            return;
        }
        self.units[unit].follower.command(level);
        events.0.push(self.event(unit, t, why, level));
    }

    fn event(&self, unit: usize, t: SimTime, why: &str, level: f64) -> Event {
        Event {
            t,
            subject: self.names[unit].clone(),
            part: self.parts[self.units[unit].part as usize].0.clone(),
            kind: "command".to_owned(),
            detail: why.to_owned(),
            value: level,
            ..Event::default()
        }
    }
}

/// What a device's actuators draw: charge taken since the start, and the current now, [mAh, mA].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Drawn {
    /// From what feeds the board.
    pub rail: (f64, f64),
    /// From its pack's cells, past a regulator.
    pub cells: (f64, f64),
}

/// A timeline command to come.
#[derive(Debug)]
struct Hand {
    at: SimTime,
    until: Option<SimTime>,
    device: String,
    part: String,
    level: f64,
}

impl Hand {
    /// Whether it is meant for this unit of a bank.
    fn grips(&self, bank: &ActuatorBank, unit: usize) -> bool {
        let part = &bank.parts[bank.units[unit].part as usize].0;
        wildcard(self.part.as_bytes(), part.as_bytes())
            && wildcard(self.device.as_bytes(), bank.names[unit].as_bytes())
    }
}

/// Timeline commands, in the order of their times.
#[derive(Resource, Debug, Default)]
struct Hands {
    coming: Vec<Hand>,
    holding: Vec<Hand>,
}

/// Adds the actuators of a plan to a run. After `environment::install`.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    for (g, group) in plan.groups.iter().enumerate() {
        if let Some(bank) = bank(plan, g, group) {
            world.spawn(bank);
        }
    }
    let mut hands = Hands::default();
    for event in &plan.scenario.timeline {
        let Action::Command { target, level } = &event.action else { continue };
        let Some((device, part)) = target.split_once('/') else { continue };
        hands.coming.push(Hand {
            at: SimTime::ZERO + event.at,
            until: event.until.map(|u| SimTime::ZERO + u),
            device: device.to_owned(),
            part: part.to_owned(),
            level: *level,
        });
    }
    // The next is the last, and stable: of two commands at one instant the later in the file wins.
    hands.coming.sort_by_key(|h| h.at);
    hands.coming.reverse();
    world.insert_resource(hands);
    world.get_resource_or_init::<StateHashers>().0.push(hash_actuators);
    schedule.add_systems((work_switches, drive_actuators).chain().in_set(EnvironmentSystems::Actuate));
}

/// A device's actuators act on the zone that it was carried to.
pub(crate) fn carry(world: &mut World, moved: &Moved<'_>) {
    for mut bank in world.query::<&mut ActuatorBank>().iter_mut(world).filter(|b| b.group == moved.at.0) {
        let units = bank.of_device(moved.at.1);
        bank.units[units].iter_mut().for_each(|u| u.zone = moved.zone);
    }
}

/// Position of the first actuator's `level@truth` within a device of the group's signal block; see [`GroupPlan::block`].
fn first_channel(plan: &Plan, group: &GroupPlan) -> usize {
    let sensors: usize = group
        .thing
        .parts
        .iter()
        .filter_map(|p| plan.catalog.sensors.get(&p.model))
        .map(|s| s.channels.len())
        .sum();
    let battery = group.power.is_battery();
    sensors + if battery { 2 } else { 0 }
}

fn bank(plan: &Plan, g: usize, group: &GroupPlan) -> Option<ActuatorBank> {
    let defs: Vec<_> =
        group.thing.parts.iter().filter_map(|p| Some((p, plan.catalog.actuators.get(&p.model)?))).collect();
    if defs.is_empty() {
        return None;
    }
    let first = first_channel(plan, group);
    let board = group.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b));
    let mut bank = ActuatorBank {
        group: g,
        parts: defs.iter().map(|(p, a)| (p.id.clone(), a.effect)).collect(),
        units: Vec::new(),
        names: Vec::new(),
        signals: Vec::new(),
        draws: defs
            .iter()
            .map(|(p, a)| Draw {
                idle_ma: a.idle_ma,
                active_ma: a.active_ma,
                moving_ma: a.moving_ma,
                of_device: !p.own_supply,
                of_cells: !p.own_supply && on_cells(board, &group.power, &plan.catalog, a.supply_v, false),
            })
            .collect(),
        taken_ma_s: Vec::new(),
    };
    for device in (0..group.count).filter(|i| plan.owns(group, *i)) {
        for (part, (_, def)) in defs.iter().enumerate() {
            let zone = group.zone(device);
            bank.units.push(Actuator {
                device,
                part: part as u32,
                zone,
                follower: Follower::of(def),
                down: false,
            });
            bank.names.push(plan.device_id(group, device));
            bank.signals.push(plan.signals.id(group.block, device, (first + part) as u32));
        }
    }
    if group.power.is_battery() {
        bank.taken_ma_s = vec![0.0; bank.units.len()];
    }
    Some(bank)
}

/// The banks in the order of their groups.
pub(crate) fn in_order<'a>(banks: &'a mut Query<&mut ActuatorBank>) -> Vec<Mut<'a, ActuatorBank>> {
    let mut all: Vec<_> = banks.iter_mut().collect();
    all.sort_by_key(|b| b.group);
    all
}

/// Timeline commands whose time has come, as if by hand.
fn work_switches(
    clock: Res<Clock>,
    mut hands: ResMut<Hands>,
    mut banks: Query<&mut ActuatorBank>,
    mut events: ResMut<Events>,
) {
    let due = |h: &Hand| h.at < clock.next;
    let over = |h: &Hand| h.until.is_some_and(|u| u <= clock.now);
    if !hands.coming.last().is_some_and(due) && !hands.holding.iter().any(over) {
        return;
    }
    let mut banks = in_order(&mut banks);
    let mut each = |h: &Hand, act: &mut dyn FnMut(&mut ActuatorBank, usize)| {
        for bank in &mut banks {
            let hits: Vec<_> = (0..bank.units.len()).filter(|u| h.grips(bank, *u)).collect();
            hits.into_iter().for_each(|u| act(bank, u));
        }
    };
    let (ended, mut holding): (Vec<_>, Vec<_>) =
        std::mem::take(&mut hands.holding).into_iter().partition(over);
    for hand in &ended {
        each(hand, &mut |bank, u| {
            // Another hand may be on it still: then the one that came last holds it.
            let still = holding.iter().rev().find(|h| h.grips(bank, u)).map(|h| h.level);
            let follower = &mut bank.units[u].follower;
            let before = follower.held;
            follower.hold(still);
            // A hand that lets go beneath a younger one moves nothing.
            if follower.held == before {
                return;
            }
            let why = if still.is_some() { "held by hand" } else { "let go by hand" };
            let event = bank.event(u, clock.now, why, bank.units[u].follower.target());
            events.0.push(event);
        });
    }
    while hands.coming.last().is_some_and(due) {
        let Some(hand) = hands.coming.pop() else { break };
        each(&hand, &mut |bank, u| match hand.until {
            Some(_) => {
                bank.units[u].follower.hold(Some(hand.level));
                let event = bank.event(u, clock.now, "held by hand", hand.level);
                events.0.push(event);
            }
            None => bank.command(u, hand.level, clock.now, "by hand", &mut events),
        });
        if hand.until.is_some() {
            holding.push(hand);
        }
    }
    hands.holding = holding;
}

/// Emits levels, follows commands to the tick's end, and sums the effects for the next tick.
fn drive_actuators(
    clock: Res<Clock>,
    watch: Res<Watch>,
    mut banks: Query<&mut ActuatorBank>,
    mut inputs: ResMut<ZoneInputs>,
    mut rows: ResMut<Rows>,
) {
    let dt_s = clock.step.as_secs_f64();
    for mut bank in in_order(&mut banks) {
        let bank = &mut *bank;
        for (at, (unit, signal)) in bank.units.iter_mut().zip(&bank.signals).enumerate() {
            if watch.wants(*signal) {
                rows.0.push(Row { t: clock.now, signal: *signal, value: unit.follower.level });
            }
            let moving_s = unit.follower.moving_s(dt_s);
            let on_s = unit.follower.advance(dt_s);
            let draw = &bank.draws[unit.part as usize];
            if let Some(taken) = bank.taken_ma_s.get_mut(at).filter(|_| draw.of_device && !unit.follower.dead)
            {
                *taken += draw.idle_ma * dt_s + draw.active_ma * on_s + draw.moving_ma * moving_s;
            }
            if let Some(zone) = unit.zone {
                add_effect(&mut inputs, zone, bank.parts[unit.part as usize].1, unit.follower.level);
            }
        }
    }
}

fn add_effect(inputs: &mut ZoneInputs, zone: usize, effect: EffectDef, level: f64) {
    match effect {
        EffectDef::HeatW(w) => inputs.heat_w[zone] += w * level,
        EffectDef::AirChangesPerH(n) => inputs.air_changes_per_h[zone] += n * level,
        EffectDef::WaterMmPerH(mm) => inputs.water_mm_h[zone] += mm * level,
        EffectDef::LightLx(lx) => inputs.light_lx[zone] += lx * level,
        EffectDef::SoundDb(db) => inputs.sound[zone] += 10f64.powf(db / 10.0) * level * level,
        EffectDef::Nothing => {}
    }
}

fn hash_actuators(world: &mut World, hash: &mut StateHash) {
    let mut query = world.query::<&ActuatorBank>();
    for bank in query.iter(world) {
        for (at, (unit, name)) in bank.units.iter().zip(&bank.names).enumerate() {
            let mut bytes = Vec::with_capacity(24);
            bytes.extend(unit.follower.level.to_le_bytes());
            bytes.extend(unit.follower.target().to_le_bytes());
            bytes.push(u8::from(unit.down));
            bytes.extend(bank.taken_ma_s.get(at).into_iter().flat_map(|t| t.to_le_bytes()));
            hash.add(&format!("actuator/{name}/{}", bank.parts[unit.part as usize].0), &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_level_follows_exactly_whatever_the_steps(tau in 0.5..500.0f64, dt in 0.1..50.0f64, to in 0.0..1.0f64, n in 1u32..20) {
            let (mut once, mut often) = (Follower::new(tau), Follower::new(tau));
            once.command(to);
            often.command(to);
            let whole = once.advance(dt * f64::from(n));
            let parts: f64 = (0..n).map(|_| often.advance(dt)).sum();
            prop_assert!((once.level() - often.level()).abs() < 2e-9);
            prop_assert!((whole - parts).abs() < 1e-6, "integral {whole}, in parts {parts}");
            prop_assert!((once.level() - to * (1.0 - (-dt * f64::from(n) / tau).exp())).abs() < 2e-9);
        }

        #[test]
        fn a_level_stays_within_its_limits(commands in prop::collection::vec(-5.0..5.0f64, 1..20)) {
            let mut f = Follower::new(3.0);
            for c in commands {
                f.command(c);
                f.advance(1.0);
                prop_assert!((0.0..=1.0).contains(&f.level()));
            }
        }
    }

    fn servo(travel_s: f64, steps: u32) -> Follower {
        let text = format!(
            r#"(format: 1, name: "a", source: "a test", bus: Digital(1), effect: Nothing, travel_s: {travel_s:?}, steps: {steps})"#
        );
        Follower::of(&ron::from_str(&text).unwrap())
    }

    proptest! {
        #[test]
        fn one_that_travels_moves_at_its_one_speed_whatever_the_steps(travel in 0.5..50.0f64, dt in 0.01..5.0f64, to in 0.0..1.0f64, n in 1u32..20) {
            let (mut once, mut often) = (servo(travel, 0), servo(travel, 0));
            once.command(to);
            often.command(to);
            let whole = once.advance(dt * f64::from(n));
            let parts: f64 = (0..n).map(|_| often.advance(dt)).sum();
            prop_assert!((once.level() - (dt * f64::from(n) / travel).min(to)).abs() < 1e-9);
            prop_assert!((once.level() - often.level()).abs() < 1e-9);
            prop_assert!((whole - parts).abs() < 1e-6 * whole.max(1.0), "integral {whole}, in parts {parts}");
        }
    }

    #[test]
    fn one_that_travels_draws_for_its_motor_while_it_moves() {
        let mut servo = servo(8.0, 0);
        servo.command(0.25);
        assert!(servo.moves());
        let mut moving_s = 0.0;
        for _ in 0..4 {
            moving_s += servo.moving_s(0.75);
            servo.advance(0.75);
        }
        assert_eq!((moving_s, servo.moves()), (2.0, false), "a quarter of the way");
        let draw = Draw { idle_ma: 10.0, active_ma: 4.0, moving_ma: 165.0, of_device: true, of_cells: false };
        assert_eq!(draw.now_ma(&servo), 11.0);
        servo.command(1.0);
        assert_eq!(draw.now_ma(&servo), 176.0);
    }

    #[test]
    fn a_relay_is_on_or_off_and_a_stepper_stands_on_a_step() {
        let mut relay = servo(0.0, 1);
        for (command, level) in [(0.4, 0.0), (0.6, 1.0), (0.5, 1.0), (0.49, 0.0)] {
            relay.command(command);
            relay.advance(0.02);
            assert_eq!(relay.level(), level, "at {command}");
        }
        let mut stepper = servo(8.0, 4096);
        stepper.command(0.123_456);
        stepper.advance(60.0);
        assert_eq!(stepper.level() * 4096.0, (0.123_456f64 * 4096.0).round());
    }

    #[test]
    fn a_hand_on_the_switch_wins_until_it_lets_go() {
        let mut f = Follower::new(0.0);
        f.hold(Some(0.3));
        f.command(1.0);
        f.advance(1.0);
        assert_eq!(f.level(), 0.3);
        f.hold(None);
        f.advance(1.0);
        assert_eq!(f.level(), 1.0);
    }
}
