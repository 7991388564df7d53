//! The simulation behind the window: a run on a thread of its own, and what it leaves to look at.
//!
//! Reading order: [`open`] (a scenario ready to run) → [`act`] (what a user does, as lines of the timeline) → [`history`] (what
//! the world was like when) → [`spell`] (what lasts: faults, verdicts) → [`player`] (the run, tick by tick) → [`session`] (the
//! player on its thread).
//!
//! The run knows nothing of frames: whoever looks says how far it may go, and it goes there as fast as it can. So its hash does
//! not depend on the pace, nor on whether somebody looks at all.

pub mod act;
pub mod history;
pub mod open;
pub mod player;
pub mod session;
pub mod spell;
