//! The stamp that travels in each payload: who sent it, which of its messages it is, when it was meant to leave and when it
//! did. It fills the end of a payload; in a JSON object it is a last field, so that the object stays one.

use std::iter;

/// Bytes of a stamp.
pub const STAMP_BYTES: usize = 36;
/// Bytes of the check before the stamp of a payload that is a device's own.
const CHECK_BYTES: usize = 8;
/// Both.
const SEAL_BYTES: usize = CHECK_BYTES + STAMP_BYTES;

const MAGIC: [u8; 4] = *b"TwF1";
/// What comes before and behind the stamp in a JSON object.
const FIELD: &[u8] = b",\"_load\":\"";
const END: &[u8] = b"\"}";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// One of a device's messages.
    Message = 0,
    /// A device's last will.
    Will = 1,
}

/// What a payload says of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The run, so that what an earlier one left on the broker is told apart.
    pub run: u32,
    /// What it is.
    pub kind: Kind,
    /// Quality of service that it was sent at.
    pub qos: u8,
    /// Whether the broker was to keep it.
    pub retain: bool,
    /// Which of the device's topics it was sent to.
    pub way: u16,
    /// Ordinal of the device.
    pub device: u32,
    /// Number of the message on its way, from 0.
    pub seq: u32,
    /// When it was meant to leave, [ns] since the start of the run.
    pub intended_ns: i64,
    /// When it left, [ns] since the start of the run.
    pub sent_ns: i64,
}

impl Stamp {
    fn bytes(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        let what = u32::from_le_bytes([self.kind as u8, self.flags(), 0, 0]) | u32::from(self.way) << 16;
        for (i, n) in [self.run, what, self.device, self.seq].into_iter().enumerate() {
            bytes[4 + 4 * i..8 + 4 * i].copy_from_slice(&n.to_le_bytes());
        }
        bytes[20..28].copy_from_slice(&self.intended_ns.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.sent_ns.to_le_bytes());
        bytes
    }

    fn flags(&self) -> u8 {
        self.qos | u8::from(self.retain) << 2
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; STAMP_BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| i64::from(word(at)) | i64::from(word(at + 4)) << 32;
        if bytes[0..4] != MAGIC {
            return None;
        }
        let kind = match bytes[8] {
            0 => Kind::Message,
            1 => Kind::Will,
            _ => return None,
        };
        if bytes[9] & 3 == 3 || bytes[9] > 7 {
            return None;
        }
        Some(Self {
            run: word(4),
            kind,
            qos: bytes[9] & 3,
            retain: bytes[9] & 4 != 0,
            way: u16::from_le_bytes([bytes[10], bytes[11]]),
            device: word(12),
            seq: word(16),
            intended_ns: long(20),
            sent_ns: long(28),
        })
    }

    /// Appends a payload of so many bytes: filler, which the stamp tells, and the stamp.
    pub fn put(&self, out: &mut Vec<u8>, payload_bytes: usize) {
        let filler = payload_bytes.saturating_sub(STAMP_BYTES);
        out.resize(out.len() + filler, self.seq as u8);
        out.extend_from_slice(&self.bytes());
    }

    /// Bytes of a payload with the stamp in it.
    pub fn length_with(payload: &[u8]) -> usize {
        match json_end(payload) {
            Some(_) => payload.len() - 1 + FIELD.len() + 2 * SEAL_BYTES + END.len(),
            None => payload.len() + SEAL_BYTES,
        }
    }

    /// Appends a payload of the device's own, sent to this topic, with the stamp in it.
    pub fn put_into(&self, out: &mut Vec<u8>, topic: &[u8], payload: &[u8]) {
        let end = json_end(payload).unwrap_or(payload.len());
        let check = self.check(topic, &payload[..end]).to_le_bytes();
        out.extend_from_slice(&payload[..end]);
        if end == payload.len() {
            out.extend_from_slice(&check);
            return out.extend_from_slice(&self.bytes());
        }
        out.extend_from_slice(FIELD);
        let digit = |d: u8| char::from_digit(u32::from(d), 16).map_or(b'0', |c| c as u8);
        out.extend(check.iter().chain(&self.bytes()).flat_map(|b| [digit(b >> 4), digit(b & 15)]));
        out.extend_from_slice(END);
    }

