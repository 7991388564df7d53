//! Entities of a scenario, made anew whenever another one is shown.

use super::{
    layout::{BOARD_SCALE, BODY_SCALE, Layout, Room, WALL},
    meshes::{Shapes, look_name},
    plain::Skin,
    show::Shown,
    side::{Of, Showing, Side, of},
};
use crate::fleet::{Board, Look};
use bevy::{
    asset::RenderAssetUsages,
    light::CascadeShadowConfigBuilder,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use std::{collections::HashMap, marker::PhantomData};
use twinfleet_engine::physics::{BodyKind, ShapeDef};

/// Cells of a floor's heat map along its longer side.
const FLOOR_CELLS: f32 = 22.0;

/// Materials that many share.
#[derive(Resource)]
pub struct Materials {
    /// Boards and whatever else brings its own colours.
    pub own: Handle<StandardMaterial>,
    /// Floors and pads, coloured by figures.
    pub floor: Handle<StandardMaterial>,
    /// Walls one can see through.
    pub glass: Handle<StandardMaterial>,
    /// Walls one cannot.
    pub wall: Handle<StandardMaterial>,
    /// The sill that stands where a wall is cut away.
    pub sill: Handle<StandardMaterial>,
    /// Around everything.
    pub ground: Handle<StandardMaterial>,
    /// The lawn.
    pub lawn: Handle<StandardMaterial>,
    /// A table top.
    pub bench: Handle<StandardMaterial>,
}

/// Which scenario the entities are of, and how many there are: for the performance panel.
#[derive(Resource)]
pub struct Counted<S: Side> {
    generation: u64,
    /// Boards.
    pub boards: usize,
    of: PhantomData<S>,
}

impl<S: Side> Default for Counted<S> {
    fn default() -> Self {
        Self { generation: 0, boards: 0, of: PhantomData }
    }
}

/// An entity of the scenario that is shown.
#[derive(Component)]
pub struct Built;

/// A room's floor.
#[derive(Component)]
pub struct Floor {
    /// Index of the room.
    pub room: usize,
    /// Places of its vertices in the scene.
    pub points: Vec<Vec3>,
}

/// The pads of all devices outside rooms, in one mesh of four vertices each.
#[derive(Component)]
pub struct Pads(pub Vec<usize>);

/// A device's board.
#[derive(Component)]
pub struct BoardOf {
    /// Index of the device.
    pub device: usize,
    /// Its mesh close by.
    pub full: Handle<Mesh>,
    /// Its mesh far away.
    pub far: Handle<Mesh>,
}

/// A twin's board.
#[derive(Component)]
pub struct GhostOf {
    /// Index of the device that it follows.
    pub device: usize,
}

/// A column whose height is a figure.
#[derive(Component)]
pub struct Column {
    /// Index of the device.
    pub device: usize,
    /// Which of the twin's pairs.
    pub pair: usize,
    /// Whether it is the twin's.
    pub twin: bool,
    /// Its foot, from its device.
    pub offset: Vec3,
}

/// An actuator, which glows by its level.
#[derive(Component)]
pub struct ActuatorOf {
    /// Index of the device.
    pub device: usize,
    /// Index of its part.
    pub part: usize,
    /// What it is.
    pub look: Look,
    /// Where it stands, from its device.
    pub offset: Vec3,
}

/// A rigid body.
#[derive(Component)]
pub struct BodyOf(pub usize);

/// A wall, cut away when it stands before the camera.
#[derive(Component)]
pub struct Wall {
    /// Away from the room.
    pub outward: Vec3,
    /// Whether this is the low sill that stands in its place.
    pub sill: bool,
}

/// The sun.
#[derive(Component)]
pub struct Sun;

/// Makes the materials that many share.
pub fn materials(mut commands: Commands, mut all: ResMut<Assets<StandardMaterial>>) {
    let mut plain = |color: Color, rough: f32| {
        all.add(StandardMaterial {
            base_color: color,
            perceptual_roughness: rough,
            reflectance: 0.25,
            ..default()
        })
    };
    let own = plain(Color::WHITE, 0.65);
    let floor = plain(Color::WHITE, 0.95);
    let wall = plain(Color::srgb(0.72, 0.74, 0.78), 0.9);
    let sill = plain(Color::srgb(0.55, 0.58, 0.63), 0.9);
    let ground = plain(Color::srgb(0.17, 0.19, 0.22), 1.0);
    let lawn = plain(Color::srgb(0.24, 0.34, 0.25), 1.0);
    let bench = plain(Color::srgb(0.50, 0.40, 0.30), 0.8);
    let glass = all.add(StandardMaterial {
        base_color: Color::srgba(0.62, 0.80, 0.92, 0.20),
        alpha_mode: AlphaMode::Blend,
        perceptual_roughness: 0.2,
        double_sided: true,
        cull_mode: None,
        ..default()
    });
    commands.insert_resource(Materials { own, floor, glass, wall, sill, ground, lawn, bench });
}

/// Makes the entities of another scenario.
#[expect(clippy::too_many_arguments, reason = "a system's parameters are all that it touches")]
pub fn rebuild<S: Side>(
    mut commands: Commands,
    shown: Option<Res<Showing<S>>>,
    mut counted: ResMut<Counted<S>>,
    shapes: Res<Shapes>,
    materials: Res<Materials>,
    mut meshes: ResMut<Assets<Mesh>>,
    mut all: ResMut<Assets<StandardMaterial>>,
    built: Query<Entity, (With<Built>, With<Of<S>>)>,
) {
    let generation = shown.as_ref().map_or(0, |s| s.generation);
    if counted.generation == generation {
        return;
    }
    for entity in &built {
        commands.entity(entity).despawn();
    }
    *counted = Counted { generation, ..Counted::default() };
    let Some(shown) = shown else { return };
    let mut builder = Builder::<S> {
        commands: &mut commands,
        shown: &shown,
        shapes: &shapes,
        materials: &materials,
        meshes: &mut meshes,
        all: &mut all,
        kinds: HashMap::new(),
        of: PhantomData,
    };
    builder.surroundings();
    for (index, room) in shown.layout.rooms.iter().enumerate() {
        builder.room(index, room);
    }
    builder.bodies();
    builder.pads();
    for device in 0..shown.fleet.devices.len() {
        builder.device(device);
    }
    counted.boards = shown.fleet.devices.len();
}

/// A mesh close by and far away.
type Made = (Handle<Mesh>, Handle<Mesh>);

struct Builder<'a, 'w, 's, S: Side> {
    commands: &'a mut Commands<'w, 's>,
    shown: &'a Shown,
    shapes: &'a Shapes,
    materials: &'a Materials,
    meshes: &'a mut Assets<Mesh>,
    all: &'a mut Assets<StandardMaterial>,
    kinds: HashMap<(Board, Vec<Look>), Made>,
    of: PhantomData<S>,
}

