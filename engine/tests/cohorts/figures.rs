//! A sensor's figures: noise, bias, wander, drift, lag, steps, hysteresis, own heat.

use crate::common::{assert_std, mean, readings, scenario, simple, std};
use crate::fixture::{Sim, plan, sensor};

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
