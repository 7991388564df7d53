//! Which streams of a device an event of the timeline reaches: a channel, all of a part, of a bus, or of a converter.

use super::{FaultDef, Measures, Stream};
use crate::{
    catalog::{BusDef, Catalog, ThingDef, WireDef},
    plan::Plan,
    scenario::{Action, EventDef},
    signal::wildcard,
    time::SimTime,
    world::Event,
};

/// A stream of readings as it is wired.
#[derive(Clone, Debug)]
pub(crate) struct Wired {
    /// `part.quantity`.
    pub name: String,
    pub unit: String,
    /// Name of the bus that its part shares with others; none: it has its pins for itself.
    pub bus: Option<String>,
    pub stream: Stream,
}

impl Wired {
    /// A stream of which only the name `part.quantity` is known.
    pub fn named(name: &str) -> Self {
        let quantity = name.split_once('.').map_or("", |(_, quantity)| quantity);
        let stream = Stream { of: Measures::quantity(quantity), analog: false };
        Self { name: name.to_owned(), unit: String::new(), bus: None, stream }
    }

    fn part(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

/// The streams of a thing's sensors, in the order of its signals.
pub(crate) fn wired(thing: &ThingDef, catalog: &Catalog) -> Vec<Wired> {
    let board = thing.board.as_ref().and_then(|b| catalog.boards.get(b));
    let converts = board.is_some_and(|b| b.adc.is_some());
    let mut all = Vec::new();
    for part in &thing.parts {
        let Some(sensor) = catalog.sensors.get(&part.model) else { continue };
        let bus = match (&sensor.bus, &part.on) {
            (BusDef::I2c(_), _) => Some("I2C".to_owned()),
            (BusDef::Spi, _) => Some("SPI".to_owned()),
            (BusDef::OneWire, WireDef::Pin(pin)) => Some(format!("1-Wire on {pin}")),
            _ => None,
        };
        for channel in &sensor.channels {
            let own = part.on.converter().is_none();
            let analog = own && converts && matches!(sensor.bus, BusDef::Analog) && channel.analog.is_some();
            all.push(Wired {
                name: format!("{}.{}", part.id, channel.quantity),
                unit: channel.unit.clone(),
                bus: bus.clone(),
                stream: Stream { of: Measures::quantity(&channel.quantity), analog },
            });
        }
    }
    all
}

/// Indices of the streams that a fault acts on, where its event names `channel` (a glob; none: the whole device).
pub(crate) fn reached(kind: &FaultDef, channel: Option<&str>, streams: &[Wired]) -> Vec<usize> {
    let named = |w: &Wired| channel.is_none_or(|channel| wildcard(channel.as_bytes(), w.name.as_bytes()));
    let beside = |w: &Wired, same: fn(&Wired, &Wired) -> bool, of: fn(&Wired) -> bool| {
        streams.iter().any(|other| named(other) && of(other) && same(other, w))
    };
    let same_part: fn(&Wired, &Wired) -> bool = |a, b| a.part() == b.part();
    let hit = |w: &Wired| match kind {
        FaultDef::ClockSkew { .. } => false,
        FaultDef::AdcReference { .. } => w.stream.analog,
        FaultDef::BusLockUp => beside(w, |a, b| a.bus == b.bus, |a| a.bus.is_some()),
        FaultDef::Intermittent { .. } => beside(w, same_part, |_| true),
        FaultDef::Condensation { .. } => named(w) && (w.stream.analog || w.stream.of == Measures::Humidity),
        FaultDef::SelfHeating { .. } => match w.stream.of {
            Measures::Temperature => named(w),
            Measures::Humidity => beside(w, same_part, |a| a.stream.of == Measures::Temperature),
            _ => false,
        },
        FaultDef::Dust { .. } => named(w) && w.stream.of == Measures::Light,
        _ => named(w),
    };
    streams.iter().enumerate().filter(|(_, w)| hit(w)).map(|(i, _)| i).collect()
}

/// The two streams that a swap exchanges.
pub(crate) fn swapped(channel: &str, with: &str, streams: &[Wired]) -> Option<(usize, usize)> {
    let at = |name: &str| streams.iter().position(|w| w.name == name);
    Some((at(channel)?, at(with)?))
}

/// Label of a stream whose random numbers a fault draws: a loose contact is its part's, all else each channel's own.
pub(crate) fn draws_as(kind: &FaultDef, index: usize, wired: &Wired) -> String {
    match kind {
        FaultDef::Intermittent { .. } => format!("fault/{index}/{}", wired.part()),
        _ => format!("fault/{index}/{}", wired.name),
    }
}

/// The word for exchanged readings in labels.
pub const SWAP: &str = "swap";

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    Fault(FaultDef),
    /// The readings are exchanged with those of this stream.
    Swap(String),
}

/// A fault of the timeline that may concern simulated devices.
#[derive(Clone, Debug)]
pub(crate) struct TimelineFault {
    /// Index within the timeline: names its streams.
    pub index: usize,
    device: String,
    pub channel: Option<String>,
    pub what: Wrong,
    pub from: SimTime,
    pub until: SimTime,
}

impl TimelineFault {
    /// All faults of a plan's timeline.
    pub fn all(plan: &Plan) -> Vec<Self> {
        let read = |(index, event): (usize, &EventDef)| {
            let (target, what) = match &event.action {
                Action::Fault { target, kind } => (target, Wrong::Fault(*kind)),
                Action::Swap { target, with } => (target, Wrong::Swap(with.clone())),
                _ => return None,
            };
            let (device, channel) = match target.split_once('/') {
                Some((device, channel)) => (device, Some(channel.to_owned())),
                None => (target.as_str(), None),
            };
            let from = SimTime::ZERO + event.at;
            let until = event.until.map_or(SimTime::NEVER, |u| SimTime::ZERO + u);
            Some(Self { index, device: device.to_owned(), channel, what, from, until })
        };
        plan.scenario.timeline.iter().enumerate().filter_map(read).collect()
    }

    /// Whether it concerns this device.
    pub fn hits_device(&self, device: &str) -> bool {
        wildcard(self.device.as_bytes(), device.as_bytes())
    }

    /// Its labels on a device: `part` is the stream that it reaches, empty for the whole device. Whether a hanging bus ends
    /// before its event is not known at the start: its last label is the cohort's to make.
    pub fn labels(&self, device: &str, part: &str, into: &mut Vec<Event>) {
        let (detail, value, gone) = match &self.what {
            Wrong::Fault(FaultDef::BusLockUp) => (FaultDef::BusLockUp.name(), 0.0, SimTime::NEVER),
            Wrong::Fault(kind) => (kind.name(), kind.size(), kind.gone(self.until)),
            Wrong::Swap(_) => (SWAP, 0.0, self.until),
        };
        for (t, kind) in [(self.from, "fault_start"), (gone, "fault_end")] {
            if t != SimTime::NEVER {
                into.push(label(t, device, part, kind, (detail, value)));
            }
        }
    }
}

/// A label of a fault: `kind` is `fault_start` or `fault_end`; then the fault's word and size.
pub(crate) fn label(t: SimTime, device: &str, part: &str, kind: &str, (detail, value): (&str, f64)) -> Event {
    Event {
        t,
        subject: device.to_owned(),
        part: part.to_owned(),
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        value,
        ..Event::default()
    }
}
