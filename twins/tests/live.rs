//! Register-level parts of devices in a run, read by published drivers while the world goes on.

use bme280::i2c::BME280;
use embedded_hal::{delay::DelayNs, i2c::I2c};
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
    time::Span,
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

/// A plan of one device on a board, its parts and what it is told, and the readings of a register map of it at its instants.
fn bench(parts: &str, truths: &str, more: &str) -> (Run, Live) {
    bench_of(catalog::builtin().unwrap(), parts, truths, more)
}

/// The same with parts of this catalog.
fn bench_of(all: Catalog, parts: &str, truths: &str, more: &str) -> (Run, Live) {
    let text = format!(
        r#"Scenario(format: 1, seed: 8, duration: "6h", step: "10s", start: "2026-05-20T04:00:00Z",
        world: (zones: [(id: "room", temperature_c: 20.0, humidity_percent: 50.0)]),
        things: [(name: "node", source: "test", board: "esp32-devkit", parts: [{parts}], firmware: (period: "10s"))],
        fleet: [(id: "n", thing: "node", in: ["room"], truths: {{{truths}}})], {more})"#
    );
    let source = Source::embedded("test", &text);
    let scenario = scenario::read(&source).unwrap();
    let report = check::check(&scenario, &all, &source, &Files::at("."));
    assert_eq!(report.errors(), 0, "{:?}", report.items());
    let plan = Plan::new(Arc::new(scenario), Arc::new(all), PathBuf::new(), 8, (0, 1)).unwrap();
    start(&plan)
}

/// A register of two bytes, so many times, after so many milliseconds each.
fn words(bus: &mut I2cBus, clock: &mut Clock, (address, register): (u8, u8), n: usize, ms: u32) -> Vec<f64> {
    let mut all = Vec::new();
    for _ in 0..n {
        clock.delay_ms(ms);
        let mut two = [0; 2];
        bus.write_read(address, &[register], &mut two).unwrap();
        all.push(f64::from(i16::from_be_bytes(two)));
    }
    all
}

