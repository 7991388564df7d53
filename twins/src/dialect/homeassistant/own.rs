//! A double by a device's own discovery: the configurations that it announced, its states where and in the shape in which it says
//! them, its presence, and the commands that it named. Of ours are the values alone.
//!
//! [`Memory`] is what a survey keeps of what devices said, and writes as the options [`DISCOVERY`] and [`STATES`]; [`voice`] speaks
//! by these.

use super::super::{Spoken, facts::Value, object, rounded, say, template::Template, tree, wrong};
use super::{Availability, Entities, Entity, PREFIX, group_of, way::Way};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
};

/// The option with the configurations.
pub(in crate::dialect) const DISCOVERY: (&str, &str) = (
    "discovery",
    "a device's own configurations, a JSON object, topic to what is kept there: it then speaks where and as they say",
);
/// The option with what the device said.
pub(super) const STATES: (&str, &str) = (
    "states",
    "with `discovery`: a JSON object, topic to {\"payloads\": [..], \"retain\": true}, what was said there last, once of each shape",
);
/// What is remembered at most, [bytes].
const MAX_BYTES: usize = 32 << 20;
/// Shapes of the messages on one topic that are told apart.
const MAX_SHAPES: usize = 8;

/// What was heard of devices, as they said it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Configurations by topic, each with the device that it is of.
    configs: BTreeMap<String, (String, String)>,
    /// By topic of states or of presence, the last message of each shape, the latest last.
    said: BTreeMap<String, Vec<Said>>,
    bytes: usize,
}

#[derive(Debug)]
struct Said {
    shape: String,
    text: String,
}

impl Memory {
    /// Remembers a configuration; an empty one takes it back.
    pub(super) fn config(&mut self, topic: &str, payload: &[u8]) {
        if let Some((_, old)) = self.configs.remove(topic) {
            self.bytes -= topic.len() + old.len();
        }
        let (Ok(text), Ok(Json::Object(map))) = (tree::text(payload), tree::read(payload)) else { return };
        if self.bytes + topic.len() + text.len() <= MAX_BYTES {
            self.bytes += topic.len() + text.len();
            self.configs.insert(topic.to_owned(), (group_of(&map), text.to_owned()));
        }
    }

    /// Remembers a message on a topic of states or of presence.
    pub(super) fn said(&mut self, topic: &str, payload: &[u8]) {
        let Ok(text) = tree::text(payload) else { return };
        let new = Said { shape: shape_of(text), text: text.to_owned() };
        let bytes = |said: &Said| topic.len() + said.shape.len() + said.text.len();
        if text.is_empty() || self.bytes + bytes(&new) > MAX_BYTES {
            return;
        }
        let all = self.said.entry(topic.to_owned()).or_default();
        let same = all.iter().position(|said| said.shape == new.shape);
        if let Some(at) = same.or_else(|| (all.len() >= MAX_SHAPES).then_some(0)) {
            self.bytes -= bytes(&all.remove(at));
        }
        self.bytes += bytes(&new);
        all.push(new);
    }

