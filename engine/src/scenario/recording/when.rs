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
    /// Minutes.
    Min,
    /// Hours.
    Hours,
    /// Days.
    Days,
}

impl TimeUnit {
    const fn ns(self) -> i64 {
        match self {
            Self::S => NS_PER_S,
            Self::Ms => 1_000_000,
            Self::Us => 1_000,
            Self::Ns => 1,
            Self::Min => 60 * NS_PER_S,
            Self::Hours => 3600 * NS_PER_S,
            Self::Days => 86_400 * NS_PER_S,
        }
    }

    /// The unit that a column of times has in its name, as a word of its own: `ms`, `t_min`, `Time (sec)`, `uptime[h]`.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        match words.next_back()? {
            "s" | "sec" | "secs" | "second" | "seconds" => Some(Self::S),
            "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => Some(Self::Ms),
            "us" | "µs" | "μs" | "usec" | "usecs" | "micros" | "microsecond" | "microseconds" => {
                Some(Self::Us)
            }
            "ns" | "nsec" | "nsecs" | "nanos" | "nanosecond" | "nanoseconds" => Some(Self::Ns),
            "min" | "mins" | "minute" | "minutes" => Some(Self::Min),
            "h" | "hr" | "hrs" | "hour" | "hours" => Some(Self::Hours),
            "d" | "day" | "days" => Some(Self::Days),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S => "seconds",
            Self::Ms => "milliseconds",
            Self::Us => "microseconds",
            Self::Ns => "nanoseconds",
            Self::Min => "minutes",
            Self::Hours => "hours",
            Self::Days => "days",
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
    /// Time from the start, or of a day: 00:01:05.
    Elapsed,
    /// Hours and minutes of a day: 23:05. The days are counted as they go by.
    OfDay,
    /// Days since 1899-12-30, as spreadsheets count them.
    Serial,
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
        if elapsed_ns(text).is_some() {
            return Some(Self::Elapsed);
        }
        if of_day_ns(text).is_some() {
            return Some(Self::OfDay);
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
        !matches!(self, Self::Elapsed | Self::OfDay | Self::Number { unix: false, .. })
    }

    /// The time of a row, [ns].
    pub(super) fn read(self, text: &str) -> Option<i64> {
        match self {
            Self::Calendar => calendar::unix_ns(text),
            Self::Compact => calendar::compact_ns(text),
            Self::Dates(order) => dates::unix_ns(text, order?),
            Self::Elapsed => elapsed_ns(text),
            Self::OfDay => of_day_ns(text).or_else(|| elapsed_ns(text)),
            Self::Serial => serial_ns(text),
            Self::Number { unit, .. } => decimal_ns(text.trim(), unit.ns()),
        }
    }
}

/// Hours, minutes and seconds, as many hours as there were: `H:MM:SS`, a fraction, and days before them (`2 days 01:00:00`).
fn elapsed_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    let (days, clock) = match text.split_once("day") {
        Some((days, clock)) => {
            (days.trim().parse::<i64>().ok()?, clock.trim_start_matches(['s', ',']).trim())
        }
        None => (0, text),
    };
    let mut parts = clock.splitn(3, ':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = |text: &str, most: usize| -> Option<i64> {
        let plain = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok())?
    };
    let second = seconds.split_once(['.', ',']).map_or(seconds, |s| s.0);
    let (hours, minutes) = (whole(hours, 5)?, whole(minutes, 2).filter(|m| *m < 60)?);
    whole(second, 2).filter(|s| *s < 60)?;
    let seconds_ns = decimal_ns(&seconds.replace(',', "."), NS_PER_S)?;
    let before_s = days.checked_mul(86_400)?.checked_add(hours * 3600 + minutes * 60)?;
    before_s.checked_mul(NS_PER_S)?.checked_add(seconds_ns)
}

/// Hours and minutes of a day: `H:MM`.
fn of_day_ns(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let plain = (1..=2).contains(&hours.len()) && minutes.len() == 2 && digits(hours) && digits(minutes);
    let (hours, minutes): (i64, i64) =
        plain.then(|| Some((hours.parse().ok()?, minutes.parse().ok()?)))??;
    (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60 * NS_PER_S)
}

/// Unix time, [ns], of days since 1899-12-30; they are written with so many digits that whole seconds are a little off.
pub(super) fn serial_ns(text: &str) -> Option<i64> {
    const EPOCH_DAYS: f64 = 25_569.0;
    let days: f64 = text.trim().parse().ok().filter(|d: &f64| (0.0..100_000.0).contains(d))?;
    let seconds = (days - EPOCH_DAYS) * 86_400.0;
    let whole = seconds.round();
    let seconds = if (seconds - whole).abs() < 0.1 { whole } else { seconds };
    Some((seconds * 1e3).round() as i64 * 1_000_000)
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
    fn hours_minutes_and_seconds_from_the_start() {
        for (text, want_ms) in [
            ("00:01:05", 65_000),
            ("0:01:05.5", 65_500),
            ("100:00:00", 360_000_000),
            ("2 days 01:00:00", 176_400_000),
            ("1 day, 0:00:01", 86_401_000),
        ] {
            let clock = Clock::of(text, None).unwrap();
            assert_eq!((clock, clock.read(text)), (Clock::Elapsed, Some(want_ms * 1_000_000)), "{text}");
        }
        for bad in ["1:60:00", "1:00:60", "1:2", "a:00:00", "::", "99999999 days 00:00:00", "1:00:0x"] {
            assert_eq!(Clock::of(bad, None), None, "{bad}");
        }
    }

    #[test]
    fn times_of_the_day_and_days_of_spreadsheets() {
        let clock = Clock::of("23:05", None).unwrap();
        assert_eq!((clock, clock.read("23:05")), (Clock::OfDay, Some(83_100_000_000_000)));
        let may = calendar::unix_ns("2024-05-01 00:05:00");
        assert_eq!(Clock::Serial.read("45413.003472"), may);
        assert!(Clock::Serial.is_calendar() && !Clock::OfDay.is_calendar());
        assert_eq!(Clock::Serial.read("-1"), None);
    }

    #[test]
    fn units_in_names() {
        use TimeUnit::{Days, Hours, Min, Ms, S};
        for (name, unit) in [
            ("t_min", Some(Min)),
            ("ms", Some(Ms)),
            ("Time (sec)", Some(S)),
            ("uptime[h]", Some(Hours)),
            ("elapsed days", Some(Days)),
            ("time", None),
            ("minimum", None),
            ("timestamp", None),
            ("", None),
        ] {
            assert_eq!(TimeUnit::of_name(name), unit, "{name}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for bad in ["", "NaN", "inf", "x", "1e400", "24:00", "12:60", "1:2"] {
            assert_eq!(Clock::of(bad, None), None, "{bad}");
        }
        let clock = Clock::of("0", None).unwrap();
        for bad in ["", "1e300", "99999999999999999999999", "1.2.3", "--1"] {
            assert_eq!(clock.read(bad), None, "{bad}");
        }
    }
}
