//! One stream through one detector.

use super::files::Stream;
use twinfleet_engine::{
    detect::{
        Contract, Detector, Step,
        novelty::{LEARN_ROWS, Novelty},
        pca::Pca,
        ranked::Ranked,
        standstill::Pace,
        trained::{TooFewRows, Trained},
    },
    scenario::diagnostic::{Diagnostic, Report},
};

/// Signals that an alarm names, at most.
const NAMED: usize = 3;
/// Rows from its onset that name them.
const NAMING_ROWS: usize = 20;

/// What is known beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Learnt<'a> {
    /// False alarms allowed, where that was said.
    pub contract: Option<Contract>,
    /// The file's first rows are clean.
    pub rows: Option<usize>,
    /// Clean rows of a file of their own.
    pub clean: Option<&'a [Vec<f64>]>,
    /// One of [`NAMES`].
    pub detector: &'a str,
}

/// Detectors by name.
pub const NAMES: [&str; 11] = [
    "auto",
    "novelty",
    "normal",
    "gaussian",
    "cusum",
    "page-hinkley",
    "glr",
    "bocpd",
    "pca",
    "dynamic-pca",
    "sub-pca",
];

/// What a detector of normal behaviour is called in figures.
pub const NORMAL: &str = "normal behaviour";

/// Rows before each that dynamic and sub-PCA look at.
const DYNAMIC_LAGS: usize = 2;
const WINDOW_LAGS: usize = 31;

/// What a detector said of a stream.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Of each row.
    pub steps: Vec<Step>,
    /// From this row on alarms can be told.
    pub from: usize,
    /// The threshold of the score at each row.
    pub thresholds: Vec<f64>,
    /// False alarms allowed.
    pub contract: Contract,
    /// Which detector it was.
    pub detector: &'static str,
    /// Whether it learns from the stream as it goes.
    pub learns: bool,
    /// Signals that count, of which only the steps were looked at.
    pub counters: Vec<usize>,
}

/// A stretch of rows with an alarm.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// First row.
    pub from: usize,
    /// First row after it.
    pub to: usize,
    /// Highest score.
    pub score: f64,
    /// Signals that speak for it, those named most often in its first rows first.
    pub blamed: Vec<usize>,
}

/// Feeds a stream to the detector named, or to the one that fits: of several signals with clean rows, what leaves their normal
/// behaviour; else what is new.
pub fn watch(stream: &Stream, learnt: &Learnt<'_>) -> Result<Watched, Report> {
    let signals = stream.table.columns.len();
    let own = learnt.rows.map(|n| n.min(stream.rows()));
    let own_rows: Vec<Vec<f64>> = (0..own.unwrap_or(0)).map(|i| stream.row(i)).collect();
    let clean = learnt.clean.or(own.map(|_| own_rows.as_slice()));
    // Rows of another file say nothing of which of this one's are clean.
    let from = if learnt.clean.is_some() { 0 } else { own.unwrap_or(0) };
    // Fewer clean rows cannot show what comes more rarely.
    let of_clean = |clean: &[Vec<f64>]| {
        let rows = (clean.len() as f64).clamp(1.0, Contract::default().rows);
        learnt.contract.unwrap_or(Contract { rows })
    };
    let name = match learnt.detector {
        "auto" if signals > 1 && clean.is_some() => "normal",
        "auto" => "novelty",
        name => name,
    };
    let too_few = |e: TooFewRows| -> Report {
        let what = format!("`{}`: {e}", stream.name);
        Diagnostic::error(what).help("name more rows (--train-rows N), or fewer signals (--signals)").into()
    };
    let needed = || -> Report {
        Diagnostic::error(format!("`--detector {name}` learns from clean rows"))
            .help("say which: --train-rows N for the first ones of each file, or --train FILE")
            .into()
    };
    let lags = match name {
        "normal" => {
            let clean = clean.ok_or_else(needed)?;
            let contract = of_clean(clean);
            let detector = Trained::fit(clean, contract).map_err(too_few)?;
            let counters = detector.counters();
            return Ok(Watched { counters, ..run(stream, detector, from, contract, NORMAL) });
        }
        "pca" => Some(0),
        "dynamic-pca" => Some(DYNAMIC_LAGS),
        "sub-pca" => Some(WINDOW_LAGS),
        _ => None,
    };
    if let Some(lags) = lags {
        let clean = clean.ok_or_else(needed)?;
        let contract = of_clean(clean);
        let detector = Pca::fit(clean, lags, contract).map_err(too_few)?;
        return Ok(run(stream, detector, from, contract, "principal components"));
    }
    let contract = learnt.contract.unwrap_or_default();
    let before = learnt.clean.unwrap_or_default();
    if let Some(detector) = Ranked::new(name, signals, contract) {
        return Ok(run_all(stream, detector, before, from, contract, "statistic of change"));
    }
    let learn = own.unwrap_or(LEARN_ROWS).min(LEARN_ROWS);
    let detector = Novelty::learning(signals, contract, learn);
    Ok(run_all(stream, detector, before, from, contract, "novelty"))
}

