//! What devices take from what feeds them, against sums by hand: actuators, regulators, boards with converters of their own,
//! chargers, meters; and what is left when nothing feeds them any more.

use super::common::{run_scenario, scratch};
use serde_json::Value;
use std::path::Path;
use twinfleet_engine::{record::Record, world::Event};

/// One node in a room, and what changes.
struct Node<'a> {
    board: &'a str,
    parts: &'a str,
    firmware: &'a str,
    power: &'a str,
    world: &'a str,
    timeline: &'a str,
    duration: &'a str,
}

const PUMP: &str =
    r#"(id: "b", model: "bme280", on: I2c(0x76)), (id: "pump", model: "pump-5v", on: Pin("GPIO26"))"#;
const BME: &str = r#"(id: "b", model: "bme280", on: I2c(0x76))"#;
const OFTEN: &str =
    r#"period: "5s", awake: "1s", deep_sleep: true, publish: [(topic: "t/{device}", payload: Json)]"#;
const MINUTELY: &str =
    r#"period: "60s", awake: "1s", deep_sleep: true, publish: [(topic: "t/{device}", payload: Json)]"#;
const AWAKE: &str = r#"period: "60s", publish: [(topic: "t/{device}", payload: Json)]"#;
const PUMPS: &str = r#"(at: 0, do: Command(target: "d-0/pump", level: 1.0))"#;

impl Default for Node<'_> {
    fn default() -> Self {
        Self {
            board: "esp32-devkit",
            parts: PUMP,
            firmware: MINUTELY,
            power: "Mains",
            world: r#"zones: [(id: "room", temperature_c: 20.0, humidity_percent: 50.0)]"#,
            timeline: "",
            duration: "6h",
        }
    }
}

impl Node<'_> {
    fn text(&self) -> String {
        let Self { board, parts, firmware, power, world, timeline, duration } = self;
        let place = if world.contains("zones") { r#", in: ["room"]"# } else { "" };
        format!(
            r#"Scenario(format: 1, duration: "{duration}", step: "1s", start: "2026-03-01T08:00:00Z", seed: 1, world: ({world}),
                things: [(name: "t", source: "a test", board: "{board}", parts: [{parts}], firmware: ({firmware}), power: {power})],
                fleet: [(id: "d-{{}}", count: 1, thing: "t", link: "l"{place})],
                links: [(id: "l", profile: "wifi-2g4", radio: (distance_m: (5.0, 5.0)))], timeline: [{timeline}],
                record: (signals: ["**"], segment: "12h"))"#
        )
    }

    fn run(&self) -> (Value, Vec<Event>) {
        let dir = scratch();
        let (file, record) = (dir.path().join("s.ron"), dir.path().join("r"));
        std::fs::write(&file, self.text()).expect("written");
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let (file, kept) = (text(&file), text(&record));
        let report = run_scenario(&["run", &file, "--quiet", "--broker", "none", "--record", &kept]).json();
        let record = Record::open(&record).expect("a record");
        let events = record.events().map(|e| e.expect("events"));
        (report, events.collect())
    }

    fn mean_ma(&self) -> f64 {
        mean_ma(&self.run().0)
    }
}

fn mean_ma(report: &Value) -> f64 {
    report["batteries"][0]["mean_ma"]
        .as_f64()
        .unwrap_or_else(|| panic!("no current: {}", report["batteries"]))
}

fn channel(report: &Value, name: &str, end: &str) -> f64 {
    let all = report["groups"].as_array().expect("groups").iter();
    let mut found = all.flat_map(|g| g["channels"].as_array().expect("channels"));
    let found = found.find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    found[end].as_f64().expect("a figure")
}

