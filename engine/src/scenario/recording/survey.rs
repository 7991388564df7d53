//! What the first rows of a table show together, before each is read by itself: how wide they are, how they part thousands, and
//! what their times count.

use super::{
    header::{FirstLine, TimeCells},
    lines::{Cell, Delimiter},
    when::{Clock, TimeUnit, serial_ns},
};
use crate::{
    scenario::{calendar, diagnostic::Diagnostic, source::Source},
    time::NS_PER_S,
};

/// Rows that are looked at.
pub(super) const ROWS: usize = 2000;
/// Values of a column of times that spreadsheets would count: 1982 to 2064.
const SERIAL: std::ops::Range<f64> = 30_000.0..60_000.0;
/// Names of columns that hold dates.
const DATES: [&str; 5] = ["date", "datum", "fecha", "data", "day"];
/// What a serial time is off a whole second at most, and steps of one at least, [s].
const OFF_S: f64 = 0.1;
const STEP_S: f64 = 0.9;

/// What was seen of the rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    rows: usize,
    /// By number of cells, rows of that width.
    widths: std::collections::BTreeMap<usize, usize>,
    /// Rows of which all cells but the first are digits, and whether one of these is 01 or the like.
    whole: usize,
    zero_first: bool,
    /// Whether a cell has both signs, and its last is a comma: 4.801,2.
    pub(super) parts_thousands: Option<bool>,
    /// Values of the times that are plain numbers.
    times: Vec<f64>,
    other_times: usize,
}

