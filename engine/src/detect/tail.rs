//! How rare a score beyond all that was seen is: the share that exceeds it, extrapolated by an exponential tail.

/// Share of the scores that the tail is fitted to.
const TAIL: f64 = 0.1;

/// The distribution of a score while nothing is wrong.
#[derive(Clone, Debug)]
pub struct Tail {
    sorted: Vec<f64>,
    from: f64,
    mean_excess: f64,
}

impl Tail {
    /// From scores of a time when nothing was wrong.
    pub fn of(mut scores: Vec<f64>) -> Self {
        scores.sort_by(f64::total_cmp);
        let at = ((scores.len() as f64 * (1.0 - TAIL)) as usize).min(scores.len().saturating_sub(1));
        let from = scores.get(at).copied().unwrap_or(0.0);
        let beyond = &scores[at.min(scores.len())..];
        let excess: f64 = beyond.iter().map(|s| s - from).sum();
        Self { mean_excess: (excess / beyond.len().max(1) as f64).max(1e-6), from, sorted: scores }
    }

    /// −ln of the probability of a score as large.
    pub fn surprise(&self, score: f64) -> f64 {
        if score > self.from {
            return -TAIL.ln() + (score - self.from) / self.mean_excess;
        }
        let below = self.sorted.partition_point(|s| *s < score);
        let n = self.sorted.len() as f64;
        -((n - below as f64 + 1.0) / (n + 1.0)).ln()
    }
}

/// How many scores of a series over its ninth decile come together, on average: the reciprocal of the extremal index, by runs
/// that calm rows part.
pub fn cluster_rows(series: &[f64], calm_rows: usize) -> f64 {
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(level) = sorted.get(sorted.len() * 9 / 10).copied() else { return 1.0 };
    let (mut over, mut clusters, mut last) = (0.0, 0.0, None);
    for (i, s) in series.iter().enumerate() {
        if *s >= level {
            over += 1.0;
            if last.is_none_or(|l: usize| i - l > calm_rows) {
                clusters += 1.0;
            }
            last = Some(i);
        }
    }
    if clusters > 0.0 { over / clusters } else { 1.0 }
}
