//! Solar panels: light to charging current.
//!
//! Light is summed over a place's ticks, so that what a panel gives between two wakes is exact for light that is constant
//! over a tick, however long its device slept. Only places with a panel are summed.
//!
//! ```
//! use twinfleet_engine::power::solar::SolarDef;
//! let panel: SolarDef = ron::from_str("(area_m2: 0.01, efficiency: 0.2, controller: 0.9)").unwrap();
//! assert!((panel.power_w(1000.0) - 1.8).abs() < 1e-12);
//! ```

use crate::{
    environment::weather::DAYLIGHT_LM_W,
    time::SimTime,
    world::{Clock, Truth, TruthId},
};
use bevy_ecs::prelude::*;
use serde::Deserialize;

/// A panel that lies flat, and its charge controller.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolarDef {
    /// Area of its cells, [m²].
    pub area_m2: f64,
    /// Efficiency of its cells, 0–1.
    pub efficiency: f64,
    /// Efficiency of the charge controller, 0–1.
    #[serde(default = "one")]
    pub controller: f64,
}

fn one() -> f64 {
    1.0
}

impl SolarDef {
    /// Power into the battery under this irradiance, [W].
    pub fn power_w(&self, irradiance_w_m2: f64) -> f64 {
        irradiance_w_m2 * self.area_m2 * self.efficiency * self.controller
    }
}

/// Light that has fallen on places with panels, [W·s/m²], up to the tick in progress.
#[derive(Resource, Debug, Default)]
pub struct Insolation {
    places: Vec<TruthId>,
    sum_j_m2: Vec<f64>,
    now_w_m2: Vec<f64>,
    tick: SimTime,
}

impl Insolation {
    /// The index of a place of `illuminance`, made if new.
    pub(crate) fn place(&mut self, id: TruthId) -> usize {
        if let Some(at) = self.places.iter().position(|p| *p == id) {
            return at;
        }
        self.places.push(id);
        self.sum_j_m2.push(0.0);
        self.now_w_m2.push(0.0);
        self.places.len() - 1
    }

    /// Whether nobody looks at the light.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What has fallen on a place since the start, at an instant of the tick in progress, [J/m²].
    pub fn fallen_j_m2(&self, place: usize, t: SimTime) -> f64 {
        self.sum_j_m2[place] + self.now_w_m2[place] * (t - self.tick).as_secs_f64().max(0.0)
    }

    fn advance(&mut self, clock: &Clock, light_lx: impl Fn(TruthId) -> f64) {
        let past_s = (clock.now - self.tick).as_secs_f64();
        for ((sum, now), id) in self.sum_j_m2.iter_mut().zip(&mut self.now_w_m2).zip(&self.places) {
            *sum += *now * past_s;
            // By daylight's efficacy, for lamps too.
            *now = light_lx(*id).max(0.0) / DAYLIGHT_LM_W;
        }
        self.tick = clock.now;
    }
}

/// Takes in the light of the tick that begins.
pub(crate) fn sum_light(clock: Res<Clock>, truth: Res<Truth>, mut light: ResMut<Insolation>) {
    light.advance(&clock, |id| truth.get(id));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn light_is_summed_whatever_the_step() {
        // A ramp in steps of 10 s, summed by ticks of 10 s and of 5 s.
        let sum = |step: i64| {
            let mut light = Insolation::default();
            let place = light.place(TruthId(0));
            for tick in 0..600 / step {
                let now = SimTime::ZERO + Span::from_secs(tick * step);
                let clock = Clock {
                    now,
                    next: now + Span::from_secs(step),
                    step: Span::from_secs(step),
                    tick: tick as u64,
                    epoch_unix_ms: 0,
                    end: SimTime::NEVER,
                };
                light.advance(&clock, |_| (tick * step / 10) as f64 * DAYLIGHT_LM_W);
            }
            light.fallen_j_m2(place, SimTime::ZERO + Span::from_secs(600))
        };
        let exact: f64 = (0..60).map(|k| f64::from(k) * 10.0).sum();
        assert!((sum(10) - exact).abs() < 1e-9 && (sum(5) - exact).abs() < 1e-9);
    }
}
