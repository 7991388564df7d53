//! Rows of a table on a regular grid of steps.
//!
//! ```
//! use twinfleet_twins::predictors::series::Series;
//! // A row is missing after the second: the grid has a slot for it, without a reading.
//! let series = Series::new(&[0.0, 60.0, 180.0], None, vec![vec![1.0, 2.0, 4.0]]);
//! assert_eq!((series.step_s, series.slots(), series.row_slots()), (60.0, 4, &[0, 1, 3][..]));
//! assert!(series.channel(0)[2].is_nan() && series.held(0)[2] == 2.0);
//! ```

use std::ops::Range;

/// Channels on a grid whose step is the median of the rows' spacing. A row lies as many slots after the one before as its
/// spacing has steps, at least one, so that neither jitter nor a rate that is not quite nominal shifts anything. Each slot keeps the
/// time of its row: rows that come late now and then are no clock, and hours, days and seasons go by that.
#[derive(Clone, Debug)]
pub struct Series {
    /// Spacing of the grid, [s].
    pub step_s: f64,
    /// Unix time of the first slot, [s], where the table says.
    pub t0_unix_s: Option<f64>,
    /// Time that a slot takes in the mean, [s]: the step, unless rows come late.
    pace_s: f64,
    /// Time of each slot, [s] from the first; that of one without a row is between its neighbours'.
    times: Vec<f64>,
    /// Whether slots and clock part by more than half a step anywhere.
    uneven: bool,
    channels: Vec<Vec<f64>>,
    held: Vec<Vec<f64>>,
    /// Of each channel, how many slots before each hold a reading that is out of date.
    stale: Vec<Vec<u32>>,
    row_slots: Vec<usize>,
}

/// What the mean spacing of rows may be off the usual one before slots are counted by it.
const NOMINAL: f64 = 0.002;

/// A gap of more slots than this is cut short: a device that was off for a year needs no memory for it.
const LONGEST_GAP: usize = 100_000;
/// A reading is out of date after so many slots, or so many times the slots that lie between nearly all of its channel's.
const DATED: usize = 3;

impl Series {
    /// Rows at these ascending times, [s], one list of values for each channel.
    ///
    /// # Panics
    /// If a channel has fewer values than there are times.
    pub fn new(t_s: &[f64], t0_unix_s: Option<f64>, columns: Vec<Vec<f64>>) -> Self {
        let mut steps: Vec<f64> = t_s.windows(2).map(|w| w[1] - w[0]).collect();
        // The lower middle of an even number: a gap makes steps longer, nothing makes them shorter.
        let middle = steps.len().saturating_sub(1) / 2;
        let step_s = match steps.is_empty() {
            true => 1.0,
            false => steps.select_nth_unstable_by(middle, f64::total_cmp).1.max(1e-9),
        };
        let mut row_slots = Vec::with_capacity(t_s.len());
        let mut slot = 0;
        for (i, t) in t_s.iter().enumerate() {
            if i > 0 {
                let steps = ((t - t_s[i - 1]) / step_s).round();
                slot += (steps.clamp(1.0, LONGEST_GAP as f64)) as usize;
            }
            row_slots.push(slot);
        }
        let slots = row_slots.last().map_or(0, |last| last + 1);
        let mut channels = Vec::with_capacity(columns.len());
        for column in columns {
            let mut values = vec![f64::NAN; slots];
            for (slot, value) in row_slots.iter().zip(column) {
                values[*slot] = value;
            }
            channels.push(values);
        }
        let held = channels.iter().map(|c| held(c)).collect();
        let stale = channels.iter().map(|c| stale(c)).collect();
        let times = times(t_s, &row_slots);
        let off = |(slot, t): (usize, &f64)| (t - slot as f64 * step_s).abs() > 0.5 * step_s;
        let uneven = times.iter().enumerate().any(off);
        let pace = pace(t_s, &row_slots);
        let pace_s = if uneven && (pace / step_s - 1.0).abs() > NOMINAL { pace.max(1e-9) } else { step_s };
        Self { step_s, t0_unix_s, pace_s, times, uneven, channels, held, stale, row_slots }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.row_slots.last().map_or(0, |last| last + 1)
    }

    /// The slot of each row.
    pub fn row_slots(&self) -> &[usize] {
        &self.row_slots
    }

    /// What was read of a channel; NaN where nothing was.
    pub fn channel(&self, channel: usize) -> &[f64] {
        &self.channels[channel]
    }

