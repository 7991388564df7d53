//! What can be heard on a broker: devices by dialect, their signals with units and periods; and the scenario that follows
//! them.
//!
//! ```
//! use twinfleet_twins::dialect::survey::Survey;
//! use twinfleet_engine::dialect::Heard;
//! let mut survey = Survey::default();
//! for k in 0..3 {
//!     let payload = format!(r#"{{"Time":"2026-11-28T12:00:{k}0","AM2301":{{"Temperature":2{k}.5}},"TempUnit":"C"}}"#);
//!     survey.hear(10.0 * f64::from(k), &Heard { topic: "tele/plug-1/SENSOR", payload: payload.as_bytes(), retain: false });
//! }
//! let devices = survey.devices();
//! let field = &devices[0].fields["AM2301/Temperature"];
//! assert_eq!((devices[0].dialect, field.signal.as_str(), field.unit.as_str()), ("tasmota", "am2301.temperature", "degC"));
//! assert_eq!(field.period_s(), Some(10.0));
//! ```

mod written;

pub use self::written::{double_scenario, doubles, mirror_scenario};

use super::{
    Asked, Listener, all,
    facts::{Fact, Facts, Value},
    homeassistant::DISCOVERY,
    names,
};
use std::collections::{BTreeMap, BTreeSet};
use twinfleet_engine::{
    dialect::{Heard, Utterance},
    units,
};

/// Devices and fields of each that are kept; what is beyond is counted.
const MAX_DEVICES: usize = 4096;
const MAX_FIELDS: usize = 512;
/// Intervals by which a period is judged, and rows kept of a device.
const MAX_GAPS: usize = 512;
const MAX_ROWS: usize = 20_000;
/// Values that come closer together than this are one row, [s].
const ONE_ROW_S: f64 = 0.05;
/// How long what a broker had kept waits for what explains it, [s], and how much of that waits.
const HELD_S: f64 = 1.0;
const MAX_HELD: usize = 65_536;
const MAX_HELD_BYTES: usize = 64 << 20;
/// Words that are told apart of what only happens.
const MAX_WORDS: usize = 256;
/// Topics of which it is known that the broker keeps what is said there, and how long each is at most, [bytes].
const MAX_KEPT: usize = 65_536;
const MAX_KEPT_BYTES: usize = 1024;

/// A field of a device.
#[derive(Clone, Debug, Default)]
pub struct Field {
    /// `part.quantity` by which a twin calls it.
    pub signal: String,
    /// Its unit as the device says it.
    pub said_unit: String,
    /// The unit in which a twin keeps it; `none` where the engine knows none.
    pub unit: String,
    /// What it measures, where the dialect declares it.
    quantity: String,
    topic: String,
    /// With which message it was declared last.
    declared_at: u64,
    /// The type of its values, where the dialect declares it.
    kind: &'static str,
    /// Of a field in a double of several devices: the device behind the node (empty: the node), and its name there.
    behind: Option<(String, String)>,
    /// Whether the device can be asked to set it; none where only trying shows that.
    pub settable: Option<bool>,
    /// Why its values cannot be told, if they cannot.
    pub unread: Option<String>,
    /// Last value heard.
    pub last: Option<Value>,
    /// Of what is no state and only happens, as a button's action: the words that it said, each once.
    words: Vec<String>,
    /// It was said to have no value, at least once.
    nulled: bool,
    /// Values heard that were not kept by the broker from before.
    pub count: u64,
    last_s: Option<f64>,
    gaps_s: Vec<f64>,
    /// Smallest step between two values, in the unit said; 0: it has not moved.
    step: f64,
}

impl Field {
    /// Whether a twin can follow it.
    pub fn is_number(&self) -> bool {
        self.last.as_ref().is_some_and(|v| v.number().is_some())
    }

    /// The usual time between two values, [s].
    pub fn period_s(&self) -> Option<f64> {
        let mut gaps = self.gaps_s.clone();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied()
    }

