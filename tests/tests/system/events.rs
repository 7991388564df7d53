//! What happens to a thing itself is named by its twin while it runs, as `score diagnose` names it on a recording.

use super::common::{Ran, command, scratch};
use std::{collections::BTreeMap, fs, path::Path};
use twinfleet_engine::record::Record;

const PARAMS: &str = "assets/params/heated-box-seed-12.ron";

fn scenario() -> String {
    fs::read_to_string(twinfleet_tests::root().join("scenarios/heated-box.ron")).expect("the box")
}

/// The box with another text, beside the shipped assets.
fn changed(dir: &Path, text: &str) -> String {
    let assets = dir.join("assets");
    if !assets.exists() {
        std::os::unix::fs::symlink(twinfleet_tests::root().join("assets"), assets).expect("a link");
    }
    let file = dir.join("box.ron");
    fs::write(&file, text).expect("a file");
    file.to_str().expect("text").to_owned()
}

fn run(file: &str, rest: &[&str]) -> Ran {
    command(&[&["run", file, "--broker", "none", "--quiet"], rest].concat())
}

/// Units, noise and timing are drawn anew by each seed.
#[test]
fn whatever_the_seed_each_event_is_named_with_part_and_onset() {
    let dir = scratch();
    for seed in ["1", "2", "3", "4"] {
        let record = dir.path().join(seed);
        let record = record.to_str().expect("text");
        let ran = run("heated-box", &["--seed", seed, "--record", record]);
        assert_eq!(ran.code(), 0, "seed {seed}: {}", ran.stdout());
        let judged = command(&["score", "diagnose", "--record", record]).json();
        assert_eq!(judged["macro_f1"].as_f64(), Some(1.0), "seed {seed}: {judged}");
        assert_eq!(judged["false_alarms"].as_u64(), Some(0), "seed {seed}: {judged}");
        assert!(judged["onset_error_s"]["median"].as_f64().unwrap() < 15.0, "seed {seed}: {judged}");
    }
}

#[test]
fn threads_leave_no_trace_on_what_is_named() {
    let hash = |threads: &str| run("heated-box", &["--threads", threads]).state_hash();
    let one = hash("1");
    assert_eq!((hash("2"), hash("4")), (one.clone(), one));
}

/// Twelve units of the box, of which the twin was fitted on one, four hours each.
#[test]
fn of_boxes_that_are_well_next_to_nothing_is_said() {
    let dir = scratch();
    let is_done = |line: &&str| line.contains("do: Change") || line.contains("do: Fault");
    let text: String = scenario().lines().filter(|l| !is_done(l)).map(|l| format!("{l}\n")).collect();
    let (head, _) = text.split_once("    expect: [").expect("expectations");
    let file = changed(dir.path(), &format!("{head}    expect: [Never(verdict: Any)],\n)\n"));
    let mut said = Vec::new();
    for seed in 1..=12 {
        let ran = run(&file, &["--seed", &seed.to_string(), "--set", "duration=\"4h\""]).json();
        let happened = ran["happenings"].as_array().expect("what happened");
        let verdicts = happened.iter().filter(|h| h["what"] == "verdict");
        said.extend(
            verdicts.map(|h| format!("seed {seed}: {} of {} at {}", h["detail"], h["part"], h["from_s"])),
        );
    }
    assert!(said.len() <= 2, "in two days: {said:#?}");
}

