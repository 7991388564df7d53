//! `twinfleet load`: what it tells of a broker, and of itself.

mod again;
mod brokers;
mod commands;
mod itself;
mod judged;
mod judges;
mod known;
mod lasts;
mod liar;
mod newcomer;
mod nothing;
mod ours;
mod refused;
mod restart;
mod rivals;
mod rogue;
mod secure;
mod sink;
mod slurm;
mod sources;
mod spread;
mod standstill;
mod starts;
mod strangers;

use super::common::{command, scratch, twinfleet_command};
use liar::{Liar, Lie, Lies};
use serde_json::Value;
use sink::NullSink;
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use twinfleet_tests::{Mosquitto, Process, twinfleet, until};

/// What a test bears that is not about the generator itself: other tests run beside it.
const PATIENT: &str = "load.limits=(lag: \"10s\", cpu: 2, waited_for_cpu: 2)";

/// Writes a scenario with this `load:` section.
fn scenario(dir: &Path, name: &str, load: &str) -> String {
    let path = dir.join(name);
    let text = format!("Scenario(format: 1, seed: 3, duration: \"10s\", load: ({load}))");
    std::fs::write(&path, text).expect("a scenario");
    path.display().to_string()
}

/// A row of the table of times.
fn row<'a>(result: &'a Value, of: &str, qos: u64) -> &'a Value {
    let rows = result["times"].as_array().expect("times");
    let fits = |r: &&Value| r["of"] == of && r["qos"] == qos && r["stage"].is_null();
    rows.iter().find(fits).unwrap_or_else(|| panic!("no {of} at QoS {qos}: {rows:?}"))
}

fn ms(row: &Value, key: &str) -> f64 {
    row[key].as_f64().expect("a number")
}

/// How many a finding of this kind counts, as breaches and as what is allowed.
fn found(result: &Value, what: &str) -> (u64, u64) {
    let rows = result["verdict"]["findings"].as_array().expect("findings");
    let sum = |breach: bool| {
        let fits = |f: &&Value| f["what"] == what && f["breach"] == breach;
        rows.iter().filter(fits).filter_map(|f| f["count"].as_u64()).sum()
    };
    (sum(true), sum(false))
}

/// Runs a load to its end as two shards that begin together so many seconds from now; the folders of their parts.
fn two_shards(dir: &Path, file: &str, url: &str, in_s: i64) -> [String; 2] {
    let parts = ["0", "1"].map(|name| dir.join(name).display().to_string());
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + in_s).to_string();
    let shards: Vec<_> = parts
        .iter()
        .enumerate()
        .map(|(i, part)| {
            let shard = format!("{i}/2");
            let args =
                ["load", file, "--broker", url, "--shard", &shard, "--start-at", &start, "--set", PATIENT];
            let mut command = twinfleet_command();
            command.args(args).args(["--quiet", "--out", part]).spawn().expect("a shard")
        })
        .collect();
    for mut shard in shards {
        assert_eq!(shard.wait().expect("it ends").code(), Some(0));
    }
    parts
}

#[test]
fn a_good_broker_keeps_every_promise() {
    let dir = scratch();
    let report = dir.path().join("report");
    let mosquitto = Mosquitto::start("a_good_broker_keeps_every_promise");
    let mut urls = vec!["embedded".to_owned()];
    urls.extend(mosquitto.as_ref().map(|m| format!("mqtt://{}", m.addr)));
    for url in urls {
        for protocol in ["V311", "V5"] {
            if url == "embedded" && protocol == "V5" {
                continue;
            }
            let set = format!("load.protocol={protocol}");
            let page = report.to_str().expect("text");
            let ran = command(&[
                "load",
                "load-smoke",
                "--broker",
                &url,
                "--set",
                &set,
                "--set",
                PATIENT,
                "--report",
                page,
                "--quiet",
            ]);
            assert_eq!(ran.code(), 0, "{url} {protocol}: {}\n{}", ran.stdout(), ran.stderr());
            let result = ran.json();
            let verdict = &result["verdict"];
            assert!(verdict["sent"].as_u64() > Some(1_000), "{verdict}");
            assert_eq!(verdict["received"], verdict["expected"], "{verdict}");
            assert_eq!(verdict["breaches"], 0);
            for qos in 0..=2 {
                assert!(row(&result, "latency", qos)["count"].as_u64() > Some(0));
            }
            let junit = std::fs::read_to_string(report.join("junit.xml")).expect("junit.xml");
            assert!(
                junit.contains("failures=\"0\"") && junit.contains("the load generator is not the limit")
            );
            let html = std::fs::read_to_string(report.join("report.html")).expect("report.html");
            assert!(html.contains("latency from the intended instant") && html.contains("</html>"));
        }
    }
}

