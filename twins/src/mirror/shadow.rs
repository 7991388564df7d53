//! A state document: what is desired of a device and what it reports, with versions, conflicts and the delta between
//! the two, by the rules of AWS IoT's device shadows.
//!
//! Values merge key by key, `null` takes a key away, arrays are replaced whole. A delta holds the desired values that
//! differ from the reported ones; keys that are only reported are never in it. Each key keeps the time it was set.
//!
//! ```
//! use serde_json::json;
//! use twinfleet_twins::mirror::shadow::Shadow;
//! let mut shadow = Shadow::default();
//! shadow.update(&json!({"state": {"desired": {"fan": 1}, "reported": {"fan": 0, "t": 45}}}), 100)?;
//! assert_eq!(shadow.delta(), Some(json!({"fan": 1})));
//! let stale = shadow.update(&json!({"state": {"desired": {"fan": 2}}, "version": 7}), 101);
//! assert_eq!(stale.unwrap_err().code, 409);
//! # Ok::<(), twinfleet_twins::mirror::shadow::Rejected>(())
//! ```

use serde_json::{Map, Value, json};

/// Deepest nesting of a state, as AWS has it.
pub const MAX_DEPTH: usize = 8;
/// Largest state that an update may leave, desired and reported each, [bytes] of JSON without blanks.
pub const MAX_STATE_BYTES: usize = 8 * 1024;

/// A tree of values, each leaf with the Unix time it was set [s].
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Leaf(Value, u32),
    Object(Vec<(Box<str>, Node)>),
}

/// A request that was not taken, with the code and words that AWS uses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Rejected {
    /// 400, 404, 409 or 413.
    pub code: u16,
    /// Why.
    pub message: String,
}

impl Rejected {
    /// A refusal.
    pub fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// What an update did.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// What was sent, with its version and times: the answer to who sent it.
    pub accepted: Value,
    /// The delta with its version and times, if there is one and the update could have changed it.
    pub delta: Option<Value>,
    /// The document before and after.
    pub documents: Value,
}

/// A state document.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shadow {
    desired: Option<Box<Node>>,
    reported: Option<Box<Node>>,
    version: u64,
    exists: bool,
    /// Unix time of the last change, [s].
    timestamp: u32,
    /// Newest time stamp of the device that was taken in, Unix [ms].
    pub newest_ms: Option<i64>,
    /// Whether what is desired was reported once, as stores said it before the keeper kept how commands stand beside the document;
    /// it is read, and not written any more.
    pub settled: bool,
}

impl Node {
    fn of(value: &Value, now: u32) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::Object(map) => {
                let mut all: Vec<_> =
                    map.iter().filter_map(|(k, v)| Some((k.as_str().into(), Self::of(v, now)?))).collect();
                all.sort_by(|a: &(Box<str>, Self), b| a.0.cmp(&b.0));
                Some(Self::Object(all))
            }
            other => Some(Self::Leaf(other.clone(), now)),
        }
    }

    fn has(&self, path: &[String]) -> bool {
        match (self, path) {
            (Self::Leaf(..), []) => true,
            (Self::Object(all), [first, rest @ ..]) => {
                let place = all.binary_search_by(|(k, _)| (**k).cmp(first.as_str()));
                place.is_ok_and(|i| all[i].1.has(rest))
            }
            _ => false,
        }
    }

    fn merge(&mut self, patch: &Map<String, Value>, now: u32) {
        if let Self::Leaf(..) = self {
            *self = Self::Object(Vec::new());
        }
        let Self::Object(all) = self else { return };
        for (key, value) in patch {
            let place = all.binary_search_by(|(k, _)| (**k).cmp(key.as_str()));
            match (place, value) {
                (Ok(i), Value::Null) => {
                    all.remove(i);
                }
                (Err(_), Value::Null) => {}
                (Ok(i), Value::Object(map)) if matches!(all[i].1, Self::Object(_)) => {
                    all[i].1.merge(map, now)
                }
                (Ok(i), value) => {
                    if let Some(node) = Self::of(value, now) {
                        all[i].1 = node;
                    }
                }
                (Err(i), value) => {
                    if let Some(node) = Self::of(value, now) {
                        if all.len() == all.capacity() {
                            all.reserve_exact(1 + all.len() / 4);
                        }
                        all.insert(i, (key.as_str().into(), node));
                    }
                }
            }
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Leaf(value, _) => value.clone(),
            Self::Object(all) => Value::Object(all.iter().map(|(k, n)| (k.to_string(), n.value())).collect()),
        }
    }

    fn times(&self) -> Value {
        match self {
            Self::Leaf(_, at) => json!({ "timestamp": at }),
            Self::Object(all) => Value::Object(all.iter().map(|(k, n)| (k.to_string(), n.times())).collect()),
        }
    }

    /// What of this differs from the other; and since when it has been so.
    fn differs(&self, other: Option<&Self>) -> Option<(Value, Value)> {
        match (self, other) {
            (Self::Object(mine), Some(Self::Object(theirs))) => {
                let (mut values, mut times) = (Map::new(), Map::new());
                for (key, node) in mine {
                    let at = theirs.binary_search_by(|(k, _)| k.cmp(key)).ok();
                    if let Some((value, time)) = node.differs(at.map(|i| &theirs[i].1)) {
                        values.insert(key.to_string(), value);
                        times.insert(key.to_string(), time);
                    }
                }
                (!values.is_empty()).then_some((Value::Object(values), Value::Object(times)))
            }
            (Self::Leaf(a, _), Some(Self::Leaf(b, _))) if same(a, b) => None,
            (Self::Object(all), None) if all.is_empty() => None,
            _ => Some((self.value(), self.times())),
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Object(all) if all.is_empty())
    }
}

