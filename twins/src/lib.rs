//! The concrete world of Twinfleet.

pub mod wire;
