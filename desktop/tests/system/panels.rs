//! The panels as a user meets them: found by their labels, clicked, typed into; no graphics.

use egui::accesskit::Role;
use egui_kittest::{
    Harness,
    kittest::{Queryable, by},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_desktop::{
    panels::{
        Pane,
        desk::{Asking, Desk, Leave},
        shell,
        start::{Pictures, preview},
    },
    settings::Settings,
    sim::{act::Act, open::shipped},
    stage::{
        camera::{FOV_Y, View},
        overlay::halves,
        refresh::device_place,
        show::Picked,
    },
    units::Units,
};

/// The whole window's panels over a desk.
pub fn window(desk: Desk) -> Harness<'static, Desk> {
    let show = |ui: &mut egui::Ui, desk: &mut Desk| {
        desk.advance(0.016);
        shell::show(ui, desk, &Pictures::new());
    };
    let mut window = Harness::builder().with_size([1600.0, 1000.0]).build_ui_state(show, desk);
    window.run_steps(3);
    window
}

fn click(window: &mut Harness<'_, Desk>, label: &str) {
    window.get_by_label(label).click();
    window.run_steps(3);
}

/// Chooses from a list whose button shows this now.
fn choose(window: &mut Harness<'_, Desk>, now: &str, wanted: &str) {
    let button = by().role(Role::ComboBox).predicate(|n| n.value().is_some_and(|v| v == now));
    window.get(button).click();
    window.run_steps(3);
    click(window, wanted);
}

#[test]
fn the_start_page_opens_what_is_clicked_and_says_what_is_wrong_where_one_looks() {
    let mut window = window(Desk::new(Settings::default()));
    assert!(window.state().shown.is_none());
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.ron");
    std::fs::write(&bad, "Scenario(\n  format: 1, duration: \"1h\",\n  flet: [],\n)").unwrap();
    window.state_mut().open(bad.to_str().unwrap());
    window.run_steps(3);
    window.get_by_label_contains("bad.ron:3:3");
    window.get_by_label_contains("cannot be opened");
    click(&mut window, "Close");
    assert!(window.query_by_label_contains("bad.ron:3:3").is_none());
    click(&mut window, "swing-shake-drive");
    assert_eq!(window.state().shown.as_ref().unwrap().opened.title, "swing-shake-drive");
    assert_eq!(window.state().refused, None);
}

/// A file that was dropped on the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

#[test]
fn what_is_dropped_is_opened() {
    let mut window = window(Desk::new(Settings::default()));
    let path = twinfleet_tests::root().join("scenarios/parcel-drop.ron");
    window.input_mut().dropped_files.push(Arc::new(Dropped(path)));
    window.run_steps(3);
    assert_eq!(window.state().refused, None);
    assert_eq!(window.state().shown.as_ref().unwrap().opened.title, "parcel-drop");
}

