//! An agreed start, and what the generator owes it.

use super::*;

#[test]
fn being_late_to_an_agreed_start_is_the_generators_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    // At a hundred a second, three hundred connections take three seconds, and the start is in one or two.
    let file = scenario(dir.path(), "late.ron", &format!("{BUSY}, connects_per_s: 100"));
    let broker = format!("mqtt://{}", sink.addr);
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 2).to_string();
    let args = ["load", &file, "--broker", &broker, "--set", PATIENT, "--quiet", "--start-at"];
    let ran = command(&[&args[..], &[&start]].concat());
    assert_eq!(ran.code(), 4, "{}", ran.stdout());
    assert!(ran.stderr().contains("the agreed start came"), "{}", ran.stderr());
    // With time enough, it is kept.
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 6).to_string();
    let ran = command(&[&args[..], &[&start]].concat());
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
}

/// What another shard sent by a clock that is ahead comes before it was sent.
#[test]
fn clocks_that_differ_are_the_generators_own_fault() {
    use twinfleet_twins::{
        load::stamp::Stamp,
        wire::{
            broker::Broker,
            client::{ConnectOptions, Connection},
        },
    };
    let dir = scratch();
    let load = r#"devices: [(id: "d-{}", count: 2, topic: "t/{device}", schedule: Constant("50ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "3s")], drain: "100ms""#;
    let file = scenario(dir.path(), "clocks.ron", load);
    let broker = Broker::start(Default::default()).expect("the embedded broker");
    let url = format!("mqtt://{}", broker.addr());
    let mut connection = Connection::connect(&ConnectOptions::new(broker.addr())).expect("a connection");
    connection.subscribe(&[("t/#", 0)], Duration::from_secs(5)).expect("a subscription");
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 2).to_string();
    let args = ["--json", "load", &file, "--broker", &url, "--shard", "0/2", "--start-at", &start];
    let child = twinfleet_command()
        .args(args)
        .args(["--set", PATIENT, "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut first = None;
    until("a message of the first shard", || {
        let heard = connection.pump(Some(Duration::from_millis(100)), |received| {
            first = first.or(Stamp::read(&received.payload));
        });
        heard.is_ok() && first.is_some()
    });
    // Of the second shard's device, whose clock is a minute ahead.
    let of_other = first.map(|stamp| Stamp { device: 1, seq: 0, sent_ns: 60_000_000_000, ..stamp });
    let mut payload = Vec::new();
    of_other.expect("a stamp").put(&mut payload, 64);
    connection.publish("t/d-1", &payload, 0, false).expect("it is taken");
    connection.pump(Some(Duration::from_millis(100)), |_| ()).expect("it leaves");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("before another shard sent it"), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let accusations = result["accusations"].as_array().expect("accusations");
    assert!(accusations.iter().any(|a| a["of"] == "clocks"), "{result}");
}

#[test]
fn one_exporter_serves_all_passes_of_a_search() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 10, topic: "t/{device}", schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#")],
        stages: [Hold(for: "1s")], drain: "100ms",
        thresholds: [Below(of: Latency, percentile: 50, bound: "900ms")],
        search: (to: 2, for: "500ms", confirm: "500ms")"#;
    let file = scenario(dir.path(), "search.ron", load);
    let at = format!("127.0.0.1:{}", twinfleet_tests::free_port());
    let ran = command(&["load", &file, "--prometheus", &at, "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
}

#[test]
fn payloads_that_do_not_fit_into_the_memory_are_told_before() {
    let (dir, sink) = (scratch(), NullSink::start());
    let load = r#"devices: [(id: "d-{}", count: 200, payload_bytes: 1000000, schedule: Constant("50ms"))],
        stages: [Hold(for: "1s")], drain: "100ms""#;
    let file = scenario(dir.path(), "fat.ron", load);
    let (code, said) =
        shell(&format!("ulimit -v 400000; exec TWINFLEET load {file} --broker mqtt://{}", sink.addr));
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("payloads take about") && said.contains("ulimit -v"), "{said}");
}

#[test]
fn books_that_do_not_fit_into_the_memory_are_told_before() {
    let (dir, sink) = (scratch(), NullSink::start());
    // 1.8 million pairs of a device and a subscriber that hears it.
    let load = r#"devices: [(id: "d-{}", count: 3000, topic: "t/{device}", schedule: Constant("1s"))],
        subscribers: [(id: "s-{}", count: 600, filter: "t/#")], stages: [Hold(for: "1s")], drain: "100ms""#;
    let file = scenario(dir.path(), "books.ron", load);
    let reckoned = command(&["load", &file, "--dry-run"]).json()["memory_bytes"].as_u64();
    assert!(reckoned.is_some_and(|bytes| bytes > 400_000_000), "{reckoned:?}");
    let (code, said) =
        shell(&format!("ulimit -v 400000; exec TWINFLEET load {file} --broker mqtt://{}", sink.addr));
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("the books of their messages") && said.contains("ulimit -v"), "{said}");
}

#[test]
fn what_an_earlier_run_left_is_taken_away_at_the_start() {
    let dir = scratch();
    let (out, page) = (dir.path().join("out"), dir.path().join("page"));
    let args = |broker: &'static str| {
        let (out, page) = (out.to_str().expect("text"), page.to_str().expect("text"));
        let args = [
            "load",
            "load-smoke",
            "--broker",
            broker,
            "--set",
            PATIENT,
            "--out",
            out,
            "--report",
            page,
            "--quiet",
        ];
        args.map(str::to_owned)
    };
    let run = |broker| command(&args(broker).each_ref().map(String::as_str));
    assert_eq!(run("embedded").code(), 0);
    assert!(out.join("load.json").exists() && page.join("report.json").exists());
    assert_eq!(run("mqtt://127.0.0.1:1").code(), 3);
    assert!(
        !out.join("load.json").exists() && !page.join("report.json").exists(),
        "an earlier run's files are there"
    );
}
