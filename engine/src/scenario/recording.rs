//! Recordings: tables of readings, checked row by row and read to columns.
//!
//! ```
//! use twinfleet_engine::scenario::recording::{ColumnSpec, Recording, TableSpec, TimeSpec};
//! let csv = b"datetime,usage,temp\n2020-07-29 16:59:35.0,44.5,45.084\n2020-07-29 16:59:36.0,50.0,46.16\n";
//! let spec = TableSpec::new(TimeSpec::Column("datetime".into()))
//!     .column(ColumnSpec::mapped("soc.temperature", "temp C"));
//! let table = Recording::read("pi.csv", Box::new(&csv[..]), &spec).unwrap();
//! assert_eq!(table.t_s, [0.0, 1.0]);
//! assert_eq!(table.columns[0].values, [45.084, 46.16]);
//! assert_eq!(table.columns[0].unit, "degC");
//! ```

mod astray;
mod dates;
mod encoding;
mod header;
mod lines;
mod markers;
mod numbers;
mod opening;
mod reader;
mod survey;
mod when;
mod written;

pub use dates::DateOrder;
pub use lines::{Delimiter, MAX_LINE};
pub use when::TimeUnit;

use super::{
    Gaps, PhysicalSource,
    diagnostic::{Diagnostic, Report},
    files::Files,
    source::Source,
};
use crate::{
    mirror::physical::GAP_STEPS,
    time::Span,
    units::{self, Unit},
};
use std::{fs::File, io::Read, ops::Range, path::Path};

/// Most rows of a table; beyond, memory would be the limit and the message worse.
pub const MAX_ROWS: usize = 50_000_000;

/// Where a table's times come from.
#[derive(Clone, Debug)]
pub enum TimeSpec {
    /// A column: a name or `#N`; or two with a comma between, of dates and of times of the day.
    Column(String),
    /// Rows are this far apart.
    Period(Span),
}

/// What to do about cells that hold no reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Text, NaN, times out of order and times given twice are errors. Empty cells and gaps are warnings.
    #[default]
    Strict,
    /// They are counted in [`TableNotes`]: such cells become missing, such rows are left out. A column of text alone is an
    /// error all the same.
    Report,
}

/// A column to read, and what it becomes.
#[derive(Clone, Debug)]
pub struct ColumnSpec {
    /// Name in the table that results.
    pub name: String,
    /// Header name or `#N`, which a blank and a unit may follow.
    pub column: String,
    /// Unit of the cells, where it is given apart from the column.
    pub unit: Option<String>,
    /// Unit of the result. None: the cells' own.
    pub to: Option<&'static Unit>,
    /// Where the column was asked for, to point at it when there is none.
    pub origin: Option<(Source, Range<usize>)>,
}

impl ColumnSpec {
    /// A column as a scenario's `map` writes it (`"temp C"`), for a signal `part.quantity`.
    pub fn mapped(signal: &str, column: &str) -> Self {
        Self {
            name: signal.to_owned(),
            column: column.to_owned(),
            unit: None,
            to: units::of_quantity(quantity_of(signal)),
            origin: None,
        }
    }

    /// A column as the commands' `--map signal=COL[:unit]` writes it. `None` without `=`.
    pub fn flag(text: &str) -> Option<Self> {
        let (signal, column) = text.split_once('=')?;
        let (column, unit) = match column.rsplit_once(':') {
            Some((column, unit)) => (column, Some(unit.to_owned())),
            None => (column, None),
        };
        let at = Source::embedded("--map", text);
        let span = signal.len() + 1..text.len();
        Some(Self { unit, origin: Some((at, span)), ..Self::mapped(signal, column) })
    }
}

fn quantity_of(signal: &str) -> &str {
    signal.rsplit('.').next().unwrap_or(signal)
}

