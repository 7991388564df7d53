//! What a mirror keeps: the messages as they came, the twins' state documents, their history and events, in one file.
//!
//! The store is redb: pure Rust, one file, transactions that hold after a kill or a power cut, readers that do not wait
//! for the writer. SQLite would be readable by more tools, but brings a C library; a log-structured store writes faster,
//! but with many files and threads of its own. All that one turn of the mirror adds is one transaction, and only what is
//! committed is acknowledged to the broker.
//!
//! ```
//! use twinfleet_twins::mirror::store::{Batch, RawMessage, Store};
//! let dir = tempfile::tempdir()?;
//! let mut store = Store::open(dir.path())?;
//! let message = RawMessage { arrived_unix_ns: 1, topic: "lab/a".into(), payload: (*b"{}").into(), ..Default::default() };
//! store.commit(&Batch { messages: vec![message.clone()], ..Batch::default() })?;
//! drop(store);
//! let store = Store::open(dir.path())?;
//! assert_eq!(store.reader().messages(0, 10)?, [(0, message)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use redb::{Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

/// Name of the file within the mirror's folder.
pub const FILE_NAME: &str = "mirror.redb";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Messages by their number.
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
/// Values by twin and Unix time [ns].
const HISTORY: TableDefinition<'_, (u32, i64), &[u8]> = TableDefinition::new("history");
/// State documents, JSON, by name.
const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
/// Events, JSON, by their number.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// A twin's number in the history, by its id; numbers are never given twice.
const NUMBERS: TableDefinition<'_, &str, u32> = TableDefinition::new("numbers");

/// Rows that one pruning takes away of each table at most, so that it never holds up the mirror for long.
const PRUNE_ROWS: usize = 20_000;
/// Memory that the store may use for its pages, [bytes].
const CACHE_BYTES: usize = 64 << 20;

/// What went wrong with the store, and where.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or used.
    #[error("cannot use the folder {}: {reason}. Name another one (`--store DIR`)", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Another process has it open.
    #[error(
        "another mirror uses the store in {}: each has a folder of its own (`--store DIR`)",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file is none of ours, or damaged.
    #[error(
        "the store in {} cannot be read: {reason}. Move it away to begin anew; what it held is then not used",
        path.display()
    )]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("the store cannot be written or read: {0}")]
    Failed(String),
}

impl From<redb::Error> for StoreError {
    fn from(error: redb::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

macro_rules! from_redb {
    ($($name:ident),*) => {
        $(impl From<redb::$name> for StoreError {
            fn from(error: redb::$name) -> Self {
                Self::Failed(error.to_string())
            }
        })*
    };
}
from_redb!(TransactionError, TableError, StorageError, CommitError);

/// A message as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawMessage {
    /// When it came, Unix time, [ns].
    pub arrived_unix_ns: i64,
    /// Quality of service it was delivered with.
    pub qos: u8,
    /// Whether the broker had kept it.
    pub retain: bool,
    /// Whether the broker had sent it before.
    pub dup: bool,
    /// MQTT topic.
    pub topic: Arc<str>,
    /// MQTT payload.
    pub payload: Arc<[u8]>,
}

impl RawMessage {
    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(11 + self.topic.len() + self.payload.len());
        bytes.extend_from_slice(&self.arrived_unix_ns.to_le_bytes());
        bytes.push(self.qos | u8::from(self.retain) << 2 | u8::from(self.dup) << 3);
        bytes.extend_from_slice(&(self.topic.len() as u16).to_le_bytes());
        bytes.extend_from_slice(self.topic.as_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (when, rest) = bytes.split_first_chunk::<8>()?;
        let (flags, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (topic, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        Some(Self {
            arrived_unix_ns: i64::from_le_bytes(*when),
            qos: flags & 3,
            retain: flags & 4 != 0,
            dup: flags & 8 != 0,
            topic: std::str::from_utf8(topic).ok()?.into(),
            payload: payload.into(),
        })
    }
}

/// A twin's values at an instant: its number, Unix time [ns], and the channels of its block with their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryRow {
    /// The twin's number.
    pub twin: u32,
    /// Unix time, [ns].
    pub t_unix_ns: i64,
    /// Channel of the twin's block, and value.
    pub values: Vec<(u16, f64)>,
}

/// What one turn of the mirror adds: all of it is kept, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Messages, in the order they came.
    pub messages: Vec<RawMessage>,
    /// Values.
    pub history: Vec<HistoryRow>,
    /// State documents, by name; an empty one is removed.
    pub documents: Vec<(String, Vec<u8>)>,
    /// Events, JSON.
    pub events: Vec<Vec<u8>>,
    /// QoS 2 packet ids that the broker has not released, where they changed.
    pub received_qos2: Option<BTreeSet<u16>>,
}

impl Batch {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.history.is_empty()
            && self.documents.is_empty()
            && self.events.is_empty()
            && self.received_qos2.is_none()
    }

