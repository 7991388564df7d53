//! What is told of what is selected, and of what is wrong: fleet, inspector, alarms.

use super::{opened, window};
use egui_kittest::{Harness, kittest::Queryable};
use std::sync::Arc;
use twinfleet_desktop::{
    panels::desk::Desk,
    settings::Settings,
    sim::{act::Act, history::Frame, spell::Class},
    stage::{
        camera::{FOV_Y, View},
        halos::{Spot, gravest},
        overlay::{halves, says},
        refresh::device_place,
        show::Picked,
    },
    units::Units,
};

#[test]
fn a_residual_is_a_difference_in_any_unit() {
    let mut settings = Settings::default();
    settings.units.temperature = "degF".to_owned();
    let mut desk = Desk::new(settings);
    desk.open("pi3b-mirror");
    desk.go_to(crate::at("33min"));
    crate::until(&mut desk, "33 min", |d| d.shown.as_ref().unwrap().t == crate::at("33min"));
    desk.pick(Some(Picked::Device(0)));
    let shown = desk.shown.as_ref().unwrap();
    let pair = &shown.fleet.pairs(0)[0];
    let residual = f64::from(shown.frame.value(pair.residual).unwrap());
    let wanted = shown.units.rise(residual, &pair.unit);
    assert_ne!(wanted, shown.units.figure(residual, &pair.unit));
    assert_eq!(shown.figure(pair.residual).unwrap(), wanted);
    assert_eq!(Units::default().rise(residual, &pair.unit).replace("°C", ""), {
        let mut text = twinfleet_desktop::units::number(residual);
        text.push(' ');
        text
    });
    let window = window(desk);
    window.get_by_label(&wanted);
}

#[test]
fn a_zones_name_picks_it_and_leaves_it_open() {
    let mut desk = Desk::new(Settings::default());
    desk.open("sick-sensors");
    let shown = desk.shown.as_ref().unwrap();
    let zone = shown.opened.plan.scenario.world.zones[0].id.clone();
    let device = shown.fleet.devices.iter().find(|d| d.zone == Some(0)).unwrap().id.clone();
    let mut window = window(desk);
    let label = format!("{zone}  (");
    window.get_by_label_contains(&label).click();
    window.run_steps(20);
    assert_eq!(window.state().shown.as_ref().unwrap().picked, Some(Picked::Zone(0)));
    assert!(window.query_all_by_label(&device).next().is_some(), "its devices are still there");
}

#[test]
fn evidence_is_written_in_clock_times_and_rounded_figures() {
    let mut desk = Desk::new(Settings::default());
    desk.open("pi3b-mirror");
    desk.go_to(crate::at("39min"));
    crate::until(&mut desk, "39 min", |d| d.shown.as_ref().unwrap().t == crate::at("39min"));
    let window = window(desk);
    window.get_by_label("from 38:12, still");
    window.get_by_label("since 38:00, named at 38:12, size 3.96 °C, posterior 0.995");
    window.get_by_label("because of fault start of pi-1/soc.temperature at 38:00");
}

#[test]
fn what_is_clicked_in_the_left_half_is_told_of_the_left_half() {
    let mut desk = opened("parcel-drop");
    desk.eye = View::overview(&desk.shown.as_ref().unwrap().layout);
    desk.keep_beside();
    let mut window = window(desk);
    window.get_by_label_contains("of the right half");
    let rect = window.state().scene_rect;
    for (half, of_beside) in [(halves(rect).0, true), (halves(rect).1, false)] {
        let shown = window.state().shown.clone().unwrap();
        let place = device_place(&shown, 0) + bevy::math::Vec3::Y * 0.12;
        let aspect = half.aspect_ratio();
        let (eye, tan) = (window.state().eye.seen(aspect).transform(), (FOV_Y / 2.0).tan());
        let seen = eye.rotation.inverse() * (place - eye.translation);
        let ndc = egui::vec2(seen.x / -seen.z / tan / aspect, -seen.y / -seen.z / tan);
        let at = half.center() + ndc * half.size() * 0.5;
        window.hover_at(at);
        window.run_steps(2);
        window.drag_at(at);
        window.run_steps(1);
        window.drop_at(at);
        window.run_steps(3);
        assert!(matches!(window.state().shown.as_ref().unwrap().picked, Some(Picked::Device(_))), "{at:?}");
        assert_eq!(window.state().of_beside, of_beside);
        let side = if of_beside { "of the left half: kept: parcel-drop" } else { "of the right half" };
        window.get_by_label_contains(side);
    }
}

