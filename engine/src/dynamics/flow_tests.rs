use super::*;
use proptest::prelude::*;
use std::ops::{Add, Mul};

/// A number of twice the digits (Dekker, *A Floating-Point Technique for Extending the Available Precision*, Numer. Math.
/// 18, 1971): the reference that neither way of summing in plain numbers can be.
#[derive(Clone, Copy, Debug)]
struct Long(f64, f64);

impl Long {
    fn of(x: f64) -> Self {
        Self(x, 0.0)
    }

    fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Self(s, (a - (s - t)) + (b - t))
    }
}

impl Add for Long {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        let s = Self::sum(self.0, b.0);
        let t = Self::sum(self.1, b.1);
        let s = Self::sum(s.0, s.1 + t.0);
        Self::sum(s.0, s.1 + t.1)
    }
}

impl Mul for Long {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        let p = self.0 * b.0;
        let e = self.0.mul_add(b.0, -p);
        Self::sum(p, e + self.0 * b.1 + self.1 * b.0)
    }
}

fn times(d: usize, a: &[Long], b: &[Long]) -> Vec<Long> {
    let cell = |i: usize, j: usize| (0..d).fold(Long::of(0.0), |s, k| s + a[i * d + k] * b[k * d + j]);
    (0..d * d).map(|at| cell(at / d, at % d)).collect()
}

/// `e^(tJ) − I` and `t·φ₁(tJ)` in twice the digits, by many short steps.
fn reference(d: usize, j: &[f64], t: f64) -> (Vec<f64>, Vec<f64>) {
    const DOUBLINGS: i32 = 40;
    let h = t * 0.5f64.powi(DOUBLINGS);
    let one = |i: usize| Long::of(if i.is_multiple_of(d + 1) { 1.0 } else { 0.0 });
    let a: Vec<Long> = j.iter().map(|x| Long::of(x * h)).collect();
    // The short step is so short that four terms are plenty; 1/k to twice the digits by one step of Newton.
    let mut phi: Vec<Long> = (0..d * d).map(one).collect();
    for k in (2..8).rev() {
        let inverse = Long::of(1.0 / k as f64);
        let inverse = inverse * (Long::of(2.0) + Long::of(-(k as f64)) * inverse);
        phi = times(d, &a, &phi).iter().enumerate().map(|(i, x)| one(i) + *x * inverse).collect();
    }
    let mut m = times(d, &a, &phi);
    let mut phi: Vec<Long> = phi.iter().map(|x| *x * Long::of(h)).collect();
    for _ in 0..DOUBLINGS {
        let double = |x: &[Long], more: Vec<Long>| -> Vec<Long> {
            x.iter().zip(more).map(|(x, y)| *x + *x + y).collect()
        };
        phi = double(&phi, times(d, &m, &phi));
        m = double(&m, times(d, &m, &m));
    }
    let plain = |x: &[Long]| x.iter().map(|x| x.0 + x.1).collect();
    (plain(&m), plain(&phi))
}

/// A chain of storages with a room at its end and an input that reverts: capacities over six decades make it stiff.
fn chain(capacities: &[f64], conductances: &[f64], inputs: usize) -> (usize, usize, Vec<f64>) {
    let n = capacities.len();
    let d = n + inputs;
    let mut j = vec![0.0; d * d];
    for (i, g) in conductances.iter().enumerate().take(n) {
        j[i * d + i] -= g / capacities[i];
        if i + 1 < n {
            j[i * d + i + 1] += g / capacities[i];
            j[(i + 1) * d + i] += g / capacities[i + 1];
            j[(i + 1) * d + i + 1] -= g / capacities[i + 1];
        }
    }
    for k in n..d {
        j[k % n * d + k] = 0.03 / capacities[k % n];
        j[k * d + k] = -1.0 / (20.0 * (k - n + 1) as f64);
    }
    (n, d, j)
}

fn flow(n: usize, d: usize, j: &[f64], h: f64, doublings: usize) -> Flow {
    let mut flow = Flow::default();
    flow.reset(n, d);
    flow.j.copy_from_slice(j);
    flow.start(h, doublings);
    flow
}

