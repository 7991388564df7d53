//! Plots: what is put on them, and what they then show.

use super::{opened, window};
use egui_kittest::kittest::Queryable;
use twinfleet_desktop::{
    panels::{desk::Desk, export::csv, plots::drawn},
    settings::Settings,
    sim::act::Act,
    stage::show::Picked,
};

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
    let drawn = drawn(&desk, &shown, &shared, 0);
    let strips: Vec<(usize, bool)> = drawn.strips().iter().map(|s| (s.lines.len(), s.rise)).collect();
    assert_eq!(strips, [(2, false), (1, true)]);
    let horizons = twinfleet_engine::mirror::horizons(&shown.opened.plan.scenario.mirror[0]).len();
    assert_eq!(drawn.bands.len(), horizons + 1, "each horizon, and from here on");
    let ahead = drawn.bands.last().unwrap();
    assert_eq!((ahead.xs[0], ahead.xs.len()), (1_200.0, horizons + 1));
    // Under the pointer each has its figure: the time, two signals, their residual, the forecasts that reach there.
    let told = drawn.readout(1_190.0);
    assert!(told.len() >= 4 && told[1].contains(" °C"), "{told:?}");
    let text = csv(std::slice::from_ref(&drawn));
    let rows = |what: &str| text.lines().filter(|l| l.ends_with(what)).count();
    assert!(rows(",forecast") > horizons && rows(",value") + rows(",stretch") > 500, "{}", &text[..200]);
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
    let drawn = drawn(&desk, &shown, &shared, 0);
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
fn what_is_kept_beside_is_written_with_the_least_and_the_most_of_each_stretch() {
    let mut desk = opened("pi3b-mirror");
    desk.go_to(crate::at("20min"));
    crate::until(&mut desk, "20 min", |d| d.shown.as_ref().unwrap().t == crate::at("20min"));
    let reported = desk.shown.as_ref().unwrap().fleet.pairs(0)[0].reported;
    desk.plots = vec![vec![reported]];
    desk.keep_beside();
    desk.act(Act::Fault { target: "pi-1/soc.temperature".into(), kind: "Bias(by: 6.0)".into() }, None);
    assert_eq!(desk.done.len(), 1, "{:?}", desk.notice);
    crate::until(&mut desk, "its stretches", |d| {
        let kept = d.beside.as_ref().unwrap().session.shared();
        kept.series.get(&reported).is_some_and(|s| s.iter().any(|stretch| stretch.rows > 1))
    });
    let session = desk.session.clone().unwrap();
    let (shown, shared) = (desk.shown.clone().unwrap(), session.shared());
    let text = csv(&[drawn(&desk, &shown, &shared, 0)]);
    // How many values, and what the line says of them.
    let kept = text.lines().filter(|line| line.contains("(kept: pi3b-mirror)"));
    let kept: Vec<(u64, &str)> = kept
        .filter_map(|line| {
            let (rest, what) = line.rsplit_once(',')?;
            Some((rest.rsplit_once(',')?.1.parse().ok()?, what))
        })
        .collect();
    assert!(kept.iter().filter(|(count, _)| *count > 1).count() > 100, "{}", &text[..200]);
    assert!(kept.iter().all(|(count, what)| (*count > 1) == (*what == "stretch")), "{kept:?}");
}
