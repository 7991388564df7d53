//! The concrete world of Twinfleet: the catalog of boards, parts and things, the bench that measures them, register-level
//! parts, the dialects that devices speak, forecasters of series, and the wire to brokers.

pub mod catalog;
pub mod datasheet;
pub mod dialect;
pub mod load;
pub mod mirror;
pub mod parts;
pub mod predictors;
pub mod script;
pub mod wire;
