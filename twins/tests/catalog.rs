//! Every definition that ships: it loads, it is named after its file, it says where its figures come from.

use std::{collections::BTreeSet, fs, path::Path};
use twinfleet_engine::{
    catalog::PinFn,
    scenario::{self, check, diagnostic::Style, files::Files, source::Source},
    units,
};
use twinfleet_twins::catalog;

fn shipped(folder: &str) -> BTreeSet<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog").join(folder);
    let names = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    names
        .filter(|p| p.extension().is_some_and(|e| e == "ron"))
        .map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_shipped_file_loads_under_its_own_name() {
    let all = catalog::builtin().unwrap_or_else(|report| panic!("{}", report.render(Style::Plain)));
    let check = |folder: &str, names: BTreeSet<String>| assert_eq!(shipped(folder), names, "{folder}");
    check("boards", all.boards.keys().cloned().collect());
    check("sensors", all.sensors.keys().cloned().collect());
    check("actuators", all.actuators.keys().cloned().collect());
    check("things", all.things.keys().cloned().collect());
}

#[test]
fn every_definition_says_what_it_is_and_cites_a_source() {
    let all = catalog::builtin().unwrap();
    for folder in ["boards", "sensors", "actuators", "things"] {
        for line in catalog::list(&all, folder).unwrap() {
            assert!(line.about.len() > 15, "{folder}/{} does not say what it is", line.name);
            assert!(line.source.len() > 20, "{folder}/{} cites no source", line.name);
        }
    }
    assert_eq!(catalog::list(&all, "bords"), None);
}

#[test]
fn figures_of_a_channel_fit_together() {
    for sensor in catalog::builtin().unwrap().sensors.values() {
        for c in &sensor.channels {
            let (name, span) = (format!("{}.{}", sensor.name, c.quantity), c.range.1 - c.range.0);
            assert!(units::of_quantity(&c.quantity).is_some(), "{name}: a quantity nothing simulates");
            // A part whose noise or offset covers a fifth of its range measures nothing.
            assert!(c.noise_std < 0.05 * span && c.bias_std < 0.2 * span, "{name}: too noisy for its range");
            assert!(c.gain_std < 0.3 && c.hysteresis < 0.1 * span, "{name}: gain or hysteresis");
        }
    }
}

#[test]
fn boards_have_the_buses_that_parts_need() {
    for board in catalog::builtin().unwrap().boards.values() {
        for f in
            [PinFn::Sda, PinFn::Scl, PinFn::Mosi, PinFn::Miso, PinFn::Sck, PinFn::Tx, PinFn::Rx, PinFn::Pwm]
        {
            assert!(board.pins.values().any(|has| has.contains(&f)), "{} has no {f:?}", board.name);
        }
        assert!(board.current_ma.sleep <= board.current_ma.active, "{}", board.name);
        assert!(board.current_ma.active <= board.current_ma.transmit, "{}", board.name);
    }
}

/// The table that the laws will be measured against names what exists, in units that exist.
#[test]
fn every_figure_of_the_datasheets_belongs_to_a_part_of_the_catalog() {
    let all = catalog::builtin().unwrap();
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/datasheets/expected.csv");
    let text = fs::read_to_string(table).unwrap();
    let mut lines = text.lines();
    let head = "part,channel,figure,value,unit,bound,condition,document,place,basis,law";
    assert_eq!(lines.next(), Some(head));
    let mut named = BTreeSet::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let [part, channel, figure, value, unit, bound, _, document, place, basis, law] = cells[..] else {
            panic!("{line}: {} columns", cells.len());
        };
        let known = match (all.sensors.get(part), all.actuators.get(part), all.boards.get(part)) {
            (Some(s), ..) => channel == "part" || s.channels.iter().any(|c| c.quantity == channel),
            (_, Some(_), _) => channel == "level",
            (.., Some(_)) => ["supply", "adc", "clock", "thermal"].contains(&channel),
            _ => false,
        };
        assert!(known, "{line}: no such part or channel");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}: no figure");
        assert!(units::find(unit).is_some_and(|u| u.symbol == unit), "{line}: no such unit");
        assert!(["min", "typ", "max", "rms", "peak", "nominal"].contains(&bound), "{line}: no such bound");
        assert!(["read", "second-hand", "recalled"].contains(&basis), "{line}: no such basis");
        assert!(![figure, document, place, law].contains(&""), "{line}: says not what or where");
        named.insert(part);
    }
    for sensor in all.sensors.keys() {
        assert!(named.contains(sensor.as_str()), "no datasheet's figure of {sensor}");
    }
    for board in all.boards.keys() {
        assert!(named.contains(board.as_str()), "no datasheet's figure of {board}");
    }
    for actuator in all.actuators.keys() {
        assert!(named.contains(actuator.as_str()), "no datasheet's figure of {actuator}");
    }
}

#[test]
fn every_shipped_scenario_is_without_errors() {
    let all = catalog::builtin().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in catalog::scenarios() {
        let source =
            Source::embedded(&format!("scenarios/{name}.ron"), catalog::scenario_text(name).unwrap());
        let files = Files::at(root).with_embedded(catalog::file);
        let scenario = scenario::read(&source).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
        let report = check::check(&scenario, &all, &source, &files);
        assert_eq!(report.errors(), 0, "{}", report.render(Style::Plain));
    }
}

