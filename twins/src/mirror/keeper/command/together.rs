//! Parts of one thing in one message: a lamp that is told the `x` of a color alone, and its `y` alone, understands neither.

use serde_json::{Map, Value};
use twinfleet_engine::dialect::Utterance;

/// These messages, where those on one topic that tell parts of the same object, and nothing that contradicts, are one.
pub(super) fn together(said: Vec<Utterance>) -> Vec<Utterance> {
    let mut all: Vec<(Utterance, Option<Map<String, Value>>)> = Vec::new();
    for said in said {
        let body = serde_json::from_slice::<Map<String, Value>>(&said.payload).ok();
        let place = body.as_ref().and_then(|body| all.iter().position(|one| is_of(one, &said, body)));
        match (place, body) {
            (Some(at), Some(body)) => {
                if let (one, Some(own)) = &mut all[at] {
                    merge(own, body);
                    one.payload = Value::Object(own.clone()).to_string().into_bytes();
                }
            }
            (_, body) => all.push((said, body)),
        }
    }
    all.into_iter().map(|(said, _)| said).collect()
}

/// Whether a message can go with another one.
fn is_of(
    (one, own): &(Utterance, Option<Map<String, Value>>),
    said: &Utterance,
    body: &Map<String, Value>,
) -> bool {
    let alike = (&one.topic, one.qos, one.retain) == (&said.topic, said.qos, said.retain);
    let is_part = |(key, value): (&String, &Value)| {
        value.is_object() && own.as_ref().and_then(|own| own.get(key)).is_some_and(Value::is_object)
    };
    alike && body.iter().any(is_part) && own.as_ref().is_some_and(|own| fits(own, body))
}

fn fits(own: &Map<String, Value>, more: &Map<String, Value>) -> bool {
    more.iter().all(|(key, value)| match (own.get(key), value) {
        (None, _) => true,
        (Some(Value::Object(own)), Value::Object(more)) => fits(own, more),
        (Some(own), value) => own == value,
    })
}

fn merge(own: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match value {
            Value::Object(more) if own.get(&key).is_some_and(Value::is_object) => {
                if let Some(Value::Object(own)) = own.get_mut(&key) {
                    merge(own, more);
                }
            }
            value => drop(own.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[(&str, &str)], told: &[(&str, &str)]) {
        let one = |(topic, payload): &(&str, &str)| Utterance {
            topic: (*topic).to_owned(),
            payload: payload.as_bytes().to_vec(),
            qos: 1,
            retain: false,
        };
        let wanted: Vec<Utterance> = told.iter().map(one).collect();
        assert_eq!(together(said.iter().map(one).collect()), wanted);
    }

    #[test]
    fn parts_of_an_object_are_told_as_one_and_nothing_else_is() {
        let (x, y) = (r#"{"color":{"x":0.2}}"#, r#"{"color":{"y":0.4}}"#);
        let state = r#"{"state":"ON"}"#;
        check(&[("a", x), ("a", state), ("a", y)], &[("a", r#"{"color":{"x":0.2,"y":0.4}}"#), ("a", state)]);
        check(&[("a", x), ("b", y)], &[("a", x), ("b", y)]);
        // What contradicts, and what is no JSON, stays as it is.
        let red = r#"{"color":{"x":0.7}}"#;
        check(
            &[("a", x), ("a", red), ("a", "ON"), ("a", "ON")],
            &[("a", x), ("a", red), ("a", "ON"), ("a", "ON")],
        );
        let lit = [r#"{"color":{"r":1},"state":"ON"}"#, r#"{"color":{"g":2},"state":"ON"}"#];
        check(&lit.map(|said| ("l", said)), &[("l", r#"{"color":{"g":2,"r":1},"state":"ON"}"#)]);
    }
}
