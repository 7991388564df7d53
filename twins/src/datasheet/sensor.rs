//! A sensor's figures: noise, spread over units, range, step, lag, loop, drift, timing, sensitivities, own heat.

use super::{
    Effort, Figure, Unmeasured, allan,
    bench::{self, Series, Setup},
    current, difference_unit, latch, spread, step,
};
use twinfleet_engine::{
    catalog::{Catalog, ChannelDef, CrossLaw, SensorDef},
    time::Span,
    units,
};

/// Seconds in a Julian year.
const YEAR_S: f64 = 365.25 * 86_400.0;

/// Where within a channel's range it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Range;

impl Range {
    /// The usual operating point of a quantity: a room, a bed, a table.
    pub fn middle(c: &ChannelDef) -> f64 {
        let usual: f64 = match c.quantity.as_str() {
            "temperature" => 25.0,
            "humidity" => 50.0,
            "pressure" => 1000.0,
            "illuminance" => 1000.0,
            "soil_moisture" => 40.0,
            "distance" => 1.0,
            "force" => 10.0,
            "co2" => 1000.0,
            "gas" => 100.0,
            "pm1" | "pm2_5" | "pm10" => 50.0,
            "current" => 200.0,
            "bus_voltage" | "voltage" => 2.0,
            "flow" => 10.0,
            "latitude" => 48.0,
            "longitude" => 11.0,
            "altitude" => 500.0,
            "speed" => 10.0,
            "sound" => 70.0,
            "rotation" => 2000.0,
            "load" => 50.0,
            "frequency" => 1000.0,
            q if units::converter_input(q).is_some() => 2.0,
            _ => 0.0,
        };
        usual.clamp(c.range.0, c.range.1)
    }

    /// A seventh of the way from the operating point to the top, or for a wide range less: no unit saturates there. A ranger's
    /// noise needs a longer lever for its gain to show.
    pub fn high(c: &ChannelDef) -> f64 {
        let middle = Self::middle(c);
        let lever = if c.quantity == "distance" { 0.6 } else { 0.15 };
        let up = middle + lever * (c.range.1 - middle);
        if middle.abs() > 0.0 { up.min(middle * 1.6 + 0.02 * (c.range.1 - middle)) } else { up }
    }
}

/// What all channels find at a point of their ranges.
pub fn truths_at(sensor: &SensorDef, at: impl Fn(&ChannelDef) -> f64) -> Vec<(String, f64)> {
    sensor.channels.iter().map(|c| (c.quantity.clone(), at(c))).collect()
}

pub(super) fn span(s: f64) -> Span {
    Span((s * 1e9).round() as i64)
}

/// Time after which a part gives a new value, and the least between readings of this bench, [s].
pub(super) fn fresh_s(sensor: &SensorDef) -> f64 {
    (sensor.min_interval.as_secs_f64() * 1.001).max(0.02)
}

pub(super) fn measure(catalog: &Catalog, model: &str, effort: Effort) -> Result<Vec<Figure>, Unmeasured> {
    let sensor = &catalog.sensors[model];
    let mut found = Vec::new();
    sweep(catalog, sensor, effort, &mut found)?;
    still(catalog, sensor, effort, &mut found)?;
    loops(catalog, sensor, effort, &mut found)?;
    drift(catalog, sensor, effort, &mut found)?;
    surroundings(catalog, sensor, effort, &mut found)?;
    timing(catalog, sensor, effort, &mut found)?;
    latch::measure(catalog, sensor, effort, &mut found)?;
    for r in step::responses(catalog, model, effort)? {
        found.push(Figure::new(&r.quantity, "tau63", r.tau63_s, "s", 0.01 * r.tau63_s));
    }
    current::sensor(catalog, sensor, effort, &mut found)?;
    let place = |f: &Figure| sensor.channels.iter().position(|c| c.quantity == f.channel);
    found.sort_by_key(|f| place(f).unwrap_or(usize::MAX));
    Ok(found)
}

/// Values of one unit from reading `from` on, at most `n`.
fn some(series: &Series, from: usize, n: usize) -> Vec<f64> {
    series.iter().skip(from).take(n).map(|r| r.1).collect()
}

