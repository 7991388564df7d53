//! A run's messages out to a broker and back.
//!
//! In lock-step ([`Exchange::round`]) a tick's messages are published under the run's prefix, and the run waits until its
//! own subscription has brought each of them back; what passes between costs no simulated time, and the messages keep
//! their simulated times, so a run has the same state with no broker, the embedded one and any other. At real-time pace
//! ([`Exchange::send`], [`Exchange::drain`]) a tick waits for the messages of the one before as long as the broker is there
//! ([`Exchange::settle`]), so that a busy machine makes a run late and not its devices silent; the wait is bounded.
//!
//! ```
//! use twinfleet_engine::{message::Message, time::SimTime};
//! use twinfleet_twins::wire::{exchange::{Exchange, ExchangeOptions}, url::BrokerChoice};
//! use std::time::Duration;
//!
//! let mut exchange = Exchange::connect(&BrokerChoice::Embedded, ExchangeOptions::default())?;
//! let message = Message {
//!     sent: SimTime(1), due: SimTime(2), publisher: 0, seq: 0,
//!     topic: "bed-1/state".into(), payload: (*b"{}").into(), qos: 1, retain: false,
//! };
//! let back = exchange.round(&[message.clone()], Duration::from_secs(5))?;
//! assert_eq!(back, [message]);
//! # Ok::<(), twinfleet_twins::wire::WireError>(())
//! ```

use super::{
    WireError,
    broker::{Broker, BrokerConfig, BrokerStats},
    client::{ConnectOptions, Received},
    link::Link,
    session::SessionNews,
    url::{BrokerChoice, BrokerUrl},
};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use twinfleet_engine::{message::Message, time::SimTime};

/// Messages of a round that are on their way at a time. Mosquitto queues 1,000 for a client and then drops; ours waits.
const WINDOW: usize = 500;
/// Messages of a round that are unacknowledged at a time, where the broker is not ours: mosquitto's
/// `max_inflight_messages`. With 170 QoS 2 messages in flight, mosquitto 2.0.11 acknowledged 500 of paho's and handed out
/// 60; with 20, all.
const UNACKNOWLEDGED: usize = 20;
/// Bytes of a round that are on their way at a time, [bytes].
const WINDOW_BYTES: usize = 1 << 20;
/// Messages of others that are kept until they are asked for.
const FOREIGN_LIMIT: usize = 100_000;
/// Messages of one topic that [`Exchange::send`] remembers until they come back.
const SENT_LIMIT: usize = 1_024;
/// Bytes that may wait for the socket at real-time pace, [bytes].
const BACKLOG_BYTES: usize = 64 << 20;
/// How long [`Exchange::settle`] waits after a wait was in vain.
const AFTER_A_LOSS: Duration = Duration::from_millis(10);
/// How often the connection is looked after while rounds are empty.
const IDLE: Duration = Duration::from_millis(50);

/// Where device shadows live: below a `$` that `#` does not cover, so that it is subscribed to by name.
const SHADOWS: &str = "$aws/";

/// The publisher of messages that are not the run's own.
pub const FOREIGN: u32 = u32::MAX;

/// How to connect.
#[derive(Clone, Debug)]
pub struct ExchangeOptions {
    /// Put before every topic; empty, or ending in `/`. On a shared broker each run has its own.
    pub prefix: String,
    /// A PEM file of the certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How long to wait for the connection.
    pub timeout: Duration,
    /// How long a broker that was there may be away; until it is back, what was published at QoS 1 and 2 is kept. Zero
    /// for a run in lock-step, which has to stop and say so.
    pub patience: Duration,
}

impl Default for ExchangeOptions {
    fn default() -> Self {
        let timeout = Duration::from_secs(10);
        Self { prefix: String::new(), ca_file: None, timeout, patience: Duration::ZERO }
    }
}

/// A run's way to its broker and back.
#[derive(Debug)]
pub struct Exchange {
    connection: Option<Link>,
    // Dropped after the connection, which then can say good-bye.
    broker: Option<Broker>,
    url: Option<BrokerUrl>,
    box_: Boxes,
    topic: String,
    retained: BTreeSet<Arc<str>>,
    looked_after: Instant,
}

