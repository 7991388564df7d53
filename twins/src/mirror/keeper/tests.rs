//! What is heard changes the documents of its own twin, within bounds.

use super::*;
use twinfleet_engine::dialect::{Unasked, Utterance, Wanted};

pub(super) fn two() -> Keeper {
    let bound = |twin: &str| Bound {
        twin: twin.into(),
        states: vec![(format!("lab/{twin}"), Some("/ts".into()))],
        statuses: vec![format!("lab/{twin}/status")],
        command: Some(Way::Topic(format!("lab/{twin}/set"))),
        terms: Terms { within_ms: 5_000, tries: 2, ..Terms::default() },
    };
    Keeper::new(vec![bound("a"), bound("b")])
}

pub(super) fn said(keeper: &mut Keeper) -> Vec<(String, Value)> {
    let json = |o: Output| (o.topic, serde_json::from_slice(&o.payload).unwrap());
    keeper.outputs().into_iter().map(json).collect()
}

#[test]
fn a_device_changes_its_own_twin_alone() {
    let mut keeper = two();
    keeper.hear("lab/a", br#"{"ts":1,"x":1,"twin":"b","device":"b"}"#, 0);
    keeper.hear("lab/a", br#"{"ts":2,"state":{"reported":{"x":7}}}"#, 0);
    assert!(keeper.shadow("b").is_some_and(|s| !s.exists()));
    assert!(!keeper.hear("lab/c", b"{}", 0));
    assert_eq!(keeper.changed().iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn strangers_floods_and_bombs_are_counted_and_bounded() {
    let mut keeper = two();
    for i in 0..1_000 {
        keeper.hear(&format!("$aws/things/x{i}/shadow/update"), br#"{"state":{"desired":{}}}"#, 0);
        keeper.hear(&format!("$aws/things/a/shadow/name/n{i}/update"), br#"{"state":{"desired":{}}}"#, 0);
        keeper.hear(&format!("$aws/things/b/shadow/name/n{i}/update"), b"{}", 0);
        keeper.outputs();
    }
    let deep = format!("{{\"d\":{}1{},\"ok\":1}}", "[".repeat(100), "]".repeat(100));
    keeper.hear("lab/a", deep.as_bytes(), 0);
    keeper.hear("lab/a", &[b'['; 300_000], 0);
    keeper.hear("lab/a", b"\xff\xfe", 0);
    keeper.hear("lab/a", format!("{{\"x\":\"{}\"}}", "y".repeat(200_000)).as_bytes(), 0);
    assert_eq!(keeper.shadow("a").unwrap().reported(), Some(json!({"ok": 1})));
    for i in 0..10_000 {
        keeper.hear("lab/b", format!("{{\"key{i}\":\"{}\"}}", "y".repeat(100)).as_bytes(), 0);
    }
    let bytes = keeper.shadow("b").unwrap().reported_bytes();
    assert!(bytes < 2 * MAX_REPORTED_BYTES, "{bytes}");
    let refused = keeper.refused();
    assert_eq!((refused.unknown_things, refused.rejected, refused.malformed), (1_000, 2_990, 2));
    assert!(refused.too_large > 9_000, "{refused:?}");
    assert_eq!((keeper.named("a").count(), keeper.named("b").count()), (NAMED_SHADOWS, 0));
}

#[test]
fn documents_come_back_from_the_store() {
    let mut keeper = two();
    keeper.hear("lab/a", br#"{"ts":5,"x":1}"#, 1_000);
    keeper.hear("$aws/things/a/shadow/name/cfg/update", br#"{"state":{"desired":{"y":2}}}"#, 2_000);
    let mut again = two();
    again.restore(keeper.changed(), 3_000);
    assert_eq!(again.shadow("a"), keeper.shadow("a"));
    assert_eq!(again.named("a").collect::<Vec<_>>(), keeper.named("a").collect::<Vec<_>>());
    again.hear("lab/a", br#"{"ts":4,"x":0}"#, 3_000);
    assert_eq!(again.shadow("a").unwrap().reported(), Some(json!({"ts": 5, "x": 1})), "back in time");
}

#[test]
fn presence_is_told_where_it_changes_and_not_again_after_a_restart() {
    let mut keeper = two();
    let kinds = |keeper: &mut Keeper| keeper.happened().iter().map(|h| h.kind).collect::<Vec<_>>();
    keeper.hear("lab/a/status", b"online", 1_000);
    keeper.hear("lab/a/status", b"online", 2_000);
    keeper.hear("lab/b/status", b"offline", 2_000);
    assert_eq!(kinds(&mut keeper), ["online", "offline"]);
    let kept = keeper.changed();
    let names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a\n\nmemory", "b\n\nmemory"]);
    let mut again = two();
    again.restore(kept, 10_000);
    // What is read again, and what the broker had kept, is known.
    again.recall_presence(0, false);
    again.hear("lab/a/status", b"online", 10_100);
    again.hear("lab/b/status", b"offline", 10_100);
    assert_eq!((kinds(&mut again), again.changed()), (vec![], vec![]));
    again.hear("lab/b/status", b"online", 10_200);
    assert_eq!(kinds(&mut again), ["online"]);
    assert_eq!((again.online("a"), again.named("a").count()), (Some(true), 0), "and is no shadow");
    // A store that says nothing of it learns it from what is read again, and nobody is told.
    let mut older = two();
    older.restore([], 10_000);
    older.recall_presence(0, true);
    older.recall_presence(0, false);
    older.hear("lab/a/status", b"offline", 10_100);
    assert_eq!((kinds(&mut older), older.online("a")), (vec![], Some(false)));
}

fn nobody(_: usize, field: &str, _: &Wanted) -> Result<Utterance, Unasked> {
    Err(Unasked::Never(format!("`{field}` of nobody")))
}

#[test]
fn one_that_was_away_before_a_restart_and_reports_is_not_waited_for() {
    let mut keeper = two();
    keeper.hear("lab/a/status", b"offline", 0);
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"fan":1}}}"#, 0);
    let mut again = two();
    again.restore(keeper.changed(), 10_000);
    again.hear("lab/a", br#"{"ts":1,"fan":0}"#, 10_100);
    again.wait(12_000, &mut nobody);
    assert_eq!((again.online("a"), said(&mut again)), (Some(false), vec![]), "that may be an old report");
    again.hear("lab/a", br#"{"ts":2,"fan":0}"#, 20_000);
    again.wait(20_000, &mut nobody);
    assert_eq!(again.online("a"), None);
    assert_eq!(said(&mut again), [("lab/a/set".to_owned(), json!({"fan": 1}))]);
}

#[test]
fn a_command_is_kept_while_its_device_is_not_commanded() {
    let mut keeper = two();
    keeper.hear("$aws/things/a/shadow/update", br#"{"state":{"desired":{"on":true}}}"#, 0);
    let mut documents = keeper.changed();
    let asked = keeper.last_command("a").unwrap().clone();
    assert_eq!(asked.standing, Standing::Waiting);
    // A scenario without commands, in which the device comes and goes.
    let mut mute = Keeper::new(vec![Bound { twin: "a".into(), ..Bound::default() }]);
    mute.restore(documents.clone(), 1_000);
    mute.present(0, true, 10_000);
    mute.present(0, false, 11_000);
    let changed = mute.changed();
    assert_eq!(changed.len(), 1, "its memory alone: {changed:?}");
    documents.extend(changed);
    let mut again = two();
    again.restore(documents, 20_000);
    let kept = again.last_command("a").unwrap();
    assert_eq!((kept.standing, kept.version, kept.asked_ms), (asked.standing, asked.version, asked.asked_ms));
    assert_eq!((again.online("a"), again.commands_open()), (Some(false), 1));
}
