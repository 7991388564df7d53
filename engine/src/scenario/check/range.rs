//! What parts are told or surrounded by, against what they can read: a value beyond that is shown as the range's end, and
//! whatever befalls it within is not seen.

use super::{Checker, Place};
use crate::{
    catalog::{BoardDef, BusDef, ChannelDef, PartDef, SensorDef, ThingDef},
    scenario::{Action, GroupDef, diagnostic::Diagnostic},
    sense::fault::FaultDef,
    signal::wildcard,
};

/// What a channel of a part can read: smallest and largest, and what ends it there.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Readable {
    low: f64,
    high: f64,
    by_converter: bool,
}

impl Readable {
    /// Of a part on a board, or at an input of another part, `into`.
    fn of(
        part: &PartDef,
        sensor: &SensorDef,
        channel: &ChannelDef,
        board: Option<&BoardDef>,
        into: Option<(&PartDef, &SensorDef)>,
    ) -> Self {
        let fed_v = |part: &PartDef, sensor: &SensorDef| {
            board.filter(|_| !part.own_supply).and_then(|b| sensor.fed_v(b))
        };
        let (low, high) = channel.fed(fed_v(part, sensor)).range;
        let own = Self { low: low.min(high), high: high.max(low), by_converter: false };
        let (Some(board), Some(law)) =
            (board.filter(|_| matches!(sensor.bus, BusDef::Analog)), channel.analog)
        else {
            return own;
        };
        let reads = match (into, part.on.converter(), &board.adc) {
            (Some((def, converter)), Some((_, input)), _) => {
                let quantity = format!("voltage_{input}");
                let input = converter.channels.iter().find(|c| c.quantity == quantity);
                input.map(|c| c.fed(fed_v(def, converter)).range)
            }
            (None, None, Some(adc)) => {
                let ranged = part.range.as_ref().and_then(|name| adc.in_range(name));
                let adc = ranged.as_ref().unwrap_or(adc);
                Some((adc.least_v, adc.reference_v))
            }
            _ => None,
        };
        // A divider between them is made for the part's largest voltage.
        let Some((least_v, most_v)) = reads.filter(|_| !part.shifted) else { return own };
        // Asked in volts: a divider's law has no inverse at its ends.
        let mut by_converter = false;
        let [a, b] = [own.low, own.high].map(|end| {
            let volts = law.volts(end, board.logic_v);
            let read = volts.clamp(least_v, most_v);
            by_converter |= read != volts;
            if read == volts { end } else { law.value(read, board.logic_v) }
        });
        Self { low: a.min(b), high: a.max(b), by_converter }
    }

    fn holds(self, value: f64) -> bool {
        let slack = 1e-6 * (self.high - self.low).abs();
        (self.low - slack..=self.high + slack).contains(&value)
    }

    /// The end that a value beyond is shown as.
    fn end(self, value: f64) -> f64 {
        value.clamp(self.low, self.high)
    }
}