    /// Its name behind the hub, where it is of a double of several devices: a property behind a bridge is named after its device.
    fn own_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.behind.as_ref().map_or(name, |(_, own)| own.as_str())
    }

    /// A value in the unit in which a twin keeps it.
    fn kept(&self, value: f64) -> f64 {
        let own = units::find(&self.unit);
        own.and_then(|own| names::kept(value, &self.said_unit, own)).unwrap_or(value)
    }

    /// The last number heard, in the unit of [`Self::shown_unit`].
    pub fn last_number(&self) -> Option<f64> {
        // What the conversion adds in the last places was not measured.
        let kept = self.kept(self.last.as_ref()?.number()?);
        format!("{kept:.9e}").parse().ok()
    }

    /// The unit in which a twin keeps it, or the device's own where that is none that the engine knows.
    pub fn shown_unit(&self) -> &str {
        if self.unit == "none" && !self.said_unit.is_empty() { &self.said_unit } else { &self.unit }
    }

    /// The smallest step, in the unit in which a twin keeps it.
    fn quantum(&self) -> f64 {
        let step = self.kept(self.step) - self.kept(0.0);
        format!("{step:.3e}").parse().unwrap_or(0.0)
    }
}

/// A device that was recognised.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its dialect.
    pub dialect: &'static str,
    /// Its address there.
    pub address: String,
    /// The id of its twin.
    pub id: String,
    /// What it says about itself.
    pub about: BTreeMap<&'static str, String>,
    /// Whether it was last said to be there.
    pub online: Option<bool>,
    /// Its fields, by the dialect's own names.
    pub fields: BTreeMap<String, Field>,
    /// Options by which its double says what it says as the device did.
    pub own: BTreeMap<&'static str, String>,
    /// Whether the broker keeps what it says.
    is_kept: bool,
    /// Of several devices as one: what each says about itself, by its name behind the hub.
    parts: BTreeMap<String, BTreeMap<&'static str, String>>,
    rows: Vec<(f64, BTreeMap<String, f64>)>,
}

/// Who listens to everything.
pub struct Survey {
    listeners: Vec<Box<dyn Listener>>,
    devices: BTreeMap<(usize, String), Device>,
    facts: Facts,
    owed: Vec<Utterance>,
    /// What the broker had kept, by topic, until it is known what explains it: when it came, and the payload.
    held: BTreeMap<String, (f64, Vec<u8>)>,
    held_bytes: usize,
    held_since_s: f64,
    /// Topics on which the broker keeps what is said.
    kept: BTreeSet<String>,
    /// Messages heard.
    pub messages: u64,
    /// Messages of a dialect that could not be read.
    pub unreadable: u64,
    /// Messages that are no dialect's.
    pub unknown: u64,
    /// Devices or fields beyond what is kept.
    pub beyond: u64,
}

impl Default for Survey {
    fn default() -> Self {
        Self {
            listeners: all().iter().map(|d| d.listener(None)).collect(),
            devices: BTreeMap::new(),
            facts: Facts::default(),
            owed: Vec::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            held_since_s: 0.0,
            kept: BTreeSet::new(),
            messages: 0,
            unreadable: 0,
            unknown: 0,
            beyond: 0,
        }
    }
}

/// What has to be subscribed to: everything, and what `#` does not cover.
pub const FILTERS: [&str; 2] = ["#", "$aws/things/+/shadow/#"];

impl Survey {
    /// Takes a message in, which arrived so many seconds after the beginning.
    ///
    /// A broker tells what it had kept in an order of its own: a state may come before the discovery that says whose it is. So what
    /// explains itself is understood at once, and the rest of that a moment later.
    pub fn hear(&mut self, t_s: f64, heard: &Heard<'_>) {
        if self.held.is_empty() {
            self.held_since_s = t_s;
        } else if t_s - self.held_since_s > HELD_S {
            self.settle();
        }
        if heard.retain {
            self.kept(heard.topic);
        }
        if heard.retain && !explains_itself(heard.topic) && self.hold(t_s, heard) {
            return;
        }
        // What is newer has been heard.
        self.release(heard.topic);
        self.understand(t_s, heard);
    }

    /// Notes that the broker keeps what is said on a topic, as it shows by telling it to who has just come.
    pub fn kept(&mut self, topic: &str) {
        let fits = self.kept.len() < MAX_KEPT && topic.len() <= MAX_KEPT_BYTES;
        if fits && !self.kept.contains(topic) {
            self.kept.insert(topic.to_owned());
        }
    }

    /// Keeps a message for later, if there is room.
    fn hold(&mut self, t_s: f64, heard: &Heard<'_>) -> bool {
        self.release(heard.topic);
        let bytes = heard.topic.len() + heard.payload.len();
        let fits = self.held.len() < MAX_HELD && self.held_bytes + bytes <= MAX_HELD_BYTES;
        if fits {
            self.held_bytes += bytes;
            self.held.insert(heard.topic.to_owned(), (t_s, heard.payload.to_vec()));
        }
        fits
    }

