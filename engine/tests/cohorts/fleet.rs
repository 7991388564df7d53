//! Many devices: threads, shards, streams of their own, memory.

use crate::common::{bme_fleet, one, run_bme, scenario};
use crate::fixture::{Sim, plan};
use twinfleet_engine::{plan::Plan, sense};

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
