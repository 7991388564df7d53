//! The virtual board: what a script's pins and buses are wired to.
//!
//! Parts with registers or pulses are those of [`crate::parts`], in the run's world; analogue ones stand behind the board's
//! converter; switches and presence sensors are levels; actuators follow the pin or the pulse width that drives them, displays
//! what is written to them. A pin that nothing is wired to keeps what it was set to, or what its pull says.

mod pulses;
mod serial;
mod stepper;
mod wiring;

use crate::parts::{
    clock::Clock,
    i2c::{I2cBus, I2cError},
    line::LinePart,
    live::LiveStimulus,
    serial::SerialPart,
    shutdown::Shutdown,
    spi::SpiPart,
    ssd1306::Glow,
};
use embedded_hal::i2c::{I2c, Operation};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use stepper::Stepper;
use twinfleet_engine::{
    catalog::{AnalogDef, BoardDef, PinFn},
    rng::Rng,
    sense::{AdcUnit, with_rail},
};
pub(super) use wiring::displaced;

/// What a pin access takes on its board, [ns].
const ACCESS_NS: u64 = 300;

/// A part that is a level: which quantity, and the level above one half.
struct Switch {
    sees: LiveStimulus,
    quantity: String,
    high: bool,
}

/// An actuator on a pin.
#[derive(Clone, Debug)]
struct Driven {
    part: String,
    servo: bool,
}

/// A display on an I2C bus, and the level of it that was told last.
struct Display {
    part: String,
    glow: Glow,
    told: f64,
}

/// A part on lines of its own, and which pin is which of them.
type Wired = (Box<dyn LinePart>, Vec<(String, u8)>);

/// A part on a serial port, and the board's pins that it is wired to.
struct Serial {
    part: Box<dyn SerialPart>,
    tx: String,
    rx: String,
}

/// A part on an analogue pin.
struct Analogue {
    sees: LiveStimulus,
    quantity: String,
    law: AnalogDef,
    own_supply: bool,
    /// What a divider before the pin leaves of its voltage.
    share: f64,
}

/// How fast an I2C bus is clocked where a script does not say, and at most (fast mode plus), [Hz].
const I2C_HZ: u32 = 100_000;
const I2C_MOST_HZ: u32 = 1_000_000;

/// Pins and buses of one device.
pub struct Machine {
    board: Arc<BoardDef>,
    /// Simulated time as its parts see it.
    pub clock: Clock,
    i2c: I2cBus,
    /// Further buses, by their pins: data and clock.
    buses: BTreeMap<(String, String), I2cBus>,
    /// Shutdown lines of parts, by pin.
    shutdowns: BTreeMap<String, Shutdown>,
    /// Whether a part is on the pins where the board's own bus usually is, so that nobody says where that is.
    bus_taken: bool,
    lines: Vec<Wired>,
    uarts: Vec<Serial>,
    /// Parts on SPI by the pin of their chip select.
    spis: BTreeMap<String, Box<dyn SpiPart>>,
    analog: BTreeMap<String, Analogue>,
    switches: BTreeMap<String, Switch>,
    driven: BTreeMap<String, Driven>,
    /// Pins that drive one which is on as long as they do.
    lit: BTreeSet<String>,
    steppers: Vec<Stepper>,
    displays: Vec<Display>,
    /// What the processor knows of itself.
    inside: Option<LiveStimulus>,
    /// Levels that the script set.
    set: BTreeMap<String, bool>,
    /// What its converter is drawn from.
    seed: u64,
    device: String,
    noise: Rng,
    /// Whether its radio is on, which takes a converter away on some boards.
    pub radio: bool,
    /// Levels of actuators since they were last taken: part and level.
    pub levels: Vec<(String, f64)>,
    /// Where its motors' shafts have got to since they were last taken: part and level.
    pub shafts: Vec<(String, f64)>,
}

