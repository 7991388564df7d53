//! Regulators between battery and board.
//!
//! ```
//! use twinfleet_engine::power::regulator::Regulator;
//! let ldo = Regulator::Ldo { out_v: 3.3, dropout_ohm: 1.0, quiescent_ma: 0.055 };
//! assert_eq!(ldo.rail_v(3.7, 100.0), 3.3);
//! assert!((ldo.rail_v(3.3, 100.0) - 3.2).abs() < 1e-9, "out of its regulation");
//! ```

use serde::Deserialize;

/// A regulator of the catalog.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegulatorDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Datasheet and page.
    pub source: String,
    /// How it regulates.
    pub kind: Regulator,
    /// Output current that it is made for, [mA]: beyond, its limit lets the output collapse. None: not stated, not judged.
    #[serde(default)]
    pub most_ma: Option<f64>,
    /// Largest input that it works at, [V]. None: not stated, not judged.
    #[serde(default)]
    pub most_in_v: Option<f64>,
}

/// How the battery's voltage becomes the board's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Regulator {
    /// None: the board runs on the battery's own voltage.
    #[default]
    Direct,
    /// Linear, low drop-out: what flows out flows in.
    Ldo {
        /// Output, [V].
        out_v: f64,
        /// Drop-out voltage over current, [Ω]: what it needs across itself.
        dropout_ohm: f64,
        /// Its own current, [mA].
        quiescent_ma: f64,
    },
    /// Switching, down or up: power out is power in times its efficiency.
    Switching {
        /// Output, [V].
        out_v: f64,
        /// Efficiency, 0–1.
        efficiency: f64,
        /// Its own current, [mA].
        quiescent_ma: f64,
        /// It stops below this input, [V].
        min_in_v: f64,
        /// Whether it also steps up. One that steps down only passes a lower input through.
        #[serde(default)]
        boost: bool,
    },
}

impl Regulator {
    /// A load of constant power, whose currents are stated at `at_v`, [V].
    pub(super) fn power(at_v: f64) -> Self {
        Self::Switching { out_v: at_v, efficiency: 1.0, quiescent_ma: 0.0, min_in_v: 0.0, boost: true }
    }

    /// What the battery gives while the board takes `load_ma`, [mA]; `emf_v` and `r_ohm` are the battery behind its
    /// resistance. None: the battery cannot, its voltage collapses.
    pub fn battery_ma(&self, load_ma: f64, emf_v: f64, r_ohm: f64) -> Option<f64> {
        match *self {
            Self::Direct => Some(load_ma),
            Self::Ldo { quiescent_ma, .. } => Some(load_ma + quiescent_ma),
            Self::Switching { out_v, efficiency, quiescent_ma, boost, .. } => {
                if !boost && emf_v <= out_v {
                    return Some(load_ma + quiescent_ma);
                }
                // (emf − R·I)·I·η = P: the smaller root is the one that a rising load comes to.
                let power_w = out_v * load_ma * 1e-3 / efficiency;
                let root = emf_v * emf_v - 4.0 * r_ohm * power_w;
                if root < 0.0 {
                    return None;
                }
                // In this form it stays exact where R is nothing.
                let amps = 2.0 * power_w / (emf_v + root.sqrt());
                Some(amps * 1e3 + quiescent_ma)
            }
        }
    }

    /// The board's supply while the battery's terminals are at `battery_v` and the board takes `load_ma`, [V].
    pub fn rail_v(&self, battery_v: f64, load_ma: f64) -> f64 {
        match *self {
            Self::Direct => battery_v,
            Self::Ldo { out_v, dropout_ohm, .. } => {
                out_v.min(battery_v - dropout_ohm * load_ma * 1e-3).max(0.0)
            }
            Self::Switching { out_v, min_in_v, boost, .. } => match battery_v {
                v if v < min_in_v => 0.0,
                _ if boost => out_v,
                v => out_v.min(v),
            },
        }
    }

    /// What is wrong with its figures: field, and what was expected.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let mut want = |ok: bool, field, text| {
            if !ok {
                found.push((field, text));
            }
        };
        match *self {
            Self::Direct => {}
            Self::Ldo { out_v, dropout_ohm, quiescent_ma } => {
                want(out_v > 0.0, "kind.out_v", "an output is above 0 V");
                want(dropout_ohm >= 0.0, "kind.dropout_ohm", "a drop-out is at least 0 Ω");
                want(quiescent_ma >= 0.0, "kind.quiescent_ma", "a regulator's own current is at least 0 mA");
            }
            Self::Switching { out_v, efficiency, quiescent_ma, min_in_v, .. } => {
                want(out_v > 0.0, "kind.out_v", "an output is above 0 V");
                want(
                    0.0 < efficiency && efficiency <= 1.0,
                    "kind.efficiency",
                    "an efficiency lies above 0 and up to 1",
                );
                want(quiescent_ma >= 0.0, "kind.quiescent_ma", "a regulator's own current is at least 0 mA");
                want(min_in_v >= 0.0, "kind.min_in_v", "an input is at least 0 V");
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_switching_regulator_gives_what_it_takes_times_its_efficiency(
            emf in 2.5..12.0f64, r in 0.0..1.0f64, load in 0.1..300.0f64, efficiency in 0.5..1.0f64,
        ) {
            let buck = Regulator::Switching { out_v: 3.3, efficiency, quiescent_ma: 0.0, min_in_v: 0.9, boost: true };
            if let Some(ma) = buck.battery_ma(load, emf, r) {
                let taken_mw = (emf - r * ma * 1e-3) * ma;
                prop_assert!((taken_mw * efficiency - 3.3 * load).abs() < 1e-6 * load, "{taken_mw}");
            } else {
                prop_assert!(emf * emf / (4.0 * r) < 3.3 * load * 1e-3 / efficiency, "more than the battery can give");
            }
        }
    }

    #[test]
    fn below_its_input_it_gives_nothing() {
        let buck = Regulator::Switching {
            out_v: 3.3,
            efficiency: 0.9,
            quiescent_ma: 0.0,
            min_in_v: 2.0,
            boost: true,
        };
        assert_eq!((buck.rail_v(1.9, 1.0), buck.rail_v(2.0, 1.0)), (0.0, 3.3));
    }
}
