//! Where everything stands. A scenario names zones and devices and no places, so places are dealt out, the same for the same
//! scenario: rooms in rows, devices in rows within them, devices in the open on a lawn before them, rigid bodies where the
//! simulation has them.
//!
//! Scene units: a board of real size times [`BOARD_SCALE`]; x to the right, y up, z towards the first view.

use crate::fleet::Fleet;
use bevy::math::{Vec2, Vec3};
use twinfleet_engine::{physics::ShapeDef, plan::Plan, scenario::Scenario};

/// How many times its real size a board has.
pub const BOARD_SCALE: f32 = 11.0;
/// How many times its real size a rigid body has.
pub const BODY_SCALE: f32 = 3.0;
/// From device to device.
const PITCH: f32 = 1.35;
/// The same where devices have twins, whose ghosts and columns stand beside them.
const TWIN_PITCH: f32 = 2.7;
/// Between rooms that share no wall.
const GAP: f32 = 1.4;
/// Height of a room's far walls.
pub const WALL: f32 = 1.5;

/// A zone as a room.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// Index of the zone.
    pub zone: usize,
    /// Middle of its floor.
    pub center: Vec3,
    /// Its floor along x and z.
    pub size: Vec2,
    /// Whether light comes in through its walls.
    pub glass: bool,
    /// Whether something grows in it.
    pub planted: bool,
}

/// Where everything stands.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Zones.
    pub rooms: Vec<Room>,
    /// Place of each device, by its index; of one that rides on a body, where the body starts.
    pub devices: Vec<Vec3>,
    /// The broker.
    pub hub: Vec3,
    /// The lawn of the devices in the open: its middle and size; none where there are none.
    pub lawn: Option<(Vec3, Vec2)>,
    /// Whether the lawn is a table for physicals.
    pub bench: bool,
    /// Where the origin of the rigid bodies is.
    pub bodies: Vec3,
    /// Lowest and highest corner of everything.
    pub bounds: (Vec3, Vec3),
}

impl Layout {
    /// Deals out the places.
    pub fn of(plan: &Plan, fleet: &Fleet) -> Self {
        let scenario = &plan.scenario;
        let mut layout = Self { devices: vec![Vec3::ZERO; fleet.devices.len()], ..Self::default() };
        let mut inside: Vec<Vec<usize>> = vec![Vec::new(); scenario.world.zones.len()];
        let mut outside = Vec::new();
        for (at, device) in fleet.devices.iter().enumerate() {
            match (device.zone, &device.body) {
                (_, Some(_)) => {}
                (Some(zone), None) => inside[zone].push(at),
                (None, None) => outside.push(at),
            }
        }
        let front = layout.place_rooms(scenario, fleet, &inside);
        layout.place_outside(fleet, &outside, front);
        layout.place_bodies(scenario, fleet);
        layout.bound(scenario);
        layout
    }

    /// The lawn's or bench's middle, a room's, or a device's place by its name.
    pub fn center(&self) -> Vec3 {
        (self.bounds.0 + self.bounds.1) * 0.5
    }

    /// Radius of the ball around everything.
    pub fn radius(&self) -> f32 {
        ((self.bounds.1 - self.bounds.0).length() * 0.5).max(1.2)
    }

    /// Place of the k-th device that was carried into a zone, or outdoors: along the front edge, from the left.
    pub fn guest(&self, zone: Option<usize>, k: usize) -> Vec3 {
        let room = zone.and_then(|z| self.rooms.iter().find(|r| r.zone == z));
        let (left, front, width) = match room {
            Some(room) => (room.center.x - room.size.x / 2.0, room.center.z + room.size.y / 2.0, room.size.x),
            None => (self.bounds.0.x, self.bounds.1.z + PITCH, self.bounds.1.x - self.bounds.0.x),
        };
        let in_row = ((width / (PITCH * 0.7)) as usize).max(1);
        let inward = if room.is_some() { -1.0 } else { 1.0 };
        let (x, row) = ((k % in_row) as f32 + 0.6, (k / in_row) as f32);
        Vec3::new(left + x * PITCH * 0.7, 0.0, front + inward * (0.35 + row * PITCH * 0.6))
    }

    /// Places rooms in rows; where the next row would begin.
    fn place_rooms(&mut self, scenario: &Scenario, fleet: &Fleet, inside: &[Vec<usize>]) -> f32 {
        let zones = &scenario.world.zones;
        if zones.is_empty() {
            return 0.0;
        }
        let size = |zone: usize| {
            let n = inside[zone].len().max(1);
            let pitch = pitch(fleet, &inside[zone]);
            let columns = (n as f32 * 1.4).sqrt().ceil();
            let rows = (n as f32 / columns).ceil();
            (
                Vec2::new(columns * pitch + 0.9, rows * pitch + 0.9).max(Vec2::splat(3.0)),
                columns as usize,
                pitch,
            )
        };
        let per_row = (zones.len() as f32).sqrt().ceil() as usize;
        let shares = |a: usize, b: usize| {
            zones[a].neighbours.iter().any(|n| n.zone == zones[b].id)
                || zones[b].neighbours.iter().any(|n| n.zone == zones[a].id)
        };
        let mut z = 0.0;
        for row in (0..zones.len()).collect::<Vec<_>>().chunks(per_row) {
            let mut x = 0.0;
            let depth = row.iter().map(|zone| size(*zone).0.y).fold(0.0, f32::max);
            let first = self.rooms.len();
            for (k, zone) in row.iter().enumerate() {
                let (own, columns, pitch) = size(*zone);
                if k > 0 {
                    x += if shares(row[k - 1], *zone) { 0.0 } else { GAP };
                }
                let center = Vec3::new(x + own.x / 2.0, 0.0, z + depth / 2.0);
                let def = &zones[*zone];
                self.rooms.push(Room {
                    zone: *zone,
                    center,
                    size: Vec2::new(own.x, depth),
                    glass: def.light_transmission > 0.0,
                    planted: def.soil.is_some(),
                });
                self.grid(&inside[*zone], center, columns, pitch);
                x += own.x;
            }
            for room in &self.rooms[first..] {
                for device in &inside[room.zone] {
                    self.devices[*device].x -= x / 2.0;
                }
            }
            for room in &mut self.rooms[first..] {
                room.center.x -= x / 2.0;
            }
            z += depth + GAP;
        }
        z
    }

