//! A detector for several signals that learns from clean rows what they look like together.
//!
//! Each row is taken as its deviation from a mean that follows slowly while nothing is wrong, so that a room that warms is no
//! fault. The deviations, their means over a few rows and over many, and the spread of their steps are each held against a
//! normal distribution of the clean rows ([`super::gauss`]); what a distance is worth is calibrated on clean rows that the
//! distribution was not fitted to, block by block, so that what the stream does on its own between blocks is allowed for.
//! Of a signal that counts, the steps are looked at ([`super::counters`]).
//! An alarm names the signal that the others do not explain. Signals that stop are told beside it ([`super::standstill`]).

use super::{
    Contract, Detector, Step, counters::Counters, features::Moments, gauss::Gauss, standstill::Standstill,
    tail::Tail,
};

/// Fewest clean rows.
pub const FEWEST_ROWS: usize = 40;
/// Rows over which means are taken.
const TAUS_ROWS: [f64; 3] = [1.0, 4.0, 16.0];
/// Rows over which the spread of steps is taken.
const SPREAD_ROWS: f64 = 16.0;
/// Those means, and the spread.
const VIEWS: usize = TAUS_ROWS.len() + 1;
/// Blocks of clean rows, each held against the others.
const BLOCKS: usize = 4;
/// An alarm is over after so many rows that are far below its threshold.
const CALM_ROWS: u32 = 5;
/// … by this share of the threshold.
const CALM_SHARE: f64 = 0.6;
/// By how much stricter the threshold is than its estimate from the clean rows, which has an error of its own.
const MARGIN: f64 = 2.0;
/// Onsets that clean rows must be allowed for the threshold to be where they keep to it.
const COUNTABLE: f64 = 2.0;
/// No row that one in ten clean ones beats begins an alarm, [nat].
const LEAST_NATS: f64 = std::f64::consts::LN_10;
/// … or after so many whose last few together are as usual as every second, whatever the longer means still remember.
const USUAL_ROWS: u32 = 3;
/// Which of the means these are.
const QUICK: usize = 1;
/// While something is wrong, signals so many standard deviations from their base are taken for what is.
const HELD: f64 = 1.0;
/// A surprise below which a row is usual beyond doubt, [nat].
const USUAL_NATS: f64 = 1.0;

/// The detector; see the module.
#[derive(Clone, Debug)]
pub struct Trained {
    counters: Counters,
    front: Front,
    views: Vec<(Gauss, Tail)>,
    total: Tail,
    threshold_nats: f64,
    alarm: bool,
    calm: u32,
    usual: u32,
    still: Standstill,
    last: Step,
}

/// Why there is no detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} clean rows hold a reading of every signal, {FEWEST_ROWS} are needed")]
pub struct TooFewRows {
    /// Rows that could be used.
    pub found: usize,
}