/// Messages on their way, and messages that came.
#[derive(Debug, Default)]
struct Boxes {
    prefix: String,
    /// Sent and not yet back, by topic without prefix.
    sent: HashMap<Arc<str>, VecDeque<Message>>,
    back: Vec<Message>,
    foreign: Vec<Message>,
    foreign_seq: u64,
    foreign_dropped: u64,
    /// Of those sent at real-time pace, how many are still waited for; and whether the last wait was in vain.
    awaited: usize,
    in_vain: bool,
}

impl Boxes {
    fn expect(&mut self, message: &Message) {
        match self.sent.get_mut(&message.topic) {
            Some(queue) => queue.push_back(message.clone()),
            None => {
                self.sent.insert(Arc::clone(&message.topic), VecDeque::from([message.clone()]));
            }
        }
    }

    /// Finds the message that this one is, or keeps it as somebody else's.
    fn take(&mut self, received: Received) {
        let Some(topic) = received.topic().strip_prefix(self.prefix.as_str()) else { return };
        // What the broker had kept from before is nobody's echo.
        if !received.retain
            && let Some(queue) = self.sent.get_mut(topic)
            && let Some(i) = queue.iter().position(|m| m.payload[..] == received.payload[..])
            && let Some(message) = queue.remove(i)
        {
            self.awaited = self.awaited.saturating_sub(1);
            return self.back.push(message);
        }
        if self.foreign.len() >= FOREIGN_LIMIT {
            self.foreign_dropped += 1;
            return;
        }
        self.foreign.push(Message {
            sent: SimTime::ZERO,
            due: SimTime::ZERO,
            publisher: FOREIGN,
            seq: self.foreign_seq,
            topic: topic.into(),
            payload: received.payload[..].into(),
            qos: received.qos,
            retain: received.retain,
        });
        self.foreign_seq += 1;
    }

    fn take_back(&mut self) -> Vec<Message> {
        let mut back = std::mem::take(&mut self.back);
        sort(&mut back);
        back
    }
}

/// The order of the Input set.
fn sort(messages: &mut [Message]) {
    messages.sort_by_key(|m| (m.publisher, m.seq));
}

impl Exchange {
    /// Connects to the broker that was chosen, starting the embedded one if it is that, and subscribes to everything
    /// under the prefix.
    ///
    /// # Errors
    /// Those of [`Broker::start`] and [`super::client::Connection::connect`], and [`WireError::BadMessage`] for a prefix that MQTT
    /// cannot carry.
    pub fn connect(choice: &BrokerChoice, options: ExchangeOptions) -> Result<Self, WireError> {
        let ExchangeOptions { prefix, ca_file, timeout, patience } = options;
        if prefix.contains(['+', '#', '\0']) || !(prefix.is_empty() || prefix.ends_with('/')) {
            let problem = "a prefix is empty or ends in `/`, without `+`, `#` and NUL";
            return Err(WireError::BadMessage { topic: prefix, problem });
        }
        let start = |port| {
            let mut config = BrokerConfig::default();
            config.listen.set_port(port);
            Broker::start(config)
        };
        let (broker, connect) = match choice {
            BrokerChoice::None => (None, None),
            BrokerChoice::Embedded | BrokerChoice::EmbeddedAt(_) => {
                let broker = start(if let BrokerChoice::EmbeddedAt(port) = choice { *port } else { 0 })?;
                let options = ConnectOptions::new(broker.addr());
                (Some(broker), Some(options))
            }
            BrokerChoice::Url(url) => (None, Some(ConnectOptions::to(url.clone()))),
        };
        let box_ = Boxes { prefix, ..Boxes::default() };
        let url = connect.as_ref().map(|c| c.url.clone());
        let connection = match connect {
            None => None,
            Some(options) => {
                // At the highest quality, so that each message comes back with the one it was published with.
                let mut filters = vec![(format!("{}#", box_.prefix), 2)];
                if box_.prefix.is_empty() {
                    filters.push((format!("{SHADOWS}#"), 2));
                }
                let connection =
                    Link::open(ConnectOptions { ca_file, timeout, ..options }, filters, patience)?;
                Some(connection)
            }
        };
        Ok(Self {
            connection,
            broker,
            url,
            box_,
            topic: String::new(),
            retained: BTreeSet::new(),
            looked_after: Instant::now(),
        })
    }

