//! A file's text and where each of its fields stands.
//!
//! ```
//! use twinfleet_engine::scenario::source::Source;
//! let source = Source::embedded("a.ron", "(format: 1, fleet: [(id: \"n\", count: 2)])");
//! assert_eq!(source.span_of("fleet[0].count"), 37..38);
//! let more = source.set("fleet[0].count=50").unwrap();
//! assert_eq!(more.text(), "(format: 1, fleet: [(id: \"n\", count: 50)])");
//! ```

mod edit;

use super::{
    diagnostic::{Diagnostic, Report, near},
    shape,
    tree::{self, Broken, Node, Value},
};
use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use serde::de::DeserializeOwned;
use std::{
    fs::File,
    io::{ErrorKind, Read},
    ops::Range,
    path::Path,
    sync::{Arc, OnceLock},
};

/// Largest definition file, [bytes]. Scenarios and catalog files are written by people; data belong into recordings.
pub const MAX_BYTES: u64 = 16 << 20;

/// Longest part of a line that an error shows, [bytes].
const WINDOW: usize = 160;

/// A text with a name, and the edits made to it by `--set`. Clones share the text.
#[derive(Clone)]
pub struct Source(Arc<Inner>);

struct Inner {
    name: String,
    text: String,
    /// Line number of the text's first line, from 1: an excerpt starts further down.
    first_line: usize,
    edits: Vec<(Range<usize>, String)>,
    tree: OnceLock<(Node, Option<Broken>)>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.0.name).field("bytes", &self.0.text.len()).finish()
    }
}

