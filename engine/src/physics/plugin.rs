//! The system of the tick that advances the scene and tells [`Truth`] what parts feel.
//!
//! One system, `advance_scene`, in [`TickSystems::Physics`]; resource [`SceneState`]. Places written, all
//! `part/<device>/<part>/<quantity>`: `magnetic_x/y/z` [µT], the zone's field at the tick's start turned into the part's
//! frame; `accel_x/y/z` [m/s²] and `gyro_x/y/z` [rad/s] as tracks of one value a sub-step,
//! the mean over it; `distance` [m] and `presence` [0/1] as seen at the tick's start; `force` [N], the mean over the tick.
//! A drive that follows an actuator takes its level at the tick's start. Body rows (see [`super::BODY_CHANNELS`]) are those of the tick's start. Install it before the sensors, which look for
//! these places.
//!
//! ```
//! use twinfleet_engine::physics::plugin::place_name;
//! assert_eq!(place_name("parcel-3", "imu", "accel_z"), "part/parcel-3/imu/accel_z");
//! ```

use super::{
    ViewDef,
    check::{SceneError, check_scenario},
    feel::{Inertial, LoadCell, Mount, Presence, Range},
    joint::FollowDef,
    scene::Scene,
};
use crate::{
    actuate::ActuatorBank,
    catalog::SensorDef,
    plan::{GroupPlan, Plan},
    signal::SignalId,
    world::{Clock, Row, Rows, StateHash, StateHashers, TickSystems, Truth, TruthId, Watch},
};
use bevy_ecs::prelude::*;

/// The scene of a run and the parts that feel it.
#[derive(Resource)]
pub struct SceneState {
    /// The bodies.
    pub scene: Scene,
    parts: Vec<FeelingPart>,
    /// Per body, its signals in the order of [`super::BODY_CHANNELS`].
    signals: Vec<[SignalId; 8]>,
    /// Per joint, rotor and odometer, the first of its signals.
    assembly: Vec<SignalId>,
    follows: Vec<Follow>,
}

/// A drive that an actuator's level gives its speed.
struct Follow {
    drive: usize,
    device: String,
    part: String,
    /// Its bank's group and its place in the bank, once looked up: banks come after the scene.
    found: Option<(usize, usize)>,
}

impl Follow {
    /// Its actuator's level, 0–1.
    fn level(&mut self, banks: &Query<&ActuatorBank>) -> f64 {
        let named = |bank: &ActuatorBank, unit: usize| {
            bank.device_id(unit) == self.device && bank.parts[bank.units[unit].part as usize].0 == self.part
        };
        if self.found.is_none() {
            self.found = banks
                .iter()
                .find_map(|bank| Some((bank.group, (0..bank.units.len()).find(|unit| named(bank, *unit))?)));
        }
        let Some((group, unit)) = self.found else { return 0.0 };
        banks.iter().find(|b| b.group == group).map_or(0.0, |b| b.units[unit].follower.level())
    }
}

/// A part that feels a body. `device/part` names it in the state hash.
struct FeelingPart {
    name: String,
    sense: Sense,
}

enum Sense {
    Inertial {
        imu: Inertial,
        axes: Vec<Axis>,
    },
    Range {
        range: Range,
        place: TruthId,
    },
    Presence {
        presence: Presence,
        place: TruthId,
    },
    Load {
        cell: LoadCell,
        place: TruthId,
    },
    /// The zone's field along the world's axes, and the part's places for those that it measures.
    Compass {
        mount: Mount,
        field: [TruthId; 3],
        axes: Vec<(usize, TruthId)>,
    },
}

/// One axis of an inertial sensor: 0–2 specific force, 3–5 rate of rotation.
struct Axis {
    index: usize,
    place: TruthId,
    track: Vec<f64>,
}

/// The place in [`Truth`] of what a part feels.
pub fn place_name(device: &str, part: &str, quantity: &str) -> String {
    format!("part/{device}/{part}/{quantity}")
}

