//! Lines and cells of a table, read with bounds: no line, however long, is held in memory beyond [`MAX_LINE`].

use super::encoding::{unpacked, windows_1252};
use crate::scenario::{
    diagnostic::Diagnostic,
    source::{self, Source},
};
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

/// Lines of a preamble at most, and lines of the table that have to follow it.
const PREAMBLE: usize = 30;
const FOLLOWING: usize = 3;

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

/// The same for a reader of the file.
pub(super) fn explain(file: &str, number: usize, error: LineError) -> Diagnostic {
    match error {
        LineError::Long(start) => {
            Diagnostic::error(format!("line {number} is longer than {} KiB", MAX_LINE >> 10))
                .at(&Source::excerpt(file, &start, number), 0..start.len().min(40), "the line starts here")
                .help("is this a table of readings, with a line break after each row?")
        }
        LineError::Binary => Source::excerpt(file, "", number)
            .fault(format!("`{file}` is a binary file, a table in text was expected"))
            .help("export it as CSV in UTF-8"),
        LineError::NotUtf8(line, at) => Diagnostic::error("the text is not UTF-8")
            .at(&Source::excerpt(file, &line, number), at..at + 3, "this byte belongs to no UTF-8 character")
            .help("save the file in UTF-8"),
        LineError::Io(error) => Source::excerpt(file, "", number)
            .fault(source::describe(&error, file))
            .help("is the disk in order, and the file still there?"),
    }
}

/// A reader of lines that counts them.
pub(super) struct Lines {
    inner: BufReader<Box<dyn Read>>,
    /// The last byte of a line.
    end: u8,
    ahead: VecDeque<(usize, String)>,
    read: usize,
    lenient: bool,
    /// The first line that was no UTF-8, and was read as Windows-1252.
    pub(super) foreign: Option<usize>,
}

impl Lines {
    /// Of these bytes, unpacked and in UTF-8 where their beginning says what they are. With `lenient`, lines that are no UTF-8 are
    /// read as Windows-1252; else they are mistakes.
    pub(super) fn new(from: Box<dyn Read>, lenient: bool) -> Result<Self, (usize, LineError)> {
        let failed = |e| (1, LineError::Io(e));
        let mut inner = unpacked(from).map_err(failed)?;
        let start = inner.fill_buf().map_err(failed)?;
        // Old machines end lines with a carriage return alone.
        let old = start.contains(&b'\r') && !start.contains(&b'\n');
        let end = if old { b'\r' } else { b'\n' };
        Ok(Self { inner, end, ahead: VecDeque::new(), read: 0, lenient, foreign: None })
    }

    /// The next line that is not blank, without its line break, and its number from 1.
    pub(super) fn next(&mut self) -> Result<Option<(usize, String)>, (usize, LineError)> {
        match self.ahead.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.fetch(),
        }
    }

    /// Takes away the lines above a table that a logger wrote about itself: comments, or lines that split into fewer cells than
    /// those after them, up to the first line that `has_names` of wanted columns. Returns how many these were.
    pub(super) fn skip_preamble(
        &mut self,
        has_names: impl Fn(Delimiter, &str) -> bool,
    ) -> Result<usize, (usize, LineError)> {
        while self.ahead.len() < PREAMBLE + FOLLOWING {
            match self.fetch()? {
                Some(line) => self.ahead.push_back(line),
                None => break,
            }
        }
        let lines: Vec<&str> = self.ahead.iter().map(|(_, line)| line.as_str()).collect();
        let above = Delimiter::ALL.into_iter().find_map(|d| {
            let first = lines.iter().position(|line| has_names(d, line)).filter(|first| *first > 0)?;
            let (above, table) = lines.split_at(first);
            let width = d.split(table[0]).len();
            let is_other = |line: &&str| line.starts_with('#') || d.split(line).len() < width;
            let is_table = Delimiter::sniff(table.iter().copied().take(AHEAD)) == d;
            (table.len() >= FOLLOWING && is_table && above.iter().all(is_other)).then_some(first)
        });
        Ok(above.map_or(0, |n| self.ahead.drain(..n).count()))
    }

    /// The first lines, kept for [`Self::next`].
    pub(super) fn look_ahead(&mut self) -> Result<impl Iterator<Item = &str> + Clone, (usize, LineError)> {
        while self.ahead.len() < AHEAD {
            match self.fetch()? {
                Some(line) => self.ahead.push_back(line),
                None => break,
            }
        }
        Ok(self.ahead.iter().take(AHEAD).map(|(_, line)| line.as_str()))
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
            let n = limited.read_until(self.end, &mut bytes).map_err(|e| (number, LineError::Io(e)))?;
            if n == 0 {
                return Ok(None);
            }
            self.read = number;
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
            let line = match String::from_utf8(bytes) {
                Ok(line) => line,
                Err(error) if self.lenient => {
                    self.foreign.get_or_insert(number);
                    windows_1252(error.as_bytes())
                }
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let repaired = String::from_utf8_lossy(error.as_bytes()).into_owned();
                    return Err((number, LineError::NotUtf8(repaired, at)));
                }
            };
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
    /// `|`.
    Bar,
    /// `,`.
    Comma,
    /// Any run of blanks.
    Blanks,
}

impl Delimiter {
    /// All, the rarest sign first.
    const ALL: [Self; 5] = [Self::Tab, Self::Semicolon, Self::Bar, Self::Comma, Self::Blanks];

    /// The one that splits the first lines most evenly. A comma is also a decimal sign and a blank stands within times, so
    /// the rarer sign goes first where several fit.
    pub(super) fn sniff<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        let order = Self::ALL;
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
            Self::Bar => b == b'|',
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
                let closed = at < bytes.len();
                at = (at + 1).min(bytes.len());
                let end = at;
                while at < bytes.len() && !ends(bytes[at]) {
                    at += 1;
                }
                // What follows the closing quote belongs to no cell.
                let quotes = match (closed, line[end..at].trim_end().len()) {
                    (false, _) => Quotes::Open,
                    (true, 0) => Quotes::Right,
                    (true, more) => Quotes::Followed(end..end + more),
                };
                cells.push(Cell { span: start..end, text, quotes });
            } else {
                while at < bytes.len() && !ends(bytes[at]) {
                    at += 1;
                }
                let text = line[start..at].trim_end();
                let span = start..start + text.len();
                cells.push(Cell { span, text: Cow::Borrowed(text), quotes: Quotes::Right });
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
    pub(super) quotes: Quotes,
}

/// How a cell is quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// From its first sign to its last, or not at all.
    Right,
    /// They are never closed: the line ends within the cell.
    Open,
    /// They are closed, and more follows before the delimiter: the bytes of that.
    Followed(Range<usize>),
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
    fn quotes_that_do_not_hold_a_cell_are_marked() {
        let quotes = |line: &str| Delimiter::Comma.split(line).pop().map(|c| c.quotes);
        assert_eq!(quotes("5,\"21.0\""), Some(Quotes::Right));
        assert_eq!(quotes("5,\"21.0\" "), Some(Quotes::Right));
        assert_eq!(quotes("5,\"21.0"), Some(Quotes::Open));
        assert_eq!(quotes("5,\""), Some(Quotes::Open));
        assert_eq!(quotes("5,\"21.0\"zzz"), Some(Quotes::Followed(8..11)));
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
        check(&["a|b", "1,5|2"], Delimiter::Bar);
        check(&["value", "1", "2"], Delimiter::Comma);
    }

    proptest! {
        #[test]
        fn any_line_splits_into_cells_within_it(line in "[ -~\\t°é]{0,60}") {
            for d in Delimiter::ALL {
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
