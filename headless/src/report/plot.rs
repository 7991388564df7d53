//! Plots as SVG: lines with their extremes, bands, bounds, faults, verdicts and the worst moments of what failed.

mod chart;
mod lanes;
mod path;
mod stream;

use super::{
    Bound, Forecast, Group, GroupChannel, Happening, Input, Output, Point, Report, Series, Twin,
    words::{clock, span},
};
#[cfg(test)]
pub(super) use chart::width_of;
use chart::{Chart, Layer, Mark};
use lanes::Span;
pub use stream::Strip;
use twinfleet_engine::{compare::WILD, expect::Outcome};

/// Groups whose channels are plotted; more would make a page that nobody reads.
const MOST_GROUPS: usize = 24;
/// Channels of a group that are plotted.
const MOST_CHANNELS: usize = 12;
/// Faults and verdicts of one plot.
const MOST_SPANS: usize = 200;
/// Width of a page's plots, of one of two side by side, and of both on a narrow screen.
const WIDE: f64 = 1000.0;
const HALF: f64 = 560.0;
/// What the levels across a plot are, unless it says otherwise.
const BOUNDS: &str = "bounds asked for";
/// Classes of the lines of a few devices.
const LINES: [&str; 5] = ["c0", "c1", "c2", "c3", "c4"];

/// A plot, ready to be put into a page or a file.
#[derive(Clone, Debug)]
pub struct Plot {
    /// File name without `.svg`, and its id within the page.
    pub file: String,
    /// Twin or group that it belongs to.
    pub of: String,
    label: String,
    wide: Drawing,
    /// For narrow screens, and how the data are stretched to it.
    narrow: Option<(Drawing, String)>,
    data: String,
}

/// A plot without its data.
#[derive(Clone, Debug)]
struct Drawing {
    width: f64,
    height: f64,
    back: String,
    front: String,
}

impl Plot {
    /// As an element of a page that has the colours.
    pub fn inline(&self) -> String {
        let Self { label, file, data, wide, .. } = self;
        let svg = |class: &str, d: &Drawing, data: &str| {
            let Drawing { width, height, back, front } = d;
            format!(
                "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\">\
                 {back}{data}{front}</svg>\n"
            )
        };
        let Some((narrow, turn)) = &self.narrow else { return svg("any", wide, data) };
        let shared = format!("<g id=\"d-{file}\">{data}</g>");
        let again = format!("<g transform=\"{turn}\"><use href=\"#d-{file}\"/></g>");
        svg("wide", wide, &shared) + &svg("narrow", narrow, &again)
    }

    /// As a file of its own.
    pub fn standalone(&self) -> String {
        let Self { label, data, wide: Drawing { width, height, back, front }, .. } = self;
        let style = include_str!("style.css");
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{label}\"><style>{style}</style>\
             <rect width=\"100%\" height=\"100%\" style=\"fill:var(--card)\"/>{back}{data}{front}</svg>\n"
        )
    }
}

/// A line of a plot: its class, its name, and its points (time [s], value).
pub type NamedLine<'a> = (&'static str, &'a str, Vec<(f64, f64)>);

/// A plot of lines over time: class, name and points (time [s], value) of each; what happened meanwhile stands above them.
pub fn lines(
    title: &str,
    unit: &str,
    file: &str,
    end_s: f64,
    lines: &[NamedLine<'_>],
    happened: &[Happening],
) -> Plot {
    let point = |&(t_s, value): &(f64, f64)| Point { t_s, min: value, max: value, value };
    let series: Vec<Series> =
        lines.iter().map(|(_, _, p)| Series::new(p.iter().map(point).collect(), p.len() as u64)).collect();
    let chart = Chart {
        title: title.to_owned(),
        unit,
        legend: lines.iter().map(|(class, name, _)| (*class, (*name).to_owned())).collect(),
        layers: series.iter().zip(lines).map(|(s, (class, _, _))| Layer::Line(s, class)).collect(),
        bounds: &[],
        bounds_are: BOUNDS,
        cut: None,
        zero: true,
        spans: happened.iter().map(|of| Span { of, label: of.detail.clone() }).collect(),
        named: true,
        tinted: false,
        marks: Vec::new(),
        width: WIDE,
        narrow: Some(HALF),
        area: 190.0,
        end_s,
    };
    chart.draw(file.to_owned(), "load")
}

/// All plots of a report, in the order in which it shows them.
pub fn all(report: &Report) -> Vec<Plot> {
    let end_s = report.simulated_s.max(1e-9);
    let mut plots = Vec::new();
    for twin in &report.twins {
        twin_plots(report, twin, end_s, &mut plots);
    }
    for group in report.groups.iter().take(MOST_GROUPS) {
        group_plots(report, group, end_s, &mut plots);
    }
    plots
}

fn file_name(parts: &[&str]) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    parts.iter().map(|p| p.chars().map(safe).collect::<String>()).collect::<Vec<_>>().join("_")
}

