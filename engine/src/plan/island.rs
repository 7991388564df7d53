//! Coupling islands: which zones must be simulated together.

use super::GroupPlan;
use crate::{
    catalog::Catalog,
    firmware::payload::Report,
    message::topic_matches,
    mirror::physical::voice,
    scenario::{Action, PublishDef, Scenario, definition::sensor_signals},
    signal::wildcard,
};
use std::collections::{BTreeMap, BTreeSet};

/// Island of each zone, numbered from 0 in the order of their first zones.
pub(super) fn zone_islands(scenario: &Scenario, groups: &[GroupPlan], catalog: &Catalog) -> Vec<u32> {
    let zones = &scenario.world.zones;
    let mut sets = Sets((0..zones.len()).collect());
    let index: BTreeMap<&str, usize> = zones.iter().enumerate().map(|(i, z)| (z.id.as_str(), i)).collect();
    for (i, zone) in zones.iter().enumerate() {
        for other in zone.parent.iter().chain(zone.neighbours.iter().map(|n| &n.zone)) {
            if let Some(j) = index.get(other.as_str()) {
                sets.join(i, *j);
            }
        }
    }
    let spoken = topics(scenario, groups, catalog, Side::Spoken);
    for (ear, filter) in topics(scenario, groups, catalog, Side::Heard) {
        for (mouth, topic) in &spoken {
            if ear != *mouth && topic_matches(&filter, topic) {
                sets.join(ear, *mouth);
            }
        }
    }
    for group in groups.iter().filter(|g| !g.also.is_empty()) {
        let places = carried(scenario, group);
        if let Some(first) = places.first() {
            places.iter().for_each(|z| sets.join(*first, *z));
        }
    }
    // What a script says and hears is known only as it runs.
    if groups.iter().any(|g| g.firmware.as_ref().is_some_and(|f| f.script.is_some())) {
        let mut speaking = groups.iter().filter(|g| g.firmware.is_some()).flat_map(|g| &g.zones);
        if let Some(first) = speaking.next() {
            speaking.for_each(|z| sets.join(*first, *z));
        }
    }
    number(&mut sets)
}

/// Zones between which devices of a group are carried.
fn carried(scenario: &Scenario, group: &GroupPlan) -> Vec<usize> {
    let pattern = &scenario.fleet[group.def].id;
    let id = |i: u32| pattern.replace("{}", &i.to_string());
    let targets = scenario.timeline.iter().filter_map(|e| match &e.action {
        Action::Move { target, .. } => Some(target.as_bytes()),
        _ => None,
    });
    let targets: Vec<&[u8]> = targets.collect();
    let moved = (0..group.count).filter(|i| targets.iter().any(|t| wildcard(t, id(*i).as_bytes())));
    let homes: BTreeSet<usize> = moved.filter_map(|i| group.zone(i)).collect();
    homes.into_iter().chain(group.also.iter().copied().flatten()).collect()
}

enum Side {
    Spoken,
    Heard,
}

/// Topics (or filters) of every group in every zone it lives in; the first device of the zone stands for all.
fn topics(scenario: &Scenario, groups: &[GroupPlan], catalog: &Catalog, side: Side) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for g in groups {
        let Some(firmware) = &g.firmware else { continue };
        let (publishes, patterns): (&[PublishDef], Vec<&String>) = match side {
            Side::Spoken => (&firmware.publish, firmware.control.iter().map(|c| &c.output).collect()),
            Side::Heard => {
                let commands = firmware.commands.iter().map(|c| &c.topic);
                (&[], commands.chain(firmware.control.iter().map(|c| &c.input)).collect())
            }
        };
        for i in 0..(g.zones.len() as u32).min(g.count) {
            let zone = g.zones[i as usize];
            let device = scenario.fleet[g.def].id.replace("{}", &i.to_string());
            let name = &scenario.world.zones[zone].id;
            let filled = |pattern: &str| pattern.replace("{zone}", name).replace("{device}", &device);
            found.extend(patterns.iter().map(|p| (zone, filled(p))));
            for publish in publishes {
                let topic = filled(&publish.topic);
                let said = said(publish, &topic, &device, name, g, catalog);
                found.extend(said.unwrap_or_else(|| vec![topic]).into_iter().map(|t| (zone, t)));
            }
        }
    }
    found
}

/// The topics on which a device in a dialect speaks, of which its address is but a part: those of its connection, of a report of
/// all its signals, and of its last will. None: it speaks on the one that is written.
fn said(
    publish: &PublishDef,
    topic: &str,
    device: &str,
    zone: &str,
    group: &GroupPlan,
    catalog: &Catalog,
) -> Option<Vec<String>> {
    let mut signals = sensor_signals(&group.thing, catalog);
    let actuators = group.thing.parts.iter().filter(|p| catalog.actuators.contains_key(&p.model));
    signals.extend(actuators.map(|p| (format!("{}.level", p.id), "ratio".to_owned())));
    let mut voice = voice(publish, topic, device, &signals, &catalog.dialects)?.ok()?;
    let values = vec![1.0; signals.len()];
    let report =
        Report { device, zone, seq: 0, ts_unix_ms: 0, battery_v: None, rssi_dbm: None, values: &values };
    let mut all = Vec::new();
    all.extend(voice.will(0));
    voice.connect(&report, &mut all);
    voice.report(&report, &mut all);
    let mut topics: Vec<String> = all.into_iter().map(|u| u.topic).collect();
    topics.sort();
    topics.dedup();
    Some(topics)
}

/// Disjoint sets with path halving.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high] = low;
    }
}

fn number(sets: &mut Sets) -> Vec<u32> {
    let mut names: BTreeMap<usize, u32> = BTreeMap::new();
    (0..sets.0.len())
        .map(|i| {
            let root = sets.root(i);
            let next = names.len() as u32;
            *names.entry(root).or_insert(next)
        })
        .collect()
}
