//! Plots as SVG: lines with their extremes, bands, thresholds, and spans of faults and verdicts.

use super::{
    Forecast, Group, GroupChannel, Happening, Input, Output, Point, Report, Series, Twin,
    axis::{limits, time_ticks, time_unit, value_ticks},
    escape,
};
use std::fmt::Write;
use twinfleet_engine::expect::unit_symbol;

/// Groups whose channels are plotted; more would make a page that nobody reads.
const MOST_GROUPS: usize = 24;
/// Channels of a group that are plotted.
const MOST_CHANNELS: usize = 12;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 24.0;

/// A plot, ready to be put into a page or a file.
#[derive(Clone, Debug)]
pub struct Plot {
    /// File name without `.svg`.
    pub file: String,
    /// Twin or group that it belongs to.
    pub of: String,
    width: f64,
    height: f64,
    body: String,
    label: String,
}

impl Plot {
    /// As an element of a page that has the colours.
    pub fn inline(&self) -> String {
        let Self { width, height, body, label, .. } = self;
        format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">{body}</svg>\n")
    }

    /// As a file of its own.
    pub fn standalone(&self) -> String {
        let Self { width, height, body, label, .. } = self;
        let style = include_str!("style.css");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\"><style>{style}</style>\
             <rect width=\"100%\" height=\"100%\" style=\"fill:var(--card)\"/>{body}</svg>\n"
        )
    }
}

/// What is drawn, from back to front.
enum Layer<'a> {
    /// Between two series.
    Band(&'a Series, &'a Series, &'static str),
    /// Between the extremes of each point.
    Extremes(&'a Series, &'static str),
    /// Through each point's value.
    Line(&'a Series, &'static str),
}

/// What a plot shows.
struct Chart<'a> {
    title: String,
    unit: &'a str,
    legend: Vec<(&'static str, String)>,
    layers: Vec<Layer<'a>>,
    levels: &'a [f64],
    zero: bool,
    spans: Vec<&'a Happening>,
    /// Whether spans are named in rows above the plot, or shaded only.
    named: bool,
    size: (f64, f64),
    end_s: f64,
}

/// All plots of a report, in the order in which it shows them.
pub fn all(report: &Report) -> Vec<Plot> {
    let end_s = report.simulated_s.max(1e-9);
    let mut plots = Vec::new();
    for twin in &report.twins {
        twin_plots(twin, &report.happenings, end_s, &mut plots);
    }
    for group in report.groups.iter().take(MOST_GROUPS) {
        group_plots(group, end_s, &mut plots);
    }
    plots
}

fn file_name(parts: &[&str]) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    parts.iter().map(|p| p.chars().map(safe).collect::<String>()).collect::<Vec<_>>().join("_")
}

fn twin_plots(twin: &Twin, happenings: &[Happening], end_s: f64, plots: &mut Vec<Plot>) {
    let concerns = |name: &str| -> Vec<&Happening> {
        let spans = happenings.iter().filter(|h| matches!(h.what.as_str(), "fault" | "verdict"));
        let of_part = |h: &&Happening| {
            // A device's own faults (silence, its clock) concern all of its signals, a part's name all of its quantities.
            h.part.is_empty()
                || h.part == name
                || h.part == "device.stream"
                || name.strip_prefix(h.part.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        spans.filter(|h| h.subject == twin.id).filter(of_part).take(200).collect()
    };
    let mut push = |file: &[&str], chart: Chart<'_>| {
        let mut parts = vec![twin.id.as_str()];
        parts.extend(file);
        plots.push(chart.draw(file_name(&parts), &twin.id));
    };
    for output in &twin.outputs {
        let spans = concerns(&output.name);
        push(&[&output.name, "estimate"], estimate_chart(output, spans.clone(), end_s));
        for forecast in &output.forecasts {
            let ahead = format!("forecast-{}s", forecast.horizon_s);
            push(&[&output.name, &ahead], forecast_chart(output, forecast, spans.clone(), end_s));
        }
        push(&[&output.name, "residual"], residual_chart(output, spans, end_s));
    }
    for input in &twin.inputs {
        push(&[&input.name, "input"], input_chart(input, concerns(&input.name), end_s));
    }
}

fn estimate_chart<'a>(output: &'a Output, spans: Vec<&'a Happening>, end_s: f64) -> Chart<'a> {
    Chart {
        title: format!("{}: physical and twin", output.name),
        unit: &output.unit,
        legend: vec![("physical", "physical".into()), ("twin", "twin's estimate".into())],
        layers: vec![
            Layer::Extremes(&output.reported, "physical"),
            Layer::Line(&output.reported, "physical"),
            Layer::Line(&output.estimate, "twin"),
        ],
        levels: &[],
        zero: false,
        named: true,
        spans,
        size: (1000.0, 280.0),
        end_s,
    }
}

fn forecast_chart<'a>(
    output: &'a Output,
    forecast: &'a Forecast,
    spans: Vec<&'a Happening>,
    end_s: f64,
) -> Chart<'a> {
    Chart {
        title: format!("{}: what the twin forecast {} s before", output.name, forecast.horizon_s),
        unit: &output.unit,
        legend: vec![("physical", "physical".into()), ("twin", "forecast and its interval".into())],
        layers: vec![
            Layer::Band(&forecast.lower, &forecast.upper, "twin"),
            Layer::Line(&output.reported, "physical"),
            Layer::Line(&forecast.mean, "twin"),
        ],
        levels: &[],
        zero: false,
        named: false,
        spans,
        size: (1000.0, 230.0),
        end_s,
    }
}

