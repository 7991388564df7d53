//! Many streams, many tests: of what is told over a whole fleet, at most a stated share is false, on average.
//!
//! ```
//! use twinfleet_engine::detect::fdr::{Online, benjamini_hochberg};
//! assert_eq!(benjamini_hochberg(&[0.001, 0.8, 0.012, 0.04], 0.05), [true, false, true, false]);
//! let mut online = Online::new(0.05);
//! assert!(!online.test(0.01) && online.test(1e-6));
//! ```

use super::{Step, contract::EVENT_ROWS};

/// What a detector told of a stream.
#[derive(Debug)]
pub struct Told<'a> {
    /// Time of each row, [s], by a clock that all streams share.
    pub t_s: &'a [f64],
    /// From this row on alarms can be told.
    pub from: usize,
    /// Of each row.
    pub steps: &'a mut [Step],
}

/// Takes back alarms over many streams, so that of those which stay at most this share is false, on average.
///
/// Each stretch of rows of each stream is one test, in order of the time at which it begins, at the level that the discoveries
/// before it allow ([`Online`]); rows of an alarm that was told already are no part of it. An alarm begins with the first of its rows that passes; one of which none does is taken back. A
/// row's probability becomes that of the least among as many as the stretch has rows.
pub fn control(streams: &mut [Told<'_>], rate: f64) {
    let mut tests: Vec<(f64, usize, usize)> = Vec::new();
    for (k, told) in streams.iter().enumerate() {
        let stretches = (told.from..told.steps.len()).step_by(EVENT_ROWS);
        tests.extend(stretches.map(|from| (told.t_s[from], k, from)));
    }
    tests.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let mut online = Online::new(rate);
    let mut passes: Vec<Vec<bool>> = streams.iter().map(|told| vec![false; told.steps.len()]).collect();
    let mut open = vec![false; streams.len()];
    for (_, k, from) in tests {
        let level = online.level();
        let (mut least, mut begun) = (None, false);
        let to = (from + EVENT_ROWS).min(passes[k].len());
        for (step, passes) in streams[k].steps[from..to].iter().zip(&mut passes[k][from..to]) {
            // An alarm is one discovery however long it lasts: what goes on is not tested again, and earns nothing.
            open[k] = open[k] && step.alarm;
            if open[k] {
                continue;
            }
            let p = of_the_least(10f64.powf(-step.score));
            least = Some(p.min(least.unwrap_or(1.0)));
            *passes = p <= level;
            open[k] = step.alarm && *passes;
            begun |= open[k];
        }
        match least {
            // What is rare but no alarm is none that is told.
            Some(p) if !begun => online.spend(p),
            Some(p) => {
                online.test(p);
            }
            None => {}
        }
    }
    for (told, passes) in streams.iter_mut().zip(&passes) {
        let mut open = false;
        for (step, pass) in told.steps.iter_mut().zip(passes) {
            let begins = step.alarm && !open && *pass;
            open = step.alarm && (open || *pass);
            (step.onset, step.alarm) = (begins, open);
        }
    }
}

/// The probability that the least of a stretch's rows is as small: exact where they are independent, and too large where
/// they are alike.
fn of_the_least(p: f64) -> f64 {
    -(EVENT_ROWS as f64 * (-p.min(1.0)).ln_1p()).exp_m1()
}

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

    /// Makes it without telling a discovery, whatever comes of it.
    pub fn spend(&mut self, p: f64) {
        self.spent += usize::from(p > CANDIDATE && p <= DISCARDED);
    }

    /// Makes it: whether it is a discovery.
    pub fn test(&mut self, p: f64) -> bool {
        let found = p <= self.level();
        self.spend(p);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_many_is_small_more_often() {
        assert!((of_the_least(1e-9) / (1e-9 * EVENT_ROWS as f64) - 1.0).abs() < 1e-4);
        assert!((of_the_least(0.01) - 0.700_64).abs() < 1e-4);
        assert_eq!((of_the_least(0.0), of_the_least(1.0)), (0.0, 1.0));
    }
}
