//! Messages and the links they take.

use crate::common::{bme_fleet, mean, one, run_bme, scenario};
use crate::fixture::{Sim, plan};
use std::collections::BTreeMap;
use twinfleet_engine::{firmware, link::Air, message::Message, plan::Plan, time::SimTime, world::Outbox};

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

#[test]
fn received_power_is_a_signal_that_payloads_can_tell() {
    // 17 dBm over 20 m without shadowing: 17 − (40 + 30·lg 20) = −62.03 dBm.
    let publish = r#"publish: [(topic: "t/{device}", payload: Template("{rssi_dbm:.2}"))]"#;
    let text = scenario(
        3,
        &format!(r#"period: "1s", {publish}"#),
        r#"links: [(id: "w", radio: (tx_dbm: 17.0, distance_m: (20.0, 20.0), shadowing_db: 0.0, loss_1m_db: 40.0, exponent: 3.0))]"#,
    );
    let radio =
        plan(&text.replace(r#"thing: "t")"#, r#"thing: "t", link: "w")"#), &[one("noise_std: 1.0", "")]);
    let mut sim = Sim::new(&radio, true);
    sim.run(20);
    let expected = 17.0 - (40.0 + 30.0 * 20f64.log10());
    let rows = sim.series(&radio, "n-1/radio.rssi@truth");
    assert!(rows.len() >= 19 && rows.iter().all(|(_, dbm)| (dbm - expected).abs() < 1e-5), "{rows:?}");
    assert!(sim.out.len() > 50 && sim.out.iter().all(|m| &*m.payload == b"-62.03"));
    // A link that is no radio has none, and a template then says null.
    let wired = link_plan("loss: 0.0", "", "");
    assert_eq!(wired.signals.find("n-1/radio.rssi@truth"), None);
    // With fading it is what the device met when it last sent: it varies about its mean by so many dB.
    let fading = link_plan(
        r#"radio: (tx_dbm: 17.0, distance_m: (20.0, 20.0), shadowing_db: 0.0, exponent: 3.0, fading_db: 4.0, fading_tau: "5s")"#,
        "",
        "",
    );
    let mut sim = Sim::new(&fading, true);
    sim.run(300);
    let all: Vec<f64> =
        (0..40).flat_map(|i| sim.series(&fading, &format!("n-{i}/radio.rssi@truth"))).map(|r| r.1).collect();
    let (m, std) = (mean(&all), crate::common::std(&all));
    // 300 s of 40 devices are some 1,200 independent looks.
    assert!((m - expected).abs() < 0.6 && (std - 4.0).abs() < 0.4, "{m} ± {std} dBm");
}
