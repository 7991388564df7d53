//! What waits for devices that cannot hear just now: asleep, off the network, reset.
//!
//! A device that is awake and has joined hears a message in the tick after it was sent. For one that cannot, its broker
//! keeps messages of QoS 1 and 2 where the firmware's session is `persistent` ([`BROKER_KEEPS`] at most, as mosquitto
//! does), and tells the newest retained one of each topic when it is back; all else is lost and counted. Behind a link that
//! tells devices things only after their own messages the network keeps up to [`NETWORK_KEEPS`], and tells one each time.
//! Devices without a link of ours hear everything.

use super::Target;
use crate::{
    link::profile::Hears,
    message::Message,
    sense::Cohort,
    time::SimTime,
    world::{Counters, Event, Events, StateHash},
};
use bevy_ecs::prelude::*;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

/// Messages that a broker keeps for a session: mosquitto's default `max_queued_messages`.
const BROKER_KEEPS: usize = 1000;
/// Downlinks that a network server keeps for a device: the order of what they allow, an assumption for no one server.
const NETWORK_KEEPS: usize = 16;

/// A message for a device.
#[derive(Clone, Debug)]
struct Letter {
    message: Message,
    target: Target,
}

/// A topic, and what of a device hears it.
type Address = (Arc<str>, (Entity, u32));

/// What waits for one device.
#[derive(Debug, Default)]
struct Mailbox {
    /// In the order of arrival, with whether it is kept while the device cannot hear.
    waiting: VecDeque<(Letter, bool)>,
    /// The newest retained message of each topic and target, and whether the device has yet to hear it.
    retained: BTreeMap<Address, (Letter, bool)>,
    /// Whether a loss has been told since it last heard something.
    told: bool,
}

impl Mailbox {
    /// Keeps no more than `most`, the oldest; how many are lost.
    fn bound(&mut self, most: usize) -> u64 {
        let over = self.waiting.len().saturating_sub(most);
        self.waiting.truncate(most);
        over as u64
    }
}

/// A device as its broker knows it.
#[derive(Clone, Copy, Debug)]
struct Client {
    cohort: Entity,
    lane: u16,
    persistent: bool,
    hears: Hears,
}

/// The mailboxes of a run.
#[derive(Resource, Debug, Default)]
pub(super) struct Mailboxes {
    boxes: BTreeMap<u32, Mailbox>,
    /// Those of the devices asked for that are of a cohort.
    clients: HashMap<u32, Option<Client>>,
    /// The cohorts by their first devices' ordinals.
    cohorts: BTreeMap<u32, Entity>,
    /// Up to when has been heard.
    since: SimTime,
}

impl Mailboxes {
    /// The device with this ordinal. None: no link of ours leads to it.
    fn client(&mut self, ordinal: u32, cohorts: &Query<(Entity, &mut Cohort)>) -> Option<Client> {
        if self.cohorts.is_empty() {
            self.cohorts = cohorts.iter().map(|(entity, cohort)| (cohort.first, entity)).collect();
        }
        let by_first = &self.cohorts;
        *self.clients.entry(ordinal).or_insert_with(|| {
            let (_, entity) = by_first.range(..=ordinal).next_back()?;
            let (_, cohort) = cohorts.get(*entity).ok()?;
            Some(Client {
                cohort: *entity,
                lane: cohort.lane_of(ordinal)?,
                persistent: cohort.group.persistent,
                hears: cohort.group.link.hears(),
            })
        })
    }

    /// Takes a message in; it comes back where its device hears it at once.
    pub fn post(
        &mut self,
        (ordinal, target, message): (u32, &Target, &Message),
        cohorts: &Query<(Entity, &mut Cohort)>,
        now: SimTime,
    ) -> bool {
        let Some(client) = self.client(ordinal, cohorts) else { return true };
        let awake = client.hears == Hears::Awake
            && cohorts.get(client.cohort).is_ok_and(|(_, c)| c.hears(client.lane, self.since, now));
        if awake && !message.retain && !self.boxes.contains_key(&ordinal) {
            return true;
        }
        let mailbox = self.boxes.entry(ordinal).or_default();
        let letter = Letter { message: message.clone(), target: target.clone() };
        if message.retain && client.hears == Hears::Awake {
            mailbox.retained.insert((Arc::clone(&message.topic), target.key()), (letter.clone(), !awake));
        }
        if awake && mailbox.waiting.is_empty() {
            return true;
        }
        let kept = client.hears == Hears::AfterSending || (client.persistent && message.qos > 0);
        mailbox.waiting.push_back((letter, kept));
        false
    }

