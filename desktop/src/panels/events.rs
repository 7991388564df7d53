//! All that happened, filtered by any word of it.

use super::{
    alarms::{because, detail},
    desk::Desk,
};
use crate::{sim::left::Left, stage::show::Picked, units::time};
use egui::{ScrollArea, Ui};
use twinfleet_engine::world::Event;

/// Which events have the words of a filter: sought anew as the filter changes or one is added, not with every frame.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The run's number, the filter, and how many events were looked through.
    of: Option<(u64, String, usize)>,
    /// Their places, the latest first.
    at: Vec<usize>,
}

impl Found {
    /// Seeks, if anything has changed.
    fn look(&mut self, run: u64, filter: &str, events: &[Event]) {
        let same =
            |(of, text, count): &(u64, String, usize)| *of == run && text == filter && *count == events.len();
        if self.of.as_ref().is_some_and(same) {
            return;
        }
        self.of = Some((run, filter.to_owned(), events.len()));
        let words: Vec<String> = filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |e: &Event| {
            words.is_empty() || {
                let text =
                    format!("{} {} {} {} {}", e.subject, e.part, e.kind, e.detail, e.cause).to_lowercase();
                words.iter().all(|w| text.contains(w))
            }
        };
        self.at = (0..events.len()).rev().filter(|at| fits(&events[*at])).collect();
        // A segment's events, and those of a tick, come in another order than their times.
        self.at.sort_by_key(|at| std::cmp::Reverse(events[*at].t));
    }
}

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
    desk.found.look(shown.generation, &desk.event, &left.events);
    let ahead = desk.found.at.partition_point(|at| left.events[*at].t > now);
    let events = &desk.found.at[ahead..];
    let (mut picked, mut to) = (None, None);
    let height = ui.text_style_height(&egui::TextStyle::Monospace);
    ScrollArea::vertical().auto_shrink(false).show_rows(ui, height, events.len(), |ui, rows| {
        for event in events[rows].iter().map(|at| &left.events[*at]) {
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
                picked = Some(shown.fleet.find(&event.subject).map(Picked::Device));
            }
            if response.double_clicked() {
                to = Some(event.t);
            }
        }
    });
    if let Some(picked) = picked {
        desk.pick(picked);
    }
    if let Some(t) = to {
        desk.go_to(t);
    }
}
