//! Expectations through the public door: their shape in RON, and the laws of their operators on generated traces.

use proptest::prelude::*;
use twinfleet_engine::{
    expect::{Evaluator, Expectation, Outcome, Status},
    record::sort_tick,
    signal::{Channel, Kind, SignalTable},
    time::SimTime,
    world::{Event, Row},
};

const S: i64 = 1_000_000_000;

fn ron(text: &str) -> Result<Expectation, String> {
    ron::Options::default()
        .with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME)
        .from_str(text)
        .map_err(|e| e.to_string())
}

fn read(text: &str) -> Expectation {
    ron(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Two devices with two channels each; ids 0..4.
fn table() -> SignalTable {
    let mut table = SignalTable::default();
    let channels = vec![Channel::new("s.a", Kind::Reading, "degC"), Channel::new("s.b", Kind::Reading, "lx")];
    table.add_block("n-{}", 2, channels);
    table
}

fn row(t_s: i64, signal: u32, value: f64) -> Row {
    Row { t: SimTime(t_s * S), signal: twinfleet_engine::signal::SignalId(signal), value }
}

fn event(t_s: i64, subject: &str, part: &str, kind: &str, detail: &str) -> Event {
    Event {
        t: SimTime(t_s * S),
        subject: subject.into(),
        part: part.into(),
        kind: kind.into(),
        detail: detail.into(),
        value: 0.0,
        ..Event::default()
    }
}

fn judge(text: &str, rows: &[Row], events: &[Event], end_s: i64) -> Outcome {
    let mut evaluator = Evaluator::new(&[read(text)], &table());
    let (mut rows, mut events) = (rows.to_vec(), events.to_vec());
    sort_tick(&mut rows, &mut events);
    evaluator.observe(&rows, &events);
    evaluator.finish(SimTime(end_s * S)).remove(0)
}

#[test]
fn every_operator_reads_with_named_fields() {
    for text in [
        r#"Always(signal: "pi-1/soc.temperature@residual", between: (-4.0, 4.0), unless: Fault("pi-1"), after: "1min", before: "2h")"#,
        r#"Always(name: "warm", signal: "*/s.a", above: 3, grace: "5min", unless: Verdict("pi-1/soc"))"#,
        r#"Never(verdict: Any, before: "30min")"#,
        r#"Never(verdict: (of: "pi-1", kind: "stuck", part: "soc"))"#,
        r#"Never(signal: "*/s.a@reading", outside: (0, 50))"#,
        r#"Never(event: (kind: "brown_out"))"#,
        r#"Eventually(signal: "*/s.a", above: 30, after: "1h", within: "2h", any: true)"#,
        r#"Eventually(event: (of: "n-*", kind: "dropped"))"#,
        r#"Within(after: "30min", within: "60s", verdict: (of: "pi-1", kind: "stuck", part: "soc.temperature"))"#,
        r#"Settles(signal: "*/s.a", to: 22.5, error: 0.5, after: "1h", within: "10min", hold: "1h")"#,
        r#"Rate(signal: "*/s.a", between: (-2, 2), per: "1h", over: "10min")"#,
        r#"Count(event: (kind: "dropped"), between: (0, 100))"#,
        r#"Count(signal: "*/s.a", above: 30, between: (1, 100))"#,
        r#"Implies(if: (signal: "*/s.a", above: 30), then: (signal: "*/s.b", above: 0.5), within: "5min")"#,
    ] {
        read(text);
    }
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    for (text, reason) in [
        (r#"Always(signal: "a/b")"#, "exactly one of above, below, between"),
        (r#"Always(signal: "a/b", above: 1, below: 2)"#, "exactly one of above, below, between"),
        (r#"Always(signal: "a/b", between: (2, 1))"#, "write the lower one first"),
        (r#"Always(signal: "ab", above: 1)"#, "names no part"),
        (r#"Always(signal: "a/b@x", above: 1)"#, "is no kind of signal"),
        (r#"Always(signal: "a/b", above: 1, after: "2h", before: "1h")"#, "looks at no time"),
        (r#"Always(signal: "a/b", abov: 1)"#, "abov"),
        (r#"Never(verdict: Any, above: 3)"#, "no signal that they could bound"),
        (r#"Never(verdict: Anything)"#, "expected `Any` or"),
        (r#"Never(verdict: (off: "pi-1"))"#, "expected `Any` or"),
        (r#"Never()"#, "exactly one of signal, verdict, event"),
        (r#"Settles(signal: "a/b", to: 1, error: 0, within: "1s")"#, "above zero"),
        (r#"Rate(signal: "a/b", above: 0, per: 0)"#, "above zero"),
        (r#"Eventually(event: (kind: "x"), any: true)"#, "chooses among signals"),
    ] {
        let error = ron(text).expect_err(text);
        assert!(error.contains(reason), "{text}: {error}");
    }
}

/// A trace: seconds, signal, value; times not sorted yet.
fn traces() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec((0i64..100, 0u32..4, -10.0f64..10.0), 0..80)
        .prop_map(|rows| rows.into_iter().map(|(t, s, v)| row(t, s, v)).collect())
}

fn happenings() -> impl Strategy<Value = Vec<Event>> {
    let kind = prop_oneof![
        Just("fault_start"),
        Just("fault_end"),
        Just("verdict"),
        Just("verdict_end"),
        Just("brown_out")
    ];
    proptest::collection::vec((0i64..100, 0u32..2, kind), 0..8).prop_map(|events| {
        let make = |(t, d, kind)| event(t, &format!("n-{d}"), "s.a", kind, "stuck");
        events.into_iter().map(make).collect()
    })
}

const ALL_OPERATORS: [&str; 12] = [
    r#"Always(signal: "n-*/s.a", between: (-5, 5), unless: Fault("n-*"), grace: "5s")"#,
    r#"Always(signal: "n-*/s.a", below: 5, unless: Fault("n-0"))"#,
    r#"Never(signal: "n-*/*", outside: (-8, 8), after: "10s", before: "80s")"#,
    r#"Never(verdict: Any, unless: Fault("n-1/s"))"#,
    r#"Eventually(signal: "n-*/*", above: 5)"#,
    r#"Eventually(signal: "n-*/*", above: 9, any: true, within: "30s")"#,
    r#"Within(after: "10s", within: "20s", verdict: (of: "n-0", kind: "Stuck", part: "s"))"#,
    r#"Settles(signal: "n-0/s.a", to: 0, error: 5, after: "10s", within: "20s", hold: "40s")"#,
    r#"Rate(signal: "*/s.a", between: (-3, 3), per: "10s", over: "15s")"#,
    r#"Count(signal: "*/s.b", above: 0, between: (3, 20))"#,
    r#"Count(event: (kind: "brown_out"), between: (0, 1))"#,
    r#"Implies(if: (signal: "n-*/s.a", above: 5), then: (signal: "n-*/s.b", above: 0), within: "20s")"#,
];

proptest! {
    /// How rows are cut into ticks does not matter, as long as events and rows of an instant stay together.
    #[test]
    fn splitting_ticks_changes_nothing(
        mut rows in traces(), mut events in happenings(), cuts in proptest::collection::vec(0i64..100, 0..6)
    ) {
        sort_tick(&mut rows, &mut events);
        let all: Vec<_> = ALL_OPERATORS.iter().map(|t| read(t)).collect();
        let mut whole = Evaluator::new(&all, &table());
        whole.observe(&rows, &events);
        let mut parts = Evaluator::new(&all, &table());
        let mut cuts = cuts;
        cuts.sort();
        cuts.push(100);
        let mut from = 0;
        for to in cuts {
            let within = |t: SimTime| t >= SimTime(from * S) && t < SimTime(to * S);
            let r: Vec<_> = rows.iter().filter(|r| within(r.t)).copied().collect();
            let e: Vec<_> = events.iter().filter(|e| within(e.t)).cloned().collect();
            parts.observe(&r, &e);
            from = to;
        }
        prop_assert_eq!(whole.finish(SimTime(100 * S)), parts.finish(SimTime(100 * S)));
    }

    /// □φ = ¬◇¬φ: always within, and eventually outside on any signal, have opposite margins, met at the same moment.
    #[test]
    fn always_is_not_eventually_not(rows in traces(), low in -9.0f64..0.0, width in 0.0f64..9.0) {
        let high = low + width;
        let always = judge(&format!(r#"Always(signal: "*/*", between: ({low:?}, {high:?}))"#), &rows, &[], 100);
        let eventually =
            format!(r#"Eventually(signal: "*/*", outside: ({low:?}, {high:?}), any: true)"#);
        let eventually = judge(&eventually, &rows, &[], 100);
        prop_assert_eq!(always.margin, eventually.margin.map(|m| -m));
        prop_assert_eq!(always.worst_at_s, eventually.worst_at_s);
        prop_assert_eq!(always.status == Status::NoData, rows.is_empty());
        // On the bound itself both hold, as both intervals are closed.
        if always.margin.is_some_and(|m| m != 0.0) {
            prop_assert_ne!(always.held(), eventually.held());
        }
    }

    /// `Never` outside is `Always` inside.
    #[test]
    fn never_outside_is_always_between(rows in traces(), low in -9.0f64..0.0, width in 0.0f64..9.0) {
        let high = low + width;
        let never = judge(&format!(r#"Never(signal: "*/*", outside: ({low:?}, {high:?}))"#), &rows, &[], 100);
        let always = judge(&format!(r#"Always(signal: "*/*", between: ({low:?}, {high:?}))"#), &rows, &[], 100);
        prop_assert_eq!((never.status, never.margin, never.against), (always.status, always.margin, always.against));
    }

    /// Widening a bound by `d` adds `d` to a margin.
    #[test]
    fn margins_follow_the_bound(rows in traces(), bound in -9.0f64..9.0, d in 0.0f64..5.0) {
        for (op, tail) in [("Always", ""), ("Eventually", ", any: true"), ("Eventually", "")] {
            let at = |b: f64| judge(&format!(r#"{op}(signal: "*/s.a", below: {b:?}{tail})"#), &rows, &[], 100);
            if let (Some(a), Some(b)) = (at(bound).margin, at(bound + d).margin) {
                prop_assert!((b - a - d).abs() < 1e-9, "{a} {b} {d}");
            }
        }
    }

    /// The margin says it all: held exactly when it is not below zero; nothing against it exactly when it held.
    #[test]
    fn status_follows_the_margin(rows in traces(), events in happenings()) {
        for text in ALL_OPERATORS {
            let out = judge(text, &rows, &events, 100);
            if let Some(margin) = out.margin {
                prop_assert_eq!(out.held(), margin >= 0.0, "{}: {:?}", text, &out);
            } else {
                prop_assert!(!out.held(), "{}: {:?}", text, &out);
            }
            if text.starts_with("Always") || text.starts_with("Rate") || text.starts_with("Implies") {
                prop_assert_eq!(out.held(), out.against == 0 && out.judged > 0, "{}: {:?}", text, &out);
            }
            prop_assert!(out.worst_at_s.is_none_or(|t| (0.0..=100.0).contains(&t)), "{:?}", &out);
            prop_assert!(!out.sentence.is_empty());
        }
    }

    /// `Implies` against the definition, on a single device with rows that arrive every second.
    #[test]
    fn implies_is_its_definition(
        a in proptest::collection::vec(any::<bool>(), 30), b in proptest::collection::vec(any::<bool>(), 30),
        within in 0i64..6
    ) {
        let mut rows = Vec::new();
        for t in 0..30i64 {
            rows.push(row(t, 0, f64::from(u8::from(a[t as usize]))));
            rows.push(row(t, 1, f64::from(u8::from(b[t as usize]))));
        }
        let text = format!(
            r#"Implies(if: (signal: "n-0/s.a", above: 1), then: (signal: "n-0/s.b", above: 1), within: "{within}s")"#
        );
        let out = judge(&text, &rows, &[], 30);
        let mut failed = false;
        for t in 0..30usize {
            let rises = a[t] && (t == 0 || !a[t - 1]);
            // b is what it is at t when a rises, whatever it was before.
            let met = (t..=(t + within as usize).min(29)).any(|u| b[u]);
            failed |= rises && !met && (t as i64 + within) < 30;
        }
        prop_assert_eq!(out.status == Status::Failed, failed, "{:?}", out);
    }
}

#[test]
fn a_premise_is_not_met_by_what_its_own_signal_was_before() {
    // Above 23 it must be below 22 again within three minutes, and takes twenty.
    let text = r#"Implies(if: (signal: "n-0/s.a", above: 23), then: (signal: "n-0/s.a", below: 22), within: "3min")"#;
    let rows: Vec<Row> = (0..40)
        .map(|minute| row(minute * 60, 0, if (10..30).contains(&minute) { 25.0 } else { 20.0 }))
        .collect();
    let out = judge(text, &rows, &[], 2400);
    assert_eq!((out.status, out.margin), (Status::Failed, Some(-17.0 * 60.0)), "{out:?}");
}

#[test]
fn what_is_to_hold_is_seen_to_its_end() {
    let text = r#"Settles(signal: "n-0/s.a", to: 0, error: 5, within: "5s", hold: "2h")"#;
    let rows: Vec<Row> = (0..60).map(|t| row(t, 0, 0.0)).collect();
    let out = judge(text, &rows, &[], 60);
    assert_eq!((out.status, out.margin), (Status::Failed, None), "{out:?}");
    assert!(out.sentence.contains("before its `hold` was over"), "{out:?}");
}

#[test]
fn a_fault_within_a_fault_does_not_end_it() {
    let fault = |t, kind| event(t, "n-0", "s.a", kind, "bias");
    let events =
        [fault(10, "fault_start"), fault(20, "fault_start"), fault(25, "fault_end"), fault(30, "fault_end")];
    let text = r#"Always(signal: "n-0/s.a", between: (-1, 1), unless: Fault("n-0"))"#;
    let rows: Vec<Row> = (0..40).map(|t| row(t, 0, if (10..30).contains(&t) { 9.0 } else { 0.0 })).collect();
    let out = judge(text, &rows, &events, 40);
    assert_eq!((out.status, out.judged), (Status::Held, 20), "{out:?}");
}

#[test]
fn a_fault_suspends_its_own_device_only_where_the_pattern_names_many() {
    let events =
        [event(10, "n-0", "s.a", "fault_start", "bias"), event(20, "n-0", "s.a", "fault_end", "bias")];
    let rows = |device: u32, t: i64| [row(t, device * 2, 9.0), row(90, 0, 1.0)];
    let many = r#"Always(signal: "n-*/s.a", below: 5, unless: Fault("n-*"), grace: "5s")"#;
    let one = r#"Always(signal: "n-*/s.a", below: 5, unless: Fault("n-0"), grace: "5s")"#;
    for (text, device, t, holds) in [
        (many, 0, 9, false),
        (many, 0, 10, true),
        (many, 0, 24, true),
        (many, 0, 25, false),
        (many, 1, 15, false),
        (one, 1, 15, true),
        (one, 1, 30, false),
    ] {
        assert_eq!(judge(text, &rows(device, t), &events, 100).held(), holds, "{text} n-{device} at {t}");
    }
}

#[test]
fn within_says_how_much_time_was_left_or_lacking() {
    let text = r#"Within(after: "30s", within: "60s", verdict: (of: "n-0", kind: "stuck", part: "s"))"#;
    let verdict = |t, kind: &str| event(t, "n-0", "s.a", "verdict", kind);
    let at = |events: &[Event]| judge(text, &[], events, 200);
    assert_eq!(at(&[verdict(50, "stuck")]).margin, Some(40.0));
    assert_eq!(at(&[verdict(95, "stuck: since 31s")]).margin, Some(-5.0));
    assert_eq!(at(&[verdict(90, "stuck")]).status, Status::Held);
    // What never came lacked the rest of the run, at least; where the run ended in time for it, nobody knows.
    let never = at(&[verdict(20, "stuck"), verdict(50, "bias")]);
    assert_eq!((never.status, never.margin, never.unit.as_str()), (Status::Failed, Some(-110.0), "s"));
    assert!(never.sentence.starts_with("failed by 1min50s at least: "), "{}", never.sentence);
    let cut_short = judge(text, &[], &[], 80);
    assert_eq!((cut_short.status, cut_short.margin), (Status::Failed, None));
    let implies =
        r#"Implies(if: (event: (kind: "brown_out")), then: (event: (kind: "reboot")), within: "20s")"#;
    let unmet = judge(implies, &[], &[event(50, "n-0", "", "brown_out", "")], 200);
    assert_eq!((unmet.status, unmet.margin), (Status::Failed, Some(-130.0)), "{unmet:?}");
}

#[test]
fn a_count_says_how_far_it_was_from_its_bounds() {
    let counted = |between: &str| {
        let events: Vec<_> = (0..7).map(|t| event(t, "n-0", "", "brown_out", "")).collect();
        let text = format!(r#"Count(event: (kind: "brown_out"), between: {between})"#);
        judge(&text, &[], &events, 100).sentence
    };
    assert_eq!(counted("(3, 20)"), "held with 4 to spare: counted 7, asked for between 3 and 20");
    assert_eq!(counted("(10, 20)"), "failed by 3: counted 7, asked for between 10 and 20");
    assert_eq!(counted("(7, 7)"), "held: counted 7, asked for between 7 and 7");
}

#[test]
fn a_rate_is_the_slope_of_a_ramp() {
    // 0.5 a second, with a row every 3 s; over 10 s the rows 12 s apart are compared.
    let rows: Vec<Row> = (0..30).map(|i| row(3 * i, 0, 1.5 * i as f64)).collect();
    let text = r#"Rate(signal: "n-0/s.a", between: (29, 31), per: "1min", over: "10s")"#;
    let out = judge(text, &rows, &[], 100);
    assert_eq!((out.status, out.margin, out.unit.as_str()), (Status::Held, Some(1.0), "°C/1min"));
    assert_eq!(out.judged, 26);
}

#[test]
fn no_number_fails_and_no_row_is_no_data() {
    let nan = [row(1, 0, 1.0), row(2, 0, f64::NAN)];
    for text in [
        r#"Always(signal: "n-0/s.a", above: 0)"#,
        r#"Never(signal: "n-0/s.a", below: 0)"#,
        r#"Settles(signal: "n-0/s.a", to: 1, error: 5, within: "1s")"#,
        r#"Rate(signal: "n-0/s.a", above: 0)"#,
    ] {
        let out = judge(text, &nan, &[], 10);
        assert_eq!((out.status, out.margin), (Status::Failed, None), "{out:?}");
        assert_eq!(judge(text, &[], &[], 10).status, Status::NoData);
    }
    let eventually = r#"Eventually(signal: "n-*/s.a", above: 0)"#;
    assert_eq!(judge(eventually, &nan, &[], 10).status, Status::NoData, "n-1 had no row");
    assert!(judge(r#"Never(verdict: Any)"#, &[], &[], 10).held());
}