    /// The options of a double of the device at an address, which may speak another dialect and announce itself so too; none where
    /// not all was heard that it needs.
    pub(super) fn options(
        &self,
        entities: &[Entity],
        address: &str,
        fields: &[&str],
        is_kept: &dyn Fn(&str) -> bool,
    ) -> Vec<(&'static str, String)> {
        let is_own = |e: &&Entity| e.declared.as_deref() == Some(address);
        let (mut mine, mut others): (Vec<&Entity>, Vec<&Entity>) = entities.iter().partition(is_own);
        if mine.is_empty() {
            let below = format!("{address}/");
            let is_its = |e: &&Entity| e.state_topic == address || e.state_topic.starts_with(&below);
            (mine, others) = entities.iter().partition(is_its);
        }
        let keys: BTreeSet<&str> = mine.iter().map(|e| e.key.as_str()).collect();
        let groups: BTreeSet<&str> =
            mine.iter().map(|e| e.group.as_str()).filter(|group| !group.is_empty()).collect();
        let mut discovery = Map::new();
        for (topic, (group, text)) in &self.configs {
            if keys.contains(topic.as_str()) || groups.contains(group.as_str()) {
                discovery.insert(topic.clone(), as_json(text));
            }
        }
        let is_known = |field: &&str| mine.iter().any(|e| e.field == **field);
        if mine.is_empty()
            || !fields.iter().all(is_known)
            || !keys.iter().all(|key| discovery.contains_key(*key))
        {
            return Vec::new();
        }
        // Presence that others share, a gateway's, is not the device's to say.
        let others = others.into_iter().filter(|e| !groups.contains(e.group.as_str()));
        let shared: BTreeSet<&str> = others.flat_map(|e| &e.available).map(|a| a.topic.as_str()).collect();
        let presence = mine.iter().flat_map(|e| &e.available).map(|a| a.topic.as_str());
        let own = presence.filter(|topic| !shared.contains(topic));
        let topics: BTreeSet<&str> = own.chain(mine.iter().map(|e| e.state_topic.as_str())).collect();
        let mut states = Map::new();
        for topic in topics {
            let said = self.said.get(topic).map(Vec::as_slice).unwrap_or_default();
            let payloads: Vec<Json> = said.iter().map(|said| as_json(&said.text)).collect();
            states.insert(topic.to_owned(), json!({"payloads": payloads, "retain": is_kept(topic)}));
        }
        let options = [(DISCOVERY.0, discovery), (STATES.0, states)]
            .map(|(option, map)| (option, Json::Object(map).to_string()));
        // More than a voice would read is a device that is said in our own way.
        let fits = options.iter().all(|(_, text)| tree::read(text.as_bytes()).is_ok());
        if fits { Vec::from(options) } else { Vec::new() }
    }
}

/// What tells a message apart from others on its topic: the paths of its leaves, or nothing where it is no object.
fn shape_of(text: &str) -> String {
    let mut shape = String::new();
    let json = as_json(text);
    if json.is_object() {
        // Of one with more leaves than are walked, those that are.
        let _ = tree::leaves(&json, &mut |path, _| {
            shape.push_str(path);
            shape.push('\n');
        });
    }
    shape
}

/// A payload as the options have it: an object, or a text.
fn as_json(text: &str) -> Json {
    tree::read(text.as_bytes()).ok().filter(Json::is_object).unwrap_or_else(|| Json::from(text))
}

