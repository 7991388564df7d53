//! How rare a score beyond all that was seen is: the share that exceeds it, extrapolated by an exponential tail whose rate is
//! known only as well as the clusters of high scores allow.

/// Share of the scores that the tail is fitted to.
const TAIL: f64 = 0.1;

/// The distribution of a score while nothing is wrong.
#[derive(Clone, Debug)]
pub struct Tail {
    sorted: Vec<f64>,
    from: f64,
    mean_excess: f64,
    /// How many excesses the mean is worth.
    clusters: f64,
}

impl Tail {
    /// From scores of a time when nothing was wrong, in their order: high ones that follow each other are worth one.
    pub fn of(mut scores: Vec<f64>) -> Self {
        let clusters = clusters(&scores);
        scores.sort_by(f64::total_cmp);
        let at = ((scores.len() as f64 * (1.0 - TAIL)) as usize).min(scores.len().saturating_sub(1));
        let from = scores.get(at).copied().unwrap_or(0.0);
        let beyond = &scores[at.min(scores.len())..];
        let excess: f64 = beyond.iter().map(|s| s - from).sum();
        Self { mean_excess: (excess / beyond.len().max(1) as f64).max(1e-6), from, clusters, sorted: scores }
    }

    /// How many high scores come together, on average.
    pub fn cluster_rows(&self) -> f64 {
        (self.sorted.len() as f64 * TAIL / self.clusters).max(1.0)
    }

    /// −ln of the probability of a score as large.
    pub fn surprise(&self, score: f64) -> f64 {
        if score > self.from {
            // The probability of an exponential excess, over what its mean may be by so many that were seen.
            let m = self.clusters;
            return -TAIL.ln() + m * ((score - self.from) / self.mean_excess / m).ln_1p();
        }
        self.plain_surprise(score)
    }

    /// The same as if the mean excess were known: what is to be added up and held against sums of clean rows, which then say how
    /// well it is known. Doubted twice, no score however large would be rarer than the clean rows are many.
    pub fn plain_surprise(&self, score: f64) -> f64 {
        if score > self.from {
            return -TAIL.ln() + (score - self.from) / self.mean_excess;
        }
        let below = self.sorted.partition_point(|s| *s < score);
        let n = self.sorted.len() as f64;
        -((n - below as f64 + 1.0) / (n + 1.0)).ln()
    }
}

/// Calm scores that part two clusters.
const CALM: usize = 5;

/// Clusters of scores over the ninth decile: runs that calm scores part.
fn clusters(series: &[f64]) -> f64 {
    let mut sorted = series.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(level) = sorted.get(sorted.len() * 9 / 10) else { return 1.0 };
    let mut last: Option<usize> = None;
    let mut n = 0;
    for (i, _) in series.iter().enumerate().filter(|(_, s)| *s >= level) {
        n += usize::from(last.is_none_or(|l| i - l > CALM));
        last = Some(i);
    }
    n.max(1) as f64
}
