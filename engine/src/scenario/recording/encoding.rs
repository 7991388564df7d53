//! From a file's bytes to text in UTF-8: gzip unpacked, UTF-16 told by its mark, and Windows-1252 for lines that are no UTF-8.

use encoding_rs::WINDOWS_1252;
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::read::MultiGzDecoder;
use std::{
    borrow::Cow,
    io::{self, BufReader, Cursor, Read},
};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes that a reader holds.
const CHUNK: usize = 1 << 16;

/// The same bytes unpacked and, where a mark at their beginning says what they are, in UTF-8 without that mark.
pub(super) fn unpacked(from: Box<dyn Read>) -> io::Result<BufReader<Box<dyn Read>>> {
    let (packed, from) = peek(from)?;
    let from: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(from)) } else { from };
    let text = DecodeReaderBytesBuilder::new().strip_bom(true).utf8_passthru(true).build(from);
    Ok(BufReader::with_capacity(CHUNK, peek(Box::new(text))?.1))
}

/// Whether these bytes are packed, and a reader that still begins with them: in one piece, so that whoever looks ahead sees lines.
fn peek(mut from: Box<dyn Read>) -> io::Result<(bool, Box<dyn Read>)> {
    let mut head = Vec::new();
    from.by_ref().take(CHUNK as u64).read_to_end(&mut head)?;
    Ok((head.starts_with(&GZIP), Box::new(Cursor::new(head).chain(from))))
}

/// A line as Windows-1252 (and ISO 8859-1, which has the same letters) reads it.
pub(super) fn windows_1252(bytes: &[u8]) -> Cow<'_, str> {
    WINDOWS_1252.decode_without_bom_handling(bytes).0
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
            let marked = [&b"\xef\xbb\xbf"[..], text.as_bytes()].concat();
            let all = [text.clone().into_bytes(), marked, utf_16(&text, true), utf_16(&text, false)];
            for bytes in all {
                prop_assert_eq!(&read(packed(&bytes)).unwrap(), &text);
                prop_assert_eq!(&read(bytes).unwrap(), &text);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for head in [&[][..], &GZIP, b"\xfe\xff", b"\xff\xfe"] {
                let _ = read([head, &bytes].concat());
            }
            prop_assert_eq!(windows_1252(&bytes).chars().count(), bytes.len());
        }
    }

    #[test]
    fn half_a_character_is_no_reason_to_stop() {
        let units = [0xfeff, 0xd834, u16::from(b'a'), 0xdd1e, 0xd834];
        let bytes = units.into_iter().flat_map(u16::to_le_bytes).chain([7]).collect();
        let text = read(bytes).unwrap();
        assert!(text.starts_with("\u{fffd}a\u{fffd}"), "{text:?}");
        assert_eq!(windows_1252(b"20 \xb0C \x80"), "20 °C €");
    }
}
