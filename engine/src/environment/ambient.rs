//! What the air of a place carries, and its sound and magnetic field.
//!
//! Gases and dust are carried with the air as vapour is: a zone with a volume is well mixed, V·dC/dt = Q + λ·V·(C_out − C).
//! Without a volume they stay as they are, and so does everything outdoors. Dust does not settle.
//!
//! ```
//! use twinfleet_engine::environment::ambient::{AmbientDef, loudest_db};
//! assert_eq!(AmbientDef::default().co2_ppm, 420.0);
//! // Two equal sources are 3 dB louder than one.
//! assert!((loudest_db(60.0, 60.0) - 63.0103).abs() < 1e-4);
//! ```

use serde::Deserialize;

/// Quantities that the air carries, in the order of [`Carried`].
pub const CARRIED: usize = 5;

/// Carbon dioxide [ppm], gas [ppm], particulate matter up to 1, 2.5 and 10 µm [µg/m³].
pub type Carried = [f64; CARRIED];

/// What the air of a place carries, and its sound and magnetic field.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmbientDef {
    /// Carbon dioxide, [ppm].
    #[serde(default = "co2_ppm")]
    pub co2_ppm: f64,
    /// The gas that gas sensors are there for, as ammonia, [ppm].
    #[serde(default)]
    pub gas_ppm: f64,
    /// Particulate matter up to 1 µm, [µg/m³].
    #[serde(default = "pm1_ug_m3")]
    pub pm1_ug_m3: f64,
    /// Particulate matter up to 2.5 µm, [µg/m³].
    #[serde(default = "pm2_5_ug_m3")]
    pub pm2_5_ug_m3: f64,
    /// Particulate matter up to 10 µm, [µg/m³].
    #[serde(default = "pm10_ug_m3")]
    pub pm10_ug_m3: f64,
    /// Level of sound, A-weighted, [dB].
    #[serde(default = "sound_db")]
    pub sound_db: f64,
    /// Magnetic flux density along x, y and z (up), [µT].
    #[serde(default = "magnetic_ut")]
    pub magnetic_ut: (f64, f64, f64),
}

// NOAA, global mean of 2023: 419 ppm.
fn co2_ppm() -> f64 {
    420.0
}
// The annual guide values of the WHO's air quality guidelines of 2021 are 5 µg/m³ (PM2.5) and 15 (PM10).
fn pm1_ug_m3() -> f64 {
    3.0
}
fn pm2_5_ug_m3() -> f64 {
    5.0
}
fn pm10_ug_m3() -> f64 {
    15.0
}
// A quiet room, as tables of everyday sounds have it.
fn sound_db() -> f64 {
    35.0
}
// Central Europe by the World Magnetic Model 2020, about: 20 µT to the north (y), 44 µT down.
fn magnetic_ut() -> (f64, f64, f64) {
    (0.0, 20.0, -44.0)
}

impl Default for AmbientDef {
    fn default() -> Self {
        Self {
            co2_ppm: co2_ppm(),
            gas_ppm: 0.0,
            pm1_ug_m3: pm1_ug_m3(),
            pm2_5_ug_m3: pm2_5_ug_m3(),
            pm10_ug_m3: pm10_ug_m3(),
            sound_db: sound_db(),
            magnetic_ut: magnetic_ut(),
        }
    }
}

impl AmbientDef {
    /// What the air carries.
    pub fn carried(&self) -> Carried {
        [self.co2_ppm, self.gas_ppm, self.pm1_ug_m3, self.pm2_5_ug_m3, self.pm10_ug_m3]
    }

    /// What is wrong with it: field, and what was expected.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let least = [
            ("co2_ppm", self.co2_ppm),
            ("gas_ppm", self.gas_ppm),
            ("pm1_ug_m3", self.pm1_ug_m3),
            ("pm2_5_ug_m3", self.pm2_5_ug_m3),
            ("pm10_ug_m3", self.pm10_ug_m3),
        ];
        let mut found: Vec<_> = least
            .iter()
            .filter(|(_, value)| *value < 0.0)
            .map(|(field, value)| (*field, format!("must be at least 0, but is {value}")))
            .collect();
        if !(self.pm1_ug_m3 <= self.pm2_5_ug_m3 && self.pm2_5_ug_m3 <= self.pm10_ug_m3) {
            let text =
                "holds the smaller particles too: it is at least pm2_5_ug_m3, and that at least pm1_ug_m3";
            found.push(("pm10_ug_m3", text.to_owned()));
        }
        found
    }
}

/// What something gives off into the air.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmitDef {
    /// Carbon dioxide, [l/h]; a person at rest breathes out about 18.
    #[serde(default)]
    pub co2_l_h: f64,
    /// Gas, [l/h].
    #[serde(default)]
    pub gas_l_h: f64,
    /// Particulate matter up to 1 µm, [mg/h].
    #[serde(default)]
    pub pm1_mg_h: f64,
    /// Particulate matter up to 2.5 µm, the smaller with it, [mg/h].
    #[serde(default)]
    pub pm2_5_mg_h: f64,
    /// Particulate matter up to 10 µm, the smaller with it, [mg/h].
    #[serde(default)]
    pub pm10_mg_h: f64,
}

impl EmitDef {
    /// As sources of [`Carried`] times m³ a second: 1 l/h is 1000 ppm·m³/h, 1 mg/h is 1000 µg/h.
    pub fn per_s(&self) -> Carried {
        [self.co2_l_h, self.gas_l_h, self.pm1_mg_h, self.pm2_5_mg_h, self.pm10_mg_h]
            .map(|q| q * 1000.0 / 3600.0)
    }

    /// Whether it gives off nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Level of two sounds together, [dB]: their powers add up.
pub fn loudest_db(a: f64, b: f64) -> f64 {
    10.0 * (10f64.powf(a / 10.0) + 10f64.powf(b / 10.0)).log10()
}
