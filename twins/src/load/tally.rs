//! What a worker, and in the end the whole load, has counted, measured and written down.

use super::{
    health::{Accusation, CpuTime},
    ledger::{Intervals, Receipt, Sent},
    times::{Course, Times},
};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Things counted beside the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tallies {
    /// Connections that were up at least once.
    pub connected: u64,
    /// Connections that could not be made within the time allowed.
    pub refused: u64,
    /// Connections that broke by themselves.
    pub disconnected: u64,
    /// Connections that a fault of the scenario cut.
    pub cut: u64,
    /// Connections made again.
    pub reconnected: u64,
    /// Messages sent once more after a connection was made again.
    pub resent: u64,
    /// QoS 2 messages given up, since the session was gone and they might have come twice.
    pub abandoned: u64,
    /// Messages that the broker refused to take (MQTT 5).
    pub rejected: u64,
    /// Messages without a stamp of this run: of others, or of an earlier one.
    pub foreign: u64,
    /// Of those, messages that another run had just sent to topics of this one's devices.
    pub rivals: u64,
    /// Connections that the broker ended since another with the client id had come, by no fault of the scenario (MQTT 5).
    pub ousted: u64,
    /// Sessions that the broker should have kept and did not.
    pub sessions_lost: u64,
    /// Sessions that were gone when their time was over, as they should be.
    pub sessions_expired: u64,
    /// Sessions that were still there long after.
    pub sessions_overstayed: u64,
    /// Subscriptions refused.
    pub subscriptions_refused: u64,
    /// Wills that the broker owed.
    pub wills_owed: u64,
    /// Wills that came.
    pub wills: u64,
    /// Commands sent to devices.
    pub commands: u64,
    /// Commands that a device's report confirmed.
    pub commands_followed: u64,
    /// Commands that none confirmed before the next one, or the end.
    pub commands_failed: u64,
    /// Strangers' connections: half open, malformed, or with another's client id.
    pub strangers: u64,
    /// Strangers that the broker sent away.
    pub strangers_closed: u64,
    /// Strangers whose connection could not be opened.
    pub strangers_unopened: u64,
    /// Strangers that sent what is no MQTT and whose connection the broker left open, though it must close it.
    pub strangers_kept: u64,
    /// The same, where MQTT leaves that to the broker.
    pub strangers_borne: u64,
    /// Devices whose connection another took over, and was closed.
    pub taken_over: u64,
    /// Devices whose connection the broker left open, though another with the same client id had come.
    pub takeovers_ignored: u64,
    /// By how much a message of another shard came before it was sent, at most, as the clocks of the two have it [µs].
    pub early_us: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
}

impl Tallies {
    /// Adds what another worker or shard counted.
    pub fn add(&mut self, o: &Self) {
        let all = [
            (&mut self.connected, o.connected),
            (&mut self.refused, o.refused),
            (&mut self.disconnected, o.disconnected),
            (&mut self.cut, o.cut),
            (&mut self.reconnected, o.reconnected),
            (&mut self.resent, o.resent),
            (&mut self.abandoned, o.abandoned),
            (&mut self.rejected, o.rejected),
            (&mut self.foreign, o.foreign),
            (&mut self.rivals, o.rivals),
            (&mut self.ousted, o.ousted),
            (&mut self.sessions_lost, o.sessions_lost),
            (&mut self.sessions_expired, o.sessions_expired),
            (&mut self.sessions_overstayed, o.sessions_overstayed),
            (&mut self.subscriptions_refused, o.subscriptions_refused),
            (&mut self.wills_owed, o.wills_owed),
            (&mut self.wills, o.wills),
            (&mut self.commands, o.commands),
            (&mut self.commands_followed, o.commands_followed),
            (&mut self.commands_failed, o.commands_failed),
            (&mut self.strangers, o.strangers),
            (&mut self.strangers_closed, o.strangers_closed),
            (&mut self.strangers_unopened, o.strangers_unopened),
            (&mut self.strangers_kept, o.strangers_kept),
            (&mut self.strangers_borne, o.strangers_borne),
            (&mut self.taken_over, o.taken_over),
            (&mut self.takeovers_ignored, o.takeovers_ignored),
            (&mut self.bytes_out, o.bytes_out),
            (&mut self.bytes_in, o.bytes_in),
        ];
        all.into_iter().for_each(|(mine, more)| *mine += more);
        self.early_us = self.early_us.max(o.early_us);
    }
}