#[test]
fn a_loads_scenario_says_that_its_traffic_is_elsewhere() {
    let window = window(opened("load-smoke"));
    window.get_by_label_contains("only in `twinfleet load`");
}

#[test]
fn what_is_selected_is_found_by_its_name_as_a_file_is_opened_again_with_fewer_devices() {
    let picked = |d: &Desk| d.shown.as_ref().unwrap().picked;
    let id = |d: &Desk| match picked(d) {
        Some(Picked::Device(device)) => Some(d.shown.as_ref().unwrap().fleet.devices[device].id.clone()),
        _ => None,
    };
    let few = ["fleet[0].count=5", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    for (name, stays) in [("controller-3", true), ("node-4", true), ("node-150", false)] {
        let mut desk = opened("greenhouse");
        let device = desk.shown.as_ref().unwrap().fleet.find(name).unwrap();
        desk.pick(Some(Picked::Device(device)));
        let mut window = window(desk);
        window.state_mut().sets = few.clone();
        window.state_mut().open("greenhouse");
        // The inspector and the fleet tell of what is selected.
        window.run_steps(3);
        let desk = window.state();
        assert_eq!(desk.refused, None);
        assert_eq!(desk.shown.as_ref().unwrap().fleet.devices.len(), 13);
        assert_eq!(id(desk).as_deref(), Some(name).filter(|_| stays), "{name}");
    }
}

#[test]
fn the_inspector_says_where_a_device_was_carried() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"20min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    let node = desk.shown.as_ref().unwrap().fleet.find("node-7").unwrap();
    desk.pick(Some(Picked::Device(node)));
    desk.act(Act::Move { target: "node-7".into(), to: "outside".into() }, Some(crate::at("5min")));
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(crate::at("2min"));
    crate::until(&mut desk, "2 min", |d| d.shown.as_ref().unwrap().t == crate::at("2min"));
    let mut window = window(desk);
    window.get_by_label("outside (carried there from z4)");
    // Its zone is without it, in the fleet and in figures; back home it is as it was.
    let told = |window: &mut Harness<'_, Desk>, picked: Picked, label: &str| {
        window.state_mut().pick(Some(picked));
        window.run_steps(3);
        assert!(window.query_by_label_contains(label).is_some(), "{label}");
    };
    told(&mut window, Picked::Zone(3), "zone with 51 devices");
    assert!(window.query_by_label_contains("outside  (1)").is_some());
    window.state_mut().go_to(crate::at("6min"));
    crate::until(window.state_mut(), "6 min", |d| d.shown.as_ref().unwrap().t == crate::at("6min"));
    assert!(window.state().shown.as_ref().unwrap().carried.is_empty());
    told(&mut window, Picked::Zone(3), "zone with 52 devices");
}

#[test]
fn a_detectors_score_is_no_posterior() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = vec!["mirror[0].watch=(readings_per_alarm: 2000)".to_owned()];
    desk.open("pi3b-mirror");
    assert_eq!(desk.refused, None);
    desk.go_to(crate::at("31min"));
    crate::until(&mut desk, "31 min", |d| d.shown.as_ref().unwrap().t == crate::at("31min"));
    let alarm = desk.shown.as_ref().unwrap().spells.iter().find(|s| s.what == "alarm").cloned();
    let alarm = alarm.expect("the detector has seen that the sensor sticks");
    // Where a verdict names it, that is what stands beside the device.
    assert_eq!(gravest(desk.shown.as_ref().unwrap())[&Spot::Device(0)].what, "stuck");
    let window = window(desk);
    window.get_by_label_contains("residuals unlike those before, score");
    assert!(window.query_by_label(&format!("posterior {:.3}", alarm.value)).is_none());
}

