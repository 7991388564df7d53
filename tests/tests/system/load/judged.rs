//! What the oracle says of brokers that are wrong throughout.

use super::{
    rogue::{Fault, Rogue},
    *,
};

/// A load on such a broker, to its end: exit code and result.
fn on(fault: Fault, file: &str, more: &[&str]) -> (i32, Value) {
    let url = Rogue::start(fault).url();
    let ran = command(&[&["load", file, "--broker", &url, "--set", PATIENT, "--quiet"], more].concat());
    (ran.code(), ran.json())
}

fn number(result: &Value, key: &str) -> u64 {
    result["verdict"][key].as_u64().expect("a number")
}

/// Lamps whose firmware says what they send, at QoS 1 and at QoS 0.
fn lamps(dir: &Path, more: &str, load: &str) -> String {
    let path = dir.join("lamps.ron");
    let text = r#"Scenario(format: 1, seed: 6, duration: "3s", step: "20ms",
        world: (zones: [(id: "bay-0", temperature_c: 21)]),
        things: [(format: 1, name: "lamp", about: "lamp", source: "own", board: "esp32-devkit",
            parts: [(id: "sensor", model: "bh1750", on: I2c(0x23))], power: Mains,
            firmware: (period: "200ms", publish: [
                (topic: "lamps/{device}/state", qos: 1), (topic: "lamps/{device}/beat"),
            ]))],
        fleet: [(id: "lamp-{}", count: 4, thing: "lamp", in: ["bay-0"])],
        load: (
            devices: [(id: "lamp-{}", count: 4, schedule: Firmware(fleet: "lamp-{}"))MORE],
            subscribers: [(id: "archive", filter: "lamps/#", qos: 1)],
            stages: [Hold(for: "2s")], LOAD))"#;
    std::fs::write(&path, text.replace("MORE", more).replace("LOAD", load)).expect("a scenario");
    path.display().to_string()
}

#[test]
fn devices_with_firmware_are_judged_like_all_others() {
    let dir = scratch();
    let file = lamps(dir.path(), "", "");
    // Nothing comes: the messages of QoS 1 were promised, those of QoS 0 are lost and were not.
    let (code, result) = on(Fault::DropsAll, &file, &["--set", "load.drain=1s"]);
    let (broken, allowed) = found(&result, "lost");
    let expected = number(&result, "expected");
    assert!(expected > 40 && broken > 20 && allowed > 20, "{result}");
    assert_eq!((code, number(&result, "lost"), broken + allowed), (1, expected, expected), "{result}");
    // Twice: allowed at QoS 1, and each is judged at its own message's.
    let (code, result) = on(Fault::Twice, &file, &[]);
    let (broken, allowed) = found(&result, "duplicated");
    assert!(code == 1 && broken > 20 && allowed > 20, "{result}");
    for f in result["verdict"]["findings"].as_array().expect("findings") {
        assert_eq!(f["qos"] == 0, f["topic"].as_str().expect("text").ends_with("/beat"), "{f}");
    }
    for fault in [Fault::Alters, Fault::OtherTopic] {
        let (code, result) = on(fault, &file, &[]);
        assert_eq!(
            (code, found(&result, "altered").0),
            (1, number(&result, "expected")),
            "{fault:?}: {result}"
        );
    }
    // What comes late is waited for as long as the drain has it.
    let (code, result) = on(Fault::Late(900), &file, &[]);
    assert_eq!((code, number(&result, "lost"), number(&result, "reordered")), (0, 0, 0), "{result}");
}

#[test]
fn a_shared_message_that_two_members_get_is_a_breach_where_nobody_left() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("50ms"))],
        subscribers: [(id: "w-{}", count: 2, filter: "t/#", qos: 1, share: "g")],
        stages: [Hold(for: "1s")]"#;
    let file = scenario(dir.path(), "share.ron", load);
    let (code, result) = on(Fault::ToAllMembers, &file, &[]);
    assert_eq!((code, found(&result, "duplicated")), (1, (100, 0)), "{result}");
    // A member that left hands on what it had.
    let away = r#"load.faults=[(at: "300ms", until: "500ms", do: Away(share: 0.6))]"#;
    let (_, result) = on(Fault::ToAllMembers, &file, &["--set", away]);
    assert_eq!(found(&result, "duplicated").0, 0, "{result}");
    let (code, result) = on(Fault::Forgets, &file, &[]);
    assert_eq!((code, number(&result, "breaches")), (0, 0), "{result}");
}

