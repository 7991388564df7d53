//! Names over what they name, and the legend: painted over the 3D view by egui, in the window and in pictures alike.

use super::{
    camera::Eye,
    halos::{Spot, class_color, gravest},
    palette,
    refresh::{Ranges, device_place},
    show::{Picked, Shown},
    side::Of,
};
use crate::{
    sim::spell::{Class, LINK_DOWN, SET, Spell},
    units::{number, sign},
};
use bevy::prelude::*;
use bevy_egui::egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, pos2, vec2};
use std::cmp::Reverse;

/// Names of devices are shown up to so many; beyond, only of what is picked or wrong.
const MOST_NAMES: usize = 24;

/// Names of devices at most, however many are wrong.
const MOST_TAGS: usize = 80;

/// Where more are wrong, each says what and no longer where.
const MOST_PARTS: usize = 6;

/// Figures of twins are shown beside their names up to so many twins.
const MOST_FIGURES: usize = 3;

/// For the panels' colours.
pub const fn color32([r, g, b]: [u8; 3]) -> Color32 {
    Color32::from_rgb(r, g, b)
}

/// Paints names and legend into a rectangle of the screen, where the camera's view is.
pub fn paint(
    painter: &Painter,
    view: Rect,
    shown: &Shown,
    ranges: &Ranges,
    eye: (&Camera, &GlobalTransform),
) {
    let painter = painter.with_clip_rect(view);
    let at = |place: Vec3| {
        let (camera, transform) = eye;
        let ndc = camera.world_to_ndc(transform, place).filter(|n| (0.0..=1.0).contains(&n.z))?;
        let p = view.center() + vec2(ndc.x, -ndc.y) * view.size() * 0.5;
        // What stands out at the top, such as an alarm's beam from close by, keeps its name at the edge.
        let edge = pos2(p.x, p.y.max(view.min.y + 62.0));
        Some(edge).filter(|p| view.contains(*p))
    };
    if shown.labels {
        names(&painter, shown, &at);
    }
    if shown.legend {
        let picked = match shown.picked {
            Some(Picked::Device(d)) => at(device_place(shown, d) + Vec3::Y * 0.2),
            _ => None,
        };
        legend(&painter, view, shown, ranges, picked);
    }
}

fn names(painter: &Painter, shown: &Shown, at: &dyn Fn(Vec3) -> Option<Pos2>) {
    let zones = &shown.opened.plan.scenario.world.zones;
    let wrong = gravest(shown);
    for room in &shown.layout.rooms {
        let edge = room.center + Vec3::new(0.0, 0.0, room.size.y / 2.0);
        if let Some(p) = at(edge) {
            let mut text = zones[room.zone].id.clone();
            let own =
                shown.field.as_ref().and_then(|f| Some((f, f.zones.get(room.zone).copied().flatten()?)));
            if let Some((field, value)) = own.and_then(|(f, id)| Some((f, shown.frame.value(id)?))) {
                text += &format!("  {}", shown.units.figure(f64::from(value), &field.unit));
            }
            if let Some(spell) = wrong.get(&Spot::Zone(room.zone)) {
                text += &format!("  {}", says(spell));
            }
            tag(painter, p + vec2(0.0, 10.0), &text, 15.0, Color32::WHITE, back(shown, 170));
        }
    }
    let few = shown.fleet.devices.len() <= MOST_NAMES;
    let room = shown.opened.plan.scenario.mirror.len() <= MOST_FIGURES;
    let is_picked = |index: usize| shown.picked == Some(Picked::Device(index));
    let mut due: Vec<Due<'_>> = Vec::new();
    for (index, device) in shown.fleet.devices.iter().enumerate() {
        let spell = wrong.get(&Spot::Device(index)).copied();
        if shown.hidden == Some(index) || !(few || is_picked(index) || spell.is_some()) {
            continue;
        }
        let lift = match (device.twin.is_some(), spell.map(|s| s.class)) {
            (_, Some(Class::Alarm)) => 3.25,
            (_, Some(_)) => 1.75,
            (true, None) => 1.05,
            (false, None) => 0.42,
        };
        due.extend(at(device_place(shown, index) + Vec3::Y * lift).map(|p| (index, spell, p)));
    }
    foremost(&mut due, &is_picked);
    let mut taken: Vec<Rect> = Vec::new();
    for (index, spell, p) in due {
        let picked = is_picked(index);
        let back = spell.map_or(back(shown, 150), |s| color32(class_color(s.class)));
        let ink =
            if spell.is_some_and(|s| s.class == Class::Injected) { Color32::BLACK } else { Color32::WHITE };
        let mut text = shown.fleet.devices[index].id.clone();
        if let Some(spell) = spell {
            text += &match wrong.len() {
                ..=MOST_PARTS => format!(": {}", says(spell)),
                _ => format!(": {}", spell.what.replace('_', " ")),
            };
        }
        let size = if spell.is_some() || picked { 14.0 } else { 12.5 };
        let p = free(painter, p, &text, size, &mut taken);
        tag(painter, p, &text, size, ink, back);
        if room || picked {
            figures(painter, shown, index, p + vec2(0.0, size + 7.0));
        }
    }
}