    fn place_outside(&mut self, fleet: &Fleet, outside: &[usize], front: f32) {
        if outside.is_empty() {
            return;
        }
        let pitch = pitch(fleet, outside).max(PITCH * 1.1);
        let columns = (outside.len() as f32 * 1.8).sqrt().ceil() as usize;
        let rows = outside.len().div_ceil(columns);
        let size = Vec2::new(columns as f32 * pitch + 0.8, rows as f32 * pitch + 0.8);
        let center = Vec3::new(0.0, 0.0, front + size.y / 2.0);
        self.grid(outside, center, columns, pitch);
        self.bench = outside.iter().all(|d| fleet.devices[*d].group.is_none());
        self.lawn = Some((center, size));
    }

    fn grid(&mut self, devices: &[usize], center: Vec3, columns: usize, pitch: f32) {
        let rows = devices.len().div_ceil(columns.max(1));
        for (k, device) in devices.iter().enumerate() {
            let (row, column) = (k / columns, k % columns);
            // The last row may be shorter: it stands in the middle.
            let in_row = if row + 1 == rows { devices.len() - row * columns } else { columns };
            let x = (column as f32 - (in_row as f32 - 1.0) / 2.0) * pitch;
            let z = (row as f32 - (rows as f32 - 1.0) / 2.0) * pitch;
            self.devices[*device] = center + Vec3::new(x, 0.0, z);
        }
    }

    fn place_bodies(&mut self, scenario: &Scenario, fleet: &Fleet) {
        let Some(scene) = &scenario.world.scene else { return };
        let right = self.rooms.iter().map(|r| r.center.x + r.size.x / 2.0);
        let right = right.chain(self.lawn.map(|(c, s)| c.x + s.x / 2.0)).fold(f32::NEG_INFINITY, f32::max);
        if right.is_finite() {
            let left = scene.bodies.iter().map(|b| b.position_m.0 as f32 - 0.5).fold(f32::INFINITY, f32::min);
            self.bodies = Vec3::new(right + GAP - left * BODY_SCALE, 0.0, 0.0);
        }
        for (at, device) in fleet.devices.iter().enumerate() {
            if let Some((body, _)) = &device.body {
                let (x, y, z) = scene.bodies[*body].position_m;
                self.devices[at] = self.bodies + from_world([x as f32, y as f32, z as f32]);
            }
        }
    }

    fn bound(&mut self, scenario: &Scenario) {
        let mut points = Vec::new();
        for room in &self.rooms {
            let half = Vec3::new(room.size.x / 2.0, 0.0, room.size.y / 2.0);
            points.extend([room.center - half, room.center + half + Vec3::Y * WALL]);
        }
        if let Some((center, size)) = self.lawn {
            let half = Vec3::new(size.x / 2.0, 0.0, size.y / 2.0);
            points.extend([center - half, center + half + Vec3::Y]);
        }
        for body in scenario.world.scene.iter().flat_map(|s| &s.bodies) {
            let (x, y, z) = body.position_m;
            let at = self.bodies + from_world([x as f32, y as f32, z as f32]);
            let reach = match body.shape {
                // A floor goes on beyond what there is to see.
                ShapeDef::Box { size_m: (a, b, c) } => {
                    let most = a.max(b).max(c);
                    if most > 3.0 { 0.0 } else { most / 2.0 }
                }
                ShapeDef::Sphere { radius_m } => radius_m,
                ShapeDef::Cylinder { radius_m, length_m } | ShapeDef::Capsule { radius_m, length_m } => {
                    radius_m + length_m / 2.0
                }
            };
            let reach = Vec3::splat(reach as f32 * BODY_SCALE);
            points.extend([at - reach, at + reach]);
        }
        let low = points.iter().copied().reduce(Vec3::min).unwrap_or(Vec3::splat(-1.0));
        let high = points.iter().copied().reduce(Vec3::max).unwrap_or(Vec3::splat(1.0));
        let low = Vec3::new(low.x, low.y.max(0.0), low.z);
        // The broker stands behind everything, in the middle.
        self.hub = Vec3::new((low.x + high.x) / 2.0, 0.0, low.z - 1.8);
        self.bounds = (low.with_z(low.z - 2.2), high.with_y(high.y.max(1.9)));
    }
}

/// A place of the simulated world (z up) in the scene (y up).
pub fn from_world([x, y, z]: [f32; 3]) -> Vec3 {
    Vec3::new(x, z, -y) * BODY_SCALE
}

fn pitch(fleet: &Fleet, devices: &[usize]) -> f32 {
    let twins = devices.iter().any(|d| fleet.devices[*d].twin.is_some());
    if twins { TWIN_PITCH } else { PITCH }
}
