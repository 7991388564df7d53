//! A detector made of a statistic of each signal: the largest of them, told by the contract alone.

use super::{
    Contract, Detector, Step,
    rank::Ranks,
    statistics::{Bocpd, Cusum, Gaussian, Glr, PageHinkley, Statistic},
    teller::Teller,
};

/// Statistics by name.
pub const NAMES: [(&str, &str); 5] = [
    ("gaussian", "distance from the mean of all rows so far, in their standard deviations"),
    ("cusum", "cumulative sums of a forecaster's residuals"),
    ("page-hinkley", "sum of deviations from the running mean, from its extremes"),
    ("glr", "likelihood ratio of a change of the mean at the best of the last 50 rows"),
    ("bocpd", "Bayesian online change points: the probability that a run has just begun"),
];

fn statistic(name: &str) -> Option<Box<dyn Statistic>> {
    Some(match name {
        "gaussian" => Box::new(Gaussian::default()),
        "cusum" => Box::new(Cusum::default()),
        "page-hinkley" => Box::new(PageHinkley::default()),
        "glr" => Box::new(Glr::default()),
        "bocpd" => Box::new(Bocpd::default()),
        _ => return None,
    })
}

/// See the module.
pub struct Ranked {
    signals: Vec<(Box<dyn Statistic>, Ranks)>,
    teller: Teller,
    rows: usize,
    last: Step,
}

/// Rows after which a rank says something.
const TOLD_ROWS: usize = 250;

impl Ranked {
    /// The statistic of this name for each of so many signals; None if there is none of this name.
    pub fn new(name: &str, signals: usize, contract: Contract) -> Option<Self> {
        let signals = (0..signals).map(|_| Some((statistic(name)?, Ranks::default())));
        let signals = signals.collect::<Option<Vec<_>>>()?;
        Some(Self { signals, teller: Teller::new(contract), rows: 0, last: Step::default() })
    }
}

impl Detector for Ranked {
    fn take(&mut self, row: &[f64]) -> Step {
        if row.iter().all(|v| !v.is_finite()) {
            return Step { onset: false, score: 0.0, ..self.last };
        }
        self.rows += 1;
        let mut most = (0.0, None, 0.0);
        for (k, ((statistic, ranks), v)) in self.signals.iter_mut().zip(row).enumerate() {
            let figure = statistic.take(*v);
            let surprise = -ranks.p(figure).ln();
            ranks.push(figure);
            // Of one signal the figure itself orders the rows; of several, how rare it is among its own.
            let order = if row.len() == 1 { figure } else { surprise };
            if surprise > most.0 {
                most = (surprise, Some(k), order);
            }
        }
        if self.rows <= TOLD_ROWS {
            return Step::default();
        }
        let (alarm, onset) = self.teller.take(most.2);
        self.last = Step { score: most.0 / std::f64::consts::LN_10, alarm, onset, blame: most.1 };
        self.last
    }

    fn threshold(&self) -> f64 {
        f64::INFINITY
    }
}
