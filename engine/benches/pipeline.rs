//! The whole sensor pipeline with a BME280's three channels, ns per reading on one core, beside a plain
//! structure-of-arrays loop with the same generator and two normals per reading, in the same run.
//!
//! `cargo bench -p twinfleet-engine --bench pipeline`

#[path = "common/fixture.rs"]
#[expect(dead_code, reason = "shared by benches and tests, each of which uses a part")]
mod fixture;

use fixture::{BME280, Sim, plan, sensor};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::{hint::black_box, time::Instant};
use twinfleet_engine::rng::{Rng, stream};

/// The plain loop: truth + bias + Gauss–Markov wander + noise.
struct Plain {
    rng: Vec<Rng>,
    wander: Vec<f64>,
    bias: Vec<f64>,
    out: Vec<f64>,
}

impl Plain {
    fn new(readings: usize) -> Self {
        let mut rng: Vec<Rng> = (0..readings).map(|i| stream(1, &i.to_string(), "plain")).collect();
        let bias = rng.iter_mut().map(|r| r.sample(StandardNormal)).collect();
        Self { rng, wander: vec![0.0; readings], bias, out: vec![0.0; readings] }
    }

    fn pass(&mut self, truth: f64) {
        let lanes = self.rng.iter_mut().zip(&mut self.wander).zip(&self.bias).zip(&mut self.out);
        for (((rng, wander), bias), out) in lanes {
            let (w, n): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            *wander = *wander * 0.999 + 0.01 * w;
            *out = truth + bias + *wander + 0.005 * n;
        }
    }
}

/// Rounds of each measurement: the last argument, 150 without one.
fn rounds() -> usize {
    std::env::args().next_back().and_then(|a| a.parse().ok()).unwrap_or(150)
}

/// Best of several rounds, [ns] per reading: other load on the machine only ever adds.
fn best(readings: usize, passes: usize, mut pass: impl FnMut()) -> f64 {
    pass();
    // Rounds are shorter than a scheduler's slice, so that some run undisturbed.
    let round = || {
        let start = Instant::now();
        for _ in 0..passes {
            pass();
        }
        start.elapsed().as_nanos() as f64 / (readings * passes) as f64
    };
    std::iter::repeat_with(round).take(rounds()).fold(f64::INFINITY, f64::min)
}

/// An analogue thermometer, whose voltage the board's converter reads.
const TMP36: &str = r#"(format: 1, name: "tmp36", source: "as in the catalog", bus: Analog, active_ma: 0.05, channels: [
    (quantity: "temperature", unit: "degC", range: (-40.0, 125.0), bias_std: 1.0, analog: Some(Linear(zero_v: 0.5, v_per_unit: 0.01)))])"#;
const WITH_TMP36: &str = r#"board: "esp32", parts: [(id: "bme280", model: "bme280", on: I2c(0x76)), (id: "tmp36", model: "tmp36", on: Pin("A"))]"#;
/// One stream of three drifts all the while.
const DRIFTS: &str =
    r#"timeline: [(at: 0, do: Fault(target: "*/bme280.temperature", kind: Drift(per_h: 1.0)))],"#;

fn fleet(devices: usize, jitter: &str) -> Sim {
    station(devices, jitter, r#"parts: [(id: "bme280", model: "bme280", on: I2c(0x76))]"#, "")
}

fn station(devices: usize, jitter: &str, parts: &str, timeline: &str) -> Sim {
    let text = format!(
        r#"(format: 1, duration: "1h", step: "1s", fleet: [(id: "n-{{}}", count: {devices}, thing: "node")], {timeline}
        things: [(name: "node", source: "bench", {parts}, firmware: (period: "1s", jitter: "{jitter}"))])"#
    );
    let mut plan = plan(&text, &[sensor(BME280), sensor(TMP36)]);
    // The fixture's board has no converter.
    let mut catalog = (*plan.catalog).clone();
    for board in catalog.boards.values_mut() {
        board.adc = Some(
            ron::from_str("(bits: 12, reference_v: 3.3, noise_lsb: 1.0, inl_lsb: 1.0)").expect("a converter"),
        );
    }
    plan.catalog = catalog.into();
    let mut sim = Sim::new(&plan, false);
    for (place, value) in
        [("outside/temperature", 21.0), ("outside/humidity", 45.0), ("outside/pressure", 1013.0)]
    {
        sim.set(place, value);
    }
    sim
}

fn main() {
    println!(
        "whole sensor pipeline, BME280 (3 channels), one core, ns per reading, best of {} rounds",
        rounds()
    );
    println!(
        "{:>10} {:>12} {:>14} {:>14} {:>8} {:>8}",
        "devices", "plain loop", "same period", "jittered", "ratio", "ratio"
    );
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    for devices in [1024, 16_384] {
        let readings = devices * 3;
        let passes = 20_000 / devices + 1;
        let mut plain = Plain::new(readings);
        let loop_ns = best(readings, passes, || plain.pass(black_box(21.0)));
        let mut fixed = fleet(devices, "0s");
        let fixed_ns = pool.install(|| best(readings, passes, || fixed.tick()));
        let mut jittered = fleet(devices, "20ms");
        let before = jittered.counter("readings");
        let jittered_ns = pool.install(|| best(readings, passes, || jittered.tick()));
        assert!(jittered.counter("readings") - before > 0);
        println!(
            "{devices:>10} {loop_ns:>12.2} {fixed_ns:>14.2} {jittered_ns:>14.2} {:>8.2} {:>8.2}",
            fixed_ns / loop_ns,
            jittered_ns / loop_ns
        );
        black_box(&plain.out);
    }
    println!("\nwhat the wider pipeline costs a reading, 1,024 devices, ns");
    let bme = r#"parts: [(id: "bme280", model: "bme280", on: I2c(0x76))]"#;
    for (name, channels, parts, timeline) in [
        ("BME280 alone", 3, bme, ""),
        ("with a TMP36 behind a converter", 4, WITH_TMP36, ""),
        ("one of its three streams drifting", 3, bme, DRIFTS),
    ] {
        let mut sim = station(1024, "0s", parts, timeline);
        let ns = pool.install(|| best(1024 * channels, 20, || sim.tick()));
        println!("{name:>36} {ns:>10.2}");
    }
}
