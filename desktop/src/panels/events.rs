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
        let same = self.of.as_ref().filter(|(of, text, _)| *of == run && text == filter);
        let seen = same.map_or(0, |(_, _, count)| *count);
        if same.is_some() && seen == events.len() {
            return;
        }
        // Events are only ever added: those that were looked through stay found.
        if same.is_none() || seen > events.len() {
            return self.look_anew(run, filter, events);
        }
        self.add(seen, filter, events);
        self.of = Some((run, filter.to_owned(), events.len()));
    }

    fn look_anew(&mut self, run: u64, filter: &str, events: &[Event]) {
        self.at.clear();
        self.add(0, filter, events);
        self.of = Some((run, filter.to_owned(), events.len()));
    }

    /// Looks through those from a place on.
    fn add(&mut self, from: usize, filter: &str, events: &[Event]) {
        let words: Vec<String> = filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |e: &Event| {
            words.is_empty() || {
                let text =
                    format!("{} {} {} {} {}", e.subject, e.part, e.kind, e.detail, e.cause).to_lowercase();
                words.iter().all(|w| text.contains(w))
            }
        };
        let before = std::mem::take(&mut self.at);
        self.at = (from..events.len()).rev().filter(|at| fits(&events[*at])).chain(before).collect();
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
        if left.events_left_out > 0 {
            ui.label(super::theme::weak(format!("only the first {} are kept", left.events.len())));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use twinfleet_engine::time::SimTime;

    #[test]
    fn what_is_sought_as_events_come_is_what_a_look_at_all_finds() {
        let event = |k: usize| Event {
            // Within a tick, and within a record's segment, they come in another order than their times.
            t: SimTime((k / 4 * 4 + 3 - k % 4) as i64),
            subject: format!("node-{}", k % 5),
            kind: if k.is_multiple_of(3) { "reboot" } else { "gap" }.to_owned(),
            ..Event::default()
        };
        let all: Vec<Event> = (0..200).map(event).collect();
        for filter in ["", "reboot", "node-3 GAP", "nothing"] {
            let (mut bit, mut whole) = (Found::default(), Found::default());
            for until in [0, 1, 7, 8, 90, 200] {
                bit.look(1, filter, &all[..until]);
                let found: Vec<SimTime> = bit.at.iter().map(|at| all[*at].t).collect();
                whole.look_anew(1, filter, &all[..until]);
                let wanted: Vec<SimTime> = whole.at.iter().map(|at| all[*at].t).collect();
                assert_eq!(found, wanted, "{filter:?} of {until}");
                assert!(found.is_sorted_by(|a, b| a >= b), "{filter:?} of {until}");
            }
        }
        // Another run, or another filter, is looked through from its start.
        let mut found = Found::default();
        found.look(1, "", &all);
        found.look(2, "", &all[..3]);
        assert_eq!(found.at.len(), 3);
        found.look(2, "nothing", &all[..3]);
        assert!(found.at.is_empty());
    }
}