#[test]
fn devices_are_carried_and_the_weather_is_changed_from_the_panel() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = vec!["duration=\"1h\"".to_owned(), "expect=[]".to_owned(), "timeline=[]".to_owned()];
    desk.open("greenhouse");
    assert_eq!(desk.refused, None);
    let node = desk.shown.as_ref().unwrap().fleet.find("node-7").unwrap();
    desk.pick(Some(Picked::Device(node)));
    let mut window = window(desk);
    click(&mut window, "Act");
    choose(&mut window, "Inject a fault", "Carry a device elsewhere");
    choose(&mut window, "z1", "outside");
    click(&mut window, "Do it at 0.0 s");
    choose(&mut window, "Carry a device elsewhere", "Change the weather");
    click(&mut window, "temperature");
    click(&mut window, "wind");
    click(&mut window, "Do it at 0.0 s");
    let done: Vec<Act> = window.state().done.iter().map(|d| d.act.clone()).collect();
    let weather = vec![("temperature_c", 0.0), ("wind_m_s", 10.0)];
    assert_eq!(
        done,
        [Act::Move { target: "node-7".into(), to: "outside".into() }, Act::Weather { figures: weather },],
        "{:?}",
        window.state().notice
    );
    let text = window.state().scenario_text().unwrap().to_owned();
    assert!(text.contains(r#"do: Move(target: "node-7", to: "outside")"#), "{text}");
    assert!(text.contains("do: Weather(temperature_c: 0.0, wind_m_s: 10.0)"), "{text}");
    click(&mut window, "Undo");
    assert_eq!(window.state().done.len(), 1);
}

#[test]
fn units_dialogs_and_keys_do_what_they_say() {
    let mut desk = Desk::new(Settings::default());
    desk.open("parcel-drop");
    let mut window = window(desk);
    click(&mut window, "Settings");
    click(&mut window, "°F");
    assert_eq!(window.state().settings.units.temperature, "degF");
    assert_eq!(window.state().shown.as_ref().unwrap().units.temperature, "degF");
    // The menu stays open for what else there is to choose.
    click(&mut window, "K");
    assert_eq!(window.state().settings.units.temperature, "K");
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    // V splits the view and joins it again; both halves are the same run until something is done.
    window.key_press(egui::Key::V);
    window.run_steps(3);
    assert!(window.state().beside.is_some());
    window.key_press(egui::Key::V);
    window.run_steps(3);
    assert!(window.state().beside.is_none());
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::O);
    window.run_steps(3);
    assert!(matches!(window.state().asking, Asking::Open(_)), "{:?}", window.state().asking);
    // The dialog's field has the keyboard.
    window.event(egui::Event::Text("no-such-scenario".to_owned()));
    window.run_steps(3);
    window.key_press(egui::Key::Enter);
    window.run_steps(3);
    assert_eq!(window.state().asking, Asking::Nothing);
    window.get_by_label_contains("there is no file `no-such-scenario`");
    // What lies in the folder that is written is offered, and chosen by a click.
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::O);
    window.run_steps(3);
    let begun = twinfleet_tests::root().join("scenarios/pi3b");
    window.event(egui::Event::Text(begun.to_str().unwrap().to_owned()));
    window.run_steps(3);
    click(&mut window, "pi3b-mirror.ron");
    click(&mut window, "Open");
    assert_eq!(window.state().refused, None);
    assert_eq!(window.state().shown.as_ref().unwrap().opened.title, "pi3b-mirror");
}

/// A desk whose run was acted on.
fn acted() -> Desk {
    let mut desk = Desk::new(Settings::default());
    desk.open("parcel-drop");
    let device = desk.shown.as_ref().unwrap().fleet.devices[0].id.clone();
    desk.act(Act::Fault { target: device, kind: "Dropout".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk
}

#[test]
fn nothing_that_is_unsaved_is_left_without_a_question() {
    let mut window = window(acted());
    let path = twinfleet_tests::root().join("scenarios/pi3b-mirror.ron");
    let title = |w: &Harness<'_, Desk>| w.state().shown.as_ref().map(|s| s.opened.title.clone());
    let drop = |w: &mut Harness<'_, Desk>| {
        w.input_mut().dropped_files.push(Arc::new(Dropped(path.clone())));
        w.run_steps(3);
        w.input_mut().dropped_files.clear();
    };
    drop(&mut window);
    assert_eq!(title(&window).as_deref(), Some("parcel-drop"));
    window.get_by_label("What you did is not saved");
    click(&mut window, "Stay");
    assert_eq!((window.state().done.len(), &window.state().leaving), (1, &None));
    for leave in [Leave::Quit, Leave::Close, Leave::Anew, Leave::Follow("pi3b-mirror".into(), "x".into())] {
        window.state_mut().leave(leave.clone());
        window.run_steps(3);
        window.get_by_label(&format!("{} without saving", leave.word()));
        window.key_press(egui::Key::Escape);
        window.run_steps(3);
        assert_eq!(title(&window).as_deref(), Some("parcel-drop"));
        assert!(!window.state().quit);
    }
    drop(&mut window);
    click(&mut window, "Open without saving");
    assert_eq!(title(&window).as_deref(), Some("pi3b-mirror"));
    assert!(!window.state().is_unsaved());
}

#[test]
fn what_was_asked_for_follows_once_it_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut window = window(acted());
    window.state_mut().leave(Leave::Close);
    window.run_steps(3);
    click(&mut window, "Save…");
    let session = dir.path().join("session.ron");
    window.state_mut().asking = Asking::Save(session.to_str().unwrap().to_owned());
    window.run_steps(3);
    click(&mut window, "Save");
    assert!(session.is_file());
    assert!(window.state().shown.is_none(), "it is back at the start page");
}

