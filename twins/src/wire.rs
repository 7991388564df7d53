//! Transports: the MQTT client of a run, the lock-step exchange with a broker, and the embedded broker.
//!
//! Reading order: [`url`] (which broker the user named) → [`tls`] (whom it trusts) → [`client`] (one connection) →
//! [`session`] (one that comes back by itself) → [`exchange`] (a tick's messages out
//! and back) → [`broker`] (the embedded one).
//!
//! One poll per thread over non-blocking sockets: a tick's messages leave in one write and come back in one read, so a
//! round costs two thread switches. Packets are read and written by rumqttc's codec; its event loop is not used here,
//! since it costs a task and a channel per message, and since it reconnects on its own terms where a lock-step run has to
//! stop and say so.
//!
//! Deliberately absent: simulated time. Latency and loss of links are applied by the engine before a message comes here.

pub mod broker;
pub mod client;
pub(crate) mod codec;
pub mod exchange;
mod link;
pub mod session;
pub(crate) mod stream;
pub mod tls;
pub mod url;

use std::{borrow::Cow, net::SocketAddr, path::PathBuf, time::Duration};

/// What went wrong outside: with a broker, a socket or a certificate. Each says what to try; none holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The broker that was named is none that can be used. The user's input is at fault.
    #[error("`{text}` names no broker: {problem}. {ACCEPTED}")]
    BadUrl {
        /// What was given, without a password.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The embedded broker found its address taken or forbidden.
    #[error(
        "cannot listen on {address}: {source}. Another program may use this port: name a free one (`embedded:PORT`), or `embedded` to have one chosen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Nobody answers.
    #[error("cannot reach the broker {broker}: {reason}. Check host and port, and that it runs")]
    Unreachable {
        /// Host and port.
        broker: String,
        /// The system's reason.
        reason: String,
    },
    /// The broker answered CONNECT with a refusal.
    #[error("the broker {broker} refused the connection: {reason}. {advice}")]
    Refused {
        /// Host and port.
        broker: String,
        /// The return code in words.
        reason: Cow<'static, str>,
        /// What to try.
        advice: &'static str,
    },
    /// The broker refused a subscription.
    #[error(
        "the broker {broker} refused the subscription to `{filter}`. The login may lack the right to read it"
    )]
    SubscriptionRefused {
        /// Host and port.
        broker: String,
        /// The topic filter.
        filter: String,
    },
    /// No trust in the broker's certificate, or no TLS at the other end.
    #[error("no TLS connection with the broker {broker}: {reason}. {advice}")]
    Tls {
        /// Host and port.
        broker: String,
        /// The TLS library's reason.
        reason: String,
        /// What to try.
        advice: &'static str,
    },
    /// A file of certificates, or of a key, cannot be used.
    #[error("cannot read certificates from {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The connection broke.
    #[error(
        "the connection with the broker {broker} ended: {reason}. Look at the broker's log; its limits on packet size or rate may be too low"
    )]
    Lost {
        /// Host and port.
        broker: String,
        /// Why.
        reason: String,
    },
    /// The broker did not answer in time.
    #[error("the broker {broker} did not answer {what} within {} s. It may be overloaded or stopped", after.as_secs_f64())]
    Silent {
        /// Host and port.
        broker: String,
        /// What was asked.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// Messages of a lock-step round did not come back.
    #[error("{missing} of {sent} messages did not come back from the broker {broker} within {} s; the first is on `{topic}`. The broker may be overloaded, may drop messages (raise its queue limits, or its limit on their size), or may forbid the login to write or read `{prefix}#`", after.as_secs_f64())]
    RoundTimeout {
        /// Host and port.
        broker: String,
        /// Messages that did not come back.
        missing: usize,
        /// Messages of the round.
        sent: usize,
        /// Topic of the first that is missing.
        topic: String,
        /// The run's topic prefix.
        prefix: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// A message that MQTT cannot carry.
    #[error("cannot publish to `{topic}`: {problem}")]
    BadMessage {
        /// The topic.
        topic: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// More waits to be sent than the buffer holds.
    #[error(
        "the broker {broker} takes messages too slowly: {waiting_bytes} bytes wait. Lower the pace, or name a faster broker"
    )]
    Backlog {
        /// Host and port.
        broker: String,
        /// Bytes that wait.
        waiting_bytes: usize,
    },
}

/// The forms that [`url::BrokerChoice`] takes, for messages.
const ACCEPTED: &str = "Use `embedded`, `embedded:PORT`, `none`, `mqtt://[user:password@]host[:port]`, `mqtts://…`, `ws://…` or `wss://…`";

impl WireError {
    /// Whether the user's own input is at fault (exit code 2) rather than the outside (exit code 3).
    pub fn is_input(&self) -> bool {
        matches!(self, Self::BadUrl { .. } | Self::CaFile { .. } | Self::BadMessage { .. })
    }
}
