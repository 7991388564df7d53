//! The embedded broker: MQTT 3.1.1 over TCP, in one thread, for the first run and for small scenarios.
//!
//! It keeps the promises a lock-step run needs: a message that was accepted is delivered, at every quality of service.
//! When a subscriber's buffer is full, the publishers that would write to it wait (their sockets are not read) until it
//! has room; their acknowledgements are still taken, up to [`BrokerConfig::out_limit_bytes`] of held messages (two clients
//! that flood each other with more than that, and never pause, do stop each other). A subscriber that stays full for longer than [`BrokerConfig::slow_after`] is disconnected, counted and named
//! in [`BrokerStats`]. Only a client that is away and comes back can miss messages, beyond
//! [`BrokerConfig::max_queued`]; those are counted too.
//!
//! Deliberately absent: TLS, MQTT 5, bridges, persistence on disk, `$SYS` topics, rights per topic. A run that needs
//! them names a real broker.
//!
//! ```
//! use twinfleet_twins::wire::{broker::{Broker, BrokerConfig}, client::{Connection, ConnectOptions}};
//! use std::time::Duration;
//!
//! let broker = Broker::start(BrokerConfig::default())?;
//! let mut client = Connection::connect(&ConnectOptions::new(broker.addr()))?;
//! client.subscribe(&[("greenhouse/#", 1)], Duration::from_secs(5))?;
//! client.publish("greenhouse/bed-1", b"21.5", 1, false)?;
//! let mut got = Vec::new();
//! while got.is_empty() {
//!     client.pump(Some(Duration::from_secs(5)), |publish| got.push(publish))?;
//! }
//! assert_eq!(&got[0].payload[..], b"21.5");
//! # Ok::<(), twinfleet_twins::wire::WireError>(())
//! ```

mod conn;
mod core;
mod packets;
mod router;
mod session;

use super::WireError;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

/// What the broker listens on, and its bounds.
#[derive(Clone)]
pub struct BrokerConfig {
    /// Address and port; port 0 takes a free one. The default is the loopback address, since nothing is encrypted.
    pub listen: SocketAddr,
    /// User name and password that clients have to give, if any.
    pub login: Option<(String, String)>,
    /// Largest packet taken, without its fixed header, [bytes].
    pub max_packet_bytes: usize,
    /// Connections at a time; more are closed as they come.
    pub max_connections: usize,
    /// Bytes that may wait for one client's socket before its publishers wait, [bytes].
    pub out_limit_bytes: usize,
    /// Messages of QoS 1 and 2 that may be unacknowledged by one client.
    pub max_in_flight: usize,
    /// Messages that may wait for one client beyond those in flight.
    pub max_queued: usize,
    /// Retained messages kept; further topics are delivered and not kept.
    pub max_retained: usize,
    /// How long a client may keep its publishers waiting before it is disconnected.
    pub slow_after: Duration,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            login: None,
            max_packet_bytes: 16 << 20,
            max_connections: 8_192,
            out_limit_bytes: 1 << 20,
            max_in_flight: 1_000,
            max_queued: 10_000,
            max_retained: 100_000,
            slow_after: Duration::from_secs(30),
        }
    }
}

impl std::fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of logs.
        f.debug_struct("BrokerConfig")
            .field("listen", &self.listen)
            .field("login", &self.login.as_ref().map(|(user, _)| user))
            .field("out_limit_bytes", &self.out_limit_bytes)
            .field("max_in_flight", &self.max_in_flight)
            .field("max_queued", &self.max_queued)
            .field("slow_after", &self.slow_after)
            .finish_non_exhaustive()
    }
}

/// What the broker has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted in all.
    pub accepted: u64,
    /// Connections refused: too many, or a wrong login.
    pub refused: u64,
    /// Connections closed for bytes that are no MQTT 3.1.1.
    pub malformed: u64,
    /// Subscriptions that hold now.
    pub subscriptions: u64,
    /// PUBLISH packets taken from clients.
    pub messages_in: u64,
    /// PUBLISH packets handed to clients.
    pub messages_out: u64,
    /// Messages lost to clients that were away for too long.
    pub dropped_away: u64,
    /// Messages whose retain flag was not honoured, since there were too many topics.
    pub not_retained: u64,
    /// Times that a publisher had to wait for a subscriber.
    pub waits: u64,
    /// Clients disconnected for keeping publishers waiting.
    pub slow_disconnected: u64,
    /// The ids of the first of those.
    pub slow_clients: Vec<String>,
}

/// What the broker's thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    connections: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
    subscriptions: AtomicU64,
    messages_in: AtomicU64,
    messages_out: AtomicU64,
    dropped_away: AtomicU64,
    not_retained: AtomicU64,
    waits: AtomicU64,
    slow_disconnected: AtomicU64,
    slow_clients: Mutex<Vec<String>>,
}

/// A running broker; it stops when dropped.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
    shared: Arc<Shared>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Listens and starts the broker's thread.
    ///
    /// # Errors
    /// [`WireError::Listen`] if the address cannot be listened on.
    pub fn start(config: BrokerConfig) -> Result<Self, WireError> {
        let listen = config.listen;
        let failed = |source| WireError::Listen { address: listen, source };
        let shared = Arc::new(Shared::default());
        let core = core::Core::new(config, Arc::clone(&shared)).map_err(failed)?;
        let addr = core.local_addr().map_err(failed)?;
        let waker = core.waker();
        let thread =
            std::thread::Builder::new().name("broker".into()).spawn(move || core.run()).map_err(failed)?;
        Ok(Self { addr, shared, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What it has done so far.
    pub fn stats(&self) -> BrokerStats {
        let s = &self.shared;
        BrokerStats {
            connections: s.connections.load(Relaxed),
            accepted: s.accepted.load(Relaxed),
            refused: s.refused.load(Relaxed),
            malformed: s.malformed.load(Relaxed),
            subscriptions: s.subscriptions.load(Relaxed),
            messages_in: s.messages_in.load(Relaxed),
            messages_out: s.messages_out.load(Relaxed),
            dropped_away: s.dropped_away.load(Relaxed),
            not_retained: s.not_retained.load(Relaxed),
            waits: s.waits.load(Relaxed),
            slow_disconnected: s.slow_disconnected.load(Relaxed),
            slow_clients: s.slow_clients.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Whether its thread still runs.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|t| !t.is_finished())
    }

    /// Stops it: what waits is written as far as sockets take it at once, then every connection is closed.
    pub fn shutdown(mut self) -> BrokerStats {
        self.stop();
        self.stats()
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // A failed wake costs a moment only: the thread looks at `stop` at every sweep.
            self.waker.wake().ok();
            thread.join().ok();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}
