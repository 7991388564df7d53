//! The page for people: one file, nothing from the network, light or dark as the reader likes it.

use super::{Group, Happening, Report, Score, Twin, escape, plot::Plot};
use std::{collections::BTreeMap, fmt::Write};
use twinfleet_engine::expect::{Outcome, Status, unit_symbol};

/// Events listed one by one; the rest is counted.
const MOST_EVENTS: usize = 300;

/// The report as a page.
pub(super) fn page(report: &Report, plots: &[Plot]) -> String {
    let mut html = String::new();
    let title = escape(&format!("{} · {}", report.headline(), report.scenario));
    let (style, page) = (include_str!("style.css"), include_str!("page.css"));
    // Writing into a string cannot fail.
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>\n{style}{page}</style></head><body><main>\n"
    );
    head(&mut html, report);
    expectations(&mut html, report);
    for twin in &report.twins {
        twin_section(&mut html, report, twin, plots);
    }
    fleet(&mut html, report, plots);
    events(&mut html, report);
    foot(&mut html, report);
    html.push_str("</main></body></html>\n");
    html
}

fn head(html: &mut String, report: &Report) {
    let class = match (report.expectations.is_empty(), report.held()) {
        (true, _) => "none",
        (_, true) => "good",
        _ => "bad",
    };
    let _ = write!(
        html,
        "<div class=\"brand\">Twinfleet · {}</div>\n<h1 class=\"{class}\">{}</h1>\n<p class=\"about\">{}</p>\n",
        escape(&report.scenario),
        escape(&report.headline()),
        escape(&report.about)
    );
    html.push_str("<dl class=\"facts\">");
    let mut fact = |name: &str, value: String, note: String| {
        let note = if note.is_empty() { note } else { format!("<small>{}</small>", escape(&note)) };
        let _ = write!(html, "<div><dt>{name}</dt><dd>{}{note}</dd></div>", escape(&value));
    };
    let stopped = if report.finished { String::new() } else { format!("of {}", span(report.duration_s)) };
    fact("simulated", span(report.simulated_s), stopped);
    if report.wall_s > 0.0 {
        let times = format!("{}× real time", thousands(report.simulated_s / report.wall_s));
        fact("took", format!("{:.2} s", report.wall_s), times);
    }
    fact("messages", thousands(report.messages as f64), report.broker.clone());
    if report.devices > 0 {
        fact("simulated devices", thousands(f64::from(report.devices)), String::new());
    }
    if !report.twins.is_empty() {
        fact("twins", report.twins.len().to_string(), String::new());
    }
    fact("seed", report.seed.to_string(), String::new());
    html.push_str("</dl>\n");
    if !report.finished {
        let _ = writeln!(
            html,
            "<p class=\"about\">The run was stopped at {}, before its end; everything below is of the part that ran.</p>",
            span(report.simulated_s)
        );
    }
    let _ = writeln!(html, "<p class=\"replay\">run it again: <code>{}</code></p>", escape(&report.replay));
}

fn expectations(html: &mut String, report: &Report) {
    if report.expectations.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Expectations</h2>\n<div class=\"card\"><table><tr><th></th><th>expectation</th><th class=\"n\">margin</th>\
         <th class=\"n\">worst moment</th></tr>\n",
    );
    for outcome in &report.expectations {
        let (chip, word) = match outcome.status {
            Status::Held => ("held", "held"),
            Status::Failed => ("failed", "failed"),
            Status::NoData => ("no_data", "no data"),
        };
        let claim = if outcome.name == outcome.claim { String::new() } else { escape(&outcome.claim) };
        let _ = writeln!(
            html,
            "<tr><td><span class=\"chip {chip}\">{word}</span></td><td>{}<small>{claim}</small><small>{}</small></td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&outcome.name),
            escape(&outcome.sentence),
            margin(outcome),
            outcome.worst_at_s.map(clock).unwrap_or_default()
        );
    }
    html.push_str("</table></div>\n");
}

fn margin(outcome: &Outcome) -> String {
    let Some(margin) = outcome.margin else { return "–".into() };
    let unit = unit_symbol(&outcome.unit);
    format!("{}{} {}", if margin > 0.0 { "+" } else { "" }, figure(margin).replace('-', "−"), escape(unit))
}

