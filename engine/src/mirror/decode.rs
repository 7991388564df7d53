//! Payloads into signal values: bounded in size, never a panic, nothing allocated on the flat JSON path.
//!
//! ```
//! use twinfleet_engine::{mirror::decode::Decoder, scenario::DecodeDef};
//! let decoder = Decoder::new(&DecodeDef::Json, &["cpu.load", "soc.temperature"]);
//! let mut values = [f64::NAN; 2];
//! let head = decoder.decode(br#"{"ts":1500,"soc.temperature":45.084}"#, &mut values).unwrap();
//! assert_eq!(head.ts_ms, Some(1500.0));
//! assert!(values[0].is_nan() && values[1] == 45.084);
//! ```

use crate::scenario::DecodeDef;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Payloads longer than this are refused unread, [bytes].
pub const MAX_PAYLOAD_BYTES: usize = 256 * 1024;

/// Why a payload gave no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MAX_PAYLOAD_BYTES`].
    #[error("the payload is longer than {MAX_PAYLOAD_BYTES} bytes")]
    TooLong,
    /// Not JSON, or not the shape the binding says.
    #[error("the payload is no JSON object of the shape that the binding describes")]
    Shape,
    /// None of the bound signals is in it.
    #[error("the payload holds none of the signals bound")]
    Nothing,
    /// A bound signal or the time stamp is no finite number.
    #[error("a bound value or the time stamp is no finite number")]
    NotANumber,
    /// More fields or levels than a device has.
    #[error("the payload is nested too deeply, or has too many fields")]
    TooMuch,
    /// Not what this dialect writes on this topic.
    #[error("the payload is not what this dialect writes on this topic")]
    Foreign,
    /// The device's own discovery says by a template how it is read, and that is not understood.
    #[error("the discovery says how it is read by a template that is not understood")]
    Template,
}

/// What a payload said beside its values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Head {
    /// The device's own time stamp, Unix [ms].
    pub ts_ms: Option<f64>,
    /// Bound signals found.
    pub found: u32,
}

/// A binding's codec, compiled against the names of the twin's signals.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoder {
    /// A flat object; names in the order of the values.
    Flat(Vec<String>),
    /// JSON Pointers in the order of the values (empty: not bound), and the time stamp's.
    Pointers(Vec<Option<String>>, Option<String>),
}

impl Decoder {
    /// Compiles a binding against the twin's signals, `part.quantity`, in the order in which values are wanted.
    pub fn new(def: &DecodeDef, names: &[&str]) -> Self {
        match def {
            DecodeDef::Json => Self::Flat(names.iter().map(|n| (*n).to_owned()).collect()),
            DecodeDef::Pointers { map, time } => {
                Self::Pointers(names.iter().map(|n| map.get(*n).cloned()).collect(), time.clone())
            }
            // A dialect is heard by an ear; here nothing is bound.
            DecodeDef::Dialect { .. } => Self::Pointers(Vec::new(), None),
        }
    }

    /// Reads a payload; values found overwrite their place, the others stay as they were.
    pub fn decode(&self, payload: &[u8], values: &mut [f64]) -> Result<Head, DecodeError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(DecodeError::TooLong);
        }
        let head = match self {
            Self::Flat(names) => {
                let mut reader = serde_json::Deserializer::from_slice(payload);
                let seed = Flat { names, values, bad: false };
                let (head, bad) = seed.deserialize(&mut reader).map_err(|_| DecodeError::Shape)?;
                reader.end().map_err(|_| DecodeError::Shape)?;
                if bad {
                    return Err(DecodeError::NotANumber);
                }
                head
            }
            Self::Pointers(pointers, time) => by_pointers(pointers, time.as_deref(), payload, values)?,
        };
        if head.found == 0 { Err(DecodeError::Nothing) } else { Ok(head) }
    }
}

fn by_pointers(
    pointers: &[Option<String>],
    time: Option<&str>,
    payload: &[u8],
    values: &mut [f64],
) -> Result<Head, DecodeError> {
    let tree: serde_json::Value = serde_json::from_slice(payload).map_err(|_| DecodeError::Shape)?;
    let mut head = Head::default();
    for (pointer, slot) in pointers.iter().zip(values.iter_mut()) {
        let Some(found) = pointer.as_deref().and_then(|p| tree.pointer(p)) else { continue };
        if found.is_null() {
            continue;
        }
        let number = found.as_f64().or_else(|| found.as_bool().map(|b| f64::from(u8::from(b))));
        *slot = number.filter(|v| plausible(*v)).ok_or(DecodeError::NotANumber)?;
        head.found += 1;
    }
    if let Some(found) = time.and_then(|p| tree.pointer(p)) {
        head.ts_ms = Some(found.as_f64().filter(|v| v.is_finite()).ok_or(DecodeError::NotANumber)?);
    }
    Ok(head)
}

