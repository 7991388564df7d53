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
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// How long the newcomer waits for what the broker kept, after the last of it came.
const QUIET: Duration = Duration::from_millis(500);
/// How long it waits at most.
const MOST: Duration = Duration::from_secs(10);
/// Topics that it asks for once more at a time: few enough for the shortest queue that a broker has for a client.
const AGAIN: usize = 8;
/// What it asks for once more and does not get, it waits for so long in all; then it asks for no more.
const MOST_AGAIN: Duration = Duration::from_secs(20);

/// What is wrong with the retained messages of a run that is over; nothing if none was retained. `newcomer` says how it connects.
///
/// # Errors
/// The newcomer was not served: then nobody knows what the broker has kept.
pub fn look(job: &Job, tally: &Tally, newcomer: &ConnectOptions) -> Result<Vec<Finding>, WireError> {
    let owners = owners(job);
    if owners.is_empty() {
        return Ok(Vec::new());
    }
    let mut kept = BTreeMap::new();
    let mut connection = Connection::connect(newcomer)?;
    given(job, &mut connection, &owners, &mut kept)?;
    let missing: Vec<&str> = owners
        .iter()
        .filter(|(topic, devices)| {
            !kept.contains_key(**topic) && devices.iter().any(|d| acknowledged(tally, d).is_some())
        })
        .map(|(topic, _)| *topic)
        .collect();
    let asked = ask_again(job, &mut connection, &owners, &missing, &mut kept)?;
    // Of what there was no time to ask for once more, nothing is known.
    let unknown: BTreeSet<&str> = missing[asked..].iter().copied().collect();
    let known = owners.iter().filter(|(topic, _)| !unknown.contains(*topic));
    Ok(known.filter_map(|(topic, devices)| judge(job, tally, topic, devices, kept.get(*topic))).collect())
}

/// The newest message of a device that was acknowledged, and how many it sent, where the broker was to keep them: at QoS 0
/// nothing is promised.
fn acknowledged(tally: &Tally, device: &DeviceSpec) -> Option<(u32, u32)> {
    let sent = tally.devices.get(&device.ordinal)?.sent.first().filter(|s| s.qos > 0)?;
    Some((sent.acknowledged.last()?, sent.count))
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
    // What was acknowledged has to be there, or a later one; at QoS 0 the last is hoped for.
    let acknowledged = |d: &DeviceSpec| acknowledged(tally, d);
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

/// Subscribes to all topics at once, as a newcomer does, and takes what is given.
fn given(
    job: &Job,
    connection: &mut Connection,
    owners: &BTreeMap<&str, Vec<&DeviceSpec>>,
    kept: &mut BTreeMap<String, Kept>,
) -> Result<(), WireError> {
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
    take(job, connection, owners, kept, |_| false)
}

/// Asks once more for what was not given, a few topics at a time: what a broker's queue for one client did not hold, it may have
/// kept all the same, and a subscription is no promise of more than the queue. Returns for how many of them it could ask.
fn ask_again(
    job: &Job,
    connection: &mut Connection,
    owners: &BTreeMap<&str, Vec<&DeviceSpec>>,
    missing: &[&str],
    kept: &mut BTreeMap<String, Kept>,
) -> Result<usize, WireError> {
    let mut in_vain = Duration::ZERO;
    let mut asked = 0;
    for topics in missing.chunks(AGAIN) {
        if in_vain >= MOST_AGAIN {
            break;
        }
        let begin = Instant::now();
        for topic in topics {
            connection.subscribe(&[(*topic, 1)], MOST)?;
        }
        let all_came = |kept: &BTreeMap<String, Kept>| topics.iter().all(|t| kept.contains_key(*t));
        take(job, connection, owners, kept, all_came)?;
        if !all_came(kept) {
            in_vain += begin.elapsed();
        }
        asked += topics.len();
    }
    Ok(asked)
}

/// Takes what the broker gives until nothing more comes, all is there, or the time is over.
fn take(
    job: &Job,
    connection: &mut Connection,
    owners: &BTreeMap<&str, Vec<&DeviceSpec>>,
    kept: &mut BTreeMap<String, Kept>,
    is_all: impl Fn(&BTreeMap<String, Kept>) -> bool,
) -> Result<(), WireError> {
    let (begin, mut last) = (Instant::now(), Instant::now());
    while last.elapsed() < QUIET && begin.elapsed() < MOST && !is_all(kept) {
        connection.pump(Some(QUIET / 5), |received| {
            last = Instant::now();
            if let Some(devices) = owners.get(received.topic()).filter(|_| received.retain) {
                kept.insert(received.topic().to_owned(), told(job, devices, &received.payload));
            }
        })?;
    }
    Ok(())
}
