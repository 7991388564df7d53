//! Sensor pipelines in dense cohorts: truth → mounting and self-heating → lag → cross-sensitivity → gain, bias, drift →
//! noise → fault → saturation → quantisation → bus timing. A part on an analogue pin is read through its board's converter
//! in place of a quantisation of its own; its noise and bend come before the fault.
//!
//! [`install`] adds the simulated devices whole: their parts (here), calendars and payloads ([`crate::firmware`]),
//! batteries ([`crate::power`]) and links ([`crate::link`]).
//!
//! - Systems: `sample_sensors` in `Sense`, `compose_messages` in `Firmware`, `transmit_messages` in `Publish`. Batteries are
//!   drained by `sample_sensors`, at each device's own wakes, so that a device that sleeps costs nothing; `Power` holds
//!   `sum_light` alone, where there are panels.
//! - Components: [`Cohort`]. Resources: [`FaultLabels`], [`LateRows`], [`crate::link::Air`], [`crate::world::Submit`].
//!
//! Every reading draws from its channel's own stream: two normals where the channel wanders, else one, and one more where a
//! converter reads it; watching draws nothing.
//!
//! ```
//! use bevy_ecs::prelude::*;
//! use std::{path::PathBuf, sync::Arc};
//! use twinfleet_engine::{catalog::Catalog, plan::Plan, scenario::Scenario, sense};
//! let scenario: Scenario = ron::from_str(
//!     r#"(format: 1, duration: "1h", fleet: [(id: "n-{}", count: 3000, thing: "blinker")],
//!         things: [(name: "blinker", source: "none", parts: [])])"#,
//! ).unwrap();
//! let plan = Plan::new(Arc::new(scenario), Arc::new(Catalog::default()), PathBuf::new(), 1, (0, 1)).unwrap();
//! let (mut world, mut schedule) = (World::new(), Schedule::default());
//! sense::install(&mut world, &mut schedule, &plan);
//! assert_eq!(sense::footprint(&mut world).1, 3000, "devices, in three cohorts");
//! ```

mod bank;
mod cohort;
mod convert;
mod decay;
pub mod fault;
mod latch;
mod normal;
pub mod probe;

pub use cohort::{COHORT, Cohort};
pub(crate) use cohort::{Due, Group};
pub use convert::{AdcUnit, with_rail};
pub(crate) use normal::normal;

use crate::{
    actuate::ActuatorBank,
    carry::{self, Moved},
    firmware,
    firmware::{outage::Boards, program::Rests},
    link::Air,
    local::{self, processor::Processors},
    plan::Plan,
    power::solar::{Insolation, sum_light},
    time::SimTime,
    world::{
        Clock, Counters, Event, Events, Row, Rows, StateHash, StateHashers, Submit, TickSystems, Truth,
        Watch, Wills,
    },
};
use bank::Scratch;
use bevy_ecs::{prelude::*, system::SystemParam};
use cohort::{Blueprint, Surroundings};
use fault::reach::TimelineFault;
use rayon::prelude::*;
use std::{cell::RefCell, sync::Arc};

/// Fewer devices than this are not worth a second thread.
const PARALLEL_FROM: usize = 4 * COHORT;

/// Labels of the timeline's faults on simulated devices, in the order of time.
#[derive(Resource, Debug, Default)]
pub struct FaultLabels {
    events: Vec<Event>,
    next: usize,
}

/// Rows whose conversion ends in a later tick.
#[derive(Resource, Debug, Default)]
pub struct LateRows(Vec<Row>);

/// Adds the plan's simulated devices (those of its shard), and the systems that run them. Physics and dynamics that
/// give parts a place of their own in [`Truth`] must be installed before.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    let faults = TimelineFault::all(plan);
    let mut truth = world.remove_resource::<Truth>().unwrap_or_default();
    local::install(world, schedule, plan, &mut truth);
    let mut labels = Vec::new();
    let mut light = Insolation::default();
    let mut order = 0;
    for planned in &plan.groups {
        let group = Arc::new(Group::new(plan, planned));
        let owned: Vec<u32> = (0..planned.count).filter(|i| plan.owns(planned, *i)).collect();
        for index in owned.chunks(COHORT) {
            let group = Arc::clone(&group);
            let blueprint = Blueprint { plan, planned, group, faults: &faults };
            world.spawn(Cohort::new(order, blueprint, index, &mut truth, &mut light, &mut labels));
            order += 1;
        }
    }
    labels.sort_by(|a, b| (a.t, &a.subject, &a.part, &a.kind).cmp(&(b.t, &b.subject, &b.part, &b.kind)));
    world.insert_resource(truth);
    if !light.is_empty() {
        world.insert_resource(light);
        schedule.add_systems(sum_light.in_set(TickSystems::Power));
    }
    carry::install(world, schedule, plan);
    world.insert_resource(FaultLabels { events: labels, next: 0 });
    world.init_resource::<LateRows>();
    world.init_resource::<Air>();
    world.init_resource::<Submit>();
    world.init_resource::<Boards>();
    world.init_resource::<Wills>();
    world.init_resource::<StateHashers>();
    world.resource_mut::<StateHashers>().0.push(hash_cohorts);
    schedule.add_systems((
        sample_sensors.in_set(TickSystems::Sense),
        firmware::compose_messages.in_set(TickSystems::Firmware),
        firmware::transmit_messages.in_set(TickSystems::Publish),
    ));
}

