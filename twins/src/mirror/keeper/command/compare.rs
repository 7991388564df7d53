//! What is desired beside what is reported, leaf by leaf: what of it is open, and what one cannot tell yet.
//!
//! These are trees as a state document has them: objects of objects, whose leaves are single values or lists.

use crate::dialect::facts::Value as Said;
use serde_json::{Map, Value};
use twinfleet_engine::dialect::Wanted;

/// Two numbers that differ by less than this part are one.
const SAME: f64 = 1e-9;

/// Whether a value is what is desired: within half a step of its signal, and on however the device says that.
pub(super) fn agrees(desired: &Value, reported: &Value, quantum: f64) -> bool {
    let number = |v: &Value| match v {
        Value::Number(n) => n.as_f64(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(text) => Said::Text(text.clone()).number(),
        _ => None,
    };
    desired == reported
        || matches!((number(desired), number(reported)), (Some(d), Some(r))
            if (d - r).abs() <= (0.5 * quantum * (1.0 + 1e-6)).max(SAME * d.abs().max(1.0)))
}

/// Those of an object's members of which there is something; none where that are none.
fn members(all: &Map<String, Value>, each: impl Fn(&str, &Value) -> Option<Value>) -> Option<Value> {
    let some: Map<String, Value> =
        all.iter().filter_map(|(key, value)| Some((key.clone(), each(key, value)?))).collect();
    (!some.is_empty()).then_some(Value::Object(some))
}

/// A member of an object that there may be.
fn below<'a>(tree: Option<&'a Value>, key: &str) -> Option<&'a Value> {
    tree.and_then(|t| t.get(key))
}

/// What of a desired value is not reported.
pub(super) fn open(desired: &Value, reported: Option<&Value>, quantum: f64) -> Option<Value> {
    match (desired, reported) {
        (Value::Object(all), _) => members(all, |key, d| open(d, below(reported, key), quantum)),
        (_, Some(reported)) if agrees(desired, reported, quantum) => None,
        _ => Some(desired.clone()),
    }
}

/// What `tree` has of the leaves of `shape`; none where it has none of them.
pub(super) fn within(tree: &Value, shape: &Value) -> Option<Value> {
    match (tree, shape) {
        (Value::Object(tree), Value::Object(shape)) => {
            members(shape, |key, s| tree.get(key).and_then(|t| within(t, s)))
        }
        _ => Some(tree.clone()),
    }
}

/// Adds the leaves of another tree, which take the place of those that are there.
pub(super) fn join(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                match into.get_mut(&key) {
                    Some(own) => join(own, value),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (into, more) => *into = more,
    }
}

/// Whether every leaf that was asked for is still desired, whatever it shall be.
pub(super) fn is_desired(asked: &Value, desired: Option<&Value>) -> bool {
    match asked {
        Value::Object(all) => all.iter().all(|(key, a)| is_desired(a, below(desired, key))),
        _ => desired.is_some(),
    }
}

/// Whether a leaf that was asked for shall be something else by now.
pub(super) fn is_otherwise(asked: &Value, desired: Option<&Value>) -> bool {
    match asked {
        Value::Object(all) => all.iter().any(|(key, a)| is_otherwise(a, below(desired, key))),
        _ => desired.is_some_and(|d| !agrees(asked, d, 0.0)),
    }
}

/// Of the leaves that were `asked` for and may be carried out any moment, those that are desired otherwise now, or were in doubt
/// already: with what is reported of each, `null` where that is nothing.
pub(super) fn doubtful(
    asked: &Value,
    in_doubt: Option<&Value>,
    desired: Option<&Value>,
    reported: Option<&Value>,
) -> Option<Value> {
    if let Value::Object(all) = asked {
        return members(all, |key, a| {
            doubtful(a, below(in_doubt, key), below(desired, key), below(reported, key))
        });
    }
    if in_doubt.is_none() && agrees(asked, desired?, 0.0) {
        return None;
    }
    desired?;
    Some(reported.filter(|r| !r.is_object()).cloned().unwrap_or_default())
}

/// Of the leaves in doubt those that still are: nothing was reported of them but what was reported before, or what is desired.
pub(super) fn still_doubtful(
    before: &Value,
    desired: Option<&Value>,
    reported: Option<&Value>,
    quantum: f64,
) -> Option<Value> {
    if let Value::Object(all) = before {
        return members(all, |key, b| still_doubtful(b, below(desired, key), below(reported, key), quantum));
    }
    let desired = desired?;
    let told_apart = |r: &Value| !agrees(before, r, 0.0) && !agrees(desired, r, quantum);
    (!reported.is_some_and(told_apart)).then(|| before.clone())
}

/// Leaves of what is desired, by the name that a dialect has for such a field; none where one is no single value.
pub(super) fn leaves(path: &str, desired: &Value, out: &mut Vec<(String, Option<Wanted>)>) {
    let wanted = match desired {
        Value::Object(all) => {
            for (key, value) in all {
                let path = if path.is_empty() { key.clone() } else { format!("{path}/{key}") };
                leaves(&path, value, out);
            }
            return;
        }
        Value::Number(n) => n.as_f64().map(Wanted::Number),
        Value::Bool(b) => Some(Wanted::Flag(*b)),
        Value::String(text) => Some(Wanted::Text(text.clone())),
        Value::Array(_) | Value::Null => None,
    };
    out.push((path.to_owned(), wanted));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_asked_otherwise_than_before_is_in_doubt_until_something_else_is_reported() {
        let (asked, desired) =
            (json!({"fan": 1, "deep": {"er": true}}), json!({"fan": 0, "deep": {"er": true}}));
        let reported = json!({"fan": 0, "deep": {"er": false}});
        assert!(is_otherwise(&asked, Some(&desired)) && is_desired(&asked, Some(&desired)));
        let before = doubtful(&asked, None, Some(&desired), Some(&reported));
        assert_eq!(before, Some(json!({"fan": 0})));
        let before = before.unwrap();
        let still = |reported: Value| still_doubtful(&before, Some(&desired), Some(&reported), 0.0);
        assert_eq!(
            (still(json!({"fan": "off"})), still(json!({}))),
            (Some(before.clone()), Some(before.clone()))
        );
        assert_eq!(still(json!({"fan": 1})), None);
        assert_eq!(still_doubtful(&before, Some(&json!({})), Some(&reported), 0.0), None, "desired no more");
        // One that was in doubt stays so, even where the same is asked for again.
        let again = doubtful(&asked, Some(&json!({"fan": 0})), Some(&asked), Some(&json!({})));
        assert_eq!(again, Some(json!({"fan": null})));
        assert_eq!(doubtful(&asked, None, Some(&json!({})), None), None);
    }

    #[test]
    fn trees_are_cut_and_joined_leaf_by_leaf() {
        let tree = json!({"a": {"b": 1, "c": 2}, "d": [3]});
        assert_eq!(within(&tree, &json!({"a": {"c": null}, "x": 1})), Some(json!({"a": {"c": 2}})));
        assert_eq!((within(&tree, &json!({"x": 1})), within(&tree, &json!({}))), (None, None));
        let mut joined = json!({"a": {"b": 1}});
        join(&mut joined, json!({"a": {"c": 2}, "d": [3]}));
        assert_eq!(joined, tree);
        assert_eq!(
            open(&tree, Some(&json!({"a": {"b": true}, "d": [3]})), 0.0),
            Some(json!({"a": {"c": 2}}))
        );
        assert!(!is_desired(&tree, Some(&json!({"a": {"b": 1}}))) && !is_otherwise(&tree, Some(&json!({}))));
    }
}
