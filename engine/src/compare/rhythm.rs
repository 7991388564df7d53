//! When something is overdue: silence against the stream's own rhythm, and the device's clock against the arrivals.
//!
//! A rhythm is learnt from twenty beats. Before that, silence is judged by what the device or its dialect declares, and where
//! nothing is declared, by few beats that are alike, with three times the patience: what comes by events has no such rhythm.
//!
//! ```
//! use twinfleet_engine::{compare::rhythm::Rhythm, time::SimTime};
//! let mut rhythm = Rhythm::default();
//! for k in 0..40 {
//!     rhythm.beat(SimTime(k * 1_000_000_000));
//! }
//! assert!(!rhythm.overdue(SimTime(45_000_000_000)));
//! assert!(rhythm.overdue(SimTime(60_000_000_000)));
//! ```

use super::{
    DECIDE_NATS,
    strip::{Form, Strip},
};
use crate::time::{NS_PER_S, SimTime, Span};
use std::collections::VecDeque;

/// Intervals that the median is taken over.
const INTERVALS: usize = 31;
/// Beats that a rhythm is learnt from.
const WARM_UP: u64 = 20;
/// Intervals after which a rhythm shows, if all are alike: within twice and half their median …
const EARLY: usize = 4;
/// … and how many times longer silence is then borne.
const EARLY_PATIENCE: i64 = 3;
/// Silence counts from this many periods on …
const OVERDUE_PERIODS: i64 = 8;
/// … and from this many times the longest interval that passed as normal.
const OVERDUE_LONGEST: i64 = 3;

/// The rhythm of a stream of arrivals.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    last: Option<SimTime>,
    beats: u64,
    recent: VecDeque<i64>,
    period: i64,
    longest: i64,
    /// Silence that is allowed before the rhythm is learnt, as declared.
    allowed: Option<i64>,
    /// Whether silence means nothing before the rhythm is learnt.
    late: bool,
}

impl Rhythm {
    /// Before the rhythm is learnt, silence up to this is nothing unusual: so it is declared.
    pub fn allow(&mut self, silence: Span) {
        self.allowed = Some(silence.0.max(1));
    }

    /// The rhythm of one signal of the stream, which may come by events: silence of it means nothing before it is learnt.
    #[must_use]
    pub fn of_one_signal(&self) -> Self {
        Self { late: true, ..self.clone() }
    }

    /// Something arrived.
    pub fn beat(&mut self, t: SimTime) {
        let Some(last) = self.last.replace(t) else {
            self.beats = 1;
            return;
        };
        let step = (t - last).0.max(0);
        self.beats += 1;
        if self.recent.len() == INTERVALS {
            self.recent.pop_front();
        } else if self.recent.len() == self.recent.capacity() {
            let n = self.recent.len();
            self.recent.reserve_exact((n / 2 + 4).min(INTERVALS - n));
        }
        self.recent.push_back(step);
        // The longest normal interval fades over some thousand beats, so that one bad hour is not for ever.
        self.longest = (self.longest - self.longest / 4096).max(step.min(self.learnt_after()));
        if self.beats < 2 * INTERVALS as u64 || self.beats.is_multiple_of(8) {
            let mut sorted: Vec<i64> = self.recent.iter().copied().collect();
            sorted.sort_unstable();
            self.period = sorted[sorted.len() / 2];
        }
    }

    /// Silence that the rhythm as learnt allows.
    fn learnt_after(&self) -> i64 {
        if self.beats < WARM_UP {
            return i64::MAX;
        }
        (OVERDUE_PERIODS * self.period).max(OVERDUE_LONGEST.saturating_mul(self.longest))
    }

    fn overdue_after(&self) -> i64 {
        if self.beats >= WARM_UP || self.late {
            return self.learnt_after();
        }
        match self.allowed {
            Some(allowed) => allowed.max(OVERDUE_LONGEST.saturating_mul(self.longest)),
            None if self.alike() => EARLY_PATIENCE * OVERDUE_PERIODS * self.period,
            None => i64::MAX,
        }
    }