    /// What it holds, roughly, [bytes].
    pub fn bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(|m| 64 + m.topic.len() + m.payload.len()).sum();
        let history: usize = self.history.iter().map(|h| 48 + 16 * h.values.len()).sum();
        let documents: usize = self.documents.iter().map(|(name, d)| 64 + name.len() + d.len()).sum();
        messages + history + documents + self.events.iter().map(|e| 32 + e.len()).sum::<usize>()
    }

    /// Adds what a later turn adds.
    pub fn append(&mut self, mut later: Self) {
        self.messages.append(&mut later.messages);
        self.history.append(&mut later.history);
        self.documents.append(&mut later.documents);
        self.events.append(&mut later.events);
        if later.received_qos2.is_some() {
            self.received_qos2 = later.received_qos2;
        }
    }
}

/// The store, for the one who writes.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    shared: Reader,
    next_message: u64,
    next_event: u64,
}

/// The store, for those who read beside the writer.
#[derive(Clone, Debug)]
pub struct Reader(Arc<RwLock<Option<Database>>>);

impl Store {
    /// Opens the store of this folder, or begins one.
    ///
    /// # Errors
    /// [`StoreError::Folder`], [`StoreError::InUse`], [`StoreError::Unreadable`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let folder = |e: std::io::Error| StoreError::Folder { path: dir.to_owned(), reason: e.to_string() };
        std::fs::create_dir_all(dir).map_err(folder)?;
        let mut store = Self {
            dir: dir.to_owned(),
            shared: Reader(Arc::new(RwLock::new(Some(database(dir)?)))),
            next_message: 0,
            next_event: 0,
        };
        store.begin().map_err(|e| StoreError::Unreadable { path: dir.to_owned(), reason: e.to_string() })?;
        Ok(store)
    }

    /// Opens it again after a failure, for a disk that was full may have room by now.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        let mut slot = self.shared.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The file is locked for as long as it is open.
        *slot = None;
        *slot = Some(database(&self.dir)?);
        drop(slot);
        self.begin()
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let (message, event) = self.shared.with(|db| {
            let write = db.begin_write()?;
            {
                write.open_table(META)?;
                write.open_table(HISTORY)?;
                write.open_table(DOCUMENTS)?;
                write.open_table(NUMBERS)?;
            }
            let message = write.open_table(MESSAGES)?.last()?.map_or(0, |(k, _)| k.value() + 1);
            let event = write.open_table(EVENTS)?.last()?.map_or(0, |(k, _)| k.value() + 1);
            write.commit()?;
            Ok((message, event))
        })?;
        // A table that was pruned empty must not count from 0 again.
        self.next_message = message.max(self.next_message);
        self.next_event = event.max(self.next_event);
        Ok(())
    }

    /// For those who read.
    pub fn reader(&self) -> Reader {
        self.shared.clone()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name's bytes among the store's own notes, made by `make` if there are none.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn note(&mut self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.shared.with(|db| {
            let write = db.begin_write()?;
            let bytes;
            {
                let mut table = write.open_table(META)?;
                let known = table.get(name)?.map(|v| v.value().to_vec());
                bytes = match known {
                    Some(known) => known,
                    None => {
                        let made = make();
                        table.insert(name, &made[..])?;
                        made
                    }
                };
            }
            write.commit()?;
            Ok(bytes)
        })
    }

    /// The numbers of these twins in the history, in their order; a new twin gets one.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn numbers<'a>(&mut self, twins: impl Iterator<Item = &'a str>) -> Result<Vec<u32>, StoreError> {
        self.shared.with(|db| {
            let write = db.begin_write()?;
            let mut numbers = Vec::new();
            {
                let mut table = write.open_table(NUMBERS)?;
                let mut next = table.len()? as u32;
                for twin in twins {
                    let known = table.get(twin)?.map(|n| n.value());
                    numbers.push(match known {
                        Some(number) => number,
                        None => {
                            table.insert(twin, next)?;
                            next += 1;
                            next - 1
                        }
                    });
                }
            }
            write.commit()?;
            Ok(numbers)
        })
    }

    /// Keeps a batch; when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: nothing of it was kept. Then [`Self::reopen`] before the next attempt.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let (mut message, mut event) = (self.next_message, self.next_event);
        self.shared.with(|db| {
            let mut write = db.begin_write()?;
            write.set_durability(Durability::Immediate).map_err(|e| StoreError::Failed(e.to_string()))?;
            if !batch.messages.is_empty() {
                let mut table = write.open_table(MESSAGES)?;
                for m in &batch.messages {
                    table.insert(message, &m.write()[..])?;
                    message += 1;
                }
            }
            if !batch.history.is_empty() {
                let mut table = write.open_table(HISTORY)?;
                for row in &batch.history {
                    table.insert((row.twin, row.t_unix_ns), &pack(&row.values)[..])?;
                }
            }
            if !batch.documents.is_empty() {
                let mut table = write.open_table(DOCUMENTS)?;
                for (name, document) in &batch.documents {
                    if document.is_empty() {
                        table.remove(name.as_str())?;
                    } else {
                        table.insert(name.as_str(), &document[..])?;
                    }
                }
            }
            if !batch.events.is_empty() {
                let mut table = write.open_table(EVENTS)?;
                for e in &batch.events {
                    table.insert(event, &e[..])?;
                    event += 1;
                }
            }
            if let Some(ids) = &batch.received_qos2 {
                let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
                write.open_table(META)?.insert("received_qos2", &bytes[..])?;
            }
            write.commit()?;
            Ok(())
        })?;
        (self.next_message, self.next_event) = (message, event);
        Ok(())
    }

    /// QoS 2 packet ids that the broker had not released when the last batch was kept.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn received_qos2(&self) -> Result<BTreeSet<u16>, StoreError> {
        self.shared.with(|db| {
            let table = db.begin_read()?.open_table(META)?;
            let bytes = table.get("received_qos2")?.map(|v| v.value().to_vec()).unwrap_or_default();
            Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
        })
    }

    /// Takes away messages that came before `messages_unix_ns`, and values and events of these twins before
    /// `history_unix_ns`; some of them, where there are many. Returns how many rows went.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn prune(
        &mut self,
        messages_unix_ns: i64,
        history_unix_ns: i64,
        twins: &[u32],
    ) -> Result<usize, StoreError> {
        self.shared.with(|db| {
            let write = db.begin_write()?;
            let mut gone = 0;
            {
                let mut table = write.open_table(MESSAGES)?;
                let mut old = Vec::new();
                for entry in table.iter()?.take(PRUNE_ROWS) {
                    let (key, value) = entry?;
                    match value.value().first_chunk::<8>() {
                        Some(when) if i64::from_le_bytes(*when) >= messages_unix_ns => break,
                        _ => old.push(key.value()),
                    }
                }
                for key in old {
                    table.remove(key)?;
                    gone += 1;
                }
            }
            {
                let mut table = write.open_table(HISTORY)?;
                for twin in twins {
                    if gone >= PRUNE_ROWS {
                        break;
                    }
                    let range = (*twin, i64::MIN)..(*twin, history_unix_ns);
                    let old: Vec<_> = table
                        .range(range)?
                        .take(PRUNE_ROWS - gone)
                        .map(|entry| entry.map(|(key, _)| key.value()))
                        .collect::<Result<_, _>>()?;
                    for key in old {
                        table.remove(key)?;
                        gone += 1;
                    }
                }
            }
            {
                let mut table = write.open_table(EVENTS)?;
                // Events are few, and the newest are what is looked for.
                let surplus = (table.len()? as usize).saturating_sub(100_000).min(PRUNE_ROWS);
                for _ in 0..surplus {
                    table.pop_first()?;
                    gone += 1;
                }
            }
            write.commit()?;
            Ok(gone)
        })
    }
}

