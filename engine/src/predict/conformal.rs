//! Intervals of forecasts that come row by row: quantiles that follow what was missed, around a bias that does too.
//!
//! A [`Lane`] is the interval of one target at one horizon. Each side's distance is tracked by the gradient of its own pinball
//! loss (quantile tracking as in Angelopoulos, Candès and Tibshirani, *Conformal PID Control for Time Series Prediction*,
//! NeurIPS 2023), so that a share (1 − interval)/2 lies beyond either side in the long run whatever the series does. An
//! interval that only grows cannot re-centre: the mean error is tracked beside it. How fast to follow, and how much to trust
//! that a stormy hour stays stormy, differs from series to series: each lane keeps several trackers and leans on those whose
//! loss was least.
//!
//! Far ahead, a short past holds few errors that say something of their own: those of neighbouring origins overlap, and none is
//! known before it has come due. What a lane has seen is therefore counted in horizons; while that is little, its bias is believed
//! less, and its width leans on what could be known beforehand ([`Intervals::expect_of`]).
//!
//! [`Intervals`] keeps the lanes of all targets and horizons, what is expected of an hour of the day, and the forecasts that
//! have not come due.
//!
//! ```
//! use twinfleet_engine::predict::conformal::Lane;
//! let mut lane = Lane::new(0.9, 1);
//! for i in 0..2000 {
//!     let told = lane.bounds(1.0, 1.0);
//!     lane.observe(f64::from(i % 11) - 5.0 + 100.0, 1.0, 1.0, told); // errors of -5 to 5 about a bias of 100
//! }
//! let (lower, upper) = lane.bounds(1.0, 1.0);
//! assert!((90.0..97.0).contains(&lower) && (103.0..110.0).contains(&upper));
//! ```

use std::collections::VecDeque;

/// How fast a tracker follows, and the power of the present stress that it takes its width by.
const TRACKERS: [(f64, i32); 6] = [(0.003, 0), (0.003, 1), (0.003, 2), (0.02, 0), (0.02, 1), (0.02, 2)];
/// The root of the stress that those powers are of.
const STRESS_ROOT: f64 = 0.4;
/// Step of the quantiles, in units of the recent error and of the rate.
const QUANTILE_STEP: f64 = 1.0;
/// Share of the way to a new loss that a tracker's mean loss goes.
const LOSS_RATE: f64 = 0.003;
/// How steeply the better trackers are leant on.
const LEAN: i32 = 12;
/// Step of the last correction, which keeps the promise of all trackers together.
const GUARD_STEP: f64 = 0.02;
/// The same, in horizons: what was missed is known one horizon late.
const GUARD_DELAYED: f64 = 0.1;
/// Share of the way that the slower trackers go in a horizon at most.
const HORIZONS_BACK: f64 = 0.05;
/// Horizons of errors that what was expected beforehand is worth; more where stretches of the past differ, as a calm night and the
/// day that follows do.
const EXPECTED_WORTH: f64 = 0.5;
const UNEVEN_WORTH: f64 = 1.0;
/// Stretches into which the past is cut to see how they differ, and the largest squared variation that is believed.
const STRETCHES: usize = 12;
const MOST_UNEVEN: f64 = 3.0;
/// What rounding may take from a forecast, of itself.
const ROUNDED: f64 = 1e-9;
/// How much wider an interval may be for being made from few errors.
const WIDEST: f64 = 2.0;
/// Errors of their own in one horizon of them: those of neighbouring origins are alike only as far as they overlap.
const OWN_PER_HORIZON: f64 = 2.0;
/// … and no bias at all.
const UNBIASED_WORTH: f64 = 4.0;
/// Horizons of errors from which on a lane says how good the forecasts are.
const TELLING: f64 = 5.0;
/// Parts of a day that have a spread of their own.
const HOURS: usize = 24;
/// Errors that a part of the day has to show before it counts as much as what was believed of it.
const HOUR_PRIOR: f64 = 60.0;
/// Slots after which what stressed the forecasts is half forgotten, per day of slots.
const STRESS_OF_DAY: f64 = 1.0 / 12.0;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Tracker {
    rate: f64,
    power: i32,
    bias: f64,
    error: f64,
    below: f64,
    above: f64,
    loss: f64,
}

