//! What is believed of an input's future: a mean-reverting process whose mean, spread and correlation time are learnt from
//! the input's own past.
//!
//! ```
//! use twinfleet_engine::predict::load::Load;
//! let mut load = Load::new(50.0, 30.0, 60.0);
//! for k in 0..7200 {
//!     load.observe(if (k / 600) % 2 == 0 { 20.0 } else { 80.0 }, 1.0);
//! }
//! assert!((load.mean() - 50.0).abs() < 10.0, "{}", load.mean());
//! assert!((150.0..500.0).contains(&load.correlation_s()), "{}", load.correlation_s());
//! ```

/// Past over which the figures are averaged, [s]: they follow a device whose use changes from hour to hour.
const MEMORY_S: f64 = 3600.0;
/// Weight of what was believed before, in correlation times.
const PRIOR_CORRELATIONS: f64 = 5.0;

/// Running figures of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    weight_s: f64,
    sum: f64,
    squares: f64,
    /// Time and squared increments seen.
    moved_s: f64,
    moves: f64,
    last: Option<f64>,
    dt_s: f64,
}

impl Load {
    /// Starts from a mean, a standard deviation and a correlation time, [s].
    pub fn new(mean: f64, std: f64, correlation_s: f64) -> Self {
        let weight_s = PRIOR_CORRELATIONS * correlation_s;
        Self {
            weight_s,
            sum: weight_s * mean,
            squares: weight_s * (std * std + mean * mean),
            moved_s: weight_s,
            // E[(Δu)²]/Δt of the process for small Δt.
            moves: weight_s * 2.0 * std * std / correlation_s,
            last: None,
            dt_s: 0.0,
        }
    }

    /// Takes in a reading that stands for the last `dt_s`.
    pub fn observe(&mut self, value: f64, dt_s: f64) {
        let keep = (-dt_s / MEMORY_S).exp();
        self.weight_s = keep * self.weight_s + dt_s;
        self.sum = keep * self.sum + dt_s * value;
        self.squares = keep * self.squares + dt_s * value * value;
        if let Some(last) = self.last {
            self.moved_s = keep * self.moved_s + dt_s;
            self.moves = keep * self.moves + (value - last) * (value - last);
            self.dt_s = if self.dt_s > 0.0 { self.dt_s + 0.01 * (dt_s - self.dt_s) } else { dt_s };
        }
        self.last = Some(value);
    }

    /// A gap: increments across it say nothing.
    pub fn skip(&mut self) {
        self.last = None;
    }

    /// Long-run mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.weight_s
    }

    /// Long-run variance.
    pub fn var(&self) -> f64 {
        let mean = self.mean();
        (self.squares / self.weight_s - mean * mean).max(1e-9)
    }

    /// Correlation time, [s]: increments over Δt have the variance 2σ²(1 − e^(−Δt/τ)).
    pub fn correlation_s(&self) -> f64 {
        let per_s = self.moves / self.moved_s;
        let dt = self.dt_s.max(1e-3);
        let share = (per_s * dt / (2.0 * self.var())).clamp(1e-9, 0.999);
        -dt / (-share).ln_1p()
    }

    /// Its figures, in the order in which [`Self::set_numbers`] takes them.
    pub(crate) fn numbers(&self) -> [f64; Self::NUMBERS] {
        let last = self.last.unwrap_or(f64::NAN);
        [self.weight_s, self.sum, self.squares, self.moved_s, self.moves, self.dt_s, last]
    }

    pub(crate) const NUMBERS: usize = 7;

    pub(crate) fn set_numbers(&mut self, numbers: [f64; Self::NUMBERS]) {
        let [weight_s, sum, squares, moved_s, moves, dt_s, last] = numbers;
        *self =
            Self { weight_s, sum, squares, moved_s, moves, dt_s, last: Some(last).filter(|l| !l.is_nan()) };
    }

    pub(crate) fn bytes(&self, out: &mut Vec<u8>) {
        for x in [self.weight_s, self.sum, self.squares, self.moved_s, self.moves, self.dt_s] {
            out.extend_from_slice(&x.to_le_bytes());
        }
        out.extend_from_slice(&self.last.unwrap_or(f64::NAN).to_le_bytes());
    }
}
