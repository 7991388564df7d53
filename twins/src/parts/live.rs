//! Register-level parts of the devices of a run: what they measure is what the run's world has at that simulated time.
//!
//! [`install`] adds one system to a run, in the set Sense, and gives a [`Live`], which hands out parts: a bus with all of a
//! device's parts on I2C, a part by its pins, a part on a UART. A program that speaks to them (a published driver, a
//! script) runs between two ticks, with its [`Clock`] put to the tick's start; the world stands as it is in that tick until
//! the next one is run, however long the program waits.
//!
//! A part is shown the truth through its own pipeline: mounting and self-heating, lag, cross-sensitivity, its unit's gain,
//! bias and drift, wander, noise, and the timeline's faults ([`probe`](twinfleet_engine::sense::probe)). It quantises that
//! by its own registers, and says how much noise its mode has. While a fault takes its readings away (no contact, a hanging
//! bus, a dropout), it does not answer.
//! Asking draws from streams of the parts' own: the run and its hash stay as they are.
//!
//! Systems: `look_around` in `Sense`, `look_at_supplies` in `Gather`. Resource: `Watched`.

mod inputs;

use super::{
    ads1115::Ads1115,
    bh1750::Bh1750,
    bme280::{Bme280, Trim},
    clock::Clock,
    dht::Dht,
    ds18b20::Ds18b20,
    eeprom::Eeprom,
    hc_sr04::HcSr04,
    hx711::Hx711,
    i2c::{AddressTaken, Direction, I2cBus, I2cPart, Reply},
    ina219::Ina219,
    line::LinePart,
    lsm9ds1::{Inertial, Magnetometer},
    mcp3008::Mcp3008,
    mpu6050::Mpu6050,
    neo6m::Neo6m,
    pms5003::Pms5003,
    pulses::Pulses,
    scd41::Scd41,
    serial::SerialPart,
    sht31::Sht31,
    shutdown::Shutdown,
    spi::SpiPart,
    stimulus::{Noise, Quantity, Stimulus},
    vl53l0x::Vl53l0x,
};
use bevy_ecs::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use twinfleet_engine::{
    catalog::{BoardDef, BusDef, PartDef, SensorDef, ThingDef, WireDef},
    plan::Plan,
    run::epoch_unix_ms,
    sense::{
        Cohort,
        probe::{Asking, Probe},
    },
    time::{SimTime, Span},
    world::{self, TickSystems, Truth},
};

/// Specific force of 1 g, [m/s²].
const G: f64 = 9.80665;
/// Shunt of the INA219's module, [Ω].
const SHUNT_OHM: f64 = 0.1;
/// What feeds the bridge of a load cell, [V], and what the cell makes of it at its full scale: 1 mV/V at 5 kg.
const BRIDGE_SUPPLY_V: f64 = 5.0;
const BRIDGE_V_PER_N: f64 = 1e-3 * BRIDGE_SUPPLY_V / (5.0 * G);

/// Pulses a second of a YF-S201 for each litre a minute.
const HZ_PER_FLOW: f64 = 7.5;

type Shared = Arc<Mutex<Probe>>;

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // A driver that panicked has left a part's memory, not the world's, half-written.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The parts that are asked for, by device and part, which look at the world once a tick.
#[derive(Resource, Clone, Debug, Default)]
struct Watched(Arc<Mutex<BTreeMap<(String, String), Shared>>>);

/// A run's devices, as programs meet their parts.
#[derive(Debug)]
pub struct Live {
    plan: Plan,
    watched: Watched,
    /// What parts keep without power, by device and part.
    eeproms: Mutex<BTreeMap<(String, String), Eeprom>>,
}

/// Why there is no such part.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum LiveError {
    /// No such device, or no such sensor of it.
    #[error("there is no sensor `{part}` on a device `{device}`")]
    Missing {
        /// The device.
        device: String,
        /// The part.
        part: String,
    },
    /// No register map.
    #[error("`{model}` has no model of its {what}: add one in twins/src/parts")]
    NoMap {
        /// The catalog's model.
        model: String,
        /// `registers on SPI`, `pulses` or `serial port`.
        what: &'static str,
    },
    /// Two parts on one address.
    #[error(transparent)]
    Taken(#[from] AddressTaken),
}

