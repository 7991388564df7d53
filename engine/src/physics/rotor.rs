//! Rotors out of balance, which shake the body that bears them, and the elastic mounts that such a body stands on.
//!
//! A rotor of mass m whose centre lies e off its shaft pulls on its bearings with m·e·ω² along e, and with m·e·ω̇ back
//! along its path while it speeds up. Its own mass belongs to the body's. Closed forms, M being the body's mass:
//!
//! | the body | amplitude of its acceleration at the shaft's speed ω |
//! |---|---|
//! | free | m·e·ω²/M |
//! | on a mount of stiffness k and damping c | m·e·ω⁴/√((k − M·ω²)² + (c·ω)²) |
//!
//! What a part reads is the mean over a sub-step h: the amplitude times sin(ωh/2)/(ωh/2).

use super::joint::{Drive, DriveDef};
use crate::time::{SimTime, Span};
use nalgebra::Vector3;
use serde::Deserialize;
use std::f64::consts::TAU;

/// A rotor on a shaft in a body.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotorDef {
    /// Id, unique within the scene. Its signal is `<id>/shaft.rate@truth`.
    pub id: String,
    /// Id of the body that bears it.
    pub body: String,
    /// Where it sits in the body, [m].
    #[serde(default)]
    pub at_m: (f64, f64, f64),
    /// Direction of its shaft in the body's frame.
    pub axis: (f64, f64, f64),
    /// Its unbalance, m·e, [g·mm], as ISO 21940-11 states it.
    pub unbalance_g_mm: f64,
    /// Its speed.
    pub drive: DriveDef,
}

/// An elastic mount: springs to where the body starts, loaded so that it rests there, and damping. They are stiff against
/// turning: the body keeps its orientation.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuspensionDef {
    /// Stiffness, the same in every direction, [N/m].
    pub stiffness_n_m: f64,
    /// Damping, [N·s/m].
    #[serde(default)]
    pub damping_n_s_m: f64,
}

/// A rotor under way.
pub(super) struct Rotor {
    pub(super) id: String,
    /// Index of the body that bears it.
    pub(super) body: usize,
    /// Where it sits in the body, [m].
    pub(super) at: Vector3<f64>,
    /// Two directions across the shaft, in the body's frame; the phase goes from the first to the second.
    across: [Vector3<f64>; 2],
    unbalance_kg_m: f64,
    pub(super) drive: Drive,
    phase_rad: f64,
    /// What it puts on its body over the sub-step under way, in the world's frame, [N·s].
    pub(super) impulse: Vector3<f64>,
}

impl Rotor {
    pub(super) fn new(def: &RotorDef, body: usize) -> Self {
        let axis = Vector3::from(<[f64; 3]>::from(def.axis)).normalize();
        // Any direction across will do; the shortest component keeps it well defined.
        let first = axis.cross(&Vector3::ith(axis.iamin(), 1.0)).normalize();
        Self {
            id: def.id.clone(),
            body,
            at: Vector3::from(<[f64; 3]>::from(def.at_m)),
            across: [first, axis.cross(&first)],
            unbalance_kg_m: def.unbalance_g_mm * 1e-6,
            drive: Drive::new(&def.drive),
            phase_rad: 0.0,
            impulse: Vector3::zeros(),
        }
    }

    /// Speed of its shaft, [rad/s].
    pub(super) fn rate_rad_s(&self) -> f64 {
        self.drive.rate_rad_s()
    }

    /// Its speed and phase, for the state hash.
    pub(super) fn state(&self) -> [f64; 2] {
        [self.drive.rate_rad_s(), self.phase_rad]
    }

    /// What it pulls with over the sub-step that starts at `now`, its mean, in the body's frame, [N].
    pub(super) fn pull_n(&mut self, now: SimTime, substep: Span) -> Vector3<f64> {
        let h = substep.as_secs_f64();
        let before = self.drive.rate_rad_s();
        let after = self.drive.advance(now, substep);
        let (rate, faster) = (0.5 * (before + after), (after - before) / h);
        let (sin, cos) = nalgebra::ComplexField::sin_cos(self.phase_rad + 0.5 * h * rate);
        self.phase_rad = (self.phase_rad + h * rate) % TAU;
        let [a, b] = self.across;
        let (out, along) = (a * cos + b * sin, b * cos - a * sin);
        // The mean of a turning force is that of half-way through, shorter by the arc's chord.
        let half = 0.5 * h * rate;
        let chord = if half == 0.0 { 1.0 } else { nalgebra::ComplexField::sin(half) / half };
        (out * (rate * rate) - along * faster) * (self.unbalance_kg_m * chord)
    }
}
