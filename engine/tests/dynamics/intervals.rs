//! What a fit says of its parameters: intervals that cover, what the data do not tell, and what would.

use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use twinfleet_engine::{
    dynamics::{
        DynamicsDef,
        fit::{Dataset, Global, Settings, fit, pool},
        model::Model,
    },
    rng,
};

/// A box with two heaters, of which a recording may leave one off.
const BOX: &str = r#"(
    parameters: {
        "c": (value: 100.0, prior: Log(0.4), bounds: (5.0, 2000.0)),
        "g": (value: 1.0, prior: Log(0.4), bounds: (0.05, 20.0)),
        "p1": (value: 30.0, prior: Log(0.3), bounds: (1.0, 300.0)),
        "p2": (value: 30.0, prior: Log(0.3), bounds: (1.0, 300.0)),
    },
    inputs: [(signal: "heater1.level", range: (0, 1)), (signal: "heater2.level", range: (0, 1))],
    boundaries: [(name: "room", at: Fixed(20.0))],
    storages: [(name: "box", capacity: "c", initial_std_k: 2.0)],
    conductances: [(between: ("box", "room"), value: "g")],
    sources: [(into: "box", gain: "p1", input: "heater1.level"), (into: "box", gain: "p2", input: "heater2.level")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.2)],
)"#;

fn def() -> DynamicsDef {
    DynamicsDef::from_ron(BOX).unwrap()
}

/// Five minutes of a box drawn from the priors times `spread`; both heaters are switched, or the first alone.
fn recording(seed: u64, spread: f64, both: bool) -> (Dataset, Vec<f64>) {
    let model = Model::compile(&def(), &Default::default()).unwrap();
    let mut rng = rng::stream(seed, "box", "recording");
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let draw = |p: &twinfleet_engine::dynamics::model::Parameter, z: f64| {
        p.value * (spread * p.prior_sd() * z).exp()
    };
    let theta: Vec<f64> = model.parameters.iter().map(|p| draw(p, normal())).collect();
    let mut x = vec![20.0 + 2.0 * normal()];
    let (mut t_s, mut u1, mut u2, mut y) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for k in 0..300 {
        let on = [f64::from(u8::from(k / 40 % 2 == 0)), f64::from(u8::from(both && k / 70 % 2 == 0))];
        if k > 0 {
            model.step(&mut x, &theta, &on, 1.0);
        }
        t_s.push(f64::from(k));
        u1.push(on[0]);
        u2.push(on[1]);
        y.push(x[0] + 0.2 * normal());
    }
    // A setting holds from its row on, and the step to a row is driven by the row before.
    u1.rotate_left(1);
    u2.rotate_left(1);
    let data = Dataset {
        name: format!("box {seed}"),
        t_s,
        inputs: vec![u1, u2],
        outputs: vec![y],
        ..Default::default()
    };
    (data, theta)
}

fn settings() -> Settings {
    Settings { starts: 1, profiled: true, ..Settings::default() }
}

/// Truth drawn from the priors: of the 90 % intervals, 85 to 95 % hold it, for each parameter.
#[test]
fn ninety_percent_intervals_hold_the_truth_ninety_percent_of_the_time() {
    let held: Vec<Vec<bool>> = (0..300u64)
        .into_par_iter()
        .map(|seed| {
            let (data, theta) = recording(seed, 1.0, true);
            let report = fit("box", &def(), &[data], &[], &settings()).unwrap();
            let holds = |(e, truth): (&twinfleet_engine::dynamics::fit::Estimate, &f64)| {
                (e.interval.0..=e.interval.1).contains(truth)
            };
            report.estimates.iter().zip(&theta).map(holds).collect()
        })
        .collect();
    for p in 0..4 {
        let share = held.iter().filter(|h| h[p]).count() as f64 / held.len() as f64;
        println!("parameter {p}: {:.1} %", 100.0 * share);
        assert!((0.85..=0.95).contains(&share), "parameter {p}: {share}");
    }
}

