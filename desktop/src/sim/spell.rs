//! What lasts: faults that were put in, verdicts and alarms of twins, disturbances, outages. Read from the run's events, and
//! where these do not say it, from the scenario's timeline.

use std::collections::BTreeMap;
use twinfleet_engine::{
    cause,
    mirror::follow::live::{OFFLINE, ONLINE},
    plan::Plan,
    scenario::Action,
    signal::{Kind, wildcard},
    time::SimTime,
    world::Event,
};

/// The kind of a detector's alarm, by its event.
pub const ALARM: &str = "alarm";
/// The kind of what is found by a part as the timeline says, by its event.
pub const SET: &str = "set";
/// The kind of a link that the timeline takes down; its subject is the link.
pub const LINK_DOWN: &str = "link_down";

/// How grave a spell is, and whose word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Put there by the timeline: the truth that verdicts are judged by.
    Injected,
    /// What happened to the device itself: no power, no link, or it has said that it goes.
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

#[cfg(test)]
impl Spell {
    /// One that nothing has ended.
    pub fn open(class: Class, subject: &str, what: &str) -> Self {
        begun(class, &Event { subject: subject.to_owned(), kind: what.to_owned(), ..Event::default() })
    }
}

/// Starts and the ends that belong to them.
const PAIRS: [(&str, &str, Class); 8] = [
    ("fault_start", "fault_end", Class::Injected),
    ("disturb_start", "disturb_end", Class::Injected),
    ("weather_start", "weather_end", Class::Injected),
    ("verdict", "verdict_end", Class::Alarm),
    (ALARM, "alarm_end", Class::Alarm),
    ("brown_out", "reboot", Class::Outage),
    ("gap", "gap_end", Class::Outage),
    // Silence of a device that says so itself, or the broker for it, is no verdict of its twin.
    (OFFLINE, ONLINE, Class::Outage),
];

/// All spells so far, in order of their beginning.
#[derive(Clone, Debug, Default)]
pub struct Spells(pub Vec<Spell>);

impl Spells {
    /// Takes in an event.
    pub fn take(&mut self, event: &Event, planned: &Planned) {
        if event.kind == SET {
            self.set(event, planned);
        } else if let Some((_, _, class)) = PAIRS.iter().find(|(start, _, _)| *start == event.kind) {
            let named = matches!(event.kind.as_str(), "fault_start" | "verdict");
            let what = if named { &event.detail } else { &event.kind };
            self.0.push(Spell { what: what.clone(), ..begun(*class, event) });
        } else if let Some((start, _, class)) = PAIRS.iter().find(|(_, end, _)| *end == event.kind) {
            let named = matches!(*start, "fault_start" | "verdict");
            let same = |s: &Spell| {
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
            if let Some(at) = cause::ended(&self.0, same, |s| s.value, event) {
                self.0[at].until = Some(event.t);
            }
        }
    }

    /// What a part finds is set, until then or for good: then what was set there for good before is no more.
    fn set(&mut self, event: &Event, planned: &Planned) {
        let until = planned.until(event);
        if until.is_none() {
            let same = |s: &&mut Spell| {
                s.until.is_none() && s.what == SET && s.subject == event.subject && s.part == event.part
            };
            if let Some(before) = self.0.iter_mut().rev().find(same) {
                before.until = Some(event.t);
            }
            // What is so from the start on is how the world is, and nothing that was done to it.
            if event.t <= SimTime::ZERO {
                return;
            }
        }
        let unit = planned.units.get(&event.part).cloned().unwrap_or_default();
        self.0.push(Spell { unit, until, ..begun(Class::Injected, event) });
    }

    /// Those that hold at an instant.
    pub fn at(&self, t: SimTime) -> impl Iterator<Item = &Spell> {
        self.0.iter().filter(move |s| s.holds(t))
    }
}

/// A spell that begins with an event.
fn begun(class: Class, event: &Event) -> Spell {
    Spell {
        class,
        subject: event.subject.clone(),
        part: event.part.clone(),
        what: event.kind.clone(),
        detail: event.detail.clone(),
        value: event.value,
        unit: event.unit.clone(),
        cause: event.cause.clone(),
        from: event.t,
        until: None,
    }
}

/// What only the timeline says: when a link is down, and until when a part finds what was set.
#[derive(Clone, Debug, Default)]
pub struct Planned {
    /// Links that are yet to go down, the last first.
    links: Vec<Spell>,
    sets: Vec<Setting>,
    /// Units of what can be set, by `part.quantity`; none where nothing is.
    units: BTreeMap<String, String>,
}

/// A `Set` of the timeline.
#[derive(Clone, Debug)]
struct Setting {
    /// `device/part.quantity`, a glob.
    target: String,
    to: f64,
    at: SimTime,
    until: Option<SimTime>,
}

impl Planned {
    /// That of a scenario.
    pub fn of(plan: &Plan) -> Self {
        let mut planned = Self::default();
        for event in &plan.scenario.timeline {
            let (at, until) = (SimTime::ZERO + event.at, event.until.map(|u| SimTime::ZERO + u));
            match &event.action {
                Action::LinkDown { link } => {
                    let event = Event {
                        t: at,
                        subject: link.clone(),
                        kind: LINK_DOWN.to_owned(),
                        detail: "every message over it is lost".to_owned(),
                        ..Event::default()
                    };
                    planned.links.push(Spell { until, ..begun(Class::Injected, &event) });
                }
                Action::Set { target, to } => {
                    planned.sets.push(Setting { target: target.clone(), to: *to, at, until });
                }
                _ => {}
            }
        }
        planned.links.sort_by_key(|s| std::cmp::Reverse(s.from));
        if !planned.sets.is_empty() {
            let channels = plan.signals.blocks().flat_map(|(_, _, channels)| channels);
            let readings = channels.filter(|c| c.kind == Kind::Reading);
            planned.units = readings.map(|c| (c.name.clone(), c.unit.clone())).collect();
        }
        planned
    }

    /// Tells of links that have gone down until an instant.
    pub fn reach(&mut self, now: SimTime, spells: &mut Spells) {
        while self.links.last().is_some_and(|s| s.from <= now) {
            let Some(link) = self.links.pop() else { break };
            let at = spells.0.iter().position(|s| s.from > link.from).unwrap_or(spells.0.len());
            spells.0.insert(at, link);
        }
    }

    /// Until when what an event tells is set; none: for good.
    fn until(&self, event: &Event) -> Option<SimTime> {
        let fits = |s: &&Setting| {
            let hits = |pattern: &str, name: &str| wildcard(pattern.as_bytes(), name.as_bytes());
            s.at <= event.t
                && s.to.to_bits() == event.value.to_bits()
                && s.target.split_once('/').is_some_and(|(device, channel)| {
                    hits(device, &event.subject) && hits(channel, &event.part)
                })
        };
        self.sets.iter().filter(fits).max_by_key(|s| s.at)?.until
    }
}
