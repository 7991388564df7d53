//! Calendar time as files write it: ISO 8601 and its usual relaxations, read to Unix nanoseconds. No clock is read.
//!
//! ```
//! use twinfleet_engine::scenario::calendar::unix_ns;
//! assert_eq!(unix_ns("1970-01-02T00:00:00Z"), Some(86_400_000_000_000));
//! assert_eq!(unix_ns("2020-07-29 16:59:35.037501"), unix_ns("2020-07-29T18:59:35.037501+02:00"));
//! assert_eq!(unix_ns("2020-02-30"), None);
//! ```

use crate::time::NS_PER_S;

/// Unix time, [ns], of `YYYY-MM-DD`, optionally followed by `T` or a blank, `HH:MM`, `:SS`, a fraction, and `Z`, `UTC`, `GMT` or an
/// offset such as `+02:00`. Without an offset the time is taken as UTC. `None` where it is no such time, or outside 1678–2261.
pub fn unix_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-');
    let year: i64 = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    let day = digits(parts.next()?, 2)?;
    if parts.next().is_some() {
        return None;
    }
    let midnight = midnight_ns(year, month, day)?;
    if rest.is_empty() {
        return Some(midnight);
    }
    midnight.checked_add(clock_ns(rest.strip_prefix(['T', 't', ' '])?)?)
}

/// The offset to UTC that a time is written with, [s]; `None` where it has none.
///
/// ```
/// use twinfleet_engine::scenario::calendar::offset_s;
/// assert_eq!(offset_s("2020-07-29T18:59:35+02:00"), Some(7200));
/// assert_eq!((offset_s("2020-07-29 18:59:35Z"), offset_s("2020-07-29 18:59:35")), (Some(0), None));
/// ```
pub fn offset_s(text: &str) -> Option<i64> {
    // The hyphens before are those of the date.
    let clock = text.trim().get(8..)?;
    let (before, offset_s) = split_offset(clock)?;
    (before.len() < clock.len()).then_some(offset_s)
}

/// Unix time, [ns], of the same without signs between: `YYYYMMDD`, `…HH`, `…HHMM`, `…HHMMSS`, and `YYYYMMDDTHHMMSS` with a fraction
/// and an offset if need be. Digits alone are such a time if their year is one of 1900 to 2099.
pub(crate) fn compact_ns(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, rest) = text.split_at_checked(8)?;
    let alone = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if alone && !text.starts_with("19") && !text.starts_with("20") {
        return None;
    }
    let (year, monthday) = date.split_at_checked(4)?;
    let (month, day) = monthday.split_at_checked(2)?;
    let midnight = midnight_ns(digits(year, 4)?, digits(month, 2)?, digits(day, 2)?)?;
    if rest.is_empty() {
        return Some(midnight);
    }
    let clock = if alone { rest } else { rest.strip_prefix(['T', 't'])? };
    let of_day = clock.bytes().take_while(u8::is_ascii_digit).count();
    let (of_day, more) = clock.split_at_checked(of_day)?;
    let spelled = match of_day.len() {
        _ if of_day.len() < 6 && more.starts_with('.') => return None,
        2 => format!("{of_day}:00{more}"),
        4 => format!("{}:{}{more}", &of_day[..2], &of_day[2..]),
        6 => format!("{}:{}:{}{more}", &of_day[..2], &of_day[2..4], &of_day[4..]),
        _ => return None,
    };
    midnight.checked_add(clock_ns(&spelled)?)
}

/// Unix time, [ns], at which a day begins; `None` where there is no such day, or outside 1678–2261.
pub(crate) fn midnight_ns(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    days(year, month, day).checked_mul(86_400 * NS_PER_S)
}

