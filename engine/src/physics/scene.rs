//! A scene: the rapier world, its bodies, their motion sub-step by sub-step.
//!
//! rapier's own choices are set here for accuracy and determinism rather than for speed: no sleeping (a parcel at rest
//! must go on reading +1 g from the contact that carries it), no recycled contacts (they may lie 5 cm behind the body),
//! gyroscopic torques on, and one friction constraint a contact face rather than one a contact point: the latter, which
//! rapier calls Coulomb, loses 4 % of μ on a sliding box, because each point's impulse leans away from the velocity by its
//! own lever arm, while the former meets the closed form to 0.02 %. rapier is built with `enhanced-determinism` and
//! without `parallel`: the same sub-steps give the same bits at any thread count.
//!
//! ```
//! use twinfleet_engine::physics::{SceneDef, scene::Scene};
//! let def: SceneDef = ron::from_str(
//!     r#"(bodies: [
//!         (id: "floor", kind: Fixed, shape: Box(size_m: (4, 4, 0.1))),
//!         (id: "crate", kind: Dynamic, shape: Box(size_m: (0.2, 0.2, 0.2)), position_m: (0, 0, 0.15), mass_kg: Some(2)),
//!     ])"#,
//! ).unwrap();
//! let mut scene = Scene::new(&def).unwrap();
//! for _ in 0..100 {
//!     scene.advance();
//! }
//! // The floor carries the crate's weight.
//! assert!((scene.contact_force_n(0)[2] + 2.0 * 9.80665).abs() < 0.01);
//! ```

use super::{
    BodyDef, BodyKind, MoveDef, SceneDef, ShapeDef,
    check::SceneError,
    joint::{Drive, FollowDef, Joint, JointDef},
    odometer::{Odometer, heading_rad},
    rotor::{Rotor, SuspensionDef},
};
use crate::time::{SimTime, Span};
use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion, Vector3};
use rapier3d::{
    dynamics::{
        FrictionModel, GenericJointBuilder, JointAxesMask, JointAxis, MotorModel, RigidBody, RigidBodyHandle,
    },
    geometry::InteractionGroups,
    math::{Pose, Rotation, Vector},
    pipeline::{PhysicsWorld, QueryFilter},
    prelude::{
        CoefficientCombineRule, Collider, ColliderBuilder, ColliderHandle, Ray, RigidBodyBuilder, SharedShape,
    },
};
use std::f64::consts::FRAC_PI_2;

/// Solver iterations a sub-step in a scene with joints; rapier's own 4 elsewhere. A hinge takes from a pendulum a share of
/// about ω²·h/iterations of its kinetic energy a second, for the body goes along the chord and is pulled back onto the arc.
const JOINT_ITERATIONS: usize = 8;

/// How hard a joint's motor pulls at its speed, [1/s]: far more than a sub-step can show, so that its torque alone limits it.
const STIFF_PER_S: f32 = 1e8;

/// Where a body is and how it moves, in the world's frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BodyState {
    /// Position of its centre, [m].
    pub position_m: [f64; 3],
    /// Orientation `world_from_body`, a unit quaternion (x, y, z, w).
    pub rotation: [f64; 4],
    /// Velocity of its centre, [m/s].
    pub velocity_m_s: [f64; 3],
    /// Rate of rotation, [rad/s].
    pub rate_rad_s: [f64; 3],
}

impl BodyState {
    /// The pose as an isometry, `world_from_body`.
    pub(super) fn world_from_body(&self) -> Isometry3<f64> {
        let [x, y, z, w] = self.rotation;
        // rapier's quaternion keeps its norm to f32's rounding only, which would read as an acceleration once differenced.
        let rotation = UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z));
        Isometry3::from_parts(Translation3::from(Vector3::from(self.position_m)), rotation)
    }

    /// Velocity of a point of the body at `arm` from its centre, both in the world's frame, [m/s].
    pub(super) fn velocity_at(&self, arm: &Vector3<f64>) -> Vector3<f64> {
        Vector3::from(self.velocity_m_s) + Vector3::from(self.rate_rad_s).cross(arm)
    }
}