    /// Tells a device's own payload, its topic and all that the stamp says from any other: FNV-1a.
    fn check(&self, topic: &[u8], own: &[u8]) -> u64 {
        let stamp = self.bytes();
        let all = topic.iter().chain(iter::once(&0)).chain(own).chain(&stamp);
        all.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Whether topic and payload are what a device of its own topics and payloads sent.
    pub fn is_own(&self, topic: &[u8], payload: &[u8]) -> bool {
        let sealed = |own: &[u8], check: &[u8]| check == self.check(topic, own).to_le_bytes();
        let plain = || {
            let at = payload.len().checked_sub(SEAL_BYTES)?;
            Some(sealed(&payload[..at], &payload[at..at + CHECK_BYTES]))
        };
        let json = || {
            let rest = payload.strip_suffix(END)?;
            let (own, hex) = rest.split_at_checked(rest.len().checked_sub(2 * SEAL_BYTES)?)?;
            Some(sealed(own.strip_suffix(FIELD)?, &unhex::<CHECK_BYTES>(&hex[..2 * CHECK_BYTES])?))
        };
        json().or_else(plain).unwrap_or(false)
    }

    /// A device's own payload as it was before the stamp came into it; any other as it is.
    pub fn take_out(topic: &[u8], payload: &[u8]) -> Vec<u8> {
        let own = || {
            Self::read(payload).filter(|stamp| stamp.is_own(topic, payload))?;
            let Some(rest) = payload.strip_suffix(END) else {
                return Some(payload.get(..payload.len().checked_sub(SEAL_BYTES)?)?.to_vec());
            };
            let own = rest.get(..rest.len().checked_sub(2 * SEAL_BYTES)?)?.strip_suffix(FIELD)?;
            Some([own, &b"}"[..]].concat())
        };
        own().unwrap_or_else(|| payload.to_vec())
    }

    /// Reads the stamp of a payload. None: it has none, or its filler is not what the stamp tells.
    pub fn read(payload: &[u8]) -> Option<Self> {
        if let Some(rest) = payload.strip_suffix(END) {
            let hex = rest.get(rest.len().checked_sub(2 * STAMP_BYTES)?..)?;
            return Self::from_bytes(&unhex::<STAMP_BYTES>(hex)?);
        }
        Self::from_bytes(payload.get(payload.len().checked_sub(STAMP_BYTES)?..)?)
    }

    /// Whether the filler is what the sender wrote.
    pub fn is_intact(&self, payload: &[u8]) -> bool {
        let filler = &payload[..payload.len() - STAMP_BYTES];
        filler.iter().all(|b| *b == self.seq as u8)
    }
}

/// So many bytes from twice as many hexadecimal digits.
fn unhex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let digit = |c: u8| char::from(c).to_digit(16);
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}

/// Where the closing brace of a JSON object with at least one field is.
fn json_end(payload: &[u8]) -> Option<usize> {
    (payload.len() > 2 && payload[0] == b'{' && payload.last() == Some(&b'}')).then(|| payload.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp {
        run: 1,
        kind: Kind::Will,
        qos: 2,
        retain: true,
        way: 515,
        device: 70_000,
        seq: 300,
        intended_ns: 1 << 40,
        sent_ns: -5,
    };

    #[test]
    fn a_stamp_reads_back_and_tells_its_filler() {
        for bytes in [STAMP_BYTES, 64, 1000] {
            let mut payload = Vec::new();
            STAMP.put(&mut payload, bytes);
            assert_eq!((payload.len(), Stamp::read(&payload)), (bytes, Some(STAMP)));
            assert!(STAMP.is_intact(&payload));
            payload[0] ^= 1;
            assert!(!STAMP.is_intact(&payload) || Stamp::read(&payload).is_none());
        }
        assert_eq!(Stamp::read(b"hello"), None);
    }

    #[test]
    fn a_json_object_stays_one() {
        for own in [&br#"{"ts":1,"x":[2]}"#[..], b"on", b"{}"] {
            let mut payload = Vec::new();
            STAMP.put_into(&mut payload, b"a/b", own);
            assert_eq!((payload.len(), Stamp::read(&payload)), (Stamp::length_with(own), Some(STAMP)));
            assert!(STAMP.is_own(b"a/b", &payload) && !STAMP.is_own(b"a/c", &payload));
            assert_eq!((&*Stamp::take_out(b"a/b", &payload), &*Stamp::take_out(b"a/c", own)), (own, own));
            // Another byte of it, wherever, is another payload; of hexadecimal digits, large ones are as good as small ones.
            for at in 0..payload.len() {
                let mut other = payload.clone();
                other[at] ^= 1;
                assert!(!Stamp::read(&other).is_some_and(|s| s.is_own(b"a/b", &other)), "{at}");
            }
            if own.len() > 2 {
                let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                assert_eq!(value["x"][0], 2);
            }
        }
    }
}
