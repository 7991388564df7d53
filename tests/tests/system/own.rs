//! What a user adds next to a scenario works without recompiling: a sensor, an actuator, a heated box with its dynamics.

use super::common::command;
use std::path::Path;

fn file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/own").join(name).display().to_string()
}

#[test]
fn a_heated_box_of_the_users_own_is_simulated_and_mirrored() {
    let checked = command(&["check", &file("heated-box.ron")]);
    assert_eq!(checked.code(), 0, "{}", checked.stderr());
    let ran = command(&["run", &file("heated-box.ron"), "--broker", "none", "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
}

#[test]
fn without_its_catalog_the_box_is_refused_with_its_place() {
    let dir = super::common::scratch();
    let alone = dir.path().join("heated-box.ron");
    std::fs::copy(file("heated-box.ron"), &alone).unwrap();
    let ran = command(&["check", alone.to_str().unwrap()]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("heated-box.ron:9:"), "{}", ran.stderr());
    assert!(ran.stderr().contains("my-heated-box"), "{}", ran.stderr());
}

#[test]
fn a_twin_hears_the_level_of_its_devices_actuator() {
    let ran = command(&["run", &file("heated-box.ron"), "--broker", "none", "--quiet"]);
    let twin = &ran.json()["twins"][0];
    let heater = &twin["inputs"][0];
    assert_eq!(heater["name"], "heater.level");
    // A message every two seconds, of a heater that switches.
    assert!(heater["reported"]["rows"].as_u64().unwrap() > 3500, "{heater}");
    assert_eq!(
        (heater["reported"]["min"].as_f64(), heater["reported"]["max"].as_f64()),
        (Some(0.0), Some(1.0))
    );
}

#[test]
fn a_loop_that_hears_or_moves_nothing_is_told() {
    let thing = std::fs::read_to_string(file("catalog/things/my-heated-box.ron")).unwrap();
    let check = |from: &str, to: &str| {
        assert!(thing.contains(from), "{from}");
        let dir = super::common::scratch();
        for kind in ["sensors/my-probe", "actuators/my-heater", "things/my-heated-box"] {
            let name = format!("catalog/{kind}.ron");
            let path = dir.path().join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::copy(file(&name), path).unwrap();
        }
        let changed = thing.replacen(from, to, 1);
        std::fs::write(dir.path().join("catalog/things/my-heated-box.ron"), changed).unwrap();
        let scenario = dir.path().join("heated-box.ron");
        std::fs::copy(file("heated-box.ron"), &scenario).unwrap();
        let ran = command(&["check", scenario.to_str().unwrap()]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.stderr()
    };
    assert_eq!(check("lab/+/state", "lab/{device}/state"), "");
    for (from, to, words) in [
        ("input: \"lab/+/state", "input: \"lab/+/stat", "nobody here publishes on `lab/+/stat`"),
        ("pointer: \"/probe.temperature", "pointer: \"/probe.temprature", "did you mean `probe.temperature`"),
        (
            "output: \"lab/{device}/heater",
            "output: \"lab/{device}/heatr",
            "did you mean `lab/{device}/heater/set`",
        ),
    ] {
        let said = check(from, to);
        assert!(said.contains(words) && said.contains("heated-box.ron:9:"), "{to}: {said}");
        assert_eq!(said.matches("heated-box.ron:").count(), 1, "{to}: {said}");
    }
}

const BATTERY: &str = r#"Scenario(
    format: 1, duration: "1h", step: "1s",
    world: (zones: [(id: "room", temperature_c: 20.0)]),
    fleet: [(id: "on", thing: "box", in: ["room"]), (id: "half", thing: "box", in: ["room"]), (id: "off", thing: "box", in: ["room"])],
    things: [(
        name: "box", source: "test", board: "esp32-devkit", parts: [(id: "fan", model: "fan-5v", on: Pin("GPIO25"))],
        firmware: (period: "10s", publish: [(topic: "t/{device}")]),
        power: Battery(capacity_mah: 1800.0, charge: (0.9, 0.9), r0_ohm: 0.1, ocv_v: [(0.0, 3.0), (1.0, 4.2)]),
    )],
    timeline: [(at: "0s", do: Command(target: "on/fan", level: 1.0)), (at: "0s", do: Command(target: "half/fan", level: 0.5))],
    record: (signals: ["**"]),
)"#;

#[test]
fn a_battery_feeds_its_devices_actuators() {
    let dir = super::common::scratch();
    let path = dir.path().join("battery.ron");
    std::fs::write(&path, BATTERY).unwrap();
    let ran = command(&["run", path.to_str().unwrap(), "--broker", "none", "--quiet"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let json = ran.json();
    let channels =
        json["groups"].as_array().unwrap().iter().find(|g| g["devices"] == 3).unwrap()["channels"].clone();
    let least = |device: &str, name: &str| {
        let all = channels.as_array().unwrap().iter();
        let channel = all.clone().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{channels}"));
        let line = channel["lines"].as_array().unwrap().iter().find(|l| l["of"] == device).unwrap();
        line["series"]["min"].as_f64().unwrap()
    };
    // 180 mA for an hour out of 1800 mAh are 10 %; the first readings' own seconds of it are within a tenth.
    let taken = |device: &str| least("off", "power.charge") - least(device, "power.charge");
    assert!((taken("on") - 10.0).abs() < 0.1, "{}", taken("on"));
    assert!((taken("half") - 5.0).abs() < 0.1, "{}", taken("half"));
    // And while it runs, its current pulls the voltage down: 0.1 Ω at 180 mA beside the curve's 1.2 V over the charge.
    let sag = least("off", "power.voltage") - least("on", "power.voltage");
    assert!((sag - (0.1 * 0.18 + 1.2 * 0.10)).abs() < 0.003, "{sag}");
}
