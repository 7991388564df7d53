//! What a board brings of its own: chips on its bus, resistors at its pins, functions by a matrix, a second rail.

use super::super::{errors, said, scenario};
use twinfleet_twins::catalog;

const SLEEPS: &str =
    r#"firmware: (period: "60s", awake: "400ms", deep_sleep: true, publish: [(topic: "a/{device}")])"#;

#[test]
fn what_the_board_itself_is_in_the_way_of() {
    let all = catalog::builtin().unwrap();
    let leds = (2..=11).map(|n| format!(r#"(id: "l{n}", model: "led", on: Pin("GPIO{n}"))"#));
    let leds = leds.collect::<Vec<_>>().join(", ");
    let battery = |ocv: &str| {
        format!(
            "power: Battery(capacity_mah: 2000, charge: (1.0, 1.0), ocv_v: [{ocv}], r0_ohm: 0.1, self_discharge_per_month: 0.0)"
        )
    };
    let (high, flat) = (battery("(0.0, 9.0), (1.0, 12.6)"), battery("(0.0, 0.9), (1.0, 1.5)"));
    for (board, parts, more, words) in [
        (
            "arduino-nano-33-iot",
            r#"(id: "i", model: "lsm9ds1", on: I2c(0x6A))"#,
            "",
            "an LSM6DS3 on `arduino-nano-33-iot` itself answers to 0x6a",
        ),
        ("arduino-mkr-wifi-1010", r#"(id: "i", model: "lsm9ds1", on: I2c(0x6B))"#, "", "a BQ24195L on"),
        ("arduino-nano-33-iot", r#"(id: "n", model: "ntc-10k", on: Pin("A4"))"#, "", "pulls `A4` up"),
        (
            "esp8266-nodemcu",
            r#"(id: "n", model: "hc-sr501", on: Pin("GPIO16"))"#,
            SLEEPS,
            "has to be wired to the reset",
        ),
        (
            "esp32-devkit",
            r#"(id: "d", model: "ds18b20", on: Pin("GPIO4"), pull_up: true)"#,
            SLEEPS,
            "takes 750ms for a reading, but it sleeps again after 400ms",
        ),
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "mq135", on: Pin("A0")), (id: "b", model: "mq135", on: Pin("A1")), (id: "p", model: "pump-5v", on: Pin("D3"))"#,
            "",
            "mA with this one, but its regulator leaves 400 mA",
        ),
        ("raspberry-pi-3b", &leds, "", "but 50 mA at most in all"),
        (
            "arduino-uno-r3",
            r#"(id: "f", model: "led", on: Pin("D4"))"#,
            "",
            "`D4` of `arduino-uno-r3` has no PWM",
        ),
        ("esp32-devkit", "", &high, "stands 3.6 V, but this battery gives 12.6 V"),
        ("raspberry-pi-pico-w", "", &flat, "is reset below 1.8 V, but this battery gives it 1.50 V"),
    ] {
        let said = said(&all, &scenario(board, parts, more)).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{board} {parts} {more}: {said}");
    }
}

#[test]
fn what_works_on_the_bench_is_let_be() {
    let all = catalog::builtin().unwrap();
    for (board, parts) in [
        ("arduino-nano-33-iot", r#"(id: "i", model: "lsm9ds1", on: I2c(0x6B))"#),
        ("esp32-devkit", r#"(id: "n", model: "neo-6m", on: Pins(["GPIO26", "GPIO27"]))"#),
        ("esp32-devkit", r#"(id: "n", model: "neo-6m", on: Pins(["GPIO26", "GPIO34"]))"#),
        ("esp32-s3-devkit", r#"(id: "n", model: "neo-6m", on: Pins(["GPIO17", "GPIO18"]))"#),
        ("raspberry-pi-pico-w", r#"(id: "n", model: "neo-6m", on: Pins(["GP8", "GP9"]))"#),
        ("arduino-uno-r3", r#"(id: "n", model: "neo-6m", on: Pins(["D3", "D4"]), shifted: true)"#),
        ("raspberry-pi-3b", r#"(id: "l", model: "led", on: Pin("GPIO17"))"#),
    ] {
        let wrong = errors(&all, &scenario(board, parts, ""));
        assert_eq!(wrong, "", "{board} {parts}");
    }
    // A transmit line needs a pin that can drive.
    let said = errors(
        &all,
        &scenario("esp32-devkit", r#"(id: "n", model: "neo-6m", on: Pins(["GPIO34", "GPIO26"]))"#, ""),
    );
    assert!(said.contains("`GPIO34` of `esp32-devkit` is not Tx"), "{said}");
}
