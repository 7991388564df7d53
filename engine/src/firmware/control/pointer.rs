//! One value out of a JSON payload, by JSON Pointer (RFC 6901), without building the rest.

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A compiled JSON Pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

/// A value that is no array and no object.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A string.
    Text(String),
}

impl Scalar {
    /// The number it is; a string that spells one counts, since many devices send such.
    pub fn number(self) -> Result<f64, PointerError> {
        let value = match self {
            Self::Number(x) => Some(x),
            Self::Bool(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        };
        value.filter(|x: &f64| x.is_finite()).ok_or(PointerError::NotANumber)
    }
}

/// Why a pointer gave no value.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PointerError {
    /// The pointer itself is none.
    #[error(
        "`{0}` is no JSON Pointer: it begins with `/`, as in \"/bme280.temperature\" (`~1` stands for `/`, `~0` for `~`)"
    )]
    Pointer(String),
    /// The payload is not JSON.
    #[error("the payload is not JSON: {0}")]
    Json(String),
    /// The payload has no such value, or it is null.
    #[error("the payload has no value at `{0}`")]
    Absent(String),
    /// The value is an array or an object.
    #[error("the value at `{0}` is an array or an object")]
    Nested(String),
    /// The value is no number.
    #[error("the value is no finite number")]
    NotANumber,
}

impl Pointer {
    /// Reads a pointer. The empty one is the whole payload.
    pub fn new(text: &str) -> Result<Self, PointerError> {
        let wrong = || PointerError::Pointer(text.to_owned());
        let steps = match text.strip_prefix('/') {
            None if text.is_empty() => Vec::new(),
            None => return Err(wrong()),
            Some(rest) => rest.split('/').map(unescape).collect::<Option<_>>().ok_or_else(wrong)?,
        };
        Ok(Self { text: text.to_owned(), steps })
    }

    /// The value it points at. Of a key that is there twice the last counts.
    pub fn find(&self, payload: &[u8]) -> Result<Scalar, PointerError> {
        let json = |e: serde_json::Error| PointerError::Json(e.to_string());
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let found = Seek(&self.steps).deserialize(&mut reader).map_err(json)?;
        reader.end().map_err(json)?;
        match found {
            Found::Nothing => Err(PointerError::Absent(self.text.clone())),
            Found::Nested => Err(PointerError::Nested(self.text.clone())),
            Found::Value(scalar) => Ok(scalar),
        }
    }
}

fn unescape(step: &str) -> Option<String> {
    let mut parts = step.split('~');
    let mut text = parts.next()?.to_owned();
    for part in parts {
        text.push(match part.chars().next()? {
            '0' => '~',
            '1' => '/',
            _ => return None,
        });
        text.push_str(&part[1..]);
    }
    Some(text)
}

enum Found {
    Nothing,
    Nested,
    Value(Scalar),
}

/// Goes down the steps that are left.
struct Seek<'a>(&'a [String]);

impl Seek<'_> {
    fn leaf<E>(self, scalar: Scalar) -> Result<Found, E> {
        Ok(if self.0.is_empty() { Found::Value(scalar) } else { Found::Nothing })
    }
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Found;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Found, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let Some((first, rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Found::Nested);
        };
        let mut found = Found::Nothing;
        while let Some(hit) = map.next_key_seed(KeyIs(first))? {
            if hit {
                found = map.next_value_seed(Seek(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Found, A::Error> {
        let mut found = Found::Nothing;
        let Some((first, rest)) = self.0.split_first() else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Found::Nested);
        };
        // RFC 6901: no leading zeros.
        let wanted = first.parse::<usize>().ok().filter(|n| n.to_string() == *first);
        for at in 0usize.. {
            let more = if wanted == Some(at) {
                match seq.next_element_seed(Seek(rest))? {
                    Some(value) => {
                        found = value;
                        true
                    }
                    None => false,
                }
            } else {
                seq.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                break;
            }
        }
        Ok(found)
    }

    fn visit_f64<E>(self, x: f64) -> Result<Found, E> {
        self.leaf(Scalar::Number(x))
    }
    fn visit_i64<E>(self, x: i64) -> Result<Found, E> {
        self.leaf(Scalar::Number(x as f64))
    }
    fn visit_u64<E>(self, x: u64) -> Result<Found, E> {
        self.leaf(Scalar::Number(x as f64))
    }
    fn visit_bool<E>(self, x: bool) -> Result<Found, E> {
        self.leaf(Scalar::Bool(x))
    }
    fn visit_str<E>(self, x: &str) -> Result<Found, E> {
        self.leaf(Scalar::Text(x.to_owned()))
    }
    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::Nothing)
    }
}

/// Whether a key is this one.
struct KeyIs<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<bool, D::Error> {
        d.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_6901_hold() {
        let document =
            br#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        let number = |p: &str| Pointer::new(p).unwrap().find(document).unwrap().number();
        for (k, p) in
            ["/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"].iter().enumerate()
        {
            assert_eq!(number(p), Ok(k as f64), "{p}");
        }
        let at = |p: &str| Pointer::new(p).unwrap().find(document);
        assert_eq!(at("/foo/0"), Ok(Scalar::Text("bar".into())));
        assert!(matches!(at("/foo"), Err(PointerError::Nested(_))));
        assert!(matches!(at(""), Err(PointerError::Nested(_))));
        for absent in ["/foo/2", "/foo/00", "/foo/-", "/foo/0/x", "/nowhere"] {
            assert!(matches!(at(absent), Err(PointerError::Absent(_))), "{absent}");
        }
        for bad in ["foo", "/a~", "/a~2", "/~ä"] {
            assert!(Pointer::new(bad).is_err(), "{bad}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "[a-c~/]{0,3}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The same as building the whole tree and then pointing.
        #[test]
        fn it_finds_what_a_whole_tree_would(tree in json(), pointer in "(/([a-c]|~0|~1|[0-3]){0,2}){0,3}") {
            let found = Pointer::new(&pointer).unwrap().find(tree.to_string().as_bytes());
            match tree.pointer(&pointer) {
                None | Some(serde_json::Value::Null) => prop_assert!(matches!(found, Err(PointerError::Absent(_)))),
                Some(serde_json::Value::Bool(b)) => prop_assert_eq!(found, Ok(Scalar::Bool(*b))),
                Some(serde_json::Value::String(s)) => prop_assert_eq!(found, Ok(Scalar::Text(s.clone()))),
                Some(serde_json::Value::Number(n)) => prop_assert_eq!(found, Ok(Scalar::Number(n.as_f64().unwrap()))),
                Some(_) => prop_assert!(matches!(found, Err(PointerError::Nested(_)))),
            }
        }
    }
}
