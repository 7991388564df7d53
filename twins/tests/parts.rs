//! What parts find and say in a scenario: converters of boards, own supply, own actuators, processors, the air around them.

use std::{path::PathBuf, sync::Arc};
use twinfleet_engine::{
    actuate,
    catalog::Catalog,
    environment, physics,
    plan::Plan,
    run::Run,
    scenario::{self, check, diagnostic::Style, files::Files, source::Source},
    sense,
    time::Span,
    world::{Rows, StateHash, Watch},
};
use twinfleet_twins::catalog;

struct Ran {
    plan: Plan,
    rows: Vec<(u32, f64, f64)>,
    hash: StateHash,
}

impl Ran {
    /// Values of a signal: time [s], value.
    fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let id = self.plan.signals.find(name).unwrap_or_else(|| panic!("no signal {name}"));
        self.rows.iter().filter(|r| r.0 == id.0).map(|r| (r.1, r.2)).collect()
    }

    /// The last value of a signal before an instant, [s].
    fn at(&self, name: &str, t_s: f64) -> f64 {
        let series = self.series(name);
        series.iter().rfind(|(t, _)| *t < t_s).unwrap_or_else(|| panic!("{name} says nothing before {t_s}")).1
    }
}

/// Runs a scenario that must be without errors.
fn run(text: &str) -> Ran {
    run_shard(text, (0, 1))
}

fn run_shard(text: &str, shard: (u32, u32)) -> Ran {
    run_with(catalog::builtin().unwrap(), text, shard)
}

fn run_with(all: Catalog, text: &str, shard: (u32, u32)) -> Ran {
    let source = Source::embedded("a.ron", text);
    let scenario = scenario::read(&source).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
    let report = check::check(&scenario, &all, &source, &Files::at("."));
    assert_eq!(report.errors(), 0, "{}", report.render(Style::Plain));
    let plan = Plan::new(Arc::new(scenario), Arc::new(all), PathBuf::new(), 7, shard).unwrap();
    let mut run = Run::new(&plan, 1, Watch(vec![true; plan.signals.len()])).unwrap();
    let (world, schedule) = run.parts();
    environment::install(world, schedule, &plan);
    physics::install(world, schedule, &plan).unwrap();
    actuate::install(world, schedule, &plan);
    sense::install(world, schedule, &plan);
    let mut rows = Vec::new();
    while !run.is_over() {
        run.tick(Vec::new());
        let found = &run.world().resource::<Rows>().0;
        rows.extend(found.iter().map(|r| (r.signal.0, r.t.as_secs_f64(), r.value)));
    }
    let hash = run.state_hash();
    Ran { plan, rows, hash }
}

/// One device `n` of a thing with these parts on a board, in a zone `room`.
fn one(board: &str, parts: &str, zone: &str, more: &str, timeline: &str) -> String {
    format!(
        r#"Scenario(format: 1, seed: 7, duration: "20min", step: "1s",
            world: (zones: [(id: "room", {zone})]),
            fleet: [(id: "n-{{}}", count: 40, thing: "t", in: ["room"], {more})],
            things: [(name: "t", source: "own", board: "{board}", parts: [{parts}], firmware: (period: "1s"))],
            timeline: [{timeline}])"#
    )
}

/// Distinct values, ascending.
fn steps(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
    all
}