#[test]
fn a_broker_that_lies_is_caught_message_by_message() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 6, topic: "t/{device}", qos: QOS, schedule: Constant("10ms"), in_flight: 50)],
        subscribers: [(id: "s", filter: "t/#", qos: QOS)],
        stages: [Hold(for: "800ms")], drain: "1s""#;
    for qos in 0..=2u64 {
        let file = scenario(dir.path(), "lies.ron", &load.replace("QOS", &qos.to_string()));
        let lies: Lies = [
            ((0, 5), Lie::Drop),
            ((0, 20), Lie::Drop),
            ((1, 7), Lie::Repeat),
            ((2, 9), Lie::Swap),
            ((3, 11), Lie::Alter),
            ((4, 13), Lie::Invent),
        ]
        .into();
        let liar = Liar::start(lies);
        let ran = command(&[
            "load",
            &file,
            "--broker",
            &format!("mqtt://{}", liar.addr),
            "--set",
            PATIENT,
            "--quiet",
        ]);
        let result = ran.json();
        assert_eq!(ran.code(), 1, "QoS {qos}: {result}\n{}", ran.stderr());
        let mut found: Vec<(String, String, String, bool)> = result["verdict"]["findings"]
            .as_array()
            .expect("findings")
            .iter()
            .map(|f| {
                let text = |key: &str| f[key].as_str().expect("text").to_owned();
                (text("device"), text("what"), text("which"), f["breach"].as_bool().expect("a flag"))
            })
            .collect();
        found.sort();
        let of = |device: &str, what: &str, which: &str, breach| {
            (device.to_owned(), what.to_owned(), which.to_owned(), breach)
        };
        // Loss at QoS 0 and a duplicate at QoS 1 are what MQTT allows; they are named all the same.
        let wanted = [
            of("d-0", "lost", "5, 20", qos > 0),
            of("d-1", "duplicated", "7", qos != 1),
            of("d-2", "reordered", "9", true),
            of("d-3", "altered", "11", true),
            of("d-4", "invented", "1000013", true),
        ];
        assert_eq!(found, wanted, "QoS {qos}");
    }
}

