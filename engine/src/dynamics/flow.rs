//! What a step does to the mean and the spread of states, inputs and parameters, found by doublings from a short step.
//!
//! With J the Jacobian of the rates, a step of length h is told by `M = e^(hJ) − I` and `Φ = h·φ₁(hJ)`; a step of twice the
//! length by `2M + M²` and `2Φ + MΦ`. M rather than the exponential itself is kept, since near the identity the small
//! entries are what counts (Higham, *Functions of Matrices*, §10.7.4). Rows of J from `n` on are those of inputs, which
//! depend on themselves alone, so they hold but their diagonal; parameters do not move at all. Nothing here allocates once
//! its buffers have grown.

use super::dense::Mat;

/// Longest step of the series, in units of J's 1-norm: there its remainder is below 10⁻¹⁷.
const SERIES_NORM: f64 = 0.75;
/// 1/(k + 1)!, the coefficients of φ₁.
const SERIES: [f64; 16] = {
    let mut c = [1.0; 16];
    let mut k = 1;
    while k < 16 {
        c[k] = c[k - 1] / (k + 1) as f64;
        k += 1;
    }
    c
};

/// `out = a·b` for matrices whose rows from `n` on hold but their diagonal.
#[inline(always)]
fn mul(n: usize, d: usize, a: &[f64], b: &[f64], out: &mut [f64]) {
    let (a, b, out) = (&a[..d * d], &b[..d * d], &mut out[..d * d]);
    out.fill(0.0);
    for i in 0..n {
        let (row, to) = (&a[i * d..(i + 1) * d], &mut out[i * d..(i + 1) * d]);
        for k in 0..n {
            for (o, y) in to.iter_mut().zip(&b[k * d..(k + 1) * d]) {
                *o += row[k] * y;
            }
        }
        for k in n..d {
            to[k] += row[k] * b[k * d + k];
        }
    }
    for k in n..d {
        out[k * d + k] = a[k * d + k] * b[k * d + k];
    }
}

/// The 1-norm: the largest sum of a column's absolute values.
fn norm_1(d: usize, a: &[f64]) -> f64 {
    (0..d).map(|j| (0..d).map(|i| a[i * d + j].abs()).sum()).fold(0.0, f64::max)
}

/// M and Φ of steps of doubling length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    n: usize,
    d: usize,
    /// J, `d` × `d`, for the caller to fill.
    pub(crate) j: Vec<f64>,
    /// Φ of the step that [`Self::start`] was asked for.
    pub(crate) phi_short: Vec<f64>,
    /// Φ after all doublings.
    pub(crate) phi: Vec<f64>,
    /// M of that step and of each doubling, one after the other.
    m: Vec<f64>,
    powers: [Vec<f64>; 4],
    moved: Vec<f64>,
}

impl Flow {
    /// Makes room for `n` states and `d - n` inputs, and clears J.
    pub(crate) fn reset(&mut self, n: usize, d: usize) {
        (self.n, self.d) = (n, d);
        self.j.clear();
        self.j.resize(d * d, 0.0);
        for v in [&mut self.phi_short, &mut self.phi].into_iter().chain(&mut self.powers) {
            v.resize(d * d, 0.0);
        }
    }

    /// M of the short step doubled `level` times.
    pub(crate) fn m(&self, level: usize) -> &[f64] {
        let size = self.d * self.d;
        &self.m[level * size..(level + 1) * size]
    }

