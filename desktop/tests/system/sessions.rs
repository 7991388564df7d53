//! What a user does is a line of the timeline: a session saves as a scenario, and the headless command replays it to the same
//! state hash, whatever the pace at which it was looked at.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use twinfleet_desktop::{panels::desk::Desk, settings::Settings, sim::act::Act, stage::show::Picked};
use twinfleet_engine::time::{SimTime, Span};

/// Lets the desk go on until something is so.
fn until(desk: &mut Desk, what: &str, done: impl Fn(&Desk) -> bool) {
    let start = Instant::now();
    while !done(desk) {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain for: {what}");
        desk.advance(0.016);
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn at(text: &str) -> SimTime {
    SimTime::ZERO + text.parse::<Span>().unwrap()
}

fn hash(desk: &Desk) -> Option<u128> {
    desk.session.as_ref().and_then(|s| s.shared().left.hash)
}

fn headless(file: &Path) -> String {
    let output = Command::new(twinfleet_tests::twinfleet())
        .args(["run", "--broker", "none", "--quiet", "--json"])
        .arg(file)
        .current_dir(twinfleet_tests::root())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    report["state_hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_saved_session_replays_headless_to_the_same_hash() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.open(
        "scenarios/pi3b-mirror.ron"
            .replace("scenarios", twinfleet_tests::root().join("scenarios").to_str().unwrap())
            .as_str(),
    );
    assert_eq!(desk.refused, None);
    // Forward, an act, on, back, an act before the first: both are in the session.
    desk.go_to(at("12min"));
    until(&mut desk, "12 min", |d| d.shown.as_ref().unwrap().t == at("12min"));
    desk.act(
        Act::Fault { target: "pi-1/soc.temperature".into(), kind: "Bias(by: 6.0)".into() },
        Some(at("16min")),
    );
    desk.go_to(at("20min"));
    until(&mut desk, "20 min", |d| d.shown.as_ref().unwrap().t == at("20min"));
    desk.go_to(at("5min"));
    desk.advance(0.016);
    desk.act(Act::Fault { target: "pi-1".into(), kind: "Dropout".into() }, Some(at("6min")));
    assert_eq!(desk.done.len(), 2);
    // Playing, at a pace, beside jumps: the hash does not depend on it.
    desk.speed = 400.0;
    desk.playing = true;
    until(&mut desk, "a while", |d| d.now() > at("9min"));
    desk.go_to(at("1h"));
    until(&mut desk, "the end", |d| hash(d).is_some());
    let session = dir.path().join("session.ron");
    assert!(desk.unsaved);
    desk.save(&session);
    assert!(!desk.unsaved, "{:?}", desk.notice);
    assert_eq!(headless(&session), format!("{:032x}", hash(&desk).unwrap()));
    let named = desk.session.as_ref().unwrap().shared().left.spells.0.iter().any(|s| {
        s.class == twinfleet_desktop::sim::spell::Class::Alarm
            && s.from >= at("12min")
            && s.from < at("16min")
    });
    assert!(named, "the twin has seen the bias that was put in by hand");
}

#[test]
fn an_undone_session_is_the_scenario_itself() {
    let mut desk = Desk::new(Settings::default());
    desk.open("swing-shake-drive");
    desk.go_to(at("24s"));
    until(&mut desk, "the end", |d| hash(d).is_some());
    let plain = hash(&desk);
    desk.go_to(at("2s"));
    desk.act(Act::Fault { target: "rover/imu.accel_x".into(), kind: "Bias(by: 1.0)".into() }, None);
    desk.go_to(at("24s"));
    until(&mut desk, "the end again", |d| hash(d).is_some());
    assert_ne!(hash(&desk), plain, "the act has changed the world");
    desk.undo();
    desk.go_to(at("24s"));
    until(&mut desk, "the end once more", |d| hash(d).is_some());
    assert_eq!(hash(&desk), plain);
    assert!(desk.done.is_empty());
}

#[test]
fn a_refused_act_changes_nothing_and_says_why() {
    let mut desk = Desk::new(Settings::default());
    desk.open("pi3b-mirror");
    let before = desk.scenario_text().unwrap().to_owned();
    desk.act(Act::Command { target: "pi-1/fan".into(), level: 1.0 }, None);
    assert_eq!(desk.scenario_text().unwrap(), before);
    assert!(desk.notice.as_ref().unwrap().bad, "{:?}", desk.notice);
    assert!(desk.done.is_empty());
}

#[test]
fn going_back_shows_what_was() {
    let mut desk = Desk::new(Settings::default());
    desk.open("parcel-drop");
    desk.go_to(at("3s"));
    until(&mut desk, "3 s", |d| d.shown.as_ref().unwrap().t == at("3s"));
    let then = desk.shown.as_ref().unwrap().frame.bodies.to_vec();
    desk.go_to(at("8s"));
    until(&mut desk, "8 s", |d| d.shown.as_ref().unwrap().t == at("8s"));
    assert_ne!(desk.shown.as_ref().unwrap().frame.bodies.to_vec(), then);
    desk.go_to(at("3s"));
    desk.advance(0.016);
    assert_eq!(desk.shown.as_ref().unwrap().frame.bodies.to_vec(), then);
    desk.pick(Some(Picked::Device(0)));
    assert!(desk.touched);
}
