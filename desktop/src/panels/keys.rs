//! What keys do, wherever the pointer is; [`super::help`] lists them.

use super::{
    Pane, acts,
    desk::{Asking, Desk, Leave},
    export, scene,
    shell::{Choice, choices, layout, to_front},
    timebar, tree,
};
use crate::{
    settings::{Palette, SCALES},
    stage::show::Picked,
};
use egui::{Context, Key, Modifiers};
use twinfleet_engine::time::SimTime;

/// Does what the keys say that are pressed; none while something is asked.
pub fn pressed(ctx: &Context, desk: &mut Desk) {
    if desk.asking != Asking::Nothing || desk.leaving.is_some() {
        return;
    }
    // A text field has keys of its own: what is typed is taken back by Ctrl+Z, a word by Ctrl+W.
    let in_text = ctx.text_edit_focused();
    let ctrl = |key: Key| ctx.input_mut(|i| i.consume_key(Modifiers::CTRL, key));
    if ctrl(Key::O) {
        desk.asking = Asking::Open(String::new());
    }
    if ctrl(Key::S) && desk.session.is_some() {
        desk.asking = Asking::Save(desk.save_path());
    }
    if ctrl(Key::F) && desk.session.is_some() {
        // Into a field that is not there nobody types: the letters would be keys.
        to_front(desk, Pane::Fleet);
        ctx.memory_mut(|m| m.request_focus(tree::search_field()));
    }
    // With Shift it would be the opposite, which there is not.
    if !in_text && !ctx.input(|i| i.modifiers.shift) && ctrl(Key::Z) {
        desk.undo();
    }
    if ctrl(Key::Q) {
        desk.leave(Leave::Quit);
    }
    let steps =
        [(Key::Plus, 0.1), (Key::Equals, 0.1), (Key::Minus, -0.1), (Key::Num0, 1.0 - desk.settings.scale)];
    for (_, step) in steps.into_iter().filter(|(key, _)| ctrl(*key)) {
        desk.settings.scale = (desk.settings.scale + step).clamp(*SCALES.start(), *SCALES.end());
    }
    if ctx.input(|i| i.key_pressed(Key::F1)) {
        desk.help = !desk.help;
    }
    if !in_text && desk.session.is_some() && ctrl(Key::W) {
        desk.leave(Leave::Close);
    }
    panel_keys(ctx, desk);
    if in_text || ctx.input(|i| i.modifiers.ctrl || i.modifiers.alt) {
        return;
    }
    // The fleet has the arrows while it has the keyboard, a button or a slider the space bar, too; and no other key.
    let in_widget = ctx.egui_wants_keyboard_input();
    let in_fleet = ctx.memory(|m| m.has_focus(tree::rows()));
    let pressed = |key: Key| ctx.input(|i| i.key_pressed(key));
    let shift = ctx.input(|i| i.modifiers.shift);
    let many = if shift { 100 } else { 1 };
    if pressed(Key::Space)
        && (in_fleet || !in_widget)
        && let Some(session) = desk.session.clone()
    {
        timebar::play(desk, &session.shared().left);
    }
    if pressed(Key::ArrowRight) && !in_widget {
        desk.step(many);
    }
    if pressed(Key::ArrowLeft) && !in_widget {
        desk.step(-many);
    }
    if pressed(Key::N) || pressed(Key::P) {
        desk.jump(pressed(Key::N));
    }
    if pressed(Key::Home) {
        desk.go_to(SimTime::ZERO);
    }
    if let (true, Some(end)) = (pressed(Key::End), desk.end()) {
        desk.go_to(end);
    }
    if pressed(Key::Plus) || pressed(Key::Equals) {
        desk.speed = (desk.speed * 2.0).min(10_000.0);
    }
    if pressed(Key::Minus) {
        desk.speed = (desk.speed / 2.0).max(0.1);
    }
    if pressed(Key::B) {
        desk.bookmark();
    }
    plot_keys(desk, &pressed, shift);
    for (key, view) in [
        (Key::Num1, "overview"),
        (Key::Num2, "top"),
        (Key::Num3, "front"),
        (Key::Num4, "side"),
        (Key::A, "alarm"),
    ] {
        if pressed(key) {
            desk.view(view);
        }
    }
    if pressed(Key::F) {
        let picked: Option<Picked> = desk.shown.as_ref().and_then(|s| s.picked);
        desk.frame(picked);
    }
    if pressed(Key::CloseBracket) || pressed(Key::OpenBracket) {
        desk.pick_next(if pressed(Key::CloseBracket) { 1 } else { -1 });
    }
    if pressed(Key::V) && shift {
        if desk.session.is_some() {
            desk.asking = Asking::Beside(String::new());
        }
    } else if pressed(Key::V) {
        if desk.beside.is_some() { desk.unsplit() } else { desk.keep_beside() }
    }
    if pressed(Key::F4) {
        acts::by_key(desk);
    }
    if pressed(Key::F5) && desk.session.is_some() {
        to_front(desk, Pane::Acts);
        desk.do_it = true;
    }
    if pressed(Key::Escape) {
        desk.pick(None);
        (desk.help, desk.notice) = (false, None);
    }
    for (key, dx, dy) in
        [(Key::W, 0.0, 60.0), (Key::S, 0.0, -60.0), (Key::D, 60.0, 0.0), (Key::E, -60.0, 0.0)]
    {
        if pressed(key) {
            desk.go = None;
            desk.eye.pan(dx, dy, 700.0);
        }
    }
    for (key, dx) in [(Key::Q, 40.0), (Key::R, -40.0)] {
        if pressed(key) {
            desk.go = None;
            desk.eye.orbit(dx, 0.0);
        }
    }
    for (key, factor) in [(Key::PageUp, 1.25), (Key::PageDown, 0.8)] {
        if pressed(key) {
            desk.go = None;
            desk.eye.zoom(factor);
        }
    }
    if pressed(Key::X) {
        desk.only_wrong = !desk.only_wrong;
    }
    if let (Some(kind), true) =
        (export::Kind::ALL.into_iter().find(|k| pressed(k.key())), desk.session.is_some())
    {
        desk.export = Some(kind);
    }
    settings_keys(desk, &pressed, shift);
    scene_keys(desk, &pressed);
}

