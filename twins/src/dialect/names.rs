//! How a dialect's words become `part.quantity` and the engine's units, and back.
//!
//! ```
//! use twinfleet_twins::dialect::names::signal_of;
//! assert_eq!(signal_of("AM2301/Temperature", "", "degC"), "am2301.temperature");
//! assert_eq!(signal_of("sensor/attic_left", "temperature", "°C"), "sensor_attic_left.temperature");
//! assert_eq!(signal_of("occupancy", "", ""), "main.occupancy");
//! // A charge in volts is no charge in percent: the word would promise the wrong unit. What is on or off is a level.
//! assert_eq!(signal_of("battery", "", "V"), "battery.value");
//! assert_eq!(signal_of("POWER", "", "bool"), "power.level");
//! ```

use super::facts::Value;
use twinfleet_engine::units::{self, Dimension, Unit};

/// What a signal, `part.quantity`, measures.
pub fn quantity(signal: &str) -> &str {
    signal.rsplit('.').next().unwrap_or(signal)
}

/// The engine's word for what a device calls by this word.
pub fn quantity_of(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "temperature" | "temp" => "temperature",
        "dewpoint" | "dew_point" => "dew_point",
        "humidity" => "humidity",
        "pressure" | "atmospheric_pressure" => "pressure",
        "illuminance" | "illuminance_lux" => "illuminance",
        "irradiance" => "irradiance",
        "voltage" => "voltage",
        "current" => "current",
        "power" => "power",
        "energy" => "energy",
        "co2" | "carbondioxide" | "carbon_dioxide" | "eco2" => "co2",
        "pm1" => "pm1",
        "pm25" | "pm2.5" | "pm2_5" => "pm2_5",
        "pm10" => "pm10",
        "battery" | "charge" => "charge",
        "distance" => "distance",
        "speed" | "wind_speed" => "speed",
        "weight" | "mass" => "mass",
        "soil_moisture" => "soil_moisture",
        "load" => "load",
        "level" => "level",
        "flow" => "flow",
        "sound_pressure" | "sound" => "sound",
        "contact" => "contact",
        "presence" | "occupancy_level" => "presence",
        _ => return None,
    })
}

/// The quantity that a unit alone gives away.
fn quantity_of_unit(unit: &str) -> Option<&'static str> {
    use Dimension as D;
    Some(match units::find(unit)?.dimension {
        D::Temperature => "temperature",
        D::Pressure => "pressure",
        D::Illuminance => "illuminance",
        D::Irradiance => "irradiance",
        D::Voltage => "voltage",
        D::Current => "current",
        D::Power => "power",
        D::Energy => "energy",
        D::Mass => "mass",
        _ => return None,
    })
}

/// A word as ids may hold it.
pub fn plain(word: &str) -> String {
    let mut out = String::new();
    for c in word.chars().take(64) {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    while out.ends_with('_') {
        out.pop();
    }
    if out.is_empty() { "x".to_owned() } else { out }
}

/// The unit of what is on or off.
pub const ON_OFF: &str = "none";

/// The unit of a value where the dialect says none: that of a state, if it is one.
pub fn unit_of_value<'a>(value: &Value, said: &'a str) -> &'a str {
    let state = match value {
        Value::Number(_) => false,
        Value::Flag(_) => true,
        Value::Text(text) => value.number().is_some() && text.trim().parse::<f64>().is_err(),
    };
    if said.trim().is_empty() && state { ON_OFF } else { said }
}

/// A value as a quantity that is kept in `own`; none where it cannot be: it is of another kind, or in a unit that is spelled but
/// not known, and might be anything.
pub fn kept(value: f64, said: &str, own: &Unit) -> Option<f64> {
    if said.trim().is_empty() {
        return Some(value);
    }
    let said = units::find_like(said, own)?;
    if is_state(own) && is_state(said) {
        return Some(value);
    }
    said.convert(value, own)
}

/// A value in one unit as a device says it in another; as it is where one of the two is not known.
pub fn told(value: f64, own: &str, said: &str) -> f64 {
    let converted = || {
        let from = units::find(own)?;
        let to = units::find_like(said, from)?;
        if is_state(from) && is_state(to) { None } else { from.convert(value, to) }
    };
    if own == said { value } else { converted().map_or(value, super::rounded) }
}

/// Whether values in it are 0 or 1 where they are states: a bare number, or a part of the whole.
fn is_state(unit: &Unit) -> bool {
    unit.dimension == Dimension::Number || unit.symbol == "ratio"
}

/// Whether values in this unit can be kept as that quantity.
fn fits(quantity: &str, unit: &str) -> bool {
    units::of_quantity(quantity).is_none_or(|own| kept(0.0, unit, own).is_some())
}