impl Source {
    /// Reads a file: at most [`MAX_BYTES`], UTF-8, not binary.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let name = path.display().to_string();
        let refuse = |message: String| Self::make(name.clone(), String::new(), 1, Vec::new()).fault(message);
        if let Some((message, help)) = irregular(path) {
            return Err(refuse(message).maybe_help(help).into());
        }
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return Err(refuse(describe(&error, &name)).maybe_help(neighbours(path)).into()),
        };
        let meta = file.metadata().map_err(|error| refuse(describe(&error, &name)))?;
        let too_large = || {
            refuse(format!("`{name}` is larger than {} MiB", MAX_BYTES >> 20))
                .help("definition files are small texts; put readings into a recording (CSV) and name it")
        };
        if meta.len() > MAX_BYTES {
            return Err(too_large().into());
        }
        let mut bytes = Vec::with_capacity(meta.len() as usize);
        // The file may grow as it is read.
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| refuse(describe(&error, &name)))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(too_large().into());
        }
        Self::from_bytes(&name, bytes)
    }

    /// A text that came with the program, or that a test made up.
    pub fn embedded(name: &str, text: &str) -> Self {
        Self::make(name.to_owned(), text.to_owned(), 1, Vec::new())
    }

    /// A few lines out of a larger file, the first of which is line `first_line` (from 1).
    pub fn excerpt(name: &str, text: &str, first_line: usize) -> Self {
        Self::make(name.to_owned(), text.to_owned(), first_line, Vec::new())
    }

    /// Bytes read from somewhere, checked to be text.
    pub fn from_bytes(name: &str, mut bytes: Vec<u8>) -> Result<Self, Report> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        if bytes.contains(&0) {
            return Err(Self::embedded(name, "")
                .fault(format!("`{name}` is a binary file, a text was expected"))
                .help("definition files are RON texts in UTF-8; see `twinfleet list scenarios` for examples")
                .into());
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::embedded(name, &text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                // Up to the bad byte, the lossy text is the same; there stands U+FFFD, three bytes long.
                let source = Self::embedded(name, &text);
                Err(Diagnostic::error("the text is not UTF-8")
                    .at(&source, at..at + 3, "this byte belongs to no UTF-8 character")
                    .help("save the file in UTF-8")
                    .into())
            }
        }
    }

    fn make(name: String, text: String, first_line: usize, edits: Vec<(Range<usize>, String)>) -> Self {
        Self(Arc::new(Inner { name, text, first_line, edits, tree: OnceLock::new() }))
    }

    /// An error about the file as a whole.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self, 0..0, "")
    }

    /// A warning about the file as a whole.
    pub fn fault_as_warning(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(message).at(self, 0..0, "")
    }

    /// The name that errors show: the path as the user gave it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The text, with edits.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    fn parsed(&self) -> &(Node, Option<Broken>) {
        self.0.tree.get_or_init(|| tree::parse(&self.0.text))
    }

    /// The tree of fields.
    pub fn tree(&self) -> &Node {
        &self.parsed().0
    }

    /// Line and column, both from 1, of a byte; columns count characters.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let text = &self.0.text;
        let offset = floor(text, offset);
        let line = text[..offset].bytes().filter(|b| *b == b'\n').count();
        let start = text[..offset].rfind('\n').map_or(0, |n| n + 1);
        (line + self.0.first_line, text[start..offset].chars().count() + 1)
    }

    /// The byte at a line and column (both from 1; columns count characters).
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let text = &self.0.text;
        let mut start = 0;
        for _ in 1..line {
            match text[start..].find('\n') {
                Some(n) => start += n + 1,
                None => return text.len(),
            }
        }
        text[start..].char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(i, _)| start + i)
    }

    pub(super) fn clamp(&self, span: Range<usize>) -> Range<usize> {
        let start = floor(&self.0.text, span.start);
        start..floor(&self.0.text, span.end).max(start)
    }

    /// The `path=value` of the `--set` that wrote this span.
    pub(super) fn edit_at(&self, span: &Range<usize>) -> Option<&str> {
        let touches = |r: &Range<usize>| r.start <= span.start && span.end <= r.end;
        self.0.edits.iter().rev().find(|(r, _)| touches(r)).map(|(_, text)| text.as_str())
    }

    /// Bytes of the value at a path such as `fleet[0].thing`, or of the nearest thing around it that exists.
    pub fn span_of(&self, path: &str) -> Range<usize> {
        let (found, span) = self.find(path);
        if found { span } else { self.head(span) }
    }

    /// Whether a value stands at this path.
    pub fn has(&self, path: &str) -> bool {
        self.find(path).0
    }

    /// Bytes of a text below a path, one that is the word or else ends in it (of which the end alone), else the head of what
    /// stands there.
    pub fn span_of_text(&self, path: &str, word: &str) -> Range<usize> {
        let within = self.span_of(path);
        let (mut whole, mut end) = (None, None);
        self.tree().walk("", &mut |_, node| {
            let Value::Text(text) = &node.value else { return };
            if node.span.start < within.start || node.span.end > within.end {
                return;
            }
            if text == word {
                whole.get_or_insert(node.span.clone());
            } else if text.ends_with(word) && self.0.text[node.span.clone()].ends_with(&format!("{word}\"")) {
                end.get_or_insert(node.span.end - 1 - word.len()..node.span.end - 1);
            }
        });
        whole.or(end).unwrap_or_else(|| self.head(within))
    }

    /// Bytes of the first key of this name, wherever it stands.
    pub fn key_span_anywhere(&self, key: &str) -> Range<usize> {
        let mut found = None;
        self.tree().walk("", &mut |_, node| match &node.value {
            Value::Map(pairs) => {
                let hit = pairs.iter().find(|(k, _)| k.text() == Some(key)).map(|(k, _)| k.span.clone());
                found = found.take().or(hit);
            }
            Value::Fields(fields) => {
                let hit = fields.iter().find(|f| f.key == key).map(|f| f.key_span.clone());
                found = found.take().or(hit);
            }
            _ => {}
        });
        found.unwrap_or(0..0)
    }

    /// Bytes of a map's key, `map["key"]`, or of a field's name.
    pub fn key_span_of(&self, path: &str, key: &str) -> Range<usize> {
        let Ok(steps) = tree::path(path) else { return 0..0 };
        let Some(node) = steps.iter().try_fold(self.tree(), Node::child) else { return self.span_of(path) };
        let node = match &node.value {
            Value::Tuple(items) if items.len() == 1 => &items[0],
            _ => node,
        };
        match &node.value {
            Value::Map(pairs) => {
                pairs.iter().find(|(k, _)| k.text() == Some(key)).map(|(k, _)| k.span.clone())
            }
            Value::Fields(fields) => fields.iter().find(|f| f.key == key).map(|f| f.key_span.clone()),
            _ => None,
        }
        .unwrap_or_else(|| self.head(node.span.clone()))
    }

    fn find(&self, path: &str) -> (bool, Range<usize>) {
        let mut node = self.tree();
        let Ok(steps) = tree::path(path) else { return (false, node.span.clone()) };
        for step in &steps {
            match node.child(step) {
                Some(child) => node = child,
                None => return (false, node.span.clone()),
            }
        }
        (true, node.span.clone())
    }

    /// The first line of a long span: what stands for a struct that lacks a field.
    pub fn head(&self, span: Range<usize>) -> Range<usize> {
        let span = self.clamp(span);
        let text = &self.0.text[span.clone()];
        let end = text.find('\n').unwrap_or(text.len()).min(60);
        self.clamp(span.start..span.start + end.max(1))
    }

    /// Reads the text as a `T`: brackets, then `format`, then the strict shape. `name` is the word that may stand before the
    /// outer bracket, such as `Scenario`.
    pub fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<T, Report> {
        if self.0.text.trim().is_empty() {
            let message = format!("`{}` is empty", self.0.name);
            return Err(self
                .fault(message)
                .help(format!("a file starts with `{name}(format: 1, …)`"))
                .into());
        }
        if let Some(broken) = &self.parsed().1 {
            return Err(self.unbalanced(broken).into());
        }
        self.check_head(name)?;
        shape::read(self, name)
    }

    fn unbalanced(&self, broken: &Broken) -> Diagnostic {
        let shown = |span: &Range<usize>| self.0.text[span.clone()].to_owned();
        match broken {
            Broken::Mismatch { open: Some(open), close } => Diagnostic::error(format!(
                "`{}` does not close the `{}` that is still open",
                shown(close),
                shown(open)
            ))
            .at(self, close.clone(), "closes something else")
            .at(self, open.clone(), "opened here")
            .help(format!("close it with `{}` before, or take it away", tree::closing(&shown(open)))),
            Broken::Mismatch { open: None, close } => {
                Diagnostic::error(format!("`{}` closes nothing", shown(close)))
                    .at(self, close.clone(), "no bracket is open here")
                    .help("remove it, or look for a bracket that was closed too early")
            }
            Broken::Open(span) => Diagnostic::error(format!("this `{}` is never closed", shown(span)))
                .at(self, span.clone(), "opened here")
                .help(format!(
                    "close it with `{}`, or look for a bracket too many further down",
                    tree::closing(&shown(span))
                )),
            Broken::Endless(span) if shown(span).starts_with('/') => {
                Diagnostic::error("this comment never ends")
                    .at(self, span.clone(), "starts here")
                    .help("end it with `*/`")
            }
            Broken::Endless(span) => {
                // A quote left out turns every later string inside out: the first odd line is where to look.
                let odd = self.odd_line().filter(|odd| odd.end < span.start);
                let error = Diagnostic::error("this string never ends");
                match odd {
                    Some(odd) => error.at(self, self.head(odd), "is a quote missing on this line?"),
                    None => error,
                }
                .at(self, span.clone(), "starts here")
                .help("end it with `\"`, or look above for a quote too many, or a glob such as `node-*/…` that ended a comment")
            }
            Broken::Deep(span) => {
                Diagnostic::error(format!("brackets are nested more than {} deep", tree::MAX_DEPTH))
                    .at(self, span.clone(), "this one is too deep")
                    .help("no scenario or catalog file needs so much; was a value repeated by mistake?")
            }
        }
    }

    /// The first line with an odd number of quotes.
    fn odd_line(&self) -> Option<Range<usize>> {
        let mut start = 0;
        for line in self.0.text.split_inclusive('\n') {
            let quotes = line.matches('"').count() - line.matches("\\\"").count();
            if quotes % 2 == 1 {
                let text = line.trim_end();
                return Some(start + (text.len() - text.trim_start().len())..start + text.len());
            }
            start += line.len();
        }
        None
    }

    fn check_head(&self, name: &str) -> Result<(), Report> {
        let root = self.tree();
        if let Some(span) = root.name.clone() {
            let found = &self.0.text[span.clone()];
            if found != name && found.strip_suffix("Def") != Some(name) {
                return Err(Diagnostic::error(format!("this is a `{found}`, a `{name}` was expected"))
                    .at(self, span, "")
                    .help(format!("a {} file starts with `{name}(format: 1, …)`", name.to_lowercase()))
                    .into());
            }
        }
        let format = root.get("format");
        let Some(format) = format else {
            if !matches!(root.value, Value::Fields(_)) {
                return Ok(()); // Ron says better what is wrong with the outermost shape.
            }
            return Err(Diagnostic::error("the file does not say which `format` it is written in")
                .at(self, self.head(root.span.clone()), "")
                .help("write `format: 1,` first")
                .into());
        };
        match self.0.text[format.span.clone()].parse::<u64>() {
            Ok(1) => Ok(()),
            Ok(newer @ 2..) => Err(Diagnostic::error(format!(
                "the file is written in format {newer}, this program reads format 1"
            ))
            .at(self, format.span.clone(), "")
            .help("it comes from a newer Twinfleet: update the program")
            .into()),
            _ => Err(Diagnostic::error("`format` must be 1")
                .at(self, format.span.clone(), "")
                .help("write `format: 1,`")
                .into()),
        }
    }
}

fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// What a path names where it is no regular file, and what to do. Asked before a file is opened: opening a pipe waits for
/// its writer, and a device such as `/dev/zero` never ends.
pub(super) fn irregular(path: &Path) -> Option<(String, Option<String>)> {
    let kind = std::fs::metadata(path).ok()?.file_type();
    let name = path.display();
    if kind.is_dir() {
        let help = "name a file within it; `twinfleet check` takes folders".to_owned();
        return Some((format!("`{name}` is a folder, a file was expected"), Some(help)));
    }
    if kind.is_file() {
        return None;
    }
    let help =
        "it is a pipe, a socket or a device: write what comes from it into a file and name that".to_owned();
    Some((format!("`{name}` is no regular file"), Some(help)))
}

/// What an error of the file system means, in a sentence.
pub(super) fn describe(error: &std::io::Error, name: &str) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("there is no file `{name}`"),
        ErrorKind::PermissionDenied => format!("`{name}` may not be read"),
        ErrorKind::IsADirectory => format!("`{name}` is a folder, a file was expected"),
        _ => format!("`{name}` cannot be read: {error}"),
    }
}

/// Near names among the files of the same folder.
pub(super) fn neighbours(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Some(format!("there is no folder `{}` either", folder.display()));
    };
    let names: Vec<String> =
        entries.flatten().take(1000).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    let wanted = path.file_name()?.to_string_lossy();
    near(&wanted, names.iter().map(String::as_str)).filter(|help| help.starts_with("did"))
}