impl Tracker {
    fn bounds(&self, hour: f64, root: f64) -> (f64, f64) {
        let unit = self.error * hour * root.powi(self.power);
        (self.bias - self.below * unit, self.bias + self.above * unit)
    }
}

/// The interval of one target at one horizon.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    side: f64,
    trackers: [Tracker; TRACKERS.len()],
    /// Last correction of the widths below and above.
    guard: (f64, f64),
    step: f64,
    /// Of normal errors, the quantile in units of the mean absolute one.
    start: f64,
    seen: u32,
}

impl Lane {
    /// An interval that shall hold with this probability, 0–1, of a forecast over so many slots.
    ///
    /// What is missed is known only when it has come due: a tracker that followed faster than that would follow what is
    /// over.
    pub fn new(interval: f64, ahead: usize) -> Self {
        let ahead = ahead.max(1) as f64;
        let interval = interval.clamp(0.01, 0.999);
        let start =
            super::interval::normal_quantile(0.5 + 0.5 * interval) * (std::f64::consts::PI / 2.0).sqrt();
        let tracker = |(rate, power): (f64, i32)| Tracker {
            rate: rate.min(HORIZONS_BACK * (rate / 0.003).sqrt() / ahead),
            power,
            bias: 0.0,
            error: 0.0,
            below: start,
            above: start,
            loss: 0.0,
        };
        Self {
            side: 0.5 * (1.0 - interval),
            trackers: TRACKERS.map(tracker),
            guard: (1.0, 1.0),
            step: GUARD_STEP.min(GUARD_DELAYED / ahead),
            start,
            seen: 0,
        }
    }

