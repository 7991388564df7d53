//! Devices behind something that speaks for them: bridges, gateways, what is there and what is gone with it.

use super::devices::{said_on, speaks, survey_of, told};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use twinfleet_engine::dialect::{Aim, EarSpec, Heard, Order, Told, Wanted};
use twinfleet_twins::dialect::{
    self, Asked,
    facts::Value,
    survey::{self, Device, Survey},
};
use twinfleet_twins::mirror::announce::{Announced, discovery};

const BRIDGE: &str = "zigbee2mqtt/bridge/state";
const GONE: (&str, &str) = (BRIDGE, r#"{"state":"offline"}"#);
const BACK: (&str, &str) = (BRIDGE, r#"{"state":"online"}"#);

#[test]
fn a_device_comes_back_with_its_bridge_unless_that_says_otherwise() {
    let presence =
        |messages: &[(&str, &str)]| told("zigbee2mqtt", "zigbee2mqtt/lamp", &[], messages).presence;
    assert_eq!(presence(&[GONE]), Some(false));
    assert_eq!(presence(&[GONE, BACK]), Some(true));
    assert_eq!(presence(&[GONE, BACK, BACK]), None, "it is said once");
    let away = ("zigbee2mqtt/lamp/availability", r#"{"state":"offline"}"#);
    assert_eq!(presence(&[away, GONE, BACK]), None, "it did not come back");
    assert_eq!(presence(&[GONE, away]), Some(false));
}

#[test]
fn what_a_broker_kept_of_a_bridge_brings_no_device_back_that_it_kept_as_gone() {
    let none = BTreeMap::new();
    let spec = EarSpec { dialect: "zigbee2mqtt", topic: "zigbee2mqtt/lamp", signals: &[], map: &none };
    for (kept, presence) in [("online", Some(true)), ("offline", None)] {
        let mut ear = dialect::for_engine().ear(&spec).unwrap();
        let availability = format!(r#"{{"state":"{kept}"}}"#);
        let mut said = Vec::new();
        for (topic, payload, retain) in [
            (BRIDGE, BACK.1, true),
            ("zigbee2mqtt/lamp/availability", availability.as_str(), true),
            ("zigbee2mqtt/bridge/logging", r#"{"level":"info","message":"x"}"#, false),
        ] {
            let mut told = Told::default();
            ear.hear(&Heard { topic, payload: payload.as_bytes(), retain }, &mut told).unwrap();
            said.push(told.presence);
        }
        assert_eq!(said, [None, Some(kept == "online"), presence]);
    }
}

#[test]
fn what_a_broker_kept_of_a_device_is_heard_by_its_twin_whatever_comes_first() {
    let none = BTreeMap::new();
    let spec = EarSpec { dialect: "homeassistant", topic: "house", signals: &["main.relay"], map: &none };
    let mut ear = dialect::for_engine().ear(&spec).unwrap();
    let config =
        r#"{"stat_t":"house/relay","cmd_t":"house/relay/set","uniq_id":"relay","avty_t":"house/status"}"#;
    let mut said = Vec::new();
    for (topic, payload, retain) in [
        ("house/relay", "OFF", true),
        ("house/status", "offline", true),
        // What is newer than what was kept is no state of long ago.
        ("house/lamp", "ON", true),
        ("house/lamp", "OFF", false),
        ("homeassistant/switch/house/relay/config", config, true),
    ] {
        let mut told = Told::default();
        ear.hear(&Heard { topic, payload: payload.as_bytes(), retain }, &mut told).unwrap();
        said.push((told.values.iter().map(|v| v.value).collect::<Vec<_>>(), told.presence));
    }
    assert_eq!(said.pop(), Some((vec![0.0], Some(false))));
    assert_eq!(said, vec![(Vec::new(), None); 4]);
}

#[test]
fn a_bridge_with_another_base_topic_is_found_by_its_list() {
    let list = r#"[{"type":"Coordinator","friendly_name":"Coordinator","ieee_address":"0x00"},
        {"type":"EndDevice","friendly_name":"gate","ieee_address":"0x01","definition":{"model":"M","vendor":"V",
        "exposes":[{"name":"voltage","property":"voltage","unit":"mV","access":1}]}}]"#;
    let devices = survey_of(&[
        // Kept by the broker, and told before it is known what it is.
        ("garage/gate", r#"{"voltage":2900}"#),
        ("garage/bridge/state", r#"{"state":"online"}"#),
        ("garage/bridge/devices", list),
        ("garage/gate", r#"{"voltage":3000}"#),
        ("garage/bridge/logging", r#"{"level":"info","message":"x"}"#),
        ("other/gate", r#"{"voltage":3}"#),
    ]);
    let all: Vec<(&str, &str)> = devices.iter().map(|d| (d.dialect, d.address.as_str())).collect();
    assert_eq!(all, [("zigbee2mqtt", "garage/gate"), ("json", "other/gate")]);
    let voltage = &devices[0].fields["voltage"];
    assert_eq!((voltage.unit.as_str(), voltage.last_number()), ("V", Some(3.0)));
}

/// Of eighty devices the list is longer than what any one device says.
#[test]
fn a_large_houses_list_of_devices_gives_the_units_of_each() {
    let about = "x".repeat(5_000);
    let device = |n: usize| {
        format!(
            r#"{{"type":"EndDevice","friendly_name":"s{n}","ieee_address":"0x{n:02x}","definition":{{"model":"M","vendor":"V",
            "exposes":[{{"name":"temperature","property":"temperature","unit":"°F","access":1,"description":"{about}"}}]}}}}"#
        )
    };
    let list = format!("[{}]", (0..80).map(device).collect::<Vec<_>>().join(","));
    let state = r#"{"temperature":68}"#;
    let devices = survey_of(&[("garage/bridge/devices", list.as_str()), ("garage/s79", state)]);
    let one = devices.iter().find(|d| d.address == "garage/s79").unwrap();
    let temperature = &one.fields["temperature"];
    let c = temperature.last_number().unwrap();
    assert!(temperature.unit == "degC" && (c - 20.0).abs() < 1e-6, "{} {c}", temperature.unit);
    assert_eq!(one.dialect, "zigbee2mqtt");
}

#[test]
fn locks_covers_and_triggers_of_a_bridge_are_understood() {
    let mut survey = Survey::default();
    for (topic, payload) in [
        ("zigbee2mqtt/door", r#"{"state":"LOCK","lock_state":"locked"}"#),
        ("zigbee2mqtt/blind", r#"{"state":"CLOSE"}"#),
        ("zigbee2mqtt/door/action", "single"),
    ] {
        survey.hear(0.0, &Heard { topic, payload: payload.as_bytes(), retain: false });
    }
    assert_eq!(survey.unreadable, 0);
    let devices = survey.devices();
    let last = |at: usize, field: &str| devices[at].fields[field].last_number();
    assert_eq!(
        (last(0, "state"), last(1, "state"), last(1, "lock_state")),
        (Some(0.0), Some(1.0), Some(1.0))
    );
    assert_eq!(Value::Text("LOCK".into()).likewise(false), Value::Text("UNLOCK".into()));
    assert_eq!(Value::Text("CLOSE".into()).likewise(true), Value::Text("OPEN".into()));
}

#[test]
fn a_switch_at_a_pin_of_a_tasmota_is_read_and_not_set() {
    let listener = dialect::find("tasmota").unwrap().listener(Some("plug"));
    let value = Value::Text("ON".to_owned());
    let can_be_set = |field: &str| {
        let asked = Asked { field, value: &value, ts_unix_ms: 0 };
        listener.command("plug", &asked).is_ok()
    };
    let fields = ["Switch1", "ENERGY/Power", "POWER", "Dimmer", "SwitchMode1"];
    assert_eq!(fields.map(can_be_set), [false, false, true, true, true]);
}

#[test]
fn a_select_is_told_its_own_word_even_where_that_means_on() {
    let esphome = dialect::find("esphome").unwrap().listener(Some("attic"));
    let said = |field: &str, word: &str| {
        let value = Value::Text(word.to_owned());
        let said = esphome.command("attic", &Asked { field, value: &value, ts_unix_ms: 0 }).unwrap();
        String::from_utf8(said.payload).unwrap()
    };
    assert_eq!(said("select/mode", "open"), "open");
    assert_eq!(said("switch/relay", "on"), "ON");
    assert_eq!(said("lock/door", "LOCKED"), "LOCK");
}

#[test]
fn each_phase_of_a_meter_has_its_unit() {
    let sensor = r#"{"ENERGY":{"Power":[10,3],"Current":[0.5,0.25],"Total":1.5}}"#;
    let devices = survey_of(&[("tele/meter/SENSOR", sensor)]);
    let of = |field: &str| {
        let f = &devices[0].fields[field];
        (f.signal.as_str(), f.unit.as_str(), f.last_number())
    };
    assert_eq!(of("ENERGY/Power/1"), ("energy_power_1.power", "W", Some(3.0)));
    assert_eq!(of("ENERGY/Current/0"), ("energy_current_0.current", "mA", Some(500.0)));
}

/// A configuration of a sensor that a gateway tells of, as OpenMQTTGateway has it.
fn sensor_behind(mac: &str, key: &str) -> (String, String) {
    let config = format!(
        r#"{{"stat_t":"home/gw/BTtoMQTT/{mac}","uniq_id":"{mac}-{key}","dev_cla":"{key}","unit_of_meas":"%","val_tpl":"{{{{ value_json.{key} }}}}",
        "avty_t":"home/gw/LWT","dev":{{"ids":["{mac}"],"name":"{mac}"}}}}"#
    );
    (format!("homeassistant/sensor/{mac}/{key}/config"), config)
}

#[test]
fn sensors_behind_one_gateway_are_devices_of_their_own() {
    let configs = ["A1", "B2"].map(|mac| ["humidity", "battery"].map(|key| sensor_behind(mac, key)));
    let mut messages: Vec<(&str, &str)> =
        configs.iter().flatten().map(|(topic, config)| (topic.as_str(), config.as_str())).collect();
    messages.extend([
        ("home/gw/LWT", "online"),
        ("home/gw/BTtoMQTT/A1", r#"{"humidity":40,"battery":90}"#),
        ("home/gw/BTtoMQTT/B2", r#"{"humidity":50,"battery":80}"#),
    ]);
    let devices = survey_of(&messages);
    let about = |d: &Device| (d.address.clone(), d.online, d.fields.keys().cloned().collect::<Vec<_>>());
    let own = |mac: &str| {
        let fields = ["battery", "humidity"].map(|key| format!("{mac}-{key}"));
        (format!("home/gw/BTtoMQTT/{mac}"), Some(true), fields.to_vec())
    };
    assert_eq!(devices.iter().map(about).collect::<Vec<_>>(), [own("A1"), own("B2")]);
    // The twin of one hears it, and the gateway that is gone, and nothing of the other.
    let address = "home/gw/BTtoMQTT/A1";
    let filters = dialect::find("homeassistant").unwrap().filters(address);
    assert!(filters.iter().any(|f| f == "home/gw/LWT"), "{filters:?}");
    let heard = |last: (&'static str, &'static str)| {
        let mut messages = messages.clone();
        messages.push(last);
        told("homeassistant", address, &["a1_humidity.humidity"], &messages)
    };
    let values = |told: &Told| told.values.iter().map(|v| v.value).collect::<Vec<_>>();
    assert_eq!(values(&heard(("home/gw/BTtoMQTT/A1", r#"{"humidity":41}"#))), [41.0]);
    assert_eq!(values(&heard(("home/gw/BTtoMQTT/B2", r#"{"humidity":51}"#))), [0.0; 0]);
    assert_eq!(heard(("home/gw/LWT", "offline")).presence, Some(false));
}

#[test]
fn a_devices_base_may_show_only_with_its_second_entity() {
    let config = |key: &str| {
        format!(r#"{{"stat_t":"yard/pump/{key}/state","uniq_id":"p_{key}","dev":{{"ids":"p"}}}}"#)
    };
    let (level, flow) = (config("level"), config("flow"));
    let devices = survey_of(&[
        ("homeassistant/sensor/p/level/config", level.as_str()),
        ("homeassistant/sensor/p/flow/config", flow.as_str()),
        ("yard/pump/level/state", "4"),
        ("yard/pump/flow/state", "5"),
    ]);
    let all: Vec<(&str, usize)> = devices.iter().map(|d| (d.address.as_str(), d.fields.len())).collect();
    assert_eq!(all, [("yard/pump", 2)]);
}

#[test]
fn several_availabilities_mean_together_what_the_configuration_says() {
    let config = |mode: &str, availability: &str| {
        format!(
            r#"{{"stat_t":"wave/node/t","uniq_id":"t","availability_mode":"{mode}","availability":{availability},"dev":{{"ids":["n"]}}}}"#
        )
    };
    let two = r#"[{"topic":"wave/node/status"},{"topic":"wave/driver/status"}]"#;
    let (node, driver) = ("wave/node/status", "wave/driver/status");
    let presence = |config: &str, said: &[(&str, &str)]| {
        let mut messages = vec![("homeassistant/sensor/n/t/config", config)];
        messages.extend(said);
        told("homeassistant", "wave/node", &[], &messages).presence
    };
    let said = [(driver, "online"), (node, "offline"), (driver, "online")];
    assert_eq!(presence(&config("all", two), &said), Some(false));
    assert_eq!(presence(&config("any", two), &said), Some(true));
    assert_eq!(presence(&config("latest", two), &said), Some(true));
    assert_eq!(presence(&config("all", two), &[(node, "online"), (driver, "online")]), Some(true));
    // A configuration that is told again forgets nothing, and one availability needs no list.
    let all = config("all", two);
    let again = ("homeassistant/sensor/n/t/config", all.as_str());
    assert_eq!(presence(&all, &[(node, "offline"), again, (driver, "online")]), Some(false));
    assert_eq!(presence(&config("all", r#"{"topic":"wave/node/status"}"#), &[(node, "online")]), Some(true));
}

#[test]
fn a_lock_says_and_is_told_its_own_words() {
    let config = r#"{"stat_t":"gate/state","cmd_t":"gate/set","uniq_id":"bolt","stat_locked":"shut","stat_unlocked":"free","pl_lock":"SHUT","pl_unlk":"FREE"}"#;
    let switch = r#"{"stat_t":"gate/fan","cmd_t":"gate/fan/set","uniq_id":"vent","pl_on":"RUN","pl_off":"HALT","stat_on":"running","stat_off":"idle"}"#;
    let messages = [
        ("homeassistant/lock/gate/config", config),
        ("homeassistant/switch/fan/config", switch),
        ("gate/state", "shut"),
        ("gate/fan", "idle"),
    ];
    let heard = |n: usize| {
        let told = told("homeassistant", "gate", &["main.bolt", "main.vent"], &messages[..n]);
        told.values.first().map(|v| (v.signal, v.value))
    };
    assert_eq!((heard(3), heard(4)), (Some((0, 1.0)), Some((1, 0.0))));
}

#[test]
fn what_a_mirror_publishes_of_its_twins_is_no_device() {
    let signals = [("soc.temperature".to_owned(), "degC".to_owned())];
    let of = |twin| Announced { prefix: "twinfleet", twin, thing: "pi", signals: &signals };
    let configs = ["pi-1", "pi-2"].map(|twin| discovery("homeassistant", &of(twin)));
    let said: Vec<(&str, &str)> =
        configs.iter().map(|c| (c.topic.as_str(), std::str::from_utf8(&c.payload).unwrap())).collect();
    let state =
        r#"{"online":true,"problem":false,"signals":{"soc.temperature":{"estimate":41.5}},"verdict":"none"}"#;
    let messages = [
        // Kept by the broker, and told before their discovery.
        ("twinfleet/status", "online"),
        ("twinfleet/pi-2/state", state),
        said[0],
        said[1],
        ("twinfleet/pi-1/state", state),
        ("lab/pi", r#"{"soc.temperature":41}"#),
    ];
    let devices = survey_of(&messages);
    let all: Vec<&str> = devices.iter().map(|d| d.address.as_str()).collect();
    assert_eq!(all, ["lab/pi"]);
}

#[test]
fn a_double_opens_doors_and_locks_them_in_its_devices_words() {
    let state = r#"{"contact":false,"linkquality":80,"state":"LOCK"}"#;
    let list = r#"[{"type":"EndDevice","friendly_name":"door","ieee_address":"0x01","definition":{"model":"M","vendor":"V","exposes":[
        {"type":"binary","name":"contact","property":"contact","access":1,"value_on":false,"value_off":true},
        {"type":"lock","features":[{"type":"binary","name":"state","property":"state","access":7}]}]}}]"#;
    let devices = survey_of(&[("zigbee2mqtt/bridge/devices", list), ("zigbee2mqtt/door", state)]);
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    let words = r#"{"main.contact":[false,true],"main.state":["UNLOCK","LOCK"]}"#;
    assert!(scenario.contains(&format!("\"words\": {words:?}")), "{scenario}");
    let signals = [("main.contact", "", 0.0, "contact"), ("main.state", "", 1.0, "state")];
    let options = [("words", words), ("also", r#"{"linkquality":80}"#)];
    let said = speaks(("zigbee2mqtt", "zigbee2mqtt/door"), &signals, &options, &[]);
    let json = |text: &str| serde_json::from_str::<Json>(text).unwrap();
    assert_eq!(json(said_on(&said, "zigbee2mqtt/door")), json(state));
    let list = json(said_on(&said, "zigbee2mqtt/bridge/devices"));
    let exposes = list[1]["definition"]["exposes"].as_array().unwrap();
    let lock = exposes.iter().find(|e| e["property"] == "state").unwrap();
    assert_eq!((&lock["type"], &lock["value_on"]), (&Json::from("binary"), &Json::from("LOCK")));
    // Told to unlock, it does.
    let asked = [("zigbee2mqtt/door/set", r#"{"state":"UNLOCK"}"#)];
    let said = speaks(("zigbee2mqtt", "zigbee2mqtt/door"), &signals, &options, &asked);
    assert_eq!(json(said_on(&said, "zigbee2mqtt/door"))["state"], "UNLOCK");
}

#[test]
fn a_plug_that_says_on_is_no_watt_and_is_told_off_in_its_own_word() {
    let devices = survey_of(&[("garage/plug/power", "ON"), ("garage/plug/current", "250")]);
    let of = |field: &str| devices[0].fields[field].signal.as_str();
    assert_eq!((of("power"), of("current")), ("power.level", "main.current"));
    let map = BTreeMap::from([("power.level".to_owned(), "power".to_owned())]);
    let spec = EarSpec { dialect: "topics", topic: "garage/plug", signals: &["power.level"], map: &map };
    let mut ear = dialect::for_engine().ear(&spec).unwrap();
    let mut told = Told::default();
    ear.hear(&Heard { topic: "garage/plug/power", payload: b"ON", retain: false }, &mut told).unwrap();
    assert_eq!(told.values[0].value, 1.0);
    let order = Order { aim: Aim::Signal(0), value: &Wanted::Number(0.0), ts_unix_ms: 0 };
    let said = ear.command(&order).unwrap();
    assert_eq!((said.topic.as_str(), &said.payload[..]), ("garage/plug/power/set", &b"OFF"[..]));
}

#[test]
fn a_double_of_an_esphome_device_takes_the_words_and_has_the_buttons_of_its_device() {
    let select = r#"{"stat_t":"attic/select/program/state","cmd_t":"attic/select/program/command","ops":["eco","boost"]}"#;
    let climate = r#"{"mode_stat_t":"attic/climate/room/mode/state","modes":["off","heat"]}"#;
    let button = r#"{"cmd_t":"attic/button/restart/command"}"#;
    let devices = survey_of(&[
        ("homeassistant/select/attic/program/config", select),
        ("homeassistant/climate/attic/room/config", climate),
        ("homeassistant/button/attic/restart/config", button),
        ("homeassistant/button/cellar/restart/config", r#"{"cmd_t":"cellar/button/restart/command"}"#),
        ("attic/select/program/state", "eco"),
        ("attic/sensor/t/state", "21.5"),
    ]);
    let all: Vec<&str> = devices.iter().map(|d| d.address.as_str()).collect();
    assert_eq!(all, ["attic"], "a button alone is no device that speaks");
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    for (option, value) in [
        ("choices", r#"{"climate/room/mode":["off","heat"],"select/program":["eco","boost"]}"#),
        ("buttons", r#"["restart"]"#),
    ] {
        assert!(scenario.contains(&format!("{option:?}: {value:?}")), "{option}: {scenario}");
    }
}

#[test]
fn a_mode_that_is_off_is_a_word_and_a_lock_that_is_locked_is_one() {
    let devices = survey_of(&[
        ("attic/climate/room/mode/state", "off"),
        ("attic/select/program/state", "open"),
        ("attic/lock/door/state", "LOCKED"),
    ]);
    let followed: Vec<&str> = devices[0].followed().map(|(name, _)| name.as_str()).collect();
    assert_eq!(followed, ["lock/door"]);
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    let texts = r#"{"climate/room/mode":"off","select/program":"open"}"#;
    assert!(scenario.contains(&format!("\"texts\": {texts:?}")), "{scenario}");
    let signals = [("lock.door", "", 1.0, "lock/door")];
    let asked = [("attic/lock/door/command", "UNLOCK")];
    let said = speaks(("esphome", "attic"), &signals, &[("texts", texts)], &[]);
    assert_eq!(said_on(&said, "attic/lock/door/state"), "LOCKED");
    assert_eq!(said_on(&said, "attic/climate/room/mode/state"), "off");
    let said = speaks(("esphome", "attic"), &signals, &[("texts", texts)], &asked);
    assert_eq!(said_on(&said, "attic/lock/door/state"), "UNLOCKED");
}

#[test]
fn a_controller_is_there_while_a_node_behind_it_is_gone() {
    let config = |own: &str, id: &str, status: &str| {
        format!(
            r#"{{"stat_t":"wave/{own}","uniq_id":"{id}","avty_t":"wave/{status}","dev":{{"ids":["{id}"]}}}}"#
        )
    };
    let (node, controller) = (config("node/t/now", "n", "node/status"), config("version", "c", "status"));
    let mut messages = vec![
        ("homeassistant/sensor/n/t/config", node.as_str()),
        ("homeassistant/sensor/c/v/config", controller.as_str()),
        ("wave/status", "online"),
        ("wave/node/status", "offline"),
    ];
    let devices = survey_of(&messages);
    let online: Vec<(&str, Option<bool>)> = devices.iter().map(|d| (d.address.as_str(), d.online)).collect();
    assert_eq!(online, [("wave", Some(true)), ("wave/node", Some(false))]);
    let presence =
        |address: &str, messages: &[(&str, &str)]| told("homeassistant", address, &[], messages).presence;
    assert_eq!(presence("wave", &messages), None, "the node's word is not the controller's");
    assert_eq!(presence("wave/node", &messages), Some(false));
    messages.pop();
    assert_eq!(presence("wave", &messages), Some(true));
}
