//! A device before the oracle: each of its messages and wills, against what one listener got of them.

use super::{Finding, Listener, Verdict, Wrong, received};
use crate::load::{
    job::{DeviceSpec, Job, WILL_QOS},
    ledger::{Intervals, Receipt, Sent, WILLS, key},
    tally::DeviceBook,
};
use std::cell::OnceCell;
use twinfleet_engine::{load::Schedule, scenario::load::Protocol};

/// What was sent so long before a connection broke off may be lost with it, at least, [ns].
pub(super) const LEAST_BEFORE_NS: i64 = 1_000_000_000;
/// And what was sent so soon after it was there again: clocks of shards differ, [ns].
const BEHIND_NS: i64 = 250_000_000;

/// A device, whose messages are judged.
pub(super) struct Sender<'a> {
    job: &'a Job,
    device: &'a DeviceSpec,
    book: &'a DeviceBook,
    /// See [`LEAST_BEFORE_NS`].
    before_ns: i64,
    /// Instants of its schedule, once they are asked for.
    instants: OnceCell<Vec<i64>>,
}

impl<'a> Sender<'a> {
    /// A device and its book. `before_ns`: what was sent so long before a connection broke off may be lost with it.
    pub(super) fn new(job: &'a Job, device: &'a DeviceSpec, book: &'a DeviceBook, before_ns: i64) -> Self {
        Self { job, device, book, before_ns, instants: OnceCell::new() }
    }

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

    /// Each of its messages.
    pub(super) fn judge_messages(
        &self,
        listener: &Listener<'_>,
        verdict: &mut Verdict,
        findings: &mut Vec<Finding>,
    ) {
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
        if self.is_unknown(listener) {
            verdict.expected += all.len();
            verdict.lost += all.len();
            self.wait(sent, &all, verdict);
            if !all.is_empty() {
                let which = "all: a broker of MQTT 3.1.1 need not know shared subscriptions".to_owned();
                let finding = self.finding(Wrong::Lost, false, listener, sent, &all);
                findings.push(Finding { which, ..finding });
            }
            return;
        }
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
        // Of a share, each member was looked at by itself; what it got late was not promised to come in turn (MQTT 5 §4.6).
        let excused = if listener.shared || resent { odd.late.clone() } else { odd.late.and(&missed) };
        find(Wrong::Reordered, true, &odd.late.minus(&excused));
        find(Wrong::Reordered, false, &excused);
        verdict.duplicated += odd.duplicates;
        self.judge_again(sent, receipt, listener, findings);
    }

    /// Whether this is a shared subscription that brings nothing at all from a broker that may take it for a filter of that name:
    /// MQTT 3.1.1 has none.
    fn is_unknown(&self, listener: &Listener<'_>) -> bool {
        listener.shared && self.job.load.protocol == Protocol::V311 && listener.book.receipts.is_empty()
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
    pub(super) fn judge_wills(
        &self,
        listener: &Listener<'_>,
        verdict: &mut Verdict,
        findings: &mut Vec<Finding>,
    ) {
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

/// Instants of a device's schedule, [ns] since the start.
fn schedule(job: &Job, device: &DeviceSpec) -> Schedule {
    Schedule::new(&job.load.devices[device.group].schedule, &job.stages, job.seed, &device.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        judge::judge,
        tally::{SubscriberBook, Tally},
    };

    /// The verdict on what each subscriber got, in its order, of four messages of QoS 1 that one device sent.
    fn judged(subscribers: &str, got: &[&[u32]]) -> Verdict {
        judged_in("V5", subscribers, got)
    }

    fn judged_in(protocol: &str, subscribers: &str, got: &[&[u32]]) -> Verdict {
        let job = Job::of_text(&format!(
            r#"protocol: {protocol}, devices: [(id: "d", topic: "t", qos: 1, schedule: Constant("1s"))],
            subscribers: [{subscribers}], stages: [Hold(for: "4s")]"#
        ));
        let sent = Sent { qos: 1, count: 4, acknowledged: Intervals::below(4), ..Sent::default() };
        let mut tally = Tally::new(1, 4_000_000_000);
        let ordinal = job.devices[0].ordinal;
        let book = DeviceBook { sent: vec![sent], planned: 4, ..DeviceBook::default() };
        tally.devices.insert(ordinal, book);
        assert_eq!(job.subscribers.len(), got.len());
        for (s, got) in job.subscribers.iter().zip(got) {
            let mut receipt = Receipt::default();
            for seq in *got {
                receipt.take(*seq);
            }
            let receipts = got.first().map(|_| (key(ordinal, 0), receipt)).into_iter().collect();
            let book = SubscriberBook { granted: Some(1), receipts, ..SubscriberBook::default() };
            tally.subscribers.insert(s.ordinal, book);
        }
        judge(&job, &tally)
    }

    const OWN: &str = r#"(id: "s", filter: "t", qos: 1)"#;
    const SHARED: &str = r#"(id: "w-{}", count: 2, filter: "t", qos: 1, share: "g")"#;

    fn found(verdict: &Verdict) -> Vec<(Wrong, bool, &str)> {
        verdict.findings.iter().map(|f| (f.what, f.breach, f.which.as_str())).collect()
    }

    #[test]
    fn order_is_owed_to_a_subscription_of_its_own() {
        let verdict = judged(OWN, &[&[0, 2, 1, 3]]);
        assert_eq!((verdict.reordered, verdict.breaches), (1, 1));
        assert_eq!(found(&verdict), [(Wrong::Reordered, true, "1")]);
        assert!(judged(OWN, &[&[0, 1, 2, 3]]).findings.is_empty());
    }

    #[test]
    fn there_is_no_order_between_the_members_of_a_share() {
        let all: [[&[u32]; 2]; 3] = [[&[0, 2], &[1, 3]], [&[2, 3], &[0, 1]], [&[0, 1, 2, 3], &[]]];
        for got in all {
            let verdict = judged(SHARED, &got);
            assert_eq!((verdict.received, verdict.reordered), (4, 0), "{got:?}");
            assert!(verdict.findings.is_empty(), "{got:?}: {:?}", verdict.findings);
        }
    }

    #[test]
    fn a_broker_of_an_older_mqtt_need_not_know_what_a_share_is() {
        let all: [(&str, [&[u32]; 2], bool); 3] =
            [("V311", [&[], &[]], false), ("V311", [&[0], &[]], true), ("V5", [&[], &[]], true)];
        for (protocol, got, breach) in all {
            let verdict = judged_in(protocol, SHARED, &got);
            let lost = 4 - got.concat().len() as u64;
            assert_eq!((verdict.lost, verdict.expected), (lost, 4), "{protocol}");
            let told: Vec<_> = verdict.findings.iter().map(|f| (f.what, f.breach, f.count)).collect();
            assert_eq!(told, [(Wrong::Lost, breach, lost)], "{protocol}");
        }
    }

    #[test]
    fn what_one_member_of_a_share_got_late_is_named_and_no_breach() {
        let verdict = judged(SHARED, &[&[0, 3, 2], &[1]]);
        assert_eq!((verdict.reordered, verdict.breaches), (1, 0));
        assert_eq!(found(&verdict), [(Wrong::Reordered, false, "2")]);
    }
}
