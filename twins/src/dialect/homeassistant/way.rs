//! How an entity is told what to be: its topic of commands, the words that it takes, and the template that makes a payload of one.

use super::super::{facts::Value, template};
use super::{get, text, text_or, topic};
use serde_json::{Map, Value as Json, json};

/// Longest topic of commands, [bytes].
const MAX_TOPIC_BYTES: usize = 1024;
/// Words that an entity takes at most.
const MAX_WORDS: usize = 256;

/// Long and short form of a key.
pub(super) type Key = (&'static str, &'static str);

/// The keys of an entity's own commands: topic and template.
pub(super) const COMMAND: (Key, Key) = (("command_topic", "cmd_t"), ("command_template", "cmd_tpl"));
/// … and of the words that a select takes.
pub(super) const OPTIONS: Key = ("options", "ops");

/// How an entity is told what to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    pub(super) topic: String,
    /// Payloads for on and off, open and closed; empty where it takes values.
    on_off: (String, String),
    /// The words that it takes; none where it does not say, or takes others.
    words: Vec<String>,
    template: Box<str>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Whether it takes a JSON object with its state.
    json: bool,
}

impl Way {
    /// The way to an entity of a component; none where it only measures.
    pub(super) fn of(component: &str, map: &Map<String, Json>) -> Option<Self> {
        let words = |(long, short, default): (&str, &str, &str)| text_or(map, long, short, default);
        let on_off = match component {
            "switch" | "light" | "fan" | "siren" | "humidifier" => {
                [("payload_on", "pl_on", "ON"), ("payload_off", "pl_off", "OFF")]
            }
            "cover" | "valve" => [("payload_open", "pl_open", "OPEN"), ("payload_close", "pl_cls", "CLOSE")],
            "lock" => [("payload_lock", "pl_lock", "LOCK"), ("payload_unlock", "pl_unlk", "UNLOCK")],
            "number" | "select" | "text" | "climate" => [("", "", ""), ("", "", "")],
            _ => return None,
        };
        let topic = topic(map, COMMAND.0.0, COMMAND.0.1);
        // What a broker keeps for itself is nobody's to be told: a discovery may come from anyone who can publish one.
        let odd = |c: char| c.is_control() || matches!(c, '+' | '#');
        if topic.is_empty() || topic.starts_with('$') || topic.len() > MAX_TOPIC_BYTES || topic.contains(odd)
        {
            return None;
        }
        let qos = map.get("qos").and_then(Json::as_u64).and_then(|q| u8::try_from(q).ok()).unwrap_or(1);
        let [on, off] = on_off.map(words);
        let listed = get(map, OPTIONS.0, OPTIONS.1).filter(|_| component == "select");
        let listed = listed.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        Some(Self {
            topic,
            on_off: (on, off),
            words: listed.iter().filter_map(Json::as_str).take(MAX_WORDS).map(str::to_owned).collect(),
            template: text(map, COMMAND.1.0, COMMAND.1.1).into(),
            qos: qos.clamp(1, 2),
            retain: get(map, "retain", "ret").and_then(Json::as_bool).unwrap_or(false),
            json: text(map, "schema", "schema") == "json",
        })
    }

    /// The payload that says this value; or why there is none.
    pub(super) fn payload(&self, value: &Value) -> Result<String, &'static str> {
        let word = match value.number() {
            _ if self.on_off.0.is_empty() => value.to_string(),
            Some(v) if v == 0.0 || v == 1.0 => {
                let on = v == 1.0;
                if self.json {
                    return Ok(json!({"state": if on { "ON" } else { "OFF" }}).to_string());
                }
                if on { self.on_off.0.clone() } else { self.on_off.1.clone() }
            }
            _ => return Err("it is on (1) or off (0)"),
        };
        if !self.words.is_empty() && !self.words.contains(&word) {
            return Err("that is none of the words that its discovery lists");
        }
        if self.template.is_empty() {
            return Ok(word);
        }
        template::written(&self.template, &word).ok_or("its template of commands is not understood")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(component: &str, config: Json) -> Option<Way> {
        Way::of(component, config.as_object().unwrap())
    }

    #[test]
    fn each_component_is_told_in_its_own_words() {
        let (on, off, level) = (Value::Flag(true), Value::Text("OFF".into()), Value::Number(21.5));
        for (component, config, value, payload) in [
            ("switch", json!({"cmd_t": "x", "pl_on": "1"}), &on, Ok("1")),
            ("light", json!({"cmd_t": "x", "schema": "json"}), &off, Ok(r#"{"state":"OFF"}"#)),
            ("cover", json!({"cmd_t": "x"}), &off, Ok("CLOSE")),
            ("lock", json!({"cmd_t": "x"}), &on, Ok("LOCK")),
            ("fan", json!({"cmd_t": "x"}), &level, Err("it is on (1) or off (0)")),
            ("number", json!({"cmd_t": "x", "cmd_tpl": "{{ value + 1 }}"}), &level, Ok("22.5")),
            ("select", json!({"cmd_t": "x", "ops": ["OFF", "eco"]}), &off, Ok("OFF")),
            (
                "select",
                json!({"cmd_t": "x", "options": ["eco"]}),
                &off,
                Err("that is none of the words that its discovery lists"),
            ),
            (
                "text",
                json!({"cmd_t": "x", "cmd_tpl": "{{ now() }}"}),
                &off,
                Err("its template of commands is not understood"),
            ),
        ] {
            let told = way(component, config).unwrap().payload(value);
            assert_eq!(told.as_deref(), payload.as_ref().copied(), "{component}");
        }
        for topic in ["", "$SYS/x", "a/+", "a/#", "a\nb"] {
            assert_eq!(way("switch", json!({ "cmd_t": topic })), None, "{topic}");
        }
        assert_eq!(way("sensor", json!({"cmd_t": "x"})), None);
    }
}