    /// What a model takes for a channel's value: the last reading so far; NaN before the first.
    pub fn held(&self, channel: usize) -> &[f64] {
        &self.held[channel]
    }

    /// Whether any of these slots holds a reading of a channel that is out of date: over a gap nobody knows what was.
    pub fn is_stale(&self, channel: usize, slots: Range<usize>) -> bool {
        let before = |slot: usize| self.stale[channel][slot.min(self.slots())];
        before(slots.end) > before(slots.start)
    }

    /// Number of channels.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Whether there is no channel.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Slots in so many seconds, if that is a whole number of them, or near enough.
    pub fn slots_in(&self, span_s: f64) -> Option<usize> {
        let slots = span_s / self.pace_s;
        let whole = slots.round();
        (whole >= 2.0 && (slots - whole).abs() < 0.02 * whole.min(25.0)).then_some(whole as usize)
    }

    /// The time of a slot, [s] from the first; behind the last one as if slots went on coming.
    pub fn time(&self, slot: usize) -> f64 {
        let last = self.times.len().saturating_sub(1);
        match self.times.get(slot) {
            Some(t) => *t,
            None => self.times.get(last).copied().unwrap_or(0.0) + (slot - last) as f64 * self.pace_s,
        }
    }

    /// The time of what is so many slots ahead, as it can be told at the origin, [s] from the first slot.
    pub fn due(&self, origin: usize, ahead: usize) -> f64 {
        if self.uneven { self.time(origin) + ahead as f64 * self.pace_s } else { self.time(origin + ahead) }
    }

    /// The slot that lies whole seasons of so many slots before what is ahead, the last that is known at the origin.
    pub fn before(&self, origin: usize, ahead: usize, season: usize) -> Option<usize> {
        let seasons = ahead.div_ceil(season);
        if !self.uneven {
            return (origin + ahead).checked_sub(season * seasons);
        }
        let at = self.due(origin, ahead) - seasons as f64 * self.season_s(season);
        (at > -0.5 * self.step_s).then(|| self.slot_at(at).min(origin))
    }

    /// How long a season of so many slots lasts, [s]: whole days where it is as good as that.
    fn season_s(&self, season: usize) -> f64 {
        let (long, day) = (season as f64 * self.pace_s, 86_400.0);
        let days = (long / day).round() * day;
        if days > 0.0 && (long - days).abs() < 0.5 * self.pace_s { days } else { long }
    }

    /// The slot nearest to a time, [s] from the first slot.
    fn slot_at(&self, t: f64) -> usize {
        let after = self.times.partition_point(|own| *own < t).min(self.times.len().saturating_sub(1));
        let before = after.saturating_sub(1);
        if t - self.times[before] < self.times[after] - t { before } else { after }
    }

    /// How far into a period of so many slots a time lies, in whole slots.
    pub fn slot_of_period(&self, t: f64, slots: usize) -> usize {
        let rounds = t / (slots as f64 * self.pace_s);
        (rounds.rem_euclid(1.0) * slots as f64).round() as usize % slots
    }

    /// How far into a period of so many seconds a slot lies, 0–1; by calendar time where the table has it.
    pub fn phase(&self, slot: usize, period_s: f64) -> f64 {
        self.phase_at(self.time(slot), period_s)
    }

    /// The same of a time, [s] from the first slot.
    pub fn phase_at(&self, t: f64, period_s: f64) -> f64 {
        // Unix time began on a Thursday; weeks begin on Monday.
        let t = self.t0_unix_s.map_or(0.0, |t0| t0 + 3.0 * 86_400.0) + t;
        (t / period_s).rem_euclid(1.0)
    }
}

/// The time of each slot, from those of the rows.
fn times(t_s: &[f64], row_slots: &[usize]) -> Vec<f64> {
    let (Some(first), Some(last)) = (t_s.first(), row_slots.last()) else { return Vec::new() };
    let mut times = vec![0.0; last + 1];
    for (k, slot) in row_slots.iter().enumerate().skip(1) {
        let (from, to) = (t_s[k - 1] - first, t_s[k] - first);
        let slots = slot - row_slots[k - 1];
        for n in 1..=slots {
            times[row_slots[k - 1] + n] = from + (to - from) * n as f64 / slots as f64;
        }
    }
    times
}

