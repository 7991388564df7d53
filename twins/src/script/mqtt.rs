//! The broker at the other end of a script's sockets: whatever client library the script uses speaks MQTT 3.1.1 or 5 to
//! it, and what it publishes goes to its device's radio.
//!
//! It acknowledges at once: what a message meets on its way is the link's business. Who is silent for one and a half times what it
//! has named is cut off, and its will is said ([`Session::silent_ns`]). It hands a
//! subscriber the messages of the run, at the smaller of the two qualities of service, and what is retained
//! ([`super::broker`]). Of a client that wants it so it keeps the session while that is away ([`Kept`]). The run's messages
//! have no properties: what version 5 says with them ends here.

mod kept;
mod packets;

use super::broker::Retained;
use crate::wire::codec::{PublishRef, ack, put_ack, put_publish_with, valid_filter, valid_topic};
use bytes::{BufMut, BytesMut};
pub use kept::Kept;
use kept::{Letter, Subscribed};
use packets::{Asked, Hands, Version, Wanted};
use std::{collections::HashMap, sync::Arc};
use twinfleet_engine::message::TopicFilter;

/// A message that the script published: topic, payload, QoS, retain.
pub type Said = (String, Vec<u8>, u8, bool);

/// One connection of a script.
#[derive(Debug, Default)]
pub struct Session {
    incoming: BytesMut,
    /// Bytes for the script.
    pub outgoing: BytesMut,
    /// What it speaks, once it has said so.
    version: Option<Version>,
    /// Whether it is over.
    pub closed: bool,
    will: Option<Said>,
    /// Its client's name, once it has said so; version 5 may leave it to the broker.
    pub client: String,
    keep_alive_s: u16,
    /// It wants nothing of a session from before.
    clean: bool,
    /// Its session outlasts the connection.
    lasts: bool,
    state: Kept,
    /// What was retained, and it has been handed.
    handed: HashMap<Arc<str>, Arc<[u8]>>,
}

/// What a script's bytes came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// What it published.
    pub said: Vec<Said>,
    /// What it subscribed to.
    pub filters: Vec<TopicFilter>,
    /// Of these, and at which quality of service, it is to be handed what is retained.
    pub hands: Vec<(TopicFilter, u8)>,
    /// It has come in, and waits for [`Session::accept`].
    pub comes: bool,
}

impl Session {
    /// Takes bytes from the script. Where it [comes in](Came::comes), those after wait for [`Self::accept`] and the next call.
    pub fn take(&mut self, bytes: &[u8]) -> Came {
        let mut came = Came::default();
        self.incoming.extend_from_slice(bytes);
        while !self.closed && !came.comes {
            match packets::next(&mut self.version, &mut self.incoming) {
                Ok(Some(asked)) => self.packet(asked, &mut came),
                Ok(None) => break,
                Err(()) => self.close(&mut came),
            }
        }
        came
    }

    /// Lets it in, with what is kept of its session from before.
    pub fn accept(&mut self, kept: Option<Kept>) {
        let before = kept.filter(|_| !self.clean);
        let present = u8::from(before.is_some());
        // All is well; version 5 has no properties to tell.
        if self.is_v5() {
            self.outgoing.put_slice(&[0x20, 3, present, 0, 0]);
        } else {
            self.outgoing.put_slice(&[0x20, 2, present, 0]);
        }
        self.state = before.unwrap_or_default();
        // What it has not acknowledged, and what came while it was away.
        for mut letter in std::mem::take(&mut self.state.letters) {
            if letter.released {
                put_ack(&mut self.outgoing, ack::PUBREL, letter.pkid);
            } else {
                if !letter.sent {
                    letter.pkid = self.state.number();
                }
                self.write(&letter);
                letter.sent = true;
            }
            self.state.letters.push_back(letter);
        }
    }

    /// It is away, by the broker's lights: its name and its session, where that outlasts the connection.
    pub fn leave(&mut self) -> Option<(String, Kept)> {
        let lasts = std::mem::take(&mut self.lasts) && !self.client.is_empty();
        lasts.then(|| (self.client.clone(), std::mem::take(&mut self.state)))
    }

    /// The connection breaks: its last will is said.
    pub fn close(&mut self, came: &mut Came) {
        came.said.extend(self.will.take());
        self.closed = true;
    }

    /// Whether something is to be said when it breaks off.
    pub fn has_will(&self) -> bool {
        self.will.is_some()
    }

    /// How long the broker bears its silence, [ns].
    pub fn silent_ns(&self) -> Option<u64> {
        (self.keep_alive_s > 0).then(|| u64::from(self.keep_alive_s) * 1_500_000_000)
    }

    fn is_v5(&self) -> bool {
        self.version == Some(Version::V5)
    }

