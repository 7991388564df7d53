//! One million devices of three sensors: at 1 Hz with jittered periods on one and two threads, and once a minute.
//!
//! `cargo bench -p twinfleet-engine --bench fleet`

#[path = "common/fixture.rs"]
#[expect(dead_code, reason = "shared by benches and tests, each of which uses a part")]
mod fixture;

use fixture::{Sim, plan, sensor};
use std::time::Instant;
use twinfleet_engine::sense;

const DEVICES: usize = 1_000_000;

/// A plausible small sensor with every part of the pipeline that needs a state but hysteresis.
const SENSOR: &str = r#"(format: 1, name: "s", source: "bench", bus: Spi, active_ma: 1.0, channels: [
    (quantity: "temperature", unit: "degC", range: (-40.0, 85.0), lsb: 0.01, noise_std: 0.05, bias_std: 0.2,
     gain_std: 0.001, tau_s: 5.0, wander_std: 0.05, wander_tau_s: 600.0, drift_per_year: 0.1)])"#;

fn fleet(period: &str, jitter: &str) -> Sim {
    let text = format!(
        r#"(format: 1, duration: "1h", step: "1s", fleet: [(id: "n-{{}}", count: {DEVICES}, thing: "node")],
        things: [(name: "node", source: "bench", board: "esp32", firmware: (period: "{period}", jitter: "{jitter}"),
        parts: [(id: "a", model: "s", on: Spi("1")), (id: "b", model: "s", on: Spi("2")), (id: "c", model: "s", on: Spi("3"))])])"#
    );
    let start = Instant::now();
    let mut sim = Sim::new(&plan(&text, &[sensor(SENSOR)]), false);
    sim.set("outside/temperature", 21.0);
    println!("  set up in {:.2} s", start.elapsed().as_secs_f64());
    sim
}

/// Seconds per tick of one simulated second, the best of `rounds` runs of `ticks`.
fn measure(sim: &mut Sim, threads: usize, ticks: usize, rounds: usize) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| {
        let round = || {
            let start = Instant::now();
            sim.run(ticks);
            start.elapsed().as_secs_f64() / ticks as f64
        };
        std::iter::repeat_with(round).take(rounds).fold(f64::INFINITY, f64::min)
    })
}

fn main() {
    println!("1,000,000 devices x 3 sensors, step 1 s, best of the rounds");
    println!("1 Hz, jitter 20 ms");
    let mut sim = fleet("1s", "20ms");
    sim.run(3);
    let before = sim.counter("readings");
    let one = measure(&mut sim, 1, 1, 25);
    let two = measure(&mut sim, 2, 1, 25);
    let readings = (sim.counter("readings") - before) as f64 / 50.0;
    let (bytes, devices) = sense::footprint(&mut sim.world);
    println!("  readings a tick    {readings:>12.0}");
    println!("  bytes a device     {:>12.0}", bytes as f64 / devices as f64);
    println!(
        "  1 thread           {:>12.1} x real time, {:.2} ns a reading",
        1.0 / one,
        one * 1e9 / readings
    );
    println!(
        "  2 threads          {:>12.1} x real time, {:.2} ns a reading",
        1.0 / two,
        two * 1e9 / readings
    );
    println!("  2 threads to 1     {:>12.2}", one / two);
    drop(sim);
    println!("once a minute, jitter 1 s");
    let mut sim = fleet("60s", "1s");
    sim.run(60);
    let minute_one = measure(&mut sim, 1, 5, 24);
    let minute_two = measure(&mut sim, 2, 5, 24);
    println!(
        "  1 thread           {:>12.1} x real time, {:.1} x the above",
        1.0 / minute_one,
        one / minute_one
    );
    println!(
        "  2 threads          {:>12.1} x real time, {:.1} x the above",
        1.0 / minute_two,
        two / minute_two
    );
}
