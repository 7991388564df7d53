//! Row by row from text to columns.

use super::{
    Column, MAX_ROWS, Policy, Table, TableNotes, TableSpec, TimeSpec,
    header::{FirstLine, Header, TimeCells, resolve},
    lines::{Cell, Delimiter, Lines, Quotes, explain},
    markers,
    numbers::{Numbers, Wrong, comma_for_point, is_number},
    opening::{First, first_time, in_order, is_repeated, not_a_time, pointed, unit_by_name},
    survey::{self, Survey},
    when::{Clock, TimeUnit},
    written::Written,
};
use crate::{
    mirror::decode::LARGEST,
    scenario::{
        diagnostic::{Diagnostic, Report},
        source::Source,
    },
    time::NS_PER_S,
    units::Unit,
};
use std::{io::Read, ops::Range};

/// Mistakes after which reading stops: the file is of another kind altogether.
const PATIENCE: u64 = 10_000;

pub(super) fn read(file: &str, from: Box<dyn Read>, spec: &TableSpec) -> Result<Table, Report> {
    let bad_line = |(number, error)| Report::from(explain(file, number, error));
    let mut lines = Lines::new(from, spec.policy == Policy::Report).map_err(bad_line)?;
    let above = match spec.policy {
        Policy::Report if spec.header != Some(false) => {
            lines.skip_preamble(names_wanted(spec)).map_err(bad_line)?
        }
        _ => 0,
    };
    let delimiter = Delimiter::sniff(lines.look_ahead().map_err(bad_line)?);
    let Some((number, line)) = lines.next().map_err(bad_line)? else {
        return Err(whole(
            file,
            format!("`{file}` is empty"),
            "a recording holds a line of names and rows of readings",
        ));
    };
    let top = delimiter.split(&line);
    let is_header = spec.header.unwrap_or_else(|| top.iter().all(|c| !is_number(&c.text, delimiter)));
    let mut pending = if is_header { lines.next().map_err(bad_line)? } else { Some((number, line.clone())) };
    let Some((row_number, row_line)) = &pending else {
        let excerpt = Source::excerpt(file, &line, number);
        return Err(Diagnostic::error(format!("`{file}` has a header but no rows"))
            .at(&excerpt, 0..line.len(), "the only line")
            .help(
                "put rows of readings below it; if it is one, say `header: false` (in a flag: `--no-header`)",
            )
            .into());
    };
    let row = delimiter.split(row_line);
    let names = is_header.then(|| {
        let mut names: Vec<String> = top.iter().map(|c| c.text.trim().to_owned()).collect();
        // An unquoted time or number is none: such a row has a comma for a decimal point.
        let bare =
            |c: &Cell<'_>| !row_line[c.span.clone()].starts_with('"') && Clock::of(&c.text, None).is_some();
        if row.len() == names.len() + 1 && !row.first().is_some_and(bare) {
            names.insert(0, String::new()); // R writes row ids without a name.
        }
        names
    });
    let width = names.as_ref().map_or(row.len(), Vec::len);
    let first = FirstLine { file, line: &line, number, names, width, row: &row, delimiter };
    let mut header = resolve(spec, &first)?;
    let apart = match header.time.and_then(|time| first.completed(time)) {
        Some(apart) if is_repeated(apart, &row, &mut lines, delimiter).map_err(bad_line)? => Some(apart),
        _ => None,
    };
    header.time = apart.or(header.time);
    let mut unit = spec.time_unit;
    let clock = match header.time {
        Some(time) => {
            unit = unit.or_else(|| unit_by_name(&first, time));
            let at = First { file, number: *row_number, line: row_line, time, unit };
            let clock = first_time(&at, &row, spec)?;
            in_order(clock, spec, &at, &mut lines, delimiter)?
        }
        None => None,
    };
    let mut told = Report::default();
    let mut seen = Survey::default();
    if spec.policy == Policy::Report {
        seen.take(&row, header.time);
        let mut rows = 0;
        let look = |line: &str| {
            seen.take(&delimiter.split(line), header.time);
            rows += 1;
            rows >= survey::ROWS
        };
        lines.scan(look).map_err(bad_line)?;
        if let Some(error) = seen.commas_for_points(&first, row_line, *row_number) {
            return Err(error.into());
        }
        if seen.usual_width() > width {
            let what = format!("`{file}`: rows have {} cells under {width} names", seen.usual_width());
            told.push(
                Diagnostic::warning(what)
                    .help("cells belong to the names in their order; the last have none"),
            );
        }
    }
    let clock = match (clock, header.time) {
        (Some(clock), Some(time)) => {
            let name = first.name(time.first);
            let clock = seen.clock(clock, unit, &name);
            if clock == Clock::Serial {
                told.push(Survey::told_serial(file, &name, &time.text(&row)));
            }
            if clock == Clock::OfDay {
                let what = format!("`{file}`: `{name}` holds times of the day without dates");
                told.push(Diagnostic::warning(what).help("a day is counted on wherever they begin anew"));
            }
            Some(clock)
        }
        (clock, _) => clock,
    };
    if let Some(TimeCells { first: day, clock: Some(clock) }) = apart {
        let what = format!(
            "`{file}`: times are taken from `{}` and `{}` together",
            first.name(day),
            first.name(clock)
        );
        told.push(Diagnostic::warning(what));
    }
    if let (Some(time), Some(by_name), None) =
        (header.time, unit.filter(|u| *u != TimeUnit::S), spec.time_unit)
    {
        let what =
            format!("`{file}`: `{}` is read in {}, as its name says", first.name(time.first), by_name.name());
        told.push(Diagnostic::warning(what).help("if it is in another unit, say which: --time-unit s"));
    }
    for column in &header.columns {
        if let (Some(name), Some(unit)) = (&column.says_unit, column.from) {
            let what = format!("`{file}`: `{name}` is read in {}, as its name says", unit.symbol);
            told.push(
                Diagnostic::warning(what).help("if it is in another unit, name that behind the column"),
            );
        }
    }
    let mut rows = Rows::new(file, spec, header, (clock, unit), delimiter);
    rows.wide = width.max(seen.usual_width());
    if let Some(comma) = seen.parts_thousands {
        rows.numbers = Numbers::parting_thousands(delimiter, comma);
    }
    rows.warnings = told;
    if above > 0 {
        let what = format!("`{file}`: the lines above line {number}, which has the names, are left out");
        rows.warnings.push(Diagnostic::warning(what));
    }
    if is_header && !top.is_empty() && top.iter().all(|c| is_number(&c.text, delimiter)) {
        rows.warnings.push(
            Diagnostic::warning("the first line is taken for names, but looks like readings")
                .at(&Source::excerpt(file, &line, number), 0..line.len(), "")
                .help("say that there is no header: `header: false`, or `--no-header`"),
        );
    }
    drop(row);
    while let Some((number, line)) = pending {
        rows.take(number, &line, &delimiter.split(&line));
        if rows.mistakes.iter().map(|m| m.rows).sum::<u64>() >= PATIENCE {
            break;
        }
        if rows.t_ns.len() >= MAX_ROWS {
            return Err(whole(
                file,
                format!("`{file}` has more than {MAX_ROWS} rows"),
                "cut it into several files",
            ));
        }
        pending = lines.next().map_err(bad_line)?;
    }
    if let Some(number) = lines.foreign {
        let what = format!("`{file}`: line {number} is no UTF-8, and such lines are read as Windows-1252");
        rows.warnings
            .push(Diagnostic::warning(what).help("where names or units look wrong, save the file in UTF-8"));
    }
    rows.finish()
}

