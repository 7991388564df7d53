//! The fleet as a person counts it: every device once, with its signals, its twin and what it looks like.

use std::{collections::BTreeMap, sync::Arc};
use twinfleet_engine::{
    catalog::{Catalog, EffectDef, ThingDef, WireDef},
    plan::Plan,
    scenario::MountDef,
    signal::{BlockId, Kind, SignalId},
};

/// What a board looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Board {
    /// A Raspberry Pi of full size.
    Pi,
    /// A Raspberry Pi Pico.
    Pico,
    /// An ESP32 or ESP8266 on its development board.
    Esp32,
    /// An Arduino.
    Arduino,
    /// A BeagleBone.
    BeagleBone,
    /// Anything else.
    Module,
}

/// What a part looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// A small sensor board.
    Sensor,
    /// A thermometer in a tube.
    Probe,
    /// A soil probe.
    Soil,
    /// A light sensor.
    Light,
    /// Something that looks ahead: range, presence.
    Ranger,
    /// A heater.
    Heater,
    /// A fan.
    Fan,
    /// A vent.
    Vent,
    /// A pump or a valve.
    Valve,
    /// A lamp.
    Lamp,
    /// A relay, a servo and whatever else acts.
    Relay,
}

/// A part of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Id within the thing.
    pub id: String,
    /// Name of the sensor or actuator.
    pub model: String,
    /// What it looks like; none for what is inside the board.
    pub look: Option<Look>,
    /// Where its level is shown, for an actuator.
    pub level: Option<SignalId>,
}

/// A device, simulated or real.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Ordinal by which its messages are counted; none for one that only a load knows.
    pub ordinal: Option<u32>,
    /// Index of its group within the plan; none for a physical.
    pub group: Option<usize>,
    /// Index within its group.
    pub index: u32,
    /// Index of its zone.
    pub zone: Option<usize>,
    /// Its thing, where there is one.
    pub thing: Option<Arc<ThingDef>>,
    /// What its board looks like.
    pub board: Board,
    /// Its parts.
    pub parts: Vec<Part>,
    /// Its own signals.
    pub block: Option<BlockId>,
    /// Index of the mirror section whose twin follows it.
    pub twin: Option<usize>,
    /// The rigid body that carries its first mounted part, and the mount.
    pub body: Option<(usize, MountDef)>,
    /// Name of its link.
    pub link: Option<String>,
    /// What a search goes through, in lower case: its id, its thing, its parts and their models.
    pub words: String,
}

/// One series of a twin beside the physical's: reported, estimate, residual, verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// `part.quantity`.
    pub name: String,
    /// Unit symbol.
    pub unit: String,
    /// What arrived.
    pub reported: SignalId,
    /// What the twin holds.
    pub estimate: SignalId,
    /// The one minus what was predicted of the other.
    pub residual: SignalId,
    /// The same in standard deviations.
    pub whitened: SignalId,
}

/// All devices of a run.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// In the scenario's order: the fleet, physicals, what a load connects, what only a mirror knows.
    pub devices: Vec<Device>,
    by_id: BTreeMap<String, usize>,
    pairs: Vec<Vec<Pair>>,
}

