//! The page for people: one file, nothing from the network, light or dark as the reader likes it.

mod belief;
mod fleet;
mod life;
mod twin;

use super::{
    Happening, Report, escape,
    plot::{self, Plot},
    words::{clock, counted, figure, span, thousands},
};
use base64::{Engine, prelude::BASE64_STANDARD};
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
    failures(&mut html, report, plots);
    contents(&mut html, report);
    picture(&mut html, report);
    expectations(&mut html, report, plots);
    for twin in &report.twins {
        twin::section(&mut html, report, twin, plots);
    }
    fleet::sections(&mut html, report, plots);
    life::section(&mut html, report);
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
    let through = match report.broker.as_str() {
        "none" => "no broker".to_owned(),
        broker => format!("broker: {broker}"),
    };
    fact("messages", thousands(report.messages as f64), through);
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

/// What failed, before everything else: by how much, when, and where to look.
fn failures(html: &mut String, report: &Report, plots: &[Plot]) {
    for o in report.expectations.iter().filter(|o| !o.held()) {
        let (class, word) = chip(o.status);
        let mut facts = Vec::new();
        if o.margin.is_some() {
            facts.push(format!("margin <b>{}</b>", margin(o)));
        }
        if let Some(t) = o.worst_at_s {
            facts.push(format!("worst moment <b>{}</b>", clock(t)));
        }
        if let Some(worst) = &o.worst {
            facts.push(format!("at <b>{}</b>", escape(worst)));
        }
        facts.extend(place(report, o, plots).map(|to| format!("<a href=\"#{to}\">see it in its plot</a>")));
        let _ = writeln!(
            html,
            "<div class=\"card failure\"><span class=\"chip {class}\">{word}</span> <strong>{}</strong>\
             <p>{}</p><p class=\"claim\">{}</p></div>",
            escape(&o.name),
            facts.join(" · "),
            escape(&o.sentence)
        );
    }
}

/// The run as the desktop shows it.
fn picture(html: &mut String, report: &Report) {
    let Some(picture) = &report.picture else { return };
    let about = escape(&format!("{}, {}", clock(picture.at_s), picture.about));
    let data = BASE64_STANDARD.encode(&picture.png);
    let _ = writeln!(
        html,
        "<div class=\"card plot\"><img style=\"display:block;width:100%;height:auto\" alt=\"{about}\" \
         src=\"data:image/png;base64,{data}\"><p class=\"claim\">{about}</p></div>"
    );
}

/// Links to the parts of a long page.
fn contents(html: &mut String, report: &Report) {
    let twins = report.twins.iter().map(|t| (anchor(&t.id), format!("twin of {}", t.id)));
    let groups = report.groups.iter().map(|g| {
        let name = match g.devices {
            1 => g.member(0),
            n if !g.members.is_empty() && n <= 6 => g.id.clone(),
            n => format!("{} … {}", g.member(0), g.member(n - 1)),
        };
        (anchor(&g.id), name)
    });
    let all: Vec<String> = twins
        .chain(groups)
        .take(40)
        .map(|(to, name)| format!("<a href=\"#{to}\">{}</a>", escape(&name)))
        .collect();
    if all.len() > 1 {
        let _ = writeln!(html, "<nav>{}</nav>", all.join(" "));
    }
}

/// The id of the plot that shows an expectation's worst moment, or of the part of the page it is about.
fn place(report: &Report, o: &Outcome, plots: &[Plot]) -> Option<String> {
    let worst = o.worst.as_deref().unwrap_or_default();
    let drawn = |file: &String| plots.iter().any(|p| p.file == *file);
    if let Some(file) = plot::file_of(report, worst).filter(drawn) {
        return Some(anchor(&file));
    }
    let device = worst.split('/').next().unwrap_or_default();
    // A verdict or event that never came names nobody; its claim may.
    let about = |id: &str| device == id || o.claim.split([' ', '/']).any(|word| word == id);
    if let Some(twin) = report.twins.iter().find(|t| about(&t.id)) {
        let part = |name: &str| o.claim.contains(name);
        let output = twin.outputs.iter().find(|s| part(&s.name)).or(twin.outputs.first());
        let signal = output.map(|s| format!("{}/{}@estimate", twin.id, s.name)).unwrap_or_default();
        let file = plot::file_of(report, &signal).filter(drawn);
        return Some(anchor(file.as_deref().unwrap_or(&twin.id)));
    }
    report.groups.iter().find(|g| g.holds(device)).map(|g| anchor(&g.id))
}

fn chip(status: Status) -> (&'static str, &'static str) {
    match status {
        Status::Held => ("held", "held"),
        Status::Failed => ("failed", "failed"),
        Status::NoData => ("no_data", "no data"),
    }
}