/// A device whose name is due, what is wrong with it, and where its name would stand.
type Due<'a> = (usize, Option<&'a Spell>, Pos2);

/// Of very many, what is picked and the gravest: names over each other tell nothing, and each is kept clear of all others.
fn foremost(due: &mut Vec<Due<'_>>, is_picked: &dyn Fn(usize) -> bool) {
    if due.len() <= MOST_TAGS {
        return;
    }
    due.sort_by_key(|(index, spell, _)| (!is_picked(*index), Reverse(spell.map(|s| s.class)), *index));
    due.truncate(MOST_TAGS);
    due.sort_unstable_by_key(|(index, ..)| *index);
}

/// What a spell says, in a few words.
pub fn says(spell: &Spell) -> String {
    let what = match spell.what.as_str() {
        // What is let in from outside comes by a door or a window.
        "disturb_start" if spell.detail.contains("air changes") => return format!("open: {}", spell.detail),
        "disturb_start" => return format!("disturbance: {}", spell.detail),
        "weather_start" => "other weather".to_owned(),
        SET => {
            let to = format!("{} set to {} {}", spell.part, number(spell.value), sign(&spell.unit));
            return to.trim_end().to_owned();
        }
        LINK_DOWN => return "down".to_owned(),
        what => what.replace('_', " "),
    };
    let part = if spell.part.is_empty() || spell.part == "device.stream" { "" } else { spell.part.as_str() };
    match (spell.class, part) {
        (Class::Injected, "") => format!("{what} put in"),
        (Class::Injected, part) => format!("{what} put in ({part})"),
        (Class::Outage, _) | (_, "") => what,
        (_, part) => format!("{what} ({part})"),
    }
}

/// A twin's figures beside its physical's.
fn figures(painter: &Painter, shown: &Shown, index: usize, p: Pos2) {
    let device = &shown.fleet.devices[index];
    let Some(twin) = device.twin.filter(|_| shown.ghosts) else { return };
    let mut p = p;
    for pair in shown.fleet.pairs(twin).iter().take(2) {
        let (Some(real), Some(held)) = (shown.frame.value(pair.reported), shown.frame.value(pair.estimate))
        else {
            continue;
        };
        let figure = |v: f32| shown.units.figure(f64::from(v), &pair.unit);
        let text = format!("{}  {}   twin {}", pair.name, figure(real), figure(held));
        tag(painter, p, &text, 12.0, Color32::from_gray(235), back(shown, 150));
        p.y += 18.0;
    }
}

/// What is behind white letters: darker over a light ground, which shines through.
const fn back(shown: &Shown, dark: u8) -> Color32 {
    Color32::from_black_alpha(if shown.dark { dark } else { 240 })
}

