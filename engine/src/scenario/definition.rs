//! Catalog files: boards, sensors, actuators and things, read and checked. A thing's wiring is checked here whether it
//! stands in the catalog or in a scenario.
//!
//! ```
//! use twinfleet_engine::{catalog::BoardDef, scenario::{definition, source::Source}};
//! let source = Source::embedded("b.ron", r#"Board(format: 1, name: "b", source: "its datasheet, p. 3",
//!     pins: {"D1": [Digital]}, logic_v: 3.3, current_ma: (active: 80, transmit: 200, sleep: 0.01), brown_out_v: 2.4)"#);
//! let board: BoardDef = definition::read(&source).unwrap();
//! assert_eq!(board.name, "b");
//! ```

mod electric;
mod energy;
mod wiring;

pub(in crate::scenario) use electric::{check_pack_feeds, silenced_by_wifi};
pub(crate) use electric::{fed_by, on_cells};

use super::{
    check::{Place, check_dynamics, check_firmware, check_id, check_power, check_script},
    diagnostic::{Diagnostic, Report, near},
    source::Source,
};
use crate::{
    catalog::{
        ActuatorDef, AdcDef, AnalogDef, BoardDef, BusDef, Catalog, ChannelDef, FedDef, PartDef, PinFn,
        PowerDef, ReachDef, ResistanceDef, SensorDef, ThingDef,
    },
    local, units,
};
use electric::Electric;
use serde::de::DeserializeOwned;
use wiring::{Part, Wiring};

