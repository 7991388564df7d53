//! Supply currents, found from what a battery loses; and actuators at full level.

use super::{
    Effort, Figure, Unmeasured,
    bench::{self, Setup},
    sensor::{Range, truths_at},
    spread,
};
use twinfleet_engine::{
    catalog::{Catalog, SensorDef},
    time::Span,
};

/// A battery that any load leaves as it is: 100 Ah at 6 V.
const BATTERY: &str =
    "Battery(capacity_mah: 100000.0, charge: (1.0, 1.0), r0_ohm: 0.0, ocv_v: [(0.0, 6.0), (1.0, 6.0)])";
const CAPACITY_MAH: f64 = 1e5;
/// What rounding leaves open of a charge that has been taken away over a dozen wakes, [mAh].
const ROUNDING_MAH: f64 = 4.0 * f64::EPSILON * CAPACITY_MAH;
/// Wakes of a measurement of a sensor's current.
const WAKES: u32 = 12;

/// Mean current from a battery, [mA], at this time between readings.
pub(super) fn mean_ma(catalog: &Catalog, model: &str, mut setup: Setup) -> Result<f64, Unmeasured> {
    setup.power = BATTERY.to_owned();
    let measured = bench::run(catalog, model, &setup)?;
    let mut all = Vec::new();
    for unit in measured.of("power.charge") {
        // The first and the last wake bound whole periods.
        if let [first, .., last] = unit[..] {
            all.push((first.1 - last.1) / 100.0 * CAPACITY_MAH / ((last.0 - first.0) / 3600.0));
        }
    }
    Ok(spread(&all).0)
}

/// A sensor's mean current at one reading a second, and its currents while it measures and between.
pub(super) fn sensor(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let conversion_s = found.iter().find(|f| f.name == "conversion").map_or(0.0, |f| f.value);
    let at = |period_s: f64| {
        let mut setup = Setup::new(2, effort.seed, Span((period_s * 1e9) as i64), WAKES);
        setup.truths = truths_at(sensor, Range::middle);
        mean_ma(catalog, &sensor.name, setup)
    };
    let often_s = 1.0f64.max(conversion_s);
    let (often, seldom_s) = (at(often_s)?, 1e4 * often_s);
    let seldom = at(seldom_s)?;
    // idle + (active − idle)·conversion/period, at two periods.
    let per_reading = (often - seldom) / (1.0 / often_s - 1.0 / seldom_s);
    let idle = seldom - per_reading / seldom_s;
    found.push(Figure::new("part", "current_idle", idle, "mA", 1e-3 * idle.abs()));
    if conversion_s > 0.0 {
        let active = idle + per_reading / conversion_s;
        // A conversion of microseconds is a small part of what a second took: rounding shows.
        let rounding_ma = ROUNDING_MAH * 3600.0 / f64::from(WAKES - 1) / conversion_s;
        let error = (1e-3 * active).hypot(rounding_ma);
        found.push(Figure::new("part", "current_active", active, "mA", error));
    }
    let mean = idle + per_reading / sensor.min_interval.as_secs_f64().max(1.0);
    found.push(Figure::new("part", "current_mean", mean, "mA", 1e-3 * mean.abs()));
    Ok(())
}

/// An actuator held at full level: its current, and how long it takes to follow.
pub(super) fn actuator(catalog: &Catalog, model: &str, effort: Effort) -> Result<Vec<Figure>, Unmeasured> {
    let def = catalog.actuators.get(model);
    let mut found = Vec::new();
    let mut at = |name: &str, level: f64, period: Span, readings: u32| {
        let mut setup = Setup::new(2, effort.seed, period, readings);
        setup.actuator = Some(model.to_owned());
        setup.level = level;
        setup.firmware = "deep_sleep: true".to_owned();
        let ma = mean_ma(catalog, "none", setup)?;
        found.push(Figure::new("level", name, ma, "mA", 1e-3 * ma.abs()));
        Ok(())
    };
    at("current_active", 1.0, Span::from_secs(60), 60)?;
    at("current_idle", 0.0, Span::from_secs(60), 60)?;
    if let Some(a) = def.filter(|a| a.moving_ma > 0.0) {
        // Over half of its way.
        at("current_moving", 1.0, Span((a.travel_s / 40.0 * 1e9) as i64), 20)?;
    }
    // Ten time constants, or the way from stop to stop and as much again.
    let whole_s = def.map_or(0.0, |a| (10.0 * a.tau_s).max(2.0 * a.travel_s)).max(20.0);
    let mut setup = Setup::new(1, effort.seed, Span((whole_s / 20_000.0 * 1e9) as i64), 20_000);
    setup.actuator = Some(model.to_owned());
    let measured = bench::run(catalog, "none", &setup)?;
    let level = measured.of("a.level");
    let through = level.iter().flatten().find(|(_, x)| *x >= 1.0 - (-1.0f64).exp());
    if let Some((t, _)) = through {
        found.push(Figure::new("level", "tau63", *t, "s", 1e-3));
    }
    let full = level.iter().flatten().find(|(_, x)| *x >= 1.0 - 1e-9);
    if let Some((t, _)) = full {
        found.push(Figure::new("level", "travel", *t, "s", 1e-3));
    }
    Ok(found)
}
