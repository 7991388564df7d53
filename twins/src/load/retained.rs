//! A newcomer after the run: is it given each device's last retained message?

use super::{
    job::Job,
    judge::{Finding, Wrong},
    stamp::Stamp,
    tally::Tally,
};
use crate::wire::{
    client::{ConnectOptions, Connection},
    url::BrokerUrl,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long the newcomer waits for what the broker kept, after the last of it came.
const QUIET: Duration = Duration::from_millis(500);
/// How long it waits at most.
const MOST: Duration = Duration::from_secs(10);

/// What is wrong with the retained messages of a run that is over; nothing if none was retained.
pub fn look(job: &Job, tally: &Tally, url: &BrokerUrl) -> Vec<Finding> {
    let groups: Vec<usize> = (0..job.load.devices.len()).filter(|g| job.load.devices[*g].retain).collect();
    let kept = |d: &&super::job::DeviceSpec| groups.contains(&d.group) && !d.topic.is_empty();
    if !job.devices.iter().any(|d| kept(&d)) {
        return Vec::new();
    }
    let finding = |device: &str, qos: u8, which: String| Finding {
        what: Wrong::NotRetained,
        breach: true,
        subscriber: "a newcomer".to_owned(),
        device: device.to_owned(),
        topic: String::new(),
        qos,
        count: 1,
        which,
    };
    let newest = match newest(job, url, &groups) {
        Ok(newest) => newest,
        Err(error) => return vec![finding("all", 0, format!("the newcomer was not served: {error}"))],
    };
    let mut findings = Vec::new();
    for device in job.devices.iter().filter(kept) {
        let Some(book) = tally.devices.get(&device.ordinal) else { continue };
        let qos = job.load.devices[device.group].qos;
        // What was acknowledged has to be there, or a later one; at QoS 0 nothing is promised, and the last is hoped for.
        let Some(sent) = book.sent.first().filter(|s| s.qos > 0) else { continue };
        let Some(least) = sent.acknowledged.last() else { continue };
        let which = match newest.get(&device.ordinal) {
            Some(seq) if (least..sent.count).contains(seq) => continue,
            Some(seq) => format!("number {seq} was given, {least} was acknowledged"),
            None => format!("none was given, {least} was acknowledged"),
        };
        findings.push(finding(&device.id, qos, which));
    }
    findings
}

fn newest(
    job: &Job,
    url: &BrokerUrl,
    groups: &[usize],
) -> Result<BTreeMap<u32, u32>, crate::wire::WireError> {
    let mut connection = Connection::connect(&ConnectOptions::to(url.clone()))?;
    let mut filters: Vec<String> = Vec::new();
    for device in job.devices.iter().filter(|d| groups.contains(&d.group)) {
        // A level that holds the id becomes a wildcard.
        let wild = |level: &str| if level.contains(&*device.id) { "+".to_owned() } else { level.to_owned() };
        let filter = device.topic.split('/').map(wild).collect::<Vec<_>>().join("/");
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    let wanted: Vec<(&str, u8)> = filters.iter().map(|f| (f.as_str(), 1)).collect();
    connection.subscribe(&wanted, MOST)?;
    let mut newest = BTreeMap::new();
    let (begin, mut last) = (Instant::now(), Instant::now());
    while last.elapsed() < QUIET && begin.elapsed() < MOST {
        connection.pump(Some(QUIET / 5), |received| {
            last = Instant::now();
            if let Some(stamp) =
                Stamp::read(&received.payload).filter(|s| s.run == job.run && received.retain)
            {
                newest.insert(stamp.device, stamp.seq);
            }
        })?;
    }
    Ok(newest)
}
