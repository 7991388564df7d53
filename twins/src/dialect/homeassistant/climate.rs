//! A climate has no state of its own: each of its values lies on a topic of its own, with its own templates. Here each becomes an
//! entity, `ID/temperature` its target, `ID/mode` and so on, with the commands that its configuration names.

use super::{
    get, text, text_or,
    way::{COMMAND, Key, OPTIONS},
};
use serde_json::{Map, Value as Json};

/// One of the values of a component that has several ("MQTT HVAC", configuration variables; abbreviations as discovery has them).
pub(super) struct Part {
    pub(super) name: &'static str,
    /// What an entity of its own would be.
    pub(super) component: &'static str,
    /// What it measures, as a device class.
    pub(super) quantity: &'static str,
    pub(super) state: Key,
    pub(super) template: Key,
    /// Topic and template of its commands; none where it is only told.
    pub(super) command: Option<(Key, Key)>,
    /// What lists the words that it takes, where it takes words.
    pub(super) words: &'static [Key],
}

/// The humidity that is asked for, of climates and humidifiers.
pub(super) const TARGET_HUMIDITY: Part = Part {
    name: "target_humidity",
    component: "number",
    quantity: "humidity",
    state: ("target_humidity_state_topic", "hum_stat_t"),
    template: ("target_humidity_state_template", "hum_state_tpl"),
    command: Some((
        ("target_humidity_command_topic", "hum_cmd_t"),
        ("target_humidity_command_template", "hum_cmd_tpl"),
    )),
    words: &[],
};

/// The humidity that is, of the same.
pub(super) const CURRENT_HUMIDITY: Part = Part {
    name: "current_humidity",
    component: "sensor",
    quantity: "humidity",
    state: ("current_humidity_topic", "curr_hum_t"),
    template: ("current_humidity_template", "curr_hum_tpl"),
    command: None,
    words: &[],
};

/// Temperatures are in the climate's own unit, humidities in percent.
const PARTS: [Part; 11] = [
    Part {
        name: "temperature",
        component: "climate",
        quantity: "temperature",
        state: ("temperature_state_topic", "temp_stat_t"),
        template: ("temperature_state_template", "temp_stat_tpl"),
        command: Some((
            ("temperature_command_topic", "temp_cmd_t"),
            ("temperature_command_template", "temp_cmd_tpl"),
        )),
        words: &[],
    },
    Part {
        name: "temperature_high",
        component: "number",
        quantity: "temperature",
        state: ("temperature_high_state_topic", "temp_hi_stat_t"),
        template: ("temperature_high_state_template", "temp_hi_stat_tpl"),
        command: Some((
            ("temperature_high_command_topic", "temp_hi_cmd_t"),
            ("temperature_high_command_template", "temp_hi_cmd_tpl"),
        )),
        words: &[],
    },
    Part {
        name: "temperature_low",
        component: "number",
        quantity: "temperature",
        state: ("temperature_low_state_topic", "temp_lo_stat_t"),
        template: ("temperature_low_state_template", "temp_lo_stat_tpl"),
        command: Some((
            ("temperature_low_command_topic", "temp_lo_cmd_t"),
            ("temperature_low_command_template", "temp_lo_cmd_tpl"),
        )),
        words: &[],
    },
    Part {
        name: "current_temperature",
        component: "sensor",
        quantity: "temperature",
        state: ("current_temperature_topic", "curr_temp_t"),
        template: ("current_temperature_template", "curr_temp_tpl"),
        command: None,
        words: &[],
    },
    TARGET_HUMIDITY,
    CURRENT_HUMIDITY,
    Part {
        name: "mode",
        component: "select",
        quantity: "",
        state: ("mode_state_topic", "mode_stat_t"),
        template: ("mode_state_template", "mode_stat_tpl"),
        command: Some((("mode_command_topic", "mode_cmd_t"), ("mode_command_template", "mode_cmd_tpl"))),
        words: &[("modes", "modes")],
    },
    Part {
        name: "fan_mode",
        component: "select",
        quantity: "",
        state: ("fan_mode_state_topic", "fan_mode_stat_t"),
        template: ("fan_mode_state_template", "fan_mode_stat_tpl"),
        command: Some((
            ("fan_mode_command_topic", "fan_mode_cmd_t"),
            ("fan_mode_command_template", "fan_mode_cmd_tpl"),
        )),
        words: &[("fan_modes", "fan_modes")],
    },
    Part {
        name: "swing_mode",
        component: "select",
        quantity: "",
        state: ("swing_mode_state_topic", "swing_mode_stat_t"),
        template: ("swing_mode_state_template", "swing_mode_stat_tpl"),
        command: Some((
            ("swing_mode_command_topic", "swing_mode_cmd_t"),
            ("swing_mode_command_template", "swing_mode_cmd_tpl"),
        )),
        words: &[("swing_modes", "swing_modes")],
    },
    Part {
        name: "preset_mode",
        component: "select",
        quantity: "",
        state: ("preset_mode_state_topic", "pr_mode_stat_t"),
        template: ("preset_mode_value_template", "pr_mode_val_tpl"),
        command: Some((
            ("preset_mode_command_topic", "pr_mode_cmd_t"),
            ("preset_mode_command_template", "pr_mode_cmd_tpl"),
        )),
        // It takes `none` too, which is not among its presets.
        words: &[],
    },
    Part {
        name: "action",
        component: "sensor",
        quantity: "",
        state: ("action_topic", "act_t"),
        template: ("action_template", "act_tpl"),
        command: None,
        words: &[],
    },
];