impl Trained {
    /// Learns from clean rows. Rows in which a value is missing are left out.
    pub fn fit(rows: &[Vec<f64>], contract: Contract) -> Result<Self, TooFewRows> {
        let mut still = Standstill::new(rows.first().map_or(0, Vec::len));
        rows.iter().for_each(|row| {
            still.take(row);
        });
        let mut counters = Counters::of(rows);
        let rows: Vec<Vec<f64>> = rows.iter().map(|row| counters.take(row)).collect();
        counters.forget();
        let rows: Vec<&[f64]> =
            rows.iter().map(Vec::as_slice).filter(|r| r.iter().all(|v| v.is_finite())).collect();
        let too_few = TooFewRows { found: rows.len() };
        if rows.len() < FEWEST_ROWS || rows[0].is_empty() {
            return Err(too_few);
        }
        let mut front = Front::of(&rows);
        let settle = rows.len() / 5;
        let mut seen: Vec<Vec<Vec<f64>>> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            let views = front.take(row);
            if i >= settle {
                front.follow(row, f64::INFINITY);
                seen.push(views);
            }
        }
        let mut total = vec![0.0; seen.len()];
        let mut views = Vec::new();
        for view in 0..VIEWS {
            let of: Vec<&[f64]> = seen.iter().map(|v| v[view].as_slice()).collect();
            let tau = TAUS_ROWS.get(view).copied().unwrap_or(SPREAD_ROWS);
            let gauss = Gauss::of(&of, of.len() as f64 / tau).ok_or(too_few)?;
            let held = held_out(&of, tau).ok_or(too_few)?;
            let tail = Tail::of(held.clone());
            for (sum, distance) in total.iter_mut().zip(&held) {
                *sum += tail.plain_surprise(*distance);
            }
            views.push((gauss, tail));
        }
        front.calm_means = views[QUICK].0.mean().to_vec();
        if let Some((spread, _)) = views.last() {
            front.calm_steps = spread.mean().iter().map(|ln| (ln.exp() - STEPS_FLOOR).max(0.0)).collect();
        }
        let (total, sums) = (Tail::of(total.clone()), total);
        // Rows over the threshold come in clusters, and each tells one onset.
        let threshold_nats = (contract.rows * MARGIN / total.cluster_rows()).max(10.0).ln();
        let surprises: Vec<f64> = sums.iter().map(|s| total.surprise(*s)).collect();
        let allowed = surprises.len() as f64 / contract.rows / MARGIN;
        let threshold_nats = match counted(&surprises, allowed) {
            Some(level) => level.min(threshold_nats),
            None => threshold_nats,
        };
        Ok(Self {
            counters,
            front,
            views,
            total,
            threshold_nats,
            alarm: false,
            calm: 0,
            usual: 0,
            still,
            last: Step::default(),
        })
    }

    /// Places of the signals that count, and of which only the steps are looked at.
    pub fn counters(&self) -> Vec<usize> {
        self.counters.places()
    }

    /// The event is over, and what the longer means remember of it is no evidence of another.
    fn settled(&mut self, surprise: f64, row: &[f64]) -> Step {
        self.calm = 0;
        self.front.follow(row, f64::INFINITY);
        let score = surprise.min(self.threshold_nats) / std::f64::consts::LN_10;
        self.last = Step { score, ..Step::default() };
        self.last
    }

    fn blame(&self, of: &[Vec<f64>]) -> Option<usize> {
        let surprise = |k: &usize| self.views[*k].1.surprise(self.views[*k].0.distance(&of[*k]));
        let most = (0..VIEWS).max_by(|a, b| surprise(a).total_cmp(&surprise(b)))?;
        self.views[most].0.blame(&of[most])
    }

    /// Whether a row leaves what is normal.
    fn leaves(&mut self, row: &[f64]) -> Step {
        if row.iter().all(|v| !v.is_finite()) {
            return Step { onset: false, score: 0.0, ..self.last };
        }
        let seen = self.front.take(row);
        let surprises: [f64; VIEWS] =
            std::array::from_fn(|k| self.views[k].1.plain_surprise(self.views[k].0.distance(&seen[k])));
        let surprise = self.total.surprise(surprises.iter().sum());
        self.usual = if surprises[QUICK] < std::f64::consts::LN_2 { self.usual + 1 } else { 0 };
        if self.alarm && self.usual >= USUAL_ROWS {
            self.front.forget();
            self.alarm = false;
            return self.settled(surprise, row);
        }
        let onset = !self.alarm && surprise >= self.threshold_nats;
        self.calm = if surprise < self.threshold_nats * CALM_SHARE { self.calm + 1 } else { 0 };
        self.alarm = onset || self.alarm && self.calm < CALM_ROWS;
        // What drifts goes on drifting while something else is wrong; what may be wrong itself is held.
        let bound = if self.alarm && surprise >= USUAL_NATS { HELD } else { f64::INFINITY };
        self.front.follow(row, bound);
        let blame = self.blame(&seen);
        self.last = Step { score: surprise / std::f64::consts::LN_10, alarm: self.alarm, onset, blame };
        self.last
    }
}

/// The lowest threshold at which clean rows, as they came, tell no more onsets than are allowed: where that is a number that can
/// be counted, no tail has to be supposed. None where it is not.
fn counted(surprises: &[f64], allowed: f64) -> Option<f64> {
    if allowed < COUNTABLE {
        return None;
    }
    let mut levels: Vec<f64> = surprises.iter().copied().filter(|s| *s >= LEAST_NATS).collect();
    levels.sort_by(|a, b| b.total_cmp(a));
    // From the highest on down, in steps of a tenth more rows.
    let mut lowest = None;
    let mut rank = 0;
    while let Some(level) = levels.get(rank) {
        if onsets(surprises, *level) as f64 > allowed {
            break;
        }
        lowest = Some(*level);
        rank += 1 + rank / 10;
    }
    lowest
}

/// How many alarms rows of these surprises begin.
fn onsets(surprises: &[f64], threshold: f64) -> usize {
    let (mut n, mut alarm, mut calm) = (0, false, 0);
    for s in surprises {
        calm = if *s < threshold * CALM_SHARE { calm + 1 } else { 0 };
        let onset = !alarm && *s >= threshold;
        n += usize::from(onset);
        alarm = onset || alarm && calm < CALM_ROWS;
    }
    n
}

/// The distance of each row to a distribution of the blocks that it is not in.
fn held_out(rows: &[&[f64]], tau_rows: f64) -> Option<Vec<f64>> {
    let n = rows.len();
    let mut all = Vec::with_capacity(n);
    for block in 0..BLOCKS {
        let (from, to) = (block * n / BLOCKS, (block + 1) * n / BLOCKS);
        let others: Vec<&[f64]> = rows[..from].iter().chain(&rows[to..]).copied().collect();
        let gauss = Gauss::of(&others, others.len() as f64 / tau_rows)?;
        all.extend(rows[from..to].iter().map(|r| gauss.distance(r)));
    }
    Some(all)
}

