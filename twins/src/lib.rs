//! The concrete world of Twinfleet.

pub mod catalog;
