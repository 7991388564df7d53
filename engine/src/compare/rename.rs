//! A verdict that turns out to be of another kind: an offset that grows and shrinks with the reading is a gain.
//!
//! While a reading stands still the two are one, so the offset is named first; as it moves, each is held against the other.

use super::{
    DECIDE_NATS, Judge, News,
    history::{Correction, Shape},
    lane::Active,
};
use crate::time::SimTime;

/// By what the other kind must be better, [nat]: as much as a verdict takes.
const RENAME_NATS: f64 = DECIDE_NATS;
/// Sizes that are tried, as shares of the one that is believed.
const SIZES: [f64; 5] = [0.8, 0.9, 1.0, 1.1, 1.2];

impl Judge {
    /// Takes the other kind where it fits better, and says so anew; None where the verdict stays what it is.
    pub(super) fn rename(&mut self, o: usize, active: &Active, arrived: SimTime) -> Option<Shape> {
        let c = self.corrections[active.correction];
        let onset = self.history.index_at(c.from);
        if onset <= self.history.oldest_start() {
            return None;
        }
        let (mut sum, mut n) = (0.0, 0.0);
        for y in (onset..self.history.next()).map(|k| self.history.value(k, self.inputs + o)) {
            if !y.is_nan() {
                sum += y;
                n += 1.0;
            }
        }
        let mean = sum / n;
        let other = match c.shape {
            Shape::Bias if mean.abs() > 1e-9 => Correction { shape: Shape::Gain, size: c.size / mean, ..c },
            Shape::Gain => Correction { shape: Shape::Bias, size: c.size * mean, ..c },
            _ => return None,
        };
        let search = self.search(o);
        // Each kind with the size that fits it best: what fitted the one best need not fit the other.
        let best_of = |c: Correction| {
            let sizes = SIZES.map(|f| Correction { size: f * c.size, ..c });
            let tried =
                sizes.into_iter().filter_map(|c| Some((c, search.instead(active.correction, c, onset)?)));
            tried.max_by(|a, b| a.1.total_cmp(&b.1))
        };
        let ((best, gain), (_, own)) = (best_of(other)?, best_of(c)?);
        if gain - own.max(0.0) < RENAME_NATS {
            return None;
        }
        self.corrections[active.correction] = best;
        let v = &mut self.verdicts[active.verdict];
        (v.kind, v.size) = match best.shape {
            Shape::Gain => ("gain", 1.0 / (1.0 - best.size).max(1e-3)),
            _ => ("bias", best.size),
        };
        v.decided_at = arrived;
        let verdict = v.clone();
        self.news.push(News { t: arrived, verdict, ended: false });
        self.go_over(onset);
        Some(best.shape)
    }
}
