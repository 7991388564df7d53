//! The broker at the other end of a script's sockets: whatever client library the script uses speaks MQTT 3.1.1 to it, and
//! what it publishes goes to its device's radio.
//!
//! It acknowledges at once: what a message meets on its way is the link's business. It keeps no session, and hands a
//! subscriber the messages of the run, at the smaller of the two qualities of service.

use crate::wire::codec::{PublishRef, ack, next_packet, put_ack, put_publish, valid_filter, valid_topic};
use bytes::BytesMut;
use rumqttc::mqttbytes::v4::{
    ConnAck, ConnectReturnCode, LastWill, Packet, Publish, SubAck, SubscribeReasonCode, UnsubAck,
};
use std::collections::HashMap;
use twinfleet_engine::message::TopicFilter;

/// Largest packet, [bytes].
const PACKET_BYTES: usize = 1 << 20;

/// A message that the script published: topic, payload, QoS, retain.
pub type Said = (String, Vec<u8>, u8, bool);

/// One connection of a script.
#[derive(Debug, Default)]
pub struct Session {
    incoming: BytesMut,
    /// Bytes for the script.
    pub outgoing: BytesMut,
    connected: bool,
    /// Whether it is over.
    pub closed: bool,
    filters: Vec<(TopicFilter, u8)>,
    will: Option<LastWill>,
    /// Messages of QoS 2 whose release is awaited.
    held: HashMap<u16, Publish>,
    next_id: u16,
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
            match next_packet(&mut self.incoming, PACKET_BYTES) {
                Ok(Some(packet)) => self.packet(packet, &mut came),
                Ok(None) => break,
                Err(_) => self.close(&mut came),
            }
        }
        came
    }

    /// The connection breaks: its last will is said.
    pub fn close(&mut self, came: &mut Came) {
        if let Some(will) = self.will.take() {
            came.said.push((will.topic, will.message.to_vec(), will.qos as u8, will.retain));
        }
        self.closed = true;
    }

    fn packet(&mut self, packet: Packet, came: &mut Came) {
        match packet {
            Packet::Connect(connect) if !self.connected => {
                self.connected = true;
                self.will = connect.last_will;
                self.reply(&Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
            }
            _ if !self.connected => self.close(came),
            Packet::Publish(publish) => self.publish(publish, came),
            Packet::PubRel(release) => {
                if let Some(held) = self.held.remove(&release.pkid) {
                    came.said.push(said(held));
                }
                put_ack(&mut self.outgoing, ack::PUBCOMP, release.pkid);
            }
            Packet::PubRec(received) => put_ack(&mut self.outgoing, ack::PUBREL, received.pkid),
            Packet::Subscribe(subscribe) => {
                let mut codes = Vec::new();
                for wanted in subscribe.filters {
                    match TopicFilter::new(&wanted.path) {
                        Ok(filter) if valid_filter(&wanted.path) => {
                            self.filters.retain(|(f, _)| *f != filter);
                            self.filters.push((filter.clone(), wanted.qos as u8));
                            came.filters.push(filter);
                            codes.push(SubscribeReasonCode::Success(wanted.qos));
                        }
                        _ => codes.push(SubscribeReasonCode::Failure),
                    }
                }
                self.reply(&Packet::SubAck(SubAck::new(subscribe.pkid, codes)));
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.filters.retain(|(f, _)| !unsubscribe.topics.iter().any(|t| t == f.as_str()));
                self.reply(&Packet::UnsubAck(UnsubAck::new(unsubscribe.pkid)));
            }
            Packet::PingReq => self.reply(&Packet::PingResp),
            Packet::Disconnect => {
                self.will = None;
                self.closed = true;
            }
            _ => {}
        }
    }

    fn publish(&mut self, publish: Publish, came: &mut Came) {
        if !valid_topic(&String::from_utf8_lossy(&publish.topic)) {
            self.close(came);
            return;
        }
        match publish.qos as u8 {
            0 => came.said.push(said(publish)),
            1 => {
                put_ack(&mut self.outgoing, ack::PUBACK, publish.pkid);
                came.said.push(said(publish));
            }
            _ => {
                put_ack(&mut self.outgoing, ack::PUBREC, publish.pkid);
                self.held.insert(publish.pkid, publish);
            }
        }
    }

    fn reply(&mut self, packet: &Packet) {
        // What we write ourselves fits.
        let _ = packet.write(&mut self.outgoing, PACKET_BYTES);
    }

    /// Hands it a message of the run, where it subscribed to its topic.
    pub fn hear(&mut self, topic: &str, payload: &[u8], qos: u8) {
        let fits = self.filters.iter().filter(|(f, _)| f.matches(topic)).map(|(_, q)| *q);
        let Some(wanted) = fits.max() else { return };
        if self.closed {
            return;
        }
        let qos = qos.min(wanted);
        if qos > 0 {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        }
        let publish = PublishRef {
            topic: topic.as_bytes(),
            payload,
            qos,
            retain: false,
            dup: false,
            pkid: self.next_id,
        };
        put_publish(&mut self.outgoing, publish);
    }
}

fn said(publish: Publish) -> Said {
    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
    (topic, publish.payload.to_vec(), publish.qos as u8, publish.retain)
}
