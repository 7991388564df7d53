//! What a client of MQTT 3.1.1 or 5 reads and writes, in one shape: each version's packets by its own codec of rumqttc.

use super::{Error, PublishRef, put_publish};
use crate::wire::{
    WireError,
    client::{ConnectOptions, Version},
};
use bytes::{BufMut, Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc_v5::mqttbytes::{Error as Error5, QoS as QoS5, v5};

/// A packet that a broker sent.
#[derive(Debug)]
pub(crate) enum Incoming {
    Publish {
        topic: Bytes,
        payload: Bytes,
        qos: u8,
        retain: bool,
        dup: bool,
        pkid: u16,
    },
    /// And whether the message was refused.
    PubAck(u16, bool),
    PubRec(u16, bool),
    PubRel(u16),
    PubComp(u16),
    ConnAck(Welcome),
    /// Of each filter, whether it was granted.
    SubAck(u16, Vec<bool>),
    UnsubAck,
    Pong,
    /// The broker ends the connection and says why.
    Disconnect(String),
    /// Only clients send that.
    Foreign,
}

/// What the broker says to CONNECT.
#[derive(Clone, Debug, Default)]
pub(crate) struct Welcome {
    pub session_present: bool,
    pub refusal: Option<Refusal>,
    /// Longest silence that the broker wants instead of ours, [s].
    pub keep_alive_s: Option<u16>,
    /// Messages of QoS 1 and 2 that it takes at a time.
    pub receive_maximum: Option<u16>,
    /// Largest packet that it takes, [bytes].
    pub max_packet_bytes: Option<u32>,
}

/// Why a broker does not let us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Version,
    ClientId,
    Unavailable,
    Login,
    NotAuthorised,
    Other(String),
}

/// Takes the next whole packet from the front of `buffer`, if there is one.
pub(crate) fn next(
    version: Version,
    buffer: &mut BytesMut,
    max_packet_bytes: usize,
) -> Result<Option<Incoming>, String> {
    match version {
        Version::V4 => match super::next_packet(buffer, max_packet_bytes) {
            Ok(packet) => Ok(packet.map(from_v4)),
            Err(error) => Err(format!("it sent bytes that are no MQTT 3.1.1 ({error})")),
        },
        Version::V5 => {
            if buffer.len() < 2 {
                return Ok(None);
            }
            let max = u32::try_from(max_packet_bytes).unwrap_or(u32::MAX);
            match v5::Packet::read(buffer, Some(max)) {
                Ok(packet) => Ok(Some(from_v5(packet))),
                Err(Error5::InsufficientBytes(_)) => Ok(None),
                Err(error) => Err(format!("it sent bytes that are no MQTT 5 ({error})")),
            }
        }
    }
}

fn from_v4(packet: v4::Packet) -> Incoming {
    use v4::ConnectReturnCode as Code;
    match packet {
        v4::Packet::Publish(p) => Incoming::Publish {
            topic: p.topic,
            payload: p.payload,
            qos: p.qos as u8,
            retain: p.retain,
            dup: p.dup,
            pkid: p.pkid,
        },
        v4::Packet::PubAck(a) => Incoming::PubAck(a.pkid, false),
        v4::Packet::PubRec(a) => Incoming::PubRec(a.pkid, false),
        v4::Packet::PubRel(a) => Incoming::PubRel(a.pkid),
        v4::Packet::PubComp(a) => Incoming::PubComp(a.pkid),
        v4::Packet::ConnAck(a) => Incoming::ConnAck(Welcome {
            session_present: a.session_present,
            refusal: match a.code {
                Code::Success => None,
                Code::RefusedProtocolVersion => Some(Refusal::Version),
                Code::BadClientId => Some(Refusal::ClientId),
                Code::ServiceUnavailable => Some(Refusal::Unavailable),
                Code::BadUserNamePassword => Some(Refusal::Login),
                Code::NotAuthorized => Some(Refusal::NotAuthorised),
            },
            ..Welcome::default()
        }),
        v4::Packet::SubAck(a) => Incoming::SubAck(
            a.pkid,
            a.return_codes.iter().map(|c| matches!(c, v4::SubscribeReasonCode::Success(_))).collect(),
        ),
        v4::Packet::UnsubAck(_) => Incoming::UnsubAck,
        v4::Packet::PingResp => Incoming::Pong,
        _ => Incoming::Foreign,
    }
}

