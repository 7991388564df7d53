//! What a script's client sends, the same for both versions of MQTT.

use super::Said;
use crate::wire::codec::next_packet;
use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc_v5::mqttbytes::{Error as Error5, v5};

/// Largest packet, [bytes].
const PACKET_BYTES: usize = 1 << 20;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// A packet of a client.
#[derive(Debug)]
pub(super) enum Asked {
    /// It wants to come in.
    Connect {
        /// What is to be said when it breaks off.
        will: Option<Said>,
        /// Its name.
        id: String,
        /// Longest time that it will be silent, [s]. 0: any.
        keep_alive_s: u16,
        /// It wants nothing of a session from before.
        clean: bool,
        /// Its session is to outlast the connection.
        lasts: bool,
    },
    /// It publishes.
    Publish {
        /// What.
        said: Said,
        /// Packet id.
        pkid: u16,
    },
    /// Releases a message of QoS 2.
    PubRel(u16),
    /// Has received one.
    PubRec(u16),
    /// Has received one of QoS 1, or is done with one of QoS 2.
    Done(u16),
    /// It subscribes.
    Subscribe {
        /// Packet id.
        pkid: u16,
        /// To these.
        wanted: Vec<Wanted>,
    },
    /// It no longer wants these.
    Unsubscribe {
        /// Packet id.
        pkid: u16,
        /// Their filters.
        topics: Vec<String>,
    },
    /// It asks for a sign of life.
    Ping,
    /// It goes.
    Disconnect {
        /// Its will is to be said all the same.
        with_will: bool,
    },
    /// Not in this place.
    Nonsense,
}

/// A subscription.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The filter.
    pub path: String,
    /// Highest quality of service.
    pub qos: u8,
    /// Not its own messages.
    pub no_local: bool,
    /// Whether it is handed what is retained.
    pub hands: Hands,
}

/// When a subscriber is handed what is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hands {
    /// Each time that it subscribes.
    Always,
    /// Where the subscription is new.
    IfNew,
    /// Not at all.
    Never,
}

/// Takes the next whole packet from the front of `buffer`, if there is one. The first has to be a CONNECT, and sets the
/// version.
///
/// # Errors
/// What is no MQTT.
pub(super) fn next(version: &mut Option<Version>, buffer: &mut BytesMut) -> Result<Option<Asked>, ()> {
    let asked = match version {
        None => {
            if buffer.first().is_some_and(|kind| *kind != 0x10) {
                return Err(());
            }
            let Some(level) = level(buffer) else { return Ok(None) };
            let said = if level == 5 { Version::V5 } else { Version::V4 };
            let asked = read(said, buffer)?;
            if asked.is_some() {
                *version = Some(said);
            }
            asked
        }
        Some(version) => match read(*version, buffer)? {
            Some(Asked::Connect { .. }) => return Err(()),
            asked => asked,
        },
    };
    Ok(asked)
}

/// The protocol level of a CONNECT, once it is there: after the length and a name of two bytes and so many.
fn level(buffer: &BytesMut) -> Option<u8> {
    let length = 1 + buffer.iter().skip(1).take(4).position(|b| b & 0x80 == 0)?;
    let name = 1 + length;
    let bytes = usize::from(*buffer.get(name)?) << 8 | usize::from(*buffer.get(name + 1)?);
    buffer.get(name + 2 + bytes).copied()
}

fn read(version: Version, buffer: &mut BytesMut) -> Result<Option<Asked>, ()> {
    match version {
        Version::V4 => Ok(next_packet(buffer, PACKET_BYTES).map_err(drop)?.map(from_v4)),
        Version::V5 => {
            if buffer.len() < 2 {
                return Ok(None);
            }
            match v5::Packet::read(buffer, Some(PACKET_BYTES as u32)) {
                Ok(packet) => Ok(Some(from_v5(packet))),
                Err(Error5::InsufficientBytes(_)) => Ok(None),
                Err(_) => Err(()),
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn from_v4(packet: v4::Packet) -> Asked {
    match packet {
        v4::Packet::Connect(c) => Asked::Connect {
            will: c.last_will.map(|w| (w.topic, w.message.to_vec(), w.qos as u8, w.retain)),
            id: c.client_id,
            keep_alive_s: c.keep_alive,
            clean: c.clean_session,
            lasts: !c.clean_session,
        },
        v4::Packet::Publish(p) => {
            Asked::Publish { said: (text(&p.topic), p.payload.to_vec(), p.qos as u8, p.retain), pkid: p.pkid }
        }
        v4::Packet::PubRel(a) => Asked::PubRel(a.pkid),
        v4::Packet::PubRec(a) => Asked::PubRec(a.pkid),
        v4::Packet::Subscribe(s) => Asked::Subscribe {
            pkid: s.pkid,
            wanted: s
                .filters
                .into_iter()
                .map(|f| Wanted { path: f.path, qos: f.qos as u8, no_local: false, hands: Hands::Always })
                .collect(),
        },
        v4::Packet::Unsubscribe(u) => Asked::Unsubscribe { pkid: u.pkid, topics: u.topics },
        v4::Packet::PingReq => Asked::Ping,
        v4::Packet::Disconnect => Asked::Disconnect { with_will: false },
        v4::Packet::PubAck(a) => Asked::Done(a.pkid),
        v4::Packet::PubComp(a) => Asked::Done(a.pkid),
        _ => Asked::Nonsense,
    }
}

fn from_v5(packet: v5::Packet) -> Asked {
    match packet {
        v5::Packet::Connect(c, will, _) => Asked::Connect {
            will: will.map(|w| (text(&w.topic), w.message.to_vec(), w.qos as u8, w.retain)),
            id: c.client_id,
            keep_alive_s: c.keep_alive,
            clean: c.clean_start,
            lasts: c.properties.and_then(|p| p.session_expiry_interval).is_some_and(|s| s > 0),
        },
        v5::Packet::Publish(p) => {
            Asked::Publish { said: (text(&p.topic), p.payload.to_vec(), p.qos as u8, p.retain), pkid: p.pkid }
        }
        v5::Packet::PubRel(a) => Asked::PubRel(a.pkid),
        v5::Packet::PubRec(a) => Asked::PubRec(a.pkid),
        v5::Packet::Subscribe(s) => Asked::Subscribe {
            pkid: s.pkid,
            wanted: s
                .filters
                .into_iter()
                .map(|f| Wanted {
                    path: f.path,
                    qos: f.qos as u8,
                    no_local: f.nolocal,
                    hands: match f.retain_forward_rule {
                        v5::RetainForwardRule::OnEverySubscribe => Hands::Always,
                        v5::RetainForwardRule::OnNewSubscribe => Hands::IfNew,
                        v5::RetainForwardRule::Never => Hands::Never,
                    },
                })
                .collect(),
        },
        v5::Packet::Unsubscribe(u) => Asked::Unsubscribe { pkid: u.pkid, topics: u.filters },
        v5::Packet::PingReq => Asked::Ping,
        v5::Packet::Disconnect(d) => Asked::Disconnect {
            with_will: d.reason_code == v5::DisconnectReasonCode::DisconnectWithWillMessage,
        },
        v5::Packet::PubAck(a) => Asked::Done(a.pkid),
        v5::Packet::PubComp(a) => Asked::Done(a.pkid),
        _ => Asked::Nonsense,
    }
}
