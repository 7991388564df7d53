//! What led to what: every event may name the one before it, so that a record can be read backwards from an alarm to the
//! night's cold.
//!
//! A cause is an event's id, `subject/part/kind@time_ns` (`subject/kind@time_ns` where it has no part), or the name of a signal
//! where a chain begins. Systems that know why
//! something happens say so when they emit it. A twin does not know: to its verdicts the *world's* reason is put here, the
//! open trouble of the device it follows, for scoring and for readers; nothing of it flows back into the run.
//!
//! ```
//! use twinfleet_engine::{cause::{self, Causes}, time::{SimTime, Span}, world::Event};
//! let event = |s, kind: &str, detail: &str| Event {
//!     t: SimTime::ZERO + Span::from_secs(s), subject: "n-1".into(), kind: kind.into(), detail: detail.into(), ..Event::default()
//! };
//! let mut events = [event(1, "gap", ""), event(600, "verdict", "dropout")];
//! Causes::default().link(&mut events);
//! assert_eq!(events[1].cause, "n-1/gap@1000000000");
//! assert_eq!(events[1].cause, cause::id(&events[0]));
//! ```

use crate::{time::SimTime, world::Event};
use bevy_ecs::prelude::*;
use std::collections::BTreeMap;

/// The id of an event: what others name it by as their cause.
pub fn id(event: &Event) -> String {
    id_of(&event.subject, &event.part, &event.kind, event.t)
}

/// The id of an event of this subject, part and kind at this time.
pub fn id_of(subject: &str, part: &str, kind: &str, t: SimTime) -> String {
    let slash = if part.is_empty() { "" } else { "/" };
    format!("{subject}{slash}{part}/{kind}@{}", t.0)
}

/// The kind of event that a cause names. None: it is a signal, or there is none.
pub fn kind_of(cause: &str) -> Option<&str> {
    let (head, time) = cause.rsplit_once('@')?;
    time.parse::<i64>().ok()?;
    Some(head.rsplit_once('/')?.1)
}

/// Which of what has begun, the oldest first, an event ends: the newest of those that fit and whose figure is the end's, as a
/// fault's size stands in both of its labels; else the newest that fits. Two biases of one stream may overlap.
///
/// ```
/// use twinfleet_engine::{cause, world::Event};
/// let end = Event { value: 2.0, ..Event::default() };
/// assert_eq!(cause::ended(&[2.0, 3.0], |_| true, |size| *size, &end), Some(0));
/// assert_eq!(cause::ended(&[4.0, 3.0], |_| true, |size| *size, &end), Some(1));
/// ```
pub fn ended<T>(
    begun: &[T],
    fits: impl Fn(&T) -> bool,
    value: impl Fn(&T) -> f64,
    end: &Event,
) -> Option<usize> {
    let sized = |t: &T| value(t).to_bits() == end.value.to_bits();
    begun.iter().rposition(|t| fits(t) && sized(t)).or_else(|| begun.iter().rposition(&fits))
}

/// Kinds of events that begin a trouble that a twin may notice, and the kinds that end it.
const TROUBLES: [(&str, &str); 3] =
    [("fault_start", "fault_end"), ("gap", "gap_end"), ("clock_reset", "clock_set")];

#[derive(Clone, Debug)]
struct Trouble {
    start: &'static str,
    part: String,
    detail: String,
    value: f64,
    id: String,
}

/// The open troubles of devices, and what ended the last one.
#[derive(Resource, Clone, Debug, Default)]
pub struct Causes {
    open: BTreeMap<String, Vec<Trouble>>,
    /// By device, the newest that ended of each start and part, with the id of its end.
    ended: BTreeMap<String, Vec<Trouble>>,
}

impl Causes {
    /// Takes a tick's events in their order and gives causes to those verdicts that have none.
    pub fn link(&mut self, events: &mut [Event]) {
        for event in events {
            if event.kind == "verdict" && event.cause.is_empty() {
                event.cause = behind(self.open.get(&event.subject), event);
            } else if event.kind == "verdict_end" && event.cause.is_empty() {
                event.cause = behind(self.ended.get(&event.subject), event);
            } else if let Some((start, _)) = TROUBLES.iter().find(|(start, _)| *start == event.kind) {
                let trouble = Trouble {
                    start,
                    part: event.part.clone(),
                    detail: event.detail.clone(),
                    value: event.value,
                    id: id(event),
                };
                self.open.entry(event.subject.clone()).or_default().push(trouble);
            } else if let Some((start, _)) = TROUBLES.iter().find(|(_, end)| *end == event.kind) {
                self.close(event, start);
            }
        }
    }

