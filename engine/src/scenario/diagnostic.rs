//! Errors with file, line, column, caret and a suggestion.
//!
//! A [`Report`] gathers what is wrong with a set of files. Libraries return it; the command prints it, graphical on a
//! terminal, plain and the same on every machine elsewhere.
//!
//! ```
//! use twinfleet_engine::scenario::{diagnostic::{Diagnostic, Report, Style}, source::Source};
//! let source = Source::embedded("box.ron", "(thing: \"hot-bx\")");
//! let mut report = Report::default();
//! report.push(Diagnostic::error("there is no thing `hot-bx`").at(&source, 8..16, "named here"));
//! let text = report.render(Style::Plain);
//! assert!(text.contains("box.ron:1:9"));
//! ```

use super::source::Source;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};
use serde::Serialize;
use std::{collections::BTreeSet, fmt, ops::Range};

/// Diagnostics that one rendering shows; the rest is counted.
const SHOWN: usize = 50;

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// The input can be used, but probably not as meant.
    Warning,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    help: Option<String>,
    source: Option<Source>,
    labels: Vec<(Range<usize>, String)>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            source: None,
            labels: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Points at a span of bytes. The first call is the place that `file:line:col` names; later calls must be of the same
    /// source.
    #[must_use]
    pub fn at(mut self, source: &Source, span: Range<usize>, label: impl Into<String>) -> Self {
        if self.source.is_none() {
            self.source = Some(source.clone());
        }
        let mut label = label.into();
        if let Some(edit) = source.edit_at(&span) {
            let note = format!("set by `--set {edit}`");
            label = if label.is_empty() { note } else { format!("{label}, {note}") };
        }
        self.labels.push((source.clamp(span), label));
        self
    }

    /// Says what to try.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to try, if there is something.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Says in how many more places it is the same, if in any.
    #[must_use]
    pub fn repeated(mut self, more: u64, what: &str) -> Self {
        let plural = if more == 1 { "" } else { "s" };
        if more > 0 {
            self.message += &format!(", and so in {more} more {what}{plural}");
        }
        self
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to try.
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// File name, line and column (both from 1; columns count characters) of the first label.
    pub fn place(&self) -> Option<(&str, usize, usize)> {
        let source = self.source.as_ref()?;
        let (line, column) = match self.labels.first() {
            Some((span, _)) => source.line_column(span.start),
            None => (1, 1),
        };
        Some((source.name(), line, column))
    }

    fn offset(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

/// One line, for logs: `file:line:col: error: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, line, column)) = self.place() {
            write!(f, "{file}:{line}:{column}: ")?;
        }
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}: {}", self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        if self.labels.is_empty() {
            return None;
        }
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().enumerate().map(|(i, (span, text))| {
            let text = (!text.is_empty()).then(|| text.clone());
            let at = (span.start, span.len());
            if i == 0 {
                LabeledSpan::new_primary_with_span(text, at)
            } else {
                LabeledSpan::new_with_span(text, at)
            }
        })))
    }
}

/// A diagnostic whose message is its one-line head, for miette's renderer.
#[derive(Debug)]
struct Headed<'a>(&'a Diagnostic);

impl fmt::Display for Headed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Headed<'_> {}

impl miette::Diagnostic for Headed<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        miette::Diagnostic::severity(self.0)
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        miette::Diagnostic::help(self.0)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source_code()
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        miette::Diagnostic::labels(self.0)
    }
}

/// How a report is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// ASCII, no colour, a fixed width: the same bytes on every machine.
    Plain,
    /// Unicode boxes and colours, wrapped to the terminal's width in columns.
    Fancy {
        /// Columns of the terminal.
        width: usize,
        /// Whether colours are wanted.
        color: bool,
    },
}

/// What is wrong with a set of files: errors and warnings.
#[derive(Clone, Debug, Default)]
pub struct Report {
    items: Vec<Diagnostic>,
}

