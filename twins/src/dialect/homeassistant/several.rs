//! What covers, lights, fans and humidifiers tell besides being open or on: each value on a topic of its own, or all in the JSON of
//! a light. Each becomes an entity, `ID/position` and so on, with the commands that the configuration names.

use super::{
    climate::{CURRENT_HUMIDITY, Part, TARGET_HUMIDITY, entities},
    get, text, text_or,
    way::Key,
};
use serde_json::{Map, Value as Json};

/// A number of a component, with its keys.
const fn number(
    name: &'static str,
    quantity: &'static str,
    (state, template): (Key, Key),
    command: (Key, Key),
) -> Part {
    Part { name, component: "number", quantity, state, template, command: Some(command), words: &[] }
}

/// "MQTT Cover".
const COVER: [Part; 2] = [
    number(
        "position",
        "",
        (("position_topic", "pos_t"), ("position_template", "pos_tpl")),
        (("set_position_topic", "set_pos_t"), ("set_position_template", "set_pos_tpl")),
    ),
    number(
        "tilt",
        "",
        (("tilt_status_topic", "tilt_status_t"), ("tilt_status_template", "tilt_status_tpl")),
        (("tilt_command_topic", "tilt_cmd_t"), ("tilt_command_template", "tilt_cmd_tpl")),
    ),
];

/// "MQTT Light", default schema.
const LIGHT: [Part; 2] = [
    number(
        "brightness",
        "",
        (("brightness_state_topic", "bri_stat_t"), ("brightness_value_template", "bri_val_tpl")),
        (("brightness_command_topic", "bri_cmd_t"), ("brightness_command_template", "bri_cmd_tpl")),
    ),
    number(
        "color_temp",
        "",
        (("color_temp_state_topic", "clr_temp_stat_t"), ("color_temp_value_template", "clr_temp_val_tpl")),
        (("color_temp_command_topic", "clr_temp_cmd_t"), ("color_temp_command_template", "clr_temp_cmd_tpl")),
    ),
];

/// "MQTT Fan".
const FAN: [Part; 1] = [number(
    "percentage",
    "",
    (("percentage_state_topic", "pct_stat_t"), ("percentage_value_template", "pct_val_tpl")),
    (("percentage_command_topic", "pct_cmd_t"), ("percentage_command_template", "pct_cmd_tpl")),
)];

/// "MQTT Humidifier".
const HUMIDIFIER: [Part; 2] = [TARGET_HUMIDITY, CURRENT_HUMIDITY];

/// What a component tells besides its state, as configurations of entities.
pub(super) fn parts(
    component: &str,
    id: &str,
    map: &Map<String, Json>,
) -> Vec<(&'static str, Map<String, Json>)> {
    match component {
        "cover" => entities(&COVER, id, map, None),
        "light" => entities(&LIGHT, id, map, None),
        "fan" => entities(&FAN, id, map, None),
        "humidifier" => entities(&HUMIDIFIER, id, map, None),
        _ => Vec::new(),
    }
}

/// Whether a light says all that it does in one JSON object ("MQTT Light", JSON schema).
pub(super) fn is_json(map: &Map<String, Json>) -> bool {
    text(map, "schema", "schema") == "json"
}

/// Such a light as entities: whether it is on, and how brightly it shines, where it says that it can be told.
pub(super) fn of_json_light(id: &str, map: &Map<String, Json>) -> Vec<(&'static str, Map<String, Json>)> {
    let with = |key: &str, template: &str| {
        let mut own = map.clone();
        own.insert(key.to_owned(), Json::from(template));
        own
    };
    let mut all = vec![("light", with("value_template", "{{ value_json.state }}"))];
    if get(map, "brightness", "brightness") == Some(&Json::Bool(true)) {
        let mut own = with("value_template", "{{ value_json.brightness }}");
        let unique = text_or(map, "unique_id", "uniq_id", id);
        own.insert("unique_id".to_owned(), Json::from(format!("{unique}/brightness")));
        // One that is dark would not show it.
        let told = r#"{"state":"ON","brightness":{{ value }}}"#;
        own.insert("command_template".to_owned(), Json::from(told));
        all.push(("number", own));
    }
    all
}

