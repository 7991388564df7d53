//! What a row costs a detector: one that learns as it goes, its memory full, and one that was taught by clean rows.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use twinfleet_engine::detect::{Contract, Detector, novelty::Novelty, trained::Trained};

/// A value that looks like noise, the same everywhere.
fn value(t: usize, k: usize) -> f64 {
    let x = (t as u64 * 31 + k as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((x >> 40) as f64 / 16_777_216.0 - 0.5) + (t as f64 * 0.02 + k as f64).sin()
}

fn rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("detect");
    group.throughput(Throughput::Elements(1));
    let mut watch = Novelty::new(1, Contract::default());
    let mut t = 0;
    let mut step = |watch: &mut Novelty| {
        t += 1;
        watch.take(&[value(t, 0)])
    };
    for _ in 0..9000 {
        step(&mut watch);
    }
    group.bench_function("novelty, one signal", |b| b.iter(|| black_box(step(&mut watch))));
    for signals in [2, 8, 52] {
        let row = |t: usize| -> Vec<f64> { (0..signals).map(|k| value(t, k)).collect() };
        let clean: Vec<Vec<f64>> = (0..400).map(row).collect();
        let Ok(mut watch) = Trained::fit(&clean, Contract::default()) else { return };
        let next: Vec<Vec<f64>> = (400..800).map(row).collect();
        let mut t = 0;
        group.bench_function(format!("normal behaviour, {signals} signals"), |b| {
            b.iter(|| {
                t += 1;
                black_box(watch.take(&next[t % next.len()]))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
