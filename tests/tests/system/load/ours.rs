//! Faults of our own making are not the broker's.

use super::{
    rogue::{Fault, Rogue},
    *,
};

fn breaches(result: &Value) -> u64 {
    result["verdict"]["breaches"].as_u64().expect("a number")
}

/// A mosquitto that hands out twenty messages at a time and keeps what it cannot.
fn patient(test: &str) -> Option<Mosquitto> {
    Mosquitto::start_with(test, |_| {
        "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 20\n".to_owned()
    })
}

fn on(file: &str, url: &str) -> (i32, Value) {
    let ran = command(&["load", file, "--broker", url, "--set", PATIENT, "--quiet"]);
    (ran.code(), ran.json())
}

const LOAD: &str = r#"
    devices: [(id: "d-{}", count: 10, topic: "t/{device}", qos: 1, payload_bytes: BYTES, schedule: Constant("20ms"))],
    subscribers: [(id: "s", filter: "t/#", qos: 1)],
    stages: [Hold(for: "2s")], drain: "2s", faults: [FAULTS]"#;

#[test]
fn acknowledgements_that_overlapping_faults_withhold_are_all_sent_in_the_end() {
    let test = "acknowledgements_that_overlapping_faults_withhold_are_all_sent_in_the_end";
    let Some(mosquitto) = patient(test) else { return };
    let dir = scratch();
    let faults = r#"(at: "200ms", until: "800ms", do: WithholdAcks(share: 1)),
        (at: "500ms", until: "1200ms", do: WithholdAcks(share: 1))"#;
    let file = scenario(dir.path(), "twice.ron", &LOAD.replace("BYTES", "64").replace("FAULTS", faults));
    let (code, result) = on(&file, &format!("mqtt://{}", mosquitto.addr));
    assert_eq!((code, breaches(&result), &result["verdict"]["lost"]), (0, 0, &0.into()), "{result}");
}

#[test]
fn what_a_fault_holds_back_to_the_end_is_no_breach() {
    let test = "what_a_fault_holds_back_to_the_end_is_no_breach";
    let Some(mosquitto) = patient(test) else { return };
    let dir = scratch();
    for (bytes, fault) in
        [("64", "WithholdAcks(share: 1)"), ("20000", "SlowReader(share: 1, bytes_per_s: 1000)")]
    {
        let faults = format!(r#"(at: "700ms", do: {fault})"#);
        let load = LOAD.replace("BYTES", bytes).replace("FAULTS", &faults);
        let file = scenario(dir.path(), "held.ron", &load);
        let (code, result) = on(&file, &format!("mqtt://{}", mosquitto.addr));
        assert_eq!((code, breaches(&result)), (0, 0), "{fault}: {result}");
        assert!(found(&result, "held_back").1 > 100, "{fault}: {result}");
    }
}

#[test]
fn one_retained_topic_of_several_devices_keeps_one_message() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/all", qos: 1, retain: true, schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)], stages: [Hold(for: "1s")]"#;
    let file = scenario(dir.path(), "one.ron", load);
    let (code, result) = on(&file, "embedded");
    assert_eq!((code, breaches(&result)), (0, 0), "{result}");
    // Nothing kept is one message that is not there.
    let (code, result) = on(&file, &Rogue::start(Fault::Forgets).url());
    assert_eq!((code, breaches(&result)), (1, 1), "{result}");
}

#[test]
fn groups_of_one_share_share_one_subscription() {
    let test = "groups_of_one_share_share_one_subscription";
    let Some(mosquitto) = patient(test) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("20ms"))],
        subscribers: [
            (id: "a-{}", count: 2, filter: "t/#", qos: 1, share: "g"), (id: "b-{}", count: 2, filter: "t/#", qos: 1, share: "g"),
            (id: "c", filter: "t/+", qos: 1, share: "g"),
        ],
        stages: [Hold(for: "1s")], thresholds: [AtMost(of: Lost, bound: 0), AtMost(of: Duplicated, bound: 0)]"#;
    let file = scenario(dir.path(), "share.ron", load);
    let (code, result) = on(&file, &format!("mqtt://{}", mosquitto.addr));
    // The same name with another filter is another one.
    assert_eq!((code, &result["verdict"]["expected"]), (0, &500.into()), "{result}");
}

