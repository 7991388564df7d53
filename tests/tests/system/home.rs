//! Home Assistant itself listens: what our devices and our mirror publish becomes its entities, with their units, values and
//! presence.

use super::{
    common::{as_devices, command, scratch},
    mirror::{Mirror, connect, publish, url_of},
};
use serde_json::Value;
use std::fmt::Write as _;
use tempfile::TempDir;
use twinfleet_engine::dialect::Heard;
use twinfleet_tests::{Mosquitto, PATIENCE, Script, python_of, twinfleet, until};
use twinfleet_twins::dialect::{
    facts::{Fact, Facts},
    find,
};

/// Home Assistant, at the broker's other end.
struct Home {
    script: Script,
    _folder: TempDir,
}

impl Home {
    fn start(test: &str, broker: &Mosquitto) -> Option<Self> {
        let python = python_of("venv-home", "homeassistant.components.mqtt.schemas, paho.mqtt.client", test)?;
        let folder = scratch();
        let port = broker.addr.port().to_string();
        let script = Script::start(&python, "home.py", &[&port, "300", folder.path().to_str().unwrap()]);
        Some(Self { script, _folder: folder })
    }

    /// What it has made of what it heard, and its complaints about it.
    fn finish(self) -> (Value, Vec<String>) {
        let told = self.script.finish();
        // What it says of its own code is not about ours.
        let of_ours = |c: &&str| {
            ["homeassistant.components.", "homeassistant.helpers.template", "homeassistant.helpers.entity"]
                .iter()
                .any(|origin| c.starts_with(origin))
        };
        let complaints = told["complaints"].as_array().unwrap().iter().filter_map(Value::as_str);
        let complaints = complaints.filter(of_ours).map(str::to_owned).collect();
        (told["entities"].clone(), complaints)
    }
}

/// The states of an entity that are numbers, each change once.
fn numbers(entity: &Value) -> Vec<f64> {
    let states = entity["states"].as_array().unwrap_or_else(|| panic!("no states: {entity}"));
    let mut numbers: Vec<f64> = states.iter().filter_map(|s| s.as_str()?.parse().ok()).collect();
    numbers.dedup();
    numbers
}

/// Quantities of a device, their units here and in Home Assistant, and the class by which it knows them.
const QUANTITIES: [(&str, &str, &str, Option<&str>); 20] = [
    ("temperature", "degC", "°C", Some("temperature")),
    ("humidity", "percent", "%", Some("humidity")),
    ("pressure", "hPa", "hPa", Some("atmospheric_pressure")),
    ("illuminance", "lx", "lx", Some("illuminance")),
    ("irradiance", "W/m2", "W/m²", Some("irradiance")),
    ("voltage", "V", "V", Some("voltage")),
    ("current", "mA", "mA", Some("current")),
    ("power", "W", "W", Some("power")),
    ("energy", "Wh", "Wh", Some("energy")),
    ("co2", "ppm", "ppm", Some("carbon_dioxide")),
    ("pm2_5", "ug/m3", "µg/m³", Some("pm25")),
    ("charge", "percent", "%", Some("battery")),
    ("distance", "m", "m", Some("distance")),
    ("speed", "m/s", "m/s", Some("speed")),
    ("mass", "kg", "kg", Some("weight")),
    ("soil_moisture", "percent", "%", Some("moisture")),
    ("sound", "dB", "dB", Some("sound_pressure")),
    ("magnetic", "uT", "µT", None),
    ("flow", "l/min", "L/min", None),
    ("rotation", "rpm", "rpm", None),
];
/// The ways in which it is told, each by a device of its own: dialect with its options, and how unique ids end.
const FORMS: [(&str, &str, &str); 3] = [
    ("whole", "name: \"homeassistant\"", "whole_main_{}"),
    ("single", "name: \"homeassistant\", options: {\"form\": \"single\"}", "single_main_{}"),
    ("esp", "name: \"esphome\"", "-sensor-main_{}"),
];
const ROWS: usize = 60;

