//! The two sides of a split scene: each has its own entities, on a layer of its own, which its own camera sees.

use super::{refresh::Ranges, show::Shown};
use bevy::{camera::visibility::RenderLayers, prelude::*};
use std::{marker::PhantomData, ops::Deref};

/// A side.
pub trait Side: Send + Sync + 'static {
    /// Its layer.
    const LAYER: usize;
    /// Its lines.
    type Lines: GizmoConfigGroup;
}

/// What is worked with, and all there is where the scene is not split.
pub struct Worked;

/// What is kept beside it.
pub struct Kept;

impl Side for Worked {
    const LAYER: usize = 1;
    type Lines = WorkedLines;
}

impl Side for Kept {
    const LAYER: usize = 2;
    type Lines = KeptLines;
}

/// Lines of the first side.
#[derive(Default, Reflect, GizmoConfigGroup)]
pub struct WorkedLines;

/// Lines of the second side.
#[derive(Default, Reflect, GizmoConfigGroup)]
pub struct KeptLines;

/// Of this side.
#[derive(Component)]
pub struct Of<S: Side>(PhantomData<S>);

impl<S: Side> Default for Of<S> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

/// What a side shows.
#[derive(Resource)]
pub struct Showing<S: Side>(pub Shown, PhantomData<S>);

impl<S: Side> Showing<S> {
    /// Shows this.
    pub const fn new(shown: Shown) -> Self {
        Self(shown, PhantomData)
    }
}

impl<S: Side> Deref for Showing<S> {
    type Target = Shown;

    fn deref(&self) -> &Shown {
        &self.0
    }
}

/// What a side's colours and columns reach from and to.
#[derive(Resource)]
pub struct RangesOf<S: Side>(pub Ranges, PhantomData<S>);

impl<S: Side> Default for RangesOf<S> {
    fn default() -> Self {
        Self(Ranges::default(), PhantomData)
    }
}

impl<S: Side> Deref for RangesOf<S> {
    type Target = Ranges;

    fn deref(&self) -> &Ranges {
        &self.0
    }
}

/// What makes an entity one of this side.
pub fn of<S: Side>() -> impl Bundle {
    (Of::<S>::default(), RenderLayers::layer(S::LAYER))
}
