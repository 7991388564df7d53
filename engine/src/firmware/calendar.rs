//! When devices wake: a timing wheel per cohort, so that a device that is not due costs nothing.
//!
//! Each device has its own clock (a crystal's error in ppm), first wake at a phase drawn uniformly in the period, and
//! a normal error on each period.

use crate::{
    rng::{Rng, stream},
    sense::normal,
    time::{SimTime, Span},
};
use rand::RngExt;
use rand_distr::StandardNormal;

const NIL: u16 = u16::MAX;

/// Lists of lanes by tick; a lane that is due a lap later stays in its list.
#[derive(Debug)]
struct Wheel {
    step_ns: i64,
    ticks_per_ns: f64,
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
        Self {
            step_ns,
            ticks_per_ns: 1.0 / step_ns as f64,
            mask: slots as i64 - 1,
            head: vec![NIL; slots],
            next: vec![NIL; lanes],
            tick: 0,
        }
    }

    /// `t_ns / step_ns`; a product and a correction take a third of a division's time.
    #[inline]
    fn tick_of(&self, t_ns: i64) -> i64 {
        let near = (t_ns as f64 * self.ticks_per_ns) as i64;
        let rest = t_ns - near * self.step_ns;
        near + i64::from(rest >= self.step_ns) - i64::from(rest < 0)
    }

    #[inline]
    fn insert(&mut self, lane: u16, t_ns: i64) {
        let slot = (self.tick_of(t_ns).max(self.tick) & self.mask) as usize;
        self.next[lane as usize] = self.head[slot];
        self.head[slot] = lane;
    }

    /// Takes out a lane that was put in for `t_ns`.
    fn remove(&mut self, lane: u16, t_ns: i64) {
        let slot = (self.tick_of(t_ns).max(self.tick) & self.mask) as usize;
        let mut at = self.head[slot];
        if at == lane {
            self.head[slot] = self.next[lane as usize];
            return;
        }
        while at != NIL {
            let after = self.next[at as usize];
            if after == lane {
                self.next[at as usize] = self.next[lane as usize];
                return;
            }
            at = after;
        }
    }

    /// Calls `due` for every lane whose wake lies before `until`, in any order.
    fn drain(&mut self, until: SimTime, clocks: &[DeviceClock], mut due: impl FnMut(u16)) {
        while self.tick * self.step_ns < until.0 {
            let slot = (self.tick & self.mask) as usize;
            let mut lane = std::mem::replace(&mut self.head[slot], NIL);
            while lane != NIL {
                let after = self.next[lane as usize];
                if clocks[lane as usize].next_ns < until.0 {
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

/// A device's clock and what else every wake touches, in one cache line: a wake out of the blue costs one miss here and
/// one for each channel.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct DeviceClock {
    rng: Rng,
    /// Next wake; `i64::MAX` once the device is off.
    pub next_ns: i64,
    /// Last wake; `i64::MIN` before the first.
    pub last_ns: i64,
    /// A running hash of every reading.
    pub trace: u64,
    /// Wakes so far.
    pub count: u32,
    ppm: f32,
}

/// What a device draws of its clock at its making, from the stream `firmware/unit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// Error of its clock.
    pub ppm: f32,
    /// First wake, as a share of the period.
    pub phase: f64,
}

impl Start {
    /// The same device where another clock keeps the time for a share of it: that one's standard deviation over units, [ppm]. Drawn
    /// from the stream `firmware/sleep-clock`.
    pub fn asleep(self, seed: u64, device: &str, (clock_ppm, share): (f64, f64)) -> Self {
        let n: f64 = stream(seed, device, "firmware/sleep-clock").sample(StandardNormal);
        let ppm = (1.0 - share) * f64::from(self.ppm) + share * n * clock_ppm;
        Self { ppm: ppm as f32, ..self }
    }

    /// `clock_ppm`: standard deviation of the board's clocks.
    pub fn draw(seed: u64, device: &str, clock_ppm: f64) -> Self {
        let mut unit = stream(seed, device, "firmware/unit");
        let ppm: f64 = unit.sample(StandardNormal);
        Self { ppm: (ppm * clock_ppm) as f32, phase: unit.random() }
    }
}

/// The clocks of a cohort.
#[derive(Debug)]
pub(crate) struct Wakes {
    wheel: Option<Wheel>,
    period_ns: f64,
    jitter_ns: f64,
    pub clocks: Vec<DeviceClock>,
    pub skews: Vec<Skew>,
}

impl Wakes {
    pub fn new(lanes: usize, period: Option<Span>, jitter: Span, step: Span) -> Self {
        let period = period.filter(|p| p.0 > 0);
        Self {
            wheel: period.map(|p| Wheel::new(lanes, p, step)),
            period_ns: period.unwrap_or_default().0 as f64,
            jitter_ns: jitter.0 as f64,
            clocks: Vec::with_capacity(lanes),
            skews: Vec::new(),
        }
    }

    /// Adds the next lane's device.
    pub fn add(&mut self, seed: u64, device: &str, start: Start) {
        let lane = self.clocks.len() as u16;
        let next_ns = if self.wheel.is_some() { (start.phase * self.period_ns) as i64 } else { i64::MAX };
        self.clocks.push(DeviceClock {
            rng: stream(seed, device, "firmware/jitter"),
            next_ns,
            last_ns: i64::MIN,
            trace: 0,
            count: 0,
            ppm: start.ppm,
        });
        if let Some(wheel) = &mut self.wheel {
            wheel.insert(lane, next_ns);
        }
    }

    /// Marks the lanes that wake before `until`.
    pub fn drain(&mut self, until: SimTime, marks: &mut [u64; 16]) {
        let Some(wheel) = &mut self.wheel else { return };
        wheel.drain(until, &self.clocks, |lane| marks[lane as usize >> 6] |= 1 << (lane & 63));
    }

    /// Counts the wake at `next_ns` and draws the one after it. A period is never shorter than a tenth of the nominal one.
    #[inline]
    pub fn advance(&mut self, lane: u16) {
        let clock = &self.clocks[lane as usize];
        let p = f64::from(clock.ppm) * 1e-6;
        let mut period = self.period_ns * (1.0 - p + p * p);
        if !self.skews.is_empty() {
            period /= 1.0 + 1e-6 * self.skew_ppm(lane, SimTime(clock.next_ns));
        }
        let clock = &mut self.clocks[lane as usize];
        if self.jitter_ns > 0.0 {
            let n = normal(&mut clock.rng);
            period = (period + n * self.jitter_ns).max(self.period_ns * 0.1);
        }
        clock.last_ns = clock.next_ns;
        clock.count = clock.count.wrapping_add(1);
        clock.next_ns = clock.next_ns.saturating_add((period as i64).max(1));
    }

    /// Puts the lane back into the calendar at its next wake.
    #[inline]
    pub fn schedule(&mut self, lane: u16) {
        let t_ns = self.clocks[lane as usize].next_ns;
        if let Some(wheel) = &mut self.wheel {
            wheel.insert(lane, t_ns);
        }
    }

    /// Sets the error of a lane's crystal, which its next period goes by.
    #[inline]
    pub fn set_ppm(&mut self, lane: u16, ppm: f64) {
        self.clocks[lane as usize].ppm = ppm as f32;
    }

    /// Moves a lane that is in the calendar to another wake.
    pub fn move_to(&mut self, lane: u16, next: SimTime) {
        let t_ns = std::mem::replace(&mut self.clocks[lane as usize].next_ns, next.0);
        if let Some(wheel) = &mut self.wheel {
            wheel.remove(lane, t_ns);
            wheel.insert(lane, next.0);
        }
    }

    /// Takes the lane out of the calendar for good; it must not be scheduled again.
    pub fn switch_off(&mut self, lane: u16) {
        self.clocks[lane as usize].next_ns = i64::MAX;
    }

    /// Whether the device is on.
    pub fn is_on(&self, lane: u16) -> bool {
        self.wheel.is_none() || self.clocks[lane as usize].next_ns != i64::MAX
    }

    fn skew_ppm(&self, lane: u16, t: SimTime) -> f64 {
        let active = self.skews.iter().filter(|s| s.lane == lane && s.from <= t && t < s.until);
        active.map(|s| s.ppm).sum()
    }

    /// How far the device's clock is ahead of simulated time, [ns]: its crystal's error since the start, and what a
    /// skew has added since its onset. The end of a skew sets the clock right.
    pub fn ahead_ns(&self, lane: u16, t: SimTime) -> i64 {
        (f64::from(self.clocks[lane as usize].ppm) * 1e-6 * t.0 as f64 + self.skew_ns(lane, t)) as i64
    }

    /// What skews have added to the device's clock since their onset, [ns].
    pub fn skew_ns(&self, lane: u16, t: SimTime) -> f64 {
        let mut ns = 0.0;
        for s in self.skews.iter().filter(|s| s.lane == lane && s.from <= t && t < s.until) {
            ns += s.ppm * 1e-6 * (t - s.from).0 as f64;
        }
        ns
    }

    /// Everything of a lane that decides its future, and the trace of its readings.
    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let clock = &self.clocks[lane as usize];
        bytes.extend(clock.trace.to_le_bytes());
        bytes.extend(clock.next_ns.to_le_bytes());
        bytes.extend(clock.last_ns.to_le_bytes());
        bytes.extend(clock.count.to_le_bytes());
        bytes.extend(clock.rng.clone().random::<u64>().to_le_bytes());
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        let wheel = self.wheel.as_ref().map_or(0, |w| 2 * (w.head.capacity() + w.next.capacity()));
        let skews = self.skews.capacity() * size_of::<Skew>();
        wheel + self.clocks.capacity() * size_of::<DeviceClock>() + skews
    }
}