    /// Takes in what came minus what was forecast. `hour` and `stress` are what was given to [`Self::bounds`] when it was,
    /// `bounds` is what that said.
    pub fn observe(&mut self, error: f64, hour: f64, stress: f64, bounds: (f64, f64)) {
        if !error.is_finite() {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        // The first errors count as much as their number allows.
        let fresh = 1.0 / f64::from(self.seen);
        if self.seen > 20 {
            let step = |missed: bool| self.step * if missed { 1.0 - self.side } else { -self.side };
            self.guard.0 = (self.guard.0 + step(error < bounds.0)).clamp(0.3, 6.0);
            self.guard.1 = (self.guard.1 + step(error > bounds.1)).clamp(0.3, 6.0);
        }
        let side = self.side;
        let root = stress.powf(STRESS_ROOT);
        for t in &mut self.trackers {
            let (low, high) = t.bounds(hour, root);
            let loss = |q: f64, tau: f64| (error - q) * if error >= q { tau } else { tau - 1.0 };
            t.loss += (loss(low, side) + loss(high, 1.0 - side) - t.loss) * LOSS_RATE.max(fresh);
            let off = error - t.bias;
            t.error += (off.abs() / hour - t.error) * t.rate.max(fresh);
            t.bias += off * t.rate.max(fresh);
            let unit = t.error * hour * root.powi(t.power);
            if unit > 0.0 {
                let step = QUANTILE_STEP * t.rate.max(fresh.min(0.05));
                let s = off / unit;
                t.above += step * if s > t.above { 1.0 - side } else { -side };
                t.below += step * if -s > t.below { 1.0 - side } else { -side };
                // The bounds never cross.
                t.above = t.above.max(1e-6 - t.below);
            }
        }
    }

    /// What is to be added to a forecast for its lower and upper bound. `hour` is the spread expected of the time that it
    /// is for, `stress` that of these days, both in units of the usual.
    pub fn bounds(&self, hour: f64, stress: f64) -> (f64, f64) {
        let (low, high, _) = self.around(hour, stress);
        (low, high)
    }

    /// The same, and the bias that they lie around.
    fn around(&self, hour: f64, stress: f64) -> (f64, f64, f64) {
        let root = stress.powf(STRESS_ROOT);
        let least = self.trackers.iter().map(|t| t.loss).fold(f64::INFINITY, f64::min);
        let (mut low, mut high, mut sum, mut bias) = (0.0, 0.0, 0.0, 0.0);
        for t in &self.trackers {
            let weight = if t.loss > 0.0 { (least / t.loss).powi(LEAN) } else { 1.0 };
            let (l, h) = t.bounds(hour, root);
            low += weight * l;
            high += weight * h;
            bias += weight * t.bias;
            sum += weight;
        }
        let (low, high, bias) = (low / sum, high / sum, bias / sum);
        (bias - (bias - low) * self.guard.0, bias + (high - bias) * self.guard.1, bias)
    }

    /// The same where what it saw is worth so many errors of their own (in horizons), and something was expected beforehand.
    fn bounds_expecting(&self, hour: f64, stress: f64, worth: f64, before: Expected) -> (f64, f64) {
        let (low, high, bias) = self.around(hour, stress);
        if before.error <= 0.0 {
            return (low, high);
        }
        // Of few errors, a quantile is known as Student knew it.
        let normal = 1.0 - self.side;
        let dof = 1.0 + OWN_PER_HORIZON * worth / (1.0 + before.uneven);
        let few = super::interval::student_quantile(normal, dof) / super::interval::normal_quantile(normal);
        let few = few.clamp(1.0, WIDEST);
        let error = self.error();
        if error <= 0.0 {
            let start = self.start * before.error * hour * few;
            return (-start, start);
        }
        let prior = EXPECTED_WORTH + UNEVEN_WORTH * before.uneven;
        let believed = (worth * error + prior * before.error) / (worth + prior);
        let kept = bias * worth / (worth + UNBIASED_WORTH);
        // What was expected widens, and narrows only as far as an even past allows.
        let wider = few * (believed / error);
        (kept - (bias - low) * wider, kept + (high - bias) * wider)
    }

    /// Mean error of late, after the slower trackers.
    pub fn bias(&self) -> f64 {
        self.trackers[0].bias
    }

    /// Mean size of the errors of late.
    pub fn error(&self) -> f64 {
        self.trackers[0].error
    }

    /// Errors taken in.
    pub fn seen(&self) -> u32 {
        self.seen
    }
}

/// What is expected of a lane's errors before it has seen many.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    /// Their mean size; 0 where that is not known.
    error: f64,
    /// Squared variation of what persistence missed by, from stretch to stretch of the past.
    uneven: f64,
}

/// What is expected of each hour of the day, in units of the usual.
#[derive(Clone, Debug)]
struct Hours {
    sums: [f64; HOURS],
    counts: [f64; HOURS],
}

impl Hours {
    fn new() -> Self {
        Self { sums: [0.0; HOURS], counts: [0.0; HOURS] }
    }

    fn at(&self, hour: usize) -> f64 {
        // Neighbours say something of an hour, too.
        let (mut sum, mut count) = (HOUR_PRIOR, HOUR_PRIOR);
        for (by, weight) in [(0, 1.0), (1, 0.5), (HOURS - 1, 0.5)] {
            let h = (hour + by) % HOURS;
            sum += weight * self.sums[h];
            count += weight * self.counts[h];
        }
        sum / count
    }

