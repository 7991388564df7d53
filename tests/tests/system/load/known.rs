//! Known faults of real brokers, provoked and caught.

use super::*;

/// A load on a broker, to its end: exit code and result.
fn loaded(file: &str, broker: std::net::SocketAddr) -> (i32, Value) {
    let ran = command(&["load", file, "--broker", &format!("mqtt://{broker}"), "--set", PATIENT, "--quiet"]);
    (ran.code(), ran.json())
}

/// The same while something happens to the broker.
fn loaded_while(file: &str, mosquitto: &mut Mosquitto, happens: impl FnOnce(&mut Mosquitto)) -> (i32, Value) {
    let url = format!("mqtt://{}", mosquitto.addr);
    let child = twinfleet_command()
        .args(["--json", "load", file, "--broker", &url, "--set", PATIENT, "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    happens(mosquitto);
    let output = child.wait_with_output().expect("it ends");
    let result = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code().expect("an exit code"), result)
}

#[test]
fn an_overflowing_queue_is_named_with_its_messages() {
    let test = "an_overflowing_queue_is_named_with_its_messages";
    let configure =
        |_: &Path| "allow_anonymous true\nmax_queued_messages 10\nmax_inflight_messages 5\n".to_owned();
    let Some(mosquitto) = Mosquitto::start_with(test, configure) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 4, topic: "t/{device}", qos: 1, schedule: Constant("10ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1, persistent: true)],
        stages: [Hold(for: "2s")], drain: "2s",
        faults: [(at: "500ms", until: "1500ms", do: WithholdAcks(share: 1))]"#;
    let file = scenario(dir.path(), "queue.ron", load);
    let (code, result) = loaded(&file, mosquitto.addr);
    assert_eq!(code, 1, "{result}");
    let lost = found(&result, "lost").0;
    // A second of 400 messages/s, less what the queue holds.
    assert!((200..=400).contains(&lost), "{lost}: {}", result["verdict"]);
}

#[test]
fn a_broker_that_restarts_is_counted_and_resumed() {
    let test = "a_broker_that_restarts_is_counted_and_resumed";
    let Some(mut mosquitto) = Mosquitto::start(test) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("20ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1, persistent: true)],
        stages: [Hold(for: "4s")], drain: "3s""#;
    let file = scenario(dir.path(), "restart.ron", load);
    let (code, result) = loaded_while(&file, &mut mosquitto, |mosquitto| {
        std::thread::sleep(Duration::from_millis(1_500));
        mosquitto.restart();
    });
    // The broker forgot its sessions: that is a breach, and is named.
    assert_eq!(code, 1, "{result}");
    let counters = &result["counters"];
    assert_eq!((&counters["disconnected"], &counters["reconnected"]), (&6.into(), &6.into()), "{result}");
    assert_eq!(counters["sessions_lost"], 1, "{counters}");
    // Every message that was acknowledged anew went out: nothing planned was left out.
    let plan = command(&["load", &file, "--dry-run"]).json();
    assert_eq!(result["verdict"]["sent"], plan["messages"]);
}

#[test]
fn a_mosquitto_that_crashes_delivers_qos_2_twice() {
    let test = "a_mosquitto_that_crashes_delivers_qos_2_twice";
    // What it knows is written when it is asked to, and read at its next start.
    let configure = |dir: &Path| {
        let place = dir.display();
        format!(
            "allow_anonymous true\npersistence true\npersistence_location {place}/\nautosave_interval 0\n"
        )
    };
    let Some(mut mosquitto) = Mosquitto::start_with(test, configure) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 3, topic: "t/{device}", qos: 2, schedule: Constant("50ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 2, persistent: true)],
        stages: [Hold(for: "8s")], drain: "4s",
        faults: [(at: "500ms", until: "4s", do: WithholdAcks(share: 1))]"#;
    let file = scenario(dir.path(), "crash.ron", load);
    // It saves while the subscriber's acknowledgements are withheld, and crashes once they have come.
    let (code, result) = loaded_while(&file, &mut mosquitto, |mosquitto| {
        std::thread::sleep(Duration::from_millis(2_500));
        let pid = mosquitto.pid().to_string();
        assert!(Command::new("kill").args(["-USR1", &pid]).status().expect("kill").success());
        std::thread::sleep(Duration::from_millis(4_000));
        mosquitto.restart();
    });
    assert_eq!(code, 1, "{result}");
    // What was under way as it saved comes again: the twenty that mosquitto hands out at a time at least, and no more than
    // were sent until then.
    let again = found(&result, "duplicated").0;
    assert!((20..=240).contains(&again), "{again}: {}", result["verdict"]);
    let rows = result["verdict"]["findings"].as_array().expect("findings");
    let named = rows.iter().filter(|f| f["what"] == "duplicated");
    assert!(named.clone().all(|f| f["qos"] == 2 && f["which"] != ""), "{rows:?}");
    assert_eq!(named.count(), 3, "{rows:?}");
}

#[test]
fn aedes_forgets_the_sessions_of_devices_that_are_taken_over() {
    let test = "aedes_forgets_the_sessions_of_devices_that_are_taken_over";
    let Some(aedes) = brokers::Aedes::start(test) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 20, topic: "t/{device}", qos: 1, schedule: Constant("50ms"), persistent: true)],
        subscribers: [(id: "s", filter: "t/#", qos: 1)],
        stages: [Hold(for: "2s")], drain: "3s",
        faults: [(at: "1s", do: Takeover(share: 0.5))]"#;
    let file = scenario(dir.path(), "takeover.ron", load);
    // The session of a device that subscribes to nothing is a session (MQTT 3.1.1 §4.1).
    let (code, result) = loaded(&file, aedes.addr);
    let taken = result["counters"]["taken_over"].as_u64().expect("a number");
    assert!(taken >= 4, "{result}");
    assert_eq!((code, found(&result, "session_lost").0), (1, taken), "{result}");
    // mosquitto keeps them.
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let (code, result) = loaded(&file, mosquitto.addr);
    assert_eq!((code, found(&result, "session_lost").0), (0, 0), "{result}");
    assert_eq!(result["counters"]["taken_over"].as_u64(), Some(taken), "{result}");
}

/// Hands bytes on between clients and a broker, and asks in the clients' name for sessions of an hour where they asked for one
/// of a second: a broker that does not let sessions expire.
fn everlasting(broker: std::net::SocketAddr) -> std::net::SocketAddr {
    use std::{
        io::{Read, Write},
        net::{Shutdown, TcpListener, TcpStream},
        thread,
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let hand_on = |mut from: TcpStream, mut to: TcpStream| {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            // The property "session expiry interval" of a CONNECT.
            let asked = [0x11, 0, 0, 0, 1];
            if bytes[0] == 0x10
                && let Some(at) = bytes[..n].windows(asked.len()).position(|w| w == asked)
            {
                bytes[at + 1..at + 5].copy_from_slice(&3_600u32.to_be_bytes());
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    };
    thread::spawn(move || {
        while let (Ok((client, _)), Ok(up)) = (listener.accept(), TcpStream::connect(broker)) {
            let (back, down) = (up.try_clone().expect("a clone"), client.try_clone().expect("a clone"));
            thread::spawn(move || hand_on(client, up));
            thread::spawn(move || hand_on(back, down));
        }
    });
    addr
}

#[test]
fn sessions_last_as_long_as_they_were_asked_to() {
    let test = "sessions_last_as_long_as_they_were_asked_to";
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let dir = scratch();
    // Away for five seconds: one session lasts, one is to expire meanwhile.
    let load = r#"
        protocol: V5,
        devices: [(id: "d-{}", count: 3, topic: "t/{device}", qos: 1, schedule: Constant("50ms"))],
        subscribers: [
            (id: "lasting", filter: "t/#", qos: 1, persistent: true, session_expiry: "60s"),
            (id: "brief", filter: "t/#", qos: 1, persistent: true, session_expiry: "1s"),
        ],
        stages: [Hold(for: "8s")], drain: "2s",
        faults: [(at: "1s", until: "6s", do: Away(share: 1))]"#;
    let file = scenario(dir.path(), "expiry.ron", load);
    let (code, result) = loaded(&file, mosquitto.addr);
    let n = |result: &Value, key: &str| result["counters"][key].as_u64().expect("a number");
    assert_eq!(code, 0, "{result}");
    assert_eq!((n(&result, "sessions_expired"), n(&result, "sessions_lost")), (1, 0), "{result}");
    // What was published meanwhile came to the one, and was lost to the other as it should: 5 s of 60 messages/s.
    let missed = result["verdict"]["lost"].as_u64().expect("a number");
    let (expected, received) = (&result["verdict"]["expected"], &result["verdict"]["received"]);
    assert!((250..=330).contains(&missed), "{missed} of {expected}, {received} came");
    let (code, result) = loaded(&file, everlasting(mosquitto.addr));
    assert_eq!((code, found(&result, "session_overstayed").0), (1, 1), "{result}");
    assert_eq!(n(&result, "sessions_expired"), 0, "{result}");
}
