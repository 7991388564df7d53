//! Units of signals and their conversion.
//!
//! Inside, every quantity has one unit, the catalog's (`degC`, `percent`, `hPa`, …; see [`of_quantity`]). Files may carry
//! others and spell them as people do.
//!
//! ```
//! use twinfleet_engine::units;
//! let kelvin = units::find("K").unwrap();
//! let celsius = units::of_quantity("temperature").unwrap();
//! assert!((kelvin.convert(299.53, celsius).unwrap() - 26.38).abs() < 1e-9);
//! assert_eq!(units::find("°C").unwrap().symbol, "degC");
//! ```

/// What a unit measures. Units convert within one kind only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Temperature; base K.
    Temperature,
    /// A difference or rise of temperature; base K.
    TemperatureRise,
    /// A part of a whole, relative humidity and duty cycles too; base 1.
    Ratio,
    /// Pressure; base Pa.
    Pressure,
    /// Illuminance; base lx.
    Illuminance,
    /// Irradiance; base W/m².
    Irradiance,
    /// Acceleration; base m/s².
    Acceleration,
    /// Rate of rotation; base rad/s.
    AngularRate,
    /// Angle; base rad.
    Angle,
    /// Length; base m.
    Length,
    /// Speed; base m/s.
    Speed,
    /// Rate of rain or irrigation; base mm/h.
    Precipitation,
    /// Force; base N.
    Force,
    /// Mass; base kg.
    Mass,
    /// Voltage; base V.
    Voltage,
    /// Current; base A.
    Current,
    /// Power; base W.
    Power,
    /// Energy; base J.
    Energy,
    /// Charge; base C.
    Charge,
    /// Resistance; base Ω.
    Resistance,
    /// Parts per million of a gas; base ppm.
    Concentration,
    /// Mass by volume, such as absolute humidity; base g/m³.
    Density,
    /// Flow of a liquid; base l/min.
    Flow,
    /// Magnetic flux density; base T.
    MagneticField,
    /// Level of sound; base dB.
    SoundLevel,
    /// Frequency; base Hz.
    Frequency,
    /// Time; base s.
    Time,
    /// A bare number: a count, a raw reading, a state.
    Number,
}

impl Dimension {
    /// What a person calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "a temperature",
            Self::TemperatureRise => "a difference of temperature",
            Self::Ratio => "a ratio",
            Self::Pressure => "a pressure",
            Self::Illuminance => "an illuminance",
            Self::Irradiance => "an irradiance",
            Self::Acceleration => "an acceleration",
            Self::AngularRate => "a rate of rotation",
            Self::Angle => "an angle",
            Self::Length => "a length",
            Self::Speed => "a speed",
            Self::Precipitation => "a rate of rain",
            Self::Force => "a force",
            Self::Mass => "a mass",
            Self::Voltage => "a voltage",
            Self::Current => "a current",
            Self::Power => "a power",
            Self::Energy => "an energy",
            Self::Charge => "a charge",
            Self::Resistance => "a resistance",
            Self::Concentration => "a concentration",
            Self::Density => "a density",
            Self::Flow => "a flow",
            Self::MagneticField => "a magnetic field",
            Self::SoundLevel => "a level of sound",
            Self::Frequency => "a frequency",
            Self::Time => "a time",
            Self::Number => "a bare number",
        }
    }
}

/// A unit: `base = value · factor + offset`.
#[derive(Debug, PartialEq)]
pub struct Unit {
    /// How the catalog writes it.
    pub symbol: &'static str,
    /// What it measures.
    pub dimension: Dimension,
    factor: f64,
    offset: f64,
    spellings: &'static [&'static str],
}

impl Unit {
    /// The value in another unit of the same dimension; `None` where the dimensions differ.
    pub fn convert(&self, value: f64, to: &Self) -> Option<f64> {
        if self.symbol == to.symbol {
            return Some(value); // Not even rounding.
        }
        (self.dimension == to.dimension).then(|| (value * self.factor + self.offset - to.offset) / to.factor)
    }

