//! What a device speaks through, and what that does to its pins; and lines that a board's level is too high for.

use super::super::{errors, said, scenario, told, told_of};
use twinfleet_twins::catalog;

const SPEAKS: &str = r#"firmware: (period: "60s", publish: [(topic: "a/{device}")])"#;

/// Everything that is told of a device with this link, in one line.
fn linked(board: &str, parts: &str, more: &str, link: &str) -> String {
    let text = scenario(board, parts, more)
        .replace("thing: \"t\")", "thing: \"t\", link: \"l\")")
        .replace("things:", &format!("links: [(id: \"l\"{link})], things:"));
    said(&catalog::builtin().unwrap(), &text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Wi-Fi of the board's own radio takes ADC2, and nothing else does.
#[test]
fn a_second_converter_serves_beside_any_radio_but_wifi() {
    let probe = r#"(id: "soil", model: "soil-capacitive", on: Pin("GPIO25"))"#;
    let words = "cannot be read while its Wi-Fi is on";
    for (link, silenced) in [
        (r#", profile: "wifi-2g4""#, true),
        (r#", profile: "ble-gateway""#, false),
        (r#", profile: "lorawan-eu868-sf7", module: "RFM95W on SPI""#, false),
        (r#", profile: "wifi-2g4", module: "ESP8266 on UART""#, false),
    ] {
        let said = linked("esp32-devkit", probe, SPEAKS, link);
        assert_eq!(said.contains(words), silenced, "{link}: {said}");
    }
    // A script may turn the radio off before it reads: a warning.
    let script = r#"script: (path: "main.py", runtime: MicroPython)"#;
    let said = linked("esp32-devkit", probe, script, r#", profile: "wifi-2g4""#);
    assert!(said.contains(words) && said.contains("its script has a link over that"), "{said}");
    assert!(!told("esp32-devkit", probe, script).contains(words), "it may never speak");
}

/// The receive pin of a part of 3.3 V on the transmit pin of a board of 5 V.
#[test]
fn a_line_of_five_volts_into_a_part_of_three() {
    for model in ["pms5003", "neo-6m"] {
        let on = |pins: &str| format!(r#"(id: "a", model: "{model}", on: Pins([{pins}]))"#);
        let bare = on(r#""D1", "D0""#);
        let shifted = bare.replace("])", "]), shifted: true");
        told_of(
            "arduino-uno-r3",
            (&bare, ""),
            (&shifted, ""),
            "on its lines, but those of `arduino-uno-r3` are at 5 V",
        );
        let own = on(r#""GPIO17", "GPIO16""#);
        assert!(!told("esp32-devkit", &own, "").contains("on its lines"), "3.3 V suit it");
    }
}

#[test]
fn a_board_that_has_nothing_to_speak_over() {
    let part = r#"(id: "c", model: "bme280", on: I2c(0x76))"#;
    let words = "has neither radio nor Ethernet to speak over";
    let uno = r#"(id: "c", model: "hc-sr04", on: Pins(["D5", "D6"]))"#;
    assert!(told("arduino-uno-r3", uno, SPEAKS).contains(words));
    assert!(!told("arduino-uno-r3", uno, "").contains(words), "it has nothing to say");
    assert!(!linked("arduino-uno-r3", uno, SPEAKS, r#", module: "W5500 on SPI""#).contains(words));
    for board in ["beaglebone-black", "esp32-devkit", "raspberry-pi-4b"] {
        assert!(!told(board, part, SPEAKS).contains(words), "{board}");
    }
}

/// Deep sleep ends an association: what joins for 2 s does not wake every second.
#[test]
fn a_wake_that_is_longer_than_its_period() {
    let part = r#"(id: "c", model: "bme280", on: I2c(0x76))"#;
    let every = |period: &str| {
        let firmware = format!(
            r#"firmware: (period: "{period}", awake: "400ms", deep_sleep: true, publish: [(topic: "a/{{device}}")])"#
        );
        linked("esp32-devkit", part, &firmware, r#", profile: "wifi-2g4""#)
    };
    assert!(every("2s").contains("are longer than the time between wakes"), "{}", every("2s"));
    assert_eq!(every("10s"), "");
}

#[test]
fn packs_that_are_no_packs() {
    let part = r#"(id: "c", model: "bme280", on: I2c(0x76))"#;
    let all = catalog::builtin().unwrap();
    let with = |more: &str| {
        let pack = format!(r#"power: Pack(cell: "li-ion-18650", regulator: "tps63020-3v3", {more})"#);
        (errors(&all, &scenario("esp32-devkit", part, &pack)), told("esp32-devkit", part, &pack))
    };
    for (more, words) in
        [("charge: (1, 1), years: 500", "`years`"), ("charge: (1, 1), cycles: 100000", "`cycles`")]
    {
        assert!(with(more).0.contains(words), "{more}: {}", with(more).0);
    }
    let (wrong, warned) = with("charge: (0, 0)");
    assert!(wrong.is_empty() && warned.contains("the battery is empty at the start"), "{warned}");
    assert_eq!(with("charge: (0.9, 1), years: 3, cycles: 200"), (String::new(), String::new()));
}

/// One that feeds its board only when it is nearly full: a Pi on a single cell, without a converter.
#[test]
fn a_pack_that_leaves_most_of_its_charge() {
    let part = r#"(id: "c", model: "bme280", on: I2c(0x76))"#;
    let power = |regulator: &str| {
        format!(r#"{SPEAKS}, power: Pack(cell: "lipo-1000", series: 1, charge: (0.9, 1){regulator})"#)
    };
    let (bare, stepped) = (power(""), power(r#", regulator: "tps61090-5v""#));
    told_of("raspberry-pi-4b", (part, &bare), (part, &stepped), "as soon as this pack has less than");
}
