//! How a board's processor warms, and what its firmware does about it: frequency steps, and the bits that a Raspberry Pi's
//! `vcgencmd get_throttled` says.
//!
//! A processor is seen through an internal part with channels `temperature`, `frequency` or `throttled`, on a board whose
//! file has `thermal`. What drives it is told of that part: `load` [percent] and `voltage` [V] among the group's `truths`
//! (without them 0 % and the board's own supply). Die and package warm a board, which is cooled by the zone's air.
//!
//! ```
//! use twinfleet_engine::{catalog::ThermalDef, local::processor::{Processor, CAPPED, HAS_OCCURRED, THROTTLED}};
//! let pi = ThermalDef {
//!     idle_w: 1.5, full_w: 5.0, soc_j_k: 10.0, soc_w_k: 0.3, board_j_k: 60.0, board_w_k: 0.12, soft_c: None, soft_mhz: 0.0,
//!     hard_c: 80.0, least_mhz: 600.0, under_v: 4.63,
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
    catalog::{BusDef, ThermalDef},
    plan::{GroupPlan, Plan},
    world::{Clock, StateHash, StateHashers, Truth, TruthId},
};
use bevy_ecs::prelude::*;

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

/// Steps from the full to the least clock while it throttles, one a second.
const STEPS: f64 = 10.0;
/// It steps up again when it is so much below its limit, [K].
const BACK_K: f64 = 2.0;

/// A processor in its board.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    soc_c: f64,
    board_c: f64,
    full_mhz: f64,
    /// Clock that heat allows, [MHz].
    allowed_mhz: f64,
    frequency_mhz: f64,
    now: u32,
    since_start: u32,
}

impl Processor {
    /// Idle, at the temperatures that it comes to in air of this temperature.
    pub fn new(def: &ThermalDef, full_mhz: f64, air_c: f64) -> Self {
        let board_c = air_c + def.idle_w / def.board_w_k;
        let soc_c = board_c + def.idle_w / def.soc_w_k;
        let at = full_mhz;
        Self { soc_c, board_c, full_mhz, allowed_mhz: at, frequency_mhz: at, now: 0, since_start: 0 }
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

    /// Steps it over `dt_s` seconds with load [percent], supply [V] and air [°C] held. Its firmware looks once a second, or
    /// once a step where that is longer; heat flows exactly over each of these.
    pub fn step(&mut self, def: &ThermalDef, load_percent: f64, supply_v: f64, air_c: f64, dt_s: f64) {
        let looks = dt_s.clamp(1.0, 3600.0).round() as u32;
        let each_s = dt_s / f64::from(looks);
        for _ in 0..looks {
            let busy = load_percent.clamp(0.0, 100.0) / 100.0 * self.frequency_mhz / self.full_mhz;
            self.warm(def, def.idle_w + (def.full_w - def.idle_w) * busy, air_c, each_s);
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
        let one = (self.full_mhz - def.least_mhz) / STEPS * dt_s.max(1.0);
        let throttles = self.soc_c >= def.hard_c;
        if throttles {
            self.allowed_mhz = (self.allowed_mhz - one).max(def.least_mhz);
        } else if self.soc_c < def.hard_c - BACK_K {
            self.allowed_mhz = (self.allowed_mhz + one).min(self.full_mhz);
        }
        let soft = def.soft_c.is_some_and(|c| self.soc_c >= c);
        let under = supply_v < def.under_v;
        self.frequency_mhz = match (under, soft) {
            (true, _) => def.least_mhz,
            (false, true) => self.allowed_mhz.min(def.soft_mhz),
            (false, false) => self.allowed_mhz,
        };
        let throttled = self.allowed_mhz < self.full_mhz;
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        self.now = bit(under, UNDER_VOLTAGE)
            | bit(under || throttled, CAPPED)
            | bit(throttled || under, THROTTLED)
            | bit(soft, SOFT_LIMIT);
        self.since_start |= self.now;
    }

    fn hash_into(&self, bytes: &mut Vec<u8>) {
        for x in [self.soc_c, self.board_c, self.allowed_mhz, self.frequency_mhz] {
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
    /// None: its board's own supply.
    voltage: Result<TruthId, f64>,
    air: TruthId,
    writes: Vec<(TruthId, Shows)>,
}

#[derive(Clone, Copy, Debug)]
enum Shows {
    Temperature,
    Frequency,
    Throttled,
}

/// The processors that parts look at.
#[derive(Resource, Debug, Default)]
struct Processors(Vec<Unit>);

pub(super) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan, truth: &mut Truth) {
    let mut all = Vec::new();
    for group in &plan.groups {
        of_group(plan, group, truth, &mut all);
    }
    if !all.is_empty() {
        world.insert_resource(Processors(all));
        world.get_resource_or_init::<StateHashers>().0.push(hash_processors);
        schedule.add_systems(warm_processors.in_set(LocalSystems).after(super::told::tell_truths));
    }
}

fn of_group(plan: &Plan, group: &GroupPlan, truth: &mut Truth, all: &mut Vec<Unit>) {
    let Some(board) = group.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b)) else { return };
    let Some(def) = board.thermal else { return };
    let full_mhz = board.cpu.map_or(1000.0, |c| c.clock_mhz);
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
        if shows.is_empty() {
            continue;
        }
        for i in (0..group.count).filter(|i| plan.owns(group, *i)) {
            let id = plan.device_id(group, i);
            let air = match group.zone(i) {
                Some(z) => truth.place(&format!("zone/{}/temperature", plan.scenario.world.zones[z].id)),
                None => truth.place("outside/temperature"),
            };
            let told = is_told(plan, group, &part.id, "voltage");
            all.push(Unit {
                def,
                processor: Processor::new(&def, full_mhz, 20.0),
                load: place(truth, &id, &part.id, "load"),
                voltage: if told { Ok(place(truth, &id, &part.id, "voltage")) } else { Err(board.supply_v) },
                air,
                writes: shows.iter().map(|(q, s)| (place(truth, &id, &part.id, q), *s)).collect(),
                id: format!("{id}/{}", part.id),
            });
        }
    }
}

fn warm_processors(clock: Res<Clock>, mut all: ResMut<Processors>, mut truth: ResMut<Truth>) {
    let dt_s = clock.step.as_secs_f64();
    for unit in &mut all.0 {
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
        let supply_v = unit.voltage.map_or_else(|v| v, |place| truth.get(place));
        unit.processor.step(&unit.def, truth.get(unit.load), supply_v, air_c, dt_s);
    }
}

fn hash_processors(world: &mut World, hash: &mut StateHash) {
    for unit in &world.resource::<Processors>().0 {
        let mut bytes = Vec::new();
        unit.processor.hash_into(&mut bytes);
        hash.add(&format!("processor/{}", unit.id), &bytes);
    }
}
