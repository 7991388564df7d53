//! The strict pass: a text as the types of the engine, and ron's first error said in our own words and place.

use super::{
    diagnostic::{Diagnostic, Report, near},
    source::Source,
    tree::{Node, Value},
};
use ron::{Options, error::SpannedError, extensions::Extensions};
use serde::de::DeserializeOwned;
use std::ops::Range;

/// How all our files are read: `Some(…)` need not be written.
pub fn options() -> Options {
    Options::default().with_default_extension(Extensions::IMPLICIT_SOME)
}

/// Reads a text whose brackets and head were found well.
pub(super) fn read<T: DeserializeOwned>(source: &Source, name: &str) -> Result<T, Report> {
    let mut text = source.text().to_owned();
    if let Some(span) = source.tree().name.clone() {
        // The type behind `Board(…)` is named otherwise; the head was checked. Blanks keep every place as it is.
        text.replace_range(span.clone(), &" ".repeat(span.len()));
    }
    match options().from_str(&text) {
        Ok(value) => repeated_keys(source).map(|()| value),
        Err(error) => Err(explain(source, name, &error).into()),
    }
}

/// A key twice in a map: serde would keep the last and say nothing.
fn repeated_keys(source: &Source) -> Result<(), Report> {
    let mut report = Report::default();
    source.tree().walk("", &mut |_, node| {
        let Value::Map(pairs) = &node.value else { return };
        for (i, (key, _)) in pairs.iter().enumerate() {
            let first = pairs[..i].iter().find(|(k, _)| k.text().is_some() && k.text() == key.text());
            if let (Some((first, _)), Some(text)) = (first, key.text()) {
                report.push(
                    Diagnostic::error(format!("`{text}` stands twice in this map"))
                        .at(source, key.span.clone(), "again")
                        .at(source, first.span.clone(), "first here"),
                );
            }
        }
    });
    report.into_result().map(|_| ())
}

fn explain(source: &Source, name: &str, error: &SpannedError) -> Diagnostic {
    use ron::Error as E;
    let start = source.offset(error.span.start.line, error.span.start.col);
    let end = source.offset(error.span.end.line, error.span.end.col).max(start);
    let here = start..end;
    match &error.code {
        E::NoSuchStructField { expected, found, outer } => {
            let span = key_before(source.tree(), found, end).unwrap_or(here);
            Diagnostic::error(format!("there is no field `{found}`{}", within(outer.as_deref(), name)))
                .at(source, span, "unknown field")
                .maybe_help(
                    near(found, expected.iter().copied()).or_else(|| Some(listed("fields", expected))),
                )
        }
        E::NoSuchEnumVariant { expected, found, outer } => {
            let span = word_before(source, found, end).unwrap_or(here);
            Diagnostic::error(format!("there is no variant `{found}`{}", within(outer.as_deref(), name)))
                .at(source, span, "unknown variant")
                .maybe_help(
                    near(found, expected.iter().copied()).or_else(|| Some(listed("variants", expected))),
                )
        }
        E::MissingStructField { field, outer } => {
            let span = struct_around(source.tree(), end).unwrap_or(here);
            Diagnostic::error(format!("the field `{field}` is missing{}", within(outer.as_deref(), name))).at(
                source,
                source.head(span),
                format!("needs `{field}: …`"),
            )
        }
        E::DuplicateStructField { field, outer } => {
            let span = key_before(source.tree(), field, end).unwrap_or(here);
            Diagnostic::error(format!("the field `{field}` is given twice{}", within(outer.as_deref(), name)))
                .at(source, span, "given again")
        }
        E::InvalidValueForType { expected, found } => {
            let span = value_at(source.tree(), &here).unwrap_or(here);
            Diagnostic::error(format!("expected {expected}, found {found}")).at(source, span, "")
        }
        E::ExpectedDifferentLength { expected, found } => {
            let span = value_at(source.tree(), &here).unwrap_or(here);
            Diagnostic::error(format!("expected {expected}, found {found} elements")).at(
                source,
                source.head(span),
                "",
            )
        }
        E::Message(message) => {
            let span = value_at(source.tree(), &here).unwrap_or(here);
            Diagnostic::error(message.clone()).at(source, source.head(span), "")
        }
        other => {
            // A value of another kind is shown whole; a sign that does not belong is shown alone.
            let whole = matches!(
                other,
                E::ExpectedString
                    | E::ExpectedInteger
                    | E::ExpectedFloat
                    | E::ExpectedBoolean
                    | E::ExpectedArray
                    | E::ExpectedMap
                    | E::ExpectedStructLike
                    | E::ExpectedNamedStructLike(_)
                    | E::IntegerOutOfBounds
            );
            let token = token_at(source, start, end);
            let value = value_at(source.tree(), &(start..end)).or_else(|| value_at(source.tree(), &token));
            let span = value.filter(|v| whole && v.end >= end).map_or(token, |v| source.head(v));
            let (message, help) = said(other);
            Diagnostic::error(message).at(source, span, "").maybe_help(help)
        }
    }
}

