//! What a user does is a line of the timeline: a session saves as a scenario, and the headless command replays it to the same
//! state hash, whatever the pace at which it was looked at.

use crate::{at, until};
use std::{path::Path, process::Command};
use twinfleet_desktop::{
    panels::desk::Desk,
    settings::Settings,
    sim::act::Act,
    stage::{camera::View, overlay::says, show::Picked},
};
use twinfleet_engine::time::SimTime;

fn hash(desk: &Desk) -> Option<u128> {
    desk.session.as_ref().and_then(|s| s.shared().left.hash)
}

fn headless(file: &Path) -> String {
    headless_with(file, &[])
}

/// The state hash of a file's run from the folder that it lies in; `args` are more of the command line.
fn headless_with(file: &Path, args: &[&str]) -> String {
    let output = Command::new(twinfleet_tests::twinfleet())
        .args(["run", "--broker", "none", "--quiet", "--json"])
        .arg(file)
        .args(args)
        .current_dir(file.parent().unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {error}"));
    report["state_hash"].as_str().unwrap().to_owned()
}

/// A folder with a scenario of its own beside a folder of its definitions and a recording.
fn own(dir: &Path) -> std::path::PathBuf {
    let from = twinfleet_tests::root().join("tests/fixtures/own");
    for kind in ["things", "actuators", "sensors"] {
        let to = dir.join("catalog").join(kind);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(from.join("catalog").join(kind)).unwrap().flatten() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    let mut csv = "time,temp\n".to_owned();
    (0..600).for_each(|s| csv += &format!("{s},{}\n", 40.0 + f64::from(s % 60) / 60.0));
    std::fs::create_dir_all(dir.join("recorded")).unwrap();
    std::fs::write(dir.join("recorded/run.csv"), csv).unwrap();
    let text = std::fs::read_to_string(from.join("heated-box.ron")).unwrap();
    let text = text.replace("duration: \"2h\"", "duration: \"10min\"").replace(
        "    mirror: [(",
        "    physicals: [(id: \"pi\", from: Recording(path: \"recorded/run.csv\", time: \"time\", \
         map: {\"soc.temperature@reported\": \"temp C\"}), publish: (topic: \"lab/{device}/said\"))],\n    mirror: [(",
    );
    let head = text.split("    expect: [").next().unwrap().to_owned();
    let file = dir.join("mine.ron");
    std::fs::write(&file, head + ")\n").unwrap();
    file
}

#[test]
fn a_session_that_is_saved_elsewhere_finds_its_files_and_names_its_catalog() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("here");
    let file = own(&here);
    let mut desk = Desk::new(Settings::default());
    desk.open(file.to_str().unwrap());
    assert_eq!(desk.refused, None);
    desk.go_to(at("2min"));
    desk.act(Act::Fault { target: "box/probe.temperature".into(), kind: "Bias(by: 2.0)".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(at("10min"));
    until(&mut desk, "the end", |d| hash(d).is_some());
    let wanted = format!("{:032x}", hash(&desk).unwrap());
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let session = elsewhere.join("session.ron");
    desk.save(&session);
    let notice = desk.notice.clone().unwrap();
    let catalog = here.join("catalog").display().to_string();
    assert!(!notice.bad && notice.text.contains(&format!("--catalog {catalog}")), "{notice:?}");
    assert_eq!(headless_with(&session, &["--catalog", &catalog]), wanted);
    // Below its own folder, files are named by their relative path, and definitions beside it need no name.
    let beside = here.join("session.ron");
    desk.save(&beside);
    assert!(!desk.notice.as_ref().unwrap().text.contains("--catalog"), "{:?}", desk.notice);
    assert!(std::fs::read_to_string(&beside).unwrap().contains("\"recorded/run.csv\""));
    assert_eq!(headless(&beside), wanted);
    // What cannot be run from where it is written is not claimed to replay.
    std::fs::remove_dir_all(here.join("recorded")).unwrap();
    desk.save(&session);
    let notice = desk.notice.clone().unwrap();
    assert!(notice.bad && notice.text.contains("cannot be run from there"), "{notice:?}");
}

#[test]
fn a_desired_state_reaches_its_device_and_replays_headless_to_the_same_hash() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"20min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    desk.go_to(at("5min"));
    until(&mut desk, "5 min", |d| d.shown.as_ref().unwrap().t == at("5min"));
    desk.act(Act::Desire { target: "actuator-0/vent".into(), level: 0.35 }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(at("20min"));
    until(&mut desk, "the end", |d| hash(d).is_some());
    {
        let shared = desk.session.as_ref().unwrap().shared();
        let event = shared.left.events.iter().find(|e| e.kind == "command" && e.value == 0.35);
        let event = event.expect("its firmware has taken it");
        assert_eq!((event.subject.as_str(), event.part.as_str()), ("actuator-0", "vent"));
        assert!(event.t >= at("5min") && event.t < at("10min"), "{event:?}");
        assert!(shared.left.traffic.until(at("20min")).any(|h| *h.message.payload == *b"0.35"));
    }
    let session = dir.path().join("session.ron");
    desk.save(&session);
    assert_eq!(headless(&session), format!("{:032x}", hash(&desk).unwrap()));
    // What takes no commands is refused, with what there is.
    let before = desk.done.len();
    desk.go_to(at("1min"));
    desk.act(Act::Desire { target: "node-0/vent".into(), level: 1.0 }, None);
    assert_eq!(desk.done.len(), before);
    assert!(desk.notice.as_ref().unwrap().bad);
}

#[test]
fn an_act_at_a_paused_tick_shows_at_once() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"20min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    desk.go_to(at("5min"));
    until(&mut desk, "5 min", |d| d.shown.as_ref().unwrap().t == at("5min"));
    desk.act(Act::Fault { target: "node-3/bme280.temperature".into(), kind: "Stuck".into() }, None);
    desk.act(Act::Door { zone: "z2".into(), air_changes_per_h: 30.0, heat_w: 0.0 }, None);
    assert_eq!(desk.done.len(), 2, "{:?}", desk.notice);
    let holds =
        |d: &Desk, subject: &str| d.shown.as_ref().unwrap().spells.iter().any(|s| s.subject == subject);
    until(&mut desk, "both to be shown", |d| holds(d, "node-3") && holds(d, "z2"));
    assert_eq!((desk.now(), desk.playing), (at("5min"), false));
    let door = desk.shown.as_ref().unwrap().spells.iter().find(|s| s.subject == "z2").unwrap();
    assert_eq!(says(door), "open: 30 air changes per hour");
}

#[test]
fn a_link_that_is_cut_and_what_is_set_are_shown_for_as_long_as_they_last() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"20min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    let target = "node-3/bme280.temperature";
    let set = |desk: &mut Desk, to: f64, until: Option<SimTime>| {
        desk.act(Act::Set { target: target.into(), to }, until);
    };
    desk.go_to(at("5min"));
    desk.act(Act::LinkDown { link: "wifi".into() }, Some(at("8min")));
    set(&mut desk, 40.0, Some(at("9min")));
    desk.go_to(at("10min"));
    set(&mut desk, 30.0, None);
    desk.go_to(at("12min"));
    set(&mut desk, 35.0, None);
    assert_eq!(desk.done.len(), 4, "{:?}", desk.notice);
    desk.go_to(at("15min"));
    until(&mut desk, "15 min", |d| d.shown.as_ref().unwrap().t == at("15min"));
    let mut spells = desk.session.as_ref().unwrap().shared().left.spells.clone();
    spells.0.retain(|s| ["wifi", "node-3"].contains(&s.subject.as_str()));
    let told: Vec<(&str, String, SimTime, Option<SimTime>)> =
        spells.0.iter().map(|s| (s.subject.as_str(), says(s), s.from, s.until)).collect();
    let to = |c: &str| format!("bme280.temperature set to {c} °C");
    let wanted = [
        ("wifi", "down".to_owned(), at("5min"), Some(at("8min"))),
        ("node-3", to("40.0"), at("5min"), Some(at("9min"))),
        // For good, until it is set anew.
        ("node-3", to("30.0"), at("10min"), Some(at("12min"))),
        ("node-3", to("35.0"), at("12min"), None),
    ];
    assert_eq!(told, wanted);
    let holds = |t: &str| spells.at(at(t)).map(says).collect::<Vec<_>>();
    assert_eq!(holds("8min"), [to("40.0")]);
    assert_eq!(holds("9min"), [""; 0]);
    assert_eq!(holds("13min"), [to("35.0")]);
    // Both ends are marks that keys go to.
    desk.go_to(at("6min"));
    desk.jump(true);
    assert_eq!(desk.now(), at("8min"));
    desk.jump(true);
    assert_eq!(desk.now(), at("9min"));
}

#[test]
fn what_is_most_wrong_is_looked_at_though_it_is_a_room_or_a_link_is_down_besides() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"20min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    let worst = |desk: &mut Desk, text: &str| {
        desk.go_to(at(text));
        until(desk, text, |d| d.shown.as_ref().unwrap().t == at(text));
        let shown = desk.shown.as_ref().unwrap();
        let view = View::named("alarm", shown).unwrap();
        let of = |picked: Picked| view == View::picked(picked, shown);
        let device = shown.fleet.find("node-3").unwrap();
        [of(Picked::Device(device)), of(Picked::Zone(1))]
    };
    desk.go_to(at("2min"));
    desk.act(Act::Fault { target: "node-3/bme280.temperature".into(), kind: "Stuck".into() }, None);
    desk.go_to(at("4min"));
    desk.act(Act::LinkDown { link: "wifi".into() }, None);
    desk.go_to(at("6min"));
    desk.act(Act::Door { zone: "z2".into(), air_changes_per_h: 30.0, heat_w: 0.0 }, None);
    assert_eq!(desk.done.len(), 3, "{:?}", desk.notice);
    assert_eq!(worst(&mut desk, "5min"), [true, false]);
    assert_eq!(worst(&mut desk, "8min"), [false, true]);
}

