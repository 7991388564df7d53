//! A detector that needs no clean data: it compares each row with all before it in several ways, each ranked among its own
//! past, and takes what is rare in most of them for news.
//!
//! What it looks at, for each signal: how far the value is out; the nearest neighbours of its last two and last eight
//! values, of its means over 1 to 100 rows, and of these with their spreads; the mean of the last rows against that of many;
//! and the sum of the last residuals of a forecaster. What was news once is usual when it comes again. Signals that stop are
//! told beside it ([`super::standstill`]).

use super::{
    Contract, Detector, Step,
    autoregression::Autoregression,
    features::{Lately, Moments},
    neighbours::Neighbours,
    rank::Ranks,
    scale::Scale,
    standstill::Standstill,
    teller::Teller,
};

/// Rows from which the scale of a signal is first taken, and after which ranks are told. It is taken again from twice as many
/// rows, and so on.
pub const LEARN_ROWS: usize = 200;
/// … for the last time from at least so many.
const SETTLED_ROWS: usize = 3000;
/// Rows after which surprises are worth ranking: in the first ones everything is new.
const TOLD_ROWS: usize = 100;
/// Ways in which a row is compared with the past.
const VIEWS: usize = 7;

/// The detector; see the module.
#[derive(Clone, Debug)]
pub struct Novelty {
    /// How many rows the next scales are taken from.
    learn_rows: usize,
    signals: Vec<Signal>,
    /// All readings of each signal, until the scales are settled.
    first: Vec<Vec<f64>>,
    teller: Teller,
    still: Standstill,
    last: Step,
}

impl Novelty {
    /// Of so many signals.
    pub fn new(signals: usize, contract: Contract) -> Self {
        Self::learning(signals, contract, LEARN_ROWS)
    }

    /// The same, with the number of rows from which the scales are taken.
    pub fn learning(signals: usize, contract: Contract, learn_rows: usize) -> Self {
        Self {
            learn_rows: learn_rows.max(20),
            signals: Vec::new(),
            first: vec![Vec::new(); signals],
            teller: Teller::new(contract),
            still: Standstill::new(signals),
            last: Step::default(),
        }
    }

    /// The rows so far give the scales; they are gone through as if the scales had been known from the beginning.
    fn rescale(&mut self) {
        let rows = self.learn_rows;
        self.signals = self.first.iter().map(|v| Signal::new(Scale::of(v))).collect();
        self.teller.forget_scores();
        let first = std::mem::take(&mut self.first);
        for i in 0..rows {
            let sum: f64 = self.signals.iter_mut().zip(&first).map(|(s, values)| s.take(values[i])).sum();
            if i >= TOLD_ROWS {
                self.teller.remember(sum);
            }
        }
        self.learn_rows *= 2;
        if rows < SETTLED_ROWS {
            self.first = first;
        }
    }

    fn judge(&mut self, row: &[f64]) -> Step {
        let mut sum = 0.0;
        let mut most = (0.0, None);
        for (k, (signal, v)) in self.signals.iter_mut().zip(row).enumerate() {
            let surprise = signal.take(*v);
            sum += surprise;
            if surprise > most.0 {
                most = (surprise, Some(k));
            }
        }
        let (alarm, onset) = self.teller.take(sum);
        Step { score: to_score(sum, self.signals.len()), alarm, onset, blame: most.1 }
    }

    /// What is new in a row.
    fn news(&mut self, row: &[f64]) -> Step {
        if row.iter().all(|v| !v.is_finite()) {
            // Nothing came, nothing is learnt, and what was wrong is not known to be over.
            return Step { onset: false, score: 0.0, ..self.last };
        }
        let step = if self.signals.is_empty() { Step::default() } else { self.judge(row) };
        if let Some(kept) = self.first.first().map(Vec::len) {
            for (all, v) in self.first.iter_mut().zip(row) {
                all.push(*v);
            }
            if kept + 1 == self.learn_rows {
                self.rescale();
            }
        }
        self.last = step;
        step
    }
}

impl Detector for Novelty {
    fn take(&mut self, row: &[f64]) -> Step {
        let step = self.news(row);
        let still = self.still.take(row);
        self.still.with(step, still)
    }

    fn pause(&mut self, rows: f64) {
        self.still.pause(rows);
    }

    fn threshold(&self) -> f64 {
        to_score(self.teller.threshold(), self.signals.len())
    }
}

/// The mean over the views, each in powers of ten. Views agree on what is rare, so that the mean is no probability.
fn to_score(sum_nats: f64, signals: usize) -> f64 {
    sum_nats / (VIEWS * signals.max(1)) as f64 / std::f64::consts::LN_10
}

/// One signal and all that is compared of it.
#[derive(Clone, Debug)]
struct Signal {
    scale: Scale,
    means: [Moments; 4],
    short: Moments,
    long: Moments,
    lately: Lately<8>,
    forecaster: Autoregression,
    residuals: Lately<5>,
    memories: [Neighbours; 4],
    ranks: [Ranks; VIEWS],
    rows: usize,
    last: f64,
}

impl Signal {
    fn new(scale: Scale) -> Self {
        Self {
            scale,
            means: [3.0, 10.0, 30.0, 100.0].map(Moments::over),
            short: Moments::over(12.0),
            long: Moments::over(150.0),
            lately: Lately::default(),
            forecaster: Autoregression::default(),
            residuals: Lately::default(),
            memories: [
                Neighbours::new(9, 10),
                Neighbours::new(5, 10),
                Neighbours::new(8, 8),
                Neighbours::new(2, 4),
            ],
            ranks: std::array::from_fn(|_| Ranks::default()),
            rows: 0,
            last: 0.0,
        }
    }

    /// How rare the value is, all views together, [nat].
    fn take(&mut self, value: f64) -> f64 {
        if !value.is_finite() {
            return 0.0;
        }
        let views = self.views(self.scale.compressed(value));
        let mut surprise = 0.0;
        for (ranks, view) in self.ranks.iter_mut().zip(views) {
            surprise -= ranks.p(view).ln();
            ranks.push(view);
        }
        self.last = surprise;
        surprise
    }

    fn views(&mut self, z: f64) -> [f64; VIEWS] {
        self.rows += 1;
        if self.rows == 1 {
            self.lately.0.fill(z);
        } else {
            self.lately.take(z);
        }
        let shift = (self.short.mean - self.long.mean).abs() / (self.long.var + 1e-3).sqrt();
        self.short.take(z);
        self.long.take(z);
        self.residuals.take(self.forecaster.take(z));
        self.means.iter_mut().for_each(|m| m.take(z));
        let [a, b, c, d] = &self.means;
        let f = |v: f64| v as f32;
        let (of_means, spreads) = ([a, b, c, d].map(|m| f(m.mean)), [a, b, c, d].map(|m| f(m.var.sqrt())));
        let means = [f(z), of_means[0], of_means[1], of_means[2], of_means[3]];
        let mut both = [0f32; 9];
        both[..5].copy_from_slice(&means);
        both[5..].copy_from_slice(&spreads);
        // A window's distance is that of its mean square.
        let eight = self.lately.0.map(|v| f(v / 8f64.sqrt()));
        let two = [f(self.lately.0[0]), f(self.lately.0[1])];
        let [of_both, of_means, of_eight, of_two] = &mut self.memories;
        [
            z.abs(),
            shift,
            self.residuals.0.iter().sum::<f64>().abs(),
            of_both.take(&both),
            of_means.take(&means),
            of_eight.take(&eight),
            of_two.take(&two),
        ]
    }
}
