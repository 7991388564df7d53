//! When devices wake: a timing wheel per cohort, so that a device that is not due costs nothing.
//!
//! Each device has its own clock (a crystal's error in ppm), first wake at a phase drawn uniformly in the period, and
//! a normal error on each period.

use crate::{
    rng::{Rng, stream},
    time::{SimTime, Span},
};
use rand::RngExt;
use rand_distr::StandardNormal;

const NIL: u16 = u16::MAX;

/// Lists of lanes by tick; a lane that is due a lap later stays in its list.
#[derive(Debug)]
struct Wheel {
    step_ns: i64,
    mask: i64,
    head: Vec<u16>,
    next: Vec<u16>,
    tick: i64,
}

impl Wheel {
    /// Two laps in a period at least, where that takes no more than four bytes a device and a thousand lists.
    fn new(lanes: usize, period: Span, step: Span) -> Self {
        let step_ns = step.0.max(1);
        let slots = (2 * period.0 / step_ns + 2).clamp(2, 1024) as usize;
        let slots = slots.next_power_of_two();
        Self { step_ns, mask: slots as i64 - 1, head: vec![NIL; slots], next: vec![NIL; lanes], tick: 0 }
    }

    #[inline]
    fn insert(&mut self, lane: u16, t_ns: i64) {
        let slot = ((t_ns / self.step_ns).max(self.tick) & self.mask) as usize;
        self.next[lane as usize] = self.head[slot];
        self.head[slot] = lane;
    }

    /// Calls `due` for every lane whose wake lies before `until`, in any order.
    fn drain(&mut self, until: SimTime, wakes_ns: &[i64], mut due: impl FnMut(u16)) {
        while self.tick * self.step_ns < until.0 {
            let slot = (self.tick & self.mask) as usize;
            let mut lane = std::mem::replace(&mut self.head[slot], NIL);
            while lane != NIL {
                let after = self.next[lane as usize];
                if wakes_ns[lane as usize] < until.0 {
                    due(lane);
                } else {
                    self.next[lane as usize] = self.head[slot];
                    self.head[slot] = lane;
                }
                lane = after;
            }
            self.tick += 1;
        }
    }
}

/// A clock-skew fault of one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skew {
    pub lane: u16,
    pub from: SimTime,
    pub until: SimTime,
    pub ppm: f64,
}

/// The clocks of a cohort.
#[derive(Debug)]
pub(crate) struct Wakes {
    wheel: Option<Wheel>,
    period_ns: f64,
    jitter_ns: f64,
    /// Next wake, [ns]; `i64::MAX` once the device is off.
    pub next: Vec<i64>,
    /// Last wake, [ns]; `i64::MIN` before the first.
    pub last: Vec<i64>,
    /// Wakes so far.
    pub count: Vec<u32>,
    ppm: Vec<f32>,
    rng: Vec<Rng>,
    pub skews: Vec<Skew>,
}

impl Wakes {
    pub fn new(lanes: usize, period: Option<Span>, jitter: Span, step: Span) -> Self {
        let period = period.filter(|p| p.0 > 0);
        Self {
            wheel: period.map(|p| Wheel::new(lanes, p, step)),
            period_ns: period.unwrap_or_default().0 as f64,
            jitter_ns: jitter.0 as f64,
            next: Vec::with_capacity(lanes),
            last: vec![i64::MIN; lanes],
            count: vec![0; lanes],
            ppm: Vec::with_capacity(lanes),
            rng: Vec::new(),
            skews: Vec::new(),
        }
    }

    /// Adds the next lane's device: clock error and phase from its own streams.
    pub fn add(&mut self, seed: u64, device: &str, clock_ppm: f64) {
        let lane = self.next.len() as u16;
        let mut unit = stream(seed, device, "firmware/unit");
        let ppm: f64 = unit.sample(StandardNormal);
        self.ppm.push((ppm * clock_ppm) as f32);
        let phase: f64 = unit.random();
        let first = if self.wheel.is_some() { (phase * self.period_ns) as i64 } else { i64::MAX };
        self.next.push(first);
        if self.jitter_ns > 0.0 {
            self.rng.push(stream(seed, device, "firmware/jitter"));
        }
        if let Some(wheel) = &mut self.wheel {
            wheel.insert(lane, first);
        }
    }

    /// Marks the lanes that wake before `until`.
    pub fn drain(&mut self, until: SimTime, marks: &mut [u64; 16]) {
        let Some(wheel) = &mut self.wheel else { return };
        wheel.drain(until, &self.next, |lane| marks[lane as usize >> 6] |= 1 << (lane & 63));
    }

    /// Counts the wake at `next` and draws the one after it. A period is never shorter than a tenth of the nominal one.
    #[inline]
    pub fn advance(&mut self, lane: u16) {
        let i = lane as usize;
        let t = self.next[i];
        let mut ppm = f64::from(self.ppm[i]);
        if !self.skews.is_empty() {
            ppm += self.skew_ppm(lane, SimTime(t));
        }
        let mut period = self.period_ns / (1.0 + ppm * 1e-6);
        if let Some(rng) = self.rng.get_mut(i) {
            let n: f64 = rng.sample(StandardNormal);
            period = (period + n * self.jitter_ns).max(self.period_ns * 0.1);
        }
        self.last[i] = t;
        self.count[i] = self.count[i].wrapping_add(1);
        self.next[i] = t.saturating_add((period as i64).max(1));
    }

    /// Puts the lane back into the calendar at its next wake.
    #[inline]
    pub fn schedule(&mut self, lane: u16) {
        let t = self.next[lane as usize];
        if let Some(wheel) = &mut self.wheel {
            wheel.insert(lane, t);
        }
    }

    /// Takes the lane out of the calendar for good; it must not be scheduled again.
    pub fn switch_off(&mut self, lane: u16) {
        self.next[lane as usize] = i64::MAX;
    }

    /// Whether the device is on.
    pub fn is_on(&self, lane: u16) -> bool {
        self.wheel.is_none() || self.next[lane as usize] != i64::MAX
    }

    fn skew_ppm(&self, lane: u16, t: SimTime) -> f64 {
        let active = self.skews.iter().filter(|s| s.lane == lane && s.from <= t && t < s.until);
        active.map(|s| s.ppm).sum()
    }

    /// How far the device's clock is ahead of simulated time, [ns]: its crystal's error since the start, and what a
    /// skew has added since its onset. The end of a skew sets the clock right.
    pub fn ahead_ns(&self, lane: u16, t: SimTime) -> i64 {
        let mut ns = f64::from(self.ppm[lane as usize]) * 1e-6 * t.0 as f64;
        for s in self.skews.iter().filter(|s| s.lane == lane && s.from <= t && t < s.until) {
            ns += s.ppm * 1e-6 * (t - s.from).0 as f64;
        }
        ns as i64
    }

    /// Everything of a lane that decides its future.
    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let i = lane as usize;
        bytes.extend(self.next[i].to_le_bytes());
        bytes.extend(self.last[i].to_le_bytes());
        bytes.extend(self.count[i].to_le_bytes());
        if let Some(rng) = self.rng.get(i) {
            bytes.extend(rng.clone().random::<u64>().to_le_bytes());
        }
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        let wheel = self.wheel.as_ref().map_or(0, |w| 2 * (w.head.len() + w.next.len()));
        let lanes = self.next.capacity() * 8 + self.last.capacity() * 8 + self.count.capacity() * 4;
        wheel + lanes + self.ppm.capacity() * 4 + self.rng.capacity() * size_of::<Rng>()
    }
}
