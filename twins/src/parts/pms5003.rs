//! PMS5003 (particulate matter by scattered light) on UART: frames of 32 bytes.
//!
//! Source: Plantower PMS5003 series data manual V2.3 (2016): the port, the frame and the intervals of active mode (2.3 s in calm air,
//! 200 to 800 ms while the concentration changes) in appendix I, commands for passive mode and sleep in appendix II. From memory:
//! what parts answer to the commands that set a mode, and the version in the frame's last word.
//!
//! Where the manual leaves room: the air changes when PM2.5 has moved by more than 5 µg/m³ since the frame before, the next then
//! comes after 800 ms; a frame holds the values of its first bit; a controller that does not read keeps the last 64 bytes. How the
//! values for factories (CF = 1) and for the atmosphere part above some 30 µg/m³ is not published: both are given alike. The
//! counts of particles go with the masses, in ratios that users' frames have (own estimate). Of the unsteady half minute after
//! it wakes nothing is here.
//!
//! ```
//! use twinfleet_twins::parts::{pms5003::Pms5003, serial::SerialPart, stimulus::Quantity};
//!
//! let mut part = Pms5003::new(|_: Quantity, _| 12.0);
//! let frame: Vec<u8> = std::iter::from_fn(|| part.send(2_400_000_000)).collect();
//! assert_eq!(frame[..6], [0x42, 0x4D, 0, 28, 0, 12]);
//! let sum: u16 = frame[..30].iter().map(|b| u16::from(*b)).sum();
//! assert_eq!(frame[30..], sum.to_be_bytes());
//! ```

use super::{
    MS,
    serial::{SerialPart, byte_ns},
    stimulus::{Quantity, Stimulus},
};
use std::collections::VecDeque;

const BAUD: u32 = 9600;
const CALM_NS: u64 = 2300 * MS;
const CHANGING_NS: u64 = 800 * MS;
/// What counts as a change \[µg/m³\].
const CHANGE: u16 = 5;
const KEPT_BYTES: usize = 64;
const FRAME: usize = 32;
const START: [u8; 2] = [0x42, 0x4D];
const VERSION: u16 = 0x9700;
const READ: u8 = 0xE2;
const MODE: u8 = 0xE1;
const SLEEP: u8 = 0xE4;

/// The part. See the module's text for its sources.
#[derive(Debug)]
pub struct Pms5003<S> {
    stimulus: S,
    passive: bool,
    asleep: bool,
    /// When the next frame of active mode begins, and PM2.5 in the last.
    next_ns: u64,
    last: u16,
    /// Bytes on their way, each with the end of its stop bit.
    out: VecDeque<(u64, u8)>,
    sent_ns: u64,
    command: [u8; 7],
    filled: usize,
}

impl<S: Stimulus> Pms5003<S> {
    /// A part that gets its supply at time zero, in active mode. It reads [`Quantity::DustUgM3`] 0 to 2.
    pub fn new(stimulus: S) -> Self {
        Self {
            stimulus,
            passive: false,
            asleep: false,
            next_ns: CALM_NS,
            last: 0,
            out: VecDeque::new(),
            sent_ns: 0,
            command: [0; 7],
            filled: 0,
        }
    }

    fn frame(&mut self, at_ns: u64) -> [u8; FRAME] {
        let mut mass = |k: u8| self.stimulus.value(Quantity::DustUgM3(k), at_ns).max(0.0);
        let masses = [mass(0), mass(1), mass(2)];
        let word = |x: f64| x.round().min(f64::from(u16::MAX)) as u16;
        let [pm1, pm2_5, pm10] = masses.map(word);
        let coarse = (masses[2] - masses[1]).max(0.0);
        // Particles above 0.3, 0.5, 1, 2.5, 5 and 10 µm in 0.1 l.
        let counts = [
            190.0 * masses[1],
            55.0 * masses[1],
            10.0 * masses[1],
            0.5 * masses[1] + coarse,
            0.3 * coarse,
            0.1 * coarse,
        ]
        .map(word);
        let mut frame = [0; FRAME];
        let words = [28, pm1, pm2_5, pm10, pm1, pm2_5, pm10].into_iter().chain(counts).chain([VERSION]);
        frame[..2].copy_from_slice(&START);
        for (to, word) in frame[2..30].chunks_exact_mut(2).zip(words) {
            to.copy_from_slice(&word.to_be_bytes());
        }
        let sum = check(&frame[..30]);
        frame[30..].copy_from_slice(&sum);
        frame
    }

