//! Weather: a pure function of the seed and of time, whatever the step. Regular courses (sun, day) carry stochastic
//! departures: Gauss–Markov processes drawn at fixed knots and joined by straight lines.
//!
//! Synthetic, and plain: no fronts, no seasons, wind without gusts. Solar time is UTC + longitude/15 h; the equation of
//! time (at most 16 min) is left out.
//!
//! ```
//! use twinfleet_engine::environment::weather::{Weather, WeatherDef};
//! use twinfleet_engine::time::{SimTime, Span};
//! let def = WeatherDef { latitude_deg: 50.0, day_of_year: Some(172), ..WeatherDef::default() };
//! let mut weather = Weather::new(&def, 42);
//! let midnight = weather.at(0, SimTime::ZERO);
//! assert_eq!(midnight.irradiance_w_m2, 0.0);
//! let noon = weather.at(0, SimTime::ZERO + Span::from_secs(12 * 3600));
//! assert!((noon.sun_elevation_deg - 63.4).abs() < 0.1);
//! ```

use super::air;
use crate::{
    rng::{Rng, stream},
    scenario::Action,
    time::SimTime,
};
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

/// Outdoor weather over the run, synthetic: a sinusoidal day with stochastic departures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeatherDef {
    /// Latitude, [°], north positive.
    pub latitude_deg: f64,
    /// Longitude, [°], east positive: shifts solar time against UTC.
    #[serde(default)]
    pub longitude_deg: f64,
    /// Height above the sea, [m].
    #[serde(default)]
    pub altitude_m: f64,
    /// Day of the year of the run's start, 1–366; without it, that of the scenario's `start`.
    #[serde(default)]
    pub day_of_year: Option<u32>,
    /// Mean temperature, [°C].
    pub mean_c: f64,
    /// Half the difference between afternoon (15 h solar time) and night, [K].
    pub swing_c: f64,
    /// Standard deviation of the temperature's slow departures (6 h correlation), [K].
    #[serde(default = "departure_c")]
    pub departure_c: f64,
    /// Dew point, mean over time, [°C]; without it, that of 70 % relative humidity at the mean temperature.
    #[serde(default)]
    pub dew_point_c: Option<f64>,
    /// Mean pressure at sea level, [hPa]; its slow departures have 6 hPa standard deviation and 2 d correlation.
    #[serde(default = "standard_hpa")]
    pub pressure_hpa: f64,
    /// Mean wind speed, [m/s]; the speed is Rayleigh distributed (Weibull of shape 2).
    #[serde(default = "wind_m_s")]
    pub wind_m_s: f64,
    /// Median cloud cover, 0–1. At 0 or 1 it stays there.
    #[serde(default = "cloud")]
    pub cloud: f64,
    /// Rain under a closed sky, [mm/h]; it begins at a cloud cover of 0.9.
    #[serde(default = "rain_mm_h")]
    pub rain_mm_h: f64,
}

fn departure_c() -> f64 {
    1.5
}
fn standard_hpa() -> f64 {
    1013.25
}
fn wind_m_s() -> f64 {
    3.0
}
fn cloud() -> f64 {
    0.4
}
fn rain_mm_h() -> f64 {
    2.0
}

impl Default for WeatherDef {
    /// A mild place on the equator with the fields' own defaults.
    fn default() -> Self {
        Self {
            latitude_deg: 0.0,
            longitude_deg: 0.0,
            altitude_m: 0.0,
            day_of_year: None,
            mean_c: 15.0,
            swing_c: 5.0,
            departure_c: departure_c(),
            dew_point_c: None,
            pressure_hpa: standard_hpa(),
            wind_m_s: wind_m_s(),
            cloud: cloud(),
            rain_mm_h: rain_mm_h(),
        }
    }
}