/// The file of the plot on which a signal `device/part.quantity@kind` is drawn, whether there is such a plot or not.
pub fn file_of(report: &Report, signal: &str) -> Option<String> {
    let (device, channel) = signal.split_once('/')?;
    let (name, kind) = channel.rsplit_once('@')?;
    if let Some(twin) = report.twins.iter().find(|t| t.id == device)
        && let Some(file) = twin_file(twin, name, kind)
    {
        return Some(file);
    }
    let group = report.groups.iter().find(|g| g.holds(device))?;
    Some(file_name(&[&group.id, name, kind]))
}

fn twin_file(twin: &Twin, name: &str, kind: &str) -> Option<String> {
    if twin.inputs.iter().any(|i| i.name == name) {
        return Some(file_name(&[&twin.id, name, "input"]));
    }
    let of = |o: &&Output| o.name == name || name.strip_prefix(&o.name).is_some_and(|r| r.starts_with('.'));
    let output = twin.outputs.iter().find(of)?;
    let which = match kind {
        "residual" if name.ends_with(".whitened") => "whitened".to_owned(),
        "residual" => "residual".to_owned(),
        "forecast" => {
            let word = name.get(output.name.len() + 1..)?.split('.').next().unwrap_or_default();
            let horizon_s = word.parse::<twinfleet_engine::time::Span>().ok()?.as_secs_f64();
            format!("forecast-{horizon_s}s")
        }
        _ => "estimate".to_owned(),
    };
    Some(file_name(&[&twin.id, &output.name, &which]))
}

/// The worst moments of failed expectations that a plot shows.
fn marks(report: &Report, file: &str) -> Vec<Mark> {
    let failed = report.expectations.iter().filter(|o| !o.held());
    let here = |o: &&Outcome| o.worst.as_ref().and_then(|w| file_of(report, w)).is_some_and(|f| f == file);
    let mark = |o: &Outcome| {
        let t_s = o.worst_at_s?;
        let text = format!("{}: {} ({})", o.name, o.sentence, clock(t_s));
        Some(Mark { t_s, value: o.worst_value, text })
    };
    failed.filter(here).filter_map(mark).collect()
}

fn twin_plots(report: &Report, twin: &Twin, end_s: f64, plots: &mut Vec<Plot>) {
    let concerns = |name: &str| -> Vec<Span<'_>> {
        let spans = report.happenings.iter().filter(|h| matches!(h.what.as_str(), "fault" | "verdict"));
        // What is of no signal, such as a lid, concerns all that is measured; so does a part that only drives the thing, such as a fan,
        // unless the reading of it is meant.
        let is_measured = twin.outputs.iter().any(|o| o.name == name);
        let of_thing = |h: &Happening| {
            let outputs = || twin.outputs.iter().map(|o| &o.name);
            let inputs = || twin.inputs.iter().map(|i| &i.name);
            let of_part = is_measured && !h.part.contains('.');
            !outputs().any(|signal| is_about(&h.part, signal))
                && (of_part || !inputs().any(|signal| is_about(&h.part, signal)))
        };
        let of_part = |h: &&Happening| is_about(&h.part, name) || of_thing(h);
        let named = |of| Span { of, label: kind_of(of).to_owned() };
        spans.filter(|h| h.subject == twin.id).filter(of_part).take(MOST_SPANS).map(named).collect()
    };
    let mut push = |file: &[&str], chart: Chart<'_>| {
        let mut parts = vec![twin.id.as_str()];
        parts.extend(file);
        let file = file_name(&parts);
        let chart = Chart { marks: marks(report, &file), ..chart };
        plots.push(chart.draw(file, &twin.id));
    };
    for output in &twin.outputs {
        let spans = concerns(&output.name);
        push(&[&output.name, "estimate"], estimate_chart(output, spans.clone(), end_s));
        for forecast in &output.forecasts {
            let ahead = format!("forecast-{}s", forecast.horizon_s);
            push(&[&output.name, &ahead], forecast_chart(output, forecast, spans.clone(), end_s));
        }
        push(&[&output.name, "residual"], residual_chart(output, spans.clone(), end_s));
        if !output.whitened.points.is_empty() {
            push(&[&output.name, "whitened"], whitened_chart(output, spans, end_s));
        }
    }
    for input in &twin.inputs {
        push(&[&input.name, "input"], input_chart(input, concerns(&input.name), end_s));
    }
}

