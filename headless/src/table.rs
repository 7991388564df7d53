//! Tables of readings by flags: how times and columns are named, what was odd about a file, where a part of it ends.

use clap::Args;
use std::path::Path;
use twinfleet_engine::{
    scenario::{
        calendar,
        diagnostic::{Diagnostic, Report},
        recording::{
            ColumnSpec, DateOrder, Policy, Recording, Table, TableNotes, TableSpec, TimeSpec, TimeUnit,
        },
        source::Source,
    },
    time::{NS_PER_S, Span},
};

/// How tables are read; the flags that all `score` commands and `train` share.
#[derive(Clone, Debug, Args)]
pub struct ReadingArgs {
    /// Column of time: a name of the first line, or `#N` counted from 1. ISO 8601, `YYYY-MM-DD HH:MM:SS[.f]`,
    /// `20200729165900`, `29/07/2020 16:59`, seconds from the start, or Unix time (its unit is told by magnitude).
    #[arg(long, value_name = "COL")]
    pub time: Option<String>,
    /// Unit of a numeric time column: s, ms, us or ns.
    #[arg(long, value_name = "UNIT", value_parser = parse_unit)]
    pub time_unit: Option<TimeUnit>,
    /// Order of dates such as 03/02/2020: day-first or month-first. Told by the rows where they show it.
    #[arg(long, value_name = "ORDER", value_parser = parse_dates)]
    pub dates: Option<DateOrder>,
    /// Spacing of the rows where there is no time column: seconds, or such as `3min`.
    #[arg(long, value_name = "S", conflicts_with = "time", value_parser = parse_period)]
    pub period: Option<Span>,
    /// The first line holds readings, not names; columns are then `#N`.
    #[arg(long)]
    pub no_header: bool,
}

fn parse_unit(text: &str) -> Result<TimeUnit, String> {
    match text {
        "s" => Ok(TimeUnit::S),
        "ms" => Ok(TimeUnit::Ms),
        "us" => Ok(TimeUnit::Us),
        "ns" => Ok(TimeUnit::Ns),
        _ => Err("write s, ms, us or ns".to_owned()),
    }
}

fn parse_dates(text: &str) -> Result<DateOrder, String> {
    match text {
        "day-first" => Ok(DateOrder::DayFirst),
        "month-first" => Ok(DateOrder::MonthFirst),
        _ => Err("write day-first or month-first".to_owned()),
    }
}

fn parse_period(text: &str) -> Result<Span, String> {
    let span = match text.parse::<f64>() {
        Ok(s) if s.is_finite() && (0.0..9e9).contains(&s) => Span::from_secs_f64(s),
        Ok(_) => return Err("write a number of seconds above 0".to_owned()),
        Err(_) => text.parse::<Span>().map_err(|e| e.to_string())?,
    };
    if span.0 > 0 { Ok(span) } else { Err("the rows must lie some time apart".to_owned()) }
}

/// A column as a flag names it, in its own unit.
///
/// `flag` is what the mistake is shown in, such as `--target`.
pub fn column(flag: &str, name: &str) -> ColumnSpec {
    let at = Source::embedded(flag, name);
    let span = 0..name.len();
    ColumnSpec {
        name: name.trim().to_owned(),
        column: name.to_owned(),
        unit: None,
        to: None,
        origin: Some((at, span)),
    }
}

impl ReadingArgs {
    /// What to read; without columns, every one whose first cell is a number.
    pub fn spec(&self, columns: Vec<ColumnSpec>) -> Result<TableSpec, Report> {
        let time = match (&self.time, self.period) {
            (Some(column), _) => TimeSpec::Column(column.clone()),
            (None, Some(period)) => TimeSpec::Period(period),
            (None, None) => {
                let error = Diagnostic::error("--time or --period is needed");
                return Err(error
                    .help("name the column of time, or the spacing of the rows (--period 1)")
                    .into());
            }
        };
        let mut spec = TableSpec::new(time);
        spec.header = self.no_header.then_some(false);
        spec.policy = Policy::Report;
        spec.time_unit = self.time_unit;
        spec.dates = self.dates;
        spec.columns = columns;
        if let Some(name) = &self.time {
            spec.origin = Some((Source::embedded("--time", name.as_str()), 0..name.len()));
        }
        Ok(spec)
    }

    /// Reads a table. Cells without a reading are NaN, rows without a usable time are left out, and what was odd is in
    /// the notes' warnings: nothing is filled in.
    pub fn open(&self, path: &Path, columns: Vec<ColumnSpec>) -> Result<Table, Report> {
        open(path, &self.spec(columns)?)
    }
}

/// Reads a table by a spec, and adds what the lenient reader counted to its warnings.
pub fn open(path: &Path, spec: &TableSpec) -> Result<Table, Report> {
    let mut table = Recording::open(path, spec)?;
    for warning in oddities(&path.display().to_string(), &table.notes) {
        table.notes.warnings.push(warning);
    }
    Ok(table)
}

