//! Time: play, pause, step, pace, and a scrubber over the whole run with marks on faults, alarms and bookmarks.

use super::{desk::Desk, theme::weak};
use crate::{
    sim::{left::Left, spell::Class},
    stage::{
        halos::class_color,
        overlay::{color32, says},
    },
    units::{clock, time},
};
use egui::{Color32, Rect, Sense, Stroke, Ui, pos2, vec2};
use twinfleet_engine::{run::epoch_unix_ms, scenario::calendar, time::SimTime};

/// The bar.
pub fn show(ui: &mut Ui, desk: &mut Desk, left: &Left) {
    ui.horizontal_wrapped(|ui| {
        let end = left.end;
        if ui.button("⏮").on_hover_text("To the start (Home)").clicked() {
            desk.go_to(SimTime::ZERO);
        }
        if ui.button("⏪").on_hover_text("One tick back (←)").clicked() {
            desk.step(-1);
        }
        let live = desk.is_live();
        let word = match (live, desk.playing) {
            (true, true) => "● Live",
            (true, false) => "▶ To now",
            (false, true) => "⏸ Pause",
            (false, false) => "▶ Play",
        };
        if ui.button(word).on_hover_text("Space").clicked() {
            play(desk, left);
        }
        if ui.button("⏩").on_hover_text("One tick on (→)").clicked() {
            desk.step(1);
        }
        if ui.button("⏭").on_hover_text("To the end (End)").clicked() {
            desk.go_to(end);
        }
        if ui.button("⚑").on_hover_text("Bookmark this instant, or take its bookmark away (B)").clicked() {
            desk.bookmark();
        }
        if !live {
            let slider = egui::Slider::new(&mut desk.speed, 0.1..=10_000.0).logarithmic(true).suffix(" ×");
            ui.add(slider).on_hover_text("Simulated time by wall time (+, −)");
        }
        ui.label(egui::RichText::new(clock(desk.now().as_secs_f64())).strong().monospace());
        ui.label(weak(format!("of {}", clock(end.as_secs_f64()))));
        if let Some(shown) = &desk.shown
            && shown.opened.plan.scenario.start.is_some()
        {
            let unix_ns = epoch_unix_ms(&shown.opened.plan) * 1_000_000 + desk.now().0;
            ui.label(weak(calendar::text(unix_ns)));
        }
        if let Some(at) = coarse(desk, left) {
            ui.label(weak(format!("figures of {}", time(at))))
                .on_hover_text("Of so many signals over so long only every so many ticks are kept");
        }
        if desk.now() > left.now {
            let share = left.now.as_secs_f64() / desk.now().as_secs_f64().max(1e-9);
            ui.spinner();
            ui.label(format!("simulating, {:.0} %", share * 100.0));
        }
        if let Some(note) = &left.note {
            ui.separator();
            ui.add(egui::Label::new(note).wrap()).on_hover_text(note);
        }
    });
    scrubber(ui, desk, left);
}

/// The instant that the figures are of, where that is an earlier tick than the one that is shown, which is kept no more.
fn coarse(desk: &Desk, left: &Left) -> Option<SimTime> {
    let shown = desk.shown.as_ref().filter(|_| !desk.is_live())?;
    ((shown.t - shown.frame.t).0 >= left.step_ns).then_some(shown.frame.t)
}

/// Plays or pauses; at the end, from the start.
pub fn play(desk: &mut Desk, left: &Left) {
    if !desk.playing && desk.now() >= left.end && !desk.is_live() {
        desk.go_to(SimTime::ZERO);
    }
    desk.playing = !desk.playing;
}

fn scrubber(ui: &mut Ui, desk: &mut Desk, left: &Left) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 26.0), Sense::click_and_drag());
    let bar = Rect::from_min_max(rect.min + vec2(6.0, 9.0), rect.max - vec2(6.0, 9.0));
    let end_s = left.end.as_secs_f64().max(1e-9);
    let x = |t: SimTime| bar.min.x + bar.width() * (t.as_secs_f64() / end_s).clamp(0.0, 1.0) as f32;
    let painter = ui.painter_at(rect);
    painter.rect_filled(bar, 3.0, ui.visuals().extreme_bg_color);
    let reached = Rect::from_min_max(bar.min, pos2(x(left.now), bar.max.y));
    painter.rect_filled(reached, 3.0, ui.visuals().widgets.active.bg_fill.gamma_multiply(0.6));
    for spell in &left.spells.0 {
        let color = color32(class_color(spell.class));
        let (low, high) = match spell.class {
            Class::Alarm => (rect.min.y + 1.0, bar.min.y),
            Class::Injected => (bar.max.y, rect.max.y - 1.0),
            Class::Outage => (bar.min.y, bar.max.y),
        };
        let until = spell.until.unwrap_or(left.known()).max(spell.from);
        let mark =
            Rect::from_min_max(pos2(x(spell.from), low), pos2(x(until).max(x(spell.from) + 2.0), high));
        painter.rect_filled(mark, 0.0, color.gamma_multiply(0.85));
    }
    // What was done stands there, whether or not it lasts: a device that was carried, a link that was cut.
    for done in &desk.done {
        let color = color32(class_color(Class::Injected));
        painter.circle_filled(pos2(x(done.at), rect.max.y - 3.0), 3.0, color);
    }
    for mark in &desk.bookmarks {
        painter.vline(x(*mark), rect.y_range(), Stroke::new(2.0, Color32::from_rgb(0x56, 0xb4, 0xe9)));
    }
    let at = x(desk.now());
    let handle = ui.visuals().strong_text_color();
    painter.vline(at, rect.y_range(), Stroke::new(2.0, handle));
    painter.circle_filled(pos2(at, bar.center().y), 6.0, handle);
    if let Some(p) = response.interact_pointer_pos()
        && (response.clicked() || response.dragged())
    {
        let share = f64::from(((p.x - bar.min.x) / bar.width()).clamp(0.0, 1.0));
        desk.playing = false;
        // The end itself lies within reach of the last pixel.
        desk.go_to(SimTime((share * end_s * 1e9).round() as i64));
    }
    if let (true, Some(p)) = (response.secondary_clicked(), response.interact_pointer_pos()) {
        desk.bookmarks.retain(|mark| (x(*mark) - p.x).abs() > 4.0);
    }
    if let Some(p) = response.hover_pos() {
        let share = f64::from(((p.x - bar.min.x) / bar.width()).clamp(0.0, 1.0));
        let t = SimTime((share * end_s * 1e9) as i64);
        let there: Vec<String> = left
            .spells
            .at(t)
            .take(6)
            .map(|s| {
                let until = s.until.map_or_else(String::new, |t| format!(", until {}", time(t)));
                format!("{}: {}{until}", s.subject, says(s))
            })
            .collect();
        response.on_hover_text(format!("{}\n{}", clock(t.as_secs_f64()), there.join("\n")));
    }
}
