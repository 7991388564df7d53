//! What people see when a file is wrong, and that no file makes the reader panic.

use super::{
    check,
    definition::{self, Definition},
    diagnostic::{Report, Style},
    files::Files,
    source::Source,
};
use crate::catalog::{ActuatorDef, BoardDef, Catalog, SensorDef, ThingDef};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::sync::LazyLock;

const BOARD: &str = r#"Board(format: 1, name: "devkit", source: "a test", logic_v: 3.3, brown_out_v: 2.4,
    current_ma: (active: 80, transmit: 200, sleep: 0.01), adc: (bits: 12, reference_v: 3.3),
    pins: {"D1": [Digital, Pwm], "D2": [Digital], "A1": [Digital, Analog], "D21": [Digital, Sda], "D22": [Digital, Scl]})"#;
const BARE: &str = r#"Board(format: 1, name: "bare", source: "a test", logic_v: 3.3, brown_out_v: 2.4,
    current_ma: (active: 80, transmit: 200, sleep: 0.01), pins: {"D1": [Digital]})"#;
const CLIMATE: &str = r#"Sensor(format: 1, name: "bme280", source: "a test", bus: I2c([0x76, 0x77]), active_ma: 0.4, channels: [
    (quantity: "temperature", unit: "degC", range: (-40, 85)), (quantity: "humidity", unit: "percent", range: (0, 100))])"#;
const SOIL: &str = r#"Sensor(format: 1, name: "soil", source: "a test", bus: Analog, active_ma: 5, channels: [
    (quantity: "soil_moisture", unit: "percent", range: (0, 100))])"#;
const HEATER: &str =
    r#"Actuator(format: 1, name: "heater", source: "a test", bus: Digital(1), effect: HeatW(100))"#;
const NODE: &str = r#"Thing(format: 1, name: "node", source: "a test", board: "devkit", parts: [
    (id: "air", model: "bme280", on: I2c(0x76)), (id: "warm", model: "heater", on: Pin("D1"))],
    firmware: (period: "60s", publish: [(topic: "f/{device}", qos: 1)]))"#;

/// A scenario that is right, and touches every section.
const GOOD: &str = r#"Scenario(
  format: 1,
  about: "a test",
  seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
  world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
  links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
  fleet: [
    (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
    (id: "box", thing: "hot-box"),
  ],
  things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("A1")) ]) ],
  timeline: [
    (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
    (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
    (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
    (at: "40min", do: Disturb(zone: "room", heat_w: 100.0)),
  ],
  record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
)
"#;

fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
        fn read<T: Definition>(text: &str) -> (String, T) {
            let value: T = definition::read(&Source::embedded("test", text)).unwrap();
            (value.name().to_owned(), value)
        }
        let mut catalog = Catalog::default();
        catalog.boards.extend([read::<BoardDef>(BOARD), read(BARE)]);
        catalog.sensors.extend([read::<SensorDef>(CLIMATE), read(SOIL)]);
        catalog.actuators.extend([read::<ActuatorDef>(HEATER)]);
        catalog.things.extend([read::<ThingDef>(NODE)]);
        catalog
    });
    &CATALOG
}

fn report_of(source: &Source) -> Report {
    match super::read(source) {
        Ok(scenario) => check::check(&scenario, catalog(), source, &Files::at("no/such/folder")),
        Err(report) => report,
    }
}

fn report(text: &str) -> Report {
    report_of(&Source::embedded("a.ron", text))
}

/// Replaces a piece of the good scenario and shows what is said about it.
fn check(from: &str, to: &str, want: Expect) {
    assert!(GOOD.contains(from), "`{from}` is not in the good scenario");
    want.assert_eq(&dedented(report(&GOOD.replacen(from, to, 1)).render(Style::Plain)));
}

#[test]
fn the_good_scenario_is_good() {
    expect![""].assert_eq(&dedented(report(GOOD).render(Style::Plain)));
}

