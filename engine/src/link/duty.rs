//! Airtime budgets: no more than a share of any hour (ETSI EN 300 220 observes over one hour).
//!
//! ```
//! use twinfleet_engine::{link::duty::Budget, time::{SimTime, Span}};
//! let mut budget = Budget::default();
//! assert!(budget.take(SimTime::ZERO, Span::from_secs(36), 0.01));
//! assert!(!budget.take(SimTime(1), Span(1), 0.01), "an hour's share is used up");
//! ```

use crate::time::{SimTime, Span};
use std::collections::VecDeque;

/// The time that airtime is observed over.
pub const WINDOW: Span = Span::from_secs(3600);

/// A device's airtime of the last hour.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Transmissions by their start; at most an hour's.
    used: VecDeque<(SimTime, Span)>,
    sum_ns: i64,
}

impl Budget {
    /// Takes a transmission that starts at `at`, if the share of the hour up to its end allows it. Starts ascend.
    pub fn take(&mut self, at: SimTime, air: Span, share: f64) -> bool {
        // What ends before the hour that ends with this transmission is over; what reaches into it counts whole.
        let from = at + air + Span(-WINDOW.0);
        while let Some((start, length)) = self.used.front().copied().filter(|(s, l)| *s + *l <= from) {
            self.used.pop_front();
            self.sum_ns -= length.0;
            debug_assert!(start <= at);
        }
        if (self.sum_ns + air.0) as f64 > share * WINDOW.0 as f64 {
            return false;
        }
        self.used.push_back((at, air));
        self.sum_ns += air.0;
        true
    }

    /// Airtime that counts at the last transmission, for the hash.
    pub fn used(&self) -> Span {
        Span(self.sum_ns)
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.used.capacity() * size_of::<(SimTime, Span)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Over every hour that ends with a transmission, which is where the sum is greatest.
        #[test]
        fn no_hour_holds_more_than_its_share(
            wishes in prop::collection::vec((0i64..120_000, 1i64..3000), 1..300), share in 0.0005..0.2f64,
        ) {
            let ms = |n: i64| Span(n * 1_000_000);
            let (mut budget, mut at, mut sent) = (Budget::default(), SimTime::ZERO, Vec::new());
            for (pause, air) in wishes {
                at = at + ms(pause);
                if budget.take(at, ms(air), share) {
                    sent.push((at, at + ms(air)));
                    at = at + ms(air);
                }
            }
            for (_, end) in &sent {
                let from = *end + Span(-WINDOW.0);
                let inside = |(a, b): &(SimTime, SimTime)| (b.0.min(end.0) - a.0.max(from.0)).max(0);
                let used: i64 = sent.iter().map(inside).sum();
                prop_assert!(used as f64 <= share * WINDOW.0 as f64, "{used}");
            }
        }
    }
}
