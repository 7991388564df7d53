//! A verdict that turns out to be of another kind: an offset that grows and shrinks with the reading is a gain.
//!
//! While a reading stands still the two are one, so the offset is mostly named first. As it moves they differ in one thing: by a
//! gain the reading swings about its mean by a share more than the model has it, by an offset it does not. But a model's own
//! swing is wrong by a few per cent on any device that it was not fitted to. So the swing since the onset is held against the
//! swing before it, of the same device under the same model: what changed between the two is the fault's. Of a twin that learns
//! its parameters as it goes this is not true: it was wrong by another share before, and a gain it would learn as its own. What
//! its examinations have named stays.

use super::{
    Judge, MARGIN_NATS, News,
    history::{Correction, Shape, factor},
    lane::Active,
};
use crate::time::SimTime;

/// What a model's swing may change by on its own from one stretch to the next, as a share.
const SWING_STD: f64 = 0.02;
/// Samples before the onset that show how the reading swung.
const BEFORE: u64 = 600;

impl Judge {
    /// Takes the other kind where it fits better, and says so anew; None where the verdict stays what it is.
    pub(super) fn rename(&mut self, o: usize, active: &mut Active, arrived: SimTime) -> Option<Shape> {
        let c = self.corrections[active.correction];
        let onset = self.history.index_at(c.from);
        let oldest = self.history.oldest_start();
        if self.est.learns() || onset <= oldest || !matches!(c.shape, Shape::Bias | Shape::Gain) {
            return None;
        }
        let search = self.search(o);
        // It is looked at while it is in memory, and kept.
        if active.swing_before.is_none() {
            active.swing_before = search.swing(c.signal, onset.saturating_sub(BEFORE).max(oldest), onset);
        }
        let (before, since) = (active.swing_before?, search.swing(c.signal, onset, self.history.next())?);
        let mean = since.mean;
        let (as_gain, as_bias) = match c.shape {
            Shape::Bias if mean.abs() > 1e-9 => (c.size / (mean + c.size), c.size),
            Shape::Gain => (c.size, c.size * mean / (1.0 - c.size)),
            _ => return None,
        };
        // What is believed has been taken out: by the one kind nothing of the change is left, by the other all of it.
        let other = if c.shape == Shape::Bias { as_gain } else { -as_gain };
        let change = since.share - before.share;
        let var = since.std.powi(2) + before.std.powi(2) + SWING_STD.powi(2);
        let nats = (change * change - (change - other).powi(2)) / (2.0 * var);
        if nats < MARGIN_NATS {
            return None;
        }
        let times = factor(as_gain)?;
        let best = match c.shape {
            Shape::Bias => Correction { shape: Shape::Gain, size: as_gain, ..c },
            _ => Correction { shape: Shape::Bias, size: as_bias, ..c },
        };
        self.corrections[active.correction] = best;
        let v = &mut self.verdicts[active.verdict];
        (v.kind, v.size) = match best.shape {
            Shape::Gain => ("gain", times),
            _ => ("bias", best.size),
        };
        v.decided_at = arrived;
        let verdict = v.clone();
        self.news.push(News { t: arrived, verdict, ended: false });
        self.go_over(onset);
        Some(best.shape)
    }
}
