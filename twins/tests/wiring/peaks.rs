//! What is right on the bench and was refused once, and what is wrong there and was let pass: second inputs, routed buses,
//! shared clocks, peaks of current, levels, ranges, resistors in parallel.

use crate::{errors, said, scenario};
use twinfleet_twins::catalog;

const BME: &str = r#"(id: "a", model: "bme280", on: I2c(0x76))"#;

fn pack(of: &str) -> String {
    format!("power: Pack({of}, charge: (0.9, 1.0))")
}

/// All that is said, in one line, without the bar of a line that goes on.
fn told(board: &str, parts: &str, more: &str) -> String {
    let all = catalog::builtin().unwrap();
    said(&all, &scenario(board, parts, more))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace(" | ", " ")
}

#[test]
fn a_pack_at_a_boards_other_input() {
    let all = catalog::builtin().unwrap();
    for (board, parts, power) in [
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "dht22", on: Pin("D2"), pull_up: true)"#,
            r#"cell: "li-ion-18650", series: 2"#,
        ),
        ("esp32-devkit", BME, r#"cell: "li-ion-18650", regulator: "tps61090-5v""#),
        ("esp8266-nodemcu", BME, r#"cell: "aa-alkaline", series: 4"#),
    ] {
        assert_eq!(errors(&all, &scenario(board, parts, &pack(power))), "", "{board} on {power}");
    }
    // More than either stands is told of by itself, and not of its parts.
    let high = told("esp32-devkit", BME, &pack(r#"cell: "li-ion-18650", series: 3"#));
    assert!(
        high.contains("stands 3.6 V, but this pack gives 12.5") && !high.contains("`bme280` needs"),
        "{high}"
    );
}

#[test]
fn buses_that_can_be_led_to_other_pins() {
    let all = catalog::builtin().unwrap();
    for (board, pin) in
        [("raspberry-pi-pico-w", "GP4"), ("esp32-devkit", "GPIO21"), ("esp32-devkit", "GPIO22")]
    {
        for swapped in [false, true] {
            let led = format!(r#"(id: "l", model: "led", on: Pin("{pin}"))"#);
            let parts = if swapped { format!("{led}, {BME}") } else { format!("{BME}, {led}") };
            let second = format!(r#"{parts}, (id: "s", model: "sht31", on: I2c(0x44))"#);
            assert_eq!(errors(&all, &scenario(board, &second, "")), "", "{board} {second}");
        }
    }
    // An Uno's is where it is.
    let led = r#"(id: "b", model: "bh1750", on: I2c(0x23)), (id: "l", model: "led", on: Pin("A4"))"#;
    assert!(told("arduino-uno-r3", led, "").contains("two parts use pin `A4`"));
}

#[test]
fn what_parts_may_share() {
    let all = catalog::builtin().unwrap();
    let cells = r#"(id: "a", model: "hx711-load-cell", on: Pins(["GPIO16", "GPIO17"])),
        (id: "b", model: "hx711-load-cell", on: Pins(["GPIO18", "GPIO17"]))"#;
    assert_eq!(errors(&all, &scenario("esp32-devkit", cells, "")), "");
    let data = cells.replace("GPIO18", "GPIO16");
    assert!(told("esp32-devkit", &data, "").contains("two parts use pin `GPIO16`"), "a data line each");
    let clock = cells.replace(
        r#"model: "hx711-load-cell", on: Pins(["GPIO18", "GPIO17"])"#,
        r#"model: "led", on: Pin("GPIO17")"#,
    );
    assert!(
        told("esp32-devkit", &clock, "").contains("two parts use pin `GPIO17`"),
        "a lamp is no load cell"
    );

    let ranger = |id: &str, at: &str| format!(r#"(id: "{id}", model: "vl53l0x", on: I2c({at}))"#);
    let two = format!("{}, {}", ranger("a", "0x29"), ranger("b", "0x30"));
    assert_eq!(errors(&all, &scenario("esp32-devkit", &two, "")), "");
    assert_eq!(
        errors(&all, &scenario("arduino-uno-r3", &ranger("a", "0x29"), "")),
        "",
        "its module has a regulator"
    );
    let same = told("esp32-devkit", &two.replace("0x30", "0x29"), "");
    assert!(same.contains("two parts share the address 0x29") && same.contains("I2c(0x2a)"), "{same}");
    // The LSM9DS1's magnetometer answers for itself.
    let imus = r#"(id: "a", model: "lsm9ds1", on: I2c(0x6A)), (id: "b", model: "vl53l0x", on: I2c(0x1C))"#;
    assert!(told("esp32-devkit", imus, "").contains("0x1c"), "{}", told("esp32-devkit", imus, ""));
}

#[test]
fn what_asks_for_more_than_it_seems() {
    let servos =
        r#"(id: "a", model: "servo-sg90", on: Pin("D3")), (id: "b", model: "servo-sg90", on: Pin("D5"))"#;
    let pixels = r#"(id: "n", model: "neopixel-stick", on: Pin("GPIO18"))"#;
    let soil = r#"(id: "s", model: "soil-capacitive", on: Pin("GPIO34"), range: "0dB")"#;
    let many: Vec<String> = [
        ("bme280", "0x76"),
        ("bme280", "0x77"),
        ("bh1750", "0x23"),
        ("bh1750", "0x5C"),
        ("mpu6050", "0x68"),
        ("mpu6050", "0x69"),
        ("sht31", "0x44"),
        ("sht31", "0x45"),
    ]
    .iter()
    .enumerate()
    .map(|(i, (model, at))| format!(r#"(id: "p{i}", model: "{model}", on: I2c({at}))"#))
    .collect();
    let crowded = many.join(", ");
    let scd = r#"(id: "c", model: "scd41", on: I2c(0x62))"#;
    for (board, parts, more, words) in [
        (
            "raspberry-pi-4b",
            BME,
            pack(r#"cell: "li-ion-18650", parallel: 2, regulator: "tps61090-5v""#),
            "gives 1000 mA, but `raspberry-pi-4b` takes 1200",
        ),
        (
            "arduino-uno-r3",
            servos,
            String::new(),
            "take 1300 mA with this one when they set out or are held fast",
        ),
        (
            "raspberry-pi-4b",
            pixels,
            String::new(),
            "takes a level for high from 3.50 V on at the 5 V that feed it",
        ),
        (
            "esp32-devkit",
            soil,
            String::new(),
            "reads 0.07 to 1.04 V at `0dB`: what is beyond shows as the end",
        ),
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "dht22", on: Pin("D2"), pull_up: true)"#,
            pack(r#"cell: "lipo-1000""#),
            "wants 3.78 V at its pins' supply, but this pack gives",
        ),
        ("raspberry-pi-4b", crowded.as_str(), String::new(), "is pulled up by 554 Ω in all"),
        (
            "esp32-devkit",
            scd,
            pack(r#"cell: "lipo-1000", regulator: "mcp1700-3v3""#),
            "draw 205 mA with this one, but its regulator leaves 60 mA",
        ),
    ] {
        let told = told(board, parts, &more);
        assert!(told.contains(words), "{board} {parts} {more}: {told}");
    }
    // And what is right is let be.
    for (board, parts, more) in [
        ("raspberry-pi-4b", pixels.replace("\"))", "\"), shifted: true)"), String::new()),
        ("arduino-uno-r3", pixels.replace("GPIO18", "D6"), String::new()),
        ("esp32-devkit", soil.replace("0dB", "11dB"), String::new()),
        ("raspberry-pi-4b", many[..3].join(", "), String::new()),
        ("arduino-uno-r3", servos.split_once(", (").map_or("", |s| s.0).to_owned(), String::new()),
    ] {
        let told = told(board, &parts, &more);
        for word in ["held fast", "level for high", "shows as the end", "pulled up by"] {
            assert!(!told.contains(word), "{board} {parts}: {told}");
        }
    }
}