impl Fleet {
    /// The devices of a plan.
    pub fn of(plan: &Plan) -> Self {
        let mut fleet = Self::default();
        let scene = plan.scenario.world.scene.as_ref();
        let body = |id: &str| scene?.bodies.iter().position(|b| b.id == id);
        for (g, group) in plan.groups.iter().enumerate() {
            let def = &plan.scenario.fleet[group.def];
            for i in 0..group.count {
                let mount = def
                    .mounts
                    .iter()
                    .find_map(|m| Some((body(&m.body.replace("{}", &i.to_string()))?, m.clone())));
                let levels = plan.signals.blocks().nth(group.block.0 as usize).map_or(&[][..], |(_, _, c)| c);
                let parts = parts(&group.thing, plan, |part| {
                    let level = format!("{part}.level");
                    let at = levels.iter().position(|c| c.kind == Kind::Truth && c.name == level)?;
                    Some(plan.signals.id(group.block, i, at as u32))
                });
                fleet.add(Device {
                    id: plan.device_id(group, i),
                    ordinal: Some(group.first + i),
                    group: Some(g),
                    index: i,
                    zone: group.zone(i),
                    board: board(group.thing.board.as_deref(), &group.thing.name),
                    parts,
                    thing: Some(Arc::clone(&group.thing)),
                    block: Some(group.block),
                    twin: None,
                    body: mount,
                    link: group.link.map(|l| plan.scenario.links[l].id.clone()),
                    words: String::new(),
                });
            }
        }
        for (at, physical) in plan.scenario.physicals.iter().enumerate() {
            let zones = &plan.scenario.world.zones;
            let mirror = plan.scenario.mirror.iter().find(|m| m.twin == physical.id);
            let mut device = fleet.bare(plan, &physical.id, mirror.map(|m| m.thing.as_str()));
            device.ordinal = Some(plan.physical_ordinal(at));
            device.zone = physical.zone.as_ref().and_then(|id| zones.iter().position(|z| z.id == *id));
            fleet.add(device);
        }
        for group in plan.scenario.load.iter().flat_map(|l| &l.devices) {
            for i in 0..group.count {
                let id = group.id.replace("{}", &i.to_string());
                if !fleet.by_id.contains_key(&id) {
                    let device = fleet.bare(plan, &id, None);
                    fleet.add(device);
                }
            }
        }
        for (at, mirror) in plan.scenario.mirror.iter().enumerate() {
            if !fleet.by_id.contains_key(&mirror.twin) {
                let mut device = fleet.bare(plan, &mirror.twin, Some(&mirror.thing));
                // Real devices come after all simulated ones.
                device.ordinal = Some(plan.physical_ordinal(plan.scenario.physicals.len()) + at as u32);
                fleet.add(device);
            }
            if let Some(device) = fleet.by_id.get(&mirror.twin).copied() {
                fleet.devices[device].twin = Some(at);
            }
        }
        fleet.pairs = (0..plan.scenario.mirror.len()).map(|at| pairs(plan, at)).collect();
        fleet
    }

    fn add(&mut self, mut device: Device) {
        device.words = words(&device);
        self.by_id.insert(device.id.clone(), self.devices.len());
        self.devices.push(device);
    }

    fn bare(&self, plan: &Plan, id: &str, thing: Option<&str>) -> Device {
        let of_name = |name: &str| {
            let own = plan.scenario.things.iter().find(|t| t.name == name);
            own.or_else(|| plan.catalog.things.get(name)).cloned().map(Arc::new)
        };
        let thing = thing.and_then(of_name);
        let named = thing.as_ref().map_or(id, |t| t.name.as_str());
        Device {
            id: id.to_owned(),
            ordinal: None,
            group: None,
            index: 0,
            zone: None,
            board: board(thing.as_ref().and_then(|t| t.board.as_deref()), named),
            parts: thing.as_ref().map_or_else(Vec::new, |t| parts(t, plan, |_| None)),
            thing,
            block: None,
            twin: None,
            body: None,
            link: None,
            words: String::new(),
        }
    }

    /// The device of this id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// What a twin and its physical have in common.
    pub fn pairs(&self, twin: usize) -> &[Pair] {
        self.pairs.get(twin).map_or(&[], Vec::as_slice)
    }

    /// Every signal of a device, its twin's too.
    pub fn signals(&self, plan: &Plan, device: usize) -> Vec<SignalId> {
        let device = &self.devices[device];
        let mut ids = Vec::new();
        if let Some(block) = device.block {
            ids.extend(of_block(plan, block, device.index));
        }
        if let Some(twin) = device.twin {
            ids.extend(of_block(plan, plan.twin_blocks[twin], 0));
        }
        ids
    }

    /// A device's value of a quantity, such as `temperature`: what it reads or reports of it first.
    pub fn of_quantity(&self, plan: &Plan, device: usize, quantity: &str) -> Option<SignalId> {
        let fits = |id: &SignalId| {
            let c = plan.signals.channel(*id);
            matches!(c.kind, Kind::Reading | Kind::Reported)
                && c.name.rsplit_once('.').is_some_and(|(_, q)| q == quantity)
        };
        self.signals(plan, device).into_iter().find(fits)
    }
}

