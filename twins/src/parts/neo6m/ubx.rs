//! UBX frames: sync, class, id, length, payload, checksum. GPS.G6-SW-10018.

use super::nmea::Fix;

pub(super) const NAV: u8 = 0x01;
pub(super) const NAV_POSLLH: u8 = 0x02;
pub(super) const ACK: u8 = 0x05;
pub(super) const CFG: u8 = 0x06;
pub(super) const CFG_PRT: u8 = 0x00;
pub(super) const CFG_MSG: u8 = 0x01;
pub(super) const CFG_RATE: u8 = 0x08;
pub(super) const MON: u8 = 0x0A;
pub(super) const MON_VER: u8 = 0x04;
const SYNC: [u8; 2] = [0xB5, 0x62];
const LONGEST: usize = 64;
/// Seconds from 1970 to the beginning of GPS time, and what GPS time is ahead of UTC since 2017.
const GPS_EPOCH_MS: u64 = 315_964_800_000;
const LEAP_MS: u64 = 18_000;

/// Finds frames in what comes in. Longer ones than it has room for, and broken ones, it passes over.
#[derive(Debug)]
pub(super) struct Receiver {
    count: usize,
    head: [u8; 4],
    pub payload: [u8; LONGEST],
    sums: [u8; 2],
    first_sum_right: bool,
}

impl Default for Receiver {
    fn default() -> Self {
        Self { count: 0, head: [0; 4], payload: [0; LONGEST], sums: [0; 2], first_sum_right: false }
    }
}

impl Receiver {
    /// Takes a byte; with the last of a frame, its class, id and length of payload.
    pub fn take(&mut self, byte: u8) -> Option<(u8, u8, usize)> {
        let at = self.count;
        self.count += 1;
        let length = usize::from(u16::from_le_bytes([self.head[2], self.head[3]]));
        match at {
            0 | 1 if byte == SYNC[at] => self.sums = [0; 2],
            0 | 1 => self.count = usize::from(byte == SYNC[0]),
            2..=5 => {
                self.head[at - 2] = byte;
                add(&mut self.sums, byte);
                let length = usize::from(u16::from_le_bytes([self.head[2], self.head[3]]));
                if at == 5 && length > LONGEST {
                    self.count = 0;
                }
            }
            _ if at < 6 + length => {
                self.payload[at - 6] = byte;
                add(&mut self.sums, byte);
            }
            _ if at == 6 + length => self.first_sum_right = byte == self.sums[0],
            _ => {
                self.count = 0;
                let whole = self.first_sum_right && byte == self.sums[1];
                return whole.then_some((self.head[0], self.head[1], length));
            }
        }
        None
    }
}

fn add(sums: &mut [u8; 2], byte: u8) {
    sums[0] = sums[0].wrapping_add(byte);
    sums[1] = sums[1].wrapping_add(sums[0]);
}

/// A whole frame, byte by byte.
pub(super) fn frame(class: u8, id: u8, payload: &[u8]) -> impl Iterator<Item = u8> {
    let [low, high] = (payload.len() as u16).to_le_bytes();
    let body = move || [class, id, low, high].into_iter().chain(payload.iter().copied());
    let mut sums = [0; 2];
    body().for_each(|b| add(&mut sums, b));
    SYNC.into_iter().chain(body()).chain(sums)
}

/// NAV-POSLLH: time of week, place in 10⁻⁷ °, heights in mm, accuracies in mm (2.5 m horizontally, as the data sheet
/// has it).
pub(super) fn posllh(fix: Option<&Fix>, unix_ms: u64) -> [u8; 28] {
    let week_ms = (unix_ms.saturating_sub(GPS_EPOCH_MS) + LEAP_MS) % 604_800_000;
    let (values, accuracy_mm) = match fix {
        None => ([0; 4], u32::MAX),
        Some(fix) => {
            let mm = (fix.altitude_m * 1e3).round() as i32;
            let place = [fix.longitude_deg, fix.latitude_deg].map(|d| (d * 1e7).round() as i32);
            ([place[0], place[1], mm.saturating_add(48_000), mm], 2500)
        }
    };
    let mut payload = [0; 28];
    payload[..4].copy_from_slice(&(week_ms as u32).to_le_bytes());
    for (i, value) in values.iter().enumerate() {
        payload[4 + 4 * i..8 + 4 * i].copy_from_slice(&value.to_le_bytes());
    }
    payload[20..24].copy_from_slice(&accuracy_mm.to_le_bytes());
    payload[24..].copy_from_slice(&accuracy_mm.to_le_bytes());
    payload
}

/// MON-VER: software and hardware as text, padded with zeros.
pub(super) fn version() -> [u8; 40] {
    let mut payload = [0; 40];
    payload[..12].copy_from_slice(b"7.03 (45969)");
    payload[30..38].copy_from_slice(b"00040007");
    payload
}
