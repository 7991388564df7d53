//! Forecasts in flight: what was said, what came, and how well the intervals of [`crate::predict::interval`] held.
//!
//! ```
//! use twinfleet_engine::{mirror::outlook::Outlook, predict::Gaussian, time::{SimTime, Span}};
//! let mut outlook = Outlook::new(&[Span::from_secs(60)], 1, 0.9);
//! let band = outlook.issue(SimTime::ZERO, 0, 0, Gaussian { mean: 50.0, var: 4.0 }, 49.0);
//! assert!(band.lower < 50.0 && band.upper > 50.0);
//! outlook.arrived(SimTime(60_000_000_000), 0, 51.0, Span::from_secs(90));
//! assert_eq!(outlook.score(0, 0).n(), 1);
//! ```

use crate::{
    predict::{
        Gaussian,
        interval::{Band, Calibrator},
        residual::Residual,
        score::Score,
    },
    time::{SimTime, Span},
};
use std::collections::VecDeque;

/// Forecasts in flight that are scored, per output and horizon; the oldest is forgotten first.
const IN_FLIGHT_MAX: usize = 4096;

#[derive(Clone, Debug)]
struct Lane {
    /// What the filter's forecasts mostly miss by, where that is learnt.
    residual: Option<Residual>,
    calibrator: Calibrator,
    /// When a forecast is due, and the last reading when it was issued.
    persistence: VecDeque<(SimTime, f64)>,
    score: Score,
}

/// The forecasts of one twin.
#[derive(Clone, Debug)]
pub struct Outlook {
    horizons: usize,
    lanes: Vec<Lane>,
    /// When each output was last read.
    read: Vec<Option<SimTime>>,
    /// Readings of each output that are in doubt: nothing is judged by them until the doubt is over.
    doubtful: Vec<VecDeque<(SimTime, f64)>>,
}

impl Lane {
    /// A reading came: the forecasts that have come due are scored.
    fn arrived(&mut self, t: SimTime, value: f64) {
        let Self { residual, calibrator, persistence, score } = self;
        calibrator.settle(t, value, |band, came| {
            if let Some(residual) = residual {
                residual.settle(band.due, came);
            }
            while persistence.front().is_some_and(|(due, _)| *due < band.due) {
                persistence.pop_front();
            }
            if let Some((_, last)) = persistence.pop_front() {
                score.add(band.mean, (band.lower, band.upper), last, came);
            }
        });
    }
}

impl Outlook {
    /// Forecasts of `outputs` signals over these horizons, whose intervals hold with probability `interval` (0–1).
    pub fn new(horizons: &[Span], outputs: usize, interval: f64) -> Self {
        let lane = |h: &Span| Lane {
            residual: None,
            calibrator: Calibrator::new(*h, interval),
            persistence: VecDeque::new(),
            score: Score::default(),
        };
        let lanes = (0..outputs).flat_map(|_| horizons.iter().map(lane)).collect();
        Self {
            horizons: horizons.len(),
            lanes,
            read: vec![None; outputs],
            doubtful: vec![VecDeque::new(); outputs],
        }
    }

    /// The same, and what the forecasts mostly miss by is learnt and added.
    #[must_use]
    pub fn learning(mut self, horizons: &[Span]) -> Self {
        for (lane, horizon) in self.lanes.iter_mut().zip(horizons.iter().cycle()) {
            lane.residual = Some(Residual::new(*horizon));
        }
        self
    }

    /// Puts a forecast on record and gives its interval. `last` is the last reading, for persistence; without one (NaN) the
    /// forecast is not scored.
    pub fn issue(&mut self, origin: SimTime, output: usize, horizon: usize, g: Gaussian, last: f64) -> Band {
        let lane = &mut self.lanes[output * self.horizons + horizon];
        if last.is_nan() || !g.mean.is_finite() || !g.var.is_finite() {
            return lane.calibrator.clone().issue(origin, g);
        }
        let g = lane.residual.as_mut().map_or(g, |r| r.correct(origin, g, last));
        let band = lane.calibrator.issue(origin, g);
        if lane.persistence.len() == IN_FLIGHT_MAX {
            lane.persistence.pop_front();
        }
        lane.persistence.push_back((band.due, last));
        band
    }

    /// A reading came; while it is in doubt, it waits.
    pub fn hear(&mut self, t: SimTime, output: usize, value: f64, in_doubt: bool, tolerance: Span) {
        self.doubtful[output].push_back((t, value));
        while !in_doubt && let Some((t, value)) = self.doubtful[output].pop_front() {
            self.arrived(t, output, value, tolerance);
        }
    }

    /// Readings that a verdict is on are nothing to judge forecasts by.
    pub fn leave_out(&mut self, output: usize, from: SimTime, until: SimTime) {
        self.doubtful[output].retain(|(t, _)| *t < from || *t >= until);
    }

    /// A good reading came: forecasts that have come due are scored. After a gap longer than `tolerance` nothing says what
    /// was at their time, and they are forgotten.
    pub fn arrived(&mut self, t: SimTime, output: usize, value: f64, tolerance: Span) {
        if self.read[output].is_some_and(|before| t - before > tolerance) {
            self.forget_forecasts(output);
        }
        self.read[output] = Some(t);
        for lane in &mut self.lanes[output * self.horizons..(output + 1) * self.horizons] {
            lane.arrived(t, value);
        }
    }

    /// Forgets the forecasts in flight of an output: their origin, or what they would be held against, is not to be
    /// trusted.
    pub fn forget(&mut self, output: usize) {
        self.doubtful[output].clear();
        self.forget_forecasts(output);
    }

    fn forget_forecasts(&mut self, output: usize) {
        for lane in &mut self.lanes[output * self.horizons..(output + 1) * self.horizons] {
            lane.calibrator.forget();
            if let Some(residual) = &mut lane.residual {
                residual.forget();
            }
            lane.persistence.clear();
        }
    }

    /// The scores of one output and horizon. Readings that are still in doubt count: no verdict has come of them.
    pub fn score(&self, output: usize, horizon: usize) -> Score {
        let lane = &self.lanes[output * self.horizons + horizon];
        let doubtful = &self.doubtful[output];
        if doubtful.is_empty() {
            return lane.score;
        }
        let mut lane = lane.clone();
        doubtful.iter().for_each(|(t, value)| lane.arrived(*t, *value));
        lane.score
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self, bytes: &mut Vec<u8>) {
        for lane in &self.lanes {
            bytes.extend_from_slice(&lane.calibrator.scale().to_bits().to_le_bytes());
            bytes.extend_from_slice(&lane.score.n().to_le_bytes());
            if let Some(residual) = &lane.residual {
                residual.state_bytes(bytes);
            }
        }
    }
}