    /// M and Φ of a step of length `h`, and of so many doublings of it.
    pub(crate) fn start(&mut self, h: f64, doublings: usize) {
        let (n, d) = (self.n, self.d);
        let size = d * d;
        let norm = norm_1(d, &self.j) * h;
        let halvings = if norm > SERIES_NORM { (norm / SERIES_NORM).log2().ceil() as i32 } else { 0 };
        self.m.resize(size * (doublings + 1), 0.0);
        self.series(h * 0.5f64.powi(halvings));
        for _ in 0..halvings {
            let (m, twice) = (&mut self.m[..size], &mut self.powers[0]);
            mul(n, d, m, &self.phi, twice);
            for (p, t) in self.phi.iter_mut().zip(twice.iter()) {
                *p = 2.0 * *p + t;
            }
            mul(n, d, m, m, twice);
            for (m, t) in m.iter_mut().zip(twice.iter()) {
                *m = 2.0 * *m + t;
            }
        }
        self.phi_short.copy_from_slice(&self.phi);
        for level in 0..doublings {
            let (before, after) = self.m.split_at_mut((level + 1) * size);
            let (m, to, moved) = (&before[level * size..], &mut after[..size], &mut self.powers[0]);
            mul(n, d, m, &self.phi, moved);
            for (p, t) in self.phi.iter_mut().zip(moved.iter()) {
                *p = 2.0 * *p + t;
            }
            mul(n, d, m, m, to);
            for (t, m) in to.iter_mut().zip(m) {
                *t += 2.0 * m;
            }
        }
    }

    /// The fastest rate at which anything decays, [1/s].
    pub(crate) fn fastest(&self) -> f64 {
        (0..self.d).map(|i| self.j[i * self.d + i].abs()).fold(0.0, f64::max)
    }

    /// What `q` parameters add to the states, one row a state, over twice the step of this level: `C ← 2C + MC`.
    pub(crate) fn double_by(&mut self, level: usize, by: &mut [f64], q: usize) {
        let (n, d) = (self.n, self.d);
        let moved = &mut self.moved;
        moved.clear();
        moved.resize(n * q, 0.0);
        let m = &self.m[level * d * d..];
        for i in 0..n {
            for (k, x) in m[i * d..i * d + n].iter().enumerate() {
                for (o, c) in moved[i * q..(i + 1) * q].iter_mut().zip(&by[k * q..(k + 1) * q]) {
                    *o += x * c;
                }
            }
        }
        for (c, moved) in by.iter_mut().zip(moved.iter()) {
            *c = 2.0 * *c + moved;
        }
    }

    /// M and Φ of a step that is short against J, by the series of φ₁ in powers of (hJ)⁴.
    fn series(&mut self, h: f64) {
        let (n, d) = (self.n, self.d);
        let [a1, a2, a3, a4] = &mut self.powers;
        for (a, j) in a1.iter_mut().zip(&self.j) {
            *a = h * j;
        }
        mul(n, d, a1, a1, a2);
        mul(n, d, a2, a1, a3);
        mul(n, d, a2, a2, a4);
        let (phi, spare) = (&mut self.phi, &mut self.m[..d * d]);
        spare.fill(0.0);
        for (first, c) in SERIES.chunks(4).rev().enumerate() {
            if first > 0 {
                mul(n, d, a4, phi, spare);
            }
            for (i, p) in phi.iter_mut().enumerate() {
                *p = spare[i] + c[1] * a1[i] + c[2] * a2[i] + c[3] * a3[i];
            }
            for i in 0..d {
                phi[i * d + i] += c[0];
            }
        }
        mul(n, d, a1, phi, spare);
        phi.iter_mut().for_each(|p| *p *= h);
    }
}

/// Covariance of `d` states and inputs with themselves and with `l` parameters, and of those.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) ss: Vec<f64>,
    pub(crate) sl: Vec<f64>,
    pub(crate) ll: Vec<f64>,
    moved_ss: Vec<f64>,
    moved_sl: Vec<f64>,
}

impl Spread {
    /// Makes room, and clears everything.
    pub(crate) fn reset(&mut self, d: usize, l: usize) {
        for (v, size) in [
            (&mut self.ss, d * d),
            (&mut self.sl, d * l),
            (&mut self.ll, l * l),
            (&mut self.moved_ss, d * d),
            (&mut self.moved_sl, d * l),
        ] {
            v.clear();
            v.resize(size, 0.0);
        }
    }

