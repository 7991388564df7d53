//! The ECS side of a twin: messages in, rows, events and scores out.
//!
//! Components: [`Twin`], [`SilentFrom`]. Resources: [`Topics`], [`TwinSummary`], and where each twin is. Sets: `Mirror` (messages), `Compare` (silence). A message is
//! taken at the device's own time stamp; one without a time stamp at its arrival, by the clock that stamps the device's others.
//! Within a tick a twin's messages are ordered by that time; one that is older than what was already taken is late and dropped,
//! one that repeats a time and a signal is a duplicate and dropped, both counted.
//!
//! A row's time is the reading's, by the device's clock while that clock is trusted, by arrival otherwise, and never later
//! than its arrival. Since a message reaches a twin in the tick after it was sent, a row may lie one tick before the clock.
//!
//! ```
//! use twinfleet_engine::mirror::follow::model_signals;
//! let signals = model_signals(&["soc.temperature".to_owned()], |_| "degC".to_owned());
//! assert_eq!(signals, [("soc.temperature".to_owned(), "degC".to_owned())]);
//! ```

mod follower;
pub mod live;
mod sequence;
mod twin;

use crate::{
    message::{Router, TopicFilter},
    mirror::{self, ModelSignal},
    plan::Plan,
    scenario::{MirrorDef, diagnostic::near},
    time::SimTime,
    world::{Clock, Counters, Events, Inbox, Outbox, Rows, StateHash, StateHashers, TickSystems, Watch},
};
use bevy_ecs::{entity::EntityIndexSet, prelude::*};
pub use follower::Followed;
use rayon::prelude::*;
use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc};
use twin::{Overheard, Signals, Sink};
pub use twin::{Twin, TwinScore};

/// Twins with messages in a tick from which on they are caught up side by side, and how many a thread takes at least:
/// waking another thread costs about what a few of them do, and under load it is often not there at once.
const SIDE_BY_SIDE: usize = 64;
const TWINS_A_THREAD: usize = 8;
/// A topic's listener: twin and which of its bindings; `None`: its status topic.
type Listener = (Entity, Option<u32>);

/// Which twin hears which topic. The topics are the scenario's own, so their hash need not withstand an enemy.
#[derive(Resource, Default, Debug)]
pub struct Topics(Router<Listener>);

/// The twin of each mirror section, by its place in the scenario; none where it lives in another shard.
#[derive(Resource, Default, Debug)]
struct Places(Vec<Option<Entity>>);

/// Bindings on which nothing has been heard yet, as places of mirror section and binding, and the topics heard meanwhile.
#[derive(Resource, Default, Debug)]
struct Unheard {
    bindings: BTreeSet<(usize, u32)>,
    topics: BTreeSet<Arc<str>>,
}

/// Topics that are remembered to name the nearest ones.
const MOST_TOPICS: usize = 1_000;

/// A binding on which nothing was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deaf {
    /// Place of its mirror section in the scenario.
    pub mirror: usize,
    /// Place of the binding within that.
    pub bind: usize,
    /// The topic it listens to.
    pub topic: String,
    /// Topics near to it that were heard, as advice; none where there was no message at all.
    pub near: Option<String>,
}

/// The bindings on which no twin of this run has heard anything so far, in the scenario's order.
pub fn unheard(world: &World, mirror: &[MirrorDef]) -> Vec<Deaf> {
    let Some(unheard) = world.get_resource::<Unheard>() else { return Vec::new() };
    let deaf = |(at, n): &(usize, u32)| {
        let def = mirror.get(*at)?;
        let topic = super::bound_topic(&def.bind.get(*n as usize)?.topic, &def.twin);
        let near = near(&topic, unheard.topics.iter().map(|t| &**t));
        Some(Deaf { mirror: *at, bind: *n as usize, topic, near })
    };
    unheard.bindings.iter().filter_map(deaf).collect()
}

/// When the silence of a twin's device becomes a verdict. Apart from the twin, so that a tick looks at these alone.
#[derive(Component, Debug)]
pub struct SilentFrom(SimTime);

/// How each twin fared, for the summary; in the scenario's order.
#[derive(Resource, Default, Debug, Clone)]
pub struct TwinSummary(pub Vec<TwinScore>);