/// A value that no other row and quantity has, in the digits that a device would print.
fn value(row: usize, quantity: usize) -> f64 {
    10.0 + quantity as f64 + (row % 7) as f64 * 0.25
}

#[test]
fn home_assistant_shows_what_our_devices_say() {
    let test = "home_assistant_shows_what_our_devices_say";
    let Some(broker) = Mosquitto::start(test) else { return };
    // Before it waits: the command may have to be built.
    twinfleet();
    let Some(home) = Home::start(test, &broker) else { return };
    let dir = scratch();
    let mut table = String::from("t_s");
    for (quantity, ..) in QUANTITIES {
        write!(table, ",{quantity}").unwrap();
    }
    for row in 0..ROWS {
        write!(table, "\n{row}").unwrap();
        for q in 0..QUANTITIES.len() {
            write!(table, ",{}", value(row, q)).unwrap();
        }
    }
    std::fs::write(dir.path().join("all.csv"), table + "\n").unwrap();
    let map: String =
        QUANTITIES.iter().map(|(q, unit, ..)| format!("\"main.{q}@reported\": \"{q} {unit}\", ")).collect();
    let physicals: String = FORMS
        .iter()
        .map(|(id, dialect, _)| {
            format!(
                "(id: \"{id}\", from: Recording(path: \"all.csv\", time: \"t_s\", map: {{{map}}}),\n\
                 publish: (topic: \"{id}\", payload: Dialect({dialect}))),\n"
            )
        })
        .collect();
    let scenario = dir.path().join("all.ron");
    let text =
        format!("Scenario(format: 1, duration: \"{ROWS}s\", step: \"1s\", physicals: [{physicals}])\n");
    std::fs::write(&scenario, text).unwrap();
    let url = url_of(&broker);
    let mut bad = connect(&url);
    // The judge can refuse: a class that there is none of.
    let nonsense = r#"{"unique_id": "bad", "state_topic": "bad", "device_class": "nonsense"}"#;
    bad.publish("homeassistant/sensor/bad/config", nonsense.as_bytes(), 1, true).unwrap();
    while bad.unacknowledged() > 0 {
        bad.pump(Some(PATIENCE), |_| ()).unwrap();
    }
    let ran = command(&as_devices(scenario.to_str().unwrap(), &url, "4x"));
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let (entities, complaints) = home.finish();
    let (of_bad, others): (Vec<_>, Vec<_>) = complaints.iter().partition(|c| c.contains("nonsense"));
    assert!(!of_bad.is_empty() && entities["bad"].is_null(), "nonsense was taken: {complaints:?}");
    assert_eq!(others, Vec::<&String>::new(), "Home Assistant complains");
    for (id, _, ends) in FORMS {
        for (q, (quantity, _, unit, class)) in QUANTITIES.iter().enumerate() {
            let end = ends.replace("{}", quantity);
            let all = entities.as_object().unwrap();
            let (_, entity) = all
                .iter()
                .find(|(unique, _)| unique.ends_with(&end))
                .unwrap_or_else(|| panic!("{id} has no {quantity}: {:?}", all.keys()));
            assert_eq!(entity["unit"], *unit, "{id} {quantity}");
            assert_eq!(entity["device_class"].as_str(), *class, "{id} {quantity}");
            assert_eq!(entity["device"], id, "{id} {quantity}");
            assert_eq!(entity["last"], "unavailable", "{id} {quantity}: the last will");
            let want: Vec<f64> = (0..ROWS).map(|row| value(row, q)).collect();
            let got = numbers(entity);
            // It subscribes a moment after it has heard of an entity; from then on it has every value.
            assert!(got.len() >= ROWS / 2, "{id} {quantity}: {} of {ROWS}", got.len());
            assert!(want.ends_with(&got), "{id} {quantity}: {got:?}");
        }
    }
}

