//! Views: by name for pictures and keys, by hand in the window.

use super::{
    halos::{Spot, spot},
    layout::{BODY_SCALE, Layout},
    refresh::device_place,
    show::{Picked, Shown},
};
use bevy::prelude::*;
use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};

/// A camera that looks at the scene.
#[derive(Component)]
pub struct Eye;

/// Vertical field of view, [rad].
pub const FOV_Y: f32 = FRAC_PI_4;
/// Width by height that views are fitted to.
const ASPECT: f32 = 16.0 / 9.0;

/// A view: what is in its middle, how far away, from where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// What is in its middle.
    pub target: Vec3,
    /// How far away.
    pub distance: f32,
    /// About the vertical, [rad]; 0 looks along −z.
    pub yaw: f32,
    /// Down, [rad].
    pub pitch: f32,
}

/// Why there is no such view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoView(pub String);

impl View {
    /// All of the scene from a corner.
    pub fn overview(layout: &Layout) -> Self {
        Self::around(layout.bounds, 0.55, 0.62)
    }

    /// All of a box, as close as a wide picture allows.
    pub fn around((low, high): (Vec3, Vec3), yaw: f32, pitch: f32) -> Self {
        let mut view = Self { target: (low + high) * 0.5, distance: 1.0, yaw, pitch };
        let corners = (0..8).map(|k: u32| {
            let pick = |bit: u32, a: f32, b: f32| if k & bit == 0 { a } else { b };
            Vec3::new(pick(1, low.x, high.x), pick(2, low.y, high.y), pick(4, low.z, high.z))
        });
        let corners: Vec<Vec3> = corners.collect();
        let rotation = view.transform().rotation.inverse();
        let tan_y = (FOV_Y / 2.0).tan();
        let tan = Vec2::new(tan_y * ASPECT, tan_y) * 0.9;
        // Near corners are seen larger than far ones, so the middle of the picture is found step by step.
        for _ in 0..12 {
            let seen: Vec<Vec3> = corners.iter().map(|c| rotation * (*c - view.target)).collect();
            let needed = |p: &Vec3| p.z + (p.x.abs() / tan.x).max(p.y.abs() / tan.y);
            view.distance = seen.iter().map(needed).fold(0.8, f32::max);
            let place = |p: &Vec3| Vec2::new(p.x, p.y) / (view.distance - p.z).max(0.1);
            let (least, most) =
                seen.iter().map(place).fold((Vec2::MAX, Vec2::MIN), |(a, b), p| (a.min(p), b.max(p)));
            let off = (least + most) * 0.5 * view.distance;
            view.target += view.transform().rotation * Vec3::new(off.x, off.y, 0.0);
        }
        view
    }

    /// The view of this name: `overview`, `top`, `front`, `side`, `zone:ID`, `device:ID`, `alarm`.
    ///
    /// # Errors
    /// When there is none of this name: which there are.
    pub fn named(name: &str, shown: &Shown) -> Result<Self, NoView> {
        let all = Self::overview(&shown.layout);
        Ok(match name.split_once(':') {
            None if name == "overview" => all,
            None if name == "top" => Self::around(shown.layout.bounds, 0.0, FRAC_PI_2 - 0.01),
            None if name == "front" => Self::around(shown.layout.bounds, 0.0, 0.32),
            None if name == "side" => Self::around(shown.layout.bounds, FRAC_PI_2, 0.32),
            None if name == "alarm" => {
                // Of what stands somewhere: the gravest, and of several the latest.
                let placed = shown.spells.iter().filter_map(|s| Some((spot(shown, s)?, s.class)));
                match placed.max_by_key(|(_, class)| *class) {
                    Some((Spot::Device(device), _)) => Self::picked(Picked::Device(device), shown),
                    Some((Spot::Zone(zone), _)) => Self::picked(Picked::Zone(zone), shown),
                    None => all,
                }
            }
            Some(("zone", id)) => {
                let zones = &shown.opened.plan.scenario.world.zones;
                let zone = zones.iter().position(|z| z.id == id);
                let known: Vec<&str> = zones.iter().map(|z| z.id.as_str()).collect();
                let zone = zone.ok_or_else(|| NoView(unknown("zone", id, &known)))?;
                Self::picked(Picked::Zone(zone), shown)
            }
            Some(("device", id)) => {
                let known: Vec<&str> = shown.fleet.devices.iter().map(|d| d.id.as_str()).collect();
                let device = shown.fleet.find(id).ok_or_else(|| NoView(unknown("device", id, &known)))?;
                Self::picked(Picked::Device(device), shown)
            }
            _ => {
                return Err(NoView(format!(
                    "there is no view `{name}`: use overview, top, front, side, alarm, zone:ID or device:ID"
                )));
            }
        })
    }

