//! The 3D scene: zones as rooms, devices as boards, twins as their ghosts, fields as colours, links as arcs, alarms as halos.
//!
//! Reading order: [`layout`] (where everything stands) → [`palette`] (colours of figures) → [`meshes`] (glTF to meshes) →
//! [`show`] (what is shown, and how) → [`side`] (the two sides of a split scene) → [`build`] (entities of a scenario) →
//! [`refresh`] (entities follow the frame that is shown) → [`plain`] (what draws them) → [`links`] (arcs) → [`camera`] (views) → [`overlay`] (labels and
//! legend).

pub mod build;
pub mod camera;
pub mod halos;
pub mod layout;
pub mod links;
pub mod meshes;
pub mod overlay;
pub mod palette;
pub mod plain;
pub mod refresh;
pub mod show;
pub mod side;

use bevy::prelude::*;
use side::{Kept, RangesOf, Showing, Side, Worked};

/// Everything that makes and moves the scene. Sets: [`StageSystems`]. Resources: [`Showing`] (a scene for each side),
/// [`build::Materials`], [`meshes::Shapes`].
pub struct StagePlugin;

/// What a frame of the scene is made in, one after the other.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageSystems {
    /// Each side is built, and has scales of its own.
    Measure,
    /// Both sides have one scale.
    Join,
    /// Entities take the scales and what is shown.
    Follow,
}

impl Plugin for StagePlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins(plain::PlainPlugin)
            .init_resource::<meshes::Shapes>()
            .insert_resource(GlobalAmbientLight { brightness: 420.0, ..Default::default() })
            .add_systems(Startup, build::materials)
            .add_systems(PostUpdate, plain::repaint.before(bevy::asset::AssetEventSystems))
            .configure_sets(Update, (StageSystems::Measure, StageSystems::Join, StageSystems::Follow).chain())
            .add_systems(
                Update,
                (refresh::tones, refresh::join.in_set(StageSystems::Join))
                    .run_if(resource_exists::<Showing<Worked>>),
            );
        add_side::<Worked>(app);
        add_side::<Kept>(app);
    }
}

fn add_side<S: Side>(app: &mut App) {
    app.init_gizmo_group::<S::Lines>()
        .init_resource::<build::Counted<S>>()
        .init_resource::<RangesOf<S>>()
        .add_systems(Startup, links::thick_lines::<S>)
        .add_systems(
            Update,
            (
                (build::rebuild::<S>, refresh::ranges::<S>).chain().in_set(StageSystems::Measure),
                (
                    refresh::floors::<S>,
                    refresh::pads::<S>,
                    refresh::bodies::<S>,
                    refresh::twins::<S>,
                    refresh::actuators::<S>,
                    halos::halos::<S>,
                    refresh::walls::<S>,
                    refresh::detail::<S>,
                    refresh::daylight::<S>,
                    links::draw::<S>,
                )
                    .in_set(StageSystems::Follow)
                    .run_if(resource_exists::<Showing<S>>),
                plain::dress::<S>,
            )
                .chain(),
        );
}
