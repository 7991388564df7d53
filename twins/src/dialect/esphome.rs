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
    Dialect, Listener, Spoken,
    facts::{Fact, Facts, Value},
    hex,
    homeassistant::{Entities, PREFIX, sensor},
    mac, names, say, spoken, tree,
};
use serde_json::{Value as Json, json};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
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
        vec![format!("{address}/+/+/state"), format!("{address}/status"), format!("{PREFIX}/+/+/+/config")]
    }
    fn everywhere(&self) -> &'static [&'static str] {
        &["+/+/+/state", "+/status", "homeassistant/+/+/+/config"]
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
        let object =
            |part: &str, quantity: &str| format!("{}_{}", names::plain(part), names::plain(quantity));
        let signals = spoken(spec, |part, quantity| vec!["sensor".to_owned(), object(part, quantity)]);
        if let Some(s) = signals.iter().find(|s| s.path.len() != 2 || !TYPES.contains(&s.path[0].as_str())) {
            let message = format!("`{}` is no entity of ESPHome", s.path.join("/"));
            let help = Some(format!("write `type/object_id`; types: {}", TYPES.join(", ")));
            return Err(DialectError { field: "map", key: s.signal.clone(), message, help });
        }
        let mac = hex(mac(spec)?, false);
        Ok(Box::new(Speaks { name: spec.topic.to_owned(), device: spec.device.to_owned(), mac, signals }))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[("mac", "its hardware address, twelve hexadecimal digits")]
    }
    fn command(&self, address: &str, field: &str, value: &Value) -> Option<Utterance> {
        let text = match value {
            Value::Flag(on) => if *on { "ON" } else { "OFF" }.to_owned(),
            other => other.to_string(),
        };
        Some(say(format!("{address}/{field}/command"), text, 0, false))
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

/// Prefix, type, object id and end of an entity's topic.
fn parse(topic: &str) -> Option<(&str, &str, &str, &str)> {
    let (rest, end) = topic.rsplit_once('/')?;
    let (rest, object) = rest.rsplit_once('/')?;
    let (prefix, kind) = rest.rsplit_once('/')?;
    (TYPES.contains(&kind) && !prefix.is_empty()).then_some((prefix, kind, object, end))
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
                        facts.declared(
                            prefix,
                            &format!("{kind}/{object}"),
                            &e.unit,
                            &e.quantity,
                            &e.state_topic,
                        );
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
            facts.declared(prefix, &field, &e.unit, &e.quantity, heard.topic);
            facts.about(prefix, "model", &e.about[1]);
            if e.group.len() == 12 && e.group.bytes().all(|b| b.is_ascii_hexdigit()) {
                facts.about(prefix, "mac", &e.group);
            }
        }
        let unit = entity.map_or_else(String::new, |e| e.unit.clone());
        // A sensor without a value yet says `nan`, which is none.
        let value = match text.trim().parse::<f64>() {
            Ok(v) if v.is_finite() => Value::Number(v),
            Ok(_) => return Ok(()),
            Err(_) => value,
        };
        facts.value(prefix, field, value, unit, None);
        Ok(())
    }
}

struct Speaks {
    name: String,
    device: String,
    mac: String,
    signals: Vec<Spoken>,
}

impl Speaks {
    fn config(&self, s: &Spoken) -> Utterance {
        let (kind, object) = (&s.path[0], &s.path[1]);
        let mut map = sensor(s);
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
        if kind != "sensor" {
            map.clear();
        }
        map.insert("name".to_owned(), Json::from(object.replace('_', " ")));
        map.insert("stat_t".to_owned(), Json::from(format!("{}/{kind}/{object}/state", self.name)));
        map.insert("avty_t".to_owned(), Json::from(format!("{}/status", self.name)));
        map.insert("uniq_id".to_owned(), Json::from(format!("{}-{kind}-{object}", self.mac)));
        if matches!(
            kind.as_str(),
            "switch" | "number" | "select" | "fan" | "cover" | "lock" | "light" | "valve"
        ) {
            map.insert("cmd_t".to_owned(), Json::from(format!("{}/{kind}/{object}/command", self.name)));
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
        let text = match s.path[0].as_str() {
            "binary_sensor" | "switch" | "fan" => if v >= 0.5 { "ON" } else { "OFF" }.to_owned(),
            _ => v.to_string(),
        };
        say(format!("{}/{}/state", self.name, s.path.join("/")), text, 0, true)
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        vec![format!("{}/+/+/command", self.name)]
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        Some(say(format!("{}/status", self.name), "offline", 0, true))
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.push(say(format!("{}/status", self.name), "online", 0, true));
        out.extend(self.signals.iter().map(|s| self.config(s)));
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let said = self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite());
        out.extend(said.map(|(s, v)| self.state(s, *v)));
    }
    fn answer(&mut self, heard: &Heard<'_>, _: &Report<'_>, out: &mut Vec<Utterance>) {
        let Some((_, kind, object, "command")) = parse(heard.topic) else { return };
        let Some(s) = self.signals.iter().find(|s| s.path[0] == kind && s.path[1] == object) else { return };
        if let Ok(text) = tree::text(heard.payload)
            && let Some(v) = Value::Text(text.to_owned()).number()
        {
            out.push(self.state(s, v));
        }
    }
}
