//! What is told of a device, or of a signal, without looking at its values: silence, and a clock that runs wrong.

use super::{
    Judge, Reading,
    rhythm::{ClockNews, Rhythm},
    run::Run,
    verdict::{begin_verdict, end_verdict},
};
use crate::time::{SimTime, Span};

/// A signal's rhythm where it is not the device's own, and the verdict that holds while it is silent.
#[derive(Default)]
pub(super) struct Pulse {
    apart: Option<Box<Rhythm>>,
    pub silent: Option<u32>,
    /// Whether it came since the device's last beat.
    told: bool,
}

impl Judge {
    /// Rhythm and clock: what can be told without looking at the values.
    pub(super) fn hear(&mut self, r: &Reading<'_>) {
        if let Some(v) = self.device_silent.take() {
            self.end(v as usize, r.arrived, r.arrived);
        }
        let values = || r.inputs.iter().take(self.history.layout.inputs).chain(r.outputs);
        // A signal that is in every message has the device's own rhythm, until a message comes without it.
        for (pulse, value) in self.pulses.iter_mut().zip(values()) {
            if value.is_nan() && pulse.apart.is_none() {
                pulse.apart = Some(Box::new(self.rhythm.of_one_signal()));
            }
        }
        // What a device tells in several messages, one after the other, is one beat: the next is when something of it comes again.
        let silent = values().all(|v| v.is_nan());
        let again = self.pulses.iter().zip(values()).any(|(pulse, v)| pulse.told && !v.is_nan());
        if silent || again || self.rhythm.rests() {
            self.rhythm.beat(r.arrived);
            self.pulses.iter_mut().for_each(|pulse| pulse.told = false);
        }
        for (s, value) in values().enumerate() {
            let pulse = &mut self.pulses[s];
            if !value.is_nan() {
                pulse.told = true;
                if let Some(v) = pulse.silent.take() {
                    end_verdict(&mut self.verdicts, &mut self.news, v as usize, r.arrived, r.arrived);
                }
                if let Some(apart) = &mut pulse.apart {
                    apart.beat(r.arrived);
                }
                continue;
            }
            let Some(apart) = pulse.apart.as_ref().filter(|a| a.overdue(r.arrived)) else { continue };
            if pulse.silent.is_none() {
                pulse.silent = Some(self.verdicts.len() as u32);
                let (posterior, onset) = (apart.posterior(r.arrived), apart.due());
                let part = self.history.layout.names[s].clone();
                let news = (&mut self.verdicts, &mut self.news);
                begin_verdict(news, part, "dropout", onset, 0.0, posterior, r.arrived);
            }
        }
        match self.clock.take(r.t, r.arrived) {
            Some(ClockNews::Began(skew)) => {
                self.clock_verdict = Some(self.verdicts.len() as u32);
                let posterior = 1.0 / (1.0 + 1e3 * (-0.5 * skew.sigmas.powi(2)).exp());
                self.begin(String::new(), "clock_skew", skew.onset, skew.ppm, posterior, r.arrived);
            }
            Some(ClockNews::Ended(t)) => {
                if let Some(v) = self.clock_verdict.take() {
                    self.end(v as usize, t, r.arrived);
                }
            }
            None => {}
        }
    }

    /// The rhythm of a signal.
    pub(super) fn rhythm_of(&self, signal: usize) -> &Rhythm {
        self.pulses[signal].apart.as_deref().unwrap_or(&self.rhythm)
    }

    /// Simulated time has come to `now`: tells whether the silence became, or is, a verdict.
    pub fn wait(&mut self, now: SimTime) -> bool {
        if self.device_silent.is_none() && self.rhythm.overdue(now) {
            let (onset, posterior) = (self.rhythm.due(), self.rhythm.posterior(now));
            self.device_silent = Some(self.verdicts.len() as u32);
            self.begin(String::new(), "dropout", onset, 0.0, posterior, now);
            return true;
        }
        false
    }

    /// Beyond which time [`Self::wait`] has something to tell, unless a message comes before.
    pub fn silent_from(&self) -> SimTime {
        if self.device_silent.is_some() { SimTime::NEVER } else { self.rhythm.overdue_from() }
    }

