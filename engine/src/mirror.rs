//! Physicals and the twins that follow them.
