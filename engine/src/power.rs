//! Batteries and supply states.