/// A device in the books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceBook {
    /// What it sent, by its ways.
    pub sent: Vec<Sent>,
    /// Messages that it sent more than once.
    pub resent: u64,
    /// Messages that its schedule holds, or that its firmware planned.
    #[serde(default)]
    pub planned: u32,
    /// Messages acknowledged (QoS 0: written) by the end of the stages, or within a second of their instants.
    pub kept: u32,
    /// How long after its instant a message was written at most, [ns].
    pub late_ns: i64,
    /// Its last wills, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wills: Option<WillBook>,
}

impl DeviceBook {
    /// Messages written.
    pub fn count(&self) -> u64 {
        self.sent.iter().map(|s| u64::from(s.count)).sum()
    }
}

/// A device's last wills in the books, numbered by its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WillBook {
    /// Those that the broker may have published.
    pub over: Intervals,
    /// Those that it must have, and since when, [ns] since the start.
    pub owed: Vec<(u32, i64)>,
}

/// A subscriber in the books.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberBook {
    /// The quality of service that the broker granted; None: it was never subscribed.
    pub granted: Option<u8>,
    /// When it was away without a session that the broker would keep, from and to, [ns] since the start.
    pub away: Vec<(i64, i64)>,
    /// Since when a fault of ours held back what it reads or acknowledges, if one did to the very end, [ns] since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_back_ns: Option<i64>,
    /// Times that it came back to a session.
    pub resumed: u32,
    /// What it got, by [`super::ledger::key`].
    pub receipts: BTreeMap<u64, Receipt>,
    /// Deliveries without a readable stamp, by topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable: BTreeMap<Box<str>, u64>,
}

/// Everything of one worker or shard.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Measured times.
    pub times: Times,
    /// How late the generator itself came to messages that nothing held back, [µs].
    pub lag: Histogram<u64>,
    /// The course over time.
    pub course: Course,
    /// Counts.
    pub counts: Tallies,
    /// Devices, by ordinal.
    pub devices: BTreeMap<u32, DeviceBook>,
    /// Subscribers, by ordinal.
    pub subscribers: BTreeMap<u32, SubscriberBook>,
    /// Use of the cores by each worker while messages were sent.
    pub cpu: Vec<CpuTime>,
    /// What the generator holds against itself.
    pub accusations: Vec<Accusation>,
    /// Every message in order of its intended time: time [ns], device, number; only if asked for.
    pub trace: Vec<(i64, u32, u32)>,
    /// Reasons for which connections were lost or refused, and how often.
    pub reasons: BTreeMap<String, u64>,
}

impl Tally {
    /// Empty, for so many stages over such a length.
    pub fn new(stages: usize, length_ns: i64) -> Self {
        Self {
            times: Times::new(stages),
            lag: Histogram::new_with_bounds(1, 3_600_000_000, 2)
                .unwrap_or_else(|_| unreachable!("the bounds are constants")),
            course: Course::new(length_ns),
            counts: Tallies::default(),
            devices: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            cpu: Vec::new(),
            accusations: Vec::new(),
            trace: Vec::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// Adds another worker's or shard's, which has other devices and subscribers.
    pub fn add(&mut self, other: Self) {
        self.times.add(&other.times);
        let _ = self.lag.add(&other.lag);
        self.course.add(&other.course);
        self.counts.add(&other.counts);
        self.devices.extend(other.devices);
        self.subscribers.extend(other.subscribers);
        self.cpu.extend(other.cpu);
        for accusation in other.accusations {
            self.accuse(accusation);
        }
        self.trace.extend(other.trace);
        for (reason, n) in other.reasons {
            *self.reasons.entry(reason).or_default() += n;
        }
    }

    /// Notes a shortage, once of each kind.
    pub fn accuse(&mut self, accusation: Accusation) {
        if self.accusations.iter().all(|a| a.of != accusation.of) {
            self.accusations.push(accusation);
        }
    }

    /// Counts a reason.
    pub fn reason(&mut self, text: impl Into<String>) {
        *self.reasons.entry(text.into()).or_default() += 1;
    }
}