/// The stream that the twin heard, as a table, watched offline: the same verdicts, at the same times within two readings; a
/// table has no times of arrival, and its numbers are written with their own resolution.
#[test]
fn a_recording_of_the_stream_is_told_the_same_offline() {
    let dir = scratch();
    let record = dir.path().join("rec");
    let ran = run("heated-box", &["--record", record.to_str().expect("text")]);
    assert_eq!(ran.code(), 0, "{}", ran.stdout());
    let live = ran.json();
    let signals = [
        "air.temperature",
        "wall.temperature",
        "content.temperature",
        "room.temperature",
        "heater.level",
        "fan.level",
    ];
    let record = Record::open(&record).expect("the record");
    let ids = signals.map(|s| record.table.find(&format!("box/{s}@reported")).expect("a signal of the twin"));
    let mut rows: BTreeMap<i64, [String; 6]> = BTreeMap::new();
    for row in record.rows().map(|r| r.expect("readable")) {
        if let Some(at) = ids.iter().position(|id| *id == row.signal) {
            rows.entry(row.t.0).or_default()[at] = row.value.to_string();
        }
    }
    let cells = |(t, cells): (&i64, &[String; 6])| format!("{},{}\n", *t as f64 / 1e9, cells.join(","));
    let table: String = rows.iter().map(cells).collect();
    let (data, out) = (dir.path().join("box.csv"), dir.path().join("out.csv"));
    fs::write(&data, format!("t,{}\n{table}", signals.join(","))).expect("a table");
    let map = signals.map(|s| format!("{s}={s}"));
    let params = twinfleet_tests::root().join(PARAMS);
    let mut line = vec!["score", "diagnose", "--thing", "heated-box", "--time", "t", "--data"];
    line.extend([data.to_str().expect("text"), "--params", params.to_str().expect("text")]);
    line.extend(["--learn", "g_out", "g_wall", "g_content", "--out", out.to_str().expect("text"), "--map"]);
    line.extend(map.iter().map(String::as_str));
    let watched = command(&line);
    assert_eq!(watched.code(), 0, "{}", watched.stderr());
    let out = fs::read_to_string(&out).expect("the verdicts");
    let offline: Vec<Vec<&str>> = out.lines().skip(1).map(|l| l.split(',').collect()).collect();
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = live["happenings"]
        .as_array()
        .expect("what happened")
        .iter()
        .filter(|h| h["what"] == "verdict")
        .collect();
    let pair = |part: &str, kind: &str, s: f64| (part.to_owned(), kind.to_owned(), s);
    let first = *rows.keys().next().expect("rows") as f64 / 1e9;
    let live: Vec<(String, String, f64)> = told
        .iter()
        .map(|h| pair(&text(&h["part"]), &text(&h["detail"]), h["from_s"].as_f64().expect("a time") - first))
        .collect();
    // It counts from its first row.
    let offline: Vec<(String, String, f64)> =
        offline.iter().map(|c| pair(c[2], c[3], c[0].parse().expect("a time"))).collect();
    let same = |a: &(String, String, f64), b: &(String, String, f64)| {
        (&a.0, &a.1) == (&b.0, &b.1) && (a.2 - b.2).abs() <= 6.0
    };
    assert!(live.len() == 4 && offline.len() == 4, "{live:?}\n{offline:?}");
    assert!(live.iter().zip(&offline).all(|(a, b)| same(a, b)), "{live:?}\n{offline:?}");
}

#[test]
fn what_no_thing_can_tell_is_refused_as_an_expectation() {
    let dir = scratch();
    let check = |text: &str| command(&["check", &changed(dir.path(), text)]);
    let text = scenario();
    for (right, wrong, help) in [
        ("kind: \"lid_open\", part", "kind: \"lid_opn\", part", "lid_open"),
        ("part: \"lid\"", "part: \"led\"", "lid"),
    ] {
        assert!(text.contains(right), "{right}");
        let refused = check(&text.replace(right, wrong));
        assert_eq!(refused.code(), 2, "{wrong}: {}", refused.stderr());
        assert!(refused.stderr().contains(help), "{wrong}: {}", refused.stderr());
    }
    // A thing without events has none of their kinds.
    let pi = fs::read_to_string(twinfleet_tests::root().join("scenarios/pi3b-mirror.ron")).expect("the Pi");
    let refused = check(&pi.replace("kind: \"stuck\"", "kind: \"lid_open\""));
    assert_eq!(refused.code(), 2, "{}", refused.stderr());
    assert!(refused.stderr().contains("no verdict has the kind `lid_open`"), "{}", refused.stderr());
}

