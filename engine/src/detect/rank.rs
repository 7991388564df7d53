//! How rare a score is among those before it: conformal p-values, with ties against us.

use std::collections::VecDeque;

/// Scores remembered; older ones are forgotten, so that a device that ages is compared with itself.
const MEMORY: usize = 4096;

/// Ranks each score among the remembered ones.
#[derive(Clone, Debug, Default)]
pub struct Ranks {
    sorted: Vec<f64>,
    recent: VecDeque<f64>,
}

impl Ranks {
    /// The share of remembered scores at least as large, this one counted in: while scores are exchangeable, it is at most
    /// `p` with probability `p`.
    pub fn p(&self, score: f64) -> f64 {
        let below = self.sorted.partition_point(|s| *s < score);
        (1.0 + (self.sorted.len() - below) as f64) / (self.sorted.len() as f64 + 1.0)
    }

    /// The score that a share `p` of the remembered ones exceeds; infinite while nothing is remembered.
    pub fn quantile(&self, p: f64) -> f64 {
        let n = self.sorted.len();
        let at = ((n as f64 * (1.0 - p)) as usize).min(n.saturating_sub(1));
        self.sorted.get(at).copied().unwrap_or(f64::INFINITY)
    }

    /// Remembers a score.
    pub fn push(&mut self, score: f64) {
        if self.recent.len() == MEMORY
            && let Some(oldest) = self.recent.pop_front()
        {
            let at = self.sorted.partition_point(|s| *s < oldest);
            self.sorted.remove(at.min(self.sorted.len() - 1));
        }
        let at = self.sorted.partition_point(|s| *s < score);
        self.sorted.insert(at, score);
        self.recent.push_back(score);
    }

    /// How many scores are remembered.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}