/// 5 V over 1024 codes at 10 mV/°C on an Uno; 0.142–2.462 V over 2880 on an ESP32.
#[test]
fn a_tmp36_has_the_steps_of_its_boards_converter() {
    for (board, pin, step) in [("arduino-uno-r3", "A0", 0.48828), ("esp32-devkit", "GPIO34", 0.080556)] {
        let part = format!(r#"(id: "t", model: "tmp36", on: Pin("{pin}"))"#);
        let ran = run(&one(board, &part, "temperature_c: 25.0", "", ""));
        let all =
            steps((0..40).flat_map(|i| ran.series(&format!("n-{i}/t.temperature@reading"))).map(|r| r.1));
        assert!(all.len() > 4, "{board}: {all:?}");
        for pair in all.windows(2) {
            let n = (pair[1] - pair[0]) / step;
            assert!((n - n.round()).abs() < 0.02, "{board}: {} apart", pair[1] - pair[0]);
        }
        // The sensors' own ±1 °C, and the converter's reference on top.
        let means: Vec<f64> = (0..40)
            .map(|i| {
                let s = ran.series(&format!("n-{i}/t.temperature@reading"));
                s.iter().map(|r| r.1).sum::<f64>() / s.len() as f64
            })
            .collect();
        let mean = means.iter().sum::<f64>() / 40.0;
        assert!((mean - 25.0).abs() < 1.5, "{board}: {mean}");
        let spread = (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        assert!((0.8..3.5).contains(&spread), "{board}: {spread}");
    }
}

/// `warm_up` of a file: it gives nothing until then, whichever converter reads it, and what reads it.
#[test]
fn an_analogue_part_gives_nothing_while_it_warms_up() {
    let mut all = catalog::builtin().unwrap();
    all.sensors.get_mut("tmp36").unwrap().warm_up = Span::from_secs(300);
    let parts = r#"(id: "own", model: "tmp36", on: Pin("GPIO34")), (id: "adc", model: "ads1115", on: I2c(0x48)),
        (id: "far", model: "tmp36", on: Pin("adc.0"))"#;
    let ran = run_with(all, &one("esp32-devkit", parts, "temperature_c: 25.0", "", ""), (0, 1));
    for part in ["own", "far"] {
        let first = ran.series(&format!("n-0/{part}.temperature@reading"))[0];
        assert!((300.0..302.0).contains(&first.0), "{part}: {first:?}");
        assert!((first.1 - 25.0).abs() < 15.0, "{part}: {first:?}");
    }
    assert!(ran.series("n-0/adc.voltage_1@reading")[0].0 < 3.0, "the converter is there");
}

/// HandsOn Tech MDU1020: about a minute of initialisation; the output comes 0 to 3 times within it.
#[test]
fn a_motion_detector_that_has_just_got_its_supply_raises_false_alarms() {
    let rises = |more: &str| -> Vec<Vec<f64>> {
        let part = format!(r#"(id: "m", model: "hc-sr501", on: Pin("GPIO4"){more})"#);
        let ran = run(&one("esp32-devkit", &part, "", r#"truths: {"m.presence": 0}"#, ""));
        let of = |i: u32| {
            let all = ran.series(&format!("n-{i}/m.presence@reading"));
            all.windows(2).filter(|w| w[0].1 < 0.5 && w[1].1 > 0.5).map(|w| w[1].0).collect()
        };
        (0..40).map(of).collect()
    };
    assert!(rises("").iter().all(Vec::is_empty), "it has been on for long");
    let cold = rises(", cold: true");
    assert!(cold.iter().all(|r| r.len() <= 3 && r.iter().all(|t| *t < 62.0)), "{cold:?}");
    let all: usize = cold.iter().map(Vec::len).sum();
    // One and a half each on average, less those that fall together or begin the run.
    assert!((25..=75).contains(&all), "{all}");
}

/// An ESP32's converter ends at 3.13 V, below its supply of 3.3 V: light that brings a divider beyond that reads the same. At
/// 6 dB it ends at 1.88 V, and so do dry soils.
#[test]
fn a_converter_saturates_where_its_range_ends() {
    let brightest = |lx: f64| {
        let part = r#"(id: "l", model: "ldr", on: Pin("GPIO34"))"#;
        let ran = run(&one("esp32-devkit", part, "", &format!(r#"truths: {{"l.illuminance": {lx}}}"#), ""));
        (0..40).map(|i| ran.at(&format!("n-{i}/l.illuminance@reading"), 1200.0)).collect::<Vec<_>>()
    };
    // 3.133 V of 3.3 over 10 kΩ: 532 Ω, which is (532/14000)^(−1/0.6) · 10 lx. A unit whose reference is high may see beyond.
    let ends = brightest(9_500.0);
    let most = ends.iter().copied().fold(0.0, f64::max);
    assert!((most - 2_330.0).abs() < 30.0, "{most}");
    assert!(ends.iter().filter(|x| **x == most).count() >= 36, "{ends:?}");
    assert!(steps(brightest(500.0).into_iter()).len() > 20, "below it every unit reads its own");

    let soil = |range: &str| {
        let part = format!(r#"(id: "s", model: "soil-capacitive", on: Pin("GPIO34"){range})"#);
        let ran = run(&one("esp32-devkit", &part, "", r#"truths: {"s.soil_moisture": 0}"#, ""));
        (0..40).map(|i| ran.at(&format!("n-{i}/s.soil_moisture@reading"), 1200.0)).collect::<Vec<_>>()
    };
    // (2.54 − 1.877)/0.0127 = 52.2 %, whatever the unit.
    assert!(soil(r#", range: "6dB""#).iter().all(|x| (52.0..52.6).contains(x)));
    assert!(soil("").iter().all(|x| *x < 20.0), "the usual range reaches dry soil");
    assert_eq!(soil(""), soil(r#", range: "11dB""#), "which has a name, too");
}

/// An Uno's reference is the rail that feeds a divider: what that is off by cancels, and only the parts' own spread is left. A
/// part that makes a voltage by itself shows it.
#[test]
fn a_divider_on_the_reference_does_not_feel_it() {
    let spread = |model: &str, more: &str| {
        let part = format!(r#"(id: "t", model: "{model}", on: Pin("A0"){more})"#);
        let ran = run(&one("arduino-uno-r3", &part, "temperature_c: 25.0", "", ""));
        let at = |i| ran.series(&format!("n-{i}/t.temperature@reading"));
        let means: Vec<f64> =
            (0..40).map(|i| at(i).iter().map(|r| r.1).sum::<f64>() / at(i).len() as f64).collect();
        let mean = means.iter().sum::<f64>() / 40.0;
        (means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 39.0).sqrt()
    };
    // 0.25 K and 0.375 % of 25 °C are 0.27 K; a reference of 2.5 % on top would be 1.1 K at this divider.
    let own = spread("ntc-10k", "");
    assert!((0.18..0.45).contains(&own), "{own} K");
    let apart = spread("ntc-10k", ", own_supply: true");
    assert!((0.8..1.8).contains(&apart), "{apart} K, fed by something else");
    // 1 °C and 2.5 % of 0.75 V, 1.9 °C.
    let tmp36 = spread("tmp36", "");
    assert!((1.5..3.2).contains(&tmp36), "{tmp36} K");
}

#[test]
fn a_fault_of_an_analogue_part_holds_its_code() {
    let part = r#"(id: "t", model: "ntc-10k", on: Pin("A0"))"#;
    let fault = r#"(at: "5min", until: "10min", do: Fault(target: "n-0/t.temperature", kind: Stuck)),
        (at: "5min", do: Fault(target: "n-1/t.temperature", kind: Bias(by: 20.0)))"#;
    let ran = run(&one("arduino-uno-r3", part, "temperature_c: 25.0", "", fault));
    let stuck = ran.series("n-0/t.temperature@reading");
    let held = steps(stuck.iter().filter(|r| (301.0..599.0).contains(&r.0)).map(|r| r.1));
    assert_eq!(held.len(), 1, "{held:?}");
    let biased = ran.at("n-1/t.temperature@reading", 1200.0) - ran.at("n-1/t.temperature@reading", 299.0);
    assert!((biased - 20.0).abs() < 0.6, "{biased}");
}

#[test]
fn a_current_sensor_finds_its_devices_supply_or_one_load() {
    let parts = r#"(id: "own", model: "ina219", on: I2c(0x40)), (id: "line", model: "ina219", on: I2c(0x41), of: "pump"),
        (id: "pump", model: "pump-5v", on: Pin("GPIO25"))"#;
    let on = r#"(at: "10min", do: Command(target: "n-*/pump", level: 1.0))"#;
    let ran = run(&one("esp32-devkit", parts, "", "", on));
    // The board's 50 mA and the sensors' own; then 200 mA of the pump on top, of which the line sees these alone.
    let near = |signal: &str, t: f64, want: f64| {
        let found = ran.at(signal, t);
        assert!((found - want).abs() < 0.02 * want.abs() + 2.0, "{signal} at {t}: {found} instead of {want}");
    };
    near("n-0/own.current@reading", 590.0, 51.4);
    near("n-0/line.current@reading", 590.0, 0.0);
    near("n-0/own.current@reading", 1100.0, 251.4);
    near("n-0/line.current@reading", 1100.0, 200.0);
    assert!((ran.at("n-0/own.bus_voltage@reading", 590.0) - 5.0).abs() < 0.06);
}

#[test]
fn flow_speed_and_angle_follow_their_actuators() {
    let parts = r#"(id: "pump", model: "pump-5v", on: Pin("GPIO25")), (id: "fan", model: "fan-nf-a4x10", on: Pin("GPIO26"), own_supply: true),
        (id: "meter", model: "yf-s201", on: Pin("GPIO4"), shifted: true), (id: "turns", model: "fan-tacho", on: Pin("GPIO5"))"#;
    let on = r#"(at: "5min", do: Command(target: "n-0/pump", level: 1.0)), (at: "5min", do: Command(target: "n-0/fan", level: 0.6))"#;
    let ran = run(&one("esp32-devkit", parts, "", "", on));
    assert_eq!(ran.at("n-0/turns.rotation@reading", 299.0), 0.0);
    assert_eq!(ran.at("n-0/turns.rotation@reading", 400.0), 3000.0, "0.6 of 5000 rpm, in steps of 30");
    let flow = ran.at("n-0/meter.flow@reading", 400.0);
    assert!((flow - 1.667).abs() < 0.4, "{flow}");
    assert_eq!(ran.at("n-1/meter.flow@reading", 400.0), 0.0, "another device's pump stands still");
}

#[test]
fn a_door_is_open_while_the_scenario_says_so() {
    let part = r#"(id: "door", model: "reed-switch", on: Pin("GPIO4"))"#;
    let told = r#"(at: "5min", until: "10min", do: Set(target: "n-3/door.contact", to: 0.0)),
        (at: "15min", do: Set(target: "n-3/door.contact", to: 0.0))"#;
    let ran = run(&one("esp32-devkit", part, "", r#"truths: {"door.contact": 1}"#, told));
    for (t, want) in [(290.0, 1.0), (310.0, 0.0), (590.0, 0.0), (620.0, 1.0), (890.0, 1.0), (1190.0, 0.0)] {
        assert_eq!(ran.at("n-3/door.contact@reading", t), want, "at {t} s");
    }
    assert_eq!(ran.at("n-4/door.contact@reading", 1190.0), 1.0, "another door stays shut");
}

/// What is set of a quantity that the zone gives comes back to the zone's value.
#[test]
fn a_hand_around_a_thermometer_is_felt_by_it_alone() {
    let part = r#"(id: "air", model: "sht31", on: I2c(0x44))"#;
    let told = r#"(at: "5min", until: "10min", do: Set(target: "n-3/air.temperature", to: 34.0))"#;
    let ran = run(&one("esp32-devkit", part, "temperature_c: 20.0", "", told));
    let near = |device: u32, t: f64, want: f64| {
        let found = ran.at(&format!("n-{device}/air.temperature@reading"), t);
        assert!((found - want).abs() < 0.6, "n-{device} at {t}: {found}");
    };
    near(3, 290.0, 20.0);
    near(3, 590.0, 34.0);
    near(3, 660.0, 20.0);
    near(4, 590.0, 20.0);
}

/// A room of 50 m³ with two people: C = C_out + Q/(n·V)·(1 − e^(−n·t)).
#[test]
fn people_breathe_in_a_room_that_is_aired() {
    let parts = r#"(id: "co2", model: "scd41", on: I2c(0x62)), (id: "dust", model: "pms5003", on: Pins(["GPIO17", "GPIO16"])),
        (id: "gas", model: "mq135", on: Pin("GPIO34"), shifted: true, own_supply: true)"#;
    let zone = "volume_m3: 50.0, air_changes_per_h: 2.0, emits: (co2_l_h: 36.0)";
    let smoke = r#"(at: "10min", until: "12min", do: Disturb(zone: "room", emits: (gas_l_h: 30.0, pm2_5_mg_h: 60.0, pm10_mg_h: 100.0)))"#;
    let ran = run(&one("esp32-devkit", parts, zone, "", smoke));
    let want = |t_s: f64| 420.0 + 36.0 * 1000.0 / (2.0 * 50.0) * (1.0 - (-2.0 * t_s / 3600.0f64).exp());
    for t in [300.0, 900.0, 1190.0] {
        let truth = ran.at("room/air.co2@truth", t);
        assert!((truth - want(t - 1.0)).abs() < 0.5, "{truth} at {t} instead of {}", want(t - 1.0));
    }
    let reading = ran.at("n-0/co2.co2@reading", 1190.0);
    assert!((reading - want(1150.0)).abs() < 120.0, "{reading}");
    // 30 l/h for two minutes are 1 l in 50 m³: 20 ppm, less what was aired.
    let gas = ran.at("room/air.gas@truth", 720.0);
    assert!((gas - 19.3).abs() < 0.5, "{gas}");
    let dust = (ran.at("room/air.pm2_5@truth", 720.0), ran.at("n-0/dust.pm2_5@reading", 735.0));
    assert!((dust.0 - (5.0 + 38.7)).abs() < 1.0, "{dust:?}");
    assert!((dust.1 - dust.0).abs() < 15.0, "{dust:?}");
    let smelt = ran.at("n-0/gas.gas@reading", 750.0);
    assert!((8.0..40.0).contains(&smelt), "{smelt}");
}

#[test]
fn a_buzzer_is_heard_and_a_magnet_is_felt() {
    let parts = r#"(id: "beep", model: "buzzer", on: Pin("GPIO25")), (id: "mic", model: "mic-level", on: Pin("GPIO34")),
        (id: "imu", model: "lsm9ds1", on: I2c(0x6B))"#;
    let told = r#"(at: "5min", until: "6min", do: Command(target: "n-0/beep", level: 1.0)),
        (at: "10min", until: "11min", do: Disturb(zone: "room", sound_db: 80.0, magnetic_ut: (50.0, 0.0, 0.0)))"#;
    let ran = run(&one("esp32-devkit", parts, "", "", told));
    let level = |t: f64| ran.at("room/air.sound@truth", t);
    assert!((level(200.0) - 35.0).abs() < 1e-9);
    assert!((level(350.0) - 65.0).abs() < 0.01, "{}", level(350.0));
    assert!((level(650.0) - 80.0).abs() < 0.01, "{}", level(650.0));
    assert!((ran.at("n-0/mic.sound@reading", 650.0) - 80.0).abs() < 4.0);
    let turned = ran.at("n-0/imu.magnetic_x@reading", 650.0) - ran.at("n-0/imu.magnetic_x@reading", 590.0);
    assert!((turned - 50.0).abs() < 4.0, "{turned}");
}

/// Bits 0–3 now, 16–19 since the start.
#[test]
fn a_raspberry_pi_says_that_it_throttles_and_that_its_supply_is_weak() {
    let part = r#"(id: "soc", model: "pi-soc", on: Internal)"#;
    let text = one("raspberry-pi-3b-plus", part, "temperature_c: 30.0", r#"truths: {"soc.load": 100, "soc.voltage": 5.1}"#,
        r#"(at: "40min", do: Set(target: "n-0/soc.load", to: 0.0)), (at: "50min", until: "51min", do: Set(target: "n-1/soc.voltage", to: 4.5))"#)
        .replace("\"20min\"", "\"2h\"").replace("count: 40", "count: 2");
    let ran = run(&text);
    let bits = |device: u32, t: f64| ran.at(&format!("n-{device}/soc.throttled@reading"), t) as u32;
    assert_eq!(bits(0, 5.0), 0, "it begins cool");
    // Above 60 °C the soft limit: 1.2 GHz; from 80 °C on it throttles.
    let hot = bits(0, 2390.0);
    assert_eq!(hot & 0xF0008, 0x80008 | (hot & 0x70000), "{hot:#x}");
    assert!(ran.at("n-0/soc.frequency@reading", 2390.0) <= 1200.0);
    assert!(ran.at("n-0/soc.temperature@reading", 2390.0) < 88.0);
    // At rest it cools, and remembers.
    assert_eq!(bits(0, 7190.0) & 0xF, 0, "{:#x}", bits(0, 7190.0));
    assert_eq!(bits(0, 7190.0) & 0x80000, 0x80000);
    assert_eq!(ran.at("n-0/soc.frequency@reading", 7190.0), 1400.0);
    assert_eq!(bits(1, 3030.0) & 1, 1, "under-voltage now");
    assert_eq!(bits(1, 3100.0) & 0x10001, 0x10000, "and since the start");
    assert_eq!(ran.at("n-1/soc.frequency@reading", 3030.0), 600.0);
    assert_eq!(bits(1, 3030.0) & 0b100, 0b100, "which throttles it");
}

/// A Pi 4 at work in a hot box: its clock falls by the four steps that the documentation names, the further the hotter, and
/// rises again; bits 1 and 2 say so while it does, 17 and 18 ever after; it has no soft limit.
#[test]
fn a_raspberry_pi_4_throttles_in_its_four_steps() {
    let part = r#"(id: "soc", model: "pi-soc", on: Internal)"#;
    let text = one(
        "raspberry-pi-4b",
        part,
        "temperature_c: 40.0",
        r#"truths: {"soc.load": 100, "soc.voltage": 5.1}"#,
        r#"(at: "90min", do: Set(target: "n-*/soc.load", to: 0.0))"#,
    );
    let ran = run(&text.replace("\"20min\"", "\"3h\"").replace("count: 40", "count: 1"));
    let (clock, bits) = (ran.series("n-0/soc.frequency@reading"), ran.series("n-0/soc.throttled@reading"));
    let seen = steps(clock.iter().map(|r| r.1));
    assert!(seen.iter().all(|mhz| [600.0, 750.0, 1000.0, 1500.0].contains(mhz)), "{seen:?}");
    assert!(seen.len() >= 3, "{seen:?}");
    for ((t, mhz), (_, bits)) in clock.iter().zip(&bits) {
        let now = if *mhz < 1500.0 { 0b0110 } else { 0 };
        assert_eq!(*bits as u32 & 0xF, now, "at {t} s, {mhz} MHz");
    }
    let ever: Vec<u32> = bits.iter().map(|r| r.1 as u32 >> 16).collect();
    assert!(
        ever.is_sorted() && *ever.last().unwrap() == 0b0110,
        "{:?}",
        steps(ever.iter().map(|b| f64::from(*b)))
    );
    assert_eq!(ran.at("n-0/soc.frequency@reading", 10_790.0), 1500.0, "at rest it is cool enough");
    let hottest = ran.series("n-0/soc.temperature@reading").iter().map(|r| r.1).fold(0.0, f64::max);
    assert!((78.0..92.0).contains(&hottest), "{hottest} °C");
}

#[test]
fn a_board_rests_in_the_state_that_its_firmware_names() {
    let text = |rest: &str| {
        format!(
            r#"Scenario(format: 1, duration: "10h", step: "60s", fleet: [(id: "n", thing: "t")],
            things: [(name: "t", source: "own", board: "esp32-devkit", firmware: (period: "60s", {rest}),
                power: Battery(capacity_mah: 1000, charge: (1, 1), r0_ohm: 0, ocv_v: [(0, 3), (1, 4.2)]))])"#
        )
    };
    let drawn_ma = |rest: &str| {
        let charge = run(&text(rest)).series("n/power.charge@truth");
        let (first, last) = (charge[0], charge[charge.len() - 1]);
        (first.1 - last.1) * 10.0 / ((last.0 - first.0) / 3600.0)
    };
    assert!((drawn_ma(r#"rest: "light_sleep""#) - 0.8).abs() < 0.01);
    assert!((drawn_ma("deep_sleep: true") - 0.01).abs() < 0.001);
    assert!((drawn_ma("") - 50.0).abs() < 0.5);
}

/// What is told, actuated and warmed adds up over shards, as everything else.
#[test]
fn shards_of_told_and_actuated_devices_add_up() {
    let text = r#"Scenario(format: 1, seed: 7, duration: "10min", step: "1s",
        world: (zones: [(id: "a", volume_m3: 30, air_changes_per_h: 1, emits: (co2_l_h: 18)), (id: "b"), (id: "c")]),
        fleet: [(id: "n-{}", count: 12, thing: "t", in: ["a", "b", "c"], truths: {"soc.load": 60})],
        things: [(name: "t", source: "own", board: "raspberry-pi-4b", firmware: (period: "1s"), parts: [
            (id: "soc", model: "pi-soc", on: Internal), (id: "fan", model: "fan-nf-a4x10", on: Pin("GPIO18")),
            (id: "turns", model: "fan-tacho", on: Pin("GPIO23"))])],
        timeline: [(at: "3min", do: Set(target: "n-*/soc.load", to: 90)), (at: "4min", do: Command(target: "n-?/fan", level: 0.5))])"#;
    let whole = run(text);
    let parts: Vec<Ran> = (0..3).map(|i| run_shard(text, (i, 3))).collect();
    let sum = parts.iter().fold(0u128, |a, p| a.wrapping_add(p.hash.0));
    assert_eq!(whole.hash.0, sum);
    assert_eq!(whole.rows.len(), parts.iter().map(|p| p.rows.len()).sum::<usize>());
    assert_eq!(run(text).hash, whole.hash, "and again the same");
}

/// A fan whose rotor is out of balance by 50 g·mm, in a housing of 0.2 kg on soft feet, and an IMU on it.
fn ventilator(level: f64) -> Ran {
    run(&format!(
        r#"Scenario(format: 1, seed: 2, duration: "8s", step: "1s",
        world: (zones: [(id: "room")], scene: (substep: "1ms", bodies: [
            (id: "housing", kind: Dynamic, shape: Cylinder(radius_m: 0.04, length_m: 0.02), mass_kg: 0.2,
                suspension: (stiffness_n_m: 3e3, damping_n_s_m: 10))],
            rotors: [(id: "shaft", body: "housing", axis: (0, 1, 0), unbalance_g_mm: 50,
                drive: (follows: (actuator: "ventilator/fan", rpm: 5000)))])),
        things: [(name: "ventilator", source: "test", board: "esp32-devkit", parts: [
            (id: "imu", model: "mpu6050", on: I2c(0x68)), (id: "fan", model: "fan-nf-a4x10", on: Pin("GPIO16")),
            (id: "tacho", model: "fan-tacho", on: Pin("GPIO17"), of: "fan")],
            firmware: (period: "4ms"))],
        fleet: [(id: "ventilator", thing: "ventilator", in: ["room"], mounts: [(part: "imu", body: "housing")])],
        timeline: [(at: 0, do: Command(target: "ventilator/fan", level: {level:?}))])"#
    ))
}

#[test]
fn an_imu_on_a_fan_feels_the_speed_that_its_actuators_level_gives() {
    for (level, hz) in [(0.3, 25.0), (0.6, 50.0), (0.9, 75.0)] {
        let ran = ventilator(level);
        let shaft = ran.at("shaft/shaft.rate@truth", 8.0);
        assert!((shaft / std::f64::consts::TAU - hz).abs() < 0.01 * hz, "{shaft} rad/s at level {level}");
        // The last two seconds, when the fan has run up: 500 readings, a line every half hertz.
        let felt: Vec<(f64, f64)> =
            ran.series("ventilator/imu.accel_z@reading").into_iter().filter(|(t, _)| *t >= 6.0).collect();
        assert!(felt.len() >= 499, "{} readings", felt.len());
        let mean = felt.iter().map(|f| f.1).sum::<f64>() / felt.len() as f64;
        let tone = |hz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (t, x) in &felt {
                let (sin, cos) = (std::f64::consts::TAU * hz * t).sin_cos();
                (re, im) = (re + (x - mean) * cos, im + (x - mean) * sin);
            }
            re.hypot(im)
        };
        let lines: Vec<f64> = (2..240).map(|k| f64::from(k) / 2.0).collect();
        let peak = lines.into_iter().max_by(|a, b| tone(*a).total_cmp(&tone(*b))).unwrap();
        assert!((peak - hz).abs() <= 0.5, "the spectrum peaks at {peak} Hz, the shaft turns at {hz}");
        let tacho = ran.at("ventilator/tacho.rotation@reading", 8.0);
        assert!((tacho - 60.0 * hz).abs() < 0.05 * 60.0 * hz, "the tachometer says {tacho} rpm");
    }
}
