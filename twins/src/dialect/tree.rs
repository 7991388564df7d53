//! Bounded walks through JSON: a payload's leaves by path, values back into a tree, times as devices write them.
//!
//! ```
//! use twinfleet_twins::dialect::tree;
//! let mut seen = Vec::new();
//! let json = tree::read(br#"{"a":{"b":[1,true]},"s":"x"}"#).unwrap();
//! tree::leaves(&json, &mut |path, _| seen.push(path.to_owned())).unwrap();
//! assert_eq!(seen, ["a/b/0", "a/b/1", "s"]);
//! assert_eq!(tree::time_ms(&"2026-11-28T12:00:00+01:00".into()), Some(1_795_863_600_000.0));
//! ```

use super::facts::Value;
use serde_json::{Map, Value as Json};
use twinfleet_engine::mirror::decode::{DecodeError, MAX_PAYLOAD_BYTES};

/// Levels of a payload at most.
pub const MAX_DEPTH: usize = 16;
/// Leaves of a payload at most.
pub const MAX_LEAVES: usize = 1024;
/// Bytes of a bridge's list at most, of which a device takes some five thousand; and objects and lists in it.
const MAX_LIST_BYTES: usize = 2 << 20;
const MAX_LIST_NODES: usize = 1 << 16;
/// Characters of a text that are kept.
const MAX_TEXT: usize = 200;

/// Reads JSON of a size that a device sends.
///
/// # Errors
/// When it is larger, nested deeper than [`MAX_DEPTH`], or no JSON.
pub fn read(payload: &[u8]) -> Result<Json, DecodeError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeError::TooLong);
    }
    parsed(payload)
}

/// Reads what a bridge lists of all that is behind it, which is longer than what a device sends.
///
/// # Errors
/// As those of [`read`], with room for some hundreds of devices.
pub fn read_list(payload: &[u8]) -> Result<Json, DecodeError> {
    if payload.len() > MAX_LIST_BYTES {
        return Err(DecodeError::TooLong);
    }
    // Each takes its room, however short it is written.
    let nodes = payload.iter().filter(|b| matches!(b, b'{' | b'[')).count();
    if nodes > MAX_LIST_NODES { Err(DecodeError::TooMuch) } else { parsed(payload) }
}

fn parsed(payload: &[u8]) -> Result<Json, DecodeError> {
    let json = serde_json::from_slice(payload).map_err(|_| DecodeError::Shape)?;
    if fits(&json, MAX_DEPTH) { Ok(json) } else { Err(DecodeError::Shape) }
}

/// Whether a value has no more than so many levels; serde_json itself stops at 128.
fn fits(json: &Json, levels: usize) -> bool {
    match json {
        Json::Object(map) => levels > 0 && map.values().all(|v| fits(v, levels - 1)),
        Json::Array(all) => levels > 0 && all.iter().all(|v| fits(v, levels - 1)),
        _ => true,
    }
}

/// A payload as text, of a size that a device sends.
///
/// # Errors
/// When it is larger, or no UTF-8.
pub fn text(payload: &[u8]) -> Result<&str, DecodeError> {
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(DecodeError::TooLong);
    }
    std::str::from_utf8(payload).map_err(|_| DecodeError::Shape)
}

/// A leaf as a value; `null`, lists and objects are none.
pub fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Number(n) => Value::Number(n.as_f64().filter(|v| v.is_finite())?),
        Json::Bool(b) => Value::Flag(*b),
        Json::String(s) => Value::Text(s.chars().take(MAX_TEXT).collect()),
        _ => return None,
    })
}

/// A value as JSON has it.
pub fn json(value: &Value) -> Json {
    match value {
        Value::Number(v) => number(*v),
        Value::Flag(v) => Json::from(*v),
        Value::Text(v) => Json::from(v.as_str()),
    }
}

