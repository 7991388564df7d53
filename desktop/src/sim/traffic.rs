//! Messages as they came, within a bounded memory: all of the latest, and of older ones every so many of each device, so that
//! every instant of a run of any length has some, and the last few of each device are always there.
//!
//! ```
//! use twinfleet_desktop::sim::traffic::{FEW, Traffic};
//! # use twinfleet_engine::{message::Message, time::SimTime};
//! # let message = |publisher: u32, t: i64| Message {
//! #     sent: SimTime(t), due: SimTime(t), publisher, seq: 0, topic: "a".into(), payload: [0u8; 100][..].into(), qos: 0, retain: false,
//! # };
//! let mut traffic = Traffic::new(1 << 16);
//! for t in 0..FEW as i64 {
//!     traffic.push(SimTime(t), message(1, t));
//! }
//! for t in FEW as i64..10_000 {
//!     traffic.push(SimTime(t), message(0, t));
//! }
//! assert!(traffic.len() < 1_000 && traffic.is_thinned());
//! let mut copy = Traffic::new(1 << 16);
//! copy.follow(&traffic);
//! assert_eq!(copy.until(SimTime(9_999)).filter(|h| h.message.publisher == 1).count(), FEW);
//! assert!(traffic.until(SimTime(2_000)).next_back().unwrap().t > SimTime(1_000));
//! ```

use std::collections::{HashMap, VecDeque};
use twinfleet_engine::{message::Message, time::SimTime};

/// Of each device so many of the last are kept in any case.
pub const FEW: usize = 12;

/// A message as the traffic panel shows it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it reached the broker.
    pub t: SimTime,
    /// The message.
    pub message: Message,
}

/// Messages in the order in which they reached the broker.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Of each device every `stride`-th.
    old: Vec<Heard>,
    /// All of them.
    latest: VecDeque<Heard>,
    old_bytes: usize,
    latest_bytes: usize,
    /// What the old ones may take: three quarters of all.
    old_budget_bytes: usize,
    latest_budget_bytes: usize,
    stride: u64,
    /// Of each device: messages that are no more among the latest, and that still are.
    counts: HashMap<u32, (u64, usize)>,
    /// How many have left the latest.
    gone: u64,
}

impl Traffic {
    /// None yet; they keep within about this memory.
    pub fn new(budget_bytes: usize) -> Self {
        Self {
            old: Vec::new(),
            latest: VecDeque::new(),
            old_bytes: 0,
            latest_bytes: 0,
            old_budget_bytes: budget_bytes / 4 * 3,
            latest_budget_bytes: budget_bytes / 4,
            stride: 1,
            counts: HashMap::new(),
            gone: 0,
        }
    }

    /// Takes in a message, which is no older than the last.
    pub fn push(&mut self, t: SimTime, message: Message) {
        self.latest_bytes += bytes(&message);
        self.counts.entry(message.publisher).or_default().1 += 1;
        self.latest.push_back(Heard { t, message });
        while self.latest_bytes > self.latest_budget_bytes {
            let Some(heard) = self.latest.pop_front() else { break };
            let size = bytes(&heard.message);
            (self.latest_bytes, self.gone) = (self.latest_bytes - size, self.gone + 1);
            let (before, later) = self.counts.entry(heard.message.publisher).or_default();
            *later = later.saturating_sub(1);
            if before.is_multiple_of(self.stride) || *later < FEW {
                self.old_bytes += size;
                self.old.push(heard);
            }
            *before += 1;
        }
        if self.old_bytes > self.old_budget_bytes {
            self.thin();
        }
    }

    /// Of the old ones, every second of each device goes; but not its last few.
    fn thin(&mut self) {
        let mut later: HashMap<u32, usize> = self.counts.iter().map(|(p, (_, n))| (*p, *n)).collect();
        let mut stays = vec![true; self.old.len()];
        let mut nth: HashMap<u32, usize> = HashMap::new();
        for (at, heard) in self.old.iter().enumerate() {
            let count = nth.entry(heard.message.publisher).or_default();
            stays[at] = count.is_multiple_of(2);
            *count += 1;
        }
        for (at, heard) in self.old.iter().enumerate().rev() {
            let count = later.entry(heard.message.publisher).or_default();
            stays[at] |= *count < FEW;
            *count += 1;
        }
        let mut stays = stays.into_iter();
        self.old.retain(|_| stays.next().unwrap_or(true));
        self.old_bytes = self.old.iter().map(|h| bytes(&h.message)).sum();
        // Where next to nothing may go (few of very many devices), there is no use in trying at every message.
        self.old_budget_bytes = self.old_budget_bytes.max(self.old_bytes + self.old_bytes / 8);
        self.stride *= 2;
    }

    /// Catches up with a later state of the same.
    pub fn follow(&mut self, later: &Self) {
        let left = (later.gone - self.gone.min(later.gone)) as usize;
        if self.stride != later.stride || left > self.latest.len() {
            return self.clone_from(later);
        }
        self.old.extend_from_slice(&later.old[self.old.len().min(later.old.len())..]);
        self.latest.drain(..left);
        self.latest.extend(later.latest.range(self.latest.len().min(later.latest.len())..).cloned());
        self.gone = later.gone;
    }

    /// Those that had reached the broker by an instant, the oldest first.
    pub fn until(&self, t: SimTime) -> impl DoubleEndedIterator<Item = &Heard> {
        let old = self.old.partition_point(|h| h.t <= t);
        let latest = self.latest.partition_point(|h| h.t <= t);
        self.old[..old].iter().chain(self.latest.range(..latest))
    }

    /// Number of those that are kept.
    pub fn len(&self) -> usize {
        self.old.len() + self.latest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether of the older ones only some are there.
    pub const fn is_thinned(&self) -> bool {
        self.stride > 1
    }
}

fn bytes(message: &Message) -> usize {
    size_of::<Heard>() + message.payload.len() + 16
}