/// A kind of catalog file.
pub trait Definition: DeserializeOwned {
    /// The word before the outer bracket, such as `Board`.
    const WORD: &'static str;
    /// The folder that holds such files, such as `boards`.
    const FOLDER: &'static str;
    /// Its catalog name.
    fn name(&self) -> &str;
    /// What is wrong with its figures; references to other files are [`check_thing`]'s.
    fn check(&self, place: &Place<'_>, report: &mut Report);
}

/// Reads one catalog file: shape and figures.
pub fn read<T: Definition>(source: &Source) -> Result<T, Report> {
    let value: T = source.parse(T::WORD)?;
    let mut report = Report::default();
    let place = Place::new(source, "");
    super::check::check_numbers(source, &mut report);
    let numbers = report.items().len();
    check_id(&place, "name", T::WORD, value.name(), &mut report);
    if source.tree().get("source").and_then(super::tree::Node::text).is_none_or(|s| s.trim().is_empty()) {
        report.push(place.error("source", "a definition must say where its figures come from").help(
            "name the datasheet and page, or say that the figure is measured or estimated, and by whom",
        ));
    }
    value.check(&place, &mut report);
    report.tell_once(numbers);
    report.sort();
    report.into_result().map(|_| value)
}

/// Where a converter's codes begin, bend and end, in each of its ranges.
fn check_converter(adc: &AdcDef, place: &Place<'_>, report: &mut Report) {
    place.within("least_v", adc.least_v, 0.0, adc.reference_v, report);
    if let Some((v, share)) = adc.knee
        && !(adc.least_v < v && v < adc.reference_v && 0.0 < share && share < 1.0)
    {
        let text =
            "a line bends between its ends: above `least_v` and below `reference_v`, at a share of the codes";
        report.push(place.error("knee", text).help("write `knee: (2.462, 0.703)`, say"));
    }
    for (name, range) in &adc.ranges {
        let place = place.inside(&format!("ranges[\"{name}\"]"));
        place.above("reference_v", range.reference_v, 0.0, report);
        place.within("least_v", range.least_v, 0.0, range.reference_v, report);
        place.at_least("reference_spread", range.reference_spread.unwrap_or(0.0), 0.0, report);
    }
}

impl Definition for BoardDef {
    const WORD: &'static str = "Board";
    const FOLDER: &'static str = "boards";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, place: &Place<'_>, report: &mut Report) {
        place.above("logic_v", self.logic_v, 0.0, report);
        place.at_least("brown_out_v", self.brown_out_v, 0.0, report);
        place.at_least("clock_ppm", self.clock_ppm, 0.0, report);
        for (key, ma) in [
            ("active", self.current_ma.active),
            ("transmit", self.current_ma.transmit),
            ("sleep", self.current_ma.sleep),
        ] {
            place.at_least(&format!("current_ma.{key}"), ma, 0.0, report);
        }
        if let Some(adc) = &self.adc {
            place.within("adc.bits", f64::from(adc.bits), 1.0, 32.0, report);
            place.above("adc.reference_v", adc.reference_v, 0.0, report);
            place.at_least("adc.reference_spread", adc.reference_spread, 0.0, report);
            place.at_least("adc.noise_lsb", adc.noise_lsb, 0.0, report);
            place.at_least("adc.inl_lsb", adc.inl_lsb, 0.0, report);
            check_converter(adc, &place.inside("adc"), report);
            for (i, pin) in adc.not_with_radio.iter().enumerate() {
                if !self.pins.get(pin).is_some_and(|f| f.contains(&PinFn::Analog)) {
                    let text = format!("`{pin}` is no analogue pin of this board");
                    let error = place.error(&format!("adc.not_with_radio[{i}]"), text);
                    report.push(error.help("list pins that have `Analog` among their functions"));
                }
            }
        }
        self.check_names(place, report);
        let fed = self.fed.map(FedDef::most_v);
        for (key, value) in [("supply_v", Some(self.supply_v)), ("max_pin_v", self.max_pin_v), ("fed", fed)] {
            place.above(key, value.unwrap_or(1.0), 0.0, report);
        }
        for (key, value) in [
            ("rail_ma", self.rail_ma),
            ("supply_ma", self.supply_ma),
            ("pin_ma", self.pin_ma),
            ("pins_ma", self.pins_ma),
            ("sleep_clock_ppm", self.sleep_clock_ppm),
        ] {
            place.at_least(key, value.unwrap_or(0.0), 0.0, report);
        }
        for (state, ma) in &self.rest_ma {
            place.at_least(&format!("rest_ma[\"{state}\"]"), *ma, 0.0, report);
        }
        if let Some(cpu) = &self.cpu {
            place.above("cpu.clock_mhz", cpu.clock_mhz, 0.0, report);
        }
        if let Some(heat) = &self.thermal {
            let place = place.inside("thermal");
            for (key, value) in [
                ("soc_j_k", heat.soc_j_k),
                ("soc_w_k", heat.soc_w_k),
                ("board_j_k", heat.board_j_k),
                ("board_w_k", heat.board_w_k),
                ("least_mhz", heat.least_mhz),
            ] {
                place.above(key, value, 0.0, report);
            }
            place.at_least("idle_w", heat.idle_w, 0.0, report);
            place.at_least("full_w", heat.full_w, heat.idle_w, report);
            if heat.limit_c.is_some_and(|c| c < heat.hard_c) {
                let error =
                    place.error("limit_c", "it keeps to its slowest clock no earlier than it throttles");
                report.push(error.help("`limit_c` is at least `hard_c`"));
            }
            let falls = heat.steps_mhz.windows(2).all(|w| w[0] > w[1]);
            if !falls || heat.steps_mhz.last().is_some_and(|mhz| *mhz != heat.least_mhz) {
                let error = place.error("steps_mhz", "its clocks fall, step by step, to `least_mhz`");
                report.push(error.help("write them without the full one: `steps_mhz: [1000, 750, 600]`"));
            }
            if self.cpu.is_some_and(|c| c.clock_mhz < heat.least_mhz.max(heat.soft_mhz)) {
                let error = place.error("least_mhz", "a throttled clock is slower than `cpu.clock_mhz`");
                report.push(error.help("`least_mhz` and `soft_mhz` are at most the full clock"));
            }
        }
        let analog = self.pins.iter().find(|(_, f)| f.contains(&PinFn::Analog));
        if let (Some((pin, _)), None) = (analog, &self.adc) {
            let path = format!("pins[\"{pin}\"]");
            let text = format!("pin `{pin}` reads voltages, but the board has no `adc`");
            report.push(
                place.error(&path, text).help("add `adc: (bits: …, reference_v: …)`, or take `Analog` away"),
            );
        }
    }
}

