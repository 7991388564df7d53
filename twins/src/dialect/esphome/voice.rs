//! A device with ESPHome's firmware: one topic an entity, retained, with Home Assistant's discovery in abbreviated keys.

use super::super::{
    Spoken,
    facts::Value,
    homeassistant::{PREFIX, sensor},
    say, tree,
};
use super::{is_settable, keys, light, meant, parse};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{Heard, Utterance, Voice},
    firmware::payload::Report,
};

pub(super) struct Speaks {
    pub name: String,
    pub device: String,
    pub mac: String,
    pub signals: Vec<Spoken>,
    /// States that are texts and stay: entity or attribute, and the text.
    pub texts: Vec<(Vec<String>, String)>,
    /// The words that an entity or attribute takes, where they are known.
    pub choices: BTreeMap<String, Vec<String>>,
    /// Object ids of its buttons.
    pub buttons: Vec<String>,
    /// Topics and configurations by which the device announced itself; where there are none, it does so as the firmware would.
    pub configs: Vec<(String, String)>,
}

/// The order in which the firmware lists a climate's modes. It can be off, whatever else it can.
const MODES: [&str; 7] = ["auto", "off", "cool", "heat", "fan_only", "dry", "heat_cool"];

/// Discovery's keys of the words that a climate's attributes take.
fn words_key(attribute: &str) -> Option<&'static str> {
    Some(match attribute {
        "mode" => "modes",
        "fan_mode" => "fan_modes",
        "swing_mode" => "swing_modes",
        "preset" | "preset_mode" => "preset_modes",
        _ => return None,
    })
}

impl Speaks {
    /// Type and object id of its entities, each once.
    fn entities(&self) -> BTreeSet<(&str, &str)> {
        let paths = self.signals.iter().map(|s| &s.path).chain(self.texts.iter().map(|(path, _)| path));
        let said = paths.map(|path| (path[0].as_str(), path[1].as_str()));
        said.chain(self.buttons.iter().map(|object| ("button", object.as_str()))).collect()
    }

    /// The words that an entity or attribute takes: those that are known, or the one that it says.
    fn words(&self, path: &[String]) -> Vec<String> {
        let own = || self.texts.iter().filter(|(p, _)| p == path).map(|(_, text)| text.clone()).collect();
        self.choices.get(&path.join("/")).cloned().unwrap_or_else(own)
    }

    /// What the discovery of an entity says by its type.
    fn own(&self, kind: &str, object: &str) -> Map<String, Json> {
        let path = [kind.to_owned(), object.to_owned()];
        let signal = self.signals.iter().find(|s| s.path == path);
        let mut map = match (kind, signal) {
            ("sensor" | "number", Some(s)) => sensor(s),
            _ => Map::new(),
        };
        match kind {
            "number" => {
                map.remove("state_class");
                map.extend(
                    [("min", -1e6), ("max", 1e6), ("step", 0.001)].map(|(k, v)| (k.to_owned(), json!(v))),
                );
            }
            "select" => drop(map.insert("ops".to_owned(), json!(self.words(&path)))),
            "text" => drop(map.insert("mode".to_owned(), Json::from("text"))),
            "light" => map.extend(light::config(&self.lit(object, None).0)),
            // The firmware counts in Celsius, whatever is shown.
            "climate" => map.extend(
                [
                    ("min_temp", json!(-100)),
                    ("max_temp", json!(1000)),
                    ("temp_step", json!(0.1)),
                    ("precision", json!(0.1)),
                    ("temp_unit", json!("C")),
                    ("min_hum", json!(0)),
                    ("max_hum", json!(100)),
                ]
                .map(|(key, value)| (key.to_owned(), value)),
            ),
            _ => {}
        }
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
        map
    }

