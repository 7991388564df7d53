//! The meshes of `assets/meshes`, read from glTF, put together into one mesh a thing, so that boards of one kind are drawn in
//! one go.

use crate::fleet::{Board, Look};
use bevy::{
    asset::RenderAssetUsages,
    mesh::{Indices, PrimitiveTopology},
    prelude::*,
};
use std::collections::HashMap;

macro_rules! glb {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../assets/meshes/", $name, ".glb")).as_slice())
    };
}

const FILES: [(&str, &[u8]); 20] = [
    glb!("pi"),
    glb!("pico"),
    glb!("esp32"),
    glb!("arduino"),
    glb!("beaglebone"),
    glb!("module"),
    glb!("sensor"),
    glb!("probe"),
    glb!("soil"),
    glb!("light"),
    glb!("ranger"),
    glb!("heater"),
    glb!("fan"),
    glb!("vent"),
    glb!("valve"),
    glb!("lamp"),
    glb!("relay"),
    glb!("parcel"),
    glb!("broker"),
    glb!("case"),
];

/// Triangles with colours, [m].
#[derive(Clone, Debug, Default)]
pub struct Shape {
    positions: Vec<[f32; 3]>,
    normals: Vec<[f32; 3]>,
    colors: Vec<[f32; 4]>,
    indices: Vec<u32>,
}

impl Shape {
    /// Adds another shape, moved.
    pub fn add(&mut self, other: &Self, at: Vec3) {
        let first = self.positions.len() as u32;
        self.positions.extend(other.positions.iter().map(|p| (Vec3::from(*p) + at).to_array()));
        self.normals.extend(&other.normals);
        self.colors.extend(&other.colors);
        self.indices.extend(other.indices.iter().map(|i| i + first));
    }

    /// As a mesh.
    pub fn mesh(&self) -> Mesh {
        Mesh::new(PrimitiveTopology::TriangleList, RenderAssetUsages::default())
            .with_inserted_attribute(Mesh::ATTRIBUTE_POSITION, self.positions.clone())
            .with_inserted_attribute(Mesh::ATTRIBUTE_NORMAL, self.normals.clone())
            .with_inserted_attribute(Mesh::ATTRIBUTE_COLOR, self.colors.clone())
            .with_inserted_indices(Indices::U32(self.indices.clone()))
    }

    /// The same, stretched to a box of this size around the origin.
    #[must_use]
    pub fn fitted(mut self, size: Vec3) -> Self {
        let all = self.positions.iter().copied().map(Vec3::from);
        let (low, high) = all.fold((Vec3::MAX, Vec3::MIN), |(l, h), p| (l.min(p), h.max(p)));
        let scale = size / (high - low).max(Vec3::splat(1e-6));
        for p in &mut self.positions {
            *p = ((Vec3::from(*p) - (low + high) * 0.5) * scale).to_array();
        }
        for n in &mut self.normals {
            *n = (Vec3::from(*n) / scale).normalize_or_zero().to_array();
        }
        self
    }

    /// Half its size along x and z, and its height.
    pub fn reach(&self) -> Vec3 {
        self.positions.iter().fold(Vec3::ZERO, |most, p| most.max(Vec3::new(p[0].abs(), p[1], p[2].abs())))
    }
}

