//! Messages as they came, within a bounded memory: all of the latest, and of older ones fewer and fewer, so that every instant of
//! a run of any length has some, and the last few of each device are always there.
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
//! for t in 0..10_000 {
//!     traffic.push(SimTime(t), message(0, t));
//! }
//! assert!(traffic.len() < 1_000 && traffic.is_thinned());
//! assert_eq!(traffic.until(SimTime(9_999)).filter(|h| h.message.publisher == 1).count(), FEW);
//! assert!(traffic.until(SimTime(2_000)).next_back().unwrap().t > SimTime(1_000));
//! ```

use std::collections::HashMap;
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
    heard: Vec<Heard>,
    bytes: usize,
    budget_bytes: usize,
    /// How often older ones were thinned out.
    thinned: u64,
}

impl Traffic {
    /// None yet; they keep within about this memory.
    pub const fn new(budget_bytes: usize) -> Self {
        Self { heard: Vec::new(), bytes: 0, budget_bytes, thinned: 0 }
    }

    /// Takes in a message, which is no older than the last.
    pub fn push(&mut self, t: SimTime, message: Message) {
        self.bytes += bytes(&message);
        self.heard.push(Heard { t, message });
        if self.bytes > self.budget_bytes {
            self.thin();
        }
    }

    /// Of the older half, every second message of a device goes.
    fn thin(&mut self) {
        let half = self.heard.len() / 2;
        let mut later: HashMap<u32, usize> = HashMap::new();
        for heard in &self.heard[half..] {
            *later.entry(heard.message.publisher).or_default() += 1;
        }
        let mut stays = vec![true; half];
        for (at, heard) in self.heard[..half].iter().enumerate().rev() {
            let count = later.entry(heard.message.publisher).or_default();
            stays[at] = *count < FEW || *count % 2 == 0;
            *count += 1;
        }
        let mut at = 0;
        self.heard.retain(|_| {
            at += 1;
            stays.get(at - 1).copied().unwrap_or(true)
        });
        self.bytes = self.heard.iter().map(|h| bytes(&h.message)).sum();
        // Where next to nothing may go (few of very many devices), there is no use in trying at every message.
        self.budget_bytes = self.budget_bytes.max(self.bytes + self.bytes / 8);
        self.thinned += 1;
    }

    /// Catches up with a later state of the same.
    pub fn follow(&mut self, later: &Self) {
        if self.thinned == later.thinned {
            self.heard.extend_from_slice(&later.heard[self.heard.len().min(later.heard.len())..]);
            self.bytes = later.bytes;
        } else {
            self.clone_from(later);
        }
    }

    /// Those that had reached the broker by an instant, the oldest first.
    pub fn until(&self, t: SimTime) -> impl DoubleEndedIterator<Item = &Heard> + ExactSizeIterator {
        self.heard[..self.heard.partition_point(|h| h.t <= t)].iter()
    }

    /// Number of those that are kept.
    pub const fn len(&self) -> usize {
        self.heard.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }

    /// Whether some of the older ones have gone.
    pub const fn is_thinned(&self) -> bool {
        self.thinned > 0
    }
}

fn bytes(message: &Message) -> usize {
    size_of::<Heard>() + message.payload.len() + 16
}
