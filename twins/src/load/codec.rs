//! MQTT 3.1.1 and 5 as the load generator speaks them: packets are written into one buffer and read in place, without an
//! allocation a message. rumqttc's codec, which the rest of the wire uses, owns each topic and payload that it reads.

use twinfleet_engine::scenario::load::Protocol;

/// First bytes of the packets that are written and read here.
pub mod kind {
    /// The broker's welcome.
    pub const CONNACK: u8 = 0x20;
    /// Acknowledgement of QoS 1.
    pub const PUBACK: u8 = 0x40;
    /// First answer to QoS 2.
    pub const PUBREC: u8 = 0x50;
    /// Second question of QoS 2.
    pub const PUBREL: u8 = 0x62;
    /// Second answer to QoS 2.
    pub const PUBCOMP: u8 = 0x70;
    /// Answer to a subscription.
    pub const SUBACK: u8 = 0x90;
    /// Answer to a ping.
    pub const PINGRESP: u8 = 0xd0;
    /// Good-bye.
    pub const DISCONNECT: u8 = 0xe0;
}

/// What a broker asks of its clients in its welcome (MQTT 5); None: nothing of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// Messages that it takes before it acknowledges one.
    pub receive_maximum: Option<u16>,
    /// Longest silence that it bears, in place of what it was told, [s]; 0: any.
    pub keep_alive_s: Option<u16>,
    /// How long it keeps the session, in place of what it was asked for, [s].
    pub session_expiry_s: Option<u32>,
    /// The highest quality of service that it takes.
    pub maximum_qos: Option<u8>,
}

/// A packet that came in, borrowed from the buffer it was read into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The broker's answer to CONNECT.
    ConnAck {
        /// Whether it knew the session.
        session_present: bool,
        /// 0: welcome.
        code: u8,
        /// What it asks of its clients.
        asks: Asks,
    },
    /// A message.
    Publish {
        /// Its topic.
        topic: &'a [u8],
        /// Its payload.
        payload: &'a [u8],
        /// Its quality of service.
        qos: u8,
        /// Whether the broker had kept it.
        retain: bool,
        /// Packet id, 0 at QoS 0.
        pkid: u16,
    },
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Ack {
        /// Which.
        kind: u8,
        /// Packet id.
        pkid: u16,
        /// Reason (MQTT 5); 0x80 and above is a refusal.
        reason: u8,
    },
    /// Answer to a subscription.
    SubAck {
        /// A reason a filter; 0x80 and above is a refusal.
        codes: &'a [u8],
    },
    /// Answer to a ping.
    PingResp,
    /// The broker ends the connection (MQTT 5).
    Disconnect {
        /// Why.
        reason: u8,
    },
}

/// Bytes that are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker sent bytes that are no MQTT packet ({0})")]
pub struct Malformed(&'static str);

/// The first packet of a buffer and its length; None: it is not whole yet.
pub fn next(buffer: &[u8], protocol: Protocol) -> Result<Option<(Frame<'_>, usize)>, Malformed> {
    let Some((length, head)) = remaining_length(&buffer[buffer.len().min(1)..])? else { return Ok(None) };
    let begin = 1 + head;
    let Some(body) = buffer.get(begin..begin + length) else { return Ok(None) };
    Ok(Some((frame(buffer[0], body, protocol)?, begin + length)))
}

fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for i in 0..4 {
        let Some(byte) = bytes.get(i) else { return Ok(None) };
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((length, i + 1)));
        }
    }
    Err(Malformed("its length has more than four bytes"))
}

fn frame(first: u8, body: &[u8], protocol: Protocol) -> Result<Frame<'_>, Malformed> {
    let short = Malformed("it ends too early");
    let v5 = protocol == Protocol::V5;
    match first & 0xf0 {
        0x30 => publish(first, body, v5),
        0x40 | 0x50 | 0x60 | 0x70 => {
            let pkid = number(body, 0).ok_or(short)?;
            Ok(Frame::Ack { kind: first, pkid, reason: body.get(2).copied().unwrap_or(0) })
        }
        kind::CONNACK => {
            let (Some(flags), Some(code)) = (body.first(), body.get(1)) else { return Err(short) };
            // A broker of MQTT 3.1.1 alone refuses in its own words, without properties.
            let older = *code != 0 && body.len() == 2;
            let asks = if v5 && !older { asks(&body[2..])? } else { Asks::default() };
            Ok(Frame::ConnAck { session_present: flags & 1 == 1, code: *code, asks })
        }
        kind::SUBACK => {
            let mut at = 2;
            if v5 {
                let (length, head) = remaining_length(body.get(2..).ok_or(short)?)?.ok_or(short)?;
                at += length + head;
            }
            Ok(Frame::SubAck { codes: body.get(at..).ok_or(short)? })
        }
        kind::PINGRESP => Ok(Frame::PingResp),
        kind::DISCONNECT => Ok(Frame::Disconnect { reason: body.first().copied().unwrap_or(0) }),
        _ => Err(Malformed("brokers send no packet of this kind")),
    }
}

