//! How a table writes its times, told by its first rows: in which cells, in which unit, in which order a date.

use super::{
    DateOrder, Policy, TableSpec, dates,
    header::{FirstLine, TimeCells},
    lines::{Cell, Delimiter, LineError, Lines, explain},
    numbers::comma_for_point,
    when::{Clock, TimeUnit},
};
use crate::scenario::{
    calendar,
    diagnostic::{Diagnostic, Report},
    source::Source,
};
use std::borrow::Cow;

/// Whether the row after the first is of the same day: then the day alone is not when it was.
pub(super) fn is_repeated(
    time: TimeCells,
    row: &[Cell<'_>],
    lines: &mut Lines,
    delimiter: Delimiter,
) -> Result<bool, (usize, LineError)> {
    let day = row.get(time.first).map_or("", |c| &c.text);
    let mut same = false;
    lines.scan(|line| {
        same = delimiter.split(line).get(time.first).is_some_and(|c| c.text == day);
        true
    })?;
    Ok(same)
}

/// The unit in the name of a column of times, where these are plain numbers.
pub(super) fn unit_by_name(first: &FirstLine<'_>, time: TimeCells) -> Option<TimeUnit> {
    let names = first.names.as_ref()?;
    let unit = TimeUnit::of_name(names.get(time.first)?)?;
    // A line of units lies between the names and the rows of some tables.
    let clock = Clock::of(&pointed(&time.text(first.row)), None);
    clock.is_none_or(|clock| matches!(clock, Clock::Number { .. })).then_some(unit)
}

pub(super) fn first_time(
    first: &First<'_>,
    row: &[Cell<'_>],
    spec: &TableSpec,
) -> Result<Option<Clock>, Report> {
    let text = first.time.text(row);
    if let Some(clock) = Clock::of(&pointed(&text), first.unit) {
        return Ok(Some(clock));
    }
    if spec.policy == Policy::Report {
        return Ok(None);
    }
    let span = first.time.span(first.line, row);
    Err(not_a_time(&text).at(&Source::excerpt(first.file, first.line, first.number), span, "").into())
}

/// A time in seconds may have a decimal comma: a cell that holds one is never two.
pub(super) fn pointed(text: &str) -> Cow<'_, str> {
    comma_for_point(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The first row, which of its cells are its time, and the unit of that.
pub(super) struct First<'a> {
    pub(super) file: &'a str,
    pub(super) number: usize,
    pub(super) line: &'a str,
    pub(super) time: TimeCells,
    pub(super) unit: Option<TimeUnit>,
}

/// The clock with the order of its dates, where that is in question: told by the flag, or by the rows to come.
pub(super) fn in_order(
    clock: Option<Clock>,
    spec: &TableSpec,
    first: &First<'_>,
    lines: &mut Lines,
    delimiter: Delimiter,
) -> Result<Option<Clock>, Report> {
    if clock.is_some_and(|c| c != Clock::Dates(None)) {
        return Ok(clock);
    }
    let mut evidence = dates::Evidence::default();
    let mut shown = None;
    // The first row with a readable time says how times are written, those after it in which order.
    let mut take = |line: &str| {
        let cells = delimiter.split(line);
        let text = first.time.text(&cells);
        match Clock::of(&pointed(&text), first.unit) {
            Some(Clock::Dates(_)) => {
                shown.get_or_insert_with(|| text.to_string());
                spec.dates.is_some() || evidence.take(&text)
            }
            Some(_) => shown.is_none(),
            None => false,
        }
    };
    if !take(first.line) {
        lines.scan(take).map_err(|(number, error)| Report::from(explain(first.file, number, error)))?;
    }
    let Some(text) = shown else { return Ok(clock) };
    if let Some(order) = spec.dates.or_else(|| evidence.order()) {
        return Ok(Some(Clock::Dates(Some(order))));
    }
    let span = first.time.span(first.line, &delimiter.split(first.line));
    if evidence.year_first() {
        let error = Diagnostic::error(format!("`{text}` has its year first, in two digits"))
            .help("write it in four digits: 2024-05-01");
        return Err(error.at(&Source::excerpt(first.file, first.line, first.number), span, "").into());
    }
    Err(either_order(&text, spec).at(&Source::excerpt(first.file, first.line, first.number), span, "").into())
}

fn either_order(text: &str, spec: &TableSpec) -> Diagnostic {
    let written = |order| dates::unix_ns(text, order).map(calendar::text).unwrap_or_default();
    let (day, month) = (written(DateOrder::DayFirst), written(DateOrder::MonthFirst));
    let date = |text: &str| text.chars().take(10).collect::<String>();
    let error = Diagnostic::error(format!(
        "`{text}` may be {} or {}, and no row shows which",
        date(&day),
        date(&month)
    ));
    match spec.policy {
        Policy::Report => error.help("say `--dates day-first` or `--dates month-first`"),
        Policy::Strict => error.help(format!("write dates as {}", date(&day))),
    }
}

pub(super) fn not_a_time(text: &str) -> Diagnostic {
    let what =
        if text.is_empty() { "the time is missing".to_owned() } else { format!("`{text}` is no time") };
    Diagnostic::error(what).help(
        "times are written 2020-07-29T16:59:35Z, 2020-07-29 16:59:35.5, as seconds from the start, or as Unix time",
    )
}