/// … and as a device says it.
fn text_of(payload: &Json) -> String {
    match payload {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a device can speak there.
fn is_topic(topic: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, '+' | '#');
    !topic.is_empty() && !topic.starts_with('$') && !topic.contains(odd)
}

/// What is said on a topic.
#[derive(Default)]
struct State {
    /// The last message of each shape.
    payloads: Vec<Json>,
    retain: bool,
}

fn no_topic(topic: &str) -> DialectError {
    let help =
        format!("a topic such as \"{PREFIX}/sensor/pump/flow/config\", and the object that is kept there");
    let what = format!("`{topic}` is no topic on which a device announces itself");
    wrong("options", DISCOVERY.0, what, Some(help))
}

/// The configurations of the option [`DISCOVERY`], by topic.
pub(in crate::dialect) fn configs(
    options: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, DialectError> {
    let all = object(options, DISCOVERY.0)?.into_iter();
    let one = |(topic, config): (String, Json)| {
        let is_config = is_topic(&topic) && topic.ends_with("/config") && config.is_object();
        if is_config { Ok((topic, config.to_string())) } else { Err(no_topic(&topic)) }
    };
    all.map(one).collect()
}

/// A voice by the options [`DISCOVERY`] and [`STATES`].
pub(super) fn voice(spec: &VoiceSpec<'_>, signals: Vec<Spoken>) -> Result<Box<dyn Voice>, DialectError> {
    for key in ["commands", "form", "prefix"] {
        if spec.options.contains_key(key) {
            let what = format!("what `{key}` says, `{}` says already", DISCOVERY.0);
            return Err(wrong("options", key, what, Some("leave one of the two out".to_owned())));
        }
    }
    let configs = configs(spec.options)?;
    let (mut entities, mut qos) = (Entities::default(), 0_u8);
    for (topic, text) in &configs {
        if !matches!(entities.config(topic, text.as_bytes()), Ok(true)) {
            return Err(no_topic(topic));
        }
        let config = as_json(text);
        let said = config.get("qos").and_then(Json::as_u64).unwrap_or(0).min(2);
        qos = qos.max(said as u8);
    }
    let mut states = BTreeMap::new();
    for (topic, said) in object(spec.options, STATES.0)? {
        let Some(payloads) = said["payloads"].as_array().filter(|_| is_topic(&topic)) else {
            let help = "write {\"garden/pump/state\": {\"payloads\": [{\"flow\": 3.5}], \"retain\": false}}";
            let what = format!("`{topic}` in `{}` is no topic with its payloads", STATES.0);
            return Err(wrong("options", STATES.0, what, Some(help.to_owned())));
        };
        let state = State { payloads: payloads.clone(), retain: said["retain"] == true };
        states.insert(topic, state);
    }
    entities.all.retain(|e| is_topic(&e.state_topic));
    let mut of = Vec::new();
    for s in &signals {
        let field = s.field();
        let Some(entity) = entities.all.iter().position(|e| e.field == field) else {
            let known: Vec<&str> = entities.all.iter().map(|e| e.field.as_str()).take(20).collect();
            let what =
                format!("`{}` announces no `{field}`, by which `{}` would be said", DISCOVERY.0, s.signal);
            return Err(wrong("map", &s.signal, what, Some(format!("it announces {}", known.join(", ")))));
        };
        of.push(entity);
    }
    let under = |topic: &str| {
        topic.strip_prefix(spec.topic).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut available: Vec<Availability> = Vec::new();
    for a in entities.all.iter().flat_map(|e| &e.available).filter(|a| is_topic(&a.topic)) {
        let is_own = states.contains_key(&a.topic) || under(&a.topic);
        let is_state = entities.all.iter().any(|e| e.state_topic == a.topic);
        if is_own && !is_state && !available.iter().any(|known| known.topic == a.topic) {
            available.push(a.clone());
        }
    }
    for e in &entities.all {
        states.entry(e.state_topic.clone()).or_default();
    }
    Ok(Box::new(Speaks { configs, entities: entities.all, signals, of, states, available, qos }))
}

struct Speaks {
    /// Topics and payloads.
    configs: Vec<(String, String)>,
    entities: Vec<Entity>,
    signals: Vec<Spoken>,
    /// By signal, its entity.
    of: Vec<usize>,
    states: BTreeMap<String, State>,
    /// Where the device itself says whether it is there.
    available: Vec<Availability>,
    /// What its discovery asks for is what it is taken to speak with.
    qos: u8,
}

/// Where a template takes its value from; none where it does not say so plainly.
fn path_of(template: &Template) -> Option<&[String]> {
    match template {
        Template::Whole => Some(&[]),
        Template::Path(path) => Some(path.as_slice()),
        Template::Number(of) => path_of(of),
        Template::Jinja(_) | Template::Refused(_) => None,
    }
}

/// What stands at a path.
fn at<'a>(json: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(json, |at, key| match at {
        Json::Array(list) => list.get(key.parse::<usize>().ok()?),
        other => other.get(key),
    })
}

