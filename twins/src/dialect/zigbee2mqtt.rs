//! Zigbee2MQTT: a bridge that publishes each Zigbee device's state as JSON, and in `bridge/devices` what they are.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let heard = Heard { topic: "zigbee2mqtt/hall", payload: br#"{"temperature":21.5,"linkquality":87}"#, retain: false };
//! find("zigbee2mqtt").unwrap().listener(Some("zigbee2mqtt/hall")).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("zigbee2mqtt/hall")["temperature"], 21.5);
//! ```

use super::{
    Asked, Dialect, Listener, Spoken, UNITS, also,
    facts::{Fact, Facts},
    hardware_address, hex, names, never, object, said_in, say, spoken, tree, wrong,
};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct Zigbee2Mqtt;

const OPTIONS: [(&str, &str); 4] = [
    ("also", "a JSON object with what each state says besides"),
    (
        "devices",
        "of a whole bridge: a JSON object, friendly name to {\"model\", \"vendor\", \"also\": {..}}; the map then names name/property",
    ),
    ("model", "the model that its devices state, \"virtual\" by default"),
    UNITS,
];
/// Properties whose units are remembered.
const MAX_PROPERTIES: usize = 16_384;
/// … whose names are no longer, [bytes].
const MAX_NAMES_BYTES: usize = 1024;
/// Verbs below a device, which are no part of its name.
const VERBS: [&str; 3] = ["availability", "set", "get"];

impl Dialect for Zigbee2Mqtt {
    fn name(&self) -> &'static str {
        "zigbee2mqtt"
    }
    fn about(&self) -> &'static str {
        "Zigbee2MQTT: JSON states, availability, set/get, units from bridge/devices"
    }
    fn source(&self) -> &'static str {
        "zigbee2mqtt.io: MQTT topics and messages, Exposes, Device availability"
    }
    fn address(&self) -> &'static str {
        "base topic and friendly name, such as \"zigbee2mqtt/hall\"; to speak as a whole bridge, the base topic alone: each part is a device"
    }
    fn filters(&self, address: &str) -> Vec<String> {
        let (base, name) = split(address);
        let of_bridge = ["devices", "state", "logging"].map(|what| format!("{base}/bridge/{what}"));
        let mut all = Vec::from(of_bridge);
        match name {
            Some(name) => all.extend([format!("{base}/{name}"), format!("{base}/{name}/availability")]),
            None => all.push(format!("{base}/#")),
        }
        all
    }
    fn everywhere(&self) -> &'static [&'static str] {
        &["zigbee2mqtt/#"]
    }
    fn owns(&self, topic: &str) -> bool {
        topic.starts_with("zigbee2mqtt/")
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        let base = address.map_or("zigbee2mqtt", |a| split(a).0).to_owned();
        let wanted = address.filter(|a| split(a).1.is_some()).map(str::to_owned);
        Box::new(Hears { base, wanted, properties: BTreeMap::new() })
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let (base, name) = split(spec.topic);
        let fixed = name.map(str::to_owned);
        let devices = object(spec.options, "devices")?;
        if fixed.is_some() && !devices.is_empty() {
            let help = Some("write the base topic alone, such as \"zigbee2mqtt\"".to_owned());
            return Err(wrong("options", "devices", "the topic names a device already", help));
        }
        let signals = spoken(spec, |part, quantity| match &fixed {
            Some(name) => vec![name.clone(), property(quantity).to_owned()],
            None => vec![part.to_owned(), property(quantity).to_owned()],
        });
        // A map names the property alone, or the device before it: that of the longest name, for names have levels of their own.
        let device_of = |field: &str| {
            let known =
                devices.keys().filter(|d| field.strip_prefix(d.as_str()).is_some_and(|r| r.starts_with('/')));
            known.max_by_key(|d| d.len()).cloned()
        };
        let placed = |mut s: Spoken| {
            let field = s.path.join("/");
            let mapped = spec.map.contains_key(&s.signal);
            if let (Some(name), true) = (&fixed, mapped) {
                s.path.insert(0, name.clone());
            } else if let Some(device) = device_of(&field) {
                s.path = field[device.len() + 1..].split('/').map(str::to_owned).collect();
                s.path.insert(0, device);
            } else if s.path.len() == 1 {
                s.path.insert(0, s.signal.split('.').next().unwrap_or_default().to_owned());
            }
            if let "mA" | "Wh" = s.unit.as_str()
                && let Some("current" | "energy") = s.path.last().map(String::as_str)
            {
                // The units in which the bridge says these.
                s.said_unit = if s.unit == "mA" { "A" } else { "kWh" }.to_owned();
            }
            s
        };
        let signals: Vec<Spoken> = said_in(signals.into_iter().map(placed).collect(), spec.options)?;
        for (i, s) in signals.iter().enumerate() {
            if let Some(other) = signals[..i].iter().find(|o| o.path == s.path) {
                let message =
                    format!("`{}` and `{}` would both be `{}`", other.signal, s.signal, s.path.join("/"));
                let help = Some("give one of the two another property in `map`".to_owned());
                return Err(DialectError { field: "map", key: String::new(), message, help });
            }
        }
        let model = spec.options.get("model").map_or("virtual", String::as_str).to_owned();
        let also = also(spec.options)?;
        let mut all: BTreeMap<String, About> = BTreeMap::new();
        for s in &signals {
            all.insert(
                s.path[0].clone(),
                About { model: model.clone(), vendor: "Twinfleet".to_owned(), also: also.clone() },
            );
        }
        for (name, said) in devices {
            let text = |key: &str, own: &str| said[key].as_str().unwrap_or(own).to_owned();
            let also = said["also"].as_object().cloned().unwrap_or_default();
            all.insert(
                name,
                About { model: text("model", &model), vendor: text("vendor", "Twinfleet"), also },
            );
        }
        Ok(Box::new(Speaks { base: base.to_owned(), devices: all, signals, state: BTreeMap::new() }))
    }
    fn commands(&self) -> bool {
        true
    }
}

