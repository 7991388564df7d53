//! What the scenario says of single parts: a group's `truths`, and the `Set` events that change them. A pure function of the
//! scenario and of time.

use super::{LocalSystems, found, place};
use crate::{
    carry::Moved,
    plan::Plan,
    scenario::Action,
    signal::wildcard,
    time::SimTime,
    world::{Clock, Event, Events, Truth, TruthId},
};
use bevy_ecs::prelude::*;
use std::collections::BTreeMap;

/// A channel that a `Set` event names.
#[derive(Debug)]
struct Spot {
    place: TruthId,
    device: String,
    channel: String,
}

/// A `Set` event.
#[derive(Debug)]
struct Telling {
    at: SimTime,
    until: Option<SimTime>,
    spots: Vec<Spot>,
    to: f64,
}

/// What a place holds while no event does.
#[derive(Clone, Copy, Debug)]
enum Base {
    /// As told.
    Value(f64),
    /// As the part's surroundings.
    Around(TruthId),
}

/// A place that holds what is around its part, by itself.
#[derive(Debug)]
struct Own {
    place: TruthId,
    device: String,
    quantity: String,
}

/// What is told of parts.
#[derive(Resource, Debug, Default)]
pub(super) struct Told {
    /// Latest first.
    coming: Vec<Telling>,
    /// In the order in which they began: a later one wins.
    holding: Vec<Telling>,
    /// By place. What physics or actuators write anew each tick is not among them.
    base: BTreeMap<u32, Base>,
    /// Places that began as their parts' surroundings.
    around: Vec<Own>,
}

impl Told {
    /// A device's parts are surrounded by what is in the zone that it was carried to.
    pub(super) fn carry(&mut self, moved: &Moved<'_>, truth: &mut Truth) {
        for own in self.around.iter().filter(|own| own.device == moved.device) {
            if let Some(Base::Around(around)) = self.base.get_mut(&own.place.0) {
                *around = truth.place(&format!("{}/{}", moved.prefix, own.quantity));
            }
        }
    }
}

pub(super) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan, truth: &mut Truth) {
    let mut told = Told::default();
    for group in &plan.groups {
        let truths = &plan.scenario.fleet[group.def].truths;
        if truths.is_empty() {
            continue;
        }
        for device in (0..group.count).filter(|i| plan.owns(group, *i)) {
            let id = plan.device_id(group, device);
            for (name, value) in truths {
                let (part, quantity) = name.split_once('.').unwrap_or((name, ""));
                told.base.insert(place(truth, &id, part, quantity).0, Base::Value(*value));
            }
        }
    }
    for event in &plan.scenario.timeline {
        let Action::Set { target, to } = &event.action else { continue };
        let spots = spots(plan, target, truth, &mut told);
        told.coming.push(Telling {
            at: SimTime::ZERO + event.at,
            until: event.until.map(|u| SimTime::ZERO + u),
            spots,
            to: *to,
        });
    }
    if told.base.is_empty() && told.coming.is_empty() {
        return;
    }
    for (id, base) in &told.base {
        if let Base::Value(value) = base {
            truth.set(TruthId(*id), *value);
        }
    }
    // Stable: of two events at one instant the later in the file wins.
    told.coming.reverse();
    told.coming.sort_by_key(|t| std::cmp::Reverse(t.at));
    world.insert_resource(told);
    schedule.add_systems(tell_truths.in_set(LocalSystems));
}

/// The channels that a target names, of this shard's devices.
fn spots(plan: &Plan, target: &str, truth: &mut Truth, told: &mut Told) -> Vec<Spot> {
    let Some((device, channel)) = target.split_once('/') else { return Vec::new() };
    let mut all = Vec::new();
    for group in &plan.groups {
        let hit: Vec<(&str, &str)> = found(plan, group)
            .map(|f| (f.part.id.as_str(), f.quantity))
            .filter(|(part, q)| wildcard(channel.as_bytes(), format!("{part}.{q}").as_bytes()))
            .collect();
        if hit.is_empty() {
            continue;
        }
        for i in (0..group.count).filter(|i| plan.owns(group, *i)) {
            let id = plan.device_id(group, i);
            if !wildcard(device.as_bytes(), id.as_bytes()) {
                continue;
            }
            for (part, quantity) in &hit {
                let known = truth.find(&super::place_name(&id, part, quantity));
                let place = known.unwrap_or_else(|| {
                    let around = match group.zone(i) {
                        Some(z) => format!("zone/{}/{quantity}", plan.scenario.world.zones[z].id),
                        None => format!("outside/{quantity}"),
                    };
                    let around = truth.place(&around);
                    let place = place(truth, &id, part, quantity);
                    told.base.insert(place.0, Base::Around(around));
                    told.around.push(Own { place, device: id.clone(), quantity: (*quantity).to_owned() });
                    place
                });
                all.push(Spot { place, device: id.clone(), channel: format!("{part}.{quantity}") });
            }
        }
    }
    all
}

/// Writes what is told. Physics and actuators write their places anew each tick, so what holds is written each tick, too.
pub(super) fn tell_truths(
    clock: Res<Clock>,
    mut told: ResMut<Told>,
    mut truth: ResMut<Truth>,
    mut events: ResMut<Events>,
) {
    let Told { coming, holding, base, .. } = &mut *told;
    for ended in holding.extract_if(.., |t| t.until.is_some_and(|u| u <= clock.now)) {
        for spot in &ended.spots {
            if let Some(Base::Value(value)) = base.get(&spot.place.0) {
                truth.set(spot.place, *value);
            }
            events.0.push(happened(spot, clock.now, "set_end", ended.to));
        }
    }
    for (id, base) in base.iter() {
        if let Base::Around(around) = base {
            let value = truth.get(*around);
            truth.set(TruthId(*id), value);
        }
    }
    // A truth holds over a tick: an event within it acts from the next one's start.
    while coming.last().is_some_and(|t| t.at <= clock.now) {
        let Some(telling) = coming.pop() else { break };
        let mut stays = telling.until.is_some();
        for spot in &telling.spots {
            events.0.push(happened(spot, clock.now, "set", telling.to));
            match base.get_mut(&spot.place.0) {
                Some(base) if telling.until.is_none() => {
                    *base = Base::Value(telling.to);
                    truth.set(spot.place, telling.to);
                }
                Some(_) => {}
                // What something else writes anew each tick has to be held.
                None => stays = true,
            }
        }
        if stays {
            holding.push(telling);
        }
    }
    for telling in holding.iter() {
        for spot in &telling.spots {
            truth.set(spot.place, telling.to);
        }
    }
}

fn happened(spot: &Spot, t: SimTime, kind: &str, value: f64) -> Event {
    Event {
        t,
        subject: spot.device.clone(),
        part: spot.channel.clone(),
        kind: kind.to_owned(),
        detail: "as the scenario says".to_owned(),
        value,
        ..Event::default()
    }
}