    /// Devices that have been reset or run again connect anew: what is retained is told again.
    pub fn connects(&mut self, ordinal: u32) {
        if let Some(mailbox) = self.boxes.get_mut(&ordinal) {
            mailbox.retained.values_mut().for_each(|(_, fresh)| *fresh = true);
        }
    }

    /// Takes out what devices hear by now, in the order of their ordinals.
    pub fn deliver(
        &mut self,
        cohorts: &mut Query<(Entity, &mut Cohort)>,
        now: SimTime,
        events: &mut Events,
        counters: &mut Counters,
    ) -> Vec<(Target, Message)> {
        let mut out = Vec::new();
        let since = std::mem::replace(&mut self.since, now);
        for (ordinal, mailbox) in &mut self.boxes {
            let Some(client) = self.clients.get(ordinal).copied().flatten() else { continue };
            let Ok((_, mut cohort)) = cohorts.get_mut(client.cohort) else { continue };
            let fresh = mailbox.retained.values().any(|(_, fresh)| *fresh);
            if mailbox.waiting.is_empty() && !fresh {
                continue;
            }
            let lost = if cohort.hears(client.lane, since, now) {
                mailbox.hand_out(client, &mut cohort, &mut out)
            } else {
                mailbox.lose(client, now, &cohort, events)
            };
            if lost > 0 {
                counters.add("messages_unheard", lost);
            }
        }
        out
    }

    pub fn hash(&self, hash: &mut StateHash) {
        for (ordinal, mailbox) in &self.boxes {
            let mut bytes = Vec::new();
            for (letter, kept) in &mailbox.waiting {
                bytes.push(u8::from(*kept));
                bytes.extend(letter.message.topic.as_bytes());
                bytes.extend(&*letter.message.payload);
            }
            for (letter, fresh) in mailbox.retained.values() {
                bytes.push(u8::from(*fresh));
                bytes.extend(letter.message.topic.as_bytes());
                bytes.extend(&*letter.message.payload);
            }
            hash.add(&format!("mailbox/{ordinal}"), &bytes);
        }
    }
}

impl Mailbox {
    /// What its device hears now goes out; how many were lost on the way.
    fn hand_out(&mut self, client: Client, cohort: &mut Cohort, out: &mut Vec<(Target, Message)>) -> u64 {
        self.told = false;
        if client.hears == Hears::AfterSending {
            let over = self.bound(NETWORK_KEEPS);
            let Some((letter, _)) = self.waiting.pop_front() else { return over };
            if !cohort.arrives(client.lane) {
                return over + 1;
            }
            out.push((letter.target, letter.message));
            return over;
        }
        let over = if client.persistent { self.bound(BROKER_KEEPS) } else { 0 };
        for (letter, fresh) in self.retained.values_mut() {
            // What still waits of the topic is at least as new.
            let waits = self.waiting.iter().any(|(w, _)| {
                w.message.topic == letter.message.topic && w.target.key() == letter.target.key()
            });
            if std::mem::take(fresh) && !waits {
                out.push((letter.target.clone(), letter.message.clone()));
            }
        }
        out.extend(self.waiting.drain(..).map(|(letter, _)| (letter.target, letter.message)));
        over
    }

    /// Its device cannot hear: what nobody keeps is lost, the first loss is told. How many.
    fn lose(&mut self, client: Client, now: SimTime, cohort: &Cohort, events: &mut Events) -> u64 {
        let retained = &self.retained;
        let is_retained = |letter: &Letter| {
            letter.message.retain
                && retained.contains_key(&(Arc::clone(&letter.message.topic), letter.target.key()))
        };
        let mut lost = 0;
        let mut first = None;
        self.waiting.retain(|(letter, kept)| {
            // A retained message is told in another way.
            if !kept && !is_retained(letter) {
                lost += 1;
                first.get_or_insert_with(|| letter.message.topic.to_string());
            }
            *kept
        });
        lost += self.bound(if client.hears == Hears::AfterSending { NETWORK_KEEPS } else { BROKER_KEEPS });
        if let Some(topic) = first.filter(|_| !std::mem::replace(&mut self.told, true)) {
            events.0.push(Event {
                t: now,
                subject: cohort.group.device_id(cohort.index[client.lane as usize]),
                kind: "unheard".to_owned(),
                detail: format!(
                    "{topic}: the device is asleep, off the network or down, and its broker keeps nothing for it; so are others until it hears again"
                ),
                ..Event::default()
            });
        }
        lost
    }
}
