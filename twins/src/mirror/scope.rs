//! What a mirror follows: a scenario with its twins alone, for the devices are the real ones, and the topics that they hear.

use super::keeper::SHADOW_PREFIX;
use crate::loaded::Loaded;
use std::{collections::HashMap, sync::Arc};
use twinfleet_engine::{
    message::TopicFilter,
    mirror,
    plan::Plan,
    scenario::{Scenario, calendar},
};

/// From how many twins of one binding on a wildcard is subscribed in place of each topic.
const WILDCARD_FROM: usize = 100;

/// Leaves the scenario its twins alone, and has it start at this Unix time, [ms].
pub fn twins_alone(loaded: &mut Loaded, epoch_unix_ms: i64) {
    let mut scenario = Scenario::clone(&loaded.scenario);
    scenario.fleet.clear();
    scenario.physicals.clear();
    scenario.expect.clear();
    scenario.timeline.clear();
    scenario.start = Some(calendar::text(epoch_unix_ms * 1_000_000));
    loaded.scenario = Arc::new(scenario);
}

/// What is subscribed to, each with its quality of service: each topic, or a wildcard where many twins share a binding; and what
/// shadow clients ask on, if that is wanted.
pub fn filters(plan: &Plan, qos: u8, with_shadows: bool) -> Vec<(String, u8)> {
    let mut by_pattern: HashMap<&str, usize> = HashMap::new();
    for bind in plan.scenario.mirror.iter().flat_map(|m| &m.bind) {
        *by_pattern.entry(bind.topic.as_str()).or_default() += 1;
    }
    let wild: Vec<&str> = by_pattern
        .iter()
        .filter(|(pattern, n)| **n >= WILDCARD_FROM && pattern.split('/').any(|level| level == "{device}"))
        .map(|(pattern, _)| *pattern)
        .collect();
    let mut all: Vec<String> = wild
        .iter()
        .map(|pattern| pattern.replace("{device}", "+"))
        .flat_map(|filter| [format!("{filter}/status"), filter])
        .collect();
    let covered: Vec<_> = all.iter().filter_map(|f| TopicFilter::new(f).ok()).collect();
    all.extend(mirror::topics(plan).into_iter().filter(|topic| !covered.iter().any(|f| f.matches(topic))));
    if with_shadows {
        for verb in ["get", "update", "delete"] {
            all.push(format!("{SHADOW_PREFIX}+/shadow/{verb}"));
            all.push(format!("{SHADOW_PREFIX}+/shadow/name/+/{verb}"));
        }
    }
    all.sort();
    all.into_iter().map(|filter| (filter, qos)).collect()
}