/// Base topic and friendly name, which may have levels of its own.
fn split(address: &str) -> (&str, Option<&str>) {
    address.split_once('/').map_or((address, None), |(base, name)| (base, Some(name)))
}

/// Zigbee2MQTT's word for a quantity.
fn property(quantity: &str) -> &str {
    match quantity {
        "charge" => "battery",
        "pm2_5" => "pm25",
        other => other,
    }
}

struct Hears {
    base: String,
    wanted: Option<String>,
    /// Address and property → what the bridge declares of it.
    properties: BTreeMap<(String, String), Property>,
}

/// What a bridge declares of a property.
struct Property {
    unit: String,
    /// Bits of what one may do with it; none where it does not say.
    access: Option<u64>,
}

/// The bit of a property that can be set ("Exposes": access).
const SETTABLE: u64 = 2;

impl Hears {
    /// What the bridge logs, if it says that a device could not be set.
    fn log(&self, payload: &[u8], facts: &mut Facts) -> Result<(), DecodeError> {
        let text = tree::text(payload)?;
        // A bridge logs all that it does: most of it need not be read.
        if !text.contains("error") || !text.contains(" failed") {
            return Ok(());
        }
        let json = tree::read(payload)?;
        let message = json.get("message").and_then(Json::as_str).unwrap_or_default();
        if let Some((name, property)) = failed(message) {
            let device = format!("{}/{name}", self.base);
            if self.is_wanted(&device) {
                facts.refused(&device, property, message);
            }
        }
        Ok(())
    }

    fn is_wanted(&self, device: &str) -> bool {
        self.wanted.as_ref().is_none_or(|w| w == device)
    }

