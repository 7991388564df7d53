//! The oracle: what MQTT promised of every message, held against the books; and the scenario's thresholds.
//!
//! What counts as a breach: at QoS 1 and 2, a message that the broker acknowledged and a subscriber never got, although its
//! session was there; at QoS 0 and 2, a delivery that came twice; a first delivery that overtook an earlier one of the same
//! device; a message that nobody sent, or another content or topic than was sent; a session that was to be kept and is gone, or
//! that was to expire and is there; a will that was owed. What MQTT allows — loss at QoS 0, duplicates at QoS 1 — is counted and is no breach.

use super::{
    job::Job,
    ledger::{Intervals, Receipt},
    tally::{SubscriberBook, Tally},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use twinfleet_engine::scenario::load::{Counter, Metric, ThresholdDef};

/// What is wrong with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Never came.
    Lost,
    /// Came again.
    Duplicated,
    /// Came behind later ones.
    Reordered,
    /// Nobody sent it.
    Invented,
    /// On another topic, or with another content.
    Altered,
    /// A session that was to be kept.
    SessionLost,
    /// A session that outlived its expiry.
    SessionOverstayed,
    /// A will that did not come.
    WillMissing,
    /// A retained message that a newcomer was not given, or an old one.
    NotRetained,
}

/// Something that the oracle found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub what: Wrong,
    /// Whether MQTT promised otherwise.
    pub breach: bool,
    /// Who noticed: a subscriber's client id, or the name of a shared subscription.
    pub subscriber: String,
    /// Whose messages.
    pub device: String,
    /// Quality of service that counted between the two.
    pub qos: u8,
    /// How many.
    pub count: u64,
    /// Which: numbers of messages.
    pub which: String,
}

/// Everything that the oracle has to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Messages written.
    pub sent: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Deliveries that there should have been.
    pub expected: u64,
    /// First deliveries.
    pub received: u64,
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came again.
    pub duplicated: u64,
    /// First deliveries behind later ones.
    pub reordered: u64,
    /// Deliveries of what nobody sent, or not so.
    pub invented: u64,
    /// Breaches of what MQTT promises, by message.
    pub breaches: u64,
    /// What was found, breaches first; at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
}

/// Findings that are kept word by word.
pub const MOST_FINDINGS: usize = 200;

/// Holds the books of all shards against what MQTT promises. `books` may be of one shard only: then what others sent is not
/// known, and only what this shard's devices sent is judged.
pub fn judge(job: &Job, tally: &Tally) -> Verdict {
    let mut verdict = Verdict {
        sent: tally.devices.values().map(|d| u64::from(d.sent.count)).sum(),
        acknowledged: tally.devices.values().map(|d| d.sent.acknowledged.len()).sum(),
        ..Verdict::default()
    };
    let mut findings = Vec::new();
    for (name, matches, qos, book, shared) in listeners(job, tally) {
        judge_listener(
            job,
            tally,
            &mut verdict,
            &mut findings,
            &Listener { name, matches, qos, book, shared },
        );
    }
    beside(tally, &mut findings);
    finish(&mut verdict, findings);
    verdict
}

/// Adds findings that came from elsewhere, such as the look at retained messages.
pub fn amend(verdict: &mut Verdict, more: Vec<Finding>) {
    let mut findings = std::mem::take(&mut verdict.findings);
    findings.extend(more);
    verdict.breaches = 0;
    finish(verdict, findings);
}

fn finish(verdict: &mut Verdict, mut findings: Vec<Finding>) {
    findings.sort_by(|a, b| b.breach.cmp(&a.breach).then(a.what.cmp(&b.what)));
    verdict.breaches += findings.iter().filter(|f| f.breach).map(|f| f.count).sum::<u64>();
    verdict.more_findings += findings.len().saturating_sub(MOST_FINDINGS) as u64;
    findings.truncate(MOST_FINDINGS);
    verdict.findings = findings;
}

struct Listener<'a> {
    name: String,
    matches: &'a twinfleet_engine::message::TopicFilter,
    qos: u8,
    book: std::borrow::Cow<'a, SubscriberBook>,
    shared: bool,
}

type Listed<'a> =
    (String, &'a twinfleet_engine::message::TopicFilter, u8, std::borrow::Cow<'a, SubscriberBook>, bool);

/// Sessions of their own, and shared subscriptions as one each.
fn listeners<'a>(job: &'a Job, tally: &'a Tally) -> Vec<Listed<'a>> {
    use std::borrow::Cow;
    let mut all: Vec<Listed<'a>> = Vec::new();
    let mut shares: BTreeMap<usize, usize> = BTreeMap::new();
    for s in job.subscribers.iter() {
        let Some(book) = tally.subscribers.get(&s.ordinal) else { continue };
        let Some(group) = s.share else {
            all.push((s.id.to_string(), &s.matches, s.qos, Cow::Borrowed(book), false));
            continue;
        };
        let Some(at) = shares.get(&group) else {
            shares.insert(group, all.len());
            let share = job.load.subscribers[group].share.clone().unwrap_or_default();
            all.push((format!("$share/{share}"), &s.matches, s.qos, Cow::Borrowed(book), true));
            continue;
        };
        let joined = all[*at].3.to_mut();
        joined.subscribed |= book.subscribed;
        joined.gaps += book.gaps;
        for (device, receipt) in &book.receipts {
            joined.receipts.entry(*device).or_default().join(receipt);
        }
    }
    all
}