/// A box of which the air alone is measured: its heater's and its walls' figures are told only together, and where one is moved the
/// others have far to go.
const HIDDEN: &str = r#"(
    parameters: {
        "c_air": (value: 60.0, prior: Log(0.7), bounds: (1.0, 5000.0)),
        "c_element": (value: 30.0, prior: Log(0.7), bounds: (0.5, 2000.0)),
        "c_wall": (value: 400.0, prior: Log(0.7), bounds: (10.0, 50000.0)),
        "g_element": (value: 0.5, prior: Log(0.7), bounds: (0.01, 50.0)),
        "g_out": (value: 0.8, prior: Log(0.7), bounds: (0.01, 100.0)),
        "g_wall": (value: 1.5, prior: Log(0.7), bounds: (0.02, 100.0)),
    },
    inputs: [(signal: "heater.level", range: (0, 100))],
    boundaries: [(name: "room", at: Fixed(22.0))],
    storages: [
        (name: "air", capacity: "c_air", initial_std_k: 1.0),
        (name: "wall", capacity: "c_wall", initial_std_k: 1.0),
        (name: "element", capacity: "c_element", initial_std_k: 1.0),
    ],
    conductances: [
        (between: ("element", "air"), value: "g_element"),
        (between: ("air", "wall"), value: "g_wall"),
        (between: ("wall", "room"), value: "g_out"),
    ],
    sources: [(into: "element", gain: "0.2", input: "heater.level")],
    outputs: [(signal: "air.temperature", node: "air", noise_std: 0.01)],
)"#;

/// Where the others have far to go as a parameter is moved, its interval ends where its profile has risen as far as it shall, not
/// where the others had not come along; and truth drawn from the priors is held.
#[test]
fn an_interval_of_what_is_told_only_together_ends_where_its_profile_has_risen() {
    let def = DynamicsDef::from_ron(HIDDEN).unwrap();
    let model = Model::compile(&def, &Default::default()).unwrap();
    let level = |k: usize| if k % 60 < 25 { 80.0 } else { 0.0 };
    let found: Vec<(Vec<bool>, Vec<bool>)> = (0..40u64)
        .into_par_iter()
        .map(|seed| {
            let mut rng = rng::stream(seed, "hidden", "recording");
            let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
            let theta: Vec<f64> =
                model.parameters.iter().map(|p| p.value * (p.prior_sd() * normal()).exp()).collect();
            // All begin near the first reading, which is what the fit believes.
            let begin = 22.0 + normal();
            let mut x = vec![begin, begin + normal(), begin + normal()];
            let mut read = Vec::new();
            for k in 0..400 {
                if k > 0 {
                    model.step(&mut x, &theta, &[level(k - 1)], 5.0);
                }
                read.push(x[model.outputs[0].state] + 0.01 * normal());
            }
            let data = Dataset {
                name: format!("box {seed}"),
                t_s: (0..400).map(|k| 5.0 * f64::from(k)).collect(),
                inputs: vec![(0..400).map(level).collect()],
                outputs: vec![read],
                ..Default::default()
            };
            let report = fit("box", &def, &[data], &[], &settings()).unwrap();
            let names = report.estimates.iter().map(|e| e.name.as_str());
            assert!(names.eq(model.parameters.iter().map(|p| p.name.as_str())));
            let held = report.estimates.iter().zip(&theta);
            let held: Vec<bool> =
                held.map(|(e, truth)| (e.interval.0..=e.interval.1).contains(truth)).collect();
            let ends = report.estimates.iter().flat_map(|e| [(e, e.interval.0), (e, e.interval.1)]);
            (held, ends.map(|(e, end)| has_risen(e, end)).collect::<Vec<bool>>())
        })
        .collect();
    let share = |of: &mut dyn Iterator<Item = bool>| {
        let all: Vec<bool> = of.collect();
        all.iter().filter(|b| **b).count() as f64 / all.len() as f64
    };
    let held = share(&mut found.iter().flat_map(|f| f.0.iter().copied()));
    let risen = share(&mut found.iter().flat_map(|f| f.1.iter().copied()));
    println!("held {held}, ends where the profile has risen {risen}");
    assert!(risen > 0.8, "{risen}");
    assert!(held > 0.74, "{held}");
}

/// Whether the profile was looked at where an interval ends, and has risen there by what it shall.
fn has_risen(e: &twinfleet_engine::dynamics::fit::Estimate, end: f64) -> bool {
    let there = |p: &&(f64, f64)| (p.0 / end - 1.0).abs() < 1e-6;
    e.profile.iter().find(there).is_some_and(|p| (p.1 / e.rise_at_ends - 1.0).abs() < 0.1)
}

