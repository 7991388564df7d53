//! Planted soil as a bucket: what is watered, evaporates or drains.

use super::{SoilDef, ZoneState};
use crate::environment::air::{self, LATENT_J_KG};

/// Steps the bucket exactly under a held potential evapotranspiration and watering; returns the water evaporated, [kg].
///
/// The available water x (0 wilting, 1 field capacity) follows dx/dt = w − k·x until it meets 1, where the surplus drains.
pub(super) fn water_soil(
    soil: &SoilDef,
    now: &mut ZoneState,
    canopy_w_m2: f64,
    water_mm_h: f64,
    dt_s: f64,
) -> f64 {
    let span_percent = soil.capacity_percent - soil.wilting_percent;
    let span_mm = soil.root_mm * span_percent / 100.0;
    let deficit_kpa =
        0.1 * air::saturation_hpa(now.temperature_c) * (1.0 - now.humidity_percent / 100.0).max(0.0);
    let potential_w_m2 = soil.radiation_share * canopy_w_m2 + soil.vpd_w_m2_kpa * deficit_kpa;
    // 1 kg/m² is 1 mm.
    let k = potential_w_m2 / LATENT_J_KG / span_mm;
    let w = water_mm_h / 3600.0 / span_mm;
    let start = ((now.soil_percent - soil.wilting_percent) / span_percent).clamp(0.0, 1.0);
    let (end, mean_share_s) = bucket(start, k, w, dt_s);
    now.soil_percent = soil.wilting_percent + span_percent * end;
    k * span_mm * mean_share_s * soil.area_m2
}

/// End value of dx/dt = w − k·x with x ≤ 1, and the integral of x over the step.
fn bucket(start: f64, k: f64, w: f64, dt_s: f64) -> (f64, f64) {
    // (1 − e^(−k·t))/k, which is t as k goes to 0.
    let span = |t: f64| if k > 0.0 { -(-k * t).exp_m1() / k } else { t };
    let free = |t: f64| start + (w - k * start) * span(t);
    // x = start + (w − k·start)·(span)(t), so its integral follows from k·∫x = w·t − (x − start); for k = 0 it is a line.
    let area = |t: f64| {
        if k * t > 1e-9 { (w * t - (free(t) - start)) / k } else { (start + 0.5 * (w - k * start) * t) * t }
    };
    if w <= k || free(dt_s) <= 1.0 {
        let end = free(dt_s).min(1.0);
        return (end, area(dt_s));
    }
    let full_at = if k > 0.0 { ((w - k * start) / (w - k)).ln() / k } else { (1.0 - start) / w };
    let full_at = full_at.clamp(0.0, dt_s);
    (1.0, area(full_at) + (dt_s - full_at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Water in = water stored + evaporated + drained, and nothing drains before the soil is full.
        #[test]
        fn the_bucket_loses_no_water(start in 0.0..1.0f64, k in 0.0..1e-3f64, w in 0.0..1e-3f64, dt in 1.0..1e5f64) {
            let (end, area) = bucket(start, k, w, dt);
            let drained = w * dt - (end - start) - k * area;
            prop_assert!((0.0..=1.0).contains(&end));
            prop_assert!(drained > -1e-7 * (1.0 + w * dt), "{drained} drained, end {end}");
            prop_assert!(end > 1.0 - 1e-9 || drained.abs() < 1e-7 * (1.0 + w * dt), "{drained} drained at {end}");
        }

        #[test]
        fn two_half_steps_of_the_bucket_are_one(start in 0.0..1.0f64, k in 0.0..1e-3f64, w in 0.0..1e-3f64, dt in 1.0..1e5f64) {
            let whole = bucket(start, k, w, dt);
            let first = bucket(start, k, w, dt / 2.0);
            let second = bucket(first.0, k, w, dt / 2.0);
            prop_assert!((whole.0 - second.0).abs() < 1e-9);
            prop_assert!((whole.1 - first.1 - second.1).abs() < 1e-6 * dt, "{whole:?} against {first:?} {second:?}");
        }
    }
}
