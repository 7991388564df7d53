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

mod batch;
mod blocks;
mod migrate;

pub use batch::{Batch, HistoryRow, RawMessage};

use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

/// Name of the file within the mirror's folder.
pub const FILE_NAME: &str = "mirror.redb";

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Blocks of messages, by the number of their first one.
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("message_blocks");
/// Values as they came, a row a commit, until they are sorted into blocks.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history_log");
/// Blocks of values, by twin and Unix time [ns] of their first ones.
const HISTORY: TableDefinition<'_, (u32, i64), &[u8]> = TableDefinition::new("history_blocks");
/// State documents, JSON, by name.
const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
/// Events, JSON, by their number.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// A twin's number in the history, by its id; numbers are never given twice.
const NUMBERS: TableDefinition<'_, &str, u32> = TableDefinition::new("numbers");

/// Rows that one pruning takes away of each table at most, and twins whose values it looks at, so that it never holds up the
/// mirror for long.
const PRUNE_ROWS: usize = 4_000;
const PRUNE_TWINS: usize = 8_000;
/// Values in the log from which on they are sorted into blocks; more where there are more twins, up to the second figure.
const LOG_VALUES: usize = 64 << 10;
const LOG_VALUES_MAX: usize = 512 << 10;
/// Readings that a twin's block shall have in the mean.
const ROWS_A_BLOCK: usize = 16;
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
    /// A later version of twinfleet wrote it.
    #[error(
        "its format is {format}, and this version of twinfleet reads formats up to {known}: use a later one"
    )]
    Later {
        /// The format that it says.
        format: u32,
        /// The latest that is known here.
        known: u32,
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

/// The store, for the one who writes.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    shared: Reader,
    next_message: u64,
    next_event: u64,
    next_log: u64,
    /// Rows in the log, and twins that there are.
    log_rows: usize,
    twins: usize,
    /// The twin at which the next pruning begins.
    prune_from: usize,
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
            next_log: 0,
            log_rows: 0,
            twins: 0,
            prune_from: 0,
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
        let (message, event, log, rows) = self.shared.with(|db| {
            migrate::migrate(db)?;
            let write = db.begin_write()?;
            write.open_table(HISTORY)?;
            write.open_table(DOCUMENTS)?;
            write.open_table(NUMBERS)?;
            let message = write.open_table(MESSAGES)?.last()?.map_or(0, |(key, block)| {
                key.value() + blocks::head_of_messages(block.value()).map_or(1, |(n, _)| n)
            });
            let event = write.open_table(EVENTS)?.last()?.map_or(0, |(k, _)| k.value() + 1);
            let (mut log, mut rows) = (0, 0);
            for entry in write.open_table(LOG)?.iter()? {
                let (key, value) = entry?;
                log = key.value() + 1;
                rows += blocks::rows(value.value(), |_, _| true).count();
            }
            write.commit()?;
            Ok((message, event, log, rows))
        })?;
        // A table that was pruned empty must not count from 0 again.
        self.next_message = message.max(self.next_message);
        self.next_event = event.max(self.next_event);
        self.next_log = log.max(self.next_log);
        self.log_rows = rows;
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
        let numbers = self.shared.with(|db| {
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
        })?;
        self.twins = numbers.len();
        Ok(numbers)
    }

    /// Keeps a batch; when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: nothing of it was kept. Then [`Self::reopen`] before the next attempt.
    pub fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let (mut message, mut event) = (self.next_message, self.next_event);
        let most = (ROWS_A_BLOCK * self.twins).clamp(LOG_VALUES, LOG_VALUES_MAX);
        let is_full = self.log_rows + batch.history.len() > most;
        let log = self.next_log;
        self.shared.with(|db| {
            let mut write = db.begin_write()?;
            write.set_durability(Durability::Immediate).map_err(|e| StoreError::Failed(e.to_string()))?;
            if !batch.messages.is_empty() {
                let mut table = write.open_table(MESSAGES)?;
                for (n, block) in blocks::pack_messages(&batch.messages) {
                    table.insert(message, &block[..])?;
                    message += n;
                }
            }
            if !batch.history.is_empty() {
                write.open_table(LOG)?.insert(log, &blocks::pack_rows(&batch.history)[..])?;
            }
            if is_full {
                sort_log(&write)?;
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
        self.next_log += u64::from(!batch.history.is_empty());
        self.log_rows = if is_full { 0 } else { self.log_rows + batch.history.len() };
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

    /// Takes away blocks of messages that came before `messages_unix_ns`, and of values of these twins before
    /// `history_unix_ns`, and old events; some of them, where there are many. Returns how many rows went.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn prune(
        &mut self,
        messages_unix_ns: i64,
        history_unix_ns: i64,
        twins: &[u32],
    ) -> Result<usize, StoreError> {
        let from = if self.prune_from < twins.len() { self.prune_from } else { 0 };
        let looked_at = &twins[from..twins.len().min(from + PRUNE_TWINS)];
        self.prune_from = from + looked_at.len();
        self.shared.with(|db| {
            let write = db.begin_write()?;
            let gone = prune_messages(&write, messages_unix_ns)?
                + prune_history(&write, history_unix_ns, looked_at)?
                + prune_events(&write)?;
            write.commit()?;
            Ok(gone)
        })
    }
}

/// Brings the log into blocks of one twin each.
fn sort_log(write: &redb::WriteTransaction) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for entry in write.open_table(LOG)?.iter()? {
        rows.extend(blocks::rows(entry?.1.value(), |_, _| true));
    }
    // Emptied at once, and there again for those who read.
    write.delete_table(LOG)?;
    write.open_table(LOG)?;
    blocks::sort(&mut rows);
    put_rows(&mut write.open_table(HISTORY)?, &rows)
}

