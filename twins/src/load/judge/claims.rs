//! What a scenario claims of a broker, its thresholds, against what was measured; and the table of what was.

use super::Verdict;
use crate::load::{job::Job, tally::Tally, times::Percentiles};
use serde::{Deserialize, Serialize};
use twinfleet_engine::scenario::load::{Counter, Metric, ThresholdDef};

/// How a threshold came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The claim in words.
    pub claim: String,
    /// Whether it held; None: there was nothing to judge.
    pub held: Option<bool>,
    /// What was measured, in words.
    pub measured: String,
    /// By how much it held (≥ 0) or failed (< 0), in `unit`.
    pub margin: f64,
    /// Unit of the margin.
    pub unit: String,
}

/// The guarantees of delivery, that commands are followed unless a threshold says how many need not be, and every threshold.
pub fn thresholds(job: &Job, tally: &Tally, verdict: &Verdict) -> Vec<Outcome> {
    // Nothing sent, or nothing delivered of what somebody waited for, proves nothing.
    let silent = verdict.expected > 0 && verdict.received == 0;
    let deaf = is_deaf(job, verdict);
    let judged = verdict.breaches > 0 || (verdict.sent > 0 && !silent && !deaf || job.devices.is_empty());
    let guarantee = Outcome {
        claim: "the broker keeps what MQTT promises".to_owned(),
        held: judged.then_some(verdict.breaches == 0),
        measured: match (judged, silent) {
            (false, true) => {
                format!("none of {} deliveries came: there was nothing to judge", verdict.expected)
            }
            (false, false) if deaf => {
                "no subscriber's filter takes what was sent: there was nothing to judge".to_owned()
            }
            (false, false) => "nothing was sent".to_owned(),
            (true, _) => format!("{} breaches", verdict.breaches),
        },
        // Not the negative of it: zero has a sign.
        margin: 0.0 - verdict.breaches as f64,
        unit: "messages".to_owned(),
    };
    let each = job.load.thresholds.iter().map(|t| threshold(t, tally, verdict));
    let of_commands = |t: &ThresholdDef| matches!(t, ThresholdDef::AtMost { of, .. } | ThresholdDef::AtLeast { of, .. } if *of == Counter::CommandsFailed);
    let loose = job.load.commands.is_some() && !job.load.thresholds.iter().any(of_commands);
    let c = &tally.counts;
    let followed = loose.then(|| Outcome {
        claim: "each command is followed before the next".to_owned(),
        held: (c.commands > 0).then_some(c.commands_failed == 0),
        measured: format!("{} of {} were not", c.commands_failed, c.commands),
        margin: 0.0 - c.commands_failed as f64,
        unit: "commands".to_owned(),
    });
    let of_refused =
        |t: &ThresholdDef| matches!(t, ThresholdDef::AtMost { of, .. } if *of == Counter::Refused);
    let loose = !job.load.thresholds.iter().any(of_refused);
    // A refused subscription takes its connection with it.
    let accepted = (loose && c.refused > 0).then(|| Outcome {
        claim: "the broker takes every connection and subscription".to_owned(),
        held: Some(false),
        measured: format!(
            "{} connections were refused, {} of them their subscription",
            c.refused, c.subscriptions_refused
        ),
        margin: 0.0 - c.refused as f64,
        unit: "connections".to_owned(),
    });
    std::iter::once(guarantee).chain(accepted).chain(followed).chain(each).collect()
}

/// Whether subscribers are there and wait for nothing that was sent, by a filter that is none of the devices' topics. What comes of
/// the broker itself, of an operator and of wills is not counted as sent.
fn is_deaf(job: &Job, verdict: &Verdict) -> bool {
    let whole = job.shard.1 == 1 && job.load.commands.is_none();
    let others = job.load.devices.iter().any(|d| d.will.is_some())
        || job.load.subscribers.iter().any(|s| s.filter.starts_with('$'));
    whole && !others && !job.subscribers.is_empty() && verdict.sent > 0 && verdict.expected == 0
}

/// The promise about retained messages, where nobody could look whether it was kept.
pub fn unseen(why: &str) -> Outcome {
    Outcome {
        claim: "a newcomer is given what was retained".to_owned(),
        held: None,
        measured: why.to_owned(),
        margin: 0.0,
        unit: "messages".to_owned(),
    }
}