#[test]
fn a_file_that_is_there_is_overwritten_only_by_a_word_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.ron");
    std::fs::write(&file, "mine").unwrap();
    let mut window = window(acted());
    let ask = |window: &mut Harness<'_, Desk>| {
        window.state_mut().asking = Asking::Save(file.to_str().unwrap().to_owned());
        window.run_steps(3);
        click(window, "Save");
    };
    ask(&mut window);
    click(&mut window, "Cancel");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert!(window.state().is_unsaved());
    ask(&mut window);
    click(&mut window, "Overwrite");
    assert!(std::fs::read_to_string(&file).unwrap().contains("Dropout"));
    assert!(!window.state().is_unsaved());
}

#[test]
fn a_fault_by_its_key_is_refused_where_its_length_is_no_time() {
    let mut desk = Desk::new(Settings::default());
    desk.open("pi3b-mirror");
    desk.pick(Some(Picked::Device(0)));
    desk.form.lasting = "10 minuets".to_owned();
    let mut window = window(desk);
    window.key_press(egui::Key::F4);
    window.run_steps(3);
    assert!(window.state().done.is_empty());
    window.get_by_label_contains("how long it lasts");
    window.state_mut().form.lasting = "10min".to_owned();
    window.key_press(egui::Key::F4);
    window.run_steps(3);
    assert!(window.state().done.iter().all(|d| d.until.is_some()), "{:?}", window.state().done);
    assert_eq!(window.state().done.len(), 1, "{:?}", window.state().notice);
}

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
fn a_plot_of_many_signals_stays_within_its_panel() {
    let mut desk = Desk::new(Settings::default());
    desk.open("sick-sensors");
    let signals = &desk.shown.as_ref().unwrap().opened.plan.signals;
    desk.plots = vec![(0..6).map(twinfleet_engine::signal::SignalId).collect()];
    let names: Vec<String> = desk.plots[0].iter().map(|id| signals.name(*id)).collect();
    let window = window(desk);
    let plus = window.get_by_label("+ plot").rect().min.x;
    for name in names {
        let chip = window.get_by_label_contains(&name).rect();
        assert!(chip.min.x >= plus - 1.0 && chip.max.x < 1_250.0, "{name}: {chip:?}");
    }
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
fn keys_choose_units_colours_theme_size_and_write_plots() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("own.ron");
    std::fs::copy(twinfleet_tests::root().join("scenarios/swing-shake-drive.ron"), &file).unwrap();
    let mut desk = Desk::new(Settings::default());
    desk.open(file.to_str().unwrap());
    assert_eq!(desk.refused, None);
    let before = desk.settings.clone();
    let mut window = window(desk);
    for key in [egui::Key::U, egui::Key::J, egui::Key::K, egui::Key::M, egui::Key::X] {
        window.key_press(key);
        window.run_steps(2);
    }
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::Plus);
    window.key_press(egui::Key::F6);
    window.run_steps(3);
    window.key_press(egui::Key::F6);
    window.run_steps(3);
    let desk = window.state();
    let units = &desk.settings.units;
    assert_eq!((units.temperature.as_str(), units.speed.as_str()), ("degF", "km/h"));
    assert_ne!(desk.settings.palette, before.palette);
    assert!(!desk.shown.as_ref().unwrap().dark && desk.only_wrong && desk.settings.scale > 1.05);
    let tables = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert_eq!(tables.filter(|e| e.path().extension().is_some_and(|e| e == "csv")).count(), 2);
}

