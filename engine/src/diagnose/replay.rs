//! A stream that says again what it said before: someone plays a recording, of one output or of all.
//!
//! A real sensor's last digits never repeat for long. Each output is looked at by itself: five values in a row that were there
//! before give a supposed lag, and its readings are then held against those of that time ago. Where the inputs repeat at
//! that lag as well, or there are none that move, only a run without a single difference is no chance; where the inputs are
//! others, and the outputs should be, some readings may be touched up: each that moved and is the same speaks for it, each that
//! differs against it. By how much, the stream itself says: how often its readings are those of another time by chance, which
//! they often are where they are coarse or the thing goes round in circles. One that stands still says nothing here: that is a
//! sensor that sticks, or a thing at rest. A replay on which noise of a sensor's own size was put again is not found.

use std::collections::{BTreeMap, HashMap};

/// Rows that must repeat without a difference, and how many of them must differ from the row before.
const ROWS: usize = 60;
const MOVES: usize = 30;
/// Share of the readings that are the same in a replay that was touched up, and what one reading counts for at most, [nat].
const SAME_SHARE: f64 = 0.85;
const MOST_NATS: f64 = 1.0;
/// The sum that is no chance, what it grows to, and below which it is over, [nat].
const PROVEN: f64 = 30.0;
const MOST: f64 = 36.0;
const OVER: f64 = 24.0;
/// Readings that were the same by chance, and of how many, as if so many had been seen before the stream began.
const BY_CHANCE: (f64, f64) = (10.0, 40.0);
/// Sum from which on another output counts for one that repeats at the same lag.
const ALONG: f64 = 5.0;
/// Share of the rows in which inputs must differ for them to be others.
const OTHERS: f64 = 0.1;
/// Values in a row that give a lag.
const GRAM: usize = 5;
/// Rows that are remembered, unless it is told otherwise, and of each gram, where it was seen last; lags that are followed.
const REMEMBERED: usize = 100_000;
const PLACES: usize = 32;
const LAGS: usize = 256;

/// Remembers a stream.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    remembered: usize,
    /// Of each output and of each input, all values; what did not come is as it was.
    outputs: Vec<Track>,
    inputs: Vec<Vec<f64>>,
    rows: usize,
}

/// One output.
#[derive(Clone, Debug, Default)]
struct Track {
    values: Vec<f64>,
    grams: HashMap<[u64; GRAM], Vec<usize>>,
    /// By lag.
    runs: BTreeMap<usize, Run>,
    chance: Chance,
}

/// How often a reading that moved is that of a supposed lag.
#[derive(Clone, Copy, Debug)]
struct Chance {
    same: f64,
    of: f64,
}

impl Default for Chance {
    fn default() -> Self {
        Self { same: BY_CHANCE.0, of: BY_CHANCE.1 }
    }
}

impl Chance {
    fn share(self) -> f64 {
        self.same / self.of
    }

    /// What one that is the same and one that differs count for, [nat].
    fn nats(self) -> (f64, f64) {
        let p = self.share().min(SAME_SHARE);
        ((SAME_SHARE / p).ln().min(MOST_NATS), ((1.0 - SAME_SHARE) / (1.0 - p)).ln())
    }
}

/// A lag that is followed.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    rows: usize,
    /// Rows since the last difference, and how many of them moved.
    exact: (usize, usize),
    sum: f64,
    others: usize,
    told: bool,
}

impl Run {
    fn proven(&self, chance: Chance) -> bool {
        let others = self.others as f64 > OTHERS * self.rows as f64;
        let no_chance = self.exact.1 as f64 * -chance.share().ln() >= PROVEN;
        self.exact.0 >= ROWS && self.exact.1 >= MOVES && no_chance || others && self.sum >= PROVEN
    }
}

/// That an output repeats itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeats {
    /// For so many rows.
    pub rows: usize,
    /// What it said so many rows ago.
    pub lag: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

fn hold(all: &mut Vec<f64>, value: f64) {
    let before = all.last().copied().unwrap_or(f64::NAN);
    all.push(if value.is_nan() { before } else { value });
}

impl Replay {
    /// Remembers at most so many rows.
    pub(super) fn remembering(remembered: usize) -> Self {
        Self { remembered, outputs: vec![], inputs: vec![], rows: 0 }
    }

    /// Takes a row in; which outputs repeat themselves.
    pub(super) fn take(&mut self, inputs: &[f64], outputs: &[f64]) -> Vec<Option<Repeats>> {
        if outputs.iter().all(|v| v.is_nan()) {
            return self.told();
        }
        if self.rows >= self.remembered {
            *self = Self::remembering(self.remembered);
        }
        self.outputs.resize_with(outputs.len(), Track::default);
        self.inputs.resize_with(inputs.len(), Vec::new);
        self.inputs.iter_mut().zip(inputs).for_each(|(all, v)| hold(all, *v));
        let (i, inputs) = (self.rows, &self.inputs);
        let differs = |v: &Vec<f64>, lag: usize| {
            let (now, then) = (v.get(i).copied(), v.get(i - lag).copied());
            now.is_some_and(f64::is_finite) && then != now
        };
        let others = |lag: usize| inputs.iter().any(|v| differs(v, lag));
        for (track, value) in self.outputs.iter_mut().zip(outputs) {
            track.take(i, *value, &others);
        }
        self.rows += 1;
        self.told()
    }

    fn told(&self) -> Vec<Option<Repeats>> {
        self.outputs.iter().map(Track::repeats).collect()
    }

