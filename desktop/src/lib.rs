//! The desktop of Twinfleet: the fleet in 3D, each twin beside its physical device, and the difference between them.
//!
//! Reading order: [`sim`] (the run on its thread and what it leaves) → [`fleet`] (devices as a person counts them) → [`stage`]
//! (the 3D scene) → [`units`], [`settings`] (what the user likes) → [`panels`] (everything around the scene) → [`picture`]
//! (pictures without a screen), [`window`] (the window).
//!
//! Deliberately absent: nothing here changes a run but through a line of its scenario's timeline.

pub mod args;
pub mod failure;
pub mod fleet;
pub mod panels;
pub mod picture;
pub mod settings;
pub mod sim;
pub mod stage;
pub mod units;
pub mod window;
