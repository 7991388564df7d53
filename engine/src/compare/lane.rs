//! One output as the cheap detectors see it: what raises a suspicion, and the suspicion's age.

use super::{View, glr::Swing, history::Shape, run::Run};
use crate::predict::Gaussian;

/// Readings after which the best kind is named though another is near.
pub(super) const PATIENCE: u64 = 45;
/// A residual of so many of its standard deviations raises suspicion.
pub const WILD: f64 = 4.0;
/// Readings after the trigger at which a suspicion is examined.
pub(super) const EXAMINE: [u64; 12] = [5, 8, 12, 18, 26, 36, 48, 64, 90, 130, 180, 240];
/// A suspicion younger than this has not yet been held against more noise: it must be twice as clear, and no forecast starts
/// from its readings.
pub(super) const YOUNG: u64 = 12;
/// Readings in a row that may be in doubt: what has not become a verdict by then is the model's misfit, and to be judged by.
pub(super) const DOUBT: u64 = EXAMINE[EXAMINE.len() - 1];
/// A suspicion this old gives way to a new wild reading; a younger one has yet to be examined.
const RESTART: u64 = 12;

/// A verdict that holds: its index, and for values the correction's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Active {
    pub verdict: usize,
    pub correction: usize,
    pub shape: Shape,
    /// Evidence that it is over, and where that began.
    pub over: f64,
    pub over_since: u64,
    pub next_refit: u64,
    /// How the reading swung before the onset.
    pub swing_before: Option<Swing>,
}

/// A reading at which something may have begun, and how many of the ages of [`EXAMINE`] it has passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspicion {
    pub trigger: u64,
    pub examined: usize,
}

/// One output as the detectors see it.
pub(super) struct Lane {
    pub run: Run,
    pub sums: [Cusum; SUMS.len()],
    pub suspicion: Option<Suspicion>,
    pub spike: Option<u64>,
    pub active: Option<Box<Active>>,
    /// Readings in a row that something about it has been looked into.
    pub doubted: u64,
    /// Robust scale of the step from reading to reading.
    pub step: f64,
    pub last: f64,
    pub view: View,
}

impl Lane {
    /// An output before its first reading: the step to expect, and what would be read.
    pub fn new(step: f64, estimate: Gaussian) -> Self {
        Self {
            run: Run::default(),
            sums: Default::default(),
            suspicion: None,
            spike: None,
            active: None,
            doubted: 0,
            step,
            last: f64::NAN,
            view: View { estimate, residual: 0.0, whitened: 0.0 },
        }
    }

    /// The verdict on values that holds.
    pub fn active(&self) -> Option<Active> {
        self.active.as_deref().copied()
    }

    /// Starts a suspicion where an innovation is wild or a sum over its limit; a wild one takes the place of an older one.
    pub fn suspect(&mut self, z: f64, i: u64) {
        let mut trigger = None;
        for (sum, limits) in self.sums.iter_mut().zip(SUMS) {
            trigger = trigger.or(sum.take(z, i, limits));
        }
        let old = self.suspicion.map(|s| i - s.trigger);
        if z.abs() > WILD && old.is_none_or(|age| age > RESTART) {
            self.suspicion = Some(Suspicion { trigger: i, examined: 0 });
            // A sum has gathered its evidence already: it is looked at from the first late examination on.
        } else if let Some(since) = trigger.filter(|_| old.is_none_or(|age| age > PATIENCE)) {
            let trigger = since.max(i.saturating_sub(60));
            let examined = EXAMINE.iter().filter(|a| **a < (i - trigger).max(26)).count();
            self.suspicion = Some(Suspicion { trigger, examined });
        }
    }
}

/// Slack of each sum, and the limit over which there is a shift.
const SUMS: [(f64, f64); 3] = [(0.25, 12.0), (0.1, 36.0), (0.05, 60.0)];

/// Two one-sided cumulative sums (Page, *Continuous Inspection Schemes*, Biometrika 41, 1954): each with the sample it began at.
#[derive(Default)]
pub(super) struct Cusum {
    up: (f64, u64),
    down: (f64, u64),
}

impl Cusum {
    /// Forgets what it has summed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a scaled innovation; tells since when there is a shift, and begins anew.
    fn take(&mut self, z: f64, i: u64, (slack, limit): (f64, f64)) -> Option<u64> {
        let mut over = None;
        for (side, z) in [(&mut self.up, z), (&mut self.down, -z)] {
            if side.0 <= 0.0 {
                side.1 = i;
            }
            side.0 = (side.0 + z.clamp(-3.0, 3.0) - slack).max(0.0);
            if side.0 > limit {
                over = Some(side.1);
                side.0 = 0.0;
            }
        }
        over
    }
}
