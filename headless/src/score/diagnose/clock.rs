//! The clock of a recording, from its one column of times: one that was set wrong for a while, and back.
//!
//! A row that is earlier than the one before it can only be the clock's doing. A leap ahead may be a gap as well, and is one
//! until the clock steps back by as much. A clock that runs at a wrong rate cannot be told from its own times.

use std::collections::VecDeque;
use twinfleet_engine::{
    diagnose::Said,
    time::{SimTime, Span},
};

/// Steps that the usual one is the median of, and the fewest.
const STEPS: usize = 31;
const FEWEST_STEPS: usize = 10;
/// Periods that a leap ahead has at least, and by which two of a size may differ, or by this share.
const LEAP_PERIODS: i64 = 8;
const ALIKE_PERIODS: i64 = 3;
const ALIKE_SHARE: i64 = 50;

/// Follows the times of a recording.
#[derive(Debug, Default)]
pub struct Clock {
    last: Option<SimTime>,
    steps: VecDeque<i64>,
    /// A leap ahead: when the next row was due, and by how much the next one was later.
    leap: Option<(SimTime, Span)>,
    /// While it is behind: by how much, and which of `found` that is.
    behind: Option<(Span, usize)>,
    /// What is added to its times, so that they go on.
    shift: Span,
    /// From when on, by times that go on, they differ by how much from those of the recording though it is right.
    apart: Vec<(f64, f64)>,
    found: Vec<Found>,
}

/// The clock was wrong.
#[derive(Clone, Copy, Debug)]
struct Found {
    onset: SimTime,
    end: Option<SimTime>,
    size: Span,
    decided_at: SimTime,
    /// It was taken for a gap.
    was_gap: bool,
}

impl Clock {
    /// Takes the time of a row; the time that goes on.
    pub fn take(&mut self, t: SimTime) -> SimTime {
        let Some(last) = self.last.replace(t) else { return t };
        let step = (t - last).0;
        if self.steps.len() >= FEWEST_STEPS {
            self.judge(t, last, step);
        }
        if step > 0 {
            self.steps.push_back(step);
            if self.steps.len() > STEPS {
                self.steps.pop_front();
            }
        }
        t + self.shift
    }

    fn judge(&mut self, t: SimTime, last: SimTime, step: i64) {
        let mut sorted: Vec<i64> = self.steps.iter().copied().collect();
        sorted.sort_unstable();
        let period = sorted[sorted.len() / 2];
        let (due, off) = (last + Span(period), Span(step - period));
        let alike =
            |a: Span, b: Span| (a.0 - b.0).abs() <= (ALIKE_PERIODS * period).max(a.0.abs() / ALIKE_SHARE);
        if step < 0 {
            let back = Span(-off.0);
            match self.leap.take().filter(|(_, ahead)| alike(*ahead, back)) {
                Some((onset, size)) => {
                    self.found.push(Found { onset, end: Some(t), size, decided_at: t, was_gap: true });
                    self.shift = Span(self.shift.0 + back.0);
                    self.apart.push(((t + self.shift).as_secs_f64(), self.shift.as_secs_f64()));
                }
                None => {
                    let onset = due + self.shift;
                    self.behind = Some((back, self.found.len()));
                    self.shift = Span(self.shift.0 + back.0);
                    let found =
                        Found { onset, end: None, size: off, decided_at: t + self.shift, was_gap: false };
                    self.found.push(found);
                }
            }
        } else if let Some((_, k)) = self.behind.filter(|(back, _)| alike(*back, off)) {
            self.behind = None;
            self.shift = Span(self.shift.0 - off.0);
            self.found[k].end = Some(t + self.shift);
        } else if off.0 > LEAP_PERIODS * period {
            self.leap = Some((due + self.shift, off));
        }
    }

    /// Verdicts by the recording's times, with those on its clock in their place.
    pub fn put_right(&self, subject: &str, said: Vec<Said>) -> Vec<Said> {
        let right = |t_s: f64| {
            let apart = self.apart.iter().rev().find(|(from_s, _)| t_s >= *from_s);
            t_s - apart.map_or(0.0, |(_, shift_s)| *shift_s)
        };
        let gap = |s: &Said| {
            let near = |f: &&Found| f.was_gap && (f.onset.as_secs_f64() - s.onset_s).abs() < 1.0;
            s.kind == "dropout" && self.found.iter().any(|f| near(&f))
        };
        let mut all: Vec<Said> = said
            .into_iter()
            .filter(|s| !gap(s))
            .map(|s| Said {
                onset_s: right(s.onset_s),
                end_s: s.end_s.map(right),
                decided_at_s: right(s.decided_at_s),
                ..s
            })
            .collect();
        all.extend(self.found.iter().map(|f| Said {
            subject: subject.to_owned(),
            part: String::new(),
            kind: "clock_skew".to_owned(),
            onset_s: f.onset.as_secs_f64(),
            end_s: f.end.map(SimTime::as_secs_f64),
            size: f.size.as_secs_f64(),
            posterior: 0.999,
            decided_at_s: f.decided_at.as_secs_f64(),
        }));
        all.sort_by(|a, b| a.decided_at_s.total_cmp(&b.decided_at_s));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropout(onset_s: f64) -> Said {
        Said {
            subject: "a".to_owned(),
            part: String::new(),
            kind: "dropout".to_owned(),
            onset_s,
            end_s: Some(onset_s + 60.0),
            size: 0.0,
            posterior: 1.0,
            decided_at_s: onset_s + 60.0,
        }
    }

    /// One row a second, by a clock that is off for rows 100 to 199.
    fn told(off_s: i64, said: Vec<Said>) -> (Vec<i64>, Vec<Said>) {
        let mut clock = Clock::default();
        let s = |k: i64| SimTime(k * 1_000_000_000);
        let off = |k: i64| if (100..200).contains(&k) { off_s } else { 0 };
        let steady = (0..300).map(|k| clock.take(s(k + off(k))).0 / 1_000_000_000).collect();
        (steady, clock.put_right("a", said))
    }

    #[test]
    fn a_clock_that_is_set_back_and_right_again_is_told() {
        let (steady, said) = told(-60, Vec::new());
        assert_eq!(steady, (0..300).collect::<Vec<_>>());
        assert_eq!((said.len(), said[0].kind.as_str()), (1, "clock_skew"));
        assert_eq!((said[0].onset_s, said[0].end_s, said[0].size), (100.0, Some(200.0), -60.0));
    }

    #[test]
    fn a_leap_ahead_is_a_gap_until_the_clock_steps_back_by_as_much() {
        let (steady, said) = told(60, vec![dropout(100.0), dropout(290.0)]);
        assert!(steady.windows(2).all(|w| w[1] > w[0]), "{steady:?}");
        let kinds: Vec<&str> = said.iter().map(|s| s.kind.as_str()).collect();
        assert_eq!(kinds, ["clock_skew", "dropout"]);
        assert_eq!((said[0].onset_s, said[0].end_s, said[0].size), (100.0, Some(200.0), 60.0));
        assert_eq!(said[1].onset_s, 230.0, "a later verdict by the recording's own time");
        let mut clock = Clock::default();
        for k in (0..100).chain(160..300) {
            clock.take(SimTime(k * 1_000_000_000));
        }
        assert_eq!(clock.put_right("a", vec![dropout(100.0)])[0].kind, "dropout", "a gap is a gap");
    }
}
