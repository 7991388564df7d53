//! report.html, report.json and junit.xml of a load.

use super::result::Result as LoadResult;
use crate::report::{
    self, Report, ReportError, escape,
    plot::{self, Plot},
    words::{figure, thousands},
};
use std::{fmt::Write, path::Path};
use twinfleet_engine::{
    aside,
    expect::{Outcome, Status},
};
use twinfleet_twins::load::judge;

/// What is written.
pub const FILES: [&str; 3] = ["report.html", "report.json", "junit.xml"];

/// Writes the three files.
pub fn write(result: &LoadResult, dir: &Path) -> Result<(), ReportError> {
    let texts = [page(result), result.json(), report::junit_xml(&as_report(result))];
    for (name, text) in FILES.iter().zip(texts) {
        let path = dir.join(name);
        aside::write_whole(&path, text).map_err(|source| ReportError::Io { path, source })?;
    }
    Ok(())
}

/// Thresholds as expectations; a measurement that is none fails by itself.
fn as_report(result: &LoadResult) -> Report {
    let outcome = |o: &judge::Outcome| Outcome {
        name: o.claim.clone(),
        claim: o.claim.clone(),
        status: match o.held {
            Some(true) => Status::Held,
            Some(false) => Status::Failed,
            None => Status::NoData,
        },
        margin: o.held.map(|_| o.margin),
        unit: o.unit.clone(),
        worst_at_s: None,
        worst: None,
        worst_value: None,
        judged: 1,
        against: u64::from(o.held == Some(false)),
        sentence: o.measured.clone(),
    };
    let mut expectations: Vec<Outcome> = result.outcomes.iter().map(outcome).collect();
    let valid = judge::Outcome {
        claim: "the load generator is not the limit".to_owned(),
        held: Some(result.accusations().is_empty()),
        measured: result.accusations().first().map_or_else(|| "it was not".to_owned(), |a| a.text.clone()),
        margin: 0.0,
        unit: String::new(),
    };
    expectations.push(outcome(&valid));
    Report {
        scenario: result.scenario.clone(),
        about: result.about.clone(),
        seed: result.seed,
        replay: result.replay.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall_s: result.wall_s,
        expectations,
        error: (!result.finished && result.accusations().is_empty())
            .then(|| "stopped before its end: its thresholds were not judged".to_owned()),
        ..Report::default()
    }
}

fn page(r: &LoadResult) -> String {
    let mut html = String::new();
    let title = escape(&format!("{} · {}", r.headline(), r.scenario));
    let (style, page) = (report::STYLE, report::PAGE);
    // Writing into a string cannot fail.
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>\n{style}{page}</style></head><body><main>\n"
    );
    head(&mut html, r);
    thresholds(&mut html, r);
    plots(&mut html, r);
    times(&mut html, r);
    trials(&mut html, r);
    findings(&mut html, r);
    reasons(&mut html, r);
    counters(&mut html, r);
    let _ = writeln!(
        html,
        "<footer><p>Latency counts from the instant that a message was meant for to its arrival at a subscriber; service \
         time from when it was written; publish delay is the way between the two. What was never sent, or never came, counts with the \
         time for which it was waited. Messages are attributed to the stage they \
         were meant for.</p><p>twinfleet {}</p></footer></main></body></html>",
        env!("CARGO_PKG_VERSION")
    );
    html
}

