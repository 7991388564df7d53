//! The life of a verdict on values: it begins with a correction and the past gone over again, its size is fitted anew as
//! readings come, and it ends when the raw readings fit better than the corrected ones.

use super::{
    Judge, News, PASSING, Verdict,
    history::{Correction, Shape, factor},
    lane::{Active, EXAMINE, Suspicion},
    noise::cost,
    run::Run,
};
use crate::time::SimTime;

/// Log-likelihood at which a fault counts as over, [nat].
pub(super) const END_NATS: f64 = 8.0;

impl Judge {
    /// A hypothesis becomes the verdict: the past since its onset is gone over again, corrected.
    #[expect(clippy::too_many_arguments, reason = "the fields of a verdict")]
    pub(super) fn accept(
        &mut self,
        o: usize,
        correction: Correction,
        kind: &'static str,
        onset: u64,
        size: f64,
        posterior: f64,
        arrived: SimTime,
    ) {
        // What held until then gives way: it is found anew if it is still there afterwards.
        if let Some(before) = self.lanes[o].active.take() {
            self.corrections[before.correction].until = correction.from;
            self.end(before.verdict, correction.from, arrived);
        }
        let verdict = self.verdicts.len();
        let part = self.names()[self.inputs() + o].clone();
        self.begin(part, kind, correction.from, size, posterior, arrived);
        let at = self.corrections.len();
        self.corrections.push(correction);
        self.go_over(onset);
        let next_refit = self.history.next() + 30;
        let lane = &mut self.lanes[o];
        lane.active = Some(Box::new(Active {
            verdict,
            correction: at,
            shape: correction.shape,
            over: 0.0,
            over_since: 0,
            next_refit,
            swing_before: None,
        }));
        lane.suspicion = None;
        lane.spike = None;
    }

    /// Runs the estimator again from sample `onset` on, under what is believed now.
    pub(super) fn go_over(&mut self, onset: u64) {
        let Some((from, mut est)) = self.history.state_before(onset, &*self.est) else { return };
        self.history.begin_again(from);
        let mut passing = PASSING.take().unwrap_or_default();
        for at in from..self.history.next() {
            self.history.resnap(at, &*est);
            passing.carry(&mut self.history, &mut *est, at, &self.corrections);
        }
        PASSING.set(Some(passing));
        self.est = est;
        for o in 0..self.lanes.len() {
            self.lanes[o].view.estimate = self.est.expected(o);
        }
    }

    /// A stuck sensor is over when it moves; that is known before its reading is taken in.
    pub(super) fn end_if_moving(&mut self, o: usize, t: SimTime, arrived: SimTime, raw: f64) {
        let Some(active) = self.lanes[o].active() else { return };
        if active.shape != Shape::Ignore || raw.is_nan() || raw == self.lanes[o].run.value {
            return;
        }
        self.corrections[active.correction].until = t;
        self.end(active.verdict, t, arrived);
        self.lanes[o].active = None;
        self.lanes[o].run = Run::default().after(&self.lanes[o].run);
    }

    /// Whether a verdict on values is over: the raw readings fit better than the corrected ones.
    pub(super) fn watch_end(&mut self, o: usize, i: u64, mut active: Active, arrived: SimTime) {
        if active.shape == Shape::Ignore {
            return;
        }
        let c = self.corrections[active.correction];
        let v = self.history.innovation(i, o);
        let t = self.history.sample(i).t;
        let raw = self.history.value(i, self.inputs() + o);
        let scale = self.noise[o].scale();
        let with = cost(v.residual / v.var.sqrt() / scale);
        let without = match c.shape {
            // Less noise: the innovation under its own variance, against that with the noise.
            Shape::Noise => {
                let own = (v.var - c.size * c.size).max(1e-12);
                cost(v.residual / own.sqrt() / scale) - 0.5 * (v.var / own).ln()
            }
            _ => cost((v.residual + c.size * c.profile(t, raw)) / v.var.sqrt() / scale),
        };
        let d = with - without;
        if d.is_finite() {
            if active.over <= 0.0 && d > 0.0 {
                active.over_since = i;
            }
            active.over = (active.over + d).max(0.0);
        }
        if active.over > END_NATS {
            self.finish(o, active, active.over_since, arrived);
            return;
        }
        self.lanes[o].suspect(v.residual / v.var.sqrt() / scale, i);
        if self.examine_end(o, i, &active, arrived) {
            return;
        }
        if i >= active.next_refit {
            active.next_refit = i + 30;
            self.refit(o, &active);
            if let Some(shape) = self.rename(o, &mut active, arrived) {
                active.shape = shape;
            }
        }
        self.lanes[o].active = Some(Box::new(active));
    }