#[test]
fn a_pace_holds_though_a_frame_takes_a_second_to_draw() {
    let mut desk = Desk::new(Settings::default());
    desk.open("swing-shake-drive");
    (desk.speed, desk.playing) = (1.0, true);
    desk.advance(1.0);
    for second in 1..=5 {
        let next = SimTime(second * 1_000_000_000);
        twinfleet_tests::until("the run to be ahead", || {
            desk.session.as_ref().unwrap().shared().left.now >= next
        });
        desk.advance(1.0);
        assert_eq!(desk.now(), next);
    }
    // A lid that was closed for an hour is no hour that was played.
    desk.advance(3_600.0);
    assert!(desk.playing && desk.now() < at("10s"), "{}", desk.now());
}

#[test]
fn going_back_shows_the_messages_of_then() {
    let mut desk = Desk::new(Settings::default());
    desk.open("pi3b-mirror");
    desk.go_to(at("1h"));
    until(&mut desk, "the end", |d| hash(d).is_some());
    let shared = desk.session.as_ref().unwrap().shared();
    let then: Vec<_> = shared.left.traffic.until(at("10min")).collect();
    assert!(shared.left.messages > 2_000 && then.len() > 100, "{} {}", shared.left.messages, then.len());
    assert!(then.last().unwrap().t > at("9min"));
}

