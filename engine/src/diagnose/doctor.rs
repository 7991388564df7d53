//! One stream, followed by a judge of its sensors and a watch on the thing itself; each hears of the other's verdicts.
//!
//! What the world did explains many sensors at once, a sensor's fault one of them: while an event holds, and shortly after, the
//! judge's verdicts on values are not passed on, and it goes on with the filter that knows of the event. A sensor that the judge
//! found wrong is not looked at by the watch. The same code follows a recording and, in a mirror's twin, a device.

use super::{
    Said,
    replay::{Repeats, Replay},
    world::World,
};
use crate::{
    compare::{Judge, News, Posterior, Reading, Verdict},
    dynamics::{DynamicsDef, model::DynamicsError},
    predict::kalman::Filter,
    time::{SimTime, Span},
};
use std::collections::{BTreeMap, VecDeque};

/// Rows after an event in which the judge's word on values is not passed on.
const AFTER_ROWS: i64 = 40;

/// Readings of a judge before it has seen how slowly its model is wrong: until then no drift is believed.
const SETTLED_ROWS: u32 = 600;
/// Times that are remembered, to say since when a stream repeats itself.
const TIMES: usize = 4096;
/// Rows that are remembered of a device's stream, to find a recording in it.
const REPLAY_ROWS: usize = 20_000;
/// Verdict on a stream that repeats itself: someone plays a recording.
pub const SPOOFED: &str = "spoofed";

/// Follows one stream.
pub struct Doctor {
    judge: Judge,
    world: Option<World>,
    /// What the judge's examinations found, where that is kept.
    posteriors: Option<Vec<Posterior>>,
    outputs: Vec<String>,
    said: Vec<Verdict>,
    news: Vec<News>,
    /// Of the judge's own verdicts that hold: where they are in `said`.
    held: Vec<(Verdict, usize)>,
    /// Of the world's: the same; None: it was not passed on.
    world_at: Vec<Option<usize>>,
    /// Time of the last reading, by the device and by its arrival.
    last: (SimTime, SimTime),
    /// Whether the last reading changed under which network the thing is followed.
    turned: bool,
    /// Rows that the judge has seen.
    judged: u32,
    replay: Replay,
    /// Times of the last rows, and the verdict that the stream repeats itself.
    times: VecDeque<SimTime>,
    spoofs: Vec<Spoof>,
}

/// That outputs repeat themselves: where it is in `said`, and which.
#[derive(Clone, Debug)]
struct Spoof {
    at: usize,
    outputs: Vec<usize>,
}

impl Doctor {
    /// Follows a recording with a thing's dynamics; `learn` are parameters to learn as it goes. What examinations find is kept.
    ///
    /// # Errors
    /// As [`Filter::with_covariates`].
    pub fn new(
        def: &DynamicsDef,
        learn: &[String],
        covariates: &BTreeMap<String, f64>,
    ) -> Result<Self, DynamicsError> {
        let filter = Filter::with_covariates(def, learn, covariates)?;
        let world = World::new(def, covariates, filter.clone());
        let judge = Judge::new(Box::new(filter)).keeping_posteriors();
        Ok(Self {
            posteriors: Some(Vec::new()),
            replay: Replay::default(),
            ..Self::of(judge, Some(world.keeping_posteriors()))
        })
    }

    /// Follows a device for as long as it is there, with a judge and a watch that stand at its beginning.
    pub fn following(judge: Judge, world: World) -> Self {
        Self::of(judge, Some(world))
    }

    fn of(judge: Judge, world: Option<World>) -> Self {
        Self {
            outputs: judge.estimator().outputs().to_vec(),
            judge,
            world,
            posteriors: None,
            said: Vec::new(),
            news: Vec::new(),
            held: Vec::new(),
            world_at: Vec::new(),
            last: (SimTime::ZERO, SimTime::ZERO),
            turned: false,
            judged: 0,
            replay: Replay::remembering(REPLAY_ROWS),
            times: VecDeque::new(),
            spoofs: Vec::new(),
        }
    }

