//! Laws of the filter, the intervals and the fit, over simulated devices that are not built like their twins.

use crate::common::{def, normal, walk};
use std::collections::BTreeMap;
use twinfleet_engine::{
    dynamics::{
        fit::{Dataset, Settings, fit},
        model::Model,
    },
    predict::{
        Estimator, Gaussian, Tangent, interval::Calibrator, interval::normal_quantile, kalman::Filter,
    },
    rng,
    time::{SimTime, Span},
};

/// A heated box as its owner would describe it, next to a scenario.
const BOX: &str = r#"(
    parameters: {
        "c": (value: 300.0, unit: "J/K", bounds: (10.0, 10000.0), prior: Log(0.7)),
        "g": (value: 0.6, unit: "W/K", bounds: (0.01, 20.0), prior: Log(0.7), per_recording: true),
        "room": (value: 20.0, unit: "degC", bounds: (-20.0, 50.0), prior: Linear(4.0), per_recording: true),
    },
    inputs: [(signal: "heater.level", range: (0.0, 100.0), correlation: "60s")],
    boundaries: [(name: "room", at: Parameter("room"))],
    storages: [(name: "box", capacity: "c", noise_k_per_sqrt_s: 0.02)],
    conductances: [(between: ("box", "room"), value: "g")],
    sources: [(into: "box", gain: "0.3", input: "heater.level")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1, quantum: 0.25)],
)"#;

/// The real box: walls that the twin knows nothing of, a draught that comes and goes, a unit's own figures.
const TRUTH: &str = r#"(
    parameters: {"c": (value: 340.0), "wall": (value: 90.0), "g_wall": (value: 2.0), "g": (value: 0.45), "room": (value: 23.0)},
    inputs: [(signal: "heater.level", range: (0.0, 100.0)), (signal: "draught", range: (0.0, 10.0))],
    boundaries: [(name: "room", at: Parameter("room"))],
    storages: [(name: "air", capacity: "c"), (name: "wall", capacity: "wall")],
    conductances: [(between: ("air", "wall"), value: "g_wall"), (between: ("wall", "room"), value: "g"),
                   (between: ("air", "room"), value: "0.1")],
    sources: [(into: "air", gain: "0.3", input: "heater.level"), (into: "air", gain: "-1", input: "draught")],
    outputs: [(signal: "probe.temperature", node: "air")],
)"#;

/// Readings of a simulated device, its heater switched at random, every second with some jitter.
fn recording(truth: &str, seed: u64, rows: usize, quantum: f64) -> Dataset {
    let model = Model::compile(&def(truth), &BTreeMap::new()).unwrap();
    let mut rng = rng::stream(seed, "box", "test");
    let mut x = vec![23.0; model.states()];
    let mut u = vec![0.0; model.inputs.len()];
    let mut d = Dataset {
        name: format!("box {seed}"),
        inputs: vec![vec![]],
        outputs: vec![vec![]],
        ..Dataset::default()
    };
    let (mut t, mut left) = (0.0, 0);
    for k in 0..rows {
        if k > 0 {
            let dt = 1.0 + 0.02 * normal(&mut rng).clamp(-3.0, 3.0);
            t += dt;
            model.step(&mut x, &model.values(), &u, dt);
        }
        if left == 0 {
            left = 20 + (60.0 * normal(&mut rng).abs()) as usize;
            u[0] = (50.0 + 40.0 * normal(&mut rng)).clamp(0.0, 100.0).round();
        }
        left -= 1;
        if let Some(draught) = u.get_mut(1) {
            // Stays around 0.5 W, ten seconds at a time.
            *draught = (*draught + 0.1 * (0.5 - *draught) + 0.2 * normal(&mut rng)).max(0.0);
        }
        let reading = x[0] + 0.1 * normal(&mut rng);
        d.t_s.push(t);
        d.inputs[0].push(u[0]);
        d.outputs[0].push(if quantum > 0.0 { (reading / quantum).round() * quantum } else { reading });
    }
    d
}

fn follow(twin: &mut dyn Estimator, d: &Dataset, rows: std::ops::Range<usize>) -> Vec<f64> {
    let mut whitened = Vec::new();
    for k in rows {
        let dt = if k == 0 { 0.0 } else { d.t_s[k] - d.t_s[k - 1] };
        twin.predict(Span::from_secs_f64(dt), &[Some(d.inputs[0][k])]);
        whitened.push(twin.update(0, d.outputs[0][k]).whitened());
    }
    whitened
}

