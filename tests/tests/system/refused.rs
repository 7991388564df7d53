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
fn a_prefix_that_leaves_no_room_for_a_topic() {
    let long = "x".repeat(70_000);
    let lines: [&[&str]; 5] = [
        &["run", "pi3b-mirror", "--quiet", "--prefix", &long],
        &["replay", "pi3b-mirror", "--prefix", &long],
        &["load", "load-smoke", "--quiet", "--prefix", &long],
        &["mirror", "pi3b-mirror", "--broker", "mqtt://127.0.0.1:1", "--prefix", &long],
        &["mirror", "pi3b-mirror", "--broker", "mqtt://127.0.0.1:1", "--ha-prefix", &long],
    ];
    for line in lines {
        let ran = command(line);
        assert_eq!(ran.code(), 2, "{}", line[0]);
        assert!(ran.stderr().contains("write a prefix of at most 4096"), "{}", line[0]);
        assert!(ran.stderr().contains(line[line.len() - 2]), "{}: the flag is not named", line[0]);
    }
}

#[test]
fn a_prefix_is_the_begin_of_a_topic() {
    let there = ["--broker", "mqtt://127.0.0.1:1"];
    for (prefix, told) in [("lab/#", "wildcards"), ("+", "wildcards"), ("$SYS/x", "broker's own")] {
        for line in [
            ["run", "pi3b-mirror", "--prefix"],
            ["replay", "pi3b-mirror", "--prefix"],
            ["load", "load-smoke", "--prefix"],
            ["mirror", "pi3b-mirror", "--prefix"],
            ["mirror", "pi3b-mirror", "--ha-prefix"],
        ] {
            let ran = command(&[&line[..], &[prefix], &there].concat());
            assert_eq!(ran.code(), 2, "{line:?} {prefix}: {}", ran.stderr());
            assert!(
                ran.stderr().contains(told) && ran.stderr().contains(line[2]),
                "{line:?}: {}",
                ran.stderr()
            );
        }
    }
}

#[test]
fn certificates_and_passwords_for_a_broker_that_asks_for_none() {
    for flags in
        [&["--ca-file", "ca.pem"][..], &["--cert", "a.pem", "--key", "a.key"], &["--password-file", "word"]]
    {
        for broker in ["embedded", "none"] {
            let ran = command(&[&["replay", "pi3b-mirror", "--broker", broker], flags].concat());
            assert_eq!(ran.code(), 2, "{flags:?} {broker}: {}", ran.stderr());
            assert!(
                ran.stderr().contains("asks for none") && ran.stderr().contains("mqtts://host"),
                "{}",
                ran.stderr()
            );
        }
    }
}

#[test]
fn expectations_that_can_never_fire() {
    refused("expect=[Never(verdict: (of: \"pi-9\", kind: \"stuck\"))]", &["there is no twin `pi-9`", "pi-1"]);
    refused("expect=[Never(verdict: (kind: \"stuk\"))]", &["no verdict has the kind `stuk`", "stuck"]);
    refused(
        "expect=[Count(event: (kind: \"offline\"), between: (-5, -1))]",
        &["nothing is counted less than 0 times", "between: (0, 0)"],
    );
    refused("expect=[Never(event: (kind: \"brownot\"))]", &["no event has the kind `brownot`", "brown_out"]);
    refused(
        "expect=[Never(event: (of: \"pi-7\", kind: \"offline\"))]",
        &["nothing here is called `pi-7`, so no event befalls it", "pi-1"],
    );
    refused("expect=[Never(verdict: (of: \"pi-1\", part: \"zoc\"))]", &["has the part `zoc`", "soc"]);
    refused(
        "expect=[Never(event: (kind: \"fault_start\", part: \"soc.temprature\"))]",
        &["no device meant here has the part `soc.temprature`", "did you mean `soc.temperature` or"],
    );
    refused(
        "expect=[Always(signal: \"pi-1/nothing@residual\", above: 0.0)]",
        &["fits `pi-1/nothing@residual`"],
    );
}

#[test]
fn faults_of_a_part_that_is_there_may_be_expected() {
    for part in ["soc.temperature", "soc", "soc.*", ""] {
        let set =
            format!("expect=[Count(event: (kind: \"fault_start\", part: \"{part}\"), between: (1, 9))]");
        let ran = command(&["run", "pi3b-mirror", "--broker", "none", "--quiet", "--set", &set]);
        assert_eq!(ran.code(), 0, "{part}: {}", ran.stderr());
    }
}

