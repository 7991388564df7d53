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
        desk::{Asking, Desk},
        shell,
        start::Pictures,
    },
    settings::Settings,
    sim::act::Act,
    stage::show::Picked,
};

/// The whole window's panels over a desk.
fn window(desk: Desk) -> Harness<'static, Desk> {
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
    click(&mut window, "Do it at 0s");
    choose(&mut window, "Carry a device elsewhere", "Change the weather");
    click(&mut window, "temperature");
    click(&mut window, "wind");
    click(&mut window, "Do it at 0s");
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
