//! Panels by egui_kittest: what a user clicks does what it says, without a graphics card.

use egui_kittest::{Harness, kittest::Queryable};
use std::time::{Duration, Instant};
use twinfleet_desktop::{
    panels::{Pane, desk::Desk, shell, start},
    settings::Settings,
    stage::show::Picked,
};
use twinfleet_engine::time::{SimTime, Span};

fn harness(scenario: Option<&str>) -> Harness<'static, Desk> {
    let mut desk = Desk::new(Settings::default());
    if let Some(scenario) = scenario {
        desk.open(scenario);
        assert_eq!(desk.refused, None);
    }
    let ui = |ui: &mut egui::Ui, desk: &mut Desk| {
        desk.advance(0.016);
        shell::show(ui, desk, &start::Pictures::new());
    };
    Harness::builder().with_size([1500.0, 950.0]).build_ui_state(ui, desk)
}

/// Draws until something is so.
fn until(harness: &mut Harness<'_, Desk>, what: &str, done: impl Fn(&Desk) -> bool) {
    let start = Instant::now();
    while !done(harness.state()) {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for: {what}");
        harness.step();
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn at(text: &str) -> SimTime {
    SimTime::ZERO + text.parse::<Span>().unwrap()
}

#[test]
fn the_start_page_opens_a_shipped_scenario() {
    let mut harness = harness(None);
    harness.step();
    harness.get_by_label("parcel-drop").click();
    harness.step();
    harness.step();
    assert_eq!(harness.state().shown.as_ref().map(|s| s.opened.title.as_str()), Some("parcel-drop"));
    harness.get_by_label_contains("Play");
}

#[test]
fn a_mistake_is_shown_where_the_user_looks() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.ron");
    std::fs::write(&file, "Scenario(\n  format: 1,\n  duration: \"soon\",\n)").unwrap();
    let mut harness = harness(None);
    harness.state_mut().open(file.to_str().unwrap());
    harness.step();
    harness.get_by_label_contains("bad.ron:3:");
}

#[test]
fn the_tree_searches_and_selects() {
    let mut harness = harness(Some("greenhouse"));
    harness.step();
    harness.state_mut().search = "node-42".to_owned();
    harness.step();
    harness.step();
    assert!(harness.query_by_label("node-7").is_none(), "the search has left it out");
    harness.get_by_label("node-42").click();
    harness.step();
    let shown = harness.state().shown.as_ref().unwrap();
    assert_eq!(shown.picked, Some(Picked::Device(shown.fleet.find("node-42").unwrap())));
    harness.step();
    harness.get_by_label("bme280.temperature");
    harness.get_by_label_contains("2600 mAh");
}

#[test]
fn play_pause_and_step_move_time() {
    let mut harness = harness(Some("parcel-drop"));
    harness.step();
    harness.get_by_label_contains("Play").click();
    until(&mut harness, "time to go on", |d| d.now() > at("100ms"));
    harness.get_by_label_contains("Pause").click();
    harness.step();
    harness.step();
    let now = harness.state().now();
    harness.step();
    assert_eq!(harness.state().now(), now, "paused");
    harness.get_by_label("⏩").click();
    harness.step();
    harness.step();
    assert_eq!(harness.state().now().0 % 10_000_000, 0, "on a tick");
    assert!(harness.state().now() > now);
    harness.get_by_label("⏮").click();
    harness.step();
    harness.step();
    assert_eq!(harness.state().now(), SimTime::ZERO);
}

#[test]
fn alarms_come_with_their_evidence() {
    let mut harness = harness(Some("pi3b-mirror"));
    harness.state_mut().go_to(at("33min"));
    until(&mut harness, "33 min", |d| d.shown.as_ref().is_some_and(|s| s.t == at("33min")));
    harness.step();
    harness.step();
    harness.get_by_label_contains("stuck (soc.temperature)  [twin]");
    harness.get_by_label_contains("posterior");
    harness.get_by_label_contains("was put in");
}

#[test]
fn an_act_is_done_by_the_panel_and_taken_back() {
    let mut harness = harness(Some("pi3b-mirror"));
    harness.state_mut().go_to(at("5min"));
    until(&mut harness, "5 min", |d| d.shown.as_ref().is_some_and(|s| s.t == at("5min")));
    harness.get_by_label("Act").click();
    harness.state_mut().pick(Some(Picked::Device(0)));
    harness.step();
    harness.step();
    harness.get_by_label_contains("Do it at").click();
    harness.step();
    harness.step();
    assert_eq!(harness.state().done.len(), 1);
    assert!(harness.state().scenario_text().unwrap().contains("(at: \"5min\", until: \"15min\", do: Fault("));
    harness.get_by_label("Undo").click();
    harness.step();
    harness.step();
    assert!(harness.state().done.is_empty());
}

#[test]
fn every_panel_draws_every_kind_of_scenario() {
    for scenario in
        ["greenhouse", "pi3b-mirror", "cold-night", "parcel-drop", "swing-shake-drive", "load-smoke"]
    {
        let mut harness = harness(Some(scenario));
        harness.state_mut().go_to(at("3s"));
        for _ in 0..3 {
            harness.step();
        }
        harness.state_mut().pick(Some(Picked::Device(0)));
        for pane in Pane::ALL {
            harness
                .state_mut()
                .tree
                .make_active(|_, tile| matches!(tile, egui_tiles::Tile::Pane(p) if *p == pane));
            harness.step();
        }
    }
}

#[test]
fn plots_are_exported_as_tables_and_drawings() {
    use twinfleet_desktop::panels::{export, plots::Series};
    let series = Series {
        name: "a/b.c@reading".to_owned(),
        unit: "°C".to_owned(),
        points: (0..10).map(|k| [f64::from(k), f64::from(k * k)]).collect(),
        band: None,
    };
    let all = [vec![series]];
    let csv = export::csv(&all);
    assert_eq!(csv.lines().count(), 11);
    assert_eq!(csv.lines().nth(4), Some("a/b.c@reading,3,9,°C"));
    let svg = export::svg(&all);
    let line = svg.lines().find(|l| l.starts_with("<polyline")).unwrap();
    let points: Vec<f64> = line
        .split("points=\"")
        .nth(1)
        .unwrap()
        .trim_end_matches("\"/>")
        .split([' ', ','])
        .map(|n| n.parse().unwrap())
        .collect();
    assert_eq!(points.len(), 20);
    assert!(
        points.chunks(2).is_sorted_by(|a, b| a[0] < b[0] && a[1] >= b[1]),
        "rising to the right: {points:?}"
    );
}

#[test]
fn every_key_of_the_list_is_of_one_panel() {
    let mut harness = harness(Some("parcel-drop"));
    harness.step();
    harness.key_press(egui::Key::F1);
    harness.step();
    harness.step();
    harness.get_by_label("save the session as a scenario");
}
