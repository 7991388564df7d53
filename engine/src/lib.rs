//! The engine of Twinfleet: an ECS world of virtual devices, the twins that follow physical ones, and the records both
//! leave.
//!
//! Reading order: model ([`time`], [`rng`], [`signal`], [`catalog`], [`scenario`]) → world ([`world`], [`environment`],
//! [`physics`], [`actuate`], [`local`], [`carry`], [`sense`], [`firmware`], [`dynamics`], [`predict`], [`mirror`], [`dialect`], [`compare`], [`detect`],
//! [`diagnose`]) → run ([`run`], [`expect`], [`record`]); [`load`] plans what a load generator sends.
//!
//! Deliberately absent: the engine knows no part numbers, opens no socket and reads no wall clock.

pub mod actuate;
pub mod aside;
pub mod carry;
pub mod catalog;
pub mod cause;
pub mod clock;
pub mod compare;
pub mod detect;
pub mod diagnose;
pub mod dialect;
pub mod dynamics;
pub mod environment;
pub mod expect;
pub mod firmware;
pub mod link;
pub mod load;
pub mod local;
pub mod message;
pub mod mirror;
pub mod physics;
pub mod plan;
pub mod power;
pub mod predict;
pub mod record;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod sense;
pub mod signal;
pub mod time;
pub mod units;
pub mod world;
