//! NEO-6M, read by nmea 0.8.0, nmea0183 0.6.0 and (sentences and UBX, over its own reader) periph 1.3.1.
//!
//! Where parser and receiver disagree: nmea 0.8.0 refuses a GSV sentence without satellites, which a receiver sends
//! that sees none.
//!
//! The part's quanta are the last digits of its sentences: 10⁻⁵ minutes of angle, 0.1 m of height, 0.001 knots, 0.01°
//! of course.

use super::common::{assert_near, cases};
use ::nmea::{Nmea, SentenceType, sentences::FixType};
use embedded_io::{ErrorKind, ErrorType, Read, Write};
use nmea0183::{ParseResult, Parser};
use periph::chips::gnss::{Neo6Error, Neo6Full, UartBus};
use proptest::prelude::*;
use twinfleet_twins::parts::{
    MS, US,
    clock::Clock,
    eh02::V02,
    neo6m::{Neo6m, checksum},
    serial::{SerialPart, Uart, byte_ns},
    stimulus::Quantity,
};

const KNOT: f64 = 1852.0 / 3600.0;
const MINUTE_5: f64 = 1e-5 / 60.0;

#[derive(Debug, Clone, Copy)]
struct Truth {
    latitude: f64,
    longitude: f64,
    altitude: f64,
    speed: f64,
    course: f64,
}

type World = Box<dyn FnMut(Quantity, u64) -> f64 + Send>;

fn world(t: Truth) -> World {
    Box::new(move |q, _| match q {
        Quantity::LatitudeDeg => t.latitude,
        Quantity::LongitudeDeg => t.longitude,
        Quantity::AltitudeM => t.altitude,
        Quantity::SpeedMps => t.speed,
        Quantity::CourseDeg => t.course,
        other => panic!("{other:?}"),
    })
}

const HERE: Truth = Truth { latitude: 47.3, longitude: 8.6, altitude: 499.6, speed: 1.5, course: 77.5 };

/// A receiver that has its fix from the first epoch on.
fn hot(unix_s: u64, truth: Truth) -> (Uart<Neo6m<World>>, Clock) {
    let clock = Clock::new();
    let mut part = Neo6m::new(unix_s, world(truth));
    part.set_first_fix_ns(1000 * MS);
    (Uart::new(part, clock.clone()), clock)
}

/// What comes in within some time, looked for every millisecond.
fn listen<P: SerialPart>(uart: &mut Uart<P>, clock: &Clock, ms: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..ms {
        clock.advance_ns(MS);
        bytes.extend(std::iter::from_fn(|| uart.read_byte()));
    }
    bytes
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with("\r\n"), "{text}");
    text.split_terminator("\r\n").map(str::to_owned).collect()
}

/// Waits up to 20 ms for a byte, as a driver with a time-out does.
struct Waiting<'a, P>(&'a mut Uart<P>, Clock);

#[derive(Debug)]
struct TimedOut;
impl embedded_io::Error for TimedOut {
    fn kind(&self) -> ErrorKind {
        ErrorKind::TimedOut
    }
}
impl<P> ErrorType for Waiting<'_, P> {
    type Error = TimedOut;
}
impl<P: SerialPart> Read for Waiting<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TimedOut> {
        for _ in 0..200 {
            if let Some(byte) = self.0.read_byte() {
                buffer[0] = byte;
                return Ok(1);
            }
            self.1.advance_ns(100 * US);
        }
        Err(TimedOut)
    }
}
impl<P: SerialPart> Write for Waiting<'_, P> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, TimedOut> {
        bytes.iter().for_each(|&b| self.0.write_byte(b));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), TimedOut> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn three_parsers_read_the_truth(latitude in -90.0..90.0_f64, longitude in -180.0..180.0_f64,
            altitude in -400.0..9000.0_f64, speed in 0.0..300.0_f64, course in 0.0..360.0_f64,
            unix_s in 1_262_304_000..2_840_140_800_u64) {
        let truth = Truth { latitude, longitude, altitude, speed, course };
        let (mut uart, clock) = hot(unix_s - 1, truth);
        clock.advance_ns(999 * MS);
        let bytes = listen(&mut uart, &clock, 900);
        let lines = lines(&bytes);
        prop_assert_eq!(lines.len(), 8);
        let (second, day) = (unix_s % 86_400, unix_s / 86_400);

        let mut parsed = Nmea::default();
        for line in &lines {
            parsed.parse(line).unwrap();
        }
        assert_near("latitude", parsed.latitude.unwrap(), latitude, 0.51 * MINUTE_5);
        assert_near("longitude", parsed.longitude.unwrap(), longitude, 0.51 * MINUTE_5);
        assert_near("altitude", f64::from(parsed.altitude.unwrap()), altitude, 0.051);
        let knots = speed / KNOT;
        assert_near("speed", f64::from(parsed.speed_over_ground.unwrap()), knots, 0.0006 + knots * 1e-7);
        let course_off = (f64::from(parsed.true_course.unwrap()) - course).rem_euclid(360.0);
        prop_assert!(course_off.min(360.0 - course_off) < 0.0051, "course {:?}", parsed.true_course);
        prop_assert_eq!(parsed.fix_type, Some(FixType::Gps));
        prop_assert_eq!(parsed.fix_satellites(), Some(8));
        prop_assert_eq!(parsed.satellites().len(), 10);
        let time = parsed.fix_time.unwrap().to_string();
        prop_assert_eq!(time, format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60));

        let mut parser = Parser::new();
        let results: Vec<ParseResult> = parser.parse_from_bytes(&bytes).map(|r| r.unwrap()).collect();
        let (mut rmc, mut gga) = (None, None);
        for result in results {
            match result {
                ParseResult::RMC(found) => rmc = found,
                ParseResult::GGA(found) => gga = found,
                _ => {}
            }
        }
        let (rmc, gga) = (rmc.unwrap(), gga.unwrap());
        assert_near("latitude", rmc.latitude.as_f64(), latitude, 0.51 * MINUTE_5 + 1e-7);
        assert_near("longitude", gga.longitude.as_f64(), longitude, 0.51 * MINUTE_5 + 1e-7);
        assert_near("altitude", f64::from(gga.altitude.unwrap().meters), altitude, 0.051);
        // Two digits of a year, which the parser has after 2000; the date against a count of the days from 1970 on.
        let date = rmc.datetime.date;
        prop_assert_eq!(days_before(u64::from(date.year), u64::from(date.month)) + u64::from(date.day) - 1, day);

        let (mut uart, clock) = hot(unix_s, truth);
        clock.advance_ns(999 * MS);
        let mut driver = Neo6Full::new(UartBus(Waiting(&mut uart, clock)));
        for _ in 0..2_000 {
            driver.update().unwrap();
        }
        prop_assert_eq!((driver.fix(), driver.satellites()), (1, 8));
        // It computes in f32: 2⁻²⁴ of ddmm.mmmmm, of which the degrees are taken.
        assert_near("latitude", f64::from(driver.latitude().unwrap()), latitude, 2e-5);
        assert_near("longitude", f64::from(driver.longitude().unwrap()), longitude, 4e-5);
        assert_near("speed", f64::from(driver.speed().unwrap()), speed, 0.001 + speed * 1e-6);
    }
}

