//! The page of a diagnosis: each signal with its verdicts, and the posterior of what was looked into through time.

use crate::{
    datasheet::plot::{Sheet, time_unit},
    report::escape,
};
use std::{collections::BTreeSet, fmt::Write, path::Path};
use twinfleet_engine::{
    compare::{Posterior, WILD},
    diagnose::{Said, doctor::Doctor},
    dynamics::{DynamicsDef, fit::Dataset},
};

/// Points of a line; more cannot be told apart on a page.
const POINTS: usize = 900;
/// Hypotheses drawn; the likeliest at any time come first.
const MOST: usize = 5;
const CLASSES: [&str; 5] = ["c0", "c1", "c2", "c3", "c4"];

/// One file that needs nothing else.
pub(super) fn page(thing: &str, parts: &[String]) -> String {
    let style = concat!(include_str!("../../report/style.css"), include_str!("../../report/page.css"));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>diagnosis of {0}</title>\
         <style>\n{style}</style></head><body><main>\n<h1 class=\"none\">{0}: what is wrong</h1>\n",
        escape(thing)
    );
    parts.iter().for_each(|p| html.push_str(p));
    html.push_str("</main></body></html>\n");
    html
}

/// What a doctor found in one recording, for its part of the page.
pub(super) struct Found<'a> {
    pub(super) def: &'a DynamicsDef,
    pub(super) data: &'a Dataset,
    pub(super) said: &'a [Said],
    pub(super) doctor: &'a Doctor,
    /// Of each output, the whitened residual of each row; NaN where there was no reading.
    pub(super) whitened: &'a [Vec<f64>],
}

/// How far from nothing a whitened residual is drawn.
const DRAWN: f64 = 3.0 * WILD;

/// The part of one recording.
pub(super) fn recording(found: &Found<'_>) -> String {
    let Found { def, data: d, said, doctor, whitened } = found;
    let name = Path::new(&d.name).file_name().map_or(d.name.as_str().into(), |n| n.to_string_lossy());
    let mut html = format!("<h2 title=\"{}\">{}</h2>\n", escape(&d.name), escape(&name));
    html.push_str(&verdicts(said));
    let end = d.t_s.last().copied().unwrap_or(1.0).max(1e-9);
    let mut card = |svg: String| {
        if !svg.is_empty() {
            html += &format!("<div class=\"card plot\">{svg}</div>\n");
        }
    };
    for (o, (output, column)) in def.outputs.iter().zip(&d.outputs).enumerate() {
        let of = |s: &&&Said| s.part.is_empty() || s.part == output.signal || !s.part.contains('.');
        let said: Vec<&Said> = said.iter().filter(|s| of(&s)).collect();
        card(readings(&output.signal, &d.t_s, column, &said, end));
        card(residuals(&output.signal, &d.t_s, &whitened[o], &said, end));
    }
    let mut all = doctor.posteriors().to_vec();
    all.extend(doctor.world().into_iter().flat_map(|w| w.posteriors().to_vec()));
    if !all.is_empty() {
        card(posteriors(&all, end));
    }
    html
}

fn verdicts(said: &[Said]) -> String {
    if said.is_empty() {
        return "<p class=\"about\">No verdict: nothing was found wrong.</p>\n".to_owned();
    }
    let mut html =
        String::from("<table><tr><th>onset<th>end<th>part<th>kind<th>size<th>posterior<th>decided</tr>\n");
    for s in said {
        let end = s.end_s.map_or("–".to_owned(), |e| format!("{e:.0} s"));
        let part = if s.part.is_empty() { "the whole device" } else { &s.part };
        let _ = writeln!(
            html,
            "<tr><td>{:.0} s<td>{end}<td>{}<td>{}<td>{:.3}<td>{:.3}<td>{:.0} s</tr>",
            s.onset_s,
            escape(part),
            escape(&s.kind),
            s.size,
            s.posterior,
            s.decided_at_s
        );
    }
    html + "</table>\n"
}

/// The extremes of each stretch of rows: what is drawn of more points than a page can show.
fn thinned(t_s: &[f64], values: &[f64], unit: f64) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> =
        t_s.iter().map(|t| t / unit).zip(values.iter().copied()).filter(|p| p.1.is_finite()).collect();
    if points.len() <= POINTS {
        return points;
    }
    let stretches = points.chunks(2 * points.len().div_ceil(POINTS));
    let ends = |part: &[(f64, f64)]| {
        let by = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let mut two =
            [part.iter().min_by(by), part.iter().max_by(by)].map(|p| p.copied().unwrap_or_default());
        two.sort_by(|a, b| a.0.total_cmp(&b.0));
        two
    };
    stretches.flat_map(ends).collect()
}