impl Survey {
    /// Takes a row in.
    pub(super) fn take(&mut self, cells: &[Cell<'_>], time: Option<TimeCells>) {
        self.rows += 1;
        *self.widths.entry(cells.len()).or_default() += 1;
        let digits = |text: &str| {
            let text = text.strip_prefix('-').unwrap_or(text);
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
        };
        self.whole += usize::from(cells.iter().skip(1).all(|c| digits(&c.text)));
        self.zero_first |=
            cells.iter().skip(1).any(|c| c.text.len() > 1 && c.text.starts_with('0') && digits(&c.text));
        for cell in cells {
            if let (None, Some(comma)) = (self.parts_thousands, comma_is_point(&cell.text)) {
                self.parts_thousands = Some(comma);
            }
        }
        if let Some(time) = time {
            match time.text(cells).trim().parse::<f64>() {
                Ok(v) if v.is_finite() => self.times.push(v),
                _ => self.other_times += 1,
            }
        }
    }

    /// The width that most rows have.
    pub(super) fn usual_width(&self) -> usize {
        self.widths.iter().max_by_key(|(_, rows)| **rows).map_or(0, |(width, _)| *width)
    }

    /// Where most rows have more cells than there are names since commas part the cells and are decimal signs, too.
    pub(super) fn commas_for_points(
        &self,
        first: &FirstLine<'_>,
        line: &str,
        number: usize,
    ) -> Option<Diagnostic> {
        let names = first.names.as_ref()?.len();
        let long: usize = self.widths.range(names + 1..).map(|(_, rows)| rows).sum();
        let varies = self.widths.len() > 1;
        let doubled = self.usual_width() + 1 == 2 * names;
        let shows = varies || doubled || self.zero_first;
        let most = 2 * long > self.rows && 2 * self.whole > self.rows;
        (first.delimiter == Delimiter::Comma && most && shows).then(|| {
            let what = format!(
                "`{}`: {long} of the first {} rows have more cells than the {names} names: commas part the cells and \
                 stand for decimal points, too",
                first.file, self.rows
            );
            Diagnostic::error(what)
                .at(&Source::excerpt(first.file, line, number), 0..line.len().min(80), "the first row")
                .help("export it with semicolons between the cells, or with decimal points (4.01)")
        })
    }

    /// The clock where the first row alone would mislead: the unit that most times show, or days as spreadsheets count them.
    pub(super) fn clock(&self, of_first: Clock, unit: Option<TimeUnit>, name: &str) -> Clock {
        let Clock::Number { unix, .. } = of_first else { return of_first };
        if unit.is_some() || self.other_times > self.times.len() {
            return of_first;
        }
        if self.is_serial(name) {
            return Clock::Serial;
        }
        // A device counts from its start until it is told the time.
        let told: Vec<Clock> = self.times.iter().filter_map(|v| unix_clock(*v)).collect();
        match told.last() {
            Some(most) if !unix && 2 * told.len() > self.times.len() => *most,
            _ => of_first,
        }
    }

    fn is_serial(&self, name: &str) -> bool {
        let all = &self.times;
        if all.len() < 2 || !all.iter().all(|v| SERIAL.contains(v)) {
            return false;
        }
        let mut steps = all.windows(2).map(|w| (w[1] - w[0]) * 86_400.0).filter(|s| *s > 0.0);
        let named = DATES.iter().any(|d| name.to_lowercase().contains(d));
        let parted = all.iter().any(|v| v.fract() != 0.0);
        let whole = |s: f64| s >= STEP_S && (s - s.round()).abs() < OFF_S && s < 43_200.0;
        named || parted && steps.clone().count() > 0 && steps.all(whole)
    }

    /// What is said of days as spreadsheets count them.
    pub(super) fn told_serial(file: &str, name: &str, text: &str) -> Diagnostic {
        let is = serial_ns(text).map(calendar::text).unwrap_or_default();
        let what = format!(
            "`{file}`: `{name}` counts days since 1899-12-30, as spreadsheets do: {text} is {}",
            is.get(..19).unwrap_or(&is).replace('T', " ")
        );
        Diagnostic::warning(what).help("if these are seconds, say so: --time-unit s")
    }
}

/// The clock of a number that is a Unix time of this century.
fn unix_clock(value: f64) -> Option<Clock> {
    const YEARS_2000_TO_2100_S: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;
    let clock = Clock::of(&format!("{value}"), None)?;
    let Clock::Number { unix: true, .. } = clock else { return None };
    let seconds = clock.read(&format!("{value}"))? as f64 / NS_PER_S as f64;
    YEARS_2000_TO_2100_S.contains(&seconds).then_some(clock)
}

/// Of a number that has both a point and a comma, whether the comma is the decimal sign; `None` of any other text.
pub(super) fn comma_is_point(text: &str) -> Option<bool> {
    let last = text.rfind(['.', ','])?;
    let comma = text[last..].starts_with(',');
    let (point, parts) = if comma { (',', '.') } else { ('.', ',') };
    let number = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = number.split_once(point)?;
    let grouped = is_grouped(whole, parts) && whole.contains(parts);
    (grouped && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())).then_some(comma)
}

/// Whether digits stand in threes behind these signs: 4.801, 1.234.567.
pub(super) fn is_grouped(text: &str, sign: char) -> bool {
    let mut groups = text.split(sign);
    let digits = |g: &str| g.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().is_some_and(|g| (1..=3).contains(&g.len()) && digits(g));
    first && groups.all(|g| g.len() == 3 && digits(g))
}

/// A clock that was set while the table was written: so many rows lie before 1973, the one after them beyond 2000.
pub(super) fn before_set(t_ns: &[i64]) -> Option<usize> {
    const EARLY_NS: i64 = 100_000_000 * NS_PER_S;
    const LATE_NS: i64 = 946_684_800 * NS_PER_S;
    let early = t_ns.partition_point(|t| *t < EARLY_NS);
    let set = t_ns.get(early).is_some_and(|t| *t >= LATE_NS);
    (set && early > 0 && early < t_ns.len() - early).then_some(early)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_told_by_both_signs() {
        for (text, comma) in [
            ("4.801,2", Some(true)),
            ("1.234.567,89", Some(true)),
            ("-4,801.2", Some(false)),
            ("4.801", None),
            ("4801,2", None),
            ("48.01,2", None),
            ("4.801,", None),
            ("a.801,2", None),
        ] {
            assert_eq!(comma_is_point(text), comma, "{text}");
        }
        assert!(is_grouped("1.234.567", '.') && !is_grouped("12.34", '.'));
    }
}
