//! From a quantity to a voltage and back, for parts on analogue pins.
//!
//! ```
//! use twinfleet_engine::catalog::AnalogDef;
//! let tmp36 = AnalogDef::Linear { zero_v: 0.5, v_per_unit: 0.01 };
//! assert_eq!(tmp36.volts(25.0, 3.3), 0.75);
//! assert!((tmp36.value(0.75, 3.3) - 25.0).abs() < 1e-12);
//! ```

use serde::Deserialize;

/// Kelvin at 0 °C.
const ZERO_C: f64 = 273.15;
/// Smallest resistance and voltage that a law is asked about: beyond, it has no inverse.
const LEAST: f64 = 1e-9;

/// The voltage that a part makes of the quantity it measures.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum AnalogDef {
    /// `zero_v + v_per_unit · value`.
    Linear {
        /// Voltage at the value 0, [V].
        zero_v: f64,
        /// Volts per unit of the quantity.
        v_per_unit: f64,
    },
    /// A resistance that depends on the quantity, in series with a fixed one.
    Divider {
        /// The part's resistance.
        law: ResistanceDef,
        /// The fixed resistance, [Ω].
        series_ohm: f64,
        /// Whether the part is the upper one, so that the voltage is that over the fixed resistance.
        #[serde(default)]
        upper: bool,
        /// What feeds the divider, [V]. None: the board's `logic_v`.
        #[serde(default)]
        supply_v: Option<f64>,
    },
}

/// A resistance against a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ResistanceDef {
    /// A thermistor: `ohm · exp(b_k · (1/T − 1/298.15 K))`, for a temperature in °C.
    Ntc {
        /// At 25 °C, [Ω].
        ohm: f64,
        /// Its B value, [K].
        b_k: f64,
    },
    /// A power law: `ohm · (value / at)^exponent`, for light and gases.
    Power {
        /// At the value `at`, [Ω].
        ohm: f64,
        /// The value at which it is `ohm`.
        at: f64,
        /// The exponent, negative where it falls with the quantity.
        exponent: f64,
    },
}

impl ResistanceDef {
    /// Resistance at a value, [Ω].
    pub fn ohm(&self, value: f64) -> f64 {
        match *self {
            Self::Ntc { ohm, b_k } => {
                ohm * (b_k * (1.0 / (value + ZERO_C).max(1.0) - 1.0 / (25.0 + ZERO_C))).exp()
            }
            Self::Power { ohm, at, exponent } => ohm * (value.max(LEAST) / at).powf(exponent),
        }
    }

    /// The value at a resistance, [Ω].
    pub fn value(&self, resistance_ohm: f64) -> f64 {
        let share = resistance_ohm.max(LEAST);
        match *self {
            Self::Ntc { ohm, b_k } => 1.0 / ((share / ohm).ln() / b_k + 1.0 / (25.0 + ZERO_C)) - ZERO_C,
            Self::Power { ohm, at, exponent } => at * (share / ohm).powf(1.0 / exponent),
        }
    }
}

impl AnalogDef {
    /// Voltage at a value, [V], on a board with this `logic_v`.
    pub fn volts(&self, value: f64, logic_v: f64) -> f64 {
        match *self {
            Self::Linear { zero_v, v_per_unit } => zero_v + v_per_unit * value,
            Self::Divider { law, series_ohm, upper, supply_v } => {
                let part = law.ohm(value);
                let over = if upper { series_ohm } else { part };
                supply_v.unwrap_or(logic_v) * over / (part + series_ohm)
            }
        }
    }

    /// The value at a voltage, [V]: what a driver makes of it that knows the nominal figures.
    pub fn value(&self, volts: f64, logic_v: f64) -> f64 {
        match *self {
            Self::Linear { zero_v, v_per_unit } => (volts - zero_v) / v_per_unit,
            Self::Divider { law, series_ohm, upper, supply_v } => {
                let supply_v = supply_v.unwrap_or(logic_v);
                let share = (volts / supply_v).clamp(LEAST, 1.0 - LEAST);
                let over = share / (1.0 - share);
                law.value(if upper { series_ohm / over } else { series_ohm * over })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NTC: ResistanceDef = ResistanceDef::Ntc { ohm: 10_000.0, b_k: 3977.0 };
    const LDR: ResistanceDef = ResistanceDef::Power { ohm: 50_000.0, at: 10.0, exponent: -0.7 };

    #[test]
    fn a_thermistor_in_balance_gives_half_the_supply() {
        let divider = AnalogDef::Divider { law: NTC, series_ohm: 10_000.0, upper: false, supply_v: None };
        assert!((divider.volts(25.0, 3.3) - 1.65).abs() < 1e-12);
        assert!(divider.volts(50.0, 3.3) < 1.65, "it falls as it warms");
    }

    proptest! {
        #[test]
        fn what_a_driver_computes_is_what_was_there(t in -20.0..80.0f64, lux in 1.0..5000.0f64, upper in any::<bool>(), v in 1.8..5.0f64) {
            for (law, x) in [(NTC, t), (LDR, lux)] {
                let divider = AnalogDef::Divider { law, series_ohm: 10_000.0, upper, supply_v: None };
                let back = divider.value(divider.volts(x, v), v);
                prop_assert!((back - x).abs() < 1e-6 * x.abs().max(1.0), "{x} became {back}");
            }
        }
    }
}
