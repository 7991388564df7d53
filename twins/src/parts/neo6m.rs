//! NEO-6M (GPS receiver) on UART: NMEA sentences once an epoch, and the UBX messages that set them.
//!
//! Source: u-blox 6 Receiver Description Including Protocol Specification, GPS.G6-SW-10018: the NMEA sentences with
//! their examples, the UBX frame and its checksum, ACK, CFG-MSG, CFG-PRT, CFG-RATE, MON-VER and NAV-POSLLH; NEO-6
//! data sheet GPS.G6-HW-09005: time to first fix (27 s cold), update rate up to 5 Hz, port at 9600 baud.
//!
//! An epoch's sentences are those of its instant, and follow each other at the port's rate. Before the first fix they
//! hold no position and no time, as a cold start has neither. Where the documents leave room: the sky is always the
//! same ten satellites, eight of them used; the geoid lies 48 m above the ellipsoid; a controller that does not read
//! keeps the last 2 KiB. Messages without a model: polls are not answered, settings are refused (ACK-NAK).
//!
//! ```
//! use twinfleet_twins::parts::{neo6m::Neo6m, serial::SerialPart, stimulus::Quantity};
//!
//! let mut part = Neo6m::new(1_700_000_000, |_: Quantity, _| 0.0);
//! assert_eq!(part.send(1_001_000_000), None, "the first byte is on its way");
//! assert_eq!(part.send(1_002_000_000), Some(b'$'));
//! ```

use super::{
    MS,
    serial::{SerialPart, byte_ns},
    stimulus::{Quantity, Stimulus},
};
use std::collections::VecDeque;

mod nmea;
mod ubx;
pub use nmea::checksum;
use nmea::{Fix, write_epoch};

const SECOND_NS: u64 = 1000 * MS;
const KEPT_BYTES: usize = 2048;
/// The end of the year 9999, as far as a date goes.
const LATEST_UNIX_S: u64 = 253_402_300_799;
const MIN_PERIOD_MS: u16 = 200;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Neo6m<S> {
    stimulus: S,
    start_unix_s: u64,
    first_fix_ns: u64,
    baud: u32,
    period_ns: u64,
    next_epoch_ns: u64,
    /// How often, in epochs, each of GGA, GLL, GSA, GSV, RMC and VTG comes; 0 for never.
    rates: [u8; 6],
    epochs: u64,
    /// Bytes on their way, each with the end of its stop bit.
    out: VecDeque<(u64, u8)>,
    sent_ns: u64,
    text: String,
    receiver: ubx::Receiver,
}

impl<S: Stimulus> Neo6m<S> {
    /// A receiver that gets its supply at time zero, which is `start_unix_s` in seconds since 1970 (UTC), and starts
    /// cold.
    pub fn new(start_unix_s: u64, stimulus: S) -> Self {
        Self {
            stimulus,
            start_unix_s: start_unix_s.min(LATEST_UNIX_S),
            first_fix_ns: 27 * SECOND_NS,
            baud: 9600,
            period_ns: SECOND_NS,
            next_epoch_ns: SECOND_NS,
            rates: [1; 6],
            epochs: 0,
            out: VecDeque::new(),
            sent_ns: 0,
            text: String::new(),
            receiver: ubx::Receiver::default(),
        }
    }

    /// When it has its first fix \[ns\]: 27 s after a cold start, 1 s after a hot one (typical).
    pub fn set_first_fix_ns(&mut self, ns: u64) {
        self.first_fix_ns = ns;
    }

    fn fix(&mut self, at_ns: u64) -> Option<Fix> {
        (at_ns >= self.first_fix_ns).then(|| {
            let mut value = |quantity| self.stimulus.value(quantity, at_ns);
            Fix {
                latitude_deg: value(Quantity::LatitudeDeg).clamp(-90.0, 90.0),
                longitude_deg: value(Quantity::LongitudeDeg).clamp(-180.0, 180.0),
                altitude_m: value(Quantity::AltitudeM),
                speed_mps: value(Quantity::SpeedMps).max(0.0),
                course_deg: value(Quantity::CourseDeg).rem_euclid(360.0),
                unix_ms: self.start_unix_s * 1000 + at_ns / MS,
            }
        })
    }