/// A pump of 200 mA behind a linear regulator takes 200 mA of the cells, whatever the board does meanwhile.
#[test]
fn what_an_actuator_takes_is_paid_once() {
    let power = r#"Pack(cell: "li-ion-18650", series: 2, parallel: 10, charge: (0.9, 0.9), regulator: "ams1117-3v3")"#;
    for firmware in [OFTEN, MINUTELY, AWAKE] {
        let ma = |timeline: &str| {
            // 7 V are too much for a pump on the cells: it is on the regulator.
            Node { firmware, power, timeline, ..Node::default() }.mean_ma()
        };
        let more_ma = ma(PUMPS) - ma("");
        assert!((more_ma - 200.0).abs() < 1.0, "{firmware}: {more_ma} mA");
    }
}

/// A pump that stands the cells' voltage is on them, before the regulator: its current is no load of that.
#[test]
fn a_part_on_the_cells_is_past_the_regulator() {
    let power = |regulator: &str| {
        format!(r#"Pack(cell: "li-ion-18650", parallel: 10, charge: (0.9, 0.9), regulator: "{regulator}")"#)
    };
    // 250 mA are the most that the one gives, to a radio of 190 mA; the other converts.
    for regulator in ["mcp1700-3v3", "tps63020-3v3"] {
        let power = power(regulator);
        let run = |timeline: &str| Node { firmware: OFTEN, power: &power, timeline, ..Node::default() }.run();
        let ((idle, _), (pumping, events)) = (run(""), run(PUMPS));
        assert!(events.iter().all(|e| e.kind != "brown_out"), "{regulator}: {:?}", events.first());
        let more_ma = mean_ma(&pumping) - mean_ma(&idle);
        assert!((more_ma - 200.0).abs() < 2.0, "{regulator}: {more_ma} mA");
        assert_eq!(idle["counters"]["messages_delivered"], pumping["counters"]["messages_delivered"]);
    }
}

/// No more is pumped than the battery held, and the pump stands still from then on: not even the command is left.
#[test]
fn a_dead_battery_drives_nothing() {
    let simple = "Battery(capacity_mah: 100, charge: (0.9, 0.9), ocv_v: [(0, 3.0), (1, 3.5)], r0_ohm: 0.1)";
    let pack = r#"Pack(cell: "li-ion-18650", charge: (0.05, 0.05), regulator: "tps63020-3v3")"#;
    for (power, held_mah) in [(simple, 90.0), (pack, 167.5)] {
        let node = Node { power, timeline: PUMPS, duration: "12h", ..Node::default() };
        let (report, events) = node.run();
        let let_go = events.iter().find(|e| e.part == "pump" && e.kind == "command" && e.value == 0.0);
        let let_go = let_go.unwrap_or_else(|| panic!("{power}: it pumps for ever"));
        assert!(let_go.cause.contains("d-0/power/brown_out@"), "{power}: {let_go:?}");
        let pumped_mah = channel(&report, "pump.level", "mean") * 12.0 * 200.0;
        // A period of a minute at most beyond what it held.
        assert!(pumped_mah <= 1.1 * held_mah + 200.0 / 60.0, "{power}: {pumped_mah} mAh of {held_mah}");
        assert!(pumped_mah > 0.5 * held_mah, "{power}: {pumped_mah} mAh of {held_mah}");
    }
    // What is fed by something else, held by hand, goes on; what the dead board feeds does not.
    for (own, goes_on) in [(", own_supply: true", true), ("", false)] {
        let parts = PUMP.replace(r#"on: Pin("GPIO26")"#, &format!(r#"on: Pin("GPIO26"){own}"#));
        let held = r#"(at: 0, until: "6h", do: Command(target: "d-0/pump", level: 1.0))"#;
        let power = simple.replace("100", "10");
        let (report, _) = Node { parts: &parts, power: &power, timeline: held, ..Node::default() }.run();
        let mean = channel(&report, "pump.level", "mean");
        assert!(if goes_on { mean > 0.99 } else { mean < 0.1 }, "{own}: {mean}");
    }
}

/// A room is no cold night: of a pack that is empty in it nothing is said about the warm.
#[test]
fn an_empty_pack_in_a_room_is_not_cold() {
    let power = r#"Pack(cell: "li-ion-18650", charge: (0.02, 0.02), regulator: "tps63020-3v3")"#;
    let (report, _) = Node { power, timeline: PUMPS, ..Node::default() }.run();
    assert_eq!(report["batteries"][0]["expected_h"], 0.0);
    assert_eq!(report["batteries"][0]["gave_way_in_the_cold"], false);
}

/// A board with a converter of its own takes a power: from two cells half as much current again as from three.
#[test]
fn a_board_that_converts_takes_a_power() {
    let ma = |series: u32| {
        let power = format!(r#"Pack(cell: "aa-lithium", series: {series}, charge: (0.9, 0.9))"#);
        let board = "raspberry-pi-pico-w";
        Node { board, parts: BME, firmware: AWAKE, power: &power, ..Node::default() }.mean_ma()
    };
    let ratio = ma(2) / ma(3);
    assert!((ratio - 1.5).abs() < 0.03, "{ratio}");
}

/// An idle Pi takes what its file says of an idle one, whether a part looks at its processor or not.
#[test]
fn an_idle_pi_idles_unwatched() {
    let power = r#"Pack(cell: "li-ion-18650", parallel: 2, charge: (0.9, 0.9), regulator: "tps61090-5v")"#;
    let ma = |parts: &str| {
        let parts = format!("{BME}{parts}");
        Node { board: "raspberry-pi-3b", parts: &parts, firmware: AWAKE, power, ..Node::default() }.mean_ma()
    };
    let (bare, watched) = (ma(""), ma(r#", (id: "soc", model: "pi-soc", on: Internal)"#));
    assert!((bare / watched - 1.0).abs() < 1e-3, "{bare} and {watched} mA");
}

/// Cells are charged between 0 and 45 °C, with no more than their datasheet allows, however large the panel.
#[test]
fn charging_keeps_to_the_cells_limits() {
    let gains = |mean_c: f64, charge: f64| {
        let world = format!("weather: (latitude_deg: 48.0, mean_c: {mean_c:?}, swing_c: 4.0)");
        let power = format!(
            r#"Pack(cell: "lipo-1000", charge: ({charge:?}, {charge:?}), regulator: "ap2112k-3v3", solar: (area_m2: 2.0, efficiency: 0.2))"#
        );
        let node = Node { parts: BME, power: &power, world: &world, duration: "30min", ..Node::default() };
        -node.mean_ma()
    };
    let cold_ma = gains(-15.0, 0.6);
    assert!(cold_ma < 0.0, "{cold_ma} mA into cells below 0 °C");
    let warm_ma = gains(15.0, 0.2);
    assert!((900.0..1000.0).contains(&warm_ma), "1 C of 1000 mAh less what the board takes: {warm_ma} mA");
}

/// Volts times milliamperes of a meter are the power of one place, whatever stands between it and the board.
#[test]
fn a_meter_reads_both_at_one_place() {
    let ina = r#"(id: "i", model: "ina219", on: I2c(0x40))"#;
    let power = r#"Pack(cell: "li-ion-18650", parallel: 2, charge: (0.9, 0.9), regulator: "tps61090-5v")"#;
    let node = Node {
        board: "raspberry-pi-3b",
        parts: ina,
        firmware: AWAKE,
        power,
        duration: "1h",
        ..Node::default()
    };
    let (report, _) = node.run();
    let mean = |name: &str| channel(&report, name, "mean");
    assert!(
        (mean("i.current") / mean_ma(&report) - 1.0).abs() < 0.03,
        "{} and {} mA",
        mean("i.current"),
        mean_ma(&report)
    );
    // Of one actuator: its own current, at what feeds it.
    let of = format!(r#"{PUMP}, (id: "i", model: "ina219", on: I2c(0x40), of: "pump")"#);
    let (report, _) = Node { parts: &of, timeline: PUMPS, duration: "1h", ..Node::default() }.run();
    let mean = |name: &str| channel(&report, name, "mean");
    assert!((mean("i.current") - 200.0).abs() < 5.0, "{} mA", mean("i.current"));
    assert!((mean("i.bus_voltage") - 5.0).abs() < 0.1, "{} V", mean("i.bus_voltage"));
}
