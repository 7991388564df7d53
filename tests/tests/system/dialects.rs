//! Dialects: a device that speaks each is heard by its twin and by others' decoders; devices of others are discovered,
//! followed, and doubled so that a client cannot tell.

use super::{
    common::{as_devices, command, run_scenario, scratch, twinfleet_command},
    mirror::{Mirror, connect, url_of},
    mirror_floods::sparkplug,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use twinfleet_engine::record::Record;
use twinfleet_tests::{Mosquitto, PATIENCE, Script, python_of, root, until};
use twinfleet_twins::{
    dialect::sparkplug::payload,
    wire::client::{Connection, Received},
};

const HOUSE: &str = "tests/fixtures/dialects/house.ron";

/// A column of the fixture's table, the rows' values rounded as `printed` digits.
fn column(name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(root().join("tests/fixtures/dialects/house.csv")).unwrap();
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|c| c == name).unwrap();
    lines.map(|l| l.split(',').nth(at).unwrap().parse().unwrap()).collect()
}

/// Signals of the fixture and the columns that they are.
const SIGNALS: [(&str, &str); 3] =
    [("air.temperature", "temp"), ("air.humidity", "hum"), ("plug.power", "power")];

fn close(a: &[f64], b: &[f64], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}: {a:?}");
    for (x, y) in a.iter().zip(b) {
        assert!((x - y).abs() < 1e-6 * y.abs().max(1.0), "{what}: {x} is not {y}");
    }
}

