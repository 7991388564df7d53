//! Clocks as devices have them: a crystal's error over temperature, time set over the network, time lost in a reset.
//!
//! A device whose firmware has a `clock` keeps its own time from these. Without one it keeps what its board's `clock_ppm`
//! says, is never set, and is never reset. The error is brought forward when the device wakes, exactly for a temperature
//! that is held since its last wake.
//!
//! ```
//! use twinfleet_engine::clock::CrystalDef;
//! let watch = CrystalDef::TuningFork { turnover_c: 25.0, ppm_per_c2: -0.034 };
//! assert!((watch.ppm(-15.0) + 54.4).abs() < 1e-9, "slow in the cold: 4.7 s a day");
//! ```

use crate::{
    rng::{Rng, stream},
    time::{SimTime, Span},
};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::Deserialize;

/// A crystal's frequency over temperature, relative to that at its own reference.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum CrystalDef {
    /// A 32.768 kHz tuning fork: a parabola that falls to both sides of its turnover.
    TuningFork {
        /// Temperature of the greatest frequency, [°C].
        turnover_c: f64,
        /// Curvature, [ppm/K²], below 0.
        ppm_per_c2: f64,
    },
    /// An AT-cut crystal of some MHz: a cubic about its inflection.
    AtCut {
        /// Temperature of the inflection, [°C].
        inflection_c: f64,
        /// Slope there, which the cut's angle sets, [ppm/K].
        ppm_per_c: f64,
        /// Cubic coefficient, [ppm/K³].
        ppm_per_c3: f64,
    },
    /// A ceramic resonator, or an oscillator without a crystal: a straight line.
    Linear {
        /// Temperature at which it is right, [°C].
        at_c: f64,
        /// Slope, [ppm/K].
        ppm_per_c: f64,
    },
}

impl CrystalDef {
    /// Error of the frequency at a temperature, [ppm].
    pub fn ppm(&self, temperature_c: f64) -> f64 {
        match *self {
            Self::TuningFork { turnover_c, ppm_per_c2 } => ppm_per_c2 * (temperature_c - turnover_c).powi(2),
            Self::AtCut { inflection_c, ppm_per_c, ppm_per_c3 } => {
                let d = temperature_c - inflection_c;
                ppm_per_c * d + ppm_per_c3 * d.powi(3)
            }
            Self::Linear { at_c, ppm_per_c } => ppm_per_c * (temperature_c - at_c),
        }
    }
}

/// What firmware does about time.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockDef {
    /// How it is set over the network. None: never.
    #[serde(default)]
    pub ntp: Option<NtpDef>,
    /// Whether a backed-up clock keeps the time through a reset; without one it starts again at 1970-01-01.
    #[serde(default)]
    pub backed_up: bool,
}

/// Setting the clock over the network. The exchange itself is taken to cost nothing: two packets of 76 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtpDef {
    /// How often; after a reset with the first message that gets through.
    pub every: Span,
    /// Standard deviation of the error that is left: half the difference between the ways there and back.
    #[serde(default)]
    pub error: Span,
}

/// A step of the clock from here on is worth an event. ntpd steps rather than slews from 128 ms on (its `step` threshold).
pub const STEP_TOLD: Span = Span(128_000_000);

/// How the clocks of a group behave.
#[derive(Clone, Debug)]
pub(crate) struct ClockPlan {
    pub def: ClockDef,
    pub crystal: Option<CrystalDef>,
    pub epoch_unix_ms: i64,
}

/// A device's clock.
#[derive(Debug)]
struct Timekeeper {
    /// How far it is ahead of simulated time, [ns].
    ahead_ns: f64,
    at_ns: i64,
    /// Its crystal's own error, and that with the temperature's, [ppm].
    unit_ppm: f64,
    ppm: f64,
    next_sync: SimTime,
    set: bool,
    rng: Rng,
}

/// The clocks of a cohort, where the firmware has one.
#[derive(Debug, Default)]
pub(crate) struct Timekeepers(Vec<Timekeeper>);

impl Timekeepers {
    /// Adds the next lane's clock, set right before the run; when it is set next comes from the stream `clock/ntp`.
    pub fn add(&mut self, plan: &ClockPlan, seed: u64, device: &str, unit_ppm: f64) {
        let mut rng = stream(seed, device, "clock/ntp");
        let phase: f64 = rng.random();
        let next_sync = plan.def.ntp.map_or(SimTime::NEVER, |n| SimTime((n.every.0 as f64 * phase) as i64));
        self.0.push(Timekeeper {
            ahead_ns: 0.0,
            at_ns: 0,
            unit_ppm,
            ppm: unit_ppm,
            next_sync,
            set: true,
            rng,
        });
    }

    /// Brings a clock to an instant at which its crystal has this temperature. Its error of frequency, [ppm].
    pub fn run(&mut self, lane: u16, plan: &ClockPlan, t: SimTime, temperature_c: f64) -> f64 {
        let k = &mut self.0[lane as usize];
        k.ppm = k.unit_ppm + plan.crystal.map_or(0.0, |c| c.ppm(temperature_c));
        k.ahead_ns += k.ppm * 1e-6 * (t.0 - k.at_ns).max(0) as f64;
        k.at_ns = k.at_ns.max(t.0);
        k.ppm
    }

    /// How far a clock is ahead at an instant after its last wake, [ns].
    pub fn ahead_ns(&self, lane: u16, t: SimTime) -> i64 {
        let k = &self.0[lane as usize];
        (k.ahead_ns + k.ppm * 1e-6 * (t.0 - k.at_ns).max(0) as f64) as i64
    }

