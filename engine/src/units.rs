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
    /// Apparent power of an alternating current; base VA.
    ApparentPower,
    /// Reactive power of an alternating current; base var.
    ReactivePower,
    /// Reactive energy; base varh.
    ReactiveEnergy,
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
    /// Volume; base l.
    Volume,
    /// Area; base m².
    Area,
    /// Conductivity of a liquid; base µS/cm.
    Conductivity,
    /// Magnetic flux density; base T.
    MagneticField,
    /// Level of sound; base dB.
    SoundLevel,
    /// Strength of a radio signal; base dBm.
    SignalStrength,
    /// Amount of data; base B.
    Data,
    /// Rate of data; base B/s.
    DataRate,
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
            Self::ApparentPower => "an apparent power",
            Self::ReactivePower => "a reactive power",
            Self::ReactiveEnergy => "a reactive energy",
            Self::Energy => "an energy",
            Self::Charge => "a charge",
            Self::Resistance => "a resistance",
            Self::Concentration => "a concentration",
            Self::Density => "a density",
            Self::Flow => "a flow",
            Self::Volume => "a volume",
            Self::Area => "an area",
            Self::Conductivity => "a conductivity",
            Self::MagneticField => "a magnetic field",
            Self::SoundLevel => "a level of sound",
            Self::SignalStrength => "a strength of a signal",
            Self::Data => "an amount of data",
            Self::DataRate => "a rate of data",
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

/// A pound, [kg]; an inch and a foot, [m]; a foot cubed and a gallon of the USA, [l]; a British thermal unit (IT), [J].
const LB: f64 = 0.453_592_37;
const INCH: f64 = 0.0254;
const FOOT: f64 = 0.3048;
const CUBIC_FOOT: f64 = 28.316_846_592;
const GALLON: f64 = 3.785_411_784;
const BTU: f64 = 1_055.055_852_62;
/// Millimetre of mercury, conventional, [Pa].
const MM_HG: f64 = 133.322_387_415;

