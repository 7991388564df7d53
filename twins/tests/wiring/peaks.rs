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
fn a_bus_of_ones_own_has_addresses_and_resistors_of_its_own() {
    let all = catalog::builtin().unwrap();
    let part = |id: &str, more: &str| format!(r#"(id: "{id}", model: "bh1750", on: I2c(0x23), {more})"#);
    let at = |sda: &str, scl: &str| format!(r#"bus: ("{sda}", "{scl}")"#);
    let (first, second) = (part("a", ""), part("b", &at("GPIO18", "GPIO19")));
    let both = format!("{first}, {second}");
    assert_eq!(errors(&all, &scenario("esp32-devkit", &both, "")), "");
    let lamp = r#"(id: "l", model: "led", on: Pin("GPIO18"))"#;
    for (board, parts, words) in [
        ("esp32-devkit", format!("{first}, {}", part("b", "")), "`bh1750` also answers to 0x5c"),
        // The board's own, called by its pins.
        (
            "esp32-devkit",
            format!("{first}, {}", part("b", &at("GPIO21", "GPIO22"))),
            "two parts share the address 0x23",
        ),
        ("esp32-devkit", format!("{both}, {}", part("c", &at("GPIO18", "GPIO19"))), "two parts share"),
        ("esp32-devkit", format!("{second}, {lamp}"), "two parts use pin `GPIO18`"),
        ("esp32-devkit", format!("{lamp}, {second}"), "two parts use pin `GPIO18`"),
        ("esp32-devkit", part("b", &at("GPIO18", "GPIO18")), "cannot be both lines of a bus"),
        (
            "esp32-devkit",
            format!("{second}, {}", part("c", &at("GPIO19", "GPIO18"))),
            "two parts use pin `GPIO19`",
        ),
        ("esp32-devkit", part("b", &at("GPIO34", "GPIO19")), "pin `GPIO34` of `esp32-devkit` is not Sda"),
        ("arduino-uno-r3", part("b", &at("D2", "D3")), "pin `D2` of `arduino-uno-r3` is not Sda"),
        (
            "esp32-devkit",
            format!("{first}, {}", part("b", &format!("{}, pull_up: false", at("GPIO18", "GPIO19")))),
            "nothing pulls the I2C bus on `GPIO18` and `GPIO19` up",
        ),
        (
            "esp32-devkit",
            format!(r#"(id: "t", model: "tmp36", on: Pin("GPIO34"), {})"#, at("GPIO18", "GPIO19")),
            "`tmp36` is not on I2C",
        ),
    ] {
        let told = told(board, &parts, "");
        assert!(told.contains(words), "{board} {parts}: {told}");
    }
}

#[test]
fn serial_lines_are_those_of_one_port_of_the_chip() {
    let all = catalog::builtin().unwrap();
    let gps = |id: &str, tx: &str, rx: &str| {
        format!(r#"(id: "{id}", model: "neo-6m", on: Pins(["{tx}", "{rx}"]))"#)
    };
    let pico = "raspberry-pi-pico-w";
    let two = format!("{}, {}", gps("a", "GP0", "GP17"), gps("b", "GP8", "GP5"));
    assert_eq!(errors(&all, &scenario(pico, &two, "")), "");
    let crossed = told(pico, &gps("a", "GP0", "GP9"), "");
    assert!(
        crossed.contains("`GP0` and `GP9` of `raspberry-pi-pico-w` are not of one serial port")
            && crossed.contains("GP1, GP13, GP17"),
        "{crossed}"
    );
    let twice = told(pico, &format!("{}, {}", gps("a", "GP0", "GP1"), gps("b", "GP16", "GP17")), "");
    assert!(
        twice.contains("two parts are on one serial port") && twice.contains("that is free: GP4, GP5, GP8"),
        "{twice}"
    );
}

#[test]
fn pixels_are_dimmed_by_data_on_any_pin() {
    let on = |model: &str| {
        told(
            "arduino-uno-r3",
            &format!(r#"(id: "l", model: "{model}", on: Pin("D4"), own_supply: true)"#),
            "",
        )
    };
    assert!(on("led").contains("`D4` of `arduino-uno-r3` has no PWM"), "{}", on("led"));
    assert!(!on("neopixel-stick").contains("PWM"), "{}", on("neopixel-stick"));
}

#[test]
fn of_a_converter_whose_input_is_taken_the_others_are_named() {
    let parts = r#"(id: "adc", model: "ads1115", on: I2c(0x48)), (id: "a", model: "tmp36", on: Pin("adc.0")),
        (id: "b", model: "tmp36", on: Pin("adc.0"))"#;
    let told = told("raspberry-pi-4b", parts, "");
    assert!(told.contains("two parts use pin `adc.0`") && told.contains("adc.1, adc.2, adc.3"), "{told}");
}

#[test]
fn a_part_with_two_lines_on_one_pin_is_told_of_as_one() {
    let ranger = r#"(id: "a", model: "hc-sr04", on: Pins(["D4", "D4"]))"#;
    let told = told("arduino-uno-r3", ranger, "");
    assert!(told.contains("two lines of this part use pin `D4`") && !told.contains("two parts"), "{told}");
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
    // All but one are held in reset until a script has given the one its address.
    let three = format!(
        "{}, {}, {}",
        ranger("a", "0x29"),
        ranger("b", "0x29").replace("0x29)", "0x29), shutdown: \"GPIO16\""),
        ranger("c", "0x29").replace("0x29)", "0x29), shutdown: \"GPIO17\"")
    );
    assert_eq!(errors(&all, &scenario("esp32-devkit", &three, "")), "");
    let one_line = told("esp32-devkit", &three.replace("GPIO17", "GPIO16"), "");
    assert!(one_line.contains("two parts use pin `GPIO16`"), "{one_line}");
    let none = told("esp32-devkit", &BME.replace("0x76)", "0x76), shutdown: \"GPIO16\""), "");
    assert!(none.contains("`bme280` has no line that shuts it down"), "{none}");
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