/// Both have the same kind and stream; each label ends with its own fault, whichever began first.
#[test]
fn each_of_two_biases_that_overlap_ends_when_it_is_over() {
    let bias = |at: &str, until: &str, by: &str| {
        let fault = format!(r#"Fault(target: "s-1/bme280.temperature", kind: Bias(by: {by}))"#);
        format!(r#"(at: "{at}", until: "{until}", do: {fault})"#)
    };
    // One after the other, and one within the other.
    for (first, second) in
        [(("10min", "20min"), ("15min", "30min")), (("10min", "30min"), ("15min", "20min"))]
    {
        let timeline =
            format!("timeline=[{}, {}]", bias(first.0, first.1, "2"), bias(second.0, second.1, "3"));
        let ran =
            run("sick-sensors", &["--set", &timeline, "--set", "expect=[]", "--set", "duration=\"40min\""]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        let told = ran.json();
        let faults: Vec<[f64; 3]> = told["happenings"]
            .as_array()
            .expect("happenings")
            .iter()
            .filter(|h| h["what"] == "fault")
            .map(|h| ["value", "from_s", "to_s"].map(|k| h[k].as_f64().unwrap_or(f64::NAN)))
            .collect();
        let s = |text: &str| 60.0 * text.trim_end_matches("min").parse::<f64>().expect("minutes");
        let wanted = [[2.0, s(first.0), s(first.1)], [3.0, s(second.0), s(second.1)]];
        assert_eq!(faults, wanted, "{timeline}");
    }
}

/// What an input of a converter reads and what comes of a part's reading behind it are told together: a scorer would take the other
/// for well.
#[test]
fn a_fault_at_a_converter_is_labelled_on_the_part_behind_it_and_the_other_way_round() {
    let labels = |target: &str, kind: &str| {
        let dir = scratch();
        let parts = r#"(id: "adc", model: "ads1115", on: I2c(0x48)), (id: "a", model: "tmp36", on: Pin("adc.0")),
            (id: "c", model: "tmp36", on: Pin("adc.1"))"#;
        let text = format!(
            r#"Scenario(format: 1, seed: 3, duration: "1min", step: "1s",
            world: (zones: [(id: "room", temperature_c: 24.0)]),
            things: [(name: "t", source: "a test", board: "raspberry-pi-4b", parts: [{parts}], firmware: (period: "1s"))],
            fleet: [(id: "d", thing: "t", in: ["room"])],
            timeline: [(at: "10s", until: "30s", do: Fault(target: "d/{target}", kind: {kind}))])"#
        );
        let file = changed(dir.path(), &text);
        let ran = run(&file, &[]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        let told = ran.json();
        let faults =
            told["happenings"].as_array().expect("happenings").iter().filter(|h| h["what"] == "fault");
        let mut all: Vec<String> = faults
            .map(|h| {
                let [part, unit] = ["part", "unit"].map(|k| h[k].as_str().unwrap_or_default());
                format!("{part} {}{unit} {} {}", h["value"], h["from_s"], h["to_s"])
            })
            .collect();
        all.sort();
        all
    };
    assert_eq!(
        labels("adc.voltage_0", "Bias(by: 0.1)"),
        ["a.temperature 0.1V 10.0 30.0", "adc.voltage_0 0.1V 10.0 30.0"]
    );
    let hangs = labels("adc.voltage_0", "BusLockUp");
    let parts: Vec<&str> = hangs.iter().filter_map(|h| Some(h.split_once(' ')?.0)).collect();
    let inputs = ["adc.voltage_0", "adc.voltage_1", "adc.voltage_2", "adc.voltage_3"];
    assert_eq!(parts, [&["a.temperature"][..], &inputs[..], &["c.temperature"][..]].concat());
    assert!(hangs.iter().all(|h| h.ends_with(" 10.0 30.0")), "{hangs:?}");
    let lost = labels("a.temperature", "Dropout");
    assert!(lost.len() == 2 && lost[1].starts_with("adc.voltage_0 "), "{lost:?}");
}