/// Whether a line holds a name that is asked for.
fn names_wanted(spec: &TableSpec) -> impl Fn(Delimiter, &str) -> bool {
    let time = match &spec.time {
        TimeSpec::Column(name) => Some(name.trim()),
        TimeSpec::Period(_) => None,
    };
    move |delimiter, line| {
        let is_time = |cell: &str| time.is_some_and(|t| t == cell || t.split(',').any(|t| t.trim() == cell));
        let is_wanted = |cell: &str| is_time(cell) || spec.columns.iter().any(|c| c.column.trim() == cell);
        delimiter.split(line).iter().any(|c| !c.text.is_empty() && is_wanted(c.text.trim()))
    }
}

fn whole(file: &str, message: String, help: &str) -> Report {
    Source::embedded(file, "").fault(message).help(help).into()
}

/// What can be wrong with a row, in a column where it is about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Quoted,
    Long,
    Short,
    NoTime,
    Twice,
    Order,
    Text(usize),
    Comma(usize),
    Mixed(usize),
    NotFinite(usize),
    Cold(usize),
    Huge(usize),
}

/// A kind of mistake where it was met first, and in how many rows it was.
struct Mistake {
    kind: Kind,
    rows: u64,
    error: Diagnostic,
}

/// Line, cell and text of the line.
pub(super) type Place = (u32, Range<usize>, String);

