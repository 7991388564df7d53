//! What draws the scene: physically based light where a graphics card does, else a material of our own that a processor can
//! afford. Everything in the scene wears a [`Skin`]; [`dress`] turns it into the one or the other.

use super::side::{Of, Showing, Side};
use bevy::{
    asset::embedded_asset,
    prelude::*,
    render::render_resource::{AsBindGroup, ShaderType},
    shader::ShaderRef,
};
use std::collections::HashMap;

/// What a thing looks like, whatever draws it.
#[derive(Component)]
pub struct Skin(pub Handle<StandardMaterial>);

/// Colour and light, and nothing else.
#[derive(Asset, TypePath, AsBindGroup, Clone, Debug)]
pub struct Plain {
    #[uniform(0)]
    look: Look,
    mode: AlphaMode,
}

#[derive(ShaderType, Clone, Copy, Debug, PartialEq)]
struct Look {
    color: Vec4,
    glow: Vec4,
    lit: f32,
}

impl Material for Plain {
    fn fragment_shader() -> ShaderRef {
        "embedded://twinfleet_desktop/stage/plain.wgsl".into()
    }

    fn alpha_mode(&self) -> AlphaMode {
        self.mode
    }

    fn enable_prepass() -> bool {
        false
    }

    fn enable_shadows() -> bool {
        false
    }
}

impl From<&StandardMaterial> for Look {
    fn from(material: &StandardMaterial) -> Self {
        Self {
            color: material.base_color.to_linear().to_vec4(),
            glow: material.emissive.to_vec4(),
            lit: if material.unlit { 0.0 } else { 1.0 },
        }
    }
}

impl From<&StandardMaterial> for Plain {
    fn from(material: &StandardMaterial) -> Self {
        Self { look: material.into(), mode: material.alpha_mode }
    }
}

/// The plain material that stands for each other one.
#[derive(Resource, Default)]
pub struct Plains(HashMap<AssetId<StandardMaterial>, Handle<Plain>>);

/// Plain materials and what keeps them like those that they stand for.
pub struct PlainPlugin;

impl Plugin for PlainPlugin {
    fn build(&self, app: &mut App) {
        embedded_asset!(app, "plain.wgsl");
        app.add_plugins(MaterialPlugin::<Plain>::default()).init_resource::<Plains>();
    }
}

/// Gives things what draws them, and again when that changes.
pub fn dress<S: Side>(
    mut commands: Commands,
    shown: Option<Res<Showing<S>>>,
    skins: Query<(Entity, Ref<Skin>), With<Of<S>>>,
    mut fine_before: Local<Option<bool>>,
    mut plains: ResMut<Plains>,
    mut all: ResMut<Assets<Plain>>,
    standard: Res<Assets<StandardMaterial>>,
) {
    let Some(fine) = shown.map(|s| s.fine) else { return };
    let anew = fine_before.replace(fine) != Some(fine);
    for (entity, skin) in &skins {
        if !anew && !skin.is_changed() {
            continue;
        }
        let mut dressed = commands.entity(entity);
        if fine {
            dressed.remove::<MeshMaterial3d<Plain>>().insert(MeshMaterial3d(skin.0.clone()));
        } else if let Some(like) = standard.get(&skin.0) {
            let plain = plains.0.entry(skin.0.id()).or_insert_with(|| all.add(Plain::from(like))).clone();
            dressed.remove::<MeshMaterial3d<StandardMaterial>>().insert(MeshMaterial3d(plain));
        }
    }
}

/// Plain materials take the colours of those that they stand for, and go with them.
pub fn repaint(
    mut plains: ResMut<Plains>,
    mut all: ResMut<Assets<Plain>>,
    standard: Res<Assets<StandardMaterial>>,
) {
    plains.0.retain(|of, plain| {
        let Some(like) = standard.get(*of) else { return false };
        let look = Look::from(like);
        if all.get(&*plain).is_some_and(|p| p.look != look)
            && let Some(mut plain) = all.get_mut(&*plain)
        {
            plain.look = look;
        }
        true
    });
}