impl WeatherDef {
    /// What is wrong beyond the ranges that a key's unit implies: field, and what was expected.
    pub fn problems(&self) -> Vec<(&'static str, String, &'static str)> {
        let not_negative = [
            ("departure_c", self.departure_c),
            ("wind_m_s", self.wind_m_s),
            ("rain_mm_h", self.rain_mm_h),
            ("pressure_hpa", self.pressure_hpa),
        ];
        let mut found: Vec<_> = not_negative
            .iter()
            .filter(|(_, value)| *value < 0.0)
            .map(|(field, value)| {
                (*field, format!("`{field}` must be at least 0, but is {value}"), "write 0 or more")
            })
            .collect();
        if !(0.0..=1.0).contains(&self.cloud) {
            let message = format!("`cloud` is a share, from 0 to 1, but is {}", self.cloud);
            found.push(("cloud", message, "a sky half covered is written 0.5"));
        }
        if !(-500.0..=9000.0).contains(&self.altitude_m) {
            found.push((
                "altitude_m",
                format!("`altitude_m` must be from -500 to 9000 m, but is {}", self.altitude_m),
                "write the height above the sea in metres",
            ));
        }
        found
    }
}

/// What an event makes of the weather; what it does not name stays as it would be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// On top of the temperature, [K].
    pub warmer_c: f64,
    /// Temperature, [°C].
    pub temperature_c: Option<f64>,
    /// Dew point, [°C].
    pub dew_point_c: Option<f64>,
    /// Pressure at sea level, [hPa].
    pub pressure_hpa: Option<f64>,
    /// Wind speed, [m/s].
    pub wind_m_s: Option<f64>,
    /// Cloud cover, 0–1.
    pub cloud: Option<f64>,
    /// Rain, [mm/h].
    pub rain_mm_h: Option<f64>,
}

impl Change {
    /// What a timeline's event does; none where it is another kind of event.
    pub fn of(action: &Action) -> Option<Self> {
        let Action::Weather {
            warmer_c,
            temperature_c,
            dew_point_c,
            pressure_hpa,
            wind_m_s,
            cloud,
            rain_mm_h,
        } = *action
        else {
            return None;
        };
        Some(Self { warmer_c, temperature_c, dew_point_c, pressure_hpa, wind_m_s, cloud, rain_mm_h })
    }

    /// Both at once, where the later one prevails; what is warmer adds up.
    #[must_use]
    pub fn then(self, later: &Self) -> Self {
        Self {
            warmer_c: self.warmer_c + later.warmer_c,
            temperature_c: later.temperature_c.or(self.temperature_c),
            dew_point_c: later.dew_point_c.or(self.dew_point_c),
            pressure_hpa: later.pressure_hpa.or(self.pressure_hpa),
            wind_m_s: later.wind_m_s.or(self.wind_m_s),
            cloud: later.cloud.or(self.cloud),
            rain_mm_h: later.rain_mm_h.or(self.rain_mm_h),
        }
    }

    /// What it names, with figures and units.
    pub fn in_words(&self) -> String {
        let warmer = Some(self.warmer_c).filter(|k| *k != 0.0);
        let all = [
            (warmer, "K warmer"),
            (self.temperature_c, "°C"),
            (self.dew_point_c, "°C dew point"),
            (self.pressure_hpa, "hPa"),
            (self.wind_m_s, "m/s wind"),
            (self.cloud, "cloud cover"),
            (self.rain_mm_h, "mm/h rain"),
        ];
        let words: Vec<String> =
            all.iter().filter_map(|(x, unit)| Some(format!("{} {unit}", (*x)?))).collect();
        words.join(", ")
    }

