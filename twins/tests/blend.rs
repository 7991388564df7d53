//! The rule by which a network takes part in the default forecaster, where it beats ridge regression on rows that neither has seen;
//! and what the regressions learn of a past with gaps.

use rand::RngExt;
use twinfleet_engine::rng::stream;
use twinfleet_twins::predictors::{find, series::Series, task::Task};

const ROWS: usize = 2400;
const LEARNT: usize = 1600;

/// A level that follows `drive` of an input which nobody knows ahead.
fn task(drive: fn(f64) -> f64) -> Task {
    let mut rng = stream(11, "blend", "series");
    let (mut level, mut levels, mut inputs) = (0.0, Vec::new(), Vec::new());
    let mut input = 0.0;
    for _ in 0..ROWS {
        level = 0.6 * level + drive(input) + 0.05 * (rng.random::<f64>() - 0.5);
        input = 4.0 * (rng.random::<f64>() - 0.5);
        levels.push(level);
        inputs.push(input);
    }
    let t_s: Vec<f64> = (0..ROWS).map(|i| i as f64).collect();
    let mut task =
        Task::new(Series::new(&t_s, None, vec![levels, inputs]), vec![0], vec![1], vec![], vec![1]);
    task.squared = false;
    task
}

/// What a forecaster says of itself, and its mean absolute error one row ahead on rows that it has not seen.
fn judged(name: &str, task: &Task) -> (String, f64) {
    let mut model = find(name, task).expect("a forecaster of that name");
    model.fit(task, LEARNT);
    let origins: Vec<usize> = (LEARNT..ROWS - 1).collect();
    let mut out = vec![f64::NAN; origins.len()];
    // Block by block, as a walk asks.
    for (block, out) in origins.chunks(64).zip(out.chunks_mut(64)) {
        model.forecast(task, block, out);
    }
    let missed = origins.iter().zip(&out).map(|(o, told)| (task.target(0, *o, 1) - told).abs());
    (model.about(), missed.sum::<f64>() / origins.len() as f64)
}

#[test]
fn a_network_takes_part_where_it_beats_ridge_regression_and_nowhere_else() {
    // No linear map sees that the input counts whatever its sign.
    let folded = task(|u| u.abs());
    let (about, error) = judged("blend", &folded);
    let (_, ridge) = judged("ridge", &folded);
    let (_, wide) = judged("wide", &folded);
    println!("folded: {about}; {error:.3}, ridge {ridge:.3}, on all channels {wide:.3}");
    assert!(about.contains("network"), "{about}");
    assert!(error < 0.7 * ridge && error < 0.8 * wide, "{error}, {ridge}, {wide}");
    // A level that ridge regression forecasts as well as anything can.
    let straight = task(|_| 0.0);
    let (about, error) = judged("blend", &straight);
    let (_, ridge) = judged("ridge", &straight);
    println!("straight: {about}; {error:.4}, ridge {ridge:.4}");
    assert!(!about.contains("network"), "{about}");
    assert!(error < 1.05 * ridge, "{error}, {ridge}");
}

/// Mean absolute errors of a forecaster by target and horizon, learning again every 100 rows as a walk does.
fn walked(name: &str, task: &Task, learnt: usize) -> Vec<f64> {
    let mut model = find(name, task).expect("a forecaster of that name");
    model.fit(task, learnt);
    let slots = task.series.slots();
    let mut sums = vec![(0.0, 0u32); task.width()];
    for block in (learnt..slots - 1).collect::<Vec<_>>().chunks(50) {
        if block[0] > learnt && (block[0] - learnt).is_multiple_of(100) {
            model.fit(task, block[0] + 1);
        }
        let mut out = vec![f64::NAN; block.len() * task.width()];
        model.forecast(task, block, &mut out);
        for (origin, told) in block.iter().zip(out.chunks(task.width())) {
            for (at, told) in told.iter().enumerate() {
                let h = task.horizons.len();
                let missed = (task.target(at / h, *origin, task.horizons[at % h]) - told).abs();
                if missed.is_finite() {
                    sums[at] = (sums[at].0 + missed, sums[at].1 + 1);
                }
            }
        }
    }
    sums.iter().map(|(sum, n)| sum / f64::from(*n)).collect()
}

/// These channels a second apart, all of them targets.
fn all_targets(columns: Vec<Vec<f64>>, horizons: Vec<usize>, squared: bool) -> Task {
    let t_s: Vec<f64> = (0..columns[0].len()).map(|i| i as f64).collect();
    let targets = (0..columns.len()).collect();
    let mut task = Task::new(Series::new(&t_s, None, columns), targets, vec![], vec![], horizons);
    task.squared = squared;
    task
}

#[test]
fn a_ramp_is_told_exactly_where_a_member_tells_it_exactly() {
    for squared in [false, true] {
        let ramp = (0..1200).map(f64::from).collect();
        let task = all_targets(vec![ramp], vec![1, 6, 24], squared);
        let errors = walked("blend", &task, 600);
        println!("{errors:?}");
        assert!(errors.iter().all(|e| *e < 1e-3), "squared {squared}: {errors:?}");
    }
}