#[test]
fn what_an_earlier_run_subscribed_to_does_not_come_to_this_one() {
    let test = "what_an_earlier_run_subscribed_to_does_not_come_to_this_one";
    let Some(mosquitto) = patient(test) else { return };
    let (dir, url) = (scratch(), format!("mqtt://{}", mosquitto.addr));
    for protocol in ["V311", "V5"] {
        for filter in ["a/#", "b/#"] {
            let load = r#"
                protocol: PROTOCOL,
                devices: [
                    (id: "a-{}", count: 3, topic: "a/{device}", qos: 1, schedule: Constant("50ms"), persistent: true),
                    (id: "b-{}", count: 3, topic: "b/{device}", qos: 1, schedule: Constant("50ms")),
                ],
                subscribers: [(id: "s", filter: "FILTER", qos: 1, persistent: true)], stages: [Hold(for: "1s")]"#;
            let load = load.replace("FILTER", filter).replace("PROTOCOL", protocol);
            let (code, result) = on(&scenario(dir.path(), "old.ron", &load), &url);
            assert_eq!((code, breaches(&result)), (0, 0), "{protocol} {filter}: {result}");
            assert_eq!(result["verdict"]["received"], 60, "{protocol} {filter}: {result}");
        }
    }
}

#[test]
fn a_newcomer_that_is_not_served_proves_nothing() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 2, topic: "t/{device}", qos: 1, retain: true, schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)], stages: [Hold(for: "1s")]"#;
    let file = scenario(dir.path(), "newcomer.ron", load);
    let (code, result) = on(&file, &Rogue::start(Fault::ClosesDoor(3)).url());
    assert_eq!((code, breaches(&result)), (1, 0), "{result}");
    let outcomes = result["thresholds"].to_string();
    assert!(outcomes.contains("nobody could look"), "{outcomes}");
    assert!(result["headline"].as_str().is_some_and(|h| h.contains("had no data")), "{result}");
}

#[test]
fn what_a_stall_to_the_end_kept_from_being_written_was_not_sent() {
    let dir = scratch();
    for qos in 0..=2 {
        let load = format!(
            r#"devices: [(id: "d-{{}}", count: 2, topic: "t/{{device}}", qos: {qos}, schedule: Constant("20ms"))],
            subscribers: [(id: "s", filter: "t/#", qos: 2)], stages: [Hold(for: "2s")], drain: "500ms",
            faults: [(at: "500ms", do: Stall(share: 1))]"#
        );
        let file = scenario(dir.path(), "stalled.ron", &load);
        let (code, result) = on(&file, "embedded");
        let verdict = &result["verdict"];
        let n = |key: &str| verdict[key].as_u64().expect("a number");
        assert_eq!((code, n("planned"), n("breaches")), (0, 200, 0), "QoS {qos}: {result}");
        // Fifty were due before it; whoever publishes behind a good-bye has sent nothing. At the instant of the stall, one of each
        // may be under way.
        assert!((20..=54).contains(&n("sent")), "QoS {qos}: {verdict}");
        assert!(n("received") + 2 >= n("sent"), "QoS {qos}: {verdict}");
        assert_eq!(n("sent") + n("never_sent"), 200, "QoS {qos}: {verdict}");
    }
}

#[test]
fn a_load_of_mqtt_5_leaves_no_session_behind() {
    use twinfleet_twins::wire::client::{ConnectOptions, Connection, Version};
    let test = "a_load_of_mqtt_5_leaves_no_session_behind";
    let Some(mosquitto) = patient(test) else { return };
    let dir = scratch();
    let load = r#"
        protocol: V5,
        devices: [(id: "d", topic: "t/d", qos: 1, schedule: Constant("50ms"), persistent: true)],
        subscribers: [(id: "s", filter: "t/#", qos: 1, persistent: true)], stages: [Hold(for: "1s")],
        faults: [(at: "300ms", until: "600ms", do: Away(share: 1))]"#;
    let file = scenario(dir.path(), "session.ron", load);
    let (code, result) = on(&file, &format!("mqtt://{}", mosquitto.addr));
    // While it lasts, the session is there.
    assert_eq!((code, &result["verdict"]["received"]), (0, &20.into()), "{result}");
    for id in ["s", "d"] {
        let options = ConnectOptions {
            version: Version::V5,
            client_id: id.to_owned(),
            clean_session: false,
            session_expiry_s: 0,
            ..ConnectOptions::new(mosquitto.addr)
        };
        let connection = Connection::connect(&options).expect("a connection");
        assert!(!connection.session_present(), "`{id}` has left its session with the broker");
    }
}
