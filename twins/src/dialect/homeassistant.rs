//! Home Assistant's MQTT discovery: retained configurations, a device's single entities or all of them in one, that say which
//! topic carries what.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut ear = find("homeassistant").unwrap().listener(Some("garden/pump"));
//! let mut facts = Facts::default();
//! let config = br#"{"~":"garden/pump","stat_t":"~/state","val_tpl":"{{ value_json.t }}","unit_of_meas":"\u00b0C","uniq_id":"p_t"}"#;
//! ear.hear(&Heard { topic: "homeassistant/sensor/pump/t/config", payload: config, retain: true }, &mut facts).unwrap();
//! ear.hear(&Heard { topic: "garden/pump/state", payload: br#"{"t":21.5}"#, retain: false }, &mut facts).unwrap();
//! assert_eq!(facts.values_of("garden/pump")["p_t"], 21.5);
//! ```

use super::{
    Asked, Dialect, Listener, Spoken, UNITS,
    facts::{Fact, Facts, Value},
    hardware_address, hex, names, never, object, option, said_in, say, spoken,
    template::{self, Template},
    tree, wrong,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct HomeAssistant;

const OPTIONS: [(&str, &str); 4] = [
    (
        "commands",
        "a JSON object, signal to the component by which it can be set: \"switch\", \"light\", \"fan\", \"siren\", \"number\"",
    ),
    ("form", "\"device\" (default): one configuration for all its entities; \"single\": one an entity"),
    ("prefix", "the discovery prefix, \"homeassistant\" by default"),
    UNITS,
];

/// The discovery prefix that nobody changes.
pub const PREFIX: &str = "homeassistant";
/// Entities that are remembered, and how much is taken of one's configuration, [bytes].
const MAX_ENTITIES: usize = 8192;
const MAX_ENTITY_BYTES: usize = 8192;
/// Longest topic of commands, [bytes].
const MAX_TOPIC_BYTES: usize = 1024;
/// Entities that one message may speak of: each may be a template that takes its time.
const MAX_LISTENING: usize = 512;

impl Dialect for HomeAssistant {
    fn name(&self) -> &'static str {
        "homeassistant"
    }
    fn about(&self) -> &'static str {
        "Home Assistant MQTT discovery, single and device form, with availability"
    }
    fn source(&self) -> &'static str {
        "home-assistant.io/integrations/mqtt: MQTT discovery, discovery payload, availability"
    }
    fn address(&self) -> &'static str {
        "the base below which the device's state and availability topics lie, such as \"garden/pump\""
    }
    fn filters(&self, address: &str) -> Vec<String> {
        vec![format!("{PREFIX}/+/+/config"), format!("{PREFIX}/+/+/+/config"), format!("{address}/#")]
    }
    fn owns(&self, topic: &str) -> bool {
        topic.strip_prefix(PREFIX).is_some_and(|t| t.starts_with('/'))
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears { address: address.map(str::to_owned), entities: Entities::default() })
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn commands(&self) -> bool {
        true
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let single = option(spec.options, "form", &["device", "single"])? == "single";
        let prefix = spec.options.get("prefix").map_or(PREFIX, String::as_str).to_owned();
        let signals =
            spoken(spec, |part, quantity| vec![format!("{}_{}", names::plain(part), names::plain(quantity))]);
        let signals = said_in(signals, spec.options)?;
        let mut commands = BTreeMap::new();
        for (signal, component) in object(spec.options, "commands")? {
            let known = SETTABLE.iter().find(|c| component.as_str() == Some(c));
            let place = signals.iter().position(|s| s.signal == signal);
            let (Some(place), Some(component)) = (place, known) else {
                let what = format!("`{signal}` cannot be set as {component}");
                let help = format!("a signal that the device reports, and one of {}", SETTABLE.join(", "));
                return Err(wrong("options", "commands", what, Some(help)));
            };
            commands.insert(place, *component);
        }
        let id = names::plain(spec.device);
        let mac = hex(hardware_address(spec.device), false);
        Ok(Box::new(Speaks {
            base: spec.topic.to_owned(),
            device: spec.device.to_owned(),
            id,
            mac,
            prefix,
            single,
            signals,
            commands,
        }))
    }
}

/// Components that a double can be set by: one that is a number, and those that are on or off.
pub(super) const SETTABLE: [&str; 5] = ["number", "switch", "light", "fan", "siren"];