/// A meter that counts on, a level that jumps, a random walk and a level that lasts.
fn unlike(rows: usize) -> Vec<Vec<f64>> {
    let mut rng = stream(5, "blend", "unlike");
    let mut normal = move || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    let (mut count, mut walk, mut level, mut lasting) = (1e6, 0.0, 0.0, 0.0);
    let mut all = vec![Vec::new(); 4];
    for i in 0..rows {
        count += (3.0 + 1.7 * normal()).round().max(0.0);
        walk += normal();
        lasting = 0.95 * lasting + 0.4 * normal();
        level = if i % 100 == 0 { 5.0 * normal() } else { level };
        for (channel, v) in all.iter_mut().zip([count, level + 0.1 * normal(), walk, f64::exp(lasting)]) {
            channel.push(v);
        }
    }
    all
}

#[test]
fn a_target_is_not_ruined_by_those_beside_it() {
    let columns = unlike(2600);
    let horizons = vec![1, 10];
    let persistence = walked("persistence", &all_targets(columns.clone(), horizons.clone(), false), 1000);
    let together = walked("blend", &all_targets(columns.clone(), horizons.clone(), false), 1000);
    println!("persistence {persistence:?}\ntogether {together:?}");
    for (c, column) in columns.into_iter().enumerate() {
        let alone = walked("blend", &all_targets(vec![column], horizons.clone(), false), 1000);
        println!("alone {alone:?}");
        for k in 0..2 {
            let (ours, plain) = (together[2 * c + k], persistence[2 * c + k]);
            assert!(ours < 1.1 * plain, "target {c}: {ours} beside persistence {plain}");
            assert!(ours < 1.2 * alone[k], "target {c}: {ours} beside {} alone", alone[k]);
        }
    }
}

/// Rows of a level that goes up and down; some are missing from what is learnt.
fn with_a_gap(missing: std::ops::Range<usize>) -> Task {
    let mut rng = stream(11, "blend", "gap");
    let mut wander = 0.0;
    let mut rows: Vec<(f64, f64)> = (0..2000)
        .map(|k| {
            wander = 0.95 * wander + 0.1 * (rng.random::<f64>() - 0.5);
            let swing = 3.0 * (std::f64::consts::TAU * f64::from(k) / 90.0).sin();
            (60.0 * f64::from(k), 20.0 + swing + wander + 0.1 * (rng.random::<f64>() - 0.5))
        })
        .collect();
    rows.drain(missing);
    let (t_s, values): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
    let mut task = Task::new(Series::new(&t_s, None, vec![values]), vec![0], vec![], vec![], vec![10, 30]);
    task.squared = false;
    task
}

#[test]
fn what_was_held_over_a_gap_is_not_learnt() {
    let error = |missing| {
        let task = with_a_gap(missing);
        let mut model = find("ridge", &task).expect("a forecaster of that name");
        let origins: Vec<usize> = (1000..1900).collect();
        let mut out = vec![f64::NAN; 2 * origins.len()];
        for (block, out) in origins.chunks(60).zip(out.chunks_mut(120)) {
            model.fit(&task, block[0] + 1);
            model.forecast(&task, block, out);
        }
        let missed = |(i, o): (usize, &usize)| (task.target(0, *o, 30) - out[2 * i + 1]).abs();
        origins.iter().enumerate().map(missed).sum::<f64>() / origins.len() as f64
    };
    let (whole, gap) = (error(0..0), error(560..700));
    println!("30 rows ahead: {whole:.3}, with a gap {gap:.3}");
    // Learnt with what was held, it was several times as much.
    assert!(gap < 1.6 * whole, "{whole} {gap}");
}

/// Of 96 horizons one is missing from nearly each row where one cell in ten is empty.
#[test]
fn a_few_empty_cells_leave_much_to_learn_from() {
    let mut task = with_a_gap(0..0);
    let values = task.series.channel(0).iter().enumerate();
    let values = values.map(|(k, v)| if k % 10 == 3 { f64::NAN } else { *v }).collect();
    let t_s: Vec<f64> = (0..2000).map(|k| 60.0 * f64::from(k)).collect();
    task.series = Series::new(&t_s, None, vec![values]);
    task.horizons = (1..=96).collect();
    let error = |name: &str| {
        let mut model = find(name, &task).expect("a forecaster of that name");
        let origins: Vec<usize> = (1000..1900).filter(|o| o % 10 != 8).collect();
        let mut out = vec![f64::NAN; 96 * origins.len()];
        model.fit(&task, 1001);
        model.forecast(&task, &origins, &mut out);
        let missed = |(i, o): (usize, &usize)| (task.target(0, *o, 45) - out[96 * i + 44]).abs();
        origins.iter().enumerate().map(missed).sum::<f64>() / origins.len() as f64
    };
    let (wide, persistence) = (error("wide"), error("persistence"));
    assert!(wide < 0.5 * persistence, "{wide} {persistence}");
}
