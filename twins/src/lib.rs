//! The concrete world of Twinfleet: the catalog of boards, parts and things, register-level parts, and the wire to
//! brokers.

pub mod catalog;
pub mod parts;
pub mod wire;
