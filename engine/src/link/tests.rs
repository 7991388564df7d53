//! Hand-overs through a profile's limits.

use super::*;
use crate::link::profile::AirDef;

fn profile(text: &str) -> LinkProfileDef {
    let ron = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let text = format!(
        "(format: 1, name: \"t\", source: \"a test\", latency_min_ms: 10.0, latency_jitter_ms: 0.0, overhead_bytes: 13, \
          tx_dbm: 14.0, rssi50_dbm: -120.0, {text})"
    );
    ron.from_str(&text).unwrap_or_else(|e| panic!("{e}"))
}

/// A scenario of one link with this profile, and what the timeline does to it.
fn plan(profile: LinkProfileDef, timeline: &str, attempts: u32) -> LinkPlan {
    let text = format!(
        "(format: 1, duration: \"1d\", links: [(id: \"l\", profile: Some(\"t\"))], timeline: [{timeline}])"
    );
    let scenario: Scenario = ron::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
    let mut catalog = Catalog::default();
    catalog.links.insert("t".to_owned(), profile);
    LinkPlan::new(&scenario, &catalog, scenario.links.first(), None, &[], (attempts, 8))
}

fn message(seq: u64, sent: SimTime, bytes: usize) -> Message {
    Message {
        sent,
        due: sent,
        publisher: 0,
        seq,
        topic: "t".into(),
        payload: vec![0; bytes].into(),
        qos: 1,
        retain: false,
    }
}

fn at(s: i64) -> SimTime {
    SimTime::ZERO + Span::from_secs(s)
}

/// Hands over a message every `every` seconds; what arrived, and the tally.
fn send(plan: &LinkPlan, every: i64, n: u64, bytes: usize) -> (Vec<Message>, Tally) {
    let mut radios = Radios::default();
    radios.add(plan, 0, 1, "d");
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    for k in 0..n {
        radios.hand_over(0, message(k, at(every * k as i64), bytes), plan, &mut out, &mut tally);
    }
    (out, tally)
}

#[test]
fn a_duty_cycle_spaces_messages_and_drops_what_the_queue_cannot_hold() {
    let plan = plan(profile("air: Lora((sf: 12)), duty_cycle: Some(0.01)"), "", 1);
    let air = plan.air_time(20);
    let (out, tally) = send(&plan, 30, 2880, 20);
    // A day has 24 hours with 36 s each.
    let most = (24.0 * 36.0 / air.as_secs_f64()) as usize;
    assert!((most - 24..=most + 24).contains(&out.len()), "{} of at most {most}", out.len());
    assert!(tally.held_back > 20 && tally.dropped > 1000, "{tally:?}");
    assert!(tally.air_ns as f64 <= 25.0 * 36.0 * 1e9);
    assert!(out.windows(2).all(|w| w[0].seq < w[1].seq), "they do not overtake one another");
    // At a slower pace nothing waits.
    let (out, tally) = send(&plan, 300, 288, 20);
    assert_eq!((out.len(), tally.held_back, tally.dropped), (288, 0, 0));
}

#[test]
fn a_message_too_long_for_the_link_is_dropped_and_told_once() {
    let plan = plan(profile("air: Lora((sf: 12)), max_payload_bytes: Some(51)"), "", 1);
    let (out, tally) = send(&plan, 600, 5, 52);
    assert_eq!((out.len(), tally.dropped, tally.too_long, tally.transmissions), (0, 5, 1, 0));
    assert_eq!(send(&plan, 600, 5, 51).0.len(), 5);
}

