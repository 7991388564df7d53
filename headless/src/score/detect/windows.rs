//! The score of the Numenta Anomaly Benchmark, by its published definition (Lavin and Ahmad, 2015): the standard profile, read
//! from onsets.

use super::files::Stream;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};
use twinfleet_engine::scenario::{
    calendar,
    diagnostic::{Diagnostic, Report},
    source::Source,
};

/// Weights of the standard profile: a window found, an onset outside of windows, a window missed.
const FOUND: f64 = 1.0;
const FALSE_POSITIVE: f64 = 0.11;
const MISSED: f64 = 1.0;
/// Onsets in the first rows do not count: this share of the file, as if it had at most so many rows.
const PROBATION_SHARE: f64 = 0.15;
const PROBATION_OF_ROWS: usize = 5000;

/// Labelled windows by file.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Windows(BTreeMap<String, Vec<(String, String)>>);

/// What a stream adds to the score.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// Weighted sum of what was found, false and missed.
    pub score: f64,
    /// Windows.
    pub windows: usize,
    /// Windows found.
    pub found: usize,
    /// Onsets outside of windows, behind the probation.
    pub false_onsets: usize,
}

impl Part {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.score += other.score;
        self.windows += other.windows;
        self.found += other.found;
        self.false_onsets += other.false_onsets;
    }

    /// From 0, where nothing is ever told, to 100, where each window is found in its first row and nothing else is told.
    pub fn normalised(&self) -> Option<f64> {
        let w = self.windows as f64;
        (self.windows > 0).then(|| 100.0 * (self.score + MISSED * w) / ((FOUND + MISSED) * w))
    }
}

impl Windows {
    /// Reads them.
    pub fn read(path: &Path) -> Result<Self, Report> {
        let source = Source::read(path)?;
        serde_json::from_str(source.text()).map_err(|e| {
            Diagnostic::error(format!("`{}` holds no windows: {e}", path.display()))
                .help("it is a JSON object of files, each with a list of pairs of times: {\"a.csv\": [[\"2014-04-10 07:15:00\", \"2014-04-11 16:45:00\"]]}")
                .into()
        })
    }

    /// The windows of a stream as first and last row; None where the file is not named. A file is found by the end of its path.
    pub fn of(&self, stream: &Stream) -> Option<Vec<(usize, usize)>> {
        let path = Path::new(&stream.name);
        let (_, named) = self.0.iter().find(|(key, _)| path.ends_with(key))?;
        let t0 = stream.table.t0_unix_ns?;
        let since = |text: &str| calendar::unix_ns(text).map(|ns| ns.saturating_sub(t0) as f64 / 1e9);
        let rows = |(from, to): &(String, String)| {
            let t = &stream.table.t_s;
            let first = t.partition_point(|t| *t < since(from).unwrap_or(f64::INFINITY) - 1e-6);
            let after = t.partition_point(|t| *t <= since(to).unwrap_or(f64::NEG_INFINITY) + 1e-6);
            (first < after).then(|| (first, after - 1))
        };
        Some(named.iter().filter_map(rows).collect())
    }
}

/// 1 a window's width before its end, 0 at its end, −1 far behind.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// What onsets are worth, by the windows of their stream.
pub fn part(rows: usize, windows: &[(usize, usize)], onsets: &[usize]) -> Part {
    let probation = (PROBATION_SHARE * rows.min(PROBATION_OF_ROWS) as f64) as usize;
    let mut all = Part { windows: windows.len(), ..Part::default() };
    let mut found = vec![false; windows.len()];
    for onset in onsets.iter().copied().filter(|o| *o >= probation) {
        if let Some(w) = windows.iter().position(|(from, to)| (*from..=*to).contains(&onset)) {
            if !std::mem::replace(&mut found[w], true) {
                let (from, to) = windows[w];
                let position = -((to - onset + 1) as f64) / (to - from + 1) as f64;
                all.score += FOUND * sigmoid(position) / sigmoid(-1.0);
            }
            continue;
        }
        all.false_onsets += 1;
        let before = windows.iter().filter(|w| w.1 < onset).max_by_key(|w| w.1);
        let cost = before.map_or(-1.0, |(from, to)| sigmoid((onset - to) as f64 / (to - from).max(1) as f64));
        all.score += FALSE_POSITIVE * cost;
    }
    all.found = found.iter().filter(|f| **f).count();
    all.score -= MISSED * (all.windows - all.found) as f64;
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmarks_score_runs_from_nothing_told_to_all_found_at_once() {
        let windows = [(400, 499), (700, 799)];
        assert_eq!(part(1000, &windows, &[]).normalised(), Some(0.0));
        let perfect = part(1000, &windows, &[400, 700]).normalised();
        assert!((perfect.unwrap_or_default() - 100.0).abs() < 1e-9);
        // In the probation nothing counts; far from windows an onset costs its weight; just behind one it costs less.
        assert_eq!(part(1000, &windows, &[10]).normalised(), Some(0.0));
        assert!((part(1000, &windows, &[200]).score - (-2.11)).abs() < 1e-9);
        assert!(part(1000, &windows, &[505]).score > -2.11);
        // Found late in its window, it is worth less; found twice, no more.
        let late = part(1000, &windows, &[495]).score;
        assert!(late < part(1000, &windows, &[450]).score && late > -2.0);
        assert_eq!(part(1000, &windows, &[450, 460]), part(1000, &windows, &[450]));
    }
}