fn twin_section(html: &mut String, report: &Report, twin: &Twin, plots: &[Plot]) {
    let thing =
        if twin.thing.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&twin.thing)) };
    let _ = writeln!(html, "<h2>Twin of {}{thing}</h2>", escape(&twin.id));
    faults_and_verdicts(html, report, twin);
    scores(html, &twin.scores, twin);
    for plot in plots.iter().filter(|p| p.of == twin.id) {
        let _ = writeln!(html, "<div class=\"card plot\">{}</div>", plot.inline());
    }
}

/// What was injected, and what the twin said of it.
fn faults_and_verdicts(html: &mut String, report: &Report, twin: &Twin) {
    let of = |what: &str| -> Vec<&Happening> {
        report.happenings.iter().filter(|h| h.what == what && h.subject == twin.id).collect()
    };
    let (faults, verdicts) = (of("fault"), of("verdict"));
    if faults.is_empty() && verdicts.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"card\"><table><tr><th></th><th>kind</th><th>part</th><th class=\"n\">from</th>\
         <th class=\"n\">to</th><th class=\"n\">said after</th><th class=\"n\">size, posterior</th></tr>\n",
    );
    let mut all: Vec<&Happening> = faults.iter().chain(&verdicts).copied().collect();
    all.sort_by(|a, b| a.from_s.total_cmp(&b.from_s).then(a.what.cmp(&b.what)));
    for h in all.into_iter().take(MOST_EVENTS) {
        let (chip, word) = if h.what == "fault" { ("no_data", "injected") } else { ("failed", "verdict") };
        // The latest fault of the part that had begun by then is what a verdict speaks of.
        let cause = faults.iter().rev().find(|f| {
            let standing = f.from_s <= h.from_s && f.to_s.is_none_or(|end| h.from_s <= end + 60.0);
            h.what == "verdict" && standing && (f.part == h.part || f.part.is_empty())
        });
        let after = cause.map(|f| span(h.decided_at_s.unwrap_or(h.from_s) - f.from_s)).unwrap_or_default();
        let value = if h.what == "verdict" {
            let size = h.size.map_or_else(String::new, |s| format!("{}, ", figure(s)));
            format!("{size}{} %", figure(h.value * 100.0))
        } else if h.value == 0.0 {
            "–".into()
        } else {
            figure(h.value)
        };
        let _ = writeln!(
            html,
            "<tr><td><span class=\"chip {chip}\">{word}</span></td><td>{}</td><td>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{after}</td><td class=\"n\">{value}</td></tr>",
            escape(&h.detail),
            escape(&h.part),
            clock(h.from_s),
            h.to_s.map_or("–".into(), clock)
        );
    }
    html.push_str("</table></div>\n");
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

fn fleet(html: &mut String, report: &Report, plots: &[Plot]) {
    for group in &report.groups {
        let last = group.devices.saturating_sub(1).to_string();
        let name = match group.devices {
            1 => group.id.replace("{}", "0"),
            _ => format!("{} … {}", group.id.replace("{}", "0"), group.id.replace("{}", &last)),
        };
        let many = if group.devices == 1 { "device" } else { "devices" };
        let _ = writeln!(
            html,
            "<h2>{}<small>{} {many}</small></h2>",
            escape(&name),
            thousands(f64::from(group.devices))
        );
        group_table(html, group);
        let _ = writeln!(html, "<div class=\"two\">");
        for plot in plots.iter().filter(|p| p.of == group.id) {
            let _ = writeln!(html, "<div class=\"card plot\">{}</div>", plot.inline());
        }
        html.push_str("</div>\n");
    }
}

fn group_table(html: &mut String, group: &Group) {
    html.push_str(
        "<div class=\"card\"><table><tr><th>signal</th><th class=\"n\">min</th><th class=\"n\">mean</th>\
         <th class=\"n\">max</th><th>unit</th><th class=\"n\">devices seen</th><th class=\"n\">values</th></tr>\n",
    );
    for c in &group.channels {
        let _ = writeln!(
            html,
            "<tr><td>{}@{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&c.name),
            escape(&c.kind),
            figure(c.min).replace('-', "−"),
            figure(c.mean).replace('-', "−"),
            figure(c.max).replace('-', "−"),
            escape(unit_symbol(&c.unit)),
            c.devices,
            thousands(c.rows as f64)
        );
    }
    html.push_str("</table></div>\n");
}

