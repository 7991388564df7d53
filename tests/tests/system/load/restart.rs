//! A broker that is restarted in the middle, by a fault of the scenario or by somebody else.

use super::*;

const LOAD: &str = r#"
    devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("20ms"))],
    subscribers: [(id: "s", filter: "t/#", qos: 1)],
    stages: [Hold(for: "3s")], drain: "3s", faults: [(at: "1s", do: Restart(down: "300ms"))]"#;

#[test]
fn the_embedded_broker_is_restarted_in_the_middle() {
    let dir = scratch();
    let file = scenario(dir.path(), "restart.ron", LOAD);
    let page = dir.path().join("page");
    let page_text = page.to_str().expect("text");
    let ran = command(&["load", &file, "--set", PATIENT, "--quiet", "--report", page_text]);
    let result = ran.json();
    assert_eq!(ran.code(), 0, "{result}\n{}", ran.stderr());
    // The page says why connections were lost.
    let html = std::fs::read_to_string(page.join("report.html")).expect("report.html");
    assert!(html.contains("Connections lost or refused"), "{html}");
    let counters = &result["counters"];
    assert_eq!((&counters["disconnected"], &counters["reconnected"]), (&6.into(), &6.into()), "{result}");
    assert_eq!(
        (&result["verdict"]["sent"], &result["verdict"]["never_sent"]),
        (&750.into(), &0.into()),
        "{result}"
    );
}

/// A script of the user's.
pub fn program(dir: &Path, name: &str, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    path.display().to_string()
}

#[test]
fn another_broker_is_restarted_by_a_program_of_the_users() {
    let dir = scratch();
    let file = scenario(dir.path(), "restart.ron", LOAD);
    let broker =
        twinfleet_twins::wire::broker::Broker::start(Default::default()).expect("the embedded broker");
    let url = format!("mqtt://{}", broker.addr());
    let base = ["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"];
    let without = command(&base);
    assert_eq!(without.code(), 2, "{}", without.stderr());
    assert!(without.stderr().contains("--restart-broker PROGRAM"), "{}", without.stderr());
    let program = |name: &str, text: &str| program(dir.path(), name, text);
    let told = dir.path().join("told");
    let good = program("restart it.sh", &format!("echo \"$#\" >> '{}'", told.display()));
    let ran = command(&[&base[..], &["--restart-broker", &good]].concat());
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    assert_eq!(std::fs::read_to_string(&told).expect("it ran"), "0\n");
    let bad = command(&[&base[..], &["--restart-broker", &program("bad.sh", "exit 7")]].concat());
    assert!(bad.code() == 3 && bad.stderr().contains("exit status: 7"), "{}", bad.stderr());
}

#[test]
fn no_restart_outlives_the_load() {
    let dir = scratch();
    let broker =
        twinfleet_twins::wire::broker::Broker::start(Default::default()).expect("the embedded broker");
    let url = format!("mqtt://{}", broker.addr());
    let faults = r#"faults: [(at: "300ms", do: Restart()), (at: "500ms", do: Restart())]"#;
    let load =
        LOAD.replace("3s", "1s").replace(r#"faults: [(at: "1s", do: Restart(down: "300ms"))]"#, faults);
    let file = scenario(dir.path(), "end.ron", &load);
    let run = |program: &str| {
        let args = ["load", &file, "--broker", &url, "--set", PATIENT, "--restart-broker", program];
        command(&[&args[..], &["--quiet"]].concat())
    };
    // It takes longer than the load: the second restart falls due meanwhile, and is not begun after the end.
    let told = dir.path().join("told");
    let slow = program(dir.path(), "slow.sh", &format!("echo x >> '{}'; sleep 4", told.display()));
    let ran = run(&slow);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    assert_eq!(std::fs::read_to_string(&told).expect("it ran"), "x\n");
    // It never ends: it is ended with all that it started.
    let told = dir.path().join("told too");
    let text = format!("(while :; do echo x >> '{}'; sleep 0.1; done) &\nwait", told.display());
    let ran = run(&program(dir.path(), "endless.sh", &text));
    assert!(ran.code() == 3 && ran.stderr().contains("had not ended"), "{}", ran.stderr());
    let size = || std::fs::metadata(&told).expect("it ran").len();
    let before = size();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(size(), before, "what it started goes on");
}

#[test]
fn a_closed_loop_outlives_a_restart_of_the_broker() {
    let faults = r#"load.faults=[(at: "2s", do: Restart(down: "200ms"))]"#;
    let some = "load.thresholds=[AtMost(of: CommandsFailed, bound: 12)]";
    let ran =
        command(&["load", "load-commands", "--set", faults, "--set", some, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    assert_eq!(ran.code(), 0, "{result}\n{}", ran.stderr());
    let n = |key: &str| result["counters"][key].as_u64().expect("a number");
    // Four lamps for six seconds: the commands go on, and most are followed.
    assert!(n("commands") >= 16 && n("commands_followed") >= 10, "{result}");
    assert!(result["reasons"].to_string().contains("the operator's connection broke"), "{result}");
}

#[test]
fn each_shard_of_a_closed_loop_commands_its_own_devices() {
    let dir = scratch();
    let broker =
        twinfleet_twins::wire::broker::Broker::start(Default::default()).expect("the embedded broker");
    let url = format!("mqtt://{}", broker.addr());
    let [one, other] = two_shards(dir.path(), "load-commands", &url, 4);
    let all = dir.path().join("all").display().to_string();
    let whole = command(&["merge", &one, &other, "--out", &all]).json();
    // As many as one process alone sends: a command a second to each of four lamps, but for the last second.
    let n = |key: &str| whole["counters"][key].as_u64().expect("a number");
    assert!((18..=22).contains(&n("commands")), "{whole}");
    assert!(n("commands_followed") + 4 >= n("commands"), "{whole}");
}

#[test]
fn who_is_to_be_away_stays_away_when_the_broker_is_back_before() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d", topic: "t/d", qos: 1, schedule: Constant("20ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)], stages: [Hold(for: "4s")], drain: "1s",
        faults: [(at: "300ms", do: Restart(down: "600ms")), (at: "600ms", until: "3s", do: Away(share: 1))]"#;
    let file = scenario(dir.path(), "away.ron", load);
    let ran = command(&["load", &file, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    // 15 before the restart, 50 after the three seconds; what is lost in between is excused.
    let received = result["verdict"]["received"].as_u64().expect("a number");
    assert!((1..100).contains(&received), "{result}");
    assert_eq!((ran.code(), &result["verdict"]["breaches"]), (0, &0.into()), "{result}");
}