    fn config(&self, kind: &str, object: &str) -> Utterance {
        let is_own = |path: &[String]| path[0] == kind && path[1] == object;
        let base = format!("{}/{kind}/{object}", self.name);
        let mut map = self.own(kind, object);
        map.insert("name".to_owned(), Json::from(object.replace('_', " ")));
        if !matches!(kind, "climate" | "button") {
            map.insert("stat_t".to_owned(), Json::from(format!("{base}/state")));
        }
        map.insert("avty_t".to_owned(), Json::from(format!("{}/status", self.name)));
        map.insert("uniq_id".to_owned(), Json::from(format!("{}-{kind}-{object}", self.mac)));
        if is_settable(kind, None) {
            map.insert("cmd_t".to_owned(), Json::from(format!("{base}/command")));
        }
        let paths = self.signals.iter().map(|s| &s.path).chain(self.texts.iter().map(|(path, _)| path));
        for path in paths.filter(|p| is_own(p) && p.len() == 3) {
            let attribute = path[2].as_str();
            let Some((state, command)) = keys(attribute) else { continue };
            map.insert(state.to_owned(), Json::from(format!("{base}/{attribute}/state")));
            if let Some(command) = command {
                map.insert(command.to_owned(), Json::from(format!("{base}/{attribute}/command")));
            }
            if let Some(key) = words_key(attribute) {
                let mut words = self.words(path);
                if kind == "climate" && key == "modes" {
                    let known = MODES.iter().filter(|m| **m == "off" || words.iter().any(|w| w == *m));
                    words = known.map(|m| (*m).to_owned()).collect();
                }
                map.insert(key.to_owned(), json!(words));
            }
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

    /// A light's state by these values, or by none; and whether any of them is its.
    fn lit(&self, object: &str, values: Option<&[f64]>) -> (Map<String, Json>, bool) {
        let is_own = |path: &[String]| path[0] == "light" && path[1] == object;
        let mut state = Map::from_iter([("color".to_owned(), json!({}))]);
        for (path, text) in self.texts.iter().filter(|(path, _)| is_own(path)) {
            let of_entity = ["state".to_owned()];
            tree::put(
                &mut state,
                if path.len() > 2 { &path[2..] } else { &of_entity[..] },
                Json::from(text.as_str()),
            );
        }
        let mut any = false;
        for (i, s) in self.signals.iter().enumerate().filter(|(_, s)| is_own(&s.path)) {
            let value = values.map_or(1.0, |v| v.get(i).copied().unwrap_or(f64::NAN));
            if !value.is_finite() {
                continue;
            }
            any = true;
            if s.path.len() == 2 {
                let word = if value >= 0.5 { "ON" } else { "OFF" };
                state.insert("state".to_owned(), Json::from(word));
            } else {
                tree::put(&mut state, &s.path[2..], tree::number(s.said(value)));
            }
        }
        // One of which only the brightness is known shines where that is more than nothing.
        let dark = state.get("brightness").and_then(Json::as_f64) == Some(0.0);
        state.entry("state").or_insert_with(|| Json::from(if dark { "OFF" } else { "ON" }));
        let mode = light::color_mode(&state);
        state.entry("color_mode").or_insert_with(|| Json::from(mode));
        (state, any)
    }

    fn light(&self, object: &str, values: &[f64]) -> Utterance {
        let (state, _) = self.lit(object, Some(values));
        say(format!("{}/light/{object}/state", self.name), Json::Object(state).to_string(), 0, true)
    }

    /// Object ids of its lights, each once.
    fn lights(&self) -> impl Iterator<Item = &str> {
        self.entities().into_iter().filter(|(kind, _)| *kind == "light").map(|(_, object)| object)
    }

    fn state(&self, s: &Spoken, v: f64) -> Utterance {
        let word = |on: &str, off: &str| if v >= 0.5 { on } else { off }.to_owned();
        let text = match (s.path[0].as_str(), s.path.len()) {
            ("binary_sensor" | "switch" | "fan", 2) => word("ON", "OFF"),
            ("cover" | "valve", 2) => word("open", "closed"),
            ("lock", 2) => word("LOCKED", "UNLOCKED"),
            _ => s.said(v).to_string(),
        };
        say(format!("{}/{}/state", self.name, s.path.join("/")), text, 0, true)
    }

    /// What an order to a light sets of its signals.
    fn ordered(&self, object: &str, text: &str) -> Vec<(usize, f64)> {
        let field = format!("light/{object}");
        let Ok(Some(told)) = light::read(&field, text) else { return Vec::new() };
        let of = |(field, value): (String, Value)| {
            let i = self.signals.iter().position(|s| s.field() == field)?;
            Some((i, self.signals[i].heard(value.number()?)))
        };
        told.into_iter().filter_map(of).collect()
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
    fn connect(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        out.push(say(format!("{}/status", self.name), "online", 0, true));
        out.extend(self.configs.iter().map(|(topic, text)| say(topic.clone(), text.as_str(), 0, true)));
        if self.configs.is_empty() {
            out.extend(self.entities().into_iter().map(|(kind, object)| self.config(kind, object)));
        }
        for (path, text) in self.texts.iter().filter(|(path, _)| path[0] != "light") {
            out.push(say(format!("{}/{}/state", self.name, path.join("/")), text.as_str(), 0, true));
        }
        // One that only ever says texts reports nothing later.
        let still =
            |object: &&str| !self.signals.iter().any(|s| s.path[0] == "light" && s.path[1] == **object);
        out.extend(self.lights().filter(still).map(|object| self.light(object, report.values)));
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let said =
            self.signals.iter().zip(report.values).filter(|(s, v)| v.is_finite() && s.path[0] != "light");
        out.extend(said.map(|(s, v)| self.state(s, *v)));
        let shining = |object: &&str| self.lit(object, Some(report.values)).1;
        out.extend(self.lights().filter(shining).map(|object| self.light(object, report.values)));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Some((_, kind, object, "command")) = parse(heard.topic) else { return };
        let (field, Ok(text)) = (format!("{kind}/{object}"), tree::text(heard.payload)) else { return };
        if kind == "light" {
            return set.extend(self.ordered(object, text));
        }
        if let (Some(i), Some(v)) = (self.signals.iter().position(|s| s.field() == field), told(text))
            && is_settable(kind, object.split_once('/').map(|(_, attribute)| attribute))
        {
            set.push((i, self.signals[i].heard(v)));
        }
    }
    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let Some((_, kind, object, "command")) = parse(heard.topic) else { return };
        let field = format!("{kind}/{object}");
        let Ok(text) = tree::text(heard.payload) else { return };
        if kind == "light" {
            let is_there = self.lights().any(|own| own == object);
            return out.extend(is_there.then(|| self.light(object, report.values)));
        }
        let unknown = self.choices.get(&field).is_some_and(|words| !words.iter().any(|w| w == text));
        if let Some((path, own)) = self.texts.iter_mut().find(|(path, _)| path.join("/") == field) {
            // The firmware warns in its log, and stays as it is.
            if unknown {
                return;
            }
            text.clone_into(own);
            let topic = format!("{}/{}/state", self.name, path.join("/"));
            return out.push(say(topic, text, 0, true));
        }
        let Some(s) = self.signals.iter().find(|s| s.field() == field) else { return };
        if let Some(v) = told(text) {
            // A command is in the device's own unit.
            let topic = format!("{}/{field}/state", self.name);
            let is_word = s.path.len() == 2
                && matches!(kind, "binary_sensor" | "switch" | "fan" | "cover" | "lock" | "valve");
            out.push(if is_word { self.state(s, v) } else { say(topic, v.to_string(), 0, true) });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{
        self, Asked,
        facts::{Facts, Value},
        find,
    };
    use serde_json::{Value as Json, json};
    use std::collections::BTreeMap;
    use twinfleet_engine::{
        dialect::{Heard, Utterance, Voice, VoiceSpec},
        firmware::payload::Report,
    };

    const SIGNALS: [(&str, &str, &str, f64); 6] = [
        ("lamp.level", "ratio", "light/lamp", 1.0),
        ("lamp.brightness", "", "light/lamp/brightness", 120.0),
        ("lamp.red", "", "light/lamp/color/r", 255.0),
        ("room.temperature", "degC", "climate/room/current_temperature", 20.5),
        ("target.temperature", "degC", "climate/room/target_temperature", 21.0),
        ("limit.temperature", "degC", "number/limit", 30.0),
    ];

    fn report(values: &[f64]) -> Report<'_> {
        Report { device: "attic", zone: "", seq: 0, ts_unix_ms: 0, battery_v: None, rssi_dbm: None, values }
    }

    fn values() -> Vec<f64> {
        SIGNALS.iter().map(|s| s.3).collect()
    }

    fn device() -> Box<dyn Voice> {
        let signals: Vec<(String, String)> =
            SIGNALS.iter().map(|(signal, unit, ..)| ((*signal).to_owned(), (*unit).to_owned())).collect();
        let map: BTreeMap<String, String> =
            SIGNALS.iter().map(|(signal, _, field, _)| ((*signal).to_owned(), (*field).to_owned())).collect();
        let options: BTreeMap<String, String> = [
            ("buttons", r#"["restart"]"#),
            (
                "texts",
                r#"{"climate/room/mode":"heat","climate/room/action":"heating","select/program":"eco","text/label":"left"}"#,
            ),
            ("choices", r#"{"select/program":["eco","boost"],"climate/room/mode":["heat","auto"]}"#),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let spec = VoiceSpec {
            dialect: "esphome",
            topic: "attic",
            device: "attic",
            signals: &signals,
            map: &map,
            options: &options,
        };
        dialect::for_engine().voice(&spec).unwrap()
    }

    fn said(out: &[Utterance], topic: &str) -> String {
        let found = out.iter().rfind(|u| u.topic == topic).unwrap_or_else(|| panic!("no {topic}: {out:#?}"));
        assert!(found.retain, "{topic}");
        String::from_utf8(found.payload.clone()).unwrap()
    }

    #[test]
    fn every_entity_is_announced_as_the_firmware_does() {
        let (mut voice, mut out) = (device(), Vec::new());
        voice.connect(&report(&values()), &mut out);
        let config = |kind: &str, object: &str| -> Json {
            let text = said(&out, &format!("homeassistant/{kind}/attic/{object}/config"));
            serde_json::from_str(&text).unwrap()
        };
        for (kind, object, want) in [
            (
                "climate",
                "room",
                json!({
                    "mode_stat_t": "attic/climate/room/mode/state", "mode_cmd_t": "attic/climate/room/mode/command",
                    "modes": ["auto", "off", "heat"], "act_t": "attic/climate/room/action/state",
                    "curr_temp_t": "attic/climate/room/current_temperature/state",
                    "temp_stat_t": "attic/climate/room/target_temperature/state",
                    "temp_cmd_t": "attic/climate/room/target_temperature/command",
                    "temp_unit": "C", "stat_t": null, "cmd_t": null,
                }),
            ),
            (
                "light",
                "lamp",
                json!({
                    "schema": "json", "supported_color_modes": ["rgb"], "brightness": true,
                    "stat_t": "attic/light/lamp/state", "cmd_t": "attic/light/lamp/command",
                }),
            ),
            (
                "select",
                "program",
                json!({"ops": ["eco", "boost"], "stat_t": "attic/select/program/state", "cmd_t": "attic/select/program/command"}),
            ),
            ("text", "label", json!({"mode": "text", "cmd_t": "attic/text/label/command"})),
            ("button", "restart", json!({"stat_t": null, "cmd_t": "attic/button/restart/command"})),
            (
                "number",
                "limit",
                json!({"unit_of_meas": "°C", "dev_cla": "temperature", "stat_cla": null, "cmd_t": "attic/number/limit/command"}),
            ),
        ] {
            let got = config(kind, object);
            for (key, value) in want.as_object().unwrap() {
                assert_eq!(&got[key.as_str()], value, "{kind}: {key} of {got}");
            }
            assert_eq!(got["avty_t"], "attic/status", "{kind}");
        }
        let state: Json = {
            voice.report(&report(&values()), &mut out);
            serde_json::from_str(&said(&out, "attic/light/lamp/state")).unwrap()
        };
        assert_eq!(
            state,
            json!({"color_mode": "rgb", "state": "ON", "brightness": 120, "color": {"r": 255}})
        );
        assert!(!out.iter().any(|u| u.topic.starts_with("attic/light/lamp/brightness")), "{out:#?}");
    }

    #[test]
    fn what_it_says_is_heard_and_what_it_is_told_it_does() {
        let (mut voice, mut out) = (device(), Vec::new());
        voice.connect(&report(&values()), &mut out);
        voice.report(&report(&values()), &mut out);
        let mut ear = find("esphome").unwrap().listener(Some("attic"));
        let mut facts = Facts::default();
        for u in &out {
            ear.hear(&Heard { topic: &u.topic, payload: &u.payload, retain: u.retain }, &mut facts).unwrap();
        }
        let heard = facts.values_of("attic");
        for (_, _, field, value) in SIGNALS {
            assert_eq!(heard.get(field), Some(&value), "{field}: {heard:?}");
        }
        let tell = |voice: &mut dyn Voice, field: &str, value: Value| {
            let asked = Asked { field, value: &value, ts_unix_ms: 0 };
            let order = ear.command("attic", &asked).unwrap();
            let heard = Heard { topic: &order.topic, payload: &order.payload, retain: false };
            let (mut set, mut out) = (Vec::new(), Vec::new());
            voice.told_to(&heard, &mut set);
            let mut now = values();
            set.iter().for_each(|(i, v)| now[*i] = *v);
            voice.answer(&heard, &report(&now), &mut out);
            (String::from_utf8(order.payload.clone()).unwrap(), set, out)
        };
        let (order, set, out) = tell(&mut *voice, "light/lamp/brightness", Value::Number(30.0));
        assert_eq!(
            (order.as_str(), &set[..]),
            (r#"{"brightness":30,"state":"ON"}"#, &[(1, 30.0), (0, 1.0)][..])
        );
        let state: Json = serde_json::from_str(&said(&out, "attic/light/lamp/state")).unwrap();
        assert_eq!((&state["brightness"], &state["state"]), (&json!(30), &json!("ON")));
        let (order, set, _) = tell(&mut *voice, "light/lamp", Value::Flag(false));
        assert_eq!((order.as_str(), &set[..]), (r#"{"state":"OFF"}"#, &[(0, 0.0)][..]));
        let (order, set, out) = tell(&mut *voice, "button/restart", Value::Flag(true));
        assert_eq!((order.as_str(), set.len(), out.len()), ("PRESS", 0, 0));
        let (_, _, out) = tell(&mut *voice, "select/program", Value::Text("boost".into()));
        assert_eq!(said(&out, "attic/select/program/state"), "boost");
        let (_, _, out) = tell(&mut *voice, "select/program", Value::Text("turbo".into()));
        assert_eq!(out, [], "it has no such option");
        let (_, _, out) = tell(&mut *voice, "text/label", Value::Text("right".into()));
        assert_eq!(said(&out, "attic/text/label/state"), "right");
    }
}