/// Every unit, those of Home Assistant's device classes among them. Factors are exact by definition (SI brochure, 9th ed.; NIST
/// SP 811 app. B.8), but for mmHg, inHg and inH2O (conventional). Gallons and their kin are those of the USA.
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
    unit("mmHg", D::Pressure, MM_HG, &["mm_hg", "Torr", "torr"]),
    unit("inHg", D::Pressure, 25.4 * MM_HG, &["in_hg"]),
    unit("inH2O", D::Pressure, 25.4 * 9.806_65, &["inH₂O"]),
    unit("psi", D::Pressure, LB * 9.806_65 / (INCH * INCH), &["PSI", "lbf/in2", "lbf/in²"]),
    unit("mPa", D::Pressure, 1e-3, &[]),
    unit("MPa", D::Pressure, 1e6, &[]),
    unit("cbar", D::Pressure, 1000.0, &[]),
    unit("lx", D::Illuminance, 1.0, &["lux", "Lux", "Lx"]),
    unit("klx", D::Illuminance, 1000.0, &[]),
    unit("W/m2", D::Irradiance, 1.0, &["W/m²", "W/m^2"]),
    unit("BTU/(h.ft2)", D::Irradiance, BTU / 3600.0 / (FOOT * FOOT), &["BTU/(h⋅ft²)", "BTU/(h·ft²)"]),
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
    unit("in", D::Length, INCH, &["inch"]),
    unit("ft", D::Length, FOOT, &["foot", "feet"]),
    unit("yd", D::Length, 3.0 * FOOT, &["yard"]),
    unit("mi", D::Length, 1_609.344, &["mile", "miles"]),
    unit("nmi", D::Length, 1852.0, &[]),
    unit("m/s", D::Speed, 1.0, &[]),
    unit("m/min", D::Speed, 1.0 / 60.0, &[]),
    unit("mm/s", D::Speed, 1e-3, &[]),
    unit("km/h", D::Speed, 1.0 / 3.6, &["kph", "kmh"]),
    unit("mph", D::Speed, 0.447_04, &["mi/h"]),
    unit("kn", D::Speed, 1852.0 / 3600.0, &["kt", "kts", "knot", "knots"]),
    unit("ft/s", D::Speed, FOOT, &["fps"]),
    unit("yd/s", D::Speed, 3.0 * FOOT, &[]),
    unit("in/s", D::Speed, INCH, &[]),
    unit("mm/h", D::Precipitation, 1.0, &[]),
    unit("mm/d", D::Precipitation, 1.0 / 24.0, &[]),
    unit("in/h", D::Precipitation, 25.4, &[]),
    unit("in/d", D::Precipitation, 25.4 / 24.0, &[]),
    unit("N", D::Force, 1.0, &["newton"]),
    unit("kgf", D::Force, 9.806_65, &["kp"]),
    unit("gf", D::Force, 9.806_65e-3, &[]),
    unit("kg", D::Mass, 1.0, &[]),
    unit("gram", D::Mass, 1e-3, &["grams"]),
    unit("milligram", D::Mass, 1e-6, &[]),
    unit("microgram", D::Mass, 1e-9, &["µg", "μg", "ug"]),
    unit("lb", D::Mass, LB, &["lbs", "pound", "pounds"]),
    unit("oz", D::Mass, LB / 16.0, &["ounce", "ounces"]),
    unit("st", D::Mass, 14.0 * LB, &["stone"]),
    unit("V", D::Voltage, 1.0, &["volt"]),
    unit("mV", D::Voltage, 1e-3, &[]),
    unit("uV", D::Voltage, 1e-6, &["µV", "μV"]),
    unit("kV", D::Voltage, 1e3, &[]),
    unit("MV", D::Voltage, 1e6, &[]),
    unit("A", D::Current, 1.0, &["ampere"]),
    unit("mA", D::Current, 1e-3, &[]),
    unit("uA", D::Current, 1e-6, &["µA", "μA"]),
    unit("W", D::Power, 1.0, &["watt"]),
    unit("mW", D::Power, 1e-3, &[]),
    unit("kW", D::Power, 1e3, &[]),
    unit("MW", D::Power, 1e6, &[]),
    unit("GW", D::Power, 1e9, &[]),
    unit("TW", D::Power, 1e12, &[]),
    unit("BTU/h", D::Power, BTU / 3600.0, &["Btu/h"]),
    unit("VA", D::ApparentPower, 1.0, &[]),
    unit("mVA", D::ApparentPower, 1e-3, &[]),
    unit("kVA", D::ApparentPower, 1e3, &[]),
    unit("var", D::ReactivePower, 1.0, &["VAr", "VAR"]),
    unit("mvar", D::ReactivePower, 1e-3, &[]),
    unit("kvar", D::ReactivePower, 1e3, &["kVAr", "kVAR"]),
    unit("varh", D::ReactiveEnergy, 1.0, &["VArh"]),
    unit("kvarh", D::ReactiveEnergy, 1e3, &["kVArh"]),
    unit("J", D::Energy, 1.0, &["joule", "Ws"]),
    unit("kJ", D::Energy, 1e3, &[]),
    unit("MJ", D::Energy, 1e6, &[]),
    unit("GJ", D::Energy, 1e9, &[]),
    unit("mWh", D::Energy, 3.6, &[]),
    unit("Wh", D::Energy, 3600.0, &[]),
    unit("kWh", D::Energy, 3.6e6, &[]),
    unit("MWh", D::Energy, 3.6e9, &[]),
    unit("GWh", D::Energy, 3.6e12, &[]),
    unit("TWh", D::Energy, 3.6e15, &[]),
    unit("cal", D::Energy, 4.184, &[]),
    unit("kcal", D::Energy, 4_184.0, &[]),
    unit("Mcal", D::Energy, 4.184e6, &[]),
    unit("Gcal", D::Energy, 4.184e9, &[]),
    unit("Ah", D::Charge, 3600.0, &[]),
    unit("mAh", D::Charge, 3.6, &[]),
    unit("ohm", D::Resistance, 1.0, &["Ω", "Ohm"]),
    unit("kohm", D::Resistance, 1e3, &["kΩ"]),
    unit("ppm", D::Concentration, 1.0, &[]),
    unit("ppb", D::Concentration, 1e-3, &[]),
    unit("g/m3", D::Density, 1.0, &["g/m³"]),
    unit("mg/m3", D::Density, 1e-3, &["mg/m³"]),
    unit("ug/m3", D::Density, 1e-6, &["µg/m³", "μg/m³", "µg/m3"]),
    unit("ug/ft3", D::Density, 1e-3 / CUBIC_FOOT, &["µg/ft³", "μg/ft³"]),
    unit("mg/l", D::Density, 1.0, &["mg/L"]),
    unit("l/min", D::Flow, 1.0, &["L/min", "lpm"]),
    unit("l/h", D::Flow, 1.0 / 60.0, &["L/h"]),
    unit("l/s", D::Flow, 60.0, &["L/s"]),
    unit("ml/s", D::Flow, 0.06, &["mL/s"]),
    unit("m3/h", D::Flow, 1000.0 / 60.0, &["m³/h"]),
    unit("m3/min", D::Flow, 1000.0, &["m³/min"]),
    unit("m3/s", D::Flow, 60_000.0, &["m³/s"]),
    unit("ft3/min", D::Flow, CUBIC_FOOT, &["ft³/min", "cfm", "CFM"]),
    unit("gal/min", D::Flow, GALLON, &["gpm", "GPM"]),
    unit("gal/h", D::Flow, GALLON / 60.0, &[]),
    unit("gal/d", D::Flow, GALLON / 1440.0, &[]),
    unit("l", D::Volume, 1.0, &["L", "liter", "litre"]),
    unit("ml", D::Volume, 1e-3, &["mL"]),
    unit("m3", D::Volume, 1000.0, &["m³"]),
    unit("ft3", D::Volume, CUBIC_FOOT, &["ft³"]),
    unit("CCF", D::Volume, 100.0 * CUBIC_FOOT, &[]),
    unit("MCF", D::Volume, 1000.0 * CUBIC_FOOT, &[]),
    unit("gal", D::Volume, GALLON, &["gallon", "gallons"]),
    unit("fl_oz", D::Volume, GALLON / 128.0, &["fl. oz.", "fl oz", "floz"]),
    unit("m2", D::Area, 1.0, &["m²"]),
    unit("cm2", D::Area, 1e-4, &["cm²"]),
    unit("mm2", D::Area, 1e-6, &["mm²"]),
    unit("km2", D::Area, 1e6, &["km²"]),
    unit("in2", D::Area, INCH * INCH, &["in²"]),
    unit("ft2", D::Area, FOOT * FOOT, &["ft²"]),
    unit("yd2", D::Area, 9.0 * FOOT * FOOT, &["yd²"]),
    unit("mi2", D::Area, 1_609.344 * 1_609.344, &["mi²"]),
    unit("ac", D::Area, 43_560.0 * FOOT * FOOT, &["acre", "acres"]),
    unit("ha", D::Area, 1e4, &["hectare"]),
    unit("uS/cm", D::Conductivity, 1.0, &["µS/cm", "μS/cm"]),
    unit("mS/cm", D::Conductivity, 1e3, &[]),
    unit("S/cm", D::Conductivity, 1e6, &[]),
    unit("T", D::MagneticField, 1.0, &["tesla"]),
    unit("uT", D::MagneticField, 1e-6, &["µT", "μT"]),
    unit("gauss", D::MagneticField, 1e-4, &["G", "Gs"]),
    unit("dB", D::SoundLevel, 1.0, &["dBA", "dB(A)"]),
    unit("dBm", D::SignalStrength, 1.0, &[]),
    unit("bit", D::Data, 0.125, &[]),
    unit("kbit", D::Data, 125.0, &[]),
    unit("Mbit", D::Data, 1.25e5, &[]),
    unit("Gbit", D::Data, 1.25e8, &[]),
    unit("B", D::Data, 1.0, &["byte", "bytes"]),
    unit("kB", D::Data, 1e3, &[]),
    unit("MB", D::Data, 1e6, &[]),
    unit("GB", D::Data, 1e9, &[]),
    unit("TB", D::Data, 1e12, &[]),
    unit("KiB", D::Data, 1024.0, &[]),
    unit("MiB", D::Data, 1_048_576.0, &[]),
    unit("GiB", D::Data, 1_073_741_824.0, &[]),
    unit("bit/s", D::DataRate, 0.125, &[]),
    unit("kbit/s", D::DataRate, 125.0, &[]),
    unit("Mbit/s", D::DataRate, 1.25e5, &[]),
    unit("Gbit/s", D::DataRate, 1.25e8, &[]),
    unit("B/s", D::DataRate, 1.0, &[]),
    unit("kB/s", D::DataRate, 1e3, &[]),
    unit("MB/s", D::DataRate, 1e6, &[]),
    unit("GB/s", D::DataRate, 1e9, &[]),
    unit("KiB/s", D::DataRate, 1024.0, &[]),
    unit("MiB/s", D::DataRate, 1_048_576.0, &[]),
    unit("Hz", D::Frequency, 1.0, &["1/s"]),
    unit("kHz", D::Frequency, 1e3, &[]),
    unit("MHz", D::Frequency, 1e6, &[]),
    unit("GHz", D::Frequency, 1e9, &[]),
    unit("s", D::Time, 1.0, &["sec", "seconds"]),
    unit("ms", D::Time, 1e-3, &[]),
    unit("us", D::Time, 1e-6, &["µs", "μs"]),
    unit("min", D::Time, 60.0, &[]),
    unit("h", D::Time, 3600.0, &["hour", "hours"]),
    unit("d", D::Time, 86_400.0, &["day", "days"]),
    unit("none", D::Number, 1.0, &["raw", "count", "-", "bool"]),
];

