//! What is desired reaches a device once, and what is reported of an older command is not taken for the newer one's.

use super::*;
use crate::mirror::keeper::{
    Bound,
    tests::{said, two},
};

const UPDATE: &str = "$aws/things/a/shadow/update";

/// Somebody desires of the first twin what this JSON says.
fn desire(keeper: &mut Keeper, desired: &str, now_ms: i64) {
    let request = format!("{{\"state\":{{\"desired\":{desired}}}}}");
    keeper.hear(UPDATE, request.as_bytes(), now_ms);
}

/// What is sent to the first twin's device by then.
fn sent(keeper: &mut Keeper, now_ms: i64) -> Vec<Value> {
    keeper.wait(now_ms, &mut nobody);
    said(keeper).into_iter().filter(|(topic, _)| topic == "lab/a/set").map(|(_, value)| value).collect()
}

fn last(keeper: &Keeper) -> &Command {
    keeper.last_command("a").unwrap()
}

/// What is kept of a keeper, in another one that starts at this time.
fn restarted(keeper: &mut Keeper, now_ms: i64) -> Keeper {
    let mut again = two();
    again.restore(keeper.changed(), now_ms);
    again
}

fn nobody(_: usize, field: &str, _: &Wanted) -> Result<Utterance, Unasked> {
    Err(Unasked::Never(format!("`{field}` of nobody")))
}

#[test]
fn a_command_is_sent_again_to_one_that_returns_and_done_when_reported() {
    let mut keeper = two();
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 1_000);
    keeper.wait(1_000, &mut nobody);
    let sent = ("lab/a/set".to_owned(), json!({"fan": 1}));
    assert_eq!(said(&mut keeper).last(), Some(&sent));
    keeper.wait(5_000, &mut nobody);
    assert_eq!(said(&mut keeper), []);
    keeper.wait(6_000, &mut nobody);
    assert_eq!(said(&mut keeper), std::slice::from_ref(&sent));
    keeper.hear("lab/a/status", b"online", 8_000);
    keeper.wait(8_000, &mut nobody);
    assert_eq!(said(&mut keeper), [sent]);
    keeper.hear("lab/a", br#"{"ts":9000,"fan":1.0}"#, 9_000);
    let kinds: Vec<_> = keeper.happened().iter().map(|h| h.kind).collect();
    assert_eq!(
        kinds,
        ["command", "command_overdue", "command_again", "online", "command_again", "command_done"]
    );
    let last = keeper.last_command("a").unwrap();
    assert_eq!((last.standing, last.done_ms), (Standing::Acknowledged, Some(9_000)));
    assert_eq!(last.latency_ms(), Some(8_000));
    // What it then does at its own button is its business, after a restart, too.
    keeper.hear("lab/a", br#"{"ts":9500,"fan":0}"#, 9_500);
    let mut again = two();
    again.restore(keeper.changed(), 10_000);
    again.wait(60_000, &mut nobody);
    assert_eq!((said(&mut keeper), said(&mut again)), (vec![], vec![]));
}

#[test]
fn one_that_never_answers_is_told_with_longer_waits_and_then_given_up() {
    let mut keeper = two();
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 0);
    let mut sent_at = Vec::new();
    for now_s in 0..100 {
        keeper.wait(1_000 * now_s, &mut nobody);
        if said(&mut keeper).iter().any(|(topic, _)| topic == "lab/a/set") {
            sent_at.push(now_s);
        }
    }
    assert_eq!(sent_at, [0, 5]);
    let last = keeper.last_command("a").unwrap();
    assert_eq!((last.standing, last.sent, last.overdue), (Standing::Unanswered, 2, true));
    assert_eq!((keeper.command_counts().unanswered, keeper.commands_open()), (1, 0));
    assert_eq!(keeper.happened().last().map(|h| h.kind), Some("command_unanswered"));
    // Desired again, it is told again; late is better than never.
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 200_000);
    keeper.wait(200_000, &mut nobody);
    assert!(said(&mut keeper).iter().any(|(topic, _)| topic == "lab/a/set"));
    keeper.hear("lab/a", br#"{"ts":1,"fan":1}"#, 201_000);
    assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Acknowledged);
}