/// How an entity is told what to be.
#[derive(Clone, Debug, PartialEq)]
struct Way {
    topic: String,
    /// Payloads for on and off, open and closed; empty where it takes values.
    on_off: (String, String),
    template: Box<str>,
    qos: u8,
    retain: bool,
    /// Whether it takes a JSON object with its state.
    json: bool,
}

/// An entity as its configuration describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entity {
    /// Its configuration's topic, and the component within it for the device form.
    key: String,
    /// What tells it apart within its device: the end of its unique id, or its object id.
    pub(super) field: String,
    /// The device it belongs to.
    pub(super) group: String,
    pub(super) state_topic: String,
    template: Template,
    pub(super) unit: String,
    pub(super) quantity: String,
    /// Payloads of a binary entity that mean on and off.
    on_off: (String, String),
    /// Topic, online, offline.
    available: Vec<(String, String, String, Template)>,
    pub(super) about: [String; 4],
    /// What it is: `sensor`, `switch`; one of those known.
    pub(super) component: &'static str,
    /// None where it only measures.
    way: Option<Box<Way>>,
    /// After how long its value is none any more (`expire_after`), [s].
    expires_s: Option<f64>,
}

/// Components by name, those that commands are known of among them.
const COMPONENTS: [&str; 13] = [
    "sensor",
    "binary_sensor",
    "switch",
    "light",
    "fan",
    "siren",
    "cover",
    "valve",
    "lock",
    "number",
    "select",
    "text",
    "humidifier",
];

impl Way {
    fn of(component: &str, map: &Map<String, Json>) -> Option<Self> {
        let words = |(long, short, default): (&str, &str, &str)| {
            let said = text(map, long, short);
            if said.is_empty() { default.to_owned() } else { said.to_owned() }
        };
        let on_off = match component {
            "switch" | "light" | "fan" | "siren" | "humidifier" => {
                [("payload_on", "pl_on", "ON"), ("payload_off", "pl_off", "OFF")]
            }
            "cover" | "valve" => [("payload_open", "pl_open", "OPEN"), ("payload_close", "pl_cls", "CLOSE")],
            "lock" => [("payload_lock", "pl_lock", "LOCK"), ("payload_unlock", "pl_unlk", "UNLOCK")],
            "number" | "select" | "text" => [("", "", ""), ("", "", "")],
            _ => return None,
        }
        .map(words);
        let topic = topic(map, "command_topic", "cmd_t");
        // What a broker keeps for itself is nobody's to be told: a discovery may come from anyone who can publish one.
        let odd = |c: char| c.is_control() || matches!(c, '+' | '#');
        if topic.is_empty() || topic.starts_with('$') || topic.len() > MAX_TOPIC_BYTES || topic.contains(odd)
        {
            return None;
        }
        let qos = map.get("qos").and_then(Json::as_u64).and_then(|q| u8::try_from(q).ok()).unwrap_or(1);
        let [on, off] = on_off;
        Some(Self {
            topic,
            on_off: (on, off),
            template: text(map, "command_template", "cmd_tpl").into(),
            qos: qos.clamp(1, 2),
            retain: get(map, "retain", "ret").and_then(Json::as_bool).unwrap_or(false),
            json: text(map, "schema", "schema") == "json",
        })
    }

    /// The payload that says this value; none where it takes no such one.
    fn payload(&self, value: &Value) -> Option<String> {
        let word = match value.number() {
            _ if self.on_off.0.is_empty() => value.to_string(),
            Some(v) if v == 0.0 || v == 1.0 => {
                let on = v == 1.0;
                if self.json {
                    return Some(json!({"state": if on { "ON" } else { "OFF" }}).to_string());
                }
                if on { self.on_off.0.clone() } else { self.on_off.1.clone() }
            }
            _ => return None,
        };
        if self.template.is_empty() { Some(word) } else { template::written(&self.template, &word) }
    }
}

/// The entities that were heard of.
#[derive(Debug, Default)]
pub(super) struct Entities {
    pub(super) all: Vec<Entity>,
}

/// The long form of a key that discovery may abbreviate.
fn get<'a>(map: &'a Map<String, Json>, long: &str, short: &str) -> Option<&'a Json> {
    map.get(long).or_else(|| map.get(short))
}

fn text<'a>(map: &'a Map<String, Json>, long: &str, short: &str) -> &'a str {
    get(map, long, short).and_then(Json::as_str).unwrap_or_default()
}