    /// Whether, after a suspicion, it fits better that the fault is over.
    fn examine_end(&mut self, o: usize, i: u64, active: &Active, arrived: SimTime) -> bool {
        let Some(s) = self.lanes[o].suspicion else { return false };
        let age = i - s.trigger;
        match EXAMINE.get(s.examined) {
            None => self.lanes[o].suspicion = None,
            Some(due) if age >= *due => {
                let examined = EXAMINE.iter().filter(|a| **a <= age).count();
                self.lanes[o].suspicion = Some(Suspicion { examined, ..s });
                let begun = self.history.index_at(self.corrections[active.correction].from);
                let search = self.search(o);
                let best = [0, 1, 2, 4, 8, 16, 32]
                    .iter()
                    .map(|b| s.trigger.saturating_sub(*b))
                    .filter(|k| *k > begun.max(self.history.oldest_start()))
                    .filter_map(|k| Some((k, search.ended(active.correction, k)?)))
                    .max_by(|a, b| a.1.total_cmp(&b.1));
                if let Some((onset, _)) = best.filter(|b| b.1 > END_NATS) {
                    self.finish(o, *active, onset, arrived);
                    return true;
                }
            }
            Some(_) => {}
        }
        false
    }

    /// Ends a verdict on values, and goes over again what its correction has touched.
    pub(super) fn finish(&mut self, o: usize, active: Active, since: u64, arrived: SimTime) {
        let t = self.history.sample(since).t;
        self.end(active.verdict, t, arrived);
        self.lanes[o].active = None;
        self.lanes[o].suspicion = None;
        let c = &mut self.corrections[active.correction];
        c.until = t;
        // A size that was a little wrong has pulled the state with it. Where the onset is still in memory, the whole time of
        // the fault is gone over again without its readings.
        let onset = self.history.index_at(c.from);
        if c.shape != Shape::Noise && onset > self.history.oldest_start() {
            c.shape = Shape::Ignore;
            self.go_over(onset);
        } else {
            self.go_over(since);
        }
    }

    /// With more readings the size is known better, as long as the onset is in memory.
    fn refit(&mut self, o: usize, active: &Active) {
        let c = self.corrections[active.correction];
        let onset = self.history.index_at(c.from);
        if c.shape == Shape::Noise {
            self.tell_scatter(o, active, onset.max(self.history.oldest_start()));
            return;
        }
        if onset <= self.history.oldest_start() {
            return;
        }
        if let Some(more) = self.search(o).fit(c.shape, c.signal, onset, None)
            && more.size.abs() > more.std
        {
            let size = c.size + more.size;
            let told = if c.shape == Shape::Gain { factor(size) } else { Some(size) };
            let Some(told) = told else { return };
            self.corrections[active.correction].size = size;
            self.verdicts[active.verdict].size = told;
            self.go_over(onset);
        }
    }

    /// By how much a sensor scatters is told by all that it said since: what it was decided on was little, judged by its heavy tail.
    /// The correction keeps that, so that no estimate moves by what is told.
    fn tell_scatter(&mut self, o: usize, active: &Active, since: u64) {
        let believed = self.corrections[active.correction].size.powi(2);
        let own = self.noise[o].scale().powi(2);
        let beyond: Vec<f64> = (since..self.history.next())
            .map(|i| self.history.innovation(i, o))
            .map(|v| v.residual * v.residual - own * (v.var - believed).max(0.0))
            .filter(|square| square.is_finite())
            .collect();
        let mean = beyond.iter().sum::<f64>() / beyond.len().max(1) as f64;
        if mean > 0.0 {
            self.verdicts[active.verdict].size = mean.sqrt();
        }
    }

    /// A verdict from now on.
    pub(super) fn begin(
        &mut self,
        part: String,
        kind: &'static str,
        onset: SimTime,
        size: f64,
        posterior: f64,
        t: SimTime,
    ) {
        begin_verdict((&mut self.verdicts, &mut self.news), part, kind, onset, size, posterior, t);
    }

    /// A verdict that was over at `end`, known at `t`.
    pub(super) fn end(&mut self, verdict: usize, end: SimTime, t: SimTime) {
        end_verdict(&mut self.verdicts, &mut self.news, verdict, end, t);
    }
}

/// Begins a verdict, where the whole judge cannot be borrowed.
pub(super) fn begin_verdict(
    (verdicts, news): (&mut Vec<Verdict>, &mut Vec<News>),
    part: String,
    kind: &'static str,
    onset: SimTime,
    size: f64,
    posterior: f64,
    t: SimTime,
) {
    let verdict = Verdict { part, kind, onset, end: None, size, posterior, decided_at: t };
    news.push(News { t, verdict: verdict.clone(), ended: false });
    verdicts.push(verdict);
}

/// Ends a verdict, where the whole judge cannot be borrowed.
pub(super) fn end_verdict(
    verdicts: &mut [Verdict],
    news: &mut Vec<News>,
    at: usize,
    end: SimTime,
    t: SimTime,
) {
    if let Some(v) = verdicts.get_mut(at) {
        v.end = Some(end.max(v.onset));
        news.push(News { t, verdict: v.clone(), ended: true });
    }
}
