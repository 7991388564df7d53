//! How sure a twin was: the posterior of its verdicts through time, and how reliable its intervals were.

use super::super::{Happening, Report, Twin, escape};
use crate::datasheet::plot::{Sheet, time_unit};
use twinfleet_engine::predict::interval::normal_quantile;

const CLASSES: [&str; 5] = ["c0", "c1", "c2", "c3", "c4"];
/// Probabilities at which intervals are looked at.
const LEVELS: [f64; 7] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95];
/// Forecasts of which a share says something.
const LEAST: u64 = 50;

/// How likely each verdict was from when it was said until it ended.
pub(super) fn posteriors(report: &Report, twin: &Twin) -> Option<String> {
    let of: Vec<&Happening> =
        report.happenings.iter().filter(|h| h.what == "verdict" && h.subject == twin.id).collect();
    let end = report.simulated_s.max(1e-9);
    let mut names: Vec<String> = of.iter().map(|h| name(h)).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let (unit, called) = time_unit(end);
    let title = "What was said, and how likely it was";
    let mut sheet = Sheet::new(title, (0.0, end / unit, false), (0.0, 1.02, false), (called, "probability"));
    let mut legend = String::new();
    for (told, class) in names.iter().zip(CLASSES) {
        let mut points = vec![(0.0, 0.0)];
        for h in of.iter().filter(|h| name(h) == *told) {
            let (from, to) = (h.decided_at_s.unwrap_or(h.from_s), h.to_s.unwrap_or(end));
            points.extend([(from, 0.0), (from, h.value), (to.max(from), h.value), (to.max(from), 0.0)]);
        }
        points.push((end, 0.0));
        let drawn: Vec<(f64, f64)> = points.iter().map(|p| (p.0 / unit, p.1)).collect();
        sheet.line(&drawn, &format!("l {class}"));
        legend +=
            &format!("<span class=\"swatch\" style=\"background:var(--{class})\"></span>{} ", escape(told));
    }
    Some(format!("{}<p class=\"more\">{legend}</p>", sheet.done()))
}

fn name(h: &Happening) -> String {
    let part = if h.part.is_empty() { "the whole device" } else { &h.part };
    format!("{} {part}", h.detail.split_whitespace().next().unwrap_or_default())
}

/// Promised and held, over the probabilities that the intervals stand for if errors are normal within them.
pub(super) fn reliability(twin: &Twin) -> Option<String> {
    let mut sheet: Option<Sheet> = None;
    let mut legend = String::new();
    let all = twin.outputs.iter().flat_map(|o| o.forecasts.iter().map(move |f| (o, f)));
    for ((output, forecast), class) in all.filter(|(_, f)| f.halves.n() >= LEAST).zip(CLASSES) {
        let score = twin.scores.iter().find(|s| s.signal == output.name && s.horizon_s == forecast.horizon_s);
        let interval = score.map_or(0.9, |s| s.interval);
        let half = normal_quantile(0.5 + 0.5 * interval);
        let points: Vec<(f64, f64)> = LEVELS
            .iter()
            .map(|p| (100.0 * p, 100.0 * forecast.halves.share_within(normal_quantile(0.5 + 0.5 * p) / half)))
            .collect();
        let sheet = sheet.get_or_insert_with(|| {
            let names = ("probability promised, %", "share held, %");
            let mut sheet = Sheet::new("Promised and held", (0.0, 100.0, false), (0.0, 100.0, false), names);
            sheet.line(&[(0.0, 0.0), (100.0, 100.0)], "dash");
            sheet
        });
        sheet.line(&points, &format!("l {class}"));
        sheet.dots(&points, class);
        legend += &format!(
            "<span class=\"swatch\" style=\"background:var(--{class})\"></span>{} {} s ahead ",
            escape(&output.name),
            forecast.horizon_s
        );
    }
    sheet.map(|sheet| format!("{}<p class=\"more\">{legend}</p>", sheet.done()))
}