fn threshold(def: &ThresholdDef, tally: &Tally, verdict: &Verdict) -> Outcome {
    match def {
        ThresholdDef::Below { of, percentile, bound, stage, qos } => {
            let histogram = tally.times.of(*of, *qos, *stage);
            let bound_ms = bound.as_secs_f64() * 1e3;
            let ms = histogram.value_at_quantile(percentile / 100.0) as f64 * 1e-3;
            let of_qos = qos.map_or(String::new(), |q| format!(" at QoS {q}"));
            let in_stage = stage.map_or(String::new(), |s| format!(" in stage {s}"));
            let name = if *percentile >= 100.0 { "largest".to_owned() } else { format!("p{percentile}") };
            // Whatever came has a service time as well.
            let came = || tally.times.of(Metric::Service, *qos, *stage).len();
            let missing = match (of, verdict.never_sent) {
                (Metric::Latency, _) => match histogram.len().saturating_sub(came()) {
                    0 => String::new(),
                    n => format!(", {n} of which never came and count with the time waited"),
                },
                (Metric::PublishDelay, 1..) if qos.is_some() || stage.is_some() => {
                    ", of which those that were never sent count with the time waited".to_owned()
                }
                (Metric::PublishDelay, never @ 1..) => {
                    format!(", {never} of which were never sent and count with the time waited")
                }
                _ => String::new(),
            };
            Outcome {
                claim: format!("{name} {}{of_qos}{in_stage} stays below {bound}", of.word()),
                held: (!histogram.is_empty()).then_some(ms < bound_ms),
                measured: format!("{ms:.2} ms of {} values{missing}", histogram.len()),
                margin: bound_ms - ms,
                unit: "ms".to_owned(),
            }
        }
        ThresholdDef::AtMost { of, bound } => {
            let (word, n) = counter(*of, tally, verdict);
            Outcome {
                claim: format!("{word} is at most {bound}"),
                held: Some(n <= *bound),
                measured: n.to_string(),
                margin: *bound as f64 - n as f64,
                unit: String::new(),
            }
        }
        ThresholdDef::AtLeast { of, bound } => {
            let (word, n) = counter(*of, tally, verdict);
            Outcome {
                claim: format!("{word} is at least {bound}"),
                held: Some(n >= *bound),
                measured: n.to_string(),
                margin: n as f64 - *bound as f64,
                unit: String::new(),
            }
        }
        ThresholdDef::Kept { share } => {
            let planned = verdict.planned;
            let kept: u64 = tally.devices.values().map(|book| u64::from(book.kept)).sum();
            let part = kept as f64 / planned.max(1) as f64;
            Outcome {
                claim: format!("at least {} % of the planned messages were taken in time", share * 100.0),
                held: (planned > 0).then_some(part >= *share),
                measured: format!("{kept} of {planned}"),
                margin: (part - share) * 100.0,
                unit: "%".to_owned(),
            }
        }
    }
}

/// What a threshold counts: in words, and how many there were.
fn counter(of: Counter, tally: &Tally, verdict: &Verdict) -> (&'static str, u64) {
    match of {
        Counter::Sent => ("messages sent", verdict.sent),
        Counter::Acknowledged => ("messages acknowledged", verdict.acknowledged),
        Counter::Received => ("deliveries", verdict.received),
        Counter::Lost => ("deliveries lost", verdict.lost),
        Counter::Duplicated => ("deliveries duplicated", verdict.duplicated),
        Counter::Reordered => ("deliveries reordered", verdict.reordered),
        Counter::Invented => ("deliveries invented", verdict.invented),
        Counter::Violations => ("breaches", verdict.breaches),
        Counter::Disconnected => ("connections that broke", tally.counts.disconnected),
        Counter::Refused => ("connections that could not be made", tally.counts.refused),
        Counter::CommandsFailed => ("commands not followed", tally.counts.commands_failed),
    }
}

/// A metric by percentiles, all stages and qualities and each by itself: what was measured, quality of service (None: all),
/// stage (None: all), percentiles.
pub fn table(job: &Job, tally: &Tally) -> Vec<(Metric, Option<u8>, Option<u32>, Percentiles)> {
    let keys: Vec<_> = tally.times.all().map(|(k, _)| k).collect();
    let mut rows = Vec::new();
    for metric in Metric::ALL {
        let of: Vec<_> = keys.iter().filter(|k| k.0 == metric).collect();
        let mut qualities: Vec<u8> = of.iter().map(|k| k.1).collect();
        qualities.dedup();
        qualities.sort_unstable();
        qualities.dedup();
        for qos in qualities {
            let all = tally.times.of(metric, Some(qos), None);
            rows.push((metric, Some(qos), None, Percentiles::of(&all)));
            if job.stages.len() > 1 {
                for (_, _, stage) in of.iter().filter(|k| k.1 == qos) {
                    let part = tally.times.of(metric, Some(qos), Some(*stage));
                    rows.push((metric, Some(qos), Some(*stage), Percentiles::of(&part)));
                }
            }
        }
    }
    rows
}
