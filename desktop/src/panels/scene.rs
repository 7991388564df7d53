//! The scene's own panel: the mouse over it, what is told of what lies under the pointer, and what it is coloured by.

use super::desk::Desk;
use crate::stage::{
    camera::meet,
    overlay::{halves, says},
    show::{Arcs, Picked, Shown},
};
use egui::{Color32, Pos2, Ui};

/// From the scene's edge to its bar.
const MARGIN: f32 = 8.0;
/// Height of the scene's bar with what is around it: other lines begin below.
pub const BAR: f32 = 42.0;

/// The mouse over the scene: orbit, pan, zoom, pick.
pub fn hand(ui: &mut Ui, desk: &mut Desk) {
    let rect = ui.max_rect();
    let hand = ui.interact(rect, ui.id().with("scene"), egui::Sense::click_and_drag());
    let moved = hand.drag_delta();
    if moved != egui::Vec2::ZERO {
        let pan = !hand.dragged_by(egui::PointerButton::Primary) || ui.input(|i| i.modifiers.shift);
        desk.go = None;
        if pan { desk.eye.pan(moved.x, moved.y, rect.height()) } else { desk.eye.orbit(moved.x, moved.y) }
    }
    let scrolled = ui.input(|i| i.smooth_scroll_delta.y);
    if hand.contains_pointer() && scrolled != 0.0 {
        desk.go = None;
        desk.eye.zoom((scrolled * 0.0035).exp());
    }
    let Some(own) = &desk.shown else { return };
    let (kept, worked) = halves(rect);
    let of = |p: Pos2| match &desk.beside {
        // Both halves are looked at from the same side, each in its own middle.
        Some(beside) if kept.contains(p) => {
            (kept, &beside.shown, beside.shown.layout.center() - own.layout.center())
        }
        Some(_) => (worked, own, bevy::math::Vec3::ZERO),
        None => (rect, own, bevy::math::Vec3::ZERO),
    };
    let met = |p: Pos2| {
        let (view, shown, off) = of(p);
        let at = (p - view.center()) / view.size() * 2.0;
        let aspect = view.aspect_ratio();
        let (from, along) = desk.eye.seen(aspect).ray(bevy::math::Vec2::new(at.x, -at.y), aspect);
        meet(shown, (from + off, along))
    };
    let in_kept = |p: Pos2| desk.beside.is_some() && kept.contains(p);
    if let (true, Some(p)) = (hand.clicked(), hand.interact_pointer_pos()) {
        // What is picked in the one half is picked in both, by its name.
        let (met, of_beside) = (met(p), in_kept(p));
        let here = match (&desk.beside, of_beside) {
            (Some(beside), true) => beside.shown.same(own, met),
            _ => met,
        };
        desk.pick(here);
        desk.of_beside = of_beside && here.is_some();
        if hand.double_clicked() {
            desk.frame(here);
        }
    } else if let Some(p) = hand.hover_pos()
        && let Some(met) = met(p)
    {
        let mut lines = told(of(p).1, met);
        if let (Some(beside), true) = (&desk.beside, in_kept(p)) {
            lines.insert(0, beside.title.clone());
        }
        hand.on_hover_ui_at_pointer(|ui| lines.iter().for_each(|line| drop(ui.label(line))));
    }
}

/// What is told of what lies under the pointer: its name, its figures with their units, what is wrong with it.
pub fn told(shown: &Shown, met: Picked) -> Vec<String> {
    let mut lines = Vec::new();
    let subject = match met {
        Picked::Device(index) => {
            let device = &shown.fleet.devices[index];
            let thing = device.thing.as_ref().map_or(String::new(), |t| format!("  {}", t.name));
            lines.push(format!("{}{thing}", device.id));
            if let (Some(field), Some(value)) = (&shown.field, shown.value(index)) {
                let figure = shown.units.figure(f64::from(value), &field.unit);
                lines.push(format!("{}: {figure}", field.quantity.replace('_', " ")));
            }
            for pair in device.twin.map_or(&[][..], |twin| shown.fleet.pairs(twin)).iter().take(4) {
                let (real, held) = (shown.frame.value(pair.reported), shown.frame.value(pair.estimate));
                if let (Some(real), Some(held)) = (real, held) {
                    let figure = |v: f32| shown.units.figure(f64::from(v), &pair.unit);
                    lines.push(format!("{}: {}, twin {}", pair.name, figure(real), figure(held)));
                }
            }
            &device.id
        }
        Picked::Zone(zone) => {
            let id = &shown.opened.plan.scenario.world.zones[zone].id;
            lines.push(id.clone());
            let own = shown.field.as_ref().and_then(|f| Some((f, f.zones.get(zone).copied().flatten()?)));
            if let Some((field, value)) = own.and_then(|(f, signal)| Some((f, shown.frame.value(signal)?))) {
                let figure = shown.units.figure(f64::from(value), &field.unit);
                lines.push(format!("{}: {figure}", field.quantity.replace('_', " ")));
            }
            id
        }
    };
    lines.extend(shown.spells.iter().filter(|s| s.subject == *subject).map(says));
    lines
}

/// What the scene is coloured by, and what is shown in it.
pub fn bar(ui: &mut Ui, desk: &mut Desk) {
    let Some(shown) = &mut desk.shown else { return };
    let mut touched = false;
    let mut by = None;
    let ground = Color32::from_black_alpha(if shown.dark { 150 } else { 230 });
    let frame = egui::Frame::NONE.fill(ground).inner_margin(4.0).corner_radius(5.0);
    let top_right = egui::UiBuilder::new().max_rect(ui.max_rect().shrink(MARGIN));
    ui.scope_builder(top_right.layout(egui::Layout::right_to_left(egui::Align::Min)), |ui| {
        frame.show(ui, |ui| {
            // Over the scene the bar is dark in either theme.
            *ui.visuals_mut() = egui::Visuals::dark();
            ui.visuals_mut().override_text_color = Some(Color32::WHITE);
            touched |= ui.toggle_value(&mut shown.legend, "legend").on_hover_text("H").changed();
            touched |= ui.toggle_value(&mut shown.labels, "names").on_hover_text("T").changed();
            if !shown.opened.plan.scenario.mirror.is_empty() {
                touched |= ui.toggle_value(&mut shown.ghosts, "twins").on_hover_text("G").changed();
            }
            let word = match shown.arcs {
                Arcs::Messages => "links: messages",
                Arcs::All => "links: all",
                Arcs::None => "links: none",
            };
            if ui.button(word).on_hover_text("L").clicked() {
                shown.arcs = next(shown.arcs);
                touched = true;
            }
            let now = shown.field.as_ref().map_or("no field", |f| f.quantity.as_str()).to_owned();
            egui::ComboBox::from_id_salt("field").selected_text(now.replace('_', " ")).show_ui(ui, |ui| {
                for quantity in shown.fields.iter() {
                    if ui.selectable_label(*quantity == now, quantity.replace('_', " ")).clicked() {
                        by = Some(Some(quantity.clone()));
                    }
                }
                if ui.selectable_label(shown.field.is_none(), "no field").clicked() {
                    by = Some(None);
                }
            });
        });
    });
    match by {
        Some(Some(quantity)) => touched |= shown.colour_by(&quantity),
        Some(None) => (shown.field, touched) = (None, true),
        None => {}
    }
    desk.touched |= touched;
}

/// Links, as the key goes through them.
pub const fn next(arcs: Arcs) -> Arcs {
    match arcs {
        Arcs::Messages => Arcs::All,
        Arcs::All => Arcs::None,
        Arcs::None => Arcs::Messages,
    }
}
