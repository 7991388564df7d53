//! One stream, followed by a judge of its sensors and a watch on the thing itself; each hears of the other's verdicts.
//!
//! What the world did explains many sensors at once, a sensor's fault one of them: while an event holds, and shortly after, the
//! judge's verdicts on values are not passed on, and it begins anew with the filter that knows of the event. A sensor that the judge
//! found wrong is not looked at by the watch.

use super::{Said, replay::Replay, world::World};
use crate::{
    compare::{Judge, News, Posterior, Reading, Verdict},
    dynamics::{DynamicsDef, model::DynamicsError},
    predict::{Estimator, kalman::Filter},
    time::{SimTime, Span},
};
use std::collections::{BTreeMap, VecDeque};

/// Rows after an event in which the judge's word on values is not passed on.
const AFTER_ROWS: i64 = 40;

/// Readings of a judge before it has seen how slowly its model is wrong: until then no drift is believed.
const SETTLED_ROWS: u32 = 600;
/// Times that are remembered, to say since when a stream repeats itself.
const TIMES: usize = 4096;
/// Verdict on a stream that repeats itself: someone plays a recording.
pub const SPOOFED: &str = "spoofed";

/// Follows one stream.
pub struct Doctor {
    judge: Judge,
    /// What the judge's examinations found.
    posteriors: Vec<Posterior>,
    world: Option<World>,
    outputs: Vec<String>,
    said: Vec<Verdict>,
    /// Of the judge's own verdicts that hold: where they are in `said`.
    held: Vec<(Verdict, usize)>,
    /// Of the world's: the same.
    world_at: Vec<usize>,
    last_t: Option<SimTime>,
    period: Span,
    /// Rows that the judge has seen.
    judged: u32,
    replay: Replay,
    /// Times of the last rows, and the verdict that the stream repeats itself.
    times: VecDeque<SimTime>,
    spoofed: Option<usize>,
}

impl Doctor {
    /// Follows with a thing's dynamics; `learn` are parameters to learn as it goes.
    ///
    /// # Errors
    /// As [`Filter::with_covariates`].
    pub fn new(
        def: &DynamicsDef,
        learn: &[String],
        covariates: &BTreeMap<String, f64>,
    ) -> Result<Self, DynamicsError> {
        let filter = Filter::with_covariates(def, learn, covariates)?;
        let world = (!def.events.is_empty()).then(|| World::new(def, covariates, filter.clone()));
        Ok(Self {
            outputs: filter.outputs().to_vec(),
            judge: Judge::new(Box::new(filter)).keeping_posteriors(),
            posteriors: Vec::new(),
            world,
            said: Vec::new(),
            held: Vec::new(),
            world_at: Vec::new(),
            last_t: None,
            period: Span::ZERO,
            judged: 0,
            replay: Replay::default(),
            times: VecDeque::new(),
            spoofed: None,
        })
    }

    /// Takes a reading in.
    pub fn take(&mut self, r: &Reading<'_>) {
        if let Some(last) = self.last_t {
            let dt = Span((r.t - last).0.max(0));
            self.period = if self.period == Span::ZERO { dt } else { Span(self.period.0.min(dt.0.max(1))) };
        }
        self.last_t = Some(r.t);
        self.watch_replay(r);
        if self.world.as_mut().is_some_and(|w| w.take(r)) {
            self.begin_anew(r.t);
        }
        self.judge.take(r);
        self.posteriors.append(&mut self.judge.take_posteriors());
        self.judged = self.judged.saturating_add(1);
        self.hear(r.t);
    }

    /// Whether the stream says again what it said before: then no verdict on values means anything.
    fn watch_replay(&mut self, r: &Reading<'_>) {
        self.times.push_back(r.t);
        if self.times.len() > TIMES {
            self.times.pop_front();
        }
        match (self.replay.take(r.outputs), self.spoofed) {
            (Some(rows), None) => {
                let first = self.times.len().saturating_sub(rows);
                let onset = self.times.get(first).copied().unwrap_or(r.t);
                self.spoofed = Some(self.said.len());
                self.said.push(Verdict {
                    part: String::new(),
                    kind: SPOOFED,
                    onset,
                    end: None,
                    size: 0.0,
                    posterior: 0.999,
                    decided_at: r.t,
                });
            }
            (None, Some(at)) => {
                self.said[at].end = Some(r.t);
                self.spoofed = None;
            }
            _ => {}
        }
    }

    /// Something happened to the thing, or is over: what the judge believes of values was believed without it.
    fn begin_anew(&mut self, now: SimTime) {
        let Some(world) = &self.world else { return };
        for (k, v) in world.verdicts().iter().enumerate() {
            match self.world_at.get(k) {
                Some(at) => self.said[*at] = v.clone(),
                None => {
                    self.world_at.push(self.said.len());
                    self.said.push(v.clone());
                }
            }
        }
        for (_, at) in self.held.drain(..) {
            self.said[at].end.get_or_insert(now);
        }
        self.judge = Judge::new(Box::new(world.filter().clone())).keeping_posteriors();
        self.judged = 0;
    }

    /// Simulated time has come this far: silence is judged.
    pub fn wait(&mut self, now: SimTime) {
        self.judge.wait(now);
        self.hear(now);
    }

    fn hear(&mut self, now: SimTime) {
        let patience = Span(self.period.0.saturating_mul(AFTER_ROWS));
        for News { verdict, ended, .. } in self.judge.news() {
            let of_values = !matches!(verdict.kind, "dropout" | "clock_skew");
            let known =
                self.held.iter().position(|(v, _)| v.part == verdict.part && v.onset == verdict.onset);
            let output = self.outputs.iter().position(|o| *o == verdict.part);
            match (known, ended) {
                (Some(k), true) => {
                    let (_, at) = self.held.remove(k);
                    self.said[at] = verdict.clone();
                    if let (Some(world), Some(o)) = (&mut self.world, output) {
                        world.ignore(o, None);
                    }
                }
                // It turned out to be of another kind.
                (Some(k), false) => {
                    self.held[k].0 = verdict.clone();
                    self.said[self.held[k].1] = verdict;
                }
                (None, false) => {
                    let eventful = self.world.as_ref().is_some_and(|w| w.is_busy(now, patience));
                    let early = verdict.kind == "drift" && self.judged < SETTLED_ROWS;
                    let busy = early || of_values && (eventful || self.spoofed.is_some());
                    if busy {
                        continue;
                    }
                    let explained = of_values
                        && output.is_some_and(|o| {
                            self.world.as_mut().is_some_and(|w| w.explains(o, verdict.onset))
                        });
                    if explained {
                        self.begin_anew(now);
                        return;
                    }
                    self.held.push((verdict.clone(), self.said.len()));
                    self.said.push(verdict.clone());
                    if let (Some(world), Some(o), true) = (&mut self.world, output, of_values) {
                        world.ignore(o, Some(verdict.onset));
                    }
                }
                _ => {}
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
        if let Some(world) = &self.world {
            for (k, at) in self.world_at.iter().enumerate() {
                if let Some(v) = world.verdicts().get(k) {
                    self.said[*at] = v.clone();
                }
            }
        }
    }

    /// All verdicts, in the order in which they were decided.
    pub fn said(&self, subject: &str) -> Vec<Said> {
        self.said.iter().map(|v| Said::new(subject, v)).collect()
    }

    /// How likely each sensor's fault was whenever something was looked into, in order of time.
    pub fn posteriors(&self) -> &[Posterior] {
        &self.posteriors
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
