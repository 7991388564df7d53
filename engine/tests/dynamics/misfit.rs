//! Recordings that a fit has to take with care: gaps over which nothing tells the inputs, steps of any length, and devices that are
//! not built like their twin.

use crate::common::{def, normal};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dynamics::{
        fit::{Dataset, Estimate, Part, Report, Settings, fit},
        model::Model,
    },
    rng::{self, Rng},
};

/// A box as its owner would describe it.
const TWIN: &str = r#"(
    parameters: {
        "c": (value: 300.0, prior: Log(0.7), bounds: (10.0, 10000.0)),
        "c_wall": (value: 300.0, prior: Log(0.7), bounds: (10.0, 10000.0)),
        "g_wall": (value: 2.0, prior: Log(0.7), bounds: (0.05, 50.0)),
        "g": (value: 0.8, prior: Log(0.7), bounds: (0.01, 20.0)),
    },
    inputs: [(signal: "heater.level", range: (0.0, 100.0)), (signal: "room.temperature", range: (-20.0, 60.0))],
    boundaries: [(name: "room", at: Input("room.temperature"))],
    storages: [(name: "air", capacity: "c"), (name: "wall", capacity: "c_wall")],
    conductances: [(between: ("air", "wall"), value: "g_wall"), (between: ("wall", "room"), value: "g")],
    sources: [(into: "air", gain: "0.5", input: "heater.level")],
    outputs: [(signal: "air.temperature", node: "air", noise_std: 0.05), (signal: "wall.temperature", node: "wall", noise_std: 0.05)],
)"#;

/// The real one: a heater that takes time to warm, insulation behind the wall, a leak and things that stand in it.
const TRUTH: &str = r#"(
    parameters: {"c": (value: 70.0)},
    inputs: [(signal: "heater.level", range: (0.0, 100.0)), (signal: "room.temperature", range: (-20.0, 60.0))],
    boundaries: [(name: "room", at: Input("room.temperature"))],
    storages: [(name: "air", capacity: "c"), (name: "wall", capacity: "600"), (name: "insulation", capacity: "300"),
               (name: "heater", capacity: "45"), (name: "content", capacity: "260")],
    conductances: [(between: ("heater", "air"), value: "0.6"), (between: ("air", "wall"), value: "2.0"),
                   (between: ("wall", "insulation"), value: "1.1"), (between: ("insulation", "room"), value: "0.9"),
                   (between: ("air", "content"), value: "0.4"), (between: ("air", "room"), value: "0.12")],
    sources: [(into: "heater", gain: "0.35", input: "heater.level")],
    outputs: [(signal: "air.temperature", node: "air"), (signal: "wall.temperature", node: "wall")],
)"#;

/// Rows of a device, its heater switched at random; `step` gives the length of each step, [s].
fn recording(truth: &str, seed: u64, rows: usize, step: impl Fn(&mut Rng) -> f64) -> Dataset {
    let model = Model::compile(&def(truth), &BTreeMap::new()).unwrap();
    let mut rng = rng::stream(seed, "box", "misfit");
    let (mut x, mut u) = (vec![21.0; model.states()], [0.0, 21.0]);
    let (mut t, mut left) = (0.0, 0);
    let mut d = Dataset {
        name: format!("box {seed}"),
        inputs: vec![vec![], vec![]],
        outputs: vec![vec![], vec![]],
        ..Dataset::default()
    };
    for k in 0..rows {
        if k > 0 {
            let dt = step(&mut rng);
            t += dt;
            model.step(&mut x, &model.values(), &u, dt);
        }
        if left == 0 {
            left = 40 + (120.0 * normal(&mut rng).abs()) as usize;
            u[0] = (50.0 + 40.0 * normal(&mut rng)).clamp(0.0, 100.0).round();
        }
        left -= 1;
        u[1] = 21.0 + 1.2 * (t / 2300.0).sin();
        d.t_s.push(t);
        (0..2).for_each(|i| d.inputs[i].push(u[i]));
        for o in &model.outputs {
            let at = usize::from(o.signal.starts_with("wall"));
            d.outputs[at].push(x[o.state] + 0.05 * normal(&mut rng));
        }
    }
    d
}

fn own_structure() -> String {
    TWIN.replace("value: 300.0, prior", "value: 120.0, prior").replace("value: 0.8", "value: 1.1")
}

fn fitted(data: &[Dataset], fraction: f64, profiled: bool) -> Report {
    let settings = Settings { starts: 1, train_fraction: fraction, profiled, ..Settings::default() };
    fit("box", &def(TWIN), data, &[], &settings).unwrap()
}

fn estimate<'a>(report: &'a Report, name: &str) -> &'a Estimate {
    report.estimates.iter().find(|e| e.name == name).unwrap()
}