/// Whether a program finds a sensor of the catalog where it is wired: by its registers, by its pulses, by a level or a voltage.
pub fn answers(sensor: &SensorDef) -> bool {
    let model = sensor.name.as_str();
    match sensor.bus {
        BusDef::I2c(_) => model == "ads1115" || ON_I2C.contains(&model),
        BusDef::Spi => model == "mcp3008",
        BusDef::OneWire => model == "ds18b20",
        BusDef::Uart => matches!(model, "neo-6m" | "pms5003"),
        // A single pin has at least a level.
        BusDef::Digital(1) | BusDef::Analog | BusDef::Internal => true,
        BusDef::Digital(_) => matches!(model, "hx711-load-cell" | "hc-sr04"),
    }
}

/// Adds to a run what its devices' parts look at the world with. After every plugin that writes truths.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) -> Live {
    let watched = Watched::default();
    world.insert_resource(watched.clone());
    schedule
        .add_systems((look_around.in_set(TickSystems::Sense), look_at_supplies.in_set(TickSystems::Gather)));
    Live { plan: plan.clone(), watched, eeproms: Mutex::default() }
}

fn look_around(clock: Res<world::Clock>, truth: Res<Truth>, watched: Res<Watched>) {
    for probe in locked(&watched.0).values() {
        locked(probe).look(&truth, clock.now, clock.step);
    }
}

fn look_at_supplies(cohorts: Query<&Cohort>, watched: Res<Watched>) {
    for probe in locked(&watched.0).values() {
        locked(probe).feed(&cohorts);
    }
}

/// A part's own view of the run's world.
#[derive(Clone, Debug)]
pub struct LiveStimulus(Shared);

impl LiveStimulus {
    /// Whether the part answers at an instant of simulated time \[ns\].
    pub fn answers(&self, at_ns: u64) -> bool {
        locked(&self.0).answers(instant(at_ns))
    }

    /// What the part finds of one of the catalog's quantities at an instant \[ns\], in the catalog's unit; see
    /// [`Probe::read`].
    pub fn read(&mut self, quantity: &str, at_ns: u64) -> Option<f64> {
        self.read_as(quantity, at_ns, Asking::default())
    }

    /// The same for a part that is in a mode of its own, or an input that is driven; see [`Probe::read_as`].
    pub fn read_as(&mut self, quantity: &str, at_ns: u64, asking: Asking) -> Option<f64> {
        locked(&self.0).read_as(quantity, instant(at_ns), asking)
    }

    /// What faults do at an analogue part's pin at an instant \[ns\]; see [`Probe::at_pin`].
    pub fn at_pin(&mut self, at_ns: u64) -> (f64, f64) {
        locked(&self.0).at_pin(instant(at_ns))
    }

    /// What the part measures in its own unit; what it does not measure in the catalog is 0, but for the light around it.
    fn find(&mut self, quantity: Quantity, at_ns: u64, noise: Option<Noise>) -> f64 {
        let (name, scale) = in_catalog(quantity);
        let asking = Asking { noise, input: None, within: true };
        if quantity == Quantity::PulseHz
            && let Some(flow) = self.read_as("flow", at_ns, asking)
        {
            return HZ_PER_FLOW * flow;
        }
        match self.read_as(name, at_ns, asking) {
            Some(x) => x * scale,
            None if quantity == Quantity::IlluminanceLx => locked(&self.0).light_lx(instant(at_ns)),
            None => 0.0,
        }
    }
}

fn instant(at_ns: u64) -> SimTime {
    SimTime(i64::try_from(at_ns).unwrap_or(i64::MAX))
}

