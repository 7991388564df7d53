//! A device with Tasmota's firmware: what it says of itself and its readings, and what it does when it is told.

use super::super::{Spoken, hex, say, tree};
use super::{is_power, topic, unit_of};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{Heard, Utterance, Voice},
    firmware::payload::Report,
};

/// Commands in one Backlog, as in the firmware.
const MAX_BACKLOG: usize = 30;

/// Friendly names that a device has at most.
const MAX_FRIENDLY_NAMES: usize = 8;

/// What STATE says of a light or a fan that a command of the same name sets.
const SETTABLE: [&str; 10] =
    ["Channel", "Color", "CT", "Dimmer", "Fade", "FanSpeed", "HSBColor", "Scheme", "Speed", "White"];

/// What STATE says besides time and relays: as is known of the device, or as one without anything of its own does.
pub(super) fn state_of(mut own: Map<String, Json>) -> Map<String, Json> {
    if own.is_empty() {
        own.extend([
            ("Heap".to_owned(), json!(25)),
            ("SleepMode".to_owned(), json!("Dynamic")),
            ("Sleep".to_owned(), json!(50)),
            ("LoadAvg".to_owned(), json!(19)),
            ("MqttCount".to_owned(), json!(1)),
            (
                "Wifi".to_owned(),
                json!({"AP": 1, "SSId": "twinfleet", "BSSId": "02:00:00:00:00:01", "Channel": 6, "Mode": "11n", "RSSI": 80, "Signal": -60, "LinkCount": 1, "Downtime": "0T00:00:03"}),
            ),
        ]);
    }
    own.retain(|key, _| !matches!(key.as_str(), "Time" | "Uptime" | "UptimeSec") && !is_power(key));
    own
}

pub(super) struct Speaks {
    pub address: String,
    pub name: String,
    pub full_topic: String,
    pub device: String,
    pub model: String,
    /// Friendly names of its relays, as far as they are given.
    pub names: Vec<String>,
    pub mac: [u8; 6],
    pub also: Map<String, Json>,
    pub signals: Vec<Spoken>,
    /// What STATE says besides time and relays.
    pub state: Map<String, Json>,
    /// Of temperatures, pressures and speeds.
    pub units: [String; 3],
    pub version: String,
    pub started_ms: Option<i64>,
    pub power: BTreeMap<String, bool>,
    pub tele_period: u32,
}

impl Speaks {
    fn to(&self, prefix: &str, verb: &str) -> String {
        topic(&self.address, prefix, verb)
    }

