//! The records of all shards of a run become the record that the whole run would have left, byte for byte.
//!
//! Rows and events are merged segment by segment in the record's order; state hashes and counters add up. Outcomes of
//! expectations are judged again over the merged rows ([`judge`]), since a shard sees its own signals only.
//!
//! ```
//! # use twinfleet_engine::{record::{Header, Record, Writer, merge::merge}, signal::{Channel, Kind, SignalTable}};
//! # use twinfleet_engine::{time::{SimTime, Span}, world::{Row, StateHash}};
//! let dir = tempfile::tempdir().unwrap();
//! let mut table = SignalTable::default();
//! let block = table.add_block("n-{}", 2, vec![Channel::new("a.b", Kind::Reading, "degC")]);
//! let shards = [0, 1].map(|shard| {
//!     let path = dir.path().join(shard.to_string());
//!     let header = Header { shard: (shard, 2), ..Header::new("Scenario()", 1) };
//!     let mut writer = Writer::create(&path, header, &table, Span::from_secs(1)).unwrap();
//!     let row = Row { t: SimTime(5), signal: table.id(block, shard, 0), value: 1.0 };
//!     writer.tick(SimTime::ZERO, &[row], &[]).unwrap();
//!     writer.finish(SimTime(10), true, StateHash(1), &Default::default()).unwrap();
//!     path
//! });
//! let manifest = merge(&shards, &dir.path().join("whole")).unwrap();
//! assert_eq!((manifest.segments[0].rows, manifest.state()), (2, Some(StateHash(2))));
//! ```

use super::{
    Manifest, Record, RecordError, event_order,
    writer::{Encoder, Merged, RowStream},
};
use crate::{
    expect::{Evaluator, Expectation, Outcome},
    time::SimTime,
    world::StateHash,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Merges the records of all shards of a run, in any order, into `out`, which must be empty or not exist yet.
///
/// # Errors
/// [`RecordError::Merge`] where they are not all the shards of one run, and whatever opening and writing can meet.
pub fn merge(shards: &[PathBuf], out: &Path) -> Result<Manifest, RecordError> {
    let mut records: Vec<Record> = shards.iter().map(|dir| Record::open(dir)).collect::<Result<_, _>>()?;
    records.sort_by_key(|r| r.manifest.header.shard);
    check(&records)?;
    let first = &records[0].manifest;
    let mut header = first.header.clone();
    header.shard = (0, 1);
    let mut encoder = Encoder::create(out, header, &records[0].table)?;
    for (at, segment) in first.segments.iter().enumerate() {
        let mut streams: Vec<RowStream<'_>> = Vec::new();
        let mut events = Vec::new();
        for record in &records {
            streams.push(Box::new(record.segment_rows(at)?));
            events.extend(record.segment_events(at)?);
        }
        events.sort_by(event_order);
        let (from, to) = (SimTime(segment.from_ns), SimTime(segment.to_ns));
        encoder.cut(from, to, &mut Merged::new(streams)?, &events)?;
    }
    let mut counters: BTreeMap<String, u64> = BTreeMap::new();
    for (name, n) in records.iter().flat_map(|r| &r.manifest.counters) {
        *counters.entry(name.clone()).or_default() += n;
    }
    let states: Option<Vec<StateHash>> = records.iter().map(|r| r.manifest.state()).collect();
    let state = states.map(|all| StateHash(all.iter().fold(0, |sum, s| sum.wrapping_add(s.0))));
    encoder.finish(first.end(), first.finished, state, counters)?;
    Ok(encoder.into_manifest())
}

/// Makes sure that these are all the shards of one run, each once and all of the same length.
fn check(records: &[Record]) -> Result<(), RecordError> {
    let refuse = |text: String| Err(RecordError::Merge(text));
    let Some(first) = records.first().map(|r| &r.manifest) else {
        return refuse("there is nothing to merge".into());
    };
    let n = first.header.shard.1;
    for (i, record) in records.iter().enumerate() {
        let m = &record.manifest;
        let name = format!("shard {} of {}", m.header.shard.0, m.header.shard.1);
        if m.header.shard != (i as u32, n) {
            let have: Vec<String> = records.iter().map(|r| r.manifest.header.shard.0.to_string()).collect();
            return refuse(format!(
                "the shards 0 to {} of a run are needed, each once, and these are {}",
                n - 1,
                have.join(", ")
            ));
        }
        let mut header = m.header.clone();
        header.shard = first.header.shard;
        if header != first.header {
            return refuse(format!("{name} is of another scenario, seed or engine version"));
        }
        let spans =
            |m: &Manifest| -> Vec<(i64, i64)> { m.segments.iter().map(|s| (s.from_ns, s.to_ns)).collect() };
        if spans(m) != spans(first) || m.ended_ns != first.ended_ns || m.finished != first.finished {
            let (a, b) = (m.end(), first.end());
            return refuse(format!("{name} ended at {a}, shard 0 at {b}; run the shorter one again"));
        }
    }
    if records.len() != n as usize {
        return refuse(format!("the run has {n} shards, but {} were given", records.len()));
    }
    Ok(())
}

/// Judges expectations over a record. Signals that were not recorded count as no data.
///
/// # Errors
/// [`RecordError::Corrupt`].
pub fn judge(record: &Record, expectations: &[Expectation]) -> Result<Vec<Outcome>, RecordError> {
    let mut evaluator = Evaluator::new(expectations, &record.table);
    for at in 0..record.manifest.segments.len() {
        let events = record.segment_events(at)?;
        let mut events = events.as_slice();
        for row in record.segment_rows(at)? {
            let row = row?;
            let due = events.partition_point(|e| e.t <= row.t);
            evaluator.observe(&[], &events[..due]);
            events = &events[due..];
            evaluator.observe(&[row], &[]);
        }
        evaluator.observe(&[], events);
    }
    Ok(evaluator.finish(record.manifest.end()))
}