    fn release(&mut self, topic: &str) {
        if let Some((_, payload)) = self.held.remove(topic) {
            self.held_bytes -= topic.len() + payload.len();
        }
    }

    /// Understands what was held back.
    fn settle(&mut self) {
        self.held_bytes = 0;
        for (topic, (t_s, payload)) in std::mem::take(&mut self.held) {
            self.understand(t_s, &Heard { topic: &topic, payload: &payload, retain: true });
        }
    }

    fn understand(&mut self, t_s: f64, heard: &Heard<'_>) {
        self.messages += 1;
        let mut facts = std::mem::take(&mut self.facts);
        for (d, dialect) in all().iter().enumerate() {
            facts.0.clear();
            let read = self.listeners[d].hear(heard, &mut facts);
            let owns = dialect.owns(heard.topic) || self.listeners[d].owns(heard.topic);
            if read.is_err() && owns {
                self.unreadable += 1;
            }
            let told = !facts.0.is_empty();
            for fact in facts.0.drain(..) {
                self.take(d, t_s, heard, fact);
            }
            if told || owns {
                self.facts = facts;
                return;
            }
        }
        self.unknown += 1;
        self.facts = facts;
    }

    fn take(&mut self, d: usize, t_s: f64, heard: &Heard<'_>, fact: Fact) {
        if let Fact::Owed(request) = fact {
            if self.owed.len() < MAX_DEVICES {
                self.owed.push(request);
            }
            return;
        }
        let Some(address) = fact.device().map(str::to_owned) else { return };
        let key = (d, address);
        if self.devices.len() >= MAX_DEVICES && !self.devices.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let device = self.devices.entry(key.clone()).or_insert_with(|| Device {
            dialect: all()[d].name(),
            address: key.1,
            id: String::new(),
            about: BTreeMap::new(),
            online: None,
            fields: BTreeMap::new(),
            own: BTreeMap::new(),
            is_kept: false,
            parts: BTreeMap::new(),
            rows: Vec::new(),
        });
        match fact {
            Fact::Online { online, .. } => device.online = Some(online),
            Fact::About { key, text, .. } => drop(device.about.insert(key, text)),
            Fact::Declared { field, unit, quantity, topic, kind, .. } => {
                if let Some(f) = device.field(&field, &mut self.beyond) {
                    (f.said_unit, f.quantity, f.topic, f.kind) = (unit, quantity, topic, kind);
                    f.declared_at = self.messages;
                }
            }
            Fact::Value { field, value, unit, .. } => {
                let number = match &value {
                    Value::Text(word) if device.dialect == "zigbee2mqtt" && field == ACTION => {
                        // What happened before is not happening.
                        device.word(&field, word, &mut self.beyond).filter(|_| !heard.retain)
                    }
                    said => said.number(),
                };
                if let Some(v) = number {
                    device.row(t_s, &field, v);
                }
                if let Some(f) = device.field(&field, &mut self.beyond) {
                    f.take(t_s, heard.retain, value, &unit);
                }
            }
            Fact::Unread { field, why, .. } => {
                if let Some(f) = device.field(&field, &mut self.beyond) {
                    f.unread = Some(why);
                }
            }
            Fact::Null { field, .. } => {
                if let Some(f) = device.field(&field, &mut self.beyond) {
                    f.nulled = true;
                }
            }
            Fact::Asked { .. }
            | Fact::Done { .. }
            | Fact::Refused { .. }
            | Fact::Silence { .. }
            | Fact::Owed(_) => {}
        }
    }

    /// By which configurations a device, or its bridge, announces it to Home Assistant, as an option of its double.
    fn announced(&self, address: &str) -> Option<(&'static str, String)> {
        let home = all().iter().position(|d| d.name() == "homeassistant")?;
        let own = self.listeners[home].own(address, &[], &|_| false);
        own.into_iter().find(|(option, _)| *option == DISCOVERY.0)
    }

    /// Requests that a host of these devices would send: for the names behind aliases. Whoever only listens leaves them.
    pub fn owed(&mut self) -> Vec<Utterance> {
        std::mem::take(&mut self.owed)
    }

