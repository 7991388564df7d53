//! A scenario resolved against the catalog: groups with ordinals, signal blocks, coupling islands, the shard.
//!
//! A shard simulates whole *islands*: zones that exchange heat or whose devices hear each other's messages. What two
//! shards simulate never touches, so their records add up to the unsharded one.

mod island;

use crate::{
    catalog::{Catalog, Firmware, PowerDef, ScriptDef, ThingDef},
    environment, mirror, physics,
    scenario::{Action, GroupDef, MirrorDef, OUTDOORS, Scenario, draw},
    signal::{BlockId, Channel, Kind, SignalTable},
    units::Conversion,
};
use std::{path::PathBuf, sync::Arc};

/// A run's inputs, resolved. Built once, read by every plugin's `install`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario as read, with what the seed draws in its timeline.
    pub scenario: Arc<Scenario>,
    /// The catalog as read.
    pub catalog: Arc<Catalog>,
    /// Seed of every stream.
    pub seed: u64,
    /// Groups of devices, in the scenario's order.
    pub groups: Vec<GroupPlan>,
    /// Signals of each mirror section, one device a block, laid out by `mirror::twin_channels`.
    pub twin_blocks: Vec<BlockId>,
    /// All signals, the same in every shard.
    pub signals: SignalTable,
    /// Shard `i` of `n`.
    pub shard: (u32, u32),
    /// Which shard simulates a zone, by zone index (islands never part).
    pub zone_shard: Vec<u32>,
    /// Signals of each zone, by zone index: one block a zone, see `environment::zone_channels`.
    pub zone_blocks: Vec<BlockId>,
    /// Signals of the outside, see `environment::outside_channels`.
    pub outside_block: BlockId,
    /// Signals of the scene: one block a body in their order, see `physics::BODY_CHANNELS`, then a joint, a rotor, an odometer.
    pub body_blocks: Vec<BlockId>,
    /// Folder of the scenario file, to find recordings and parameters.
    pub base: PathBuf,
}

/// A group of devices, resolved.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// Index into `scenario.fleet`.
    pub def: usize,
    /// Ordinal of its first device; ordinals count over all groups and shards, physicals after them.
    pub first: u32,
    /// Number of devices.
    pub count: u32,
    /// Its thing.
    pub thing: Arc<ThingDef>,
    /// Its firmware, the group's own or the thing's.
    pub firmware: Option<Firmware>,
    /// Its power supply, the group's own or the thing's.
    pub power: PowerDef,
    /// Zone index of each device is `zones[i % zones.len()]`; empty: outside.
    pub zones: Vec<usize>,
    /// Where `Move` events carry some of its devices: zone index; none: outdoors.
    pub also: Vec<Option<usize>>,
    /// Signals: for each sensor part, in order, for each channel its `@reading`; then, where the device is on a battery,
    /// `power.voltage@truth` (V) and `power.charge@truth` (percent); then per actuator part `level@truth`; then, where its link
    /// is a radio, `radio.rssi@truth` (dBm); then per output of its dynamics `part.quantity@truth`, the last channels of the
    /// block.
    pub block: BlockId,
    /// Index into `scenario.links`.
    pub link: Option<usize>,
    /// Whether a part of it sits on a rigid body, or an actuator drives one.
    pub in_scene: bool,
    /// Whether that link is a radio.
    pub radio: bool,
}

/// Why a scenario could not be resolved. The checks of `scenario` refuse such scenarios first, with their place.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A name that nothing carries.
    #[error("there is no {what} named `{name}`")]
    Missing {
        /// `thing`, `zone`, `link` or `part model`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// More devices or signals than ids.
    #[error(
        "the fleet has more than 4,294,967,295 signals: lower `count`, or run it in shards of separate scenarios"
    )]
    TooMany,
    /// No such shard.
    #[error("there is no shard {0} of {1}: count from 0")]
    Shard(u32, u32),
}

impl GroupPlan {
    /// Zone index of the group's i-th device.
    pub fn zone(&self, i: u32) -> Option<usize> {
        (!self.zones.is_empty()).then(|| self.zones[i as usize % self.zones.len()])
    }

    /// Everywhere that its devices may come to be: where they start, in turn, then where they are carried.
    pub fn places(&self) -> Vec<Option<usize>> {
        let own: Vec<Option<usize>> = self.zones.iter().copied().map(Some).collect();
        let own = if own.is_empty() { vec![None] } else { own };
        own.into_iter().chain(self.also.iter().copied()).collect()
    }
}

