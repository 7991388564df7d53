//! Sensor faults: what can go wrong with a stream of readings, simulated or recorded.

use crate::time::Span;
use serde::Deserialize;

/// A fault of a stream of readings. Sizes are in the signal's unit.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FaultDef {
    /// The reading stays at its last value.
    Stuck,
    /// A constant offset.
    Bias {
        /// Offset.
        by: f64,
    },
    /// An offset that grows from zero.
    Drift {
        /// Growth per hour.
        per_h: f64,
    },
    /// The reading is multiplied.
    Gain {
        /// Factor.
        factor: f64,
    },
    /// Single readings are off.
    Spike {
        /// Size.
        by: f64,
        /// Mean time between spikes; the first comes at the onset. Zero: one only.
        #[serde(default)]
        every: Span,
    },
    /// Extra white noise.
    Noise {
        /// Standard deviation.
        std: f64,
    },
    /// No reading, no message.
    Dropout,
    /// The device's clock runs fast (positive) or slow.
    ClockSkew {
        /// Relative error, [ppm].
        ppm: f64,
    },
}

impl FaultDef {
    /// The word used in labels, verdicts and expectations.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Bias { .. } => "bias",
            Self::Drift { .. } => "drift",
            Self::Gain { .. } => "gain",
            Self::Spike { .. } => "spike",
            Self::Noise { .. } => "noise",
            Self::Dropout => "dropout",
            Self::ClockSkew { .. } => "clock_skew",
        }
    }
}
