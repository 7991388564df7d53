//! The bench: a scenario made for one measurement, run tick by tick, its readings gathered by unit.

use super::Unmeasured;
use std::{path::PathBuf, sync::Arc};
use twinfleet_engine::{
    actuate,
    catalog::{BoardDef, BusDef, Catalog, SensorDef},
    environment,
    plan::Plan,
    run::Run,
    scenario::{self, Action, EventDef, source::Source},
    sense,
    time::{SimTime, Span},
    world::{Event, Events, Rows, Watch},
};

/// A board that adds nothing of its own: a perfect clock and converter, and no current.
const BOARD: &str = r#"Board(format: 1, name: "bench", source: "nothing of its own", logic_v: 3.3, supply_v: 5,
    pins: {"A": [Digital, Analog], "S": [Digital, Sda, Mosi, Tx], "C": [Digital, Scl, Miso, Rx], "K": [Digital, Sck],
        "D": [Digital], "E": [Digital], "F": [Digital], "G": [Digital], "M": [Digital]},
    adc: (bits: 32, reference_v: 5.0), current_ma: (active: 0, transmit: 0, sleep: 0), brown_out_v: 0)"#;
/// A part without lag, noise or conversion, whose readings mark the instants at which a device looks.
const MARK: &str = r#"Sensor(format: 1, name: "bench-mark", source: "nothing of its own", bus: Digital(1), active_ma: 0,
    channels: [(quantity: "presence", unit: "none", range: (0, 1))])"#;
/// A voltage as it is, for a converter to read.
const PROBE: &str = r#"Sensor(format: 1, name: "bench-probe", source: "nothing of its own", bus: Analog, active_ma: 0,
    channels: [(quantity: "voltage", unit: "V", range: (-1, 6), analog: Linear(zero_v: 0, v_per_unit: 1))])"#;

/// Values of the bench's own definitions, which a test reads.
fn own<T: scenario::definition::Definition>(text: &str) -> Result<T, Unmeasured> {
    scenario::definition::read(&Source::embedded("bench", text)).map_err(|r| Unmeasured(r.to_string()))
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Units.
    pub units: u32,
    /// Seed of the run.
    pub seed: u64,
    /// Time between readings, and of a tick.
    pub period: Span,
    /// Readings of each unit.
    pub readings: u32,
    /// Board; the bench's own by default.
    pub board: String,
    /// What the part finds at first, by quantity.
    pub truths: Vec<(String, f64)>,
    /// What it finds from a tick on: tick, quantity, value.
    pub tells: Vec<(u32, String, f64)>,
    /// Temperature of the place.
    pub zone_c: f64,
    /// More of the firmware, such as `deep_sleep: true`.
    pub firmware: String,
    /// Power, as a scenario writes it.
    pub power: String,
    /// Actuator that the part measures, commanded to `level` at the start.
    pub actuator: Option<String>,
    pub level: f64,
    /// Tick length, where it is not the period.
    pub step: Option<Span>,
    /// Range in which the board's converter reads the part.
    pub range: Option<String>,
    /// Whether the part has just got its supply.
    pub cold: bool,
}

impl Setup {
    pub fn new(units: u32, seed: u64, period: Span, readings: u32) -> Self {
        Self {
            units,
            seed,
            period,
            readings,
            board: "bench".to_owned(),
            truths: Vec::new(),
            tells: Vec::new(),
            zone_c: 25.0,
            firmware: String::new(),
            power: "Mains".to_owned(),
            actuator: None,
            level: 1.0,
            step: None,
            range: None,
            cold: false,
        }
    }
}

/// Values of one signal of one unit in the order of time: time [s], value.
pub type Series = Vec<(f64, f64)>;

/// What a measurement left.
pub struct Measured {
    /// By channel name (`quantity`, `mark`, `power.charge`, …), then unit.
    pub series: Vec<(String, Vec<Series>)>,
    pub events: Vec<Event>,
}

impl Measured {
    /// Series of a channel by unit.
    pub fn of(&self, channel: &str) -> &[Series] {
        self.series.iter().find(|(name, _)| name == channel).map_or(&[], |(_, s)| s)
    }
}

/// Where a part is wired on the bench, or on a board that has what it needs.
pub fn wire(bus: &BusDef, board: &BoardDef) -> String {
    use twinfleet_engine::catalog::PinFn;
    let pins = |f: PinFn| board.pins.iter().filter(move |(_, has)| has.contains(&f)).map(|(p, _)| p.clone());
    let one = |f: PinFn| pins(f).next().unwrap_or_default();
    match bus {
        BusDef::I2c(addresses) => format!("I2c({})", addresses.first().copied().unwrap_or_default()),
        BusDef::Spi => format!("Spi(\"{}\")", one(PinFn::Digital)),
        BusDef::OneWire => format!("Pin(\"{}\")", one(PinFn::Digital)),
        BusDef::Digital(1) => format!("Pin(\"{}\")", one(PinFn::Digital)),
        BusDef::Digital(n) => {
            let names: Vec<String> =
                pins(PinFn::Digital).take(*n as usize).map(|p| format!("\"{p}\"")).collect();
            format!("Pins([{}])", names.join(", "))
        }
        BusDef::Analog => format!("Pin(\"{}\")", one(PinFn::Analog)),
        BusDef::Uart => format!("Pins([\"{}\", \"{}\"])", one(PinFn::Tx), one(PinFn::Rx)),
        BusDef::Internal => "Internal".to_owned(),
    }
}

