//! Expectations that can be read, and yet never look at anything or are never suspended, or wait for what befalls nobody.

use super::{Checker, fleet::Targets};
use crate::{
    expect::Unless,
    scenario::{
        MirrorDef,
        diagnostic::{Diagnostic, near},
    },
    signal::wildcard,
};

impl Checker<'_> {
    pub(super) fn expectations(&mut self) {
        let duration = self.scenario.duration;
        let targets = Targets::of(self);
        for (i, e) in self.scenario.expect.iter().enumerate() {
            let place = self.place(format!("expect[{i}]"));
            if e.from.0 >= duration.0 && duration.0 > 0 {
                let text = format!("this lies beyond the end of the run, {duration}: nothing is looked at");
                let help =
                    "times count from the start of the run: write an earlier `after`, or a longer `duration`";
                self.report.push(place.warning("after", text).help(help));
            }
            for of in e.befallen() {
                let twin = |m: &MirrorDef| wildcard(of.as_bytes(), m.twin.as_bytes());
                if let Some(help) = targets.nobody(of)
                    && !self.scenario.mirror.iter().any(twin)
                {
                    let text = format!("nothing here is called `{of}`, so no event befalls it");
                    let span = self.source.span_of_text(&place.path(""), of);
                    self.report.push(Diagnostic::error(text).at(self.source, span, "").help(help));
                }
            }
            if let Some(Unless::Fault(target)) = &e.unless {
                let device = target.split('/').next().unwrap_or(target);
                if let Some(help) = targets.nobody(device) {
                    let text =
                        format!("nothing here is called `{device}`, so no fault of it ever suspends this");
                    self.report.push(place.warning("unless", text).help(help));
                }
            }
            let Some(Unless::Verdict(target)) = &e.unless else { continue };
            let device = target.split('/').next().unwrap_or(target);
            let twins = || self.scenario.mirror.iter().map(|m| m.twin.as_str());
            if !twins().any(|twin| wildcard(device.as_bytes(), twin.as_bytes())) {
                let text = format!("no twin follows `{device}`, so no verdict on it ever suspends this");
                let help = near(device, twins())
                    .unwrap_or_else(|| "the scenario mirrors nothing: add `mirror: […]`".to_owned());
                self.report.push(place.warning("unless", text).help(help));
            }
        }
    }
}
