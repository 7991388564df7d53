//! What is wrong: twins' verdicts and detectors' alarms with their evidence, beside what was put in.

use super::{desk::Desk, theme::weak};
use crate::{
    sim::{
        left::Left,
        spell::{Class, Spell},
    },
    stage::{
        overlay::{color32, says},
        refresh::class_color,
        show::Picked,
    },
};
use egui::{ScrollArea, Ui};

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
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        for (k, spell) in spells.iter().take(200).enumerate() {
            let holds = spell.holds(now);
            let color = color32(class_color(spell.class));
            let who = match spell.class {
                Class::Alarm => "twin",
                Class::Injected => "put in",
                Class::Outage => "device",
            };
            let title =
                format!("{} {}: {}  [{who}]", if holds { "●" } else { "○" }, spell.subject, says(spell));
            let title =
                egui::RichText::new(title).color(if holds { color } else { ui.visuals().weak_text_color() });
            egui::CollapsingHeader::new(title)
                .id_salt(k)
                .default_open(holds && spell.class == Class::Alarm)
                .show(ui, |ui| {
                    evidence(ui, desk, left, spell);
                });
        }
    });
}

fn evidence(ui: &mut Ui, desk: &mut Desk, left: &Left, spell: &Spell) {
    let until = spell.until.map_or("still".to_owned(), |t| format!("until {t}"));
    ui.label(format!("from {} {until}", spell.from));
    if spell.class == Class::Alarm {
        ui.label(format!("posterior {:.3}", spell.value));
    } else if spell.value != 0.0 {
        ui.label(format!("size {}", crate::units::number(spell.value)));
    }
    // A verdict comes with the rivals that it won against, told in an event beside it.
    let beside = left.events.iter().filter(|e| {
        e.t == spell.from
            && e.subject == spell.subject
            && e.kind != "verdict"
            && (e.part == spell.part || e.part.is_empty())
    });
    for event in beside.take(6) {
        ui.label(weak(format!("{}: {}", event.kind, event.detail)));
    }
    if !spell.cause.is_empty() {
        ui.label(format!("because of {}", spell.cause));
    }
    let truth = left.spells.0.iter().find(|s| {
        s.class == Class::Injected
            && spell.class == Class::Alarm
            && s.subject == spell.subject
            && s.from <= spell.from
            && s.until.is_none_or(|u| u >= spell.from)
    });
    if let Some(truth) = truth {
        let after = spell.from - truth.from;
        ui.label(weak(format!("{} was put in {after:#} before", truth.what)));
    }
    ui.horizontal(|ui| {
        if ui.small_button("go to its start").clicked() {
            desk.go_to(spell.from);
        }
        let device = desk.shown.as_ref().and_then(|s| s.fleet.find(&spell.subject));
        if let (Some(device), true) = (device, ui.small_button("look").clicked()) {
            desk.pick(Some(Picked::Device(device)));
            desk.frame(Some(Picked::Device(device)));
        }
    });
}
