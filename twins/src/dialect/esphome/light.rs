//! A light says all that it does in one JSON object, and is told in one: `light/ID` is whether it is on, `light/ID/brightness` and so on
//! what else it has (ESPHome's light_json_schema, after Home Assistant's JSON schema for lights).

use super::super::{facts::Value, tree};
use serde_json::{Map, Value as Json, json};
use twinfleet_engine::mirror::decode::DecodeError;

/// Whether a light can be told this of it.
pub(super) fn is_settable(attribute: &str) -> bool {
    matches!(
        attribute,
        "brightness"
            | "color_temp"
            | "effect"
            | "white_value"
            | "color/r"
            | "color/g"
            | "color/b"
            | "color/w"
            | "color/c"
    )
}

/// What a light's JSON says, or asks of it, by field; none where it is no object.
pub(super) fn read(field: &str, text: &str) -> Result<Option<Vec<(String, Value)>>, DecodeError> {
    if !text.trim_start().starts_with('{') {
        return Ok(None);
    }
    let mut all = Vec::new();
    tree::leaves(&tree::read(text.as_bytes())?, &mut |path, leaf| {
        let own = if path == "state" { field.to_owned() } else { format!("{field}/{path}") };
        all.extend(tree::value(leaf).map(|value| (own, value)));
    })?;
    Ok(Some(all))
}

/// What tells a light one of its attributes. One that is dark would not show it.
pub(super) fn order(attribute: &str, value: &Value) -> String {
    let mut body = Map::from_iter([("state".to_owned(), Json::from("ON"))]);
    let path: Vec<String> = attribute.split('/').map(str::to_owned).collect();
    tree::put(&mut body, &path, tree::json(value));
    Json::Object(body).to_string()
}

/// The way in which a light shines, by what its state has.
pub(super) fn color_mode(state: &Map<String, Json>) -> &'static str {
    let color = |key: &str| state.get("color").is_some_and(|c| c.get(key).is_some());
    match (color("r"), color("w"), color("c")) {
        (true, true, true) => "rgbww",
        (true, true, false) => "rgbw",
        (true, ..) => "rgb",
        (_, true, true) => "cwww",
        (_, true, _) => "white",
        _ if state.contains_key("color_temp") => "color_temp",
        _ if state.contains_key("brightness") => "brightness",
        _ => "onoff",
    }
}

/// What a light's discovery says besides, by a state of it.
pub(super) fn config(state: &Map<String, Json>) -> Map<String, Json> {
    let mode = match color_mode(state) {
        // Home Assistant knows no such mode, and is told of the nearest.
        "cwww" => "color_temp",
        other => other,
    };
    let mut map = Map::from_iter([
        ("schema".to_owned(), Json::from("json")),
        ("clrm".to_owned(), Json::from(true)),
        ("supported_color_modes".to_owned(), json!([mode])),
    ]);
    if state.contains_key("brightness") {
        map.insert("brightness".to_owned(), Json::from(true));
    }
    if mode == "color_temp" {
        map.extend([("min_mirs", 153), ("max_mirs", 500)].map(|(key, v)| (key.to_owned(), Json::from(v))));
    }
    if let Some(effect) = state.get("effect") {
        map.insert("effect".to_owned(), Json::from(true));
        map.insert("fx_list".to_owned(), json!([effect, "None"]));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_read_by_field_and_told_as_one() {
        let state = r#"{"color_mode":"rgb","state":"ON","brightness":120,"color":{"r":255,"g":0,"b":10}}"#;
        let read = read("light/lamp", state).unwrap().unwrap();
        let told: Vec<(&str, String)> = read.iter().map(|(f, v)| (f.as_str(), v.to_string())).collect();
        let told: Vec<(&str, &str)> = told.iter().map(|(f, v)| (*f, v.as_str())).collect();
        assert_eq!(
            told,
            [
                ("light/lamp/brightness", "120"),
                ("light/lamp/color/b", "10"),
                ("light/lamp/color/g", "0"),
                ("light/lamp/color/r", "255"),
                ("light/lamp/color_mode", "rgb"),
                ("light/lamp", "ON"),
            ]
        );
        assert_eq!(super::read("light/lamp", "ON"), Ok(None));
        assert_eq!(order("color/r", &Value::Number(7.0)), r#"{"color":{"r":7},"state":"ON"}"#);
        assert!(is_settable("color/r") && !is_settable("color_mode"));
        for (state, mode) in [
            (json!({"state": "ON", "color": {}}), "onoff"),
            (json!({"brightness": 1, "color": {}}), "brightness"),
            (json!({"brightness": 1, "color_temp": 200}), "color_temp"),
            (json!({"color": {"r": 1, "g": 1, "b": 1, "w": 1}}), "rgbw"),
        ] {
            assert_eq!(color_mode(state.as_object().unwrap()), mode, "{state}");
        }
    }
}