/// The rows read so far.
pub(super) struct Rows<'a> {
    pub(super) file: &'a str,
    pub(super) spec: &'a TableSpec,
    pub(super) header: Header,
    pub(super) clock: Option<Clock>,
    pub(super) unit: Option<TimeUnit>,
    /// Of times of the day, the midnights gone by, [ns].
    pub(super) midnights: i64,
    pub(super) numbers: Numbers,
    pub(super) t_ns: Vec<i64>,
    pub(super) times: Option<Written>,
    pub(super) lines: Vec<u32>,
    pub(super) values: Vec<Vec<f64>>,
    /// Of each column, the rows that may hold the sign of a missing reading, and what stands there.
    pub(super) signs: Vec<Vec<(usize, f64)>>,
    pub(super) notes: TableNotes,
    pub(super) first_empty: Vec<Option<Place>>,
    /// The first cell of each column that holds text, until one holds a number.
    pub(super) first_text: Vec<Option<Place>>,
    pub(super) has_number: Vec<bool>,
    /// The first row without a readable time.
    pub(super) first_timeless: Option<Place>,
    /// The longest step so far, [ns], and the row that ends it; and what was before that.
    pub(super) longest: (i64, u32, String),
    pub(super) shorter: (i64, u32, String),
    /// Cells of most rows.
    pub(super) wide: usize,
    pub(super) blanks: bool,
    /// The first row of another width, and the first time that leapt ahead alone.
    pub(super) first_ragged: Option<Place>,
    pub(super) first_leap: Option<Place>,
    pub(super) leaps: u64,
    mistakes: Vec<Mistake>,
    /// The line at whose end quotes were last left open; 0: none.
    unclosed: usize,
    pub(super) warnings: Report,
}

impl<'a> Rows<'a> {
    fn new(
        file: &'a str,
        spec: &'a TableSpec,
        header: Header,
        (clock, unit): (Option<Clock>, Option<TimeUnit>),
        delimiter: Delimiter,
    ) -> Self {
        let n = header.columns.len();
        let notes = TableNotes { missing: vec![0; n], ..TableNotes::default() };
        Self {
            file,
            spec,
            header,
            clock,
            unit,
            midnights: 0,
            numbers: Numbers::new(delimiter),
            t_ns: Vec::new(),
            times: None,
            lines: Vec::new(),
            values: vec![Vec::new(); n],
            signs: vec![Vec::new(); n],
            notes,
            first_empty: vec![None; n],
            first_text: vec![None; n],
            has_number: vec![false; n],
            first_timeless: None,
            longest: (0, 0, String::new()),
            shorter: (0, 0, String::new()),
            wide: 0,
            blanks: delimiter == Delimiter::Blanks,
            first_ragged: None,
            first_leap: None,
            leaps: 0,
            mistakes: Vec::new(),
            unclosed: 0,
            warnings: Report::default(),
        }
    }

    pub(super) fn strict(&self) -> bool {
        self.spec.policy == Policy::Strict
    }

    /// Notes a mistake: what every row has wrong is told once.
    fn error(
        &mut self,
        kind: Kind,
        number: usize,
        line: &str,
        span: Range<usize>,
        error: impl FnOnce() -> Diagnostic,
    ) {
        if let Some(known) = self.mistakes.iter_mut().find(|m| m.kind == kind) {
            known.rows += 1;
            return;
        }
        let error = error().at(&Source::excerpt(self.file, line, number), span, "");
        self.mistakes.push(Mistake { kind, rows: 1, error });
    }

