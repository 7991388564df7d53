//! MQTT messages as they come, filtered by topic.

use super::desk::Desk;
use crate::{sim::left::Left, stage::show::Picked, units::time};
use egui::{ScrollArea, Ui};

/// Rows at most, the latest: beyond, the filter narrows them.
const MOST: usize = 20_000;

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk, left: &Left) {
    if desk.is_record() {
        // That there were none would be wrong.
        ui.label(super::theme::weak(
            "A record keeps no messages: simulate its scenario anew (File) to see them.",
        ));
        return;
    }
    ui.horizontal_wrapped(|ui| {
        let filter = egui::TextEdit::singleline(&mut desk.topic)
            .hint_text("topic filter: greenhouse/+/#, or any text")
            .desired_width(260.0);
        ui.add(filter);
        if let Some(shown) = &desk.shown {
            let until = shown.frame.messages;
            ui.label(format!("{until} messages until {}", time(shown.t)));
        }
        if left.traffic.is_thinned() {
            ui.label(super::theme::weak("of the older ones only some are kept"));
        }
    });
    let Some(shown) = desk.shown.clone() else { return };
    let topic = desk.topic.trim();
    desk.heard.look(shown.generation, topic, &left.traffic);
    let heard = desk.heard.until(shown.t);
    let heard = &heard[heard.len().saturating_sub(MOST)..];
    if heard.is_empty() {
        let why = if topic.is_empty() { "No message yet." } else { "No message that is kept fits." };
        ui.label(super::theme::weak(why));
    }
    let mut picked = None;
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, height, heard.len(), |ui, rows| {
        // The latest come first.
        for (_, nth) in heard.iter().rev().skip(rows.start).take(rows.len()) {
            let Some(m) = left.traffic.nth(*nth).map(|h| &h.message) else { continue };
            let payload = String::from_utf8_lossy(&m.payload);
            let text = format!("{:>9}  q{} {}  {payload}", time(m.sent), m.qos, m.topic);
            let label = egui::Label::new(egui::RichText::new(text).monospace())
                .truncate()
                .sense(egui::Sense::click());
            let response = ui.add(label).on_hover_text(format!("{}\n{payload}", m.topic));
            if response.clicked() {
                let device = shown.fleet.devices.iter().position(|d| d.ordinal == Some(m.publisher));
                picked = Some(device.map(Picked::Device));
            }
        }
    });
    if let Some(picked) = picked {
        desk.pick(picked);
    }
}
