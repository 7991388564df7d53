//! The times of a table as its cells write them, so that what is written of its rows joins with them.

use super::{Table, when::Clock};
use crate::{scenario::calendar, time::NS_PER_S};

/// Each row's time in its own writing.
#[derive(Clone, Debug)]
pub(super) struct Written {
    clock: Clock,
    text: String,
    ends: Vec<usize>,
    left_out: Vec<String>,
}

impl Written {
    /// Of a table that left so many rows out before it showed how it writes times.
    pub(super) fn new(clock: Clock, left_out: usize) -> Self {
        Self { clock, text: String::new(), ends: Vec::new(), left_out: vec![String::new(); left_out] }
    }

    /// The next row's.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// That of a row that was left out.
    pub(super) fn leave_out(&mut self, text: &str) {
        self.left_out.push(text.to_owned());
    }

    /// Takes the last row's back.
    pub(super) fn pop(&mut self) -> String {
        self.ends.pop();
        self.text.split_off(self.ends.last().copied().unwrap_or(0))
    }

    /// Leaves the first rows out after all.
    pub(super) fn leave_out_first(&mut self, rows: usize) {
        let first: Vec<String> = (0..rows).map(|row| self.row(row).to_owned()).collect();
        let end = self.ends[rows - 1];
        self.text.drain(..end);
        self.ends.drain(..rows);
        self.ends.iter_mut().for_each(|e| *e -= end);
        self.left_out.splice(0..0, first);
    }

    pub(super) fn row(&self, row: usize) -> &str {
        let from = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.text[from..self.ends[row]]
    }
}

impl Table {
    /// A row's time as its cell writes it, or its two cells with a blank between; none where rows carry no time, or were not read
    /// by [`super::Policy::Report`].
    pub fn written(&self, row: usize) -> Option<&str> {
        self.times.as_ref().map(|times| times.row(row))
    }

    /// The same of the rows of [`super::TableNotes::left_out`].
    pub fn written_left_out(&self, at: usize) -> Option<&str> {
        self.times.as_ref()?.left_out.get(at).map(String::as_str)
    }

    /// A time written as the table writes its own, [s] from the first row. Without an offset of its own it is by the clock that the
    /// rows around it go by.
    pub fn since_first_s(&self, text: &str) -> Option<f64> {
        let times = self.times.as_ref();
        let own = times.and_then(|times| Some((times.clock.read(text)?, times.clock.is_calendar())));
        let (ns, is_calendar) = own.or_else(|| Some((calendar::unix_ns(text)?, true)))?;
        let since = |zero: i64| ns.saturating_sub(zero) as f64 / NS_PER_S as f64;
        if !is_calendar {
            return Some(since(times?.clock.read(times?.row(0))?));
        }
        let utc_s = since(self.t0_unix_ns?);
        let (Some(times), None) = (times, calendar::offset_s(text)) else { return Some(utc_s) };
        let last = self.t_s.len().checked_sub(1)?;
        let offset_s = |row: usize| calendar::offset_s(times.row(row.min(last))).unwrap_or(0) as f64;
        let near = utc_s - offset_s(0);
        Some(utc_s - offset_s(self.t_s.partition_point(|t| *t < near)))
    }

    /// Whether digits alone are times of this table: 20200729165935.
    pub fn is_compact(&self) -> bool {
        self.times.as_ref().is_some_and(|times| times.clock == Clock::Compact)
    }
}