/// How long the texts of a value are, taken together.
fn text_bytes(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(list) => list.iter().map(text_bytes).sum(),
        Json::Object(map) => map.iter().map(|(key, value)| key.len() + text_bytes(value)).sum(),
        _ => 0,
    }
}

/// A topic with `~` in place.
fn topic(map: &Map<String, Json>, long: &str, short: &str) -> String {
    let base = map.get("~").and_then(Json::as_str).unwrap_or_default();
    let given = text(map, long, short);
    if let Some(rest) = given.strip_prefix('~') {
        format!("{base}{rest}")
    } else if let Some(head) = given.strip_suffix('~') {
        format!("{head}{base}")
    } else {
        given.to_owned()
    }
}

impl Entities {
    /// Takes a configuration in; whether the topic was one.
    pub(super) fn config(&mut self, topic_heard: &str, payload: &[u8]) -> Result<bool, DecodeError> {
        let Some(rest) = topic_heard.strip_prefix(PREFIX).and_then(|t| t.strip_prefix('/')) else {
            return Ok(false);
        };
        let Some(rest) = rest.strip_suffix("/config") else { return Ok(false) };
        let levels: Vec<&str> = rest.split('/').collect();
        let (component, id) = match levels.as_slice() {
            [component, id] | [component, _, id] => (*component, *id),
            _ => return Ok(false),
        };
        if topic_heard.len() > MAX_ENTITY_BYTES {
            return Err(DecodeError::TooMuch);
        }
        self.all.retain(|e| e.key != topic_heard);
        if payload.is_empty() {
            return Ok(true);
        }
        let Json::Object(mut root) = tree::read(payload)? else { return Err(DecodeError::Shape) };
        if component != "device" {
            self.add(topic_heard, component, id, &root);
            return Ok(true);
        }
        let components = root.remove("cmps").or_else(|| root.remove("components"));
        let Some(Json::Object(components)) = components else { return Err(DecodeError::Shape) };
        for (key, own) in components.into_iter().take(tree::MAX_LEAVES) {
            let Json::Object(own) = own else { continue };
            // What the device says at its top holds for each, unless that says otherwise.
            let mut merged = root.clone();
            merged.extend(own);
            let platform = text(&merged, "platform", "p").to_owned();
            self.add(topic_heard, &platform, &key, &merged);
        }
        Ok(true)
    }

    fn add(&mut self, key: &str, component: &str, id: &str, map: &Map<String, Json>) {
        let state_topic = topic(map, "state_topic", "stat_t");
        let bytes: usize = map.iter().map(|(key, value)| key.len() + text_bytes(value)).sum();
        if state_topic.is_empty() || self.all.len() >= MAX_ENTITIES || bytes > MAX_ENTITY_BYTES {
            return;
        }
        let empty = Map::new();
        let device = get(map, "device", "dev").and_then(Json::as_object).unwrap_or(&empty);
        let group = match get(device, "identifiers", "ids") {
            Some(Json::Array(list)) => list.first().and_then(Json::as_str).unwrap_or_default().to_owned(),
            Some(Json::String(s)) => s.clone(),
            _ => String::new(),
        };
        let unique = text(map, "unique_id", "uniq_id");
        let field = if unique.is_empty() { id } else { unique };
        let on = |long, short, default: &str| {
            let said = text(map, long, short);
            if said.is_empty() { default.to_owned() } else { said.to_owned() }
        };
        let binary = matches!(component, "binary_sensor" | "switch" | "light" | "fan" | "siren");
        let mut available = Vec::new();
        let of = |m: &Map<String, Json>, topic: String, template: &str| {
            let word = |long, short, default: &str| {
                let said = text(m, long, short);
                if said.is_empty() { default.to_owned() } else { said.to_owned() }
            };
            (
                topic,
                word("payload_available", "pl_avail", "online"),
                word("payload_not_available", "pl_not_avail", "offline"),
                Template::read(template),
            )
        };
        let direct = topic(map, "availability_topic", "avty_t");
        if !direct.is_empty() {
            available.push(of(map, direct, text(map, "availability_template", "avty_tpl")));
        }
        for one in get(map, "availability", "avty").and_then(Json::as_array).into_iter().flatten().take(8) {
            let Some(one) = one.as_object() else { continue };
            let mut with_base = one.clone();
            if let Some(base) = map.get("~") {
                with_base.insert("~".to_owned(), base.clone());
            }
            let place = topic(&with_base, "topic", "t");
            available.push(of(one, place, text(one, "value_template", "val_tpl")));
        }
        let about = [("name", "name"), ("model", "mdl"), ("manufacturer", "mf"), ("sw_version", "sw")];
        self.all.push(Entity {
            key: key.to_owned(),
            field: field.to_owned(),
            group,
            state_topic,
            template: Template::read(text(map, "value_template", "val_tpl")),
            unit: names::unit_of(text(map, "unit_of_measurement", "unit_of_meas")),
            quantity: text(map, "device_class", "dev_cla").to_owned(),
            on_off: if binary {
                (on("payload_on", "pl_on", "ON"), on("payload_off", "pl_off", "OFF"))
            } else {
                Default::default()
            },
            available,
            about: about.map(|(long, short)| text(device, long, short).to_owned()),
            component: COMPONENTS.iter().find(|c| **c == component).copied().unwrap_or_default(),
            way: Way::of(component, map).map(Box::new),
            expires_s: get(map, "expire_after", "exp_aft").and_then(Json::as_f64).filter(|s| *s > 0.0),
        });
    }

