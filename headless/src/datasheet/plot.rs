//! Sheets with two axes as SVG, in the colours of the report: Allan deviation, step response, forecasts.

use crate::report::words::figure;
use std::fmt::Write;
use twinfleet_engine::catalog::ChannelDef;
use twinfleet_twins::datasheet::{Range, Read, Response, allan::Noise, difference_unit};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 78.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 46.0;

/// An axis from a value to a coordinate.
#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Axis {
    fn at(&self, v: f64) -> f64 {
        let (low, high, v) = if self.logarithmic {
            (self.low.log10(), self.high.log10(), v.max(self.low).log10())
        } else {
            (self.low, self.high, v)
        };
        self.from + (self.to - self.from) * (v - low) / (high - low)
    }

    /// Whole powers of ten, or about six round values.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let (first, last) = (self.low.log10().ceil() as i32, self.high.log10().floor() as i32);
            return (first..=last).map(|e| 10f64.powi(e)).collect();
        }
        let raw = (self.high - self.low) / 6.0;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw).unwrap_or(raw);
        let first = (self.low / step).ceil() as i64;
        (first..).map(|i| i as f64 * step).take_while(|t| *t <= self.high * 1.0001).collect()
    }
}

/// Units of an axis of time, [s].
const TIMES: [(f64, &str); 4] = [(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "d")];

/// The largest unit of time of which a span has three at least, [s], and what it is called at an axis.
pub(crate) fn time_unit(span_s: f64) -> (f64, &'static str) {
    TIMES.into_iter().rev().find(|(unit, _)| span_s >= 3.0 * unit).unwrap_or(TIMES[0])
}

/// A drawing with its axes.
pub(crate) struct Sheet {
    svg: String,
    x: Axis,
    y: Axis,
}

impl Sheet {
    /// Empty; each axis from, to and whether it is logarithmic. `names` stand at the axes.
    pub(crate) fn new(title: &str, x: (f64, f64, bool), y: (f64, f64, bool), names: (&str, &str)) -> Self {
        let x = Axis { low: x.0, high: x.1, from: LEFT, to: WIDTH - RIGHT, logarithmic: x.2 };
        let y = Axis { low: y.0, high: y.1, from: HEIGHT - BOTTOM, to: TOP, logarithmic: y.2 };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><style>{}</style>\
             <rect width=\"100%\" height=\"100%\" style=\"fill:var(--card)\"/>\
             <text class=\"title\" x=\"12\" y=\"22\">{title}</text>",
            include_str!("../report/style.css")
        );
        for (t, label) in labelled(&x.ticks()) {
            let at = x.at(t);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>\
                 <text class=\"muted\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                y.from,
                y.from + 17.0,
                label
            );
        }
        for (t, label) in labelled(&y.ticks()) {
            let at = y.at(t);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"muted\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x.to,
                LEFT - 7.0,
                at + 4.0,
                label
            );
        }
        let _ = write!(
            svg,
            "<text class=\"muted\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
             <text class=\"muted\" x=\"12\" y=\"{:.1}\">{}</text>\
             <path class=\"frame\" d=\"M{LEFT} {TOP}V{:.1}H{:.1}\"/>",
            x.to,
            y.from + 36.0,
            names.0,
            TOP - 12.0,
            names.1,
            y.from,
            x.to
        );
        Self { svg, x, y }
    }

    /// A line; what is not finite interrupts nothing, it is left out.
    pub(crate) fn line(&mut self, points: &[(f64, f64)], class: &str) {
        self.stroke(points, class, "fill:none");
    }

    fn stroke(&mut self, points: &[(f64, f64)], class: &str, style: &str) {
        let mut d = String::new();
        for (i, (x, y)) in points.iter().filter(|p| p.1.is_finite()).enumerate() {
            let (x, y) = (self.x.at(*x), self.y.at(*y));
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        let _ = write!(self.svg, "<path class=\"{class}\" style=\"{style}\" d=\"{d}\"/>");
    }

    /// A broad pale line, on which another can be seen.
    pub(crate) fn broad(&mut self, points: &[(f64, f64)], class: &str) {
        self.stroke(points, class, "fill:none;stroke-width:5;opacity:.45");
    }

    /// An area between two lines that have their points at the same places.
    pub(crate) fn band(&mut self, lower: &[(f64, f64)], upper: &[(f64, f64)], class: &str) {
        let finite = |p: &&(f64, f64)| p.1.is_finite();
        let mut d = String::new();
        let around = lower.iter().filter(finite).chain(upper.iter().rev().filter(finite));
        for (i, (x, y)) in around.enumerate() {
            let _ = write!(d, "{}{:.1} {:.1}", if i == 0 { 'M' } else { 'L' }, self.x.at(*x), self.y.at(*y));
        }
        let _ = write!(self.svg, "<path class=\"{class}\" d=\"{d}Z\"/>");
    }

    /// Points.
    pub(crate) fn dots(&mut self, points: &[(f64, f64)], class: &str) {
        for (x, y) in points {
            let (x, y) = (self.x.at(*x), self.y.at(*y));
            let _ = write!(self.svg, "<circle class=\"l {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>");
        }
    }

    /// What the lines are, in a row below the title.
    pub(crate) fn legend(&mut self, entries: &[(&str, &str)]) {
        let mut x = WIDTH - RIGHT;
        for (class, text) in entries.iter().rev() {
            x -= text.chars().count() as f64 * 7.2;
            let _ = write!(
                self.svg,
                "<text class=\"muted\" x=\"{x:.0}\" y=\"{:.0}\">{text}</text>\
                 <line class=\"{class}\" x1=\"{:.0}\" x2=\"{:.0}\" y1=\"{:.0}\" y2=\"{:.0}\"/>",
                TOP - 12.0,
                x - 24.0,
                x - 6.0,
                TOP - 16.0,
                TOP - 16.0
            );
            x -= 40.0;
        }
    }

    /// The drawing as text.
    pub(crate) fn done(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

/// Each tick with its label: with as many digits as tell it from the others.
fn labelled(ticks: &[f64]) -> Vec<(f64, String)> {
    let short: Vec<String> = ticks.iter().map(|t| tick(*t)).collect();
    let alike = short.windows(2).any(|two| two[0] == two[1]);
    let step = ticks.windows(2).map(|t| t[1] - t[0]).fold(f64::INFINITY, f64::min);
    let digits = if step.is_finite() { (-step.log10().floor()).clamp(0.0, 15.0) as usize } else { 0 };
    let label = |(t, short): (&f64, String)| {
        (*t, if alike { format!("{t:.digits$}").replace('-', "−") } else { short })
    };
    ticks.iter().zip(short).map(label).collect()
}

fn tick(v: f64) -> String {
    match v.abs() {
        a if a != 0.0 && !(1e-3..1e4).contains(&a) => {
            let e = a.log10().floor();
            let m = v / 10f64.powf(e);
            let exponent: String = format!("{e:.0}").chars().map(raised).collect();
            if (m - 1.0).abs() < 1e-9 {
                format!("10{exponent}")
            } else {
                format!("{}·10{exponent}", figure(m))
            }
        }
        _ => figure(v),
    }
}

fn raised(c: char) -> char {
    match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4'..='9' => char::from_u32(0x2074 + (c as u32 - '4' as u32)).unwrap_or(c),
        _ => '⁰',
    }
}

/// Allan deviation: measured, and the closed form of what the file states.
pub fn allan(part: &str, c: &ChannelDef, points: &[(f64, f64)], period_s: f64) -> String {
    let stated = Noise {
        white_std: c.noise_at(Range::middle(c)).hypot(c.lsb / 12f64.sqrt()),
        period_s,
        wander_std: c.wander_std,
        wander_tau_s: c.wander_tau_s,
    };
    let curve: Vec<(f64, f64)> = match (points.first(), points.last()) {
        (Some(first), Some(last)) => (0..=120)
            .map(|i| first.0 * (last.0 / first.0).powf(f64::from(i) / 120.0))
            .map(|tau_s| (tau_s, stated.deviation(tau_s)))
            .collect(),
        _ => Vec::new(),
    };
    let seen: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.1 > 0.0).collect();
    let positive = curve.iter().chain(&seen).map(|p| p.1).filter(|d| *d > 0.0);
    let (low, high) = positive.fold((f64::MAX, 0.0f64), |(a, b), d| (a.min(d), b.max(d)));
    // Two ticks at least, or the axis says nothing.
    let (low, high) = (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil()));
    let high = if high > low { high } else { 10.0 * low };
    let ends = (seen.first().map_or(0.1, |p| p.0 * 0.8), seen.last().map_or(1.0, |p| p.0 * 1.25));
    let unit = difference_unit(&c.unit);
    let mut sheet = Sheet::new(
        &format!("{part} {}: Allan deviation", c.quantity),
        (ends.0, ends.1, true),
        (low, high, true),
        ("averaging time τ, s", &format!("deviation, {unit}")),
    );
    let drawn: Vec<(f64, f64)> = curve.into_iter().filter(|p| p.1 > 0.0).collect();
    sheet.line(&drawn, "l twin");
    sheet.dots(&seen, "physical");
    sheet.legend(&[("l twin", "as the file states"), ("l physical", "measured")]);
    sheet.done()
}

