//! A bridge with its devices and groups: what it lists, each one's state as JSON, and what it is told of them.

use super::super::{Spoken, hardware_address, hex, names, say, tree};
use super::usual;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{Heard, Utterance, Voice},
    firmware::payload::Report,
    scenario::calendar,
};

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
#[derive(Clone)]
pub(super) struct About {
    pub model: String,
    pub vendor: String,
    /// Its Zigbee address; none where it has one of our making.
    pub address: Option<String>,
    pub kind: String,
    pub power: String,
    pub also: Map<String, Json>,
}

/// Devices that are told as one.
pub(super) struct Group {
    pub name: String,
    pub members: Vec<String>,
}

/// How a state says when its device was heard (`advanced.last_seen`).
#[derive(Clone, Copy, PartialEq)]
pub(super) enum LastSeen {
    Never,
    Utc,
    Local,
    Epoch,
}

pub(super) struct Speaks {
    pub base: String,
    /// Topics and configurations by which the bridge announces its devices to Home Assistant.
    pub configs: Vec<(String, String)>,
    /// By friendly name.
    pub devices: BTreeMap<String, About>,
    pub groups: Vec<Group>,
    pub signals: Vec<Spoken>,
    /// Of signals that are actions, the words that its values 0, 1, … are.
    pub actions: BTreeMap<usize, Vec<String>>,
    /// Of signals that are off or on, what they say for either.
    pub words: BTreeMap<usize, [Json; 2]>,
    pub last_seen: LastSeen,
    /// The last state of each device and group; the bridge publishes all that it knows of one.
    pub state: BTreeMap<String, Map<String, Json>>,
}

/// What a group takes over from those of its members that changed ("Groups": state changes); `state` it has of all.
const SHARED: [&str; 4] = ["brightness", "color", "color_mode", "color_temp"];

impl Speaks {
    /// A device's Zigbee address.
    fn address(&self, name: &str) -> String {
        if let Some(address) = self.devices.get(name).and_then(|about| about.address.clone()) {
            return address;
        }
        format!("0x00{}", hex(hardware_address(&format!("{}/{name}", self.base)), false) + "00")
    }

    fn groups(&self) -> Json {
        let one = |(n, group): (usize, &Group)| {
            let members =
                group.members.iter().map(|m| json!({"ieee_address": self.address(m), "endpoint": 1}));
            json!({"id": n + 1, "friendly_name": group.name, "scenes": [], "members": members.collect::<Vec<_>>()})
        };
        self.groups.iter().enumerate().map(one).collect()
    }

