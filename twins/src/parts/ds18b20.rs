//! DS18B20 (temperature) on 1-Wire, with its own supply.
//!
//! Source: Maxim 19-7487 rev. 6 (DS18B20): power-on value and data format in table 1, conversion times in table 2,
//! scratchpad and configuration under "Memory", commands under "ROM Commands" and "DS18B20 Function Commands",
//! presence and slots under "1-Wire Signaling", alarms under "Operation", EEPROM write time in the electrical
//! characteristics. Search: Maxim application note 187.
//!
//! A conversion takes the longest time of table 2, the only one given; its value is that of its middle. Where the
//! datasheet leaves room: a slot's bit is taken 30 µs after its falling edge, a zero is held for 30 µs, presence
//! comes 30 µs after the reset and lasts 120 µs; bits below the resolution are zero. Parasitic power is not here.
//!
//! ```
//! use twinfleet_twins::parts::{crc, ds18b20::Ds18b20, stimulus::Quantity};
//!
//! let part = Ds18b20::new(0x1234, |_: Quantity, _| 21.5);
//! assert_eq!(part.rom()[..3], [0x28, 0x34, 0x12]);
//! assert_eq!(crc::one_wire(&part.rom()), 0);
//! ```

use super::{
    MS, US, crc,
    eeprom::Eeprom,
    line::{Edge, Edges, LinePart},
    stimulus::{Quantity, Stimulus, middle_ns},
};

const RESET_NS: u64 = 480 * US;
const SAMPLE_NS: u64 = 30 * US;
const HOLD_NS: u64 = 30 * US;
const PRESENCE_AFTER_NS: u64 = 30 * US;
const PRESENCE_NS: u64 = 120 * US;
const EEPROM_NS: u64 = 10 * MS;
const POWER_ON: i16 = 85 * 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for a reset.
    Silent,
    RomCommand,
    MatchRom,
    /// Bit and complement are given, then the controller's choice is taken: three slots a bit.
    Search {
        slot: u8,
        alarmed: bool,
    },
    ReadRom,
    Function,
    WriteScratchpad,
    ReadScratchpad,
    /// Zeros until what was begun is done, ones after that.
    Status,
    PowerSupply,
}

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Ds18b20<S> {
    rom: [u8; 8],
    stimulus: S,
    raw: i16,
    /// TH, TL and configuration, as in the scratchpad and as in EEPROM.
    set: [u8; 3],
    kept: [u8; 3],
    eeprom: Eeprom,
    alarm: bool,
    converting: Option<(u64, u64)>,
    busy_until_ns: u64,
    state: State,
    /// Bits gone through in this state.
    count: u32,
    byte: u8,
    edges: Edges,
    low_until_ns: u64,
    low_from_ns: u64,
}

impl<S: Stimulus> Ds18b20<S> {
    /// A part with its 48-bit serial number, as delivered: 12 bits, alarms at 75 °C and 70 °C.
    pub fn new(serial: u64, stimulus: S) -> Self {
        let mut rom = [0; 8];
        rom[0] = 0x28;
        rom[1..7].copy_from_slice(&serial.to_le_bytes()[..6]);
        rom[7] = crc::one_wire(&rom[..7]);
        let set = [75, 70, 0x7F];
        Self {
            rom,
            stimulus,
            raw: POWER_ON,
            set,
            kept: set,
            eeprom: Eeprom::default(),
            alarm: false,
            converting: None,
            busy_until_ns: 0,
            state: State::Silent,
            count: 0,
            byte: 0,
            edges: Edges::idle(),
            low_until_ns: 0,
            low_from_ns: 0,
        }
    }

    /// The same with what it has kept before, and keeps from now on.
    pub fn kept_in(mut self, eeprom: Eeprom) -> Self {
        if let Some(words) = eeprom.words::<3>() {
            self.set = words.map(|w| w as u8);
            self.kept = self.set;
        }
        self.eeprom = eeprom;
        self
    }

    /// The ROM code: family, serial number, checksum.
    pub fn rom(&self) -> [u8; 8] {
        self.rom
    }

    /// Takes the supply away for a moment: what is not in EEPROM is lost.
    pub fn power_cycle(&mut self) {
        (self.raw, self.set, self.alarm) = (POWER_ON, self.kept, false);
        (self.converting, self.busy_until_ns, self.state) = (None, 0, State::Silent);
    }

    fn scratchpad(&self) -> [u8; 9] {
        let [low, high] = self.raw.to_le_bytes();
        let [th, tl, config] = self.set;
        let mut pad = [low, high, th, tl, config, 0xFF, 0x0C, 0x10, 0];
        pad[8] = crc::one_wire(&pad[..8]);
        pad
    }

    fn advance(&mut self, at_ns: u64) {
        if let Some((since_ns, until_ns)) = self.converting
            && until_ns <= at_ns
        {
            self.converting = None;
            let c = self
                .stimulus
                .value(Quantity::TemperatureC, middle_ns(since_ns, until_ns))
                .clamp(-55.0, 125.0);
            let shift = 3 - (self.set[2] >> 5 & 3);
            let steps = (c * 16.0 / f64::from(1 << shift)).round() as i16;
            self.raw = steps << shift;
            // Whole degrees are compared, bits 11 to 4.
            let whole = (self.raw >> 4) as i8;
            self.alarm = whole >= self.set[0] as i8 || whole <= self.set[1] as i8;
        }
    }

