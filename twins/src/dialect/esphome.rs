//! ESPHome: one topic an entity, `<name>/<type>/<object_id>/state`, and Home Assistant's discovery, which tells the units.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let heard = Heard { topic: "attic/sensor/left_temperature/state", payload: b"21.5", retain: true };
//! find("esphome").unwrap().listener(None).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("attic")["sensor/left_temperature"], 21.5);
//! ```

mod light;
mod voice;

use self::voice::Speaks;
use super::{
    Asked, Dialect, Listener, UNITS,
    facts::{Fact, Facts, Value},
    hex,
    homeassistant::{self, DISCOVERY, Entities, PREFIX},
    mac, names, never, object, said_in, say, spoken, tree,
};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct EspHome;

/// Types of entities. All but a light have a state as plain text, and a button has none.
const TYPES: [&str; 14] = [
    "sensor",
    "binary_sensor",
    "switch",
    "text_sensor",
    "number",
    "select",
    "fan",
    "cover",
    "lock",
    "light",
    "climate",
    "valve",
    "text",
    "button",
];

/// What entities of a type tell besides their state, each on a topic below theirs.
fn attributes(kind: &str) -> &'static [&'static str] {
    match kind {
        "climate" => &[
            "action",
            "current_humidity",
            "current_temperature",
            "fan_mode",
            "mode",
            "preset",
            "swing_mode",
            "target_humidity",
            "target_temperature",
            "target_temperature_high",
            "target_temperature_low",
        ],
        "cover" | "valve" => &["position", "tilt"],
        "fan" => &["direction", "oscillation", "preset_mode", "speed", "speed_level"],
        _ => &[],
    }
}

/// Whether entities of a type, or an attribute of theirs, can be set.
fn is_settable(kind: &str, attribute: Option<&str>) -> bool {
    match attribute {
        Some(attribute) if kind == "light" => light::is_settable(attribute),
        Some(attribute) => {
            attributes(kind).contains(&attribute)
                && !matches!(attribute, "action" | "current_humidity" | "current_temperature")
        }
        None => matches!(
            kind,
            "switch" | "number" | "select" | "fan" | "cover" | "lock" | "light" | "valve" | "text" | "button"
        ),
    }
}

/// How an entity of a type is told to be on (open, locked) or off.
fn order(kind: &str, on: bool) -> &'static str {
    match (kind, on) {
        ("cover" | "valve", true) => "OPEN",
        ("cover" | "valve", false) => "CLOSE",
        ("lock", true) => "LOCK",
        ("lock", false) => "UNLOCK",
        ("light", true) => r#"{"state":"ON"}"#,
        ("light", false) => r#"{"state":"OFF"}"#,
        ("button", _) => "PRESS",
        (_, true) => "ON",
        (_, false) => "OFF",
    }
}

/// What an order in words means, where it is one.
fn meant(text: &str) -> Option<bool> {
    match text {
        "OPEN" | "LOCK" => Some(true),
        "CLOSE" | "UNLOCK" => Some(false),
        _ => None,
    }
}

/// The unit of such an attribute.
fn unit_of(attribute: &str) -> &'static str {
    match attribute {
        "current_temperature"
        | "target_temperature"
        | "target_temperature_high"
        | "target_temperature_low" => "degC",
        "current_humidity" | "target_humidity" | "position" | "tilt" => "percent",
        _ => "",
    }
}

/// What an entity measures. What an attribute is shows by its own name, however it was announced.
fn quantity_of<'a>(object: &str, declared: &'a str) -> &'a str {
    if object.contains('/') { "" } else { declared }
}

/// The keys under which discovery names an attribute's topics: of its state, and of commands to it.
fn keys(attribute: &str) -> Option<(&'static str, Option<&'static str>)> {
    Some(match attribute {
        "action" => ("act_t", None),
        "current_humidity" => ("curr_hum_t", None),
        "current_temperature" => ("curr_temp_t", None),
        "direction" => ("dir_stat_t", Some("dir_cmd_t")),
        "fan_mode" => ("fan_mode_stat_t", Some("fan_mode_cmd_t")),
        "mode" => ("mode_stat_t", Some("mode_cmd_t")),
        "oscillation" => ("osc_stat_t", Some("osc_cmd_t")),
        "position" => ("pos_t", Some("set_pos_t")),
        "preset" | "preset_mode" => ("pr_mode_stat_t", Some("pr_mode_cmd_t")),
        "speed_level" => ("pct_stat_t", Some("pct_cmd_t")),
        "swing_mode" => ("swing_mode_stat_t", Some("swing_mode_cmd_t")),
        "target_humidity" => ("hum_stat_t", Some("hum_cmd_t")),
        "target_temperature" => ("temp_stat_t", Some("temp_cmd_t")),
        "target_temperature_high" => ("temp_hi_stat_t", Some("temp_hi_cmd_t")),
        "target_temperature_low" => ("temp_lo_stat_t", Some("temp_lo_cmd_t")),
        "tilt" => ("tilt_status_t", Some("tilt_cmd_t")),
        _ => return None,
    })
}

