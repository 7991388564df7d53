//! The plugin within a tick: places, tracks, rows, determinism, shards, mistakes.

use super::*;
use crate::{
    catalog::{Catalog, PowerDef, SensorDef},
    physics::{BODY_CHANNELS, add_body_blocks, check::check_scenario, install},
    plan::{GroupPlan, Plan},
    scenario::Scenario,
    signal::{Channel, Kind, SignalTable},
    time::{SimTime, Span},
    world::{Clock, Rows, StateHash, StateHashers, Truth, Watch},
};
use bevy_ecs::{prelude::*, schedule::SingleThreadedExecutor};
use std::sync::Arc;

const TUMBLE: &str = r#"Scenario(format: 1, duration: "2s", step: "10ms",
    world: (scene: (bodies: [
        (id: "floor", kind: Fixed, shape: Box(size_m: (4, 4, 0.1))),
        (id: "box-0", kind: Dynamic, shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0, 0, 0.5), rotation_deg: (20, 30, 0), mass_kg: 2),
        (id: "box-1", kind: Dynamic, shape: Box(size_m: (0.3, 0.2, 0.1)), position_m: (0.1, 0, 0.9), rate_deg_s: (90, 0, 0), mass_kg: 1),
    ])),
    things: [
        (name: "logger", source: "test", parts: [(id: "imu", model: "imu", on: I2c(0x68))]),
        (name: "station", source: "test", parts: [(id: "eye", model: "eye", on: Pin("D1")), (id: "cell", model: "cell", on: Pin("D2"))]),
    ],
    fleet: [
        (id: "parcel-{}", count: 2, thing: "logger", mounts: [(part: "imu", body: "box-{}", at_m: (0.05, 0, 0))]),
        (id: "station", thing: "station", mounts: [(part: "eye", body: "floor", at_m: (-2, 0, 0.2)), (part: "cell", body: "floor")]),
    ],
)"#;