impl Machine {
    /// The board's name of a pin, for what a script calls it: its name, or a number.
    pub fn pin(&self, said: &str) -> Option<String> {
        let tries = [
            said.to_owned(),
            format!("GPIO{said}"),
            format!("GP{said}"),
            format!("D{said}"),
            said.replacen("GPIO", "GP", 1),
            said.replacen("GP", "GPIO", 1),
            said.replacen('D', "GPIO", 1),
            said.replacen("IO", "GPIO", 1),
            // Of boards whose light hangs on the radio's chip.
            if said == "LED" { "WL_GPIO0".to_owned() } else { String::new() },
        ];
        tries
            .into_iter()
            .find(|name| self.board.pins.contains_key(name) || self.board.inner_pins.contains(name))
    }

    /// Answers one question at its time: `ok WORDS` or `err WHY`. The clock then shows when the answer was there. None: the
    /// question is not the board's.
    pub fn serve(&mut self, at_ns: u64, words: &[&str]) -> Option<String> {
        self.clock.advance_to_ns(at_ns);
        let answer = match words {
            ["i2c", bus, address, operations @ ..] => self.i2c(bus, address, operations),
            ["spi", select, hz, bytes, bus @ ..] => self.spi(select, hz, bytes, bus.first().copied()),
            ["in", pin, pull] => self.input(pin, pull),
            ["free", pin, pull] => self.let_go(pin, pull),
            ["out", pin, level] => self.output(pin, *level == "1"),
            ["pwm", pin, hz, duty] => self.pwm(pin, hz, duty),
            ["adc", pin, range @ ..] => self.analog(pin, range.first().copied()),
            ["pulse", pin, level, most_us] => self.pulse(pin, level, most_us),
            ["dht", pin] => self.dht(pin),
            ["ow", pin, rest @ ..] => self.one_wire(pin, rest),
            ["neo", pin, bytes] => self.neopixel(pin, bytes),
            ["uart"] => Ok(u8::from(!self.uarts.is_empty()).to_string()),
            ["uartr", port, baud, most] => self.serial_read(port, baud, most),
            ["drives", pin] => self.drives(pin),
            ["radio", on] => {
                self.radio = *on == "1";
                Ok(String::new())
            }
            ["uartw", port, baud, bytes] => self.serial_write(port, baud, bytes),
            ["inside", quantity] => self.inside(quantity),
            ["board"] => Ok(self.describe()),
            ["wires"] => Ok(self.wires()),
            ["pin", name] => self.pin(name).ok_or_else(|| format!("nopin:{name}")),
            _ => return None,
        };
        Some(match answer {
            Ok(words) if words.is_empty() => "ok".to_owned(),
            Ok(words) => format!("ok {words}"),
            Err(why) => format!("err {why}"),
        })
    }

    fn describe(&self) -> String {
        let names: Vec<&str> = self.board.pins.keys().map(String::as_str).collect();
        format!("{} {}", self.board.name, names.join(" "))
    }

    /// The pins that the buses are on, `-` where there is none: SDA SCL MOSI MISO SCK TX RX.
    fn wires(&self) -> String {
        use PinFn::{Miso, Mosi, Rx, Sck, Scl, Sda, Tx};
        let first = |f: PinFn| {
            self.board.pins.iter().find(|(_, has)| has.contains(&f)).map_or("-", |(p, _)| p.as_str())
        };
        [Sda, Scl, Mosi, Miso, Sck, Tx, Rx].map(first).join(" ")
    }

    /// The I2C bus at pins, data and clock, as the script names them; `-` for the board's own.
    fn bus(&mut self, wires: &str) -> Option<&mut I2cBus> {
        let Some((sda, scl)) = wires.split_once('/') else { return Some(&mut self.i2c) };
        let pins = (self.pin(sda)?, self.pin(scl)?);
        let own = !self.bus_taken && self.has(sda, PinFn::Sda) && self.has(scl, PinFn::Scl);
        let named = self.buses.get_mut(&pins);
        if own && named.is_none() { Some(&mut self.i2c) } else { named }
    }

