//! What a user does to the world: lines of the timeline, taken back, and saved as a scenario.

use super::{Desk, Done};
use crate::{
    sim::{
        act::{Act, appended},
        open::Origin,
        save::{Saved, save},
    },
    units::time,
};
use std::path::Path;
use twinfleet_engine::{scenario::diagnostic::Style, time::SimTime};

impl Desk {
    /// Does something to the world at the instant that is shown: a line of the timeline, with which the run is made anew and
    /// brought to this instant. What was before it is as it was, for the run is deterministic.
    pub fn act(&mut self, act: Act, until: Option<SimTime>) {
        let at = self.tick_now();
        let Some(shown) = &self.shown else { return };
        let over = self.end().is_some_and(|end| at >= end);
        let why = match shown.opened.origin {
            Origin::Run if over => Some("here the run ends: go back to act on what comes after"),
            Origin::Run => None,
            Origin::Record(_) => Some("a record is what was: simulate its scenario anew (File) to act on it"),
            Origin::Live { .. } => {
                Some("these devices are real: what is done to them here would be done to nobody")
            }
        };
        if let Some(why) = why {
            self.tell(why.to_owned(), true);
            return;
        }
        let line = act.line(at, until);
        let Some(text) = appended(shown.opened.text(), &line) else {
            self.tell("the scenario's timeline is no list that a line could be added to".to_owned(), true);
            return;
        };
        let before = shown.opened.clone();
        match before.with_text(&text) {
            Ok(opened) => {
                let title = act.title();
                self.done.push(Done { at, until, act });
                if self.start(opened) {
                    self.tell(format!("from {} on: {title}", time(at)), false);
                } else {
                    // Nor does one with which the run cannot be set up.
                    self.done.pop();
                    let why = self.refused.take();
                    self.start(before);
                    why.into_iter().for_each(|refused| self.tell(refused.text, true));
                }
            }
            // A refused act changes nothing.
            Err(report) => {
                let first = report.items().first();
                let why = first.map_or_else(
                    || report.render(Style::Plain),
                    |d| {
                        d.help_text()
                            .map_or_else(|| d.message().to_owned(), |h| format!("{} ({h})", d.message()))
                    },
                );
                self.tell(why, true);
            }
        }
    }

    /// Takes back the last act.
    pub fn undo(&mut self) {
        let Some(last) = self.done.last().cloned() else { return };
        let Some(shown) = &self.shown else { return };
        let line = last.act.line(last.at, last.until);
        let text = shown.opened.text();
        let Some(at) = text.rfind(&line) else { return };
        let mut without = text.to_owned();
        without.replace_range(at..at + line.len(), "");
        if let Ok(opened) = shown.opened.with_text(&without) {
            self.done.pop();
            if self.start(opened) {
                self.tell(format!("taken back: {}", last.act.title()), false);
            }
        }
    }

    /// The start of the tick that is shown: what is done, is done from there on.
    pub fn tick_now(&self) -> SimTime {
        let step_ns = self.session.as_ref().map_or(1, |s| s.step_ns);
        SimTime(self.now().0.div_euclid(step_ns) * step_ns)
    }

    /// Whether something was done, or taken back, since the session was opened or saved.
    pub fn is_unsaved(&self) -> bool {
        self.done != self.saved
    }

    /// The session as a scenario.
    pub fn scenario_text(&self) -> Option<&str> {
        self.shown.as_ref().map(|s| s.opened.text())
    }

    /// Writes the session as a scenario, whole or not at all, over what is there.
    pub fn save(&mut self, path: &Path) {
        let Some(shown) = &self.shown else { return };
        match save(&shown.opened, path) {
            Ok(saved) => {
                self.saved.clone_from(&self.done);
                let place = path.display();
                let (text, bad) = match saved {
                    Saved::Replays(command) => {
                        (format!("saved; `{command}` replays it to the same state hash"), false)
                    }
                    Saved::Follows => (
                        format!(
                            "saved: the scenario whose twins follow these devices, {place}; what the devices said is not in it, \
                             so there is nothing to replay"
                        ),
                        false,
                    ),
                    Saved::Stranded(why) => (
                        format!(
                            "saved as {place}, but it cannot be run from there: {why}. Save it beside its scenario"
                        ),
                        true,
                    ),
                };
                self.tell(text, bad);
                if let Some(how) = self.leaving.take() {
                    self.leave(how);
                }
            }
            Err(error) => self.tell(format!("{}: cannot be written: {error}", path.display()), true),
        }
    }

    /// Where a session is saved if nothing else is said: beside the scenario, never over it.
    pub fn save_path(&self) -> String {
        let Some(shown) = &self.shown else { return String::new() };
        let folder = shown.opened.loaded.files.base();
        folder.join(format!("{}-session.ron", shown.opened.title)).display().to_string()
    }
}