    /// The object of SENSOR: time, a group a sensor, units at the end, as the firmware writes it.
    fn sensor(&self, report: &Report<'_>) -> String {
        let mut body = self.also.clone();
        for (s, v) in self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
            if is_sensor(s) {
                tree::put(&mut body, &s.path, tree::number(self.said(s, *v)));
            }
        }
        let mut text = format!("{{\"Time\":\"{}\"", tree::local_time(report.ts_unix_ms));
        let body: Map<String, Json> = body.into_iter().map(|(k, v)| (k, tree::with_lists(v))).collect();
        for (key, value) in &body {
            text += &format!(",{}:{value}", Json::from(key.as_str()));
        }
        let all = Json::Object(body).to_string();
        let [temperature, pressure, speed] = &self.units;
        if all.contains("Pressure\"") {
            text += &format!(",\"PressureUnit\":\"{pressure}\"");
        }
        if all.contains("Speed\"") {
            text += &format!(",\"SpeedUnit\":\"{speed}\"");
        }
        if all.contains("Temperature") {
            text += &format!(",\"TempUnit\":\"{}\"", if temperature == "degF" { 'F' } else { 'C' });
        }
        text + "}"
    }

    /// A value in the unit that Tasmota has for its field.
    fn said(&self, s: &Spoken, v: f64) -> f64 {
        let path = s.path.join("/");
        let unit = unit_of(&path, Some(&self.units));
        let convert = |from: &str| {
            let (from, to) = (twinfleet_engine::units::find(from)?, twinfleet_engine::units::find(&unit)?);
            from.convert(v, to)
        };
        // Nine digits: what the conversion adds in the last places, the firmware would not print.
        convert(&s.unit).map_or(v, |c| (c * 1e9).round() / 1e9)
    }

    fn state(&self, report: &Report<'_>) -> String {
        let up = report.ts_unix_ms.saturating_sub(self.started_ms.unwrap_or(report.ts_unix_ms)).max(0) / 1000;
        let (d, h, m, s) = (up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60);
        let mut text = format!(
            "{{\"Time\":\"{}\",\"Uptime\":\"{d}T{h:02}:{m:02}:{s:02}\",\"UptimeSec\":{up}",
            tree::local_time(report.ts_unix_ms)
        );
        for (key, value) in self.powers().iter().chain(&self.state) {
            text += &format!(",{}:{value}", Json::from(key.as_str()));
        }
        text + "}"
    }

    /// Its relays in the firmware's words.
    fn powers(&self) -> Map<String, Json> {
        let word = |on: bool| Json::from(if on { "ON" } else { "OFF" });
        self.power.iter().map(|(name, on)| (name.clone(), word(*on))).collect()
    }

    /// Its relays that are another way than they were.
    fn turned(&self, before: &BTreeMap<String, bool>, out: &mut Vec<Utterance>) {
        for (name, on) in self.power.iter().filter(|(name, on)| before.get(*name) != Some(*on)) {
            self.tell_power(name, *on, out);
        }
    }

    fn tell_power(&self, name: &str, on: bool, out: &mut Vec<Utterance>) {
        let word = if on { "ON" } else { "OFF" };
        out.push(say(self.to("stat", "RESULT"), format!("{{\"{name}\":\"{word}\"}}"), 0, false));
        out.push(say(self.to("stat", name), word, 0, false));
    }

    /// Whether it has any sensor: one that has none says no SENSOR.
    fn has_sensors(&self) -> bool {
        !self.also.is_empty() || self.signals.iter().any(is_sensor)
    }

    /// Whether a report is of STATE alone where SENSOR is asked about (`sensor`), or the other way about: a device publishes the two
    /// one after the other, and what was heard of it may lie in two rows.
    fn is_of_the_other(&self, report: &Report<'_>, sensor: bool) -> bool {
        let of =
            |kind: bool| self.signals.iter().zip(report.values).filter(move |(s, _)| is_sensor(s) == kind);
        let is_read = |kind: bool| of(kind).any(|(_, v)| v.is_finite());
        of(sensor).next().is_some() && is_read(!sensor) && !is_read(sensor)
    }

    fn remember(&mut self, report: &Report<'_>) {
        self.started_ms.get_or_insert(report.ts_unix_ms);
        for (s, v) in self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
            if s.path[0].starts_with("POWER") {
                self.power.insert(s.path[0].clone(), *v >= 0.5);
            } else if s.path[0] == "STATE" {
                tree::put(&mut self.state, &s.path[1..], tree::number(s.said(*v)));
            }
        }
    }

    /// The friendly names of its relays; one that has none has one name. As long as nobody has set them, the firmware counts.
    fn friendly(&self) -> Vec<String> {
        let own = |i: usize| match (self.names.get(i), i) {
            (Some(name), _) => name.clone(),
            (None, 0) => "Tasmota".to_owned(),
            (None, i) => format!("Tasmota{}", i + 1),
        };
        (0..self.power.len().clamp(1, MAX_FRIENDLY_NAMES)).map(own).collect()
    }

    /// What `tasmota/discovery/<mac>/config` tells (HATasmota's schema).
    fn config(&self) -> Json {
        let mut relays = vec![0; 32];
        relays[..self.power.len().min(32)].fill(1);
        let mut names: Vec<Json> = self.friendly().into_iter().map(Json::from).collect();
        names.resize(MAX_FRIENDLY_NAMES, Json::Null);
        json!({
            "ip": "127.0.0.1", "dn": self.device, "fn": names, "hn": format!("{}-{}", self.name, u16::from(self.mac[5])),
            "mac": hex(self.mac, true), "md": self.model, "ty": 0, "if": 0, "cam": 0, "ofln": "Offline", "onln": "Online",
            "state": ["OFF", "ON", "TOGGLE", "HOLD"], "sw": self.version, "t": self.name, "ft": self.full_topic,
            "tp": ["cmnd", "stat", "tele"], "rl": relays, "swc": vec![-1; 28], "swn": vec![Json::Null; 28], "btn": vec![0; 32],
            "so": {"4": 0, "11": 0, "13": 0, "17": 0, "20": 0, "30": 0, "68": 0, "73": 0, "82": 0, "114": 0, "117": 0},
            "lk": 0, "lt_st": 0, "bat": 0, "dslp": 0, "sho": [0, 0, 0, 0], "sht": [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
            "ver": 1
        })
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        let fallback = format!("cmnd/DVES_{}_fb/#", &hex(self.mac, true)[6..]);
        vec![self.to("cmnd", "#"), "cmnd/tasmotas/#".to_owned(), fallback]
    }

    fn will(&mut self, _: i64) -> Option<Utterance> {
        Some(say(self.to("tele", "LWT"), "Offline", 1, true))
    }

    fn connect(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        self.started_ms = Some(report.ts_unix_ms);
        self.remember(report);
        out.push(say(self.to("tele", "LWT"), "Online", 0, true));
        // The firmware asks itself for its power state, so that a retained command takes effect.
        out.push(say(self.to("cmnd", "POWER"), "", 0, false));
        let tail = &hex(self.mac, true)[6..];
        let info = json!({"Info1": {"Module": self.model, "Version": format!("{}(tasmota)", self.version), "FallbackTopic": format!("cmnd/DVES_{tail}_fb/"), "GroupTopic": "cmnd/tasmotas/"}});
        out.push(say(self.to("tele", "INFO1"), info.to_string(), 0, false));
        let host = format!("{}-{}", self.name, u16::from(self.mac[5]));
        let info = json!({"Info2": {"WebServerMode": "Admin", "Hostname": host, "IPAddress": "127.0.0.1"}});
        out.push(say(self.to("tele", "INFO2"), info.to_string(), 0, false));
        let info = json!({"Info3": {"RestartReason": "Power On", "BootCount": 1}});
        out.push(say(self.to("tele", "INFO3"), info.to_string(), 0, false));
        self.turned(&BTreeMap::new(), out);
        let mac = hex(self.mac, true);
        out.push(say(format!("tasmota/discovery/{mac}/config"), self.config().to_string(), 0, true));
        let sensors = format!("{{\"sn\":{},\"ver\":1}}", self.sensor(report));
        out.push(say(format!("tasmota/discovery/{mac}/sensors"), sensors, 0, true));
    }

    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let before = self.power.clone();
        self.remember(report);
        self.turned(&before, out);
        // What a relay does it tells at once, and the rest at its period.
        let mut read = self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite());
        if self.power != before && read.all(|(s, _)| s.path[0].starts_with("POWER")) {
            return;
        }
        if !self.is_of_the_other(report, false) {
            out.push(say(self.to("tele", "STATE"), self.state(report), 0, false));
        }
        if self.has_sensors() && !self.is_of_the_other(report, true) {
            out.push(say(self.to("tele", "SENSOR"), self.sensor(report), 0, false));
        }
    }

    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let verb = tree::leaf(heard.topic);
        let Ok(payload) = tree::text(heard.payload) else { return };
        let mut power = self.power.clone();
        for (verb, payload) in commands(verb, payload) {
            let asks = payload.trim().is_empty();
            let is_level = |s: &Spoken| {
                s.path[0] == "STATE"
                    && settable(&s.path[1..].join("/"))
                    && s.path[1].eq_ignore_ascii_case(&verb)
            };
            let level = self.signals.iter().position(is_level);
            set.extend(level.zip(payload.trim().parse::<f64>().ok()));
            let Some((name, on)) = switched(&power, &verb, payload).filter(|_| !asks) else { continue };
            let own = self.signals.iter().position(|s| s.path[0] == name);
            set.extend(own.map(|i| (i, f64::from(u8::from(on)))));
            power.insert(name, on);
        }
    }

    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let verb = tree::leaf(heard.topic);
        if let Ok(payload) = tree::text(heard.payload) {
            self.command(verb, payload, report, out);
        }
    }
}

