//! Payloads: how a device's readings become the bytes of a message.
//!
//! ```
//! use twinfleet_engine::{firmware::payload::{Codec, Report}, scenario::PayloadDef};
//! let names = ["bme280.temperature".to_owned(), "bme280.humidity".to_owned()];
//! let report = Report {
//!     device: "node-7", zone: "north", seq: 3, ts_unix_ms: 1_767_225_600_000, battery_v: None, rssi_dbm: None, values: &[21.5, 40.25],
//! };
//! let mut bytes = Vec::new();
//! Codec::new(&PayloadDef::Json, &names).unwrap().render(&report, &mut bytes);
//! assert_eq!(bytes, br#"{"ts":1767225600000,"bme280.temperature":21.5,"bme280.humidity":40.25}"#);
//! bytes.clear();
//! let text = PayloadDef::Template("{device} {bme280.temperature:.2} {{ok}} {time}".to_owned());
//! Codec::new(&text, &names).unwrap().render(&report, &mut bytes);
//! assert_eq!(bytes, b"node-7 21.50 {ok} 2026-01-01T00:00:00.000Z");
//! ```

use crate::scenario::{PayloadDef, calendar};
use std::io::Write;

/// What a message tells.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Device id.
    pub device: &'a str,
    /// Zone id.
    pub zone: &'a str,
    /// Sequence number.
    pub seq: u64,
    /// The device's own time, Unix, [ms].
    pub ts_unix_ms: i64,
    /// Battery voltage, [V]; none on the mains.
    pub battery_v: Option<f64>,
    /// Received power, [dBm]; none where the link is no radio.
    pub rssi_dbm: Option<f64>,
    /// Readings in the order of the codec's names; NaN: no reading.
    pub values: &'a [f64],
}

/// Why a template could not be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// A brace without its counterpart.
    #[error("the payload template has a `{0}` without its counterpart: write `{0}{0}` for a brace itself")]
    Brace(char),
    /// A placeholder that nothing fills.
    #[error(
        "nothing is named `{name}`: a payload template may hold {{device}}, {{zone}}, {{seq}}, {{ts}}, {{time}}, {{battery_v}}, {{rssi_dbm}} and the readings {readings}"
    )]
    Unknown {
        /// What was written.
        name: String,
        /// Names of the thing's readings.
        readings: String,
    },
    /// A format other than `.N`.
    #[error("`{0}` is no format: write `:.2` for two decimals, at most `:.17`")]
    Format(String),
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Value(usize, Option<usize>),
    Device,
    Zone,
    Seq,
    Ts,
    Time,
    Battery(Option<usize>),
    Rssi(Option<usize>),
}

/// A compiled payload format.
#[derive(Clone, Debug)]
pub struct Codec(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Each reading's `,"name":`.
    Json(Vec<Vec<u8>>),
    Template(Vec<Piece>),
}

impl Codec {
    /// The codec of a definition, over readings of these names (`part.quantity`).
    pub fn new(def: &PayloadDef, names: &[String]) -> Result<Self, TemplateError> {
        Ok(Self(match def {
            PayloadDef::Json => Form::Json(names.iter().map(|n| key(n)).collect()),
            PayloadDef::Template(text) => Form::Template(parse(text, names)?),
            // A dialect has a voice of its own.
            PayloadDef::Dialect { .. } => Form::Template(Vec::new()),
        }))
    }

    /// Appends the payload. In JSON a missing reading has no key; in a template it is `null`.
    pub fn render(&self, report: &Report, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Json(keys) => {
                out.extend(b"{\"ts\":");
                put(out, format_args!("{}", report.ts_unix_ms));
                for (key, value) in keys.iter().zip(report.values).filter(|(_, v)| v.is_finite()) {
                    out.extend(key);
                    number(out, *value, None);
                }
                out.push(b'}');
            }
            Form::Template(pieces) => {
                for piece in pieces {
                    fill(piece, report, out);
                }
            }
        }
    }
}

fn key(name: &str) -> Vec<u8> {
    // Names come from files: serde_json escapes what they may hold.
    let quoted = serde_json::Value::from(name).to_string();
    format!(",{quoted}:").into_bytes()
}

fn fill(piece: &Piece, report: &Report, out: &mut Vec<u8>) {
    match piece {
        Piece::Text(text) => out.extend(text.as_bytes()),
        Piece::Value(i, decimals) => {
            number(out, report.values.get(*i).copied().unwrap_or(f64::NAN), *decimals)
        }
        Piece::Device => out.extend(report.device.as_bytes()),
        Piece::Zone => out.extend(report.zone.as_bytes()),
        Piece::Seq => put(out, format_args!("{}", report.seq)),
        Piece::Ts => put(out, format_args!("{}", report.ts_unix_ms)),
        // Years that a device cannot have are cut to what the calendar holds.
        Piece::Time => out.extend(calendar::text(report.ts_unix_ms.saturating_mul(1_000_000)).bytes()),
        Piece::Rssi(decimals) => number(out, report.rssi_dbm.unwrap_or(f64::NAN), *decimals),
        Piece::Battery(decimals) => number(out, report.battery_v.unwrap_or(f64::NAN), *decimals),
    }
}

/// The shortest text that reads back as the same number, or so many decimals.
fn number(out: &mut Vec<u8>, value: f64, decimals: Option<usize>) {
    match decimals {
        _ if !value.is_finite() => out.extend(b"null"),
        Some(n) => put(out, format_args!("{value:.n$}")),
        None => put(out, format_args!("{value}")),
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

fn parse(text: &str, names: &[String]) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                plain.push(c);
            }
            '}' => return Err(TemplateError::Brace('}')),
            '{' => {
                let mut inside = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) if c != '{' => inside.push(c),
                        _ => return Err(TemplateError::Brace('{')),
                    }
                }
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(placeholder(&inside, names)?);
            }
            _ => plain.push(c),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

fn placeholder(inside: &str, names: &[String]) -> Result<Piece, TemplateError> {
    let (name, decimals) = match inside.split_once(':') {
        Some((name, format)) => (name, Some(decimals(format)?)),
        None => (inside, None),
    };
    Ok(match name {
        "device" => Piece::Device,
        "zone" => Piece::Zone,
        "seq" => Piece::Seq,
        "ts" => Piece::Ts,
        "time" => Piece::Time,
        "battery_v" => Piece::Battery(decimals),
        "rssi_dbm" => Piece::Rssi(decimals),
        _ => match names.iter().position(|n| n == name) {
            Some(i) => Piece::Value(i, decimals),
            None => {
                return Err(TemplateError::Unknown { name: name.to_owned(), readings: names.join(", ") });
            }
        },
    })
}

fn decimals(format: &str) -> Result<usize, TemplateError> {
    let n = format.strip_prefix('.').and_then(|n| n.parse().ok()).filter(|n| *n <= 17);
    n.ok_or_else(|| TemplateError::Format(format.to_owned()))
}
