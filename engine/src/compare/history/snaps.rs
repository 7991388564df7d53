//! States of the estimator along the past: as plain numbers where it can tell itself so, else as whole copies.

use crate::predict::Estimator;

/// A state is kept every so many samples …
pub(super) const SNAP_EVERY: u64 = 15;
/// … over so many samples; before that every [`SNAP_EVERY_OLD`].
const SNAP_FINE: u64 = 150;
const SNAP_EVERY_OLD: u64 = 60;

/// The states kept, by the sample that each stands before, ascending.
#[derive(Default)]
pub(super) struct Snaps {
    at: Vec<u64>,
    /// One after the other, each of the same length.
    numbers: Vec<f64>,
    whole: Vec<Box<dyn Estimator>>,
}

impl Snaps {
    fn stride(&self) -> usize {
        self.numbers.len() / self.at.len().max(1)
    }

    pub fn first(&self) -> Option<u64> {
        self.at.first().copied()
    }

    pub fn last(&self) -> Option<u64> {
        self.at.last().copied()
    }

    /// Keeps the state before sample `i`, finely spaced over the last samples and coarsely before.
    pub fn push(&mut self, i: u64, state: &dyn Estimator) {
        if self.at.len() == self.at.capacity() {
            // Room for one more each time, where doubling would leave half of it empty in every twin.
            let stride = self.stride();
            self.at.reserve_exact(1 + self.at.len() / 4);
            self.numbers.reserve_exact(stride * (1 + self.at.len() / 4));
        }
        let before = self.numbers.len();
        if !state.numbers(&mut self.numbers) {
            self.numbers.truncate(before);
            self.whole.push(state.fork());
        }
        self.at.push(i);
        let edge = i.saturating_sub(SNAP_FINE);
        if let Some(old) = self.at.iter().position(|s| *s < edge && !s.is_multiple_of(SNAP_EVERY_OLD)) {
            self.remove(old);
        }
    }

    fn remove(&mut self, place: usize) {
        let stride = self.stride();
        self.numbers.drain(place * stride..(place + 1) * stride);
        if !self.whole.is_empty() {
            self.whole.remove(place);
        }
        self.at.remove(place);
    }

    /// Forgets the states before samples older than `first`.
    pub fn forget_before(&mut self, first: u64) {
        while self.first().is_some_and(|s| s < first) {
            self.remove(0);
        }
    }

    /// Forgets the states before samples newer than `last`.
    pub fn forget_after(&mut self, last: u64) {
        while self.last().is_some_and(|s| s > last) {
            self.remove(self.at.len() - 1);
        }
    }

    /// The newest state at or before sample `i`, and its sample. `like` is any state of the same estimator.
    pub fn before(&self, i: u64, like: &dyn Estimator) -> Option<(u64, Box<dyn Estimator>)> {
        let place = self.at.partition_point(|s| *s <= i).checked_sub(1)?;
        let state = match self.whole.get(place) {
            Some(whole) => whole.fork(),
            None => {
                let stride = self.stride();
                let mut state = like.fork();
                state.set_numbers(&self.numbers[place * stride..(place + 1) * stride]);
                state
            }
        };
        Some((self.at[place], state))
    }
}