fn database(dir: &Path) -> Result<Database, StoreError> {
    let unreadable = |reason: String| StoreError::Unreadable { path: dir.to_owned(), reason };
    match Database::builder().set_cache_size(CACHE_BYTES).create(dir.join(FILE_NAME)) {
        Ok(db) => Ok(db),
        Err(redb::DatabaseError::DatabaseAlreadyOpen) => Err(StoreError::InUse { path: dir.to_owned() }),
        Err(redb::DatabaseError::Storage(redb::StorageError::Io(e)))
            if e.kind() != std::io::ErrorKind::InvalidData =>
        {
            Err(StoreError::Folder { path: dir.to_owned(), reason: e.to_string() })
        }
        Err(error) => Err(unreadable(error.to_string())),
    }
}

fn pack(values: &[(u16, f64)]) -> Vec<u8> {
    values.iter().flat_map(|(c, v)| c.to_le_bytes().into_iter().chain(v.to_le_bytes())).collect()
}

fn unpack(bytes: &[u8]) -> Vec<(u16, f64)> {
    let number = |b: &[u8]| b.try_into().map_or(f64::NAN, f64::from_le_bytes);
    bytes.chunks_exact(10).map(|b| (u16::from_le_bytes([b[0], b[1]]), number(&b[2..]))).collect()
}