impl BoardDef {
    /// What names a pin, a state or an address that is none of the board's: nothing would come of it.
    fn check_names(&self, place: &Place<'_>, report: &mut Report) {
        let straps = self.straps.keys().map(|pin| ("straps", pin));
        let pins = straps
            .chain(self.no_pull_up.iter().map(|pin| ("no_pull_up", pin)))
            .chain(self.pulled_up.iter().map(|pin| ("pulled_up", pin)))
            .chain(self.ports.iter().flatten().map(|pin| ("ports", pin)))
            .chain(self.wakes_by.iter().map(|pin| ("wakes_by", pin)));
        for (key, pin) in pins.filter(|(_, pin)| !self.pins.contains_key(*pin)) {
            let error = place.error(key, format!("the board has no pin `{pin}`"));
            report.push(error.maybe_help(near(pin, self.pins.keys().map(String::as_str))));
        }
        for pin in self.inner_pins.iter().filter(|pin| self.pins.contains_key(*pin)) {
            let error = place.error("inner_pins", format!("`{pin}` is one of the board's `pins`"));
            report.push(error.help("inner pins lead to no header, so that nothing is wired there"));
        }
        for state in self.associated.iter().filter(|state| !self.rest_ma.contains_key(*state)) {
            let error = place.error("associated", format!("the board has no state `{state}`"));
            let help = "each is one of its `rest_ma`, such as `rest_ma: {\"light_sleep\": 0.8}`";
            report.push(error.help(help));
        }
        for address in self.on_bus.keys().filter(|address| !(0x08..=0x77).contains(*address)) {
            let error = place.error("on_bus", format!("{address:#04x} is no I2C address of a part"));
            let help = "7-bit addresses go from 0x08 to 0x77; some datasheets write them shifted by one bit";
            report.push(error.help(help));
        }
    }
}

impl Definition for SensorDef {
    const WORD: &'static str = "Sensor";
    const FOLDER: &'static str = "sensors";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, place: &Place<'_>, report: &mut Report) {
        check_bus(&self.bus, place, report);
        place.at_least("active_ma", self.active_ma, 0.0, report);
        place.at_least("idle_ma", self.idle_ma, 0.0, report);
        place.at_least("peak_ma", self.peak_ma, 0.0, report);
        self.check_lines(place, report);
        check_supply(self.supply_v, place, report);
        place.above("lines_v", self.lines_v.unwrap_or(1.0), 0.0, report);
        if self.min_interval.0 > 0 && self.min_interval < self.conversion {
            let text = format!(
                "a measurement takes {}, and a new one would come every {}",
                self.conversion, self.min_interval
            );
            let help = "`min_interval` is at least `conversion`: the next one begins when that is done";
            report.push(place.error("min_interval", text).help(help));
        }
        let analogue = self.channels.iter().position(|c| c.analog.is_some());
        if let (Some(i), false) = (analogue, matches!(self.bus, BusDef::Analog) && self.channels.len() == 1) {
            let text = "a part that makes a voltage has `bus: Analog` and one channel";
            let error = place.error(&format!("channels[{i}].analog"), text);
            report.push(error.help("a part of several quantities has a digital bus of its own"));
        }
        if self.channels.is_empty() {
            let error = place.error("channels", "a sensor measures at least one quantity");
            report.push(
                error.help(
                    "write `channels: [(quantity: \"temperature\", unit: \"degC\", range: (-40, 85))]`",
                ),
            );
        }
        for (i, channel) in self.channels.iter().enumerate() {
            let place = place.inside(&format!("channels[{i}]"));
            if self.channels[..i].iter().any(|c| c.quantity == channel.quantity) {
                let text = format!("`{}` is measured by two channels", channel.quantity);
                report.push(
                    place
                        .error("quantity", text)
                        .help("tell them apart: `temperature` and `case_temperature`"),
                );
            }
            check_channel(channel, &place, report);
        }
    }
}

