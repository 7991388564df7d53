//! Who hears a command, and when: asleep, off the network, behind a radio that only sends; and what unconfirmed messages
//! come to.

use super::common::{command, run_scenario, scratch};
use serde_json::Value;
use std::path::Path;
use twinfleet_engine::{record::Record, world::Event};

/// A lamp that a message a minute switches to and fro, and how its device sleeps and speaks. The commander says what it has
/// measured of its own, so that the topic is heard but each message is another one.
fn scenario(firmware: &str, link: &str, retain: bool, timeline: &str) -> String {
    format!(
        r#"Scenario(format: 1, duration: "6h", step: "1s", seed: 3, start: "2026-03-01T08:00:00Z",
            world: (zones: [(id: "room", temperature_c: 10.0)]),
            things: [
                (name: "lamp", source: "a test", board: "esp32-devkit", parts: [(id: "led", model: "led", on: Pin("GPIO26"))],
                    firmware: (period: "30min", awake: "400ms", commands: [(topic: "c/led", part: "led")], {firmware})),
                (name: "commander", source: "a test", board: "raspberry-pi-4b", parts: [(id: "b", model: "bme280", on: I2c(0x76))],
                    firmware: (period: "60s", publish: [(topic: "c/led", payload: Template("1"), qos: 1, retain: {retain})])),
            ],
            fleet: [(id: "lamp", count: 1, thing: "lamp", in: ["room"], link: "l"), (id: "hand", count: 1, thing: "commander", in: ["room"], link: "house")],
            links: [(id: "l", {link}), (id: "house")], timeline: [{timeline}],
            record: (signals: ["**"], segment: "12h"))"#
    )
}

const WIFI: &str = r#"profile: "wifi-2g4", radio: (distance_m: (5.0, 5.0))"#;
const SAYS: &str = r#"publish: [(topic: "s/lamp", payload: Template("on"))]"#;

fn run(text: &str) -> (Value, Vec<Event>) {
    let dir = scratch();
    let (file, record) = (dir.path().join("s.ron"), dir.path().join("r"));
    std::fs::write(&file, text).expect("written");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (file, kept) = (text(&file), text(&record));
    let report = run_scenario(&["run", &file, "--quiet", "--broker", "none", "--record", &kept]).json();
    let record = Record::open(&record).expect("a record");
    let events = record.events().map(|e| e.expect("events"));
    (report, events.collect())
}

fn count(report: &Value, name: &str) -> f64 {
    report["counters"][name].as_f64().unwrap_or(0.0)
}

/// When the lamp was first switched on, [s].
fn lit_s(events: &[Event]) -> Option<f64> {
    events.iter().find(|e| e.subject == "lamp" && e.kind == "command").map(|e| e.t.as_secs_f64())
}

