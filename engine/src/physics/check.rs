//! What must hold of a scene and its mounts before rapier sees them; all mistakes are reported together.
//!
//! ```
//! use twinfleet_engine::physics::{SceneDef, check::check_scene};
//! let def: SceneDef = ron::from_str(
//!     r#"(bodies: [(id: "stone", kind: Dynamic, shape: Sphere(radius_m: -1))])"#,
//! ).unwrap();
//! let paths: Vec<_> = check_scene(&def).into_iter().map(|e| e.path).collect();
//! assert_eq!(paths, ["world.scene.bodies[0].shape", "world.scene.bodies[0].mass_kg"]);
//! ```

use super::{
    BodyDef, BodyKind, SceneDef, ShapeDef, ViewDef, feel,
    joint::{DriveDef, JointDef},
    odometer::OdometerDef,
    rotor::RotorDef,
};
use crate::{
    catalog::Catalog,
    scenario::{GroupDef, Scenario},
    time::Span,
};

/// Farthest from the origin that a body may start, [m]: f32 resolves 0.1 mm there.
const FARTHEST_M: f64 = 1_000.0;
/// Fastest that a body may start, [m/s]: rapier's own limit.
const FASTEST_M_S: f64 = 400.0;
/// Thinnest and largest extent of a body, [m].
const EXTENT_M: (f64, f64) = (1e-3, FARTHEST_M);

/// A mistake in a scene or a mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SceneError {
    /// Path of the field within the scenario, such as `world.scene.bodies[2].mass_kg`.
    pub path: String,
    /// What is wrong, and what is expected.
    pub message: String,
    /// What to try.
    pub help: String,
}

struct Errors(Vec<SceneError>);

impl Errors {
    fn push(&mut self, path: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        self.0.push(SceneError { path: path.into(), message: message.into(), help: help.into() });
    }

    fn require(&mut self, holds: bool, path: &str, field: &str, message: &str, help: &str) {
        if !holds {
            self.push(format!("{path}.{field}"), message, help);
        }
    }
}

/// The mistakes of a scene by itself.
pub fn check_scene(def: &SceneDef) -> Vec<SceneError> {
    let mut errors = Errors(Vec::new());
    let at = "world.scene";
    errors.require(
        (0.0..=100.0).contains(&def.gravity_m_s2),
        at,
        "gravity_m_s2",
        "gravity must lie within 0 and 100 m/s²",
        "it points down by itself: the earth's is 9.81",
    );
    errors.require(
        (10_000..=20_000_000).contains(&def.substep.0),
        at,
        "substep",
        "the sub-step must lie within 10 µs and 20 ms",
        "\"1ms\" suits most scenes",
    );
    for (i, body) in def.bodies.iter().enumerate() {
        let path = format!("{at}.bodies[{i}]");
        check_body(body, &path, &mut errors);
        check_stiffness(body, def.substep, &path, &mut errors);
        if let Some(first) = def.bodies[..i].iter().position(|b| b.id == body.id) {
            errors.push(
                format!("{path}.id"),
                format!("the body `{}` exists already as bodies[{first}]", body.id),
                "give each body an id of its own",
            );
        }
    }
    let bodies: Vec<&str> = def.bodies.iter().map(|b| b.id.as_str()).collect();
    for (i, joint) in def.joints.iter().enumerate() {
        check_joint(joint, def, &bodies, &format!("{at}.joints[{i}]"), &mut errors);
    }
    for (i, rotor) in def.rotors.iter().enumerate() {
        check_rotor(rotor, def, &bodies, &format!("{at}.rotors[{i}]"), &mut errors);
    }
    for (i, odometer) in def.odometers.iter().enumerate() {
        check_odometer(odometer, def, &bodies, &format!("{at}.odometers[{i}]"), &mut errors);
    }
    check_assembly_ids(def, &mut errors);
    errors.0
}

/// Ids of joints, rotors and odometers, which share the scene's names with its bodies.
fn check_assembly_ids(def: &SceneDef, errors: &mut Errors) {
    let mut taken: Vec<(&str, String)> = Vec::new();
    taken.extend(def.bodies.iter().enumerate().map(|(i, b)| (b.id.as_str(), format!("bodies[{i}]"))));
    let joints = def.joints.iter().enumerate().map(|(i, j)| (j.id.as_str(), format!("joints[{i}]")));
    let rotors = def.rotors.iter().enumerate().map(|(i, r)| (r.id.as_str(), format!("rotors[{i}]")));
    let odometers = def.odometers.iter().enumerate().map(|(i, o)| (o.id.as_str(), format!("odometers[{i}]")));
    for (id, place) in joints.chain(rotors).chain(odometers) {
        let path = format!("world.scene.{place}");
        check_id(id, &path, errors);
        if let Some((_, first)) = taken.iter().find(|(t, _)| *t == id) {
            let message = format!("the scene has a `{id}` already: {first}");
            errors.push(format!("{path}.id"), message, "give it an id of its own");
        }
        taken.push((id, place));
    }
}