impl SensorDef {
    /// What names a line or an address that is none of the part's: nothing would come of it.
    fn check_lines(&self, place: &Place<'_>, report: &mut Report) {
        let lines = match self.bus {
            BusDef::Digital(lines) => lines as usize,
            _ => 0,
        };
        for (key, named) in [("driven", &self.driven), ("shares", &self.shares)] {
            let Some(line) = named.iter().find(|line| **line >= lines) else { continue };
            let error = place.error(key, format!("the part has no digital line {line}"));
            let help = "lines are those of `bus: Digital(2)`, counted from 0";
            report.push(error.help(help));
        }
        let BusDef::I2c(addresses) = &self.bus else { return };
        if let Some(address) = self.beside.keys().find(|address| !addresses.contains(address)) {
            let error = place.error("beside", format!("the part has no address {address:#04x}"));
            report.push(error.help("name a chip's address by that of the part: `beside: {0x6A: 0x1C}`"));
        }
    }
}

fn check_supply(supply_v: Option<(f64, f64)>, place: &Place<'_>, report: &mut Report) {
    if supply_v.is_some_and(|(low, high)| !(0.0 < low && low <= high)) {
        let error = place.error("supply_v", "supply voltages are above 0 and ascend: (smallest, largest)");
        report.push(error.help("write `supply_v: (1.71, 3.6)`"));
    }
}

fn check_channel(c: &ChannelDef, place: &Place<'_>, report: &mut Report) {
    check_id(place, "quantity", "quantity", &c.quantity, report);
    if c.range.0 >= c.range.1 {
        report.push(place.error("range", "the range must ascend").help("write (smallest, largest)"));
    }
    for (key, value) in [
        ("lsb", c.lsb),
        ("noise_std", c.noise_std),
        ("noise_ratio", c.noise_ratio),
        ("hold", c.hold.as_secs_f64()),
        ("block", c.block.as_secs_f64()),
        ("unsettled", c.unsettled.as_secs_f64()),
        ("bias_std", c.bias_std),
        ("gain_std", c.gain_std),
        ("tau_s", c.tau_s),
        ("wander_std", c.wander_std),
        ("wander_tau_s", c.wander_tau_s),
        ("drift_per_year", c.drift_per_year),
        ("hysteresis", c.hysteresis),
    ] {
        place.at_least(key, value, 0.0, report);
    }
    if c.wander_std > 0.0 && c.wander_tau_s <= 0.0 {
        report.push(
            place.error("wander_std", "a wander needs its correlation time").help("add `wander_tau_s`"),
        );
    }
    if c.lsb > c.range.1 - c.range.0 && c.range.0 < c.range.1 {
        let error = place.error("lsb", "one step of the converter is larger than the whole range");
        report.push(error.help("`lsb` is the smallest step of a reading, in the channel's unit"));
    }
    if c.hysteresis > c.range.1 - c.range.0 && c.range.0 < c.range.1 {
        let text = "the hysteresis is wider than the whole range: the reading would never move";
        let help = "`hysteresis` is the full width of the loop, in the channel's unit";
        report.push(place.error("hysteresis", text).help(help));
    }
    let latches = c.hold.0 > 0 || c.block.0 > 0;
    if latches && (c.range != (0.0, 1.0) || c.hold.0 <= 0) {
        let text = "an output that stays up is 0 or 1, and does so for some time";
        let help =
            "write `range: (0, 1), lsb: 1, hold: \"3s\"`, and `block` for how long it is blind afterwards";
        report.push(place.error(if c.hold.0 > 0 { "hold" } else { "block" }, text).help(help));
    }
    if c.unsettled.0 > 0 && c.hold.0 <= 0 {
        let text = "only an output that stays up for a while rises by itself";
        report.push(place.error("unsettled", text).help("add `hold: \"3s\"`, or leave `unsettled` out"));
    }
    if let Some(ReachDef::Reference(v)) = c.reach {
        place.above("reach", v, 0.0, report);
    }
    if c.reach.is_some() && units::converter_input(&c.quantity).is_none() {
        let error = place.error("reach", "only an input of a converter is bound by its supply");
        report.push(error.help("its inputs are called `voltage_0`, `voltage_1` and so on"));
    }
    if let Some(AnalogDef::Divider { law, series_ohm, .. }) = &c.analog {
        let (ohm, steep) = match law {
            ResistanceDef::Ntc { ohm, b_k } => (*ohm, *b_k),
            ResistanceDef::Power { ohm, at, exponent } => (ohm.min(*at), *exponent),
        };
        if ohm <= 0.0 || *series_ohm <= 0.0 || steep == 0.0 {
            let error = place.error("analog", "resistances are above 0, and B or exponent is not 0");
            report.push(error.help("write `Divider(law: Ntc(ohm: 10000, b_k: 3950), series_ohm: 10000)`"));
        }
    }
    if matches!(c.analog, Some(AnalogDef::Linear { v_per_unit: 0.0, .. })) {
        let error = place.error("analog.v_per_unit", "a voltage that never changes tells nothing");
        report.push(error.help("it is the volts by which one unit of the quantity raises the output"));
    }
    let Some(unit) = units::find(&c.unit) else {
        let known = units::all().map(|u| u.symbol);
        let text = format!("`{}` is no known unit", c.unit);
        report.push(place.error("unit", text).maybe_help(near(&c.unit, known)));
        return;
    };
    match units::of_quantity(&c.quantity) {
        Some(wanted) if wanted.symbol != unit.symbol => {
            let help = if wanted.dimension == unit.dimension {
                format!("write all figures of this channel in `{}`", wanted.symbol)
            } else {
                format!("`{}` is {}; was another quantity meant?", c.unit, unit.dimension.name())
            };
            let text = format!("`{}` is kept in `{}`, not in `{}`", c.quantity, wanted.symbol, c.unit);
            report.push(place.error("unit", text).help(help));
        }
        // The symbol itself, so that no one has to know spellings behind this door.
        _ if unit.symbol != c.unit => {
            let text = format!("the catalog writes `{}` as `{}`", c.unit, unit.symbol);
            report.push(place.error("unit", text).help(format!("write unit: \"{}\"", unit.symbol)));
        }
        _ => {}
    }
}

