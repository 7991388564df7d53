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

#[cfg(test)]
mod tests {
    use super::super::Reading;
    use super::*;
    use crate::{dynamics::DynamicsDef, predict::kalman::Filter};

    const BOX: &str = r#"(
        parameters: {"c": (value: 100.0), "g": (value: 1.0), "room": (value: 20.0)},
        boundaries: [(name: "room", at: Parameter("room"))],
        storages: [(name: "box", capacity: "c", noise_k_per_sqrt_s: 0.01)],
        conductances: [(between: ("box", "room"), value: "g")],
        outputs: [
            (signal: "a.temperature", node: "box", noise_std: 0.1), (signal: "b.temperature", node: "box", noise_std: 0.1),
        ],
    )"#;

    fn filter() -> Filter {
        Filter::new(&DynamicsDef::from_ron(BOX).unwrap(), &[]).unwrap()
    }

    fn at(k: i64) -> SimTime {
        SimTime(k * 1_000_000_000)
    }

    /// Readings each second, the first output off by this much.
    fn read(judge: &mut Judge, seconds: std::ops::Range<i64>, bias: f64) {
        for k in seconds {
            let wobble = if k % 2 == 0 { 0.08 } else { -0.08 };
            let t = at(k);
            judge.take(&Reading {
                t,
                arrived: t,
                inputs: &[],
                outputs: &[20.0 + wobble + bias, 20.0 - wobble],
            });
        }
    }

    #[test]
    fn what_is_known_without_the_model_outlasts_it() {
        let mut judge = Judge::new(Box::new(filter()));
        read(&mut judge, 0..400, 0.0);
        judge.go_on(judge.est.fork(), (at(399), at(399)), &|_| true);
        assert_eq!(judge.period(), Span::from_secs(1));
        assert!(judge.wait(at(420)) && judge.silent());
        // A stream that is not new, though its history is: what leaps is named.
        read(&mut judge, 420..500, 0.0);
        read(&mut judge, 500..560, 2.0);
        let kinds: Vec<&str> = judge.verdicts().iter().map(|v| v.kind).collect();
        assert_eq!(kinds, ["dropout", "bias"]);
    }

    #[test]
    fn a_fault_that_stays_is_followed_to_its_end_and_another_ends_at_once() {
        for stays in [true, false] {
            let mut judge = Judge::new(Box::new(filter()));
            read(&mut judge, 0..350, 0.0);
            read(&mut judge, 350..450, 2.0);
            assert!(judge.holds(0));
            judge.go_on(judge.est.fork(), (at(449), at(449)), &|_| stays);
            assert_eq!(judge.holds(0), stays);
            read(&mut judge, 450..500, 2.0);
            read(&mut judge, 500..600, 0.0);
            let first = &judge.verdicts()[0];
            assert_eq!((first.kind, first.onset), ("bias", at(350)));
            let end = first.end.unwrap().as_secs_f64();
            assert!((end - if stays { 500.0 } else { 449.0 }).abs() < 4.0, "{end}");
            if stays {
                assert_eq!(judge.verdicts().len(), 1);
            }
        }
    }
}