/// What to read from a table.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Times.
    pub time: TimeSpec,
    /// Unit of a numeric time column. None: as its name says (`t_min`), or told by magnitude.
    pub time_unit: Option<TimeUnit>,
    /// Order of dates such as 03/02/2020. None: told by the rows.
    pub dates: Option<DateOrder>,
    /// Whether the first line holds names. None: it does if none of its cells is a number.
    pub header: Option<bool>,
    /// Columns. Empty: every column but the times whose first cell is a number.
    pub columns: Vec<ColumnSpec>,
    /// What to do about bad cells.
    pub policy: Policy,
    /// Where the time column was asked for.
    pub origin: Option<(Source, Range<usize>)>,
}

impl TableSpec {
    /// Every numeric column, strictly.
    pub fn new(time: TimeSpec) -> Self {
        Self {
            time,
            time_unit: None,
            dates: None,
            header: None,
            columns: Vec::new(),
            policy: Policy::Strict,
            origin: None,
        }
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, column: ColumnSpec) -> Self {
        self.columns.push(column);
        self
    }
}

/// A column that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name, as the spec gave it, or the header's.
    pub name: String,
    /// Unit symbol; `none` where nothing is known.
    pub unit: String,
    /// One value per row; NaN where it is missing.
    pub values: Vec<f64>,
}

/// A table that was read: times ascend strictly.
#[derive(Clone, Debug)]
pub struct Table {
    /// Times, [s] since the first row.
    pub t_s: Vec<f64>,
    /// Unix time of the first row, [ns], where the table says.
    pub t0_unix_ns: Option<i64>,
    /// Columns, in the order of the spec.
    pub columns: Vec<Column>,
    /// What was found on the way.
    pub notes: TableNotes,
    /// The times as the rows write them ([`Policy::Report`] only).
    times: Option<written::Written>,
}

/// What was found while a table was read.
#[derive(Clone, Debug, Default)]
pub struct TableNotes {
    /// Cells that held no reading, per column: empty ones and, by [`Policy::Report`], bad ones and signs such as -9999.
    pub missing: Vec<u64>,
    /// Cells that held text, NaN or an infinity ([`Policy::Report`] only).
    pub bad_cells: u64,
    /// Rows left out since their time could not be read ([`Policy::Report`] only).
    pub bad_times: u64,
    /// Rows left out since their time had been given before ([`Policy::Report`] only).
    pub duplicates: u64,
    /// Rows left out since their time lies before the row above ([`Policy::Report`] only).
    pub out_of_order: u64,
    /// Rows that have more or fewer cells than the others ([`Policy::Report`] only).
    pub ragged: u64,
    /// The first of the cells that held text: its line, the column and what stands there ([`Policy::Report`] only).
    pub first_bad: Option<(usize, String, String)>,
    /// Each row left out ([`Policy::Report`] only): how many rows were kept before it, and its time from the first row, [s],
    /// where it could be read.
    pub left_out: Vec<(usize, Option<f64>)>,
    /// Steps longer than three times the median: (index of the row before, length in seconds).
    pub gaps: Vec<(usize, f64)>,
    /// Line of the row after each gap.
    pub gap_lines: Vec<usize>,
    /// Median step, [s]; 0 with fewer than two rows.
    pub median_step_s: f64,
    /// The same as warnings, to be shown.
    pub warnings: Report,
}

/// Reads recordings.
pub struct Recording;

impl TableNotes {
    /// The first gap of more than so many median steps: line of the row after it, and its length, [s].
    pub fn first_gap_over(&self, steps: f64) -> Option<(usize, f64)> {
        let long = self.gaps.iter().zip(&self.gap_lines).find(|(g, _)| g.1 > steps * self.median_step_s)?;
        Some((*long.1, long.0.1))
    }
}

impl Recording {
    /// Reads a file.
    pub fn open(path: &Path, spec: &TableSpec) -> Result<Table, Report> {
        let name = path.display().to_string();
        let refuse = |error: std::io::Error| -> Report {
            let message = super::source::describe(&error, &name);
            Diagnostic::error(message).maybe_help(super::source::neighbours(path)).into()
        };
        if let Some((message, help)) = super::source::irregular(path) {
            return Err(Diagnostic::error(message).maybe_help(help).into());
        }
        let file = File::open(path).map_err(refuse)?;
        Self::read(&name, Box::new(file), spec)
    }