/// The catalog's name of a quantity, and how much of the part's unit is one of the catalog's.
fn in_catalog(quantity: Quantity) -> (&'static str, f64) {
    match quantity {
        Quantity::TemperatureC => ("temperature", 1.0),
        Quantity::HumidityPct => ("humidity", 1.0),
        Quantity::PressurePa => ("pressure", 100.0),
        Quantity::AccelerationG(axis) => (["accel_x", "accel_y", "accel_z"][usize::from(axis % 3)], 1.0 / G),
        Quantity::RateDps(axis) => {
            (["gyro_x", "gyro_y", "gyro_z"][usize::from(axis % 3)], 180.0 / std::f64::consts::PI)
        }
        Quantity::MagneticUt(axis) => {
            (["magnetic_x", "magnetic_y", "magnetic_z"][usize::from(axis % 3)], 1.0)
        }
        Quantity::IlluminanceLx => ("illuminance", 1.0),
        Quantity::DistanceMm => ("distance", 1000.0),
        Quantity::Volts(_) => ("bus_voltage", 1.0),
        Quantity::ShuntV => ("current", 1e-3 * SHUNT_OHM),
        Quantity::BridgeV => ("force", BRIDGE_V_PER_N),
        Quantity::LatitudeDeg => ("latitude", 1.0),
        Quantity::LongitudeDeg => ("longitude", 1.0),
        Quantity::AltitudeM => ("altitude", 1.0),
        Quantity::SpeedMps => ("speed", 1.0),
        Quantity::CourseDeg => ("course", 1.0),
        Quantity::Co2Ppm => ("co2", 1.0),
        Quantity::DustUgM3(size) => (["pm1", "pm2_5", "pm10"][usize::from(size % 3)], 1.0),
        // Two pulses a turn.
        Quantity::PulseHz => ("rotation", 2.0 / 60.0),
    }
}

impl Stimulus for LiveStimulus {
    fn value(&mut self, quantity: Quantity, at_ns: u64) -> f64 {
        self.find(quantity, at_ns, None)
    }

    fn value_in(&mut self, quantity: Quantity, at_ns: u64, noise: Noise) -> f64 {
        self.find(quantity, at_ns, Some(noise))
    }
}

/// A part that does not answer while a fault has it.
struct Wired<P> {
    part: P,
    sees: LiveStimulus,
}

impl<P: I2cPart> I2cPart for Wired<P> {
    fn address(&self) -> u8 {
        self.part.address()
    }
    fn start(&mut self, at_ns: u64, direction: Direction) -> Reply {
        if self.sees.answers(at_ns) { self.part.start(at_ns, direction) } else { Reply::Nack }
    }
    fn write(&mut self, at_ns: u64, byte: u8) -> bool {
        self.part.write(at_ns, byte)
    }
    fn read(&mut self, at_ns: u64) -> u8 {
        self.part.read(at_ns)
    }
    fn stop(&mut self, at_ns: u64) {
        self.part.stop(at_ns);
    }
    fn general_call(&mut self, at_ns: u64, byte: u8) -> bool {
        self.sees.answers(at_ns) && self.part.general_call(at_ns, byte)
    }
}

impl<P: LinePart> LinePart for Wired<P> {
    fn drive(&mut self, at_ns: u64, line: u8, high: bool) {
        self.part.drive(at_ns, line, high);
    }
    fn level(&mut self, at_ns: u64, line: u8) -> bool {
        // The part goes on; where the line rests without it is all that the controller sees.
        let level = self.part.level(at_ns, line);
        if self.sees.answers(at_ns) { level } else { self.part.rests_high(line) }
    }
    fn next_edge_ns(&mut self, line: u8) -> Option<u64> {
        self.part.next_edge_ns(line)
    }
}

impl<P: SerialPart> SerialPart for Wired<P> {
    fn baud(&self) -> u32 {
        self.part.baud()
    }
    fn receive(&mut self, at_ns: u64, byte: u8) {
        self.part.receive(at_ns, byte);
    }
    fn send(&mut self, at_ns: u64) -> Option<u8> {
        // Each byte at its own time: what is sent while nobody hears it is lost, and comes no later.
        loop {
            let sent_ns = self.part.silent_until_ns().map_or(at_ns, |end_ns| end_ns.min(at_ns));
            let byte = self.part.send(at_ns)?;
            if self.sees.answers(sent_ns) {
                return Some(byte);
            }
        }
    }
    fn silent_until_ns(&self) -> Option<u64> {
        self.part.silent_until_ns()
    }
}

