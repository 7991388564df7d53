//! What a part feels where it is fixed to a body, in its own frame.
//!
//! ```
//! use twinfleet_engine::physics::{SceneDef, feel::{Inertial, Mount}, scene::Scene};
//! let def: SceneDef = ron::from_str(
//!     r#"(bodies: [(id: "stone", kind: Dynamic, shape: Sphere(radius_m: 0.1), mass_kg: Some(1))])"#,
//! ).unwrap();
//! let mut scene = Scene::new(&def).unwrap();
//! let mut imu = Inertial::new(Mount::centre(0), &scene);
//! scene.advance();
//! let felt = imu.feel(&scene);
//! // Nothing is felt in free fall.
//! assert!(felt.specific_force_m_s2.iter().all(|f| f.abs() < 1e-3));
//! ```

use super::{
    BodyKind, ViewDef,
    scene::{Scene, rotation},
};
use crate::{
    scenario::MountDef,
    time::{SimTime, Span},
};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};
use std::f64::consts::TAU;

/// Quantities that a rigid body makes a part feel.
pub const FELT: [&str; 12] = [
    "accel_x",
    "accel_y",
    "accel_z",
    "gyro_x",
    "gyro_y",
    "gyro_z",
    "distance",
    "presence",
    "force",
    "magnetic_x",
    "magnetic_y",
    "magnetic_z",
];

/// What a range sensor reads when no echo returns, [m]: the HC-SR04's 38 ms time-out at 58 µs/cm (ElecFreaks user guide).
/// It lies beyond every range, so that the reading saturates at the part's own limit.
pub const TIME_OUT_M: f64 = 0.038 / 58e-6 / 100.0;

/// Whether a rigid body makes a part feel this quantity.
pub fn is_felt(quantity: &str) -> bool {
    FELT.contains(&quantity)
}

/// Where a part is fixed.
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    body: usize,
    body_from_part: Isometry3<f64>,
}

impl Mount {
    /// The centre of a body, along its axes.
    pub fn centre(body: usize) -> Self {
        Self { body, body_from_part: Isometry3::identity() }
    }

    /// A position [m] and orientation [°] in the body's frame.
    pub fn new(body: usize, at_m: (f64, f64, f64), rotation_deg: (f64, f64, f64)) -> Self {
        let at = Translation3::from(Vector3::new(at_m.0, at_m.1, at_m.2));
        Self { body, body_from_part: Isometry3::from_parts(at, rotation(rotation_deg)) }
    }

    /// The mount of a scenario on this body.
    pub fn of_def(body: usize, def: &MountDef) -> Self {
        Self::new(body, def.at_m, def.rotation_deg)
    }

    /// Index of the body.
    pub fn body(&self) -> usize {
        self.body
    }

    /// A vector of the world, such as the magnetic field, in the part's own frame.
    pub fn turned(&self, world: [f64; 3], scene: &Scene) -> [f64; 3] {
        self.world_from_part(scene).rotation.inverse_transform_vector(&world.into()).into()
    }

    fn world_from_part(&self, scene: &Scene) -> Isometry3<f64> {
        scene.state(self.body).world_from_body() * self.body_from_part
    }
}

/// What an inertial sensor feels over a sub-step, in its own frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Felt {
    /// Specific force, its mean over the sub-step, [m/s²].
    pub specific_force_m_s2: [f64; 3],
    /// Rate of rotation, its mean over the sub-step, [rad/s].
    pub rate_rad_s: [f64; 3],
}

/// An accelerometer and gyroscope.
///
/// The specific force is f = Rᵀ(Δv/h − g), from the change of velocity of the mount's own point over the sub-step: Euler's
/// and the centripetal acceleration ω̇ × r + ω × (ω × r) are in it by themselves. R is the orientation half-way through
/// the sub-step, without which a turning part would read ω³·r·h/2 across its arm. rapier's f32 velocities are resolved
/// to 2⁻²⁴ of their size, which reads as about 6·10⁻⁸·v/h: 0.3 mm/s² at 5 m/s and 1 ms, half an MPU6050's step.
#[derive(Clone, Debug)]
pub struct Inertial {
    mount: Mount,
    velocity_m_s: Vector3<f64>,
    rate_rad_s: Vector3<f64>,
    world_from_part: UnitQuaternion<f64>,
}