fn std(all: &[f64]) -> f64 {
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    (all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt()
}

/// PS-MPU-6000A-00 6.1 and 6.2: 400 ug and 0.005 deg/s by root of hertz, through the bands of register 26.
#[test]
fn the_filter_of_an_mpu6050_narrows_its_noise_and_keeps_its_density() {
    let (mut run, live) =
        bench(r#"(id: "m", model: "mpu6050", on: I2c(0x68))"#, r#""m.accel_z": 9.80665"#, "");
    let mut clock = Clock::new();
    let mut bus = live.i2c("n", clock.clone(), 400_000).unwrap();
    run.tick(Vec::new());
    clock.delay_ms(30);
    bus.write(0x68, &[0x6B, 0]).unwrap();
    for (code, accel_hz, gyro_hz) in [(0, 260.0, 256.0), (3, 44.0, 42.0), (6, 5.0, 5.0)] {
        bus.write(0x68, &[0x1A, code]).unwrap();
        clock.delay_ms(500);
        // Far apart against the slowest band: each reading is new.
        for (register, per_unit, density, hz) in
            [(0x3F, 16384.0, 400e-6, accel_hz), (0x47, 131.0, 0.005, gyro_hz)]
        {
            // Neighbours' differences are free of what wanders over minutes.
            let all = words(&mut bus, &mut clock, (0x68, register), 1500, 250);
            let apart: Vec<f64> = all.windows(2).map(|w| (w[1] - w[0]) / 2f64.sqrt()).collect();
            let found = std(&apart) / per_unit;
            let want = density * f64::sqrt(hz);
            let want = want.hypot(1.0 / per_unit / 12f64.sqrt());
            assert!((found / want - 1.0).abs() < 0.08, "DLPF {code}: {found}, not {want}");
        }
    }
    // At 5 Hz, means over 2 s know what white noise of that density lets them: N / sqrt(2 T), one-sided.
    let many = words(&mut bus, &mut clock, (0x68, 0x3F), 40_000, 10);
    let means: Vec<f64> = many.chunks(200).map(|c| c.iter().sum::<f64>() / 200.0 / 16384.0).collect();
    let apart: Vec<f64> = means.windows(2).map(|w| (w[1] - w[0]) / 2f64.sqrt()).collect();
    let want = 400e-6 / (2.0 * 2.0 * 1.0f64).sqrt();
    let found = std(&apart);
    assert!((found / want - 1.0).abs() < 0.2, "{found} over 2 s, not {want}");
}

/// BST-BME280 3.5/3.6, SHT3x tables 1 and 2, SBAS444D table 1.
#[test]
fn a_mode_of_a_part_has_the_noise_that_its_datasheet_gives_it() {
    let parts = r#"(id: "b", model: "bme280", on: I2c(0x76)), (id: "s", model: "sht31", on: I2c(0x44)),
        (id: "a", model: "ads1115", on: I2c(0x48))"#;
    let (mut run, live) = bench(parts, r#""a.voltage_0": 0.1"#, "");
    let mut clock = Clock::new();
    let mut bus = live.i2c("n", clock.clone(), 400_000).unwrap();
    run.tick(Vec::new());
    clock.delay_ms(30);
    let mut sht = |low: u8| {
        let mut all = Vec::new();
        for _ in 0..2000 {
            bus.write(0x44, &[0x24, low]).unwrap();
            clock.delay_ms(20);
            let mut six = [0; 6];
            bus.read(0x44, &mut six).unwrap();
            all.push(175.0 * f64::from(u16::from_be_bytes([six[0], six[1]])) / 65535.0);
        }
        std(&all)
    };
    for (low, three_sigma) in [(0x00, 0.04), (0x0B, 0.08), (0x16, 0.15)] {
        let found = 3.0 * sht(low);
        assert!((found / three_sigma - 1.0).abs() < 0.08, "SHT31: {found} K, not {three_sigma}");
    }
    let mut ads = |gain: u8, rate: u8| {
        bus.write(0x48, &[1, 0xC1 | gain << 1, rate << 5 | 3]).unwrap();
        let mut all = Vec::new();
        for _ in 0..2000 {
            bus.write(0x48, &[1, 0xC1 | gain << 1, rate << 5 | 3]).unwrap();
            all.extend(words(&mut bus, &mut clock, (0x48, 0), 1, 130));
        }
        std(&all)
    };
    // Counts of 7.8125 µV: ±0.256 V at 860 and 475 a second, 35.83 and 25.95 µV peak to peak.
    for (rate, peak_uv, slack) in [(7, 35.83, 0.1), (6, 25.95, 0.12)] {
        let (found, want) = (ads(5, rate), peak_uv / 6.6 / 7.8125f64);
        let found = (found * found - 1.0 / 12.0).max(0.0).sqrt();
        assert!((found / want - 1.0).abs() < slack, "ADS1115: {found} counts, not {want}");
    }
    let mut bme = |samples: u8| {
        let mut all = Vec::new();
        for _ in 0..800 {
            bus.write(0x76, &[0xF4, 1 << 5 | samples << 2 | 1]).unwrap();
            clock.delay_ms(60);
            let mut three = [0; 3];
            bus.write_read(0x76, &[0xF7], &mut three).unwrap();
            all.push(f64::from(u32::from_be_bytes([0, three[0], three[1], three[2]]) >> 4));
        }
        std(&all)
    };
    let (one, sixteen) = (bme(1), bme(5));
    // 3.3 and 1.3 Pa; temperature's own 0.005 K and ×1's step of 16 bits are in both.
    assert!((1.8..3.2).contains(&(one / sixteen)), "BME280: {one} and {sixteen} steps");
}

/// What a script finds goes by the same ends, supplies and exchanges as what the firmware finds.
#[test]
fn an_input_ends_at_its_supply_and_a_supply_is_found_by_registers() {
    let parts = r#"(id: "a", model: "ads1115", on: I2c(0x48)), (id: "i", model: "ina219", on: I2c(0x40))"#;
    let (mut run, live) = bench(parts, r#""a.voltage_0": 5.0, "a.voltage_1": 2.0"#, "");
    let mut clock = Clock::new();
    let mut bus = live.i2c("n", clock.clone(), 400_000).unwrap();
    run.tick(Vec::new());
    clock.delay_ms(30);
    let mut volts = |input: u8| {
        // ±6.144 V.
        bus.write(0x48, &[1, 0x81 | (4 + input) << 4, 0xE3]).unwrap();
        words(&mut bus, &mut clock, (0x48, 0), 1, 5)[0] * 6.144 / 32768.0
    };
    assert!((volts(0) - 3.6).abs() < 0.001, "0.3 V above its supply of 3.3: {}", volts(0));
    assert!((volts(1) - 2.0).abs() < 0.01, "{}", volts(1));
    let own = words(&mut bus, &mut clock, (0x40, 2), 1, 5)[0] as i64 >> 3;
    let shunt = words(&mut bus, &mut clock, (0x40, 1), 1, 5)[0];
    assert!((own as f64 * 0.004 - 5.0).abs() < 0.1, "its board is fed with 5 V: {own}");
    assert!(shunt * 0.1 > 20.0, "and takes its current: {shunt}");
}

#[test]
fn exchanged_sensors_are_exchanged_for_a_driver() {
    let parts = r#"(id: "one", model: "sht31", on: I2c(0x44)), (id: "two", model: "sht31", on: I2c(0x45))"#;
    let swap = r#"timeline: [(at: "1h", until: "2h", do: Swap(target: "n/one.temperature", with: "two.temperature"))]"#;
    let (mut run, live) = bench(parts, r#""one.temperature": 5.0, "two.temperature": 35.0"#, swap);
    let mut clock = Clock::new();
    let mut bus = live.i2c("n", clock.clone(), 400_000).unwrap();
    let mut exchanged = Vec::new();
    while !run.is_over() {
        let now = run.now();
        run.tick(Vec::new());
        if now.0 % 1_200_000_000_000 != 0 {
            continue;
        }
        clock.advance_to_ns(now.0 as u64 + 5_000_000);
        let mut read = |address: u8| {
            bus.write(address, &[0x24, 0x00]).unwrap();
            clock.delay_ms(20);
            let mut six = [0; 6];
            bus.read(address, &mut six).unwrap();
            175.0 * f64::from(u16::from_be_bytes([six[0], six[1]])) / 65535.0 - 45.0
        };
        let (one, two) = (read(0x44), read(0x45));
        assert!((one - two).abs() > 20.0, "{one} and {two}");
        if one > two {
            exchanged.push(now.as_secs_f64() / 60.0);
        }
    }
    assert_eq!(exchanged, [60.0, 80.0, 100.0]);
}

#[test]
fn both_chips_of_a_package_are_found_and_see_the_runs_truth() {
    let imu = r#"(id: "m", model: "lsm9ds1", on: I2c(0x6B))"#;
    let (mut run, live) =
        bench(imu, r#""m.accel_z": 100.0, "m.magnetic_x": 390.0, "m.magnetic_y": -390.0"#, "");
    let mut clock = Clock::new();
    let mut bus = live.i2c("n", clock.clone(), 400_000).unwrap();
    run.tick(Vec::new());
    let one = |bus: &mut I2cBus, address: u8, register: u8| {
        let mut byte = [0];
        bus.write_read(address, &[register], &mut byte).map(|()| byte[0])
    };
    assert_eq!((one(&mut bus, 0x6B, 0x0F), one(&mut bus, 0x1E, 0x0F)), (Ok(0x68), Ok(0x3D)));
    // ±16 g at 119 Hz; ±16 gauss at 10 Hz.
    bus.write(0x6B, &[0x20, 0x68]).unwrap();
    bus.write(0x1E, &[0x21, 0x60]).unwrap();
    bus.write(0x1E, &[0x22, 0]).unwrap();
    clock.delay_ms(110);
    let mut words = |address: u8, register: u8| {
        let mut six = [0; 6];
        bus.write_read(address, &[register], &mut six).unwrap();
        [0, 2, 4].map(|k| f64::from(i16::from_le_bytes([six[k], six[k + 1]])))
    };
    let [.., z] = words(0x6B, 0x28).map(|counts| counts * 0.732e-3 * 9.80665);
    let [x, y, _] = words(0x1E, 0xA8).map(|counts| counts * 0.058);
    // A unit's own offsets: 0.88 m/s² and 100 µT, one standard deviation.
    assert!((z - 100.0).abs() < 5.0, "{z}");
    assert!((300.0..1260.0).contains(&(x - y)), "{x} and {y}");
}

/// `warm_up` of a file goes for what a script finds as for what firmware reads: of a receiver, its first fix.
#[test]
fn a_part_warms_up_for_a_driver_too() {
    let mut all = catalog::builtin().unwrap();
    for model in ["neo-6m", "tmp36"] {
        all.sensors.get_mut(model).unwrap().warm_up = Span::from_secs(10);
    }
    let parts = r#"(id: "gps", model: "neo-6m", on: Pins(["GPIO17", "GPIO16"])), (id: "t", model: "tmp36", on: Pin("GPIO34"))"#;
    let (mut run, live) = bench_of(all, parts, r#""gps.latitude": 48.1, "gps.longitude": 11.6"#, "");
    let mut gps = live.serial("n", "gps").unwrap();
    let mut warm = live.stimulus("n", "t").unwrap();
    run.tick(Vec::new());
    // What the last recommended minimum says of its position: V without, A with one.
    let mut fixed = |at_s: f64| {
        let at_ns = (at_s * 1e9) as u64;
        let bytes: Vec<u8> = std::iter::from_fn(|| gps.send(at_ns)).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let last = text.lines().rfind(|l| l.starts_with("$GPRMC") && l.contains('*')).unwrap().to_owned();
        last.split(',').nth(2).unwrap().to_owned()
    };
    assert_eq!([fixed(9.9), fixed(12.9)], ["V", "A"]);
    assert!(warm.read("temperature", 9_000_000_000).unwrap().is_nan());
    assert!((warm.read("temperature", 11_000_000_000).unwrap() - 20.0).abs() < 5.0);
}

/// What was measured while nobody could be told of it is the world's, not zeros with a right checksum.
#[test]
fn a_part_measures_on_while_a_fault_has_its_readings_lost() {
    let fault = r#"timeline: [(at: "100s", until: "200s", do: Fault(target: "n/s.co2", kind: Dropout))]"#;
    let (mut run, live) = bench(r#"(id: "s", model: "scd41", on: I2c(0x62))"#, r#""s.co2": 800.0"#, fault);
    let mut clock = Clock::new();
    let mut bus = live.i2c("n", clock.clone(), 100_000).unwrap();
    run.tick(Vec::new());
    clock.advance_to_ns(3_000_000_000);
    // A series: results at 8 s, 13 s … 198 s, 203 s.
    bus.write(0x62, &[0x21, 0xB1]).unwrap();
    let mut heard = Vec::new();
    for at_s in [99_u64, 150, 201] {
        while run.now().as_secs_f64() <= at_s as f64 {
            run.tick(Vec::new());
        }
        clock.advance_to_ns(at_s * 1_000_000_000);
        let asked = bus.write(0x62, &[0xEC, 0x05]);
        clock.delay_ms(2);
        let mut nine = [0; 9];
        let read = asked.and_then(|()| bus.read(0x62, &mut nine));
        heard.push(read.map(|()| u16::from_be_bytes([nine[0], nine[1]])).ok());
    }
    assert!(matches!(heard[..], [Some(_), None, Some(ppm)] if (650..950).contains(&ppm)), "{heard:?}");
}

/// There the fault's label ends, too.
#[test]
fn a_hanging_bus_is_free_once_its_board_was_reset() {
    let hang =
        r#"timeline: [(at: "100s", until: "300s", do: Fault(target: "n/s.temperature", kind: BusLockUp))]"#;
    let (mut run, live) = bench(r#"(id: "s", model: "sht31", on: I2c(0x44))"#, "", hang);
    let sees = live.stimulus("n", "s").unwrap();
    run.tick(Vec::new());
    let answers = |at_s: u64| sees.answers(at_s * 1_000_000_000);
    live.board_reset("n", 50_000_000_000);
    assert_eq!(
        [answers(90), answers(150), answers(250)],
        [true, false, false],
        "a reset before it ends nothing"
    );
    live.board_reset("another", 200_000_000_000);
    assert!(!answers(250));
    live.board_reset("n", 200_000_000_000);
    assert_eq!([answers(150), answers(250), answers(350)], [false, true, true]);
}
