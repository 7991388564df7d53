//! `twinfleet datasheet` and `list`: what a person reads of a part.

use std::fs;

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
    assert!((figures[1] - 8.0).abs() < 1e-9 && (figures[2] - 8.0).abs() < 0.5, "{tau}");
    for name in ["sht31-humidity-allan.svg", "sht31-humidity-step.svg", "sht31-temperature-allan.svg"] {
        let svg = fs::read_to_string(out.join(name)).unwrap();
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
    fs::create_dir_all(dir.path().join("sensors")).unwrap();
    let file = r#"Sensor(format: 1, name: "odd", about: "its noise is beyond its range", source: "made up for a test", bus: Spi,
        active_ma: 1, channels: [(quantity: "temperature", unit: "degC", range: (24.5, 25.5), noise_std: 3)])"#;
    fs::write(dir.path().join("sensors/odd.ron"), file).unwrap();
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
}

/// Of a board its converter is drawn, in each of its ranges, and it flattens where a range ends; one without says so.
#[test]
fn a_boards_converter_is_drawn_range_by_range() {
    let dir = scratch();
    let out = dir.path().to_str().unwrap();
    let ran = plain(&["datasheet", "esp32-devkit", "--units", "30", "--plot", out]);
    assert!(ran.stdout().contains("drawn: "), "{}\n{}", ran.stdout(), ran.stderr());
    for range in ["0dB", "2.5dB", "6dB", "11dB"] {
        let svg = fs::read_to_string(dir.path().join(format!("esp32-devkit-adc-{range}.svg"))).unwrap();
        assert!(svg.contains("converter at ") && svg.matches("class=\"l physical\"").count() > 12, "{range}");
        assert!(!svg.contains("NaN"), "{range}");
    }
    let pi = plain(&["datasheet", "raspberry-pi-4b", "--units", "30", "--plot", out]);
    assert_eq!(pi.code(), 0, "{}\n{}", pi.stdout(), pi.stderr());
    assert!(pi.stdout().contains("nothing is drawn: "), "{}", pi.stdout());
}

/// What is drawn has a measured curve: of parts that only know states, of those that convert slowly, of actuators; and what is
/// said of a part is said beside its datasheet's figure.
#[test]
fn every_drawing_has_its_curve() {
    let dir = scratch();
    for (part, quantity) in [
        ("bme280", "temperature"),
        ("bme280", "pressure"),
        ("bmp280", "temperature"),
        ("reed-switch", "contact"),
        ("hc-sr501", "presence"),
        ("servo-sg90", "level"),
        ("vent", "level"),
    ] {
        let out = dir.path().join(part);
        let ran = plain(&["datasheet", part, "--units", "30", "--plot", out.to_str().unwrap()]);
        assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
        let svg = fs::read_to_string(out.join(format!("{part}-{quantity}-step.svg"))).unwrap();
        let curve = svg.split("class=\"l physical\" style=\"fill:none\" d=\"").nth(1).expect("a curve");
        let points: Vec<f64> = curve
            .split('"')
            .next()
            .unwrap()
            .split(['M', 'L'])
            .filter_map(|p| p.split_whitespace().nth(1)?.parse().ok())
            .collect();
        assert!(points.len() >= 4, "{part} {quantity}: {points:?}");
        // 1 is at the same height for all: it gets there, stays, and does not jump out of the frame.
        let (start, end) = (points[0], points[points.len() - 1]);
        assert!(start - end > 250.0, "{part} {quantity}: from {start} to {end}");
        assert!(points.iter().all(|y| *y >= end - 25.0), "{part} {quantity}: {points:?}");
    }
    let text = plain(&["datasheet", "sht31", "--units", "40"]).stdout();
    let tau = text.lines().find(|l| l.starts_with("humidity") && l.contains("tau63")).unwrap();
    let figures: Vec<f64> = tau.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    assert_eq!((figures[0], figures[1]), (8.0, 8.0), "datasheet and file: {tau}");
    let said = command(&["datasheet", "sht31", "--units", "40", "--json"]).json();
    let sources: Vec<&str> = said["datasheet"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|l| l.as_array().unwrap())
        .filter_map(|s| s["source"].as_str())
        .collect();
    assert!(sources.len() > 8 && sources.iter().all(|s| s.contains("Sensirion")), "{sources:?}");
}

#[test]
fn lists_have_the_columns_that_one_compares_by() {
    for (what, words) in [
        ("boards", ["name", "analogue in", "16 × 12 bit to 3.134 V", "4 × 1\u{202f}200 MHz"]),
        ("sensors", ["measures", "I2C 0x76 or 0x77", "accel_xyz", "1-Wire"]),
        ("batteries", ["full", "3.25 V", "2\u{202f}800 mAh", "Ω"]),
        ("regulators", ["gives", "3.3 V, linear", "250 mA", "input up to"]),
        ("links", ["hears down to", "SF12", "51 B", "Wi-Fi"]),
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
    let light = all.as_array().unwrap().iter().find(|s| s["name"] == "bh1750").expect("a light sensor");
    assert!(light["measures"] == "illuminance" && light["source"].as_str().unwrap().len() > 20);
}

#[test]
fn a_coarse_step_is_no_gain() {
    let dir = scratch();
    fs::create_dir(dir.path().join("sensors")).unwrap();
    for lsb in ["0.5", "1"] {
        let text = format!(
            "Sensor(format: 1, name: \"coarse\", about: \"Coarse\", source: \"own\", bus: I2c([0x48]), supply_v: (1.7, 5.5), \
             pull_up: true, active_ma: 0.1, idle_ma: 0.001, conversion: \"20ms\", channels: [(quantity: \"temperature\", \
             unit: \"degC\", range: (-20, 60), lsb: {lsb}, noise_std: 0.02, bias_std: 1.0, tau_s: 2)])"
        );
        fs::write(dir.path().join("sensors/coarse.ron"), text).unwrap();
        let ran = plain(&["datasheet", "coarse", "--catalog", dir.path().to_str().unwrap()]);
        assert!(!ran.stdout().contains("NOT AS STATED") && ran.code() == 0, "{lsb}: {}", ran.stdout());
    }
}