#[test]
fn a_twin_hears_in_every_dialect_what_its_device_said() {
    let dir = scratch();
    let record = dir.path().join("record");
    let ran =
        run_scenario(&["run", HOUSE, "--broker", "none", "--quiet", "--record", record.to_str().unwrap()]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let embedded = run_scenario(&["run", HOUSE, "--quiet"]);
    assert_eq!(ran.state_hash(), embedded.state_hash(), "a broker between changes nothing");
    let record = Record::open(&record).unwrap();
    let mut heard: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in record.rows() {
        let row = row.unwrap();
        let name = record.table.name(row.signal);
        if name.ends_with("@reported") {
            heard.entry(name).or_default().push(row.value);
        }
    }
    for device in [
        "tasmota",
        "esphome",
        "ha",
        "ha-single",
        "zigbee",
        "oven",
        "cell-2",
        "boiler",
        "senml",
        "senml-cbor",
        "cbor",
        "json",
        "topics",
    ] {
        for (signal, name) in SIGNALS {
            let got = heard.get(&format!("{device}/{signal}@reported")).cloned().unwrap_or_default();
            // The last row's message would arrive in the tick after the run's last.
            let said = column(name);
            assert!(got.len() + 1 >= said.len(), "{device}/{signal}: {} of {}", got.len(), said.len());
            // A host takes a birth's values too; the first row is then heard twice at one time, and kept once.
            close(&got, &said[..got.len()], &format!("{device}/{signal}"));
        }
    }
}

#[test]
fn a_dialect_that_is_none_is_refused_with_its_place() {
    let dir = scratch();
    let path = dir.path().join("bad.ron");
    let good = std::fs::read_to_string(root().join(HOUSE))
        .unwrap()
        .replace("house.csv", root().join("tests/fixtures/dialects/house.csv").to_str().unwrap());
    for (from, to, says) in [
        ("Dialect(name: \"tasmota\")", "Dialect(name: \"tasmoto\")", "did you mean `tasmota`"),
        ("topic: \"plant/cell-1/oven\"", "topic: \"oven\"", "names no group and node"),
        ("{\"form\": \"single\"}", "{\"form\": \"double\"}", "is nothing that `form` can be"),
        ("{\"form\": \"single\"}", "{\"shape\": \"single\"}", "has no option `shape`"),
        (
            "map: {\"air.temperature\": \"temperature\"",
            "map: {\"air.temprature\": \"temperature\"",
            "air.temprature",
        ),
        ("unit: \"W\"", "unit: \"watts\"", "is no known unit"),
        ("unit: \"degC\"", "unit: \"K\"", "write unit: \"degC\""),
    ] {
        assert!(good.contains(from), "{from}");
        std::fs::write(&path, good.replace(from, to)).unwrap();
        let ran = command(&["check", path.to_str().unwrap()]);
        assert_eq!(ran.code(), 2, "{to}: {}", ran.stderr());
        let said = ran.stdout() + &ran.stderr();
        assert!(said.contains(says), "{to}: {said}");
        assert!(said.contains("bad.ron"), "{to} has no place: {said}");
    }
}

#[test]
fn discover_refuses_what_it_cannot_do() {
    let dir = scratch();
    let taken = dir.path().join("taken.ron");
    std::fs::write(&taken, "mine").unwrap();
    for (args, code, says) in [
        (vec!["discover", "embedded"], 2, "mqtt://host"),
        (vec!["discover", "mqtts://127.0.0.1:1", "--ca-file", "/no/such.pem"], 2, "/no/such.pem"),
        (vec!["discover", "mqtt://127.0.0.1:1", "--cert", "a.pem"], 2, "--key"),
        (vec!["discover", "mqtt://127.0.0.1:1", "--user", "u", "--password-file", "/no/such"], 2, "/no/such"),
        (vec!["discover", "mqtt://127.0.0.1:1", "--for", "0s"], 2, "--for"),
        (vec!["discover", "mqtt://127.0.0.1:1", "--out", taken.to_str().unwrap()], 2, "--force"),
        (vec!["discover", "mqtt://127.0.0.1:1", "--for", "1s"], 3, "127.0.0.1:1"),
        (vec!["replay", HOUSE, "--as-devices"], 2, "--broker"),
        (
            vec!["replay", HOUSE, "--as-devices", "--broker", "mqtt://127.0.0.1:1", "--speed", "max"],
            2,
            "--speed",
        ),
        (vec!["run", HOUSE, "--as-devices", "--broker", "mqtt://127.0.0.1:1", "--speed", "1x"], 2, "mirror"),
    ] {
        let ran = command(&args);
        assert_eq!(ran.code(), code, "{args:?}: {}", ran.stderr());
        assert!(ran.stderr().contains(says), "{args:?}: {}", ran.stderr());
    }
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
}

fn script(python: &Path, mode: &str, broker: &Mosquitto, seconds: u32) -> Script {
    let (port, seconds) = (broker.addr.port().to_string(), seconds.to_string());
    Script::start(python, "dialects.py", &[mode, &port, &seconds])
}

/// The modules that the scripts need, in an environment of their own.
fn judges(test: &str) -> Option<PathBuf> {
    python_of("venv-dialects", "pysparkplug, mqtt_spb_wrapper, hatasmota, cbor2, kpn_senml", test)
}

#[test]
fn others_decoders_read_what_our_devices_say() {
    let test = "others_decoders_read_what_our_devices_say";
    let Some(python) = judges(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let judge = script(&python, "hear", &broker, 60);
    let url = format!("mqtt://{}", broker.addr);
    let ran = command(&as_devices(HOUSE, &url, "8x"));
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let said = judge.finish();
    assert_eq!(said["notes"]["errors"], Value::Null, "{}", said["notes"]["errors"]);
    // Devices and the names by which each decoder has our three signals.
    let plain = ["air/temperature", "air/humidity", "plug/power"];
    let under = |p: &str| plain.map(|f| format!("{p}{f}"));
    for (judge, names) in [
        ("pysparkplug:plant/cell-1/oven", under("")),
        ("mqtt-spb-wrapper:plant/cell-1/oven", under("")),
        ("pysparkplug:plant/cell-2", under("")),
        ("json:tele/plug-1/SENSOR", ["AIR/Temperature", "AIR/Humidity", "PLUG/Power"].map(str::to_owned)),
        ("kpn-senml:lab/probe", under("")),
        ("kpn-senml:lab/probe-2", under("")),
        ("cbor2:fleet/c", under("")),
        ("json:$aws/things/boiler/shadow/update", under("")),
        ("plain:attic", ["air_temperature", "air_humidity", "plug_power"].map(str::to_owned)),
        ("json:zigbee2mqtt/hall", ["temperature", "humidity", "power"].map(str::to_owned)),
    ] {
        for (name, (_, column_name)) in names.iter().zip(SIGNALS) {
            let got: Vec<f64> = said["got"][judge][name]
                .as_array()
                .unwrap_or_else(|| panic!("{judge} heard no {name}: {}", said["got"][judge]))
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            let want = column(column_name);
            // Births say their values too: what is repeated is dropped from both.
            let once = |v: &[f64]| {
                let mut v = v.to_vec();
                v.dedup_by(|a, b| (*a - *b).abs() < 1e-6 * b.abs().max(1.0));
                v
            };
            let (got, want) = (once(&got), once(&want));
            // A rebirth in the middle repeats the values of that moment.
            assert!(got.len() >= want.len(), "{judge} {name}: {} of {}", got.len(), want.len());
            let mut rest = got.iter();
            for w in &want {
                assert!(
                    rest.any(|g| (g - w).abs() < 1e-6 * w.abs().max(1.0)),
                    "{judge} {name}: {w} was not heard in its place"
                );
            }
        }
    }
    let notes = &said["notes"];
    let births = notes["sparkplug plant/cell-1/oven"].as_array().unwrap();
    assert_eq!(births.iter().filter(|k| *k == "DBIRTH").count(), 2, "a rebirth was asked for: {births:?}");
    let node = notes["sparkplug plant/cell-1"].as_array().unwrap();
    assert_eq!(node.last().unwrap(), "NDEATH", "{node:?}");
    let entities = notes["tasmota entity"].to_string();
    for wanted in ["Temperature", "Humidity", "Power", "C", "%", "W"] {
        assert!(entities.contains(&format!("\"{wanted}\"")), "{wanted} is missing: {entities}");
    }
    let status = &notes["status"][0]["StatusSNS"]["AIR"]["Temperature"];
    assert!(status.as_f64().is_some_and(|v| (17.9..22.1).contains(&v)), "{}", notes["status"]);
    let configs = notes["discovery"].as_array().unwrap();
    assert!(configs.iter().all(|c| c[2] == true), "{configs:?}");
    let units: BTreeSet<&str> = configs.iter().filter_map(|c| c[1].as_str()).collect();
    assert_eq!(units, BTreeSet::from(["%", "W", "°C"]));
}

/// Shape of a payload: what a client could tell devices apart by, apart from the values.
fn shape(payload: &[u8]) -> String {
    fn of(v: &Value) -> String {
        match v {
            Value::Object(map) => {
                let inner: Vec<String> = map.iter().map(|(k, v)| format!("{k}:{}", of(v))).collect();
                format!("{{{}}}", inner.join(","))
            }
            Value::Array(list) => {
                let inner: BTreeSet<String> = list.iter().map(of).collect();
                format!("[{}]", inner.into_iter().collect::<Vec<_>>().join("|"))
            }
            Value::String(_) => "text".to_owned(),
            Value::Number(_) => "number".to_owned(),
            other => other.to_string(),
        }
    }
    match serde_json::from_slice(payload) {
        Ok(v) => of(&v),
        Err(_) => match std::str::from_utf8(payload) {
            Ok(text) => text.to_owned(),
            Err(_) => "bytes".to_owned(),
        },
    }
}

fn base64(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text).unwrap()
}

/// What a client sees of a device's topics: topic → (quality of service, shapes), what is kept, and how often it speaks.
#[derive(Debug, Default)]
struct Seen {
    topics: BTreeMap<String, (BTreeSet<i64>, BTreeSet<String>)>,
    kept: BTreeMap<String, String>,
    /// Median interval of a topic's messages, [s].
    rhythm_s: BTreeMap<String, f64>,
    order: Vec<String>,
}

fn seen(record: &Value, of: &[&str]) -> Seen {
    let mine = |topic: &str| of.iter().any(|p| topic.starts_with(p));
    let mut seen = Seen::default();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for m in record["messages"].as_array().unwrap() {
        let topic = m["topic"].as_str().unwrap();
        if !mine(topic) {
            continue;
        }
        let entry = seen.topics.entry(topic.to_owned()).or_default();
        entry.0.insert(m["qos"].as_i64().unwrap());
        // Protobuf has no shape of its own to a reader of text; others' decoders judge it above.
        let payload = base64(m["payload"].as_str().unwrap());
        entry.1.insert(if topic.starts_with("spBv1.0/") { "protobuf".to_owned() } else { shape(&payload) });
        times.entry(topic.to_owned()).or_default().push(m["t"].as_f64().unwrap());
        if !seen.order.iter().any(|t| t == topic) {
            seen.order.push(topic.to_owned());
        }
    }
    for (topic, payload) in record["kept"].as_object().unwrap() {
        if mine(topic) {
            seen.kept.insert(topic.clone(), shape(&base64(payload.as_str().unwrap())));
        }
    }
    for (topic, t) in times {
        let mut gaps: Vec<f64> = t.windows(2).map(|w| w[1] - w[0]).collect();
        gaps.sort_by(f64::total_cmp);
        if gaps.len() > 6 {
            seen.rhythm_s.insert(topic, gaps[gaps.len() / 2]);
        }
    }
    seen
}

#[test]
fn others_devices_are_discovered_followed_and_doubled() {
    let test = "others_devices_are_discovered_followed_and_doubled";
    let Some(python) = judges(test) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let dir = scratch();
    let (house, doubles) = (dir.path().join("house.ron"), dir.path().join("doubles.ron"));
    let url = format!("mqtt://{}", broker.addr);
    let recorder = script(&python, "record", &broker, 90);
    // It listens before the devices come up: a Sparkplug node says its types at its birth alone, and discovery asks for nothing
    // unless told to.
    let words = ["discover", &url, "--for", "10s", "--out"].map(str::to_owned);
    let files = [house.display().to_string(), "--doubles".to_owned(), doubles.display().to_string()];
    let words: Vec<String> = words.into_iter().chain(files).collect();
    let listening =
        std::thread::spawn(move || command(&words.iter().map(String::as_str).collect::<Vec<_>>()));
    std::thread::sleep(Duration::from_millis(1_500));
    let mut devices = script(&python, "devices", &broker, 90);
    let ran = listening.join().expect("discovered");
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let found = ran.json();
    let by: BTreeMap<String, &Value> = found["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (format!("{} {}", d["dialect"].as_str().unwrap(), d["address"].as_str().unwrap()), d))
        .collect();
    // Device, signal, unit, what its values lie within: 68–71.6 °F are 20–22 °C.
    for (device, signal, unit, low, high) in [
        ("tasmota plug", "am2301.temperature", "degC", 20.0, 22.1),
        ("tasmota plug", "am2301.humidity", "percent", 40.0, 43.1),
        ("tasmota plug", "ds18b20.temperature", "degC", 10.0, 11.1),
        ("esphome attic", "sensor_left_temperature.temperature", "degC", 20.0, 20.6),
        ("esphome attic", "sensor_air_humidity.humidity", "percent", 50.0, 53.0),
        ("zigbee2mqtt zigbee2mqtt/hall", "main.temperature", "degC", 21.0, 22.1),
        ("homeassistant garden/pump", "pump01_volts.voltage", "V", 12.0, 12.3),
        ("homeassistant garden/pump", "main.pump01_flow", "l/min", 3.4, 4.6),
        ("sparkplug plant/press/oil", "main.temperature", "degC", 60.0, 61.6),
        ("sparkplug plant/press/oil", "main.level", "ratio", -5.0, -3.0),
        ("sparkplug plant/press/water", "main.flow", "l/min", 1.5, 2.6),
        ("sparkplug plant/press/water", "valve.open", "none", 0.0, 1.0),
        ("aws-shadow boiler", "water.temperature", "degC", 55.5, 57.6),
        ("senml lab/senml", "main.temperature", "degC", 23.5, 24.6),
        ("senml-cbor lab/senml-cbor", "main.rh", "percent", 41.0, 42.1),
        ("cbor fleet/c", "air.temperature", "degC", 19.5, 20.6),
        ("json fleet/j", "air.temperature", "degC", 18.5, 19.6),
        ("topics shed/door", "main.angle", "deg", 0.0, 15.1),
    ] {
        let d = by.get(device).unwrap_or_else(|| panic!("{device} was not found: {:?}", by.keys()));
        let signals = d["signals"].as_array().unwrap();
        let s = signals
            .iter()
            .find(|s| s["signal"] == signal)
            .unwrap_or_else(|| panic!("{device} has no {signal}: {signals:?}"));
        assert_eq!(s["unit"], unit, "{device} {signal}");
        let last = s["last"].as_f64().unwrap();
        assert!((low..=high).contains(&last), "{device} {signal}: {last}");
        let period = s["period_s"].as_f64().unwrap();
        assert!((0.3..1.5).contains(&period), "{device} {signal}: {period} s");
    }
    // What is told once is no second device.
    let dialects: Vec<&str> = by.keys().map(|k| k.split(' ').next().unwrap()).collect();
    assert_eq!(dialects.iter().filter(|d| **d == "homeassistant").count(), 1, "{:?}", by.keys());
    assert_eq!(dialects.iter().filter(|d| **d == "json").count(), 1, "{:?}", by.keys());

    let checked = command(&["check", house.to_str().unwrap(), doubles.to_str().unwrap()]);
    assert_eq!(checked.code(), 0, "{}{}", checked.stdout(), checked.stderr());
    let ran = command(&[
        "run",
        house.to_str().unwrap(),
        "--broker",
        &url,
        "--prefix",
        "",
        "--speed",
        "1x",
        "--quiet",
        "--set",
        "duration=6s",
    ]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let report = ran.json();
    let twins = report["twins"].as_array().unwrap();
    assert!(twins.len() >= 10, "{}", twins.len());
    let heard = report["counters"]["twin_messages"].as_u64().unwrap_or(0);
    assert!(heard >= 10 * 4, "{heard} messages reached the twins");
    // As a power cut ends them.
    devices.kill();
    let real = recorder.finish();

    let Some(broker) = Mosquitto::start(test) else { return };
    let url = format!("mqtt://{}", broker.addr);
    let recorder = script(&python, "record", &broker, 60);
    let ran = command(&as_devices(doubles.to_str().unwrap(), &url, "1x"));
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let double = recorder.finish();
    // What pysparkplug reads of the births' types and of the data between them, device by device.
    for what in ["declared", "said"] {
        let metrics = |record: &Value| -> BTreeMap<String, Value> {
            let all = record[what].as_object().unwrap().iter().flat_map(|(topic, names)| {
                names
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(move |(name, kind)| (format!("{topic} {name}"), kind.clone()))
            });
            all.filter(|(name, _)| !name.ends_with(" bdSeq") && !name.contains("Node Control/")).collect()
        };
        let (a, b) = (metrics(&real), metrics(&double));
        assert!(a.len() >= 5, "{a:?}");
        assert_eq!(a, b, "Sparkplug: {what}");
    }
    for (device, topics) in [
        ("Tasmota", &["tele/plug/", "stat/plug/", "cmnd/plug/", "tasmota/discovery/"][..]),
        ("ESPHome", &["attic/", "homeassistant/sensor/attic/"]),
        ("Zigbee2MQTT", &["zigbee2mqtt/"]),
        (
            "Sparkplug",
            &[
                "spBv1.0/plant/DDATA/",
                "spBv1.0/plant/DBIRTH/",
                "spBv1.0/plant/NBIRTH/",
                "spBv1.0/plant/NDEATH/",
            ],
        ),
        ("AWS shadow", &["$aws/things/boiler/shadow/update"]),
        ("JSON", &["fleet/j"]),
        ("Home Assistant", &["garden/pump/", "homeassistant/device/pump01/"]),
        ("plain topics", &["shed/door"]),
    ] {
        let (a, b) = (seen(&real, topics), seen(&double, topics));
        let topics = |s: &Seen| -> BTreeSet<String> { s.topics.keys().cloned().collect() };
        assert_eq!(topics(&a), topics(&b), "{device}: topics");
        for (topic, (qos, shapes)) in &a.topics {
            let (double_qos, double_shapes) = &b.topics[topic];
            // pysparkplug leaves its death with quality 0, where the specification wants 1.
            let death = topic.contains("/NDEATH/");
            assert!(
                qos == double_qos || death,
                "{device}: quality of service on {topic}: {qos:?}, {double_qos:?}"
            );
            let numbers = |s: &BTreeSet<String>| s.iter().all(|s| s == "number");
            assert!(
                shapes == double_shapes || numbers(shapes) && numbers(double_shapes),
                "{device}: {topic}\n real   {shapes:?}\n double {double_shapes:?}"
            );
        }
        assert_eq!(a.kept, b.kept, "{device}: what the broker keeps, the last will among it");
        for (topic, s) in &a.rhythm_s {
            let double = b.rhythm_s.get(topic).unwrap_or_else(|| panic!("{device}: {topic} is silent"));
            assert!((s - double).abs() < 0.35, "{device}: {topic} every {s} s, its double every {double} s");
        }
    }
}

#[test]
fn every_dialect_is_listed() {
    let ran = command(&["list", "dialects"]);
    assert_eq!(ran.code(), 0);
    let all = ran.json();
    let names: Vec<&str> = all.as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect();
    for wanted in [
        "topics",
        "json",
        "cbor",
        "senml",
        "senml-cbor",
        "homeassistant",
        "esphome",
        "tasmota",
        "zigbee2mqtt",
        "sparkplug",
        "aws-shadow",
    ] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    let output = twinfleet_command().args(["list", "dialects"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("tasmota") && text.lines().count() == names.len() + 1, "{text}");
}

#[test]
fn a_mirror_is_one_sparkplug_host_however_many_twins_it_has() {
    let test = "a_mirror_is_one_sparkplug_host_however_many_twins_it_has";
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let twins: String = ["cell", "cell/oven", "cell/press"]
        .map(|d| {
            let id = d.replace('/', "-");
            let decode = "Dialect(name: \"sparkplug\")";
            format!("(twin: \"{id}\", thing: \"t\", bind: [(topic: \"plant/{d}\", decode: {decode})]),")
        })
        .concat();
    let thing =
        "(name: \"t\", source: \"this test\", signals: [(signal: \"main.temperature\", unit: \"degC\")])";
    let text = format!("Scenario(format: 1, duration: \"1h\", mirror: [{twins}], things: [{thing}])");
    let url = url_of(&mosquitto);
    let mut own = connect(&url);
    own.subscribe(&[("spBv1.0/STATE/#", 1), ("spBv1.0/plant/NCMD/#", 1)], PATIENCE).unwrap();
    let mut mirror = Mirror::following(&text, &url, &[]);
    mirror.start_and_wait();
    let mut heard: Vec<(String, bool, Vec<u8>)> = Vec::new();
    let mut listen = |own: &mut Connection, seconds: f64| {
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < end {
            let take = |m: Received| heard.push((m.topic().to_owned(), m.retain, m.payload.to_vec()));
            own.pump(Some(Duration::from_millis(50)), take).unwrap();
        }
        heard.clone()
    };
    listen(&mut own, 1.0);
    // Data of a node whose birth nobody heard.
    let data = sparkplug(7, "main/temperature", 20.5);
    for device in ["oven", "press"] {
        let topic = format!("spBv1.0/plant/DDATA/cell/{device}");
        own.publish(&topic, &data, 0, false).unwrap();
    }
    listen(&mut own, 2.0);
    // As a power cut ends it: the broker says its will.
    mirror.kill();
    let heard = listen(&mut own, 2.0);
    let asked: Vec<&Vec<u8>> =
        heard.iter().filter(|(t, ..)| t == "spBv1.0/plant/NCMD/cell").map(|(.., p)| p).collect();
    assert_eq!(asked.len(), 1, "one request for one node: {heard:?}");
    assert!(payload::read(asked[0]).unwrap().timestamp.is_some());
    let states: Vec<Value> = heard
        .iter()
        .filter(|(t, ..)| t == "spBv1.0/STATE/twinfleet")
        .map(|(.., p)| serde_json::from_slice(p).unwrap())
        .collect();
    let online: Vec<bool> = states.iter().map(|s| s["online"].as_bool().unwrap()).collect();
    assert_eq!(online, [true, false], "{states:?}");
    assert_eq!(states[0]["timestamp"], states[1]["timestamp"], "birth and will have one time");
    let mut late = connect(&url);
    late.subscribe(&[("spBv1.0/STATE/#", 1)], PATIENCE).unwrap();
    let mut kept = false;
    until("the kept STATE", || {
        late.pump(Some(Duration::from_millis(50)), |m| kept |= m.retain && m.payload[..].ends_with(b"}"))
            .unwrap();
        kept
    });
}
