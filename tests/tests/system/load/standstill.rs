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

#[test]
fn a_shard_without_members_waits_for_nothing_in_the_name_of_others() {
    let dir = scratch();
    // One of each: the second of two shards has nobody to connect.
    let load = r#"
        devices: [(id: "d", topic: "t/d", schedule: Constant("20ms"))],
        subscribers: [(id: "s", filter: "t/#")], stages: [Hold(for: "3s")], drain: "1s""#;
    let file = scenario(dir.path(), "one.ron", load);
    let url = Rogue::start(Fault::Silent(30)).url();
    let [one, other] = two_shards(dir.path(), &file, &url, 3);
    let whole = dir.path().join("all").display().to_string();
    let merged = command(&["merge", &one, &other, "--out", &whole]).json();
    // Those meant for t from 0.6 s to 3 s wait until 4 s at least: the median is 1.9 s.
    let latency = row(&merged, "latency", 0);
    assert!(latency["count"] == 150 && (ms(latency, "p50_ms") - 1_900.0).abs() < 400.0, "{merged}");
}

#[test]
fn a_shard_that_only_listens_stays_for_what_is_still_under_way() {
    let test = "a_shard_that_only_listens_stays_for_what_is_still_under_way";
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let dir = scratch();
    // The second shard has a subscriber alone, and nothing that it waits for by itself.
    let load = r#"
        devices: [(id: "d", topic: "t/d", qos: 1, schedule: Constant("20ms"))],
        subscribers: [(id: "s-{}", count: 2, filter: "t/#", qos: 1)],
        stages: [Hold(for: "2s")], drain: "4s""#;
    let file = scenario(dir.path(), "listens.ron", load);
    let pid = mosquitto.pid().to_string();
    let unix_s = || twinfleet_twins::load::unix_ns() as f64 * 1e-9;
    // The broker stands still as the stages end, and goes on within the drain.
    let stop_s = unix_s().floor() + 3.0 + 1.8;
    let stall = std::thread::spawn(move || {
        let signal = |name: &str| {
            assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
        };
        std::thread::sleep(Duration::from_secs_f64((stop_s - unix_s()).max(0.0)));
        signal("-STOP");
        std::thread::sleep(Duration::from_millis(1_500));
        signal("-CONT");
    });
    let [one, other] = two_shards(dir.path(), &file, &format!("mqtt://{}", mosquitto.addr), 3);
    stall.join().expect("it goes on");
    let whole = dir.path().join("all").display().to_string();
    let merged = command(&["merge", &one, &other, "--out", &whole]);
    assert_eq!(merged.code(), 0, "{}\n{}", merged.stdout(), merged.stderr());
    let verdict = &merged.json()["verdict"];
    assert_eq!((&verdict["received"], &verdict["expected"]), (&200.into(), &200.into()), "{verdict}");
}

#[test]
fn an_acknowledgement_that_never_comes_is_awaited_since_its_message_was_sent_first() {
    let dir = scratch();
    // Nothing is ever acknowledged. Twenty messages of each device are on their way after a second, and all are sent once more at 1.9 s.
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("50ms"))],
        stages: [Hold(for: "2s")], drain: "1s", faults: [(at: "1900ms", do: Storm(share: 1))],
        thresholds: [Below(of: Acknowledge, percentile: 10, bound: "1500ms")]"#;
    let file = scenario(dir.path(), "never.ron", load);
    let url = format!("mqtt://{}", NullSink::start().addr);
    let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
    let result = ran.json();
    assert_eq!((ran.code(), &result["counters"]["resent"]), (1, &100.into()), "{result}");
    // Those of the first second wait until 3 s.
    let row = row(&result, "acknowledgement", 1);
    assert!(row["count"] == 100 && ms(row, "p50_ms") > 1_500.0, "{result}");
}
