//! Networks as truth: devices of a fleet whose things have dynamics.
//!
//! The plugin of the set `Dynamics`. One [`Networks`] entity per group; every device has parameters of its own, drawn from
//! their priors, so that a twin that follows it with the stated values meets a unit, not its own mirror image. Inputs are
//! `zone.<quantity>`, `outside.<quantity>` or `<actuator part>.level`; outputs become the truth of the part they name, and
//! `part.quantity@truth` at the start of each tick.

use super::{
    definition::BoundaryAt,
    model::{DynamicsError, Model},
};
use crate::{
    actuate::ActuatorBank,
    carry::Moved,
    plan::{self, GroupPlan, Plan},
    rng::{self, Rng},
    scenario::{Action, EventDef},
    signal::{SignalId, wildcard},
    time::SimTime,
    units::Conversion,
    world::{Clock, Event, Events, Row, Rows, StateHash, StateHashers, TickSystems, Truth, TruthId, Watch},
};
use bevy_ecs::prelude::*;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// The networks of a group of devices, those of this shard.
#[derive(Component, Debug)]
pub struct Networks {
    group: usize,
    model: Model,
    units: Vec<Unit>,
}

#[derive(Debug)]
struct Unit {
    id: String,
    theta: Vec<f64>,
    x: Vec<f64>,
    inputs: Vec<(Driver, Option<Conversion>)>,
    u: Vec<f64>,
    outputs: Vec<TruthId>,
    /// The first output's signal; the others follow.
    signal: SignalId,
    noise: Rng,
    changes: Vec<Change>,
}

/// A parameter is another for a while.
#[derive(Debug)]
struct Change {
    from: SimTime,
    until: SimTime,
    parameter: usize,
    factor: f64,
    kind: String,
    /// Whether its onset and its end were told.
    told: [bool; 2],
}

impl Change {
    /// Those of a device in the timeline.
    fn all(plan: &Plan, id: &str, model: &Model) -> Vec<Self> {
        let of_event = |event: &EventDef| {
            let Action::Change { target, parameter, factor, kind } = &event.action else { return None };
            let parameter =
                model.parameter(parameter).filter(|_| wildcard(target.as_bytes(), id.as_bytes()))?;
            Some(Self {
                from: SimTime::ZERO + event.at,
                until: event.until.map_or(SimTime::NEVER, |u| SimTime::ZERO + u),
                parameter,
                factor: *factor,
                kind: kind.clone(),
                told: [false; 2],
            })
        };
        plan.scenario.timeline.iter().filter_map(of_event).collect()
    }

    /// Its labels that are due.
    fn label(&mut self, now: SimTime, id: &str, events: &mut Vec<Event>) {
        let ends = [(self.from, "fault_start"), (self.until, "fault_end")];
        for ((t, kind), told) in ends.into_iter().zip(&mut self.told) {
            if t <= now && !std::mem::replace(told, true) {
                events.push(Event {
                    t,
                    subject: id.to_owned(),
                    kind: kind.to_owned(),
                    detail: self.kind.clone(),
                    value: self.factor,
                    unit: "ratio".to_owned(),
                    ..Event::default()
                });
            } else if t > now {
                break;
            }
        }
    }
}

impl Unit {
    /// Its parameters now.
    fn theta_at(&self, now: SimTime) -> Option<Vec<f64>> {
        let acts = |c: &&Change| c.from <= now && now < c.until;
        self.changes.iter().any(|c| acts(&c)).then(|| {
            let mut theta = self.theta.clone();
            self.changes.iter().filter(acts).for_each(|c| theta[c.parameter] *= c.factor);
            theta
        })
    }
}

/// Where an input comes from.
#[derive(Clone, Debug)]
enum Driver {
    Place(TruthId),
    /// Index into the actuator bank's units.
    Level(usize),
}

/// Adds the networks of a plan to a run. After `environment::install` and `actuate::install`.
///
/// # Errors
/// When a network does not compile or an input names nothing that drives it.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) -> Result<(), DynamicsError> {
    let mut any = false;
    for (g, group) in plan.groups.iter().enumerate() {
        let Some(def) = &group.thing.dynamics else { continue };
        let model = Model::compile(def, &def.covariates)?;
        for boundary in &def.boundaries {
            if let BoundaryAt::Input(name) = &boundary.at {
                debug_assert!(model.inputs.iter().any(|i| i.signal == *name), "checked by compile");
            }
        }
        let units = (0..group.count)
            .filter(|i| plan.owns(group, *i))
            .map(|i| unit(world, plan, g, group, &model, i))
            .collect::<Result<Vec<_>, _>>()?;
        any |= !units.is_empty();
        world.spawn(Networks { group: g, model, units });
    }
    if any {
        world.resource_mut::<StateHashers>().0.push(hash_networks);
        schedule.add_systems(advance_networks.in_set(TickSystems::Dynamics));
    }
    Ok(())
}

