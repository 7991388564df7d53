//! `twinfleet load`: what it tells of a broker, and of itself.

mod again;
mod brokers;
mod itself;
mod judged;
mod judges;
mod known;
mod lasts;
mod liar;
mod newcomer;
mod nothing;
mod ours;
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
fn too_few_file_descriptors_are_the_generators_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "fd.ron", BUSY);
    let (code, said) =
        shell(&format!("ulimit -n 256; exec TWINFLEET load {file} --broker mqtt://{}", sink.addr));
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("file descriptors") && said.contains("ulimit -n"), "{said}");
}

#[test]
fn exhausted_ports_are_the_generators_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "ports.ron", BUSY);
    // Known before: the range is too small.
    let broker = format!("mqtt://{}", sink.addr);
    let small =
        ["load", &file, "--broker", &broker, "--source", "127.0.0.2-127.0.0.3:41000-41009", "--quiet"];
    let ran = command(&small);
    assert_eq!(ran.code(), 4, "{}", ran.stderr());
    assert!(ran.stderr().contains("ports") && ran.stderr().contains("--source"), "{}", ran.stderr());
    assert_eq!(ran.json()["accusations"][0]["of"], "ports");
    // Found out on the way: somebody listens on one of them.
    let taken = std::net::TcpListener::bind("127.0.0.4:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let source = format!("127.0.0.4:{port}");
    let one = [
        "load",
        &file,
        "--broker",
        &broker,
        "--set",
        "load.devices[0].count=1",
        "--source",
        &source,
        "--quiet",
    ];
    let ran = command(&one);
    assert_eq!(ran.code(), 4, "{}", ran.stderr());
    assert!(ran.stderr().contains("no local port"), "{}", ran.stderr());
}

#[test]
fn too_little_memory_is_the_generators_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "memory.ron", BUSY);
    let more = "--set load.devices[0].count=15000 --source 127.0.0.2-127.0.0.9";
    let limit = "ulimit -v 120000";
    let (code, said) =
        shell(&format!("{limit}; exec TWINFLEET load {file} {more} --broker mqtt://{}", sink.addr));
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("MiB") && said.contains("ulimit -v"), "{said}");
}

#[test]
fn a_machine_that_others_use_up_is_no_place_to_measure() {
    let test = "a_machine_that_others_use_up_is_no_place_to_measure";
    let Some(taskset) = twinfleet_tests::tool("taskset", test) else { return };
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "busy.ron", &BUSY.replace("1s", "2s"));
    // Three loops on the one core that the generator may use.
    let spin = |_| {
        let child = Command::new(&taskset).args(["-c", "0", "sh", "-c", "while :; do :; done"]).spawn();
        Process(child.expect("a loop"))
    };
    let _spinning: Vec<Process> = (0..3).map(spin).collect();
    let line = format!("exec taskset -c 0 TWINFLEET load {file} --rate 40 --broker mqtt://{}", sink.addr);
    let (code, said) = shell(&line);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("core that others had") || said.contains("late by the generator"), "{said}");
}

