//! A stream that says again what it said before, reading by reading: someone plays a recording.
//!
//! A real sensor's last digits never repeat for long. Rows are told apart by a hash of all outputs; a run of rows that equal
//! those some constant time ago, and that moved often enough meanwhile, is no chance. One whose readings stand still says nothing
//! here: that is a sensor that sticks, or a thing at rest.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

/// Rows that must repeat, and how many of them must differ from the row before.
const ROWS: usize = 60;
const MOVES: usize = 30;
/// Rows that are remembered, unless it is told otherwise, and of each value, where it was seen last.
const REMEMBERED: usize = 100_000;
const PLACES: usize = 32;

/// Remembers a stream.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    remembered: usize,
    /// Of each output, the last value that came.
    last: Vec<f64>,
    rows: Vec<u64>,
    places: HashMap<u64, Vec<usize>>,
    /// By lag: rows in a row that repeat, and how many of them moved.
    runs: BTreeMap<usize, (usize, usize)>,
}

impl Default for Replay {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Replay {
    /// Remembers at most so many rows.
    pub(super) fn remembering(remembered: usize) -> Self {
        Self { remembered, last: vec![], rows: vec![], places: HashMap::new(), runs: BTreeMap::new() }
    }

    /// Takes a row in; since how many rows, this one included, the stream repeats itself.
    pub(super) fn take(&mut self, outputs: &[f64]) -> Option<usize> {
        if outputs.iter().all(|v| v.is_nan()) {
            return None;
        }
        // Outputs may come in messages of their own: what did not come is as it was.
        self.last.resize(outputs.len(), f64::NAN);
        for (last, value) in self.last.iter_mut().zip(outputs).filter(|(_, v)| !v.is_nan()) {
            *last = *value;
        }
        let mut hasher = DefaultHasher::new();
        self.last.iter().for_each(|v| v.to_bits().hash(&mut hasher));
        let (row, i) = (hasher.finish(), self.rows.len());
        if i >= self.remembered {
            *self = Self::remembering(self.remembered);
            return None;
        }
        let moved = usize::from(self.rows.last().is_some_and(|last| *last != row));
        let rows = &self.rows;
        self.runs.retain(|lag, run| {
            let same = rows[i - *lag] == row;
            *run = (run.0 + 1, run.1 + moved);
            same
        });
        let places = self.places.entry(row).or_default();
        for at in places.iter().rev().take(PLACES) {
            self.runs.entry(i - at).or_insert((1, 0));
        }
        places.push(i);
        if places.len() > 2 * PLACES {
            places.drain(..PLACES);
        }
        self.rows.push(row);
        let proven = self.runs.values().filter(|(rows, moves)| *rows >= ROWS && *moves >= MOVES);
        proven.map(|(rows, _)| *rows).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_told_and_a_stream_of_its_own_is_not() {
        // A coarse random walk.
        let mut state = 1u64;
        let mut value = 20.0;
        let live: Vec<f64> = (0..4000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                value += [-0.5, 0.0, 0.5, 0.0][(state >> 62) as usize];
                value
            })
            .collect();
        let mut watch = Replay::default();
        assert!(live.iter().all(|v| watch.take(&[*v]).is_none()));
        let told = live[1000..1200].iter().position(|v| watch.take(&[*v]).is_some());
        assert!(told.is_some_and(|k| (59..130).contains(&k)), "{told:?}");
        let mut still = Replay::default();
        assert!((0..5000).all(|_| still.take(&[21.0]).is_none()));
        // Two that stand still, each in messages of its own.
        let mut apart = Replay::default();
        let row = |k: usize| if k.is_multiple_of(2) { [21.0, f64::NAN] } else { [f64::NAN, 22.0] };
        assert!((0..5000).all(|k| apart.take(&row(k)).is_none()));
    }
}
