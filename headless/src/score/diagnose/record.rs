//! What the twins of a run said, and what its scenario had put wrong, from its record.

use crate::exit::Failure;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    cause,
    diagnose::{EVENT, Label, Said},
    record::{Record, RecordError},
    sense::fault::FaultDef,
    signal::{Channel, Kind},
    world::Event,
};

/// Verdicts and labels of some runs; devices are named `run/device` where there are several runs.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) said: Vec<Said>,
    pub(super) labels: Vec<Label>,
    /// Time that twins watched, over all of them, [s].
    pub(super) device_s: f64,
}

/// Reads records.
pub(super) fn read_all(dirs: &[PathBuf]) -> Result<Told, Failure> {
    let mut all = Told::default();
    for dir in dirs {
        let prefix = if dirs.len() > 1 { format!("{}/", dir.display()) } else { String::new() };
        let one = read(dir, &prefix).map_err(|e| {
            let help = e.help().map_or(String::new(), |h| format!("\n  help: {h}"));
            let text = format!("error: {e}{help}");
            if e.exit_code() == 3 { Failure::outside(text) } else { Failure::input(text) }
        })?;
        if one.device_s == 0.0 {
            let text = format!("error: no twin watched anything in {}", dir.display());
            let help =
                "a scenario with a `mirror` section leaves verdicts; record it with `run --record DIR`";
            return Err(Failure::input(format!("{text}\n  help: {help}")));
        }
        all.said.extend(one.said);
        all.labels.extend(one.labels);
        all.device_s += one.device_s;
    }
    Ok(all)
}

fn read(dir: &Path, prefix: &str) -> Result<Told, RecordError> {
    let record = Record::open(dir)?;
    let end_s = record.manifest.segments.last().map_or(0.0, |s| s.to_ns as f64 * 1e-9);
    let mut told = Told::default();
    // A verdict is told when it begins, when it turns out to be of another kind, and when it ends; what it said last counts.
    let mut said: BTreeMap<(String, String, bool, u64), Said> = BTreeMap::new();
    let mut open: Vec<(String, Label)> = Vec::new();
    for at in 0..record.manifest.segments.len() {
        for event in record.segment_events(at)? {
            let subject = format!("{prefix}{}", event.subject);
            let t_s = event.t.as_secs_f64();
            match event.kind.as_str() {
                EVENT => {
                    if let Some(s) = Said::from_detail(&subject, &event.part, &event.detail) {
                        let key = (subject, event.part, s.kind == "spike", s.onset_s.to_bits());
                        said.insert(key, s);
                    }
                }
                // Nobody can name what changes nothing.
                "fault_start" | "fault_end" if FaultDef::changes_nothing(&event.detail, event.value) => {}
                "fault_start" => {
                    let label = Label {
                        subject,
                        part: part_of(&event),
                        kind: event.detail.clone(),
                        from_s: t_s,
                        until_s: end_s,
                        size: event.value,
                    };
                    open.push((event.part, label));
                }
                "fault_end" => {
                    let same = |(part, l): &(String, Label)| {
                        l.subject == subject && *part == event.part && l.kind == event.detail
                    };
                    if let Some(at) = cause::ended(&open, same, |(_, l)| l.size, &event) {
                        let (_, label) = open.remove(at);
                        told.labels.push(Label { until_s: t_s, ..label });
                    }
                }
                _ => {}
            }
        }
    }
    told.labels.extend(open.into_iter().map(|(_, label)| label));
    let twins = twins(&record);
    told.labels.retain(|l| twins.contains(l.subject.strip_prefix(prefix).unwrap_or(&l.subject)));
    told.labels.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    told.said = said.into_values().collect();
    told.device_s = end_s * twins.len() as f64;
    Ok(told)
}

/// A clock and a silence are the device's, whatever part the scenario named.
fn part_of(event: &Event) -> String {
    match event.detail.as_str() {
        "clock_skew" | "dropout" => String::new(),
        _ => event.part.clone(),
    }
}

/// Devices that a twin follows: those that have an estimate.
fn twins(record: &Record) -> BTreeSet<String> {
    let estimated = |channels: &[Channel]| channels.iter().any(|c| c.kind == Kind::Estimate);
    let blocks = record.table.blocks().filter(|(_, _, channels)| estimated(channels));
    blocks.map(|(device, ..)| device.to_owned()).collect()
}