#[test]
fn a_device_that_has_said_that_it_goes_is_told_as_away() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"3min\"", "expect=[]"].map(str::to_owned).to_vec();
    // Its recording lasts a minute; then the broker says its last will.
    desk.open(twinfleet_tests::root().join("tests/fixtures/dialects/house.ron").to_str().unwrap());
    assert_eq!(desk.refused, None);
    for (t, away) in [("50s", false), ("2min", true)] {
        desk.go_to(crate::at(t));
        crate::until(&mut desk, t, |d| d.shown.as_ref().unwrap().t == crate::at(t));
        let shown = desk.shown.as_ref().unwrap();
        let device = Spot::Device(shown.fleet.find("tasmota").unwrap());
        let told = gravest(shown).get(&device).map(|spell| (spell.class, says(spell)));
        assert_eq!(told, away.then(|| (Class::Outage, "offline".to_owned())), "{t}");
    }
    // Among what is wrong it is found, too.
    desk.only_wrong = true;
    let window = window(desk);
    assert!(window.query_all_by_label("tasmota").next().is_some());
}

#[test]
fn figures_of_an_earlier_tick_than_the_one_that_is_shown_say_so() {
    let mut desk = opened("parcel-drop");
    desk.go_to(crate::at("3s"));
    crate::until(&mut desk, "3 s", |d| d.shown.as_ref().unwrap().t == crate::at("3s"));
    let mut window = window(desk);
    assert!(window.query_by_label_contains("figures of").is_none());
    // As in a long run of very many signals, of whose ticks only every so many are kept.
    let shown = window.state_mut().shown.as_mut().unwrap();
    shown.frame = Arc::new(Frame { t: crate::at("1s"), ..(*shown.frame).clone() });
    window.run_steps(2);
    window.get_by_label("figures of 1.0 s");
}

#[test]
fn a_verdict_is_held_against_what_was_put_into_its_own_part() {
    let mut desk = opened("pi3b-mirror");
    desk.go_to(crate::at("20min"));
    // It stays, and its twin makes nothing of so little.
    desk.act(Act::Fault { target: "pi-1/cpu.load".into(), kind: "Noise(std: 0.001)".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(crate::at("32min"));
    crate::until(&mut desk, "32 min", |d| d.shown.as_ref().unwrap().t == crate::at("32min"));
    let window = window(desk);
    window.get_by_label_contains("stuck was put in");
    assert!(window.query_by_label_contains("noise was put in").is_none());
}

#[test]
fn of_streams_that_are_exchanged_both_are_named() {
    let mut desk = Desk::new(Settings::default());
    let swap = r#"do: Swap(target: "s-12/inner.temperature", with: "outer.temperature")"#;
    desk.sets = vec![format!("timeline=[(at: \"5s\", {swap})]"), "expect=[]".to_owned()];
    desk.open("sick-sensors");
    assert_eq!(desk.refused, None);
    let device = desk.shown.as_ref().unwrap().fleet.find("s-12").unwrap();
    desk.pick(Some(Picked::Device(device)));
    desk.go_to(crate::at("20s"));
    crate::until(&mut desk, "20 s", |d| d.shown.as_ref().unwrap().t == crate::at("20s"));
    let mut window = window(desk);
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::Num7);
    window.run_steps(3);
    // Among the events, and in the device's own log.
    assert!(window.query_all_by_label_contains("swap with outer.temperature").next().is_some());
}