/// Held at two points: noise, and the spread of offset and gain over units.
fn still(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    // Where the noise of forty readings would drown a gain, four times as many are taken.
    let drowns = |c: &ChannelDef| {
        let slope_std = (c.noise_at(Range::high(c)) / 20f64.sqrt()) / (Range::high(c) - Range::middle(c));
        c.gain_std > 0.0 && slope_std > 0.5 * c.gain_std
    };
    let each = if sensor.channels.iter().any(drowns) { 160u32 } else { 40 };
    let settle = 8u32;
    let slowest = sensor.channels.iter().map(|c| c.tau_s).fold(0.0, f64::max);
    let period_s = fresh_s(sensor).max(slowest * 0.75);
    let mut setup = Setup::new(effort.units, effort.seed, span(period_s), 2 * each + settle);
    setup.truths = truths_at(sensor, Range::middle);
    setup.tells = truths_at(sensor, Range::high).into_iter().map(|(q, x)| (each, q, x)).collect();
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    let n = f64::from(effort.units);
    for c in &sensor.channels {
        let series = measured.of(&c.quantity);
        let (low, high) = (Range::middle(c), Range::high(c));
        let (mut squares, mut count) = (0.0, 0.0);
        let (mut offsets, mut slopes, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        let (mut halves, mut late_halves) = (Vec::new(), Vec::new());
        // Mean square by which a unit's readings are off from the truth, at both points.
        let (mut missed, mut missed_far): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        for unit in series {
            let first = some(unit, 1, each as usize - 1);
            let last = some(unit, (each + settle) as usize, each as usize);
            for pair in first.windows(2) {
                squares += (pair[1] - pair[0]).powi(2) / 2.0;
                count += 1.0;
            }
            missed.push(first.iter().map(|x| (x - low).powi(2)).sum::<f64>() / first.len().max(1) as f64);
            missed_far.push(last.iter().map(|x| (x - high).powi(2)).sum::<f64>() / last.len().max(1) as f64);
            let (a, b) = (spread(&first).0, spread(&last).0);
            for (hold, halves) in [(&first, &mut halves), (&last, &mut late_halves)] {
                let (one, other) = hold.split_at(hold.len() / 2);
                halves.push(spread(one).0 - spread(other).0);
            }
            offsets.push(a - low);
            let slope = (b - a) / (high - low);
            slopes.push(slope);
            zeros.push(a - slope * low);
        }
        let noise = (squares / f64::max(count, 1.0)).sqrt();
        let unit = difference_unit(&c.unit);
        found.push(Figure::new(&c.quantity, "noise_std", noise, unit, noise / (2.0 * count).sqrt()));
        let (square, square_std) = spread(&missed);
        let total = square.sqrt();
        let error = square_std / n.sqrt() / (2.0 * total.max(f64::MIN_POSITIVE));
        found.push(Figure::new(&c.quantity, "total_std", total, unit, error));
        if c.noise_ratio > 0.0 {
            // In parts of what is measured, at both points: whether it grows with that.
            for (name, missed, at) in
                [("total_relative", &missed, low), ("total_relative_far", &missed_far, high)]
            {
                let (square, square_std) = spread(missed);
                let share = 100.0 * square.sqrt() / at;
                let error = share * square_std / n.sqrt() / (2.0 * square.max(f64::MIN_POSITIVE));
                found.push(Figure::new(&c.quantity, name, share, "percent", error));
            }
        }
        let quantum =
            found.iter().find(|f| f.name == "quantum" && f.channel == c.quantity).map_or(0.0, |f| f.value);
        // Sheppard's correction: what rounding adds to a noise that reaches over a step.
        let white = (noise * noise - quantum * quantum / 12.0).max(0.0).sqrt();
        found.push(Figure::new(&c.quantity, "white_std", white, unit, noise / (2.0 * count).sqrt()));
        // What one unit's mean is known to: noise and wander differ between two halves of one hold by √2·√2 of that. Where
        // noise does not reach over a step, the mean stands anywhere within it.
        let step = if noise < 0.5 * quantum { quantum / 12f64.sqrt() } else { 0.0 };
        let mean_std = (spread(&halves).1 / 2.0).hypot(step);
        // White noise leaves two whole holds √2 less apart than two halves; slow wander is as far from one hold to the next as
        // within one.
        let wanders = spread(&halves).1 > 1.6 * noise.hypot(step) * (4.0 / f64::from(each)).sqrt();
        let both = spread(&halves).1.hypot(spread(&late_halves).1) / 2.0;
        let apart = if wanders { spread(&halves).1 } else { both };
        // A slope has the step's error at both of its points.
        let far = apart.hypot(2f64.sqrt() * step);
        let chance = (2.0 * n).sqrt();
        let mut put = |name: &'static str, found_std: f64, known_std: f64, unit: &str| {
            let own = (found_std * found_std - known_std * known_std).max(0.0).sqrt();
            // √(a² − b²) of two figures that are known to one part in √(2n) each.
            let least = own.max(found_std / chance.sqrt()).max(f64::MIN_POSITIVE);
            let error =
                (found_std * found_std / least / chance).max(0.2 * step * known_std / mean_std.max(1e-300));
            // A wander goes farther from hold to hold than within one: what it does cannot be told from a gain.
            let error = if wanders && name != "offset_std" { error.max(0.7 * known_std) } else { error };
            found.push(Figure::new(&c.quantity, name, own, unit, error));
        };
        put("offset_std", spread(&offsets).1, mean_std, unit);
        let per = 1.0 / (high - low);
        let share = low * per;
        let by_step = step * (1.0 + share).hypot(share);
        put("zero_std", spread(&zeros).1, (apart * 1f64.hypot(share)).hypot(by_step), unit);
        put("gain_std", 100.0 * spread(&slopes).1, 100.0 * far * per, "percent");
    }
    Ok(())
}

