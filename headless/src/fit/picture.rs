//! The page of a fit: its figures, measured and simulated values with what is between them, and the parameters' profiles.

use crate::{
    datasheet::plot::{Sheet, time_unit},
    report::{escape, words::figure},
};
use std::path::Path;
use twinfleet_engine::dynamics::fit::{Estimate, Part, Report};

/// Points of a line; more cannot be told apart on a page.
const POINTS: usize = 700;
/// One file that needs nothing else.
pub(super) fn page(thing: &str, report: &Report) -> String {
    let style = concat!(include_str!("../report/style.css"), include_str!("../report/page.css"));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>fit of {0}</title>\
         <style>\n{style}</style></head><body><main>\n<h1 class=\"none\">{0}, calibrated</h1>\n",
        escape(thing)
    );
    html.push_str(&figures(report));
    html.push_str("<h2>Measured and simulated</h2>\n<div class=\"two\">\n");
    let card = |html: &mut String, svg: String| {
        if !svg.is_empty() {
            *html += &format!("<div class=\"card plot\">{svg}</div>\n");
        }
    };
    for (file, name) in report.files.iter().enumerate() {
        for (output, signal) in report.signals.iter().enumerate() {
            let title = format!("{signal}, {}", short(name));
            card(&mut html, course(report, file, output, &title));
            card(&mut html, residuals(report, file, output, &title));
        }
    }
    html.push_str("</div>\n<h2>Profiles</h2>\n<p class=\"about\">By how much the misfit rises when a parameter is moved and all \
                   others are fitted anew; the 90 % interval ends at the line, which lies the higher the less the residuals are noise. \
                   What the readings alone say is drawn apart from that with the prior: where it is flat, they do not tell.</p>\n<div class=\"two\">\n");
    for e in report.estimates.iter().filter(|e| e.profile.len() > 2) {
        card(&mut html, profile(e));
    }
    html.push_str("</div>\n</main></body></html>\n");
    html
}

/// A file's name without its folders.
fn short(name: &str) -> &str {
    Path::new(name).file_name().and_then(|n| n.to_str()).unwrap_or(name)
}

fn course(report: &Report, file: usize, output: usize, title: &str) -> String {
    let last = report.trace.iter().rfind(|r| r.file == file && r.output == output);
    let end = last.map_or(1.0, |r| r.t_s).max(1e-9);
    let (unit, called) = time_unit(end);
    let rows: Vec<_> = report.trace.iter().filter(|r| r.file == file && r.output == output).collect();
    let measured: Vec<(f64, f64)> =
        rows.iter().filter(|r| r.measured.is_finite()).map(|r| (r.t_s / unit, r.measured)).collect();
    if measured.is_empty() {
        return String::new();
    }
    let part = |part: Part| -> Vec<(f64, f64)> {
        rows.iter().filter(|r| r.part == part).map(|r| (r.t_s / unit, r.simulated)).collect()
    };
    let (fitted, held) = (part(Part::Fit), part(Part::Held));
    let all = measured.iter().chain(&fitted).chain(&held).filter(|p| p.1.is_finite());
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)));
    let room = (0.05 * (high - low)).max(1e-6);
    let mut sheet = Sheet::new(
        &escape(title),
        (0.0, end / unit, false),
        (low - room, high + room, false),
        (called, "°C"),
    );
    sheet.broad(&thinned(&measured), "l physical");
    for (points, class) in [(&fitted, "l twin"), (&held, "l c3")] {
        sheet.line(&thinned(points), class);
    }
    sheet.legend(&[("l physical", "measured"), ("l twin", "fitted"), ("l c3", "held out, open loop")]);
    sheet.done()
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().step_by(points.len().div_ceil(POINTS).max(1)).copied().collect()
}

