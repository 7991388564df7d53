//! What a run leaves: Parquet segments, manifest, state hash.
//!
//! ```text
//! DIR/manifest.json            scenario, seed, segments with chained hashes, where it ended, state hash
//! DIR/signals.json             the dictionary: every signal of the run with its unit, in blocks
//! DIR/signals/000000.parquet   time_ns INT64, signal UTF8, value DOUBLE; sorted by (time, signal's place in the dictionary)
//! DIR/events/000000.parquet    time_ns, subject, part, kind, detail, value, cause; sorted by all of them
//! ```
//!
//! - A segment covers `record.segment` of simulated time and holds what ticks that began in it left. It is written aside,
//!   synced and renamed, then the manifest is; so a process killed at any moment leaves whole segments and a manifest that
//!   says where they end. Files that the manifest does not list do not belong to the record.
//! - Each segment carries a SHA-256 chained to the one before, from the scenario's text on: a change anywhere shows.
//! - Nothing in a record depends on the machine, the wall clock, the number of threads or the number of shards: the same
//!   scenario and seed leave the same bytes, and [`merge`](merge::merge) of all shards leaves those of the whole.
//! - Memory is bounded: a segment too large for it is sorted in runs on disk. Encoding happens on a thread of its own.
//!
//! Expectations and their outcomes are not part of it: they are judged again over merged rows.
//!
//! ```
//! use twinfleet_engine::{record::{Header, Record, Writer}, signal::{Channel, Kind, SignalTable}};
//! use twinfleet_engine::{time::{SimTime, Span}, world::{Row, StateHash}};
//! let dir = tempfile::tempdir().unwrap();
//! let mut table = SignalTable::default();
//! let block = table.add_block("pi-1", 1, vec![Channel::new("soc.temperature", Kind::Reported, "degC")]);
//! let header = Header::new("Scenario(format: 1, duration: \"2s\")", 42);
//! let mut writer = Writer::create(&dir.path().join("rec"), header, &table, Span::from_secs(1)).unwrap();
//! for s in 0..2 {
//!     let t = SimTime(s * 1_000_000_000);
//!     writer.tick(t, &[Row { t, signal: table.id(block, 0, 0), value: 45.0 + s as f64 }], &[]).unwrap();
//! }
//! writer.finish(SimTime(2_000_000_000), true, StateHash(7), &Default::default()).unwrap();
//!
//! let record = Record::open(&dir.path().join("rec")).unwrap();
//! assert_eq!(record.manifest.segments.len(), 2);
//! let values: Vec<f64> = record.rows().map(|row| row.unwrap().value).collect();
//! assert_eq!(values, [45.0, 46.0]);
//! ```

pub mod manifest;
pub mod merge;
mod reader;
mod reliability;
pub mod sampler;
mod segment;
mod writer;

pub use manifest::{Header, Manifest};
pub use reader::Record;
pub use reliability::{Halves, Reliability};
pub use sampler::{Bucket, Sampled, Sampler};
pub use writer::{Recorder, Writer, install};

use crate::world::{Event, Row};
use std::{io, path::PathBuf};

/// Brings a tick's rows and events into the order that [`crate::expect`] and the record want: rows by (time, signal), events
/// by (time, subject, part, kind). Equal keys keep the order in which they were emitted.
pub fn sort_tick(rows: &mut [Row], events: &mut [Event]) {
    rows.sort_by_key(|r| (r.t, r.signal));
    events.sort_by(|a, b| (a.t, &a.subject, &a.part, &a.kind).cmp(&(b.t, &b.subject, &b.part, &b.kind)));
}

/// The order of events in a record: by all of their fields, so that it cannot depend on who emitted first.
fn event_order(a: &Event, b: &Event) -> std::cmp::Ordering {
    (a.t, &a.subject, &a.part, &a.kind, &a.detail)
        .cmp(&(b.t, &b.subject, &b.part, &b.kind, &b.detail))
        .then(a.value.total_cmp(&b.value))
        .then_with(|| (&a.cause, &a.unit, &a.with).cmp(&(&b.cause, &b.unit, &b.with)))
}

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The operating system said no: disk full, no permission, no such folder.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// The folder is in use.
    #[error("{path} is not empty: a record never overwrites; name another folder or remove this one", path = .0.display())]
    NotEmpty(PathBuf),
    /// A file is where the folder should be.
    #[error("{path} is a file, a folder was expected: name one that is empty or does not exist yet", path = .0.display())]
    NoFolder(PathBuf),
    /// There is no manifest.
    #[error("{path} holds no record: it has no manifest.json", path = .0.display())]
    NotARecord(PathBuf),
    /// The record is of a later format.
    #[error("{path} is a record of format {1}; this version reads up to {format}", path = .0.display(), format = manifest::FORMAT)]
    Newer(PathBuf, u64),
    /// A file is not what the manifest says.
    #[error("{path} is damaged: {what}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Records that cannot be merged.
    #[error("cannot merge: {0}")]
    Merge(String),
    /// The writing thread is gone, which is a bug.
    #[error("the thread that writes the record has stopped")]
    Stopped,
}

impl RecordError {
    /// The command's exit code: 3 where the outside failed, 2 where the input is wrong.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Io { .. } | Self::Stopped => 3,
            _ => 2,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("free some space, or keep fewer signals (`record: (signals: [...])`)")
                }
                io::ErrorKind::FileTooLarge => Some(
                    "raise the limit on a file's size (`ulimit -f`), or keep fewer signals (`record: (signals: [...])`)",
                ),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("choose a folder that you may write to")
                }
                _ => Some("name another folder, or see what is wrong with this one"),
            },
            Self::NotARecord(_) => Some("name a folder that `twinfleet run … --record DIR` wrote"),
            Self::Corrupt { .. } => {
                Some("the segments before it are whole; record the run again to have all of it")
            }
            _ => None,
        }
    }

    fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
