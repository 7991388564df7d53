//! What is wrong: twins' verdicts and detectors' alarms with their evidence, beside what was put in.

use super::{
    desk::Desk,
    theme::{ink, scrolled, weak},
};
use crate::{
    sim::{
        left::Left,
        spell::{ALARM, Class, SET, Spell},
    },
    stage::{
        halos::class_color,
        overlay::{color32, says},
        show::{Picked, Shown},
    },
    units::{clock, number, time},
};
use egui::Ui;
use twinfleet_engine::{diagnose::Said, time::SimTime, world::Event};

/// Lines of a panel at most.
const MOST: usize = 200;

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk, left: &Left) {
    let Some(shown) = desk.shown.clone() else { return };
    let now = shown.t;
    let mut spells: Vec<&Spell> = left.spells.0.iter().filter(|s| s.from <= now).collect();
    spells.sort_by_key(|s| {
        (std::cmp::Reverse(s.holds(now)), std::cmp::Reverse(s.class), std::cmp::Reverse(s.from))
    });
    if spells.is_empty() {
        ui.label(weak("Nothing is wrong so far."));
        return;
    }
    scrolled(ui, |ui| {
        for spell in spells.iter().take(MOST) {
            let holds = spell.holds(now);
            let color = ink(ui, color32(class_color(spell.class)));
            // What was put in says so itself.
            let who = match spell.class {
                Class::Alarm => "  [twin]",
                Class::Injected => "",
                Class::Outage => "  [device]",
            };
            let title = format!("{} {}: {}{who}", if holds { "●" } else { "○" }, spell.subject, says(spell));
            let title =
                egui::RichText::new(title).color(if holds { color } else { ui.visuals().weak_text_color() });
            egui::CollapsingHeader::new(title)
                .id_salt((spell.class as u8, &spell.subject, &spell.part, &spell.what, spell.from.0))
                .default_open(holds && spell.class == Class::Alarm)
                .show(ui, |ui| {
                    evidence(ui, desk, &shown, left, spell);
                });
        }
        if spells.len() > MOST {
            ui.label(weak(format!("and {} more", spells.len() - MOST)));
        }
    });
}

fn evidence(ui: &mut Ui, desk: &mut Desk, shown: &Shown, left: &Left, spell: &Spell) {
    let until = spell.until.map_or("still".to_owned(), |t| format!("until {}", time(t)));
    ui.label(format!("from {}, {until}", time(spell.from)));
    // A verdict comes with the figures that it was judged by, told in an event beside it.
    let beside: Vec<&Event> = left
        .events
        .iter()
        .filter(|e| {
            e.t == spell.from
                && e.subject == spell.subject
                && e.kind != "verdict"
                && (e.part == spell.part || e.part.is_empty())
        })
        .collect();
    let said = beside.iter().filter_map(|e| said(e)).find(|s| s.kind == spell.what);
    let figures = match (said, spell.class) {
        (Some(said), _) => Some(judged(shown, &said)),
        // A detector's alarm has a score, which its sentence says.
        (None, Class::Alarm) if spell.what == ALARM => None,
        (None, Class::Alarm) => Some(format!("posterior {:.3}", spell.value)),
        // What was set says so itself.
        (None, _) if spell.value == 0.0 || spell.what == SET => None,
        // Of an outage, how many: its sentence says what.
        (None, Class::Outage) => Some(format!("so many: {:.0}", spell.value)),
        (None, Class::Injected) => Some(format!("size {}", sized(shown, spell.value, &spell.unit))),
    };
    if let Some(figures) = figures {
        ui.label(figures);
    }
    for event in beside.iter().filter(|e| self::said(e).is_none()).take(6) {
        ui.label(weak(format!("{}: {}", event.kind.replace('_', " "), detail(shown, event))));
    }
    if !spell.cause.is_empty() {
        ui.label(format!("because of {}", because(&spell.cause)));
    }
    let truths = left.spells.0.iter().filter(|s| {
        s.class == Class::Injected
            && spell.class == Class::Alarm
            && s.subject == spell.subject
            && s.from <= spell.from
            && s.until.is_none_or(|u| u >= spell.from)
    });
    // Of several, what concerns the same part, and of these the latest.
    let truth = truths.max_by_key(|s| (s.part == spell.part, s.from));
    if let Some(truth) = truth {
        let after = clock((spell.from - truth.from).as_secs_f64());
        ui.label(weak(format!("{} was put in {after} before", truth.what.replace('_', " "))));
    }
    ui.horizontal(|ui| {
        if ui.small_button("go to its start").clicked() {
            desk.go_to(spell.from);
        }
        let device = shown.fleet.find(&spell.subject);
        if let (Some(device), true) = (device, ui.small_button("look").clicked()) {
            desk.pick(Some(Picked::Device(device)));
            desk.frame(Some(Picked::Device(device)));
        }
    });
}

/// What a diagnosis says.
fn said(e: &Event) -> Option<Said> {
    Said::from_detail(&e.subject, &e.part, &e.detail).filter(|_| e.kind == "diagnosis")
}

/// An event's detail as people read it.
pub(super) fn detail(shown: &Shown, event: &Event) -> String {
    match said(event) {
        Some(said) => format!("{}: {}", said.kind, judged(shown, &said)),
        None if event.with.is_empty() => event.detail.clone(),
        None => format!("{} with {}", event.detail, event.with),
    }
}

/// A verdict's figures, rounded, with their units.
fn judged(shown: &Shown, said: &Said) -> String {
    let mut text = format!("since {}, named at {}", clock(said.onset_s), clock(said.decided_at_s));
    let twin = shown.fleet.find(&said.subject).and_then(|d| shown.fleet.devices[d].twin);
    let pair = twin.and_then(|t| shown.fleet.pairs(t).iter().find(|p| p.name == said.part));
    // What happens to a thing itself has a size in no unit of a signal.
    let rise = |per: &str| {
        pair.map_or_else(String::new, |p| format!(", size {}{per}", shown.units.rise(said.size, &p.unit)))
    };
    text += &match said.kind.as_str() {
        "clock_skew" => format!(", size {} ppm", number(said.size)),
        "gain" => format!(", factor {}", number(said.size)),
        "drift" => rise("/h"),
        _ if said.size == 0.0 || !said.size.is_finite() => String::new(),
        _ => rise(""),
    };
    text + &format!(", posterior {:.3}", said.posterior)
}

/// A spell's figure with its unit; of temperatures, a difference.
fn sized(shown: &Shown, value: f64, unit: &str) -> String {
    match unit.strip_suffix("/h") {
        Some(unit) => format!("{}/h", shown.units.rise(value, unit)),
        None if unit == "delta_K" => shown.units.rise(value, unit),
        None => shown.units.figure(value, unit),
    }
}

/// A cause as people read it: `pi-1/fault_start@1800000000000` is the fault start of pi-1 at 30:00.
pub(super) fn because(cause: &str) -> String {
    let read = || {
        let (head, at_ns) = cause.rsplit_once('@')?;
        let (whose, kind) = head.rsplit_once('/')?;
        Some(format!("{} of {whose} at {}", kind.replace('_', " "), time(SimTime(at_ns.parse().ok()?))))
    };
    read().unwrap_or_else(|| cause.to_owned())
}
