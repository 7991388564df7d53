//! `twinfleet mirror` as its user meets it: a device on a broker, the twin on the status page, published back, kept.

use super::common::{Ran, command, scratch, twinfleet_command};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use twinfleet_tests::{Mosquitto, Nats, PATIENCE, Process, free_port, python, tool, until};
use twinfleet_twins::wire::{
    client::{ConnectOptions, Connection, Version},
    url::BrokerChoice,
};

/// A box that cools, measured by one thermometer: the thing of these tests.
const COOLING: &str = r#"(name: "cooling", source: "this test", dynamics: (
    parameters: {"c": (value: 100.0), "g": (value: 1.0), "room": (value: 20.0)},
    boundaries: [(name: "room", at: Parameter("room"))],
    storages: [(name: "box", capacity: "c", noise_k_per_sqrt_s: 0.01)],
    conductances: [(between: ("box", "room"), value: "g")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)]))"#;

/// A mirror of real devices, in a folder of its own, with its status page.
pub struct Mirror {
    pub dir: TempDir,
    pub status: SocketAddr,
    scenario: PathBuf,
    args: Vec<String>,
    /// Whether a file that may not grow is an error to it rather than its end.
    pub outlives_limits: bool,
    process: Option<Process>,
}

impl Mirror {
    /// For twins `d0`, `d1`, … on `fleet/{device}/state`, on this broker, not yet started.
    pub fn of(twins: usize, broker: &str, args: &[&str]) -> Self {
        let mirrors: String = (0..twins)
            .map(|i| {
                format!(
                    "(twin: \"d{i}\", thing: \"cooling\", bind: [(topic: \"fleet/{{device}}/state\")], forecast: (horizons: [\"60s\"]),\n\
                     command: (topic: \"fleet/{{device}}/set\", within: \"2s\")),\n"
                )
            })
            .collect();
        let text =
            format!("Scenario(format: 1, duration: \"1h\", mirror: [{mirrors}], things: [{COOLING}])\n");
        Self::following(&text, broker, args)
    }

    /// Of the twins of a scenario with this text, likewise.
    pub fn following(text: &str, broker: &str, args: &[&str]) -> Self {
        let dir = scratch();
        let scenario = dir.path().join("fleet.ron");
        std::fs::write(&scenario, text).unwrap();
        let status = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut all = vec!["--broker".to_owned(), broker.to_owned()];
        all.extend(args.iter().map(|a| (*a).to_owned()));
        Self { dir, status, scenario, args: all, outlives_limits: false, process: None }
    }

    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub fn command(&self) -> Command {
        let mut command = twinfleet_command();
        command.arg("--json").arg("mirror").arg(&self.scenario).args(&self.args);
        command.arg("--store").arg(self.store()).args(["--status", &self.status.to_string()]);
        command
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Starts it; what it says is appended to a file.
    pub fn start(&mut self) {
        let mut command = self.command();
        if self.outlives_limits {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
            shell.arg(command.get_program()).args(command.get_args());
            shell.current_dir(twinfleet_tests::root());
            command = shell;
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let errors = log.try_clone().unwrap();
        self.process = Some(Process(command.stdout(log).stderr(errors).spawn().unwrap()));
    }

    /// Starts it and waits until it answers.
    pub fn start_and_wait(&mut self) {
        self.start();
        until("the mirror to be well", || self.get("/healthz").is_some_and(|(code, _)| code == 200));
    }

    /// All that it said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().0.id()
    }

    /// Sends it SIGTERM; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut process = self.process.take().unwrap();
        terminate(process.0.id());
        until("the mirror to stop", || process.0.try_wait().unwrap().is_some());
        process.0.wait().unwrap().code()
    }