/// Puts readings, in the order of twin and time, into blocks of one twin each. No two blocks of a twin overlap in time: where a
/// clock was set back, those that are there are put in order with what comes, so that of one time the later one's values count.
fn put_rows(table: &mut Table<'_, (u32, i64), &[u8]>, rows: &[HistoryRow]) -> Result<(), StoreError> {
    for block in blocks::by_twin(rows) {
        let mut both = take_overlapping(table, block)?;
        if both.is_empty() {
            table.insert((block[0].twin, block[0].t_unix_ns), &blocks::pack_rows(block)[..])?;
            continue;
        }
        both.extend_from_slice(block);
        blocks::sort(&mut both);
        for block in blocks::by_twin(&both) {
            table.insert((block[0].twin, block[0].t_unix_ns), &blocks::pack_rows(block)[..])?;
        }
    }
    Ok(())
}

/// Takes out the blocks of this one's twin that hold times between its first and its last.
fn take_overlapping(
    table: &mut Table<'_, (u32, i64), &[u8]>,
    block: &[HistoryRow],
) -> Result<Vec<HistoryRow>, StoreError> {
    let (Some(first), Some(last)) = (block.first(), block.last()) else { return Ok(Vec::new()) };
    let (mut keys, mut found) = (Vec::new(), Vec::new());
    let begin = first.t_unix_ns.saturating_sub(blocks::SPAN_NS);
    for entry in table.range((first.twin, begin)..=(first.twin, last.t_unix_ns))? {
        let (key, there) = entry?;
        if blocks::last_time(there.value()) >= Some(first.t_unix_ns) {
            keys.push(key.value());
            found.extend(blocks::rows(there.value(), |_, _| true));
        }
    }
    for key in keys {
        table.remove(key)?;
    }
    Ok(found)
}

