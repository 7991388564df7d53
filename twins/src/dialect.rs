//! The dialects that devices speak over MQTT, each one file behind one trait: what it reads, what it writes.
//!
//! Reading order: [`Dialect`] (the contract) → [`facts`] (what a message can say) → [`names`] (how a dialect's words become
//! `part.quantity`) → [`tree`] (bounded walks through JSON) → one file a dialect. [`all`] is the registry; `ears` binds a
//! listener to one twin; [`survey`] listens to everything.
//!
//! A dialect is added by one file here and one line in [`all`]. Azure, WoT, DTDL and CoAP are not here yet.
//!
//! ```
//! use twinfleet_twins::dialect::{self, facts::{Fact, Facts}};
//! use twinfleet_engine::dialect::Heard;
//! let tasmota = dialect::find("tasmota").unwrap();
//! let mut facts = Facts::default();
//! let payload = br#"{"Time":"2026-11-28T12:00:00","AM2301":{"Temperature":69.8},"TempUnit":"F"}"#;
//! let heard = Heard { topic: "tele/plug-1/SENSOR", payload, retain: false };
//! tasmota.listener(Some("plug-1")).hear(&heard, &mut facts).unwrap();
//! assert!(facts.0.iter().any(|f| matches!(f, Fact::Value { field, unit, .. }
//!     if field == "AM2301/Temperature" && unit == "degF")));
//! ```

pub mod aws_shadow;
pub mod cbor;
mod ears;
pub mod esphome;
pub mod facts;
pub mod homeassistant;
pub mod json;
pub mod names;
mod place;
pub mod senml;
pub mod sparkplug;
pub mod survey;
pub mod tasmota;
pub mod template;
pub mod topics;
pub mod tree;
pub mod zigbee2mqtt;

use facts::{Facts, Value};
use std::{collections::BTreeMap, sync::Arc};
use twinfleet_engine::{
    dialect::{
        self as seam, DialectError, Dialects, Ear, EarSpec, Heard, Unasked, Utterance, Voice, VoiceSpec,
    },
    mirror::decode::DecodeError,
};

/// A dialect: how devices of a kind say what they measure.
pub trait Dialect: Send + Sync {
    /// Its name in scenarios.
    fn name(&self) -> &'static str;
    /// What it is, in a sentence.
    fn about(&self) -> &'static str;
    /// What specifies it.
    fn source(&self) -> &'static str;
    /// What a scenario's `topic` is in this dialect.
    fn address(&self) -> &'static str {
        "the topic of its messages"
    }
    /// What is wrong with an address, if anything is.
    fn problem(&self, _address: &str) -> Option<String> {
        None
    }
    /// What one has to hear to follow the device at this address; where nothing else is said, it and the presence beside it.
    fn filters(&self, address: &str) -> Vec<String> {
        vec![address.to_owned(), format!("{address}/status")]
    }
    /// What one has to hear to find devices.
    fn everywhere(&self) -> &'static [&'static str] {
        &["#"]
    }
    /// Whether a topic can be of no other dialect, as far as one can tell.
    fn owns(&self, _topic: &str) -> bool {
        false
    }
    /// Someone who understands it: the device at an address, or every device.
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener>;
    /// Keys that a publish's `options` may have, each with what it does.
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// A device that speaks it.
    ///
    /// # Errors
    /// When the device cannot speak it so.
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError>;
    /// How long a device's silence is nothing unusual before its rhythm is known, [s]; none where the dialect has no rhythm of its
    /// own.
    fn usual_silence_s(&self) -> Option<f64> {
        None
    }
    /// Whether its devices can be asked to set something ([`Listener::command`]).
    fn commands(&self) -> bool {
        false
    }
    /// Whether a device, or who announces it, tells which of its fields can be set. Where none does, only trying shows it.
    fn declares_commands(&self) -> bool {
        self.commands()
    }
}

/// What a device is asked to set.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The dialect's name of the field.
    pub field: &'a str,
    /// The value that it shall have, as the device says it.
    pub value: &'a Value,
    /// When it is asked, Unix [ms].
    pub ts_unix_ms: i64,
}

/// Someone who understands a dialect. It remembers what the dialect makes it remember, within bounds.
pub trait Listener: Send + Sync {
    /// Takes a message in. One that is none of this dialect's adds no fact, and is no error unless its topic can be of no
    /// other dialect.
    ///
    /// # Errors
    /// When the payload cannot be read.
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError>;
    /// Whether a topic can be of no other dialect, by what was heard: it is of a hub whose base topic was not known before.
    fn owns(&self, _topic: &str) -> bool {
        false
    }
    /// Options by which a voice says these fields of the device at an address as that said them itself; `is_kept` says of a topic
    /// whether the broker keeps what is said there. None where a voice needs none for that, or too little was heard.
    fn own(
        &self,
        _address: &str,
        _fields: &[&str],
        _is_kept: &dyn Fn(&str) -> bool,
    ) -> Vec<(&'static str, String)> {
        Vec::new()
    }
    /// The message that asks the device at an address to set a field, by what was heard of it.
    ///
    /// # Errors
    /// When it has no such field, only measures it, or has not told yet how it is asked.
    fn command(&self, _address: &str, asked: &Asked<'_>) -> Result<Utterance, Unasked> {
        Err(never(asked.field, "this dialect has no commands"))
    }
}

