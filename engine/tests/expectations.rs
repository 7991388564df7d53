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
