//! Volts, milliamperes and pull-ups: wiring that would fit the pins, but not work on the bench. What a file does not state is
//! not judged.

use super::wiring::Part;
use crate::{
    catalog::{BoardDef, BusDef, Catalog, Firmware, PowerDef, ThingDef, WireDef},
    scenario::{check::Place, diagnostic::Report},
};
use std::collections::BTreeMap;

/// A line that has to be pulled up: the I2C bus, or the pin of a 1-Wire bus.
#[derive(Default)]
struct Line {
    /// Path of the first part on it, and its model.
    first: Option<(String, String)>,
    /// Whether anything on it brings a resistor, or does not say.
    pulled: bool,
}

/// What the parts of a thing ask of their board so far.
pub(super) struct Electric<'a> {
    board: Option<&'a BoardDef>,
    /// Voltage that the board passes on, [V]: its nominal supply, or what the battery gives at most.
    supply_v: f64,
    on_battery: bool,
    /// Drawn from the board's regulator and from its supply, [mA]; none once it has been told that they are overdrawn.
    rail_ma: Option<f64>,
    passed_ma: Option<f64>,
    lines: BTreeMap<String, Line>,
}

/// Where a part gets its supply from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feed {
    Rail,
    Supply,
}

impl<'a> Electric<'a> {
    pub fn new(board: Option<&'a BoardDef>, power: Option<&PowerDef>) -> Self {
        let battery_v = match power {
            Some(PowerDef::Battery { ocv_v, .. }) => ocv_v.iter().map(|p| p.1).reduce(f64::max),
            _ => None,
        };
        let nominal_v = board.map_or(0.0, |b| b.supply_v);
        Self {
            board,
            supply_v: battery_v.unwrap_or(nominal_v),
            on_battery: battery_v.is_some(),
            rail_ma: Some(0.0),
            passed_ma: Some(0.0),
            lines: BTreeMap::new(),
        }
    }

    pub fn check(&mut self, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
        let Some(board) = self.board else { return };
        if part.def.on == WireDef::Internal {
            return;
        }
        check_level(board, part, place, report);
        self.look_at_line(board, part, place);
        if let Some(actuator) = part.actuator {
            check_pin_current(board, &part.def.model, actuator.pin_ma, place, report);
        }
        if !part.def.own_supply
            && let Some(feed) = self.feed(board, part, place, report)
        {
            self.draw(board, part, feed, place, report);
        }
    }

    /// Where a part can be fed from; an actuator from the supply before the regulator, a sensor the other way about.
    fn feed(
        &self,
        board: &BoardDef,
        part: &Part<'_>,
        place: &Place<'_>,
        report: &mut Report,
    ) -> Option<Feed> {
        let range = part.sensor.map_or_else(|| part.actuator.and_then(|a| a.supply_v), |s| s.supply_v);
        let Some((low, high)) = range else { return Some(Feed::Rail) };
        let fits = |v: f64| (low..=high).contains(&v);
        let feeds = [(board.logic_v, Feed::Rail), (self.supply_v, Feed::Supply)];
        let found = feeds.into_iter().filter(|(v, _)| fits(*v)).map(|(_, f)| f);
        let mut found = found;
        let feed = if part.sensor.is_some() { found.next() } else { found.next_back() };
        if feed.is_none() {
            let model = &part.def.model;
            let (rail, supply) = (board.logic_v, self.supply_v);
            let by = if self.on_battery { "its battery at most" } else { "its supply" };
            let text = format!(
                "`{model}` needs {low} to {high} V, but the board gives {rail} V and {by} {supply} V"
            );
            let help = "choose a part that works at these, or feed it otherwise and say `own_supply: true`";
            report.push(place.error("model", text).help(help));
        }
        feed
    }

    fn draw(
        &mut self,
        board: &BoardDef,
        part: &Part<'_>,
        feed: Feed,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let sensor_ma = part.sensor.map(|s| s.active_ma.max(s.idle_ma));
        let ma = sensor_ma.or(part.actuator.map(|a| a.active_ma)).unwrap_or_default();
        let (sum, most, whose, volts) = match feed {
            Feed::Rail => (&mut self.rail_ma, board.rail_ma, "regulator", board.logic_v),
            Feed::Supply => (&mut self.passed_ma, board.supply_ma, "supply pin", self.supply_v),
        };
        let (Some(before), Some(most)) = (*sum, most) else { return };
        *sum = Some(before + ma);
        if before + ma > most {
            *sum = None;
            let text = format!(
                "the parts on {volts} V of `{}` draw {} mA with this one, but its {whose} leaves {most} mA",
                board.name,
                (before + ma) as f32
            );
            let help = format!("feed `{}` from a supply of its own and say `own_supply: true`", part.def.id);
            report.push(place.error("model", text).help(help));
        }
    }