/// A heater's element and its air, of which the air alone is read: with `g` the same on both sides, (c_element, c_air) and
/// (c_air / 2, 2 · c_element) answer the heater alike.
const TWO_WAYS: &str = r#"(
    parameters: {
        "c_element": (value: 60.0, prior: Log(1.0), bounds: (1.0, 5000.0)),
        "c_air": (value: 60.0, prior: Log(1.0), bounds: (1.0, 5000.0)),
    },
    inputs: [(signal: "heater.level", range: (0, 100))],
    boundaries: [(name: "room", at: Fixed(20.0))],
    storages: [
        (name: "air", capacity: "c_air", initial_c: 20.0, initial_std_k: 0.01),
        (name: "element", capacity: "c_element", initial_c: 20.0, initial_std_k: 0.01),
    ],
    conductances: [(between: ("element", "air"), value: "1.0"), (between: ("air", "room"), value: "1.0")],
    sources: [(into: "element", gain: "0.2", input: "heater.level")],
    outputs: [(signal: "air.temperature", node: "air", noise_std: 0.02)],
)"#;

/// Two sets of values that explain the readings alike: the truth may be either, and each interval spans both.
#[test]
fn an_interval_spans_the_other_way_to_explain_the_same() {
    let def = DynamicsDef::from_ron(TWO_WAYS).unwrap();
    let model = Model::compile(&def, &Default::default()).unwrap();
    let level = |k: usize| if k % 90 < 35 { 80.0 } else { 0.0 };
    let ways = [("c_element", [25.0, 70.0]), ("c_air", [140.0, 50.0])];
    for truth in 0..2 {
        let of = |name: &str| ways.iter().find(|w| w.0 == name).unwrap().1[truth];
        let theta: Vec<f64> = model.parameters.iter().map(|p| of(&p.name)).collect();
        let mut rng = rng::stream(7, "two ways", "recording");
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut x = vec![20.0; 2];
        let mut read = Vec::new();
        for k in 0..400 {
            if k > 0 {
                model.step(&mut x, &theta, &[level(k - 1)], 5.0);
            }
            read.push(x[model.outputs[0].state] + 0.02 * normal());
        }
        let data = Dataset {
            name: "box".to_owned(),
            t_s: (0..400).map(|k| 5.0 * f64::from(k)).collect(),
            inputs: vec![(0..400).map(level).collect()],
            outputs: vec![read],
            ..Default::default()
        };
        let report = fit("box", &def, &[data], &[], &Settings { starts: 24, ..settings() }).unwrap();
        assert_eq!(report.rivals.len(), 1, "{:?}", report.rivals);
        for (name, values) in ways {
            let e = report.estimates.iter().find(|e| e.name == name).unwrap();
            for value in values {
                assert!((e.interval.0..=e.interval.1).contains(&value), "{name} {value}: {:?}", e.interval);
            }
            assert!(e.interval.1 / e.interval.0 < 4.0, "{name}: {:?}", e.interval);
            assert!(e.profile.iter().any(|p| p.1 > 1.5), "it rises beside: {:?}", e.profile);
        }
    }
}

#[test]
fn a_heater_that_was_never_on_is_said_to_be_unknown_and_how_to_know_it() {
    let (data, _) = recording(1, 0.0, false);
    let report = fit("box", &def(), &[data], &[], &settings()).unwrap();
    let p2 = report.estimates.iter().find(|e| e.name == "p2").unwrap();
    assert!(!p2.identified && (p2.value / 30.0 - 1.0).abs() < 0.01, "kept at its prior: {p2:?}");
    let told: Vec<&str> = report.estimates.iter().filter(|e| e.identified).map(|e| e.name.as_str()).collect();
    assert_eq!(told, ["c", "g", "p1"]);
    let experiment = report.experiments.iter().find(|e| e.parameter == "p2").unwrap();
    assert_eq!(experiment.input.as_deref(), Some("heater2.level"));
    assert!(experiment.settable && experiment.length_s <= 600.0, "{experiment:?}");
    assert!(experiment.sd.1 < 0.7 * experiment.sd.0, "{experiment:?}");
    // The experiment does what it says.
    let (mut more, _) = recording(2, 0.0, true);
    more.name = "the experiment".to_owned();
    let (data, _) = recording(1, 0.0, false);
    let after = fit("box", &def(), &[data, more], &[], &settings()).unwrap();
    assert!(after.estimates.iter().find(|e| e.name == "p2").unwrap().identified);
}