/// Whether what befalls a part concerns a signal: a device's own faults (silence, its clock) concern all of its signals, a
/// part's name all of its quantities.
fn is_about(part: &str, signal: &str) -> bool {
    part.is_empty()
        || part == signal
        || part == "device.stream"
        || signal.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'))
}

/// The first word of a detail: the kind of fault.
fn kind_of(h: &Happening) -> &str {
    h.detail.split([':', ' ', ',']).next().unwrap_or(&h.detail)
}

/// An empty plot of a page's width.
fn wide<'a>(title: String, unit: &'a str, area: f64, end_s: f64) -> Chart<'a> {
    Chart {
        title,
        unit,
        legend: Vec::new(),
        layers: Vec::new(),
        bounds: &[],
        bounds_are: BOUNDS,
        cut: None,
        zero: false,
        spans: Vec::new(),
        named: false,
        tinted: true,
        marks: Vec::new(),
        width: WIDE,
        narrow: Some(HALF),
        area,
        end_s,
    }
}

fn estimate_chart<'a>(output: &'a Output, spans: Vec<Span<'a>>, end_s: f64) -> Chart<'a> {
    Chart {
        legend: vec![("physical", "physical".into()), ("twin", "twin's estimate".into())],
        layers: vec![
            Layer::Extremes(&output.reported, "physical"),
            Layer::Line(&output.reported, "physical"),
            Layer::Line(&output.estimate, "twin"),
        ],
        named: true,
        spans,
        ..wide(format!("{}: physical and twin", output.name), &output.unit, 210.0, end_s)
    }
}

fn forecast_chart<'a>(
    output: &'a Output,
    forecast: &'a Forecast,
    spans: Vec<Span<'a>>,
    end_s: f64,
) -> Chart<'a> {
    let title = format!("{}: forecast {} ahead", output.name, span(forecast.horizon_s));
    Chart {
        legend: vec![
            ("physical", "physical".into()),
            ("twin", "forecast for that time, and its interval".into()),
        ],
        layers: vec![
            Layer::Band(&forecast.lower, &forecast.upper, "twin"),
            Layer::Line(&output.reported, "physical"),
            Layer::Line(&forecast.mean, "twin"),
        ],
        spans,
        ..wide(title, &output.unit, 180.0, end_s)
    }
}

fn residual_chart<'a>(output: &'a Output, spans: Vec<Span<'a>>, end_s: f64) -> Chart<'a> {
    Chart {
        legend: vec![("residual", "physical − twin".to_owned())],
        layers: vec![
            Layer::Extremes(&output.residual, "residual"),
            Layer::Line(&output.residual, "residual"),
        ],
        bounds: &output.bounds,
        zero: true,
        spans,
        ..wide(format!("{}: residual", output.name), &output.unit, 130.0, end_s)
    }
}

/// From which residual on, in standard deviations, something is looked into.
static THRESHOLDS: [Bound; 2] = [threshold(-WILD), threshold(WILD)];

const fn threshold(level: f64) -> Bound {
    Bound { level, from_s: 0.0, to_s: None }
}

/// How far from nothing a whitened residual is drawn, in thresholds: a fault of a hundred of them would leave nothing else to see.
const DRAWN: f64 = 3.0;

fn whitened_chart<'a>(output: &'a Output, spans: Vec<Span<'a>>, end_s: f64) -> Chart<'a> {
    Chart {
        legend: vec![("residual", "in standard deviations of this stream".to_owned())],
        layers: vec![
            Layer::Extremes(&output.whitened, "residual"),
            Layer::Line(&output.whitened, "residual"),
        ],
        bounds: &THRESHOLDS,
        bounds_are: "threshold: beyond it, causes are looked for",
        cut: Some(DRAWN * WILD),
        zero: true,
        spans,
        ..wide(format!("{}: whitened residual", output.name), "none", 130.0, end_s)
    }
}

