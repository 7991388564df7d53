//! What a mirror says of its devices is so: whether they are there, all that they said, and when.

use super::mirror::{Mirror, connect, publish, url_of};
use std::time::{SystemTime, UNIX_EPOCH};
use twinfleet_engine::scenario::calendar;
use twinfleet_tests::{Mosquitto, PATIENCE, until};
use twinfleet_twins::wire::client::Connection;

#[test]
fn a_dialects_device_tells_presence_and_all_that_it_says_is_kept() {
    let name = "presence and fields of a dialect through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let text = r#"Scenario(format: 1, duration: "1h",
        things: [(name: "plug", source: "this test", signals: [(signal: "ds18b20.temperature", unit: "degC")])],
        mirror: [(twin: "plug", thing: "plug", bind: [(topic: "plug", decode: Dialect(name: "tasmota"))])])"#;
    let mut mirror = Mirror::following(text, &url, &[]);
    let mut device = connect(&url);
    let lwt = |device: &mut Connection, payload: &[u8]| {
        device.publish("tele/plug/LWT", payload, 1, true).unwrap();
        while device.unacknowledged() > 0 {
            device.pump(Some(PATIENCE), |_| ()).unwrap();
        }
    };
    lwt(&mut device, b"Online");
    mirror.start_and_wait();
    until("the plug to be there", || mirror.json("/api/v1/twins/plug")["online"] == true);
    let said = r#"{"Time":"2026-11-30T05:00:00","DS18B20":{"Id":"01","Temperature":21.5},"Own":{"Version":"1.10","Serial":"12345678901234567890"},"TempUnit":"C"}"#;
    publish(&mut device, "tele/plug/STATE", r#"{"POWER":"ON","Wifi":{"AP":1,"RSSI":64}}"#);
    publish(&mut device, "tele/plug/SENSOR", said);
    let reported = |mirror: &Mirror| mirror.json("/api/v1/twins/plug")["shadow"]["state"]["reported"].clone();
    until("its values", || reported(&mirror)["ds18b20.temperature"] == 21.5);
    let all = reported(&mirror).to_string();
    // A version and a serial number are no numbers, though they look like some.
    for word in ["RSSI", "64", "Id", r#""1.10""#, r#""12345678901234567890""#] {
        assert!(all.contains(word), "{word} is lost: {all}");
    }
    lwt(&mut device, b"Offline");
    until("the plug to be gone", || mirror.json("/api/v1/twins/plug")["online"] == false);
    assert!(mirror.json("/api/v1/events").to_string().contains("offline"));
    // What is gone is gone after a restart, too.
    assert_eq!(mirror.stop(), Some(0), "{}", mirror.said());
    mirror.start_and_wait();
    until("the plug to be known as gone", || mirror.json("/api/v1/twins/plug")["online"] == false);
}

#[test]
fn a_clock_that_is_hours_ahead_or_behind_dates_nothing_wrongly() {
    let name = "clocks that are off through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let mut mirror = Mirror::of(2, &url, &[]);
    mirror.start_and_wait();
    let mut device = connect(&url);
    let unix_ms = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_millis() as i64
    };
    let mut say = |twin: &str, ahead_s: i64| {
        let ts = unix_ms() + 1_000 * ahead_s;
        publish(
            &mut device,
            &format!("fleet/{twin}/state"),
            &format!("{{\"ts\": {ts}, \"probe.temperature\": 20}}"),
        );
    };
    let mut so_far = 0;
    until("both clocks to be known and corrected", || {
        so_far += 1;
        say("d0", 7_200);
        say("d1", -7_200);
        let clock = |twin: &str| mirror.json(&format!("/api/v1/twins/{twin}"))["clock"]["ahead_s"].clone();
        let off = |twin: &str, by: f64| clock(twin).as_f64().is_some_and(|s| (s - by).abs() < 5.0);
        let since = |twin: &str| {
            let last = mirror.json(&format!("/api/v1/twins/{twin}"))["last_report"].clone();
            let at = last.as_str().and_then(calendar::unix_ns);
            at.map_or(i64::MAX, |ns| (unix_ms() - ns / 1_000_000).abs())
        };
        // At first nobody can know what the clock of one that is behind is; one ahead is never dated by it.
        assert!(since("d0") < 10_000, "after {so_far}: {} ms", since("d0"));
        off("d0", 7_200.0) && off("d1", -7_200.0) && since("d1") < 10_000
    });
    for _ in 0..30 {
        say("d0", 7_200);
    }
    let last = mirror.json("/api/v1/twins/d0");
    let at = calendar::unix_ns(last["last_report"].as_str().unwrap()).unwrap();
    assert!((unix_ms() - at / 1_000_000).abs() < 10_000, "{last}");
}

