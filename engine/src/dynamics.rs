//! Dynamics as data: a thing's physics as a lumped network in RON, simulated as truth and followed by an estimator.
//!
//! Reading order: [`definition`] (the file's shape) → [`model`] (compiled, with Jacobians) → [`step`] (integration) →
//! [`fit`] (calibration against recordings) and [`params`] (what a calibration leaves).
//!
//! ```
//! use twinfleet_engine::dynamics::{DynamicsDef, model::Model};
//! let def = DynamicsDef::from_ron(r#"(
//!     parameters: {
//!         "capacity": (value: 800.0, unit: "J/K", bounds: (50.0, 5000.0), prior: Log(0.5)),
//!         "loss": (value: 0.8, unit: "W/K", bounds: (0.01, 20.0), prior: Log(0.5)),
//!         "room": (value: 20.0, unit: "degC", bounds: (-40.0, 60.0), prior: Linear(3.0)),
//!     },
//!     inputs: [(signal: "heater.level", range: (0.0, 100.0))],
//!     boundaries: [(name: "room", at: Parameter("room"))],
//!     storages: [(name: "box", capacity: "capacity")],
//!     conductances: [(between: ("box", "room"), value: "loss")],
//!     sources: [(into: "box", gain: "0.25", input: "heater.level")],
//!     outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.05, quantum: 0.0625)],
//! )"#).unwrap();
//! let model = Model::compile(&def, &Default::default()).unwrap();
//! let theta = model.values();
//! let hour: f64 = 3600.0;
//! let mut x = vec![20.0];
//! model.step(&mut x, &theta, &[100.0], hour);
//! // 25 W into 800 J/K that lose 0.8 W/K: 31.25 K above the room, with a time constant of 1000 s.
//! assert!((x[0] - (20.0 + 31.25 * (1.0 - (-3.6f64).exp()))).abs() < 1e-9);
//! ```

pub mod definition;
pub(crate) mod dense;
pub mod fit;
pub(crate) mod flow;
pub mod model;
pub mod params;
pub mod simulate;
pub mod step;
pub mod units_check;

pub use definition::DynamicsDef;