struct Body {
    id: String,
    handle: RigidBodyHandle,
    collider: ColliderHandle,
    kind: BodyKind,
    half_extent_m: Vector3<f64>,
    moves: Vec<MoveDef>,
    next_move: usize,
    /// Its elastic mount, and where it rests on it.
    suspension: Option<(SuspensionDef, Vector3<f64>)>,
}

/// A scene under way.
pub struct Scene {
    world: PhysicsWorld,
    bodies: Vec<Body>,
    joints: Vec<Joint>,
    rotors: Vec<Rotor>,
    odometers: Vec<Odometer>,
    gravity_m_s2: f64,
    substep: Span,
    now: SimTime,
}

/// What a ray met first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Index of the body.
    pub body: usize,
    /// Distance along the ray, [m].
    pub distance_m: f64,
}

impl Scene {
    /// Builds the scene at the start of the run.
    ///
    /// # Errors
    /// Every mistake of the definition, together.
    pub fn new(def: &SceneDef) -> Result<Self, Vec<SceneError>> {
        let errors = super::check::check_scene(def);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut world = PhysicsWorld::new();
        world.gravity = Vector::new(0.0, 0.0, -def.gravity_m_s2 as f32);
        let p = &mut world.integration_parameters;
        p.contact_recycling = false;
        p.friction_model = FrictionModel::Simplified;
        p.dt = 0.0;
        if !def.joints.is_empty() {
            p.num_solver_iterations = JOINT_ITERATIONS;
        }
        let bodies = def.bodies.iter().map(|b| insert(&mut world, b)).collect();
        let mut scene = Self {
            world,
            bodies,
            joints: Vec::new(),
            rotors: Vec::new(),
            odometers: Vec::new(),
            gravity_m_s2: def.gravity_m_s2,
            substep: def.substep,
            now: SimTime::ZERO,
        };
        scene.assemble(def);
        // Rays before the first sub-step need the tree of bounding volumes; a step of no length builds it and moves nothing.
        scene.world.step();
        scene.world.integration_parameters.dt = def.substep.as_secs_f64() as f32;
        Ok(scene)
    }

    /// Advances by one sub-step.
    pub fn advance(&mut self) {
        self.drive_kinematic_bodies();
        self.drive_joints();
        self.shake();
        self.world.step();
        self.now = self.now + self.substep;
        self.follow();
    }

    /// Adds what ties bodies together; their names were checked.
    fn assemble(&mut self, def: &SceneDef) {
        for joint in &def.joints {
            let (Some(first), Some(second)) = (self.find(&joint.between.0), self.find(&joint.between.1))
            else {
                continue;
            };
            let joint = self.tie(joint, [first, second]);
            self.joints.push(joint);
        }
        for rotor in &def.rotors {
            let Some(body) = self.find(&rotor.body) else { continue };
            self.rotors.push(Rotor::new(rotor, body));
        }
        for odometer in &def.odometers {
            let wheel = |id: &str| self.joints.iter().position(|j| j.id == id);
            let wheels = (wheel(&odometer.wheels.0), wheel(&odometer.wheels.1));
            let (Some(body), (Some(left), Some(right))) = (self.find(&odometer.body), wheels) else {
                continue;
            };
            let middle = self.middle([left, right]);
            let truth = [middle.x, middle.y, heading_rad(&self.forward(body))];
            self.odometers.push(Odometer::new(odometer, body, [left, right], truth));
        }
    }

