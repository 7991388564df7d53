//! Links as arcs from each device to the broker; a message under way is a bright stretch that runs along its arc.

use super::{
    layout::from_world,
    palette,
    refresh::device_place,
    show::{Arcs, Picked, Shown},
    side::{Showing, Side},
};
use crate::{
    fleet::Device,
    sim::spell::{LINK_DOWN, Spell},
};
use bevy::{camera::visibility::RenderLayers, prelude::*};
use twinfleet_engine::{mirror::follow::live::OFFLINE, time::SimTime};

/// Points of an arc.
const POINTS: usize = 18;
/// Arcs drawn at most: beyond, they tell nothing, and every so many devices' are drawn.
const MOST: usize = 400;

/// A device's arc: how fresh its last message is, 0–1, and whether it is drawn without one.
struct Arc {
    device: usize,
    fresh: f32,
    all: bool,
}

/// The arcs that there are, of which a fair sample is drawn.
fn arcs(shown: &Shown) -> Vec<Arc> {
    let step_s = (shown.opened.plan.scenario.step.as_secs_f64()).max(1e-3);
    let lasting_s = (step_s * 2.0).max(0.6);
    let of = |(device, d): (usize, &Device)| {
        let ordinal = d.ordinal.filter(|_| shown.hidden != Some(device))?;
        let picked = shown.picked == Some(Picked::Device(device));
        let sent = shown.frame.sent.get(ordinal as usize).copied().unwrap_or(SimTime::NEVER);
        let age_s = if sent == SimTime::NEVER { f64::INFINITY } else { (shown.t - sent).as_secs_f64() };
        let fresh = (1.0 - age_s / lasting_s).clamp(0.0, 1.0) as f32;
        let all = shown.arcs == Arcs::All || picked;
        let there = picked || shown.arcs != Arcs::None && (fresh > 0.0 || all);
        there.then_some(Arc { device, fresh, all })
    };
    shown.fleet.devices.iter().enumerate().filter_map(of).collect()
}

/// Of how many arcs one is drawn, for the legend.
pub fn one_of(shown: &Shown) -> usize {
    arcs(shown).len().div_ceil(MOST).max(1)
}

/// Lines that are seen from across the room.
pub fn thick_lines<S: Side>(mut store: ResMut<GizmoConfigStore>) {
    let (config, _) = store.config_mut::<S::Lines>();
    config.line.width = 2.2;
    config.render_layers = RenderLayers::layer(S::LAYER);
}

/// Draws the arcs and the frame around what is picked.
pub fn draw<S: Side>(mut gizmos: Gizmos<S::Lines>, shown: Res<Showing<S>>) {
    let hub = shown.layout.hub + Vec3::Y * 1.6;
    let all = arcs(&shown);
    let every = all.len().div_ceil(MOST).max(1);
    for (k, Arc { device: index, fresh, all }) in all.into_iter().enumerate() {
        let device = &shown.fleet.devices[index];
        // What is picked is drawn in any case.
        if k % every != 0 && shown.picked != Some(Picked::Device(index)) {
            continue;
        }
        let from = device_place(&shown, index) + Vec3::Y * 0.25;
        let down = shown.spells.iter().any(|s| silences(s, device));
        let color = palette::srgb(if down { palette::OUTAGE } else { palette::MESSAGE });
        let head = 1.0 - fresh;
        let points = (0..=POINTS).map(|k| {
            let u = k as f32 / POINTS as f32;
            // Brightest where the message is.
            let near = (1.0 - (u - head).abs() * 3.0).clamp(0.0, 1.0) * fresh.min(1.0);
            let alpha = if all { 0.22 } else { 0.10 * fresh } + 0.78 * near;
            (arc(from, hub, u), color.with_alpha(alpha))
        });
        gizmos.linestrip_gradient(points);
    }
    joints(&mut gizmos, &shown);
    if let Some(picked) = shown.picked {
        let (at, size) = match picked {
            Picked::Device(d) => (device_place(&shown, d) + Vec3::Y * 0.2, Vec3::new(1.12, 0.45, 1.0)),
            Picked::Zone(z) => match shown.layout.rooms.iter().find(|r| r.zone == z) {
                Some(room) => (room.center + Vec3::Y * 0.75, Vec3::new(room.size.x, 1.5, room.size.y)),
                None => return,
            },
        };
        gizmos.cube(Transform::from_translation(at).with_scale(size), palette::srgb(palette::SELECTED));
    }
}

/// Whether nothing of a device arrives while this is so: by itself, or by its link.
fn silences(spell: &Spell, device: &Device) -> bool {
    match spell.what.as_str() {
        "gap" | OFFLINE => spell.subject == device.id,
        LINK_DOWN => device.link.as_ref() == Some(&spell.subject),
        _ => false,
    }
}

/// What ties bodies together: a rod where their centres are apart.
fn joints<G: GizmoConfigGroup>(gizmos: &mut Gizmos<G>, shown: &Shown) {
    let Some(scene) = &shown.opened.plan.scenario.world.scene else { return };
    for joint in &scene.joints {
        let place = |id: &str| {
            let body = scene.bodies.iter().position(|b| b.id == id)?;
            Some(shown.layout.bodies + from_world(shown.frame.bodies.get(body)?.position_m))
        };
        if let (Some(a), Some(b)) = (place(&joint.between.0), place(&joint.between.1)) {
            gizmos.line(a, b, Color::srgb(0.75, 0.78, 0.82));
        }
    }
}

fn arc(from: Vec3, to: Vec3, u: f32) -> Vec3 {
    let rise = (from.distance(to) * 0.22).min(4.0);
    from.lerp(to, u) + Vec3::Y * (4.0 * u * (1.0 - u) * rise)
}