#[test]
fn after_an_outage_the_network_is_joined_again_which_takes_its_time() {
    let rate = "air: Rate(bits_per_s: 1e6), listen: \"100ms\", join: \"7s\", rx_ma: 10.0";
    let down = "(at: \"100s\", until: Some(\"250s\"), do: LinkDown(link: \"l\"))";
    let plan = plan(profile(rate), down, 2);
    let (out, tally) = send(&plan, 60, 10, 20);
    assert_eq!((out.len(), tally.joins), (10, 1));
    // The first one after the outage waits for the join, those before did not.
    let late = |m: &Message| (m.due - m.sent).as_secs_f64();
    assert!(
        late(&out[1]) < 0.02 && (7.0..7.5).contains(&late(&out[5])),
        "{} {}",
        late(&out[1]),
        late(&out[5])
    );
    let tries = 10 + 2;
    assert_eq!(
        tally.transmissions, tries,
        "at the first wake the oldest failed twice, at the next two nothing was sent"
    );
    // Two tries to join at each of two wakes in vain, and then one.
    assert_eq!(tally.listen_ns, (tries as i64) * 100_000_000 + 5 * 7_000_000_000);
}

#[test]
fn deep_sleep_ends_an_association_and_each_wake_joins_once() {
    let wifi = "air: Rate(bits_per_s: 1e6), join: \"2s\", rx_ma: 50.0, lost_asleep: true";
    let on = plan(profile(wifi), "", 2);
    let asleep = on.clone().asleep(Some(Span(400_000_000)));
    let late = |m: &Message| (m.due - m.sent).as_secs_f64();
    let (out, tally) = send(&on, 60, 10, 20);
    assert_eq!((out.len(), tally.joins, tally.listen_ns), (10, 0, 0), "one that stays on has joined before");
    let (out, tally) = send(&asleep, 60, 10, 20);
    assert_eq!((out.len(), tally.joins, tally.listen_ns), (10, 10, 20_000_000_000));
    assert!(out.iter().all(|m| (2.0..2.1).contains(&late(m))));
    assert_eq!(tally.rejoins, 0, "which is no event");
    // Two messages of one wake share it.
    let mut radios = Radios::default();
    radios.add(&asleep, 0, 1, "d");
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    for (seq, s) in [(0, 0), (1, 0), (2, 60), (3, 60)] {
        radios.hand_over(0, message(seq, at(s), 20), &asleep, &mut out, &mut tally);
    }
    assert_eq!((out.len(), tally.joins), (4, 2));
    // A session that is kept in memory costs nothing.
    let kept = wifi.replace("true", "false");
    let (_, tally) = send(&plan(profile(&kept), "", 2).asleep(Some(Span(400_000_000))), 60, 10, 20);
    assert_eq!(tally.listen_ns, 0);
}

#[test]
fn where_nothing_is_received_nothing_is_joined() {
    let wifi = "air: Rate(bits_per_s: 1e6), join: \"2s\", rx_ma: 50.0, loss: 1.0, lost_asleep: true";
    let asleep = plan(profile(wifi), "", 2).asleep(Some(Span(400_000_000)));
    let (out, tally) = send(&asleep, 60, 10, 20);
    assert_eq!((out.len(), tally.joins, tally.transmissions, tally.dropped), (0, 0, 0, 2));
    assert_eq!(tally.listen_ns, 40_000_000_000, "two tries of 2 s a wake");
}

#[test]
fn a_reset_loses_the_queue_and_the_network() {
    let down = "(at: \"0s\", until: Some(\"250s\"), do: LinkDown(link: \"l\"))";
    let plan = plan(profile("air: Rate(bits_per_s: 1e6), join: \"2s\""), down, 1);
    let mut radios = Radios::default();
    radios.add(&plan, 0, 1, "d");
    let (mut out, mut tally) = (Vec::new(), Tally::default());
    for k in 0..3 {
        radios.hand_over(0, message(k, at(60 * k as i64), 20), &plan, &mut out, &mut tally);
    }
    assert_eq!(radios.reset(0), 3);
    radios.hand_over(0, message(3, at(300), 20), &plan, &mut out, &mut tally);
    assert_eq!((out.len(), out[0].seq, tally.joins), (1, 3, 1));
}

#[test]
fn airtime_is_the_rates_and_the_overhead_counts() {
    let rate = AirDef::Rate { bits_per_s: 1e6, fixed: Span(1_000) };
    assert_eq!(rate.time(125), Span(1_001_000));
    let plan = plan(profile("air: Rate(bits_per_s: 1e6)"), "", 1);
    assert_eq!(plan.air_time(112), Span(1_000_000));
}
