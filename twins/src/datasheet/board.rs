//! A board's figures: currents, brown-out, clock, converter.

use super::{
    Effort, Figure, Unmeasured,
    bench::{self, Setup},
    current, sensor, spread,
};
use twinfleet_engine::{
    catalog::{BoardDef, Catalog, PinFn},
    link,
    time::Span,
};

pub(super) fn measure(catalog: &Catalog, name: &str, effort: Effort) -> Result<Vec<Figure>, Unmeasured> {
    let board = &catalog.boards[name];
    let mut bench = catalog.clone();
    // Pins for the bench's own parts.
    let spare = bench.boards.get_mut(name);
    if let Some(spare) = spare {
        spare.pins.entry("M".to_owned()).or_insert_with(|| vec![PinFn::Digital]);
        // Of a board that draws what its processor turns into heat, the stated currents are those of some load: here they flow.
        if let Some(thermal) = &mut spare.thermal {
            thermal.drawn = false;
        }
    }
    let setup = |units: u32, period_s: f64, readings: u32| Setup {
        board: name.to_owned(),
        ..Setup::new(units, effort.seed, Span((period_s * 1e9) as i64), readings)
    };
    let mut found = Vec::new();
    let active = current::mean_ma(&bench, "none", setup(2, 60.0, 12))?;
    found.push(Figure::new("supply", "current_active", active, "mA", 1e-3 * active));
    let asleep = Setup { firmware: "deep_sleep: true".to_owned(), ..setup(2, 60.0, 12) };
    let idle = current::mean_ma(&bench, "none", asleep)?;
    found.push(Figure::new("supply", "current_idle", idle, "mA", 1e-3 * idle));
    if board.current_ma.transmit > board.current_ma.active {
        let sending = transmit_ma(&bench, setup(2, 1.0, 60), active)?;
        found.push(Figure::new("supply", "current_transmit", sending, "mA", 1e-3 * sending));
    }
    for state in board.rest_ma.keys() {
        let resting = Setup { firmware: format!("rest: \"{state}\""), ..setup(2, 60.0, 12) };
        let ma = current::mean_ma(&bench, "none", resting)?;
        found.push(Figure::new("supply", &format!("current_{state}"), ma, "mA", 1e-3 * ma));
    }
    found.push(brown_out(&bench, setup(2, 10.0, 400), active.max(1.0))?);
    found.push(clock(&bench, setup(effort.units, 100.0, 200), effort)?);
    if board.adc.is_some() {
        judge_converter(&bench, board, &setup, effort, &mut found)?;
    }
    Ok(found)
}

/// Bytes of the bench's message: with what is around them, 8 ms on the air.
const MESSAGE_BYTES: usize = 880;

/// The current while sending, [mA]: what a message every period adds to the mean, over the share of the time that it is on
/// the air. The firmware does not sleep, and nothing is lost on the bench's perfect link.
fn transmit_ma(catalog: &Catalog, mut setup: Setup, active_ma: f64) -> Result<f64, Unmeasured> {
    let text = "x".repeat(MESSAGE_BYTES);
    setup.firmware = format!("publish: [(topic: \"bench\", payload: Template(\"{text}\"))]");
    let share = link::air_time(MESSAGE_BYTES).as_secs_f64() / setup.period.as_secs_f64();
    let mean_ma = current::mean_ma(catalog, "none", setup)?;
    Ok(active_ma + (mean_ma - active_ma) / share)
}

/// A battery whose voltage falls as it empties: the voltage at which the board gives up.
fn brown_out(catalog: &Catalog, mut setup: Setup, active_ma: f64) -> Result<Figure, Unmeasured> {
    // Empty after two thirds of the run; 6 V full, 0.5 V empty, so that a wake is a thousandth of the range.
    let capacity = active_ma * 4000.0 / 3600.0 * 0.66;
    setup.power = format!(
        "Battery(capacity_mah: {capacity:?}, charge: (1.0, 1.0), r0_ohm: 0.0, ocv_v: [(0.0, 0.5), (1.0, 6.0)])"
    );
    let measured = bench::run(catalog, "none", &setup)?;
    let volts: Vec<f64> = measured.events.iter().filter(|e| e.kind == "brown_out").map(|e| e.value).collect();
    Ok(Figure::new("supply", "brown_out", spread(&volts).0, "V", 0.03))
}

/// How far the instants at which devices look run away from true time, over units.
fn clock(catalog: &Catalog, setup: Setup, effort: Effort) -> Result<Figure, Unmeasured> {
    let measured = bench::run(catalog, "none", &setup)?;
    let period_s = setup.period.as_secs_f64();
    let rates: Vec<f64> = measured
        .of("mark")
        .iter()
        .filter_map(|looks| match looks[..] {
            [first, .., last] => {
                let true_s = last.0 - first.0;
                let own_s = period_s * (looks.len() - 1) as f64;
                Some((own_s / true_s - 1.0) * 1e6)
            }
            _ => None,
        })
        .collect();
    let (_, ppm) = spread(&rates);
    Ok(Figure::new("clock", "clock_std", ppm, "ppm", ppm / (2.0 * f64::from(effort.units)).sqrt()))
}

