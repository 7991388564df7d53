//! When readings are taken and stamped.

use crate::common::{assert_std, one, readings, scenario, std};
use crate::fixture::{Sim, plan};
use twinfleet_engine::{
    time::{SimTime, Span},
    world::Truth,
};

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
