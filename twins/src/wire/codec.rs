//! The few packet writers that sit on the hot path, and framing over rumqttc's codecs for all the rest.

pub(crate) mod versions;

use bytes::{BufMut, BytesMut};
use rumqttc::mqttbytes::{Error, QoS, v4::Packet};

/// Levels a topic filter may have; a deeper one is refused, so that walking the filters never recurses further.
pub(crate) const MAX_FILTER_LEVELS: usize = 128;

/// Longest topic MQTT can carry, [bytes].
pub(crate) const MAX_TOPIC_BYTES: usize = 65_535;

/// Takes the next whole packet from the front of `buffer`, if there is one.
pub(crate) fn next_packet(buffer: &mut BytesMut, max_packet_bytes: usize) -> Result<Option<Packet>, Error> {
    if buffer.len() < 2 {
        return Ok(None);
    }
    match Packet::read(buffer, max_packet_bytes) {
        Ok(packet) => Ok(Some(packet)),
        Err(Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The fields of a PUBLISH that is about to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublishRef<'a> {
    pub topic: &'a [u8],
    pub payload: &'a [u8],
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    /// Packet id; not written at QoS 0.
    pub pkid: u16,
}

/// Appends a PUBLISH. The topic was checked where it came in; rumqttc's own writer would check it again for every
/// subscriber.
pub(crate) fn put_publish(out: &mut BytesMut, publish: PublishRef<'_>) {
    put_publish_with(out, publish, &[]);
}

/// The same with what stands between packet id and payload: the properties of version 5.
pub(crate) fn put_publish_with(out: &mut BytesMut, publish: PublishRef<'_>, properties: &[u8]) {
    let id = if publish.qos > 0 { 2 } else { 0 };
    let body = 2 + publish.topic.len() + id + properties.len() + publish.payload.len();
    out.reserve(5 + body);
    out.put_u8(0x30 | u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain));
    let mut rest = body;
    loop {
        let low = (rest % 128) as u8;
        rest /= 128;
        out.put_u8(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            break;
        }
    }
    out.put_u16(publish.topic.len() as u16);
    out.put_slice(publish.topic);
    if publish.qos > 0 {
        out.put_u16(publish.pkid);
    }
    out.put_slice(properties);
    out.put_slice(publish.payload);
}

/// A quality of service by its number.
pub(crate) fn qos_of(number: u8) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// First byte of the two-byte acknowledgements.
pub(crate) mod ack {
    pub const PUBACK: u8 = 0x40;
    pub const PUBREC: u8 = 0x50;
    pub const PUBREL: u8 = 0x62;
    pub const PUBCOMP: u8 = 0x70;
}

/// Appends one of the acknowledgements of [`ack`].
pub(crate) fn put_ack(out: &mut BytesMut, kind: u8, pkid: u16) {
    out.put_slice(&[kind, 2]);
    out.put_u16(pkid);
}

/// Whether a name may be published to: not empty, no wildcard, no NUL, not longer than MQTT can carry.
pub(crate) fn valid_topic(topic: &str) -> bool {
    !topic.is_empty()
        && topic.len() <= MAX_TOPIC_BYTES
        && !topic.bytes().any(|b| matches!(b, b'+' | b'#' | 0))
}

/// Whether a filter may be subscribed to: wildcards fill a level, `#` comes last, and the depth is bounded.
pub(crate) fn valid_filter(filter: &str) -> bool {
    filter.len() <= MAX_TOPIC_BYTES
        && !filter.contains('\0')
        && filter.split('/').count() <= MAX_FILTER_LEVELS
        && rumqttc::mqttbytes::valid_filter(filter)
        && filter.split('/').all(|level| level.len() == 1 || !level.contains(['+', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_publish_reads_back_at_every_length_of_the_length_field() {
        for payload_bytes in [0, 1, 100, 127, 128, 16_383, 16_384, 2_097_152] {
            for qos in 0..=2 {
                let payload = vec![7; payload_bytes];
                let mut wire = BytesMut::new();
                let sent =
                    PublishRef { topic: b"a/b", payload: &payload, qos, retain: true, dup: qos > 0, pkid: 9 };
                put_publish(&mut wire, sent);
                let Ok(Some(Packet::Publish(read))) = next_packet(&mut wire, 1 << 28) else {
                    panic!("not read back")
                };
                assert_eq!((&read.topic[..], &read.payload[..]), (&b"a/b"[..], &payload[..]));
                assert_eq!((read.qos as u8, read.retain, read.dup), (qos, true, qos > 0));
                assert_eq!(read.pkid, if qos > 0 { 9 } else { 0 });
                assert!(wire.is_empty());
            }
        }
    }

    #[test]
    fn filters_follow_the_standard() {
        for good in ["a", "#", "+", "a/#", "+/+", "/", "a//b", "+/a/#", "$SYS/#"] {
            assert!(valid_filter(good), "{good}");
        }
        for bad in ["", "a#", "a/#/b", "a+", "+a/b", "#/a", "a\0", &"a/".repeat(200)] {
            assert!(!valid_filter(bad), "{bad}");
        }
    }
}
