//! Laws of the simulated devices: sensor figures, calendars, batteries, links, payloads, faults.

#[path = "../../benches/common/fixture.rs"]
mod fixture;

mod battery;
mod calendar;
mod common;
mod fault;
mod fault_station;
mod figures;
mod fleet;
mod link;
