//! Laws of every dialect: what a voice says its ear hears; no bytes make a listener panic; the same voice says the same.

use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use twinfleet_engine::{
    dialect::{EarSpec, Heard, Told, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    message::TopicFilter,
    mirror::decode::MAX_PAYLOAD_BYTES,
};
use twinfleet_twins::dialect::{
    self,
    facts::{self, Facts},
    names,
    sparkplug::payload,
    survey::{self, Device, Survey},
    tree,
};

/// 2026-11-28T12:00:00Z, [ms].
const NOON_MS: i64 = 1_795_867_200_000;

/// An address of each dialect.
fn address(dialect: &str) -> &'static str {
    match dialect {
        "sparkplug" => "plant/cell-1/oven",
        "zigbee2mqtt" => "zigbee2mqtt/oven",
        "topics" | "homeassistant" => "home/oven",
        _ => "oven",
    }
}

fn signals() -> Vec<(String, String)> {
    [
        ("bme280.temperature", "degC"),
        ("bme280.humidity", "percent"),
        ("bme280.pressure", "hPa"),
        ("meter.power", "W"),
        ("meter.current", "mA"),
        ("meter.energy", "Wh"),
        ("own.whim", ""),
    ]
    .map(|(s, u)| (s.to_owned(), u.to_owned()))
    .into()
}

/// Options with which a dialect is spoken otherwise than by default.
fn variants(dialect: &str) -> Vec<BTreeMap<String, String>> {
    let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let mut all = vec![BTreeMap::new()];
    match dialect {
        "homeassistant" => all.push(one("form", "single")),
        "tasmota" => all.push(one("temperature", "F")),
        "sparkplug" => all.push(one("alias", "no")),
        _ => {}
    }
    all
}

fn voice(name: &str, signals: &[(String, String)], options: &BTreeMap<String, String>) -> Box<dyn Voice> {
    let map = BTreeMap::new();
    let spec = VoiceSpec { dialect: name, topic: address(name), device: "oven", signals, map: &map, options };
    dialect::for_engine().voice(&spec).unwrap()
}

fn report(values: &[f64]) -> Report<'_> {
    Report { device: "oven", zone: "", seq: 0, ts_unix_ms: NOON_MS, battery_v: None, rssi_dbm: None, values }
}

/// The field under which a listener hears what a voice says of a signal: found by saying one value alone.
fn map_of(
    name: &str,
    signals: &[(String, String)],
    options: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for (i, (signal, _)) in signals.iter().enumerate() {
        let mut values = vec![f64::NAN; signals.len()];
        values[i] = 12.5;
        let (mut speaker, mut said) = (voice(name, signals, options), Vec::new());
        speaker.will(NOON_MS);
        speaker.connect(&report(&values), &mut said);
        let before = said.len();
        speaker.report(&report(&values), &mut said);
        let mut listener = dialect::find(name).unwrap().listener(Some(address(name)));
        let mut facts = Facts::default();
        for (k, u) in said.iter().enumerate() {
            if k == before {
                facts = Facts::default();
            }
            hear(&mut *listener, u, &mut facts);
        }
        let told = facts.values_of(address(name));
        let own = told.keys().filter(|k| !k.starts_with("STATE/") && *k != "linkquality");
        let own: Vec<&String> = own.collect();
        assert_eq!(own.len(), 1, "{name} says {signal} as {told:?}");
        map.insert(signal.clone(), own[0].clone());
    }
    map
}

fn hear(listener: &mut dyn dialect::Listener, u: &Utterance, facts: &mut Facts) {
    let heard = Heard { topic: &u.topic, payload: &u.payload, retain: u.retain };
    listener.hear(&heard, facts).unwrap_or_else(|e| panic!("{} {e}", u.topic));
}

