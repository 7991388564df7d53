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

use super::{
    Listener, all,
    facts::{Fact, Facts, Value},
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
/// Characters of a text from which on it may have been cut off.
const MAX_TEXT: usize = 200;
/// Values that come closer together than this are one row, [s].
const ONE_ROW_S: f64 = 0.05;

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
    /// The type of its values, where the dialect declares it.
    kind: &'static str,
    /// Of a field in a double of several devices: the device behind the node (empty: the node), and its name there.
    behind: Option<(String, String)>,
    /// Why its values cannot be told, if they cannot.
    pub unread: Option<String>,
    /// Last value heard.
    pub last: Option<Value>,
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
    pub fn hear(&mut self, t_s: f64, heard: &Heard<'_>) {
        self.messages += 1;
        let mut facts = std::mem::take(&mut self.facts);
        for (d, dialect) in all().iter().enumerate() {
            facts.0.clear();
            let read = self.listeners[d].hear(heard, &mut facts);
            let owns = dialect.owns(heard.topic);
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
            parts: BTreeMap::new(),
            rows: Vec::new(),
        });
        match fact {
            Fact::Online { online, .. } => device.online = Some(online),
            Fact::About { key, text, .. } => drop(device.about.insert(key, text)),
            Fact::Declared { field, unit, quantity, topic, kind, .. } => {
                if let Some(f) = device.field(&field, &mut self.beyond) {
                    (f.said_unit, f.quantity, f.topic, f.kind) = (unit, quantity, topic, kind);
                }
            }
            Fact::Value { field, value, unit, .. } => {
                if let Some(v) = value.number() {
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
            Fact::Asked { .. } | Fact::Done { .. } | Fact::Owed(_) => {}
        }
    }

    /// Requests that a host of these devices would send: for the names behind aliases. Whoever only listens leaves them.
    pub fn owed(&mut self) -> Vec<Utterance> {
        std::mem::take(&mut self.owed)
    }

    /// What was recognised, each with the names that its twin will have, in the order of dialect and address.
    pub fn devices(&self) -> Vec<Device> {
        let mut found: Vec<Device> = self.devices.values().cloned().collect();
        // Home Assistant's discovery of what speaks a dialect of its own says nothing new.
        let owned = |topic: &str| all().iter().any(|d| d.name() != "homeassistant" && d.owns(topic));
        for d in found.iter_mut().filter(|d| d.dialect == "homeassistant") {
            d.fields.retain(|_, f| f.last.is_some() || !owned(&f.topic));
        }
        let presence: BTreeMap<String, bool> = found
            .iter()
            .filter(|d| d.dialect == "homeassistant" && d.fields.is_empty())
            .filter_map(|d| Some((d.address.clone(), d.online?)))
            .collect();
        found.retain(|d| d.dialect != "homeassistant" || !d.fields.is_empty());
        // What only ever was asked, or told of itself, is no device that can be followed; but it is listed if it spoke.
        found.retain(|d| !d.fields.is_empty() || d.online.is_some() || d.dialect != "topics");
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
            let quantity = signal.rsplit('.').next().unwrap_or_default();
            let unit = units::of_quantity(quantity).or_else(|| units::find(said));
            f.unit = unit.map_or("none", |u| u.symbol).to_owned();
            f.signal = signal;
        }
    }

    /// The fields that a twin follows: numbers that are the device's business, not its upkeep.
    pub fn followed(&self) -> impl Iterator<Item = (&String, &Field)> {
        let upkeep = |name: &str| {
            name.starts_with("STATE/")
                || matches!(name, "linkquality" | "version")
                || name.starts_with("update/")
        };
        self.fields.iter().filter(move |(name, f)| f.is_number() && !upkeep(name))
    }

    /// The shortest period of what is followed, [s].
    pub fn period_s(&self) -> Option<f64> {
        self.followed().filter_map(|(_, f)| f.period_s()).min_by(f64::total_cmp)
    }

    /// The fields that a double says anew with each report; the others it repeats as they were.
    fn doubled(&self) -> impl Iterator<Item = (&String, &Field)> {
        let repeats =
            super::find(self.dialect).is_some_and(|d| d.options().iter().any(|(k, _)| *k == "also"));
        self.followed().filter(move |(name, f)| {
            !repeats || matches!(f.last, Some(Value::Number(_))) || name.starts_with("POWER")
        })
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

fn head(what: &str) -> String {
    format!("// Written by `twinfleet discover`: {what}\n")
}

/// The scenario that follows these devices: a thing and a twin of each.
pub fn mirror_scenario(devices: &[Device], broker: &str) -> String {
    let mut things = String::new();
    let mut mirror = String::new();
    for d in devices.iter().filter(|d| d.followed().next().is_some()) {
        let said: Vec<&str> =
            ["manufacturer", "model", "name"].iter().filter_map(|k| Some(d.about.get(k)?.as_str())).collect();
        let about = if said.is_empty() {
            d.dialect.to_owned()
        } else {
            format!("{}: {}", d.dialect, said.join(", "))
        };
        things += &format!(
            "        (\n            name: {:?},\n            about: {about:?},\n            source: \"heard by twinfleet discover\",\n            signals: [\n",
            d.id
        );
        for (_, f) in d.followed() {
            let quantum = f.quantum();
            let quantum = if quantum > 0.0 { format!(", quantum: {quantum:?}") } else { String::new() };
            things += &format!("                (signal: {:?}, unit: {:?}{quantum}),\n", f.signal, f.unit);
        }
        things += "            ],\n        ),\n";
        // Forecasts a few and a few dozen readings ahead.
        let period_s = d.period_s().unwrap_or(10.0).clamp(1.0, 3600.0).ceil();
        let horizons = [(6.0 * period_s).max(60.0), (30.0 * period_s).max(300.0)];
        mirror += &format!(
            "        (\n            twin: {0:?}, thing: {0:?},\n            bind: [(topic: {1:?}, decode: Dialect(name: {2:?}, map: {3}))],\n            forecast: (horizons: [\"{4}s\", \"{5}s\"], every: \"{6}s\"),\n        ),\n",
            d.id,
            d.address,
            d.dialect,
            Device::map(d.followed()),
            horizons[0],
            horizons[1],
            period_s
        );
    }
    let n = devices.iter().filter(|d| d.followed().next().is_some()).count();
    format!(
        "{}Scenario(\n    format: 1,\n    about: {:?},\n    duration: \"1h\",\n    step: \"1s\",\n    things: [\n{things}    ],\n    mirror: [\n{mirror}    ],\n)\n",
        head(&format!("what was heard on {broker}")),
        format!("Twins of {n} devices heard on {broker}")
    )
}

/// The scenario of doubles: each device as a recording of what was heard, in its own dialect. `tables` is the folder of the
/// tables, relative to the scenario.
pub fn double_scenario(devices: &[Device], broker: &str, tables: &str) -> String {
    let mut physicals = String::new();
    let mut longest: f64 = 1.0;
    for d in doubles(devices) {
        longest = longest.max(d.rows.last().map_or(1.0, |(t, _)| t.ceil() + 1.0));
        let columns: Vec<String> = d
            .doubled()
            .map(|(_, f)| {
                // The unit of a quantity that the engine does not know is the device's own, and is left as it is.
                let own = units::of_quantity(f.signal.rsplit('.').next().unwrap_or_default());
                let unit = own.map_or_else(String::new, |u| format!(" {}", u.symbol));
                format!("\"{0}@reported\": \"{0}{unit}\"", f.signal)
            })
            .collect();
        let options = d.options();
        physicals += &format!(
            "        (\n            id: {:?},\n            from: Recording(path: {:?}, time: \"t_s\", gaps: Offline, map: {{{}}}),\n            publish: (topic: {:?}, payload: Dialect(name: {:?}, map: {}{options})),\n        ),\n",
            d.id,
            format!("{tables}/{}.csv", d.id),
            columns.join(", "),
            d.address,
            d.dialect,
            Device::map(d.doubled())
        );
    }
    format!(
        "{}// Run in the devices' stead: `twinfleet replay THIS --as-devices --broker {broker}`\nScenario(\n    format: 1,\n    about: {:?},\n    duration: \"{}s\",\n    step: \"100ms\",\n    physicals: [\n{physicals}    ],\n)\n",
        head(&format!("doubles of what was heard on {broker}")),
        format!("Doubles of devices heard on {broker}"),
        longest
    )
}

/// The doubles that there can be: of each device that said something that a double can say. What lies behind one Sparkplug
/// node or one Zigbee bridge has one connection, so that it is one double.
pub fn doubles(devices: &[Device]) -> Vec<Device> {
    let mut hubs: BTreeMap<(&str, String), Vec<&Device>> = BTreeMap::new();
    let mut all = Vec::new();
    let speaks = |d: &&Device| d.doubled().next().is_some() && !d.rows.is_empty();
    for d in devices.iter().filter(speaks) {
        match d.hub() {
            Some((hub, _)) => hubs.entry((d.dialect, hub)).or_default().push(d),
            None => all.push(d.clone()),
        }
    }
    for ((dialect, hub), mut behind) in hubs {
        if dialect == "zigbee2mqtt" {
            // The bridge lists what says no number too.
            let is_there = |d: &&Device| d.dialect == dialect && d.hub().is_some_and(|(h, _)| h == hub);
            behind.extend(devices.iter().filter(is_there).filter(|d| !speaks(d)));
        }
        all.push(match behind[..] {
            [alone] => alone.clone(),
            _ => Device::hub_of(hub, &behind, devices),
        });
    }
    all
}

impl Device {
    /// What holds its connection where that is not itself, the Sparkplug node or the bridge, and its name behind it.
    fn hub(&self) -> Option<(String, &str)> {
        let levels = match self.dialect {
            "sparkplug" => 2,
            "zigbee2mqtt" => 1,
            _ => return None,
        };
        let parts: Vec<&str> = self.address.splitn(levels + 1, '/').collect();
        Some((parts[..levels.min(parts.len())].join("/"), parts.get(levels).copied().unwrap_or_default()))
    }

    fn behind(&self) -> &str {
        self.hub().map_or("", |(_, behind)| behind)
    }

    /// A node and the devices behind it as one: their fields side by side, and their rows in the order of time.
    fn hub_of(address: String, parts: &[&Self], all: &[Self]) -> Self {
        let mut id = names::plain(&address).replace('_', "-");
        while all.iter().any(|d| d.id == id && d.address != address) {
            id += "-node";
        }
        let mut fields = BTreeMap::new();
        let mut rows: BTreeMap<i64, BTreeMap<String, f64>> = BTreeMap::new();
        for d in parts {
            let key = |field: &str| format!("{}/{field}", d.behind());
            for (field, f) in &d.fields {
                let behind = Some((d.behind().to_owned(), field.clone()));
                fields.insert(key(field), Field { behind, ..f.clone() });
            }
            for (t, row) in &d.rows {
                let at = rows.entry((t * 1e3).round() as i64).or_default();
                at.extend(row.iter().map(|(field, v)| (key(field), *v)));
            }
        }
        let aliased = parts.iter().any(|d| d.about.get("alias").is_some_and(|a| a == "yes"));
        let mut node = Self {
            dialect: parts[0].dialect,
            address,
            id,
            about: BTreeMap::from([("alias", if aliased { "yes" } else { "no" }.to_owned())]),
            online: None,
            fields,
            parts: parts.iter().map(|d| (d.behind().to_owned(), d.about.clone())).collect(),
            rows: rows.into_iter().map(|(ms, row)| (ms as f64 / 1e3, row)).collect(),
        };
        node.name_fields();
        node
    }

    /// Of a double in a dialect with types: those of its signals, the devices that they are of, and what births say besides.
    fn typed(&self) -> Vec<(&'static str, serde_json::Map<String, serde_json::Value>)> {
        let object =
            |pairs: &mut dyn Iterator<Item = (String, &str)>| -> serde_json::Map<String, serde_json::Value> {
                pairs.map(|(k, v)| (k, serde_json::Value::from(v))).collect()
            };
        let doubled = || self.doubled().map(|(_, f)| f);
        let types = object(&mut doubled().filter(|f| !f.kind.is_empty()).map(|f| (f.signal.clone(), f.kind)));
        let devices = object(&mut doubled().filter_map(|f| {
            let (device, _) = f.behind.as_ref().filter(|(device, _)| !device.is_empty())?;
            Some((f.signal.clone(), device.as_str()))
        }));
        let mut fixed = serde_json::Map::new();
        for (field, f) in &self.fields {
            if let (Some(Value::Text(text)), false) = (&f.last, f.is_number() || f.kind.is_empty()) {
                let own = (self.behind().to_owned(), field.clone());
                let (device, name) = f.behind.as_ref().unwrap_or(&own);
                let said = serde_json::json!({ "type": f.kind, "value": text });
                let of = fixed.entry(device.clone()).or_insert_with(|| serde_json::json!({}));
                of[name.as_str()] = said;
            }
        }
        vec![("types", types), ("devices", devices), ("fixed", fixed)]
    }
}

impl Device {
    /// What its states say besides the doubled fields, as it was last; of one device of several, by its name there.
    fn also(&self, of: Option<&str>) -> serde_json::Map<String, serde_json::Value> {
        let mut also = serde_json::Map::new();
        for (field, f) in &self.fields {
            let own = match (&f.behind, of) {
                (Some((device, name)), Some(of)) if device == of => name,
                (_, None) => field,
                _ => continue,
            };
            let doubled = self.doubled().any(|(n, _)| n == field);
            let value = match &f.last {
                // A sensor that did not answer has its place.
                _ if f.nulled && (doubled || f.last.is_none()) => serde_json::Value::Null,
                Some(Value::Number(v)) if !doubled => super::tree::number(*v),
                Some(Value::Flag(v)) if !doubled => serde_json::Value::from(*v),
                Some(Value::Text(v)) if !doubled => serde_json::Value::from(v.as_str()),
                _ => continue,
            };
            if !own.starts_with("STATE/") && !own.starts_with("POWER") {
                let path: Vec<String> = own.split('/').map(str::to_owned).collect();
                super::tree::put(&mut also, &path, value);
            }
        }
        also.into_iter().map(|(key, value)| (key, super::tree::with_lists(value))).collect()
    }

    /// What a double has to be told so that it says the rest as the device does.
    fn options(&self) -> String {
        let known: Vec<&str> = super::find(self.dialect)
            .map_or_else(Vec::new, |d| d.options().iter().map(|(k, _)| *k).collect());
        let mut pairs = Vec::new();
        let quoted = |object: serde_json::Map<String, serde_json::Value>| {
            format!("{:?}", serde_json::Value::Object(object).to_string())
        };
        if known.contains(&"also") && self.parts.is_empty() {
            pairs.extend(
                Some(self.also(None)).filter(|a| !a.is_empty()).map(|a| format!("\"also\": {}", quoted(a))),
            );
        } else if known.contains(&"also") {
            let one = |(name, about): (&String, &BTreeMap<&'static str, String>)| {
                let mut said = serde_json::Map::new();
                for (key, option) in [("model", "model"), ("manufacturer", "vendor")] {
                    said.extend(about.get(key).map(|text| (option.to_owned(), text.as_str().into())));
                }
                said.insert("also".to_owned(), self.also(Some(name)).into());
                (name.clone(), serde_json::Value::Object(said))
            };
            pairs.push(format!("\"devices\": {}", quoted(self.parts.iter().map(one).collect())));
        }
        if known.contains(&"texts") {
            let text = |(field, f): (&String, &Field)| match &f.last {
                // What may have been cut off is none.
                Some(Value::Text(text)) if !f.is_number() && text.chars().count() < MAX_TEXT => {
                    Some((field.clone(), text.as_str().into()))
                }
                _ => None,
            };
            let texts: serde_json::Map<_, _> = self.fields.iter().filter_map(text).collect();
            pairs.extend(Some(texts).filter(|t| !t.is_empty()).map(|t| format!("\"texts\": {}", quoted(t))));
        }
        if known.contains(&"units") {
            let unit = |(_, f): (&String, &Field)| {
                let own = units::of_quantity(f.signal.rsplit('.').next().unwrap_or_default());
                let other = !matches!(f.said_unit.as_str(), "" | "none")
                    && own.is_none_or(|o| o.symbol != f.said_unit);
                other.then(|| (f.signal.clone(), f.said_unit.as_str().into()))
            };
            let said: serde_json::Map<_, _> = self.doubled().filter_map(unit).collect();
            pairs.extend(Some(said).filter(|u| !u.is_empty()).map(|u| format!("\"units\": {}", quoted(u))));
        }
        for (option, object) in if known.contains(&"types") { self.typed() } else { Vec::new() } {
            if !object.is_empty() {
                pairs.push(format!("{option:?}: {:?}", serde_json::Value::Object(object).to_string()));
            }
        }
        for (key, option) in [
            ("mac", "mac"),
            ("firmware", "version"),
            ("model", "model"),
            ("alias", "alias"),
            ("topic", "topic"),
            ("full_topic", "full_topic"),
        ] {
            if let (true, Some(text)) = (known.contains(&option), self.about.get(key)) {
                pairs.push(format!("{option:?}: {text:?}"));
            }
        }
        for (option, words) in
            [("pressure", &["mmHg", "inHg"][..]), ("speed", &["m/s", "kn", "mph", "ft/s", "yd/s"])]
        {
            let said = self.fields.values().find_map(|f| words.iter().find(|w| **w == f.said_unit));
            if let (true, Some(unit)) = (known.contains(&option), said) {
                pairs.push(format!("{option:?}: {unit:?}"));
            }
        }
        let fahrenheit = self.fields.values().any(|f| f.said_unit == "degF");
        if fahrenheit && known.contains(&"temperature") {
            pairs.push("\"temperature\": \"F\"".to_owned());
        }
        if pairs.is_empty() { String::new() } else { format!(", options: {{{}}}", pairs.join(", ")) }
    }
}
