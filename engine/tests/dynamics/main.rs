//! The twin's filter, forecasts and fit, through the engine's public door.

mod board;
mod common;
mod filter;
mod intervals;
mod misfit;
mod recordings;
mod told;
mod world;