    /// Whether the few intervals so far are alike.
    fn alike(&self) -> bool {
        let near = |step: &i64| (self.period / 2..=self.period.saturating_mul(2)).contains(step);
        self.period > 0 && self.recent.len() >= EARLY && self.recent.iter().all(near)
    }

    /// Whether the silence up to `now` is longer than the stream ever leaves.
    pub fn overdue(&self, now: SimTime) -> bool {
        now > self.overdue_from()
    }

    /// Up to when silence is nothing unusual.
    pub fn overdue_from(&self) -> SimTime {
        match (self.last, self.overdue_after()) {
            (None, _) | (_, i64::MAX) => SimTime::NEVER,
            (Some(last), after) => SimTime(last.0.saturating_add(after)),
        }
    }

    /// When the next one was due.
    pub fn due(&self) -> SimTime {
        self.last.map_or(SimTime::NEVER, |last| last + Span(self.period))
    }

    /// Median interval.
    pub fn period(&self) -> Span {
        Span(self.period)
    }

    /// Posterior that the silence is a fault, if a message is missed by chance as seldom as it was so far.
    pub fn posterior(&self, now: SimTime) -> f64 {
        let missed_max = (self.longest / self.period.max(1)).max(1) as f64;
        // Laplace's rule on "a message is missing", from the longest run of missing ones seen.
        let p_missing = (missed_max / (self.beats as f64 + 2.0)).clamp(1e-6, 0.9);
        let missing = self.last.map_or(0.0, |l| ((now - l).0 / self.period.max(1)) as f64);
        1.0 / (1.0 + 1e4 * p_missing.powf(missing.min(60.0)))
    }

    /// Whether silence means nothing: nothing has come yet, or since it was told to pause.
    pub fn rests(&self) -> bool {
        self.last.is_none()
    }

    /// Silence from here on means nothing until the next beat.
    pub fn pause(&mut self) {
        self.last = None;
        self.beats = 0;
    }
}

/// Readings that the clock's baseline needs.
const CLOCK_WARM_UP: usize = 20;
/// Offsets kept, and their form.
const OFFSETS: usize = 256;
const OFFSET: Form = Form { lines: 2, reals: 0, pairs: 0 };
/// Deviations, in standard deviations, from which an offset leaves the noise …
const CLOCK_SIGMAS: f64 = 6.0;
/// … in so many readings one after the other.
const CLOCK_CONFIRM: usize = 5;
/// Smallest standard deviation of the offsets: time stamps in whole milliseconds, [s].
const CLOCK_FLOOR_S: f64 = 0.4e-3;
/// A slope within this is a crystal, no fault: some tens of ppm are normal (FACTS "Boards": ±10 ppm; resonators ±0.5 %
/// are told by their steady slope, which is learnt), [s/s].
const CLOCK_NORMAL: f64 = 100e-6;
/// Readings after which a slow ramp is looked for once more, and over which the offset now is averaged for that.
const RAMP_EVERY: usize = 16;
/// Durbin and Watson's statistic of what a ramp leaves, from which on it is noise: 2 where readings are independent, near 0
/// where the arrivals themselves wander, as on a network whose queues fill and empty.
const RAMP_LEAVES: f64 = 1.0;

/// A clock's fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skew {
    /// When it began, by arrival.
    pub onset: SimTime,
    /// Relative error, [ppm].
    pub ppm: f64,
    /// Deviation at the decision, in standard deviations.
    pub sigmas: f64,
}

/// Change of a clock's state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockNews {
    /// It runs wrong.
    Began(Skew),
    /// It runs right again, since this arrival.
    Ended(SimTime),
}

/// The device's clock against the arrivals: a baseline offset and slope, learnt; a change of slope is a skew.
///
/// A skew of κ leaves the noise after `6 s / κ`, s the standard deviation of time stamp minus arrival (0.4 ms at least: at
/// 500 ppm after 5 s), and is told five readings later. The baseline follows what is slower than that: a slow ramp is looked for
/// over all offsets that are kept, against the level of the oldest of them.
#[derive(Clone, Debug, Default)]
pub struct DeviceClock {
    /// Arrival, and time stamp minus arrival, [ns].
    offsets: Strip,
    zero: Option<SimTime>,
    base: f64,
    slope: f64,
    base_at: f64,
    var: f64,
    n: usize,
    out: usize,
    skewed: bool,
    back: usize,
    back_since: f64,
    /// The skew that it has, [s/s].
    skew: f64,
    /// Of the offsets kept, how many came since the baseline was last begun anew.
    fresh: usize,
}

