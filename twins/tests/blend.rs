//! The rule by which a network takes part in the default forecaster: where it beats ridge regression on rows that neither has seen.

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
