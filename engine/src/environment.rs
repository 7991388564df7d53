//! Where devices live: weather outside, a thermal network of zones, and what actuators and events do to them.
//!
//! The plugin of the Environment set. Resources: [`Sky`], [`zones::ZoneModel`], [`zones::ZoneInputs`]. A tick publishes
//! the world as it stands at the tick's start and then steps it to the tick's end, with the weather and the actuators'
//! levels held: so a command acts on the next tick. Places written in [`Truth`]: `outside/<quantity>` and
//! `zone/<zone>/<quantity>`.
//!
//! A shard steps the weather and the zones it owns; the first shard alone emits the outside's rows and hash.
//!
//! ```
//! use twinfleet_engine::environment::{self, zones::ZoneDef};
//! let zones = [ZoneDef::named("desk"), ZoneDef { parent: Some("desk".into()), ..ZoneDef::named("case") }];
//! assert_eq!(environment::islands(&zones), [0, 0]);
//! ```

pub mod air;
pub mod ambient;
#[cfg(test)]
mod closed_loop;
pub mod network;
pub mod weather;
pub mod zones;

use ambient::Carried;
pub use ambient::{AmbientDef, EmitDef};
pub use weather::{Change, Outside, Weather, WeatherDef};
pub use zones::{NeighbourDef, SoilDef, ZoneDef, ZoneInputs, ZoneModel, islands};

use crate::{
    catalog::EffectDef,
    plan::Plan,
    scenario::{Action, OUTDOORS},
    signal::{Channel, Kind, SignalId},
    time::SimTime,
    world::{Clock, Event, Events, Row, Rows, StateHash, StateHashers, TickSystems, Truth, TruthId, Watch},
};
use bevy_ecs::{prelude::*, schedule::SystemSet};

/// Quantities of the ambient, which zones and the outdoors have alike, and their units: what the air carries, sound, and the
/// magnetic field. They stand last in both signal blocks.
const AMBIENT_CHANNELS: [(&str, &str); 9] = [
    ("co2", "ppm"),
    ("gas", "ppm"),
    ("pm1", "ug/m3"),
    ("pm2_5", "ug/m3"),
    ("pm10", "ug/m3"),
    ("sound", "dB"),
    ("magnetic_x", "uT"),
    ("magnetic_y", "uT"),
    ("magnetic_z", "uT"),
];

/// Where sound stands within [`AMBIENT_CHANNELS`], and the magnetic field.
const SOUND_AT: usize = 5;
const MAGNETIC_AT: usize = 6;

/// Quantities of every zone and their units, in the order of a zone's signal block.
pub const ZONE_CHANNELS: &[(&str, &str)] = &with_ambient::<5, 14>([
    ("temperature", "degC"),
    ("humidity", "percent"),
    ("pressure", "hPa"),
    ("illuminance", "lx"),
    ("soil_moisture", "percent"),
]);

/// Where a zone's ambient begins within [`ZONE_CHANNELS`].
const CARRIED_AT: usize = ZONE_CHANNELS.len() - AMBIENT_CHANNELS.len();

/// Quantities outdoors and their units, in the order of the outside's signal block.
pub const OUTSIDE_CHANNELS: &[(&str, &str)] = &with_ambient::<8, 17>([
    ("temperature", "degC"),
    ("humidity", "percent"),
    ("pressure", "hPa"),
    ("illuminance", "lx"),
    ("wind", "m/s"),
    ("irradiance", "W/m2"),
    ("cloud", "percent"),
    ("rain", "mm/h"),
]);

/// Where the outdoors' ambient, which stands still, begins within [`OUTSIDE_CHANNELS`].
const STILL_AT: usize = OUTSIDE_CHANNELS.len() - AMBIENT_CHANNELS.len();

type Quantity = (&'static str, &'static str);