#[test]
fn a_stalled_broker_shows_in_the_latency_and_not_in_the_service_time() {
    let test = "a_stalled_broker_shows_in_the_latency_and_not_in_the_service_time";
    // What is caught up in a burst must not overflow the queue of a thousand that mosquitto has by itself: that is another test.
    let Some(mosquitto) =
        Mosquitto::start_with(test, |_| "allow_anonymous true\nmax_queued_messages 0\n".to_owned())
    else {
        return;
    };
    let dir = scratch();
    // One message in flight, as small clients have it: what is due in the stall is sent behind it.
    let load = r#"
        devices: [(id: "d-{}", count: 20, topic: "t/{device}", qos: 1, schedule: Constant("20ms"), in_flight: 1)],
        subscribers: [(id: "s", filter: "t/#", qos: 1)],
        stages: [Hold(for: "6s")], drain: "8s""#;
    let file = scenario(dir.path(), "stall.ron", load);
    let url = format!("mqtt://{}", mosquitto.addr);
    let child = twinfleet_command()
        .args(["--json", "load", &file, "--broker", &url, "--set", PATIENT])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    std::thread::sleep(Duration::from_millis(2_000));
    let signal = |name: &str| {
        let pid = mosquitto.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    };
    signal("-STOP");
    std::thread::sleep(Duration::from_millis(2_000));
    signal("-CONT");
    let output = child.wait_with_output().expect("it ends");
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    // A third of the messages were meant for the stall of S = 2 s out of T = 6 s, and wait for what is left of it: the
    // latency exceeds x with probability (S − x)/T. So the q-quantile is S − (1 − q)·T. (Catching up takes a little.)
    let latency = row(&result, "latency", 1);
    for (key, q) in [("p90_ms", 0.9), ("p99_ms", 0.99)] {
        let closed = 2_000.0 - (1.0 - q) * 6_000.0;
        let measured = ms(latency, key);
        assert!((measured - closed).abs() < 200.0, "{key}: {measured} against {closed}\n{result}");
    }
    assert!(ms(latency, "p50_ms") < 100.0, "{latency}");
    // Twenty messages of some six thousand were on their way when the broker stopped.
    let service = row(&result, "service time", 1);
    assert!(ms(service, "p99_ms") < 200.0, "{service}");
    assert!(ms(service, "max_ms") > 1_700.0, "{service}");
    // What was held back is the publish delay.
    let delay = row(&result, "publish delay", 1);
    assert!((ms(delay, "p99_ms") - 1_940.0).abs() < 200.0, "{delay}");
}

const BUSY: &str = r#"
    devices: [(id: "d-{}", count: 300, topic: "t/{device}", qos: 0, schedule: Constant("100ms"))],
    stages: [Hold(for: "1s")], drain: "100ms""#;