impl Dialect for EspHome {
    fn name(&self) -> &'static str {
        "esphome"
    }
    fn about(&self) -> &'static str {
        "ESPHome firmware: one topic an entity, status as last will, units by discovery"
    }
    fn source(&self) -> &'static str {
        "esphome.io: MQTT Client Component (topic prefix, birth and will, discovery)"
    }
    fn address(&self) -> &'static str {
        "the device's topic prefix, by default its name, such as \"attic\""
    }
    fn filters(&self, address: &str) -> Vec<String> {
        vec![
            format!("{address}/+/+/state"),
            format!("{address}/+/+/+/state"),
            format!("{address}/status"),
            format!("{PREFIX}/+/+/+/config"),
        ]
    }
    fn everywhere(&self) -> &'static [&'static str] {
        &["+/+/+/state", "+/+/+/+/state", "+/status", "homeassistant/+/+/+/config"]
    }
    fn owns(&self, topic: &str) -> bool {
        parse(topic).is_some_and(|(.., end)| matches!(end, "state" | "command"))
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears {
            address: address.map(str::to_owned),
            entities: Entities::default(),
            known: Vec::new(),
            offers: BTreeMap::new(),
        })
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let id = |part: &str, quantity: &str| format!("{}_{}", names::plain(part), names::plain(quantity));
        let signals = spoken(spec, |part, quantity| vec!["sensor".to_owned(), id(part, quantity)]);
        let signals = said_in(signals, spec.options)?;
        let is_entity = |path: &[String]| match path {
            [kind, _] => TYPES.contains(&kind.as_str()),
            [kind, _, ..] if kind == "light" => true,
            [kind, _, attribute] => attributes(kind).contains(&attribute.as_str()),
            _ => false,
        };
        let wrong = |field, key: &str, path: &str| {
            let help = Some(format!("write `type/object_id`; types: {}", TYPES.join(", ")));
            let message = format!("`{path}` is no entity of ESPHome");
            DialectError { field, key: key.to_owned(), message, help }
        };
        if let Some(s) = signals.iter().find(|s| !is_entity(&s.path)) {
            return Err(wrong("map", &s.signal, &s.path.join("/")));
        }
        let mut texts = Vec::new();
        for (field, text) in object(spec.options, "texts")? {
            let path: Vec<String> = field.split('/').map(str::to_owned).collect();
            match text.as_str() {
                Some(text) if is_entity(&path) => texts.push((path, text.to_owned())),
                _ => return Err(wrong("options", "texts", &field)),
            }
        }
        let words = |list: &Json| -> Option<Vec<String>> {
            list.as_array()?.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let mut choices = BTreeMap::new();
        for (field, list) in object(spec.options, "choices")? {
            let path: Vec<String> = field.split('/').map(str::to_owned).collect();
            match words(&list).filter(|_| is_entity(&path)) {
                Some(list) => drop(choices.insert(field, list)),
                None => return Err(wrong("options", "choices", &field)),
            }
        }
        let buttons = match spec.options.get("buttons").map(|text| tree::read(text.as_bytes())) {
            None => Vec::new(),
            Some(Ok(list)) if words(&list).is_some() => words(&list).unwrap_or_default(),
            Some(_) => return Err(wrong("options", "buttons", "buttons")),
        };
        let mac = hex(mac(spec)?, false);
        Ok(Box::new(Speaks {
            name: spec.topic.to_owned(),
            device: spec.device.to_owned(),
            mac,
            signals,
            texts,
            choices,
            buttons,
            configs: homeassistant::configs(spec.options)?,
        }))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("buttons", "a JSON list of the object ids of buttons: [\"restart\"]"),
            (
                "choices",
                "a JSON object, an entity or attribute to the words that it takes: {\"select/mode\": [\"eco\", \"boost\"]}",
            ),
            DISCOVERY,
            ("mac", "its hardware address, twelve hexadecimal digits"),
            ("texts", "a JSON object with states that are texts and stay: {\"select/mode\": \"eco\"}"),
            UNITS,
        ]
    }
    fn commands(&self) -> bool {
        true
    }
}

struct Hears {
    address: Option<String>,
    entities: Entities,
    /// Devices met, whose status means something.
    known: Vec<String>,
    /// What devices offer beside states, where every device is listened to.
    offers: BTreeMap<String, Offers>,
}