fn check_bus(bus: &BusDef, place: &Place<'_>, report: &mut Report) {
    match bus {
        BusDef::I2c(addresses) => {
            if addresses.is_empty() {
                let error = place.error("bus", "an I2C part answers to at least one address");
                report.push(error.help("write `bus: I2c([0x76])`"));
            }
            // 7-bit addresses 0x00–0x07 and 0x78–0x7F are reserved (UM10204 rev. 7.0, table 4).
            if let Some(a) = (1..addresses.len()).find(|i| addresses[..*i].contains(&addresses[*i])) {
                let text = format!("the address {:#04x} is written twice", addresses[a]);
                report.push(place.error("bus", text).help("each address that it can be set to stands once"));
            }
            if let Some(a) = addresses.iter().find(|a| !(0x08..=0x77).contains(*a)) {
                report.push(place.error("bus", format!("{a:#04x} is no I2C address of a part")).help(
                    "7-bit addresses go from 0x08 to 0x77; some datasheets write them shifted by one bit",
                ));
            }
        }
        BusDef::Digital(0) => {
            let error = place.error("bus", "a digital part needs at least one pin");
            report.push(error.help("write `bus: Digital(1)`"));
        }
        _ => {}
    }
}

impl Definition for ActuatorDef {
    const WORD: &'static str = "Actuator";
    const FOLDER: &'static str = "actuators";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, place: &Place<'_>, report: &mut Report) {
        check_bus(&self.bus, place, report);
        check_supply(self.supply_v, place, report);
        place.at_least("tau_s", self.tau_s, 0.0, report);
        place.at_least("travel_s", self.travel_s, 0.0, report);
        place.at_least("active_ma", self.active_ma, 0.0, report);
        place.at_least("idle_ma", self.idle_ma, 0.0, report);
        place.at_least("moving_ma", self.moving_ma, 0.0, report);
        place.at_least("pin_ma", self.pin_ma, 0.0, report);
        place.at_least("stall_ma", self.stall_ma, 0.0, report);
        place.within("high_share", self.high_share.unwrap_or(0.5), 0.0, 1.0, report);
        if self.moving_ma > 0.0 && self.travel_s <= 0.0 {
            let text = "only what moves at one speed is ever on its way: `moving_ma` needs `travel_s`";
            report.push(
                place.error("moving_ma", text).help("write `active_ma` for what it takes at full level"),
            );
        }
        if self.travel_s > 0.0 && self.tau_s > 0.0 {
            let text = "it follows either as a lag (`tau_s`) or at one speed (`travel_s`)";
            report.push(place.error("travel_s", text).help("leave one of the two out"));
        }
        for quantity in self.gives.keys() {
            if units::of_quantity(quantity).is_none() {
                let path = format!("gives[\"{quantity}\"]");
                let error =
                    place.error(&path, format!("`{quantity}` is no quantity that a part could measure"));
                report.push(error.help("such as `flow`, `rotation`, `angle`, `current`"));
            }
        }
    }
}

