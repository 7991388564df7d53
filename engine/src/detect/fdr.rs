//! Many streams, many tests: of what is told over a whole fleet, at most a stated share is false, on average.
//!
//! ```
//! use twinfleet_engine::detect::fdr::{Online, benjamini_hochberg};
//! assert_eq!(benjamini_hochberg(&[0.001, 0.8, 0.012, 0.04], 0.05), [true, false, true, false]);
//! let mut online = Online::new(0.05);
//! assert!(!online.test(0.01) && online.test(1e-6));
//! ```

/// Which of these p-values are discoveries, at this false-discovery rate (Benjamini and Hochberg 1995).
pub fn benjamini_hochberg(p: &[f64], rate: f64) -> Vec<bool> {
    let mut sorted = p.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = p.len() as f64;
    let last = sorted.iter().enumerate().rfind(|(i, p)| **p <= rate * (*i as f64 + 1.0) / n);
    let bar = last.map_or(f64::NEG_INFINITY, |(_, p)| *p);
    p.iter().map(|p| *p <= bar).collect()
}

/// The same where tests come one after the other and each is decided at once: ADDIS (Tian and Ramdas, *ADDIS: an adaptive
/// discarding algorithm for online FDR control with conservative nulls*, NeurIPS 2019).
///
/// What is clearly nothing (p above [`DISCARDED`]) and what looks like something (p up to [`CANDIDATE`]) costs the tests after
/// it nothing; what lies between costs as LORD++ has every test cost. A fleet is quiet nearly all the time: without that, the
/// hours before its first fault would have spent what could be told of it. A discovery earns the rate back for the tests
/// after it. The p-values must be independent, and true or too large.
#[derive(Clone, Debug)]
pub struct Online {
    rate: f64,
    /// Tests so far that cost something.
    spent: usize,
    /// What `spent` was at each discovery.
    discoveries: Vec<usize>,
}

/// A p-value above this says plainly that there is nothing, and is set aside.
pub const DISCARDED: f64 = 0.5;
/// One up to this may be a discovery; no level is higher.
pub const CANDIDATE: f64 = 0.25;
/// Discoveries whose earnings are still counted: those of older ones are spent.
const MOST_DISCOVERIES: usize = 1000;

impl Online {
    /// At this false-discovery rate.
    pub fn new(rate: f64) -> Self {
        Self { rate, spent: 0, discoveries: Vec::new() }
    }

    /// The level at which the next test is made.
    pub fn level(&self) -> f64 {
        let first = self.rate / 2.0;
        let earned: f64 = (self.discoveries.iter().enumerate())
            .map(|(j, at)| if j == 0 { self.rate - first } else { self.rate } * share(self.spent - at + 1))
            .sum();
        let level = (DISCARDED - CANDIDATE) * (first * share(self.spent + 1) + earned);
        level.min(CANDIDATE)
    }

    /// Makes it: whether it is a discovery.
    pub fn test(&mut self, p: f64) -> bool {
        let found = p <= self.level();
        self.spent += usize::from(p > CANDIDATE && p <= DISCARDED);
        if found {
            self.discoveries.push(self.spent);
            if self.discoveries.len() > MOST_DISCOVERIES {
                self.discoveries.remove(1);
            }
        }
        found
    }
}

/// How much of the rate the `j`-th test after an earning gets; all of them together get 1.
fn share(j: usize) -> f64 {
    // One over the sum of all j^-1.6.
    0.437_493_3 * (j.max(1) as f64).powf(-1.6)
}
