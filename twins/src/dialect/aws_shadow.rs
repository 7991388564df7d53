//! The AWS device shadow: reported and desired states under `$aws/things/<thing>/shadow`.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let heard = Heard { topic: "$aws/things/oven/shadow/update", payload: br#"{"state":{"reported":{"temperature":180}}}"#, retain: false };
//! find("aws-shadow").unwrap().listener(Some("oven")).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("oven")["temperature"], 180.0);
//! ```

use super::{
    Asked, Dialect, Listener, Spoken, WORDS, also,
    facts::{Fact, Facts},
    say, spoken, tree, words,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct AwsShadow;

const OPTIONS: [(&str, &str); 2] = [("also", "a JSON object with what is reported besides"), WORDS];

/// What the tokens of our commands begin with.
const TOKEN: &str = "twinfleet-command-";

/// The thing's prefix: `<thing>` is the classic shadow, `<thing>/<name>` a named one.
fn prefix(address: &str) -> String {
    match address.split_once('/') {
        Some((thing, name)) => format!("$aws/things/{thing}/shadow/name/{name}"),
        None => format!("$aws/things/{address}/shadow"),
    }
}

impl Dialect for AwsShadow {
    fn name(&self) -> &'static str {
        "aws-shadow"
    }
    fn about(&self) -> &'static str {
        "AWS IoT device shadow: reported and desired state, deltas, versions"
    }
    fn source(&self) -> &'static str {
        "AWS IoT Core developer guide, \"Device Shadow MQTT topics\" and \"service documents\""
    }
    fn address(&self) -> &'static str {
        "the thing's name, such as \"oven\", or \"oven/NAME\" for a named shadow"
    }
    fn problem(&self, address: &str) -> Option<String> {
        let good = |w: &str| {
            !w.is_empty()
                && w.len() <= 128
                && w.chars().all(|c| c.is_ascii_alphanumeric() || ":_-".contains(c))
        };
        let words: Vec<&str> = address.split('/').collect();
        (words.len() > 2 || !words.iter().all(|w| good(w))).then(|| {
            format!("`{address}` is no thing of a shadow: names are letters, digits, `:`, `_` and `-`")
        })
    }
    fn filters(&self, address: &str) -> Vec<String> {
        let p = prefix(address);
        vec![format!("{p}/update"), format!("{p}/update/+"), format!("{p}/get/accepted")]
    }
    fn everywhere(&self) -> &'static [&'static str] {
        &["$aws/things/+/shadow/#"]
    }
    fn owns(&self, topic: &str) -> bool {
        parse(topic).is_some()
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears { address: address.map(str::to_owned) })
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let signals = spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]);
        Ok(Box::new(Speaks {
            prefix: prefix(spec.topic),
            device: spec.device.to_owned(),
            words: words(spec.options, &signals)?,
            signals,
            token: 0,
            also: also(spec.options)?,
        }))
    }
    fn commands(&self) -> bool {
        true
    }
    fn declares_commands(&self) -> bool {
        false
    }
}

struct Hears {
    address: Option<String>,
}