    /// The base of each group of entities: what their state and availability topics have in common, whole levels.
    fn bases(&self) -> BTreeMap<String, String> {
        let mut bases: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for e in &self.all {
            let own = e.available.iter().map(|(t, ..)| t).chain([&e.state_topic]);
            for t in own {
                let mut levels: Vec<&str> = t.split('/').collect();
                levels.pop();
                let group = if e.group.is_empty() { &e.state_topic } else { &e.group };
                match bases.get_mut(group) {
                    None => drop(bases.insert(group.clone(), levels)),
                    Some(common) => {
                        let same = common.iter().zip(&levels).take_while(|(a, b)| a == b).count();
                        // Availability that many devices share, a bridge's, is no part of the device.
                        if same > 0 {
                            common.truncate(same);
                        }
                    }
                }
            }
        }
        bases.into_iter().map(|(g, levels)| (g, levels.join("/"))).collect()
    }
}

struct Hears {
    address: Option<String>,
    entities: Entities,
}

impl Hears {
    fn under(&self, topic: &str) -> bool {
        let address = self.address.as_deref().unwrap_or_default();
        topic.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        let before = self.entities.all.len();
        if self.entities.config(heard.topic, heard.payload)? {
            if self.address.is_some() {
                let kept = std::mem::take(&mut self.entities.all);
                self.entities.all = kept.into_iter().filter(|e| self.under(&e.state_topic)).collect();
            }
            if let Some(device) = &self.address {
                // The device is silent when the last of them has expired.
                let longest = self.entities.all.iter().filter_map(|e| e.expires_s).max_by(f64::total_cmp);
                let device = device.clone();
                facts.0.extend(longest.map(|allowed_s| Fact::Silence { device, allowed_s }));
            }
            let bases = if self.address.is_none() { self.entities.bases() } else { BTreeMap::new() };
            let from = if self.address.is_some() { 0 } else { before.min(self.entities.all.len()) };
            for e in self.entities.all.iter().skip(from).filter(|e| e.key == heard.topic) {
                let device = self.address.clone().unwrap_or_else(|| base_of(e, &bases));
                facts.0.push(Fact::Declared {
                    device: device.clone(),
                    field: e.field.clone(),
                    unit: e.unit.clone(),
                    quantity: e.quantity.clone(),
                    topic: e.state_topic.clone(),
                    kind: e.component,
                });
                if let Some(why) = e.template.refused() {
                    facts.unread(&device, &e.field, why);
                }
                for (key, said) in ["name", "model", "manufacturer", "firmware"].into_iter().zip(&e.about) {
                    facts.about(&device, key, said);
                }
            }
            return Ok(());
        }
        if !self.entities.all.iter().any(|e| e.concerns(heard.topic)) {
            return Ok(());
        }
        let bases = if self.address.is_none() { self.entities.bases() } else { BTreeMap::new() };
        let mut read = Ok(());
        for (n, e) in self.entities.all.iter().filter(|e| e.concerns(heard.topic)).enumerate() {
            if n >= MAX_LISTENING {
                return Err(DecodeError::TooMuch);
            }
            let device = self.address.clone().unwrap_or_else(|| base_of(e, &bases));
            // One that cannot be read is no reason to leave the others unread.
            read = read.and(e.hear(&device, heard, facts));
        }
        read
    }

