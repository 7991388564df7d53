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

/// Decay factors of one batch of Δt, by time constant: channels that share one share the work.
#[derive(Debug, Default)]
pub(crate) struct Decays {
    known: Vec<Decay>,
    used: usize,
}

/// φ = e^(−Δt/τ) and √(1 − φ²) of every Δt of a batch.
#[derive(Debug, Default)]
pub(crate) struct Decay {
    tau_s: f64,
    pub phi: Vec<f64>,
    pub rest: Vec<f64>,
}

impl Decays {
    /// Forgets the batch.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// The factors of this time constant; `dt_s`, [s], is the same at every call since [`Self::clear`].
    pub fn of(&mut self, dt_s: &[f64], tau_s: f64) -> &Decay {
        let i = self.index(dt_s, tau_s);
        &self.known[i]
    }

    /// The factors of two time constants at once.
    pub fn pair(&mut self, dt_s: &[f64], a: Option<f64>, b: Option<f64>) -> (Option<&Decay>, Option<&Decay>) {
        let a = a.map(|tau_s| self.index(dt_s, tau_s));
        let b = b.map(|tau_s| self.index(dt_s, tau_s));
        (a.map(|i| &self.known[i]), b.map(|i| &self.known[i]))
    }

    fn index(&mut self, dt_s: &[f64], tau_s: f64) -> usize {
        if let Some(i) = self.known[..self.used].iter().position(|d| d.tau_s == tau_s) {
            return i;
        }
        if self.used == self.known.len() {
            self.known.push(Decay::default());
        }
        self.used += 1;
        let decay = &mut self.known[self.used - 1];
        decay.fill(dt_s, tau_s);
        self.used - 1
    }
}

impl Decay {
    /// No factors, for a stage that is compiled out.
    pub const NONE: Self = Self { tau_s: 0.0, phi: Vec::new(), rest: Vec::new() };

    fn fill(&mut self, dt_s: &[f64], tau_s: f64) {
        self.tau_s = tau_s;
        self.phi.clear();
        self.rest.clear();
        let Some(first) = dt_s.first() else { return };
        let rate = -1.0 / tau_s;
        // A fleet without jitter or clock errors has one Δt for all.
        if dt_s.iter().all(|d| d == first) {
            let phi = exp_neg(first * rate);
            self.phi.resize(dt_s.len(), phi);
            self.rest.resize(dt_s.len(), (1.0 - phi * phi).sqrt());
        } else {
            self.phi.extend(dt_s.iter().map(|d| exp_neg(d * rate)));
            self.rest.extend(self.phi.iter().map(|phi| (1.0 - phi * phi).sqrt()));
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
        assert!(exp_neg(f64::NEG_INFINITY) < 1e-300);
        assert_eq!(exp_neg(-0.0), 1.0);
    }
}
