//! Devices that are carried elsewhere, a weather that is made another and hands on a switch: what they do to the world, and that a
//! run with them is the same at any thread count and in shards.

use super::common::{assert_same_record, command, run_scenario, scratch};
use std::path::Path;
use twinfleet_engine::{record::Record, time::SimTime};

const MINUTE_NS: i64 = 60_000_000_000;

/// Two hours of the greenhouse with this timeline, recorded.
fn greenhouse(dir: &Path, timeline: &str, extra: &[&str]) -> Record {
    let timeline = format!("timeline={timeline}");
    let args = ["run", "greenhouse", "--quiet", "--broker", "none", "--set", "duration=\"2h\"", "--set"];
    let sets = [&timeline, "--set", "expect=[]", "--record", dir.to_str().unwrap()];
    run_scenario(&[&args[..], &sets[..], extra].concat());
    Record::open(dir).unwrap()
}

/// Mean of a signal within some minutes of the run.
fn mean(record: &Record, signal: &str, from_min: i64, to_min: i64) -> f64 {
    let id = record.table.find(signal).unwrap_or_else(|| panic!("there is no signal {signal}"));
    let within = SimTime(from_min * MINUTE_NS)..SimTime(to_min * MINUTE_NS);
    let rows = record.rows().map(Result::unwrap).filter(|r| r.signal == id && within.contains(&r.t));
    let (sum, n) = rows.fold((0.0, 0), |(sum, n), r| (sum + r.value, n + 1));
    assert!(n > 5, "{signal}: {n} rows");
    sum / f64::from(n)
}

fn reading(device: u32) -> String {
    format!("node-{device}/bme280.temperature@reading")
}

fn air(zone: &str) -> String {
    format!("{zone}/air.temperature@truth")
}

/// A frost, a hot zone, and nodes that are carried: one outdoors for good, one to the hot zone and back, one nowhere.
const CARRIED: &str = r#"[
    (at: "10min", do: Weather(temperature_c: -10, dew_point_c: -12, cloud: 1, wind_m_s: 0)),
    (at: "10min", do: Disturb(zone: "z3", heat_w: 60000)),
    (at: "40min", do: Move(target: "node-0", to: "outside")),
    (at: "40min", until: "80min", do: Move(target: "node-1", to: "z3")),
    (at: "40min", do: Move(target: "node-8", to: "z1")),
]"#;

#[test]
fn a_device_that_is_carried_finds_the_air_it_was_carried_to() {
    let dir = scratch();
    let record = greenhouse(&dir.path().join("r"), CARRIED, &[]);
    let (z2, z3) = (mean(&record, &air("z2"), 55, 80), mean(&record, &air("z3"), 55, 80));
    assert!(z3 > z2 + 6.0, "the hot zone is hot: {z2} {z3}");
    // A BME280 is right to within a degree or so.
    for (device, place, from, to) in [
        (0, "z1", 5, 40),
        (0, "outside", 55, 120),
        (1, "z2", 5, 40),
        (1, "z3", 55, 80),
        (1, "z2", 95, 120),
        (8, "z1", 5, 40),
        (8, "z1", 55, 120),
    ] {
        let (read, is) = (mean(&record, &reading(device), from, to), mean(&record, &air(place), from, to));
        assert!((read - is).abs() < 2.0, "node-{device} in {place} from {from} min: {read}, air {is}");
    }
    let events = record.events().map(Result::unwrap);
    let moved = events.filter(|e| e.kind == "moved" || e.kind.starts_with("weather"));
    let told: Vec<String> =
        moved.map(|e| format!("{} {} {} {}", e.t.0 / MINUTE_NS, e.subject, e.kind, e.detail)).collect();
    assert_eq!(
        told,
        [
            "10 outside weather_start -10 °C, -12 °C dew point, 0 m/s wind, 1 cloud cover",
            "40 node-0 moved from z1 to outside",
            "40 node-1 moved from z2 to z3",
            "80 node-1 moved from z3 to z2",
        ]
    );
}

#[test]
fn a_run_with_carried_devices_is_the_same_at_any_thread_count_and_in_shards() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    greenhouse(&at("one"), CARRIED, &[]);
    greenhouse(&at("four"), CARRIED, &["--threads", "4"]);
    assert_same_record(&at("one"), &at("four"));
    for i in ["0", "1"] {
        greenhouse(&at(i), CARRIED, &["--shard", &format!("{i}/2")]);
    }
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    assert_eq!(command(&["merge", &path("0"), &path("1"), "--out", &path("merged")]).code(), 0);
    assert_same_record(&at("one"), &at("merged"));
}

