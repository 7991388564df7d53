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

/// A size of a matrix. Where it is part of the type, the loops over it are unrolled; the sums stay the same, in the same
/// order.
trait Size: Copy {
    fn get(self) -> usize;
}

impl Size for usize {
    #[inline(always)]
    fn get(self) -> usize {
        self
    }
}

/// A size that the compiler knows.
#[derive(Clone, Copy)]
struct Known<const K: usize>;

impl<const K: usize> Size for Known<K> {
    #[inline(always)]
    fn get(self) -> usize {
        K
    }
}

/// Calls a method with known sizes where these (states; states and inputs) are small, as they are for most things.
macro_rules! by_size {
    ($n:expr, $d:expr, |$a:ident, $b:ident| $call:expr) => {
        match ($n, $d) {
            (1, 1) => by_size!(@ $a = Known::<1>, $b = Known::<1>, $call),
            (1, 2) => by_size!(@ $a = Known::<1>, $b = Known::<2>, $call),
            (2, 2) => by_size!(@ $a = Known::<2>, $b = Known::<2>, $call),
            (2, 3) => by_size!(@ $a = Known::<2>, $b = Known::<3>, $call),
            (3, 3) => by_size!(@ $a = Known::<3>, $b = Known::<3>, $call),
            (3, 4) => by_size!(@ $a = Known::<3>, $b = Known::<4>, $call),
            (4, 4) => by_size!(@ $a = Known::<4>, $b = Known::<4>, $call),
            (n, d) => by_size!(@ $a = n, $b = d, $call),
        }
    };
    (@ $a:ident = $n:expr, $b:ident = $d:expr, $call:expr) => {{
        let ($a, $b) = ($n, $d);
        $call
    }};
}

/// The same for a number of parameters.
macro_rules! by_count {
    ($l:expr, |$a:ident| $call:expr) => {
        match $l {
            0 => by_count!(@ $a = Known::<0>, $call),
            1 => by_count!(@ $a = Known::<1>, $call),
            2 => by_count!(@ $a = Known::<2>, $call),
            3 => by_count!(@ $a = Known::<3>, $call),
            l => by_count!(@ $a = l, $call),
        }
    };
    (@ $a:ident = $l:expr, $call:expr) => {{
        let $a = $l;
        $call
    }};
}

/// `out = a·b` for matrices whose rows from `n` on hold but their diagonal. Each sum is finished before it is stored: small
/// sums that go through memory wait for it.
#[inline(always)]
fn mul(n: impl Size, d: impl Size, a: &[f64], b: &[f64], out: &mut [f64]) {
    let (n, d) = (n.get(), d.get());
    let (a, b, out) = (&a[..d * d], &b[..d * d], &mut out[..d * d]);
    for i in 0..n {
        for j in 0..d {
            let mut v = 0.0;
            for k in 0..n {
                v += a[i * d + k] * b[k * d + j];
            }
            if j >= n {
                v += a[i * d + j] * b[j * d + j];
            }
            out[i * d + j] = v;
        }
    }
    for i in n..d {
        for j in 0..d {
            out[i * d + j] = if i == j { a[i * d + i] * b[i * d + i] } else { 0.0 };
        }
    }
}

/// `out = (I + M)·a + C·bᵀ`, `w` columns wide: what the states' `n` rows of a step make of a covariance with states and
/// inputs (`a`) and with `l` parameters (`b`). The inputs' rows hold but their diagonal.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "four sizes and four matrices, a row of `c` every `stride`")]
fn push(
    n: impl Size,
    d: impl Size,
    w: impl Size,
    l: impl Size,
    m: &[f64],
    a: &[f64],
    (c, stride): (&[f64], usize),
    b: &[f64],
    out: &mut [f64],
) {
    let (n, d, w, l) = (n.get(), d.get(), w.get(), l.get());
    for i in 0..n {
        for j in 0..w {
            let mut v = a[i * w + j];
            for k in 0..d {
                v += m[i * d + k] * a[k * w + j];
            }
            for k in 0..l {
                v += c[i * stride + k] * b[j * l + k];
            }
            out[i * w + j] = v;
        }
    }
    for i in n..d {
        let keeps = 1.0 + m[i * d + i];
        for j in 0..w {
            out[i * w + j] = keeps * a[i * w + j];
        }
    }
}

