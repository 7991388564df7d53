//! What a part finds that neither its zone, nor a rigid body, nor its device's dynamics gives: what the device's own
//! actuators do (a pump's flow, a fan's speed), how its processor warms, and what the scenario says of it.
//!
//! The plugin of the set [`LocalSystems`], between Dynamics and Power. Places written in [`Truth`], all
//! `part/<device>/<part>/<quantity>`; [`crate::sense::install`] adds it before it looks for them. Resources: `Told`,
//! `Actuated`, `Processors`. A value that the scenario tells (a group's `truths`, a `Set` event) comes before any other.
//!
//! ```
//! use twinfleet_engine::local::is_supply;
//! assert!(is_supply("current") && is_supply("bus_voltage") && !is_supply("flow"));
//! ```

mod actuated;
pub mod processor;
mod told;

pub use actuated::given;

use crate::{
    carry::Moved,
    catalog::{BusDef, PartDef, SensorDef},
    physics::plugin::place_name,
    plan::{GroupPlan, Plan},
    world::{TickSystems, Truth, TruthId},
};
use bevy_ecs::{prelude::*, schedule::SystemSet};

/// What parts find is written here: after the world that it follows from, before anybody reads it.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalSystems;

/// Whether a quantity is the device's own supply's, unless its part names an actuator that it measures: `bus_voltage` [V],
/// `current` [mA].
pub fn is_supply(quantity: &str) -> bool {
    matches!(quantity, "bus_voltage" | "current")
}

/// Adds what parts find by themselves. After `actuate::install`.
pub(crate) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan, truth: &mut Truth) {
    schedule.configure_sets(LocalSystems.after(TickSystems::Dynamics).before(TickSystems::Power));
    actuated::install(world, schedule, plan, truth);
    processor::install(world, schedule, plan, truth);
    told::install(world, schedule, plan, truth);
}

/// What a device finds around it is that of the zone that it was carried to.
pub(crate) fn carry(world: &mut World, moved: &Moved<'_>) {
    let mut truth = world.remove_resource::<Truth>().unwrap_or_default();
    if let Some(mut processors) = world.get_resource_mut::<processor::Processors>() {
        processors.carry(moved, &mut truth);
    }
    if let Some(mut told) = world.get_resource_mut::<told::Told>() {
        told.carry(moved, &mut truth);
    }
    world.insert_resource(truth);
}

/// A channel of a group's sensor part.
struct Found<'a> {
    part: &'a PartDef,
    quantity: &'a str,
}

/// What drives a processor and is told of the part that looks at it.
const DRIVES: [&str; 2] = ["load", "voltage"];

/// Quantities of a sensor that the scenario may tell of: what it measures, and what drives the processor it looks at.
pub fn tellable(sensor: &SensorDef) -> impl Iterator<Item = &str> {
    let drives = if matches!(sensor.bus, BusDef::Internal) { &DRIVES[..] } else { &[] };
    let measured = sensor.channels.iter().map(|c| c.quantity.as_str());
    let more = drives.iter().copied().filter(|d| sensor.channels.iter().all(|c| c.quantity != **d));
    measured.chain(more)
}

/// Every quantity that sensors of a group's devices find.
fn found<'a>(plan: &'a Plan, group: &'a GroupPlan) -> impl Iterator<Item = Found<'a>> {
    group.thing.parts.iter().flat_map(|part| {
        let sensor = plan.catalog.sensors.get(&part.model);
        sensor.into_iter().flat_map(tellable).map(move |quantity| Found { part, quantity })
    })
}

fn is_told(plan: &Plan, group: &GroupPlan, part: &str, quantity: &str) -> bool {
    plan.scenario.fleet[group.def].truths.contains_key(&format!("{part}.{quantity}"))
}

fn place(truth: &mut Truth, device: &str, part: &str, quantity: &str) -> TruthId {
    truth.place(&place_name(device, part, quantity))
}