    fn tie(&mut self, def: &JointDef, bodies: [usize; 2]) -> Joint {
        let axis = Vector3::from(<[f64; 3]>::from(def.axis)).normalize();
        // The free axis of rapier's joint is its frame's x.
        let across = axis.cross(&Vector3::ith(axis.iamin(), 1.0)).normalize();
        let turn = nalgebra::Matrix3::from_columns(&[axis, across, axis.cross(&across)]);
        let turn = UnitQuaternion::from_matrix(&turn);
        let at = Translation3::from(Vector3::from(<[f64; 3]>::from(def.at_m)));
        let world_from_joint = Isometry3::from_parts(at, turn);
        let [first, second] = bodies.map(|b| self.state(b).world_from_body());
        let mut builder = GenericJointBuilder::new(JointAxesMask::LOCKED_REVOLUTE_AXES)
            .contacts_enabled(false)
            .local_frame1(narrow_pose(&(first.inverse() * world_from_joint)))
            .local_frame2(narrow_pose(&(second.inverse() * world_from_joint)));
        if let Some(torque) = def.drive.as_ref().and(def.torque_n_m) {
            builder = builder
                .motor_model(JointAxis::AngX, MotorModel::AccelerationBased)
                .motor_velocity(JointAxis::AngX, 0.0, STIFF_PER_S)
                .motor_max_force(JointAxis::AngX, torque as f32);
        }
        let [a, b] = bodies.map(|b| self.bodies[b].handle);
        Joint {
            id: def.id.clone(),
            handle: self.world.insert_impulse_joint(a, b, builder.build()),
            bodies,
            axis: first.rotation.inverse_transform_vector(&axis),
            start: first.rotation.inverse() * second.rotation,
            drive: def.drive.as_ref().map(Drive::new),
            angle_rad: 0.0,
            rate_rad_s: 0.0,
        }
    }

    fn drive_joints(&mut self) {
        let (now, substep) = (self.now, self.substep);
        for joint in &mut self.joints {
            let Some(drive) = &mut joint.drive else { continue };
            let before = drive.rate_rad_s();
            let rate = drive.advance(now, substep);
            if rate == before {
                continue;
            }
            if let Some(j) = self.world.impulse_joints.get_mut(joint.handle, true) {
                j.data.set_motor_velocity(JointAxis::AngX, rate as f32, STIFF_PER_S);
            }
        }
    }

    /// What mounts and rotors put on their bodies over the coming sub-step.
    ///
    /// As impulses, not as forces, which rapier would spread over the sub-step: velocity first, then place, is the order
    /// that neither feeds nor starves an oscillation.
    fn shake(&mut self) {
        let h = self.substep.as_secs_f64();
        for rotor in &mut self.rotors {
            let state = body_state(&self.world.bodies[self.bodies[rotor.body].handle]);
            rotor.impulse = state.world_from_body().rotation * rotor.pull_n(self.now, self.substep) * h;
        }
        for (index, body) in self.bodies.iter().enumerate() {
            let Some((suspension, rest)) = body.suspension else { continue };
            let rb = &mut self.world.bodies[body.handle];
            let (at, velocity) = (Vector3::from(wide(rb.translation())), Vector3::from(wide(rb.linvel())));
            let shaken: Vector3<f64> =
                self.rotors.iter().filter(|r| r.body == index).map(|r| r.impulse).sum();
            let mass = f64::from(rb.mass());
            let pushed = shaken + (rest - at) * (suspension.stiffness_n_m * h);
            // Damping by the mean of the velocities before and after: by the one before, it would act half a step late.
            let fade = 0.5 * h * suspension.damping_n_s_m / mass;
            let after = (velocity * (1.0 - fade) + pushed / mass) / (1.0 + fade);
            let impulse = (after - velocity) * mass - shaken;
            rb.apply_impulse(narrow(impulse.into()), true);
        }
        for rotor in &self.rotors {
            let rb = &mut self.world.bodies[self.bodies[rotor.body].handle];
            let world_from_body = body_state(rb).world_from_body();
            let at = world_from_body.rotation * rotor.at + world_from_body.translation.vector;
            rb.apply_impulse_at_point(narrow(rotor.impulse.into()), narrow(at.into()), true);
        }
    }

    /// Reads the angles of joints and takes odometers along.
    fn follow(&mut self) {
        for k in 0..self.joints.len() {
            let [first, second] = self.joints[k].bodies.map(|b| self.state(b));
            self.joints[k].follow(&first, &second);
        }
        for k in 0..self.odometers.len() {
            let forward = self.forward(self.odometers[k].body);
            let middle = self.middle(self.odometers[k].wheels);
            let wheels = self.odometers[k].wheels.map(|j| self.joints[j].angle_rad);
            self.odometers[k].follow(wheels, &middle, &forward);
        }
    }

    /// The middle between the wheels of two joints.
    fn middle(&self, wheels: [usize; 2]) -> Vector3<f64> {
        let [a, b] = wheels.map(|j| Vector3::from(self.state(self.joints[j].bodies[1]).position_m));
        0.5 * (a + b)
    }

