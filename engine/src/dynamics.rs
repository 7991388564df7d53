//! Dynamics as data: a thing's physics as a lumped network, simulated as truth and followed by an estimator.

use serde::Deserialize;

/// A lumped network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DynamicsDef {}
