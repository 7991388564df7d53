//! Dates as spreadsheets write them, 29/07/2020 or 7/29/2020, and which of the two a table means: its rows have to show it.

use crate::scenario::calendar;

/// Which number of a date comes first, where the year comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// 29/07/2020.
    DayFirst,
    /// 07/29/2020.
    MonthFirst,
}

const NS_PER_DAY: i64 = 86_400 * crate::time::NS_PER_S;

/// Unix time, [ns], of three numbers parted by strokes, points or hyphens, the year in four digits, followed by nothing or a
/// clock: `H:MM`, `:SS`, a fraction, `AM` or `PM`. A year that comes first is followed by its month; with points the day comes
/// first. `None` where it is no such time.
pub(super) fn unix_ns(text: &str, order: DateOrder) -> Option<i64> {
    let text = text.trim();
    let (date, clock) = match text.find([' ', 'T', 't', ',']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let sign = ['/', '.', '-'].into_iter().find(|s| date.contains(*s))?;
    let mut parts = date.split(sign);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = match order {
        _ if parts.next().is_some() => return None,
        _ if first.len() == 4 => (first, second, third),
        DateOrder::MonthFirst if sign != '.' => (third, first, second),
        _ => (third, second, first),
    };
    let number = |text: &str| -> Option<i64> {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok())?
    };
    let year = (year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit())).then(|| year.parse().ok())??;
    let midnight = calendar::midnight_ns(year, number(month)?, number(day)?)?;
    midnight.checked_add(clock_ns(clock)?)
}

/// Whether a text is a time of the day and nothing else: `H:MM`, `:SS`, a fraction, `AM` or `PM`.
pub(super) fn is_clock(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && clock_ns(text).is_some()
}

/// Whether a text is a date without a time of the day.
pub(super) fn is_day(text: &str) -> bool {
    let text = text.trim();
    !text.contains(':')
        && (calendar::unix_ns(text).is_some() || calendar::compact_ns(text).is_some() || is_date(text))
}

fn clock_ns(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let lower = text.to_ascii_lowercase();
    let half = [("am", 0), ("pm", 12)].into_iter().find_map(|(sign, h)| Some((lower.strip_suffix(sign)?, h)));
    let (clock, more) = half.map_or((lower.as_str(), None), |(clock, more)| (clock.trim_end(), Some(more)));
    let (hour, rest) = clock.split_once(':')?;
    let hour: i64 = ((1..=2).contains(&hour.len()) && hour.bytes().all(|b| b.is_ascii_digit()))
        .then(|| hour.parse().ok())??;
    let hour = match more {
        Some(more) if (1..=12).contains(&hour) => hour % 12 + more,
        Some(_) => return None,
        None => hour,
    };
    calendar::clock_ns(&format!("{hour:02}:{rest}"))
}

/// Whether a text is such a date in either order.
pub(super) fn is_date(text: &str) -> bool {
    [DateOrder::DayFirst, DateOrder::MonthFirst].into_iter().any(|order| unix_ns(text, order).is_some())
}

/// What the rows of a table say of the order of its dates.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    decided: Option<DateOrder>,
    last: Option<(i64, i64)>,
    /// Step between rows of the same day, [ns].
    step: i64,
    day: Seen,
    month: Seen,
    /// Whether any date is another day in one order than in the other: 1.2., but neither 2.2. nor 2020/2/1.
    differs: bool,
}

/// How the rows would follow each other in one order.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Steps back in time.
    back: u32,
    /// Changes of the date that are a step like those within a day, and those that are far more.
    near: u32,
    far: u32,
}

impl Seen {
    fn take(&mut self, step: i64, usual: i64) {
        self.back += u32::from(step < 0);
        if usual > 0 && step > 0 {
            self.near += u32::from(step <= 3 * usual);
            self.far += u32::from(step > 30 * usual && step >= 27 * NS_PER_DAY);
        }
    }

    fn is_better_than(self, other: Self) -> bool {
        self.back == 0 && other.back > 0
            || self.back == other.back && self.near > 0 && self.far == 0 && other.near == 0 && other.far > 0
    }
}