    /// Whether a value is below absolute zero; never in a unit of something else than temperature.
    pub fn is_too_cold(&self, value: f64) -> bool {
        // The offsets are rounded; a millikelvin is below what any recording means.
        self.dimension == Dimension::Temperature && value * self.factor + self.offset < -1e-3
    }

    /// How people may spell it, besides the symbol.
    pub fn spellings(&self) -> &'static [&'static str] {
        self.spellings
    }
}

const fn unit(
    symbol: &'static str,
    dimension: Dimension,
    factor: f64,
    spellings: &'static [&'static str],
) -> Unit {
    Unit { symbol, dimension, factor, offset: 0.0, spellings }
}

use Dimension as D;

/// Every unit. Factors are exact by definition (SI brochure, 9th ed.; NIST SP 811 app. B.8), but for mmHg (conventional).
static UNITS: &[Unit] = &[
    Unit {
        symbol: "degC",
        dimension: D::Temperature,
        factor: 1.0,
        offset: 273.15,
        spellings: &["C", "°C", "℃", "deg C", "celsius", "Celsius"],
    },
    unit("K", D::Temperature, 1.0, &["kelvin", "Kelvin"]),
    Unit {
        symbol: "degF",
        dimension: D::Temperature,
        factor: 5.0 / 9.0,
        offset: 273.15 - 32.0 * 5.0 / 9.0,
        spellings: &["F", "°F", "℉", "fahrenheit", "Fahrenheit"],
    },
    unit("delta_K", D::TemperatureRise, 1.0, &["ΔK", "delta_C"]),
    unit("ratio", D::Ratio, 1.0, &["1", "frac", "fraction"]),
    unit("percent", D::Ratio, 0.01, &["%", "pct", "%RH", "RH", "%rh"]),
    // The duty that Arduino's analogWrite takes, 0–255.
    unit("duty8", D::Ratio, 1.0 / 255.0, &["pwm", "pwm8"]),
    unit("Pa", D::Pressure, 1.0, &["pascal"]),
    unit("hPa", D::Pressure, 100.0, &["mbar", "mb"]),
    unit("kPa", D::Pressure, 1000.0, &[]),
    unit("bar", D::Pressure, 100_000.0, &[]),
    unit("mmHg", D::Pressure, 133.322_387_415, &["mm_hg", "Torr", "torr"]),
    unit("lx", D::Illuminance, 1.0, &["lux", "Lux", "Lx"]),
    unit("klx", D::Illuminance, 1000.0, &[]),
    unit("W/m2", D::Irradiance, 1.0, &["W/m²", "W/m^2"]),
    unit("m/s2", D::Acceleration, 1.0, &["m/s²", "m/s^2", "m/s/s"]),
    unit("g", D::Acceleration, 9.806_65, &["g0"]),
    unit("mg", D::Acceleration, 9.806_65e-3, &[]),
    unit("rad/s", D::AngularRate, 1.0, &[]),
    unit("deg/s", D::AngularRate, std::f64::consts::PI / 180.0, &["°/s", "dps"]),
    unit("rpm", D::AngularRate, std::f64::consts::PI / 30.0, &["1/min"]),
    unit("rad", D::Angle, 1.0, &[]),
    unit("deg", D::Angle, std::f64::consts::PI / 180.0, &["°"]),
    unit("m", D::Length, 1.0, &["meter", "metre"]),
    unit("cm", D::Length, 0.01, &[]),
    unit("mm", D::Length, 0.001, &[]),
    unit("km", D::Length, 1000.0, &[]),
    unit("in", D::Length, 0.0254, &["inch"]),
    unit("m/s", D::Speed, 1.0, &[]),
    unit("km/h", D::Speed, 1.0 / 3.6, &["kph", "kmh"]),
    unit("mm/h", D::Precipitation, 1.0, &[]),
    unit("N", D::Force, 1.0, &["newton"]),
    unit("kgf", D::Force, 9.806_65, &["kp"]),
    unit("gf", D::Force, 9.806_65e-3, &[]),
    unit("kg", D::Mass, 1.0, &[]),
    unit("gram", D::Mass, 0.001, &["grams"]),
    unit("V", D::Voltage, 1.0, &["volt"]),
    unit("mV", D::Voltage, 1e-3, &[]),
    unit("uV", D::Voltage, 1e-6, &["µV", "μV"]),
    unit("A", D::Current, 1.0, &["ampere"]),
    unit("mA", D::Current, 1e-3, &[]),
    unit("uA", D::Current, 1e-6, &["µA", "μA"]),
    unit("W", D::Power, 1.0, &["watt"]),
    unit("mW", D::Power, 1e-3, &[]),
    unit("kW", D::Power, 1e3, &[]),
    unit("J", D::Energy, 1.0, &["joule", "Ws"]),
    unit("kJ", D::Energy, 1e3, &[]),
    unit("Wh", D::Energy, 3600.0, &[]),
    unit("kWh", D::Energy, 3.6e6, &[]),
    unit("Ah", D::Charge, 3600.0, &[]),
    unit("mAh", D::Charge, 3.6, &[]),
    unit("ohm", D::Resistance, 1.0, &["Ω", "Ohm"]),
    unit("kohm", D::Resistance, 1e3, &["kΩ"]),
    unit("ppm", D::Concentration, 1.0, &[]),
    unit("ppb", D::Concentration, 1e-3, &[]),
    unit("g/m3", D::Density, 1.0, &["g/m³"]),
    unit("ug/m3", D::Density, 1e-6, &["µg/m³", "μg/m³", "µg/m3"]),
    unit("l/min", D::Flow, 1.0, &["L/min", "lpm"]),
    unit("l/h", D::Flow, 1.0 / 60.0, &["L/h"]),
    unit("T", D::MagneticField, 1.0, &["tesla"]),
    unit("uT", D::MagneticField, 1e-6, &["µT", "μT"]),
    unit("gauss", D::MagneticField, 1e-4, &["G", "Gs"]),
    unit("dB", D::SoundLevel, 1.0, &["dBA", "dB(A)"]),
    unit("Hz", D::Frequency, 1.0, &["1/s"]),
    unit("kHz", D::Frequency, 1e3, &[]),
    unit("MHz", D::Frequency, 1e6, &[]),
    unit("s", D::Time, 1.0, &["sec", "seconds"]),
    unit("ms", D::Time, 1e-3, &[]),
    unit("min", D::Time, 60.0, &[]),
    unit("h", D::Time, 3600.0, &["hour", "hours"]),
    unit("none", D::Number, 1.0, &["raw", "count", "-", "bool"]),
];

