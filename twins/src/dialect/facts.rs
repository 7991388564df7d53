//! What a message can say: values with unit and time, presence, what is declared, what is asked.
//!
//! ```
//! use twinfleet_twins::dialect::facts::Value;
//! assert_eq!(Value::Text("ON".into()).number(), Some(1.0));
//! assert_eq!(Value::Text("kitchen".into()).number(), None);
//! ```

use std::{borrow::Cow, fmt};
use twinfleet_engine::dialect::Utterance;

/// A value as a device says it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// On or off.
    Flag(bool),
    /// Anything else.
    Text(String),
}

/// Words that devices use for on and off.
const WORDS: [(&str, &str); 11] = [
    ("ON", "OFF"),
    ("on", "off"),
    ("On", "Off"),
    ("true", "false"),
    ("open", "closed"),
    ("Online", "Offline"),
    ("OPEN", "CLOSE"),
    ("OPEN", "CLOSED"),
    ("LOCK", "UNLOCK"),
    ("LOCKED", "UNLOCKED"),
    ("locked", "unlocked"),
];

/// No sensor says more than this, in any unit.
const LARGEST: f64 = 1e15;

impl Value {
    /// As a number: 1 and 0 for what is on and off, in the words that devices use for it.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(v) => (v.abs() <= LARGEST).then_some(*v),
            Self::Flag(v) => Some(f64::from(u8::from(*v))),
            Self::Text(text) => match text.as_str() {
                "ON" | "on" | "On" | "true" | "open" | "OPEN" | "online" | "Online" | "LOCK" | "LOCKED"
                | "locked" => Some(1.0),
                "OFF" | "off" | "Off" | "false" | "closed" | "CLOSE" | "CLOSED" | "offline" | "Offline"
                | "UNLOCK" | "UNLOCKED" | "unlocked" => Some(0.0),
                _ => text.trim().parse::<f64>().ok().filter(|v| v.abs() <= LARGEST),
            },
        }
    }
}

impl Value {
    /// On or off as a device says it that said this of the same field: in a word of its own, as a flag, or as a number.
    #[must_use]
    pub fn likewise(&self, on: bool) -> Self {
        let pair = |text: &str| WORDS.iter().find(|(yes, no)| *yes == text || *no == text);
        let number = || Self::Number(f64::from(u8::from(on)));
        match self {
            Self::Number(_) => number(),
            Self::Flag(_) => Self::Flag(on),
            Self::Text(text) => match pair(text) {
                Some((yes, no)) => Self::Text(if on { *yes } else { *no }.to_owned()),
                None => number(),
            },
        }
    }

    /// Whether it is a state, on or off, and no number.
    pub fn is_state(&self) -> bool {
        match self {
            Self::Number(_) => false,
            Self::Flag(_) => true,
            Self::Text(text) => WORDS.iter().any(|(yes, no)| yes == text || no == text),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(v) => v.fmt(f),
            Self::Flag(v) => v.fmt(f),
            Self::Text(v) => v.fmt(f),
        }
    }
}

/// One thing that a message says. Devices are told apart by their address, as a scenario's `topic` would give it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A value was reported.
    Value {
        /// Address of the device.
        device: String,
        /// The dialect's name of it; levels are parted by `/`.
        field: String,
        /// The value.
        value: Value,
        /// Its unit as the engine writes it, or as the device does where the engine knows none; empty: not said.
        unit: Cow<'static, str>,
        /// When, by the device's clock, Unix [ms].
        ts_ms: Option<f64>,
    },
    /// A field was declared: the device has it, whether or not it reports now.
    Declared {
        /// Address of the device.
        device: String,
        /// The dialect's name of it.
        field: String,
        /// Its unit.
        unit: String,
        /// What it measures, where the dialect says so: `temperature`.
        quantity: String,
        /// The topic that carries it, where the declaration says so.
        topic: String,
        /// The type of its values, where the dialect has types; else empty.
        kind: &'static str,
    },
    /// The device is there, or gone.
    Online {
        /// Address of the device.
        device: String,
        /// Whether it is there.
        online: bool,
    },
    /// Something about the device: `model`, `firmware`, `name`, ….
    About {
        /// Address of the device.
        device: String,
        /// What.
        key: &'static str,
        /// How it is.
        text: String,
    },
    /// Somebody asks the device to set a field.
    Asked {
        /// Address of the device.
        device: String,
        /// The dialect's name of it.
        field: String,
        /// The value wanted.
        value: Value,
    },
    /// The device says that it did as it was asked.
    Done {
        /// Address of the device.
        device: String,
        /// The dialect's name of it.
        field: String,
        /// The value as it is now.
        value: Value,
    },
    /// The device says that it does not do as it was asked.
    Refused {
        /// Address of the device.
        device: String,
        /// The dialect's name of what it was asked, or the last level of that; empty where it does not say.
        field: String,
        /// Why, in its own words.
        why: String,
    },
    /// A field is said to have no value now, as of a sensor that does not answer.
    Null {
        /// Address of the device.
        device: String,
        /// The dialect's name of it.
        field: String,
    },
    /// The values of a field cannot be told.
    Unread {
        /// Address of the device.
        device: String,
        /// The dialect's name of it.
        field: String,
        /// Why.
        why: String,
    },
    /// The device says how long its silence is nothing unusual.
    Silence {
        /// Address of the device.
        device: String,
        /// How long, [s].
        allowed_s: f64,
    },
    /// The listener owes the device a message: a request for a new birth.
    Owed(Utterance),
}

