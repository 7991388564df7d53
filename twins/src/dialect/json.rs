//! One JSON object a message: every leaf is a field, named by its path (a JSON Pointer without its first `/`).
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let heard = Heard { topic: "fleet/node-1", payload: br#"{"ts":1795867200000,"air":{"temperature":21.5}}"#, retain: false };
//! find("json").unwrap().listener(None).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("fleet/node-1")["air/temperature"], 21.5);
//! ```

use super::{Dialect, Listener, Spoken, also, facts::Facts, say, spoken, tree};
use serde_json::{Map, Value as Tree};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct Json;

impl Dialect for Json {
    fn name(&self) -> &'static str {
        "json"
    }
    fn about(&self) -> &'static str {
        "one JSON object a message, nested as the device likes; fields by JSON Pointer"
    }
    fn source(&self) -> &'static str {
        "RFC 8259, RFC 6901; presence on `<topic>/status` as online/offline"
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears { topic: address.map(str::to_owned) })
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let signals = spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]);
        Ok(Box::new(Speaks { topic: spec.topic.to_owned(), signals, also: also(spec.options)? }))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[("also", "a JSON object with what each message says besides")]
    }
}

struct Hears {
    topic: Option<String>,
}

/// Presence beside an address, as these simple dialects tell it; whether the message was that.
pub(super) fn status(topic: Option<&str>, heard: &Heard<'_>, facts: &mut Facts) -> bool {
    let Some(base) = heard.topic.strip_suffix("/status") else { return false };
    let said = match heard.payload {
        b"online" => true,
        b"offline" => false,
        _ => return false,
    };
    if topic.is_none_or(|t| t == base) {
        facts.online(base, said);
    }
    true
}

/// The facts of a tree on a topic: its leaves, at the time that its top states.
pub(super) fn facts_of(device: &str, json: &Tree, facts: &mut Facts) -> Result<(), DecodeError> {
    let time = tree::stated_time(json);
    let mut found = Vec::new();
    tree::leaves(json, &mut |path, leaf| {
        if time.is_some_and(|(key, _)| key == path) {
            return;
        }
        if let Some(value) = tree::value(leaf) {
            found.push((path.to_owned(), value));
        }
    })?;
    for (path, value) in found {
        facts.value(device, path, value, "", time.map(|(_, ms)| ms));
    }
    Ok(())
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if status(self.topic.as_deref(), heard, facts)
            || self.topic.as_ref().is_some_and(|t| t != heard.topic)
        {
            return Ok(());
        }
        let json = tree::read(heard.payload);
        match (&self.topic, json) {
            (_, Ok(json @ Tree::Object(_))) => facts_of(heard.topic, &json, facts),
            (Some(_), Ok(_)) => Err(DecodeError::Shape),
            (Some(_), Err(why)) => Err(why),
            // Of an unknown device, what is no object is another dialect's.
            (None, _) => Ok(()),
        }
    }
}

/// The object of a report, with the time under `ts`.
pub(super) fn object(signals: &[Spoken], report: &Report<'_>, also: &Map<String, Tree>) -> Tree {
    let mut root = also.clone();
    root.insert("ts".to_owned(), Tree::from(report.ts_unix_ms));
    for (s, v) in signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
        tree::put(&mut root, &s.path, tree::number(*v));
    }
    Tree::Object(root)
}

struct Speaks {
    topic: String,
    signals: Vec<Spoken>,
    also: Map<String, Tree>,
}

impl Voice for Speaks {
    fn will(&mut self, _: i64) -> Option<Utterance> {
        Some(say(format!("{}/status", self.topic), "offline", 1, true))
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.push(say(format!("{}/status", self.topic), "online", 1, true));
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        out.push(say(self.topic.clone(), object(&self.signals, report, &self.also).to_string(), 0, false));
    }
}