/// No inverse crime: the twin follows a box with walls and draughts that it does not model, and still its innovations are
/// nearly white and of its own variance.
#[test]
fn innovations_are_white_over_a_device_built_otherwise() {
    let (mut squares, mut products, mut n) = (0.0, 0.0, 0.0);
    for seed in 0..6 {
        let d = recording(TRUTH, seed, 2400, 0.25);
        let mut twin = Filter::new(&def(BOX), &["c".to_owned()]).unwrap();
        let w = follow(&mut twin, &d, 0..2400);
        let w = &w[300..];
        squares += w.iter().map(|x| x * x).sum::<f64>();
        products += w.windows(2).map(|p| p[0] * p[1]).sum::<f64>();
        n += w.len() as f64;
    }
    assert!((0.7..1.3).contains(&(squares / n)), "variance {}", squares / n);
    assert!((products / squares).abs() < 0.15, "correlation {}", products / squares);
}

#[test]
fn forecasts_over_a_device_built_otherwise_keep_their_intervals_and_beat_persistence() {
    let mut total = twinfleet_engine::predict::score::Score::default();
    for seed in 10..16 {
        let d = recording(TRUTH, seed, 2400, 0.25);
        let mut twin = Filter::new(&def(BOX), &["c".to_owned()]).unwrap();
        total.merge(&walk(&mut twin, &d, 0, &[120], 300.0)[0]);
    }
    assert!((0.85..=0.95).contains(&total.coverage()), "{}", total.coverage());
    assert!(total.rmse() < total.rmse_persistence(), "{} {}", total.rmse(), total.rmse_persistence());
}

/// The fit finds the parameters of a box of the twin's own structure, and its 90 % intervals hold that often.
#[test]
fn fitted_parameters_are_recovered_and_their_intervals_hold() {
    let same = BOX
        .replace("value: 300.0", "value: 420.0")
        .replace("value: 0.6,", "value: 0.4,")
        .replace("value: 20.0", "value: 23.0");
    let truth = [("c", 420.0), ("g", 0.4), ("room", 23.0)];
    let (mut held, mut all) = (0, 0);
    for seed in 20..40 {
        let d = recording(&same, seed, 900, 0.0);
        let report =
            fit("box", &def(BOX), &[d], &[], &Settings { starts: 1, ..Settings::default() }).unwrap();
        for (name, value) in truth {
            let e = report.estimates.iter().find(|e| e.name == name).unwrap();
            assert!(e.identified, "{e:?}");
            assert!((e.value / value - 1.0).abs() < 0.1, "{e:?}");
            held += usize::from((e.interval.0..=e.interval.1).contains(&value));
            all += 1;
        }
    }
    // 54 of 60 expected; below 46 or at 60 of 60 with zero width would be no 90 % interval.
    assert!(held >= 46, "{held} of {all}");
}

/// With the heater off and the box at rest nothing tells the capacity: it stays at its prior, and that is said.
#[test]
fn what_the_data_cannot_tell_stays_at_its_prior() {
    let mut d = recording(TRUTH, 50, 300, 0.25);
    d.inputs[0].fill(0.0);
    d.outputs[0].fill(23.0);
    let report = fit("box", &def(BOX), &[d], &[], &Settings::default()).unwrap();
    let c = report.estimates.iter().find(|e| e.name == "c").unwrap();
    assert!(!c.identified && (c.value / 300.0 - 1.0).abs() < 0.2, "{c:?}");
    let wide = c.interval.1 / c.interval.0;
    assert!(wide > 4.0, "{c:?}");
}

/// Held-out rows do not change what is fitted on the others, and are simulated without their readings.
#[test]
fn the_held_out_part_is_held_out() {
    let settings = Settings { train_fraction: 0.5, starts: 1, ..Settings::default() };
    let d = recording(TRUTH, 51, 1000, 0.25);
    let mut other = d.clone();
    other.outputs[0][500..].fill(99.0);
    let run = |d: Dataset| fit("box", &def(BOX), &[d], &[], &settings).unwrap();
    let (a, b) = (run(d), run(other));
    assert_eq!(a.params, b.params);
    assert!(a.trace.iter().zip(&b.trace).all(|(x, y)| x.simulated == y.simulated));
    assert_eq!(a.trace.len(), 1000);
}

