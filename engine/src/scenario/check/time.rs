//! Times, the timeline, and the globs of record and expectations.

use super::{Checker, fault, fleet::Targets};
use crate::{
    scenario::{
        Action, calendar,
        definition::unknown,
        diagnostic::{Diagnostic, near, with_advice},
        tree::{Node, Value},
    },
    signal::Glob,
    time::Span,
};

impl Checker<'_> {
    pub(super) fn times(&mut self) {
        let s = self.scenario;
        let root = self.place("");
        if s.duration.0 <= 0 {
            let error = root.error("duration", "a run lasts longer than 0 s");
            self.report.push(error.help("write `duration: \"1h\"`, say"));
        }
        if s.step.0 <= 0 {
            let error = root.error("step", "the step must be above 0 s");
            self.report.push(error.help("leave it out for \"1s\""));
        } else if s.step > s.duration && s.duration.0 > 0 {
            let error = root.error("step", "one step is longer than the whole run");
            self.report
                .push(error.help(format!("write {} or less, of which the run is a multiple", s.duration)));
        } else if s.duration.0 % s.step.0 != 0 {
            let shorter = Span(s.duration.0 - s.duration.0 % s.step.0);
            let text = format!("the run is no whole number of steps of {}", s.step);
            let help =
                format!("write duration: \"{shorter}\" or \"{}\"", Span(shorter.0.saturating_add(s.step.0)));
            self.report.push(root.error("duration", text).help(help));
        }
        if let Some(start) = &s.start
            && calendar::unix_ns(start).is_none()
        {
            let error = root.error("start", format!("`{start}` is no time"));
            self.report.push(error.help("write YYYY-MM-DDTHH:MM:SSZ, such as \"2026-06-21T00:00:00Z\""));
        }
        if s.record.segment.0 <= 0 {
            let error = root.error("record.segment", "a segment covers more than 0 s");
            self.report.push(error.help("leave it out for \"1h\""));
        }
    }

    pub(super) fn timeline(&mut self) {
        let targets = Targets::of(self);
        for (i, event) in self.scenario.timeline.iter().enumerate() {
            let place = self.place(format!("timeline[{i}]"));
            if event.until.is_some_and(|until| until <= event.at) {
                let error = place.error("until", "the event ends before it begins");
                let error = error.at(self.source, place.span("at"), "begins here");
                self.report.push(error.help("exchange the two; both count from the start of the run"));
            }
            for (key, at) in [("at", Some(event.at)), ("until", event.until)] {
                if at.is_some_and(|at| at > self.scenario.duration) && self.scenario.duration.0 > 0 {
                    let text = format!("this lies beyond the end of the run, {}", self.scenario.duration);
                    let help = "it will not happen; times count from the start of the run";
                    self.report.push(place.warning(key, text).help(help));
                }
            }
            let action = place.inside("do");
            match &event.action {
                Action::Fault { target, kind } => {
                    let error = targets.fault(target, kind);
                    self.report_at(error, &action.path("target"));
                    fault::figures(&action, kind, &mut self.report);
                }
                Action::Swap { target, with } => {
                    if let Some((key, error)) = targets.swap(target, with) {
                        self.report_at(Some(error), &action.path(key));
                    }
                }
                Action::Command { target, level } => {
                    let error = targets.command(target);
                    self.report_at(error, &action.path("target"));
                    action.within("level", *level, 0.0, 1.0, &mut self.report);
                }
                Action::Disturb { zone, air_changes_per_h, emits, .. } => {
                    self.known_zone(&action.path("zone"), zone);
                    let zones = &self.scenario.world.zones;
                    if !emits.is_none() && zones.iter().any(|z| z.id == *zone && z.volume_m3 == 0.0) {
                        let text = format!("zone `{zone}` has no `volume_m3` that this could spread over");
                        self.report.push(action.error("emits", text).help("give the zone its volume of air"));
                    }
                    action.at_least("air_changes_per_h", *air_changes_per_h, 0.0, &mut self.report);
                }
                Action::Set { target, .. } => {
                    let error = targets.set(target);
                    self.report_at(error, &action.path("target"));
                }
                Action::LinkDown { link } => {
                    if !self.scenario.links.iter().any(|l| l.id == *link) {
                        let known = self.scenario.links.iter().map(|l| l.id.as_str());
                        let error = unknown("link", link, known);
                        self.report_at(Some(error), &action.path("link"));
                    }
                }
            }
        }
    }

    pub(super) fn report_at(&mut self, error: Option<Diagnostic>, path: &str) {
        if let Some(error) = error {
            self.report.push(error.at(self.source, self.source.span_of(path), ""));
        }
    }

    /// The patterns of `record.signals`, and of every field `signal` or `signals` below `expect`, whatever its operator.
    pub(super) fn globs(&mut self) {
        let tree = self.source.tree();
        let mut texts: Vec<(&Node, &str)> = Vec::new();
        let record = tree.get("record").and_then(|r| r.get("signals"));
        for (root, needs_name) in [(record, false), (tree.get("expect"), true)] {
            let Some(root) = root else { continue };
            root.walk("", &mut |key, node| {
                if let Value::Text(text) = &node.value
                    && (!needs_name || matches!(key, "signal" | "signals"))
                {
                    texts.push((node, text));
                }
            });
        }
        let targets = Targets::of(self);
        for (node, text) in texts {
            let error = match Glob::new(text) {
                Ok(glob) => targets.glob(&glob, text).map(|help| {
                    let text = format!("`{text}` names no signal of this scenario");
                    Diagnostic::warning(text).help(help)
                }),
                Err(error) => {
                    let kind = text.rsplit_once('@').map(|(_, kind)| kind);
                    let kinds = crate::signal::Kind::ALL.iter().map(|k| k.name());
                    let (message, help) = with_advice(&error.to_string());
                    let near = kind.and_then(|k| near(k, kinds));
                    Some(Diagnostic::error(message).maybe_help(help).maybe_help(near))
                }
            };
            if let Some(error) = error {
                self.report.push(error.at(self.source, node.span.clone(), ""));
            }
        }
    }
}
