//! Where the topics of a device lie that was announced by its entities: the address by which a twin follows it.

use super::Entity;
use std::collections::{BTreeMap, BTreeSet};

/// The base of each group of entities: what their state and availability topics have in common, whole levels. Of several
/// devices that would have the same, as those behind one gateway have, what their state topics have in common.
pub(super) fn bases(all: &[Entity]) -> BTreeMap<String, String> {
    // Availability that several devices share, a bridge's, is no part of a device.
    let mut of_one: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for e in all.iter().filter(|e| !e.group.is_empty()) {
        for a in &e.available {
            let of = of_one.entry(a.topic.as_str()).or_insert(Some(e.group.as_str()));
            if *of != Some(e.group.as_str()) {
                *of = None;
            }
        }
    }
    let is_own = |e: &Entity, topic: &str| {
        e.group.is_empty() || of_one.get(topic).is_some_and(|group| group.is_some())
    };
    // By device, the levels in common above the last, and those of the states alone with it.
    let mut groups: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for e in all {
        let whole: Vec<&str> = e.state_topic.split('/').collect();
        let own = e.available.iter().map(|a| a.topic.as_str()).filter(|t| is_own(e, t));
        for t in own.chain([e.state_topic.as_str()]) {
            let mut above: Vec<&str> = t.split('/').collect();
            above.pop();
            match groups.get_mut(e.own_group()) {
                None => drop(groups.insert(e.own_group(), (above, whole.clone()))),
                Some((common, states)) => {
                    shorten(common, &above);
                    shorten(states, &whole);
                }
            }
        }
    }
    let named: BTreeSet<&str> = all.iter().map(|e| e.group.as_str()).collect();
    let mut alike: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
    for (above, _) in groups.iter().filter(|(group, _)| named.contains(*group)).map(|(_, levels)| levels) {
        *alike.entry(above.clone()).or_default() += 1;
    }
    let mut bases = BTreeMap::new();
    for (group, (above, states)) in groups {
        let shares = named.contains(group) && alike.get(&above).is_some_and(|n| *n > 1);
        let base = if shares && states.len() > above.len() { states } else { above };
        bases.insert(group.to_owned(), base.join("/"));
    }
    bases
}

/// Leaves the levels that both have in common, if there are any.
fn shorten(common: &mut Vec<&str>, other: &[&str]) {
    let same = common.iter().zip(other).take_while(|(a, b)| a == b).count();
    if same > 0 {
        common.truncate(same);
    }
}
