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

/// The same where tests come one after the other and each is decided at once: LORD++ (Ramdas, Yang, Wainwright and Jordan
/// 2017). A discovery earns a little of the rate back for the tests after it.
#[derive(Clone, Debug)]
pub struct Online {
    rate: f64,
    tests: usize,
    discoveries: Vec<usize>,
}

/// Discoveries whose earnings are still counted: those of older ones are spent.
const MOST_DISCOVERIES: usize = 1000;

impl Online {
    /// At this false-discovery rate.
    pub fn new(rate: f64) -> Self {
        Self { rate, tests: 0, discoveries: Vec::new() }
    }

    /// The level at which the next test is made.
    pub fn level(&self) -> f64 {
        let t = self.tests + 1;
        let first = self.rate / 2.0;
        let earned: f64 = (self.discoveries.iter().enumerate())
            .map(|(j, at)| if j == 0 { self.rate - first } else { self.rate } * share(t - at))
            .sum();
        first * share(t) + earned
    }

    /// Makes it: whether it is a discovery.
    pub fn test(&mut self, p: f64) -> bool {
        let found = p <= self.level();
        self.tests += 1;
        if found {
            self.discoveries.push(self.tests);
            if self.discoveries.len() > MOST_DISCOVERIES {
                self.discoveries.remove(1);
            }
        }
        found
    }
}

/// How much of the rate the `j`-th test after an earning gets; all of them together get 1.
fn share(j: usize) -> f64 {
    let j = j.max(1) as f64;
    0.077_208_38 * j.max(2.0).ln() / (j * j.ln().sqrt().exp())
}
