//! Who is wired to what: pins and what they can do, buses and addresses.

use crate::{
    catalog::{
        ActuatorDef, BoardDef, BusDef, Catalog, EffectDef, Level, PartDef, PinFn, SensorDef, ThingDef,
        WireDef,
    },
    scenario::{
        check::Place,
        definition::unknown,
        diagnostic::{Report, near},
    },
    units,
};
use std::collections::{BTreeMap, BTreeSet};

/// What parts of one model share a line for.
const SHARED_LINE: &str = "line of parts that share it";

/// Who uses which pin and address of a thing's board.
pub(super) struct Wiring<'a> {
    thing: &'a ThingDef,
    board: Option<&'a BoardDef>,
    catalog: &'a Catalog,
    /// Pin → path of the wire that uses it, and the kind of bus that others may share it for.
    uses: BTreeMap<String, (String, Option<String>)>,
    /// Pin → what a bus uses it for: another pin that can be that would do as well.
    moves: BTreeMap<String, PinFn>,
    /// Address on a bus, which is the board's own where it has no name → path of the wire that has it.
    addresses: BTreeMap<(Option<String>, u8), String>,
    /// Serial port, by its place among the board's → path of the wire that has it.
    ports: BTreeMap<usize, String>,
}

/// A part of a thing, and what the catalog says of its model.
pub(super) struct Part<'a> {
    pub def: &'a PartDef,
    pub sensor: Option<&'a SensorDef>,
    pub actuator: Option<&'a ActuatorDef>,
    pub bus: &'a BusDef,
    /// The converter among the thing's parts that it is wired to.
    pub into: Option<(&'a PartDef, &'a SensorDef)>,
}

impl<'a> Part<'a> {
    /// The part of a thing with its model; none where there is no such model.
    pub fn find(def: &'a PartDef, thing: &'a ThingDef, catalog: &'a Catalog) -> Option<Self> {
        let sensor = catalog.sensors.get(&def.model);
        let actuator = if sensor.is_none() { catalog.actuators.get(&def.model) } else { None };
        let bus = sensor.map(|s| &s.bus).or_else(|| actuator.map(|a| &a.bus))?;
        let into = def.on.converter().and_then(|(id, _)| thing.converter(id, catalog));
        Some(Self { def, sensor, actuator, bus, into })
    }
}

impl<'a> Wiring<'a> {
    pub fn new(thing: &'a ThingDef, board: Option<&'a BoardDef>, catalog: &'a Catalog) -> Self {
        Self {
            thing,
            board,
            catalog,
            uses: BTreeMap::new(),
            moves: BTreeMap::new(),
            addresses: BTreeMap::new(),
            ports: BTreeMap::new(),
        }
    }