/// The best ramp and the best step through offsets from a level: the squared errors that they leave.
struct Shapes {
    ramp: f64,
    step: f64,
    /// Where the ramp begins, and its slope, [s/s].
    onset: usize,
    slope: f64,
}

impl Shapes {
    /// Of offsets at their times, oldest first: from each onset, by sums over the rest, times from the first.
    fn of(r: &[(f64, f64)]) -> Self {
        let origin = r.first().map_or(0.0, |x| x.0);
        let mut best = Self { ramp: f64::MAX, step: f64::MAX, onset: 0, slope: 0.0 };
        let [mut n, mut sum_t, mut sum_tt, mut sum_tx, mut sum_x] = [0.0; 5];
        let all: f64 = r.iter().map(|x| x.1 * x.1).sum();
        for (k, (at, x)) in r.iter().enumerate().rev() {
            let t = at - origin;
            n += 1.0;
            sum_t += t;
            sum_tt += t * t;
            sum_tx += t * x;
            sum_x += x;
            if r.len() - k < CLOCK_CONFIRM {
                continue;
            }
            let sxx = sum_tt - 2.0 * t * sum_t + n * t * t;
            let sxy = sum_tx - t * sum_x;
            let slope = sxy / sxx.max(1e-12);
            // Of two as good, the earlier.
            let e = (all - slope * sxy).max(0.0);
            if e <= best.ramp {
                best = Self { ramp: e, onset: k, slope, ..best };
            }
            best.step = best.step.min((all - sum_x * sum_x / n).max(0.0));
        }
        best
    }
}

/// Median of offsets, and their standard deviation from the median deviation, [s].
fn level_of(offsets: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = offsets.collect();
    sorted.sort_by(f64::total_cmp);
    let level = sorted[sorted.len() / 2];
    let mut spread: Vec<f64> = sorted.iter().map(|o| (o - level).abs()).collect();
    spread.sort_by(f64::total_cmp);
    (level, 1.4826 * spread[spread.len() / 2])
}

impl DeviceClock {
    /// A reading stamped `t` by the device arrived.
    pub fn take(&mut self, t: SimTime, arrived: SimTime) -> Option<ClockNews> {
        let zero = *self.zero.get_or_insert(arrived);
        let at = (arrived - zero).as_secs_f64();
        let offset = (t - arrived).as_secs_f64();
        self.offsets.push([arrived.0 as u64, (t - arrived).0 as u64], OFFSET);
        if self.offsets.len(OFFSET) > OFFSETS {
            self.offsets.drop_first();
        }
        self.n += 1;
        self.fresh = (self.fresh + 1).min(OFFSETS);
        if self.n <= CLOCK_WARM_UP {
            if self.n == CLOCK_WARM_UP {
                self.rebase();
            }
            return None;
        }
        let r = offset - self.expected(at);
        let sigma = self.sigma();
        if self.skewed {
            return self.watch_end(at, r, sigma, zero);
        }
        let left = self.leaves(r, sigma, zero);
        if left.is_some() || !self.n.is_multiple_of(RAMP_EVERY) {
            return left;
        }
        self.slow_ramp(zero)
    }

    /// Whether the offsets leave the baseline at once; where not, it is learnt from this one.
    fn leaves(&mut self, r: f64, sigma: f64, zero: SimTime) -> Option<ClockNews> {
        if r.abs() < CLOCK_SIGMAS * sigma {
            self.out = 0;
            // Robust: a late message weighs little.
            let clipped = r.clamp(-3.0 * sigma, 3.0 * sigma);
            self.var += 0.02 * (clipped * clipped - self.var);
            self.base += 0.02 * clipped;
            return None;
        }
        self.out += 1;
        if self.out < CLOCK_CONFIRM {
            return None;
        }
        self.out = 0;
        self.judge(zero, sigma)
    }