#[test]
fn a_broken_connection_excuses_what_was_lost_about_it_and_no_more() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)],
        stages: [Hold(for: "4s")], drain: "1s""#;
    let file = scenario(dir.path(), "kick.ron", load);
    let (code, result) = on(Fault::KicksThenDrops, &file, &[]);
    let (broken, allowed) = found(&result, "lost");
    // From the sixtieth on, at 1.2 s, each fifth of 200 is dropped; the kick at 0.1 s took a few with it.
    assert!(
        code == 1 && (24..=28).contains(&broken) && (1..=20).contains(&allowed),
        "{broken} {allowed} {result}"
    );
    assert_eq!(result["counters"]["disconnected"], 1);
}

#[test]
fn a_session_lost_twice_in_a_row_excuses_no_more_than_once() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1, persistent: true)],
        stages: [Hold(for: "4s")], drain: "1s""#;
    let file = scenario(dir.path(), "kicks.ron", load);
    let (code, result) = on(Fault::KicksTwiceThenDrops, &file, &[]);
    let (broken, allowed) = found(&result, "lost");
    // As above: each fifth of 200 is dropped from 1.2 s on, long after it had subscribed again.
    assert!(
        code == 1 && (24..=28).contains(&broken) && (1..=40).contains(&allowed),
        "{broken} {allowed} {result}"
    );
}

#[test]
fn what_comes_twice_behind_all_that_was_awaited_is_seen() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 20, topic: "t/{device}", schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#")],
        stages: [Hold(for: "1s")], drain: "2s""#;
    let file = scenario(dir.path(), "late.ron", load);
    // Some of the last messages leave in the last hundredths of the second.
    let (code, result) = on(Fault::TwiceLate(30), &file, &[]);
    assert_eq!((code, number(&result, "duplicated"), number(&result, "sent")), (1, 200, 200), "{result}");
}

#[test]
fn a_threshold_says_how_many_deliveries_never_came() {
    let dir = scratch();
    let load = r#"
        devices: [
            (id: "d-{}", count: 2, topic: "t/{device}", schedule: Constant("100ms")),
            (id: "e-{}", count: 3, topic: "t/{device}", qos: 1, schedule: Constant("100ms")),
        ],
        subscribers: [(id: "s-{}", count: 2, filter: "t/#", qos: 1)],
        stages: [Hold(for: "500ms"), Hold(for: "500ms")], drain: "100ms",
        thresholds: [
            Below(of: Latency, percentile: 99, bound: "5s"),
            Below(of: Latency, percentile: 99, bound: "5s", qos: 0, stage: 1),
        ]"#;
    let file = scenario(dir.path(), "never.ron", load);
    let (_, result) = on(Fault::DropsAll, &file, &[]);
    let said: Vec<&str> = result["thresholds"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|t| t["measured"].as_str())
        .collect();
    for wanted in ["of 100 values, 100 of which never came", "of 20 values, 20 of which never came"] {
        assert!(said.iter().any(|s| s.contains(wanted)), "{wanted}: {said:?}");
    }
}

#[test]
fn what_nobody_wrote_is_invented_whatever_it_looks_like() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 4, topic: "t/{device}", qos: 0, schedule: Constant("50ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 0)],
        stages: [Hold(for: "1s")], drain: "500ms""#;
    let file = scenario(dir.path(), "invent.ron", load);
    let (code, result) = on(Fault::Invents, &file, &[]);
    assert_eq!((code, found(&result, "invented")), (1, (8, 0)), "{result}");
    // At QoS 0 a message may be lost; what came in its place is not what was sent.
    let (code, result) = on(Fault::Cuts, &file, &[]);
    assert_eq!((code, found(&result, "invented").0, number(&result, "lost")), (1, 80, 80), "{result}");
}

#[test]
fn the_quality_of_service_of_each_delivery_is_judged() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 4, topic: "t/{device}", qos: 1, schedule: Constant("50ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)],
        stages: [Hold(for: "1s")]"#;
    let file = scenario(dir.path(), "qos.ron", load);
    for qos in [0, 2] {
        let (code, result) = on(Fault::Qos(qos), &file, &[]);
        assert_eq!((code, found(&result, "wrong_qos").0), (1, 80), "{qos}: {result}");
    }
    // A lower grant is allowed, is named, and is what deliveries are judged by.
    let (code, result) = on(Fault::GrantsNothing, &file, &[]);
    assert_eq!(
        (code, found(&result, "granted"), found(&result, "wrong_qos")),
        (0, (0, 1), (0, 0)),
        "{result}"
    );
    let (code, result) = on(Fault::TwiceKept, &file, &[]);
    assert_eq!(
        (code, found(&result, "marked_kept").0, number(&result, "duplicated")),
        (1, 80, 80),
        "{result}"
    );
}