/// These quantities and then the ambient's; `ALL` is the sum of both numbers.
const fn with_ambient<const N: usize, const ALL: usize>(own: [Quantity; N]) -> [Quantity; ALL] {
    let mut all = [("", ""); ALL];
    let mut i = 0;
    while i < ALL {
        all[i] = if i < N { own[i] } else { AMBIENT_CHANNELS[i - N] };
        i += 1;
    }
    all
}

/// Channels of a zone's signal block: `air.<quantity>@truth` for each of [`ZONE_CHANNELS`].
pub fn zone_channels() -> Vec<Channel> {
    truths(ZONE_CHANNELS)
}

/// Channels of the outside's signal block: `air.<quantity>@truth` for each of [`OUTSIDE_CHANNELS`].
pub fn outside_channels() -> Vec<Channel> {
    truths(OUTSIDE_CHANNELS)
}

fn truths(quantities: &[(&str, &str)]) -> Vec<Channel> {
    quantities.iter().map(|(q, unit)| Channel::new(&format!("air.{q}"), Kind::Truth, unit)).collect()
}

/// The steps within the Environment set, in order.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EnvironmentSystems {
    /// Commands and controllers take in what arrived; timeline commands.
    Hear,
    /// Weather and zones.
    Zones,
    /// Actuators follow their commands.
    Actuate,
}

/// The weather and the outside at the start of the tick.
#[derive(Resource, Clone, Debug)]
pub struct Sky {
    weather: Option<Weather>,
    /// The outside at the start of the tick.
    pub outside: Outside,
}

/// A zone that an event disturbs.
#[derive(Clone, Debug)]
struct Disturbance {
    zone: usize,
    from: SimTime,
    until: SimTime,
    does: Deed,
    held: bool,
}

/// An event that changes the weather.
#[derive(Clone, Debug)]
struct Front {
    from: SimTime,
    until: SimTime,
    change: Change,
    held: bool,
}

/// What an event does to its zone.
#[derive(Clone, Copy, Debug, Default)]
struct Deed {
    heat_w: f64,
    air_changes_per_h: f64,
    emits: EmitDef,
    /// 0: it makes no sound.
    sound_db: f64,
    magnetic_ut: (f64, f64, f64),
}

/// What the systems need besides: places, signals, events to come.
#[derive(Resource, Debug)]
struct Wiring {
    outside: Vec<(TruthId, Option<SignalId>)>,
    zones: Vec<Vec<(TruthId, Option<SignalId>)>>,
    disturbances: Vec<Disturbance>,
    /// In the order in which they begin: a later one prevails.
    fronts: Vec<Front>,
    ambient: AmbientDef,
    first_shard: bool,
}

/// Adds the weather, zones and disturbances of a plan to a run.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    let zones = &plan.scenario.world.zones;
    let first_shard = plan.shard.0 == 0;
    let owned = |z: usize| plan.zone_shard.get(z).is_none_or(|s| *s == plan.shard.0);
    world.init_resource::<Truth>();
    let mut truth = world.resource_mut::<Truth>();
    let outside = OUTSIDE_CHANNELS
        .iter()
        .enumerate()
        .map(|(c, (q, _))| {
            // Without weather the outside stands still, which is not worth a row a tick.
            let moves = plan.scenario.world.weather.is_some() && c < STILL_AT;
            let signal = (first_shard && moves).then_some(plan.outside_block);
            (truth.place(&format!("outside/{q}")), signal.map(|b| plan.signals.id(b, 0, c as u32)))
        })
        .collect();
    let stirred = stirred(plan);
    let wire_zone = |z: usize, truth: &mut Truth| {
        let wire = |(c, (q, _)): (usize, &(&str, &str))| {
            let block = plan.zone_blocks.get(z).filter(|_| c < CARRIED_AT || stirred[c - CARRIED_AT]);
            let signal = block.map(|b| plan.signals.id(*b, 0, c as u32));
            (truth.place(&format!("zone/{}/{q}", zones[z].id)), signal)
        };
        ZONE_CHANNELS.iter().enumerate().map(wire).collect()
    };
    let zone_wires = (0..zones.len()).map(|z| wire_zone(z, &mut truth)).collect();
    world.insert_resource(Wiring {
        outside,
        zones: zone_wires,
        disturbances: disturbances(plan, owned),
        fronts: fronts(plan),
        ambient: plan.scenario.world.ambient,
        first_shard,
    });
    world.insert_resource(Sky {
        weather: plan.scenario.world.weather.as_ref().map(|def| Weather::new(def, plan.seed)),
        outside: Outside::default(),
    });
    world.insert_resource(ZoneModel::new(zones, owned).amid(plan.scenario.world.ambient));
    world.insert_resource(ZoneInputs::new(zones.len()));
    world.get_resource_or_init::<StateHashers>().0.push(hash_environment);
    schedule.configure_sets(
        (EnvironmentSystems::Hear, EnvironmentSystems::Zones, EnvironmentSystems::Actuate)
            .chain()
            .in_set(TickSystems::Environment),
    );
    schedule.add_systems(
        (disturb_zones, publish_environment, step_zones).chain().in_set(EnvironmentSystems::Zones),
    );
}

