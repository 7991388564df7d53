//! SenML (RFC 8428) in JSON and in CBOR: packs of records whose names, times, units and values have bases.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! let payload = br#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.320067464e9,"n":"temp","u":"Cel","v":23.1},{"n":"rh","u":"%RH","v":41}]"#;
//! let heard = Heard { topic: "lab/probe", payload, retain: false };
//! find("senml").unwrap().listener(Some("lab/probe")).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("lab/probe")["temp"], 23.1);
//! ```

use super::{
    Dialect, Listener, Spoken, cbor,
    facts::{Facts, Value},
    json, names,
    place::{self, Place},
    spoken, tree,
};
use ciborium::Value as Item;
use serde_json::{Map, Value as Json, json as tree_of};
use std::borrow::Cow;
use twinfleet_engine::{
    dialect::{DialectError, Heard, Utterance, Voice, VoiceSpec},
    firmware::payload::Report,
    mirror::decode::DecodeError,
};

/// Times below this count from now (RFC 8428 § 4.5.3), [s].
const RELATIVE_S: f64 = 268_435_456.0;
/// The version of SenML that is read (§ 4.4); a pack of a later one is refused.
const VERSION: i64 = 10;
/// Labels and their numbers in CBOR (§ 6, table 4).
const LABELS: [(&str, i64); 15] = [
    ("bver", -1),
    ("bn", -2),
    ("bt", -3),
    ("bu", -4),
    ("bv", -5),
    ("bs", -6),
    ("n", 0),
    ("u", 1),
    ("v", 2),
    ("vs", 3),
    ("vb", 4),
    ("s", 5),
    ("t", 6),
    ("ut", 7),
    ("vd", 8),
];

/// The dialect, in one of its two forms.
pub struct SenMl {
    /// Whether it is written in CBOR.
    pub cbor: bool,
}

impl Dialect for SenMl {
    fn name(&self) -> &'static str {
        if self.cbor { "senml-cbor" } else { "senml" }
    }
    fn about(&self) -> &'static str {
        if self.cbor { "SenML packs in CBOR" } else { "SenML packs in JSON" }
    }
    fn source(&self) -> &'static str {
        "RFC 8428; presence on `<topic>/status` as online/offline"
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears { cbor: self.cbor, topic: address.map(str::to_owned) })
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let signals = spoken(spec, |part, quantity| vec![part.to_owned(), quantity.to_owned()]);
        let device = spec.device.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        Ok(Box::new(Speaks { cbor: self.cbor, place: Place::of(spec, ["no", "yes"])?, device, signals }))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &place::OPTIONS
    }
}

/// SenML's units (RFC 8428 § 12.1 and RFC 8798) and the engine's symbols; of several for one symbol, the first is written.
const UNITS: &[(&str, &str)] = &[
    ("Cel", "degC"),
    ("K", "K"),
    ("%", "percent"),
    ("%RH", "percent"),
    ("%EL", "percent"),
    ("/", "ratio"),
    ("Pa", "Pa"),
    ("hPa", "hPa"),
    ("lx", "lx"),
    ("V", "V"),
    ("mV", "mV"),
    ("A", "A"),
    ("mA", "mA"),
    ("W", "W"),
    ("kW", "kW"),
    ("J", "J"),
    ("Wh", "Wh"),
    ("kWh", "kWh"),
    ("m", "m"),
    ("mm", "mm"),
    ("cm", "cm"),
    ("m/s", "m/s"),
    ("m/s2", "m/s2"),
    ("rad", "rad"),
    ("deg", "deg"),
    ("lat", "deg"),
    ("lon", "deg"),
    ("kg", "kg"),
    ("N", "N"),
    ("Hz", "Hz"),
    ("MHz", "MHz"),
    ("Ohm", "ohm"),
    ("ppm", "ppm"),
    ("W/m2", "W/m2"),
    ("T", "T"),
    ("dB", "dB"),
    ("s", "s"),
];