/// Why a field of a device cannot be set.
pub(crate) fn never(field: &str, why: &str) -> Unasked {
    Unasked::Never(format!("`{field}`: {why}"))
}

/// Every dialect. Discovery asks them in this order whose a message is, the most particular first.
pub fn all() -> &'static [&'static dyn Dialect] {
    &[
        &sparkplug::Sparkplug,
        &aws_shadow::AwsShadow,
        &tasmota::Tasmota,
        &zigbee2mqtt::Zigbee2Mqtt,
        &esphome::EspHome,
        &homeassistant::HomeAssistant,
        &senml::SenMl { cbor: false },
        &senml::SenMl { cbor: true },
        &cbor::Cbor,
        &json::Json,
        &topics::Topics,
    ]
}

/// The dialect of this name.
pub fn find(name: &str) -> Option<&'static dyn Dialect> {
    all().iter().copied().find(|d| d.name() == name)
}

/// All dialects as the engine asks for them: `catalog.dialects`.
pub fn for_engine() -> seam::Dialect {
    seam::Dialect::of(Arc::new(Registry))
}

struct Registry;

fn wrong(field: &'static str, key: &str, message: impl Into<String>, help: Option<String>) -> DialectError {
    DialectError { field, key: key.to_owned(), message: message.into(), help }
}

fn known(name: &str) -> Result<&'static dyn Dialect, DialectError> {
    find(name).ok_or_else(|| wrong("name", "", format!("there is no dialect `{name}`"), None))
}

fn addressed(dialect: &dyn Dialect, address: &str) -> Result<(), DialectError> {
    match dialect.problem(address) {
        Some(problem) => Err(wrong(
            "topic",
            "",
            problem,
            Some(format!("in `{}` it is {}", dialect.name(), dialect.address())),
        )),
        None => Ok(()),
    }
}

impl Dialects for Registry {
    fn names(&self) -> Vec<&'static str> {
        all().iter().map(|d| d.name()).collect()
    }

    fn ear(&self, spec: &EarSpec<'_>) -> Result<Box<dyn Ear>, DialectError> {
        let dialect = known(spec.dialect)?;
        addressed(dialect, spec.topic)?;
        Ok(Box::new(ears::BoundEar::new(dialect, spec)))
    }

    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        let dialect = known(spec.dialect)?;
        addressed(dialect, spec.topic)?;
        if spec.topic.contains(['+', '#']) {
            return Err(wrong("topic", "", "a device speaks at one address, without wildcards", None));
        }
        let known: Vec<&str> = dialect.options().iter().map(|(k, _)| *k).collect();
        if let Some(key) = spec.options.keys().find(|k| !known.contains(&k.as_str())) {
            let help = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
            let text = format!("`{}` has no option `{key}`", dialect.name());
            return Err(wrong("options", key, text, Some(format!("its options: {help}"))));
        }
        if let Some(key) = spec.map.keys().find(|k| !spec.signals.iter().any(|(s, _)| s == *k)) {
            return Err(wrong("map", key, format!("the device reports no `{key}`"), None));
        }
        dialect.voice(spec)
    }

    fn commands(&self, dialect: &str) -> bool {
        find(dialect).is_some_and(Dialect::commands)
    }
}

/// A signal as a voice says it: the dialect's own field, and the unit of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Spoken {
    /// `part.quantity`.
    pub signal: String,
    /// Levels of the dialect's name of it.
    pub path: Vec<String>,
    /// Unit of the values, the engine's; empty where it has none.
    pub unit: String,
    /// Unit in which the device says them; the same unless [`said_in`] tells another.
    pub said_unit: String,
}

impl Spoken {
    /// A value as the device says it.
    pub fn said(&self, value: f64) -> f64 {
        names::told(value, &self.unit, &self.said_unit)
    }

    /// What the device is told, in the unit of its values.
    pub fn heard(&self, value: f64) -> f64 {
        use twinfleet_engine::units;
        let kept = || names::kept(value, &self.said_unit, units::find(&self.unit)?);
        if self.unit == self.said_unit { value } else { kept().map_or(value, rounded) }
    }

    /// The dialect's name of it.
    pub fn field(&self) -> String {
        self.path.join("/")
    }
}

/// Nine digits after the point: what a conversion adds in the last places, a device would not print.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// Key and text of the option by which a voice says values in units of its own.
pub(crate) const UNITS: (&str, &str) =
    ("units", "a JSON object, signal to the unit in which the device says it, such as \"mV\"");

/// Key and text of the option by which a voice says what is off or on in words of its own.
pub(crate) const WORDS: (&str, &str) = (
    "words",
    "a JSON object, signal to what it says for 0 and for 1: {\"door.contact\": [false, true], \"door.lock\": [\"UNLOCK\", \"LOCK\"]}",
);

