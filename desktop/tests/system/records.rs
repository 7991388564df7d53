//! A record opened in the desktop is the run that left it; real devices are followed live; what is wrong is told with its place.

use crate::{at, desktop, until};
use egui_kittest::kittest::Queryable;
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use twinfleet_desktop::{
    panels::desk::Desk,
    settings::Settings,
    sim::{
        act::Act,
        spell::{Class, Spell},
    },
};
use twinfleet_engine::{
    mirror::status_topics,
    signal::Kind,
    time::{SimTime, Span},
};
use twinfleet_tests::Process;
use twinfleet_twins::wire::{
    broker::{Broker, BrokerConfig},
    client::{ConnectOptions, Connection},
};

fn go(desk: &mut Desk, text: &str) {
    desk.go_to(at(text));
    until(desk, text, |d| d.shown.as_ref().unwrap().t == at(text));
}

fn record(dir: &Path) -> String {
    record_with(dir, &[])
}

/// The record of a run; `args` are more of the command line.
fn record_with(dir: &Path, args: &[&str]) -> String {
    let rec = dir.join("rec");
    let output = Command::new(twinfleet_tests::twinfleet())
        .args([
            "run",
            "pi3b-mirror",
            "--broker",
            "none",
            "--quiet",
            "--set",
            "record=(segment: \"20min\")",
            "--record",
        ])
        .arg(&rec)
        .args(args)
        .current_dir(twinfleet_tests::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    rec.to_str().unwrap().to_owned()
}

#[test]
fn a_record_shows_what_its_run_showed() {
    let dir = tempfile::tempdir().unwrap();
    let rec = record(dir.path());
    let mut of_record = Desk::new(Settings::default());
    of_record.open(&rec);
    assert_eq!(of_record.refused, None);
    let mut of_run = Desk::new(Settings::default());
    of_run.open("pi3b-mirror");
    for t in ["20min", "33min", "45min"] {
        go(&mut of_record, t);
        go(&mut of_run, t);
        let (a, b) = (of_record.shown.as_ref().unwrap(), of_run.shown.as_ref().unwrap());
        assert_eq!(a.frame.t, b.frame.t);
        // A row bears the time of what it tells, which a run hears of up to a tick later.
        let (now, spells) = (b.frame.values.clone(), b.spells.clone());
        of_run.step(1);
        let next = at(t) + Span::from_secs(1);
        until(&mut of_run, "a tick more", |d| d.shown.as_ref().unwrap().t == next);
        let later = &of_run.shown.as_ref().unwrap().frame.values;
        let told = now.iter().zip(later.iter()).map(|(now, later)| [now.to_bits(), later.to_bits()]);
        let same = a.frame.values.iter().zip(told).filter(|(x, told)| told.contains(&x.to_bits()));
        assert_eq!(same.count(), now.len(), "at {t}");
        // A record knows what begins now, and when what holds will end.
        let begun = |spells: &[Spell]| -> Vec<Spell> {
            let begun = spells.iter().filter(|s| s.from < at(t));
            begun.map(|s| Spell { until: None, ..s.clone() }).collect()
        };
        assert_eq!(begun(&a.spells), begun(&spells), "at {t}");
        let alarm = a.spells.iter().any(|s| s.class == Class::Alarm);
        assert_eq!(alarm, t == "33min", "at {t}");
        // A message was sent, as the twin has heard it.
        assert!(a.t - a.frame.sent[0] < Span::from_secs(3), "{:?}", a.frame.sent);
    }
    // The end of both is the same state; a record is not acted on, its scenario anew is.
    of_record.go_to(at("1h"));
    until(&mut of_record, "the end", |d| d.session.as_ref().unwrap().shared().left.hash.is_some());
    of_run.go_to(at("1h"));
    until(&mut of_run, "the end", |d| d.session.as_ref().unwrap().shared().left.hash.is_some());
    let hash = |d: &Desk| d.session.as_ref().unwrap().shared().left.hash;
    assert_eq!(hash(&of_record), hash(&of_run));
    let act = || Act::Fault { target: "pi-1".into(), kind: "Dropout".into() };
    of_record.act(act(), None);
    assert!(of_record.done.is_empty() && of_record.notice.as_ref().unwrap().bad);
    go(&mut of_record, "10min");
    of_record.simulate_anew();
    assert_eq!(of_record.refused, None);
    assert_eq!(of_record.now(), at("10min"));
    of_record.act(act(), None);
    assert_eq!(of_record.done.len(), 1, "{:?}", of_record.notice);
}

#[test]
fn a_records_marks_stand_over_the_whole_of_it_from_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.open(&record(dir.path()));
    assert_eq!(desk.refused, None);
    let first = desk.session.as_ref().unwrap().shared().left.spells.clone();
    assert!(first.0.iter().any(|s| s.class == Class::Injected && s.from == at("30min")), "{first:?}");
    // The first that is wrong in it lies far ahead of what was played.
    desk.jump(true);
    assert_eq!(desk.now(), at("30min"));
    go(&mut desk, "1h");
    let last = desk.session.as_ref().unwrap().shared().left.spells.clone();
    assert_eq!(first.0, last.0, "playing it books nothing twice");
}

