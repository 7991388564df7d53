//! Devices that are carried from zone to zone while the run goes on: the timeline's `Move` events.
//!
//! From the first tick that starts at or after its time, a device finds air, light, sound and field of the zone that it was
//! carried to (its parts come there with their lags), its actuators act on that one, and its radio stands behind that one's
//! walls. What is its own stays: battery, clock, queue. It does not know that it was moved: a topic or payload in which
//! `{zone}` stands keeps the zone that the device was set up for.
//!
//! One exclusive system, `carry_devices`, in a set of its own between Input and Environment, and only where the timeline has
//! such an event; resource `Carries`. Each plugin takes a device over by a function of its own named `carry`.
//!
//! Deliberately absent: devices that a rigid body bears, which the scene moves, and those that run a script.
//!
//! ```
//! use twinfleet_engine::carry::place_prefix;
//! assert_eq!(place_prefix(Some("attic")), "zone/attic");
//! assert_eq!(place_prefix(None), "outside");
//! ```

use crate::{
    actuate,
    dynamics::simulate,
    local,
    plan::Plan,
    scenario::{Action, OUTDOORS},
    sense,
    signal::wildcard,
    time::SimTime,
    world::{Clock, Event, Events, StateHash, StateHashers, TickSystems},
};
use bevy_ecs::{prelude::*, schedule::SystemSet};
use std::collections::{BTreeMap, BTreeSet};

/// Devices are carried here: before the world that they find.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct CarrySystems;

/// A `Move` event.
#[derive(Debug)]
struct Carry {
    at: SimTime,
    until: Option<SimTime>,
    /// Zone index; none: outdoors.
    to: Option<usize>,
    /// Ids of the devices, this shard's.
    devices: Vec<String>,
}

/// A device that some event carries.
#[derive(Debug)]
struct Carried {
    /// Index of its group in the plan, and its index there.
    at: (usize, u32),
    /// Where it stays while no event holds it elsewhere.
    home: Option<usize>,
    now: Option<usize>,
}

/// The `Move` events of a run.
#[derive(Resource, Debug)]
struct Carries {
    seed: u64,
    /// Zone ids.
    zones: Vec<String>,
    /// Latest first.
    coming: Vec<Carry>,
    /// In the order in which they began: a later one wins.
    holding: Vec<Carry>,
    devices: BTreeMap<String, Carried>,
}

/// What a plugin needs to take a device over.
pub(crate) struct Moved<'a> {
    /// Device id.
    pub device: &'a str,
    /// Index of its group in the plan, and its index there.
    pub at: (usize, u32),
    /// Zone index; none: outdoors.
    pub zone: Option<usize>,
    /// The same by its name; `outside` where there is none.
    pub name: &'a str,
    /// What the places of that zone in [`crate::world::Truth`] begin with.
    pub prefix: String,
    /// Seed of the run.
    pub seed: u64,
}

/// What the places of a zone, or of the outdoors, begin with.
pub fn place_prefix(zone: Option<&str>) -> String {
    zone.map_or_else(|| OUTDOORS.to_owned(), |z| format!("zone/{z}"))
}

/// Adds the `Move` events of a plan. After all plugins whose devices can be carried.
pub(crate) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    let zones: Vec<String> = plan.scenario.world.zones.iter().map(|z| z.id.clone()).collect();
    let (mut coming, mut devices) = (Vec::new(), BTreeMap::new());
    for event in &plan.scenario.timeline {
        let Action::Move { target, to } = &event.action else { continue };
        let mut named = Vec::new();
        for (g, group) in plan.groups.iter().enumerate().filter(|(_, group)| !group.also.is_empty()) {
            for i in (0..group.count).filter(|i| plan.owns(group, *i)) {
                let id = plan.device_id(group, i);
                if wildcard(target.as_bytes(), id.as_bytes()) {
                    let home = group.zone(i);
                    devices.entry(id.clone()).or_insert(Carried { at: (g, i), home, now: home });
                    named.push(id);
                }
            }
        }
        coming.push(Carry {
            at: SimTime::ZERO + event.at,
            until: event.until.map(|u| SimTime::ZERO + u),
            to: zones.iter().position(|z| z == to),
            devices: named,
        });
    }
    if devices.is_empty() {
        return;
    }
    // Stable: of two events at one instant the later in the file wins.
    coming.reverse();
    coming.sort_by_key(|c| std::cmp::Reverse(c.at));
    world.insert_resource(Carries { seed: plan.seed, zones, coming, holding: Vec::new(), devices });
    world.get_resource_or_init::<StateHashers>().0.push(hash_places);
    schedule.configure_sets(CarrySystems.after(TickSystems::Input).before(TickSystems::Environment));
    schedule.add_systems(carry_devices.in_set(CarrySystems));
}

fn carry_devices(world: &mut World) {
    let now = world.resource::<Clock>().now;
    world.resource_scope(|world, mut all: Mut<Carries>| {
        let moved = all.begin_and_end(now);
        for id in moved {
            all.carry(world, &id, now);
        }
    });
}

impl Carries {
    /// Takes what begins and what ends; the devices that this concerns.
    fn begin_and_end(&mut self, now: SimTime) -> BTreeSet<String> {
        let mut concerned = BTreeSet::new();
        for ended in self.holding.extract_if(.., |c| c.until.is_some_and(|u| u <= now)) {
            concerned.extend(ended.devices);
        }
        while self.coming.last().is_some_and(|c| c.at <= now) {
            let Some(carry) = self.coming.pop() else { break };
            concerned.extend(carry.devices.iter().cloned());
            match carry.until {
                Some(until) if until <= now => {}
                Some(_) => self.holding.push(carry),
                None => {
                    for id in &carry.devices {
                        if let Some(device) = self.devices.get_mut(id) {
                            device.home = carry.to;
                        }
                    }
                }
            }
        }
        concerned
    }

    /// Brings a device to where it belongs now.
    fn carry(&mut self, world: &mut World, id: &str, now: SimTime) {
        let held = self.holding.iter().rev().find(|c| c.devices.iter().any(|d| d == id)).map(|c| c.to);
        let Some(device) = self.devices.get_mut(id) else { return };
        let (from, to) = (device.now, held.unwrap_or(device.home));
        if from == to {
            return;
        }
        device.now = to;
        let name = |zone: Option<usize>| zone.map(|z| self.zones[z].as_str());
        let moved = Moved {
            device: id,
            at: device.at,
            zone: to,
            name: name(to).unwrap_or(OUTDOORS),
            prefix: place_prefix(name(to)),
            seed: self.seed,
        };
        actuate::carry(world, &moved);
        simulate::carry(world, &moved);
        local::carry(world, &moved);
        sense::carry(world, &moved, now);
        world.resource_mut::<Events>().0.push(Event {
            t: now,
            subject: id.to_owned(),
            kind: "moved".to_owned(),
            detail: format!("from {} to {}", name(from).unwrap_or(OUTDOORS), moved.name),
            ..Event::default()
        });
    }
}

fn hash_places(world: &mut World, hash: &mut StateHash) {
    for (id, device) in &world.resource::<Carries>().devices {
        let place = device.now.map_or(u64::MAX, |z| z as u64);
        hash.add(&format!("carry/{id}"), &place.to_le_bytes());
    }
}