/// The engine's symbol of a SenML unit, or the best that its name says.
fn unit_in(senml: &str) -> Cow<'static, str> {
    match UNITS.iter().find(|(name, _)| *name == senml) {
        Some((_, symbol)) => Cow::Borrowed(symbol),
        None if senml.is_empty() => Cow::Borrowed(""),
        None => Cow::Owned(names::unit_of(senml)),
    }
}

/// The SenML unit of an engine's symbol; none where SenML has no such unit.
fn unit_out(symbol: &str) -> Option<&'static str> {
    UNITS.iter().find(|(_, known)| *known == symbol).map(|(name, _)| *name)
}

struct Hears {
    cbor: bool,
    topic: Option<String>,
}

/// A pack's records as JSON objects with the labels of § 4.
fn records(cbor: bool, payload: &[u8]) -> Result<Vec<Map<String, Json>>, DecodeError> {
    let list = if cbor {
        let Item::Array(list) = cbor::read(payload)? else { return Err(DecodeError::Shape) };
        list.iter().map(from_cbor).collect::<Result<Vec<_>, _>>()?
    } else {
        let Json::Array(list) = tree::read(payload)? else { return Err(DecodeError::Shape) };
        list
    };
    if list.len() > tree::MAX_LEAVES {
        return Err(DecodeError::TooMuch);
    }
    list.into_iter()
        .map(|r| if let Json::Object(map) = r { Ok(map) } else { Err(DecodeError::Shape) })
        .collect()
}

fn from_cbor(item: &Item) -> Result<Json, DecodeError> {
    let Item::Map(pairs) = item else { return Err(DecodeError::Shape) };
    let mut map = Map::new();
    for (key, value) in pairs {
        let name = match key {
            Item::Integer(i) => {
                let wanted = i128::from(*i);
                let found = LABELS.iter().find(|(_, n)| i128::from(*n) == wanted);
                found.map_or_else(|| wanted.to_string(), |(l, _)| (*l).to_owned())
            }
            Item::Text(t) => t.clone(),
            _ => return Err(DecodeError::Shape),
        };
        map.insert(name, cbor::as_json(value));
    }
    Ok(Json::Object(map))
}

/// What the records before say of those that follow (§ 4.1).
#[derive(Default)]
struct Base {
    name: String,
    time_s: f64,
    unit: String,
    value: f64,
    sum: f64,
}

impl Base {
    fn take(&mut self, r: &Map<String, Json>) -> Result<(), DecodeError> {
        let number = |key: &str| match r.get(key) {
            None => Ok(None),
            Some(v) => v.as_f64().map(Some).ok_or(DecodeError::NotANumber),
        };
        let text = |key: &str| match r.get(key) {
            None => Ok(None),
            Some(v) => v.as_str().map(|s| Some(s.to_owned())).ok_or(DecodeError::Shape),
        };
        if r.get("bver").is_some_and(|v| v.as_i64().is_none_or(|v| v > VERSION)) {
            return Err(DecodeError::Shape);
        }
        // A label that ends in `_` must be understood, and none is (§ 4.4).
        if r.keys().any(|k| k.ends_with('_')) {
            return Err(DecodeError::Shape);
        }
        self.name = text("bn")?.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.unit = text("bu")?.unwrap_or_else(|| std::mem::take(&mut self.unit));
        self.time_s = number("bt")?.unwrap_or(self.time_s);
        self.value = number("bv")?.unwrap_or(self.value);
        self.sum = number("bs")?.unwrap_or(self.sum);
        Ok(())
    }
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if json::status(self.topic.as_deref(), heard, facts)
            || self.topic.as_ref().is_some_and(|t| t != heard.topic)
        {
            return Ok(());
        }
        let mut found = Facts::default();
        match read_pack(self.cbor, heard, &mut found) {
            // Of an unknown device, what is no pack is another dialect's.
            Err(_) if self.topic.is_none() => Ok(()),
            Err(why) => Err(why),
            Ok(()) => {
                facts.0.append(&mut found.0);
                Ok(())
            }
        }
    }
}