fn publish(first: u8, body: &[u8], v5: bool) -> Result<Frame<'_>, Malformed> {
    let short = Malformed("it ends too early");
    let qos = first >> 1 & 3;
    if qos == 3 {
        return Err(Malformed("there is no QoS 3"));
    }
    let topic_bytes = usize::from(number(body, 0).ok_or(short)?);
    let topic = body.get(2..2 + topic_bytes).ok_or(short)?;
    let mut at = 2 + topic_bytes;
    let mut pkid = 0;
    if qos > 0 {
        pkid = number(body, at).ok_or(short)?;
        at += 2;
    }
    if v5 {
        let (length, head) = remaining_length(body.get(at..).ok_or(short)?)?.ok_or(short)?;
        at += length + head;
    }
    let payload = body.get(at..).ok_or(short)?;
    Ok(Frame::Publish { topic, payload, qos, retain: first & 1 == 1, pkid })
}

fn number(body: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*body.get(at)?, *body.get(at + 1)?]))
}

/// The properties of CONNACK that a client has to obey (MQTT 5.0 §3.2.2.3.2 to §3.2.2.3.4 and §3.2.2.3.14). The others are skipped by
/// their lengths.
fn asks(properties: &[u8]) -> Result<Asks, Malformed> {
    let short = Malformed("its properties end too early");
    let (length, head) = remaining_length(properties)?.ok_or(short)?;
    let mut rest = properties.get(head..head + length).ok_or(short)?;
    let mut found = Asks::default();
    while let Some(id) = rest.first() {
        let text = |rest: &[u8]| number(rest, 1).map(|n| 3 + usize::from(n));
        let skip = match id {
            0x21 => {
                found.receive_maximum = number(rest, 1);
                3
            }
            0x13 => {
                found.keep_alive_s = number(rest, 1);
                3
            }
            0x22 => 3,
            0x11 => {
                let word: [u8; 4] = rest.get(1..5).and_then(|b| b.try_into().ok()).ok_or(short)?;
                found.session_expiry_s = Some(u32::from_be_bytes(word));
                5
            }
            0x27 => 5,
            0x24 => {
                found.maximum_qos = rest.get(1).copied();
                2
            }
            0x25 | 0x28 | 0x29 | 0x2a => 2,
            0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => text(rest).ok_or(short)?,
            0x26 => {
                let key = text(rest).ok_or(short)?;
                key + 2 + usize::from(number(rest, key).ok_or(short)?)
            }
            _ => return Err(Malformed("it has an unknown property")),
        };
        rest = rest.get(skip..).ok_or(short)?;
    }
    Ok(found)
}

fn put_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            return;
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

/// What a CONNECT says.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    /// Version.
    pub protocol: Protocol,
    /// Client id.
    pub client_id: &'a str,
    /// Whether the broker forgets what it knew of the client id before.
    pub clean: bool,
    /// Whether the broker keeps the session.
    pub persistent: bool,
    /// How long an MQTT 5 broker is to keep it, [s]. None: longer than any fault of a run.
    pub session_expiry_s: Option<u32>,
    /// Longest silence, [s].
    pub keep_alive_s: u16,
    /// User name and password.
    pub login: Option<(&'a str, &'a str)>,
    /// Topic and payload of a will of QoS 1.
    pub will: Option<(&'a str, &'a [u8])>,
}

/// Seconds that an MQTT 5 broker is asked to keep a session where the scenario does not say: longer than any fault of a run.
const SESSION_EXPIRY_S: u32 = 3_600;

