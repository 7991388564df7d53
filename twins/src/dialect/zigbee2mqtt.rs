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

mod voice;

use self::voice::{About, Group, LastSeen, Speaks};
use super::{
    Asked, Dialect, Listener, Spoken, UNITS, WORDS, also,
    facts::{Fact, Facts},
    homeassistant::{self, DISCOVERY},
    names, never, object, option, said_in, say, spoken, tree, words, wrong,
};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Unasked, Utterance, Voice, VoiceSpec},
    mirror::decode::DecodeError,
};

/// The dialect.
pub struct Zigbee2Mqtt;

const OPTIONS: [(&str, &str); 13] = [
    (
        "actions",
        "a JSON object, signal to the actions that its values 0, 1, … are: {\"button.action\": [\"single\", \"double\"]}",
    ),
    ("address", "its Zigbee address, such as \"0x00124b0022ec93d7\"; else one of its own"),
    ("also", "a JSON object with what each state says besides"),
    (
        "devices",
        "of a whole bridge: a JSON object, friendly name to {\"model\", \"vendor\", \"address\", \"kind\", \"power\", \"also\": {..}}; the map then names name/property",
    ),
    DISCOVERY,
    ("groups", "a JSON object, the friendly name of a group to those of its members"),
    ("kind", "what it is in its network, \"EndDevice\" (default) or \"Router\""),
    (
        "last_seen",
        "how each state says when its device was heard: \"disable\" (default), \"ISO_8601\", \"ISO_8601_local\" or \"epoch\"",
    ),
    ("model", "the model that its devices state, \"virtual\" by default"),
    ("power", "the power source that they state, \"Battery\" by default"),
    UNITS,
    ("vendor", "the vendor that they state, \"Twinfleet\" by default"),
    WORDS,
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
        let of_bridge = ["devices", "groups", "state", "logging"].map(|what| format!("{base}/bridge/{what}"));
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
        Box::new(Hears {
            base,
            wanted,
            others: address.is_none().then(BTreeSet::new),
            bridge: None,
            back: false,
            available: None,
            properties: BTreeMap::new(),
            addresses: BTreeMap::new(),
        })
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
        let texts = |list: &Json| -> Option<Vec<String>> {
            list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let no_list = |key: &str, name: &str| {
            wrong("options", key, format!("`{name}` in `{key}` is no list of texts"), None)
        };
        let mut groups = Vec::new();
        for (name, list) in object(spec.options, "groups")? {
            let members = texts(&list).ok_or_else(|| no_list("groups", &name))?;
            groups.push(Group { name, members });
        }
        // A map names the property alone, or the device before it: that of the longest name, for names have levels of their own.
        let device_of = |field: &str| {
            let names = devices.keys().chain(groups.iter().map(|g| &g.name));
            let known = names.filter(|d| field.strip_prefix(d.as_str()).is_some_and(|r| r.starts_with('/')));
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
        let mut actions = BTreeMap::new();
        for (signal, list) in object(spec.options, "actions")? {
            let Some(place) = signals.iter().position(|s| s.signal == signal) else {
                return Err(wrong("options", "actions", format!("the device reports no `{signal}`"), None));
            };
            actions.insert(place, texts(&list).ok_or_else(|| no_list("actions", &signal))?);
        }
        let words = words(spec.options, &signals)?;
        let last_seen =
            match option(spec.options, "last_seen", &["disable", "ISO_8601", "ISO_8601_local", "epoch"])? {
                "ISO_8601" => LastSeen::Utc,
                "ISO_8601_local" => LastSeen::Local,
                "epoch" => LastSeen::Epoch,
                _ => LastSeen::Never,
            };
        let told = |key: &str, own: &str| spec.options.get(key).map_or(own, String::as_str).to_owned();
        let usual = About {
            model: told("model", "virtual"),
            vendor: told("vendor", "Twinfleet"),
            address: spec.options.get("address").filter(|_| fixed.is_some()).cloned(),
            kind: told("kind", "EndDevice"),
            power: told("power", "Battery"),
            also: also(spec.options)?,
        };
        let mut all: BTreeMap<String, About> = BTreeMap::new();
        let is_group = |name: &str| groups.iter().any(|g| g.name == name);
        for s in signals.iter().filter(|s| !is_group(&s.path[0])) {
            all.insert(s.path[0].clone(), usual.clone());
        }
        for (name, said) in devices {
            let text = |key: &str, own: &str| said[key].as_str().unwrap_or(own).to_owned();
            let about = About {
                model: text("model", &usual.model),
                vendor: text("vendor", &usual.vendor),
                address: said["address"].as_str().map(str::to_owned),
                kind: text("kind", &usual.kind),
                power: text("power", &usual.power),
                also: said["also"].as_object().cloned().unwrap_or_default(),
            };
            all.insert(name, about);
        }
        Ok(Box::new(Speaks {
            base: base.to_owned(),
            configs: homeassistant::configs(spec.options)?,
            devices: all,
            groups,
            signals,
            actions,
            words,
            last_seen,
            state: BTreeMap::new(),
        }))
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
    /// Base topics of further bridges, known by their lists of devices; none where only one is listened to.
    others: Option<BTreeSet<String>>,
    /// Whether the bridge of the wanted device is there.
    bridge: Option<bool>,
    /// The bridge came back, or was met, and whether the wanted device did too is still to be told.
    back: bool,
    /// Whether the bridge last said that the wanted device is there.
    available: Option<bool>,
    /// Address and property → what the bridge declares of it.
    properties: BTreeMap<(String, String), Property>,
    /// Names of devices by their Zigbee addresses, by which groups name them.
    addresses: BTreeMap<String, String>,
}

/// Bridges besides the usual one that are found.
const MAX_BRIDGES: usize = 64;
/// Devices whose addresses are remembered.
const MAX_DEVICES: usize = 4096;
/// Characters that a device's own words about itself have.
const MAX_ABOUT: usize = 200;

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
    fn log(&self, base: &str, payload: &[u8], facts: &mut Facts) -> Result<(), DecodeError> {
        let text = tree::text(payload)?;
        // A bridge logs all that it does: most of it need not be read.
        if !text.contains("error") || !text.contains(" failed") {
            return Ok(());
        }
        let json = tree::read(payload)?;
        let message = json.get("message").and_then(Json::as_str).unwrap_or_default();
        if let Some((name, property)) = failed(message) {
            let device = format!("{base}/{name}");
            if self.is_wanted(&device) {
                facts.refused(&device, property, message);
            }
        }
        Ok(())
    }

    fn is_wanted(&self, device: &str) -> bool {
        self.wanted.as_ref().is_none_or(|w| w == device)
    }

    fn devices(&mut self, base: &str, payload: &[u8], facts: &mut Facts) -> Result<(), DecodeError> {
        let Json::Array(list) = tree::read_list(payload)? else { return Err(DecodeError::Shape) };
        for d in list.iter().take(tree::MAX_LEAVES) {
            let Some(name) = d.get("friendly_name").and_then(Json::as_str) else { continue };
            let device = format!("{base}/{name}");
            let address = d.get("ieee_address").and_then(Json::as_str).unwrap_or_default();
            if (self.addresses.len() < MAX_DEVICES || self.addresses.contains_key(address))
                && address.len() + name.len() <= MAX_NAMES_BYTES
            {
                self.addresses.insert(address.to_owned(), name.to_owned());
            }
            if !self.is_wanted(&device) || d.get("type").and_then(Json::as_str) == Some("Coordinator") {
                continue;
            }
            let definition = d.get("definition").unwrap_or(&Json::Null);
            let text = |key: &str| definition.get(key).and_then(Json::as_str).unwrap_or_default();
            facts.about(&device, "model", text("model"));
            facts.about(&device, "manufacturer", text("vendor"));
            facts.about(&device, "name", name);
            if self.wanted.is_none() {
                // By these a client knows it too.
                for (key, member) in
                    [("address", "ieee_address"), ("kind", "type"), ("power", "power_source")]
                {
                    facts.about(&device, key, d.get(member).and_then(Json::as_str).unwrap_or_default());
                }
            }
            let exposes = definition.get("exposes").and_then(Json::as_array);
            for e in exposes.into_iter().flatten().take(256) {
                let features = e.get("features").and_then(Json::as_array);
                for f in features.map_or_else(|| vec![e], |list| list.iter().take(64).collect()) {
                    let Some(property) = f.get("property").and_then(Json::as_str) else { continue };
                    let unit = f.get("unit").and_then(Json::as_str).map_or_else(String::new, names::unit_of);
                    let quantity = f.get("name").and_then(Json::as_str).unwrap_or_default();
                    if let (None, "action", Some(words)) = (&self.wanted, property, f.get("values")) {
                        // Of a list that were cut off, nothing would be left.
                        let (device, text) = (device.clone(), words.to_string());
                        facts.0.push(Fact::About { device, key: "actions", text });
                    }
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

impl Hears {
    /// Groups, which say what they are by their members, and their states as devices do.
    fn groups(&self, base: &str, payload: &[u8], facts: &mut Facts) -> Result<(), DecodeError> {
        let Json::Array(list) = tree::read_list(payload)? else { return Err(DecodeError::Shape) };
        for g in list.iter().take(tree::MAX_LEAVES) {
            let Some(name) = g.get("friendly_name").and_then(Json::as_str) else { continue };
            let device = format!("{base}/{name}");
            if !self.is_wanted(&device) {
                continue;
            }
            let members = g.get("members").and_then(Json::as_array).into_iter().flatten().take(256);
            let address = |m: &Json| m.get("ieee_address").and_then(Json::as_str).map(str::to_owned);
            let known = |address: String| self.addresses.get(&address).cloned().unwrap_or(address);
            let names = Json::from_iter(members.filter_map(address).map(known)).to_string();
            facts.about(&device, "name", name);
            // What were cut off would be no list.
            if names.chars().count() < MAX_ABOUT {
                facts.about(&device, "members", &names);
            }
        }
        Ok(())
    }
}

impl Hears {
    /// The base topic of a message and the rest of its topic, if it is one of a bridge that is listened to.
    fn parted<'a>(&mut self, heard: &Heard<'a>) -> Option<(&'a str, &'a str)> {
        let (base, rest) = heard.topic.split_once('/')?;
        if base == self.base {
            return Some((base, rest));
        }
        let others = self.others.as_mut()?;
        let is_new = rest == "bridge/devices" && others.len() < MAX_BRIDGES && base.len() <= MAX_NAMES_BYTES;
        let is_anothers = || super::all().iter().any(|d| d.owns(heard.topic));
        if is_new && !others.contains(base) && !is_anothers() && is_list_of_devices(heard.payload) {
            others.insert(base.to_owned());
        }
        others.contains(base).then_some((base, rest))
    }

    /// The bridge of the wanted device is there, or gone.
    fn bridge_is(&mut self, online: Option<bool>, facts: &mut Facts) {
        let (Some(online), Some(device)) = (online, &self.wanted) else { return };
        if !online {
            // Where it is gone, so is every device behind it.
            facts.online(device, false);
        }
        self.back = online && self.bridge != Some(true);
        self.bridge = Some(online);
    }

    /// With its bridge a device is there again, unless the bridge says otherwise of it: one that does not watch availability says
    /// nothing more. What a broker had kept comes before what is new, and may be about the device.
    fn come_back(&mut self, heard: &Heard<'_>, facts: &mut Facts) {
        if heard.retain || !std::mem::take(&mut self.back) {
            return;
        }
        if let (Some(device), true) = (&self.wanted, self.available != Some(false)) {
            facts.online(device, true);
        }
    }
}

/// Whether it is what a bridge lists.
fn is_list_of_devices(payload: &[u8]) -> bool {
    let first = |json: Json| Some(json.as_array()?.first()?.get("ieee_address")?.is_string());
    tree::read_list(payload).ok().and_then(first) == Some(true)
}

impl Listener for Hears {
    fn owns(&self, topic: &str) -> bool {
        let base = topic.split_once('/').map(|(base, _)| base);
        base.zip(self.others.as_ref()).is_some_and(|(base, others)| others.contains(base))
    }

    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        let Some((base, rest)) = self.parted(heard) else { return Ok(()) };
        if rest == "bridge/state" {
            self.bridge_is(state(heard.payload)?, facts);
        }
        self.come_back(heard, facts);
        match rest {
            "bridge/devices" => return self.devices(base, heard.payload, facts),
            "bridge/groups" => return self.groups(base, heard.payload, facts),
            "bridge/logging" => return self.log(base, heard.payload, facts),
            _ => {}
        }
        if rest.starts_with("bridge/") {
            return Ok(());
        }
        let (name, verb) = match rest.rsplit_once('/') {
            Some((name, verb)) if VERBS.contains(&verb) => (name, verb),
            _ => (rest, ""),
        };
        let device = format!("{base}/{name}");
        if !self.is_wanted(&device) {
            return Ok(());
        }
        match verb {
            "availability" => {
                if let Some(online) = state(heard.payload)? {
                    self.available = self.wanted.is_some().then_some(online);
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
        let json = match tree::read(heard.payload) {
            // What triggers Home Assistant's automations, a plain word, is in the device's state too.
            Err(_) if name.ends_with("/action") => return Ok(()),
            read => read?,
        };
        let last_seen = json.get("last_seen");
        let ts_ms = last_seen.and_then(tree::time_ms);
        if let (None, Some(said)) = (&self.wanted, last_seen) {
            // How the bridge is set to say it, which its double has to know.
            let form = match said {
                Json::Number(_) => "epoch",
                Json::String(text) if text.ends_with('Z') => "ISO_8601",
                Json::String(_) => "ISO_8601_local",
                _ => "",
            };
            facts.about(&device, "last_seen", form);
        }
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
