//! How many false alarms are allowed, and the threshold that keeps to it.

/// At most one false onset in so many rows, on average, while the stream stays what it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contract {
    /// Rows to a false onset.
    pub rows: f64,
}

/// Seconds of a month of 30 days.
pub const MONTH_S: f64 = 30.0 * 86_400.0;

impl Default for Contract {
    fn default() -> Self {
        Self { rows: 1000.0 }
    }
}

impl Contract {
    /// So many false alarms in a month of a device that reports at this period.
    pub fn per_month(alarms: f64, period_s: f64) -> Self {
        Self { rows: (MONTH_S / period_s.max(1e-9) / alarms.max(1e-9)).max(1.0) }
    }

    /// False alarms that it allows in a month of a device that reports at this period.
    pub fn alarms_per_month(&self, period_s: f64) -> f64 {
        MONTH_S / period_s.max(1e-9) / self.rows
    }
}

/// An event is at least so many rows apart from the next: what comes sooner belongs to it.
pub const EVENT_ROWS: usize = 120;
/// Stretches after which an event can begin at all: of the first ones, each second beats all before it.
const FEWEST_PEAKS: usize = 2;
/// Peaks remembered: the highest.
const MOST_PEAKS: usize = 4096;

/// Scale of a Gumbel distribution, that of highest values, in its standard deviations: √6/π.
const GUMBEL: f64 = 0.78;
/// By how much further than such a distribution says a level lies that no peak has reached: its scale is known from a few
/// peaks, and scores rise while there is more and more to compare with.
const BEYOND: f64 = 2.0;

/// Keeps a contract without clean data: it remembers the peak of each stretch of rows, and a score begins an event if it is
/// among the highest as many peaks as the contract allows in the time so far. While the scores' process stays what it was,
/// a new stretch's peak is among the highest `m` of `n` with probability `m/n`, which is the contract. Scores of a stream that is
/// still being learnt rise, so that more would be told: what was told beyond the contract makes it stricter, until the time
/// that it allows has caught up. Where it allows less than one so far, the past cannot show so rare a peak: the level is
/// extrapolated beyond the highest, as that of a Gumbel distribution with the peaks' spread.
#[derive(Clone, Debug)]
pub struct Peaks {
    contract: Contract,
    sorted: Vec<f64>,
    current: Option<(f64, usize)>,
    rows: usize,
    told: u32,
    last_onset: Option<usize>,
}

impl Peaks {
    /// No peaks yet.
    pub fn new(contract: Contract) -> Self {
        Self { contract, sorted: Vec::new(), current: None, rows: 0, told: 0, last_onset: None }
    }

    /// The score that has to be exceeded; infinite in the first stretches.
    pub fn threshold(&self) -> f64 {
        if self.sorted.len() < FEWEST_PEAKS {
            return f64::INFINITY;
        }
        let n = self.sorted.len();
        let allowed = self.rows as f64 / self.contract.rows;
        let over = f64::from(self.told) - allowed;
        let left = if over > 0.0 { allowed.min(1.0) / (1.0 + over).powi(2) } else { allowed };
        if left >= 1.0 {
            return self.sorted[n.saturating_sub(left as usize)];
        }
        let mean = self.sorted.iter().sum::<f64>() / n as f64;
        let var = self.sorted.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        self.sorted[n - 1] + BEYOND * GUMBEL * var.sqrt() * (1.0 / left.max(1e-9)).ln()
    }

    /// Without its peaks, but with the time of its last event.
    pub fn afresh(&self, contract: Contract) -> Self {
        // Its rows are counted from the beginning again, and the last event lies where it lay.
        Self { last_onset: self.last_onset, told: self.told, ..Self::new(contract) }
    }

    /// Whether an event begins with this score.
    pub fn take(&mut self, score: f64) -> bool {
        let now = self.rows;
        let apart = self.last_onset.is_none_or(|last| now.saturating_sub(last) > EVENT_ROWS);
        let onset = apart && score > self.threshold();
        if onset {
            self.last_onset = Some(now);
            self.told = self.told.saturating_add(1);
        }
        self.remember(score);
        onset
    }

    /// Takes a score in that begins no event.
    pub fn remember(&mut self, score: f64) {
        let now = self.rows;
        match &mut self.current {
            Some((peak, since)) if now - *since <= EVENT_ROWS => *peak = peak.max(score),
            current => {
                if let Some((peak, _)) = current.replace((score, now)) {
                    let at = self.sorted.partition_point(|p| *p < peak);
                    self.sorted.insert(at, peak);
                    if self.sorted.len() > MOST_PEAKS {
                        self.sorted.remove(0);
                    }
                }
            }
        }
        self.rows += 1;
    }
}
