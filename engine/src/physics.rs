//! Rigid bodies by rapier3d, and what parts fixed to them feel: specific force, rotation, range, presence, contact force.

use serde::Deserialize;

/// A scene of rigid bodies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SceneDef {
    /// Gravity, [m/s²], along −z.
    #[serde(default = "standard_gravity")]
    pub gravity_m_s2: f64,
}

fn standard_gravity() -> f64 {
    9.80665
}