/// What a device offers to be told: its buttons by their object ids, and the words that its entities take.
#[derive(Default)]
struct Offers {
    buttons: BTreeSet<String>,
    choices: Map<String, Json>,
}

/// Buttons, and entities with words, that are remembered of a device, and the words of one.
const MAX_OFFERS: usize = 64;
/// How long a device's offers may be, as JSON; those of one that has more are left out, [bytes].
const MAX_OFFERS_BYTES: usize = 4096;

/// What lists the words of a climate's attributes.
const WORDS: [(&str, &str); 4] =
    [("mode", "modes"), ("fan_mode", "fan_modes"), ("swing_mode", "swing_modes"), ("preset", "pr_modes")];

/// Devices that are remembered.
const MAX_DEVICES: usize = 4096;

/// Prefix, type, object id (with the attribute, if it is one's) and end of an entity's topic.
fn parse(topic: &str) -> Option<(&str, &str, &str, &str)> {
    let (whole, end) = topic.rsplit_once('/')?;
    let (rest, last) = whole.rsplit_once('/')?;
    let (before, middle) = rest.rsplit_once('/')?;
    if let Some((prefix, kind)) = before.rsplit_once('/')
        && attributes(kind).contains(&last)
        && !prefix.is_empty()
        && !middle.is_empty()
    {
        return Some((prefix, kind, &whole[before.len() + 1..], end));
    }
    // A button has no state: what says one is another's.
    let is_one = TYPES.contains(&middle) && (middle != "button" || end == "command");
    (is_one && !before.is_empty()).then_some((before, middle, last, end))
}

impl Hears {
    /// What a device's discovery offers beside states.
    fn offer(&mut self, payload: &[u8]) {
        let Ok(Json::Object(config)) = tree::read(payload) else { return };
        let of = |long: &str, short: &str| config.get(long).or_else(|| config.get(short));
        let topic = |long: &str, short: &str| of(long, short).and_then(Json::as_str).and_then(parse);
        let list = |long: &str, short: &str| {
            let words = of(long, short).and_then(Json::as_array)?;
            let words: Vec<&str> = words.iter().filter_map(Json::as_str).take(MAX_OFFERS).collect();
            (!words.is_empty()).then(|| Json::from(words))
        };
        let mut choices: Vec<(&str, String, Json)> = Vec::new();
        if let (Some((prefix, "select", object, "state")), Some(words)) =
            (topic("state_topic", "stat_t"), list("options", "ops"))
        {
            choices.push((prefix, format!("select/{object}"), words));
        }
        for (attribute, words) in WORDS {
            let state = keys(attribute).map(|(state, _)| state).and_then(|key| topic(key, key));
            if let (Some((prefix, "climate", object, "state")), Some(words)) = (state, list(words, words)) {
                choices.push((prefix, format!("climate/{object}"), words));
            }
        }
        let button = topic("command_topic", "cmd_t").filter(|(_, kind, _, _)| *kind == "button");
        let prefix = choices.first().map(|(prefix, ..)| *prefix).or(button.map(|(prefix, ..)| prefix));
        let Some(prefix) = prefix else { return };
        if self.offers.len() >= MAX_DEVICES && !self.offers.contains_key(prefix) {
            return;
        }
        let own = self.offers.entry(prefix.to_owned()).or_default();
        for (_, field, words) in choices.into_iter().filter(|(of, ..)| *of == prefix) {
            if own.choices.len() < MAX_OFFERS {
                own.choices.insert(field, words);
            }
        }
        if let Some((_, _, object, _)) = button.filter(|_| own.buttons.len() < MAX_OFFERS) {
            own.buttons.insert(object.to_owned());
        }
    }

