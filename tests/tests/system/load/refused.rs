//! What a load refuses before it begins, and what it warns of.

use super::*;

#[test]
fn bad_input_is_refused_with_its_place() {
    let dir = scratch();
    let bad = |load: &str, wanted: &str| {
        let file = scenario(dir.path(), "bad.ron", load);
        let ran = command(&["load", &file, "--quiet"]);
        assert_eq!(ran.code(), 2, "{load}: {}", ran.stderr());
        assert!(
            ran.stderr().contains(wanted) && ran.stderr().contains("bad.ron:1:"),
            "{load}: {}",
            ran.stderr()
        );
    };
    let device = r#"devices: [(id: "d", schedule: Constant("1s"))]"#;
    bad("stages: [Hold(for: \"1s\")]", "has connections");
    bad(&format!("{device}, stages: []"), "at least one stage");
    bad(&format!("{device}, stages: [Hold(for: \"0s\")]"), "longer than 0 s");
    bad(
        &device.replace("\"1s\"", "\"0s\"").replace(")]", ")], stages: [Hold(for: \"1s\")]"),
        "spacing is above 0",
    );
    bad(
        r#"devices: [(id: "d", count: 2, schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "client id",
    );
    bad(
        r#"devices: [(id: "d", topic: "a/#", schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "wildcard",
    );
    bad(
        r#"devices: [(id: "d", qos: 3, schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "quality of service 3",
    );
    bad(
        r#"devices: [(id: "d", payload_bytes: 8, schedule: Constant("1s"))], stages: [Hold(for: "1s")]"#,
        "36",
    );
    bad(
        r#"devices: [(id: "d", schedule: Firmware(fleet: "x"))], stages: [Hold(for: "1s")]"#,
        "there is no group",
    );
    let listening =
        |subscriber: &str| format!("{device}, subscribers: [{subscriber}], stages: [Hold(for: \"1s\")]");
    bad(
        r#"devices: [(id: "n-{}", count: 3, schedule: Constant("1s")), (id: "n-1", schedule: Constant("1s"))],
        stages: [Hold(for: "1s")]"#
            .replace('\n', "")
            .as_str(),
        "has the client id `n-1` too",
    );
    bad(&listening(r#"(id: "d", filter: "a")"#), "has the client id `d` too");
    for (more, wanted) in [
        (r#"faults: [(at: "50s", do: Storm(share: 1))]"#, "begin outside"),
        (r#"faults: [(at: "0s", do: Malformed(connections: 0))]"#, "0 strangers"),
        (r#"batch: "2s", drain: "1s""#, "would not leave before the load is over"),
        (r#"faults: [(at: "0s", do: SlowReader(share: 1, bytes_per_s: 0))]"#, "no slow reader"),
        ("limits: (cpu: -1)", "`cpu` must be above 0"),
        (r#"keep_alive: "1500ms""#, "in whole seconds"),
        (r#"thresholds: [Below(of: Latency, percentile: 0, bound: "1ms")]"#, "`percentile` must be above 0"),
        (
            r#"thresholds: [Below(of: Latency, percentile: 9, bound: "1s", stage: 1)], search: (to: 2, for: "1s", confirm: "1s")"#,
            "a single stage",
        ),
    ] {
        bad(&format!("{device}, stages: [Hold(for: \"1s\"), Hold(for: \"1s\")], {more}"), wanted);
    }
    bad(&format!("{device}, stages: [Hold(for: \"1s\", rate: 0)]"), "nothing is sent");
    bad(
        r#"devices: [(id: "d", schedule: Constant("1s"), will: "$SYS/x")], stages: [Hold(for: "1s")]"#,
        "the broker's own",
    );
    for (args, wanted) in [
        (&["load", "pi3b-mirror"][..], "no `load:` section"),
        (&["load", "load-smoke", "--broker", "none"], "needs a broker"),
        (&["load", "load-smoke", "--broker", "http://x"], "names no broker"),
        (&["load", "load-smoke", "--shard", "2/2"], "no shard"),
        (&["load", "load-smoke", "--shard", "auto/2"], "JOB_COMPLETION_INDEX"),
        (&["load", "load-smoke", "--source", "1.2.3"], "names no source"),
        (&["load", "load-smoke", "--rate", "0"], "above 0"),
        (&["load", "load-smoke", "--start-at", "tomorrow"], "YYYY"),
        (&["load", "load-smoke", "--start-at", "2026-01-01T00:00:00Z"], " s ago"),
        (&["load", "load-search", "--rate", "2"], "a search finds its own rate"),
        (&["load", "load-search", "--out", "parts"], "a search has many passes"),
        (&["load", "load-search", "--start-at", "2030-01-01T00:00:00Z"], "a search has many passes"),
        (
            &["load", "load-search", "--shard", "0/2", "--start-at", "2030-01-01T00:00:00Z"],
            "a shard alone cannot tell",
        ),
        (&["load", "load-smoke", "--shard", "0/2"], "add `--start-at`"),
        (&["load", "load-commands", "--rate", "2"], "send as their firmware does"),
        (&["load", "load-smoke", "--set", "load.protocol=V5"], "the embedded broker speaks MQTT 3.1.1"),
        (
            &["load", "load-smoke", "--broker", "mqtt://[::1]:1", "--source", "127.0.0.2"],
            "which IPv4 addresses do not reach",
        ),
        (&["load", "load-smoke", "--restart-broker", "/bin/true"], "nothing restarts the broker"),
        (
            &[
                "load",
                "load-smoke",
                "--broker",
                "mqtts://127.0.0.1:1",
                "--cert",
                "no/{device}.pem",
                "--key",
                "no/key.pem",
            ],
            "`meter-0` has no file no/meter-0.pem",
        ),
    ] {
        let ran = command(args);
        assert_eq!(ran.code(), 2, "{args:?}: {}", ran.stderr());
        assert!(ran.stderr().contains(wanted), "{args:?}: {}", ran.stderr());
    }
    let nobody = command(&["load", "load-smoke", "--broker", "mqtt://127.0.0.1:1", "--quiet"]);
    assert_eq!(nobody.code(), 3, "{}", nobody.stderr());
    assert!(nobody.stderr().contains("127.0.0.1:1"), "{}", nobody.stderr());
}

#[test]
fn rates_that_firmware_does_not_follow_are_told() {
    let dir = scratch();
    let text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    let with = |name: &str, load: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text.replace("stages: [Hold(for: \"6s\")]", load)).expect("a scenario");
        path.display().to_string()
    };
    let ran = command(&["check", &with("ramp.ron", "stages: [Ramp(for: \"6s\", to: 3)]")]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert!(ran.stderr().contains("at any rate") && ran.stderr().contains("ramp.ron:"), "{}", ran.stderr());
    let search = "stages: [Hold(for: \"6s\")], search: (to: 4, for: \"1s\", confirm: \"1s\")";
    let ran = command(&["load", &with("search.ron", search), "--quiet"]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(ran.stderr().contains("at any rate of a search"), "{}", ran.stderr());
    // A fault that happens at once has no end.
    let storm = "stages: [Hold(for: \"6s\")], faults: [(at: \"1s\", until: \"2s\", do: Storm(share: 1))]";
    let ran = command(&["check", &with("storm.ron", storm)]);
    assert!(ran.code() == 0 && ran.stderr().contains("`until` does nothing here"), "{}", ran.stderr());
}

#[test]
fn a_wrong_password_is_told_as_one_and_at_once() {
    let test = "a_wrong_password_is_told_as_one_and_at_once";
    let Some(passwd) = twinfleet_tests::tool("mosquitto_passwd", test) else { return };
    let mosquitto = Mosquitto::start_with(test, |dir| {
        let file = dir.join("passwords");
        let args = ["-b", "-c", file.to_str().expect("text"), "lab", "right"];
        assert!(Command::new(&passwd).args(args).status().expect("mosquitto_passwd").success());
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    });
    let Some(mosquitto) = mosquitto else { return };
    let begin = std::time::Instant::now();
    let on = |login: &str| {
        command(&["load", "load-smoke", "--broker", &format!("mqtt://{login}{}", mosquitto.addr), "--quiet"])
    };
    let wrong = on("lab:wrong@");
    assert_eq!(wrong.code(), 3, "{}", wrong.stderr());
    assert!(wrong.stderr().contains("Check user name and password"), "{}", wrong.stderr());
    let none = on("");
    assert!(none.code() == 3 && none.stderr().contains("user:password@"), "{}", none.stderr());
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn commands_that_no_report_could_follow_are_no_fault_of_the_broker() {
    let dir = scratch();
    let text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    let checked = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let path = dir.path().join("commands.ron");
        std::fs::write(&path, text.replace(from, to)).expect("a scenario");
        let ran = command(&["check", path.to_str().expect("text")]);
        (ran.code(), ran.stderr())
    };
    for (from, to, wanted) in [
        ("field: \"/sensor", "field: \"sensor", "no JSON Pointer"),
        ("reported: \"lamps/{device}/state\"", "reported: \"lamps/+/state\"", "holds a wildcard"),
        ("reported: \"lamps/{device}/state\"", "reported: \"lamps/state\"", "report on one topic"),
        ("within: 6000", "within: -1", "`within`"),
    ] {
        let (code, said) = checked(from, to);
        assert_eq!(code, 2, "{to}: {said}");
        assert!(said.contains(wanted) && said.contains("commands.ron:"), "{to}: {said}");
    }
    // What does nothing is told, and no error.
    for (from, to, wanted) in [
        ("count: 4, schedule", "qos: 1, schedule", "`qos` does nothing here"),
        ("count: 4, schedule", "count: 7, schedule", "this group of the fleet has 4"),
        ("topic: \"lamps/{device}/set\", payloads", "topic: \"lamps/set\", payloads", "hear each command"),
        ("schedule: Firmware(fleet: \"lamp-{}\")", "schedule: Constant(\"1s\")", "are of that group"),
        ("every: \"1s\"", "every: \"20s\"", "1 of 4 devices get a command in a load of 6s"),
    ] {
        let (code, said) = checked(from, to);
        assert_eq!(code, 0, "{to}: {said}");
        assert!(said.contains(wanted) && said.contains("commands.ron:"), "{to}: {said}");
    }
}

#[test]
fn filters_that_hear_nobody_and_faults_that_withhold_nothing_are_told() {
    let dir = scratch();
    let load = r#"devices: [(id: "m-{}", count: 3, topic: "t/{device}/x", will: "gone/{device}", schedule: Constant("1s"))],
        subscribers: [(id: "s-{}", count: 3, filter: "FILTER")], stages: [Hold(for: "2s")], faults: [FAULTS]"#;
    let checked = |filter: &str, faults: &str| {
        let load = load.replace("FILTER", filter).replace("FAULTS", faults);
        let ran = command(&["check", &scenario(dir.path(), "deaf.ron", &load)]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    let deaf = "no device publishes on a topic that this filter takes";
    for (filter, wanted) in
        [("m/#", "\"t/m-0/x\""), ("t/{device}/x", "`+` takes that of any device"), ("t/{}/x", "\"t/m-0/x\"")]
    {
        let said = checked(filter, "");
        assert!(said.contains(deaf) && said.contains(wanted), "{filter}: {said}");
    }
    for filter in ["t/m-{}/x", "t/m-2/x", "gone/+", "$SYS/#", "#"] {
        let said = checked(filter, "");
        assert!(!said.contains(deaf), "{filter}: {said}");
    }
    let said = checked("#", "(at: \"1s\", do: WithholdAcks(share: 1))");
    assert!(said.contains("there is nothing to withhold"), "{said}");
}

#[test]
fn what_a_load_does_not_judge_is_told() {
    let dir = scratch();
    let text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    let with = text.replace(
        "    load: (",
        "    expect: [Always(name: \"dark\", signal: \"lamp-0/sensor.illuminance@reading\", below: 1.0)],\n    load: (",
    );
    let path = dir.path().join("expect.ron");
    std::fs::write(&path, &with).expect("a scenario");
    let said = |file: &str| {
        let ran = command(&["load", file, "--set", PATIENT, "--set", "load.stages=[Hold(for: \"2s\")]"]);
        ran.stderr()
    };
    let told = "`expect` does nothing in a load";
    assert!(said(path.to_str().expect("text")).contains(told));
    assert!(!said("load-commands").contains(told));
}
