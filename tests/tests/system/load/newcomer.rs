//! Newcomers to what the broker has kept. Of the one who looks at it in the end, what its own queue did not hold is no fault of the
//! broker's memory; of subscribers who come back, what waited for them is no latency of the broker's.

use super::*;

#[test]
fn retained_messages_beyond_a_queue_are_asked_for_once_more() {
    let test = "retained_messages_beyond_a_queue_are_asked_for_once_more";
    // A subscriber is handed fifteen at once, and the others are dropped without a word.
    let configure =
        |_: &Path| "allow_anonymous true\nmax_queued_messages 10\nmax_inflight_messages 5\n".to_owned();
    let Some(mosquitto) = Mosquitto::start_with(test, configure) else { return };
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 120, topic: "t/{device}/x", qos: 1, retain: true, schedule: Constant("500ms"))],
        stages: [Hold(for: "1s")]"#;
    let file = scenario(dir.path(), "retained.ron", load);
    let broker = format!("mqtt://{}", mosquitto.addr);
    let ran = command(&["load", &file, "--broker", &broker, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    assert_eq!(
        (ran.code(), found(&result, "not_retained")),
        (0, (0, 0)),
        "{}\n{}",
        ran.stdout(),
        ran.stderr()
    );
}

#[test]
fn what_a_broker_hands_out_with_a_subscription_has_no_latency() {
    let dir = scratch();
    // Each device sends every four seconds: what the subscriber misses, it is given as it comes back, up to three seconds later.
    let load = r#"
        devices: [(id: "d-{}", count: 40, topic: "t/{device}", qos: 1, retain: true, schedule: Constant("4s"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)], stages: [Hold(for: "4s")],
        faults: [(at: "500ms", until: "3500ms", do: Away(share: 1))]"#;
    let file = scenario(dir.path(), "handed.ron", load);
    let ran = command(&["load", &file, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    assert_eq!((ran.code(), &result["verdict"]["received"]), (0, &40.into()), "{result}");
    for of in ["latency", "service time"] {
        let row = row(&result, of, 1);
        let count = row["count"].as_u64().expect("a number");
        // A quarter of them fall into the time when it is there.
        assert!((1..=25).contains(&count) && ms(row, "p50_ms") < 500.0, "{of}: {result}");
    }
}