/// Gaps, missing cells, wild readings and jumps of the input leave a finite state, a positive variance, and parameters
/// within their bounds.
#[test]
fn nothing_makes_the_filter_blow_up() {
    let mut d = recording(TRUTH, 52, 1500, 0.25);
    let mut rng = rng::stream(52, "box", "abuse");
    for k in 100..1400 {
        match (normal(&mut rng) * 10.0) as i64 {
            0 => d.outputs[0][k] = f64::NAN,
            9..=11 => d.outputs[0][k] = 1e6 * normal(&mut rng),
            -11..=-9 => d.inputs[0][k] = 1e9,
            12 => d.inputs[0][k] = f64::NAN,
            _ => {}
        }
    }
    for t in &mut d.t_s[700..] {
        *t += 86_400.0;
    }
    let mut twin = Filter::new(&def(BOX), &["c".to_owned()]).unwrap();
    for k in 0..1500 {
        let dt = if k == 0 { 0.0 } else { d.t_s[k] - d.t_s[k - 1] };
        twin.predict(Span::from_secs_f64(dt), &[Some(d.inputs[0][k])]);
        let expected = twin.expected(0);
        assert!(
            expected.mean.is_finite() && expected.var > 0.0 && expected.var.is_finite(),
            "{k}: {expected:?}"
        );
        twin.update(0, d.outputs[0][k]);
        let far = twin.forecast(Span::from_secs(3600))[0];
        assert!(far.mean.is_finite() && far.var > 0.0 && far.var.is_finite(), "{k}: {far:?}");
        for (name, g) in twin.state() {
            assert!(g.mean.is_finite() && g.var >= 0.0, "{k} {name} {g:?}");
        }
        let c = twin.parameters()[0];
        assert!((10.0..=10000.0).contains(&c), "{c}");
    }
}

/// A gap carried in one step or in many ends the same: time has no grain.
#[test]
fn a_gap_is_the_same_in_one_step_or_many() {
    let d = recording(TRUTH, 53, 400, 0.25);
    let mut once = Filter::new(&def(BOX), &[]).unwrap();
    follow(&mut once, &d, 0..400);
    let mut often = once.clone();
    let setting = d.inputs[0][399];
    once.predict(Span::from_secs(64), &[Some(setting)]);
    for _ in 0..256 {
        often.predict(Span::from_secs_f64(0.25), &[Some(setting)]);
    }
    let (a, b) = (once.expected(0), often.expected(0));
    assert!((a.mean - b.mean).abs() < 1e-9, "{a:?} {b:?}");
    assert!((a.var / b.var - 1.0).abs() < 0.02, "{a:?} {b:?}");
}

/// A fork goes its own way, and the same readings give the same bytes.
#[test]
fn forks_are_independent_and_reproducible() {
    let d = recording(TRUTH, 54, 300, 0.25);
    let mut twin = Filter::new(&def(BOX), &[]).unwrap();
    follow(&mut twin, &d, 0..200);
    let before = twin.state_bytes();
    let (mut a, mut b) = (twin.fork(), twin.fork());
    follow(a.as_mut(), &d, 200..300);
    assert_eq!(twin.state_bytes(), before);
    follow(b.as_mut(), &d, 200..300);
    assert_eq!(a.state_bytes(), b.state_bytes());
    assert_ne!(a.state_bytes(), before);
}

/// A forecast with the plan known is narrower than one without, and nearer.
#[test]
fn knowing_the_plan_narrows_the_forecast() {
    let d = recording(TRUTH, 55, 900, 0.25);
    let mut twin = Filter::new(&def(BOX), &["c".to_owned()]).unwrap();
    follow(&mut twin, &d, 0..900);
    let blind = twin.forecast(Span::from_secs(300))[0];
    let planned = twin.forecast_planned(Span::from_secs(300), &[Some(100.0)])[0];
    assert!(planned.var < 0.5 * blind.var, "{planned:?} {blind:?}");
    assert!(planned.mean > blind.mean);
}