impl Detector for Trained {
    fn take(&mut self, row: &[f64]) -> Step {
        let seen = self.counters.take(row);
        let step = self.leaves(&seen);
        let still = self.still.take(row);
        self.still.with(step, still)
    }

    fn pause(&mut self, rows: f64) {
        self.still.pause(rows);
    }

    fn threshold(&self) -> f64 {
        self.threshold_nats / std::f64::consts::LN_10
    }
}

/// From rows to what is held against the clean ones.
#[derive(Clone, Debug)]
struct Front {
    /// Standard deviation of each signal in the clean rows.
    std: Vec<f64>,
    /// The mean that follows, in those.
    base: Vec<f64>,
    follow_rows: f64,
    /// Of each signal, means over [`TAUS_ROWS`], and the mean square of its steps.
    means: Vec<[Moments; TAUS_ROWS.len()]>,
    steps: Vec<Moments>,
    /// What the mean over a few rows usually is: one that follows a drift lags behind it.
    calm_means: Vec<f64>,
    /// What that mean square usually is.
    calm_steps: Vec<f64>,
    last: Vec<f64>,
}

/// A deviation beyond so many standard deviations says nothing more.
const FAR: f64 = 1e6;
/// … and of one beyond so many, only so much goes into means over several rows.
const REMEMBERED: f64 = 4.0;
/// Mean squares of steps below this are none.
const STEPS_FLOOR: f64 = 1e-3;

impl Front {
    fn of(rows: &[&[f64]]) -> Self {
        let d = rows[0].len();
        let n = rows.len() as f64;
        let column = |k: usize| rows.iter().map(move |r| r[k]);
        let std: Vec<f64> = (0..d)
            .map(|k| {
                let mean = column(k).map(|v| v / n).sum::<f64>();
                let largest = column(k).map(|v| (v - mean).abs()).fold(0.0, f64::max);
                let square = |v: f64| ((v - mean) / largest.max(f64::MIN_POSITIVE)).powi(2);
                let std = largest * (column(k).map(square).sum::<f64>() / n).sqrt();
                // A signal that stood still has no spread of its own; a thousandth of its value is taken for one.
                std.max(mean.abs() * 1e-3).max(1e-9)
            })
            .collect();
        let first = rows.len() / 5;
        let base = (0..d).map(|k| rows[..first].iter().map(|r| r[k] / std[k]).sum::<f64>() / first as f64);
        Self {
            base: base.collect(),
            follow_rows: (n / 2.0).clamp(20.0, 2000.0),
            means: vec![TAUS_ROWS.map(Moments::over); d],
            steps: vec![Moments::over(SPREAD_ROWS); d],
            calm_steps: vec![f64::INFINITY; d],
            calm_means: vec![0.0; d],
            last: vec![f64::NAN; d],
            std,
        }
    }

    fn take(&mut self, row: &[f64]) -> Vec<Vec<f64>> {
        let mut views = vec![vec![0.0; row.len()]; VIEWS];
        for (k, v) in row.iter().enumerate() {
            let z = v / self.std[k] - self.base[k];
            if z.is_finite() {
                let z = z.clamp(-FAR, FAR);
                // What is remembered is bounded, so that it is soon forgotten when the fault is over.
                let bounded = z.clamp(-REMEMBERED, REMEMBERED);
                self.means[k][0].take(z);
                self.means[k][1..].iter_mut().for_each(|m| m.take(bounded));
                if self.last[k].is_finite() {
                    let step = (z - self.last[k]).clamp(-REMEMBERED, REMEMBERED);
                    self.steps[k].take(step * step);
                }
                self.last[k] = z;
            }
            for (view, m) in views.iter_mut().zip(&self.means[k]) {
                view[k] = m.mean;
            }
            views[VIEWS - 1][k] = (self.steps[k].mean + STEPS_FLOOR).ln();
        }
        views
    }

    /// Means over many rows become what those over a few are, and the spread of steps what it was in the clean rows.
    fn forget(&mut self) {
        for ((means, steps), calm) in self.means.iter_mut().zip(&mut self.steps).zip(&self.calm_steps) {
            let quick = means[QUICK].mean;
            means[QUICK + 1..].iter_mut().for_each(|m| m.mean = quick);
            steps.mean = steps.mean.min(*calm);
        }
    }

    /// The base moves a little towards a row, in those signals that have been within so many standard deviations of it.
    fn follow(&mut self, row: &[f64], bound: f64) {
        for (k, (base, v)) in self.base.iter_mut().zip(row).enumerate() {
            let away = v / self.std[k] - *base;
            if away.is_finite() && (self.means[k][QUICK].mean - self.calm_means[k]).abs() < bound {
                *base += away.clamp(-2.0, 2.0) / self.follow_rows;
            }
        }
    }
}
