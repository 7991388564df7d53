//! The receiver's NMEA 2.3 sentences, as GPS.G6-SW-10018 has them; their order in an epoch is the receiver's own.

use std::fmt::{self, Write, from_fn};

/// Satellites of the receiver's sky: number, elevation, azimuth \[°\], signal \[dBHz\]. The first eight are used.
const SKY: [(u8, u8, u16, u8); 10] = [
    (23, 38, 230, 44),
    (29, 71, 156, 47),
    (7, 29, 116, 41),
    (8, 21, 81, 36),
    (9, 47, 301, 43),
    (18, 15, 32, 33),
    (26, 33, 178, 40),
    (28, 52, 66, 45),
    (3, 6, 345, 22),
    (13, 4, 12, 19),
];
const USED: usize = 8;
const GEOID_M: f64 = 48.0;
const KNOT_MPS: f64 = 1852.0 / 3600.0;

/// What an epoch knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fix {
    pub latitude_deg: f64,
    pub longitude_deg: f64,
    pub altitude_m: f64,
    pub speed_mps: f64,
    pub course_deg: f64,
    /// Milliseconds since 1970, UTC.
    pub unix_ms: u64,
}

/// The checksum of a sentence: all between `$` and `*`, by exclusive or.
///
/// ```
/// let body = "GPGLL,4717.11364,N,00833.91565,E,092321.00,A,A";
/// assert_eq!(twinfleet_twins::parts::neo6m::checksum(body), 0x60);
/// ```
pub fn checksum(body: &str) -> u8 {
    body.bytes().fold(0, |sum, byte| sum ^ byte)
}

/// Year, month and day of a day since 1970: years that begin in March have the leap day at their end.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // from 0000-03-01
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, of_month)
}

/// Degrees and minutes with five decimals, rounded as a whole so that no minute is 60, and the half of the globe.
fn angle(degrees: f64, width: usize, halves: [char; 2]) -> impl fmt::Display {
    let units = (degrees.abs() * 6_000_000.0).round() as u64; // 10⁻⁵ minutes
    let (whole, minutes, half) = (units / 6_000_000, units % 6_000_000, halves[usize::from(degrees < 0.0)]);
    from_fn(move |f| write!(f, "{whole:0width$}{:02}.{:05},{half}", minutes / 100_000, minutes % 100_000))
}

fn sentence(out: &mut String, body: fmt::Arguments<'_>) {
    let from = out.len() + 1;
    // Writing to a string cannot fail.
    let _ = write!(out, "${body}");
    let sum = checksum(&out[from..]);
    let _ = write!(out, "*{sum:02X}\r\n");
}

/// Appends an epoch's sentences, of GGA, GLL, GSA, GSV, RMC and VTG those that are due.
pub(super) fn write_epoch(out: &mut String, fix: Option<&Fix>, due: [bool; 6]) {
    let [gga, gll, gsa, gsv, rmc, vtg] = due;
    let Some(fix) = fix else {
        let empty = [
            (rmc, "GPRMC,,V,,,,,,,,,,N"),
            (vtg, "GPVTG,,,,,,,,,N"),
            (gga, "GPGGA,,,,,,0,00,99.99,,,,,,"),
            (gsa, "GPGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99"),
            (gsv, "GPGSV,1,1,00"),
            (gll, "GPGLL,,,,,,V,N"),
        ];
        empty.iter().filter(|(due, _)| *due).for_each(|(_, body)| sentence(out, format_args!("{body}")));
        return;
    };
    let (day_ms, days) = (fix.unix_ms % 86_400_000, fix.unix_ms / 86_400_000);
    let (s, hundredths) = (day_ms / 1000, day_ms % 1000 / 10);
    let time = from_fn(|f| write!(f, "{:02}{:02}{:02}.{hundredths:02}", s / 3600, s / 60 % 60, s % 60));
    let (year, month, day) = date(days);
    let (lat, lon) = (angle(fix.latitude_deg, 2, ['N', 'S']), angle(fix.longitude_deg, 3, ['E', 'W']));
    let place = from_fn(|f| write!(f, "{lat},{lon}"));
    let knots = fix.speed_mps / KNOT_MPS;
    // A course that rounds up to 360 is 0.
    let course = (fix.course_deg * 100.0).round() % 36_000.0 / 100.0;
    if rmc {
        let yy = year % 100;
        sentence(
            out,
            format_args!("GPRMC,{time},A,{place},{knots:.3},{course:.2},{day:02}{month:02}{yy:02},,,A"),
        );
    }
    if vtg {
        let kph = fix.speed_mps * 3.6;
        sentence(out, format_args!("GPVTG,{course:.2},T,,M,{knots:.3},N,{kph:.3},K,A"));
    }
    if gga {
        let height = fix.altitude_m;
        sentence(out, format_args!("GPGGA,{time},{place},1,{USED:02},1.01,{height:.1},M,{GEOID_M:.1},M,,"));
    }
    if gsa {
        let used = from_fn(|f| SKY[..USED].iter().try_for_each(|s| write!(f, "{:02},", s.0)));
        sentence(out, format_args!("GPGSA,A,3,{used},,,,1.94,1.01,1.66"));
    }
    if gsv {
        let all = SKY.len().div_ceil(4);
        for (i, four) in SKY.chunks(4).enumerate() {
            let seen: String =
                four.iter().map(|s| format!(",{:02},{:02},{:03},{:02}", s.0, s.1, s.2, s.3)).collect();
            sentence(out, format_args!("GPGSV,{all},{},{:02}{seen}", i + 1, SKY.len()));
        }
    }
    if gll {
        sentence(out, format_args!("GPGLL,{place},{time},A,A"));
    }
}