/// A tag's middle, above those that are there already.
fn free(painter: &Painter, center: Pos2, text: &str, size: f32, taken: &mut Vec<Rect>) -> Pos2 {
    let wide = painter.layout_no_wrap(text.to_owned(), FontId::proportional(size), Color32::WHITE).size();
    let mut rect = Rect::from_center_size(center, wide + vec2(10.0, 4.0));
    // Each step clears one tag; what finds no place below the view's edge stands over others.
    for _ in 0..MOST_NAMES {
        let Some(other) = taken.iter().find(|t| t.intersects(rect)) else { break };
        let above = rect.translate(vec2(0.0, other.min.y - rect.max.y - 1.0));
        if above.min.y < painter.clip_rect().min.y {
            break;
        }
        rect = above;
    }
    taken.push(rect);
    rect.center()
}

fn tag(painter: &Painter, center: Pos2, text: &str, size: f32, ink: Color32, back: Color32) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(size), ink);
    let rect = Rect::from_center_size(center, galley.size() + vec2(10.0, 4.0));
    painter.rect_filled(rect, 4.0, back);
    painter.galley(rect.min + vec2(5.0, 2.0), galley, ink);
}

/// Where the view has no room for it beside what is picked, it is left out.
fn legend(painter: &Painter, view: Rect, shown: &Shown, ranges: &Ranges, picked: Option<Pos2>) {
    let of_links = match super::links::one_of(shown) {
        1 => "message".to_owned(),
        every => format!("message; of {every} links one is drawn"),
    };
    let mut lines: Vec<(Color32, &str)> = Vec::new();
    let has = |class: Class| shown.spells.iter().any(|s| s.class == class);
    if has(Class::Alarm) {
        lines.push((color32(palette::ALARM), "alarm of a twin"));
    }
    if has(Class::Injected) {
        lines.push((color32(palette::INJECTED), "put in by the timeline"));
    }
    if has(Class::Outage) || shown.spells.iter().any(|s| s.what == LINK_DOWN) {
        lines.push((color32(palette::OUTAGE), "no power or no link"));
    }
    lines.push((color32(palette::MESSAGE), of_links.as_str()));
    let (width, bar) = (210.0, 14.0);
    let field = shown.field.as_ref().zip(ranges.field);
    let twins = shown.ghosts && !shown.opened.plan.scenario.mirror.is_empty();
    if twins {
        lines.push((Color32::from_gray(200), "columns: physical, glassy its twin"));
    }
    let height = 12.0
        + if field.is_some() { 58.0 } else { 0.0 }
        + if twins { 58.0 } else { 0.0 }
        + lines.len() as f32 * 18.0;
    let rect =
        Rect::from_min_size(view.left_bottom() + vec2(14.0, -14.0 - height), vec2(width + 24.0, height));
    let covers = |rect: Rect| picked.is_some_and(|p| rect.expand(40.0).contains(p));
    let right = rect.translate(vec2(view.width() - rect.width() - 28.0, 0.0));
    let rect = if covers(rect) { right } else { rect };
    // Of a small view at a big scale it would fill the better part.
    if covers(rect) || rect.height() > view.height() * 0.75 || rect.width() > view.width() * 0.6 {
        return;
    }
    painter.rect_filled(rect, 7.0, back(shown, 165));
    let font = FontId::proportional(12.5);
    let mut y = rect.min.y + 8.0;
    let x = rect.min.x + 12.0;
    let white = Color32::from_gray(240);
    let gradient = |y: f32, title: &str, marks: [String; 3], color: &dyn Fn(f32) -> [u8; 3]| {
        painter.text(pos2(x, y), Align2::LEFT_TOP, title, font.clone(), white);
        let steps = 70;
        for k in 0..steps {
            let share = k as f32 / (steps - 1) as f32;
            let cell = Rect::from_min_size(
                pos2(x + width * k as f32 / steps as f32, y + 18.0),
                vec2(width / steps as f32 + 0.6, bar),
            );
            painter.rect_filled(cell, 0.0, color32(color(share)));
        }
        let frame = Rect::from_min_size(pos2(x, y + 18.0), vec2(width, bar));
        painter.rect_stroke(frame, 0.0, Stroke::new(1.0, Color32::from_gray(120)), StrokeKind::Outside);
        for (share, mark) in [0.0, 0.5, 1.0].into_iter().zip(marks) {
            let align = [Align2::LEFT_TOP, Align2::CENTER_TOP, Align2::RIGHT_TOP][(share * 2.0) as usize];
            let p = pos2(x + width * share, y + 18.0 + bar + 2.0);
            painter.text(p, align, mark, FontId::proportional(11.5), white);
        }
    };
    if let Some((field, (low, high))) = field {
        let units = &shown.units;
        let title = format!("{} [{}]", field.quantity.replace('_', " "), sign(&units.shown(&field.unit)));
        let mark = |v: f32| number(units.value(f64::from(v), &field.unit));
        // Beyond its ends the colours are those of the ends.
        let there = |beyond: &dyn Fn(f32) -> bool| field.values(&shown.frame).any(beyond);
        let (below, above) = (there(&|v| v < low), there(&|v| v > high));
        let end =
            |sign: &str, beyond: bool, v: f32| if beyond { format!("{sign} {}", mark(v)) } else { mark(v) };
        let marks = [end("≤", below, low), mark((low + high) / 2.0), end("≥", above, high)];
        gradient(y, title.trim_end_matches(" []"), marks, &|s| palette::color(shown.palette, s));
        y += 58.0;
    }
    if twins {
        let marks = ["−5 σ", "0", "+5 σ"].map(str::to_owned);
        gradient(y, "physical above, below its twin", marks, &|s| palette::residual(s * 2.0 - 1.0));
        y += 58.0;
    }
    for (color, text) in lines {
        painter.circle_filled(pos2(x + 6.0, y + 8.0), 5.0, color);
        painter.text(pos2(x + 18.0, y), Align2::LEFT_TOP, text, font.clone(), white);
        y += 18.0;
    }
}

