//! A scenario resolved against the catalog: groups with ordinals, signal blocks, coupling islands, the shard.

use crate::{
    catalog::{Catalog, Firmware, PowerDef, ThingDef},
    scenario::Scenario,
    signal::{BlockId, SignalTable},
};
use std::sync::Arc;

/// A run's inputs, resolved. Built once by `run`, read by every plugin's `install`.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario as read.
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
    /// Folder of the scenario file, to find recordings and parameters.
    pub base: std::path::PathBuf,
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
    /// Signals: for each sensor part, in order, for each channel its `@reading`; then, where the device is on a battery,
    /// `power.voltage@truth` (V) and `power.charge@truth` (percent); then per actuator part `level@truth`.
    pub block: BlockId,
    /// Index into `scenario.links`.
    pub link: Option<usize>,
}

impl GroupPlan {
    /// Zone index of the group's i-th device.
    pub fn zone(&self, i: u32) -> Option<usize> {
        (!self.zones.is_empty()).then(|| self.zones[i as usize % self.zones.len()])
    }
}

impl Plan {
    /// Id of a group's i-th device.
    pub fn device_id(&self, group: &GroupPlan, i: u32) -> String {
        self.scenario.fleet[group.def].id.replace("{}", &i.to_string())
    }

    /// Whether this shard simulates the group's i-th device. Devices outside every zone are dealt out by index.
    pub fn owns(&self, group: &GroupPlan, i: u32) -> bool {
        match group.zone(i) {
            Some(z) => self.zone_shard[z] == self.shard.0,
            None => i % self.shard.1 == self.shard.0,
        }
    }
}
