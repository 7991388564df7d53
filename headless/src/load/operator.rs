//! The operator of a closed loop: commands devices and waits for what they report, over a connection of its own.

use super::{Setting, fleet_ids};
use crate::exit::Failure;
use std::{
    collections::HashMap,
    sync::atomic::Ordering::Relaxed,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use twinfleet_engine::scenario::load::CommandsDef;
use twinfleet_twins::{
    load::{job::Job, stamp::Stamp, unix_ns},
    wire::{
        WireError,
        client::{ConnectOptions, Connection, Outgoing, Received},
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
    /// Why its connection broke, each time.
    pub lost: Vec<String>,
}

/// How often it tries to connect again.
const AGAIN: Duration = Duration::from_millis(200);

/// A command that is not yet followed.
#[derive(Clone, Copy)]
struct Open {
    intended_ns: i64,
    wanted: f64,
}

/// Begins to operate, once the load has started; None: this load commands nobody.
pub fn start(set: &Setting<'_>, job: &Job) -> Result<Option<JoinHandle<Seen>>, Failure> {
    let Some(def) = set.load.commands.clone() else { return Ok(None) };
    // Each shard commands its own devices; those that are no devices of the load, the first one does.
    let ordinals: HashMap<&str, u32> = job.devices.iter().map(|d| (&*d.id, d.ordinal)).collect();
    let mut ids = fleet_ids(set.loaded, &def.fleet);
    ids.retain(|id| job.owns(ordinals.get(id.as_str()).copied().unwrap_or(0)));
    if ids.is_empty() {
        return Ok(None);
    }
    let prefix = set.args.prefix();
    let line = Line {
        options: ConnectOptions { keep: true, ..set.newcomer(job) },
        filter: format!("{prefix}{}", of_all(&def.reported)),
        connection: None,
        unsent: Vec::new(),
        again: Instant::now(),
        lost: Vec::new(),
    };
    let line = line.opened().map_err(Failure::outside)?;
    let job = job.clone();
    Ok(Some(thread::spawn(move || operate(line, &job, &def, &ids, &prefix))))
}

/// The filter of what all devices report: a level that names the device becomes a wildcard.
fn of_all(reported: &str) -> String {
    let levels = reported.split('/').map(|level| if level.contains("{device}") { "+" } else { level });
    levels.collect::<Vec<_>>().join("/")
}

/// The operator's connection, which comes back after it broke. What the broker had not taken over by then is sent once more.
struct Line {
    options: ConnectOptions,
    filter: String,
    connection: Option<Connection>,
    unsent: Vec<Outgoing>,
    again: Instant,
    lost: Vec<String>,
}

impl Line {
    fn opened(mut self) -> Result<Self, WireError> {
        let mut connection = Connection::connect(&self.options)?;
        connection.subscribe(&[(&self.filter, 1)], Duration::from_secs(10))?;
        self.options.timeout = Duration::from_secs(1);
        self.connection = Some(connection);
        Ok(self)
    }

    /// Its connection, if there is one now.
    fn connection(&mut self) -> Option<&mut Connection> {
        if self.connection.is_none() && Instant::now() >= self.again {
            self.again = Instant::now() + AGAIN;
            let opened = Connection::connect(&self.options).and_then(|mut c| {
                c.subscribe(&[(&self.filter, 1)], self.options.timeout)?;
                Ok(c)
            });
            if let Ok(mut connection) = opened {
                connection.resume(std::mem::take(&mut self.unsent));
                self.connection = Some(connection);
            }
        }
        self.connection.as_mut()
    }

    fn broke(&mut self, error: &WireError) {
        self.lost.push(error.to_string());
        if let Some(mut connection) = self.connection.take() {
            self.unsent = connection.take_outgoing();
        }
    }

    fn publish(&mut self, topic: &str, payload: &[u8]) -> bool {
        let Some(connection) = self.connection() else { return false };
        let sent = connection.publish(topic, payload, 1, false);
        sent.map_err(|e| self.broke(&e)).is_ok()
    }

    fn pump(&mut self, wait: Duration, on: impl FnMut(Received)) {
        match self.connection().map(|c| c.pump(Some(wait), on)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => self.broke(&error),
            None => thread::sleep(wait),
        }
    }
}

fn operate(mut line: Line, job: &Job, def: &CommandsDef, ids: &[String], prefix: &str) -> Seen {
    let topic = |pattern: &str, id: &str| format!("{prefix}{}", pattern.replace("{device}", id));
    let device_of: HashMap<String, usize> =
        ids.iter().enumerate().map(|(i, id)| (topic(&def.reported, id), i)).collect();
    let topics: Vec<String> = ids.iter().map(|id| topic(&def.topic, id)).collect();
    let length_ns = job.stages.length_ns();
    let (spacing_ns, last_ns) = def.pace_ns(ids.len(), length_ns);
    let mut open: Vec<Option<Open>> = vec![None; ids.len()];
    let mut reported: Vec<Option<f64>> = vec![None; ids.len()];
    let mut seen = Seen::default();
    // Whatever a device reports at first, the first command must change it.
    let mut next = 0i64;
    loop {
        let start_ns = job.start_signal.load(Relaxed);
        let t_ns = unix_ns().saturating_sub(start_ns);
        let begun = start_ns != i64::MAX;
        let due_ns = next * spacing_ns + spacing_ns / 2;
        if begun && t_ns >= due_ns && due_ns < last_ns && line.connection().is_some() {
            let (device, round) = (next as usize % ids.len(), next as usize / ids.len());
            let mut which = round % def.payloads.len();
            // A device that reports already what a command would bring about, because it missed the one before, would seem to
            // follow it.
            if reported[device].is_some_and(|v| (v - def.becomes[which]).abs() <= def.within) {
                which = (which + 1) % def.payloads.len();
            }
            if !line.publish(&topics[device], def.payloads[which].as_bytes()) {
                continue;
            }
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
            seen.lost = line.lost;
            return seen;
        }
        let wait_ns = if begun && due_ns < last_ns { (due_ns - t_ns).clamp(0, 5_000_000) } else { 5_000_000 };
        line.pump(Duration::from_nanos(wait_ns.max(100_000) as u64), |received| {
            let Some(device) = device_of.get(received.topic()) else { return };
            let payload = Stamp::take_out(received.topic().as_bytes(), &received.payload);
            let value = serde_json::from_slice::<serde_json::Value>(&payload).ok();
            let value = value.as_ref().and_then(|v| v.pointer(&def.field)?.as_f64());
            reported[*device] = value.or(reported[*device]);
            let Some(command) = open[*device] else { return };
            if value.is_some_and(|v| (v - command.wanted).abs() <= def.within) {
                let now_ns = unix_ns().saturating_sub(start_ns);
                seen.followed.push((command.intended_ns, now_ns - command.intended_ns));
                open[*device] = None;
            }
        });
    }
}