impl Definition for ThingDef {
    const WORD: &'static str = "Thing";
    const FOLDER: &'static str = "things";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, _: &Place<'_>, _: &mut Report) {}
}

/// Signals that are followed as they come: named as signals are, each once, in units that the engine keeps.
fn check_signals(thing: &ThingDef, place: &Place<'_>, report: &mut Report) {
    if let (Some(_), false) = (&thing.dynamics, thing.signals.is_empty()) {
        let error = place.error("signals", "a thing is followed by its dynamics or by its bare signals");
        report.push(error.help("take one of the two away"));
    }
    for (i, s) in thing.signals.iter().enumerate() {
        let place = place.inside(&format!("signals[{i}]"));
        place.at_least("quantum", s.quantum, 0.0, report);
        place.at_least("noise_std", s.noise_std, 0.0, report);
        if thing.signals[..i].iter().any(|o| o.signal == s.signal) {
            let error = place.error("signal", format!("`{}` is followed twice", s.signal));
            report.push(error.help("take one of the two away"));
        }
        let Some((part, quantity)) = s.signal.split_once('.') else {
            let error = place.error("signal", format!("`{}` names no part and quantity", s.signal));
            report.push(error.help("write `part.quantity`, such as \"plug.power\""));
            continue;
        };
        check_id(&place, "signal", "part", part, report);
        check_id(&place, "signal", "quantity", quantity, report);
        let unit = units::find(&s.unit);
        let own = units::of_quantity(quantity);
        let help = match (unit, own) {
            (None, _) => {
                near(&s.unit, units::all().map(|u| u.symbol)).or_else(|| Some("write `none`".into()))
            }
            (Some(unit), Some(own)) if unit != own => Some(format!("write unit: \"{}\"", own.symbol)),
            (Some(unit), None) if unit.symbol != s.unit => Some(format!("write unit: \"{}\"", unit.symbol)),
            _ => continue,
        };
        let text = match unit {
            None => format!("`{}` is no known unit", s.unit),
            Some(_) => format!("`{quantity}` is not kept in `{}`", s.unit),
        };
        report.push(place.error("unit", text).maybe_help(help));
    }
}

/// A thing against the catalog: its board, its parts and their wiring, firmware and power. `place` is where it stands.
pub fn check_thing(thing: &ThingDef, catalog: &Catalog, place: &Place<'_>, report: &mut Report) {
    check_signals(thing, place, report);
    let board = thing.board.as_ref().and_then(|name| {
        let board = catalog.boards.get(name);
        if board.is_none() {
            let known = catalog.boards.keys().map(String::as_str);
            let text = format!("there is no board `{name}`");
            report.push(place.error("board", text).maybe_help(near(name, known)));
        }
        board
    });
    let mut wiring = Wiring::new(thing, board, catalog);
    let mut electric = Electric::new(board, thing.power.as_ref(), catalog);
    for (i, def) in thing.parts.iter().enumerate() {
        let outer = place;
        let place = outer.inside(&format!("parts[{i}]"));
        check_id(&place, "id", "part", &def.id, report);
        if let Some(first) = thing.parts[..i].iter().position(|p| p.id == def.id) {
            let text = format!("two parts have the id `{}`", def.id);
            let other = outer.span(&format!("parts[{first}].id"));
            let error = place.error("id", text).at(place.source, other, "first here");
            report.push(error.help("give each part an id of its own"));
        }
        let Some(part) = Part::find(def, thing, catalog) else {
            let known = catalog.sensors.keys().chain(catalog.actuators.keys()).map(String::as_str);
            let text = format!("there is no sensor or actuator `{}`", def.model);
            report.push(place.error("model", text).maybe_help(near(&def.model, known)));
            continue;
        };
        wiring.check(&part, &place, report);
        electric.check(&part, &place, report);
        check_of(thing, &part, catalog, &place, report);
    }
    electric.check_buses(place, report);
    if let Some(dynamics) = &thing.dynamics {
        check_dynamics(dynamics, &place.inside("dynamics"), report);
    }
    if let Some(firmware) = &thing.firmware {
        check_firmware(firmware, thing, catalog, &place.inside("firmware"), report);
    }
    if let Some(script) = &thing.script {
        check_script(script, thing, thing.firmware.is_some(), place, report);
    }
    if let Some(power) = &thing.power {
        check_power(power, catalog, &place.inside("power"), report);
        if let Some(board) = board {
            check_pack_feeds(board, thing, power, None, catalog, place, report);
        }
    }
}