fn prune_messages(write: &redb::WriteTransaction, before_unix_ns: i64) -> Result<usize, StoreError> {
    let mut table = write.open_table(MESSAGES)?;
    let newest = table.last()?.and_then(|(_, block)| blocks::head_of_messages(block.value()));
    let newest_unix_ns = newest.map_or(i64::MAX, |(_, last)| last);
    let (mut old, mut undated) = (Vec::new(), Vec::new());
    for entry in table.iter()?.take(PRUNE_ROWS) {
        let (key, block) = entry?;
        match blocks::head_of_messages(block.value()) {
            // It came while the clock was ahead, and is no younger than what came after it.
            Some((_, last)) if last > newest_unix_ns => undated.push(key.value()),
            Some((_, last)) if last >= before_unix_ns => break,
            _ => {
                old.append(&mut undated);
                old.push(key.value());
            }
        }
    }
    for key in &old {
        table.remove(key)?;
    }
    Ok(old.len())
}

fn prune_history(
    write: &redb::WriteTransaction,
    before_unix_ns: i64,
    twins: &[u32],
) -> Result<usize, StoreError> {
    let mut table = write.open_table(HISTORY)?;
    let mut gone = 0;
    for twin in twins {
        // A block that begins later may still end after it.
        let range = (*twin, i64::MIN)..(*twin, before_unix_ns.saturating_sub(blocks::SPAN_NS));
        let room = PRUNE_ROWS - gone;
        let keys = table.range(range)?.take(room).map(|entry| entry.map(|(key, _)| key.value()));
        let old: Vec<_> = keys.collect::<Result<_, _>>()?;
        for key in &old {
            table.remove(*key)?;
        }
        gone += old.len();
        if gone >= PRUNE_ROWS {
            break;
        }
    }
    Ok(gone)
}

fn prune_events(write: &redb::WriteTransaction) -> Result<usize, StoreError> {
    let mut table = write.open_table(EVENTS)?;
    // Events are few, and the newest are what is looked for.
    let surplus = (table.len()? as usize).saturating_sub(100_000).min(PRUNE_ROWS);
    for _ in 0..surplus {
        table.pop_first()?;
    }
    Ok(surplus)
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
            // The block that holds this number may begin before it.
            let first = table.range(..=from)?.next_back().transpose()?.map_or(from, |(key, _)| key.value());
            for entry in table.range(first..)? {
                let (key, block) = entry?;
                let numbered = (key.value()..).zip(blocks::messages(block.value()));
                found.extend(numbered.filter(|(n, _)| *n >= from).take(limit - found.len()));
                if found.len() >= limit {
                    break;
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
            // Over the numbers, of which not each begins a block: the first block whose last message did not come before.
            while low < high {
                let middle = low + (high - low) / 2;
                let entry = table.range(middle..)?.next().transpose()?;
                let came = entry.and_then(|(_, block)| blocks::head_of_messages(block.value()));
                if came.is_some_and(|(_, t)| t < unix_ns) { low = middle + 1 } else { high = middle }
            }
            let Some((key, block)) = table.range(low..)?.next().transpose()? else {
                let n = blocks::head_of_messages(last.1.value()).map_or(1, |(n, _)| n);
                return Ok(last.0.value() + n);
            };
            let before = blocks::messages(block.value()).take_while(|m| m.arrived_unix_ns < unix_ns).count();
            Ok(key.value() + before as u64)
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
        let wanted = |of: u32, t: i64| of == twin && (from_unix_ns..=to_unix_ns).contains(&t);
        self.with(|db| {
            let read = db.begin_read()?;
            let mut found = Vec::new();
            let mut newest = i64::MIN;
            let begin = from_unix_ns.saturating_sub(blocks::SPAN_NS);
            for entry in read.open_table(HISTORY)?.range((twin, begin)..=(twin, to_unix_ns))? {
                let (key, block) = entry?;
                // What begins later is later than all that is looked for.
                if found.len() >= limit && key.value().1 > newest {
                    break;
                }
                found.extend(blocks::rows(block.value(), wanted));
                newest = found.last().map_or(newest, |r: &HistoryRow| newest.max(r.t_unix_ns));
            }
            for entry in read.open_table(LOG)?.iter()? {
                found.extend(blocks::rows(entry?.1.value(), wanted));
            }
            blocks::sort(&mut found);
            found.truncate(limit);
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
