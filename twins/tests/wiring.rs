//! `check` refuses what would not work on the bench, each with its place and what to do.

mod wiring {
    mod air;
    mod boards;
    mod converters;
    mod own;
    mod peaks;
}

use expect_test::{Expect, expect};
use twinfleet_engine::{
    catalog::Catalog,
    scenario::{
        self, check,
        diagnostic::{Report, Severity, Style},
        files::Files,
        source::Source,
    },
};
use twinfleet_twins::catalog;

/// A scenario with one thing on a board with these parts; `more` is the thing's further fields.
fn scenario(board: &str, parts: &str, more: &str) -> String {
    format!(
        "Scenario(format: 1, duration: \"1h\", fleet: [(id: \"n\", thing: \"t\")],\n  things: [(name: \"t\", source: \
         \"own\", board: \"{board}\", parts: [\n    {parts}\n  ], {more})])"
    )
}

fn said(all: &Catalog, text: &str) -> String {
    let source = Source::embedded("a.ron", text);
    let report = match scenario::read(&source) {
        Ok(s) => check::check(&s, all, &source, &Files::at("no/such/folder")),
        Err(report) => report,
    };
    report.render(Style::Plain)
}

/// The errors alone: that nobody tells of a part is a warning, of no matter here.
fn errors(all: &Catalog, text: &str) -> String {
    let source = Source::embedded("a.ron", text);
    let scenario = scenario::read(&source).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
    let mut found = Report::default();
    for d in check::check(&scenario, all, &source, &Files::at("no/such/folder")).items() {
        if d.severity() == Severity::Error {
            found.push(d.clone());
        }
    }
    found.render(Style::Plain)
}

/// Without trailing blanks and what all lines are indented by, which the snapshots do not keep.
fn dedented(text: &str) -> String {
    let indent = |l: &str| l.len() - l.trim_start().len();
    let common = text.lines().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.lines().map(|l| l.get(common..).unwrap_or("").trim_end()).collect::<Vec<_>>().join("\n")
}

fn check(board: &str, parts: &str, more: &str, want: Expect) {
    let all = catalog::builtin().unwrap();
    want.assert_eq(&dedented(&errors(&all, &scenario(board, parts, more))));
}

const SPEAKS: &str = r#"firmware: (period: "60s", publish: [(topic: "a/{device}")])"#;

