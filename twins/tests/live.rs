//! Register-level parts of devices in a run, read by published drivers while the world goes on.

use bme280::i2c::BME280;
use one_wire_bus::OneWire;
use std::{path::PathBuf, sync::Arc};
use twinfleet_engine::{
    actuate,
    catalog::Catalog,
    environment,
    plan::Plan,
    run::Run,
    scenario::{self, check, files::Files, source::Source},
    sense,
    world::{Rows, StateHash, Truth, Watch},
};
use twinfleet_twins::{
    catalog,
    parts::{
        clock::Clock,
        eh02::V02,
        i2c::I2cBus,
        line::Wires,
        live::{self, Live, LiveError},
    },
};

/// A greenhouse in May from dawn to noon, and a node in it.
fn scenario(timeline: &str) -> String {
    format!(
        r#"Scenario(format: 1, seed: 8, duration: "6h", step: "10s", start: "2026-05-20T04:00:00Z",
        world: (weather: (latitude_deg: 52.0, mean_c: 14.0, swing_c: 6.0, dew_point_c: 8.0, cloud: 0.3),
            zones: [(id: "house", temperature_c: 14.0, humidity_percent: 80.0, heat_capacity_j_k: 1.1e6, outside_w_k: 720.0,
                solar_m2: 68.0, volume_m3: 300.0, air_changes_per_h: 1.0, light_transmission: 0.7)]),
        things: [(name: "node", source: "test", board: "esp32-devkit", parts: [
            (id: "climate", model: "bme280", on: I2c(0x76)), (id: "light", model: "bh1750", on: I2c(0x23)),
            (id: "probe", model: "ds18b20", on: Pin("GPIO4"), pull_up: true), (id: "tmp36", model: "tmp36", on: Pin("GPIO34"))],
            firmware: (period: "10s"))],
        fleet: [(id: "node-{{}}", count: 2, thing: "node", in: ["house"])], timeline: [{timeline}])"#
    )
}

fn plan(timeline: &str, catalog: Catalog) -> Plan {
    let source = Source::embedded("test", &scenario(timeline));
    let scenario = scenario::read(&source).unwrap();
    let report = check::check(&scenario, &catalog, &source, &Files::at("."));
    assert_eq!(report.errors(), 0, "{:?}", report.items());
    Plan::new(Arc::new(scenario), Arc::new(catalog), PathBuf::new(), 8, (0, 1)).unwrap()
}

fn start(plan: &Plan) -> (Run, Live) {
    let mut run = Run::new(plan, 1, Watch(vec![true; plan.signals.len()])).unwrap();
    let (world, schedule) = run.parts();
    environment::install(world, schedule, plan);
    actuate::install(world, schedule, plan);
    sense::install(world, schedule, plan);
    let live = live::install(world, schedule, plan);
    (run, live)
}

/// What a driver read, and what the world and the node's own firmware had in the same tick.
struct Reading {
    c: f64,
    pct: f64,
    hpa: f64,
    lx: f64,
    probe_c: f64,
    truth: [f64; 4],
    own: [Option<f64>; 4],
}

const TRUTHS: [&str; 4] = ["temperature", "humidity", "pressure", "illuminance"];

/// Runs the plan, and lets published drivers read node-0 every five minutes.
fn driven(plan: &Plan) -> (Vec<Reading>, StateHash) {
    let (mut run, live) = start(plan);
    let mut clock = Clock::new();
    let mut bus = live.i2c("node-0", clock.clone(), 400_000).unwrap();
    let wires = Wires::new(live.line("node-0", "probe").unwrap(), clock.clone(), 200);
    let signals = TRUTHS.map(|q| {
        let part = if q == "illuminance" { "light" } else { "climate" };
        plan.signals.find(&format!("node-0/{part}.{q}@reading")).unwrap()
    });
    let mut readings = Vec::new();
    while !run.is_over() {
        let (now, k) = (run.now(), readings.len() as i64);
        run.tick(Vec::new());
        if now.0 != k * 300_000_000_000 {
            continue;
        }
        clock.advance_to_ns(now.0 as u64 + 5_000_000);
        let world = run.world();
        let truth = world.resource::<Truth>();
        let truth = TRUTHS.map(|q| truth.get(truth.find(&format!("zone/house/{q}")).unwrap()));
        let rows = &world.resource::<Rows>().0;
        let own = signals.map(|s| rows.iter().find(|r| r.signal == s).map(|r| r.value));
        let mut driver = BME280::new(&mut bus, 0x76);
        driver.init(&mut clock).unwrap();
        let m = driver.measure(&mut clock).unwrap();
        let lx = light(&mut bus, &mut clock);
        let mut wire = OneWire::new(V02(wires.pin(0))).unwrap();
        let address = wire.devices(false, &mut V02(clock.clone())).next().unwrap().unwrap();
        let part = ds18b20::Ds18b20::new::<std::convert::Infallible>(address).unwrap();
        part.start_temp_measurement(&mut wire, &mut V02(clock.clone())).unwrap();
        ds18b20::Resolution::Bits12.delay_for_measurement_time(&mut V02(clock.clone()));
        let probe = part.read_data(&mut wire, &mut V02(clock.clone())).unwrap();
        readings.push(Reading {
            c: f64::from(m.temperature),
            pct: f64::from(m.humidity),
            hpa: f64::from(m.pressure) / 100.0,
            lx,
            probe_c: f64::from(probe.temperature),
            truth,
            own,
        });
    }
    (readings, run.state_hash())
}

