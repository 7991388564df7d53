//! What it costs: frames, ticks, memory; and how the run came out.

use super::{
    desk::Desk,
    theme::{bad, good, scrolled, weak},
};
use crate::{sim::session::Shared, units::time};
use egui::{Grid, Ui};
use twinfleet_engine::expect::{Outcome, Status};

/// The panel.
pub fn show(ui: &mut Ui, desk: &Desk, shared: &Shared) {
    scrolled(ui, |ui| all(ui, desk, shared));
}

fn all(ui: &mut Ui, desk: &Desk, shared: &Shared) {
    let left = &shared.left;
    Grid::new("performance").num_columns(2).striped(true).show(ui, |ui| {
        let mut fact = |name: &str, value: String| {
            ui.label(weak(name));
            ui.label(value);
            ui.end_row();
        };
        fact("frame", format!("{:.1} ms ({:.0} a second)", desk.frame_ms, 1e3 / desk.frame_ms.max(1e-3)));
        fact("drawn by", desk.adapter.clone());
        fact("tick", format!("{:.3} ms", shared.tick_ms));
        let pace =
            if shared.pace > 0.0 { format!("{:.0} × real time", shared.pace) } else { "at rest".to_owned() };
        fact("simulation", pace);
        fact("reached", format!("{} of {}", time(left.now), time(left.end)));
        if let Some(shown) = &desk.shown {
            fact("devices", shown.fleet.devices.len().to_string());
            fact("signals", shown.opened.plan.signals.len().to_string());
            let bytes = left.history.len() * shown.frame.values.len() * 4;
            fact("frames kept", format!("{} ({} MB)", left.history.len(), bytes >> 20));
        }
        fact(
            "messages",
            if desk.is_record() { "not in a record".to_owned() } else { left.messages.to_string() },
        );
        if let Some(hash) = left.hash {
            fact("state hash", format!("{hash:032x}"));
        }
    });
    if !left.outcomes.is_empty() {
        ui.separator();
        for outcome in &left.outcomes {
            self::outcome(ui, outcome);
        }
    }
}

/// How an expectation came out.
fn outcome(ui: &mut Ui, outcome: &Outcome) {
    let (mark, color) = if outcome.status == Status::Held { ("✔", good(ui)) } else { ("✖", bad(ui)) };
    ui.horizontal_wrapped(|ui| {
        ui.colored_label(color, mark);
        ui.label(&outcome.name).on_hover_text(&outcome.sentence);
    });
}