    fn add(&mut self, hour: usize, ratio: f64) {
        // A wild error is no reason to distrust its hour for months.
        self.sums[hour] = self.sums[hour] * 0.998 + ratio.min(6.0);
        self.counts[hour] = self.counts[hour] * 0.998 + 1.0;
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Squared variation of the mean size of what was missed, from stretch to stretch; a stretch is as long as a horizon at least, so
/// that each says something of its own.
fn uneven(missed: &[f64], ahead: usize) -> f64 {
    let each = missed.len().div_ceil(STRETCHES).max(ahead);
    let means: Vec<f64> = missed.chunks(each).map(mean).collect();
    let all = mean(&means);
    if means.len() < 2 || all <= 0.0 {
        return 0.0;
    }
    let square: f64 = means.iter().map(|m| (m / all - 1.0).powi(2)).sum();
    (square / (means.len() - 1) as f64).min(MOST_UNEVEN)
}

/// A forecast from one origin, with its bounds: one value for each target and, within it, each horizon.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Slot that it was made at.
    pub origin: usize,
    /// What is expected.
    pub forecast: Vec<f64>,
    /// Lower bounds.
    pub lower: Vec<f64>,
    /// Upper bounds.
    pub upper: Vec<f64>,
    /// What the lanes themselves said, without what was expected beforehand: their correction goes by that.
    own: Vec<(f64, f64)>,
    stress: Vec<f64>,
}

/// Intervals of all targets and horizons, and the forecasts that have not come due.
#[derive(Clone, Debug)]
pub struct Intervals {
    horizons: Vec<usize>,
    targets: usize,
    lanes: Vec<Lane>,
    hours: Vec<Hours>,
    /// Slots of a day, where the series has days.
    day: Option<usize>,
    stress: Vec<f64>,
    /// Of each lane, what persistence missed by beforehand.
    naive: Vec<Expected>,
    /// Of each lane, the slot of its first error.
    first: Vec<Option<usize>>,
    pending: VecDeque<Issued>,
    settled: usize,
}

impl Intervals {
    /// For so many targets over these horizons, [slots] and ascending. `day` is the number of slots of a day, where hours
    /// of the day mean something.
    pub fn new(targets: usize, horizons: &[usize], interval: f64, day: Option<usize>) -> Self {
        let n = targets * horizons.len();
        Self {
            horizons: horizons.to_vec(),
            targets,
            lanes: (0..targets).flat_map(|_| horizons.iter().map(|h| Lane::new(interval, *h))).collect(),
            hours: if day.is_some() { vec![Hours::new(); n] } else { Vec::new() },
            day,
            stress: vec![1.0; targets],
            naive: vec![Expected::default(); n],
            first: vec![None; n],
            pending: VecDeque::new(),
            settled: 0,
        }
    }

    /// Tells the readings of a target before its first forecast, by slot: what persistence would have missed by in them is
    /// expected of forecasts as far ahead, until their own errors say better.
    pub fn expect_of(&mut self, target: usize, past: &[f64]) {
        let h = self.horizons.len();
        let mut shorter: Option<(usize, Expected)> = None;
        for (k, ahead) in self.horizons.iter().enumerate() {
            let pairs = past.get(*ahead..).unwrap_or_default().iter().zip(past);
            let missed: Vec<f64> = pairs.map(|(a, b)| (a - b).abs()).filter(|e| e.is_finite()).collect();
            // Over less than a horizon nothing is seen; a walk goes on with the root of time.
            self.naive[target * h + k] = match shorter {
                _ if missed.len() >= *ahead && !missed.is_empty() => {
                    let seen = Expected { error: mean(&missed), uneven: uneven(&missed, *ahead) };
                    shorter = Some((*ahead, seen));
                    seen
                }
                Some((before, seen)) => {
                    Expected { error: seen.error * (*ahead as f64 / before as f64).sqrt(), ..seen }
                }
                None => Expected::default(),
            };
        }
    }

    /// Errors of its own that a lane has seen, in horizons.
    fn worth(&self, at: usize) -> f64 {
        let ahead = self.horizons[at % self.horizons.len()] as f64;
        let since = self.first[at].map_or(0.0, |first| (self.settled + 1 - first) as f64);
        (since / ahead).min(f64::from(self.lanes[at].seen()))
    }

