//! The protobuf of Sparkplug B (specification 3.0.0, chapter 6), as far as metrics of single values go; data sets, templates
//! and extensions are skipped when read.
//!
//! ```
//! use twinfleet_twins::dialect::sparkplug::payload::{self, Metric, Payload};
//! use prost::Message;
//! let sent = Payload { timestamp: Some(5), metrics: vec![Metric::named("t").double(21.5)], seq: Some(0), ..Payload::default() };
//! assert_eq!(payload::read(&sent.encode_to_vec()).unwrap(), sent);
//! ```

use crate::dialect::facts::Value;
use prost::Message;
use twinfleet_engine::mirror::decode::{DecodeError, MAX_PAYLOAD_BYTES};

/// Metrics of a payload at most.
const MAX_METRICS: usize = 4096;

/// A payload.
#[derive(Clone, PartialEq, Message)]
pub struct Payload {
    /// When it was sent, Unix [ms].
    #[prost(uint64, optional, tag = "1")]
    pub timestamp: Option<u64>,
    /// Its metrics.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
    /// Its sequence number, 0–255.
    #[prost(uint64, optional, tag = "3")]
    pub seq: Option<u64>,
    /// Schema of `body`.
    #[prost(string, optional, tag = "4")]
    pub uuid: Option<String>,
    /// Bytes of any kind.
    #[prost(bytes = "vec", optional, tag = "5")]
    pub body: Option<Vec<u8>>,
}

/// A metric.
#[derive(Clone, PartialEq, Message)]
pub struct Metric {
    /// Its name; in data it may be left out where a birth gave an alias.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A number that stands for the name.
    #[prost(uint64, optional, tag = "2")]
    pub alias: Option<u64>,
    /// When it was measured, Unix [ms].
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
    /// One of [`DataType`].
    #[prost(uint32, optional, tag = "4")]
    pub datatype: Option<u32>,
    /// It is from the past, told late.
    #[prost(bool, optional, tag = "5")]
    pub is_historical: Option<bool>,
    /// It is not to be stored.
    #[prost(bool, optional, tag = "6")]
    pub is_transient: Option<bool>,
    /// It has no value.
    #[prost(bool, optional, tag = "7")]
    pub is_null: Option<bool>,
    /// What is said about it, such as its unit.
    #[prost(message, optional, tag = "9")]
    pub properties: Option<PropertySet>,
    /// Its value.
    #[prost(oneof = "MetricValue", tags = "10, 11, 12, 13, 14, 15, 16")]
    pub value: Option<MetricValue>,
}

/// The value of a metric.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum MetricValue {
    /// Whole numbers up to 32 bits, as their two's complement.
    #[prost(uint32, tag = "10")]
    Int(u32),
    /// Whole numbers of 64 bits, and times.
    #[prost(uint64, tag = "11")]
    Long(u64),
    /// A number of 32 bits.
    #[prost(float, tag = "12")]
    Float(f32),
    /// A number of 64 bits.
    #[prost(double, tag = "13")]
    Double(f64),
    /// True or false.
    #[prost(bool, tag = "14")]
    Boolean(bool),
    /// A text.
    #[prost(string, tag = "15")]
    String(String),
    /// Bytes, or a packed list.
    #[prost(bytes = "vec", tag = "16")]
    Bytes(Vec<u8>),
}

/// Properties of a metric: as many values as keys.
#[derive(Clone, PartialEq, Message)]
pub struct PropertySet {
    /// Names.
    #[prost(string, repeated, tag = "1")]
    pub keys: Vec<String>,
    /// Values, in the order of the names.
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<Property>,
}

/// A property's value.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// One of [`DataType`].
    #[prost(uint32, optional, tag = "1")]
    pub kind: Option<u32>,
    /// It has none.
    #[prost(bool, optional, tag = "2")]
    pub is_null: Option<bool>,
    /// The value.
    #[prost(oneof = "PropertyValue", tags = "3, 4, 5, 6, 7, 8")]
    pub value: Option<PropertyValue>,
}

/// The value of a property.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PropertyValue {
    /// Whole numbers up to 32 bits.
    #[prost(uint32, tag = "3")]
    Int(u32),
    /// Whole numbers of 64 bits.
    #[prost(uint64, tag = "4")]
    Long(u64),
    /// A number of 32 bits.
    #[prost(float, tag = "5")]
    Float(f32),
    /// A number of 64 bits.
    #[prost(double, tag = "6")]
    Double(f64),
    /// True or false.
    #[prost(bool, tag = "7")]
    Boolean(bool),
    /// A text.
    #[prost(string, tag = "8")]
    String(String),
}

/// Types of single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum DataType {
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    UInt8 = 5,
    UInt16 = 6,
    UInt32 = 7,
    UInt64 = 8,
    Float = 9,
    Double = 10,
    Boolean = 11,
    String = 12,
    DateTime = 13,
    Text = 14,
}

impl DataType {
    /// All of them, in the order of their numbers, which begin at 1.
    pub const ALL: [Self; 14] = [
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::UInt8,
        Self::UInt16,
        Self::UInt32,
        Self::UInt64,
        Self::Float,
        Self::Double,
        Self::Boolean,
        Self::String,
        Self::DateTime,
        Self::Text,
    ];