fn read_pack(cbor: bool, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
    let mut base = Base::default();
    for r in records(cbor, heard.payload)? {
        base.take(&r)?;
        let own = match r.get("n") {
            None => "",
            Some(n) => n.as_str().ok_or(DecodeError::Shape)?,
        };
        let field = if own.is_empty() { base.name.clone() } else { own.to_owned() };
        let unit = match r.get("u") {
            None => unit_in(&base.unit),
            Some(u) => unit_in(u.as_str().ok_or(DecodeError::Shape)?),
        };
        let t = match r.get("t") {
            None => base.time_s,
            Some(t) => base.time_s + t.as_f64().ok_or(DecodeError::NotANumber)?,
        };
        // A relative time says no more than the arrival does, which stands for it.
        let ts_ms = (t >= RELATIVE_S).then_some(t * 1e3);
        let mut said = |value| {
            if field.is_empty() {
                Err(DecodeError::Shape)
            } else {
                facts.value(heard.topic, field.clone(), value, unit.clone(), ts_ms);
                Ok(())
            }
        };
        match (r.get("v"), r.get("vb"), r.get("vs")) {
            (Some(v), ..) => said(Value::Number(base.value + v.as_f64().ok_or(DecodeError::NotANumber)?))?,
            (None, Some(v), _) => said(Value::Flag(v.as_bool().ok_or(DecodeError::Shape)?))?,
            (None, None, Some(v)) => {
                said(Value::Text(v.as_str().ok_or(DecodeError::Shape)?.chars().take(200).collect()))?;
            }
            (None, None, None) => match r.get("s") {
                Some(s) => {
                    let sum = base.sum + s.as_f64().ok_or(DecodeError::NotANumber)?;
                    facts.value(heard.topic, format!("{field}/sum"), Value::Number(sum), "", ts_ms);
                }
                // A base value alone is a value (§ 4.1: "v" is 0 where there is "bv").
                None if r.contains_key("bv") => said(Value::Number(base.value))?,
                None => {}
            },
        }
    }
    Ok(())
}

struct Speaks {
    cbor: bool,
    place: Place,
    device: String,
    signals: Vec<Spoken>,
}

impl Voice for Speaks {
    fn will(&mut self, _: i64) -> Option<Utterance> {
        self.place.will()
    }
    fn connect(&mut self, _: &Report<'_>, out: &mut Vec<Utterance>) {
        out.extend(self.place.greeting());
    }
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let mut pack = Vec::new();
        for (s, v) in self.signals.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
            let mut record = Map::new();
            if pack.is_empty() {
                record.insert("bn".to_owned(), Json::from(format!("{}:", self.device)));
                record.insert("bt".to_owned(), tree_of!(report.ts_unix_ms as f64 / 1e3));
            }
            record.insert("n".to_owned(), Json::from(s.path.join("/")));
            if let Some(unit) = unit_out(&s.unit) {
                record.insert("u".to_owned(), Json::from(unit));
            }
            record.insert("v".to_owned(), tree::number(*v));
            pack.push(record);
        }
        let payload =
            if self.cbor { cbor::write(&to_cbor(&pack)) } else { tree_of!(pack).to_string().into_bytes() };
        out.push(self.place.says(&self.place.topic, payload));
    }
}

fn to_cbor(pack: &[Map<String, Json>]) -> Item {
    let record = |r: &Map<String, Json>| {
        let pair = |(label, value): (&String, &Json)| {
            let key = LABELS.iter().find(|(l, _)| l == label).map_or(0, |(_, n)| *n);
            let value = match value {
                Json::String(s) => Item::Text(s.clone()),
                number => match number.as_i64() {
                    Some(i) => Item::Integer(i.into()),
                    None => Item::Float(number.as_f64().unwrap_or(f64::NAN)),
                },
            };
            (Item::Integer(key.into()), value)
        };
        Item::Map(r.iter().map(pair).collect())
    };
    Item::Array(pack.iter().map(record).collect())
}
