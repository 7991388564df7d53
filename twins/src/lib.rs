//! The concrete world of Twinfleet: the catalog of boards, parts and things, and the wire to brokers.

pub mod catalog;
pub mod wire;