#[test]
fn a_script_that_hangs_stops_the_run_and_is_told() {
    let mut desk = Desk::new(Settings::default());
    desk.scripts = twinfleet_twins::script::Options::new(true, Some(1e-6));
    desk.open("scripted");
    assert_eq!(desk.refused, None);
    desk.playing = true;
    until(&mut desk, "what is wrong", |d| d.notice.as_ref().is_some_and(|n| n.bad));
    let notice = desk.notice.clone().unwrap();
    assert!(notice.text.contains("the run cannot go on"), "{notice:?}");
    assert!(!desk.playing && hash(&desk).is_none());
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
    assert!(desk.is_unsaved());
    desk.save(&session);
    assert!(!desk.is_unsaved(), "{:?}", desk.notice);
    assert_eq!(headless(&session), format!("{:032x}", hash(&desk).unwrap()));
    let named = desk.session.as_ref().unwrap().shared().left.spells.0.iter().any(|s| {
        s.class == twinfleet_desktop::sim::spell::Class::Alarm
            && s.from >= at("12min")
            && s.from < at("16min")
    });
    assert!(named, "the twin has seen the bias that was put in by hand");
}

#[test]
fn a_session_of_another_seed_saves_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.seed = Some(4_711);
    desk.open("swing-shake-drive");
    assert_eq!(desk.refused, None);
    desk.go_to(at("2s"));
    desk.act(Act::Fault { target: "rover/imu.accel_x".into(), kind: "Bias(by: 1.0)".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(at("24s"));
    until(&mut desk, "the end", |d| hash(d).is_some());
    let session = dir.path().join("session.ron");
    desk.save(&session);
    assert!(std::fs::read_to_string(&session).unwrap().contains("seed: 4711"));
    assert_eq!(headless(&session), format!("{:032x}", hash(&desk).unwrap()));
}

#[test]
fn at_its_end_a_run_is_not_acted_on() {
    let mut desk = Desk::new(Settings::default());
    desk.open("swing-shake-drive");
    desk.go_to(at("24s"));
    desk.act(Act::Fault { target: "rover/imu.accel_x".into(), kind: "Stuck".into() }, None);
    assert!(desk.done.is_empty() && desk.notice.as_ref().unwrap().bad, "{:?}", desk.notice);
}

#[test]
fn a_broker_that_is_cut_is_silence_of_every_device() {
    let mut desk = Desk::new(Settings::default());
    desk.open("pi3b-mirror");
    desk.go_to(at("5min"));
    until(&mut desk, "5 min", |d| d.shown.as_ref().unwrap().t == at("5min"));
    desk.act(Act::Fault { target: "*".into(), kind: "Dropout".into() }, Some(at("7min")));
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(at("6min"));
    until(&mut desk, "6 min", |d| d.shown.as_ref().unwrap().t == at("6min"));
    let shown = desk.shown.as_ref().unwrap();
    assert!(shown.t - shown.frame.sent[0] > twinfleet_engine::time::Span::from_secs(50));
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
    assert!(!desk.is_unsaved(), "nothing is left to save");
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

#[test]
fn a_what_if_goes_on_beside_its_run_and_replays_headless_to_the_same_hash() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"40min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    assert_eq!(desk.refused, None);
    desk.go_to(at("10min"));
    until(&mut desk, "10 min", |d| d.shown.as_ref().unwrap().t == at("10min"));
    desk.keep_beside();
    desk.act(Act::Weather { figures: vec![("temperature_c", -10.0), ("wind_m_s", 0.0)] }, Some(at("30min")));
    desk.act(Act::Move { target: "node-0".into(), to: "outside".into() }, None);
    assert_eq!(desk.done.len(), 2, "{:?}", desk.notice);
    desk.go_to(at("29min"));
    let beside = |d: &Desk| d.beside.as_ref().unwrap().shown.t;
    until(&mut desk, "both at 29 min", |d| {
        d.shown.as_ref().unwrap().t == at("29min") && beside(d) == at("29min")
    });
    let shown = desk.shown.as_ref().unwrap();
    let reading = shown.opened.plan.signals.find("node-0/bme280.temperature@reading").unwrap();
    let (what_if, as_it_was) = (shown.frame.value(reading).unwrap(), desk.beside.as_ref().unwrap());
    let as_it_was = as_it_was.shown.frame.value(reading).unwrap();
    assert!(what_if < -5.0 && as_it_was > 10.0, "{what_if} {as_it_was}");
    // It stands elsewhere in the one half only.
    let node = shown.fleet.find("node-0").unwrap();
    assert!(shown.carried.contains_key(&node) && desk.beside.as_ref().unwrap().shown.carried.is_empty());
    desk.go_to(at("40min"));
    let ended = |d: &Desk| d.beside.as_ref().unwrap().session.shared().left.hash;
    until(&mut desk, "the end of both", |d| hash(d).is_some() && ended(d).is_some());
    assert_ne!(hash(&desk), ended(&desk), "the acts have changed the one world");
    let session = dir.path().join("session.ron");
    desk.save(&session);
    assert_eq!(headless(&session), format!("{:032x}", hash(&desk).unwrap()));
}