impl Plan {
    /// Resolves a scenario that passed its checks.
    pub fn new(
        scenario: Arc<Scenario>,
        catalog: Arc<Catalog>,
        base: PathBuf,
        seed: u64,
        shard: (u32, u32),
    ) -> Result<Self, PlanError> {
        if shard.0 >= shard.1 {
            return Err(PlanError::Shard(shard.0, shard.1));
        }
        let scenario = draw::expanded(&scenario, seed).map_or(scenario, Arc::new);
        let mut signals = SignalTable::default();
        let mut groups = Vec::with_capacity(scenario.fleet.len());
        let (mut first, mut total) = (0u32, 0u64);
        for (def, group) in scenario.fleet.iter().enumerate() {
            let thing = find_thing(&scenario, &catalog, &group.thing)?;
            let power = group.power.clone().or_else(|| thing.power.clone()).unwrap_or(PowerDef::Mains);
            let link = find_link(&scenario, group)?;
            let radio = link.is_some_and(|l| scenario.links[l].radio.is_some());
            let channels = device_channels(&thing, &power, radio, &catalog)?;
            total += u64::from(group.count) * channels.len() as u64;
            if total > u64::from(u32::MAX) {
                return Err(PlanError::TooMany);
            }
            let zones = group.zones.iter().map(|z| find_zone(&scenario, z)).collect::<Result<Vec<_>, _>>()?;
            groups.push(GroupPlan {
                def,
                first,
                count: group.count,
                firmware: firmware(group, &thing),
                thing,
                power,
                also: carried_to(&scenario, group)?,
                zones,
                block: signals.add_block(&group.id, group.count, channels),
                link,
                radio,
                in_scene: !group.mounts.is_empty()
                    || scenario
                        .world
                        .scene
                        .iter()
                        .any(|s| s.followed().any(|(_, f)| group.has(f.device_part().0))),
            });
            first = first.checked_add(group.count).ok_or(PlanError::TooMany)?;
        }
        let zones = &scenario.world.zones;
        let zone_blocks =
            zones.iter().map(|z| signals.add_block(&z.id, 1, environment::zone_channels())).collect();
        let outside_block = signals.add_block("outside", 1, environment::outside_channels());
        let body_blocks = physics::add_body_blocks(scenario.world.scene.as_ref(), &mut signals);
        let twin_blocks = scenario
            .mirror
            .iter()
            .map(|def| twin_block(&scenario, &catalog, def, &mut signals))
            .collect::<Result<_, _>>()?;
        let zone_shard =
            island::zone_islands(&scenario, &groups, &catalog).into_iter().map(|i| i % shard.1).collect();
        Ok(Self {
            scenario,
            catalog,
            seed,
            groups,
            twin_blocks,
            signals,
            shard,
            zone_shard,
            zone_blocks,
            outside_block,
            body_blocks,
            base,
        })
    }

    /// Number of coupling islands among the zones.
    pub fn islands(&self) -> u32 {
        let islands = island::zone_islands(&self.scenario, &self.groups, &self.catalog);
        islands.iter().max().map_or(0, |last| last + 1)
    }

    /// Whether any device of the fleet has a part of this model.
    pub fn names_model(&self, model: &str) -> bool {
        self.groups.iter().any(|g| g.thing.parts.iter().any(|p| p.model == model))
    }

    /// Id of a group's i-th device.
    pub fn device_id(&self, group: &GroupPlan, i: u32) -> String {
        self.scenario.fleet[group.def].id.replace("{}", &i.to_string())
    }

    /// Whether this shard simulates the group's i-th device. Devices with parts on rigid bodies, or an actuator that drives one,
    /// belong to the first shard, which simulates the scene; devices outside every zone are dealt out by index.
    pub fn owns(&self, group: &GroupPlan, i: u32) -> bool {
        if group.in_scene {
            return self.shard.0 == 0;
        }
        match group.zone(i) {
            Some(z) => self.zone_shard[z] == self.shard.0,
            // Where some of a group outdoors are carried into a zone, they are all of its shard.
            None => match group.also.iter().flatten().next() {
                Some(z) => self.zone_shard[*z] == self.shard.0,
                None => i % self.shard.1 == self.shard.0,
            },
        }
    }

    /// Whether this shard simulates the zone.
    pub fn owns_zone(&self, zone: usize) -> bool {
        self.zone_shard[zone] == self.shard.0
    }

    /// Whether this shard runs the physical with this index, and the twin that follows it.
    pub fn owns_physical(&self, index: usize) -> bool {
        index as u32 % self.shard.1 == self.shard.0
    }

    /// Whether this shard runs a twin: the one that holds the device it follows, so that both see the same messages.
    pub fn owns_twin(&self, twin: &str) -> bool {
        if let Some(index) = self.scenario.physicals.iter().position(|p| p.id == twin) {
            return self.owns_physical(index);
        }
        let of_group = |group: &&GroupPlan| {
            let pattern = &self.scenario.fleet[group.def].id;
            let i = match pattern.split_once("{}") {
                Some((head, tail)) => twin.strip_prefix(head)?.strip_suffix(tail)?.parse().ok()?,
                None => (pattern == twin).then_some(0)?,
            };
            (i < group.count && self.device_id(group, i) == twin).then_some(i)
        };
        let found = self.groups.iter().find_map(|g| Some((g, of_group(&g)?)));
        found.map_or(self.shard.0 == 0, |(group, i)| self.owns(group, i))
    }

    /// Ordinal of the physical with this index, after all devices of the fleet.
    pub fn physical_ordinal(&self, index: usize) -> u32 {
        self.groups.last().map_or(0, |g| g.first + g.count) + index as u32
    }