/// Appends a CONNECT.
pub fn put_connect(out: &mut Vec<u8>, hello: Hello<'_>) {
    let v5 = hello.protocol == Protocol::V5;
    let mut body = Vec::with_capacity(64 + hello.client_id.len());
    put_text(&mut body, b"MQTT");
    body.push(if v5 { 5 } else { 4 });
    let mut flags = 0;
    // In MQTT 3.1.1 a clean session is also one that is not kept; MQTT 5's "clean start" is only about what was before, and the
    // expiry says what is kept.
    flags |= u8::from(hello.clean || !v5 && !hello.persistent) << 1;
    flags |= if hello.will.is_some() { 0x04 | 1 << 3 } else { 0 };
    flags |= hello.login.map_or(0, |(_, password)| 0x80 | u8::from(!password.is_empty()) << 6);
    body.push(flags);
    body.extend_from_slice(&hello.keep_alive_s.to_be_bytes());
    if v5 {
        if hello.persistent {
            body.extend_from_slice(&[5, 0x11]);
            body.extend_from_slice(&hello.session_expiry_s.unwrap_or(SESSION_EXPIRY_S).to_be_bytes());
        } else {
            body.push(0);
        }
    }
    put_text(&mut body, hello.client_id.as_bytes());
    if let Some((topic, payload)) = hello.will {
        if v5 {
            body.push(0);
        }
        put_text(&mut body, topic.as_bytes());
        put_text(&mut body, payload);
    }
    if let Some((user, password)) = hello.login {
        put_text(&mut body, user.as_bytes());
        if !password.is_empty() {
            put_text(&mut body, password.as_bytes());
        }
    }
    out.push(0x10);
    put_length(out, body.len());
    out.extend_from_slice(&body);
}

/// Why a broker does not let a client in, by the code of its CONNACK: MQTT 3.1.1 §3.2.2.3 and MQTT 5 §3.2.2.2.
pub fn refusal(code: u8) -> &'static str {
    match code {
        0x01 | 0x84 => "the broker refused the login: it does not speak this version of MQTT",
        0x02 | 0x85 => "the broker refused the login: it does not accept the client id",
        0x03 | 0x88 => "the broker refused the login: the service is unavailable",
        0x04 | 0x86 => "the broker refused the login: wrong user name or password",
        0x05 | 0x87 => "the broker refused the login: not authorised",
        0x89 => "the broker refused the login: it is busy",
        0x8a => "the broker refused the login: the client is banned",
        0x97 | 0x9f => "the broker refused the login: a quota is used up",
        _ => "the broker refused the login",
    }
}

/// Why a broker does not take a message, by the reason of its PUBACK or PUBREC: MQTT 5 §3.4.2.1 and §3.5.2.1.
pub fn rejection(code: u8) -> &'static str {
    match code {
        0x87 => "the broker rejected a message: not authorised",
        0x90 => "the broker rejected a message: it does not accept the topic",
        0x91 => "the broker rejected a message: its packet id is in use",
        0x97 => "the broker rejected a message: a quota is used up",
        0x99 => "the broker rejected a message: its payload is not what it says",
        _ => "the broker rejected a message, and does not say why",
    }
}

/// Whether the refusal with this code may pass: the broker is away or busy, or counts connections.
pub fn passes(code: u8) -> bool {
    matches!(code, 0x03 | 0x88 | 0x89 | 0x97 | 0x9f)
}

/// Appends a SUBSCRIBE to one filter.
pub fn put_subscribe(out: &mut Vec<u8>, protocol: Protocol, pkid: u16, filter: &str, qos: u8) {
    let properties = usize::from(protocol == Protocol::V5);
    out.push(0x82);
    put_length(out, 2 + properties + 2 + filter.len() + 1);
    out.extend_from_slice(&pkid.to_be_bytes());
    if properties == 1 {
        out.push(0);
    }
    put_text(out, filter.as_bytes());
    out.push(qos);
}

/// The head of a PUBLISH.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Topic, known to be valid.
    pub topic: &'a [u8],
    /// Quality of service.
    pub qos: u8,
    /// Whether the broker shall keep it.
    pub retain: bool,
    /// Whether it may have been sent before.
    pub dup: bool,
    /// Packet id.
    pub pkid: u16,
}

/// Appends a PUBLISH up to its payload, of which the caller appends so many bytes.
pub fn put_publish(out: &mut Vec<u8>, protocol: Protocol, message: Outgoing<'_>, payload_bytes: usize) {
    let properties = usize::from(protocol == Protocol::V5);
    let body = 2 + message.topic.len() + if message.qos > 0 { 2 } else { 0 } + properties + payload_bytes;
    out.push(0x30 | u8::from(message.dup) << 3 | message.qos << 1 | u8::from(message.retain));
    put_length(out, body);
    put_text(out, message.topic);
    if message.qos > 0 {
        out.extend_from_slice(&message.pkid.to_be_bytes());
    }
    if properties == 1 {
        out.push(0);
    }
}

/// Appends PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn put_ack(out: &mut Vec<u8>, kind: u8, pkid: u16) {
    let [high, low] = pkid.to_be_bytes();
    out.extend_from_slice(&[kind, 2, high, low]);
}

