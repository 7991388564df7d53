//! The twin's filter, forecasts and fit, through the engine's public door.

mod common;
mod filter;
mod intervals;
mod misfit;
mod recordings;
mod world;
