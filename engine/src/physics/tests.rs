//! Laws of the bodies and of what parts on them feel.

mod drop;
mod joints;
mod laws;
mod run;
mod senses;

use super::{
    SceneDef,
    feel::{Felt, Inertial, Mount},
    scene::Scene,
};
use nalgebra::Vector3;

const G: f64 = 9.80665;

fn from_ron<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).unwrap()
}

fn scene(text: &str) -> Scene {
    Scene::new(&from_ron::<SceneDef>(text)).unwrap()
}

/// Advances by `seconds`, and gives what the part felt over every sub-step.
fn ride(scene: &mut Scene, mount: Mount, seconds: f64) -> Vec<Felt> {
    let mut imu = Inertial::new(mount, scene);
    let n = (seconds / scene.substep().as_secs_f64()).round() as usize;
    (0..n)
        .map(|_| {
            scene.advance();
            imu.feel(scene)
        })
        .collect()
}

fn force(felt: &Felt) -> Vector3<f64> {
    felt.specific_force_m_s2.into()
}

/// Largest departure of the specific force from `expected`, [m/s²].
fn worst(felt: &[Felt], expected: Vector3<f64>) -> f64 {
    felt.iter().map(|f| (force(f) - expected).norm()).fold(0.0, f64::max)
}
