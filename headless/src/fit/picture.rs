//! The page of a fit: measured and simulated values, and the parameters' profiles.

use crate::{
    datasheet::plot::{Sheet, time_unit},
    report::{escape, words::figure},
};
use std::path::Path;
use twinfleet_engine::dynamics::fit::{Estimate, Part, Report};

/// Points of a line; more cannot be told apart on a page.
const POINTS: usize = 700;
/// Rise of a profile at the ends of its 90 % interval, [nat].
const RISE: f64 = 1.353;

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
    html.push_str("<h2>Measured and simulated</h2>\n<div class=\"two\">\n");
    let card = |html: &mut String, svg: String| {
        if !svg.is_empty() {
            *html += &format!("<div class=\"card plot\">{svg}</div>\n");
        }
    };
    for (file, name) in report.files.iter().enumerate() {
        for (output, signal) in report.signals.iter().enumerate() {
            card(&mut html, course(report, file, output, &format!("{signal}, {}", short(name))));
        }
    }
    html.push_str("</div>\n<h2>Profiles</h2>\n<p class=\"about\">By how much the misfit rises when a parameter is moved and all \
                   others are fitted anew; the 90 % interval ends at the line. A flat one is not told by these data.</p>\n<div class=\"two\">\n");
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
    for (points, class) in [(&measured, "l physical"), (&fitted, "l twin"), (&held, "l c3")] {
        let every = points.len().div_ceil(POINTS).max(1);
        sheet.line(&points.iter().step_by(every).copied().collect::<Vec<_>>(), class);
    }
    sheet.legend(&[("l physical", "measured"), ("l twin", "fitted"), ("l c3", "held out, open loop")]);
    sheet.done()
}

fn profile(e: &Estimate) -> String {
    let points: Vec<(f64, f64)> = e.profile.iter().filter(|p| p.1 < 8.0 * RISE).copied().collect();
    let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.0), h.max(p.0)));
    if points.len() < 3 || high <= low {
        return String::new();
    }
    let top = points.iter().map(|p| p.1).fold(1.5 * RISE, f64::max);
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
    sheet.line(&[(low, RISE), (high, RISE)], "dash");
    sheet.line(&points, "l twin");
    sheet.dots(&points, "twin");
    sheet.legend(&[("l twin", "rise of the misfit"), ("dash", "end of the 90 % interval")]);
    sheet.done()
}