    /// From the unit in which a device publishes an input of its twin's network to the one that the network counts in, and in
    /// which the twin shows it; `None` where they are the same.
    pub fn input_shown_in(&self, device: &str, signal: &str) -> Option<Conversion> {
        let def = self.scenario.mirror.iter().find(|m| m.twin == device)?;
        let thing = find_thing(&self.scenario, &self.catalog, &def.thing).ok()?;
        let input = thing.dynamics.as_ref()?.inputs.iter().find(|i| i.signal == signal)?;
        Conversion::of_signal(signal, &input.unit)
    }
}

/// The signals of one device of a thing, in the order of [`GroupPlan::block`].
pub fn device_channels(
    thing: &ThingDef,
    power: &PowerDef,
    radio: bool,
    catalog: &Catalog,
) -> Result<Vec<Channel>, PlanError> {
    let mut channels = Vec::new();
    let mut levels = Vec::new();
    for part in &thing.parts {
        if let Some(sensor) = catalog.sensors.get(&part.model) {
            for c in &sensor.channels {
                channels.push(Channel::new(&format!("{}.{}", part.id, c.quantity), Kind::Reading, &c.unit));
            }
        } else if catalog.actuators.contains_key(&part.model) {
            levels.push(Channel::new(&format!("{}.level", part.id), Kind::Truth, "ratio"));
        } else {
            return Err(PlanError::Missing { what: "part model", name: part.model.clone() });
        }
    }
    if power.is_battery() {
        channels.push(Channel::new("power.voltage", Kind::Truth, "V"));
        channels.push(Channel::new("power.charge", Kind::Truth, "percent"));
    }
    channels.append(&mut levels);
    if radio {
        channels.push(Channel::new("radio.rssi", Kind::Truth, "dBm"));
    }
    let outputs = thing.dynamics.iter().flat_map(|d| &d.outputs);
    channels.extend(outputs.map(|o| Channel::new(&o.signal, Kind::Truth, "degC")));
    Ok(channels)
}

fn twin_block(
    scenario: &Scenario,
    catalog: &Catalog,
    def: &MirrorDef,
    signals: &mut SignalTable,
) -> Result<BlockId, PlanError> {
    let thing = find_thing(scenario, catalog, &def.thing)?;
    let missing = || PlanError::Missing { what: "dynamics of thing", name: def.thing.clone() };
    if thing.dynamics.is_none() && !thing.signals.is_empty() {
        let outputs: Vec<_> = thing.signals.iter().map(|s| (s.signal.clone(), s.unit.clone())).collect();
        return Ok(signals.add_block(&def.twin, 1, mirror::twin_channels(def, &outputs, &[])));
    }
    let network = thing.dynamics.as_ref().ok_or_else(missing)?;
    let outputs: Vec<_> = network.outputs.iter().map(|o| (o.signal.clone(), "degC".to_owned())).collect();
    let inputs: Vec<_> = network.inputs.iter().map(|i| (i.signal.clone(), i.unit.clone())).collect();
    Ok(signals.add_block(&def.twin, 1, mirror::twin_channels(def, &outputs, &inputs)))
}

/// What a group's devices run: the group's own, a file or not, before the thing's.
fn firmware(group: &GroupDef, thing: &ThingDef) -> Option<Firmware> {
    let of = |script: &Option<ScriptDef>, firmware: &Option<Firmware>| {
        script.as_ref().map(ScriptDef::firmware).or_else(|| firmware.clone())
    };
    of(&group.script, &group.firmware).or_else(|| of(&thing.script, &thing.firmware))
}

fn find_thing(scenario: &Scenario, catalog: &Catalog, name: &str) -> Result<Arc<ThingDef>, PlanError> {
    scenario
        .things
        .iter()
        .find(|t| t.name == name)
        .or_else(|| catalog.things.get(name))
        .map(|t| Arc::new(t.clone()))
        .ok_or_else(|| PlanError::Missing { what: "thing", name: name.to_owned() })
}

fn find_zone(scenario: &Scenario, id: &str) -> Result<usize, PlanError> {
    scenario
        .world
        .zones
        .iter()
        .position(|z| z.id == id)
        .ok_or_else(|| PlanError::Missing { what: "zone", name: id.to_owned() })
}

/// Where the timeline carries devices of a group, beside its own zones.
fn carried_to(scenario: &Scenario, group: &GroupDef) -> Result<Vec<Option<usize>>, PlanError> {
    let mut also = Vec::new();
    for event in &scenario.timeline {
        let Action::Move { target, to } = &event.action else { continue };
        let to = if to == OUTDOORS { None } else { Some(find_zone(scenario, to)?) };
        if !also.contains(&to) && group.any_is(target) {
            also.push(to);
        }
    }
    Ok(also)
}

fn find_link(scenario: &Scenario, group: &GroupDef) -> Result<Option<usize>, PlanError> {
    let Some(id) = &group.link else { return Ok(None) };
    match scenario.links.iter().position(|l| l.id == *id) {
        Some(at) => Ok(Some(at)),
        None => Err(PlanError::Missing { what: "link", name: id.clone() }),
    }
}