fn events(html: &mut String, report: &Report) {
    if !report.happenings.is_empty() {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for h in &report.happenings {
            *counts.entry(&h.what).or_default() += 1;
        }
        let words: Vec<String> = counts
            .iter()
            .map(|(what, n)| {
                format!(
                    "{} {}{}",
                    thousands(*n as f64),
                    what.replace('_', " "),
                    if *n == 1 || what.ends_with('s') { "" } else { "s" }
                )
            })
            .collect();
        let _ = write!(
            html,
            "<h2>What happened<small>{}</small></h2>\n<div class=\"card\"><details><summary>one by one</summary><table>\n",
            escape(&words.join(" · "))
        );
        for h in report.happenings.iter().take(MOST_EVENTS) {
            let to = h.to_s.map(|t| format!(" – {}", clock(t))).unwrap_or_default();
            let part = if h.part.is_empty() { String::new() } else { format!("/{}", h.part) };
            let _ = writeln!(
                html,
                "<tr><td class=\"n\">{}{to}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                clock(h.from_s),
                escape(&h.what),
                escape(&format!("{}{part}", h.subject)),
                escape(&h.detail)
            );
        }
        html.push_str("</table>");
        let more = report.happenings.len().saturating_sub(MOST_EVENTS) as u64 + report.events_left_out;
        if more > 0 {
            let _ = write!(html, "<p>and {} more, which the record holds</p>", thousands(more as f64));
        }
        html.push_str("</details></div>\n");
    }
    if !report.counters.is_empty() {
        html.push_str("<h2>Counters</h2>\n<div class=\"card\"><details><summary>all</summary><table>\n");
        for (name, n) in &report.counters {
            let name = escape(&name.replace('_', " "));
            let _ = writeln!(html, "<tr><td>{name}</td><td class=\"n\">{}</td></tr>", thousands(*n as f64));
        }
        html.push_str("</table></details></div>\n");
    }
}

fn foot(html: &mut String, report: &Report) {
    let swatch = |color: &str| format!("<span class=\"swatch\" style=\"background:var(--{color})\"></span>");
    let _ = write!(
        html,
        "<footer><p>How to read it:{}physical device{}twin{}injected fault{}verdict of the twin. A forecast is drawn at the \
         time that it speaks of; shaded ranges hold every value of the stretch of time that a pixel covers. A margin is \
         how far the worst moment was from breaking an expectation (+) or beyond it (−). Times are simulated, since the start \
         of the run, in h:mm:ss.</p>",
        swatch("physical"),
        swatch("twin"),
        swatch("fault"),
        swatch("verdict")
    );
    if report.rows_left_out > 0 {
        let n = thousands(report.rows_left_out as f64);
        let _ = write!(
            html,
            "<p>{n} values of further signals are not part of this page; the record holds them.</p>"
        );
    }
    let state = report
        .state_hash
        .as_ref()
        .map(|h| format!(" · state hash <code>{}</code>", escape(h)))
        .unwrap_or_default();
    let _ = writeln!(html, "<p>twinfleet {}{state}</p></footer>", escape(&report.version));
}

/// `h:mm:ss`, with days where there are some and tenths where there are.
fn clock(t_s: f64) -> String {
    let tenths = (t_s * 10.0).round() as i64;
    let (t, tenth) = (tenths / 10, tenths % 10);
    let (d, h, m, s) = (t / 86_400, t / 3600 % 24, t / 60 % 60, t % 60);
    let days = if d > 0 { format!("{d} d ") } else { String::new() };
    let tenth = if tenth > 0 { format!(".{tenth}") } else { String::new() };
    format!("{days}{h}:{m:02}:{s:02}{tenth}")
}

/// A length of time in its two largest units.
fn span(s: f64) -> String {
    if s < 60.0 {
        return format!("{} s", figure(s));
    }
    let t = s.round() as i64;
    let parts = [(t / 86_400, "d"), (t / 3600 % 24, "h"), (t / 60 % 60, "min"), (t % 60, "s")];
    let from = parts.iter().position(|p| p.0 > 0).unwrap_or(3);
    let words: Vec<String> =
        parts[from..].iter().take(2).filter(|p| p.0 > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    words.join(" ")
}

/// Four significant digits at most, without trailing zeros.
fn figure(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return if v == 0.0 { "0".into() } else { "–".into() };
    }
    let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{v:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        thousands(v)
    }
}

/// A whole number in groups of three digits.
fn thousands(v: f64) -> String {
    let digits = format!("{:.0}", v.abs());
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    if v < 0.0 { format!("-{out}") } else { out }
}