/// Makes what a mirror section's device is followed with.
pub type MakeFollowed<'a, E> = dyn Fn(&MirrorDef) -> Result<Followed, E> + 'a;

/// Adds the twins of the plan's shard. `make` gives what each is followed with; the plan holds one signal block
/// per mirror section, laid out by [`crate::mirror::twin_channels`].
///
/// A twin lives in the shard of the device that it follows, so that both see the same messages unsplit.
pub fn install<E>(
    world: &mut World,
    schedule: &mut Schedule,
    plan: &Plan,
    make: &MakeFollowed<'_, E>,
) -> Result<(), E> {
    let mut topics = Topics::default();
    let mut unheard = Unheard::default();
    let mut places = Places(vec![None; plan.scenario.mirror.len()]);
    let mut before = None;
    for (index, def) in plan.scenario.mirror.iter().enumerate() {
        if !plan.owns_twin(&def.twin) {
            continue;
        }
        let base = plan.signals.id(plan.twin_blocks[index], 0, 0);
        let with = make(def)?;
        let estimator = &with.estimator;
        let (inputs, outputs) = (estimator.inputs().len(), estimator.outputs().len());
        let signals = Signals::new(base, outputs, inputs, mirror::horizons(def).len());
        let unit = |i| plan.signals.channel(signals.at(signals.input(i))).unit.as_str();
        let units: Vec<&str> = (0..inputs).map(unit).collect();
        let dialects = &plan.catalog.dialects;
        let mut twin = Twin::new(index, def, with, signals, &units, dialects, before.as_ref());
        before = Some(twin.common());
        twin.publisher = plan.physical_ordinal(plan.scenario.physicals.len() + index);
        let filters: Vec<_> = (0..def.bind.len()).map(|n| twin.filters(n, def)).collect();
        let entity = world.spawn((twin, SilentFrom(SimTime::NEVER))).id();
        places.0[index] = Some(entity);
        for (n, (filter, values)) in
            filters.into_iter().enumerate().flat_map(|(n, f)| f.into_iter().map(move |f| (n, f)))
        {
            // The checks have refused what is no filter.
            if let Ok(filter) = TopicFilter::new(&filter) {
                unheard.bindings.extend(values.then_some((index, n as u32)));
                topics.0.add(filter, (entity, values.then_some(n as u32)));
            }
        }
    }
    world.insert_resource(places);
    world.insert_resource(topics);
    world.insert_resource(unheard);
    world.init_resource::<TwinSummary>();
    schedule.add_systems((
        follow_messages.in_set(TickSystems::Mirror),
        judge_silence.in_set(TickSystems::Compare),
    ));
    world.get_resource_or_init::<StateHashers>().0.push(hash);
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "a system's parameters are its list of what it touches")]
fn follow_messages(
    clock: Res<Clock>,
    inbox: Res<Inbox>,
    mut topics: ResMut<Topics>,
    mut unheard: ResMut<Unheard>,
    watch: Res<Watch>,
    mut twins: Query<(&mut Twin, &mut SilentFrom)>,
    mut rows: ResMut<Rows>,
    mut events: ResMut<Events>,
    mut counters: ResMut<Counters>,
    mut outbox: ResMut<Outbox>,
    mut touched: Local<EntityIndexSet>,
    mut overheard: Local<Vec<(Option<NonZeroU32>, Overheard)>>,
) {
    let mut heard = 0;
    for (at, message) in inbox.0.iter().enumerate() {
        let listening = !unheard.bindings.is_empty();
        if listening && unheard.topics.len() < MOST_TOPICS && !unheard.topics.contains(&message.topic) {
            unheard.topics.insert(Arc::clone(&message.topic));
        }
        for (entity, binding) in &*topics.0.targets(&message.topic) {
            let Ok((mut twin, mut silent)) = twins.get_mut(*entity) else { continue };
            heard += 1;
            match binding {
                Some(n) => {
                    if listening {
                        unheard.bindings.remove(&(twin.index, *n));
                    }
                    if twin.slot.is_none() {
                        touched.insert(*entity);
                        twin.slot = NonZeroU32::new(touched.len() as u32);
                    }
                    overheard.push((twin.slot, Overheard { message: at as u32, binding: *n }));
                }
                None => {
                    twin.follower.presence(message.due, &*message.payload != b"offline");
                    silent.0 = twin.judge().silent_from();
                }
            }
        }
    }
    if heard == 0 {
        return;
    }
    counters.add("twin_messages", heard);
    // In the order of the messages, which is the stable one. Twins do not know of each other, so how many threads share
    // them changes nothing.
    overheard.sort_by_key(|(slot, _)| *slot);
    let of_each = overheard.chunk_by(|a, b| a.0 == b.0);
    let mut busy: Vec<_> = twins.iter_many_unique_mut(&*touched).zip(of_each).collect();
    let catch_up = |((twin, silent), heard): &mut Busy<'_>, sink: &mut Sink<'_>| {
        twin.slot = None;
        twin.catch_up(heard.iter().map(|(_, h)| *h), &inbox.0, clock.epoch_unix_ms, sink);
        silent.0 = twin.judge().silent_from();
    };
    if busy.len() < SIDE_BY_SIDE {
        let (rows, events, replies) = (&mut rows.0, &mut events.0, &mut outbox.0);
        let mut sink = Sink { watch: &watch, rows, events, replies };
        busy.iter_mut().for_each(|twin| catch_up(twin, &mut sink));
    } else {
        let side_by_side = busy.len().div_ceil(4 * rayon::current_num_threads()).max(TWINS_A_THREAD);
        let told: Vec<_> = busy
            .par_chunks_mut(side_by_side)
            .map(|twins| {
                let (mut rows, mut events, mut replies) = (Vec::new(), Vec::new(), Vec::new());
                let (r, e, m) = (&mut rows, &mut events, &mut replies);
                let mut sink = Sink { watch: &watch, rows: r, events: e, replies: m };
                twins.iter_mut().for_each(|twin| catch_up(twin, &mut sink));
                (rows, events, replies)
            })
            .collect();
        for (mut r, mut e, mut replies) in told {
            rows.0.append(&mut r);
            events.0.append(&mut e);
            outbox.0.append(&mut replies);
        }
    }
    drop(busy);
    touched.clear();
    overheard.clear();
}