fn held(report: &Report) -> f64 {
    let scores = || report.scores.iter().filter(|s| s.part == Part::Held);
    scores().map(|s| s.rmse).sum::<f64>() / scores().count() as f64
}

/// Half an hour without rows, and one without inputs: what is behind it begins anew, in what is fitted and in what is held out.
#[test]
fn a_gap_does_not_ruin_a_fit() {
    let whole = recording(&own_structure(), 1, 4000, |_| 3.0);
    let cut = |from: usize, to: usize| {
        let mut d = whole.clone();
        d.t_s.drain(from..to);
        d.inputs.iter_mut().chain(&mut d.outputs).for_each(|c| drop(c.drain(from..to)));
        d
    };
    let silent = |from: usize, to: usize| {
        let mut d = whole.clone();
        d.inputs.iter_mut().for_each(|c| c[from..to].fill(f64::NAN));
        d
    };
    let plain = fitted(std::slice::from_ref(&whole), 0.6, false);
    assert!(plain.unknown.is_empty() && held(&plain) < 0.1, "{}", held(&plain));
    for (name, d) in [
        ("no rows, fitted", cut(800, 1400)),
        ("no inputs, fitted", silent(800, 1400)),
        ("no rows, held", cut(2900, 3500)),
        ("no inputs, held", silent(2900, 3500)),
    ] {
        let report = fitted(&[d], 0.6, false);
        assert!(held(&report) < held(&plain) + 0.05, "{name}: {} {}", held(&report), held(&plain));
        for (parameter, truth) in [("c", 120.0), ("c_wall", 120.0), ("g", 1.1)] {
            let value = estimate(&report, parameter).value;
            assert!((value / truth - 1.0).abs() < 0.1, "{name}: {parameter} {value}");
        }
        assert_eq!(report.unknown.len(), 1, "{name}");
        let gap = &report.unknown[0];
        assert!((gap.until_s - gap.from_s - 1800.0).abs() < 20.0, "{name}: {gap:?}");
    }
}

/// A heater that is written down as it is set, and a room that is read once a minute: no two rows on end hold either.
#[test]
fn inputs_that_come_seldom_are_fitted_with() {
    let mut d = recording(&own_structure(), 1, 2000, |_| 3.0);
    let stays: Vec<bool> = d.inputs[0].windows(2).map(|w| w[0] == w[1]).collect();
    for (level, stays) in d.inputs[0][1..].iter_mut().zip(stays) {
        if stays {
            *level = f64::NAN;
        }
    }
    d.inputs[1].iter_mut().enumerate().filter(|(k, _)| k % 20 != 0).for_each(|(_, room)| *room = f64::NAN);
    let report = fitted(&[d], 0.6, false);
    for (parameter, truth) in [("c", 120.0), ("c_wall", 120.0), ("g", 1.1)] {
        let value = estimate(&report, parameter).value;
        assert!((value / truth - 1.0).abs() < 0.1, "{parameter} {value}");
    }
    assert!(report.params.inputs.values().all(|figures| figures.correlation_s > 0.0));
    assert!(held(&report) < 0.2, "{}", held(&report));
}

/// Steps that never repeat are fitted as well as even ones.
#[test]
fn steps_of_any_length_are_fitted_alike() {
    let even = fitted(&[recording(&own_structure(), 2, 2500, |_| 3.0)], 0.6, false);
    let length = |rng: &mut Rng| 3.0 + 2.5 * normal(rng).clamp(-1.0, 1.0);
    let uneven = fitted(&[recording(&own_structure(), 2, 2500, length)], 0.6, false);
    assert!(held(&uneven) < held(&even) + 0.03, "{} {}", held(&uneven), held(&even));
    for name in ["c", "c_wall", "g_wall", "g"] {
        let (a, b) = (estimate(&even, name).value, estimate(&uneven, name).value);
        assert!((a / b - 1.0).abs() < 0.05, "{name}: {a} {b}");
    }
}

/// Recordings of one device that the twin cannot follow wholly: each is wrong in its own way, and its intervals have to know it.
#[test]
fn intervals_of_one_device_overlap_where_it_is_built_otherwise() {
    let all: Vec<Report> =
        (10..13).map(|seed| fitted(&[recording(TRUTH, seed, 2400, |_| 3.0)], 1.0, true)).collect();
    for name in ["c", "c_wall", "g_wall", "g"] {
        let ends: Vec<(f64, f64)> = all.iter().map(|r| estimate(r, name).interval).collect();
        println!("{name}: {ends:?}");
        let low = ends.iter().map(|e| e.0).fold(f64::MIN, f64::max);
        let high = ends.iter().map(|e| e.1).fold(f64::MAX, f64::min);
        assert!(low <= high, "{name}: {ends:?}");
        // An interval that holds everything would be none.
        assert!(ends.iter().all(|e| e.1 / e.0 < 10.0), "{name}: {ends:?}");
    }
}
