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
const HEATER: &str = r#"Actuator(format: 1, name: "heater", source: "a test", bus: Digital(1), effect: HeatW(100))"#;
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
    want.assert_eq(&report(&GOOD.replacen(from, to, 1)).render(Style::Plain));
}

#[test]
fn the_good_scenario_is_good() {
    expect![""].assert_eq(&report(GOOD).render(Style::Plain));
}

#[test]
fn syntax() {
    check(r#"seed: 3, duration"#, r#"seed: 3 duration"#, expect![[]]);
    check(r#"link: "wifi"),"#, r#"link: "wifi"],"#, expect![[]]);
    check("  record: (", "  record: ((", expect![[]]);
    check(r#"about: "a test","#, r#"about: "a test,"#, expect![[]]);
    check(r#"about: "a test","#, r#"/* about: "a test","#, expect![[]]);
    check(r#"about: "a test","#, r#"about: a test,"#, expect![[]]);
    check("loss: 0.01", "loss: 0,01", expect![[]]);
}

#[test]
fn shape() {
    check("duration:", "duratoin:", expect![[]]);
    check("count: 20", "cuont: 20", expect![[]]);
    check("kind: Bias(by: 3.0)", "kind: Bais(by: 3.0)", expect![[]]);
    check(r#"thing: "node", in"#, "in", expect![[]]);
    check("count: 20", "count: -1", expect![[]]);
    check("count: 20", r#"count: "many""#, expect![[]]);
    check(r#"duration: "1h""#, r#"duration: "1 fortnight""#, expect![[]]);
    check("seed: 3,", "seed: 3, seed: 4,", expect![[]]);
    check(r#"in: ["house", "room"]"#, r#"in: "house""#, expect![[]]);
}

#[test]
fn versions() {
    check("format: 1,", "format: 2,", expect![[]]);
    check("format: 1,", "", expect![[]]);
    check("Scenario(", "Board(", expect![[]]);
    expect![[]].assert_eq(&report("").render(Style::Plain));
}

#[test]
fn ranges() {
    check("loss: 0.01", "loss: 1.5", expect![[]]);
    check("temperature_c: 20.0", "temperature_c: -300.0", expect![[]]);
    check("temperature_c: 20.0", "temperature_c: 293.15", expect![[]]);
    check("heat_w: 100.0", "heat_w: NaN", expect![[]]);
    check("level: 0.5", "level: 50.0", expect![[]]);
    check(r#"step: "1s""#, r#"step: "0s""#, expect![[]]);
    check("count: 20", "count: 4000000000", expect![[]]);
    check(r#"until: "20min""#, r#"until: "5min""#, expect![[]]);
    check(r#"at: "40min""#, r#"at: "2h""#, expect![[]]);
    check("2026-06-21T", "2026-06-31T", expect![[]]);
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
    expect![[]].assert_eq(&report(&text).to_string());
}

#[test]
fn targets() {
    check("node-*/air.temperature", "nod-*/air.temperature", expect![[]]);
    check("node-*/air.temperature", "node-*/air.temperatur", expect![[]]);
    check("node-*/air.temperature", "node-3", expect![[]]);
    check("node-3/warm", "node-3/air", expect![[]]);
    check("node-3/warm", "node-20/warm", expect![[]]);
    check("node-*/air.*@reading", "node-*/air.*@raeding", expect![[]]);
    check("node-*/air.*@reading", "knot-*/air.*@reading", expect![[]]);
}

#[test]
fn ids() {
    check(r#"id: "room", in"#, r#"id: "house", in"#, expect![[]]);
    check(r#"id: "box""#, r#"id: "node-7""#, expect![[]]);
    check(r#"id: "node-{}""#, r#"id: "node""#, expect![[]]);
    check(r#"id: "box""#, r#"id: "a/b""#, expect![[]]);
}

#[test]
fn cyclic_zones() {
    check(r#"(id: "house","#, r#"(id: "house", in: "room","#, expect![[]]);
    check(r#"(id: "house","#, r#"(id: "house", in: "house","#, expect![[]]);
}

#[test]
fn wiring() {
    let soil = r#"(id: "soil", model: "soil", on: Pin("A1"))"#;
    let air = |id: &str, address: u8| format!(r#"(id: "{id}", model: "bme280", on: I2c({address:#04x}))"#);
    check(soil, &format!("{}, {}", air("a", 0x76), air("b", 0x76)), expect![[]]);
    check(soil, &air("a", 0x40), expect![[]]);
    check(soil, r#"(id: "soil", model: "soil", on: Pin("D2"))"#, expect![[]]);
    check(soil, r#"(id: "soil", model: "soil", on: Pin("A7"))"#, expect![[]]);
    check(soil, r#"(id: "soil", model: "soil", on: I2c(0x20))"#, expect![[]]);
    check(soil, &format!("{soil}, {}", soil.replace(r#"id: "soil""#, r#"id: "wet""#)), expect![[]]);
    let sda = r#"(id: "h", model: "heater", on: Pin("D21"))"#;
    check(soil, &format!("{}, {sda}", air("a", 0x76)), expect![[]]);
    check(&format!(r#"board: "devkit", parts: [ {soil}"#), &format!(r#"board: "bare", parts: [ {soil}"#), expect![[]]);
}

#[test]
fn deep_nesting() {
    let deep = format!("Scenario(format: 1, about: {}1{})", "[".repeat(100_000), "]".repeat(100_000));
    expect![[]].assert_eq(&report(&deep).to_string());
    // Deep, balanced by the wrong brackets, or never closed: none may recurse.
    for text in ["(".repeat(1_000_000), "[(".repeat(500_000), format!("{}1", "Some(".repeat(200_000))] {
        assert_eq!(report(&text).errors(), 1);
    }
}

#[test]
fn files_that_are_no_text() {
    let show = |bytes: &[u8]| Source::from_bytes("a.ron", bytes.to_vec()).unwrap_err().render(Style::Plain);
    expect![[]].assert_eq(&show(b"\x7fELF\x02\x01\x01\x00\x00"));
    expect![[]].assert_eq(&show(b"Scenario(\n  about: \"Br\xfccke\",\n)"));
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("greenhouse.ron"), GOOD).unwrap();
    let show = |name: &str| {
        let report = Source::read(&dir.path().join(name)).unwrap_err();
        report.render(Style::Plain).replace(&format!("{}/", dir.path().display()), "")
    };
    expect![[]].assert_eq(&show("grenhouse.ron"));
    // Sparse: a gigabyte on paper, nothing on the disk.
    std::fs::File::create(dir.path().join("big.ron")).unwrap().set_len(1 << 30).unwrap();
    expect![[]].assert_eq(&show("big.ron"));
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
    assert_eq!(read(&set("links[0].radio=(tx_dbm: 20, distance_m: (1, 9))")).links[0].radio.as_ref().unwrap().tx_dbm, 20.0);
    assert_eq!(read(&set("fleet[box].in=[\"room\"]")).fleet[1].zones, ["room"]);
    assert_eq!(read(&set("timeline[0].do.kind.by=7")).timeline.len(), 4);
    let twice = set("seed=9").set("fleet[1].count=1").unwrap().set("step=2s").unwrap();
    assert_eq!((read(&twice).seed, read(&twice).step), (9, "2s".parse().unwrap()));
    let bare = Source::embedded("a.ron", r#"(format: 1, duration: "1h")"#).set("record.segment=5min").unwrap();
    assert_eq!(read(&bare).record.segment, "5min".parse().unwrap());
}

#[test]
fn set_that_does_not_fit() {
    let source = Source::embedded("a.ron", GOOD);
    let show = |assignment: &str| match source.set(assignment) {
        Ok(source) => report_of(&source).render(Style::Plain),
        Err(report) => report.render(Style::Plain),
    };
    expect![[]].assert_eq(&show("fleet[0].count"));
    expect![[]].assert_eq(&show("fleet[7].count=1"));
    expect![[]].assert_eq(&show("fleet[0]..count=1"));
    expect![[]].assert_eq(&show("fleet[0].link=(a"));
    expect![[]].assert_eq(&show("fleet[0].thing=nodes"));
    expect![[]].assert_eq(&show("fleet[0].colour=red"));
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