    fn queue(&mut self, at_ns: u64, bytes: impl Iterator<Item = u8>) {
        let each_ns = byte_ns(self.baud);
        for byte in bytes {
            self.sent_ns = self.sent_ns.max(at_ns) + each_ns;
            if self.out.len() == KEPT_BYTES {
                self.out.pop_front();
            }
            self.out.push_back((self.sent_ns, byte));
        }
    }

    fn advance(&mut self, at_ns: u64) {
        if self.next_epoch_ns > at_ns {
            return;
        }
        // Of the epochs that nobody read, only the last still fit what is kept.
        let missed = ((at_ns - self.next_epoch_ns) / self.period_ns).saturating_sub(4);
        self.next_epoch_ns += missed * self.period_ns;
        self.epochs += missed;
        while self.next_epoch_ns <= at_ns {
            let epoch_ns = self.next_epoch_ns;
            self.next_epoch_ns += self.period_ns;
            self.epochs += 1;
            let fix = self.fix(epoch_ns);
            let due = self.rates.map(|rate| rate > 0 && self.epochs.is_multiple_of(u64::from(rate)));
            let mut text = std::mem::take(&mut self.text);
            text.clear();
            write_epoch(&mut text, fix.as_ref(), due);
            self.queue(epoch_ns, text.bytes());
            self.text = text;
        }
    }

    fn answer(&mut self, at_ns: u64, class: u8, id: u8, payload: &[u8]) {
        self.queue(at_ns, ubx::frame(class, id, payload));
    }

    fn message(&mut self, at_ns: u64, class: u8, id: u8, payload: &[u8]) {
        match (class, id, payload.len()) {
            (ubx::NAV, ubx::NAV_POSLLH, 0) => {
                let fix = self.fix(at_ns / self.period_ns * self.period_ns);
                let unix_ms = self.start_unix_s * 1000 + at_ns / MS;
                self.answer(at_ns, class, id, &ubx::posllh(fix.as_ref(), unix_ms));
            }
            (ubx::MON, ubx::MON_VER, 0) => self.answer(at_ns, class, id, &ubx::version()),
            (ubx::CFG, _, _) => {
                let done = self.configure(at_ns, id, payload);
                self.answer(at_ns, ubx::ACK, u8::from(done.is_some()), &[class, id]);
                if let Some(Some(baud)) = done {
                    self.baud = baud; // for what comes after the acknowledgement
                }
            }
            _ => {}
        }
    }

    /// Sets something. `None` refuses; `Some(Some(baud))` changes the port's rate.
    fn configure(&mut self, at_ns: u64, id: u8, payload: &[u8]) -> Option<Option<u32>> {
        match (id, payload) {
            (ubx::CFG_MSG, &[0xF0, sentence, rate] | &[0xF0, sentence, _, rate, _, _, _, _]) => {
                *self.rates.get_mut(usize::from(sentence))? = rate;
            }
            (ubx::CFG_RATE, &[low, high, _, _, _, _]) => {
                let ms = u16::from_le_bytes([low, high]);
                if ms < MIN_PERIOD_MS {
                    return None;
                }
                self.period_ns = u64::from(ms) * MS;
                self.next_epoch_ns = at_ns.div_ceil(self.period_ns) * self.period_ns;
            }
            (ubx::CFG_PRT, &[1, _, _, _, _, _, _, _, a, b, c, d, ..]) if payload.len() == 20 => {
                let baud = u32::from_le_bytes([a, b, c, d]);
                return (4800..=115_200).contains(&baud).then_some(Some(baud));
            }
            _ => return None,
        }
        Some(None)
    }
}

impl<S: Stimulus> SerialPart for Neo6m<S> {
    fn baud(&self) -> u32 {
        self.baud
    }

    fn receive(&mut self, at_ns: u64, byte: u8) {
        self.advance(at_ns);
        if let Some((class, id, length)) = self.receiver.take(byte) {
            let payload = self.receiver.payload;
            self.message(at_ns, class, id, &payload[..length]);
        }
    }

    fn send(&mut self, at_ns: u64) -> Option<u8> {
        self.advance(at_ns);
        self.out.pop_front_if(|(end_ns, _)| *end_ns <= at_ns).map(|(_, byte)| byte)
    }

    fn silent_until_ns(&self) -> Option<u64> {
        Some(self.out.front().map_or(self.next_epoch_ns, |(end_ns, _)| *end_ns))
    }
}