#[test]
fn more_than_the_generator_can_do_is_its_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "cpu.ron", BUSY);
    let broker = format!("mqtt://{}", sink.addr);
    // 30 million messages a second.
    let ran = command(&["load", &file, "--broker", &broker, "--rate", "10000", "--quiet"]);
    assert_eq!(ran.code(), 4, "{}", ran.stderr());
    let of: Vec<&str> = ran.json()["accusations"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|a| a["of"].as_str())
        .map(|s| match s {
            "cpu" => "cpu",
            "scheduler_lag" => "scheduler_lag",
            "busy_machine" => "busy_machine",
            _ => "other",
        })
        .collect();
    assert!(of.contains(&"cpu") || of.contains(&"scheduler_lag") || of.contains(&"busy_machine"), "{of:?}");
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
fn bad_input_is_refused_with_its_place() {
    let dir = scratch();
    let bad = |load: &str, wanted: &str| {
        let file = scenario(dir.path(), "bad.ron", load);
        let ran = command(&["load", &file, "--quiet"]);
        assert_eq!(ran.code(), 2, "{load}: {}", ran.stderr());
        assert!(
            ran.stderr().contains(wanted) && ran.stderr().contains("bad.ron:1:"),
            "{load}: {}",
            ran.stderr()
        );
    };
    let device = r#"devices: [(id: "d", schedule: Constant("1s"))]"#;
    bad("stages: [Hold(for: \"1s\")]", "has connections");
    bad(&format!("{device}, stages: []"), "at least one stage");
    bad(&format!("{device}, stages: [Hold(for: \"0s\")]"), "longer than 0 s");
    bad(
        &device.replace("\"1s\"", "\"0s\"").replace(")]", ")], stages: [Hold(for: \"1s\")]"),
        "spacing is above 0",
    );
    bad(
        r#"devices: [(id: "d", count: 2, schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "client id",
    );
    bad(
        r#"devices: [(id: "d", topic: "a/#", schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "wildcard",
    );
    bad(
        r#"devices: [(id: "d", qos: 3, schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "quality of service 3",
    );
    bad(
        r#"devices: [(id: "d", payload_bytes: 8, schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "36",
    );
    bad(
        r#"devices: [(id: "d", schedule: Firmware(fleet: "x"))], stages: [Hold(for: "1s")]"#,
        "there is no group",
    );
    let listening =
        |subscriber: &str| format!("{device}, subscribers: [{subscriber}], stages: [Hold(for: \"1s\")]");
    bad(
        r#"devices: [(id: "n-{}", count: 3, schedule: Constant("1s")), (id: "n-1", schedule: Constant("1s"))],
        stages: [Hold(for: "1s")]"#
            .replace('\n', "")
            .as_str(),
        "has the client id `n-1` too",
    );
    bad(&listening(r#"(id: "d", filter: "a")"#), "has the client id `d` too");
    for (more, wanted) in [
        (r#"faults: [(at: "50s", do: Storm(share: 1))]"#, "begin outside"),
        (r#"faults: [(at: "0s", do: SlowReader(share: 1, bytes_per_s: 0))]"#, "no slow reader"),
        ("limits: (cpu: -1)", "`cpu` must be above 0"),
        (r#"thresholds: [Below(of: Latency, percentile: 0, bound: "1ms")]"#, "`percentile` must be above 0"),
        (
            r#"thresholds: [Below(of: Latency, percentile: 9, bound: "1s", stage: 1)], search: (to: 2, for: "1s", confirm: "1s")"#,
            "a single stage",
        ),
    ] {
        bad(&format!("{device}, stages: [Hold(for: \"1s\"), Hold(for: \"1s\")], {more}"), wanted);
    }
    bad(&format!("{device}, stages: [Hold(for: \"1s\", rate: 0)]"), "nothing is sent");
    bad(
        r#"devices: [(id: "d", schedule: Constant("1s"), will: "$SYS/x")], stages: [Hold(for: "1s")]"#,
        "the broker's own",
    );
    for (args, wanted) in [
        (&["load", "pi3b-mirror"][..], "no `load:` section"),
        (&["load", "load-smoke", "--broker", "none"], "needs a broker"),
        (&["load", "load-smoke", "--broker", "http://x"], "names no broker"),
        (&["load", "load-smoke", "--shard", "2/2"], "no shard"),
        (&["load", "load-smoke", "--shard", "auto/2"], "JOB_COMPLETION_INDEX"),
        (&["load", "load-smoke", "--source", "1.2.3"], "names no source"),
        (&["load", "load-smoke", "--rate", "0"], "above 0"),
        (&["load", "load-smoke", "--start-at", "tomorrow"], "YYYY"),
        (&["load", "load-smoke", "--start-at", "2026-01-01T00:00:00Z"], " s ago"),
        (&["load", "load-search", "--rate", "2"], "a search finds its own rate"),
        (&["load", "load-search", "--out", "parts"], "a search has many passes"),
        (&["load", "load-search", "--start-at", "2030-01-01T00:00:00Z"], "a search has many passes"),
        (
            &["load", "load-search", "--shard", "0/2", "--start-at", "2030-01-01T00:00:00Z"],
            "a shard alone cannot tell",
        ),
        (&["load", "load-smoke", "--shard", "0/2"], "add `--start-at`"),
        (&["load", "load-commands", "--rate", "2"], "send as their firmware does"),
        (&["load", "load-smoke", "--set", "load.protocol=V5"], "the embedded broker speaks MQTT 3.1.1"),
        (
            &["load", "load-smoke", "--broker", "mqtt://[::1]:1", "--source", "127.0.0.2"],
            "which IPv4 addresses do not reach",
        ),
        (&["load", "load-smoke", "--restart-broker", "/bin/true"], "nothing restarts the broker"),
        (
            &[
                "load",
                "load-smoke",
                "--broker",
                "mqtts://127.0.0.1:1",
                "--cert",
                "no/{device}.pem",
                "--key",
                "no/key.pem",
            ],
            "`meter-0` has no file no/meter-0.pem",
        ),
    ] {
        let ran = command(args);
        assert_eq!(ran.code(), 2, "{args:?}: {}", ran.stderr());
        assert!(ran.stderr().contains(wanted), "{args:?}: {}", ran.stderr());
    }
    let nobody = command(&["load", "load-smoke", "--broker", "mqtt://127.0.0.1:1", "--quiet"]);
    assert_eq!(nobody.code(), 3, "{}", nobody.stderr());
    assert!(nobody.stderr().contains("127.0.0.1:1"), "{}", nobody.stderr());
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
    until("figures of messages sent", || {
        let Ok(mut stream) = std::net::TcpStream::connect(&at) else { return false };
        let mut page = String::new();
        let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        asked.is_ok() && stream.read_to_string(&mut page).is_ok() && {
            let sent = page.lines().find_map(|l| l.strip_prefix("twinfleet_load_sent_total "));
            sent.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 100)
                && page.contains("twinfleet_load_latency_seconds_bucket{le=\"+Inf\"} 0")
                && page.contains("twinfleet_load_lag_seconds_max 0.")
                && page.contains("twinfleet_load_missing 0")
                && page.contains("twinfleet_load_breaches_total 0")
        }
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
fn commands_change_what_devices_report() {
    let ran = command(&["load", "load-commands", "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let result = ran.json();
    assert!(result["counters"]["commands"].as_u64() >= Some(20), "{result}");
    // All are followed but those that are still under way as the load ends: one a lamp at most.
    let count = |key: &str| result["counters"][key].as_u64().unwrap_or(0);
    assert!(count("commands_followed") + 4 >= count("commands"), "{result}");
    // A tick, the lamp, the light sensor's 120 ms and the rest of the 200 ms between reports.
    let took = row(&result, "command to reported", 1);
    assert!(ms(took, "p50_ms") > 20.0, "{took}");
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

#[test]
fn rates_that_firmware_does_not_follow_are_told() {
    let dir = scratch();
    let text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    let with = |name: &str, load: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text.replace("stages: [Hold(for: \"6s\")]", load)).expect("a scenario");
        path.display().to_string()
    };
    let ran = command(&["check", &with("ramp.ron", "stages: [Ramp(for: \"6s\", to: 3)]")]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert!(ran.stderr().contains("at any rate") && ran.stderr().contains("ramp.ron:"), "{}", ran.stderr());
    let search = "stages: [Hold(for: \"6s\")], search: (to: 4, for: \"1s\", confirm: \"1s\")";
    let ran = command(&["load", &with("search.ron", search), "--quiet"]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(ran.stderr().contains("at any rate of a search"), "{}", ran.stderr());
    // A fault that happens at once has no end.
    let storm = "stages: [Hold(for: \"6s\")], faults: [(at: \"1s\", until: \"2s\", do: Storm(share: 1))]";
    let ran = command(&["check", &with("storm.ron", storm)]);
    assert!(ran.code() == 0 && ran.stderr().contains("`until` does nothing here"), "{}", ran.stderr());
}

#[test]
fn a_wrong_password_is_told_as_one_and_at_once() {
    let test = "a_wrong_password_is_told_as_one_and_at_once";
    let Some(passwd) = twinfleet_tests::tool("mosquitto_passwd", test) else { return };
    let mosquitto = Mosquitto::start_with(test, |dir| {
        let file = dir.join("passwords");
        let args = ["-b", "-c", file.to_str().expect("text"), "lab", "right"];
        assert!(Command::new(&passwd).args(args).status().expect("mosquitto_passwd").success());
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    });
    let Some(mosquitto) = mosquitto else { return };
    let begin = std::time::Instant::now();
    let on = |login: &str| {
        command(&["load", "load-smoke", "--broker", &format!("mqtt://{login}{}", mosquitto.addr), "--quiet"])
    };
    let wrong = on("lab:wrong@");
    assert_eq!(wrong.code(), 3, "{}", wrong.stderr());
    assert!(wrong.stderr().contains("Check user name and password"), "{}", wrong.stderr());
    let none = on("");
    assert!(none.code() == 3 && none.stderr().contains("user:password@"), "{}", none.stderr());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
