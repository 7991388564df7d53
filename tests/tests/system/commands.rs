//! What is desired of a device reaches it in its own dialect, and is acknowledged, refused or given up: through mosquitto, with
//! the double of a device of each dialect that has commands, run by `replay --as-devices`.

use super::{
    common::{as_devices, command, scratch, twinfleet_command},
    mirror::{Mirror, connect, publish, url_of},
};
use serde_json::{Value, json};
use std::{
    process::Stdio,
    time::{Duration, Instant},
};
use twinfleet_engine::scenario::calendar;
use twinfleet_tests::{Mosquitto, PATIENCE, Process, until};
use twinfleet_twins::{
    dialect::sparkplug::payload::{self, DataType},
    wire::client::Connection,
};

/// A device: a relay that is off, and a heater that is to hold 20 °C, which speaks Fahrenheit where its dialect has units.
struct Device {
    id: &'static str,
    dialect: &'static str,
    address: &'static str,
    /// Its signals' fields: relay, heater. The heater is none where the dialect has none that can be set.
    relay: &'static str,
    heater: Option<&'static str>,
    /// Further options of its double.
    options: &'static str,
    /// The topic of the command to the relay.
    topic: &'static str,
    /// The topic and payload of the command to the heater, to 68 °F where it speaks so, to 20 °C where not.
    heat: Option<(&'static str, &'static str)>,
}

