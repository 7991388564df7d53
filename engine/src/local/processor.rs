//! How a board's processor warms, and what its firmware does about it: frequency steps, and the bits that a Raspberry Pi's
//! `vcgencmd get_throttled` says.
//!
//! A processor is seen through an internal part with channels `temperature`, `frequency` or `throttled`, on a board whose
//! file has `thermal`. What drives it is told of that part: `load` [percent] and `voltage` [V] among the group's `truths` or by
//! `Set` events (without them 0 % and the board's own supply, which is what a battery gives it). Die and package warm a board,
//! which is cooled by the zone's air. Where the board's file says `drawn`, it takes from the supply what it turns into heat: a
//! busy board draws more, and an idle one less than its `active` current. On a battery that holds without such a part, too: the
//! board idles then.
//!
//! ```
//! use twinfleet_engine::{catalog::ThermalDef, local::processor::{Processor, CAPPED, HAS_OCCURRED, THROTTLED}};
//! let pi = ThermalDef {
//!     idle_w: 1.5, full_w: 5.0, soc_j_k: 10.0, soc_w_k: 0.3, board_j_k: 60.0, board_w_k: 0.12, soft_c: None, soft_mhz: 0.0,
//!     hard_c: 80.0, limit_c: Some(85.0), least_mhz: 600.0, steps_mhz: vec![], drawn: true, under_v: 4.63,
//! };
//! let mut cpu = Processor::new(&pi, 1200.0, 25.0);
//! for _ in 0..3600 {
//!     cpu.step(&pi, 100.0, 5.1, 35.0, 1.0);
//! }
//! assert_eq!(cpu.throttled() & THROTTLED, THROTTLED, "at full load in a warm room it throttles");
//! assert!(cpu.frequency_mhz() < 1200.0 && cpu.temperature_c() < 86.0);
//! for _ in 0..3600 {
//!     cpu.step(&pi, 0.0, 5.1, 35.0, 1.0);
//! }
//! assert_eq!(cpu.throttled(), (THROTTLED | CAPPED) << HAS_OCCURRED, "it remembers");
//! ```

use super::{LocalSystems, found, is_told, place};
use crate::{
    carry::Moved,
    catalog::{BusDef, PowerDef, ThermalDef},
    plan::{GroupPlan, Plan},
    power::HOUR_S,
    sense::Cohort,
    world::{Clock, StateHash, StateHashers, Truth, TruthId},
};
use bevy_ecs::prelude::*;
use std::collections::BTreeMap;

/// Bit 0: the supply is below what its detector wants.
pub const UNDER_VOLTAGE: u32 = 1;
/// Bit 1: the clock is capped.
pub const CAPPED: u32 = 1 << 1;
/// Bit 2: it throttles.
pub const THROTTLED: u32 = 1 << 2;
/// Bit 3: the soft temperature limit is active.
pub const SOFT_LIMIT: u32 = 1 << 3;
/// The same bits this much higher: it has occurred since the start.
pub const HAS_OCCURRED: u32 = 16;

/// Steps from the full to the least clock, where its file names none.
const STEPS: usize = 10;
/// It steps up again where it would not step down were it so much warmer, [K].
const BACK_K: f64 = 2.0;

/// Number of steps below the full clock.
fn steps(def: &ThermalDef) -> usize {
    if def.steps_mhz.is_empty() { STEPS } else { def.steps_mhz.len() }
}

/// Clock after so many steps down, [MHz].
fn clock_mhz(def: &ThermalDef, full_mhz: f64, step: usize) -> f64 {
    match step.checked_sub(1) {
        None => full_mhz,
        Some(_) if def.steps_mhz.is_empty() => {
            full_mhz - (full_mhz - def.least_mhz) * step as f64 / STEPS as f64
        }
        Some(at) => def.steps_mhz[at.min(def.steps_mhz.len() - 1)],
    }
}

/// Steps down that a temperature asks for, [°C]: one from `hard_c` on, all at `limit_c`, evenly in between.
fn wanted(def: &ThermalDef, soc_c: f64) -> usize {
    let (all, limit_c) = (steps(def), def.limit_c.unwrap_or(def.hard_c));
    if soc_c < def.hard_c {
        0
    } else if soc_c < limit_c {
        1 + ((soc_c - def.hard_c) / (limit_c - def.hard_c) * (all - 1) as f64) as usize
    } else {
        all
    }
}

/// A processor in its board.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    soc_c: f64,
    board_c: f64,
    full_mhz: f64,
    /// Steps below the full clock that heat asks for.
    step: usize,
    frequency_mhz: f64,
    now: u32,
    since_start: u32,
}