/// A twin that heard something, and what.
type Busy<'a> = ((Mut<'a, Twin>, Mut<'a, SilentFrom>), &'a [(Option<NonZeroU32>, Overheard)]);

fn judge_silence(
    clock: Res<Clock>,
    watch: Res<Watch>,
    mut twins: Query<(&mut Twin, &mut SilentFrom)>,
    mut rows: ResMut<Rows>,
    mut events: ResMut<Events>,
) {
    // Silence is answered by nothing.
    let (rows, events, replies) = (&mut rows.0, &mut events.0, &mut Vec::new());
    let mut sink = Sink { watch: &watch, rows, events, replies };
    for (mut twin, mut silent) in &mut twins {
        if silent.0 < clock.now {
            twin.wait(clock.now, &mut sink);
            silent.0 = twin.judge().silent_from();
        }
    }
}

/// Fills [`TwinSummary`] with the scores so far; the driver calls it when it wants to show or report them.
pub fn summarise(world: &mut World) {
    let mut all: Vec<(usize, TwinScore)> =
        world.query::<&Twin>().iter(world).map(|t| (t.index, t.summary())).collect();
    all.sort_by_key(|(index, _)| *index);
    world.insert_resource(TwinSummary(all.into_iter().map(|(_, score)| score).collect()));
}

fn hash(world: &mut World, hash: &mut StateHash) {
    let mut query = world.query::<&Twin>();
    for twin in query.iter(world) {
        let mut bytes = twin.follower.state_bytes();
        if let Some(outlook) = &twin.outlook {
            outlook.state_bytes(&mut bytes);
        }
        if let Some(alarm) = &twin.alarm {
            alarm.state_bytes(&mut bytes);
        }
        hash.add(&format!("twin/{}", twin.id), &bytes);
    }
}

/// The units of a model's signals, paired with their names, for [`crate::mirror::twin_channels`].
pub fn model_signals(names: &[String], unit: impl Fn(&str) -> String) -> Vec<ModelSignal> {
    names.iter().map(|n| (n.clone(), unit(n))).collect()
}
