//! What feeds a device, through the command: a battery ends, a supply that cannot do is refused, a busy processor draws more
//! and says when it is fed too little, and a board speaks with its own radio by its own clock.

use super::common::{command, run_scenario, scratch};
use serde_json::Value;
use std::path::Path;
use twinfleet_engine::{record::Record, world::Event};

/// A node that is awake nearly all the time in a room, and what changes.
struct Node<'a> {
    board: &'a str,
    parts: &'a str,
    firmware: &'a str,
    power: String,
    link: &'a str,
    temperature_c: f64,
    group: &'a str,
    more: &'a str,
}

impl Default for Node<'_> {
    fn default() -> Self {
        Self {
            board: "esp32-devkit",
            parts: r#"(id: "t", model: "bme280", on: I2c(0x76))"#,
            firmware: r#"period: "60s", awake: "57s", deep_sleep: true, publish: [(topic: "f/{device}", qos: 1)]"#,
            power: "Mains".to_owned(),
            link: r#"(id: "l", profile: "wifi-2g4", radio: (distance_m: (5.0, 20.0)))"#,
            temperature_c: 20.0,
            group: "",
            more: "",
        }
    }
}

impl Node<'_> {
    fn text(&self, duration: &str) -> String {
        let Self { board, parts, firmware, power, link, temperature_c, group, more } = self;
        format!(
            r#"Scenario(format: 1, duration: "{duration}", step: "60s", start: "2026-06-20T00:00:00Z", seed: 7,
                world: (zones: [(id: "z", temperature_c: {temperature_c:?})]),
                things: [(name: "node", source: "a test", board: "{board}", parts: [{parts}],
                    firmware: ({firmware}), power: {power})],
                fleet: [(id: "n-{{}}", count: 6, thing: "node", link: "l", in: ["z"]{group})], links: [{link}], {more})"#
        )
    }

    /// The report of a run, and the events of its record.
    fn run(&self, duration: &str) -> (Value, Vec<Event>) {
        let dir = scratch();
        let (file, record) = (dir.path().join("s.ron"), dir.path().join("r"));
        std::fs::write(&file, self.text(duration)).expect("written");
        let args = ["run", text(&file), "--quiet", "--broker", "none", "--record", text(&record)];
        let report = run_scenario(&args).json();
        let record = Record::open(&record).expect("a record");
        let events = record.events().map(|e| e.expect("events"));
        (report, events.collect())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn count(report: &Value, name: &str) -> f64 {
    report["counters"][name].as_f64().unwrap_or(0.0)
}

fn figure(report: &Value, name: &str) -> f64 {
    report["batteries"][0][name].as_f64().unwrap_or_else(|| panic!("no {name} in {}", report["batteries"]))
}

fn channel(report: &Value, name: &str, end: &str) -> f64 {
    let all = report["groups"].as_array().expect("groups").iter();
    let mut found = all.flat_map(|g| g["channels"].as_array().expect("channels"));
    let found = found.find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    found[end].as_f64().expect("a figure")
}

const HOURS: f64 = 144.0;

/// Charge is conserved: whatever stands between cells and board, no more comes out of them than they hold at their
/// temperature, and the device that they fed is silent from then on, its record saying why.
#[test]
fn an_empty_battery_ends_its_device() {
    for (power, capacity_mah, at_c) in [
        (r#"cell: "lipo-1000", regulator: "mcp1700-3v3""#, 1000.0, 20.0),
        (r#"cell: "li-ion-18650", regulator: "tps63020-3v3""#, 3350.0, 20.0),
        (r#"cell: "aa-alkaline", series: 2, regulator: "tps63020-3v3""#, 2800.0, 20.0),
        (r#"cell: "aa-lithium", series: 2"#, 3000.0, 20.0),
        (r#"cell: "lifepo4-18650""#, 1500.0, -20.0),
    ] {
        let power = format!("Pack({power}, charge: (1.0, 1.0))");
        let node = Node { power: power.clone(), temperature_c: at_c, ..Node::default() };
        let (report, events) = node.run("6d");
        let of = |kind: &str| events.iter().filter(|e| e.kind == kind).collect::<Vec<_>>();
        for device in 0..6 {
            let name = format!("n-{device}");
            let end = of("brown_out").into_iter().find(|e| e.subject == name);
            let end = end.unwrap_or_else(|| panic!("{power}: {name} goes on for ever"));
            let last = of("gap").into_iter().filter(|e| e.subject == name).map(|e| e.t).max();
            let back = of("gap_end").into_iter().filter(|e| e.subject == name).map(|e| e.t).max();
            assert!(last > back, "{power}: {name} is silent in the end");
            let because = end.cause.contains("power/sag@") || end.cause.ends_with("/power.charge@truth");
            assert!(because, "{power}: {end:?}");
        }
        // Five standard deviations of the cells' spread over units, and what the cold locks.
        let drawn_mah = figure(&report, "mean_ma") * HOURS;
        let most = capacity_mah * if at_c < 0.0 { 0.55 } else { 1.0 } * 1.1;
        assert!(drawn_mah <= most, "{power}: {drawn_mah} mAh out of {capacity_mah}");
        // A message costs a minute of 50 mA and more at the rail: no more than the charge has of them came out.
        let gain = if power.contains("63020") { 1.2 } else { 1.0 };
        let minutes = count(&report, "messages_delivered") / 6.0;
        assert!(minutes * 49.0 / 60.0 <= most * gain, "{power}: {minutes} messages of {capacity_mah} mAh");
        assert!(minutes > 300.0, "{power}: it lived before: {minutes}");
        assert!(figure(&report, "expected_h") < 1.0, "{power}: nothing is left");
    }
}

/// The cold takes from what is left, and the forecast knows: at each temperature it holds the end that the simulation comes
/// to.
#[test]
fn the_forecast_of_life_is_that_of_the_cells_temperature() {
    let mut lives = Vec::new();
    for temperature_c in [-20.0, 0.0, 20.0] {
        let power = r#"Pack(cell: "aa-alkaline", series: 2, charge: (0.97, 1.0), regulator: "tps63020-3v3")"#;
        let node = Node { power: power.to_owned(), temperature_c, ..Node::default() };
        let (forecast, events) = node.run("6h");
        assert!(events.iter().all(|e| e.kind != "brown_out"), "{temperature_c}: it lives that long");
        let (_, events) = node.run("3d");
        let mut ends: Vec<f64> = (0..6)
            .map(|d| {
                let mut of = events.iter().filter(|e| e.kind == "brown_out" && e.subject == format!("n-{d}"));
                of.next().expect("it ends").t.as_secs_f64() / 3600.0 - 6.0
            })
            .collect();
        ends.sort_by(f64::total_cmp);
        let (from, to) = (figure(&forecast, "earliest_h"), figure(&forecast, "latest_h"));
        let median = 0.5 * (ends[2] + ends[3]);
        assert!(from <= median && median <= to, "{temperature_c} °C: {ends:?} h, forecast {from} to {to}");
        lives.push(figure(&forecast, "expected_h"));
    }
    assert!(lives[0] < 0.7 * lives[1] && lives[1] < 0.95 * lives[2], "{lives:?}");
}

/// What would not work on the bench is refused, what would is not.
#[test]
fn check_asks_whether_a_pack_feeds_board_and_parts() {
    let pms = r#"(id: "a", model: "pms5003", on: Pins(["GPIO17", "GPIO16"]))"#;
    let sonar = r#"(id: "a", model: "hc-sr04", on: Pins(["GPIO5", "GPIO18"]), shifted: true)"#;
    let bme = Node::default().parts;
    for (board, parts, pack, expected) in [
        (
            "esp32-devkit",
            pms,
            r#"cell: "lipo-1000", regulator: "mcp1700-3v3""#,
            "`pms5003` needs 4.5 to 5.5 V",
        ),
        ("esp32-devkit", sonar, r#"cell: "aa-alkaline", series: 2"#, "its battery at most 3.16 V"),
        (
            "esp32-devkit",
            bme,
            r#"cell: "li-ion-18650", series: 4"#,
            "stands 3.6 V, but this pack gives 16.76 V",
        ),
        (
            "esp32-devkit",
            bme,
            r#"cell: "li-ion-18650", series: 4, regulator: "mcp1700-3v3""#,
            "`mcp1700-3v3` stands 6 V",
        ),
        (
            "arduino-nano-33-iot",
            bme,
            r#"cell: "lipo-1000", regulator: "mcp1700-3v3""#,
            "is reset below 4.5 V",
        ),
        ("esp32-devkit", bme, r#"cell: "cr2032""#, "is reset below 2.43 V"),
        ("raspberry-pi-pico-w", bme, r#"cell: "lipo-1000", regulator: "mcp1700-3v3""#, "gives 250 mA"),
        ("esp32-devkit", bme, r#"cell: "lipo-1000", regulator: "mcp1700-3v3""#, ""),
        ("esp32-devkit", bme, r#"cell: "aa-alkaline", series: 2"#, ""),
        ("esp32-devkit", bme, r#"cell: "lifepo4-18650""#, ""),
        ("raspberry-pi-pico-w", bme, r#"cell: "lipo-1000""#, ""),
        ("arduino-mkr-wifi-1010", bme, r#"cell: "lipo-1000""#, ""),
        ("raspberry-pi-4b", bme, r#"cell: "lipo-1000", regulator: "tps61090-5v""#, ""),
        // The servo's 5 V are the cells' own, before the board's regulator.
        (
            "esp32-devkit",
            r#"(id: "a", model: "servo-sg90", on: Pin("GPIO4"))"#,
            r#"cell: "aa-alkaline", series: 3, regulator: "mcp1700-3v3""#,
            "`servo-sg90` needs",
        ),
    ] {
        let power = format!("Pack({pack}, charge: (0.9, 1.0))");
        checked(&Node { board, parts, power, ..Node::default() }, expected);
    }
    // A group's own supply is asked as its thing's is.
    let group = r#", power: Pack(cell: "cr2032", charge: (0.9, 1.0))"#;
    checked(&Node { group, ..Node::default() }, "is reset below 2.43 V");
}

fn checked(node: &Node<'_>, expected: &str) {
    let dir = scratch();
    let file = dir.path().join("s.ron");
    std::fs::write(&file, node.text("1h")).expect("written");
    let ran = command(&["check", text(&file)]);
    let what = format!("{} {} {} {}", node.board, node.parts, node.power, node.link);
    if expected.is_empty() {
        assert_eq!(ran.code(), 0, "{what}:\n{}", ran.stderr());
    } else {
        assert_eq!(ran.code(), 2, "{what}: no `{expected}`:\n{}", ran.stderr());
        assert!(ran.stderr().contains(expected), "{what}: no `{expected}`:\n{}", ran.stderr());
    }
}

#[test]
fn check_asks_what_a_voltage_does_to_a_pin() {
    for (board, parts, expected) in [
        ("beaglebone-black", r#"(id: "a", model: "ldr", on: Pin("P9_39"))"#, "that stands 1.8 V"),
        ("beaglebone-black", r#"(id: "a", model: "ntc-10k", on: Pin("P9_40"))"#, "that stands 1.8 V"),
        ("beaglebone-black", r#"(id: "a", model: "ldr", on: Pin("P9_39"), shifted: true)"#, ""),
        ("beaglebone-black", r#"(id: "a", model: "tmp36", on: Pin("P9_39"))"#, ""),
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "ldr", on: Pin("A0")), (id: "b", model: "mq135", on: Pin("A1"))"#,
            "",
        ),
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "bme280", on: I2c(0x76), own_supply: true)"#,
            "`bme280` stands 3.6 V",
        ),
        ("arduino-uno-r3", r#"(id: "a", model: "bme280", on: I2c(0x76))"#, "`shifted: true`"),
        // A breakout with a regulator and level shifters of its own.
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "bme280", on: I2c(0x76), own_supply: true, shifted: true)"#,
            "",
        ),
        (
            "arduino-uno-r3",
            r#"(id: "a", model: "hc-sr04", on: Pins(["D4", "D5"])), (id: "b", model: "sht31", on: I2c(0x44), pull_up: true)"#,
            "",
        ),
        (
            "esp32-devkit",
            r#"(id: "a", model: "bme280", on: I2c(0x76), pull_up: false)"#,
            "nothing pulls the I2C bus up",
        ),
        ("raspberry-pi-4b", r#"(id: "a", model: "bme280", on: I2c(0x76), pull_up: false)"#, ""),
        (
            "esp32-devkit",
            r#"(id: "a", model: "bme280", on: I2c(0x76), pull_up: false), (id: "b", model: "sht31", on: I2c(0x44))"#,
            "",
        ),
        ("esp32-devkit", r#"(id: "a", model: "bme280", on: I2c(0x76), pull_up: true)"#, ""),
    ] {
        let firmware = r#"period: "60s""#;
        checked(&Node { board, parts, firmware, link: r#"(id: "l")"#, ..Node::default() }, expected);
    }
}

/// A part fed with more than the pins stand, whose file leaves open what it puts on them, is asked about.
#[test]
fn a_part_that_does_not_say_its_level_is_warned_of() {
    let dir = scratch();
    let sensors = dir.path().join("catalog/sensors");
    std::fs::create_dir_all(&sensors).unwrap();
    let sensor = r#"Sensor(format: 1, name: "counter", about: "a counter of 5 V", source: "made up for a test", bus: Digital(1),
        supply_v: (4.5, 5.5), active_ma: 1, channels: [(quantity: "flow", unit: "l/min", range: (0, 30))])"#;
    std::fs::write(sensors.join("counter.ron"), sensor).unwrap();
    let file = dir.path().join("s.ron");
    for (wired, warned) in [("", true), (", own_supply: true", true), (", shifted: true", false)] {
        let parts = format!(r#"(id: "a", model: "counter", on: Pin("GPIO4"){wired})"#);
        let group = r#", truths: {"a.flow": 1}"#;
        std::fs::write(&file, Node { parts: &parts, group, ..Node::default() }.text("1h")).unwrap();
        let ran = command(&["check", text(&file)]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        assert_eq!(
            ran.stderr().contains("does not say what it puts on a pin"),
            warned,
            "{wired}: {}",
            ran.stderr()
        );
    }
}

const SOC: &str = r#"(id: "soc", model: "pi-soc", on: Internal)"#;
const PERIOD: &str = r#"period: "60s""#;

/// A Pi's supply carries what its processor turns into heat: idle and full watts of its file, over the volts it gets.
#[test]
fn a_busy_pi_draws_more() {
    let ma = |load: &str| {
        let group = format!(r#", truths: {{"soc.load": {load}}}"#);
        let power =
            r#"Pack(cell: "lifepo4-18650", series: 2, parallel: 20, charge: (1.0, 1.0), regulator: "buck")"#;
        let dir = scratch();
        let regulators = dir.path().join("catalog/regulators");
        std::fs::create_dir_all(&regulators).unwrap();
        let buck = r#"Regulator(format: 1, name: "buck", about: "an ideal one for a test", source: "made up for a test",
            kind: Ldo(out_v: 5.0, dropout_ohm: 0.1, quiescent_ma: 0.0))"#;
        std::fs::write(regulators.join("buck.ron"), buck).unwrap();
        let file = dir.path().join("s.ron");
        let node = Node {
            board: "raspberry-pi-4b",
            parts: SOC,
            firmware: PERIOD,
            power: power.to_owned(),
            group: &group,
            ..Node::default()
        };
        std::fs::write(&file, node.text("2h")).unwrap();
        figure(&run_scenario(&["run", text(&file), "--quiet", "--broker", "none"]).json(), "mean_ma")
    };
    // 2.7 W idle and 6 W busy at 5 V, and the cells' own leak of 3 % a month of 30 Ah.
    let leak = 0.03 * 30_000.0 / 730.5;
    for (load, watts) in [("0", 2.7), ("50", 4.35), ("100", 6.0)] {
        let (is, want) = (ma(load), watts / 5.0 * 1e3 + leak);
        assert!((is / want - 1.0).abs() < 0.03, "{load} %: {is} mA instead of {want}");
    }
}

/// `vcgencmd get_throttled`: bit 0 and 16 of a supply below 4.63 V, whether the scenario says so or the cells sag.
#[test]
fn a_pi_that_is_fed_too_little_says_so() {
    let bits = |node: &Node<'_>| {
        let (report, _) = node.run("2h");
        let end = |end: &str| channel(&report, "soc.throttled", end) as u32;
        (end("max"), end("min"))
    };
    let pi = || Node { board: "raspberry-pi-4b", parts: SOC, firmware: PERIOD, ..Node::default() };
    assert_eq!(bits(&pi()), (0, 0), "on the mains there is nothing to say");
    let more = r#"timeline: [(at: "1h", until: "70min", do: Set(target: "n-*/soc.voltage", to: 4.5))]"#;
    let (most, least) = bits(&Node { more, ..pi() });
    assert_eq!((most, least), (0x50005, 0), "while it lasts, and before it: throttled, and not capped");
    // Three alkaline cells: 4.7 V when fresh, less 0.6 A through half an ohm.
    let power = r#"Pack(cell: "aa-alkaline", series: 3, charge: (1.0, 1.0))"#.to_owned();
    let (most, _) = bits(&Node { power, ..pi() });
    assert_eq!(most & 0x10001, 0x10001, "the cells' own voltage is what it gets");
}

/// Every microcontroller's die is warmer than the air around it, by as much in the heat, and more when it is busy.
#[test]
fn every_die_is_warmer_than_its_air() {
    let boards = [
        "arduino-mkr-wifi-1010",
        "arduino-nano-33-iot",
        "arduino-uno-r3",
        "esp32-c3-devkit",
        "esp32-devkit",
        "esp32-s3-devkit",
        "raspberry-pi-pico-w",
    ];
    let parts = r#"(id: "die", model: "mcu-temp", on: Internal)"#;
    for board in boards {
        let mean_c = |load: u32, temperature_c: f64| {
            let group = format!(r#", truths: {{"die.load": {load}}}"#);
            let link = r#"(id: "l")"#;
            let firmware = PERIOD;
            let node = Node { board, parts, group: &group, temperature_c, firmware, link, ..Node::default() };
            channel(&node.run("4h").0, "die.temperature", "mean")
        };
        let (idle, busy, hot) = (mean_c(0, 20.0), mean_c(100, 20.0), mean_c(0, 50.0));
        // The thermometers are ±10 °C, and the same six units each time.
        assert!((10.0..45.0).contains(&idle), "{board}: {idle} °C");
        assert!((0.2..20.0).contains(&(busy - idle)), "{board}: {idle} and {busy} °C");
        assert!((hot - idle - 30.0).abs() < 0.5, "{board}: {idle} and {hot} °C");
    }
    checked(
        &Node { parts: SOC, firmware: PERIOD, ..Node::default() },
        "`pi-soc` is no part of `esp32-devkit`",
    );
    checked(
        &Node { board: "raspberry-pi-5", parts, firmware: PERIOD, ..Node::default() },
        "`mcu-temp` is no part of",
    );
}

/// A link goes through the board's own radio: its power is what the network receives, while its modem tells that of the access
/// point; and a board without one needs a module.
#[test]
fn a_board_speaks_with_the_radio_it_has() {
    let wifi = Node::default().link;
    let lora = r#"(id: "l", profile: "lorawan-eu868-sf7", radio: (distance_m: (5.0, 40.0)))"#;
    let with = r#"(id: "l", profile: "lorawan-eu868-sf7", module: "RFM95W on SPI", radio: (distance_m: (5.0, 40.0)))"#;
    let dht = r#"(id: "a", model: "dht22", on: Pin("D4"), pull_up: true)"#;
    for (board, parts, link, expected) in [
        ("arduino-uno-r3", dht, wifi, "`arduino-uno-r3` has no Wi-Fi radio"),
        ("arduino-uno-r3", dht, lora, "has no LoRa radio"),
        ("arduino-uno-r3", dht, with, ""),
        ("arduino-uno-r3", dht, r#"(id: "l", loss: 0.1)"#, ""),
        ("esp32-devkit", Node::default().parts, lora, "has no LoRa radio"),
        ("raspberry-pi-zero-2w", SOC, wifi, ""),
    ] {
        checked(
            &Node {
                board,
                parts,
                link,
                firmware: r#"period: "60s", publish: [(topic: "a")]"#,
                ..Node::default()
            },
            expected,
        );
    }
    // The same places, two boards: of 20 dBm 200 m are 109 dB away, and of the boards' own 17 and 13 dBm what is left is
    // half and a twentieth of the packets at their sensitivities of -92 and -93 dBm.
    let edge = r#"(id: "l", profile: "wifi-2g4", radio: (distance_m: (200.0, 200.0), shadowing_db: 0.0))"#;
    for (board, arrives) in [("esp32-devkit", 0.5), ("esp8266-nodemcu", 1.0 / (1.0 + 3.0f64.exp()))] {
        let firmware =
            r#"period: "60s", attempts: 1, publish: [(topic: "a", payload: Template("{rssi_dbm}"))]"#;
        let (report, _) = Node { board, firmware, link: edge, ..Node::default() }.run("2d");
        let rssi_dbm = channel(&report, "radio.rssi", "max");
        assert!((rssi_dbm - (20.0 - 40.0 - 30.0 * 200f64.log10())).abs() < 0.1, "{board}: {rssi_dbm} dBm");
        let tried = count(&report, "transmissions");
        let share = count(&report, "messages_delivered") / tried;
        let chance = (arrives * (1.0 - arrives) / tried).sqrt();
        assert!((share - arrives).abs() < 5.0 * chance, "{board}: {share} of {tried}");
    }
}

/// Every board's clock feels the temperature: set over the network, it has run away further in the heat than in a room.
#[test]
fn every_boards_clock_feels_the_heat() {
    let away_s = |board: &str, temperature_c: f64| {
        let firmware = r#"period: "60s", publish: [(topic: "a")], clock: (ntp: (every: "24h", error: "0s"))"#;
        let link = r#"(id: "l", loss: 0.0)"#;
        let (_, events) =
            Node { board, parts: "", firmware, link, temperature_c, ..Node::default() }.run("2d");
        // The steps that are told, over units of one and the same seed: what the temperature adds to each.
        events.iter().filter(|e| e.kind == "clock_set" && e.subject == "n-0").map(|e| e.value).sum::<f64>()
    };
    let boards = command(&["list", "boards"]).json();
    let names: Vec<String> =
        boards.as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 14);
    for board in names {
        let (room, hot) = (away_s(&board, 27.0), away_s(&board, 55.0));
        // Two days at a few ppm or more: a tenth of a second and up.
        assert!((hot - room).abs() > 0.1, "{board}: {room} s and {hot} s");
    }
}