    fn take(&mut self, number: usize, line: &str, cells: &[Cell<'_>]) {
        if self.unclosed > 0 && self.unclosed + 1 == number && cells.len() < self.header.width {
            // The rest of the cell whose quotes were left open, of which enough was said.
            return;
        }
        if self.strict()
            && let Some(cell) = cells.iter().find(|c| c.quotes != Quotes::Right)
        {
            return self.misquoted(number, line, cell);
        }
        if cells.len() != self.header.width && self.strict() {
            let (wanted, found) = (self.header.width, cells.len());
            let message = format!("{wanted} cells were expected in this row, and {found} found");
            if found < wanted {
                return self.error(Kind::Short, number, line, 0..line.len().min(80), || {
                    Diagnostic::error(message).help(
                        "was it cut short? complete it, or take it away; an empty cell keeps its delimiter",
                    )
                });
            }
            let rest = cells[wanted].span.start..line.len();
            return self.error(Kind::Long, number, line, rest, || {
                Diagnostic::error(message).help(
                    "does a delimiter stand in a text (put it into quotes), or for a decimal point (write a point)?",
                )
            });
        }
        let Some(t_ns) = self.time(number, line, cells) else { return };
        let step = self.t_ns.last().map_or(0, |last| t_ns.saturating_sub(*last));
        if step > self.longest.0 {
            let longest = (step, number as u32, line.to_owned());
            self.shorter = std::mem::replace(&mut self.longest, longest);
        }
        self.t_ns.push(t_ns);
        self.lines.push(number as u32);
        let is_astray = self.is_astray(number, line, cells);
        for i in 0..self.header.columns.len() {
            if is_astray {
                // Which cell belongs to which name nobody knows.
                self.notes.missing[i] += 1;
                self.values[i].push(f64::NAN);
                continue;
            }
            let value = self.value(i, number, line, cells.get(self.header.columns[i].cell));
            self.values[i].push(value);
        }
    }

    /// A cell whose quotes are not where it begins and ends: who knows what else belongs to it.
    fn misquoted(&mut self, number: usize, line: &str, cell: &Cell<'_>) {
        if cell.quotes == Quotes::Open {
            self.unclosed = number;
        }
        let (span, message, help) = match &cell.quotes {
            Quotes::Followed(more) => (
                more.clone(),
                "more follows a cell's closing quote",
                "a quote within a cell is written twice: \"\"; quotes around it stand next to the delimiters",
            ),
            _ => (
                cell.span.clone(),
                "the quotes of this cell are never closed",
                "close them before the line ends: a cell of a recording holds no line break",
            ),
        };
        self.error(Kind::Quoted, number, line, span, || Diagnostic::error(message).help(help));
    }

    /// The row's time, [ns]; none where the row must be left out.
    fn time(&mut self, number: usize, line: &str, cells: &[Cell<'_>]) -> Option<i64> {
        let Some(at) = self.header.time else {
            let TimeSpec::Period(period) = self.spec.time else { return None };
            return Some(period.0.saturating_mul(self.t_ns.len() as i64));
        };
        let (text, span) = (at.text(cells), at.span(line, cells));
        if self.clock.is_none() {
            self.clock = Clock::of(&pointed(&text), self.unit);
        }
        let Some(t) = self.clock.and_then(|clock| clock.read(&pointed(&text))) else {
            if self.first_timeless.is_none() {
                self.first_timeless = Some((number as u32, span.clone(), line.to_owned()));
            }
            if self.strict() {
                self.error(Kind::NoTime, number, line, span, || not_a_time(&text));
            }
            self.notes.bad_times += 1;
            self.leave_out(None, "");
            return None;
        };
        let t = self.past_midnight(t);
        self.take_leap_back(t);
        match self.t_ns.last() {
            Some(last) if t <= *last => {
                let twice = t == *last;
                let above = self.lines.last().copied().unwrap_or(0);
                if self.strict() {
                    let kind = if twice { Kind::Twice } else { Kind::Order };
                    self.error(kind, number, line, span, || {
                        if twice {
                            Diagnostic::error(format!("the time `{text}` is given twice"))
                                .help(format!("line {above} has it too; each row needs a time of its own"))
                        } else {
                            Diagnostic::error(format!("the time `{text}` lies before that of line {above}")).help(
                                "rows must ascend in time: sort the file, or look for a clock that was set back",
                            )
                        }
                    });
                    return None;
                }
                if twice {
                    self.notes.duplicates += 1;
                } else {
                    self.notes.out_of_order += 1;
                }
                let since_s = t.saturating_sub(self.t_ns[0]) as f64 / NS_PER_S as f64;
                self.leave_out(Some(since_s), &text);
                None
            }
            _ => {
                if let Some(times) = self.written() {
                    times.push(&text);
                }
                Some(t)
            }
        }
    }

    /// A time with the days that went by where it is one of a day: it begins anew at midnight.
    fn past_midnight(&mut self, t: i64) -> i64 {
        const DAY_NS: i64 = 86_400 * NS_PER_S;
        if matches!(self.clock, Some(Clock::Elapsed | Clock::OfDay)) && t < DAY_NS {
            let last = self.t_ns.last().copied().unwrap_or(t);
            if last - self.midnights < DAY_NS && last - (t + self.midnights) > DAY_NS / 2 {
                self.midnights += DAY_NS;
            }
            return t + self.midnights;
        }
        t
    }

    pub(super) fn leave_out(&mut self, since_s: Option<f64>, text: &str) {
        if let Some(times) = self.written() {
            times.leave_out(text);
        }
        self.notes.left_out.push((self.t_ns.len(), since_s));
    }

    /// The times as they are written, which scenarios have no use for.
    fn written(&mut self) -> Option<&mut Written> {
        let clock = self.clock.filter(|_| self.spec.policy == Policy::Report)?;
        let before = self.notes.left_out.len();
        Some(self.times.get_or_insert_with(|| Written::new(clock, before)))
    }

    /// The reading of a cell, converted; NaN where it is missing.
    fn value(&mut self, column: usize, number: usize, line: &str, cell: Option<&Cell<'_>>) -> f64 {
        let text = cell.map_or("", |c| &c.text);
        let span = cell.map_or(0..line.len(), |c| c.span.clone());
        if text.is_empty() {
            self.notes.missing[column] += 1;
            // An empty cell is shown by the delimiter before it.
            let span = span.start.saturating_sub(1)..span.end.max(1).min(line.len().max(1));
            if self.first_empty[column].is_none() {
                self.first_empty[column] = Some((number as u32, span, line.to_owned()));
            }
            return f64::NAN;
        }
        let mut read = self.numbers.read(text, number);
        if read == Err(Wrong::Text)
            && let Some((value, unit)) = self.numbers.with_unit(text, number)
        {
            let found = &mut self.header.columns[column];
            let fits = |other: Option<&Unit>| other.is_none_or(|other| other.dimension == unit.dimension);
            if fits(found.from) && fits(found.to) {
                let own = *found.from.get_or_insert(unit);
                read = Ok(unit.convert(value, own).unwrap_or(value));
            }
        }
        let found = &self.header.columns[column];
        let unit = found.from.or(found.to);
        // Of columns that nobody asked for by name, some are no readings: a time in nanoseconds, say.
        let huge = |v: f64| v.abs() > LARGEST && !self.spec.columns.is_empty();
        match read {
            Ok(v) if v.is_finite() && !huge(v) && !unit.is_some_and(|u| u.is_too_cold(v)) => {
                self.has_number[column] = true;
                if markers::may_be(v) {
                    self.signs[column].push((self.t_ns.len() - 1, v));
                }
                match (found.from, found.to) {
                    (Some(from), Some(to)) => from.convert(v, to).unwrap_or(f64::NAN),
                    _ => v,
                }
            }
            parsed => {
                if !self.has_number[column] && self.first_text[column].is_none() {
                    self.first_text[column] = Some((number as u32, span.clone(), line.to_owned()));
                }
                if self.strict() {
                    let name = found.name.clone();
                    let kind = match parsed {
                        Ok(v) if v.is_finite() && huge(v) => Kind::Huge(column),
                        Ok(v) if v.is_finite() => Kind::Cold(column),
                        Ok(_) => Kind::NotFinite(column),
                        Err(Wrong::Comma) => Kind::Comma(column),
                        Err(Wrong::Mixed(_)) => Kind::Mixed(column),
                        Err(Wrong::Text) => Kind::Text(column),
                    };
                    self.error(kind, number, line, span, || match parsed {
                        Err(Wrong::Mixed(other)) => mixed_signs(text, &name, other),
                        _ => no_reading(kind, text, &name, unit),
                    });
                }
                if self.notes.first_bad.is_none() {
                    let name = self.header.columns[column].name.clone();
                    self.notes.first_bad = Some((number, name, text.to_owned()));
                }
                self.notes.bad_cells += 1;
                self.notes.missing[column] += 1;
                f64::NAN
            }
        }
    }

    fn finish(mut self) -> Result<Table, Report> {
        if !self.mistakes.is_empty() {
            let mut errors = Report::default();
            for mistake in self.mistakes {
                errors.push(mistake.error.repeated(mistake.rows - 1, "row"));
            }
            errors.merge(self.warnings);
            return Err(errors);
        }
        let Some(t0) = self.t_ns.first().copied() else {
            if let Some((number, span, line)) = self.first_timeless {
                let text = line.get(span.clone()).unwrap_or_default().to_owned();
                let error =
                    not_a_time(&text).at(&Source::excerpt(self.file, &line, number as usize), span, "");
                return Err(error.repeated(self.notes.bad_times - 1, "row").into());
            }
            return Err(whole(
                self.file,
                format!("`{}` has no row with a time", self.file),
                "is the right column named?",
            ));
        };
        self.refuse_columns_of_text()?;
        self.leave_out_unset();
        let t0 = self.t_ns.first().copied().unwrap_or(t0);
        self.warn_of_rows_astray();
        if self.notes.out_of_order > self.t_ns.len() as u64 {
            let what = format!("`{}` runs backwards in time", self.file);
            return Err(whole(self.file, what, "sort its rows so that the oldest comes first"));
        }
        let unix = self.clock.is_some_and(Clock::is_calendar);
        let t_s: Vec<f64> = self.t_ns.iter().map(|t| t.saturating_sub(t0) as f64 / NS_PER_S as f64).collect();
        self.find_gaps(&t_s);
        self.warn_of_holes();
        self.take_signs_out();
        let found = std::mem::take(&mut self.header.columns);
        let columns = found.into_iter().zip(self.values).map(|(f, values)| Column {
            name: f.name,
            unit: f.to.or(f.from).map_or("none", |u| u.symbol).to_owned(),
            values,
        });
        self.notes.warnings = self.warnings;
        let (columns, notes, times) = (columns.collect(), self.notes, self.times);
        Ok(Table { t_s, t0_unix_ns: unix.then_some(t0), columns, notes, times })
    }

    /// Takes numbers that stand for no reading out of the columns that were asked for.
    fn take_signs_out(&mut self) {
        if self.strict() {
            return;
        }
        for (i, found) in self.header.columns.iter().enumerate() {
            for sign in markers::take_out(&mut self.values[i], &self.signs[i]) {
                self.notes.missing[i] += sign.cells;
                let (name, value, (low, high)) = (&found.name, sign.value, sign.others);
                let what = format!(
                    "`{}`: {} cells of `{name}` hold {value}, its others lie from {low} to {high}",
                    self.file, sign.cells
                );
                self.warnings.push(
                    Diagnostic::warning(what).help(
                        "taken as missing, since loggers write such a number where there is no reading",
                    ),
                );
            }
        }
    }

    /// A column in which no cell holds a number is another than was meant.
    fn refuse_columns_of_text(&self) -> Result<(), Report> {
        let mut errors = Report::default();
        for (i, place) in self.first_text.iter().enumerate() {
            let (Some((number, span, line)), false) = (place, self.has_number[i]) else { continue };
            let text = line.get(span.clone()).unwrap_or_default();
            let what = match self.numbers.clone().read(text, 0) {
                Ok(_) => "a number that a sensor can say",
                Err(_) => "a number",
            };
            let error =
                Diagnostic::error(format!("no cell of `{}` holds {what}", self.header.columns[i].name)).at(
                    &Source::excerpt(self.file, line, *number as usize),
                    span.clone(),
                    "the first that holds any",
                );
            errors.push(error.help("name another column; states are written as numbers (1: open, 0: shut)"));
        }
        errors.into_result().map(|_| ())
    }
}

fn no_reading(kind: Kind, text: &str, column: &str, unit: Option<&Unit>) -> Diagnostic {
    let none = "leave the cell empty where there is no reading";
    match kind {
        Kind::Cold(_) => {
            let symbol = unit.map_or("", |u| u.symbol);
            Diagnostic::error(format!(
                "`{text}` is no reading of `{column}`: it is below absolute zero in {symbol}"
            ))
            .help(format!("is the column in another unit, or is this a sensor's sign for an error? {none}"))
        }
        Kind::Huge(_) => Diagnostic::error(format!(
            "`{text}` is no reading of `{column}`: no sensor says more than {LARGEST:e}, and no twin would take it"
        ))
        .help(format!("is this a sensor's sign for an error? {none}")),
        Kind::NotFinite(_) => Diagnostic::error(format!("`{text}` is no reading of `{column}`")).help(none),
        _ => {
            let error = Diagnostic::error(format!("`{text}` is no number, but `{column}` wants one"));
            match comma_for_point(text) {
                Some(number) => error.help(format!("write a point for the comma: {number}")),
                None => error.help(none),
            }
        }
    }
}

fn mixed_signs(text: &str, column: &str, other: usize) -> Diagnostic {
    let (own, theirs) = if text.contains(',') { ("comma", "point") } else { ("point", "comma") };
    Diagnostic::error(format!("`{text}` of `{column}` has a decimal {own}, but line {other} has a {theirs}"))
        .help("write all numbers of the table with the same sign, and none to part thousands")
}
