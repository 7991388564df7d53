//! Tasmota: `tele/%topic%/SENSOR` and `STATE`, the last will `LWT`, answers under `stat`, commands under `cmnd`.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::{Fact, Facts}};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let heard = Heard { topic: "tele/plug-1/LWT", payload: b"Online", retain: true };
//! find("tasmota").unwrap().listener(None).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.0, [Fact::Online { device: "plug-1".into(), online: true }]);
//! ```

use super::{
    Asked, Dialect, Listener, Spoken, also,
    facts::{Fact, Facts, Value},
    hex, mac, names, never, option, say, spoken, tree, wrong,
};
use serde_json::{Map, Value as Json, json};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct Tasmota;

const OPTIONS: [(&str, &str); 11] = [
    ("also", "a JSON object with what SENSOR says besides, such as the sensors' own ids"),
    (
        "full_topic",
        "its FullTopic as it states it, such as \"garden/%topic%/%prefix%/\"; else as the address says",
    ),
    ("mac", "its hardware address, twelve hexadecimal digits"),
    ("model", "the module or template that it states, \"Generic\" by default"),
    ("name", "the device name that it states; else the device's id"),
    ("names", "the friendly names of its relays, a JSON list: [\"Pump\", \"Lamp\"]"),
    ("pressure", "the unit of its pressures, \"hPa\" (default), \"mmHg\" or \"inHg\""),
    ("speed", "the unit of its speeds, \"km/h\" (default), \"m/s\", \"kn\", \"mph\", \"ft/s\" or \"yd/s\""),
    ("temperature", "the unit of its temperatures, \"C\" (default) or \"F\", as `SetOption8` chooses"),
    ("topic", "its %topic% as it states it; else the last level of the address"),
    ("version", "the firmware's version that it states"),
];

/// How often a device tells where nobody has set its `TelePeriod`, [s].
const TELE_PERIOD_S: u32 = 300;
/// Periods of silence that are nothing unusual, as of a rhythm that was learnt.
const PATIENCE_PERIODS: f64 = 8.0;

/// The topic of a verb at an address; `prefix` is `cmnd`, `stat` or `tele`.
fn topic(address: &str, prefix: &str, verb: &str) -> String {
    if address.contains("%prefix%") {
        format!("{}/{verb}", address.replace("%prefix%", prefix))
    } else {
        format!("{prefix}/{address}/{verb}")
    }
}

/// `%topic%` and FullTopic of an address: its last level is the topic.
fn split(address: &str) -> (String, String) {
    let full = if address.contains("%prefix%") { address.to_owned() } else { format!("%prefix%/{address}") };
    let mut levels: Vec<&str> = full.split('/').collect();
    let own = levels.iter().rposition(|l| *l != "%prefix%").unwrap_or(0);
    let name = std::mem::replace(&mut levels[own], "%topic%").to_owned();
    (name, levels.join("/") + "/")
}

