//! Messages larger than we take: told by their head, so that they can be acknowledged and thrown away unread.

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Oversized {
    /// Nothing that is too large.
    No,
    /// A message that is too large; where its id stands is still to come.
    HeadToCome,
    /// One of so many bytes in all.
    Publish { length: usize, qos: u8, pkid: u16 },
}

pub(super) fn oversized(input: &[u8], most: usize) -> Oversized {
    let Some(first) = input.first().filter(|b| *b >> 4 == 3) else { return Oversized::No };
    let (mut length, mut head) = (0_usize, 1);
    loop {
        let Some(byte) = input.get(head).filter(|_| head < 5) else { return Oversized::No };
        length |= usize::from(byte & 0x7f) << (7 * (head - 1));
        head += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    if length <= most {
        return Oversized::No;
    }
    let qos = first >> 1 & 3;
    let word = |at: usize| Some(u16::from_be_bytes([*input.get(at)?, *input.get(at + 1)?]));
    let pkid = match qos {
        0 => Some(0),
        _ => word(head).and_then(|topic| word(head + 2 + usize::from(topic))),
    };
    pkid.map_or(Oversized::HeadToCome, |pkid| Oversized::Publish { length: head + length, qos, pkid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_size_and_id() {
        let head = |qos: u8| vec![0x30 | qos << 1, 0xc8, 0x01, 0, 3, b'a', b'/', b'b', 0, 9];
        assert_eq!(oversized(&head(1), 200), Oversized::No);
        assert_eq!(oversized(&head(1), 199), Oversized::Publish { length: 203, qos: 1, pkid: 9 });
        assert_eq!(oversized(&head(0)[..3], 199), Oversized::Publish { length: 203, qos: 0, pkid: 0 });
        assert_eq!(oversized(&head(2)[..9], 199), Oversized::HeadToCome);
        assert_eq!(oversized(&[0x30, 0xff], 10), Oversized::No);
        assert_eq!(oversized(&[0x40, 0xff, 0xff, 0xff, 0x7f], 10), Oversized::No);
    }
}
