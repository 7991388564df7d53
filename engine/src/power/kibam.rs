//! The kinetic battery model: an available and a bound well of charge, joined by a valve.
//!
//! dy₁/dt = −I + k·(y₂/(1−c) − y₁/c), dy₂/dt = −k·(y₂/(1−c) − y₁/c) (FACTS "Battery"; J. F. Manwell and J. G. McGowan,
//! "Lead acid battery storage model for hybrid energy systems", Solar Energy 50(5), 1993). Kept here as total charge
//! y₁ + y₂ and the difference δ of the wells' heads y₂/(1−c) − y₁/c, in which it is solved at once:
//! dδ/dt = I/c − k'·δ with k' = k/(c·(1−c)).

/// Constants of the two wells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kibam {
    /// Share of the charge that is available at equilibrium, 0–1, exclusive of 0. At 1 there is no bound well.
    pub c: f64,
    /// k of the equations above, [1/s].
    pub k_per_s: f64,
}

/// The state of the wells, in any unit of charge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wells {
    /// Charge of both wells.
    pub total: f64,
    /// Head of the bound well above that of the available one.
    pub gap: f64,
}

impl Kibam {
    /// k', the rate at which the heads meet, [1/s].
    fn rate(&self) -> f64 {
        self.k_per_s / (self.c * (1.0 - self.c))
    }

    /// Head of the available well: the total where both are level, less while it recovers.
    pub fn head(&self, wells: &Wells) -> f64 {
        wells.total - (1.0 - self.c) * wells.gap
    }

    /// Charge of the available well, y₁.
    pub fn available(&self, wells: &Wells) -> f64 {
        self.c * self.head(wells)
    }

    /// Charge of the bound well, y₂.
    pub fn bound(&self, wells: &Wells) -> f64 {
        wells.total - self.available(wells)
    }

    /// Brings the wells `dt_s` seconds forward under a constant current (charge a second; negative: charging). Exact.
    pub fn step(&self, wells: &mut Wells, current: f64, dt_s: f64) {
        let (decay, gain) = self.response(dt_s);
        wells.total -= current * dt_s;
        wells.gap = wells.gap * decay + current * gain;
    }

    /// As [`Kibam::step`], but with the current cut to what keeps the available head within `least` and `most` to the end:
    /// a full battery takes no more, an empty one gives no more. Charge a second that flowed.
    pub fn step_within(&self, wells: &mut Wells, current: f64, dt_s: f64, (least, most): (f64, f64)) -> f64 {
        let (decay, gain) = self.response(dt_s);
        // The head at the end is linear in the current.
        let at_rest = wells.total - (1.0 - self.c) * wells.gap * decay;
        let slope = dt_s + (1.0 - self.c) * gain;
        let mut flows = current;
        if slope > 0.0 {
            let (in_, out) = ((at_rest - most) / slope, (at_rest - least) / slope);
            flows = if current < 0.0 { current.max(in_.min(0.0)) } else { current.min(out.max(0.0)) };
        }
        wells.total -= flows * dt_s;
        wells.gap = wells.gap * decay + flows * gain;
        flows
    }

    /// When within `dt_s` seconds of a constant current the available head falls to `least`, [s]. None: it stays above.
    pub fn reaches_s(&self, wells: &Wells, current: f64, dt_s: f64, least: f64) -> Option<f64> {
        let head_at = |t: f64| {
            let mut then = *wells;
            self.step(&mut then, current, t);
            self.head(&then)
        };
        if head_at(0.0) <= least {
            return Some(0.0);
        }
        if head_at(dt_s) > least {
            return None;
        }
        // Under a constant current the head rises at first or not at all, and then falls: it passes a level once.
        let (mut above, mut below) = (0.0, dt_s);
        for _ in 0..60 {
            let middle = 0.5 * (above + below);
            if head_at(middle) > least { above = middle } else { below = middle }
        }
        Some(below)
    }

