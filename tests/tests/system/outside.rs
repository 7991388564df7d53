//! When the outside fails: an unreachable broker, a refused login, a folder that cannot be written, kill -9, Ctrl-C.

use super::common::{command, scratch, twinfleet_command};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use twinfleet_engine::record::Record;

#[test]
fn an_unreachable_broker_ends_with_3_and_says_what_to_do() {
    let dir = scratch();
    let (record, report) = (dir.path().join("record"), dir.path().join("report"));
    let (to, page) = (record.to_str().unwrap(), report.to_str().unwrap());
    let broker = ["--broker", "mqtt://127.0.0.1:1"];
    let ran = command(
        &[&["run", "pi3b-mirror", "--quiet", "--record", to, "--report", page], &broker[..]].concat(),
    );
    assert_eq!(ran.code(), 3);
    assert!(!record.exists() && !report.exists(), "folders are left behind");
    assert!(ran.stderr().contains("127.0.0.1:1"), "{}", ran.stderr());
    assert!(ran.stderr().contains("--broker"), "no advice: {}", ran.stderr());
}

#[test]
fn what_failed_is_not_the_advice() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let broker = format!("embedded:{}", taken.local_addr().unwrap().port());
    let ran = command(&["run", "pi3b-mirror", "--quiet", "--broker", &broker]);
    assert_eq!(ran.code(), 3);
    assert!(ran.stderr().contains("cannot listen on"), "{}", ran.stderr());
    assert!(!ran.stderr().contains("`--broker embedded` needs"), "{}", ran.stderr());
    assert!(ran.stderr().contains("`--broker none` needs"), "{}", ran.stderr());
    // Space is not what is missing where no folder can be made.
    if cfg!(target_os = "linux") {
        let ran = command(&["run", "pi3b-mirror", "--quiet", "--broker", "none", "--report", "/proc/none"]);
        assert_eq!(ran.code(), 3);
        assert!(!ran.stderr().contains("free some space"), "{}", ran.stderr());
        assert!(ran.stderr().contains("name another folder with --report"), "{}", ran.stderr());
    }
}

#[test]
fn a_broker_that_dies_leaves_no_empty_report() {
    let Some(mut broker) = twinfleet_tests::Mosquitto::start("a_broker_that_dies_leaves_no_empty_report")
    else {
        return;
    };
    let dir = scratch();
    let report = dir.path().join("report");
    let url = format!("mqtt://{}", broker.addr);
    let page = report.to_str().unwrap();
    let child = spawn(&["run", "pi3b-mirror", "--speed", "20x", "--broker", &url, "--report", page]);
    twinfleet_tests::until("the run to begin", || report.exists());
    broker.kill();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("of simulated time"), "{said}");
    assert!(!report.exists(), "an empty folder is left behind");
}

#[test]
fn what_was_recorded_before_a_broker_died_is_kept_and_the_failure_says_what_to_do() {
    let name = "what_was_recorded_before_a_broker_died_is_kept_and_the_failure_says_what_to_do";
    let dir = scratch();
    // At the first pace it is waited for in vain while the run goes on; at the second the run is over before, and the broker
    // is missing at the good-bye.
    for speed in ["60x", "900x"] {
        let Some(mut broker) = twinfleet_tests::Mosquitto::start(name) else { return };
        let record = dir.path().join(speed);
        let (url, to) = (format!("mqtt://{}", broker.addr), record.to_str().unwrap());
        let child = spawn(&["run", "pi3b-mirror", "--speed", speed, "--broker", &url, "--record", to]);
        twinfleet_tests::until("the run to begin", || record.join("manifest.json").exists());
        std::thread::sleep(Duration::from_secs(1));
        broker.kill();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("give the same command again with another folder for --record"), "{said}");
        assert!(said.contains("marked as cut short"), "{said}");
        let kept = Record::open(&record).expect("the record opens");
        assert!(!kept.manifest.finished && kept.manifest.ended_ns > 0, "{speed}: {said}");
        let rows: u64 = kept.manifest.segments.iter().map(|s| s.rows).sum();
        assert!(rows > 0, "{speed}: nothing was kept");
    }
}

