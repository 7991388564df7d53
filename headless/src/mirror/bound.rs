//! What a scenario's mirror sections bind each twin to, for its state document and its commands.

use std::{collections::HashMap, sync::Arc};
use twinfleet_engine::{
    plan::Plan,
    scenario::{BindDef, CommandDef, DecodeDef, MirrorDef},
};
use twinfleet_twins::mirror::keeper::{Bound, Terms, Way};

/// Steps of a thing's signals, as far as it names them.
fn quanta(plan: &Plan, thing: &str) -> Vec<(String, f64)> {
    let own =
        plan.scenario.things.iter().find(|t| t.name == thing).or_else(|| plan.catalog.things.get(thing));
    let Some(thing) = own else { return Vec::new() };
    let levels = thing.signals.iter().map(|s| (s.signal.clone(), s.quantum));
    let outputs = thing.dynamics.iter().flat_map(|d| &d.outputs).map(|o| (o.signal.clone(), o.quantum));
    levels.chain(outputs).filter(|(_, quantum)| *quantum > 0.0).collect()
}

/// What each twin is bound to, for its state document.
pub fn bound(plan: &Plan) -> Vec<Bound> {
    let scenario = &plan.scenario;
    let mut things: HashMap<&str, Arc<[(String, f64)]>> = HashMap::new();
    for def in &scenario.mirror {
        things.entry(&def.thing).or_insert_with(|| quanta(plan, &def.thing).into());
    }
    let of = |def: &MirrorDef| {
        let topics = def.bind.iter().map(|b| (b, b.topic.replace("{device}", &def.twin)));
        let mut bound = Bound { twin: def.twin.clone(), ..Bound::default() };
        for (bind, topic) in topics {
            let time = match &bind.decode {
                DecodeDef::Pointers { time, .. } => time.clone(),
                // What a dialect says is no document of its own; its values reach the twin.
                DecodeDef::Dialect { .. } => continue,
                _ => Some("/ts".to_owned()),
            };
            bound.statuses.push(format!("{topic}/status"));
            bound.states.push((topic, time));
        }
        let named = def.command.as_ref().and_then(|c| c.topic.as_ref());
        let speaks = |b: &BindDef| matches!(&b.decode, DecodeDef::Dialect { name, .. } if plan.catalog.dialects.commands(name));
        bound.command = match named {
            Some(topic) => Some(Way::Topic(topic.replace("{device}", &def.twin))),
            None => def.bind.iter().any(speaks).then_some(Way::Dialect),
        };
        if bound.command.is_some() {
            let CommandDef { within, tries, .. } = def.command.as_deref().cloned().unwrap_or_default();
            let quanta = things.get(def.thing.as_str()).cloned().unwrap_or_default();
            bound.terms = Terms { within_ms: (within.0 / 1_000_000).max(1), tries, quanta };
        }
        bound
    };
    scenario.mirror.iter().map(of).collect()
}
