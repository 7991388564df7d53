//! The fleet as a tree: zones, their devices, what is wrong with each; with search and filters.

use super::{
    desk::Desk,
    theme::{ink, scrolled, weak},
};
use crate::stage::{
    overlay::{color32, says},
    refresh::{Spot, class_color, gravest},
    show::{Picked, Shown},
};
use egui::{RichText, Ui, collapsing_header::CollapsingState};

/// Rows shown of a zone; beyond, the search narrows it.
const MOST: usize = 300;

/// Width of what stands beside the search field.
const BUTTONS: f32 = 100.0;

/// The search field, for a key to go to.
pub fn search_field() -> egui::Id {
    egui::Id::new("search the fleet")
}

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk) {
    ui.horizontal_wrapped(|ui| {
        let search = egui::TextEdit::singleline(&mut desk.search)
            .id(search_field())
            .hint_text("search: id, thing, part")
            .desired_width((ui.available_width() - BUTTONS).clamp(60.0, 150.0));
        ui.add(search).on_hover_text("Ctrl+F");
        if ui.button("✖").on_hover_text("Clear the search").clicked() {
            desk.search.clear();
        }
        ui.toggle_value(&mut desk.only_wrong, "⚠ only")
            .on_hover_text("Only devices with a fault, an outage or an alarm now (X)");
    });
    let Some(shown) = desk.shown.clone() else { return };
    let wrong = gravest(&shown);
    let words: Vec<String> = desk.search.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let fits = |index: usize| {
        let device = &shown.fleet.devices[index];
        if desk.only_wrong && !wrong.contains_key(&Spot::Device(index)) {
            return false;
        }
        let thing = device.thing.as_ref().map_or("", |t| t.name.as_str());
        let mut text = format!("{} {thing}", device.id).to_lowercase();
        for part in &device.parts {
            text += &format!(" {} {}", part.id, part.model);
        }
        words.iter().all(|w| text.contains(w))
    };
    let zones = &shown.opened.plan.scenario.world.zones;
    let mut picked = None;
    scrolled(ui, |ui| {
        for zone in (0..zones.len()).map(Some).chain([None]) {
            let devices: Vec<usize> = (0..shown.fleet.devices.len())
                .filter(|d| shown.fleet.devices[*d].zone == zone && fits(*d))
                .collect();
            if devices.is_empty() && (zone.is_none() || !words.is_empty() || desk.only_wrong) {
                continue;
            }
            let name = zone.map_or("outside", |z| zones[z].id.as_str());
            let title = format!("{name}  ({})", devices.len());
            let open = devices.len() <= 60 || !words.is_empty() || desk.only_wrong;
            let id = ui.make_persistent_id(("zone", zone));
            let header = CollapsingState::load_with_default_open(ui.ctx(), id, open).show_header(ui, |ui| {
                // Its arrow folds it; its name picks it.
                let selected = zone.is_some_and(|z| shown.picked == Some(Picked::Zone(z)));
                let name = ui.selectable_label(selected, title);
                if let (true, Some(zone)) = (name.clicked(), zone) {
                    picked = Some((Picked::Zone(zone), name.double_clicked()));
                }
            });
            header.body(|ui| {
                for device in devices.iter().take(MOST) {
                    row(ui, &shown, *device, wrong.get(&Spot::Device(*device)).copied(), &mut picked);
                }
                if devices.len() > MOST {
                    ui.label(weak(format!("and {} more: search to narrow them", devices.len() - MOST)));
                }
            });
        }
    });
    if let Some((spot, close)) = picked {
        desk.pick(Some(spot));
        if close {
            desk.frame(Some(spot));
        }
    }
}

fn row(
    ui: &mut Ui,
    shown: &Shown,
    index: usize,
    wrong: Option<&crate::sim::spell::Spell>,
    picked: &mut Option<(Picked, bool)>,
) {
    let device = &shown.fleet.devices[index];
    let mut text = RichText::new(&device.id);
    // On the ground of what is selected, the text's own colour is read best.
    if let Some(spell) = wrong.filter(|_| shown.picked != Some(Picked::Device(index))) {
        text = text.color(ink(ui, color32(class_color(spell.class))));
    }
    let selected = shown.picked == Some(Picked::Device(index));
    ui.horizontal(|ui| {
        let mut response = ui.selectable_label(selected, text);
        if let (Some(field), Some(value)) = (&shown.field, shown.value(index)) {
            ui.label(weak(shown.units.figure(f64::from(value), &field.unit)));
        }
        if device.twin.is_some() {
            ui.label(weak("twin"));
        }
        if let Some(spell) = wrong {
            response = response.on_hover_text(says(spell));
        }
        if response.clicked() {
            *picked = Some((Picked::Device(index), response.double_clicked()));
        }
    });
}