    /// The board is reset: time starts again, unless the clock is backed up. Whether it was lost.
    pub fn reset(&mut self, lane: u16, plan: &ClockPlan, t: SimTime) -> bool {
        let k = &mut self.0[lane as usize];
        k.next_sync = if plan.def.ntp.is_some() { t } else { SimTime::NEVER };
        if plan.def.backed_up {
            return false;
        }
        k.ahead_ns = -(plan.epoch_unix_ms as f64 * 1e6 + t.0 as f64);
        k.at_ns = k.at_ns.max(t.0);
        k.set = false;
        true
    }

    /// A message got through: sets the clock where that is due. By how much it was moved, and whether it had been lost.
    pub fn heard(&mut self, lane: u16, plan: &ClockPlan, t: SimTime) -> Option<(Span, bool)> {
        let ntp = plan.def.ntp?;
        let before = self.ahead_ns(lane, t);
        let k = &mut self.0[lane as usize];
        if t < k.next_sync {
            return None;
        }
        let n: f64 = k.rng.sample(StandardNormal);
        k.ahead_ns = ntp.error.0 as f64 * n;
        k.at_ns = k.at_ns.max(t.0);
        k.next_sync = t + ntp.every;
        let lost = !std::mem::replace(&mut k.set, true);
        Some((Span(k.ahead_ns as i64 - before), lost))
    }

    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let k = &self.0[lane as usize];
        bytes.extend(k.ahead_ns.to_bits().to_le_bytes());
        bytes.extend(k.at_ns.to_le_bytes());
        bytes.extend(k.next_sync.0.to_le_bytes());
        bytes.extend(k.rng.clone().random::<u64>().to_le_bytes());
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Timekeeper>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(crystal: Option<CrystalDef>, ntp: Option<NtpDef>) -> ClockPlan {
        ClockPlan { def: ClockDef { ntp, backed_up: false }, crystal, epoch_unix_ms: 1_000_000 }
    }

    fn at(s: i64) -> SimTime {
        SimTime::ZERO + Span::from_secs(s)
    }

    #[test]
    fn an_at_cut_is_odd_about_its_inflection() {
        let c = CrystalDef::AtCut { inflection_c: 26.0, ppm_per_c: -0.2, ppm_per_c3: 1e-4 };
        assert_eq!(c.ppm(26.0), 0.0);
        assert!((c.ppm(36.0) + c.ppm(16.0)).abs() < 1e-12);
        assert!((c.ppm(-14.0) - (8.0 - 6.4)).abs() < 1e-9);
    }

    #[test]
    fn errors_add_up_by_the_ppm_whatever_the_wakes() {
        let p = plan(Some(CrystalDef::TuningFork { turnover_c: 25.0, ppm_per_c2: -0.034 }), None);
        for wakes in [1, 24, 1440] {
            let mut clocks = Timekeepers::default();
            clocks.add(&p, 1, "d", 3.0);
            for k in 1..=wakes {
                clocks.run(0, &p, at(86_400 * k / wakes), -5.0);
            }
            // (3 − 0.034·30²) ppm of a day.
            let want = (3.0 - 30.6) * 86_400.0 * 1e3;
            assert!((clocks.ahead_ns(0, at(86_400)) as f64 - want).abs() < 10.0);
        }
    }

    #[test]
    fn setting_leaves_the_networks_error_and_no_more() {
        let ntp = NtpDef { every: Span::from_secs(3600), error: Span(10_000_000) };
        let p = plan(None, Some(ntp));
        let (mut sum, mut squares) = (0.0, 0.0);
        let n = 2000;
        for seed in 0..n {
            let mut clocks = Timekeepers::default();
            clocks.add(&p, seed, "d", 50.0);
            clocks.run(0, &p, at(7200), 20.0);
            let (step, lost) = clocks.heard(0, &p, at(7200)).expect("due");
            assert!(!lost && step.0 < 0, "50 ppm of two hours are 360 ms ahead");
            let ms = clocks.ahead_ns(0, at(7200)) as f64 * 1e-6;
            sum += ms;
            squares += ms * ms;
            assert_eq!(clocks.heard(0, &p, at(7260)), None, "not due yet");
        }
        let n = n as f64;
        let (mean, std) = (sum / n, (squares / n - (sum / n).powi(2)).sqrt());
        assert!(mean.abs() < 4.0 * 10.0 / n.sqrt(), "{mean}");
        assert!((std - 10.0).abs() < 4.0 * 10.0 / (2.0 * n).sqrt(), "{std}");
    }

    #[test]
    fn a_reset_loses_the_time_until_it_is_set_again() {
        let p = plan(None, Some(NtpDef { every: Span::from_secs(3600), error: Span::ZERO }));
        let mut clocks = Timekeepers::default();
        clocks.add(&p, 1, "d", 0.0);
        assert!(clocks.reset(0, &p, at(500)));
        let unix_ms = |c: &Timekeepers, t| p.epoch_unix_ms + (t + Span(c.ahead_ns(0, t))).0 / 1_000_000;
        assert_eq!(unix_ms(&clocks, at(503)), 3000, "three seconds after 1970-01-01");
        let (step, lost) = clocks.heard(0, &p, at(510)).expect("due at once");
        assert!(lost && (step.0 - 1_500_000_000_000 + 10_000_000_000).abs() < 20_000_000_000, "{step}");
        assert_eq!(unix_ms(&clocks, at(510)), 1_000_000 + 510_000);
        let kept = ClockPlan { def: ClockDef { backed_up: true, ..p.def }, ..p };
        assert!(!clocks.reset(0, &kept, at(600)) && clocks.ahead_ns(0, at(600)) == 0);
    }
}