/// Days from 1970 to the first of a month, year by year and month by month.
fn days_before(year: u64, month: u64) -> u64 {
    let leap = |y: u64| (y.is_multiple_of(4) && !y.is_multiple_of(100)) || y.is_multiple_of(400);
    let years: u64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    years + lengths.iter().take(month as usize - 1).sum::<u64>()
}

#[test]
fn the_checksums_of_the_manuals_examples_come_out() {
    // GPS.G6-SW-10018: RMC, VTG and GLL.
    assert_eq!(checksum("GPRMC,083559.00,A,4717.11437,N,00833.91522,E,0.004,77.52,091202,,,A"), 0x57);
    assert_eq!(checksum("GPVTG,77.52,T,,M,0.004,N,0.008,K,A"), 0x06);
    assert_eq!(checksum("GPGLL,4717.11364,N,00833.91565,E,092321.00,A,A"), 0x60);
}

#[test]
fn a_cold_start_has_no_fix_for_27_seconds() {
    let clock = Clock::new();
    let mut uart = Uart::new(Neo6m::new(1_700_000_000, world(HERE)), clock.clone());
    let before = lines(&listen(&mut uart, &clock, 26_900));
    assert_eq!(before.len(), 26 * 6);
    // nmea 0.8.0 wants a satellite in GSV; receivers that see none send it without.
    let (skies, others): (Vec<_>, Vec<_>) = before.iter().partition(|line| line.starts_with("$GPGSV"));
    assert!(skies.iter().all(|line| *line == "$GPGSV,1,1,00*79") && skies.len() == 26);
    for line in others {
        let mut parsed = Nmea::default();
        let kind = parsed.parse(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_ne!(kind, SentenceType::TXT);
        let other = Parser::new().parse_from_bytes(format!("{line}\r\n").as_bytes()).last().unwrap().unwrap();
        assert!(!matches!(other, ParseResult::RMC(Some(_)) | ParseResult::GGA(Some(_))), "{line}");
        assert!(parsed.latitude.is_none() && parsed.fix_time.is_none(), "{line}");
    }
    let text = String::from_utf8(listen(&mut uart, &clock, 1_000)).unwrap();
    assert!(text.contains("$GPGGA,221347.00,4718.00000,N,00836.00000,E,1,08,"), "{text}");
}

#[test]
fn bytes_come_at_the_ports_rate_and_only_what_is_kept_waits() {
    let (mut uart, clock) = hot(1_700_000_000, HERE);
    clock.advance_ns(1000 * MS);
    assert_eq!(uart.read_byte(), None);
    clock.advance_ns(byte_ns(9600) - 1);
    assert_eq!(uart.read_byte(), None);
    clock.advance_ns(1);
    assert_eq!((uart.read_byte(), uart.read_byte()), (Some(b'$'), None));
    clock.advance_ns(100 * byte_ns(9600));
    assert_eq!(std::iter::from_fn(|| uart.read_byte()).count(), 100);
    // An hour nobody reads: the last 2 KiB, which end with the newest epoch.
    clock.advance_ns(3_600_000 * MS);
    let kept: Vec<u8> = std::iter::from_fn(|| uart.read_byte()).collect();
    assert!((1_000..=2_048).contains(&kept.len()), "{}", kept.len());
    let rest = listen(&mut uart, &clock, 990);
    let text = String::from_utf8([kept, rest].concat()).unwrap();
    assert!(text.contains("231320.00,A,") && text.contains("231321.00"), "{text}");
}

#[test]
fn settings_are_acknowledged_or_refused_and_take_effect() {
    let (mut uart, clock) = hot(1_700_000_000, HERE);
    let mut driver = Neo6Full::new(UartBus(Waiting(&mut uart, clock.clone())));
    // GSV off: an acknowledgement for class and id.
    driver.send_ubx(0x06, 0x01, &[0xF0, 0x03, 0]).unwrap();
    assert_eq!(acknowledgement(&mut uart, &clock), Some((1, 0x06, 0x01)));
    // A sentence that there is not, a rate that is too fast, and a setting without a model.
    for (id, payload) in [(0x01, &[0xF0, 0x77, 1][..]), (0x08, &[100, 0, 1, 0, 1, 0]), (0x24, &[0; 36])] {
        let mut driver = Neo6Full::new(UartBus(Waiting(&mut uart, clock.clone())));
        driver.send_ubx(0x06, id, payload).unwrap();
        assert_eq!(acknowledgement(&mut uart, &clock), Some((0, 0x06, id)));
    }
    let mut driver = Neo6Full::new(UartBus(Waiting(&mut uart, clock.clone())));
    driver.set_rate(2).unwrap();
    assert_eq!(acknowledgement(&mut uart, &clock), Some((1, 0x06, 0x08)));
    listen(&mut uart, &clock, 1_000);
    let text = String::from_utf8(listen(&mut uart, &clock, 3_000)).unwrap();
    assert_eq!(text.matches("$GPRMC").count(), 6, "two a second");
    assert_eq!(text.matches("$GPGSV").count(), 0);
    // A broken frame is passed over.
    [0xB5, 0x62, 0x06, 0x08, 0, 0, 0, 0].iter().for_each(|&b| uart.write_byte(b));
    assert_eq!(acknowledgement(&mut uart, &clock), None);
}

/// Whether the next acknowledgement says yes (1) or no (0), and to what.
fn acknowledgement<P: SerialPart>(uart: &mut Uart<P>, clock: &Clock) -> Option<(u8, u8, u8)> {
    let bytes = listen(uart, clock, 800);
    let at = bytes.windows(6).position(|w| w[..3] == [0xB5, 0x62, 0x05] && w[4..] == [2, 0])?;
    Some((bytes[at + 3], bytes[at + 6], bytes[at + 7]))
}

#[test]
fn polls_are_answered() {
    let (mut uart, clock) = hot(1_700_000_000, HERE);
    clock.advance_ns(1_900 * MS);
    listen(&mut uart, &clock, 50);
    let mut driver = Neo6Full::new(UartBus(Waiting(&mut uart, clock.clone())));
    let position = driver.poll_ubx(0x01, 0x02).unwrap();
    let word = |i: usize| i32::from_le_bytes(position.as_slice()[i..i + 4].try_into().unwrap());
    assert_eq!((word(4), word(8), word(16)), (86_000_000, 473_000_000, 499_600));
    // Tuesday 22:13:21.97 UTC of the week of 12 November 2023, and 18 leap seconds.
    let week_ms = (2 * 86_400 + 22 * 3600 + 13 * 60 + 21 + 18) * 1000;
    assert_near("time of week", f64::from(word(0)), f64::from(week_ms), 1_000.0);
    let version = driver.poll_ubx(0x0A, 0x04).unwrap();
    assert!(version.as_slice().starts_with(b"7.03"));
    assert!(matches!(driver.poll_ubx(0x06, 0x24), Err(Neo6Error::Nak)));
}

#[test]
fn the_port_changes_its_rate_and_0_2_reads_it_too() {
    use embedded_hal_02::serial::Read as _;
    let (mut uart, clock) = hot(1_700_000_000, HERE);
    let mut port = [0; 20];
    port[0] = 1;
    port[8..12].copy_from_slice(&38_400_u32.to_le_bytes());
    let mut driver = Neo6Full::new(UartBus(Waiting(&mut uart, clock.clone())));
    driver.send_ubx(0x06, 0x00, &port).unwrap();
    assert_eq!(acknowledgement(&mut uart, &clock), Some((1, 0x06, 0x00)));
    clock.advance_to_ns(1_999 * MS);
    std::iter::from_fn(|| uart.read_byte()).for_each(drop);
    let mut old = V02(uart);
    clock.advance_to_ns(2_000 * MS + 10 * byte_ns(38_400));
    let read: Vec<u8> = std::iter::from_fn(|| old.read().ok()).collect();
    assert_eq!(read, b"$GPRMC,221");
    assert_eq!(old.read(), Err(nb::Error::WouldBlock));
}
