//! How good the model is on this stream: scale and correlation of the whitened innovations, learnt from the stream's own
//! past, so that a model error that was always there is no fault.
//!
//! ```
//! use twinfleet_engine::compare::noise::Calibration;
//! let mut c = Calibration::default();
//! for k in 0..500 {
//!     c.take(if k % 2 == 0 { 2.0 } else { -2.0 });
//! }
//! assert!((c.scale() - 2.0).abs() < 0.3);
//! ```

use std::collections::VecDeque;

/// Readings before the calibration is trusted.
pub const WARM_UP: u32 = 60;
/// Memory of the running moments, in readings.
const MEMORY: f64 = 600.0;
/// Innovations are clipped to so many scales before they enter the moments.
const CLIP: f64 = 3.0;

/// Lengths of the blocks over which slow misfit is measured, in readings.
const BLOCKS: [u16; 2] = [24, 96];
/// Readings before a block is counted: a fault that grows slowly is not to hide behind its own misfit.
const BLOCK_DELAY: u16 = 600;
/// Blocks that a variance of 1 counts for before the first was seen, and memory in blocks.
const BLOCKS_BEFORE: u16 = 8;
const BLOCKS_MEMORY: u16 = 40;

/// Running robust scale, lag-one correlation and slow misfit of whitened innovations.
#[derive(Clone, Debug)]
pub struct Calibration {
    n: u32,
    var: f64,
    cov: f64,
    last: f64,
    blocks: [Block; BLOCKS.len()],
}

impl Default for Calibration {
    fn default() -> Self {
        Self { n: 0, var: 1.0, cov: 0.0, last: f64::NAN, blocks: BLOCKS.map(|_| Block::new()) }
    }
}

/// Sums of a fixed number of neighbours: of variance 1 a reading while these are white.
#[derive(Clone, Debug)]
struct Block {
    sum: f64,
    var: f64,
    /// Squared sums that wait to be counted, the oldest first.
    waiting: VecDeque<f64>,
    /// Neighbours in the sum, and blocks that the variance stands for.
    n: u16,
    weight: u16,
}

impl Block {
    fn new() -> Self {
        Self { sum: 0.0, var: 1.0, waiting: VecDeque::new(), n: 0, weight: BLOCKS_BEFORE }
    }

    fn take(&mut self, z: f64, length: u16) {
        self.n += 1;
        self.sum += z;
        if self.n < length {
            return;
        }
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.reserve_exact(self.waiting.len() / 4 + 1);
        }
        self.waiting.push_back(self.sum * self.sum / f64::from(length));
        (self.n, self.sum) = (0, 0.0);
        if self.waiting.len() > usize::from(BLOCK_DELAY / length)
            && let Some(square) = self.waiting.pop_front()
        {
            self.weight = (self.weight + 1).min(BLOCKS_MEMORY);
            self.var += (square.min(CLIP * CLIP * self.var.max(1.0)) - self.var) / f64::from(self.weight);
        }
    }
}

impl Calibration {
    /// A whitened innovation of a time without a verdict.
    pub fn take(&mut self, z: f64) {
        if !z.is_finite() {
            return;
        }
        self.n = self.n.saturating_add(1);
        let gain = (1.0 / f64::from(self.n.max(10))).max(1.0 / MEMORY);
        let limit = CLIP * self.var.sqrt();
        let clipped = z.clamp(-limit, limit);
        // Clipping at 3 scales takes 1.3 % of a normal's variance away.
        self.var = (self.var + gain * (clipped * clipped / 0.987 - self.var)).max(1e-4);
        if self.last.is_finite() {
            self.cov += gain * (clipped * self.last - self.cov);
        }
        self.last = clipped;
        let scale = self.scale();
        self.blocks.iter_mut().zip(BLOCKS).for_each(|(b, length)| b.take(clipped / scale, length));
    }

    /// Whether enough was seen.
    pub fn ready(&self) -> bool {
        self.n >= WARM_UP
    }

    /// Standard deviation of the whitened innovations: 1 for a perfect model.
    pub fn scale(&self) -> f64 {
        self.var.sqrt()
    }

    /// Correlation of neighbours: 0 for a perfect model.
    pub fn correlation(&self) -> f64 {
        (self.cov / self.var).clamp(-0.9, 0.9)
    }

    /// By how much a slow misfit counts for less than its number of readings says, at least 1: `(1 + ρ) / (1 − ρ)`, or the
    /// variance that sums over many readings have shown, if that is more.
    pub fn dilution(&self) -> f64 {
        let rho = self.correlation().max(0.0);
        self.blocks.iter().fold((1.0 + rho) / (1.0 - rho), |most, b| most.max(b.var))
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self, bytes: &mut Vec<u8>) {
        for x in [self.var, self.cov, self.last].into_iter().chain(self.blocks.iter().map(|b| b.var)) {
            bytes.extend_from_slice(&x.to_bits().to_le_bytes());
        }
    }
}

/// Degrees of freedom of the heavy-tailed likelihood.
const TAIL: f64 = 5.0;

/// Negative log-likelihood of a scaled innovation under Student's t with five degrees of freedom, less its value at 0:
/// quadratic near 0, and a single wild reading weighs a few nats at most.
pub fn cost(z: f64) -> f64 {
    0.5 * (TAIL + 1.0) * (1.0 + z * z / TAIL).ln()
}

/// The sum of [`cost`] over many: the logarithm of a product, taken before that grows out of range.
pub fn costs(zs: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut product) = (0.0, 1.0);
    for z in zs {
        product *= 1.0 + z * z * (1.0 / TAIL);
        if product > 1e100 {
            sum += product.ln();
            product = 1.0;
        }
    }
    0.5 * (TAIL + 1.0) * (sum + product.ln())
}

/// Weight of a scaled innovation in the matching least squares.
pub fn weight(z: f64) -> f64 {
    (TAIL + 1.0) / (TAIL + z * z)
}
