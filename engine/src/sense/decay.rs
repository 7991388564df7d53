//! Decay factors e^(−Δt/τ) over whole slices: plain arithmetic without branches, so that the compiler may do several at
//! once, and so that every machine gets the same bits (the C library's `exp` differs between systems).

const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two parts; the first has trailing zeros, so that its product with a small integer is exact.
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
/// Adding 1.5·2⁵² leaves the nearest integer in the low bits of the significand.
const TO_INT: f64 = 6_755_399_441_055_744.0;
/// Taylor coefficients 1/12! … 1/2! of e^r; |r| ≤ ln2/2, so the first term left out is below 2·10⁻¹⁶.
const TAYLOR: [f64; 11] = [
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];

/// e^x for x ≤ 0, to a few units in the last place; 10⁻³⁰⁴ and less for x below −700.
#[inline]
pub(crate) fn exp_neg(x: f64) -> f64 {
    let x = x.max(-700.0);
    let t = x * LOG2_E + TO_INT;
    let k = t - TO_INT;
    let r = (x - k * LN2_HI) - k * LN2_LO;
    let mut p = TAYLOR[0];
    for c in &TAYLOR[1..] {
        p = p * r + c;
    }
    let e = 1.0 + (r + r * r * p);
    e * f64::from_bits((t.to_bits() << 52).wrapping_add(1023 << 52))
}

/// e^x for −2⁻⁷ ≤ x ≤ 0: six terms; the first left out is below 4·10⁻¹⁶.
#[inline]
fn exp_tiny(x: f64) -> f64 {
    let p = ((x * (1.0 / 120.0) + 1.0 / 24.0) * x + 1.0 / 6.0) * x + 0.5;
    1.0 + (x + x * x * p)
}

/// Arguments from here to 0 take the short series.
const TINY: f64 = -0.0078125;

/// e^x for x ≤ 0, by the form that its argument alone decides.
#[inline]
fn exp(x: f64) -> f64 {
    if x >= TINY { exp_tiny(x) } else { exp_neg(x) }
}

/// Decay factors of one batch of Δt, by time constant: channels that share one share the work.
#[derive(Debug, Default)]
pub(crate) struct Decays {
    known: Vec<Decay>,
    used: usize,
}

/// φ = e^(−Δt/τ) of every Δt of a batch.
#[derive(Debug, Default)]
struct Decay {
    tau_s: f64,
    phi: Vec<f64>,
    /// √(1 − φ²), once it was asked for.
    rest: Vec<f64>,
}

impl Decays {
    /// Forgets the batch.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// φ for this time constant; `dt_s`, [s], is the same at every call since [`Self::clear`].
    pub fn phi(&mut self, dt_s: &[f64], tau_s: f64) -> &[f64] {
        let i = self.index(dt_s, tau_s);
        &self.known[i].phi
    }

    /// φ and √(1 − φ²) for this time constant.
    pub fn phi_and_rest(&mut self, dt_s: &[f64], tau_s: f64) -> (&[f64], &[f64]) {
        let i = self.index(dt_s, tau_s);
        let decay = &mut self.known[i];
        if decay.rest.len() != decay.phi.len() {
            decay.rest.extend(decay.phi.iter().map(|phi| (1.0 - phi * phi).sqrt()));
        }
        (&decay.phi, &decay.rest)
    }

    fn index(&mut self, dt_s: &[f64], tau_s: f64) -> usize {
        if let Some(i) = self.known[..self.used].iter().position(|d| d.tau_s == tau_s) {
            return i;
        }
        if self.used == self.known.len() {
            self.known.push(Decay::default());
        }
        self.known[self.used].fill(dt_s, tau_s);
        self.used += 1;
        self.used - 1
    }
}

impl Decay {
    fn fill(&mut self, dt_s: &[f64], tau_s: f64) {
        self.tau_s = tau_s;
        self.phi.clear();
        self.rest.clear();
        let rate = -1.0 / tau_s;
        let (least, greatest) =
            dt_s.iter().fold((f64::INFINITY, 0f64), |(least, greatest), d| (least.min(*d), greatest.max(*d)));
        // Which form serves a device depends on its own Δt alone, never on who shares its batch.
        if least == greatest {
            self.phi.resize(dt_s.len(), exp(greatest * rate));
        } else if greatest * rate >= TINY {
            self.phi.extend(dt_s.iter().map(|d| exp_tiny(d * rate)));
        } else if least * rate < TINY {
            self.phi.extend(dt_s.iter().map(|d| exp_neg(d * rate)));
        } else {
            self.phi.extend(dt_s.iter().map(|d| exp(d * rate)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library_to_a_few_units_in_the_last_place() {
        for i in 0..700_000 {
            let x = -f64::from(i) * 1e-3;
            let (ours, theirs) = (exp_neg(x), x.exp());
            assert!((ours - theirs).abs() <= 2e-15 * theirs, "e^{x}: {ours} against {theirs}");
        }
        for i in 0..=1000 {
            let x = -f64::from(i) * 7.8125e-6;
            assert!((exp_tiny(x) - x.exp()).abs() <= 5e-16, "e^{x}");
        }
        assert!(exp_neg(f64::NEG_INFINITY) < 1e-300);
        assert_eq!(exp_neg(-0.0), 1.0);
    }
}
