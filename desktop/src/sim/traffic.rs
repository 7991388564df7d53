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
use twinfleet_engine::{
    message::{Message, TopicFilter},
    time::SimTime,
};

/// Of each device so many of the last are kept in any case.
pub const FEW: usize = 12;

/// A message as the traffic panel shows it.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When it reached the broker.
    pub t: SimTime,
    /// How many came before it.
    pub nth: u64,
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
        let nth = self.came();
        self.latest_bytes += bytes(&message);
        self.counts.entry(message.publisher).or_default().1 += 1;
        self.latest.push_back(Heard { t, nth, message });
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

    /// The one that came after so many others, if it is kept still.
    pub fn nth(&self, nth: u64) -> Option<&Heard> {
        match nth.checked_sub(self.gone) {
            Some(at) => self.latest.get(at as usize),
            None => self.old.binary_search_by_key(&nth, |h| h.nth).ok().map(|at| &self.old[at]),
        }
    }

    /// Those that came after so many others, the oldest first.
    fn since(&self, nth: u64) -> impl Iterator<Item = &Heard> {
        let old = self.old.partition_point(|h| h.nth < nth);
        let latest = nth.saturating_sub(self.gone).min(self.latest.len() as u64) as usize;
        self.old[old..].iter().chain(self.latest.range(latest..))
    }

    /// How many have come so far, kept or not.
    fn came(&self) -> u64 {
        self.gone + self.latest.len() as u64
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

/// Which messages of a run fit a filter: each is judged once, not anew with every frame.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    /// The run's number, and the filter.
    of: Option<(u64, String)>,
    /// When each came, and after how many others; the oldest first.
    fits: Vec<(SimTime, u64)>,
    /// How many have been judged.
    judged: u64,
    /// How many had left the latest by then: where older ones are thinned, some of them are kept no more.
    gone: u64,
}

impl Sieve {
    /// Judges those that are new: by a topic filter with wildcards, or by any text that the topic holds.
    pub fn look(&mut self, run: u64, filter: &str, traffic: &Traffic) {
        let same = self.of.as_ref().is_some_and(|(of, text)| *of == run && text == filter);
        if !same || traffic.came() < self.judged {
            *self = Self { of: Some((run, filter.to_owned())), ..Self::default() };
        }
        let wild = TopicFilter::new(filter).ok().filter(TopicFilter::is_wild);
        let fits = |topic: &str| wild.as_ref().map_or_else(|| topic.contains(filter), |f| f.matches(topic));
        let new = traffic.since(self.judged).filter(|h| fits(&h.message.topic));
        self.fits.extend(new.map(|h| (h.t, h.nth)));
        if traffic.is_thinned() && traffic.gone != self.gone {
            self.fits.retain(|(_, nth)| traffic.nth(*nth).is_some());
        }
        (self.judged, self.gone) = (traffic.came(), traffic.gone);
    }

    /// Those that fit and had come by an instant: when, and after how many others; the oldest first.
    pub fn until(&self, t: SimTime) -> &[(SimTime, u64)] {
        &self.fits[..self.fits.partition_point(|(came, _)| *came <= t)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, t: i64) -> Message {
        Message {
            sent: SimTime(t),
            due: SimTime(t),
            publisher: u32::from(topic.ends_with('b')),
            seq: 0,
            topic: topic.into(),
            payload: [0u8; 100][..].into(),
            qos: 0,
            retain: false,
        }
    }

    #[test]
    fn what_is_sifted_bit_by_bit_is_what_a_look_at_all_finds_thinned_or_not() {
        let mut traffic = Traffic::new(1 << 16);
        let mut sieves = ["", "s/+", "/b", "s/a"].map(|filter| (filter, Sieve::default()));
        for t in 0..4_000 {
            traffic.push(SimTime(t), message(if t % 3 == 0 { "s/b" } else { "s/a" }, t));
            if t % 7 != 0 {
                continue;
            }
            for (filter, sieve) in sieves.iter_mut() {
                let filter = *filter;
                sieve.look(1, filter, &traffic);
                let topic =
                    |h: &&Heard| !filter.ends_with(['a', 'b']) || h.message.topic.ends_with(&filter[1..]);
                for until in [t, t / 2] {
                    let wanted: Vec<i64> =
                        traffic.until(SimTime(until)).filter(topic).map(|h| h.t.0).collect();
                    let found = sieve.until(SimTime(until)).iter();
                    let found: Vec<i64> = found.filter_map(|(_, nth)| Some(traffic.nth(*nth)?.t.0)).collect();
                    assert_eq!(found, wanted, "{filter:?} by {until}");
                }
            }
        }
        assert!(traffic.is_thinned());
        // Another run, or another filter, is looked through from its start.
        let (_, sieve) = &mut sieves[0];
        let mut other = Traffic::new(1 << 16);
        other.push(SimTime(0), message("s/b", 0));
        sieve.look(2, "", &other);
        assert_eq!(sieve.until(SimTime(9)), [(SimTime(0), 0)]);
        sieve.look(2, "c", &other);
        assert!(sieve.until(SimTime(9)).is_empty());
    }
}
