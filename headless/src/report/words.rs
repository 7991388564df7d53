//! Figures and times as people read them.

use super::BatteryLife;

/// `h:mm:ss`, with days where there are some and tenths where there are.
pub fn clock(t_s: f64) -> String {
    let tenths = (t_s * 10.0).round() as i64;
    let (t, tenth) = (tenths / 10, tenths % 10);
    let (d, h, m, s) = (t / 86_400, t / 3600 % 24, t / 60 % 60, t % 60);
    let days = if d > 0 { format!("{d} d ") } else { String::new() };
    let tenth = if tenth > 0 { format!(".{tenth}") } else { String::new() };
    format!("{days}{h}:{m:02}:{s:02}{tenth}")
}

/// A length of time in its two largest units.
pub fn span(s: f64) -> String {
    if s < 60.0 {
        return format!("{} s", figure(s));
    }
    let t = s.round() as i64;
    let parts = [(t / 86_400, "d"), (t / 3600 % 24, "h"), (t / 60 % 60, "min"), (t % 60, "s")];
    let from = parts.iter().position(|p| p.0 > 0).unwrap_or(3);
    let words: Vec<String> =
        parts[from..].iter().take(2).filter(|p| p.0 > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    words.join(" ")
}

/// Four significant digits at most, without trailing zeros.
pub fn figure(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return if v == 0.0 { "0".into() } else { "–".into() };
    }
    let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{:.digits$}", v.abs());
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        thousands(v.abs())
    };
    if v < 0.0 && text != "0" { format!("−{text}") } else { text }
}

/// How long a battery lasts, [h]: in hours, days or years as people say it.
pub fn life(h: Option<f64>) -> String {
    match h {
        None => "does not run down".to_owned(),
        Some(h) if h < 48.0 => format!("{} h", figure(h)),
        Some(h) if h < 2.0 * 365.25 * 24.0 => format!("{:.0} days", h / 24.0),
        Some(h) => format!("{} years", figure((h / 365.25 / 2.4).round() / 10.0)),
    }
}

/// A group's expected battery life.
pub fn expected(b: &BatteryLife) -> String {
    if b.gave_way_in_the_cold {
        return format!("no night as cold as this run; were it warm {}", life(b.warm_h));
    }
    life(b.expected_h)
}

/// The interval of a group's battery life.
pub fn lives(b: &BatteryLife) -> String {
    let ends = if b.gave_way_in_the_cold { (b.warm_from_h, b.warm_to_h) } else { (b.earliest_h, b.latest_h) };
    match ends {
        (None, None) => life(None),
        (Some(_), None) => format!("{} or longer", life(ends.0)),
        _ => format!("{} to {}", life(ends.0), life(ends.1)),
    }
}

/// A whole number in groups of three digits.
pub fn thousands(v: f64) -> String {
    let digits = format!("{:.0}", v.abs());
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    if v < 0.0 { format!("−{out}") } else { out }
}

/// So many of them, in words: the plural takes an `s`.
pub fn counted(n: u64, one: &str) -> String {
    let ending = if n == 1 { "" } else { "s" };
    format!("{} {one}{ending}", thousands(n as f64))
}