fn unit(
    world: &mut World,
    plan: &Plan,
    g: usize,
    group: &GroupPlan,
    model: &Model,
    device: u32,
) -> Result<Unit, DynamicsError> {
    let id = plan.device_id(group, device);
    let theta: Vec<f64> = model
        .parameters
        .iter()
        .map(|p| {
            let mut stream = rng::stream(plan.seed, &id, &format!("dynamics/{}", p.name));
            let z: f64 = StandardNormal.sample(&mut stream);
            if p.is_free() { p.from_space(p.to_space(p.value) + p.prior_sd() * z) } else { p.value }
        })
        .collect();
    let stated = group.thing.dynamics.iter().flat_map(|d| &d.inputs);
    let inputs = stated
        .map(|input| {
            let driver = driver(world, plan, g, group, device, &input.signal)?;
            Ok((driver, Conversion::of_signal(&input.signal, &input.unit)))
        })
        .collect::<Result<Vec<_>, DynamicsError>>()?;
    let mut truth = world.resource_mut::<Truth>();
    let outputs = model
        .outputs
        .iter()
        .map(|o| {
            let (part, quantity) = o.signal.split_once('.').unwrap_or((&o.signal, "value"));
            truth.place(&format!("part/{id}/{part}/{quantity}"))
        })
        .collect();
    let u: Vec<f64> = inputs
        .iter()
        .map(|(d, conversion)| {
            let value = match d {
                Driver::Place(p) => truth.get(*p),
                Driver::Level(_) => 0.0,
            };
            conversion.map_or(value, |c| c.of(value))
        })
        .collect();
    let resting = model.resting_c(&theta, &u);
    let x = model.starts.iter().map(|s| s.initial_c.unwrap_or(resting)).collect();
    let noise = rng::stream(plan.seed, &id, "dynamics/noise");
    let changes = Change::all(plan, &id, model);
    let channels =
        plan::device_channels(&group.thing, &group.power, group.radio, &plan.catalog).map_or(0, |c| c.len());
    let first = channels.saturating_sub(model.outputs.len()) as u32;
    let signal = plan.signals.id(group.block, device, first);
    Ok(Unit { id, theta, x, inputs, u, outputs, signal, noise, changes })
}

/// A device's network is driven by the zone that it was carried to.
pub(crate) fn carry(world: &mut World, moved: &Moved<'_>) {
    let mut truth = world.remove_resource::<Truth>().unwrap_or_default();
    for mut networks in world.query::<&mut Networks>().iter_mut(world).filter(|n| n.group == moved.at.0) {
        let Networks { model, units, .. } = &mut *networks;
        let Some(unit) = units.iter_mut().find(|u| u.id == moved.device) else { continue };
        for (input, (driver, _)) in model.inputs.iter().zip(&mut unit.inputs) {
            if let Some(quantity) = input.signal.strip_prefix("zone.") {
                *driver = Driver::Place(truth.place(&format!("{}/{quantity}", moved.prefix)));
            }
        }
    }
    world.insert_resource(truth);
}

fn driver(
    world: &mut World,
    plan: &Plan,
    g: usize,
    group: &GroupPlan,
    device: u32,
    signal: &str,
) -> Result<Driver, DynamicsError> {
    let (part, quantity) = signal.split_once('.').unwrap_or((signal, ""));
    let place = match (part, group.zone(device)) {
        ("zone", Some(zone)) => Some(format!("zone/{}/{quantity}", plan.scenario.world.zones[zone].id)),
        ("zone" | "outside", _) => Some(format!("outside/{quantity}")),
        _ => None,
    };
    if let Some(place) = place {
        return Ok(Driver::Place(world.resource_mut::<Truth>().place(&place)));
    }
    let mut banks = world.query::<&ActuatorBank>();
    let found = banks
        .iter(world)
        .filter(|b| b.group == g)
        .find_map(|b| b.units.iter().position(|u| u.device == device && b.parts[u.part as usize].0 == part));
    found.map(Driver::Level).ok_or_else(|| DynamicsError::Figure {
        place: format!("input `{signal}` of thing `{}`", group.thing.name),
        why: "in a simulated device an input must be `zone.<quantity>`, `outside.<quantity>` or \
              `<actuator part>.level`"
            .to_owned(),
    })
}

fn advance_networks(
    clock: Res<Clock>,
    watch: Res<Watch>,
    mut rows: ResMut<Rows>,
    mut truth: ResMut<Truth>,
    mut events: ResMut<Events>,
    banks: Query<&ActuatorBank>,
    mut all: Query<&mut Networks>,
) {
    let (dt_s, now) = (clock.step.as_secs_f64(), clock.now);
    for mut networks in &mut all {
        let networks = &mut *networks;
        for unit in &networks.units {
            for (k, output) in networks.model.outputs.iter().enumerate() {
                let signal = SignalId(unit.signal.0 + k as u32);
                if watch.wants(signal) {
                    rows.0.push(Row { t: clock.now, signal, value: unit.x[output.state] });
                }
            }
        }
        let bank = banks.iter().find(|b| b.group == networks.group);
        let model = &networks.model;
        let before = &*truth;
        networks.units.par_iter_mut().for_each(|unit| {
            for (u, (driver, conversion)) in unit.u.iter_mut().zip(&unit.inputs) {
                let value = match driver {
                    Driver::Place(p) => before.get(*p),
                    Driver::Level(at) => bank.map_or(0.0, |b| b.units[*at].follower.level()),
                };
                *u = conversion.map_or(value, |c| c.of(value));
            }
            let changed = unit.theta_at(now);
            model.step(&mut unit.x, changed.as_ref().unwrap_or(&unit.theta), &unit.u, dt_s);
            for (x, start) in unit.x.iter_mut().zip(&model.starts) {
                let z: f64 = StandardNormal.sample(&mut unit.noise);
                *x += start.noise_k_per_sqrt_s * dt_s.sqrt() * z;
            }
        });
        for unit in &mut networks.units {
            for change in &mut unit.changes {
                change.label(now, &unit.id, &mut events.0);
            }
            for (place, output) in unit.outputs.iter().zip(&networks.model.outputs) {
                truth.set(*place, unit.x[output.state]);
            }
        }
    }
}

fn hash_networks(world: &mut World, hash: &mut StateHash) {
    let mut all = world.query::<&Networks>();
    for networks in all.iter(world) {
        for unit in &networks.units {
            let bytes: Vec<u8> = unit.x.iter().chain(&unit.theta).flat_map(|v| v.to_le_bytes()).collect();
            hash.add(&format!("dynamics/{}", unit.id), &bytes);
        }
    }
}
