//! A world of simulated devices without files: what the benches and the tests of the fleet share.

use bevy_ecs::{
    prelude::*,
    schedule::{LogLevel, ScheduleBuildSettings, SingleThreadedExecutor},
};
use std::{path::PathBuf, sync::Arc};
use twinfleet_engine::{
    catalog::{BoardDef, Catalog, SensorDef},
    message::Message,
    plan::Plan,
    scenario::Scenario,
    sense,
    time::SimTime,
    world::{
        Clock, Counters, Event, Events, Inbox, Outbox, Row, Rows, StateHash, StateHashers, Submit,
        TickSystems, Truth, Watch,
    },
};

/// The environment sensor of FACTS "BME280": figures of temperature, humidity, pressure; bias and gain of its accuracy
/// column, taken as three standard deviations; wander and self-heating are stand-ins of a plausible size.
pub const BME280: &str = r#"(format: 1, name: "bme280", source: "FACTS, Bosch BST-BME280-DS002", bus: I2c([0x76, 0x77]),
  active_ma: 0.35, idle_ma: 0.0001, conversion: "10ms", channels: [
  (quantity: "temperature", unit: "degC", range: (-40.0, 85.0), lsb: 0.01, noise_std: 0.005, bias_std: 0.17, tau_s: 10.0,
   wander_std: 0.02, wander_tau_s: 3600.0, self_heating: 0.5),
  (quantity: "humidity", unit: "percent", range: (0.0, 100.0), lsb: 0.008, noise_std: 0.02, bias_std: 1.0, tau_s: 1.0,
   wander_std: 0.1, wander_tau_s: 3600.0, drift_per_year: 0.5, hysteresis: 2.0),
  (quantity: "pressure", unit: "hPa", range: (300.0, 1100.0), lsb: 0.0018, noise_std: 0.002, bias_std: 0.33,
   wander_std: 0.01, wander_tau_s: 3600.0, cross: [(quantity: "temperature", per_unit: 0.015, at: 25.0)]),
])"#;

pub const ESP32: &str = r#"(format: 1, name: "esp32", source: "FACTS", pins: {}, logic_v: 3.3,
  current_ma: (active: 50.0, transmit: 200.0, sleep: 0.005), brown_out_v: 2.43, clock_ppm: 10.0)"#;

pub struct Sim {
    pub world: World,
    pub schedule: Schedule,
    /// All rows and events so far, each tick's sorted as the run sorts them.
    pub rows: Vec<Row>,
    pub events: Vec<Event>,
    pub out: Vec<Message>,
    pub submit: Vec<Message>,
}

pub fn sensor(text: &str) -> SensorDef {
    ron::from_str(text).expect("a sensor")
}

/// The plan of a scenario's text over these sensors and the ESP32.
pub fn plan(text: &str, sensors: &[SensorDef]) -> Plan {
    let scenario: Scenario = ron::Options::default()
        .with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME)
        .from_str(text)
        .unwrap_or_else(|e| panic!("{e}: {text}"));
    let board: BoardDef = ron::from_str(ESP32).expect("a board");
    let mut catalog = Catalog::default();
    catalog.boards.insert(board.name.clone(), board);
    catalog.sensors = sensors.iter().map(|s| (s.name.clone(), s.clone())).collect();
    let seed = scenario.seed;
    Plan::new(Arc::new(scenario), Arc::new(catalog), PathBuf::new(), seed, (0, 1)).expect("a plan")
}

impl Sim {
    /// The plan's devices in a world whose environment is still; `watch` says whether every signal is watched.
    pub fn new(plan: &Plan, watch: bool) -> Self {
        Self::with_truth(plan, watch, &[])
    }

    /// The same with places that physics would give.
    pub fn with_truth(plan: &Plan, watch: bool, places: &[(&str, f64)]) -> Self {
        let mut world = World::new();
        let step = plan.scenario.step;
        world.insert_resource(Clock {
            now: SimTime::ZERO,
            next: SimTime::ZERO + step,
            step,
            tick: 0,
            epoch_unix_ms: 1_767_225_600_000,
            end: SimTime::ZERO + plan.scenario.duration,
        });
        let mut truth = Truth::default();
        for (name, value) in places {
            let id = truth.place(name);
            truth.set(id, *value);
        }
        world.insert_resource(truth);
        world.insert_resource(Watch(vec![watch; plan.signals.len()]));
        world.init_resource::<Rows>();
        world.init_resource::<Events>();
        world.init_resource::<Inbox>();
        world.init_resource::<Outbox>();
        world.init_resource::<Counters>();
        world.init_resource::<StateHashers>();
        let mut schedule = Schedule::default();
        schedule.set_executor(SingleThreadedExecutor::new());
        schedule.set_build_settings(ScheduleBuildSettings {
            ambiguity_detection: LogLevel::Error,
            ..Default::default()
        });
        use TickSystems::*;
        schedule.configure_sets((Input, Environment, Physics, Power, Sense, Firmware, Publish).chain());
        sense::install(&mut world, &mut schedule, plan);
        Self { world, schedule, rows: Vec::new(), events: Vec::new(), out: Vec::new(), submit: Vec::new() }
    }

    pub fn tick(&mut self) {
        self.world.resource_mut::<Submit>().0.append(&mut self.submit);
        self.schedule.run(&mut self.world);
        let mut rows = std::mem::take(&mut self.world.resource_mut::<Rows>().0);
        rows.sort_by_key(|r| (r.t, r.signal));
        self.rows.append(&mut rows);
        self.events.append(&mut self.world.resource_mut::<Events>().0);
        self.out.append(&mut self.world.resource_mut::<Outbox>().0);
        let mut clock = self.world.resource_mut::<Clock>();
        clock.now = clock.next;
        clock.next = clock.next + clock.step;
        clock.tick += 1;
    }

    pub fn run(&mut self, ticks: usize) -> &mut Self {
        for _ in 0..ticks {
            self.tick();
        }
        self
    }

    pub fn set(&mut self, place: &str, value: f64) {
        let mut truth = self.world.resource_mut::<Truth>();
        let id = truth.place(place);
        truth.set(id, value);
    }

    pub fn hash(&mut self) -> StateHash {
        let hashers = self.world.resource::<StateHashers>().0.clone();
        let mut hash = StateHash::default();
        for add in hashers {
            add(&mut self.world, &mut hash);
        }
        hash
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.world.resource::<Counters>().0.get(name).copied().unwrap_or(0)
    }

    /// Values of one signal, in the order of time.
    pub fn series(&self, plan: &Plan, name: &str) -> Vec<(SimTime, f64)> {
        let id = plan.signals.find(name).unwrap_or_else(|| panic!("no signal {name}"));
        self.rows.iter().filter(|r| r.signal == id).map(|r| (r.t, r.value)).collect()
    }
}
