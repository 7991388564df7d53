//! The page of a diagnosis: each signal with its verdicts, and the posterior of what was looked into through time.

use crate::{datasheet::plot::Sheet, report::escape};
use std::{collections::BTreeSet, fmt::Write};
use twinfleet_engine::{
    diagnose::{Said, world::World},
    dynamics::{DynamicsDef, fit::Dataset},
};

/// Points of a line; more cannot be told apart on a page.
const POINTS: usize = 900;
/// Hypotheses drawn; the likeliest at any time come first.
const MOST: usize = 5;
const CLASSES: [&str; 5] = ["l c0", "l c1", "l c2", "l c3", "l c4"];

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

/// The part of one recording.
pub(super) fn recording(def: &DynamicsDef, d: &Dataset, said: &[Said], world: Option<&World>) -> String {
    let mut html = format!("<h2>{}</h2>\n", escape(&d.name));
    html.push_str("<table><tr><th>onset<th>end<th>part<th>kind<th>size<th>posterior<th>decided</tr>\n");
    for s in said {
        let end = s.end_s.map_or("–".to_owned(), |e| format!("{e:.0} s"));
        let _ = writeln!(
            html,
            "<tr><td>{:.0} s<td>{end}<td>{}<td>{}<td>{:.3}<td>{:.3}<td>{:.0} s</tr>",
            s.onset_s,
            escape(&s.part),
            escape(&s.kind),
            s.size,
            s.posterior,
            s.decided_at_s
        );
    }
    html.push_str("</table>\n");
    let end = d.t_s.last().copied().unwrap_or(1.0).max(1e-9);
    for (output, column) in def.outputs.iter().zip(&d.outputs) {
        let points: Vec<(f64, f64)> =
            d.t_s.iter().copied().zip(column.iter().copied()).filter(|p| p.1.is_finite()).collect();
        if points.is_empty() {
            continue;
        }
        let (low, high) = points.iter().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p.1), h.max(p.1)));
        let room = (0.05 * (high - low)).max(1e-6);
        let (low, high) = (low - room, high + room);
        let title = format!("{}: readings, and from when verdicts hold", escape(&output.signal));
        let mut sheet = Sheet::new(&title, (0.0, end, false), (low, high, false), ("s", "°C"));
        let every = points.len().div_ceil(POINTS).max(1);
        sheet.line(&points.iter().step_by(every).copied().collect::<Vec<_>>(), "l physical");
        for s in said.iter().filter(|s| s.part.is_empty() || s.part == output.signal || !s.part.contains('.'))
        {
            sheet.line(&[(s.onset_s, low), (s.onset_s, high)], "l residual");
            if let Some(e) = s.end_s {
                sheet.line(&[(e, low), (e, high)], "dash");
            }
        }
        html.push_str(&sheet.done());
    }
    if let Some(world) = world.filter(|w| !w.posteriors().is_empty()) {
        html.push_str(&posteriors(world, end));
    }
    html
}

/// Probability of each hypothesis at each examination.
fn posteriors(world: &World, end: f64) -> String {
    let mut most: Vec<(f64, &str)> = Vec::new();
    let names: BTreeSet<&str> =
        world.posteriors().iter().flat_map(|p| p.of.iter().map(|(n, _)| n.as_str())).collect();
    for name in names {
        let peak = world.posteriors().iter().flat_map(|p| &p.of).filter(|(n, _)| n == name);
        most.push((peak.map(|(_, p)| *p).fold(0.0, f64::max), name));
    }
    most.sort_by(|a, b| b.0.total_cmp(&a.0));
    most.truncate(MOST);
    let title = "what was looked into, and how likely it was";
    let mut sheet = Sheet::new(title, (0.0, end, false), (0.0, 1.02, false), ("s", "probability"));
    let mut legend = Vec::new();
    for ((_, name), class) in most.iter().zip(CLASSES) {
        let points: Vec<(f64, f64)> = world
            .posteriors()
            .iter()
            .filter_map(|p| Some((p.t.as_secs_f64(), p.of.iter().find(|(n, _)| n == name)?.1)))
            .collect();
        sheet.dots(&points, class.trim_start_matches("l "));
        legend.push((class, *name));
    }
    sheet.legend(&legend);
    sheet.done()
}