#[test]
fn each_last_will_is_judged_by_itself() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 10, topic: "t/{device}", qos: 1, schedule: Constant("100ms"), will: "gone/{device}")],
        subscribers: [(id: "s", filter: "t/#", qos: 1), (id: "w", filter: "gone/+", qos: 1)],
        stages: [Hold(for: "1500ms")], drain: "1s", faults: [(at: "500ms", do: Storm(share: 1))]"#;
    let file = scenario(dir.path(), "wills.ron", load);
    let (code, result) = on(Fault::EvenWills, &file, &[]);
    assert_eq!((code, found(&result, "will_missing").0), (1, 5), "{result}");
    let rows = result["verdict"]["findings"].as_array().expect("findings");
    let of_will = |f: &&Value| f["topic"].as_str().is_some_and(|t| t.starts_with("gone/"));
    let twice = rows.iter().filter(of_will).filter(|f| f["what"] == "duplicated" && f["breach"] == false);
    assert_eq!(twice.count(), 5, "{rows:?}");
    let missing = rows.iter().filter(|f| f["what"] == "will_missing");
    let odd = |f: &Value| f["device"].as_str().is_some_and(|d| d.ends_with(['1', '3', '5', '7', '9']));
    assert!(missing.clone().all(|f| odd(f) && f["subscriber"] == "w"), "{rows:?}");
    // The prefix stands before them as before all topics.
    let (code, result) = on(Fault::Forgets, &file, &["--prefix", "lab"]);
    assert_eq!((code, number(&result, "breaches")), (0, 0), "{result}");
    assert_eq!((&result["counters"]["wills_owed"], &result["counters"]["wills"]), (&10.into(), &10.into()));
}

#[test]
fn kept_counts_what_was_taken_in_time_of_what_was_planned() {
    let dir = scratch();
    let more = r#", (id: "c-{}", count: 2, topic: "c/{device}", qos: 1, schedule: Constant("200ms"))"#;
    let file = lamps(dir.path(), more, "thresholds: [Kept(share: 1)]");
    let kept = |result: &Value| {
        let rows = result["thresholds"].as_array().expect("thresholds").clone();
        let row = rows
            .into_iter()
            .find(|t| t["claim"].as_str().is_some_and(|c| c.contains("planned")))
            .expect("one");
        let measured = row["measured"].as_str().expect("text").to_owned();
        let (kept, planned) = measured.split_once(" of ").expect("two numbers");
        (kept.parse::<u64>().expect("a number"), planned.parse::<u64>().expect("a number"))
    };
    let (code, result) = on(Fault::Forgets, &file, &[]);
    let (taken, planned) = kept(&result);
    assert_eq!((code, taken, planned), (0, planned, number(&result, "sent")), "{result}");
    // What the broker takes three seconds late was not taken in time, though it was before the drain's end.
    let (code, result) = on(Fault::LateAcks(3_000), &file, &[]);
    let (late, _) = kept(&result);
    assert!(code == 1 && late < taken, "{late} of {planned}: {result}");
}

#[test]
fn commands_that_nobody_follows_fail_and_take_their_time() {
    let dir = scratch();
    let page = dir.path().join("page");
    let (code, result) = on(
        Fault::DropsCommands,
        "load-commands",
        &["--report", page.to_str().expect("text"), "--set", "load.thresholds=[]"],
    );
    let n = |key: &str| result["counters"][key].as_u64().expect("a number");
    assert_eq!((code, n("commands_failed") + n("commands_followed")), (1, n("commands")), "{result}");
    assert!(n("commands_failed") > 5, "{result}");
    // Each was waited for until the next one, at least.
    let took = row(&result, "command to reported", 1);
    assert!(took["count"] == n("commands") && ms(took, "p99_ms") > 990.0, "{took}");
    let junit = std::fs::read_to_string(page.join("junit.xml")).expect("junit.xml");
    assert!(junit.contains("each command is followed") && !junit.contains("failures=\"0\""), "{junit}");
    // Who bears some says how many.
    let some = "load.thresholds=[AtMost(of: CommandsFailed, bound: 100)]";
    assert_eq!(on(Fault::DropsCommands, "load-commands", &["--set", some]).0, 0);
}