#[test]
fn every_shipped_scenario_has_a_picture_on_the_start_page() {
    let without: Vec<&str> = shipped().into_iter().map(|(n, _)| n).filter(|n| preview(n).is_none()).collect();
    assert!(without.is_empty(), "assets/previews/make.sh draws none of {without:?}");
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
fn a_theme_by_the_command_line_is_not_kept() {
    let mut desk = Desk::new(Settings::default());
    desk.dark = Some(false);
    desk.open("parcel-drop");
    assert!(!desk.shown.as_ref().unwrap().dark && desk.settings.dark);
    // Chosen by hand, it is.
    desk.set_dark(false);
    assert!(!desk.is_dark() && !desk.settings.dark);
}

/// A desk that shows this scenario, with its devices and signals.
fn opened(name: &str) -> Desk {
    let mut desk = Desk::new(Settings::default());
    desk.open(name);
    assert_eq!(desk.refused, None);
    desk
}

#[test]
fn a_signal_is_dragged_from_the_inspector_onto_a_plot() {
    let mut desk = opened("sick-sensors");
    desk.pick(Some(Picked::Device(0)));
    let shown = desk.shown.as_ref().unwrap();
    let plan = &shown.opened.plan;
    let id = shown.fleet.signals(plan, 0)[0];
    let name = plan.signals.channel(id).name.clone();
    desk.plots = vec![Vec::new(), Vec::new()];
    let mut window = window(desk);
    let from = window.get_all_by_label(&name).next().unwrap().rect().center();
    let rect = window.state().plots_rect;
    // Into the lower of two plots.
    let to = egui::pos2(rect.center().x, rect.max.y - 30.0);
    window.drag_at(from);
    window.run_steps(2);
    for share in [0.3, 0.6, 1.0] {
        window.hover_at(from + (to - from) * share);
        window.run_steps(2);
    }
    window.drop_at(to);
    window.run_steps(3);
    assert_eq!(window.state().plots, [vec![], vec![id]]);
}

#[test]
fn keys_change_panels_choose_acts_plot_signals_and_end_the_session() {
    let mut desk = opened("parcel-drop");
    desk.pick(Some(Picked::Device(0)));
    let mut window = window(desk);
    let press = |window: &mut Harness<'_, Desk>, held: egui::Modifiers, key: egui::Key| {
        window.key_press_modifiers(held, key);
        window.run_steps(3);
    };
    // The sixth panel of the list is MQTT, whose tab lies behind the plots'.
    assert!(window.query_by_label_contains("messages until").is_none());
    press(&mut window, egui::Modifiers::CTRL, egui::Key::Num6);
    window.get_by_label_contains("messages until");
    press(&mut window, egui::Modifiers::ALT, egui::Key::Num4);
    window.get_by_label_contains("takes commands");
    assert_eq!(window.state().form.what, 3);
    press(&mut window, egui::Modifiers::ALT, egui::Key::Num1);
    press(&mut window, egui::Modifiers::NONE, egui::Key::F5);
    assert_eq!(window.state().done.len(), 1, "{:?}", window.state().notice);
    let plots = window.state().plots.len();
    press(&mut window, egui::Modifiers::NONE, egui::Key::Y);
    press(&mut window, egui::Modifiers::NONE, egui::Key::Period);
    let chosen = window.state().signal.expect("a signal is chosen");
    press(&mut window, egui::Modifiers::NONE, egui::Key::Period);
    assert_ne!(window.state().signal, Some(chosen), "the next one");
    press(&mut window, egui::Modifiers::NONE, egui::Key::Comma);
    press(&mut window, egui::Modifiers::NONE, egui::Key::I);
    assert_eq!(window.state().plots.len(), plots + 1);
    assert!(window.state().plots.iter().flatten().any(|id| *id == chosen));
    press(&mut window, egui::Modifiers::SHIFT, egui::Key::Y);
    assert_eq!(window.state().plots.len(), plots);
    // A bookmark comes and goes by its key.
    press(&mut window, egui::Modifiers::NONE, egui::Key::B);
    assert_eq!(window.state().bookmarks.len(), 1);
    press(&mut window, egui::Modifiers::NONE, egui::Key::B);
    assert!(window.state().bookmarks.is_empty());
    press(&mut window, egui::Modifiers::CTRL, egui::Key::L);
    assert!(matches!(window.state().asking, Asking::Follow(..)));
    press(&mut window, egui::Modifiers::NONE, egui::Key::Escape);
    press(&mut window, egui::Modifiers::CTRL, egui::Key::W);
    assert_eq!(window.state().leaving, Some(Leave::Close));
    click(&mut window, "Leave without saving");
    assert!(window.state().shown.is_none());
}