/// Puts a leaf there, into lists too.
fn put(json: &mut Json, path: &[String], leaf: Json) {
    let Some((first, rest)) = path.split_first() else {
        *json = leaf;
        return;
    };
    if let Json::Array(list) = json {
        if let Some(below) = first.parse::<usize>().ok().and_then(|i| list.get_mut(i)) {
            put(below, rest, leaf);
        }
        return;
    }
    if !json.is_object() {
        *json = Json::Object(Map::new());
    }
    if let Json::Object(map) = json {
        put(map.entry(first.clone()).or_insert(Json::Null), rest, leaf);
    }
}

/// A number in as many digits after the point as a text had, or as it needs.
fn digits(like: &str, v: f64) -> String {
    let after = |text: &str| text.trim().split_once('.').map_or(0, |(_, digits)| digits.len());
    let had = if like.trim().parse::<f64>().is_ok() { after(like) } else { 0 };
    let digits = had.max(after(&v.to_string())).min(15);
    format!("{v:.digits$}")
}

/// What an entity reads in a payload.
fn read(e: &Entity, payload: &Json) -> Option<Value> {
    e.reading(text_of(payload).as_bytes()).ok().flatten()
}

/// Whether an entity reads this value in a payload.
fn meets(e: &Entity, payload: &Json, value: &Value) -> bool {
    let Some(said) = read(e, payload) else { return false };
    match (value, said.number()) {
        // A word is that word, even where another means the same.
        (Value::Text(word), _) => said.to_string() == *word,
        (_, Some(said)) => value.number().is_some_and(|v| (v - said).abs() <= 1e-9 + 1e-12 * v.abs()),
        (_, None) => false,
    }
}

/// A leaf that says a value as the one before it did: as a flag, a number, a word of the entity's own, or in as many digits.
fn like(e: &Entity, before: Option<&Json>, value: &Value) -> Json {
    let v = match value {
        Value::Text(word) => return Json::from(word.as_str()),
        Value::Number(v) => *v,
        Value::Flag(on) => f64::from(u8::from(*on)),
    };
    let on = v >= 0.5;
    let word = if on { &e.on_off.0 } else { &e.on_off.1 };
    match before {
        Some(Json::Bool(_)) => Json::from(on),
        Some(Json::Number(_)) => tree::number(word.parse().unwrap_or(v)),
        _ if !word.is_empty() => Json::from(word.as_str()),
        Some(Json::String(text)) => {
            let was = Value::Text(text.clone());
            Json::from(if was.is_state() { was.likewise(on).to_string() } else { digits(text, v) })
        }
        _ => tree::number(v),
    }
}

/// A payload in which an entity reads this value; the same as before where its template shows no way to that.
fn with(e: &Entity, payload: &Json, value: &Value) -> Json {
    if meets(e, payload, value) {
        return payload.clone();
    }
    let Some(path) = path_of(&e.template) else {
        return sought(e, payload, value).unwrap_or_else(|| payload.clone());
    };
    let mut json = payload.clone();
    put(&mut json, path, like(e, at(payload, path), value));
    json
}

/// The payload with one leaf another, by which a template that computes tells this value.
fn sought(e: &Entity, payload: &Json, value: &Value) -> Option<Json> {
    let mut paths: Vec<Vec<String>> = Vec::new();
    if payload.is_object() {
        tree::leaves(payload, &mut |path, _| paths.push(path.split('/').map(str::to_owned).collect()))
            .ok()?;
    } else {
        paths.push(Vec::new());
    }
    paths.iter().find_map(|path| {
        let before = at(payload, path)?;
        let set = |leaf: Json| {
            let mut json = payload.clone();
            put(&mut json, path, leaf);
            json
        };
        tried(e, before, value.number()?, &set).into_iter().map(set).find(|json| meets(e, json, value))
    })
}