/// A PINGREQ.
pub const PING: [u8; 2] = [0xc0, 0];
/// A DISCONNECT.
pub const GOOD_BYE: [u8; 2] = [0xe0, 0];
/// A DISCONNECT of MQTT 5 with which the session ends as well: it expires after 0 s (§3.14.2.2.2).
pub const FAREWELL: [u8; 9] = [0xe0, 7, 0x00, 5, 0x11, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Protocol; 2] = [Protocol::V311, Protocol::V5];

    #[test]
    fn what_is_written_is_read_back_once_it_is_whole() {
        for protocol in BOTH {
            for (qos, bytes) in [(0, 0), (1, 40), (2, 200), (1, 20_000)] {
                let mut wire = Vec::new();
                let message = Outgoing {
                    topic: b"a/b",
                    qos,
                    retain: true,
                    dup: false,
                    pkid: if qos > 0 { 9 } else { 0 },
                };
                put_publish(&mut wire, protocol, message, bytes);
                wire.extend(vec![7; bytes]);
                for cut in [0, 1, 3, wire.len() - 1] {
                    assert_eq!(next(&wire[..cut], protocol), Ok(None));
                }
                let payload = vec![7; bytes];
                let pkid = message.pkid;
                let whole = Frame::Publish { topic: b"a/b", payload: &payload, qos, retain: true, pkid };
                assert_eq!(next(&wire, protocol), Ok(Some((whole, wire.len()))));
            }
        }
    }

    #[test]
    fn the_codec_of_others_reads_what_is_written() {
        use rumqttc::mqttbytes::v4::Packet;
        let mut wire = Vec::new();
        let hello = Hello {
            protocol: Protocol::V311,
            client_id: "c",
            clean: false,
            persistent: true,
            session_expiry_s: None,
            keep_alive_s: 30,
            login: Some(("u", "p")),
            will: Some(("gone/c", b"x")),
        };
        put_connect(&mut wire, hello);
        put_subscribe(&mut wire, Protocol::V311, 5, "a/#", 1);
        put_ack(&mut wire, kind::PUBREL, 6);
        let mut bytes = bytes::BytesMut::from(&wire[..]);
        let Ok(Packet::Connect(connect)) = Packet::read(&mut bytes, 1 << 20) else { panic!("no CONNECT") };
        assert_eq!((connect.client_id.as_str(), connect.keep_alive, connect.clean_session), ("c", 30, false));
        assert!(connect.last_will.is_some_and(|w| w.topic == "gone/c" && w.qos as u8 == 1));
        let Ok(Packet::Subscribe(subscribe)) = Packet::read(&mut bytes, 1 << 20) else {
            panic!("no SUBSCRIBE")
        };
        assert_eq!((subscribe.pkid, subscribe.filters[0].path.as_str()), (5, "a/#"));
        assert!(matches!(Packet::read(&mut bytes, 1 << 20), Ok(Packet::PubRel(rel)) if rel.pkid == 6));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_brokers_answers_are_read() {
        let v5 = [0x20, 9, 1, 0, 6, 0x21, 0, 10, 0x24, 1, 0x25];
        // The last property lacks its value.
        assert!(next(&v5, Protocol::V5).is_err());
        let v5 = [0x20, 16, 1, 0, 13, 0x21, 0, 10, 0x24, 1, 0x13, 1, 4, 0x11, 0, 0, 1, 2];
        let asks = Asks {
            receive_maximum: Some(10),
            keep_alive_s: Some(260),
            session_expiry_s: Some(258),
            maximum_qos: Some(1),
        };
        let welcome = Frame::ConnAck { session_present: true, code: 0, asks };
        assert_eq!(next(&v5, Protocol::V5), Ok(Some((welcome, 18))));
        // A broker that does not speak MQTT 5 refuses as one of MQTT 3.1.1; it welcomes nobody so.
        let older = next(&[0x20, 2, 0, 1], Protocol::V5);
        assert!(matches!(older, Ok(Some((Frame::ConnAck { code: 1, .. }, 4)))), "{older:?}");
        assert!(next(&[0x20, 2, 0, 0], Protocol::V5).is_err());
        let refused = next(&[0x90, 3, 0, 1, 0x80], Protocol::V311);
        assert_eq!(refused, Ok(Some((Frame::SubAck { codes: &[0x80] }, 5))));
        assert!(next(&[0x10, 0], Protocol::V311).is_err());
        assert!(next(&[0x30, 0xff, 0xff, 0xff, 0xff, 1], Protocol::V311).is_err());
    }
}