fn residual_chart<'a>(output: &'a Output, spans: Vec<&'a Happening>, end_s: f64) -> Chart<'a> {
    let mut legend = vec![("residual", "physical − twin".to_owned())];
    if !output.thresholds.is_empty() {
        legend.push(("dash", "bounds asked for".into()));
    }
    Chart {
        title: format!("{}: residual", output.name),
        unit: &output.unit,
        legend,
        layers: vec![
            Layer::Extremes(&output.residual, "residual"),
            Layer::Line(&output.residual, "residual"),
        ],
        levels: &output.thresholds,
        zero: true,
        named: false,
        spans,
        size: (1000.0, 180.0),
        end_s,
    }
}

fn input_chart<'a>(input: &'a Input, spans: Vec<&'a Happening>, end_s: f64) -> Chart<'a> {
    Chart {
        title: format!("{}: what drives it", input.name),
        unit: &input.unit,
        legend: vec![("physical", "physical".into())],
        layers: vec![Layer::Extremes(&input.reported, "physical"), Layer::Line(&input.reported, "physical")],
        levels: &[],
        zero: false,
        named: false,
        spans,
        size: (1000.0, 150.0),
        end_s,
    }
}

fn group_plots(group: &Group, end_s: f64, plots: &mut Vec<Plot>) {
    for channel in group.channels.iter().take(MOST_CHANNELS) {
        let chart = group_chart(group, channel, end_s);
        plots.push(chart.draw(file_name(&[&group.id, &channel.name, &channel.kind]), &group.id));
    }
}

fn group_chart<'a>(group: &Group, channel: &'a GroupChannel, end_s: f64) -> Chart<'a> {
    let class = if channel.kind == "truth" { "residual" } else { "physical" };
    let mut legend = Vec::new();
    if group.devices > 1 {
        legend.push((class, format!("mean and range of {} devices", channel.devices)));
    }
    if !channel.thresholds.is_empty() {
        legend.push(("dash", "bounds".into()));
    }
    Chart {
        title: format!("{} ({})", channel.name, channel.kind),
        unit: &channel.unit,
        legend,
        layers: vec![Layer::Extremes(&channel.fan, class), Layer::Line(&channel.fan, class)],
        levels: &channel.thresholds,
        zero: false,
        named: false,
        spans: Vec::new(),
        size: (560.0, 210.0),
        end_s,
    }
}

/// From values to places.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    end_s: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn at(&self, t_s: f64, value: f64) -> (f64, f64) {
        (self.x(t_s), self.y(value))
    }

    fn x(&self, t_s: f64) -> f64 {
        self.x.0 + (t_s / self.end_s).clamp(0.0, 1.0) * (self.x.1 - self.x.0)
    }

    fn y(&self, value: f64) -> f64 {
        // What lies far outside is clipped anyway; far-off numbers would only make the file long.
        let part = ((value - self.low) / (self.high - self.low)).clamp(-3.0, 4.0);
        self.y.1 - part * (self.y.1 - self.y.0)
    }
}

