//! What is refused before anything is run or written: exit 2, the place, what to try. The wording of each kind of mistake is
//! snapshot in the engine's own tests.

use super::common::{command, scratch, twinfleet_command};
use std::process::Stdio;

/// Runs the Pi's scenario with a `--set` and a record folder, which must not come to be.
fn refused(set: &str, words: &[&str]) {
    let dir = scratch();
    let record = dir.path().join("r");
    let ran = command(&[
        "run",
        "pi3b-mirror",
        "--broker",
        "none",
        "--quiet",
        "--set",
        set,
        "--record",
        record.to_str().unwrap(),
    ]);
    assert_eq!(ran.code(), 2, "{set}: {}", ran.stderr());
    for word in words {
        assert!(ran.stderr().contains(word), "{set}: no `{word}` in {}", ran.stderr());
    }
    assert!(!record.exists(), "{set}: something was written");
}

#[test]
fn expectations_that_can_never_fire() {
    refused("expect=[Never(verdict: (of: \"pi-9\", kind: \"stuck\"))]", &["there is no twin `pi-9`", "pi-1"]);
    refused("expect=[Never(verdict: (kind: \"stuk\"))]", &["no verdict has the kind `stuk`", "stuck"]);
    refused("expect=[Never(verdict: (of: \"pi-1\", part: \"zoc\"))]", &["has the part `zoc`", "soc"]);
    refused(
        "expect=[Always(signal: \"pi-1/nothing@residual\", above: 0.0)]",
        &["fits `pi-1/nothing@residual`"],
    );
}

#[test]
fn fields_and_values_that_make_no_sense() {
    refused("duration=\"0s\"", &["duration"]);
    refused("step=0", &["step"]);
    refused("mirror[0].forecast.interval=1.5", &["interval"]);
    refused("physicals[0].publish.qos=3", &["qos"]);
    refused("mirror[0].thing=\"raspberry-pie\"", &["raspberry-pi-3b"]);
    refused("colour=\"red\"", &["colour"]);
}

#[test]
fn a_fleet_beyond_all_bounds() {
    let ran = command(&["check", "scenarios/greenhouse.ron"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let ran = command(&["run", "greenhouse", "--quiet", "--set", "fleet[0].count=100000000"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("20000000 devices"), "{}", ran.stderr());
}

#[test]
fn a_reader_who_leaves_early_is_no_bug() {
    let mut child = twinfleet_command().args(["list", "sensors"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_ne!(child.wait().unwrap().code(), Some(101));
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_run() {
    let dir = scratch();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let ran =
        command(&["run", "pi3b-mirror", "--broker", "none", "--quiet", "--report", file.to_str().unwrap()]);
    assert_eq!(ran.code(), 3, "{}", ran.stderr());
    assert!(ran.stdout().len() < 1000, "the run went on: {}", ran.stdout());
}
