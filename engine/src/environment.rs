//! Where devices live: weather outside, a thermal network of zones, fields of light, humidity and pressure.

use serde::Deserialize;

/// Outdoor weather over the run, synthetic: a sinusoidal day with stochastic departures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeatherDef {
    /// Latitude, [°], north positive.
    pub latitude_deg: f64,
    /// Day of the year of the run's start, 1–366.
    pub day_of_year: u32,
    /// Mean temperature, [°C].
    pub mean_c: f64,
    /// Half the difference between afternoon and dawn, [K].
    pub swing_c: f64,
}

/// A zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneDef {
    /// Id.
    pub id: String,
    /// Zone that contains it; none: it stands outdoors.
    #[serde(default, rename = "in")]
    pub parent: Option<String>,
    /// Temperature at the start, [°C]; it stays so unless `heat_capacity_j_k` is given.
    #[serde(default = "room_c")]
    pub temperature_c: f64,
}

fn room_c() -> f64 {
    20.0
}
