//! What shadow requests and devices' own reports are taken apart by, within bounds.

use super::SHADOW_PREFIX;
use crate::{
    dialect::tree,
    mirror::shadow::{MAX_DEPTH, Rejected, Shadow},
};
use serde_json::{Map, Value};

/// Payloads longer than this are not read, [bytes].
pub(super) const MAX_PAYLOAD_BYTES: usize = 256 << 10;

/// The parts of a shadow request's topic.
pub(super) struct Request<'a> {
    pub thing: &'a str,
    pub name: Option<&'a str>,
    pub verb: &'a str,
}

impl<'a> Request<'a> {
    pub fn of(topic: &'a str) -> Option<Self> {
        let (thing, rest) = topic.strip_prefix(SHADOW_PREFIX)?.split_once("/shadow/")?;
        let (name, verb) = match rest.strip_prefix("name/").and_then(|r| r.rsplit_once('/')) {
            Some((name, verb)) => (Some(name), verb),
            None => (None, rest),
        };
        let good_name = |n: &str| (1..=64).contains(&n.len()) && !n.contains(['/', '\n']);
        (matches!(verb, "get" | "update" | "delete") && name.is_none_or(good_name)).then_some(Self {
            thing,
            name,
            verb,
        })
    }
}

pub(super) fn read(payload: &[u8]) -> Result<Value, Rejected> {
    if payload.is_empty() {
        return Ok(Value::Null);
    }
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(Rejected::new(413, "The payload exceeds the maximum size allowed"));
    }
    serde_json::from_slice(payload).map_err(|_| Rejected::new(400, "Payload is not JSON"))
}

pub(super) fn seconds(ms: i64) -> u32 {
    u32::try_from(ms / 1000).unwrap_or(0)
}

pub(super) fn time_of(fields: &Map<String, Value>, pointer: &str) -> Option<i64> {
    let path = pointer.strip_prefix('/')?;
    let (first, rest) = path.split_once('/').map_or((path, None), |(f, r)| (f, Some(r)));
    let found = fields.get(&first.replace("~1", "/").replace("~0", "~"))?;
    let found = match rest {
        None => Some(found),
        Some(rest) => found.pointer(&format!("/{rest}")),
    };
    found?.as_f64().filter(|v| v.is_finite() && v.abs() < 1e15).map(|v| v as i64)
}

/// Takes away what is nested deeper than a document may be.
pub(super) fn shallow(fields: &mut Map<String, Value>, refused: &mut u64) {
    fields.retain(|_, value| {
        let fits = fits(value, MAX_DEPTH);
        *refused += u64::from(!fits);
        fits
    });
}

fn fits(value: &Value, left: usize) -> bool {
    match value {
        Value::Object(map) => left > 0 && map.values().all(|v| fits(v, left - 1)),
        Value::Array(all) => left > 0 && all.iter().all(|v| fits(v, left - 1)),
        _ => true,
    }
}

/// These fields, and those that the document has as parts of an object in that form too: `color/x` as `{"color": {"x": …}}`, where
/// that was desired. None where there are no such fields.
pub(super) fn with_parts(fields: &Map<String, Value>, shadow: &Shadow) -> Option<Map<String, Value>> {
    let path = |name: &str| -> Vec<String> { name.split('/').map(str::to_owned).collect() };
    let parts = fields.iter().filter(|(name, _)| name.contains('/')).map(|(name, value)| (path(name), value));
    let parts: Vec<(Vec<String>, &Value)> = parts.filter(|(path, _)| shadow.names(path)).collect();
    if parts.is_empty() {
        return None;
    }
    let mut all = fields.clone();
    for (path, value) in parts {
        tree::put(&mut all, &path, value.clone());
    }
    Some(all)
}