    /// Where a body's +x points.
    fn forward(&self, body: usize) -> Vector3<f64> {
        self.state(body).world_from_body().rotation * Vector3::x()
    }

    /// Angle of a joint since the start, turns counted, [rad].
    pub fn joint_angle_rad(&self, joint: usize) -> f64 {
        self.joints[joint].angle_rad
    }

    /// Every drive, the joints' first, as [`Self::drives_mut`] has them.
    fn drives(&self) -> impl Iterator<Item = &Drive> {
        self.joints.iter().filter_map(|j| j.drive.as_ref()).chain(self.rotors.iter().map(|r| &r.drive))
    }

    fn drives_mut(&mut self) -> impl Iterator<Item = &mut Drive> {
        let joints = self.joints.iter_mut().filter_map(|j| j.drive.as_mut());
        joints.chain(self.rotors.iter_mut().map(|r| &mut r.drive))
    }

    /// The actuators that drives follow, by the drive's number.
    pub fn followed(&self) -> impl Iterator<Item = (usize, &FollowDef)> {
        self.drives().enumerate().filter_map(|(n, d)| Some((n, d.follows()?)))
    }

    /// The actuator that a drive follows is at this level, 0–1.
    pub fn set_level(&mut self, drive: usize, level: f64) {
        if let Some(drive) = self.drives_mut().nth(drive) {
            drive.set_level(level);
        }
    }

    /// What the signals of the joints, rotors and odometers show, in the order of their blocks.
    pub(super) fn assembly_values(&self) -> impl Iterator<Item = Vec<f64>> {
        let joints = self.joints.iter().map(|j| vec![j.angle_rad, j.rate_rad_s]);
        let rotors = self.rotors.iter().map(|r| vec![r.rate_rad_s()]);
        let odometers = self.odometers.iter().map(Odometer::values);
        joints.chain(rotors).chain(odometers)
    }

    /// State of the joints, rotors and odometers: each one's id and bytes.
    pub(super) fn assembly_bytes(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let bytes = |values: &[f64]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
        let joints = self.joints.iter().map(move |j| {
            let drive = j.drive.as_ref().map_or(0.0, Drive::rate_rad_s);
            (j.id.as_str(), bytes(&[j.angle_rad, drive]))
        });
        let rotors = self.rotors.iter().map(move |r| (r.id.as_str(), bytes(&r.state())));
        let odometers = self.odometers.iter().map(move |o| {
            let [x, y, heading] = o.pose;
            (o.id.as_str(), bytes(&[x, y, heading, o.truth[2]]))
        });
        joints.chain(rotors).chain(odometers)
    }

    fn drive_kinematic_bodies(&mut self) {
        let now = self.now;
        for body in &mut self.bodies {
            while let Some(m) = body.moves.get(body.next_move).filter(|m| SimTime::ZERO + m.at <= now) {
                let rb = &mut self.world.bodies[body.handle];
                rb.set_linvel(vector(m.velocity_m_s), true);
                rb.set_angvel(radians(m.rate_deg_s), true);
                body.next_move += 1;
            }
        }
    }

    /// Simulated time reached.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// Length of a sub-step.
    pub fn substep(&self) -> Span {
        self.substep
    }

    /// Gravity, [m/s²], along −z.
    pub fn gravity_m_s2(&self) -> f64 {
        self.gravity_m_s2
    }

    /// Number of bodies.
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether there is no body.
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Id of a body.
    pub fn id(&self, body: usize) -> &str {
        &self.bodies[body].id
    }

