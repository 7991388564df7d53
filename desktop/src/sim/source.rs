//! Where what is looked at comes from: a simulation, a record of one, real devices on a broker.

use super::{
    left::Left,
    live::Live,
    open::{Opened, Origin},
    player::Player,
    tape::Tape,
};
use twinfleet_engine::{record::Bucket, run::RunError, signal::SignalId, time::SimTime};

/// Something that goes on tick by tick and leaves what there is to see.
pub trait Source {
    /// What it has left so far.
    fn left(&self) -> &Left;

    /// Advances one tick; whether there was one. A live source waits a little for something to come.
    fn tick(&mut self) -> bool;

    /// A signal's stretches, where every value of it counts.
    fn series(&self, id: SignalId) -> Vec<Bucket>;

    /// Advances to an instant, or to the end.
    fn run_until(&mut self, t: SimTime) {
        while self.left().now < t && self.tick() {}
    }
}

/// Why a source could not be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSource {
    /// What is wrong.
    pub text: String,
    /// Whether the outside failed (a broker) rather than the input.
    pub outside: bool,
}

impl From<RunError> for NoSource {
    fn from(error: RunError) -> Self {
        Self { text: error.to_string(), outside: matches!(error, RunError::Threads { .. }) }
    }
}

/// The source of what was opened, at its start.
///
/// # Errors
/// Bad input that only setting up can find; a broker that cannot be reached.
pub fn source(opened: &Opened, threads: usize) -> Result<Box<dyn Source>, NoSource> {
    Ok(match &opened.origin {
        Origin::Run => Box::new(Player::new(opened, threads)?),
        Origin::Record(record) => Box::new(Tape::new(opened, record.clone())),
        Origin::Live { broker } => Box::new(Live::new(opened, broker, threads)?),
    })
}