/// Through the range and beyond both ends: where it saturates, and the step between its values.
fn sweep(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let units = effort.units.min(30);
    let slowest = sensor.channels.iter().map(|c| c.tau_s).fold(0.0, f64::max);
    let period_s = fresh_s(sensor).max(slowest * 3.0);
    let (through, beyond) = (150u32, 12u32);
    let mut setup = Setup::new(units, effort.seed, span(period_s), through + 2 * beyond);
    setup.truths = truths_at(sensor, Range::middle);
    for c in &sensor.channels {
        let (low, width) = (c.range.0, c.range.1 - c.range.0);
        for k in 0..through {
            // The golden section visits the range evenly, without a period of its own.
            let share = (f64::from(k) * 0.618_033_988_749_894_9).fract();
            // A third of the visits creep away from the operating point, from a billionth of the range to a hundredth: a step
            // of any size is taken singly then.
            let creep = width * 10f64.powf(-9.0 + 7.0 * f64::from(k) / f64::from(through));
            let x = if k % 3 == 0 { Range::middle(c) + creep } else { low + share * width };
            setup.tells.push((k, c.quantity.clone(), x));
        }
        setup.tells.push((through, c.quantity.clone(), low - 3.0 * width));
        setup.tells.push((through + beyond, c.quantity.clone(), c.range.1 + 3.0 * width));
    }
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    for c in &sensor.channels {
        let all: Vec<f64> = measured.of(&c.quantity).iter().flatten().map(|r| r.1).collect();
        let (low, high) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
        found.push(Figure::new(&c.quantity, "range_min", low, &c.unit, 0.0));
        found.push(Figure::new(&c.quantity, "range_max", high, &c.unit, 0.0));
        let step = quantum(all, c.range.1 - c.range.0);
        found.push(Figure::new(&c.quantity, "quantum", step, difference_unit(&c.unit), 0.0));
    }
    Ok(())
}

/// The step between values: the least gap that most others are multiples of; 0: there is none.
pub(super) fn quantum(mut values: Vec<f64>, width: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let mut gaps: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).filter(|g| *g > 1e-10 * width).collect();
    gaps.sort_by(f64::total_cmp);
    let Some(least) = gaps.first().copied() else { return 0.0 };
    let whole = |g: &&f64| {
        let n: f64 = **g / least;
        (n - n.round()).abs() < 0.02 * n.clamp(1.0, 10.0)
    };
    let small: Vec<&f64> = gaps.iter().filter(|g| **g < 30.0 * least).collect();
    let fit = small.iter().filter(|g| whole(g)).count();
    // Without a step gaps are arbitrary, and few are multiples of the least.
    if small.len() < 4 || fit as f64 > 0.9 * small.len() as f64 {
        // The mean of those of one step, so that rounding errors average out.
        let ones: Vec<f64> = small.iter().map(|g| **g).filter(|g| (g / least).round() < 1.5).collect();
        return spread(&ones).0;
    }
    0.0
}

/// Up and down about the operating point, slowly: the width of the loop.
fn loops(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let slowest = sensor.channels.iter().map(|c| c.tau_s).fold(0.0, f64::max);
    let period_s = fresh_s(sensor).max(slowest * 14.0);
    let course = [0.0, 1.0, 0.0, -1.0];
    let cycles = 12usize;
    let mut setup = Setup::new(effort.units.min(60), effort.seed, span(period_s), (4 * cycles) as u32);
    setup.truths = truths_at(sensor, Range::middle);
    for c in &sensor.channels {
        let room = (c.range.1 - Range::middle(c)).min(Range::middle(c) - c.range.0);
        for k in 0..4 * cycles {
            let x = Range::middle(c) + 0.3 * room * course[k % 4];
            setup.tells.push((k as u32, c.quantity.clone(), x));
        }
    }
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    for c in &sensor.channels {
        let mut widths = Vec::new();
        for unit in measured.of(&c.quantity) {
            // On the way down, less on the way up; the first cycle opens the loop.
            let at = |phase: usize| {
                let picked: Vec<f64> = unit
                    .iter()
                    .skip(4)
                    .enumerate()
                    .filter(|(k, _)| k % 4 == phase)
                    .map(|(_, r)| r.1)
                    .collect();
                spread(&picked).0
            };
            widths.push(at(2) - at(0));
        }
        let (mean, std) = spread(&widths);
        let error = std / (widths.len().max(1) as f64).sqrt();
        // What is within the noise is none.
        let room = (c.range.1 - Range::middle(c)).min(Range::middle(c) - c.range.0);
        let width = if mean.abs() < (4.0 * error).max(1e-5 * room) { 0.0 } else { mean };
        found.push(Figure::new(&c.quantity, "hysteresis", width, difference_unit(&c.unit), error));
    }
    Ok(())
}