    /// An offset that is kept: arrival since the first one, and time stamp minus arrival, [s].
    fn offset(&self, i: usize) -> (f64, f64) {
        let zero = self.zero.unwrap_or(SimTime::ZERO);
        let [arrived, off] = [0, 1].map(|word| self.offsets.word(i, word, OFFSET) as i64);
        ((SimTime(arrived) - zero).as_secs_f64(), Span(off).as_secs_f64())
    }

    /// The last so many offsets, the newest first.
    fn last_offsets(&self, most: usize) -> Vec<(f64, f64)> {
        (0..self.offsets.len(OFFSET)).rev().take(most).map(|i| self.offset(i)).collect()
    }

    fn sigma(&self) -> f64 {
        self.var.sqrt().max(CLOCK_FLOOR_S)
    }

    fn expected(&self, at: f64) -> f64 {
        self.base + self.slope * (at - self.base_at)
    }

    /// Baseline from the offsets at hand: median level, spread about it.
    fn rebase(&mut self) {
        let newest = self.last_offsets(CLOCK_WARM_UP);
        let (level, spread) = level_of(newest.iter().map(|(_, o)| *o));
        self.base = level;
        self.base_at = newest.first().map_or(0.0, |(at, _)| *at);
        self.var = spread.powi(2);
        self.fresh = CLOCK_WARM_UP;
    }

    /// The offsets left the baseline: a ramp (skew), a step (the clock was set) or a slow crystal?
    fn judge(&mut self, zero: SimTime, sigma: f64) -> Option<ClockNews> {
        let newest = self.last_offsets(OFFSETS);
        let r: Vec<(f64, f64)> = newest.iter().rev().map(|(at, o)| (*at, o - self.expected(*at))).collect();
        let Shapes { ramp: error, step, onset: k, slope } = Shapes::of(&r);
        // A crystal's slope is learnt, however often it is looked at, no further than crystals go.
        if (self.slope + slope).abs() < CLOCK_NORMAL && error <= step {
            self.slope += slope;
            self.rebase();
            return None;
        }
        if error > step {
            // Set, not skewed; five readings on the new level are enough to believe it.
            let new = &newest[..CLOCK_CONFIRM];
            self.base = new.iter().map(|x| x.1).sum::<f64>() / new.len() as f64;
            self.base_at = new[0].0;
            return None;
        }
        self.skewed = true;
        self.skew = slope;
        self.back = 0;
        let sigmas = r.last().map_or(0.0, |x| x.1.abs()) / sigma;
        // What little was added to a slope that was learnt is told with it.
        let ppm = if slope.abs() < CLOCK_NORMAL { self.slope + slope } else { slope } * 1e6;
        Some(ClockNews::Began(Skew { onset: zero + Span::from_secs_f64(r[k].0), ppm, sigmas }))
    }

    /// A ramp so slow that the baseline follows it: all offsets kept against the level of the oldest. It is a skew where it is
    /// steeper than a crystal's, fits better than a step, and leaves nothing but noise.
    fn slow_ramp(&mut self, zero: SimTime) -> Option<ClockNews> {
        if self.fresh < 2 * CLOCK_WARM_UP {
            return None;
        }
        let kept = self.offsets.len(OFFSET);
        let first = kept.saturating_sub(self.fresh);
        let (level, spread) = level_of((first..first + CLOCK_WARM_UP).map(|i| self.offset(i).1));
        let level_at = self.offset(first + CLOCK_WARM_UP / 2).0;
        let from_level = |i: usize| {
            let (at, o) = self.offset(i);
            (at, o - level - self.slope * (at - level_at))
        };
        let sigma = spread.max(CLOCK_FLOOR_S);
        let now = (kept - RAMP_EVERY..kept).map(|i| from_level(i).1).sum::<f64>() / RAMP_EVERY as f64;
        if now.abs() < CLOCK_SIGMAS * sigma {
            return None;
        }
        let r: Vec<(f64, f64)> = (first..kept).map(from_level).collect();
        let Shapes { ramp, step, onset, slope } = Shapes::of(&r);
        let n = r.len() as f64;
        let begun = r[onset].0;
        let left: Vec<f64> = r.iter().map(|(at, x)| x - slope * (at - begun).max(0.0)).collect();
        let steps: f64 = left.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum();
        let is_noise = ramp <= n * CLOCK_FLOOR_S.powi(2) || steps >= RAMP_LEAVES * ramp;
        let nats = 0.5 * n * (step.max(1e-12) / ramp.max(1e-12)).ln();
        let slope = self.slope + slope;
        if slope.abs() < CLOCK_NORMAL || nats < DECIDE_NATS || !is_noise {
            return None;
        }
        // The baseline has followed: it is where the ramp began.
        (self.base, self.base_at, self.var) = (level, level_at, spread.powi(2));
        (self.skewed, self.skew, self.out, self.back) = (true, slope, 0, 0);
        let skew =
            Skew { onset: zero + Span::from_secs_f64(begun), ppm: slope * 1e6, sigmas: now.abs() / sigma };
        Some(ClockNews::Began(skew))
    }

