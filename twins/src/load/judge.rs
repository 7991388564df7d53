//! The oracle: what MQTT promised of every message, held against the books; and the scenario's thresholds.
//!
//! What counts as a breach: at QoS 1 and 2, a message that the broker acknowledged and a subscriber never got, although its
//! session was there; at QoS 0 and 2, a delivery that came twice; a first delivery that overtook an earlier one of the same
//! device to the same topic; a message that nobody sent, or another content, topic or quality of service than was sent; a session
//! that was to be kept and is gone, or that was to expire and is there; a will that was owed; a connection left open that the
//! broker had to close. What MQTT allows — loss at QoS 0, duplicates at QoS 1, loss to a session of one connection while it is
//! away — is counted and is no breach; nor is what a fault of ours held back to the very end.

use super::{
    job::{DeviceSpec, Job, WILL_QOS},
    ledger::{Intervals, Receipt, Sent, WILLS, key},
    tally::{DeviceBook, SubscriberBook, Tally},
};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
};
use twinfleet_engine::{
    load::Schedule,
    message::TopicFilter,
    scenario::load::{Counter, Metric, ThresholdDef},
};

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
                let sender = Sender { job, device, book, before_ns, instants: OnceCell::new() };
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

/// What was sent so long before a connection broke off may be lost with it, at least, [ns].
const LEAST_BEFORE_NS: i64 = 1_000_000_000;
/// And what was sent so soon after it was there again: clocks of shards differ, [ns].
const BEHIND_NS: i64 = 250_000_000;

/// A device, whose messages are judged.
struct Sender<'a> {
    job: &'a Job,
    device: &'a DeviceSpec,
    book: &'a DeviceBook,
    /// See [`LEAST_BEFORE_NS`].
    before_ns: i64,
    /// Instants of its schedule, once they are asked for.
    instants: OnceCell<Vec<i64>>,
}

