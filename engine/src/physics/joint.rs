//! Joints between bodies, and the drives that turn them and the rotors of [`super::rotor`].
//!
//! ```
//! use twinfleet_engine::physics::{SceneDef, scene::Scene};
//! let def: SceneDef = ron::from_str(
//!     r#"(bodies: [
//!         (id: "hook", kind: Fixed, shape: Sphere(radius_m: 0.01), position_m: (0, 0, 1)),
//!         (id: "bob", kind: Dynamic, shape: Sphere(radius_m: 0.01), position_m: (0.1, 0, 0), mass_kg: Some(1)),
//!     ], joints: [(id: "pivot", between: ("hook", "bob"), at_m: (0, 0, 1), axis: (0, 1, 0))])"#,
//! ).unwrap();
//! let mut scene = Scene::new(&def).unwrap();
//! // A quarter of the period of a pendulum of 1 m, 2 s, until it passes under the hook, 0.0997 rad on.
//! for _ in 0..502 {
//!     scene.advance();
//! }
//! assert!((scene.joint_angle_rad(0) - 0.0997).abs() < 1e-3);
//! ```

use super::scene::BodyState;
use crate::time::{SimTime, Span};
use nalgebra::{RealField, UnitQuaternion, Vector3};
use rapier3d::dynamics::ImpulseJointHandle;
use serde::Deserialize;
use std::f64::consts::{PI, TAU};

/// A hinge: the second body turns against the first about an axis through both. The two do not touch each other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointDef {
    /// Id, unique within the scene. Its signals are `<id>/hinge.angle@truth` and `<id>/hinge.rate@truth`.
    pub id: String,
    /// Ids of the two bodies.
    pub between: (String, String),
    /// A point of the axis at the start, in the world's frame, [m].
    pub at_m: (f64, f64, f64),
    /// Direction of the axis at the start, in the world's frame. The angle grows as the second body turns about it by the
    /// right-hand rule, and starts at 0.
    pub axis: (f64, f64, f64),
    /// A motor between the two; without one the hinge turns freely.
    #[serde(default)]
    pub drive: Option<DriveDef>,
    /// Largest torque of the drive, [N·m]. A drive needs one.
    #[serde(default)]
    pub torque_n_m: Option<f64>,
}

/// What a drive's speed should be from when on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriveDef {
    /// Time constant with which the speed follows: at once by default.
    #[serde(default)]
    pub tau: Span,
    /// Target speeds in order of time; 0 before the first.
    #[serde(default)]
    pub speeds: Vec<SpeedDef>,
    /// The actuator whose level gives the target speed, in place of `speeds`.
    #[serde(default)]
    pub follows: Option<FollowDef>,
}

/// An actuator of the fleet that drives a shaft.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowDef {
    /// `device/part`.
    pub actuator: String,
    /// Turns a minute at full level, negative backwards; what the level is worth in between goes by proportion.
    pub rpm: f64,
}

impl FollowDef {
    /// Its device and part.
    pub fn device_part(&self) -> (&str, &str) {
        self.actuator.split_once('/').unwrap_or((&self.actuator, ""))
    }
}

/// From when on which speed.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeedDef {
    /// From when on.
    #[serde(default)]
    pub at: Span,
    /// Turns a minute, negative backwards.
    pub rpm: f64,
}

/// A drive under way: a speed that follows its targets as a first-order lag.
#[derive(Clone, Debug)]
pub(super) struct Drive {
    def: DriveDef,
    next: usize,
    target_rad_s: f64,
    rate_rad_s: f64,
}

impl Drive {
    pub(super) fn new(def: &DriveDef) -> Self {
        Self { def: def.clone(), next: 0, target_rad_s: 0.0, rate_rad_s: 0.0 }
    }

    /// The actuator that it follows.
    pub(super) fn follows(&self) -> Option<&FollowDef> {
        self.def.follows.as_ref()
    }

    /// Its actuator is at this level, 0–1, until it is told another.
    pub(super) fn set_level(&mut self, level: f64) {
        if let Some(follows) = &self.def.follows {
            self.target_rad_s = level * follows.rpm * TAU / 60.0;
        }
    }

    /// The speed after one more sub-step that starts at `now`, [rad/s].
    pub(super) fn advance(&mut self, now: SimTime, substep: Span) -> f64 {
        while let Some(s) = self.def.speeds.get(self.next).filter(|s| SimTime::ZERO + s.at <= now) {
            self.target_rad_s = s.rpm * TAU / 60.0;
            self.next += 1;
        }
        let left = match self.def.tau.0 {
            0 => 0.0,
            tau => nalgebra::ComplexField::exp(-substep.as_secs_f64() / Span(tau).as_secs_f64()),
        };
        self.rate_rad_s = self.target_rad_s + (self.rate_rad_s - self.target_rad_s) * left;
        self.rate_rad_s
    }

    pub(super) fn rate_rad_s(&self) -> f64 {
        self.rate_rad_s
    }
}

/// A joint under way.
pub(super) struct Joint {
    pub(super) id: String,
    pub(super) handle: ImpulseJointHandle,
    /// Indices of the two bodies.
    pub(super) bodies: [usize; 2],
    /// The axis in the first body's frame.
    pub(super) axis: Vector3<f64>,
    /// The second body's orientation in the first one's frame at the start.
    pub(super) start: UnitQuaternion<f64>,
    pub(super) drive: Option<Drive>,
    pub(super) angle_rad: f64,
    pub(super) rate_rad_s: f64,
}

impl Joint {
    /// Reads the angle, turns counted: within half a turn of what it was.
    pub(super) fn follow(&mut self, first: &BodyState, second: &BodyState) {
        let (a, b) = (first.world_from_body().rotation, second.world_from_body().rotation);
        let turned = a.inverse() * b * self.start.inverse();
        let angle = 2.0 * RealField::atan2(turned.imag().dot(&self.axis), turned.w);
        let on = angle - self.angle_rad;
        self.angle_rad += on - TAU * ((on + PI) / TAU).floor();
        let rate = Vector3::from(second.rate_rad_s) - Vector3::from(first.rate_rad_s);
        self.rate_rad_s = rate.dot(&(a * self.axis));
    }
}
