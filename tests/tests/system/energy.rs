//! Batteries, panels and radios through the command: what a user's own scenario of them comes to.

use super::common::{command, run_scenario, scratch};
use serde_json::Value;

/// A sensor on LoRaWAN with a cell that can be charged, and what the scenario changes.
fn scenario(power: &str, link: &str, more: &str) -> String {
    format!(
        r#"Scenario(
            format: 1, duration: "4d", step: "10s", start: "2026-06-20T00:00:00Z", seed: 7,
            world: (weather: (latitude_deg: 50.0, mean_c: 18.0, swing_c: 6.0, cloud: 0.3)),
            things: [(
                name: "node", source: "a test", board: "esp32-devkit",
                parts: [(id: "t", model: "bme280", on: I2c(0x76))],
                firmware: (
                    period: "5min", awake: "200ms", deep_sleep: true,
                    publish: [(topic: "f/{{device}}", payload: Template("{{t.temperature:.1}}"))],
                ),
                power: {power},
            )],
            fleet: [(id: "n-{{}}", count: 12, thing: "node", link: "l")],
            links: [{link}],
            {more}
        )"#
    )
}

const LORA: &str = r#"(id: "l", profile: "lorawan-eu868-sf9", module: "RFM95W on SPI", radio: (distance_m: (200.0, 900.0)))"#;

fn run(text: &str, extra: &[&str]) -> Value {
    let dir = scratch();
    let file = dir.path().join("s.ron");
    std::fs::write(&file, text).expect("written");
    let args = [&["run", file.to_str().expect("text"), "--quiet", "--broker", "none"], extra].concat();
    run_scenario(&args).json()
}