    /// Takes a reading in.
    pub fn take(&mut self, r: &Reading<'_>) {
        self.last = (r.t, r.arrived);
        self.turned = false;
        self.watch_replay(r);
        self.judge.take(r);
        if let Some(all) = &mut self.posteriors {
            all.append(&mut self.judge.take_posteriors());
        }
        self.judged = self.judged.saturating_add(1);
        if let Some(world) = &mut self.world {
            let inputs: Vec<f64> = self.judge.inputs_held().collect();
            if world.take(&Reading { inputs: &inputs, ..*r }, self.judge.unknown()) {
                self.turn();
            }
        }
        self.hear(r.arrived);
    }

    /// Whether the stream, or outputs of it, say again what they said before: then no verdict on values means anything.
    fn watch_replay(&mut self, r: &Reading<'_>) {
        self.times.push_back(r.t);
        if self.times.len() > TIMES {
            self.times.pop_front();
        }
        let found = self.replay.take(r.inputs, r.outputs);
        let repeats = |o: &usize| found.get(*o).copied().flatten().is_some();
        let (hold, over): (Vec<Spoof>, Vec<Spoof>) =
            std::mem::take(&mut self.spoofs).into_iter().partition(|s| s.outputs.iter().any(repeats));
        self.spoofs = hold;
        for spoof in &over {
            self.said[spoof.at].end = Some(r.t);
            self.tell(spoof.at, true, r.arrived);
            if let Some(world) = &mut self.world {
                spoof.outputs.iter().for_each(|o| world.ignore(*o, None));
            }
        }
        if !over.is_empty() && self.spoofs.is_empty() {
            self.believe_again();
        }
        for (o, found) in found.iter().enumerate() {
            if let Some(found) = found.filter(|_| !self.spoofs.iter().any(|s| s.outputs.contains(&o))) {
                self.begin_spoof(o, found, r);
            }
        }
    }

    /// An output repeats itself, and what goes along with it.
    fn begin_spoof(&mut self, first: usize, found: Repeats, r: &Reading<'_>) {
        let at = self.times.len().saturating_sub(found.rows);
        let onset = self.times.get(at).copied().unwrap_or(r.t);
        let along = |o: &usize| *o == first || self.replay.goes_along(*o, found.lag);
        let outputs: Vec<usize> = (0..self.outputs.len()).filter(along).collect();
        let part =
            if outputs.len() == self.outputs.len() { String::new() } else { self.outputs[first].clone() };
        let outputs = if part.is_empty() { outputs } else { vec![first] };
        let back = |by: Span| onset + Span(-by.0);
        if let Some(world) = &mut self.world {
            world.withdraw(back(self.judge.period()));
            outputs.iter().for_each(|o| world.ignore(*o, Some(onset)));
        }
        self.hear_world();
        // What was said of values since it began was said of the recording.
        let since = back(self.patience());
        for (v, at) in std::mem::take(&mut self.held) {
            let of_values = !matches!(v.kind, "dropout" | "clock_skew");
            if of_values && v.onset >= since {
                self.said[at].end = Some(r.t);
                self.tell(at, true, r.arrived);
            } else {
                self.held.push((v, at));
            }
        }
        self.spoofs.push(Spoof { at: self.said.len(), outputs });
        self.begin(Verdict {
            part,
            kind: SPOOFED,
            onset,
            end: None,
            size: 0.0,
            posterior: 0.999,
            decided_at: r.arrived,
        });
    }

    /// The stream is live again: the judge goes on from the twin that did not look at what was played.
    fn believe_again(&mut self) {
        let Some(world) = &mut self.world else { return };
        world.settle();
        let filter = Box::new(world.filter().clone());
        let before = |v: &Verdict| self.held.iter().any(|(h, _)| h.part == v.part && h.onset == v.onset);
        self.judge.go_on(filter, self.last, &before);
        self.judged = 0;
    }

