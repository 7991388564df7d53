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
    // What holds in a short trial need not hold for longer: that is not that no rate held.
    let load = r#"devices: [(id: "d-{}", count: 10, topic: "t/{device}", schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "1s")], drain: "200ms",
        thresholds: [AtMost(of: Sent, bound: 120)], search: (to: 2, for: "500ms", confirm: "1500ms")"#;
    let file = scenario(dir.path(), "short.ron", load);
    let ran = command(&["load", &file, "--set", PATIENT, "--quiet"]);
    let (code, result) = (ran.code(), ran.json());
    let headline = result["headline"].as_str().expect("text");
    assert!(
        code == 1 && headline.contains("2.000 times the scenario's held in a trial"),
        "{code} {headline}"
    );
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
fn a_task_beyond_the_shards_is_told_its_number() {
    let mut command = twinfleet_command();
    command.env("JOB_COMPLETION_INDEX", "3").args(["load", "load-smoke", "--shard", "auto/2"]);
    let output = command.output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("JOB_COMPLETION_INDEX is 3") && said.contains("0 to 1"), "{said}");
}

#[test]
fn too_few_file_descriptors_are_the_generators_own_fault() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "fd.ron", BUSY);
    let (code, said) =
        shell(&format!("ulimit -n 256; exec TWINFLEET load {file} --broker mqtt://{}", sink.addr));
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("file descriptors") && said.contains("ulimit -n"), "{said}");
    // Strangers of a fault come beside: told before anybody is connected.
    let load = format!(
        "{}, faults: [(at: \"200ms\", do: HalfOpen(connections: 300))]",
        BUSY.replace("count: 300", "count: 20")
    );
    let file = scenario(dir.path(), "strangers.ron", &load);
    let line = format!("ulimit -n 256; exec TWINFLEET load {file} --broker mqtt://{}", sink.addr);
    let (code, said) = shell(&line);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("20 connections and 300 strangers") && !said.contains('%'), "{said}");
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
fn what_comes_after_the_stages_is_no_rate_of_their_last_moment() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 10, topic: "t/{device}", qos: 1, schedule: Constant("10ms"))],
        subscribers: [(id: "s", filter: "t/#")],
        stages: [Hold(for: "2s")], drain: "10s",
        faults: [(at: "500ms", until: "3s", do: SlowReader(share: 1, bytes_per_s: 10000))]"#;
    let file = scenario(dir.path(), "late.ron", load);
    let out = dir.path().join("out");
    let text = out.to_str().expect("text");
    let ran = command(&["load", &file, "--set", PATIENT, "--quiet", "--out", text, "--report", text]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let part = std::fs::read(out.join("load.json")).expect("load.json");
    let part: Value = serde_json::from_slice(&part).expect("JSON");
    let counts = part["course"]["received"].as_array().expect("a curve");
    let stretch_s = part["course"]["stretch_ns"].as_f64().expect("a number") * 1e-9;
    let from = |s: f64| {
        let rest = counts.iter().enumerate().filter(|(i, _)| *i as f64 * stretch_s >= s);
        rest.filter_map(|(_, n)| n.as_u64()).sum::<u64>()
    };
    // All are in it, and those that the slow reader left for later, at three seconds, are where they came.
    assert_eq!(Some(from(0.0)), ran.json()["verdict"]["received"].as_u64());
    assert!(from(2.9) > 500, "{} of {}", from(2.9), from(0.0));
    let html = std::fs::read_to_string(out.join("report.html")).expect("report.html");
    assert!(html.contains("messages a second"), "{html}");
}