    /// `BUS` is `-` for the board's own wires, or `SDA/SCL` as the script names them: elsewhere nobody answers.
    fn i2c(&mut self, bus: &str, address: &str, operations: &[&str]) -> Result<String, String> {
        let address: u8 = address.parse().map_err(|_| "nodev")?;
        // Where a script says how fast, `SDA/SCL@HZ`.
        let (bus, hz) = bus.split_once('@').unwrap_or((bus, ""));
        let Some(bus) = self.bus(bus) else { return Err("nodev".to_owned()) };
        bus.set_clock_hz(hz.parse().unwrap_or(I2C_HZ).clamp(1_000, I2C_MOST_HZ));
        let mut buffers = Vec::new();
        for operation in operations {
            buffers.push(match operation.split_once(':') {
                Some(("w", hex)) => (true, unhex(hex)?),
                Some(("r", n)) => (false, vec![0; n.parse::<u16>().map_err(|_| "nodata")?.into()]),
                _ => return Err("nodata".to_owned()),
            });
        }
        let mut list: Vec<Operation<'_>> = buffers
            .iter_mut()
            .map(|(w, bytes)| if *w { Operation::Write(bytes) } else { Operation::Read(bytes) })
            .collect();
        let done = bus.transaction(address, &mut list);
        for display in &mut self.displays {
            let level = display.glow.level();
            if std::mem::replace(&mut display.told, level) != level {
                self.levels.push((display.part.clone(), level));
            }
        }
        match done {
            Ok(()) => {
                let read = buffers.iter().filter(|(w, _)| !w).flat_map(|(_, bytes)| bytes.iter());
                Ok(hex(read.copied()))
            }
            Err(I2cError::NoAddress(_)) => Err("nodev".to_owned()),
            Err(I2cError::NoData(_)) => Err("nodata".to_owned()),
            Err(I2cError::StretchTooLong(_)) => Err("timeout".to_owned()),
        }
    }

    /// `select` is the pin that the kernel pulls low for these bytes, or `-` where the script pulls one itself. Where none
    /// or several are low, the line rests high.
    /// `bus` is `SCK/MOSI/MISO` as the script names them: on other pins nobody answers.
    fn spi(&mut self, select: &str, hz: &str, bytes: &str, bus: Option<&str>) -> Result<String, String> {
        if let Some(bus) = bus.filter(|bus| bus.contains('/')) {
            let wires = bus.split('/').zip([PinFn::Sck, PinFn::Mosi, PinFn::Miso]);
            let mut named = wires.filter(|(pin, _)| *pin != "-");
            if named.any(|(pin, f)| !self.has(pin, f)) {
                return Ok(hex(unhex(bytes)?.iter().map(|_| 0xFF)));
            }
        }
        let (mut bytes, hz) = (unhex(bytes)?, hz.parse::<u64>().unwrap_or(1_000_000).max(1));
        let byte_ns = 8_000_000_000_u64.div_ceil(hz);
        let own = self.pin(select);
        let set = &self.set;
        let mut low = self.spis.iter_mut().filter(|(pin, _)| match &own {
            Some(own) => own == *pin,
            None => set.get(*pin) == Some(&false),
        });
        let mut part = match (low.next(), low.next()) {
            (Some((_, part)), None) => Some(part),
            _ => None,
        };
        if let Some(part) = part.as_mut().filter(|_| own.is_some()) {
            part.select(self.clock.now_ns());
        }
        for byte in &mut bytes {
            self.clock.advance_ns(byte_ns);
            *byte = part.as_mut().map_or(0xFF, |p| p.exchange(self.clock.now_ns(), *byte));
        }
        if let Some(part) = part.as_mut().filter(|_| own.is_some()) {
            part.deselect(self.clock.now_ns());
        }
        Ok(hex(bytes))
    }

