//! Tests of the whole of Environment and control on the shipped greenhouse, with plain nodes in place of the cohorts.

use crate::{
    actuate,
    catalog::{ActuatorDef, Catalog, PowerDef, ThingDef},
    environment,
    firmware::control,
    message::Message,
    plan::{GroupPlan, Plan},
    scenario::Scenario,
    signal::{Channel, Kind, SignalTable},
    time::{SimTime, Span},
    world::{
        Clock, Counters, Event, Events, Inbox, Outbox, Row, Rows, StateHash, StateHashers, Submit,
        TickSystems, Truth, Watch,
    },
};
use bevy_ecs::{
    schedule::{IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings},
    world::World,
};
use std::{path::Path, sync::Arc};

fn read<T: serde::de::DeserializeOwned>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&path).unwrap();
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
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
    let mut signals = SignalTable::default();
    let zones = &scenario.world.zones;
    let zone_blocks =
        zones.iter().map(|z| signals.add_block(&z.id, 1, environment::zone_channels())).collect();
    let outside_block = signals.add_block("outside", 1, environment::outside_channels());
    let mut first = 0;
    let mut groups = Vec::new();
    for (def, group) in scenario.fleet.iter().enumerate() {
        let thing = catalog.things[&group.thing].clone();
        let power = group.power.clone().or(thing.power.clone()).unwrap_or(PowerDef::Mains);
        let parts = thing.parts.iter().filter(|p| catalog.actuators.contains_key(&p.model));
        let mut channels: Vec<_> =
            parts.map(|p| Channel::new(&format!("{}.level", p.id), Kind::Truth, "ratio")).collect();
        if matches!(power, PowerDef::Battery { .. }) {
            channels.insert(0, Channel::new("power.voltage", Kind::Truth, "V"));
            channels.insert(1, Channel::new("power.charge", Kind::Truth, "percent"));
        }
        groups.push(GroupPlan {
            def,
            first,
            count: group.count,
            firmware: group.firmware.clone().or(thing.firmware.clone()),
            thing: Arc::new(thing),
            power,
            zones: group.zones.iter().map(|id| zones.iter().position(|z| z.id == *id).unwrap()).collect(),
            block: signals.add_block(&group.id, group.count, channels),
            link: None,
        });
        first += group.count;
    }
    let zone_shard = environment::islands(zones).iter().map(|i| *i as u32 % shard.1).collect();
    Plan {
        seed: scenario.seed,
        groups,
        signals,
        shard,
        zone_shard,
        zone_blocks,
        outside_block,
        base: Default::default(),
        scenario: Arc::new(scenario),
        catalog: Arc::new(catalog),
    }
}

struct Run {
    world: World,
    schedule: Schedule,
    plan: Plan,
    rows: Vec<Row>,
    events: Vec<Event>,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let mut world = World::new();
        world.init_resource::<Truth>();
        world.init_resource::<Rows>();
        world.init_resource::<Events>();
        world.init_resource::<Inbox>();
        world.init_resource::<Outbox>();
        world.init_resource::<Counters>();
        world.init_resource::<StateHashers>();
        world.insert_resource(Watch(vec![true; plan.signals.len()]));
        world.insert_resource(Clock {
            now: SimTime::ZERO,
            next: SimTime::ZERO + plan.scenario.step,
            step: plan.scenario.step,
            tick: 0,
            // 2026-05-20T00:00:00Z.
            epoch_unix_ms: 1_779_235_200_000,
            end: SimTime::ZERO + plan.scenario.duration,
        });
        let mut schedule = Schedule::default();
        schedule.set_build_settings(ScheduleBuildSettings {
            ambiguity_detection: LogLevel::Error,
            ..Default::default()
        });
        schedule
            .configure_sets((TickSystems::Input, TickSystems::Environment, TickSystems::Firmware).chain());
        environment::install(&mut world, &mut schedule, &plan);
        actuate::install(&mut world, &mut schedule, &plan);
        control::install(&mut world, &mut schedule, &plan);
        Self { world, schedule, plan, rows: Vec::new(), events: Vec::new() }
    }

    /// Runs until `end`. Nodes report their zone's truth once a minute; what is submitted arrives in the next tick.
    fn until(&mut self, end: Span) {
        while self.world.resource::<Clock>().now < SimTime::ZERO + end {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.schedule.run(&mut self.world);
        self.rows.append(&mut self.world.resource_mut::<Rows>().0);
        self.events.append(&mut self.world.resource_mut::<Events>().0);
        let mut arrived = std::mem::take(&mut self.world.resource_mut::<Submit>().0);
        let clock = *self.world.resource::<Clock>();
        if clock.now.0 % Span::from_secs(60).0 == 0 {
            let truth = self.world.resource::<Truth>();
            let nodes = &self.plan.groups[0];
            for i in (0..nodes.count).filter(|i| self.plan.owns(nodes, *i)) {
                let zone = &self.plan.scenario.world.zones[nodes.zone(i).unwrap()].id;
                let t = truth.get(truth.find(&format!("zone/{zone}/temperature")).unwrap());
                arrived.push(Message {
                    sent: clock.now,
                    due: clock.now,
                    publisher: nodes.first + i,
                    seq: clock.tick,
                    topic: format!("greenhouse/{zone}/node-{i}/state").into(),
                    payload: format!("{{\"ts\":1,\"bme280.temperature\":{t:.2},\"soil.soil_moisture\":3}}")
                        .into_bytes()
                        .into(),
                    qos: 1,
                    retain: false,
                });
            }
        }
        arrived.sort_by_key(|m| (m.publisher, m.seq));
        self.world.resource_mut::<Inbox>().0 = arrived;
        let mut clock = self.world.resource_mut::<Clock>();
        clock.now = clock.next;
        clock.next = clock.next + clock.step;
        clock.tick += 1;
    }

    fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let id = self.plan.signals.find(name).unwrap();
        self.rows.iter().filter(|r| r.signal == id).map(|r| (r.t.as_secs_f64() / 3600.0, r.value)).collect()
    }

    fn hash(&mut self) -> StateHash {
        let hashers = std::mem::take(&mut self.world.resource_mut::<StateHashers>().0);
        let mut hash = StateHash::default();
        hashers.iter().for_each(|h| h(&mut self.world, &mut hash));
        self.world.resource_mut::<StateHashers>().0 = hashers;
        hash
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
    let mut unseen = Run::new(plan(|_| {}, (0, 1)));
    unseen.world.insert_resource(Watch::default());
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
        run.world.resource_mut::<Inbox>().0.push(Message {
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
    assert_eq!(run.world.resource::<Counters>().0["commands_refused"], 4);
    let level = heater(&run);
    let opposite: &[u8] = if before > 0.5 { b"OFF" } else { b"ON" };
    send(&mut run, opposite);
    assert!((heater(&run) - level).abs() > 0.2, "a good one works");
}
