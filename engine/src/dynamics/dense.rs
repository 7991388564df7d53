//! Small dense matrices with one fixed order of summation, so that a filter's state is the same bit for bit on every
//! machine (general matrix kernels choose their order by the processor's features).

/// A row-major matrix.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mat {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) a: Vec<f64>,
}

impl Mat {
    pub(crate) fn zeros(rows: usize, cols: usize) -> Self {
        Self { rows, cols, a: vec![0.0; rows * cols] }
    }

    pub(crate) fn identity(n: usize) -> Self {
        let mut m = Self::zeros(n, n);
        for i in 0..n {
            m[(i, i)] = 1.0;
        }
        m
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.a[i * self.cols..(i + 1) * self.cols]
    }

    pub(crate) fn mul(&self, b: &Self) -> Self {
        let mut out = Self::zeros(self.rows, b.cols);
        for i in 0..self.rows {
            let to = &mut out.a[i * b.cols..(i + 1) * b.cols];
            for (k, x) in self.row(i).iter().enumerate() {
                // Transition matrices are half zeros and ones.
                if *x != 0.0 {
                    for (o, y) in to.iter_mut().zip(b.row(k)) {
                        *o += x * y;
                    }
                }
            }
        }
        out
    }

    pub(crate) fn mul_vec(&self, v: &[f64]) -> Vec<f64> {
        (0..self.rows).map(|i| self.row(i).iter().zip(v).map(|(x, y)| x * y).sum()).collect()
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut out = Self::zeros(self.cols, self.rows);
        for i in 0..self.rows {
            for j in 0..self.cols {
                out[(j, i)] = self[(i, j)];
            }
        }
        out
    }

    pub(crate) fn scaled(mut self, s: f64) -> Self {
        for x in &mut self.a {
            *x *= s;
        }
        self
    }

    pub(crate) fn add(&mut self, b: &Self) {
        for (x, y) in self.a.iter_mut().zip(&b.a) {
            *x += y;
        }
    }

    /// `F·self·Fᵀ`, exactly symmetric.
    pub(crate) fn sandwiched(&self, f: &Self) -> Self {
        let mut out = f.mul(self).mul(&f.transposed());
        out.symmetrise();
        out
    }

    pub(crate) fn symmetrise(&mut self) {
        for i in 0..self.rows {
            for j in 0..i {
                let mean = 0.5 * (self[(i, j)] + self[(j, i)]);
                self[(i, j)] = mean;
                self[(j, i)] = mean;
            }
        }
    }

    fn norm_1(&self) -> f64 {
        (0..self.cols).map(|j| (0..self.rows).map(|i| self[(i, j)].abs()).sum()).fold(0.0, f64::max)
    }
}

impl std::ops::Index<(usize, usize)> for Mat {
    type Output = f64;
    #[inline]
    fn index(&self, (i, j): (usize, usize)) -> &f64 {
        &self.a[i * self.cols + j]
    }
}

impl std::ops::IndexMut<(usize, usize)> for Mat {
    #[inline]
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut f64 {
        &mut self.a[i * self.cols + j]
    }
}

/// φ₁(A) = (eᴬ − I)·A⁻¹ = Σ Aᵏ/(k+1)!, by a Taylor sum of the halved matrix and doublings
/// φ₁(2A) = ½(eᴬ + I)·φ₁(A), eᴬ = I + A·φ₁(A). Higham, *Functions of Matrices*, §10.7.4.
pub(crate) fn phi1(a: &Mat) -> Mat {
    const TERMS: usize = 13;
    let n = a.rows;
    let norm = a.norm_1();
    let halvings = if norm > 0.5 { (norm / 0.5).log2().ceil() as i32 } else { 0 };
    let mut a = a.clone().scaled(0.5f64.powi(halvings));
    let mut phi = Mat::identity(n);
    for k in (1..=TERMS).rev() {
        phi = a.mul(&phi).scaled(1.0 / (k + 1) as f64);
        for i in 0..n {
            phi[(i, i)] += 1.0;
        }
    }
    for _ in 0..halvings {
        let mut e = a.mul(&phi);
        for i in 0..n {
            e[(i, i)] += 2.0;
        }
        phi = e.mul(&phi).scaled(0.5);
        a = a.scaled(2.0);
    }
    phi
}

/// Solves `a·x = b` for a symmetric positive definite `a` by Cholesky; None where it is not.
pub(crate) fn cholesky(a: &Mat) -> Option<Mat> {
    let n = a.rows;
    let mut l = Mat::zeros(n, n);
    for i in 0..n {
        for j in 0..=i {
            let mut s = a[(i, j)];
            for k in 0..j {
                s -= l[(i, k)] * l[(j, k)];
            }
            if i == j {
                if s <= 0.0 || !s.is_finite() {
                    return None;
                }
                l[(i, i)] = s.sqrt();
            } else {
                l[(i, j)] = s / l[(j, j)];
            }
        }
    }
    Some(l)
}

/// `x` of `L·Lᵀ·x = b`.
pub(crate) fn cholesky_solve(l: &Mat, b: &[f64]) -> Vec<f64> {
    let n = l.rows;
    let mut x = b.to_vec();
    for i in 0..n {
        for k in 0..i {
            x[i] -= l[(i, k)] * x[k];
        }
        x[i] /= l[(i, i)];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            x[i] -= l[(k, i)] * x[k];
        }
        x[i] /= l[(i, i)];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// e^(A+A) = e^A·e^A and φ₁ against its scalar formula on triangular matrices of any size of entry.
        #[test]
        fn phi1_gives_the_exponential(entries in prop::collection::vec(-3.0f64..3.0, 9), scale in 0.01f64..20.0) {
            let a = Mat { rows: 3, cols: 3, a: entries }.scaled(scale / 3.0);
            let exp = |m: &Mat| { let mut e = m.mul(&phi1(m)); e.add(&Mat::identity(3)); e };
            let whole = exp(&a.clone().scaled(2.0));
            let half = exp(&a);
            let twice = half.mul(&half);
            let size = twice.a.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            for (x, y) in whole.a.iter().zip(&twice.a) {
                prop_assert!((x - y).abs() < 1e-9 * size, "{x} {y}");
            }
            let mut t = a;
            for i in 0..3 { for j in 0..i { t[(i, j)] = 0.0; } }
            let p = phi1(&t);
            for i in 0..3 {
                let d = t[(i, i)];
                let law = if d.abs() < 1e-9 { 1.0 } else { d.exp_m1() / d };
                prop_assert!((p[(i, i)] - law).abs() < 1e-10 * law.abs().max(1.0));
            }
        }
    }
}