struct Flat<'a> {
    names: &'a [String],
    values: &'a mut [f64],
    bad: bool,
}

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = (Head, bool);
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = (Head, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut head = Head::default();
        while let Some(key) = map.next_key_seed(Key(self.names))? {
            match key {
                Place::Time => match map.next_value::<Number>()? {
                    Number::Value(v) => head.ts_ms = Some(v),
                    Number::Null => {}
                    Number::Bad => self.bad = true,
                },
                Place::Value(i) => match map.next_value::<Number>()? {
                    Number::Value(v) => {
                        self.values[i] = v;
                        head.found += 1;
                    }
                    Number::Null => {}
                    Number::Bad => self.bad = true,
                },
                Place::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((head, self.bad))
    }
}

enum Place {
    Time,
    Value(usize),
    Other,
}

struct Key<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Place;
    fn deserialize<D: serde::Deserializer<'de>>(self, d: D) -> Result<Place, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Place;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<Place, E> {
        if key == "ts" {
            return Ok(Place::Time);
        }
        Ok(self.0.iter().position(|n| n == key).map_or(Place::Other, Place::Value))
    }
}

/// A number, leniently: `null` is a missing value, text and nested values are bad but no syntax error.
enum Number {
    Value(f64),
    Null,
    Bad,
}

/// No sensor says more than this, in any unit; a filter that takes in 1e300 is blind for ever.
pub const LARGEST: f64 = 1e15;

fn plausible(v: f64) -> bool {
    v.abs() <= LARGEST
}

impl<'de> serde::Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E>(self, v: f64) -> Result<Number, E> {
                Ok(if plausible(v) { Number::Value(v) } else { Number::Bad })
            }
            fn visit_i64<E>(self, v: i64) -> Result<Number, E> {
                Ok(Number::Value(v as f64))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Number, E> {
                Ok(Number::Value(v as f64))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Number, E> {
                Ok(Number::Value(f64::from(u8::from(v))))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::Null)
            }
            fn visit_str<E>(self, _: &str) -> Result<Number, E> {
                Ok(Number::Bad)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number::Bad)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number::Bad)
            }
        }
        d.deserialize_any(V)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat() -> Decoder {
        Decoder::new(&DecodeDef::Json, &["a.x", "b.y"])
    }

    #[test]
    fn what_is_no_number_is_refused_and_null_is_missing() {
        let mut v = [f64::NAN; 2];
        for (text, want) in [
            (r#"{"a.x":"12"}"#, DecodeError::NotANumber),
            (r#"{"a.x":[1]}"#, DecodeError::NotANumber),
            (r#"{"a.x":null}"#, DecodeError::Nothing),
            (r#"{"c.z":3}"#, DecodeError::Nothing),
            (r#"{"a.x":1"#, DecodeError::Shape),
            (r#"{"a.x":1}x"#, DecodeError::Shape),
            (r#"[1,2]"#, DecodeError::Shape),
            (r#"{"a.x":1e999}"#, DecodeError::Shape),
            ("", DecodeError::Shape),
        ] {
            assert_eq!(flat().decode(text.as_bytes(), &mut v), Err(want), "{text}");
        }
        assert_eq!(flat().decode(&vec![b' '; MAX_PAYLOAD_BYTES + 1], &mut v), Err(DecodeError::TooLong));
    }

    #[test]
    fn pointers_reach_into_nested_payloads() {
        let map = [("a.x".to_owned(), "/s/0/v".to_owned())].into();
        let d = Decoder::new(&DecodeDef::Pointers { map, time: Some("/when".to_owned()) }, &["a.x", "b.y"]);
        let mut v = [f64::NAN; 2];
        let head = d.decode(br#"{"when":5,"s":[{"v":2.5}]}"#, &mut v).unwrap();
        assert_eq!((head.ts_ms, v[0]), (Some(5.0), 2.5));
        assert!(v[1].is_nan());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), depth in 0usize..4000) {
            let mut v = [f64::NAN; 2];
            let _ = flat().decode(&bytes, &mut v);
            let mut nested = br#"{"a.x":"#.to_vec();
            nested.extend(std::iter::repeat_n(b'[', depth));
            let _ = flat().decode(&nested, &mut v);
            let map = [("a.x".to_owned(), "/a.x/0".to_owned())].into();
            let _ = Decoder::new(&DecodeDef::Pointers { map, time: None }, &["a.x"]).decode(&nested, &mut v);
            prop_assert!(v.iter().all(|x| x.is_nan() || x.is_finite()));
        }

        #[test]
        fn numbers_come_through_unchanged(x in any::<f64>().prop_filter("plausible", |x| x.abs() <= 1e15), ts in 0i64..4_000_000_000_000) {
            let text = format!(r#"{{"other":{{"n":[1]}},"ts":{ts},"b.y":{}}}"#, serde_json::to_string(&x).unwrap());
            let mut v = [f64::NAN; 2];
            let head = flat().decode(text.as_bytes(), &mut v).unwrap();
            prop_assert_eq!(head.ts_ms, Some(ts as f64));
            // serde_json's default reader may be one unit in the last place off.
            prop_assert!((v[1] - x).abs() <= x.abs() * 1e-15);
        }
    }
}