/// The last level of a topic, or of a path.
pub fn leaf(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Tells every leaf with its path, whose levels are parted by `/`. Empty lists and objects have none.
///
/// # Errors
/// When there are more levels or leaves than a device has.
pub fn leaves(json: &Json, each: &mut dyn FnMut(&str, &Json)) -> Result<(), DecodeError> {
    let mut path = String::new();
    let mut left = MAX_LEAVES;
    walk(json, &mut path, 0, &mut left, each)
}

fn walk(
    json: &Json,
    path: &mut String,
    depth: usize,
    left: &mut usize,
    each: &mut dyn FnMut(&str, &Json),
) -> Result<(), DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::TooMuch);
    }
    let length = path.len();
    let mut below = |path: &mut String, key: &str, child: &Json, left: &mut usize| {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(key);
        let walked = walk(child, path, depth + 1, left, each);
        path.truncate(length);
        walked
    };
    match json {
        Json::Object(map) => map.iter().try_for_each(|(key, child)| below(path, key, child, left)),
        Json::Array(list) => {
            list.iter().enumerate().try_for_each(|(i, child)| below(path, &i.to_string(), child, left))
        }
        leaf => {
            *left = left.checked_sub(1).ok_or(DecodeError::TooMuch)?;
            each(path, leaf);
            Ok(())
        }
    }
}

/// Puts a value into a tree; what stands in the way of its path is replaced.
pub fn put(root: &mut Map<String, Json>, path: &[String], value: Json) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        root.insert(first.clone(), value);
        return;
    }
    let child = root.entry(first.clone()).or_insert_with(|| Json::Object(Map::new()));
    if !child.is_object() {
        *child = Json::Object(Map::new());
    }
    if let Json::Object(map) = child {
        put(map, rest, value);
    }
}

/// A tree as it was before [`leaves`] took it apart: what has the keys 0, 1, … and no other was a list.
#[must_use]
pub fn with_lists(json: Json) -> Json {
    let Json::Object(map) = json else { return json };
    let mut map: Map<String, Json> = map.into_iter().map(|(k, v)| (k, with_lists(v))).collect();
    let keys = || (0..map.len()).map(|i| i.to_string());
    if map.is_empty() || !keys().all(|k| map.contains_key(&k)) {
        return Json::Object(map);
    }
    let keys: Vec<String> = keys().collect();
    Json::Array(keys.iter().filter_map(|k| map.remove(k)).collect())
}

