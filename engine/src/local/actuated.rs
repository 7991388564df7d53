//! What actuators give to the parts of their own device that measure them.

use super::{LocalSystems, found, is_told, place};
use crate::{
    actuate::ActuatorBank,
    catalog::ActuatorDef,
    plan::{GroupPlan, Plan},
    world::{Truth, TruthId},
};
use bevy_ecs::prelude::*;

/// What a part finds of actuators: the sum over them of level times what each gives at full level.
#[derive(Debug)]
pub(super) struct Follows {
    place: TruthId,
    group: usize,
    /// Index into the bank's units, and what it gives at full level; none: the current that it takes is asked for.
    units: Vec<(usize, Option<f64>)>,
}

/// All that parts find of actuators.
#[derive(Resource, Debug, Default)]
pub(super) struct Actuated(Vec<Follows>);

/// What an actuator gives of a quantity at full level, in the catalog's unit; the most of its supply current [mA] among them.
pub fn given(actuator: &ActuatorDef, quantity: &str) -> Option<f64> {
    let own = (quantity == "current" && actuator.worst_ma() > 0.0).then_some(actuator.worst_ma());
    actuator.gives.get(quantity).copied().or(own)
}

pub(super) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan, truth: &mut Truth) {
    let mut all = Vec::new();
    let mut banks = world.query::<&ActuatorBank>();
    for bank in banks.iter(world) {
        if let Some(group) = plan.groups.iter().find(|g| g.def == bank.group) {
            of_group(plan, group, bank, truth, &mut all);
        }
    }
    if !all.is_empty() {
        // Banks have no order of their own.
        all.sort_by_key(|f: &Follows| f.place);
        world.insert_resource(Actuated(all));
        schedule.add_systems(follow_actuators.in_set(LocalSystems).before(super::told::tell_truths));
    }
}

fn of_group(plan: &Plan, group: &GroupPlan, bank: &ActuatorBank, truth: &mut Truth, all: &mut Vec<Follows>) {
    let model = |id: &str| group.thing.parts.iter().find(|p| p.id == id).map(|p| p.model.as_str());
    for f in found(plan, group) {
        // Without a name a current is the whole device's.
        if is_told(plan, group, &f.part.id, f.quantity) || (f.quantity == "current" && f.part.of.is_none()) {
            continue;
        }
        let gives = |(id, _): &(String, _)| {
            let named = f.part.of.as_ref().is_none_or(|of| of == id);
            let actuator = plan.catalog.actuators.get(model(id)?)?;
            let gives = named.then(|| given(actuator, f.quantity)).flatten()?;
            Some(actuator.gives.contains_key(f.quantity).then_some(gives))
        };
        let factors: Vec<Option<Option<f64>>> = bank.parts.iter().map(gives).collect();
        if factors.iter().all(Option::is_none) {
            continue;
        }
        for first in (0..bank.units.len()).step_by(bank.parts.len()) {
            let units = factors.iter().enumerate().filter_map(|(k, x)| Some((first + k, (*x)?))).collect();
            let place = place(truth, bank.device_id(first), &f.part.id, f.quantity);
            all.push(Follows { place, group: bank.group, units });
        }
    }
}

pub(super) fn follow_actuators(all: Res<Actuated>, banks: Query<&ActuatorBank>, mut truth: ResMut<Truth>) {
    let banks: Vec<&ActuatorBank> = banks.iter().collect();
    for follows in &all.0 {
        let Some(bank) = banks.iter().find(|b| b.group == follows.group) else { continue };
        let of_unit = |(unit, gives): &(usize, Option<f64>)| match gives {
            Some(gives) => bank.units[*unit].follower.level() * gives,
            None => bank.now_ma(*unit),
        };
        let sum = follows.units.iter().map(of_unit).sum();
        truth.set(follows.place, sum);
    }
}
