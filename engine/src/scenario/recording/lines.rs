//! Lines and cells of a table, read with bounds: no line, however long, is held in memory beyond [`MAX_LINE`].

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    ops::Range,
};

/// Longest line of a table, [bytes].
pub const MAX_LINE: usize = 1 << 20;

/// Lines that are read ahead to tell the delimiter.
const AHEAD: usize = 10;

/// Lines that are read ahead at most to tell in which order dates are written: two days of a row each second.
const SCANNED: usize = 200_000;

/// Why a line could not be read.
#[derive(Debug)]
pub(super) enum LineError {
    /// Longer than [`MAX_LINE`]; its start.
    Long(String),
    /// It holds a NUL byte.
    Binary,
    /// It is not UTF-8 from this byte on; the line, repaired.
    NotUtf8(String, usize),
    /// Reading failed.
    Io(std::io::Error),
}

/// A reader of lines that counts them.
pub(super) struct Lines {
    inner: BufReader<Box<dyn Read>>,
    ahead: VecDeque<(usize, String)>,
    read: usize,
}

impl Lines {
    pub(super) fn new(inner: Box<dyn Read>) -> Self {
        Self { inner: BufReader::with_capacity(1 << 16, inner), ahead: VecDeque::new(), read: 0 }
    }

    /// The next line that is not blank, without its line break, and its number from 1.
    pub(super) fn next(&mut self) -> Result<Option<(usize, String)>, (usize, LineError)> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.fetch(),
        }
    }

    /// The first lines, kept for [`Self::next`].
    pub(super) fn look_ahead(&mut self) -> Result<&VecDeque<(usize, String)>, (usize, LineError)> {
        while self.ahead.len() < AHEAD {
            match self.fetch()? {
                Some(line) => self.ahead.push_back(line),
                None => break,
            }
        }
        Ok(&self.ahead)
    }

    /// Shows the lines that come to `seen` until it has seen enough, or [`SCANNED`] of them; they are kept for [`Self::next`].
    pub(super) fn scan(&mut self, mut seen: impl FnMut(&str) -> bool) -> Result<(), (usize, LineError)> {
        for at in 0..SCANNED {
            if at == self.ahead.len() {
                match self.fetch()? {
                    Some(line) => self.ahead.push_back(line),
                    None => break,
                }
            }
            if seen(&self.ahead[at].1) {
                break;
            }
        }
        Ok(())
    }

    fn fetch(&mut self) -> Result<Option<(usize, String)>, (usize, LineError)> {
        loop {
            let mut bytes = Vec::new();
            let number = self.read + 1;
            let mut limited = (&mut self.inner).take(MAX_LINE as u64 + 1);
            let n = limited.read_until(b'\n', &mut bytes).map_err(|e| (number, LineError::Io(e)))?;
            if n == 0 {
                return Ok(None);
            }
            self.read = number;
            if number == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            if bytes.contains(&0) {
                return Err((number, LineError::Binary));
            }
            if bytes.len() > MAX_LINE {
                bytes.truncate(200);
                return Err((number, LineError::Long(String::from_utf8_lossy(&bytes).into_owned())));
            }
            while matches!(bytes.last(), Some(b'\n' | b'\r')) {
                bytes.pop();
            }
            let line = String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                (number, LineError::NotUtf8(String::from_utf8_lossy(error.as_bytes()).into_owned(), at))
            })?;
            if !line.trim().is_empty() {
                return Ok(Some((number, line)));
            }
        }
    }
}

/// What separates cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// A tab.
    Tab,
    /// `;`.
    Semicolon,
    /// `,`.
    Comma,
    /// Any run of blanks.
    Blanks,
}

