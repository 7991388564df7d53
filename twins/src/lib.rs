//! The concrete world of Twinfleet: the catalog of boards, parts and things, the bench that measures them, register-level
//! parts, the dialects that devices speak, and the wire to brokers.

pub mod catalog;
pub mod datasheet;
pub mod dialect;
pub mod parts;
pub mod wire;