fn check_joint(joint: &JointDef, def: &SceneDef, bodies: &[&str], path: &str, errors: &mut Errors) {
    let (first, second) = (&joint.between.0, &joint.between.1);
    for (k, id) in [first, second].into_iter().enumerate() {
        check_name("body", id, bodies, &format!("{path}.between[{k}]"), errors);
    }
    errors.require(
        first != second,
        path,
        "between",
        "a joint is between two bodies",
        "name two different ones",
    );
    let moved = |id: &str| def.bodies.iter().any(|b| b.id == id && b.kind == BodyKind::Dynamic);
    errors.require(
        first == second
            || moved(first)
            || moved(second)
            || !(bodies.contains(&first.as_str()) && bodies.contains(&second.as_str())),
        path,
        "between",
        "a joint holds nothing where neither body is Dynamic",
        "make one of them Dynamic",
    );
    errors.require(
        within(joint.at_m, FARTHEST_M),
        path,
        "at_m",
        "a joint lies within 1 km of the origin",
        "positions are in metres, in the world's frame at the start",
    );
    check_axis(joint.axis, path, errors);
    if let Some(drive) = &joint.drive {
        check_drive(drive, def.substep, path, errors);
    }
    let torque = joint.torque_n_m;
    if joint.drive.is_some() != torque.is_some() {
        let message = "a drive and its largest torque, `torque_n_m`, go together";
        errors.push(
            path,
            message,
            "write both, such as `drive: (speeds: [(rpm: 60)]), torque_n_m: 0.5`, or neither",
        );
    } else if torque.is_some_and(|t| !(t > 0.0 && t <= 1e6)) {
        errors.push(
            format!("{path}.torque_n_m"),
            "a torque is above 0 and at most 1 MN·m",
            "a rover's small gear motor gives about 0.1 N·m",
        );
    }
}

fn check_rotor(rotor: &RotorDef, def: &SceneDef, bodies: &[&str], path: &str, errors: &mut Errors) {
    check_name("body", &rotor.body, bodies, &format!("{path}.body"), errors);
    let still = def.bodies.iter().any(|b| b.id == rotor.body && b.kind != BodyKind::Dynamic);
    errors.require(
        !still,
        path,
        "body",
        "a rotor shakes a Dynamic body only",
        "make the body Dynamic; a `suspension` keeps it in place",
    );
    errors.require(
        within(rotor.at_m, FARTHEST_M),
        path,
        "at_m",
        "a rotor sits within 1 km of its body's centre",
        "positions are in metres",
    );
    check_axis(rotor.axis, path, errors);
    errors.require(
        (0.0..=1e9).contains(&rotor.unbalance_g_mm),
        path,
        "unbalance_g_mm",
        "an unbalance lies within 0 and 1e9 g·mm",
        "it is mass times eccentricity: 2 g at 5 mm are written 10",
    );
    check_drive(&rotor.drive, def.substep, path, errors);
}

fn check_odometer(odometer: &OdometerDef, def: &SceneDef, bodies: &[&str], path: &str, errors: &mut Errors) {
    check_name("body", &odometer.body, bodies, &format!("{path}.body"), errors);
    let joints: Vec<_> = def.joints.iter().map(|j| j.id.as_str()).collect();
    for (k, id) in [&odometer.wheels.0, &odometer.wheels.1].into_iter().enumerate() {
        check_name("joint", id, &joints, &format!("{path}.wheels[{k}]"), errors);
    }
    for (field, length_m) in [("radius_m", odometer.radius_m), ("track_m", odometer.track_m)] {
        errors.require(
            (EXTENT_M.0..=EXTENT_M.1).contains(&length_m),
            path,
            field,
            "it must lie within 1 mm and 1 km",
            "lengths are in metres: 3 cm are written 0.03",
        );
    }
    errors.require(
        odometer.counts_per_turn != Some(0),
        path,
        "counts_per_turn",
        "an encoder counts at least once a turn",
        "leave it out for one without steps",
    );
}

