//! Others look on: mosquitto_sub attached in the middle of a run, pandas and polars over its record.

use super::common::{command, run_scenario, scratch, twinfleet_command};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};
use twinfleet_engine::record::Record;
use twinfleet_tests::{Process, free_port, python, root, tool};

#[test]
fn mosquitto_sub_attached_in_the_middle_sees_every_message() {
    let Some(subscriber) = tool("mosquitto_sub", "mosquitto_sub attached in the middle of a run") else {
        return;
    };
    let dir = scratch();
    let record = dir.path().join("r");
    let port = free_port().to_string();
    let mut run = twinfleet_command();
    run.args(["run", "pi3b-mirror", "--quiet", "--speed", "400x", "--broker", &format!("embedded:{port}")]);
    run.args(["--set", "timeline=[]", "--set", "expect=[]", "--set", "duration=\"40min\"", "--record"]);
    let mut run = run.arg(&record).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let mut seen = Command::new(subscriber)
        .args(["-h", "127.0.0.1", "-p", &port, "-t", "fleet/#", "-q", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .map(Process)
        .unwrap();
    let lines = BufReader::new(seen.0.stdout.take().unwrap()).lines();
    // Read aside: the subscriber would go on trying when the broker is gone.
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
    assert!(run.wait().unwrap().success());
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(seen);
    let stamps: Vec<i64> = reader
        .join()
        .unwrap()
        .iter()
        .filter(|l| l.contains("soc.temperature"))
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["ts"].as_i64().unwrap())
        .collect();
    assert!(stamps.len() > 500, "{} messages seen", stamps.len());

    let record = Record::open(&record).unwrap();
    let load = record.table.find("pi-1/cpu.load@reported").unwrap();
    let epoch = record.manifest.header.epoch_unix_ms;
    let all: Vec<i64> = record
        .rows()
        .map(Result::unwrap)
        .filter(|row| row.signal == load)
        .map(|row| epoch + (row.t.0 as f64 / 1e6).round() as i64)
        .collect();
    let after: Vec<i64> = all.into_iter().filter(|t| *t >= stamps[0]).collect();
    // The last tick's messages come back to nobody, since the run is over; the subscriber still sees them.
    assert_eq!(after[..], stamps[..after.len().min(stamps.len())]);
    assert!(stamps.len() - after.len() <= 1, "{} seen, {} recorded", stamps.len(), after.len());
}

#[test]
fn pandas_and_polars_open_a_record() {
    let (Some(python), Some(_)) =
        (python("pandas, pyarrow", "a record in pandas"), python("polars", "a record in polars"))
    else {
        return;
    };
    let dir = scratch();
    let record = dir.path().join("r");
    run_scenario(&[
        "run",
        "greenhouse",
        "--broker",
        "none",
        "--quiet",
        "--set",
        "duration=\"2h\"",
        "--record",
        record.to_str().unwrap(),
    ]);
    let output =
        Command::new(python).arg(root().join("tests/python/read_record.py")).arg(&record).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_table_is_replayed_as_a_device() {
    let ran = command(&[
        "replay",
        "assets/recordings/tclab/run_b_siso_step.csv",
        "--time",
        "#1",
        "--no-header",
        "--map",
        "sensor.temperature=#3:K",
        "--speed",
        "max",
        "--broker",
        "embedded:0",
        "--quiet",
    ]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert_eq!(ran.json()["messages"], 571, "a message a row");
}
