//! The seam between the engine and the dialects that devices speak: ears that make values of messages, voices that make
//! messages of readings. The engine knows no dialect; what [`Dialects`] hands out is kept behind these traits, as estimators
//! are behind theirs.
//!
//! ```
//! use twinfleet_engine::dialect::{Dialect, EarSpec};
//! let none = Dialect::default();
//! assert!(none.names().is_empty());
//! let spec = EarSpec { dialect: "tasmota", topic: "plug-1", signals: &[], map: &Default::default() };
//! assert!(none.ear(&spec).is_err());
//! ```

use crate::{firmware::payload::Report, message::Message, mirror::decode::DecodeError, time::SimTime};
use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

/// A message as somebody hears it.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// MQTT topic, without the run's prefix.
    pub topic: &'a str,
    /// MQTT payload.
    pub payload: &'a [u8],
    /// MQTT retain flag.
    pub retain: bool,
}

/// One value that a message told a twin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToldValue {
    /// Which of the twin's signals.
    pub signal: usize,
    /// How much, in the engine's unit of that quantity.
    pub value: f64,
    /// When, by the device's own clock, Unix [ms]; none where it does not say.
    pub ts_ms: Option<f64>,
}

/// What a message told a twin.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Values, in the order of the message.
    pub values: Vec<ToldValue>,
    /// Whether the device said, or its broker, that it is there or gone; the last word counts.
    pub presence: Option<bool>,
    /// Silence that the device declares to be usual, or its dialect for it, [s].
    pub allowed_silence_s: Option<f64>,
    /// What it said besides: fields that no signal is bound to, as text. They are kept, not dropped.
    pub other: Vec<(String, String)>,
    /// Messages that the listener owes the device: a request for a new birth, say.
    pub replies: Vec<Utterance>,
    /// Why the device does not do what this ear asked of it, as it says itself.
    pub refusals: Vec<String>,
}

impl Told {
    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.values.clear();
        self.presence = None;
        self.allowed_silence_s = None;
        self.other.clear();
        self.replies.clear();
        self.refusals.clear();
    }
}

/// What a device is asked to have.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// A number; of a signal, in the engine's unit of its quantity.
    Number(f64),
    /// On or off.
    Flag(bool),
    /// A word of the device's own.
    Text(String),
}

/// What of a device is to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim<'a> {
    /// A signal of the twin, by its place.
    Signal(usize),
    /// A field by the dialect's own name.
    Field(&'a str),
}

/// What is asked of a device.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// What is to be set.
    pub aim: Aim<'a>,
    /// To what.
    pub value: &'a Wanted,
    /// When it is asked, Unix [ms].
    pub ts_unix_ms: i64,
}

/// Why a device was not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// It has not said yet what has to be known for that: how its field is called, or its topic of commands.
    #[error("{0}")]
    NotYet(String),
    /// It cannot be: it has no such field, or only measures it.
    #[error("{0}")]
    Never(String),
}

