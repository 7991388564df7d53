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

mod bases;
mod climate;
mod own;
mod several;
mod voice;
mod way;

use self::{bases::bases, own::Memory, voice::Speaks, way::Way};
pub(super) use self::{
    own::{DISCOVERY, configs},
    voice::sensor,
};
use super::{
    Asked, Dialect, Listener, UNITS,
    facts::{Fact, Facts, Value},
    hardware_address, hex, names, never, object, option, said_in, say, spoken,
    template::Template,
    tree, wrong,
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct HomeAssistant;

const OPTIONS: [(&str, &str); 6] = [
    (
        "commands",
        "a JSON object, signal to the component by which it can be set: \"switch\", \"light\", \"fan\", \"siren\", \"number\", \"climate\"",
    ),
    DISCOVERY,
    (
        "form",
        "\"device\" (default): one configuration for all its entities; \"single\": one an entity; \"short\": that with abbreviated keys and topics below `~`",
    ),
    ("prefix", "the discovery prefix, \"homeassistant\" by default"),
    own::STATES,
    UNITS,
];

/// Where gateways say whether they are there, below a topic that they share with what is behind them.
const GATEWAY_AVAILABILITY: [&str; 3] = ["LWT", "status", "availability"];
/// The discovery prefix that nobody changes.
pub const PREFIX: &str = "homeassistant";
/// What the ids of the twins begin with that a mirror of ours announces, and who these are said to be of.
pub const TWIN_PREFIX: &str = "twinfleet_";
/// See [`TWIN_PREFIX`].
pub const TWIN_MANUFACTURER: &str = "Twinfleet";
/// Entities that are remembered, and how much is taken of one's configuration, [bytes].
const MAX_ENTITIES: usize = 8192;
const MAX_ENTITY_BYTES: usize = 8192;
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
        "the base below which the device's state and availability topics lie, such as \"garden/pump\", or its one state topic"
    }
    fn filters(&self, address: &str) -> Vec<String> {
        let mut all =
            vec![format!("{PREFIX}/+/+/config"), format!("{PREFIX}/+/+/+/config"), format!("{address}/#")];
        // A gateway, of which a configuration may say that all behind it is gone with it, says so above them.
        for (at, _) in address.match_indices('/') {
            all.extend(GATEWAY_AVAILABILITY.map(|own| format!("{}/{own}", &address[..at])));
        }
        all
    }
    fn owns(&self, topic: &str) -> bool {
        topic.strip_prefix(PREFIX).is_some_and(|t| t.starts_with('/'))
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears {
            address: address.map(str::to_owned),
            entities: Entities::default(),
            unsettled: 0,
            memory: address.is_none().then(Memory::default),
            early: BTreeMap::new(),
        })
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn commands(&self) -> bool {
        true
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let form = match option(spec.options, "form", &["device", "single", "short"])? {
            "single" => voice::Form::Single,
            "short" => voice::Form::Short,
            _ => voice::Form::Device,
        };
        let prefix = spec.options.get("prefix").map_or(PREFIX, String::as_str).to_owned();
        let signals =
            spoken(spec, |part, quantity| vec![format!("{}_{}", names::plain(part), names::plain(quantity))]);
        let signals = said_in(signals, spec.options)?;
        if spec.options.contains_key(DISCOVERY.0) {
            return own::voice(spec, signals);
        }
        let mut commands = BTreeMap::new();
        for (signal, component) in object(spec.options, "commands")? {
            let known = SETTABLE.iter().find(|c| component.as_str() == Some(c));
            let place = signals.iter().position(|s| s.signal == signal);
            // A climate is told its target in one of two units.
            let is_degrees = |i: &usize| matches!(signals[*i].said_unit.as_str(), "degC" | "degF");
            let place = place.filter(|i| known != Some(&"climate") || is_degrees(i));
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
            form,
            signals,
            commands,
        }))
    }
}

/// Components that a double can be set by: those that are a number, and those that are on or off.
pub(super) const SETTABLE: [&str; 6] = ["number", "climate", "switch", "light", "fan", "siren"];

/// Where an entity is told whether it is there.
#[derive(Clone, Debug, PartialEq)]
struct Availability {
    topic: String,
    online: String,
    offline: String,
    template: Template,
    /// What was last said there.
    said: Option<bool>,
}

