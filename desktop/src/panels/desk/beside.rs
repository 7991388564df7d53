//! The other half of a split view: another run, or this one before it was acted on.

use super::{Desk, Refused, time::show_at};
use crate::{
    sim::{open::Opened, session::Session, source::NoSource},
    stage::show::Shown,
};
use std::sync::Arc;
use twinfleet_engine::{signal::SignalId, time::SimTime};

/// What is kept beside what is worked with, in the other half of a split view: another run, or this one before it was acted on.
pub struct Beside {
    /// What its half is called.
    pub title: String,
    /// It goes on, or back, as the other one does.
    pub session: Arc<Session>,
    /// What its half shows.
    pub shown: Shown,
    /// The generation of what was worked with when it was kept: while that is shown still, both are one run.
    of: u64,
    last: Option<(SimTime, SimTime, usize)>,
}

impl Beside {
    /// The signal of the same name as one of the other half's.
    pub fn twin_of(&self, other: &Shown, id: SignalId) -> Option<SignalId> {
        self.shown.opened.plan.signals.find(&other.opened.plan.signals.name(id))
    }

    /// Whether it differs from what is worked with: not right after it was kept.
    pub fn differs(&self, other: &Shown) -> bool {
        self.of != other.generation
    }
}

impl Desk {
    /// Keeps what is shown beside what comes of it: the view is split, acts go to the one half, the other stays as it is.
    pub fn keep_beside(&mut self) {
        let (Some(session), Some(shown)) = (&self.session, &self.shown) else { return };
        self.generation += 1;
        let mut kept = shown.clone();
        kept.generation = self.generation;
        let title = format!("kept: {}", self.title());
        let (session, of) = (Arc::clone(session), shown.generation);
        self.beside = Some(Beside { title, session, shown: kept, of, last: None });
        self.touched = true;
    }

    /// Shows another scenario or record beside this one, at the same instant.
    pub fn open_beside(&mut self, file: &str) {
        let opened = match Opened::file(file, &[], self.seed, &self.catalog) {
            Ok(opened) => opened.scripted(&self.scripts),
            Err(report) => return self.refuse(file, &report),
        };
        match Session::start(opened.clone(), self.threads) {
            Ok(session) => {
                let Some(frame) = session.shared().left.history.last().cloned() else { return };
                self.generation += 1;
                let title = opened.title.clone();
                let mut shown = Shown::new(opened, frame, self.generation);
                if let Some(first) = &self.shown {
                    first.like(&mut shown);
                }
                self.beside = Some(Beside { title, session: Arc::new(session), shown, of: 0, last: None });
                self.touched = true;
            }
            Err(NoSource { text, outside }) => {
                self.refused = Some(Refused { file: file.to_owned(), text, outside });
            }
        }
    }

    /// One view again.
    pub fn unsplit(&mut self) {
        (self.beside, self.of_beside) = (None, false);
        self.touched = true;
    }

    /// The half beside follows the instant that is shown.
    pub(super) fn follow_beside(&mut self) {
        let now = self.now();
        let Some(beside) = &mut self.beside else { return };
        beside.session.allow(now);
        let mut shared = beside.session.shared();
        // The run itself has been told by its own half.
        if let Some(first) = self.shown.as_ref().filter(|f| beside.differs(f)) {
            let plots = self.plots.iter().flatten();
            shared.wanted = plots.filter_map(|id| beside.twin_of(first, *id)).collect();
        }
        let left = &shared.left;
        let Some(frame) = left.history.at(now) else { return };
        let key = (now, frame.t, left.spells.0.len());
        if beside.last == Some(key) && !self.touched {
            return;
        }
        beside.last = Some(key);
        show_at(&mut beside.shown, left, now.min(left.now));
        if let Some(first) = &self.shown {
            first.like(&mut beside.shown);
        }
        self.touched = true;
    }
}
