//! Devices whose firmware says what they send: the world is simulated ahead of the load, on a thread of its own.

use crate::{exit::Failure, load_files::Loaded, plugins};
use std::{collections::HashMap, sync::Arc, thread};
use twinfleet_engine::{
    plan::Plan,
    record::{Sampled, Sampler},
    scenario::load::ScheduleDef,
};
use twinfleet_twins::load::{
    conn::Planned,
    job::Job,
    worker::{Feed, Firmware},
};

/// Messages planned ahead, for each worker.
const AHEAD: usize = 1 << 16;

/// Starts the simulation of the devices with a `Firmware` schedule, if there are any; a way for each worker.
pub fn start(loaded: &Loaded, job: &Job) -> Result<Vec<Option<Firmware>>, Failure> {
    let is_firmware = |d: &twinfleet_engine::scenario::load::DeviceLoadDef| {
        matches!(d.schedule, ScheduleDef::Firmware { .. })
    };
    if !job.load.devices.iter().any(is_firmware) {
        return Ok(Vec::new());
    }
    let base = loaded.files.base().to_owned();
    let plan = Plan::new(Arc::clone(&loaded.scenario), Arc::clone(&loaded.catalog), base, job.seed, (0, 1))
        .map_err(Failure::input)?;
    // Ordinal in the world → index in the job.
    let mut spec_of = HashMap::new();
    let by_id: HashMap<&str, usize> = job.devices.iter().enumerate().map(|(i, d)| (&*d.id, i)).collect();
    for group in &plan.groups {
        for i in 0..group.count {
            if let Some(spec) = by_id.get(plan.device_id(group, i).as_str()) {
                spec_of.insert(group.first + i, *spec);
            }
        }
    }
    let mut run = plugins::assemble(loaded, &plan, 1, None, Sampled::new(Sampler::new(1, 1), 1))
        .map_err(Failure::input)?;
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..job.workers).map(|_| flume::bounded(AHEAD)).unzip();
    let length_ns = job.stages.length_ns();
    thread::spawn(move || {
        let mut inbox = Vec::new();
        while !run.is_over() && run.now().0 < length_ns {
            // What devices say to each other goes round inside; the broker gets a copy.
            let outbox = run.tick(std::mem::take(&mut inbox));
            for message in &outbox {
                let Some(spec) = spec_of.get(&message.publisher) else { continue };
                if message.sent.0 >= length_ns {
                    continue;
                }
                let planned = Planned {
                    at_ns: message.sent.0,
                    topic: Arc::clone(&message.topic),
                    payload: Arc::clone(&message.payload),
                    qos: message.qos,
                    retain: message.retain,
                };
                // Each worker finds its own among them.
                for sender in &senders {
                    if sender.send(Feed::Message(*spec, planned.clone())).is_err() {
                        return;
                    }
                }
            }
            inbox = outbox;
        }
        for sender in &senders {
            let _ = sender.send(Feed::End);
        }
    });
    Ok(receivers.into_iter().map(|feed| Some(Firmware { feed })).collect())
}