/// A Unix time, [ns], as [`unix_ns`] reads it, to the millisecond: `YYYY-MM-DDTHH:MM:SS.mmmZ`.
///
/// ```
/// use twinfleet_engine::scenario::calendar::{text, unix_ns};
/// let t = unix_ns("2020-02-29T16:59:35.037501Z").unwrap();
/// assert_eq!(text(t), "2020-02-29T16:59:35.037Z");
/// ```
pub fn text(unix_ns: i64) -> String {
    let ms = unix_ns.div_euclid(1_000_000);
    let (day, ms) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // A year that begins before the day, and from there on.
    let mut year = 1969 + day.div_euclid(366);
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (1..=12).rev().find(|m| days(year, *m, 1) <= day).unwrap_or(1);
    let date = day - days(year, month, 1) + 1;
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{date:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
}

/// Time since midnight, [ns], of `HH:MM`, `:SS`, a fraction, and `Z` or an offset, which is taken off.
pub(crate) fn clock_ns(text: &str) -> Option<i64> {
    let (clock, offset_s) = split_offset(text)?;
    let (clock, fraction_ns) = match clock.split_once(['.', ',']) {
        Some((clock, digits)) => (clock, fraction(digits)?),
        None => (clock, 0),
    };
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let second = parts.next().map_or(Some(0), |s| digits(s, 2))?;
    // 23:59:60 is a leap second; Unix time has none, so it is the next second's start.
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some((hour * 3600 + minute * 60 + second - offset_s) * NS_PER_S + fraction_ns)
}

/// The clock's text and the offset to UTC, [s].
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = ["Z", "z", "UTC", "GMT"].into_iter().find_map(|zone| text.strip_suffix(zone)) {
        return Some((clock.trim_end(), 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    let zone = &text[at + 1..];
    let (hours, minutes) = match zone.split_once(':') {
        Some((h, m)) => (digits(h, 2)?, digits(m, 2)?),
        None if zone.len() == 4 && zone.is_ascii() => (digits(&zone[..2], 2)?, digits(&zone[2..], 2)?),
        None => (digits(zone, 2)?, 0),
    };
    (hours <= 23 && minutes <= 59).then(|| (text[..at].trim_end(), sign * (hours * 3600 + minutes * 60)))
}

fn digits(text: &str, n: usize) -> Option<i64> {
    (text.len() == n && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

fn fraction(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nine: String = text.chars().chain(std::iter::repeat('0')).take(9).collect();
    nine.parse().ok()
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the
/// last: 153 days in five months, 1461 in four years, 146,097 in 400.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let m = (month + 9) % 12;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        let at = unix_ns("2020-07-29T16:59:35Z");
        assert_eq!(at, Some(1_596_041_975 * NS_PER_S));
        for same in [
            "2020-07-29 16:59:35",
            "2020-07-29T16:59:35+00:00",
            "2020-07-29 11:29:35-0530",
            " 2020-07-29t16:59:35.000z ",
            "2020-07-29 16:59:35 UTC",
        ] {
            assert_eq!(unix_ns(same), at, "{same}");
        }
        assert_eq!(unix_ns("2020-07-29 16:59:35.5"), at.map(|t| t + 500_000_000));
        assert_eq!(unix_ns("2000-02-29"), Some(951_782_400 * NS_PER_S));
        for bad in [
            "",
            "2020",
            "2020-13-01",
            "2021-02-29",
            "2020-07-29 24:00:00",
            "2020-07-29 1:00",
            "29.07.2020",
            "2020-07-29x",
            "2020-07-29 10:00:00.",
            "3000-01-01",
            "２０２０-01-01",
        ] {
            assert_eq!(unix_ns(bad), None, "{bad} was taken");
        }
    }

    #[test]
    fn spellings_without_signs() {
        let at = unix_ns("2020-07-29T16:59:35Z");
        for same in [
            "20200729165935",
            "20200729T165935",
            "20200729T165935.000Z",
            "20200729165935.0",
            "20200729t185935+0200",
        ] {
            assert_eq!(compact_ns(same), at, "{same}");
        }
        assert_eq!(compact_ns("2020072916"), unix_ns("2020-07-29 16:00"));
        assert_eq!(compact_ns("202007291659"), unix_ns("2020-07-29 16:59"));
        assert_eq!(compact_ns("20200729"), unix_ns("2020-07-29"));
        // Unix times, counts and numbers are none.
        for bad in [
            "1596041975",
            "1596041975037",
            "20201329",
            "2020072925",
            "202007291",
            "20200729.5",
            "2020072916.5",
            "87654321",
            "",
        ] {
            assert_eq!(compact_ns(bad), None, "{bad} was taken");
        }
    }

    #[test]
    fn consecutive_days_are_a_day_apart() {
        let mut last = days(1899, 12, 31);
        for year in 1900..2200 {
            for month in 1..=12 {
                for day in 1..=month_days(year, month) {
                    let now = days(year, month, day);
                    assert_eq!(now, last + 1, "{year}-{month}-{day}");
                    last = now;
                }
            }
        }
        assert_eq!(days(1970, 1, 1), 0);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in -9_000_000_000_000i64..9_000_000_000_000) {
            prop_assert_eq!(unix_ns(&text(ms * 1_000_000)), Some(ms * 1_000_000));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (unix_ns(&text), compact_ns(&text));
        }
    }
}