impl Chart<'_> {
    /// Limits of the value axis: all lines, bounds that are near them, and of bands what is near the lines.
    fn range(&self) -> (f64, f64) {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for layer in &self.layers {
            if let Layer::Line(s, _) | Layer::Extremes(s, _) = layer {
                low = s.min.map_or(low, |v| low.min(v));
                high = s.max.map_or(high, |v| high.max(v));
            }
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let near = (high - low) * 0.5;
        for level in self.levels {
            if (low - 2.0 * near..=high + 2.0 * near).contains(level) || self.zero {
                (low, high) = (low.min(*level), high.max(*level));
            }
        }
        for layer in &self.layers {
            if let Layer::Band(lower, upper, _) = layer {
                low = low.min(lower.min.unwrap_or(low).max(low - near));
                high = high.max(upper.max.unwrap_or(high).min(high + near));
            }
        }
        limits(low, high)
    }

    fn draw(&self, file: String, of: &str) -> Plot {
        let (width, height) = self.size;
        let rows: Vec<&str> = ["fault", "verdict"]
            .into_iter()
            .filter(|what| self.named && self.spans.iter().any(|h| h.what == *what))
            .collect();
        let top = 30.0 + 17.0 * rows.len() as f64;
        let (low, high) = self.range();
        let f = Frame { x: (LEFT, width - RIGHT), y: (top, height - BOTTOM), end_s: self.end_s, low, high };
        let clip = format!("c-{file}");
        let mut svg = String::new();
        self.header(&mut svg, &f);
        self.axes(&mut svg, &f);
        let _ = write!(
            svg,
            "<clipPath id=\"{clip}\"><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>",
            f.x.0,
            f.y.0,
            f.x.1 - f.x.0,
            f.y.1 - f.y.0
        );
        for (at, what) in rows.iter().enumerate() {
            self.span_row(&mut svg, &f, what, 30.0 + 17.0 * at as f64);
        }
        let _ = write!(svg, "<g clip-path=\"url(#{clip})\">");
        self.shades(&mut svg, &f);
        for level in self.levels {
            let y = f.y(*level);
            let _ = write!(
                svg,
                "<line class=\"dash\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                f.x.0, f.x.1
            );
        }
        for layer in &self.layers {
            match layer {
                Layer::Band(lower, upper, class) => area(&mut svg, &f, &lower.points, &upper.points, class),
                Layer::Extremes(s, class) => extremes(&mut svg, &f, &s.points, class),
                Layer::Line(s, class) => line(&mut svg, &f, &s.points, class),
            }
        }
        svg.push_str("</g>");
        if self
            .layers
            .iter()
            .all(|l| matches!(l, Layer::Line(s, _) | Layer::Extremes(s, _) if s.points.is_empty()))
        {
            let (x, y) = ((f.x.0 + f.x.1) / 2.0, (f.y.0 + f.y.1) / 2.0);
            let _ = write!(
                svg,
                "<text class=\"muted\" text-anchor=\"middle\" x=\"{x:.0}\" y=\"{y:.0}\">no data</text>"
            );
        }
        Plot {
            file,
            of: of.to_owned(),
            width,
            height,
            body: svg,
            label: escape(&format!("{of}: {}", self.title)),
        }
    }

    fn header(&self, svg: &mut String, f: &Frame) {
        let unit = unit_symbol(self.unit);
        let unit = if unit.is_empty() { String::new() } else { format!(" [{unit}]") };
        let _ = write!(svg, "<text class=\"title\" x=\"4\" y=\"15\">{}", escape(&self.title));
        let _ = write!(svg, "<tspan class=\"muted\" font-weight=\"400\">{}</tspan></text>", escape(&unit));
        let mut x = f.x.1;
        for (class, text) in self.legend.iter().rev() {
            // Glyph widths are not known here; 6.4 is a generous mean at 12 px.
            x -= 6.4 * text.chars().count() as f64;
            let _ = write!(svg, "<text class=\"muted\" x=\"{x:.0}\" y=\"15\">{}</text>", escape(text));
            x -= 24.0;
            let kind = if *class == "dash" { "dash" } else { &format!("l {class}") };
            let _ = write!(
                svg,
                "<line class=\"{kind}\" x1=\"{x:.0}\" x2=\"{:.0}\" y1=\"11\" y2=\"11\"/>",
                x + 18.0
            );
            x -= 16.0;
        }
    }

    fn axes(&self, svg: &mut String, f: &Frame) {
        let (ticks, decimals) = value_ticks(f.low, f.high, ((f.y.1 - f.y.0) / 40.0).max(2.0) as usize);
        for tick in ticks {
            let y = f.y(tick);
            let class = if self.zero && tick == 0.0 { "zero" } else { "grid" };
            let _ = write!(
                svg,
                "<line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"muted\" text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{tick:.decimals$}</text>",
                f.x.0,
                f.x.1,
                f.x.0 - 7.0,
                y + 4.0
            );
        }
        for (t, label) in time_ticks(0.0, self.end_s, ((f.x.1 - f.x.0) / 75.0) as usize) {
            let x = f.x(t);
            let anchor = if x > f.x.1 - 16.0 { "end" } else { "middle" };
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
                 <text class=\"muted\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{:.1}\">{label}</text>",
                f.y.0,
                f.y.1,
                f.y.1 + 17.0
            );
        }
        let _ = write!(
            svg,
            "<text class=\"muted\" x=\"4\" y=\"{:.1}\">{}</text><path class=\"frame\" d=\"M{:.1} {:.1}H{:.1}\"/>",
            f.y.1 + 17.0,
            time_unit(self.end_s),
            f.x.0,
            f.y.1,
            f.x.1
        );
    }

    /// A row of bars with their kinds, above the plot.
    fn span_row(&self, svg: &mut String, f: &Frame, what: &str, y: f64) {
        let row = if what == "fault" { "injected" } else { "verdict" };
        let _ = write!(svg, "<text class=\"muted\" x=\"4\" y=\"{:.1}\">{row}</text>", y + 10.0);
        let mut free_from = 0.0;
        for h in self.spans.iter().filter(|h| h.what == what) {
            let (a, b) = (f.x(h.from_s), f.x(h.to_s.unwrap_or(self.end_s)));
            let _ = write!(
                svg,
                "<rect class=\"bar {what}\" x=\"{a:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"12\" rx=\"2\"><title>{}</title></rect>",
                (b - a).max(2.0),
                escape(&format!("{} {}/{} {}", what, h.subject, h.part, h.detail))
            );
            let word = short(&h.detail);
            let x = b.max(a + 2.0) + 4.0;
            // A label that would run into the one before, or out of the plot, is left to the tooltip and the table.
            if a >= free_from && x + 6.4 * word.chars().count() as f64 <= f.x.1 {
                let _ = write!(
                    svg,
                    "<text class=\"muted\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                    y + 10.0,
                    escape(word)
                );
                free_from = x + 6.4 * word.chars().count() as f64;
            } else if b - a > 6.4 * word.chars().count() as f64 {
                let _ = write!(
                    svg,
                    "<text text-anchor=\"middle\" style=\"fill:var(--card)\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    (a + b) / 2.0,
                    y + 10.0,
                    escape(word)
                );
            }
        }
    }

    fn shades(&self, svg: &mut String, f: &Frame) {
        for h in self.spans.iter().filter(|h| h.what == "verdict") {
            let (a, b) = (f.x(h.from_s), f.x(h.to_s.unwrap_or(self.end_s)));
            let _ = write!(
                svg,
                "<rect class=\"shade\" x=\"{a:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                f.y.0,
                (b - a).max(1.0),
                f.y.1 - f.y.0
            );
        }
    }
}