/// What the lenient reader counted, in words.
fn oddities(file: &str, notes: &TableNotes) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let mut say = |n: u64, one: &str, many: &str, help: &str| {
        if n > 0 {
            let what = if n == 1 { format!("one {one}") } else { format!("{n} {many}") };
            all.push(Diagnostic::warning(format!("`{file}`: {what}")).help(help));
        }
    };
    let missing = "nothing is filled in: such a reading is missing";
    say(notes.bad_cells, "cell holds text or no number", "cells hold text or no number", missing);
    say(notes.bad_times, "row has no readable time", "rows have no readable time", "they are left out");
    say(
        notes.duplicates,
        "row repeats the time of the row above",
        "rows repeat the time of the row above",
        "the first row of a time counts, the others are left out",
    );
    say(
        notes.out_of_order,
        "row lies before the row above in time",
        "rows lie before the row above in time",
        "they are left out: sort the file if they are wanted",
    );
    all
}

/// A time of a table as people and machines read it: calendar time in UTC where the table has it, seconds from the start
/// elsewhere.
pub fn time_text(t0_unix_ns: Option<i64>, t_s: f64) -> String {
    let Some(t0) = t0_unix_ns else {
        return format!("{}", (t_s * 1e6).round() / 1e6);
    };
    let text = calendar::text(t0.saturating_add((t_s * NS_PER_S as f64).round() as i64));
    let text = text.trim_end_matches('Z').replacen('T', " ", 1);
    text.strip_suffix(".000").map_or(text.clone(), str::to_owned)
}

/// Where a part of a table ends: after so many rows, or before a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Border {
    /// After this many rows.
    Row(usize),
    /// Before this calendar time, Unix [ns].
    Calendar(i64),
    /// Before this time from the first row.
    Since(Span),
}

impl std::str::FromStr for Border {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(row) = text.parse::<usize>() {
            return Ok(Self::Row(row));
        }
        if let Some(ns) = calendar::unix_ns(text) {
            return Ok(Self::Calendar(ns));
        }
        text.parse::<Span>().map(Self::Since).map_err(|_| {
            "write a number of rows (11520), a time (2016-04-01, \"2016-04-01 12:00:00\"), or a span from the first row (30d)"
                .to_owned()
        })
    }
}

impl Border {
    /// The number of rows before it.
    pub fn rows(&self, flag: &str, table: &Table) -> Result<usize, Report> {
        let before = |limit_s: f64| table.t_s.partition_point(|t| *t < limit_s - 1e-9);
        match self {
            // As large a number counts nanoseconds, or seconds since 1970, rather than rows.
            Self::Row(n) if *n > table.t_s.len() && *n >= 100_000_000 && table.t0_unix_ns.is_some() => {
                let unix_s = match *n as f64 {
                    n if n < 1e11 => n,
                    n if n < 1e14 => n / 1e3,
                    n if n < 1e17 => n / 1e6,
                    n => n / 1e9,
                };
                Ok(before(unix_s - table.t0_unix_ns.unwrap_or(0) as f64 / NS_PER_S as f64))
            }
            Self::Row(n) if *n > table.t_s.len() => {
                let rows = table.t_s.len();
                let error = Diagnostic::error(format!("{flag} {n} lies behind the table's {rows} rows"));
                Err(error.help("a whole number counts rows; a time is written 2016-04-01 12:00:00").into())
            }
            Self::Row(n) => Ok(*n),
            Self::Since(span) => Ok(before(span.as_secs_f64())),
            Self::Calendar(ns) => match table.t0_unix_ns {
                Some(t0) => Ok(before(ns.saturating_sub(t0) as f64 / NS_PER_S as f64)),
                None => {
                    let error =
                        Diagnostic::error(format!("{flag} is a calendar time, but the table has none"));
                    Err(error.help("count rows (1200), or name a span from the first row (20min)").into())
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_read_and_found() {
        let table = Recording::read(
            "a.csv",
            Box::new(&b"date,T\n2016-01-11 17:00:00,1\n2016-01-11 17:10:00,2\n2016-01-11 17:20:00,3\n"[..]),
            &TableSpec::new(TimeSpec::Column("date".into())),
        )
        .unwrap();
        for (text, rows) in [
            ("2", 2),
            ("2016-01-11 17:10:00", 1),
            ("2016-01-11T17:10:01", 2),
            ("2016-01-12", 3),
            ("1452532200", 1),
            ("1452532200000", 1),
            ("20min", 2),
        ] {
            assert_eq!(
                text.parse::<Border>().unwrap().rows("--train-until", &table).unwrap(),
                rows,
                "{text}"
            );
        }
        assert!("soon".parse::<Border>().is_err());
        assert!("4".parse::<Border>().unwrap().rows("--train-until", &table).is_err());
    }

    #[test]
    fn times_are_written_as_tables_write_them() {
        assert_eq!(time_text(Some(1_452_531_600_000_000_000), 600.0), "2016-01-11 17:10:00");
        assert_eq!(time_text(Some(1_452_531_600_000_000_000), 0.25), "2016-01-11 17:00:00.250");
        assert_eq!(time_text(None, 1.0027), "1.0027");
    }

    #[test]
    fn periods_are_seconds_or_spans() {
        assert_eq!(parse_period("180"), Ok(Span::from_secs(180)));
        assert_eq!(parse_period("3min"), Ok(Span::from_secs(180)));
        assert!(parse_period("0").is_err() && parse_period("-1").is_err() && parse_period("x").is_err());
    }
}
