//! What a mirror publishes: answers to shadow clients and commands, its discovery, and the states of its twins.

use super::{Mirror, log::Level};
use crate::exit::Failure;
use std::time::Instant;
use twinfleet_twins::mirror::announce::{self, Announced};

/// States published in one turn.
const PUBLISHED: usize = 500;

impl Mirror {
    pub(super) fn publish(&mut self) -> Result<(), Failure> {
        let outputs = self.keeper.outputs();
        if self.silent {
            return Ok(());
        }
        let bad = crate::run::wire;
        for o in outputs {
            // What a dialect made of a discovery that anyone may have written: one that cannot be sent ends nothing.
            if let Err(error) = self.session.publish(&o.topic, &o.payload, o.qos, o.retain) {
                let text = format!("nothing is sent on `{}`: {error}", o.topic);
                self.log.line(Level::Warning, "not_sent", &text, &[]);
            }
        }
        if std::mem::take(&mut self.announce_again) {
            self.announced = 0;
            self.session.publish(&announce::status_topic(&self.prefix), b"online", 1, true).map_err(bad)?;
        }
        for _ in 0..PUBLISHED.min(self.book.len() - self.announced) {
            let at = self.announced;
            let (thing, signals) = self.book.announced(at);
            let twin = Announced { prefix: &self.prefix, twin: self.book.id(at), thing, signals: &signals };
            let o = announce::discovery(&self.ha_prefix, &twin);
            self.session.publish(&o.topic, &o.payload, 1, true).map_err(bad)?;
            self.announced += 1;
        }
        if self.published.elapsed() >= self.publish_every {
            let some = self.book.changed(PUBLISHED);
            // Those of more than one turn follow in the next.
            if some.len() < PUBLISHED {
                self.published = Instant::now();
            }
            for at in some {
                self.publish_state(at)?;
            }
        }
        Ok(())
    }

    fn publish_state(&mut self, at: usize) -> Result<(), Failure> {
        let state = self.book.published(at, &self.keeper).to_string();
        let topic = announce::state_topic(&self.prefix, self.book.id(at));
        self.session.publish(&topic, state.as_bytes(), 1, true).map_err(crate::run::wire)
    }
}
