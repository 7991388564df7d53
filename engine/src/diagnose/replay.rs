//! A stream that says again what it said before: someone plays a recording, of one output or of all.
//!
//! A real sensor's last digits never repeat for long. Each output is looked at by itself: five values in a row that were there
//! before give a supposed lag, and its readings are then held against those of that time ago. Where the inputs repeat at
//! that lag as well, or there are none that move, only a run without a single difference is no chance; where all inputs
//! that move are others, and the outputs should be, some readings may be touched up: each that moved and is the same counts for one, each
//! that differs against one and a half. One that stands still says nothing here: that is a sensor that sticks, or a thing at
//! rest. A replay on which noise of a sensor's own size was put again is not found.
//!
//! A coarse sensor on a thing that a timer drives repeats itself honestly, digit by digit. How often an output's readings are as
//! they were, at lags that have been followed for a while, is therefore counted, and how long they were so at most before one
//! differed: a replay is what that does not explain. Where they always are, as on a thing without noise, none can be told.

use std::collections::{BTreeMap, HashMap};

/// Rows that must repeat without a difference, and how many of them must differ from the row before.
const ROWS: usize = 60;
const MOVES: usize = 30;
/// What a reading that differs counts for, the sum that is no chance, what it grows to, and below which it is over.
const DIFFERS: f64 = 1.5;
const PROVEN: f64 = 30.0;
const MOST: f64 = 36.0;
const OVER: f64 = 24.0;
/// By what a replay must be likelier than that the output repeats itself as it does, [nat].
const NATS: f64 = 30.0;
/// Share of readings that are left as they were in a replay that is touched up.
const LEFT: f64 = 0.9;
/// Readings that moved or differ over which a lag's own are counted: what it was like long ago says nothing of a replay now.
const LATELY: f64 = 100.0;
/// Rows from which on a lag's readings tell how often the output is as it was; and what is supposed before any do.
const LIVED: usize = 20;
const SUPPOSED: Counts = Counts { same: 1.0, differ: 3.0 };
/// How much longer a run without a difference must be than the longest that ended by itself.
const LONGER: usize = 3;
/// Rows from the stream's beginning that are no source of a replay: a thing that does the same over and over begins with them, and
/// no other lag shows yet that it does.
const BEGINNING: usize = 120;
/// Rows after which an input that has not moved tells nothing of whether the inputs are others.
const MOVED: usize = 240;
/// Sum from which on another output counts for one that repeats at the same lag.
const ALONG: f64 = 5.0;
/// Share of the rows in which inputs must differ for them to be others.
const OTHERS: f64 = 0.1;
/// Values in a row that give a lag.
const GRAM: usize = 5;
/// Rows that are remembered, unless it is told otherwise, and of each gram, where it was seen last; lags that are followed.
const REMEMBERED: usize = 100_000;
/// Where there are as many, the oldest of so many parts are forgotten.
const FORGOTTEN: usize = 4;
const PLACES: usize = 32;
const LAGS: usize = 256;

/// Remembers a stream.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    remembered: usize,
    /// Of each output and of each input, all values; what did not come is as it was.
    outputs: Vec<Track>,
    inputs: Vec<Vec<f64>>,
    /// Of each input, the row after the one at which it last moved.
    moved: Vec<usize>,
    rows: usize,
}

/// One output.
#[derive(Clone, Debug, Default)]
struct Track {
    values: Vec<f64>,
    grams: HashMap<[u64; GRAM], Vec<usize>>,
    /// By lag.
    runs: BTreeMap<usize, Run>,
    /// What the readings of lags that have lived were, while nothing was told.
    lived: Counts,
    /// Readings that moved in the longest run that ended with a difference, while nothing was told.
    longest: usize,
}

/// How many readings moved and were as they were a lag ago, and how many differed.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    same: f64,
    differ: f64,
}

impl Counts {
    fn take(&mut self, same: bool) {
        *(if same { &mut self.same } else { &mut self.differ }) += 1.0;
    }

    fn without(self, other: Self) -> Self {
        Self { same: (self.same - other.same).max(0.0), differ: (self.differ - other.differ).max(0.0) }
    }

    /// Share that were the same.
    fn share(self) -> f64 {
        let (same, differ) = (self.same + SUPPOSED.same, self.differ + SUPPOSED.differ);
        same / (same + differ)
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
    /// Its readings of late, and what of [`Track::lived`] is its own.
    lately: Counts,
    own: Counts,
}

impl Run {
    /// Whether it is no chance, where an output is as it was by a chance of `share`, and was for at most `longest` readings.
    fn proven(&self, share: f64, longest: usize) -> bool {
        let (rows, moved) = self.exact;
        let exact = rows >= ROWS && moved >= MOVES && moved > LONGER * longest;
        if exact && -share.ln() * moved as f64 >= NATS {
            return true;
        }
        let Counts { same, differ } = self.lately;
        let nats = || same * (LEFT / share).ln() + differ * ((1.0 - LEFT) / (1.0 - share)).ln();
        self.inputs_differ() && self.sum >= PROVEN && nats() >= NATS
    }

    /// Whether the inputs are others than they were.
    fn inputs_differ(&self) -> bool {
        self.others as f64 > OTHERS * self.rows as f64
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
        Self { remembered, outputs: vec![], inputs: vec![], moved: vec![], rows: 0 }
    }

