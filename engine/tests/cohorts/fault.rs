//! Faults put into readings, devices and clocks.

use crate::common::{one, scenario, std};
use crate::fixture::{Sim, plan};
use std::collections::BTreeMap;
use twinfleet_engine::{plan::Plan, time::SimTime};

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
