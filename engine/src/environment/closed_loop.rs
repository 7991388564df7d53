//! Tests of the whole of Environment, actuators and control on the shipped greenhouse, with its 200 nodes, its links and
//! its faults; messages go straight from the outbox to the next tick's inbox.

use crate::{
    actuate,
    catalog::{ActuatorDef, Catalog, SensorDef, ThingDef},
    environment,
    expect::{Evaluator, Status},
    firmware::control,
    message::Message,
    plan::Plan,
    run,
    scenario::Scenario,
    sense,
    time::{SimTime, Span},
    world::{Clock, Counters, Event, Events, Row, Rows, StateHash, Watch},
};
use std::{path::Path, sync::Arc};

/// Sensors with figures of their order; the catalog's own are the business of the system tests.
const SENSORS: [&str; 3] = [
    r#"(format: 1, name: "bme280", source: "test", bus: I2c([0x76]), active_ma: 0.7, channels: [
        (quantity: "temperature", unit: "degC", range: (-40.0, 85.0), lsb: 0.01, noise_std: 0.005, bias_std: 0.25),
        (quantity: "humidity", unit: "percent", range: (0.0, 100.0), lsb: 0.008, noise_std: 0.07, bias_std: 1.5),
        (quantity: "pressure", unit: "hPa", range: (300.0, 1100.0), lsb: 0.002, noise_std: 0.03, bias_std: 0.3)])"#,
    r#"(format: 1, name: "bh1750", source: "test", bus: I2c([0x23]), active_ma: 0.12, channels: [
        (quantity: "illuminance", unit: "lx", range: (0.0, 54612.5), lsb: 0.8, gain_std: 0.1)])"#,
    r#"(format: 1, name: "soil-capacitive", source: "test", bus: Analog, active_ma: 5.0, channels: [
        (quantity: "soil_moisture", unit: "percent", range: (0.0, 100.0), lsb: 0.1, noise_std: 0.3, bias_std: 3.0)])"#,
];

fn ron() -> ron::Options {
    ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME)
}

fn read<T: serde::de::DeserializeOwned>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    ron().from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The greenhouse, with `edit` applied, as shard `i` of `n`.
fn plan(edit: impl Fn(&mut Scenario), shard: (u32, u32)) -> Plan {
    let mut scenario: Scenario = read("scenarios/greenhouse.ron");
    edit(&mut scenario);
    let mut catalog = Catalog::default();
    for name in ["heater", "vent"] {
        let def: ActuatorDef = read(&format!("twins/catalog/actuators/{name}.ron"));
        catalog.actuators.insert(def.name.clone(), def);
    }
    for name in ["esp32-weather-node", "esp32-climate-actuator", "greenhouse-controller"] {
        let def: ThingDef = read(&format!("twins/catalog/things/{name}.ron"));
        catalog.things.insert(def.name.clone(), def);
    }
    for text in SENSORS {
        let def: SensorDef = ron().from_str(text).unwrap();
        catalog.sensors.insert(def.name.clone(), def);
    }
    let seed = scenario.seed;
    Plan::new(Arc::new(scenario), Arc::new(catalog), Default::default(), seed, shard).unwrap()
}

struct Run {
    run: run::Run,
    plan: Plan,
    arrived: Vec<Message>,
    rows: Vec<Row>,
    events: Vec<Event>,
    expectations: Evaluator,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let watch = Watch(vec![true; plan.signals.len()]);
        Self::watching(plan, watch)
    }

    fn watching(plan: Plan, watch: Watch) -> Self {
        let mut run = run::Run::new(&plan, 1, watch).unwrap();
        let (world, schedule) = run.parts();
        environment::install(world, schedule, &plan);
        actuate::install(world, schedule, &plan);
        control::install(world, schedule, &plan);
        sense::install(world, schedule, &plan);
        // 2026-05-20T00:00:00Z, the scenario's start.
        run.world_mut().resource_mut::<Clock>().epoch_unix_ms = 1_779_235_200_000;
        let expectations = Evaluator::new(&plan.scenario.expect, &plan.signals);
        Self { run, plan, arrived: Vec::new(), rows: Vec::new(), events: Vec::new(), expectations }
    }

    fn until(&mut self, end: Span) {
        while self.run.now() < SimTime::ZERO + end {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.arrived = self.run.tick(std::mem::take(&mut self.arrived));
        let world = self.run.world_mut();
        let mut rows = std::mem::take(&mut world.resource_mut::<Rows>().0);
        let mut events = std::mem::take(&mut world.resource_mut::<Events>().0);
        self.expectations.observe(&rows, &events);
        self.rows.append(&mut rows);
        self.events.append(&mut events);
    }

    fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let id = self.plan.signals.find(name).unwrap();
        self.rows.iter().filter(|r| r.signal == id).map(|r| (r.t.as_secs_f64() / 3600.0, r.value)).collect()
    }

    fn hash(&mut self) -> StateHash {
        self.run.state_hash()
    }
}

fn within(series: &[(f64, f64)], from_h: f64, to_h: f64) -> (f64, f64) {
    series
        .iter()
        .filter(|(h, _)| (from_h..to_h).contains(h))
        .fold((f64::MAX, f64::MIN), |(low, high), (_, x)| (low.min(*x), high.max(*x)))
}

