//! Desired states of the timeline: what an operator says to a device on the topic of a command that its firmware takes.
//!
//! It is a message among those that arrive: the device hears it as it hears any other, in the tick in which its time has come,
//! so that one that is asleep or off the network hears it late or never. It passes through no broker.

use super::{fill, zone_name};
use crate::{
    catalog::CommandDef,
    message::Message,
    plan::Plan,
    scenario::Action,
    signal::wildcard,
    time::SimTime,
    world::{Clock, Inbox, TickSystems},
};
use bevy_ecs::prelude::*;

/// The publisher of what the timeline desires: no device has it.
pub const OPERATOR: u32 = u32::MAX - 1;

/// What is to be said, the last first.
#[derive(Resource, Debug)]
struct Desires(Vec<Message>);

/// Adds the desired states of a plan.
pub(super) fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    let mut all = Vec::new();
    for event in &plan.scenario.timeline {
        let Action::Desire { target, level } = &event.action else { continue };
        let Some((device, part)) = target.split_once('/') else { continue };
        let at = SimTime::ZERO + event.at;
        for group in &plan.groups {
            let commands = group.firmware.iter().flat_map(|f| &f.commands);
            for command in commands.filter(|c| wildcard(part.as_bytes(), c.part.as_bytes())) {
                for i in (0..group.count).filter(|i| plan.owns(group, *i)) {
                    let id = plan.device_id(group, i);
                    if wildcard(device.as_bytes(), id.as_bytes()) {
                        let topic = fill(&command.topic, &id, zone_name(plan, group, i));
                        all.push((at, topic, payload(command, *level)));
                    }
                }
            }
        }
    }
    if all.is_empty() {
        return;
    }
    // Stable: of two at one instant the later in the file is heard last.
    all.sort_by_key(|(at, ..)| *at);
    let said = |(seq, (at, topic, payload)): (usize, (SimTime, String, String))| Message {
        sent: at,
        due: at,
        publisher: OPERATOR,
        seq: seq as u64,
        topic: topic.into(),
        payload: payload.into_bytes().into(),
        qos: 1,
        retain: false,
    };
    world.insert_resource(Desires(all.into_iter().enumerate().map(said).rev().collect()));
    schedule.add_systems(say.in_set(TickSystems::Input));
}

/// Puts what is due among what has arrived.
fn say(clock: Res<Clock>, mut desires: ResMut<Desires>, mut inbox: ResMut<Inbox>) {
    while desires.0.last().is_some_and(|m| m.due < clock.next) {
        inbox.0.extend(desires.0.pop());
    }
}

/// A level as the command's firmware reads it: a number, or within JSON where it looks for it.
fn payload(command: &CommandDef, level: f64) -> String {
    let number = super::level_text(level);
    let Some(pointer) = command.pointer.as_deref().and_then(|p| p.strip_prefix('/')) else { return number };
    pointer.rsplit('/').fold(number, |inner, step| match step.parse::<usize>() {
        // Before the place that is looked at, a list holds nothing.
        Ok(before) if before < 64 => format!("[{}{inner}]", "null,".repeat(before)),
        _ => {
            let key = step.replace("~1", "/").replace("~0", "~");
            format!("{{{}:{inner}}}", serde_json::Value::from(key))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firmware::control::{Pointer, level};

    #[test]
    fn what_is_said_is_read_as_the_level_that_was_meant() {
        for pointer in [None, Some(""), Some("/state"), Some("/a/b"), Some("/a/2/b~1c")] {
            let command =
                CommandDef { topic: "t".into(), part: "p".into(), pointer: pointer.map(str::to_owned) };
            let said = payload(&command, 0.25);
            let at = pointer.map(|p| Pointer::new(p).unwrap());
            assert_eq!(level(said.as_bytes(), at.as_ref()), Ok(0.25), "{pointer:?}: {said}");
        }
    }
}