/// Mean time of a slot over the rows that follow the one before without a slot between.
fn pace(t_s: &[f64], row_slots: &[usize]) -> f64 {
    let each = t_s.windows(2).zip(row_slots.windows(2)).filter(|(_, slots)| slots[1] - slots[0] == 1);
    let (sum, n) = each.fold((0.0, 0.0), |(sum, n), (t, _)| (sum + t[1] - t[0], n + 1.0));
    sum / f64::max(n, 1.0)
}

fn held(values: &[f64]) -> Vec<f64> {
    let mut last = f64::NAN;
    let keep = |v: &f64| {
        if v.is_finite() {
            last = *v;
        }
        last
    };
    values.iter().map(keep).collect()
}

/// How many slots before each hold a reading that is out of date.
fn stale(values: &[f64]) -> Vec<u32> {
    let read: Vec<usize> = (0..values.len()).filter(|k| values[*k].is_finite()).collect();
    let mut apart: Vec<usize> = read.windows(2).map(|w| w[1] - w[0]).collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len() * 19 / 20).copied().unwrap_or(1);
    let (mut count, mut last) = (0, None);
    let mut all = vec![0];
    for (slot, value) in values.iter().enumerate() {
        if value.is_finite() {
            last = Some(slot);
        }
        count += u32::from(last.is_some_and(|last| slot - last > DATED * usual));
        all.push(count);
    }
    all
}

/// Period of a series, [slots]: the lag below `longest` at which the changes from slot to slot are most alike, if they are.
/// `None` where no lag stands out.
pub fn period(values: &[f64], longest: usize) -> Option<usize> {
    let changes: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).filter(|d| d.is_finite()).collect();
    let n = changes.len();
    if n < 16 {
        return None;
    }
    let mean = changes.iter().sum::<f64>() / n as f64;
    let power: f64 = changes.iter().map(|d| (d - mean).powi(2)).sum();
    if power <= 0.0 {
        return None;
    }
    let alike = |lag: usize| -> f64 {
        let pairs = changes[lag..].iter().zip(&changes);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / power
    };
    let longest = longest.min(n / 3);
    let mut best = (0.0, None);
    let found: Vec<f64> = (0..=longest).map(|lag| if lag < 2 { 0.0 } else { alike(lag) }).collect();
    for lag in 4..longest {
        // A peak among its neighbours, and far beyond what noise would give.
        let peak = found[lag] >= found[lag - 1] && found[lag] >= found[lag + 1];
        if peak && found[lag] > best.0 && found[lag] > (4.0 / (n as f64).sqrt()).max(0.2) {
            best = (found[lag], Some(lag));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_long_ago_is_out_of_date() {
        let mut values = vec![1.0; 60];
        values[30..50].fill(f64::NAN);
        let t_s: Vec<f64> = (0..60).map(f64::from).collect();
        let series = Series::new(&t_s, None, vec![values]);
        assert!(!series.is_stale(0, 0..33) && !series.is_stale(0, 50..60));
        assert!(series.is_stale(0, 33..34) && series.is_stale(0, 0..60) && series.is_stale(0, 49..50));
        // One that comes at each tenth row is as good as that.
        let seldom = (0..60).map(|k| if k % 10 == 0 { 1.0 } else { f64::NAN }).collect();
        assert!(!Series::new(&t_s, None, vec![seldom]).is_stale(0, 0..60));
    }

    #[test]
    fn hours_go_by_the_clock_where_rows_come_late() {
        let mut t = 0.0;
        let t_s: Vec<f64> = (0..2000)
            .map(|k| {
                t += if k % 5 == 4 { 800.0 } else { 600.0 };
                t - 600.0
            })
            .collect();
        let series = Series::new(&t_s, Some(0.0), vec![vec![0.0; 2000]]);
        assert_eq!((series.step_s, series.slots_in(86_400.0)), (600.0, Some(135)));
        let days = t_s[1500] / 86_400.0 + 3.0;
        assert!((series.phase(1500, 86_400.0) - days.fract()).abs() < 1e-9);
        let day_before = series.before(1500, 6, 135).unwrap();
        let due = t_s[1500] + 6.0 * 640.0;
        assert!((t_s[day_before] - (due - 86_400.0)).abs() <= 400.0, "{day_before}");
        let even = Series::new(&[0.0, 60.0, 120.0, 180.0], None, vec![vec![0.0; 4]]);
        assert_eq!((even.before(3, 1, 2), even.due(1, 1), even.time(5)), (Some(2), 120.0, 300.0));
    }
}