    fn command(&self, address: &str, &Asked { field, value, .. }: &Asked<'_>) -> Result<Utterance, Unasked> {
        let bases = if self.address.is_none() { self.entities.bases() } else { BTreeMap::new() };
        let is_it =
            |e: &&Entity| e.field == field && (self.address.is_some() || base_of(e, &bases) == address);
        let Some(entity) = self.entities.all.iter().find(is_it) else {
            return Err(Unasked::NotYet(format!(
                "`{field}`: no discovery of it was heard, so its topic of commands is not known"
            )));
        };
        let Some(way) = &entity.way else {
            return Err(never(field, "its discovery names no topic of commands: it only measures"));
        };
        match way.payload(value) {
            Some(payload) => Ok(say(way.topic.clone(), payload, way.qos, way.retain)),
            None => {
                Err(never(field, "it is on (1) or off (0), or its template of commands is not understood"))
            }
        }
    }
}

fn base_of(e: &Entity, bases: &BTreeMap<String, String>) -> String {
    let group = if e.group.is_empty() { &e.state_topic } else { &e.group };
    bases.get(group).cloned().unwrap_or_default()
}

impl Entity {
    fn concerns(&self, topic: &str) -> bool {
        self.state_topic == topic || self.available.iter().any(|(t, ..)| t == topic)
    }

    /// What a state or availability message says of this entity.
    pub(super) fn hear(&self, device: &str, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        for (topic, on, off, template) in &self.available {
            if topic == heard.topic
                && let Ok(Some(said)) = template.value(heard.payload)
            {
                let said = said.to_string();
                if said == *on || said == *off {
                    facts.online(device, said == *on);
                }
            }
        }
        if self.state_topic != heard.topic {
            return Ok(());
        }
        let Some(mut value) = self.template.value(heard.payload)? else { return Ok(()) };
        if !self.on_off.0.is_empty() {
            let said = value.to_string();
            if said == self.on_off.0 || said == self.on_off.1 {
                value = Value::Flag(said == self.on_off.0);
            }
        }
        facts.value(device, self.field.clone(), value, self.unit.clone(), None);
        Ok(())
    }
}

struct Speaks {
    base: String,
    device: String,
    id: String,
    mac: String,
    prefix: String,
    single: bool,
    signals: Vec<Spoken>,
    /// By signal, the component by which it can be set.
    commands: BTreeMap<usize, &'static str>,
}

/// The sensor's part of a configuration: what it measures, and in which unit.
pub(super) fn sensor(s: &Spoken) -> Map<String, Json> {
    let quantity = s.signal.rsplit('.').next().unwrap_or_default();
    let mut map = Map::new();
    let unit = names::spelled(&s.said_unit);
    let class = names::device_class(quantity, unit);
    if let Some(class) = class {
        map.insert("device_class".to_owned(), Json::from(class));
    }
    if !unit.is_empty() {
        map.insert("unit_of_measurement".to_owned(), Json::from(unit));
    }
    map.insert("state_class".to_owned(), Json::from(names::state_class(class)));
    map
}

/// How a template names a member of the state. What is no identifier of Jinja's has to be quoted, and so has what a dictionary
/// has a method of that name for, or what is a word of the language.
fn member(field: &str) -> String {
    const WORDS: [&str; 21] = [
        "and",
        "clear",
        "copy",
        "else",
        "false",
        "fromkeys",
        "get",
        "if",
        "in",
        "is",
        "items",
        "keys",
        "none",
        "not",
        "or",
        "pop",
        "popitem",
        "setdefault",
        "true",
        "update",
        "values",
    ];
    let mut letters = field.bytes();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    if first && letters.all(|c| c.is_ascii_alphanumeric() || c == b'_') && !WORDS.contains(&field) {
        return format!("value_json.{field}");
    }
    format!("value_json['{}']", field.replace('\\', "\\\\").replace('\'', "\\'"))
}

