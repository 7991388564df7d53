//! What lasts: faults that were put in, verdicts and alarms of twins, disturbances, outages. Read from the run's events.

use twinfleet_engine::{time::SimTime, world::Event};

/// How grave a spell is, and whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Put there by the timeline: the truth that verdicts are judged by.
    Injected,
    /// What happened to the simulated device itself: no power, no link.
    Outage,
    /// A twin's verdict, a detector's alarm.
    Alarm,
}

/// A stretch of time in which something was so.
#[derive(Clone, Debug, PartialEq)]
pub struct Spell {
    /// Whose word it is.
    pub class: Class,
    /// Device, zone or link.
    pub subject: String,
    /// Part or channel; may be empty.
    pub part: String,
    /// The fault's kind: `stuck`, `bias`; of others, the event's kind.
    pub what: String,
    /// The event's sentence.
    pub detail: String,
    /// The event's figure.
    pub value: f64,
    /// Its unit; may be empty.
    pub unit: String,
    /// What led to it.
    pub cause: String,
    /// From when.
    pub from: SimTime,
    /// Until when; none while it lasts.
    pub until: Option<SimTime>,
}

impl Spell {
    /// Whether it is so at an instant.
    pub fn holds(&self, t: SimTime) -> bool {
        self.from <= t && self.until.is_none_or(|until| t < until)
    }
}

/// Starts and the ends that belong to them.
const PAIRS: [(&str, &str, Class); 7] = [
    ("fault_start", "fault_end", Class::Injected),
    ("disturb_start", "disturb_end", Class::Injected),
    ("weather_start", "weather_end", Class::Injected),
    ("verdict", "verdict_end", Class::Alarm),
    ("alarm", "alarm_end", Class::Alarm),
    ("brown_out", "reboot", Class::Outage),
    ("gap", "gap_end", Class::Outage),
];

/// All spells so far, in order of their beginning.
#[derive(Clone, Debug, Default)]
pub struct Spells(pub Vec<Spell>);

impl Spells {
    /// Takes in an event.
    pub fn take(&mut self, event: &Event) {
        if let Some((_, _, class)) = PAIRS.iter().find(|(start, _, _)| *start == event.kind) {
            let named = matches!(event.kind.as_str(), "fault_start" | "verdict");
            self.0.push(Spell {
                class: *class,
                subject: event.subject.clone(),
                part: event.part.clone(),
                what: if named { event.detail.clone() } else { event.kind.clone() },
                detail: event.detail.clone(),
                value: event.value,
                unit: event.unit.clone(),
                cause: event.cause.clone(),
                from: event.t,
                until: None,
            });
        } else if let Some((start, _, class)) = PAIRS.iter().find(|(_, end, _)| *end == event.kind) {
            let named = matches!(*start, "fault_start" | "verdict");
            let same = |s: &&mut Spell| {
                s.until.is_none()
                    && s.class == *class
                    && s.subject == event.subject
                    && (s.part == event.part || *start == "brown_out")
                    && if named {
                        s.what == event.detail || event.detail.is_empty()
                    } else {
                        s.what == *start
                    }
            };
            if let Some(spell) = self.0.iter_mut().rev().find(same) {
                spell.until = Some(event.t);
            }
        }
    }

    /// Those that hold at an instant.
    pub fn at(&self, t: SimTime) -> impl Iterator<Item = &Spell> {
        self.0.iter().filter(move |s| s.holds(t))
    }
}