/// A known voltage at its pin: step, end of scale, noise, error over units.
fn judge_converter(
    catalog: &Catalog,
    board: &BoardDef,
    setup: &dyn Fn(u32, f64, u32) -> Setup,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let Some(adc) = &board.adc else { return Ok(()) };
    let held = |volts: f64, units: u32, readings: u32| {
        let mut setup = setup(units, 0.1, readings);
        setup.truths = vec![("voltage".to_owned(), volts)];
        bench::run(catalog, "bench-probe", &setup)
    };
    // Saturated: the last code; and many voltages, for the step.
    let mut through = setup(4, 0.1, 400);
    through.truths = vec![("voltage".to_owned(), 0.0)];
    for k in 0..400u32 {
        let share = (f64::from(k) * 0.618_033_988_749_894_9).fract();
        through.tells.push((k, "voltage".to_owned(), share * 1.1 * adc.reference_v));
    }
    let measured = bench::run(catalog, "bench-probe", &through)?;
    let all: Vec<f64> = measured.of("voltage").iter().flatten().map(|r| r.1).collect();
    let (first, last) = all.iter().fold((f64::MAX, 0.0f64), |(low, high), x| (low.min(*x), high.max(*x)));
    // Where its line bends a step is another one from there on: codes are counted in both parts.
    let straight_v = adc.straight_v();
    let within = |low: f64, high: f64| all.iter().copied().filter(|x| *x >= low && *x <= high).collect();
    let step = sensor::quantum(within(first, straight_v), straight_v);
    let codes = if last > straight_v {
        let above = sensor::quantum(within(straight_v, last), adc.reference_v);
        (straight_v - first) / step + (last + above - straight_v) / above
    } else {
        (last + step - first) / step
    };
    found.push(Figure::new("adc", "bits", codes.log2(), "none", 0.0));
    found.push(Figure::new("adc", "range_max", last, "V", step));
    found.push(Figure::new("adc", "range_min", first, "V", step));
    for name in adc.ranges.keys() {
        let mut over = setup(4, 0.1, 20);
        over.truths = vec![("voltage".to_owned(), 1.1 * adc.reference_v)];
        over.range = Some(name.clone());
        let measured = bench::run(catalog, "bench-probe", &over)?;
        let most = measured.of("voltage").iter().flatten().map(|r| r.1).fold(0.0, f64::max);
        found.push(Figure::new("adc", &format!("range_max_{name}"), most, "V", step));
    }
    let volts = 0.5 * straight_v;
    let measured = held(volts, effort.units, 40)?;
    let (mut squares, mut count, mut errors) = (0.0, 0.0, Vec::new());
    for unit in measured.of("voltage") {
        for pair in unit.windows(2) {
            squares += (pair[1].1 - pair[0].1).powi(2) / 2.0;
            count += 1.0;
        }
        errors.push(spread(&unit.iter().map(|r| r.1).collect::<Vec<_>>()).0 - volts);
    }
    let noise = (squares / f64::max(count, 1.0)).sqrt() / step;
    found.push(Figure::new("adc", "noise_std", noise, "none", noise / (2.0 * count).sqrt()));
    let chance = (2.0 * f64::from(effort.units)).sqrt();
    let (_, middle) = spread(&errors);
    found.push(Figure::new("adc", "middle_std", middle, "V", middle / chance));
    let most = 0.95 * straight_v;
    let top = held(most, effort.units, 20)?;
    let means = |u: &bench::Series| spread(&u.iter().map(|r| r.1).collect::<Vec<_>>()).0 - most;
    let (_, top) = spread(&top.of("voltage").iter().map(means).collect::<Vec<_>>());
    found.push(Figure::new("adc", "top_std", top, "V", top / chance));
    Ok(())
}

/// What one unit's converter reads of a voltage, mean over some readings, [V] both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Read {
    /// What is there.
    pub volts: f64,
    /// What firmware makes of the codes.
    pub told_v: f64,
}

/// What the converters of some units of a board read from 0 V to a tenth beyond full scale, in a range of theirs or the usual
/// one. Empty: the board has no converter.
///
/// # Errors
/// Where the bench does not run.
pub fn converter(
    catalog: &Catalog,
    name: &str,
    range: Option<&str>,
    effort: Effort,
) -> Result<Vec<Vec<Read>>, Unmeasured> {
    const POINTS: u32 = 111;
    const EACH: u32 = 16;
    let Some(adc) = catalog.boards.get(name).and_then(|b| b.adc.as_ref()) else { return Ok(Vec::new()) };
    let mut bench = catalog.clone();
    if let Some(spare) = bench.boards.get_mut(name) {
        spare.pins.entry("M".to_owned()).or_insert_with(|| vec![PinFn::Digital]);
    }
    let full_v = range.and_then(|r| adc.in_range(r)).unwrap_or_else(|| adc.clone()).reference_v;
    let at = |k: u32| full_v * 1.1 * f64::from(k) / f64::from(POINTS - 1);
    let mut setup = Setup {
        board: name.to_owned(),
        ..Setup::new(12.min(effort.units), effort.seed, Span(100_000_000), POINTS * EACH)
    };
    setup.range = range.map(str::to_owned);
    setup.truths = vec![("voltage".to_owned(), 0.0)];
    setup.tells = (0..POINTS).map(|k| (k * EACH, "voltage".to_owned(), at(k))).collect();
    let measured = bench::run(&bench, "bench-probe", &setup)?;
    let unit = |series: &bench::Series| {
        let told = |k: u32| {
            let held = series.iter().skip((k * EACH) as usize + 1).take(EACH as usize - 2);
            spread(&held.map(|r| r.1).collect::<Vec<_>>()).0
        };
        (0..POINTS).map(|k| Read { volts: at(k), told_v: told(k) }).collect()
    };
    Ok(measured.of("voltage").iter().map(unit).collect())
}