impl Processor {
    /// Idle, at the temperatures that it comes to in air of this temperature.
    pub fn new(def: &ThermalDef, full_mhz: f64, air_c: f64) -> Self {
        let board_c = air_c + def.idle_w / def.board_w_k;
        let soc_c = board_c + def.idle_w / def.soc_w_k;
        Self { soc_c, board_c, full_mhz, step: 0, frequency_mhz: full_mhz, now: 0, since_start: 0 }
    }

    /// Temperature of the die, [°C].
    pub fn temperature_c(&self) -> f64 {
        self.soc_c
    }

    /// Clock, [MHz].
    pub fn frequency_mhz(&self) -> f64 {
        self.frequency_mhz
    }

    /// The bits of `get_throttled`.
    pub fn throttled(&self) -> u32 {
        self.now | self.since_start << HAS_OCCURRED
    }

    /// Its heat at a load, [W].
    fn heat_w(&self, def: &ThermalDef, load_percent: f64) -> f64 {
        let busy = load_percent.clamp(0.0, 100.0) / 100.0 * self.frequency_mhz / self.full_mhz;
        def.idle_w + (def.full_w - def.idle_w) * busy
    }

    /// Its supply was lost: it cools to the air around it, and forgets what has occurred.
    fn reset(&mut self) {
        (self.step, self.frequency_mhz) = (0, self.full_mhz);
        (self.now, self.since_start) = (0, 0);
    }

    /// Steps it over `dt_s` seconds with load [percent], supply [V] and air [°C] held. Its firmware looks once a second, or
    /// once a step where that is longer; heat flows exactly over each of these.
    pub fn step(&mut self, def: &ThermalDef, load_percent: f64, supply_v: f64, air_c: f64, dt_s: f64) {
        let looks = dt_s.clamp(1.0, 3600.0).round() as u32;
        let each_s = dt_s / f64::from(looks);
        for _ in 0..looks {
            self.warm(def, self.heat_w(def, load_percent), air_c, each_s);
            self.look(def, supply_v, each_s);
        }
    }

    /// dT/dt of two nodes under held heat, exact: the modes of a symmetric two-node network.
    fn warm(&mut self, def: &ThermalDef, heat_w: f64, air_c: f64, dt_s: f64) {
        let steady_board = air_c + heat_w / def.board_w_k;
        let steady_soc = steady_board + heat_w / def.soc_w_k;
        let (x, y) = (self.soc_c - steady_soc, self.board_c - steady_board);
        let a = -def.soc_w_k / def.soc_j_k;
        let b = def.soc_w_k / def.soc_j_k;
        let c = def.soc_w_k / def.board_j_k;
        let d = -(def.soc_w_k + def.board_w_k) / def.board_j_k;
        let (mean, half) = ((a + d) / 2.0, ((a - d) * (a - d) / 4.0 + b * c).sqrt());
        // exp(A·t) = e^(mean·t)·(cosh(half·t)·I + sinh(half·t)/half·(A − mean·I)); b·c > 0, so half is above 0.
        let (up, down) = (((mean + half) * dt_s).exp(), ((mean - half) * dt_s).exp());
        let (cosh, sinh) = ((up + down) / 2.0, (up - down) / 2.0 / half);
        self.soc_c = steady_soc + (cosh + sinh * (a - mean)) * x + sinh * b * y;
        self.board_c = steady_board + sinh * c * x + (cosh + sinh * (d - mean)) * y;
    }

    fn look(&mut self, def: &ThermalDef, supply_v: f64, dt_s: f64) {
        // A step a second.
        let some = dt_s.max(1.0).round() as usize;
        let (down_to, up_to) = (wanted(def, self.soc_c), wanted(def, self.soc_c + BACK_K));
        if self.step < down_to {
            self.step = (self.step + some).min(down_to);
        } else if self.step > up_to {
            self.step = self.step.saturating_sub(some).max(up_to);
        }
        let allowed_mhz = clock_mhz(def, self.full_mhz, self.step);
        let soft = def.soft_c.is_some_and(|c| self.soc_c >= c);
        let under = supply_v < def.under_v;
        self.frequency_mhz = match (under, soft) {
            (true, _) => def.least_mhz,
            (false, true) => allowed_mhz.min(def.soft_mhz),
            (false, false) => allowed_mhz,
        };
        // Heat caps and throttles; of a weak supply Raspberry Pis say 0x50005: throttled, and not capped.
        let throttled = self.step > 0;
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        self.now = bit(under, UNDER_VOLTAGE)
            | bit(throttled, CAPPED)
            | bit(throttled || under, THROTTLED)
            | bit(soft, SOFT_LIMIT);
        self.since_start |= self.now;
    }

