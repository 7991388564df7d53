//! Faults on our side of the wire, at their instants: who is struck is drawn by the seed, and is the same in every shard.

use super::*;
use crate::load::conn::{Slow, Stranger};
use twinfleet_engine::scenario::load::LoadFaultKind;

/// The beginning or the end of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Act {
    /// When, [ns] since the start.
    pub at_ns: i64,
    /// Index of the fault in the scenario.
    pub fault: usize,
    /// Whether it ends.
    pub ends: bool,
}

/// All acts, in order of time.
pub(super) fn plan(job: &Job) -> Vec<Act> {
    let acts = |(fault, def): (usize, &twinfleet_engine::scenario::load::LoadFaultDef)| {
        let begin = Act { at_ns: def.at.0, fault, ends: false };
        let end = def.until.map(|until| Act { at_ns: until.0, fault, ends: true });
        [Some(begin), end]
    };
    let mut all: Vec<Act> = job.load.faults.iter().enumerate().flat_map(acts).flatten().collect();
    all.sort_unstable();
    all
}

/// Packets that are none, each wrong in its own way.
const MALFORMED: [&[u8]; 6] = [
    // A reserved packet type.
    &[0x00, 0x00],
    // A length of five bytes.
    &[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f],
    // A message before the greeting.
    &[0x30, 0x05, 0x00, 0x01, b'a', b'x', b'y'],
    // A greeting of an unknown protocol.
    &[0x10, 0x0d, 0x00, 0x04, b'M', b'Q', b'X', b'X', 0x04, 0x02, 0x00, 0x3c, 0x00, 0x01, b'c'],
    // A greeting with the reserved flag set.
    &[0x10, 0x0d, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x03, 0x00, 0x3c, 0x00, 0x01, b'c'],
    // A client id that is not UTF-8.
    &[0x10, 0x0e, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x02, 0x00, 0x3c, 0x00, 0x02, 0xc3, 0x28],
];
/// Half a greeting: it announces more than it has.
const HALF: &[u8] = &[0x10, 0x20, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04];

