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

use super::{
    Asked, Dialect, Listener, Spoken, UNITS,
    facts::{Fact, Facts, Value},
    hex,
    homeassistant::{Entities, PREFIX, sensor},
    mac, names, never, object, said_in, say, spoken, tree,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct EspHome;

/// Types of entities that have a state as plain text.
const TYPES: [&str; 12] = [
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
        Some(attribute) => {
            attributes(kind).contains(&attribute)
                && !matches!(attribute, "action" | "current_humidity" | "current_temperature")
        }
        None => matches!(kind, "switch" | "number" | "select" | "fan" | "cover" | "lock" | "light" | "valve"),
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
        })
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let id = |part: &str, quantity: &str| format!("{}_{}", names::plain(part), names::plain(quantity));
        let signals = spoken(spec, |part, quantity| vec!["sensor".to_owned(), id(part, quantity)]);
        let signals = said_in(signals, spec.options)?;
        let is_entity = |path: &[String]| match path {
            [kind, _] => TYPES.contains(&kind.as_str()),
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
        let mac = hex(mac(spec)?, false);
        Ok(Box::new(Speaks {
            name: spec.topic.to_owned(),
            device: spec.device.to_owned(),
            mac,
            signals,
            texts,
        }))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[
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
}

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
    (TYPES.contains(&middle) && !before.is_empty()).then_some((before, middle, last, end))
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if heard.topic.starts_with(PREFIX) && heard.topic.ends_with("/config") {
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
        if end == "command" {
            facts.0.push(Fact::Asked { device: prefix.to_owned(), field, value });
            return Ok(());
        }
        if self.address.is_none() && !self.known.iter().any(|k| k == prefix) && self.known.len() < MAX_DEVICES
        {
            self.known.push(prefix.to_owned());
        }
        let entity = self.entities.all.iter().find(|e| e.state_topic == heard.topic);
        if let (Some(e), None) = (entity, &self.address) {
            facts.declared(prefix, &field, &e.unit, quantity_of(object, &e.quantity), heard.topic);
            facts.about(prefix, "model", &e.about[1]);
            if e.group.len() == 12 && e.group.bytes().all(|b| b.is_ascii_hexdigit()) {
                facts.about(prefix, "mac", &e.group);
            }
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
        let (kind, attribute) = match field.split('/').collect::<Vec<_>>()[..] {
            [kind, _] => (kind, None),
            [kind, _, attribute] => (kind, Some(attribute)),
            _ => return Err(never(field, "an entity is `type/object_id`, such as `switch/relay`")),
        };
        if !is_settable(kind, attribute) {
            return Err(never(field, "ESPHome has no command for this entity"));
        }
        let text = match value {
            Value::Text(text) if !value.is_state() || attribute.is_some() => text.clone(),
            Value::Number(v) if attribute.is_some() || kind == "number" => v.to_string(),
            state => match state.number() {
                Some(v) if v == 0.0 || v == 1.0 => order(kind, v == 1.0).to_owned(),
                _ => state.to_string(),
            },
        };
        Ok(say(format!("{address}/{field}/command"), text, 1, false))
    }
}

struct Speaks {
    name: String,
    device: String,
    mac: String,
    signals: Vec<Spoken>,
    /// States that are texts and stay: entity or attribute, and the text.
    texts: Vec<(Vec<String>, String)>,
}

impl Speaks {
    /// Type and object id of its entities, each once.
    fn entities(&self) -> BTreeSet<(&str, &str)> {
        let paths = self.signals.iter().map(|s| &s.path).chain(self.texts.iter().map(|(path, _)| path));
        paths.map(|path| (path[0].as_str(), path[1].as_str())).collect()
    }

    fn config(&self, kind: &str, object: &str) -> Utterance {
        let is_own = |path: &[String]| path[0] == kind && path[1] == object;
        let base = format!("{}/{kind}/{object}", self.name);
        let mut map = Map::new();
        if let Some(s) = self.signals.iter().find(|s| kind == "sensor" && is_own(&s.path)) {
            map = sensor(s);
            // ESPHome writes the abbreviated keys.
            for (long, short) in [
                ("device_class", "dev_cla"),
                ("unit_of_measurement", "unit_of_meas"),
                ("state_class", "stat_cla"),
            ] {
                if let Some(v) = map.remove(long) {
                    map.insert(short.to_owned(), v);
                }
            }
        }
        map.insert("name".to_owned(), Json::from(object.replace('_', " ")));
        if kind != "climate" {
            map.insert("stat_t".to_owned(), Json::from(format!("{base}/state")));
        }
        map.insert("avty_t".to_owned(), Json::from(format!("{}/status", self.name)));
        map.insert("uniq_id".to_owned(), Json::from(format!("{}-{kind}-{object}", self.mac)));
        if is_settable(kind, None) {
            map.insert("cmd_t".to_owned(), Json::from(format!("{base}/command")));
        }
        let paths = self.signals.iter().map(|s| &s.path).chain(self.texts.iter().map(|(path, _)| path));
        for attribute in paths.filter(|p| is_own(p)).filter_map(|p| p.get(2)) {
            let Some((state, command)) = keys(attribute) else { continue };
            map.insert(state.to_owned(), Json::from(format!("{base}/{attribute}/state")));
            if let Some(command) = command {
                map.insert(command.to_owned(), Json::from(format!("{base}/{attribute}/command")));
            }
        }
        match (kind, self.texts.iter().find(|(path, _)| path.len() == 2 && is_own(path))) {
            ("select", Some((_, text))) => drop(map.insert("options".to_owned(), json!([text]))),
            ("light", Some(_)) => drop(map.insert("schema".to_owned(), Json::from("json"))),
            _ => {}
        }
        map.insert(
            "dev".to_owned(),
            json!({"ids": self.mac, "name": self.device, "sw": "esphome v2026.10.0", "mdl": "esp32dev", "mf": "Espressif", "cns": [["mac", self.mac]]}),
        );
        say(
            format!("{PREFIX}/{kind}/{}/{object}/config", self.name.replace('/', "_")),
            Json::Object(map).to_string(),
            0,
            true,
        )
    }

    fn state(&self, s: &Spoken, v: f64) -> Utterance {
        let word = |on: &str, off: &str| if v >= 0.5 { on } else { off }.to_owned();
        let text = match (s.path[0].as_str(), s.path.len()) {
            ("binary_sensor" | "switch" | "fan", 2) => word("ON", "OFF"),
            ("cover" | "valve", 2) => word("open", "closed"),
            _ => s.said(v).to_string(),
        };
        say(format!("{}/{}/state", self.name, s.path.join("/")), text, 0, true)
    }
}

/// The number that an order gives: 1 and 0 for on and off, open and closed.
fn told(text: &str) -> Option<f64> {
    meant(text).map(|on| f64::from(u8::from(on))).or_else(|| Value::Text(text.to_owned()).number())
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        vec![format!("{}/+/+/command", self.name), format!("{}/+/+/+/command", self.name)]
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        Some(say(format!("{}/status", self.name), "offline", 0, true))
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.push(say(format!("{}/status", self.name), "online", 0, true));
        out.extend(self.entities().into_iter().map(|(kind, object)| self.config(kind, object)));
        for (path, text) in &self.texts {
            out.push(say(format!("{}/{}/state", self.name, path.join("/")), text.as_str(), 0, true));
        }
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let said = self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite());
        out.extend(said.map(|(s, v)| self.state(s, *v)));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Some((_, kind, object, "command")) = parse(heard.topic) else { return };
        let (field, Ok(text)) = (format!("{kind}/{object}"), tree::text(heard.payload)) else { return };
        if let (Some(i), Some(v)) = (self.signals.iter().position(|s| s.field() == field), told(text))
            && is_settable(kind, object.split_once('/').map(|(_, attribute)| attribute))
        {
            set.push((i, self.signals[i].heard(v)));
        }
    }
    fn answer(&mut self, heard: &Heard<'_>, _: &Report<'_>, out: &mut Vec<Utterance>) {
        let Some((_, kind, object, "command")) = parse(heard.topic) else { return };
        let field = format!("{kind}/{object}");
        let Ok(text) = tree::text(heard.payload) else { return };
        if let Some((path, own)) = self.texts.iter_mut().find(|(path, _)| path.join("/") == field) {
            text.clone_into(own);
            let topic = format!("{}/{}/state", self.name, path.join("/"));
            return out.push(say(topic, text, 0, true));
        }
        let Some(s) = self.signals.iter().find(|s| s.field() == field) else { return };
        if let Some(v) = told(text) {
            // A command is in the device's own unit.
            let topic = format!("{}/{field}/state", self.name);
            let is_word =
                s.path.len() == 2 && matches!(kind, "binary_sensor" | "switch" | "fan" | "cover" | "valve");
            out.push(if is_word { self.state(s, v) } else { say(topic, v.to_string(), 0, true) });
        }
    }
}