#[test]
fn an_actuator_that_is_carried_away_heats_its_zone_no_more() {
    let dir = scratch();
    let cold = r#"(at: "0s", do: Weather(temperature_c: -10))"#;
    let stays = greenhouse(&dir.path().join("a"), &format!("[{cold}]"), &[]);
    let carried = r#"(at: "1min", do: Move(target: "actuator-0", to: "z2"))"#;
    let goes = greenhouse(&dir.path().join("b"), &format!("[{cold}, {carried}]"), &[]);
    let at = |record: &Record, zone: &str| mean(record, &air(zone), 90, 120);
    assert!(at(&goes, "z1") < at(&stays, "z1") - 2.0, "{} {}", at(&goes, "z1"), at(&stays, "z1"));
    // Where it is now, the heater that has been there has less to do.
    let level = |record: &Record| mean(record, "actuator-1/heater.level@truth", 90, 120);
    assert!(level(&goes) < level(&stays) - 0.2, "{} {}", level(&goes), level(&stays));
    // What is elsewhere stays as it was: other draws, no other reading.
    assert_eq!(at(&goes, "z4").to_bits(), at(&stays, "z4").to_bits());
}

#[test]
fn a_front_that_is_over_leaves_the_weather_as_it_was() {
    let dir = scratch();
    let plain = greenhouse(&dir.path().join("a"), "[]", &[]);
    let front = r#"[(at: "20min", until: "40min", do: Weather(warmer_c: 7, wind_m_s: 12, rain_mm_h: 3)),
        (at: "30min", until: "40min", do: Weather(wind_m_s: 2))]"#;
    let front = greenhouse(&dir.path().join("b"), front, &[]);
    let of = |record: &Record, quantity: &str, from: i64, to: i64| {
        mean(record, &format!("outside/air.{quantity}@truth"), from, to)
    };
    for quantity in ["temperature", "wind", "rain", "cloud", "pressure"] {
        for (from, to) in [(0, 20), (40, 120)] {
            let (a, b) = (of(&plain, quantity, from, to), of(&front, quantity, from, to));
            assert_eq!(a.to_bits(), b.to_bits(), "{quantity} from {from} min: {a} {b}");
        }
    }
    let warmer = of(&front, "temperature", 20, 40) - of(&plain, "temperature", 20, 40);
    assert!((warmer - 7.0).abs() < 1e-9, "{warmer}");
    assert_eq!((of(&front, "wind", 20, 30), of(&front, "wind", 30, 40)), (12.0, 2.0));
    assert_eq!(of(&front, "rain", 20, 40), 3.0);
}