impl Dialect for Tasmota {
    fn name(&self) -> &'static str {
        "tasmota"
    }
    fn about(&self) -> &'static str {
        "Tasmota firmware: tele/stat/cmnd topics, JSON telemetry, LWT, discovery"
    }
    fn source(&self) -> &'static str {
        "tasmota.github.io/docs: MQTT, Commands (Status, TelePeriod), SetOption19; HATasmota for tasmota/discovery"
    }
    fn address(&self) -> &'static str {
        "the device's %topic%, such as \"plug-1\", or its whole full topic with %prefix%, such as \"home/%prefix%/plug-1\""
    }
    fn filters(&self, address: &str) -> Vec<String> {
        vec![topic(address, "tele", "+"), topic(address, "stat", "+")]
    }
    fn everywhere(&self) -> &'static [&'static str] {
        &["tele/#", "stat/#", "cmnd/#", "tasmota/discovery/#"]
    }
    fn owns(&self, topic: &str) -> bool {
        let verb = |v: &str| {
            matches!(v, "SENSOR" | "STATE" | "LWT" | "RESULT" | "UPTIME" | "HASS_STATE")
                || v.starts_with("INFO")
                || v.starts_with("STATUS")
                || is_power(v)
        };
        topic.starts_with("tasmota/discovery/")
            || topic.starts_with("cmnd/")
            || parse(None, topic).is_some_and(|(_, prefix, v)| prefix == "cmnd" || verb(v))
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears {
            address: address.map(str::to_owned),
            units: BTreeMap::new(),
            states: BTreeSet::new(),
            full: BTreeSet::new(),
        })
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let units = [
            if option(spec.options, "temperature", &["C", "F"])? == "F" { "degF" } else { "degC" },
            option(spec.options, "pressure", &["hPa", "mmHg", "inHg"])?,
            option(spec.options, "speed", &["km/h", "m/s", "kn", "mph", "ft/s", "yd/s"])?,
        ];
        let (topic, full_topic) = split(spec.topic);
        let told = |key: &str, own: String| spec.options.get(key).cloned().unwrap_or(own);
        let version = spec.options.get("version").map_or("14.3.0", String::as_str).to_owned();
        let signals = spoken(spec, |part, quantity| vec![part.to_ascii_uppercase(), word_of(quantity)]);
        let also = also(spec.options)?;
        Ok(Box::new(Speaks {
            address: spec.topic.to_owned(),
            name: told("topic", topic),
            full_topic: told("full_topic", full_topic),
            mac: mac(spec)?,
            also,
            device: told("name", spec.device.to_owned()),
            model: told("model", "Generic".to_owned()),
            names: friendly_names(spec.options)?,
            signals,
            units: units.map(str::to_owned),
            version,
            started_ms: None,
            power: BTreeMap::new(),
            tele_period: TELE_PERIOD_S,
        }))
    }
    fn usual_silence_s(&self) -> Option<f64> {
        Some(PATIENCE_PERIODS * f64::from(TELE_PERIOD_S))
    }
    fn commands(&self) -> bool {
        true
    }
}

/// The option `names`: a JSON list of texts.
fn friendly_names(options: &BTreeMap<String, String>) -> Result<Vec<String>, DialectError> {
    let Some(text) = options.get("names") else { return Ok(Vec::new()) };
    let read = tree::read(text.as_bytes()).ok();
    let word = |name: &Json| name.as_str().map(str::to_owned);
    let names = read.as_ref().and_then(Json::as_array).and_then(|list| list.iter().map(word).collect());
    names.ok_or_else(|| {
        let help = "write it in quotes, such as \"[\\\"Pump\\\"]\"";
        wrong("options", "names", "`names` is no JSON list of texts", Some(help.into()))
    })
}

/// Tasmota's word for a quantity.
fn word_of(quantity: &str) -> String {
    match quantity {
        "co2" => "CarbonDioxide".to_owned(),
        "dew_point" => "DewPoint".to_owned(),
        "pm2_5" => "PM2.5".to_owned(),
        "pm10" => "PM10".to_owned(),
        "pm1" => "PM1".to_owned(),
        "mass" => "Weight".to_owned(),
        other => {
            let mut c = other.chars();
            c.next().map_or_else(String::new, |f| f.to_ascii_uppercase().to_string() + c.as_str())
        }
    }
}

struct Hears {
    address: Option<String>,
    /// Units that a device states beside its values: temperature, pressure, speed.
    units: BTreeMap<String, [String; 3]>,
    /// What the one device that is listened to says in STATE, such as `Dimmer`: an answer to a command says it too.
    states: BTreeSet<String>,
    /// Addresses with a FullTopic that does not show by itself where the prefix is, as discovery told them.
    full: BTreeSet<String>,
}

/// Units that are remembered: of so many devices.
const MAX_DEVICES: usize = 4096;
/// Characters that a device's own words about itself have.
const MAX_ABOUT: usize = 200;
/// Fields of STATE that are remembered.
const MAX_STATES: usize = 64;

/// The address, prefix and verb of a topic; without a known address, of the default full topic or the one with prefix and
/// topic exchanged.
fn parse<'a>(address: Option<&str>, heard: &'a str) -> Option<(String, &'static str, &'a str)> {
    const PREFIXES: [&str; 3] = ["tele", "stat", "cmnd"];
    if let Some(address) = address {
        return PREFIXES.iter().find_map(|p| {
            let verb = heard.strip_prefix(topic(address, p, "").as_str())?;
            (!verb.is_empty() && !verb.contains('/')).then(|| (address.to_owned(), *p, verb))
        });
    }
    let (rest, verb) = heard.rsplit_once('/')?;
    for p in PREFIXES {
        if let Some(device) = rest.strip_prefix(p).and_then(|r| r.strip_prefix('/')) {
            return Some((device.to_owned(), p, verb));
        }
        if let Some(device) = rest.strip_suffix(p).and_then(|r| r.strip_suffix('/')) {
            return Some((format!("{device}/%prefix%"), p, verb));
        }
    }
    None
}