/// All shapes, by file and mesh.
#[derive(Resource)]
pub struct Shapes(HashMap<(&'static str, String), Shape>);

impl Default for Shapes {
    fn default() -> Self {
        let mut all = HashMap::new();
        for (name, bytes) in FILES {
            match read(bytes) {
                Ok(shapes) => all.extend(shapes.into_iter().map(|(mesh, shape)| ((name, mesh), shape))),
                // The files come with the program; a test reads each.
                Err(why) => error!("the mesh {name} cannot be read: {why}"),
            }
        }
        Self(all)
    }
}

impl Shapes {
    /// A shape by its file's name.
    pub fn get(&self, name: &'static str) -> Shape {
        self.0.get(&(name, "full".to_owned())).cloned().unwrap_or_default()
    }

    /// The mesh for far away.
    pub fn far(&self, name: &'static str) -> Shape {
        self.0.get(&(name, "far".to_owned())).cloned().unwrap_or_else(|| self.get(name))
    }

    /// A board with its parts before it, close by and far away.
    pub fn device(&self, board: Board, parts: &[Look]) -> (Shape, Shape) {
        let name = board_name(board);
        let mut full = self.get(name);
        let mut far = self.far(name);
        for (look, at) in places(self.get(name).reach(), parts) {
            if !acts(look) {
                full.add(&self.get(look_name(look)), at);
                // What a device is made of is told from afar too.
                far.add(&self.far(look_name(look)), at);
            }
        }
        (full, far)
    }

    /// Where a device's actuators stand, [m].
    pub fn actuators(&self, board: Board, parts: &[Look]) -> Vec<(usize, Look, Vec3)> {
        let placed = places(self.get(board_name(board)).reach(), parts);
        placed.into_iter().enumerate().filter(|(_, (l, _))| acts(*l)).map(|(i, (l, at))| (i, l, at)).collect()
    }

    /// Names of all files that were read.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.keys().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Whether a part is an actuator, which stands on its own to glow.
pub const fn acts(look: Look) -> bool {
    matches!(look, Look::Heater | Look::Fan | Look::Vent | Look::Valve | Look::Lamp | Look::Relay)
}

/// Sensors stand in a row before the board, actuators behind it.
fn places(board: Vec3, parts: &[Look]) -> Vec<(Look, Vec3)> {
    let row = |acting: bool| parts.iter().filter(|l| acts(**l) == acting).count();
    let mut at = [0usize; 2];
    let place = |look: &Look| {
        let acting = acts(*look);
        let (n, step) = (row(acting), if acting { 0.085 } else { 0.021 });
        let k = at[usize::from(acting)];
        at[usize::from(acting)] += 1;
        let x = (k as f32 - (n as f32 - 1.0) / 2.0) * step;
        let z = if acting { -board.z - 0.025 } else { board.z + 0.011 };
        (*look, Vec3::new(x, 0.0, z))
    };
    parts.iter().map(place).collect()
}

/// The file of a board.
pub const fn board_name(board: Board) -> &'static str {
    match board {
        Board::Pi => "pi",
        Board::Pico => "pico",
        Board::Esp32 => "esp32",
        Board::Arduino => "arduino",
        Board::BeagleBone => "beaglebone",
        Board::Module => "module",
    }
}

/// The file of a part.
pub const fn look_name(look: Look) -> &'static str {
    match look {
        Look::Sensor => "sensor",
        Look::Probe => "probe",
        Look::Soil => "soil",
        Look::Light => "light",
        Look::Ranger => "ranger",
        Look::Heater => "heater",
        Look::Fan => "fan",
        Look::Vent => "vent",
        Look::Valve => "valve",
        Look::Lamp => "lamp",
        Look::Relay => "relay",
    }
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Shape)>, String> {
    let file = gltf::Gltf::from_slice(bytes).map_err(|e| e.to_string())?;
    let blob = file.blob.as_deref().ok_or("it has no binary part")?;
    let mut shapes = Vec::new();
    for mesh in file.meshes() {
        let mut shape = Shape::default();
        for primitive in mesh.primitives() {
            let reader = primitive.reader(|_| Some(blob));
            let first = shape.positions.len() as u32;
            shape.positions.extend(reader.read_positions().ok_or("it has no positions")?);
            shape.normals.extend(reader.read_normals().ok_or("it has no normals")?);
            shape.colors.extend(reader.read_colors(0).ok_or("it has no colours")?.into_rgba_f32());
            let indices = reader.read_indices().ok_or("it has no indices")?.into_u32();
            shape.indices.extend(indices.map(|i| i + first));
        }
        shapes.push((mesh.name().unwrap_or("full").to_owned(), shape));
    }
    Ok(shapes)
}