    fn devices(&mut self, payload: &[u8], facts: &mut Facts) -> Result<(), DecodeError> {
        let Json::Array(list) = tree::read(payload)? else { return Err(DecodeError::Shape) };
        for d in list.iter().take(tree::MAX_LEAVES) {
            let Some(name) = d.get("friendly_name").and_then(Json::as_str) else { continue };
            let device = format!("{}/{name}", self.base);
            if !self.is_wanted(&device) || d.get("type").and_then(Json::as_str) == Some("Coordinator") {
                continue;
            }
            let definition = d.get("definition").unwrap_or(&Json::Null);
            let text = |key: &str| definition.get(key).and_then(Json::as_str).unwrap_or_default();
            facts.about(&device, "model", text("model"));
            facts.about(&device, "manufacturer", text("vendor"));
            facts.about(&device, "name", name);
            let exposes = definition.get("exposes").and_then(Json::as_array);
            for e in exposes.into_iter().flatten().take(256) {
                let features = e.get("features").and_then(Json::as_array);
                for f in features.map_or_else(|| vec![e], |list| list.iter().take(64).collect()) {
                    let Some(property) = f.get("property").and_then(Json::as_str) else { continue };
                    let unit = f.get("unit").and_then(Json::as_str).map_or_else(String::new, names::unit_of);
                    let quantity = f.get("name").and_then(Json::as_str).unwrap_or_default();
                    facts.declared(&device, property, &unit, quantity, &device);
                    if self.properties.len() < MAX_PROPERTIES
                        && device.len() + property.len() <= MAX_NAMES_BYTES
                    {
                        let access = f.get("access").and_then(Json::as_u64);
                        self.properties
                            .insert((device.clone(), property.to_owned()), Property { unit, access });
                    }
                }
            }
        }
        Ok(())
    }
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        let Some(rest) = heard.topic.strip_prefix(self.base.as_str()).and_then(|t| t.strip_prefix('/'))
        else {
            return Ok(());
        };
        if rest == "bridge/devices" {
            return self.devices(heard.payload, facts);
        }
        if rest == "bridge/state" {
            // Where the bridge is gone, so is every device behind it.
            if let (Some(false), Some(device)) = (state(heard.payload)?, &self.wanted) {
                facts.online(device, false);
            }
            return Ok(());
        }
        if rest == "bridge/logging" {
            return self.log(heard.payload, facts);
        }
        if rest.starts_with("bridge/") {
            return Ok(());
        }
        let (name, verb) = match rest.rsplit_once('/') {
            Some((name, verb)) if VERBS.contains(&verb) => (name, verb),
            _ => (rest, ""),
        };
        let device = format!("{}/{name}", self.base);
        if !self.is_wanted(&device) {
            return Ok(());
        }
        match verb {
            "availability" => {
                if let Some(online) = state(heard.payload)? {
                    facts.online(&device, online);
                }
                return Ok(());
            }
            "get" => return Ok(()),
            _ => {}
        }
        if heard.payload.is_empty() {
            return Ok(());
        }
        let json = tree::read(heard.payload)?;
        let ts_ms = json.get("last_seen").and_then(tree::time_ms);
        let mut found = Vec::new();
        tree::leaves(&json, &mut |path, leaf| {
            let value = tree::value(leaf);
            if path != "last_seen" && (value.is_some() || leaf.is_null()) {
                found.push((path.to_owned(), value));
            }
        })?;
        for (path, value) in found {
            let Some(value) = value else {
                facts.0.push(Fact::Null { device: device.clone(), field: path });
                continue;
            };
            if verb == "set" {
                facts.0.push(Fact::Asked { device: device.clone(), field: path, value });
                continue;
            }
            let unit = self.properties.get(&(device.clone(), path.clone())).map(|p| p.unit.clone());
            facts.value(&device, path.clone(), value, unit.unwrap_or_else(|| usual(&path).to_owned()), ts_ms);
        }
        Ok(())
    }

    fn command(&self, address: &str, &Asked { field, value, .. }: &Asked<'_>) -> Result<Utterance, Unasked> {
        let path: Vec<String> = field.split('/').map(str::to_owned).collect();
        let known = [path[0].clone(), field.to_owned()];
        let mut known = known.into_iter().filter_map(|p| self.properties.get(&(address.to_owned(), p)));
        if known.next().and_then(|p| p.access).is_some_and(|access| access & SETTABLE == 0) {
            return Err(never(field, "the bridge says that it can be read and not be set"));
        }
        let mut map = Map::new();
        tree::put(&mut map, &path, tree::json(value));
        Ok(say(format!("{address}/set"), Json::Object(map).to_string(), 1, false))
    }
}

/// The device of an error that the bridge logs, and the property that it is about: it says so of what it could not publish,
/// `Publish 'set' 'brightness' to 'hall' failed: '…'`.
fn failed(message: &str) -> Option<(&str, &str)> {
    let mut quoted = message.split_once("ublish 'set' '")?.1.splitn(2, "' to '");
    let (property, rest) = (quoted.next()?, quoted.next()?);
    Some((rest.split_once("' failed")?.0, property))
}