impl Fact {
    /// The device that it is about.
    pub fn device(&self) -> Option<&str> {
        match self {
            Self::Value { device, .. }
            | Self::Declared { device, .. }
            | Self::Online { device, .. }
            | Self::About { device, .. }
            | Self::Asked { device, .. }
            | Self::Unread { device, .. }
            | Self::Null { device, .. }
            | Self::Refused { device, .. }
            | Self::Silence { device, .. }
            | Self::Done { device, .. } => Some(device),
            Self::Owed(_) => None,
        }
    }

    /// The dialect's name of what it is about, where it is about a field.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Value { field, .. }
            | Self::Declared { field, .. }
            | Self::Asked { field, .. }
            | Self::Unread { field, .. }
            | Self::Null { field, .. }
            | Self::Refused { field, .. }
            | Self::Done { field, .. } => Some(field),
            Self::Online { .. } | Self::About { .. } | Self::Silence { .. } | Self::Owed(_) => None,
        }
    }
}

/// What a message said, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(pub Vec<Fact>);

impl Facts {
    /// Adds a value.
    pub fn value(
        &mut self,
        device: &str,
        field: impl Into<String>,
        value: Value,
        unit: impl Into<Cow<'static, str>>,
        ts_ms: Option<f64>,
    ) {
        let (device, field, unit) = (device.to_owned(), field.into(), unit.into());
        self.0.push(Fact::Value { device, field, value, unit, ts_ms });
    }

    /// Adds presence.
    pub fn online(&mut self, device: &str, online: bool) {
        self.0.push(Fact::Online { device: device.to_owned(), online });
    }

    /// Adds something about the device, unless it is empty.
    pub fn about(&mut self, device: &str, key: &'static str, text: &str) {
        if !text.is_empty() {
            let text = text.chars().take(200).collect();
            self.0.push(Fact::About { device: device.to_owned(), key, text });
        }
    }

    /// Adds a declaration.
    pub fn declared(&mut self, device: &str, field: &str, unit: &str, quantity: &str, topic: &str) {
        self.0.push(Fact::Declared {
            device: device.to_owned(),
            field: field.to_owned(),
            unit: unit.to_owned(),
            quantity: quantity.to_owned(),
            topic: topic.to_owned(),
            kind: "",
        });
    }

    /// Adds a declaration with the type of its values.
    pub fn declared_as(&mut self, device: &str, field: &str, unit: &str, kind: &'static str) {
        let (device, field, unit) = (device.to_owned(), field.to_owned(), unit.to_owned());
        let (quantity, topic) = (String::new(), String::new());
        self.0.push(Fact::Declared { device, field, unit, quantity, topic, kind });
    }

    /// Adds that the device does not do as it was asked, and why.
    pub fn refused(&mut self, device: &str, field: &str, why: &str) {
        let short = |text: &str| text.chars().take(200).collect();
        self.0.push(Fact::Refused { device: device.to_owned(), field: short(field), why: short(why) });
    }

    /// Adds that a field's values cannot be told, and why.
    pub fn unread(&mut self, device: &str, field: &str, why: &str) {
        let (device, field) = (device.to_owned(), field.to_owned());
        self.0.push(Fact::Unread { device, field, why: why.chars().take(200).collect() });
    }

    /// The values of one device by field, the last of each; for tests and for those who only want these.
    pub fn values_of(&self, wanted: &str) -> std::collections::BTreeMap<String, f64> {
        let number = |f: &Fact| match f {
            Fact::Value { device, field, value, .. } if device == wanted => {
                Some((field.clone(), value.number()?))
            }
            _ => None,
        };
        self.0.iter().filter_map(number).collect()
    }
}