/// A twin's ear for one device in one dialect. It may remember what it heard: names behind aliases, units of a discovery.
pub trait Ear: Send + Sync {
    /// The topics that it has to hear.
    fn filters(&self) -> Vec<String>;
    /// Takes a message in, in the order of arrival.
    ///
    /// # Errors
    /// When the payload is none of this dialect, or too large. A message that says nothing about the device is no error.
    fn hear(&mut self, heard: &Heard<'_>, told: &mut Told) -> Result<(), DecodeError>;
    /// The message that asks the device to set something, in its own words and units as far as they were heard.
    ///
    /// # Errors
    /// When it cannot be asked, or not yet.
    fn command(&mut self, order: &Order<'_>) -> Result<Utterance, Unasked>;
}

/// A message that a device publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Utterance {
    /// MQTT topic.
    pub topic: String,
    /// MQTT payload.
    pub payload: Vec<u8>,
    /// MQTT quality of service, 0–2.
    pub qos: u8,
    /// MQTT retain flag.
    pub retain: bool,
}

impl Utterance {
    /// The message that a publisher hands over at an instant, due at once.
    pub fn sent(self, t: SimTime, publisher: u32, seq: u64) -> Message {
        Message {
            sent: t,
            due: t,
            publisher,
            seq,
            topic: self.topic.into(),
            payload: self.payload.into(),
            qos: self.qos,
            retain: self.retain,
        }
    }
}

/// A virtual device's voice: what a device of its kind would publish, and when.
pub trait Voice: Send + Sync {
    /// The topics that the device subscribes to.
    fn filters(&self) -> Vec<String> {
        Vec::new()
    }
    /// A new connection begins, at this Unix time [ms]: its last will, which the broker publishes if the connection breaks.
    fn will(&mut self, ts_unix_ms: i64) -> Option<Utterance>;
    /// What the device says once it is connected, before its first report.
    fn connect(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>);
    /// What it says of its readings.
    fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>);
    /// What a message on one of its topics tells it to set: places among its signals, and values in their units. Of what it
    /// does not have, or only measures, it sets nothing.
    fn told_to(&self, _heard: &Heard<'_>, _set: &mut Vec<(usize, f64)>) {}
    /// What it says to a message on one of its topics. `report` is the last one, with what it was told to set.
    fn answer(&mut self, _heard: &Heard<'_>, _report: &Report<'_>, _out: &mut Vec<Utterance>) {}
}

/// Whom an ear is for.
#[derive(Clone, Copy, Debug)]
pub struct EarSpec<'a> {
    /// Name of the dialect.
    pub dialect: &'a str,
    /// The device's address in that dialect: what `topic` says, `{device}` filled in.
    pub topic: &'a str,
    /// The twin's signals, `part.quantity`.
    pub signals: &'a [&'a str],
    /// `part.quantity` → the dialect's own name of it, where it is not the one that the dialect gives by itself.
    pub map: &'a BTreeMap<String, String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug)]
pub struct VoiceSpec<'a> {
    /// Name of the dialect.
    pub dialect: &'a str,
    /// The device's address in that dialect: what `topic` says, `{device}` and `{zone}` filled in.
    pub topic: &'a str,
    /// Device id.
    pub device: &'a str,
    /// What it reports: `part.quantity` and the unit of its values.
    pub signals: &'a [(String, String)],
    /// `part.quantity` → the dialect's own name of it.
    pub map: &'a BTreeMap<String, String>,
    /// What else the dialect lets one choose.
    pub options: &'a BTreeMap<String, String>,
}

/// Why a dialect cannot be heard or spoken so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DialectError {
    /// The field that is wrong: `name`, `topic`, `map` or `options`.
    pub field: &'static str,
    /// The key within `map` or `options`; else empty.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
}

/// A set of dialects.
pub trait Dialects: Send + Sync {
    /// Their names, in the order in which they are listed.
    fn names(&self) -> Vec<&'static str>;
    /// An ear.
    ///
    /// # Errors
    /// When there is no such dialect, or the address is none of it.
    fn ear(&self, spec: &EarSpec<'_>) -> Result<Box<dyn Ear>, DialectError>;
    /// A voice.
    ///
    /// # Errors
    /// When there is no such dialect, or the device cannot speak it.
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError>;
    /// Whether devices of this dialect can be asked to set something.
    fn commands(&self, dialect: &str) -> bool;
}

/// The dialects of a catalog; by default none.
#[derive(Clone, Default)]
pub struct Dialect(Option<Arc<dyn Dialects>>);

impl Dialect {
    /// These dialects.
    pub fn of(all: Arc<dyn Dialects>) -> Self {
        Self(Some(all))
    }

    fn missing(name: &str) -> DialectError {
        let message = format!("there is no dialect `{name}`");
        DialectError { field: "name", key: String::new(), message, help: None }
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.as_ref().map_or_else(Vec::new, |d| d.names())
    }