fn check_drive(drive: &DriveDef, substep: Span, path: &str, errors: &mut Errors) {
    errors.require(
        drive.tau.0 >= 0,
        path,
        "drive.tau",
        "a time constant is not negative",
        "0 follows at once",
    );
    errors.require(
        drive.speeds.is_sorted_by(|a, b| a.at < b.at),
        path,
        "drive.speeds",
        "speeds must be in order of time, no two at once",
        "sort them by `at`",
    );
    errors.require(
        drive.speeds.is_empty() != drive.follows.is_none(),
        path,
        "drive",
        "a drive has either `speeds` or an actuator that it `follows`",
        "write `speeds: [(rpm: 1500)]`, say, or `follows: (actuator: \"device/part\", rpm: 1500)`",
    );
    // A third of a turn a sub-step: what turns faster cannot be told from what turns back.
    let fastest = 60.0 / (3.0 * substep.as_secs_f64().max(1e-9));
    let speeds = drive.speeds.iter().enumerate().map(|(k, s)| (format!("speeds[{k}]"), s.rpm));
    for (field, rpm) in speeds.chain(drive.follows.iter().map(|f| ("follows".to_owned(), f.rpm))) {
        if !(-fastest..=fastest).contains(&rpm) {
            errors.push(
                format!("{path}.drive.{field}.rpm"),
                format!("sub-steps of {substep} follow no more than {fastest:.0} turns a minute"),
                "slow it down, or shorten the scene's `substep`",
            );
        }
    }
}

fn check_axis(axis: (f64, f64, f64), path: &str, errors: &mut Errors) {
    let (x, y, z) = axis;
    let length = (x * x + y * y + z * z).sqrt();
    errors.require(
        (1e-6..=1e6).contains(&length),
        path,
        "axis",
        "an axis needs a direction",
        "such as (0, 1, 0), along y; its length does not matter",
    );
}

fn check_name(what: &str, name: &str, known: &[&str], path: &str, errors: &mut Errors) {
    if known.contains(&name) {
        return;
    }
    let near = known.iter().map(|k| (strsim::jaro_winkler(k, name), *k)).filter(|(near, _)| *near > 0.7);
    let near = near.max_by(|a, b| a.0.total_cmp(&b.0));
    let help = match near {
        Some((_, near)) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("the scene has no {what}: add one"),
        None => format!("it has: {}", known.join(", ")),
    };
    errors.push(path, format!("the scene has no {what} `{name}`"), help);
}

fn check_id(id: &str, path: &str, errors: &mut Errors) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    errors.require(
        !id.is_empty() && id.chars().all(plain),
        path,
        "id",
        "an id is made of letters, digits, `-`, `_` and `.`",
        "such as \"parcel-0\"",
    );
}

fn check_body(body: &BodyDef, path: &str, errors: &mut Errors) {
    check_id(&body.id, path, errors);
    errors.require(
        extents_m(&body.shape).iter().all(|x| (EXTENT_M.0..=EXTENT_M.1).contains(x)),
        path,
        "shape",
        "every size must lie within 1 mm and 1 km",
        "sizes are in metres: 20 cm are written 0.2",
    );
    check_mass(body, path, errors);
    errors.require(
        within(body.position_m, FARTHEST_M),
        path,
        "position_m",
        "a body starts within 1 km of the origin",
        "positions are in metres",
    );
    errors.require(
        within(body.rotation_deg, 360.0),
        path,
        "rotation_deg",
        "angles must lie within −360 and 360 °",
        "a quarter turn is written 90",
    );
    errors.require(
        (0.0..=10.0).contains(&body.friction),
        path,
        "friction",
        "friction must lie within 0 and 10",
        "wood on wood has about 0.4, ice 0.05",
    );
    errors.require(
        (0.0..=1.0).contains(&body.restitution),
        path,
        "restitution",
        "restitution must lie within 0 and 1",
        "0 does not bounce, 1 bounces back to where it fell from",
    );
    check_motion(body.velocity_m_s, body.rate_deg_s, path, errors);
    let at_rest = body.velocity_m_s == (0.0, 0.0, 0.0) && body.rate_deg_s == (0.0, 0.0, 0.0);
    errors.require(
        body.kind != BodyKind::Fixed || at_rest,
        path,
        "kind",
        "a fixed body has no velocity",
        "make it Kinematic, or leave `velocity_m_s` and `rate_deg_s` out",
    );
    errors.require(
        body.kind == BodyKind::Kinematic || body.moves.is_empty(),
        path,
        "moves",
        "only a Kinematic body moves by itself",
        "write `kind: Kinematic`, or leave `moves` out",
    );
    errors.require(
        body.moves.is_sorted_by(|a, b| a.at < b.at),
        path,
        "moves",
        "moves must be in order of time, no two at once",
        "sort them by `at`",
    );
    check_suspension(body, path, errors);
    for (k, m) in body.moves.iter().enumerate() {
        check_motion(m.velocity_m_s, m.rate_deg_s, &format!("{path}.moves[{k}]"), errors);
    }
}

