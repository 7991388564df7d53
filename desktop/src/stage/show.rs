//! What the scene shows: which run, which instant, which field, what is selected. Panels and pictures set it, the stage follows.

use super::layout::Layout;
use crate::{
    fleet::Fleet,
    settings::Palette,
    sim::{history::Frame, open::Opened, spell::Spell},
    units::Units,
};
use bevy::prelude::*;
use std::sync::Arc;
use twinfleet_engine::{
    environment::ZONE_CHANNELS,
    scenario::diagnostic::near,
    signal::{Kind, SignalId},
    time::SimTime,
};

/// What a user has picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// A device by its index.
    Device(usize),
    /// A zone by its index.
    Zone(usize),
}

/// A quantity that the scene colours by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Such as `temperature`.
    pub quantity: String,
    /// Unit symbol.
    pub unit: String,
    /// By device: its reading of it.
    pub devices: Vec<Option<SignalId>>,
    /// By zone: the simulated truth of it.
    pub zones: Vec<Option<SignalId>>,
}

/// What is shown of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arcs {
    /// Messages under way.
    #[default]
    Messages,
    /// Every device's way to the broker.
    All,
    /// None.
    None,
}

/// What the scene shows.
#[derive(Resource, Clone)]
pub struct Shown {
    /// The scenario.
    pub opened: Opened,
    /// Its devices.
    pub fleet: Arc<Fleet>,
    /// Where they stand.
    pub layout: Arc<Layout>,
    /// Changes when another scenario is shown.
    pub generation: u64,
    /// The instant.
    pub t: SimTime,
    /// The world at that instant.
    pub frame: Arc<Frame>,
    /// What holds then.
    pub spells: Vec<Spell>,
    /// Frames to take ranges from: a few of the whole run so far.
    pub sample: Vec<Arc<Frame>>,
    /// How far the run was when they were taken, [ns].
    pub sampled_ns: i64,
    /// Quantities to choose from.
    pub fields: Vec<String>,
    /// The one chosen; none for plain floors.
    pub field: Option<Field>,
    /// What is selected.
    pub picked: Option<Picked>,
    /// A device that is left out, by its index: for comparing pictures.
    pub hidden: Option<usize>,
    /// Links.
    pub arcs: Arcs,
    /// Whether twins are shown.
    pub ghosts: bool,
    /// Whether names are shown.
    pub labels: bool,
    /// Colours of figures.
    pub palette: Palette,
    /// Units of figures.
    pub units: Units,
    /// Dark or light.
    pub dark: bool,
}

impl Shown {
    /// A scenario at its start, coloured by the first field that it has.
    pub fn new(opened: Opened, frame: Arc<Frame>, generation: u64) -> Self {
        let fleet = Fleet::of(&opened.plan);
        let layout = Layout::of(&opened.plan, &fleet);
        let fields = quantities(&opened, &fleet);
        let mut shown = Self {
            opened,
            fleet: Arc::new(fleet),
            layout: Arc::new(layout),
            generation,
            t: frame.t,
            sample: vec![Arc::clone(&frame)],
            sampled_ns: 0,
            frame,
            spells: Vec::new(),
            fields,
            field: None,
            picked: None,
            hidden: None,
            arcs: Arcs::default(),
            ghosts: true,
            labels: true,
            palette: Palette::default(),
            units: Units::default(),
            dark: true,
        };
        if let Some(first) = shown.fields.first().cloned() {
            shown.colour_by(&first);
        }
        shown
    }

    /// Colours by a quantity; whether anything has it.
    pub fn colour_by(&mut self, quantity: &str) -> bool {
        let plan = &self.opened.plan;
        let devices: Vec<_> =
            (0..self.fleet.devices.len()).map(|d| self.fleet.of_quantity(plan, d, quantity)).collect();
        let channel = ZONE_CHANNELS.iter().position(|(q, _)| *q == quantity);
        let zone =
            |block: &twinfleet_engine::signal::BlockId| channel.map(|c| plan.signals.id(*block, 0, c as u32));
        let zones: Vec<_> = plan.zone_blocks.iter().map(zone).collect();
        let any = devices.iter().chain(&zones).flatten().next().copied();
        let unit = any.map(|id| plan.signals.channel(id).unit.clone());
        self.field = unit.map(|unit| Field { quantity: quantity.to_owned(), unit, devices, zones });
        self.field.is_some()
    }

    /// Colours as the command line asks: by a quantity, or by none.
    ///
    /// # Errors
    /// When nothing measures it: what there is.
    pub fn colour_as_asked(&mut self, asked: &str) -> Result<(), String> {
        if asked == "none" {
            self.field = None;
            return Ok(());
        }
        if self.colour_by(asked) {
            return Ok(());
        }
        let near = near(asked, self.fields.iter().map(String::as_str));
        let near = near.unwrap_or_else(|| format!("it has {}", self.fields.join(", ")));
        Err(format!("nothing here measures `{asked}`; {near}"))
    }

    /// The value of the field at a device.
    pub fn value(&self, device: usize) -> Option<f32> {
        self.frame.value(self.field.as_ref()?.devices.get(device).copied().flatten()?)
    }
}

/// Quantities that devices read or report, then what zones have besides, in an order that puts first what most look at.
fn quantities(opened: &Opened, fleet: &Fleet) -> Vec<String> {
    let signals = &opened.plan.signals;
    let mut found: Vec<String> = Vec::new();
    for (_, _, channels) in signals.blocks() {
        for c in channels.iter().filter(|c| matches!(c.kind, Kind::Reading | Kind::Reported)) {
            if let Some((_, quantity)) = c.name.rsplit_once('.')
                && !found.iter().any(|f| f == quantity)
            {
                found.push(quantity.to_owned());
            }
        }
    }
    if !opened.plan.zone_blocks.is_empty() && !fleet.devices.is_empty() {
        for (quantity, _) in ZONE_CHANNELS.iter().take(5) {
            if !found.iter().any(|f| f == quantity) {
                found.push((*quantity).to_owned());
            }
        }
    }
    let rank = |q: &String| {
        ["temperature", "humidity", "force", "speed", "accel_z"].iter().position(|r| r == q).unwrap_or(9)
    };
    found.sort_by_key(rank);
    found
}
