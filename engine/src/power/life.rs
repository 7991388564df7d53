//! How long batteries will last, from what they gave so far.
//!
//! A device's life is what is left, down to where its board browns out under its greatest load, over the mean current of the
//! run. The run's own variation is taken from the means of [`BATCHES`] equal stretches of it (batch means); the spread over a
//! group is that of its devices. The forecast supposes that the future is as the run was: a run of one night says what
//! nights like it would do.
//!
//! ```
//! use twinfleet_engine::{power::life::Gauge, time::{SimTime, Span}};
//! let mut gauge = Gauge::default();
//! for h in 0..=10 {
//!     gauge.note(SimTime::ZERO + Span::from_secs(3600 * h), 2.0 * h as f64, Span::from_secs(3600));
//! }
//! let life = gauge.life(100.0).unwrap();
//! assert!((life.mean_ma - 2.0).abs() < 1e-12 && (life.expected_h - 50.0).abs() < 1e-9);
//! assert!((life.earliest_h - 50.0).abs() < 1e-6, "a steady current leaves no doubt");
//! ```

use crate::{
    plan::Plan,
    sense::Cohort,
    time::{SimTime, Span},
};
use bevy_ecs::prelude::*;

/// Stretches that a run is divided into.
pub const BATCHES: i64 = 12;
/// Two-sided 90 % quantiles of Student's distribution by degrees of freedom, 1 to 11; beyond, the last.
const STUDENT_90: [f64; 11] = [6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796];

/// What has gone out of a battery, by stretches of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauge {
    /// Newest instant and the charge drawn until then, [mAh].
    last: (SimTime, f64),
    /// The same at the start of the stretch in progress.
    stretch: (SimTime, f64),
    /// Number of stretches, mean and sum of squared deviations of their mean currents, [mA].
    n: u32,
    mean: f64,
    squares: f64,
}

/// A device's forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Life {
    /// Mean current of the run, net of charging, [mA].
    pub mean_ma: f64,
    /// Life at that current, [h]; infinite where the battery does not run down.
    pub expected_h: f64,
    /// Lower end of its 90 % interval, [h].
    pub earliest_h: f64,
    /// Upper end, [h].
    pub latest_h: f64,
}

impl Gauge {
    /// The charge drawn since the start of the run at an instant, [mAh].
    pub fn note(&mut self, t: SimTime, drawn_mah: f64, batch: Span) {
        self.last = (t, drawn_mah);
        let (since, before) = self.stretch;
        if batch.0 <= 0 || (t - since).0 < batch.0 {
            return;
        }
        let ma = (drawn_mah - before) * 3600.0 / (t - since).as_secs_f64();
        self.n += 1;
        let off = ma - self.mean;
        self.mean += off / f64::from(self.n);
        self.squares += off * (ma - self.mean);
        self.stretch = (t, drawn_mah);
    }

    /// How long `left_mah` will last. None: nothing has been seen.
    pub fn life(&self, left_mah: f64) -> Option<Life> {
        let hours = self.last.0.as_secs_f64() / 3600.0;
        if hours <= 0.0 {
            return None;
        }
        let mean_ma = self.last.1 / hours;
        let half = match self.n {
            0 | 1 => 0.0,
            n => {
                let deviation = (self.squares / f64::from(n - 1)).sqrt();
                STUDENT_90[(n as usize - 2).min(STUDENT_90.len() - 1)] * deviation / f64::from(n).sqrt()
            }
        };
        let lasts = |ma: f64| match ma {
            _ if left_mah <= 0.0 => 0.0,
            ma if ma > 0.0 => left_mah / ma,
            _ => f64::INFINITY,
        };
        Some(Life {
            mean_ma,
            expected_h: lasts(mean_ma),
            earliest_h: lasts(mean_ma + half),
            latest_h: lasts(mean_ma - half),
        })
    }
}