/// The title of a picture: which scenario, when.
pub fn title(painter: &Painter, view: Rect, shown: &Shown) {
    headline(painter, view, shown, &format!("{}   t = {}", shown.opened.title, shown.t));
}

/// A line in the upper left corner of a view.
pub fn headline(painter: &Painter, view: Rect, shown: &Shown, text: &str) {
    let at = view.left_top() + vec2(14.0, 14.0);
    let (text, wide) = (text.to_owned(), view.width() - 44.0);
    let galley = painter.layout(text, FontId::proportional(16.0), Color32::WHITE, wide.max(40.0));
    let rect = Rect::from_min_size(at, galley.size() + vec2(16.0, 10.0));
    painter.rect_filled(rect, 6.0, back(shown, 165));
    painter.galley(rect.min + vec2(8.0, 5.0), galley, Color32::WHITE);
}

/// The camera that looks at a side.
pub type EyeQuery<'w, 's, S> =
    Query<'w, 's, (&'static Camera, &'static GlobalTransform), (With<Eye>, With<Of<S>>)>;

/// The two halves of a view: what is kept beside stands on the left, what is worked with on the right.
pub fn halves(view: Rect) -> (Rect, Rect) {
    let middle = view.center().x;
    let left = Rect::from_min_max(view.min, pos2(middle - 1.0, view.max.y));
    (left, Rect::from_min_max(pos2(middle + 1.0, view.min.y), view.max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ten_thousand_that_are_wrong_the_picked_and_the_gravest_are_named() {
        let spell = |class: Class| Spell::open(class, "", "");
        let (put_in, alarm) = (spell(Class::Injected), spell(Class::Alarm));
        let of = |index: usize| if index % 1_000 == 7 { &alarm } else { &put_in };
        let mut due: Vec<Due<'_>> = (0..10_000).map(|k| (k, Some(of(k)), Pos2::ZERO)).collect();
        foremost(&mut due, &|index| index == 9_999);
        let named: Vec<usize> = due.iter().map(|(index, ..)| *index).collect();
        assert_eq!(named.len(), MOST_TAGS);
        assert!(named.is_sorted() && named.contains(&9_999));
        assert_eq!(named.iter().filter(|k| **k % 1_000 == 7).count(), 10, "every alarm");
        // Of a few, all are.
        due.truncate(5);
        foremost(&mut due, &|_| false);
        assert_eq!(due.len(), 5);
    }
}