    /// The device, or its dialect, declares that silence up to this is nothing unusual, for as long as its rhythm is not learnt.
    pub fn allow_silence(&mut self, silence: Span) {
        self.rhythm.allow(silence);
    }

    /// The broker says that the device is gone (`false`) or back: silence while it is gone is no fault of its stream.
    pub fn presence(&mut self, t: SimTime, here: bool) {
        if here {
            return;
        }
        if let Some(v) = self.device_silent.take() {
            self.end(v as usize, t, t);
        }
        self.rhythm.pause();
        self.pulses.iter_mut().filter_map(|p| p.apart.as_mut()).for_each(|apart| apart.pause());
    }

    /// The device's clock was set to a time before its last reading.
    pub fn clock_set(&mut self, t: SimTime) {
        self.clock.set();
        if let Some(v) = self.clock_verdict.take() {
            self.end(v as usize, t, t);
        }
        self.last_t = None;
        // The samples' times would not ascend: hypotheses start anew.
        self.forget_history();
        self.aside = None;
        self.corrections.retain(|c| c.until == SimTime::NEVER);
        for lane in &mut self.lanes {
            lane.suspicion = None;
            lane.spike = None;
            lane.run = Run::default().after(&lane.run);
            if let Some(a) = lane.active.take() {
                end_verdict(&mut self.verdicts, &mut self.news, a.verdict, t, t);
            }
        }
        self.corrections.clear();
        for k in 0..self.inputs() {
            if let Some(fault) = self.input_faults[k].take() {
                self.end(fault.verdict, t, t);
            }
            self.input_runs[k] = Run::default().after(&self.input_runs[k]);
        }
    }

    /// Whether a verdict on the device as a whole holds.
    pub fn device_holds(&self) -> bool {
        self.device_silent.is_some() || self.clock_verdict.is_some()
    }

    /// Whether the device's clock runs wrong.
    pub fn clock_wrong(&self) -> bool {
        self.clock.skewed()
    }

    /// Whether the device has been silent for longer than its own rhythm allows.
    pub fn silent(&self) -> bool {
        self.device_silent.is_some()
    }

    /// Time stamps minus arrivals as learnt [s], and by how much the device's clock runs fast [s/s].
    pub fn clock_learnt(&self) -> Option<(f64, f64)> {
        self.clock.learnt()
    }

    /// Median time between messages.
    pub fn period(&self) -> Span {
        self.rhythm.period()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dynamics::DynamicsDef, predict::kalman::Filter};

    /// A device that tells each of its 25 values in a message of its own, one after the other, every five seconds.
    #[test]
    fn a_burst_of_messages_is_one_beat() {
        let outputs: String = (0..25)
            .map(|k| format!("(signal: \"s{k}.temperature\", node: \"box\", noise_std: 0.1),"))
            .collect();
        let def = format!(
            "(parameters: {{\"c\": (value: 100.0), \"g\": (value: 1.0), \"room\": (value: 20.0)}},
              boundaries: [(name: \"room\", at: Parameter(\"room\"))], storages: [(name: \"box\", capacity: \"c\")],
              conductances: [(between: (\"box\", \"room\"), value: \"g\")], outputs: [{outputs}])"
        );
        let filter = Filter::new(&DynamicsDef::from_ron(&def).unwrap(), &[]).unwrap();
        let mut judge = Judge::new(Box::new(filter));
        let at = |burst: i64, k: usize| SimTime(burst * 5_000_000_000 + k as i64 * 40_000);
        for burst in 0..30 {
            for k in 0..25 {
                let mut outputs = [f64::NAN; 25];
                outputs[k] = 20.0 + 0.01 * (burst % 3) as f64;
                let t = at(burst, k);
                judge.take(&Reading { t, arrived: t, inputs: &[], outputs: &outputs });
                assert!(
                    !judge.wait(t) && judge.verdicts().is_empty(),
                    "at {burst}, {k}: {:?}",
                    judge.verdicts()
                );
            }
        }
        assert_eq!(judge.period(), Span::from_secs(5));
        assert!(!judge.wait(at(36, 0)) && judge.wait(at(40, 0)));
        assert_eq!(judge.verdicts()[0].kind, "dropout");
    }
}
