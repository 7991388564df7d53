//! The fleet as a tree: zones, their devices, what is wrong with each; with search and filters.

use super::{
    desk::Desk,
    theme::{ink, scrolled, weak},
};
use crate::stage::{
    halos::{Spot, class_color, gravest},
    overlay::{color32, says},
    show::{Picked, Shown},
};
use egui::{
    Button, EventFilter, Key, RichText, Sense, Stroke, StrokeKind, Ui, collapsing_header::CollapsingState,
};

/// Rows shown of a zone; beyond, the search narrows it.
const MOST: usize = 300;

/// Width of what stands beside the search field.
const BUTTONS: f32 = 100.0;

/// The search field, for a key to go to.
pub fn search_field() -> egui::Id {
    egui::Id::new("search the fleet")
}

/// What has the keyboard while one goes through the rows: one stop of the Tab key, whatever there is in it.
pub fn rows() -> egui::Id {
    egui::Id::new("rows of the fleet")
}

/// A row that keys go through.
#[derive(Clone, Copy)]
enum Row {
    /// A zone's, by its place, with what folds it.
    Zone(Option<usize>, egui::Id),
    Device(usize),
}

/// Keys in the rows: up and down choose, left and right fold, Enter looks closely.
fn keys(ui: &Ui, desk: &mut Desk, all: &[Row]) {
    const FILTER: EventFilter =
        EventFilter { tab: false, horizontal_arrows: true, vertical_arrows: true, escape: false };
    if !ui.memory(|m| m.has_focus(rows())) {
        return;
    }
    ui.memory_mut(|m| m.set_focus_lock_filter(rows(), FILTER));
    let picked = desk.shown.as_ref().and_then(|s| s.picked);
    let is = |row: &Row| match (row, picked) {
        (Row::Device(d), Some(Picked::Device(p))) => *d == p,
        (Row::Zone(Some(z), _), Some(Picked::Zone(p))) => *z == p,
        _ => false,
    };
    let at = all.iter().position(is);
    let pressed = |key: Key| ui.input(|i| i.key_pressed(key));
    // What is outside every zone cannot be picked: it is gone over.
    let can = |row: &&Row| !matches!(row, Row::Zone(None, _));
    let next = match (pressed(Key::ArrowDown), pressed(Key::ArrowUp)) {
        (true, _) => all.iter().skip(at.map_or(0, |a| a + 1)).find(can),
        (_, true) => all[..at.unwrap_or(all.len())].iter().rev().find(can),
        _ => None,
    };
    match next {
        Some(Row::Device(d)) => desk.pick(Some(Picked::Device(*d))),
        Some(Row::Zone(Some(z), _)) => desk.pick(Some(Picked::Zone(*z))),
        _ => {}
    }
    let (on, off) = (pressed(Key::ArrowRight), pressed(Key::ArrowLeft));
    let zone = at.and_then(|a| {
        all[..=a].iter().rev().find_map(|r| if let Row::Zone(z, id) = r { Some((*z, *id)) } else { None })
    });
    if let (true, Some((zone, id))) = (on || off, zone) {
        let mut state = CollapsingState::load_with_default_open(ui.ctx(), id, on);
        state.set_open(on);
        state.store(ui.ctx());
        // What is folded away is picked no more: its zone is.
        if let (true, Some(zone)) = (off, zone) {
            desk.pick(Some(Picked::Zone(zone)));
        }
    }
    if pressed(Key::Enter) && picked.is_some() {
        desk.frame(picked);
    }
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
        words.iter().all(|w| device.words.contains(w))
    };
    let zones = &shown.opened.plan.scenario.world.zones;
    // A list a zone, and one of what is outside every zone.
    let mut by_zone: Vec<Vec<usize>> = vec![Vec::new(); zones.len() + 1];
    for device in (0..shown.fleet.devices.len()).filter(|d| fits(*d)) {
        by_zone[shown.zone(device).unwrap_or(zones.len())].push(device);
    }
    let (mut picked, mut all) = (None, Vec::new());
    let area = ui.available_rect_before_wrap();
    ui.interact(area, rows(), Sense::focusable_noninteractive());
    if ui.memory(|m| m.has_focus(rows())) {
        let line = Stroke::new(1.0, ui.visuals().selection.stroke.color);
        ui.painter().rect_stroke(area.shrink(0.5), 2.0, line, StrokeKind::Inside);
    }
    scrolled(ui, |ui| {
        for (zone, devices) in (0..zones.len()).map(Some).chain([None]).zip(&by_zone) {
            if devices.is_empty() && (zone.is_none() || !words.is_empty() || desk.only_wrong) {
                continue;
            }
            let name = zone.map_or("outside", |z| zones[z].id.as_str());
            let title = format!("{name}  ({})", devices.len());
            let open = devices.len() <= 60 || !words.is_empty() || desk.only_wrong;
            let id = ui.make_persistent_id(("zone", zone));
            let mut state = CollapsingState::load_with_default_open(ui.ctx(), id, open);
            all.push(Row::Zone(zone, id));
            let header = ui.horizontal(|ui| {
                // Its arrow folds it; its name picks it.
                let arrow = if state.is_open() { "⏷" } else { "⏵" };
                if ui.add(Button::new(arrow).frame(false).sense(Sense::CLICK)).clicked() {
                    state.toggle(ui);
                }
                let selected = zone.is_some_and(|z| shown.picked == Some(Picked::Zone(z)));
                let name = ui.add(Button::selectable(selected, title).sense(Sense::CLICK));
                if let (true, Some(zone)) = (name.clicked(), zone) {
                    picked = Some((Picked::Zone(zone), name.double_clicked()));
                }
            });
            if state.is_open() {
                all.extend(devices.iter().take(MOST).map(|d| Row::Device(*d)));
            }
            state.show_body_indented(&header.response, ui, |ui| {
                for device in devices.iter().take(MOST) {
                    row(ui, &shown, *device, wrong.get(&Spot::Device(*device)).copied(), &mut picked);
                }
                if devices.len() > MOST {
                    ui.label(weak(format!("and {} more: search to narrow them", devices.len() - MOST)));
                }
            });
        }
    });
    keys(ui, desk, &all);
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
        let mut response = ui.add(Button::selectable(selected, text).sense(Sense::CLICK));
        if selected && ui.memory(|m| m.has_focus(rows())) {
            response.scroll_to_me(None);
        }
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