impl Inertial {
    /// The part at rest on its mount before the first sub-step.
    pub fn new(mount: Mount, scene: &Scene) -> Self {
        let mut part = Self {
            mount,
            velocity_m_s: Vector3::zeros(),
            rate_rad_s: Vector3::zeros(),
            world_from_part: UnitQuaternion::identity(),
        };
        part.follow(scene);
        part
    }

    fn follow(&mut self, scene: &Scene) {
        let state = scene.state(self.mount.body);
        let world_from_body = state.world_from_body();
        let arm = world_from_body.rotation * self.mount.body_from_part.translation.vector;
        self.velocity_m_s = state.velocity_at(&arm);
        self.rate_rad_s = state.rate_rad_s.into();
        self.world_from_part = world_from_body.rotation * self.mount.body_from_part.rotation;
    }

    /// What it felt over the sub-step just done. To be called after every sub-step.
    pub fn feel(&mut self, scene: &Scene) -> Felt {
        let before = self.clone();
        self.follow(scene);
        let h = scene.substep().as_secs_f64();
        let gravity = Vector3::new(0.0, 0.0, -scene.gravity_m_s2());
        let acceleration = (self.velocity_m_s - before.velocity_m_s) / h;
        let half_way = before.world_from_part.nlerp(&self.world_from_part, 0.5);
        let rate = 0.5 * (before.rate_rad_s + self.rate_rad_s);
        Felt {
            specific_force_m_s2: half_way.inverse_transform_vector(&(acceleration - gravity)).into(),
            rate_rad_s: half_way.inverse_transform_vector(&rate).into(),
        }
    }
}

/// Unit vectors of a cone about +x: its axis, six at half its half-angle, twelve on its rim.
fn cone(angle_deg: f64) -> Vec<Vector3<f64>> {
    let rim = 0.5 * angle_deg.to_radians();
    let mut rays = vec![Vector3::x()];
    for (half_angle, count) in [(0.5 * rim, 6), (rim, 12)] {
        let (sin, cos) = nalgebra::ComplexField::sin_cos(half_angle);
        rays.extend((0..count).map(|k| {
            let (s, c) = nalgebra::ComplexField::sin_cos(TAU * f64::from(k) / f64::from(count));
            Vector3::new(cos, sin * c, sin * s)
        }));
    }
    rays
}

/// A range sensor: the nearest of 19 rays in a cone, its own body left out.
#[derive(Clone, Debug)]
pub struct Range {
    mount: Mount,
    range_m: f64,
    rays: Vec<Vector3<f64>>,
}

impl Range {
    /// A sensor that looks along its +x.
    pub fn new(mount: Mount, view: ViewDef) -> Self {
        Self { mount, range_m: view.range_m, rays: cone(view.angle_deg) }
    }

    /// Distance to the nearest surface in the cone, [m]; [`TIME_OUT_M`] where there is none within range.
    pub fn distance_m(&self, scene: &Scene) -> f64 {
        let world_from_part = self.mount.world_from_part(scene);
        let origin = world_from_part.translation.vector.into();
        let hits = self.rays.iter().filter_map(|ray| {
            let direction = (world_from_part.rotation * ray).into();
            scene.cast(origin, direction, self.range_m, Some(self.mount.body))
        });
        hits.map(|h| h.distance_m)
            .fold(None, |a: Option<f64>, d| Some(a.map_or(d, |a| a.min(d))))
            .unwrap_or(TIME_OUT_M)
    }
}

/// A motion detector: high while a body that is not fixed moves in its cone in sight, and for a hold time after that;
/// then blind for a lock-out time. What it sees of a body are its centre and six points just inside its faces.
#[derive(Clone, Debug)]
pub struct Presence {
    mount: Mount,
    view: ViewDef,
    high_until: Option<SimTime>,
    blind_until: SimTime,
}