#[test]
fn a_device_hears_while_it_is_awake_and_on_the_network() {
    let on = SAYS.to_owned();
    let asleep = format!("deep_sleep: true, {SAYS}");
    let dark = format!(r#"rest: "light_sleep", {SAYS}"#);
    let beacons = format!(r#"rest: "auto_light_sleep", {SAYS}"#);
    let down = r#"(at: 0, do: LinkDown(link: "l"))"#;
    // One that stays on the network hears all, at once.
    for firmware in [&on, &beacons] {
        let (report, events) = run(&scenario(firmware, WIFI, false, ""));
        assert!(lit_s(&events).is_some_and(|s| s < 62.0), "{firmware}: {:?}", lit_s(&events));
        assert!(count(&report, "commands_taken") >= 359.0 && count(&report, "messages_unheard") == 0.0);
    }
    // Without a network nobody does, and the record says so.
    for firmware in [&on, &asleep] {
        let (report, events) = run(&scenario(firmware, WIFI, false, down));
        assert_eq!((lit_s(&events), count(&report, "commands_taken")), (None, 0.0), "{firmware}");
        assert!(count(&report, "messages_unheard") >= 359.0);
        assert_eq!(events.iter().filter(|e| e.kind == "unheard").count(), 1);
    }
    // Of one that sleeps a clean session loses all but what falls into its twelve wakes.
    for firmware in [&asleep, &dark] {
        let (report, _) = run(&scenario(firmware, WIFI, false, ""));
        assert!(count(&report, "commands_taken") <= 4.0, "{firmware}: {}", count(&report, "commands_taken"));
        assert!(count(&report, "messages_unheard") >= 350.0);
    }
}

/// A retained command waits for one that sleeps, and a persistent session keeps every message in order.
#[test]
fn a_broker_keeps_what_it_is_asked_to() {
    let asleep = format!("deep_sleep: true, {SAYS}");
    let (retained, events) = run(&scenario(&asleep, WIFI, true, ""));
    let taken = count(&retained, "commands_taken");
    assert!((11.0..=13.0).contains(&taken), "one a wake: {taken}");
    assert!(lit_s(&events).is_some_and(|s| s > 62.0), "not before it wakes");
    let persistent = format!("persistent: true, {asleep}");
    let (kept, _) = run(&scenario(&persistent, WIFI, false, ""));
    assert!(
        count(&kept, "commands_taken") >= 325.0,
        "all until its last wake: {}",
        count(&kept, "commands_taken")
    );
    assert_eq!(count(&kept, "messages_unheard"), 0.0);
    // One that only listens joins for it at each wake.
    let silent = "persistent: true, deep_sleep: true";
    let (silent, _) = run(&scenario(silent, WIFI, false, ""));
    assert!(
        count(&silent, "commands_taken") >= 325.0 && count(&silent, "joins") >= 11.0,
        "{}",
        silent["counters"]
    );
}

/// A class A device is told one message after each of its own; an advertiser is told none, which `check` refuses.
#[test]
fn a_radio_that_sends_first_is_told_afterwards() {
    let lora = r#"profile: "lorawan-eu868-sf7", module: "RFM95W on SPI", radio: (distance_m: (20.0, 20.0))"#;
    let (report, events) = run(&scenario(SAYS, lora, false, ""));
    let (taken, own) = (count(&report, "commands_taken"), 12.0);
    assert!((own - 2.0..=own + 1.0).contains(&taken), "{taken} for its {own} messages");
    assert!(lit_s(&events).is_some_and(|s| s > 62.0));
    let dir = scratch();
    let file = dir.path().join("s.ron");
    std::fs::write(&file, scenario(SAYS, r#"profile: "ble-gateway""#, false, "")).expect("written");
    let ran = command(&["check", file.to_str().expect("text")]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("only broadcasts"), "{}", ran.stderr());
}

/// Half of the packets are lost: nobody says so, so each message is sent once, and half of them are gone.
#[test]
fn unconfirmed_messages_are_sent_once_and_may_be_lost() {
    for link in [
        r#"profile: "lorawan-eu868-sf7", module: "RFM95W", loss: 0.5"#,
        r#"profile: "ble-gateway", loss: 0.5"#,
    ] {
        let text = format!(
            r#"Scenario(format: 1, duration: "5d", step: "10s", seed: 1,
                things: [(name: "t", source: "a test", board: "esp32-devkit", parts: [(id: "b", model: "bme280", on: I2c(0x76))],
                    firmware: (period: "10min", awake: "100ms", deep_sleep: true,
                        publish: [(topic: "t/{{device}}", payload: Template("{{b.temperature:.1}}"))]))],
                fleet: [(id: "d-{{}}", count: 10, thing: "t", link: "l")], links: [(id: "l", {link})])"#
        );
        let (report, _) = run(&text);
        let [sent, tried, got, lost, joins] =
            ["messages_sent", "transmissions", "messages_delivered", "messages_lost", "joins"]
                .map(|n| count(&report, n));
        assert!((sent - 7200.0).abs() < 150.0 && tried == sent && joins == 0.0, "{}", report["counters"]);
        assert!((got / sent - 0.5).abs() < 5.0 * (0.25 / sent).sqrt(), "{got} of {sent}");
        assert!((got + lost - sent).abs() <= 10.0, "what is not there is lost, but for what is under way");
    }
}

/// Asleep an ESP32 counts an oscillator that is off by a hundredth, awake its crystal.
#[test]
fn sleep_is_timed_by_the_sleep_clock() {
    let drift = |board: &str, sleep: &str| {
        let text = format!(
            r#"Scenario(format: 1, duration: "4d", step: "10s", seed: 5,
                things: [(name: "t", source: "a test", board: "{board}", parts: [],
                    firmware: (period: "60s", awake: "1s", {sleep} clock: (ntp: (every: "1d")), publish: [(topic: "t/{{device}}")]))],
                fleet: [(id: "d-{{}}", count: 30, thing: "t", link: "l")], links: [(id: "l", profile: "wifi-2g4")])"#
        );
        let (_, events) = run(&text);
        let steps = events.iter().filter(|e| e.kind == "clock_set" && e.t.as_secs_f64() > 1.1 * 86_400.0);
        let squares: Vec<f64> = steps.map(|e| (e.value / 86_400.0).powi(2)).collect();
        (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt()
    };
    let (asleep, awake) = (drift("esp32-devkit", "deep_sleep: true,"), drift("esp32-devkit", ""));
    assert!((0.006..0.014).contains(&asleep), "{asleep} of the time");
    assert!(awake < 50e-6, "{awake} of the time");
    assert!((0.02..0.04).contains(&drift("esp8266-nodemcu", "deep_sleep: true,")));
}