    fn hash_into(&self, bytes: &mut Vec<u8>) {
        for x in [self.soc_c, self.board_c, self.step as f64, self.frequency_mhz] {
            bytes.extend(x.to_le_bytes());
        }
        bytes.extend(self.since_start.to_le_bytes());
    }
}

/// A processor of a device, and the places it reads and writes.
#[derive(Debug)]
struct Unit {
    id: String,
    def: ThermalDef,
    processor: Processor,
    load: TruthId,
    voltage: TruthId,
    /// Whether it idles while no event tells its load; not where the group's truths do.
    idles: bool,
    /// What the voltage is while no event tells it. None: the group's truths do.
    feed: Option<Feed>,
    air: TruthId,
    writes: Vec<(TruthId, Shows)>,
    /// What the board's file says that it takes while it runs, [mA], where its heat says it better.
    stated_ma: Option<f64>,
    /// Voltage that it is stated at, where its pack knows that the board takes a power, [V].
    stated_v: Option<f64>,
    /// Beyond that: taken so far and being taken now, [mAh, mA]; below 0 while it idles.
    more: (f64, f64),
}

/// What feeds a processor.
#[derive(Debug)]
enum Feed {
    /// The mains, [V].
    Mains(f64),
    /// A battery: the device's group and ordinal, and where it is once it has been looked up; [V] of the mains else.
    Battery { group: usize, ordinal: u32, at: Option<(Entity, u16)>, nominal_v: f64 },
}