    /// Index of the body with this id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.bodies.iter().position(|b| b.id == id)
    }

    /// What moves a body.
    pub fn kind(&self, body: usize) -> BodyKind {
        self.bodies[body].kind
    }

    /// Half the body's extent along its own axes, [m].
    pub(super) fn half_extent_m(&self, body: usize) -> Vector3<f64> {
        self.bodies[body].half_extent_m
    }

    fn rigid(&self, body: usize) -> &RigidBody {
        &self.world.bodies[self.bodies[body].handle]
    }

    /// Where a body is and how it moves.
    pub fn state(&self, body: usize) -> BodyState {
        body_state(self.rigid(body))
    }

    /// Force that contacts put on a body during the last sub-step, its mean over it, in the world's frame, [N].
    ///
    /// It sums the impulses along the contacts' normals; friction, which acts across them, is left out.
    pub fn contact_force_n(&self, body: usize) -> [f64; 3] {
        let collider = self.bodies[body].collider;
        let mut impulse = Vector3::zeros();
        for pair in self.world.narrow_phase.contact_pairs_with(collider) {
            // rapier's normal points from the first collider to the second, and pushes the second.
            let sign = if pair.collider2 == collider { 1.0 } else { -1.0 };
            for manifold in pair.solver_manifolds() {
                let normal = Vector3::from(wide(manifold.data.normal));
                // Points that the solver did not take keep an older impulse: ask the taken ones only.
                for contact in &manifold.data.solver_contacts {
                    let [at] = contact.contact_indices();
                    impulse += normal * (sign * f64::from(manifold.points[at as usize].data.impulse));
                }
            }
        }
        (impulse / self.substep.as_secs_f64()).into()
    }

    /// Kinetic and potential energy of the dynamic bodies, [J]: potential energy is zero at height 0, and at rest for a
    /// body on an elastic mount, which carries its weight.
    pub fn energy_j(&self) -> f64 {
        let dynamic = self.bodies.iter().filter(|b| b.kind == BodyKind::Dynamic);
        dynamic
            .map(|b| {
                let rb = &self.world.bodies[b.handle];
                let at = Vector3::from(wide(rb.translation()));
                let potential = match b.suspension {
                    Some((s, rest)) => 0.5 * s.stiffness_n_m * (at - rest).norm_squared(),
                    None => f64::from(rb.mass()) * self.gravity_m_s2 * at.z,
                };
                f64::from(rb.kinetic_energy()) + potential
            })
            .sum()
    }

    /// The first body that a ray from `origin_m` along the unit vector `direction` meets within `range_m`, `but` left out.
    pub fn cast(
        &self,
        origin_m: [f64; 3],
        direction: [f64; 3],
        range_m: f64,
        but: Option<usize>,
    ) -> Option<Hit> {
        let mut filter = QueryFilter::default();
        if let Some(body) = but {
            filter = filter.exclude_rigid_body(self.bodies[body].handle);
        }
        let ray = Ray::new(narrow(origin_m), narrow(direction));
        let (collider, distance) = self.world.cast_ray(&ray, range_m as f32, true, filter)?;
        let body = self.bodies.iter().position(|b| b.collider == collider)?;
        Some(Hit { body, distance_m: f64::from(distance) })
    }

    /// The state of a body as bytes: pose and velocities, exactly as rapier holds them.
    pub fn state_bytes(&self, body: usize) -> Vec<u8> {
        let rb = self.rigid(body);
        let (p, q, v, w) = (rb.translation(), rb.rotation(), rb.linvel(), rb.angvel());
        let parts = [p.x, p.y, p.z, q.x, q.y, q.z, q.w, v.x, v.y, v.z, w.x, w.y, w.z];
        parts.iter().flat_map(|x| x.to_le_bytes()).collect()
    }
}

fn body_state(rb: &RigidBody) -> BodyState {
    let (q, p) = (rb.rotation(), rb.translation());
    BodyState {
        position_m: wide(p),
        rotation: [q.x, q.y, q.z, q.w].map(f64::from),
        velocity_m_s: wide(rb.linvel()),
        rate_rad_s: wide(rb.angvel()),
    }
}