    /// Says something new.
    fn begin(&mut self, verdict: Verdict) {
        self.news.push(News {
            t: verdict.decided_at,
            verdict: Verdict { end: None, ..verdict.clone() },
            ended: false,
        });
        self.said.push(verdict);
    }

    /// What was said has changed, or is over.
    fn tell(&mut self, at: usize, ended: bool, t: SimTime) {
        self.news.push(News { t, verdict: self.said[at].clone(), ended });
    }

    /// Something happened to the thing, or is over: what the judge believes of values was believed without it. A sensor that was
    /// wrong before it still is.
    fn turn(&mut self) {
        self.hear_world();
        let Some(world) = &self.world else { return };
        let patience = self.patience();
        // The end of an event speaks against nothing that was said before it began.
        let since = world.verdicts().last().map_or(self.last.0, |v| v.onset);
        let before = |v: &Verdict| {
            let said = |(h, _): &(Verdict, usize)| h.part == v.part && h.onset == v.onset;
            since - v.onset > patience && self.held.iter().any(said)
        };
        self.judge.go_on(Box::new(world.filter().clone()), self.last, &before);
        self.judged = 0;
        self.turned = true;
    }

    /// For how long after an event the judge's word on values is not passed on.
    fn patience(&self) -> Span {
        Span(self.judge.period().0.saturating_mul(AFTER_ROWS))
    }

    /// What the watch says: new verdicts, and the last one, which alone may still hold, as it is now.
    fn hear_world(&mut self) {
        let Some(world) = &self.world else { return };
        let first = self.world_at.len().saturating_sub(1);
        let latest = world.verdicts().get(first..).unwrap_or_default().to_vec();
        for (k, v) in (first..).zip(latest) {
            if k >= self.world_at.len() {
                // Of a thing whose readings are played nothing is known.
                let told = self.spoofs.is_empty().then_some(self.said.len());
                self.world_at.push(told);
                if told.is_some() {
                    self.begin(Verdict { end: None, ..v.clone() });
                }
            }
            let Some(at) = self.world_at[k] else { continue };
            let ends = v.end.is_some() && self.said[at].end.is_none();
            self.said[at] = v;
            if ends {
                self.tell(at, true, self.last.1);
            }
        }
    }

    /// Simulated time has come this far: silence is judged. Whether there is something to tell.
    pub fn wait(&mut self, now: SimTime) -> bool {
        let told = self.judge.wait(now);
        if told {
            self.hear(now);
        }
        told
    }

    /// What silence is declared to be usual, as for [`Judge::allow_silence`].
    pub fn allow_silence(&mut self, silence: Span) {
        self.judge.allow_silence(silence);
    }

    /// The broker says that the device is gone (`false`) or back, as for [`Judge::presence`].
    pub fn presence(&mut self, t: SimTime, here: bool) {
        self.judge.presence(t, here);
    }

    /// The device's clock was set to a time before its last reading.
    pub fn clock_set(&mut self, t: SimTime) {
        self.judge.clock_set(t);
        if let Some(world) = &mut self.world {
            world.clock_set();
        }
        self.times.clear();
    }