/// Which of a zone's ambient quantities anything changes: what stands still is not worth a row a tick.
fn stirred(plan: &Plan) -> [bool; AMBIENT_CHANNELS.len()] {
    let world = &plan.scenario.world;
    let events = || plan.scenario.timeline.iter().filter_map(|e| Deed::of(&e.action).map(|(_, d)| d));
    let own_air = |z: &ZoneDef| z.ambient.is_some_and(|a| a.carried() != world.ambient.carried());
    let air = world.zones.iter().any(|z| !z.emits.is_none() || (z.volume_m3 > 0.0 && own_air(z)))
        || events().any(|d| !d.emits.is_none());
    let sounds = |effect: &EffectDef| matches!(effect, EffectDef::SoundDb(_));
    let sound = plan.catalog.actuators.values().any(|a| sounds(&a.effect) && plan.names_model(&a.name))
        || events().any(|d| d.sound_db != 0.0);
    let field = events().any(|d| d.magnetic_ut != (0.0, 0.0, 0.0));
    std::array::from_fn(|c| match c {
        SOUND_AT => sound,
        MAGNETIC_AT.. => field,
        _ => air,
    })
}

fn disturbances(plan: &Plan, owned: impl Fn(usize) -> bool) -> Vec<Disturbance> {
    let zones = &plan.scenario.world.zones;
    let of_event = |event: &crate::scenario::EventDef| {
        let (zone, does) = Deed::of(&event.action)?;
        let zone = zones.iter().position(|z| z.id == zone).filter(|z| owned(*z))?;
        Some(Disturbance {
            zone,
            from: SimTime::ZERO + event.at,
            until: event.until.map_or(SimTime::NEVER, |t| SimTime::ZERO + t),
            does,
            held: false,
        })
    };
    plan.scenario.timeline.iter().filter_map(of_event).collect()
}

fn fronts(plan: &Plan) -> Vec<Front> {
    let of_event = |event: &crate::scenario::EventDef| {
        Some(Front {
            change: Change::of(&event.action)?,
            from: SimTime::ZERO + event.at,
            until: event.until.map_or(SimTime::NEVER, |t| SimTime::ZERO + t),
            held: false,
        })
    };
    let mut fronts: Vec<Front> = plan.scenario.timeline.iter().filter_map(of_event).collect();
    fronts.sort_by_key(|f| f.from);
    fronts
}

