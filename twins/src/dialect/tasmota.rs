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

mod voice;

use self::voice::Speaks;
use super::{
    Asked, Dialect, Listener, also,
    facts::{Fact, Facts, Value},
    mac, names, never, option, say, spoken, tree, wrong,
};
use serde_json::Value as Json;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct Tasmota;

const OPTIONS: [(&str, &str); 12] = [
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
    (
        "state",
        "a JSON object with what STATE says besides time and relays; numbers and words of a light in it can be set",
    ),
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
            state: voice::state_of(super::object(spec.options, "state")?),
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
    // Of several phases or relays each has a place in a list.
    let is_word = |level: &&str| !level.bytes().all(|b| b.is_ascii_digit());
    match path.rsplit('/').find(is_word).unwrap_or(path) {
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
        if verb.contains('/') || is_switch(verb) {
            return Err(never(field, "it is measured, and no command of Tasmota's sets it"));
        }
        let text = match value {
            Value::Flag(on) => if *on { "ON" } else { "OFF" }.to_owned(),
            other => other.to_string(),
        };
        Ok(say(topic(address, "cmnd", verb), text, 1, false))
    }
}

/// Whether it is what SENSOR says of a switch at one of its pins.
fn is_switch(field: &str) -> bool {
    field.strip_prefix("Switch").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

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
