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
    /// Column of time: a name of the first line, or `#N` counted from 1; two of them (`Date,Time`) where the time of the day is
    /// apart. ISO 8601, `YYYY-MM-DD HH:MM:SS[.f]`, `20200729165900`, `29/07/2020 16:59`, seconds or `HH:MM:SS` from the start,
    /// or Unix time (its unit is told by magnitude).
    #[arg(long, value_name = "COL")]
    pub time: Option<String>,
    /// Unit of a numeric time column: s, ms, us, ns, min, h or d. Without it, the one that its name ends in (`t_min`).
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
    TimeUnit::of_name(text).ok_or_else(|| "write s, ms, us, ns, min, h or d".to_owned())
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

/// Puts names that a flag took apart at their commas together again, where the table has them so: `temp, C`.
pub fn rejoin(path: &Path, given: &mut Vec<String>) {
    let names = Recording::names(path);
    let is_name = |name: &str| names.iter().any(|n| n == name.trim());
    if given.iter().all(|name| is_name(name)) {
        return;
    }
    let mut whole = Vec::new();
    let mut rest = given.as_slice();
    while !rest.is_empty() {
        let together = (2..=rest.len()).rev().find(|n| is_name(&rest[..*n].join(","))).unwrap_or(1);
        whole.push(rest[..together].join(","));
        rest = &rest[together..];
    }
    *given = whole;
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

    /// The same for what counts in rows: where their rate changes, that is said.
    pub fn open_by_rows(&self, path: &Path, columns: Vec<ColumnSpec>) -> Result<Table, Report> {
        let mut table = self.open(path, columns)?;
        if let Some((slow_s, fast_s)) = rates(&table.t_s) {
            let what = format!(
                "`{}`: its rate changes: over some of it rows are {slow_s:.3} s apart, over some {fast_s:.3} s",
                path.display()
            );
            let help = "so many rows ahead, or back, are another time there: cut it where the rate changes, or resample it";
            table.notes.warnings.push(Diagnostic::warning(what).help(help));
        }
        Ok(table)
    }
}

/// Stretches of a table whose usual spacings are compared, the rows of one at least, and the factor from which on they are two.
const STRETCHES: usize = 8;
const STRETCH_ROWS: usize = 100;
const OTHER_RATE: f64 = 1.6;

/// The longest and the shortest usual spacing of rows, [s], where these are not one rate: over a quarter of the table and more.
fn rates(t_s: &[f64]) -> Option<(f64, f64)> {
    let rows = (t_s.len() / STRETCHES).max(STRETCH_ROWS);
    let mut usual: Vec<f64> = t_s
        .chunks(rows)
        .filter(|stretch| stretch.len() >= STRETCH_ROWS)
        .map(|stretch| {
            let mut steps: Vec<f64> = stretch.windows(2).map(|w| w[1] - w[0]).collect();
            steps.sort_by(f64::total_cmp);
            steps[steps.len() / 2]
        })
        .collect();
    usual.sort_by(f64::total_cmp);
    // One stretch alone may be an outage, or a burst.
    let (fast, slow) = (*usual.get(1)?, *usual.get(usual.len().checked_sub(2)?)?);
    (slow > OTHER_RATE * fast).then_some((slow, fast))
}

/// Reads a table by a spec, and adds what the lenient reader counted to its warnings.
pub fn open(path: &Path, spec: &TableSpec) -> Result<Table, Report> {
    let mut table = Recording::open(path, spec)?;
    for warning in oddities(&path.display().to_string(), &table.notes, table.t_s.len()) {
        table.notes.warnings.push(warning);
    }
    Ok(table)
}

/// What the lenient reader counted, in words.
fn oddities(file: &str, notes: &TableNotes, rows: usize) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    let mut say = |n: u64, one: &str, many: &str, help: &str| {
        if n > 0 {
            let what = if n == 1 { format!("one {one}") } else { format!("{n} {many}") };
            all.push(Diagnostic::warning(format!("`{file}`: {what}")).help(help));
        }
    };
    let missing = "nothing is filled in: such a reading is missing";
    let first = notes.first_bad.as_ref().map_or(String::new(), |(line, column, text)| {
        format!(", first `{}` of `{column}` in line {line}", text.chars().take(40).collect::<String>())
    });
    let (one, many) =
        (format!("cell holds text or no number{first}"), format!("cells hold text or no number{first}"));
    say(notes.bad_cells, &one, &many, missing);
    say(notes.bad_times, "row has no readable time", "rows have no readable time", "they are left out");
    say(
        notes.duplicates,
        "row repeats the time of the row above",
        "rows repeat the time of the row above",
        match notes.duplicates as usize > rows / 3 {
            true => {
                "the first row of a time counts, the others are left out: where each device or signal has a row of \
                 its own, keep those of one"
            }
            false => "the first row of a time counts, the others are left out",
        },
    );
    say(
        notes.out_of_order,
        "row lies before the row above in time",
        "rows lie before the row above in time",
        "they are left out: sort the file if they are wanted; where a clock was set back, as summer time ends, write \
         times with their zone",
    );
    all
}

/// The time of a table's row as the table writes it, so that what is said of the row joins with it; of rows that carry no time,
/// seconds from the first. As a cell of a table that commas part.
pub fn row_text(table: &Table, row: usize) -> String {
    match table.written(row) {
        Some(text) => cell(text),
        None => time_text(table.t0_unix_ns, table.t_s[row]),
    }
}