pub(super) fn sensor(name: &str, quantities: &[&str]) -> SensorDef {
    let channels: String =
        quantities.iter().map(|q| format!(r#"(quantity: "{q}", unit: "-", range: (-1e3, 1e3)),"#)).collect();
    from_ron(&format!(
        r#"(format: 1, name: "{name}", source: "test", bus: Internal, active_ma: 1, channels: [{channels}])"#
    ))
}

fn plan(text: &str, shard: (u32, u32)) -> Plan {
    let scenario: Scenario = from_ron(text);
    let mut catalog = Catalog::default();
    let imu = ["accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z", "temperature"];
    for (name, quantities) in
        [("imu", &imu[..]), ("eye", &["distance"]), ("cell", &["force"]), ("clock", &["time"])]
    {
        catalog.sensors.insert(name.to_owned(), sensor(name, quantities));
    }
    resolve(scenario, catalog, shard)
}

pub(super) fn resolve(scenario: Scenario, catalog: Catalog, shard: (u32, u32)) -> Plan {
    let mut signals = SignalTable::default();
    let mut first = 0;
    let groups = scenario.fleet.iter().enumerate().map(|(def, g)| {
        let thing = scenario.things.iter().find(|t| t.name == g.thing);
        let thing = thing.unwrap_or_else(|| &catalog.things[&g.thing]);
        let sensors = thing.parts.iter().filter_map(|p| Some((p, catalog.sensors.get(&p.model)?)));
        let channels = sensors.flat_map(|(p, s)| {
            s.channels
                .iter()
                .map(|c| Channel::new(&format!("{}.{}", p.id, c.quantity), Kind::Reading, &c.unit))
        });
        let group = GroupPlan {
            def,
            first,
            count: g.count,
            thing: Arc::new(thing.clone()),
            firmware: None,
            power: PowerDef::Mains,
            zones: Vec::new(),
            also: Vec::new(),
            block: signals.add_block(&g.id, g.count, channels.collect()),
            link: None,
            radio: false,
            in_scene: !g.mounts.is_empty(),
        };
        first += g.count;
        group
    });
    let groups = groups.collect();
    let body_blocks = add_body_blocks(scenario.world.scene.as_ref(), &mut signals);
    let outside_block = signals.add_block("outside", 1, crate::environment::outside_channels());
    Plan {
        seed: scenario.seed,
        groups,
        body_blocks,
        twin_blocks: Vec::new(),
        signals,
        shard,
        zone_shard: Vec::new(),
        zone_blocks: Vec::new(),
        outside_block,
        base: std::path::PathBuf::new(),
        scenario: Arc::new(scenario),
        catalog: Arc::new(catalog),
    }
}

pub(super) struct Run {
    pub(super) world: World,
    schedule: Schedule,
}

impl Run {
    pub(super) fn new(plan: &Plan, watched: bool) -> Self {
        let mut world = World::new();
        let step = plan.scenario.step;
        world.insert_resource(Clock {
            now: SimTime::ZERO,
            next: SimTime::ZERO + step,
            step,
            tick: 0,
            epoch_unix_ms: 0,
            end: SimTime::NEVER,
        });
        world.init_resource::<Truth>();
        world.init_resource::<Rows>();
        world.init_resource::<StateHashers>();
        world.insert_resource(Watch(vec![watched; plan.signals.len()]));
        let mut schedule = Schedule::default();
        schedule.set_executor(SingleThreadedExecutor::new());
        install(&mut world, &mut schedule, plan).unwrap();
        Self { world, schedule }
    }

    pub(super) fn tick(&mut self) {
        self.schedule.run(&mut self.world);
        let mut clock = self.world.resource_mut::<Clock>();
        clock.now = clock.next;
        clock.next = clock.next + clock.step;
        clock.tick += 1;
    }

    fn hash(&mut self) -> StateHash {
        let mut hash = StateHash::default();
        for f in self.world.resource::<StateHashers>().0.clone() {
            f(&mut self.world, &mut hash);
        }
        hash
    }

    pub(super) fn truth(&self, name: &str, t: SimTime) -> f64 {
        let truth = self.world.resource::<Truth>();
        truth.at(truth.find(name).unwrap_or_else(|| panic!("no place {name}")), t)
    }
}

fn hash_after(ticks: usize, watched: bool) -> StateHash {
    let mut run = Run::new(&plan(TUMBLE, (0, 1)), watched);
    (0..ticks).for_each(|_| run.tick());
    run.hash()
}

#[test]
fn the_hash_is_the_same_twice_watched_or_not_and_at_any_thread_count() {
    let once = hash_after(100, false);
    assert_eq!(once, hash_after(100, false));
    assert_eq!(once, hash_after(100, true));
    assert_ne!(once, hash_after(101, false));
    for threads in [1, 2, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(once, pool.install(|| hash_after(100, false)), "{threads} threads");
    }
}

#[test]
fn tracks_hold_every_sub_step_and_the_other_places_the_tick() {
    let plan = plan(TUMBLE, (0, 1));
    let mut run = Run::new(&plan, false);
    let mut alone = Scene::new(plan.scenario.world.scene.as_ref().unwrap()).unwrap();
    let mut imu = Inertial::new(Mount::new(2, (0.05, 0.0, 0.0), (0.0, 0.0, 0.0)), &alone);
    for tick in 0..80 {
        run.tick();
        let mut load_n = 0.0;
        for k in 0..10 {
            alone.advance();
            let felt = imu.feel(&alone);
            let t = SimTime((tick * 10 + k) * 1_000_000 + 500_000);
            assert_eq!(run.truth("part/parcel-1/imu/accel_z", t), felt.specific_force_m_s2[2]);
            assert_eq!(run.truth("part/parcel-1/imu/gyro_x", t), felt.rate_rad_s[0]);
            load_n -= alone.contact_force_n(0)[2] / 10.0;
        }
        let t = SimTime(tick * 10_000_000);
        assert!((run.truth("part/station/cell/force", t) - load_n).abs() < 1e-9 + 1e-9 * load_n.abs());
    }
    let truth = run.world.resource::<Truth>();
    assert!(truth.find("part/parcel-0/imu/temperature").is_none(), "a zone's quantity is not a body's");
    assert!(truth.find("part/station/eye/distance").is_some());
}

#[test]
fn body_rows_are_those_of_the_ticks_start() {
    let plan = plan(TUMBLE, (0, 1));
    let mut run = Run::new(&plan, true);
    run.tick();
    run.tick();
    let z = plan.signals.find("box-0/pose.z@truth").unwrap();
    let speed = plan.signals.find("box-0/motion.speed@truth").unwrap();
    let rows = &run.world.resource::<Rows>().0;
    let of = |id| rows.iter().filter(|r| r.signal == id).map(|r| (r.t.0, r.value)).collect::<Vec<_>>();
    assert_eq!(of(z)[0], (0, 0.5));
    let (t, v) = of(speed)[1];
    assert_eq!(t, 10_000_000);
    assert!((v - G * 0.01).abs() < 1e-4);
    let turned = |axis: &str| of(plan.signals.find(&format!("box-0/orientation.{axis}@truth")).unwrap());
    let norm: f64 = ["x", "y", "z", "w"].map(|axis| turned(axis)[1].1.powi(2)).iter().sum();
    assert!((norm - 1.0).abs() < 1e-5, "a unit quaternion: {norm}");
    assert_eq!(rows.len(), 2 * 3 * BODY_CHANNELS.len());
}

#[test]
fn the_scene_and_what_rides_on_it_belong_to_the_first_shard() {
    let (first, second) = (plan(TUMBLE, (0, 2)), plan(TUMBLE, (1, 2)));
    for i in 0..2 {
        assert!(first.owns(&first.groups[0], i) && !second.owns(&second.groups[0], i));
    }
    let mut run = Run::new(&second, true);
    run.tick();
    assert!(run.world.resource::<Rows>().0.is_empty());
    assert_eq!(run.hash(), StateHash::default(), "the shards' hashes add up to the whole's");
}

#[test]
fn a_tick_may_be_one_sub_step() {
    let text = TUMBLE.replace(r#"step: "10ms""#, r#"step: "1ms""#);
    let mut run = Run::new(&plan(&text, (0, 1)), false);
    (0..1000).for_each(|_| run.tick());
    assert_eq!(run.hash(), hash_after(100, false), "the tick's length changes no motion");
}

#[test]
fn mistakes_are_told_together_with_their_paths() {
    let text = TUMBLE
        .replace(r#"step: "10ms""#, r#"step: "1500us""#)
        .replace("mass_kg: 1)", "restitution: 1.5)")
        .replace(r#"id: "box-1""#, r#"id: "box-0""#)
        .replace(r#"(part: "eye", body: "floor""#, r#"(part: "ear", body: "roof""#)
        .replace(r#"model: "cell""#, r#"model: "clock""#);
    let plan = plan(&text, (0, 1));
    let errors = check_scenario(&plan.scenario, &plan.catalog);
    let told: String = errors.iter().map(|e| format!("{e}\n")).collect();
    expect_test::expect![[r#"
        world.scene.bodies[2].mass_kg: a Dynamic body needs its mass
        world.scene.bodies[2].restitution: restitution must lie within 0 and 1
        world.scene.bodies[2].id: the body `box-0` exists already as bodies[1]
        world.scene.substep: the scenario's step, 1ms500us, must be a multiple of the scene's sub-step, 1ms
        fleet[0].mounts[0].body: there is no body `box-1` in the scene; it has: floor, box-0, box-0
        fleet[1].mounts[0].body: there is no body `roof` in the scene; it has: floor, box-0, box-0
        fleet[1].mounts[0].part: `station` has no part `ear`; it has: eye, cell
        fleet[1].mounts[1].part: `clock` measures nothing that a rigid body makes it feel
    "#]]
    .assert_eq(&told);
    assert!(install(&mut World::new(), &mut Schedule::default(), &plan).is_err());
}

#[test]
fn nonsense_is_refused_before_rapier_sees_it() {
    for (good, bad) in [
        ("mass_kg: 2", "mass_kg: NaN"),
        ("mass_kg: 2", "mass_kg: -1"),
        ("size_m: (0.3, 0.2, 0.1)", "size_m: (0.3, 0, 0.1)"),
        ("size_m: (0.3, 0.2, 0.1)", "size_m: (0.3, inf, 0.1)"),
        ("position_m: (0, 0, 0.5)", "position_m: (0, NaN, 0.5)"),
        ("rate_deg_s: (90, 0, 0)", "rate_deg_s: (1e9, 0, 0)"),
        ("mass_kg: 2", "mass_kg: 2, friction: -1"),
        ("mass_kg: 2", r#"mass_kg: 2, moves: [(at: "1s")]"#),
        ("bodies: [", "gravity_m_s2: NaN, bodies: ["),
        ("bodies: [", r#"substep: "0s", bodies: ["#),
    ] {
        let text = TUMBLE.replace(good, bad);
        assert_ne!(text, TUMBLE, "{good} is not in the text");
        let plan = plan(&text, (0, 1));
        assert!(!check_scenario(&plan.scenario, &plan.catalog).is_empty(), "{bad} was taken");
    }
    // A scene without any body is no mistake.
    assert!(Scene::new(&from_ron("()")).is_ok_and(|s| s.is_empty()));
    assert_eq!(Scene::new(&from_ron("()")).map(|s| s.substep()), Ok(Span(1_000_000)));
}