    /// Whether it names nothing.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The air and sky outdoors at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outside {
    /// Air temperature, [°C].
    pub temperature_c: f64,
    /// Relative humidity, [percent].
    pub humidity_percent: f64,
    /// Pressure at the place's own height, [hPa].
    pub pressure_hpa: f64,
    /// Wind speed, [m/s].
    pub wind_m_s: f64,
    /// Cloud cover, 0–1.
    pub cloud: f64,
    /// Global horizontal irradiance, [W/m²].
    pub irradiance_w_m2: f64,
    /// Illuminance on the horizontal, [lx].
    pub illuminance_lx: f64,
    /// Rain, [mm/h].
    pub rain_mm_h: f64,
    /// Elevation of the sun over the horizon, [°].
    pub sun_elevation_deg: f64,
}

impl Default for Outside {
    /// Outside without weather: 20 °C, 50 %RH, 1013.25 hPa, dark and still.
    fn default() -> Self {
        Self {
            temperature_c: 20.0,
            humidity_percent: 50.0,
            pressure_hpa: standard_hpa(),
            wind_m_s: 0.0,
            cloud: 0.0,
            irradiance_w_m2: 0.0,
            illuminance_lx: 0.0,
            rain_mm_h: 0.0,
            sun_elevation_deg: -90.0,
        }
    }
}

/// Luminous efficacy of daylight, sun and sky together, [lm/W]: the mean that P. Littlefair measured over a year at
/// Garston under average conditions ("Measurements of the luminous efficacy of daylight", Lighting Research &
/// Technology 20(4), 1988; 107 under clear skies, 115 under overcast ones). That it varies with the sky is left out.
pub const DAYLIGHT_LM_W: f64 = 109.0;

/// Elevation of the sun, [°], at a latitude, [°], on a day of the year (1 = 1 January), at a solar time of day, [h].
/// Declination by Cooper's formula, 23.45°·sin(2π·(284 + n)/365); no refraction.
pub fn sun_elevation_deg(latitude_deg: f64, day_of_year: f64, solar_h: f64) -> f64 {
    let declination = 23.45f64.to_radians() * (std::f64::consts::TAU * (284.0 + day_of_year) / 365.0).sin();
    let hour = ((solar_h - 12.0) * 15.0).to_radians();
    let latitude = latitude_deg.to_radians();
    let sine = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour.cos();
    sine.clamp(-1.0, 1.0).asin().to_degrees()
}

/// Global horizontal irradiance under a clear sky, [W/m²]: 1098·cos θ·e^(−0.057/cos θ), θ from the zenith (Haurwitz,
/// FACTS "Equations"); 0 below the horizon.
pub fn clear_sky_w_m2(sun_elevation_deg: f64) -> f64 {
    let cosine = sun_elevation_deg.to_radians().sin();
    if cosine > 0.0 { 1098.0 * cosine * (-0.057 / cosine).exp() } else { 0.0 }
}

/// Share of the clear sky's irradiance that a cloud cover (0–1) lets through: 1 − 0.75·N^3.4 (F. Kasten and G. Czeplak,
/// Solar Energy 24, 1980).
pub fn cloud_share(cloud: f64) -> f64 {
    1.0 - 0.75 * cloud.clamp(0.0, 1.0).powf(3.4)
}

/// A standard Gauss–Markov process over time, drawn at knots and joined by straight lines, so that a value depends on
/// the seed and the instant only, never on the run's step.
#[derive(Clone, Debug)]
struct Departure {
    rng: Rng,
    fresh: Rng,
    spacing_s: f64,
    phi: f64,
    knot: u64,
    ends: (f64, f64),
}

impl Departure {
    fn new(seed: u64, label: &str, tau_s: f64) -> Self {
        let rng = stream(seed, "world", label);
        // Twenty knots a correlation time: the straight lines take 2 % of the variance between knots.
        let spacing_s = tau_s / 20.0;
        let mut d = Self {
            fresh: rng.clone(),
            rng,
            spacing_s,
            phi: (-spacing_s / tau_s).exp(),
            knot: 0,
            ends: (0.0, 0.0),
        };
        d.restart();
        d
    }