fn light(bus: &mut I2cBus, clock: &mut Clock) -> f64 {
    let mut driver = bh1750::BH1750::new(bus, clock.clone(), false);
    f64::from(driver.get_one_time_measurement(bh1750::Resolution::High).unwrap())
}

/// The catalog with parts that are ideal but for their registers.
fn ideal() -> Catalog {
    let mut all = catalog::builtin().unwrap();
    for sensor in all.sensors.values_mut() {
        for c in &mut sensor.channels {
            (c.noise_std, c.bias_std, c.gain_std, c.tau_s) = (0.0, 0.0, 0.0, 0.0);
            (c.wander_std, c.drift_per_year, c.hysteresis, c.self_heating) = (0.0, 0.0, 0.0, 0.0);
            c.cross.clear();
        }
    }
    all
}

#[test]
fn drivers_read_the_runs_truth_to_the_parts_quantum() {
    let (readings, _) = driven(&plan("", ideal()));
    assert_eq!(readings.len(), 72);
    let spread = |of: fn(&Reading) -> f64| {
        let all = readings.iter().map(of);
        all.clone().fold(f64::MIN, f64::max) - all.fold(f64::MAX, f64::min)
    };
    assert!(spread(|r| r.truth[0]) > 3.0 && spread(|r| r.truth[3]) > 10_000.0, "the world goes on");
    for r in &readings {
        let [c, pct, hpa, lx] = r.truth;
        // The driver's own configuration: 20 bits of temperature and pressure behind its filter, 16 of humidity. It prints f32.
        assert!((r.c - c).abs() < 0.01, "{} °C, truth {c}", r.c);
        assert!((r.pct - pct).abs() < 0.02, "{} %, truth {pct}", r.pct);
        assert!((r.hpa - hpa).abs() < 0.01, "{} hPa, truth {hpa}", r.hpa);
        assert!((r.lx - lx.min(54_612.5)).abs() < 0.9, "{} lx, truth {lx}", r.lx);
        assert!((r.probe_c - c).abs() <= 0.0313, "{} °C at the probe, truth {c}", r.probe_c);
    }
}

#[test]
fn a_driver_meets_the_same_unit_as_the_firmware() {
    let all = catalog::builtin().unwrap();
    let (readings, _) = driven(&plan("", all.clone()));
    // Wander and noise apart, both see one unit: its bias cancels out, where that of the other node's would not.
    let mean = |of: &dyn Fn(&Reading) -> Option<f64>| {
        let all: Vec<f64> = readings.iter().filter_map(of).collect();
        assert!(all.len() > 60);
        all.iter().sum::<f64>() / all.len() as f64
    };
    let apart = mean(&|r| Some(r.pct - r.own[1]?));
    let off = mean(&|r| Some(r.pct - r.truth[1]));
    let humidity = &all.sensors["bme280"].channels[1];
    assert!(apart.abs() < 0.15 * humidity.bias_std, "{apart} % between driver and firmware");
    assert!(off.abs() > 2.0 * apart.abs(), "the unit is off by {off} %");
    for r in &readings {
        let noise = humidity.noise_std.hypot(humidity.wander_std);
        let Some(own) = r.own[1] else { continue };
        assert!((r.pct - own).abs() < 8.0 * noise + humidity.hysteresis, "{} % and {own} %", r.pct);
    }
}

#[test]
fn asking_changes_nothing_of_the_run() {
    let plan = plan("", catalog::builtin().unwrap());
    let (mut run, live) = start(&plan);
    assert!(matches!(live.stimulus("node-7", "climate"), Err(LiveError::Missing { .. })));
    assert!(matches!(live.line("node-0", "climate"), Err(LiveError::NoMap { .. })));
    while !run.is_over() {
        run.tick(Vec::new());
    }
    assert_eq!(run.state_hash(), driven(&plan).1);
}

#[test]
fn faults_reach_the_driver() {
    let plan = plan(
        r#"(at: "1h", until: "2h", do: Fault(target: "node-0/light.illuminance", kind: BusLockUp)),
        (at: "3h", until: "4h", do: Fault(target: "node-0/climate.temperature", kind: Bias(by: 10.0)))"#,
        ideal(),
    );
    let (mut run, live) = start(&plan);
    let mut clock = Clock::new();
    let mut bus = live.i2c("node-0", clock.clone(), 400_000).unwrap();
    let (mut lost, mut warm) = (Vec::new(), Vec::new());
    while !run.is_over() {
        let now = run.now();
        run.tick(Vec::new());
        if now.0 % 600_000_000_000 != 0 {
            continue;
        }
        clock.advance_to_ns(now.0 as u64 + 5_000_000);
        let truth = run.world().resource::<Truth>();
        let truth_c = truth.get(truth.find("zone/house/temperature").unwrap());
        let mut driver = BME280::new(&mut bus, 0x76);
        let minutes = now.as_secs_f64() / 60.0;
        match driver.init(&mut clock).and_then(|()| driver.measure(&mut clock)) {
            Err(_) => lost.push(minutes),
            Ok(m) if f64::from(m.temperature) - truth_c > 9.9 => warm.push(minutes),
            Ok(m) => assert!((f64::from(m.temperature) - truth_c).abs() < 0.01, "at {minutes} min"),
        }
    }
    assert_eq!(lost, [60.0, 70.0, 80.0, 90.0, 100.0, 110.0], "nobody answers while the bus hangs");
    assert_eq!(warm, [180.0, 190.0, 200.0, 210.0, 220.0, 230.0]);
}