impl Report {
    /// Adds a diagnostic.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.items.push(diagnostic);
    }

    /// Adds all of another report.
    pub fn merge(&mut self, other: Self) {
        self.items.extend(other.items);
    }

    /// All diagnostics, in order.
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// Number of errors.
    pub fn errors(&self) -> usize {
        self.items.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Number of warnings.
    pub fn warnings(&self) -> usize {
        self.items.len() - self.errors()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Sorts by file, in the order in which files first appear, then by place; errors and warnings stay mixed.
    pub fn sort(&mut self) {
        let mut files: Vec<String> = Vec::new();
        for item in &self.items {
            let name = item.source.as_ref().map_or("", Source::name);
            if !files.iter().any(|f| f == name) {
                files.push(name.to_owned());
            }
        }
        self.items.sort_by_key(|item| {
            let name = item.source.as_ref().map_or("", Source::name);
            (files.iter().position(|f| f == name), item.offset())
        });
    }

    /// Takes out what is told after the first `n` at the same places as their errors: one mistake, one error.
    pub(super) fn tell_once(&mut self, n: usize) {
        let errors = self.items.iter().take(n).filter(|d| d.severity == Severity::Error);
        let told: BTreeSet<(String, usize)> =
            errors.filter_map(|d| Some((d.source.as_ref()?.name().to_owned(), d.offset()))).collect();
        let mut index = 0;
        self.items.retain(|d| {
            index += 1;
            let place = d.source.as_ref().map(|s| (s.name().to_owned(), d.offset()));
            index <= n || !place.is_some_and(|place| told.contains(&place))
        });
    }

    /// `Ok` with the warnings when there is no error, else the whole report as the error.
    pub fn into_result(self) -> Result<Self, Self> {
        if self.errors() == 0 { Ok(self) } else { Err(self) }
    }

    /// The report as text, ending in a line break; empty when there is nothing to say.
    pub fn render(&self, style: Style) -> String {
        let handler = match style {
            Style::Plain => GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_width(110),
            Style::Fancy { width, color } => {
                let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
                GraphicalReportHandler::new_themed(theme).with_width(width.max(40))
            }
        };
        let handler = handler.with_context_lines(1).with_links(false).without_syntax_highlighting();
        let mut text = String::new();
        for item in self.items.iter().take(SHOWN) {
            // A span that miette cannot show must not hide the message.
            let mut one = String::new();
            if handler.render_report(&mut one, &Headed(item)).is_err() {
                one = format!("{item}\n");
            }
            for line in one.lines() {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
        if self.items.len() > 1 {
            text.push_str(&self.tally());
            text.push('\n');
        }
        text
    }

    /// `2 errors, 1 warning`, and how many of them were not shown.
    fn tally(&self) -> String {
        let plural = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let parts: Vec<String> = [plural(self.errors(), "error"), plural(self.warnings(), "warning")]
            .into_iter()
            .flatten()
            .collect();
        let hidden = self.items.len().saturating_sub(SHOWN);
        let tail = if hidden > 0 { format!(", the last {hidden} not shown") } else { String::new() };
        parts.join(", ") + &tail
    }

    /// For machines: one object per diagnostic with `severity`, `message`, `help`, `file`, `line`, `column`.
    pub fn to_json(&self) -> serde_json::Value {
        self.items
            .iter()
            .map(|d| {
                let place = d.place();
                serde_json::json!({
                    "severity": d.severity,
                    "message": d.message,
                    "help": d.help,
                    "file": place.map(|p| p.0),
                    "line": place.map(|p| p.1),
                    "column": place.map(|p| p.2),
                })
            })
            .collect()
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { items: vec![diagnostic] }
    }
}

/// One line per diagnostic.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.items.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// A message whose end says what to write, as the error of a value often has it, and that advice apart.
pub(super) fn with_advice(text: &str) -> (String, Option<String>) {
    let cut = [": write ", ": use ", ": signals are "].iter().filter_map(|mark| text.find(mark)).min();
    match cut {
        Some(at) => (text[..at].to_owned(), Some(text[at + 2..].to_owned())),
        None => (text.to_owned(), None),
    }
}

/// A suggestion out of the known names: the nearest ones, else all of them if they are few, else some.
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let lower = word.to_lowercase();
    let reach = (word.chars().count() / 3).max(1);
    let mut close: Vec<(usize, &str)> = known
        .iter()
        .filter_map(|name| {
            let other = name.to_lowercase();
            let distance = strsim::damerau_levenshtein(&lower, &other);
            let within =
                lower.len() >= 3 && (other.contains(&lower) || lower.contains(&other) && other.len() >= 3);
            (distance <= reach || within).then_some((distance, *name))
        })
        .collect();
    close.sort_unstable();
    close.truncate(3);
    if !close.is_empty() {
        let names: Vec<String> = close.iter().map(|(_, name)| format!("`{name}`")).collect();
        return Some(format!("did you mean {}?", either(&names)));
    }
    let some = if known.len() > 16 { 5 } else { known.len() };
    let names: Vec<String> = known.iter().take(some).map(|name| format!("`{name}`")).collect();
    match known.len() - some {
        _ if known.is_empty() => None,
        0 => Some(format!("known: {}", names.join(", "))),
        more => Some(format!("known: {} and {more} more", names.join(", "))),
    }
}

fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}