    /// The clock is right again when it is back on its baseline, or when it stops running away.
    fn watch_end(&mut self, at: f64, r: f64, sigma: f64, zero: SimTime) -> Option<ClockNews> {
        let steady = self.steady(sigma);
        if r.abs() < CLOCK_SIGMAS * sigma || steady {
            if self.back == 0 {
                self.back_since = at;
            }
            self.back += 1;
        } else {
            self.back = 0;
        }
        if self.back < CLOCK_CONFIRM {
            return None;
        }
        self.skewed = false;
        self.out = 0;
        self.fresh = CLOCK_CONFIRM;
        if steady {
            self.rebase();
        }
        Some(ClockNews::Ended(zero + Span::from_secs_f64(self.back_since)))
    }

    /// Whether the last offsets lie on a level: as many as the skew would show in.
    fn steady(&self, sigma: f64) -> bool {
        let (least, kept) = (2 * CLOCK_WARM_UP, self.offsets.len(OFFSET));
        let shows = |n: usize| {
            let span = self.offset(kept - 1).0 - self.offset(kept - n).0;
            self.skew.abs() * span >= CLOCK_SIGMAS * sigma
        };
        if kept < least {
            return false;
        }
        let n = if shows(least) { least } else { kept };
        if !shows(n) {
            return false;
        }
        let tail = self.last_offsets(n);
        let span = tail[0].0 - tail[n - 1].0;
        let rise = (tail[0].1 - tail[n - 1].1) - self.slope * span;
        rise.abs() < (CLOCK_NORMAL * span).max(3.0 * sigma).min(6.0 * sigma)
            && tail.iter().all(|x| (x.1 - tail[0].1).abs() < CLOCK_SIGMAS * sigma)
    }

    /// Time stamp minus arrival as learnt, at the last arrival [s], and its slope [s/s]; none before the baseline is.
    pub fn learnt(&self) -> Option<(f64, f64)> {
        let (at, last) = *self.last_offsets(1).first()?;
        // While the clock runs away, the baseline is where it should be, not where it is.
        let offset = if self.skewed { last } else { self.expected(at) };
        (self.n >= CLOCK_WARM_UP).then_some((offset, self.slope))
    }

    /// Whether the clock runs wrong now.
    pub fn skewed(&self) -> bool {
        self.skewed
    }

    /// The clock was set: everything learnt about its offset is void.
    pub fn set(&mut self) {
        *self = Self::default();
    }
}

