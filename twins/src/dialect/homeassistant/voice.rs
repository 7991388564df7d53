//! A device that announces itself to Home Assistant, by one configuration or by one an entity, and says all its states in one.

use super::super::{Spoken, facts::Value, names, say, tree};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{Heard, Utterance, Voice},
    firmware::payload::Report,
};

/// Which configurations a device tells.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// One for all its entities.
    Device,
    /// One an entity.
    Single,
    /// The same with abbreviated keys, and topics below `~`.
    Short,
}

pub(super) struct Speaks {
    pub(super) base: String,
    pub(super) device: String,
    pub(super) id: String,
    pub(super) mac: String,
    pub(super) prefix: String,
    pub(super) form: Form,
    pub(super) signals: Vec<Spoken>,
    /// By signal, the component by which it can be set.
    pub(super) commands: BTreeMap<usize, &'static str>,
}

/// The sensor's part of a configuration: what it measures, and in which unit.
pub(in crate::dialect) fn sensor(s: &Spoken) -> Map<String, Json> {
    let quantity = names::quantity(&s.signal);
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

/// Keys that discovery may abbreviate, as far as a voice writes them.
const SHORT: [(&str, &str); 20] = [
    ("availability_topic", "avty_t"),
    ("command_topic", "cmd_t"),
    ("device", "dev"),
    ("device_class", "dev_cla"),
    ("identifiers", "ids"),
    ("manufacturer", "mf"),
    ("mode_state_template", "mode_stat_tpl"),
    ("mode_state_topic", "mode_stat_t"),
    ("model", "mdl"),
    ("origin", "o"),
    ("state_class", "stat_cla"),
    ("state_topic", "stat_t"),
    ("sw_version", "sw"),
    ("temperature_command_topic", "temp_cmd_t"),
    ("temperature_state_template", "temp_stat_tpl"),
    ("temperature_state_topic", "temp_stat_t"),
    ("temperature_unit", "temp_unit"),
    ("unique_id", "uniq_id"),
    ("unit_of_measurement", "unit_of_meas"),
    ("value_template", "val_tpl"),
];

/// A configuration with abbreviated keys, and what topics have of the base as `~`.
fn abbreviated(map: Map<String, Json>, base: &str) -> Map<String, Json> {
    let one = |(key, value): (String, Json)| {
        let value = match value {
            Json::String(text) if key.ends_with("topic") => {
                let below = text.strip_prefix(base).filter(|rest| rest.starts_with('/'));
                let below = below.map(|rest| format!("~{rest}"));
                Json::from(below.unwrap_or(text))
            }
            Json::Object(below) => Json::Object(abbreviated(below, base)),
            other => other,
        };
        let short = SHORT.iter().find(|(long, _)| *long == key).map(|(_, short)| (*short).to_owned());
        (short.unwrap_or(key), value)
    };
    map.into_iter().map(one).collect()
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

    /// A climate's part of a configuration. Its values are those of no other component: the target, and that it heats.
    fn climate(&self, s: &Spoken, template: String) -> Map<String, Json> {
        let state = format!("{}/state", self.base);
        let unit = if s.said_unit == "degF" { "F" } else { "C" };
        let own = json!({
            "temperature_command_topic": self.command_topic(s),
            "temperature_state_topic": state,
            "temperature_state_template": template,
            "temperature_unit": unit,
            // Home Assistant has 7 to 35 °C where none is said.
            "min_temp": -100, "max_temp": 1000, "temp_step": 0.1,
            "modes": ["heat"],
            "mode_state_topic": state,
            "mode_state_template": "{{ 'heat' }}",
        });
        own.as_object().cloned().unwrap_or_default()
    }

    fn component(&self, i: usize) -> Map<String, Json> {
        let s = &self.signals[i];
        let field = s.path.join("_");
        let template = format!("{{{{ {} }}}}", member(&field));
        let mut map = match self.kind(i) {
            "sensor" => sensor(s),
            "climate" => self.climate(s, template.clone()),
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
        if self.kind(i) != "climate" {
            map.insert("value_template".to_owned(), Json::from(template));
        }
        map
    }

    fn common(&self) -> Map<String, Json> {
        let common = json!({
            "state_topic": format!("{}/state", self.base),
            "availability_topic": format!("{}/availability", self.base),
        });
        common.as_object().cloned().unwrap_or_default()
    }

    /// An entity's own configuration.
    fn config(&self, i: usize) -> Map<String, Json> {
        let mut map = self.component(i);
        map.extend(self.common());
        if self.kind(i) == "climate" {
            map.remove("state_topic");
        }
        map.insert("device".to_owned(), self.about());
        map.insert("origin".to_owned(), Self::origin());
        if self.form == Form::Short {
            map = abbreviated(map, &self.base);
            map.insert("~".to_owned(), Json::from(self.base.as_str()));
        }
        map
    }

    fn about(&self) -> Json {
        json!({"identifiers": [self.mac], "name": self.device, "manufacturer": "Twinfleet", "model": "virtual device", "sw_version": env!("CARGO_PKG_VERSION")})
    }

    fn origin() -> Json {
        json!({"name": "twinfleet", "sw_version": env!("CARGO_PKG_VERSION")})
    }

    fn configs(&self, out: &mut Vec<Utterance>) {
        if self.form != Form::Device {
            for (i, s) in self.signals.iter().enumerate() {
                let topic =
                    format!("{}/{}/{}/{}/config", self.prefix, self.kind(i), self.id, s.path.join("_"));
                out.push(say(topic, Json::Object(self.config(i)).to_string(), 1, true));
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
                "sensor" | "number" | "climate" => tree::number(s.said(*v)),
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

#[cfg(test)]
mod tests {
    use crate::dialect::{
        self,
        facts::{Fact, Facts},
        find,
    };
    use serde_json::{Value as Json, json};
    use std::collections::BTreeMap;
    use twinfleet_engine::{
        dialect::{Heard, Utterance, VoiceSpec},
        firmware::payload::Report,
    };

    /// A pump with a thermometer, a relay and a heater that is told its target in Fahrenheit: what it says in a form.
    fn says(form: &str) -> Vec<Utterance> {
        let signals = [("t.temperature", "degC"), ("relay.level", "ratio"), ("heater.temperature", "degC")]
            .map(|(signal, unit)| (signal.to_owned(), unit.to_owned()));
        let options = [
            ("form", form),
            ("commands", r#"{"relay.level":"switch","heater.temperature":"climate"}"#),
            ("units", r#"{"heater.temperature":"°F"}"#),
        ];
        let options: BTreeMap<String, String> =
            options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let map = BTreeMap::new();
        let spec = VoiceSpec {
            dialect: "homeassistant",
            topic: "garden/pump",
            device: "pump 1",
            signals: &signals,
            map: &map,
            options: &options,
        };
        let mut voice = dialect::for_engine().voice(&spec).unwrap();
        let (mut out, values) = (Vec::new(), [21.5, 1.0, 25.0]);
        let report = Report {
            device: "pump 1",
            zone: "",
            seq: 0,
            ts_unix_ms: 0,
            battery_v: None,
            rssi_dbm: None,
            values: &values,
        };
        voice.connect(&report, &mut out);
        voice.report(&report, &mut out);
        out
    }

    #[test]
    fn every_form_of_discovery_says_the_same() {
        for form in ["device", "single", "short"] {
            let mut ear = find("homeassistant").unwrap().listener(Some("garden/pump"));
            let mut facts = Facts::default();
            for u in says(form) {
                ear.hear(&Heard { topic: &u.topic, payload: &u.payload, retain: u.retain }, &mut facts)
                    .unwrap();
            }
            let values = facts.values_of("garden/pump");
            let value = |field: &str| values.get(field).copied();
            let told =
                ["pump_1_t_temperature", "pump_1_relay_level", "pump_1_heater_temperature/temperature"];
            assert_eq!(told.map(value), [Some(21.5), Some(1.0), Some(77.0)], "{form}: {values:?}");
            let forms: Vec<&str> = facts
                .0
                .iter()
                .filter_map(|f| match f {
                    Fact::About { key: "form", text, .. } => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            assert!(!forms.is_empty() && forms.iter().all(|f| *f == form), "{form}: {forms:?}");
        }
    }

    #[test]
    fn the_short_form_is_as_home_assistant_documents_it() {
        let said = says("short");
        let config = |topic: &str| -> Json {
            let found = said.iter().find(|u| u.topic == topic).unwrap_or_else(|| panic!("{said:#?}"));
            assert!(found.retain);
            serde_json::from_slice(&found.payload).unwrap()
        };
        let mut sensor = config("homeassistant/sensor/pump_1/t_temperature/config");
        let mut device = sensor["dev"].take();
        assert_eq!(device["ids"].take().as_array().map(Vec::len), Some(1));
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            device,
            json!({"ids": null, "name": "pump 1", "mf": "Twinfleet", "mdl": "virtual device", "sw": version})
        );
        assert_eq!(
            sensor,
            json!({
                "~": "garden/pump", "name": "t temperature", "uniq_id": "pump_1_t_temperature", "stat_t": "~/state",
                "avty_t": "~/availability", "val_tpl": "{{ value_json.t_temperature }}", "unit_of_meas": "°C",
                "dev_cla": "temperature", "stat_cla": "measurement", "dev": null, "o": {"name": "twinfleet", "sw": version},
            })
        );
        let relay = config("homeassistant/switch/pump_1/relay_level/config");
        assert_eq!((&relay["cmd_t"], &relay["stat_t"]), (&"~/relay_level/set".into(), &"~/state".into()));
        let climate = config("homeassistant/climate/pump_1/heater_temperature/config");
        for (key, value) in [
            ("temp_cmd_t", json!("~/heater_temperature/set")),
            ("temp_stat_t", json!("~/state")),
            ("temp_stat_tpl", json!("{{ value_json.heater_temperature }}")),
            ("temp_unit", json!("F")),
            ("modes", json!(["heat"])),
            ("mode_stat_t", json!("~/state")),
            ("stat_t", Json::Null),
            ("val_tpl", Json::Null),
        ] {
            assert_eq!(climate[key], value, "{key}");
        }
    }
}
