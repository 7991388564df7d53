//! Where a twin's readings lie in time: by the device's own stamps, what is late left out, a clock that was set back followed.
//!
//! A device may stamp one message and not another, as Tasmota its telemetry and not its relays, and by a clock that is hours off, as
//! that of a local time. What it does not stamp then lies where its clock stood as it arrived, so that both are in one order.

use crate::time::{NS_PER_S, SimTime, Span};
use std::cmp::Ordering;

/// Times in a row that all lie behind the newest one, yet ascend among themselves, after which the device's clock
/// counts as set back and its new time is followed.
const SET_BACK_TIMES: u32 = 5;
/// By so much a stamp may lie before what came without one, and is of the same time: stamps have whole seconds, and take their way.
const SAME_TIME: Span = Span(2 * NS_PER_S);

/// When something was said.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    /// The time that the device gave it.
    pub stamp: Option<SimTime>,
    /// When it came.
    pub arrived: SimTime,
    /// Whether the broker had kept it, so that its arrival says nothing of the device's clock.
    pub kept: bool,
}

/// What becomes of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is taken at this time.
    At(SimTime),
    /// It is taken at this time, before which others were taken: the device's clock was set.
    Anew(SimTime),
    /// It is older than what was taken.
    Late,
}

/// The order of one twin's readings.
#[derive(Debug)]
pub(super) struct Sequence {
    /// Newest time taken.
    newest: SimTime,
    /// Newest stamp taken, and by how much it was ahead of its arrival.
    newest_stamp: SimTime,
    ahead: Option<Span>,
    /// Times in a row behind the newest, and the last of them.
    behind: u32,
    behind_at: SimTime,
}

impl Default for Sequence {
    fn default() -> Self {
        let none = SimTime(i64::MIN);
        Self { newest: none, newest_stamp: none, ahead: None, behind: 0, behind_at: none }
    }
}

impl Sequence {
    /// The time by the device's clock, as far as is known.
    pub fn time(&self, when: &When) -> SimTime {
        when.stamp.unwrap_or_else(|| self.ahead.map_or(when.arrived, |ahead| when.arrived + ahead))
    }

    /// Where the next reading lies.
    pub fn place(&mut self, when: &When) -> Place {
        let t = self.time(when);
        if when.stamp.is_none() && self.ahead.is_some() {
            return Place::At(t.max(self.newest));
        }
        let before = if when.stamp.is_some() { self.newest_stamp } else { self.newest };
        if t < before {
            return if self.is_set_back(t) { Place::Anew(t) } else { Place::Late };
        }
        match () {
            () if t >= self.newest => Place::At(t),
            () if self.newest - t <= SAME_TIME => Place::At(self.newest),
            // What came without a stamp was not put by this clock.
            () => Place::Anew(t),
        }
    }

    /// A reading was taken at this time.
    pub fn took(&mut self, t: SimTime, when: &When) {
        self.newest = t;
        if when.stamp.is_some() || self.ahead.is_none() {
            self.behind = 0;
        }
        if let Some(stamp) = when.stamp {
            self.newest_stamp = stamp;
            if !when.kept {
                self.ahead = Some(stamp - when.arrived);
            }
        }
    }

    /// The clock of the arrivals was set ahead by this: the device's is as much less ahead of it.
    pub fn arrivals_ahead(&mut self, by: Span) {
        self.ahead = self.ahead.map(|ahead| Span(ahead.0.saturating_sub(by.0)));
    }

    /// Whether a run of old time stamps means that the device's clock was set back.
    fn is_set_back(&mut self, t: SimTime) -> bool {
        self.behind = match t.cmp(&self.behind_at) {
            Ordering::Greater => self.behind + 1,
            // Parts of one reading, as Tasmota's STATE and SENSOR of the same second: no step on, nor one back.
            Ordering::Equal => self.behind.max(1),
            Ordering::Less => 1,
        };
        self.behind_at = t;
        self.behind >= SET_BACK_TIMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_S: i64 = 3_600;

    fn at(s: i64) -> SimTime {
        SimTime(s * NS_PER_S)
    }

    fn stamped(s: i64, arrived_s: i64) -> When {
        When { stamp: Some(at(s)), arrived: at(arrived_s), kept: false }
    }

    fn bare(arrived_s: i64) -> When {
        When { stamp: None, arrived: at(arrived_s), kept: false }
    }

    /// Where these lie, one after the other.
    fn places(all: &[When]) -> Vec<Place> {
        let mut sequence = Sequence::default();
        let mut place = |when: &When| {
            let place = sequence.place(when);
            if let Place::At(t) | Place::Anew(t) = place {
                sequence.took(t, when);
            }
            place
        };
        all.iter().map(&mut place).collect()
    }

    #[test]
    fn what_has_no_stamp_lies_among_those_of_a_clock_that_is_hours_off() {
        for off in [-5 * HOUR_S, HOUR_S, 0] {
            let all = [
                stamped(off, 0),
                bare(60),
                bare(90),
                stamped(300 + off, 300),
                bare(301),
                stamped(300 + off, 302),
            ];
            let wanted = [off, 60 + off, 90 + off, 300 + off, 301 + off, 301 + off].map(|s| Place::At(at(s)));
            assert_eq!(places(&all), wanted, "{off}");
        }
    }

    #[test]
    fn a_clock_that_shows_after_something_without_a_stamp_is_followed() {
        let all = [bare(10), stamped(-HOUR_S, 20), bare(30)];
        assert_eq!(places(&all), [Place::At(at(10)), Place::Anew(at(-HOUR_S)), Place::At(at(10 - HOUR_S))]);
        // What a broker had kept says nothing of the clock now.
        let kept = When { kept: true, ..stamped(-HOUR_S, 0) };
        assert_eq!(places(&[kept, bare(10)]), [Place::At(at(-HOUR_S)), Place::At(at(10))]);
    }

    #[test]
    fn where_our_own_clock_was_set_ahead_the_devices_goes_on() {
        let mut sequence = Sequence::default();
        sequence.took(at(HOUR_S), &stamped(HOUR_S, 0));
        sequence.arrivals_ahead(Span(HOUR_S * NS_PER_S));
        assert_eq!(sequence.place(&bare(HOUR_S + 5)), Place::At(at(HOUR_S + 5)));
    }

    #[test]
    fn a_clock_that_was_set_back_is_followed_whatever_comes_without_a_stamp_meanwhile() {
        let mut all = vec![stamped(HOUR_S, 0)];
        for k in 1..=5 {
            // Two messages of one time, and one without.
            all.extend([stamped(10 * k, 10 * k), stamped(10 * k, 10 * k), bare(10 * k + 1)]);
        }
        let places = places(&all);
        let late = places.iter().filter(|p| **p == Place::Late).count();
        assert_eq!((late, places[13]), (8, Place::Anew(at(50))), "{places:?}");
        assert_eq!(places[14..], [Place::At(at(50)), Place::At(at(51))]);
    }
}
