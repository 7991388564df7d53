//! Nothing that was judged is nothing that was kept.

use super::{
    rogue::{Fault, Rogue},
    *,
};

const LOAD: &str = r#"
    devices: [(id: "d-{}", count: 4, topic: "t/{device}", qos: 0, retain: RETAIN, schedule: Constant("50ms"))],
    subscribers: [(id: "s", filter: "t/#", qos: 0)], stages: [Hold(for: "1s")], drain: "300ms""#;

#[test]
fn a_broker_that_refuses_or_delivers_nothing_has_kept_nothing() {
    let dir = scratch();
    let file = scenario(dir.path(), "nothing.ron", &LOAD.replace("RETAIN", "false"));
    for (fault, wanted) in [
        (Fault::RefusesSubscriptions, "1 of them their subscription"),
        (Fault::RefusesOdd, "2 connections were refused"),
        (Fault::DropsAll, "there was nothing to judge"),
    ] {
        let url = Rogue::start(fault).url();
        let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
        let result = ran.json();
        assert_eq!((ran.code(), &result["held"]), (1, &false.into()), "{fault:?}: {result}");
        assert!(result["thresholds"].to_string().contains(wanted), "{fault:?}: {result}");
        assert!(!result["headline"].as_str().expect("text").contains("kept"), "{fault:?}: {result}");
    }
    // So it is where nobody takes what is sent.
    let deaf = scenario(dir.path(), "deaf.ron", &LOAD.replace("RETAIN", "false").replace("t/#", "other/#"));
    let ran = command(&["load", &deaf, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    assert_eq!((ran.code(), &result["held"]), (1, &false.into()), "{result}");
    assert!(
        result["thresholds"].to_string().contains("no subscriber's filter takes what was sent"),
        "{result}"
    );
    // Who has nobody to listen is told so.
    let sink = NullSink::start();
    let url = format!("mqtt://{}", sink.addr);
    let set = ["load", &file, "--broker", &url, "--set", PATIENT, "--set", "load.subscribers=[]", "--quiet"];
    let ran = command(&set);
    assert_eq!((ran.code(), &ran.json()["headline"]), (0, &"Nobody listened: no delivery was judged".into()));
}

#[test]
fn retained_messages_with_another_content_are_found() {
    let dir = scratch();
    let load = LOAD.replace("RETAIN", "true").replace("qos: 0", "qos: 1");
    let file = scenario(dir.path(), "altered.ron", &load);
    let url = Rogue::start(Fault::KeepsAltered).url();
    let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    let rows = result["verdict"]["findings"].as_array().expect("findings").iter();
    let altered =
        rows.filter(|f| f["what"] == "altered" && f["subscriber"] == "a newcomer" && f["breach"] == true);
    assert_eq!((ran.code(), altered.count()), (1, 4), "{result}");
}

#[test]
fn messages_that_a_broker_rejects_are_told_with_its_reason() {
    let test = "messages_that_a_broker_rejects_are_told_with_its_reason";
    let configure = |dir: &Path| {
        let file = dir.join("acl");
        std::fs::write(&file, "topic read t/#\ntopic write t/d-0\n").expect("an ACL");
        format!("allow_anonymous true\nacl_file {}\n", file.display())
    };
    let Some(mosquitto) = Mosquitto::start_with(test, configure) else { return };
    let dir = scratch();
    let load = LOAD.replace("RETAIN", "false").replace("qos: 0", "qos: 1");
    let file = scenario(dir.path(), "rejected.ron", &format!("protocol: V5, {load}"));
    let broker = format!("mqtt://{}", mosquitto.addr);
    let ran = command(&["load", &file, "--broker", &broker, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    // Three of four devices may not publish, twenty times each.
    let reason = &result["reasons"]["the broker rejected a message: not authorised"];
    assert_eq!((reason, &result["counters"]["rejected"]), (&60.into(), &60.into()), "{result}");
}

#[test]
fn a_broker_of_an_older_mqtt_is_told_as_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // MQTT 3.1.1 §3.1.2.2: it does not speak the version, and says so as MQTT 3.1.1 does.
            if matches!(stream.read(&mut [0; 1_024]), Ok(1..)) {
                stream.write_all(&[0x20, 2, 0, 1]).ok();
            }
        }
    });
    let dir = scratch();
    let file =
        scenario(dir.path(), "newer.ron", &format!("protocol: V5, {}", LOAD.replace("RETAIN", "false")));
    let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 3, "{}", ran.stderr());
    assert!(ran.stderr().contains("load.protocol=V311"), "{}", ran.stderr());
}
