//! The concrete world of Twinfleet: the catalog of boards, parts and things, the bench that measures them, register-level
//! parts, forecasters of series, and the wire to brokers.

pub mod catalog;
pub mod datasheet;
pub mod load;
pub mod mirror;
pub mod parts;
pub mod predictors;
pub mod wire;