fn within(outer: Option<&str>, root: &str) -> String {
    let outer = outer.unwrap_or(root);
    let plain = outer.strip_suffix("Def").unwrap_or(outer);
    format!(" in a {plain}")
}

fn listed(what: &str, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    format!("its {what} are {}", names.join(", "))
}

/// What ron expected, and what usually went wrong.
fn said(error: &ron::Error) -> (String, Option<String>) {
    use ron::Error as E;
    let help = |text: &str| Some(text.to_owned());
    match error {
        E::ExpectedComma => {
            ("expected `,` before this".into(), help("is a comma missing at the end of the value before?"))
        }
        E::ExpectedString => ("expected a text in quotes".into(), help("write it as \"text\"")),
        E::ExpectedInteger => ("expected a whole number".into(), None),
        E::ExpectedFloat => ("expected a number".into(), None),
        E::ExpectedBoolean => ("expected `true` or `false`".into(), None),
        E::IntegerOutOfBounds => {
            ("the number does not fit: it is too large, or negative where that makes no sense".into(), None)
        }
        E::ExpectedArray => ("expected a list".into(), help("lists are written [a, b]")),
        E::ExpectedArrayEnd => ("expected `,` or the `]` that ends the list".into(), None),
        E::ExpectedMap => ("expected a map".into(), help("maps are written {\"key\": value}")),
        E::ExpectedMapColon => ("expected `:` between a name and its value".into(), None),
        E::ExpectedMapEnd => ("expected `,` or the `}` that ends the map".into(), None),
        E::ExpectedStructLike | E::ExpectedNamedStructLike(_) => {
            ("expected a struct".into(), help("structs are written (name: value, …)"))
        }
        E::ExpectedStructLikeEnd => ("expected `,` or the `)` that ends the struct".into(), None),
        E::ExpectedIdentifier => ("expected a name".into(), None),
        E::Eof => ("the text ends too early".into(), help("is a bracket missing?")),
        E::TrailingCharacters => ("nothing may follow the end of the file's one value".into(), None),
        E::ExceededRecursionLimit => ("values are nested too deeply".into(), None),
        E::SuggestRawIdentifier(word) | E::InvalidIdentifier(word) => {
            let comma = word.bytes().all(|b| b.is_ascii_digit());
            let text = if comma {
                "is it a decimal comma? numbers are written 0.5"
            } else {
                "names are made of letters, digits and `_`"
            };
            (format!("`{word}` is no name of a field"), help(text))
        }
        E::ExpectedDifferentStructName { expected, found } => {
            (format!("expected `{expected}(…)`, found `{found}`"), None)
        }
        other => {
            let text = other.to_string();
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
            (first + chars.as_str(), None)
        }
    }
}

/// The last key of this name that starts before a byte.
fn key_before(root: &Node, name: &str, end: usize) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    root.walk("", &mut |_, node| {
        let Value::Fields(fields) = &node.value else { return };
        for field in fields.iter().filter(|f| f.key == name && f.key_span.start < end) {
            if found.as_ref().is_none_or(|f| f.start < field.key_span.start) {
                found = Some(field.key_span.clone());
            }
        }
    });
    found
}

/// The last place before a byte where this word stands as a value or a variant's name.
fn word_before(source: &Source, word: &str, end: usize) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    source.tree().walk("", &mut |_, node| {
        let span = node.name.clone().unwrap_or_else(|| node.span.clone());
        if span.start < end && source.text().get(span.clone()) == Some(word) {
            found = Some(span);
        }
    });
    found
}

/// The smallest struct that a byte lies in or just behind.
fn struct_around(root: &Node, at: usize) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    root.walk("", &mut |_, node| {
        let is_struct = matches!(&node.value, Value::Fields(_))
            || matches!(&node.value, Value::Tuple(items) if items.is_empty());
        if is_struct && node.span.start < at && at <= node.span.end {
            found = Some(node.span.clone());
        }
    });
    found
}

/// The value that stands where ron stopped: it starts there, or ends there.
fn value_at(root: &Node, here: &Range<usize>) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    root.walk("", &mut |_, node| {
        let s = &node.span;
        if (here.start <= s.start && s.start < here.end.max(here.start + 1))
            || (s.start < here.end && here.end <= s.end)
        {
            let smaller = found.as_ref().is_none_or(|f| s.len() <= f.len());
            if smaller {
                found = Some(s.clone());
            }
        }
    });
    found
}

/// The word or sign at or just after a byte.
fn token_at(source: &Source, start: usize, end: usize) -> Range<usize> {
    let text = source.text();
    let at = end.max(start).min(text.len());
    let rest = &text[at..];
    let from = at + (rest.len() - rest.trim_start().len());
    let word = text[from..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len() - from);
    if from >= text.len() {
        return at.saturating_sub(1)..at;
    }
    source.clamp(from..from + word.max(1))
}
