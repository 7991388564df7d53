//! Rows of a table on a regular grid of steps.
//!
//! ```
//! use twinfleet_twins::predictors::series::Series;
//! // A row is missing after the second: the grid has a slot for it, without a reading.
//! let series = Series::new(&[0.0, 60.0, 180.0], None, vec![vec![1.0, 2.0, 4.0]]);
//! assert_eq!((series.step_s, series.slots(), series.row_slots()), (60.0, 4, &[0, 1, 3][..]));
//! assert!(series.channel(0)[2].is_nan() && series.held(0)[2] == 2.0);
//! ```

/// Channels on a grid whose step is the median of the rows' spacing. A row lies as many slots after the one before as its
/// spacing has steps, at least one, so that neither jitter nor a rate that is not quite nominal shifts anything.
#[derive(Clone, Debug)]
pub struct Series {
    /// Spacing of the grid, [s].
    pub step_s: f64,
    /// Unix time of the first slot, [s], where the table says.
    pub t0_unix_s: Option<f64>,
    channels: Vec<Vec<f64>>,
    held: Vec<Vec<f64>>,
    row_slots: Vec<usize>,
}

/// A gap of more slots than this is cut short: a device that was off for a year needs no memory for it.
const LONGEST_GAP: usize = 100_000;

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
        Self { step_s, t0_unix_s, channels, held, row_slots }
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
        let slots = span_s / self.step_s;
        let whole = slots.round();
        (whole >= 2.0 && (slots - whole).abs() < 0.02 * whole.min(25.0)).then_some(whole as usize)
    }

    /// How far into a period of so many seconds a slot lies, 0–1; by calendar time where the table has it.
    pub fn phase(&self, slot: usize, period_s: f64) -> f64 {
        // Unix time began on a Thursday; weeks begin on Monday.
        let t = self.t0_unix_s.map_or(0.0, |t0| t0 + 3.0 * 86_400.0) + slot as f64 * self.step_s;
        (t / period_s).rem_euclid(1.0)
    }
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