/// The unit of a SENSOR field by its name, where Tasmota has one unit for it.
fn unit_of<'a>(path: &str, stated: Option<&'a [String; 3]>) -> Cow<'a, str> {
    let stated =
        |i: usize, default: &'static str| match stated.map(|s| s[i].as_str()).filter(|s| !s.is_empty()) {
            Some(unit) => Cow::Borrowed(unit),
            None => Cow::Borrowed(default),
        };
    match tree::leaf(path) {
        "Temperature" | "DewPoint" | "HeatIndex" => stated(0, "degC"),
        "Pressure" | "SeaPressure" => stated(1, "hPa"),
        "Speed" => stated(2, "km/h"),
        "Humidity" => Cow::Borrowed("percent"),
        "Illuminance" => Cow::Borrowed("lx"),
        "Distance" => Cow::Borrowed("cm"),
        "Weight" => Cow::Borrowed("kg"),
        "CarbonDioxide" | "eCO2" => Cow::Borrowed("ppm"),
        "TVOC" => Cow::Borrowed("ppb"),
        "PM1" | "PM2.5" | "PM10" => Cow::Borrowed("ug/m3"),
        "Power" => Cow::Borrowed("W"),
        "ApparentPower" => Cow::Borrowed("VA"),
        "ReactivePower" => Cow::Borrowed("VAr"),
        "Voltage" | "Vcc" => Cow::Borrowed("V"),
        "Current" => Cow::Borrowed("A"),
        "Total" | "Yesterday" | "Today" | "ExportActive" if path.contains("ENERGY") => Cow::Borrowed("kWh"),
        "Frequency" => Cow::Borrowed("Hz"),
        "RSSI" => Cow::Borrowed("percent"),
        "Signal" => Cow::Borrowed("dBm"),
        _ => Cow::Borrowed(""),
    }
}