/// The unit of a property where the bridge has not declared it: those that it has one unit for (its "Exposes" page).
fn usual(property: &str) -> &'static str {
    match property {
        "temperature" | "device_temperature" => "degC",
        "humidity" | "battery" | "soil_moisture" => "percent",
        "pressure" => "hPa",
        "illuminance" | "illuminance_lux" => "lx",
        "power" => "W",
        "energy" => "kWh",
        "current" => "A",
        "co2" => "ppm",
        _ => "",
    }
}

/// `online` and `offline`, plain or as `{"state":"online"}`.
fn state(payload: &[u8]) -> Result<Option<bool>, DecodeError> {
    let text = tree::text(payload)?;
    let said = match tree::read(payload) {
        Ok(json) => json.get("state").and_then(Json::as_str).unwrap_or_default().to_owned(),
        Err(_) => text.to_owned(),
    };
    Ok(match said.as_str() {
        "online" => Some(true),
        "offline" => Some(false),
        _ => None,
    })
}

/// Whether a double's property can be set: all but what sensors measure.
fn is_settable(property: &str) -> bool {
    let senses = [
        "battery_low",
        "contact",
        "linkquality",
        "occupancy",
        "presence",
        "vibration",
        "voltage",
        "water_leak",
    ];
    usual(property).is_empty() && !senses.contains(&property)
}

/// Whether a double says a property in words, ON and OFF: `state`, and `state_left` of a switch with several.
fn is_state(property: &str) -> bool {
    property == "state" || property.starts_with("state_")
}

/// What a device says besides its readings: of itself, and with each state.
struct About {
    model: String,
    vendor: String,
    also: Map<String, Json>,
}

struct Speaks {
    base: String,
    /// By friendly name.
    devices: BTreeMap<String, About>,
    signals: Vec<Spoken>,
    /// The last state of each device; the bridge publishes all that it knows of one.
    state: BTreeMap<String, Map<String, Json>>,
}

impl Speaks {
    fn devices(&self) -> Json {
        let address = |name: &str| {
            format!("0x00{}", hex(hardware_address(&format!("{}/{name}", self.base)), false) + "00")
        };
        let mut all = vec![
            json!({"ieee_address": address("coordinator"), "type": "Coordinator", "network_address": 0, "supported": true, "friendly_name": "Coordinator", "definition": null, "interview_completed": true, "interviewing": false, "disabled": false}),
        ];
        for (n, (name, about)) in self.devices.iter().enumerate() {
            let mut exposes: Vec<Json> = Vec::new();
            for s in self.signals.iter().filter(|s| s.path[0] == *name) {
                let property = s.path[1].as_str();
                let mut expose = json!({"type": "numeric", "name": property, "label": property, "property": property, "access": if is_settable(property) { 7 } else { 1 }, "description": format!("Measured {property}")});
                // What has parts is exposed once, with these as its features.
                if s.path.len() > 2 {
                    expose["type"] = Json::from("composite");
                    expose["features"] = json!([]);
                }
                let unit = names::spelled(&s.said_unit);
                if !unit.is_empty() {
                    expose["unit"] = Json::from(unit);
                }
                if !exposes.iter().any(|e| e["property"] == property) {
                    exposes.push(expose);
                }
            }
            exposes.push(json!({"type": "numeric", "name": "linkquality", "label": "Linkquality", "property": "linkquality", "access": 1, "category": "diagnostic", "description": "Link quality (signal strength)", "unit": "lqi", "value_min": 0, "value_max": 255}));
            all.push(json!({"ieee_address": address(name), "type": "EndDevice", "network_address": n + 1, "supported": true, "friendly_name": name, "disabled": false, "power_source": "Battery", "interview_completed": true, "interviewing": false, "definition": {"model": about.model, "vendor": about.vendor, "description": "virtual device", "exposes": exposes, "options": [], "supports_ota": false}, "endpoints": {}}));
        }
        Json::Array(all)
    }