    fn packet(&mut self, asked: Asked, came: &mut Came) {
        match asked {
            Asked::Connect { id, lasts: true, .. } if id.is_empty() && !self.is_v5() => {
                // Nobody's session is kept: its name is rejected (MQTT 3.1.1, 3.1.3.1).
                self.outgoing.put_slice(&[0x20, 2, 0, 2]);
                self.closed = true;
            }
            Asked::Connect { will, id, keep_alive_s, clean, lasts } => {
                (self.will, self.client, self.keep_alive_s) = (will, id, keep_alive_s);
                (self.clean, self.lasts, came.comes) = (clean, lasts, true);
            }
            Asked::Publish { said, pkid } => self.publish(said, pkid, came),
            Asked::PubRel(pkid) => {
                came.said.extend(self.state.held.remove(&pkid));
                put_ack(&mut self.outgoing, ack::PUBCOMP, pkid);
            }
            Asked::PubRec(pkid) => {
                self.state.release(pkid);
                put_ack(&mut self.outgoing, ack::PUBREL, pkid);
            }
            Asked::Done(pkid) => self.state.letters.retain(|l| !l.sent || l.pkid != pkid),
            Asked::Subscribe { pkid, wanted } => {
                let codes: Vec<u8> = wanted.into_iter().map(|w| self.subscribe(w, came)).collect();
                self.answer(0x90, pkid, &codes);
            }
            Asked::Unsubscribe { pkid, topics } => {
                // Whether there was such a subscription, version 5 is told.
                let had = |t: &String| self.state.filters.iter().any(|s| s.filter.as_str() == t);
                let codes: Vec<u8> = topics.iter().map(|t| if had(t) { 0x00 } else { 0x11 }).collect();
                self.state.filters.retain(|s| !topics.iter().any(|t| t == s.filter.as_str()));
                let codes = if self.is_v5() { codes.as_slice() } else { &[] };
                self.answer(0xB0, pkid, codes);
            }
            Asked::Ping => self.outgoing.put_slice(&[0xD0, 0]),
            Asked::Disconnect { with_will: true } | Asked::Nonsense => self.close(came),
            Asked::Disconnect { with_will: false } => {
                self.will = None;
                self.closed = true;
            }
        }
    }

    /// Its result: the quality of service that is granted, or 0x80.
    fn subscribe(&mut self, wanted: Wanted, came: &mut Came) -> u8 {
        let Wanted { path, qos, no_local, hands } = wanted;
        match TopicFilter::new(&path) {
            Ok(filter) if valid_filter(&path) => {
                let of = &mut self.state.filters;
                let new = of.iter().all(|s| s.filter != filter);
                of.retain(|s| s.filter != filter);
                of.push(Subscribed { filter: filter.clone(), qos, no_local });
                if hands == Hands::Always || hands == Hands::IfNew && new {
                    came.hands.push((filter.clone(), qos));
                }
                came.filters.push(filter);
                qos
            }
            _ => 0x80,
        }
    }

    fn publish(&mut self, said: Said, pkid: u16, came: &mut Came) {
        if !valid_topic(&said.0) {
            self.close(came);
            return;
        }
        match said.2 {
            0 => came.said.push(said),
            1 => {
                put_ack(&mut self.outgoing, ack::PUBACK, pkid);
                came.said.push(said);
            }
            _ => {
                put_ack(&mut self.outgoing, ack::PUBREC, pkid);
                self.state.held.insert(pkid, said);
            }
        }
    }

    /// SUBACK and UNSUBACK: an id and a code for each filter.
    fn answer(&mut self, kind: u8, pkid: u16, codes: &[u8]) {
        let properties: &[u8] = if self.is_v5() { &[0] } else { &[] };
        let mut rest = 2 + properties.len() + codes.len();
        self.outgoing.put_u8(kind);
        loop {
            let low = (rest % 128) as u8;
            rest /= 128;
            self.outgoing.put_u8(if rest > 0 { low | 0x80 } else { low });
            if rest == 0 {
                break;
            }
        }
        self.outgoing.put_u16(pkid);
        self.outgoing.put_slice(properties);
        self.outgoing.put_slice(codes);
    }

    /// At which quality of service it subscribed to a topic, if it did; `own` is a message of its own device.
    pub fn wants(&self, topic: &str, own: bool) -> Option<u8> {
        self.state.wants(topic, own).filter(|_| !self.closed)
    }

    /// Hands it a message of the run, where it subscribed to its topic.
    pub fn hear(&mut self, topic: &str, payload: &[u8], qos: u8, own: bool) {
        if let Some(wanted) = self.wants(topic, own) {
            self.say(topic, payload, qos.min(wanted), false);
        }
    }

