//! The mirror as a Sparkplug host: its STATE on a connection of its own, for the last will of the mirror's is its status.

use super::clock::system_unix_ns;
use crate::exit::Failure;
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};
use twinfleet_engine::{plan::Plan, scenario::DecodeDef};
use twinfleet_twins::wire::{
    client::ConnectOptions,
    session::{Session, SessionNews, SessionOptions},
};

/// Says that the host is there, retained, and the broker for it that it is gone (Sparkplug 3.0.0, 5.12).
pub struct Host {
    session: Session,
    topic: String,
    online: Vec<u8>,
}

fn state(online: bool, timestamp_ms: i64) -> Vec<u8> {
    json!({ "online": online, "timestamp": timestamp_ms }).to_string().into_bytes()
}

impl Host {
    /// The host's id where Sparkplug nodes are followed: the prefix of the mirror's own topics, as one level.
    pub fn of(plan: &Plan, prefix: &str) -> Option<String> {
        let mut binds = plan.scenario.mirror.iter().flat_map(|m| &m.bind);
        let any = binds.any(|b| matches!(&b.decode, DecodeDef::Dialect { name, .. } if name == "sparkplug"));
        any.then(|| prefix.trim_matches('/').replace(['/', '+', '#'], "-"))
    }

    /// Connects as the mirror does, beside it.
    pub fn start(id: &str, connect: ConnectOptions) -> Result<Self, Failure> {
        let topic = format!("spBv1.0/STATE/{id}");
        let now_ms = system_unix_ns() / 1_000_000;
        let connect = ConnectOptions {
            client_id: format!("{}-host", connect.client_id),
            clean_session: true,
            hold_acks: false,
            received_qos2: BTreeSet::new(),
            will: Some((topic.clone(), state(false, now_ms), 1, true)),
            ..connect
        };
        let mut options = SessionOptions::new(connect);
        options.filters = vec![(topic.clone(), 1)];
        let session = Session::start(options).map_err(crate::run::wire)?;
        // Birth and will of one host have the same time (tck-id-host-topic-phid-birth-payload-timestamp).
        Ok(Self { session, topic, online: state(true, now_ms) })
    }

    /// Says that it is there: at each connection, and where a will of an earlier one comes late.
    pub fn turn(&mut self) -> Result<(), Failure> {
        let mut due = false;
        let took = self.session.pump(Duration::ZERO, |m| {
            let said: Option<Value> = serde_json::from_slice(&m.payload).ok();
            due |= said.is_some_and(|s| s["online"] == json!(false));
        });
        took.map_err(crate::run::wire)?;
        due |= self.session.news().iter().any(|n| matches!(n, SessionNews::Back { .. }));
        if due {
            self.session.publish(&self.topic, &self.online, 1, true).map_err(crate::run::wire)?;
        }
        Ok(())
    }

    /// Says that it goes.
    pub fn finish(mut self) -> Result<(), Failure> {
        let gone = state(false, system_unix_ns() / 1_000_000);
        self.session.publish(&self.topic, &gone, 1, true).map_err(crate::run::wire)?;
        // What the broker does not hear now, it says by the last will.
        self.session.finish(Duration::from_secs(1)).or(Ok(()))
    }
}
