//! A newcomer after the run: is it given, on each topic, the last retained message?

use super::{
    job::{DeviceSpec, Job},
    judge::{Finding, Wrong},
    stamp::{Kind, Stamp},
    tally::Tally,
};
use crate::wire::{
    WireError,
    client::{ConnectOptions, Connection},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long the newcomer waits for what the broker kept, after the last of it came.
const QUIET: Duration = Duration::from_millis(500);
/// How long it waits at most.
const MOST: Duration = Duration::from_secs(10);

/// What is wrong with the retained messages of a run that is over; nothing if none was retained. `newcomer` says how it connects.
///
/// # Errors
/// The newcomer was not served: then nobody knows what the broker has kept.
pub fn look(job: &Job, tally: &Tally, newcomer: &ConnectOptions) -> Result<Vec<Finding>, WireError> {
    let owners = owners(job);
    if owners.is_empty() {
        return Ok(Vec::new());
    }
    let kept = kept(job, newcomer, &owners)?;
    let judged =
        owners.iter().filter_map(|(topic, devices)| judge(job, tally, topic, devices, kept.get(*topic)));
    Ok(judged.collect())
}

/// Devices by the topic on which the broker was to keep their last message: it keeps one a topic, whoever sent it.
fn owners(job: &Job) -> BTreeMap<&str, Vec<&DeviceSpec>> {
    let mut owners: BTreeMap<&str, Vec<&DeviceSpec>> = BTreeMap::new();
    for device in job.devices.iter().filter(|d| job.load.devices[d.group].retain && !d.topic.is_empty()) {
        owners.entry(&device.topic).or_default().push(device);
    }
    owners
}

/// What the broker had kept on a topic.
enum Kept {
    /// A message of this run as it was sent: device and number.
    Intact(u32, u32),
    /// A message of an earlier run.
    Stale,
    /// Something that no device of this run has sent there so.
    Altered(String),
}

fn judge(
    job: &Job,
    tally: &Tally,
    topic: &str,
    devices: &[&DeviceSpec],
    kept: Option<&Kept>,
) -> Option<Finding> {
    // What was acknowledged has to be there, or a later one; at QoS 0 nothing is promised, and the last is hoped for.
    let acknowledged = |d: &DeviceSpec| {
        let sent = tally.devices.get(&d.ordinal)?.sent.first().filter(|s| s.qos > 0)?;
        Some((sent.acknowledged.last()?, sent.count))
    };
    let promised = devices.iter().find(|d| acknowledged(d).is_some());
    let (what, device, which) = match kept {
        None => {
            let device = promised?;
            let (least, _) = acknowledged(device)?;
            (Wrong::NotRetained, *device, format!("none was given, {least} was acknowledged"))
        }
        Some(Kept::Stale) => {
            let device = promised?;
            let (least, _) = acknowledged(device)?;
            (
                Wrong::NotRetained,
                *device,
                format!("one of an earlier run was given, {least} was acknowledged"),
            )
        }
        // Another shard looks at what its own devices left; what came before the run may stay where nothing was promised.
        Some(Kept::Altered(how)) => (Wrong::Altered, *promised?, how.clone()),
        Some(Kept::Intact(ordinal, seq)) => {
            let device = devices.iter().find(|d| d.ordinal == *ordinal)?;
            let book = tally.devices.get(ordinal)?;
            let (least, count) = acknowledged(device).unwrap_or_else(|| (0, book.count() as u32));
            if (least..count).contains(seq) {
                return None;
            }
            (Wrong::NotRetained, *device, format!("number {seq} was given, {least} was acknowledged"))
        }
    };
    Some(Finding {
        what,
        breach: true,
        subscriber: "a newcomer".to_owned(),
        device: device.id.to_string(),
        topic: topic.to_owned(),
        qos: job.load.devices[device.group].qos,
        count: 1,
        which,
    })
}

/// What a payload on a topic of these devices is.
fn told(job: &Job, devices: &[&DeviceSpec], payload: &[u8]) -> Kept {
    let Some(stamp) = Stamp::read(payload).filter(|s| s.kind == Kind::Message) else {
        return Kept::Altered("what was given has no stamp".to_owned());
    };
    if stamp.run != job.run {
        return Kept::Stale;
    }
    if devices.iter().all(|d| d.ordinal != stamp.device) {
        return Kept::Altered("a message of another topic was given".to_owned());
    }
    match stamp.is_intact(payload) {
        true => Kept::Intact(stamp.device, stamp.seq),
        false => Kept::Altered(format!("number {} was given with another content", stamp.seq)),
    }
}

fn kept(
    job: &Job,
    newcomer: &ConnectOptions,
    owners: &BTreeMap<&str, Vec<&DeviceSpec>>,
) -> Result<BTreeMap<String, Kept>, WireError> {
    let mut connection = Connection::connect(newcomer)?;
    let mut filters: Vec<String> = Vec::new();
    for (topic, devices) in owners {
        // A level that holds the id becomes a wildcard.
        let id = &*devices[0].id;
        let wild = |level: &str| if level.contains(id) { "+".to_owned() } else { level.to_owned() };
        let filter = topic.split('/').map(wild).collect::<Vec<_>>().join("/");
        if filters.last() != Some(&filter) {
            filters.push(filter);
        }
    }
    filters.sort_unstable();
    filters.dedup();
    let wanted: Vec<(&str, u8)> = filters.iter().map(|f| (f.as_str(), 1)).collect();
    connection.subscribe(&wanted, MOST)?;
    let mut kept = BTreeMap::new();
    let (begin, mut last) = (Instant::now(), Instant::now());
    while last.elapsed() < QUIET && begin.elapsed() < MOST {
        connection.pump(Some(QUIET / 5), |received| {
            last = Instant::now();
            if let Some(devices) = owners.get(received.topic()).filter(|_| received.retain) {
                kept.insert(received.topic().to_owned(), told(job, devices, &received.payload));
            }
        })?;
    }
    Ok(kept)
}
