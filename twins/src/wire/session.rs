//! A connection that comes back by itself: it backs off with jitter, keeps what was published until the broker has
//! acknowledged it, and subscribes again where the broker has forgotten.
//!
//! ```
//! use twinfleet_twins::wire::{broker::{Broker, BrokerConfig}, client::ConnectOptions, session::{Session, SessionOptions}};
//! use std::time::Duration;
//!
//! let broker = Broker::start(BrokerConfig::default())?;
//! let mut options = SessionOptions::new(ConnectOptions::new(broker.addr()));
//! options.filters = vec![("lab/#".to_owned(), 1)];
//! let mut session = Session::start(options)?;
//! session.publish("lab/door", b"open", 1, false)?;
//! let mut heard = Vec::new();
//! while heard.is_empty() {
//!     session.pump(Duration::from_secs(5), |message| heard.push(message))?;
//! }
//! assert_eq!(heard[0].topic(), "lab/door");
//! # Ok::<(), twinfleet_twins::wire::WireError>(())
//! ```

use super::{
    WireError,
    client::{ConnectOptions, Connection, Kept, Outgoing, Received},
    codec::valid_topic,
};
use std::{
    collections::{BTreeSet, VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    time::{Duration, Instant},
};

/// Messages of ours that are unacknowledged at a time where the broker does not say how many it takes: mosquitto's own
/// limit is 20 on what it sends, and it takes more, but disconnects who floods it.
const IN_FLIGHT: usize = 200;

/// What stood for so long and brought something was a connection, however long it was waited for.
const STEADY: Duration = Duration::from_secs(1);

/// How to keep a connection.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// How to connect, and to what.
    pub connect: ConnectOptions,
    /// What to subscribe to, each with its quality of service.
    pub filters: Vec<(String, u8)>,
    /// The first wait after a connection was lost; it doubles, up to `longest`, and each wait is drawn between half and
    /// the whole of it, so that a fleet does not come back all at once.
    pub shortest: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How long a connection may take once the first one stood.
    pub timeout: Duration,
    /// Bytes of messages kept while there is no connection; what is beyond that is dropped and counted, [bytes].
    pub waiting_bytes: usize,
}

impl SessionOptions {
    /// No subscription, waits from 100 ms to 30 s, 64 MiB of messages kept.
    pub fn new(connect: ConnectOptions) -> Self {
        Self {
            connect: ConnectOptions { keep: true, ..connect },
            filters: Vec::new(),
            shortest: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            waiting_bytes: 64 << 20,
        }
    }
}

/// What a session has been through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Connections that stood, the first one included.
    pub connections: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Connections at which the broker had forgotten us: it may have lost messages.
    pub forgotten: u64,
    /// Messages of ours dropped, as too many waited, or QoS 0 while there was no connection.
    pub dropped: u64,
    /// Messages of ours that the broker refused.
    pub refused: u64,
    /// Messages thrown away unread, as they were larger than we take.
    pub oversized: u64,
}

/// Something that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionNews {
    /// The connection ended or could not be made; the next attempt follows after this wait.
    Away {
        /// Why.
        reason: String,
        /// How long until the next attempt.
        wait: Duration,
    },
    /// A connection stands again; whether the broker remembered us.
    Back {
        /// Whether the broker remembered us.
        remembered: bool,
    },
}

/// A connection that comes back by itself.
#[derive(Debug)]
pub struct Session {
    options: SessionOptions,
    connection: Option<Connection>,
    outgoing: Vec<Outgoing>,
    waiting: VecDeque<Kept>,
    waiting_bytes: usize,
    /// Failed attempts since the last connection that stood for a while.
    attempt: u32,
    next_try: Instant,
    /// When the connection, or its absence, began.
    since: Instant,
    /// Whether anything came over this connection.
    brought: bool,
    /// How long was waited for it.
    waited: Duration,
    /// Why there is none.
    reason: String,
    jitter: RandomState,
    stats: SessionStats,
    news: Vec<SessionNews>,
}

