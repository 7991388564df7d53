//! Expectations: temporal operators over signals, events and verdicts, each with the margin by which it held.

use serde::Deserialize;

/// An expectation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Expectation {}