impl Worker<'_> {
    pub(super) fn do_acts(&mut self) {
        if self.ctx.start_ns == i64::MAX {
            return;
        }
        while let Some(act) = self.acts.get(self.next_act).copied() {
            if self.ctx.start_ns.saturating_add(act.at_ns) > self.ctx.now_ns {
                return;
            }
            self.next_act += 1;
            self.act(act);
        }
    }

    fn struck(&self, fault: usize, share: f64, devices: bool) -> Vec<usize> {
        let job = self.ctx.job;
        let id = |conn: &Conn| match &conn.role {
            Role::Device(d) if devices => Some(job.devices[d.spec].id.clone()),
            Role::Subscriber(s) if !devices => Some(job.subscribers[s.spec].id.clone()),
            _ => None,
        };
        let hit = |conn: &Conn| id(conn).is_some_and(|id| load::strikes(job.seed, fault, &id, share));
        (0..self.conns.len()).filter(|i| hit(&self.conns[*i])).collect()
    }

    fn act(&mut self, act: Act) {
        let job = self.ctx.job;
        match job.load.faults[act.fault].action.clone() {
            LoadFaultKind::Storm { share, jitter } => {
                for i in self.struck(act.fault, share, true) {
                    let Role::Device(d) = &self.conns[i].role else { continue };
                    let late = load::jitter(job.seed, act.fault, &job.devices[d.spec].id) * jitter.0 as f64;
                    if self.conns[i].stream.is_some() && !act.ends {
                        self.close(i, Close::Cut(self.ctx.now_ns + late as i64));
                    }
                }
            }
            LoadFaultKind::Stall { share } => {
                for i in self.struck(act.fault, share, true) {
                    self.conns[i].stalled = !act.ends;
                    if act.ends {
                        self.resume(i);
                    }
                }
            }
            LoadFaultKind::SlowReader { share, bytes_per_s } => {
                for i in self.struck(act.fault, share, false) {
                    let now_ns = self.ctx.now_ns;
                    if let Role::Subscriber(s) = &mut self.conns[i].role {
                        let slow = Slow { rate: bytes_per_s, allowance: 0.0, at_ns: now_ns };
                        s.slow = (!act.ends).then_some(slow);
                    }
                    self.resume(i);
                }
            }
            LoadFaultKind::WithholdAcks { share } => {
                for i in self.struck(act.fault, share, false) {
                    if act.ends {
                        self.conns[i].release();
                        self.mark_dirty(i);
                    } else if let Role::Subscriber(s) = &mut self.conns[i].role {
                        s.withheld = Some(Vec::new());
                    }
                }
            }
            LoadFaultKind::Away { share } if !act.ends => {
                let back_ns = job.load.faults[act.fault].until.map_or(act.at_ns, |until| until.0);
                for i in self.struck(act.fault, share, false) {
                    if self.conns[i].stream.is_some() {
                        self.close(i, Close::Cut(self.ctx.start_ns + back_ns));
                    }
                }
            }
            LoadFaultKind::HalfOpen { connections } if !act.ends => {
                let until = job.load.faults[act.fault].until.map_or(i64::MAX, |u| self.ctx.start_ns + u.0);
                for _ in self.share_of(connections) {
                    self.stranger(HALF.to_vec(), false, until);
                }
            }
            LoadFaultKind::Malformed { connections } if !act.ends => {
                for n in self.share_of(connections) {
                    let says = MALFORMED[n as usize % MALFORMED.len()].to_vec();
                    self.stranger(says, true, self.ctx.now_ns + CLOSE_NS);
                }
            }
            LoadFaultKind::Takeover { share } if !act.ends => {
                for i in self.struck(act.fault, share, true) {
                    self.take_over(i);
                }
            }
            LoadFaultKind::Away { .. }
            | LoadFaultKind::HalfOpen { .. }
            | LoadFaultKind::Malformed { .. }
            | LoadFaultKind::Takeover { .. } => {}
        }
    }

    /// Goes on with a connection that a fault held back.
    fn resume(&mut self, i: usize) {
        self.mark_dirty(i);
        if !self.conns[i].in_ready {
            self.conns[i].in_ready = true;
            self.conns[i].readable = true;
            self.ready.push(i as u32);
        }
        self.unblock(i);
    }

    /// This worker's of so many strangers, dealt out over shards and workers.
    fn share_of(&self, connections: u32) -> Vec<u32> {
        let (i, n) = self.ctx.job.shard;
        let workers = self.ctx.job.workers as u32;
        let turn = i * workers + self.index as u32;
        (0..connections).filter(|k| k % (n * workers) == turn).collect()
    }

    fn stranger(&mut self, says: Vec<u8>, unwelcome: bool, until_ns: i64) {
        self.ctx.tally.counts.strangers += 1;
        let i = self.conns.len();
        let role = Role::Stranger(Box::new(Stranger { says, unwelcome, until_ns }));
        self.conns.push(Conn::new(role, i64::MAX));
        self.open(i);
    }

    /// A second connection with a device's client id: the broker is to close the first (MQTT 3.1.1 §3.1.4).
    fn take_over(&mut self, i: usize) {
        if self.conns[i].state != State::Up {
            return;
        }
        let first = match &self.conns[i].role {
            Role::Device(d) => d.wills.as_ref().map_or(0, |w| w.number),
            _ => 0,
        };
        let mut will = (String::new(), Vec::new());
        let mut says = Vec::new();
        if let Some(hello) = self.conns[i].hello(self.ctx.job, &mut will) {
            codec::put_connect(&mut says, hello);
        }
        self.conns[i].taken = true;
        if let Role::Device(d) = &mut self.conns[i].role
            && let Some(wills) = &mut d.wills
        {
            // The first connection's, and the second's, which ends without a word.
            wills.over.insert(first);
            wills.over.insert(wills.number);
            wills.number = first;
        }
        self.stranger(says, false, self.ctx.now_ns + CLOSE_NS);
    }
}
