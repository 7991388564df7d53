//! The strict pass: a text as the types of the engine, and ron's first error said in our own words and place.

mod slips;

use super::{
    diagnostic::{Diagnostic, Report, near, with_advice},
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
    scripts(source.tree(), &mut text);
    match options().from_str(&text) {
        Ok(value) => repeated_keys(source).map(|()| value),
        Err(error) => Err(explain(source, name, &error).into()),
    }
}

/// `firmware: Script(…)` as the field `script` that it is behind; its words keep their length, so that every place stays.
fn scripts(tree: &Node, text: &mut String) {
    tree.walk("", &mut |_, node| {
        let Value::Fields(fields) = &node.value else { return };
        for field in fields.iter().filter(|f| f.key == "firmware") {
            let Some(name) = &field.value.name else { continue };
            if &text[name.clone()] == "Script" {
                text.replace_range(name.clone(), "      ");
                text.replace_range(field.key_span.clone(), "script  ");
            }
        }
    });
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
                        .at(source, first.span.clone(), "first here")
                        .help("take one of the two away, or write its key anew"),
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
            Diagnostic::error(format!("the field `{field}` is missing{}", within(outer.as_deref(), name)))
                .at(source, source.head(span), format!("needs `{field}: …`"))
                .help(format!("add `{field}: …` within these brackets"))
        }
        E::DuplicateStructField { field, outer } => {
            let span = key_before(source.tree(), field, end).unwrap_or(here);
            Diagnostic::error(format!("the field `{field}` is given twice{}", within(outer.as_deref(), name)))
                .at(source, span, "given again")
                .help("take one of the two away")
        }
        E::InvalidValueForType { expected, found } => {
            let span = value_at(source.tree(), &here).unwrap_or(here);
            Diagnostic::error(format!("expected {expected}, found {found}"))
                .at(source, span, "")
                .help(format!("write {expected}"))
        }
        E::ExpectedDifferentLength { expected, found } => {
            let at = token_at(source, start, end);
            let values = if *found == 1 { "1 value".to_owned() } else { format!("{found} values") };
            match tuple_ending(source.tree(), at.end) {
                Some((key, span)) if !key.is_empty() => {
                    Diagnostic::error(format!("`{key}` has {values}, {expected} was expected"))
                        .at(source, source.head(span), "")
                        .help(many(expected))
                }
                _ => Diagnostic::error(format!("{values} stand here, {expected} was expected"))
                    .at(source, at, "")
                    .help("are there too few values, or too many?"),
            }
        }
        E::Message(message) => {
            let span = value_at(source.tree(), &here).unwrap_or(here);
            let (message, help) = with_advice(message);
            let span = blamed(source, &span, &message).unwrap_or_else(|| source.head(span));
            let form = message.strip_prefix("expected ").map(|form| format!("write {form}"));
            Diagnostic::error(message).at(source, span, "").maybe_help(help.or(form))
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
            if let Some(slip) = slips::find(source, other, &(start..end), &token) {
                return slip;
            }
            // What a kind forbids, ron finds at the value's start; a number too large, behind it; a fraction, within it.
            let found = match Wanted::of(other) {
                Some(Wanted::Smaller) => value_at(source.tree(), &here).map(|v| (Wanted::Smaller, v.start)),
                Some(kind) => Some((kind, token.start)),
                None => fraction_at(source, token.start).map(|v| (Wanted::Whole, v.start)),
            };
            if let Some((kind, at)) = found
                && let Some((key, node)) = starting(source.tree(), at)
                && !key.is_empty()
            {
                return kind.not_found(source, key, node);
            }
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
    let article = if plain.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    format!(" in {article} {plain}")
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
        E::ExpectedInteger => ("expected a whole number".into(), help("such as 20")),
        E::ExpectedFloat => ("expected a number".into(), help("such as 20.5")),
        E::ExpectedBoolean => {
            ("expected `true` or `false`".into(), help("write one of the two, without quotes"))
        }
        E::IntegerOutOfBounds => {
            ("the number does not fit".into(), help("it is too large, or negative where that makes no sense"))
        }
        E::ExpectedArray => ("expected a list".into(), help("lists are written [a, b]")),
        E::ExpectedArrayEnd => (
            "expected `,` or the `]` that ends the list".into(),
            help("is a comma missing between two values?"),
        ),
        E::ExpectedMap => ("expected a map".into(), help("maps are written {\"key\": value}")),
        E::ExpectedMapColon => {
            ("expected `:` between a name and its value".into(), help("fields are written name: value"))
        }
        E::ExpectedMapEnd => (
            "expected `,` or the `}` that ends the map".into(),
            help("is a comma missing between two entries?"),
        ),
        E::ExpectedStructLike | E::ExpectedNamedStructLike(_) => {
            ("expected a struct".into(), help("structs are written (name: value, …)"))
        }
        E::ExpectedStructLikeEnd => (
            "expected `,` or the `)` that ends this".into(),
            help("is a comma missing, or is there a value too many?"),
        ),
        E::ExpectedIdentifier => {
            ("expected a name".into(), help("names are written without quotes: (name: value, …)"))
        }
        E::Eof => ("the text ends too early".into(), help("is a bracket missing?")),
        E::TrailingCharacters => (
            "nothing may follow the end of the file's one value".into(),
            help("a bracket was closed too early, or this belongs into a file of its own"),
        ),
        E::ExceededRecursionLimit => {
            ("values are nested too deeply".into(), help("was a value repeated by mistake?"))
        }
        E::SuggestRawIdentifier(word) | E::InvalidIdentifier(word) => {
            let comma = word.bytes().all(|b| b.is_ascii_digit());
            let text = if comma {
                "is it a decimal comma? numbers are written 0.5"
            } else {
                "names are made of letters, digits and `_`"
            };
            (format!("`{word}` is no name of a field"), help(text))
        }
        // What our own types are called is nobody's business.
        E::ExpectedDifferentStructName { found, .. } => (
            format!("`{found}` does not belong before these brackets"),
            help("write the brackets alone: `(…)`"),
        ),
        other => {
            let text = other.to_string();
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
            (first + chars.as_str(), help("`twinfleet list scenarios` names files to look at"))
        }
    }
}