/// What holds for each of them.
const SHARED: [Key; 10] = [
    ("~", "~"),
    ("availability", "avty"),
    ("availability_mode", "avty_mode"),
    ("availability_template", "avty_tpl"),
    ("availability_topic", "avty_t"),
    ("device", "dev"),
    ("payload_available", "pl_avail"),
    ("payload_not_available", "pl_not_avail"),
    ("qos", "qos"),
    ("retain", "ret"),
];

/// A climate's configuration as those of entities, one for each of its values that has a topic.
pub(super) fn parts(id: &str, map: &Map<String, Json>) -> Vec<(&'static str, Map<String, Json>)> {
    let degrees = match text(map, "temperature_unit", "temp_unit") {
        "F" => "°F",
        "C" => "°C",
        other => other,
    };
    entities(&PARTS, id, map, Some(degrees))
}

/// A component's configuration as those of entities, one for each of these values that has a topic; a climate's temperatures in this
/// unit.
pub(super) fn entities(
    parts: &[Part],
    id: &str,
    map: &Map<String, Json>,
    degrees: Option<&str>,
) -> Vec<(&'static str, Map<String, Json>)> {
    let unique = text_or(map, "unique_id", "uniq_id", id);
    let is_climate = degrees.is_some();
    let own = |part: &Part| {
        let copied = |keys: &[(Key, Key)], own: &mut Map<String, Json>| {
            for ((long, short), (to, _)) in keys {
                own.extend(get(map, long, short).map(|value| ((*to).to_owned(), value.clone())));
            }
        };
        get(map, part.state.0, part.state.1)?;
        let mut own = Map::new();
        copied(&SHARED.map(|key| (key, key)), &mut own);
        copied(&[(part.state, ("state_topic", "stat_t"))], &mut own);
        // A climate's template for all its values gives way to the value's own; others' is of their state alone.
        let value = ("value_template", "val_tpl");
        if is_climate {
            copied(&[(value, value)], &mut own);
        }
        copied(&[(part.template, value)], &mut own);
        if let Some((topic, template)) = part.command {
            copied(&[(topic, COMMAND.0), (template, COMMAND.1)], &mut own);
        }
        part.words.iter().for_each(|words| copied(&[(*words, OPTIONS)], &mut own));
        let unit = match part.quantity {
            "temperature" => degrees.unwrap_or_default(),
            "humidity" => "%",
            _ => "",
        };
        for (key, said) in [("unit_of_measurement", unit), ("device_class", part.quantity)] {
            if !said.is_empty() {
                own.insert(key.to_owned(), Json::from(said));
            }
        }
        own.insert("unique_id".to_owned(), Json::from(format!("{unique}/{}", part.name)));
        Some((part.component, own))
    };
    parts.iter().filter_map(own).collect()
}