    /// What is picked, close by.
    pub fn picked(picked: Picked, shown: &Shown) -> Self {
        let all = Self::overview(&shown.layout);
        match picked {
            Picked::Device(device) => {
                let on_body = shown.fleet.devices[device].body.is_some();
                let twin = shown.fleet.devices[device].twin.is_some();
                let radius = if on_body {
                    0.35 * BODY_SCALE
                } else if twin {
                    1.5
                } else {
                    0.8
                };
                let lift = if twin { 0.75 } else { 0.15 };
                Self {
                    target: device_place(shown, device) + Vec3::Y * lift,
                    distance: fitting(radius),
                    yaw: 0.45,
                    pitch: 0.5,
                }
            }
            Picked::Zone(zone) => match shown.layout.rooms.iter().find(|r| r.zone == zone) {
                Some(room) => {
                    let half = Vec3::new(room.size.x / 2.0, 0.0, room.size.y / 2.0);
                    Self::around((room.center - half, room.center + half + Vec3::Y * 0.8), all.yaw, all.pitch)
                }
                None => all,
            },
        }
    }

    /// The same from farther away where a view is narrower than those that it was fitted to, so that it shows as much.
    #[must_use]
    pub fn seen(mut self, aspect: f32) -> Self {
        self.distance *= (ASPECT / aspect.max(0.1)).max(1.0);
        self
    }

    /// As a camera's place.
    pub fn transform(&self) -> Transform {
        let rotation = Quat::from_euler(EulerRot::YXZ, self.yaw, -self.pitch, 0.0);
        Transform {
            translation: self.target + rotation * Vec3::Z * self.distance,
            rotation,
            scale: Vec3::ONE,
        }
    }
}

/// From how far away a ball is seen whole.
fn fitting(radius: f32) -> f32 {
    radius / (FOV_Y / 2.0).sin() * 0.88
}

fn unknown(what: &str, id: &str, known: &[&str]) -> String {
    let near = twinfleet_engine::scenario::diagnostic::near(id, known.iter().copied());
    format!("there is no {what} `{id}`{}", near.map_or_else(String::new, |n| format!("; {n}")))
}

impl View {
    /// Turned by a drag of so many points.
    pub fn orbit(&mut self, dx: f32, dy: f32) {
        self.yaw -= dx * 0.006;
        self.pitch = (self.pitch + dy * 0.006).clamp(0.02, FRAC_PI_2 - 0.01);
    }

    /// Moved by a drag of so many points, of a view that is `height` points high.
    pub fn pan(&mut self, dx: f32, dy: f32, height: f32) {
        let scale = 2.0 * self.distance * (FOV_Y / 2.0).tan() / height.max(1.0);
        let turn = Quat::from_rotation_y(self.yaw);
        self.target += turn * Vec3::new(-dx * scale, 0.0, -dy * scale / self.pitch.sin().max(0.3));
    }

    /// Closer (above 1) or farther.
    pub fn zoom(&mut self, factor: f32) {
        self.distance = (self.distance / factor).clamp(0.4, 2_000.0);
    }

    /// The ray through a place of the view, both from −1 to 1, y up.
    pub fn ray(&self, at: Vec2, aspect: f32) -> (Vec3, Vec3) {
        let eye = self.transform();
        let tan = (FOV_Y / 2.0).tan();
        let along = Vec3::new(at.x * tan * aspect, at.y * tan, -1.0);
        (eye.translation, (eye.rotation * along).normalize())
    }
}

/// What a ray meets: the nearest board, else the room whose floor it goes through.
pub fn meet(shown: &Shown, (from, along): (Vec3, Vec3)) -> Option<Picked> {
    let boards = (0..shown.fleet.devices.len()).filter(|d| shown.hidden != Some(*d)).filter_map(|device| {
        let twin = shown.fleet.devices[device].twin.is_some();
        let middle = device_place(shown, device) + Vec3::Y * 0.12;
        let reach = if twin { 0.75 } else { 0.42 };
        let ahead = (middle - from).dot(along);
        let miss = (from + along * ahead).distance(middle);
        (ahead > 0.0 && miss < reach).then_some((ahead + miss * 2.0, device))
    });
    let nearest = boards.min_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((_, device)) = nearest {
        return Some(Picked::Device(device));
    }
    let down = -from.y / along.y;
    let floor = from + along * down;
    let room = shown.layout.rooms.iter().find(|r| {
        let off = (floor - r.center).abs();
        down > 0.0 && off.x < r.size.x / 2.0 && off.z < r.size.y / 2.0
    });
    room.map(|r| Picked::Zone(r.zone))
}
