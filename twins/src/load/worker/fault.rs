//! Faults on our side of the wire, at their instants: who is struck is drawn by the seed, and is the same in every shard.

use super::*;
use crate::load::conn::{Purpose, Slow, Stranger};
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

/// A stranger that is looked at so long after its deadline is looked at once more, [ns]: we were late ourselves.
const LATE_NS: i64 = 100_000_000;
/// And after so long, [ns].
const GRACE_NS: i64 = 250_000_000;

/// Packets that are none, each wrong in its own way, and whether the broker must close the connection (MQTT 3.1.1 §4.8).
const MALFORMED: [(&[u8], bool); 6] = [
    // A reserved packet type.
    (&[0x00, 0x00], true),
    // A length of five bytes.
    (&[0x10, 0xff, 0xff, 0xff, 0xff, 0x7f], true),
    // A message before the greeting.
    (&[0x30, 0x05, 0x00, 0x01, b'a', b'x', b'y'], true),
    // A greeting of an unknown protocol: a broker may speak that, too (§3.1.2.1).
    (&[0x10, 0x0d, 0x00, 0x04, b'M', b'Q', b'X', b'X', 0x04, 0x02, 0x00, 0x3c, 0x00, 0x01, b'c'], false),
    // A greeting with the reserved flag set.
    (&[0x10, 0x0d, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x03, 0x00, 0x3c, 0x00, 0x01, b'c'], true),
    // A client id that is not UTF-8.
    (&[0x10, 0x0e, 0x00, 0x04, b'M', b'Q', b'T', b'T', 0x04, 0x02, 0x00, 0x3c, 0x00, 0x02, 0xc3, 0x28], true),
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

    fn id(&self, i: usize) -> Option<&str> {
        let job = self.ctx.job;
        match &self.conns[i].role {
            Role::Device(d) => Some(&job.devices[d.spec].id),
            Role::Subscriber(s) => Some(&job.subscribers[s.spec].id),
            Role::Stranger(_) => None,
        }
    }

    fn struck(&self, fault: usize, share: f64, devices: bool) -> Vec<usize> {
        let job = self.ctx.job;
        let fits = |conn: &Conn| match &conn.role {
            Role::Device(_) => devices,
            Role::Subscriber(_) => !devices,
            Role::Stranger(_) => false,
        };
        let hit = |i: usize| self.id(i).is_some_and(|id| load::strikes(job.seed, fault, id, share));
        (0..self.conns.len()).filter(|i| fits(&self.conns[*i]) && hit(*i)).collect()
    }

    /// Of the faults that `of` picks, what it says of one that still holds a connection as another of its kind ends.
    fn goes_on<T>(&self, ended: Act, i: usize, of: impl Fn(&LoadFaultKind) -> Option<(f64, T)>) -> Option<T> {
        let job = self.ctx.job;
        let id = self.id(i)?;
        job.load.faults.iter().enumerate().find_map(|(fault, def)| {
            let lasts = def.at.0 <= ended.at_ns && def.until.is_none_or(|until| until.0 > ended.at_ns);
            let (share, what) = of(&def.action).filter(|_| fault != ended.fault && lasts)?;
            load::strikes(job.seed, fault, id, share).then_some(what)
        })
    }

    fn act(&mut self, act: Act) {
        let job = self.ctx.job;
        match job.load.faults[act.fault].action.clone() {
            LoadFaultKind::Storm { share, jitter } if !act.ends => {
                for i in self.struck(act.fault, share, true) {
                    let Role::Device(d) = &self.conns[i].role else { continue };
                    let late = load::jitter(job.seed, act.fault, &job.devices[d.spec].id) * jitter.0 as f64;
                    if self.conns[i].stream.is_some() {
                        self.close(i, Close::Cut(self.ctx.now_ns + late as i64));
                    }
                }
            }
            LoadFaultKind::Stall { share } => {
                let stall = |kind: &LoadFaultKind| match kind {
                    LoadFaultKind::Stall { share } => Some((*share, ())),
                    _ => None,
                };
                for i in self.struck(act.fault, share, true) {
                    self.conns[i].stalled = !act.ends || self.goes_on(act, i, stall).is_some();
                    if !self.conns[i].stalled {
                        self.resume(i);
                    }
                }
            }
            LoadFaultKind::SlowReader { share, bytes_per_s } => {
                for i in self.struck(act.fault, share, false) {
                    self.slow_down(i, act, bytes_per_s);
                    self.resume(i);
                }
            }
            LoadFaultKind::WithholdAcks { share } => {
                for i in self.struck(act.fault, share, false) {
                    self.withhold(i, act);
                }
            }
            LoadFaultKind::Away { share } if !act.ends => {
                let back_ns = job.load.faults[act.fault].until.map_or(act.at_ns, |until| until.0);
                for i in self.struck(act.fault, share, false) {
                    let back_ns = self.ctx.start_ns.saturating_add(back_ns);
                    match self.conns[i].state {
                        // It is on its way back from something else, and stays away for longer.
                        State::Down => self.wake_at(i, back_ns),
                        _ if self.conns[i].stream.is_some() => self.close(i, Close::Cut(back_ns)),
                        _ => {}
                    }
                }
            }
            LoadFaultKind::HalfOpen { connections } if !act.ends => {
                let until = job.load.faults[act.fault].until.map_or(i64::MAX, |u| self.ctx.start_ns + u.0);
                for _ in self.share_of(connections) {
                    self.stranger(HALF.to_vec(), Purpose::HalfOpen, self.first_device(), until);
                }
            }
            LoadFaultKind::Malformed { connections } if !act.ends => {
                for n in self.share_of(connections) {
                    let (says, must_close) = MALFORMED[n as usize % MALFORMED.len()];
                    let purpose = Purpose::Malformed { must_close };
                    self.stranger(says.to_vec(), purpose, self.first_device(), i64::MAX);
                }
            }
            LoadFaultKind::Takeover { share } if !act.ends => {
                for i in self.struck(act.fault, share, true) {
                    self.take_over(i);
                }
            }
            LoadFaultKind::Storm { .. }
            | LoadFaultKind::Away { .. }
            | LoadFaultKind::HalfOpen { .. }
            | LoadFaultKind::Malformed { .. }
            | LoadFaultKind::Takeover { .. }
            // Somebody else sees to that: a worker knows no more of its broker than its address.
            | LoadFaultKind::Restart { .. } => {}
        }
    }

    fn slow_down(&mut self, i: usize, act: Act, bytes_per_s: u32) {
        let slow = |kind: &LoadFaultKind| match kind {
            LoadFaultKind::SlowReader { share, bytes_per_s } => Some((*share, *bytes_per_s)),
            _ => None,
        };
        let rate = if act.ends { self.goes_on(act, i, slow) } else { Some(bytes_per_s) };
        let now_ns = self.ctx.now_ns;
        let Role::Subscriber(s) = &mut self.conns[i].role else { return };
        s.slow = rate.map(|rate| Slow { rate, allowance: 0.0, at_ns: now_ns });
        s.hold_back(now_ns);
    }

    fn withhold(&mut self, i: usize, act: Act) {
        let withhold = |kind: &LoadFaultKind| match kind {
            LoadFaultKind::WithholdAcks { share } => Some((*share, ())),
            _ => None,
        };
        let over = act.ends && self.goes_on(act, i, withhold).is_none();
        let now_ns = self.ctx.now_ns;
        if over {
            self.conns[i].release();
            self.mark_dirty(i);
        }
        let Role::Subscriber(s) = &mut self.conns[i].role else { return };
        if !over {
            // What an earlier fault holds back stays held back.
            s.withheld.get_or_insert_default();
        }
        s.hold_back(now_ns);
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

    /// The device whose certificate a stranger shows: the first of this shard's own, whose files are known to be there.
    fn first_device(&self) -> Option<usize> {
        let job = self.ctx.job;
        job.devices.iter().position(|d| job.owns(d.ordinal))
    }

    fn stranger(&mut self, says: Vec<u8>, purpose: Purpose, shows: Option<usize>, until_ns: i64) {
        self.ctx.tally.counts.strangers += 1;
        self.ctx.counts.awaited += u64::from(purpose.is_awaited());
        let i = self.conns.len();
        let role = Role::Stranger(Box::new(Stranger { says, purpose, shows, until_ns }));
        self.conns.push(Conn::new(role, i64::MAX));
        self.open(i);
    }

    /// A stranger's time is over; what the broker did about it may still wait to be read, if we are late ourselves.
    pub(super) fn deadline(&mut self, i: usize) {
        let now_ns = self.ctx.now_ns;
        let Role::Stranger(s) = &mut self.conns[i].role else { return };
        if now_ns - s.until_ns > LATE_NS {
            s.until_ns = now_ns + GRACE_NS;
            let until_ns = s.until_ns;
            return self.wake_at(i, until_ns);
        }
        match self.conns[i].state {
            State::Failed => self.take_over_is_due(i),
            _ => self.close(i, Close::Done),
        }
    }

    /// A stranger's connection has ended, or was never open.
    pub(super) fn stranger_left(&mut self, i: usize, open: bool, why: &Close) {
        self.conns[i].state = State::Failed;
        self.conns[i].wake_ns = i64::MAX;
        let Role::Stranger(s) = &self.conns[i].role else { return };
        let (purpose, until_ns) = (s.purpose, s.until_ns);
        let by_broker = matches!(why, Close::Broken(_));
        if !open {
            self.ctx.tally.counts.strangers_unopened += 1;
            let reason = match why {
                Close::Broken(reason) => reason.as_str(),
                _ => "it was not open in time",
            };
            self.ctx.tally.reason(format!("a stranger of a fault could not be connected: {reason}"));
            if let Purpose::Takeover { of } = purpose {
                self.conns[of].taken = false;
            }
            self.ctx.counts.awaited -= u64::from(purpose.is_awaited());
            return;
        }
        let counts = &mut self.ctx.tally.counts;
        match purpose {
            Purpose::HalfOpen => {}
            Purpose::Malformed { must_close } => {
                let count = match (by_broker, must_close) {
                    (true, _) => &mut counts.strangers_closed,
                    (false, true) => &mut counts.strangers_kept,
                    (false, false) => &mut counts.strangers_borne,
                };
                *count += 1;
                self.ctx.counts.awaited -= 1;
            }
            // The broker has until the same deadline to close the first one, whatever it did to the second.
            Purpose::Takeover { .. } if by_broker => self.wake_at(i, until_ns),
            Purpose::Takeover { .. } => self.take_over_is_due(i),
        }
    }

    /// Whether a device's first connection is still there although a second with its client id has come.
    fn take_over_is_due(&mut self, i: usize) {
        let Role::Stranger(s) = &self.conns[i].role else { return };
        let Purpose::Takeover { of } = s.purpose else { return };
        self.ctx.counts.awaited -= 1;
        let first = &mut self.conns[of];
        if std::mem::take(&mut first.taken) && first.state == State::Up {
            self.ctx.tally.counts.takeovers_ignored += 1;
        }
    }

    /// A second connection with a device's client id: the broker is to close the first (MQTT 3.1.1 §3.1.4).
    fn take_over(&mut self, i: usize) {
        if self.conns[i].state != State::Up {
            return;
        }
        let (first, spec) = match &self.conns[i].role {
            Role::Device(d) => (d.wills.as_ref().map_or(0, |w| w.number), d.spec),
            _ => return,
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
        self.stranger(says, Purpose::Takeover { of: i }, Some(spec), i64::MAX);
    }
}

impl Subscriber {
    /// Notes whether a fault of ours holds back what it reads or acknowledges, and since when.
    fn hold_back(&mut self, now_ns: i64) {
        let held = self.slow.is_some() || self.withheld.is_some();
        self.held_back_ns = held.then(|| self.held_back_ns.unwrap_or(now_ns));
    }
}
