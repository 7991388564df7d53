//! Rows that are not what the others are: of another width, at a time that leaps, from before the clock was set, behind a gap, with
//! empty cells. All are counted, and told with the first of them.

use super::{
    lines::Cell,
    reader::{Place, Rows},
    survey,
    when::Clock,
    written::Written,
};
use crate::{
    scenario::{diagnostic::Diagnostic, source::Source},
    time::NS_PER_S,
};

/// How many times its surroundings' steps a time leaps that is no gap but a mistake, where the next row is back.
const LEAP: i64 = 20;

impl Rows<'_> {
    /// Counts a row of another width than most; whether its cells may stand under the wrong names.
    pub(super) fn is_astray(&mut self, number: usize, line: &str, cells: &[Cell<'_>]) -> bool {
        let long = cells.get(self.wide..).is_some_and(|more| more.iter().any(|c| !c.text.is_empty()));
        let short = cells.len() < self.header.width;
        if self.strict() || !(long || short) {
            return false;
        }
        self.notes.ragged += 1;
        if self.first_ragged.is_none() {
            let from = cells.get(self.wide).map_or(0, |c| c.span.start);
            self.first_ragged = Some((number as u32, from..line.len(), line.to_owned()));
        }
        long || self.blanks
    }

    /// Takes the last row back where it alone leapt ahead: the row that comes now goes on from the one before it.
    pub(super) fn take_leap_back(&mut self, t: i64) {
        let n = self.t_ns.len();
        if self.strict() || n < 4 {
            return;
        }
        let (first, before, last) = (self.t_ns[0], self.t_ns[n - 2], self.t_ns[n - 1]);
        let usual = before.saturating_sub(first) / (n as i64 - 2);
        let (leap, step) = (last.saturating_sub(before), t.saturating_sub(before));
        if t >= last || step <= 0 || leap / LEAP < step.max(usual) || step / LEAP > usual {
            return;
        }
        self.t_ns.pop();
        let line = self.lines.pop().unwrap_or(0);
        self.values.iter_mut().for_each(|v| v.truncate(n - 1));
        self.signs.iter_mut().for_each(|s| s.retain(|(row, _)| *row < n - 1));
        if self.longest.1 == line {
            if self.first_leap.is_none() {
                self.first_leap = Some((line, 0..self.longest.2.len(), self.longest.2.clone()));
            }
            self.longest = self.shorter.clone();
        }
        self.leaps += 1;
        let behind = self.notes.left_out.iter_mut().rev().take_while(|(kept, _)| *kept >= n);
        behind.for_each(|(kept, _)| *kept = n - 1);
        let text = self.times.as_mut().map(Written::pop).unwrap_or_default();
        self.leave_out(Some(last.saturating_sub(first) as f64 / NS_PER_S as f64), &text);
    }

    /// Leaves the rows out that were written before the clock was set.
    pub(super) fn leave_out_unset(&mut self) {
        let unix = self.clock.is_some_and(Clock::is_calendar);
        let Some(rows) = survey::before_set(&self.t_ns).filter(|_| unix && !self.strict()) else { return };
        let example = self.times.as_ref().map(|times| times.row(0).to_owned()).unwrap_or_default();
        let what = format!(
            "`{}`: {rows} rows at the beginning lie about 1970, the first at `{example}`: before the clock was set",
            self.file
        );
        self.warnings.push(Diagnostic::warning(what).help("they are left out"));
        self.t_ns.drain(..rows);
        self.lines.drain(..rows);
        self.values.iter_mut().for_each(|v| drop(v.drain(..rows)));
        for signs in &mut self.signs {
            signs.retain(|(row, _)| *row >= rows);
            signs.iter_mut().for_each(|s| s.0 -= rows);
        }
        if let Some(times) = &mut self.times {
            times.leave_out_first(rows);
        }
        self.notes.left_out.iter_mut().for_each(|(kept, _)| *kept = kept.saturating_sub(rows));
        self.notes.left_out.splice(0..0, std::iter::repeat_n((0, None), rows));
        self.longest = self.shorter.clone();
    }

    pub(super) fn warn_of_rows_astray(&mut self) {
        let many =
            |n: u64, one: &str, many: &str| if n == 1 { format!("one {one}") } else { format!("{n} {many}") };
        let mut say = |what: String, place: &Place, help: &str| {
            let (number, span, line) = place;
            let at = Source::excerpt(self.file, line, *number as usize);
            self.warnings.push(Diagnostic::warning(what).at(&at, span.clone(), "the first").help(help));
        };
        if let Some(place) = &self.first_ragged {
            let rows = many(self.notes.ragged, "row has", "rows have");
            let what = format!("`{}`: {rows} another number of cells than {}", self.file, self.wide);
            say(
                what,
                place,
                "what is too short lacks its last readings; of a row that is too long none is taken",
            );
        }
        if let Some(place) = &self.first_leap {
            let rows = many(self.leaps, "time leaps", "times leap");
            let what =
                format!("`{}`: {rows} ahead, and the row after goes on where the one before was", self.file);
            say(what, place, "such a row is left out");
        }
    }

    pub(super) fn find_gaps(&mut self, t_s: &[f64]) {
        let mut steps: Vec<f64> = t_s.windows(2).map(|w| w[1] - w[0]).collect();
        if steps.is_empty() {
            return;
        }
        steps.sort_unstable_by(f64::total_cmp);
        let median = steps[steps.len() / 2];
        self.notes.median_step_s = median;
        self.notes.gaps = t_s
            .windows(2)
            .enumerate()
            .filter(|(_, w)| w[1] - w[0] > 3.0 * median)
            .map(|(i, w)| (i, w[1] - w[0]))
            .collect();
        self.notes.gap_lines = self.notes.gaps.iter().map(|(at, _)| self.lines[at + 1] as usize).collect();
        let Some(longest) = self.notes.gaps.iter().map(|gap| gap.1).max_by(f64::total_cmp) else { return };
        let n = self.notes.gaps.len();
        let gaps = if n == 1 { "one gap".to_owned() } else { format!("{n} gaps, the longest") };
        let (_, number, line) = &self.longest;
        let mut told =
            Diagnostic::warning(format!("{gaps} of {longest:.1} s, where rows are {median:.3} s apart"));
        // The text of its row is kept only while no longer step was taken back.
        if self.notes.gap_lines.contains(&(*number as usize)) {
            let at = Source::excerpt(self.file, line, *number as usize);
            told = told.at(&at, 0..line.len(), "the first row after it");
        }
        self.warnings.push(told.help("nothing is filled in: no readings come during a gap"));
    }

    pub(super) fn warn_of_holes(&mut self) {
        for (i, place) in self.first_empty.iter().enumerate() {
            let Some((number, span, line)) = place else { continue };
            let cells = match self.notes.missing[i] {
                1 => "a cell is empty".to_owned(),
                n => format!("{n} cells are empty, first this one"),
            };
            let text = format!("`{}`: {cells}", self.header.columns[i].name);
            self.warnings.push(
                Diagnostic::warning(text)
                    .at(&Source::excerpt(self.file, line, *number as usize), span.clone(), "")
                    .help("nothing is filled in: such a reading is missing"),
            );
        }
    }
}