/// `a ← 2a + more`.
#[inline(always)]
fn twice_and(d: impl Size, a: &mut [f64], more: &[f64]) {
    let size = d.get() * d.get();
    for (a, x) in a[..size].iter_mut().zip(&more[..size]) {
        *a = 2.0 * *a + x;
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
        by_size!(self.n, self.d, |n, d| self.start_sized(n, d, h, doublings));
    }

    #[inline(always)]
    fn start_sized(&mut self, n: impl Size, d: impl Size, h: f64, doublings: usize) {
        let size = d.get() * d.get();
        let norm = norm_1(d.get(), &self.j) * h;
        let halvings = if norm > SERIES_NORM { (norm / SERIES_NORM).log2().ceil() as i32 } else { 0 };
        if self.m.len() < size * (doublings + 1) {
            self.m.resize(size * (doublings + 1), 0.0);
        }
        self.series(n, d, h * 0.5f64.powi(halvings));
        let moved = &mut self.powers[0];
        for _ in 0..halvings {
            let m = &mut self.m[..size];
            mul(n, d, m, &self.phi, moved);
            twice_and(d, &mut self.phi, moved);
            mul(n, d, m, m, moved);
            twice_and(d, m, moved);
        }
        self.phi_short[..size].copy_from_slice(&self.phi[..size]);
        for level in 0..doublings {
            let (m, to) = self.m[level * size..(level + 2) * size].split_at_mut(size);
            mul(n, d, m, &self.phi, moved);
            twice_and(d, &mut self.phi, moved);
            mul(n, d, m, m, moved);
            to.copy_from_slice(m);
            twice_and(d, to, moved);
        }
    }

    /// The fastest rate at which anything decays, [1/s].
    pub(crate) fn fastest(&self) -> f64 {
        (0..self.d).map(|i| self.j[i * self.d + i].abs()).fold(0.0, f64::max)
    }

    /// What `q` parameters add to the states, one row a state, over twice the step of this level: `C ← 2C + MC`.
    pub(crate) fn double_by(&mut self, level: usize, by: &mut [f64], q: usize) {
        by_size!(self.n, self.d, |n, d| by_count!(q, |q| self.double_by_sized(n, d, level, by, q)));
    }

    #[inline(always)]
    fn double_by_sized(&mut self, n: impl Size, d: impl Size, level: usize, by: &mut [f64], q: impl Size) {
        let (n, d, q) = (n.get(), d.get(), q.get());
        self.moved.resize(n * q, 0.0);
        let (moved, by) = (&mut self.moved[..n * q], &mut by[..n * q]);
        let m = &self.m[level * d * d..(level + 1) * d * d];
        for i in 0..n {
            for j in 0..q {
                let mut v = 2.0 * by[i * q + j];
                for k in 0..n {
                    v += m[i * d + k] * by[k * q + j];
                }
                moved[i * q + j] = v;
            }
        }
        by.copy_from_slice(moved);
    }

    /// What `q` parameters add to the states over the short step, from their slopes of the rates: `Φ·slopes`.
    pub(crate) fn moved_by(&self, slopes: &[f64], by: &mut Vec<f64>, q: usize) {
        by.resize(self.n * q, 0.0);
        by_size!(self.n, self.d, |n, d| by_count!(q, |q| self.moved_by_sized(n, d, slopes, by, q)));
    }

    #[inline(always)]
    fn moved_by_sized(&self, n: impl Size, d: impl Size, slopes: &[f64], by: &mut [f64], q: impl Size) {
        let (n, d, q) = (n.get(), d.get(), q.get());
        let (phi, slopes, by) = (&self.phi_short[..d * d], &slopes[..n * q], &mut by[..n * q]);
        for i in 0..n {
            for j in 0..q {
                let mut v = 0.0;
                for k in 0..n {
                    v += phi[i * d + k] * slopes[k * q + j];
                }
                by[i * q + j] = v;
            }
        }
    }

    /// M and Φ of a step that is short against J, by the series of φ₁ in powers of (hJ)⁴.
    #[inline(always)]
    fn series(&mut self, n: impl Size, d: impl Size, h: f64) {
        let size = d.get() * d.get();
        let [a1, a2, a3, a4] = &mut self.powers;
        let (a1, a2, a3, a4) = (&mut a1[..size], &mut a2[..size], &mut a3[..size], &mut a4[..size]);
        for (a, j) in a1.iter_mut().zip(&self.j[..size]) {
            *a = h * j;
        }
        mul(n, d, a1, a1, a2);
        mul(n, d, a2, a1, a3);
        mul(n, d, a2, a2, a4);
        let (phi, spare) = (&mut self.phi[..size], &mut self.m[..size]);
        spare.fill(0.0);
        for (first, c) in SERIES.chunks_exact(4).rev().enumerate() {
            if first > 0 {
                mul(n, d, a4, phi, spare);
            }
            for (i, p) in phi.iter_mut().enumerate() {
                *p = spare[i] + c[1] * a1[i] + c[2] * a2[i] + c[3] * a3[i];
            }
            for i in 0..d.get() {
                phi[i * d.get() + i] += c[0];
            }
        }
        mul(n, d, a1, phi, spare);
        phi.iter_mut().for_each(|p| *p *= h);
    }
}