    fn queue(&mut self, at_ns: u64, bytes: &[u8]) {
        for byte in bytes {
            self.sent_ns = self.sent_ns.max(at_ns) + byte_ns(BAUD);
            if self.out.len() == KEPT_BYTES {
                self.out.pop_front();
            }
            self.out.push_back((self.sent_ns, *byte));
        }
    }

    /// Sends the frames that were due by now.
    fn advance(&mut self, at_ns: u64) {
        if self.passive || self.asleep {
            return;
        }
        // Of those that nobody read, only the last are kept.
        let missed = (at_ns.saturating_sub(self.next_ns) / CALM_NS).saturating_sub(4);
        self.next_ns += missed * CALM_NS;
        while self.next_ns <= at_ns {
            let begun_ns = self.next_ns;
            let frame = self.frame(begun_ns);
            let pm2_5 = u16::from_be_bytes([frame[6], frame[7]]);
            let changes = pm2_5.abs_diff(self.last) > CHANGE;
            self.last = pm2_5;
            self.next_ns += if changes { CHANGING_NS } else { CALM_NS };
            self.queue(begun_ns, &frame);
        }
    }

    /// Carries out a command whose checksum is right.
    fn obey(&mut self, at_ns: u64, command: u8, data: u8) {
        match (command, data) {
            (READ, _) if self.passive && !self.asleep => {
                let frame = self.frame(at_ns);
                self.queue(at_ns, &frame);
                return;
            }
            (MODE, 0..=1) if !self.asleep => self.passive = data == 0,
            (SLEEP, 0..=1) => self.asleep = data == 0,
            _ => return,
        }
        self.next_ns = at_ns + CALM_NS;
        let mut answer = [START[0], START[1], 0, 4, command, data, 0, 0];
        let sum = check(&answer[..6]);
        answer[6..].copy_from_slice(&sum);
        self.queue(at_ns, &answer);
    }
}

/// The sum of bytes, as frames and commands end with it.
fn check(bytes: &[u8]) -> [u8; 2] {
    bytes.iter().map(|b| u16::from(*b)).fold(0, u16::wrapping_add).to_be_bytes()
}

impl<S: Stimulus> SerialPart for Pms5003<S> {
    fn baud(&self) -> u32 {
        BAUD
    }

    fn receive(&mut self, at_ns: u64, byte: u8) {
        self.advance(at_ns);
        // A command begins with the two bytes that a frame begins with.
        if START.get(self.filled).is_some_and(|start| *start != byte) {
            self.filled = 0;
            if byte != START[0] {
                return;
            }
        }
        self.command[self.filled] = byte;
        self.filled += 1;
        if self.filled == self.command.len() {
            self.filled = 0;
            let [.., command, _, data, a, b] = self.command;
            if check(&self.command[..5]) == [a, b] {
                self.obey(at_ns, command, data);
            }
        }
    }

    fn send(&mut self, at_ns: u64) -> Option<u8> {
        self.advance(at_ns);
        self.out.pop_front_if(|(end_ns, _)| *end_ns <= at_ns).map(|(_, byte)| byte)
    }

    fn silent_until_ns(&self) -> Option<u64> {
        let by_itself = if self.passive || self.asleep { u64::MAX } else { self.next_ns };
        Some(self.out.front().map_or(by_itself, |(end_ns, _)| *end_ns))
    }
}