/// Keys of panels, which hold while something is typed too: each panel to the front, each act, real devices.
fn panel_keys(ctx: &Context, desk: &mut Desk) {
    const DIGITS: [Key; 9] =
        [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
    let with = |held: Modifiers, key: Key| ctx.input_mut(|i| i.consume_key(held, key));
    if with(Modifiers::CTRL, Key::L) {
        desk.asking = Asking::Follow(String::new(), "mqtt://localhost".to_owned());
    }
    if desk.session.is_none() {
        return;
    }
    if with(Modifiers::CTRL, Key::P) {
        desk.tree = layout();
    }
    if desk.is_record() && with(Modifiers::CTRL, Key::R) {
        desk.leave(Leave::Anew);
    }
    for (pane, key) in Pane::ALL.into_iter().zip(DIGITS) {
        if with(Modifiers::CTRL, key) {
            to_front(desk, pane);
        }
    }
    for (what, key) in (0..acts::KINDS.len()).zip(DIGITS) {
        if with(Modifiers::ALT, key) {
            desk.form.what = what;
            to_front(desk, Pane::Acts);
        }
    }
}

fn plot_keys(desk: &mut Desk, pressed: &dyn Fn(Key) -> bool, shift: bool) {
    if desk.session.is_none() {
        return;
    }
    for (key, step) in [(Key::Comma, -1), (Key::Period, 1)] {
        if pressed(key) {
            desk.next_signal(step);
        }
    }
    if pressed(Key::I) {
        to_front(desk, Pane::Plots);
        desk.plot_of_selected();
    }
    if pressed(Key::Y) {
        to_front(desk, Pane::Plots);
        if shift { drop(desk.plots.pop()) } else { desk.plots.push(Vec::new()) }
    }
}

fn settings_keys(desk: &mut Desk, pressed: &dyn Fn(Key) -> bool, shift: bool) {
    let unit = match (pressed(Key::U), pressed(Key::J), shift) {
        (true, _, false) => Some(0),
        (true, _, true) => Some(1),
        (_, true, false) => Some(2),
        (_, true, true) => Some(3),
        _ => None,
    };
    if let Some(which) = unit {
        let [Choice { value, all, .. }] = &mut choices(&mut desk.settings.units)[which..=which] else {
            return;
        };
        let at = all.iter().position(|unit| *unit == value.as_str()).map_or(0, |at| (at + 1) % all.len());
        **value = all[at].to_owned();
    } else if pressed(Key::K) {
        let all = Palette::ALL;
        let at = all.iter().position(|p| *p == desk.settings.palette).unwrap_or(0);
        desk.settings.palette = all[(at + 1) % all.len()];
    } else if pressed(Key::M) && shift {
        desk.settings.fine = Some(!desk.fine());
    } else if pressed(Key::M) {
        desk.set_dark(!desk.is_dark());
    } else {
        return;
    }
    desk.apply_settings();
}

fn scene_keys(desk: &mut Desk, pressed: &dyn Fn(Key) -> bool) {
    let Some(shown) = &mut desk.shown else { return };
    if pressed(Key::C) && !shown.fields.is_empty() {
        let at = shown.field.as_ref().and_then(|f| shown.fields.iter().position(|q| *q == f.quantity));
        let next = shown.fields[at.map_or(0, |a| (a + 1) % shown.fields.len())].clone();
        shown.colour_by(&next);
    } else if pressed(Key::L) {
        shown.arcs = scene::next(shown.arcs);
    } else if pressed(Key::G) {
        shown.ghosts = !shown.ghosts;
    } else if pressed(Key::T) {
        shown.labels = !shown.labels;
    } else if pressed(Key::H) {
        shown.legend = !shown.legend;
    } else {
        return;
    }
    desk.touched = true;
}
