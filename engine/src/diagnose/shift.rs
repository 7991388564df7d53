//! When a stream of whitened innovations deserves a closer look.

/// A single one, and the sum of squares over all outputs beyond their number, that raise suspicion.
const WILD: f64 = 3.5;
const JOINT: f64 = 14.0;
/// Slack and limit of the cumulative sums (Page, Biometrika 41, 1954).
const SLACK: f64 = 0.5;
const LIMIT: f64 = 8.0;

/// Cumulative sums of each output, in both directions.
#[derive(Clone, Debug)]
pub(super) struct Shift {
    sums: Vec<[f64; 2]>,
}

impl Shift {
    pub(super) fn new(outputs: usize) -> Self {
        Self { sums: vec![[0.0; 2]; outputs] }
    }

    /// Takes the scaled innovations of a row (NaN: none), and says whether they are suspicious.
    pub(super) fn take(&mut self, z: &[f64]) -> bool {
        let mut suspicious = false;
        let (mut squares, mut n) = (0.0, 0.0);
        for (sums, z) in self.sums.iter_mut().zip(z).filter(|(_, z)| z.is_finite()) {
            suspicious |= z.abs() > WILD;
            squares += z * z;
            n += 1.0;
            for (sum, z) in sums.iter_mut().zip([*z, -z]) {
                *sum = (*sum + z.clamp(-3.0, 3.0) - SLACK).max(0.0);
                if *sum > LIMIT {
                    *sum = 0.0;
                    suspicious = true;
                }
            }
        }
        suspicious || squares > n + JOINT
    }
}
