//! What a mirror publishes back: each twin's state and verdicts, and Home Assistant's discovery of them, so that alarms
//! show up there by themselves.
//!
//! ```
//! use twinfleet_twins::mirror::announce::{Announced, discovery};
//! let twin = Announced { prefix: "twinfleet", twin: "pi 1", thing: "raspberry-pi-3b", signals: &[("soc.temperature".into(), "degC".into())] };
//! let config = discovery("homeassistant", &twin);
//! assert_eq!(config.topic, "homeassistant/device/twinfleet_pi_1/config");
//! assert!(config.retain);
//! ```

use super::keeper::Output;
use crate::dialect::{
    homeassistant::{TWIN_MANUFACTURER, TWIN_PREFIX},
    names,
};
use serde_json::{Map, Value, json};

/// A twin as it is announced.
#[derive(Clone, Copy, Debug)]
pub struct Announced<'a> {
    /// What the mirror's own topics begin with, without a slash at its end.
    pub prefix: &'a str,
    /// The twin.
    pub twin: &'a str,
    /// What it is a twin of.
    pub thing: &'a str,
    /// Its outputs: `part.quantity` and unit.
    pub signals: &'a [(String, String)],
}

/// Topic of a twin's state.
pub fn state_topic(prefix: &str, twin: &str) -> String {
    format!("{prefix}/{twin}/state")
}

/// Topic on which the mirror says `online`, and the broker for it `offline`.
pub fn status_topic(prefix: &str) -> String {
    format!("{prefix}/status")
}

/// Home Assistant's device-based discovery of a twin, retained.
pub fn discovery(ha_prefix: &str, of: &Announced<'_>) -> Output {
    let id = format!("{TWIN_PREFIX}{}", word(of.twin));
    let state = state_topic(of.prefix, of.twin);
    let mut components = Map::new();
    for (signal, unit) in of.signals {
        let key = format!("{}_estimate", word(signal));
        let symbol = names::spelled(unit);
        let class = names::device_class(names::quantity(signal), symbol);
        let mut sensor = json!({
            "p": "sensor",
            "name": format!("{signal} (estimate)"),
            "unique_id": format!("{id}_{key}"),
            "state_topic": state,
            "state_class": names::state_class(class),
            // Before the first reading there is no estimate: "None" is how Home Assistant is told so.
            "value_template": format!("{{{{ value_json.signals['{signal}'].estimate | default('None') }}}}"),
        });
        if !symbol.is_empty() {
            sensor["unit_of_measurement"] = json!(symbol);
        }
        if let Some(class) = class {
            sensor["device_class"] = json!(class);
        }
        components.insert(key, sensor);
    }
    components.insert(
        "problem".to_owned(),
        json!({
            "p": "binary_sensor",
            "name": "Problem",
            "unique_id": format!("{id}_problem"),
            "device_class": "problem",
            "state_topic": state,
            "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
        }),
    );
    components.insert(
        "verdict".to_owned(),
        json!({
            "p": "sensor",
            "name": "Verdict",
            "unique_id": format!("{id}_verdict"),
            "state_topic": state,
            "value_template": "{{ value_json.verdict }}",
        }),
    );
    let config = json!({
        "dev": { "ids": [id], "name": format!("{} (twin)", of.twin), "mf": TWIN_MANUFACTURER, "mdl": of.thing },
        "o": { "name": "twinfleet", "sw": env!("CARGO_PKG_VERSION") },
        "avty": [{ "topic": status_topic(of.prefix) }],
        "cmps": components,
        "qos": 1,
    });
    Output {
        topic: format!("{ha_prefix}/device/{id}/config"),
        payload: Value::to_string(&config).into_bytes(),
        qos: 1,
        retain: true,
    }
}

/// What Home Assistant's ids may hold.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}
