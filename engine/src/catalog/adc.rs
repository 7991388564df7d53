//! A board's analogue converter: which code a voltage gives, range by range.
//!
//! ```
//! use twinfleet_engine::catalog::AdcDef;
//! let esp32: AdcDef = ron::from_str(
//!     r#"(bits: 12, reference_v: 3.134, least_v: 0.142, knee: Some((2.454, 0.703)), ranges: {"0dB": (reference_v: 1.039, least_v: 0.075)})"#,
//! ).unwrap();
//! assert!((esp32.share_of(2.454) - 0.703).abs() < 1e-12, "its line bends there");
//! assert!((esp32.volts_of(esp32.share_of(2.9)) - 2.9).abs() < 1e-12, "which its calibration knows");
//! assert_eq!(esp32.in_range("0dB").unwrap().reference_v, 1.039);
//! assert!(esp32.in_range("3dB").is_none());
//! ```

use serde::Deserialize;
use std::collections::BTreeMap;

/// An analogue converter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdcDef {
    /// Resolution.
    pub bits: u32,
    /// Full scale, [V]: what gives the last code, and so does all above it.
    pub reference_v: f64,
    /// Standard deviation of the reference over units, relative.
    #[serde(default)]
    pub reference_spread: f64,
    /// Noise, [LSB rms].
    #[serde(default)]
    pub noise_lsb: f64,
    /// Integral non-linearity, [LSB]: a bow and an S whose sizes are drawn for each unit so that this is one standard
    /// deviation of each at its largest.
    #[serde(default)]
    pub inl_lsb: f64,
    /// Voltage of the code 0, which all below it gives, too, [V].
    #[serde(default)]
    pub least_v: f64,
    /// Where every unit's line bends: the voltage, [V], and the share of the codes below it. Firmware knows of it.
    #[serde(default)]
    pub knee: Option<(f64, f64)>,
    /// Whether its reference is the rail that feeds the parts: a divider on that rail then reads the same whatever it is.
    #[serde(default)]
    pub ratiometric: bool,
    /// Name of the range that the figures above are of, where there are several.
    #[serde(default)]
    pub range: Option<String>,
    /// Further ranges by name, that a part may ask for: `range: "6dB"`.
    #[serde(default)]
    pub ranges: BTreeMap<String, RangeDef>,
    /// Largest voltage that an analogue pin stands, [V]. None: that of any pin.
    #[serde(default)]
    pub max_v: Option<f64>,
    /// Analogue pins that cannot be read while the radio is on.
    #[serde(default)]
    pub not_with_radio: Vec<String>,
}

/// One range of a converter, by the attenuation before it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeDef {
    /// Full scale, [V].
    pub reference_v: f64,
    /// Voltage of the code 0, [V].
    #[serde(default)]
    pub least_v: f64,
    /// Standard deviation of the full scale over units, relative. None: as in the usual range.
    #[serde(default)]
    pub reference_spread: Option<f64>,
}

impl AdcDef {
    /// The same converter in another of its ranges. None: it has no such range.
    pub fn in_range(&self, name: &str) -> Option<Self> {
        if self.range.as_deref() == Some(name) {
            return Some(self.clone());
        }
        let range = self.ranges.get(name)?;
        Some(Self {
            reference_v: range.reference_v,
            least_v: range.least_v,
            reference_spread: range.reference_spread.unwrap_or(self.reference_spread),
            knee: None,
            ..self.clone()
        })
    }

    /// Names of its ranges, the usual one first; none for one that has no name.
    pub fn range_names(&self) -> impl Iterator<Item = Option<&str>> {
        std::iter::once(self.range.as_deref()).chain(self.ranges.keys().map(|name| Some(name.as_str())))
    }

    /// Number of codes.
    pub fn codes(&self) -> f64 {
        2f64.powi(self.bits.min(32) as i32)
    }

    /// The share of the codes that a voltage gives, [V]: 0 at `least_v`, 1 at full scale, and straight on beyond both.
    pub fn share_of(&self, volts: f64) -> f64 {
        match self.knee {
            None => (volts - self.least_v) / (self.reference_v - self.least_v),
            Some((v, share)) if volts < v => share * (volts - self.least_v) / (v - self.least_v),
            Some((v, share)) => share + (1.0 - share) * (volts - v) / (self.reference_v - v),
        }
    }

    /// The voltage at a share of the codes, [V].
    pub fn volts_of(&self, share: f64) -> f64 {
        match self.knee {
            None => self.least_v + share * (self.reference_v - self.least_v),
            Some((v, at)) if share < at => self.least_v + share / at * (v - self.least_v),
            Some((v, at)) => v + (share - at) / (1.0 - at) * (self.reference_v - v),
        }
    }

    /// One step at a voltage, [V].
    pub fn step_v(&self, volts: f64) -> f64 {
        let steep = match self.knee {
            None => (self.reference_v - self.least_v, 1.0),
            Some((v, share)) if volts < v => (v - self.least_v, share),
            Some((v, share)) => (self.reference_v - v, 1.0 - share),
        };
        steep.0 / steep.1 / self.codes()
    }

    /// Up to where its line is straight, [V].
    pub fn straight_v(&self) -> f64 {
        self.knee.map_or(self.reference_v, |(v, _)| v)
    }
}
