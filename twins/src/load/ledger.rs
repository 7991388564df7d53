//! The oracle's books: which messages were sent, acknowledged and delivered, in interval sets, and what MQTT promised.

use serde::{Deserialize, Serialize};

/// A set of numbers as ascending, disjoint intervals, both ends included. What comes in order costs one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Intervals(Vec<(u32, u32)>);

/// Entries by which a long list of the books grows at most.
const MOST_STEP: usize = 1 << 16;

/// Makes room for one more in a list of the books. By itself it would double, which at a limit of memory may be more than is left,
/// between two looks at it.
pub fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() && list.len() >= MOST_STEP {
        list.reserve_exact(MOST_STEP);
    }
}

impl Intervals {
    /// All numbers below `n`.
    pub fn below(n: u32) -> Self {
        Self(if n == 0 { Vec::new() } else { vec![(0, n - 1)] })
    }

    /// The numbers from `from` to `to`, both included.
    pub fn range(from: u32, to: u32) -> Self {
        Self(if from > to { Vec::new() } else { vec![(from, to)] })
    }

    /// Adds a number; false: it was in already.
    pub fn insert(&mut self, n: u32) -> bool {
        match self.0.last_mut() {
            Some(last) if n == last.1.wrapping_add(1) && n > 0 => {
                last.1 = n;
                return true;
            }
            Some(last) if n <= last.1 => {}
            _ => {
                make_room(&mut self.0);
                self.0.push((n, n));
                return true;
            }
        }
        let i = self.0.partition_point(|(_, to)| *to < n);
        if self.0[i].0 <= n {
            return false;
        }
        let joins_left = i > 0 && self.0[i - 1].1 + 1 == n;
        let joins_right = self.0[i].0 == n + 1;
        match (joins_left, joins_right) {
            (true, true) => {
                self.0[i - 1].1 = self.0[i].1;
                self.0.remove(i);
            }
            (true, false) => self.0[i - 1].1 = n,
            (false, true) => self.0[i].0 = n,
            (false, false) => {
                make_room(&mut self.0);
                self.0.insert(i, (n, n));
            }
        }
        true
    }

    /// Whether a number is in.
    pub fn contains(&self, n: u32) -> bool {
        let i = self.0.partition_point(|(_, to)| *to < n);
        self.0.get(i).is_some_and(|(from, _)| *from <= n)
    }

    /// How many numbers are in.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(a, b)| u64::from(b - a) + 1).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest number.
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, to)| *to)
    }

    /// The intervals.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for &(from, to) in &self.0 {
            let mut at = u64::from(from);
            let begin = other.0.partition_point(|(_, end)| *end < from);
            for &(a, b) in other.0[begin..].iter().take_while(|(a, _)| *a <= to) {
                if u64::from(a) > at {
                    left.push((at as u32, a - 1));
                }
                at = u64::from(b) + 1;
            }
            if at <= u64::from(to) {
                left.push((at as u32, to));
            }
        }
        Self(left)
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.minus(&self.minus(other))
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<(u32, u32)> = self.0.iter().chain(&other.0).copied().collect();
        all.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match joined.last_mut() {
                Some(last) if u64::from(from) <= u64::from(last.1) + 1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Self(joined)
    }

    /// The first few numbers in words: `3, 7–9`.
    pub fn words(&self) -> String {
        let word = |(a, b): &(u32, u32)| if a == b { a.to_string() } else { format!("{a}–{b}") };
        let mut text = self.0.iter().take(8).map(word).collect::<Vec<_>>().join(", ");
        if self.0.len() > 8 {
            text += ", …";
        }
        text
    }
}

/// What a device sent on one of its ways: to one topic, at one quality of service. A device with a schedule has one way, one
/// with firmware as many as it has topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Topic; empty: the one that the scenario gives the device.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub topic: String,
    /// Quality of service.
    pub qos: u8,
    /// Messages written, numbered from 0.
    pub count: u32,
    /// Those that the broker acknowledged (QoS 1 and 2).
    pub acknowledged: Intervals,
    /// When they were written, where no schedule tells.
    #[serde(default)]
    pub marks: Marks,
}

/// When a sender had come to which number, at a few instants spread over the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Least distance of two instants, [ms].
    spacing_ms: u32,
    /// Instant [ms] and the number that was written then.
    at: Vec<(u32, u32)>,
}

/// Instants that are kept; with more, every second one goes.
const MOST_MARKS: usize = 64;

impl Marks {
    /// Notes that this number was written at this time, [ns] since the start.
    pub fn note(&mut self, t_ns: i64, seq: u32) {
        let ms = u32::try_from(t_ns / 1_000_000).unwrap_or(0);
        if self.at.last().is_some_and(|(last, _)| ms.saturating_sub(*last) < self.spacing_ms.max(20)) {
            return;
        }
        if self.at.len() == MOST_MARKS {
            let mut keep = false;
            self.at.retain(|_| {
                keep = !keep;
                keep
            });
            self.spacing_ms = self.spacing_ms.max(20) * 2;
        }
        self.at.push((ms, seq));
    }

