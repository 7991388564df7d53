//! The time that is shown: played, gone to, stepped through, marked; the run and what is shown follow it.

use super::Desk;
use crate::{
    panels::plots,
    picture::sample,
    sim::{left::Left, open::Origin, session::Session},
    stage::show::Shown,
    units::time,
};
use std::sync::Arc;
use twinfleet_engine::{signal::SignalId, time::SimTime};

/// Frames that ranges are taken from.
const SAMPLE: usize = 40;
/// How far the run goes ahead of what is shown while playing, [s of wall time]; farther where frames take longer to draw.
const AHEAD_S: f64 = 0.4;
/// What counts of a frame at most, [s of wall time]: longer ones were no drawing but a computer that slept, which does not leap.
const FRAME_S: f64 = 4.0;

impl Desk {
    /// A pace that shows the whole run in about a minute, to a round figure.
    pub(super) fn fit_speed(&mut self) {
        let Some(end) = self.end() else { return };
        let wanted = end.as_secs_f64() / 60.0;
        let steps =
            [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 3_600.0, 10_000.0];
        self.speed = steps.into_iter().rev().find(|s| *s <= wanted).unwrap_or(0.2);
    }

    /// The instant that is shown.
    pub fn now(&self) -> SimTime {
        SimTime((self.cursor_s * 1e9).round() as i64)
    }

    /// When the run ends.
    pub fn end(&self) -> Option<SimTime> {
        self.session.as_ref().map(|s| s.end())
    }

    /// Whether real devices are followed.
    pub fn is_live(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.is_live())
    }

    /// Whether what is shown is a record of a run.
    pub fn is_record(&self) -> bool {
        self.session.as_ref().is_some_and(|s| matches!(s.opened.origin, Origin::Record(_)))
    }

    /// Goes to an instant, which the run may have yet to reach.
    pub fn go_to(&mut self, t: SimTime) {
        let end = self.end().unwrap_or(SimTime::ZERO);
        // Real devices are followed at the end of their time, and looked back at before it.
        if self.is_live() {
            self.playing = t >= end;
        }
        self.cursor_s = t.max(SimTime::ZERO).min(end).as_secs_f64();
    }

    /// One tick on or back.
    pub fn step(&mut self, ticks: i64) {
        self.playing = false;
        let Some(session) = &self.session else { return };
        let step_ns = session.step_ns;
        let at = self.now().0.div_euclid(step_ns) + ticks;
        self.go_to(SimTime(at * step_ns));
    }

    /// The next or previous of what is marked: bookmarks, faults, alarms, what was done in this session.
    pub fn jump(&mut self, on: bool) {
        let mut marks = self.bookmarks.clone();
        marks.extend(self.done.iter().map(|done| done.at));
        if let Some(session) = &self.session {
            let shared = session.shared();
            let spells = shared.left.spells.0.iter();
            marks.extend(spells.flat_map(|s| [Some(s.from), s.until]).flatten());
        }
        let now = self.now();
        let found = if on {
            marks.into_iter().filter(|t| *t > now).min()
        } else {
            marks.into_iter().filter(|t| *t < now).max()
        };
        if let Some(t) = found {
            self.go_to(t);
        }
    }

    /// Time goes on by `dt_s` of wall time; what is shown follows the cursor.
    pub fn advance(&mut self, dt_s: f64) {
        self.frame_ms = 0.9 * self.frame_ms + 0.1 * dt_s * 1e3;
        let Some(session) = self.session.clone() else { return };
        let end_s = session.end().as_secs_f64();
        if session.is_live() && self.playing {
            self.cursor_s = end_s;
        } else if self.playing {
            let reached_s = session.shared().left.now.as_secs_f64();
            // Where the run cannot keep up, the pace gives way; time is never dropped.
            let dt_s = dt_s.min(FRAME_S);
            self.cursor_s = (self.cursor_s + self.speed * dt_s).min(reached_s.max(self.cursor_s)).min(end_s);
            let ahead_s = AHEAD_S.max(1.5 * dt_s);
            session.allow(SimTime(((self.cursor_s + self.speed * ahead_s) * 1e9) as i64 + 1));
            if self.cursor_s >= end_s {
                self.playing = false;
            }
        }
        session.allow(self.now());
        if !self.done.is_empty() {
            // What was done at this instant shows as the tick that begins here is over.
            session.allow(SimTime(self.now().0 + session.step_ns));
        }
        self.look_for_failure(&session);
        self.follow(&session);
        self.follow_beside();
    }

    /// A run that cannot go on stops where it is, and says why once.
    fn look_for_failure(&mut self, session: &Session) {
        let Some(why) = session.shared().failed() else { return };
        if self.now() > session.end() {
            self.go_to(session.end());
        }
        self.playing = false;
        if !std::mem::replace(&mut self.told, true) {
            self.tell(format!("the run cannot go on from {}: {why}", time(session.end())), true);
        }
    }

    fn follow(&mut self, session: &Session) {
        let now = self.now();
        let Some(shown) = &mut self.shown else { return };
        let mut shared = session.shared();
        let residuals = self.plots.iter().flat_map(|on| plots::residuals(shown, on));
        let wanted: Vec<SignalId> = self.plots.iter().flatten().copied().chain(residuals).collect();
        if shared.wanted != wanted {
            shared.wanted = wanted;
        }
        let left = &shared.left;
        // A run that is made anew by an act has this instant yet to come; until then what was there stays.
        if left.now < now && left.now < shown.t {
            return;
        }
        let Some(frame) = left.history.at(now) else { return };
        let key = (now, frame.t, left.spells.0.len());
        if self.last == Some(key) {
            return;
        }
        self.last = Some(key);
        // An instant that is yet to come shows what there is, under its own time.
        let t = if now > left.now { left.now } else { now };
        show_at(shown, left, t);
        self.touched = true;
    }

    /// Marks this instant, or takes the mark away that is there.
    pub fn bookmark(&mut self) {
        let now = self.now();
        let all = self.bookmarks.len();
        self.bookmarks.retain(|t| *t != now);
        if self.bookmarks.len() == all {
            self.bookmarks.push(now);
        }
    }
}

/// Brings what is shown to an instant of a run.
pub(super) fn show_at(shown: &mut Shown, left: &Left, t: SimTime) {
    if let Some(frame) = left.history.at(t) {
        shown.frame = Arc::clone(frame);
    }
    shown.t = t;
    shown.tell_of(left, t);
    shown.carry(left, t);
    // A new sample only now and then: ranges that always move tell nothing. What leaves them before, widens them.
    let reached_ns = left.now.0;
    if reached_ns as f64 > shown.sampled_ns as f64 * 1.3 || reached_ns < shown.sampled_ns {
        shown.sample = sample(left.history.frames().cloned().collect(), SAMPLE).into();
        shown.sampled_ns = reached_ns;
    }
}