impl Evidence {
    /// Takes the time of a row in; whether it decides the order alone, since no month is the 13th.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let (day, month) = (unix_ns(text, DateOrder::DayFirst), unix_ns(text, DateOrder::MonthFirst));
        match (day, month) {
            (Some(day), Some(month)) => {
                self.differs |= day != month;
                if let Some((day_before, month_before)) = self.last {
                    let (by_day, by_month) = (day - day_before, month - month_before);
                    if day.div_euclid(NS_PER_DAY) != day_before.div_euclid(NS_PER_DAY) {
                        self.day.take(by_day, self.step);
                        self.month.take(by_month, self.step);
                    } else if by_day > 0 {
                        self.step = by_day;
                    }
                }
                self.last = Some((day, month));
            }
            (Some(_), None) => self.decided = Some(DateOrder::DayFirst),
            (None, Some(_)) => self.decided = Some(DateOrder::MonthFirst),
            (None, None) => {}
        }
        self.decided.is_some()
    }

    /// The order, where the rows show it: one that no date contradicts, in which time only ascends, or in which the rows go on
    /// over midnight as they do during the day.
    pub(super) fn order(&self) -> Option<DateOrder> {
        self.decided.or_else(|| {
            if self.day.is_better_than(self.month) {
                Some(DateOrder::DayFirst)
            } else if self.month.is_better_than(self.day) {
                Some(DateOrder::MonthFirst)
            } else if !self.differs && self.last.is_some() {
                Some(DateOrder::DayFirst)
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(rows: &[&str]) -> Option<DateOrder> {
        let mut evidence = Evidence::default();
        let _ = rows.iter().any(|row| evidence.take(row));
        evidence.order()
    }

    #[test]
    fn one_instant_in_every_writing() {
        let want = calendar::unix_ns("2020-07-29 16:59:35");
        for (text, order) in [
            ("29/07/2020 16:59:35", DateOrder::DayFirst),
            ("29.7.2020 16:59:35", DateOrder::DayFirst),
            ("29.07.2020 16:59:35", DateOrder::MonthFirst),
            ("29-07-2020T16:59:35.000", DateOrder::DayFirst),
            ("7/29/2020 4:59:35 PM", DateOrder::MonthFirst),
            ("07/29/2020, 04:59:35pm", DateOrder::MonthFirst),
            ("2020/07/29 16:59:35", DateOrder::MonthFirst),
        ] {
            assert_eq!(unix_ns(text, order), want, "{text}");
        }
        assert_eq!(
            unix_ns("1/2/2020 12:00 AM", DateOrder::DayFirst),
            calendar::unix_ns("2020-02-01 00:00:00"),
            "midnight"
        );
        for bad in
            ["29/07/20", "29/07", "1/2/2020 13:00 pm", "1/2/2020 x", "1/2/2020 1", "1/2/3/2020", "", "/"]
        {
            assert!(!is_date(bad), "{bad}");
        }
    }

    #[test]
    fn the_rows_decide() {
        assert_eq!(order(&["03/02/2020", "13/02/2020"]), Some(DateOrder::DayFirst));
        assert_eq!(order(&["03/02/2020", "03/13/2020"]), Some(DateOrder::MonthFirst));
        // Time ascends in one order only.
        assert_eq!(order(&["11/01/2020", "12/01/2020", "01/02/2020"]), Some(DateOrder::DayFirst));
        // It goes on over midnight.
        assert_eq!(order(&["3/2/2020 22:00", "3/2/2020 23:00", "4/2/2020 0:00"]), Some(DateOrder::DayFirst));
        assert_eq!(
            order(&["3/2/2020 22:00", "3/2/2020 23:00", "3/3/2020 0:00"]),
            Some(DateOrder::MonthFirst)
        );
        assert_eq!(order(&["03/02/2020 10:00", "03/02/2020 11:00"]), None);
        assert_eq!(order(&["03/02/2020", "04/02/2020"]), None, "days of a month, or months");
        // Whatever the order is, these are the same days.
        for same in [
            &["1.3.2021 10:00", "2.3.2021 9:00"],
            &["2021/03/01", "2021/03/02"],
            &["2/2/2020 1:00", "2/2/2020 2:00"],
        ] {
            assert_eq!(order(same), Some(DateOrder::DayFirst), "{same:?}");
        }
    }
}
