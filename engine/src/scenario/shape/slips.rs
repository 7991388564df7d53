//! Slips of those who write other languages too: a time without its quotes, a unit behind a number, a comment behind `#`, a bare
//! word where brackets are due.

use super::{value_at, word_before};
use crate::{
    scenario::{diagnostic::Diagnostic, source::Source},
    time::Span,
};
use ron::Error as E;
use std::ops::Range;

/// The slip behind ron's error, if it is one of these. `here` is where ron stopped, `token` the word or sign that stands there.
pub(super) fn find(
    source: &Source,
    error: &E,
    here: &Range<usize>,
    token: &Range<usize>,
) -> Option<Diagnostic> {
    let (text, token) = (source.text(), &source.clamp(token.clone()));
    let (before, rest) = (&text[..token.start], &text[token.start..]);
    if rest.starts_with('#') || matches!(error, E::ExpectedAttribute) && before.trim_end().ends_with('#') {
        let error = Diagnostic::error("`#` begins no comment");
        return Some(error.at(source, token.clone(), "").help("write `//` before what is a comment"));
    }
    match error {
        E::ExpectedComma | E::ExpectedArrayEnd | E::ExpectedMapEnd | E::ExpectedStructLikeEnd => {
            unit(source, token)
        }
        E::ExpectedDifferentStructName { found, .. } => {
            let word = word_before(source, found, token.end)?;
            let has_brackets = text[word.end..].trim_start().starts_with('(');
            (!has_brackets).then(|| {
                Diagnostic::error(format!("brackets are expected here, not `{found}`"))
                    .at(source, word, "")
                    .help("write its fields in brackets, `(name: value, …)`")
            })
        }
        E::ExpectedStructLike => {
            let word = value_at(source.tree(), here).or_else(|| value_at(source.tree(), token))?;
            let name = &text[word.clone()];
            let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.chars().all(|c| c.is_ascii_alphanumeric());
            is_name.then(|| {
                Diagnostic::error(format!("`{name}` is not all of this value"))
                    .at(source, word.clone(), "")
                    .help(format!("write what belongs to it in brackets: `{name}(…)`"))
            })
        }
        _ => None,
    }
}

/// A number that letters or a sign follow at once.
fn unit(source: &Source, token: &Range<usize>) -> Option<Diagnostic> {
    let text = source.text();
    let before = &text[..token.start];
    let from = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let number = &before[from..];
    let rest = &text[token.start..];
    let letters = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '%' | '°'))).unwrap_or(rest.len());
    let is_whole = !before[..from].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if letters == 0 || !is_whole || number.parse::<f64>().is_err() {
        return None;
    }
    let span = from..token.start + letters;
    let whole = text[span.clone()].to_owned();
    let error = if whole.parse::<Span>().is_ok() {
        Diagnostic::error(format!("the time `{whole}` stands without quotes"))
            .help(format!("write \"{whole}\""))
    } else {
        Diagnostic::error(format!("`{whole}` is neither a number nor a text in quotes"))
            .help(format!("write {number}, if that is in the unit that the field's name says"))
    };
    Some(error.at(source, span, ""))
}