    /// The type with this number, if it is one of a single value.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|k| *k as u32 == number)
    }

    /// The type of this name, as the specification writes it.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "Int8",
            Self::Int16 => "Int16",
            Self::Int32 => "Int32",
            Self::Int64 => "Int64",
            Self::UInt8 => "UInt8",
            Self::UInt16 => "UInt16",
            Self::UInt32 => "UInt32",
            Self::UInt64 => "UInt64",
            Self::Float => "Float",
            Self::Double => "Double",
            Self::Boolean => "Boolean",
            Self::String => "String",
            Self::DateTime => "DateTime",
            Self::Text => "Text",
        }
    }
}

impl MetricValue {
    /// True or false, if it is that.
    pub fn flag(&self) -> Option<bool> {
        if let Self::Boolean(b) = self { Some(*b) } else { None }
    }
}

impl Metric {
    /// A metric without a value yet.
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    fn with(self, kind: DataType, value: MetricValue) -> Self {
        Self { datatype: Some(kind as u32), value: Some(value), ..self }
    }

    /// With a number as this type tells it: the nearest whole one within its range, true where it is not 0, or a text.
    #[must_use]
    pub fn number(self, kind: DataType, v: f64) -> Self {
        // Signed values travel as the two's complement of their own width. Beyond its range `as` takes the nearest one.
        let value = match kind {
            DataType::Int8 => MetricValue::Int(u32::from(v.round() as i8 as u8)),
            DataType::Int16 => MetricValue::Int(u32::from(v.round() as i16 as u16)),
            DataType::Int32 => MetricValue::Int(v.round() as i32 as u32),
            DataType::Int64 => MetricValue::Long(v.round() as i64 as u64),
            DataType::UInt8 => MetricValue::Int(u32::from(v.round() as u8)),
            DataType::UInt16 => MetricValue::Int(u32::from(v.round() as u16)),
            DataType::UInt32 => MetricValue::Int(v.round() as u32),
            DataType::UInt64 | DataType::DateTime => MetricValue::Long(v.round() as u64),
            DataType::Float => MetricValue::Float(v as f32),
            DataType::Double => MetricValue::Double(v),
            DataType::Boolean => MetricValue::Boolean(v != 0.0),
            DataType::String | DataType::Text => MetricValue::String(v.to_string()),
        };
        self.with(kind, value)
    }

    /// With a number of 64 bits.
    #[must_use]
    pub fn double(self, v: f64) -> Self {
        self.with(DataType::Double, MetricValue::Double(v))
    }

    /// With true or false.
    #[must_use]
    pub fn boolean(self, v: bool) -> Self {
        self.with(DataType::Boolean, MetricValue::Boolean(v))
    }

    /// With a whole number of 64 bits, signed as `bdSeq` is.
    #[must_use]
    pub fn long(self, v: u64) -> Self {
        self.with(DataType::Int64, MetricValue::Long(v))
    }

    /// With a text.
    #[must_use]
    pub fn text(self, v: &str) -> Self {
        self.with(DataType::String, MetricValue::String(v.to_owned()))
    }

    /// Its value, by the type that `kind` states; none where it has none, or one that is no single value.
    pub fn read(&self, kind: Option<u32>) -> Option<Value> {
        if self.is_null == Some(true) {
            return None;
        }
        let is = |k: DataType| kind == Some(k as u32);
        Some(match self.value.as_ref()? {
            // Signed values travel as their two's complement, 32 bits wide whatever their own width.
            MetricValue::Int(v) if is(DataType::Int8) => Value::Number(f64::from(*v as u8 as i8)),
            MetricValue::Int(v) if is(DataType::Int16) => Value::Number(f64::from(*v as u16 as i16)),
            MetricValue::Int(v) if is(DataType::Int32) => Value::Number(f64::from(*v as i32)),
            MetricValue::Int(v) => Value::Number(f64::from(*v)),
            MetricValue::Long(v) if is(DataType::Int64) => Value::Number(*v as i64 as f64),
            MetricValue::Long(v) => Value::Number(*v as f64),
            // What is no number is no value.
            MetricValue::Float(v) => Value::Number(v.is_finite().then(|| shortest(*v))?),
            MetricValue::Double(v) => Value::Number(v.is_finite().then_some(*v)?),
            MetricValue::Boolean(v) => Value::Flag(*v),
            MetricValue::String(v) => Value::Text(v.chars().take(200).collect()),
            MetricValue::Bytes(_) => return None,
        })
    }

    /// Its engineering unit, if a property states it.
    pub fn unit(&self) -> Option<&str> {
        let set = self.properties.as_ref()?;
        let at = set
            .keys
            .iter()
            .position(|k| matches!(k.as_str(), "engUnit" | "EngUnit" | "unit" | "Units" | "units"))?;
        match &set.values.get(at)?.value {
            Some(PropertyValue::String(s)) => Some(s),
            _ => None,
        }
    }
}

/// The number that a person would have written for a float: 21.3, not 21.299999237.
fn shortest(v: f32) -> f64 {
    v.to_string().parse().unwrap_or(f64::from(v))
}

/// Reads a payload of a size that a node sends.
///
/// # Errors
/// When it is larger, has more metrics than a node has, or is no such protobuf.
pub fn read(bytes: &[u8]) -> Result<Payload, DecodeError> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeError::TooLong);
    }
    // An empty metric takes two bytes here and some 200 in memory, so that no payload of this size makes more than 30 MB.
    let payload = Payload::decode(bytes).map_err(|_| DecodeError::Shape)?;
    if payload.metrics.len() > MAX_METRICS {
        return Err(DecodeError::TooMuch);
    }
    Ok(payload)
}
