//! Sensor pipelines in dense cohorts: truth → mounting and self-heating → lag → cross-sensitivity → gain, bias, drift →
//! noise → fault → saturation → quantisation → bus timing.

pub mod fault;