/// What a leaf could be so that an entity reads a number: the number itself, or that of which the template makes it by a factor and
/// a shift; or the other state.
fn tried(e: &Entity, before: &Json, target: f64, set: &dyn Fn(Json) -> Json) -> Vec<Json> {
    let was = tree::value(before);
    if let Some(state) = was.as_ref().filter(|was| was.is_state()) {
        return [true, false].map(|on| tree::json(&state.likewise(on))).into();
    }
    let written = |x: f64| match before {
        Json::String(text) => Json::from(digits(text, x)),
        _ => tree::number(x),
    };
    let mut all = vec![written(target)];
    if let Some(x) = was.and_then(|w| w.number()) {
        let told = |x: f64| read(e, &set(written(x)))?.number();
        let far = 1e3 * x.abs().max(1.0);
        if let (Some(a), Some(b)) = (told(x), told(x + far))
            && a != b
        {
            let meant = x + (target - a) * far / (b - a);
            all.extend([written(meant.round()), written(rounded(meant))]);
        }
    }
    all
}

/// Whether two payloads of commands say the same; the second may say more.
fn says(wanted: &str, told: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let same = |a: &Json, b: &Json| a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a));
    match (as_json(wanted), as_json(told)) {
        (Json::Object(a), Json::Object(b)) => {
            a.iter().all(|(key, value)| b.get(key).is_some_and(|said| same(value, said)))
        }
        (Json::String(a), Json::String(b)) => a == b || number(&a).is_some_and(|a| number(&b) == Some(a)),
        _ => false,
    }
}

/// The texts and numbers that a command may be about.
fn leaves_of(text: &str) -> Vec<Value> {
    let json = as_json(text);
    let mut all = Vec::new();
    if json.is_object() {
        // Of one with more leaves than are walked, those that are.
        let _ = tree::leaves(&json, &mut |_, leaf| all.extend(tree::value(leaf)));
    } else {
        all.push(Value::Text(text.to_owned()));
    }
    all
}

/// The number that a command sets, as who sends it would say it.
fn number_of(way: &Way, text: &str) -> Option<f64> {
    let said = leaves_of(text).into_iter().filter_map(|v| v.number());
    let mut all = said.chain([1.0, 0.0]);
    all.find(|v| way.payload(&Value::Number(*v)).is_ok_and(|payload| says(&payload, text)))
}

/// The word that a command sets.
fn word_of(way: &Way, text: &str) -> Option<Value> {
    let mut words = leaves_of(text).into_iter().filter(|v| matches!(v, Value::Text(_)));
    words.find(|word| way.payload(word).is_ok_and(|payload| says(&payload, text)))
}

impl Speaks {
    /// What it says where others look whether it is there.
    fn presence(&self, a: &Availability, is_there: bool) -> Option<Utterance> {
        let state = self.states.get(&a.topic);
        let last = state.and_then(|state| state.payloads.last());
        let word = Json::from(if is_there { a.online.as_str() } else { a.offline.as_str() });
        let said = match path_of(&a.template) {
            Some([]) => word,
            Some(path) => {
                let mut json = last.cloned().unwrap_or_default();
                put(&mut json, path, word);
                json
            }
            None => last.filter(|_| is_there)?.clone(),
        };
        Some(say(a.topic.clone(), text_of(&said), self.qos, state.is_none_or(|state| state.retain)))
    }

    /// Of the messages on a topic the one that tells of these entities, and of the fewest others.
    fn fitting(&self, topic: &str, told: &[(usize, Value)]) -> usize {
        let payloads = self.states.get(topic).map(|state| state.payloads.as_slice()).unwrap_or_default();
        let score = |payload: &Json| -> i32 {
            let here = self.of.iter().filter(|e| self.entities[**e].state_topic == topic);
            let of_one = |e: &usize| -> i32 {
                let is_told = told.iter().any(|(other, _)| other == e);
                match (is_told, read(&self.entities[*e], payload).is_some()) {
                    (true, true) => 2,
                    (false, true) => -1,
                    _ => 0,
                }
            };
            here.map(of_one).sum()
        };
        if payloads.len() < 2 {
            return 0;
        }
        payloads.iter().enumerate().max_by_key(|(_, payload)| score(payload)).map_or(0, |(at, _)| at)
    }