#[test]
fn what_cannot_be_carried_is_refused_with_its_place() {
    let dir = scratch();
    let file = dir.path().join("bad.ron");
    for (action, says) in [
        (r#"Move(target: "node-9", to: "z1")"#, "there is no device `node-9`"),
        (r#"Move(target: "node-0", to: "z7")"#, "there is no zone `z7`"),
        (r#"Move(target: "node-0", to: "z1", by: 3)"#, "there is no field `by`"),
        ("Weather(warmer_c: 3)", "this world has no weather"),
    ] {
        let text = format!(
            "Scenario(format: 1, duration: \"1h\", world: (zones: [(id: \"z1\")]),\n\
             fleet: [(id: \"node-{{}}\", count: 2, thing: \"esp32-weather-node\", in: [\"z1\"])],\n\
             timeline: [(at: \"1min\", do: {action})])"
        );
        std::fs::write(&file, text).unwrap();
        let ran = command(&["check", file.to_str().unwrap()]);
        let told = format!("{}{}", ran.stdout(), ran.stderr());
        assert_eq!(ran.code(), 2, "{action}: {told}");
        assert!(told.contains(says), "{action}: {told}");
    }
    let mounted = ["--set", r#"timeline=[(at: "1s", do: Move(target: "parcel-0", to: "outside"))]"#];
    let ran = command(&[&["run", "parcel-drop", "--quiet", "--broker", "none"], &mounted[..]].concat());
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(format!("{}{}", ran.stdout(), ran.stderr()).contains("rigid body"), "{}", ran.stderr());
}

/// Two of which one ends within the other, and two of which one ends after the other.
const HANDS: &str = r#"[
    (at: "5min", until: "60min", do: Command(target: "actuator-1/vent", level: 0.3)),
    (at: "20min", until: "40min", do: Command(target: "actuator-1/*", level: 0.7)),
    (at: "5min", until: "40min", do: Command(target: "actuator-2/vent", level: 0.3)),
    (at: "20min", until: "60min", do: Command(target: "actuator-2/vent", level: 0.7)),
]"#;

#[test]
fn of_several_hands_on_a_switch_the_last_holds_and_letting_go_of_one_lets_go_of_no_other() {
    let dir = scratch();
    let record = greenhouse(&dir.path().join("r"), HANDS, &[]);
    for (device, from, to, level) in [
        (1, 12, 20, 0.3),
        (1, 30, 40, 0.7),
        (1, 50, 60, 0.3),
        (1, 70, 90, 0.0),
        (2, 12, 20, 0.3),
        (2, 30, 40, 0.7),
        (2, 50, 60, 0.7),
        (2, 70, 90, 0.0),
    ] {
        let is = mean(&record, &format!("actuator-{device}/vent.level@truth"), from, to);
        assert!((is - level).abs() < 0.01, "actuator-{device} from {from} min: {is}, not {level}");
    }
    // That the older lets go beneath the younger is nothing to tell.
    for (device, told) in
        [("actuator-1", "5 held, 20 held, 40 held, 60 let go"), ("actuator-2", "5 held, 20 held, 60 let go")]
    {
        let events = record.events().map(Result::unwrap);
        let of = events.filter(|e| e.kind == "command" && e.subject == device && e.part == "vent");
        let hands =
            of.filter_map(|e| Some(format!("{} {}", e.t.0 / MINUTE_NS, e.detail.strip_suffix(" by hand")?)));
        assert_eq!(hands.collect::<Vec<_>>().join(", "), told, "{device}");
    }
}

#[test]
fn of_two_commands_at_one_instant_the_later_in_the_file_wins() {
    let dir = scratch();
    let file = dir.path().join("s.ron");
    let text = r#"Scenario(format: 1, duration: "10min", step: "1s", fleet: [(id: "n", thing: "w")],
        things: [(name: "w", source: "a test", board: "esp32-devkit", parts: [(id: "led", model: "led", on: Pin("GPIO2"))])],
        timeline: [
            (at: "1min", do: Command(target: "n/led", level: 0.5)),
            (at: "1min", do: Command(target: "n/led", level: 1.0)),
            (at: "1min", do: Command(target: "n/led", level: 0.0)),
            (at: "5min", until: "7min", do: Command(target: "n/led", level: 1.0)),
            (at: "5min", until: "6min", do: Command(target: "n/led", level: 0.5)),
        ],
        expect: [
            Always(signal: "n/led.level@truth", below: 0.01, after: "62s", before: "5min"),
            Always(signal: "n/led.level@truth", between: (0.49, 0.51), after: "302s", before: "6min"),
            Always(signal: "n/led.level@truth", above: 0.99, after: "362s", before: "7min"),
            Always(signal: "n/led.level@truth", below: 0.01, after: "422s"),
        ])"#;
    std::fs::write(&file, text).unwrap();
    let ran = command(&["run", file.to_str().unwrap(), "--broker", "none"]);
    assert_eq!(ran.code(), 0, "{}", ran.stdout());
}

#[test]
fn of_two_faults_of_a_kind_on_one_part_each_has_its_own_end() {
    let dir = scratch();
    let file = dir.path().join("s.ron");
    let text = r#"Scenario(format: 1, duration: "10min", step: "1s", fleet: [(id: "n", thing: "w")],
        things: [(name: "w", source: "a test", board: "esp32-devkit", parts: [(id: "t", model: "bme280", on: I2c(0x76))],
            firmware: (period: "10s", publish: [(topic: "n")]))],
        timeline: [
            (at: "1min", until: "3min", do: Fault(target: "n/t.temperature", kind: Bias(by: 3))),
            (at: "2min", until: "4min", do: Fault(target: "n/t.temperature", kind: Bias(by: 5))),
            (at: "5min", until: "8min", do: Fault(target: "n/t.temperature", kind: Bias(by: 3))),
            (at: "6min", until: "7min", do: Fault(target: "n/t.temperature", kind: Bias(by: 5))),
        ])"#;
    std::fs::write(&file, text).unwrap();
    let report = run_scenario(&["run", file.to_str().unwrap(), "--quiet", "--broker", "none"]).json();
    let told: Vec<_> = (report["happenings"].as_array().unwrap().iter())
        .map(|h| ["from_s", "to_s", "value"].map(|key| h[key].as_f64().unwrap()))
        .collect();
    let put_in = [[60.0, 180.0, 3.0], [120.0, 240.0, 5.0], [300.0, 480.0, 3.0], [360.0, 420.0, 5.0]];
    assert_eq!(told, put_in);
}