/// The unit of this symbol or spelling.
pub fn find(text: &str) -> Option<&'static Unit> {
    let text = text.trim();
    UNITS.iter().find(|u| u.symbol == text).or_else(|| UNITS.iter().find(|u| u.spellings.contains(&text)))
}

/// The unit that a text means where something like `own` is meant: a gram and the acceleration of free fall are written alike.
pub fn find_like(text: &str, own: &Unit) -> Option<&'static Unit> {
    match (own.dimension, text.trim()) {
        (D::Mass, "g") => find("gram"),
        (D::Mass, "mg") => find("milligram"),
        _ => find(text),
    }
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
        check(32.0, "psi", "hPa", 2_206.322_333_813_9);
        check(29.9, "inHg", "hPa", 1_012.530_203_461);
        check(10.0, "mph", "m/s", 4.4704);
        check(36.0, "kn", "km/h", 66.672);
        check(1.0, "mi", "ft", 5280.0);
        check(3.0, "ft", "yd", 1.0);
        check(1.0, "lb", "oz", 16.0);
        check(1.0, "gal", "fl oz", 128.0);
        check(1.0, "m³", "gal", 264.172_052_358_148);
        check(12_000.0, "BTU/h", "kW", 3.516_852_842_067);
        check(1.0, "ac", "ft²", 43_560.0);
    }

    #[test]
    fn a_gram_is_no_acceleration_where_a_mass_is_meant() {
        let (mass, acceleration) = (of_quantity("mass").unwrap(), of_quantity("accel_x").unwrap());
        assert_eq!(find_like("g", mass).map(|u| u.symbol), Some("gram"));
        assert_eq!(find_like("g", acceleration).map(|u| u.symbol), Some("g"));
        assert_eq!(find_like("lb", mass).map(|u| u.symbol), Some("lb"));
        assert_eq!(find_like("stones", mass), None);
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
