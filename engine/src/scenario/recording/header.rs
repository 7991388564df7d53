//! Which cell of a row each wanted column is.

use super::{ColumnSpec, Delimiter, TableSpec, TimeSpec, lines::Cell, numbers::is_number};
use crate::{
    scenario::{
        diagnostic::{Diagnostic, Report, near},
        source::Source,
    },
    units::{self, Unit},
};
use std::ops::Range;

/// A wanted column, found.
pub(super) struct Found {
    pub(super) cell: usize,
    pub(super) name: String,
    pub(super) from: Option<&'static Unit>,
    pub(super) to: Option<&'static Unit>,
}

/// The columns of a table.
pub(super) struct Header {
    /// Index of the time column; none with a period.
    pub(super) time: Option<usize>,
    pub(super) columns: Vec<Found>,
    /// Cells that every row has.
    pub(super) width: usize,
}

/// The first line of the table: names where it has some, and its width.
pub(super) struct FirstLine<'a> {
    pub(super) file: &'a str,
    pub(super) line: &'a str,
    pub(super) number: usize,
    /// Names by cell, row-id column included.
    pub(super) names: Option<Vec<String>>,
    pub(super) width: usize,
    /// Cells of the first row of data.
    pub(super) row: &'a [Cell<'a>],
    /// What parts the cells.
    pub(super) delimiter: Delimiter,
}

pub(super) fn resolve(spec: &TableSpec, first: &FirstLine<'_>) -> Result<Header, Report> {
    let mut report = Report::default();
    let time = match &spec.time {
        TimeSpec::Period(_) => None,
        TimeSpec::Column(name) => match first.index(name) {
            Some(cell) => {
                if let Some(error) = first.twice(name, &spec.origin) {
                    report.push(error);
                }
                Some(cell)
            }
            None => {
                report.push(first.missing(name, &spec.origin));
                None
            }
        },
    };
    let mut columns = Vec::new();
    if spec.columns.is_empty() {
        for (cell, c) in first.row.iter().enumerate() {
            if Some(cell) != time && is_number(&c.text, first.delimiter) {
                let name = first.names.as_ref().and_then(|n| n.get(cell)).filter(|n| !n.is_empty());
                let name = name.cloned().unwrap_or_else(|| format!("#{}", cell + 1));
                columns.push(Found { cell, name, from: None, to: None });
            }
        }
    }
    for wanted in &spec.columns {
        match find(wanted, first) {
            Ok(found) => columns.push(found),
            Err(error) => report.push(*error),
        }
    }
    report.into_result().map(|_| Header { time, columns, width: first.width })
}

fn find(wanted: &ColumnSpec, first: &FirstLine<'_>) -> Result<Found, Box<Diagnostic>> {
    let point = |d: Diagnostic| first.point(d, &wanted.origin);
    let whole = wanted.column.trim();
    let split = whole.rsplit_once(char::is_whitespace).map(|(c, u)| (c.trim_end(), u));
    let asked = if first.index(whole).is_some() { whole } else { split.map_or(whole, |s| s.0) };
    if let Some(error) = first.twice(asked, &wanted.origin) {
        return Err(Box::new(error));
    }
    let (cell, unit_text) = match (first.index(whole), split, &wanted.unit) {
        (Some(cell), _, unit) => (cell, unit.as_deref()),
        (None, Some((column, unit)), None) => match first.index(column) {
            Some(cell) => (cell, Some(unit)),
            None => return Err(Box::new(first.missing(column, &wanted.origin))),
        },
        _ => return Err(Box::new(first.missing(whole, &wanted.origin))),
    };
    let from = match unit_text {
        None => None,
        Some(text) => Some(units::find(text).ok_or_else(|| {
            let known = units::all().flat_map(|u| u.spellings().iter().copied().chain([u.symbol]));
            let near = near(text, known).filter(|help| help.starts_with("did"));
            Box::new(
                point(Diagnostic::error(format!("`{text}` is no known unit")))
                    .help(units_that_fit(wanted.to))
                    .maybe_help(near),
            )
        })?),
    };
    if let (Some(from), Some(to)) = (from, wanted.to)
        && from.dimension != to.dimension
    {
        let message = format!(
            "`{}` is {}, but `{}` is {}",
            wanted.name,
            to.dimension.name(),
            from.symbol,
            from.dimension.name()
        );
        return Err(Box::new(point(Diagnostic::error(message)).help(units_that_fit(Some(to)))));
    }
    Ok(Found { cell, name: wanted.name.clone(), from, to: wanted.to })
}

/// The units of what a column has to measure, or some of all.
fn units_that_fit(to: Option<&'static Unit>) -> String {
    let fit: Vec<String> = units::all()
        .filter(|u| {
            to.map_or(matches!(u.symbol, "degC" | "percent" | "hPa" | "V"), |to| u.dimension == to.dimension)
        })
        .map(|u| format!("`{}`", u.symbol))
        .collect();
    if to.is_some() {
        format!("units that fit: {}", fit.join(", "))
    } else {
        format!("leave it out, or name one such as {}", fit.join(", "))
    }
}

impl FirstLine<'_> {
    /// The cell of a column given by name or as `#N`, from 1.
    fn index(&self, column: &str) -> Option<usize> {
        let column = column.trim();
        if let Some(names) = &self.names
            && let Some(at) = names.iter().position(|n| n == column)
        {
            return Some(at);
        }
        let n: usize = column.strip_prefix('#')?.parse().ok()?;
        (1..=self.width).contains(&n).then(|| n - 1)
    }

    /// What is wrong with a name that more than one column has.
    fn twice(&self, column: &str, origin: &Option<(Source, Range<usize>)>) -> Option<Diagnostic> {
        let column = column.trim();
        let names = self.names.as_ref().filter(|_| !column.is_empty())?;
        let hits = names.iter().enumerate().filter(|(_, name)| *name == column);
        let at: Vec<String> = hits.map(|(i, _)| format!("`#{}`", i + 1)).collect();
        (at.len() > 1).then(|| {
            let text = format!("`{}` has {} columns with the name `{column}`", self.file, at.len());
            let help = format!("say which one by its number, {}, or rename one of them", at.join(" or "));
            self.point(Diagnostic::error(text), origin).help(help)
        })
    }

    fn missing(&self, column: &str, origin: &Option<(Source, Range<usize>)>) -> Diagnostic {
        let error = Diagnostic::error(format!("`{}` has no column `{column}`", self.file));
        let help = match &self.names {
            Some(names) => near(column, names.iter().map(String::as_str).filter(|n| !n.is_empty())),
            None => None,
        };
        let help = help.unwrap_or_else(|| match &self.names {
            Some(_) => {
                format!("the table has {} columns; write a name of its first line, or #N from #1", self.width)
            }
            None => format!("the table has no header: write #1 to #{}", self.width),
        });
        self.point(error, origin).help(help)
    }

    /// At the place where the column was asked for or, failing that, at the table's first line.
    fn point(&self, error: Diagnostic, origin: &Option<(Source, Range<usize>)>) -> Diagnostic {
        match origin {
            Some((source, span)) => error.at(source, span.clone(), ""),
            None => {
                let excerpt = Source::excerpt(self.file, self.line, self.number);
                error.at(&excerpt, 0..self.line.len().min(80), "")
            }
        }
    }
}