/// What an entity's availabilities mean together (`availability_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Together {
    All,
    Any,
    Latest,
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
    /// Where it is told whether it is there, and what many of these mean together.
    available: Vec<Availability>,
    together: Together,
    /// The device that it was last declared of; none before it was.
    declared: Option<String>,
    /// Where one device is listened to: whether it is of another one behind that, whose presence is not its own.
    is_behind: bool,
    pub(super) about: [String; 4],
    /// What it is: `sensor`, `switch`; one of those known.
    pub(super) component: &'static str,
    /// How its device announces it: the option `form` of a voice.
    form: &'static str,
    /// None where it only measures.
    way: Option<Box<Way>>,
    /// After how long its value is none any more (`expire_after`), [s].
    expires_s: Option<f64>,
}

/// Components by name, those that commands are known of among them.
const COMPONENTS: [&str; 14] = [
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
    "climate",
];

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

/// The same, or what Home Assistant takes where none is said.
fn text_or(map: &Map<String, Json>, long: &str, short: &str, default: &str) -> String {
    let said = text(map, long, short);
    if said.is_empty() { default } else { said }.to_owned()
}

/// The device that a configuration is of, by the first of its identifiers; empty where it names none.
fn group_of(map: &Map<String, Json>) -> String {
    let device = get(map, "device", "dev").and_then(Json::as_object);
    match device.and_then(|device| get(device, "identifiers", "ids")) {
        Some(Json::Array(list)) => list.first().and_then(Json::as_str).unwrap_or_default().to_owned(),
        Some(Json::String(s)) => s.clone(),
        _ => String::new(),
    }
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

/// Whether a configuration is that of a whole device.
fn is_of_device(topic: &str) -> bool {
    topic.strip_prefix(PREFIX).is_some_and(|t| t.starts_with("/device/"))
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
        let old: Vec<Entity> = self.all.extract_if(.., |e| e.key == topic_heard).collect();
        if payload.is_empty() {
            return Ok(true);
        }
        let before = self.all.len();
        let read = self.read(topic_heard, component, id, payload);
        // A configuration that is told again takes back nothing of what was heard.
        for e in &mut self.all[before..] {
            let Some(same) = old.iter().find(|o| o.field == e.field) else { continue };
            for a in &mut e.available {
                let is_it = |o: &&Availability| (&o.topic, &o.online) == (&a.topic, &a.online);
                a.said = same.available.iter().find(is_it).and_then(|o| o.said);
            }
        }
        read
    }

    /// The entities of a configuration.
    fn read(
        &mut self,
        topic_heard: &str,
        component: &str,
        id: &str,
        payload: &[u8],
    ) -> Result<bool, DecodeError> {
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
        let bytes: usize = map.iter().map(|(key, value)| key.len() + text_bytes(value)).sum();
        if bytes > MAX_ENTITY_BYTES {
            return;
        }
        let (own, further) = match component {
            "climate" => (None, climate::parts(id, map)),
            "light" if several::is_json(map) => (None, several::of_json_light(id, map)),
            _ => (Some(map), several::parts(component, id, map)),
        };
        if let Some(own) = own {
            self.add_one(key, component, id, own);
        }
        further.iter().for_each(|(component, own)| self.add_one(key, component, id, own));
    }

    fn add_one(&mut self, key: &str, component: &str, id: &str, map: &Map<String, Json>) {
        let state_topic = topic(map, "state_topic", "stat_t");
        if state_topic.is_empty() || self.all.len() >= MAX_ENTITIES {
            return;
        }
        let empty = Map::new();
        let device = get(map, "device", "dev").and_then(Json::as_object).unwrap_or(&empty);
        let mut available = Vec::new();
        let of = |m: &Map<String, Json>, topic: String, template: &str| Availability {
            topic,
            online: text_or(m, "payload_available", "pl_avail", "online"),
            offline: text_or(m, "payload_not_available", "pl_not_avail", "offline"),
            template: Template::read(template),
            said: None,
        };
        let direct = topic(map, "availability_topic", "avty_t");
        if !direct.is_empty() {
            available.push(of(map, direct, text(map, "availability_template", "avty_tpl")));
        }
        // Home Assistant takes one as a list of one.
        let several = match get(map, "availability", "avty") {
            Some(Json::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        for one in several.iter().take(8) {
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
            field: text_or(map, "unique_id", "uniq_id", id),
            group: group_of(map),
            state_topic,
            template: Template::read(match text(map, "value_template", "val_tpl") {
                // Lights, fans and humidifiers call it so.
                "" => text(map, "state_value_template", "stat_val_tpl"),
                own => own,
            }),
            unit: names::unit_of(text(map, "unit_of_measurement", "unit_of_meas")),
            quantity: text(map, "device_class", "dev_cla").to_owned(),
            on_off: states_of(component, map),
            available,
            together: match text(map, "availability_mode", "avty_mode") {
                "all" => Together::All,
                "any" => Together::Any,
                _ => Together::Latest,
            },
            declared: None,
            is_behind: false,
            about: about.map(|(long, short)| text(device, long, short).to_owned()),
            form: match () {
                () if is_of_device(key) => "device",
                () if map.contains_key("~") => "short",
                () => "single",
            },
            component: COMPONENTS.iter().find(|c| **c == component).copied().unwrap_or_default(),
            way: Way::of(component, map).map(Box::new),
            expires_s: get(map, "expire_after", "exp_aft").and_then(Json::as_f64).filter(|s| *s > 0.0),
        });
    }
}

/// The payloads of a component's state that mean on and off, locked and unlocked, open and closed; empty where it has others.
fn states_of(component: &str, map: &Map<String, Json>) -> (String, String) {
    let word = |(long, short): (&str, &str), default: &str| text_or(map, long, short, default);
    let (on, off) = (word(("payload_on", "pl_on"), "ON"), word(("payload_off", "pl_off"), "OFF"));
    match component {
        "binary_sensor" | "light" | "fan" | "humidifier" => (on, off),
        // What it says may be another word than what it is told.
        "switch" | "siren" => (word(("state_on", "stat_on"), &on), word(("state_off", "stat_off"), &off)),
        "lock" => {
            let (locked, unlocked) = (("state_locked", "stat_locked"), ("state_unlocked", "stat_unlocked"));
            (word(locked, "LOCKED"), word(unlocked, "UNLOCKED"))
        }
        "cover" | "valve" => {
            let (open, closed) = (("state_open", "stat_open"), ("state_closed", "stat_clsd"));
            (word(open, "open"), word(closed, "closed"))
        }
        _ => Default::default(),
    }
}

struct Hears {
    address: Option<String>,
    entities: Entities,
    /// Where every device is listened to: configurations since it was last seen whose each entity is.
    unsettled: usize,
    /// … and what each said as it said it, for its double.
    memory: Option<Memory>,
    /// What a broker had kept and told of the one device before the configuration that says what it is, by topic.
    early: BTreeMap<String, Vec<u8>>,
}

/// Messages that wait for their configuration, and how long each is at most with its topic, [bytes]: strangers may have them kept.
const MAX_EARLY: usize = 64;
const MAX_EARLY_BYTES: usize = 1024;

/// Of so many entities one may be told of before it is seen anew whose each is: a broker tells thousands at once.
const SETTLED_OF: usize = 64;

impl Hears {
    /// Sees of which device each entity is, and declares those that were not yet, or of another one.
    fn settle(&mut self, facts: &mut Facts) {
        self.unsettled = 0;
        let bases = if self.address.is_none() { bases(&self.entities.all) } else { BTreeMap::new() };
        for e in &mut self.entities.all {
            let device = self.address.as_ref().or_else(|| bases.get(e.own_group()));
            let device = device.cloned().unwrap_or_default();
            if e.declared.as_ref() == Some(&device) {
                continue;
            }
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
            facts.about(&device, "form", e.form);
            if self.address.is_none() && e.is_of_a_twin() {
                facts.about(&device, "twin", "yes");
            }
            e.declared = Some(device);
        }
    }

    /// Sees which entities below the address are of devices of their own, behind the one that is listened to.
    fn see_behind(&mut self) {
        let Some(address) = &self.address else { return };
        let bases = bases(&self.entities.all);
        let is_one = bases.values().any(|base| base == address);
        for e in &mut self.entities.all {
            let is_deeper = bases.get(&e.group).is_some_and(|base| base.len() > address.len());
            e.is_behind = is_one && is_deeper;
        }
    }

    /// Hears what came too early, where it is known now what it is.
    fn hear_early(&mut self, facts: &mut Facts) -> Result<(), DecodeError> {
        let is_known = |topic: &&String| self.entities.all.iter().any(|e| e.concerns(topic));
        let known: Vec<String> = self.early.keys().filter(is_known).cloned().collect();
        let mut read = Ok(());
        for topic in known {
            let payload = self.early.remove(&topic).unwrap_or_default();
            read = read.and(self.hear(&Heard { topic: &topic, payload: &payload, retain: true }, facts));
        }
        read
    }

    fn under(&self, topic: &str) -> bool {
        let address = self.address.as_deref().unwrap_or_default();
        topic.strip_prefix(address).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if self.entities.config(heard.topic, heard.payload)? {
            if let Some(memory) = &mut self.memory {
                memory.config(heard.topic, heard.payload);
            }
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
            if self.entities.all.iter().any(|e| e.key == heard.topic) {
                self.see_behind();
            }
            self.unsettled += 1;
            if self.address.is_some() || self.unsettled * SETTLED_OF >= self.entities.all.len() {
                self.settle(facts);
            }
            return self.hear_early(facts);
        }
        if !self.entities.all.iter().any(|e| e.concerns(heard.topic)) {
            self.early.remove(heard.topic);
            let bytes = heard.topic.len() + heard.payload.len();
            let fits = self.early.len() < MAX_EARLY && bytes <= MAX_EARLY_BYTES;
            if heard.retain && self.address.is_some() && fits {
                self.early.insert(heard.topic.to_owned(), heard.payload.to_vec());
            }
            return Ok(());
        }
        if self.unsettled > 0 {
            self.settle(facts);
        }
        if let Some(memory) = &mut self.memory {
            memory.said(heard.topic, heard.payload);
        }
        let mut read = Ok(());
        let concerned = self.entities.all.iter_mut().filter(|e| e.concerns(heard.topic));
        for (n, e) in concerned.enumerate() {
            if n >= MAX_LISTENING {
                return Err(DecodeError::TooMuch);
            }
            let Some(device) = e.declared.clone() else { continue };
            // One that cannot be read is no reason to leave the others unread.
            read = read.and(e.hear(&device, heard, facts));
        }
        read
    }

    fn owns(&self, topic: &str) -> bool {
        self.address.is_none() && self.entities.all.iter().any(|e| e.is_of_a_twin() && e.concerns(topic))
    }

    fn own(
        &self,
        address: &str,
        fields: &[&str],
        is_kept: &dyn Fn(&str) -> bool,
    ) -> Vec<(&'static str, String)> {
        let memory = self.memory.as_ref();
        memory.map_or_else(Vec::new, |m| m.options(&self.entities.all, address, fields, is_kept))
    }

    fn command(&self, address: &str, &Asked { field, value, .. }: &Asked<'_>) -> Result<Utterance, Unasked> {
        let is_it = |e: &&Entity| e.field == field && e.declared.as_deref() == Some(address);
        let Some(entity) = self.entities.all.iter().find(is_it) else {
            return Err(Unasked::NotYet(format!(
                "`{field}`: no discovery of it was heard, so its topic of commands is not known"
            )));
        };
        let Some(way) = &entity.way else {
            return Err(never(field, "its discovery names no topic of commands: it only measures"));
        };
        let payload = way.payload(value).map_err(|why| never(field, why))?;
        Ok(say(way.topic.clone(), payload, way.qos, way.retain))
    }
}

impl Entity {
    fn concerns(&self, topic: &str) -> bool {
        self.state_topic == topic || self.available.iter().any(|a| a.topic == topic)
    }

    /// Whether it is a mirror of ours that announces it, of a twin: that is no device, however much it looks like one.
    fn is_of_a_twin(&self) -> bool {
        self.group.starts_with(TWIN_PREFIX) && self.about[2] == TWIN_MANUFACTURER
    }

    /// The device that it is of, or itself where its configuration names none.
    fn own_group(&self) -> &str {
        if self.group.is_empty() { &self.state_topic } else { &self.group }
    }

    /// Whether it is there by what an availability message says, as far as was heard; none where that is none of its own.
    fn presence(&mut self, heard: &Heard<'_>) -> Option<bool> {
        let mut latest = None;
        for a in self.available.iter_mut().filter(|a| a.topic == heard.topic) {
            if let Ok(Some(said)) = a.template.value(heard.payload) {
                let said = said.to_string();
                if said == a.online || said == a.offline {
                    a.said = Some(said == a.online);
                    latest = a.said;
                }
            }
        }
        let mut known = self.available.iter().filter_map(|a| a.said);
        Some(match (latest?, self.together) {
            (_, Together::All) => known.all(|there| there),
            (_, Together::Any) => known.any(|there| there),
            (latest, Together::Latest) => latest,
        })
    }

    /// What a state or availability message says of this entity.
    fn hear(&mut self, device: &str, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if let Some(there) = self.presence(heard).filter(|_| !self.is_behind) {
            facts.online(device, there);
        }
        if self.state_topic != heard.topic {
            return Ok(());
        }
        if let Some(value) = self.reading(heard.payload)? {
            facts.value(device, self.field.clone(), value, self.unit.clone(), None);
        }
        Ok(())
    }

    /// What a payload on its state topic says of it.
    fn reading(&self, payload: &[u8]) -> Result<Option<Value>, DecodeError> {
        let Some(value) = self.template.value(payload)? else { return Ok(None) };
        let said = value.to_string();
        let is_word = !self.on_off.0.is_empty() && (said == self.on_off.0 || said == self.on_off.1);
        Ok(Some(if is_word { Value::Flag(said == self.on_off.0) } else { value }))
    }
}
