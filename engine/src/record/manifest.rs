//! The manifest and the signal dictionary of a record, and how they are written without ever being half-written.
//!
//! ```
//! use twinfleet_engine::record::manifest::{Blocks, Header};
//! use twinfleet_engine::signal::{Channel, Kind, SignalTable};
//! let mut table = SignalTable::default();
//! table.add_block("node-{}", 20, vec![Channel::new("bme280.temperature", Kind::Reading, "degC")]);
//! let blocks = Blocks::of(&table);
//! assert_eq!(blocks.find("node-7/bme280.temperature@reading").unwrap().0, 7);
//! assert_eq!(blocks.find("node-20/bme280.temperature@reading"), None);
//! assert_eq!(Header::new("Scenario(...)", 1).shard, (0, 1));
//! ```

use super::RecordError;
use crate::{
    aside,
    signal::{Channel, Kind, SignalId, SignalTable},
    time::SimTime,
    world::StateHash,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

/// Version of the record's format.
pub const FORMAT: u64 = 1;

/// What a record says about its run from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the record's format.
    pub format: u64,
    /// Version of the engine that ran.
    pub engine: String,
    /// The scenario file's text, with every `--set` applied.
    pub scenario: String,
    /// Seed of the run.
    pub seed: u64,
    /// Shard `i` of `n`.
    pub shard: (u32, u32),
    /// Calendar time of the run's start, Unix time [ms].
    pub epoch_unix_ms: i64,
    /// SHA-256 of signals.json; the writer fills it in.
    #[serde(default)]
    pub signals_sha256: String,
}

impl Header {
    /// The header of an unsharded run of this scenario text.
    pub fn new(scenario: &str, seed: u64) -> Self {
        Self {
            format: FORMAT,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: scenario.to_owned(),
            seed,
            shard: (0, 1),
            epoch_unix_ms: 0,
            signals_sha256: String::new(),
        }
    }

    /// What the first segment's hash is chained to.
    pub(super) fn genesis(&self) -> String {
        hex(Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// A segment, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number, which names its files: `signals/000000.parquet`, `events/000000.parquet`.
    pub index: u64,
    /// Start of the simulated time that it covers, [ns].
    pub from_ns: i64,
    /// Its end, [ns].
    pub to_ns: i64,
    /// Rows in it.
    pub rows: u64,
    /// Events in it.
    pub events: u64,
    /// SHA-256 of its signals file.
    pub signals_sha256: String,
    /// SHA-256 of its events file.
    pub events_sha256: String,
    /// SHA-256 of the chain before it and all of the above.
    pub chain: String,
}

impl Segment {
    /// The hash that chains this segment to `before`.
    pub(super) fn link(&self, before: &str) -> String {
        let Self { index, from_ns, to_ns, rows, events, signals_sha256, events_sha256, .. } = self;
        let text =
            format!("{before} {index} {from_ns} {to_ns} {rows} {events} {signals_sha256} {events_sha256}");
        hex(Sha256::digest(text))
    }
}

/// The manifest: what there is, where it ends, and whether that is the run's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What is known from the start.
    #[serde(flatten)]
    pub header: Header,
    /// Whole segments, in order.
    pub segments: Vec<Segment>,
    /// Where the record ends, [ns].
    pub ended_ns: i64,
    /// Whether the run came to its end; false after Ctrl-C, and as long as it goes on.
    pub finished: bool,
    /// Hash of the run's state at its end, 32 hexadecimal digits.
    pub state_hash: Option<String>,
    /// The run's counters.
    pub counters: BTreeMap<String, u64>,
    /// SHA-256 of the last segment's chain and of everything after the segments; what a signature would sign.
    pub seal: String,
}

impl Manifest {
    /// The end of what is recorded.
    pub fn end(&self) -> SimTime {
        SimTime(self.ended_ns)
    }

    /// The state hash as a number.
    pub fn state(&self) -> Option<StateHash> {
        self.state_hash.as_ref().and_then(|t| u128::from_str_radix(t, 16).ok()).map(StateHash)
    }

    /// A record that nothing was written to yet.
    pub(super) const fn new(header: Header) -> Self {
        Self {
            header,
            segments: Vec::new(),
            ended_ns: 0,
            finished: false,
            state_hash: None,
            counters: BTreeMap::new(),
            seal: String::new(),
        }
    }

    /// The hash that the next segment is chained to.
    pub(super) fn chain(&self) -> String {
        self.segments.last().map_or_else(|| self.header.genesis(), |s| s.chain.clone())
    }

    fn seal(&self) -> String {
        let Self { ended_ns, finished, state_hash, counters, .. } = self;
        let state = state_hash.as_deref().unwrap_or("-");
        let mut text = format!("{} {ended_ns} {finished} {state}", self.chain());
        for (name, n) in counters {
            text.push_str(&format!(" {name}={n}"));
        }
        hex(Sha256::digest(text))
    }

    /// Seals the manifest and puts it in place.
    pub(super) fn write(&mut self, dir: &Path) -> Result<(), RecordError> {
        self.seal = self.seal();
        write_whole(dir, "manifest.json", &self.to_json())
    }

    fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }
}

/// The signal dictionary: blocks of devices that share their channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// In the order of signal ids.
    pub blocks: Vec<Block>,
}

