//! Where a recording says what drives the thing: over a gap nothing tells what an input did, so that the state behind it is
//! another beginning.

use super::Dataset;
use std::{collections::HashSet, ops::Range};

/// An input is taken to stay as it was over so many of its own median steps, and over so many times what 19 of 20 of its steps are
/// within: rows that come at random have long steps, too.
const STEPS: f64 = 10.0;
const USUAL: f64 = 3.0;
/// Steps after the last value for which it is still held where it has gone.
const HELD: f64 = 3.0;
/// Pieces of one recording at most; of more, the longest.
const MOST: usize = 48;
/// Lengths of steps from which on a recording's times are put on a grid, and the lines of that in a median step.
const LENGTHS: usize = 512;
const LINES: f64 = 32.0;

/// Runs of rows over which all inputs are known, ascending.
pub(super) fn pieces(d: &Dataset) -> Vec<Range<usize>> {
    let n = d.t_s.len();
    let Some(row) = usual(&d.t_s) else { return whole(n) };
    let mut blind = vec![false; n];
    let mut begins = vec![false; n];
    for column in &d.inputs {
        let known: Vec<usize> = (0..n).filter(|k| column[*k].is_finite()).collect();
        let (Some(first), Some(last)) = (known.first(), known.last()) else { continue };
        let times: Vec<f64> = known.iter().map(|k| d.t_s[*k]).collect();
        let own = usual(&times).unwrap_or(row);
        let most_s = own.1.max(row.1);
        if d.t_s[*first] - d.t_s[0] > most_s {
            blind[..*first].fill(true);
        }
        let ends = known.windows(2).map(|w| (w[0], w[1])).chain([(*last, n)]);
        for (from, to) in ends {
            let back_s = d.t_s[to.min(n - 1)];
            if back_s - d.t_s[from] > most_s {
                let held_s = d.t_s[from] + HELD * own.0.max(row.0);
                (from + 1..to).filter(|k| d.t_s[*k] > held_s).for_each(|k| blind[k] = true);
                if to < n {
                    begins[to] = true;
                }
            }
        }
    }
    let mut all: Vec<Range<usize>> = Vec::new();
    let mut from = None;
    for k in 0..=n {
        let ends = k == n || blind[k] || begins[k];
        if let (true, Some(start)) = (ends, from) {
            all.push(start..k);
            from = None;
        }
        if k < n && !blind[k] && from.is_none() {
            from = Some(k);
        }
    }
    let tells = |rows: &Range<usize>| {
        rows.len() > 1 && d.outputs.iter().any(|c| c[rows.clone()].iter().any(|v| v.is_finite()))
    };
    all.retain(tells);
    if all.len() > MOST {
        all.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        all.truncate(MOST);
        all.sort_by_key(|rows| rows.start);
    }
    if all.is_empty() { whole(n) } else { all }
}

/// All rows as one piece.
fn whole(n: usize) -> Vec<Range<usize>> {
    std::iter::once(0..n).collect()
}

/// The median step of ascending times, and the longest that is no gap, [s].
fn usual(t_s: &[f64]) -> Option<(f64, f64)> {
    let mut steps: Vec<f64> = t_s.windows(2).map(|w| w[1] - w[0]).collect();
    steps.sort_by(f64::total_cmp);
    let median = *steps.get(steps.len() / 2)?;
    let late = steps[(steps.len() * 19 / 20).min(steps.len() - 1)];
    Some((median, (STEPS * median).max(USUAL * late)))
}

/// The recording with times on a grid of a 32nd of its median step where its steps are of so many lengths that each row would
/// need a matrix exponential of its own. No row is moved by more than half a line, and none by what those before it were.
pub(super) fn on_grid(mut d: Dataset) -> Dataset {
    let lengths: HashSet<u32> =
        d.t_s.windows(2).map(|w| w[1] - w[0]).map(|s| (s as f32).to_bits() >> 12).collect();
    let Some((median, _)) = usual(&d.t_s).filter(|_| lengths.len() > LENGTHS) else { return d };
    let line = median / LINES;
    let mut before = -1.0;
    for t in &mut d.t_s {
        let at = (*t / line).round().max(before + 1.0);
        before = at;
        *t = at * line;
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(t_s: Vec<f64>, input: Vec<f64>) -> Dataset {
        let n = t_s.len();
        Dataset { t_s, inputs: vec![input], outputs: vec![vec![20.0; n]], ..Dataset::default() }
    }

    #[test]
    fn a_recording_is_cut_where_nothing_tells_its_inputs() {
        let seconds = |n: u32| (0..n).map(f64::from).collect::<Vec<_>>();
        assert_eq!(pieces(&data(seconds(50), vec![1.0; 50])), whole(50));
        let gap: Vec<f64> = (0..50).map(|k| f64::from(k) + if k < 30 { 0.0 } else { 600.0 }).collect();
        assert_eq!(pieces(&data(gap, vec![1.0; 50])), [0..30, 30..50]);
        let mut input = vec![1.0; 60];
        input[20..40].fill(f64::NAN);
        assert_eq!(pieces(&data(seconds(60), input)), [0..23, 40..60], "held for three steps");
        let mut input = vec![1.0; 50];
        input[20..24].fill(f64::NAN);
        assert_eq!(pieces(&data(seconds(50), input)), whole(50), "a few steps are held");
        let sparse = (0..100).map(|k| if k % 20 == 0 { 1.0 } else { f64::NAN }).collect();
        assert_eq!(pieces(&data(seconds(100), sparse)), whole(100), "an input that comes seldom");
    }

    #[test]
    fn times_of_many_steps_go_on_a_grid() {
        let mut t = 0.0;
        let t_s: Vec<f64> = (0..3000u32)
            .map(|k| {
                t += 1.0 + 0.5 * (f64::from(k) * 1.7).sin();
                t
            })
            .collect();
        let moved = on_grid(data(t_s.clone(), vec![1.0; 3000]));
        assert!(moved.t_s.windows(2).all(|w| w[0] < w[1]));
        assert!(moved.t_s.iter().zip(&t_s).all(|(a, b)| (a - b).abs() < 0.02));
        let even = data((0..3000).map(f64::from).collect(), vec![1.0; 3000]);
        assert_eq!(on_grid(even.clone()), even);
    }
}