impl Session {
    /// Connects for the first time.
    ///
    /// # Errors
    /// Those of [`Connection::connect`] and [`Connection::subscribe`]: what is wrong from the beginning is told at once.
    pub fn start(options: SessionOptions) -> Result<Self, WireError> {
        let now = Instant::now();
        let mut session = Self {
            options,
            connection: None,
            outgoing: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            attempt: 0,
            next_try: now,
            since: now,
            brought: false,
            waited: Duration::ZERO,
            reason: String::new(),
            jitter: RandomState::new(),
            stats: SessionStats::default(),
            news: Vec::new(),
        };
        session.connect(session.options.connect.timeout)?;
        Ok(session)
    }

    fn connect(&mut self, timeout: Duration) -> Result<(), WireError> {
        self.options.connect.timeout = timeout;
        let mut connection = Connection::connect(&self.options.connect)?;
        let remembered = connection.session_present();
        if !remembered {
            self.options.connect.received_qos2.clear();
        }
        // Sent anew even where the broker remembers: the filters may be others than last time.
        for some in self.options.filters.chunks(100) {
            let filters: Vec<(&str, u8)> = some.iter().map(|(f, qos)| (f.as_str(), *qos)).collect();
            connection.subscribe(&filters, timeout)?;
        }
        self.stats.connections += 1;
        self.stats.forgotten += u64::from(!remembered);
        connection.resume(std::mem::take(&mut self.outgoing));
        self.news.push(SessionNews::Back { remembered });
        self.connection = Some(connection);
        self.since = Instant::now();
        self.brought = false;
        Ok(())
    }

    fn away(&mut self, error: &WireError) {
        if let Some(mut connection) = self.connection.take() {
            self.stats.refused += connection.refused();
            self.stats.oversized += connection.oversized();
            self.outgoing = connection.take_outgoing();
            self.options.connect.received_qos2 = connection.received_qos2().clone();
            // One that brought something and stood for as long as it was waited for, or that stood for long, begins with short
            // waits; one that breaks at once goes on with longer ones, though the broker brought what it had kept.
            let stood = self.since.elapsed();
            if self.brought && stood >= self.waited.min(STEADY) || stood > self.options.longest {
                self.attempt = 0;
            }
            self.since = Instant::now();
        }
        let most = self.options.shortest.saturating_mul(1 << self.attempt.min(20)).min(self.options.longest);
        let nth = (self.attempt, self.stats.failed, self.stats.connections);
        let part = self.jitter.hash_one(nth) as f64 / u64::MAX as f64;
        let wait = most.mul_f64(0.5 + 0.5 * part);
        self.waited = wait;
        self.attempt = self.attempt.saturating_add(1);
        self.next_try = Instant::now() + wait;
        self.reason = error.to_string();
        self.news.push(SessionNews::Away { reason: error.to_string(), wait });
    }

    /// Whether a connection stands.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The broker's `host:port`.
    pub fn broker(&self) -> String {
        self.options.connect.url.place()
    }

    /// What happened since the last call.
    pub fn news(&mut self) -> Vec<SessionNews> {
        std::mem::take(&mut self.news)
    }

    /// What it has been through.
    pub fn stats(&self) -> SessionStats {
        let mut stats = self.stats;
        if let Some(c) = &self.connection {
            stats.refused += c.refused();
            stats.oversized += c.oversized();
        }
        stats
    }

    /// Messages of ours of QoS 1 and 2 that the broker has not acknowledged, those that still wait included.
    pub fn unacknowledged(&self) -> usize {
        self.waiting.len() + self.connection.as_ref().map_or(self.outgoing.len(), Connection::unacknowledged)
    }