/// A mount is followed while its oscillation and its damping each take several sub-steps.
fn check_stiffness(body: &BodyDef, substep: Span, path: &str, errors: &mut Errors) {
    let (Some(suspension), Some(mass_kg)) = (body.suspension, body.mass_kg) else { return };
    let h = substep.as_secs_f64();
    let (turn, fade) = (h * h * suspension.stiffness_n_m / mass_kg, h * suspension.damping_n_s_m / mass_kg);
    errors.require(
        !(turn > 0.25 || fade > 0.5),
        path,
        "suspension",
        "the suspension is too stiff or too damped for the scene's sub-step and this mass",
        "shorten the scene's `substep`, or soften the suspension",
    );
}

fn check_suspension(body: &BodyDef, path: &str, errors: &mut Errors) {
    let Some(suspension) = body.suspension else { return };
    errors.require(
        body.kind == BodyKind::Dynamic,
        path,
        "suspension",
        "only a Dynamic body stands on a suspension",
        "write `kind: Dynamic`, or leave `suspension` out",
    );
    for (field, value) in
        [("stiffness_n_m", suspension.stiffness_n_m), ("damping_n_s_m", suspension.damping_n_s_m)]
    {
        errors.require(
            (0.0..=1e9).contains(&value),
            path,
            &format!("suspension.{field}"),
            "it must lie within 0 and 1e9",
            "rubber feet under a small motor have about 1e4 N/m and 10 N·s/m",
        );
    }
}

fn check_mass(body: &BodyDef, path: &str, errors: &mut Errors) {
    let (message, help) = match (body.kind, body.mass_kg) {
        (BodyKind::Dynamic, None) => ("a Dynamic body needs its mass", "add it, such as `mass_kg: 1.2`"),
        (BodyKind::Dynamic, Some(m)) if !(1e-3..=1e6).contains(&m) => {
            ("mass must lie within 1 g and 1000 t", "masses are in kilograms: 20 g are written 0.02")
        }
        (BodyKind::Fixed | BodyKind::Kinematic, Some(_)) => {
            ("only a Dynamic body has a mass", "leave `mass_kg` out, or write `kind: Dynamic`")
        }
        _ => return,
    };
    errors.push(format!("{path}.mass_kg"), message, help);
}

fn check_motion(velocity_m_s: (f64, f64, f64), rate_deg_s: (f64, f64, f64), path: &str, errors: &mut Errors) {
    errors.require(
        within(velocity_m_s, FASTEST_M_S),
        path,
        "velocity_m_s",
        "velocities must lie within −400 and 400 m/s",
        "they are in metres a second",
    );
    errors.require(
        within(rate_deg_s, 36_000.0),
        path,
        "rate_deg_s",
        "rates of rotation must lie within −36000 and 36000 °/s",
        "they are in degrees a second: one turn a second is 360",
    );
}

fn within((x, y, z): (f64, f64, f64), bound: f64) -> bool {
    [x, y, z].iter().all(|v| (-bound..=bound).contains(v))
}

fn extents_m(shape: &ShapeDef) -> Vec<f64> {
    match *shape {
        ShapeDef::Box { size_m: (x, y, z) } => vec![x, y, z],
        ShapeDef::Sphere { radius_m } => vec![radius_m],
        ShapeDef::Cylinder { radius_m, length_m } | ShapeDef::Capsule { radius_m, length_m } => {
            vec![radius_m, length_m]
        }
    }
}

