//! Runs of identical values against those the stream is used to.

/// Shortest run that is looked at.
const SHORTEST: u64 = 6;

/// The run of identical values in progress.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub value: f64,
    /// Sample of its first value.
    pub start: u64,
    length: u64,
    /// Longest run of the past, fading.
    longest: f64,
    /// Chance that a value that was repeated is repeated again.
    repeat: f64,
    n: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { value: f64::NAN, start: 0, length: 0, longest: 2.0, repeat: 0.5, n: 0 }
    }
}

impl Run {
    /// A run that begins anew with what another one learnt.
    pub fn after(self, other: &Self) -> Self {
        Self { longest: other.longest, repeat: other.repeat, n: other.n, ..self }
    }

    pub fn take(&mut self, value: f64, i: u64) {
        self.n += 1;
        let gain = (1.0 / (self.n as f64 + 1.0)).max(0.003);
        if value == self.value {
            self.length += 1;
            if self.length > 2 {
                self.repeat += gain * (1.0 - self.repeat);
            }
        } else {
            if self.length > 1 {
                self.repeat -= gain * self.repeat;
            }
            self.longest = (self.longest * 0.9995).max(self.length as f64);
            (self.value, self.start, self.length) = (value, i, 1);
        }
    }

    /// Whether it is worth a look.
    pub fn long(&self) -> bool {
        self.length >= SHORTEST
    }

    /// Whether other hypotheses had better wait for it to end.
    pub fn suspect(&self) -> bool {
        self.length >= 4
    }

    /// Evidence of the run alone beyond the longest one seen, [nat].
    pub fn surprise(&self) -> f64 {
        (self.length as f64 - self.longest).max(0.0) * -self.repeat.clamp(0.05, 0.95).ln()
    }
}
