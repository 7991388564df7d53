//! Actuators: what they do to their zone, what they give to parts that measure them, and what they draw.

use super::BusDef;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An actuator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActuatorDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Where its figures come from.
    pub source: String,
    /// How it can be wired.
    pub bus: BusDef,
    /// What it does to its zone at full level.
    pub effect: EffectDef,
    /// What parts that measure it find at full level, by quantity, each in the catalog's unit: `flow` (l/min) of a pump,
    /// `rotation` (rpm) of a fan, `angle` (deg) of a servo. In between it is proportional to the level.
    #[serde(default)]
    pub gives: BTreeMap<String, f64>,
    /// Time constant with which it follows its command, [s].
    #[serde(default)]
    pub tau_s: f64,
    /// Time from stop to stop at the one speed it moves with, [s]; 0: it follows by `tau_s` alone.
    #[serde(default)]
    pub travel_s: f64,
    /// Steps between level 0 and 1 that it can take; 0: any level. 1 is a switch, which is on from a command of 0.5.
    #[serde(default)]
    pub steps: u32,
    /// Current that its control pin takes from the board's, [mA].
    #[serde(default)]
    pub pin_ma: f64,
    /// From what share of its supply on its control input is high. None: not stated, not judged.
    #[serde(default)]
    pub high_share: Option<f64>,
    /// Whether its level comes as data, as that of a WS2812B does: any digital pin that can be clocked can dim it.
    #[serde(default)]
    pub data: bool,
    /// Supply voltages it works at, [V]: smallest and largest. None: that of the board's pins.
    #[serde(default)]
    pub supply_v: Option<(f64, f64)>,
    /// Supply current at full level, from the device's own supply, [mA]; in between it is proportional to the level.
    #[serde(default)]
    pub active_ma: f64,
    /// Supply current at any level, on top, [mA]: electronics at rest, coils that hold.
    #[serde(default)]
    pub idle_ma: f64,
    /// Supply current while it travels, on top, [mA].
    #[serde(default)]
    pub moving_ma: f64,
    /// Supply current while it is held fast or sets out, [mA]; it is judged, and not simulated. 0: no more than else.
    #[serde(default)]
    pub stall_ma: f64,
}

impl ActuatorDef {
    /// The most that it takes from its supply, [mA].
    pub fn worst_ma(&self) -> f64 {
        self.idle_ma + self.active_ma + self.moving_ma
    }
}

/// What an actuator does to its zone at full level.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum EffectDef {
    /// Heat, [W].
    HeatW(f64),
    /// Exchange of air with the outside, [1/h].
    AirChangesPerH(f64),
    /// Water given to the soil, [mm/h].
    WaterMmPerH(f64),
    /// Light, [lx].
    LightLx(f64),
    /// Sound at its place, [dB]; less at a lower level, by 20·log10 of it.
    SoundDb(f64),
    /// Nothing: what it moves or switches is no part of the zone.
    Nothing,
}