impl<S: Side> Builder<'_, '_, '_, S> {
    fn spawn(&mut self, bundle: impl Bundle) -> EntityCommands<'_> {
        self.commands.spawn((Built, of::<S>(), bundle))
    }

    fn layout(&self) -> &Layout {
        &self.shown.layout
    }

    fn surroundings(&mut self) {
        let radius = self.layout().radius();
        let ground = self.meshes.add(Plane3d::new(Vec3::Y, Vec2::splat(radius * 14.0 + 60.0)));
        let center = self.layout().center().with_y(-0.06);
        self.spawn((
            Mesh3d(ground),
            Skin(self.materials.ground.clone()),
            Transform::from_translation(center),
        ));
        let cascades = CascadeShadowConfigBuilder {
            num_cascades: 1,
            minimum_distance: 0.1,
            maximum_distance: radius * 9.0,
            first_cascade_far_bound: radius * 9.0,
            ..default()
        };
        self.spawn((
            Sun,
            DirectionalLight { illuminance: 2_700.0, shadow_maps_enabled: true, ..default() },
            cascades.build(),
            Transform::from_xyz(-0.55, 1.0, 0.62).looking_at(Vec3::ZERO, Vec3::Y),
        ));
        let published = !self.shown.opened.plan.scenario.mirror.is_empty()
            || self.shown.opened.plan.scenario.load.is_some()
            || self.shown.fleet.devices.iter().any(|d| d.ordinal.is_some());
        if published {
            let broker = self.meshes.add(self.shapes.get("broker").mesh());
            self.spawn((
                Mesh3d(broker),
                Skin(self.materials.own.clone()),
                Transform::from_translation(self.layout().hub).with_scale(Vec3::splat(9.0)),
            ));
        }
        if let Some((center, size)) = self.layout().lawn {
            let bench = self.layout().bench;
            let thick = if bench { 0.22 } else { 0.06 };
            let slab = self.meshes.add(Cuboid::new(size.x, thick, size.y));
            let material = if bench { &self.materials.bench } else { &self.materials.lawn };
            self.spawn((
                Mesh3d(slab),
                Skin(material.clone()),
                Transform::from_translation(center - Vec3::Y * thick / 2.0),
            ));
        }
    }

    fn room(&mut self, index: usize, room: &Room) {
        let longer = room.size.x.max(room.size.y);
        let cells = (room.size / longer * FLOOR_CELLS).round().max(Vec2::splat(4.0));
        let (mesh, points) = grid(room.size, cells.x as usize, cells.y as usize);
        let points = points.into_iter().map(|p| p + room.center).collect();
        let mesh = self.meshes.add(mesh);
        self.spawn((
            Floor { room: index, points },
            Mesh3d(mesh),
            Skin(self.materials.floor.clone()),
            Transform::from_translation(room.center),
        ));
        let slab = self.meshes.add(Cuboid::new(room.size.x + 0.16, 0.05, room.size.y + 0.16));
        self.spawn((
            Mesh3d(slab),
            Skin(self.materials.sill.clone()),
            Transform::from_translation(room.center - Vec3::Y * 0.029),
        ));
        let half = room.size / 2.0;
        for (outward, length) in [
            (Vec3::X, room.size.y),
            (Vec3::NEG_X, room.size.y),
            (Vec3::Z, room.size.x),
            (Vec3::NEG_Z, room.size.x),
        ] {
            let reach = if outward.x == 0.0 { half.y } else { half.x };
            for sill in [false, true] {
                let (height, thick) = if sill { (0.14, 0.08) } else { (WALL, 0.05) };
                let size = if outward.x == 0.0 {
                    Vec3::new(length, height, thick)
                } else {
                    Vec3::new(thick, height, length)
                };
                let mesh = self.meshes.add(Cuboid::from_size(size));
                let material = match (sill, room.glass) {
                    (true, _) => &self.materials.sill,
                    (false, true) => &self.materials.glass,
                    (false, false) => &self.materials.wall,
                };
                let at = room.center + outward * reach + Vec3::Y * height / 2.0;
                let mut wall = self.spawn((
                    Wall { outward, sill },
                    Mesh3d(mesh),
                    Skin(material.clone()),
                    Transform::from_translation(at),
                ));
                if room.glass {
                    wall.insert(bevy::light::NotShadowCaster);
                }
            }
        }
    }

    fn pads(&mut self) {
        let inside = |d: &usize| {
            let device = &self.shown.fleet.devices[*d];
            device.zone.is_none() && device.body.is_none()
        };
        let devices: Vec<usize> = (0..self.shown.fleet.devices.len()).filter(inside).collect();
        if devices.is_empty() {
            return;
        }
        let (mut positions, mut normals, mut indices) = (Vec::new(), Vec::new(), Vec::new());
        for device in &devices {
            let at = self.layout().devices[*device] + Vec3::Y * 0.012;
            let wide = if self.shown.fleet.devices[*device].twin.is_some() { 1.0 } else { 0.56 };
            let first = positions.len() as u32;
            for (x, z) in [(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)] {
                positions.push((at + Vec3::new(x * wide, 0.0, z * 0.58)).to_array());
                normals.push([0.0, 1.0, 0.0]);
            }
            indices.extend([0, 1, 2, 0, 2, 3].map(|i| first + i));
        }
        let colors = vec![[0.5, 0.5, 0.5, 1.0]; positions.len()];
        let mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, positions)
            .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, normals)
            .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, colors)
            .with_inserted_indices(Indices::U32(indices));
        let mesh = self.meshes.add(mesh);
        let material = Skin(self.materials.floor.clone());
        self.spawn((Pads(devices), Mesh3d(mesh), material, Transform::default()));
    }

    fn device(&mut self, index: usize) {
        let shown = self.shown;
        let device = &shown.fleet.devices[index];
        let looks: Vec<Look> = device.parts.iter().filter_map(|p| p.look).collect();
        let key = (device.board, looks.clone());
        let (full, far) = match self.kinds.get(&key) {
            Some(made) => made.clone(),
            None => {
                let (full, far) = self.shapes.device(device.board, &looks);
                let made = (self.meshes.add(full.mesh()), self.meshes.add(far.mesh()));
                self.kinds.insert(key, made.clone());
                made
            }
        };
        let at = shown.layout.devices[index];
        let scale = if device.body.is_some() { BODY_SCALE * 1.4 } else { BOARD_SCALE };
        let place = Transform::from_translation(at + Vec3::Y * 0.02).with_scale(Vec3::splat(scale));
        self.spawn((
            BoardOf { device: index, full: full.clone(), far },
            Mesh3d(full.clone()),
            Skin(self.materials.own.clone()),
            place,
        ));
        let parts: Vec<usize> = (0..device.parts.len()).filter(|p| device.parts[*p].look.is_some()).collect();
        for (slot, look, offset) in self.shapes.actuators(device.board, &looks) {
            let mesh = self.meshes.add(self.shapes.get(look_name(look)).mesh());
            let material = self.all.add(StandardMaterial { perceptual_roughness: 0.7, ..default() });
            self.spawn((
                ActuatorOf { device: index, part: parts[slot], look, offset: offset * BOARD_SCALE },
                Mesh3d(mesh),
                Skin(material),
                Transform::from_translation(at + offset * BOARD_SCALE).with_scale(Vec3::splat(BOARD_SCALE)),
            ));
        }
        if let Some(twin) = device.twin {
            self.twin(index, twin, at, full);
        }
    }

    fn twin(&mut self, index: usize, twin: usize, at: Vec3, mesh: Handle<Mesh>) {
        let ghost = |color: Color| StandardMaterial {
            base_color: color,
            alpha_mode: AlphaMode::Blend,
            unlit: true,
            ..default()
        };
        let material = self.all.add(ghost(Color::srgba(0.8, 0.9, 1.0, 0.4)));
        self.spawn((
            GhostOf { device: index },
            Mesh3d(mesh),
            Skin(material),
            bevy::light::NotShadowCaster,
            Transform::from_translation(at + Vec3::Y * 0.45).with_scale(Vec3::splat(BOARD_SCALE)),
        ));
        let pairs = self.shown.fleet.pairs(twin).len().min(4);
        for pair in 0..pairs {
            for of_twin in [false, true] {
                let x =
                    (pair as f32 - (pairs as f32 - 1.0) / 2.0) * 0.55 + if of_twin { 0.11 } else { -0.11 };
                let mesh = self.meshes.add(Cuboid::new(0.18, 1.0, 0.18));
                let material = self.all.add(if of_twin {
                    ghost(Color::srgba(0.8, 0.9, 1.0, 0.5))
                } else {
                    StandardMaterial { perceptual_roughness: 0.8, ..default() }
                });
                self.spawn((
                    Column { device: index, pair, twin: of_twin, offset: Vec3::new(x, 0.0, -0.72) },
                    Mesh3d(mesh),
                    Skin(material),
                    Transform::from_translation(at + Vec3::new(x, 0.5, -0.72)),
                ));
            }
        }
    }

    fn bodies(&mut self) {
        let Some(scene) = self.shown.opened.plan.scenario.world.scene.clone() else { return };
        for (index, body) in scene.bodies.iter().enumerate() {
            let k = BODY_SCALE;
            // What goes about as a box is a parcel, or the case of something that drives.
            if let (BodyKind::Dynamic, ShapeDef::Box { size_m: (x, y, z) }) = (body.kind, &body.shape) {
                let name = if body.id.contains("parcel") { "parcel" } else { "case" };
                let size = Vec3::new(*x as f32, *z as f32, *y as f32) * k;
                let mesh = self.meshes.add(self.shapes.get(name).fitted(size).mesh());
                let material = Skin(self.materials.own.clone());
                self.spawn((BodyOf(index), Mesh3d(mesh), material, Transform::default()));
                continue;
            }
            let (mesh, wide): (Mesh, f64) = match body.shape {
                ShapeDef::Box { size_m: (x, y, z) } => {
                    (Cuboid::new(x as f32 * k, z as f32 * k, y as f32 * k).into(), x.max(y))
                }
                ShapeDef::Sphere { radius_m } => (Sphere::new(radius_m as f32 * k).into(), 0.0),
                ShapeDef::Cylinder { radius_m, length_m } => {
                    (Cylinder::new(radius_m as f32 * k, length_m as f32 * k).into(), 0.0)
                }
                ShapeDef::Capsule { radius_m, length_m } => {
                    (Capsule3d::new(radius_m as f32 * k, length_m as f32 * k).into(), 0.0)
                }
            };
            let color = match (body.kind, body.shape) {
                (BodyKind::Fixed, _) if wide > 3.0 => Color::srgb(0.34, 0.36, 0.39),
                (BodyKind::Fixed, _) => Color::srgb(0.52, 0.56, 0.62),
                (BodyKind::Kinematic, _) => Color::srgb(0.22, 0.45, 0.70),
                (BodyKind::Dynamic, ShapeDef::Box { .. }) => Color::srgb(0.73, 0.54, 0.33),
                (BodyKind::Dynamic, ShapeDef::Sphere { .. }) => Color::srgb(0.70, 0.72, 0.76),
                (BodyKind::Dynamic, _) => Color::srgb(0.20, 0.21, 0.24),
            };
            let mesh = self.meshes.add(mesh);
            let material =
                self.all.add(StandardMaterial { base_color: color, perceptual_roughness: 0.8, ..default() });
            self.spawn((BodyOf(index), Mesh3d(mesh), Skin(material), Transform::default()));
        }
    }
}

/// A flat grid of cells around the origin, with its vertices' places.
fn grid(size: Vec2, nx: usize, nz: usize) -> (Mesh, Vec<Vec3>) {
    let mut points = Vec::with_capacity((nx + 1) * (nz + 1));
    for j in 0..=nz {
        for i in 0..=nx {
            let (u, v) = (i as f32 / nx as f32 - 0.5, j as f32 / nz as f32 - 0.5);
            points.push(Vec3::new(u * size.x, 0.0, v * size.y));
        }
    }
    let mut indices = Vec::with_capacity(nx * nz * 6);
    let row = nx as u32 + 1;
    for j in 0..nz as u32 {
        for i in 0..nx as u32 {
            let a = j * row + i;
            indices.extend([a, a + row, a + row + 1, a, a + row + 1, a + 1]);
        }
    }
    let mesh = Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
        .with_inserted_attribute(
            Mesh::ATTRIBUTE_POSITION,
            points.iter().map(Vec3::to_array).collect::<Vec<_>>(),
        )
        .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, vec![[0.0, 1.0, 0.0]; points.len()])
        .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, vec![[0.4, 0.4, 0.4, 1.0]; points.len()])
        .with_inserted_indices(Indices::U32(indices));
    (mesh, points)
}