/// The parts of a thing on another supply than its own: volts and milliamperes alone.
pub(in crate::scenario) fn check_feeds(
    thing: &ThingDef,
    power: &PowerDef,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    let Some(board) = thing.board.as_ref().and_then(|b| catalog.boards.get(b)) else { return };
    let (mut own, mut other) = (Report::default(), Report::default());
    for (power, found) in [(thing.power.as_ref(), &mut own), (Some(power), &mut other)] {
        let mut electric = Electric::new(Some(board), power, catalog);
        for def in &thing.parts {
            if let Some(part) = Part::find(def, thing, catalog) {
                electric.check(&part, place, found);
            }
        }
    }
    // What is wrong with either has been told at the thing.
    let told: Vec<&str> = own.items().iter().map(|d| d.message()).collect();
    for wrong in other.items().iter().filter(|d| !told.contains(&d.message())) {
        report.push(wrong.clone());
    }
}

/// The actuator that a part says it measures.
fn check_of(thing: &ThingDef, part: &Part<'_>, catalog: &Catalog, place: &Place<'_>, report: &mut Report) {
    let Some(of) = &part.def.of else { return };
    let actuators = || {
        let each = |p: &'_ PartDef| Some((p.id.clone(), catalog.actuators.get(&p.model)?));
        thing.parts.iter().filter_map(each)
    };
    let Some((_, actuator)) = actuators().find(|(id, _)| id == of) else {
        let ids: Vec<String> = actuators().map(|(id, _)| id).collect();
        let error = unknown("actuator", of, ids.iter().map(String::as_str));
        report.push(error.at(place.source, place.span("of"), ""));
        return;
    };
    let channels = part.sensor.map_or(&[][..], |s| &s.channels);
    if !channels.iter().any(|c| local::given(actuator, &c.quantity).is_some()) {
        let measures: Vec<&str> = channels.iter().map(|c| c.quantity.as_str()).collect();
        let text =
            format!("`{}` measures {}, of which `{of}` gives nothing", part.def.model, measures.join(", "));
        let gives: Vec<&str> = actuator.gives.keys().map(String::as_str).collect();
        let help = if gives.is_empty() {
            format!("its file `{}` has no `gives`", actuator.name)
        } else {
            format!("it gives {}", gives.join(", "))
        };
        report.push(place.error("of", text).help(help));
    }
}

/// Every part's signals of a thing, `part.quantity`, with their unit, in the order of the plan's blocks.
pub fn sensor_signals(thing: &ThingDef, catalog: &Catalog) -> Vec<(String, String)> {
    let mut signals = Vec::new();
    for part in &thing.parts {
        for channel in catalog.sensors.get(&part.model).map_or(&[][..], |s| &s.channels) {
            signals.push((format!("{}.{}", part.id, channel.quantity), channel.unit.clone()));
        }
    }
    signals
}

/// An error that a name is not known, with near names.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    Diagnostic::error(format!("there is no {what} `{name}`")).maybe_help(near(name, known))
}
