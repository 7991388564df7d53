//! A verdict that turns out to be of another kind: an offset that grows and shrinks with the reading is a gain.
//!
//! While a reading stands still the two are one, so the offset is named first; as it moves, each is held against the other.

use super::{
    Judge, News,
    history::{Correction, Shape},
    lane::Active,
};
use crate::time::SimTime;

/// By what the other kind must be better, [nat].
const RENAME_NATS: f64 = 10.0;

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
        // A little more or less of it, too: what fitted the one best need not fit the other best.
        let sizes = [0.9, 1.0, 1.1].map(|f| Correction { size: f * other.size, ..other });
        let tried = sizes.into_iter().filter_map(|c| Some((c, search.instead(active.correction, c, onset)?)));
        let (best, gain) = tried.max_by(|a, b| a.1.total_cmp(&b.1))?;
        if gain < RENAME_NATS {
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
