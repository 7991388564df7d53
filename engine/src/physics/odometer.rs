//! Dead reckoning of a body on two wheels from how far they turned.
//!
//! Rolling without slip, wheels of radius r that stand b apart and turn by φ_left and φ_right take the body forward by
//! r·(φ_left + φ_right)/2 and turn it to the left by r·(φ_right − φ_left)/b. A wheel that slips parts the odometer from
//! the body: that is what it is for.

use nalgebra::Vector3;
use serde::Deserialize;
use std::f64::consts::{PI, TAU};

/// An odometer of two wheels.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OdometerDef {
    /// Id, unique within the scene. Its signals are listed in [`super::ODOMETER_CHANNELS`].
    pub id: String,
    /// Id of the body that the wheels carry. Forward is its +x, up its +z.
    pub body: String,
    /// Ids of the joints of the left and the right wheel, their axes towards the left so that forwards is positive.
    pub wheels: (String, String),
    /// Radius of the wheels, [m].
    pub radius_m: f64,
    /// Distance between the wheels, [m].
    pub track_m: f64,
    /// Counts of the wheels' encoders a turn; none for encoders without steps.
    #[serde(default)]
    pub counts_per_turn: Option<u32>,
}

/// An odometer under way. It starts with the truth.
pub(super) struct Odometer {
    pub(super) id: String,
    pub(super) body: usize,
    pub(super) wheels: [usize; 2],
    radius_m: f64,
    track_m: f64,
    counts_per_turn: Option<u32>,
    last_rad: [f64; 2],
    /// Reckoned x and y [m] and heading [rad], turns counted.
    pub(super) pose: [f64; 3],
    /// True x and y of the middle between the wheels [m] and heading of the body [rad], turns counted.
    pub(super) truth: [f64; 3],
}

impl Odometer {
    pub(super) fn new(def: &OdometerDef, body: usize, wheels: [usize; 2], truth: [f64; 3]) -> Self {
        Self {
            id: def.id.clone(),
            body,
            wheels,
            radius_m: def.radius_m,
            track_m: def.track_m,
            counts_per_turn: def.counts_per_turn,
            last_rad: [0.0; 2],
            pose: truth,
            truth,
        }
    }

    /// Takes in how far the wheels turned, and where the middle between them and the body's +x truly are.
    pub(super) fn follow(&mut self, wheels_rad: [f64; 2], middle: &Vector3<f64>, forward: &Vector3<f64>) {
        let seen = wheels_rad.map(|a| match self.counts_per_turn {
            Some(n) => (a * f64::from(n) / TAU).floor() * TAU / f64::from(n),
            None => a,
        });
        let [left, right] = [0, 1].map(|k| self.radius_m * (seen[k] - self.last_rad[k]));
        self.last_rad = seen;
        let (on_m, turn_rad) = (0.5 * (left + right), (right - left) / self.track_m);
        let [x, y, heading] = self.pose;
        let (sin, cos) = nalgebra::ComplexField::sin_cos(heading + 0.5 * turn_rad);
        self.pose = [x + on_m * cos, y + on_m * sin, heading + turn_rad];
        let on = heading_rad(forward) - self.truth[2];
        let heading = self.truth[2] + on - TAU * ((on + PI) / TAU).floor();
        self.truth = [middle.x, middle.y, heading];
    }

    /// Its signals, in the order of [`super::ODOMETER_CHANNELS`].
    pub(super) fn values(&self) -> Vec<f64> {
        let [dx, dy, dh] = [0, 1, 2].map(|k| self.pose[k] - self.truth[k]);
        let [x, y, heading] = self.pose;
        vec![x, y, heading, self.truth[2], (dx * dx + dy * dy).sqrt(), dh]
    }
}

/// Heading of a direction: its angle about the world's z from +x, [rad].
pub(super) fn heading_rad(forward: &Vector3<f64>) -> f64 {
    nalgebra::RealField::atan2(forward.y, forward.x)
}