    /// What is left of the gap after `dt_s`, and what a unit of current adds to it.
    fn response(&self, dt_s: f64) -> (f64, f64) {
        if self.c >= 1.0 {
            return (0.0, 0.0);
        }
        let rate = self.rate();
        if rate <= 0.0 {
            return (1.0, dt_s / self.c);
        }
        let fall = -(-rate * dt_s).exp_m1();
        (1.0 - fall, fall / (self.c * rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// y₁ and y₂ after `t` under a constant current, as Manwell and McGowan give them.
    fn closed_form(c: f64, k_per_s: f64, y1: f64, y2: f64, i: f64, t: f64) -> (f64, f64) {
        let k = k_per_s / (c * (1.0 - c));
        let (y0, e) = (y1 + y2, (-k * t).exp());
        let available = y1 * e + (y0 * k * c - i) * (1.0 - e) / k - i * c * (k * t - 1.0 + e) / k;
        let bound = y2 * e + y0 * (1.0 - c) * (1.0 - e) - i * (1.0 - c) * (k * t - 1.0 + e) / k;
        (available, bound)
    }

    proptest! {
        #[test]
        fn the_wells_follow_the_closed_form(
            c in 0.05..0.95f64, k in 1e-6..1e-2f64, z in 0.1..1.0f64, skew in -0.5..0.5f64, i in -1e-3..1e-3f64, t in 0.0..1e4f64,
        ) {
            let model = Kibam { c, k_per_s: k };
            let mut wells = Wells { total: z, gap: skew };
            let (y1, y2) = (model.available(&wells), model.bound(&wells));
            model.step(&mut wells, i, t);
            let (want1, want2) = closed_form(c, k, y1, y2, i, t);
            let scale = 1.0 + (i * t).abs();
            prop_assert!((model.available(&wells) - want1).abs() < 1e-9 * scale, "{} {want1}", model.available(&wells));
            prop_assert!((model.bound(&wells) - want2).abs() < 1e-9 * scale, "{} {want2}", model.bound(&wells));
        }

        #[test]
        fn steps_add_up(i in -1e-3..1e-3f64, a in 0.0..1e4f64, b in 0.0..1e4f64) {
            let model = Kibam { c: 0.3, k_per_s: 1e-4 };
            let (mut once, mut twice) = (Wells { total: 0.8, gap: 0.1 }, Wells { total: 0.8, gap: 0.1 });
            model.step(&mut once, i, a + b);
            model.step(&mut twice, i, a);
            model.step(&mut twice, i, b);
            prop_assert!((once.total - twice.total).abs() < 1e-9 && (once.gap - twice.gap).abs() < 1e-9);
        }

        #[test]
        fn no_charge_appears_and_no_head_leaves_its_well(
            currents in prop::collection::vec((-2e-3..2e-3f64, 0.0..2e3f64), 1..40), c in 0.1..1.0f64,
        ) {
            let model = Kibam { c, k_per_s: 1e-4 };
            let mut wells = Wells { total: 0.5, gap: 0.0 };
            let mut taken = 0.0;
            for (i, dt) in currents {
                let flowed = model.step_within(&mut wells, i, dt, (0.0, 1.0));
                taken += flowed * dt;
                prop_assert!(flowed.abs() <= i.abs() && flowed * i >= 0.0);
                let head = model.head(&wells);
                prop_assert!((-1e-9..=1.0 + 1e-9).contains(&head), "{head}");
            }
            prop_assert!((0.5 - taken - wells.total).abs() < 1e-9, "coulombs are conserved");
        }
    }

    proptest! {
        #[test]
        fn it_is_empty_when_it_is_said_to_be(
            c in 0.1..1.0f64, i in 1e-5..2e-3f64, skew in -0.3..0.3f64, least in 0.0..0.4f64, dt in 1.0..5e3f64,
        ) {
            let model = Kibam { c, k_per_s: 1e-4 };
            let wells = Wells { total: 0.6, gap: skew };
            let head = |t: f64| {
                let mut then = wells;
                model.step(&mut then, i, t);
                model.head(&then)
            };
            match model.reaches_s(&wells, i, dt, least) {
                None => prop_assert!((0..=20).all(|k| head(dt * f64::from(k) / 20.0) > least)),
                Some(t) => {
                    prop_assert!(head(t) <= least + 1e-9 && (0.0..=dt).contains(&t));
                    prop_assert!(t == 0.0 || (0..20).all(|k| head(t * f64::from(k) / 20.0) > least - 1e-9));
                }
            }
        }
    }

    #[test]
    fn what_rests_recovers_and_no_more() {
        let model = Kibam { c: 0.4, k_per_s: 1e-4 };
        let mut wells = Wells { total: 1.0, gap: 0.0 };
        model.step(&mut wells, 3e-4, 1000.0);
        let before = model.head(&wells);
        let mut last = before;
        for _ in 0..20 {
            model.step(&mut wells, 0.0, 600.0);
            assert!(model.head(&wells) > last);
            last = model.head(&wells);
        }
        assert!(last - before > 0.05 && last <= wells.total, "{before} {last}");
    }
}
