//! The 3D scene: zones as rooms, devices as boards, twins as their ghosts, fields as colours, links as arcs, alarms as halos.
//!
//! Reading order: [`layout`] (where everything stands) → [`palette`] (colours of figures) → [`meshes`] (glTF to meshes) →
//! [`show`] (what is shown, and how) → [`build`] (entities of a scenario) → [`refresh`] (entities follow the frame that is
//! shown) → [`links`] (arcs) → [`camera`] (views) → [`overlay`] (labels and legend).

pub mod build;
pub mod camera;
pub mod layout;
pub mod links;
pub mod meshes;
pub mod overlay;
pub mod palette;
pub mod refresh;
pub mod show;

use bevy::prelude::*;

/// Everything that makes and moves the scene. Resources: [`show::Shown`], [`build::Materials`], [`meshes::Shapes`].
pub struct StagePlugin;

impl Plugin for StagePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<meshes::Shapes>()
            .init_resource::<build::Counted>()
            .init_resource::<refresh::Ranges>()
            .insert_resource(GlobalAmbientLight { brightness: 420.0, ..Default::default() })
            .add_systems(Startup, (build::materials, links::thick_lines))
            .add_systems(
                Update,
                (
                    build::rebuild,
                    refresh::ranges,
                    (
                        refresh::floors,
                        refresh::pads,
                        refresh::bodies,
                        refresh::twins,
                        refresh::actuators,
                        refresh::halos,
                        refresh::walls,
                        refresh::detail,
                        refresh::daylight,
                        refresh::tones,
                        links::draw,
                    )
                        .run_if(resource_exists::<show::Shown>),
                )
                    .chain(),
            );
    }
}