/// The first word of a detail: the kind of fault.
fn short(detail: &str) -> &str {
    detail.split([':', ' ', ',']).next().unwrap_or(detail)
}

/// Runs of points without a gap: where a signal paused for long, a line would say what nobody measured.
fn runs(points: &[Point]) -> Vec<&[Point]> {
    if points.len() < 3 {
        return if points.is_empty() { Vec::new() } else { vec![points] };
    }
    let mut gaps: Vec<f64> = points.windows(2).map(|w| w[1].t_s - w[0].t_s).collect();
    gaps.sort_by(f64::total_cmp);
    let widest = gaps[gaps.len() / 2] * 6.0;
    points.chunk_by(|a, b| b.t_s - a.t_s <= widest).collect()
}

fn line(svg: &mut String, f: &Frame, points: &[Point], class: &str) {
    let mut d = String::new();
    for run in runs(points) {
        for (i, p) in run.iter().enumerate() {
            let (x, y) = f.at(p.t_s, p.value);
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        if let [one] = run {
            // A single point would be invisible.
            let (x, y) = f.at(one.t_s, one.value);
            let _ = write!(d, "L{:.1} {y:.1}", x + 1.5);
        }
    }
    if !d.is_empty() {
        let _ = write!(svg, "<path class=\"l {class}\" d=\"{d}\"/>");
    }
}

fn extremes(svg: &mut String, f: &Frame, points: &[Point], class: &str) {
    if points.iter().all(|p| f.y(p.min) - f.y(p.max) < 0.8) {
        return;
    }
    polygon(svg, f, points, points, class);
}

fn area(svg: &mut String, f: &Frame, lower: &[Point], upper: &[Point], class: &str) {
    if lower.len() == upper.len() {
        polygon(svg, f, lower, upper, class);
    }
}

/// The area between the least values of one series and the largest of another, of the same times.
fn polygon(svg: &mut String, f: &Frame, lower: &[Point], upper: &[Point], class: &str) {
    let mut d = String::new();
    let mut at = 0;
    for run in runs(lower) {
        let above = &upper[at..at + run.len()];
        at += run.len();
        for (i, p) in run.iter().enumerate() {
            let (x, y) = f.at(p.t_s, p.min);
            let _ = write!(d, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
        }
        for p in above.iter().rev() {
            let (x, y) = f.at(p.t_s, p.max);
            let _ = write!(d, "L{x:.1} {y:.1}");
        }
        d.push('Z');
    }
    if !d.is_empty() {
        let _ = write!(svg, "<path class=\"a {class}\" d=\"{d}\"/>");
    }
}