impl Sender<'_> {
    /// When a message was meant to leave, or by when it had, [ns] since the start.
    fn instant(&self, sent: &Sent, seq: u32) -> Option<i64> {
        if !sent.topic.is_empty() {
            return sent.marks.written_by(seq);
        }
        let instants = self.instants.get_or_init(|| schedule(self.job, self.device).collect());
        instants.get(seq as usize).copied()
    }

    /// Numbers that were sent while the listener was away, or nearly.
    fn missed(&self, sent: &Sent, listener: &Listener<'_>) -> Intervals {
        self.during(sent, &listener.book.away)
    }

    /// Numbers that were sent in one of these spans, or nearly.
    fn during(&self, sent: &Sent, spans: &[(i64, i64)]) -> Intervals {
        let span = |(from_ns, to_ns): &(i64, i64)| {
            let from_ns = from_ns.saturating_sub(self.before_ns).saturating_sub(self.book.late_ns);
            let to_ns = to_ns.saturating_add(BEHIND_NS);
            if !sent.topic.is_empty() {
                return sent.marks.between(from_ns, to_ns, sent.count);
            }
            let instants = self.instants.get_or_init(|| schedule(self.job, self.device).collect());
            let at = |t_ns: i64| instants.partition_point(|i| *i < t_ns) as u32;
            let (from, to) = (at(from_ns), at(to_ns.saturating_add(1)).min(sent.count));
            if from < to { Intervals::range(from, to - 1) } else { Intervals::default() }
        };
        spans.iter().map(span).fold(Intervals::default(), |all, one| all.union(&one))
    }

    fn judge_messages(&self, listener: &Listener<'_>, verdict: &mut Verdict, findings: &mut Vec<Finding>) {
        let nothing = Receipt::default();
        for (way, sent) in self.book.sent.iter().enumerate() {
            let topic = if sent.topic.is_empty() { &*self.device.topic } else { &sent.topic };
            let receipt = listener.book.receipts.get(&key(self.device.ordinal, way as u16));
            if listener.matches.matches(topic) {
                self.judge_way(sent, receipt.unwrap_or(&nothing), listener, verdict, findings);
            } else if let Some(receipt) = receipt {
                self.invented(listener, &receipt.got, sent, verdict, findings);
            }
        }
        // On ways that it does not have.
        let none = Sent::default();
        for (_, receipt) in received(listener, self.device.ordinal)
            .skip_while(|(way, _)| usize::from(*way) < self.book.sent.len())
        {
            self.invented(listener, &receipt.got, &none, verdict, findings);
        }
    }

    fn invented(
        &self,
        listener: &Listener<'_>,
        which: &Intervals,
        sent: &Sent,
        verdict: &mut Verdict,
        findings: &mut Vec<Finding>,
    ) {
        verdict.invented += which.len();
        findings.push(self.finding(Wrong::Invented, true, listener, sent, which));
    }

    fn finding(
        &self,
        what: Wrong,
        breach: bool,
        listener: &Listener<'_>,
        sent: &Sent,
        which: &Intervals,
    ) -> Finding {
        Finding {
            what,
            breach,
            subscriber: listener.name.clone(),
            device: self.device.id.to_string(),
            topic: sent.topic.clone(),
            qos: sent.qos.min(listener.qos),
            count: which.len(),
            which: which.words(),
        }
    }

    fn judge_way(
        &self,
        sent: &Sent,
        receipt: &Receipt,
        listener: &Listener<'_>,
        verdict: &mut Verdict,
        findings: &mut Vec<Finding>,
    ) {
        let all = Intervals::below(sent.count);
        let (qos, odd, resent) = (sent.qos.min(listener.qos), receipt.odd(), self.book.resent > 0);
        let mut find = |what, breach, which: &Intervals| {
            if !which.is_empty() {
                findings.push(self.finding(what, breach, listener, sent, which));
            }
        };
        verdict.expected += all.len();
        let invented = receipt.got.minus(&all);
        verdict.received += receipt.got.len() - invented.len();
        verdict.invented += invented.len() + odd.altered.len();
        find(Wrong::Invented, true, &invented);
        find(Wrong::Altered, true, &odd.altered);
        find(Wrong::WrongQos, true, &odd.wrong_qos);
        find(Wrong::MarkedKept, true, &odd.marked_kept);
        let lost = all.minus(&receipt.got);
        let missed =
            if lost.is_empty() && odd.late.is_empty() { lost.clone() } else { self.missed(sent, listener) };
        verdict.lost += lost.len();
        // Promised: what was acknowledged, to a session that was there.
        let held_back = match listener.book.held_back_ns {
            Some(from_ns) if !lost.is_empty() => {
                self.during(sent, &[(from_ns, i64::MAX)]).and(&lost).minus(&missed)
            }
            _ => Intervals::default(),
        };
        let ours = missed.union(&held_back);
        let broken = if qos > 0 { sent.acknowledged.and(&lost).minus(&ours) } else { Intervals::default() };
        find(Wrong::Lost, true, &broken);
        find(Wrong::Lost, false, &lost.minus(&broken).minus(&held_back));
        find(Wrong::HeldBack, false, &held_back);
        self.wait(sent, &lost.minus(&ours), verdict);
        verdict.reordered += odd.late.len();
        let excused = if listener.shared || resent { odd.late.clone() } else { odd.late.and(&missed) };
        find(Wrong::Reordered, true, &odd.late.minus(&excused));
        find(Wrong::Reordered, false, &excused);
        verdict.duplicated += odd.duplicates;
        self.judge_again(sent, receipt, listener, findings);
    }

    /// What was owed and never came was waited for.
    fn wait(&self, sent: &Sent, owed: &Intervals, verdict: &mut Verdict) {
        for seq in owed.ranges().iter().flat_map(|(from, to)| *from..=*to) {
            let Some(at_ns) = self.instant(sent, seq) else { continue };
            let ms = at_ns.div_euclid(1_000_000) + 1;
            *verdict.waiting.entry((sent.qos, ms)).or_default() += 1;
        }
    }

    /// What came again. A sender of QoS 1 that repeats itself makes new messages of one; a broker must not.
    fn judge_again(
        &self,
        sent: &Sent,
        receipt: &Receipt,
        listener: &Listener<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let (odd, qos) = (receipt.odd(), sent.qos.min(listener.qos));
        if odd.duplicates == 0 {
            return;
        }
        let repeated = sent.qos == 1 && self.book.resent > 0;
        // Members of a share that break off hand their messages on, which is no second delivery below QoS 2.
        let handed_on = listener.shared && qos < 2 && listener.broke_off();
        let both = !odd.both.is_empty() && !repeated && !handed_on;
        let mut find = |breach, which: &Intervals, count| {
            let finding = self.finding(Wrong::Duplicated, breach, listener, sent, which);
            findings.push(Finding { count, ..finding });
        };
        let by_both = if both { odd.both.len() } else { 0 };
        if both {
            find(true, &odd.both, by_both);
        }
        // At the lower quality of the two, MQTT says how often; at 1, as often as it likes.
        let breach = qos != 1 && !repeated && !handed_on;
        if odd.duplicates > by_both {
            find(
                breach,
                &if both { odd.again.minus(&odd.both) } else { odd.again.clone() },
                odd.duplicates - by_both,
            );
        }
    }

    /// Last wills of connections that broke off, each by itself.
    fn judge_wills(&self, listener: &Listener<'_>, verdict: &mut Verdict, findings: &mut Vec<Finding>) {
        let (Some(wills), Some(topic)) = (&self.book.wills, self.job.will_topic(self.device)) else { return };
        let nothing = Receipt::default();
        let receipt = listener.book.receipts.get(&key(self.device.ordinal, WILLS)).unwrap_or(&nothing);
        let (odd, will) = (receipt.odd(), Sent { topic, qos: WILL_QOS, ..Sent::default() });
        let mut find = |what, breach, which: &Intervals, count| {
            if count > 0 {
                let finding = self.finding(what, breach, listener, &will, which);
                findings.push(Finding { count, ..finding });
            }
        };
        let listens = listener.matches.matches(&will.topic);
        let invented = if listens { receipt.got.minus(&wills.over) } else { receipt.got.clone() };
        verdict.invented += invented.len() + odd.altered.len();
        find(Wrong::Invented, true, &invented, invented.len());
        find(Wrong::Altered, true, &odd.altered, odd.altered.len());
        let qos = WILL_QOS.min(listener.qos);
        find(Wrong::Duplicated, qos == 0, &odd.again, odd.duplicates);
        verdict.duplicated += odd.duplicates;
        let away = |at_ns: i64| {
            let spans = listener.book.away.iter();
            spans.into_iter().any(|(from_ns, to_ns)| {
                at_ns >= from_ns.saturating_sub(self.before_ns) && at_ns <= to_ns.saturating_add(BEHIND_NS)
            })
        };
        let (mut missing, mut missed) = (Intervals::default(), Intervals::default());
        for (number, at_ns) in wills.owed.iter().filter(|(n, _)| listens && !receipt.got.contains(*n)) {
            if away(*at_ns) {
                missed.insert(*number)
            } else {
                missing.insert(*number)
            };
        }
        find(Wrong::WillMissing, qos > 0, &missing, missing.len());
        find(Wrong::WillMissing, false, &missed, missed.len());
    }
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
    let judged = verdict.breaches > 0 || (verdict.sent > 0 && !silent || job.devices.is_empty());
    let guarantee = Outcome {
        claim: "the broker keeps what MQTT promises".to_owned(),
        held: judged.then_some(verdict.breaches == 0),
        measured: match (judged, silent) {
            (false, true) => {
                format!("none of {} deliveries came: there was nothing to judge", verdict.expected)
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
            let waiting: u64 = verdict.waiting.values().sum::<u64>() + verdict.never_sent;
            let missing = match of {
                Metric::Latency if waiting > 0 => {
                    format!(", {waiting} of which never came and count with the time waited")
                }
                Metric::PublishDelay if verdict.never_sent > 0 => {
                    format!(
                        ", {} of which were never sent and count with the time waited",
                        verdict.never_sent
                    )
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

/// Instants of a device's schedule, [ns] since the start.
fn schedule(job: &Job, device: &DeviceSpec) -> Schedule {
    Schedule::new(&job.load.devices[device.group].schedule, &job.stages, job.seed, &device.id)
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
        Counter::CommandsFailed => "commands not followed",
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
        Counter::CommandsFailed => tally.counts.commands_failed,
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