/// Voltage and current of a device's supply, [V, mA], for a probe of it.
fn supply_of(cohorts: &Query<&Cohort>, (group, index): (usize, u32)) -> Option<(f64, f64)> {
    cohorts.iter().find_map(|c| c.supply_of(group, index))
}

/// Takes a device over to the place that it was carried to.
pub(crate) fn carry(world: &mut World, moved: &Moved<'_>, now: SimTime) {
    let light = world.remove_resource::<Insolation>();
    for mut cohort in world.query::<&mut Cohort>().iter_mut(world) {
        cohort.carry(moved, light.as_ref(), now);
    }
    if let Some(light) = light {
        world.insert_resource(light);
    }
}

/// All cohorts in their stable order.
pub(crate) fn in_order<'a>(cohorts: &'a mut Query<&mut Cohort>) -> Vec<Mut<'a, Cohort>> {
    let mut list: Vec<Mut<Cohort>> = cohorts.iter_mut().collect();
    list.sort_by_key(|c| c.order);
    list
}

/// Does a thing to every cohort, on the pool that the run has installed where it is worth it.
pub(crate) fn for_each(cohorts: &mut [Mut<Cohort>], act: impl Fn(&mut Cohort) + Sync) {
    let devices: usize = cohorts.iter().map(|c| c.len()).sum();
    if devices < PARALLEL_FROM {
        cohorts.iter_mut().for_each(|c| act(c));
    } else {
        cohorts.par_iter_mut().for_each(|c| act(c));
    }
}

/// Where a tick's results go.
#[derive(SystemParam)]
struct Results<'w> {
    labels: ResMut<'w, FaultLabels>,
    late: ResMut<'w, LateRows>,
    rows: ResMut<'w, Rows>,
    events: ResMut<'w, Events>,
    counters: ResMut<'w, Counters>,
    boards: ResMut<'w, Boards>,
}

/// What a run may have beside its world.
#[derive(SystemParam)]
struct Beside<'w> {
    light: Option<Res<'w, Insolation>>,
    processors: Option<Res<'w, Processors>>,
    rests: Option<Res<'w, Rests>>,
}

fn sample_sensors(
    mut cohorts: Query<&mut Cohort>,
    banks: Query<&ActuatorBank>,
    clock: Res<Clock>,
    truth: Res<Truth>,
    watch: Res<Watch>,
    beside: Beside,
    results: Results,
) {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::default();
    }
    let mut cohorts = in_order(&mut cohorts);
    let look_up = watch.is_changed();
    let banks: Vec<&ActuatorBank> = banks.iter().collect();
    let world = Surroundings {
        clock: &clock,
        truth: &truth,
        watch: &watch,
        banks: &banks,
        light: beside.light.as_deref(),
        processors: beside.processors.as_deref(),
        rests: beside.rests.as_deref(),
    };
    for_each(&mut cohorts, |cohort| {
        if look_up {
            cohort.look_up(world.watch);
        }
        SCRATCH.with_borrow_mut(|scratch| cohort.sample(&world, scratch));
    });
    gather(cohorts, clock.next, results);
}

/// Collects what the cohorts have left, in their order.
fn gather(cohorts: Vec<Mut<Cohort>>, until: SimTime, results: Results) {
    let Results { mut labels, mut late, mut rows, mut events, mut counters, mut boards } = results;
    release(&mut late.0, &mut rows.0, until);
    for mut cohort in cohorts {
        let cohort = &mut *cohort;
        for (name, n) in [("readings", &mut cohort.readings), ("brown_outs", &mut cohort.brown_outs)] {
            if *n > 0 {
                counters.add(name, std::mem::take(n));
            }
        }
        late.0.extend(cohort.rows.iter().filter(|r| r.t >= until));
        rows.0.extend(cohort.rows.drain(..).filter(|r| r.t < until));
        events.0.append(&mut cohort.events);
        boards.0.append(&mut cohort.boards);
    }
    label(&mut labels, until, &mut events.0);
}

/// Moves what is due before `until`, in order.
fn release(late: &mut Vec<Row>, rows: &mut Vec<Row>, until: SimTime) {
    if !late.is_empty() {
        rows.extend(late.extract_if(.., |r| r.t < until));
    }
}

fn label(labels: &mut FaultLabels, until: SimTime, events: &mut Vec<Event>) {
    while let Some(event) = labels.events.get(labels.next).filter(|e| e.t < until) {
        events.push(event.clone());
        labels.next += 1;
    }
}

/// Bytes that the simulated devices hold, [B], and their number.
pub fn footprint(world: &mut World) -> (usize, usize) {
    let mut cohorts = world.query::<&Cohort>();
    cohorts.iter(world).fold((0, 0), |(bytes, devices), c| (bytes + c.bytes(), devices + c.len()))
}

fn hash_cohorts(world: &mut World, hash: &mut StateHash) {
    let mut bytes = Vec::new();
    let mut cohorts = world.query::<&Cohort>();
    for cohort in cohorts.iter(world) {
        for (lane, index) in cohort.index.iter().enumerate() {
            bytes.clear();
            cohort.hash_into(lane as u16, &mut bytes);
            hash.add(&format!("cohort/{}", cohort.group.device_id(*index)), &bytes);
        }
    }
    world.resource::<Air>().hash(hash);
}
