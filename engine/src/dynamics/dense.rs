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