    /// Where the embedded broker listens, if it is in use: a user's `mosquitto_sub` can attach there.
    pub fn embedded_addr(&self) -> Option<SocketAddr> {
        self.broker.as_ref().map(Broker::addr)
    }

    /// What the embedded broker has done, if it is in use.
    pub fn embedded_stats(&self) -> Option<BrokerStats> {
        self.broker.as_ref().map(Broker::stats)
    }

    /// The broker in use, without password; none if messages go round inside the process.
    pub fn url(&self) -> Option<&BrokerUrl> {
        self.url.as_ref()
    }

    /// Publishes a tick's messages and waits until each has come back. They come sorted by (publisher, sequence), as
    /// they were: same simulated times, same flags.
    ///
    /// An empty round costs a glance at the clock. What was sent by [`Self::send`] and not yet drained is forgotten: a run
    /// uses one or the other.
    ///
    /// # Errors
    /// [`WireError::RoundTimeout`], [`WireError::Lost`], [`WireError::Tls`], [`WireError::BadMessage`].
    pub fn round(&mut self, messages: &[Message], timeout: Duration) -> Result<Vec<Message>, WireError> {
        let Some(connection) = &mut self.connection else {
            let mut back = messages.to_vec();
            sort(&mut back);
            return Ok(back);
        };
        let unacknowledged = if self.broker.is_some() { WINDOW } else { UNACKNOWLEDGED };
        let start = Instant::now();
        if messages.is_empty() {
            if start - self.looked_after > IDLE {
                self.looked_after = start;
                connection.pump(None, |received| self.box_.take(received))?;
            }
            return Ok(Vec::new());
        }
        self.looked_after = start;
        self.box_.sent.clear();
        self.box_.back.clear();
        self.box_.back.reserve(messages.len());
        let (mut next, mut bytes) = (0_usize, 0_usize);
        while self.box_.back.len() < messages.len() || connection.unacknowledged() > 0 {
            let on_the_way = next.saturating_sub(self.box_.back.len());
            if on_the_way == 0 {
                bytes = 0;
            }
            let mut room = WINDOW.saturating_sub(on_the_way);
            while let Some(message) = messages.get(next)
                && room > 0
                && bytes < WINDOW_BYTES
                && (message.qos == 0 || connection.unacknowledged() < unacknowledged)
            {
                publish(connection, &mut self.topic, &self.box_.prefix, message)?;
                if message.retain {
                    self.retained.insert(Arc::clone(&message.topic));
                }
                self.box_.expect(message);
                bytes += message.payload.len();
                next += 1;
                room -= 1;
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(self.timed_out(messages, timeout));
            }
            connection.pump(Some(left), |received| self.box_.take(received))?;
        }
        Ok(self.box_.take_back())
    }

    fn timed_out(&mut self, messages: &[Message], after: Duration) -> WireError {
        let back: BTreeSet<_> = self.box_.take_back().iter().map(|m| (m.publisher, m.seq)).collect();
        let first = messages.iter().find(|m| !back.contains(&(m.publisher, m.seq)));
        WireError::RoundTimeout {
            broker: self.url.as_ref().map(BrokerUrl::place).unwrap_or_default(),
            missing: messages.len() - back.len(),
            sent: messages.len(),
            topic: first.map_or_else(String::new, |m| format!("{}{}", self.box_.prefix, m.topic)),
            prefix: self.box_.prefix.clone(),
            after,
        }
    }

    /// Publishes messages without waiting for them to come back.
    ///
    /// # Errors
    /// [`WireError::Backlog`] when the broker takes them too slowly, [`WireError::Lost`], [`WireError::Tls`],
    /// [`WireError::BadMessage`].
    pub fn send(&mut self, messages: &[Message]) -> Result<(), WireError> {
        let Some(connection) = &mut self.connection else {
            self.box_.back.extend_from_slice(messages);
            return Ok(());
        };
        for message in messages {
            publish(connection, &mut self.topic, &self.box_.prefix, message)?;
            if message.retain {
                self.retained.insert(Arc::clone(&message.topic));
            }
            self.box_.expect(message);
            self.box_.awaited += 1;
            // A message that a broker drops at QoS 0 never comes back.
            if let Some(queue) = self.box_.sent.get_mut(&message.topic)
                && queue.len() > SENT_LIMIT
            {
                queue.pop_front();
            }
        }
        connection.pump(None, |received| self.box_.take(received))?;
        let waiting_bytes = connection.waiting_bytes();
        if waiting_bytes > BACKLOG_BYTES {
            return Err(WireError::Backlog { broker: connection.broker(), waiting_bytes });
        }
        Ok(())
    }