fn head(html: &mut String, r: &LoadResult) {
    let class = if r.exit() as u8 == 0 { "good" } else { "bad" };
    let _ = write!(
        html,
        "<div class=\"brand\">Twinfleet · {}</div>\n<h1 class=\"{class}\">{}</h1>\n<p class=\"about\">{}</p>\n<dl class=\"facts\">",
        escape(&r.scenario),
        escape(&r.headline()),
        escape(&r.about)
    );
    let v = &r.verdict;
    let facts = [
        ("broker", r.broker.clone()),
        ("connections", thousands(r.tally.counts.connected as f64)),
        ("planned", thousands(v.planned as f64)),
        ("never sent", thousands(v.never_sent as f64)),
        ("sent", format!("{} ({}/s)", thousands(v.sent as f64), thousands(r.sent_per_s().round()))),
        ("deliveries", format!("{} of {}", thousands(v.received as f64), thousands(v.expected as f64))),
        ("lost", v.lost.to_string()),
        ("duplicated", v.duplicated.to_string()),
        ("reordered", v.reordered.to_string()),
        ("breaches", v.breaches.to_string()),
        ("seed", r.seed.to_string()),
    ];
    for (name, value) in facts {
        let _ = write!(html, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
    }
    html.push_str("</dl>\n");
    for accusation in r.accusations() {
        let _ = writeln!(
            html,
            "<div class=\"card failure\"><span class=\"chip failed\">invalid</span> <strong>not a measurement of the broker</strong>\
             <p>{}</p></div>",
            escape(&accusation.text)
        );
    }
    if !r.replay.is_empty() {
        let _ = writeln!(html, "<p class=\"replay\">run it again: <code>{}</code></p>", escape(&r.replay));
    }
}

fn thresholds(html: &mut String, r: &LoadResult) {
    if r.outcomes.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Thresholds</h2>\n<div class=\"card\"><table><tr><th></th><th>threshold</th><th>measured</th>\
         <th class=\"n\">margin</th></tr>\n",
    );
    for o in &r.outcomes {
        let (class, word) = match o.held {
            Some(true) => ("held", "held"),
            Some(false) => ("failed", "failed"),
            None => ("no_data", "no data"),
        };
        let _ = writeln!(
            html,
            "<tr><td><span class=\"chip {class}\">{word}</span></td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            escape(&o.claim),
            escape(&o.measured),
            margin(o)
        );
    }
    html.push_str("</table></div>\n");
}

/// By how much a threshold held (+) or failed; at its very bound, 0.
fn margin(o: &judge::Outcome) -> String {
    if o.held.is_none() {
        return "–".to_owned();
    }
    let sign = if o.margin > 0.0 { "+" } else { "" };
    format!("{sign}{} {}", figure(o.margin), escape(&o.unit)).trim_end().to_owned()
}

fn plots(html: &mut String, r: &LoadResult) {
    let course = &r.tally.course;
    let stretch_s = course.stretch_ns as f64 * 1e-9;
    let stretches = course.sent.len().max(course.received.len());
    let rate = |counts: &[u64]| -> Vec<(f64, f64)> {
        let per_s = |i: usize| counts.get(i).copied().unwrap_or(0) as f64 / stretch_s;
        (0..stretches).map(|i| ((i as f64 + 0.5) * stretch_s, per_s(i))).collect()
    };
    let end_s = r.length_s.max(course.end_s()).max(1e-3);
    let [half, most, largest] = course.latencies([0.5, 0.99, 1.0]);
    let all: [Plot; 2] = [
        plot::lines(
            "messages a second",
            "1/s",
            "load-rate",
            end_s,
            &[("c0", "sent", rate(&course.sent)), ("c1", "received", rate(&course.received))],
            &r.happenings,
        ),
        plot::lines(
            "latency from the intended instant",
            "ms",
            "load-latency",
            end_s,
            &[("c0", "median", half), ("c1", "99 %", most), ("c3", "largest", largest)],
            &r.happenings,
        ),
    ];
    html.push_str("<h2>Over time</h2>\n");
    for p in &all {
        let _ = writeln!(html, "<div class=\"card plot\">{}</div>", p.inline());
    }
}