#[test]
fn the_greenhouse_is_kept_in_its_band() {
    let mut run = Run::new(plan(|_| {}, (0, 1)));
    run.until(Span::from_secs(86_400));
    let outside = run.series("outside/air.temperature@truth");
    for zone in 1..=4 {
        let t = run.series(&format!("z{zone}/air.temperature@truth"));
        let vent = run.series(&format!("actuator-{}/vent.level@truth", zone - 1));
        let heater = run.series(&format!("actuator-{}/heater.level@truth", zone - 1));
        if std::env::var_os("SHOW").is_some() {
            let rh = run.series(&format!("z{zone}/air.humidity@truth"));
            let soil = run.series(&format!("z{zone}/air.soil_moisture@truth"));
            let ghi = run.series("outside/air.irradiance@truth");
            for k in (0..8640).step_by(180) {
                println!(
                    "z{zone} {:5.1} h out {:5.1} ghi {:5.0} in {:5.1} rh {:3.0} heater {:.2} vent {:.2} soil {:.2}",
                    t[k].0, outside[k].1, ghi[k].1, t[k].1, rh[k].1, heater[k].1, vent[k].1, soil[k].1
                );
            }
        }
        assert_eq!(t.len(), 8640);
        let held = t.iter().filter(|(_, t)| (14.0..=28.0).contains(t)).count() as f64 / 8640.0;
        assert!(held > 0.95, "z{zone} is in its band for {held} of the day");
        assert!(within(&vent, 10.0, 15.0).1 > 0.5, "the vent of z{zone} opens at noon");
        assert_eq!(within(&vent, 0.0, 4.0).1, 0.0, "and is shut at night");
        assert!(within(&heater, 0.0, 6.0).1 > 0.9, "the heater of z{zone} works at night");
        assert!(within(&heater, 11.0, 15.0).1 < 1e-9, "and rests at noon");
    }
    let door = run.series("z3/air.temperature@truth");
    assert!(within(&door, 2.1, 2.5).0 < 12.0, "the door is felt: {:?}", within(&door, 2.1, 2.5));
    let after = within(&door, 2.85, 4.85);
    assert!(after.0 > 13.5 && after.1 < 18.5, "and made up for: {after:?}");
    let hand = run.series("actuator-1/vent.level@truth");
    assert!((within(&hand, 19.25, 19.3).1 - 0.5).abs() < 0.01);
    let outcomes = run.expectations.finish(run.run.end());
    assert!(outcomes.len() >= 10);
    for outcome in outcomes {
        println!("{}", outcome.sentence);
        assert_eq!(outcome.status, Status::Held, "{}", outcome.sentence);
    }
    let kinds: Vec<_> = run.events.iter().map(|e| e.kind.as_str()).collect();
    assert_eq!(kinds.iter().filter(|k| k.starts_with("disturb")).count(), 2);
}

/// Without its loops the same house leaves the band: the test above could fail.
#[test]
fn without_control_it_is_not() {
    let mut run = Run::new(plan(|s| s.fleet.truncate(2), (0, 1)));
    run.until(Span::from_secs(16 * 3600));
    let t = run.series("z1/air.temperature@truth");
    assert!(within(&t, 0.0, 16.0).0 < 11.0 && within(&t, 0.0, 16.0).1 > 31.0, "{:?}", within(&t, 0.0, 16.0));
}

#[test]
fn two_shards_are_the_whole() {
    let hours = Span::from_secs(9 * 3600);
    let mut runs: Vec<_> = [(0, 1), (0, 2), (1, 2)].map(|shard| Run::new(plan(|_| {}, shard))).into();
    runs.iter_mut().for_each(|r| r.until(hours));
    let hashes: Vec<_> = runs.iter_mut().map(Run::hash).collect();
    assert_eq!(hashes[0].0, hashes[1].0.wrapping_add(hashes[2].0));
    assert_ne!(hashes[1], hashes[2]);
    let key = |r: &Row| (r.t, r.signal, r.value.to_bits());
    let mut whole: Vec<_> = runs[0].rows.iter().map(key).collect();
    let mut parts: Vec<_> = runs[1].rows.iter().chain(&runs[2].rows).map(key).collect();
    whole.sort_unstable();
    parts.sort_unstable();
    assert!(whole == parts, "{} rows against {}", whole.len(), parts.len());
}

#[test]
fn watching_changes_nothing() {
    let mut seen = Run::new(plan(|_| {}, (0, 1)));
    let mut unseen = Run::watching(plan(|_| {}, (0, 1)), Watch::default());
    for run in [&mut seen, &mut unseen] {
        run.until(Span::from_secs(7 * 3600));
    }
    assert!(unseen.rows.is_empty() && !seen.rows.is_empty());
    assert_eq!(seen.hash(), unseen.hash());
}

#[test]
fn a_bad_command_is_told_and_changes_nothing() {
    let mut run = Run::new(plan(|_| {}, (0, 1)));
    run.until(Span::from_secs(600));
    let heater = |run: &Run| run.series("actuator-0/heater.level@truth").last().unwrap().1;
    let send = |run: &mut Run, payload: &[u8]| {
        run.arrived.push(Message {
            sent: SimTime::ZERO,
            due: SimTime::ZERO,
            publisher: u32::MAX,
            seq: 0,
            topic: "greenhouse/z1/heater/set".into(),
            payload: payload.into(),
            qos: 0,
            retain: false,
        });
        run.tick();
        run.tick();
    };
    let before = heater(&run);
    for payload in [&b"{}"[..], b"", b"\xff", b"1e9"] {
        send(&mut run, payload);
        let event = run.events.iter().rev().find(|e| e.kind == "bad_command").unwrap();
        assert_eq!((event.subject.as_str(), event.part.as_str()), ("actuator-0", "heater"));
        run.events.retain(|e| e.kind != "bad_command");
    }
    assert_eq!(run.run.world().resource::<Counters>().0["commands_refused"], 4);
    let level = heater(&run);
    let opposite: &[u8] = if before > 0.5 { b"OFF" } else { b"ON" };
    send(&mut run, opposite);
    assert!((heater(&run) - level).abs() > 0.2, "a good one works");
}