#[test]
fn the_key_that_plots_acts_on_the_device_that_is_selected() {
    let mut desk = opened("sick-sensors");
    desk.plots = vec![Vec::new()];
    desk.pick(Some(Picked::Device(0)));
    let shown = desk.shown.as_ref().unwrap();
    let of = |device| shown.fleet.signals(&shown.opened.plan, device);
    // Both are of one thing: the second signal of the one has the other's second for its namesake.
    let (first, second) = (of(0), of(1));
    let mut window = window(desk);
    for key in [egui::Key::Period, egui::Key::Period, egui::Key::CloseBracket, egui::Key::I] {
        window.key_press(key);
        window.run_steps(3);
    }
    assert_eq!(window.state().plots, [vec![second[1]]], "not {:?}", first[1]);
    // With nothing selected there is nothing to plot.
    window.state_mut().pick(None);
    window.key_press(egui::Key::I);
    window.run_steps(3);
    assert_eq!(window.state().plots, [vec![second[1]]]);
    assert!(window.state().notice.as_ref().is_some_and(|n| n.bad));
}

#[test]
fn the_fleet_is_one_stop_of_the_tab_key_and_arrows_go_through_it() {
    let desk = opened("sick-sensors");
    let mut window = window(desk);
    let in_fleet =
        |w: &Harness<'_, Desk>| w.ctx.memory(|m| m.has_focus(twinfleet_desktop::panels::tree::rows()));
    let mut stops = Vec::new();
    for _ in 0..80 {
        window.key_press(egui::Key::Tab);
        window.run_steps(2);
        stops.push(in_fleet(&window));
        if stops.iter().filter(|s| **s).count() == 2 {
            break;
        }
    }
    // Once around the window, the fleet came once; it has more rows than that.
    let first = stops.iter().position(|s| *s).expect("the fleet is a stop");
    assert!(!stops[first + 1], "the next stop lies outside it");
    while !in_fleet(&window) {
        window.key_press(egui::Key::Tab);
        window.run_steps(2);
    }
    let picked = |w: &Harness<'_, Desk>| w.state().shown.as_ref().unwrap().picked;
    let now = window.state().now();
    for (key, wanted) in [
        (egui::Key::ArrowDown, Some(Picked::Zone(0))),
        (egui::Key::ArrowDown, Some(Picked::Device(0))),
        (egui::Key::ArrowDown, Some(Picked::Device(1))),
        (egui::Key::ArrowUp, Some(Picked::Device(0))),
        (egui::Key::ArrowLeft, Some(Picked::Zone(0))),
    ] {
        window.key_press(key);
        window.run_steps(3);
        assert_eq!(picked(&window), wanted, "{key:?}");
    }
    window.run_steps(30);
    let device = window.state().shown.as_ref().unwrap().fleet.devices[1].id.clone();
    assert!(window.query_all_by_label(&device).next().is_none(), "its zone is folded");
    assert_eq!(window.state().now(), now, "arrows in the fleet move no time");
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
fn a_plot_has_an_axis_a_unit_the_residual_and_every_forecast() {
    let mut desk = opened("pi3b-mirror");
    desk.go_to(crate::at("20min"));
    crate::until(&mut desk, "20 min", |d| d.shown.as_ref().unwrap().t == crate::at("20min"));
    let pair = desk.shown.as_ref().unwrap().fleet.pairs(0)[0].clone();
    desk.plots = vec![vec![pair.reported, pair.estimate]];
    crate::until(&mut desk, "the residual's values", |d| {
        d.session.as_ref().unwrap().shared().series.contains_key(&pair.residual)
    });
    let session = desk.session.clone().unwrap();
    let (shown, shared) = (desk.shown.clone().unwrap(), session.shared());
    let drawn = twinfleet_desktop::panels::plots::drawn(&desk, &shown, &shared, 0);
    let strips: Vec<(usize, bool)> = drawn.strips().iter().map(|s| (s.lines.len(), s.rise)).collect();
    assert_eq!(strips, [(2, false), (1, true)]);
    let horizons = twinfleet_engine::mirror::horizons(&shown.opened.plan.scenario.mirror[0]).len();
    assert_eq!(drawn.bands.len(), horizons + 1, "each horizon, and from here on");
    let ahead = drawn.bands.last().unwrap();
    assert_eq!((ahead.xs[0], ahead.xs.len()), (1_200.0, horizons + 1));
    // Under the pointer each has its figure: the time, two signals, their residual, the forecasts that reach there.
    let told = drawn.readout(1_190.0);
    assert!(told.len() >= 4 && told[1].contains(" °C"), "{told:?}");
    let text = twinfleet_desktop::panels::export::csv(std::slice::from_ref(&drawn));
    let rows = |what: &str| text.lines().filter(|l| l.ends_with(what)).count();
    assert!(rows(",forecast") > horizons && rows(",value") + rows(",stretch") > 500, "{}", &text[..200]);
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
fn what_is_typed_is_taken_back_by_the_field_and_no_act_with_it() {
    let mut window = window(acted());
    let press = |window: &mut Harness<'_, Desk>, key: egui::Key| {
        window.key_press_modifiers(egui::Modifiers::CTRL, key);
        window.run_steps(3);
    };
    press(&mut window, egui::Key::F);
    window.event(egui::Event::Text("parcel one".to_owned()));
    window.run_steps(3);
    assert_eq!(window.state().search, "parcel one");
    // In a text field Ctrl+W takes a word away, and nobody leaves.
    press(&mut window, egui::Key::W);
    assert!(window.state().search.starts_with("parcel") && !window.state().search.contains("one"));
    press(&mut window, egui::Key::Z);
    assert_eq!((window.state().done.len(), &window.state().leaving), (1, &None));
    // Outside of it they are the window's.
    window.key_press(egui::Key::Escape);
    window.run_steps(3);
    press(&mut window, egui::Key::Z);
    assert!(window.state().done.is_empty(), "{:?}", window.state().notice);
    press(&mut window, egui::Key::W);
    assert!(window.state().shown.is_none());
}

#[test]
fn a_forecast_stands_at_the_time_that_it_is_of_though_it_was_issued_long_ago() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = vec!["mirror[0].forecast.every=\"2min\"".to_owned()];
    desk.open("pi3b-mirror");
    assert_eq!(desk.refused, None);
    let pair = desk.shown.as_ref().unwrap().fleet.pairs(0)[0].clone();
    desk.plots = vec![vec![pair.estimate]];
    desk.go_to(crate::at("20min"));
    crate::until(&mut desk, "20 min", |d| d.shown.as_ref().unwrap().t == crate::at("20min"));
    let session = desk.session.clone().unwrap();
    let (shown, shared) = (desk.shown.clone().unwrap(), session.shared());
    let drawn = twinfleet_desktop::panels::plots::drawn(&desk, &shown, &shared, 0);
    // Two horizons, and from here on.
    let [near, far, ahead] = &drawn.bands[..] else { panic!("{:?}", drawn.bands) };
    for band in [near, far] {
        let apart: Vec<f64> = band.xs.windows(2).map(|x| x[1] - x[0]).collect();
        assert!(!apart.is_empty() && apart.iter().all(|s| *s > 110.0), "{}: {apart:?}", band.name);
    }
    // What was foreseen for an instant that is over is no forecast from here on.
    let last = near.xs.last().unwrap() - 60.0;
    assert!((1_070.0..=1_200.0).contains(&last), "the last was issued at {last} s");
    let mut wanted = vec![1_200.0];
    wanted.extend([last + 60.0, last + 300.0].into_iter().filter(|x| *x > 1_200.0));
    assert_eq!(ahead.xs, wanted);
}

