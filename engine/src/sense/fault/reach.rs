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
    /// Whether it is read by a converter that is a part, and not by the board's.
    pub outside: bool,
}

impl Wired {
    /// A stream of which only the name `part.quantity` is known.
    pub fn named(name: &str) -> Self {
        let quantity = name.split_once('.').map_or("", |(_, quantity)| quantity);
        let stream = Stream { of: Measures::quantity(quantity), analog: false };
        Self { name: name.to_owned(), unit: String::new(), bus: None, stream, outside: false }
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
            (BusDef::I2c(_), _) => Some(match board.and_then(|b| part.bus_on(b)) {
                None => "I2C".to_owned(),
                Some((sda, scl)) => format!("I2C on {sda} and {scl}"),
            }),
            (BusDef::Spi, _) => Some("SPI".to_owned()),
            (BusDef::OneWire, WireDef::Pin(pin)) => Some(format!("1-Wire on {pin}")),
            _ => None,
        };
        for channel in &sensor.channels {
            let outside = part.on.converter().is_some();
            let read = converts || outside;
            let analog = read && matches!(sensor.bus, BusDef::Analog) && channel.analog.is_some();
            all.push(Wired {
                name: format!("{}.{}", part.id, channel.quantity),
                unit: channel.unit.clone(),
                bus: bus.clone(),
                stream: Stream { of: Measures::quantity(&channel.quantity), analog },
                outside,
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
        FaultDef::AdcReference { .. } => w.stream.analog && !w.outside,
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

    /// Its labels on a device: on the stream that it reaches, none for the whole device, and for a swap with the stream that
    /// this is exchanged with. Whether a hanging bus ends before its event is not known at the start: its last label is the
    /// cohort's to make.
    pub fn labels(&self, device: &str, stream: Option<&Wired>, with: &str, into: &mut Vec<Event>) {
        let (part, unit) = stream.map_or(("", ""), |w| (w.name.as_str(), w.unit.as_str()));
        let (says, gone) = match &self.what {
            Wrong::Fault(kind @ FaultDef::BusLockUp) => (Says::fault(kind, unit), SimTime::NEVER),
            Wrong::Fault(kind) => (Says::fault(kind, unit), kind.gone(self.until)),
            Wrong::Swap(_) => (Says::swap(with), self.until),
        };
        for (t, kind) in [(self.from, "fault_start"), (gone, "fault_end")] {
            if t != SimTime::NEVER {
                into.push(says.at(t, device, part, kind));
            }
        }
    }
}

/// What a label says of a fault.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    word: &'static str,
    size: f64,
    unit: String,
    /// The stream that a swapped one is exchanged with.
    with: String,
}

impl Says {
    /// Of a fault of a stream in this unit.
    pub fn fault(kind: &FaultDef, unit: &str) -> Self {
        Self { word: kind.name(), size: kind.size(), unit: kind.unit(unit), with: String::new() }
    }

    /// Of a stream that is exchanged with this one.
    pub fn swap(with: &str) -> Self {
        Self { word: SWAP, size: 0.0, unit: String::new(), with: with.to_owned() }
    }

    /// The label: `kind` is `fault_start` or `fault_end`.
    pub fn at(&self, t: SimTime, device: &str, part: &str, kind: &str) -> Event {
        Event {
            t,
            subject: device.to_owned(),
            part: part.to_owned(),
            kind: kind.to_owned(),
            detail: self.word.to_owned(),
            value: self.size,
            unit: self.unit.clone(),
            with: self.with.clone(),
            ..Event::default()
        }
    }
}