/// Tasmota tells its local time, and two messages of the same second each period: where summer time ends, an hour comes twice.
#[test]
fn a_clock_that_is_set_back_is_followed_though_its_device_says_two_things_a_time() {
    let name = "a clock that is set back through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let text = r#"Scenario(format: 1, duration: "1h",
        things: [(name: "plug", source: "this test", signals: [
            (signal: "ds18b20.temperature", unit: "degC"), (signal: "power.level", unit: "ratio")])],
        mirror: [(twin: "plug", thing: "plug", bind: [(topic: "plug", decode: Dialect(name: "tasmota"))])])"#;
    let mut mirror = Mirror::following(text, &url, &[]);
    mirror.start_and_wait();
    let twin = || mirror.json("/api/v1/twins/plug");
    let (mut device, mut said) = (connect(&url), 0);
    let mut say = |minute: u32, temperature_c: u32| {
        let time = format!("2026-10-25T02:{minute:02}:00");
        publish(&mut device, "tele/plug/STATE", &format!(r#"{{"Time":"{time}","POWER":"ON"}}"#));
        let sensor =
            format!(r#"{{"Time":"{time}","DS18B20":{{"Temperature":{temperature_c}}},"TempUnit":"C"}}"#);
        publish(&mut device, "tele/plug/SENSOR", &sensor);
        // Each is heard before the next: what comes at one time is put in the order of its stamps.
        said += 2;
        until("both to be heard", || {
            let heard = |what: &str| twin()["messages"][what].as_u64().unwrap_or(0);
            heard("taken") + heard("late") + heard("duplicate") == said
        });
    };
    for k in 0..3 {
        say(50 + k, 20);
    }
    for k in 0..8 {
        say(k, 30 + k);
    }
    until("the hour that came twice to be followed", || {
        twin()["shadow"]["state"]["reported"]["ds18b20.temperature"] == 37.0
    });
    // Two messages each of the four times in which nobody could know.
    assert_eq!(twin()["messages"]["late"], 8, "{}", twin());
}

/// Tasmota stamps its telemetry in local time, and what its relay does with nothing.
#[test]
fn a_relay_that_turns_between_telemetry_in_local_time_is_heard_at_once() {
    let name = "relays of other time zones through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let text = r#"Scenario(format: 1, duration: "1h",
        things: [(name: "plug", source: "this test", signals: [
            (signal: "ds18b20.temperature", unit: "degC"), (signal: "power.level", unit: "ratio")])],
        mirror: [
            (twin: "east", thing: "plug", bind: [(topic: "east", decode: Dialect(name: "tasmota"))]),
            (twin: "west", thing: "plug", bind: [(topic: "west", decode: Dialect(name: "tasmota"))])])"#;
    let mut mirror = Mirror::following(text, &url, &[]);
    mirror.start_and_wait();
    let mut device = connect(&url);
    for (plug, hours) in [("east", 9), ("west", -5)] {
        let twin = || mirror.json(&format!("/api/v1/twins/{plug}"));
        let reported = || twin()["shadow"]["state"]["reported"].clone();
        let tell = |device: &mut Connection, temperature_c: u32, power: &str| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let local = calendar::text((since.as_secs() as i64 + 3_600 * hours) * 1_000_000_000);
            let time = &local[..19];
            let state = format!(r#"{{"Time":"{time}","POWER":"{power}"}}"#);
            publish(device, &format!("tele/{plug}/STATE"), &state);
            let sensor =
                format!(r#"{{"Time":"{time}","DS18B20":{{"Temperature":{temperature_c}}},"TempUnit":"C"}}"#);
            publish(device, &format!("tele/{plug}/SENSOR"), &sensor);
        };
        tell(&mut device, 20, "ON");
        until("the plug to be on", || reported()["power.level"] == 1.0);
        publish(&mut device, &format!("stat/{plug}/POWER"), "OFF");
        until("the plug to be off", || reported()["power.level"] == 0.0);
        tell(&mut device, 22, "OFF");
        until("what is told after that", || reported()["ds18b20.temperature"] == 22.0);
        assert_eq!(twin()["messages"]["late"], 0, "{}", twin());
    }
}

#[test]
fn a_signal_that_was_never_said_has_no_estimate() {
    let name = "a signal that is never said through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    let url = url_of(&mosquitto);
    let text = r#"Scenario(format: 1, duration: "1h",
        things: [(name: "room", source: "this test", signals: [
            (signal: "air.temperature", unit: "degC"), (signal: "lamp.level", unit: "ratio")])],
        mirror: [(twin: "room", thing: "room", bind: [(topic: "room/state")], forecast: (horizons: ["60s"], every: "1s"))])"#;
    let mut mirror = Mirror::following(text, &url, &[]);
    mirror.start_and_wait();
    let mut device = connect(&url);
    let signals = || mirror.json("/api/v1/twins/room")["signals"].clone();
    until("an estimate and a forecast", || {
        publish(&mut device, "room/state", r#"{"air.temperature": 21.5}"#);
        let air = signals()["air.temperature"].clone();
        air["estimate"].is_number() && air["forecast"]["60s"]["value"].is_number()
    });
    let lamp = signals()["lamp.level"].clone();
    assert!(lamp["estimate"].is_null() && lamp["forecast"].is_null(), "{lamp}");
}