/// The mistakes of a scenario's scene and mounts, with what the catalog says of the parts.
pub fn check_scenario(scenario: &Scenario, catalog: &Catalog) -> Vec<SceneError> {
    let mut errors = Errors(Vec::new());
    let scene = scenario.world.scene.as_ref();
    if let Some(scene) = scene {
        errors.0.extend(check_scene(scene));
        check_steps(scenario.step, scene.substep, &mut errors);
        check_followed(scene, scenario, catalog, &mut errors);
    }
    for (g, group) in scenario.fleet.iter().enumerate() {
        for (m, mount) in group.mounts.iter().enumerate() {
            let path = format!("fleet[{g}].mounts[{m}]");
            // A body without `{}` is the same for every device.
            let devices = if mount.body.contains("{}") { group.count } else { 1 };
            for i in 0..devices {
                let body = mount.body.replace("{}", &i.to_string());
                if !scene.is_some_and(|s| s.bodies.iter().any(|b| b.id == body)) {
                    let help = "name a body of the scene; `{}` stands for the device's index";
                    errors.push(format!("{path}.body"), no_body(&body, scene), help);
                    break;
                }
            }
            errors.require(
                within(mount.at_m, FARTHEST_M),
                &path,
                "at_m",
                "a part sits within 1 km of its body",
                "positions are in metres",
            );
            errors.require(
                within(mount.rotation_deg, 360.0),
                &path,
                "rotation_deg",
                "angles must lie within −360 and 360 °",
                "a quarter turn is written 90",
            );
            let thing = scenario.things.iter().find(|t| t.name == group.thing);
            let Some(thing) = thing.or_else(|| catalog.things.get(&group.thing)) else { continue };
            let Some(part) = thing.parts.iter().find(|p| p.id == mount.part) else {
                let parts: Vec<_> = thing.parts.iter().map(|p| p.id.as_str()).collect();
                let message =
                    format!("`{}` has no part `{}`; it has: {}", thing.name, mount.part, parts.join(", "));
                errors.push(format!("{path}.part"), message, "name a part of the thing");
                continue;
            };
            let Some(sensor) = catalog.sensors.get(&part.model) else { continue };
            if !sensor.channels.iter().any(|c| feel::is_felt(&c.quantity)) {
                let message = format!("`{}` measures nothing that a rigid body makes it feel", part.model);
                let help = format!("a mount is for parts that measure {}", feel::FELT.join(", "));
                errors.push(format!("{path}.part"), message, help);
            }
            if sensor.view.is_some_and(|v| !view_is_sound(&v)) {
                let message = format!(
                    "the view of `{}` needs an angle within 0 and 180 ° and a range within 0 and 1000 m",
                    part.model
                );
                errors.push(format!("{path}.part"), message, "correct `view` in the sensor's file");
            }
        }
    }
    errors.0
}

/// Whether the actuators that drives follow are there.
fn check_followed(scene: &SceneDef, scenario: &Scenario, catalog: &Catalog, errors: &mut Errors) {
    for (path, follows) in scene.followed() {
        let path = format!("world.scene.{path}.drive.follows.actuator");
        let (device, part) = follows.device_part();
        let of_group = |g: &&GroupDef| g.has(device);
        let Some(group) = scenario.fleet.iter().find(of_group) else {
            let ids: Vec<_> = scenario.fleet.iter().map(|g| g.id.as_str()).collect();
            let message = format!("there is no device `{device}`; there are: {}", ids.join(", "));
            errors.push(path, message, "write `device/part`");
            continue;
        };
        let thing = scenario.things.iter().find(|t| t.name == group.thing);
        let Some(thing) = thing.or_else(|| catalog.things.get(&group.thing)) else { continue };
        let actuators = thing.parts.iter().filter(|p| catalog.actuators.contains_key(&p.model));
        let known: Vec<_> = actuators.map(|p| p.id.as_str()).collect();
        if !known.contains(&part) {
            let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            errors.push(
                path,
                format!("`{device}` has no actuator `{part}`; it has: {has}"),
                "write `device/part`",
            );
        }
    }
}

fn check_steps(step: Span, substep: Span, errors: &mut Errors) {
    if substep.0 > 0 && (step.0 < substep.0 || step.0 % substep.0 != 0) {
        let message =
            format!("the scenario's step, {step}, must be a multiple of the scene's sub-step, {substep}");
        errors.push("world.scene.substep", message, "change one of the two");
    }
}

fn no_body(body: &str, scene: Option<&SceneDef>) -> String {
    match scene {
        None => format!("there is no body `{body}`: the world has no `scene`"),
        Some(s) => {
            let ids: Vec<_> = s.bodies.iter().map(|b| b.id.as_str()).collect();
            format!("there is no body `{body}` in the scene; it has: {}", ids.join(", "))
        }
    }
}

fn view_is_sound(view: &ViewDef) -> bool {
    (0.0..=180.0).contains(&view.angle_deg)
        && (0.0..=1000.0).contains(&view.range_m)
        && (0.0..=1000.0).contains(&view.min_speed_m_s)
}