#[test]
fn fields_and_values_that_make_no_sense() {
    refused("duration=\"0s\"", &["duration"]);
    refused("step=0", &["step"]);
    refused("mirror[0].forecast.interval=1.5", &["interval"]);
    refused("mirror[0].forecast.horizons=[\"60s\", \"1min\"]", &["this horizon stands twice", "take one"]);
    refused("physicals[0].publish.qos=3", &["qos"]);
    refused("record=(segment: \"1ms\")", &["a segment is shorter than a step", "write 1s or more"]);
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
fn a_reader_of_standard_error_who_leaves_early_ends_no_run() {
    let dir = scratch();
    let record = dir.path().join("r");
    let mut child = twinfleet_command()
        .args(["run", "tclab-mirror", "--broker", "none", "--record", record.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let manifest = std::fs::read_to_string(record.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"finished\": true"), "{manifest}");
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_run() {
    let dir = scratch();
    let file = dir.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let ran =
        command(&["run", "pi3b-mirror", "--broker", "none", "--quiet", "--report", file.to_str().unwrap()]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(ran.stdout().len() < 1000, "the run went on: {}", ran.stdout());
}

#[test]
fn what_is_wrong_with_a_catalog_is_told_once() {
    let dir = scratch();
    let things = dir.path().join("catalog/things");
    std::fs::create_dir_all(&things).unwrap();
    std::fs::write(things.join("bad.ron"), "Thing(format: 1, name: \"bad\", source: \"s\", board: \"nano\")")
        .unwrap();
    for name in ["a.ron", "b.ron"] {
        std::fs::write(dir.path().join(name), "Scenario(format: 1, duration: \"1h\")").unwrap();
    }
    let ran = command(&["check", dir.path().to_str().unwrap()]);
    assert_eq!(ran.code(), 2);
    assert_eq!(ran.stderr().matches("there is no board `nano`").count(), 1, "{}", ran.stderr());
    assert_eq!(ran.json().as_array().map(Vec::len), Some(1), "{}", ran.stdout());
}

#[test]
fn a_folder_without_scenarios_is_not_valid_and_hides_none() {
    let dir = scratch();
    for folder in ["greenhouse", "empty/below"] {
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let check = |path: &str| {
        twinfleet_command()
            .current_dir(dir.path())
            .args(["check", path])
            .output()
            .expect("the command starts")
    };
    let shipped = check("greenhouse");
    let said = String::from_utf8_lossy(&shipped.stdout).into_owned();
    assert!(
        shipped.status.success() && said.contains("1 file, valid") && said.contains("greenhouse: "),
        "{said}"
    );
    for path in ["empty", "greenhouse/", "."] {
        let refused = check(path);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{path}: {said}");
        assert!(said.contains("there is no .ron file in the folder"), "{path}: {said}");
    }
}

#[test]
fn a_quiet_run_says_nothing_but_what_failed() {
    let run = |expect: &str| {
        let set = format!("expect=[{expect}]");
        let args = ["run", "tclab-mirror", "--broker", "none", "--quiet", "--set", &set];
        let ran = twinfleet_command().args(args).output().expect("the command starts");
        assert!(ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stdout));
        (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    assert_eq!(run("Count(verdict: Any, between: (0, 9))"), (Some(0), String::new()));
    let (code, said) =
        run("Count(name: \"many\", verdict: Any, between: (9, 99)), Never(verdict: (kind: \"drift\"))");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("FAILED  many\n") && !said.contains("held  "), "{said}");
    assert!(
        said.contains("1 of 2 expectations failed\nrun it again with: twinfleet run tclab-mirror"),
        "{said}"
    );
}

#[test]
fn a_run_of_part_of_a_step_and_a_clock_that_runs_backwards() {
    refused("step=\"7s\"", &["no whole number of steps", "59min58s", "1h5s"]);
    refused("timeline[4].do.kind.ppm=-1000000", &["stands still"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_or_device_is_refused_unread() {
    let dir = scratch();
    let pipe = dir.path().join("pipe.ron");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.to_str().unwrap(), "/dev/zero"] {
        let ran = command(&["run", path]);
        assert_eq!(ran.code(), 2, "{path}");
        assert!(
            ran.stderr().contains("no regular file") && ran.stderr().contains("into a file"),
            "{}",
            ran.stderr()
        );
        refused(&format!("physicals[0].from.path={path:?}"), &["no regular file"]);
        let ran = command(&["replay", path, "--time", "t", "--map", "a.temperature=t", "--quiet"]);
        assert_eq!(ran.code(), 2, "{path}");
    }
}