impl Presence {
    /// A detector that looks along its +x, its output low.
    pub fn new(mount: Mount, view: ViewDef) -> Self {
        Self { mount, view, high_until: None, blind_until: SimTime::ZERO }
    }

    /// Whether its output is high at the scene's instant. To be called in order of time.
    pub fn is_high(&mut self, scene: &Scene) -> bool {
        let now = scene.now();
        let motion = now >= self.blind_until && self.sees_motion(scene);
        if motion {
            self.high_until = Some(now + self.view.hold);
        }
        match self.high_until {
            Some(until) if motion || now < until => true,
            Some(until) => {
                self.high_until = None;
                // It fell when the hold ran out, which may lie between two ticks.
                self.blind_until = until + self.view.lock_out;
                false
            }
            None => false,
        }
    }

    /// Its state as bytes, for the state hash.
    pub fn state_bytes(&self) -> Vec<u8> {
        let high = self.high_until.unwrap_or(SimTime(i64::MIN));
        [high.0, self.blind_until.0].iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    fn sees_motion(&self, scene: &Scene) -> bool {
        let world_from_part = self.mount.world_from_part(scene);
        let own = Vector3::from(scene.state(self.mount.body).velocity_m_s);
        (0..scene.len()).any(|body| {
            let speed = (Vector3::from(scene.state(body).velocity_m_s) - own).norm();
            body != self.mount.body
                && scene.kind(body) != BodyKind::Fixed
                && speed > 0.0
                && speed >= self.view.min_speed_m_s
                && self.sees(scene, &world_from_part, body)
        })
    }

    fn sees(&self, scene: &Scene, world_from_part: &Isometry3<f64>, body: usize) -> bool {
        let world_from_body = scene.state(body).world_from_body();
        let half = 0.98 * scene.half_extent_m(body);
        let faces = (0..6).map(|k| {
            let axis = Vector3::ith(k % 3, half[k % 3]);
            if k < 3 { axis } else { -axis }
        });
        let min_cos = nalgebra::ComplexField::cos(0.5 * self.view.angle_deg.to_radians());
        std::iter::once(Vector3::zeros()).chain(faces).any(|p| {
            let at = world_from_body.rotation * p + world_from_body.translation.vector;
            let sight = at - world_from_part.translation.vector;
            let Some(direction) = sight.try_normalize(1e-9) else { return true };
            let cos = (world_from_part.rotation.inverse_transform_vector(&direction)).x;
            cos >= min_cos
                && sight.norm() <= self.view.range_m
                && scene
                    .cast(
                        world_from_part.translation.vector.into(),
                        direction.into(),
                        self.view.range_m,
                        Some(self.mount.body),
                    )
                    .is_some_and(|hit| hit.body == body)
        })
    }
}

/// A load cell under a body: the force that contacts press on the body against the part's +z, which points up out of a
/// platform. Friction along z is left out, so that a level platform reads the full load and a steep one does not.
#[derive(Clone, Debug)]
pub struct LoadCell {
    mount: Mount,
    impulse_n_s: f64,
    time: Span,
}

impl LoadCell {
    /// A cell that is tared without load.
    pub fn new(mount: Mount) -> Self {
        Self { mount, impulse_n_s: 0.0, time: Span::ZERO }
    }

    /// Takes in the sub-step just done.
    pub fn feel(&mut self, scene: &Scene) {
        let up = self.mount.world_from_part(scene).rotation * Vector3::z();
        let force = Vector3::from(scene.contact_force_n(self.mount.body));
        self.impulse_n_s -= force.dot(&up) * scene.substep().as_secs_f64();
        self.time = Span(self.time.0 + scene.substep().0);
    }

    /// Mean load since it was last read, [N]; zero if no sub-step was taken in.
    pub fn read_n(&mut self) -> f64 {
        let (impulse, time) = (self.impulse_n_s, self.time.as_secs_f64());
        self.impulse_n_s = 0.0;
        self.time = Span::ZERO;
        if time > 0.0 { impulse / time } else { 0.0 }
    }
}