    fn enter(&mut self, state: State) {
        (self.state, self.count, self.byte) = (state, 0, 0);
    }

    /// The bit for a read slot, where this state gives one.
    fn outgoing(&self, at_ns: u64) -> Option<bool> {
        let bit = |bytes: &[u8]| {
            let byte = bytes.get(self.count as usize / 8);
            byte.is_none_or(|b| b >> (self.count % 8) & 1 != 0) // ones after the end
        };
        match self.state {
            State::ReadRom => Some(bit(&self.rom)),
            State::ReadScratchpad => Some(bit(&self.scratchpad())),
            State::Search { slot: 0, .. } => Some(bit(&self.rom)),
            State::Search { slot: 1, .. } => Some(!bit(&self.rom)),
            State::Status => Some(at_ns >= self.busy_until_ns),
            State::PowerSupply => Some(true),
            _ => None,
        }
    }

    /// A slot of the controller's is over; what it wrote counts where this state listens.
    fn slot(&mut self, at_ns: u64, bit: bool) {
        match self.state {
            State::Silent | State::Status | State::PowerSupply => {}
            State::ReadRom | State::ReadScratchpad => {
                self.count += 1;
                if self.state == State::ReadRom && self.count == 64 {
                    self.enter(State::Function);
                }
            }
            State::Search { slot, alarmed } if slot < 2 => {
                self.state = State::Search { slot: slot + 1, alarmed }
            }
            State::Search { alarmed, .. } => {
                let own = self.rom[self.count as usize / 8] >> (self.count % 8) & 1 != 0;
                self.count += 1;
                self.state = match (own == bit, self.count) {
                    (false, _) => State::Silent,
                    (true, 64) => State::Function,
                    (true, _) => State::Search { slot: 0, alarmed },
                };
                if self.state == State::Function {
                    self.enter(State::Function);
                }
            }
            _ => {
                self.byte = self.byte >> 1 | u8::from(bit) << 7;
                self.count += 1;
                if self.count.is_multiple_of(8) {
                    self.byte_in(at_ns, self.byte, self.count as usize / 8 - 1);
                }
            }
        }
    }

    fn byte_in(&mut self, at_ns: u64, byte: u8, index: usize) {
        match (self.state, byte) {
            (State::RomCommand, 0x33) => self.enter(State::ReadRom),
            (State::RomCommand, 0x55) => self.enter(State::MatchRom),
            (State::RomCommand, 0xCC) => self.enter(State::Function),
            (State::RomCommand, 0xF0) => self.enter(State::Search { slot: 0, alarmed: false }),
            (State::RomCommand, 0xEC) if self.alarm => self.enter(State::Search { slot: 0, alarmed: true }),
            (State::MatchRom, byte) if self.rom[index] != byte => self.enter(State::Silent),
            (State::MatchRom, _) if index == 7 => self.enter(State::Function),
            (State::MatchRom, _) => {}
            (State::WriteScratchpad, byte) => {
                // Bits 7 and 4 to 0 of the configuration cannot be written.
                self.set[index] = if index == 2 { byte & 0x60 | 0x1F } else { byte };
                if index == 2 {
                    self.enter(State::Silent);
                }
            }
            (State::Function, 0x44) => {
                let takes_ns = (750 * MS) >> (3 - (self.set[2] >> 5 & 3));
                if self.converting.is_none() {
                    self.converting = Some((at_ns, at_ns + takes_ns));
                    self.busy_until_ns = at_ns + takes_ns;
                }
                self.enter(State::Status);
            }
            (State::Function, 0x4E) => self.enter(State::WriteScratchpad),
            (State::Function, 0xBE) => self.enter(State::ReadScratchpad),
            (State::Function, 0x48) => {
                self.kept = self.set;
                self.eeprom.write(self.set.map(u16::from));
                self.busy_until_ns = at_ns + EEPROM_NS;
                self.enter(State::Status);
            }
            (State::Function, 0xB8) => {
                self.set = self.kept;
                self.enter(State::Status);
            }
            (State::Function, 0xB4) => self.enter(State::PowerSupply),
            _ => self.enter(State::Silent),
        }
    }
}

impl<S: Stimulus> LinePart for Ds18b20<S> {
    fn drive(&mut self, at_ns: u64, _line: u8, high: bool) {
        self.advance(at_ns);
        match self.edges.drive(at_ns, high) {
            Some(Edge::Fell) if self.outgoing(at_ns) == Some(false) => {
                (self.low_from_ns, self.low_until_ns) = (at_ns, at_ns + HOLD_NS);
            }
            Some(Edge::Rose { low_ns }) if low_ns >= RESET_NS => {
                self.low_from_ns = at_ns + PRESENCE_AFTER_NS;
                self.low_until_ns = self.low_from_ns + PRESENCE_NS;
                self.enter(State::RomCommand);
            }
            Some(Edge::Rose { low_ns }) => self.slot(at_ns, low_ns < SAMPLE_NS),
            _ => {}
        }
    }

    fn level(&mut self, at_ns: u64, _line: u8) -> bool {
        self.advance(at_ns);
        !(self.low_from_ns..self.low_until_ns).contains(&at_ns)
    }
}
