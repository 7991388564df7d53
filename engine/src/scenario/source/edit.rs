//! `--set path=value`: a text with one value replaced or added, which remembers who wrote it.

use super::Source;
use crate::scenario::{
    diagnostic::{Diagnostic, Report, near},
    tree::{self, Node, Step, Value},
};
use std::ops::Range;

impl Source {
    /// The text after `path=value`, as `--set` gives it: the value replaces the one at the path, or is added where the field
    /// is missing. A value that is no RON, such as `10min`, is quoted.
    pub fn set(&self, assignment: &str) -> Result<Self, Report> {
        let flag = Self::embedded("--set", assignment);
        if let Some(broken) = &self.parsed().1 {
            return Err(self.unbalanced(broken).into());
        }
        let Some(equals) = assignment.find('=') else {
            return Err(Diagnostic::error("a value to set is written `path=value`")
                .at(&flag, 0..assignment.len(), "there is no `=`")
                .help("such as `--set fleet[0].count=50` or `--set duration=10min`")
                .into());
        };
        let path = assignment[..equals].trim_end();
        let value = assignment[equals + 1..].trim();
        let steps = tree::path(path).map_err(|span| {
            Diagnostic::error("this is no path to a field")
                .at(&flag, span, "")
                .help("paths are written `fleet[0].count`, `links[wifi].loss` or `map[\"a key\"]`")
        })?;
        let value_span = assignment.len() - value.len()..assignment.len();
        if value.is_empty() {
            return Err(Diagnostic::error("there is no value to set")
                .at(&flag, equals..equals + 1, "nothing follows")
                .help("write it after the `=`, such as `--set duration=10min`")
                .into());
        }
        let (node, rest) = descend(self.tree(), &steps);
        if rest.is_empty() {
            let was_text = matches!(node.value, Value::Text(_));
            let value = literal(value, was_text, &flag, value_span)?;
            return Ok(self.splice(node.span.clone(), &value, 0, assignment));
        }
        let value = literal(value, false, &flag, value_span)?;
        let unfit = || {
            let known: Vec<&str> = match &node.value {
                Value::Fields(fields) => fields.iter().map(|f| f.key.as_str()).collect(),
                Value::List(items) => {
                    items.iter().filter_map(|item| item.get("id").and_then(Node::text)).collect()
                }
                _ => Vec::new(),
            };
            let what = match &rest[0] {
                Step::Key(key) => format!("`{key}`"),
                Step::Index(i) => format!("element {i}"),
            };
            let word = match &rest[0] {
                Step::Key(key) => key.clone(),
                Step::Index(i) => i.to_string(),
            };
            let help = match &node.value {
                Value::List(items) if known.is_empty() || matches!(rest[0], Step::Index(_)) => {
                    let plural = if items.len() == 1 { "" } else { "s" };
                    Some(format!("the list has {} element{plural}, counted from 0", items.len()))
                }
                Value::Fields(_) | Value::Map(_) | Value::List(_) => near(&word, known),
                _ => Some("what stands there holds no fields: set it whole".to_owned()),
            };
            let at = assignment[..equals].find(word.as_str()).map_or(0..equals, |i| i..i + word.len());
            Diagnostic::error(format!("`{}` has no {what} to set", self.name()))
                .at(&flag, at, "")
                .maybe_help(help)
        };
        // What is missing is made of structs alone: `record.segment=1h` may add `record: (segment: "1h")`.
        let mut wrapped = value;
        for step in rest[1..].iter().rev() {
            match step {
                Step::Key(key) => wrapped = format!("({key}: {wrapped})"),
                Step::Index(_) => return Err(unfit().into()),
            }
        }
        let inner = match &node.value {
            Value::Tuple(items) if items.len() == 1 => &items[0],
            _ => node,
        };
        let key = match &rest[0] {
            Step::Key(key) => key,
            Step::Index(_) => return Err(unfit().into()),
        };
        let (entry, last) = match &inner.value {
            Value::Fields(fields) => (format!("{key}: {wrapped}"), fields.last().map(|f| f.value.span.end)),
            Value::Tuple(items) if items.is_empty() => (format!("{key}: {wrapped}"), None),
            Value::Map(pairs) => (format!("{key:?}: {wrapped}"), pairs.last().map(|(_, v)| v.span.end)),
            _ => return Err(unfit().into()),
        };
        // Directly after the last value, so that a comma or comment behind it stays what it was.
        let (at, entry, skip) = match last {
            Some(end) => (end, format!(", {entry}"), 2),
            None => (inner.span.end - 1, entry, 0),
        };
        Ok(self.splice(at..at, &entry, skip, assignment))
    }

    fn splice(&self, span: Range<usize>, value: &str, skip: usize, assignment: &str) -> Self {
        let mut text = self.0.text.clone();
        text.replace_range(span.clone(), value);
        let grown = value.len() as isize - span.len() as isize;
        let moved = |at: usize| at.saturating_add_signed(grown);
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        for (range, of) in &self.0.edits {
            if range.end <= span.start {
                edits.push((range.clone(), of.clone()));
            } else if range.start >= span.end {
                edits.push((moved(range.start)..moved(range.end), of.clone()));
            } else if range.start <= span.start && range.end >= span.end {
                edits.push((range.start..moved(range.end), of.clone()));
            }
        }
        edits.push((span.start + skip..span.start + value.len(), assignment.to_owned()));
        Self::make(self.0.name.clone(), text, self.0.first_line, edits)
    }
}

/// Follows the steps as far as the tree goes: the last node, and the steps that are left.
fn descend<'a, 's>(root: &'a Node, steps: &'s [Step]) -> (&'a Node, &'s [Step]) {
    let mut node = root;
    for (i, step) in steps.iter().enumerate() {
        match node.child(step) {
            Some(child) => node = child,
            None => return (node, &steps[i..]),
        }
    }
    (node, &[])
}

/// The value as RON: as it is where it reads as one value, else quoted.
fn literal(value: &str, want_text: bool, flag: &Source, span: Range<usize>) -> Result<String, Report> {
    let quote = || format!("{value:?}");
    if value.starts_with(['"', '(', '[', '{']) || value.contains('(') {
        let (node, broken) = tree::parse(value);
        let whole = broken.is_none() && node.span == (0..value.len());
        return if whole {
            Ok(value.to_owned())
        } else if want_text {
            Ok(quote())
        } else {
            Err(Diagnostic::error("this is not one RON value")
                .at(flag, span, "")
                .help("are all brackets and quotes closed?")
                .into())
        };
    }
    let number = value.parse::<f64>().is_ok() || value.starts_with("0x");
    let word = value.chars().all(|c| c.is_alphanumeric() || c == '_')
        && value.starts_with(|c: char| c.is_alphabetic());
    Ok(if want_text || !(number || word) { quote() } else { value.to_owned() })
}