/// Devices with the same channels; signal ids count channel by channel, then device by device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Device name, in which `{}` stands for the index.
    pub device: String,
    /// Number of devices.
    pub count: u32,
    /// Their channels.
    pub channels: Vec<BlockChannel>,
}

/// One channel of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockChannel {
    /// `part.quantity`.
    pub name: String,
    /// What it is a series of.
    pub kind: Kind,
    /// Its unit.
    pub unit: String,
}

impl Blocks {
    /// The dictionary of a run's signals.
    pub fn of(table: &SignalTable) -> Self {
        let channel = |c: &Channel| BlockChannel { name: c.name.clone(), kind: c.kind, unit: c.unit.clone() };
        let blocks = table.blocks().map(|(device, count, channels)| Block {
            device: device.to_owned(),
            count,
            channels: channels.iter().map(channel).collect(),
        });
        Self { blocks: blocks.collect() }
    }

    /// The run's signals.
    pub fn table(&self) -> SignalTable {
        let mut table = SignalTable::default();
        for b in &self.blocks {
            let channels = b.channels.iter().map(|c| Channel::new(&c.name, c.kind, &c.unit)).collect();
            table.add_block(&b.device, b.count, channels);
        }
        table
    }

    /// Number of signals, or `None` where ids would overflow.
    fn size(&self) -> Option<u32> {
        let sizes = self.blocks.iter().map(|b| u32::try_from(b.channels.len()).ok()?.checked_mul(b.count));
        sizes.sum()
    }

    /// The signal with this name, without forming every name of the run.
    pub fn find(&self, name: &str) -> Option<SignalId> {
        let (device, channel) = name.split_once('/')?;
        let (channel, kind) = channel.rsplit_once('@')?;
        let mut base = 0u32;
        for b in &self.blocks {
            let per = b.channels.len() as u32;
            let at = b.channels.iter().position(|c| c.name == channel && c.kind.name() == kind);
            if let (Some(at), Some(i)) = (at, index_of(&b.device, device))
                && i < b.count
            {
                return Some(SignalId(base + i * per + at as u32));
            }
            base += per * b.count;
        }
        None
    }
}

/// The index that makes `device` of `pattern`; 0 where the pattern has none and is the name.
fn index_of(pattern: &str, device: &str) -> Option<u32> {
    let Some((head, tail)) = pattern.split_once("{}") else {
        return (pattern == device).then_some(0);
    };
    let text = device.strip_prefix(head)?;
    let index = if tail.contains("{}") {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        &text[..digits]
    } else {
        text.strip_suffix(tail)?
    };
    let i: u32 = index.parse().ok()?;
    // `01` is no index, and a pattern may repeat its hole.
    (pattern.replace("{}", &i.to_string()) == device).then_some(i)
}

/// Hexadecimal digits of a digest.
pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// Makes the names in a folder durable; only Unix lets a program ask for it.
pub(super) fn sync_dir(dir: &Path) -> Result<(), RecordError> {
    aside::sync_dir(dir).map_err(RecordError::io("sync", dir))
}

/// Writes a small file aside, syncs it and renames it into place.
pub(super) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
    let place = dir.join(name);
    aside::write_durable(&place, bytes).map_err(RecordError::io("write", &place))
}

/// Reads signals.json and makes sure that it is what the manifest says.
pub(super) fn read_blocks(dir: &Path, sha256: &str) -> Result<Blocks, RecordError> {
    let path = dir.join("signals.json");
    let bytes = fs::read(&path).map_err(RecordError::io("read", &path))?;
    let corrupt = |what: String| RecordError::Corrupt { path: path.clone(), what };
    if hex(Sha256::digest(&bytes)) != sha256 {
        return Err(corrupt("its SHA-256 is not the manifest's".into()));
    }
    let blocks: Blocks = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
    if blocks.size().is_none() {
        return Err(corrupt("it has more signals than a run can have".into()));
    }
    Ok(blocks)
}

/// Reads manifest.json and checks format and chain, but not yet the segments' files.
pub(super) fn read_manifest(dir: &Path) -> Result<Manifest, RecordError> {
    let path = dir.join("manifest.json");
    let bytes = match fs::read(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(RecordError::NotARecord(dir.to_owned()));
        }
        other => other.map_err(RecordError::io("read", &path))?,
    };
    let corrupt = |what: String| RecordError::Corrupt { path: path.clone(), what };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        None => return Err(corrupt("it has no `format`".into())),
        Some(newer) if newer > FORMAT => return Err(RecordError::Newer(dir.to_owned(), newer)),
        Some(_) => {}
    }
    let manifest: Manifest = serde_json::from_value(value).map_err(|e| corrupt(e.to_string()))?;
    let mut chain = manifest.header.genesis();
    for (at, segment) in manifest.segments.iter().enumerate() {
        chain = segment.link(&chain);
        if segment.index != at as u64 || segment.chain != chain {
            return Err(corrupt(format!("the chain of hashes breaks at segment {at}")));
        }
    }
    if manifest.seal != manifest.seal() {
        return Err(corrupt("its seal does not fit what it says about the end of the run".into()));
    }
    Ok(manifest)
}