    fn line(&mut self, pin: &str) -> Option<(&mut Box<dyn LinePart>, u8)> {
        self.lines.iter_mut().find_map(|(part, pins)| {
            let (_, line) = pins.iter().find(|(p, _)| p == pin)?;
            Some((part, *line))
        })
    }

    /// The board drives a pin, or lets go of it: all that is wired there sees it, such as several HX711 on one clock.
    fn drive(&mut self, pin: &str, at_ns: u64, high: bool) {
        for (part, pins) in &mut self.lines {
            for (_, line) in pins.iter().filter(|(p, _)| p == pin) {
                part.drive(at_ns, *line, high);
            }
        }
        if let Some(line) = self.shutdowns.get(pin) {
            line.drive(at_ns, high);
        }
    }

    /// Turns the motors that a pin is a coil of.
    fn turn(&mut self, pin: &str) {
        for motor in self.steppers.iter_mut().filter(|m| m.pins.iter().any(|p| p == pin)) {
            if let Some(level) = motor.turn(&self.set) {
                self.shafts.push((motor.part.clone(), level));
            }
        }
    }

    /// Its motors' shafts stand where they stood on the board before it lost its supply.
    pub fn stands_as(&mut self, before: &Self) {
        self.steppers.clone_from(&before.steppers);
    }

    /// Whether a pin, as a script calls it, can be this.
    fn has(&self, pin: &str, f: PinFn) -> bool {
        self.pin(pin).is_some_and(|pin| self.is(&pin, f))
    }

    /// The same of a pin by the board's name of it.
    fn is(&self, pin: &str, f: PinFn) -> bool {
        self.board.pins.get(pin).is_some_and(|has| has.contains(&f))
    }

    /// Whether a pin can be an output.
    fn drives(&self, pin: &str) -> Result<String, String> {
        let pin = self.known(pin)?;
        if self.is(&pin, PinFn::Input) { Err("input".to_owned()) } else { Ok(String::new()) }
    }

    fn known(&self, pin: &str) -> Result<String, String> {
        self.pin(pin).ok_or_else(|| format!("nopin:{pin}"))
    }

    /// The level of a pin at the clock's time, where nothing of the script drives it.
    pub fn level(&mut self, pin: &str, pull: &str) -> bool {
        let at_ns = self.clock.now_ns();
        if let Some((part, line)) = self.line(pin) {
            return part.level(at_ns, line);
        }
        if let Some(switch) = self.switches.get_mut(pin) {
            let on = switch.sees.read(&switch.quantity, at_ns).is_some_and(|x| x >= 0.5);
            return on == switch.high;
        }
        match pull {
            // A pad without that resistor stays open, and its script is told nothing.
            "up" if !self.board.no_pull_up.iter().any(|p| p == pin) => true,
            "down" => false,
            _ => self.set.get(pin).copied().unwrap_or(false),
        }
    }

    /// Until when a pin that is read stays as it is, within this turn of its device, [ns]: None where nobody can tell.
    pub fn holds_ns(&mut self, pin: &str) -> Option<u64> {
        let pin = self.pin(pin)?;
        match self.line(&pin) {
            Some((part, line)) => part.next_edge_ns(line),
            // The world stands still within a turn.
            None => Some(u64::MAX),
        }
    }

    /// What a part of the processor itself measures, in the catalog's unit.
    fn inside(&mut self, quantity: &str) -> Result<String, String> {
        let at_ns = self.clock.now_ns();
        let part = self.inside.as_mut().ok_or("nopart")?;
        if !part.answers(at_ns) {
            return Err("nodata".to_owned());
        }
        part.read(quantity, at_ns).map(|x| x.to_string()).ok_or_else(|| "nopart".to_owned())
    }

    /// The level of a pin that a part drives by itself, at an instant that may be past.
    pub fn level_at(&mut self, pin: &str, at_ns: u64) -> bool {
        self.line(pin).is_some_and(|(part, line)| part.level(at_ns, line))
    }