fn input_chart<'a>(input: &'a Input, spans: Vec<Span<'a>>, end_s: f64) -> Chart<'a> {
    Chart {
        legend: vec![("physical", "physical".into())],
        layers: vec![Layer::Extremes(&input.reported, "physical"), Layer::Line(&input.reported, "physical")],
        spans,
        ..wide(format!("{}: what drives it", input.name), &input.unit, 100.0, end_s)
    }
}

fn group_plots(report: &Report, group: &Group, end_s: f64, plots: &mut Vec<Plot>) {
    let mut drawn = 0;
    for channel in &group.channels {
        let file = file_name(&[&group.id, &channel.name, &channel.kind]);
        let befell = |h: &&Happening| {
            let kind = matches!(h.what.as_str(), "fault" | "disturbance" | "verdict");
            kind && is_about(&h.part, &channel.name) && group.holds(&h.subject)
        };
        let span = |of| Span { of, label: label(report, group, of) };
        // A fault acts on readings; what is true stays what it is.
        let told = report.happenings.iter().filter(befell);
        let told = told.filter(|h| h.what == "disturbance" || channel.kind != "truth");
        let spans: Vec<Span<'_>> = told.take(MOST_SPANS).map(span).collect();
        let marks = marks(report, &file);
        if channel.is_constant() && marks.is_empty() && channel.bounds.is_empty() && spans.is_empty() {
            continue; // The table says it all.
        }
        drawn += 1;
        if drawn > MOST_CHANNELS && marks.is_empty() {
            continue;
        }
        let chart = Chart { spans, marks, ..group_chart(group, channel, end_s) };
        plots.push(chart.draw(file, &group.id));
    }
}

/// What stands at the bar of a fault: whose, and how large.
fn label(report: &Report, group: &Group, h: &Happening) -> String {
    let whose = if group.devices > 1 { format!("{} ", h.subject) } else { String::new() };
    if h.what == "disturbance" {
        return format!("{whose}{}", h.detail);
    }
    let size = report.size_of(h).map_or(String::new(), |s| format!(" {s}"));
    format!("{whose}{}{size}", kind_of(h))
}

fn group_chart<'a>(group: &Group, channel: &'a GroupChannel, end_s: f64) -> Chart<'a> {
    let class = if channel.kind == "truth" { "residual" } else { "physical" };
    let chart = Chart {
        bounds: &channel.bounds,
        named: true,
        // Of many devices, one faulty one says nothing about the rest.
        tinted: group.devices <= 5,
        width: HALF,
        narrow: None,
        ..wide(format!("{} ({})", channel.name, channel.kind), &channel.unit, 156.0, end_s)
    };
    if group.devices == 1 {
        return Chart {
            legend: vec![(class, group.member(0))],
            layers: vec![Layer::Extremes(&channel.fan, class), Layer::Line(&channel.fan, class)],
            ..chart
        };
    }
    if !channel.lines.is_empty() {
        let lines = || channel.lines.iter().zip(LINES);
        let areas = lines().map(|(l, class)| Layer::Extremes(&l.series, class));
        let strokes = lines().map(|(l, class)| Layer::Line(&l.series, class));
        let named = lines().map(|(l, class)| (class, l.of.clone()));
        let still = (channel.devices as usize).saturating_sub(channel.lines.len());
        let others = (still > 0).then(|| ("", format!("{still} constant, not drawn")));
        return Chart {
            legend: named.chain(others).collect(),
            layers: areas.chain(strokes).collect(),
            ..chart
        };
    }
    let whose = match channel.middle.points.is_empty() {
        true => format!("mean, range of {} devices", channel.devices),
        false => format!("mean, middle 80 % and range of {} devices", channel.devices),
    };
    let mut layers = vec![Layer::Extremes(&channel.fan, class)];
    if !channel.middle.points.is_empty() {
        layers.push(Layer::Extremes(&channel.middle, class));
    }
    layers.push(Layer::Line(&channel.fan, class));
    Chart { legend: vec![(class, whose)], layers, ..chart }
}