    /// What was recognised, each with the names that its twin will have, in the order of dialect and address.
    pub fn devices(&mut self) -> Vec<Device> {
        self.settle();
        let is_kept = |topic: &str| self.kept.contains(topic);
        let settable = |((d, address), device): (&(usize, String), &Device)| {
            let mut device = device.clone();
            for (field, f) in device.fields.iter_mut().filter(|_| all()[*d].declares_commands()) {
                let Some(value) = &f.last else { continue };
                let asked = Asked { field, value, ts_unix_ms: 0 };
                f.settable = Some(self.listeners[*d].command(address, &asked).is_ok());
            }
            device.is_kept =
                is_kept(address) || device.fields.keys().any(|name| is_kept(&format!("{address}/{name}")));
            device
        };
        let mut found: Vec<Device> = self.devices.iter().map(settable).collect();
        // Home Assistant's discovery of what speaks a dialect of its own says nothing new.
        let learnt = |topic: &str| self.listeners.iter().position(|l| l.owns(topic));
        let owned = |topic: &str| {
            all().iter().any(|d| d.name() != "homeassistant" && d.owns(topic)) || learnt(topic).is_some()
        };
        // What a hub said before it was known for one is none's own; and what a mirror publishes of its twins is no device.
        for d in found.iter_mut().filter(|d| d.dialect == "topics") {
            let address = d.address.clone();
            d.fields.retain(|name, _| learnt(&format!("{address}/{name}")).is_none());
        }
        found.retain(|d| {
            let by = learnt(&d.address).or_else(|| learnt(&format!("{}/", d.address)));
            // Of a mirror's own presence nothing is left.
            let is_status = d.fields.is_empty() && learnt(&format!("{}/status", d.address)).is_some();
            let is_own = by.is_none_or(|by| all()[by].name() == d.dialect);
            is_own && !d.about.contains_key("twin") && !is_status
        });
        for d in found.iter_mut().filter(|d| d.dialect == "homeassistant") {
            d.fields.retain(|_, f| f.last.is_some() || !owned(&f.topic));
        }
        of_their_latest_device(&mut found);
        // Who says no more than that it is there may have been met before it showed in which dialect it speaks.
        let speaking: BTreeSet<String> =
            found.iter().filter(|d| !d.fields.is_empty()).map(|d| d.address.clone()).collect();
        let is_presence = |d: &Device| {
            let is_anothers = || says_status(d) && speaking.contains(&d.address);
            d.fields.is_empty() && (d.dialect == "homeassistant" || is_anothers())
        };
        let presence: BTreeMap<String, bool> = found
            .iter()
            .filter(|d| is_presence(d))
            .filter_map(|d| Some((d.address.clone(), d.online?)))
            .collect();
        found.retain(|d| !is_presence(d));
        // What only ever was asked, or told of itself, is no device that can be followed; but it is listed if it spoke.
        found.retain(|d| !d.fields.is_empty() || d.online.is_some() || d.dialect != "topics");
        for d in &mut found {
            let Some(listener) = all().iter().position(|known| known.name() == d.dialect) else { continue };
            let fields: Vec<&str> = d.doubled().map(|(name, _)| name.as_str()).collect();
            d.own = self.listeners[listener].own(&d.address, &fields, &is_kept).into_iter().collect();
            if matches!(d.dialect, "esphome" | "zigbee2mqtt") {
                d.own = self.announced(&d.address).into_iter().collect();
            }
        }
        let mut ids = BTreeSet::new();
        for d in &mut found {
            d.online = d.online.or_else(|| presence.get(&d.address).copied());
            d.name_fields();
            let base = names::plain(&d.address.replace("%prefix%", "")).replace('_', "-");
            let mut id = base.clone();
            for n in 2.. {
                if ids.insert(id.clone()) {
                    break;
                }
                id = format!("{base}-{n}");
            }
            d.id = id;
        }
        found
    }
}

/// What a bridge calls what somebody did at a button.
const ACTION: &str = "action";

/// Whether a message on this topic is understood without another: what dialects call their own, and the list by which a bridge with a
/// base topic of its own is known.
fn explains_itself(topic: &str) -> bool {
    topic.ends_with("/bridge/devices") || all().iter().any(|d| d.owns(topic))
}