/// Whether two values are the same: 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        _ => a == b,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(all) => all.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn size(node: Option<&Node>) -> usize {
    node.map_or(0, |n| n.value().to_string().len())
}

impl Shadow {
    /// Whether there is a document: it was updated, and not deleted since.
    pub fn exists(&self) -> bool {
        self.exists
    }

    /// Counts its changes, through deletion too.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What is desired, if anything.
    pub fn desired(&self) -> Option<Value> {
        self.desired.as_deref().map(Node::value)
    }

    /// Whether a single value stands at this path, in what is desired or was reported.
    pub fn names(&self, path: &[String]) -> bool {
        [&self.desired, &self.reported].into_iter().flatten().any(|node| node.has(path))
    }

    /// What was reported, if anything.
    pub fn reported(&self) -> Option<Value> {
        self.reported.as_deref().map(Node::value)
    }

    /// The desired values that differ from the reported ones.
    pub fn delta(&self) -> Option<Value> {
        self.delta_and_times().map(|(values, _)| values)
    }

    fn delta_and_times(&self) -> Option<(Value, Value)> {
        let desired = self.desired.as_ref().filter(|d| !d.is_empty())?;
        let nothing = Node::Object(Vec::new());
        desired.differs(Some(self.reported.as_deref().unwrap_or(&nothing)))
    }

    /// Takes what the device itself published: fields of any name are kept. `ms` is the device's own time stamp; what is
    /// older than what was taken changes nothing and is told by `false`.
    pub fn report(&mut self, fields: &Map<String, Value>, ms: Option<i64>, now: u32) -> bool {
        if let (Some(ms), Some(newest)) = (ms, self.newest_ms)
            && ms < newest
        {
            return false;
        }
        self.newest_ms = ms.or(self.newest_ms);
        self.reported.get_or_insert_with(|| Box::new(Node::Object(Vec::new()))).merge(fields, now);
        self.version += 1;
        self.timestamp = now;
        self.exists = true;
        true
    }

    /// Size of what was reported, [bytes] of JSON.
    pub fn reported_bytes(&self) -> usize {
        size(self.reported.as_deref())
    }

    /// Takes an update request.
    ///
    /// # Errors
    /// 400 for a request of the wrong shape, 409 for a version that is not the present one, 413 for too large a state.
    pub fn update(&mut self, request: &Value, now: u32) -> Result<Updated, Rejected> {
        let request =
            request.as_object().ok_or_else(|| Rejected::new(400, "Payload is not a JSON object"))?;
        let state = match request.get("state") {
            Some(Value::Object(state)) => state,
            Some(_) => return Err(Rejected::new(400, "State contains an invalid node: 'state'")),
            None => return Err(Rejected::new(400, "Missing required node: state")),
        };
        token(request)?;
        for (name, section) in state {
            let valid = matches!(section, Value::Object(_) | Value::Null);
            if !matches!(name.as_str(), "desired" | "reported") || !valid {
                return Err(Rejected::new(400, format!("State contains an invalid node: '{name}'")));
            }
            if depth(section) > MAX_DEPTH {
                return Err(Rejected::new(
                    400,
                    format!("JSON contains too many levels of nesting; maximum is {MAX_DEPTH}"),
                ));
            }
        }
        match request.get("version") {
            None | Some(Value::Null) => {}
            Some(v) => match v.as_u64() {
                Some(v) if v == self.version => {}
                Some(_) => return Err(Rejected::new(409, "Version conflict")),
                None => return Err(Rejected::new(400, "Invalid version")),
            },
        }
        let before = self.clone();
        for (name, section) in state {
            let slot = if name == "desired" { &mut self.desired } else { &mut self.reported };
            match section {
                Value::Object(map) => {
                    slot.get_or_insert_with(|| Box::new(Node::Object(Vec::new()))).merge(map, now)
                }
                _ => *slot = None,
            }
        }
        if size(self.desired.as_deref()).max(size(self.reported.as_deref())) > MAX_STATE_BYTES {
            *self = before;
            return Err(Rejected::new(413, "The payload exceeds the maximum size allowed"));
        }
        self.version += 1;
        self.timestamp = now;
        self.exists = true;
        let mut times = Map::new();
        for (name, section) in state {
            if let Some(node) = Node::of(section, now) {
                times.insert(name.clone(), node.times());
            }
        }
        let accepted = with_token(
            json!({ "state": state, "metadata": times, "version": self.version, "timestamp": now }),
            request,
        );
        let delta = self.delta_and_times().filter(|_| !state.is_empty()).map(|(values, times)| {
            with_token(
                json!({ "version": self.version, "timestamp": now, "state": values, "metadata": times }),
                request,
            )
        });
        let documents = with_token(
            json!({ "previous": before.document(false), "current": self.document(false), "timestamp": now }),
            request,
        );
        Ok(Updated { accepted, delta, documents })
    }