/// The unit of this symbol or spelling.
pub fn find(text: &str) -> Option<&'static Unit> {
    let text = text.trim();
    UNITS.iter().find(|u| u.symbol == text).or_else(|| UNITS.iter().find(|u| u.spellings.contains(&text)))
}

/// Every unit, in a fixed order.
pub fn all() -> impl Iterator<Item = &'static Unit> {
    UNITS.iter()
}

/// The unit in which the engine keeps a quantity: the last word of `part.quantity`, such as `temperature`, `accel_x`.
/// `None` for a quantity the engine does not know, which keeps whatever unit its file gives it.
pub fn of_quantity(quantity: &str) -> Option<&'static Unit> {
    let stem = quantity.strip_suffix(['x', 'y', 'z']).and_then(|q| q.strip_suffix('_')).unwrap_or(quantity);
    // The inputs of a converter are numbered.
    let stem = if converter_input(stem).is_some() { "voltage" } else { stem };
    let symbol = match stem {
        "temperature" | "dew_point" => "degC",
        "humidity" | "soil_moisture" | "load" | "charge" | "duty" => "percent",
        "pressure" => "hPa",
        "illuminance" | "light" => "lx",
        "irradiance" => "W/m2",
        "accel" => "m/s2",
        "gyro" => "rad/s",
        "distance" | "height" => "m",
        "wind" | "speed" => "m/s",
        "rain" => "mm/h",
        "force" => "N",
        "mass" | "weight" => "kg",
        "voltage" | "bus_voltage" => "V",
        "current" => "mA",
        "power" => "W",
        "energy" => "Wh",
        "co2" | "gas" => "ppm",
        "magnetic" => "uT",
        "sound" => "dB",
        "pm1" | "pm2_5" | "pm10" => "ug/m3",
        "flow" => "l/min",
        "rotation" => "rpm",
        "angle" | "latitude" | "longitude" | "course" => "deg",
        "altitude" => "m",
        "frequency" => "MHz",
        "level" => "ratio",
        "presence" | "contact" | "throttled" => "none",
        _ => return None,
    };
    find(symbol)
}