/// The first rows were learnt from already.
fn run(
    stream: &Stream,
    mut d: impl Detector,
    from: usize,
    contract: Contract,
    name: &'static str,
) -> Watched {
    let mut pace = Pace::default();
    let mut steps = Vec::with_capacity(stream.rows());
    for i in 0..stream.rows() {
        d.pause(pace.take(stream.table.t_s[i]));
        steps.push(if i < from { Step::default() } else { d.take(&stream.row(i)) });
    }
    let thresholds = vec![d.threshold(); steps.len()];
    Watched { steps, from, thresholds, contract, detector: name, learns: false, counters: Vec::new() }
}

/// The first rows are learnt from on the way.
fn run_all(
    stream: &Stream,
    mut d: impl Detector,
    before: &[Vec<f64>],
    from: usize,
    contract: Contract,
    name: &'static str,
) -> Watched {
    before.iter().for_each(|row| {
        d.take(row);
    });
    let (mut steps, mut thresholds, mut pace) = (Vec::new(), Vec::new(), Pace::default());
    for i in 0..stream.rows() {
        d.pause(pace.take(stream.table.t_s[i]));
        thresholds.push(d.threshold());
        let step = d.take(&stream.row(i));
        let quiet = i < from;
        steps.push(if quiet { Step { alarm: false, onset: false, ..step } } else { step });
    }
    Watched { steps, from, thresholds, contract, detector: name, learns: true, counters: Vec::new() }
}

impl Watched {
    /// Its alarms in order.
    pub fn alarms(&self) -> Vec<Alarm> {
        let mut all: Vec<Alarm> = Vec::new();
        let mut open: Option<usize> = None;
        for i in 0..=self.steps.len() {
            let on = self.steps.get(i).is_some_and(|s| s.alarm);
            let again = self.steps.get(i).is_some_and(|s| s.onset);
            if let Some(from) = open.filter(|_| !on || again) {
                all.push(self.alarm(from, i));
                open = None;
            }
            if on && open.is_none() {
                open = Some(i);
            }
        }
        all
    }

    fn alarm(&self, from: usize, to: usize) -> Alarm {
        let steps = &self.steps[from..to];
        let score = steps.iter().map(|s| s.score).fold(0.0, f64::max);
        let mut counts: Vec<(usize, usize)> = Vec::new();
        // Later on, what follows from a fault speaks louder than what began it.
        for k in steps.iter().take(NAMING_ROWS).filter_map(|s| s.blame) {
            match counts.iter_mut().find(|c| c.0 == k) {
                Some(c) => c.1 += 1,
                None => counts.push((k, 1)),
            }
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        let blamed = counts.iter().map(|c| c.0).take(NAMED).collect();
        Alarm { from, to, score, blamed }
    }

    /// Rows with an onset.
    pub fn onsets(&self) -> Vec<usize> {
        self.steps.iter().enumerate().filter(|(_, s)| s.onset).map(|(i, _)| i).collect()
    }
}