/// What the timeline makes of the weather at the tick's start; the first shard says when a change begins or ends.
fn change_weather(wiring: &mut Wiring, now: SimTime, events: &mut Vec<Event>) -> Change {
    let mut all = Change::default();
    for front in &mut wiring.fronts {
        let held = front.from <= now && now < front.until;
        if held {
            all = all.then(&front.change);
        }
        if held != front.held && wiring.first_shard {
            events.push(Event {
                t: now,
                subject: OUTDOORS.to_owned(),
                part: "air".to_owned(),
                kind: if held { "weather_start" } else { "weather_end" }.to_owned(),
                detail: front.change.in_words(),
                ..Event::default()
            });
        }
        front.held = held;
    }
    all
}

/// Adds what disturbances do to the inputs that the actuators left in the last tick, and says when one begins or ends.
fn disturb_zones(
    clock: Res<Clock>,
    model: Res<ZoneModel>,
    mut wiring: ResMut<Wiring>,
    mut inputs: ResMut<ZoneInputs>,
    mut events: ResMut<Events>,
) {
    for d in &mut wiring.disturbances {
        // Inputs are held over a tick: a disturbance lasts over the ticks that start within it.
        let held = d.from <= clock.now && clock.now < d.until;
        if held {
            d.does.act(d.zone, &mut inputs);
        }
        if held != d.held {
            events.0.push(Event {
                t: clock.now,
                subject: model.defs()[d.zone].id.clone(),
                part: "air".to_owned(),
                kind: if held { "disturb_start" } else { "disturb_end" }.to_owned(),
                detail: d.does.in_words(),
                value: d.does.size(),
                ..Event::default()
            });
            d.held = held;
        }
    }
}

impl Deed {
    /// The zone that an event disturbs, and how.
    fn of(action: &Action) -> Option<(&str, Self)> {
        let Action::Disturb { zone, heat_w, air_changes_per_h, emits, sound_db, magnetic_ut } = action else {
            return None;
        };
        let deed = Self {
            heat_w: *heat_w,
            air_changes_per_h: *air_changes_per_h,
            emits: *emits,
            sound_db: *sound_db,
            magnetic_ut: *magnetic_ut,
        };
        Some((zone, deed))
    }

    fn act(&self, zone: usize, inputs: &mut ZoneInputs) {
        inputs.heat_w[zone] += self.heat_w;
        inputs.air_changes_per_h[zone] += self.air_changes_per_h;
        for (sum, q) in inputs.emitted[zone].iter_mut().zip(self.emits.per_s()) {
            *sum += q;
        }
        if self.sound_db != 0.0 {
            inputs.sound[zone] += 10f64.powf(self.sound_db / 10.0);
        }
        let (x, y, z) = self.magnetic_ut;
        for (sum, q) in inputs.magnetic_ut[zone].iter_mut().zip([x, y, z]) {
            *sum += q;
        }
    }

    /// Everything that it does, with sizes and units.
    fn parts(&self) -> Vec<(f64, String)> {
        let (x, y, z) = self.magnetic_ut;
        let field = (x * x + y * y + z * z).sqrt();
        let e = &self.emits;
        let all = [
            (self.heat_w, "W"),
            (self.air_changes_per_h, "air changes per hour"),
            (e.co2_l_h, "l/h of CO2"),
            (e.gas_l_h, "l/h of gas"),
            (e.pm1_mg_h, "mg/h of PM1"),
            (e.pm2_5_mg_h, "mg/h of PM2.5"),
            (e.pm10_mg_h, "mg/h of PM10"),
            (self.sound_db, "dB of sound"),
            (field, "µT"),
        ];
        all.into_iter().filter(|(x, _)| *x != 0.0).map(|(x, unit)| (x, format!("{x} {unit}"))).collect()
    }

    fn in_words(&self) -> String {
        let words: Vec<String> = self.parts().into_iter().map(|(_, text)| text).collect();
        if words.is_empty() { "0 air changes per hour".to_owned() } else { words.join(", ") }
    }

    fn size(&self) -> f64 {
        self.parts().first().map_or(0.0, |(x, _)| *x)
    }
}

