//! Strangers and takeovers: what the broker has to do about them is judged by the load itself.

use super::{
    rogue::{Fault, Rogue},
    *,
};

const LOAD: &str = r#"
    devices: [(id: "d-{}", count: 4, topic: "t/{device}", qos: 1, schedule: Constant("50ms"))],
    subscribers: [(id: "s", filter: "t/#", qos: 1)],
    stages: [Hold(for: "1s")], drain: "4s",
    faults: [(at: "300ms", do: Takeover(share: 1)), (at: "400ms", do: Malformed(connections: 6))]"#;

#[test]
fn a_broker_that_keeps_both_and_the_malformed_is_found_out() {
    let dir = scratch();
    let file = scenario(dir.path(), "both.ron", LOAD);
    let page = dir.path().join("page");
    let url = Rogue::start(Fault::Forgets).url();
    let text = page.to_str().expect("text");
    let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--report", text, "--quiet"]);
    let result = ran.json();
    assert_eq!(ran.code(), 1, "{result}");
    assert_eq!(found(&result, "takeover_ignored"), (4, 0), "{result}");
    // A greeting of an unknown protocol may be borne.
    assert_eq!(found(&result, "malformed_kept"), (5, 1), "{result}");
    let html = std::fs::read_to_string(page.join("report.html")).expect("report.html");
    assert!(
        html.contains("takeover not enforced") && html.contains("injected"),
        "findings and faults in words"
    );
    // One that does as it should is not found fault with.
    let good = command(&["load", &file, "--set", PATIENT, "--quiet"]).json();
    let n = |key: &str| good["counters"][key].as_u64().expect("a number");
    assert_eq!((n("takeovers_ignored"), n("strangers_kept"), n("taken_over")), (0, 0, 4), "{good}");
}

#[test]
fn a_stranger_that_could_not_be_connected_was_not_sent_away() {
    let dir = scratch();
    let file = scenario(dir.path(), "door.ron", LOAD);
    let url = Rogue::start(Fault::ClosesDoor(5)).url();
    let result = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]).json();
    let n = |key: &str| result["counters"][key].as_u64().expect("a number");
    assert_eq!(
        (n("strangers_unopened"), n("strangers_closed"), n("takeovers_ignored")),
        (10, 0, 0),
        "{result}"
    );
    assert!(
        result["reasons"].to_string().contains("a stranger of a fault could not be connected"),
        "{result}"
    );
    assert_eq!(result["exit"], 0, "{result}");
}

#[test]
fn a_fault_that_strikes_nobody_is_told() {
    let dir = scratch();
    let faults =
        r#"faults: [(at: "300ms", do: Takeover(share: 0.0001)), (at: "400ms", do: Storm(share: 1))]"#;
    let (load, _) = LOAD.split_once("faults").expect("faults");
    let file = scenario(dir.path(), "nobody.ron", &format!("{load}{faults}"));
    let ran = command(&["load", &file, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    assert_eq!((ran.code(), &result["counters"]["cut"]), (0, &4.into()), "{result}");
    let told = result["reasons"].to_string();
    assert!(told.contains("(takeover) struck nobody: a share of 0.0001 of 4 devices"), "{told}");
    assert!(!told.contains("storm"), "{told}");
}
