//! The concrete world of Twinfleet.