/// Whether SENSOR says it; STATE says the rest.
fn is_sensor(s: &Spoken) -> bool {
    !s.path[0].starts_with("POWER") && s.path[0] != "STATE"
}

/// The commands of one message: those of a Backlog, or the one that it is.
fn commands<'a>(verb: &str, payload: &'a str) -> Vec<(String, &'a str)> {
    let verb = verb.to_ascii_uppercase();
    if !is_backlog(&verb) {
        return vec![(verb, payload)];
    }
    let one = |c: &'a str| {
        let (verb, payload) = c.split_once(char::is_whitespace).unwrap_or((c, ""));
        (verb.to_ascii_uppercase(), payload.trim())
    };
    let all = payload.split(';').map(str::trim).filter(|c| !c.is_empty()).take(MAX_BACKLOG).map(one);
    // The firmware takes no list within a list.
    all.filter(|(verb, _)| !verb.starts_with("BACKLOG")).collect()
}

/// Whether a command of this name sets what STATE says under it.
fn settable(key: &str) -> bool {
    SETTABLE.contains(&key)
}

/// Sets what STATE says to what a command says, where that is of the same kind.
fn set_level(value: &mut Json, said: &str) {
    match value {
        Json::Number(_) => {
            if let Some(v) = said.parse::<f64>().ok().filter(|v| v.is_finite()) {
                *value = tree::number(v);
            }
        }
        Json::String(text) => said.clone_into(text),
        _ => {}
    }
}