#[test]
fn a_record_of_another_seed_is_simulated_anew_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.open(&record_with(dir.path(), &["--seed", "4711"]));
    assert_eq!(desk.refused, None);
    let hash = |d: &Desk| d.session.as_ref().unwrap().shared().left.hash;
    go(&mut desk, "1h");
    until(&mut desk, "the end", |d| hash(d).is_some());
    let recorded = hash(&desk);
    desk.simulate_anew();
    assert!(desk.scenario_text().unwrap().contains("seed: 4711"));
    desk.go_to(at("1h"));
    until(&mut desk, "the end anew", |d| hash(d).is_some());
    assert_eq!(hash(&desk), recorded);
}

#[test]
fn records_whose_names_differ_behind_a_point_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let rec = record(dir.path());
    let titles = ["mon.1", "mon.2"].map(|name| {
        let renamed = dir.path().join(name);
        // Each in its turn has the name.
        let from = [Path::new(&rec).to_owned(), dir.path().join("mon.1")].into_iter().find(|p| p.is_dir());
        std::fs::rename(from.unwrap(), &renamed).unwrap();
        let mut desk = Desk::new(Settings::default());
        desk.open(renamed.to_str().unwrap());
        assert_eq!(desk.refused, None);
        desk.title()
    });
    assert_eq!(titles, ["mon.1", "mon.2"]);
}

