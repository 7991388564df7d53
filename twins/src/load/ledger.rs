//! The oracle's books: which messages were sent, acknowledged and delivered, in interval sets, and what MQTT promised.

use serde::{Deserialize, Serialize};

/// A set of numbers as ascending, disjoint intervals, both ends included. What comes in order costs one interval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Intervals(Vec<(u32, u32)>);

impl Intervals {
    /// All numbers below `n`.
    pub fn below(n: u32) -> Self {
        Self(if n == 0 { Vec::new() } else { vec![(0, n - 1)] })
    }

    /// Adds a number; false: it was in already.
    pub fn insert(&mut self, n: u32) -> bool {
        match self.0.last_mut() {
            Some(last) if n == last.1.wrapping_add(1) && n > 0 => {
                last.1 = n;
                return true;
            }
            None => {
                self.0.push((n, n));
                return true;
            }
            Some(last) if n > last.1 => {
                self.0.push((n, n));
                return true;
            }
            Some(_) => {}
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
            (false, false) => self.0.insert(i, (n, n)),
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

/// What a device sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Messages written, numbered from 0.
    pub count: u32,
    /// Those that the broker acknowledged (QoS 1 and 2).
    pub acknowledged: Intervals,
}

/// What one subscriber got of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Messages delivered.
    pub got: Intervals,
    /// Messages delivered again, and which.
    pub again: Intervals,
    /// Deliveries of such, the first not counted.
    pub duplicates: u64,
    /// Messages whose first delivery came behind that of a later one.
    pub late: Intervals,
    /// Deliveries on another topic, or with another content, than were sent.
    pub altered: Intervals,
    /// The newest delivery that was sent in its turn.
    #[serde(skip)]
    newest: Option<u32>,
}

/// A number so far beyond the newest was never sent in its turn: what comes after it is not late.
const BEYOND: u32 = 1 << 16;

impl Receipt {
    /// Writes a delivery down.
    pub fn take(&mut self, seq: u32) {
        let newest = self.newest;
        if newest.is_none_or(|n| seq > n && seq - n < BEYOND) {
            self.newest = Some(seq);
        }
        if !self.got.insert(seq) {
            self.again.insert(seq);
            self.duplicates += 1;
        } else if newest.is_some_and(|n| seq < n) {
            self.late.insert(seq);
        }
    }

    /// What another member of a shared subscription, or another shard, got.
    pub fn join(&mut self, other: &Self) {
        let both = self.got.minus(&self.got.minus(&other.got));
        self.duplicates += other.duplicates + both.len();
        self.again = self.again.union(&other.again).union(&both);
        self.got = self.got.union(&other.got);
        self.late = self.late.union(&other.late);
        self.altered = self.altered.union(&other.altered);
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
    fn a_receipt_names_what_came_twice_and_what_came_late() {
        let mut receipt = Receipt::default();
        for seq in [0, 1, 3, 2, 3, 3, 4, 9, 8, 6] {
            receipt.take(seq);
        }
        assert_eq!((receipt.again.words(), receipt.duplicates), ("3".to_owned(), 2));
        assert_eq!(receipt.late.words(), "2, 6, 8");
        assert_eq!(Intervals::below(10).minus(&receipt.got).words(), "5, 7");
    }

    #[test]
    fn members_of_a_shared_subscription_add_up() {
        let (mut a, mut b) = (Receipt::default(), Receipt::default());
        [0, 2, 4].into_iter().for_each(|n| a.take(n));
        [1, 3, 4].into_iter().for_each(|n| b.take(n));
        a.join(&b);
        assert_eq!((a.got.words(), a.again.words(), a.duplicates), ("0–4".to_owned(), "4".to_owned(), 1));
    }
}
