//! The state of one expectation while the run goes on.

use super::{Bounds, Claim, Condition, Expectation, Unless, evaluate::Side};
use crate::{
    signal::{SignalId, SignalTable},
    time::{SimTime, Span},
    world::{Event, Row},
};
use std::collections::{BTreeMap, VecDeque};

/// Anchors kept for a rate over a span; more would sharpen the span's length, not the rate.
const ANCHORS: i64 = 128;

/// What was worst.
#[derive(Clone, Debug)]
pub(super) enum Who {
    Signal(SignalId),
    Subject(String),
}

/// The worst moment so far.
#[derive(Clone, Debug)]
pub(super) struct Worst {
    pub margin: f64,
    pub t: SimTime,
    pub who: Who,
    pub value: Option<f64>,
}

/// What has been fulfilled when.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Always, Never, Settles: the worst row is enough.
    Rows,
    /// Eventually: the best row of each signal.
    Best(Vec<Option<Worst>>),
    /// Within: when each signal, or the event, was first there.
    First(Vec<Option<(SimTime, Who)>>),
    /// Rate: earlier rows of each signal.
    Rate(Vec<VecDeque<(SimTime, f64)>>),
    /// Count.
    Count { last: Option<(SimTime, Who)> },
    /// Implies.
    Implies(Pairs),
}

/// The devices of an `Implies`, each with its own clock. Where a side does not name devices by a wildcard, all share one.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    per_device: bool,
    group_of_first: Vec<u32>,
    group_of_then: Vec<u32>,
    names: BTreeMap<String, u32>,
    groups: Vec<Group>,
    first_true: Vec<bool>,
    then_true: Vec<bool>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// The earliest premise that nothing has followed yet, and who it was.
    pending: Option<(SimTime, Who)>,
    /// How many of the signals that it waits for are true now.
    standing: u32,
}

/// What suspends an expectation now, by device (or one for all, under the empty name).
#[derive(Clone, Debug, Default)]
struct Suspended {
    /// How many stand on each part of each device: they may overlap.
    standing: BTreeMap<(String, String), u32>,
    resumes: BTreeMap<String, SimTime>,
}

/// One expectation at work.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    pub e: Expectation,
    pub first: Vec<SignalId>,
    pub state: State,
    pub worst: Option<Worst>,
    pub judged: u64,
    pub against: u64,
    suspended: Suspended,
    per_device: bool,
}

fn has_wildcard(text: Option<&str>) -> bool {
    text.is_none_or(|t| t.contains(['*', '?']))
}

/// Whether a condition speaks of many devices.
fn of_many(condition: &Condition) -> bool {
    match condition {
        Condition::Signal(p, _) => has_wildcard(Some(p.text.split('/').next().unwrap_or("*"))),
        Condition::Verdict(p) => has_wildcard(p.of.as_deref()),
        Condition::Event(p) => has_wildcard(p.of.as_deref()),
    }
}

impl Judge {
    pub(super) fn new(
        e: Expectation,
        first: Vec<SignalId>,
        then: Vec<SignalId>,
        table: &SignalTable,
    ) -> Self {
        let n = first.len();
        let state = match &e.claim {
            Claim::Always(..) | Claim::Never(_) | Claim::Settles { .. } => State::Rows,
            Claim::Eventually { .. } => State::Best(vec![None; n]),
            Claim::Within(_) => State::First(vec![None; n.max(1)]),
            Claim::Rate { .. } => State::Rate(vec![VecDeque::new(); n]),
            Claim::Count(..) => State::Count { last: None },
            Claim::Implies { premise, then: t, .. } => {
                let per_device = of_many(premise) && of_many(t);
                State::Implies(Pairs::new(per_device, &first, &then, table))
            }
        };
        let per_device = e.unless.as_ref().is_some_and(|u| {
            let (Unless::Fault(target) | Unless::Verdict(target)) = u;
            has_wildcard(target.split('/').next())
        });
        let suspended = Suspended::default();
        Self { e, first, state, worst: None, judged: 0, against: 0, suspended, per_device }
    }

    /// Takes in an event.
    pub(super) fn event(&mut self, event: &Event) {
        self.switch(event);
        if event.t < self.e.from || self.is_suspended(&event.subject, event.t) {
            return;
        }
        let in_time = event.t <= self.e.to;
        let who = || Who::Subject(event.subject.clone());
        match (&self.e.claim, &mut self.state) {
            (Claim::Never(c), _) if in_time && c.matches_event(event) => {
                self.judged += 1;
                self.against += 1;
                let first = self.worst.take().map_or((event.t, who()), |w| (w.t, w.who));
                let margin = -(self.against as f64);
                self.worst = Some(Worst { margin, t: first.0, who: first.1, value: None });
            }
            (Claim::Within(c), State::First(firsts)) if c.matches_event(event) => {
                self.judged += 1;
                firsts[0].get_or_insert((event.t, who()));
            }
            (Claim::Count(c, _), State::Count { last }) if in_time && c.matches_event(event) => {
                self.judged += 1;
                *last = Some((event.t, who()));
            }
            (Claim::Implies { premise, then, within }, State::Implies(pairs)) => {
                let within = *within;
                let group = pairs.group(&event.subject);
                let mut met = None;
                if in_time && premise.matches_event(event) {
                    met = pairs.begin(group, event.t, who());
                }
                if then.matches_event(event) {
                    met = met.or(pairs.follow(group));
                }
                self.meet(met, event.t, within);
            }
            _ => {}
        }
    }