impl<P: SpiPart> SpiPart for Wired<P> {
    fn select(&mut self, at_ns: u64) {
        self.part.select(at_ns);
    }
    fn exchange(&mut self, at_ns: u64, byte: u8) -> u8 {
        // The part goes on; nobody drives the line to the controller.
        let answer = self.part.exchange(at_ns, byte);
        if self.sees.answers(at_ns) { answer } else { 0xFF }
    }
    fn deselect(&mut self, at_ns: u64) {
        self.part.deselect(at_ns);
    }
}

impl Live {
    /// The run's plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What a part of a device finds, for a register map of one's own: the same for all who ask, whose noise goes on where it was.
    ///
    /// # Errors
    /// Where there is no such device, or no such sensor of it.
    pub fn stimulus(&self, device: &str, part: &str) -> Result<LiveStimulus, LiveError> {
        let key = (device.to_owned(), part.to_owned());
        let mut watched = locked(&self.watched.0);
        if let Some(probe) = watched.get(&key) {
            return Ok(LiveStimulus(Arc::clone(probe)));
        }
        let missing = || LiveError::Missing { device: device.to_owned(), part: part.to_owned() };
        let probe = Arc::new(Mutex::new(Probe::new(&self.plan, device, part).ok_or_else(missing)?));
        watched.insert(key, Arc::clone(&probe));
        Ok(LiveStimulus(probe))
    }

    /// A device's board is reset for lack of power at an instant \[ns\], which ends what such a reset ends: a bus that hangs.
    pub fn board_reset(&self, device: &str, at_ns: u64) {
        let watched = locked(&self.watched.0);
        for probe in watched.iter().filter(|((of, _), _)| of == device).map(|(_, probe)| probe) {
            locked(probe).board_reset(instant(at_ns));
        }
    }

    /// A device's I2C bus with every part on it that has a register map, the others left out: its board's own bus.
    ///
    /// # Errors
    /// Where there is no such device, or two parts have one address.
    pub fn i2c(&self, device: &str, clock: Clock, clock_hz: u32) -> Result<I2cBus, LiveError> {
        self.i2c_on(device, None, clock, clock_hz, &BTreeMap::new())
    }

    /// The pins of a device's further I2C buses, data and clock; see [`PartDef::bus`].
    ///
    /// # Errors
    /// Where there is no such device.
    pub fn i2c_pins(&self, device: &str) -> Result<BTreeSet<(String, String)>, LiveError> {
        let Some(board) = self.board(device)? else { return Ok(BTreeSet::new()) };
        let pins = self.parts(device)?.iter().filter_map(|p| p.bus_on(board));
        Ok(pins.map(|(sda, scl)| (sda.to_owned(), scl.to_owned())).collect())
    }