proptest! {
    #[test]
    fn what_a_voice_says_its_ear_hears(values in proptest::collection::vec(-1e6f64..1e6, 7), gap in 0usize..14) {
        let signals = signals();
        let names: Vec<&str> = signals.iter().map(|(s, _)| s.as_str()).collect();
        // Devices print some digits only; beyond nine nothing is a sensor's.
        let values: Vec<f64> = values.iter().enumerate().map(|(i, v)| if i == gap { f64::NAN } else { (v * 1e3).round() / 1e3 }).collect();
        for d in dialect::all() {
            for options in variants(d.name()) {
                let map = map_of(d.name(), &signals, &options);
                let spec = EarSpec { dialect: d.name(), topic: address(d.name()), signals: &names, map: &map };
                let mut ear = dialect::for_engine().ear(&spec).unwrap();
                let filters: Vec<TopicFilter> = ear.filters().iter().map(|f| TopicFilter::new(f).unwrap()).collect();
                let (mut speaker, mut said) = (voice(d.name(), &signals, &options), Vec::new());
                let will = speaker.will(NOON_MS);
                speaker.connect(&report(&values), &mut said);
                speaker.report(&report(&values), &mut said);
                let mut heard = BTreeMap::new();
                let mut told = Told::default();
                let mut presence = None;
                for u in said.iter().chain(&will) {
                    if !filters.iter().any(|f| f.matches(&u.topic)) {
                        continue;
                    }
                    told.clear();
                    ear.hear(&Heard { topic: &u.topic, payload: &u.payload, retain: u.retain }, &mut told).unwrap();
                    for v in &told.values {
                        prop_assert!(v.ts_ms.is_none_or(|t| (t - NOON_MS as f64).abs() < 1000.0), "{} at {:?}", d.name(), v.ts_ms);
                        heard.insert(names[v.signal], v.value);
                    }
                    prop_assert!(told.replies.is_empty(), "{} asks again", d.name());
                    presence = told.presence.or(presence);
                }
                for ((name, _), v) in signals.iter().zip(&values) {
                    match heard.get(name.as_str()) {
                        Some(h) => prop_assert!((h - v).abs() <= 1e-6 * v.abs().max(1.0), "{}: {name} {v} was heard as {h}", d.name()),
                        None => prop_assert!(v.is_nan(), "{}: {name} {v} was not heard", d.name()),
                    }
                }
                // The last will, heard last, says that the device is gone; of AWS there is none.
                prop_assert_eq!(presence, will.map(|_| false), "{}", d.name());
            }
        }
    }

    #[test]
    fn no_bytes_make_a_listener_panic_or_a_voice_say_what_no_one_reads(
        topic in prop_oneof![
            Just("tele/oven/SENSOR"), Just("tele/oven/STATE"), Just("stat/oven/RESULT"), Just("tasmota/discovery/02AA/config"),
            Just("oven"), Just("oven/status"), Just("home/oven/a"), Just("oven/sensor/x/state"), Just("homeassistant/sensor/oven/x/config"),
            Just("homeassistant/device/oven/config"), Just("zigbee2mqtt/oven"), Just("zigbee2mqtt/bridge/devices"), Just("zigbee2mqtt/oven/set"),
            Just("spBv1.0/plant/NBIRTH/cell-1"), Just("spBv1.0/plant/DDATA/cell-1/oven"), Just("spBv1.0/plant/NDEATH/cell-1"),
            Just("$aws/things/oven/shadow/update"), Just("$aws/things/oven/shadow/update/delta"),
        ],
        payload in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300),
            "\\{(\"[a-zA-Z~_]{1,8}\":(1|\"x\"|null|\\{\\}|\\[1\\]|true),?){0,6}\\}".prop_map(String::into_bytes),
            json_text().prop_map(String::into_bytes),
            json_text().prop_map(|t| cbor_of(&t)),
        ],
        cut in 0usize..400,
    ) {
        let payload = &payload[..payload.len().min(cut)];
        let heard = Heard { topic, payload, retain: false };
        let signals = signals();
        for d in dialect::all() {
            let mut facts = Facts::default();
            let _ = d.listener(None).hear(&heard, &mut facts);
            let _ = d.listener(Some(address(d.name()))).hear(&heard, &mut facts);
            let mut speaker = voice(d.name(), &signals, &BTreeMap::new());
            let mut said = Vec::new();
            let values = [1.0; 7];
            speaker.will(NOON_MS);
            speaker.connect(&report(&values), &mut said);
            speaker.answer(&heard, &report(&values), &mut said);
            let command = ["cmnd/oven/STATUS", "oven/sensor/x/command", "zigbee2mqtt/oven/set", "spBv1.0/plant/NCMD/cell-1", "$aws/things/oven/shadow/update/delta"];
            for topic in command {
                speaker.answer(&Heard { topic, ..heard }, &report(&values), &mut said);
            }
        }
    }
}