    /// By when this number was written, at the latest that is known, [ns]; None: nothing is.
    pub fn written_by(&self, seq: u32) -> Option<i64> {
        let behind = self.at.partition_point(|(_, n)| *n < seq);
        let last = self.at.last()?.0 + self.spacing_ms.max(20);
        Some(i64::from(self.at.get(behind).map_or(last, |(ms, _)| *ms)) * 1_000_000)
    }

    /// Of so many numbers, those that may have been written from one time to another, [ns].
    pub fn between(&self, from_ns: i64, to_ns: i64, count: u32) -> Intervals {
        let ns = |ms: u32| i64::from(ms) * 1_000_000;
        let before = self.at.partition_point(|(ms, _)| ns(*ms) < from_ns);
        let behind = self.at.partition_point(|(ms, _)| ns(*ms) <= to_ns);
        let from = before.checked_sub(1).map_or(0, |i| self.at[i].1);
        let to = self.at.get(behind).map_or(count, |(_, seq)| *seq);
        if count == 0 { Intervals::default() } else { Intervals::range(from, to.min(count - 1)) }
    }
}

/// The way of a device's last wills, numbered by its connections.
pub const WILLS: u16 = u16::MAX;

/// A device's way as the key of a receipt.
pub fn key(device: u32, way: u16) -> u64 {
    u64::from(device) << 16 | u64::from(way)
}

/// What one subscriber got of one device on one of its ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Messages delivered.
    pub got: Intervals,
    /// What was not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    odd: Option<Box<Odd>>,
    /// The newest delivery that was sent in its turn.
    #[serde(skip)]
    newest: Option<u32>,
    /// The subscription that has brought the message that the broker kept.
    #[serde(skip)]
    kept: u16,
}

/// Deliveries that were not as they should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odd {
    /// Messages delivered again, and which.
    pub again: Intervals,
    /// Deliveries of such, the first not counted.
    pub duplicates: u64,
    /// Messages that two members of a shared subscription got.
    pub both: Intervals,
    /// Messages whose first delivery came behind that of a later one.
    pub late: Intervals,
    /// Deliveries on another topic, or with another content, than were sent.
    pub altered: Intervals,
    /// Deliveries at another quality of service than the sender's and the subscription's lower one.
    pub wrong_qos: Intervals,
    /// Deliveries marked as kept by the broker that were not.
    pub marked_kept: Intervals,
}

static NOTHING_ODD: Odd = Odd {
    again: Intervals(Vec::new()),
    duplicates: 0,
    both: Intervals(Vec::new()),
    late: Intervals(Vec::new()),
    altered: Intervals(Vec::new()),
    wrong_qos: Intervals(Vec::new()),
    marked_kept: Intervals(Vec::new()),
};

/// What a delivery is beside those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The first of its message, and none of a later one came before.
    InTurn,
    /// The first, behind a later one's.
    Late,
    /// Not the first.
    Again,
    /// Not the first, and rightly so.
    Known,
}

/// A number so far beyond the newest was never sent in its turn: what comes after it is not late.
const BEYOND: u32 = 1 << 16;

impl Receipt {
    /// Writes a delivery down.
    pub fn take(&mut self, seq: u32) -> Taken {
        let newest = self.newest;
        if newest.is_none_or(|n| seq > n && seq - n < BEYOND) {
            self.newest = Some(seq);
        }
        if !self.got.insert(seq) {
            let odd = self.odd_mut();
            odd.again.insert(seq);
            odd.duplicates += 1;
            Taken::Again
        } else if newest.is_some_and(|n| seq < n) {
            self.odd_mut().late.insert(seq);
            Taken::Late
        } else {
            Taken::InTurn
        }
    }

    /// Writes down what the broker had kept and handed out with the subscription of this number: one a subscription, in no
    /// order with the others. None: this subscription has brought one before.
    pub fn take_kept(&mut self, seq: u32, subscription: u16) -> Option<Taken> {
        if self.kept == subscription {
            return None;
        }
        self.kept = subscription;
        Some(if self.got.insert(seq) { Taken::InTurn } else { Taken::Known })
    }

    /// What was not as it should be.
    pub fn odd(&self) -> &Odd {
        self.odd.as_deref().unwrap_or(&NOTHING_ODD)
    }

    /// The same, to be written in.
    pub fn odd_mut(&mut self) -> &mut Odd {
        self.odd.get_or_insert_default()
    }