fn judge_listener(
    job: &Job,
    tally: &Tally,
    verdict: &mut Verdict,
    findings: &mut Vec<Finding>,
    listener: &Listener<'_>,
) {
    let book = &listener.book;
    let nothing = Receipt::default();
    for device in job.devices.iter() {
        let def = &job.load.devices[device.group];
        let receipt = book.receipts.get(&device.ordinal);
        let Some(books) = tally.devices.get(&device.ordinal) else {
            // Another shard's: judged once the books are merged.
            verdict.received += receipt.map_or(0, |r| r.got.len());
            continue;
        };
        let expected = if device.topic.is_empty() {
            // Its firmware chose the topics; what came at all shows that it was heard.
            receipt.is_some()
        } else {
            listener.matches.matches(&device.topic)
        };
        if !expected && receipt.is_none() {
            continue;
        }
        let receipt = receipt.unwrap_or(&nothing);
        let sent = Intervals::below(books.sent.count);
        let qos = def.qos.min(listener.qos);
        let mut find = |what, breach, which: &Intervals, count: u64| {
            findings.push(Finding {
                what,
                breach,
                subscriber: listener.name.clone(),
                device: device.id.to_string(),
                qos,
                count,
                which: which.words(),
            });
        };
        verdict.expected += sent.len();
        let invented = receipt.got.minus(&sent);
        verdict.received += receipt.got.len() - invented.len();
        if !invented.is_empty() {
            verdict.invented += invented.len();
            find(Wrong::Invented, true, &invented, invented.len());
        }
        if !receipt.altered.is_empty() {
            verdict.invented += receipt.altered.len();
            find(Wrong::Altered, true, &receipt.altered, receipt.altered.len());
        }
        let lost = sent.minus(&receipt.got);
        if !lost.is_empty() {
            verdict.lost += lost.len();
            // Promised: what was acknowledged, to a session that was there all the time.
            let promised = qos > 0 && book.subscribed && book.gaps == 0;
            let broken = books.sent.acknowledged.minus(&receipt.got);
            if promised && !broken.is_empty() {
                find(Wrong::Lost, true, &broken, broken.len());
            }
            let rest = if promised { lost.minus(&broken) } else { lost };
            if !rest.is_empty() {
                find(Wrong::Lost, false, &rest, rest.len());
            }
        }
        if receipt.duplicates > 0 {
            verdict.duplicated += receipt.duplicates;
            // A sender of QoS 1 that repeats itself makes new messages of one; a broker must not.
            let breach = match def.qos {
                1 => qos == 0 && books.resent == 0,
                2 => qos == 2,
                _ => true,
            };
            // Members of a shared subscription that leave hand their messages on.
            find(
                Wrong::Duplicated,
                breach && !(listener.shared && qos < 2),
                &receipt.again,
                receipt.duplicates,
            );
        }
        if !receipt.late.is_empty() {
            verdict.reordered += receipt.late.len();
            let breach = !listener.shared && books.resent == 0 && book.gaps == 0;
            find(Wrong::Reordered, breach, &receipt.late, receipt.late.len());
        }
    }
    // Of devices that there are not.
    for (ordinal, receipt) in book.receipts.iter().filter(|(o, _)| **o as usize >= job.devices.len()) {
        verdict.invented += receipt.got.len();
        findings.push(Finding {
            what: Wrong::Invented,
            breach: true,
            subscriber: listener.name.clone(),
            device: format!("#{ordinal}"),
            qos: listener.qos,
            count: receipt.got.len(),
            which: receipt.got.words(),
        });
    }
}

/// What is not about single deliveries.
fn beside(tally: &Tally, findings: &mut Vec<Finding>) {
    let c = &tally.counts;
    let whole = |what, count, which: &str| Finding {
        what,
        breach: true,
        subscriber: String::new(),
        device: String::new(),
        qos: 0,
        count,
        which: which.to_owned(),
    };
    if c.sessions_lost > 0 {
        findings.push(whole(Wrong::SessionLost, c.sessions_lost, "sessions that the broker was to keep"));
    }
    if c.sessions_overstayed > 0 {
        let which = "sessions that were to expire, and were still there";
        findings.push(whole(Wrong::SessionOverstayed, c.sessions_overstayed, which));
    }
    if c.wills < c.wills_owed {
        findings.push(whole(
            Wrong::WillMissing,
            c.wills_owed - c.wills,
            "wills of devices that were cut off",
        ));
    }
}

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

/// The guarantees of delivery, and every threshold.
pub fn thresholds(job: &Job, tally: &Tally, verdict: &Verdict) -> Vec<Outcome> {
    let guarantee = Outcome {
        claim: "the broker keeps what MQTT promises".to_owned(),
        // Nothing sent proves nothing.
        held: (verdict.sent > 0 || job.devices.is_empty()).then_some(verdict.breaches == 0),
        measured: format!("{} breaches", verdict.breaches),
        // Not the negative of it: zero has a sign.
        margin: 0.0 - verdict.breaches as f64,
        unit: "messages".to_owned(),
    };
    let each = job.load.thresholds.iter().map(|t| threshold(t, job, tally, verdict));
    std::iter::once(guarantee).chain(each).collect()
}