/// Step response: measured, with the time of 63 %.
pub fn step(part: &str, r: &Response) -> String {
    let end = r.points.last().map_or(1.0, |p| p.0).max(1e-3);
    let mut sheet = Sheet::new(
        &format!("{part} {}: response to a jump", r.quantity),
        (0.0, end, false),
        (0.0, 1.1, false),
        ("time since the jump, s", "share of the jump that is shown"),
    );
    let share = 1.0 - (-1.0f64).exp();
    sheet.line(&[(0.0, share), (end, share)], "dash");
    if r.tau63_s > 0.0 {
        sheet.line(&[(r.tau63_s, 0.0), (r.tau63_s, share)], "dash");
    }
    let shown: Vec<(f64, f64)> = r.points.iter().map(|p| (p.0, p.1.clamp(-0.02, 1.1))).collect();
    sheet.line(&shown, "l physical");
    let text =
        if r.tau63_s > 0.0 { format!("63 % after {} s", figure(r.tau63_s)) } else { "at once".to_owned() };
    sheet.legend(&[("l physical", "measured"), ("dash", &text)]);
    sheet.done()
}

/// What the converters of some units read of a voltage, beside the voltage itself.
pub fn converter(part: &str, range: Option<&str>, units: &[Vec<Read>]) -> String {
    let end = units.iter().flatten().map(|r| r.volts).fold(1e-3, f64::max);
    let name = range.map_or_else(String::new, |r| format!(" at {r}"));
    let mut sheet = Sheet::new(
        &format!("{part} converter{name}: what {} units read", units.len()),
        (0.0, end, false),
        (0.0, end, false),
        ("voltage at the pin, V", "read, V"),
    );
    sheet.line(&[(0.0, 0.0), (end, end)], "dash");
    for unit in units {
        sheet.line(&unit.iter().map(|r| (r.volts, r.told_v)).collect::<Vec<_>>(), "l physical");
    }
    sheet.legend(&[("l physical", "measured"), ("dash", "the voltage itself")]);
    sheet.done()
}