    /// See [`Dialects::ear`].
    ///
    /// # Errors
    /// As there.
    pub fn ear(&self, spec: &EarSpec<'_>) -> Result<Box<dyn Ear>, DialectError> {
        self.0.as_ref().ok_or_else(|| Self::missing(spec.dialect))?.ear(spec)
    }

    /// See [`Dialects::commands`].
    pub fn commands(&self, dialect: &str) -> bool {
        self.0.as_ref().is_some_and(|d| d.commands(dialect))
    }

    /// See [`Dialects::voice`].
    ///
    /// # Errors
    /// As there.
    pub fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        self.0.as_ref().ok_or_else(|| Self::missing(spec.dialect))?.voice(spec)
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialect").field(&self.names()).finish()
    }
}

/// A device as a broker sees it connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: String,
    /// What the broker publishes if the connection breaks.
    pub will: Option<Utterance>,
    /// What it subscribes to.
    pub filters: Vec<String>,
}

/// A voice and whether its device is connected, as a physical or a lane of a cohort keeps it.
///
/// What it was told to set stays so, whatever its recording or sensor says from then on, until it is told otherwise.
pub struct Speaker {
    voice: Box<dyn Voice>,
    will: Option<Utterance>,
    connected: bool,
    /// By signal, what it was told to set; NaN: nothing. Empty where it never was told.
    set: Vec<f64>,
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("connected", &self.connected).finish_non_exhaustive()
    }
}

impl Speaker {
    /// A device that is not connected yet.
    pub fn new(voice: Box<dyn Voice>) -> Self {
        Self { voice, will: None, connected: false, set: Vec::new() }
    }

    /// The topics that it subscribes to.
    pub fn filters(&self) -> Vec<String> {
        self.voice.filters()
    }

    /// What it was told to set, by signal; NaN: nothing.
    pub fn set(&self) -> &[f64] {
        &self.set
    }

    /// Readings with what it was told to set in place of those that there are, or of all.
    fn as_set<'a>(&self, values: &'a [f64], all: bool) -> Cow<'a, [f64]> {
        if self.set.is_empty() {
            return Cow::Borrowed(values);
        }
        let of = |(v, set): (&f64, &f64)| if set.is_nan() || v.is_nan() && !all { *v } else { *set };
        values.iter().zip(&self.set).map(of).collect()
    }

    /// Its readings, after a greeting where it just connected.
    pub fn report(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        self.connect(report, out);
        let values = self.as_set(report.values, false);
        self.voice.report(&Report { values: &values, ..*report }, out);
    }

    /// Connects, if it is not.
    pub fn connect(&mut self, report: &Report<'_>, out: &mut Vec<Utterance>) {
        let values = self.as_set(report.values, false);
        let report = &Report { values: &values, ..*report };
        if !std::mem::replace(&mut self.connected, true) {
            self.will = self.voice.will(report.ts_unix_ms);
            self.voice.connect(report, out);
        }
    }

    /// Its last will, while it is connected.
    pub fn last_will(&self) -> Option<&Utterance> {
        self.will.as_ref()
    }

    /// The connection breaks: what the broker then publishes.
    pub fn lost(&mut self) -> Option<Utterance> {
        self.connected = false;
        self.will.take()
    }

    /// Does what a message tells it to, and its answer to it.
    pub fn answer(&mut self, heard: &Heard<'_>, report: &Report<'_>, out: &mut Vec<Utterance>) {
        if !self.connected {
            return;
        }
        let mut told = Vec::new();
        self.voice.told_to(heard, &mut told);
        for (signal, value) in told.into_iter().filter(|(s, v)| *s < report.values.len() && v.is_finite()) {
            self.set.resize(report.values.len(), f64::NAN);
            self.set[signal] = value;
        }
        let values = self.as_set(report.values, true);
        self.voice.answer(heard, &Report { values: &values, ..*report }, out);
    }
}
