//! Devices as others' firmware has them: what a survey makes of their messages, what a twin hears of them, what a double says.

use super::{NOON_MS, hear, report, signals, voice};
use prost::Message as _;
use serde_json::Value;
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{EarSpec, Heard, Told, Unasked, VoiceSpec},
    firmware::payload::Report,
};
use twinfleet_twins::dialect::{
    self,
    facts::{self, Facts},
    names,
    sparkplug::payload,
    survey::{self, Device, Survey},
};

/// What a survey makes of these messages, a second apart.
pub(super) fn survey_of(messages: &[(&str, &str)]) -> Vec<Device> {
    let mut survey = Survey::default();
    for (t, (topic, payload)) in messages.iter().enumerate() {
        survey.hear(t as f64, &Heard { topic, payload: payload.as_bytes(), retain: false });
    }
    survey.devices()
}

/// What an ear with these signals is told by messages.
pub(super) fn told(dialect: &str, topic: &str, signals: &[&str], messages: &[(&str, &str)]) -> Told {
    let none = BTreeMap::new();
    let spec = EarSpec { dialect, topic, signals, map: &none };
    let mut ear = dialect::for_engine().ear(&spec).unwrap();
    let mut told = Told::default();
    for (topic, payload) in messages {
        told.clear();
        ear.hear(&Heard { topic, payload: payload.as_bytes(), retain: false }, &mut told).unwrap();
    }
    told
}

/// What a voice with these options says of signals (each with its unit, value and field): at its connection with its first report,
/// and to messages.
pub(super) fn speaks(
    (dialect, topic): (&str, &str),
    signals: &[(&str, &str, f64, &str)],
    options: &[(&str, &str)],
    asked: &[(&str, &str)],
) -> Vec<(String, String)> {
    let pairs = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let named: Vec<(String, String)> = signals.iter().map(|(s, u, ..)| ((*s).into(), (*u).into())).collect();
    let values: Vec<f64> = signals.iter().map(|(_, _, v, _)| *v).collect();
    let map = signals.iter().map(|(s, _, _, field)| ((*s).to_owned(), (*field).to_owned())).collect();
    let options = pairs(options);
    let spec = VoiceSpec { dialect, topic, device: "oven", signals: &named, map: &map, options: &options };
    let mut voice = dialect::for_engine().voice(&spec).unwrap();
    let mut out = Vec::new();
    voice.will(NOON_MS);
    voice.connect(&report(&values), &mut out);
    voice.report(&report(&values), &mut out);
    for (topic, payload) in asked {
        voice.answer(
            &Heard { topic, payload: payload.as_bytes(), retain: false },
            &report(&values),
            &mut out,
        );
    }
    out.into_iter().map(|u| (u.topic, String::from_utf8_lossy(&u.payload).into_owned())).collect()
}

pub(super) fn said_on<'a>(said: &'a [(String, String)], topic: &str) -> &'a str {
    said.iter().rfind(|(t, _)| t == topic).map_or_else(|| panic!("nothing on {topic}: {said:#?}"), |(_, p)| p)
}

const PUMP: &str = r#"{"dev":{"ids":["p"]},"cmps":{"p":{"p":"sensor","dev_cla":"pressure","unit_of_meas":"UNIT","val_tpl":"{{ value_json.v }}","uniq_id":"p_p"}},"stat_t":"pump/state"}"#;