const DEVICES: [Device; 8] = [
    Device {
        id: "plug",
        dialect: "tasmota",
        address: "plug",
        relay: "POWER",
        heater: None,
        options: "",
        topic: "cmnd/plug/POWER",
        heat: None,
    },
    Device {
        id: "hall",
        dialect: "zigbee2mqtt",
        address: "zigbee2mqtt/hall",
        relay: "state",
        heater: Some("occupied_heating_setpoint"),
        options: r#""units": "{\"heater.temperature\":\"degF\"}""#,
        topic: "zigbee2mqtt/hall/set",
        heat: Some(("zigbee2mqtt/hall/set", r#"{"occupied_heating_setpoint":77}"#)),
    },
    Device {
        id: "attic",
        dialect: "esphome",
        address: "attic",
        relay: "switch/relay",
        heater: Some("climate/room/target_temperature"),
        options: "",
        topic: "attic/switch/relay/command",
        heat: Some(("attic/climate/room/target_temperature/command", "25")),
    },
    Device {
        id: "pump",
        dialect: "homeassistant",
        address: "garden/pump",
        relay: "relay",
        heater: Some("heater"),
        options: r#""units": "{\"heater.temperature\":\"degF\"}", "commands": "{\"relay.level\":\"switch\",\"heater.temperature\":\"number\"}""#,
        topic: "garden/pump/relay/set",
        heat: Some(("garden/pump/heater/set", "77")),
    },
    Device {
        id: "oven",
        dialect: "sparkplug",
        address: "plant/cell-1/oven",
        relay: "relay",
        heater: Some("heater"),
        options: r#""types": "{\"relay.level\":\"Boolean\",\"heater.temperature\":\"Float\"}""#,
        topic: "spBv1.0/plant/DCMD/cell-1/oven",
        heat: Some(("spBv1.0/plant/DCMD/cell-1/oven", "Float 25")),
    },
    Device {
        id: "node",
        dialect: "sparkplug",
        address: "plant/cell-2",
        relay: "relay",
        heater: Some("heater"),
        options: r#""alias": "no", "types": "{\"relay.level\":\"UInt8\"}""#,
        topic: "spBv1.0/plant/NCMD/cell-2",
        heat: Some(("spBv1.0/plant/NCMD/cell-2", "Double 25")),
    },
    Device {
        id: "boiler",
        dialect: "aws-shadow",
        address: "boiler",
        relay: "relay",
        heater: Some("water/heater"),
        options: "",
        topic: "$aws/things/boiler/shadow/update/delta",
        heat: Some(("$aws/things/boiler/shadow/update/delta", r#"{"water":{"heater":25}}"#)),
    },
    Device {
        id: "shed",
        dialect: "topics",
        address: "home/shed",
        relay: "relay",
        heater: Some("heater"),
        options: "",
        topic: "home/shed/relay/set",
        heat: Some(("home/shed/heater/set", "25")),
    },
];

/// The payload that turns a relay on, as each dialect says it.
fn turned_on(device: &Device) -> &'static str {
    match (device.dialect, device.id) {
        ("tasmota" | "esphome" | "homeassistant", _) => "ON",
        ("zigbee2mqtt", _) => r#"{"state":"ON"}"#,
        ("sparkplug", "oven") => "Boolean 1",
        ("sparkplug", _) => "UInt8 1",
        ("aws-shadow", _) => r#"{"relay":1}"#,
        _ => "1",
    }
}

impl Device {
    fn map(&self, of_home_assistant: bool) -> String {
        // A double's unique ids begin with the device's own.
        let name = |field: &str| match (self.dialect, of_home_assistant) {
            ("homeassistant", true) => format!("{}_{field}", self.id),
            _ => field.to_owned(),
        };
        let mut map = format!("\"relay.level\": {:?}", name(self.relay));
        if let Some(heater) = self.heater {
            map += &format!(", \"heater.temperature\": {:?}", name(heater));
        }
        map
    }

    /// The twin's mirror section.
    fn mirror(&self, command: &str) -> String {
        format!(
            "(twin: {:?}, thing: \"heated\", bind: [(topic: {:?}, decode: Dialect(name: {:?}, map: {{{}}}))]{command}),\n",
            self.id,
            self.address,
            self.dialect,
            self.map(true)
        )
    }

    /// The double's section: an hour in which nothing changes by itself.
    fn physical(&self, table: &str) -> String {
        let heater = self.heater.map_or("", |_| ", \"heater.temperature@reported\": \"heater degC\"");
        let options =
            if self.options.is_empty() { String::new() } else { format!(", options: {{{}}}", self.options) };
        format!(
            "(id: {:?}, from: Recording(path: {table:?}, time: \"t_s\", map: {{\"relay.level@reported\": \"relay\"{heater}}}),\n\
             publish: (topic: {:?}, payload: Dialect(name: {:?}, map: {{{}}}{options}))),\n",
            self.id,
            self.address,
            self.dialect,
            self.map(false)
        )
    }
}

fn mirrored(devices: &[Device], command: &str) -> String {
    let thing = r#"(name: "heated", source: "this test", signals: [
        (signal: "relay.level", unit: "ratio"), (signal: "heater.temperature", unit: "degC", quantum: 0.1)])"#;
    let twins: String = devices.iter().map(|d| d.mirror(command)).collect();
    format!("Scenario(format: 1, duration: \"1h\", things: [{thing}], mirror: [{twins}])")
}

/// What the wire says of a command: its topic, and its payload as text; of Sparkplug the first metric's type and value, of a
/// delta its state.
fn in_words(topic: &str, payload: &[u8]) -> String {
    if topic.starts_with("spBv1.0/") {
        let Ok(read) = payload::read(payload) else { return "no protobuf".to_owned() };
        let Some(m) = read.metrics.first() else { return "no metric".to_owned() };
        let kind = m.datatype.and_then(DataType::of).map_or("none", DataType::name);
        let value = m.read(m.datatype).and_then(|v| v.number()).unwrap_or(f64::NAN);
        return format!("{kind} {value}");
    }
    let text = String::from_utf8_lossy(payload).into_owned();
    match serde_json::from_str::<Value>(&text) {
        Ok(json) if topic.ends_with("/delta") => json["state"].to_string(),
        _ => text,
    }
}

/// Who listens to all commands.
struct Wire {
    connection: Connection,
    heard: Vec<(String, String, u8, bool)>,
}

impl Wire {
    fn on(url: &str) -> Self {
        let mut connection = connect(url);
        connection.subscribe(&[("#", 2), ("$aws/things/+/shadow/update/delta", 2)], PATIENCE).unwrap();
        Self { connection, heard: Vec::new() }
    }

    fn listen(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            let heard = &mut self.heard;
            self.connection
                .pump(Some(Duration::from_millis(20)), |m| {
                    heard.push((m.topic().to_owned(), in_words(m.topic(), &m.payload), m.qos, m.retain));
                })
                .unwrap();
        }
    }

    /// What came on a topic, in order.
    fn on_topic(&self, topic: &str) -> Vec<(&str, u8, bool)> {
        self.heard
            .iter()
            .filter(|(t, ..)| t == topic)
            .map(|(_, text, qos, retain)| (text.as_str(), *qos, *retain))
            .collect()
    }
}

fn twin(mirror: &Mirror, id: &str) -> Value {
    mirror.json(&format!("/api/v1/twins/{id}"))
}

fn desire(operator: &mut Connection, id: &str, desired: &Value) {
    let request = json!({ "state": { "desired": desired } }).to_string();
    publish(operator, &format!("$aws/things/{id}/shadow/update"), &request);
}

fn standing(mirror: &Mirror, id: &str) -> String {
    twin(mirror, id)["command"]["state"].as_str().unwrap_or("none").to_owned()
}

