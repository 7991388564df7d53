//! Laws of the simulated devices: sensor figures, calendars, batteries, links, payloads, faults.

#[path = "../benches/common/fixture.rs"]
mod fixture;

use fixture::{BME280, Sim, plan, sensor};
use std::collections::BTreeMap;
use twinfleet_engine::{
    catalog::SensorDef,
    firmware,
    link::Air,
    message::Message,
    plan::Plan,
    sense,
    time::{SimTime, Span},
    world::{Outbox, Truth},
};

/// A sensor `s` of one channel `x` with these figures.
fn one(channel: &str, more: &str) -> SensorDef {
    sensor(&format!(
        r#"(format: 1, name: "s", source: "test", bus: Spi, active_ma: 10.0, {more}
        channels: [(quantity: "x", unit: "degC", range: (-1000.0, 1000.0), {channel})])"#
    ))
}

/// `count` devices `n-…` outside with one part `p` of the sensor `s`.
fn scenario(count: u32, firmware: &str, more: &str) -> String {
    format!(
        r#"(format: 1, seed: 7, duration: "1h", step: "1s", fleet: [(id: "n-{{}}", count: {count}, thing: "t")],
        things: [(name: "t", source: "test", board: "esp32", parts: [(id: "p", model: "s", on: Spi("1"))],
        firmware: ({firmware}))], {more})"#
    )
}

fn simple(count: u32, firmware: &str, channel: &str) -> Plan {
    plan(&scenario(count, firmware, ""), &[one(channel, "")])
}

/// Readings by device, of `ticks` seconds at this truth.
fn readings(plan: &Plan, truth: f64, ticks: usize) -> Vec<Vec<f64>> {
    let mut sim = Sim::new(plan, true);
    sim.set("outside/x", truth);
    sim.run(ticks);
    let mut by_device: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for r in &sim.rows {
        by_device.entry(r.signal.0).or_default().push(r.value);
    }
    by_device.into_values().collect()
}

fn mean(v: &[f64]) -> f64 {
    v.iter().sum::<f64>() / v.len() as f64
}

fn std(v: &[f64]) -> f64 {
    let m = mean(v);
    (v.iter().map(|x| (x - m).powi(2)).sum::<f64>() / (v.len() - 1) as f64).sqrt()
}

/// Whether a statistic of `n` samples is within five standard errors (of a standard deviation: σ/√(2n)).
fn assert_std(found: f64, expected: f64, n: usize) {
    let error = 5.0 * expected / (2.0 * n as f64).sqrt();
    assert!((found - expected).abs() < error, "standard deviation {found}, expected {expected} ± {error}");
}