/// Whether its dialect tells beside the address whether a device is there, on `<address>/status`, as several do alike.
fn says_status(device: &Device) -> bool {
    let status = format!("{}/status", device.address);
    super::find(device.dialect).is_some_and(|d| d.filters(&device.address).contains(&status))
}

/// An entity that Home Assistant's discovery declared of one device, and of another once more of them were known, is of the latter.
fn of_their_latest_device(found: &mut [Device]) {
    let mut latest: BTreeMap<(String, String), (u64, Option<Value>)> = BTreeMap::new();
    for (name, f) in found
        .iter()
        .filter(|d| d.dialect == "homeassistant")
        .flat_map(|d| &d.fields)
        .filter(|(_, f)| f.declared_at > 0)
    {
        let (at, last) = latest.entry((name.clone(), f.topic.clone())).or_default();
        *at = f.declared_at.max(*at);
        *last = f.last.clone().or(last.take());
    }
    for d in found.iter_mut().filter(|d| d.dialect == "homeassistant") {
        d.fields.retain(|name, f| {
            let Some((at, last)) = latest.get(&(name.clone(), f.topic.clone())) else { return true };
            if f.last.is_none() {
                f.last.clone_from(last);
            }
            f.declared_at == *at
        });
    }
}

impl Field {
    fn take(&mut self, t_s: f64, retained: bool, value: Value, unit: &str) {
        if !unit.is_empty() {
            unit.clone_into(&mut self.said_unit);
        }
        if let (Some(now), Some(before)) = (value.number(), self.last.as_ref().and_then(Value::number)) {
            let step = (now - before).abs();
            // What subtracting has added in the last places is no step.
            if step > now.abs().max(before.abs()) * 1e-9 && (self.step == 0.0 || step < self.step) {
                self.step = step;
            }
        }
        self.last = Some(value);
        // What the broker had kept says nothing of the rhythm.
        if retained {
            return;
        }
        self.count += 1;
        if let Some(before) = self.last_s.replace(t_s)
            && self.gaps_s.len() < MAX_GAPS
        {
            self.gaps_s.push(t_s - before);
        }
    }
}

impl Device {
    fn field(&mut self, name: &str, beyond: &mut u64) -> Option<&mut Field> {
        if self.fields.len() >= MAX_FIELDS && !self.fields.contains_key(name) {
            *beyond += 1;
            return None;
        }
        Some(self.fields.entry(name.to_owned()).or_default())
    }

    /// The place of a word among those that a field said; none where it said too many.
    fn word(&mut self, field: &str, word: &str, beyond: &mut u64) -> Option<f64> {
        let words = &mut self.field(field, beyond)?.words;
        let known = words.iter().position(|w| w == word);
        if known.is_none() && words.len() < MAX_WORDS {
            words.push(word.to_owned());
        }
        known.or_else(|| words.iter().position(|w| w == word)).map(|at| at as f64)
    }

    fn row(&mut self, t_s: f64, field: &str, value: f64) {
        let room = self.rows.len() < MAX_ROWS;
        match self.rows.last_mut() {
            Some((t, row)) if t_s - *t < ONE_ROW_S => {
                row.insert(field.to_owned(), value);
            }
            _ if room => self.rows.push((t_s, BTreeMap::from([(field.to_owned(), value)]))),
            _ => {}
        }
    }

    /// Gives each field its signal and the unit in which a twin keeps it.
    fn name_fields(&mut self) {
        let mut taken = BTreeSet::new();
        for (field, f) in &mut self.fields {
            let said =
                f.last.as_ref().map_or(f.said_unit.as_str(), |v| names::unit_of_value(v, &f.said_unit));
            let base = names::signal_of(field, &f.quantity, said);
            let mut signal = base.clone();
            for n in 2.. {
                if taken.insert(signal.clone()) {
                    break;
                }
                let (part, quantity) = base.split_once('.').unwrap_or((&base, "x"));
                signal = format!("{part}_{n}.{quantity}");
            }
            let quantity = names::quantity(&signal);
            let unit = units::of_quantity(quantity).or_else(|| units::find(said));
            f.unit = unit.map_or("none", |u| u.symbol).to_owned();
            f.signal = signal;
        }
    }

    /// The fields that a twin follows: numbers that are the device's business, not its upkeep.
    pub fn followed(&self) -> impl Iterator<Item = (&String, &Field)> {
        self.fields.iter().filter(move |(name, f)| self.is_followed(name, f))
    }