fn words(device: &Device) -> String {
    let thing = device.thing.as_ref().map_or("", |t| t.name.as_str());
    let parts = device.parts.iter().flat_map(|p| [p.id.as_str(), p.model.as_str()]);
    let words: Vec<&str> = [device.id.as_str(), thing].into_iter().chain(parts).collect();
    words.join(" ").to_lowercase()
}

/// Every signal of a zone.
pub fn of_zone(plan: &Plan, zone: usize) -> Vec<SignalId> {
    of_block(plan, plan.zone_blocks[zone], 0).collect()
}

/// The signals of one of a block's instances.
pub fn of_block(plan: &Plan, block: BlockId, instance: u32) -> impl Iterator<Item = SignalId> + '_ {
    let count = plan.signals.blocks().nth(block.0 as usize).map_or(0, |(_, _, c)| c.len() as u32);
    (0..count).map(move |c| plan.signals.id(block, instance, c))
}

fn pairs(plan: &Plan, mirror: usize) -> Vec<Pair> {
    let block = plan.twin_blocks[mirror];
    let ids = || of_block(plan, block, 0);
    let of = |name: &str, kind: Kind| {
        ids().find(|id| {
            let c = plan.signals.channel(*id);
            c.name == name && c.kind == kind
        })
    };
    let estimates = ids().filter(|id| plan.signals.channel(*id).kind == Kind::Estimate);
    let pair = |estimate: SignalId| {
        let c = plan.signals.channel(estimate);
        Some(Pair {
            name: c.name.clone(),
            unit: c.unit.clone(),
            reported: of(&c.name, Kind::Reported)?,
            estimate,
            residual: of(&c.name, Kind::Residual)?,
            whitened: of(&format!("{}.whitened", c.name), Kind::Residual)?,
        })
    };
    estimates.filter_map(pair).collect()
}

fn board(board: Option<&str>, thing: &str) -> Board {
    let name = board.unwrap_or(thing);
    let has = |word: &str| name.contains(word);
    if has("pico") {
        Board::Pico
    } else if has("raspberry") || name.starts_with("pi") {
        Board::Pi
    } else if has("esp") {
        Board::Esp32
    } else if has("arduino") || has("tclab") {
        Board::Arduino
    } else if has("beagle") {
        Board::BeagleBone
    } else {
        Board::Module
    }
}

fn parts(thing: &ThingDef, plan: &Plan, level: impl Fn(&str) -> Option<SignalId>) -> Vec<Part> {
    let part = |p: &twinfleet_engine::catalog::PartDef| Part {
        id: p.id.clone(),
        model: p.model.clone(),
        look: (p.on != WireDef::Internal).then(|| look(&p.model, &plan.catalog)),
        level: plan.catalog.actuators.contains_key(&p.model).then(|| level(&p.id)).flatten(),
    };
    thing.parts.iter().map(part).collect()
}

fn look(model: &str, catalog: &Catalog) -> Look {
    if let Some(actuator) = catalog.actuators.get(model) {
        return match actuator.effect {
            EffectDef::HeatW(_) => Look::Heater,
            EffectDef::AirChangesPerH(_) if model.contains("fan") => Look::Fan,
            EffectDef::AirChangesPerH(_) => Look::Vent,
            EffectDef::WaterMmPerH(_) => Look::Valve,
            EffectDef::LightLx(_) => Look::Lamp,
            EffectDef::SoundDb(_) | EffectDef::Nothing if model.contains("fan") => Look::Fan,
            EffectDef::SoundDb(_) | EffectDef::Nothing => Look::Relay,
        };
    }
    let Some(sensor) = catalog.sensors.get(model) else { return Look::Sensor };
    let measures = |q: &str| sensor.channels.iter().any(|c| c.quantity == q);
    if measures("soil_moisture") {
        Look::Soil
    } else if measures("illuminance") {
        Look::Light
    } else if measures("distance") || measures("presence") {
        Look::Ranger
    } else if measures("temperature") && sensor.channels.len() == 1 {
        Look::Probe
    } else {
        Look::Sensor
    }
}