impl Hears {
    fn sensors(
        &mut self,
        device: &str,
        json: &Json,
        below: &str,
        facts: &mut Facts,
    ) -> Result<(), DecodeError> {
        let stated = |key: &str| json.get(key).and_then(Json::as_str).map(names::unit_of);
        let said = [stated("TempUnit"), stated("PressureUnit"), stated("SpeedUnit")];
        if said.iter().any(Option::is_some)
            && (self.units.len() < MAX_DEVICES || self.units.contains_key(device))
        {
            let kept = self.units.entry(device.to_owned()).or_default();
            for (kept, said) in kept.iter_mut().zip(said) {
                *kept = said.unwrap_or_else(|| std::mem::take(kept));
            }
        }
        let ts_ms = json.get("Time").and_then(tree::time_ms);
        let units = self.units.get(device);
        let mut found = Vec::new();
        tree::leaves(json, &mut |path, leaf| {
            if matches!(path, "Time" | "TempUnit" | "PressureUnit" | "SpeedUnit") {
                return;
            }
            let value = tree::value(leaf);
            if value.is_some() || leaf.is_null() {
                found.push((path.to_owned(), value, unit_of(path, units).into_owned()));
            }
        })?;
        for (path, value, unit) in found {
            // What a relay does is the same thing wherever it is said.
            let field =
                if below.is_empty() || path.starts_with("POWER") { path } else { format!("{below}/{path}") };
            if let (Some(_), Some(own)) = (&self.address, field.strip_prefix("STATE/"))
                && !own.contains('/')
                && self.states.len() < MAX_STATES
                && !self.states.contains(own)
            {
                self.states.insert(own.to_owned());
            }
            match value {
                Some(value) => facts.value(device, field, value, unit, ts_ms),
                // A sensor that does not answer.
                None => facts.0.push(Fact::Null { device: device.to_owned(), field }),
            }
        }
        Ok(())
    }
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if let Some(rest) = heard.topic.strip_prefix("tasmota/discovery/") {
            return self.discovery(rest, heard.payload, facts);
        }
        let by_discovery = || self.full.iter().find_map(|full| parse(Some(full), heard.topic));
        let Some((device, prefix, verb)) = parse(self.address.as_deref(), heard.topic).or_else(by_discovery)
        else {
            return Ok(());
        };
        match (prefix, verb) {
            ("tele", "LWT") => {
                let text = tree::text(heard.payload)?;
                if matches!(text, "Online" | "Offline") {
                    facts.online(&device, text == "Online");
                }
            }
            ("tele", "SENSOR") => self.sensors(&device, &object(heard.payload)?, "", facts)?,
            ("tele", "STATE") => self.sensors(&device, &object(heard.payload)?, "STATE", facts)?,
            ("stat", "STATUS8" | "STATUS10") => {
                let json = object(heard.payload)?;
                if let Some(sns) = json.get("StatusSNS") {
                    self.sensors(&device, sns, "", facts)?;
                }
            }
            ("stat", "RESULT") => {
                let json = object(heard.payload)?;
                // Unknown, Error, or that it waits: no answer of a command that it knows has this name.
                if let Some(said) = json.get("Command").and_then(Json::as_str) {
                    let input = json.get("Input").and_then(Json::as_str).unwrap_or_default();
                    facts.refused(&device, input, &format!("the device answers {said}"));
                }
                if let Some(s) = json.get("TelePeriod").and_then(Json::as_f64).filter(|s| *s >= 10.0) {
                    facts.0.push(Fact::Silence { device: device.clone(), allowed_s: PATIENCE_PERIODS * s });
                }
                // An acknowledgement; what it repeats of the state is told as done, and where STATE says it, as a value.
                tree::leaves(&json, &mut |path, leaf| {
                    if let Some(value) = tree::value(leaf) {
                        if self.states.contains(path) {
                            facts.value(&device, format!("STATE/{path}"), value.clone(), "", None);
                        }
                        facts.0.push(Fact::Done { device: device.clone(), field: path.to_owned(), value });
                    }
                })?;
            }
            ("stat", power) if is_power(power) => {
                let value = Value::Text(tree::text(heard.payload)?.chars().take(20).collect());
                facts.value(&device, power, value, "", None);
            }
            ("tele", "INFO1") => {
                let json = object(heard.payload)?;
                let info = json.get("Info1").unwrap_or(&json);
                for (key, field) in [("model", "Module"), ("firmware", "Version")] {
                    let text = info.get(field).and_then(Json::as_str).unwrap_or_default();
                    facts.about(&device, key, text.split('(').next().unwrap_or_default());
                }
            }
            ("cmnd", field) if self.address.is_none() || is_power(field) => {
                let value = Value::Text(tree::text(heard.payload)?.chars().take(200).collect());
                facts.0.push(Fact::Asked { device, field: field.to_owned(), value });
            }
            _ => {}
        }
        Ok(())
    }

    fn command(&self, address: &str, &Asked { field, value, .. }: &Asked<'_>) -> Result<Utterance, Unasked> {
        let verb = field.strip_prefix("STATE/").unwrap_or(field);
        if verb.contains('/') {
            return Err(never(field, "it is measured, and no command of Tasmota's sets it"));
        }
        let text = match value {
            Value::Flag(on) => if *on { "ON" } else { "OFF" }.to_owned(),
            other => other.to_string(),
        };
        Ok(say(topic(address, "cmnd", verb), text, 1, false))
    }
}

/// Commands in one Backlog, as in the firmware.
const MAX_BACKLOG: usize = 30;

fn is_power(verb: &str) -> bool {
    verb.strip_prefix("POWER").is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()))
}

fn object(payload: &[u8]) -> Result<Json, DecodeError> {
    tree::read(payload).and_then(|j| if j.is_object() { Ok(j) } else { Err(DecodeError::Shape) })
}

impl Hears {
    fn discovery(&mut self, rest: &str, payload: &[u8], facts: &mut Facts) -> Result<(), DecodeError> {
        // An empty payload takes the device away.
        if payload.is_empty() || !rest.ends_with("/config") {
            return Ok(());
        }
        let json = object(payload)?;
        let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default();
        let full = text("ft").replace("%topic%", text("t"));
        let full = full.trim_end_matches('/');
        let default = full.strip_prefix("%prefix%/").filter(|rest| !rest.contains("%prefix%"));
        let device = if full.is_empty() { text("t") } else { default.unwrap_or(full) };
        if !device.is_empty() && self.address.as_ref().is_none_or(|a| a == device) {
            let shows = default.is_some() || full.is_empty() || device.ends_with("/%prefix%");
            if !shows
                && device.contains("%prefix%")
                && self.address.is_none()
                && self.full.len() < MAX_DEVICES
            {
                self.full.insert(device.to_owned());
            }
            let (topic, full_topic) = split(device);
            if topic != text("t") {
                facts.about(device, "topic", text("t"));
            }
            if full_topic.trim_end_matches('/') != text("ft").trim_end_matches('/') && !full.is_empty() {
                facts.about(device, "full_topic", text("ft"));
            }
            facts.about(device, "name", text("dn"));
            facts.about(device, "model", text("md"));
            let friendly = json.get("fn").and_then(Json::as_array).into_iter().flatten();
            let friendly = Json::from_iter(friendly.filter_map(Json::as_str)).to_string();
            // What were cut off would be no list.
            if friendly != "[]" && friendly.chars().count() < MAX_ABOUT {
                facts.about(device, "names", &friendly);
            }
            facts.about(device, "firmware", text("sw"));
            facts.about(device, "mac", text("mac"));
        }
        Ok(())
    }
}

