//! What a driver that follows real devices asks of their twins while they run: how each fares, and a pause while the
//! way to the devices is closed.
//!
//! ```
//! use bevy_ecs::world::World;
//! use twinfleet_engine::{mirror::follow::live, time::SimTime};
//! let mut world = World::new();
//! live::pause(&mut world, SimTime::ZERO);
//! assert!(live::status(&mut world, "pi-1").is_none());
//! ```

use super::Twin;
pub use super::twin::{OFFLINE, ONLINE, REFUSED};
use crate::{
    compare::Verdict,
    dialect::{Unasked, Utterance, Wanted},
    time::{SimTime, Span},
};
use bevy_ecs::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// How one twin fares now.
#[derive(Debug, Clone, Default)]
pub struct TwinStatus {
    /// Place of its mirror section in the scenario.
    pub index: usize,
    /// Its id.
    pub twin: String,
    /// Messages taken in.
    pub taken: u64,
    /// Messages older than what was already taken in.
    pub late: u64,
    /// Messages that repeat a time and signal.
    pub duplicate: u64,
    /// Payloads that gave no values.
    pub bad: u64,
    /// Median time between its messages; zero until there is one.
    pub period: Span,
    /// Whether it has been silent for longer than its own rhythm allows.
    pub silent: bool,
    /// Time stamps minus arrivals, as learnt [s], and by how much the device's clock runs fast [s/s].
    pub clock: Option<(f64, f64)>,
    /// All verdicts, oldest first; one without an end holds.
    pub verdicts: Vec<Verdict>,
}

impl Twin {
    fn fares(&self, verdicts: Vec<Verdict>) -> TwinStatus {
        TwinStatus {
            index: self.index,
            twin: self.id.to_string(),
            taken: self.score.taken,
            late: self.score.late,
            duplicate: self.score.duplicate,
            bad: self.score.bad,
            period: self.judge().period(),
            silent: self.judge().silent(),
            clock: self.judge().clock_learnt(),
            verdicts,
        }
    }
}

/// Silence from now on says nothing of the devices, until each is heard again: the broker is gone, or we were.
pub fn pause(world: &mut World, now: SimTime) {
    for mut twin in world.query::<&mut Twin>().iter_mut(world) {
        twin.follower.presence(now, false);
    }
}

/// What the devices of these twins, by the places of their mirror sections, said beside the values of their signals: the last of
/// each field.
pub fn others(world: &mut World, of: &BTreeSet<usize>) -> Vec<(usize, BTreeMap<String, String>)> {
    let mut query = world.query::<&Twin>();
    let wanted = query.iter(world).filter(|t| of.contains(&t.index) && !t.other().is_empty());
    wanted.map(|t| (t.index, t.other().clone())).collect()
}

/// The message by which the device of the twin at this place of the scenario's mirror sections is asked to set something: a
/// signal, in the unit in which the twin keeps it, or a field by its dialect's own name.
///
/// # Errors
/// When it cannot be asked, or not yet.
pub fn command(
    world: &mut World,
    index: usize,
    key: &str,
    wanted: &Wanted,
    ts_unix_ms: i64,
) -> Result<Utterance, Unasked> {
    let mut twins = world.query::<&mut Twin>();
    match twins.iter_mut(world).find(|t| t.index == index) {
        Some(mut twin) => twin.command(key, wanted, ts_unix_ms),
        None => Err(Unasked::Never("there is no such twin".to_owned())),
    }
}

/// How the twin with this id fares.
pub fn status(world: &mut World, twin: &str) -> Option<TwinStatus> {
    world
        .query::<&Twin>()
        .iter(world)
        .find(|t| *t.id == *twin)
        .map(|t| t.fares(t.follower.verdicts().to_vec()))
}

/// How all twins fare, in the scenario's order; without their verdicts, of which there may be many.
pub fn all(world: &mut World) -> Vec<TwinStatus> {
    let mut all: Vec<TwinStatus> = world.query::<&Twin>().iter(world).map(|t| t.fares(Vec::new())).collect();
    all.sort_by_key(|t| t.index);
    all
}