    /// The mean error that a lane is expected to have: as much of what persistence missed by as the next shorter horizon that
    /// can tell has of its own.
    fn expected_error(&self, at: usize) -> Expected {
        let h = self.horizons.len();
        let shorter =
            (at - at % h..at).rev().find(|j| self.naive[*j].error > 0.0 && self.worth(*j) >= TELLING);
        let share = shorter.map_or(1.0, |j| (self.lanes[j].error() / self.naive[j].error).sqrt());
        let naive = self.naive[at];
        Expected { error: naive.error * share.clamp(0.1, 1.5), ..naive }
    }

    fn hour(&self, slot: usize) -> usize {
        self.day.map_or(0, |day| slot % day * HOURS / day)
    }

    fn expected(&self, at: usize, slot: usize) -> f64 {
        self.hours.get(at).map_or(1.0, |h| h.at(self.hour(slot)))
    }

    /// Hears of everything that came up to and with slot `now`; `came` tells it by target and slot, NaN where nothing did.
    pub fn settle(&mut self, now: usize, came: impl Fn(usize, usize) -> f64) {
        let pending = std::mem::take(&mut self.pending);
        let h = self.horizons.len();
        let mut felt = vec![(0.0, 0u32); self.targets];
        for p in &pending {
            let due = |slot: usize| self.horizons.partition_point(|ahead| p.origin + ahead <= slot);
            for k in due(self.settled.max(p.origin))..due(now) {
                let slot = p.origin + self.horizons[k];
                for (c, felt) in felt.iter_mut().enumerate() {
                    let at = c * h + k;
                    let error = came(c, slot) - p.forecast[at];
                    if !error.is_finite() {
                        continue;
                    }
                    let hour = self.expected(at, slot);
                    let usual = self.lanes[at].error();
                    if usual > 0.0 && self.lanes[at].seen() > 50 {
                        let ratio = (error - self.lanes[at].bias()).abs() / usual;
                        *felt = (felt.0 + ratio / hour, felt.1 + 1);
                        let bin = self.hour(slot);
                        if let Some(hours) = self.hours.get_mut(at) {
                            hours.add(bin, ratio);
                        }
                    }
                    self.first[at].get_or_insert(slot);
                    self.lanes[at].observe(error, hour, p.stress[c], p.own[at]);
                }
            }
        }
        let slots = now.saturating_sub(self.settled).max(1) as f64;
        let memory = (self.day.unwrap_or(144) as f64 * STRESS_OF_DAY).max(2.0);
        for (stress, (sum, n)) in self.stress.iter_mut().zip(felt) {
            if n > 0 {
                let keep = 0.5f64.powf(slots / memory);
                *stress = (*stress * keep + (1.0 - keep) * sum / f64::from(n)).clamp(0.2, 8.0);
            }
        }
        self.pending = pending;
        let longest = self.horizons.last().copied().unwrap_or(0);
        while self.pending.front().is_some_and(|p| p.origin + longest <= now) {
            self.pending.pop_front();
        }
        self.settled = now;
    }