fn times(html: &mut String, r: &LoadResult) {
    html.push_str(
        "<h2>Times [ms]</h2>\n<div class=\"card\"><table><tr><th></th><th class=\"n\">QoS</th><th>stage</th>\
         <th class=\"n\">count</th><th class=\"n\">p50</th><th class=\"n\">p90</th><th class=\"n\">p99</th>\
         <th class=\"n\">p99.9</th><th class=\"n\">max</th></tr>\n",
    );
    for row in &r.rows {
        let stage = row.stage.map_or("all".to_owned(), |s| format!("{s} {}", row.stage_kind));
        let qos = row.qos.map_or(String::new(), |q| q.to_string());
        let p = &row.at;
        let _ = write!(
            html,
            "<tr><td>{}</td><td class=\"n\">{qos}</td><td>{stage}</td><td class=\"n\">{}</td>",
            row.of,
            thousands(p.count as f64)
        );
        for ms in [p.p50_ms, p.p90_ms, p.p99_ms, p.p999_ms, p.max_ms] {
            let _ = write!(html, "<td class=\"n\">{ms:.2}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

fn trials(html: &mut String, r: &LoadResult) {
    if r.trials.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Search</h2>\n<div class=\"card\"><table><tr><th></th><th class=\"n\">rate</th><th class=\"n\">planned/s</th>\
         <th class=\"n\">received/s</th><th class=\"n\">p99 [ms]</th><th>why</th></tr>\n",
    );
    for t in &r.trials {
        let (class, word) = match (t.valid, t.held) {
            (false, _) => ("no_data", "invalid"),
            (_, true) => ("held", "held"),
            (_, false) => ("failed", "failed"),
        };
        let _ = writeln!(
            html,
            "<tr><td><span class=\"chip {class}\">{word}</span> {}</td><td class=\"n\">{:.3}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{:.2}</td><td>{}</td></tr>",
            t.kind,
            t.rate,
            thousands(t.planned_per_s.round()),
            thousands(t.received_per_s.round()),
            t.p99_ms,
            escape(&t.why)
        );
    }
    html.push_str("</table></div>\n");
}

fn findings(html: &mut String, r: &LoadResult) {
    if r.verdict.findings.is_empty() {
        return;
    }
    html.push_str(
        "<h2>What the oracle found</h2>\n<div class=\"card\"><table><tr><th></th><th>what</th><th>device</th>\
         <th>topic</th><th>subscriber</th><th class=\"n\">QoS</th><th class=\"n\">count</th><th>which</th></tr>\n",
    );
    for f in &r.verdict.findings {
        let (class, word) = if f.breach { ("failed", "breach") } else { ("no_data", "allowed") };
        let _ = writeln!(
            html,
            "<tr><td><span class=\"chip {class}\">{word}</span></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
            escape(f.what.word()),
            escape(&f.device),
            escape(&f.topic),
            escape(&f.subscriber),
            f.qos,
            f.count,
            escape(&f.which)
        );
    }
    html.push_str("</table></div>\n");
}

/// Why connections were lost or refused, if any were, and what else did not go as it was meant to.
fn reasons(html: &mut String, r: &LoadResult) {
    if r.tally.reasons.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Connections lost or refused, and what else went wrong</h2>\n<div class=\"card\"><table>\n",
    );
    for (reason, n) in r.reasons() {
        let _ = writeln!(html, "<tr><td>{}</td><td class=\"n\">{n}</td></tr>", escape(reason));
    }
    html.push_str("</table></div>\n");
}

fn counters(html: &mut String, r: &LoadResult) {
    html.push_str("<h2>Counters</h2>\n<div class=\"card\"><table>\n");
    if let Ok(serde_json::Value::Object(map)) = serde_json::to_value(r.tally.counts) {
        for (name, n) in map {
            let _ = writeln!(
                html,
                "<tr><td>{}</td><td class=\"n\">{n}</td></tr>",
                escape(&name.replace('_', " "))
            );
        }
    }
    let _ = writeln!(
        html,
        "<tr><td>generator: lag p99 [ms]</td><td class=\"n\">{:.2}</td></tr>\
         <tr><td>generator: busiest worker [% of a core]</td><td class=\"n\">{:.1}</td></tr>\
         <tr><td>generator: CPU a message [µs]</td><td class=\"n\">{:.2}</td></tr></table></div>",
        r.lag_p99_ms,
        r.busy() * 100.0,
        r.cpu_us()
    );
}