    fn hear(&mut self, now: SimTime) {
        let mut news: VecDeque<News> = self.judge.news().into();
        while let Some(News { verdict, ended, .. }) = news.pop_front() {
            let of_values = !matches!(verdict.kind, "dropout" | "clock_skew");
            let known =
                self.held.iter().position(|(v, _)| v.part == verdict.part && v.onset == verdict.onset);
            let output = self.outputs.iter().position(|o| *o == verdict.part).filter(|_| of_values);
            match (known, ended) {
                (Some(k), true) => {
                    let (_, at) = self.held.remove(k);
                    self.said[at] = verdict;
                    self.tell(at, true, now);
                    if let (Some(world), Some(o)) = (&mut self.world, output) {
                        world.ignore(o, None);
                    }
                }
                // It turned out to be of another kind.
                (Some(k), false) => {
                    let at = self.held[k].1;
                    self.held[k].0 = verdict.clone();
                    self.said[at] = verdict;
                    self.tell(at, false, now);
                }
                (None, false) => {
                    let patience = self.patience();
                    let eventful = self.world.as_ref().is_some_and(|w| w.is_busy(self.last.0, patience));
                    let early = verdict.kind == "drift" && self.judged < SETTLED_ROWS;
                    let busy = early || of_values && (eventful || self.spoofed());
                    if busy {
                        continue;
                    }
                    let world = self.world.as_mut().filter(|_| of_values);
                    // Nothing that happens to a thing makes a reading stand still to the last digit, or leap and come back.
                    let of_sensor = output.is_some() && matches!(verdict.kind, "stuck" | "spike");
                    let explained = world.is_some_and(|w| !of_sensor && w.explains(output, verdict.onset));
                    if explained {
                        self.turn();
                        news.extend(self.judge.news());
                        continue;
                    }
                    if let (Some(world), Some(o)) = (&mut self.world, output) {
                        world.ignore(o, Some(verdict.onset));
                    }
                    self.held.push((verdict.clone(), self.said.len()));
                    self.begin(verdict);
                }
                (None, true) => {}
            }
        }
        // Sizes are fitted anew while a verdict holds.
        for (v, at) in &self.held {
            let latest = self.judge.verdicts().iter().rev();
            let same = |w: &&Verdict| w.kind == v.kind && w.part == v.part && w.onset == v.onset;
            if let Some(w) = latest.into_iter().find(same) {
                self.said[*at] = w.clone();
            }
        }
        if let (Some(world), Some(Some(at))) = (&self.world, self.world_at.last())
            && let Some(v) = world.verdicts().last()
        {
            self.said[*at].size = v.size;
        }
    }

    /// All verdicts as an outsider reads them, in the order in which they were decided.
    pub fn said(&self, subject: &str) -> Vec<Said> {
        self.said.iter().map(|v| Said::new(subject, v)).collect()
    }

    /// All verdicts, in the order in which they were decided.
    pub fn verdicts(&self) -> &[Verdict] {
        &self.said
    }

    /// What began, was renamed or ended since [`Self::news`] was last called.
    pub fn fresh(&self) -> &[News] {
        &self.news
    }

    /// What began, was renamed or ended since the last call.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The judge of the sensors; what it says of values while an event holds is not for others.
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Whether a verdict on a signal holds.
    pub fn holds(&self, signal: &str) -> bool {
        self.held.iter().any(|(v, _)| v.part == signal)
    }

    /// Whether a verdict on the device as a whole holds, or on the thing itself.
    pub fn device_holds(&self) -> bool {
        self.spoofed() || self.judge.device_holds() || self.world.as_ref().is_some_and(World::holds)
    }

    /// Whether the stream repeats itself.
    pub fn spoofed(&self) -> bool {
        !self.spoofs.is_empty()
    }

    /// Whether the last reading changed under which network the thing is followed.
    pub fn turned(&self) -> bool {
        self.turned
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = self.judge.state_bytes();
        bytes.extend(self.world.iter().flat_map(World::state_bytes));
        for v in &self.said {
            bytes.extend_from_slice(v.kind.as_bytes());
            bytes.extend_from_slice(&v.onset.0.to_le_bytes());
            bytes.extend_from_slice(&v.end.map_or(-1, |t| t.0).to_le_bytes());
            bytes.extend_from_slice(&v.size.to_bits().to_le_bytes());
        }
        bytes
    }

    /// How likely each sensor's fault was whenever something was looked into, in order of time; of a recording only.
    pub fn posteriors(&self) -> &[Posterior] {
        self.posteriors.as_deref().unwrap_or_default()
    }

    /// The residual of an output after the last reading, in standard deviations of the stream ([`crate::compare::View::whitened`]).
    pub fn whitened(&self, output: usize) -> f64 {
        self.judge.view(output).whitened
    }

    /// The watch on the thing itself, where its dynamics name events.
    pub fn world(&self) -> Option<&World> {
        self.world.as_ref()
    }
}
