//! The operator of a closed loop: commands devices and waits for what they report, over a connection of its own.

use super::{Setting, fleet_ids};
use crate::exit::Failure;
use std::{
    collections::HashMap,
    sync::atomic::Ordering::Relaxed,
    thread::{self, JoinHandle},
    time::Duration,
};
use twinfleet_engine::scenario::load::CommandsDef;
use twinfleet_twins::{
    load::{job::Job, unix_ns},
    wire::{
        WireError,
        client::{ConnectOptions, Connection},
    },
};

/// What the operator saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// Commands sent.
    pub commands: u64,
    /// Intended instant [ns since the start] and time to the report [ns] of each that was followed.
    pub followed: Vec<(i64, i64)>,
    /// The same of each that was not, before the next one or the end: the time that was waited.
    pub failed: Vec<(i64, i64)>,
}

/// A command that is not yet followed.
#[derive(Clone, Copy)]
struct Open {
    intended_ns: i64,
    wanted: f64,
}

/// Begins to operate, once the load has started; None: this load commands nobody.
pub fn start(set: &Setting<'_>, job: &Job) -> Result<Option<JoinHandle<Result<Seen, WireError>>>, Failure> {
    let Some(def) = set.load.commands.clone() else { return Ok(None) };
    if set.target.is_wrapped {
        return Err(Failure::input("`commands` speak plain MQTT in this version: use `mqtt://`"));
    }
    let ids = fleet_ids(set.loaded, &def.fleet);
    let options = ConnectOptions::to(set.target.url.clone());
    let (job, prefix) = (job.clone(), set.args.prefix());
    let mut connection = Connection::connect(&options).map_err(Failure::outside)?;
    let filter = format!("{prefix}{}", def.reported.replace("{device}", "+"));
    connection.subscribe(&[(&filter, 1)], Duration::from_secs(10)).map_err(Failure::outside)?;
    Ok(Some(thread::spawn(move || operate(connection, &job, &def, &ids, &prefix))))
}

fn operate(
    mut connection: Connection,
    job: &Job,
    def: &CommandsDef,
    ids: &[String],
    prefix: &str,
) -> Result<Seen, WireError> {
    let topic = |pattern: &str, id: &str| format!("{prefix}{}", pattern.replace("{device}", id));
    let device_of: HashMap<String, usize> =
        ids.iter().enumerate().map(|(i, id)| (topic(&def.reported, id), i)).collect();
    let topics: Vec<String> = ids.iter().map(|id| topic(&def.topic, id)).collect();
    let (length_ns, spacing_ns) = (job.stages.length_ns(), def.every.0 / ids.len().max(1) as i64);
    // The last have the time to be followed that all have, as long as the load has it.
    let last_ns = (length_ns - def.every.0).max(length_ns / 2);
    let mut open: Vec<Option<Open>> = vec![None; ids.len()];
    let mut reported: Vec<Option<f64>> = vec![None; ids.len()];
    let mut seen = Seen::default();
    // Whatever a device reports at first, the first command must change it.
    let mut next = 0i64;
    loop {
        let start_ns = job.start_signal.load(Relaxed);
        let t_ns = unix_ns().saturating_sub(start_ns);
        let begun = start_ns != i64::MAX;
        let due_ns = next * spacing_ns.max(1) + spacing_ns / 2;
        if begun && t_ns >= due_ns && due_ns < last_ns {
            let (device, round) = (next as usize % ids.len(), next as usize / ids.len());
            let mut which = round % def.payloads.len();
            // A device that reports already what a command would bring about, because it missed the one before, would seem to
            // follow it.
            if reported[device].is_some_and(|v| (v - def.becomes[which]).abs() <= def.within) {
                which = (which + 1) % def.payloads.len();
            }
            connection.publish(&topics[device], def.payloads[which].as_bytes(), 1, false)?;
            let open = &mut open[device];
            if let Some(before) = open.replace(Open { intended_ns: due_ns, wanted: def.becomes[which] }) {
                seen.failed.push((before.intended_ns, t_ns - before.intended_ns));
            }
            seen.commands += 1;
            next += 1;
            continue;
        }
        // Reports of the last stage may be under way for as long as the drain lets messages be.
        let over = begun && t_ns > length_ns;
        if over && (open.iter().all(Option::is_none) || t_ns > length_ns + job.load.drain.0)
            || job.stopped.load(Relaxed)
        {
            // Whoever stops the load early stops the wait for its commands, too.
            if over {
                seen.failed.extend(open.iter().flatten().map(|o| (o.intended_ns, t_ns - o.intended_ns)));
            }
            return Ok(seen);
        }
        let wait_ns = if begun && due_ns < last_ns { (due_ns - t_ns).clamp(0, 5_000_000) } else { 5_000_000 };
        connection.pump(Some(Duration::from_nanos(wait_ns.max(100_000) as u64)), |received| {
            let Some(device) = device_of.get(received.topic()) else { return };
            let value = serde_json::from_slice::<serde_json::Value>(&received.payload).ok();
            let value = value.as_ref().and_then(|v| v.pointer(&def.field)?.as_f64());
            reported[*device] = value.or(reported[*device]);
            let Some(command) = open[*device] else { return };
            if value.is_some_and(|v| (v - command.wanted).abs() <= def.within) {
                let now_ns = unix_ns().saturating_sub(start_ns);
                seen.followed.push((command.intended_ns, now_ns - command.intended_ns));
                open[*device] = None;
            }
        })?;
    }
}
