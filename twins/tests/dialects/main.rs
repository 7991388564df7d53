//! Laws of every dialect: what a voice says its ear hears; no bytes make a listener panic; the same voice says the same.

mod devices;
mod doubles;
mod gateways;

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
