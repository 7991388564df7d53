//! Times, the timeline, and the globs of record and expectations.

use super::{Checker, Place, fault, fleet::Targets};
use crate::{
    environment::{
        Change,
        zones::{ADD_CAPACITY, ADD_VOLUME, STAYS_DAMP, STAYS_WARM},
    },
    mirror::physical::GAP_STEPS,
    scenario::{
        Action, GroupDef, OUTDOORS, calendar,
        definition::unknown,
        diagnostic::{Diagnostic, near, with_advice},
        draw::DrawnKind,
        recording::Table,
        tree::{Node, Value},
    },
    sense::fault::FaultDef,
    signal::{Glob, wildcard},
    time::Span,
};

/// Share of a run's length by which its recordings may be shorter: recorded hours lack some seconds.
const ROUNDED: f64 = 0.01;

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
        } else if s.record.segment < s.step && self.source.has("record.segment") {
            let error = root.error("record.segment", "a segment is shorter than a step");
            self.report.push(error.help(format!("write {} or more, or leave it out for \"1h\"", s.step)));
        }
    }

    /// Notes a recording that ends before the run: by more than a device may be silent, and more than its length is rounded.
    pub(super) fn outlasts(&mut self, place: &Place<'_>, table: &Table) {
        let run_s = self.scenario.duration.as_secs_f64();
        let last_s = table.t_s.last().copied().unwrap_or_default();
        let silent_s = (GAP_STEPS as f64 * table.notes.median_step_s).max(ROUNDED * run_s);
        if last_s + silent_s >= run_s {
            return;
        }
        let last = Span::from_secs_f64(last_s);
        let text = format!("the recording ends at {last:#}, the run at {}", self.scenario.duration);
        let warning = place.warning("from.path", text).at(
            self.source,
            self.place("").span("duration"),
            "the run's length",
        );
        self.short.push(
            warning
                .help("its device is offline from then on: shorten `duration`, or name a longer recording"),
        );
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
            let end = self.scenario.duration;
            for (key, at) in [("at", Some(event.at)), ("until", event.until)] {
                // What ends as the run does has its whole time, what begins then has none.
                let late = |at: Span| at > end || (key == "at" && at == end);
                if at.is_some_and(late) && end.0 > 0 {
                    let how = if at == Some(end) { "lies at" } else { "lies beyond" };
                    let text = format!("this {how} the end of the run, {end}");
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
                Action::Desire { target, level } => {
                    let error = targets.desire(target);
                    self.report_at(error, &action.path("target"));
                    action.within("level", *level, 0.0, 1.0, &mut self.report);
                    if event.until.is_some() {
                        let text = "a desired state is said once, and nothing takes it back";
                        let help = "say the other level at that time, by an event of its own";
                        self.report.push(place.warning("until", text).help(help));
                    }
                }
                Action::Disturb { zone, air_changes_per_h, emits, .. } => {
                    self.known_zone(&action.path("zone"), zone);
                    self.disturbance(&event.action, &action);
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
                Action::Move { target, to } => {
                    let error = self.carried(target);
                    self.report_at(error, &action.path("target"));
                    if to != OUTDOORS {
                        self.known_zone(&action.path("to"), to);
                    }
                }
                Action::Weather { wind_m_s, cloud, rain_mm_h, pressure_hpa, .. } => {
                    if self.scenario.world.weather.is_none() {
                        let text = "this world has no weather that could be another";
                        let error = place.error("do", text);
                        let help =
                            "give it one: `world: (weather: (latitude_deg: …, mean_c: …, swing_c: …))`";
                        self.report.push(error.help(help));
                    } else if Change::of(&event.action).is_some_and(|c| c.is_none()) {
                        let error = place.error("do", "this changes nothing of the weather");
                        self.report
                            .push(error.help("name what is another: `Weather(temperature_c: -5)`, say"));
                    }
                    let not_negative =
                        [("wind_m_s", wind_m_s), ("rain_mm_h", rain_mm_h), ("pressure_hpa", pressure_hpa)];
                    for (key, value) in not_negative {
                        if let Some(value) = value {
                            action.at_least(key, *value, 0.0, &mut self.report);
                        }
                    }
                    if let Some(cloud) = cloud {
                        action.within("cloud", *cloud, 0.0, 1.0, &mut self.report);
                    }
                }
                Action::Change { target, parameter, factor, kind } => {
                    let error = self.change(target, parameter);
                    self.report_at(error, &action.path("target"));
                    action.above("factor", *factor, 0.0, &mut self.report);
                    if kind.trim().is_empty() {
                        let error = action.error("kind", "a change needs a name");
                        self.report.push(error.help("call it `lid_open` or `fan_blocked`, say"));
                    }
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

    /// Warns of a disturbance of what stays as it is.
    fn disturbance(&mut self, disturbance: &Action, place: &Place<'_>) {
        let Action::Disturb { zone, heat_w, air_changes_per_h, emits, sound_db, magnetic_ut } = disturbance
        else {
            return;
        };
        if *heat_w == 0.0
            && *air_changes_per_h == 0.0
            && emits.is_none()
            && *sound_db == 0.0
            && *magnetic_ut == (0.0, 0.0, 0.0)
        {
            let warning = place.warning("", "this disturbs nothing");
            self.report.push(warning.help("name what is another: `heat_w: 500.0`, say"));
        }
        let Some(of) = self.scenario.world.zones.iter().find(|z| z.id == *zone) else { return };
        for (key, is_idle, why, help) in [
            ("heat_w", *heat_w != 0.0 && of.heat_capacity_j_k.is_none(), STAYS_WARM, ADD_CAPACITY),
            ("air_changes_per_h", *air_changes_per_h > 0.0 && of.volume_m3 == 0.0, STAYS_DAMP, ADD_VOLUME),
        ] {
            if is_idle {
                let text = format!("`{key}` changes nothing: {why}");
                self.report.push(place.warning(key, text).help(help));
            }
        }
    }

    /// What is wrong with carrying a device elsewhere.
    fn carried(&self, target: &str) -> Option<Diagnostic> {
        let named: Vec<_> = self.scenario.fleet.iter().filter(|g| g.any_is(target)).collect();
        let wrong = |text: String, help: &str| Some(Diagnostic::error(text).help(help));
        if named.is_empty() {
            return match Targets::of(self).hit(target).first() {
                Some(_) => wrong(
                    format!("`{target}` is no simulated device"),
                    "only what is simulated can be carried elsewhere; name a device of `fleet`",
                ),
                None => Some(Targets::of(self).missing(target)),
            };
        }
        let mounted = named.iter().find(|g| !g.mounts.is_empty());
        if let Some(group) = mounted {
            return wrong(
                format!("`{}` sits on a rigid body, and goes where that goes", group.id),
                "let the scene move it: `moves` of a kinematic body",
            );
        }
        let script = |g: &&&GroupDef| {
            g.script.is_some()
                || g.firmware.is_none() && self.thing(&g.thing).is_some_and(|t| t.script.is_some())
        };
        named.iter().find(script).and_then(|group| {
            wrong(
                format!("`{}` runs a script, whose parts stay where they are", group.id),
                "carry devices of declarative firmware only",
            )
        })
    }

    /// What is wrong with a change of a simulated device's physics.
    fn change(&self, target: &str, parameter: &str) -> Option<Diagnostic> {
        let known = self.scenario.fleet.iter().filter(|g| {
            (0..g.count).any(|i| wildcard(target.as_bytes(), g.id.replace("{}", &i.to_string()).as_bytes()))
        });
        let things: Vec<_> = known
            .filter_map(|g| {
                let own = self.scenario.things.iter().find(|t| t.name == g.thing);
                own.or_else(|| self.catalog.things.get(&g.thing))
            })
            .collect();
        if things.is_empty() {
            let error = Diagnostic::error(format!("`{target}` names no simulated device"));
            return Some(error.help("only what is simulated can be changed; name a device of `fleet`"));
        }
        let names = || things.iter().filter_map(|t| t.dynamics.as_ref()).flat_map(|d| d.parameters.keys());
        (!names().any(|n| n == parameter)).then(|| {
            Diagnostic::error(format!("the dynamics of `{target}` have no parameter `{parameter}`"))
                .maybe_help(near(parameter, names().map(String::as_str)))
        })
    }

    /// What the seed may draw.
    pub(super) fn draws(&mut self) {
        let targets = Targets::of(self);
        for (i, draw) in self.scenario.draw.iter().enumerate() {
            let place = self.place(format!("draw[{i}]"));
            if draw.kinds.is_empty() {
                let error = place.error("kinds", "nothing can be drawn from an empty list");
                self.report.push(error.help("list kinds such as `Stuck` or `Bias(by: (2, 5))`"));
            }
            for (key, (low, high)) in [("from", draw.from), ("lasting", draw.lasting)] {
                if low > high || low.0 < 0 {
                    let error = place.error(key, "the first is the least, the second the most");
                    self.report.push(error.help("exchange the two"));
                }
            }
            if draw.lasting.0.0 <= 0 {
                self.report.push(
                    place
                        .error("lasting", "a fault lasts longer than 0 s")
                        .help("write (\"5min\", \"20min\"), say"),
                );
            }
            let ends = Span(draw.from.1.0.saturating_add(draw.lasting.1.0));
            if ends > self.scenario.duration {
                let text =
                    format!("a fault may last until {ends}, the run ends at {}", self.scenario.duration);
                self.report
                    .push(place.warning("from", text).help("what is cut off has less time to be told"));
            }
            for part in &draw.parts {
                // Whichever of its kinds: what befalls a part asks no more of it than this one does.
                let error = targets.fault(&format!("{}/{part}", draw.of), &FaultDef::Stuck);
                self.report_at(error, &place.path("parts"));
            }
            for kind in &draw.kinds {
                let whole = matches!(
                    kind,
                    DrawnKind::Dropout | DrawnKind::ClockSkew { .. } | DrawnKind::Change { .. }
                );
                if !whole && draw.parts.is_empty() {
                    let error = place.error("kinds", "these befall a part, and `parts` names none");
                    self.report.push(error.help("add parts: [\"soc.temperature\"], say"));
                    break;
                }
                if let DrawnKind::Change { parameter, .. } = kind {
                    let error = self.change(&draw.of, parameter);
                    self.report_at(error, &place.path("kinds"));
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