#[test]
fn syntax() {
    check(
        r#"seed: 3, duration"#,
        r#"seed: 3 duration"#,
        expect![[r#"
              x expected `,` before this
               ,-[a.ron:4:11]
             3 |   about: "a test",
             4 |   seed: 3 duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
               :           ^^^^^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
              help: is a comma missing at the end of the value before?
        "#]],
    );
    check(
        r#"link: "wifi"),"#,
        r#"link: "wifi"],"#,
        expect![[r#"
              x `]` does not close the `(` that is still open
               ,-[a.ron:8:82]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"],
               :     |                                                                            |
               :     |                                                                            `-- closes something else
               :     `-- opened here
             9 |     (id: "box", thing: "hot-box"),
               `----
        "#]],
    );
    check(
        "  record: (",
        "  record: ((",
        expect![[r#"
              x this `(` is never closed
               ,-[a.ron:1:9]
             1 | Scenario(
               :         |
               :         `-- opened here
             2 |   format: 1,
               `----
        "#]],
    );
    check(
        r#"about: "a test","#,
        r#"about: "a test,"#,
        expect![[r#"
              x this string never ends
               ,-[a.ron:3:3]
             2 |   format: 1,
             3 |   about: "a test,
               :   ^^^^^^^|^^^^^^^
               :          `-- is a quote missing on this line?
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
               `----
                ,-[a.ron:18:63]
             17 |   ],
             18 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
                :                                                               |
                :                                                               `-- starts here
             19 | )
                `----
        "#]],
    );
    check(
        r#"about: "a test","#,
        r#"/* about: "a test","#,
        expect![[r#"
              x this string never ends
                ,-[a.ron:18:63]
             17 |   ],
             18 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
                :                                                               |
                :                                                               `-- starts here
             19 | )
                `----
        "#]],
    );
    check(
        r#"about: "a test","#,
        r#"about: a test,"#,
        expect![[r#"
              x expected a text in quotes
               ,-[a.ron:1:1]
             1 | Scenario(
               : ^^^^^^^^^
             2 |   format: 1,
               `----
              help: write it as "text"
        "#]],
    );
    check(
        "loss: 0.01",
        "loss: 0,01",
        expect![[r#"
              x `01` is no name of a field
               ,-[a.ron:6:54]
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0,01) ],
               :                                                      ^^
             7 |   fleet: [
               `----
              help: is it a decimal comma? numbers are written 0.5
        "#]],
    );
}

#[test]
fn shape() {
    check(
        "duration:",
        "duratoin:",
        expect![[r#"
              x there is no field `duratoin` in a Scenario
               ,-[a.ron:4:12]
             3 |   about: "a test",
             4 |   seed: 3, duratoin: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
               :            ^^^^|^^^
               :                `-- unknown field
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
              help: did you mean `duration`?
        "#]],
    );
    check(
        "count: 20",
        "cuont: 20",
        expect![[r#"
              x there is no field `cuont` in a Group
               ,-[a.ron:8:21]
             7 |   fleet: [
             8 |     (id: "node-{}", cuont: 20, thing: "node", in: ["house", "room"], link: "wifi"),
               :                     ^^|^^
               :                       `-- unknown field
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: did you mean `count`?
        "#]],
    );
    check(
        "kind: Bias(by: 3.0)",
        "kind: Bais(by: 3.0)",
        expect![[r#"
              x there is no variant `Bais` in a Fault
                ,-[a.ron:13:85]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bais(by: 3.0))),
                :                                                                                     ^^|^
                :                                                                                       `-- unknown variant
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: did you mean `Bias`?
        "#]],
    );
    check(
        r#"thing: "node", in"#,
        "in",
        expect![[r#"
              x the field `thing` is missing in a Group
               ,-[a.ron:8:5]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 20, in: ["house", "room"], link: "wifi"),
               :     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
               :                                   `-- needs `thing: …`
             9 |     (id: "box", thing: "hot-box"),
               `----
        "#]],
    );
    check(
        "count: 20",
        "count: -1",
        expect![[r#"
              x the number does not fit: it is too large, or negative where that makes no sense
               ,-[a.ron:8:28]
             7 |   fleet: [
             8 |     (id: "node-{}", count: -1, thing: "node", in: ["house", "room"], link: "wifi"),
               :                            ^^
             9 |     (id: "box", thing: "hot-box"),
               `----
        "#]],
    );
    check(
        "count: 20",
        r#"count: "many""#,
        expect![[r#"
              x expected a whole number
               ,-[a.ron:8:5]
             7 |   fleet: [
             8 |     (id: "node-{}", count: "many", thing: "node", in: ["house", "room"], link: "wifi"),
               :     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
        "#]],
    );
    check(
        r#"duration: "1h""#,
        r#"duration: "1 fortnight""#,
        expect![[r#"
              x `1 fortnight` is no duration: write a number and a unit, such as "90s", "1h30min", "250ms" or "2d"
               ,-[a.ron:4:22]
             3 |   about: "a test",
             4 |   seed: 3, duration: "1 fortnight", step: "1s", start: "2026-06-21T00:00:00Z",
               :                      ^^^^^^^^^^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
        "#]],
    );
    check(
        "seed: 3,",
        "seed: 3, seed: 4,",
        expect![[r#"
              x the field `seed` is given twice in a Scenario
               ,-[a.ron:4:12]
             3 |   about: "a test",
             4 |   seed: 3, seed: 4, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
               :            ^^|^
               :              `-- given again
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
        "#]],
    );
    check(
        r#"in: ["house", "room"]"#,
        r#"in: "house""#,
        expect![[r#"
              x expected a list
               ,-[a.ron:8:5]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 20, thing: "node", in: "house", link: "wifi"),
               :     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: lists are written [a, b]
        "#]],
    );
}

#[test]
fn versions() {
    check(
        "format: 1,",
        "format: 2,",
        expect![[r#"
              x the file is written in format 2, this program reads format 1
               ,-[a.ron:2:11]
             1 | Scenario(
             2 |   format: 2,
               :           ^
             3 |   about: "a test",
               `----
              help: it comes from a newer Twinfleet: update the program
        "#]],
    );
    check(
        "format: 1,",
        "",
        expect![[r#"
              x the file does not say which `format` it is written in
               ,-[a.ron:1:1]
             1 | Scenario(
               : ^^^^^^^^^
             2 |
               `----
              help: write `format: 1,` first
        "#]],
    );
    check(
        "Scenario(",
        "Board(",
        expect![[r#"
              x this is a `Board`, a `Scenario` was expected
               ,-[a.ron:1:1]
             1 | Board(
               : ^^^^^
             2 |   format: 1,
               `----
              help: a scenario file starts with `Scenario(format: 1, …)`
        "#]],
    );
    expect![[r#"
          x `a.ron` is empty
           ,-[a.ron:1:1]
           `----
          help: a file starts with `Scenario(format: 1, …)`
    "#]]
    .assert_eq(&dedented(report("").render(Style::Plain)));
}

#[test]
fn ranges() {
    check(
        "loss: 0.01",
        "loss: 1.5",
        expect![[r#"
              x `loss` must lie within 0 and 1
               ,-[a.ron:6:52]
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 1.5) ],
               :                                                    ^^^
             7 |   fleet: [
               `----
        "#]],
    );
    check(
        "temperature_c: 20.0",
        "temperature_c: -300.0",
        expect![[r#"
              x -300.0 is out of range: a temperature in °C lies within -273.15 and 2000
               ,-[a.ron:5:50]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", temperature_c: -300.0), (id: "room", in: "house") ] ),
               :                                                  ^^^|^^
               :                                                     `-- `temperature_c`
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
        "#]],
    );
    check(
        "temperature_c: 20.0",
        "temperature_c: 293.15",
        expect![[r#"
              ! 293.15 °C is hot for a place where devices live
               ,-[a.ron:5:50]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", temperature_c: 293.15), (id: "room", in: "house") ] ),
               :                                                  ^^^^^^
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: is it in kelvin?
        "#]],
    );
    check(
        "heat_w: 100.0",
        "heat_w: NaN",
        expect![[r#"
              x `NaN` is no figure a simulation can use
                ,-[a.ron:16:53]
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
             16 |     (at: "40min", do: Disturb(zone: "room", heat_w: NaN)),
                :                                                     ^^^
             17 |   ],
                `----
              help: write a finite number
        "#]],
    );
    check(
        "level: 0.5",
        "level: 50.0",
        expect![[r#"
              x `level` must lie within 0 and 1
                ,-[a.ron:14:61]
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 50.0)),
                :                                                             ^^^^
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
                `----
        "#]],
    );
    check(
        r#"step: "1s""#,
        r#"step: "0s""#,
        expect![[r#"
              x the step must be above 0 s
               ,-[a.ron:4:34]
             3 |   about: "a test",
             4 |   seed: 3, duration: "1h", step: "0s", start: "2026-06-21T00:00:00Z",
               :                                  ^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
        "#]],
    );
    check(
        "count: 20",
        "count: 4000000000",
        expect![[r#"
              x the fleet has 24000000000 signals up to here; a run holds 4294967295 at most
               ,-[a.ron:8:28]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 4000000000, thing: "node", in: ["house", "room"], link: "wifi"),
               :                            ^^^^^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: split the fleet over several scenarios, or over shards
        "#]],
    );
    check(
        r#"until: "20min""#,
        r#"until: "5min""#,
        expect![[r#"
              x the event ends before it begins
                ,-[a.ron:13:26]
             12 |   timeline: [
             13 |     (at: "10min", until: "5min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
                :          ^^^|^^^         ^^^^^^
                :             `-- begins here
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
        "#]],
    );
    check(
        r#"at: "40min""#,
        r#"at: "2h""#,
        expect![[r#"
              ! this lies beyond the end of the run, 1h
                ,-[a.ron:16:10]
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
             16 |     (at: "2h", do: Disturb(zone: "room", heat_w: 100.0)),
                :          ^^^^
             17 |   ],
                `----
        "#]],
    );
    check(
        "2026-06-21T",
        "2026-06-31T",
        expect![[r#"
              x `2026-06-31T00:00:00Z` is no time
               ,-[a.ron:4:47]
             3 |   about: "a test",
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-31T00:00:00Z",
               :                                               ^^^^^^^^^^^^^^^^^^^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
              help: write YYYY-MM-DDTHH:MM:SSZ, such as "2026-06-21T00:00:00Z"
        "#]],
    );
}

#[test]
fn dangling_references_are_reported_together() {
    let text = GOOD
        .replace(r#"thing: "node""#, r#"thing: "nod""#)
        .replace(r#"in: ["house", "room"]"#, r#"in: ["hose"]"#)
        .replace(r#"link: "wifi""#, r#"link: "wlan""#)
        .replace(r#"model: "soil""#, r#"model: "sol""#)
        .replace(r#"board: "devkit""#, r#"board: "devkti""#)
        .replace(r#"Disturb(zone: "room""#, r#"Disturb(zone: "attic""#);
    expect![[r#"
        a.ron:8:39: error: there is no thing `nod`
        a.ron:8:51: error: there is no zone `hose`
        a.ron:8:66: error: there is no link `wlan`
        a.ron:11:53: error: there is no board `devkti`
        a.ron:11:92: error: there is no sensor or actuator `sol`
        a.ron:15:54: error: there is no link `wlan`
        a.ron:16:37: error: there is no zone `attic`"#]]
    .assert_eq(&dedented(report(&text).to_string()));
}

#[test]
fn targets() {
    check(
        "node-*/air.temperature",
        "nod-*/air.temperature",
        expect![[r#"
              x there is no device `nod-*`
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "nod-*/air.temperature", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^^^^^^^^^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: known: `box`, `node-0 … node-19`
        "#]],
    );
    check(
        "node-*/air.temperature",
        "node-*/air.temperatur",
        expect![[r#"
              x `node-{}` measures no `air.temperatur`
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperatur", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^^^^^^^^^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: did you mean `air.temperature`?
        "#]],
    );
    check(
        "node-*/air.temperature",
        "node-3",
        expect![[r#"
              x `node-3` names no signal
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-3", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: write `device/part.quantity`; only Dropout and ClockSkew befall a whole device
        "#]],
    );
    check(
        "node-3/warm",
        "node-3/air",
        expect![[r#"
              x there is no actuator `air`
                ,-[a.ron:14:39]
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
             14 |     (at: "30min", do: Command(target: "node-3/air", level: 0.5)),
                :                                       ^^^^^^^^^^^^
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
                `----
              help: known: `warm`
        "#]],
    );
    check(
        "node-3/warm",
        "node-20/warm",
        expect![[r#"
              x there is no device `node-20`
                ,-[a.ron:14:39]
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
             14 |     (at: "30min", do: Command(target: "node-20/warm", level: 0.5)),
                :                                       ^^^^^^^^^^^^^^
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
                `----
              help: known: `box`, `node-0 … node-19`
        "#]],
    );
    check(
        "node-*/air.*@reading",
        "node-*/air.*@raeding",
        expect![[r#"
              x `raeding` is no kind of signal: use one of truth, reading, reported, estimate, forecast, residual,
              | verdict
                ,-[a.ron:18:23]
             17 |   ],
             18 |   record: ( signals: ["node-*/air.*@raeding"], segment: "10min" ),
                :                       ^^^^^^^^^^^^^^^^^^^^^^
             19 | )
                `----
              help: did you mean `reading`?
        "#]],
    );
    check(
        "node-*/air.*@reading",
        "knot-*/air.*@reading",
        expect![[r#"
              ! `knot-*/air.*@reading` names no signal of this scenario
                ,-[a.ron:18:23]
             17 |   ],
             18 |   record: ( signals: ["knot-*/air.*@reading"], segment: "10min" ),
                :                       ^^^^^^^^^^^^^^^^^^^^^^
             19 | )
                `----
              help: known: `box`, `house`, `node-0 … node-19`, `outside`, `room`
        "#]],
    );
}

#[test]
fn ids() {
    check(
        r#"id: "room", in"#,
        r#"id: "house", in"#,
        expect![[r#"
          x two zones have the id `house`
           ,-[a.ron:5:62]
         4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
         5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "house", in: "house") ] ),
           :                          ^^^|^^^                             ^^^^^^^
           :                             `-- first here
         6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
           `----
          x there is no zone `room`
           ,-[a.ron:8:61]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
           :                                                             ^^^^^^
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: known: `house`
          x there is no zone `room`
            ,-[a.ron:16:37]
         15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
         16 |     (at: "40min", do: Disturb(zone: "room", heat_w: 100.0)),
            :                                     ^^^^^^
         17 |   ],
            `----
          help: known: `house`
        3 errors
    "#]],
    );
    check(
        r#"id: "box""#,
        r#"id: "node-7""#,
        expect![[r#"
              x two devices have the id `node-7`
                ,-[a.ron:9:10]
              7 |   fleet: [
              8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
                :          ^^^^|^^^^
                :              `-- first here
              9 |     (id: "node-7", thing: "hot-box"),
                :          ^^^^^^^^
             10 |   ],
                `----
        "#]],
    );
    check(
        r#"id: "node-{}""#,
        r#"id: "node""#,
        expect![[r#"
              x 20 devices cannot share the id `node`
               ,-[a.ron:8:10]
             7 |   fleet: [
             8 |     (id: "node", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
               :          ^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: write `node-{}`: `{}` becomes 0, 1, …
              x there is no device `node-*`
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^^^^^^^^^^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: did you mean `node`?
              x there is no device `node-3`
                ,-[a.ron:14:39]
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                :                                       ^^^^^^^^^^^^^
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
                `----
              help: did you mean `node`?
              ! `node-*/air.*@reading` names no signal of this scenario
                ,-[a.ron:18:23]
             17 |   ],
             18 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
                :                       ^^^^^^^^^^^^^^^^^^^^^^
             19 | )
                `----
              help: did you mean `node`?
            3 errors, 1 warning
        "#]],
    );
    check(
        r#"id: "box""#,
        r#"id: "a/b""#,
        expect![[r#"
              x `a/b` is no name for a device: it holds `/`
                ,-[a.ron:9:10]
              8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
              9 |     (id: "a/b", thing: "hot-box"),
                :          ^^^^^
             10 |   ],
                `----
              help: names are parts of signals and topics: use letters, digits, `-` and `_`
        "#]],
    );
}

#[test]
fn cyclic_zones() {
    check(
        r#"(id: "house","#,
        r#"(id: "house", in: "room","#,
        expect![[r#"
              x zones contain each other in a circle: house in room in house
               ,-[a.ron:5:39]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", in: "room", temperature_c: 20.0), (id: "room", in: "house") ] ),
               :                                       ^^^^^^                                         ^^^^^^^
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: take `in` away from the outermost zone
        "#]],
    );
    check(
        r#"(id: "house","#,
        r#"(id: "house", in: "house","#,
        expect![[r#"
              x zones contain each other in a circle: house in house
               ,-[a.ron:5:39]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", in: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               :                                       ^^^^^^^
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: take `in` away from the outermost zone
        "#]],
    );
}

#[test]
fn wiring() {
    let soil = r#"(id: "soil", model: "soil", on: Pin("A1"))"#;
    let air = |id: &str, address: u8| format!(r#"(id: "{id}", model: "bme280", on: I2c({address:#04x}))"#);
    check(
        soil,
        &format!("{}, {}", air("a", 0x76), air("b", 0x76)),
        expect![[r#"
              x two parts share the address 0x76 of one I2C bus
                ,-[a.ron:11:146]
             11 | t-box", source: "own", board: "devkit", parts: [ (id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bme280", on: I2c(0x76)) ]) ],
                :                                                                                 ^^^^|^^^^                                  ^^^^^^^^^
                :                                                                                     `-- first here
                `----
              help: `bme280` also answers to 0x77
        "#]],
    );
    check(
        soil,
        &air("a", 0x40),
        expect![[r#"
              x `bme280` does not answer to 0x40
                ,-[a.ron:11:103]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "a", model: "bme280", on: I2c(0x40)) ]) ],
                :                                                                                                       ^^^^^^^^^
             12 |   timeline: [
                `----
              help: its addresses: 0x76, 0x77
        "#]],
    );
    check(
        soil,
        r#"(id: "soil", model: "soil", on: Pin("D2"))"#,
        expect![[r#"
              x pin `D2` of `devkit` is not Analog
                ,-[a.ron:11:104]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("D2")) ]) ],
                :                                                                                                        ^^^^^^^^^
             12 |   timeline: [
                `----
              help: pins that fit: A1
        "#]],
    );
    check(
        soil,
        r#"(id: "soil", model: "soil", on: Pin("A7"))"#,
        expect![[r#"
              x `devkit` has no pin `A7`
                ,-[a.ron:11:104]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("A7")) ]) ],
                :                                                                                                        ^^^^^^^^^
             12 |   timeline: [
                `----
              help: did you mean `A1`?
        "#]],
    );
    check(
        soil,
        r#"(id: "soil", model: "soil", on: I2c(0x20))"#,
        expect![[r#"
              x `soil` cannot be wired like this
                ,-[a.ron:11:104]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: I2c(0x20)) ]) ],
                :                                                                                                        ^^^^^^^^^
             12 |   timeline: [
                `----
              help: write `on: Pin("…")`
        "#]],
    );
    check(
        soil,
        &format!("{soil}, {}", soil.replace(r#"id: "soil""#, r#"id: "wet""#)),
        expect![[r#"
              x two parts use pin `A1`
                ,-[a.ron:11:147]
             11 | -box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("A1")), (id: "wet", model: "soil", on: Pin("A1")) ]) ],
                :                                                                                 ^^^^|^^^^                                  ^^^^^^^^^
                :                                                                                     `-- first here
                `----
        "#]],
    );
    let sda = r#"(id: "h", model: "heater", on: Pin("D21"))"#;
    check(
        soil,
        &format!("{}, {sda}", air("a", 0x76)),
        expect![[r#"
              x two parts use pin `D21`
                ,-[a.ron:11:146]
             11 | t-box", source: "own", board: "devkit", parts: [ (id: "a", model: "bme280", on: I2c(0x76)), (id: "h", model: "heater", on: Pin("D21")) ]) ],
                :                                                                                 ^^^^|^^^^                                  ^^^^^^^^^^
                :                                                                                     `-- first here
                `----
        "#]],
    );
    check(
        &format!(r#"board: "devkit", parts: [ {soil}"#),
        &format!(r#"board: "bare", parts: [ {soil}"#),
        expect![[r#"
              x `soil` gives a voltage, but `bare` has no ADC
                ,-[a.ron:11:102]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "bare", parts: [ (id: "soil", model: "soil", on: Pin("A1")) ]) ],
                :                                                                                                      ^^^^^^^^^
             12 |   timeline: [
                `----
              help: an ADC on I2C, or a board with analogue inputs, would do
        "#]],
    );
}

#[test]
fn deep_nesting() {
    let deep = format!("Scenario(format: 1, about: {}1{})", "[".repeat(100_000), "]".repeat(100_000));
    expect!["a.ron:1:75: error: brackets are nested more than 48 deep"]
        .assert_eq(&dedented(report(&deep).to_string()));
    // Deep, balanced by the wrong brackets, or never closed: none may recurse.
    for text in ["(".repeat(1_000_000), "[(".repeat(500_000), format!("{}1", "Some(".repeat(200_000))] {
        assert_eq!(report(&text).errors(), 1);
    }
}

#[test]
fn files_that_are_no_text() {
    let show = |bytes: &[u8]| Source::from_bytes("a.ron", bytes.to_vec()).unwrap_err().render(Style::Plain);
    expect![[r#"
          x `a.ron` is a binary file, a text was expected
           ,-[a.ron:1:1]
           `----
          help: definition files are RON texts in UTF-8; see `twinfleet list scenarios` for examples
    "#]]
    .assert_eq(&dedented(show(b"\x7fELF\x02\x01\x01\x00\x00")));
    expect![[r#"
          x the text is not UTF-8
           ,-[a.ron:2:13]
         1 | Scenario(
         2 |   about: "Br�cke",
           :             |
           :             `-- this byte belongs to no UTF-8 character
         3 | )
           `----
          help: save the file in UTF-8
    "#]]
    .assert_eq(&dedented(show(b"Scenario(\n  about: \"Br\xfccke\",\n)")));
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("greenhouse.ron"), GOOD).unwrap();
    let show = |name: &str| {
        let report = Source::read(&dir.path().join(name)).unwrap_err();
        report.render(Style::Plain).replace(&format!("{}/", dir.path().display()), "")
    };
    expect![[r#"
          x there is no file `grenhouse.ron`
           ,-[grenhouse.ron:1:1]
           `----
          help: did you mean `greenhouse.ron`?
    "#]]
    .assert_eq(&dedented(show("grenhouse.ron")));
    // Sparse: a gigabyte on paper, nothing on the disk.
    std::fs::File::create(dir.path().join("big.ron")).unwrap().set_len(1 << 30).unwrap();
    expect![[r#"
          x `big.ron` is larger than 16 MiB
           ,-[big.ron:1:1]
           `----
          help: definition files are small texts; put readings into a recording (CSV) and name it
    "#]]
    .assert_eq(&dedented(show("big.ron")));
    assert_eq!(Source::read(dir.path()).unwrap_err().errors(), 1);
}

#[test]
fn set_replaces_and_inserts() {
    let source = Source::embedded("a.ron", GOOD);
    let set = |assignment: &str| source.set(assignment).unwrap_or_else(|r| panic!("{r}"));
    let read = |source: &Source| super::read(source).unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(read(&set("fleet[0].count=50")).fleet[0].count, 50);
    assert_eq!(read(&set("duration=10min")).duration, "10min".parse().unwrap());
    assert_eq!(read(&set("about=hello world")).about, "hello world");
    assert_eq!(read(&set("links[wifi].loss = 0.5")).links[0].loss, 0.5);
    assert_eq!(
        read(&set("links[0].radio=(tx_dbm: 20, distance_m: (1, 9))")).links[0].radio.as_ref().unwrap().tx_dbm,
        20.0
    );
    assert_eq!(read(&set("fleet[box].in=[\"room\"]")).fleet[1].zones, ["room"]);
    assert_eq!(read(&set("timeline[0].do.kind.by=7")).timeline.len(), 4);
    let twice = set("seed=9").set("fleet[1].count=1").unwrap().set("step=2s").unwrap();
    assert_eq!((read(&twice).seed, read(&twice).step), (9, "2s".parse().unwrap()));
    let bare =
        Source::embedded("a.ron", r#"(format: 1, duration: "1h")"#).set("record.segment=5min").unwrap();
    assert_eq!(read(&bare).record.segment, "5min".parse().unwrap());
}

#[test]
fn set_that_does_not_fit() {
    let source = Source::embedded("a.ron", GOOD);
    let show = |assignment: &str| match source.set(assignment) {
        Ok(source) => report_of(&source).render(Style::Plain),
        Err(report) => report.render(Style::Plain),
    };
    expect![[r#"
          x a value to set is written `path=value`
           ,-[--set:1:1]
         1 | fleet[0].count
           : ^^^^^^^|^^^^^^
           :        `-- there is no `=`
           `----
          help: such as `--set fleet[0].count=50` or `--set duration=10min`
    "#]]
    .assert_eq(&dedented(show("fleet[0].count")));
    expect![[r#"
          x `a.ron` has no element 7 to set
           ,-[--set:1:7]
         1 | fleet[7].count=1
           :       ^
           `----
          help: the list has 2 elements, counted from 0
    "#]]
    .assert_eq(&dedented(show("fleet[7].count=1")));
    expect![[r#"
          x this is no path to a field
           ,-[--set:1:10]
         1 | fleet[0]..count=1
           :          ^
           `----
          help: paths are written `fleet[0].count`, `links[wifi].loss` or `map["a key"]`
    "#]]
    .assert_eq(&dedented(show("fleet[0]..count=1")));
    expect![[r#"
          x there is no link `(a`
           ,-[a.ron:8:76]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "(a"),
           :                                                                            ^^|^
           :                                                                              `-- set by `--set fleet[0].link=(a`
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: known: `wifi`
    "#]].assert_eq(&dedented(show("fleet[0].link=(a")));
    expect![[r#"
          x there is no thing `nodes`
           ,-[a.ron:8:39]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "nodes", in: ["house", "room"], link: "wifi"),
           :                                       ^^^|^^^
           :                                          `-- set by `--set fleet[0].thing=nodes`
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: did you mean `node`?
    "#]]
    .assert_eq(&dedented(show("fleet[0].thing=nodes")));
    expect![[r#"
          x there is no field `colour` in a Group
           ,-[a.ron:8:84]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi", colour: red),
           :                                                                                    ^^^|^^
           :                                                                                       `-- unknown field, set by `--set fleet[0].colour=red`
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: known: `count`, `firmware`, `id`, `in`, `link`, `mounts`, `power`, `thing`, `truths`
    "#]].assert_eq(&dedented(show("fleet[0].colour=red")));
}

#[test]
fn recordings_of_a_scenario() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("run.csv"),
        "datetime,usage,temp\n2020-07-29 10:00:00,5,40.5\n2020-07-29 10:00:01,,41\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("bad.csv"),
        "datetime,usage,temp\n2020-07-29 10:00:00,5,40.5\n2020-07-29 10:00:00,x,41\n",
    )
    .unwrap();
    let rows = [0, 1, 2, 3, 40, 41].map(|s| format!("2020-07-29 10:00:{s:02},5,40.5\n")).concat();
    std::fs::write(dir.path().join("gap.csv"), format!("datetime,usage,temp\n{rows}")).unwrap();
    let good = r#"Scenario( format: 1, duration: "1h",
  physicals: [ (id: "pi", from: Recording(path: "run.csv", time: "datetime",
      map: {"cpu.load@reported": "usage %", "soc.temperature@reported": "temp C"}),
    publish: (topic: "f/{device}", payload: Template("{soc.temperature:.1}"))) ],
  mirror: [ (twin: "pi", thing: "node", bind: [ (topic: "f/{device}") ], params: "no.ron") ],
)"#;
    let show = |from: &str, to: &str| {
        let source = Source::embedded("a.ron", &good.replacen(from, to, 1));
        let scenario = super::read(&source).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
        let report = check::check(&scenario, catalog(), &source, &Files::at(dir.path()));
        report.to_string().replace(&format!("{}/", dir.path().display()), "")
    };
    expect![[r#"
        run.csv:3:20: warning: `cpu.load`: a cell is empty
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("", "")));
    expect![[r#"
        a.ron:2:49: error: there is no file `rum.csv`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv", "rum.csv")));
    expect![[r#"
        bad.csv:3:1: error: the time `2020-07-29 10:00:00` is given twice
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv", "bad.csv")));
    expect![[r#"
        gap.csv:6:1: error: 37.0 s without a row, where rows are 1.000 s apart
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv", "gap.csv")));
    expect![[r#"
        gap.csv:6:1: warning: one gap of 37.0 s, where rows are 1.000 s apart
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv\"", "gap.csv\", gaps: Offline")));
    expect![[r#"
        a.ron:3:73: error: `run.csv` has no column `tmp`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("temp C", "tmp C")));
    expect![[r#"
        a.ron:3:73: error: `soc.temperature` is a temperature, but `hPa` is a pressure
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("temp C", "temp hPa")));
    expect![[r#"
        a.ron:3:45: error: `soc_temperature` is no signal that a device reports
        a.ron:4:45: error: the payload has no `{soc.temperature}`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("soc.temperature@reported", "soc_temperature")));
    expect![[r#"
        a.ron:4:45: error: the payload has no `{soc.temprature}`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("{soc.temperature:.1}", "{soc.temprature:.1}")));
    expect![[r#"
        a.ron:2:33: error: neither `time` nor `period` is given
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show(r#"time: "datetime","#, "")));
    expect![[r#"
        run.csv:3:20: warning: `cpu.load`: a cell is empty
        a.ron:5:20: error: there is no device `pie` to follow
        a.ron:5:34: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:83: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show(r#"twin: "pi""#, r#"twin: "pie""#)));
}

proptest! {
    /// A few bytes of a good file cut out, doubled or replaced: an answer, never a panic.
    #[test]
    fn no_mutation_panics(edits in prop::collection::vec((0..GOOD.len(), 0..40usize, "[ -~é\\n]{0,6}"), 1..4)) {
        let mut text = GOOD.to_owned();
        for (at, len, put) in edits {
            let floor = |mut i: usize| { while !text.is_char_boundary(i) { i -= 1 } i };
            let (from, to) = (floor(at.min(text.len())), floor((at + len).min(text.len())));
            text.replace_range(from..to, &put);
        }
        let report = report(&text);
        let plain = report.render(Style::Plain);
        prop_assert_eq!(report.is_empty(), plain.is_empty());
        for item in report.items() {
            prop_assert!(item.place().is_some(), "no place: {}", item);
        }
    }

    #[test]
    fn no_text_panics(text in "[\\[\\](){}:,\"'#!rb/*a0 \\n\\\\é.-]{0,60}") {
        let report = report(&text);
        let fancy = report.render(Style::Fancy { width: 80, color: true });
        prop_assert!(!fancy.is_empty());
    }

    #[test]
    fn no_assignment_panics(assignment in "[a-z\\[\\]\"(){}=.,0-9é ]{0,30}") {
        let _ = Source::embedded("a.ron", GOOD).set(&assignment).map(|s| report_of(&s));
    }

    /// What `set` writes is what is read, and nothing else changes.
    #[test]
    fn set_counts(count in 1u32..1000, seed: u64) {
        let source = Source::embedded("a.ron", GOOD).set(&format!("fleet[0].count={count}")).unwrap();
        let scenario = super::read(&source.set(&format!("seed={seed}")).unwrap()).unwrap();
        prop_assert_eq!((scenario.fleet[0].count, scenario.seed), (count, seed));
        prop_assert_eq!(scenario.timeline.len(), 4);
    }
}

/// Without the indentation that all lines share: `expect!` takes it off its own text.
fn dedented(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let indent = |l: &str| l.len() - l.trim_start().len();
    let shared = text.lines().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.split_inclusive('\n').map(|l| l.get(shared..).unwrap_or(l.trim_start_matches(' '))).collect()
}

const NETWORK: &str = r#"Scenario(
  format: 1, duration: "1h",
  things: [ (name: "hot-box", source: "own", dynamics: (
    parameters: {
      "m": (value: 0.5, unit: "kg"),
      "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
      "u": (value: 8.0, unit: "W/(m²·K)"),
      "area": (value: 0.1, unit: "m2"),
      "power": (value: 40.0, unit: "W"),
      "alpha": (value: 0.4, unit: "W/percent"),
      "tau": (value: 20.0, unit: "s"),
      "room": (value: 21.0, unit: "degC"),
      "plain": (value: 1.0),
    },
    inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
    boundaries: [(name: "air", at: Parameter("room"))],
    storages: [
      (name: "box", capacity: "m * cp"),
      (name: "lid", capacity: "0.1 * m * cp"),
    ],
    conductances: [
      (between: ("box", "air"), value: "u * area"),
      (between: ("box", "lid"), value: "plain"),
      (between: ("lid", "air"), value: "u * area", exponent: 1.25),
    ],
    radiation: [(between: ("lid", "air"), area_m2: "0.9 * area")],
    sources: [
      (into: "box", gain: "alpha", input: "heater.level"),
      (into: "box", gain: "0.01 * power", input: "heater.level"),
      (into: "lid", gain: "power"),
    ],
    outputs: [(signal: "probe.temperature", node: "box", lag_s: "tau")],
  )) ],
)
"#;

/// Replaces a piece of the network and shows what is said about it.
fn network(from: &str, to: &str, want: Expect) {
    assert!(NETWORK.contains(from), "`{from}` is not in the network");
    want.assert_eq(&dedented(report(&NETWORK.replacen(from, to, 1)).render(Style::Plain)));
}

#[test]
fn what_is_wrong_within_a_network_is_shown_where_it_stands() {
    network(
        r#"("box", "air"), value"#,
        r#"("box", "aair"), value"#,
        expect![[r#"
         x conductance `box`–`aair`: there is no node `aair` (did you mean `air`?)
           ,-[a.ron:22:25]
        21 |     conductances: [
        22 |       (between: ("box", "aair"), value: "u * area"),
           :                         ^^^^^^
        23 |       (between: ("box", "lid"), value: "plain"),
           `----
    "#]],
    );
    network(
        r#"("lid", "air"), value: "u * area""#,
        r#"("lid", "air"), value: "u * aera""#,
        expect![[r#"
         x conductance `lid`–`air`: there is no parameter `aera` (did you mean `area`?)
           ,-[a.ron:24:40]
        23 |       (between: ("box", "lid"), value: "plain"),
        24 |       (between: ("lid", "air"), value: "u * aera", exponent: 1.25),
           :                                        ^^^^^^^^^^
        25 |     ],
           `----
    "#]],
    );
    network(
        r#"("box", "lid"), value: "plain""#,
        r#"("box", "lid"), value: "plain + 1""#,
        expect![[r#"
         x conductance `box`–`lid`: there is no parameter `plain + 1` (did you mean `plain`?)
           ,-[a.ron:23:40]
        22 |       (between: ("box", "air"), value: "u * area"),
        23 |       (between: ("box", "lid"), value: "plain + 1"),
           :                                        ^^^^^^^^^^^
        24 |       (between: ("lid", "air"), value: "u * area", exponent: 1.25),
           `----
    "#]],
    );
    network(
        "exponent: 1.25",
        "exponent: 7",
        expect![[r#"
         x conductance `lid`–`air`: its exponent must be between 1 and 4
           ,-[a.ron:24:62]
        23 |       (between: ("box", "lid"), value: "plain"),
        24 |       (between: ("lid", "air"), value: "u * area", exponent: 7),
           :                                                              ^
        25 |     ],
           `----
    "#]],
    );
    network(
        "bounds: (100.0, 5000.0)",
        "bounds: (1000.0, 5000.0)",
        expect![[r#"
         x parameter `cp`: its value must be a number within its bounds
          ,-[a.ron:6:21]
        5 |       "m": (value: 0.5, unit: "kg"),
        6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (1000.0, 5000.0), prior: Log(0.3)),
          :                     ^^^^^
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          `----
    "#]],
    );
    network(
        r#"node: "box""#,
        r#"node: "bx""#,
        expect![[r#"
         x output `probe.temperature`: there is no storage `bx`
           ,-[a.ron:32:51]
        31 |     ],
        32 |     outputs: [(signal: "probe.temperature", node: "bx", lag_s: "tau")],
           :                                                   ^^^^
        33 |   )) ],
           `----
    "#]],
    );
    network(
        r#"(name: "lid""#,
        r#"(name: "box""#,
        expect![[r#"
         x `box` is defined twice
           ,-[a.ron:19:14]
        18 |       (name: "box", capacity: "m * cp"),
        19 |       (name: "box", capacity: "0.1 * m * cp"),
           :              ^^^^^
        20 |     ],
           `----
    "#]],
    );
    network(
        r#"Parameter("room")"#,
        r#"Parameter("rom")"#,
        expect![[r#"
         x boundaries: there is no parameter `rom` (did you mean `room`?)
           ,-[a.ron:16:46]
        15 |     inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
        16 |     boundaries: [(name: "air", at: Parameter("rom"))],
           :                                              ^^^^^
        17 |     storages: [
           `----
    "#]],
    );
    network(
        "range: (0.0, 100.0)",
        "range: (100.0, 0.0)",
        expect![[r#"
         x input `heater.level`: its range must ascend and its correlation be above 0 s
           ,-[a.ron:15:63]
        14 |     },
        15 |     inputs: [(signal: "heater.level", unit: "percent", range: (100.0, 0.0))],
           :                                                               ^^^^^^^^^^^^
        16 |     boundaries: [(name: "air", at: Parameter("room"))],
           `----
    "#]],
    );
}

#[test]
fn units_of_a_network_that_do_not_fit() {
    expect![[""]].assert_eq(&dedented(report(NETWORK).render(Style::Plain)));
    // One parameter of the wrong kind, and a product that comes to nothing of the sort.
    network(
        r#"value: "plain""#,
        r#"value: "cp""#,
        expect![[r#"
         x a conductance is in W/K, and `cp` is in J/kgK
          ,-[a.ron:6:34]
        5 |       "m": (value: 0.5, unit: "kg"),
        6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
          :                                  ^^^|^^^
          :                                     `-- `cp` is in J/kgK
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          `----
           ,-[a.ron:23:40]
        22 |       (between: ("box", "air"), value: "u * area"),
        23 |       (between: ("box", "lid"), value: "cp"),
           :                                        ^^^^
        24 |       (between: ("lid", "air"), value: "u * area", exponent: 1.25),
           `----
         help: was another parameter meant? if it is the right one, state its value and unit in W/K
    "#]],
    );
    network(
        r#"capacity: "m * cp""#,
        r#"capacity: "alpha""#,
        expect![[r#"
         x a capacity is in J/K, and `alpha` is in W/percent
           ,-[a.ron:10:35]
         9 |       "power": (value: 40.0, unit: "W"),
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
           :                                   ^^^^^|^^^^^
           :                                        `-- `alpha` is in W/percent
        11 |       "tau": (value: 20.0, unit: "s"),
           `----
           ,-[a.ron:18:31]
        17 |     storages: [
        18 |       (name: "box", capacity: "alpha"),
           :                               ^^^^^^^
        19 |       (name: "lid", capacity: "0.1 * m * cp"),
           `----
         help: was another parameter meant? if it is the right one, state its value and unit in J/K
    "#]],
    );
    network(
        r#"value: "u * area""#,
        r#"value: "u * m""#,
        expect![[r#"
         x a conductance is in W/K, and `u * m` does not come to that
          ,-[a.ron:5:31]
        4 |     parameters: {
        5 |       "m": (value: 0.5, unit: "kg"),
          :                               ^^|^
          :                                 `-- `m` is in kg
        6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          :                               ^^^^^|^^^^
          :                                    `-- `u` is in W/(m²·K)
        8 |       "area": (value: 0.1, unit: "m2"),
          `----
           ,-[a.ron:22:40]
        21 |     conductances: [
        22 |       (between: ("box", "air"), value: "u * m"),
           :                                        ^^^^^^^
        23 |       (between: ("box", "lid"), value: "plain"),
           `----
         help: check which parameters are multiplied, and each one's unit
    "#]],
    );
    // The right kind, but nothing converts it.
    network(
        r#"unit: "J/kgK""#,
        r#"unit: "kJ/kgK""#,
        expect![[r#"
         x a capacity is in J/K, and `m * cp` comes to 1000 times that
          ,-[a.ron:5:31]
        4 |     parameters: {
        5 |       "m": (value: 0.5, unit: "kg"),
          :                               ^^|^
          :                                 `-- `m` is in kg
        6 |       "cp": (value: 900.0, unit: "kJ/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
          :                                  ^^^^|^^^
          :                                      `-- `cp` is in kJ/kgK
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          `----
           ,-[a.ron:18:31]
        17 |     storages: [
        18 |       (name: "box", capacity: "m * cp"),
           :                               ^^^^^^^^
        19 |       (name: "lid", capacity: "0.1 * m * cp"),
           `----
         help: units are not converted: write the values in J/K or put the factor "1000 * …" before it
    "#]],
    );
    network(
        r#"unit: "s""#,
        r#"unit: "min""#,
        expect![[r#"
         x a lag is in s, and `tau` comes to 60 times that
           ,-[a.ron:11:34]
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
        11 |       "tau": (value: 20.0, unit: "min"),
           :                                  ^^|^^
           :                                    `-- `tau` is in min
        12 |       "room": (value: 21.0, unit: "degC"),
           `----
           ,-[a.ron:32:65]
        31 |     ],
        32 |     outputs: [(signal: "probe.temperature", node: "box", lag_s: "tau")],
           :                                                                 ^^^^^
        33 |   )) ],
           `----
         help: units are not converted: write the values in s or put the factor "60 * …" before it
    "#]],
    );
    network(
        r#"gain: "alpha", input"#,
        r#"gain: "power", input"#,
        expect![[r#"
         x this gain is in W/percent, and `power` comes to 0.01 times that
           ,-[a.ron:9:36]
         8 |       "area": (value: 0.1, unit: "m2"),
         9 |       "power": (value: 40.0, unit: "W"),
           :                                    ^|^
           :                                     `-- `power` is in W
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
           `----
           ,-[a.ron:28:27]
        27 |     sources: [
        28 |       (into: "box", gain: "power", input: "heater.level"),
           :                           ^^^^^^^
        29 |       (into: "box", gain: "0.01 * power", input: "heater.level"),
           `----
         help: units are not converted: write the values in W/percent or put the factor "0.01 * …" before it
    "#]],
    );
    network(
        r#"area_m2: "0.9 * area""#,
        r#"area_m2: "tau""#,
        expect![[r#"
         x an area is in m2, and `tau` is in s
           ,-[a.ron:11:34]
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
        11 |       "tau": (value: 20.0, unit: "s"),
           :                                  ^|^
           :                                   `-- `tau` is in s
        12 |       "room": (value: 21.0, unit: "degC"),
           `----
           ,-[a.ron:26:52]
        25 |     ],
        26 |     radiation: [(between: ("lid", "air"), area_m2: "tau")],
           :                                                    ^^^^^
        27 |     sources: [
           `----
         help: was another parameter meant? if it is the right one, state its value and unit in m2
    "#]],
    );
    network(
        r#"value: 21.0, unit: "degC""#,
        r#"value: 294.0, unit: "K""#,
        expect![[r#"
         x the temperature of a boundary is in degC, and `room` is in `K`
           ,-[a.ron:12:36]
        11 |       "tau": (value: 20.0, unit: "s"),
        12 |       "room": (value: 294.0, unit: "K"),
           :                                    ^|^
           :                                     `-- stated here
        13 |       "plain": (value: 1.0),
           `----
           ,-[a.ron:16:36]
        15 |     inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
        16 |     boundaries: [(name: "air", at: Parameter("room"))],
           :                                    ^^^^^^^^^^^^^^^^^
        17 |     storages: [
           `----
         help: write `room`, its bounds too, in degC
    "#]],
    );
    network(
        r#"unit: "percent", range"#,
        r#"unit: "degC", range"#,
        expect![[r#"
             x `level` is a ratio, and `degC` is a temperature
               ,-[a.ron:15:45]
            14 |     },
            15 |     inputs: [(signal: "heater.level", unit: "degC", range: (0.0, 100.0))],
               :                                             ^^^^^^
            16 |     boundaries: [(name: "air", at: Parameter("room"))],
               `----
             help: write the unit of `heater.level` as `ratio`
        "#]],
    );
    // No unit is stated, or none that is known: nothing is said.
    network(r#"unit: "W/percent""#, r#"unit: """#, expect![[""]]);
    network(r#"unit: "W/percent""#, r#"unit: "BTU/h""#, expect![[""]]);
}

#[test]
fn a_run_is_whole_steps_long() {
    check(
        r#"step: "1s""#,
        r#"step: "7s""#,
        expect![[r#"
         x the run is no whole number of steps of 7s
          ,-[a.ron:4:22]
        3 |   about: "a test",
        4 |   seed: 3, duration: "1h", step: "7s", start: "2026-06-21T00:00:00Z",
          :                      ^^^^
        5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
          `----
         help: write duration: "59min58s" or "1h5s"
    "#]],
    );
}

#[test]
fn a_clock_that_runs_backwards() {
    check(
        "kind: Bias(by: 3.0)",
        "kind: ClockSkew(ppm: -2e6)",
        expect![[r#"
         x a clock that is slow by 1000000 ppm stands still, by more runs backwards
           ,-[a.ron:13:100]
        12 |   timeline: [
        13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: ClockSkew(ppm: -2e6))),
           :                                                                                                    ^^^^
        14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
           `----
         help: a crystal is off by 10 to 100 ppm, a bad one by 10000
    "#]],
    );
    check(
        "kind: Bias(by: 3.0)",
        "kind: ClockSkew(ppm: inf)",
        expect![[r#"
         x `inf` is no figure a simulation can use
           ,-[a.ron:13:100]
        12 |   timeline: [
        13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: ClockSkew(ppm: inf))),
           :                                                                                                    ^^^
        14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
           `----
         help: write a finite number
    "#]],
    );
    check("kind: Bias(by: 3.0)", "kind: ClockSkew(ppm: -999999)", expect![[""]]);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Opening the pipe would wait for its writer for ever, reading the device would never end.
    for path in [pipe.as_path(), std::path::Path::new("/dev/zero")] {
        let name = path.display().to_string();
        let said = Source::read(path).unwrap_err().to_string();
        assert!(said.contains(&format!("`{name}` is no regular file")), "{said}");
        let spec = super::recording::TableSpec::new(super::recording::TimeSpec::Column("t".into()));
        let said = super::recording::Recording::open(path, &spec).unwrap_err().render(Style::Plain);
        assert!(said.contains("write what comes from it into a file"), "{said}");
        assert!(Files::at(dir.path()).open(&name).is_err());
    }
}
