//! What a mirror of real devices needs beside the engine's twins: a store, state documents, and what operators see.
//!
//! Reading order: [`scope`] (whom it follows) → [`shadow`] (one state document) → [`keeper`] (those of all twins, commands) → [`store`] (what is kept)
//! → [`announce`] (what is published back, with Home Assistant's discovery).

pub mod announce;
pub mod keeper;
pub mod scope;
pub mod shadow;
pub mod store;
