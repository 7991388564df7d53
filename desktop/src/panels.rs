//! Everything around the scene, by egui, and nothing of Bevy: a panel is a function of the [`desk::Desk`], so that tests drive
//! panels without a graphics card.
//!
//! Reading order: [`desk`] (state and what a user can do) → [`shell`] (menu, dock, time bar) →
//! [`keys`] → one file a panel.

pub mod acts;
pub mod alarms;
pub mod desk;
pub mod events;
pub mod export;
pub mod files;
pub mod help;
pub mod inspector;
pub mod keys;
pub mod performance;
pub mod plots;
pub mod scene;
pub mod shell;
pub mod start;
pub mod theme;
pub mod timebar;
pub mod traffic;
pub mod tree;

use serde::{Deserialize, Serialize};

/// A panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pane {
    /// The 3D scene.
    Scene,
    /// Zones and devices.
    Fleet,
    /// One device or zone.
    Inspector,
    /// Signals over time.
    Plots,
    /// What is wrong, says whom, since when.
    Alarms,
    /// MQTT messages.
    Traffic,
    /// All that happened.
    Events,
    /// What it costs.
    Performance,
    /// What a user can do to the world.
    Acts,
}

impl Pane {
    /// All of them, in the menu's order.
    pub const ALL: [Self; 9] = [
        Self::Scene,
        Self::Fleet,
        Self::Inspector,
        Self::Plots,
        Self::Alarms,
        Self::Traffic,
        Self::Events,
        Self::Performance,
        Self::Acts,
    ];

    /// What its tab says.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Scene => "Scene",
            Self::Fleet => "Fleet",
            Self::Inspector => "Inspector",
            Self::Plots => "Plots",
            Self::Alarms => "Alarms",
            Self::Traffic => "MQTT",
            Self::Events => "Events",
            Self::Performance => "Performance",
            Self::Acts => "Act",
        }
    }
}