#[cfg(test)]
mod tests {
    use crate::dialect::{Asked, facts::Facts, facts::Value, find};
    use twinfleet_engine::dialect::Heard;

    /// What a double of these configurations' devices hears of states, and how a field is told a value.
    fn check(messages: &[(&str, &str)], values: &[(&str, f64)], field: &str, value: f64, told: (&str, &str)) {
        let mut ear = find("homeassistant").unwrap().listener(Some("home/x"));
        let mut facts = Facts::default();
        for (topic, payload) in messages {
            ear.hear(&Heard { topic, payload: payload.as_bytes(), retain: true }, &mut facts).unwrap();
        }
        let heard = facts.values_of("home/x");
        for (field, value) in values {
            assert_eq!(heard.get(*field), Some(value), "{field}: {heard:?}");
        }
        let asked = Asked { field, value: &Value::Number(value), ts_unix_ms: 0 };
        let said = ear.command("home/x", &asked).unwrap();
        assert_eq!((said.topic.as_str(), &*String::from_utf8_lossy(&said.payload)), told);
    }

    #[test]
    fn a_cover_says_where_it_is_and_goes_there() {
        let config = r#"{"~":"home/x","uniq_id":"c","stat_t":"~/state","cmd_t":"~/set","pos_t":"~/pos","set_pos_t":"~/pos/set","pos_tpl":"{{ value_json.p }}"}"#;
        let messages = [
            ("homeassistant/cover/x/config", config),
            ("home/x/state", "open"),
            ("home/x/pos", r#"{"p":40}"#),
        ];
        let values = [("c", 1.0), ("c/position", 40.0)];
        check(&messages, &values, "c/position", 70.0, ("home/x/pos/set", "70"));
        check(&messages, &values, "c", 0.0, ("home/x/set", "CLOSE"));
    }

    #[test]
    fn a_light_is_heard_and_told_in_its_json() {
        let config = r#"{"schema":"json","state_topic":"home/x/state","command_topic":"home/x/set","brightness":true,"unique_id":"l"}"#;
        let messages = [
            ("homeassistant/light/x/config", config),
            ("home/x/state", r#"{"state":"ON","brightness":120,"color_mode":"brightness"}"#),
        ];
        let values = [("l", 1.0), ("l/brightness", 120.0)];
        check(&messages, &values, "l", 0.0, ("home/x/set", r#"{"state":"OFF"}"#));
        check(&messages, &values, "l/brightness", 40.0, ("home/x/set", r#"{"state":"ON","brightness":40}"#));
    }

    #[test]
    fn a_dimmer_a_fan_and_a_humidifier_have_their_levels() {
        let light = r#"{"uniq_id":"d","stat_t":"home/x/s","stat_val_tpl":"{{ value_json.on }}","cmd_t":"home/x/s/set","bri_stat_t":"home/x/b","bri_cmd_t":"home/x/b/set"}"#;
        let fan = r#"{"uniq_id":"f","cmd_t":"home/x/f/set","pct_stat_t":"home/x/pct","pct_cmd_t":"home/x/pct/set"}"#;
        let humidifier = r#"{"uniq_id":"h","cmd_t":"home/x/h/set","hum_stat_t":"home/x/target","hum_cmd_t":"home/x/target/set","curr_hum_t":"home/x/now"}"#;
        let messages = [
            ("homeassistant/light/x/config", light),
            ("homeassistant/fan/x/config", fan),
            ("homeassistant/humidifier/x/config", humidifier),
            ("home/x/s", r#"{"on":"OFF"}"#),
            ("home/x/b", "200"),
            ("home/x/pct", "50"),
            ("home/x/target", "45"),
            ("home/x/now", "41.5"),
        ];
        let values = [
            ("d", 0.0),
            ("d/brightness", 200.0),
            ("f/percentage", 50.0),
            ("h/target_humidity", 45.0),
            ("h/current_humidity", 41.5),
        ];
        check(&messages, &values, "d/brightness", 9.0, ("home/x/b/set", "9"));
        check(&messages, &values, "h/target_humidity", 55.0, ("home/x/target/set", "55"));
    }
}