    fn devices(&self) -> Json {
        let mut all = vec![
            json!({"ieee_address": self.address("coordinator"), "type": "Coordinator", "network_address": 0, "supported": true, "friendly_name": "Coordinator", "definition": null, "interview_completed": true, "interviewing": false, "disabled": false}),
        ];
        for (n, (name, about)) in self.devices.iter().enumerate() {
            let mut exposes: Vec<Json> = Vec::new();
            for (i, s) in self.signals.iter().enumerate().filter(|(_, s)| s.path[0] == *name) {
                let property = s.path[1].as_str();
                if let Some(words) = self.actions.get(&i) {
                    exposes.push(json!({"type": "enum", "name": property, "label": "Action", "property": property, "access": 1, "values": words, "category": "diagnostic", "description": "Triggered action (e.g. a button click)"}));
                    continue;
                }
                let mut expose = json!({"type": "numeric", "name": property, "label": property, "property": property, "access": if is_settable(property) { 7 } else { 1 }, "description": format!("Measured {property}")});
                if let Some([off, on]) = self.words.get(&i) {
                    expose["type"] = Json::from("binary");
                    (expose["value_off"], expose["value_on"]) = (off.clone(), on.clone());
                }
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
            all.push(json!({"ieee_address": self.address(name), "type": about.kind, "network_address": n + 1, "supported": true, "friendly_name": name, "disabled": false, "power_source": about.power, "interview_completed": true, "interviewing": false, "definition": {"model": about.model, "vendor": about.vendor, "description": "virtual device", "exposes": exposes, "options": [], "supports_ota": false}, "endpoints": {}}));
        }
        Json::Array(all)
    }

    /// What the bridge knows of a device or group, with what is said this once.
    fn publish(&self, name: &str, ts_unix_ms: i64, once: Map<String, Json>) -> Option<Utterance> {
        let mut state = self.state.get(name)?.clone();
        let seen = match self.last_seen {
            // A group is no device that could be heard.
            _ if !self.devices.contains_key(name) => None,
            LastSeen::Never => None,
            LastSeen::Utc => Some(Json::from(calendar::text(ts_unix_ms.saturating_mul(1_000_000)))),
            LastSeen::Local => Some(Json::from(format!("{}+00:00", tree::local_time(ts_unix_ms)))),
            LastSeen::Epoch => Some(Json::from(ts_unix_ms)),
        };
        state.extend(seen.map(|seen| ("last_seen".to_owned(), seen)));
        state.extend(once);
        let state: Map<String, Json> = state.into_iter().map(|(k, v)| (k, tree::with_lists(v))).collect();
        Some(say(format!("{}/{name}", self.base), Json::Object(state).to_string(), 0, false))
    }

    /// Groups that these devices are in, whose state is another one by theirs now: it is on while one of them is.
    fn regroup(&mut self, touched: &BTreeSet<String>) -> Vec<String> {
        let mut changed = Vec::new();
        for group in &self.groups {
            // One that is doubled for itself says what it said.
            let own = self.signals.iter().any(|s| s.path[0] == group.name);
            let theirs: Vec<&String> = group.members.iter().filter(|m| touched.contains(*m)).collect();
            if own || theirs.is_empty() {
                continue;
            }
            let mut state = self.state.get(&group.name).cloned().unwrap_or_default();
            let of = |member: &String| self.state.get(member)?.get("state")?.as_str().map(|s| s == "ON");
            let on: Vec<bool> = group.members.iter().filter_map(of).collect();
            if !on.is_empty() {
                let word = if on.contains(&true) { "ON" } else { "OFF" };
                state.insert("state".to_owned(), Json::from(word));
            }
            for said in theirs.into_iter().filter_map(|m| self.state.get(m)) {
                let shared = |key: &str| Some((key.to_owned(), said.get(key)?.clone()));
                state.extend(SHARED.into_iter().filter_map(shared));
            }
            if self.state.get(&group.name) != Some(&state) && !state.is_empty() {
                self.state.insert(group.name.clone(), state);
                changed.push(group.name.clone());
            }
        }
        changed
    }

    /// The devices that a name stands for: itself, or the members of a group.
    fn meant(&self, name: &str) -> Vec<String> {
        let group = self.groups.iter().find(|g| g.name == name);
        group.map_or_else(|| vec![name.to_owned()], |g| g.members.clone())
    }
}

impl Voice for Speaks {
    fn filters(&self) -> Vec<String> {
        // A friendly name may have levels of its own.
        let names = self.devices.keys().chain(self.groups.iter().map(|g| &g.name));
        let levels = names.map(|name| name.split('/').count());
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
        out.push(say(format!("{b}/bridge/groups"), self.groups().to_string(), 0, true));
        out.extend(self.configs.iter().map(|(topic, text)| say(topic.clone(), text.as_str(), 1, true)));
        for name in self.devices.keys() {
            out.push(say(format!("{b}/{name}/availability"), r#"{"state":"online"}"#, 1, true));
        }
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut touched = BTreeSet::new();
        let mut once: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
        let finite = self.signals.iter().zip(report.values).enumerate().filter(|(_, (_, v))| v.is_finite());
        for (i, (s, v)) in finite {
            let also = || self.devices.get(&s.path[0]).map_or_else(Map::new, |d| d.also.clone());
            let state = self.state.entry(s.path[0].clone()).or_insert_with(also);
            if self.devices.contains_key(&s.path[0]) {
                state.entry("linkquality").or_insert_with(|| Json::from(120));
            }
            let said = match (self.actions.get(&i), is_state(&s.path[1])) {
                // An action is told as it happens, and is no state.
                (Some(words), _) => {
                    let Some(word) = words.get(*v as usize).filter(|_| *v >= 0.0) else { continue };
                    tree::put(
                        once.entry(s.path[0].clone()).or_default(),
                        &s.path[1..],
                        Json::from(word.as_str()),
                    );
                    touched.insert(s.path[0].clone());
                    continue;
                }
                (None, _) if self.words.contains_key(&i) => self.words[&i][usize::from(*v >= 0.5)].clone(),
                (None, true) => Json::from(if *v >= 0.5 { "ON" } else { "OFF" }),
                (None, false) => tree::number(s.said(*v)),
            };
            // What is said of an action belongs to it alone.
            let of_action = s.path[1].starts_with("action_");
            let at = if of_action { once.entry(s.path[0].clone()).or_default() } else { state };
            tree::put(at, &s.path[1..], said);
            touched.insert(s.path[0].clone());
        }
        for name in &touched {
            let once = once.remove(name).unwrap_or_default();
            out.extend(self.publish(name, report.ts_unix_ms, once));
        }
        let groups = self.regroup(&touched);
        out.extend(groups.iter().filter_map(|name| self.publish(name, report.ts_unix_ms, Map::new())));
    }
    fn told_to(&self, heard: &Heard<'_>, set: &mut Vec<(usize, f64)>) {
        let Some((name, "set")) = self.asked(heard.topic) else { return };
        let Ok(wanted @ Json::Object(_)) = tree::read(heard.payload) else { return };
        let meant = self.meant(name);
        for (i, s) in self.signals.iter().enumerate().filter(|(_, s)| meant.contains(&s.path[0])) {
            let at = s.path[1..].iter().try_fold(&wanted, |at, level| at.get(level));
            let value = at.and_then(tree::value).and_then(|v| v.number());
            set.extend(value.filter(|_| is_settable(&s.path[1])).map(|v| (i, s.heard(v))));
        }
    }
    fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let Some((name, verb)) = self.asked(heard.topic) else { return };
        let (name, base) = (name.to_owned(), self.base.clone());
        let meant = self.meant(&name);
        let wanted = match tree::read(heard.payload) {
            Ok(Json::Object(wanted)) if verb == "set" => wanted,
            _ => Map::new(),
        };
        for (member, (key, value)) in meant.iter().flat_map(|m| wanted.iter().map(move |w| (m, w))) {
            let Some(state) = self.state.get_mut(member) else { continue };
            match state.get_mut(key) {
                Some(own) if is_settable(key) => own.clone_from(value),
                // Not each of a group has all that one is told.
                _ if *member != name => {}
                // What it does not have, or measures, it does not take on.
                _ => {
                    let why = format!(
                        "Publish 'set' '{key}' to '{name}' failed: 'No converter available for '{key}' ({value})'"
                    );
                    let log = json!({"level": "error", "message": format!("z2m: {why}"), "namespace": "z2m"});
                    out.push(say(format!("{base}/bridge/logging"), log.to_string(), 0, false));
                }
            }
        }
        out.extend(meant.iter().filter_map(|m| self.publish(m, report.ts_unix_ms, Map::new())));
        let mut groups = self.regroup(&meant.iter().cloned().collect());
        // One that is asked answers, whether or not it is another one now.
        if self.groups.iter().any(|g| g.name == name) && !groups.contains(&name) {
            groups.push(name);
        }
        out.extend(groups.iter().filter_map(|g| self.publish(g, report.ts_unix_ms, Map::new())));
    }
}

impl Speaks {
    /// The device that a message is for, and what it is: `set` or `get`.
    fn asked<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        let (rest, verb) = topic.rsplit_once('/')?;
        Some((rest.strip_prefix(self.base.as_str())?.strip_prefix('/')?, verb))
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{
        self,
        facts::{Fact, Facts, Value},
        find,
    };
    use serde_json::{Value as Json, json};
    use std::collections::BTreeMap;
    use twinfleet_engine::{
        dialect::{Heard, Utterance, Voice, VoiceSpec},
        firmware::payload::Report,
    };