    /// Takes in a row of one of its signals.
    pub(super) fn row(&mut self, row: &Row, slot: usize, side: Side, table: &SignalTable) {
        if row.t < self.e.from {
            // What an Implies waits for may be true before anything counts.
            if let (
                Claim::Implies { then: Condition::Signal(_, bounds), .. },
                State::Implies(pairs),
                Side::Then,
            ) = (&self.e.claim, &mut self.state, side)
            {
                pairs.set_then(slot, bounds.margin(row.value) >= 0.0);
            }
            return;
        }
        if !self.suspended.is_empty() && self.is_suspended(&table.device_name(row.signal), row.t) {
            if let State::Rate(anchors) = &mut self.state {
                // A change across the suspension is nobody's rate.
                anchors[slot].clear();
            }
            return;
        }
        let in_time = row.t <= self.e.to;
        match &self.e.claim {
            Claim::Always(_, bounds) => self.judge_row(row, *bounds, in_time),
            Claim::Never(Condition::Signal(_, bounds)) => self.judge_row(row, bounds.inverted(), in_time),
            Claim::Settles { to, error, .. } => {
                let bounds = Bounds::between(to - error, to + error);
                self.judge_row(row, bounds, in_time);
            }
            Claim::Eventually { bounds, .. } if in_time => {
                let margin = bounds.margin(row.value);
                self.judged += 1;
                self.against += u64::from(margin < 0.0);
                if let State::Best(best) = &mut self.state
                    && best[slot].as_ref().is_none_or(|b| margin > b.margin)
                {
                    let who = Who::Signal(row.signal);
                    best[slot] = Some(Worst { margin, t: row.t, who, value: Some(row.value) });
                }
            }
            Claim::Within(Condition::Signal(_, bounds)) => {
                self.judged += 1;
                if let (State::First(firsts), true) = (&mut self.state, bounds.margin(row.value) >= 0.0) {
                    firsts[slot].get_or_insert((row.t, Who::Signal(row.signal)));
                }
            }
            Claim::Rate { bounds, per, over, .. } if in_time => {
                let (bounds, per, over) = (*bounds, *per, *over);
                self.rate_row(row, slot, bounds, per, over);
            }
            Claim::Count(Condition::Signal(_, bounds), _) if in_time => {
                if let (State::Count { last }, true) = (&mut self.state, bounds.margin(row.value) >= 0.0) {
                    self.judged += 1;
                    *last = Some((row.t, Who::Signal(row.signal)));
                }
            }
            Claim::Implies { premise, then, within } => {
                let State::Implies(pairs) = &mut self.state else { return };
                let within = *within;
                let met = match (side, premise, then) {
                    (Side::First, Condition::Signal(_, bounds), _) if in_time => {
                        let now = bounds.margin(row.value) >= 0.0;
                        let was = std::mem::replace(&mut pairs.first_true[slot], now);
                        let rises = now && !was;
                        let group = pairs.group_of_first[slot];
                        if rises { pairs.begin(group, row.t, Who::Signal(row.signal)) } else { None }
                    }
                    (Side::Then, _, Condition::Signal(_, bounds)) => {
                        let now = bounds.margin(row.value) >= 0.0;
                        pairs.set_then(slot, now);
                        if now { pairs.follow(pairs.group_of_then[slot]) } else { None }
                    }
                    _ => None,
                };
                self.meet(met, row.t, within);
            }
            _ => {}
        }
    }

    fn judge_row(&mut self, row: &Row, bounds: Bounds, in_time: bool) {
        if in_time {
            self.worse(row, row.value, bounds.margin(row.value));
        }
    }

    fn worse(&mut self, row: &Row, value: f64, margin: f64) {
        self.judged += 1;
        self.against += u64::from(margin < 0.0);
        if self.worst.as_ref().is_none_or(|w| margin < w.margin) {
            let who = Who::Signal(row.signal);
            self.worst = Some(Worst { margin, t: row.t, who, value: Some(value) });
        }
    }

