//! The store as a mirror uses it: one commit a turn, and where the disk fails, an alarm, patience, and another attempt.

use std::time::{Duration, Instant};
use twinfleet_twins::mirror::store::{Batch, Store, StoreError};

/// How long between attempts while the disk fails.
const RETRY: Duration = Duration::from_secs(1);
/// What may wait in memory meanwhile, [bytes].
const PENDING_BYTES: usize = 64 << 20;

/// How a turn's keeping went.
#[derive(Debug)]
pub enum Kept {
    /// All that was to be kept is on the disk.
    All,
    /// The same, after a time when it was not.
    AllAgain,
    /// It waits in memory; the error where it is new.
    Waiting(Option<StoreError>),
}

/// A store that outlives a full disk.
pub struct KeptStore {
    store: Store,
    pending: Batch,
    failing: bool,
    retry: Instant,
    /// Messages of QoS 0, and values, that were dropped since too much waited.
    pub dropped: u64,
    /// Commits so far.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
}

impl KeptStore {
    /// Over an open store.
    pub fn new(store: Store) -> Self {
        let pending = Batch::default();
        Self { store, pending, failing: false, retry: Instant::now(), dropped: 0, commits: 0, failures: 0 }
    }

    /// Whether the disk fails.
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// The store itself.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Keeps a turn's batch, with what waits from earlier ones.
    pub fn keep(&mut self, mut batch: Batch) -> Kept {
        if self.failing && self.pending.bytes() + batch.bytes() > PENDING_BYTES {
            // What is not acknowledged comes again if we end; the rest is what can be spared.
            let before = batch.messages.len() + batch.history.len();
            batch.messages.retain(|m| m.qos > 0);
            batch.history.clear();
            self.dropped += (before - batch.messages.len()) as u64;
        }
        if self.pending.is_empty() {
            self.pending = batch;
        } else {
            self.pending.append(batch);
        }
        if self.failing {
            if Instant::now() < self.retry {
                return Kept::Waiting(None);
            }
            if self.store.reopen().is_err() {
                self.retry = Instant::now() + RETRY;
                return Kept::Waiting(None);
            }
        } else if self.pending.is_empty() {
            return Kept::All;
        }
        match self.store.commit(&self.pending) {
            Ok(()) => {
                self.pending = Batch::default();
                self.commits += 1;
                if std::mem::take(&mut self.failing) { Kept::AllAgain } else { Kept::All }
            }
            Err(error) => {
                self.failures += 1;
                self.retry = Instant::now() + RETRY;
                let first = !std::mem::replace(&mut self.failing, true);
                Kept::Waiting(first.then_some(error))
            }
        }
    }
}