#[test]
fn a_command_waits_for_a_device_that_is_away() {
    let mut keeper = two();
    keeper.hear("lab/a/status", b"offline", 0);
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 0);
    for now_s in 0..1_000 {
        keeper.wait(1_000 * now_s, &mut nobody);
    }
    assert!(!said(&mut keeper).iter().any(|(topic, _)| topic == "lab/a/set"));
    assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Waiting);
    keeper.hear("lab/a/status", b"online", 1_000_000);
    keeper.wait(1_000_000, &mut nobody);
    assert_eq!(said(&mut keeper).last().unwrap().0, "lab/a/set");
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":null}}"#, 1_000_001);
    assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Withdrawn);
}

#[test]
fn a_dialect_is_asked_field_by_field_and_its_refusal_is_told() {
    let quanta = Arc::from([("room.temperature".to_owned(), 0.5)]);
    let terms = Terms { quanta, ..Terms::default() };
    let bound = Bound { twin: "a".into(), command: Some(Way::Dialect), terms, ..Bound::default() };
    let mut keeper = Keeper::new(vec![bound]);
    let known = std::cell::Cell::new(false);
    let mut ask = |_: usize, field: &str, wanted: &Wanted| match (known.get(), field) {
        (false, _) => Err(Unasked::NotYet("no birth".into())),
        (true, "no/such") => Err(Unasked::Never("no such field".into())),
        (true, _) => {
            let payload = format!("{wanted:?}").into_bytes();
            Ok(Utterance { topic: format!("cmd/{field}"), payload, qos: 0, retain: false })
        }
    };
    let update = "$aws/things/a/shadow/update";
    keeper.hear(update, br#"{"state":{"desired":{"room.temperature":21.2,"deep":{"er":true}}}}"#, 0);
    keeper.wait(0, &mut ask);
    assert_eq!(keeper.last_command("a").unwrap().reason, "no birth");
    known.set(true);
    keeper.outputs();
    keeper.wait(1_000, &mut ask);
    let sent: Vec<(String, String, u8)> = keeper
        .outputs()
        .into_iter()
        .map(|o| (o.topic, String::from_utf8(o.payload).unwrap(), o.qos))
        .collect();
    let want = [("cmd/deep/er", "Flag(true)", 0), ("cmd/room.temperature", "Number(21.2)", 0)];
    assert_eq!(sent, want.map(|(t, p, q)| (t.to_owned(), p.to_owned(), q)));
    // As near as the device comes is near enough, and on is on in whatever word.
    let fields = json!({"room.temperature": 21.0, "deep": {"er": "ON"}});
    keeper.take_values(0, fields.as_object().unwrap(), 2_000);
    assert_eq!(keeper.last_command("a").unwrap().latency_ms(), Some(1_000));
    // What differs is told, however little.
    keeper.hear(update, br#"{"state":{"desired":{"room.temperature":21.1}}}"#, 3_000);
    assert!(!keeper.refused_by_device(0, "nothing was sent yet"));
    keeper.outputs();
    keeper.wait(3_000, &mut ask);
    assert_eq!(keeper.outputs().len(), 1);
    assert!(keeper.refused_by_device(0, "too warm"));
    let last = keeper.last_command("a").unwrap();
    assert_eq!((last.standing, last.reason.as_str()), (Standing::Refused, "too warm"));
    keeper.hear(update, br#"{"state":{"desired":{"no":{"such":1}}}}"#, 4_000);
    keeper.wait(4_000, &mut ask);
    assert_eq!(keeper.last_command("a").unwrap().standing, Standing::Refused);
    assert_eq!((keeper.command_counts().refused, keeper.command_counts().acknowledged), (2, 1));
}

/// A dialect's ear names a color's `x` by its path, whoever desires it may name it by an object.
#[test]
fn what_is_desired_as_an_object_is_done_as_its_parts_are_reported() {
    let bound = Bound { twin: "a".into(), command: Some(Way::Dialect), ..Bound::default() };
    let mut keeper = Keeper::new(vec![bound]);
    let mut ask = |_: usize, field: &str, wanted: &Wanted| {
        let payload = format!("{wanted:?}").into_bytes();
        Ok::<_, Unasked>(Utterance { topic: format!("cmd/{field}"), payload, qos: 0, retain: false })
    };
    let report = |keeper: &mut Keeper, x: f64, now_ms: i64| {
        let fields = json!({"state": 1.0, "color/x": x, "color/mode": "xy"});
        keeper.take_values(0, fields.as_object().unwrap(), now_ms);
    };
    report(&mut keeper, 0.3, 0);
    desire(&mut keeper, r#"{"color":{"x":0.1}}"#, 1_000);
    keeper.wait(1_000, &mut ask);
    assert_eq!(last(&keeper).standing, Standing::Sent);
    report(&mut keeper, 0.3, 1_500);
    assert_eq!(last(&keeper).standing, Standing::Sent);
    report(&mut keeper, 0.1, 2_000);
    assert_eq!((last(&keeper).standing, last(&keeper).done_ms), (Standing::Acknowledged, Some(2_000)));
    let shadow = keeper.shadow("a").unwrap();
    assert_eq!(shadow.delta(), None);
    // It goes on to be told so where it is desired no more.
    desire(&mut keeper, "null", 3_000);
    report(&mut keeper, 0.7, 4_000);
    let reported = keeper.shadow("a").unwrap().reported().unwrap();
    assert_eq!((&reported["color/x"], &reported["color"]), (&json!(0.7), &json!({"x": 0.7})));
}

#[test]
fn on_then_off_before_a_report_ends_off() {
    let mut keeper = two();
    keeper.hear("lab/a", br#"{"ts":1,"fan":0}"#, 0);
    desire(&mut keeper, r#"{"fan":1}"#, 1_000);
    assert_eq!(sent(&mut keeper, 1_000), [json!({"fan": 1})]);
    // What is reported is what is desired, but the device is about to do otherwise.
    desire(&mut keeper, r#"{"fan":0}"#, 1_100);
    assert_eq!(sent(&mut keeper, 1_100), [json!({"fan": 0})]);
    assert_eq!(keeper.command_counts().acknowledged, 0, "neither was carried out");
    // A report of before, or with something else that is new, says nothing.
    keeper.hear("lab/a", br#"{"ts":2,"fan":0,"rssi":-60}"#, 1_200);
    assert_eq!(last(&keeper).standing, Standing::Sent);
    keeper.hear("lab/a", br#"{"ts":3,"fan":1}"#, 1_300);
    assert_eq!(
        (last(&keeper).standing, sent(&mut keeper, 1_300)),
        (Standing::Sent, vec![]),
        "that was the first"
    );
    keeper.hear("lab/a", br#"{"ts":4,"fan":0}"#, 1_400);
    assert_eq!((last(&keeper).standing, last(&keeper).latency_ms()), (Standing::Acknowledged, Some(300)));
    let kinds: Vec<_> = keeper.happened().iter().map(|h| h.kind).collect();
    assert_eq!(kinds, ["command", "command_withdrawn", "command", "command_done"]);
}

#[test]
fn one_that_only_ever_reported_what_is_desired_is_believed_when_its_time_is_over() {
    let mut keeper = two();
    keeper.hear("lab/a", br#"{"ts":1,"fan":0}"#, 0);
    desire(&mut keeper, r#"{"fan":1}"#, 1_000);
    sent(&mut keeper, 1_000);
    desire(&mut keeper, r#"{"fan":0}"#, 1_100);
    assert_eq!(sent(&mut keeper, 1_100), [json!({"fan": 0})]);
    keeper.hear("lab/a", br#"{"ts":2,"fan":0}"#, 1_200);
    assert_eq!((sent(&mut keeper, 6_099), last(&keeper).standing), (vec![], Standing::Sent));
    assert_eq!((sent(&mut keeper, 6_100), last(&keeper).standing), (vec![], Standing::Acknowledged));
    // The newest of three is on again, and is not taken for the first.
    desire(&mut keeper, r#"{"fan":1}"#, 10_000);
    sent(&mut keeper, 10_000);
    desire(&mut keeper, r#"{"fan":0}"#, 10_100);
    sent(&mut keeper, 10_100);
    desire(&mut keeper, r#"{"fan":1}"#, 10_200);
    assert_eq!(sent(&mut keeper, 10_200), [json!({"fan": 1})]);
    for (ts, fan) in [(10, 1), (11, 0), (12, 0)] {
        keeper.hear("lab/a", format!("{{\"ts\":{ts},\"fan\":{fan}}}").as_bytes(), 10_300);
        assert_eq!(last(&keeper).standing, Standing::Sent, "{fan}");
    }
    // It was lost: the device is told again when its time is over.
    assert_eq!(sent(&mut keeper, 15_200), [json!({"fan": 1})]);
    keeper.hear("lab/a", br#"{"ts":13,"fan":1}"#, 15_300);
    assert_eq!(last(&keeper).standing, Standing::Acknowledged);
}

#[test]
fn a_refusal_of_the_older_command_is_not_the_newers() {
    let mut keeper = two();
    desire(&mut keeper, r#"{"fan":9}"#, 0);
    sent(&mut keeper, 0);
    desire(&mut keeper, r#"{"fan":2}"#, 100);
    sent(&mut keeper, 100);
    assert!(keeper.refused_by_device(0, "9 is too fast"));
    assert_eq!(last(&keeper).standing, Standing::Sent);
    assert!(keeper.refused_by_device(0, "2 is too fast as well"));
    assert_eq!((last(&keeper).standing, keeper.command_counts().refused), (Standing::Refused, 1));
}

#[test]
fn a_restart_gives_nothing_twice_that_was_settled_refused_or_given_up() {
    // Desired as it was reported: nothing is told, and nothing is when the device did otherwise by itself.
    let mut keeper = two();
    keeper.hear("lab/a", br#"{"ts":1,"fan":1}"#, 0);
    desire(&mut keeper, r#"{"fan":1}"#, 100);
    assert_eq!(sent(&mut keeper, 100), Vec::<Value>::new());
    keeper.hear("lab/a", br#"{"ts":2,"fan":0}"#, 200);
    let mut again = restarted(&mut keeper, 1_000);
    assert_eq!((sent(&mut again, 100_000), again.commands_open()), (vec![], 0));
    // Given up: as it was, until the device does it after all.
    desire(&mut again, r#"{"fan":2}"#, 100_000);
    for now_s in 100..200 {
        sent(&mut again, 1_000 * now_s);
    }
    assert_eq!(last(&again).standing, Standing::Unanswered);
    // All of its documents, as a store has them.
    again.hear("lab/a", br#"{"ts":3,"fan":0}"#, 200_000);
    let mut third = restarted(&mut again, 300_000);
    assert_eq!((last(&third).standing, last(&third).sent), (Standing::Unanswered, 2));
    assert_eq!(sent(&mut third, 400_000), Vec::<Value>::new());
    third.hear("lab/a", br#"{"ts":4,"fan":2}"#, 400_000);
    assert_eq!(last(&third).standing, Standing::Acknowledged);
    // Refused.
    desire(&mut third, r#"{"fan":3}"#, 400_000);
    sent(&mut third, 400_000);
    assert!(third.refused_by_device(0, "too fast"));
    let mut fourth = restarted(&mut third, 500_000);
    assert_eq!((sent(&mut fourth, 600_000), last(&fourth).reason.as_str()), (vec![], "too fast"));
}

#[test]
fn a_store_that_kept_no_commands_is_read_as_it_meant() {
    let document = |settled: &str| {
        let text = format!(
            r#"{{"state":{{"desired":{{"fan":1}},"reported":{{"fan":0}}}},"metadata":{{}},"version":3,"exists":true,"timestamp":1,"newest_ms":1{settled}}}"#
        );
        vec![("a".to_owned(), text.into_bytes())]
    };
    let mut keeper = two();
    keeper.restore(document(r#","settled":true"#), 0);
    assert_eq!(sent(&mut keeper, 10_000), Vec::<Value>::new());
    // It is kept from now on, whatever becomes of the document.
    keeper.hear("lab/a", br#"{"ts":2,"fan":0}"#, 10_000);
    let mut again = restarted(&mut keeper, 20_000);
    assert_eq!(sent(&mut again, 30_000), Vec::<Value>::new());
    let mut open = two();
    open.restore(document(""), 0);
    assert_eq!((sent(&mut open, GRACE_MS - 1), sent(&mut open, GRACE_MS)), (vec![], vec![json!({"fan": 1})]));
}

#[test]
fn what_was_in_doubt_before_a_restart_is_so_after_it() {
    let mut keeper = two();
    keeper.hear("lab/a", br#"{"ts":1,"fan":0}"#, 0);
    desire(&mut keeper, r#"{"fan":1}"#, 1_000);
    sent(&mut keeper, 1_000);
    desire(&mut keeper, r#"{"fan":0}"#, 1_100);
    let mut again = restarted(&mut keeper, 10_000);
    again.hear("lab/a", br#"{"ts":2,"fan":0}"#, 11_000);
    assert_eq!(last(&again).standing, Standing::Waiting);
    assert_eq!((sent(&mut again, 11_999), sent(&mut again, 12_000)), (vec![], vec![json!({"fan": 0})]));
    again.hear("lab/a", br#"{"ts":3,"fan":0}"#, 12_100);
    assert_eq!(last(&again).standing, Standing::Sent);
    again.hear("lab/a", br#"{"ts":4,"fan":1}"#, 12_200);
    again.hear("lab/a", br#"{"ts":5,"fan":0}"#, 12_300);
    assert_eq!(last(&again).standing, Standing::Acknowledged);
}

#[test]
fn what_a_broker_had_kept_of_presence_is_no_arrival() {
    let mut keeper = two();
    desire(&mut keeper, r#"{"fan":1}"#, 0);
    assert_eq!(sent(&mut keeper, 0), [json!({"fan": 1})]);
    let mut again = restarted(&mut keeper, 10_000);
    // Reading messages again took its time.
    again.go_live(60_000);
    again.hear("lab/a/status", b"online", 60_050);
    assert_eq!(sent(&mut again, 61_999), Vec::<Value>::new(), "the rest of what it kept may be to come");
    assert_eq!(sent(&mut again, 62_000), [json!({"fan": 1})]);
    assert_eq!((last(&again).sent, again.commands_open()), (2, 1));
    // Later it is one: it may have been away.
    again.hear("lab/a/status", b"offline", 62_100);
    again.hear("lab/a/status", b"online", 62_200);
    assert_eq!(sent(&mut again, 62_200), [json!({"fan": 1})]);
}

#[test]
fn patience_begins_when_the_device_is_there() {
    let terms = Terms { within_ms: 1_000, tries: 2, ..Terms::default() };
    let statuses = vec!["lab/a/status".to_owned()];
    let bound = Bound { twin: "a".into(), statuses, command: Some(Way::Dialect), terms, ..Bound::default() };
    let mut keeper = Keeper::new(vec![bound]);
    let mut ask = |_: usize, _: &str, _: &Wanted| -> Result<Utterance, Unasked> {
        Err(Unasked::NotYet("no birth".into()))
    };
    keeper.hear("lab/a/status", b"offline", 0);
    desire(&mut keeper, r#"{"fan":1}"#, 0);
    keeper.wait(0, &mut ask);
    assert_eq!(last(&keeper).reason, "the device is not there");
    keeper.hear("lab/a/status", b"online", 1_000_000);
    for now_ms in (1_000_000..=1_003_000).step_by(500) {
        keeper.wait(now_ms, &mut ask);
        assert_eq!(last(&keeper).standing, Standing::Waiting, "{now_ms}");
    }
    keeper.wait(1_003_500, &mut ask);
    assert_eq!(last(&keeper).standing, Standing::Unanswered, "three times the first try's time is over");
}