/// The forecast of a group of devices.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupLife {
    /// Device pattern.
    pub group: String,
    /// Devices that were seen.
    pub devices: u32,
    /// Mean current over devices, [mA].
    pub mean_ma: f64,
    /// Least and greatest mean current of a device, [mA].
    pub range_ma: (f64, f64),
    /// Median life, [h].
    pub expected_h: f64,
    /// 5 % quantile of the devices' own lower ends, [h].
    pub earliest_h: f64,
    /// 95 % quantile of their upper ends, [h].
    pub latest_h: f64,
    /// 5 % and 95 % quantile of the devices' own expectations: the spread over units alone, [h].
    pub units_h: (f64, f64),
    /// Median, lower and upper end were the cells never colder than their reference temperature, [h], where the run's coldest
    /// moment leaves the median device nothing: it has given way then, and has come back in the warm.
    pub warm_h: Option<(f64, f64, f64)>,
}

/// Of a sorted list, by linear interpolation between order statistics.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let at = p * (sorted.len() - 1) as f64;
    let (low, share) = (sorted[at.floor() as usize], at.fract());
    let high = sorted[at.ceil() as usize];
    if share == 0.0 || low == high { low } else { low + (high - low) * share }
}

/// A figure of each of a group's forecasts, ascending.
fn sorted(lives: &[Life], figure: fn(&Life) -> f64) -> Vec<f64> {
    let mut all: Vec<f64> = lives.iter().map(figure).collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Median life, and the 5 % and 95 % quantile of the lower and upper ends, [h].
fn interval(lives: &[Life]) -> (f64, f64, f64) {
    (
        quantile(&sorted(lives, |l| l.expected_h), 0.5),
        quantile(&sorted(lives, |l| l.earliest_h), 0.05),
        quantile(&sorted(lives, |l| l.latest_h), 0.95),
    )
}

/// The forecasts of all groups on batteries, in their order.
pub fn forecast(world: &mut World, plan: &Plan) -> Vec<GroupLife> {
    // As the run was, and had it been warm.
    let mut lives: Vec<[Vec<Life>; 2]> = vec![Default::default(); plan.groups.len()];
    for cohort in world.query::<&Cohort>().iter(world) {
        let Some(group) = plan.groups.iter().position(|g| g.def == cohort.group.number) else { continue };
        for (of, warm) in lives[group].iter_mut().zip([false, true]) {
            of.extend((0..cohort.len() as u16).filter_map(|lane| cohort.life(lane, warm)));
        }
    }
    let of_group = |(g, [lives, warm]): (usize, &[Vec<Life>; 2])| {
        if lives.is_empty() {
            return None;
        }
        let (currents, expected) = (sorted(lives, |l| l.mean_ma), sorted(lives, |l| l.expected_h));
        let (expected_h, earliest_h, latest_h) = interval(lives);
        Some(GroupLife {
            group: plan.scenario.fleet[plan.groups[g].def].id.clone(),
            devices: lives.len() as u32,
            mean_ma: currents.iter().sum::<f64>() / currents.len() as f64,
            range_ma: (currents[0], currents[currents.len() - 1]),
            expected_h,
            earliest_h,
            latest_h,
            units_h: (quantile(&expected, 0.05), quantile(&expected, 0.95)),
            warm_h: Some(interval(warm)).filter(|w| expected_h <= 0.0 && w.0 > 0.0),
        })
    };
    lives.iter().enumerate().filter_map(of_group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::stream;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    /// Of many runs with noise in their current, nine in ten intervals hold the true life.
    #[test]
    fn nine_intervals_in_ten_hold() {
        let mut held = 0;
        for seed in 0..1000 {
            let mut rng = stream(seed, "life", "test");
            let mut gauge = Gauge::default();
            let mut drawn = 0.0;
            for h in 1..=12 {
                let n: f64 = rng.sample(StandardNormal);
                drawn += 3.0 + 0.6 * n;
                gauge.note(SimTime::ZERO + Span::from_secs(3600 * h), drawn, Span::from_secs(3600));
            }
            let life = gauge.life(300.0).unwrap();
            held += u32::from(life.earliest_h <= 100.0 && 100.0 <= life.latest_h);
        }
        assert!((870..=930).contains(&held), "{held} of 1000");
    }

    #[test]
    fn a_battery_that_is_charged_does_not_run_down() {
        let mut gauge = Gauge::default();
        gauge.note(SimTime::ZERO + Span::from_secs(3600), -1.0, Span::from_secs(3600));
        assert_eq!(gauge.life(10.0).unwrap().expected_h, f64::INFINITY);
        assert_eq!(quantile(&[1.0, 2.0, f64::INFINITY], 1.0), f64::INFINITY);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
    }
}
