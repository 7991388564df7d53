//! From a file's bytes to text in UTF-8: gzip unpacked, UTF-16 told by its mark, and Windows-1252 for lines that are no UTF-8.

use flate2::read::MultiGzDecoder;
use std::io::{self, BufReader, Cursor, Read};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const UTF_8: [u8; 3] = [0xef, 0xbb, 0xbf];
const UTF_16_BIG: [u8; 2] = [0xfe, 0xff];
const UTF_16_LITTLE: [u8; 2] = [0xff, 0xfe];
/// Bytes that a reader holds.
const CHUNK: usize = 1 << 16;

/// The same bytes unpacked and, where a mark at their beginning says what they are, in UTF-8 without that mark.
pub(super) fn unpacked(from: Box<dyn Read>) -> io::Result<BufReader<Box<dyn Read>>> {
    let (mut head, mut from) = peek(from)?;
    if head.starts_with(&GZIP) {
        (head, from) = peek(Box::new(MultiGzDecoder::new(from)))?;
    }
    let big = head.starts_with(&UTF_16_BIG);
    let text: Box<dyn Read> = if big || head.starts_with(&UTF_16_LITTLE) {
        Box::new(Utf16::new(skipping(from, UTF_16_BIG.len())?, big))
    } else if head.starts_with(&UTF_8) {
        skipping(from, UTF_8.len())?
    } else {
        from
    };
    Ok(BufReader::with_capacity(CHUNK, text))
}

/// The first bytes, and a reader that still begins with them: in one piece, so that whoever looks ahead sees lines.
fn peek(mut from: Box<dyn Read>) -> io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut head = Vec::new();
    from.by_ref().take(CHUNK as u64).read_to_end(&mut head)?;
    let mark = head[..head.len().min(UTF_8.len())].to_vec();
    Ok((mark, Box::new(Cursor::new(head).chain(from))))
}

fn skipping(mut from: Box<dyn Read>, bytes: usize) -> io::Result<Box<dyn Read>> {
    io::copy(&mut from.by_ref().take(bytes as u64), &mut io::sink())?;
    Ok(from)
}

/// UTF-16 as UTF-8. Halves of a character that stand alone become U+FFFD.
struct Utf16 {
    from: BufReader<Box<dyn Read>>,
    big: bool,
    /// The unit after a first half that was no second one.
    again: Option<u16>,
    /// A character's bytes that were not yet taken.
    left: [u8; 4],
    waiting: usize,
}

impl Utf16 {
    fn new(from: Box<dyn Read>, big: bool) -> Self {
        Self { from: BufReader::with_capacity(CHUNK, from), big, again: None, left: [0; 4], waiting: 0 }
    }

    fn unit(&mut self) -> io::Result<Option<u16>> {
        if let Some(unit) = self.again.take() {
            return Ok(Some(unit));
        }
        let mut pair = [0; 2];
        match self.from.read_exact(&mut pair) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        }
        Ok(Some(if self.big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }))
    }

    fn character(&mut self) -> io::Result<Option<char>> {
        let Some(first) = self.unit()? else { return Ok(None) };
        let second = if (0xd800..0xdc00).contains(&first) { self.unit()? } else { None };
        let units = [first, second.unwrap_or(0)];
        let found = char::decode_utf16(units.into_iter().take(1 + usize::from(second.is_some()))).next();
        if matches!(found, Some(Err(_))) {
            self.again = second;
        }
        Ok(found.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)))
    }
}

impl Read for Utf16 {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < into.len() {
            if self.waiting == 0 {
                let Some(c) = self.character()? else { break };
                let mut bytes = [0; 4];
                self.waiting = c.encode_utf8(&mut bytes).len();
                self.left = bytes;
                self.left[..self.waiting].reverse();
            }
            self.waiting -= 1;
            into[n] = self.left[self.waiting];
            n += 1;
        }
        Ok(n)
    }
}

/// What Windows-1252 has at 0x80 to 0x9f, where ISO 8859-1 has control characters; the five that neither defines stay those.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// A line as Windows-1252 (and ISO 8859-1, which has the same letters) reads it.
pub(super) fn windows_1252(bytes: &[u8]) -> String {
    let character = |b: &u8| match b {
        0x80..0xa0 => WINDOWS[usize::from(*b) - 0x80],
        b => char::from(*b),
    };
    bytes.iter().map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn read(bytes: Vec<u8>) -> io::Result<String> {
        let mut text = String::new();
        unpacked(Box::new(Cursor::new(bytes)))?.read_to_string(&mut text)?;
        Ok(text)
    }

    fn utf_16(text: &str, big: bool) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), Compression::fast());
        to.write_all(bytes).and_then(|()| to.finish()).unwrap_or_default()
    }

    proptest! {
        #[test]
        fn one_text_in_every_writing(text in "[ -~\\n°é€𝄞]{0,200}") {
            let marked = [&UTF_8[..], text.as_bytes()].concat();
            let all = [text.clone().into_bytes(), marked, utf_16(&text, true), utf_16(&text, false)];
            for bytes in all {
                prop_assert_eq!(&read(packed(&bytes)).unwrap(), &text);
                prop_assert_eq!(&read(bytes).unwrap(), &text);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for head in [&[][..], &GZIP, &UTF_16_BIG, &UTF_16_LITTLE] {
                let _ = read([head, &bytes].concat());
            }
            prop_assert_eq!(windows_1252(&bytes).chars().count(), bytes.len());
        }
    }

    #[test]
    fn half_a_character_is_no_reason_to_stop() {
        let units = [0xfeff, 0xd834, u16::from(b'a'), 0xdd1e, 0xd834];
        let bytes = units.into_iter().flat_map(u16::to_le_bytes).chain([7]).collect();
        assert_eq!(read(bytes).ok().as_deref(), Some("\u{fffd}a\u{fffd}\u{fffd}"));
        assert_eq!(windows_1252(b"20 \xb0C \x80"), "20 °C €");
    }
}
