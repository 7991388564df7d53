//! What a script's broker knows beyond one device: retained messages, and which device came last by a client's name.
//!
//! Devices have their turns of a tick side by side, so none may see what another does in the same one. They read this as it
//! was when the tick began and leave word of what they do; [`take_in`] puts that together between turns, in the order of time
//! and of devices. So the run stays the same at any thread count.
//!
//! A session ([`super::mqtt::Kept`]) stays with the device that had it: who takes over another device's name finds none.
//!
//! Resource: [`RunsBroker`]. Set: `EnvironmentSystems::Hear`.

use bevy_ecs::prelude::*;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};
use twinfleet_engine::{
    message::{Message, TopicFilter},
    world::Inbox,
};

/// Topics of which a message is retained; those that come after are counted, and not kept.
const RETAINED: usize = 100_000;
/// Names of clients that are remembered; beyond that it forgets them all and starts again.
const CLIENTS: usize = 100_000;

/// A retained message.
#[derive(Clone, Debug)]
pub struct Retained {
    /// MQTT topic.
    pub topic: Arc<str>,
    /// MQTT payload.
    pub payload: Arc<[u8]>,
    /// MQTT quality of service, 0–2.
    pub qos: u8,
}

/// A client that came in.
#[derive(Debug)]
struct Coming {
    at_ns: u64,
    ordinal: u32,
    client: String,
}

/// What a device is told.
#[derive(Debug, Default)]
pub struct News {
    /// Clients' names that another device took over, and when, [ns].
    pub taken: Vec<(u64, String)>,
    /// Retained messages of the run that there was no room for.
    pub dropped: u64,
}

/// Where a device is told something.
#[derive(Debug, Default)]
pub struct Desk(Mutex<News>);

impl Desk {
    /// Whether there is something.
    pub fn has_news(&self) -> bool {
        let news = lock(&self.0);
        !news.taken.is_empty() || news.dropped > 0
    }

    /// What there is.
    pub fn take(&self) -> News {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// The broker of a run.
#[derive(Debug, Default)]
pub struct Broker {
    retained: RwLock<BTreeMap<Arc<str>, Retained>>,
    coming: Mutex<Vec<Coming>>,
    /// Who came last by a name.
    holders: Mutex<HashMap<String, u32>>,
    desks: Mutex<BTreeMap<u32, Arc<Desk>>>,
}

impl Broker {
    /// A device's own, by its ordinal.
    pub fn desk(&self, ordinal: u32) -> Arc<Desk> {
        Arc::clone(lock(&self.desks).entry(ordinal).or_default())
    }

    /// A device comes in by a client's name.
    pub fn come(&self, at_ns: u64, ordinal: u32, client: &str) {
        lock(&self.coming).push(Coming { at_ns, ordinal, client: client.to_owned() });
    }

    /// What is retained under a filter, in the order of the topics.
    pub fn retained(&self, filter: &TopicFilter) -> Vec<Retained> {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        if filter.is_wild() {
            retained.values().filter(|r| filter.matches(&r.topic)).cloned().collect()
        } else {
            retained.get(filter.as_str()).cloned().into_iter().collect()
        }
    }

    fn retain(&self, inbox: &[Message]) {
        if !inbox.iter().any(|m| m.retain) {
            return;
        }
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        for m in inbox.iter().filter(|m| m.retain) {
            if m.payload.is_empty() {
                retained.remove(&m.topic);
            } else if retained.len() < RETAINED || retained.contains_key(&m.topic) {
                let (topic, payload) = (Arc::clone(&m.topic), Arc::clone(&m.payload));
                retained.insert(Arc::clone(&topic), Retained { topic, payload, qos: m.qos });
            } else {
                dropped += 1;
            }
        }
        if dropped > 0
            && let Some(desk) = lock(&self.desks).values().next()
        {
            lock(&desk.0).dropped += dropped;
        }
    }

    fn let_in(&self) {
        let mut coming = std::mem::take(&mut *lock(&self.coming));
        if coming.is_empty() {
            return;
        }
        // Those of one device are in its own order.
        coming.sort_by_key(|c| (c.at_ns, c.ordinal));
        let (mut holders, desks) = (lock(&self.holders), lock(&self.desks));
        for Coming { at_ns, ordinal, client } in coming {
            if holders.len() >= CLIENTS {
                holders.clear();
            }
            let before = holders.insert(client.clone(), ordinal).filter(|before| *before != ordinal);
            if let Some(desk) = before.and_then(|before| desks.get(&before)) {
                lock(&desk.0).taken.push((at_ns, client));
            }
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The broker, as the run's systems find it.
#[derive(Resource, Debug)]
pub struct RunsBroker(pub Arc<Broker>);

/// Between the devices' turns: what came to be retained, and who came in.
pub fn take_in(inbox: Res<Inbox>, broker: Res<RunsBroker>) {
    broker.0.retain(&inbox.0);
    broker.0.let_in();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_last_by_a_name_has_it_whatever_order_the_threads_ran_in() {
        for turned in [false, true] {
            let broker = Broker::default();
            let desks = [broker.desk(0), broker.desk(1)];
            let mut coming = [(5, 0), (7, 1)];
            if turned {
                coming.reverse();
            }
            coming.iter().for_each(|(at_ns, ordinal)| broker.come(*at_ns, *ordinal, "umqtt_client"));
            broker.let_in();
            assert_eq!(desks[0].take().taken, [(7, "umqtt_client".to_owned())]);
            assert!(!desks[1].has_news());
        }
    }
}
