//! Volts, milliamperes and pull-ups: wiring that would fit the pins, but not work on the bench. What a file does not state is
//! not judged.

mod pack;

pub(in crate::scenario) use pack::check_pack_feeds;
pub(crate) use pack::fed_by;

use super::wiring::Part;
use crate::{
    catalog::{
        ActuatorDef, AnalogDef, BoardDef, BusDef, Catalog, FedDef, PinFn, PowerDef, SensorDef, ThingDef,
        WireDef,
    },
    scenario::{check::Place, diagnostic::Report},
};
use pack::{pack_at_v, pack_v};
use std::collections::BTreeMap;

/// What an input of a chip stands above its supply, [V]: the absolute maximum ratings of CMOS parts, such as the ADS1115's.
const INPUT_ABOVE_V: f64 = 0.3;

/// What pulls an I2C line low has to sink, [mA], and down to what, [V]: NXP UM10204, table 9, standard and fast mode.
const SINK_MA: f64 = 3.0;
const LOW_V: f64 = 0.4;

/// A line that has to be pulled up: the I2C bus, or the pin of a 1-Wire bus.
#[derive(Default)]
struct Line {
    /// Path of the first part on it, and its model.
    first: Option<(String, String)>,
    /// Whether anything on it brings a resistor, or does not say.
    pulled: bool,
    /// All stated resistors on it together, [S].
    siemens: f64,
}

/// What the parts of a thing ask of their board so far.
pub(super) struct Electric<'a> {
    board: Option<&'a BoardDef>,
    volts: Volts,
    /// The same with the cells half empty.
    half: Volts,
    /// What feeds the rail leaves for parts, and the supply pin, [mA].
    most_ma: (Option<f64>, Option<f64>),
    /// Drawn from the board's regulator and from its supply, [mA]; none once it has been told that they are overdrawn.
    rail_ma: Option<f64>,
    passed_ma: Option<f64>,
    /// Drawn from all output pins, [mA]; the same.
    pins_ma: Option<f64>,
    /// The same at their largest at once: pulses, motors that set out or are held fast.
    rail_peak_ma: Option<f64>,
    passed_peak_ma: Option<f64>,
    /// Motors among them. One alone sets out every time, for less than a fuse notices.
    motors: usize,
    /// Whether one regulator of a pack, or one net of the board, is behind both.
    one_source: bool,
    /// Drawn from both in all, [mA].
    drawn_ma: (f64, f64),
    lines: BTreeMap<String, Line>,
}

/// Where a part gets its supply from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feed {
    Rail,
    Supply,
    /// The cells themselves, before a regulator.
    Cells,
}

/// What a thing has to feed parts with, [V]; of a battery, when it is full.
struct Volts {
    /// The rail of the board's pins.
    rail: f64,
    /// What the board is fed with and passes on.
    supply: f64,
    /// A pack's cells, where a regulator is behind them.
    cells: Option<f64>,
    on_battery: bool,
}

impl Volts {
    /// With a pack at this state of charge, 0–1.
    fn new(board: Option<&BoardDef>, power: Option<&PowerDef>, catalog: &Catalog, charge: f64) -> Self {
        let (rail, nominal) = board.map_or((0.0, 0.0), |b| (b.logic_v, b.supply_v));
        let mains = Self { rail, supply: nominal, cells: None, on_battery: false };
        match power {
            Some(PowerDef::Battery { ocv_v, .. }) => {
                let full = ocv_v.iter().map(|p| p.1).reduce(f64::max);
                Self { supply: full.unwrap_or(nominal), on_battery: true, ..mains }
            }
            Some(power @ PowerDef::Pack { .. }) => {
                let Some((cells, regulator)) = pack_at_v(power, catalog, charge) else { return mains };
                let given = regulator.map_or(cells, |r| r.kind.rail_v(cells, 0.0));
                // What does not stand that much is told of by itself.
                let rail = match board.and_then(|b| b.fed_with(given).fed) {
                    Some(FedDef::Rail(most)) if given <= most => given,
                    _ => rail,
                };
                Self { rail, supply: given, cells: regulator.map(|_| cells), on_battery: true }
            }
            _ => mains,
        }
    }