    /// Tells what a device offers.
    fn tell_offers(&self, prefix: &str, facts: &mut Facts) {
        let Some(own) = self.offers.get(prefix) else { return };
        let buttons = (!own.buttons.is_empty()).then(|| Json::from_iter(own.buttons.iter().cloned()));
        let choices = (!own.choices.is_empty()).then(|| Json::Object(own.choices.clone()));
        for (key, offered) in [("buttons", buttons), ("choices", choices)] {
            let text = offered.map(|offered| offered.to_string());
            // What were cut off would be no JSON.
            if let Some(text) = text.filter(|text| text.len() <= MAX_OFFERS_BYTES) {
                facts.0.push(Fact::About { device: prefix.to_owned(), key, text });
            }
        }
    }
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if heard.topic.starts_with(PREFIX) && heard.topic.ends_with("/config") {
            if self.address.is_none() {
                self.offer(heard.payload);
            }
            // A configuration that is none is Home Assistant's to refuse.
            if let Ok(true) = self.entities.config(heard.topic, heard.payload) {
                let address = self.address.clone();
                let ours = |topic: &str| {
                    parse(topic)
                        .filter(|(p, .., end)| *end == "state" && address.as_ref().is_none_or(|a| a == p))
                        .is_some()
                };
                self.entities.all.retain(|e| ours(&e.state_topic));
                // Of an unknown device a declaration says no more than the states do.
                for e in self.entities.all.iter().filter(|_| address.is_some()) {
                    if let Some((prefix, kind, object, _)) = parse(&e.state_topic) {
                        let (field, quantity) =
                            (format!("{kind}/{object}"), quantity_of(object, &e.quantity));
                        facts.declared(prefix, &field, &e.unit, quantity, &e.state_topic);
                    }
                }
            }
            return Ok(());
        }
        if let Some(prefix) = heard.topic.strip_suffix("/status") {
            let said = tree::text(heard.payload)?;
            let ours = match &self.address {
                Some(a) => a == prefix,
                None => self.known.iter().any(|k| k == prefix),
            };
            if ours && matches!(said, "online" | "offline") {
                facts.online(prefix, said == "online");
            }
            return Ok(());
        }
        let Some((prefix, kind, object, end)) = parse(heard.topic) else { return Ok(()) };
        if self.address.as_ref().is_some_and(|a| a != prefix) || !matches!(end, "state" | "command") {
            return Ok(());
        }
        let text = tree::text(heard.payload)?;
        let field = format!("{kind}/{object}");
        let value = Value::Text(text.chars().take(200).collect());
        let lit = if kind == "light" { light::read(&field, text)? } else { None };
        if end == "command" {
            let asked = lit.unwrap_or_else(|| vec![(field, value)]);
            let device = || prefix.to_owned();
            facts.0.extend(asked.into_iter().map(|(field, value)| Fact::Asked {
                device: device(),
                field,
                value,
            }));
            return Ok(());
        }
        if self.address.is_none() && !self.known.iter().any(|k| k == prefix) && self.known.len() < MAX_DEVICES
        {
            self.known.push(prefix.to_owned());
        }
        if self.address.is_none() {
            self.tell_offers(prefix, facts);
        }
        let entity = self.entities.all.iter().find(|e| e.state_topic == heard.topic);
        if let (Some(e), None) = (entity, &self.address) {
            facts.declared(prefix, &field, &e.unit, quantity_of(object, &e.quantity), heard.topic);
            facts.about(prefix, "model", &e.about[1]);
            if e.group.len() == 12 && e.group.bytes().all(|b| b.is_ascii_hexdigit()) {
                facts.about(prefix, "mac", &e.group);
            }
        }
        if let Some(lit) = lit {
            lit.into_iter().for_each(|(field, value)| facts.value(prefix, field, value, "", None));
            return Ok(());
        }
        let of_attribute =
            || unit_of(object.split_once('/').map_or("", |(_, attribute)| attribute)).to_owned();
        let unit = entity.map(|e| e.unit.clone()).filter(|u| !u.is_empty()).unwrap_or_else(of_attribute);
        // A sensor without a value yet says `nan`, which is none.
        let value = match text.trim().parse::<f64>() {
            Ok(v) if v.is_finite() => Value::Number(v),
            Ok(_) => return Ok(()),
            Err(_) => value,
        };
        facts.value(prefix, field, value, unit, None);
        Ok(())
    }

    fn command(&self, address: &str, &Asked { field, value, .. }: &Asked<'_>) -> Result<Utterance, Unasked> {
        let levels: Vec<&str> = field.split('/').collect();
        let (kind, attribute) = match levels[..] {
            [kind, _] => (kind, None),
            ["light", _, ..] => ("light", Some(levels[2..].join("/"))),
            [kind, _, attribute] => (kind, Some(attribute.to_owned())),
            _ => return Err(never(field, "an entity is `type/object_id`, such as `switch/relay`")),
        };
        if !is_settable(kind, attribute.as_deref()) {
            return Err(never(field, "ESPHome has no command for this entity"));
        }
        if let ("light", Some(attribute)) = (kind, &attribute) {
            let topic = format!("{address}/light/{}/command", levels[1]);
            return Ok(say(topic, light::order(attribute, value), 1, false));
        }
        let text = match value {
            // What a select or a text is told in words, it is told in these.
            Value::Text(text)
                if kind != "button"
                    && (!value.is_state() || attribute.is_some() || matches!(kind, "select" | "text")) =>
            {
                text.clone()
            }
            Value::Number(v) if attribute.is_some() || kind == "number" => v.to_string(),
            _ if kind == "button" => order(kind, true).to_owned(),
            state => match state.number() {
                Some(v) if v == 0.0 || v == 1.0 => order(kind, v == 1.0).to_owned(),
                _ => state.to_string(),
            },
        };
        Ok(say(format!("{address}/{field}/command"), text, 1, false))
    }
}
