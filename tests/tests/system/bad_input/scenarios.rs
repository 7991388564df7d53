//! Scenario files that are wrong.

use super::*;

#[test]
fn ron_syntax() {
    bent(
        "duration: \"5min\", step",
        "duration: \"5min\" step",
        expect![[r#"
             x expected `,` before this
              ,-[a.ron:4:20]
            3 |   about: "a test",
            4 |   duration: "5min" step: "1s",
              :                    ^^^^
            5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
              `----
             help: is a comma missing at the end of the value before?
        "#]],
    );
    bent(
        "links: [",
        "links: [[",
        expect![[r#"
         x `)` does not close the `[` that is still open
          ,-[a.ron:6:10]
        5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
        6 |   links: [[(id: "wifi", loss: 0.01)],
          :          |
          :          `-- opened here
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
          `----
           ,-[a.ron:17:1]
        16 |   ],
        17 | )
           : |
           : `-- closes something else
           `----
         help: close it with `]` before, or take it away
    "#]],
    );
}

#[test]
fn an_unknown_field() {
    bent(
        "count: 3",
        "cuont: 3",
        expect![[r#"
         x there is no field `cuont` in a Group
          ,-[a.ron:7:27]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", cuont: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
          :                           ^^|^^
          :                             `-- unknown field
        8 |   physicals: [(
          `----
         help: did you mean `count`?
    "#]],
    );
}

#[test]
fn a_value_of_another_kind() {
    bent(
        "temperature_c: 20.0",
        "temperature_c: \"20 F\"",
        expect![[r#"
             x `temperature_c` must be a number, not "20 F"
              ,-[a.ron:5:48]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", temperature_c: "20 F"), (id: "room", in: "house")]),
              :                                                ^^^^^^
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: write temperature_c: 20, if that is in the unit that its name says
        "#]],
    );
    bent(
        "loss: 0.01",
        "radio: (distance_m: (3.0, \"60 m\"))",
        expect![[r#"
             x a value of `distance_m` must be a number, not "60 m"
              ,-[a.ron:6:50]
            5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
            6 |   links: [(id: "wifi", radio: (distance_m: (3.0, "60 m")))],
              :                                                  ^^^^^^
            7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
              `----
             help: write 60, if that is in the unit that its name says
        "#]],
    );
}

#[test]
fn a_figure_out_of_its_units_range() {
    bent(
        "temperature_c: 20.0",
        "temperature_c: -300",
        expect![[r#"
             x -300 is out of range: a temperature in °C lies within -273.15 and 2000
              ,-[a.ron:5:48]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", temperature_c: -300), (id: "room", in: "house")]),
              :                                                ^^|^
              :                                                  `-- `temperature_c`
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: nothing is colder than -273.15 °C
        "#]],
    );
    bent(
        "loss: 0.01",
        "loss: 1.5",
        expect![[r#"
         x `loss` must lie within 0 and 1, but is 1.5
          ,-[a.ron:6:30]
        5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
        6 |   links: [(id: "wifi", loss: 1.5)],
          :                              ^^^
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
          `----
         help: if that is a percentage: 1.5 % is written 0.015
    "#]],
    );
}

#[test]
fn a_dangling_reference() {
    bent(
        "in: [\"room\"]",
        "in: [\"rom\"]",
        expect![[r#"
         x there is no zone `rom`
          ,-[a.ron:7:71]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["rom"], link: "wifi")],
          :                                                                       ^^^^^
        8 |   physicals: [(
          `----
         help: did you mean `room`?
    "#]],
    );
    bent(
        "thing: \"esp32-weather-node\"",
        "thing: \"esp32-wether-node\"",
        expect![[r#"
         x there is no thing `esp32-wether-node`
          ,-[a.ron:7:44]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-wether-node", in: ["room"], link: "wifi")],
          :                                            ^^^^^^^^^^^^^^^^^^^
        8 |   physicals: [(
          `----
         help: did you mean `esp32-weather-node`?
    "#]],
    );
}

#[test]
fn a_duplicate_id() {
    bent(
        "(id: \"room\", in: \"house\")",
        "(id: \"room\", in: \"house\"), (id: \"room\")",
        expect![[r#"
             x two zones have the id `room`
              ,-[a.ron:5:87]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house"), (id: "room")]),
              :                                                            ^^^|^^                     ^^^^^^
              :                                                               `-- first here
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: give each zone an id of its own: rename one of the two, or take it away
        "#]],
    );
}

#[test]
fn zones_that_contain_each_other() {
    bent(
        "(id: \"house\", ",
        "(id: \"house\", in: \"room\", ",
        expect![[r#"
             x zones contain each other in a circle: house in room in house
              ,-[a.ron:5:37]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", in: "room", temperature_c: 20.0), (id: "room", in: "house")]),
              :                                     ^^^^^^                                         ^^^^^^^
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: take `in` away from the outermost zone
        "#]],
    );
}

#[test]
fn two_parts_at_one_address() {
    let thing = r#"Thing(
  format: 1, name: "twice", source: "a test", board: "esp32-devkit",
  parts: [(id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bme280", on: I2c(0x76))],
)"#;
    let files = [("a.ron", GOOD.as_bytes()), ("catalog/things/twice.ron", thing.as_bytes())];
    refused_among(
        &files,
        &RUN,
        &expect![[r#"
         x two parts share the address 0x76 of one I2C bus
          ,-[catalog/things/twice.ron:3:85]
        2 |   format: 1, name: "twice", source: "a test", board: "esp32-devkit",
        3 |   parts: [(id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bme280", on: I2c(0x76))],
          :                                          ^^^^|^^^^                                  ^^^^^^^^^
          :                                              `-- first here
        4 | )
          `----
         help: `bme280` also answers to 0x77
    "#]],
    );
}

#[test]
fn an_expectation_of_no_signal() {
    bent(
        "bme280.temperature@reading",
        "bme280.temprature@reading",
        expect![[r#"
         x no signal of this run fits `node-*/bme280.temprature@reading`
           ,-[a.ron:14:20]
        13 |   expect: [
        14 |     Always(signal: "node-*/bme280.temprature@reading", between: (-40.0, 85.0)),
           :                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        15 |     Never(verdict: Any),
           `----
         help: did you mean `node-*/bme280.temperature@reading`, `node-*/bme280.pressure@reading` or `node-*/
               bme280.humidity@reading`?
    "#]],
    );
    bent(
        "bme280.temperature@reading",
        "bme280.temperature@truth",
        expect![[r#"
         x no signal of this run fits `node-*/bme280.temperature@truth`
           ,-[a.ron:14:20]
        13 |   expect: [
        14 |     Always(signal: "node-*/bme280.temperature@truth", between: (-40.0, 85.0)),
           :                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        15 |     Never(verdict: Any),
           `----
         help: it has: `node-*/bme280.temperature@reading`
    "#]],
    );
    bent(
        "node-*/",
        "nod-*/",
        expect![[r#"
         x no signal of this run fits `nod-*/bme280.temperature@reading`
           ,-[a.ron:14:20]
        13 |   expect: [
        14 |     Always(signal: "nod-*/bme280.temperature@reading", between: (-40.0, 85.0)),
           :                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        15 |     Never(verdict: Any),
           `----
         help: known: `house`, `node-0`, `outside`, `room`
    "#]],
    );
}

#[test]
fn deep_nesting() {
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    bent(
        "about: \"a test\"",
        &format!("about: {open}{close}"),
        expect![[r#"
         x brackets are nested more than 48 deep
          ,-[a.ron:3:57]
        3 |   about: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
          :                                                         |
          :                                                         `-- this one is too deep
          `----
         help: no scenario or catalog file needs so much; was a value repeated by mistake?
    "#]],
    );
}

#[test]
fn scenarios_that_are_no_text() {
    scenario(
        "",
        expect![[r#"
        x `a.ron` is empty
         ,-[a.ron:1:1]
         `----
        help: a file starts with `Scenario(format: 1, …)`
    "#]],
    );
    scenario(
        b"\x7fELF\x02\x01\x01\0\0\0\0".as_slice(),
        expect![[r#"
        x `a.ron` is a binary file, a text was expected
         ,-[a.ron:1:1]
         `----
        help: definition files are RON texts in UTF-8; see `twinfleet list scenarios` for examples
    "#]],
    );
    scenario(
        b"Scenario(about: \"20 \xb0C\")".as_slice(),
        expect![[r#"
         x the text is not UTF-8
          ,-[a.ron:1:21]
        1 | Scenario(about: "20 �C")
          :                     |
          :                     `-- this byte belongs to no UTF-8 character
          `----
         help: save the file in UTF-8
    "#]],
    );
    scenario(
        " ".repeat(17 << 20),
        expect![[r#"
        x `a.ron` is larger than 16 MiB
         ,-[a.ron:1:1]
         `----
        help: definition files are small texts; put readings into a recording (CSV) and name it
    "#]],
    );
}

#[test]
fn a_scenario_of_one_line_of_a_gigabyte() {
    let dir = scratch();
    let path = dir.path().join("a.ron");
    // Its length is what counts; a file with a hole is made at once.
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let ran = Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).args(RUN).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    expect![[r#"
        x `a.ron` is larger than 16 MiB
         ,-[a.ron:1:1]
         `----
        help: definition files are small texts; put readings into a recording (CSV) and name it
    "#]]
    .assert_eq(&dedented(&String::from_utf8_lossy(&ran.stderr)));
}

#[test]
fn a_fault_larger_than_any_reading() {
    bent(
        "  expect: [",
        "  timeline: [(at: \"1min\", do: Fault(target: \"pi/soc.temperature\", kind: Bias(by: 1e300)))],\n  expect: [",
        expect![[r#"
             x `by` is 1e300: no reading, record or report can hold what comes of it
               ,-[a.ron:13:82]
            12 |   )],
            13 |   timeline: [(at: "1min", do: Fault(target: "pi/soc.temperature", kind: Bias(by: 1e300)))],
               :                                                                                  ^^^^^
            14 |   expect: [
               `----
             help: write a size of at most 1e12
        "#]],
    );
}

/// Checks files; the exit code and what is said on standard error.
fn checked(files: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let dir = scratch();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let ran =
        Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).arg("check").args(args).output();
    let ran = ran.unwrap();
    (ran.status.code().unwrap(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn an_expectation_that_never_looks_and_one_that_nothing_suspends() {
    let never = "Never(verdict: Any, after: \"1h\"), Always(signal: \"node-*/bme280.temperature@reading\", above: 0.0, unless: Verdict(\"pi\"))";
    let text = GOOD.replace("Never(verdict: Any)", never);
    let (code, said) = checked(&[("a.ron", &text), ("r.csv", TABLE)], &["a.ron"]);
    assert!(said.contains("beyond the end of the run, 5min") && said.contains("a.ron:15:"), "{said}");
    assert!(said.contains("no twin follows `pi`"), "{said}");
    assert_eq!(code, 0, "{said}");
    let unless =
        "Always(signal: \"node-*/bme280.temperature@reading\", above: 0.0, unless: Fault(\"node-9\"))";
    let text = GOOD.replace("Never(verdict: Any)", unless);
    let (code, said) = checked(&[("a.ron", &text), ("r.csv", TABLE)], &["a.ron"]);
    assert!(said.contains("called `node-9`, so no fault of it ever suspends this"), "{said}");
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_file_of_parameters_is_checked_as_what_it_is() {
    let shipped = twinfleet_tests::root().join("assets/params");
    let (code, said) = checked(&[], &[shipped.to_str().unwrap()]);
    assert_eq!((code, said.as_str()), (0, ""));
    let good = std::fs::read_to_string(shipped.join("tclab-run-b.ron")).unwrap();
    for (from, to, want) in [
        ("\"tclab\"", "\"tclub\"", "there is no thing `tclub`"),
        ("\"tau\"", "\"tao\"", "tao"),
        ("format: 1", "format: 7", "this program reads format 1"),
        ("sd: ", "sd: -", "`sd` must be at least 0"),
        ("0.0169307", "1e30", "but the thing bounds it by"),
    ] {
        assert!(good.contains(from), "{from}");
        let (code, said) = checked(&[("p.ron", &good.replacen(from, to, 1))], &["p.ron"]);
        assert!(code == 2 && said.contains(want) && said.contains("p.ron:"), "{want}: {said}");
    }
}

#[test]
fn two_twins_that_hear_the_same_devices() {
    let twins = |topic: &str| {
        let twin = |id: &str| {
            format!(
                "(twin: \"{id}\", thing: \"raspberry-pi-3b\", bind: [(topic: \"{topic}\", decode: Json)])"
            )
        };
        format!("Scenario(format: 1, duration: \"1min\", mirror: [{}, {}])", twin("a"), twin("b"))
    };
    let (code, said) = checked(&[("a.ron", &twins("my/+/x"))], &["a.ron"]);
    assert!(said.contains("the twins `a` and `b` take in the same messages"), "{said}");
    assert_eq!(code, 0, "{said}");
    let (code, said) = checked(&[("a.ron", &twins("my/{device}/x"))], &["a.ron"]);
    assert_eq!((code, said.as_str()), (0, ""));
}

#[test]
fn a_twin_whose_topic_nobody_publishes_on() {
    let run = |topic: &str| {
        let set = format!("mirror[0].bind[0].topic=\"{topic}\"");
        let ran = Command::new(twinfleet_tests::twinfleet())
            .current_dir(scratch().path())
            .args(["run", "pi3b-mirror", "--broker", "none", "--set", "duration=\"5min\"", "--set", &set])
            .output()
            .unwrap();
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let said = run("fleet/{device}/stat");
    assert!(said.contains("the twin `pi-1` heard nothing on `fleet/pi-1/stat`"), "{said}");
    assert!(said.contains("did you mean `fleet/pi-1/state`?"), "{said}");
    let said = run("fleet/{device}/state");
    assert!(!said.contains("heard nothing"), "{said}");
}

#[test]
fn a_topic_that_belongs_to_the_broker() {
    bent(
        "topic: \"lab/{device}\"",
        "topic: \"$SYS/{device}\"",
        expect![[r#"
             x topics that begin with `$` are the broker's own
               ,-[a.ron:11:22]
            10 |     from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "temp C"}),
            11 |     publish: (topic: "$SYS/{device}"),
               :                      ^^^^^^^^^^^^^^^
            12 |   )],
               `----
             help: begin it otherwise, such as "lab/{device}"
        "#]],
    );
}

#[test]
fn a_twin_in_whose_messages_nothing_is_its_own() {
    let with = |mirror: &str, map: &str| {
        GOOD.replace("  expect: [", &format!("  mirror: [{mirror}],\n  expect: ["))
            .replace("soc.temperature@reported", map)
    };
    let table = whole_table();
    let said =
        |mirror: &str, map: &str| checked(&[("a.ron", &with(mirror, map)), ("r.csv", &table)], &["a.ron"]);
    // Another thing; a name that is misspelt; one that is right.
    let lab = r#"(twin: "pi", thing: "tclab", bind: [(topic: "lab/{device}")])"#;
    let (code, words) = said(lab, "soc.temperature@reported");
    assert_eq!(code, 0, "{words}");
    assert!(words.contains("nothing that `pi` reports is measured by `tclab`"), "{words}");
    assert!(words.contains("sensor1.temperature"), "{words}");
    let pi = r#"(twin: "pi", thing: "raspberry-pi-3b", bind: [(topic: "lab/{device}")])"#;
    let (_, words) = said(pi, "soc.temprature@reported");
    assert!(words.contains("a.ron:13:32") && words.contains("did you mean `soc.temperature`?"), "{words}");
    assert_eq!(said(pi, "soc.temperature@reported"), (0, String::new()));
    // A pointer to what the twin does not follow.
    let pointer = r#"(twin: "pi", thing: "raspberry-pi-3b", bind: [(topic: "lab/{device}", decode: Pointers(map: {"soc.temprature": "/t"}))])"#;
    let (code, words) = said(pointer, "soc.temperature@reported");
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("there is no signal `soc.temprature`"), "{words}");
    assert!(words.contains("did you mean `soc.temperature`?"), "{words}");
    // Of a simulated device that shows when the run is over.
    let node =
        r#"(twin: "node-0", thing: "raspberry-pi-3b", bind: [(topic: "greenhouse/+/{device}/state")])"#;
    let dir = scratch();
    std::fs::write(dir.path().join("a.ron"), with(node, "soc.temperature@reported")).unwrap();
    std::fs::write(dir.path().join("r.csv"), TABLE).unwrap();
    let ran = Command::new(twinfleet_tests::twinfleet())
        .current_dir(dir.path())
        .args(["run", "a.ron", "--broker", "none"])
        .output()
        .expect("the command starts");
    let words = String::from_utf8_lossy(&ran.stderr);
    assert!(words.contains("found nothing in them that it follows"), "{words}");
}

#[test]
fn durations_and_verdicts_that_are_none_come_with_advice() {
    bent(
        "duration: \"5min\"",
        "duration: -5",
        expect![[r#"
             x the duration `-5` is out of range
              ,-[a.ron:4:13]
            3 |   about: "a test",
            4 |   duration: -5, step: "1s",
              :             ^^
            5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
              `----
             help: write one of at least 0 s and below 292 years
        "#]],
    );
    bent(
        "Never(verdict: Any)",
        "Never(verdict: (says: \"stuck\"))",
        expect![[r#"
             x expected `Any` or `(of: "twin", kind: "stuck", part: "part.quantity")`
               ,-[a.ron:15:20]
            14 |     Always(signal: "node-*/bme280.temperature@reading", between: (-40.0, 85.0)),
            15 |     Never(verdict: (says: "stuck")),
               :                    ^^^^^^^^^^^^^^^
            16 |   ],
               `----
             help: write `Any` or `(of: "twin", kind: "stuck", part: "part.quantity")`
        "#]],
    );
}

#[test]
fn a_name_before_brackets_that_need_none() {
    bent(
        "world: (zones",
        "world: World(zones",
        expect![[r#"
             x `World` does not belong before these brackets
              ,-[a.ron:5:15]
            4 |   duration: "5min", step: "1s",
            5 |   world: World(zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
              :               ^
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: write the brackets alone: `(…)`
        "#]],
    );
}

#[test]
fn payloads_that_nobody_could_publish() {
    let table = whole_table();
    let check = |publish: &str, more: &str| {
        let text = GOOD
            .replace("(topic: \"lab/{device}\")", publish)
            .replace("  expect: [", &format!("  {more}\n  expect: ["));
        checked(&[("a.ron", &text), ("r.csv", &table)], &["a.ron"])
    };
    let template = |text: &str| format!(r#"(topic: "lab/{{device}}", payload: Template("{text}"))"#);
    for (text, words) in [
        (r"t={soc.temperature", "has a `{` without its counterpart"),
        // JSON with one brace too few at its end.
        (r#"{{\"t\": {soc.temperature}}"#, "has a `}` without its counterpart"),
        (r"{soc.temperature:.99}", "`.99` is no format"),
    ] {
        let (code, said) = check(&template(text), "");
        assert_eq!(code, 2, "{text}: {said}");
        assert!(
            said.contains(words) && said.contains("a.ron:11:") && said.contains("help: write `"),
            "{said}"
        );
    }
    let whole = check(&template(r#"{{\"t\": {soc.temperature:.1}}}"#), "");
    assert_eq!(whole, (0, String::new()));
    let (code, said) = check(r#"(topic: "lab/{device")"#, "");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("a brace in this topic is without its counterpart"), "{said}");
    // Of a firmware of one's own: more jitter than its period bears, and a command to nothing.
    let thing = |firmware: &str| {
        format!(
            r#"things: [(name: "own", source: "a test", board: "esp32-devkit", firmware: (period: "10s", {firmware}))],"#
        )
    };
    let good = r#"(topic: "lab/{device}")"#;
    let (code, said) = check(good, &thing(r#"jitter: "30s""#));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("a jitter of 30s is too much for a period of 10s"), "{said}");
    let (code, said) = check(good, &thing(r#"commands: [(topic: "c/{device}", part: "led")]"#));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("there is no actuator `led`") && said.contains("the thing has none"), "{said}");
}