/// Runs a shell line that ends with the command; its exit code and standard error.
fn shell(line: &str) -> (i32, String) {
    let line = line.replace("TWINFLEET", &format!("'{}'", twinfleet().display()));
    let output = Command::new("bash").args(["-c", &line]).output().expect("bash");
    (output.status.code().expect("ended by itself"), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_intended_trace_is_the_same_for_any_workers_and_shards() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let broker =
        twinfleet_twins::wire::broker::Broker::start(Default::default()).expect("the embedded broker");
    let url = format!("mqtt://{}", broker.addr());
    let run = |name: &str, more: &[&str]| {
        let path = at(name);
        let args =
            [&["load", "load-smoke", "--broker", &url, "--trace", &path, "--set", PATIENT, "--quiet"], more]
                .concat();
        let ran = command(&args);
        assert!(ran.code() <= 1, "{}\n{}", ran.stdout(), ran.stderr());
        std::fs::read_to_string(&path).expect("a trace")
    };
    let planned = run("plan", &["--dry-run"]);
    assert!(planned.lines().count() > 1_000);
    assert_eq!(run("one", &["--workers", "1"]), planned, "one worker");
    assert_eq!(run("three", &["--workers", "3"]), planned, "three workers");
    let start = || (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 3).to_string();
    let halves = [
        run("a", &["--shard", "0/2", "--workers", "2", "--start-at", &start()]),
        run("b", &["--shard", "1/2", "--start-at", &start()]),
    ];
    let mut joined: Vec<&str> = halves.iter().flat_map(|h| h.lines()).collect();
    let number =
        |line: &&str| -> Vec<i64> { line.split(' ').map(|n| n.parse().expect("a number")).collect() };
    joined.sort_by_key(number);
    assert_eq!(joined, planned.lines().collect::<Vec<_>>(), "two shards");
    assert_ne!(run("other", &["--dry-run", "--seed", "7"]), planned, "another seed");
}

#[test]
fn two_shards_merge_into_the_whole() {
    let test = "two_shards_merge_into_the_whole";
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let url = format!("mqtt://{}", mosquitto.addr);
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 2).to_string();
    let shard = |i: u32| {
        let mut command = twinfleet_command();
        // As Kubernetes and Slurm tell it.
        command.env_remove("JOB_COMPLETION_INDEX").env_remove("SLURM_ARRAY_TASK_ID");
        match i {
            0 => command.env("JOB_COMPLETION_INDEX", "0"),
            _ => command.env("SLURM_ARRAY_TASK_ID", "1"),
        };
        let args = [
            "load",
            "load-smoke",
            "--broker",
            &url,
            "--shard",
            "auto/2",
            "--start-at",
            &start,
            "--set",
            PATIENT,
            "--quiet",
        ];
        command
            .args(args)
            .args(["--out", &at(&i.to_string())])
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shard")
    };
    let shards = [shard(0), shard(1)];
    for shard in shards {
        let output = shard.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let alone = command(&["merge", &at("0"), "--out", &at("half")]);
    assert_eq!(alone.code(), 2, "{}", alone.stdout());
    assert!(alone.stderr().contains("shard 1/2 is missing"), "{}", alone.stderr());
    let merged = command(&["merge", &at("1"), &at("0"), "--out", &at("all")]);
    assert_eq!(merged.code(), 0, "{}\n{}", merged.stdout(), merged.stderr());
    let (whole, plan) = (merged.json(), command(&["load", "load-smoke", "--dry-run"]).json());
    assert_eq!(whole["verdict"]["sent"], plan["messages"]);
    assert_eq!(whole["verdict"]["received"], whole["verdict"]["expected"]);
    // Histograms are added, not averaged: all deliveries are in them.
    let counted: u64 = (0..=2).filter_map(|q| row(&whole, "latency", q)["count"].as_u64()).sum();
    assert_eq!(Some(counted), whole["verdict"]["received"].as_u64());
    // What connecting took is that of the slowest, and memory is that of all.
    let of = |name: &str, key: &str| {
        let part = std::fs::read(dir.path().join(name).join("load.json")).expect("a part");
        serde_json::from_slice::<Value>(&part)
            .expect("JSON")
            .pointer(key)
            .and_then(Value::as_f64)
            .expect("a number")
    };
    let (connect, memory) = (|name| of(name, "/connect_s"), |name| of(name, "/memory/all"));
    let slowest_s = connect("0").max(connect("1"));
    assert!(whole["connect_s"].as_f64().is_some_and(|s| (s - slowest_s).abs() < 1e-9), "{whole}");
    assert_eq!(whole["memory_bytes"].as_f64(), Some(memory("0") + memory("1")), "{whole}");
    assert!(memory("0") > 0.0 && connect("0") > 0.0, "{whole}");
    assert!(dir.path().join("all/report.html").exists());
}

#[test]
fn a_bad_day_breaks_no_promise_of_a_good_broker() {
    let Some(mosquitto) = Mosquitto::start_with("a_bad_day_breaks_no_promise_of_a_good_broker", |_| {
        "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\n".to_owned()
    }) else {
        return;
    };
    let ran = command(&[
        "load",
        "load-faults",
        "--broker",
        &format!("mqtt://{}", mosquitto.addr),
        "--set",
        PATIENT,
        "--quiet",
    ]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let counters = &ran.json()["counters"];
    let n = |key: &str| counters[key].as_u64().expect("a number");
    assert!(n("cut") > 20 && n("reconnected") >= n("cut"), "{counters}");
    assert!(n("wills_owed") > 0 && n("wills") >= n("wills_owed"), "{counters}");
    assert_eq!((n("strangers_closed"), n("sessions_lost")), (6, 0), "{counters}");
    assert!(n("taken_over") >= 4, "{counters}");
}

#[test]
fn live_figures_are_served() {
    use std::io::{Read, Write};
    let dir = scratch();
    let file = scenario(dir.path(), "live.ron", &BUSY.replace("1s", "3s"));
    let at = format!("127.0.0.1:{}", twinfleet_tests::free_port());
    let child = twinfleet_command()
        .args(["load", &file, "--prometheus", &at, "--quiet"])
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    let _child = Process(child);
    let ask = |method: &str| {
        let mut stream = std::net::TcpStream::connect(&at).ok()?;
        let mut page = String::new();
        stream.write_all(format!("{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).ok()?;
        stream.read_to_string(&mut page).ok().map(|_| page)
    };
    until("figures of messages sent", || {
        let (Some(page), Some(head)) = (ask("GET"), ask("HEAD")) else { return false };
        let sent = page.lines().find_map(|l| l.strip_prefix("twinfleet_load_sent_total "));
        sent.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 100)
            && page.contains("twinfleet_load_latency_seconds_bucket{le=\"+Inf\"} 0")
            && page.contains("twinfleet_load_lag_seconds_max 0.")
            && page.contains("twinfleet_load_missing 0")
            && page.contains("twinfleet_load_breaches_total 0")
            && head.starts_with("HTTP/1.1 200")
            && head.ends_with("\r\n\r\n")
    });
}

#[test]
fn a_shared_subscription_gets_each_message_once() {
    let test = "a_shared_subscription_gets_each_message_once";
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 10, topic: "t/{device}", qos: 1, schedule: Constant("10ms"))],
        subscribers: [(id: "w-{}", count: 3, filter: "t/#", qos: 1, share: "workers")],
        stages: [Hold(for: "1s")], thresholds: [AtMost(of: Lost, bound: 0), AtMost(of: Duplicated, bound: 0)]"#;
    let file = scenario(dir.path(), "shared.ron", load);
    let ran = command(&[
        "load",
        &file,
        "--broker",
        &format!("mqtt://{}", mosquitto.addr),
        "--set",
        PATIENT,
        "--quiet",
    ]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let verdict = &ran.json()["verdict"];
    assert_eq!((&verdict["expected"], &verdict["received"]), (&1000.into(), &1000.into()), "{verdict}");
    // The embedded broker shares nothing: the oracle says so.
    let alone = command(&["load", &file, "--set", PATIENT, "--quiet"]);
    assert_eq!(alone.code(), 1, "{}", alone.stdout());
}

#[test]
fn firmware_is_a_load() {
    let dir = scratch();
    let text = r#"Scenario(format: 1, seed: 3, duration: "4s", step: "100ms",
        fleet: [(id: "node-{}", count: 20, thing: "esp32-weather-node", firmware: (
            period: "500ms", awake: "100ms", publish: [(topic: "n/{device}", qos: 1)]))],
        load: (
            devices: [(id: "node-{}", count: 20, schedule: Firmware(fleet: "node-{}"))],
            subscribers: [(id: "s", filter: "n/#", qos: 1)],
            stages: [Hold(for: "4s")], thresholds: [AtMost(of: Lost, bound: 0)]))"#;
    let path = dir.path().join("firmware.ron");
    std::fs::write(&path, text).expect("a scenario");
    let trace = |workers: &str| {
        let out = dir.path().join(workers).display().to_string();
        let file = path.display().to_string();
        let args = [
            "load",
            &file,
            "--workers",
            workers,
            "--trace",
            &out,
            "--set",
            PATIENT,
            "--prefix",
            "lab",
            "--quiet",
        ];
        let ran = command(&args);
        assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
        assert_eq!(ran.json()["verdict"]["received"], ran.json()["verdict"]["expected"]);
        std::fs::read_to_string(&out).expect("a trace")
    };
    // What would be sent is known without a broker.
    let dry = dir.path().join("dry").display().to_string();
    let file = path.display().to_string();
    let planned = command(&["load", &file, "--dry-run", "--trace", &dry]);
    assert_eq!(planned.code(), 0, "{}", planned.stderr());
    let one = trace("1");
    assert_eq!(std::fs::read_to_string(&dry).expect("a trace"), one);
    assert_eq!(planned.json()["messages"].as_u64(), Some(one.lines().count() as u64));
    // Twenty nodes, eight times in four seconds, less those whose first wake is late.
    assert!((120..=180).contains(&one.lines().count()), "{}", one.lines().count());
    assert_eq!(one, trace("2"));
}