#[test]
fn a_broker_that_is_away_for_a_while_is_no_silence_of_the_devices() {
    let name = "a_broker_that_is_away_for_a_while_is_no_silence_of_the_devices";
    let Some(mut broker) = twinfleet_tests::Mosquitto::start(name) else { return };
    let url = format!("mqtt://{}", broker.addr);
    // A simulated minute is half a second: it is gone for minutes, in the half hour in which nothing is wrong.
    let child = spawn(&["run", "pi3b-mirror", "--speed", "120x", "--broker", &url]);
    std::thread::sleep(Duration::from_secs(4));
    broker.kill();
    std::thread::sleep(Duration::from_secs(1));
    broker.restart();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the devices go on") && said.contains("the broker is back"), "{said}");
    // It expects no verdict before half time, and five in all.
    assert_eq!(output.status.code(), Some(0), "{}\n{said}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_broker_that_is_no_url_ends_with_2() {
    let ran = command(&["run", "pi3b-mirror", "--broker", "http://127.0.0.1", "--quiet"]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
}

#[test]
fn a_record_that_cannot_be_written_ends_with_3() {
    let dir = scratch();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let below = file.join("record");
    let ran =
        command(&["run", "pi3b-mirror", "--broker", "none", "--quiet", "--record", below.to_str().unwrap()]);
    assert_eq!(ran.code(), 3, "{}", ran.stderr());
}

#[test]
fn a_full_disk_ends_with_3() {
    // /dev/full takes no byte; a record needs a folder, so the limit on file size stands in for the disk's.
    let dir = scratch();
    let record = dir.path().join("r");
    let binary = twinfleet_tests::twinfleet();
    let script = format!(
        "ulimit -f 16; exec '{}' run greenhouse --broker none --quiet --set 'duration=\"2h\"' --set 'record=(signals:[\"**\"], segment:\"5min\")' --record '{}'",
        binary.display(),
        record.display()
    );
    // Nothing here spares the command SIGXFSZ, which kills whoever does not expect it.
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("record") && stderr.contains("ulimit -f"), "{stderr}");
    // The run ends where the record does, not at its own end, and leaves no half a segment.
    let tick = stderr.split("at ").nth(1).and_then(|s| s.split(" of simulated time").next());
    assert!(tick.is_some_and(|t| !t.contains('h')), "{stderr}");
    for folder in ["signals", "events"] {
        let left: Vec<_> = std::fs::read_dir(record.join(folder)).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_report_above_the_limit_on_a_files_size_ends_with_3() {
    let dir = scratch();
    let script = format!(
        "ulimit -f 16; exec '{}' run pi3b-mirror --broker none --quiet --no-pictures --report '{}'",
        twinfleet_tests::twinfleet().display(),
        dir.path().join("page").display()
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("cannot write the report") && said.contains("ulimit -f"), "{said}");
}

#[test]
fn a_full_disk_below_standard_output_ends_with_3() {
    for args in [&["run", "tclab-mirror", "--broker", "none", "--json"][..], &["list", "boards"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = twinfleet_command().args(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("cannot write to standard output"), "{said}");
    }
}

fn spawn(args: &[&str]) -> Child {
    twinfleet_command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn kill_9_at_a_hundred_moments_leaves_whole_segments() {
    let dir = scratch();
    let begin = Instant::now();
    let whole = dir.path().join("whole");
    let args = ["run", "greenhouse", "--broker", "none", "--quiet", "--set", "duration=\"2h\"", "--set"];
    let recorded = |to: &std::path::Path| {
        let mut all: Vec<String> = args.iter().map(|s| (*s).to_owned()).collect();
        all.extend([
            "record=(signals:[\"**\"], segment:\"5min\")".into(),
            "--record".into(),
            to.display().to_string(),
        ]);
        all
    };
    let run = |to: &std::path::Path| spawn(&recorded(to).iter().map(String::as_str).collect::<Vec<_>>());
    run(&whole).wait().unwrap();
    let full = begin.elapsed();
    let complete = Record::open(&whole).expect("the whole record opens");
    for i in 0..100u32 {
        let path = dir.path().join(format!("killed-{i}"));
        let mut child = run(&path);
        std::thread::sleep(full.mul_f64(f64::from(i * 37 % 100) / 100.0));
        child.kill().unwrap();
        child.wait().unwrap();
        if !path.join("manifest.json").exists() {
            continue; // killed before the first segment
        }
        let left = Record::open(&path).unwrap_or_else(|e| panic!("killed at {i}: {e}"));
        assert!(left.manifest.segments.len() <= complete.manifest.segments.len());
        std::fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn kill_9_takes_the_segment_in_progress_and_no_more() {
    const TENTH_S: f64 = 2.4 * 3600.0;
    const SEGMENT_S: f64 = 600.0;
    let dir = scratch();
    for tenth in 1..=9 {
        let path = dir.path().join(format!("killed-{tenth}"));
        let mut child = spawn(&[
            "run",
            "greenhouse",
            "--broker",
            "none",
            "--set",
            "record=(signals:[\"**\"], segment:\"10min\")",
            "--record",
            path.to_str().unwrap(),
        ]);
        // At each tenth the command says how far it has come.
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let told = lines.map_while(Result::ok).filter(|l| l.contains("simulated")).take(tenth).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told, tenth);
        let left = Record::open(&path).expect("what is left opens");
        let end_s = left.manifest.segments.last().map_or(0.0, |s| s.to_ns as f64 * 1e-9);
        let was_at_s = tenth as f64 * TENTH_S;
        assert!(end_s >= was_at_s - SEGMENT_S, "killed after {was_at_s} s, the record ends at {end_s} s");
    }
}

#[test]
fn ctrl_c_ends_cleanly_with_what_was_recorded() {
    let dir = scratch();
    let (path, page) = (dir.path().join("r"), dir.path().join("page"));
    let child = spawn(&[
        "run",
        "pi3b-mirror",
        "--broker",
        "none",
        "--speed",
        "60x",
        "--record",
        path.to_str().unwrap(),
        "--report",
        page.to_str().unwrap(),
    ]);
    std::thread::sleep(Duration::from_secs(3));
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    Record::open(&path).expect("the record opens");
    // Nothing was judged, and nothing says that it held.
    let text = |file: &str| std::fs::read_to_string(page.join(file)).expect(file);
    let json: serde_json::Value = serde_json::from_str(&text("report.json")).expect("JSON");
    assert!(json["held"].is_null() && json["headline"].as_str().unwrap().contains("stopped at"), "{json}");
    assert!(
        text("junit.xml").contains("tests=\"1\" failures=\"0\"") && text("junit.xml").contains("<skipped ")
    );
    assert!(text("report.html").contains("Expectations are not judged"));
}
