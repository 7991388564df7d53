//! Closed loop: commands, what devices make of them, and what they report.

use super::*;

#[test]
fn commands_change_what_devices_report() {
    let ran = command(&["load", "load-commands", "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let result = ran.json();
    assert!(result["counters"]["commands"].as_u64() >= Some(20), "{result}");
    // All are followed but those that are still under way as the load ends: one a lamp at most.
    let count = |key: &str| result["counters"][key].as_u64().unwrap_or(0);
    assert!(count("commands_followed") + 4 >= count("commands"), "{result}");
    // A tick, the lamp, the light sensor's 120 ms and the rest of the 200 ms between reports.
    let took = row(&result, "command to reported", 1);
    assert!(ms(took, "p50_ms") > 20.0, "{took}");
}

#[test]
fn a_device_may_be_named_within_a_level_of_its_topic() {
    let dir = scratch();
    let text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    let path = dir.path().join("within.ron");
    std::fs::write(&path, text.replace("lamps/{device}/", "lamps/no-{device}/")).expect("a scenario");
    let ran = command(&["load", path.to_str().expect("text"), "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    assert!(ran.json()["counters"]["commands_followed"].as_u64() >= Some(12), "{}", ran.stdout());
}

#[test]
fn control_loops_hear_through_the_broker_what_devices_report() {
    let dir = scratch();
    let mut text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    // The lamp is commanded; a control loop hears how bright it is, and commands a relay, which the device reports in turn.
    for (from, to) in [
        ("(id: \"sensor\",", "(id: \"relay\", model: \"relay\", on: Pin(\"GPIO26\")), (id: \"sensor\","),
        (
            "commands: [(topic: \"lamps/{device}/set\", part: \"light\")],",
            "commands: [
                (topic: \"lamps/{device}/set\", part: \"light\"), (topic: \"relays/{device}/set\", part: \"relay\"),
            ],
            control: [(
                input: \"lamps/{device}/state\", pointer: \"/sensor.illuminance\", stale: \"3s\",
                output: \"relays/{device}/set\", law: OnAbove(on_above: 10000, off_below: 1000),
            )],",
        ),
        (
            "field: \"/sensor.illuminance\", becomes: [20000, 0], within: 6000, every: \"1s\"",
            "field: \"/relay.level\", becomes: [1, 0], within: 0.2, every: \"1500ms\"",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let path = dir.path().join("loops.ron");
    std::fs::write(&path, text).expect("a scenario");
    let ran =
        command(&["load", path.to_str().expect("text"), "--prefix", "lab", "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    // What they say to each other carries the load's stamps on the wire, and none to who hears it. Of twelve commands, each changes
    // the relay.
    assert!(result["counters"]["commands_followed"].as_u64() >= Some(8), "{result}\n{}", ran.stderr());
    assert_eq!(result["verdict"]["breaches"], 0, "{result}");
}

#[test]
fn a_script_hears_its_commands_and_its_rate_follows() {
    let dir = scratch();
    let script = r#"
import network, time
from umqtt.simple import MQTTClient
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect('a', 'b')
while not w.isconnected():
    time.sleep_ms(50)
name = network.hostname()
period = 400
def hear(topic, message):
    global period
    period = int(message)
c = MQTTClient(name, 'broker')
c.set_callback(hear)
c.connect()
c.subscribe(b'rate/' + name.encode())
while True:
    c.check_msg()
    c.publish(b'state/' + name.encode(), b'{"period": %d}' % period, qos=1)
    time.sleep_ms(period)
"#;
    let text = r#"Scenario(format: 1, seed: 5, duration: "12s", step: "50ms",
        world: (zones: [(id: "room", temperature_c: 21.0, humidity_percent: 45.0)]),
        things: [(name: "t", source: "a test", board: "esp32-devkit", parts: [],
            firmware: Script(path: "main.py", runtime: MicroPython))],
        fleet: [(id: "d-{}", count: 2, thing: "t", in: ["room"])],
        load: (
            devices: [(id: "d-{}", count: 2, schedule: Firmware(fleet: "d-{}"))],
            subscribers: [(id: "s", filter: "state/#", qos: 1)],
            commands: (fleet: "d-{}", topic: "rate/{device}", payloads: ["100", "400"], reported: "state/{device}",
                field: "/period", becomes: [100, 400], every: "3s"),
            stages: [Hold(for: "12s")]))"#;
    let path = dir.path().join("script.ron");
    std::fs::write(dir.path().join("main.py"), script).expect("a script");
    std::fs::write(&path, text).expect("a scenario");
    let ran = command(&["load", path.to_str().expect("text"), "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    // Of three commands a device, the first may come before it listens. At 400 ms, the two send 50 messages.
    let n = |key: &str| result["counters"][key].as_u64().expect("a number");
    assert!((2..=6).contains(&n("commands_followed")), "{result}\n{}", ran.stderr());
    assert!(result["verdict"]["sent"].as_u64() > Some(60), "{result}");
}
