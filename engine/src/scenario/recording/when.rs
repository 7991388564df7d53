//! The time column of a table: calendar times, seconds, or Unix times in units told by their magnitude.

use super::dates::{self, DateOrder};
use crate::{scenario::calendar, time::NS_PER_S};

/// Unit of a numeric time column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    const fn ns(self) -> i64 {
        match self {
            Self::S => NS_PER_S,
            Self::Ms => 1_000_000,
            Self::Us => 1_000,
            Self::Ns => 1,
        }
    }
}

/// How the column writes time; the first row decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// ISO 8601 and the like.
    Calendar,
    /// The same without signs between: 20200729165935.
    Compact,
    /// Dates with the year last, in an order that the rows have to show.
    Dates(Option<DateOrder>),
    /// Numbers. `unix` tells whether they count from 1970.
    Number { unit: TimeUnit, unix: bool },
}

impl Clock {
    /// Told by the first row. Numbers from 10⁸ on (1973, where they are seconds) are Unix times: a recording that counts
    /// from its own start would have to last three years to get there.
    pub(super) fn of(text: &str, unit: Option<TimeUnit>) -> Option<Self> {
        if calendar::unix_ns(text).is_some() {
            return Some(Self::Calendar);
        }
        if dates::is_date(text) {
            return Some(Self::Dates(None));
        }
        // Read as Unix times, they would lie in 1970, or in the years after 2030.
        if unit.is_none() && calendar::compact_ns(text).is_some() {
            return Some(Self::Compact);
        }
        let value: f64 = text.trim().parse().ok()?;
        if !value.is_finite() {
            return None;
        }
        let by_magnitude = match value.abs() {
            v if v < 1e11 => TimeUnit::S,
            v if v < 1e14 => TimeUnit::Ms,
            v if v < 1e17 => TimeUnit::Us,
            _ => TimeUnit::Ns,
        };
        let unit = unit.unwrap_or(by_magnitude);
        let seconds = value * unit.ns() as f64 / NS_PER_S as f64;
        Some(Self::Number { unit, unix: seconds >= 1e8 })
    }

    /// Whether the times are calendar times.
    pub(super) fn is_calendar(self) -> bool {
        !matches!(self, Self::Number { unix: false, .. })
    }

    /// The time of a row, [ns].
    pub(super) fn read(self, text: &str) -> Option<i64> {
        match self {
            Self::Calendar => calendar::unix_ns(text),
            Self::Compact => calendar::compact_ns(text),
            Self::Dates(order) => dates::unix_ns(text, order?),
            Self::Number { unit, .. } => decimal_ns(text.trim(), unit.ns()),
        }
    }
}

/// A decimal number times `scale`, exact where it is written without an exponent: a double cannot hold Unix nanoseconds.
fn decimal_ns(text: &str, scale: i64) -> Option<i64> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, part) = body.split_once('.').unwrap_or((body, ""));
    let plain = !whole.is_empty()
        && whole.len() <= 20
        && (whole.bytes().chain(part.bytes())).all(|b| b.is_ascii_digit());
    if !plain {
        let ns = text.parse::<f64>().ok()? * scale as f64;
        return (ns.abs() < i64::MAX as f64).then(|| ns.round() as i64);
    }
    let mut ns = whole.parse::<i128>().ok()?.checked_mul(i128::from(scale))?;
    let (mut digit, mut rest) = (i128::from(scale), part.bytes());
    while let (true, Some(d)) = (digit >= 10, rest.next()) {
        digit /= 10;
        ns += i128::from(d - b'0') * digit;
    }
    i64::try_from(if negative { -ns } else { ns }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_in_every_writing() {
        let want = 1_596_041_975_037_501_000;
        for text in [
            "2020-07-29 16:59:35.037501",
            "1596041975.037501",
            "1596041975037.501",
            "1596041975037501",
            "1596041975037501000",
            "20200729T165935.037501Z",
        ] {
            let clock = Clock::of(text, None).unwrap();
            assert!(clock.is_calendar(), "{text}");
            assert_eq!(clock.read(text), Some(want), "{text}");
        }
    }

    #[test]
    fn seconds_from_the_start() {
        let clock = Clock::of("0.000000000000000000e+00", None).unwrap();
        assert!(!clock.is_calendar());
        assert_eq!(clock.read("5.978996589183807373e+02"), Some(597_899_658_918));
        assert_eq!(clock.read("-1.5"), Some(-1_500_000_000));
        assert_eq!(clock.read("1.0000000009"), Some(1_000_000_000));
        assert_eq!(Clock::of("20200729", None), Some(Clock::Compact));
        let counted = Clock::of("20200729", Some(TimeUnit::S)).unwrap();
        assert_eq!(counted.read("20200729"), Some(20_200_729_000_000_000), "a unit makes it a number");
        assert_eq!(Clock::of("12", Some(TimeUnit::Ms)).unwrap().read("250"), Some(250_000_000));
    }

    #[test]
    fn what_is_no_time() {
        for bad in ["", "NaN", "inf", "x", "1e400", "12:00"] {
            assert_eq!(Clock::of(bad, None), None, "{bad}");
        }
        let clock = Clock::of("0", None).unwrap();
        for bad in ["", "1e300", "99999999999999999999999", "1.2.3", "--1"] {
            assert_eq!(clock.read(bad), None, "{bad}");
        }
    }
}
