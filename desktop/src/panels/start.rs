//! The start page: the shipped scenarios as pictures, files of late; a scenario, a record or a live mirror to open. Files and
//! folders can be dropped anywhere.

use super::{
    desk::{Asking, Desk, Leave, Refused},
    theme::{bad, weak},
};
use crate::sim::open::shipped;
use egui::{RichText, ScrollArea, Ui, vec2};

/// A picture of a shipped scenario, drawn by the desktop itself (`assets/previews/make.sh`).
pub fn preview(name: &str) -> Option<&'static [u8]> {
    PREVIEWS.iter().find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
}

macro_rules! png {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../assets/previews/", $name, ".png")).as_slice())
    };
}

const PREVIEWS: [(&str, &[u8]); 14] = [
    png!("cold-night"),
    png!("diagnose-bench"),
    png!("greenhouse"),
    png!("heated-box"),
    png!("load-commands"),
    png!("load-faults"),
    png!("load-search"),
    png!("load-smoke"),
    png!("parcel-drop"),
    png!("pi3b-mirror"),
    png!("scripted"),
    png!("sick-sensors"),
    png!("swing-shake-drive"),
    png!("tclab-mirror"),
];

/// Textures of the previews, made once.
pub type Pictures = std::collections::BTreeMap<&'static str, egui::TextureHandle>;

/// The page.
pub fn show(ui: &mut Ui, desk: &mut Desk, pictures: &Pictures) {
    ui.add_space(14.0);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new("Twinfleet").size(30.0).strong());
        ui.label(weak(
            "See the fleet, the twin and the difference. Choose a scenario, or drop a scenario or a record's folder here.",
        ));
        ui.horizontal(|ui| {
            // Two buttons in the middle: what is left of the width is left over on both sides.
            ui.add_space((ui.available_width() - 330.0).max(0.0) / 2.0);
            if ui.button("Open a file or record…").on_hover_text("Ctrl+O").clicked() {
                desk.asking = Asking::Open(String::new());
            }
            if ui.button("Follow real devices…").on_hover_text("Twins hear them on a broker").clicked() {
                desk.asking = Asking::Follow(String::new(), "mqtt://localhost".to_owned());
            }
        });
    });
    ui.add_space(8.0);
    if let Some(Refused { file, text, .. }) = desk.refused.clone() {
        egui::Frame::group(ui.style()).show(ui, |ui| {
            ui.colored_label(bad(ui), format!("{file} cannot be opened"));
            ScrollArea::vertical().max_height(220.0).id_salt("refused").show(ui, |ui| {
                ui.add(egui::Label::new(RichText::new(text).monospace()).selectable(true));
            });
            if ui.button("Close").clicked() {
                desk.refused = None;
            }
        });
    }
    let mut open = None;
    if !desk.settings.recent.is_empty() {
        ui.horizontal_wrapped(|ui| {
            ui.label(weak("of late:"));
            for file in &desk.settings.recent {
                if ui.link(file).clicked() {
                    open = Some(file.clone());
                }
            }
        });
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let columns = ((ui.available_width() / 300.0) as usize).clamp(1, 4);
        let width = ui.available_width() / columns as f32 - 12.0;
        let all = shipped();
        for row in all.chunks(columns) {
            ui.horizontal_top(|ui| {
                for (name, about) in row {
                    if card(ui, name, about, width, pictures.get(name)) {
                        open = Some((*name).to_owned());
                    }
                }
            });
            ui.add_space(8.0);
        }
    });
    if let Some(file) = open {
        desk.leave(Leave::Open(file));
    }
}

fn card(ui: &mut Ui, name: &str, about: &str, width: f32, picture: Option<&egui::TextureHandle>) -> bool {
    let mut clicked = false;
    egui::Frame::group(ui.style()).show(ui, |ui| {
        ui.set_width(width - 14.0);
        ui.set_min_height(if picture.is_some() { width * 0.58 + 58.0 } else { 84.0 });
        ui.vertical(|ui| {
            if let Some(picture) = picture {
                let image = egui::Image::new(picture)
                    .fit_to_exact_size(vec2(width - 14.0, (width - 14.0) * 9.0 / 16.0));
                clicked |= ui.add(image.sense(egui::Sense::click())).on_hover_text("Open it").clicked();
            }
            clicked |= ui.button(RichText::new(name).strong()).clicked();
            ui.add(egui::Label::new(weak(about)).wrap());
        });
    });
    clicked
}