/// Signals with the units of the option `units`.
pub(crate) fn said_in(
    signals: Vec<Spoken>,
    options: &BTreeMap<String, String>,
) -> Result<Vec<Spoken>, DialectError> {
    let units = object(options, "units")?;
    let one = |s: Spoken| match units.get(&s.signal).and_then(serde_json::Value::as_str) {
        Some(unit) => Spoken { said_unit: names::unit_of(unit), ..s },
        None => s,
    };
    Ok(signals.into_iter().map(one).collect())
}

/// What a voice says of: each signal with its field, by the map or by `default`.
pub fn spoken(spec: &VoiceSpec<'_>, default: impl Fn(&str, &str) -> Vec<String>) -> Vec<Spoken> {
    let one = |(signal, unit): &(String, String)| {
        let path = match spec.map.get(signal) {
            Some(field) => field.split('/').map(str::to_owned).collect(),
            None => {
                let (part, quantity) = signal.split_once('.').unwrap_or(("main", signal));
                default(part, quantity)
            }
        };
        Spoken { signal: signal.clone(), path, unit: unit.clone(), said_unit: unit.clone() }
    };
    spec.signals.iter().map(one).collect()
}

/// An option that has to be one of some words; the first is the default.
pub(crate) fn option<'a>(
    options: &'a BTreeMap<String, String>,
    key: &str,
    words: &[&'a str],
) -> Result<&'a str, DialectError> {
    let Some(word) = options.get(key) else { return Ok(words[0]) };
    if words.contains(&word.as_str()) {
        return Ok(word);
    }
    let help = format!("write {}", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(" or "));
    Err(wrong("options", key, format!("`{word}` is nothing that `{key}` can be"), Some(help)))
}

/// An option that is a JSON object; empty where it is not given.
pub(crate) fn object(
    options: &BTreeMap<String, String>,
    key: &str,
) -> Result<serde_json::Map<String, serde_json::Value>, DialectError> {
    match options.get(key).map(|text| tree::read(text.as_bytes())) {
        None => Ok(serde_json::Map::new()),
        Some(Ok(serde_json::Value::Object(map))) => Ok(map),
        Some(_) => {
            let help = "write it in quotes, such as \"{\\\"Id\\\":\\\"0A\\\"}\"";
            Err(wrong("options", key, format!("`{key}` is no JSON object"), Some(help.into())))
        }
    }
}

/// What a voice says besides its readings: the option `also`, a JSON object.
pub(crate) fn also(
    options: &BTreeMap<String, String>,
) -> Result<serde_json::Map<String, serde_json::Value>, DialectError> {
    object(options, "also")
}

/// What signals say for off and for on: the option `words`, by the place of the signal.
pub(crate) fn words(
    options: &BTreeMap<String, String>,
    signals: &[Spoken],
) -> Result<BTreeMap<usize, [serde_json::Value; 2]>, DialectError> {
    let mut words = BTreeMap::new();
    for (signal, both) in object(options, WORDS.0)? {
        let Some(place) = signals.iter().position(|s| s.signal == signal) else {
            return Err(wrong("options", WORDS.0, format!("the device reports no `{signal}`"), None));
        };
        let Some([off, on]) = both.as_array().map(Vec::as_slice) else {
            let what = format!("`{signal}` in `{}` is no list of two", WORDS.0);
            return Err(wrong("options", WORDS.0, what, None));
        };
        words.insert(place, [off.clone(), on.clone()]);
    }
    Ok(words)
}

/// A voice's hardware address: the option `mac`, or one of the device's own.
pub(crate) fn mac(spec: &VoiceSpec<'_>) -> Result<[u8; 6], DialectError> {
    let Some(text) = spec.options.get("mac") else { return Ok(hardware_address(spec.device)) };
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let mut mac = [0; 6];
    let fits = digits.len() == 12 && digits.is_ascii();
    for (i, byte) in mac.iter_mut().enumerate().take(if fits { 6 } else { 0 }) {
        match u8::from_str_radix(&digits[2 * i..2 * i + 2], 16) {
            Ok(b) => *byte = b,
            Err(_) => return Err(wrong("options", "mac", format!("`{text}` is no hardware address"), None)),
        }
    }
    if fits {
        Ok(mac)
    } else {
        Err(wrong(
            "options",
            "mac",
            format!("`{text}` is no hardware address"),
            Some("twelve hexadecimal digits".into()),
        ))
    }
}

/// A message of a voice.
pub(crate) fn say(topic: impl Into<String>, payload: impl Into<Vec<u8>>, qos: u8, retain: bool) -> Utterance {
    Utterance { topic: topic.into(), payload: payload.into(), qos, retain }
}

/// Six bytes that are a device's own and always the same, as its hardware address would be; locally administered.
pub(crate) fn hardware_address(device: &str) -> [u8; 6] {
    // FNV-1a, 64 bits: nothing secret hangs on it.
    let hash = device
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3));
    let b = hash.to_be_bytes();
    [0x02 | (b[0] & 0xf8), b[1], b[2], b[3], b[4], b[5]]
}

/// A hardware address as text, without separators.
pub(crate) fn hex(address: [u8; 6], upper: bool) -> String {
    address.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
}