    /// Whether an output seems to repeat at a lag, too.
    pub(super) fn goes_along(&self, output: usize, lag: usize) -> bool {
        self.outputs.get(output).and_then(|t| t.runs.get(&lag)).is_some_and(|r| r.sum >= ALONG)
    }
}

impl Track {
    fn take(&mut self, i: usize, value: f64, others: &dyn Fn(usize) -> bool) {
        hold(&mut self.values, value);
        let v = &self.values;
        let moved = i > 0 && v[i] != v[i - 1];
        let (chance, (same, differs)) = (self.chance, self.chance.nats());
        let seen = &mut self.chance;
        self.runs.retain(|lag, run| {
            if moved {
                seen.of += 1.0;
                seen.same += f64::from(u8::from(v[i] == v[i - lag]));
            }
            run.rows += 1;
            run.others += usize::from(others(*lag));
            if v[i] == v[i - lag] {
                run.exact = (run.exact.0 + 1, run.exact.1 + usize::from(moved));
                run.sum = (run.sum + if moved { same } else { 0.0 }).min(MOST);
            } else {
                run.exact = (0, 0);
                run.sum += differs;
            }
            // What was told by a sum is over below a lower one; what was told by a run without a difference, with the first.
            let by_sum = run.others as f64 > OTHERS * run.rows as f64 && run.sum >= OVER;
            run.told = run.proven(chance) || run.told && by_sum;
            run.sum > 0.0 || run.exact.0 > 0
        });
        if i + 1 < GRAM {
            return;
        }
        let last = &v[i + 1 - GRAM..];
        let moves = last.windows(2).filter(|w| w[0] != w[1]).count();
        if moves < 2 || last.iter().any(|v| v.is_nan()) {
            return;
        }
        let gram: [u64; GRAM] = std::array::from_fn(|k| last[k].to_bits());
        let places = self.grams.entry(gram).or_default();
        for at in places.iter().rev().take(PLACES) {
            if self.runs.len() >= LAGS {
                break;
            }
            let begun = Run { rows: GRAM, exact: (GRAM, moves), sum: moves as f64 * same, ..Run::default() };
            self.runs.entry(i - at).or_insert(begun);
        }
        places.push(i);
        if places.len() > 2 * PLACES {
            places.drain(..PLACES);
        }
    }

    fn repeats(&self) -> Option<Repeats> {
        let told = self.runs.iter().filter(|(_, run)| run.told);
        told.map(|(lag, run)| Repeats { rows: run.rows, lag: *lag }).max_by_key(|r| r.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers below 4, the same on every machine.
    fn dice(state: &mut u64) -> usize {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 62) as usize
    }

    /// A coarse random walk.
    fn walk(seed: u64, rows: usize) -> Vec<f64> {
        let (mut state, mut value) = (seed, 20.0);
        let mut step = || {
            value += [-0.5, 0.0, 0.5, 0.0][dice(&mut state)];
            value
        };
        (0..rows).map(|_| step()).collect()
    }

    #[test]
    fn a_replay_is_told_and_a_stream_of_its_own_is_not() {
        let live = walk(1, 4000);
        let mut watch = Replay::default();
        assert!(live.iter().all(|v| watch.take(&[], &[*v])[0].is_none()));
        let told = live[1000..1200].iter().position(|v| watch.take(&[], &[*v])[0].is_some());
        assert!(told.is_some_and(|k| (59..130).contains(&k)), "{told:?}");
        let mut still = Replay::default();
        assert!((0..5000).all(|_| still.take(&[], &[21.0])[0].is_none()));
        // Two that stand still, each in messages of its own.
        let mut apart = Replay::default();
        let row = |k: usize| if k.is_multiple_of(2) { [21.0, f64::NAN] } else { [f64::NAN, 22.0] };
        assert!((0..5000).all(|k| apart.take(&[], &row(k)).iter().all(Option::is_none)));
    }

    #[test]
    fn one_output_of_two_that_is_replayed_with_some_readings_touched_is_told() {
        for seed in 1..6 {
            let (load, one, two) = (walk(seed + 50, 6000), walk(seed, 6000), walk(seed + 20, 6000));
            let mut watch = Replay::default();
            let mut told = None;
            for k in 0..5000 {
                let replayed = k >= 4500;
                let touched = if k % 10 == 0 { 0.5 } else { 0.0 };
                let first = if replayed { one[k - 2345] + touched } else { one[k] };
                let found = watch.take(&[load[k]], &[first, two[k]]);
                assert!(found[1].is_none(), "seed {seed}, row {k}: {found:?}");
                assert!(replayed || found[0].is_none(), "seed {seed}, row {k}: {found:?}");
                told = told.or(found[0].map(|r| (k, r)));
            }
            let (at, found) = told.unwrap();
            assert!(at < 4500 + 200 && found.lag == 2345, "seed {seed}: row {at}, {found:?}");
            assert!((4490..4540).contains(&(at + 1 - found.rows)), "seed {seed}: {at} {found:?}");
        }
    }

    /// A thing whose load comes back each twenty rows does what it did, but for its noise.
    #[test]
    fn what_comes_back_with_its_input_is_no_replay() {
        let mut state = 3;
        let mut watch = Replay::default();
        for k in 0..6000 {
            let load = if k % 20 < 10 { 100.0 } else { 5.0 };
            let touched = if dice(&mut state) == 0 { 0.5 } else { 0.0 };
            let value = 40.0 + 0.5 * (k % 20).min(20 - k % 20) as f64 + touched;
            assert!(watch.take(&[load], &[value])[0].is_none(), "row {k}");
        }
    }
}