/// A number in JSON, the shortest text that reads back as it; whole ones without a fraction. Not finite: `null`.
pub fn number(value: f64) -> Json {
    if value == value.trunc() && value.abs() < 9e15 {
        return Json::from(value as i64);
    }
    serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// A time stamp as Unix milliseconds: a number in s, ms, µs or ns, told apart by its size, or a text in ISO 8601. Without a
/// zone it is taken for UTC.
pub fn time_ms(json: &Json) -> Option<f64> {
    match json {
        Json::Number(n) => epoch_ms(n.as_f64()?),
        Json::String(s) => iso_ms(s),
        _ => None,
    }
}

/// Unix time in s, ms, µs or ns, told apart by its size. A small number counts since the device's start: no time.
pub fn epoch_ms(v: f64) -> Option<f64> {
    match v {
        1e8..1e11 => Some(v * 1e3),
        1e11..1e14 => Some(v),
        1e14..1e17 => Some(v / 1e3),
        1e17..1e20 => Some(v / 1e6),
        _ => None,
    }
}

fn iso_ms(s: &str) -> Option<f64> {
    let b = s.as_bytes();
    if b.len() < 19 || !s.is_ascii() || !matches!(b[10], b'T' | b' ') {
        return None;
    }
    let n = |from: usize, to: usize| {
        let digits = &s[from..to];
        digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten()
    };
    let (year, month, day) = (n(0, 4)?, n(5, 7)?, n(8, 10)?);
    let (h, m, sec) = (n(11, 13)?, n(14, 16)?, n(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || h > 23 || m > 59 || sec > 60 {
        return None;
    }
    let mut at = 19;
    let mut fraction = 0.0;
    if b.get(at) == Some(&b'.') {
        let end = (at + 1..b.len()).find(|i| !b[*i].is_ascii_digit()).unwrap_or(b.len());
        fraction = format!("0{}", &s[at..end]).parse().ok()?;
        at = end;
    }
    let offset_min = match &s[at..] {
        "" | "Z" | "z" => 0,
        zone if zone.len() >= 5 && zone.starts_with(['+', '-']) => {
            let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
            let minutes =
                digits.get(0..2)?.parse::<i64>().ok()? * 60 + digits.get(2..4)?.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
        _ => return None,
    };
    // Days since 1970, by Hinnant's days_from_civil.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468;
    let seconds = days * 86_400 + h * 3600 + (m - offset_min) * 60 + sec;
    Some(seconds as f64 * 1e3 + fraction * 1e3)
}

/// A time as devices print it, to the second and without a zone, from Unix milliseconds.
pub fn local_time(ts_unix_ms: i64) -> String {
    let text = twinfleet_engine::scenario::calendar::text(ts_unix_ms.saturating_mul(1_000_000));
    text.get(..19).unwrap_or(&text).to_owned()
}

/// The names under which devices put their time at the top of an object.
pub const TIME_KEYS: [&str; 6] = ["ts", "time", "Time", "timestamp", "timestamp_ms", "last_seen"];

/// The time that an object states at its top, and under which name.
pub fn stated_time(json: &Json) -> Option<(&'static str, f64)> {
    TIME_KEYS.iter().find_map(|k| Some((*k, time_ms(json.get(k)?)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_devices_write_them() {
        let noon = 1_795_867_200_000.0;
        for (text, want) in [
            ("2026-11-28T12:00:00Z", Some(noon)),
            ("2026-11-28T12:00:00", Some(noon)),
            ("2026-11-28 12:00:00.5", Some(noon + 500.0)),
            ("2026-11-28T13:30:00+01:30", Some(noon)),
            ("2026-11-28T11:00:00-0100", Some(noon)),
            ("2026-13-28T12:00:00", None),
            ("noon", None),
            ("2026-11-28T12:00:00é", None),
        ] {
            assert_eq!(time_ms(&text.into()), want, "{text}");
        }
        for v in [1_795_867_200.0, noon, noon * 1e3, noon * 1e6] {
            assert_eq!(epoch_ms(v), Some(noon));
        }
        assert_eq!(epoch_ms(3600.0), None);
        assert_eq!(local_time(1_795_867_200_000), "2026-11-28T12:00:00");
    }

    #[test]
    fn the_last_level_of_a_path_is_its_leaf() {
        assert_eq!((leaf("a/b/c"), leaf("a"), leaf("a/"), leaf("")), ("c", "a", "", ""));
    }

    #[test]
    fn what_was_a_list_becomes_one_again() {
        let said = serde_json::json!({"schedule": [{"h": 6, "t": 20}, {"h": 22, "t": 17}], "0": 1, "a": {"1": 2}, "e": {}});
        let mut again = Map::new();
        leaves(&said, &mut |path, leaf| {
            put(&mut again, &path.split('/').map(str::to_owned).collect::<Vec<_>>(), leaf.clone());
        })
        .unwrap();
        let mut wanted = said;
        wanted.as_object_mut().unwrap().remove("e");
        assert_eq!(with_lists(Json::Object(again)), wanted);
    }

    #[test]
    fn a_bomb_is_refused() {
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(read(deep.as_bytes()), Err(DecodeError::Shape));
        let wide = read(format!("[{}1]", "1,".repeat(5000)).as_bytes()).unwrap();
        assert_eq!(leaves(&wide, &mut |_, _| ()), Err(DecodeError::TooMuch));
        assert_eq!(read(&vec![b'['; 100_000]), Err(DecodeError::Shape));
        assert_eq!(read(&vec![b' '; MAX_PAYLOAD_BYTES + 1]), Err(DecodeError::TooLong));
    }
}