impl Speaks {
    fn kind(&self, signal: usize) -> &'static str {
        self.commands.get(&signal).copied().unwrap_or("sensor")
    }

    fn command_topic(&self, s: &Spoken) -> String {
        format!("{}/{}/set", self.base, s.path.join("_"))
    }

    /// The signal that a topic sets.
    fn asked(&self, topic: &str) -> Option<usize> {
        self.commands.keys().copied().find(|i| self.command_topic(&self.signals[*i]) == topic)
    }

    fn component(&self, i: usize) -> Map<String, Json> {
        let s = &self.signals[i];
        let field = s.path.join("_");
        let mut map = match self.kind(i) {
            "sensor" => sensor(s),
            kind => {
                let mut map = sensor(s);
                map.remove("state_class");
                if kind == "number" {
                    // Home Assistant has 1 to 100 where none is said.
                    map.extend(
                        [("min", -1e6), ("max", 1e6), ("step", 0.001)]
                            .map(|(k, v)| (k.to_owned(), Json::from(v))),
                    );
                } else {
                    map.clear();
                }
                map.insert("command_topic".to_owned(), Json::from(self.command_topic(s)));
                map
            }
        };
        map.insert("name".to_owned(), Json::from(s.signal.replace(['.', '_'], " ")));
        map.insert("unique_id".to_owned(), Json::from(format!("{}_{field}", self.id)));
        map.insert("value_template".to_owned(), Json::from(format!("{{{{ {} }}}}", member(&field))));
        map
    }

    fn common(&self) -> Map<String, Json> {
        let common = json!({
            "state_topic": format!("{}/state", self.base),
            "availability_topic": format!("{}/availability", self.base),
        });
        common.as_object().cloned().unwrap_or_default()
    }

    fn about(&self) -> Json {
        json!({"identifiers": [self.mac], "name": self.device, "manufacturer": "Twinfleet", "model": "virtual device", "sw_version": env!("CARGO_PKG_VERSION")})
    }

    fn origin() -> Json {
        json!({"name": "twinfleet", "sw_version": env!("CARGO_PKG_VERSION")})
    }

    fn configs(&self, out: &mut Vec<Utterance>) {
        if self.single {
            for (i, s) in self.signals.iter().enumerate() {
                let mut map = self.component(i);
                map.extend(self.common());
                map.insert("device".to_owned(), self.about());
                map.insert("origin".to_owned(), Self::origin());
                let topic =
                    format!("{}/{}/{}/{}/config", self.prefix, self.kind(i), self.id, s.path.join("_"));
                out.push(say(topic, Json::Object(map).to_string(), 1, true));
            }
            return;
        }
        let mut components = Map::new();
        for (i, s) in self.signals.iter().enumerate() {
            let mut map = self.component(i);
            map.insert("p".to_owned(), Json::from(self.kind(i)));
            components.insert(s.path.join("_"), Json::Object(map));
        }
        let mut root = self.common();
        root.insert("dev".to_owned(), self.about());
        root.insert("o".to_owned(), Self::origin());
        root.insert("cmps".to_owned(), Json::Object(components));
        root.insert("qos".to_owned(), Json::from(1));
        out.push(say(
            format!("{}/device/{}/config", self.prefix, self.id),
            Json::Object(root).to_string(),
            1,
            true,
        ));
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        let commands = self.commands.keys().map(|i| self.command_topic(&self.signals[*i]));
        std::iter::once(format!("{}/status", self.prefix)).chain(commands).collect()
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        Some(say(format!("{}/availability", self.base), "offline", 1, true))
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        self.configs(out);
        out.push(say(format!("{}/availability", self.base), "online", 1, true));
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut state = Map::new();
        for (i, (s, v)) in
            self.signals.iter().zip(report.values).enumerate().filter(|(_, (_, v))| v.is_finite())
        {
            let said = match self.kind(i) {
                "sensor" | "number" => tree::number(s.said(*v)),
                _ => Json::from(if *v >= 0.5 { "ON" } else { "OFF" }),
            };
            state.insert(s.path.join("_"), said);
        }
        out.push(say(format!("{}/state", self.base), Json::Object(state).to_string(), 1, false));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Some(i) = self.asked(heard.topic) else { return };
        let value = tree::text(heard.payload).ok().and_then(|text| Value::Text(text.to_owned()).number());
        set.extend(value.map(|v| (i, self.signals[i].heard(v))));
    }
    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        if self.asked(heard.topic).is_some() {
            return self.report(report, out);
        }
        // Home Assistant has started anew: discovery is told again, and the state after it.
        if heard.payload == b"online" {
            self.configs(out);
            self.report(report, out);
        }
    }
}
