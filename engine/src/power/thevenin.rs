//! Thevenin's equivalent of a cell: an open-circuit voltage behind a resistance R₀ and one relaxation branch R₁C₁.
//!
//! V = OCV(z) − I·R₀ − v₁ with dv₁/dt = I/C₁ − v₁/(R₁·C₁) (FACTS "Battery").

/// v₁ after `dt_s` seconds of a constant current, [V]: v₁·e^(−t/τ) + I·R₁·(1 − e^(−t/τ)), τ = R₁·C₁. Exact.
pub fn relax_v(v1: f64, current_a: f64, r1_ohm: f64, tau_s: f64, dt_s: f64) -> f64 {
    let end = current_a * r1_ohm;
    if tau_s <= 0.0 { end } else { end + (v1 - end) * (-dt_s / tau_s).exp() }
}

/// When v₁ passes `level_v` under a constant current, [s]. None: it stays below.
pub fn reaches_s(v1: f64, current_a: f64, r1_ohm: f64, tau_s: f64, level_v: f64) -> Option<f64> {
    let end = current_a * r1_ohm;
    if v1 >= level_v {
        return Some(0.0);
    }
    (end > level_v).then(|| tau_s * ((end - v1) / (end - level_v)).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The step response is 1 − 1/e of the way after τ, and halving the steps changes nothing.
    #[test]
    fn the_step_response_is_the_closed_form() {
        let (r1, tau) = (0.08, 25.0);
        let at_tau = relax_v(0.0, 2.0, r1, tau, tau);
        assert!((at_tau / (2.0 * r1) - (1.0 - (-1f64).exp())).abs() < 1e-12);
        let mut v = 0.0;
        for _ in 0..1000 {
            v = relax_v(v, 2.0, r1, tau, tau / 1000.0);
        }
        assert!((v - at_tau).abs() < 1e-9);
        // The charge on C₁ is what the differential equation says: small steps of Euler come close.
        let mut euler = 0.0;
        for _ in 0..100_000 {
            euler += (2.0 / (tau / r1) - euler / tau) * tau / 100_000.0;
        }
        assert!((euler - at_tau).abs() < 1e-5, "{euler} {at_tau}");
    }

    proptest! {
        #[test]
        fn a_level_is_passed_when_it_is_said_to_be(v1 in 0.0..0.2f64, i in 0.1..3.0f64, level in 0.0..0.4f64) {
            match reaches_s(v1, i, 0.1, 20.0, level) {
                Some(t) => prop_assert!((relax_v(v1, i, 0.1, 20.0, t) - level.max(v1)).abs() < 1e-9),
                None => prop_assert!(relax_v(v1, i, 0.1, 20.0, 1e6) <= level + 1e-12),
            }
        }
    }
}
