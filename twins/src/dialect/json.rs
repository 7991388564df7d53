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

use super::{
    Dialect, Listener, Spoken, WORDS, also,
    facts::Facts,
    place::{self, Place},
    spoken, tree, words, wrong,
};
use serde_json::{Map, Value as Tree};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
    scenario::calendar,
};

/// The dialect.
pub struct Json;

pub(super) const OPTIONS: [(&str, &str); 5] = [
    ("also", "a JSON object with what each message says besides"),
    place::OPTIONS[0],
    place::OPTIONS[1],
    (
        "time",
        "under which name a message says its time, and how: \"ts ms\" (default), or another of s, fraction, iso, iso-z, iso-ms; \"none\"",
    ),
    WORDS,
];

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
        voice(spec, |tree| tree.to_string().into_bytes())
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
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
fn facts_of(device: &str, json: &Tree, facts: &mut Facts) -> Result<(), DecodeError> {
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

/// The facts of an object on a topic; of a device that is not bound yet, how it says its time too, which its double has to know.
pub(super) fn hear_object(
    device: &str,
    json: &Tree,
    is_bound: bool,
    facts: &mut Facts,
) -> Result<(), DecodeError> {
    facts_of(device, json, facts)?;
    if !is_bound && !facts.0.is_empty() {
        facts.about(device, "time", &Stamp::heard(json));
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
            (of, Ok(json @ Tree::Object(_))) => hear_object(heard.topic, &json, of.is_some(), facts),
            (Some(_), Ok(_)) => Err(DecodeError::Shape),
            (Some(_), Err(why)) => Err(why),
            // Of an unknown device, what is no object is another dialect's.
            (None, _) => Ok(()),
        }
    }
}

/// How a tree becomes a payload.
type Encode = fn(&Tree) -> Vec<u8>;

/// A device that says all that it does in one tree a message.
pub(super) fn voice(spec: &VoiceSpec<'_>, encode: Encode) -> Result<Box<dyn Voice>, DialectError> {
    let signals = spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]);
    let time = Stamp::read(spec.options.get("time").map_or("ts ms", String::as_str))?;
    let words = words(spec.options, &signals)?;
    let place = Place::of(spec, ["no", "yes"])?;
    Ok(Box::new(Speaks { place, encode, signals, also: also(spec.options)?, time, words }))
}

/// How a message says its time, at its top: the name, and one of [`FORMS`]. None where it says none.
struct Stamp(Option<(String, &'static str)>);

/// Unix time in milliseconds or seconds, whole or not; ISO 8601 to the second, without a zone or in UTC, or to the millisecond.
const FORMS: [&str; 6] = ["ms", "s", "fraction", "iso", "iso-z", "iso-ms"];

impl Stamp {
    fn read(text: &str) -> Result<Self, DialectError> {
        if text == "none" {
            return Ok(Self(None));
        }
        let parts = text.split_once(' ');
        let known =
            parts.and_then(|(key, form)| Some((key.to_owned(), *FORMS.iter().find(|f| **f == form)?)));
        let help = || format!("write \"none\", or a name and one of {}: \"ts ms\"", FORMS.join(", "));
        let refused = || wrong("options", "time", format!("`{text}` is no way to say a time"), Some(help()));
        known.map(|known| Self(Some(known))).ok_or_else(refused)
    }

    /// How a message that was heard says it.
    fn heard(json: &Tree) -> String {
        let Some((key, _)) = tree::stated_time(json) else { return "none".to_owned() };
        let form = match json.get(key) {
            Some(Tree::String(text)) if !text.ends_with('Z') => "iso",
            Some(Tree::String(text)) => {
                if text.contains('.') {
                    "iso-ms"
                } else {
                    "iso-z"
                }
            }
            Some(Tree::Number(n)) if n.as_f64().is_some_and(|v| v < 1e11) => {
                if n.is_f64() {
                    "fraction"
                } else {
                    "s"
                }
            }
            _ => "ms",
        };
        format!("{key} {form}")
    }

    fn put(&self, root: &mut Map<String, Tree>, ts_unix_ms: i64) {
        let Some((key, form)) = &self.0 else { return };
        let said = match *form {
            "s" => Tree::from(ts_unix_ms.div_euclid(1000)),
            "fraction" => Tree::from(ts_unix_ms as f64 / 1e3),
            "iso" => Tree::from(tree::local_time(ts_unix_ms)),
            "iso-z" => Tree::from(tree::local_time(ts_unix_ms) + "Z"),
            "iso-ms" => Tree::from(calendar::text(ts_unix_ms.saturating_mul(1_000_000))),
            _ => Tree::from(ts_unix_ms),
        };
        root.insert(key.clone(), said);
    }
}

struct Speaks {
    place: Place,
    encode: Encode,
    signals: Vec<Spoken>,
    also: Map<String, Tree>,
    time: Stamp,
    /// Of signals that are off or on, what they say for either.
    words: BTreeMap<usize, [Tree; 2]>,
}

impl Voice for Speaks {
    fn will(&mut self, _: i64) -> Option<Utterance> {
        self.place.will()
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.extend(self.place.greeting());
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut root = self.also.clone();
        let read = self.signals.iter().zip(report.values).enumerate();
        for (i, (s, v)) in read.filter(|(_, (_, v))| v.is_finite()) {
            let word = self.words.get(&i).map(|words| words[usize::from(*v >= 0.5)].clone());
            tree::put(&mut root, &s.path, word.unwrap_or_else(|| tree::number(*v)));
        }
        let mut root: Map<String, Tree> = root.into_iter().map(|(k, v)| (k, tree::with_lists(v))).collect();
        self.time.put(&mut root, report.ts_unix_ms);
        out.push(self.place.says(&self.place.topic, (self.encode)(&Tree::Object(root))));
    }
}
