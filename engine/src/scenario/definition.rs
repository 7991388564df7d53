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

mod energy;

use super::{
    check::{Place, check_dynamics, check_firmware, check_id, check_power},
    diagnostic::{Diagnostic, Report, near},
    source::Source,
};
use crate::{
    catalog::{ActuatorDef, BoardDef, BusDef, Catalog, ChannelDef, PinFn, SensorDef, ThingDef, WireDef},
    units,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

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
    check_id(&place, "name", T::WORD, value.name(), &mut report);
    super::check::check_numbers(source, &mut report);
    if source.tree().get("source").and_then(super::tree::Node::text).is_none_or(|s| s.trim().is_empty()) {
        report.push(place.error("source", "a definition must say where its figures come from").help(
            "name the datasheet and page, or say that the figure is measured or estimated, and by whom",
        ));
    }
    value.check(&place, &mut report);
    report.sort();
    report.into_result().map(|_| value)
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

fn check_channel(c: &ChannelDef, place: &Place<'_>, report: &mut Report) {
    check_id(place, "quantity", "quantity", &c.quantity, report);
    if c.range.0 >= c.range.1 {
        report.push(place.error("range", "the range must ascend").help("write (smallest, largest)"));
    }
    for (key, value) in [
        ("lsb", c.lsb),
        ("noise_std", c.noise_std),
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
        place.at_least("tau_s", self.tau_s, 0.0, report);
        place.at_least("active_ma", self.active_ma, 0.0, report);
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

/// A thing against the catalog: its board, its parts and their wiring, firmware and power. `place` is where it stands.
pub fn check_thing(thing: &ThingDef, catalog: &Catalog, place: &Place<'_>, report: &mut Report) {
    let board = thing.board.as_ref().and_then(|name| {
        let board = catalog.boards.get(name);
        if board.is_none() {
            let known = catalog.boards.keys().map(String::as_str);
            let text = format!("there is no board `{name}`");
            report.push(place.error("board", text).maybe_help(near(name, known)));
        }
        board
    });
    let mut wiring = Wiring { thing, board, uses: BTreeMap::new(), addresses: BTreeMap::new() };
    for (i, part) in thing.parts.iter().enumerate() {
        let outer = place;
        let place = outer.inside(&format!("parts[{i}]"));
        check_id(&place, "id", "part", &part.id, report);
        if let Some(first) = thing.parts[..i].iter().position(|p| p.id == part.id) {
            let text = format!("two parts have the id `{}`", part.id);
            let other = outer.span(&format!("parts[{first}].id"));
            let error = place.error("id", text).at(place.source, other, "first here");
            report.push(error.help("give each part an id of its own"));
        }
        let sensor = catalog.sensors.get(&part.model).map(|s| &s.bus);
        let bus = sensor.or_else(|| catalog.actuators.get(&part.model).map(|a| &a.bus));
        let Some(bus) = bus else {
            let known = catalog.sensors.keys().chain(catalog.actuators.keys()).map(String::as_str);
            let text = format!("there is no sensor or actuator `{}`", part.model);
            report.push(place.error("model", text).maybe_help(near(&part.model, known)));
            continue;
        };
        wiring.check(bus, &part.on, sensor.is_some(), &part.model, &place, report);
    }
    if let Some(dynamics) = &thing.dynamics {
        check_dynamics(dynamics, &place.inside("dynamics"), report);
    }
    if let Some(firmware) = &thing.firmware {
        check_firmware(firmware, thing, catalog, &place.inside("firmware"), report);
    }
    if let Some(power) = &thing.power {
        check_power(power, catalog, &place.inside("power"), report);
    }
}

/// Who uses which pin and address of a thing's board.
struct Wiring<'a> {
    thing: &'a ThingDef,
    board: Option<&'a BoardDef>,
    /// Pin → path of the wire that uses it, and whether others may share it.
    uses: BTreeMap<String, (String, bool)>,
    addresses: BTreeMap<u8, String>,
}

impl Wiring<'_> {
    fn check(
        &mut self,
        bus: &BusDef,
        wire: &WireDef,
        is_sensor: bool,
        model: &str,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        if *wire == WireDef::Internal && matches!(bus, BusDef::Internal) {
            return;
        }
        let Some(board) = self.board else {
            if self.thing.board.is_none() {
                let text = format!("`{}` has no board to wire a part to", self.thing.name);
                report.push(place.error("on", text).help("add `board: \"…\"`, see `twinfleet list boards`"));
            }
            return;
        };
        match (bus, wire) {
            (BusDef::I2c(addresses), WireDef::I2c(address)) => {
                self.i2c(board, addresses, *address, model, place, report);
            }
            (BusDef::Spi, WireDef::Spi(select)) => {
                self.shared(board, &[PinFn::Mosi, PinFn::Miso, PinFn::Sck], "SPI", place, report);
                self.pin(board, select, &[PinFn::Digital], false, place, report);
            }
            (BusDef::OneWire, WireDef::Pin(pin)) => {
                self.pin(board, pin, &[PinFn::Digital], true, place, report);
            }
            (BusDef::Analog, WireDef::Pin(pin)) => {
                if board.adc.is_none() {
                    let boards = "an ADC on I2C, or a board with analogue inputs, would do";
                    let text = format!("`{model}` gives a voltage, but `{}` has no ADC", board.name);
                    report.push(place.error("on", text).help(boards));
                } else {
                    self.pin(board, pin, &[PinFn::Analog], false, place, report);
                }
            }
            (BusDef::Digital(1), WireDef::Pin(pin)) => {
                let fit: &[PinFn] =
                    if is_sensor { &[PinFn::Digital, PinFn::Input] } else { &[PinFn::Digital, PinFn::Pwm] };
                self.pin(board, pin, fit, false, place, report);
            }
            (BusDef::Digital(n), WireDef::Pins(pins)) if pins.len() == *n as usize => {
                for pin in pins {
                    self.pin(board, pin, &[PinFn::Digital, PinFn::Input], false, place, report);
                }
            }
            (BusDef::Uart, WireDef::Pins(pins)) if pins.len() == 2 => {
                self.pin(board, &pins[0], &[PinFn::Tx], false, place, report);
                self.pin(board, &pins[1], &[PinFn::Rx], false, place, report);
            }
            _ => {
                let want = match bus {
                    BusDef::I2c(a) => format!("I2c({:#04x})", a.first().copied().unwrap_or(0)),
                    BusDef::Spi => "Spi(\"select pin\")".to_owned(),
                    BusDef::OneWire | BusDef::Analog | BusDef::Digital(1) => "Pin(\"…\")".to_owned(),
                    BusDef::Digital(n) => format!("Pins([…]) with {n} pins"),
                    BusDef::Uart => "Pins([\"its transmit pin\", \"its receive pin\"])".to_owned(),
                    BusDef::Internal => "Internal".to_owned(),
                };
                let text = format!("`{model}` cannot be wired like this");
                report.push(place.error("on", text).help(format!("write `on: {want}`")));
            }
        }
    }

    fn i2c(
        &mut self,
        board: &BoardDef,
        addresses: &[u8],
        address: u8,
        model: &str,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        if !addresses.contains(&address) {
            let known: Vec<String> = addresses.iter().map(|a| format!("{a:#04x}")).collect();
            let text = format!("`{model}` does not answer to {address:#04x}");
            report.push(place.error("on", text).help(format!("its addresses: {}", known.join(", "))));
        }
        self.shared(board, &[PinFn::Sda, PinFn::Scl], "I2C", place, report);
        if let Some(other) = self.addresses.insert(address, place.path("on")) {
            let text = format!("two parts share the address {address:#04x} of one I2C bus");
            let error = place.error("on", text).at(place.source, place.source.span_of(&other), "first here");
            let free: Vec<String> = addresses
                .iter()
                .filter(|a| !self.addresses.contains_key(a))
                .map(|a| format!("{a:#04x}"))
                .collect();
            report.push(if free.is_empty() {
                error.help(format!("`{model}` has no other address that is free: use another board or part"))
            } else {
                error.help(format!("`{model}` also answers to {}", free.join(", ")))
            });
        }
    }

    /// Claims the board's pins of a bus that several parts share.
    fn shared(&mut self, board: &BoardDef, fns: &[PinFn], bus: &str, place: &Place<'_>, report: &mut Report) {
        for f in fns {
            // A board may name several; the bus uses the first that nobody else has.
            let pins: Vec<&String> =
                board.pins.iter().filter(|(_, has)| has.contains(f)).map(|(p, _)| p).collect();
            let Some(first) = pins.first() else {
                let text = format!("`{}` has no {bus} bus", board.name);
                let help = "use a part on other wires, or another board: see `twinfleet list boards`";
                report.push(place.error("on", text).help(help));
                return;
            };
            let free =
                pins.iter().find(|p| self.uses.get(**p).is_none_or(|(_, shared)| *shared)).unwrap_or(first);
            self.claim((*free).clone(), true, Vec::new(), place, report);
        }
    }

    fn pin(
        &mut self,
        board: &BoardDef,
        pin: &str,
        fit: &[PinFn],
        shared: bool,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let Some(has) = board.pins.get(pin) else {
            let text = format!("`{}` has no pin `{pin}`", board.name);
            let known = board
                .pins
                .iter()
                .filter(|(_, has)| fit.iter().any(|f| has.contains(f)))
                .map(|(p, _)| p.as_str());
            let known: Vec<&str> = known.collect();
            let listed = format!("pins that fit: {}", known.join(", "));
            let help = near(pin, known).filter(|h| h.starts_with("did")).unwrap_or(listed);
            report.push(place.error("on", text).help(help));
            return;
        };
        if !fit.iter().any(|f| has.contains(f)) {
            let wanted: Vec<String> = fit.iter().map(|f| format!("{f:?}")).collect();
            let fitting: Vec<&str> = board
                .pins
                .iter()
                .filter(|(_, has)| fit.iter().any(|f| has.contains(f)))
                .map(|(p, _)| p.as_str())
                .collect();
            let text = format!("pin `{pin}` of `{}` is not {}", board.name, wanted.join(" or "));
            report.push(place.error("on", text).help(format!("pins that fit: {}", fitting.join(", "))));
        }
        let others = board.pins.iter().filter(|(_, has)| fit.iter().any(|f| has.contains(f)));
        let others = others.map(|(p, _)| p.clone()).collect();
        self.claim(pin.to_owned(), shared, others, place, report);
    }

    /// Notes who uses a pin, and complains where it is taken; `others` would do as well.
    fn claim(
        &mut self,
        pin: String,
        shared: bool,
        others: Vec<String>,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let path = place.path("on");
        match self.uses.get(&pin) {
            Some((_, true)) if shared => {}
            Some((other, _)) => {
                let text = format!("two parts use pin `{pin}`");
                let error =
                    place.error("on", text).at(place.source, place.source.span_of(other), "first here");
                let free: Vec<String> = others.into_iter().filter(|p| !self.uses.contains_key(p)).collect();
                report.push(error.help(if free.is_empty() {
                    format!("`{pin}` cannot be shared: use another board, or leave a part out")
                } else {
                    format!("pins that are free: {}", free.join(", "))
                }));
            }
            None => {
                self.uses.insert(pin, (path, shared));
            }
        }
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