    /// The answer to a get request.
    ///
    /// # Errors
    /// 404 where there is no document.
    pub fn get(&self, thing: &str, request: &Value) -> Result<Value, Rejected> {
        if !self.exists {
            return Err(Rejected::new(404, format!("No shadow exists with name: '{thing}'")));
        }
        let mut document = self.document(true);
        document["timestamp"] = json!(self.timestamp);
        Ok(with_token(document, request.as_object().unwrap_or(&Map::new())))
    }

    /// Deletes the document; its version goes on counting.
    ///
    /// # Errors
    /// 404 where there is none, 409 for a version that is not the present one.
    pub fn delete(&mut self, thing: &str, request: &Value, now: u32) -> Result<Value, Rejected> {
        if !self.exists {
            return Err(Rejected::new(404, format!("No shadow exists with name: '{thing}'")));
        }
        let empty = Map::new();
        let request = request.as_object().unwrap_or(&empty);
        if request.get("version").and_then(Value::as_u64).is_some_and(|v| v != self.version) {
            return Err(Rejected::new(409, "Version conflict"));
        }
        let version = self.version;
        *self = Self { version: version + 1, newest_ms: self.newest_ms, ..Self::default() };
        Ok(with_token(json!({ "version": version, "timestamp": now }), request))
    }

    /// State, times and version, with the delta where it is asked for.
    pub fn document(&self, with_delta: bool) -> Value {
        let (mut state, mut times) = (Map::new(), Map::new());
        for (name, node) in [("desired", &self.desired), ("reported", &self.reported)] {
            if let Some(node) = node {
                state.insert(name.to_owned(), node.value());
                times.insert(name.to_owned(), node.times());
            }
        }
        if with_delta && let Some(delta) = self.delta() {
            state.insert("delta".to_owned(), delta);
        }
        json!({ "state": state, "metadata": times, "version": self.version })
    }

    /// As the store keeps it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut document = self.document(false);
        document["exists"] = json!(self.exists);
        document["timestamp"] = json!(self.timestamp);
        document["newest_ms"] = json!(self.newest_ms);
        document.to_string().into_bytes()
    }

    /// As the store kept it; none if these bytes are no document.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let section = |name: &str| {
            let state = value["state"].get(name)?;
            restore(state, &value["metadata"][name]).map(Box::new)
        };
        Some(Self {
            desired: section("desired"),
            reported: section("reported"),
            version: value["version"].as_u64()?,
            exists: value["exists"].as_bool()?,
            timestamp: u32::try_from(value["timestamp"].as_u64()?).ok()?,
            newest_ms: value["newest_ms"].as_i64(),
            settled: value["settled"].as_bool().unwrap_or(false),
        })
    }
}

fn restore(value: &Value, times: &Value) -> Option<Node> {
    match value {
        Value::Null => None,
        Value::Object(map) => {
            let mut all: Vec<(Box<str>, Node)> = map
                .iter()
                .filter_map(|(k, v)| Some((k.as_str().into(), restore(v, &times[k.as_str()])?)))
                .collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            Some(Node::Object(all))
        }
        other => {
            let at = times["timestamp"].as_u64().and_then(|t| u32::try_from(t).ok()).unwrap_or(0);
            Some(Node::Leaf(other.clone(), at))
        }
    }
}

fn token(request: &Map<String, Value>) -> Result<(), Rejected> {
    match request.get("clientToken") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if text.len() <= 64 => Ok(()),
        Some(_) => Err(Rejected::new(400, "Invalid clientToken: it is a text of at most 64 bytes")),
    }
}