    /// Hands it what is retained, to which it subscribed with a quality of service.
    pub fn hand(&mut self, of: &Retained, wanted: u8) {
        if !self.closed {
            self.handed.insert(Arc::clone(&of.topic), Arc::clone(&of.payload));
            self.say(&of.topic, &of.payload, of.qos.min(wanted), true);
        }
    }

    /// Whether it has been handed this by a subscription already.
    pub fn has(&self, of: &Retained) -> bool {
        self.handed.get(&of.topic).is_some_and(|payload| *payload == of.payload)
    }

    fn say(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) {
        let pkid = if qos > 0 { self.state.number() } else { 0 };
        let (topic, payload) = (topic.into(), payload.into());
        let letter = Letter { topic, payload, qos, retain, pkid, sent: false, released: false };
        self.write(&letter);
        if qos > 0 && self.lasts {
            self.state.remember(letter);
        }
    }

    /// Puts a message on its way, again where it was so before.
    fn write(&mut self, letter: &Letter) {
        let properties: &[u8] = if self.is_v5() { &[0] } else { &[] };
        let publish = PublishRef {
            topic: letter.topic.as_bytes(),
            payload: &letter.payload,
            qos: letter.qos,
            retain: letter.retain,
            dup: letter.sent,
            pkid: letter.pkid,
        };
        put_publish_with(&mut self.outgoing, publish, properties);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT_5: &[u8] = b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c";

    #[test]
    fn version_5_is_answered_in_version_5() {
        let mut session = Session::default();
        assert_eq!(session.take(CONNECT_5), Came { comes: true, ..Came::default() });
        session.accept(None);
        assert_eq!(&session.outgoing[..], b"\x20\x03\0\0\0");
        session.outgoing.clear();
        // Two filters, the second without its own messages; then none of the first.
        session.take(b"\x82\x0b\0\x07\0\0\x01a\x01\0\x01b\x05");
        assert_eq!(&session.outgoing[..], b"\x90\x05\0\x07\0\x01\x01");
        session.outgoing.clear();
        session.hear("b", b"x", 1, true);
        assert!(session.outgoing.is_empty(), "no local");
        session.hear("a", b"x", 1, true);
        assert_eq!(&session.outgoing[..], b"\x32\x07\0\x01a\0\x01\0x");
        session.outgoing.clear();
        session.take(b"\xa2\x06\0\x08\0\0\x01a");
        assert_eq!(&session.outgoing[..], b"\xb0\x04\0\x08\0\0");
    }

    #[test]
    fn what_is_no_connect_comes_to_an_end() {
        for bytes in [&b"\xc0\0"[..], b"\x10\x0c\0\x04MQTT\x09\x02\0\x3c\0\0", b"GET / HTTP/1.1\r\n\r\n"] {
            let mut session = Session::default();
            session.take(bytes);
            assert!(session.closed, "{bytes:?}");
        }
    }

    #[test]
    fn a_session_that_lasts_is_told_what_it_missed_and_what_it_did_not_acknowledge() {
        // Version 3.1.1, no clean session, client `c`; then a filter at QoS 1.
        let connect = b"\x10\x0d\0\x04MQTT\x04\0\0\x3c\0\x01c";
        let mut session = Session::default();
        assert!(session.take(connect).comes);
        session.accept(None);
        let came = session.take(b"\x82\x06\0\x07\0\x01a\x01");
        assert_eq!(came.hands.len(), 1);
        assert_eq!(&session.outgoing[..], b"\x20\x02\0\0\x90\x03\0\x07\x01");
        session.outgoing.clear();
        let retained = Retained { topic: "a".into(), payload: (*b"r").into(), qos: 2 };
        session.hand(&retained, 1);
        assert_eq!(&session.outgoing[..], b"\x33\x06\0\x01a\0\x01r");
        // It acknowledges this one, and not the next; of the two that follow it misses the one of QoS 0.
        session.take(b"\x40\x02\0\x01");
        session.hear("a", b"x", 1, false);
        let (client, mut kept) = session.leave().unwrap();
        assert_eq!(
            (client.as_str(), kept.hear("a", b"y", 2, false), kept.hear("a", b"z", 0, false)),
            ("c", true, true)
        );
        let mut again = Session::default();
        again.take(connect);
        again.accept(Some(kept));
        assert_eq!(&again.outgoing[..], b"\x20\x02\x01\0\x3a\x06\0\x01a\0\x02x\x32\x06\0\x01a\0\x03y");
        // A clean session has nothing from before.
        let mut clean = Session::default();
        clean.take(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c");
        clean.accept(again.leave().map(|(_, kept)| kept));
        assert_eq!(&clean.outgoing[..], b"\x20\x02\0\0");
        assert!(clean.leave().is_none());
    }
}
