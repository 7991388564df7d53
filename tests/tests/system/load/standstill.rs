//! A broker that comes to a standstill and stays there: what was planned and never came is not forgotten.

use super::{
    rogue::{Fault, Rogue},
    *,
};

const LOAD: &str = r#"
    devices: [(id: "d-{}", count: 10, topic: "t/{device}", qos: QOS, schedule: Constant("20ms"), in_flight: 1)],
    subscribers: [(id: "s", filter: "t/#", qos: QOS)],
    stages: [Hold(for: "3s")], drain: "1s",
    thresholds: [
        Below(of: Latency, percentile: 50, bound: "500ms"),
        Below(of: PublishDelay, percentile: 50, bound: "500ms"),
    ]"#;

/// Of 1,500 messages, 300 are served; those meant for t from 0.6 s to 3 s wait until 4 s at least. So a fifth is quick, and the
/// q-quantile of all is 1 s + (q − 0.2) · 3 s.
fn judged(result: &Value, qos: u64) {
    let (code, verdict) = (&result["exit"], &result["verdict"]);
    assert_eq!((code, &verdict["planned"]), (&1.into(), &1_500.into()), "{result}");
    let latency = row(result, "latency", qos);
    assert_eq!(latency["count"], 1_500, "{result}");
    for (key, closed) in [("p50_ms", 1_000.0 + 900.0), ("p90_ms", 1_000.0 + 2_100.0)] {
        let measured = ms(latency, key);
        // Devices with one message in flight send on after the broker has fallen silent, once each.
        assert!((measured - closed).abs() < 400.0, "{key}: {measured} against {closed}: {result}");
    }
    let held = |claim: &str| {
        let rows = result["thresholds"].as_array().expect("thresholds").iter();
        let mut of = rows.filter(|t| t["claim"].as_str().is_some_and(|c| c.contains(claim)));
        of.next().expect("a threshold")["held"].clone()
    };
    assert_eq!(held("latency"), false, "{result}");
    // At QoS 0 all is written; at QoS 1, what waits for its turn is the delay.
    assert_eq!(held("publish delay"), qos == 0, "{result}");
    let never = verdict["never_sent"].as_u64().expect("a number");
    if qos == 1 {
        assert!((1_150..=1_200).contains(&never), "{result}");
        let headline = result["headline"].as_str().expect("text");
        assert!(
            headline.contains(&format!("{never} of 1500 planned messages were never sent")),
            "{headline}"
        );
    } else {
        assert_eq!(never, 0, "{result}");
    }
}

#[test]
fn a_standstill_to_the_end_does_not_leave_the_survivors_alone() {
    let dir = scratch();
    for qos in [0, 1] {
        let file = scenario(dir.path(), "still.ron", &LOAD.replace("QOS", &qos.to_string()));
        let url = Rogue::start(Fault::Silent(300)).url();
        let page = dir.path().join("page");
        let text = page.to_str().expect("text");
        let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--report", text, "--quiet"]);
        judged(&ran.json(), qos);
        let html = std::fs::read_to_string(page.join("report.html")).expect("report.html");
        assert!(html.contains("never sent") && html.contains("hold"), "the page");
    }
}

#[test]
fn a_standstill_is_seen_over_shards_too() {
    let dir = scratch();
    let file = scenario(dir.path(), "still.ron", &LOAD.replace("QOS", "1"));
    let url = Rogue::start(Fault::Silent(300)).url();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let [one, other] = two_shards(dir.path(), &file, &url, 3);
    let merged = command(&["merge", &one, &other, "--out", &at("all")]);
    judged(&merged.json(), 1);
    // Once more from what was merged, nothing is counted twice.
    let again = command(&["merge", &at("all"), "--out", &at("again")]);
    assert_eq!(row(&again.json(), "latency", 1)["count"], 1_500, "{}", again.stdout());
}
