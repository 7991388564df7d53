//! What a stream has been doing of late: means and spreads over several times, and its last values.

/// Exponential mean and variance; a plain mean of all rows until there are as many as its time constant.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    tau_rows: f64,
    rows: f64,
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub var: f64,
}

impl Moments {
    /// Over about so many rows.
    pub fn over(tau_rows: f64) -> Self {
        Self { tau_rows, rows: 0.0, mean: 0.0, var: 0.0 }
    }

    /// Takes a value in.
    pub fn take(&mut self, value: f64) {
        self.rows = (self.rows + 1.0).min(self.tau_rows);
        let (a, d) = (1.0 / self.rows, value - self.mean);
        self.mean += a * d;
        self.var = (1.0 - a) * (self.var + a * d * d);
    }
}

/// The last values of a stream, the latest first.
#[derive(Clone, Debug)]
pub struct Lately<const N: usize>(pub [f64; N]);

impl<const N: usize> Default for Lately<N> {
    fn default() -> Self {
        Self([0.0; N])
    }
}

impl<const N: usize> Lately<N> {
    /// Takes a value in.
    pub fn take(&mut self, value: f64) {
        self.0.rotate_right(1);
        self.0[0] = value;
    }
}