/// A whole step: M, Φ, what the parameters add, and the noise along it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leap {
    pub(crate) m: Vec<f64>,
    pub(crate) phi: Vec<f64>,
    pub(crate) by: Vec<f64>,
    pub(crate) noise: Spread,
    carried: Spread,
    before: Vec<f64>,
    moved: Vec<f64>,
}

impl Leap {
    /// Takes over another's step.
    pub(crate) fn copy(&mut self, other: &Self) {
        for (to, from) in [(&mut self.m, &other.m), (&mut self.phi, &other.phi), (&mut self.by, &other.by)] {
            to.clear();
            to.extend_from_slice(from);
        }
        self.noise.copy(&other.noise);
    }

    /// Becomes the step that follows `other` by itself, both of the same J: `M + M'(I + M)`, `Φ' + Φ(I + M')`. Sizes are
    /// those of the states, of states and inputs, of the parameters and of the drifting ones among them.
    pub(crate) fn after(&mut self, other: &Self, (n, d, q, drifting): (usize, usize, usize, usize)) {
        self.carried.copy(&other.noise);
        self.carried.carry((n, d, drifting), &self.m, (&self.by, q), false);
        self.noise.add(&self.carried, (n, d, drifting), drifting);
        add_carried(&self.m, d, &mut self.phi, &other.phi, d, &mut self.moved);
        add_carried(&self.m, d, &mut self.by, &other.by, q, &mut self.moved);
        // M itself is added to last, as the others need it.
        self.before.clear();
        self.before.extend_from_slice(&self.m);
        add_carried(&self.before, d, &mut self.m, &other.m, d, &mut self.moved);
    }
}