    fn close(&mut self, event: &Event, start: &str) {
        let Some(open) = self.open.get_mut(&event.subject) else { return };
        let same = |t: &Trouble| {
            t.start == start && t.part == event.part && (start != "fault_start" || t.detail == event.detail)
        };
        let Some(at) = ended(open, same, |t| t.value, event) else { return };
        let over = Trouble { id: id(event), ..open.remove(at) };
        if open.is_empty() {
            self.open.remove(&event.subject);
        }
        let ended = self.ended.entry(event.subject.clone()).or_default();
        ended.retain(|t| (t.start, &t.part, &t.detail) != (over.start, &over.part, &over.detail));
        ended.push(over);
    }
}

/// The id of the trouble among these that a verdict names best: of its kind, else of its part, else none.
fn behind(troubles: Option<&Vec<Trouble>>, verdict: &Event) -> String {
    let find = || {
        let open = troubles?;
        let kind = verdict.detail.split([':', ' ', ',']).next().unwrap_or_default();
        let told_by = |t: &&Trouble| match t.start {
            "gap" => kind == "dropout",
            "clock_reset" => kind == "clock_skew",
            _ => t.detail == kind,
        };
        let of_part = |t: &&Trouble| t.start == "fault_start" && !t.part.is_empty() && t.part == verdict.part;
        let newest = |fits: &dyn Fn(&&Trouble) -> bool| open.iter().rev().find(fits);
        newest(&|t| told_by(t) && (t.part == verdict.part || t.start != "fault_start" || t.part.is_empty()))
            .or_else(|| newest(&of_part))
            .map(|t| t.id.clone())
    };
    find().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn event(s: i64, subject: &str, part: &str, kind: &str, detail: &str) -> Event {
        let t = SimTime::ZERO + Span::from_secs(s);
        let [subject, part, kind, detail] = [subject, part, kind, detail].map(str::to_owned);
        Event { t, subject, part, kind, detail, ..Event::default() }
    }

    #[test]
    fn a_verdict_is_given_its_own_devices_trouble() {
        let mut causes = Causes::default();
        let mut events = [
            event(1, "a", "t.x", "fault_start", "bias"),
            event(2, "b", "t.x", "fault_start", "bias"),
            event(3, "a", "t.y", "fault_start", "stuck"),
            event(3, "a", "t.w", "fault_start", "bias"),
            event(4, "a", "t.x", "verdict", "bias"),
            event(5, "a", "t.y", "verdict", "drift"),
            event(6, "a", "t.z", "verdict", "noise"),
            event(7, "a", "t.x", "fault_end", "bias"),
            event(8, "a", "t.x", "verdict_end", "bias"),
            event(9, "a", "t.x", "verdict", "bias"),
        ];
        causes.link(&mut events);
        let cause = |i: usize| events[i].cause.as_str();
        assert_eq!(cause(4), "a/t.x/fault_start@1000000000", "the newer bias is of another part");
        assert_eq!(cause(5), "a/t.y/fault_start@3000000000", "the wrong kind, but the right part");
        assert_eq!(cause(6), "", "nothing is wrong with this part");
        assert_eq!(cause(8), "a/t.x/fault_end@7000000000");
        assert_eq!(cause(9), "", "a false alarm has no cause");
    }

    #[test]
    fn the_second_of_two_biases_that_overlap_is_still_there_when_the_first_is_over() {
        let mut causes = Causes::default();
        let sized = |s, kind, value| Event { value, ..event(s, "a", "t.x", kind, "bias") };
        let mut events = [
            sized(1, "fault_start", 2.0),
            sized(2, "fault_start", 3.0),
            sized(3, "fault_end", 2.0),
            event(4, "a", "t.x", "verdict", "bias"),
        ];
        causes.link(&mut events);
        assert_eq!(events[3].cause, "a/t.x/fault_start@2000000000");
    }

    #[test]
    fn kinds_are_read_out_of_causes() {
        assert_eq!(kind_of("n-1/power/brown_out@1500"), Some("brown_out"));
        assert_eq!(kind_of("outside/air.temperature@truth"), None);
        assert_eq!(kind_of(""), None);
    }
}