#[test]
fn noise_bias_and_gain_follow_the_figures() {
    let p = simple(2000, r#"period: "1s""#, "noise_std: 0.5, bias_std: 2.0, gain_std: 0.01");
    let by_device = readings(&p, 100.0, 40);
    assert_eq!(by_device.len(), 2000);
    let means: Vec<f64> = by_device.iter().map(|v| mean(v)).collect();
    let bias = means.iter().map(|m| m - 100.0).collect::<Vec<_>>();
    // Bias 2, gain 1 % of 100, and the mean of 40 readings' noise.
    let expected = (4.0 + 1.0 + 0.25 / 40.0f64).sqrt();
    assert_std(std(&bias), expected, bias.len());
    assert!(mean(&bias).abs() < 5.0 * expected / (bias.len() as f64).sqrt());
    let within: Vec<f64> =
        by_device.iter().zip(&means).flat_map(|(v, m)| v.iter().map(move |x| x - m)).collect();
    // 40 readings estimate each mean, so 39 of 40 parts of the variance are left.
    assert_std(std(&within), 0.5 * (39.0f64 / 40.0).sqrt(), within.len());
}

#[test]
fn noise_of_one_reading_says_nothing_about_the_next_or_about_another_device() {
    let p = simple(200, r#"period: "1s""#, "noise_std: 1.0");
    let by_device = readings(&p, 0.0, 200);
    let corr = |pairs: Vec<(f64, f64)>| pairs.iter().map(|(a, b)| a * b).sum::<f64>() / pairs.len() as f64;
    let next = by_device.iter().flat_map(|v| v.windows(2).map(|w| (w[0], w[1]))).collect();
    let other = by_device
        .windows(2)
        .flat_map(|w| w[0].iter().zip(&w[1]).map(|(a, b)| (*a, *b)).collect::<Vec<_>>())
        .collect();
    assert!(corr(next).abs() < 5.0 / (200.0f64 * 199.0).sqrt());
    assert!(corr(other).abs() < 5.0 / (200.0f64 * 199.0).sqrt());
}

/// Standard deviation over devices, and correlation between readings two seconds apart.
fn wander_law(period: &str, step: usize) -> (f64, f64) {
    let p = simple(3000, &format!(r#"period: "{period}""#), "wander_std: 3.0, wander_tau_s: 4.0");
    let by_device = readings(&p, 0.0, 12);
    let first: Vec<f64> = by_device.iter().map(|v| v[1]).collect();
    let late: Vec<f64> = by_device.iter().map(|v| v[1 + step]).collect();
    let corr = first.iter().zip(&late).map(|(a, b)| a * b).sum::<f64>() / first.len() as f64;
    (std(&late), corr / (std(&first) * std(&late)))
}

#[test]
fn wander_is_the_same_process_at_every_period() {
    let phi = (-2.0f64 / 4.0).exp();
    for (period, step) in [("2s", 1), ("1s", 2), ("500ms", 4), ("250ms", 8)] {
        let (sigma, corr) = wander_law(period, step);
        assert_std(sigma, 3.0, 3000);
        let error = 5.0 * (1.0 - phi * phi) / 3000f64.sqrt();
        assert!((corr - phi).abs() < error, "correlation {corr} at {period}, expected {phi} ± {error}");
    }
}

#[test]
fn drift_grows_with_time_at_the_units_own_rate() {
    let p = simple(2000, r#"period: "10s""#, "drift_per_year: 1000.0");
    let by_device = readings(&p, 0.0, 600);
    let year_s = 365.25 * 86_400.0;
    let rates: Vec<f64> = by_device.iter().map(|v| (v[59] - v[0]) / 590.0 * year_s).collect();
    assert_std(std(&rates), 1000.0, rates.len());
}

#[test]
fn a_step_is_followed_to_63_percent_after_one_time_constant_at_any_period() {
    for period in ["125ms", "500ms", "1s", "5s"] {
        let p = simple(20, &format!(r#"period: "{period}""#), "tau_s: 10.0");
        let mut sim = Sim::new(&p, true);
        sim.set("outside/x", 0.0);
        sim.run(10);
        let (before, t0) = (sim.rows.len(), 10.0);
        sim.set("outside/x", 1.0);
        sim.run(30);
        // A device has seen the old truth until its last wake before the step.
        for signal in 0..20 {
            let last =
                sim.rows[..before].iter().rfind(|r| r.signal.0 == signal).map_or(t0, |r| r.t.as_secs_f64());
            for r in sim.rows[before..].iter().filter(|r| r.signal.0 == signal) {
                let expected = 1.0 - (-(r.t.as_secs_f64() - last) / 10.0).exp();
                assert!((r.value - expected).abs() < 1e-9, "{period}: {} for {expected}", r.value);
            }
        }
    }
}

#[test]
fn readings_lie_on_the_grid_and_within_the_range() {
    for (lsb, per_unit) in [(0.1, 10.0), (0.25, 4.0), (0.3, 1.0 / 0.3), (5.0, 0.2)] {
        let def = sensor(&format!(
            r#"(format: 1, name: "s", source: "test", bus: Spi, active_ma: 1.0,
            channels: [(quantity: "x", unit: "degC", range: (-10.0, 20.0), lsb: {lsb}, noise_std: 8.0)])"#
        ));
        let p = plan(&scenario(100, r#"period: "1s""#, ""), &[def]);
        let values: Vec<f64> = readings(&p, 15.0, 50).concat();
        assert!(values.iter().all(|v| (-10.0..=20.0).contains(v)));
        assert!(values.iter().all(|v| ((v * per_unit) - (v * per_unit).round()).abs() < 1e-9));
        assert!(values.iter().any(|v| *v > 19.6), "noise of 8 reaches the end of the range");
        if lsb == 0.1 {
            assert!(
                values.iter().all(|v| v.to_string().len() <= 5),
                "decimals stay short: 20.3, not 20.300000000000001"
            );
        }
    }
}

#[test]
fn quantisation_rounds_to_the_nearest_step() {
    let p = simple(1, r#"period: "1s""#, "lsb: 0.5");
    for (truth, reading) in [(3.2, 3.0), (3.26, 3.5), (-3.26, -3.5), (2000.0, 1000.0), (-2000.0, -1000.0)] {
        assert_eq!(readings(&p, truth, 2)[0][0], reading);
    }
}

#[test]
fn hysteresis_opens_a_loop_of_its_width() {
    let p = simple(1, r#"period: "1s""#, "hysteresis: 2.0");
    let mut sim = Sim::new(&p, true);
    let sweep = (0..=10).chain((0..10).rev()).map(f64::from);
    for truth in sweep {
        sim.set("outside/x", truth);
        sim.tick();
    }
    let v: Vec<f64> = sim.rows.iter().map(|r| r.value).collect();
    for i in 3..=8 {
        assert_eq!(v[20 - i] - v[i], 2.0, "falling reads two above rising at {i}");
    }
}

#[test]
fn own_heat_goes_by_the_duty_cycle_and_other_quantities_leak_in() {
    let channel = r#"self_heating: 2.0, cross: [(quantity: "y", per_unit: 0.5, at: 20.0)]"#;
    for (firmware, rise) in
        [(r#"period: "1s""#, 2.0), (r#"period: "1s", awake: "100ms", deep_sleep: true"#, 0.2)]
    {
        let p = simple(1, firmware, channel);
        let mut sim = Sim::new(&p, true);
        sim.set("outside/x", 10.0);
        sim.set("outside/y", 24.0);
        sim.run(3);
        assert!((sim.rows[0].value - (10.0 + rise + 2.0)).abs() < 1e-12);
    }
}

#[test]
fn a_slow_part_gives_its_last_value_when_it_is_read_too_soon() {
    let slow = one("noise_std: 1.0", r#"min_interval: "2s","#);
    // Without a board the clocks are perfect, and every fourth read comes two seconds after.
    let p = plan(&scenario(5, r#"period: "500ms""#, "").replace(r#"board: "esp32", "#, ""), &[slow]);
    for v in readings(&p, 0.0, 20) {
        for four in v.chunks_exact(4) {
            assert!(four.iter().all(|x| *x == four[0]), "{four:?}");
        }
        assert!(v.chunks_exact(4).zip(v.chunks_exact(4).skip(1)).all(|(a, b)| a[0] != b[0]));
    }
}

#[test]
fn readings_are_stamped_when_their_conversion_is_done() {
    let slow = one("noise_std: 1.0", r#"conversion: "750ms","#);
    let fast = one("noise_std: 1.0", "");
    let text = scenario(50, r#"period: "1s", jitter: "10ms""#, "");
    let run = |def| {
        let mut sim = Sim::new(&plan(&text, &[def]), true);
        sim.run(20);
        assert!(sim.rows.is_sorted_by_key(|r| r.t), "rows that end in a later tick wait for it");
        sim.rows
    };
    let late: Vec<_> = run(slow);
    let shifted: Vec<_> =
        run(fast).into_iter().map(|r| (r.t + Span(750_000_000), r.signal, r.value)).collect();
    assert_eq!(late.iter().map(|r| (r.t, r.signal, r.value)).collect::<Vec<_>>(), shifted[..late.len()]);
    assert!(late.len() > 900);
}

#[test]
fn devices_wake_once_a_period_whatever_the_tick() {
    for (period, step, jitter) in [
        ("60s", "10ms", "0s"),
        ("60s", "1s", "2s"),
        ("1s", "10s", "50ms"),
        ("7ms", "100ms", "1ms"),
        ("1s", "1s", "50ms"),
    ] {
        let text = scenario(64, &format!(r#"period: "{period}", jitter: "{jitter}""#), "")
            .replace(r#"step: "1s""#, &format!(r#"step: "{step}""#));
        let p = plan(&text, &[one("noise_std: 1.0", "")]);
        let period_s = period.parse::<Span>().unwrap().as_secs_f64();
        let ticks = (10.0 * period_s.max(0.1) / p.scenario.step.as_secs_f64()).ceil() as usize;
        let total_s = ticks as f64 * p.scenario.step.as_secs_f64();
        let mut sim = Sim::new(&p, true);
        sim.run(ticks);
        let jitter_s = jitter.parse::<Span>().unwrap().as_secs_f64();
        let mut gaps = Vec::new();
        for signal in 0..64 {
            let t: Vec<f64> =
                sim.rows.iter().filter(|r| r.signal.0 == signal).map(|r| r.t.as_secs_f64()).collect();
            let expected = total_s / period_s;
            // Errors of the periods add up like a random walk's.
            let slack = 2.0 + 5.0 * jitter_s / period_s * expected.sqrt();
            assert!(
                t[0] < period_s && (t.len() as f64 - expected).abs() <= slack,
                "{period} {step}: {}",
                t.len()
            );
            gaps.extend(t.windows(2).map(|w| w[1] - w[0]));
        }
        if jitter_s > 0.0 {
            assert_std(std(&gaps), jitter_s, gaps.len());
        } else {
            assert!(gaps.iter().all(|g| (g / period_s - 1.0).abs() < 1e-4), "ppm errors only");
        }
    }
}

#[test]
fn the_length_of_a_tick_changes_no_reading() {
    let run = |step: &str, ticks| {
        let text = scenario(100, r#"period: "900ms", jitter: "50ms""#, "")
            .replace(r#"step: "1s""#, &format!(r#"step: "{step}""#));
        let p = plan(&text, &[one("noise_std: 1.0, wander_std: 1.0, wander_tau_s: 5.0, tau_s: 3.0", "")]);
        let mut sim = Sim::new(&p, true);
        sim.set("outside/x", 5.0);
        sim.run(ticks);
        (sim.hash(), sim.rows)
    };
    let fine = run("100ms", 400);
    assert_eq!(fine, run("1s", 40));
    assert_eq!(fine, run("20s", 2));
}

#[test]
fn parts_on_moving_bodies_are_sampled_at_their_own_instants() {
    let text = scenario(1, r#"period: "1ms""#, "").replace(r#"step: "1s""#, r#"step: "10ms""#);
    let p = plan(&text, &[one("noise_std: 0.0", "")]);
    let mut sim = Sim::with_truth(&p, true, &[("part/n-0/p/x", 0.0)]);
    for tick in 0..5 {
        let mut truth = sim.world.resource_mut::<Truth>();
        let id = truth.find("part/n-0/p/x").unwrap();
        let start = SimTime(tick * 10_000_000);
        let track: Vec<f64> = (0..10).map(|i| (tick * 10 + i) as f64).collect();
        truth.set_track(id, start, Span(10_000_000), &track);
        sim.tick();
    }
    assert!(sim.rows.len() >= 49);
    for r in &sim.rows {
        assert_eq!(r.value, (r.t.0 / 1_000_000) as f64, "the sub-step that holds {}", r.t);
    }
}

fn bme_fleet(count: u32, more: &str) -> Plan {
    let text = format!(
        r#"(format: 1, seed: 3, duration: "1h", step: "1s", fleet: [{more} (id: "n-{{}}", count: {count}, thing: "t", in: ["a", "b", "c"], link: "w")],
        world: (zones: [(id: "a"), (id: "b"), (id: "c")]), links: [(id: "w", loss: 0.2, latency_min_ms: 5.0, latency_jitter_ms: 20.0)],
        things: [(name: "t", source: "test", board: "esp32", parts: [(id: "bme280", model: "bme280", on: I2c(0x76))],
        firmware: (period: "1s", jitter: "30ms", publish: [(topic: "f/{{device}}", every: 2)]))])"#
    );
    plan(&text, &[sensor(BME280)])
}

fn run_bme(p: &Plan, watch: bool, threads: usize, ticks: usize) -> Sim {
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

#[test]
fn threads_and_watching_change_nothing() {
    let p = bme_fleet(5000, "");
    let mut one = run_bme(&p, true, 1, 4);
    for (threads, watch) in [(2, true), (4, true), (2, false)] {
        let mut other = run_bme(&p, watch, threads, 4);
        assert_eq!(one.hash(), other.hash(), "{threads} threads");
        assert_eq!(one.out, other.out);
        if watch {
            assert_eq!(one.rows, other.rows);
        } else {
            assert!(other.rows.is_empty());
        }
    }
    assert!(one.rows.len() > 50_000 && one.out.len() > 5_000);
}

#[test]
fn the_hash_sees_every_reading_and_the_seed() {
    let p = bme_fleet(100, "");
    let mut a = run_bme(&p, false, 1, 5);
    let mut b = Sim::new(&p, false);
    for (tick, zone_c) in [20.0, 20.0, 20.02, 20.0, 20.0].into_iter().enumerate() {
        for zone in ["a", "b", "c"] {
            b.set(&format!("zone/{zone}/temperature"), if tick == 2 && zone == "b" { zone_c } else { 20.0 });
        }
        b.tick();
    }
    assert_ne!(a.hash(), b.hash(), "one zone was warmer for one second");
    let other = Plan { seed: 4, ..p.clone() };
    assert_ne!(a.hash(), run_bme(&other, false, 1, 5).hash());
}

#[test]
fn another_device_or_part_shifts_no_stream() {
    let base = bme_fleet(30, "");
    let alone = run_bme(&base, true, 1, 20);
    let more = bme_fleet(31, r#"(id: "first-{}", count: 5, thing: "t", in: ["a"]),"#);
    let among = run_bme(&more, true, 1, 20);
    let text = scenario(30, r#"period: "1s", jitter: "10ms""#, "");
    let two_parts = text.replace(r#"parts: ["#, r#"parts: [(id: "o", model: "s", on: Spi("2")),"#);
    let def = one("noise_std: 1.0, bias_std: 1.0, wander_std: 1.0, wander_tau_s: 9.0", "");
    let (p1, p2) = (plan(&text, std::slice::from_ref(&def)), plan(&two_parts, std::slice::from_ref(&def)));
    let (mut s1, mut s2) = (Sim::new(&p1, true), Sim::new(&p2, true));
    s1.run(20);
    s2.run(20);
    for i in 0..30 {
        for quantity in ["temperature", "humidity", "pressure"] {
            let name = format!("n-{i}/bme280.{quantity}@reading");
            assert_eq!(alone.series(&base, &name), among.series(&more, &name), "{name}");
        }
        let name = format!("n-{i}/p.x@reading");
        assert_eq!(s1.series(&p1, &name), s2.series(&p2, &name));
        let o = format!("n-{i}/o.x@reading");
        assert_ne!(s1.series(&p1, &name), s2.series(&p2, &o), "parts have streams of their own");
    }
}

#[test]
fn shards_add_up_to_the_whole() {
    let whole = bme_fleet(300, "");
    let mut all = run_bme(&whole, true, 1, 10);
    let mut sum = 0u128;
    let (mut rows, mut out) = (Vec::new(), Vec::new());
    for shard in 0..2 {
        let part = Plan { shard: (shard, 2), zone_shard: vec![0, 1, 0], ..whole.clone() };
        let mut sim = run_bme(&part, true, 1, 10);
        sum = sum.wrapping_add(sim.hash().0);
        rows.append(&mut sim.rows);
        out.append(&mut sim.out);
    }
    rows.sort_by_key(|r| (r.t, r.signal));
    out.sort_by_key(|m| (m.due, m.publisher, m.seq));
    all.out.sort_by_key(|m| (m.due, m.publisher, m.seq));
    assert_eq!(all.hash().0, sum);
    assert_eq!(all.rows, rows);
    assert_eq!(all.out, out);
}

#[test]
fn a_device_of_three_sensors_takes_less_than_a_kilobyte() {
    let mut sim = run_bme(&bme_fleet(4096, ""), false, 2, 3);
    let (bytes, devices) = sense::footprint(&mut sim.world);
    assert_eq!(devices, 4096);
    assert!(bytes / devices < 1024, "{} bytes", bytes / devices);
}

const BATTERY: &str = r#"power: Battery(capacity_mah: 100.0, charge: (0.9, 0.9), ocv_v: [(0.0, 3.0), (1.0, 4.2)], r0_ohm: 0.2)"#;

fn battery_plan(capacity: &str, firmware: &str) -> Plan {
    let text = scenario(3, firmware, "")
        .replace("count: 3,", &format!("count: 3, {},", BATTERY.replace("100.0", capacity)));
    plan(&text, &[one("noise_std: 0.0", r#"conversion: "200ms","#)])
}

#[test]
fn a_battery_loses_exactly_the_charge_that_its_device_draws() {
    let p = battery_plan("100.0", r#"period: "10s", awake: "500ms", deep_sleep: true"#);
    let mut sim = Sim::new(&p, true);
    sim.run(1000);
    for i in 0..3 {
        let charge = sim.series(&p, &format!("n-{i}/power.charge@truth"));
        for (wakes, (t, percent)) in charge.iter().enumerate() {
            // Figures of the fixture's ESP32 and sensor: sleep 5 µA all the time, 50 mA − 5 µA for 0.5 s and 10 mA for 0.2 s a wake.
            let mas = 0.005 * t.as_secs_f64() + (wakes + 1) as f64 * ((50.0 - 0.005) * 0.5 + 10.0 * 0.2);
            let expected = 90.0 - 100.0 * mas / 3600.0 / 100.0;
            assert!((percent - expected).abs() < 1e-9, "{percent} for {expected}");
        }
        let (_, v) = sim.series(&p, &format!("n-{i}/power.voltage@truth"))[0];
        assert!((v - (3.0 + 1.2 * charge[0].1 / 100.0 - 0.2 * 0.05)).abs() < 1e-12);
    }
}

#[test]
fn an_empty_battery_ends_the_device_with_one_event() {
    let p = battery_plan("0.1", r#"period: "1s", awake: "500ms", publish: [(topic: "t/{device}")]"#);
    let mut sim = Sim::new(&p, true);
    sim.run(30);
    let readings = sim.rows.len();
    let out = sim.out.len();
    sim.run(10);
    assert_eq!((sim.rows.len(), sim.out.len()), (readings, out), "what is off stays off");
    assert_eq!(sim.events.iter().filter(|e| e.kind == "brown_out").count(), 3);
    assert_eq!(sim.counter("brown_outs"), 3);
}

fn link_plan(link: &str, timeline: &str, firmware: &str) -> Plan {
    let text = scenario(
        40,
        &format!(r#"period: "1s", publish: [(topic: "t/{{device}}")], {firmware}"#),
        &format!(r#"links: [(id: "w", {link})], timeline: [{timeline}]"#),
    );
    plan(&text.replace(r#"thing: "t")"#, r#"thing: "t", link: "w")"#), &[one("noise_std: 1.0", "")])
}

fn assert_balance(sim: &mut Sim) {
    let queued = firmware::queued(&mut sim.world);
    let air = sim.world.resource::<Air>().len() as u64;
    let (sent, gone) = (sim.counter("messages_sent"), sim.counter("messages_dropped"));
    assert_eq!(sent, sim.counter("messages_delivered") + gone + queued + air);
    assert_eq!(sim.counter("messages_delivered"), sim.out.len() as u64);
}

#[test]
fn messages_are_delivered_dropped_or_waiting() {
    for (link, firmware) in [
        ("loss: 0.0", ""),
        ("loss: 0.6, latency_min_ms: 2000.0, latency_jitter_ms: 100.0", "attempts: 1, queue: 2"),
        ("loss: 1.0", "attempts: 2, queue: 5"),
        ("radio: (tx_dbm: 0.0, distance_m: (20.0, 120.0))", "attempts: 2, queue: 1"),
    ] {
        let p = link_plan(link, "", firmware);
        let mut sim = Sim::new(&p, false);
        for _ in 0..30 {
            sim.tick();
            assert_balance(&mut sim);
        }
        assert_eq!(sim.counter("messages_sent"), 1200, "40 devices, once a second");
        if link == "loss: 1.0" {
            assert_eq!(firmware::queued(&mut sim.world), 200);
            assert_eq!(sim.events.iter().filter(|e| e.kind == "dropped").count(), 40, "one event an outage");
        }
    }
}

#[test]
fn loss_and_latency_follow_the_link() {
    let p = link_plan("loss: 0.3, latency_min_ms: 50.0, latency_jitter_ms: 20.0", "", "attempts: 50");
    let mut sim = Sim::new(&p, false);
    sim.run(400);
    let n = sim.counter("transmissions") as f64;
    let lost = 1.0 - sim.counter("messages_sent") as f64 / n;
    assert!((lost - 0.3).abs() < 5.0 * (0.3f64 * 0.7 / n).sqrt(), "{lost} of the transmissions were lost");
    // Messages that went through at the first try have the link's own latency.
    let p = link_plan("latency_min_ms: 50.0, latency_jitter_ms: 20.0", "", "");
    let mut sim = Sim::new(&p, false);
    sim.run(400);
    let ms: Vec<f64> = sim.out.iter().map(|m| (m.due - m.sent).as_secs_f64() * 1e3).collect();
    assert!(ms.iter().all(|l| *l >= 50.0));
    assert!((mean(&ms) - 70.0).abs() < 5.0 * 20.0 / (ms.len() as f64).sqrt(), "mean latency {}", mean(&ms));
}

#[test]
fn a_tick_delivers_what_is_due_in_it_in_order() {
    let p = link_plan("latency_min_ms: 100.0, latency_jitter_ms: 3000.0", "", "");
    let mut sim = Sim::new(&p, false);
    let mut seen: BTreeMap<u32, (u64, SimTime)> = BTreeMap::new();
    for tick in 0..60 {
        sim.tick();
        let out = std::mem::take(&mut sim.out);
        assert!(out.is_sorted_by_key(|m| (m.publisher, m.seq)));
        for m in out {
            assert!((tick * 1_000_000_000..(tick + 1) * 1_000_000_000).contains(&m.due.0));
            if let Some((seq, due)) = seen.insert(m.publisher, (m.seq, m.due)) {
                assert!(m.seq == seq + 1 && m.due >= due, "a device's messages do not overtake");
            }
        }
    }
    assert!(sim.world.resource::<Outbox>().0.is_empty());
}

#[test]
fn what_waited_out_an_outage_comes_first_and_the_oldest_is_gone() {
    let p = link_plan("loss: 0.0", r#"(at: "10s", until: "30s", do: LinkDown(link: "w"))"#, "queue: 8");
    let mut sim = Sim::new(&p, false);
    sim.run(10);
    let before = sim.out.len();
    sim.run(20);
    assert!(sim.out.len() - before <= 40, "the link is down, but for a retry across its end");
    sim.run(10);
    for device in 0..40 {
        let seqs: Vec<u64> = sim.out.iter().filter(|m| m.publisher == device).map(|m| m.seq).collect();
        assert!(seqs.is_sorted());
        let all: Vec<u64> = (0..40).collect();
        let missing: Vec<u64> = all.iter().filter(|s| !seqs.contains(s)).copied().collect();
        assert!((10..=13).contains(&missing.len()), "20 in the outage, 8 kept: {missing:?}");
        assert!(missing.windows(2).all(|w| w[1] == w[0] + 1), "the oldest ones");
        assert_eq!(missing[0], 10);
    }
    assert_balance(&mut sim);
}

#[test]
fn another_modules_messages_take_the_devices_link_and_numbers() {
    let p = link_plan("latency_min_ms: 250.0", "", "");
    let mut sim = Sim::new(&p, false);
    let command = |publisher| Message {
        sent: SimTime(100_000_000),
        due: SimTime::ZERO,
        publisher,
        seq: 99,
        topic: "heater/set".into(),
        payload: (*b"1").into(),
        qos: 1,
        retain: false,
    };
    sim.submit = vec![command(7), command(1000)];
    sim.run(3);
    let of_7: Vec<&Message> = sim.out.iter().filter(|m| m.publisher == 7).collect();
    let own = of_7.iter().find(|m| &*m.topic == "heater/set").unwrap();
    assert!(own.due.0 >= 350_000_000);
    assert!(of_7.windows(2).all(|w| w[1].seq > w[0].seq));
    let stranger = sim.out.iter().find(|m| m.publisher == 1000).unwrap();
    assert_eq!(stranger.due, stranger.sent, "who has no link of ours has a perfect one");
    assert_balance(&mut sim);
}

#[test]
fn json_tells_every_reading_as_it_was() {
    let p = bme_fleet(20, "");
    let sim = run_bme(&p, true, 1, 10);
    assert!(sim.out.len() > 60);
    for m in &sim.out {
        let object: serde_json::Value = serde_json::from_slice(&m.payload).unwrap();
        assert_eq!(&*m.topic, format!("f/n-{}", m.publisher));
        let ts = object["ts"].as_i64().unwrap();
        assert!((ts - 1_767_225_600_000 - m.sent.0 / 1_000_000).abs() <= 1);
        for quantity in ["temperature", "humidity", "pressure"] {
            let series = sim.series(&p, &format!("n-{}/bme280.{quantity}@reading", m.publisher));
            let told = object[format!("bme280.{quantity}")].as_f64().unwrap();
            assert!(series.iter().any(|(t, v)| *t == m.sent && *v == told), "{quantity} {told}");
        }
    }
    let texts = sim.out.iter().map(|m| m.payload.len());
    assert!(texts.max().unwrap() < 110, "shortest texts");
}

fn fault_plan(kind: &str, target: &str) -> (Plan, Plan) {
    let firmware = r#"period: "1s", jitter: "5ms", publish: [(topic: "t/{device}")]"#;
    let def = one("noise_std: 0.1, tau_s: 2.0", "");
    let sound = plan(&scenario(12, firmware, ""), std::slice::from_ref(&def));
    let event =
        format!(r#"timeline: [(at: "20s", until: "40s", do: Fault(target: "{target}", kind: {kind}))]"#);
    (sound, plan(&scenario(12, firmware, &event), &[def]))
}

/// Readings of the sound and the faulty run, of device 1: (t, sound, faulty).
fn with_fault(kind: &str, target: &str) -> (Vec<(f64, f64, f64)>, Sim, Sim) {
    let (sound, faulty) = fault_plan(kind, target);
    let run = |p: &Plan| {
        let mut sim = Sim::new(p, true);
        sim.set("outside/x", 10.0);
        sim.run(60);
        sim
    };
    let (a, b) = (run(&sound), run(&faulty));
    for i in [0, 2, 3, 11] {
        let name = format!("n-{i}/p.x@reading");
        assert_eq!(a.series(&sound, &name), b.series(&faulty, &name), "{kind} touches its target alone");
    }
    let name = "n-1/p.x@reading";
    let good: BTreeMap<SimTime, f64> = a.series(&sound, name).into_iter().collect();
    let pairs =
        b.series(&faulty, name).into_iter().filter_map(|(t, v)| Some((t.as_secs_f64(), *good.get(&t)?, v)));
    (pairs.collect(), a, b)
}

#[test]
fn each_fault_does_what_its_name_says_to_its_target_while_it_lasts() {
    type Law = fn(&[(f64, f64, f64)]) -> bool;
    let laws: [(&str, Law); 6] = [
        ("Bias(by: 3.0)", |v| v.iter().all(|(_, a, b)| (b - a - 3.0).abs() < 1e-9)),
        ("Gain(factor: 1.5)", |v| v.iter().all(|(_, a, b)| (b - a * 1.5).abs() < 1e-9)),
        ("Drift(per_h: 360.0)", |v| v.iter().all(|(t, a, b)| (b - a - 0.1 * (t - 20.0)).abs() < 1e-9)),
        ("Spike(by: 9.0)", |v| (v[0].2 - v[0].1 - 9.0).abs() < 1e-9 && v[1..].iter().all(|(_, a, b)| a == b)),
        ("Noise(std: 5.0)", |v| {
            let d: Vec<f64> = v.iter().map(|(_, a, b)| b - a).collect();
            (2.0..9.0).contains(&std(&d))
        }),
        ("Stuck", |v| v.iter().all(|(_, _, b)| *b == v[0].2)),
    ];
    for (kind, holds) in laws {
        let (v, _, sim) = with_fault(kind, "n-1/p.x");
        let (during, outside): (Vec<_>, Vec<_>) = v.iter().partition(|(t, ..)| (20.0..40.0).contains(t));
        assert!(during.len() >= 19 && holds(&during), "{kind}: {during:?}");
        assert!(outside.iter().all(|(_, a, b)| a == b), "{kind} leaves nothing behind");
        let labels: Vec<_> =
            sim.events.iter().map(|e| (e.t.as_secs_f64(), &*e.kind, &*e.subject, &*e.part)).collect();
        assert_eq!(labels, [(20.0, "fault_start", "n-1", "p.x"), (40.0, "fault_end", "n-1", "p.x")]);
    }
    let (v, ..) = with_fault("Stuck", "n-1/p.x");
    let onset = v.iter().position(|(t, ..)| *t >= 20.0).unwrap();
    assert_eq!(v[onset].2, v[onset - 1].2, "stuck at the last value before the onset");
}

#[test]
fn spikes_come_at_their_mean_rate() {
    let (v, ..) = with_fault("Spike(by: 9.0, every: 4)", "n-1/p.x");
    let hits = v.iter().filter(|(_, a, b)| b - a > 8.0).count();
    assert!((2..=12).contains(&hits), "{hits} in 20 s");
}

#[test]
fn a_dropout_silences_the_device() {
    let (v, a, b) = with_fault("Dropout", "n-1");
    assert!(v.iter().all(|(t, ..)| !(20.0..40.0).contains(t)));
    let count = |sim: &Sim, d| sim.out.iter().filter(|m| m.publisher == d).count();
    assert_eq!(count(&a, 0), count(&b, 0));
    assert!((19..=21).contains(&(count(&a, 1) - count(&b, 1))));
    assert_eq!(b.events.len(), 2);
    assert!(b.events.iter().all(|e| e.part.is_empty() && e.detail == "dropout"));
}

#[test]
fn a_glob_hits_every_device_it_names() {
    let (_, faulty) = fault_plan("Bias(by: 1.0)", "n-1*/p.*");
    let mut sim = Sim::new(&faulty, false);
    sim.run(60);
    let mut hit: Vec<&str> =
        sim.events.iter().filter(|e| e.kind == "fault_start").map(|e| &*e.subject).collect();
    hit.sort_unstable();
    assert_eq!(hit, ["n-1", "n-10", "n-11"]);
}

#[test]
fn a_fast_clock_wakes_early_and_stamps_ahead() {
    let (sound, faulty) = fault_plan("ClockSkew(ppm: 50000.0)", "n-1");
    let stamps = |p: &Plan| {
        let mut sim = Sim::new(p, false);
        sim.run(60);
        let of_1 = sim.out.into_iter().filter(|m| m.publisher == 1);
        of_1.map(|m| {
            let object: serde_json::Value = serde_json::from_slice(&m.payload).unwrap();
            (m.sent.as_secs_f64(), object["ts"].as_f64().unwrap() / 1e3 - 1_767_225_600.0)
        })
        .collect::<Vec<_>>()
    };
    let (good, bad) = (stamps(&sound), stamps(&faulty));
    assert_eq!(bad.len(), good.len() + 1, "5 % more wakes in 20 s");
    for (sent, ts) in bad {
        let ahead = if (20.0..40.0).contains(&sent) { 0.05 * (sent - 20.0) } else { 0.0 };
        assert!((ts - sent - ahead).abs() < 0.003, "{ts} at {sent}");
    }
}