    fn publish(&self, name: &str) -> Option<Utterance> {
        let state = self.state.get(name)?.clone();
        let state: Map<String, Json> = state.into_iter().map(|(k, v)| (k, tree::with_lists(v))).collect();
        Some(say(format!("{}/{name}", self.base), Json::Object(state).to_string(), 0, false))
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        // A friendly name may have levels of its own.
        let levels = self.devices.keys().map(|name| name.split('/').count());
        let wild: BTreeSet<String> = levels.map(|n| vec!["+"; n].join("/")).collect();
        let verbs = |w: &String| ["set", "get"].map(|verb| format!("{}/{w}/{verb}", self.base));
        wild.iter().flat_map(verbs).collect()
    }
    fn will(&mut self, _: i64) -> Option<Utterance> {
        Some(say(format!("{}/bridge/state", self.base), r#"{"state":"offline"}"#, 1, true))
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        let b = &self.base;
        out.push(say(format!("{b}/bridge/state"), r#"{"state":"online"}"#, 1, true));
        let info = json!({"version": "2.7.0", "commit": "0000000", "coordinator": {"type": "ZStack3x0", "ieee_address": "0x0000000000000000", "meta": {"revision": 20_240_710}}, "network": {"channel": 11, "pan_id": 6754, "extended_pan_id": "0xdddddddddddddddd"}, "log_level": "info", "permit_join": false, "restart_required": false});
        out.push(say(format!("{b}/bridge/info"), info.to_string(), 0, true));
        out.push(say(format!("{b}/bridge/devices"), self.devices().to_string(), 0, true));
        for name in self.devices.keys() {
            out.push(say(format!("{b}/{name}/availability"), r#"{"state":"online"}"#, 1, true));
        }
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut touched = BTreeSet::new();
        for (s, v) in self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
            let also = || self.devices.get(&s.path[0]).map_or_else(Map::new, |d| d.also.clone());
            let state = self.state.entry(s.path[0].clone()).or_insert_with(also);
            state.entry("linkquality").or_insert_with(|| Json::from(120));
            let said = match is_state(&s.path[1]) {
                true => Json::from(if *v >= 0.5 { "ON" } else { "OFF" }),
                false => tree::number(s.said(*v)),
            };
            tree::put(state, &s.path[1..], said);
            touched.insert(s.path[0].clone());
        }
        out.extend(touched.iter().filter_map(|name| self.publish(name)));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Some((name, "set")) = self.asked(heard.topic) else { return };
        let Ok(wanted @ Json::Object(_)) = tree::read(heard.payload) else { return };
        for (i, s) in self.signals.iter().enumerate().filter(|(_, s)| s.path[0] == name) {
            let at = s.path[1..].iter().try_fold(&wanted, |at, level| at.get(level));
            let value = at.and_then(tree::value).and_then(|v| v.number());
            set.extend(value.filter(|_| is_settable(&s.path[1])).map(|v| (i, s.heard(v))));
        }
    }
    fn answer(&mut self, heard: &Heard<'_>, _: &Report<'_>, out: &mut Vec<Utterance>) {
        let Some((name, verb)) = self.asked(heard.topic) else { return };
        let (name, b) = (name.to_owned(), &self.base);
        if let (true, Some(state), Ok(Json::Object(wanted))) =
            (verb == "set", self.state.get_mut(&name), tree::read(heard.payload))
        {
            for (key, value) in wanted {
                match state.get_mut(&key) {
                    Some(own) if is_settable(&key) => *own = value,
                    // What it does not have, or measures, it does not take on.
                    _ => {
                        let why = format!(
                            "Publish 'set' '{key}' to '{name}' failed: 'No converter available for '{key}' ({value})'"
                        );
                        let log =
                            json!({"level": "error", "message": format!("z2m: {why}"), "namespace": "z2m"});
                        out.push(say(format!("{b}/bridge/logging"), log.to_string(), 0, false));
                    }
                }
            }
        }
        out.extend(self.publish(&name));
    }
}

impl Speaks {
    /// The device that a message is for, and what it is: `set` or `get`.
    fn asked<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        let (rest, verb) = topic.rsplit_once('/')?;
        Some((rest.strip_prefix(self.base.as_str())?.strip_prefix('/')?, verb))
    }
}