    pub fn check(&mut self, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
        let (bus, wire, model) = (part.bus, &part.def.on, &part.def.model);
        if part.def.bus.is_some() && !matches!(bus, BusDef::I2c(_)) {
            let text = format!("`{model}` is not on I2C");
            report.push(place.error("bus", text).help("leave `bus` out: it names the pins of an I2C bus"));
        }
        if *wire == WireDef::Internal && matches!(bus, BusDef::Internal) {
            let of = part.sensor.map_or(&[][..], |s| &s.part_of);
            if let Some(board) = self.board.filter(|b| !of.is_empty() && !of.contains(&b.name)) {
                let text = format!("`{model}` is no part of `{}`", board.name);
                report
                    .push(place.error("model", text).help(format!("boards that have it: {}", of.join(", "))));
            }
            return;
        }
        let Some(board) = self.board else {
            if self.thing.board.is_none() {
                let text = format!("`{}` has no board to wire a part to", self.thing.name);
                report.push(place.error("on", text).help("add `board: \"…\"`, see `twinfleet list boards`"));
            }
            return;
        };
        check_range(board, part, place, report);
        check_cold(part, place, report);
        check_straps(board, part, place, report);
        match &part.def.shutdown {
            Some(pin) if part.sensor.is_some_and(|s| s.shutdown) => {
                self.pin(board, pin, &[PinFn::Digital], None, place, report);
            }
            Some(_) => {
                let text = format!("`{model}` has no line that shuts it down");
                report.push(place.error("shutdown", text).help("leave `shutdown` out"));
            }
            None => {}
        }
        match (bus, wire) {
            (BusDef::I2c(addresses), WireDef::I2c(address)) => {
                self.i2c(board, part, (addresses, *address), place, report);
            }
            (BusDef::Spi, WireDef::Spi(select)) => {
                self.shared(board, &[PinFn::Mosi, PinFn::Miso, PinFn::Sck], "SPI", place, report);
                self.pin(board, select, &[PinFn::Digital], None, place, report);
            }
            (BusDef::OneWire, WireDef::Pin(pin)) => {
                self.pin(board, pin, &[PinFn::Digital], Some("1-Wire"), place, report);
            }
            (BusDef::Analog, WireDef::Pin(pin)) if pin.contains('.') => {
                self.converter(board, wire, pin, place, report)
            }
            (BusDef::Analog, WireDef::Pin(pin)) => {
                if board.adc.is_none() {
                    let boards = "a board with analogue inputs (`twinfleet list boards`), a converter beside it (`ads1115`, `mcp3008`: see `Pin(\"adc.0\")`), or a part with a digital bus, would do";
                    let text = format!("`{model}` gives a voltage, but `{}` has no ADC", board.name);
                    report.push(place.error("on", text).help(boards));
                } else {
                    self.pin(board, pin, &[PinFn::Analog], None, place, report);
                    if board.pulls_up(pin) {
                        let text = format!(
                            "a resistor on `{}` pulls `{pin}` up, which adds to what `{model}` gives",
                            board.name
                        );
                        let free = board
                            .pins
                            .iter()
                            .filter(|(p, has)| has.contains(&PinFn::Analog) && !board.pulls_up(p));
                        let free: Vec<&str> = free.map(|(p, _)| p.as_str()).collect();
                        report.push(
                            place.warning("on", text).help(format!("pins without one: {}", free.join(", "))),
                        );
                    }
                }
            }
            (BusDef::Digital(1), WireDef::Pin(pin)) => {
                self.pin(board, pin, digital(part, 0), None, place, report);
                check_dimmed(board, part, pin, place, report);
            }
            (BusDef::Digital(n), WireDef::Pins(pins)) if pins.len() == *n as usize => {
                for (i, pin) in pins.iter().enumerate() {
                    let shared = part.sensor.is_some_and(|s| s.shares.contains(&i)).then_some(SHARED_LINE);
                    self.pin(board, pin, digital(part, i), shared, place, report);
                }
            }
            (BusDef::Uart, WireDef::Pins(pins)) if pins.len() == 2 => {
                self.pin(board, &pins[0], &[PinFn::Tx], None, place, report);
                self.pin(board, &pins[1], &[PinFn::Rx], None, place, report);
                self.port(board, (&pins[0], &pins[1]), place, report);
            }
            _ => {
                let want = match bus {
                    BusDef::I2c(a) => format!("I2c({:#04x})", a.first().copied().unwrap_or(0)),
                    BusDef::Spi => "Spi(\"select pin\")".to_owned(),
                    BusDef::OneWire | BusDef::Analog | BusDef::Digital(1) => "Pin(\"…\")".to_owned(),
                    BusDef::Digital(n) => format!("Pins([…]) with {n} pins"),
                    BusDef::Uart => {
                        "Pins([\"the board's transmit pin\", \"the board's receive pin\"])".to_owned()
                    }
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
        part: &Part<'_>,
        (addresses, address): (&[u8], u8),
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let (sensor, model) = (part.sensor, part.def.model.as_str());
        let on = part.def.bus_on(board);
        let renamed = sensor.is_some_and(|s| s.renamed) && (0x08..=0x77).contains(&address);
        if !addresses.contains(&address) && !renamed {
            let known: Vec<String> = addresses.iter().map(|a| format!("{a:#04x}")).collect();
            let text = format!("`{model}` does not answer to {address:#04x}");
            report.push(place.error("on", text).help(format!("its addresses: {}", known.join(", "))));
        }
        match on {
            None => self.shared(board, &[PinFn::Sda, PinFn::Scl], "I2C", place, report),
            Some((sda, scl)) => self.bus(board, (sda, scl), place, report),
        }
        if let Some(chip) = board.on_bus.get(&address).filter(|_| on.is_none()) {
            let text = format!("{chip} on `{}` itself answers to {address:#04x} of its I2C bus", board.name);
            let help = match self.free(board, on, addresses, sensor) {
                Some(free) => format!("`{model}` also answers to {free}"),
                None => format!("`{model}` has no other address that is free: use another board or part"),
            };
            report.push(place.error("on", text).help(help));
        }
        if let Some(beside) = sensor.and_then(|s| s.beside.get(&address))
            && let Some(other) = self.addresses.insert((named(on), *beside), place.path("on"))
        {
            let text =
                format!("a chip beside it in `{model}` answers to {beside:#04x}, as another part does");
            let error = place.error("on", text).at(place.source, place.source.span_of(&other), "this one");
            report.push(error.help("give either of them another address"));
        }
        // In reset it answers to none, and out of it to whatever its software gives it.
        if part.def.shutdown.is_some() {
            return;
        }
        if let Some(other) = self.addresses.insert((named(on), address), place.path("on")) {
            let text = format!("two parts share the address {address:#04x} of one I2C bus");
            let error = place.error("on", text).at(place.source, place.source.span_of(&other), "first here");
            report.push(error.help(self.another(board, part, (addresses, address))));
        }
    }

    /// Claims the pins of an I2C bus that the file names.
    fn bus(&mut self, board: &BoardDef, (sda, scl): (&str, &str), place: &Place<'_>, report: &mut Report) {
        if sda == scl {
            let error = place.error("bus", format!("`{sda}` cannot be both lines of a bus"));
            report.push(error.help("write `bus: (\"data pin\", \"clock pin\")`"));
            return;
        }
        for (pin, f) in [(sda, PinFn::Sda), (scl, PinFn::Scl)] {
            // Each line a name of its own: nobody's data is another's clock.
            let line = format!("{f:?} of I2C on {sda} and {scl}");
            self.pin(board, pin, &[f], Some(&line), place, report);
        }
    }

    /// Which address helps where two parts have this one: of the second, or of the first.
    fn another(&self, board: &BoardDef, part: &Part<'_>, (addresses, address): (&[u8], u8)) -> String {
        let (sensor, model, on) = (part.sensor, &part.def.model, part.def.bus_on(board));
        let taken = self.taken(board, on);
        let mut any = (address..=0x77).chain(0x08..address);
        if sensor.is_some_and(|s| s.renamed)
            && let Some(free) = any.find(|a| !taken.contains(a))
        {
            let others = if sensor.is_some_and(|s| s.shutdown) {
                ", or `shutdown: \"pin\"` of all but one, for a script to do it"
            } else {
                ""
            };
            return format!(
                "its software can give one of them another address: write `on: I2c({free:#04x})`{others}"
            );
        }
        if let Some(free) = self.free(board, on, addresses, sensor) {
            return format!("`{model}` also answers to {free}");
        }
        let here = |p: &&PartDef| p.on == WireDef::I2c(address) && p.bus_on(board) == on;
        let first = self.thing.parts.iter().find(here);
        let first = first.and_then(|p| Part::find(p, self.thing, self.catalog));
        let of_first = first.and_then(|p| match p.bus {
            BusDef::I2c(addresses) => Some((&p.def.id, self.free(board, on, addresses, p.sensor)?)),
            _ => None,
        });
        match of_first {
            Some((id, free)) => {
                format!("`{model}` has no other address that is free, but `{id}` also answers to {free}")
            }
            None if board.anywhere.contains(&PinFn::Sda) => format!(
                "`{model}` has no other address that is free: put it on a bus of its own, `bus: (\"data pin\", \"clock pin\")`"
            ),
            None => format!("`{model}` has no other address that is free: use another board or part"),
        }
    }

    /// Those of a model's addresses that nothing on the bus has; none where there is none.
    fn free(
        &self,
        board: &BoardDef,
        on: Option<(&str, &str)>,
        addresses: &[u8],
        sensor: Option<&SensorDef>,
    ) -> Option<String> {
        let taken = self.taken(board, on);
        let beside = |a: &u8| sensor.and_then(|s| s.beside.get(a)).is_some_and(|b| taken.contains(b));
        let free = addresses.iter().filter(|a| !taken.contains(a) && !beside(a));
        let free: Vec<String> = free.map(|a| format!("{a:#04x}")).collect();
        (!free.is_empty()).then(|| free.join(", "))
    }

    /// Every address on a bus: of the thing's parts, of the chips beside them, of the board itself.
    fn taken(&self, board: &BoardDef, on: Option<(&str, &str)>) -> BTreeSet<u8> {
        let of = |p: &PartDef| match p.on {
            WireDef::I2c(address) => {
                let sensor = self.catalog.sensors.get(&p.model);
                [Some(address), sensor.and_then(|s| s.beside.get(&address)).copied()]
            }
            _ => [None; 2],
        };
        let here = self.thing.parts.iter().filter(|p| p.bus_on(board) == on);
        let boards = board.on_bus.keys().copied().filter(|_| on.is_none());
        here.flat_map(of).flatten().chain(boards).collect()
    }

    /// An input of a converter that is another part of the thing.
    fn converter(
        &mut self,
        board: &BoardDef,
        wire: &WireDef,
        pin: &str,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let is = |part: &&PartDef| wire.converter().is_some_and(|(id, _)| id == part.id);
        let sensor = self.thing.parts.iter().find(is).and_then(|p| self.catalog.sensors.get(&p.model));
        let inputs = sensor.map_or(0, |s| {
            s.channels.iter().filter(|c| units::converter_input(&c.quantity).is_some()).count()
        });
        match wire.converter() {
            Some((id, input)) if usize::from(input) < inputs => {
                let others = (0..inputs).map(|i| format!("{id}.{i}")).collect();
                self.claim(board, pin.to_owned(), None, others, place, report);
            }
            Some((id, _)) if inputs > 0 => {
                let text = format!("`{id}` has no such input: its inputs are 0 to {}", inputs - 1);
                report.push(place.error("on", text).help(format!("write `on: Pin(\"{id}.0\")`")));
            }
            _ => {
                let text = format!("`{pin}` is neither a pin nor an input of a converter of this thing");
                let help = "a converter is a part such as `(id: \"adc\", model: \"ads1115\", on: I2c(0x48))`, its inputs are `adc.0` and so on";
                report.push(place.error("on", text).help(help));
            }
        }
    }

    /// Claims the serial port within the board's chip that a part's two pins are of.
    fn port(&mut self, board: &BoardDef, (tx, rx): (&str, &str), place: &Place<'_>, report: &mut Report) {
        let of = |pin: &str| board.ports.iter().position(|port| port.iter().any(|p| p == pin));
        let (Some(sends), Some(hears)) = (of(tx), of(rx)) else { return };
        if sends != hears {
            let text = format!("`{tx}` and `{rx}` of `{}` are not of one serial port", board.name);
            let hears = |p: &&String| board.pins.get(*p).is_some_and(|has| has.contains(&PinFn::Rx));
            let fitting: Vec<&str> = board.ports[sends].iter().filter(hears).map(String::as_str).collect();
            let help = format!("receive pins that go with `{tx}`: {}", fitting.join(", "));
            report.push(place.error("on", text).help(help));
            return;
        }
        let Some(first) = self.ports.insert(sends, place.path("on")) else { return };
        let text = format!("two parts are on one serial port of `{}`", board.name);
        let error = place.error("on", text).at(place.source, place.source.span_of(&first), "first here");
        let free = board.ports.iter().enumerate().filter(|(k, _)| !self.ports.contains_key(k));
        let free: Vec<&str> = free.flat_map(|(_, pins)| pins.iter().map(String::as_str)).collect();
        report.push(error.help(if free.is_empty() {
            "all of its serial ports are taken: use another board, or leave a part out".to_owned()
        } else {
            format!("pins of a port that is free: {}", free.join(", "))
        }));
    }

    /// Claims the board's pins of a bus that several parts share.
    fn shared(&mut self, board: &BoardDef, fns: &[PinFn], bus: &str, place: &Place<'_>, report: &mut Report) {
        for f in fns {
            // A board may name several; the bus uses the first that nobody else has.
            let listed = board.pins.iter().filter(|(_, has)| has.contains(f));
            let others = board.pins.iter().filter(|(_, has)| !has.contains(f) && board.can(has, *f));
            let pins: Vec<&String> = listed.chain(others).map(|(p, _)| p).collect();
            let Some(first) = pins.first() else {
                let text = format!("`{}` has no {bus} bus", board.name);
                let help = "use a part on other wires, or another board: see `twinfleet list boards`";
                report.push(place.error("on", text).help(help));
                return;
            };
            let fits = |p: &&&String| self.uses.get(**p).is_none_or(|(_, of)| of.as_deref() == Some(bus));
            // Where it is already, else the first that is free.
            let here = |p: &&&String| self.moves.get(**p) == Some(f);
            let free = pins.iter().find(here).or_else(|| pins.iter().find(fits)).unwrap_or(first);
            let pin = (*free).clone();
            self.moves.insert(pin.clone(), *f);
            self.claim(board, pin, Some(bus), Vec::new(), place, report);
        }
    }

    fn pin(
        &mut self,
        board: &BoardDef,
        pin: &str,
        fit: &[PinFn],
        shared: Option<&str>,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let Some(has) = board.pins.get(pin) else {
            let inner = board.inner_pins.iter().any(|p| p == pin);
            let text = if inner {
                format!("pin `{pin}` of `{}` leads to no header", board.name)
            } else {
                format!("`{}` has no pin `{pin}`", board.name)
            };
            let known = board
                .pins
                .iter()
                .filter(|(_, has)| fit.iter().any(|f| board.can(has, *f)))
                .map(|(p, _)| p.as_str());
            let known: Vec<&str> = known.collect();
            let listed = format!("pins that fit: {}", known.join(", "));
            let near = near(pin, known).filter(|h| !inner && h.starts_with("did"));
            let help = near.unwrap_or(listed);
            report.push(place.error("on", text).help(help));
            return;
        };
        if !fit.iter().any(|f| board.can(has, *f)) {
            let wanted: Vec<String> = fit.iter().map(|f| format!("{f:?}")).collect();
            let fitting: Vec<&str> = board
                .pins
                .iter()
                .filter(|(_, has)| fit.iter().any(|f| board.can(has, *f)))
                .map(|(p, _)| p.as_str())
                .collect();
            let text = format!("pin `{pin}` of `{}` is not {}", board.name, wanted.join(" or "));
            report.push(place.error("on", text).help(format!("pins that fit: {}", fitting.join(", "))));
        }
        let others = board.pins.iter().filter(|(_, has)| fit.iter().any(|f| board.can(has, *f)));
        let others = others.map(|(p, _)| p.clone()).collect();
        self.claim(board, pin.to_owned(), shared, others, place, report);
    }

    /// Leads a bus away from a pin that a part is wired to, where it can be on another. Whether it could.
    fn moves_away(&mut self, board: &BoardDef, pin: &str) -> bool {
        let Some(f) = self.moves.get(pin).copied() else { return false };
        let free = |p: &&String| !self.uses.contains_key(*p) && !board.straps.contains_key(*p);
        let listed = board.pins.iter().filter(|(_, has)| has.contains(&f)).map(|(p, _)| p);
        let others =
            board.pins.iter().filter(|(_, has)| !has.contains(&f) && board.can(has, f)).map(|(p, _)| p);
        let Some(to) = listed.chain(others).find(free).cloned() else { return false };
        self.moves.remove(pin);
        self.moves.insert(to.clone(), f);
        if let Some(held) = self.uses.remove(pin) {
            self.uses.insert(to, held);
        }
        true
    }

    /// Notes who uses a pin, and complains where it is taken; `others` would do as well.
    fn claim(
        &mut self,
        board: &BoardDef,
        pin: String,
        shared: Option<&str>,
        others: Vec<String>,
        place: &Place<'_>,
        report: &mut Report,
    ) {
        let path = place.path("on");
        let of_bus = self.uses.get(&pin).and_then(|(_, of)| of.clone());
        if of_bus.is_some() && of_bus.as_deref() != shared && self.moves_away(board, &pin) {
            self.uses.insert(pin, (path, shared.map(str::to_owned)));
            return;
        }
        match self.uses.get(&pin) {
            // Parts share the lines of a bus that all of them speak.
            Some((_, Some(of))) if shared == Some(of.as_str()) => {}
            Some((other, _)) => {
                let error = if *other == path {
                    place.error("on", format!("two lines of this part use pin `{pin}`"))
                } else {
                    let first = place.source.span_of(other);
                    let text = format!("two parts use pin `{pin}`");
                    place.error("on", text).at(place.source, first, "first here")
                };
                let free: Vec<String> = others.into_iter().filter(|p| !self.uses.contains_key(p)).collect();
                report.push(error.help(if free.is_empty() {
                    format!("`{pin}` cannot be shared: use another board, or leave a part out")
                } else {
                    format!("pins that are free: {}", free.join(", "))
                }));
            }
            None => {
                self.uses.insert(pin, (path, shared.map(str::to_owned)));
            }
        }
    }
}

/// A bus by its pins; none: the board's own.
fn named(on: Option<(&str, &str)>) -> Option<String> {
    on.map(|(sda, scl)| format!("{sda}/{scl}"))
}

/// What a pin has to be for a part's i-th digital line: an output where the board drives it.
fn digital(part: &Part<'_>, i: usize) -> &'static [PinFn] {
    match part.sensor {
        Some(sensor) if sensor.driven.contains(&i) => &[PinFn::Digital],
        Some(_) => &[PinFn::Digital, PinFn::Input],
        None => &[PinFn::Digital, PinFn::Pwm],
    }
}

/// Something that can be dimmed, on a pin that is either on or off.
fn check_dimmed(board: &BoardDef, part: &Part<'_>, pin: &str, place: &Place<'_>, report: &mut Report) {
    let dims = |a: &ActuatorDef| {
        let dimmable = matches!(a.effect, EffectDef::LightLx(_) | EffectDef::AirChangesPerH(_));
        dimmable && !a.data && a.steps == 0 && a.travel_s == 0.0
    };
    let pwm = |p: &str| board.pins.get(p).is_none_or(|has| board.can(has, PinFn::Pwm));
    if !part.actuator.is_some_and(dims) || pwm(pin) {
        return;
    }
    let text = format!(
        "`{pin}` of `{}` has no PWM: `{}` can be on or off there, nothing between",
        board.name, part.def.model
    );
    let fitting: Vec<&str> = board.pins.keys().map(String::as_str).filter(|p| pwm(p)).collect();
    report.push(place.warning("on", text).help(format!("pins that can dim: {}", fitting.join(", "))));
}

/// What an actuator's input takes from a pin at least to pull it down: the base of a transistor, a lamp. [mA]
const PULLS_DOWN_MA: f64 = 0.5;

/// The levels that a part holds pins at while its board starts, before the board drives any of them.
fn held<'a>(part: &'a Part<'_>) -> Vec<(&'a str, Level)> {
    match (part.bus, &part.def.on, part.sensor, part.actuator) {
        (BusDef::OneWire, WireDef::Pin(pin), ..) => vec![(pin.as_str(), Level::High)],
        (BusDef::Digital(_), WireDef::Pin(pin), Some(sensor), _) => {
            let pulled = sensor.pull_up.map(|_| Level::High);
            sensor.at_start.or(pulled).into_iter().map(|level| (pin.as_str(), level)).collect()
        }
        (BusDef::Digital(_), WireDef::Pins(pins), Some(sensor), _) => {
            let read = pins.iter().enumerate().filter(|(i, _)| !sensor.driven.contains(i));
            sensor.at_start.map_or_else(Vec::new, |level| read.map(|(_, p)| (p.as_str(), level)).collect())
        }
        // The line on which the part speaks is idle at a high level.
        (BusDef::Uart, WireDef::Pins(pins), ..) => {
            pins.get(1).map(|p| (p.as_str(), Level::High)).into_iter().collect()
        }
        (BusDef::Digital(_), WireDef::Pin(pin), _, Some(a)) if a.pin_ma >= PULLS_DOWN_MA => {
            vec![(pin.as_str(), Level::Low)]
        }
        (BusDef::Digital(_), WireDef::Pins(pins), _, Some(a)) if a.pin_ma >= PULLS_DOWN_MA => {
            pins.iter().map(|p| (p.as_str(), Level::Low)).collect()
        }
        _ => Vec::new(),
    }
}

/// Parts that hold a strapping pin at another level than its board's start wants.
fn check_straps(board: &BoardDef, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
    for (pin, level) in held(part) {
        let Some(strap) = board.straps.get(pin).filter(|s| s.wants != level) else { continue };
        let text = format!(
            "`{}` wants `{pin}` {} at its start, else {}; `{}` holds it {}",
            board.name,
            strap.wants.word(),
            strap.or_else,
            part.def.model,
            level.word()
        );
        let others = board
            .pins
            .iter()
            .filter(|(p, has)| !board.straps.contains_key(*p) && has.contains(&PinFn::Digital));
        let others: Vec<&str> = others.map(|(p, _)| p.as_str()).collect();
        report.push(
            place.warning("on", text).help(format!("pins that it does not read then: {}", others.join(", "))),
        );
    }
}

/// Whether a part that has just got its supply has anything to settle.
fn check_cold(part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
    let settles = part.sensor.is_some_and(|s| s.channels.iter().any(|c| c.unsettled.0 > 0));
    if part.def.cold && !settles {
        let text = format!("`{}` has nothing to settle", part.def.model);
        report.push(place.error("cold", text).help("leave `cold` out: its file states no `unsettled`"));
    }
}

/// The range in which a part asks the board's converter to read it.
fn check_range(board: &BoardDef, part: &Part<'_>, place: &Place<'_>, report: &mut Report) {
    let Some(range) = &part.def.range else { return };
    let adc = board
        .adc
        .as_ref()
        .filter(|_| matches!(part.bus, BusDef::Analog) && part.def.on.converter().is_none());
    let Some(adc) = adc else {
        let text = format!("`{}` is not read by a converter of `{}`", part.def.model, board.name);
        report.push(place.error("range", text).help("leave `range` out"));
        return;
    };
    if adc.in_range(range).is_none() {
        let known: Vec<&str> = adc.ranges.keys().chain(&adc.range).map(String::as_str).collect();
        let error = unknown(&format!("range of `{}` called", board.name), range, known.iter().copied());
        let help = if known.is_empty() {
            "its converter has one range: leave `range` out".to_owned()
        } else {
            format!("its ranges: {}", known.join(", "))
        };
        report.push(error.at(place.source, place.span("range"), "").help(help));
    }
}