fn is_backlog(verb: &str) -> bool {
    verb.strip_prefix("BACKLOG").is_some_and(|n| matches!(n, "" | "0" | "1" | "2" | "3"))
}

/// The relay that a command means, and whether it is on after it; none where it is no command to a relay that there is. One
/// without a word only asks.
fn switched(power: &BTreeMap<String, bool>, verb: &str, payload: &str) -> Option<(String, bool)> {
    let is_it = |name: &str| {
        name == verb || (verb == "POWER" && name == "POWER1") || (verb == "POWER1" && name == "POWER")
    };
    let (name, on) = power.iter().find(|(name, _)| is_power(verb) && is_it(name))?;
    let on = match payload.trim().to_ascii_uppercase().as_str() {
        "ON" | "1" | "TRUE" => true,
        "OFF" | "0" | "FALSE" => false,
        "TOGGLE" | "2" => !on,
        _ => *on,
    };
    Some((name.clone(), on))
}

impl Speaks {
    /// The name of what a command sets of its STATE, if it has that.
    fn level(&self, verb: &str) -> Option<String> {
        self.state.keys().find(|key| settable(key) && key.eq_ignore_ascii_case(verb)).cloned()
    }

    /// Does what a command says, and answers.
    fn command(&mut self, verb: &str, payload: &str, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let verb = verb.to_ascii_uppercase();
        let result = self.to("stat", "RESULT");
        match verb.as_str() {
            list if is_backlog(list) => {
                if payload.trim().is_empty() {
                    out.push(say(result, "{\"Backlog\":\"Empty\"}", 0, false));
                }
                for (verb, payload) in commands(list, payload) {
                    self.command(&verb, payload, report, out);
                }
            }
            // The answers come at once: a double has no time of its own between two reports.
            "DELAY" => {
                let tenths: u32 = payload.trim().parse().unwrap_or_default();
                out.push(say(result, format!("{{\"Delay\":{tenths}}}"), 0, false));
            }
            "STATUS" => match payload.trim() {
                "8" | "10" => {
                    let topic = self.to("stat", &format!("STATUS{}", payload.trim()));
                    out.push(say(topic, format!("{{\"StatusSNS\":{}}}", self.sensor(report)), 0, false));
                }
                "11" => {
                    let text = format!("{{\"StatusSTS\":{}}}", self.state(report));
                    out.push(say(self.to("stat", "STATUS11"), text, 0, false));
                }
                _ => {
                    let status = json!({"Status": {"Module": 0, "DeviceName": self.device, "FriendlyName": self.friendly(), "Topic": self.name, "ButtonTopic": "0", "Power": self.power.values().next().map_or(0, |on| u8::from(*on)), "PowerRetain": 0}});
                    out.push(say(self.to("stat", "STATUS"), status.to_string(), 0, false));
                }
            },
            "STATE" => out.push(say(result, self.state(report), 0, false)),
            "TELEPERIOD" => {
                if let Ok(s) = payload.trim().parse::<u32>()
                    && (10..=3600).contains(&s)
                {
                    self.tele_period = s;
                }
                out.push(say(result, format!("{{\"TelePeriod\":{}}}", self.tele_period), 0, false));
            }
            "POWER" | "POWER0" if self.power.is_empty() => {}
            power if is_power(power) => {
                let Some((name, on)) = switched(&self.power, power, payload) else { return };
                self.power.insert(name.clone(), on);
                self.tell_power(&name, on, out);
            }
            verb if self.level(verb).is_some() => {
                let Some(key) = self.level(verb) else { return };
                if let Some(value) = self.state.get_mut(&key).filter(|_| !payload.trim().is_empty()) {
                    set_level(value, payload.trim());
                }
                let mut said = self.powers();
                said.extend(self.state.get(&key).map(|value| (key.clone(), value.clone())));
                out.push(say(result, Json::Object(said).to_string(), 0, false));
            }
            _ => out.push(say(
                result,
                format!("{{\"Command\":\"Unknown\",\"Input\":{}}}", Json::from(verb.as_str())),
                0,
                false,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{
        self,
        facts::{Fact, Facts},
        find,
    };
    use twinfleet_engine::dialect::VoiceSpec;

    #[test]
    fn a_double_states_its_module_and_the_names_of_its_relays() {
        let signals = [("a.level", "ratio"), ("b.level", "ratio")].map(|(s, u)| (s.to_owned(), u.to_owned()));
        let map = [("a.level", "POWER1"), ("b.level", "POWER2")];
        let map: BTreeMap<String, String> =
            map.map(|(signal, field)| (signal.to_owned(), field.to_owned())).into();
        let says = |options: &[(&str, &str)]| {
            let options: BTreeMap<String, String> =
                options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let spec = VoiceSpec {
                dialect: "tasmota",
                topic: "plug",
                device: "plug",
                signals: &signals,
                map: &map,
                options: &options,
            };
            dialect::for_engine().voice(&spec).map(|mut voice| {
                let report = Report {
                    device: "plug",
                    zone: "",
                    seq: 0,
                    ts_unix_ms: 0,
                    battery_v: None,
                    rssi_dbm: None,
                    values: &[1.0, 0.0],
                };
                let mut out = Vec::new();
                voice.connect(&report, &mut out);
                out
            })
        };
        let json = |out: &[Utterance], end: &str| -> Json {
            let said = out.iter().find(|u| u.topic.ends_with(end)).unwrap_or_else(|| panic!("{out:#?}"));
            serde_json::from_slice(&said.payload).unwrap()
        };
        let own = [("model", "Sonoff T1 2CH"), ("name", "Hall"), ("names", r#"["Ceiling"]"#)];
        let out = says(&own).unwrap();
        let config = json(&out, "/config");
        for (key, value) in [
            ("md", json!("Sonoff T1 2CH")),
            ("dn", json!("Hall")),
            ("fn", json!(["Ceiling", "Tasmota2", null, null, null, null, null, null])),
            ("t", json!("plug")),
            ("ft", json!("%prefix%/%topic%/")),
            ("tp", json!(["cmnd", "stat", "tele"])),
            ("ver", json!(1)),
        ] {
            assert_eq!(config[key], value, "{key}");
        }
        let relays: Vec<u64> = config["rl"].as_array().unwrap().iter().filter_map(Json::as_u64).collect();
        assert_eq!((relays.len(), relays.iter().sum::<u64>()), (32, 2));
        assert_eq!(json(&out, "/INFO1")["Info1"]["Module"], "Sonoff T1 2CH");
        // Our own decoder reads them back, as the options that its double needs.
        let mut facts = Facts::default();
        let mut listener = find("tasmota").unwrap().listener(None);
        for u in &out {
            listener
                .hear(&Heard { topic: &u.topic, payload: &u.payload, retain: u.retain }, &mut facts)
                .unwrap();
        }
        for (key, text) in
            [("model", "Sonoff T1 2CH"), ("name", "Hall"), ("names", r#"["Ceiling","Tasmota2"]"#)]
        {
            let about = Fact::About { device: "plug".into(), key, text: text.into() };
            assert!(facts.0.contains(&about), "{about:?} in {:#?}", facts.0);
        }
        let config = json(&says(&[]).unwrap(), "/config");
        assert_eq!(
            (&config["md"], &config["dn"], &config["fn"][0]),
            (&"Generic".into(), &"plug".into(), &"Tasmota".into())
        );
        assert!(says(&[("names", "Pump")]).is_err_and(|e| e.key == "names"));
    }
}
