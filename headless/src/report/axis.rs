//! Axes: round ticks for values, clock ticks for simulated time.

/// Round values (1, 2 or 5 times a power of ten apart) within `low..=high`, about `want` of them, and their decimals.
pub fn value_ticks(low: f64, high: f64, want: usize) -> (Vec<f64>, usize) {
    let span = (high - low).max(f64::MIN_POSITIVE);
    let raw = span / want.max(3) as f64;
    let power = 10f64.powf(raw.log10().floor());
    let inside = |step: f64| ((low / step).ceil() as i64, (high / step).floor() as i64);
    let steps = [10.0, 5.0, 2.0, 1.0, 0.5, 0.2].map(|m| m * power);
    // The widest step that is no wider than asked for, or narrower where that would leave fewer than three ticks.
    let asked = steps.into_iter().rev().find(|s| *s >= raw * 0.999).unwrap_or(raw);
    let three = |s: &f64| *s <= asked * 1.001 && inside(*s).1 - inside(*s).0 >= 2;
    let step = steps.into_iter().find(three).unwrap_or(asked);
    let (first, last) = inside(step);
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    // A tick is a multiple of the step, so that rounding errors do not add up.
    ((first..=last.min(first + 50)).map(|i| i as f64 * step).collect(), decimals)
}

const SPANS_S: [f64; 22] = [
    0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
    7200.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0,
];

/// Times at round distances within `from..=to` [s], at most about `want` of them, with their labels in [`time_unit`].
pub fn time_ticks(from_s: f64, to_s: f64, want: usize) -> Vec<(f64, String)> {
    let raw = (to_s - from_s) / want.max(1) as f64;
    let step = SPANS_S.into_iter().find(|s| *s >= raw).unwrap_or_else(|| (raw / 86_400.0).ceil() * 86_400.0);
    let first = (from_s / step).ceil() as i64;
    let last = ((to_s / step) + 1e-9).floor() as i64;
    (first..=last.min(first + 50)).map(|i| (i as f64 * step, clock(i as f64 * step, step, to_s))).collect()
}

/// What the labels of an axis of this length are in.
pub fn time_unit(length_s: f64) -> &'static str {
    match length_s {
        l if l < 60.0 => "s",
        l if l < 600.0 => "m:ss",
        _ => "h:mm",
    }
}

fn clock(t_s: f64, step_s: f64, to_s: f64) -> String {
    if to_s < 60.0 {
        let decimals = (-step_s.log10().floor()).max(0.0) as usize;
        return format!("{t_s:.decimals$}");
    }
    let t = t_s.round() as i64;
    if to_s < 600.0 {
        return format!("{}:{:02}", t / 60, t % 60);
    }
    let (days, hours, minutes) = (t / 86_400, t / 3600 % 24, t / 60 % 60);
    match days {
        0 => format!("{hours}:{minutes:02}"),
        // The end of a day is read at once; of several days, the days are.
        1 if hours == 0 && minutes == 0 && step_s < 43_200.0 => "24:00".to_owned(),
        _ if hours == 0 && minutes == 0 => format!("{days} d"),
        _ => format!("{days} d {hours}:{minutes:02}"),
    }
}

/// The least that an axis of this unit spans: below it, a plot would show noise at full height.
fn least_span(unit: &str) -> f64 {
    match unit {
        "degC" | "K" | "degF" | "percent" | "hPa" | "m/s2" | "s" => 1.0,
        "lx" => 20.0,
        "W/m2" | "ppm" => 10.0,
        "V" | "ratio" | "N" | "m/s" | "rad/s" | "mm/h" => 0.1,
        "m" | "kg" => 0.02,
        _ => 0.0,
    }
}

/// Limits that show all of `low..=high` with a little air. Around what is constant, or as good as, they are a twentieth of
/// its value away, or 1 around zero, and never nearer than the unit's least span.
pub fn limits(low: f64, high: f64, unit: &str) -> (f64, f64) {
    let span = high - low;
    let largest = low.abs().max(high.abs());
    let air = match largest {
        l if span > (l * 1e-3).max(1e-5) => span * 0.06,
        l if l < 1e-4 => 1.0,
        l => l * 0.05,
    };
    let air = air.max((least_span(unit) - span) / 2.0);
    (low - air, high + air)
}
