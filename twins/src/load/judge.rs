//! The oracle: what MQTT promised of every message, held against the books: a device at a time in `sender`. What the scenario
//! claims beside, its thresholds, is judged in `claims`.
//!
//! What counts as a breach: at QoS 1 and 2, a message that the broker acknowledged and a subscriber never got, although its
//! session was there; at QoS 0 and 2, a delivery that came twice; a first delivery that overtook an earlier one of the same
//! device to the same topic and quality of service, at a subscription of its own; a message that nobody sent, or another content, topic or quality of service than was sent; a session
//! that was to be kept and is gone, or that was to expire and is there; a will that was owed; a connection left open that the
//! broker had to close. What MQTT allows — loss at QoS 0, duplicates at QoS 1, loss to a session of one connection while it is
//! away — is counted and is no breach; nor is what a fault of ours held back to the very end. Of shared subscriptions, MQTT 5
//! promises no order: topics are ordered for non-shared ones ([MQTT-4.6.0-6]). What one member got out of its order is counted and
//! named all the same; between members there is none to speak of.

mod claims;
mod sender;

pub use claims::{Outcome, table, thresholds, unseen};

use super::{
    job::Job,
    ledger::{Receipt, WILLS, key},
    tally::{DeviceBook, SubscriberBook, Tally},
};
use sender::{LEAST_BEFORE_NS, Sender};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};
use twinfleet_engine::{message::TopicFilter, scenario::load::Metric};

/// What is wrong with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// Never came.
    Lost,
    /// Had not come by the end, while a fault of ours kept the subscriber from reading or acknowledging.
    HeldBack,
    /// Came again.
    Duplicated,
    /// Came behind later ones.
    Reordered,
    /// Nobody sent it.
    Invented,
    /// On another topic, or with another content.
    Altered,
    /// At another quality of service than the lower one of the message's and the subscription's.
    WrongQos,
    /// Marked as a message that the broker had kept, which it was not.
    MarkedKept,
    /// A session that was to be kept.
    SessionLost,
    /// A session that outlived its expiry.
    SessionOverstayed,
    /// A will that did not come.
    WillMissing,
    /// A retained message that a newcomer was not given, or an old one.
    NotRetained,
    /// A subscription granted at another quality of service than was asked for.
    Granted,
    /// A connection that stayed open though another with its client id had come.
    TakeoverIgnored,
    /// A connection that stayed open though what came over it was no MQTT.
    MalformedKept,
}

impl Wrong {
    /// What it is called in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::HeldBack => "late or undelivered, held back by a fault of ours",
            Self::Duplicated => "duplicated",
            Self::Reordered => "reordered",
            Self::Invented => "invented",
            Self::Altered => "altered",
            Self::WrongQos => "at a wrong quality of service",
            Self::MarkedKept => "marked as retained, and was not",
            Self::SessionLost => "session lost",
            Self::SessionOverstayed => "session not expired",
            Self::WillMissing => "will missing",
            Self::NotRetained => "not retained",
            Self::Granted => "granted at another quality of service",
            Self::TakeoverIgnored => "takeover not enforced",
            Self::MalformedKept => "malformed and not closed",
        }
    }
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
    /// On which of its topics, where it has several.
    pub topic: String,
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
    /// Messages planned.
    pub planned: u64,
    /// Of those, messages that were never written.
    pub never_sent: u64,
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
    /// Of those, deliveries without a readable stamp on a topic of the run's own.
    pub unreadable: u64,
    /// Breaches of what MQTT promises, by message.
    pub breaches: u64,
    /// What was found, breaches first; at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
    /// Deliveries that were owed and never came, by quality of service and intended instant [ms, rounded up].
    #[serde(skip)]
    waiting: BTreeMap<(u8, i64), u64>,
}

/// Adds to the latencies what never came, each with the time for which it was waited, at least: `wall_ns` since the start. Those
/// that came alone would say of a broker that stands still that it is quick. For the books of a whole run only, and once.
pub fn wait_out(job: &Job, tally: &mut Tally, verdict: &Verdict, wall_ns: i64) {
    for (&(qos, ms), &n) in &verdict.waiting {
        let intended_ns = ms.saturating_mul(1_000_000);
        // Rounded up, it may be in the next stage.
        let stage = job.stages.of(intended_ns - 1_000_000);
        tally.times.record_n(Metric::Latency, qos, stage, wall_ns - intended_ns, n);
        tally.course.waited(wall_ns, intended_ns, u32::try_from(n).unwrap_or(u32::MAX));
    }
}

