//! What the load generator says of itself: its limits, its files, the command that does it again.

use super::*;

/// Starts a load, stops its process for a while, and waits for its end.
fn stopped_for(file: &str, sink: &NullSink, while_s: f64) -> (Option<i32>, Value) {
    let broker = format!("mqtt://{}", sink.addr);
    let child = twinfleet_command()
        .args(["--json", "load", file, "--broker", &broker, "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    std::thread::sleep(Duration::from_millis(1_000));
    for (signal, wait_s) in [("-STOP", while_s), ("-CONT", 0.0)] {
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        std::thread::sleep(Duration::from_secs_f64(wait_s));
    }
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("JSON"))
}

#[test]
fn a_few_messages_that_left_late_are_the_generators_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    let load = r#"devices: [(id: "d-{}", count: 4, schedule: Constant("200ms"))], stages: [Hold(for: "3s")],
        drain: "100ms", limits: (cpu: 2, waited_for_cpu: 2, lag: "100ms")"#;
    let file = scenario(dir.path(), "few.ron", load);
    let (code, result) = stopped_for(&file, &sink, 0.9);
    assert_eq!((code, &result["accusations"][0]["of"]), (Some(4), &"scheduler_lag".into()), "{result}");
}

const SEARCH: &str = r#"
    devices: [(id: "d-{}", count: 10, topic: "t/{device}", schedule: Constant("100ms"))],
    subscribers: [(id: "s", filter: "t/#")],
    stages: [Hold(for: "1s")], drain: "100ms",
    thresholds: [Below(of: Latency, percentile: 50, bound: "900ms")]"#;

#[test]
fn a_search_says_what_its_limit_was() {
    let dir = scratch();
    let search = |name: &str, search: &str, limits: &str| {
        let file = scenario(dir.path(), name, &format!("{SEARCH}, search: {search}, limits: {limits}"));
        let ran = command(&["load", &file, "--quiet"]);
        (ran.code(), ran.json())
    };
    let patient = "(lag: \"10s\", cpu: 2, waited_for_cpu: 2)";
    let (code, result) = search("to.ron", r#"(to: 2, for: "1s", confirm: "1s")"#, patient);
    assert_eq!((code, &result["limited_by"]), (0, &"to".into()), "{result}");
    let headline = result["headline"].as_str().expect("text");
    assert!(
        headline.contains("at least 2.000 times") && headline.contains("`to` was the limit"),
        "{headline}"
    );
    assert!(!result["replay"].as_str().expect("text").contains("--rate"), "{result}");
    // A worker that may be busy for a twentieth of the time is so at some ten thousand messages a second.
    let (code, result) = search(
        "own.ron",
        r#"(from: 1, to: 100000, for: "1s", confirm: "1s", within: 1)"#,
        "(lag: \"10s\", cpu: 0.05, waited_for_cpu: 2)",
    );
    assert_eq!((code, &result["limited_by"]), (4, &"generator".into()), "{result}");
    let headline = result["headline"].as_str().expect("text");
    assert!(headline.contains("at least") && headline.contains("the generator was the limit"), "{headline}");
    assert_eq!(result["accusations"][0]["of"], "cpu");
}

#[test]
fn files_that_cannot_be_written_are_told_before_the_load() {
    // Nobody is there: that would be told first otherwise.
    for option in ["--trace", "--out"] {
        let ran = command(&["load", "load-smoke", "--broker", "mqtt://127.0.0.1:1", option, "/proc/none/x"]);
        assert_eq!(ran.code(), 3, "{}", ran.stderr());
        assert!(ran.stderr().contains("/proc/none"), "{option}: {}", ran.stderr());
    }
    // One that can be opened and not written takes no report with it.
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "full.ron", BUSY);
    let (page, broker) = (dir.path().join("page"), format!("mqtt://{}", sink.addr));
    let page_text = page.to_str().expect("text");
    let args =
        ["load", &file, "--broker", &broker, "--trace", "/dev/full", "--report", page_text, "--set", PATIENT];
    let ran = command(&args);
    assert_eq!(ran.code(), 3, "{}", ran.stderr());
    assert!(ran.stderr().contains("/dev/full") && page.join("report.html").exists(), "{}", ran.stderr());
}

