//! The broker at the other end of a script's sockets: whatever client library the script uses speaks MQTT 3.1.1 or 5 to
//! it, and what it publishes goes to its device's radio.
//!
//! It acknowledges at once: what a message meets on its way is the link's business. Who is silent for one and a half times what it
//! has named is cut off, and its will is said ([`Session::silent_ns`]). It keeps no session, and hands a
//! subscriber the messages of the run, at the smaller of the two qualities of service. The run's messages have no
//! properties: what version 5 says with them ends here.

mod packets;

use crate::wire::codec::{PublishRef, ack, put_ack, put_publish_with, valid_filter, valid_topic};
use bytes::{BufMut, BytesMut};
use packets::{Asked, Version, Wanted};
use std::collections::HashMap;
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
    filters: Vec<Subscribed>,
    will: Option<Said>,
    /// Its client's name, once it has said so; version 5 may leave it to the broker.
    pub client: String,
    keep_alive_s: u16,
    /// Messages of QoS 2 whose release is awaited.
    held: HashMap<u16, Said>,
    next_id: u16,
}

#[derive(Debug)]
struct Subscribed {
    filter: TopicFilter,
    qos: u8,
    /// Not what its own client publishes.
    no_local: bool,
}

/// What a script's bytes came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// What it published.
    pub said: Vec<Said>,
    /// What it subscribed to.
    pub filters: Vec<TopicFilter>,
}

impl Session {
    /// Takes bytes from the script.
    pub fn take(&mut self, bytes: &[u8]) -> Came {
        let mut came = Came::default();
        self.incoming.extend_from_slice(bytes);
        while !self.closed {
            match packets::next(&mut self.version, &mut self.incoming) {
                Ok(Some(asked)) => self.packet(asked, &mut came),
                Ok(None) => break,
                Err(()) => self.close(&mut came),
            }
        }
        came
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
            Asked::Connect { will, id, keep_alive_s } => {
                (self.will, self.client, self.keep_alive_s) = (will, id, keep_alive_s);
                // No session is there, and all is well; version 5 has no properties to tell.
                self.outgoing.put_slice(if self.is_v5() { &[0x20, 3, 0, 0, 0] } else { &[0x20, 2, 0, 0] });
            }
            Asked::Publish { said, pkid } => self.publish(said, pkid, came),
            Asked::PubRel(pkid) => {
                came.said.extend(self.held.remove(&pkid));
                put_ack(&mut self.outgoing, ack::PUBCOMP, pkid);
            }
            Asked::PubRec(pkid) => put_ack(&mut self.outgoing, ack::PUBREL, pkid),
            Asked::Subscribe { pkid, wanted } => {
                let codes: Vec<u8> = wanted.into_iter().map(|w| self.subscribe(w, came)).collect();
                self.answer(0x90, pkid, &codes);
            }
            Asked::Unsubscribe { pkid, topics } => {
                // Whether there was such a subscription, version 5 is told.
                let had = |t: &String| self.filters.iter().any(|s| s.filter.as_str() == t);
                let codes: Vec<u8> = topics.iter().map(|t| if had(t) { 0x00 } else { 0x11 }).collect();
                self.filters.retain(|s| !topics.iter().any(|t| t == s.filter.as_str()));
                let codes = if self.is_v5() { codes.as_slice() } else { &[] };
                self.answer(0xB0, pkid, codes);
            }
            Asked::Ping => self.outgoing.put_slice(&[0xD0, 0]),
            Asked::Disconnect { with_will: true } | Asked::Nonsense => self.close(came),
            Asked::Disconnect { with_will: false } => {
                self.will = None;
                self.closed = true;
            }
            Asked::Nothing => {}
        }
    }

    /// Its result: the quality of service that is granted, or 0x80.
    fn subscribe(&mut self, wanted: Wanted, came: &mut Came) -> u8 {
        let Wanted { path, qos, no_local } = wanted;
        match TopicFilter::new(&path) {
            Ok(filter) if valid_filter(&path) => {
                self.filters.retain(|s| s.filter != filter);
                self.filters.push(Subscribed { filter: filter.clone(), qos, no_local });
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
                self.held.insert(pkid, said);
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

    /// Hands it a message of the run, where it subscribed to its topic; `own` is one of its own device.
    pub fn hear(&mut self, topic: &str, payload: &[u8], qos: u8, own: bool) {
        let fits = self.filters.iter().filter(|s| !(own && s.no_local) && s.filter.matches(topic));
        let Some(wanted) = fits.map(|s| s.qos).max() else { return };
        if self.closed {
            return;
        }
        let qos = qos.min(wanted);
        if qos > 0 {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        }
        let properties: &[u8] = if self.is_v5() { &[0] } else { &[] };
        let publish = PublishRef {
            topic: topic.as_bytes(),
            payload,
            qos,
            retain: false,
            dup: false,
            pkid: self.next_id,
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
        assert_eq!(session.take(CONNECT_5), Came::default());
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
}