    fn look_at_line(&mut self, board: &BoardDef, part: &Part<'_>, place: &Place<'_>) {
        let (line, by_board) = match (&part.def.on, part.bus) {
            (WireDef::I2c(_), _) => ("I2C bus".to_owned(), board.i2c_pull_up),
            (WireDef::Pin(pin), BusDef::OneWire) => (format!("1-Wire bus on `{pin}`"), false),
            _ => return,
        };
        let by_part = part.sensor.and_then(|s| s.pull_up);
        let line = self.lines.entry(line).or_default();
        // What is not stated is not judged.
        line.pulled |= by_board || part.def.pull_up || by_part != Some(false);
        line.first.get_or_insert_with(|| (place.path("on"), part.def.model.clone()));
    }

    /// What only all parts together can lack.
    pub fn check_buses(&self, place: &Place<'_>, report: &mut Report) {
        let Some(board) = self.board else { return };
        for (line, Line { first, pulled }) in &self.lines {
            let (false, Some((path, model))) = (pulled, first) else { continue };
            let text = format!(
                "nothing pulls the {line} up: neither `{model}` nor `{}` brings a resistor",
                board.name
            );
            let here = Place::new(place.source, path).error("", text);
            report.push(here.help("add one of 4.7 kΩ to the supply, and say `pull_up: true` of the part"));
        }
    }
}

/// A high level that is too high for the pin.
fn check_level(board: &BoardDef, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
    let (Some(out_v), false) = (part.sensor.and_then(|s| s.out_v), part.def.shifted) else { return };
    let analogue = matches!(part.bus, BusDef::Analog);
    let most = board.adc.as_ref().and_then(|a| a.max_v).filter(|_| analogue).unwrap_or(board.max_pin_v());
    if out_v > most {
        let model = &part.def.model;
        let text =
            format!("`{model}` puts {out_v} V on a pin of `{}` that stands {} V", board.name, most as f32);
        let help = "put a divider or a level shifter between them and say `shifted: true`, or use a board whose pins stand it";
        report.push(place.error("on", text).help(help));
    }
}

fn check_pin_current(board: &BoardDef, model: &str, pin_ma: f64, place: &Place<'_>, report: &mut Report) {
    if let Some(most) = board.pin_ma.filter(|most| pin_ma > *most) {
        let text =
            format!("`{model}` takes {pin_ma} mA from its pin, but one of `{}` gives {most} mA", board.name);
        report.push(
            place
                .error("on", text)
                .help("put a transistor between them: a part whose `pin_ma` is its base current"),
        );
    }
}

/// Analogue parts on pins whose converter gives way to the radio.
pub(in crate::scenario) fn check_radio(
    thing: &ThingDef,
    firmware: &Firmware,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    let board = thing.board.as_ref().and_then(|b| catalog.boards.get(b));
    let speaks =
        !(firmware.publish.is_empty() && firmware.control.is_empty() && firmware.commands.is_empty());
    let Some((board, adc)) = board.and_then(|b| Some((b, b.adc.as_ref()?))).filter(|_| speaks) else {
        return;
    };
    for (i, part) in thing.parts.iter().enumerate() {
        let analogue = catalog.sensors.get(&part.model).is_some_and(|s| matches!(s.bus, BusDef::Analog));
        let WireDef::Pin(pin) = &part.on else { continue };
        if !analogue || !adc.not_with_radio.contains(pin) {
            continue;
        }
        let free: Vec<&str> = board
            .pins
            .iter()
            .filter(|(p, f)| f.contains(&crate::catalog::PinFn::Analog) && !adc.not_with_radio.contains(p))
            .map(|(p, _)| p.as_str())
            .collect();
        let text = format!(
            "`{pin}` of `{}` cannot be read while its radio is on, and its firmware speaks",
            board.name
        );
        let help = format!("analogue pins that can: {}", free.join(", "));
        report.push(place.error(&format!("parts[{i}].on"), text).help(help));
    }
}