fn with_token(mut answer: Value, request: &Map<String, Value>) -> Value {
    if let Some(Value::String(token)) = request.get("clientToken") {
        answer["clientToken"] = json!(token);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-5i64..5).prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3)
                    .prop_map(|m| Value::Object(m.into_iter().collect()))
            ]
        })
    }

    fn section() -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-d]", value(), 0..4)
            .prop_map(|m| Value::Object(m.into_iter().collect()))
    }

    /// RFC 7396's merge, an independent way to say what an update does.
    fn merged(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (key, value) in patch {
            if value.is_null() {
                target.as_object_mut().unwrap().remove(key);
            } else {
                merged(&mut target[key.as_str()], value);
            }
        }
    }

    proptest! {
        #[test]
        fn updates_merge_and_what_is_reported_as_desired_leaves_no_delta(updates in prop::collection::vec((section(), section()), 1..5)) {
            let mut shadow = Shadow::default();
            let (mut desired, mut reported) = (json!({}), json!({}));
            for (i, (d, r)) in updates.iter().enumerate() {
                let version = shadow.version();
                shadow.update(&json!({"state": {"desired": d, "reported": r}, "version": version}), i as u32).unwrap();
                merged(&mut desired, d);
                merged(&mut reported, r);
                prop_assert_eq!(shadow.version(), version + 1);
                prop_assert_eq!(shadow.desired().unwrap(), desired.clone());
                prop_assert_eq!(shadow.reported().unwrap(), reported.clone());
                prop_assert_eq!(Shadow::from_bytes(&shadow.to_bytes()).unwrap(), shadow.clone());
            }
            if let Some(delta) = shadow.delta() {
                // Reporting the delta settles it.
                shadow.update(&json!({"state": {"reported": delta}}), 9).unwrap();
                merged(&mut reported, &delta);
                prop_assert_eq!(shadow.reported().unwrap(), reported);
                prop_assert_eq!(shadow.delta(), None);
            }
            let version = shadow.version();
            shadow.update(&json!({"state": {"desired": null}}), 10).unwrap();
            prop_assert_eq!((shadow.delta(), shadow.desired()), (None, None));
            prop_assert_eq!(shadow.update(&json!({"state": {}, "version": version}), 11).unwrap_err().code, 409);
        }

        #[test]
        fn no_request_makes_it_panic(request in value(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut shadow = Shadow::default();
            let _ = shadow.update(&request, 1);
            let _ = shadow.update(&json!({"state": request, "version": request, "clientToken": request}), 1);
            let _ = shadow.delete("t", &request, 2);
            let _ = shadow.get("t", &request);
            let _ = Shadow::from_bytes(&bytes);
        }
    }

    #[test]
    fn what_is_too_deep_too_large_or_no_state_is_refused_and_changes_nothing() {
        let mut shadow = Shadow::default();
        shadow.update(&json!({"state": {"desired": {"a": 1}}}), 1).unwrap();
        let before = shadow.clone();
        let deep = (0..9).fold(json!(1), |inner, _| json!({ "x": inner }));
        for (request, code) in [
            (json!([]), 400),
            (json!({}), 400),
            (json!({"state": 1}), 400),
            (json!({"state": {"wanted": {}}}), 400),
            (json!({"state": {"desired": 1}}), 400),
            (json!({"state": {"desired": deep}}), 400),
            (json!({"state": {}, "clientToken": "x".repeat(65)}), 400),
            (json!({"state": {}, "version": "1"}), 400),
            (json!({"state": {}, "version": 3}), 409),
            (json!({"state": {"reported": {"x": "y".repeat(9_000)}}}), 413),
        ] {
            assert_eq!(shadow.update(&request, 2).unwrap_err().code, code, "{request}");
            assert_eq!(shadow, before);
        }
        assert_eq!(Shadow::default().get("lamp", &json!({})).unwrap_err().code, 404);
        shadow.delete("lamp", &json!({}), 3).unwrap();
        assert_eq!(shadow.get("lamp", &json!({})).unwrap_err().code, 404);
        shadow.update(&json!({"state": {"reported": {}}, "version": 2}), 4).unwrap();
    }

    #[test]
    fn an_older_report_changes_nothing() {
        let mut shadow = Shadow::default();
        let fields = |n: i64| json!({ "n": n, "unknown": {"kept": true} }).as_object().unwrap().clone();
        assert!(shadow.report(&fields(2), Some(2_000), 1));
        assert!(!shadow.report(&fields(1), Some(1_000), 1));
        assert_eq!(shadow.reported(), Some(json!({ "n": 2, "unknown": {"kept": true} })));
        assert!(shadow.report(&fields(3), None, 1));
    }
}