/// Writes the world at the tick's start to [`Truth`] and to the rows.
#[expect(clippy::too_many_arguments, reason = "a system's arguments are the resources it touches")]
fn publish_environment(
    clock: Res<Clock>,
    mut sky: ResMut<Sky>,
    model: Res<ZoneModel>,
    inputs: Res<ZoneInputs>,
    mut wiring: ResMut<Wiring>,
    watch: Res<Watch>,
    mut truth: ResMut<Truth>,
    (mut rows, mut events): (ResMut<Rows>, ResMut<Events>),
) {
    let sky = &mut *sky;
    let change = change_weather(&mut wiring, clock.now, &mut events.0);
    if let Some(weather) = &mut sky.weather {
        sky.outside = weather.at_amid(clock.epoch_unix_ms, clock.now, &change);
    }
    let o = sky.outside;
    let mut put = |(place, signal): (TruthId, Option<SignalId>), value: f64| {
        truth.set(place, value);
        if let Some(signal) = signal.filter(|s| watch.wants(*s)) {
            rows.0.push(Row { t: clock.now, signal, value });
        }
    };
    let outside = [
        o.temperature_c,
        o.humidity_percent,
        o.pressure_hpa,
        o.illuminance_lx,
        o.wind_m_s,
        o.irradiance_w_m2,
        o.cloud * 100.0,
        o.rain_mm_h,
    ];
    let (x, y, z) = wiring.ambient.magnetic_ut;
    let still = ambient_values(wiring.ambient.carried(), wiring.ambient.sound_db, [x, y, z]);
    for (wire, value) in wiring.outside.iter().zip(outside.into_iter().chain(still)) {
        put(*wire, value);
    }
    for (z, wires) in wiring.zones.iter().enumerate() {
        let Some(s) = model.state(z) else { continue };
        let lx = model.illuminance_lx(z, &o, &inputs);
        let (sound_db, magnetic_ut) = model.sound_and_field(z, &inputs);
        let values = [s.temperature_c, s.humidity_percent, o.pressure_hpa, lx, s.soil_percent];
        let ambient = ambient_values(s.carried, sound_db, magnetic_ut);
        for (wire, value) in wires.iter().zip(values.into_iter().chain(ambient)) {
            put(*wire, value);
        }
    }
}

/// Values of the ambient in the order of [`AMBIENT_CHANNELS`].
fn ambient_values(carried: Carried, sound_db: f64, magnetic_ut: [f64; 3]) -> impl Iterator<Item = f64> {
    carried.into_iter().chain([sound_db]).chain(magnetic_ut)
}

/// Steps the zones to the tick's end and clears the inputs, which the actuators then fill for the next tick.
fn step_zones(
    clock: Res<Clock>,
    sky: Res<Sky>,
    mut model: ResMut<ZoneModel>,
    mut inputs: ResMut<ZoneInputs>,
) {
    model.step(&sky.outside, &inputs, clock.step.as_secs_f64());
    inputs.clear();
}

fn hash_environment(world: &mut World, hash: &mut StateHash) {
    let mut bytes = Vec::new();
    if world.resource::<Wiring>().first_shard {
        let o = world.resource::<Sky>().outside;
        for x in
            [o.temperature_c, o.humidity_percent, o.pressure_hpa, o.wind_m_s, o.irradiance_w_m2, o.rain_mm_h]
        {
            bytes.extend_from_slice(&x.to_le_bytes());
        }
        hash.add("outside", &bytes);
    }
    let model = world.resource::<ZoneModel>();
    for (z, def) in model.defs().iter().enumerate() {
        let Some(s) = model.state(z) else { continue };
        bytes.clear();
        for x in [s.temperature_c, s.mass_c, s.vapour_g_m3, s.soil_percent].into_iter().chain(s.carried) {
            bytes.extend_from_slice(&x.to_le_bytes());
        }
        hash.add(&format!("zone/{}", def.id), &bytes);
    }
}
