//! What a user does to the world, written as lines of the scenario's timeline: so a session is a scenario, and replays.
//!
//! ```
//! use twinfleet_desktop::sim::act::{Act, appended};
//! use twinfleet_engine::time::SimTime;
//! let text = "Scenario(format: 1, duration: \"1h\")";
//! let door = Act::Door { zone: "z1".into(), air_changes_per_h: 30.0, heat_w: 0.0 };
//! let with = appended(text, &door.line(SimTime(60_000_000_000), None)).unwrap();
//! assert!(with.contains("timeline: ["));
//! assert!(with.contains(r#"(at: "1min", do: Disturb(zone: "z1", air_changes_per_h: 30.0, heat_w: 0.0)),"#));
//! ```

use std::fmt::Write as _;
use twinfleet_engine::{
    scenario::{
        source::Source,
        tree::{Node, Value},
    },
    time::SimTime,
};

/// Something that a user does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A part's signal, or a device, goes wrong.
    Fault {
        /// `device/part.quantity`, or the device alone.
        target: String,
        /// The kind as a scenario writes it, such as `Bias(by: 3.0)`.
        kind: String,
    },
    /// A zone's door or window stands open, or a heat source is brought in.
    Door {
        /// Zone id.
        zone: String,
        /// Air exchange with outside on top of the leaks, [1/h].
        air_changes_per_h: f64,
        /// Heat, [W].
        heat_w: f64,
    },
    /// An actuator is commanded as if by hand.
    Command {
        /// `device/part`.
        target: String,
        /// Level, 0–1.
        level: f64,
    },
    /// A desired state is sent to a device whose firmware takes commands.
    Desire {
        /// `device/part`.
        target: String,
        /// Level, 0–1.
        level: f64,
    },
    /// What a part finds becomes another: a contact opens, a vehicle has moved.
    Set {
        /// `device/part.quantity`.
        target: String,
        /// In the quantity's unit.
        to: f64,
    },
    /// A device is carried to another zone.
    Move {
        /// Device id.
        target: String,
        /// Zone id, or `outside`.
        to: String,
    },
    /// The weather is another.
    Weather {
        /// The figures that are named, as a scenario writes them: `("temperature_c", -5.0)`.
        figures: Vec<(&'static str, f64)>,
    },
    /// A link loses every message.
    LinkDown {
        /// Link id.
        link: String,
    },
}

impl Act {
    /// Its line of the timeline.
    pub fn line(&self, at: SimTime, until: Option<SimTime>) -> String {
        let action = match self {
            Self::Fault { target, kind } => format!("Fault(target: {target:?}, kind: {kind})"),
            Self::Door { zone, air_changes_per_h, heat_w } => {
                format!(
                    "Disturb(zone: {zone:?}, air_changes_per_h: {air_changes_per_h:?}, heat_w: {heat_w:?})"
                )
            }
            Self::Command { target, level } => format!("Command(target: {target:?}, level: {level:?})"),
            Self::Desire { target, level } => format!("Desire(target: {target:?}, level: {level:?})"),
            Self::Set { target, to } => format!("Set(target: {target:?}, to: {to:?})"),
            Self::Move { target, to } => format!("Move(target: {target:?}, to: {to:?})"),
            Self::Weather { figures } => {
                let named: Vec<String> = figures.iter().map(|(key, x)| format!("{key}: {x:?}")).collect();
                format!("Weather({})", named.join(", "))
            }
            Self::LinkDown { link } => format!("LinkDown(link: {link:?})"),
        };
        let mut line = format!("(at: \"{at}\", ");
        if let Some(until) = until {
            let _ = write!(line, "until: \"{until}\", ");
        }
        line + &format!("do: {action}),")
    }

    /// What it is, in a few words.
    pub fn title(&self) -> String {
        match self {
            Self::Fault { target, kind } => format!("{kind} on {target}"),
            Self::Door { zone, .. } => format!("door of {zone} open"),
            Self::Command { target, level } => format!("{target} to {:.0} %", level * 100.0),
            Self::Desire { target, level } => format!("{:.0} % desired of {target}", level * 100.0),
            Self::Set { target, to } => format!("{target} is {to}"),
            Self::Move { target, to } => format!("{target} carried to {to}"),
            Self::Weather { figures } => {
                let named: Vec<String> = figures.iter().map(|(key, x)| format!("{key} {x}")).collect();
                format!("weather: {}", named.join(", "))
            }
            Self::LinkDown { link } => format!("link {link} down"),
        }
    }
}

/// The scenario's text with a line at the end of its timeline; none where the text is no scenario.
pub fn appended(text: &str, line: &str) -> Option<String> {
    let source = Source::embedded("session", text);
    let root = source.tree();
    let (at, insert) = match root.get("timeline") {
        Some(Node { value: Value::List(items), span, .. }) => {
            let close = span.end - 1;
            let at = items.last().map_or(close, |last| last.span.end);
            // A comma may stand behind the last item; a comment may stand behind that.
            let comma = text.get(at..close)?.trim_start().starts_with(',');
            match (items.is_empty(), comma) {
                (true, _) => (close, format!("\n        {line}\n    ")),
                (false, true) => (at + text[at..close].find(',')? + 1, format!("\n        {line}")),
                (false, false) => (at, format!(",\n        {line}")),
            }
        }
        Some(_) => return None,
        None => {
            let Value::Fields(fields) = &root.value else { return None };
            (fields.last()?.value.span.end, format!(",\n    timeline: [\n        {line}\n    ]"))
        }
    };
    let mut with = text.to_owned();
    with.insert_str(at, &insert);
    Some(with)
}
