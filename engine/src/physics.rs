//! Rigid bodies by rapier3d, and what parts fixed to them feel: specific force, rotation, range, presence, contact force.
//!
//! Reading order: the shapes of a scene (here) → [`joint`], [`rotor`], [`odometer`] (what a scene may have besides bodies)
//! → [`check`] → [`scene`] (bodies and their motion) → [`feel`] (what parts feel) → [`plugin`] (the system of the tick).
//!
//! Axes: the world's z points up, gravity along −z. Angles turn about the fixed x, then y, then z axis of the outer frame
//! (roll, pitch, yaw: R = Rz·Ry·Rx). rapier computes in f32; everything that leaves this module is f64.
//!
//! # What a twin may check it against
//! With f the specific force a part reads (what an accelerometer measures), a the acceleration of its place, g gravity:
//!
//! | motion | law |
//! |---|---|
//! | any | f = Rᵀ(a − g) |
//! | at rest | f = g upwards, whatever the orientation |
//! | free fall, no rotation | f = 0 |
//! | free fall, turning at ω | f = ω × (ω × r) at r from the centre of mass |
//! | sliding down a slope θ with friction μ | a = g(sin θ − μ cos θ); f = g cos θ along the normal, μ g cos θ up the slope |
//! | impact with restitution e in one point | ∫f dt = (1 + e)·v, v the speed of approach |
//! | at rest on a load cell | F = m·g |
//! | pendulum of length L let go at θ₀ | T = 4√(L/g)·K(sin θ₀/2); f = g(3 cos θ − 2 cos θ₀) along the rod |
//! | housing of a rotor out of balance | see [`rotor`] |
//! | two wheels that roll | see [`odometer`] |
//!
//! **A hinge loses energy in proportion to the sub-step**: a pendulum of 1 m let go at 45° loses 0.027 % of it a second at
//! 1 ms (tests allow 0.04 %), half of that at half the sub-step. On an elastic mount without damping energy swings by
//! ω·h/2 of itself, and does not drift.
//!
//! **Contacts are rigid.** rapier stops an approaching body within one sub-step h (a speculative contact), so an impact
//! at speed v reads a peak of about (1 + e)·v/h for one sub-step, not the half-sine over milliseconds that a real parcel's
//! cardboard makes: the impulse ∫f dt is physical and does not depend on h, the height of the peak is not. A part whose
//! range is exceeded saturates either way.
//!
//! **A box that lands flat bounces less than its e says**, since several contacts share the impulse and are solved one after the
//! other: from a drop of 1 m it leaves the floor with 0.77·e of its speed at 1 ms, and with less at
//! finer sub-steps (0.71, 0.59 and 0.63·e at 0.25 ms and e = 1, 0.8 and 0.5). For a sphere the law holds. A body
//! on one whose restitution is 0, the default, does not bounce at all: the two have the geometric mean.
//!
//! Deliberately absent: soft bodies, joints other than hinges, air drag, sound reflection (a range sensor hears the nearest surface in its
//! beam, whatever its slant), and heat contrast (to a presence sensor every moving body is warm).
//!
//! ```
//! use twinfleet_engine::physics::{SceneDef, scene::Scene};
//! let def: SceneDef = ron::from_str(
//!     r#"(substep: "1ms", bodies: [
//!         (id: "stone", kind: Dynamic, shape: Sphere(radius_m: 0.05), position_m: (0, 0, 10), mass_kg: Some(1.0)),
//!     ])"#,
//! ).unwrap();
//! let mut scene = Scene::new(&def).unwrap();
//! for _ in 0..1000 {
//!     scene.advance();
//! }
//! // One second of free fall: v = g·t.
//! assert!((scene.state(0).velocity_m_s[2] + 9.80665).abs() < 1e-3);
//! ```

pub mod check;
pub mod feel;
pub mod joint;
pub mod odometer;
pub mod plugin;
pub mod rotor;
pub mod scene;
#[cfg(test)]
mod tests;

pub use plugin::install;

use joint::JointDef;
use odometer::OdometerDef;
use rotor::{RotorDef, SuspensionDef};

use crate::{
    signal::{BlockId, Channel, Kind, SignalTable},
    time::Span,
};
use serde::Deserialize;