    fn restart(&mut self) {
        self.rng = self.fresh.clone();
        self.knot = 0;
        let first = self.normal();
        self.ends = (first, self.following(first));
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.rng)
    }

    fn following(&mut self, value: f64) -> f64 {
        self.phi * value + (1.0 - self.phi * self.phi).sqrt() * self.normal()
    }

    fn at(&mut self, t_s: f64) -> f64 {
        let place = (t_s / self.spacing_s).max(0.0);
        let knot = place.floor() as u64;
        if knot < self.knot {
            self.restart();
        }
        while self.knot < knot {
            let last = self.ends.1;
            self.ends = (last, self.following(last));
            self.knot += 1;
        }
        let share = place - knot as f64;
        self.ends.0 + (self.ends.1 - self.ends.0) * share
    }
}

/// The weather of a run.
#[derive(Clone, Debug)]
pub struct Weather {
    def: WeatherDef,
    dew_point_c: f64,
    temperature: Departure,
    dew: Departure,
    pressure: Departure,
    wind: [Departure; 2],
    cloud: Departure,
}

const H: f64 = 3600.0;

impl Weather {
    /// The weather of this definition in the run with this seed.
    pub fn new(def: &WeatherDef, seed: u64) -> Self {
        let departure = |label: &str, tau_s: f64| Departure::new(seed, label, tau_s);
        Self {
            dew_point_c: def.dew_point_c.unwrap_or_else(|| air::dew_point_c(def.mean_c, 70.0)),
            temperature: departure("weather/temperature", 6.0 * H),
            dew: departure("weather/dew", 12.0 * H),
            pressure: departure("weather/pressure", 48.0 * H),
            wind: [departure("weather/wind/x", H), departure("weather/wind/y", H)],
            cloud: departure("weather/cloud", 0.5 * H),
            def: def.clone(),
        }
    }

    /// The weather at an instant of the run that starts at `epoch_unix_ms` (Unix time, [ms]).
    pub fn at(&mut self, epoch_unix_ms: i64, t: SimTime) -> Outside {
        self.at_amid(epoch_unix_ms, t, &Change::default())
    }

    /// The same, changed by an event. Light follows the clouds, and humidity temperature and dew point.
    pub fn at_amid(&mut self, epoch_unix_ms: i64, t: SimTime, change: &Change) -> Outside {
        let t_s = t.as_secs_f64();
        let start_s = epoch_unix_ms as f64 / 1000.0;
        let solar_s = start_s.rem_euclid(86_400.0) + t_s + self.def.longitude_deg * 240.0;
        let solar_h = solar_s.rem_euclid(86_400.0) / H;
        let first_day = match self.def.day_of_year {
            Some(day) => f64::from(day),
            None => f64::from(day_of_year(epoch_unix_ms.div_euclid(86_400_000))),
        };
        let day = first_day + (solar_s / 86_400.0).floor();
        let sun = sun_elevation_deg(self.def.latitude_deg, day, solar_h);

        let cloud = if let Some(cloud) = change.cloud {
            cloud
        } else if self.def.cloud > 0.0 && self.def.cloud < 1.0 {
            let odds = self.def.cloud / (1.0 - self.def.cloud) * (1.5 * self.cloud.at(t_s)).exp();
            odds / (1.0 + odds)
        } else {
            self.def.cloud
        };
        let irradiance_w_m2 = clear_sky_w_m2(sun) * cloud_share(cloud);
        let course = (std::f64::consts::TAU * (solar_h - 15.0) / 24.0).cos();
        let own_c =
            self.def.mean_c + self.def.swing_c * course + self.def.departure_c * self.temperature.at(t_s);
        let temperature_c = change.temperature_c.unwrap_or(own_c) + change.warmer_c;
        let dew_point_c = change.dew_point_c.unwrap_or(self.dew_point_c + 1.5 * self.dew.at(t_s));
        let sea_hpa = change.pressure_hpa.unwrap_or(self.def.pressure_hpa + 6.0 * self.pressure.at(t_s));
        // Two normal components of standard deviation σ give a Rayleigh speed with mean σ·√(π/2).
        let sigma = self.def.wind_m_s / (std::f64::consts::PI / 2.0).sqrt();
        let wind = self.wind[0].at(t_s).hypot(self.wind[1].at(t_s)) * sigma;
        Outside {
            temperature_c,
            humidity_percent: air::humidity_percent(temperature_c, dew_point_c),
            pressure_hpa: sea_hpa * air::pressure_ratio(self.def.altitude_m),
            wind_m_s: change.wind_m_s.unwrap_or(wind),
            cloud,
            irradiance_w_m2,
            illuminance_lx: DAYLIGHT_LM_W * irradiance_w_m2,
            rain_mm_h: change.rain_mm_h.unwrap_or(self.def.rain_mm_h * ((cloud - 0.9) / 0.1).max(0.0)),
            sun_elevation_deg: sun,
        }
    }
}

