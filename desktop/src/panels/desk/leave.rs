//! What ends a session, and what becomes of what was done in it and is not saved.

use super::Desk;

/// What ends the session that is shown, and with it what was done in it and is not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The window is closed.
    Quit,
    /// Back to the start page.
    Close,
    /// Another file is opened.
    Open(String),
    /// Real devices are followed: by which file's twins, on which broker.
    Follow(String, String),
    /// The scenario of a record is simulated anew.
    Anew,
}

impl Leave {
    /// What it is called.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Quit => "Quit",
            Self::Close => "Leave",
            Self::Open(_) => "Open",
            Self::Follow(..) => "Follow",
            Self::Anew => "Simulate anew",
        }
    }
}

impl Desk {
    /// Leaves what is shown, at once where nothing was done that is not saved, else once the user has said so.
    pub fn leave(&mut self, how: Leave) {
        if self.is_unsaved() {
            self.leaving = Some(how);
            return;
        }
        self.leaving = None;
        match how {
            Leave::Quit => self.quit = true,
            Leave::Close => self.close(),
            Leave::Open(file) => self.open(&file),
            Leave::Follow(file, broker) => self.follow_live(&file, &broker),
            Leave::Anew => self.simulate_anew(),
        }
    }

    /// Leaves what is shown, with what is not saved.
    pub fn leave_unsaved(&mut self) {
        if let Some(how) = self.leaving.take() {
            self.forget();
            self.leave(how);
        }
    }

    /// What was done is of no more account.
    pub(super) fn forget(&mut self) {
        self.done.clear();
        self.saved.clear();
    }
}