#[test]
fn shards_look_at_what_their_devices_left_with_the_broker() {
    let dir = scratch();
    let load = r#"
        devices: [(id: "d-{}", count: 4, topic: "t/{device}", qos: 1, retain: true, schedule: Constant("100ms"))],
        subscribers: [(id: "s", filter: "t/#", qos: 1)],
        stages: [Hold(for: "1s")], drain: "500ms""#;
    let file = scenario(dir.path(), "retained.ron", load);
    let url = Rogue::start(Fault::Forgets).url();
    let [one, other] = two_shards(dir.path(), &file, &url, 3);
    let all = dir.path().join("all").display().to_string();
    let merged = command(&["merge", &one, &other, "--out", &all]);
    assert_eq!((merged.code(), found(&merged.json(), "not_retained").0), (1, 4), "{}", merged.stdout());
    // A part is not overwritten by the whole.
    let over = command(&["merge", &one, &other, "--out", &one]);
    assert_eq!(over.code(), 2, "{}", over.stdout());
    assert!(over.stderr().contains("not empty"), "{}", over.stderr());
}

#[test]
fn connections_that_never_all_come_up_end_the_wait() {
    let dir = scratch();
    let file = scenario(dir.path(), "ids.ron", &BUSY.replace("count: 300", "count: 2"));
    let url = Rogue::start(Fault::OneAtATime).url();
    let ran = command(&["load", &file, "--broker", &url, "--quiet"]);
    assert_eq!(ran.code(), 3, "{}", ran.stderr());
    assert!(
        ran.stderr().contains("client ids") && ran.stderr().contains("closed the connection"),
        "{}",
        ran.stderr()
    );
}

/// A broker that does no more than answer: what comes back for each packet. It closes on who is silent for longer than it waits.
fn answering(patience: Option<Duration>, answer: fn(&[u8]) -> Vec<u8>) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("mqtt://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a client");
            stream.set_read_timeout(patience).expect("a time-out");
            std::thread::spawn(move || {
                let mut bytes = [0; 1_024];
                while let Ok(n @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&answer(&bytes[..n])).is_err() {
                        break;
                    }
                }
            });
        }
    });
    url
}

#[test]
fn a_session_that_the_broker_keeps_for_less_long_is_not_lost() {
    // It says that it keeps sessions for a second, whatever it is asked for, and has none after two.
    let url = answering(None, |packet| match packet[0] {
        0x10 => vec![0x20, 10, 0, 0, 7, 0x24, 1, 0x11, 0, 0, 0, 1],
        0x82 => vec![0x90, 4, packet[2], packet[3], 0, 1],
        _ => Vec::new(),
    });
    let dir = scratch();
    let load = r#"protocol: V5,
        devices: [(id: "d", topic: "t", qos: 2, schedule: Constant("60s"))],
        subscribers: [(id: "s", filter: "t", qos: 1, persistent: true)],
        stages: [Hold(for: "3s")], drain: "100ms",
        faults: [(at: "200ms", until: "2200ms", do: Away(share: 1))]"#;
    let file = scenario(dir.path(), "expiry.ron", load);
    let result = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]).json();
    let counters = &result["counters"];
    assert_eq!(
        (&counters["sessions_lost"], &counters["sessions_expired"]),
        (&0.into(), &1.into()),
        "{result}"
    );
    let reasons = result["reasons"].as_object().expect("reasons");
    assert!(reasons.keys().any(|r| r.contains("takes QoS 1 at most")), "{reasons:?}");
}

#[test]
fn the_brokers_own_keep_alive_is_obeyed() {
    // Asks for a packet a second, and closes after one and a half.
    let url = answering(Some(Duration::from_millis(1_500)), |packet| match packet[0] {
        0x10 => vec![0x20, 6, 0, 0, 3, 0x13, 0, 1],
        0xc0 => vec![0xd0, 0],
        _ => Vec::new(),
    });
    let dir = scratch();
    let load = r#"protocol: V5, devices: [(id: "d-{}", count: 2, schedule: Constant("60s"))],
        stages: [Hold(for: "5s")], drain: "100ms""#;
    let file = scenario(dir.path(), "silence.ron", load);
    let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.json()["counters"]["disconnected"], 0, "{}", ran.stdout());
}