/// Findings that are kept word by word.
pub const MOST_FINDINGS: usize = 200;

/// Holds the books of all shards against what MQTT promises. `books` may be of one shard only: then what others sent is not
/// known, and only what this shard's devices sent is judged.
pub fn judge(job: &Job, tally: &Tally) -> Verdict {
    let mut verdict =
        Verdict { sent: tally.devices.values().map(DeviceBook::count).sum(), ..Verdict::default() };
    let acknowledged = |book: &DeviceBook| book.sent.iter().map(|s| s.acknowledged.len()).sum::<u64>();
    verdict.acknowledged = tally.devices.values().map(acknowledged).sum();
    verdict.planned = tally.devices.values().map(|book| u64::from(book.planned)).sum();
    verdict.never_sent = verdict.planned.saturating_sub(verdict.sent);
    let listeners = listeners(job, tally);
    // What is lost with a connection was under way for as long as anything was, at most.
    let longest_ns = tally.times.of(Metric::Service, None, None).max().saturating_mul(1_000);
    let before_ns = i64::try_from(longest_ns).unwrap_or(i64::MAX).max(LEAST_BEFORE_NS);
    let mut findings = Vec::new();
    for device in job.devices.iter() {
        let receipts = |l: &Listener<'_>| received(l, device.ordinal).map(|(_, r)| r.got.len()).sum::<u64>();
        match tally.devices.get(&device.ordinal) {
            Some(book) => {
                let sender = Sender::new(job, device, book, before_ns);
                for listener in &listeners {
                    sender.judge_messages(listener, &mut verdict, &mut findings);
                    sender.judge_wills(listener, &mut verdict, &mut findings);
                }
            }
            // Another shard's: judged once the books are merged.
            None => verdict.received += listeners.iter().map(receipts).sum::<u64>(),
        }
    }
    for listener in &listeners {
        judge_strays(job, listener, &mut verdict, &mut findings);
    }
    judge_unreadable(job, tally, &listeners, &mut verdict, &mut findings);
    granted(job, tally, &mut findings);
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

/// Who listens: a session of its own, or a shared subscription.
struct Listener<'a> {
    name: String,
    matches: &'a TopicFilter,
    /// The quality of service granted.
    qos: u8,
    book: Cow<'a, SubscriberBook>,
    shared: bool,
}

impl Listener<'_> {
    /// Whether somebody broke off, whose messages go to another member of the share.
    fn broke_off(&self) -> bool {
        self.book.resumed > 0 || !self.book.away.is_empty()
    }
}

/// Sessions of their own, and shared subscriptions as one each.
fn listeners<'a>(job: &'a Job, tally: &'a Tally) -> Vec<Listener<'a>> {
    let mut all: Vec<Listener<'a>> = Vec::new();
    let mut shares: BTreeMap<u32, usize> = BTreeMap::new();
    for s in job.subscribers.iter() {
        let Some(book) = tally.subscribers.get(&s.ordinal) else { continue };
        let alone = |name: String, shared| Listener {
            name,
            matches: &s.matches,
            qos: book.granted.unwrap_or(s.qos),
            book: Cow::Borrowed(book),
            shared,
        };
        let Some(share) = s.share else {
            all.push(alone(s.id.to_string(), false));
            continue;
        };
        let Some(at) = shares.get(&share) else {
            shares.insert(share, all.len());
            all.push(alone(s.filter.to_string(), true));
            continue;
        };
        join(&mut all[*at], book);
    }
    all
}

/// Another member of a shared subscription.
fn join(listener: &mut Listener<'_>, book: &SubscriberBook) {
    let joined = listener.book.to_mut();
    // Who never was a member has not broken off.
    match (joined.granted, book.granted) {
        (_, None) => {}
        (None, Some(qos)) => (listener.qos, joined.away) = (qos, book.away.clone()),
        (Some(_), Some(qos)) => {
            listener.qos = listener.qos.min(qos);
            joined.away.extend(&book.away);
        }
    }
    joined.granted = joined.granted.or(book.granted);
    joined.held_back_ns = joined.held_back_ns.into_iter().chain(book.held_back_ns).min();
    joined.resumed += book.resumed;
    for (key, receipt) in &book.receipts {
        joined.receipts.entry(*key).or_default().join(receipt);
    }
    for (topic, n) in &book.unreadable {
        *joined.unreadable.entry(topic.clone()).or_default() += n;
    }
}