/// A room that goes up and down by a twentieth of a degree tells nothing of a heater's element, and is not what is proposed.
#[test]
fn no_experiment_is_proposed_for_what_another_input_would_tell() {
    let text = HIDDEN
        .replace("range: (0, 100))]", "range: (0, 100)), (signal: \"room.temperature\", range: (-30, 60))]")
        .replace("Fixed(22.0)", "Input(\"room.temperature\")");
    let def = DynamicsDef::from_ron(&text).unwrap();
    let model = Model::compile(&def, &Default::default()).unwrap();
    let theta: Vec<f64> = model.parameters.iter().map(|p| p.value).collect();
    let level = |k: usize| if k < 8 { 80.0 } else { 0.0 };
    let room = |k: usize| if k.is_multiple_of(2) { 21.95 } else { 22.05 };
    for noise in [0.3, 1.0] {
        let mut rng = rng::stream(3, "hidden", "experiment");
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut x = vec![22.0; 3];
        let mut read = Vec::new();
        for k in 0..200 {
            if k > 0 {
                model.step(&mut x, &theta, &[level(k - 1), room(k - 1)], 5.0);
            }
            read.push(x[model.outputs[0].state] + noise * normal());
        }
        let data = Dataset {
            name: "box".to_owned(),
            t_s: (0..200).map(|k| 5.0 * f64::from(k)).collect(),
            inputs: vec![(0..200).map(level).collect(), (0..200).map(room).collect()],
            outputs: vec![read],
            ..Default::default()
        };
        let report = fit("box", &def, &[data], &[], &settings()).unwrap();
        let of_element = report.experiments.iter().filter(|e| e.parameter.ends_with("element"));
        let by_room: Vec<_> = of_element.filter(|e| e.input.as_deref() == Some("room.temperature")).collect();
        assert!(by_room.is_empty(), "{noise}: {by_room:?}");
    }
}

#[test]
fn what_only_a_ratio_is_told_of_is_named_together() {
    let mut def = def();
    def.parameters.get_mut("c").unwrap().prior = twinfleet_engine::dynamics::definition::PriorDef::Log(2.0);
    for name in ["g", "p1", "p2"] {
        def.parameters.get_mut(name).unwrap().prior =
            twinfleet_engine::dynamics::definition::PriorDef::Log(2.0);
    }
    let (data, _) = recording(3, 0.0, true);
    let report = fit("box", &def, &[data], &[], &settings()).unwrap();
    // Twice the watts, twice the capacity and twice the loss look the same.
    assert_eq!(report.confounded, [["c", "g", "p1", "p2"]]);
    assert!(report.estimates.iter().all(|e| e.value > 0.0 && e.interval.0 > 0.0));
}

#[test]
fn an_evolution_strategy_finds_the_same_minimum() {
    let (data, theta) = recording(4, 1.0, true);
    let wide = Settings { global: Global::CmaEs, ..settings() };
    let found = |settings: &Settings| {
        fit("box", &def(), std::slice::from_ref(&data), &[], settings).unwrap().estimates
    };
    for (a, b) in found(&settings()).iter().zip(found(&wide)) {
        assert!((a.value / b.value - 1.0).abs() < 1e-3, "{} {} {}", a.name, a.value, b.value);
    }
    assert!((found(&wide)[0].value / theta[0] - 1.0).abs() < 0.2);
}

/// Twelve boxes that are alike: the prior of the thirteenth is narrower than the stated one, and lies where they do.
#[test]
fn a_fleet_tells_what_its_next_device_is_like() {
    let fleet: Vec<Dataset> = (0..12).map(|k| recording(100 + k, 0.3, true).0).collect();
    let prior = pool("box", &def(), &fleet, &Settings { starts: 1, ..Settings::default() }).unwrap();
    let stated = def();
    for (name, sd) in [("c", 0.4), ("g", 0.4), ("p1", 0.3), ("p2", 0.3)] {
        let p = prior.parameters[name];
        let z = (p.value / stated.parameters[name].value).ln() / (0.3 * sd);
        assert!(p.sd < 0.6 * sd && z.abs() < 1.5, "{name}: {p:?}");
    }
    let narrowed = prior.applied_to(&stated).unwrap();
    let (one, theta) = recording(500, 0.3, false);
    let alone = fit("box", &stated, std::slice::from_ref(&one), &[], &settings()).unwrap();
    let pooled = fit("box", &narrowed, &[one], &[], &settings()).unwrap();
    let width = |r: &twinfleet_engine::dynamics::fit::Report| {
        let p2 = r.estimates.iter().find(|e| e.name == "p2").unwrap();
        (p2.interval.1 / p2.interval.0).ln()
    };
    // The second heater was never on: what is known of it is what the fleet is like.
    assert!(width(&pooled) < 0.6 * width(&alone), "{} {}", width(&pooled), width(&alone));
    assert!(theta.iter().all(|t| *t > 0.0));
}
