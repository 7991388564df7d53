//! The newcomer who looks at what the broker has kept: what its own queue did not hold is no fault of the broker's memory.

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