/// What a listener got of a device, by its ways.
fn received<'a>(listener: &'a Listener<'_>, device: u32) -> impl Iterator<Item = (u16, &'a Receipt)> {
    let ways = key(device, 0)..key(device, WILLS);
    listener.book.receipts.range(ways).map(|(k, receipt)| ((k & 0xffff) as u16, receipt))
}

/// Deliveries of devices that there are not.
fn judge_strays(job: &Job, listener: &Listener<'_>, verdict: &mut Verdict, findings: &mut Vec<Finding>) {
    let beyond = key(job.devices.len() as u32, 0);
    for (of, receipt) in listener.book.receipts.range(beyond..) {
        verdict.invented += receipt.got.len();
        findings.push(Finding {
            what: Wrong::Invented,
            breach: true,
            subscriber: listener.name.clone(),
            device: format!("#{}", of >> 16),
            topic: String::new(),
            qos: listener.qos,
            count: receipt.got.len(),
            which: receipt.got.words(),
        });
    }
}

/// Deliveries without a readable stamp on topics of the run's devices: nobody wrote these.
fn judge_unreadable(
    job: &Job,
    tally: &Tally,
    listeners: &[Listener<'_>],
    verdict: &mut Verdict,
    findings: &mut Vec<Finding>,
) {
    if listeners.iter().all(|l| l.book.unreadable.is_empty()) {
        return;
    }
    let mut owners: HashMap<String, &str> = HashMap::new();
    for device in job.devices.iter() {
        let ways = tally.devices.get(&device.ordinal).map_or(&[][..], |book| &book.sent);
        let topics = ways.iter().map(|s| s.topic.clone()).chain([device.topic.to_string()]);
        let all = topics.chain(job.will_topic(device)).filter(|t| !t.is_empty());
        owners.extend(all.map(|topic| (topic, &*device.id)));
    }
    for listener in listeners {
        for (topic, n) in &listener.book.unreadable {
            let Some(device) = owners.get(&**topic) else { continue };
            verdict.invented += n;
            verdict.unreadable += n;
            findings.push(Finding {
                what: Wrong::Invented,
                breach: true,
                subscriber: listener.name.clone(),
                device: (*device).to_owned(),
                topic: topic.to_string(),
                qos: listener.qos,
                count: *n,
                which: "without the stamp that all of its messages have".to_owned(),
            });
        }
    }
}

/// Subscriptions that were granted at another quality of service than was asked for: a lower one is allowed.
fn granted(job: &Job, tally: &Tally, findings: &mut Vec<Finding>) {
    for s in job.subscribers.iter() {
        let granted = tally.subscribers.get(&s.ordinal).and_then(|book| book.granted);
        let Some(granted) = granted.filter(|granted| *granted != s.qos) else { continue };
        findings.push(Finding {
            what: Wrong::Granted,
            breach: granted > s.qos,
            subscriber: s.id.to_string(),
            device: String::new(),
            topic: String::new(),
            qos: granted,
            count: 1,
            which: format!("{} asked for QoS {} and was granted {granted}", s.id, s.qos),
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
        topic: String::new(),
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
    if c.takeovers_ignored > 0 {
        let which =
            "connections still open though another with the same client id had come (MQTT 3.1.1 §3.1.4)";
        findings.push(whole(Wrong::TakeoverIgnored, c.takeovers_ignored, which));
    }
    if c.strangers_kept > 0 {
        let which = "connections still open though what came over them was no MQTT (MQTT 3.1.1 §4.8)";
        findings.push(whole(Wrong::MalformedKept, c.strangers_kept, which));
    }
    if c.strangers_borne > 0 {
        let which =
            "connections still open whose greeting was of an unknown protocol, as MQTT 3.1.1 §3.1.2.1 allows";
        findings.push(Finding { breach: false, ..whole(Wrong::MalformedKept, c.strangers_borne, which) });
    }
}