#[test]
fn the_command_that_does_it_again_has_all_that_it_needs() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "again.ron", BUSY);
    let broker = format!("mqtt://{}", sink.addr);
    let more = ["--prefix", "a b", "--workers", "2", "--source", "127.0.0.2-127.0.0.3", "--rate", "0.5"];
    let ran =
        command(&[&["load", &file, "--broker", &broker, "--set", PATIENT, "--quiet"], &more[..]].concat());
    let replay = ran.json()["replay"].as_str().expect("text").to_owned();
    for wanted in
        ["--prefix 'a b'", "--workers 2", "--source 127.0.0.2-127.0.0.3", "--rate 0.5", "--set 'load.limits="]
    {
        assert!(replay.contains(wanted), "{wanted}: {replay}");
    }
    assert!(!replay.contains("--start-at"), "{replay}");
    // A shard without the start that all share would be refused.
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 2).to_string();
    let shard = ["--shard", "0/2", "--start-at", &start];
    let ran =
        command(&[&["load", &file, "--broker", &broker, "--set", PATIENT, "--quiet"], &shard[..]].concat());
    let replay = ran.json()["replay"].as_str().expect("text").to_owned();
    assert!(replay.contains(&format!("--shard 0/2 --start-at {start}")), "{replay}");
}

#[test]
fn a_load_that_is_stopped_is_an_error_to_ci() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "stopped.ron", &BUSY.replace("1s", "20s"));
    let page = dir.path().join("page");
    let broker = format!("mqtt://{}", sink.addr);
    let args = ["load", &file, "--broker", &broker, "--set", PATIENT, "--quiet", "--report"];
    let mut child = twinfleet_command().args(args).arg(&page).spawn().expect("the command starts");
    std::thread::sleep(Duration::from_millis(1_500));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let junit = std::fs::read_to_string(page.join("junit.xml")).expect("junit.xml");
    assert!(junit.contains("errors=\"1\"") && junit.contains("<error message="), "{junit}");
    // Three thousand a second were sent for as long as it went, and not over the twenty seconds that it was to go.
    let report = std::fs::read_to_string(page.join("report.json")).expect("report.json");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert!(report["sent_per_s"].as_f64() > Some(1_000.0), "{report}");
}

#[test]
fn a_soft_limit_of_file_descriptors_is_raised_to_what_is_needed() {
    let (dir, sink) = (scratch(), NullSink::start());
    // Both ends of each connection are in the process.
    let file = scenario(dir.path(), "both.ron", &BUSY.replace("count: 300", "count: 200"));
    let (code, said) =
        shell(&format!("ulimit -Sn 256; exec TWINFLEET load {file} --set '{PATIENT}' --quiet"));
    assert_eq!(code, 0, "{said}");
    // Strangers are beside those that were planned.
    let load = format!(
        "{}, faults: [(at: \"200ms\", until: \"800ms\", do: HalfOpen(connections: 300))]",
        BUSY.replace("count: 300", "count: 20")
    );
    let file = scenario(dir.path(), "strangers.ron", &load);
    let line = format!(
        "ulimit -Sn 256; exec TWINFLEET load {file} --broker mqtt://{} --set '{PATIENT}' --quiet",
        sink.addr
    );
    let (code, said) = shell(&line);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn the_plan_of_a_search_is_that_of_its_first_trial() {
    let dir = scratch();
    // Ten devices at three times ten messages a second, for two seconds.
    let file = scenario(
        dir.path(),
        "s.ron",
        &format!("{SEARCH}, search: (from: 3, to: 9, for: \"2s\", confirm: \"4s\")"),
    );
    let plan = command(&["load", &file, "--dry-run"]).json();
    assert_eq!((plan["messages"].as_u64(), plan["length_s"].as_f64()), (Some(600), Some(2.0)), "{plan}");
}

#[test]
fn a_prefix_is_the_begin_of_a_topic() {
    for (prefix, told) in [("lab/#", "wildcards"), ("+", "wildcards"), ("$SYS/x", "broker's own")] {
        let ran = command(&["load", "load-smoke", "--prefix", prefix, "--quiet"]);
        assert_eq!(ran.code(), 2, "{prefix}: {}", ran.stderr());
        assert!(ran.stderr().contains(told), "{prefix}: {}", ran.stderr());
    }
}

#[test]
fn a_task_beyond_the_shards_is_told_its_number() {
    let mut command = twinfleet_command();
    command.env("JOB_COMPLETION_INDEX", "3").args(["load", "load-smoke", "--shard", "auto/2"]);
    let output = command.output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("JOB_COMPLETION_INDEX is 3") && said.contains("0 to 1"), "{said}");
}