#[test]
fn the_inspector_says_where_a_device_was_carried() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = ["duration=\"20min\"", "timeline=[]", "expect=[]"].map(str::to_owned).to_vec();
    desk.open("greenhouse");
    let node = desk.shown.as_ref().unwrap().fleet.find("node-7").unwrap();
    desk.pick(Some(Picked::Device(node)));
    desk.act(Act::Move { target: "node-7".into(), to: "outside".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    desk.go_to(crate::at("2min"));
    crate::until(&mut desk, "2 min", |d| d.shown.as_ref().unwrap().t == crate::at("2min"));
    let window = window(desk);
    window.get_by_label("outside (carried there from z4)");
}

#[test]
fn a_door_of_another_zone_than_the_selected_one_can_be_chosen() {
    let mut desk = opened("greenhouse");
    desk.pick(Some(Picked::Zone(0)));
    let mut window = window(desk);
    click(&mut window, "Act");
    choose(&mut window, "Inject a fault", "Open a door");
    choose(&mut window, "z1", "z3");
    window.run_steps(3);
    assert_eq!(window.state().form.part, "z3");
    assert_eq!(window.state().shown.as_ref().unwrap().picked, Some(Picked::Zone(2)));
}

#[test]
fn an_act_from_a_panel_that_is_drawn_before_the_plots_does_not_hang_a_split_window() {
    let mut desk = opened("pi3b-mirror");
    desk.pick(Some(Picked::Device(0)));
    assert!(!desk.plots[0].is_empty());
    let mut tiles = egui_tiles::Tiles::default();
    let panes = [Pane::Acts, Pane::Plots].map(|pane| tiles.insert_pane(pane));
    let root = tiles.insert_horizontal_tile(panes.to_vec());
    desk.tree = egui_tiles::Tree::new("dock", root, tiles);
    desk.keep_beside();
    let mut window = window(desk);
    click(&mut window, "Do it at 0.0 s");
    assert_eq!(window.state().done.len(), 1, "{:?}", window.state().notice);
    assert!(window.state().beside.as_ref().unwrap().differs(window.state().shown.as_ref().unwrap()));
    click(&mut window, "Undo");
    assert!(window.state().done.is_empty(), "{:?}", window.state().notice);
}

#[test]
fn a_button_that_has_the_keyboard_leaves_the_letters_to_the_window() {
    let mut window = window(opened("parcel-drop"));
    let in_button = |w: &Harness<'_, Desk>| {
        let (any, fleet) =
            w.ctx.memory(|m| (m.focused().is_some(), m.has_focus(twinfleet_desktop::panels::tree::rows())));
        any && !fleet && !w.ctx.text_edit_focused()
    };
    for _ in 0..80 {
        window.key_press(egui::Key::Tab);
        window.run_steps(2);
        if in_button(&window) {
            break;
        }
    }
    assert!(in_button(&window));
    let (now, dark) = (window.state().now(), window.state().is_dark());
    window.key_press(egui::Key::M);
    window.run_steps(2);
    assert_ne!(window.state().is_dark(), dark);
    // Arrows go from widget to widget, and move a slider.
    window.key_press(egui::Key::ArrowRight);
    window.run_steps(2);
    assert_eq!(window.state().now(), now);
}

