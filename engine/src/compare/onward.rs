//! The twin goes on with another estimator: something happened to the thing itself, or is over, and another network tells how it
//! behaves from now on.

use super::{Judge, Verdict, history::History, lane::Cusum, layout::Layout, run::Run, verdict::end_verdict};
use crate::{
    predict::Estimator,
    time::{SimTime, Span},
};

/// Readings after which the size of what stays is fitted for the first time.
const REFIT_AFTER: u64 = 30;

impl Judge {
    /// Goes on with an estimator of the same signals that has taken in the last reading, of time `t`; its state may have other
    /// entries. What was learnt without the values' meaning is kept: rhythm, silence, clock, how the innovations scatter. Of the
    /// verdicts on outputs those that `stays` picks hold on, the others on values end.
    pub(crate) fn go_on(
        &mut self,
        mut est: Box<dyn Estimator>,
        (t, arrived): (SimTime, SimTime),
        stays: &dyn Fn(&Verdict) -> bool,
    ) {
        est.set_restless(self.est.restless());
        let layout = Layout::shared(&*est, Some(self.layout()));
        self.history = History::new(layout, est.restless());
        self.est = est;
        self.aside = None;
        self.seasoned = true;
        let mut corrections = Vec::new();
        for (o, lane) in self.lanes.iter_mut().enumerate() {
            let before = std::mem::take(&mut lane.run);
            lane.run = Run::default().after(&before);
            lane.sums.iter_mut().for_each(Cusum::clear);
            (lane.suspicion, lane.spike, lane.doubted) = (None, None, 0);
            lane.view.estimate = self.est.expected(o);
            let Some(mut active) = lane.active.take() else { continue };
            if !stays(&self.verdicts[active.verdict]) {
                end_verdict(&mut self.verdicts, &mut self.news, active.verdict, t, arrived);
                continue;
            }
            if !before.value.is_nan() {
                lane.run.take(before.value, 0);
            }
            corrections.push(self.corrections[active.correction]);
            active.correction = corrections.len() - 1;
            (active.over, active.over_since, active.next_refit) = (0.0, 0, REFIT_AFTER);
            lane.active = Some(active);
        }
        self.corrections = corrections;
        for k in 0..self.inputs() {
            if let Some(fault) = self.input_faults[k].take() {
                self.end(fault.verdict, t, arrived);
            }
            self.input_runs[k] = Run::default().after(&self.input_runs[k]);
        }
    }

    /// Inputs as they hold after the last reading; NaN: not known.
    pub(crate) fn inputs_held(&self) -> impl Iterator<Item = f64> + '_ {
        self.held.iter().map(|(value, _)| *value)
    }

    /// Of the time before the last reading, how much passed before anybody knew the inputs.
    pub(crate) fn unknown(&self) -> Span {
        self.history.next().checked_sub(1).map_or(Span::ZERO, |i| self.history.sample(i).unknown)
    }
}
