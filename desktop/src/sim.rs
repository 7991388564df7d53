//! What is behind the window: a simulation, a record or real devices, on a thread of its own, and what it leaves to look at.
//!
//! Reading order: [`open`] (a scenario or record that is ready) → [`act`] (what a user does, as lines of the timeline) →
//! [`history`] (what the world was like when) → [`spell`] (what lasts: faults, verdicts) → [`traffic`] (messages) → [`left`] (what there is
//! to see) → [`source`]: [`player`] (a simulation), [`tape`] (a record), [`live`] (real devices) → [`session`] (a source on its thread);
//! [`save`] (a session as a file).
//!
//! The run knows nothing of frames: whoever looks says how far it may go, and it goes there as fast as it can. So its hash does
//! not depend on the pace, nor on whether somebody looks at all.

pub mod act;
pub mod history;
pub mod left;
pub mod live;
pub mod open;
pub mod player;
pub mod save;
pub mod session;
pub mod source;
pub mod spell;
pub mod tape;
pub mod traffic;
