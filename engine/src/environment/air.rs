//! Moist air and the atmosphere: Magnus' formula, absolute humidity, pressure at height.
//!
//! ```
//! use twinfleet_engine::environment::air;
//! assert!((air::dew_point_c(50.0, 90.0) - 47.90).abs() < 0.005);
//! ```

/// Heat capacity of air by volume at 20 °C and sea level, [J/(m³·K)]: 1.2 kg/m³ × 1005 J/(kg·K).
pub const AIR_J_M3_K: f64 = 1206.0;

/// Latent heat of vaporisation of water, [J/kg] (FAO-56: λ = 2.45 MJ/kg, that of 20 °C).
pub const LATENT_J_KG: f64 = 2.45e6;

// Magnus' constants over water; Sensirion's humidity note, FACTS "Equations".
const MAGNUS_HPA: f64 = 6.112;
const MAGNUS_A: f64 = 17.62;
const MAGNUS_C: f64 = 243.12;

/// Saturation vapour pressure over water, [hPa], at a temperature, [°C] (Magnus).
pub fn saturation_hpa(temperature_c: f64) -> f64 {
    MAGNUS_HPA * (MAGNUS_A * temperature_c / (MAGNUS_C + temperature_c)).exp()
}

/// Dew point, [°C], of air at a temperature, [°C], and relative humidity, [percent].
pub fn dew_point_c(temperature_c: f64, humidity_percent: f64) -> f64 {
    let share = humidity_percent.max(1e-6) / 100.0;
    let x = share.ln() + MAGNUS_A * temperature_c / (MAGNUS_C + temperature_c);
    MAGNUS_C * x / (MAGNUS_A - x)
}

/// Relative humidity, [percent], of air at a temperature with a dew point, [°C]; never above 100.
pub fn humidity_percent(temperature_c: f64, dew_point_c: f64) -> f64 {
    (100.0 * saturation_hpa(dew_point_c) / saturation_hpa(temperature_c)).min(100.0)
}

/// Absolute humidity, [g/m³]: 216.74·e/(T + 273.15) with e in hPa (Sensirion, FACTS "Equations").
pub fn absolute_humidity_g_m3(temperature_c: f64, humidity_percent: f64) -> f64 {
    216.74 * humidity_percent / 100.0 * saturation_hpa(temperature_c) / (temperature_c + 273.15)
}

/// Pressure of the standard atmosphere at a height above the sea, [m], over that at the sea: 288.15 K, 0.0065 K/m,
/// exponent g·M/(R·L) = 5.25588 (FACTS "Equations").
pub fn pressure_ratio(height_m: f64) -> f64 {
    (1.0 - 0.0065 * height_m / 288.15).max(0.0).powf(5.25588)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn check_values_of_the_humidity_note() {
        assert!((dew_point_c(25.0, 10.0) - -8.77).abs() < 0.005);
        assert!((dew_point_c(50.0, 90.0) - 47.90).abs() < 0.005);
        // Saturated air at 20 °C holds 17.3 g/m³ (tables of saturated steam); Magnus is good to 0.5 %.
        assert!((absolute_humidity_g_m3(20.0, 100.0) - 17.3).abs() < 0.09);
        // Standard atmosphere at 1,000 m: 898.75 hPa.
        assert!((1013.25 * pressure_ratio(1000.0) - 898.75).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn dew_point_and_humidity_are_inverse(t in -30.0..60.0f64, rh in 1.0..100.0f64) {
            let dew = dew_point_c(t, rh);
            prop_assert!(dew <= t + 1e-9);
            prop_assert!((humidity_percent(t, dew) - rh).abs() < 1e-9);
        }
    }
}