/// A kind of value that a field has to have.
#[derive(Clone, Copy)]
enum Wanted {
    Text,
    Whole,
    Number,
    Truth,
    List,
    Map,
    Struct,
    Smaller,
}

impl Wanted {
    fn of(error: &ron::Error) -> Option<Self> {
        use ron::Error as E;
        Some(match error {
            E::ExpectedString => Self::Text,
            E::ExpectedInteger => Self::Whole,
            E::ExpectedFloat => Self::Number,
            E::ExpectedBoolean => Self::Truth,
            E::ExpectedArray => Self::List,
            E::ExpectedMap => Self::Map,
            E::ExpectedStructLike | E::ExpectedNamedStructLike(_) => Self::Struct,
            E::IntegerOutOfBounds => Self::Smaller,
            _ => return None,
        })
    }

    /// That a field's value is of another kind: the field, the value, and how to write it.
    fn not_found(self, source: &Source, key: &str, node: &Node) -> Diagnostic {
        let found = &source.text()[node.span.clone()];
        let shown =
            if found.len() > 40 || found.contains('\n') { String::new() } else { format!(", not {found}") };
        let bare = found.trim_matches('"');
        let figure: &str = {
            let end = bare
                .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
                .unwrap_or(bare.len());
            if bare[..end].parse::<f64>().is_ok() { &bare[..end] } else { "" }
        };
        let (what, help) = match self {
            Self::Text => ("a text in quotes", format!("write {key}: \"{}\"", bare.escape_default())),
            Self::Whole
                if bare.strip_prefix("0x").is_some_and(|hex| u64::from_str_radix(hex, 16).is_ok()) =>
            {
                ("a whole number", format!("write {key}: {bare}"))
            }
            Self::Whole | Self::Number if !figure.is_empty() && figure.len() < bare.len() => {
                let what = if matches!(self, Self::Whole) { "a whole number" } else { "a number" };
                (what, format!("write {key}: {figure}, if that is in the unit that its name says"))
            }
            Self::Whole if figure.contains('.') => {
                let low = figure.split('.').next().unwrap_or(figure);
                ("a whole number", format!("write {key}: {low}, or the next one"))
            }
            Self::Whole => {
                ("a whole number", format!("write {key}: {}", if figure.is_empty() { "20" } else { figure }))
            }
            Self::Number => {
                ("a number", format!("write {key}: {}", if figure.is_empty() { "20.5" } else { figure }))
            }
            Self::Truth => ("`true` or `false`", format!("write {key}: true")),
            Self::List if shown.is_empty() => ("a list", format!("lists are written {key}: [a, b]")),
            Self::List => ("a list", format!("write {key}: [{found}]")),
            Self::Map => ("a map", format!("maps are written {key}: {{\"key\": value}}")),
            Self::Struct if found.starts_with('[') && !shown.is_empty() => {
                ("in round brackets", format!("write {key}: ({})", &found[1..found.len() - 1]))
            }
            Self::Struct => ("a struct", format!("structs are written {key}: (name: value, …)")),
            Self::Smaller => {
                return Diagnostic::error(format!("`{key}` cannot be {found}"))
                    .at(source, node.span.clone(), "")
                    .help("it is too large, or negative where that makes no sense");
            }
        };
        // Of several values of a field the advice is about this one alone.
        let is_whole_field = source.text()[..node.span.start].trim_end().ends_with(':');
        let (which, help) = if is_whole_field {
            ("", help)
        } else {
            ("a value of ", help.replacen(&format!("{key}: "), "", 1))
        };
        Diagnostic::error(format!("{which}`{key}` must be {what}{shown}"))
            .at(source, source.head(node.span.clone()), "")
            .help(help)
    }
}

