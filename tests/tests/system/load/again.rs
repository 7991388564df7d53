//! Catalogs of one's own over shards, and sweeps that are begun anew.

use super::*;

#[test]
fn parts_are_merged_with_the_catalog_that_they_had() {
    let dir = scratch();
    let things = dir.path().join("own/things");
    std::fs::create_dir_all(&things).expect("a folder");
    let node = r#"Thing(format: 1, name: "my-node", about: "node", source: "own", board: "esp32-devkit",
        parts: [(id: "sensor", model: "bh1750", on: I2c(0x23))], power: Mains,
        firmware: (period: "200ms", publish: [(topic: "n/{device}", qos: 1)]))"#;
    std::fs::write(things.join("my-node.ron"), node).expect("a thing");
    let text = r#"Scenario(format: 1, seed: 3, duration: "2s", step: "100ms",
        fleet: [(id: "n-{}", count: 2, thing: "my-node")],
        load: (devices: [(id: "n-{}", count: 2, schedule: Firmware(fleet: "n-{}"))],
            subscribers: [(id: "s", filter: "n/#", qos: 1)], stages: [Hold(for: "1s")]))"#;
    let file = dir.path().join("own.ron").display().to_string();
    std::fs::write(&file, text).expect("a scenario");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (catalog, part) = (at("own"), at("part"));
    let ran = command(&["load", &file, "--catalog", &catalog, "--set", PATIENT, "--out", &part, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let without = command(&["merge", &part, "--out", &at("none")]);
    assert!(without.code() == 2 && without.stderr().contains("my-node"), "{}", without.stderr());
    let with = command(&["merge", &part, "--catalog", &catalog, "--out", &at("all")]);
    assert_eq!(with.code(), 0, "{}\n{}", with.stdout(), with.stderr());
}

#[test]
fn a_cell_of_another_definition_is_run_again() {
    let dir = scratch();
    let things = dir.path().join("catalog/things");
    std::fs::create_dir_all(&things).expect("a folder");
    let node = r#"Thing(format: 1, name: "my-node", about: "node", source: "own", board: "esp32-devkit",
        parts: [(id: "sensor", model: "bh1750", on: I2c(0x23))], power: Mains,
        firmware: (period: "PERIOD", publish: [(topic: "n/{device}", qos: 1)]))"#;
    let text = r#"Scenario(format: 1, duration: "10s", fleet: [(id: "n-{}", count: 2, thing: "my-node")])"#;
    let file = dir.path().join("own.ron").display().to_string();
    std::fs::write(&file, text).expect("a scenario");
    let out = dir.path().join("cells").display().to_string();
    let sweep = |period: &str| {
        std::fs::write(things.join("my-node.ron"), node.replace("PERIOD", period)).expect("a thing");
        let ran = command(&["sweep", &file, "--out", &out]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.json()["cells"][0]["inputs"].as_str().expect("text").to_owned()
    };
    let before = sweep("1s");
    assert_eq!(sweep("1s"), before);
    assert_ne!(sweep("2s"), before, "the cell of another definition was taken for this one");
}

#[test]
fn cells_that_share_a_broker_say_so_unless_it_is_restarted() {
    let dir = scratch();
    let broker =
        twinfleet_twins::wire::broker::Broker::start(Default::default()).expect("the embedded broker");
    let url = format!("mqtt://{}", broker.addr());
    let load = r#"
        devices: [(id: "d-{}", count: 2, topic: "t/{device}", schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "300ms")], drain: "100ms",
        limits: (lag: "10s", cpu: 2, waited_for_cpu: 2)"#;
    let file = scenario(dir.path(), "shared.ron", load);
    let at = |name: &str| dir.path().join(name).display().to_string();
    let sweep = |out: &str, more: &[&str]| {
        let args = ["sweep", &file, "--broker", &url, "--seeds", "1..2", "--out", &at(out)];
        command(&[&args[..], more].concat())
    };
    let shared = sweep("shared", &[]);
    assert_eq!((shared.code(), &shared.json()["shared_broker"]), (0, &true.into()), "{}", shared.stderr());
    let told = dir.path().join("told");
    let program = restart::program(dir.path(), "restart.sh", &format!("echo x >> '{}'", told.display()));
    let own = sweep("own", &["--restart-broker", &program]);
    assert_eq!((own.code(), &own.json()["shared_broker"]), (0, &false.into()), "{}", own.stderr());
    assert_eq!(std::fs::read_to_string(&told).expect("it ran"), "x\nx\n", "once a cell");
    let both = sweep("both", &["--restart-broker", &program, "--jobs", "2"]);
    assert!(both.code() == 2 && both.stderr().contains("leave --jobs out"), "{}", both.stderr());
    // Client ids are the same in all cells: at the same time, each would take the others' connections.
    let at_once = sweep("at-once", &["--jobs", "2"]);
    assert!(at_once.code() == 2 && at_once.stderr().contains("client ids"), "{}", at_once.stderr());
    let embedded = command(&["sweep", &file, "--restart-broker", &program, "--out", &at("embedded")]);
    assert!(embedded.code() == 2 && embedded.stderr().contains("of its own"), "{}", embedded.stderr());
}

#[test]
fn a_cell_of_another_text_or_broker_is_run_again() {
    let dir = scratch();
    let out = dir.path().join("cells").display().to_string();
    let load = r#"
        devices: [(id: "d-{}", count: COUNT, topic: "t/{device}", schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "500ms")], drain: "100ms",
        limits: (lag: "10s", cpu: CPU, waited_for_cpu: 2), thresholds: [AtMost(of: Sent, bound: 1000)]"#;
    let sweep = |count: &str, cpu: &str, more: &[&str]| {
        let file = scenario(dir.path(), "cell.ron", &load.replace("COUNT", count).replace("CPU", cpu));
        // A load needs no word of its broker.
        let ran = command(&[&["sweep", &file, "--out", &out], more].concat());
        let margins = ran.json()["cells"][0]["margins"].clone();
        (ran.code(), margins["messages sent is at most 1000"].as_f64())
    };
    let (code, before) = sweep("2", "2", &[]);
    assert_eq!((code, before), (0, Some(990.0)));
    assert_eq!(sweep("2", "2", &[]), (0, before));
    // Another text of the same name, and another broker.
    assert_eq!(sweep("4", "2", &[]), (0, Some(980.0)));
    let taken = command(&[
        "sweep",
        &dir.path().join("cell.ron").display().to_string(),
        "--out",
        &out,
        "--broker",
        "mqtt://127.0.0.1:1",
    ]);
    assert_eq!(taken.code(), 3, "{}", taken.stderr());
    // What was no measurement is not kept.
    let cell = dir.path().join("cells/cell-000000.json");
    let text = std::fs::read_to_string(&cell).expect("a cell").replace("\"exit\": 0", "\"exit\": 4");
    std::fs::write(&cell, text).expect("a cell");
    assert_eq!(sweep("4", "2", &[]), (0, Some(980.0)));
}

#[test]
fn cells_of_different_sweeps_are_not_merged() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let file = at("fleet.ron");
    let write = |period: &str| {
        let text = format!(
            r#"Scenario(format: 1, duration: "{period}", fleet: [(id: "node-{{}}", count: 4, thing: "esp32-weather-node")])"#
        );
        std::fs::write(&file, text).expect("a scenario");
    };
    let shard = |out: &str, i: &str, over: &str| {
        let shard = format!("{i}/2");
        let ran = command(&["sweep", &file, "--over", over, "--shard", &shard, "--out", &at(out)]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
    };
    let merge = |parts: [&str; 2], out: &str| {
        let ran = command(&["merge", &at(parts[0]), &at(parts[1]), "--out", &at(out)]);
        (ran.code(), ran.stderr())
    };
    write("60s");
    shard("a", "0", "fleet[0].count=1,2");
    shard("b", "1", "fleet[0].count=1,2");
    shard("other", "1", "fleet[0].count=3,4");
    let (code, said) = merge(["a", "other"], "mixed");
    assert!(code == 2 && said.contains("different sweeps"), "{said}");
    assert_eq!(merge(["a", "b"], "all"), (0, String::new()));
    // Another text, of which one shard knows.
    write("120s");
    shard("a", "0", "fleet[0].count=1,2");
    let (code, said) = merge(["a", "b"], "edited");
    assert!(code == 2 && said.contains("different sweeps"), "{said}");
    shard("b", "1", "fleet[0].count=1,2");
    assert_eq!(merge(["a", "b"], "again"), (0, String::new()));
}

#[test]
fn a_cell_whose_script_imports_another_module_is_run_again() {
    let dir = scratch();
    let code = dir.path().join("code");
    std::fs::create_dir_all(code.join("lib")).expect("a folder");
    let text = r#"Scenario(format: 1, seed: 5, duration: "10s", step: "1s",
        world: (zones: [(id: "room", temperature_c: 21.0, humidity_percent: 45.0)]),
        things: [(name: "t", source: "a test", board: "raspberry-pi-4b",
            parts: [(id: "air", model: "bme280", on: I2c(0x76))],
            firmware: Script(path: "code/main.py", runtime: RaspberryPi))],
        fleet: [(id: "d-{}", count: 1, thing: "t", in: ["room"])])"#;
    let file = dir.path().join("own.ron").display().to_string();
    std::fs::write(&file, text).expect("a scenario");
    std::fs::write(code.join("main.py"), "from lib import words\nprint(words.WORD)\n").expect("a script");
    // What the sweep writes lies beside the script, and is none of its modules.
    let out = code.join("cells").display().to_string();
    let sweep = |word: &str| {
        std::fs::write(code.join("lib/words.py"), format!("WORD = '{word}'\n")).expect("a module");
        let ran = command(&["sweep", &file, "--out", &out]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.json()["cells"][0]["inputs"].as_str().expect("text").to_owned()
    };
    let before = sweep("one");
    assert_eq!(sweep("one"), before);
    assert_ne!(sweep("two"), before, "the cell of another module was taken for this one");
}

#[test]
fn parts_are_merged_where_the_files_of_their_scenario_are_not() {
    let dir = scratch();
    let code = dir.path().join("code");
    std::fs::create_dir_all(&code).expect("a folder");
    std::fs::write(code.join("main.py"), "print('here')\n").expect("a script");
    let text = r#"Scenario(format: 1, seed: 5, duration: "2s", step: "100ms",
        things: [(name: "t", source: "a test", board: "raspberry-pi-4b",
            parts: [(id: "air", model: "bme280", on: I2c(0x76))],
            firmware: Script(path: "code/main.py", runtime: RaspberryPi))],
        fleet: [(id: "d-{}", count: 1, thing: "t")],
        load: (devices: [(id: "d-{}", count: 1, schedule: Firmware(fleet: "d-{}")),
                (id: "x", topic: "n/x", schedule: Constant("100ms"))],
            subscribers: [(id: "s", filter: "n/#")], stages: [Hold(for: "1s")], drain: "1s"))"#;
    let file = dir.path().join("own.ron").display().to_string();
    std::fs::write(&file, text).expect("a scenario");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let ran = command(&["load", &file, "--set", PATIENT, "--out", &at("part"), "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    // The path is relative to a folder in which this is not run.
    let merged = command(&["merge", &at("part"), "--out", &at("all")]);
    assert_eq!(merged.code(), 0, "{}\n{}", merged.stdout(), merged.stderr());
    assert_eq!(merged.json()["verdict"], ran.json()["verdict"]);
}

#[test]
fn commas_within_a_value_part_no_list() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 2, topic: "t/{device}", schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "400ms")], drain: "100ms",
        limits: (lag: "10s", cpu: 2, waited_for_cpu: 2), thresholds: [AtMost(of: Sent, bound: 1000)]"#;
    let file = scenario(dir.path(), "lists.ron", load);
    let out = dir.path().join("cells").display().to_string();
    let over = r#"load.devices[0].schedule=Bursty(every: "200ms", messages: 3),Constant("200ms")"#;
    let ran = command(&["sweep", &file, "--over", over, "--out", &out]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let result = ran.json();
    let margins: Vec<_> = result["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .filter_map(|c| c["margins"]["messages sent is at most 1000"].as_f64())
        .collect();
    // Two devices for 0.4 s: six messages each, and two.
    assert_eq!(margins, [988.0, 996.0], "{result}");
    let twice = ["--over", "seed=1", "--over", "seed=2"];
    let ran = command(&[&["sweep", &file, "--out", &out], &twice[..]].concat());
    assert!(ran.code() == 2 && ran.stderr().contains("there twice"), "{}", ran.stderr());
}

#[test]
fn the_whole_has_the_lag_of_all_its_parts() {
    use twinfleet_twins::load::files::{FILE, Part};
    let dir = scratch();
    let broker =
        twinfleet_twins::wire::broker::Broker::start(Default::default()).expect("the embedded broker");
    let load = r#"
        devices: [(id: "d-{}", count: 3, topic: "t/{device}", schedule: Constant("50ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "1s")], drain: "1s""#;
    let file = scenario(dir.path(), "lag.ron", load);
    let parts = two_shards(dir.path(), &file, &format!("mqtt://{}", broker.addr()), 3);
    let all = dir.path().join("all").display().to_string();
    let merged = command(&["merge", &parts[0], &parts[1], "--out", &all]);
    assert_eq!(merged.code(), 0, "{}\n{}", merged.stdout(), merged.stderr());
    let messages = |folder: &str| {
        let text = std::fs::read(Path::new(folder).join(FILE)).expect("a part");
        let part: Part = serde_json::from_slice(&text).expect("a part");
        part.tally(1).expect("histograms").lag.len()
    };
    let [one, other] = parts.each_ref().map(|part| messages(part));
    assert!(one > 0 && other > 0, "{one} {other}");
    assert_eq!(messages(&all), one + other);
}
