//! What a driver that follows real devices asks of their twins while they run: how each fares, and a pause while the
//! way to the devices is closed.
//!
//! ```
//! use bevy_ecs::world::World;
//! use twinfleet_engine::{mirror::follow::live, time::SimTime};
//! let mut world = World::new();
//! live::pause(&mut world, SimTime::ZERO);
//! assert!(live::status(&world, 0).is_none());
//! ```

pub use super::twin::{OFFLINE, ONLINE, REFUSED};
use super::{Places, Twin};
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

/// The clock by which arrivals are stamped was set ahead by this, and it is `now` by it: silence says nothing until each device is
/// heard again, and how the devices' clocks stand is learnt anew.
pub fn clock_set(world: &mut World, now: SimTime, by: Span) {
    for mut twin in world.query::<&mut Twin>().iter_mut(world) {
        twin.sequence.arrivals_ahead(by);
        twin.follower.clock_set(now);
        twin.follower.presence(now, false);
    }
}

/// The twin of a mirror section, by its place in the scenario.
fn place(world: &World, index: usize) -> Option<Entity> {
    world.get_resource::<Places>()?.0.get(index).copied().flatten()
}

/// What the devices of these twins, by the places of their mirror sections, said beside the values of their signals: the last of
/// each field.
pub fn others(world: &World, of: &BTreeSet<usize>) -> Vec<(usize, BTreeMap<String, String>)> {
    let said = |index: &usize| {
        let other = world.get::<Twin>(place(world, *index)?)?.other();
        (!other.is_empty()).then(|| (*index, other.clone()))
    };
    of.iter().filter_map(said).collect()
}

/// The message by which the device of the twin at this place of the scenario's mirror sections is asked to set something: a
/// signal, in the unit in which the twin keeps it, or a field by its dialect's own name. However many twins there are, it takes as
/// long.
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
    let none = || Unasked::Never("there is no such twin".to_owned());
    let entity = place(world, index).ok_or_else(none)?;
    let mut twin = world.get_mut::<Twin>(entity).ok_or_else(none)?;
    twin.command(key, wanted, ts_unix_ms)
}

/// How the twin at this place of the scenario's mirror sections fares; however many twins there are, it takes as long.
pub fn status(world: &World, index: usize) -> Option<TwinStatus> {
    let twin = world.get::<Twin>(place(world, index)?)?;
    Some(twin.fares(twin.follower.verdicts().to_vec()))
}

/// How all twins fare, in the scenario's order; without their verdicts, of which there may be many.
pub fn all(world: &mut World) -> Vec<TwinStatus> {
    let mut all: Vec<TwinStatus> = world.query::<&Twin>().iter(world).map(|t| t.fares(Vec::new())).collect();
    all.sort_by_key(|t| t.index);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_a_twin_has_no_command_and_says_nothing() {
        let mut world = World::new();
        let asked = command(&mut world, 0, "fan", &Wanted::Flag(true), 0);
        assert_eq!(asked, Err(Unasked::Never("there is no such twin".to_owned())));
        // One that lives in another shard, and one beyond.
        world.insert_resource(Places(vec![None]));
        for index in 0..2 {
            assert!(command(&mut world, index, "fan", &Wanted::Flag(true), 0).is_err());
        }
        assert_eq!(others(&world, &BTreeSet::from([0, 1])), []);
    }
}