/// Ten years on the shelf: the spread of the units' drift over a year.
fn drift(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let period_s = 20.0 * 86_400.0;
    let readings = (10.0 * YEAR_S / period_s) as u32;
    let mut setup = Setup::new(effort.units, effort.seed, span(period_s), readings);
    setup.truths = truths_at(sensor, Range::middle);
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    for c in &sensor.channels {
        let lines: Vec<(f64, f64)> = measured.of(&c.quantity).iter().map(slope).collect();
        let slopes: Vec<f64> = lines.iter().map(|l| l.0 * YEAR_S).collect();
        let chance_var =
            lines.iter().map(|l| (l.1 * YEAR_S).powi(2)).sum::<f64>() / lines.len().max(1) as f64;
        let (_, std) = spread(&slopes);
        let own = (std * std - chance_var).max(0.0).sqrt();
        let times = (2.0 * f64::from(effort.units)).sqrt();
        let error = std * std / own.max(std / times.sqrt()).max(f64::MIN_POSITIVE) / times;
        found.push(Figure::new(&c.quantity, "drift_per_year", own, difference_unit(&c.unit), error));
    }
    Ok(())
}

/// Least-squares slope of values over time, per second, and its standard error.
fn slope(series: &Series) -> (f64, f64) {
    let n = series.len() as f64;
    let (mt, mv) = series.iter().fold((0.0, 0.0), |(a, b), (t, v)| (a + t / n, b + v / n));
    let (num, den) =
        series.iter().fold((0.0, 0.0), |(a, b), (t, v)| (a + (t - mt) * (v - mv), b + (t - mt) * (t - mt)));
    let slope = if den > 0.0 { num / den } else { 0.0 };
    let rest: f64 = series.iter().map(|(t, v)| (v - mv - slope * (t - mt)).powi(2)).sum();
    (slope, (rest / (n - 2.0).max(1.0) / den.max(f64::MIN_POSITIVE)).sqrt())
}

/// Where sensitivity to temperature is measured, [°C].
pub(super) const COOL_C: f64 = 25.0;
pub(super) const WARM_C: f64 = 45.0;

/// In a warmer place, and awake all the time: sensitivity to temperature, and own heat.
fn surroundings(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let bench_at = |point: &dyn Fn(&ChannelDef) -> f64, zone_c: f64, firmware: &str| {
        let mut setup = Setup::new(effort.units.min(60), effort.seed, span(fresh_s(sensor)), 30);
        setup.truths = truths_at(sensor, point);
        setup.zone_c = zone_c;
        setup.firmware = firmware.to_owned();
        bench::run(catalog, &sensor.name, &setup)
    };
    let at = |zone_c: f64, firmware: &str| bench_at(&Range::middle, zone_c, firmware);
    let (cool, warm) = (at(COOL_C, "")?, at(WARM_C, "")?);
    // Asleep but for a millionth of the time.
    let asleep = at(COOL_C, "deep_sleep: true, awake: \"1us\"")?;
    let mean = |m: &bench::Measured, c: &ChannelDef| {
        let all: Vec<f64> = m.of(&c.quantity).iter().flatten().map(|r| r.1).collect();
        spread(&all).0
    };
    // Whether it goes with what is measured shows at two points that are far apart.
    if sensor.channels.iter().flat_map(|c| &c.cross).any(|x| x.law == CrossLaw::Divides) {
        for (name, times) in [("temperature_gain_near", 0.2), ("temperature_gain_far", 3.0)] {
            let point = |c: &ChannelDef| (times * Range::middle(c)).clamp(c.range.0, c.range.1);
            let (cool, warm) = (bench_at(&point, COOL_C, "")?, bench_at(&point, WARM_C, "")?);
            for c in &sensor.channels {
                let per_k = 100.0 * (mean(&warm, c) / mean(&cool, c) - 1.0) / (WARM_C - COOL_C);
                found.push(Figure::new(&c.quantity, name, per_k, "percent", 0.0));
            }
        }
    }
    for c in &sensor.channels {
        // The same units with the same noise: their difference is free of both.
        let mean = |m: &bench::Measured| mean(m, c);
        let per_k = (mean(&warm) - mean(&cool)) / (WARM_C - COOL_C);
        let unit = difference_unit(&c.unit);
        found.push(Figure::new(&c.quantity, "temperature_coefficient", per_k, unit, 0.0));
        found.push(Figure::new(&c.quantity, "self_heating", mean(&cool) - mean(&asleep), unit, 0.0));
    }
    Ok(())
}