/// Waits until a command stands so, and listens meanwhile.
fn wait_for(mirror: &Mirror, wire: &mut Wire, id: &str, wanted: &str) -> Value {
    let mut seen = Value::Null;
    until(&format!("{id}: {wanted}"), || {
        wire.listen(Duration::from_millis(50));
        seen = twin(mirror, id);
        seen["command"]["state"] == wanted
    });
    seen
}

#[test]
fn every_dialects_device_does_what_is_desired_and_says_so() {
    let name = "commands in every dialect through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let dir = scratch();
    let rows: String = (0..1_200).map(|i| format!("{}.5,0,20\n", i)).collect();
    std::fs::write(dir.path().join("house.csv"), format!("t_s,relay,heater\n{rows}")).unwrap();
    let physicals: String = DEVICES.iter().map(|d| d.physical("house.csv")).collect();
    let doubles = dir.path().join("doubles.ron");
    let text = format!("Scenario(format: 1, duration: \"20min\", step: \"100ms\", physicals: [{physicals}])");
    std::fs::write(&doubles, text).unwrap();
    let checked = command(&["check", doubles.to_str().unwrap()]);
    assert_eq!(checked.code(), 0, "{}{}", checked.stdout(), checked.stderr());

    let mut mirror = Mirror::following(&mirrored(&DEVICES, ", command: (within: \"20s\")"), &url, &[]);
    mirror.start_and_wait();
    let mut wire = Wire::on(&url);
    let mut replay = twinfleet_command();
    replay.args(as_devices(doubles.to_str().unwrap(), &url, "1x"));
    let _replay = Process(replay.stdout(Stdio::null()).spawn().unwrap());
    let reported = |id: &str, signal: &str| twin(&mirror, id)["signals"][signal]["reported"].as_f64();
    for d in &DEVICES {
        until(&format!("{} to report", d.id), || {
            wire.listen(Duration::from_millis(20));
            reported(d.id, "relay.level") == Some(0.0)
        });
    }
    let mut operator = connect(&url);
    for d in &DEVICES {
        desire(&mut operator, d.id, &json!({ "relay.level": 1 }));
    }
    for d in &DEVICES {
        let seen = wait_for(&mirror, &mut wire, d.id, "acknowledged");
        assert!(seen["command"]["latency_ms"].as_i64().is_some_and(|ms| (0..20_000).contains(&ms)), "{seen}");
        assert_eq!(seen["signals"]["relay.level"]["reported"], 1.0, "{}: {seen}", d.id);
        let sent = wire.on_topic(d.topic);
        let qos = if d.dialect == "sparkplug" { 0 } else { 1 };
        assert!(sent.contains(&(turned_on(d), qos, false)), "{}: {sent:?}", d.id);
    }
    for d in DEVICES.iter().filter(|d| d.heat.is_some()) {
        desire(&mut operator, d.id, &json!({ "heater.temperature": 25.0 }));
    }
    let commands = DEVICES.len() + DEVICES.iter().filter(|d| d.heat.is_some()).count();
    until("the heaters' commands to be acknowledged", || {
        wire.listen(Duration::from_millis(50));
        mirror.metric("commands_acknowledged_total") == commands as f64
    });
    for d in &DEVICES {
        let Some((topic, payload)) = d.heat else { continue };
        let seen = twin(&mirror, d.id);
        assert_eq!(seen["command"]["state"], "acknowledged", "{seen}");
        let degrees = seen["signals"]["heater.temperature"]["reported"].as_f64().unwrap();
        assert!((degrees - 25.0).abs() < 1e-6, "{}: {degrees} °C", d.id);
        let sent = wire.on_topic(topic);
        assert!(sent.iter().any(|(text, ..)| *text == payload), "{}: {payload} in {sent:?}", d.id);
    }
    // It stays so in what the devices report by themselves from then on.
    wire.listen(Duration::from_secs(3));
    for d in &DEVICES {
        assert_eq!(reported(d.id, "relay.level"), Some(1.0), "{}", d.id);
        assert!(
            d.heater.is_none()
                || reported(d.id, "heater.temperature").is_some_and(|v| (v - 25.0).abs() < 1e-6)
        );
        assert_eq!(twin(&mirror, d.id)["command"]["sent"], 1, "{}: told once", d.id);
    }
    assert_eq!(mirror.metric("commands_open"), 0.0);

    // What a device has not, or only measures, is refused, by itself or by what it declared.
    for (id, desired, why) in [
        ("plug", json!({ "NoSuch": 1 }), "Unknown"),
        ("hall", json!({ "linkquality": 1 }), "read and not be set"),
        ("attic", json!({ "binary_sensor/door": true }), "no command for this entity"),
        ("pump", json!({ "pump_relay": "sideways" }), "on (1) or off (0)"),
        ("oven", json!({ "no_such": 1 }), "no such metric"),
        ("shed", json!({ "a+b": 1 }), "no name of a field"),
    ] {
        desire(&mut operator, id, &desired);
        let seen = wait_for(&mirror, &mut wire, id, "refused");
        let reason = seen["command"]["reason"].as_str().unwrap_or_default();
        assert!(reason.contains(why), "{id}: {seen}");
    }
    assert_eq!(mirror.metric("commands_refused_total"), 6.0);
    let events = mirror.json("/api/v1/events").to_string();
    assert!(events.contains("command_done") && events.contains("command_refused"), "{events}");
    assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
}