    /// Takes a row in; which outputs repeat themselves.
    pub(super) fn take(&mut self, inputs: &[f64], outputs: &[f64]) -> Vec<Option<Repeats>> {
        if outputs.iter().all(|v| v.is_nan()) {
            return self.told();
        }
        if self.rows >= self.remembered {
            self.forget(self.remembered.div_ceil(FORGOTTEN));
        }
        self.outputs.resize_with(outputs.len(), Track::default);
        self.inputs.resize_with(inputs.len(), Vec::new);
        self.inputs.iter_mut().zip(inputs).for_each(|(all, v)| hold(all, *v));
        self.moved.resize(inputs.len(), 0);
        let (i, inputs) = (self.rows, &self.inputs);
        let differs = |v: &[f64], lag: usize| {
            let (now, then) = (v.get(i).copied(), i.checked_sub(lag).and_then(|k| v.get(k)).copied());
            now.is_some_and(f64::is_finite) && then != now
        };
        for (moved, v) in self.moved.iter_mut().zip(inputs) {
            let known = i > 0 && v.get(i - 1).is_some_and(|v| v.is_finite());
            if known && differs(v, 1) {
                *moved = i + 1;
            }
        }
        // One that is never twice the same may have nothing to do with what repeats: all that move have to be others.
        let lately = |moved: usize| moved > 0 && i + 1 - moved <= MOVED;
        let moving = inputs.iter().zip(&self.moved).filter(|(_, at)| lately(**at)).map(|(v, _)| v);
        let moving: Vec<&[f64]> = moving.map(Vec::as_slice).collect();
        let others = |lag: usize| !moving.is_empty() && moving.iter().all(|v| differs(v, lag));
        for (track, value) in self.outputs.iter_mut().zip(outputs) {
            track.take(i, *value, &others);
        }
        self.rows += 1;
        self.told()
    }

    /// Forgets the oldest rows.
    fn forget(&mut self, rows: usize) {
        let rows = rows.min(self.rows);
        self.rows -= rows;
        self.moved.iter_mut().for_each(|at| *at = at.saturating_sub(rows));
        self.inputs.iter_mut().for_each(|all| drop(all.drain(..rows.min(all.len()))));
        self.outputs.iter_mut().for_each(|track| track.forget(rows));
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
        let told = self.runs.values().any(|run| run.told);
        let (lived, longest) = (&mut self.lived, &mut self.longest);
        self.runs.retain(|lag, run| {
            run.rows += 1;
            run.others += usize::from(others(*lag));
            let same = v[i] == v[i - lag];
            if moved || !same {
                let kept = 1.0 - 1.0 / LATELY;
                run.lately = Counts { same: run.lately.same * kept, differ: run.lately.differ * kept };
                run.lately.take(same);
                if run.rows > LIVED && !told {
                    run.own.take(same);
                    lived.take(same);
                }
            }
            if same {
                run.exact = (run.exact.0 + 1, run.exact.1 + usize::from(moved));
                run.sum = (run.sum + f64::from(u8::from(moved))).min(MOST);
            } else {
                if !told {
                    *longest = run.exact.1.max(*longest);
                }
                run.exact = (0, 0);
                run.sum -= DIFFERS;
            }
            run.sum > 0.0
        });
        for (lag, run) in &mut self.runs {
            // What was told by a sum is over below a lower one; what was told by a run without a difference, with the first.
            let holds = run.told && (run.exact.0 >= ROWS || run.inputs_differ() && run.sum >= OVER);
            let settled = i + 1 >= run.rows + lag + BEGINNING;
            let share = self.lived.without(run.own).share();
            let begins = !holds && settled && run.proven(share, self.longest);
            if begins {
                self.lived = self.lived.without(run.own);
                run.own = Counts::default();
            }
            run.told = holds || begins;
        }
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
            let begun = Run { rows: GRAM, exact: (GRAM, moves), sum: moves as f64, ..Run::default() };
            self.runs.entry(i - at).or_insert(begun);
        }
        places.push(i);
        if places.len() > 2 * PLACES {
            places.drain(..PLACES);
        }
    }

    fn forget(&mut self, rows: usize) {
        self.values.drain(..rows.min(self.values.len()));
        self.grams.retain(|_, places| {
            places.retain(|at| *at >= rows);
            places.iter_mut().for_each(|at| *at -= rows);
            !places.is_empty()
        });
        let left = self.values.len();
        self.runs.retain(|lag, _| *lag <= left);
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

    /// A coarse sensor on a thing that a timer heats says the same for hours, whether or not another input is never the same.
    #[test]
    fn a_timer_under_a_coarse_sensor_is_no_replay() {
        for seed in 1..5 {
            for period in [20, 33, 50] {
                let (mut state, mut value) = (seed, 20.0);
                let mut watches = [Replay::default(), Replay::default()];
                for k in 0..3000 {
                    let load = if k % period < period / 3 { 100.0 } else { 0.0 };
                    value += (20.0 + 0.3 * load - value) / 15.0;
                    let noise: usize = (0..8).map(|_| dice(&mut state)).sum();
                    let read = ((value + 0.008 * (noise as f64 - 12.0)) / 0.5).round() * 0.5;
                    let room = 20.0 + 0.01 * noise as f64 + 0.001 * dice(&mut state) as f64;
                    let found =
                        [watches[0].take(&[load], &[read])[0], watches[1].take(&[load, room], &[read])[0]];
                    assert_eq!(found, [None; 2], "seed {seed}, period {period}, row {k}");
                }
            }
        }
    }

    #[test]
    fn what_is_told_stays_told_while_the_oldest_rows_are_forgotten() {
        let live = walk(9, 1800);
        let mut watch = Replay::remembering(2000);
        assert!(live.iter().all(|v| watch.take(&[], &[*v])[0].is_none()));
        let mut played: Vec<f64> = live;
        for k in 0..1500 {
            played.push(played[1200 + k]);
            let found = watch.take(&[], &[played[1800 + k]])[0];
            assert!(k < 130 || found.is_some(), "row {k}");
        }
    }
}