/// Measured minus simulated.
fn residuals(report: &Report, file: usize, output: usize, title: &str) -> String {
    let rows: Vec<_> = (report.trace.iter())
        .filter(|r| r.file == file && r.output == output && r.measured.is_finite())
        .collect();
    let end = rows.iter().map(|r| r.t_s).fold(1e-9, f64::max);
    let (unit, called) = time_unit(end);
    let part = |part: Part| -> Vec<(f64, f64)> {
        let of = rows.iter().filter(|r| r.part == part);
        of.map(|r| (r.t_s / unit, r.measured - r.simulated)).collect()
    };
    let (fitted, held) = (part(Part::Fit), part(Part::Held));
    let most = fitted.iter().chain(&held).map(|p| p.1.abs()).filter(|e| e.is_finite()).fold(1e-6, f64::max);
    if rows.is_empty() {
        return String::new();
    }
    let title = format!("{}: measured − simulated", escape(title));
    let most = 1.05 * most;
    let mut sheet = Sheet::new(&title, (0.0, end / unit, false), (-most, most, false), (called, "K"));
    sheet.line(&[(0.0, 0.0), (end / unit, 0.0)], "dash");
    sheet.line(&thinned(&fitted), "l twin");
    sheet.line(&thinned(&held), "l c3");
    sheet.legend(&[("l twin", "fitted"), ("l c3", "held out, open loop")]);
    sheet.done()
}

/// Errors of each recording, and each parameter with its interval.
fn figures(report: &Report) -> String {
    let mut html = String::from(
        "<h2>Errors</h2>\n<table><thead><tr><th>recording</th><th>signal</th><th>part</th><th>RMSE</th><th>rows</th></tr>\
         </thead><tbody>\n",
    );
    for s in &report.scores {
        html += &format!(
            "<tr><td title=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&s.file),
            escape(short(&s.file)),
            escape(&s.signal),
            if s.part == Part::Fit { "fitted" } else { "held out" },
            figure(s.rmse),
            s.n
        );
    }
    html += "</tbody></table>\n<h2>Parameters</h2>\n<table><thead><tr><th>parameter</th><th>value</th><th>90 % interval</th>\
             <th>unit</th><th>of</th><th></th></tr></thead><tbody>\n";
    for e in &report.estimates {
        html += &format!(
            "<tr><td>{}</td><td>{}</td><td>{} to {}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&e.name),
            figure(e.value),
            figure(e.interval.0),
            figure(e.interval.1),
            escape(&e.unit),
            e.recording.as_deref().map_or("all".to_owned(), |r| escape(short(r))),
            if e.identified { "" } else { "not identified: kept near its prior" }
        );
    }
    html + "</tbody></table>\n"
}

fn profile(e: &Estimate) -> String {
    let end = e.rise_at_ends;
    let points: Vec<(f64, f64)> = e.profile.iter().filter(|p| p.1 < 8.0 * end).copied().collect();
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.0), h.max(p.0)));
    if points.len() < 3 || high <= low {
        return String::new();
    }
    let top = points.iter().map(|p| p.1).fold(1.5 * end, f64::max);
    let alone: Vec<(f64, f64)> = e
        .of_data
        .iter()
        .filter(|p| (low..=high).contains(&p.0))
        .map(|p| (p.0, p.1.clamp(0.0, top)))
        .collect();
    let of = e.recording.as_deref().map_or(String::new(), |r| format!(", {}", short(r)));
    let title = format!(
        "{}{}: {} [{}, {}] {}",
        escape(&e.name),
        escape(&of),
        figure(e.value),
        figure(e.interval.0),
        figure(e.interval.1),
        escape(&e.unit)
    );
    let unit = escape(&e.unit);
    let mut sheet = Sheet::new(&title, (low, high, false), (0.0, 1.05 * top, false), (&unit, "rise, nat"));
    sheet.line(&[(low, end), (high, end)], "dash");
    sheet.line(&alone, "l c3");
    sheet.line(&points, "l twin");
    sheet.dots(&points, "twin");
    sheet.legend(&[
        ("l twin", "with the prior"),
        ("l c3", "readings alone"),
        ("dash", "end of the 90 % interval"),
    ]);
    sheet.done()
}
