//! How long a load lasts: its stages say so, also to devices whose firmware says what they send.

use super::*;

#[test]
fn devices_with_firmware_send_to_the_end_of_the_stages() {
    let dir = scratch();
    let text = r#"Scenario(format: 1, seed: 3, duration: "DURATION", step: "100ms",
        fleet: [(id: "node-{}", count: 10, thing: "esp32-weather-node", firmware: (
            period: "500ms", awake: "100ms", publish: [(topic: "n/{device}", qos: 1)]))],
        load: (
            devices: [(id: "node-{}", count: 10, schedule: Firmware(fleet: "node-{}"))],
            subscribers: [(id: "s", filter: "n/#", qos: 1)],
            stages: [Hold(for: "4s")], thresholds: [AtMost(of: Lost, bound: 0)]))"#;
    let file = |duration: &str| {
        let path = dir.path().join(format!("{duration}.ron"));
        std::fs::write(&path, text.replace("DURATION", duration)).expect("a scenario");
        path.display().to_string()
    };
    let planned = |duration: &str| {
        let ran = command(&["load", &file(duration), "--dry-run"]);
        ran.json()["messages"].as_u64().expect("a number")
    };
    let whole = planned("4s");
    // Eight times in four seconds, less those whose first wake is late.
    assert!((60..=90).contains(&whole), "{whole}");
    assert_eq!(planned("1s"), whole);
    let ran = command(&["load", &file("1s"), "--set", PATIENT, "--quiet"]);
    assert_eq!((ran.code(), ran.json()["verdict"]["sent"].as_u64()), (0, Some(whole)), "{}", ran.stdout());
}
