//! A twin's part of the page: what was injected and what the twin said of it, its scores, its plots.

use super::super::{
    Happening, Report, Score, Twin, escape,
    plot::Plot,
    words::{clock, figure, span, thousands},
};
use super::MOST_EVENTS;
use std::fmt::Write;
use twinfleet_engine::expect::unit_symbol;

/// A verdict may come so long before the fault that caused it began (its onset is an estimate) or after it ended, [s].
const SLACK_S: f64 = 60.0;

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
}

/// A fault and the first verdict that names it, or one of them alone.
struct Row<'a> {
    fault: Option<&'a Happening>,
    verdict: Option<&'a Happening>,
}

impl Row<'_> {
    fn begin_s(&self) -> f64 {
        self.fault.or(self.verdict).map_or(0.0, |h| h.from_s)
    }

    /// In a word, and how good that is. `any`: whether anything was injected at all.
    fn word(&self, any: bool) -> (&'static str, &'static str) {
        match (self.fault, self.verdict) {
            (Some(f), Some(v)) if f.detail == v.detail => ("held", "named"),
            (Some(_), Some(_)) => ("no_data", "other kind"),
            (Some(_), None) => ("failed", "missed"),
            (None, _) if any => ("failed", "not injected"),
            (None, _) => ("plain", "verdict"),
        }
    }
}

/// Which verdict speaks of which fault: of the same part and within its time, the same kind first.
fn pairs<'a>(faults: &[&'a Happening], verdicts: &[&'a Happening]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = faults.iter().map(|f| Row { fault: Some(f), verdict: None }).collect();
    for v in verdicts {
        let speaks = |f: &Happening| {
            let whole = |part: &str| part.is_empty() || part == "device.stream";
            let within = f.from_s - SLACK_S <= v.from_s && f.to_s.is_none_or(|end| v.from_s <= end + SLACK_S);
            within && (f.part == v.part || whole(&f.part) || whole(&v.part))
        };
        // The latest that had begun; of faults at the same time, the one of the same kind.
        let free =
            rows.iter().enumerate().filter(|(_, r)| r.verdict.is_none() && r.fault.is_some_and(speaks));
        let rank = |f: &Happening| (f.detail == v.detail, f.from_s);
        let best = free
            .filter_map(|(i, r)| Some((i, rank(r.fault?))))
            .max_by(|a, b| a.1.0.cmp(&b.1.0).then(a.1.1.total_cmp(&b.1.1)));
        match best {
            Some((i, _)) => rows[i].verdict = Some(v),
            None => rows.push(Row { fault: None, verdict: Some(v) }),
        }
    }
    rows.sort_by(|a, b| a.begin_s().total_cmp(&b.begin_s()));
    rows
}

fn faults_and_verdicts(html: &mut String, report: &Report, twin: &Twin) {
    let of = |what: &str| -> Vec<&Happening> {
        report.happenings.iter().filter(|h| h.what == what && h.subject == twin.id).collect()
    };
    let (faults, verdicts) = (of("fault"), of("verdict"));
    if faults.is_empty() && verdicts.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"card\"><table><tr><th></th><th>injected</th><th class=\"n\">size</th><th class=\"n\">from – to</th>\
         <th>verdict</th><th class=\"n\">size found</th><th class=\"n\">onset off by</th><th class=\"n\">said after</th>\
         <th class=\"n\">probability</th></tr>\n",
    );
    let rows = pairs(&faults, &verdicts);
    for row in rows.iter().take(MOST_EVENTS) {
        pair(html, report, row, !faults.is_empty());
    }
    html.push_str("</table>");
    super::more(html, rows.len().saturating_sub(MOST_EVENTS) as u64);
    html.push_str("</div>\n");
}

fn pair(html: &mut String, report: &Report, row: &Row<'_>, any: bool) {
    let (class, word) = row.word(any);
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