/// `part.quantity` of a field, by its own words, by the quantity that the dialect states, or by its unit.
pub fn signal_of(field: &str, quantity: &str, unit: &str) -> String {
    let words: Vec<&str> = field.split('/').filter(|w| !w.is_empty()).collect();
    let (last, rest) = words.split_last().map_or(("x", &[][..]), |(l, r)| (*l, r));
    let join = |words: &[&str]| {
        if words.is_empty() { "main".to_owned() } else { plain(&words.join("_")) }
    };
    // A word that would promise another unit is left.
    let state = units::find(unit).is_some_and(is_state);
    let neutral = || format!("{}.{}", join(&words), if state { "level" } else { "value" });
    if let Some(q) = quantity_of(last) {
        return if fits(q, unit) { format!("{}.{q}", join(rest)) } else { neutral() };
    }
    let stated = quantity_of(quantity).or_else(|| quantity_of_unit(unit));
    match stated {
        Some(q) if fits(q, unit) => format!("{}.{q}", join(&words)),
        _ if fits(&plain(last), unit) => format!("{}.{}", join(rest), plain(last)),
        _ => neutral(),
    }
}

/// The engine's symbol of a unit as a device spells it; what the engine does not know stays as it is.
pub fn unit_of(spelled: &str) -> String {
    units::find(spelled).map_or_else(|| spelled.trim().to_owned(), |u| u.symbol.to_owned())
}

/// A unit as Home Assistant and its kin spell it.
pub fn spelled(unit: &str) -> &str {
    match unit {
        "degC" => "°C",
        "degF" => "°F",
        "percent" => "%",
        "deg" => "°",
        "ug/m3" => "µg/m³",
        "W/m2" => "W/m²",
        "m/s2" => "m/s²",
        "l" => "L",
        "ml" => "mL",
        "l/min" => "L/min",
        "l/h" => "L/h",
        "l/s" => "L/s",
        "ml/s" => "mL/s",
        "m3" => "m³",
        "ft3" => "ft³",
        "m3/h" => "m³/h",
        "m3/min" => "m³/min",
        "m3/s" => "m³/s",
        "ft3/min" => "ft³/min",
        "fl_oz" => "fl. oz.",
        "m2" => "m²",
        "cm2" => "cm²",
        "km2" => "km²",
        "ft2" => "ft²",
        "mg/m3" => "mg/m³",
        "uS/cm" => "µS/cm",
        "inH2O" => "inH₂O",
        "gram" => "g",
        "milligram" => "mg",
        "microgram" => "µg",
        "BTU/(h.ft2)" => "BTU/(h⋅ft²)",
        "us" => "µs",
        "uT" => "µT",
        "uV" => "µV",
        "uA" => "µA",
        "ohm" => "Ω",
        "none" | "ratio" => "",
        other => other,
    }
}

/// The `device_class` by which Home Assistant knows a quantity that is told in this unit, as [`spelled`]; none where it has no
/// such class, or refuses it in that unit.
pub fn device_class(quantity: &str, unit: &str) -> Option<&'static str> {
    let (class, units): (_, &[&str]) = match quantity {
        "temperature" | "dew_point" => ("temperature", &["°C", "°F", "K"]),
        "humidity" => ("humidity", &["%"]),
        "pressure" => ("atmospheric_pressure", &["Pa", "hPa", "kPa", "bar", "cbar", "mmHg", "inHg", "psi"]),
        "illuminance" | "light" => ("illuminance", &["lx"]),
        "irradiance" => ("irradiance", &["W/m²"]),
        "voltage" | "bus_voltage" => ("voltage", &["V", "mV"]),
        "current" => ("current", &["A", "mA"]),
        "power" => ("power", &["mW", "W", "kW", "MW", "BTU/h"]),
        "energy" => ("energy", &["J", "kJ", "MJ", "Wh", "kWh", "MWh"]),
        "co2" => ("carbon_dioxide", &["ppm"]),
        "pm1" => ("pm1", &["µg/m³"]),
        "pm2_5" => ("pm25", &["µg/m³"]),
        "pm10" => ("pm10", &["µg/m³"]),
        "charge" => ("battery", &["%"]),
        "distance" | "height" => ("distance", &["m", "cm", "mm", "km", "in", "ft", "yd", "mi"]),
        "speed" | "wind" => ("speed", &["m/s", "km/h", "mph", "kn", "ft/s"]),
        "mass" | "weight" => ("weight", &["kg", "g", "lb", "oz", "st"]),
        "soil_moisture" => ("moisture", &["%"]),
        "sound" => ("sound_pressure", &["dB"]),
        _ => return None,
    };
    units.contains(&unit).then_some(class)
}

/// The `state_class` of such a sensor: Home Assistant takes energy for a meter's reading and nothing else.
pub fn state_class(class: Option<&str>) -> &'static str {
    if class == Some("energy") { "total" } else { "measurement" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_field_becomes_a_signal_that_a_scenario_can_name(field in ".{0,80}", quantity in ".{0,12}", unit in ".{0,6}") {
            let signal = signal_of(&field, &quantity, &unit);
            let parts: Vec<&str> = signal.split('.').collect();
            prop_assert_eq!(parts.len(), 2, "{}", signal);
            for part in parts {
                prop_assert!(!part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{}", part);
            }
        }
    }
}