fn insert(world: &mut PhysicsWorld, def: &BodyDef) -> Body {
    let builder = match def.kind {
        BodyKind::Fixed => RigidBodyBuilder::fixed(),
        BodyKind::Dynamic => RigidBodyBuilder::dynamic(),
        BodyKind::Kinematic => RigidBodyBuilder::kinematic_velocity_based(),
    };
    let mut body = builder
        .pose(pose(def.position_m, def.rotation_deg))
        .linvel(vector(def.velocity_m_s))
        .angvel(radians(def.rate_deg_s))
        .can_sleep(false)
        .gyroscopic_forces_enabled(true);
    if def.suspension.is_some() {
        body = body.lock_rotations().gravity_scale(0.0);
    }
    let (handle, collider) = world.insert(body, collider(def));
    Body {
        id: def.id.clone(),
        handle,
        collider,
        kind: def.kind,
        half_extent_m: half_extent_m(&def.shape),
        moves: def.moves.clone(),
        next_move: 0,
        suspension: def.suspension.map(|s| (s, Vector3::from(<[f64; 3]>::from(def.position_m)))),
    }
}

fn collider(def: &BodyDef) -> Collider {
    // rapier's cylinder and capsule stand along y.
    let along_z = Pose::from_rotation(Rotation::from_scaled_axis(Vector::new(FRAC_PI_2 as f32, 0.0, 0.0)));
    let (shape, at) = match def.shape {
        ShapeDef::Box { size_m: (x, y, z) } => {
            (SharedShape::cuboid(0.5 * x as f32, 0.5 * y as f32, 0.5 * z as f32), Pose::IDENTITY)
        }
        ShapeDef::Sphere { radius_m } => (SharedShape::ball(radius_m as f32), Pose::IDENTITY),
        ShapeDef::Cylinder { radius_m, length_m } => {
            (SharedShape::cylinder(0.5 * length_m as f32, radius_m as f32), along_z)
        }
        ShapeDef::Capsule { radius_m, length_m } => {
            (SharedShape::capsule_y(0.5 * length_m as f32, radius_m as f32), along_z)
        }
    };
    let groups = if def.touches { InteractionGroups::all() } else { InteractionGroups::none() };
    let builder = ColliderBuilder::new(shape)
        .position(at)
        .collision_groups(groups)
        .friction(def.friction as f32)
        .friction_combine_rule(CoefficientCombineRule::GeometricMean)
        .restitution(def.restitution as f32)
        .restitution_combine_rule(CoefficientCombineRule::GeometricMean);
    match def.mass_kg {
        Some(mass_kg) => builder.mass(mass_kg as f32).build(),
        None => builder.build(),
    }
}

fn half_extent_m(shape: &ShapeDef) -> Vector3<f64> {
    match *shape {
        ShapeDef::Box { size_m: (x, y, z) } => 0.5 * Vector3::new(x, y, z),
        ShapeDef::Sphere { radius_m } => Vector3::repeat(radius_m),
        ShapeDef::Cylinder { radius_m, length_m } => Vector3::new(radius_m, radius_m, 0.5 * length_m),
        ShapeDef::Capsule { radius_m, length_m } => {
            Vector3::new(radius_m, radius_m, 0.5 * length_m + radius_m)
        }
    }
}

/// Rotation about the fixed x, then y, then z axis, [°].
pub(super) fn rotation((x, y, z): (f64, f64, f64)) -> UnitQuaternion<f64> {
    UnitQuaternion::from_euler_angles(x.to_radians(), y.to_radians(), z.to_radians())
}

fn pose(position_m: (f64, f64, f64), rotation_deg: (f64, f64, f64)) -> Pose {
    let q = rotation(rotation_deg);
    let q = Rotation::from_xyzw(q.i as f32, q.j as f32, q.k as f32, q.w as f32).normalize();
    Pose::from_parts(vector(position_m), q)
}

fn narrow_pose(pose: &Isometry3<f64>) -> Pose {
    let (q, t) = (pose.rotation, pose.translation.vector);
    let rotation = Rotation::from_xyzw(q.i as f32, q.j as f32, q.k as f32, q.w as f32).normalize();
    Pose::from_parts(narrow(t.into()), rotation)
}

fn vector((x, y, z): (f64, f64, f64)) -> Vector {
    Vector::new(x as f32, y as f32, z as f32)
}

fn radians((x, y, z): (f64, f64, f64)) -> Vector {
    vector((x.to_radians(), y.to_radians(), z.to_radians()))
}

fn narrow([x, y, z]: [f64; 3]) -> Vector {
    vector((x, y, z))
}

fn wide(v: Vector) -> [f64; 3] {
    [v.x, v.y, v.z].map(f64::from)
}
