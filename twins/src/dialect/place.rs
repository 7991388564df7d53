//! Where a device speaks that says all it does on one topic, or below one: whether the broker keeps that, and how such devices tell
//! that they are there.

use super::{option, say};
use twinfleet_engine::dialect::{DialectError, Utterance, VoiceSpec};

/// The options of the place, those by which a double does as its device did.
pub(super) const OPTIONS: [(&str, &str); 2] = [
    ("presence", "\"yes\" (default) or \"no\": whether it says on `<topic>/status` that it is there"),
    ("retain", "\"yes\" or \"no\": whether the broker keeps what it says"),
];

pub(super) struct Place {
    pub(super) topic: String,
    is_kept: bool,
    is_present: bool,
}

impl Place {
    /// By a voice's options. `retain` has two words, the first of which is the default.
    pub(super) fn of(spec: &VoiceSpec<'_>, retain: [&str; 2]) -> Result<Self, DialectError> {
        Ok(Self {
            topic: spec.topic.to_owned(),
            is_kept: option(spec.options, "retain", &retain)? == "yes",
            is_present: option(spec.options, "presence", &["yes", "no"])? == "yes",
        })
    }

    /// What the broker says of it once it is gone.
    pub(super) fn will(&self) -> Option<Utterance> {
        self.status("offline")
    }

    /// What it says once it is there.
    pub(super) fn greeting(&self) -> Option<Utterance> {
        self.status("online")
    }

    fn status(&self, word: &str) -> Option<Utterance> {
        self.is_present.then(|| say(format!("{}/status", self.topic), word, 1, true))
    }

    /// A message of its readings.
    pub(super) fn says(&self, topic: &str, payload: impl Into<Vec<u8>>) -> Utterance {
        say(topic, payload, 0, self.is_kept)
    }
}
