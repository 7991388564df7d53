//! Figures as the user likes them: units of choice, signs as people write them.
//!
//! ```
//! use twinfleet_desktop::units::Units;
//! let units = Units { temperature: "degF".into(), ..Units::default() };
//! assert_eq!(units.figure(20.0, "degC"), "68.0 °F");
//! assert_eq!(units.rise(2.0, "degC"), "3.60 °F");
//! assert_eq!(Units::default().figure(55.36, "percent"), "55.4 %");
//! assert_eq!(Units::default().figure(48.1, "deg"), "48.1 °");
//! assert_eq!(Units::default().of("latitude", 48.13743, "deg"), "48.13743 °");
//! ```

use serde::{Deserialize, Serialize};
use twinfleet_engine::{
    time::SimTime,
    units::{self, Dimension},
};

/// Units of choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Units {
    /// Of temperatures: `degC`, `degF`, `K`.
    pub temperature: String,
    /// Of pressures: `hPa`, `kPa`, `mmHg`.
    pub pressure: String,
    /// Of speeds: `m/s`, `km/h`.
    pub speed: String,
    /// Of angles: `deg`, `rad`.
    pub angle: String,
}

impl Default for Units {
    fn default() -> Self {
        let [temperature, pressure, speed, angle] = ["degC", "hPa", "m/s", "deg"].map(str::to_owned);
        Self { temperature, pressure, speed, angle }
    }
}

impl Units {
    /// The unit that values of this one are shown in.
    pub fn shown(&self, unit: &str) -> String {
        let wanted = match units::find(unit).map(|u| u.dimension) {
            Some(Dimension::Temperature) => &self.temperature,
            Some(Dimension::Pressure) => &self.pressure,
            Some(Dimension::Speed) => &self.speed,
            Some(Dimension::Angle) => &self.angle,
            _ => return unit.to_owned(),
        };
        wanted.clone()
    }

    /// A value in the unit that it is shown in.
    pub fn value(&self, value: f64, unit: &str) -> f64 {
        let (from, to) = (units::find(unit), units::find(&self.shown(unit)));
        from.zip(to).and_then(|(from, to)| from.convert(value, to)).unwrap_or(value)
    }

    /// A difference of two values, which has no zero of its own.
    pub fn difference(&self, value: f64, unit: &str) -> f64 {
        self.value(value, unit) - self.value(0.0, unit)
    }

    /// A value with its unit.
    pub fn figure(&self, value: f64, unit: &str) -> String {
        with_sign(self.value(value, unit), &self.shown(unit))
    }

    /// A quantity's value with its unit: a tenth of a degree of a place on Earth would be eleven kilometres.
    pub fn of(&self, quantity: &str, value: f64, unit: &str) -> String {
        match quantity {
            "latitude" | "longitude" => {
                format!("{:.5} {}", self.value(value, unit), sign(&self.shown(unit)))
            }
            _ => self.figure(value, unit),
        }
    }

    /// A difference of two values, such as a residual or a bias, with its unit.
    pub fn rise(&self, value: f64, unit: &str) -> String {
        let unit = if unit == "delta_K" { "degC" } else { unit };
        with_sign(self.difference(value, unit), &self.shown(unit))
    }
}

fn with_sign(value: f64, unit: &str) -> String {
    let (text, sign) = (number(value), sign(unit));
    if sign.is_empty() { text } else { format!("{text} {sign}") }
}

/// Seconds as a clock shows them: the one way in which the window writes times.
///
/// ```
/// use twinfleet_desktop::units::clock;
/// assert_eq!([12.34, 59.98, 83.0, 86_392.1].map(clock), ["12.3 s", "59.9 s", "1:23", "23:59:52"]);
/// ```
pub fn clock(s: f64) -> String {
    let whole = s.max(0.0);
    let (h, m, rest) = ((whole / 3600.0) as u64, (whole / 60.0) as u64 % 60, whole % 60.0);
    match (h, m) {
        // The last tenth before a minute is no minute of its own.
        (0, 0) => format!("{:.1} s", rest.min(59.9)),
        (0, _) => format!("{m}:{:02}", rest as u64),
        _ => format!("{h}:{m:02}:{:02}", rest as u64),
    }
}

/// An instant as a clock shows it.
pub fn time(t: SimTime) -> String {
    clock(t.as_secs_f64())
}

/// A number with as many digits as a look can take in.
pub fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        "–".to_owned()
    } else if size >= 100_000.0 {
        format!("{value:.3e}")
    } else if size >= 1_000.0 {
        format!("{value:.0}")
    } else if size >= 10.0 || value == 0.0 {
        format!("{value:.1}")
    } else if size >= 0.01 {
        format!("{value:.2}")
    } else {
        format!("{value:.1e}")
    }
}

/// A unit as people write it.
pub fn sign(symbol: &str) -> &str {
    match symbol {
        "degC" => "°C",
        "degF" => "°F",
        "percent" => "%",
        "deg" => "°",
        "deg/s" => "°/s",
        "m/s2" => "m/s²",
        "W/m2" => "W/m²",
        "ug/m3" => "µg/m³",
        "g/m3" => "g/m³",
        "uT" => "µT",
        "uA" => "µA",
        "ohm" => "Ω",
        "none" | "ratio" => "",
        other => other,
    }
}
