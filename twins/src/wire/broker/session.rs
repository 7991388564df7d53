//! One client's session: its subscriptions, and the messages that are on their way to it.
//!
//! Everything that goes out passes through one queue, so the order in which messages were accepted is the order in which
//! they are sent, at every quality of service.

use crate::wire::codec::{PublishRef, ack, put_ack, put_publish};
use bytes::{Bytes, BytesMut};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// A message to be sent to one subscriber.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub topic: Bytes,
    pub payload: Bytes,
    pub qos: u8,
    pub retain: bool,
}

impl Delivery {
    /// A copy with memory of its own. A received payload is a view of its connection's read buffer, which would be
    /// kept whole for as long as the message waits.
    pub fn detached(&self) -> Self {
        Self {
            topic: Bytes::copy_from_slice(&self.topic),
            payload: Bytes::copy_from_slice(&self.payload),
            ..*self
        }
    }
}

/// A message of QoS 1 or 2 that was sent and is not yet acknowledged.
#[derive(Debug)]
struct InFlight {
    pkid: u16,
    delivery: Delivery,
    /// QoS 2: the receiver has it, and PUBREL was sent.
    released: bool,
}

/// How much may be on its way to one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub out_bytes: usize,
    pub in_flight: usize,
}

/// What the broker remembers of a client; it outlives the connection unless the client asked for a clean session.
#[derive(Debug)]
pub(super) struct Session {
    pub client_id: Arc<str>,
    pub clean: bool,
    /// The connection's place, while there is one.
    pub conn: Option<usize>,
    /// Granted quality of service by filter.
    pub subscriptions: BTreeMap<Box<str>, u8>,
    /// Packet ids of QoS 2 messages that were taken over from the client and not yet released.
    pub received_qos2: BTreeSet<u16>,
    queue: VecDeque<Delivery>,
    in_flight: VecDeque<InFlight>,
    last_pkid: u16,
}

impl Session {
    pub fn new(client_id: Arc<str>, clean: bool) -> Self {
        Self {
            client_id,
            clean,
            conn: None,
            subscriptions: BTreeMap::new(),
            received_qos2: BTreeSet::new(),
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            last_pkid: 0,
        }
    }

    /// Messages that wait to be sent.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    pub fn push(&mut self, delivery: Delivery) {
        self.queue.push_back(delivery);
    }

    /// Moves messages from the queue to the connection's buffer, as far as the limits let it; returns how many.
    pub fn pump(&mut self, out: &mut BytesMut, limits: Limits) -> u64 {
        let mut sent = 0;
        while out.len() < limits.out_bytes {
            let Some(next) = self.queue.front() else { break };
            let mut pkid = 0;
            if next.qos > 0 {
                pkid = if self.last_pkid == u16::MAX { 1 } else { self.last_pkid + 1 };
                // Ids are given in turn, so the next one can be in use only by the oldest message in flight.
                let in_use = self.in_flight.front().is_some_and(|oldest| oldest.pkid == pkid);
                if in_use || self.in_flight.len() >= limits.in_flight {
                    break;
                }
            }
            let Some(delivery) = self.queue.pop_front() else { break };
            put(out, &delivery, pkid, false);
            sent += 1;
            if pkid > 0 {
                self.last_pkid = pkid;
                self.in_flight.push_back(InFlight { pkid, delivery, released: false });
            }
        }
        sent
    }

    /// Sends again what the client had not acknowledged when its last connection ended.
    pub fn resend(&mut self, out: &mut BytesMut) {
        for message in &self.in_flight {
            if message.released {
                put_ack(out, ack::PUBREL, message.pkid);
            } else {
                put(out, &message.delivery, message.pkid, true);
            }
        }
    }

    /// PUBACK came in.
    pub fn acknowledged(&mut self, pkid: u16) {
        self.finish(pkid, |m| m.delivery.qos == 1);
    }

    /// PUBREC came in: the payload is no longer needed.
    pub fn received(&mut self, pkid: u16) {
        if let Some(message) = self.in_flight.iter_mut().find(|m| m.pkid == pkid && m.delivery.qos == 2) {
            message.released = true;
            message.delivery.payload = Bytes::new();
        }
    }

    /// PUBCOMP came in.
    pub fn completed(&mut self, pkid: u16) {
        self.finish(pkid, |m| m.released);
    }

    fn finish(&mut self, pkid: u16, fits: impl Fn(&InFlight) -> bool) {
        if let Some(i) = self.in_flight.iter().position(|m| m.pkid == pkid && fits(m)) {
            self.in_flight.remove(i);
        }
    }

    /// The connection ended and the session stays: what only a connection may hold is let go.
    pub fn disconnected(&mut self) {
        self.conn = None;
        self.queue.retain(|d| d.qos > 0);
        for delivery in &mut self.queue {
            *delivery = delivery.detached();
        }
        for message in &mut self.in_flight {
            message.delivery = message.delivery.detached();
        }
    }
}

fn put(out: &mut BytesMut, delivery: &Delivery, pkid: u16, dup: bool) {
    let Delivery { topic, payload, qos, retain } = delivery;
    put_publish(out, PublishRef { topic, payload, qos: *qos, retain: *retain, dup, pkid });
}