impl Delimiter {
    /// The one that splits the first lines most evenly. A comma is also a decimal sign and a blank stands within times, so
    /// the rarer sign goes first where several fit.
    pub(super) fn sniff<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        let order = [Self::Tab, Self::Semicolon, Self::Comma, Self::Blanks];
        let counts = |d: Self| {
            let n: Vec<usize> = lines.clone().map(|line| d.split(line).len()).collect();
            (n.iter().copied().min().unwrap_or(1), n.iter().copied().max().unwrap_or(1))
        };
        // One more cell than names is a row-id column without a name.
        let even = |d: &Self| matches!(counts(*d), (min, max) if min >= 2 && max - min <= 1);
        order
            .into_iter()
            .find(even)
            .or_else(|| order.into_iter().find(|d| *d != Self::Blanks && counts(*d).1 >= 2))
            .unwrap_or(Self::Comma)
    }

    /// The cells of a line, trimmed, and the bytes where each stands. Quotes may hold delimiters; `""` within is a quote.
    pub(super) fn split(self, line: &str) -> Vec<Cell<'_>> {
        let bytes = line.as_bytes();
        let ends = |b: u8| match self {
            Self::Tab => b == b'\t',
            Self::Semicolon => b == b';',
            Self::Comma => b == b',',
            Self::Blanks => b == b' ' || b == b'\t',
        };
        let mut cells = Vec::new();
        let mut at = 0;
        loop {
            while at < bytes.len() && (bytes[at] == b' ' || self == Self::Blanks && ends(bytes[at])) {
                at += 1;
            }
            if self == Self::Blanks && at >= bytes.len() {
                break;
            }
            let start = at;
            if bytes.get(at) == Some(&b'"') {
                at += 1;
                while at < bytes.len() {
                    match bytes[at] {
                        b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
                        b'"' => break,
                        _ => at += 1,
                    }
                }
                let inner = &line[start + 1..at.min(bytes.len())];
                let text = if inner.contains("\"\"") {
                    Cow::Owned(inner.replace("\"\"", "\""))
                } else {
                    Cow::Borrowed(inner)
                };
                at = (at + 1).min(bytes.len());
                cells.push(Cell { span: start..at, text });
                while at < bytes.len() && !ends(bytes[at]) {
                    at += 1;
                }
            } else {
                while at < bytes.len() && !ends(bytes[at]) {
                    at += 1;
                }
                let text = line[start..at].trim_end();
                cells.push(Cell { span: start..start + text.len(), text: Cow::Borrowed(text) });
            }
            if at >= bytes.len() {
                break;
            }
            at += 1; // the delimiter
        }
        cells
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell<'a> {
    pub(super) span: Range<usize>,
    pub(super) text: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(d: Delimiter, line: &str) -> Vec<String> {
        d.split(line).into_iter().map(|c| c.text.into_owned()).collect()
    }

    #[test]
    fn cells() {
        assert_eq!(texts(Delimiter::Comma, "a, b ,\"c, \"\"d\"\"\",,"), ["a", "b", "c, \"d\"", "", ""]);
        assert_eq!(texts(Delimiter::Blanks, "  1.0   2.0\t3 "), ["1.0", "2.0", "3"]);
        assert_eq!(texts(Delimiter::Semicolon, "1,5;2"), ["1,5", "2"]);
        assert_eq!(texts(Delimiter::Tab, "a\t\tb"), ["a", "", "b"]);
    }

    #[test]
    fn delimiters_are_told_apart() {
        let check =
            |lines: &[&str], want| assert_eq!(Delimiter::sniff(lines.iter().copied()), want, "{lines:?}");
        check(&["t,x", "2020-01-01 00:00:00,1"], Delimiter::Comma);
        check(&["t;x", "0,5;1,5", "1,5;2,5"], Delimiter::Semicolon);
        check(&["1.0 2.0 3.0", "1.0 2.0 3.0"], Delimiter::Blanks);
        check(&["a\tb", "1,5\t2"], Delimiter::Tab);
        check(&["\"date\",\"T\"", "\"1\",\"2015-02-04 17:51:00\",23.18"], Delimiter::Comma);
        check(&["value", "1", "2"], Delimiter::Comma);
    }

    proptest! {
        #[test]
        fn any_line_splits_into_cells_within_it(line in "[ -~\\t°é]{0,60}") {
            for d in [Delimiter::Tab, Delimiter::Semicolon, Delimiter::Comma, Delimiter::Blanks] {
                let mut last = 0;
                for cell in d.split(&line) {
                    prop_assert!(cell.span.start >= last && cell.span.end <= line.len());
                    prop_assert!(line.get(cell.span.clone()).is_some());
                    last = cell.span.end;
                }
            }
        }
    }
}
