//! A twin's part of the page: what was injected and what the twin said of it, its scores, its plots.

use super::super::{
    Happening, Report, Score, Twin, escape,
    pairs::{Outcome, Pair},
    plot::Plot,
    words::{clock, figure, span, thousands},
};
use super::{MOST_EVENTS, belief};
use std::fmt::Write;
use twinfleet_engine::expect::unit_symbol;

pub(super) fn section(html: &mut String, report: &Report, twin: &Twin, plots: &[Plot]) {
    let thing =
        if twin.thing.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&twin.thing)) };
    let id = super::anchor(&twin.id);
    let _ = writeln!(html, "<h2 id=\"{id}\">Twin of {}{thing}</h2>", escape(&twin.id));
    faults_and_verdicts(html, report, twin);
    scores(html, &twin.scores, twin);
    for plot in plots.iter().filter(|p| p.of == twin.id) {
        super::plot(html, plot);
    }
    for svg in [belief::posteriors(report, twin), belief::reliability(twin)].into_iter().flatten() {
        let _ = writeln!(html, "<div class=\"card plot\">{svg}</div>");
    }
}

/// The look of an outcome.
fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Named => "held",
        Outcome::NamedAgain | Outcome::OtherKind => "no_data",
        Outcome::Missed | Outcome::False => "failed",
        Outcome::Unjudged => "plain",
    }
}

fn faults_and_verdicts(html: &mut String, report: &Report, twin: &Twin) {
    let rows = report.pairs(&twin.id);
    if rows.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"card\"><table><tr><th></th><th>injected</th><th class=\"n\">size</th><th class=\"n\">from – to</th>\
         <th>verdict</th><th class=\"n\">size found</th><th class=\"n\">onset off by</th><th class=\"n\">said after</th>\
         <th class=\"n\">probability</th></tr>\n",
    );
    for row in rows.iter().take(MOST_EVENTS) {
        pair(html, report, row);
    }
    html.push_str("</table>");
    super::more(html, rows.len().saturating_sub(MOST_EVENTS) as u64);
    html.push_str("</div>\n");
}

fn pair(html: &mut String, report: &Report, row: &Pair<'_>) {
    let (class, word) = (class(row.outcome), row.outcome.word());
    let what = |h: Option<&Happening>| match h {
        None => "–".to_owned(),
        Some(h) => {
            let part = if h.part.is_empty() { "the whole device" } else { &h.part };
            format!("{}<small>{}</small>", escape(&h.detail), escape(part))
        }
    };
    let size = |h: Option<&Happening>| {
        h.and_then(|h| report.size_of(h)).map_or("–".to_owned(), |text| escape(&text))
    };
    let time = row.fault.or(row.verdict).map_or(String::new(), |h| {
        format!("{} – {}", clock(h.from_s), h.to_s.map_or("open".to_owned(), clock))
    });
    // Readings are seconds apart: more than a tenth of one would say nothing.
    let tenths = |s: f64| span((s * 10.0).round() / 10.0);
    let signed = |s: f64| format!("{}{}", if s < 0.0 { "−" } else { "+" }, tenths(s.abs()));
    let both = row.fault.zip(row.verdict);
    let off = both.map_or("–".to_owned(), |(f, v)| signed(v.from_s - f.from_s));
    let after = both.map_or("–".to_owned(), |(f, v)| tenths(v.decided_at_s.unwrap_or(v.from_s) - f.from_s));
    let sure = row.verdict.map_or("–".to_owned(), |v| percent(v.value));
    let _ = writeln!(
        html,
        "<tr><td><span class=\"chip {class}\">{word}</span></td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{time}</td>\
         <td>{}</td><td class=\"n\">{}</td><td class=\"n\">{off}</td><td class=\"n\">{after}</td><td class=\"n\">{sure}</td></tr>",
        what(row.fault),
        size(row.fault),
        what(row.verdict),
        size(row.verdict),
    );
}

/// A probability; next to certainty is not certainty.
fn percent(p: f64) -> String {
    if p > 0.9999 { "&gt; 99.99 %".to_owned() } else { format!("{} %", figure(p * 100.0)) }
}

fn scores(html: &mut String, scores: &[Score], twin: &Twin) {
    if scores.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"card\"><table><tr><th>forecast of</th><th class=\"n\">ahead</th><th class=\"n\">error (RMSE)</th>\
         <th class=\"n\">of persistence</th><th class=\"n\">better by</th><th class=\"n\">interval held</th>\
         <th class=\"n\">forecasts</th></tr>\n",
    );
    for s in scores {
        let unit = twin.outputs.iter().find(|o| o.name == s.signal).map_or("", |o| unit_symbol(&o.unit));
        let better = 100.0 * (1.0 - s.rmse / s.rmse_persistence);
        let number =
            |v: f64, unit: &str| if v.is_finite() { format!("{} {unit}", figure(v)) } else { "–".into() };
        let percent =
            |v: f64| if v.is_finite() { format!("{v:.1} %").replace('-', "−") } else { "–".into() };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}<small>asked {}</small></td><td class=\"n\">{}</td></tr>",
            escape(&s.signal),
            span(s.horizon_s),
            number(s.rmse, unit),
            number(s.rmse_persistence, unit),
            percent(better),
            percent(100.0 * s.coverage),
            percent(100.0 * s.interval),
            thousands(s.n as f64)
        );
    }
    html.push_str("</table></div>\n");
}