impl Reader {
    fn with<T>(&self, what: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let slot = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let db = slot.as_ref().ok_or_else(|| StoreError::Failed("it is closed".to_owned()))?;
        what(db)
    }

    /// Messages with their numbers, from this number on.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn messages(&self, from: u64, limit: usize) -> Result<Vec<(u64, RawMessage)>, StoreError> {
        self.with(|db| {
            let table = db.begin_read()?.open_table(MESSAGES)?;
            let mut found = Vec::new();
            for entry in table.range(from..)?.take(limit) {
                let (key, value) = entry?;
                if let Some(message) = RawMessage::read(value.value()) {
                    found.push((key.value(), message));
                }
            }
            Ok(found)
        })
    }

    /// The number of the first message that came at or after this time.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn first_message_since(&self, unix_ns: i64) -> Result<u64, StoreError> {
        self.with(|db| {
            let table = db.begin_read()?.open_table(MESSAGES)?;
            let (Some(first), Some(last)) = (table.first()?, table.last()?) else { return Ok(0) };
            let (mut low, mut high) = (first.0.value(), last.0.value() + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                let came =
                    table.range(middle..)?.next().transpose()?.and_then(|(_, v)| {
                        v.value().first_chunk::<8>().map(|when| i64::from_le_bytes(*when))
                    });
                if came.is_some_and(|t| t < unix_ns) { low = middle + 1 } else { high = middle }
            }
            Ok(low)
        })
    }

    /// A twin's values between two Unix times [ns], oldest first.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn history(
        &self,
        twin: u32,
        from_unix_ns: i64,
        to_unix_ns: i64,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        if from_unix_ns > to_unix_ns {
            return Ok(Vec::new());
        }
        self.with(|db| {
            let table = db.begin_read()?.open_table(HISTORY)?;
            let mut found = Vec::new();
            for entry in table.range((twin, from_unix_ns)..=(twin, to_unix_ns))?.take(limit) {
                let (key, value) = entry?;
                found.push(HistoryRow { twin, t_unix_ns: key.value().1, values: unpack(value.value()) });
            }
            Ok(found)
        })
    }

    /// All state documents, by name.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn documents(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.with(|db| {
            let table = db.begin_read()?.open_table(DOCUMENTS)?;
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                found.push((key.value().to_owned(), value.value().to_vec()));
            }
            Ok(found)
        })
    }

    /// The newest events, newest first.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn events(&self, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.with(|db| {
            let table = db.begin_read()?.open_table(EVENTS)?;
            let mut found = Vec::new();
            for entry in table.iter()?.rev().take(limit) {
                found.push(entry?.1.value().to_vec());
            }
            Ok(found)
        })
    }
}