    /// What it says on a topic with these values.
    fn state(&mut self, topic: &str, values: &[f64]) -> Option<Utterance> {
        let told: Vec<(usize, Value)> = self
            .signals
            .iter()
            .zip(values)
            .zip(&self.of)
            .filter(|((_, v), e)| v.is_finite() && self.entities[**e].state_topic == topic)
            .map(|((s, v), e)| (*e, Value::Number(s.said(*v))))
            .collect();
        let at = self.fitting(topic, &told);
        let state = self.states.get_mut(topic)?;
        if state.payloads.is_empty() {
            let (first, _) = told.first()?;
            let is_plain = matches!(self.entities[*first].template, Template::Whole);
            state.payloads.push(if is_plain { Json::from("") } else { Json::Object(Map::new()) });
        }
        let mut payload = state.payloads.get(at)?.clone();
        for (e, value) in &told {
            payload = with(&self.entities[*e], &payload, value);
        }
        state.payloads[at].clone_from(&payload);
        Some(say(topic, text_of(&payload), self.qos, state.retain))
    }

    /// The topics of states on which no value is that its readings change.
    fn still(&self) -> Vec<String> {
        let topics: BTreeSet<&str> = self.entities.iter().map(|e| e.state_topic.as_str()).collect();
        let is_still = |topic: &&str| {
            let is_read = self.of.iter().any(|e| self.entities[*e].state_topic == **topic);
            !is_read && !self.is_unheard(topic)
        };
        topics.into_iter().filter(is_still).map(str::to_owned).collect()
    }

    fn is_unheard(&self, topic: &str) -> bool {
        self.states.get(topic).is_none_or(|state| state.payloads.is_empty())
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        let told = self.entities.iter().filter_map(|e| e.way.as_ref()).map(|way| way.topic.clone());
        let all: BTreeSet<String> = told.chain([format!("{PREFIX}/status")]).collect();
        all.into_iter().collect()
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        self.available.first().and_then(|a| self.presence(a, false))
    }
    fn connect(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let config = |(topic, text): &(String, String)| say(topic.clone(), text.as_str(), self.qos, true);
        out.extend(self.configs.iter().map(config));
        out.extend(self.available.iter().filter_map(|a| self.presence(a, true)));
        for topic in self.still() {
            out.extend(self.state(&topic, report.values));
        }
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let read = self.of.iter().zip(report.values).filter(|(_, v)| v.is_finite());
        let topics: BTreeSet<String> = read.map(|(e, _)| self.entities[*e].state_topic.clone()).collect();
        for topic in topics {
            out.extend(self.state(&topic, report.values));
        }
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Ok(text) = tree::text(heard.payload) else { return };
        for (i, e) in self.of.iter().enumerate() {
            let way = self.entities[*e].way.as_deref().filter(|way| way.topic == heard.topic);
            let value = way.and_then(|way| number_of(way, text));
            set.extend(value.map(|v| (i, self.signals[i].heard(v))));
        }
    }
    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let Ok(text) = tree::text(heard.payload) else { return };
        let mut topics = BTreeSet::new();
        for (n, e) in self.entities.iter().enumerate() {
            let Some(way) = e.way.as_deref().filter(|way| way.topic == heard.topic) else { continue };
            if self.of.contains(&n) {
                topics.extend(number_of(way, text).map(|_| e.state_topic.clone()));
            } else if let Some(word) = word_of(way, text) {
                let state = self.states.get_mut(&e.state_topic);
                if let Some(last) = state.and_then(|state| state.payloads.last_mut()) {
                    *last = with(e, last, &word);
                    topics.insert(e.state_topic.clone());
                }
            }
        }
        for topic in topics {
            out.extend(self.state(&topic, report.values));
        }
        // Home Assistant has started anew: discovery is told again, and the states after it.
        if heard.topic.strip_prefix(PREFIX) == Some("/status") && text == "online" {
            self.connect(report, out);
            self.report(report, out);
        }
    }
}