/// Friendly names that a device has at most.
const MAX_FRIENDLY_NAMES: usize = 8;

struct Speaks {
    address: String,
    name: String,
    full_topic: String,
    device: String,
    model: String,
    /// Friendly names of its relays, as far as they are given.
    names: Vec<String>,
    mac: [u8; 6],
    also: Map<String, Json>,
    signals: Vec<Spoken>,
    /// Of temperatures, pressures and speeds.
    units: [String; 3],
    version: String,
    started_ms: Option<i64>,
    power: BTreeMap<String, bool>,
    tele_period: u32,
}

impl Speaks {
    fn to(&self, prefix: &str, verb: &str) -> String {
        topic(&self.address, prefix, verb)
    }

    /// The object of SENSOR: time, a group a sensor, units at the end, as the firmware writes it.
    fn sensor(&self, report: &Report<'_>) -> String {
        let mut body = self.also.clone();
        for (s, v) in self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
            if !s.path[0].starts_with("POWER") && s.path[0] != "STATE" {
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
        let mut power = String::new();
        for (name, on) in &self.power {
            power += &format!("\"{name}\":\"{}\",", if *on { "ON" } else { "OFF" });
        }
        format!(
            "{{\"Time\":\"{}\",\"Uptime\":\"{d}T{h:02}:{m:02}:{s:02}\",\"UptimeSec\":{up},\"Heap\":25,\
             \"SleepMode\":\"Dynamic\",\"Sleep\":50,\"LoadAvg\":19,\"MqttCount\":1,{power}\
             \"Wifi\":{{\"AP\":1,\"SSId\":\"twinfleet\",\"BSSId\":\"02:00:00:00:00:01\",\"Channel\":6,\"Mode\":\"11n\",\
             \"RSSI\":80,\"Signal\":-60,\"LinkCount\":1,\"Downtime\":\"0T00:00:03\"}}}}",
            tree::local_time(report.ts_unix_ms)
        )
    }

    fn remember(&mut self, report: &Report<'_>) {
        self.started_ms.get_or_insert(report.ts_unix_ms);
        for (s, v) in self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
            if s.path[0].starts_with("POWER") {
                self.power.insert(s.path[0].clone(), *v >= 0.5);
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
        for (name, on) in &self.power {
            let word = if *on { "ON" } else { "OFF" };
            out.push(say(self.to("stat", "RESULT"), format!("{{\"{name}\":\"{word}\"}}"), 0, false));
            out.push(say(self.to("stat", name), word, 0, false));
        }
        let mac = hex(self.mac, true);
        out.push(say(format!("tasmota/discovery/{mac}/config"), self.config().to_string(), 0, true));
        let sensors = format!("{{\"sn\":{},\"ver\":1}}", self.sensor(report));
        out.push(say(format!("tasmota/discovery/{mac}/sensors"), sensors, 0, true));
    }

    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        self.remember(report);
        out.push(say(self.to("tele", "STATE"), self.state(report), 0, false));
        out.push(say(self.to("tele", "SENSOR"), self.sensor(report), 0, false));
    }

    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let verb = tree::leaf(heard.topic);
        let Ok(payload) = tree::text(heard.payload) else { return };
        let mut power = self.power.clone();
        for (verb, payload) in commands(verb, payload) {
            let asks = payload.trim().is_empty();
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
                let word = if on { "ON" } else { "OFF" };
                out.push(say(result, format!("{{\"{name}\":\"{word}\"}}"), 0, false));
                out.push(say(self.to("stat", &name), word, 0, false));
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
    use crate::dialect;

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
        let mut listener = Tasmota.listener(None);
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
