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

use super::{BodyDef, BodyKind, SceneDef, ShapeDef, ViewDef, feel};
use crate::{catalog::Catalog, scenario::Scenario, time::Span};

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
        if let Some(first) = def.bodies[..i].iter().position(|b| b.id == body.id) {
            errors.push(
                format!("{path}.id"),
                format!("the body `{}` exists already as bodies[{first}]", body.id),
                "give each body an id of its own",
            );
        }
    }
    errors.0
}

fn check_body(body: &BodyDef, path: &str, errors: &mut Errors) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    errors.require(
        !body.id.is_empty() && body.id.chars().all(plain),
        path,
        "id",
        "an id is made of letters, digits, `-`, `_` and `.`",
        "such as \"parcel-0\"",
    );
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
    for (k, m) in body.moves.iter().enumerate() {
        check_motion(m.velocity_m_s, m.rate_deg_s, &format!("{path}.moves[{k}]"), errors);
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