/// Adds the scene, where the scenario has one and this shard is the first.
///
/// # Errors
/// Every mistake of the scene and its mounts, together.
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) -> Result<(), Vec<SceneError>> {
    let errors = check_scenario(&plan.scenario, &plan.catalog);
    if !errors.is_empty() {
        return Err(errors);
    }
    let Some(def) = plan.scenario.world.scene.as_ref().filter(|_| plan.shard.0 == 0) else { return Ok(()) };
    let scene = Scene::new(def)?;
    let mut parts = Vec::new();
    world.get_resource_or_init::<Truth>();
    for group in &plan.groups {
        for i in 0..group.count {
            mount_parts(&mut world.resource_mut::<Truth>(), plan, group, i, &scene, &mut parts);
        }
    }
    let (bodies, assembly) = plan.body_blocks.split_at(scene.len());
    let signals =
        bodies.iter().map(|b| [0, 1, 2, 3, 4, 5, 6, 7].map(|c| plan.signals.id(*b, 0, c))).collect();
    let assembly = assembly.iter().map(|b| plan.signals.id(*b, 0, 0)).collect();
    let follow = |(drive, def): (usize, &FollowDef)| {
        let (device, part) = def.device_part();
        Follow { drive, device: device.to_owned(), part: part.to_owned(), found: None }
    };
    let follows = scene.followed().map(follow).collect();
    world.insert_resource(SceneState { scene, parts, signals, assembly, follows });
    world.get_resource_or_init::<StateHashers>().0.push(hash_scene);
    schedule.add_systems(advance_scene.in_set(TickSystems::Physics));
    Ok(())
}

fn mount_parts(
    truth: &mut Truth,
    plan: &Plan,
    group: &GroupPlan,
    i: u32,
    scene: &Scene,
    parts: &mut Vec<FeelingPart>,
) {
    let device = plan.device_id(group, i);
    for def in &plan.scenario.fleet[group.def].mounts {
        let body = scene.find(&def.body.replace("{}", &i.to_string()));
        let part = group.thing.parts.iter().find(|p| p.id == def.part);
        let sensor = part.and_then(|p| plan.catalog.sensors.get(&p.model));
        // Mounts were checked; what is missing here is an actuator, which feels nothing.
        let (Some(body), Some(sensor)) = (body, sensor) else { continue };
        let name = format!("{device}/{}", def.part);
        let around = match group.zone(i) {
            Some(z) => format!("zone/{}", plan.scenario.world.zones[z].id),
            None => "outside".to_owned(),
        };
        let field = ["x", "y", "z"].map(|axis| truth.place(&format!("{around}/magnetic_{axis}")));
        let mut place = |quantity: &str| truth.place(&place_name(&device, &def.part, quantity));
        let senses = senses_of(sensor, Mount::of_def(body, def), scene, field, &mut place);
        parts.extend(senses.into_iter().map(|sense| FeelingPart { name: name.clone(), sense }));
    }
}

fn senses_of(
    sensor: &SensorDef,
    mount: Mount,
    scene: &Scene,
    field: [TruthId; 3],
    place: &mut dyn FnMut(&str) -> TruthId,
) -> Vec<Sense> {
    let inertial = ["accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z"];
    let magnetic = ["magnetic_x", "magnetic_y", "magnetic_z"];
    let (mut senses, mut axes, mut compass) = (Vec::new(), Vec::new(), Vec::new());
    for channel in &sensor.channels {
        let quantity = channel.quantity.as_str();
        let view = sensor.view.or_else(|| ViewDef::of_quantity(quantity));
        if let Some(index) = inertial.iter().position(|q| *q == quantity) {
            axes.push(Axis { index, place: place(quantity), track: Vec::new() });
        }
        if let Some(index) = magnetic.iter().position(|q| *q == quantity) {
            compass.push((index, place(quantity)));
        }
        match (quantity, view) {
            ("distance", Some(view)) => {
                senses.push(Sense::Range { range: Range::new(mount, view), place: place(quantity) });
            }
            ("presence", Some(view)) => {
                senses.push(Sense::Presence { presence: Presence::new(mount, view), place: place(quantity) });
            }
            ("force", _) => senses.push(Sense::Load { cell: LoadCell::new(mount), place: place(quantity) }),
            _ => {}
        }
    }
    if !compass.is_empty() {
        senses.push(Sense::Compass { mount, field, axes: compass });
    }
    if !axes.is_empty() {
        senses.push(Sense::Inertial { imu: Inertial::new(mount, scene), axes });
    }
    senses
}