/// Which input of a converter a quantity is: 3 for `voltage_3`.
pub fn converter_input(quantity: &str) -> Option<u8> {
    let input = quantity.strip_prefix("voltage_")?;
    input.parse().ok().filter(|_| input.len() == 1)
}

/// From one unit to another of the same dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion {
    from: &'static Unit,
    to: &'static Unit,
}

impl Conversion {
    /// From the unit in which the engine keeps a signal `part.quantity` to the one that a network states for it. `None` where
    /// there is nothing to convert: the same unit, none stated, or a quantity the engine does not know.
    pub fn of_signal(signal: &str, stated: &str) -> Option<Self> {
        let from = of_quantity(signal.rsplit('.').next().unwrap_or(signal))?;
        let to = find(stated)?;
        (from != to && from.dimension == to.dimension).then_some(Self { from, to })
    }

    /// A value in the other unit.
    pub fn of(self, value: f64) -> f64 {
        self.from.convert(value, self.to).unwrap_or(value)
    }

    /// The unit that it gives.
    pub const fn to(self) -> &'static Unit {
        self.to
    }

    /// The way back.
    #[must_use]
    pub const fn back(self) -> Self {
        Self { from: self.to, to: self.from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_means_two_units() {
        let mut seen = std::collections::BTreeMap::new();
        for u in all() {
            for word in u.spellings().iter().chain([&u.symbol]) {
                assert_eq!(seen.insert(*word, u.symbol), None, "`{word}` is claimed twice");
                assert_eq!(find(word).map(|f| f.symbol), Some(u.symbol));
            }
        }
    }

    #[test]
    fn conversions_round_trip_within_a_dimension_and_are_refused_across() {
        for a in all() {
            for b in all() {
                let there = a.convert(12.5, b);
                assert_eq!(there.is_some(), a.dimension == b.dimension, "{} → {}", a.symbol, b.symbol);
                if let Some(there) = there {
                    let back = b.convert(there, a).unwrap();
                    assert!((back - 12.5).abs() < 1e-9, "{} → {} → {back}", a.symbol, b.symbol);
                }
            }
        }
    }

    #[test]
    fn known_figures() {
        let check = |v: f64, from: &str, to: &str, want: f64| {
            let got = find(from).unwrap().convert(v, find(to).unwrap()).unwrap();
            assert!((got - want).abs() < 1e-9, "{v} {from} = {got} {to}, not {want}");
        };
        check(0.0, "degC", "K", 273.15);
        check(-40.0, "degF", "C", -40.0);
        check(212.0, "F", "degC", 100.0);
        check(760.0, "mmHg", "hPa", 1_013.250_144_354);
        check(1.0, "g", "m/s2", 9.806_65);
        check(180.0, "deg/s", "rad/s", std::f64::consts::PI);
        check(255.0, "duty8", "percent", 100.0);
        check(36.0, "km/h", "m/s", 10.0);
        check(0.5, "ratio", "%", 50.0);
    }

    #[test]
    fn nothing_is_colder_than_absolute_zero() {
        for (unit, least) in [("degC", -273.15), ("K", 0.0), ("degF", -459.67)] {
            let unit = find(unit).unwrap();
            assert!(!unit.is_too_cold(least) && unit.is_too_cold(least - 0.01), "{}", unit.symbol);
        }
        assert!(!find("percent").unwrap().is_too_cold(-1e6));
    }
}
