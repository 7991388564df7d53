//! The concrete world of Twinfleet: the catalog of boards, parts and things, the bench that measures them, register-level
//! parts, the dialects that devices speak, forecasters of series, the wire to brokers, and what makes a run of a scenario
//! file, for every command and the desktop.

pub mod assemble;
pub mod catalog;
pub mod datasheet;
pub mod decoders;
pub mod dialect;
pub mod load;
pub mod loaded;
pub mod mirror;
pub mod parts;
pub mod predictors;
pub mod script;
pub mod shell;
pub mod wire;