    /// The same as [`Self::i2c`] of the bus on these pins, data and clock; none: the board's own. `lines` are the shutdown lines of
    /// parts, by their ids; one that is not among them nobody pulls low.
    ///
    /// # Errors
    /// Where there is no such device, or two parts have one address.
    pub fn i2c_on(
        &self,
        device: &str,
        pins: Option<(&str, &str)>,
        clock: Clock,
        clock_hz: u32,
        lines: &BTreeMap<String, Shutdown>,
    ) -> Result<I2cBus, LiveError> {
        let mut bus: I2cBus = I2cBus::new(clock, clock_hz);
        let board = self.board(device)?;
        // Those that a line can hold in reset come last: they may have the address of one that is always there.
        let parts = self.parts(device)?;
        let held = parts.iter().filter(|p| p.shutdown.is_some());
        for part in parts.iter().filter(|p| p.shutdown.is_none()).chain(held) {
            let WireDef::I2c(address) = part.on else { continue };
            if board.and_then(|b| part.bus_on(b)) != pins {
                continue;
            }
            let Ok(sees) = self.stimulus(device, &part.id) else { continue };
            if part.model == "ads1115" {
                let inputs = self.inputs(device, &part.id, sees.clone())?;
                bus.add(Box::new(Wired { part: Ads1115::new(address, inputs), sees }))?;
            } else if part.shutdown.is_some() && part.model == "vl53l0x" {
                let line = lines.get(&part.id).cloned().unwrap_or_default();
                let part = Vl53l0x::new(sees.clone()).at(address).shut_by(line);
                bus.add_beside(Box::new(Wired { part, sees }));
            } else if part.model == "scd41" {
                let unit = serial_number(device, &part.id);
                let part = Scd41::new(unit, sees.clone()).kept_in(self.eeprom(device, &part.id));
                bus.add(Box::new(Wired { part, sees }))?;
            } else if let Some(chip) =
                on_i2c(&part.model, address, serial_number(device, &part.id), sees.clone())
            {
                bus.add(chip)?;
                let beside = self.plan.catalog.sensors.get(&part.model).and_then(|s| s.beside.get(&address));
                if let Some(chip) = beside.and_then(|address| beside_on_i2c(&part.model, *address, sees)) {
                    bus.add(chip)?;
                }
            }
        }
        Ok(bus)
    }

    /// A part that speaks by its pins: DS18B20, DHT22, DHT11, HX711, HC-SR04, a tachometer, a flow meter.
    ///
    /// # Errors
    /// Where there is no such sensor, or no model of its pulses.
    pub fn line(&self, device: &str, part: &str) -> Result<Box<dyn LinePart>, LiveError> {
        let model = &self.part(device, part)?.model;
        let sees = self.stimulus(device, part)?;
        let serial = serial_number(device, part);
        Ok(match model.as_str() {
            "ds18b20" => {
                let part = Ds18b20::new(serial, sees.clone()).kept_in(self.eeprom(device, part));
                Box::new(Wired { part, sees })
            }
            "dht22" => Box::new(Wired { part: Dht::dht22(sees.clone()), sees }),
            "dht11" => Box::new(Wired { part: Dht::dht11(sees.clone()), sees }),
            "hx711-load-cell" => {
                Box::new(Wired { part: Hx711::new(BRIDGE_SUPPLY_V, false, sees.clone()), sees })
            }
            "hc-sr04" => Box::new(Wired { part: HcSr04::new(sees.clone()), sees }),
            "fan-tacho" | "yf-s201" => Box::new(Wired { part: Pulses::new(sees.clone()), sees }),
            _ => return Err(LiveError::NoMap { model: model.clone(), what: "pulses" }),
        })
    }

    /// A part on SPI with its chip select: MCP3008.
    ///
    /// # Errors
    /// Where there is no such sensor, or no model of its registers.
    pub fn spi(&self, device: &str, part: &str) -> Result<Box<dyn SpiPart>, LiveError> {
        let model = &self.part(device, part)?.model;
        let sees = self.stimulus(device, part)?;
        match model.as_str() {
            "mcp3008" => {
                // Its reference is tied to its supply, the board's.
                let inputs = self.inputs(device, part, sees.clone())?;
                Ok(Box::new(Wired { part: Mcp3008::new(self.logic_v(device)?, inputs), sees }))
            }
            _ => Err(LiveError::NoMap { model: model.clone(), what: "registers on SPI" }),
        }
    }