/// The address and the verb of a shadow's topic.
fn parse(topic: &str) -> Option<(String, &str)> {
    let (thing, rest) = topic.strip_prefix("$aws/things/")?.split_once("/shadow/")?;
    Some(match rest.strip_prefix("name/") {
        Some(named) => {
            let (name, verb) = named.split_once('/')?;
            (format!("{thing}/{name}"), verb)
        }
        None => (thing.to_owned(), rest),
    })
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        let Some((device, verb)) = parse(heard.topic) else { return Ok(()) };
        if self.address.as_ref().is_some_and(|a| *a != device) {
            return Ok(());
        }
        if !matches!(verb, "update" | "update/accepted" | "update/rejected" | "update/delta" | "get/accepted")
        {
            return Ok(());
        }
        let json = tree::read(heard.payload)?;
        let stamp = json.get("timestamp").and_then(tree::time_ms);
        let tell = |state: Option<&Json>, facts: &mut Facts, kind: u8| -> Result<(), DecodeError> {
            let Some(state) = state.filter(|s| s.is_object()) else { return Ok(()) };
            let mut found = Vec::new();
            tree::leaves(state, &mut |path, leaf| {
                found.extend(tree::value(leaf).map(|v| (path.to_owned(), v)))
            })?;
            for (field, value) in found {
                let device = device.clone();
                match kind {
                    0 => facts.value(&device, field, value, "", stamp),
                    1 => facts.0.push(Fact::Asked { device, field, value }),
                    _ => facts.0.push(Fact::Done { device, field, value }),
                }
            }
            Ok(())
        };
        let state = json.get("state");
        let part = |key: &str| state.and_then(|s| s.get(key));
        match verb {
            // What the device says, and what the service still knew when it was asked.
            "update" | "get/accepted" => {
                tell(part("reported"), facts, 0)?;
                tell(part("desired"), facts, 1)?;
            }
            "update/accepted" => tell(part("reported"), facts, 2)?,
            "update/delta" => tell(state, facts, 1)?,
            _ => {}
        }
        if let Some(version) = json.get("version").and_then(Json::as_u64) {
            facts.about(&device, "version", &version.to_string());
        }
        if verb == "update/rejected" {
            let code = json.get("code").map(ToString::to_string).unwrap_or_default();
            facts.about(&device, "rejected", &code);
            let message = json.get("message").and_then(Json::as_str).unwrap_or_default();
            let token = json.get("clientToken").and_then(Json::as_str).unwrap_or_default();
            // What others asked for is theirs to be refused.
            if token.starts_with(TOKEN) {
                facts.refused(&device, "", format!("the service rejects it: {code} {message}").trim_end());
            }
        }
        Ok(())
    }

    fn command(&self, address: &str, asked: &Asked<'_>) -> Result<Utterance, Unasked> {
        let Asked { field, value, .. } = *asked;
        let mut desired = Map::new();
        let path: Vec<String> = field.split('/').map(str::to_owned).collect();
        tree::put(&mut desired, &path, tree::json(value));
        let token = format!("{TOKEN}{}", asked.ts_unix_ms);
        let payload = json!({"state": {"desired": desired}, "clientToken": token}).to_string();
        Ok(say(format!("{}/update", prefix(address)), payload, 1, false))
    }
}

struct Speaks {
    prefix: String,
    device: String,
    signals: Vec<Spoken>,
    token: u64,
    also: Map<String, Json>,
    /// Of signals that are off or on, what they say for either.
    words: BTreeMap<usize, [Json; 2]>,
}

impl Speaks {
    fn update(&mut self, reported: Map<String, Json>) -> Utterance {
        self.token += 1;
        let token: String = format!("{}-{}", self.device, self.token);
        // A token has 64 bytes at most.
        let token = token.get(token.len().saturating_sub(64)..).unwrap_or_default().to_owned();
        let payload = json!({"state": {"reported": reported}, "clientToken": token}).to_string();
        say(format!("{}/update", self.prefix), payload, 1, false)
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        let p = &self.prefix;
        vec![
            format!("{p}/update/delta"),
            format!("{p}/update/accepted"),
            format!("{p}/update/rejected"),
            format!("{p}/get/accepted"),
        ]
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        // The service tells presence by its own events, not by a will.
        None
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.push(say(format!("{}/get", self.prefix), "", 1, false));
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut reported = self.also.clone();
        let read = self.signals.iter().zip(report.values).enumerate();
        for (i, (s, v)) in read.filter(|(_, (_, v))| v.is_finite()) {
            let word = self.words.get(&i).map(|words| words[usize::from(*v >= 0.5)].clone());
            tree::put(&mut reported, &s.path, word.unwrap_or_else(|| tree::number(*v)));
        }
        let reported = reported.into_iter().map(|(k, v)| (k, tree::with_lists(v))).collect();
        out.push(self.update(reported));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Some(state) = self.desired(heard) else { return };
        for (i, s) in self.signals.iter().enumerate() {
            let value =
                tree::value(s.path.iter().try_fold(&state, |at, level| at.get(level)).unwrap_or(&Json::Null));
            set.extend(value.and_then(|v| v.number()).map(|v| (i, v)));
        }
    }
    fn answer(&mut self, heard: &Heard<'_>, _: &Report<'_>, out: &mut Vec<Utterance>) {
        // What is wanted of it, it does, and says so; of what it does not have, it says nothing.
        let Some(Json::Object(mut state)) = self.desired(heard) else { return };
        for (key, own) in &mut self.also {
            if let Some(value) = state.get(key) {
                own.clone_from(value);
            }
        }
        state.retain(|key, _| self.also.contains_key(key) || self.signals.iter().any(|s| s.path[0] == *key));
        if !state.is_empty() {
            out.push(self.update(state));
        }
    }
}

impl Speaks {
    /// What a delta wants of it.
    fn desired(&self, heard: &Heard<'_>) -> Option<Json> {
        if heard.topic.strip_prefix(self.prefix.as_str()) != Some("/update/delta") {
            return None;
        }
        match tree::read(heard.payload) {
            Ok(Json::Object(mut document)) => document.remove("state").filter(Json::is_object),
            _ => None,
        }
    }
}