/// A number that a byte lies within, and that is no whole one.
fn fraction_at(source: &Source, at: usize) -> Option<Range<usize>> {
    let mut found = None;
    source.tree().walk("", &mut |_, node| {
        let within = node.value == Value::Scalar && node.span.start < at && at < node.span.end;
        if within && source.text()[node.span.clone()].parse::<f64>().is_ok() {
            found = Some(node.span.clone());
        }
    });
    found
}

/// The field's name and the value that starts at a byte; the outermost where several do.
fn starting(root: &Node, at: usize) -> Option<(&str, &Node)> {
    let mut found = None;
    root.walk("", &mut |key, node| {
        if node.span.start == at && found.is_none() {
            found = Some((key, node));
        }
    });
    found
}

/// The field's name and the place of the innermost brackets that end at a byte.
fn tuple_ending(root: &Node, end: usize) -> Option<(&str, Range<usize>)> {
    let mut found = None;
    root.walk("", &mut |key, node| {
        if node.span.end == end && matches!(node.value, Value::Tuple(_) | Value::List(_)) {
            found = Some((key, node.span.clone()));
        }
    });
    found
}

/// The part of a value that a message names: a text, the end of one behind its `@`, or a field.
fn blamed(source: &Source, within: &Range<usize>, message: &str) -> Option<Range<usize>> {
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (mut text, mut field) = (None, None);
    let says = |key: &str| {
        words.contains(&key) || message.contains("bounds") && matches!(key, "between" | "outside")
    };
    source.tree().walk("", &mut |_, node| {
        if node.span.start < within.start || node.span.end > within.end {
            return;
        }
        if let Value::Text(t) = &node.value {
            let kind = t.rsplit_once('@').map(|(_, kind)| kind).filter(|kind| words.contains(kind));
            if words.contains(&t.as_str()) {
                text.get_or_insert(node.span.clone());
            } else if let Some(kind) = kind {
                let end = node.span.end - 1;
                text.get_or_insert(end.saturating_sub(kind.len())..end);
            }
        } else if let Value::Fields(fields) = &node.value {
            let hit = fields.iter().find(|f| says(&f.key));
            field = field.take().or(hit.map(|f| f.value.span.clone()));
        }
    });
    text.or(field)
}

/// How to write a tuple of as many values as ron's words say.
fn many(expected: &str) -> String {
    let n: usize = expected.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(2);
    let names: Vec<String> = ('a'..='z').take(n).map(String::from).collect();
    format!("write {n} values: ({})", names.join(", "))
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