proptest! {
    /// However stiff the network and however long the step, a start that is a hundred kelvin from the room ends within a
    /// nanokelvin of where twice the digits say.
    #[test]
    fn stiff_steps_agree_with_twice_the_digits(
        decades in prop::collection::vec(-3.0f64..3.0, 1..6), g in prop::collection::vec(0.01f64..5.0, 6),
        inputs in 0usize..3, dt_s in 0.001f64..5_000.0, doublings in 0usize..20,
    ) {
        let capacities: Vec<f64> = decades.iter().map(|x| 10f64.powf(*x)).collect();
        let (n, d, j) = chain(&capacities, &g, inputs);
        let ours = flow(n, d, &j, dt_s * 0.5f64.powi(doublings as i32), doublings);
        let (m, phi) = reference(d, &j, dt_s);
        // Rates of a state whose storages lie up to a hundred kelvin apart.
        let x: Vec<f64> = (0..d).map(|i| if i % 2 == 0 { 100.0 } else { 40.0 }).collect();
        let rate: Vec<f64> = (0..d).map(|i| (0..d).map(|k| j[i * d + k] * x[k]).sum()).collect();
        let end = |phi: &[f64], i: usize| -> f64 { (0..d).map(|k| phi[i * d + k] * rate[k]).sum() };
        for i in 0..d {
            prop_assert!((end(&ours.phi, i) - end(&phi, i)).abs() < 1e-9, "{} {}", end(&ours.phi, i), end(&phi, i));
            for k in 0..d {
                let (a, b) = (ours.m(doublings)[i * d + k], m[i * d + k]);
                prop_assert!((a - b).abs() < 1e-11 * (1.0 + b.abs()), "{i} {k}: {a} {b}");
            }
        }
    }

    /// Sizes that the compiler knows give the same bits as those it does not.
    #[test]
    fn known_sizes_change_no_bit(
        entries in prop::collection::vec(-1.0f64..1.0, 16), more in prop::collection::vec(-1.0f64..1.0, 64),
        size in prop::sample::select(vec![(1usize, 1usize), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4)]), l in 0usize..4,
        h in 0.01f64..30.0,
    ) {
        let (n, d) = size;
        let mut j = entries[..d * d].to_vec();
        (n..d).for_each(|i| (0..d).filter(|k| *k != i).for_each(|k| j[i * d + k] = 0.0));
        let known = flow(n, d, &j, h, 3);
        let mut given = known.clone();
        given.start_sized(n, d, h, 3);
        prop_assert_eq!((&known.m, &known.phi), (&given.m, &given.phi));
        let mut by = more[..n * l].to_vec();
        let mut other = by.clone();
        let (mut known, mut given) = (known, given);
        if l > 0 {
            known.double_by(1, &mut by, l);
            given.double_by_sized(n, d, 1, &mut other, l);
        }
        prop_assert_eq!(&by, &other);
        let mut p = spread(d, l, &more);
        let mut q = p.clone();
        p.carry((n, d, l), known.m(2), (&by, l), true);
        q.carry_sized(n, d, l, known.m(2), (&by, l), true);
        prop_assert_eq!((&p.ss, &p.sl, &p.ll), (&q.ss, &q.sl, &q.ll));
    }

    /// A covariance carried in its blocks is `F·P·Fᵀ` written out.
    #[test]
    fn a_carried_covariance_is_the_product_written_out(
        entries in prop::collection::vec(-1.0f64..1.0, 36), more in prop::collection::vec(-1.0f64..1.0, 120),
        n in 1usize..5, inputs in 0usize..3, l in 0usize..5, keep: bool,
    ) {
        let d = n + inputs;
        let total = d + l;
        let mut m = entries[..d * d].to_vec();
        (n..d).for_each(|i| (0..d).filter(|k| *k != i).for_each(|k| m[i * d + k] = 0.0));
        let c = &more[60..60 + n * l];
        let mut p = spread(d, l, &more);
        let before = whole(&p, d, l);
        let f = |i: usize, k: usize| {
            let one = if i == k { 1.0 } else { 0.0 };
            match (i < d, k < d) {
                (true, true) => one + m[i * d + k],
                (true, false) if i < n => c[i * l + k - d],
                _ => one,
            }
        };
        p.carry((n, d, l), &m, (c, l), keep);
        let after = whole(&p, d, l);
        for i in 0..total {
            for j in 0..total {
                let mut want = if keep { before[i][j] } else { 0.0 };
                for (a, row) in before.iter().enumerate() {
                    want += row.iter().enumerate().map(|(b, x)| f(i, a) * x * f(j, b)).sum::<f64>();
                }
                prop_assert!((after[i][j] - want).abs() < 1e-12, "{i} {j}: {} {want}", after[i][j]);
                prop_assert_eq!(after[i][j], after[j][i]);
            }
        }
    }

    /// φ₁ against its scalar formula on the diagonal of a triangular matrix, and e^(A+A) = e^A·e^A, for entries of any size.
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

/// The blocks of a joint covariance go back to where they were; what lies between, inputs that are held, stays.
#[test]
fn blocks_go_back_where_they_were() {
    for (n, held, l) in [(1, 0, 0), (3, 1, 3), (2, 2, 1), (5, 1, 4), (3, 0, 5)] {
        let total = n + held + l;
        let cell = |i: usize, j: usize| {
            let is_held = |k: usize| (n..n + held).contains(&k);
            if is_held(i) || is_held(j) { 0.0 } else { (1 + i.min(j) * 31 + i.max(j)) as f64 }
        };
        let p: Vec<f64> = (0..total * total).map(|at| cell(at / total, at % total)).collect();
        let mut blocks = Spread::default();
        blocks.reset(n, l);
        blocks.take_blocks(&p, (n, l), n + held);
        let mut back = vec![0.0; total * total];
        blocks.give_blocks(&mut back, (n, l), n + held);
        assert_eq!(back, p);
    }
}

/// Any symmetric blocks; the blocks of parameters are diagonal, as noise is.
fn spread(d: usize, l: usize, from: &[f64]) -> Spread {
    let mut p = Spread::default();
    p.reset(d, l);
    p.clear();
    for i in 0..d {
        for j in 0..=i {
            p.ss[i * d + j] = from[i * d + j];
            p.ss[j * d + i] = from[i * d + j];
        }
    }
    p.sl.copy_from_slice(&from[36 - d * l..36]);
    (0..l).for_each(|k| p.ll[k * l + k] = from[50 + k].abs());
    p
}

fn whole(p: &Spread, d: usize, l: usize) -> Vec<Vec<f64>> {
    let cell = |i: usize, j: usize| match (i < d, j < d) {
        (true, true) => p.ss[i * d + j],
        (true, false) => p.sl[i * l + j - d],
        (false, true) => p.sl[j * l + i - d],
        (false, false) => p.ll[(i - d) * l + j - d],
    };
    (0..d + l).map(|i| (0..d + l).map(|j| cell(i, j)).collect()).collect()
}