    /// Voltage of a feed, [V]; not a number where there is none.
    fn of(&self, feed: Feed) -> f64 {
        match feed {
            Feed::Rail => self.rail,
            Feed::Supply => self.supply,
            Feed::Cells => self.cells.unwrap_or(f64::NAN),
        }
    }

    /// What feeds a part that works at these volts: a sensor from the rail rather than from before it, an actuator the other
    /// way about. None: nothing does.
    fn choose(&self, (low, high): (f64, f64), sensor: bool) -> Option<Feed> {
        let feeds = [Feed::Rail, Feed::Supply, Feed::Cells];
        let mut found = feeds.into_iter().filter(|f| (low..=high).contains(&self.of(*f)));
        if sensor { found.next() } else { found.next_back() }
    }
}

/// Whether a part that works at `supply_v` is wired to a pack's cells, past its regulator.
pub(crate) fn on_cells(
    board: Option<&BoardDef>,
    power: &PowerDef,
    catalog: &Catalog,
    supply_v: Option<(f64, f64)>,
    sensor: bool,
) -> bool {
    let (Some(range), Some(converts)) = (supply_v, board.map(|b| b.converts)) else { return false };
    // Past the board's own regulator, too.
    let past = converts && matches!(power, PowerDef::Pack { regulator: None, .. });
    match Volts::new(board, Some(power), catalog, 1.0).choose(range, sensor) {
        Some(Feed::Cells) => true,
        Some(Feed::Supply) => past,
        _ => false,
    }
}

impl<'a> Electric<'a> {
    pub fn new(board: Option<&'a BoardDef>, power: Option<&PowerDef>, catalog: &Catalog) -> Self {
        let own = board.map_or((None, None), |b| (b.rail_ma, b.supply_ma));
        // Past the board's own regulator the pack's is what feeds parts, and the board itself.
        let fed = |b: &BoardDef| power.map_or(b.fed, |p| fed_by(b, p, catalog).fed);
        let past = matches!(board.and_then(fed), Some(FedDef::Rail(_)));
        let most_ma = match power.and_then(|p| pack_v(p, catalog)) {
            Some((_, regulator)) if past => {
                let board_ma = board.map_or(0.0, |b| b.current_ma.active.max(b.current_ma.transmit));
                let left = regulator.and_then(|r| r.most_ma).map(|most| (most - board_ma).max(0.0));
                (left, left)
            }
            _ => own,
        };
        Self {
            board,
            volts: Volts::new(board, power, catalog, 1.0),
            half: Volts::new(board, power, catalog, 0.5),
            most_ma,
            rail_ma: Some(0.0),
            passed_ma: Some(0.0),
            pins_ma: Some(0.0),
            rail_peak_ma: Some(0.0),
            passed_peak_ma: Some(0.0),
            motors: 0,
            one_source: board.is_some_and(|b| b.logic_v == b.supply_v)
                || past && power.is_some_and(|p| pack_v(p, catalog).is_some_and(|(_, r)| r.is_some())),
            drawn_ma: (0.0, 0.0),
            lines: BTreeMap::new(),
        }
    }