fn threshold(def: &ThresholdDef, job: &Job, tally: &Tally, verdict: &Verdict) -> Outcome {
    match def {
        ThresholdDef::Below { of, percentile, bound, stage, qos } => {
            let histogram = tally.times.of(*of, *qos, *stage);
            let bound_ms = bound.as_secs_f64() * 1e3;
            let ms = histogram.value_at_quantile(percentile / 100.0) as f64 * 1e-3;
            let of_qos = qos.map_or(String::new(), |q| format!(" at QoS {q}"));
            let in_stage = stage.map_or(String::new(), |s| format!(" in stage {s}"));
            let name = if *percentile >= 100.0 { "largest".to_owned() } else { format!("p{percentile}") };
            Outcome {
                claim: format!("{name} {}{of_qos}{in_stage} stays below {bound}", of.word()),
                held: (!histogram.is_empty()).then_some(ms < bound_ms),
                measured: format!("{ms:.2} ms of {} values", histogram.len()),
                margin: bound_ms - ms,
                unit: "ms".to_owned(),
            }
        }
        ThresholdDef::AtMost { of, bound } => {
            let n = counter(*of, tally, verdict);
            Outcome {
                claim: format!("{} is at most {bound}", word(*of)),
                held: Some(n <= *bound),
                measured: n.to_string(),
                margin: *bound as f64 - n as f64,
                unit: String::new(),
            }
        }
        ThresholdDef::AtLeast { of, bound } => {
            let n = counter(*of, tally, verdict);
            Outcome {
                claim: format!("{} is at least {bound}", word(*of)),
                held: Some(n >= *bound),
                measured: n.to_string(),
                margin: n as f64 - *bound as f64,
                unit: String::new(),
            }
        }
        ThresholdDef::Kept { share } => {
            let planned: u64 = tally.devices.keys().map(|o| planned(job, *o)).sum();
            let done = |(ordinal, book): (&u32, &super::tally::DeviceBook)| {
                let qos = job.devices.get(*ordinal as usize).map_or(0, |d| job.load.devices[d.group].qos);
                if qos == 0 { u64::from(book.sent.count) } else { book.sent.acknowledged.len() }
            };
            let kept: u64 = tally.devices.iter().map(done).sum();
            let part = kept as f64 / planned.max(1) as f64;
            Outcome {
                claim: format!("at least {} % of the planned messages were taken", share * 100.0),
                held: (planned > 0).then_some(part >= *share),
                measured: format!("{kept} of {planned}"),
                margin: (part - share) * 100.0,
                unit: "%".to_owned(),
            }
        }
    }
}

/// Messages that a device's schedule holds; of firmware, what it sent.
fn planned(job: &Job, ordinal: u32) -> u64 {
    let Some(d) = job.devices.get(ordinal as usize) else { return 0 };
    let def = &job.load.devices[d.group];
    twinfleet_engine::load::Schedule::new(&def.schedule, &job.stages, job.seed, &d.id).count() as u64
}

fn word(of: Counter) -> &'static str {
    match of {
        Counter::Sent => "messages sent",
        Counter::Acknowledged => "messages acknowledged",
        Counter::Received => "deliveries",
        Counter::Lost => "deliveries lost",
        Counter::Duplicated => "deliveries duplicated",
        Counter::Reordered => "deliveries reordered",
        Counter::Invented => "deliveries invented",
        Counter::Violations => "breaches",
        Counter::Disconnected => "connections that broke",
        Counter::Refused => "connections that could not be made",
    }
}

fn counter(of: Counter, tally: &Tally, verdict: &Verdict) -> u64 {
    match of {
        Counter::Sent => verdict.sent,
        Counter::Acknowledged => verdict.acknowledged,
        Counter::Received => verdict.received,
        Counter::Lost => verdict.lost,
        Counter::Duplicated => verdict.duplicated,
        Counter::Reordered => verdict.reordered,
        Counter::Invented => verdict.invented,
        Counter::Violations => verdict.breaches,
        Counter::Disconnected => tally.counts.disconnected,
        Counter::Refused => tally.counts.refused,
    }
}

/// A metric by percentiles, all stages and qualities and each by itself: what was measured, quality of service (None: all),
/// stage (None: all), percentiles.
pub fn table(job: &Job, tally: &Tally) -> Vec<(Metric, Option<u8>, Option<u32>, super::times::Percentiles)> {
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
            rows.push((metric, Some(qos), None, super::times::Percentiles::of(&all)));
            if job.stages.len() > 1 {
                for (_, _, stage) in of.iter().filter(|k| k.1 == qos) {
                    let part = tally.times.of(metric, Some(qos), Some(*stage));
                    rows.push((metric, Some(qos), Some(*stage), super::times::Percentiles::of(&part)));
                }
            }
        }
    }
    rows
}