    /// When a pin changes next after the last instant that its part was asked about, where the part knows, [ns].
    pub fn next_edge_ns(&mut self, pin: &str) -> Option<u64> {
        let (part, line) = self.line(pin)?;
        part.next_edge_ns(line)
    }

    /// How long a pin stays at a level, from when it comes to it, within a time: `ok US`; -2 where it does not come to it, -1
    /// where it does not leave it; `err edges` where that takes the world's turns.
    fn pulse(&mut self, pin: &str, level: &str, most_us: &str) -> Result<String, String> {
        let pin = self.known(pin)?;
        if self.switches.contains_key(&pin) {
            // It is the world that moves it, from tick to tick.
            return Err("edges".to_owned());
        }
        let wanted = level == "1";
        let most_ns = most_us.parse::<u64>().unwrap_or(0).min(10_000_000) * 1_000;
        let mut end_ns = self.clock.now_ns() + most_ns;
        let mut came_ns = None;
        loop {
            let now_ns = self.clock.now_ns();
            match (self.level(&pin, "-") == wanted, came_ns) {
                // From here on the time counts anew.
                (true, None) => (came_ns, end_ns) = (Some(now_ns), now_ns + most_ns),
                (false, Some(came)) => return Ok(((now_ns - came) / 1_000).to_string()),
                _ => {}
            }
            match self.next_edge_ns(&pin).filter(|edge| *edge < end_ns) {
                Some(edge) => self.clock.advance_to_ns(edge.max(now_ns + 1)),
                None => {
                    self.clock.advance_to_ns(end_ns);
                    return Ok(if came_ns.is_some() { "-1" } else { "-2" }.to_owned());
                }
            }
        }
    }

    fn input(&mut self, pin: &str, pull: &str) -> Result<String, String> {
        let pin = self.known(pin)?;
        self.clock.advance_ns(ACCESS_NS);
        let at_ns = self.clock.now_ns();
        // A pin that is read no longer drives.
        self.drive(&pin, at_ns, true);
        Ok(u8::from(self.level(&pin, pull)).to_string())
    }

    /// A pin becomes an input: what it held on goes off.
    fn let_go(&mut self, pin: &str, pull: &str) -> Result<String, String> {
        let level = self.input(pin, pull)?;
        let pin = self.known(pin)?;
        if self.lit.remove(&pin)
            && let Some(driven) = self.driven.get(&pin)
        {
            self.levels.push((driven.part.clone(), 0.0));
        }
        Ok(level)
    }

    /// The board starts anew: its pins are inputs.
    pub fn lets_all_go(&mut self) {
        for pin in std::mem::take(&mut self.lit) {
            if let Some(driven) = self.driven.get(&pin) {
                self.levels.push((driven.part.clone(), 0.0));
            }
        }
    }

    /// Whether a pin holds on what it drives.
    fn holds(&mut self, pin: &str, on: bool) {
        if on {
            self.lit.insert(pin.to_owned());
        } else {
            self.lit.remove(pin);
        }
    }

    fn output(&mut self, pin: &str, high: bool) -> Result<String, String> {
        let pin = self.known(pin)?;
        self.clock.advance_ns(ACCESS_NS);
        let at_ns = self.clock.now_ns();
        self.drive(&pin, at_ns, high);
        if let Some(driven) = self.driven.get(&pin).filter(|d| !d.servo) {
            self.levels.push((driven.part.clone(), f64::from(u8::from(high))));
            self.holds(&pin, high);
        }
        if let Some(part) = self.spis.get_mut(&pin) {
            if high { part.deselect(at_ns) } else { part.select(at_ns) }
        }
        self.set.insert(pin.clone(), high);
        self.turn(&pin);
        Ok(String::new())
    }