/// Forecasts for several horizons at once are those for each alone; the noise is summed in other steps.
#[test]
fn forecasts_at_once_are_those_made_alone() {
    let d = recording(TRUTH, 56, 300, 0.25);
    for learn in [vec![], vec!["c".to_owned()]] {
        let mut twin = Filter::new(&def(BOX), &learn).unwrap();
        follow(&mut twin, &d, 0..300);
        let horizons = [20, 60, 100, 110, 1280].map(Span::from_secs);
        let mut told = 0;
        twin.forecasts(&horizons, &mut |h, o, g| {
            let alone = twin.forecast(horizons[h])[o];
            assert!((g.mean - alone.mean).abs() < 1e-8, "{h}: {g:?} {alone:?}");
            assert!((g.var / alone.var - 1.0).abs() < 0.01, "{h}: {g:?} {alone:?}");
            told += 1;
        });
        assert_eq!(told, horizons.len());
    }
}

/// A reading that was a little different changes the residuals after it as the tangents and gains say.
#[test]
fn tangents_and_gains_tell_what_a_changed_reading_changes() {
    let d = recording(TRUTH, 57, 400, 0.25);
    // Exact where nothing is learnt, to first order where something is.
    let known = BOX.replace(", per_recording: true", "");
    for (network, tolerance) in [(known.as_str(), 1e-6), (BOX, 0.05)] {
        let mut twin = Filter::new(&def(network), &[]).unwrap();
        follow(&mut twin, &d, 0..200);
        let mut other = twin.clone();
        let mut before = 0.0;
        let (moving, all) = twin.entries();
        let (mut state, mut gain, mut tangent) = (vec![0.0; all], vec![0.0; all], Tangent::default());
        // Once the output is off, and once the input.
        let small = 1e-4;
        for k in 200..400 {
            let (off, told) = (if k == 200 { small } else { 0.0 }, if k == 230 { small } else { 0.0 });
            let dt = Span::from_secs_f64(d.t_s[k] - d.t_s[k - 1]);
            twin.predict_traced(dt, &[Some(d.inputs[0][k])], &mut tangent);
            other.predict(dt, &[Some(d.inputs[0][k] + told)]);
            // The heater's setting holds from its reading on.
            let driven = if twin.leads(0) { std::mem::replace(&mut before, told) } else { told };
            let moved: Vec<f64> = (0..moving)
                .map(|i| {
                    let row = &tangent.by_state[i * all..(i + 1) * all];
                    row.iter().zip(&state).map(|(a, x)| a * x).sum::<f64>() + tangent.by_input[i] * driven
                })
                .collect();
            state[..moving].copy_from_slice(&moved);
            twin.gain(0, &mut gain);
            let a = twin.update(0, d.outputs[0][k]).residual;
            let b = other.update(0, d.outputs[0][k] + off).residual;
            let change = off - state[twin.reads(0)];
            for (x, k) in state.iter_mut().zip(&gain) {
                *x += k * change;
            }
            assert!((b - a - change).abs() < tolerance * small, "{k}: {} {change}", b - a);
        }
    }
}

/// Whatever the variance a model claims, a share of 90 % of the intervals holds in the long run.
#[test]
fn intervals_keep_their_promise_under_a_wrong_variance() {
    for (seed, claimed) in [(1, 0.1), (2, 1.0), (3, 30.0)] {
        let mut rng = rng::stream(seed, "interval", "test");
        let mut band = Calibrator::new(Span::from_secs(5), 0.9);
        let (mut held, mut n) = (0, 0);
        for k in 0..20_000 {
            let now = SimTime(0) + Span::from_secs(k);
            for (b, came) in band.observe(now, normal(&mut rng)) {
                if k > 4000 {
                    n += 1;
                    held += usize::from((b.lower..=b.upper).contains(&came));
                }
            }
            band.issue(now, Gaussian { mean: 0.0, var: claimed });
        }
        let share = held as f64 / n as f64;
        assert!((0.885..0.915).contains(&share), "{claimed}: {share}");
    }
}

#[test]
fn quantiles_are_those_of_the_tables() {
    for (p, z) in
        [(0.5, 0.0), (0.95, 1.644_853_626_951), (0.975, 1.959_963_984_540), (0.005, -2.575_829_303_549)]
    {
        assert!((normal_quantile(p) - z).abs() < 1e-9);
    }
}