    /// The names in a file's first line that is no comment; none where it cannot be read.
    pub fn names(path: &Path) -> Vec<String> {
        let names = || -> Option<Vec<String>> {
            if super::source::irregular(path).is_some() {
                return None;
            }
            let mut lines = lines::Lines::new(Box::new(File::open(path).ok()?), true).ok()?;
            let delimiter = Delimiter::sniff(lines.look_ahead().ok()?);
            while let Some((_, line)) = lines.next().ok()? {
                if !line.starts_with('#') {
                    let cells = delimiter.split(&line);
                    return Some(cells.iter().map(|c| c.text.trim().to_owned()).collect());
                }
            }
            None
        };
        names().unwrap_or_default()
    }

    /// Reads from anywhere; `name` is what errors call it.
    pub fn read(name: &str, from: Box<dyn Read>, spec: &TableSpec) -> Result<Table, Report> {
        reader::read(name, from, spec)
    }

    /// Reads what a physical of a scenario replays: one column per mapped signal, named `part.quantity`, in the engine's
    /// unit, in the map's order. Without `origin`, errors point at the table; with it (the scenario's text and the path of the physical's `from`),
    /// errors about columns point at the scenario.
    pub fn of_physical(
        from: &PhysicalSource,
        files: &Files,
        origin: Option<(&Source, &str)>,
    ) -> Result<Table, Report> {
        let PhysicalSource::Recording { path, time, period, header, map, gaps } = from;
        let place = |at: String| {
            origin.map(|(source, base)| (source.clone(), source.span_of(&format!("{base}.{at}"))))
        };
        let timing = match (time, period) {
            (Some(column), None) => TimeSpec::Column(column.clone()),
            (None, Some(period)) => TimeSpec::Period(*period),
            (both, _) => {
                let what = if both.is_some() {
                    "both `time` and `period` are"
                } else {
                    "neither `time` nor `period` is"
                };
                let mut error = Diagnostic::error(format!("{what} given"));
                if let Some((source, base)) = origin {
                    error = error.at(source, source.head(source.span_of(base)), "");
                }
                return Err(error
                    .help(
                        "name the column of time (`time`), or the spacing of rows that carry none (`period`)",
                    )
                    .into());
            }
        };
        let mut spec = TableSpec::new(timing);
        spec.header = Some(*header);
        spec.origin = place("time".to_owned());
        for (signal, (key, column)) in from.signals().zip(map) {
            let mut wanted = ColumnSpec::mapped(signal, column);
            wanted.origin = place(format!("map[\"{key}\"]"));
            spec = spec.column(wanted);
        }
        let (name, bytes) = files.open(path).map_err(|error| {
            let mut said = Diagnostic::error(error.message);
            if let Some((source, span)) = place("path".to_owned()) {
                said = said.at(&source, span, "named here");
            }
            said.maybe_help(error.help)
        })?;
        let table = Self::read(&name, bytes, &spec)?;
        match table.notes.first_gap_over(GAP_STEPS as f64) {
            Some((line, gap_s)) if *gaps == Gaps::Refuse => {
                let text =
                    files.open(path).ok().and_then(|(_, bytes)| nth_line(bytes, line)).unwrap_or_default();
                let median = table.notes.median_step_s;
                let what = format!("{gap_s:.1} s without a row, where rows are {median:.3} s apart");
                Err(Diagnostic::error(what)
                    .at(&Source::excerpt(&name, &text, line), 0..text.len(), "the first row after the gap")
                    .help("if the device was off, say so: `gaps: Offline` publishes that it was; else close the gap")
                    .into())
            }
            _ => Ok(table),
        }
    }
}

/// A line of a table that was read before, by its number.
fn nth_line(bytes: Box<dyn Read>, line: usize) -> Option<String> {
    let mut lines = lines::Lines::new(bytes, true).ok()?;
    while let Some((number, text)) = lines.next().ok()? {
        if number == line {
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests;