/// What miette shows around a span: whole lines, or a window where a line is too long to show.
impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = &self.0.text;
        let at = self.clamp(span.offset()..span.offset() + span.len());
        let (mut start, mut end) = (at.start, at.end);
        if before > 0 || after > 0 {
            start = line_start(text, at.start);
            end = line_end(text, at.end);
            for _ in 0..before {
                start = line_start(text, start.saturating_sub(1));
            }
            for _ in 0..after {
                end = if end < text.len() { line_end(text, end + 1) } else { end };
            }
            let longest = text[start..end].lines().map(str::len).max().unwrap_or(0);
            if longest > WINDOW {
                // Of the lines around, none is worth more than the place itself.
                start = floor(text, line_start(text, at.start).max(at.start.saturating_sub(WINDOW / 2)));
                let last = line_end(text, at.end);
                end = floor(text, last.min(at.end.min(at.start + WINDOW / 2) + WINDOW / 2));
                end = end.max(start);
            }
        }
        let (line, column) = self.line_column(start);
        let lines = text[start..end].bytes().filter(|b| *b == b'\n').count() + 1;
        Ok(Box::new(MietteSpanContents::new_named(
            self.0.name.clone(),
            &text.as_bytes()[start..end],
            (start, end - start).into(),
            line - 1,
            column - 1,
            lines,
        )))
    }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |n| n + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}
