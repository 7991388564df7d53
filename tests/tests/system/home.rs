//! Home Assistant itself listens: what our devices and our mirror publish becomes its entities, with their units, values and
//! presence.

use super::{
    common::{command, scratch},
    mirror::{Mirror, connect, publish, url_of},
};
use serde_json::Value;
use std::fmt::Write as _;
use tempfile::TempDir;
use twinfleet_tests::{Mosquitto, PATIENCE, Script, python_of, twinfleet, until};

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
    let ran = command(&[
        "replay",
        scenario.to_str().unwrap(),
        "--as-devices",
        "--broker",
        &url,
        "--speed",
        "4x",
        "--quiet",
    ]);
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
