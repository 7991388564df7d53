//! `twinfleet datasheet` and `list`: what a person reads of a part.

use super::common::{Ran, command, scratch, twinfleet_command};

/// Runs the command for a person, not for a machine.
fn plain(args: &[&str]) -> Ran {
    Ran { output: twinfleet_command().args(args).output().expect("the command starts") }
}

#[test]
fn a_part_is_measured_and_drawn() {
    let dir = scratch();
    let out = dir.path().join("plots");
    let ran = plain(&["datasheet", "sht31", "--units", "80", "--plot", out.to_str().unwrap()]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let text = ran.stdout();
    for word in
        ["Sensirion SHT3x-DIS Datasheet", "hysteresis", "tau63", "as stated", "stated", "measured", "drawn: "]
    {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
    let tau = text.lines().find(|l| l.starts_with("humidity") && l.contains("tau63")).unwrap();
    let figures: Vec<f64> = tau.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    assert!((figures[0] - 8.0).abs() < 1e-9 && (figures[1] - 8.0).abs() < 0.5, "{tau}");
    for name in ["sht31-humidity-allan.svg", "sht31-humidity-step.svg", "sht31-temperature-allan.svg"] {
        let svg = std::fs::read_to_string(out.join(name)).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>") && svg.len() > 2000, "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    }
}

#[test]
fn the_same_units_measure_the_same() {
    let run = || command(&["datasheet", "tmp36", "--units", "40", "--json"]);
    let first = run();
    let object = first.json();
    assert_eq!(object["part"], "tmp36");
    assert_eq!(object["agrees"], true);
    let offset =
        object["figures"].as_array().unwrap().iter().find(|f| f["figure"] == "offset_std").unwrap().clone();
    assert!((offset["stated"].as_f64().unwrap() - 1.06).abs() < 0.01, "{offset}");
    assert!(offset["measured"].as_f64().unwrap() > 0.6, "{offset}");
    assert_eq!(first.stdout(), run().stdout());
}

/// A file that says one thing and whose model gives another is told, with exit code 1: here a step of which the range holds
/// too few.
#[test]
fn a_part_that_is_not_as_stated_fails() {
    let dir = scratch();
    std::fs::create_dir_all(dir.path().join("sensors")).unwrap();
    let file = r#"Sensor(format: 1, name: "odd", about: "its noise is beyond its range", source: "made up for a test", bus: Spi,
        active_ma: 1, channels: [(quantity: "temperature", unit: "degC", range: (24.5, 25.5), noise_std: 3)])"#;
    std::fs::write(dir.path().join("sensors/odd.ron"), file).unwrap();
    let ran = plain(&["datasheet", "odd", "--units", "40", "--catalog", dir.path().to_str().unwrap()]);
    assert_eq!(ran.code(), 1, "{}\n{}", ran.stdout(), ran.stderr());
    assert!(ran.stdout().contains("NOT AS STATED"), "{}", ran.stdout());
}

#[test]
fn an_unknown_part_is_told_with_near_names() {
    let ran = plain(&["datasheet", "bme208"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("there is no sensor, board or actuator `bme208`"), "{}", ran.stderr());
    assert!(ran.stderr().contains("bme280"), "{}", ran.stderr());
    let board = command(&["datasheet", "esp32-devkit", "--units", "30", "--plot", "nowhere"]);
    assert_eq!(board.code(), 2, "a board has no step response: {}", board.stderr());
}

#[test]
fn lists_have_the_columns_that_one_compares_by() {
    for (what, words) in [
        ("boards", ["name", "analogue in", "16 × 12 bit to 2.45 V", "4 × 1\u{202f}200 MHz"]),
        ("sensors", ["measures", "I2C 0x76 or 0x77", "accel_xyz", "1-Wire"]),
        ("actuators", ["at full level", "flow 1.667 l/min", "20 kW", "71.4 mA"]),
    ] {
        let text = plain(&["list", what]).stdout();
        for word in words {
            assert!(text.contains(word), "no `{word}` in\n{text}");
        }
        // Columns begin where their heads do.
        let about = text.lines().next().unwrap().chars().count() - "what it is".chars().count();
        assert!(text.lines().all(|l| l.chars().nth(about - 1) == Some(' ')), "{text}");
    }
    let all = command(&["list", "sensors", "--json"]).json();
    assert!(all.as_array().unwrap().len() >= 26);
    assert_eq!(all[0]["name"], "bh1750");
    assert!(all[0]["measures"] == "illuminance" && all[0]["source"].as_str().unwrap().len() > 20);
}