/// Day of the year, 1–366, of a day counted from 1970-01-01. Years are counted from 1 March, so that the leap day ends
/// them.
fn day_of_year(days: i64) -> u32 {
    let days = days + 719_468;
    let in_era = days.rem_euclid(146_097);
    let year_of_era = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let from_march = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    if from_march >= 306 {
        return (from_march - 306 + 1) as u32;
    }
    let year = year_of_era + 400 * days.div_euclid(146_097);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    (from_march + 60 + i64::from(leap)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn hours(h: f64) -> SimTime {
        SimTime::ZERO + Span::from_secs_f64(h * H)
    }

    #[test]
    fn the_sun_stands_where_it_should() {
        // At noon the elevation is 90° − latitude + declination; at the equinox the declination is 0.
        for latitude in [-60.0, -33.0, 0.0, 12.5, 48.0, 66.0] {
            // Cooper's formula crosses zero at n = 81.
            let noon = sun_elevation_deg(latitude, 81.0, 12.0);
            assert!((noon - (90.0 - latitude.abs())).abs() < 0.01, "{latitude}: {noon}");
            let six = sun_elevation_deg(latitude, 81.0, 6.0);
            assert!(six.abs() < 0.01, "sunrise at the equinox is at six, {latitude}: {six}");
        }
        assert!((sun_elevation_deg(50.0, 172.0, 12.0) - 63.45).abs() < 0.01);
        assert!(sun_elevation_deg(70.0, 355.0, 12.0) < 0.0, "polar night");
        assert!(sun_elevation_deg(70.0, 172.0, 0.0) > 0.0, "midnight sun");
    }

    #[test]
    fn nights_are_dark_and_clouds_dim() {
        assert_eq!(clear_sky_w_m2(-0.1), 0.0);
        // Haurwitz at the zenith: 1098·e^−0.057.
        assert!((clear_sky_w_m2(90.0) - 1037.17).abs() < 0.01);
        assert!((cloud_share(1.0) - 0.25).abs() < 1e-12 && cloud_share(0.0) == 1.0);
        let def = WeatherDef { latitude_deg: 52.0, day_of_year: Some(81), ..Default::default() };
        let mut weather = Weather::new(&def, 7);
        for minute in 0..1440 {
            let h = f64::from(minute) / 60.0;
            let w = weather.at(0, hours(h));
            // At the equinox the day is 6–18 h.
            let night = !(5.9..18.1).contains(&h);
            assert!(!night || w.irradiance_w_m2 == 0.0, "{h} h: {w:?}");
            assert!((6.2..17.8).contains(&h) == (w.irradiance_w_m2 > 1.0) || (5.9..18.1).contains(&h));
            assert_eq!(w.illuminance_lx, DAYLIGHT_LM_W * w.irradiance_w_m2);
        }
    }

    #[test]
    fn the_weather_does_not_depend_on_how_often_one_looks() {
        let def = WeatherDef { latitude_deg: 48.0, day_of_year: Some(120), ..Default::default() };
        let mut often = Weather::new(&def, 3);
        let mut seldom = Weather::new(&def, 3);
        let mut last = None;
        for k in 0..=20_000 {
            last = Some(often.at(0, hours(f64::from(k) * 0.005)));
        }
        assert_eq!(last, Some(seldom.at(0, hours(100.0))));
        // Going back is allowed, too.
        assert_eq!(often.at(0, hours(2.0)), Weather::new(&def, 3).at(0, hours(2.0)));
        assert_ne!(often.at(0, hours(2.0)), Weather::new(&def, 4).at(0, hours(2.0)));
    }

    #[test]
    fn statistics_are_those_of_the_definition() {
        let def = WeatherDef {
            latitude_deg: 48.0,
            day_of_year: Some(100),
            mean_c: 11.0,
            swing_c: 4.0,
            altitude_m: 500.0,
            ..Default::default()
        };
        // 40 seeds × 40 days, one look every three hours: 12,800 samples, some 1,600 correlation times of 48 h or less.
        let mut all = Vec::new();
        for seed in 0..40 {
            let mut weather = Weather::new(&def, seed);
            all.extend((0..320).map(|k| weather.at(0, hours(f64::from(k) * 3.0))));
        }
        let n = all.len() as f64;
        let mean = |f: fn(&Outside) -> f64| all.iter().map(f).sum::<f64>() / n;
        let sd = |f: fn(&Outside) -> f64| {
            let m = mean(f);
            (all.iter().map(|w| (f(w) - m).powi(2)).sum::<f64>() / n).sqrt()
        };
        assert!((mean(|w| w.temperature_c) - 11.0).abs() < 0.15);
        // Sinusoid and departures are independent: 4²/2 + 1.5².
        assert!((sd(|w| w.temperature_c) - (8.0f64 + 2.25).sqrt()).abs() < 0.06);
        assert!((mean(|w| w.wind_m_s) - 3.0).abs() < 0.1);
        let above = all.iter().filter(|w| w.wind_m_s > 6.0).count() as f64 / n;
        // Rayleigh: P(v > 2·mean) = e^−π.
        assert!((above - (-std::f64::consts::PI).exp()).abs() < 0.01, "{above}");
        let clouded = all.iter().filter(|w| w.cloud > 0.4).count() as f64 / n;
        assert!((clouded - 0.5).abs() < 0.03, "the median cloud cover: {clouded}");
        assert!((mean(|w| w.pressure_hpa) - 1013.25 * air::pressure_ratio(500.0)).abs() < 0.6);
        assert!((sd(|w| w.pressure_hpa) - 6.0 * air::pressure_ratio(500.0)).abs() < 0.5);
        assert!(all.iter().all(|w| w.humidity_percent > 5.0 && w.humidity_percent <= 100.0));
    }

    #[test]
    fn days_are_counted_through_leap_years() {
        assert_eq!(day_of_year(0), 1);
        assert_eq!(day_of_year(364), 365);
        assert_eq!(day_of_year(365), 1);
        // 2024-02-29, 2024-12-31, 2025-03-01, 2026-06-21.
        assert_eq!(day_of_year(19_782), 60);
        assert_eq!(day_of_year(20_088), 366);
        assert_eq!(day_of_year(20_148), 60);
        assert_eq!(day_of_year(20_625), 172);
        let mut expected = 0;
        for (day, length) in (1968..2032).flat_map(|y: i64| {
            let leap = y % 4 == 0;
            let length = if leap { 366 } else { 365 };
            let base = (1968..y).map(|y| if y % 4 == 0 { 366 } else { 365 }).sum::<i64>() - 731;
            (0..length).map(move |d| (base + d, d + 1))
        }) {
            assert_eq!(i64::from(day_of_year(day)), length);
            expected += 1;
        }
        assert!(expected > 20_000);
    }
}
