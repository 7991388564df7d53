//! Simulated time: integer nanoseconds since the start of the run, and spans written by people.
//!
//! ```
//! use twinfleet_engine::time::{SimTime, Span};
//! let half_hour: Span = "30min".parse().unwrap();
//! assert_eq!((SimTime::ZERO + half_hour).as_secs_f64(), 1800.0);
//! assert_eq!("1h30min".parse::<Span>().unwrap().to_string(), "1h30min");
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, ops, str::FromStr};

/// An instant of simulated time, [ns] since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SimTime(pub i64);

/// A length of simulated time, [ns]; never negative when read from a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub i64);

/// Nanoseconds in one second.
pub const NS_PER_S: i64 = 1_000_000_000;

impl SimTime {
    /// The start of the run.
    pub const ZERO: Self = Self(0);
    /// Later than any instant of a run.
    pub const NEVER: Self = Self(i64::MAX);

    /// Seconds since the start of the run.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NS_PER_S as f64
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of `s` seconds, rounded to the nearest nanosecond.
    pub fn from_secs_f64(s: f64) -> Self {
        Self((s * NS_PER_S as f64).round() as i64)
    }

    /// A span of whole seconds.
    pub const fn from_secs(s: i64) -> Self {
        Self(s * NS_PER_S)
    }

    /// Its length in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NS_PER_S as f64
    }
}

impl ops::Add<Span> for SimTime {
    type Output = Self;
    fn add(self, d: Span) -> Self {
        Self(self.0.saturating_add(d.0))
    }
}

impl ops::Sub for SimTime {
    type Output = Span;
    fn sub(self, other: Self) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

const UNITS: [(&str, i64); 7] = [
    ("d", 86_400 * NS_PER_S),
    ("h", 3_600 * NS_PER_S),
    ("min", 60 * NS_PER_S),
    ("s", NS_PER_S),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Why a span could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SpanError {
    /// The text is not a number followed by a unit.
    #[error(
        "`{0}` is no duration: write a number and a unit, such as \"90s\", \"1h30min\", \"250ms\" or \"2d\""
    )]
    Shape(String),
    /// The value does not fit into 292 years, or is below zero.
    #[error("the duration `{0}` is out of range: write one of at least 0 s and below 292 years")]
    Range(String),
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let shape = || SpanError::Shape(text.to_owned());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(shape());
        }
        let mut total = 0f64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(shape)?;
            let number: f64 = rest[..digits].parse().map_err(|_| shape())?;
            rest = rest[digits..].trim_start();
            let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
            let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == &rest[..end]).ok_or_else(shape)?;
            total += number * *unit_ns as f64;
            rest = rest[end..].trim_start();
        }
        from_ns_f64(total, text)
    }
}

fn from_ns_f64(ns: f64, text: &str) -> Result<Span, SpanError> {
    if ns.is_finite() && (0.0..i64::MAX as f64).contains(&ns) {
        Ok(Span(ns.round() as i64))
    } else {
        Err(SpanError::Range(text.to_owned()))
    }
}

impl Span {
    /// As people read it: rounded, with decimals of the last unit.
    fn fmt_rounded(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, ns) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        if ns < NS_PER_S as u64 {
            let ms = (ns as f64 / 1e4).round() / 1e2;
            return write!(f, "{sign}{ms}ms");
        }
        let grain = if ns < 60 * NS_PER_S as u64 { 10_000_000 } else { 100_000_000 };
        let rounded = (ns + grain / 2) / grain * grain;
        f.write_str(sign)?;
        let mut rest = rounded;
        for (name, unit_ns) in &UNITS[..3] {
            let n = rest / *unit_ns as u64;
            if n > 0 {
                write!(f, "{n}{name}")?;
                rest %= *unit_ns as u64;
            }
        }
        if rest > 0 { write!(f, "{}s", rest as f64 / NS_PER_S as f64) } else { Ok(()) }
    }
}

/// Exact; with `{:#}` rounded as people read it, such as `7min5.5s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() && self.0 != 0 {
            return self.fmt_rounded(f);
        }
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        for (name, unit_ns) in UNITS {
            let n = rest / unit_ns as u64;
            if n > 0 {
                write!(f, "{n}{name}")?;
                rest %= unit_ns as u64;
            }
        }
        Ok(())
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"90s\", \"6h\" or a number of seconds")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Span, E> {
                v.parse().map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Span, E> {
                // Not with its three hundred digits, where somebody wrote 1e308.
                let shown = if v.abs() < 1e15 { v.to_string() } else { format!("{v:e}") };
                from_ns_f64(v * NS_PER_S as f64, &shown).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Span, E> {
                self.visit_f64(v as f64)
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Span, E> {
                self.visit_f64(v as f64)
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_for_people() {
        for (ns, text) in [
            (5_510_065_000, "5.51s"),
            (2_285_510_065_000, "38min5.5s"),
            (853_148, "0.85ms"),
            (3_600_000_000_000, "1h"),
        ] {
            assert_eq!(format!("{:#}", Span(ns)), text);
        }
    }

    #[test]
    fn spans_round_trip_and_refuse_nonsense() {
        for text in ["90ms", "1d2h3min4s5ms6us7ns", "0s", "1h"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        assert_eq!("1.5h".parse::<Span>().unwrap(), Span::from_secs(5400));
        for bad in ["", "90", "s", "5 parsecs", "-3s", "1e99d", "1..2s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad} was taken");
        }
    }
}