impl Feed {
    /// The board's supply now, [V].
    fn volts(&mut self, cohorts: &Query<'_, '_, (Entity, &Cohort)>) -> f64 {
        match self {
            Self::Mains(volts) => *volts,
            Self::Battery { group, ordinal, at, nominal_v } => {
                if at.is_none() {
                    let of_group = cohorts.iter().filter(|(_, c)| c.group.number == *group);
                    *at = of_group.filter_map(|(e, c)| Some((e, c.lane_of(*ordinal)?))).next();
                }
                let found = at.and_then(|(entity, lane)| cohorts.get(entity).ok()?.1.board_v(lane));
                found.unwrap_or(*nominal_v)
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Shows {
    Temperature,
    Frequency,
    Throttled,
}

/// The processors that parts look at, and where a device's is: by its group's number and its index in it.
#[derive(Resource, Debug, Default)]
pub(crate) struct Processors {
    units: Vec<Unit>,
    of: BTreeMap<(usize, u32), usize>,
}

impl Processors {
    /// What a device's processor has taken beyond its board's stated current and takes now, [mAh, mA].
    pub fn more(&self, group: usize, index: u32) -> (f64, f64) {
        self.of.get(&(group, index)).map_or((0.0, 0.0), |i| self.units[*i].more)
    }

    /// A device's processors are in the air of the zone that it was carried to.
    pub(super) fn carry(&mut self, moved: &Moved<'_>, truth: &mut Truth) {
        let of_device = |u: &&mut Unit| u.id.split_once('/').is_some_and(|(id, _)| id == moved.device);
        for unit in self.units.iter_mut().filter(of_device) {
            unit.air = truth.place(&format!("{}/temperature", moved.prefix));
        }
    }
}

pub(super) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan, truth: &mut Truth) {
    let mut all = Processors::default();
    for group in &plan.groups {
        of_group(plan, group, truth, &mut all);
    }
    if !all.units.is_empty() {
        world.insert_resource(all);
        world.get_resource_or_init::<StateHashers>().0.push(hash_processors);
        // Both write what the device finds; which first does not matter, but it is always the same.
        let fed = feed_processors.in_set(LocalSystems).after(super::actuated::follow_actuators);
        schedule.add_systems(fed.before(super::told::tell_truths));
        schedule.add_systems(warm_processors.in_set(LocalSystems).after(super::told::tell_truths));
    }
}

fn of_group(plan: &Plan, group: &GroupPlan, truth: &mut Truth, all: &mut Processors) {
    let Some(board) = group.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b)) else { return };
    let Some(def) = &board.thermal else { return };
    let sleeps = group.firmware.as_ref().is_some_and(|f| f.deep_sleep || f.rest.is_some());
    let full_mhz = board.cpu.map_or(1000.0, |c| c.clock_mhz);
    let drawn = def.drawn && !sleeps;
    let mut seen: Vec<(&str, Vec<(&str, Shows)>)> = Vec::new();
    for part in &group.thing.parts {
        let internal =
            plan.catalog.sensors.get(&part.model).is_some_and(|s| matches!(s.bus, BusDef::Internal));
        let shows: Vec<(&str, Shows)> = found(plan, group)
            .filter(|f| internal && f.part.id == part.id && !is_told(plan, group, &part.id, f.quantity))
            .filter_map(|f| {
                let shows = match f.quantity {
                    "temperature" => Shows::Temperature,
                    "frequency" => Shows::Frequency,
                    "throttled" => Shows::Throttled,
                    _ => return None,
                };
                Some((f.quantity, shows))
            })
            .collect();
        if !shows.is_empty() {
            seen.push((&part.id, shows));
        }
    }
    let measured = || found(plan, group).any(|f| f.quantity == "current" && f.part.of.is_none());
    if seen.is_empty() && drawn && (group.power.is_battery() || measured()) {
        seen.push(("", Vec::new()));
    }
    for (part, shows) in &seen {
        for i in (0..group.count).filter(|i| plan.owns(group, *i)) {
            let id = plan.device_id(group, i);
            let air = match group.zone(i) {
                Some(z) => truth.place(&format!("zone/{}/temperature", plan.scenario.world.zones[z].id)),
                None => truth.place("outside/temperature"),
            };
            let feed = if group.power.is_battery() {
                let ordinal = group.first + i;
                Feed::Battery { group: group.def, ordinal, at: None, nominal_v: board.supply_v }
            } else {
                Feed::Mains(board.supply_v)
            };
            all.of.entry((group.def, i)).or_insert(all.units.len());
            all.units.push(Unit {
                def: def.clone(),
                processor: Processor::new(def, full_mhz, 20.0),
                load: place(truth, &id, part, "load"),
                voltage: place(truth, &id, part, "voltage"),
                idles: !is_told(plan, group, part, "load"),
                feed: Some(feed).filter(|_| !is_told(plan, group, part, "voltage")),
                air,
                writes: shows.iter().map(|(q, s)| (place(truth, &id, part, q), *s)).collect(),
                id: format!("{id}/{part}"),
                stated_ma: Some(board.current_ma.active).filter(|_| drawn),
                stated_v: Some(board.supply_v)
                    .filter(|_| board.converts && matches!(group.power, PowerDef::Pack { .. })),
                more: (0.0, 0.0),
            });
        }
    }
}

/// Writes what drives the processors while no event tells it.
fn feed_processors(
    mut all: ResMut<Processors>,
    mut truth: ResMut<Truth>,
    cohorts: Query<'_, '_, (Entity, &Cohort)>,
) {
    for unit in &mut all.units {
        if unit.idles {
            truth.set(unit.load, 0.0);
        }
        if let Some(feed) = &mut unit.feed {
            truth.set(unit.voltage, feed.volts(&cohorts));
        }
    }
}

fn warm_processors(clock: Res<Clock>, mut all: ResMut<Processors>, mut truth: ResMut<Truth>) {
    let dt_s = clock.step.as_secs_f64();
    for unit in &mut all.units {
        let air_c = truth.get(unit.air);
        if clock.tick == 0 {
            unit.processor = Processor::new(&unit.def, unit.processor.full_mhz, air_c);
        }
        for (place, shows) in &unit.writes {
            let value = match shows {
                Shows::Temperature => unit.processor.temperature_c(),
                Shows::Frequency => unit.processor.frequency_mhz(),
                Shows::Throttled => f64::from(unit.processor.throttled()),
            };
            truth.set(*place, value);
        }
        let (load, supply_v) = (truth.get(unit.load), truth.get(unit.voltage));
        if supply_v <= 0.0 {
            // Its supply is gone: what it last drew was of another start.
            unit.processor.reset();
            unit.more.1 = 0.0;
            continue;
        }
        if let Some(stated_ma) = unit.stated_ma {
            let at_v = unit.stated_v.unwrap_or(supply_v);
            unit.more.1 = unit.processor.heat_w(&unit.def, load) / at_v * 1e3 - stated_ma;
        }
        unit.processor.step(&unit.def, load, supply_v, air_c, dt_s);
        unit.more.0 += unit.more.1 * dt_s / HOUR_S;
    }
}

fn hash_processors(world: &mut World, hash: &mut StateHash) {
    for unit in &world.resource::<Processors>().units {
        let mut bytes = Vec::new();
        unit.processor.hash_into(&mut bytes);
        hash.add(&format!("processor/{}", unit.id), &bytes);
    }
}