fn expectations(html: &mut String, report: &Report, plots: &[Plot]) {
    if report.expectations.is_empty() {
        return;
    }
    html.push_str(
        "<h2>Expectations</h2>\n<div class=\"card\"><table><tr><th></th><th>expectation</th><th class=\"n\">margin</th>\
         <th class=\"n\">worst moment</th></tr>\n",
    );
    for outcome in &report.expectations {
        let (class, word) = chip(outcome.status);
        let claim = if outcome.name == outcome.claim { String::new() } else { escape(&outcome.claim) };
        let when = outcome.worst_at_s.map(clock).unwrap_or_default();
        let when = match place(report, outcome, plots) {
            Some(to) if !when.is_empty() => format!("<a href=\"#{to}\">{when}</a>"),
            _ => when,
        };
        let _ = writeln!(
            html,
            "<tr><td><span class=\"chip {class}\">{word}</span></td><td>{}<small>{claim}</small><small>{}</small></td>\
             <td class=\"n\">{}</td><td class=\"n\">{when}</td></tr>",
            escape(&outcome.name),
            escape(&outcome.sentence),
            margin(outcome),
        );
    }
    html.push_str("</table></div>\n");
}

fn margin(outcome: &Outcome) -> String {
    let Some(margin) = outcome.margin else { return "–".into() };
    let unit = unit_symbol(&outcome.unit);
    format!("{}{} {}", if margin > 0.0 { "+" } else { "" }, figure(margin), escape(unit))
        .trim_end()
        .to_owned()
}

/// A plot in its card, which links point to.
fn plot(html: &mut String, plot: &Plot) {
    let _ = writeln!(html, "<div class=\"card plot\" id=\"{}\">{}</div>", anchor(&plot.file), plot.inline());
}

/// The id of a section or plot within the page.
fn anchor(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    format!("p-{}", name.chars().map(safe).collect::<String>())
}

/// What a table leaves out.
fn more(html: &mut String, n: u64) {
    if n > 0 {
        let _ =
            write!(html, "<p class=\"more\">and {} more, which the record holds</p>", thousands(n as f64));
    }
}

/// What the events of a kind are called, one of them.
fn called(kind: &str) -> String {
    match kind {
        "dropped" => "dropped message".to_owned(),
        "bad_payload" => "payload refused".to_owned(),
        other => other.replace('_', " "),
    }
}

fn events(html: &mut String, report: &Report) {
    let mut kinds: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
    for h in &report.happenings {
        kinds.entry(&h.what).or_default().push(h);
    }
    if !kinds.is_empty() {
        html.push_str("<h2>What happened</h2>\n<div class=\"card\">");
    }
    for (kind, all) in &kinds {
        let _ = writeln!(
            html,
            "<details><summary>{}</summary><table>",
            escape(&counted(all.len() as u64, &called(kind)))
        );
        for h in all.iter().take(MOST_EVENTS) {
            let to = h.to_s.map(|t| format!(" – {}", clock(t))).unwrap_or_default();
            let part = if h.part.is_empty() { String::new() } else { format!("/{}", h.part) };
            let size = if matches!(*kind, "fault" | "verdict") { report.size_of(h) } else { None };
            let size = size.map_or(String::new(), |s| format!(" {s}"));
            let _ = writeln!(
                html,
                "<tr><td class=\"n\">{}{to}</td><td>{}</td><td>{}{}</td></tr>",
                clock(h.from_s),
                escape(&format!("{}{part}", h.subject)),
                escape(&format!("{}{size}", h.detail)),
                because(&h.cause)
            );
        }
        html.push_str("</table>");
        more(html, all.len().saturating_sub(MOST_EVENTS) as u64);
        html.push_str("</details>");
    }
    if !kinds.is_empty() {
        more(html, report.events_left_out);
        html.push_str("</div>\n");
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

/// What led to an event, as a note beside it.
fn because(cause: &str) -> String {
    let Some((what, when)) = cause.rsplit_once('@') else { return String::new() };
    let text = match when.parse::<f64>() {
        Ok(ns) => format!("{what} at {}", clock(ns * 1e-9)),
        Err(_) => what.to_owned(),
    };
    format!(" <small>because of {}</small>", escape(&text))
}

fn foot(html: &mut String, report: &Report) {
    let swatch = |color: &str| format!("<span class=\"swatch\" style=\"background:var(--{color})\"></span>");
    let _ = write!(
        html,
        "<footer><p>How to read it:{}physical device{}twin{}injected fault{}verdict of the twin. A forecast is drawn at the \
         time that it speaks of; shaded ranges hold every value of the stretch of time that a pixel covers; of many devices, \
         the darker range is the middle 80 %. A margin is how far the worst moment was from breaking an expectation (+) or \
         beyond it (−). Times are simulated, since the start of the run, in h:mm:ss. Point at a bar or a circle to read \
         more.</p>",
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