#[test]
fn two_parts_on_one_address() {
    check(
        "esp32-devkit",
        r#"(id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bmp280", on: I2c(0x76))"#,
        "",
        expect![[r#"
              x two parts share the address 0x76 of one I2C bus
               ,-[a.ron:3:79]
             2 |   things: [(name: "t", source: "own", board: "esp32-devkit", parts: [
             3 |     (id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bmp280", on: I2c(0x76))
               :                                    ^^^^|^^^^                                  ^^^^^^^^^
               :                                        `-- first here
             4 |   ], )])
               `----
              help: `bmp280` also answers to 0x77"#]],
    );
}

#[test]
fn of_two_parts_on_one_address_the_one_that_can_be_moved_is_named_with_what_is_free() {
    let all = catalog::builtin().unwrap();
    let told = |board: &str, parts: &[(&str, u8)]| {
        let part = |(k, (model, at)): (usize, &(&str, u8))| {
            format!("(id: \"p{k}\", model: \"{model}\", on: I2c({at}))")
        };
        let parts: Vec<String> = parts.iter().enumerate().map(part).collect();
        // A sentence may go on over the end of a line.
        let told = errors(&all, &scenario(board, &parts.join(", "), ""));
        told.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let esp = "esp32-devkit";
    for (board, parts, help) in [
        // What a part further down has is not free.
        (
            esp,
            &[("ina219", 0x40), ("ina219", 0x40), ("ina219", 0x41)][..],
            "`ina219` also answers to 0x44, 0x45",
        ),
        // The first can go where the second cannot.
        (esp, &[("ina219", 0x44), ("sht31", 0x44), ("sht31", 0x45)], "but `p0` also answers to 0x40, 0x41"),
        (
            esp,
            &[("scd41", 0x62), ("scd41", 0x62)],
            "no other address that is free: put it on a bus of its own",
        ),
        // Its software gives it any, but not one that another has.
        (esp, &[("bh1750", 0x5C), ("vl53l0x", 0x29), ("vl53l0x", 0x29)], "write `on: I2c(0x2a)`"),
        // Neither is what a chip of the board answers to.
        ("arduino-nano-33-iot", &[("lsm9ds1", 0x6B), ("lsm9ds1", 0x6B)], "no other address that is free"),
    ] {
        let told = told(board, parts);
        assert!(told.contains(help), "{parts:?}: {told}");
    }
}

#[test]
fn two_parts_on_one_pin() {
    check(
        "esp32-devkit",
        r#"(id: "a", model: "hc-sr501", on: Pin("GPIO4")), (id: "b", model: "led", on: Pin("GPIO4"))"#,
        "",
        expect![[r#"
              x two parts use pin `GPIO4`
               ,-[a.ron:3:81]
             2 |   things: [(name: "t", source: "own", board: "esp32-devkit", parts: [
             3 |     (id: "a", model: "hc-sr501", on: Pin("GPIO4")), (id: "b", model: "led", on: Pin("GPIO4"))
               :                                      ^^^^^^|^^^^^                               ^^^^^^^^^^^^
               :                                            `-- first here
             4 |   ], )])
               `----
              help: pins that are free: GPIO0, GPIO1, GPIO12, GPIO13, GPIO14, GPIO15, GPIO16, GPIO17, GPIO18, GPIO19,
                    GPIO2, GPIO21, GPIO22, GPIO23, GPIO25, GPIO26, GPIO27, GPIO3, GPIO32, GPIO33, GPIO5"#]],
    );
}

#[test]
fn five_volts_on_a_pin_of_three() {
    let sonar = r#"(id: "range", model: "hc-sr04", on: Pins(["GPIO5", "GPIO18"]))"#;
    check(
        "esp32-devkit",
        sonar,
        "",
        expect![[r#"
         x `hc-sr04` puts 5 V on a pin of `esp32-devkit` that stands 3.6 V
          ,-[a.ron:3:41]
        2 |   things: [(name: "t", source: "own", board: "esp32-devkit", parts: [
        3 |     (id: "range", model: "hc-sr04", on: Pins(["GPIO5", "GPIO18"]))
          :                                         ^^^^^^^^^^^^^^^^^^^^^^^^^
        4 |   ], )])
          `----
         help: put a divider or a level shifter between them and say `shifted: true`, or use a board whose pins
               stand it"#]],
    );
    // A divider helps, and so does a board of 5 V logic.
    let shifted = sonar.replace("])", "]), shifted: true");
    check("esp32-devkit", &shifted, "", expect![[""]]);
    check("arduino-uno-r3", &sonar.replace("GPIO5", "D5").replace("GPIO18", "D6"), "", expect![[""]]);
}

#[test]
fn an_analogue_input_of_one_point_eight_volts() {
    check(
        "beaglebone-black",
        r#"(id: "s", model: "soil-capacitive", on: Pin("P9_39"))"#,
        "",
        expect![[r#"
         x `soil-capacitive` puts 3 V on a pin of `beaglebone-black` that stands 1.8 V
          ,-[a.ron:3:45]
        2 |   things: [(name: "t", source: "own", board: "beaglebone-black", parts: [
        3 |     (id: "s", model: "soil-capacitive", on: Pin("P9_39"))
          :                                             ^^^^^^^^^^^^
        4 |   ], )])
          `----
         help: put a divider or a level shifter between them and say `shifted: true`, or use a board whose pins
               stand it"#]],
    );
}

#[test]
fn an_analogue_part_on_a_raspberry_pi() {
    check(
        "raspberry-pi-4b",
        r#"(id: "t", model: "tmp36", on: Pin("GPIO4"))"#,
        "",
        expect![[r#"
             x `tmp36` gives a voltage, but `raspberry-pi-4b` has no ADC
              ,-[a.ron:3:35]
            2 |   things: [(name: "t", source: "own", board: "raspberry-pi-4b", parts: [
            3 |     (id: "t", model: "tmp36", on: Pin("GPIO4"))
              :                                   ^^^^^^^^^^^^
            4 |   ], )])
              `----
             help: a board with analogue inputs (`twinfleet list boards`), a converter beside it (`ads1115`, `mcp3008`:
                   see `Pin("adc.0")`), or a part with a digital bus, would do"#]],
    );
}

#[test]
fn a_one_wire_bus_without_a_pull_up() {
    let probe = r#"(id: "t", model: "ds18b20", on: Pin("GPIO4"))"#;
    check(
        "raspberry-pi-4b",
        probe,
        "",
        expect![[r#"
          x nothing pulls the 1-Wire bus on `GPIO4` up: neither `ds18b20` nor `raspberry-pi-4b` brings a resistor
           ,-[a.ron:3:37]
         2 |   things: [(name: "t", source: "own", board: "raspberry-pi-4b", parts: [
         3 |     (id: "t", model: "ds18b20", on: Pin("GPIO4"))
           :                                     ^^^^^^^^^^^^
         4 |   ], )])
           `----
          help: add one of 4.7 kΩ to the supply, and say `pull_up: true` of the part"#]],
    );
    check("raspberry-pi-4b", &probe.replace("\"))", "\"), pull_up: true)"), "", expect![[""]]);
}

/// A bare chip on I2C: an ESP32 brings no resistors, a Raspberry Pi does.
#[test]
fn an_i2c_bus_without_a_pull_up() {
    let mut all = catalog::builtin().unwrap();
    let bare = all.sensors.get_mut("sht31").unwrap();
    bare.pull_up = Some(false);
    let part = r#"(id: "air", model: "sht31", on: I2c(0x44))"#;
    let text = said(&all, &scenario("esp32-devkit", part, ""));
    assert!(text.contains("nothing pulls the I2C bus up"), "{text}");
    assert!(text.contains("a.ron:3:"), "{text}");
    assert_eq!(said(&all, &scenario("raspberry-pi-4b", part, "")), "");
    // Another part's resistors serve the whole bus.
    let two = format!(r#"{part}, (id: "p", model: "bmp280", on: I2c(0x76))"#);
    assert_eq!(said(&all, &scenario("esp32-devkit", &two, "")), "");
}

#[test]
fn a_regulator_that_is_overdrawn() {
    let lasers: Vec<String> = (0..8)
        .map(|i| {
            format!(
                r#"(id: "mic{i}", model: "mic-level", on: Pin("{}"))"#,
                ["A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7"][i]
            )
        })
        .collect();
    let mut all = catalog::builtin().unwrap();
    // Its resistors at A4 and A5 are of no matter here.
    all.boards.get_mut("arduino-nano-33-iot").unwrap().i2c_pull_up = false;
    let mut small = all.clone();
    small.boards.get_mut("arduino-nano-33-iot").unwrap().rail_ma = Some(150.0);
    let text = scenario("arduino-nano-33-iot", &lasers.join(",\n    "), "");
    assert_eq!(said(&all, &text), "");
    let refused = said(&small, &text);
    assert!(refused.contains("draw 154 mA with this one, but its regulator leaves 150 mA"), "{refused}");
    assert!(refused.contains("a.ron:9:"), "the seventh is the one too many: {refused}");
}

#[test]
fn a_supply_that_is_overdrawn() {
    let stick = r#"(id: "light", model: "neopixel-stick", on: Pin("GPIO4"))"#;
    check(
        "esp32-devkit",
        stick,
        "",
        expect![[r#"
          x the parts on 5 V of `esp32-devkit` draw 480 mA with this one, but its supply pin leaves 250 mA
           ,-[a.ron:3:26]
         2 |   things: [(name: "t", source: "own", board: "esp32-devkit", parts: [
         3 |     (id: "light", model: "neopixel-stick", on: Pin("GPIO4"))
           :                          ^^^^^^^^^^^^^^^^
         4 |   ], )])
           `----
          help: feed `light` from a supply of its own and say `own_supply: true`"#]],
    );
    check("esp32-devkit", &stick.replace("\"))", "\"), own_supply: true)"), "", expect![[""]]);
}

#[test]
fn a_pin_that_is_overdrawn() {
    let mut all = catalog::builtin().unwrap();
    all.actuators.get_mut("led").unwrap().pin_ma = 18.0;
    let led = |pin: &str| format!(r#"(id: "lamp", model: "led", on: Pin("{pin}"))"#);
    let text = said(&all, &scenario("raspberry-pi-4b", &led("GPIO4"), ""));
    assert!(
        text.contains("`led` takes 18 mA from its pin, but one of `raspberry-pi-4b` gives 16 mA"),
        "{text}"
    );
    assert_eq!(said(&all, &scenario("esp32-devkit", &led("GPIO4"), "")), "");
}

#[test]
fn a_part_that_the_battery_cannot_feed() {
    let power = "power: Battery(capacity_mah: 500, charge: (1, 1), r0_ohm: 0.1, ocv_v: [(0, 3), (1, 4.2)])";
    check(
        "esp32-devkit",
        r#"(id: "dust", model: "pms5003", on: Pins(["GPIO17", "GPIO16"]))"#,
        power,
        expect![[r#"
          x `pms5003` needs 4.5 to 5.5 V, but the board gives 3.3 V and its battery at most 4.2 V
           ,-[a.ron:3:25]
         2 |   things: [(name: "t", source: "own", board: "esp32-devkit", parts: [
         3 |     (id: "dust", model: "pms5003", on: Pins(["GPIO17", "GPIO16"]))
           :                         ^^^^^^^^^
         4 |   ], power: Battery(capacity_mah: 500, charge: (1, 1), r0_ohm: 0.1, ocv_v: [(0, 3), (1, 4.2)]))])
           `----
          help: choose a part that works at these, or feed it otherwise and say `own_supply: true`"#]],
    );
}

#[test]
fn a_converter_that_gives_way_to_the_radio() {
    let probe = |pin: &str| format!(r#"(id: "soil", model: "soil-capacitive", on: Pin("{pin}"))"#);
    check(
        "esp32-devkit",
        &probe("GPIO25"),
        SPEAKS,
        expect![[r#"
          x `GPIO25` of `esp32-devkit` cannot be read while its Wi-Fi is on, and its firmware speaks over that
           ,-[a.ron:3:48]
         2 |   things: [(name: "t", source: "own", board: "esp32-devkit", parts: [
         3 |     (id: "soil", model: "soil-capacitive", on: Pin("GPIO25"))
           :                                                ^^^^^^^^^^^^^
         4 |   ], firmware: (period: "60s", publish: [(topic: "a/{device}")]))])
           `----
          help: analogue pins that can: GPIO32, GPIO33, GPIO34, GPIO35, GPIO36, GPIO39"#]],
    );
    // Without a word over Wi-Fi the second converter serves.
    check("esp32-devkit", &probe("GPIO25"), "", expect![[""]]);
    check("esp32-devkit", &probe("GPIO34"), SPEAKS, expect![[""]]);
}

#[test]
fn a_tachometer_of_what_is_no_fan() {
    check(
        "esp32-devkit",
        r#"(id: "pump", model: "pump-5v", on: Pin("GPIO25")),
    (id: "turns", model: "fan-tacho", on: Pin("GPIO26"), of: "pump"), (id: "more", model: "fan-tacho", on: Pin("GPIO27"), of: "fan")"#,
        "",
        expect![[r#"
              x `fan-tacho` measures rotation, of which `pump` gives nothing
               ,-[a.ron:4:62]
             3 |     (id: "pump", model: "pump-5v", on: Pin("GPIO25")),
             4 |     (id: "turns", model: "fan-tacho", on: Pin("GPIO26"), of: "pump"), (id: "more", model: "fan-tacho", on: Pin("GPIO27"), of: "fan")
               :                                                              ^^^^^^
             5 |   ], )])
               `----
              help: it gives flow
              x there is no actuator `fan`
               ,-[a.ron:4:127]
             3 |     (id: "pump", model: "pump-5v", on: Pin("GPIO25")),
             4 |     (id: "turns", model: "fan-tacho", on: Pin("GPIO26"), of: "pump"), (id: "more", model: "fan-tacho", on: Pin("GPIO27"), of: "fan")
               :                                                                                                                               ^^^^^
             5 |   ], )])
               `----
              help: known: `pump`
            2 errors"#]],
    );
}

#[test]
fn what_is_told_of_parts_that_are_not_there() {
    let all = catalog::builtin().unwrap();
    let text = scenario("esp32-devkit", r#"(id: "door", model: "reed-switch", on: Pin("GPIO4"))"#, "")
        .replace("thing: \"t\")", "thing: \"t\", truths: {\"door.contact\": 0, \"door.contakt\": 1})")
        .replace("things:", "timeline: [(at: \"1min\", do: Set(target: \"n/dor.contact\", to: 1))], things:");
    let text = said(&all, &text);
    assert!(
        text.contains("`n` finds no `door.contakt`") && text.contains("did you mean `door.contact`"),
        "{text}"
    );
    assert!(text.contains("no part of `n` finds `dor.contact`"), "{text}");
}

#[test]
fn a_part_that_finds_nothing_is_warned_of() {
    let all = catalog::builtin().unwrap();
    let door = r#"(id: "door", model: "reed-switch", on: Pin("GPIO4"))"#;
    let text = said(&all, &scenario("esp32-devkit", door, ""));
    assert!(text.contains("nothing gives `door.contact` a value: it stays 0"), "{text}");
    let told = scenario("esp32-devkit", door, "")
        .replace("thing: \"t\")", "thing: \"t\", truths: {\"door.contact\": 1})");
    assert_eq!(said(&all, &told), "");
    let imu = r#"(id: "imu", model: "mpu6050", on: I2c(0x68))"#;
    let text = said(&all, &scenario("esp32-devkit", imu, ""));
    assert!(text.contains("`imu.accel_x` and 5 more") && text.contains("mount the part on a body"), "{text}");
}

#[test]
fn faults_that_befall_nothing() {
    let all = catalog::builtin().unwrap();
    let parts = r#"(id: "climate", model: "bme280", on: I2c(0x76)), (id: "door", model: "reed-switch", on: Pin("GPIO4")),
        (id: "inner", model: "ds18b20", on: Pin("GPIO16"), pull_up: true)"#;
    let told = |event: &str| {
        let timeline = format!("timeline: [(at: \"1min\", do: {event})], things:");
        errors(&all, &scenario("esp32-devkit", parts, "").replace("things:", &timeline))
    };
    for (event, message, help) in [
        (
            r#"Fault(target: "n/door.contact", kind: BusLockUp)"#,
            "is on no bus that could hang",
            "I2C, SPI or 1-Wire",
        ),
        (
            r#"Fault(target: "n", kind: BusLockUp)"#,
            "`n` names no signal",
            "only Dropout, ClockSkew, AdcReference",
        ),
        (
            r#"Fault(target: "n", kind: AdcReference(by: 0.1))"#,
            "no part through its board's converter",
            "analogue pin",
        ),
        (
            r#"Fault(target: "n/climate.*", kind: AdcReference(by: 0.1))"#,
            "the reference is the whole board's",
            "write `n`",
        ),
        (
            r#"Fault(target: "n", kind: Condensation(recover: "1min", leak: 10))"#,
            "`leak` must lie within 0 and 1",
            "10 % is written 0.1",
        ),
        (
            r#"Fault(target: "n/inner.temperature", kind: Condensation(recover: "1min"))"#,
            "measures no humidity",
            "such a part",
        ),
        (
            r#"Fault(target: "n/door.contact", kind: SelfHeating(by: 1, tau: "1min"))"#,
            "measures no temperature",
            "temperature of a part",
        ),
        (r#"Fault(target: "n/climate.*", kind: Dust(per_day: 0.1))"#, "measures no light", "illuminance"),
        (
            r#"Fault(target: "n/climate.*", kind: Intermittent(open: "1ms", closed: "1s"))"#,
            "`open` is shorter than 10ms",
            "10ms",
        ),
        (
            r#"Swap(target: "n/climate.temperature", with: "iner.temperature")"#,
            "measures no `iner.temperature`",
            "`inner.temperature`",
        ),
        (
            r#"Swap(target: "n/climate.temperature", with: "climate.humidity")"#,
            "not of one quantity",
            "measures the same",
        ),
        (
            r#"Swap(target: "n/climate.temperature", with: "climate.temperature")"#,
            "with itself",
            "measures the same",
        ),
        (r#"Swap(target: "n/climate.*", with: "inner.temperature")"#, "may name more than one", "write out"),
        (
            r#"Swap(target: "m/climate.temperature", with: "inner.temperature")"#,
            "there is no device `m`",
            "did you mean `n`?",
        ),
    ] {
        let said = told(event);
        assert!(said.contains(message) && said.contains(help), "{event}:\n{said}");
    }
    for event in [
        r#"Swap(target: "n/climate.temperature", with: "inner.temperature")"#,
        r#"Fault(target: "n/inner.temperature", kind: BusLockUp)"#,
        r#"Fault(target: "n", kind: Condensation(recover: "1min"))"#,
    ] {
        assert_eq!(told(event), "", "{event}");
    }
}

#[test]
fn drives_that_follow_no_actuator() {
    let all = catalog::builtin().unwrap();
    let told = |drive: &str| {
        let scene = format!(
            r#"world: (scene: (bodies: [(id: "b", kind: Dynamic, shape: Sphere(radius_m: 0.1), mass_kg: 1)],
            rotors: [(id: "r", body: "b", axis: (0, 0, 1), unbalance_g_mm: 1, drive: ({drive}))])), things:"#
        );
        let fan = r#"(id: "fan", model: "fan-nf-a4x10", on: Pin("GPIO16"))"#;
        errors(&all, &scenario("esp32-devkit", fan, "").replace("things:", &scene))
    };
    for (drive, message) in [
        ("", "either `speeds` or an actuator that it `follows`"),
        (r#"speeds: [(rpm: 10)], follows: (actuator: "n/fan", rpm: 10)"#, "either `speeds` or an actuator"),
        (r#"follows: (actuator: "m/fan", rpm: 10)"#, "there is no device `m`; there are: n"),
        (r#"follows: (actuator: "n/pump", rpm: 10)"#, "`n` has no actuator `pump`; it has: fan"),
        (r#"follows: (actuator: "n/fan", rpm: 1e9)"#, "turns a minute"),
    ] {
        let said = told(drive);
        assert!(said.contains(message), "{drive}:\n{said}");
    }
    assert_eq!(told(r#"follows: (actuator: "n/fan", rpm: 3000)"#), "");
}

#[test]
fn what_a_payload_may_tell_of_its_device() {
    let all = catalog::builtin().unwrap();
    let said = |word: &str| {
        let firmware = format!(
            r#"firmware: (period: "60s", publish: [(topic: "a/{{device}}", payload: Template("{{{word}:.1}}"))])"#
        );
        errors(&all, &scenario("esp32-devkit", r#"(id: "c", model: "bme280", on: I2c(0x76))"#, &firmware))
    };
    for word in ["rssi_dbm", "battery_v", "c.temperature"] {
        assert_eq!(said(word), "", "{word}");
    }
    assert!(said("rssi").contains("the payload has no `{rssi}`") && said("rssi").contains("`rssi_dbm`"));
}

/// What is told of parts on a board, warnings and all, without where.
fn told(board: &str, parts: &str, more: &str) -> String {
    let text = said(&catalog::builtin().unwrap(), &scenario(board, parts, more));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Checks that something is told of one wiring, and nothing of it of another.
fn told_of(board: &str, bad: (&str, &str), good: (&str, &str), words: &str) {
    let of_bad = told(board, bad.0, bad.1);
    assert!(of_bad.contains(words), "{bad:?}: {of_bad}");
    let of_good = told(board, good.0, good.1);
    assert!(!of_good.contains(words), "{good:?}: {of_good}");
}

#[test]
fn a_line_that_nothing_pulls_up() {
    let dht = r#"(id: "air", model: "dht22", on: Pin("GPIO16"))"#;
    let pulled = r#"(id: "air", model: "dht22", on: Pin("GPIO16"), pull_up: true)"#;
    told_of(
        "esp32-devkit",
        (dht, ""),
        (pulled, ""),
        "nothing pulls the line on `GPIO16` up: neither `dht22` nor",
    );
    // The chip's own weak resistor does for a contact and for a tachometer, where its pad has one.
    for model in ["reed-switch", "fan-tacho"] {
        let on = |pin: &str| format!(r#"(id: "a", model: "{model}", on: Pin("{pin}"))"#);
        told_of(
            "esp32-devkit",
            (&on("GPIO34"), ""),
            (&on("GPIO27"), ""),
            "nothing pulls the line on `GPIO34` up",
        );
        told_of(
            "esp8266-nodemcu",
            (&on("GPIO16"), ""),
            (&on("GPIO14"), ""),
            "nothing pulls the line on `GPIO16` up",
        );
    }
}

/// GPIO34–39 of an ESP32 drive nothing: no lamp, no request to a DHT22, no trigger, no clock; what they only read may be there.
#[test]
fn an_output_on_a_pin_that_is_an_input() {
    let words = "pin `GPIO35` of `esp32-devkit` is not";
    for part in [
        r#"model: "led", on: Pin("GPIO35")"#,
        r#"model: "dht22", on: Pin("GPIO35"), pull_up: true"#,
        r#"model: "ds18b20", on: Pin("GPIO35"), pull_up: true"#,
        r#"model: "hc-sr04", on: Pins(["GPIO35", "GPIO27"]), shifted: true"#,
        r#"model: "hx711-load-cell", on: Pins(["GPIO27", "GPIO35"])"#,
    ] {
        let here = format!(r#"(id: "a", {part})"#);
        told_of("esp32-devkit", (&here, ""), (&here.replace("GPIO35", "GPIO26"), ""), words);
    }
    for part in [
        r#"(id: "a", model: "hc-sr04", on: Pins(["GPIO27", "GPIO35"]), shifted: true)"#,
        r#"(id: "a", model: "hx711-load-cell", on: Pins(["GPIO35", "GPIO27"]))"#,
        r#"(id: "a", model: "hc-sr501", on: Pin("GPIO35"))"#,
    ] {
        assert!(!told("esp32-devkit", part, "").contains(words), "{part}");
    }
}

#[test]
fn a_part_that_holds_a_strapping_pin() {
    let on = |part: &str, pin: &str| format!(r#"(id: "a", {})"#, part.replace('%', pin));
    let dht = r#"model: "dht22", on: Pin("%"), pull_up: true"#;
    for (board, part, bad, good, words) in [
        ("esp32-devkit", dht, "GPIO12", "GPIO14", "wants `GPIO12` low at its start"),
        (
            "esp32-devkit",
            r#"model: "led", on: Pin("%")"#,
            "GPIO0",
            "GPIO14",
            "wants `GPIO0` high at its start",
        ),
        ("esp32-devkit", r#"model: "hc-sr501", on: Pin("%")"#, "GPIO15", "GPIO12", "wants `GPIO15` high"),
        ("esp8266-nodemcu", dht, "GPIO15", "GPIO2", "wants `GPIO15` low at its start"),
        (
            "esp8266-nodemcu",
            r#"model: "led", on: Pin("%")"#,
            "GPIO2",
            "GPIO15",
            "wants `GPIO2` high at its start",
        ),
        (
            "esp32-c3-devkit",
            r#"model: "led", on: Pin("%")"#,
            "GPIO9",
            "GPIO3",
            "wants `GPIO9` high at its start",
        ),
        ("esp32-s3-devkit", dht, "GPIO46", "GPIO3", "wants `GPIO46` low at its start"),
    ] {
        told_of(board, (&on(part, bad), ""), (&on(part, good), ""), words);
    }
    // It is a warning: the bench can live with it.
    assert_eq!(errors(&catalog::builtin().unwrap(), &scenario("esp32-devkit", &on(dht, "GPIO12"), "")), "");
}

/// A servo counts with what it takes on its way.
#[test]
fn a_servo_that_overdraws_its_supply() {
    let servos = |n: usize| {
        let one = |i: usize| {
            format!(r#"(id: "s{i}", model: "servo-sg90", on: Pin("{}"))"#, ["GPIO25", "GPIO26"][i])
        };
        (0..n).map(one).collect::<Vec<_>>().join(", ")
    };
    let words = "draw 350 mA with this one, but its supply pin leaves 250 mA";
    told_of("esp32-devkit", (&servos(2), ""), (&servos(1), ""), words);
}

/// Boards that their own regulator feeds take what their parts take from a pack's regulator, too; those past it are told part by
/// part.
#[test]
fn a_packs_regulator_that_is_overdrawn() {
    let pack = |cell: &str, series: u32, regulator: &str| {
        format!(r#"power: Pack(cell: "{cell}", series: {series}, charge: (1, 1), regulator: "{regulator}")"#)
    };
    let pad = r#"(id: "p", model: "heater-pad", on: Pin("GPIO12"))"#;
    let boost = pack("li-ion-18650", 1, "tps61090-5v");
    told_of(
        "raspberry-pi-4b",
        (pad, &boost),
        (&pad.replace("heater-pad", "relay"), &boost),
        "`tps61090-5v` gives 1000 mA, but `raspberry-pi-4b` takes 1600 mA with its parts",
    );
    // 250 mA less the 190 of sending.
    let (mic, lamp) = (
        r#"(id: "m", model: "mic-level", on: Pin("GPIO34"))"#,
        r#"(id: "l", model: "led", on: Pin("GPIO25"))"#,
    );
    let two = format!("{mic}, {}, {lamp}", mic.replace("\"m\"", "\"n\"").replace("34", "35"));
    let three = format!("{two}, {}", mic.replace("\"m\"", "\"o\"").replace("34", "32"));
    let ldo = pack("li-ion-18650", 1, "mcp1700-3v3");
    told_of("esp32-devkit", (&three, &ldo), (&two, &ldo), "its regulator leaves 60 mA");
}

/// What lies beyond what a part can read is warned of, wherever it is said.
#[test]
fn values_that_no_part_can_read() {
    let all = catalog::builtin().unwrap();
    let of = |parts: &str, group: &str, world: &str, timeline: &str| {
        let text = scenario("esp32-devkit", parts, "")
            .replace("thing: \"t\")", &format!("thing: \"t\", in: [\"z\"]{group})"))
            .replace(
                "things:",
                &format!("world: (zones: [(id: \"z\", {world})]), timeline: [{timeline}], things:"),
            );
        said(&all, &text).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let dht = r#"(id: "a", model: "dht11", on: Pin("GPIO4"), pull_up: true)"#;
    let cold = of(dht, "", "temperature_c: -10", "");
    assert!(cold.contains("`a.temperature` finds -10 degC, but `dht11` reads 0 to 50: it shows 0"), "{cold}");
    assert_eq!(of(dht, "", "temperature_c: 10", ""), "");
    let set = of(dht, "", "temperature_c: 10", r#"(at: "1min", do: Set(target: "n/a.humidity", to: 95))"#);
    assert!(set.contains("`a.humidity` finds 95 percent, but `dht11` reads 20 to 90"), "{set}");
    let bias = r#"(at: "1min", do: Fault(target: "n/a.temperature", kind: Bias(by: 60)))"#;
    let bias = of(dht, "", "temperature_c: 10", bias);
    assert!(bias.contains("a fault of 60 degC is more than all that `a.temperature` can read"), "{bias}");
    let reed = r#"(id: "r", model: "reed-switch", on: Pin("GPIO32"))"#;
    let bias = r#"(at: "1min", do: Fault(target: "n/r.contact", kind: Bias(by: 1)))"#;
    let bias = of(reed, ", truths: {\"r.contact\": 0}", "", bias);
    assert!(bias.contains("a fault of 1 is more than all that `r.contact` can read"), "{bias}");
    // A label of a fault that changes nothing cannot be found out by anybody.
    for (kind, says) in [("Bias(by: 0)", "`by` is 0"), ("Gain(factor: 1)", "`factor` is 1")] {
        let fault = format!(r#"(at: "1min", do: Fault(target: "n/a.temperature", kind: {kind}))"#);
        let idle = of(dht, "", "temperature_c: 10", &fault);
        assert!(idle.contains(&format!("a fault whose {says} does nothing")), "{idle}");
    }
    // A converter may end before the part does: 9,000 lx are 3.23 V, and 11 dB end at 3.13 V.
    let ldr = r#"(id: "l", model: "ldr", on: Pin("GPIO34"))"#;
    let bright = of(ldr, ", truths: {\"l.illuminance\": 9000}", "", "");
    assert!(bright.contains("`ldr` and its board's converter read"), "{bright}");
    assert_eq!(of(ldr, ", truths: {\"l.illuminance\": 100}", "", ""), "");
}