#[test]
fn what_is_sought_in_a_fleet_whose_panel_is_closed_is_typed_into_its_field() {
    let mut desk = opened("parcel-drop");
    let fleet = desk.tree.tiles.find_pane(&Pane::Fleet).unwrap();
    desk.tree.remove_recursively(fleet);
    let mut window = window(desk);
    let (legend, dark) = (window.state().shown.as_ref().unwrap().legend, window.state().is_dark());
    window.key_press_modifiers(egui::Modifiers::CTRL, egui::Key::F);
    window.run_steps(3);
    for (key, letter) in [(egui::Key::H, "h"), (egui::Key::M, "m")] {
        window.key_press(key);
        window.event(egui::Event::Text(letter.to_owned()));
        window.run_steps(2);
    }
    let desk = window.state();
    assert_eq!(desk.search, "hm");
    assert_eq!((desk.shown.as_ref().unwrap().legend, desk.is_dark()), (legend, dark));
}

#[test]
fn a_faults_size_says_its_unit_whatever_the_units_of_choice() {
    let mut settings = Settings::default();
    settings.units.temperature = "degF".to_owned();
    let mut desk = Desk::new(settings);
    desk.open("sick-sensors");
    desk.pick(Some(Picked::Device(0)));
    desk.form.part = "bme280.temperature".to_owned();
    let mut window = window(desk);
    click(&mut window, "Act");
    choose(&mut window, "stuck", "bias");
    // It is a line of the scenario, which knows no degrees Fahrenheit.
    window.get_by_label("offset, [°C]");
}