/// When readings are ready, and how soon the next differs.
fn timing(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let mut setup = Setup::new(5, effort.seed, span(fresh_s(sensor)), 400);
    setup.truths = truths_at(sensor, Range::middle);
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    let quantity = &sensor.channels[0].quantity;
    let mut delays = Vec::new();
    for (readings, looks) in measured.of(quantity).iter().zip(measured.of("mark")) {
        delays.extend(readings.iter().zip(looks).map(|(r, l)| r.0 - l.0));
    }
    found.push(Figure::new("part", "conversion", spread(&delays).0, "s", 1e-9));

    if sensor.warm_up.0 > 0 {
        let period_s = sensor.warm_up.as_secs_f64() / 100.0;
        let mut setup = Setup::new(5, effort.seed, span(period_s), 150);
        setup.truths = truths_at(sensor, Range::middle);
        setup.cold = true;
        let measured = bench::run(catalog, &sensor.name, &setup)?;
        let first = |s: &Series| s.first().map(|r| r.0 - sensor.conversion.as_secs_f64());
        let firsts: Vec<f64> = measured.of(quantity).iter().filter_map(first).collect();
        found.push(Figure::new("part", "warm_up", spread(&firsts).0, "s", period_s / 4.0));
    }

    // Looked at twenty times as often as it can answer, while what it finds jumps to and fro.
    let period_s = (sensor.min_interval.as_secs_f64() / 20.0).max(1e-3);
    let mut setup = Setup::new(4, effort.seed, span(period_s), 200);
    setup.truths = truths_at(sensor, Range::middle);
    for k in 0..200u32 {
        let share = (f64::from(k) * 0.618_033_988_749_894_9).fract();
        for c in &sensor.channels {
            setup.tells.push((k, c.quantity.clone(), c.range.0 + share * (c.range.1 - c.range.0)));
        }
    }
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    let mut least = f64::MAX;
    for unit in 0..4 {
        let mut changed: Option<f64> = None;
        let looks = &measured.of("mark")[unit];
        for k in 1..looks.len() {
            let differs = |c: &ChannelDef| {
                let s = &measured.of(&c.quantity)[unit];
                s.len() > k && s[k].1 != s[k - 1].1
            };
            if sensor.channels.iter().any(differs) {
                if let Some(before) = changed {
                    least = least.min(looks[k].0 - before);
                }
                changed = Some(looks[k].0);
            }
        }
    }
    // One that answers every look has no least interval that this could find.
    let interval = if least < 1.5 * period_s || least == f64::MAX { 0.0 } else { least };
    found.push(Figure::new("part", "min_interval", interval, "s", period_s));
    Ok(())
}

/// Allan deviation of a channel over a few units, and the spacing of its readings, [s].
///
/// # Errors
/// Where the bench does not run.
pub fn allan_of(
    catalog: &Catalog,
    model: &str,
    quantity: &str,
    period_s: f64,
    effort: Effort,
) -> Result<Vec<(f64, f64)>, Unmeasured> {
    let Some(sensor) = catalog.sensors.get(model) else { return Ok(Vec::new()) };
    let mut setup = Setup::new(effort.units.min(8), effort.seed, span(period_s), 16_384);
    setup.truths = truths_at(sensor, Range::middle);
    // Many readings a tick: nothing changes between them.
    setup.step = Some(span(64.0 * period_s));
    let measured = bench::run(catalog, model, &setup)?;
    let units: Vec<Vec<(f64, f64)>> = measured
        .of(quantity)
        .iter()
        .map(|s| allan::deviation(&s.iter().map(|r| r.1).collect::<Vec<_>>(), period_s))
        .collect();
    let shortest = units.iter().map(Vec::len).min().unwrap_or(0);
    Ok(allan::together(&units.into_iter().map(|u| u[..shortest].to_vec()).collect::<Vec<_>>()))
}
