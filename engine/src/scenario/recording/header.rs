//! Which cell of a row each wanted column is.

use super::{ColumnSpec, Delimiter, TableSpec, TimeSpec, dates, lines::Cell, numbers::is_number};
use crate::{
    scenario::{
        diagnostic::{Diagnostic, Report, near},
        source::Source,
    },
    units::{self, Unit},
};
use std::{borrow::Cow, ops::Range};

/// A wanted column, found.
pub(super) struct Found {
    pub(super) cell: usize,
    pub(super) name: String,
    pub(super) from: Option<&'static Unit>,
    pub(super) to: Option<&'static Unit>,
    /// Its name in the table, where that alone says its unit.
    pub(super) says_unit: Option<String>,
}

/// The cells that a row's time stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeCells {
    /// Of the time, or of its date alone.
    pub(super) first: usize,
    /// Of the time of the day, where that is apart.
    pub(super) clock: Option<usize>,
}

impl TimeCells {
    /// The time of a row; a date and a time of the day with a blank between.
    pub(super) fn text<'a>(self, cells: &'a [Cell<'a>]) -> Cow<'a, str> {
        let text = |cell: usize| cells.get(cell).map_or("", |c| &c.text);
        match self.clock {
            Some(clock) => {
                let day = text(self.first);
                let plain = day.len() == 8 && day.bytes().all(|b| b.is_ascii_digit());
                let parted = plain.then(|| format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]));
                let day = parted.as_deref().unwrap_or(day);
                Cow::Owned(format!("{day} {}", text(clock)).trim().to_owned())
            }
            None => Cow::Borrowed(text(self.first)),
        }
    }

    /// Where it stands in its line.
    pub(super) fn span(self, line: &str, cells: &[Cell<'_>]) -> Range<usize> {
        cells.get(self.first).map_or(0..line.len(), |c| c.span.clone())
    }
}

/// The columns of a table.
pub(super) struct Header {
    /// Where times stand; none with a period.
    pub(super) time: Option<TimeCells>,
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
                Some(TimeCells { first: cell, clock: None })
            }
            None => {
                let two = name.split_once(',').and_then(|(day, clock)| {
                    Some(TimeCells { first: first.index(day)?, clock: Some(first.index(clock)?) })
                });
                if two.is_none() {
                    report.push(first.missing(name, &spec.origin));
                }
                two
            }
        },
    };
    let mut columns = Vec::new();
    if spec.columns.is_empty() {
        for (cell, c) in first.row.iter().enumerate() {
            if time.is_none_or(|t| cell != t.first && Some(cell) != t.clock)
                && is_number(&c.text, first.delimiter)
            {
                let name = first.name(cell);
                columns.push(Found { cell, name, from: None, to: None, says_unit: None });
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
    let own = first.name(cell);
    let by_name = if from.is_none() { wanted.to.and_then(|to| unit_in_name(&own, to)) } else { None };
    let from = from.or(by_name);
    let says_unit = by_name.map(|_| own);
    Ok(Found { cell, name: wanted.name.clone(), from, to: wanted.to, says_unit })
}

/// The unit that a column's name ends in, where it is another one of what is wanted: `T [°F]`, `room (K)`, `T_degF`.
fn unit_in_name(name: &str, to: &'static Unit) -> Option<&'static Unit> {
    let bracketed = || Some(name.trim_end().strip_suffix([')', ']'])?.rsplit_once(['(', '['])?.1);
    // A letter alone may be the name of a zone.
    let behind = || Some(name.rsplit_once(['_', ' '])?.1).filter(|last| last.chars().count() > 2);
    let told = bracketed().or_else(behind).and_then(units::find);
    told.filter(|unit| unit.dimension == to.dimension && unit.symbol != to.symbol)
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
    /// The other half of a time, where the cells named hold dates or times of the day alone and another of the row holds what
    /// they lack: of several the next one.
    pub(super) fn completed(&self, time: TimeCells) -> Option<TimeCells> {
        let TimeCells { first, clock: None } = time else { return None };
        let text = &self.row.get(first)?.text;
        let (day, clock) = (dates::is_day(text), dates::is_clock(text));
        let lacks = |cell: &usize| {
            let other = &self.row[*cell].text;
            day && dates::is_clock(other)
                || clock && dates::is_day(other) && !is_number(other, self.delimiter)
        };
        let width = self.row.len();
        let other = (first + 1..width).find(lacks).or_else(|| (0..first).rev().find(lacks))?;
        let (first, clock) = if day { (first, other) } else { (other, first) };
        Some(TimeCells { first, clock: Some(clock) })
    }

    /// What a column is called.
    pub(super) fn name(&self, cell: usize) -> String {
        let name = self.names.as_ref().and_then(|n| n.get(cell)).filter(|n| !n.is_empty());
        name.cloned().unwrap_or_else(|| format!("#{}", cell + 1))
    }

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
