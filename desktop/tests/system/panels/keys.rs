//! Keys, and who has the keyboard.

use super::{acted, click, opened, window};
use egui_kittest::{Harness, kittest::Queryable};
use twinfleet_desktop::{
    panels::{
        Pane,
        desk::{Asking, Desk, Leave},
    },
    settings::Settings,
    stage::show::Picked,
};

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
fn the_list_of_keys_is_read_to_its_end_in_a_small_window() {
    let mut window = window(opened("parcel-drop"));
    window.set_size(egui::vec2(900.0, 500.0));
    window.key_press(egui::Key::F1);
    window.run_steps(4);
    let last = |window: &Harness<'_, Desk>| window.query_by_label("this list; quit").map(|n| n.rect());
    assert!(last(&window).is_none_or(|r| r.max.y > 500.0), "it has no room for all of them");
    window.hover_at(egui::pos2(300.0, 250.0));
    window.run_steps(2);
    for _ in 0..10 {
        window.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Point,
            delta: egui::vec2(0.0, -300.0),
            phase: egui::TouchPhase::Move,
            modifiers: egui::Modifiers::NONE,
        });
        window.run_steps(4);
    }
    let rect = last(&window).unwrap();
    assert!(rect.min.y > 0.0 && rect.max.y < 500.0, "{rect:?}");
}

#[test]
fn keys_bring_the_panels_back_and_choose_shadows() {
    let mut desk = opened("parcel-drop");
    let alarms = desk.tree.tiles.find_pane(&Pane::Alarms).unwrap();
    desk.tree.remove_recursively(alarms);
    let fine = desk.fine();
    let mut window = window(desk);
    for (held, key) in [(egui::Modifiers::CTRL, egui::Key::P), (egui::Modifiers::SHIFT, egui::Key::M)] {
        window.key_press_modifiers(held, key);
        window.run_steps(3);
    }
    let desk = window.state();
    assert!(desk.tree.tiles.find_pane(&Pane::Alarms).is_some());
    assert_eq!(desk.shown.as_ref().unwrap().fine, !fine);
    assert!(desk.is_dark(), "and nothing else of the same letter");
}