/// The same of the row nearest to a time, [s] from the first.
pub fn nearest_text(table: &Table, t_s: f64) -> String {
    let after = table.t_s.partition_point(|t| *t < t_s);
    let off = |row: &usize| (table.t_s[*row] - t_s).abs();
    let rows = [after.saturating_sub(1), after.min(table.t_s.len().saturating_sub(1))];
    let nearest = rows.into_iter().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or(0);
    row_text(table, nearest)
}

/// A text as a cell of a table that commas part.
pub fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A time of a table that is no row's: calendar time in UTC where the table has it, seconds from the start elsewhere.
pub fn time_text(t0_unix_ns: Option<i64>, t_s: f64) -> String {
    let Some(t0) = t0_unix_ns else {
        return format!("{}", (t_s * 1e6).round() / 1e6);
    };
    let text = calendar::text(t0.saturating_add((t_s * NS_PER_S as f64).round() as i64));
    let text = text.trim_end_matches('Z').replacen('T', " ", 1);
    text.strip_suffix(".000").map_or(text.clone(), str::to_owned)
}

/// Where a part of a table ends: after so many rows, before a time as the table writes it or in ISO form, or before a span
/// from the first row. Which of these it is the table tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Border(String);

impl std::str::FromStr for Border {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl Border {
    /// The number of rows before it.
    pub fn rows(&self, flag: &str, table: &Table) -> Result<usize, Report> {
        let text = self.0.as_str();
        if let Ok(row) = text.parse::<usize>() {
            return Self::of_number(row, text, flag, table);
        }
        let before = |limit_s: f64| table.t_s.partition_point(|t| *t < limit_s - 1e-9);
        if let Some(since_s) = table.since_first_s(text) {
            return Ok(before(since_s));
        }
        if let Ok(span) = text.parse::<Span>() {
            return Ok(before(span.as_secs_f64()));
        }
        let error = match calendar::unix_ns(text) {
            Some(_) => Diagnostic::error(format!("{flag} is a calendar time, but the table has none"))
                .help("count rows (1200), or name a span from the first row (20min)"),
            None => {
                let own = table.written(0).map(|own| format!(", one as the table writes it ({own})"));
                Diagnostic::error(format!("{flag} `{text}` is no place in the table")).help(format!(
                    "write a number of rows (11520), a time (2016-04-01, \"2016-04-01 12:00:00\"){}, or a span \
                     from the first row (30d)",
                    own.unwrap_or_default()
                ))
            }
        };
        Err(error.into())
    }

    /// Of a whole number: rows, unless there are not as many and it is a time.
    fn of_number(n: usize, text: &str, flag: &str, table: &Table) -> Result<usize, Report> {
        if n <= table.t_s.len() {
            return Ok(n);
        }
        let before = |limit_s: f64| table.t_s.partition_point(|t| *t < limit_s - 1e-9);
        let since_s = table.since_first_s(text).filter(|_| table.is_compact());
        // As large a number counts nanoseconds, or seconds since 1970, rather than rows.
        let unix = table.t0_unix_ns.filter(|_| n >= 100_000_000).map(|t0| {
            let unix_s = match n as f64 {
                n if n < 1e11 => n,
                n if n < 1e14 => n / 1e3,
                n if n < 1e17 => n / 1e6,
                n => n / 1e9,
            };
            unix_s - t0 as f64 / NS_PER_S as f64
        });
        since_s.or(unix).map(before).ok_or_else(|| {
            let rows = table.t_s.len();
            let error = Diagnostic::error(format!("{flag} {n} lies behind the table's {rows} rows"));
            error.help("a whole number counts rows; a time is written 2016-04-01 12:00:00").into()
        })
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
            &TableSpec { policy: Policy::Report, ..TableSpec::new(TimeSpec::Column("date".into())) },
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
        for bad in ["soon", "4"] {
            assert!(bad.parse::<Border>().unwrap().rows("--train-until", &table).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_written_as_tables_write_them() {
        assert_eq!(time_text(Some(1_452_531_600_000_000_000), 600.0), "2016-01-11 17:10:00");
        assert_eq!(time_text(Some(1_452_531_600_000_000_000), 0.25), "2016-01-11 17:00:00.250");
        assert_eq!(time_text(None, 1.0027), "1.0027");
    }

    #[test]
    fn a_rate_that_changes_is_seen_and_one_that_scatters_is_none() {
        let times = |step: &dyn Fn(u32) -> f64| -> Vec<f64> {
            (0..1600)
                .scan(0.0_f64, |t, k| {
                    *t += step(k);
                    Some(*t)
                })
                .collect()
        };
        assert_eq!(rates(&times(&|k: u32| if k < 800 { 60.0 } else { 10.0 })), Some((60.0, 10.0)));
        let one_rate: [&dyn Fn(u32) -> f64; 4] = [
            &|_: u32| 60.0,
            &|k: u32| 60.0 + 0.5 * f64::from(k * 7919 % 100),
            &|k: u32| if k % 400 == 399 { 5000.0 } else { 60.0 },
            &|k: u32| if (600..700).contains(&k) { 1.0 } else { 60.0 },
        ];
        for step in one_rate {
            assert_eq!(rates(&times(step)), None);
        }
        assert_eq!(rates(&[0.0, 1.0, 5.0]), None);
    }

    #[test]
    fn periods_are_seconds_or_spans() {
        assert_eq!(parse_period("180"), Ok(Span::from_secs(180)));
        assert_eq!(parse_period("3min"), Ok(Span::from_secs(180)));
        assert!(parse_period("0").is_err() && parse_period("-1").is_err() && parse_period("x").is_err());
    }
}