    /// Bytes of messages of ours that wait to be sent, [bytes].
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes + self.connection.as_ref().map_or(0, Connection::waiting_bytes)
    }

    /// Packet ids of QoS 2 messages taken and not yet released by the broker.
    pub fn received_qos2(&self) -> &BTreeSet<u16> {
        match &self.connection {
            Some(connection) => connection.received_qos2(),
            None => &self.options.connect.received_qos2,
        }
    }

    /// Publishes, now or when there is a connection and room in it.
    ///
    /// # Errors
    /// [`WireError::BadMessage`] for what no broker takes.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) -> Result<(), WireError> {
        let bad = |problem| WireError::BadMessage { topic: topic.to_owned(), problem };
        if !valid_topic(topic) {
            return Err(bad("a topic is 1 to 65535 bytes long, without `+`, `#` and NUL"));
        }
        if qos == 0 {
            return match &mut self.connection {
                Some(connection) => connection.publish(topic, payload, 0, retain),
                None => {
                    self.stats.dropped += 1;
                    Ok(())
                }
            };
        }
        let bytes = topic.len() + payload.len();
        if self.waiting_bytes + bytes > self.options.waiting_bytes {
            self.stats.dropped += 1;
            return Ok(());
        }
        self.waiting_bytes += bytes;
        self.waiting.push_back(Kept { topic: topic.to_owned(), payload: payload.to_vec(), qos, retain });
        self.fill();
        Ok(())
    }

    /// Hands what waits to the connection, as far as the broker takes it.
    fn fill(&mut self) {
        let Some(connection) = &mut self.connection else { return };
        while connection.quota() > 0
            && connection.unacknowledged() < IN_FLIGHT
            && let Some(kept) = self.waiting.pop_front()
        {
            self.waiting_bytes -= kept.topic.len() + kept.payload.len();
            // What this broker does not take, for its size, must not hold up the rest.
            if connection.publish(&kept.topic, &kept.payload, kept.qos, kept.retain).is_err() {
                self.stats.refused += 1;
            }
        }
    }

    /// Sends what waits and takes in what has come, each message to `on`; returns how many there were. Waits for at most
    /// `wait` where nothing has come; where the connection is lost, it is made again when its time has come.
    ///
    /// # Errors
    /// [`WireError::BadMessage`] for a message of ours that this broker does not take. A lost connection is none: see
    /// [`Self::news`].
    pub fn pump(&mut self, wait: Duration, on: impl FnMut(Received)) -> Result<usize, WireError> {
        if self.connection.is_none() {
            let left = self.next_try.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::sleep(left.min(wait));
                return Ok(0);
            }
            if let Err(error) = self.connect(self.options.timeout) {
                self.stats.failed += 1;
                self.away(&error);
                return Ok(0);
            }
        }
        self.fill();
        let Some(connection) = &mut self.connection else { return Ok(0) };
        match connection.pump(Some(wait), on) {
            Ok(count) => {
                self.brought |= count > 0;
                self.fill();
                Ok(count)
            }
            Err(error) => {
                self.away(&error);
                Ok(0)
            }
        }
    }

    /// Acknowledges all messages handed out so far; those of a connection that has ended since come again.
    ///
    /// # Errors
    /// None: a connection that ends meanwhile is told by [`Self::news`].
    pub fn acknowledge(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.acknowledge(connection.held());
        }
    }

    /// Since when there is no connection, and why; none while one stands.
    pub fn away_since(&self) -> Option<(Instant, &str)> {
        self.connection.is_none().then_some((self.since, self.reason.as_str()))
    }

    /// Says good-bye, after what waits was sent and acknowledged.
    ///
    /// # Errors
    /// [`WireError::Silent`] if that takes longer than `timeout`, and those of [`Self::pump`].
    pub fn finish(mut self, timeout: Duration) -> Result<(), WireError> {
        let deadline = Instant::now() + timeout;
        while self.unacknowledged() > 0 {
            if Instant::now() > deadline {
                return Err(WireError::Silent {
                    broker: self.broker(),
                    what: "the last messages",
                    after: timeout,
                });
            }
            self.pump(Duration::from_millis(20), |_| ())?;
        }
        match self.connection.take() {
            Some(connection) => connection.disconnect(timeout),
            None => Ok(()),
        }
    }
}