    fn is_followed(&self, name: &str, f: &Field) -> bool {
        let own = f.own_name(name);
        // Of what Tasmota says of its state, a light's and a fan's levels are their business.
        let of_state = own.strip_prefix("STATE/");
        let is_upkeep = of_state.is_some_and(|own| !matches!(own, "CT" | "Dimmer" | "FanSpeed" | "White"))
            || matches!(own, "linkquality" | "version")
            || own.starts_with("update/");
        f.is_number() && !is_upkeep && !self.is_word(name, f) && !self.is_action(name, f)
    }

    /// Whether it is what somebody did at a button: it happens, and is no state that a twin could follow.
    fn is_action(&self, name: &str, f: &Field) -> bool {
        self.dialect == "zigbee2mqtt" && f.own_name(name) == ACTION
    }

    /// Whether it is one word of several, even where that would mean on or off: `off` of a climate's modes, `open` of a select's.
    fn is_word(&self, name: &str, field: &Field) -> bool {
        let levels: Vec<&str> = name.split('/').collect();
        let takes_words = match levels[..] {
            ["select" | "text" | "text_sensor", _] => true,
            [kind, _, _] => kind != "light",
            _ => false,
        };
        self.dialect == "esphome" && takes_words && matches!(field.last, Some(Value::Text(_)))
    }

    /// The shortest period of what is followed, [s].
    pub fn period_s(&self) -> Option<f64> {
        self.followed().filter_map(|(_, f)| f.period_s()).min_by(f64::total_cmp)
    }

    /// The fields that a double says anew with each report; the others it repeats as they were.
    fn doubled(&self) -> impl Iterator<Item = (&String, &Field)> {
        let has = |option: &str| {
            super::find(self.dialect).is_some_and(|d| d.options().iter().any(|(k, _)| *k == option))
        };
        let (repeats, has_words) = (has("also"), has("words"));
        self.fields.iter().filter(move |(name, f)| {
            if self.is_action(name, f) || !self.is_followed(name, f) {
                return self.is_action(name, f) && !f.words.is_empty();
            }
            let is_state = f.last.as_ref().is_some_and(Value::is_state);
            // A bridge says in words what it declares, or what its groups are.
            let is_own = self.dialect != "zigbee2mqtt" || !f.topic.is_empty() || self.is_group(f);
            !repeats
                || matches!(f.last, Some(Value::Number(_)))
                || name.starts_with("POWER")
                || (is_state && has_words && is_own)
        })
    }

    /// Whether a field is of a group of devices, which no bridge declares.
    fn is_group(&self, field: &Field) -> bool {
        let part = field.behind.as_ref().and_then(|(device, _)| self.parts.get(device));
        part.unwrap_or(&self.about).contains_key("members")
    }

    fn map<'a>(fields: impl Iterator<Item = (&'a String, &'a Field)>) -> String {
        // A Sparkplug metric has a name of its device's; a property behind a bridge is named after its device's name.
        let name = |field: &'a String, f: &'a Field| match &f.behind {
            Some((_, name)) if !f.kind.is_empty() => name,
            _ => field,
        };
        let pairs: Vec<String> =
            fields.map(|(field, f)| format!("{:?}: {:?}", f.signal, name(field, f))).collect();
        format!("{{{}}}", pairs.join(", "))
    }

    /// What was heard as a table: seconds, then one column a followed field, in the units in which a twin keeps them.
    pub fn table(&self) -> String {
        let fields: Vec<(&String, &Field)> = self.doubled().collect();
        let mut out = String::from("t_s");
        for (_, f) in &fields {
            out += &format!(",{}", f.signal);
        }
        out.push('\n');
        let mut last = f64::NEG_INFINITY;
        for (t, row) in &self.rows {
            // Times of a recording ascend, to the millisecond.
            let t_s = (t * 1e3).round() / 1e3;
            if t_s <= last || !fields.iter().any(|(name, _)| row.contains_key(*name)) {
                continue;
            }
            last = t_s;
            out += &format!("{t_s:.3}");
            for (name, f) in &fields {
                let cell = row.get(*name).map_or_else(String::new, |v| format!("{}", f.kept(*v)));
                out += &format!(",{cell}");
            }
            out.push('\n');
        }
        out
    }

    /// Rows of [`Self::table`].
    pub fn rows(&self) -> usize {
        self.rows.len()
    }
}
