//! Coupling islands: which zones must be simulated together.

use super::GroupPlan;
use crate::{
    message::topic_matches,
    scenario::{Action, Scenario},
    signal::wildcard,
};
use std::collections::{BTreeMap, BTreeSet};

/// Island of each zone, numbered from 0 in the order of their first zones.
pub(super) fn zone_islands(scenario: &Scenario, groups: &[GroupPlan]) -> Vec<u32> {
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
    let spoken = topics(scenario, groups, Side::Spoken);
    for (ear, filter) in topics(scenario, groups, Side::Heard) {
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
fn topics(scenario: &Scenario, groups: &[GroupPlan], side: Side) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for g in groups {
        let Some(firmware) = &g.firmware else { continue };
        let patterns: Vec<&String> = match side {
            Side::Spoken => {
                let published = firmware.publish.iter().map(|p| &p.topic);
                published.chain(firmware.control.iter().map(|c| &c.output)).collect()
            }
            Side::Heard => {
                let commands = firmware.commands.iter().map(|c| &c.topic);
                commands.chain(firmware.control.iter().map(|c| &c.input)).collect()
            }
        };
        for i in 0..(g.zones.len() as u32).min(g.count) {
            let zone = g.zones[i as usize];
            let device = scenario.fleet[g.def].id.replace("{}", &i.to_string());
            for p in &patterns {
                let name = &scenario.world.zones[zone].id;
                found.push((zone, p.replace("{zone}", name).replace("{device}", &device)));
            }
        }
    }
    found
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