fn advance_scene(
    mut state: ResMut<SceneState>,
    clock: Res<Clock>,
    mut truth: ResMut<Truth>,
    mut rows: ResMut<Rows>,
    watch: Res<Watch>,
    banks: Query<&ActuatorBank>,
) {
    let SceneState { scene, parts, signals, assembly, follows } = &mut *state;
    for follow in follows {
        scene.set_level(follow.drive, follow.level(&banks));
    }
    emit_bodies(scene, signals, &clock, &watch, &mut rows);
    emit_assembly(scene, assembly, &clock, &watch, &mut rows);
    for part in parts.iter_mut() {
        part.look(scene, &mut truth);
    }
    for _ in 0..clock.step.0 / scene.substep().0 {
        scene.advance();
        for part in parts.iter_mut() {
            part.feel(scene);
        }
    }
    for part in parts.iter_mut() {
        part.tell(&clock, &mut truth);
    }
}

impl FeelingPart {
    /// What is sampled at the tick's start.
    fn look(&mut self, scene: &Scene, truth: &mut Truth) {
        match &mut self.sense {
            Sense::Range { range, place } => truth.set(*place, range.distance_m(scene)),
            Sense::Presence { presence, place } => {
                truth.set(*place, f64::from(u8::from(presence.is_high(scene))));
            }
            Sense::Compass { mount, field, axes } => {
                let turned = mount.turned(field.map(|id| truth.get(id)), scene);
                for (index, place) in axes {
                    truth.set(*place, turned[*index]);
                }
            }
            Sense::Inertial { .. } | Sense::Load { .. } => {}
        }
    }

    /// What is gathered over sub-steps.
    fn feel(&mut self, scene: &Scene) {
        match &mut self.sense {
            Sense::Inertial { imu, axes } => {
                let felt = imu.feel(scene);
                let [fx, fy, fz] = felt.specific_force_m_s2;
                let [wx, wy, wz] = felt.rate_rad_s;
                for axis in axes {
                    axis.track.push([fx, fy, fz, wx, wy, wz][axis.index]);
                }
            }
            Sense::Load { cell, .. } => cell.feel(scene),
            Sense::Range { .. } | Sense::Presence { .. } | Sense::Compass { .. } => {}
        }
    }

    /// Hands over what was gathered.
    fn tell(&mut self, clock: &Clock, truth: &mut Truth) {
        match &mut self.sense {
            Sense::Inertial { axes, .. } => {
                for axis in axes {
                    truth.set_track(axis.place, clock.now, clock.step, &axis.track);
                    axis.track.clear();
                }
            }
            Sense::Load { cell, place } => truth.set(*place, cell.read_n()),
            Sense::Range { .. } | Sense::Presence { .. } | Sense::Compass { .. } => {}
        }
    }
}

fn emit_bodies(scene: &Scene, signals: &[[SignalId; 8]], clock: &Clock, watch: &Watch, rows: &mut Rows) {
    for (body, ids) in signals.iter().enumerate() {
        if !ids.iter().any(|id| watch.wants(*id)) {
            continue;
        }
        let state = scene.state(body);
        let [x, y, z] = state.position_m;
        let [i, j, k, w] = state.rotation;
        let speed = nalgebra::Vector3::from(state.velocity_m_s).norm();
        for (signal, value) in ids.iter().zip([x, y, z, speed, i, j, k, w]) {
            if watch.wants(*signal) {
                rows.0.push(Row { t: clock.now, signal: *signal, value });
            }
        }
    }
}

fn emit_assembly(scene: &Scene, first: &[SignalId], clock: &Clock, watch: &Watch, rows: &mut Rows) {
    if first.is_empty() {
        return;
    }
    for (first, values) in first.iter().zip(scene.assembly_values()) {
        for (k, value) in values.into_iter().enumerate() {
            let signal = SignalId(first.0 + k as u32);
            if watch.wants(signal) {
                rows.0.push(Row { t: clock.now, signal, value });
            }
        }
    }
}

fn hash_scene(world: &mut World, hash: &mut StateHash) {
    let Some(state) = world.get_resource::<SceneState>() else { return };
    for body in 0..state.scene.len() {
        hash.add(&format!("body/{}", state.scene.id(body)), &state.scene.state_bytes(body));
    }
    for (id, bytes) in state.scene.assembly_bytes() {
        hash.add(&format!("assembly/{id}"), &bytes);
    }
    for part in &state.parts {
        if let Sense::Presence { presence, .. } = &part.sense {
            hash.add(&format!("presence/{}", part.name), &presence.state_bytes());
        }
    }
}