/// Some JSON, nested a little.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(tree::number),
        any::<bool>().prop_map(Value::from),
        "[a-zA-Z0-9:. -]{0,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let keys = prop_oneof![
        "[a-z]{1,6}".prop_map(|s| s),
        proptest::sample::select(vec![
            "state",
            "reported",
            "desired",
            "Time",
            "StatusSNS",
            "bn",
            "bt",
            "n",
            "v",
            "u",
            "t",
            "stat_t",
            "state_topic",
            "val_tpl",
            "cmps",
            "dev",
            "ids",
            "uniq_id",
            "~",
            "avty",
            "friendly_name",
            "definition",
            "exposes",
            "property",
            "features",
            "ft",
            "version",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(keys.clone(), inner, 0..6)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
    .prop_map(|v| v.to_string())
}

fn cbor_of(text: &str) -> Vec<u8> {
    let value: Value = serde_json::from_str(text).unwrap();
    let mut out = Vec::new();
    ciborium::into_writer(&value, &mut out).unwrap();
    out
}

#[test]
fn bombs_are_refused_by_every_listener() {
    let bombs: Vec<Vec<u8>> = vec![
        vec![b'['; 200_000],
        format!("{}1{}", "{\"a\":".repeat(60), "}".repeat(60)).into_bytes(),
        vec![0x81; 100_000],
        vec![0xbf; 1000],
        // A CBOR text that claims to be 2^63 bytes long, a list that claims as many items.
        vec![0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, b'x'],
        vec![0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        // A metric that claims to be 4 GiB long.
        vec![0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x01],
        vec![b' '; MAX_PAYLOAD_BYTES + 1],
    ];
    let topics = [
        ("tasmota", "tele/oven/SENSOR"),
        ("json", "oven"),
        ("cbor", "oven"),
        ("senml", "oven"),
        ("senml-cbor", "oven"),
        ("homeassistant", "homeassistant/sensor/oven/x/config"),
        ("zigbee2mqtt", "zigbee2mqtt/bridge/devices"),
        ("zigbee2mqtt", "zigbee2mqtt/oven"),
        ("sparkplug", "spBv1.0/plant/NBIRTH/cell-1"),
        ("aws-shadow", "$aws/things/oven/shadow/update"),
    ];
    for (name, topic) in topics {
        for payload in &bombs {
            let mut listener = dialect::find(name).unwrap().listener(Some(address(name)));
            let mut facts = Facts::default();
            let heard = listener.hear(&Heard { topic, payload, retain: false }, &mut facts);
            assert!(heard.is_err(), "{name} took {:?}…", &payload[..payload.len().min(12)]);
            assert!(facts.0.is_empty(), "{name}: {:?}", facts.0);
        }
    }
}

#[test]
fn a_field_in_another_unit_is_converted_and_one_of_another_kind_kept_apart() {
    let map = BTreeMap::from([("air.pressure".to_owned(), "AM2301/Temperature".to_owned())]);
    let signals = ["am2301.humidity", "am2301.temperature", "air.pressure"];
    let spec = EarSpec { dialect: "tasmota", topic: "oven", signals: &signals, map: &map };
    let mut ear = dialect::for_engine().ear(&spec).unwrap();
    let mut told = Told::default();
    let payload = br#"{"Time":"2026-11-28T12:00:00","AM2301":{"Temperature":69.8,"Humidity":40.5},"Odd":"x","TempUnit":"F"}"#;
    ear.hear(&Heard { topic: "tele/oven/SENSOR", payload, retain: false }, &mut told).unwrap();
    // The temperature is bound to a pressure by mistake: no value of it is one.
    let values: Vec<(usize, f64)> = told.values.iter().map(|v| (v.signal, v.value)).collect();
    assert_eq!(values, [(0, 40.5)]);
    assert!(told.other.contains(&("Odd".to_owned(), "x".to_owned())), "{:?}", told.other);
    let none = BTreeMap::new();
    let mut ear = dialect::for_engine().ear(&EarSpec { map: &none, ..spec }).unwrap();
    told.clear();
    ear.hear(&Heard { topic: "tele/oven/SENSOR", payload, retain: false }, &mut told).unwrap();
    let celsius = told.values.iter().find(|v| v.signal == 1).unwrap();
    assert!((celsius.value - 21.0).abs() < 1e-9, "{celsius:?}");
    assert_eq!(celsius.ts_ms, Some(NOON_MS as f64));
}

#[test]
fn a_host_that_missed_the_birth_asks_for_it_once_and_then_knows() {
    let signals = signals();
    let mut speaker = voice("sparkplug", &signals, &BTreeMap::new());
    let mut host = dialect::find("sparkplug").unwrap().listener(None);
    let values = [21.0, 40.0, 1013.0, 5.0, 20.0, 1.0, 3.0];
    let (mut lost, mut said) = (Vec::new(), Vec::new());
    let death = speaker.will(NOON_MS).unwrap();
    speaker.connect(&report(&values), &mut lost);
    for _ in 0..3 {
        speaker.report(&report(&values), &mut said);
    }
    let owed = |facts: &Facts| -> Vec<Utterance> {
        let owed =
            facts.0.iter().filter_map(|f| if let facts::Fact::Owed(u) = f { Some(u.clone()) } else { None });
        owed.collect()
    };
    let mut facts = Facts::default();
    said.iter().for_each(|u| hear(&mut *host, u, &mut facts));
    let asked = owed(&facts);
    assert_eq!(asked.len(), 1, "a host asks once: {asked:?}");
    assert!(facts.values_of("plant/cell-1/oven").is_empty(), "an alias without a birth means nothing");
    let mut births = Vec::new();
    let command = Heard { topic: &asked[0].topic, payload: &asked[0].payload, retain: false };
    speaker.answer(&command, &report(&values), &mut births);
    assert_eq!(births.len(), 2, "NBIRTH and DBIRTH");
    facts = Facts::default();
    births.iter().for_each(|u| hear(&mut *host, u, &mut facts));
    assert_eq!(facts.values_of("plant/cell-1/oven").len(), 7);
    // A gap in the sequence is asked about too.
    said.clear();
    speaker.report(&report(&values), &mut said);
    speaker.report(&report(&values), &mut said);
    facts = Facts::default();
    hear(&mut *host, &said[1], &mut facts);
    assert_eq!(owed(&facts).len(), 1);
    // The death of this birth counts, that of an earlier connection does not.
    let second = speaker.will(NOON_MS).unwrap();
    facts = Facts::default();
    hear(&mut *host, &second, &mut facts);
    assert!(facts.0.is_empty(), "{facts:?}");
    hear(&mut *host, &death, &mut facts);
    let gone = facts.0.iter().filter(|f| matches!(f, facts::Fact::Online { online: false, .. })).count();
    assert_eq!(gone, 2, "node and device: {facts:?}");
}

/// A node with two devices, each metric as its birth declares it: what the host hears is what was reported, to the type's step.
#[test]
fn a_node_speaks_for_its_devices_in_their_types() {
    use dialect::sparkplug::payload::{self, DataType};
    let signals: Vec<(String, String)> =
        ["oil.temperature", "oil.level", "water.flow", "valve.open", "node.uptime"]
            .map(|s| (s.to_owned(), String::new()))
            .into();
    let options = BTreeMap::from([
        ("types", r#"{"oil.temperature":"Float","oil.level":"Int16","valve.open":"Boolean","node.uptime":"UInt32"}"#),
        ("devices", r#"{"oil.temperature":"oil","oil.level":"oil","water.flow":"water","valve.open":"water"}"#),
        ("fixed", r#"{"water":{"serial":{"type":"String","value":"W-7"}}}"#),
    ])
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .collect();
    let map = BTreeMap::new();
    let spec = VoiceSpec {
        dialect: "sparkplug",
        topic: "plant/cell-1",
        device: "cell-1",
        signals: &signals,
        map: &map,
        options: &options,
    };
    let mut speaker = dialect::for_engine().voice(&spec).unwrap();
    let mut said = Vec::new();
    speaker.will(NOON_MS);
    speaker.connect(&report(&[60.1, -5.0, 2.5, 1.0, 7.0]), &mut said);
    let births: Vec<&str> = said.iter().map(|u| u.topic.as_str()).collect();
    assert_eq!(
        births,
        [
            "spBv1.0/plant/NBIRTH/cell-1",
            "spBv1.0/plant/DBIRTH/cell-1/oil",
            "spBv1.0/plant/DBIRTH/cell-1/water"
        ]
    );
    let kinds = |u: &Utterance| -> Vec<(String, DataType)> {
        let payload = payload::read(&u.payload).unwrap();
        payload
            .metrics
            .iter()
            .map(|m| (m.name.clone().unwrap(), DataType::of(m.datatype.unwrap()).unwrap()))
            .collect()
    };
    let of = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(kinds(&said[1]), [of("oil/temperature", DataType::Float), of("oil/level", DataType::Int16)]);
    let water = [
        of("water/flow", DataType::Double),
        of("valve/open", DataType::Boolean),
        of("serial", DataType::String),
    ];
    assert_eq!(kinds(&said[2]), water);
    // Of what comes, those devices speak that were read, and the numbers of all count on.
    speaker.report(&report(&[61.3, 300_000.0, f64::NAN, f64::NAN, f64::NAN]), &mut said);
    speaker.report(&report(&[f64::NAN, f64::NAN, 3.5, 0.0, -2.0]), &mut said);
    let data: Vec<&str> = said[3..].iter().map(|u| u.topic.as_str()).collect();
    assert_eq!(
        data,
        ["spBv1.0/plant/DDATA/cell-1/oil", "spBv1.0/plant/NDATA/cell-1", "spBv1.0/plant/DDATA/cell-1/water"]
    );
    let mut host = dialect::find("sparkplug").unwrap().listener(None);
    let mut facts = Facts::default();
    said.iter().for_each(|u| hear(&mut *host, u, &mut facts));
    assert!(!facts.0.iter().any(|f| matches!(f, facts::Fact::Owed(_))), "a gap in the numbers: {facts:?}");
    let told = |device: &str, field: &str| facts.values_of(device)[field];
    assert_eq!(told("plant/cell-1/oil", "oil/temperature"), 61.3);
    assert_eq!(told("plant/cell-1/oil", "oil/level"), 32_767.0, "the nearest that there is");
    assert_eq!(
        (told("plant/cell-1/water", "water/flow"), told("plant/cell-1/water", "valve/open")),
        (3.5, 0.0)
    );
    assert_eq!(told("plant/cell-1", "node/uptime"), 0.0);

    for (key, value, says) in [
        ("types", r#"{"oil.level":"Int17"}"#, "`Int17` is no type"),
        ("types", "[]", "no JSON object"),
        ("devices", r#"{"oil.level":"a/b"}"#, "no name of a device"),
    ] {
        let options = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        let refused = dialect::for_engine().voice(&VoiceSpec { options: &options, ..spec }).err().unwrap();
        assert!(refused.to_string().contains(says) && refused.key == key, "{refused}");
    }
}

#[test]
fn sequence_numbers_wrap_and_count_over_node_and_device() {
    use prost::Message as _;
    let signals = signals();
    let mut speaker = voice("sparkplug", &signals, &BTreeMap::new());
    let mut said = Vec::new();
    let values = [1.0; 7];
    speaker.will(NOON_MS);
    speaker.connect(&report(&values), &mut said);
    (0..600).for_each(|_| speaker.report(&report(&values), &mut said));
    let seq: Vec<u64> =
        said.iter().map(|u| payload::Payload::decode(&u.payload[..]).unwrap().seq.unwrap()).collect();
    let want: Vec<u64> = (0..602u64).map(|i| i % 256).collect();
    assert_eq!(seq, want);
}

#[test]
fn every_dialect_says_where_it_is_from_and_has_a_name_of_its_own() {
    let mut names: Vec<&str> = dialect::all().iter().map(|d| d.name()).collect();
    for d in dialect::all() {
        assert!(!d.about().is_empty() && !d.source().is_empty() && !d.address().is_empty(), "{}", d.name());
        assert!(d.problem(address(d.name())).is_none(), "{}", d.name());
        for f in d.filters(address(d.name())).iter().map(String::as_str).chain(d.everywhere().iter().copied())
        {
            TopicFilter::new(f).unwrap_or_else(|e| panic!("{}: {e}", d.name()));
        }
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), dialect::all().len());
    assert_eq!(names::unit_of("°C"), "degC");
}

/// What a survey makes of these messages, a second apart.
fn survey_of(messages: &[(&str, &str)]) -> Vec<Device> {
    let mut survey = Survey::default();
    for (t, (topic, payload)) in messages.iter().enumerate() {
        survey.hear(t as f64, &Heard { topic, payload: payload.as_bytes(), retain: false });
    }
    survey.devices()
}

/// What an ear with these signals is told by messages.
fn told(dialect: &str, topic: &str, signals: &[&str], messages: &[(&str, &str)]) -> Told {
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

/// What a voice with this map and these options says: at its connection with its first report, and to a message.
fn speaks(
    (dialect, topic): (&str, &str),
    signals: &[(&str, &str, f64)],
    map: &[(&str, &str)],
    options: &[(&str, &str)],
    asked: &[(&str, &str)],
) -> Vec<(String, String)> {
    let pairs = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let named: Vec<(String, String)> = signals.iter().map(|(s, u, _)| ((*s).into(), (*u).into())).collect();
    let values: Vec<f64> = signals.iter().map(|(.., v)| *v).collect();
    let (map, options) = (pairs(map), pairs(options));
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

fn said_on<'a>(said: &'a [(String, String)], topic: &str) -> &'a str {
    said.iter().rfind(|(t, _)| t == topic).map_or_else(|| panic!("nothing on {topic}: {said:#?}"), |(_, p)| p)
}

const PUMP: &str = r#"{"dev":{"ids":["p"]},"cmps":{"p":{"p":"sensor","dev_cla":"pressure","unit_of_meas":"UNIT","val_tpl":"{{ value_json.v }}","uniq_id":"p_p"}},"stat_t":"pump/state"}"#;

#[test]
fn a_unit_that_was_unknown_was_taken_for_the_engines_own() {
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
fn an_inch_of_mercury_was_taken_for_a_hectopascal() {
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
    let spoken: Vec<(&str, &str, f64)> =
        signals.iter().zip(["hPa", "degC", "m/s"]).zip(values).map(|((s, u), v)| (*s, u, v)).collect();
    let map = [
        ("bmp280.pressure", "BMP280/Pressure"),
        ("bmp280.temperature", "BMP280/Temperature"),
        ("wind.speed", "Wind/Speed"),
    ];
    let said = speaks(("tasmota", "wx"), &spoken, &map, &options, &[]);
    let mut again: Value = serde_json::from_str(said_on(&said, "tele/wx/SENSOR")).unwrap();
    again.as_object_mut().unwrap().remove("Time");
    assert_eq!(again, serde_json::from_str::<Value>(sensor).unwrap());
}

#[test]
fn a_switch_became_watts() {
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
fn a_rebirth_was_asked_without_a_time_and_but_once() {
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
fn a_sparkplug_command_has_the_births_type() {
    let sparkplug = dialect::find("sparkplug").unwrap();
    for (value, kind, wanted) in [
        (facts::Value::Number(7.0), "Int16", payload::DataType::Int16),
        (facts::Value::Flag(true), "Boolean", payload::DataType::Boolean),
        (facts::Value::Text("ON".into()), "Boolean", payload::DataType::Boolean),
        (facts::Value::Text("eco".into()), "String", payload::DataType::String),
        (facts::Value::Number(7.0), "", payload::DataType::Double),
    ] {
        let asked = dialect::Asked { field: "set", value: &value, kind, ts_unix_ms: NOON_MS };
        let said = sparkplug.command("plant/cell-1/oven", &asked).unwrap();
        assert_eq!(said.topic, "spBv1.0/plant/DCMD/cell-1/oven");
        let read = payload::read(&said.payload).unwrap();
        assert_eq!(read.timestamp, Some(NOON_MS as u64));
        assert_eq!(read.metrics[0].datatype, Some(wanted as u32), "{value:?} as {kind}");
    }
    let text = facts::Value::Text("warm".into());
    let asked = dialect::Asked { field: "set", value: &text, kind: "Int16", ts_unix_ms: NOON_MS };
    assert_eq!(sparkplug.command("plant/cell-1/oven", &asked), None, "a word is no number");
}

#[test]
fn a_template_named_a_member_that_is_no_identifier() {
    let signals = [("t.temperature", "degC", 20.0), ("n.level", "ratio", 0.5), ("k.level", "ratio", 1.0)];
    let map = [("t.temperature", "acu-t"), ("n.level", "items"), ("k.level", "plain")];
    let said =
        speaks(("homeassistant", "rtl"), &signals, &map, &[("units", r#"{"t.temperature":"°F"}"#)], &[]);
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
fn a_full_topic_gave_a_twin_and_its_double_a_wrong_name() {
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
    let signals = [("ds18b20_1.temperature", "degC", 20.5)];
    let map = [("ds18b20_1.temperature", "DS18B20-1/Temperature")];
    let also = [("also", r#"{"DS18B20-1":{"Id":"01"},"DS18B20-2":{"Id":"02","Temperature":null}}"#)];
    let said = speaks(("tasmota", "garden/shed/%prefix%"), &signals, &map, &also, &[]);
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
fn a_backlog_was_an_unknown_command() {
    let signals = [("power.level", "ratio", 0.0)];
    let map = [("power.level", "POWER")];
    let asked = [("cmnd/plug/Backlog", "POWER ON; Delay 10; TelePeriod 20; Backlog POWER OFF")];
    let said = speaks(("tasmota", "plug"), &signals, &map, &[], &asked);
    assert_eq!(said_on(&said, "stat/plug/POWER"), "ON");
    let results: Vec<&str> =
        said.iter().filter(|(t, _)| t == "stat/plug/RESULT").map(|(_, p)| p.as_str()).collect();
    assert_eq!(results[1..], [r#"{"POWER":"ON"}"#, r#"{"Delay":10}"#, r#"{"TelePeriod":20}"#]);
}

#[test]
fn a_nested_property_became_another_device() {
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
        ("lamp.brightness", "", 120.0),
        ("lamp_color.x", "", 0.45),
        ("lamp_color.y", "", 0.41),
        ("lamp_schedule_0.h", "", 6.0),
        ("lamp_schedule_0.t", "", 20.0),
        ("living_room_climate.temperature", "degC", 21.5),
        ("living_room_climate.voltage", "V", 2.985),
    ];
    let map = [
        ("lamp.brightness", "lamp/brightness"),
        ("lamp_color.x", "lamp/color/x"),
        ("lamp_color.y", "lamp/color/y"),
        ("lamp_schedule_0.h", "lamp/schedule/0/h"),
        ("lamp_schedule_0.t", "lamp/schedule/0/t"),
        ("living_room_climate.temperature", "living room/climate/temperature"),
        ("living_room_climate.voltage", "living room/climate/voltage"),
    ];
    let options = [
        ("units", r#"{"living_room_climate.voltage":"mV"}"#),
        (
            "devices",
            r#"{"lamp":{"model":"L","vendor":"Philips","also":{"linkquality":90,"state":"ON"}},"living room/climate":{"also":{"linkquality":80}}}"#,
        ),
    ];
    for (name, _) in &map {
        assert!(scenario.contains(&format!("{name:?}: ")), "{name}: {scenario}");
    }
    let said = speaks(("zigbee2mqtt", "zigbee2mqtt"), &signals, &map, &options, &[]);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(said_on(&said, "zigbee2mqtt/lamp")), json(lamp));
    assert_eq!(json(said_on(&said, "zigbee2mqtt/living room/climate")), json(climate));
    let lists: Vec<&(String, String)> =
        said.iter().filter(|(t, _)| t == "zigbee2mqtt/bridge/devices").collect();
    assert_eq!(lists.len(), 1);
    assert_eq!(json(&lists[0].1).as_array().unwrap().len(), 3, "the coordinator and two devices");
    // A device alone keeps its parts too.
    let signals = [("color.x", "", 0.5), ("main.brightness", "", 3.0)];
    let map = [("color.x", "color/x"), ("main.brightness", "brightness")];
    let said = speaks(("zigbee2mqtt", "zigbee2mqtt/lamp"), &signals, &map, &[], &[]);
    assert_eq!(
        json(said_on(&said, "zigbee2mqtt/lamp")),
        json(r#"{"brightness":3,"color":{"x":0.5},"linkquality":120}"#)
    );
}

#[test]
fn attributes_of_an_esphome_entity_became_devices() {
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
        ("a.temperature", "degC", 20.7),
        ("b.temperature", "degC", 21.0),
        ("cover.blind", "", 1.0),
        ("cover_blind.position", "percent", 70.0),
        ("fan.fan", "", 1.0),
        ("fan_fan.speed_level", "", 2.0),
    ];
    let map = [
        ("a.temperature", "climate/hvac/current_temperature"),
        ("b.temperature", "climate/hvac/target_temperature"),
        ("cover.blind", "cover/blind"),
        ("cover_blind.position", "cover/blind/position"),
        ("fan.fan", "fan/fan"),
        ("fan_fan.speed_level", "fan/fan/speed_level"),
    ];
    let texts = [("texts", r#"{"climate/hvac/mode":"heat","sensor/version":"2024.6.0 Jun 20"}"#)];
    let asked = [
        ("attic/climate/hvac/target_temperature/command", "22.5"),
        ("attic/climate/hvac/mode/command", "off"),
    ];
    let said = speaks(("esphome", "attic"), &signals, &map, &texts, &[]);
    for (topic, payload) in states {
        assert_eq!(said_on(&said, topic), payload);
    }
    let config: Value =
        serde_json::from_str(said_on(&said, "homeassistant/climate/attic/hvac/config")).unwrap();
    assert_eq!(config["temp_cmd_t"], "attic/climate/hvac/target_temperature/command");
    let said = speaks(("esphome", "attic"), &signals, &map, &texts, &asked);
    assert_eq!(said_on(&said, "attic/climate/hvac/target_temperature/state"), "22.5");
    assert_eq!(said_on(&said, "attic/climate/hvac/mode/state"), "off");
}
