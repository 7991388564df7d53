//! Standard normals by the ziggurat method (Marsaglia and Tsang 2000, with Doornik's 256 equal areas of 2005), laid out
//! for the pipeline's loop: the common case, 98.8 % of the draws, is inlined and keeps the generator in registers; the rest
//! is a cold call. The tables are computed by the compiler, whose arithmetic is the same on every machine.

use crate::rng::Rng;
use rand::{Rng as _, RngExt};

const LAYERS: usize = 256;
/// Where the tail begins, and the area of each layer, for 256 layers (Doornik 2005, table 1).
const TAIL: f64 = 3.654_152_885_361_009;
const AREA: f64 = 0.004_928_673_233_992_336;

/// Right edges of the layers, from the base strip's (as wide as its area asks) down to 0.
static EDGES: [f64; LAYERS + 1] = edges();

const fn edges() -> [f64; LAYERS + 1] {
    let mut x = [0.0; LAYERS + 1];
    x[0] = AREA / const_exp(-0.5 * TAIL * TAIL);
    x[1] = TAIL;
    let mut i = 2;
    while i < LAYERS {
        let height = AREA / x[i - 1] + const_exp(-0.5 * x[i - 1] * x[i - 1]);
        x[i] = const_sqrt(-2.0 * const_ln(height));
        i += 1;
    }
    x
}

/// e^x for −8 ≤ x ≤ 0: the series of e^(x/64), squared six times.
const fn const_exp(x: f64) -> f64 {
    let r = x / 64.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 20.0 {
        term *= r / n;
        sum += term;
        n += 1.0;
    }
    let mut i = 0;
    while i < 6 {
        sum *= sum;
        i += 1;
    }
    sum
}

/// ln y for e^−8 < y ≤ 1, by Newton's steps on the exponential.
const fn const_ln(y: f64) -> f64 {
    let mut x = if y < 0.1 { -4.0 } else { -0.5 };
    let mut i = 0;
    while i < 60 {
        let next = x + y / const_exp(x) - 1.0;
        x = if next > 0.0 { 0.0 } else { next };
        i += 1;
    }
    x
}

const fn const_sqrt(y: f64) -> f64 {
    let mut x = if y > 1.0 { y } else { 1.0 };
    let mut i = 0;
    while i < 60 {
        x = 0.5 * (x + y / x);
        i += 1;
    }
    x
}

/// A standard normal.
#[expect(
    clippy::inline_always,
    reason = "left to itself the compiler makes it a call, which spills the loop's registers"
)]
#[inline(always)]
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let bits = rng.next_u64();
    let layer = (bits & 0xff) as usize;
    // The upper 52 bits as a number in [−1, 1); the layer's bits are none of them.
    let u = f64::from_bits(bits >> 12 | 0x4000_0000_0000_0000) - 3.0;
    let x = u * EDGES[layer];
    if x.abs() < EDGES[layer + 1] {
        return x;
    }
    // By value, so that the generator need not live in memory for this call's sake.
    let (after, x) = edge_or_tail(rng.clone(), layer, u, x);
    *rng = after;
    x
}

#[cold]
#[inline(never)]
fn edge_or_tail(mut rng: Rng, mut layer: usize, mut u: f64, mut x: f64) -> (Rng, f64) {
    loop {
        if x.abs() < EDGES[layer + 1] {
            return (rng, x);
        }
        if layer == 0 {
            let x = tail(&mut rng);
            return (rng, if u < 0.0 { -x } else { x });
        }
        let density = |x: f64| (-0.5 * x * x).exp();
        let (low, high) = (density(EDGES[layer]), density(EDGES[layer + 1]));
        if low + (high - low) * rng.random::<f64>() < density(x) {
            return (rng, x);
        }
        let bits = rng.next_u64();
        layer = (bits & 0xff) as usize;
        u = f64::from_bits(bits >> 12 | 0x4000_0000_0000_0000) - 3.0;
        x = u * EDGES[layer];
    }
}

/// A normal beyond the tail's start (Marsaglia 1964).
fn tail(rng: &mut Rng) -> f64 {
    loop {
        // 1 − u lies in (0, 1], where the logarithm is finite.
        let x = -(1.0 - rng.random::<f64>()).ln() / TAIL;
        let y = -(1.0 - rng.random::<f64>()).ln();
        if 2.0 * y > x * x {
            return TAIL + x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;

    #[test]
    fn layers_have_equal_areas_and_the_last_reaches_the_top() {
        let f = |x: f64| (-0.5 * x * x).exp();
        for i in 1..LAYERS {
            let area = EDGES[i] * (f(EDGES[i + 1]) - f(EDGES[i]));
            assert!((area - AREA).abs() < 1e-9, "layer {i}: {area}");
        }
        assert!(EDGES.windows(2).all(|w| w[0] > w[1]) && EDGES[LAYERS] == 0.0);
    }

    /// Kolmogorov–Smirnov against the normal distribution, and the tail's mass beyond four standard deviations.
    #[test]
    fn draws_are_normal() {
        let mut rng = stream(5, "test", "normal");
        let n = 2_000_000;
        let mut x: Vec<f64> = (0..n).map(|_| normal(&mut rng)).collect();
        let moment = |p: i32| x.iter().map(|v| v.powi(p)).sum::<f64>() / f64::from(n);
        let root = f64::from(n).sqrt();
        for (p, expected, spread) in
            [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (3, 0.0, 15f64.sqrt()), (4, 3.0, 96f64.sqrt())]
        {
            assert!((moment(p) - expected).abs() < 5.0 * spread / root, "moment {p}: {}", moment(p));
        }
        x.sort_by(f64::total_cmp);
        // Values of the distribution function at a few points (Abramowitz and Stegun, table 26.1).
        for (at, below) in [
            (-3.0, 0.001_349_898),
            (-1.0, 0.158_655_254),
            (0.0, 0.5),
            (0.5, 0.691_462_461),
            (2.0, 0.977_249_868),
            (3.7, 0.999_892_200),
        ] {
            let found = x.partition_point(|v| *v < at) as f64 / f64::from(n);
            assert!(
                (found - below).abs() < 5.0 * (below * (1.0 - below)).sqrt() / root,
                "P(x < {at}) = {found}"
            );
        }
        // Beyond the tail's start and at the layers' seams.
        let beyond = x.iter().filter(|v| v.abs() > 4.0).count() as f64;
        let expected = f64::from(n) * 6.334e-5;
        assert!((beyond - expected).abs() < 5.0 * expected.sqrt(), "{beyond} beyond 4");
    }
}