#[test]
fn a_users_folder_adds_and_replaces_definitions_without_a_compiler() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("sensors")).unwrap();
    fs::create_dir_all(dir.path().join("things")).unwrap();
    let sensor = |name: &str, about: &str| {
        format!(
            r#"Sensor(format: 1, name: "{name}", about: "{about}", source: "measured on the bench", bus: I2c([0x48]),
            active_ma: 1, channels: [(quantity: "temperature", unit: "degC", range: (-40, 125), lsb: 0.0078125)])"#
        )
    };
    fs::write(dir.path().join("sensors/tmp117.ron"), sensor("tmp117", "mine")).unwrap();
    fs::write(dir.path().join("sensors/bme280.ron"), sensor("bme280", "mine too")).unwrap();
    fs::write(
        dir.path().join("things/probe.ron"),
        r#"Thing(format: 1, name: "probe", source: "own", board: "esp32-devkit",
            parts: [(id: "t", model: "tmp117", on: I2c(0x48))])"#,
    )
    .unwrap();
    let mut all = catalog::builtin().unwrap();
    let before = all.sensors.len();
    catalog::load_dir(&mut all, dir.path()).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
    assert_eq!(all.sensors.len(), before + 1);
    assert_eq!(all.sensors["bme280"].about, "mine too");
    assert_eq!(all.things["probe"].parts[0].model, "tmp117");
}

/// The README's own sensor and board load as they stand there, and can be wired to each other.
#[test]
fn what_the_readme_adds_loads() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```ron\n").skip(1).filter_map(|b| b.split("```").next()).collect();
    let dir = tempfile::tempdir().unwrap();
    for (folder, word) in [("sensors", "Sensor("), ("boards", "Board(")] {
        let block =
            blocks.iter().find(|b| b.starts_with(word)).unwrap_or_else(|| panic!("the README has no {word}"));
        assert!(block.lines().count() <= 12, "ten lines or so: {block}");
        fs::create_dir_all(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("x.ron"), block).unwrap();
    }
    fs::create_dir_all(dir.path().join("things")).unwrap();
    let thing = r#"Thing(format: 1, name: "logger", source: "own", board: "my-logger",
        parts: [(id: "t", model: "tmp117", on: I2c(0x48)), (id: "soil", model: "soil-capacitive", on: Pin("PA0"))])"#;
    fs::write(dir.path().join("things/t.ron"), thing).unwrap();
    let mut all = catalog::builtin().unwrap();
    catalog::load_dir(&mut all, dir.path()).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
    assert!(all.boards.contains_key("my-logger") && all.sensors.contains_key("tmp117"));
}

#[test]
fn mistakes_of_all_files_of_a_folder_are_reported_together() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["sensors", "things"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let bad = r#"Sensor(format: 1, name: "x", source: "own", bus: I2c([0xEC]), active_ma: -1,
    channels: [(quantity: "temperature", unit: "degF", range: (125, -40))])"#;
    fs::write(dir.path().join("sensors/x.ron"), bad).unwrap();
    fs::write(dir.path().join("sensors/y.ron"), "Sensor(format: 1, nam: \"y\")").unwrap();
    let thing = r#"Thing(format: 1, name: "t", source: "own", board: "esp32", parts: [(id: "a", model: "bme208", on: I2c(0x76))])"#;
    fs::write(dir.path().join("things/t.ron"), thing).unwrap();
    let report = catalog::load_dir(&mut catalog::builtin().unwrap(), dir.path()).unwrap_err();
    let text = report.to_string().replace(&format!("{}/", dir.path().display()), "");
    expect_test::expect![[r#"
        sensors/x.ron:1:50: error: 0xec is no I2C address of a part
        sensors/x.ron:1:74: error: `active_ma` must be at least 0, but is -1
        sensors/x.ron:2:48: error: `temperature` is kept in `degC`, not in `degF`
        sensors/x.ron:2:63: error: the range must ascend
        sensors/y.ron:1:19: error: there is no field `nam` in a Sensor
        things/t.ron:1:51: error: there is no board `esp32`
        things/t.ron:1:85: error: there is no sensor or actuator `bme208`"#]]
    .assert_eq(&text);
    assert!(catalog::load_dir(&mut catalog::builtin().unwrap(), &dir.path().join("none")).is_err());
}

#[test]
fn a_mistake_in_a_sensor_is_told_once_and_not_again_at_the_thing_that_has_it() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/own/catalog");
    let probe = fs::read_to_string(own.join("sensors/my-probe.ron")).unwrap();
    let errors = |probe: &str, bytes: Option<&[u8]>| {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["actuators", "sensors", "things"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            for file in fs::read_dir(own.join(folder)).unwrap().map(|e| e.unwrap()) {
                fs::copy(file.path(), dir.path().join(folder).join(file.file_name())).unwrap();
            }
        }
        fs::write(dir.path().join("sensors/my-probe.ron"), probe).unwrap();
        if let Some(bytes) = bytes {
            fs::write(dir.path().join("sensors/stray.ron"), bytes).unwrap();
        }
        match catalog::load_dir(&mut catalog::builtin().unwrap(), dir.path()) {
            Ok(()) => Vec::<String>::new(),
            Err(report) => report.items().iter().map(ToString::to_string).collect(),
        }
    };
    assert!(errors(&probe, None).is_empty());
    for (right, wrong) in [
        ("lsb: 0.05", "lsb: -0.05"),
        ("lsb: 0.05", "lsb: NaN"),
        ("noise_std: 0.05", "noise_std: -1"),
        ("unit: \"degC\"", "unit: \"degF\""),
        ("range: (-20.0, 120.0)", "range: (120.0, -20.0)"),
        ("tau_s", "tau"),
        ("source: \"measured on the user's bench\"", "source: \"\""),
    ] {
        let told = errors(&probe.replace(right, wrong), None);
        assert!(told.len() == 1 && told[0].contains("my-probe.ron:"), "{wrong}: {told:#?}");
    }
    // A file that is no text takes nothing from those beside it.
    let told = errors(&probe, Some(&b"\0\x01\xff"[..]));
    assert!(told.len() == 1 && told[0].contains("stray.ron"), "{told:#?}");
}
