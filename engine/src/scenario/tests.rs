//! What people see when a file is wrong, and that no file makes the reader panic. Here: the good files that the tests bend.

mod any;
mod figures;
mod names;
mod network;
mod recordings;
mod set;
mod shape;
mod syntax;
mod wiring;

use super::{
    check,
    definition::{self, Definition},
    diagnostic::{Report, Style},
    files::Files,
    source::Source,
};
use crate::catalog::{ActuatorDef, BoardDef, Catalog, SensorDef, ThingDef};
use expect_test::{Expect, expect};
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
    (at: "40min", do: Disturb(zone: "room", sound_db: 100.0)),
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

/// Without the indentation that all lines share: `expect!` takes it off its own text.
fn dedented(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let indent = |l: &str| l.len() - l.trim_start().len();
    let shared = text.lines().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.split_inclusive('\n').map(|l| l.get(shared..).unwrap_or(l.trim_start_matches(' '))).collect()
}

#[test]
fn the_good_scenario_is_good() {
    expect![""].assert_eq(&dedented(report(GOOD).render(Style::Plain)));
}
