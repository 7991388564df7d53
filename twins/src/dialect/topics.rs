//! Plain topics: one value a topic, the last levels of which name it.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let heard = Heard { topic: "home/node-1/bme280/temperature", payload: b"21.5", retain: true };
//! find("topics").unwrap().listener(Some("home/node-1")).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("home/node-1")["bme280/temperature"], 21.5);
//! ```

use super::{
    Asked, Dialect, Listener, Spoken, WORDS,
    facts::{Facts, Value},
    place::{self, Place},
    say, spoken, tree, words,
};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct Topics;

const OPTIONS: [(&str, &str); 3] = [place::OPTIONS[0], place::OPTIONS[1], WORDS];

impl Dialect for Topics {
    fn name(&self) -> &'static str {
        "topics"
    }
    fn about(&self) -> &'static str {
        "plain values, one a topic: `home/node-1/bme280/temperature` 21.5"
    }
    fn source(&self) -> &'static str {
        "usage; presence on `<base>/status` as online/offline, commands on `<base>/<field>/set`"
    }
    fn address(&self) -> &'static str {
        "the base that the device's topics begin with, such as \"home/node-1\""
    }
    fn filters(&self, address: &str) -> Vec<String> {
        vec![format!("{address}/#")]
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears { base: address.map(str::to_owned) })
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let signals = spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]);
        let words = words(spec.options, &signals)?;
        Ok(Box::new(Speaks { place: Place::of(spec, ["yes", "no"])?, signals, words }))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn commands(&self) -> bool {
        true
    }
    fn declares_commands(&self) -> bool {
        false
    }
}

struct Hears {
    base: Option<String>,
}

/// Below a field's own topic, the one that sets it.
const SET: &str = "/set";

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        let (base, field) = match &self.base {
            Some(base) => {
                let Some(field) = heard.topic.strip_prefix(base.as_str()).and_then(|t| t.strip_prefix('/'))
                else {
                    return Ok(());
                };
                (base.as_str(), field)
            }
            // Of an unknown device the last level is taken for the field, all before it for the device.
            None => {
                let Some((base, field)) = heard.topic.rsplit_once('/') else { return Ok(()) };
                (base, field)
            }
        };
        let text = tree::text(heard.payload)?;
        // What is asked of a device is nothing that it says.
        if field == "set" || field.ends_with(SET) {
            return Ok(());
        }
        if field == "status" {
            if let "online" | "offline" = text {
                facts.online(base, text == "online");
            }
            return Ok(());
        }
        let value = Value::Text(text.chars().take(200).collect());
        match value.number() {
            // What is on or off in a word is told in that word.
            Some(_) if value.is_state() => facts.value(base, field, value, "", None),
            Some(v) => facts.value(base, field, Value::Number(v), "", None),
            None if self.base.is_some() && !text.is_empty() => facts.value(base, field, value, "", None),
            None => {}
        }
        Ok(())
    }

    fn command(&self, address: &str, &Asked { field, value, .. }: &Asked<'_>) -> Result<Utterance, Unasked> {
        Ok(say(format!("{address}/{field}{SET}"), value.to_string(), 1, false))
    }
}

struct Speaks {
    place: Place,
    signals: Vec<Spoken>,
    /// Of signals that are off or on, what they say for either.
    words: BTreeMap<usize, [serde_json::Value; 2]>,
}

impl Speaks {
    /// The signal that a topic sets.
    fn asked(&self, topic: &str) -> Option<usize> {
        let field = topic.strip_prefix(self.place.topic.as_str())?.strip_prefix('/')?.strip_suffix(SET)?;
        self.signals.iter().position(|s| s.field() == field)
    }

    fn state(&self, i: usize, v: f64) -> Utterance {
        let word = self.words.get(&i).map(|words| &words[usize::from(v >= 0.5)]);
        let said = word.and_then(tree::value).map_or_else(|| v.to_string(), |word| word.to_string());
        self.place.says(&format!("{}/{}", self.place.topic, self.signals[i].field()), said)
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        self.signals.iter().map(|s| format!("{}/{}{SET}", self.place.topic, s.field())).collect()
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        self.place.will()
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.extend(self.place.greeting());
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let read = report.values.iter().take(self.signals.len()).enumerate().filter(|(_, v)| v.is_finite());
        out.extend(read.map(|(i, v)| self.state(i, *v)));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let value = tree::text(heard.payload).ok().and_then(|text| Value::Text(text.to_owned()).number());
        set.extend(self.asked(heard.topic).zip(value));
    }
    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let Some(i) = self.asked(heard.topic) else { return };
        out.extend(report.values.get(i).filter(|v| v.is_finite()).map(|v| self.state(i, *v)));
    }
}