    /// The run's own messages that have come back by now, sorted by (publisher, sequence).
    ///
    /// # Errors
    /// [`WireError::Lost`], [`WireError::Tls`].
    pub fn drain(&mut self) -> Result<Vec<Message>, WireError> {
        if let Some(connection) = &mut self.connection {
            connection.pump(None, |received| self.box_.take(received))?;
        }
        Ok(self.box_.take_back())
    }

    /// Waits for at most `patience` until all that [`Self::send`] sent has come back, unless the broker is away. What does not
    /// come in that time, while nothing else does either, is waited for no longer; until a wait is met again, the next ones are short.
    ///
    /// # Errors
    /// [`WireError::Lost`], [`WireError::Tls`].
    pub fn settle(&mut self, patience: Duration) -> Result<(), WireError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let (start, patience) =
            (Instant::now(), if self.box_.in_vain { patience.min(AFTER_A_LOSS) } else { patience });
        let mut came = start;
        while self.box_.awaited > 0 && !connection.is_away() {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                // While something still comes, the broker is slow, and the rest is on its way.
                if came.elapsed() >= patience / 2 {
                    (self.box_.awaited, self.box_.in_vain) = (0, true);
                }
                return Ok(());
            }
            let before = self.box_.awaited;
            connection.pump(Some(left), |received| self.box_.take(received))?;
            if self.box_.awaited < before {
                came = Instant::now();
            }
        }
        // One that comes back is waited for in full.
        self.box_.in_vain = false;
        Ok(())
    }

    /// Whether the broker is away, or something that was sent is still waited for.
    pub fn is_behind(&self) -> bool {
        self.box_.awaited > 0 || self.connection.as_ref().is_some_and(Link::is_away)
    }

    /// Waits for at most `wait` until something has come in; [`Self::drain`] and [`Self::foreign`] hand it out.
    ///
    /// # Errors
    /// [`WireError::Lost`], [`WireError::Tls`].
    pub fn wait(&mut self, wait: Duration) -> Result<(), WireError> {
        match &mut self.connection {
            Some(connection) => connection.pump(Some(wait), |received| self.box_.take(received)).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Messages of other clients under the prefix, in the order they came, by publisher [`FOREIGN`]; their simulated
    /// times are zero, for the driver to set. A retain flag means that the broker had kept the message.
    pub fn foreign(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.box_.foreign)
    }

    /// Messages of others that were dropped since nobody asked for them.
    pub fn foreign_dropped(&self) -> u64 {
        self.box_.foreign_dropped
    }

    /// What happened to a connection that may be away for a while.
    pub fn news(&mut self) -> Vec<SessionNews> {
        self.connection.as_mut().map_or_else(Vec::new, Link::news)
    }

    /// Ends the exchange; with `clear_retained`, the broker forgets the retained messages of this run.
    ///
    /// # Errors
    /// [`WireError::Silent`] if the broker does not take the last messages in time, [`WireError::Lost`].
    pub fn finish(mut self, clear_retained: bool, timeout: Duration) -> Result<(), WireError> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        if clear_retained {
            for topic in &self.retained {
                connection.publish(&format!("{}{topic}", self.box_.prefix), &[], 1, true)?;
                connection.pump(None, |_| ())?;
            }
        }
        connection.disconnect(timeout)
    }
}

fn publish(
    connection: &mut Link,
    topic: &mut String,
    prefix: &str,
    message: &Message,
) -> Result<(), WireError> {
    topic.clear();
    topic.push_str(prefix);
    topic.push_str(&message.topic);
    // `#` does not match such names, so the message would never come back.
    if topic.starts_with('$') && !topic.starts_with(SHADOWS) {
        let problem = "names that start with `$` belong to the broker";
        return Err(WireError::BadMessage { topic: topic.clone(), problem });
    }
    connection.publish(topic, &message.payload, message.qos, message.retain)
}