    /// A part on a serial port: NEO-6M, PMS5003.
    ///
    /// # Errors
    /// Where there is no such sensor, or no model of its port.
    pub fn serial(&self, device: &str, part: &str) -> Result<Box<dyn SerialPart>, LiveError> {
        let model = &self.part(device, part)?.model;
        let sees = self.stimulus(device, part)?;
        let start_s = u64::try_from(epoch_unix_ms(&self.plan) / 1000).unwrap_or(0);
        match model.as_str() {
            "pms5003" => Ok(Box::new(Wired { part: Pms5003::new(sees.clone()), sees })),
            "neo-6m" => {
                let mut part = Neo6m::new(start_s, sees.clone());
                let warm_up = self.plan.catalog.sensors.get(model).map_or(Span::ZERO, |s| s.warm_up);
                part.set_first_fix_ns(u64::try_from(warm_up.0).unwrap_or(0));
                Ok(Box::new(Wired { part, sees }))
            }
            _ => Err(LiveError::NoMap { model: model.clone(), what: "serial port" }),
        }
    }

    fn eeprom(&self, device: &str, part: &str) -> Eeprom {
        locked(&self.eeproms).entry((device.to_owned(), part.to_owned())).or_default().clone()
    }

    fn thing(&self, device: &str) -> Result<&ThingDef, LiveError> {
        let of_group = |g: &&twinfleet_engine::plan::GroupPlan| self.plan.scenario.fleet[g.def].has(device);
        let group = self.plan.groups.iter().find(of_group);
        let missing = || LiveError::Missing { device: device.to_owned(), part: "*".to_owned() };
        Ok(&group.ok_or_else(missing)?.thing)
    }

    fn parts(&self, device: &str) -> Result<&[PartDef], LiveError> {
        Ok(&self.thing(device)?.parts)
    }

    fn board(&self, device: &str) -> Result<Option<&BoardDef>, LiveError> {
        Ok(self.thing(device)?.board.as_ref().and_then(|b| self.plan.catalog.boards.get(b)))
    }

    /// Voltage of the board's pins, [V].
    fn logic_v(&self, device: &str) -> Result<f64, LiveError> {
        Ok(self.board(device)?.map_or(3.3, |b| b.logic_v))
    }

    fn part(&self, device: &str, part: &str) -> Result<&PartDef, LiveError> {
        let missing = || LiveError::Missing { device: device.to_owned(), part: part.to_owned() };
        self.parts(device)?.iter().find(|p| p.id == part).ok_or_else(missing)
    }
}

/// Models that [`on_i2c`] knows.
const ON_I2C: [&str; 9] =
    ["bme280", "bmp280", "mpu6050", "lsm9ds1", "scd41", "sht31", "bh1750", "ina219", "vl53l0x"];

fn wired<P: I2cPart + 'static>(part: P, sees: LiveStimulus) -> Option<Box<dyn I2cPart>> {
    Some(Box::new(Wired { part, sees }))
}

/// The register map of a further chip in the package of a catalog's model, if there is one.
fn beside_on_i2c(model: &str, address: u8, sees: LiveStimulus) -> Option<Box<dyn I2cPart>> {
    match model {
        "lsm9ds1" => wired(Magnetometer::new(address, sees.clone()), sees),
        _ => None,
    }
}

/// The register map of a catalog's model on I2C, if there is one.
fn on_i2c(model: &str, address: u8, unit: u64, sees: LiveStimulus) -> Option<Box<dyn I2cPart>> {
    let s = sees.clone();
    match model {
        "bme280" => wired(Bme280::new(address, s).with_trim(Trim::of_unit(unit)), sees),
        "bmp280" => wired(Bme280::bmp280(address, s).with_trim(Trim::of_unit(unit)), sees),
        "mpu6050" => wired(Mpu6050::new(address, s), sees),
        "lsm9ds1" => wired(Inertial::new(address, s), sees),
        "sht31" => wired(Sht31::new(address, s).with_serial(unit as u32), sees),
        "bh1750" => wired(Bh1750::new(address, s), sees),
        "ina219" => wired(Ina219::new(address, s), sees),
        "vl53l0x" => wired(Vl53l0x::new(s).at(address), sees),
        _ => None,
    }
}

/// A serial number of 48 bits that is the part's own (FNV-1a).
fn serial_number(device: &str, part: &str) -> u64 {
    let bytes = device.bytes().chain([b'/']).chain(part.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
        >> 16
}