    /// 2026-11-28T12:00:00Z, [ms].
    const NOON_MS: i64 = 1_795_867_200_000;

    const SIGNALS: [(&str, &str); 4] = [
        ("left.level", "left/state"),
        ("right.level", "right/state"),
        ("left.brightness", "left/brightness"),
        ("button.action", "button/action"),
    ];

    fn report(values: &[f64]) -> Report<'_> {
        Report { device: "b", zone: "", seq: 0, ts_unix_ms: NOON_MS, battery_v: None, rssi_dbm: None, values }
    }

    fn bridge(last_seen: &str) -> Box<dyn Voice> {
        let signals: Vec<(String, String)> =
            SIGNALS.iter().map(|(signal, _)| ((*signal).to_owned(), String::new())).collect();
        let map: BTreeMap<String, String> =
            SIGNALS.iter().map(|(signal, field)| ((*signal).to_owned(), (*field).to_owned())).collect();
        let options: BTreeMap<String, String> = [
            ("actions", r#"{"button.action":["single","double","hold"]}"#),
            ("groups", r#"{"both":["left","right"]}"#),
            ("last_seen", last_seen),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let spec = VoiceSpec {
            dialect: "zigbee2mqtt",
            topic: "zigbee2mqtt",
            device: "b",
            signals: &signals,
            map: &map,
            options: &options,
        };
        dialect::for_engine().voice(&spec).unwrap()
    }

    /// What was said on a topic, each time.
    fn said(out: &[Utterance], topic: &str) -> Vec<Json> {
        let on = out.iter().filter(|u| u.topic == topic);
        on.map(|u| serde_json::from_slice(&u.payload).unwrap()).collect()
    }

    #[test]
    fn actions_are_told_once_and_are_no_state() {
        let (mut voice, mut out) = (bridge("disable"), Vec::new());
        voice.connect(&report(&[0.0; 4]), &mut out);
        voice.report(&report(&[f64::NAN, f64::NAN, f64::NAN, 1.0]), &mut out);
        voice.report(&report(&[f64::NAN, f64::NAN, f64::NAN, 2.0]), &mut out);
        let get = Heard { topic: "zigbee2mqtt/button/get", payload: b"{}", retain: false };
        voice.answer(&get, &report(&[0.0; 4]), &mut out);
        assert_eq!(
            said(&out, "zigbee2mqtt/button"),
            [
                json!({"action": "double", "linkquality": 120}),
                json!({"action": "hold", "linkquality": 120}),
                json!({"linkquality": 120}),
            ]
        );
        let devices = said(&out, "zigbee2mqtt/bridge/devices").remove(0);
        let button = devices.as_array().unwrap().iter().find(|d| d["friendly_name"] == "button").unwrap();
        let expose = &button["definition"]["exposes"][0];
        for (key, value) in [
            ("type", json!("enum")),
            ("name", json!("action")),
            ("property", json!("action")),
            ("access", json!(1)),
            ("values", json!(["single", "double", "hold"])),
        ] {
            assert_eq!(expose[key], value, "{key}");
        }
        // Our decoder hears it as a word.
        let mut facts = Facts::default();
        let mut ear = find("zigbee2mqtt").unwrap().listener(Some("zigbee2mqtt/button"));
        for u in &out {
            ear.hear(&Heard { topic: &u.topic, payload: &u.payload, retain: u.retain }, &mut facts).unwrap();
        }
        let words: Vec<&Value> = facts
            .0
            .iter()
            .filter_map(|f| match f {
                Fact::Value { field, value, .. } if field == "action" => Some(value),
                _ => None,
            })
            .collect();
        assert_eq!(words, [&Value::Text("double".into()), &Value::Text("hold".into())]);
    }

    #[test]
    fn last_seen_is_said_as_the_bridge_is_set_to_and_heard_as_the_time() {
        for (form, want) in [
            ("disable", Json::Null),
            ("ISO_8601", json!("2026-11-28T12:00:00.000Z")),
            ("ISO_8601_local", json!("2026-11-28T12:00:00+00:00")),
            ("epoch", json!(NOON_MS)),
        ] {
            let (mut voice, mut out) = (bridge(form), Vec::new());
            voice.report(&report(&[1.0, 0.0, 120.0, f64::NAN]), &mut out);
            assert_eq!(said(&out, "zigbee2mqtt/left")[0]["last_seen"], want, "{form}");
            assert_eq!(said(&out, "zigbee2mqtt/both")[0]["last_seen"], Json::Null, "a group is not heard");
            let mut facts = Facts::default();
            let mut ear = find("zigbee2mqtt").unwrap().listener(Some("zigbee2mqtt/left"));
            let first = out.iter().find(|u| u.topic == "zigbee2mqtt/left").unwrap();
            ear.hear(&Heard { topic: &first.topic, payload: &first.payload, retain: false }, &mut facts)
                .unwrap();
            let times: Vec<Option<f64>> = facts
                .0
                .iter()
                .filter_map(|f| if let Fact::Value { ts_ms, .. } = f { Some(*ts_ms) } else { None })
                .collect();
            let noon = (!want.is_null()).then_some(NOON_MS as f64);
            assert!(!times.is_empty() && times.iter().all(|t| *t == noon), "{form}: {times:?}");
        }
    }

    #[test]
    fn a_group_is_listed_follows_its_members_and_tells_them() {
        let (mut voice, mut out) = (bridge("disable"), Vec::new());
        voice.connect(&report(&[0.0; 4]), &mut out);
        let groups = said(&out, "zigbee2mqtt/bridge/groups").remove(0);
        let devices = said(&out, "zigbee2mqtt/bridge/devices").remove(0);
        let names: Vec<&str> =
            devices.as_array().unwrap().iter().map(|d| d["friendly_name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Coordinator", "button", "left", "right"], "a group is no device");
        let address = |n: usize| devices[n]["ieee_address"].clone();
        assert_eq!(
            groups,
            json!([{
                "id": 1, "friendly_name": "both", "scenes": [],
                "members": [
                    {"ieee_address": address(2), "endpoint": 1},
                    {"ieee_address": address(3), "endpoint": 1},
                ],
            }])
        );
        out.retain(|u| u.topic.contains("/bridge/"));
        voice.report(&report(&[1.0, 0.0, 120.0, f64::NAN]), &mut out);
        voice.report(&report(&[1.0, 0.0, 120.0, f64::NAN]), &mut out);
        assert_eq!(
            said(&out, "zigbee2mqtt/both"),
            [json!({"state": "ON", "brightness": 120})],
            "as it changes"
        );
        // Our decoder knows whom it stands for.
        let mut facts = Facts::default();
        let mut ear = find("zigbee2mqtt").unwrap().listener(None);
        for u in &out {
            ear.hear(&Heard { topic: &u.topic, payload: &u.payload, retain: u.retain }, &mut facts).unwrap();
        }
        let members = Fact::About {
            device: "zigbee2mqtt/both".into(),
            key: "members",
            text: r#"["left","right"]"#.into(),
        };
        assert!(facts.0.contains(&members), "{:#?}", facts.0);
        assert_eq!(facts.values_of("zigbee2mqtt/both")["brightness"], 120.0);
        // Told as one, both do it, each what it can.
        let order = br#"{"state":"OFF","brightness":0}"#;
        let heard = Heard { topic: "zigbee2mqtt/both/set", payload: order, retain: false };
        let mut set = Vec::new();
        voice.told_to(&heard, &mut set);
        assert_eq!(set, [(0, 0.0), (1, 0.0), (2, 0.0)]);
        out.clear();
        voice.answer(&heard, &report(&[0.0, 0.0, 0.0, f64::NAN]), &mut out);
        let topics: Vec<&str> = out.iter().map(|u| u.topic.as_str()).collect();
        assert_eq!(topics, ["zigbee2mqtt/left", "zigbee2mqtt/right", "zigbee2mqtt/both"]);
        assert_eq!(said(&out, "zigbee2mqtt/both"), [json!({"state": "OFF", "brightness": 0})]);
    }
}
