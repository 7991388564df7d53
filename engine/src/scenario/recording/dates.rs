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

/// The months as three letters that tell them in English, German, French, Spanish, Italian and Dutch, as far as these tell one.
const MONTHS: [&[&str]; 12] = [
    &["jan", "ene", "gen"],
    &["feb", "fev", "fév"],
    &["mar", "mär", "maa", "mrt"],
    &["apr", "avr", "abr"],
    &["may", "mai", "mag", "mei"],
    &["jun", "giu"],
    &["jul", "lug"],
    &["aug", "aoû", "aou", "ago"],
    &["sep", "set"],
    &["oct", "okt", "ott"],
    &["nov"],
    &["dec", "dez", "déc", "dic"],
];

/// The month of a name: May, März, juin.
fn named_month(text: &str) -> Option<i64> {
    let name = text.to_lowercase();
    match name.as_str() {
        "juin" => return Some(6),
        "juil" | "juillet" => return Some(7),
        _ => {}
    }
    if !(3..=10).contains(&name.chars().count()) || !name.chars().all(char::is_alphabetic) {
        return None;
    }
    let start: String = name.chars().take(3).collect();
    let at = MONTHS.iter().position(|names| names.contains(&start.as_str()))?;
    Some(at as i64 + 1)
}

/// Unix time, [ns], of a day, a month's name and a year, in this order or the first two turned, followed by nothing or a clock:
/// `01-May-2024 00:00:00`, `1 May 2024`, `May 1, 2024 12:00 PM`.
fn named_ns(text: &str) -> Option<i64> {
    let between = |c: char| matches!(c, '-' | '/' | ' ' | '.' | ',');
    let mut rest = text;
    let mut tokens = [""; 3];
    for token in &mut tokens {
        rest = rest.trim_start_matches(between);
        let end = rest.find(|c: char| between(c) || c == 'T' && token_ends(rest, c)).unwrap_or(rest.len());
        (*token, rest) = rest.split_at(end);
    }
    let (month, day) = match (named_month(tokens[0]), named_month(tokens[1])) {
        (None, Some(month)) => (month, tokens[0]),
        (Some(month), None) => (month, tokens[1]),
        _ => return None,
    };
    let midnight = calendar::midnight_ns(year_of(tokens[2])?, month, number(day)?)?;
    midnight.checked_add(clock_ns(rest.trim_start_matches(['T', ' ', ',', ':']).trim())?)
}

/// A `T` ends a token of digits only: that of October does not.
fn token_ends(rest: &str, c: char) -> bool {
    rest.find(c).is_some_and(|at| at > 0 && rest[..at].bytes().all(|b| b.is_ascii_digit()))
}

/// A day or a month in one or two digits.
fn number(text: &str) -> Option<i64> {
    let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// A year in four digits, or in two, which are of 1970 to 2069.
fn year_of(text: &str) -> Option<i64> {
    let year: i64 = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())??;
    match text.len() {
        4 => Some(year),
        2 => Some(if year < 70 { 2000 + year } else { 1900 + year }),
        _ => None,
    }
}

/// Unix time, [ns], of three numbers parted by strokes, points or hyphens, the year in four digits or, after strokes or points, in
/// two; or of a day, a month's name and a year; followed by nothing or a clock: `H:MM`, `:SS`, a fraction, `AM` or `PM`. A year
/// that comes first is followed by its month; with points the day comes first. `None` where it is no such time.
pub(super) fn unix_ns(text: &str, order: DateOrder) -> Option<i64> {
    let text = text.trim();
    if text.contains(char::is_alphabetic)
        && let Some(named) = named_ns(text)
    {
        return Some(named);
    }
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
        _ if third.len() == 2 && sign == '-' => return None,
        DateOrder::MonthFirst if sign != '.' => (third, first, second),
        _ => (third, second, first),
    };
    let midnight = calendar::midnight_ns(year_of(year)?, number(month)?, number(day)?)?;
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
    /// Where years have two digits: changes of the first number and of the last. A year does not change more often than a day.
    ends: Option<(String, String)>,
    changes: (u32, u32),
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
        self.look_at_ends(text);
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
        self.decided.is_some() && (self.ends.is_none() || self.changes.0 > self.changes.1 + 3)
    }

    fn look_at_ends(&mut self, text: &str) {
        let date = text.trim().split([' ', 'T', 't', ',']).next().unwrap_or_default();
        let mut parts = date.split(['/', '.']);
        let (Some(first), Some(_), Some(last)) = (parts.next(), parts.next(), parts.next()) else { return };
        if first.len() > 2 || last.len() != 2 {
            return;
        }
        if let Some(before) = &self.ends {
            self.changes.0 += u32::from(before.0 != first);
            self.changes.1 += u32::from(before.1 != last);
        }
        self.ends = Some((first.to_owned(), last.to_owned()));
    }

    /// Whether the number that would be the year changes as days do: a year that comes first, in two digits.
    pub(super) fn year_first(&self) -> bool {
        self.changes.1 > self.changes.0
    }

    /// The order, where the rows show it: one that no date contradicts, in which time only ascends, or in which the rows go on
    /// over midnight as they do during the day.
    pub(super) fn order(&self) -> Option<DateOrder> {
        if self.year_first() {
            return None;
        }
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
            ("29/07/20 16:59:35", DateOrder::DayFirst),
            ("29-Jul-2020 16:59:35", DateOrder::MonthFirst),
            ("29 juillet 2020 16:59:35", DateOrder::DayFirst),
            ("July 29, 2020 4:59:35 PM", DateOrder::DayFirst),
            ("29-Jul-20T16:59:35", DateOrder::DayFirst),
        ] {
            assert_eq!(unix_ns(text, order), want, "{text}");
        }
        assert_eq!(
            unix_ns("1/2/2020 12:00 AM", DateOrder::DayFirst),
            calendar::unix_ns("2020-02-01 00:00:00"),
            "midnight"
        );
        for bad in [
            "29-07-20",
            "29/07",
            "29/Foo/2020",
            "May",
            "1/2/2020 13:00 pm",
            "1/2/2020 x",
            "1/2/2020 1",
            "1/2/3/2020",
            "",
            "/",
        ] {
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
        assert_eq!(order(&["03/02/20 10:00", "13/02/20 10:00"]), Some(DateOrder::DayFirst));
        assert_eq!(order(&["20/02/03 10:00", "20/02/13 10:00"]), None, "a year of two digits comes last");
        assert!(order(&["2020/02/03 10:00", "2020/02/13 10:00"]).is_some(), "one of four may come first");
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