impl Checker<'_> {
    /// Warns of values that no part of a group can read: what it is told, what its zones are at, faults larger than a range.
    pub(super) fn beyond(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let board = thing.board.as_ref().and_then(|b| self.catalog.boards.get(b));
        for part in &thing.parts {
            let Some(sensor) = self.catalog.sensors.get(&part.model) else { continue };
            let into = part.on.converter().and_then(|(id, _)| thing.converter(id, self.catalog));
            for channel in &sensor.channels {
                let readable = Readable::of(part, sensor, channel, board, into);
                self.beyond_channel((i, group), part, channel, readable);
            }
        }
    }

    fn beyond_channel(
        &mut self,
        (i, group): (usize, &GroupDef),
        part: &PartDef,
        channel: &ChannelDef,
        readable: Readable,
    ) {
        let name = format!("{}.{}", part.id, channel.quantity);
        let told = group.truths.get(&name).copied();
        if let Some(value) = told.filter(|v| !readable.holds(*v)) {
            let span = self.source.key_span_of(&format!("fleet[{i}].truths"), &name);
            let warning = beyond(&name, part, channel, value, readable);
            self.report.push(warning.at(self.source, span, ""));
        }
        let of_group = |target: &str| {
            let (device, stream) = target.split_once('/').unwrap_or((target, "*"));
            let device = device.replace("{}", "0");
            let first = group.id.replace("{}", "0");
            let head = group.id.split("{}").next().unwrap_or_default();
            let hits = wildcard(device.as_bytes(), first.as_bytes())
                || (group.id.contains("{}") && !head.is_empty() && device.starts_with(head));
            hits && wildcard(stream.as_bytes(), name.as_bytes())
        };
        for (k, event) in self.scenario.timeline.iter().enumerate() {
            let place = self.place(format!("timeline[{k}].do"));
            match &event.action {
                Action::Set { target, to } if of_group(target) && !readable.holds(*to) => {
                    let warning = beyond(&name, part, channel, *to, readable);
                    self.warn_at(&place, "to", warning);
                }
                Action::Fault { target, kind } if of_group(target) => {
                    if let Some(warning) = too_large(&name, part, channel, kind, readable) {
                        self.warn_at(&place, "kind", warning);
                    }
                }
                _ => {}
            }
        }
        if told.is_some() || self.is_modelled(group, part, channel) {
            return;
        }
        self.beyond_zones(group, part, channel, readable);
    }

    /// Whether something else than its zone gives a part its value.
    fn is_modelled(&self, group: &GroupDef, part: &PartDef, channel: &ChannelDef) -> bool {
        let output = format!("{}.{}", part.id, channel.quantity);
        let thing = self.thing(&group.thing);
        let sensor = self.catalog.sensors.get(&part.model);
        sensor.is_some_and(|s| matches!(s.bus, BusDef::Internal))
            || thing
                .and_then(|t| t.dynamics.as_ref())
                .is_some_and(|d| d.outputs.iter().any(|o| o.signal == output))
    }

    fn beyond_zones(&mut self, group: &GroupDef, part: &PartDef, channel: &ChannelDef, readable: Readable) {
        let name = format!("{}.{}", part.id, channel.quantity);
        for (z, zone) in self.scenario.world.zones.iter().enumerate() {
            let (key, value) = match channel.quantity.as_str() {
                "temperature" => ("temperature_c", zone.temperature_c),
                "humidity" => ("humidity_percent", zone.humidity_percent),
                _ => continue,
            };
            if !group.zones.contains(&zone.id) || readable.holds(value) {
                continue;
            }
            let place = self.place(format!("world.zones[{z}]"));
            let warning = beyond(&name, part, channel, value, readable);
            self.warn_at(&place, key, warning);
        }
    }

    /// A warning at a key, or where there is none at what holds it; each text once, and none where an error stands.
    fn warn_at(&mut self, place: &Place<'_>, key: &str, warning: Diagnostic) {
        let warning = warning.at(self.source, place.span(key), "");
        let told = |d: &Diagnostic| d.message() == warning.message() || d.place() == warning.place();
        if !self.report.items().iter().any(told) {
            self.report.push(warning);
        }
    }
}

fn shown(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * digits).round() / digits
}

/// A value that is shown as the end of what can be read.
fn beyond(name: &str, part: &PartDef, channel: &ChannelDef, value: f64, readable: Readable) -> Diagnostic {
    let whose = if readable.by_converter {
        format!("`{}` and its board's converter read", part.model)
    } else {
        format!("`{}` reads", part.model)
    };
    let text = format!(
        "`{name}` finds {}, but {whose} {} to {}: it shows {}, whatever befalls it there",
        amount(value, &channel.unit),
        shown(readable.low),
        shown(readable.high),
        shown(readable.end(value))
    );
    let help = if readable.by_converter {
        "tell it a value within, or read it in another `range` of the converter"
    } else {
        "tell it a value within, or use a part that reads as far"
    };
    Diagnostic::warning(text).help(help)
}

/// A figure with its unit, where it has one.
fn amount(value: f64, unit: &str) -> String {
    if unit == "none" { shown(value).to_string() } else { format!("{} {unit}", shown(value)) }
}

/// A fault that throws every reading to an end of its range, whatever is there.
fn too_large(
    name: &str,
    part: &PartDef,
    channel: &ChannelDef,
    kind: &FaultDef,
    readable: Readable,
) -> Option<Diagnostic> {
    let (FaultDef::Bias { by } | FaultDef::Spike { by, .. }) = kind else { return None };
    let width = readable.high - readable.low;
    if by.abs() < width {
        return None;
    }
    let text = format!(
        "a fault of {} is more than all that `{name}` can read, {} to {}: the reading stands at the end of `{}`'s range",
        amount(*by, &channel.unit),
        shown(readable.low),
        shown(readable.high),
        part.model
    );
    Some(Diagnostic::warning(text).help(format!("write less than {}", shown(width))))
}