#[cfg(test)]
mod tests {
    use crate::dialect::{
        Asked,
        facts::{Fact, Facts, Value},
        find,
    };
    use twinfleet_engine::dialect::{Heard, Unasked};

    /// A thermostat as a device abbreviates it, in Fahrenheit, with one state for all and templates of commands.
    const THERMOSTAT: &str = r#"{"~":"home/hvac","uniq_id":"th","temp_unit":"F","modes":["off","heat"],
        "mode_stat_t":"~/state","mode_stat_tpl":"{{ value_json.mode }}","mode_cmd_t":"~/set","mode_cmd_tpl":"{\"mode\":\"{{ value }}\"}",
        "temp_stat_t":"~/state","temp_stat_tpl":"{{ value_json.target }}","temp_cmd_t":"~/set","temp_cmd_tpl":"{\"target\":{{ value | float }}}",
        "curr_temp_t":"~/state","curr_temp_tpl":"{{ value_json.now }}","act_t":"~/state","act_tpl":"{{ value_json.action }}",
        "avty_t":"~/status","dev":{"ids":["th"],"mdl":"T1"}}"#;

    #[test]
    fn a_climates_values_are_heard_and_set_each_on_its_topic() {
        let mut ear = find("homeassistant").unwrap().listener(Some("home/hvac"));
        let mut facts = Facts::default();
        let mut hear = |topic: &str, payload: &str, facts: &mut Facts| {
            ear.hear(&Heard { topic, payload: payload.as_bytes(), retain: true }, facts).unwrap();
        };
        hear("homeassistant/climate/th/config", THERMOSTAT, &mut facts);
        let declared: Vec<(&str, &str, &str)> = facts
            .0
            .iter()
            .filter_map(|f| match f {
                Fact::Declared { field, unit, kind, .. } => Some((field.as_str(), unit.as_str(), *kind)),
                _ => None,
            })
            .collect();
        assert_eq!(
            declared,
            [
                ("th/temperature", "degF", "climate"),
                ("th/current_temperature", "degF", "sensor"),
                ("th/mode", "", "select"),
                ("th/action", "", "sensor"),
            ]
        );
        facts.0.clear();
        let state = r#"{"mode":"heat","target":70,"now":"68.5","action":"heating"}"#;
        hear("home/hvac/state", state, &mut facts);
        hear("home/hvac/status", "online", &mut facts);
        let values = facts.values_of("home/hvac");
        assert_eq!((values["th/temperature"], values["th/current_temperature"]), (70.0, 68.5));
        assert!(facts.0.contains(&Fact::Online { device: "home/hvac".into(), online: true }));
        let ask = |field: &str, value: Value| {
            ear.command("home/hvac", &Asked { field, value: &value, ts_unix_ms: 0 })
                .map(|u| (u.topic, String::from_utf8(u.payload).unwrap()))
        };
        let told = |payload: &str| Ok(("home/hvac/set".to_owned(), payload.to_owned()));
        assert_eq!(ask("th/temperature", Value::Number(71.5)), told(r#"{"target":71.5}"#));
        assert_eq!(ask("th/mode", Value::Text("off".into())), told(r#"{"mode":"off"}"#));
        for (field, value) in [
            ("th/mode", Value::Text("dry".into())),
            ("th/current_temperature", Value::Number(70.0)),
            ("th/action", Value::Text("idle".into())),
        ] {
            let refused = ask(field, value);
            assert!(matches!(refused, Err(Unasked::Never(_))), "{field}: {refused:?}");
        }
    }
}