/// A Tasmota plug that this test plays.
fn plug(command: &str) -> String {
    mirrored(&DEVICES[..1], command)
}

#[test]
fn one_that_is_away_is_told_when_it_is_back_and_one_that_never_answers_is_given_up() {
    let name = "commands to a device that is away or deaf through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::following(&plug(", command: (within: \"500ms\", tries: 3)"), &url, &[]);
    let mut device = connect(&url);
    let mut lwt = |payload: &[u8]| {
        device.publish("tele/plug/LWT", payload, 1, true).unwrap();
        while device.unacknowledged() > 0 {
            device.pump(Some(PATIENCE), |_| ()).unwrap();
        }
    };
    lwt(b"Offline");
    mirror.start_and_wait();
    let mut wire = Wire::on(&url);
    let mut operator = connect(&url);
    until("the plug to be known as gone", || twin(&mirror, "plug")["online"] == false);
    desire(&mut operator, "plug", &json!({ "relay.level": 1 }));
    let seen = wait_for(&mirror, &mut wire, "plug", "waiting");
    assert_eq!(seen["command"]["sent"], 0, "{seen}");
    wire.listen(Duration::from_secs(2));
    assert_eq!(wire.on_topic("cmnd/plug/POWER"), [], "it is not there");
    // A mirror that is killed meanwhile has not forgotten it.
    mirror.kill();
    mirror.start_and_wait();
    until("the command again", || standing(&mirror, "plug") == "waiting");
    wire.listen(Duration::from_secs(3));
    assert_eq!(wire.on_topic("cmnd/plug/POWER"), [], "it is not there");
    let events = mirror.json("/api/v1/events").to_string();
    assert_eq!(events.matches("\"offline\"").count(), 1, "what the broker keeps is told once: {events}");
    lwt(b"Online");
    let seen = wait_for(&mirror, &mut wire, "plug", "unanswered");
    let sent = wire.on_topic("cmnd/plug/POWER");
    assert!(
        !sent.is_empty() && sent.iter().all(|s| *s == ("1", 1, false) || *s == ("ON", 1, false)),
        "{sent:?}"
    );
    assert_eq!((sent.len(), &seen["command"]["sent"]), (3, &json!(3)), "{seen}");
    let at = |key: &str| calendar::unix_ns(seen["command"][key].as_str().unwrap()).unwrap() as f64 / 1e9;
    let apart_s = at("sent_at") - at("first_sent_at");
    assert!((1.4..4.0).contains(&apart_s), "0.5 s and then twice that: {apart_s}");
    assert!(seen["command"]["reason"].as_str().unwrap().contains("3 times"), "{seen}");
    assert_eq!(mirror.metric("commands_unanswered_total"), 1.0);
    assert!(mirror.json("/api/v1/events").to_string().contains("command_unanswered"));
    // Late is better than never.
    publish(&mut operator, "stat/plug/POWER", "ON");
    wait_for(&mirror, &mut wire, "plug", "acknowledged");
    // Somebody at its button: that is no command.
    wire.heard.clear();
    publish(&mut operator, "stat/plug/POWER", "OFF");
    until("it to be off", || twin(&mirror, "plug")["signals"]["relay.level"]["reported"] == 0.0);
    assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
    mirror.start_and_wait();
    wire.listen(Duration::from_secs(4));
    assert_eq!(wire.on_topic("cmnd/plug/POWER"), [], "a restart flips no switch");
}

#[test]
fn a_command_without_a_topic_needs_a_dialect_that_has_commands() {
    let dir = scratch();
    let path = dir.path().join("bad.ron");
    for (from, to, says) in [
        ("name: \"tasmota\"", "name: \"senml\"", "no dialect that has commands"),
        ("tries: 3", "tries: 0", "told once at least"),
        ("within: \"1s\"", "within: \"0s\"", "more than 0 s"),
    ] {
        let text = plug(", command: (within: \"1s\", tries: 3)");
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let ran = command(&["check", path.to_str().unwrap()]);
        let said = ran.stdout() + &ran.stderr();
        assert!(ran.code() == 2 && said.contains(says) && said.contains("bad.ron:"), "{to}: {said}");
    }
}