fn readings(signal: &str, t_s: &[f64], column: &[f64], said: &[&Said], end: f64) -> String {
    let (unit, called) = time_unit(end);
    let points = thinned(t_s, column, unit);
    if points.is_empty() {
        return String::new();
    }
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)));
    let room = (0.05 * (high - low)).max(1e-6);
    let (low, high) = (low - room, high + room);
    let title = format!("{}: readings, and from when verdicts hold", escape(signal));
    let mut sheet = Sheet::new(&title, (0.0, end / unit, false), (low, high, false), (called, "°C"));
    sheet.line(&points, "l physical");
    let mut legend = vec![("l physical", "reading")];
    legend.extend(borders(&mut sheet, said, (low, high), unit));
    sheet.legend(&legend);
    sheet.done()
}

/// Where verdicts begin and end.
fn borders(
    sheet: &mut Sheet,
    said: &[&Said],
    (low, high): (f64, f64),
    unit: f64,
) -> Vec<(&'static str, &'static str)> {
    for s in said {
        let at = |t_s: f64| [(t_s / unit, low), (t_s / unit, high)];
        sheet.line(&at(s.onset_s), "l c3");
        s.end_s.iter().for_each(|e| sheet.line(&at(*e), "l c2"));
    }
    let ended = said.iter().any(|s| s.end_s.is_some());
    let both = [(!said.is_empty()).then_some(("l c3", "onset")), ended.then_some(("l c2", "end"))];
    both.into_iter().flatten().collect()
}

/// The residual in standard deviations, and the threshold beyond which a cause is looked for.
fn residuals(signal: &str, t_s: &[f64], whitened: &[f64], said: &[&Said], end: f64) -> String {
    let (unit, called) = time_unit(end);
    let points = thinned(t_s, whitened, unit);
    let most = points.iter().map(|p| p.1.abs()).fold(1.25 * WILD, f64::max).min(DRAWN);
    if points.is_empty() {
        return String::new();
    }
    let title = format!("{}: whitened residual", escape(signal));
    let names = (called, "standard deviations");
    let mut sheet = Sheet::new(&title, (0.0, end / unit, false), (-most, most, false), names);
    let shown: Vec<(f64, f64)> = points.iter().map(|p| (p.0, p.1.clamp(-most, most))).collect();
    sheet.line(&shown, "l residual");
    for level in [-WILD, WILD] {
        sheet.line(&[(0.0, level), (end / unit, level)], "dash");
    }
    let mut legend = vec![("l residual", "residual"), ("dash", "threshold")];
    legend.extend(borders(&mut sheet, said, (-most, most), unit));
    sheet.legend(&legend);
    sheet.done()
}

/// Probability of each hypothesis at each examination.
fn posteriors(all: &[Posterior], end: f64) -> String {
    let mut most: Vec<(f64, &str)> = Vec::new();
    let names: BTreeSet<&str> = all.iter().flat_map(|p| p.of.iter().map(|(n, _)| n.as_str())).collect();
    for name in names {
        let peak = all.iter().flat_map(|p| &p.of).filter(|(n, _)| n == name);
        most.push((peak.map(|(_, p)| *p).fold(0.0, f64::max), name));
    }
    most.sort_by(|a, b| b.0.total_cmp(&a.0));
    most.truncate(MOST);
    let (unit, called) = time_unit(end);
    let title = "What was looked into, and how likely it was";
    let mut sheet = Sheet::new(title, (0.0, end / unit, false), (0.0, 1.02, false), (called, "probability"));
    let mut legend = String::new();
    for ((_, name), class) in most.iter().zip(CLASSES) {
        let points: Vec<(f64, f64)> = all
            .iter()
            .filter_map(|p| Some((p.t.as_secs_f64() / unit, p.of.iter().find(|(n, _)| n == name)?.1)))
            .collect();
        sheet.dots(&points, class);
        // Names of hypotheses are longer than a row of a plot has room for.
        legend +=
            &format!("<span class=\"swatch\" style=\"background:var(--{class})\"></span>{}", escape(name));
    }
    format!("{}<p class=\"more\">{legend}</p>", sheet.done())
}
