//! A run's connection: one that ends with the broker, or one that waits for it to come back.

use super::{
    WireError,
    client::{ConnectOptions, Connection, Received},
    session::{Session, SessionNews, SessionOptions},
};
use std::time::Duration;

/// Bytes of messages kept while the broker is away: more than an exchange lets wait, so that it says so and nothing is
/// dropped, [bytes].
const KEPT_BYTES: usize = 256 << 20;

/// A run's connection.
#[derive(Debug)]
pub(super) enum Link {
    /// What is lost ends the run.
    Strict(Box<Connection>),
    /// What is lost is waited for, for so long.
    Patient(Box<Session>, Duration),
}

impl Link {
    /// Connects and subscribes; with patience, a connection that comes back.
    pub fn open(
        options: ConnectOptions,
        filters: Vec<(String, u8)>,
        patience: Duration,
    ) -> Result<Self, WireError> {
        if patience.is_zero() {
            let mut connection = Connection::connect(&options)?;
            let all: Vec<(&str, u8)> = filters.iter().map(|(f, qos)| (f.as_str(), *qos)).collect();
            connection.subscribe(&all, options.timeout)?;
            return Ok(Self::Strict(Box::new(connection)));
        }
        // A clean session leaves nothing behind at the broker. What it had not acknowledged is published anew.
        let mut options = SessionOptions::new(options);
        options.filters = filters;
        options.longest = Duration::from_secs(2);
        options.waiting_bytes = KEPT_BYTES;
        Ok(Self::Patient(Box::new(Session::start(options)?), patience))
    }

    pub fn broker(&self) -> String {
        match self {
            Self::Strict(connection) => connection.broker().to_owned(),
            Self::Patient(session, _) => session.broker(),
        }
    }

    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) -> Result<(), WireError> {
        match self {
            Self::Strict(connection) => connection.publish(topic, payload, qos, retain),
            Self::Patient(session, _) => session.publish(topic, payload, qos, retain),
        }
    }

    pub fn pump(&mut self, wait: Option<Duration>, on: impl FnMut(Received)) -> Result<usize, WireError> {
        match self {
            Self::Strict(connection) => connection.pump(wait, on),
            Self::Patient(session, patience) => {
                let count = session.pump(wait.unwrap_or_default(), on)?;
                match session.away_since() {
                    Some((since, reason)) if since.elapsed() > *patience => {
                        let reason = format!("{reason} (it was waited for, {} s)", patience.as_secs());
                        Err(WireError::Lost { broker: session.broker(), reason })
                    }
                    _ => Ok(count),
                }
            }
        }
    }

    /// Whether the broker is not there at the moment.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Strict(_) => false,
            Self::Patient(session, _) => session.away_since().is_some(),
        }
    }

    pub fn unacknowledged(&self) -> usize {
        match self {
            Self::Strict(connection) => connection.unacknowledged(),
            Self::Patient(session, _) => session.unacknowledged(),
        }
    }

    pub fn waiting_bytes(&self) -> usize {
        match self {
            Self::Strict(connection) => connection.waiting_bytes(),
            Self::Patient(session, _) => session.waiting_bytes(),
        }
    }

    pub fn news(&mut self) -> Vec<SessionNews> {
        match self {
            Self::Strict(_) => Vec::new(),
            Self::Patient(session, _) => session.news(),
        }
    }

    pub fn disconnect(self, timeout: Duration) -> Result<(), WireError> {
        match self {
            Self::Strict(connection) => connection.disconnect(timeout),
            Self::Patient(session, _) => session.finish(timeout),
        }
    }
}