    fn rate_row(&mut self, row: &Row, slot: usize, bounds: Bounds, per: Span, over: Span) {
        let State::Rate(all) = &mut self.state else { return };
        let anchors = &mut all[slot];
        // The latest anchor that is old enough stays in front; what is older is no longer needed.
        while anchors.len() > 1 && row.t - anchors[1].0 >= over && anchors[1].0 < row.t {
            anchors.pop_front();
        }
        let old = anchors.front().copied().filter(|a| row.t - a.0 >= over && a.0 < row.t);
        let spacing = over.0 / ANCHORS;
        if anchors.back().is_none_or(|a| (row.t - a.0).0 >= spacing.max(1)) {
            anchors.push_back((row.t, row.value));
        }
        if let Some((t, value)) = old {
            let rate = (row.value - value) / (row.t - t).as_secs_f64() * per.as_secs_f64();
            self.worse(row, rate, bounds.margin(rate));
        }
    }

    /// Something that an `Implies` waited for since `met` is true at `t`.
    fn meet(&mut self, met: Option<(SimTime, Who)>, t: SimTime, within: Span) {
        let Some((since, who)) = met else { return };
        let margin = (since + within - t).as_secs_f64();
        self.judged += 1;
        self.against += u64::from(margin < 0.0);
        if self.worst.as_ref().is_none_or(|w| margin < w.margin) {
            self.worst = Some(Worst { margin, t: since, who, value: None });
        }
    }

    fn switch(&mut self, event: &Event) {
        let Some(on) = self.e.unless.as_ref().and_then(|u| u.switches(event)) else { return };
        let scope = if self.per_device { event.subject.clone() } else { String::new() };
        let key = (event.subject.clone(), event.part.clone());
        if on {
            *self.suspended.standing.entry(key).or_default() += 1;
            self.suspended.resumes.insert(scope, SimTime::NEVER);
            return;
        }
        if let Some(standing) = self.suspended.standing.get_mut(&key) {
            *standing -= 1;
            if *standing == 0 {
                self.suspended.standing.remove(&key);
            }
        }
        let others = self.suspended.standing.keys().any(|(s, _)| !self.per_device || *s == event.subject);
        if !others {
            self.suspended.resumes.insert(scope, event.t + self.e.grace);
        }
        // What resumed long ago is forgotten, so that the map holds no more than what matters.
        self.suspended.resumes.retain(|_, until| *until > event.t);
    }

    fn is_suspended(&self, device: &str, t: SimTime) -> bool {
        let scope = if self.per_device { device } else { "" };
        self.suspended.resumes.get(scope).is_some_and(|until| t < *until)
    }

    /// Premises of an `Implies` that nothing followed although their time was over before `end`, and the earliest of them.
    pub(super) fn unmet(&self, end: SimTime) -> (u64, Option<(SimTime, Who)>) {
        let (Claim::Implies { within, .. }, State::Implies(pairs)) = (&self.e.claim, &self.state) else {
            return (0, None);
        };
        let late = |since: &SimTime| *since + *within < end;
        let pending = pairs.groups.iter().filter_map(|g| g.pending.as_ref());
        let unmet: Vec<_> = pending.filter(|(since, _)| late(since)).collect();
        (unmet.len() as u64, unmet.into_iter().min_by_key(|(since, _)| *since).cloned())
    }
}

impl Suspended {
    fn is_empty(&self) -> bool {
        self.resumes.is_empty()
    }
}

impl Pairs {
    fn new(per_device: bool, first: &[SignalId], then: &[SignalId], table: &SignalTable) -> Self {
        let mut pairs = Self { per_device, ..Self::default() };
        pairs.group_of_first = first.iter().map(|id| pairs.group(&table.device_name(*id))).collect();
        pairs.group_of_then = then.iter().map(|id| pairs.group(&table.device_name(*id))).collect();
        pairs.first_true = vec![false; first.len()];
        pairs.then_true = vec![false; then.len()];
        pairs
    }

    fn group(&mut self, device: &str) -> u32 {
        let name = if self.per_device { device } else { "" };
        if let Some(at) = self.names.get(name) {
            return *at;
        }
        let at = self.groups.len() as u32;
        self.groups.push(Group::default());
        self.names.insert(name.to_owned(), at);
        at
    }

    /// The premise becomes true. What follows it may stand already; then it is met at once.
    fn begin(&mut self, group: u32, t: SimTime, who: Who) -> Option<(SimTime, Who)> {
        let g = &mut self.groups[group as usize];
        if g.standing > 0 {
            return Some((t, who));
        }
        // An earlier premise that still waits has the earlier deadline: whatever meets it, meets this one.
        g.pending.get_or_insert((t, who));
        None
    }

    fn follow(&mut self, group: u32) -> Option<(SimTime, Who)> {
        self.groups[group as usize].pending.take()
    }

    fn set_then(&mut self, slot: usize, now: bool) {
        let before = std::mem::replace(&mut self.then_true[slot], now);
        let g = &mut self.groups[self.group_of_then[slot] as usize];
        match (before, now) {
            (false, true) => g.standing += 1,
            (true, false) => g.standing -= 1,
            _ => {}
        }
    }
}