fn from_v5(packet: v5::Packet) -> Incoming {
    use v5::{ConnectReturnCode as Code, PubAckReason, PubRecReason};
    match packet {
        v5::Packet::Publish(p) => Incoming::Publish {
            topic: p.topic,
            payload: p.payload,
            qos: p.qos as u8,
            retain: p.retain,
            dup: p.dup,
            pkid: p.pkid,
        },
        v5::Packet::PubAck(a) => Incoming::PubAck(
            a.pkid,
            !matches!(a.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers),
        ),
        v5::Packet::PubRec(a) => Incoming::PubRec(
            a.pkid,
            !matches!(a.reason, PubRecReason::Success | PubRecReason::NoMatchingSubscribers),
        ),
        v5::Packet::PubRel(a) => Incoming::PubRel(a.pkid),
        v5::Packet::PubComp(a) => Incoming::PubComp(a.pkid),
        v5::Packet::ConnAck(a) => {
            let said = a.properties.as_ref();
            Incoming::ConnAck(Welcome {
                session_present: a.session_present,
                refusal: match a.code {
                    Code::Success => None,
                    Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => Some(Refusal::Version),
                    Code::BadClientId | Code::ClientIdentifierNotValid => Some(Refusal::ClientId),
                    Code::ServiceUnavailable | Code::ServerUnavailable | Code::ServerBusy => {
                        Some(Refusal::Unavailable)
                    }
                    Code::BadUserNamePassword => Some(Refusal::Login),
                    Code::NotAuthorized => Some(Refusal::NotAuthorised),
                    other => Some(Refusal::Other(
                        said.and_then(|p| p.reason_string.clone()).unwrap_or_else(|| format!("{other:?}")),
                    )),
                },
                keep_alive_s: said.and_then(|p| p.server_keep_alive),
                receive_maximum: said.and_then(|p| p.receive_max),
                max_packet_bytes: said.and_then(|p| p.max_packet_size),
            })
        }
        v5::Packet::SubAck(a) => Incoming::SubAck(
            a.pkid,
            a.return_codes.iter().map(|c| matches!(c, v5::SubscribeReasonCode::Success(_))).collect(),
        ),
        v5::Packet::UnsubAck(_) => Incoming::UnsubAck,
        v5::Packet::PingResp => Incoming::Pong,
        v5::Packet::Disconnect(d) => {
            let reason = d.properties.and_then(|p| p.reason_string);
            Incoming::Disconnect(reason.unwrap_or_else(|| format!("{:?}", d.reason_code)))
        }
        _ => Incoming::Foreign,
    }
}

/// Appends CONNECT.
pub(crate) fn put_connect(out: &mut BytesMut, options: &ConnectOptions) -> Result<(), WireError> {
    let bad = |topic: &str, problem| WireError::BadMessage { topic: topic.to_owned(), problem };
    if let Some((topic, ..)) = &options.will
        && !super::valid_topic(topic)
    {
        return Err(bad(topic, "a will needs a topic without wildcards"));
    }
    let written = match options.version {
        Version::V4 => {
            let mut packet = v4::Connect::new(options.client_id.clone());
            packet.keep_alive = options.keep_alive_s;
            packet.clean_session = options.clean_session;
            if let Some((user, password)) = &options.url.login {
                packet.set_credentials(user.clone(), password.clone());
            }
            if let Some((topic, payload, qos, retain)) = &options.will {
                let will = v4::LastWill::new(topic.clone(), payload.clone(), super::qos_of(*qos), *retain);
                packet.last_will = Some(will);
            }
            v4::Packet::Connect(packet).write(out, usize::MAX).map(drop).map_err(|e| e.to_string())
        }
        Version::V5 => {
            let mut said = v5::ConnectProperties::new();
            // A session that is to be kept has to outlive the connection by a time of its own in this version.
            said.session_expiry_interval = (!options.clean_session).then_some(options.session_expiry_s);
            said.receive_maximum = Some(options.receive_maximum.max(1));
            said.max_packet_size = u32::try_from(options.max_packet_bytes).ok();
            let packet = v5::Connect {
                keep_alive: options.keep_alive_s,
                client_id: options.client_id.clone(),
                clean_start: options.clean_session,
                properties: Some(said),
            };
            let will = options.will.as_ref().map(|(topic, payload, qos, retain)| {
                v5::LastWill::new(topic.clone(), payload.clone(), qos5(*qos), *retain, None)
            });
            let auth = match &options.url.login {
                None => v5::ConnectAuth::None,
                Some((username, password)) if password.is_empty() => {
                    v5::ConnectAuth::Username { username: username.clone() }
                }
                Some((username, password)) => v5::ConnectAuth::UsernamePassword {
                    username: username.clone(),
                    password: Bytes::from(password.clone().into_bytes()),
                },
            };
            v5::Packet::Connect(packet, will, auth).write(out, None).map(drop).map_err(|e| e.to_string())
        }
    };
    written.map_err(|_| bad("CONNECT", "client id, login or will is longer than MQTT carries"))
}

/// Appends SUBSCRIBE.
pub(crate) fn put_subscribe(
    version: Version,
    out: &mut BytesMut,
    pkid: u16,
    filters: &[(&str, u8)],
) -> Result<(), String> {
    match version {
        Version::V4 => {
            let wanted = filters
                .iter()
                .map(|(path, qos)| v4::SubscribeFilter::new((*path).to_owned(), super::qos_of(*qos)));
            let mut packet = v4::Subscribe::new_many(wanted);
            packet.pkid = pkid;
            v4::Packet::Subscribe(packet).write(out, usize::MAX).map(drop).map_err(|e: Error| e.to_string())
        }
        Version::V5 => {
            let wanted = filters.iter().map(|(path, qos)| v5::SubscribeFilter::new(*path, qos5(*qos)));
            let mut packet = v5::Subscribe::new_many(wanted, None);
            packet.pkid = pkid;
            v5::Packet::Subscribe(packet).write(out, None).map(drop).map_err(|e| e.to_string())
        }
    }
}

/// Appends a PUBLISH; in version 5 without properties.
pub(crate) fn put_message(version: Version, out: &mut BytesMut, publish: PublishRef<'_>) {
    match version {
        Version::V4 => put_publish(out, publish),
        Version::V5 => super::put_publish_with(out, publish, &[0]),
    }
}

/// Appends DISCONNECT.
pub(crate) fn put_disconnect(out: &mut BytesMut) {
    out.put_slice(&[0xe0, 0]);
}

fn qos5(number: u8) -> QoS5 {
    match number {
        0 => QoS5::AtMostOnce,
        1 => QoS5::AtLeastOnce,
        _ => QoS5::ExactlyOnce,
    }
}
