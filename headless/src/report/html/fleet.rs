//! The groups' part of the page: what befell them, least, mean and largest values, and plots.

use super::super::{
    Group, GroupChannel, Happening, Report, escape,
    plot::Plot,
    words::{clock, counted, figure, thousands},
};
use std::fmt::Write;
use twinfleet_engine::expect::unit_symbol;

/// Faults of a group that are listed before the rest is counted.
const MOST_FAULTS: usize = 40;

pub(super) fn sections(html: &mut String, report: &Report, plots: &[Plot]) {
    for group in &report.groups {
        let last = group.devices.saturating_sub(1);
        let name = match (group.devices, group.members.is_empty()) {
            (1, _) => group.member(0),
            (n, false) if n > 12 => format!("{} … {}", group.member(0), group.member(last)),
            (_, false) => group.id.clone(),
            _ => format!("{} … {}", group.member(0), group.member(last)),
        };
        let many = match (group.devices, group.members.is_empty()) {
            (1, _) => String::new(),
            (n, true) => format!("<small>{}</small>", counted(u64::from(n), "device")),
            (n, false) => format!("<small>{} with the same signals</small>", thousands(f64::from(n))),
        };
        let id = super::anchor(&group.id);
        let _ = writeln!(html, "<h2 id=\"{id}\">{}{many}</h2>", escape(&name));
        faults(html, report, group);
        table(html, group);
        let _ = writeln!(html, "<div class=\"two\">");
        for plot in plots.iter().filter(|p| p.of == group.id) {
            super::plot(html, plot);
        }
        html.push_str("</div>\n");
    }
}

/// What was injected into its devices. Nobody follows them, so nobody says anything of it.
fn faults(html: &mut String, report: &Report, group: &Group) {
    let of = |h: &&Happening| matches!(h.what.as_str(), "fault" | "disturbance") && group.holds(&h.subject);
    let all: Vec<&Happening> = report.happenings.iter().filter(of).collect();
    if all.is_empty() {
        return;
    }
    html.push_str(
        "<div class=\"card\"><table><tr><th>injected</th><th>into</th><th class=\"n\">size</th>\
         <th class=\"n\">from – to</th></tr>\n",
    );
    for h in all.iter().take(MOST_FAULTS) {
        let part = if h.part.is_empty() { String::new() } else { format!("/{}", h.part) };
        let (what, size) = match h.what.as_str() {
            "fault" => (h.detail.clone(), report.size_of(h).unwrap_or("–".into())),
            _ => (h.what.clone(), h.detail.clone()),
        };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{} – {}</td></tr>",
            escape(&what),
            escape(&format!("{}{part}", h.subject)),
            escape(&size),
            clock(h.from_s),
            h.to_s.map_or("the end".to_owned(), clock)
        );
    }
    html.push_str("</table>");
    super::more(html, all.len().saturating_sub(MOST_FAULTS) as u64);
    html.push_str("</div>\n");
}

fn table(html: &mut String, group: &Group) {
    html.push_str(
        "<div class=\"card\"><table><tr><th>signal</th><th class=\"n\">min</th><th class=\"n\">mean</th>\
         <th class=\"n\">max</th><th>unit</th><th class=\"n\">values</th></tr>\n",
    );
    for c in &group.channels {
        let whose = |of: &str| match group.devices {
            1 => String::new(),
            _ if c.is_constant() => String::new(),
            _ => format!("<small>{}</small>", escape(of)),
        };
        let mean = if c.is_constant() { "constant".to_owned() } else { figure(c.mean) };
        let _ = writeln!(
            html,
            "<tr><td>{}<small>{}{}</small></td><td class=\"n\">{}{}</td><td class=\"n\">{mean}</td>\
             <td class=\"n\">{}{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            escape(&c.name),
            escape(&c.kind),
            seen(group, c),
            figure(c.min),
            whose(&c.min_of),
            figure(c.max),
            whose(&c.max_of),
            escape(unit_symbol(&c.unit)),
            thousands(c.rows as f64)
        );
    }
    html.push_str("</table></div>\n");
}

/// How many devices gave values, where not all did.
fn seen(group: &Group, c: &GroupChannel) -> String {
    if c.devices == group.devices {
        return String::new();
    }
    format!(", {} of {} seen", thousands(f64::from(c.devices)), thousands(f64::from(group.devices)))
}