/// A scene of rigid bodies. It is one coupling island: shard 0 simulates it and every device with a part mounted on it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneDef {
    /// Gravity, [m/s²], along −z. Standard gravity by default (ISO 80000-3).
    #[serde(default = "standard_gravity")]
    pub gravity_m_s2: f64,
    /// Length of one step of the rigid bodies; the scenario's `step` is a multiple of it. A part whose firmware wakes more
    /// often than that reads the same value twice.
    #[serde(default = "one_millisecond")]
    pub substep: Span,
    /// The bodies, in the order of the state hash.
    #[serde(default)]
    pub bodies: Vec<BodyDef>,
    /// Hinges between bodies.
    #[serde(default)]
    pub joints: Vec<JointDef>,
    /// Rotors out of balance.
    #[serde(default)]
    pub rotors: Vec<RotorDef>,
    /// Odometers of bodies on two wheels.
    #[serde(default)]
    pub odometers: Vec<OdometerDef>,
}

impl SceneDef {
    /// The actuators that drives follow, with the drives' places within the scene.
    pub fn followed(&self) -> impl Iterator<Item = (String, &joint::FollowDef)> {
        let joints = self.joints.iter().enumerate();
        let joints = joints.filter_map(|(i, j)| Some((format!("joints[{i}]"), j.drive.as_ref()?)));
        let rotors = self.rotors.iter().enumerate().map(|(i, r)| (format!("rotors[{i}]"), &r.drive));
        joints.chain(rotors).filter_map(|(path, drive)| Some((path, drive.follows.as_ref()?)))
    }

    /// Ids of all that has signals: bodies, joints, rotors, odometers.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let (bodies, joints) = (self.bodies.iter().map(|b| &b.id), self.joints.iter().map(|j| &j.id));
        let (rotors, odometers) = (self.rotors.iter().map(|r| &r.id), self.odometers.iter().map(|o| &o.id));
        bodies.chain(joints).chain(rotors).chain(odometers).map(String::as_str)
    }
}

/// A rigid body of homogeneous density.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyDef {
    /// Id, unique within the scene. Its signals are `<id>/pose.x@truth` and so on, see [`BODY_CHANNELS`]; a device may bear
    /// the same id.
    pub id: String,
    /// What moves it.
    pub kind: BodyKind,
    /// Its shape, centred on its position.
    pub shape: ShapeDef,
    /// Position of its centre, [m].
    #[serde(default)]
    pub position_m: (f64, f64, f64),
    /// Orientation about the fixed x, then y, then z axis, [°].
    #[serde(default)]
    pub rotation_deg: (f64, f64, f64),
    /// Mass, [kg]. Dynamic bodies need one, others have none.
    #[serde(default)]
    pub mass_kg: Option<f64>,
    /// Coulomb friction coefficient. Two bodies in contact rub with the geometric mean √(μ₁μ₂): equal ones with their own,
    /// a frictionless one with none.
    #[serde(default = "half")]
    pub friction: f64,
    /// Coefficient of restitution, 0–1; two bodies bounce with the geometric mean √(e₁e₂).
    #[serde(default)]
    pub restitution: f64,
    /// Velocity of its centre at the start, [m/s].
    #[serde(default)]
    pub velocity_m_s: (f64, f64, f64),
    /// Rate of rotation at the start about the world's axes, [°/s].
    #[serde(default)]
    pub rate_deg_s: (f64, f64, f64),
    /// Changes of velocity of a kinematic body, in order of time.
    #[serde(default)]
    pub moves: Vec<MoveDef>,
    /// Whether other bodies touch it. One that they do not may overlap them, such as a pendulum's bob and its rod; sensors
    /// see it all the same.
    #[serde(default = "yes")]
    pub touches: bool,
    /// An elastic mount that it stands on.
    #[serde(default)]
    pub suspension: Option<SuspensionDef>,
}

/// What moves a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum BodyKind {
    /// Nothing: a floor, a chute, the platform of a scale.
    Fixed,
    /// Gravity and contacts.
    Dynamic,
    /// Its own drive, whatever is in the way: a gate, a pusher, a conveyor's flight.
    Kinematic,
}

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ShapeDef {
    /// A cuboid.
    Box {
        /// Full edge lengths along x, y, z, [m].
        size_m: (f64, f64, f64),
    },
    /// A ball.
    Sphere {
        /// Radius, [m].
        radius_m: f64,
    },
    /// A cylinder along z.
    Cylinder {
        /// Radius, [m].
        radius_m: f64,
        /// Full length, [m].
        length_m: f64,
    },
    /// A cylinder along z with a half ball at both ends.
    Capsule {
        /// Radius, [m].
        radius_m: f64,
        /// Length of the straight part, [m].
        length_m: f64,
    },
}

/// From when on a kinematic body moves how.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveDef {
    /// From when on.
    pub at: Span,
    /// Velocity of its centre, [m/s].
    #[serde(default)]
    pub velocity_m_s: (f64, f64, f64),
    /// Rate of rotation about the world's axes, [°/s].
    #[serde(default)]
    pub rate_deg_s: (f64, f64, f64),
}