    /// What it answers to GET.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http(self.status, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    pub fn json(&self, path: &str) -> Value {
        let (code, body) = self.get(path).unwrap_or_else(|| panic!("no answer: {}", self.said()));
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A figure of its metrics; one that is too busy to say is asked again.
    pub fn metric(&self, name: &str) -> f64 {
        let mut text = String::new();
        until("figures of the mirror", || {
            let Some((code, body)) = self.get("/metrics") else { return false };
            text = body;
            code != 503
        });
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("twinfleet_{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }
}

/// Sends SIGTERM.
pub fn terminate(pid: u32) {
    assert!(Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap().success());
}

pub fn http(at: SocketAddr, request: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}

pub fn url_of(mosquitto: &Mosquitto) -> String {
    format!("mqtt://{}", mosquitto.addr)
}

pub fn connect(url: &str) -> Connection {
    let Ok(BrokerChoice::Url(url)) = url.parse() else { panic!("{url} is no broker") };
    Connection::connect(&ConnectOptions::to(url)).unwrap()
}

/// Publishes and waits until the broker has it.
pub fn publish(connection: &mut Connection, topic: &str, payload: &str) {
    connection.publish(topic, payload.as_bytes(), 1, false).unwrap();
    while connection.unacknowledged() > 0 {
        connection.pump(Some(PATIENCE), |_| ()).unwrap();
    }
}

fn check_input(args: &[&str], want: &[&str]) {
    let ran: Ran = command(args);
    assert_eq!(ran.code(), 2, "{args:?}: {}", ran.stderr());
    for part in want {
        assert!(ran.stderr().contains(part), "{args:?} does not say `{part}`: {}", ran.stderr());
    }
}

#[test]
fn bad_flags_are_refused_before_anything_is_made() {
    let dir = scratch();
    let store = dir.path().join("store");
    let to = store.to_str().unwrap();
    let base = |broker: &'static str| ["mirror", "pi3b-mirror", "--store", to, "--broker", broker];
    check_input(&base("embedded"), &["mqtt://localhost"]);
    check_input(&base("mqtt://u:geheim@h:x"), &["the port"]);
    check_input(&["mirror", "greenhouse-no", "--store", to, "--broker", "mqtt://h"], &["there is no file"]);
    check_input(&["mirror", "parcel-drop", "--store", to, "--broker", "mqtt://h"], &["no `mirror` section"]);
    let with = |more: &[&'static str]| [&base("mqtt://h")[..], more].concat();
    check_input(&with(&["--status", "nowhere"]), &["ADDRESS:PORT"]);
    check_input(&with(&["--password-file", "/no/such/file"]), &["cannot read the password"]);
    check_input(&with(&["--cert", "a.pem"]), &["--key"]);
    check_input(&with(&["--qos", "3"]), &["--qos"]);
    let ran = command(&base("mqtt://127.0.0.1:1"));
    assert_eq!(ran.code(), 3, "{}", ran.stderr());
    let ran = command(&["mirror", "pi3b-mirror", "--store", to, "--broker", "mqtt://u:geheim@127.0.0.1:1"]);
    assert!(!ran.stderr().contains("geheim") && !ran.stdout().contains("geheim"), "{}", ran.stderr());
}

#[test]
fn the_second_of_two_commands_wanted_a_store() {
    let dir = scratch();
    let house = dir.path().join("house.ron");
    let twin = "(twin: \"d\", thing: \"t\", bind: [(topic: \"d\", decode: Dialect(name: \"tasmota\"))])";
    let thing =
        "(name: \"t\", source: \"this test\", signals: [(signal: \"am2301.temperature\", unit: \"degC\")])";
    let text = format!("Scenario(format: 1, duration: \"1h\", mirror: [{twin}], things: [{thing}])");
    std::fs::write(&house, text).unwrap();
    let ran = command(&["mirror", house.to_str().unwrap(), "--broker", "mqtt://127.0.0.1:1"]);
    assert_eq!(ran.code(), 3, "nobody listens there: {}", ran.stderr());
    assert!(dir.path().join("house.store").is_dir(), "{}", ran.stderr());
}

#[test]
fn a_pi_published_by_replay_is_followed_kept_and_shown() {
    let name = "a mirror of a replayed Pi through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let dir = scratch();
    let status = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let url = url_of(&mosquitto);
    let mut mirror = twinfleet_command();
    mirror.args([
        "mirror",
        "pi3b-mirror",
        "--broker",
        &url,
        "--publish-every",
        "200ms",
        "--quiet",
        "--status",
    ]);
    mirror.arg(status.to_string()).arg("--store").arg(dir.path().join("store"));
    let _mirror = Process(mirror.stdout(Stdio::null()).spawn().unwrap());
    let get = |path: &str| http(status, &format!("GET {path} HTTP/1.1\r\n\r\n"));
    until("the mirror to be well", || get("/healthz").is_some_and(|(code, _)| code == 200));
    let mut replay = twinfleet_command();
    replay.args(["replay", "pi3b-mirror", "--broker", &url, "--speed", "20x", "--quiet"]);
    let _replay = Process(replay.stdout(Stdio::null()).spawn().unwrap());
    let twin = || -> Value {
        get("/api/v1/twins/pi-1").map_or(Value::Null, |(_, body)| serde_json::from_str(&body).unwrap())
    };
    until("forecasts", || twin()["messages"]["taken"].as_u64().is_some_and(|n| n > 60));
    let seen = twin();
    let signal = &seen["signals"]["soc.temperature"];
    let (reported, estimate) = (signal["reported"].as_f64().unwrap(), signal["estimate"].as_f64().unwrap());
    assert!((reported - estimate).abs() < 4.0, "{seen}");
    assert!(
        signal["forecast"]["60s"]["lower"].as_f64() < signal["forecast"]["60s"]["upper"].as_f64(),
        "{seen}"
    );
    assert_eq!(seen["shadow"]["state"]["reported"]["soc.temperature"].as_f64().unwrap(), reported);
    let (_, history) = get("/api/v1/twins/pi-1/history?signal=soc.temperature%40reported&limit=10").unwrap();
    let history: Value = serde_json::from_str(&history).unwrap();
    assert_eq!(history["rows"].as_array().unwrap().len(), 10, "{history}");
    let (code, page) = get("/").unwrap();
    assert!(code == 200 && page.contains("pi-1"), "{page}");
}

#[test]
fn the_status_server_is_read_only_and_takes_nonsense() {
    let name = "the status server of a mirror";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let mut mirror = Mirror::of(3, &url_of(&mosquitto), &[]);
    mirror.start_and_wait();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let (code, _) = http(mirror.status, &format!("{method} /api/v1/twins/d0 HTTP/1.1\r\n\r\n")).unwrap();
        assert_eq!(code, 405, "{method}");
    }
    for (path, code) in [
        ("/nothing", 404),
        ("/api/v1/twins/d9", 404),
        ("/api/v1/twins/d9/history", 404),
        ("/api/v1/twins/d0/history?signal=x", 404),
        ("/api/v1/twins/d0/history?from=yesterday", 400),
        ("/api/v1/twins?from=-1", 400),
        ("/api/v1/twins?from=99", 200),
        ("/api/v1/twins/%64%30", 200),
        ("/api/v1/twins/d0/history?from=9&to=3", 200),
        ("/api/v1/events?limit=99999999", 200),
        ("/api/v1/openapi.json", 200),
        ("/metrics", 200),
        ("/%ff%00", 404),
    ] {
        assert_eq!(mirror.get(path).map(|(c, _)| c), Some(code), "{path}");
    }
    assert_eq!(http(mirror.status, "nonsense\r\n\r\n").unwrap().0, 400);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    assert!(http(mirror.status, &long).is_none_or(|(code, _)| code == 400));
    // Every path of the description is there.
    let described = mirror.json("/api/v1/openapi.json");
    for path in described["paths"].as_object().unwrap().keys() {
        let path = path.replace("{id}", "d1");
        assert_eq!(mirror.get(&path).map(|(c, _)| c), Some(200), "{path}");
    }
    assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
    for line in mirror.said().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(line["time"].is_string() && line["level"].is_string() && line["event"].is_string(), "{line}");
    }
}

#[test]
fn desired_state_commands_the_device_until_it_reports() {
    let name = "desired and reported state through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::of(2, &url, &[]);
    mirror.start_and_wait();
    let (mut device, mut listener) = (connect(&url), connect(&url));
    listener
        .subscribe(&[("fleet/d0/set", 1), ("$aws/things/+/shadow/#", 1), ("homeassistant/#", 1)], PATIENCE)
        .unwrap();
    let mut heard: Vec<(String, Value)> = Vec::new();
    let mut wait_for = |device: &mut Connection, topic: &str| -> Value {
        let start = std::time::Instant::now();
        loop {
            if let Some(at) = heard.iter().position(|(t, _)| t == topic) {
                return heard.remove(at).1;
            }
            assert!(start.elapsed() < PATIENCE, "nothing on {topic}: {heard:?}");
            device
                .pump(Some(Duration::from_millis(50)), |m| {
                    let value = serde_json::from_slice(&m.payload).unwrap_or(Value::Null);
                    heard.push((m.topic().to_owned(), value));
                })
                .unwrap();
        }
    };
    publish(
        &mut device,
        "fleet/d0/state",
        r#"{"ts": 1000, "probe.temperature": 21.5, "fan": 0, "rssi": -61}"#,
    );
    let update = "$aws/things/d0/shadow/update";
    publish(&mut device, update, r#"{"state": {"desired": {"fan": 2}}, "clientToken": "a"}"#);
    let accepted = wait_for(&mut listener, &format!("{update}/accepted"));
    assert_eq!((&accepted["clientToken"], &accepted["version"]), (&"a".into(), &2.into()), "{accepted}");
    assert_eq!(wait_for(&mut listener, &format!("{update}/delta"))["state"]["fan"], 2);
    assert_eq!(wait_for(&mut listener, "fleet/d0/set"), serde_json::json!({"fan": 2}));
    publish(&mut device, update, r#"{"state": {"desired": {"fan": 3}}, "version": 1}"#);
    assert_eq!(wait_for(&mut listener, &format!("{update}/rejected"))["code"], 409);
    until("the command to be overdue", || mirror.json("/api/v1/twins/d0")["command"]["overdue"] == true);
    publish(&mut device, "fleet/d0/state", r#"{"ts": 2000, "probe.temperature": 21.4, "fan": 2}"#);
    until("the command to be done", || mirror.json("/api/v1/twins/d0")["command"]["done_at"].is_string());
    let twin = mirror.json("/api/v1/twins/d0");
    let state = &twin["shadow"]["state"];
    // What no signal is bound to is kept.
    assert_eq!((&state["reported"]["rssi"], &state["delta"]), (&(-61).into(), &Value::Null), "{twin}");
    assert!(mirror.json("/api/v1/twins/d1")["shadow"]["state"]["reported"].is_null());
    // Older news changes nothing, and presence is told.
    publish(&mut device, "fleet/d0/state", r#"{"ts": 1500, "probe.temperature": 30, "fan": 0}"#);
    publish(&mut device, "fleet/d0/state/status", "offline");
    until("the device to be gone", || mirror.json("/api/v1/twins/d0")["online"] == false);
    assert_eq!(mirror.json("/api/v1/twins/d0")["shadow"]["state"]["reported"]["fan"], 2);
    assert_eq!(mirror.metric("state_late_total"), 1.0);
    let config = wait_for(&mut listener, "homeassistant/device/twinfleet_d0/config");
    assert_eq!(config["cmps"]["problem"]["device_class"], "problem", "{config}");
    let events = mirror.json("/api/v1/events").to_string();
    for kind in ["command_overdue", "command_done", "offline"] {
        assert!(events.contains(kind), "{events}");
    }
}

#[test]
fn a_device_that_is_gone_is_published_as_gone() {
    let Some(mosquitto) = Mosquitto::start("presence published through mosquitto") else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::of(1, &url, &["--publish-every", "1s"]);
    mirror.start_and_wait();
    let (mut device, mut listener) = (connect(&url), connect(&url));
    listener.subscribe(&[("twinfleet/d0/state", 1)], PATIENCE).unwrap();
    publish(&mut device, "fleet/d0/state/status", "online");
    publish(&mut device, "fleet/d0/state", r#"{"ts": 1000, "probe.temperature": 21.5}"#);
    let mut state = Value::Null;
    let mut wait_for = |online: bool| {
        until("its presence to be published", || {
            listener
                .pump(Some(Duration::from_millis(50)), |m| {
                    state = serde_json::from_slice(&m.payload).unwrap()
                })
                .unwrap();
            state["online"] == online
        });
    };
    wait_for(true);
    publish(&mut device, "fleet/d0/state/status", "offline");
    wait_for(false);
    until("a page of history, which has a row at least", || {
        mirror.json("/api/v1/twins/d0/history?limit=0")["rows"].as_array().is_some_and(|rows| rows.len() == 1)
    });
}

#[test]
fn bombs_and_floods_are_counted_and_do_no_harm() {
    let name = "bombs and floods through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::of(2, &url, &[]);
    let mut device = connect(&url);
    for i in 0..2_000 {
        device.publish(&format!("fleet/x{i}/state"), b"{}", 1, true).unwrap();
    }
    device.publish("fleet/d0/state", &vec![b'['; 3_000_000], 1, true).unwrap();
    while device.unacknowledged() > 0 {
        device.pump(Some(PATIENCE), |_| ()).unwrap();
    }
    mirror.start_and_wait();
    let deep = format!("{{\"ts\":1,\"probe.temperature\":20,\"deep\":{}{}}}", "[".repeat(90), "]".repeat(90));
    let bomb = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for payload in
        [deep.as_bytes(), bomb.as_bytes(), b"\xff\xfe\x00", b"", b"null", b"{\"probe.temperature\":1e400}"]
    {
        device.publish("fleet/d0/state", payload, 1, false).unwrap();
    }
    for i in 0..2_000 {
        let unknown = format!("$aws/things/x{i}/shadow/get");
        device.publish(&unknown, b"", 1, false).unwrap();
        device.pump(None, |_| ()).unwrap();
        // mosquitto queues a thousand for a subscriber and drops the rest: the flood must not outrun the mirror by more.
        if i % 400 == 399 {
            while device.unacknowledged() > 0 {
                device.pump(Some(PATIENCE), |_| ()).unwrap();
            }
            until("the flood so far", || mirror.metric("shadow_unknown_total") >= f64::from(i + 1));
        }
    }
    let longest = format!("fleet/{}/state", "x".repeat(60_000));
    device.publish(&longest, b"{}", 1, false).unwrap();
    publish(&mut device, "fleet/d0/state", r#"{"ts": 2000, "probe.temperature": 20.5, "last": true}"#);
    until("the last message", || {
        mirror.json("/api/v1/twins/d0")["shadow"]["state"]["reported"]["last"] == true
    });
    assert_eq!(mirror.metric("messages_oversized_total"), 1.0, "{}", mirror.said());
    assert_eq!(mirror.metric("shadow_unknown_total"), 2_000.0);
    assert!(mirror.metric("state_malformed_total") >= 4.0 && mirror.metric("state_too_large_total") >= 1.0);
    let twin = mirror.json("/api/v1/twins/d0");
    assert_eq!(twin["signals"]["probe.temperature"]["reported"], 20.5, "{twin}");
    assert!(mirror.json("/api/v1/twins/d1")["shadow"]["state"]["reported"].is_null());
    assert_eq!(mirror.stop(), Some(0));
}

#[test]
fn a_full_disk_raises_an_alarm_and_the_mirror_goes_on() {
    let name = "a mirror on a full disk";
    let (Some(mosquitto), Some(prlimit)) = (Mosquitto::start(name), tool("prlimit", name)) else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::of(1, &url, &[]);
    mirror.outlives_limits = true;
    mirror.start_and_wait();
    let mut device = connect(&url);
    let say = |device: &mut Connection, n: u64| {
        publish(device, "fleet/d0/state", &format!(r#"{{"ts": {n}, "probe.temperature": 20, "n": {n}}}"#));
    };
    say(&mut device, 1);
    until("the first message", || mirror.metric("messages_total") >= 1.0);
    // A file that may not grow: to the mirror, a disk without room.
    let limit = |to: &str| {
        let set = Command::new(&prlimit)
            .args(["--pid", &mirror.pid().to_string(), &format!("--fsize={to}:")])
            .status();
        assert!(set.unwrap().success());
    };
    limit("4096");
    for n in 2..200 {
        say(&mut device, n);
    }
    until("the alarm", || {
        mirror.get("/healthz").is_some_and(|(code, body)| code == 503 && body.contains("\"store\":false"))
    });
    assert!(mirror.said().contains("\"level\":\"alarm\""), "{}", mirror.said());
    assert_eq!(mirror.metric("store_ok"), 0.0);
    limit("unlimited");
    until("room again", || mirror.get("/healthz").is_some_and(|(code, _)| code == 200));
    until("the last message", || mirror.json("/api/v1/twins/d0")["shadow"]["state"]["reported"]["n"] == 199);
    assert_eq!(mirror.stop(), Some(0));
    let store = twinfleet_twins::mirror::store::Store::open(&mirror.store()).unwrap();
    let kept = store.reader().messages(0, 1_000).unwrap();
    let mut numbers: Vec<u64> = kept
        .iter()
        .map(|(_, m)| serde_json::from_slice::<Value>(&m.payload).unwrap()["n"].as_u64().unwrap())
        .collect();
    numbers.dedup();
    assert_eq!(numbers, (1..200).collect::<Vec<_>>(), "a message was lost");
}

/// A device in Python, by paho-mqtt: publishes, and reads the twin that is published back.
const PAHO: &str = r#"
import json, sys, threading, time
import paho.mqtt.client as mqtt
port, version = int(sys.argv[1]), int(sys.argv[2])
args = dict(protocol=mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311)
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **args)
seen, there = {}, threading.Event()
def on_message(c, u, m):
    state = json.loads(m.payload)
    seen["state"] = state
    if state["signals"]["probe.temperature"].get("reported") == 23.25: there.set()
client.on_message = on_message
client.connect("127.0.0.1", port)
client.loop_start()
client.subscribe("twinfleet/d0/state", 1)
for k in range(30):
    body = {"ts": int(time.time() * 1000), "probe.temperature": 23.25, "k": k}
    client.publish("fleet/d0/state", json.dumps(body), 1).wait_for_publish(10)
    time.sleep(0.02)
assert there.wait(20), seen
client.loop_stop()
print(json.dumps(seen["state"]))
"#;

/// AWS's own shadow client over mutual TLS: sets desired, hears the delta, reports, reads; and meets a conflict.
const AWS: &str = r#"
import json, sys
from concurrent.futures import Future
from awscrt import mqtt as crt, io
from awsiot import iotshadow, mqtt_connection_builder
port, folder = int(sys.argv[1]), sys.argv[2]
bootstrap = io.ClientBootstrap.get_or_create_static_default()
connection = mqtt_connection_builder.mtls_from_path(
    endpoint="localhost", port=port, cert_filepath=folder + "/us.pem", pri_key_filepath=folder + "/us.key",
    ca_filepath=folder + "/ca.pem", client_bootstrap=bootstrap, client_id="lamp-app", clean_session=True, keep_alive_secs=30)
connection.connect().result(20)
client = iotshadow.IotShadowClient(connection)
Q = crt.QoS.AT_LEAST_ONCE
delta, accepted, rejected, got = [Future() for _ in range(4)]
once = lambda f: (lambda v: f.done() or f.set_result(v))
client.subscribe_to_shadow_delta_updated_events(iotshadow.ShadowDeltaUpdatedSubscriptionRequest("d0"), Q, once(delta))[0].result(20)
client.subscribe_to_update_shadow_accepted(iotshadow.UpdateShadowSubscriptionRequest("d0"), Q, once(accepted))[0].result(20)
client.subscribe_to_update_shadow_rejected(iotshadow.UpdateShadowSubscriptionRequest("d0"), Q, once(rejected))[0].result(20)
client.subscribe_to_get_shadow_accepted(iotshadow.GetShadowSubscriptionRequest("d0"), Q, once(got))[0].result(20)
state = lambda **k: iotshadow.ShadowState(**k)
update = lambda **k: client.publish_update_shadow(iotshadow.UpdateShadowRequest(thing_name="d0", **k), Q).result(20)
update(client_token="t1", state=state(desired={"fan": 2, "mode": {"eco": True}}, reported={"fan": 0}))
a, d = accepted.result(20), delta.result(20)
assert a.client_token == "t1" and a.version == 1, a
assert d.state == {"fan": 2, "mode": {"eco": True}} and d.version == 1, d
update(state=state(reported={"fan": 9}), version=77)
r = rejected.result(20)
assert r.code == 409 and r.message == "Version conflict", r
update(state=state(reported={"fan": 2, "mode": {"eco": True}}))
client.publish_get_shadow(iotshadow.GetShadowRequest("d0"), Q).result(20)
g = got.result(20)
assert g.state.reported == {"fan": 2, "mode": {"eco": True}} and g.state.desired == g.state.reported and not g.state.delta, g
assert g.version == 2, g.version
connection.disconnect().result(20)
print("agreed")
"#;

fn run_python(python: &Path, script: &str, args: &[&str]) -> String {
    let output = Command::new(python).args(["-c", script]).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn paho_publishes_a_device_and_reads_its_twin() {
    let name = "paho-mqtt as a device";
    let Some(python) = python("paho.mqtt.client", name) else { return };
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    for version in ["3", "5"] {
        let args = ["--publish-every", "100ms", "--mqtt", version];
        let mut mirror = Mirror::of(1, &url_of(&mosquitto), &args);
        mirror.start_and_wait();
        let state = run_python(&python, PAHO, &[&mosquitto.addr.port().to_string(), version]);
        let state: Value = serde_json::from_str(&state).unwrap();
        let signal = &state["signals"]["probe.temperature"];
        assert_eq!((&signal["reported"], &signal["unit"]), (&23.25.into(), &"degC".into()), "{state}");
        assert!((signal["estimate"].as_f64().unwrap() - 23.25).abs() < 1.0, "{state}");
        until("the last of them", || {
            mirror.json("/api/v1/twins/d0")["shadow"]["state"]["reported"]["k"] == 29
        });
        let twin = mirror.json("/api/v1/twins/d0");
        assert!(twin["clock"]["ahead_s"].as_f64().unwrap().abs() < 1.0, "{twin}");
        assert_eq!(mirror.stop(), Some(0));
    }
}

#[test]
fn awss_own_shadow_client_agrees_over_mutual_tls() {
    let name = "awsiotsdk's shadow client";
    let (Some(python), Some(openssl)) = (python("awsiot", name), tool("openssl", name)) else { return };
    let port = free_port();
    let mosquitto = Mosquitto::start_with(name, |dir| {
        crate::mqtt_secure::more_certificates(&openssl, dir);
        let d = dir.display();
        format!(
            "allow_anonymous true\nlistener {port} 127.0.0.1\ncafile {d}/ca.pem\ncertfile {d}/server.pem\nkeyfile {d}/server.key\nrequire_certificate true\n"
        )
    });
    let Some(mosquitto) = mosquitto else { return };
    let file = |name: &str| mosquitto.dir.path().join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("us.pem"), file("us.key"));
    let args = ["--ca-file", &ca, "--cert", &cert, "--key", &key, "--mqtt", "5"];
    let mut mirror = Mirror::of(1, &format!("mqtts://localhost:{port}"), &args);
    mirror.start_and_wait();
    let folder = mosquitto.dir.path().display().to_string();
    assert_eq!(run_python(&python, AWS, &[&port.to_string(), &folder]).trim(), "agreed");
    assert_eq!(mirror.json("/api/v1/twins/d0")["shadow"]["version"], 2);
}

#[test]
fn a_second_broker_serves_as_well() {
    let name = "a mirror on nats-server, over TCP and WebSocket";
    let Some(nats) = Nats::start(name, |_| String::new()) else { return };
    for url in [format!("mqtt://{}", nats.mqtt), format!("ws://{}/mqtt", nats.websocket)] {
        // NATS keeps no topics that begin with `$`, so no shadow service there.
        let mut mirror = Mirror::of(2, &url, &["--silent"]);
        mirror.start_and_wait();
        let mut device = connect(&format!("mqtt://{}", nats.mqtt));
        for k in 0..50 {
            publish(
                &mut device,
                "fleet/d1/state",
                &format!(r#"{{"ts": {}, "probe.temperature": 22.5, "k": {k}}}"#, 1000 * k),
            );
        }
        until("the last message", || {
            mirror.json("/api/v1/twins/d1")["shadow"]["state"]["reported"]["k"] == 49
        });
        assert_eq!(mirror.json("/api/v1/twins/d1")["messages"]["taken"], 50);
        assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
    }
}

#[test]
fn the_two_versions_of_mqtt_are_one_to_the_twins() {
    let name = "a mirror in MQTT 5 with mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::of(1, &url, &["--mqtt", "5", "--qos", "2"]);
    mirror.start_and_wait();
    let Ok(BrokerChoice::Url(to)) = url.parse() else { panic!() };
    let mut device =
        Connection::connect(&ConnectOptions { version: Version::V5, ..ConnectOptions::to(to) }).unwrap();
    for k in 0..300_i64 {
        let payload = format!(r#"{{"ts": {}, "probe.temperature": 22.5, "k": {k}}}"#, 1000 * k);
        while device.quota() == 0 {
            device.pump(Some(PATIENCE), |_| ()).unwrap();
        }
        device.publish("fleet/d0/state", payload.as_bytes(), 2, false).unwrap();
    }
    while device.unacknowledged() > 0 {
        device.pump(Some(PATIENCE), |_| ()).unwrap();
    }
    until("the last message", || mirror.json("/api/v1/twins/d0")["shadow"]["state"]["reported"]["k"] == 299);
    assert_eq!(mirror.json("/api/v1/twins/d0")["messages"]["taken"], 300);
}
