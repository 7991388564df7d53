//! What a thing's parts are wired to on the virtual board, when power comes.

use super::{Analogue, Display, Driven, I2C_HZ, Machine, Serial, Switch, stepper::Stepper};
use crate::parts::{
    clock::Clock,
    hc_sr04, hx711,
    i2c::I2cPart,
    line::{LinePart, Together},
    live::{Live, LiveError},
    pcf8574::Pcf8574,
    shutdown::Shutdown,
    ssd1306::{Glow, Ssd1306},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use twinfleet_engine::{
    catalog::{BoardDef, BusDef, PartDef, PinFn, SensorDef, ThingDef, WireDef},
    plan::Plan,
    rng::stream,
};

impl Machine {
    /// The board of a device with its parts wired.
    ///
    /// # Errors
    /// Where two parts are in each other's way.
    pub fn new(live: &Live, group: usize, device: &str) -> Result<Self, LiveError> {
        let plan = live.plan();
        let thing = &plan.groups[group].thing;
        let board = thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b));
        let board = Arc::new(board.cloned().unwrap_or_else(|| unreachable!("checked: a script has a board")));
        let clock = Clock::new();
        let shut = thing.parts.iter().filter_map(|p| Some((p, p.shutdown.clone()?, Shutdown::default())));
        let shut: Vec<_> = shut.collect();
        let lines: BTreeMap<_, _> =
            shut.iter().map(|(part, _, line)| (part.id.clone(), line.clone())).collect();
        let mut machine = Self {
            i2c: live.i2c_on(device, None, clock.clone(), I2C_HZ, &lines)?,
            buses: BTreeMap::new(),
            shutdowns: shut.iter().map(|(_, pin, line)| (pin.clone(), line.clone())).collect(),
            bus_taken: displaced(thing, &board).is_some(),
            clock,
            lines: Vec::new(),
            uarts: Vec::new(),
            spis: BTreeMap::new(),
            analog: BTreeMap::new(),
            switches: BTreeMap::new(),
            driven: BTreeMap::new(),
            lit: BTreeSet::new(),
            steppers: Vec::new(),
            displays: Vec::new(),
            inside: None,
            set: BTreeMap::new(),
            seed: plan.seed,
            device: device.to_owned(),
            noise: stream(plan.seed, device, "script/adc"),
            radio: false,
            levels: Vec::new(),
            shafts: Vec::new(),
            board,
        };
        for pins in live.i2c_pins(device)? {
            let on = Some((pins.0.as_str(), pins.1.as_str()));
            let bus = live.i2c_on(device, on, machine.clock.clone(), I2C_HZ, &lines)?;
            machine.buses.insert(pins, bus);
        }
        let mut wires: BTreeMap<String, Vec<Box<dyn LinePart>>> = BTreeMap::new();
        for part in &thing.parts {
            machine.wire(plan, live, device, part, &mut wires)?;
        }
        for (pin, parts) in wires {
            machine.lines.push((Box::new(Together(parts)), vec![(pin, 0)]));
        }
        Ok(machine)
    }

    fn wire(
        &mut self,
        plan: &Plan,
        live: &Live,
        device: &str,
        part: &PartDef,
        wires: &mut BTreeMap<String, Vec<Box<dyn LinePart>>>,
    ) -> Result<(), LiveError> {
        if let Some(actuator) = plan.catalog.actuators.get(&part.model) {
            if let WireDef::Pin(pin) = &part.on {
                // What travels, and by no steps, is set by the width of its pulse.
                let servo = actuator.travel_s > 0.0 && actuator.steps == 0;
                self.driven.insert(pin.clone(), Driven { part: part.id.clone(), servo });
            }
            if let WireDef::Pins(pins) = &part.on
                && let Ok(pins) = <[String; 4]>::try_from(pins.clone())
                && actuator.steps > 0
            {
                self.steppers.push(Stepper::new(&part.id, pins, actuator.steps));
            }
            if let WireDef::I2c(address) = part.on {
                self.show(part, address)?;
            }
            return Ok(());
        }
        let Some(sensor) = plan.catalog.sensors.get(&part.model) else { return Ok(()) };
        match (&part.on, &sensor.bus) {
            (_, BusDef::Internal) => self.inside = Some(live.stimulus(device, &part.id)?),
            // What a converter reads is found through the converter.
            (WireDef::Pin(pin), BusDef::Analog) if pin.contains('.') => {}
            (WireDef::Spi(select), BusDef::Spi) => {
                if let Ok(part) = live.spi(device, &part.id) {
                    self.spis.insert(select.clone(), part);
                }
            }
            (WireDef::Pin(pin), BusDef::Analog) => {
                let Some(channel) = sensor.channels.first() else { return Ok(()) };
                let Some(law) = channel.analog else { return Ok(()) };
                let sees = live.stimulus(device, &part.id)?;
                let (quantity, own_supply) = (channel.quantity.clone(), part.own_supply);
                let share = if part.shifted { self.divided(part, sensor) } else { 1.0 };
                self.analog.insert(pin.clone(), Analogue { sees, quantity, law, own_supply, share });
            }
            (WireDef::Pins(pins), BusDef::Uart) => {
                if let Ok(serial) = live.serial(device, &part.id) {
                    // The board's transmit pin first, wherever its matrix leads that; one pin alone hears.
                    let (tx, rx) = match pins.as_slice() {
                        [tx, rx] => (tx.clone(), rx.clone()),
                        [rx] => (String::new(), rx.clone()),
                        _ => return Ok(()),
                    };
                    self.uarts.push(Serial { part: serial, tx, rx });
                }
            }
            (WireDef::Pin(pin), _) => match live.line(device, &part.id) {
                Ok(line) => wires.entry(pin.clone()).or_default().push(line),
                Err(LiveError::NoMap { .. }) => {
                    let Some(channel) = sensor.channels.first() else { return Ok(()) };
                    // A reed switch closes to ground.
                    let high = channel.quantity != "contact";
                    let (sees, quantity) = (live.stimulus(device, &part.id)?, channel.quantity.clone());
                    self.switches.insert(pin.clone(), Switch { sees, quantity, high });
                }
                Err(e) => return Err(e),
            },
            (WireDef::Pins(pins), BusDef::Digital(2)) if part.model.starts_with("hx711") => {
                let line = live.line(device, &part.id)?;
                // DT and SCK, in the catalog's order.
                let names = pins.iter().cloned().zip([hx711::DATA, hx711::CLOCK]).collect();
                self.lines.push((line, names));
            }
            (WireDef::Pins(pins), BusDef::Digital(2)) if part.model == "hc-sr04" => {
                let line = live.line(device, &part.id)?;
                let names = pins.iter().cloned().zip([hc_sr04::TRIGGER, hc_sr04::ECHO]).collect();
                self.lines.push((line, names));
            }
            _ => {}
        }
        Ok(())
    }

    /// A display on the bus that its part is on.
    fn show(&mut self, part: &PartDef, address: u8) -> Result<(), LiveError> {
        let (display, glow): (Box<dyn I2cPart>, Glow) = match part.model.as_str() {
            "ssd1306" => {
                let display = Ssd1306::new(address);
                let glow = display.glow();
                (Box::new(display), glow)
            }
            "lcd1602-i2c" => {
                let display = Pcf8574::new(address);
                let glow = display.glow();
                (Box::new(display), glow)
            }
            _ => return Ok(()),
        };
        let bus = match part.bus_on(&self.board) {
            Some((sda, scl)) => self.buses.get_mut(&(sda.to_owned(), scl.to_owned())),
            None => Some(&mut self.i2c),
        };
        if let Some(bus) = bus {
            bus.add(display)?;
            self.displays.push(Display { part: part.id.clone(), glow, told: 0.0 });
        }
        Ok(())
    }

    /// What a divider leaves of a part's voltage: as much as the converter reads in the range that the part asks for.
    fn divided(&self, part: &PartDef, sensor: &SensorDef) -> f64 {
        let Some(adc) = &self.board.adc else { return 1.0 };
        let ranged = part.range.as_ref().and_then(|name| adc.in_range(name));
        let reads_v = ranged.map_or(adc.reference_v, |adc| adc.reference_v);
        (reads_v / sensor.out_v.unwrap_or(self.board.logic_v)).min(1.0)
    }
}

/// A part on a pin where the board's own I2C bus usually is, and a part on that bus: it has to be elsewhere, and nobody says where.
pub(in crate::script) fn displaced<'a>(
    thing: &'a ThingDef,
    board: &BoardDef,
) -> Option<(&'a PartDef, &'a PartDef)> {
    let on_bus = |p: &&PartDef| matches!(p.on, WireDef::I2c(_)) && p.bus_on(board).is_none();
    let there = thing.parts.iter().find(on_bus)?;
    let usual = [board.usual(PinFn::Sda), board.usual(PinFn::Scl)];
    let is = |pin: &str| usual.contains(&Some(pin));
    let in_the_way = thing.parts.iter().find(|p| match &p.on {
        WireDef::Pin(pin) | WireDef::Spi(pin) => is(pin),
        WireDef::Pins(pins) => pins.iter().any(|pin| is(pin)),
        WireDef::I2c(_) => p.bus_on(board).is_some_and(|(sda, scl)| is(sda) || is(scl)),
        WireDef::Internal => false,
    })?;
    Some((in_the_way, there))
}