/// `to ← to + (I + M)·from`; what was added is left in `added`. Rows of `from` are those of M, or the first of them.
fn add_carried(m: &[f64], d: usize, to: &mut [f64], from: &[f64], columns: usize, added: &mut Vec<f64>) {
    added.clear();
    added.extend_from_slice(from);
    for (i, row) in added.chunks_exact_mut(columns.max(1)).enumerate() {
        for (m, from) in m[i * d..].iter().zip(from.chunks_exact(columns.max(1))) {
            for (to, from) in row.iter_mut().zip(from) {
                *to += m * from;
            }
        }
    }
    for (to, more) in to.iter_mut().zip(added) {
        *to += *more;
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
    /// Makes room; what is there is left to the caller.
    pub(crate) fn reset(&mut self, d: usize, l: usize) {
        for v in [&mut self.ss, &mut self.moved_ss] {
            v.resize(d * d, 0.0);
        }
        for v in [&mut self.sl, &mut self.moved_sl] {
            v.resize(d * l, 0.0);
        }
        self.ll.resize(l * l, 0.0);
    }

    /// Takes the covariance of another over, and makes room like its own.
    pub(crate) fn copy(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.ss, &other.ss),
            (&mut self.sl, &other.sl),
            (&mut self.ll, &other.ll),
            (&mut self.moved_ss, &other.ss),
            (&mut self.moved_sl, &other.sl),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
    }

    /// Sets everything to 0.
    pub(crate) fn clear(&mut self) {
        self.ss.fill(0.0);
        self.sl.fill(0.0);
        self.ll.fill(0.0);
    }

    /// `F·P·Fᵀ` with the transition `F = [I + M, C; 0, I]`: the parameters move nothing but the states. The rows of `c`, one
    /// a state, are `stride` apart, and hold at least `l` columns. With `keep`, what was there is added.
    pub(crate) fn carry(
        &mut self,
        (n, d, l): (usize, usize, usize),
        m: &[f64],
        c: (&[f64], usize),
        keep: bool,
    ) {
        by_size!(n, d, |n, d| by_count!(l, |l| self.carry_sized(n, d, l, m, c, keep)));
    }

    #[inline(always)]
    fn carry_sized(
        &mut self,
        n: impl Size,
        d: impl Size,
        l: impl Size,
        m: &[f64],
        (c, stride): (&[f64], usize),
        keep: bool,
    ) {
        let (dd, dl) = (d.get() * d.get(), d.get() * l.get());
        let (m, c, ll) =
            (&m[..dd], &c[..(n.get().max(1) - 1) * stride + l.get()], &self.ll[..l.get() * l.get()]);
        let (ss, sl) = (&mut self.ss[..dd], &mut self.sl[..dl]);
        let (h, g) = (&mut self.moved_ss[..dd], &mut self.moved_sl[..dl]);
        push(n, d, d, l, m, ss, (c, stride), sl, h);
        push(n, d, l, l, m, sl, (c, stride), ll, g);
        let (n, d, l) = (n.get(), d.get(), l.get());
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

    /// Adds a covariance with the first `drifting` of the `l` parameters.
    pub(crate) fn add(&mut self, other: &Self, (n, d, l): (usize, usize, usize), drifting: usize) {
        by_size!(n, d, |_n, d| by_count!(drifting, |k| self.add_sized(other, d, l, k)));
    }

    #[inline(always)]
    fn add_sized(&mut self, other: &Self, d: impl Size, l: usize, drifting: impl Size) {
        let (d, k) = (d.get(), drifting.get());
        for (x, y) in self.ss[..d * d].iter_mut().zip(&other.ss[..d * d]) {
            *x += y;
        }
        for i in 0..d {
            for j in 0..k {
                self.sl[i * l + j] += other.sl[i * k + j];
            }
        }
        for i in 0..k {
            for j in 0..k {
                self.ll[i * l + j] += other.ll[i * k + j];
            }
        }
    }

    /// The blocks of `n` states and `l` parameters out of a joint covariance whose parameters begin at `first` and end it.
    pub(crate) fn take_blocks(&mut self, p: &[f64], (n, l): (usize, usize), first: usize) {
        by_size!(n, n, |n, _d| by_count!(l, |l| self.take_sized(p, n, l, first)));
    }

    #[inline(always)]
    fn take_sized(&mut self, p: &[f64], n: impl Size, l: impl Size, first: usize) {
        let (n, l) = (n.get(), l.get());
        let total = first + l;
        for i in 0..n {
            let row = &p[i * total..(i + 1) * total];
            self.ss[i * n..(i + 1) * n].copy_from_slice(&row[..n]);
            for j in 0..l {
                self.sl[i * l + j] = row[first + j];
            }
        }
        for i in 0..l {
            let row = &p[(first + i) * total..(first + i + 1) * total];
            for j in 0..l {
                self.ll[i * l + j] = row[first + j];
            }
        }
    }

    /// Puts the blocks back to where [`Self::take_blocks`] found them.
    pub(crate) fn give_blocks(&self, p: &mut [f64], (n, l): (usize, usize), first: usize) {
        by_size!(n, n, |n, _d| by_count!(l, |l| self.give_sized(p, n, l, first)));
    }

    #[inline(always)]
    fn give_sized(&self, p: &mut [f64], n: impl Size, l: impl Size, first: usize) {
        let (n, l) = (n.get(), l.get());
        let total = first + l;
        for i in 0..n {
            let row = &mut p[i * total..(i + 1) * total];
            row[..n].copy_from_slice(&self.ss[i * n..(i + 1) * n]);
            for j in 0..l {
                row[first + j] = self.sl[i * l + j];
            }
        }
        for i in 0..l {
            let row = &mut p[(first + i) * total..(first + i + 1) * total];
            for (j, to) in row[..n].iter_mut().enumerate() {
                *to = self.sl[j * l + i];
            }
            for j in 0..l {
                row[first + j] = self.ll[i * l + j];
            }
        }
    }
}

/// Takes a scalar reading into a covariance `p` of `total` rows, by Joseph's form, which stays positive under rounding.
/// `column` is that of the state read, `spread` its variance with the reading's own.
pub(crate) fn take_reading(total: usize, p: &mut [f64], column: &[f64], gain: &[f64], spread: f64) {
    match total {
        1 => take_reading_sized(Known::<1>, p, column, gain, spread),
        2 => take_reading_sized(Known::<2>, p, column, gain, spread),
        3 => take_reading_sized(Known::<3>, p, column, gain, spread),
        4 => take_reading_sized(Known::<4>, p, column, gain, spread),
        5 => take_reading_sized(Known::<5>, p, column, gain, spread),
        6 => take_reading_sized(Known::<6>, p, column, gain, spread),
        7 => take_reading_sized(Known::<7>, p, column, gain, spread),
        8 => take_reading_sized(Known::<8>, p, column, gain, spread),
        total => take_reading_sized(total, p, column, gain, spread),
    }
}

#[inline(always)]
fn take_reading_sized(total: impl Size, p: &mut [f64], column: &[f64], gain: &[f64], spread: f64) {
    let total = total.get();
    let (p, column, gain) = (&mut p[..total * total], &column[..total], &gain[..total]);
    for a in 0..total {
        for b in 0..=a {
            let v = p[a * total + b] - gain[a] * column[b] - column[a] * gain[b] + gain[a] * gain[b] * spread;
            let v = if a == b { v.max(0.0) } else { v };
            p[a * total + b] = v;
            p[b * total + a] = v;
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

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
