//! Step responses: what a part says after what it finds has jumped.

use super::{
    Effort, Unmeasured,
    bench::{self, Setup},
    sensor::{Range, truths_at},
};
use twinfleet_engine::{
    catalog::{Catalog, ChannelDef, SensorDef},
    time::Span,
};

/// The mean of many units after a jump of what they find, as a share of it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The quantity.
    pub quantity: String,
    /// Time since the jump [s], and the share of it that is shown.
    pub points: Vec<(f64, f64)>,
    /// Time after which 63 % are shown, [s]; 0: at once.
    pub tau63_s: f64,
}

/// Step responses of all channels of a sensor.
///
/// # Errors
/// Where the bench does not run.
pub fn responses(catalog: &Catalog, model: &str, effort: Effort) -> Result<Vec<Response>, Unmeasured> {
    let Some(sensor) = catalog.sensors.get(model) else { return Ok(Vec::new()) };
    let mut taus: Vec<f64> = sensor.channels.iter().map(|c| c.tau_s).collect();
    taus.sort_by(f64::total_cmp);
    taus.dedup();
    let mut all = Vec::new();
    for tau_s in taus {
        of_tau(catalog, sensor, tau_s, effort, &mut all)?;
    }
    let place = |r: &Response| sensor.channels.iter().position(|c| c.quantity == r.quantity);
    all.sort_by_key(place);
    Ok(all)
}

/// How an actuator follows the command to its full level.
///
/// # Errors
/// Where the catalog has no such actuator, or the bench does not run.
pub fn follows(catalog: &Catalog, model: &str, effort: Effort) -> Result<Response, Unmeasured> {
    let actuator = catalog.actuators.get(model);
    let actuator = actuator.ok_or_else(|| Unmeasured(format!("there is no actuator `{model}`")))?;
    // Eight time constants, or twice the way from stop to stop.
    let whole_s = (8.0 * actuator.tau_s).max(2.0 * actuator.travel_s).max(0.1);
    let mut setup = Setup::new(1, effort.seed, Span((whole_s / 400.0 * 1e9) as i64), 400);
    setup.actuator = Some(model.to_owned());
    let measured = bench::run(catalog, "none", &setup)?;
    let mut points = vec![(0.0, 0.0)];
    points.extend(measured.of("a.level").iter().flatten().copied().filter(|p| p.0 > 0.0));
    let at_once = points.get(1).is_some_and(|p| p.1 > 0.95);
    let tau63_s = if at_once { 0.0 } else { crossing(&points, 1.0 - (-1.0f64).exp()) };
    Ok(Response { quantity: "level".to_owned(), points, tau63_s })
}

/// Channels of one time constant, which says how often they are looked at; what is found is their own.
fn of_tau(
    catalog: &Catalog,
    sensor: &SensorDef,
    tau_s: f64,
    effort: Effort,
    all: &mut Vec<Response>,
) -> Result<(), Unmeasured> {
    // Never faster than the part has a new value.
    let fresh_s = sensor.min_interval.max(sensor.conversion).as_secs_f64();
    let period_s = (tau_s / 25.0).max(fresh_s * 1.001).max(1e-3);
    // From below to where it jumps from, so that a part with a loop stands at its rising edge.
    let settle = if tau_s > 0.0 { (8.0 * tau_s / period_s).ceil() as u32 + 1 } else { 4 };
    let before = 2 * settle;
    let after = ((6.0 * tau_s / period_s).ceil() as u32).clamp(8, 400);
    let units = effort.units.clamp(20, 100);
    let mut setup = Setup::new(units, effort.seed, Span((period_s * 1e9) as i64), before + after);
    setup.truths = truths_at(sensor, |c| jump(c).0 - 0.4 * (jump(c).1 - jump(c).0));
    for (tick, truths) in
        [(settle, truths_at(sensor, |c| jump(c).0)), (before, truths_at(sensor, |c| jump(c).1))]
    {
        setup.tells.extend(truths.into_iter().map(|(q, x)| (tick, q, x)));
    }
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    let looks = measured.of("mark");
    let jump_s = period_s * f64::from(before);
    for c in sensor.channels.iter().filter(|c| c.tau_s == tau_s) {
        let mut bins: Vec<(f64, f64, u32)> = Vec::new();
        let from = spread_at(measured.of(&c.quantity), looks, jump_s, false);
        let to = spread_at(measured.of(&c.quantity), looks, jump_s, true);
        for (readings, looks) in measured.of(&c.quantity).iter().zip(looks) {
            // A lag takes what it finds to have held since the look before.
            let last = looks.iter().map(|l| l.0).filter(|t| *t < jump_s).fold(0.0, f64::max);
            for (k, ((_, v), (t, _))) in readings.iter().zip(looks).filter(|(_, l)| l.0 >= jump_s).enumerate()
            {
                if bins.len() <= k {
                    bins.push((0.0, 0.0, 0));
                }
                bins[k].0 += t - last;
                bins[k].1 += (v - from) / (to - from);
                bins[k].2 += 1;
            }
        }
        let mean = |(t, v, n): &(f64, f64, u32)| (t / f64::from(*n), v / f64::from(*n));
        let mut points = vec![(0.0, 0.0)];
        // The last looks are not all units': a mean over fewer would jump, as another unit's gain or bias left it.
        let most = bins.iter().map(|b| b.2).max().unwrap_or(0);
        points.extend(bins.iter().filter(|b| b.2 > 0 && b.2 == most).map(mean));
        // A part without a lag shows all of it at its next look, which is when it looks and no time of its own.
        let tau63_s = if points.get(1).is_some_and(|p| p.1 > 0.95)
            || tau_s == 0.0 && points.get(2).is_some_and(|p| p.1 > 0.95)
        {
            0.0
        } else {
            crossing(&points, 1.0 - (-1.0f64).exp())
        };
        all.push(Response { quantity: c.quantity.clone(), points, tau63_s });
    }
    Ok(())
}

/// From where to where a channel is made to jump: from its usual point up, or of a state from end to end.
fn jump(c: &ChannelDef) -> (f64, f64) {
    let (low, high) = (Range::middle(c), Range::high(c));
    if c.lsb > 0.5 * (high - low) { c.range } else { (low, high) }
}

/// Mean reading over units and the last readings before the jump, or at the end of the record.
fn spread_at(series: &[bench::Series], looks: &[bench::Series], jump_s: f64, end: bool) -> f64 {
    let mut values = Vec::new();
    for (readings, looks) in series.iter().zip(looks) {
        let before = looks.iter().filter(|l| l.0 < jump_s).count();
        let end_of = if end { readings.len() } else { before.min(readings.len()) };
        let range = end_of.saturating_sub(3)..end_of;
        values.extend(readings[range].iter().map(|r| r.1));
    }
    super::spread(&values).0
}

/// Where a response crosses a share, between its points as an exponential does.
fn crossing(points: &[(f64, f64)], share: f64) -> f64 {
    for pair in points.windows(2) {
        let ((t0, a), (t1, b)) = (pair[0], pair[1]);
        if a < share && share <= b {
            let left = |x: f64| (1.0 - x).max(1e-9).ln();
            return t0 + (t1 - t0) * (left(share) - left(a)) / (left(b) - left(a));
        }
    }
    points.last().map_or(0.0, |p| p.0)
}