#[test]
fn a_damaged_record_is_refused_by_the_name_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let rec = record(dir.path());
    let file = Path::new(&rec).join("signals/000001.parquet");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.open(&rec);
    let refused = desk.refused.clone().expect("it is refused");
    assert!(
        refused.text.contains("signals/000001.parquet") && refused.text.contains("damaged"),
        "{refused:?}"
    );
    // From the command line too, and a folder that is no record says so.
    for (folder, says) in [(Path::new(&rec), "000001.parquet"), (dir.path(), "manifest.json")] {
        let png = dir.path().join("x.png");
        let output = desktop(dir.path()).arg(folder).arg("--screenshot").arg(&png).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn real_devices_are_followed_live() {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    let url = format!("mqtt://{}", broker.addr());
    let device = Command::new(twinfleet_tests::twinfleet())
        .args(["replay", "pi3b-mirror", "--broker", &url])
        .current_dir(twinfleet_tests::root())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _device = Process(device);
    let mut desk = Desk::new(Settings::default());
    desk.follow_live("pi3b-mirror", &url);
    assert_eq!(desk.refused, None);
    assert!(desk.is_live() && desk.playing);
    let estimate = |d: &Desk| {
        let shown = d.shown.as_ref().unwrap();
        let pair = &shown.fleet.pairs(0)[0];
        assert_eq!(shown.opened.plan.signals.channel(pair.estimate).kind, Kind::Estimate);
        shown.frame.value(pair.reported).zip(shown.frame.value(pair.estimate))
    };
    until(&mut desk, "the twin to hear its device", |d| estimate(d).is_some());
    let (reported, held) = estimate(&desk).unwrap();
    assert!((20.0..90.0).contains(&reported) && (reported - held).abs() < 8.0, "{reported} {held}");
    // What it says is its own, in the inspector's log and for who clicks a message.
    until(&mut desk, "a message of its own", |d| {
        let ordinal = d.shown.as_ref().unwrap().fleet.devices[0].ordinal.unwrap();
        let shared = d.session.as_ref().unwrap().shared();
        shared.left.traffic.until(SimTime::NEVER).any(|h| h.message.publisher == ordinal)
    });
    let shared = desk.session.as_ref().unwrap().shared();
    let traffic = shared.left.traffic.until(SimTime::NEVER).next().unwrap().message.topic.clone();
    drop(shared);
    assert!(traffic.contains("pi-1"), "{traffic}");
    // Looked back at, time stands; at the end it goes on.
    let now = desk.now();
    desk.go_to(SimTime(now.0 / 2));
    assert!(!desk.playing);
    desk.advance(0.016);
    assert!(desk.shown.as_ref().unwrap().t <= SimTime(now.0 / 2));
    desk.go_to(SimTime::NEVER);
    assert!(desk.playing);
    desk.act(Act::Fault { target: "pi-1".into(), kind: "Dropout".into() }, None);
    assert!(desk.done.is_empty() && desk.notice.as_ref().unwrap().bad);
    // What is saved of real devices is their scenario, which replays nothing.
    let dir = tempfile::tempdir().unwrap();
    desk.save(&dir.path().join("s.ron"));
    let notice = desk.notice.clone().unwrap();
    assert!(!notice.bad && notice.text.contains("nothing to replay"), "{notice:?}");
    drop(broker);
    until(&mut desk, "the broker's absence to be told", |d| {
        let note = d.session.as_ref().unwrap().shared().left.note.clone();
        note.is_some_and(|n| n.contains("away"))
    });
}

#[test]
fn a_real_device_that_is_said_to_be_gone_is_away_until_it_is_back() {
    let broker = Broker::start(BrokerConfig::default()).unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.follow_live("pi3b-mirror", &format!("mqtt://{}", broker.addr()));
    assert_eq!(desk.refused, None);
    let topic = status_topics(&desk.shown.as_ref().unwrap().opened.plan.scenario.mirror[0]).remove(0);
    for (word, away) in [("offline", true), ("online", false)] {
        let mut device = Connection::connect(&ConnectOptions::new(broker.addr())).unwrap();
        device.publish(&topic, word.as_bytes(), 1, true).unwrap();
        device.disconnect(Duration::from_secs(10)).unwrap();
        until(&mut desk, word, |d| {
            let spells = &d.shown.as_ref().unwrap().spells;
            spells.iter().any(|s| s.what == "offline" && s.class == Class::Outage) == away
        });
    }
}

#[test]
fn a_mirror_that_cannot_be_says_why() {
    let mut desk = Desk::new(Settings::default());
    // Nobody listens on the discard port of the loopback address.
    for (file, broker, outside, says) in [
        ("pi3b-mirror", "mqtt://127.0.0.1:9", true, "127.0.0.1:9"),
        ("pi3b-mirror", "embedded", false, "broker of its own"),
        ("parcel-drop", "mqtt://127.0.0.1:9", false, "no `mirror` section"),
    ] {
        desk.follow_live(file, broker);
        let refused = desk.refused.take().unwrap_or_else(|| panic!("{file} on {broker} was followed"));
        assert_eq!(refused.outside, outside, "{refused:?}");
        assert!(refused.text.contains(says), "{refused:?}");
        // A broker of our own is no advice here.
        assert!(!refused.text.contains("--broker embedded"), "{refused:?}");
    }
}

#[test]
fn bodies_of_a_record_are_turned_as_they_were_in_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let rec = dir.path().join("rec");
    let output = Command::new(twinfleet_tests::twinfleet())
        .args(["run", "parcel-drop", "--broker", "none", "--quiet", "--record"])
        .arg(&rec)
        .current_dir(twinfleet_tests::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut of_record = Desk::new(Settings::default());
    of_record.open(rec.to_str().unwrap());
    let mut of_run = Desk::new(Settings::default());
    of_run.open("parcel-drop");
    let scene = of_run.shown.as_ref().unwrap().opened.plan.scenario.world.scene.clone().unwrap();
    let rotation = |d: &Desk, body: usize| d.shown.as_ref().unwrap().frame.bodies[body].rotation;
    let started: Vec<[f32; 4]> = (0..scene.bodies.len()).map(|body| rotation(&of_run, body)).collect();
    let mut turned = 0;
    for (body, def) in scene.bodies.iter().enumerate() {
        let (a, b) = (rotation(&of_record, body), rotation(&of_run, body));
        // A quaternion and its opposite are one rotation.
        let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(dot.abs() > 0.999_9, "{}: {a:?} {b:?}", def.id);
        turned += usize::from(a[3].abs() < 0.999);
    }
    assert!(turned > 0, "the chute stands askew");
    // A record's rows are those of a tick's start: it is a tick behind.
    for desk in [&mut of_record, &mut of_run] {
        desk.go_to(at("4s"));
        until(desk, "4 s", |d| d.shown.as_ref().unwrap().t == at("4s"));
    }
    of_run.step(-1);
    let before = of_run.now();
    until(&mut of_run, "the tick before", |d| d.shown.as_ref().unwrap().t == before);
    let mut tumbled = 0;
    for (body, def) in scene.bodies.iter().enumerate() {
        let (a, b) = (rotation(&of_record, body), rotation(&of_run, body));
        let dot: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(dot.abs() > 0.999_9, "{} at 4 s: {a:?} {b:?}", def.id);
        let start = started[body];
        tumbled += usize::from(a.iter().zip(start).map(|(a, b)| a * b).sum::<f32>().abs() < 0.99);
    }
    assert!(tumbled > 0, "parcels tumble, in a record too");
}

#[test]
fn a_record_does_not_say_that_there_were_no_messages() {
    let dir = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.open(&record(dir.path()));
    assert_eq!(desk.refused, None);
    let mut window = crate::panels::window(desk);
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::Num6);
    window.run_steps(3);
    window.get_by_label_contains("A record keeps no messages");
    assert!(window.query_by_label_contains("No message yet").is_none());
    // Anew, by its key, it has them.
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::R);
    window.run_steps(3);
    assert!(!window.state().is_record() && window.state().session.is_some(), "{:?}", window.state().refused);
    assert!(window.query_by_label_contains("A record keeps no messages").is_none());
}

#[test]
fn a_record_of_another_seed_than_is_asked_for_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rec = record(dir.path());
    let png = dir.path().join("x.png");
    let output = desktop(dir.path())
        .args([rec.as_str(), "--seed", "4711", "--screenshot"])
        .arg(&png)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("is a record of seed 42") && !png.exists(), "{text}");
}

#[test]
fn a_broker_that_is_not_reached_leaves_what_is_shown_with_what_was_done_in_it() {
    let mut desk = Desk::new(Settings::default());
    desk.open("swing-shake-drive");
    go(&mut desk, "2s");
    desk.act(Act::Fault { target: "rover/imu.accel_x".into(), kind: "Bias(by: 1.0)".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.follow_live("pi3b-mirror", "mqtt://127.0.0.1:9");
    assert!(desk.refused.as_ref().is_some_and(|r| r.outside), "{:?}", desk.refused);
    assert_eq!(desk.shown.as_ref().unwrap().opened.title, "swing-shake-drive");
    assert!(desk.session.is_some() && desk.is_unsaved() && !desk.is_live());
    go(&mut desk, "3s");
    // What was done is gone to like a bookmark.
    desk.jump(false);
    assert_eq!(desk.now(), at("2s"));
}