/// Seconds as a number, for sums of many.
pub fn seconds(span: Span) -> f64 {
    span.0 as f64 / NS_PER_S as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> SimTime {
        SimTime(s * NS_PER_S)
    }

    /// A rhythm that has beaten at these times [s], and when its silence becomes overdue, [s] after the last.
    fn overdue_s(beats: &[i64], allowed: Option<i64>) -> Option<i64> {
        let mut rhythm = Rhythm::default();
        if let Some(s) = allowed {
            rhythm.allow(Span::from_secs(s));
        }
        beats.iter().for_each(|s| rhythm.beat(at(*s)));
        let from = rhythm.overdue_from();
        let last = at(*beats.last()?);
        (from != SimTime::NEVER).then(|| (from - last).0 / NS_PER_S)
    }

    #[test]
    fn silence_is_told_before_the_rhythm_is_learnt() {
        let every = |period: i64, n: i64| -> Vec<i64> { (0..n).map(|k| k * period).collect() };
        // A Tasmota plug that tells every five minutes, and dies.
        assert_eq!(overdue_s(&every(300, 20), None), Some(2_400), "as learnt");
        assert_eq!(overdue_s(&every(300, 5), None), Some(7_200), "few rounds, more patience");
        assert_eq!(overdue_s(&every(300, 4), None), None);
        assert_eq!(overdue_s(&[0], Some(2_400)), Some(2_400), "as declared, from the first message on");
        // One that is slower than it was declared is not called silent for that again.
        assert_eq!(overdue_s(&every(3_600, 2), Some(2_400)), Some(10_800));
        assert_eq!(overdue_s(&every(300, 20), Some(60)), Some(2_400), "what was learnt is known better");
        // A door that is opened now and then has no rhythm.
        assert_eq!(overdue_s(&[0, 5, 60, 62, 300, 310, 1_000], None), None);
        let mut signal = Rhythm::default();
        every(300, 5).iter().for_each(|s| signal.beat(at(*s)));
        assert_eq!(signal.of_one_signal().overdue_from(), SimTime::NEVER);
    }

    /// A clock at 1 Hz whose stamps are whole milliseconds, off from 600 s on by `ahead` [s] of the seconds since, arrivals late
    /// by `late` [s]: when a skew is told [s], and how large [ppm].
    fn told_skew(ahead: impl Fn(f64) -> f64, mut late: impl FnMut(i64) -> f64) -> Option<(i64, f64)> {
        let mut clock = DeviceClock::default();
        for k in 0..3_000_i64 {
            let off = ahead((k - 600).max(0) as f64);
            let stamp = ((k as f64 + off) * 1e3).floor() * 1e-3;
            let arrived = SimTime::ZERO + Span::from_secs_f64(k as f64 + 1.0 + late(k));
            let news = clock.take(SimTime::ZERO + Span::from_secs_f64(stamp + 1.0), arrived);
            if let Some(ClockNews::Began(skew)) = news {
                return Some((k, skew.ppm));
            }
        }
        None
    }

    #[test]
    fn a_slow_skew_is_told_though_the_baseline_follows_it() {
        for ppm in [120.0, -150.0, 200.0, -250.0, 300.0, 1000.0] {
            let (at, told) = told_skew(|s| s * ppm * 1e-6, |_| 0.0).expect("told");
            assert!((600..660).contains(&at), "{ppm} ppm: told at {at} s");
            assert!((told - ppm).abs() < 0.15 * ppm.abs(), "{ppm} ppm: told as {told}");
        }
    }

    #[test]
    fn crystals_clocks_that_are_set_and_arrivals_that_wander_are_no_skew() {
        for ppm in [0.0, 50.0, -80.0] {
            assert_eq!(told_skew(|s| s * ppm * 1e-6, |_| 0.0), None, "{ppm} ppm are a crystal's");
        }
        let set = |s: f64| f64::from(s > 0.0) + f64::from(s > 90.0) + f64::from(s > 180.0);
        assert_eq!(told_skew(set, |_| 0.0), None, "set three times");
        // Queues that fill and empty within minutes: a sum of steps that fades, of a plain generator.
        let (mut seed, mut queue) = (1_u64, 0.0);
        let wander = |_: i64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let step = (seed >> 33) as f64 / f64::from(1_u32 << 31) - 0.5;
            queue = 0.98 * queue + 0.007 * step;
            queue
        };
        assert_eq!(told_skew(|_| 0.0, wander), None, "the network's doing");
    }

    #[test]
    fn a_device_that_is_heard_again_need_not_show_its_rhythm_anew() {
        let mut rhythm = Rhythm::default();
        (0..40).for_each(|k| rhythm.beat(at(10 * k)));
        rhythm.pause();
        assert_eq!(rhythm.overdue_from(), SimTime::NEVER);
        rhythm.beat(at(10_000));
        assert_eq!(rhythm.overdue_from(), at(10_240));
    }
}
