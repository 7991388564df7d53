//! What the scene shows: which run, which instant, which field, what is selected. Panels and pictures set it, the stage follows.

use super::layout::Layout;
use crate::{
    fleet::Fleet,
    settings::Palette,
    sim::{history::Frame, left::Left, open::Opened, spell::Spell},
    units::Units,
};
use bevy::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
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

impl Field {
    /// Its values in a frame: what devices read, what zones have.
    pub fn values<'a>(&'a self, frame: &'a Frame) -> impl Iterator<Item = f32> + 'a {
        self.devices.iter().chain(&self.zones).flatten().filter_map(|id| frame.value(*id))
    }
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

/// Where a device is that was carried elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carried {
    /// Index of its zone; none outdoors.
    pub zone: Option<usize>,
    /// Where it stands.
    pub place: Vec3,
}

/// What the scene shows. A clone is cheap, however large the fleet is: panels take one a frame, and each side of the scene.
#[derive(Clone)]
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
    pub spells: Arc<[Spell]>,
    /// Frames to take ranges from: a few of the whole run so far.
    pub sample: Arc<[Arc<Frame>]>,
    /// How far the run was when they were taken, [ns].
    pub sampled_ns: i64,
    /// Quantities to choose from.
    pub fields: Arc<[String]>,
    /// The one chosen; none for plain floors.
    pub field: Option<Arc<Field>>,
    /// What is selected.
    pub picked: Option<Picked>,
    /// Devices that were carried elsewhere and not back, by their index.
    pub carried: Arc<BTreeMap<usize, Carried>>,
    /// A device that is left out, by its index: for comparing pictures.
    pub hidden: Option<usize>,
    /// Links.
    pub arcs: Arcs,
    /// Whether twins are shown.
    pub ghosts: bool,
    /// Whether names are shown.
    pub labels: bool,
    /// Whether the legend is shown.
    pub legend: bool,
    /// Colours of figures.
    pub palette: Palette,
    /// Units of figures.
    pub units: Units,
    /// Dark or light.
    pub dark: bool,
    /// Whether there are shadows and reflections, which cost software rendering most of its time.
    pub fine: bool,
}

impl Shown {
    /// A scenario at its start, coloured by the first field that it has.
    pub fn new(opened: Opened, frame: Arc<Frame>, generation: u64) -> Self {
        let fleet = Fleet::of(&opened.plan);
        let layout = Layout::of(&opened.plan, &fleet);
        let fields: Arc<[String]> = quantities(&opened, &fleet).into();
        let mut shown = Self {
            opened,
            fleet: Arc::new(fleet),
            layout: Arc::new(layout),
            generation,
            t: frame.t,
            sample: Arc::from([Arc::clone(&frame)]),
            sampled_ns: 0,
            frame,
            spells: Arc::default(),
            fields,
            field: None,
            picked: None,
            carried: Arc::default(),
            hidden: None,
            arcs: Arcs::default(),
            ghosts: true,
            labels: true,
            legend: true,
            palette: Palette::default(),
            units: Units::default(),
            dark: true,
            fine: true,
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
        let field = |unit| Field { quantity: quantity.to_owned(), unit, devices, zones };
        self.field = unit.map(field).map(Arc::new);
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

    /// Puts devices where they were carried until an instant: in a row along the front of their new room, or before everything
    /// where they are outdoors.
    pub fn carry(&mut self, left: &Left, t: SimTime) {
        let mut to: BTreeMap<usize, &str> = BTreeMap::new();
        for event in left.events.iter().filter(|e| e.kind == "moved" && e.t <= t) {
            if let (Some(device), Some((_, zone))) =
                (self.fleet.find(&event.subject), event.detail.rsplit_once(" to "))
            {
                to.insert(device, zone);
            }
        }
        let mut at: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        let zones = &self.opened.plan.scenario.world.zones;
        let place = |(device, name): (usize, &str)| {
            let zone = zones.iter().position(|z| z.id == name);
            // Back home it stands where it stood.
            if zone == self.fleet.devices[device].zone {
                return None;
            }
            let k = at.entry(zone).or_insert(0);
            let place = self.layout.guest(zone, *k);
            *k += 1;
            Some((device, Carried { zone, place }))
        };
        // Most of the time nobody is carried anywhere, and the map is the one that was there.
        let carried: BTreeMap<usize, Carried> = to.into_iter().filter_map(place).collect();
        if *self.carried != carried {
            self.carried = Arc::new(carried);
        }
    }

    /// The zone that a device is in: its own, or the one that it was carried to.
    pub fn zone(&self, device: usize) -> Option<usize> {
        self.carried.get(&device).map_or(self.fleet.devices[device].zone, |c| c.zone)
    }

    /// Takes in what holds at an instant: what holds on is not copied anew.
    pub fn tell_of(&mut self, left: &Left, t: SimTime) {
        if !self.spells.iter().eq(left.spells.at(t)) {
            self.spells = left.spells.at(t).cloned().collect();
        }
    }

    /// Makes another one look as this one does: the same field, units, colours, names.
    pub fn like(&self, other: &mut Self) {
        (other.arcs, other.ghosts) = (self.arcs, self.ghosts);
        (other.labels, other.legend) = (self.labels, self.legend);
        (other.palette, other.dark, other.fine) = (self.palette, self.dark, self.fine);
        other.units.clone_from(&self.units);
        let (own, wanted) =
            (other.field.as_ref().map(|f| &f.quantity), self.field.as_ref().map(|f| &f.quantity));
        if own != wanted {
            match wanted {
                Some(quantity) => {
                    other.colour_by(quantity);
                }
                None => other.field = None,
            }
        }
        let picked = self.same(other, self.picked);
        other.picked = picked;
    }

    /// What bears the same name in another one.
    pub fn same(&self, other: &Self, picked: Option<Picked>) -> Option<Picked> {
        match picked? {
            Picked::Device(d) => other.fleet.find(&self.fleet.devices[d].id).map(Picked::Device),
            Picked::Zone(z) => {
                let id = &self.opened.plan.scenario.world.zones[z].id;
                let zones = &other.opened.plan.scenario.world.zones;
                zones.iter().position(|o| o.id == *id).map(Picked::Zone)
            }
        }
    }

    /// A signal's value with its unit; a residual is a difference, which no zero of a unit moves.
    pub fn figure(&self, id: SignalId) -> Option<String> {
        let channel = self.opened.plan.signals.channel(id);
        let value = f64::from(self.frame.value(id)?);
        Some(match channel.kind {
            Kind::Residual => self.units.rise(value, &channel.unit),
            _ => {
                let quantity = channel.name.rsplit_once('.').map_or("", |(_, quantity)| quantity);
                self.units.of(quantity, value, &channel.unit)
            }
        })
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