#[test]
fn home_assistant_shows_our_twins_and_their_alarms() {
    let test = "home_assistant_shows_our_twins_and_their_alarms";
    let Some(broker) = Mosquitto::start(test) else { return };
    // Before it waits: the command may have to be built.
    twinfleet();
    let Some(home) = Home::start(test, &broker) else { return };
    let url = url_of(&broker);
    let mut mirror = Mirror::of(2, &url, &["--publish-every", "100ms"]);
    mirror.start_and_wait();
    let mut device = connect(&url);
    for k in 0..60 {
        let reading =
            format!(r#"{{"ts": {}, "probe.temperature": {}}}"#, 100 * k, 21.5 + f64::from(k % 5) / 50.0);
        publish(&mut device, "fleet/d0/state", &reading);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // The device falls silent, which its twin tells by itself.
    until("a verdict on the silence", || mirror.metric("verdicts_holding") >= 1.0);
    let estimate = mirror.json("/api/v1/twins/d0")["signals"]["probe.temperature"]["estimate"].clone();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(mirror.stop(), Some(0));
    let (entities, complaints) = home.finish();
    assert_eq!(complaints, Vec::<String>::new(), "Home Assistant complains");
    let entity = |id: &str| -> &Value {
        let e = &entities[id];
        assert!(e.is_object(), "no {id}: {:?}", entities.as_object().unwrap().keys());
        e
    };
    let sensor = entity("twinfleet_d0_probe_temperature_estimate");
    assert_eq!((&sensor["unit"], &sensor["device_class"]), (&"°C".into(), &"temperature".into()));
    let shown = numbers(sensor);
    let (last, estimate) = (*shown.last().unwrap(), estimate.as_f64().unwrap());
    assert!((last - estimate).abs() < 1e-9 && shown.len() > 5, "{estimate} is not {shown:?}");
    let problem = entity("twinfleet_d0_problem");
    let seen: Vec<&str> = problem["states"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let alarm = seen.windows(2).any(|w| w == ["off", "on"]);
    assert!(alarm && problem["device_class"] == "problem", "{seen:?}");
    let verdicts = entity("twinfleet_d0_verdict")["states"].to_string();
    assert!(verdicts.contains("\"none\"") && verdicts.contains("dropout"), "{verdicts}");
    // The other twin heard nothing, and the mirror's end is told of both.
    assert!(numbers(entity("twinfleet_d1_probe_temperature_estimate")).len() <= 1);
    for id in ["twinfleet_d0_problem", "twinfleet_d1_problem"] {
        assert_eq!(entity(id)["last"], "unavailable", "{id}");
    }
}

/// Templates as devices write them, and a payload.
const TEMPLATES: [(&str, &str); 28] = [
    ("{{ value }}", "21.5"),
    ("{{ value_json.t }}", r#"{"t": 21.5}"#),
    ("{{ value_json['ENERGY']['Power'][1] }}", r#"{"ENERGY": {"Power": [12, 13]}}"#),
    ("{{ value_json.x | float / 10 }}", r#"{"x": 215}"#),
    ("{{ (value_json.x | float * 0.001) | round(2) }}", r#"{"x": "12345"}"#),
    ("{{ value_json.x | round(1) }}", r#"{"x": 2.25}"#),
    ("{{ value_json.x | float | round(1, 'floor') }}", r#"{"x": 2.28}"#),
    ("{{ value | multiply(0.001) | round(1) }}", "48250"),
    ("{{ value_json.rssi | int }}", r#"{"rssi": -61.7}"#),
    ("{{ value_json.hex | int(base=16) }}", r#"{"hex": "0x1F"}"#),
    ("{{ value_json.h | is_defined }}", r#"{"h": 1}"#),
    ("{{ value_json.t | is_defined }}", r#"{"h": 1}"#),
    ("{{ value_json.t | float }}", r#"{"t": "n/a"}"#),
    ("{{ value_json.t | float(3) }}", r#"{"t": "n/a"}"#),
    ("{{ value_json.t | default(-1) }}", r#"{"h": 1}"#),
    ("{{ 1 if value_json.open else 0 }}", r#"{"open": true}"#),
    ("{{ 'high' if value_json.speed | float(0) > 5 else 'low' }}", r#"{"speed": "1000"}"#),
    ("{{ iif(value_json.on, 'yes', 'no') }}", r#"{"on": false}"#),
    ("{{ value_json.on | iif('yes', 'no', 'none of both') }}", r#"{"on": null}"#),
    ("{% if value_json.mode == 'x' %}7{% else %}8{% endif %}", r#"{"mode": "x"}"#),
    ("{%- if value is defined and value == 'open' -%} 1 {%- else -%} 0 {%- endif -%}", "open"),
    ("{% set v = value_json.v | int %}{{ v / 100 }}", r#"{"v": 2350}"#),
    ("{{ value.split(',')[1] | float }}", "a,2.5"),
    ("{{ value_json.state.upper() }}", r#"{"state": "on"}"#),
    ("{{ float(value_json.t) - 273.15 }}", r#"{"t": 293.15}"#),
    ("{{ {'0': 'idle', '1': 'heat'}[value] }}", "1"),
    ("{{ (value | from_json).t }}", r#"{"t": 3}"#),
    ("{{ value_json.a | max }}", r#"{"a": [3, 9, 4]}"#),
];

#[test]
fn templates_tell_us_what_they_tell_home_assistant() {
    let test = "templates_tell_us_what_they_tell_home_assistant";
    let Some(broker) = Mosquitto::start(test) else { return };
    let Some(home) = Home::start(test, &broker) else { return };
    let mut device = connect(&url_of(&broker));
    let mut ours = find("homeassistant").unwrap().listener(Some("own"));
    let mut facts = Facts::default();
    let mut say = |topic: &str, payload: &str| {
        // Home Assistant subscribes a moment after it has started: what declares is kept for it.
        let retain = topic.ends_with("/config");
        device.publish(topic, payload.as_bytes(), 1, retain).unwrap();
        while device.unacknowledged() > 0 {
            device.pump(Some(PATIENCE), |_| ()).unwrap();
        }
        let heard = Heard { topic, payload: payload.as_bytes(), retain: false };
        ours.hear(&heard, &mut facts).unwrap();
    };
    for (n, (template, _)) in TEMPLATES.iter().enumerate() {
        let config = serde_json::json!({
            "unique_id": format!("t{n}"), "name": format!("t{n}"), "state_topic": format!("own/{n}/state"),
            "value_template": template, "device": {"identifiers": ["own"], "name": "own"},
        });
        say(&format!("homeassistant/sensor/own/t{n}/config"), &config.to_string());
    }
    // It subscribes a moment after it has heard of an entity.
    std::thread::sleep(std::time::Duration::from_secs(3));
    for (n, (_, payload)) in TEMPLATES.iter().enumerate() {
        say(&format!("own/{n}/state"), payload);
    }
    let (entities, _) = home.finish();
    for (n, (template, payload)) in TEMPLATES.iter().enumerate() {
        let theirs = entities[format!("t{n}")]["last"].as_str();
        let theirs = theirs.unwrap_or_else(|| panic!("{template}: {entities}"));
        let told = |f: &Fact| match f {
            Fact::Value { field, value, .. } if *field == format!("t{n}") => Some(value.to_string()),
            _ => None,
        };
        let own = facts.0.iter().find_map(told);
        match (own.as_deref(), theirs) {
            (None, "unknown") => {}
            (Some(own), theirs) => match (own.parse::<f64>(), theirs.parse::<f64>()) {
                (Ok(a), Ok(b)) => assert!((a - b).abs() < 1e-9, "{template} of {payload}: {own}, {theirs}"),
                _ => assert_eq!(own, theirs, "{template} of {payload}"),
            },
            (None, theirs) => panic!("{template} of {payload}: nothing, where Home Assistant has {theirs}"),
        }
    }
}