/// What a sensor that looks sees: a cone about its +x axis.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewDef {
    /// Full angle of the cone, [°].
    pub angle_deg: f64,
    /// How far it sees, [m].
    pub range_m: f64,
    /// Presence only: slowest motion that it notices, [m/s].
    #[serde(default)]
    pub min_speed_m_s: f64,
    /// Presence only: how long its output stays high after the last motion (retriggerable).
    #[serde(default)]
    pub hold: Span,
    /// Presence only: how long it is blind after its output fell.
    #[serde(default)]
    pub lock_out: Span,
}

impl ViewDef {
    /// The view of a sensor of this quantity whose catalog file has none.
    ///
    /// `distance`: 15° and 4 m (HC-SR04, ElecFreaks user guide, "Measuring angle", "Max range"). `presence`: 110° and 7 m,
    /// 0.3 s hold with the time trimmer at its stop, 2.5 s lock-out (HC-SR501, "Sensing range", "Delay time", "Block time");
    /// the slowest motion, 0.1 m/s, is an assumption, for the datasheet names none.
    pub fn of_quantity(quantity: &str) -> Option<Self> {
        match quantity {
            "distance" => Some(Self {
                angle_deg: 15.0,
                range_m: 4.0,
                min_speed_m_s: 0.0,
                hold: Span::ZERO,
                lock_out: Span::ZERO,
            }),
            "presence" => Some(Self {
                angle_deg: 110.0,
                range_m: 7.0,
                min_speed_m_s: 0.1,
                hold: Span(300_000_000),
                lock_out: Span(2_500_000_000),
            }),
            _ => None,
        }
    }
}

/// Signals of every body: `part.quantity` and unit, all of kind truth. Positions are those of its centre at the start of
/// the tick, which is the row's instant; speed is that of its centre; the orientation `world_from_body` is a unit quaternion.
pub const BODY_CHANNELS: [(&str, &str); 8] = [
    ("pose.x", "m"),
    ("pose.y", "m"),
    ("pose.z", "m"),
    ("motion.speed", "m/s"),
    ("orientation.x", "none"),
    ("orientation.y", "none"),
    ("orientation.z", "none"),
    ("orientation.w", "none"),
];

/// Signals of every joint: its angle since the start, turns counted, and its rate; kind truth, at the start of the tick.
pub const JOINT_CHANNELS: [(&str, &str); 2] = [("hinge.angle", "rad"), ("hinge.rate", "rad/s")];

/// Signals of every rotor: the speed of its shaft; kind truth, at the start of the tick.
pub const ROTOR_CHANNELS: [(&str, &str); 1] = [("shaft.rate", "rad/s")];

/// Signals of every odometer, at the start of the tick: the reckoned place of the middle between the wheels and the heading,
/// which are readings; then the true heading, how far the reckoned place is from the true one, and the heading's error.
/// Headings count turns.
pub const ODOMETER_CHANNELS: [(&str, &str, Kind); 6] = [
    ("odometer.x", "m", Kind::Reading),
    ("odometer.y", "m", Kind::Reading),
    ("odometer.heading", "rad", Kind::Reading),
    ("pose.heading", "rad", Kind::Truth),
    ("error.place", "m", Kind::Truth),
    ("error.heading", "rad", Kind::Truth),
];

/// Adds the signals of the scene to the table, one block a body, then a joint, a rotor, an odometer; `Plan.body_blocks`
/// keeps them.
pub fn add_body_blocks(scene: Option<&SceneDef>, signals: &mut SignalTable) -> Vec<BlockId> {
    let Some(scene) = scene else { return Vec::new() };
    let truths = |channels: &[(&str, &str)]| -> Vec<Channel> {
        channels.iter().map(|(name, unit)| Channel::new(name, Kind::Truth, unit)).collect()
    };
    let reckoned =
        || ODOMETER_CHANNELS.iter().map(|(name, unit, kind)| Channel::new(name, *kind, unit)).collect();
    let mut blocks = Vec::new();
    blocks.extend(scene.bodies.iter().map(|b| signals.add_block(&b.id, 1, truths(&BODY_CHANNELS))));
    blocks.extend(scene.joints.iter().map(|j| signals.add_block(&j.id, 1, truths(&JOINT_CHANNELS))));
    blocks.extend(scene.rotors.iter().map(|r| signals.add_block(&r.id, 1, truths(&ROTOR_CHANNELS))));
    blocks.extend(scene.odometers.iter().map(|o| signals.add_block(&o.id, 1, reckoned())));
    blocks
}

fn standard_gravity() -> f64 {
    9.80665
}
fn one_millisecond() -> Span {
    Span(1_000_000)
}
fn yes() -> bool {
    true
}
fn half() -> f64 {
    0.5
}
