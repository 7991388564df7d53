//! What is done to the world from the panel Act.

use super::{choose, click, opened, window};
use egui_kittest::kittest::Queryable;
use twinfleet_desktop::{
    panels::{Pane, acts::FAULTS, desk::Desk},
    settings::Settings,
    sim::act::Act,
    stage::show::Picked,
};
use twinfleet_engine::time::{SimTime, Span};

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

#[test]
fn what_is_commanded_is_promised_no_end() {
    let mut desk = Desk::new(Settings::default());
    desk.sets = vec!["duration=\"1h\"".to_owned(), "expect=[]".to_owned(), "timeline=[]".to_owned()];
    desk.open("greenhouse");
    assert_eq!(desk.refused, None);
    let actuator = desk.shown.as_ref().unwrap().fleet.find("actuator-1").unwrap();
    desk.pick(Some(Picked::Device(actuator)));
    let mut window = window(desk);
    click(&mut window, "Act");
    window.get_by_label("for");
    // What was typed for another act holds no command up.
    window.state_mut().form.lasting = "10 minuets".to_owned();
    choose(&mut window, "Inject a fault", "Command an actuator by hand");
    assert!(window.query_by_label("for").is_none());
    window.get_by_label("until it is commanded otherwise");
    click(&mut window, "Do it at 0.0 s");
    let done: Vec<_> = window.state().done.iter().map(|d| d.until).collect();
    assert!(matches!(done[..], [None]), "{done:?} {:?}", window.state().notice);
}

#[test]
fn a_faults_figure_stays_within_what_it_may_be_and_lasts_from_the_tick_on() {
    let mut desk = opened("sick-sensors");
    desk.pick(Some(Picked::Device(0)));
    let step = Span(desk.session.as_ref().unwrap().step_ns);
    let mut window = window(desk);
    click(&mut window, "Act");
    for (name, largest) in [("ADC reference (device)", 1.0), ("dust", 0.99)] {
        window.state_mut().form.size = 3.0;
        window.state_mut().form.fault = FAULTS.iter().position(|(n, ..)| *n == name).unwrap();
        window.run_steps(3);
        assert_eq!(window.state().form.size, largest, "{name}");
    }
    // Between two ticks it is done at the first of them, and lasts as long as is said from there.
    window.state_mut().go_to(SimTime(step.0 * 5 / 2));
    window.state_mut().form.fault = 0;
    window.run_steps(3);
    window.key_press(egui::Key::F5);
    window.run_steps(3);
    let done: Vec<_> = window.state().done.iter().map(|d| (d.at, d.until)).collect();
    let at = SimTime(step.0 * 2);
    assert!(done == [(at, Some(at + Span::from_secs(600)))], "{done:?} {:?}", window.state().notice);
}

#[test]
fn a_device_is_wetted_from_the_panel() {
    let mut desk = opened("sick-sensors");
    let device = desk.shown.as_ref().unwrap().fleet.find("s-5").unwrap();
    desk.pick(Some(Picked::Device(device)));
    desk.form.fault = FAULTS.iter().position(|(name, ..)| *name == "condensation (device)").unwrap();
    desk.form.size = 20.0;
    let mut window = window(desk);
    window.key_press(egui::Key::F4);
    window.run_steps(3);
    assert_eq!(window.state().done.len(), 1, "{:?}", window.state().notice);
    let text = window.state().scenario_text().unwrap();
    assert!(text.contains(r#"Fault(target: "s-5", kind: Condensation(recover: "20min"))"#), "{text}");
}