fn channel<'a>(report: &'a Value, name: &str) -> &'a Value {
    let all = report["groups"].as_array().expect("groups").iter();
    let mut found = all.flat_map(|g| g["channels"].as_array().expect("channels"));
    found.find(|c| c["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

fn pack(solar: &str) -> String {
    format!(r#"Pack(cell: "lipo-1000", charge: (0.5, 0.6), regulator: "mcp1700-3v3", {solar})"#)
}

#[test]
fn a_panel_carries_a_node_that_runs_down_without() {
    let dark = run(&scenario(&pack(""), LORA, ""), &[]);
    let lit =
        run(&scenario(&pack("solar: (area_m2: 0.004, efficiency: 0.18, controller: 0.9)"), LORA, ""), &[]);
    let charge = |r: &Value, end: &str| channel(r, "power.charge")[end].as_f64().expect("a figure");
    assert!(charge(&dark, "max") <= 60.01 && charge(&dark, "min") < 50.0);
    // It stores sunlight, and never more than it holds.
    assert!(charge(&lit, "max") > 80.0 && charge(&lit, "max") <= 100.0 + 1e-9, "{}", charge(&lit, "max"));
    assert!(dark["batteries"][0]["expected_h"].as_f64().expect("it ends") > 24.0);
    assert_eq!(lit["batteries"][0]["expected_h"], Value::Null, "it does not run down");
    // Energy balance: twice the panel charges twice as much, less what a full cell refuses.
    let ma = |r: &Value| r["batteries"][0]["mean_ma"].as_f64().expect("a current");
    let small = |area: f64| pack(&format!("solar: (area_m2: {area}, efficiency: 0.18)"));
    let (one, two) =
        (run(&scenario(&small(1e-4), LORA, ""), &[]), run(&scenario(&small(2e-4), LORA, ""), &[]));
    let (gain_one, gain_two) = (ma(&dark) - ma(&one), ma(&dark) - ma(&two));
    assert!((gain_two / gain_one - 2.0).abs() < 0.05, "{gain_one} {gain_two}");
}

#[test]
fn the_mean_current_is_what_the_duty_cycle_says() {
    let report = run(&scenario(&pack(""), LORA, ""), &[]);
    // A wake: 0.2 s at 50 mA, 165 ms of radio at 88 mA, 360 ms of listening at 61 mA (60 at SF9, 300 at SF12 for the second
    // window); between, 10 µA, 2 µA and the leak.
    let air_s = 0.165;
    let charge_ma_s = 0.2 * 50.0 + air_s * 88.0 + 0.36 * 61.5;
    let by_hand = charge_ma_s / 300.0 + 0.010 + 0.0016 + 0.03 * 1000.0 / 730.5;
    let ma = report["batteries"][0]["mean_ma"].as_f64().expect("a current");
    assert!((ma / by_hand - 1.0).abs() < 0.1, "{ma} mA, by hand {by_hand}");
}

#[test]
fn a_slow_link_keeps_its_airtime_and_drops_the_rest() {
    // A message a minute at SF12 takes 1.3 s on the air each: 1 % of an hour holds 27 of 60.
    let link = r#"(id: "l", profile: "lorawan-eu868-sf12", module: "RFM95W on SPI", radio: (distance_m: (200.0, 500.0)))"#;
    let text = scenario("Mains", link, "").replace("period: \"5min\"", "period: \"1min\"");
    let report = run(&text, &["--set", "duration=\"1d\""]);
    let count = |name: &str| report["counters"][name].as_f64().unwrap_or(0.0);
    let hours = 12.0 * 24.0;
    let air_s = 1.318;
    let most = hours * 36.0 / air_s;
    assert!(count("transmissions") <= most + 12.0, "{} of {most}", count("transmissions"));
    assert!(count("transmissions") > 0.9 * most, "the hour is used");
    assert!(count("messages_dropped") > 0.3 * count("messages_sent") && count("duty_cycle_waits") > 0.0);
}

#[test]
fn walls_and_distance_decide_who_is_heard_and_devices_roam() {
    let world = r#"zones: [(id: "a", neighbours: [(zone: "b", w_k: 1.0)]), (id: "b", neighbours: [(zone: "c", w_k: 1.0)]), (id: "c")],"#;
    let text = |radio: &str| {
        let link = format!(r#"(id: "l", profile: "wifi-2g4", radio: ({radio}))"#);
        // It stays on, and keeps what it has joined.
        let text = scenario("Mains", &link, "").replace("deep_sleep: true", "deep_sleep: false");
        let text = text.replace("world: (", &format!("world: ({world}"));
        text.replace("thing: \"node\",", "thing: \"node\", in: [\"a\", \"b\", \"c\"],")
    };
    let day: &[&str] = &["--set", "duration=\"1d\""];
    let share = |r: &Value| {
        let count = |name: &str| r["counters"][name].as_f64().unwrap_or(0.0);
        count("messages_delivered") / count("messages_sent").max(1.0)
    };
    let near = run(&text("distance_m: (5.0, 10.0), access_points: [\"a\"]"), day);
    let walled = run(&text("distance_m: (5.0, 10.0), access_points: [\"a\"], wall_db: 45.0"), day);
    assert!(share(&near) > 0.98 && share(&walled) < 0.9, "{} {}", share(&near), share(&walled));
    let everywhere = "distance_m: (5.0, 10.0), access_points: [\"a\", \"b\", \"c\"], wall_db: 45.0";
    assert!(share(&run(&text(everywhere), day)) > 0.98, "an access point in every zone");
    let fading = "distance_m: (20.0, 30.0), access_points: [\"a\", \"b\"], wall_db: 3.0, fading_db: 5.0";
    let roams = run(&text(fading), day);
    assert!(roams["counters"]["roams"].as_u64() > Some(12), "{}", roams["counters"]);
    assert_eq!(roams["counters"]["joins"], roams["counters"]["roams"], "each costs a join");
}

#[test]
fn mistakes_are_told_with_their_place() {
    let dir = scratch();
    let file = dir.path().join("s.ron");
    for (power, link, expected) in [
        (r#"Pack(cell: "aa-alcaline", charge: (0.5, 0.6))"#, LORA, "there is no battery `aa-alcaline`"),
        (r#"Pack(cell: "aa-alkaline", charge: (0.9, 0.6))"#, LORA, "states of charge lie within 0 and 1"),
        (r#"Pack(cell: "aa-alkaline", charge: (0.5, 0.6), series: 0)"#, LORA, "a pack has at least one cell"),
        (
            r#"Pack(cell: "cr2032", charge: (0.5, 0.6), solar: (area_m2: 0.1, efficiency: 0.2))"#,
            LORA,
            "`cr2032` cannot be charged",
        ),
        (
            r#"Pack(cell: "lipo-1000", charge: (0.5, 0.6), regulator: "ldo")"#,
            LORA,
            "there is no regulator `ldo`",
        ),
        ("Mains", r#"(id: "l", profile: "lorawan")"#, "there is no link profile `lorawan`"),
        ("Mains", r#"(id: "l", radio: (distance_m: (1.0, 2.0)))"#, "a radio has a transmit power"),
        (
            "Mains",
            r#"(id: "l", profile: "lte-m", radio: (distance_m: (1.0, 2.0), access_points: ["attic"]))"#,
            "there is no zone `attic`",
        ),
    ] {
        std::fs::write(&file, scenario(power, link, "")).expect("written");
        let ran = command(&["check", file.to_str().expect("text")]);
        assert_eq!(ran.code(), 2, "{expected}");
        assert!(ran.stderr().contains(expected), "{expected}:\n{}", ran.stderr());
    }
}

#[test]
fn the_catalog_lists_cells_regulators_and_links_with_their_sources() {
    for (what, least, named) in
        [("batteries", 6, "aa-alkaline"), ("regulators", 5, "mcp1700-3v3"), ("links", 8, "lorawan-eu868-sf7")]
    {
        let all = command(&["list", what]).json();
        let all = all.as_array().expect("a list");
        assert!(all.len() >= least && all.iter().any(|e| e["name"] == named), "{what}");
        assert!(all.iter().all(|e| e["source"].as_str().is_some_and(|s| s.len() > 40)), "{what}");
    }
}

/// A node that sleeps without its radio, deeply or lightly, has to join Wi-Fi at each wake, which is most of what it takes; one that
/// wakes for the access point's beacons keeps its association, and LoRaWAN its session.
#[test]
fn each_wake_from_deep_sleep_joins_wifi_again() {
    let power = r#"Pack(cell: "li-ion-18650", charge: (1.0, 1.0), regulator: "tps63020-3v3")"#;
    let wifi = r#"(id: "l", profile: "wifi-2g4")"#;
    let minutely = |sleep: &str, link: &str| {
        let text = scenario(power, link, "").replace("5min", "1min").replace("200ms", "400ms");
        run(&text.replace("deep_sleep: true", sleep).replace("\"4d\"", "\"12h\""), &[])
    };
    let rests = |state: &str| minutely(&format!(r#"rest: "{state}""#), wifi);
    let (deep, light, beacons) =
        (minutely("deep_sleep: true", wifi), rests("light_sleep"), rests("auto_light_sleep"));
    let lora = minutely("deep_sleep: true", LORA);
    let joins = |r: &Value| r["counters"]["joins"].as_f64().unwrap_or(0.0);
    for report in [&deep, &light] {
        assert!(joins(report) >= report["counters"]["messages_delivered"].as_f64().expect("messages"));
    }
    assert_eq!((joins(&beacons), joins(&lora)), (0.0, 0.0));
    // All else being the same, lighter sleep costs the difference of the two states, 0.79 mA at the rail.
    let ma = |r: &Value| r["batteries"][0]["mean_ma"].as_f64().expect("a current");
    let more_ma = (ma(&light) - ma(&deep)) / 3.3 * 3.7 * 0.92;
    assert!((more_ma - 0.79 * 57.6 / 60.0).abs() < 0.1, "{more_ma} mA");
    // By hand, at the rail: 0.4 s of 50 mA, 2 s of joining and 20 ms of listening at 100 mA, 10 µA asleep; 3.3 V of it out of
    // some 3.7 V at 92 %.
    let rail_ma = (0.4 * 50.0 + 2.02 * 100.0) / 60.0 + 0.01;
    let by_hand_ma = rail_ma * 3.3 / 3.7 / 0.92;
    let mean_ma = deep["batteries"][0]["mean_ma"].as_f64().expect("a current");
    assert!((mean_ma / by_hand_ma - 1.0).abs() < 0.15, "{mean_ma} mA against {by_hand_ma}");
    let days = deep["batteries"][0]["expected_h"].as_f64().expect("it ends") / 24.0;
    assert!((days / (3350.0 / by_hand_ma / 24.0) - 1.0).abs() < 0.2, "{days} days");
}