    /// What another member of a shared subscription got.
    pub fn join(&mut self, other: &Self) {
        let both = self.got.and(&other.got);
        self.got = self.got.union(&other.got);
        if both.is_empty() && other.odd.is_none() {
            return;
        }
        let (mine, more) = (self.odd_mut(), other.odd());
        mine.duplicates += more.duplicates + both.len();
        mine.again = mine.again.union(&more.again).union(&both);
        mine.both = mine.both.union(&both);
        mine.late = mine.late.union(&more.late);
        mine.altered = mine.altered.union(&more.altered);
        mine.wrong_qos = mine.wrong_qos.union(&more.wrong_qos);
        mine.marked_kept = mine.marked_kept.union(&more.marked_kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn of(set: &BTreeSet<u32>) -> Intervals {
        let mut all = Intervals::default();
        set.iter().for_each(|n| assert!(all.insert(*n)));
        all
    }

    fn listed(set: &Intervals) -> BTreeSet<u32> {
        set.ranges().iter().flat_map(|(a, b)| *a..=*b).collect()
    }

    proptest! {
        #[test]
        fn intervals_are_sets(a in prop::collection::vec(0u32..60, 0..80), b in prop::collection::btree_set(0u32..60, 0..50)) {
            let (mut set, mut model) = (Intervals::default(), BTreeSet::new());
            for n in a {
                prop_assert_eq!(set.insert(n), model.insert(n));
            }
            prop_assert_eq!(listed(&set), model.clone());
            prop_assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0), "not joined: {:?}", set);
            prop_assert_eq!(set.len(), model.len() as u64);
            let other = of(&b);
            prop_assert_eq!(listed(&set.minus(&other)), model.difference(&b).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(listed(&set.union(&other)), model.union(&b).copied().collect::<BTreeSet<_>>());
            prop_assert!((0..60).all(|n| set.contains(n) == model.contains(&n)));
        }
    }

    #[test]
    fn the_books_grow_in_steps_that_a_limit_of_memory_bears() {
        let mut set = Intervals::default();
        let mut before = 0;
        // A broker that loses every second message.
        for n in (0..10 * MOST_STEP as u32).step_by(2) {
            set.insert(n);
            let after = set.0.capacity();
            assert!(
                after == before || after <= (2 * before).max(MOST_STEP) && after - before <= MOST_STEP,
                "{before} → {after}"
            );
            before = after;
        }
        assert_eq!(set.len(), 5 * MOST_STEP as u64);
    }

    #[test]
    fn a_receipt_names_what_came_twice_and_what_came_late() {
        let mut receipt = Receipt::default();
        for seq in [0, 1, 3, 2, 3, 3, 4, 9, 8, 6] {
            receipt.take(seq);
        }
        let odd = receipt.odd();
        assert_eq!((odd.again.words(), odd.duplicates), ("3".to_owned(), 2));
        assert_eq!(odd.late.words(), "2, 6, 8");
        assert_eq!(Intervals::below(10).minus(&receipt.got).words(), "5, 7");
    }

    #[test]
    fn members_of_a_shared_subscription_add_up() {
        let (mut a, mut b) = (Receipt::default(), Receipt::default());
        let _ = [0, 2, 4].map(|n| a.take(n));
        let _ = [1, 3, 4].map(|n| b.take(n));
        a.join(&b);
        let odd = a.odd();
        assert_eq!((a.got.words(), odd.both.words(), odd.duplicates), ("0–4".to_owned(), "4".to_owned(), 1));
    }

    #[test]
    fn what_the_broker_kept_comes_once_a_subscription_and_is_not_late() {
        let mut receipt = Receipt::default();
        let _ = [4, 5].map(|n| receipt.take(n));
        assert_eq!(receipt.take_kept(3, 1), Some(Taken::InTurn));
        assert_eq!((receipt.take_kept(5, 1), receipt.take_kept(5, 2)), (None, Some(Taken::Known)));
        assert_eq!(receipt.odd(), &Odd::default());
    }

    #[test]
    fn marks_stay_few_and_bracket_every_span() {
        let mut marks = Marks::default();
        // A message each 10 ms for 100 s.
        (0..10_000u32).for_each(|n| marks.note(i64::from(n) * 10_000_000, n));
        assert!(marks.at.len() <= MOST_MARKS);
        for (from_s, to_s) in [(0, 1), (20, 25), (99, 200)] {
            let found = marks.between(from_s * 1_000_000_000, to_s * 1_000_000_000, 10_000);
            let within = Intervals::range(from_s as u32 * 100, (to_s as u32 * 100).min(9_999));
            assert!(within.minus(&found).is_empty(), "{found:?}");
            assert!(found.len() < within.len() + 800, "{found:?}");
        }
        assert!(Marks::default().between(0, 9, 0).is_empty());
    }
}