    fn pwm(&mut self, pin: &str, hz: &str, duty: &str) -> Result<String, String> {
        let pin = self.known(pin)?;
        let number = |s: &str| s.parse::<f64>().ok().filter(|x| x.is_finite()).ok_or("range");
        let (hz, duty) = (number(hz)?, number(duty)?.clamp(0.0, 1.0));
        self.clock.advance_ns(ACCESS_NS);
        if let Some(driven) = self.driven.get(&pin) {
            // A servo goes by the width of the pulse: 0.5 to 2.4 ms from stop to stop.
            let pulse_ms = if hz > 0.0 { 1e3 * duty / hz } else { 0.0 };
            let level = if driven.servo { (pulse_ms - 0.5) / 1.9 } else { duty };
            // What is no servo's pulse by far leaves it where it is.
            if !driven.servo || (0.2..3.0).contains(&pulse_ms) {
                self.levels.push((driven.part.clone(), level.clamp(0.0, 1.0)));
            }
            if !driven.servo {
                self.holds(&pin, level > 0.0);
            }
        }
        Ok(String::new())
    }

    /// Reads a voltage, in a range of the converter or in its usual one: the code, its bits, full scale and what calibration
    /// makes of the code, both in [µV]. A range that the converter has not counts for nothing, as an attenuation does where
    /// there is no attenuator.
    fn analog(&mut self, pin: &str, range: Option<&str>) -> Result<String, String> {
        let pin = self.known(pin)?;
        let Some(adc) = self.board.adc.as_ref() else { return Err("noadc".to_owned()) };
        if !self.is(&pin, PinFn::Analog) {
            return Err("noadc".to_owned());
        }
        // Its converter is the radio's while that is on.
        if self.radio && adc.not_with_radio.contains(&pin) {
            return Err("busy".to_owned());
        }
        let adc = range.and_then(|r| adc.in_range(r)).unwrap_or_else(|| adc.clone());
        self.clock.advance_ns(20_000);
        let at_ns = self.clock.now_ns();
        let logic_v = self.board.logic_v;
        let (volts, with_rail) = match self.analog.get_mut(&pin) {
            Some(part) => {
                let value = part.sees.read(&part.quantity, at_ns).unwrap_or(f64::NAN);
                let volts = if value.is_nan() { 0.0 } else { part.share * part.law.volts(value, logic_v) };
                let (left, reference) = part.sees.at_pin(at_ns);
                (volts * left / reference, with_rail(&part.law, &adc, logic_v, part.own_supply))
            }
            // An open pin floats about.
            None => (0.1 * adc.reference_v * self.noise.random::<f64>(), false),
        };
        let z: f64 = self.noise.sample(StandardNormal);
        let unit = AdcUnit::draw(self.seed, &self.device, adc.reference_spread);
        let code = unit.read(&adc, volts, with_rail, z);
        let told_v = adc.volts_of(f64::from(code) / adc.codes());
        Ok(format!("{code} {} {} {}", adc.bits, (adc.reference_v * 1e6).round(), (told_v * 1e6).round()))
    }

    fn neopixel(&mut self, pin: &str, bytes: &str) -> Result<String, String> {
        let (pin, bytes) = (self.known(pin)?, unhex(bytes)?);
        // 1.25 µs a bit, and the latch.
        self.clock.advance_ns(bytes.len() as u64 * 10_000 + 80_000);
        if let Some(driven) = self.driven.get(&pin) {
            let sum: u32 = bytes.iter().map(|b| u32::from(*b)).sum();
            let level = f64::from(sum) / (255.0 * bytes.len().max(1) as f64);
            self.levels.push((driven.part.clone(), level));
        }
        Ok(String::new())
    }
}

/// Bytes as the protocol writes them; `-` is none.
pub fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for b in bytes {
        // A String takes all that is written to it.
        let _ = write!(text, "{b:02x}");
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

/// And back.
///
/// # Errors
/// `nodata` where they are none.
pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    if text == "-" {
        return Ok(Vec::new());
    }
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !text.is_ascii() {
        return Err("nodata".to_owned());
    }
    (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| "nodata".to_owned()))
        .collect()
}