    /// Makes the bounds of a forecast, and keeps it until it has come due.
    pub fn issue(&mut self, origin: usize, forecast: Vec<f64>) -> &Issued {
        let h = self.horizons.len();
        let n = forecast.len();
        let (mut lower, mut upper, mut own) =
            (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n));
        for (at, f) in forecast.iter().enumerate() {
            let hour = self.expected(at, origin + self.horizons[at % h]);
            let (worth, before) = (self.worth(at), self.expected_error(at));
            let lane = &self.lanes[at];
            let (low, high) = lane.bounds_expecting(hour, self.stress[at / h], worth, before);
            // A constant is forecast to its last digits but one.
            let digits = f.abs() * ROUNDED;
            lower.push(f + low - digits);
            upper.push(f + high + digits);
            own.push(lane.bounds(hour, self.stress[at / h]));
        }
        self.pending.push_back(Issued { origin, forecast, lower, upper, own, stress: self.stress.clone() });
        &self.pending[self.pending.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand_distr::{Distribution, StandardNormal};

    /// Share held over the second half, for errors with a jump of the mean and of the spread.
    fn coverage(interval: f64, jump: f64, spread: f64) -> f64 {
        let mut rng = stream(7, "conformal", "errors");
        let mut lane = Lane::new(interval, 1);
        let n = 20_000;
        let mut held = 0;
        for i in 0..n {
            let (mean, std) = if i < n / 2 { (0.0, 1.0) } else { (jump, spread) };
            let z: f64 = StandardNormal.sample(&mut rng);
            let error = mean + std * z;
            let (low, high) = lane.bounds(1.0, 1.0);
            held += usize::from(i >= n / 2 && (low..=high).contains(&error));
            lane.observe(error, 1.0, 1.0, (low, high));
        }
        held as f64 / (n / 2) as f64
    }

    #[test]
    fn what_is_promised_is_held_after_the_errors_change() {
        for (interval, jump, spread) in [(0.9, 0.0, 1.0), (0.9, 5.0, 3.0), (0.5, -2.0, 0.3), (0.98, 1.0, 2.0)]
        {
            let share = coverage(interval, jump, spread);
            assert!((share - interval).abs() < 0.02, "{interval}, jump {jump}, spread {spread}: {share}");
        }
    }

    #[test]
    fn hours_that_are_wild_have_wide_intervals() {
        let mut rng = stream(3, "conformal", "hours");
        let mut all = Intervals::new(1, &[1], 0.9, Some(24));
        let mut came = vec![0.0; 24 * 200];
        for (i, v) in came.iter_mut().enumerate() {
            let z: f64 = StandardNormal.sample(&mut rng);
            *v = z * if i % 24 < 12 { 1.0 } else { 5.0 };
        }
        let mut widths = [0.0; 2];
        let mut held = 0;
        for origin in 0..came.len() - 1 {
            all.settle(origin, |_, slot| came[slot]);
            let told = all.issue(origin, vec![0.0]);
            if origin > 24 * 100 {
                widths[usize::from((origin + 1) % 24 >= 12)] += told.upper[0] - told.lower[0];
                held += usize::from((told.lower[0]..=told.upper[0]).contains(&came[origin + 1]));
            }
        }
        assert!(widths[1] > 2.5 * widths[0], "{widths:?}");
        let share = held as f64 / (came.len() - 2 - 24 * 100) as f64;
        assert!((share - 0.9).abs() < 0.03, "{share}");
    }

    /// Errors far ahead are alike from slot to slot, and known late: following the last ones would hold on paper only.
    #[test]
    fn far_horizons_hold_what_they_promise_when_it_comes_due() {
        let mut rng = stream(5, "conformal", "far");
        let horizons = [1, 40, 150];
        let mut all = Intervals::new(1, &horizons, 0.9, None);
        let mut series = vec![0.0f64];
        for _ in 0..20_000 {
            let z: f64 = StandardNormal.sample(&mut rng);
            series.push(0.98 * series[series.len() - 1] + z);
        }
        let mut held = [0; 3];
        let mut n = 0;
        for origin in 0..series.len() - 151 {
            all.settle(origin, |_, slot| series[slot]);
            let forecast = horizons.iter().map(|h| series[origin] * 0.98f64.powi(*h as i32)).collect();
            let told = all.issue(origin, forecast);
            if origin >= 5000 {
                n += 1;
                for (k, h) in horizons.iter().enumerate() {
                    held[k] += usize::from((told.lower[k]..=told.upper[k]).contains(&series[origin + h]));
                }
            }
        }
        for (h, held) in horizons.iter().zip(held) {
            let share = held as f64 / f64::from(n);
            assert!((share - 0.9).abs() < 0.03, "{h} ahead: {share}");
        }
    }
}
