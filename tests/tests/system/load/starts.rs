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
