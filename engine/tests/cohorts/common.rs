//! Fleets of one made-up sensor, or of BME280s, and what the tests measure of them.

use crate::fixture::{BME280, Sim, plan, sensor};
use std::collections::BTreeMap;
use twinfleet_engine::{catalog::SensorDef, plan::Plan};

/// A sensor `s` of one channel `x` with these figures.
pub fn one(channel: &str, more: &str) -> SensorDef {
    sensor(&format!(
        r#"(format: 1, name: "s", source: "test", bus: Spi, active_ma: 10.0, {more}
        channels: [(quantity: "x", unit: "degC", range: (-1000.0, 1000.0), {channel})])"#
    ))
}

/// `count` devices `n-…` outside with one part `p` of the sensor `s`.
pub fn scenario(count: u32, firmware: &str, more: &str) -> String {
    format!(
        r#"(format: 1, seed: 7, duration: "1h", step: "1s", fleet: [(id: "n-{{}}", count: {count}, thing: "t")],
        things: [(name: "t", source: "test", board: "esp32", parts: [(id: "p", model: "s", on: Spi("1"))],
        firmware: ({firmware}))], {more})"#
    )
}

pub fn simple(count: u32, firmware: &str, channel: &str) -> Plan {
    plan(&scenario(count, firmware, ""), &[one(channel, "")])
}

/// Readings by device, of `ticks` seconds at this truth.
pub fn readings(plan: &Plan, truth: f64, ticks: usize) -> Vec<Vec<f64>> {
    let mut sim = Sim::new(plan, true);
    sim.set("outside/x", truth);
    sim.run(ticks);
    let mut by_device: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for r in &sim.rows {
        by_device.entry(r.signal.0).or_default().push(r.value);
    }
    by_device.into_values().collect()
}

pub fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

pub fn std(v: &[f64]) -> f64 {
    let m = mean(v);
    (v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (v.len() - 1) as f64).sqrt()
}

/// Whether a statistic of `n` samples is within five standard errors (of a standard deviation: σ/√(2n)).
pub fn assert_std(found: f64, expected: f64, n: usize) {
    let error = 5.0 * expected / (2.0 * n as f64).sqrt();
    assert!((found - expected).abs() < error, "standard deviation {found}, expected {expected} ± {error}");
}

pub fn bme_fleet(count: u32, more: &str) -> Plan {
    let text = format!(
        r#"(format: 1, seed: 3, duration: "1h", step: "1s", fleet: [{more} (id: "n-{{}}", count: {count}, thing: "t", in: ["a", "b", "c"], link: "w")],
        world: (zones: [(id: "a"), (id: "b"), (id: "c")]), links: [(id: "w", loss: 0.2, latency_min_ms: 5.0, latency_jitter_ms: 20.0)],
        things: [(name: "t", source: "test", board: "esp32", parts: [(id: "bme280", model: "bme280", on: I2c(0x76))],
        firmware: (period: "1s", jitter: "30ms", publish: [(topic: "f/{{device}}", every: 2)]))])"#
    );
    plan(&text, &[sensor(BME280)])
}

pub fn run_bme(p: &Plan, watch: bool, threads: usize, ticks: usize) -> Sim {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let mut sim = Sim::new(p, watch);
    for zone in ["a", "b", "c"] {
        sim.set(&format!("zone/{zone}/temperature"), 20.0);
    }
    pool.install(|| {
        sim.run(ticks);
    });
    sim
}
