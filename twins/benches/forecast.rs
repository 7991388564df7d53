//! Cost of forecasts, a device and a step: closed-form ridge, a small network, and the intervals about either.

use std::time::Instant;
use twinfleet_engine::predict::conformal::Intervals;
use twinfleet_twins::predictors::{
    Model, find,
    network::{Forecaster, Kind, Settings},
    series::Series,
    task::Task,
};

/// A day's swing, noise on it, every ten minutes.
fn task(horizons: Vec<usize>) -> Task {
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24) - 0.5
    };
    let value = |i: usize, n: f64| 20.0 + 3.0 * (i as f64 * std::f64::consts::TAU / 144.0).sin() + n;
    let t_s: Vec<f64> = (0..6000).map(|i| i as f64 * 600.0).collect();
    let values = (0..6000).map(|i| value(i, noise())).collect();
    let mut task = Task::new(Series::new(&t_s, Some(0.0), vec![values]), vec![0], vec![], vec![], horizons);
    task.squared = false;
    task
}

fn main() {
    let task = task(vec![6, 36, 144]);
    let origins: Vec<usize> = (4000..5800).collect();
    let mut models: Vec<(&str, Box<dyn Model>)> = Vec::new();
    for name in ["persistence", "ridge", "own", "blend"] {
        models.extend(find(name, &task).map(|m| (name, m)));
    }
    for kind in [Kind::Gru, Kind::Tcn, Kind::Mixer] {
        let mut settings = Settings::new(kind, vec!["room".to_owned()]);
        settings.epochs = 1;
        models.push((kind.name(), Box::new(Forecaster::untrained(settings))));
    }
    println!(
        "one target, three horizons; many devices or origins at once, one core as far as the library lets"
    );
    for (name, model) in &mut models {
        model.fit(&task, 4000);
        let mut out = vec![0.0; origins.len() * task.width()];
        let start = Instant::now();
        model.forecast(&task, &origins, &mut out);
        let us = start.elapsed().as_secs_f64() * 1e6 / origins.len() as f64;
        println!("{name:12} {us:9.2} µs a device-step  {:>12.0} devices/s", 1e6 / us);
    }
    let mut intervals = Intervals::new(1, &task.horizons, 0.9, Some(144));
    let start = Instant::now();
    for origin in &origins {
        intervals.settle(*origin, |c, slot| task.target(c, slot, 0));
        intervals.issue(*origin, vec![20.0; 3]);
    }
    let us = start.elapsed().as_secs_f64() * 1e6 / origins.len() as f64;
    println!("{:12} {us:9.2} µs a device-step  {:>12.0} devices/s", "intervals", 1e6 / us);
}
