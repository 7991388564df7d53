//! One CBOR map a message (RFC 8949), read as the JSON object that it stands for.
//!
//! ```
//! use twinfleet_twins::dialect::{find, facts::Facts};
//! use twinfleet_engine::dialect::Heard;
//! let mut facts = Facts::default();
//! // {"t": 21.5}
//! let heard = Heard { topic: "node-1", payload: &[0xa1, 0x61, b't', 0xf9, 0x4d, 0x60], retain: false };
//! find("cbor").unwrap().listener(Some("node-1")).hear(&heard, &mut facts).unwrap();
//! assert_eq!(facts.values_of("node-1")["t"], 21.5);
//! ```

use super::{Dialect, Listener, facts::Facts, json};
use ciborium::Value as Item;
use serde_json::{Map, Value as Tree};
use twinfleet_engine::{
    dialect::{DialectError, Heard, Voice, VoiceSpec},
    mirror::decode::{DecodeError, MAX_PAYLOAD_BYTES},
};

/// Nested items that are read; more is a bomb.
const MAX_NESTED: usize = 32;

/// The dialect.
pub struct Cbor;

impl Dialect for Cbor {
    fn name(&self) -> &'static str {
        "cbor"
    }
    fn about(&self) -> &'static str {
        "one CBOR map a message, nested as the device likes"
    }
    fn source(&self) -> &'static str {
        "RFC 8949; presence on `<topic>/status` as online/offline"
    }
    fn listener(&self, address: Option<&str>) -> Box<dyn Listener> {
        Box::new(Hears { topic: address.map(str::to_owned) })
    }
    fn voice(&self, spec: &VoiceSpec<'_>) -> Result<Box<dyn Voice>, DialectError> {
        json::voice(spec, |tree| write(&item(tree)))
    }
    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &json::OPTIONS
    }
}

/// Reads one item that fills the payload.
///
/// # Errors
/// When it is too large, nested too deeply, no CBOR, or followed by something.
pub fn read(payload: &[u8]) -> Result<Item, DecodeError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeError::TooLong);
    }
    let mut rest = payload;
    let item = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_NESTED);
    match item {
        Ok(item) if rest.is_empty() => Ok(item),
        Err(ciborium::de::Error::RecursionLimitExceeded) => Err(DecodeError::TooMuch),
        _ => Err(DecodeError::Shape),
    }
}

/// The JSON that an item stands for (RFC 8949 § 6.1): whole keys as text, byte strings and unknown tags left out.
pub fn as_json(item: &Item) -> Tree {
    match item {
        Item::Integer(i) => {
            let wide = i128::from(*i);
            i64::try_from(wide).map_or_else(|_| super::tree::number(wide as f64), Tree::from)
        }
        Item::Float(f) => serde_json::Number::from_f64(*f).map_or(Tree::Null, Tree::Number),
        Item::Text(t) => Tree::from(t.as_str()),
        Item::Bool(b) => Tree::from(*b),
        Item::Array(list) => list.iter().map(as_json).collect(),
        Item::Map(pairs) => {
            let mut map = Map::new();
            for (key, value) in pairs {
                let key = match key {
                    Item::Text(t) => t.clone(),
                    Item::Integer(i) => i128::from(*i).to_string(),
                    _ => continue,
                };
                map.insert(key, as_json(value));
            }
            Tree::Object(map)
        }
        // 0: a time as text, 1: a time in seconds.
        Item::Tag(0 | 1, inner) => as_json(inner),
        _ => Tree::Null,
    }
}

/// Writes an item.
pub fn write(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into memory cannot fail.
    let _ = ciborium::into_writer(item, &mut out);
    out
}

struct Hears {
    topic: Option<String>,
}

impl Listener for Hears {
    fn hear(&mut self, heard: &Heard<'_>, facts: &mut Facts) -> Result<(), DecodeError> {
        if json::status(self.topic.as_deref(), heard, facts)
            || self.topic.as_ref().is_some_and(|t| t != heard.topic)
        {
            return Ok(());
        }
        match (&self.topic, read(heard.payload)) {
            (of, Ok(item @ Item::Map(_))) => {
                json::hear_object(heard.topic, &as_json(&item), of.is_some(), facts)
            }
            (Some(_), Ok(_)) => Err(DecodeError::Shape),
            (Some(_), Err(why)) => Err(why),
            (None, _) => Ok(()),
        }
    }
}

fn item(tree: &Tree) -> Item {
    match tree {
        Tree::Object(map) => Item::Map(map.iter().map(|(k, v)| (Item::Text(k.clone()), item(v))).collect()),
        Tree::Number(n) => match n.as_i64() {
            Some(i) => Item::Integer(i.into()),
            None => Item::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Tree::Array(list) => Item::Array(list.iter().map(item).collect()),
        Tree::String(text) => Item::Text(text.clone()),
        Tree::Bool(on) => Item::Bool(*on),
        Tree::Null => Item::Null,
    }
}