/// Runs a measurement of a model; `bench-mark` looks beside it, and tells when.
pub fn run(catalog: &Catalog, model: &str, setup: &Setup) -> Result<Measured, Unmeasured> {
    let wrong =
        |what: &dyn std::fmt::Display| Unmeasured(format!("the bench for `{model}` does not run: {what}"));
    let mut all = catalog.clone();
    let bench: BoardDef = own(BOARD)?;
    all.boards.insert(bench.name.clone(), bench);
    for text in [MARK, PROBE] {
        let sensor: SensorDef = own(text)?;
        all.sensors.insert(sensor.name.clone(), sensor);
    }
    if let Some(sensor) = all.sensors.get_mut(model).filter(|_| !setup.cold) {
        sensor.warm_up = Span::ZERO;
    }
    let board = all.boards.get(&setup.board).ok_or_else(|| wrong(&"no such board"))?;
    let mut parts = Vec::new();
    if let Some(sensor) = all.sensors.get(model) {
        let of = setup.actuator.as_ref().map_or("", |_| ", of: \"a\"");
        let range = setup.range.as_ref().map_or(String::new(), |r| format!(", range: \"{r}\""));
        // A converter is fed by a supply of the bench's, so that its inputs reach as far as its file states; but where it is asked
        // what it takes.
        let weighed = setup.power.starts_with("Battery");
        let bound = !weighed && sensor.channels.iter().any(|c| c.reach.is_some());
        let fed = if bound { ", own_supply: true" } else { "" };
        let on = wire(&sensor.bus, board);
        parts.push(format!("(id: \"p\", model: \"{model}\", on: {on}{of}{range}{fed})"));
    }
    if let Some(name) = &setup.actuator {
        let actuator = all.actuators.get(name).ok_or_else(|| wrong(&"no such actuator"))?;
        parts.push(format!("(id: \"a\", model: \"{name}\", on: {})", wire(&actuator.bus, board)));
    }
    parts.push("(id: \"mark\", model: \"bench-mark\", on: Pin(\"M\"))".to_owned());
    let truths: Vec<String> = setup.truths.iter().map(|(q, x)| format!("\"p.{q}\": {x:?}")).collect();
    let step = setup.step.unwrap_or(setup.period);
    let ticks = (i128::from(setup.period.0) * i128::from(setup.readings) / i128::from(step.0)).max(1) as i64;
    let text = format!(
        r#"Scenario(format: 1, seed: {}, duration: "{}ns", step: "{}ns",
            world: (zones: [(id: "z", temperature_c: {:?})]),
            fleet: [(id: "u-{{}}", count: {}, thing: "t", in: ["z"], truths: {{{}}})],
            things: [(name: "t", source: "bench", board: "{}", parts: [{}],
                firmware: (period: "{}ns", {}), power: {})])"#,
        setup.seed,
        step.0 * ticks,
        step.0,
        setup.zone_c,
        setup.units,
        truths.join(", "),
        setup.board,
        parts.join(", "),
        setup.period.0,
        setup.firmware,
        setup.power,
    );
    let mut scenario = scenario::read(&Source::embedded("bench", &text)).map_err(|r| wrong(&r))?;
    for (tick, quantity, to) in &setup.tells {
        scenario.timeline.push(EventDef {
            at: Span(step.0 * i64::from(*tick)),
            until: None,
            action: Action::Set { target: format!("u-*/p.{quantity}"), to: *to },
        });
    }
    if setup.actuator.is_some() {
        let action = Action::Command { target: "u-*/a".to_owned(), level: setup.level };
        scenario.timeline.push(EventDef { at: Span::ZERO, until: None, action });
    }
    let plan = Plan::new(Arc::new(scenario), Arc::new(all), PathBuf::new(), setup.seed, (0, 1));
    let plan = plan.map_err(|e| wrong(&e))?;
    gather(&plan).map_err(|e| wrong(&e))
}

fn gather(plan: &Plan) -> Result<Measured, twinfleet_engine::run::RunError> {
    let mut run = Run::new(plan, 1, Watch(vec![true; plan.signals.len()]))?;
    let (world, schedule) = run.parts();
    environment::install(world, schedule, plan);
    actuate::install(world, schedule, plan);
    sense::install(world, schedule, plan);
    let group = &plan.groups[0];
    let channels: Vec<String> = match plan.signals.blocks().next() {
        Some((_, _, channels)) => channels.iter().map(|c| c.name.clone()).collect(),
        None => Vec::new(),
    };
    let first = plan.signals.id(group.block, 0, 0).0;
    let mut series: Vec<Vec<Series>> = vec![vec![Vec::new(); group.count as usize]; channels.len()];
    let mut events = Vec::new();
    while !run.is_over() {
        run.tick(Vec::new());
        let world = run.world_mut();
        for row in &world.resource::<Rows>().0 {
            let Some(at) = row.signal.0.checked_sub(first) else { continue };
            let (unit, channel) = (at as usize / channels.len(), at as usize % channels.len());
            if let Some(s) = series.get_mut(channel).and_then(|c| c.get_mut(unit)) {
                s.push(((row.t - SimTime::ZERO).as_secs_f64(), row.value));
            }
        }
        events.append(&mut world.resource_mut::<Events>().0);
    }
    let short = |name: String| match name.as_str() {
        "mark.presence" => "mark".to_owned(),
        other => other.strip_prefix("p.").unwrap_or(other).to_owned(),
    };
    Ok(Measured { series: channels.into_iter().map(short).zip(series).collect(), events })
}
