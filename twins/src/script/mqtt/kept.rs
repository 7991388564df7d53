//! A client's session: what outlives its connection, where it wants that.

use super::Said;
use std::collections::{HashMap, VecDeque};
use twinfleet_engine::message::TopicFilter;

/// Messages that wait for a client; mosquitto keeps as many, and drops those that come after.
const LETTERS: usize = 1_000;

/// What the broker knows of a client.
#[derive(Debug, Default)]
pub struct Kept {
    pub(super) filters: Vec<Subscribed>,
    /// Messages of QoS 2 whose release is awaited.
    pub(super) held: HashMap<u16, Said>,
    /// Messages of QoS 1 and 2 that it has not acknowledged, or has yet to be told, in order.
    pub(super) letters: VecDeque<Letter>,
    last: u16,
}

#[derive(Debug)]
pub(super) struct Subscribed {
    pub(super) filter: TopicFilter,
    pub(super) qos: u8,
    /// Not what its own client publishes.
    pub(super) no_local: bool,
}

/// A message for a client.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) topic: Box<str>,
    pub(super) payload: Box<[u8]>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) pkid: u16,
    /// It has been on its way before.
    pub(super) sent: bool,
    /// Of QoS 2: it has arrived, and was released.
    pub(super) released: bool,
}

impl Kept {
    /// The next packet id.
    pub(super) fn number(&mut self) -> u16 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.last
    }

    pub(super) fn wants(&self, topic: &str, own: bool) -> Option<u8> {
        let fits = self.filters.iter().filter(|s| !(own && s.no_local) && s.filter.matches(topic));
        fits.map(|s| s.qos).max()
    }

    /// A message is on its way: it is kept until it is acknowledged.
    pub(super) fn remember(&mut self, letter: Letter) {
        // Who never acknowledges is not told all of it again.
        if self.letters.len() < LETTERS {
            self.letters.push_back(Letter { sent: true, ..letter });
        }
    }

    pub(super) fn release(&mut self, pkid: u16) {
        if let Some(letter) = self.letters.iter_mut().find(|l| l.sent && l.pkid == pkid) {
            letter.released = true;
        }
    }

    /// How many messages wait for it.
    pub fn waiting(&self) -> u64 {
        self.letters.len() as u64
    }

    /// A message comes while the client is away. False: there was no room for it.
    pub fn hear(&mut self, topic: &str, payload: &[u8], qos: u8, own: bool) -> bool {
        let Some(qos) = self.wants(topic, own).map(|wanted| wanted.min(qos)).filter(|qos| *qos > 0) else {
            return true;
        };
        if self.letters.len() >= LETTERS {
            return false;
        }
        let (topic, payload) = (topic.into(), payload.into());
        let letter = Letter { topic, payload, qos, retain: false, pkid: 0, sent: false, released: false };
        self.letters.push_back(letter);
        true
    }
}
