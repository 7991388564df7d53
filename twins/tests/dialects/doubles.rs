//! Doubles by what was heard of their devices: a client that knew these cannot tell.

use super::{
    devices::{said_on, speaks},
    report,
};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use twinfleet_engine::dialect::{Heard, Utterance, Voice, VoiceSpec};
use twinfleet_twins::dialect::{
    self,
    survey::{self, Device, Survey},
};

/// What a survey makes of messages, a tenth of a second apart, each with whether the broker had kept it.
fn surveyed(messages: &[(&str, &str, bool)]) -> Vec<Device> {
    let mut survey = Survey::default();
    for (n, (topic, payload, retain)) in messages.iter().enumerate() {
        let heard = Heard { topic, payload: payload.as_bytes(), retain: *retain };
        survey.hear(0.1 * n as f64, &heard);
    }
    survey.devices()
}

const ABOUT: &str = r#""avty_t":"house/pump/availability","dev":{"ids":["p1"],"name":"Pump","mdl":"P1"}"#;

/// Configurations of a pump: component, object id and what is said besides [`ABOUT`].
const ENTITIES: [(&str, &str, &str); 7] = [
    (
        "sensor",
        "flow",
        r#""stat_t":"house/pump/state","val_tpl":"{{ value_json.flow | round(1) }}","unit_of_meas":"L/min""#,
    ),
    ("sensor", "turns", r#""stat_t":"house/pump/state","val_tpl":"{{ value_json.rpm | float / 60 }}""#),
    (
        "sensor",
        "volts",
        r#""stat_t":"house/pump/state","val_tpl":"{{ value_json.supply.volts }}","dev_cla":"voltage","unit_of_meas":"V""#,
    ),
    (
        "number",
        "target",
        r#""stat_t":"house/pump/state","val_tpl":"{{ value_json.target }}","cmd_t":"house/pump/set","cmd_tpl":"{\"target\":{{ value }}}""#,
    ),
    (
        "switch",
        "relay",
        r#""stat_t":"house/pump/relay","cmd_t":"house/pump/relay/set","pl_on":"RUN","pl_off":"HALT""#,
    ),
    ("select", "mode", r#""stat_t":"house/pump/mode","cmd_t":"house/pump/mode/set","ops":["eco","boost"]"#),
    ("button", "purge", r#""cmd_t":"house/pump/purge""#),
];

const STATE: &str = r#"{"flow":3.5,"id":"P-7","rpm":1500,"supply":{"volts":"12.10"},"target":40}"#;

/// Topic and payload of each configuration.
fn configs() -> Vec<(String, String)> {
    let config = |(component, id, own): &(&str, &str, &str)| {
        let topic = format!("homeassistant/{component}/pump/{id}/config");
        (topic, format!(r#"{{"uniq_id":"p_{id}",{own},{ABOUT}}}"#))
    };
    ENTITIES.iter().map(config).collect()
}

/// The pump as a broker tells of it: its states before what explains them.
fn pump() -> Device {
    let configs = configs();
    let mut messages = vec![
        ("house/pump/availability", "online", true),
        ("house/pump/mode", "eco", true),
        ("house/pump/relay", "RUN", true),
    ];
    messages.extend(configs.iter().map(|(topic, text)| (topic.as_str(), text.as_str(), true)));
    messages.push(("house/pump/state", STATE, false));
    let mut devices = surveyed(&messages);
    let all: Vec<(&str, &str)> = devices.iter().map(|d| (d.dialect, d.address.as_str())).collect();
    assert_eq!(all, [("homeassistant", "house/pump")]);
    devices.remove(0)
}

#[test]
fn what_a_broker_kept_is_understood_whatever_comes_first() {
    let pump = pump();
    assert_eq!(pump.online, Some(true));
    let last = |field: &str| pump.fields[field].last_number();
    assert_eq!(
        ["p_flow", "p_turns", "p_volts", "p_target", "p_relay"].map(last),
        [Some(3.5), Some(25.0), Some(12.1), Some(40.0), Some(1.0)]
    );
    // What is newer than what was kept stands.
    let late = [
        ("shed/door", r#"{"angle":5}"#, true),
        ("shed/door", r#"{"angle":7}"#, false),
        ("shed/gate", r#"{"angle":1}"#, true),
    ];
    let devices = surveyed(&late);
    let last: Vec<Option<f64>> = devices.iter().map(|d| d.fields["angle"].last_number()).collect();
    assert_eq!(last, [Some(7.0), Some(1.0)]);
}

/// A device's double, and the fields that its readings are of.
struct Double {
    voice: Box<dyn Voice>,
    fields: Vec<String>,
}

impl Double {
    fn of(device: &Device) -> Self {
        let followed: Vec<(String, String, String)> =
            device.followed().map(|(name, f)| (name.clone(), f.signal.clone(), f.unit.clone())).collect();
        let signals: Vec<(String, String)> =
            followed.iter().map(|(_, s, u)| (s.clone(), u.clone())).collect();
        let map: BTreeMap<String, String> =
            followed.iter().map(|(name, s, _)| (s.clone(), name.clone())).collect();
        let options: BTreeMap<String, String> =
            device.own.iter().map(|(key, text)| ((*key).to_owned(), text.clone())).collect();
        let spec = VoiceSpec {
            dialect: device.dialect,
            topic: &device.address,
            device: "pump",
            signals: &signals,
            map: &map,
            options: &options,
        };
        let voice = dialect::for_engine().voice(&spec).unwrap();
        Self { voice, fields: followed.into_iter().map(|(name, ..)| name).collect() }
    }

    fn values(&self, of: &[(&str, f64)]) -> Vec<f64> {
        let value = |field: &String| of.iter().find(|(name, _)| name == field).map_or(f64::NAN, |(_, v)| *v);
        self.fields.iter().map(value).collect()
    }

    /// What it is told to set, and says to that.
    fn told(&mut self, topic: &str, payload: &str, values: &[f64]) -> (Vec<(String, f64)>, Vec<Utterance>) {
        let heard = Heard { topic, payload: payload.as_bytes(), retain: false };
        let (mut set, mut out) = (Vec::new(), Vec::new());
        self.voice.told_to(&heard, &mut set);
        let mut values = values.to_vec();
        set.iter().for_each(|(i, v)| values[*i] = *v);
        self.voice.answer(&heard, &report(&values), &mut out);
        (set.into_iter().map(|(i, v)| (self.fields[i].clone(), v)).collect(), out)
    }
}

fn json(payload: &[u8]) -> Json {
    serde_json::from_slice(payload).unwrap()
}

fn texts(said: &[Utterance]) -> Vec<(&str, &str, bool)> {
    said.iter().map(|u| (u.topic.as_str(), std::str::from_utf8(&u.payload).unwrap(), u.retain)).collect()
}

#[test]
fn a_double_speaks_on_the_topics_of_its_devices_discovery() {
    let mut double = Double::of(&pump());
    let values = double.values(&[
        ("p_flow", 4.2),
        ("p_turns", 20.0),
        ("p_volts", 12.3),
        ("p_target", 41.0),
        ("p_relay", 0.0),
    ]);
    let mut said = Vec::new();
    let will = double.voice.will(0).unwrap();
    assert_eq!(texts(&[will]), [("house/pump/availability", "offline", true)]);
    double.voice.connect(&report(&values), &mut said);
    // The configurations are the device's, its button's too, and so is where it is told to be there.
    let (own, rest) = said.split_at(configs().len());
    for (topic, text) in configs() {
        let again = own.iter().find(|u| u.topic == topic).unwrap_or_else(|| panic!("{topic}: {said:#?}"));
        assert_eq!((json(&again.payload), again.retain), (json(text.as_bytes()), true), "{topic}");
    }
    assert_eq!(texts(rest), [("house/pump/availability", "online", true), ("house/pump/mode", "eco", true)]);
    said.clear();
    double.voice.report(&report(&values), &mut said);
    let [relay, state] = &said[..] else { panic!("{said:#?}") };
    assert_eq!(texts(std::slice::from_ref(relay)), [("house/pump/relay", "HALT", true)]);
    assert_eq!((state.topic.as_str(), state.retain), ("house/pump/state", false));
    let wanted = json!({"flow": 4.2, "id": "P-7", "rpm": 1200, "supply": {"volts": "12.30"}, "target": 41});
    assert_eq!(json(&state.payload), wanted);

    let filters = double.voice.filters();
    for topic in ["house/pump/relay/set", "house/pump/set", "house/pump/mode/set", "homeassistant/status"] {
        assert!(filters.iter().any(|f| f == topic), "{filters:?}");
    }
    let set = |field: &str, v: f64| vec![(field.to_owned(), v)];
    let (told, said) = double.told("house/pump/relay/set", "RUN", &values);
    assert_eq!((told, texts(&said)), (set("p_relay", 1.0), vec![("house/pump/relay", "RUN", true)]));
    let (told, said) = double.told("house/pump/set", r#"{"target":41.5}"#, &values);
    assert_eq!(told, set("p_target", 41.5));
    assert_eq!(json(&said[0].payload)["target"], 41.5);
    let (told, said) = double.told("house/pump/mode/set", "boost", &values);
    assert_eq!((told, texts(&said)), (Vec::new(), vec![("house/pump/mode", "boost", true)]));
    // A word that it does not take, and one for nobody, change nothing.
    for (topic, word) in [("house/pump/mode/set", "warp"), ("house/pump/relay/set", "MAYBE"), ("x", "RUN")] {
        assert_eq!(double.told(topic, word, &values), (Vec::new(), Vec::new()), "{topic} {word}");
    }
    // Home Assistant has started anew.
    let (_, said) = double.told("homeassistant/status", "online", &values);
    assert_eq!(said.len(), configs().len() + 4, "{said:#?}");
}

#[test]
fn a_message_of_each_shape_is_said_in_that() {
    let config = |key: &str| {
        format!(
            r#"{{"stat_t":"yard/probe","uniq_id":"{key}","val_tpl":"{{{{ value_json.{key} }}}}","dev":{{"ids":["y"]}}}}"#
        )
    };
    let (t, h) = (config("t"), config("h"));
    let devices = surveyed(&[
        ("homeassistant/sensor/y/t/config", t.as_str(), true),
        ("homeassistant/sensor/y/h/config", h.as_str(), true),
        ("yard/probe", r#"{"id":7,"t":20.5}"#, false),
        ("yard/probe", r#"{"h":40,"id":7}"#, false),
    ]);
    let mut double = Double::of(&devices[0]);
    for (field, v, wanted) in
        [("t", 21.0, json!({"id": 7, "t": 21})), ("h", 41.5, json!({"h": 41.5, "id": 7}))]
    {
        let (values, mut said) = (double.values(&[(field, v)]), Vec::new());
        double.voice.report(&report(&values), &mut said);
        assert_eq!(said.iter().map(|u| json(&u.payload)).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn a_discovery_that_announces_nothing_is_refused_with_its_option() {
    let signals = [("main.flow".to_owned(), String::new())];
    let map = BTreeMap::from([("main.flow".to_owned(), "flow".to_owned())]);
    let good = r#"{"homeassistant/sensor/p/flow/config":{"stat_t":"p/flow","uniq_id":"flow"}}"#;
    for (options, field, key, says) in [
        (vec![("discovery", r#"{"p/flow":{}}"#)], "options", "discovery", "`p/flow` is no topic"),
        (vec![("discovery", "{}")], "map", "main.flow", "announces no `flow`"),
        (vec![("discovery", good), ("form", "short")], "options", "form", "`discovery` says already"),
        (vec![("discovery", good), ("states", r#"{"p/flow":1}"#)], "options", "states", "`p/flow`"),
    ] {
        let options: BTreeMap<String, String> =
            options.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let spec = VoiceSpec {
            dialect: "homeassistant",
            topic: "p",
            device: "p",
            signals: &signals,
            map: &map,
            options: &options,
        };
        let refused = dialect::for_engine().voice(&spec).err().unwrap();
        assert_eq!((refused.field, refused.key.as_str()), (field, key), "{refused}");
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[test]
fn a_double_of_a_json_device_says_its_time_its_states_and_its_lists_as_that_did() {
    let said = r#"{"name":"x","on":false,"t":[20.5,21.5],"time":"2026-11-28T12:00:00Z"}"#;
    let devices = surveyed(&[("yard/node", said, true), ("yard/node", said, false)]);
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    for option in [r#""time": "time iso-z""#, r#""retain": "yes""#, r#""presence": "no""#, r#"[false,true]"#]
    {
        assert!(scenario.contains(option), "{option}: {scenario}");
    }
    let signals = [("a.on", "", 0.0, "on"), ("a.x", "", 20.5, "t/0"), ("a.y", "", 21.5, "t/1")];
    let options = [
        ("time", "time iso-z"),
        ("retain", "yes"),
        ("presence", "no"),
        ("words", r#"{"a.on":[false,true]}"#),
        ("also", r#"{"name":"x"}"#),
    ];
    let again = speaks(("json", "yard/node"), &signals, &options, &[]);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(json(said_on(&again, "yard/node").as_bytes()), json(said.as_bytes()));
    for (time, wanted) in [
        ("ts s", json!({"a": {"x": 1}, "ts": 1_795_867_200})),
        ("at ms", json!({"a": {"x": 1}, "at": 1_795_867_200_000_i64})),
        ("at fraction", json!({"a": {"x": 1}, "at": 1_795_867_200.0})),
        ("at iso", json!({"a": {"x": 1}, "at": "2026-11-28T12:00:00"})),
        ("at iso-ms", json!({"a": {"x": 1}, "at": "2026-11-28T12:00:00.000Z"})),
        ("none", json!({"a": {"x": 1}})),
    ] {
        let said = speaks(("json", "n"), &[("a.x", "", 1.0, "a/x")], &[("time", time)], &[]);
        assert_eq!(json(said_on(&said, "n").as_bytes()), wanted, "{time}");
    }
}

/// Several dialects tell it alike, and a broker that had kept it tells it before anything else shows whose it is.
#[test]
fn presence_is_that_of_the_device_that_speaks_there_in_whatever_dialect() {
    let devices = surveyed(&[
        ("yard/node/status", "online", true),
        ("yard/node", r#"{"t":20.5}"#, false),
        ("shed/fan/speed", "3", false),
        ("shed/fan/status", "offline", false),
        ("attic/status", "online", true),
        ("attic/sensor/temp/state", "21.5", false),
        ("lone/status", "online", true),
    ]);
    let mut all: Vec<(&str, &str, Option<bool>)> =
        devices.iter().map(|d| (d.address.as_str(), d.dialect, d.online)).collect();
    all.retain(|(address, ..)| *address != "lone");
    all.sort_unstable();
    let wanted = [
        ("attic", "esphome", Some(true)),
        ("shed/fan", "topics", Some(false)),
        ("yard/node", "json", Some(true)),
    ];
    assert_eq!(all, wanted);
    assert!(devices.iter().any(|d| d.address == "lone" && d.online == Some(true)));
    // Their doubles say it too.
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    assert!(!scenario.contains(r#""presence": "no""#), "{scenario}");
}

#[test]
fn a_double_of_plain_topics_says_its_words_and_nothing_besides() {
    let devices = surveyed(&[("shed/fan/power", "ON", false), ("shed/fan/speed", "3", false)]);
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    for option in [r#"[\"OFF\",\"ON\"]"#, r#""retain": "no""#, r#""presence": "no""#] {
        assert!(scenario.contains(option), "{option}: {scenario}");
    }
    let signals = [("power.level", "ratio", 0.0, "power")];
    let options = [("words", r#"{"power.level":["OFF","ON"]}"#), ("retain", "no"), ("presence", "no")];
    let said = speaks(("topics", "shed/fan"), &signals, &options, &[]);
    assert_eq!(said, [("shed/fan/power".to_owned(), "OFF".to_owned())]);
}

#[test]
fn a_button_of_a_bridge_is_pressed_by_its_double_as_it_was() {
    let list = r#"[{"type":"EndDevice","friendly_name":"button","ieee_address":"0x01","power_source":"Mains","definition":{"model":"M","vendor":"V","exposes":[
        {"type":"enum","name":"action","property":"action","access":1,"values":["single","double","on"]},
        {"type":"numeric","name":"battery","property":"battery","access":1,"unit":"%"}]}}]"#;
    let announced = "homeassistant/sensor/0x01/battery/config";
    let config = r#"{"state_topic":"zigbee2mqtt/button","unique_id":"0x01_battery","value_template":"{{ value_json.battery }}","device":{"identifiers":["zigbee2mqtt_0x01"]}}"#;
    let devices = surveyed(&[
        ("zigbee2mqtt/bridge/devices", list, true),
        (announced, config, true),
        // Kept from long ago: nobody presses it now.
        ("zigbee2mqtt/button", r#"{"action":"single","battery":91,"linkquality":80}"#, true),
        ("zigbee2mqtt/button", r#"{"action":"on","battery":90,"linkquality":80}"#, false),
        ("zigbee2mqtt/button", r#"{"battery":90,"linkquality":80}"#, false),
        ("zigbee2mqtt/button", r#"{"action":"double","battery":89,"linkquality":80}"#, false),
    ]);
    let followed: Vec<&str> = devices[0].followed().map(|(name, _)| name.as_str()).collect();
    assert_eq!(followed, ["battery"], "an action is no state, even where its word is one");
    let table = devices[0].table();
    let rows: Vec<&str> = table.lines().skip(1).map(|row| row.split_once(',').unwrap().1).collect();
    assert_eq!(rows, [",91", "1,90", ",90", "2,89"], "{table}");
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    assert!(scenario.contains(r#"[\"single\",\"on\",\"double\"]"#), "{scenario}");
    let signals = [("button.action", "", 1.0, "action"), ("button.charge", "percent", 90.0, "battery")];
    for option in
        [r#""address": "0x01""#, r#""kind": "EndDevice""#, r#""power": "Mains""#, r#""vendor": "V""#]
    {
        assert!(scenario.contains(option), "{option}: {scenario}");
    }
    let options = [
        ("actions", r#"{"button.action":["single","on","double"]}"#),
        ("also", r#"{"linkquality":80}"#),
        ("address", "0x01"),
        ("kind", "Router"),
        ("power", "Mains"),
        ("vendor", "V"),
        // By which Home Assistant knows it.
        ("discovery", devices[0].own["discovery"].as_str()),
    ];
    let asked = [("zigbee2mqtt/button/get", "{}")];
    for (asked, wanted) in [
        (&asked[..0], json!({"action": "on", "battery": 90, "linkquality": 80})),
        (&asked[..], json!({"battery": 90, "linkquality": 80})),
    ] {
        let said = speaks(("zigbee2mqtt", "zigbee2mqtt/button"), &signals, &options, asked);
        assert_eq!(json(said_on(&said, "zigbee2mqtt/button").as_bytes()), wanted);
        let device = &json(said_on(&said, "zigbee2mqtt/bridge/devices").as_bytes())[1];
        let own = [&device["ieee_address"], &device["type"], &device["power_source"]];
        assert_eq!(own, ["0x01", "Router", "Mains"]);
        assert_eq!(device["definition"]["vendor"], "V");
        assert_eq!(json(said_on(&said, announced).as_bytes()), json(config.as_bytes()));
    }
}

#[test]
fn a_double_of_a_tasmota_lamp_says_its_state_and_is_dimmed() {
    let state = r#"{"Time":"2026-11-28T12:00:00","Uptime":"0T00:10:00","UptimeSec":600,"Heap":30,"POWER":"ON","Dimmer":60,"Channel":[60],"Wifi":{"AP":1,"RSSI":70}}"#;
    let devices = surveyed(&[("tele/lamp/STATE", state, false), ("tele/lamp/STATE", state, false)]);
    let followed: Vec<&str> = devices[0].followed().map(|(name, _)| name.as_str()).collect();
    assert_eq!(followed, ["POWER", "STATE/Dimmer"]);
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    assert!(scenario.contains(r#"\"Channel\":[60]"#), "{scenario}");
    let signals = [("power.level", "ratio", 1.0, "POWER"), ("state.dimmer", "", 40.0, "STATE/Dimmer")];
    let options = [("state", r#"{"Heap":30,"Dimmer":60,"Channel":[60],"Wifi":{"AP":1,"RSSI":70}}"#)];
    let asked = [("cmnd/lamp/Dimmer", "25"), ("cmnd/lamp/Heap", "1")];
    let said = speaks(("tasmota", "lamp"), &signals, &options, &asked);
    let mut again = json(said_on(&said, "tele/lamp/STATE").as_bytes());
    for key in ["Time", "Uptime", "UptimeSec"] {
        assert!(again.as_object_mut().unwrap().remove(key).is_some(), "{key}: {said:#?}");
    }
    assert_eq!(
        again,
        json!({"Heap": 30, "POWER": "ON", "Dimmer": 40, "Channel": [60], "Wifi": {"AP": 1, "RSSI": 70}})
    );
    assert!(!said.iter().any(|(topic, _)| topic.ends_with("/SENSOR")), "it has none: {said:#?}");
    let results: Vec<Json> = said
        .iter()
        .filter(|(topic, _)| topic == "stat/lamp/RESULT")
        .map(|(_, payload)| json(payload.as_bytes()))
        .collect();
    let unknown = json!({"Command": "Unknown", "Input": "HEAP"});
    assert_eq!(results[results.len() - 2..], [json!({"POWER": "ON", "Dimmer": 25}), unknown]);
}

#[test]
fn a_relay_of_a_tasmota_double_turns_when_it_did_and_not_with_its_sensors() {
    let signals = [("power.level", "ratio"), ("ds18b20.temperature", "degC")]
        .map(|(signal, unit)| (signal.to_owned(), unit.to_owned()));
    let map = BTreeMap::from([("power.level".to_owned(), "POWER".to_owned())]);
    let none = BTreeMap::new();
    let spec = VoiceSpec {
        dialect: "tasmota",
        topic: "plug",
        device: "plug",
        signals: &signals,
        map: &map,
        options: &none,
    };
    let mut voice = dialect::for_engine().voice(&spec).unwrap();
    voice.connect(&report(&[0.0, 20.0]), &mut Vec::new());
    for (values, topics) in [
        ([0.0, 20.5], &["tele/plug/STATE", "tele/plug/SENSOR"][..]),
        ([1.0, f64::NAN], &["stat/plug/RESULT", "stat/plug/POWER"]),
        ([1.0, 21.0], &["tele/plug/STATE", "tele/plug/SENSOR"]),
        // Heard one after the other, they are two rows.
        ([1.0, f64::NAN], &["tele/plug/STATE"]),
        ([f64::NAN, 21.5], &["tele/plug/SENSOR"]),
    ] {
        let mut said = Vec::new();
        voice.report(&report(&values), &mut said);
        assert_eq!(said.iter().map(|u| u.topic.as_str()).collect::<Vec<_>>(), topics, "{values:?}");
    }
}

#[test]
fn a_double_of_an_esphome_device_is_announced_as_that_was() {
    let configs = [
        (
            "homeassistant/sensor/attic/t/config",
            r#"{"stat_t":"attic/sensor/t/state","avty_t":"attic/status","uniq_id":"ESPsensort","ic":"mdi:home","dev":{"ids":"a1b2c3d4e5f6"}}"#,
        ),
        (
            "homeassistant/button/attic/restart/config",
            r#"{"cmd_t":"attic/button/restart/command","uniq_id":"ESPbuttonrestart","dev":{"ids":"a1b2c3d4e5f6"}}"#,
        ),
    ];
    let mut messages = vec![("attic/status", "online", true)];
    messages.extend(configs.map(|(topic, config)| (topic, config, true)));
    messages.push(("attic/sensor/t/state", "21.5", true));
    let devices = surveyed(&messages);
    assert_eq!((devices.len(), devices[0].online), (1, Some(true)));
    let signals = [("t.temperature", "degC", 22.0, "sensor/t")];
    let options = [("discovery", devices[0].own["discovery"].as_str())];
    let said = speaks(("esphome", "attic"), &signals, &options, &[]);
    for (topic, config) in configs {
        assert_eq!(json(said_on(&said, topic).as_bytes()), json(config.as_bytes()), "{topic}");
    }
    assert_eq!(said.iter().filter(|(topic, _)| topic.ends_with("/config")).count(), 2, "{said:#?}");
}

#[test]
fn a_double_of_a_cbor_device_says_its_words_flags_and_time_as_that_did() {
    let said = json!({"at": 1_795_867_200, "fw": "1.2", "list": [1, 2.5], "on": true, "t": 21.5});
    let mut payload = Vec::new();
    ciborium::into_writer(&said, &mut payload).unwrap();
    let mut survey = Survey::default();
    for t_s in [0.0, 1.0] {
        survey.hear(t_s, &Heard { topic: "yard/c", payload: &payload, retain: false });
    }
    let devices = survey.devices();
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    for option in [r#"{\"fw\":\"1.2\"}"#, "[false,true]", r#""time": "none""#] {
        assert!(scenario.contains(option), "{option}: {scenario}");
    }
    let signals = ["t", "on", "x", "y"].map(|s| (format!("a.{s}"), String::new()));
    let map = [("a.t", "t"), ("a.on", "on"), ("a.x", "list/0"), ("a.y", "list/1")];
    let map: BTreeMap<String, String> = map.map(|(signal, name)| (signal.to_owned(), name.to_owned())).into();
    let options = [("also", r#"{"fw":"1.2"}"#), ("words", r#"{"a.on":[false,true]}"#), ("time", "at s")];
    let options: BTreeMap<String, String> =
        options.map(|(option, text)| (option.to_owned(), text.to_owned())).into();
    let spec = VoiceSpec {
        dialect: "cbor",
        topic: "yard/c",
        device: "c",
        signals: &signals,
        map: &map,
        options: &options,
    };
    let mut out = Vec::new();
    dialect::for_engine().voice(&spec).unwrap().report(&report(&[21.5, 1.0, 1.0, 2.5]), &mut out);
    let again: Json = ciborium::from_reader(&out[0].payload[..]).unwrap();
    assert_eq!(again, said);
}
