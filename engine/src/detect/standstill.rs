//! A signal that stops: it repeats one value, or is missing, for far longer than it ever did, or nothing comes for far longer
//! than it ever took.
//!
//! What is far longer is told by the stream itself: more than [`TIMES`] its longest run so far, and at least [`FEWEST_ROWS`]
//! rows. What was told is the longest run from then on, so that of `n` rows no more than log₃(n/20) onsets can be told of each
//! kind, whatever the stream; while runs stay as they were, one that is three times as long as all before it is rarer than any
//! contract allows for.

use super::{Step, contract::EVENT_ROWS};

/// By how much a run must be longer than the longest before it.
pub const TIMES: f64 = 3.0;
/// Shortest run that is told.
pub const FEWEST_ROWS: f64 = 20.0;
/// Rows, and runs of identical values among them, before anything is told.
const SEEN_ROWS: usize = 300;
const SEEN_RUNS: usize = 30;

/// Watches the signals of a stream.
#[derive(Clone, Debug)]
pub struct Standstill {
    signals: Vec<Signal>,
    gaps: Runs,
    rows: usize,
    told: bool,
    /// Rows since the last onset of any kind.
    since: usize,
}

#[derive(Clone, Debug)]
struct Signal {
    value: f64,
    repeats: Runs,
    missing: Runs,
}

/// Runs of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Runs {
    length: f64,
    longest: f64,
    ended: usize,
}

impl Runs {
    fn end(&mut self) {
        if self.length > 0.0 {
            self.longest = self.longest.max(self.length);
            self.ended += 1;
        }
        self.length = 0.0;
    }

    fn far_longer(&self) -> bool {
        self.length >= FEWEST_ROWS && self.length > TIMES * self.longest
    }

    /// How rare the run is among so many, in powers of ten: none of them was as long, and by what factor.
    fn score(&self, among: usize) -> f64 {
        (among.max(1) as f64 * self.length / self.longest.max(1.0)).log10()
    }
}

impl Standstill {
    /// Of so many signals.
    pub fn new(signals: usize) -> Self {
        let signal = Signal { value: f64::NAN, repeats: Runs::default(), missing: Runs::default() };
        Self {
            signals: vec![signal; signals],
            gaps: Runs::default(),
            rows: 0,
            told: false,
            since: EVENT_ROWS,
        }
    }

    /// For so many rows' time nothing came before the next row.
    pub fn pause(&mut self, rows: f64) {
        self.gaps.end();
        self.gaps.length = rows.max(0.0);
    }

    /// Takes a row in: how unusual it is that a signal stands still, and which; None where none does.
    pub fn take(&mut self, row: &[f64]) -> Option<(f64, Option<usize>)> {
        self.rows += 1;
        let (seen, rows) = (self.rows > SEEN_ROWS, self.rows);
        let mut most = (seen && self.gaps.far_longer()).then(|| (self.gaps.score(rows), None));
        for (k, (signal, v)) in self.signals.iter_mut().zip(row).enumerate() {
            let run = signal.take(*v);
            // A signal that hardly ever moved, or never came, has not shown how long it stands still.
            let known = signal.repeats.ended >= SEEN_RUNS || !v.is_finite() && signal.value.is_finite();
            if seen && known && run.far_longer() {
                let score = run.score(if v.is_finite() { signal.repeats.ended } else { rows });
                if most.is_none_or(|m| score > m.0) {
                    most = Some((score, Some(k)));
                }
            }
        }
        most
    }

    /// What a detector said of the row, with what [`Self::take`] found.
    pub fn with(&mut self, step: Step, found: Option<(f64, Option<usize>)>) -> Step {
        let was = std::mem::replace(&mut self.told, found.is_some());
        self.since += 1;
        let mut step = step;
        if let Some((score, signal)) = found {
            // What the detector has just told of is the same event.
            let begins = !was && (!step.alarm || self.since > EVENT_ROWS);
            let onset = begins || !was && step.onset;
            step = Step { score: step.score.max(score), alarm: true, onset, blame: signal.or(step.blame) };
        }
        if step.onset {
            self.since = 0;
        }
        step
    }
}

impl Signal {
    /// The run that the value goes on with.
    fn take(&mut self, value: f64) -> Runs {
        if !value.is_finite() {
            self.missing.length += 1.0;
            return self.missing;
        }
        self.missing.end();
        if value != self.value {
            self.repeats.end();
            self.value = value;
        }
        self.repeats.length += 1.0;
        self.repeats
    }
}

/// Finds gaps in the times of rows, by their usual distance of late.
///
/// ```
/// use twinfleet_engine::detect::standstill::Pace;
/// let mut pace = Pace::default();
/// let missed: Vec<f64> = (0..50).map(|k| pace.take(f64::from(k) * 2.0)).collect();
/// assert!(missed.iter().all(|m| *m == 0.0));
/// assert_eq!(pace.take(98.0 + 60.0), 29.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pace {
    last_s: Option<f64>,
    steps_s: Vec<f64>,
    next: usize,
}

/// Steps that the usual one is the median of, and the fewest.
const STEPS: usize = 65;
const FEWEST_STEPS: usize = 17;

impl Pace {
    /// Takes a row's time, [s]: how many rows are missing before it.
    pub fn take(&mut self, t_s: f64) -> f64 {
        let Some(step_s) = self.last_s.replace(t_s).map(|last_s| t_s - last_s) else { return 0.0 };
        if !step_s.is_finite() || step_s <= 0.0 {
            return 0.0;
        }
        let mut missed = 0.0;
        if self.steps_s.len() >= FEWEST_STEPS {
            let mut sorted = self.steps_s.clone();
            let (_, median_s, _) = sorted.select_nth_unstable_by(self.steps_s.len() / 2, f64::total_cmp);
            missed = (step_s / *median_s - 1.0).max(0.0);
        }
        if self.steps_s.len() < STEPS {
            self.steps_s.push(step_s);
        } else {
            self.steps_s[self.next % STEPS] = step_s;
            self.next += 1;
        }
        missed
    }
}