#[test]
fn a_unit_is_converted_or_kept_as_a_word_and_never_relabelled() {
    let with = |unit: &str| {
        let config = PUMP.replace("UNIT", unit);
        let messages = [("homeassistant/device/p/config", config.as_str()), ("pump/state", r#"{"v":32}"#)];
        let told = told("homeassistant", "pump", &["p_p.pressure"], &messages);
        let device = survey_of(&messages).remove(0);
        let field = device.fields["p_p"].clone();
        (
            told,
            field.signal.clone(),
            field.shown_unit().to_owned(),
            field.last_number().unwrap(),
            field.unit.clone(),
        )
    };
    let (heard, signal, shown, last, _) = with("psi");
    assert!((heard.values[0].value - 2_206.322_333_8).abs() < 1e-6, "{heard:?}");
    assert_eq!((signal.as_str(), shown.as_str()), ("p_p.pressure", "hPa"));
    assert!((last - 2_206.322_334).abs() < 1e-3, "{last}");
    // One that nobody knows is kept as a word beside, and its number is no pressure in hPa.
    let (heard, signal, shown, last, unit) = with("cubit");
    assert!(heard.values.is_empty(), "{heard:?}");
    assert!(heard.other.iter().any(|(f, v)| f == "p_p" && v == "32"), "{heard:?}");
    assert_eq!((signal.as_str(), shown.as_str(), last, unit.as_str()), ("main.p_p", "cubit", 32.0, "none"));
}

#[test]
fn units_that_a_device_was_set_to_are_heard_and_spoken() {
    let sensor = r#"{"BMP280":{"Temperature":69.8,"Pressure":29.9},"Wind":{"Speed":10},"PressureUnit":"inHg","TempUnit":"F","SpeedUnit":"mph"}"#;
    let signals = ["bmp280.pressure", "bmp280.temperature", "wind.speed"];
    let heard = told("tasmota", "wx", &signals, &[("tele/wx/SENSOR", sensor)]);
    let mut values = [0.0; 3];
    heard.values.iter().for_each(|v| values[v.signal] = v.value);
    for (value, want) in values.iter().zip([1_012.530_203, 21.0, 4.4704]) {
        assert!((value - want).abs() < 1e-5, "{values:?}");
    }
    // Its double says them as it does.
    let options = [("temperature", "F"), ("pressure", "inHg"), ("speed", "mph")];
    let spoken = [
        (signals[0], "hPa", values[0], "BMP280/Pressure"),
        (signals[1], "degC", values[1], "BMP280/Temperature"),
        (signals[2], "m/s", values[2], "Wind/Speed"),
    ];
    let said = speaks(("tasmota", "wx"), &spoken, &options, &[]);
    let mut again: Value = serde_json::from_str(said_on(&said, "tele/wx/SENSOR")).unwrap();
    again.as_object_mut().unwrap().remove("Time");
    assert_eq!(again, serde_json::from_str::<Value>(sensor).unwrap());
}

#[test]
fn a_switch_is_a_level_whatever_it_switches() {
    let state = r#"{"Time":"2026-11-28T12:00:00","POWER":"ON"}"#;
    let devices = survey_of(&[("tele/plug/STATE", state), ("stat/plug/POWER", "OFF")]);
    let field = &devices[0].fields["POWER"];
    assert_eq!((field.signal.as_str(), field.unit.as_str()), ("power.level", "ratio"));
    assert_eq!(names::device_class("level", names::spelled("ratio")), None);
    let heard = told("tasmota", "plug", &["main.power", "power.level"], &[("tele/plug/STATE", state)]);
    let values: Vec<(usize, f64)> = heard.values.iter().map(|v| (v.signal, v.value)).collect();
    assert_eq!(values, [(1, 1.0)]);
    // Nor is the battery of which a sensor says that it is low a charge.
    let low = r#"{"stat_t":"x/low","dev_cla":"battery","uniq_id":"low"}"#;
    let devices = survey_of(&[("homeassistant/binary_sensor/x/low/config", low), ("x/low", "ON")]);
    assert_eq!(devices[0].fields["low"].signal, "main.low");
}

#[test]
fn a_rebirth_is_asked_for_with_its_time_and_again_ever_later() {
    let signals = signals();
    let values = [21.0; 7];
    let mut speaker = voice("sparkplug", &signals, &BTreeMap::new());
    let mut host = dialect::find("sparkplug").unwrap().listener(None);
    let mut lost = Vec::new();
    speaker.will(NOON_MS);
    speaker.connect(&report(&values), &mut lost);
    let mut asked = Vec::new();
    // Data each second for five minutes, and no birth.
    for s in 0..300 {
        let mut said = Vec::new();
        speaker.report(&Report { ts_unix_ms: NOON_MS + 1000 * s, ..report(&values) }, &mut said);
        let mut facts = Facts::default();
        said.iter().for_each(|u| hear(&mut *host, u, &mut facts));
        asked.extend(facts.0.into_iter().filter_map(|f| match f {
            facts::Fact::Owed(u) => Some((s, u)),
            _ => None,
        }));
    }
    let when: Vec<i64> = asked.iter().map(|(s, _)| *s).collect();
    assert_eq!(when, [0, 10, 30, 70, 150], "each wait is twice as long");
    for (s, u) in &asked {
        let payload = payload::read(&u.payload).unwrap();
        let then = Some((NOON_MS + 1000 * s) as u64);
        assert_eq!((payload.timestamp, payload.metrics[0].timestamp, payload.seq), (then, then, None));
    }
}

#[test]
fn a_node_dies_with_its_primary_host_and_is_born_again_with_it() {
    let options = BTreeMap::from([("primary".to_owned(), "scada".to_owned())]);
    let mut node = voice("sparkplug", &signals(), &options);
    let values = [1.0; 7];
    let mut said = Vec::new();
    node.will(NOON_MS);
    node.connect(&report(&values), &mut said);
    node.report(&report(&values), &mut said);
    assert_eq!(said, [], "its host has not said that it is there");
    for (online, at, kinds) in [
        (true, 10, &["NBIRTH", "DBIRTH", "DDATA"][..]),
        // The last will of a connection before.
        (false, 9, &["DDATA"]),
        (false, 10, &["NDEATH"]),
        (false, 11, &[]),
        (true, 12, &["NBIRTH", "DBIRTH", "DDATA"]),
    ] {
        let payload = format!(r#"{{"online":{online},"timestamp":{at}}}"#);
        let heard = Heard { topic: "spBv1.0/STATE/scada", payload: payload.as_bytes(), retain: true };
        said.clear();
        node.answer(&heard, &report(&values), &mut said);
        node.report(&report(&values), &mut said);
        let told: Vec<&str> = said.iter().filter_map(|u| u.topic.split('/').nth(2)).collect();
        assert_eq!(told, kinds, "{payload}");
    }
}

#[test]
fn a_sparkplug_command_has_the_births_type() {
    use payload::DataType::{Boolean, Int16, String as Word};
    let mut host = dialect::find("sparkplug").unwrap().listener(None);
    let ask = |host: &dyn dialect::Listener, field: &str, value: &facts::Value| {
        let asked = dialect::Asked { field, value, ts_unix_ms: NOON_MS };
        host.command("plant/cell-1", &asked)
    };
    let number = facts::Value::Number(7.0);
    let early = ask(&*host, "level", &number).unwrap_err();
    assert!(matches!(early, Unasked::NotYet(_)), "its birth was not heard: {early}");
    let declared = [("level", Int16, Some(4)), ("on", Boolean, None), ("mode", Word, None)];
    let metric = |(name, kind, alias): &(&str, payload::DataType, Option<u64>)| payload::Metric {
        datatype: Some(*kind as u32),
        alias: *alias,
        is_null: Some(true),
        ..payload::Metric::named(name)
    };
    let birth = payload::Payload {
        timestamp: Some(NOON_MS as u64),
        metrics: declared.iter().map(metric).collect(),
        seq: Some(0),
        ..payload::Payload::default()
    };
    let said = Heard { topic: "spBv1.0/plant/NBIRTH/cell-1", payload: &birth.encode_to_vec(), retain: false };
    host.hear(&said, &mut Facts::default()).unwrap();
    for (field, value, wanted, called) in [
        ("level", number.clone(), Int16, (None, Some(4))),
        ("on", facts::Value::Flag(true), Boolean, (Some("on"), None)),
        ("on", facts::Value::Text("ON".into()), Boolean, (Some("on"), None)),
        ("mode", facts::Value::Text("eco".into()), Word, (Some("mode"), None)),
    ] {
        let said = ask(&*host, field, &value).unwrap();
        assert_eq!((said.topic.as_str(), said.qos, said.retain), ("spBv1.0/plant/NCMD/cell-1", 0, false));
        let read = payload::read(&said.payload).unwrap();
        assert_eq!(read.timestamp, Some(NOON_MS as u64));
        let metric = &read.metrics[0];
        assert_eq!(metric.datatype, Some(wanted as u32), "{value:?}");
        assert_eq!((metric.name.as_deref(), metric.alias), called, "by its alias alone, where it has one");
    }
    for (field, value) in [("level", facts::Value::Text("warm".into())), ("no such", number)] {
        let refused = ask(&*host, field, &value).unwrap_err();
        assert!(matches!(refused, Unasked::Never(_)), "{field}: {refused}");
    }
}

#[test]
fn a_template_names_members_that_are_no_identifiers() {
    let signals = [
        ("t.temperature", "degC", 20.0, "acu-t"),
        ("n.level", "ratio", 0.5, "items"),
        ("k.level", "ratio", 1.0, "plain"),
    ];
    let said = speaks(("homeassistant", "rtl"), &signals, &[("units", r#"{"t.temperature":"°F"}"#)], &[]);
    let config: Value = serde_json::from_str(said_on(&said, "homeassistant/device/oven/config")).unwrap();
    let template = |key: &str| config["cmps"][key]["value_template"].as_str().unwrap().to_owned();
    assert_eq!(template("acu-t"), "{{ value_json['acu-t'] }}");
    assert_eq!(template("items"), "{{ value_json['items'] }}");
    assert_eq!(template("plain"), "{{ value_json.plain }}");
    // In the unit that the device has.
    assert_eq!(config["cmps"]["acu-t"]["unit_of_measurement"], "°F");
    assert_eq!(said_on(&said, "rtl/state"), r#"{"acu-t":68,"items":0.5,"plain":1}"#);
}

const SHED: &str =
    r#"{"t":"shed","ft":"garden/%topic%/%prefix%/","dn":"Shed","md":"D1","mac":"C44F33112233"}"#;

#[test]
fn a_full_topic_is_kept_by_twin_and_double() {
    let sensor = r#"{"DS18B20-1":{"Id":"01","Temperature":20.5},"DS18B20-2":{"Id":"02","Temperature":null},"TempUnit":"C"}"#;
    let devices = survey_of(&[
        ("tasmota/discovery/C44F33112233/config", SHED),
        ("garden/shed/tele/SENSOR", sensor),
        ("garden/shed/tele/SENSOR", sensor),
    ]);
    let all: Vec<(&str, &str)> = devices.iter().map(|d| (d.id.as_str(), d.address.as_str())).collect();
    assert_eq!(all, [("garden-shed", "garden/shed/%prefix%")]);
    let double = survey::double_scenario(&devices, "mqtt://b", "t");
    assert!(
        double.contains(
            r#"{\"DS18B20-1\":{\"Id\":\"01\"},\"DS18B20-2\":{\"Id\":\"02\",\"Temperature\":null}}"#
        ),
        "{double}"
    );
    let signals = [("ds18b20_1.temperature", "degC", 20.5, "DS18B20-1/Temperature")];
    let also = [("also", r#"{"DS18B20-1":{"Id":"01"},"DS18B20-2":{"Id":"02","Temperature":null}}"#)];
    let said = speaks(("tasmota", "garden/shed/%prefix%"), &signals, &also, &[]);
    let config =
        said.iter().find(|(t, _)| t.starts_with("tasmota/discovery/") && t.ends_with("/config")).unwrap();
    let config: Value = serde_json::from_str(&config.1).unwrap();
    assert_eq!((&config["t"], &config["ft"]), (&"shed".into(), &"garden/%topic%/%prefix%/".into()));
    let again: Value = serde_json::from_str(said_on(&said, "garden/shed/tele/SENSOR")).unwrap();
    let heard: Value = serde_json::from_str(sensor).unwrap();
    assert_eq!(again["DS18B20-2"], heard["DS18B20-2"]);
    assert_eq!(again["DS18B20-1"], heard["DS18B20-1"]);
    // The prefix may stand between, where only discovery tells it; and the topic may have levels.
    let between =
        SHED.replace("garden/%topic%/%prefix%/", "garden/%prefix%/%topic%/").replace("shed", "shed/a");
    let devices = survey_of(&[
        ("tasmota/discovery/C44F33112233/config", &between),
        ("garden/tele/shed/a/SENSOR", sensor),
        ("garden/tele/shed/a/SENSOR", sensor),
    ]);
    let all: Vec<(&str, &str)> = devices.iter().map(|d| (d.id.as_str(), d.address.as_str())).collect();
    assert_eq!(all, [("garden-shed-a", "garden/%prefix%/shed/a")]);
    let double = survey::double_scenario(&devices, "mqtt://b", "t");
    assert!(double.contains(r#""topic": "shed/a", "full_topic": "garden/%prefix%/%topic%/""#), "{double}");
}

#[test]
fn a_backlog_is_carried_out_in_its_order() {
    let signals = [("power.level", "ratio", 0.0, "POWER")];
    let asked = [("cmnd/plug/Backlog", "POWER ON; Delay 10; TelePeriod 20; Backlog POWER OFF")];
    let said = speaks(("tasmota", "plug"), &signals, &[], &asked);
    assert_eq!(said_on(&said, "stat/plug/POWER"), "ON");
    let results: Vec<&str> =
        said.iter().filter(|(t, _)| t == "stat/plug/RESULT").map(|(_, p)| p.as_str()).collect();
    assert_eq!(results[1..], [r#"{"POWER":"ON"}"#, r#"{"Delay":10}"#, r#"{"TelePeriod":20}"#]);
}

#[test]
fn nested_properties_belong_to_their_device() {
    let devices = r#"[{"friendly_name":"living room/climate","type":"EndDevice","definition":{"model":"W","vendor":"Aqara","exposes":[{"property":"voltage","name":"voltage","unit":"mV"}]}},
        {"friendly_name":"lamp","type":"Router","definition":{"model":"L","vendor":"Philips","exposes":[]}}]"#;
    let climate = r#"{"linkquality":80,"temperature":21.5,"voltage":2985}"#;
    let lamp = r#"{"brightness":120,"color":{"x":0.45,"y":0.41},"linkquality":90,"schedule":[{"h":6,"t":20}],"state":"ON"}"#;
    let devices = survey_of(&[
        ("zigbee2mqtt/bridge/devices", devices),
        ("zigbee2mqtt/lamp", lamp),
        ("zigbee2mqtt/living room/climate", climate),
    ]);
    assert_eq!(devices.len(), 2, "{devices:#?}");
    let voltage = &devices.iter().find(|d| d.address.ends_with("climate")).unwrap().fields["voltage"];
    assert_eq!((voltage.unit.as_str(), voltage.last_number()), ("V", Some(2.985)));
    // One bridge is one double: it lists its devices once, and says each state as it was.
    let doubles = survey::doubles(&devices);
    let all: Vec<&str> = doubles.iter().map(|d| d.address.as_str()).collect();
    assert_eq!(all, ["zigbee2mqtt"]);
    let scenario = survey::double_scenario(&devices, "mqtt://b", "t");
    assert!(scenario.contains(r#""lamp_color.x": "lamp/color/x""#), "{scenario}");
    assert!(!scenario.contains("linkquality@reported"), "its upkeep is repeated, not replayed: {scenario}");
    assert!(scenario.contains(r#"{\"living_room_climate.voltage\":\"mV\"}"#), "{scenario}");
    let signals = [
        ("lamp.brightness", "", 120.0, "lamp/brightness"),
        ("lamp_color.x", "", 0.45, "lamp/color/x"),
        ("lamp_color.y", "", 0.41, "lamp/color/y"),
        ("lamp_schedule_0.h", "", 6.0, "lamp/schedule/0/h"),
        ("lamp_schedule_0.t", "", 20.0, "lamp/schedule/0/t"),
        ("living_room_climate.temperature", "degC", 21.5, "living room/climate/temperature"),
        ("living_room_climate.voltage", "V", 2.985, "living room/climate/voltage"),
    ];
    let options = [
        ("units", r#"{"living_room_climate.voltage":"mV"}"#),
        (
            "devices",
            r#"{"lamp":{"model":"L","vendor":"Philips","also":{"linkquality":90,"state":"ON"}},"living room/climate":{"also":{"linkquality":80}}}"#,
        ),
    ];
    for (name, ..) in &signals {
        assert!(scenario.contains(&format!("{name:?}: ")), "{name}: {scenario}");
    }
    let said = speaks(("zigbee2mqtt", "zigbee2mqtt"), &signals, &options, &[]);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(said_on(&said, "zigbee2mqtt/lamp")), json(lamp));
    assert_eq!(json(said_on(&said, "zigbee2mqtt/living room/climate")), json(climate));
    let lists: Vec<&(String, String)> =
        said.iter().filter(|(t, _)| t == "zigbee2mqtt/bridge/devices").collect();
    assert_eq!(lists.len(), 1);
    assert_eq!(json(&lists[0].1).as_array().unwrap().len(), 3, "the coordinator and two devices");
    // A device alone keeps its parts too.
    let signals = [("color.x", "", 0.5, "color/x"), ("main.brightness", "", 3.0, "brightness")];
    let said = speaks(("zigbee2mqtt", "zigbee2mqtt/lamp"), &signals, &[], &[]);
    assert_eq!(
        json(said_on(&said, "zigbee2mqtt/lamp")),
        json(r#"{"brightness":3,"color":{"x":0.5},"linkquality":120}"#)
    );
}

#[test]
fn attributes_of_an_esphome_entity_belong_to_their_device() {
    let states = [
        ("attic/climate/hvac/mode/state", "heat"),
        ("attic/climate/hvac/current_temperature/state", "20.7"),
        ("attic/climate/hvac/target_temperature/state", "21"),
        ("attic/cover/blind/state", "open"),
        ("attic/cover/blind/position/state", "70"),
        ("attic/fan/fan/state", "ON"),
        ("attic/fan/fan/speed_level/state", "2"),
        ("attic/sensor/version/state", "2024.6.0 Jun 20"),
    ];
    let devices = survey_of(&states);
    let all: Vec<(&str, &str)> = devices.iter().map(|d| (d.dialect, d.address.as_str())).collect();
    assert_eq!(all, [("esphome", "attic")]);
    let field = &devices[0].fields["climate/hvac/current_temperature"];
    assert_eq!(
        (field.signal.as_str(), field.unit.as_str()),
        ("climate_hvac_current_temperature.temperature", "degC")
    );
    // Its twin hears them, and its double says them.
    let heard = told("esphome", "attic", &["climate_hvac_current_temperature.temperature"], &states[1..2]);
    assert_eq!(heard.values.len(), 1);
    let signals = [
        ("a.temperature", "degC", 20.7, "climate/hvac/current_temperature"),
        ("b.temperature", "degC", 21.0, "climate/hvac/target_temperature"),
        ("cover.blind", "", 1.0, "cover/blind"),
        ("cover_blind.position", "percent", 70.0, "cover/blind/position"),
        ("fan.fan", "", 1.0, "fan/fan"),
        ("fan_fan.speed_level", "", 2.0, "fan/fan/speed_level"),
    ];
    let texts = [("texts", r#"{"climate/hvac/mode":"heat","sensor/version":"2024.6.0 Jun 20"}"#)];
    let asked = [
        ("attic/climate/hvac/target_temperature/command", "22.5"),
        ("attic/climate/hvac/mode/command", "off"),
    ];
    let said = speaks(("esphome", "attic"), &signals, &texts, &[]);
    for (topic, payload) in states {
        assert_eq!(said_on(&said, topic), payload);
    }
    let config: Value =
        serde_json::from_str(said_on(&said, "homeassistant/climate/attic/hvac/config")).unwrap();
    assert_eq!(config["temp_cmd_t"], "attic/climate/hvac/target_temperature/command");
    let said = speaks(("esphome", "attic"), &signals, &texts, &asked);
    assert_eq!(said_on(&said, "attic/climate/hvac/target_temperature/state"), "22.5");
    assert_eq!(said_on(&said, "attic/climate/hvac/mode/state"), "off");
}
