//! All that happened, filtered by any word of it.

use super::{
    alarms::{because, detail},
    desk::Desk,
};
use crate::{sim::left::Left, stage::show::Picked, units::time};
use egui::{ScrollArea, Ui};

/// The panel.
pub fn show(ui: &mut Ui, desk: &mut Desk, left: &Left) {
    ui.horizontal_wrapped(|ui| {
        let filter = egui::TextEdit::singleline(&mut desk.event)
            .hint_text("words: node-5, verdict, reboot")
            .desired_width(220.0);
        ui.add(filter);
        ui.label(format!("{} events", left.events.len() as u64 + left.events_left_out));
    });
    let Some(shown) = desk.shown.clone() else { return };
    let now = desk.now();
    let words: Vec<String> = desk.event.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let fits = |e: &twinfleet_engine::world::Event| {
        words.is_empty() || {
            let text = format!("{} {} {} {} {}", e.subject, e.part, e.kind, e.detail, e.cause).to_lowercase();
            words.iter().all(|w| text.contains(w))
        }
    };
    let mut events: Vec<_> = left.events.iter().rev().filter(|e| e.t <= now && fits(e)).collect();
    // A segment's events, and those of a tick, come in another order than their times.
    events.sort_by_key(|e| std::cmp::Reverse(e.t));
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, height, events.len(), |ui, rows| {
        for event in &events[rows] {
            let cause = if event.cause.is_empty() {
                String::new()
            } else {
                format!("  ← {}", because(&event.cause))
            };
            let text = format!(
                "{:>9}  {} {} {} {}{cause}",
                time(event.t),
                event.subject,
                event.part,
                event.kind,
                detail(&shown, event)
            );
            let label = egui::Label::new(egui::RichText::new(&text).monospace())
                .truncate()
                .sense(egui::Sense::click());
            let response = ui.add(label).on_hover_text(text);
            if response.clicked() {
                let device = desk.shown.as_ref().and_then(|s| s.fleet.find(&event.subject));
                desk.pick(device.map(Picked::Device));
            }
            if response.double_clicked() {
                desk.go_to(event.t);
            }
        }
    });
}