    /// `F·P·Fᵀ` with the transition `F = [I + M, C; 0, I]`: the parameters move nothing but the states. The rows of `c`, one
    /// a state, are `stride` apart, and hold at least `l` columns. With `keep`, what was there is added.
    #[inline(always)]
    pub(crate) fn carry(
        &mut self,
        (n, d, l): (usize, usize, usize),
        m: &[f64],
        (c, stride): (&[f64], usize),
        keep: bool,
    ) {
        let (m, ll) = (&m[..d * d], &self.ll[..l * l]);
        let (ss, sl) = (&mut self.ss[..d * d], &mut self.sl[..d * l]);
        let (h, g) = (&mut self.moved_ss[..d * d], &mut self.moved_sl[..d * l]);
        h.copy_from_slice(ss);
        g.copy_from_slice(sl);
        for i in 0..n {
            let (row, by) = (&m[i * d..(i + 1) * d], &c[i * stride..i * stride + l]);
            let (to, to_l) = (&mut h[i * d..(i + 1) * d], &mut g[i * l..(i + 1) * l]);
            for k in 0..d {
                for (o, x) in to.iter_mut().zip(&ss[k * d..(k + 1) * d]) {
                    *o += row[k] * x;
                }
                for (o, x) in to_l.iter_mut().zip(&sl[k * l..(k + 1) * l]) {
                    *o += row[k] * x;
                }
            }
            for k in 0..l {
                for (j, o) in to.iter_mut().enumerate() {
                    *o += by[k] * sl[j * l + k];
                }
                for (o, x) in to_l.iter_mut().zip(&ll[k * l..(k + 1) * l]) {
                    *o += by[k] * x;
                }
            }
        }
        for i in n..d {
            let keeps = m[i * d + i];
            h[i * d..(i + 1) * d].iter_mut().for_each(|x| *x += keeps * *x);
            g[i * l..(i + 1) * l].iter_mut().for_each(|x| *x += keeps * *x);
        }
        for i in 0..d {
            for j in 0..=i {
                let mut v = h[i * d + j];
                if j < n {
                    for k in 0..d {
                        v += h[i * d + k] * m[j * d + k];
                    }
                    for k in 0..l {
                        v += g[i * l + k] * c[j * stride + k];
                    }
                } else {
                    v += h[i * d + j] * m[j * d + j];
                }
                if keep {
                    v += ss[i * d + j];
                }
                ss[i * d + j] = v;
                ss[j * d + i] = v;
            }
        }
        if keep {
            for (x, moved) in sl.iter_mut().zip(g.iter()) {
                *x += moved;
            }
            self.ll.iter_mut().for_each(|x| *x += *x);
        } else {
            sl.copy_from_slice(g);
        }
    }

    /// Multiplies everything.
    pub(crate) fn scale(&mut self, by: f64) {
        for x in self.ss.iter_mut().chain(&mut self.sl).chain(&mut self.ll) {
            *x *= by;
        }
    }

    /// Adds a covariance with the first `l` of the `wide` parameters.
    pub(crate) fn add(&mut self, other: &Self, (d, wide, l): (usize, usize, usize)) {
        for (x, y) in self.ss.iter_mut().zip(&other.ss) {
            *x += y;
        }
        for i in 0..d {
            for k in 0..l {
                self.sl[i * wide + k] += other.sl[i * l + k];
            }
        }
        for i in 0..l {
            for k in 0..l {
                self.ll[i * wide + k] += other.ll[i * l + k];
            }
        }
    }
}

/// φ₁(A) = (eᴬ − I)·A⁻¹ = Σ Aᵏ/(k+1)!.
pub(crate) fn phi1(a: &Mat) -> Mat {
    let mut flow = Flow::default();
    flow.reset(a.rows, a.rows);
    flow.j.copy_from_slice(&a.a);
    flow.start(1.0, 0);
    Mat { rows: a.rows, cols: a.rows, a: flow.phi }
}
