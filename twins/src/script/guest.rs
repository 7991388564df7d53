//! Whatever runs a script: it is started, and asks one question at a time.

use super::device::Life;
use std::time::Duration;

/// Why a runtime cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// What came of letting a script go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Went {
    /// It asks: `TIME OP WORDS`.
    Asked(String),
    /// Its process is gone, without a word: by the system, for its memory, or by itself.
    Gone(String),
    /// It was silent for longer than the run waits.
    Hung(Duration),
}

/// A script that runs.
pub trait Guest: Send {
    /// Answers its last question (`TIME ok WORDS`) and lets it go on to its next.
    fn resume(&mut self, answer: &str) -> Went;
}

/// Starts scripts.
pub trait Host: Send {
    /// Starts a device's script at a simulated time, up to its first question.
    ///
    /// # Errors
    /// Where the runtime cannot be had.
    fn start(&mut self, life: &Life, now_ns: u64) -> Result<(Box<dyn Guest>, Went), HostError>;

    /// What there is to tell of the last start, once.
    fn note(&mut self) -> Option<String> {
        None
    }
}