    pub fn check(&mut self, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
        let Some(board) = self.board else { return };
        if part.def.on == WireDef::Internal {
            return;
        }
        check_level(board, part, place, report);
        check_lines(board, part, place, report);
        check_span(board, part, place, report);
        self.look_at_line(board, part, place);
        if let Some(actuator) = part.actuator {
            check_pin_current(board, &part.def.model, actuator.pin_ma, place, report);
            self.sum_pins(board, actuator.pin_ma, place, report);
        }
        if part.def.own_supply {
            let least_v = part.sensor.and_then(|s| s.supply_v).map(|(low, _)| low);
            self.unsaid(board, part, least_v, place, report);
        } else if let Some(feed) = self.feed(board, part, place, report) {
            self.draw(board, part, feed, place, report);
            self.runs_low(part, feed, place, report);
            self.too_low(board, part, feed, place, report);
            self.unsaid(board, part, Some(self.volts.of(feed)), place, report);
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
        let feed = self.volts.choose((low, high), part.sensor.is_some());
        if feed.is_none() {
            let model = &part.def.model;
            let Volts { rail, supply, cells, on_battery } = self.volts;
            let by = if on_battery { "its battery at most" } else { "its supply" };
            let text = format!(
                "`{model}` needs {low} to {high} V, but the board gives {} V and {by} {} V",
                rail as f32,
                cells.unwrap_or(supply) as f32
            );
            let lines = if high < board.logic_v { ", its lines shifted: `shifted: true`" } else { "" };
            let help = format!(
                "choose a part that works at these, or feed it otherwise and say `own_supply: true`{lines}"
            );
            report.push(place.error("model", text).help(help));
        }
        feed
    }

    /// A part that no longer works when the cells that feed it are half empty.
    fn runs_low(&self, part: &Part<'_>, feed: Feed, place: &Place<'_>, report: &mut Report) {
        let range = part.sensor.map_or_else(|| part.actuator.and_then(|a| a.supply_v), |s| s.supply_v);
        let left_v = self.half.of(feed);
        let Some((low, _)) = range.filter(|(low, _)| left_v < *low) else { return };
        let text = format!(
            "`{}` needs {low} V, but the cells that feed it give {left_v:.2} V when they are half empty",
            part.def.model
        );
        let help =
            "more cells in series, or a regulator that holds the voltage, see `twinfleet list regulators`";
        report.push(place.warning("model", text).help(help));
    }

    /// A part whose input wants more of its supply than the board's pins give.
    fn too_low(&self, board: &BoardDef, part: &Part<'_>, feed: Feed, place: &Place<'_>, report: &mut Report) {
        let Some(share) = part.actuator.and_then(|a| a.high_share).filter(|_| !part.def.shifted) else {
            return;
        };
        let (fed_v, pins_v) = (self.volts.of(feed), self.volts.rail);
        if share * fed_v <= pins_v + 1e-9 {
            return;
        }
        let text = format!(
            "`{}` takes a level for high from {:.2} V on at the {} V that feed it, but the pins of `{}` give {} V",
            part.def.model,
            share * fed_v,
            fed_v as f32,
            board.name,
            pins_v as f32
        );
        let help = "it may work at room temperature and fail elsewhere: put a level shifter between them and say `shifted: true`";
        report.push(place.warning("on", text).help(help));
    }

    /// A part that is fed with more than the pins stand, and whose file does not say what it puts on them.
    fn unsaid(
        &self,
        board: &BoardDef,
        part: &Part<'_>,
        fed_v: Option<f64>,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let Some(sensor) = part.sensor.filter(|s| s.out_v.is_none() && !part.def.shifted) else { return };
        // Open drains are as high as what pulls them up, and a known law was judged by its voltages.
        let drives = matches!(part.bus, BusDef::Digital(_) | BusDef::Uart | BusDef::Spi | BusDef::Analog);
        let known = sensor.channels.iter().any(|c| c.analog.is_some());
        let Some(fed_v) = fed_v.filter(|v| drives && !known && *v > board.max_pin_v()) else { return };
        let text = format!(
            "`{}` is fed with {} V, and its file does not say what it puts on a pin of `{}` that stands {} V",
            part.def.model,
            fed_v as f32,
            board.name,
            board.max_pin_v() as f32
        );
        let help =
            "add `out_v` to its file, or put a divider or level shifter between them and say `shifted: true`";
        report.push(place.warning("on", text).help(help));
    }

    fn draw(
        &mut self,
        board: &BoardDef,
        part: &Part<'_>,
        feed: Feed,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let sensor_ma = part.sensor.map(|s| s.active_ma.max(s.idle_ma).max(s.peak_ma));
        let ma = sensor_ma.or(part.actuator.map(ActuatorDef::worst_ma)).unwrap_or_default();
        let stall_ma = part.actuator.map_or(0.0, |a| a.stall_ma);
        let peak_ma = ma.max(stall_ma);
        self.motors += usize::from(stall_ma > 0.0);
        match feed {
            Feed::Rail => self.drawn_ma.0 += ma,
            Feed::Supply => self.drawn_ma.1 += ma,
            Feed::Cells => {}
        }
        // One regulator for both: what the one leaves the other takes.
        let feed_of = if self.one_source && feed == Feed::Supply { Feed::Rail } else { feed };
        let volts = self.volts.of(feed);
        let (sum, peaks, most, whose) = match feed_of {
            Feed::Rail => (&mut self.rail_ma, &mut self.rail_peak_ma, self.most_ma.0, "regulator"),
            Feed::Supply => (&mut self.passed_ma, &mut self.passed_peak_ma, self.most_ma.1, "supply pin"),
            Feed::Cells => return,
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
            *peaks = None;
        }
        let Some(before) = *peaks else { return };
        *peaks = Some(before + peak_ma);
        if before + peak_ma > most && self.motors > 1 {
            *peaks = None;
            let text = format!(
                "motors on {volts} V of `{}` take {} mA with this one when they set out or are held fast, but its {whose} leaves {most} mA",
                board.name,
                (before + peak_ma) as f32
            );
            let help = format!(
                "feed `{}` from a supply of its own and say `own_supply: true`, or let no two move at once",
                part.def.id
            );
            report.push(place.warning("model", text).help(help));
        }
    }

    /// What all output pins give together.
    fn sum_pins(&mut self, board: &BoardDef, ma: f64, place: &Place<'_>, report: &mut Report) {
        let (Some(before), Some(most)) = (self.pins_ma, board.pins_ma) else { return };
        let sum = before + ma;
        self.pins_ma = Some(sum).filter(|sum| *sum <= most);
        if self.pins_ma.is_none() {
            let text = format!(
                "the pins of `{}` give {} mA with this one, but {most} mA at most in all",
                board.name, sum as f32
            );
            let help = "put transistors between them: parts whose `pin_ma` is a base current";
            report.push(place.error("on", text).help(help));
        }
    }

    fn look_at_line(&mut self, board: &BoardDef, part: &Part<'_>, place: &Place<'_>) {
        let by_part = part.sensor.and_then(|s| s.pull_up);
        let (line, by_board) = match (&part.def.on, part.bus) {
            (WireDef::I2c(_), _) => match part.def.bus_on(board) {
                None => ("I2C bus".to_owned(), board.i2c_pull_up),
                Some((sda, scl)) => {
                    let pulled = board.pulls_up(sda) && board.pulls_up(scl);
                    (format!("I2C bus on `{sda}` and `{scl}`"), pulled)
                }
            },
            (WireDef::Pin(pin), BusDef::OneWire) => (format!("1-Wire bus on `{pin}`"), board.pulls_up(pin)),
            (WireDef::Pin(pin), BusDef::Digital(1)) if by_part.is_some() => {
                let weak = part.sensor.is_some_and(|s| s.weak_pull_up) && !board.no_pull_up.contains(pin);
                (format!("line on `{pin}`"), weak || board.pulls_up(pin))
            }
            _ => return,
        };
        let line = self.lines.entry(line).or_default();
        // What is not stated is not judged.
        line.pulled |= by_board || part.def.pull_up.or(by_part) != Some(false);
        let own = part.sensor.and_then(|s| s.pull_up_ohm).filter(|_| part.def.pull_up != Some(false));
        let boards = board.i2c_pull_up_ohm.filter(|_| {
            line.first.is_none() && matches!(part.bus, BusDef::I2c(_)) && part.def.bus_on(board).is_none()
        });
        line.siemens += own.into_iter().chain(boards).map(f64::recip).sum::<f64>();
        line.first.get_or_insert_with(|| (place.path("on"), part.def.model.clone()));
    }

    /// What only all parts together can lack.
    pub fn check_buses(&self, place: &Place<'_>, report: &mut Report) {
        let Some(board) = self.board else { return };
        for (line, Line { first, pulled, siemens }) in &self.lines {
            let Some((path, model)) = first else { continue };
            let sinks_ma = 1e3 * siemens * (self.volts.rail - LOW_V);
            if sinks_ma > SINK_MA {
                let text = format!(
                    "the {line} is pulled up by {:.0} Ω in all: whoever pulls it low has {} mA to sink, but I2C asks for {SINK_MA} mA",
                    1.0 / siemens,
                    tenths(sinks_ma)
                );
                let help = "take the resistors off some of the modules, and say `pull_up: false` of them";
                report.push(Place::new(place.source, path).warning("", text).help(help));
            }
            if *pulled {
                continue;
            }
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
    let (Some(sensor), false) = (part.sensor, part.def.shifted) else { return };
    let analogue = matches!(part.bus, BusDef::Analog);
    let Some(out_v) = sensor.out_v.or_else(|| analogue.then(|| made_v(sensor, board)).flatten()) else {
        return;
    };
    let (pin, whose, most) = match part.into {
        Some((def, converter)) => {
            let fed_v = converter.fed_v(board).filter(|_| !def.own_supply);
            // Of one that is fed by something else only the most that it may be fed with is known.
            let Some(fed_v) = fed_v.or(converter.supply_v.map(|(_, most)| most)) else { return };
            ("an input", &def.id, fed_v + INPUT_ABOVE_V)
        }
        None => {
            let own = board.adc.as_ref().and_then(|a| a.max_v).filter(|_| analogue);
            ("a pin", &board.name, own.unwrap_or(board.max_pin_v()))
        }
    };
    if out_v > most + 1e-9 {
        let out_v = (100.0 * out_v).round() / 100.0;
        let model = &part.def.model;
        let text =
            format!("`{model}` puts {} V on {pin} of `{whose}` that stands {} V", out_v as f32, most as f32);
        let help = "put a divider or a level shifter between them and say `shifted: true`, or use a board whose pins stand it";
        report.push(place.error("on", text).help(help));
    }
}

/// Share of a part's voltages that a converter may miss before a reader is told.
const MOST_UNREAD: f64 = 0.1;

/// A converter's range that ends well within what a part gives.
fn check_span(board: &BoardDef, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
    let analogue = matches!(part.bus, BusDef::Analog) && part.into.is_none() && !part.def.shifted;
    let (Some(sensor), Some(adc), true) = (part.sensor, &board.adc, analogue) else { return };
    let ranged = part.def.range.as_ref().and_then(|name| adc.in_range(name));
    let adc = ranged.as_ref().unwrap_or(adc);
    let Some((channel, law)) = sensor.channels.first().and_then(|c| Some((c, c.analog?))) else { return };
    let ends = [channel.range.0, channel.range.1].map(|end| law.volts(end, board.logic_v));
    let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    // What stands too much has been told of.
    if high <= low || high > adc.max_v.unwrap_or(board.max_pin_v()) + 1e-9 {
        return;
    }
    let read = (high.min(adc.reference_v) - low.max(adc.least_v)).max(0.0);
    if read >= (1.0 - MOST_UNREAD) * (high - low) {
        return;
    }
    let by = part.def.range.as_ref().map_or_else(String::new, |r| format!(" at `{r}`"));
    let text = format!(
        "`{}` gives {low:.2} to {high:.2} V, but `{}` reads {:.2} to {:.2} V{by}: what is beyond shows as the end",
        part.def.model, board.name, adc.least_v, adc.reference_v
    );
    let help = match adc.ranges.is_empty() && part.def.range.is_none() {
        true => "put a divider between them and say `shifted: true`".to_owned(),
        false => {
            let known: Vec<&str> =
                board.adc.iter().flat_map(|a| a.ranges.keys().chain(&a.range)).map(String::as_str).collect();
            format!("choose another `range` ({}), or a divider and `shifted: true`", known.join(", "))
        }
    };
    report.push(place.warning("on", text).help(help));
}

/// The largest voltage that an analogue part makes within its range, [V], fed as its law says. None: its file does not say.
fn made_v(sensor: &SensorDef, board: &BoardDef) -> Option<f64> {
    let channel = sensor.channels.first()?;
    let law = channel.analog?;
    let ends = [channel.range.0, channel.range.1].map(|end| law.volts(end, board.logic_v));
    let highest = ends[0].max(ends[1]);
    // Rounding of a divider at its end is no over-voltage, and what a divider makes ends at what feeds it.
    let bound = match law {
        AnalogDef::Divider { supply_v, .. } => supply_v.unwrap_or(board.logic_v),
        AnalogDef::Linear { .. } => f64::INFINITY,
    };
    Some(highest.min(bound))
}

/// A part whose lines do not stand the board's level: the board's pull-ups and outputs drive them.
fn check_lines(board: &BoardDef, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
    let Some(sensor) = part.sensor.filter(|_| !part.def.shifted) else { return };
    let driven = match part.bus {
        // Its receive pin, which the board's transmit pin drives.
        BusDef::I2c(_) | BusDef::Spi | BusDef::OneWire | BusDef::Uart => true,
        BusDef::Digital(_) => !sensor.driven.is_empty(),
        BusDef::Analog | BusDef::Internal => false,
    };
    // Fed by the board, a part stands what it is fed with; that this suits it is asked where it is fed.
    let by_supply = sensor.supply_v.filter(|_| part.def.own_supply).map(|(_, most)| most);
    let Some(most) = sensor.lines_v.or(by_supply) else { return };
    if !driven || most >= board.logic_v {
        return;
    }
    let text = format!(
        "`{}` stands {} V on its lines, but those of `{}` are at {} V",
        part.def.model, most as f32, board.name, board.logic_v
    );
    let help = "put a level shifter between them, or a module that has one, and say `shifted: true`";
    report.push(place.error("on", text).help(help));
}

/// To a tenth, as a sentence says it.
fn tenths(ma: f64) -> f64 {
    (10.0 * ma).round() / 10.0
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

/// Analogue parts on pins whose converter gives way to Wi-Fi, of a device that speaks over its board's own: the index of each
/// part, what is wrong, and what helps.
pub(in crate::scenario) fn silenced_by_wifi(
    thing: &ThingDef,
    catalog: &Catalog,
) -> Vec<(usize, String, String)> {
    let board = thing.board.as_ref().and_then(|b| catalog.boards.get(b));
    let Some((board, adc)) = board.and_then(|b| Some((b, b.adc.as_ref()?))) else { return Vec::new() };
    let mut found = Vec::new();
    for (i, part) in thing.parts.iter().enumerate() {
        let analogue = catalog.sensors.get(&part.model).is_some_and(|s| matches!(s.bus, BusDef::Analog));
        let WireDef::Pin(pin) = &part.on else { continue };
        if !analogue || !adc.not_with_radio.contains(pin) {
            continue;
        }
        let free: Vec<&str> = board
            .pins
            .iter()
            .filter(|(p, f)| f.contains(&PinFn::Analog) && !adc.not_with_radio.contains(p))
            .map(|(p, _)| p.as_str())
            .collect();
        let text = format!("`{pin}` of `{}` cannot be read while its Wi-Fi is on", board.name);
        found.push((i, text, format!("analogue pins that can: {}", free.join(", "))));
    }
    found
}
