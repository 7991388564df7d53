//! One MQTT connection of ours, 3.1.1 or 5, driven by its caller's thread: what is published is gathered and leaves in
//! one write, what came in is taken in one read.
//!
//! Whoever has to keep what came before it counts as received holds the acknowledgements back
//! ([`ConnectOptions::hold_acks`], [`Connection::acknowledge`]). Whoever has to publish over a broken connection keeps
//! what was not acknowledged ([`ConnectOptions::keep`]) and hands it to the next one ([`Connection::resume`]);
//! [`super::session`] does both.
//!
//! ```
//! use twinfleet_twins::wire::{broker::{Broker, BrokerConfig}, client::{ConnectOptions, Connection}};
//! use std::time::Duration;
//!
//! let broker = Broker::start(BrokerConfig::default())?;
//! let mut connection = Connection::connect(&ConnectOptions::new(broker.addr()))?;
//! connection.publish("lab/door", b"open", 1, true)?;
//! while connection.unacknowledged() > 0 {
//!     connection.pump(Some(Duration::from_secs(5)), |_| ())?;
//! }
//! assert_eq!(broker.stats().messages_in, 1);
//! # Ok::<(), twinfleet_twins::wire::WireError>(())
//! ```

mod options;
mod oversized;

pub use self::options::{ConnectOptions, Received, Version};

use self::oversized::{Oversized, oversized};
use super::{
    WireError,
    codec::{
        PublishRef, ack, put_ack, valid_topic,
        versions::{self, Incoming, Welcome},
    },
    stream::{Stream, Transfer},
    tls::{self, Tls},
};
use bytes::{Buf, BytesMut};
use mio::{Events, Interest, Poll, Token};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

/// Bytes taken from the socket before the caller has its turn again.
const READ_BUDGET_BYTES: usize = 1 << 20;
/// The largest packet that MQTT can carry, [bytes].
const MAX_PACKET_BYTES: usize = 268_435_455;

/// How far the broker's taking over of a message of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// PUBACK is awaited.
    Acknowledge,
    /// PUBREC is awaited.
    Receive,
    /// PUBCOMP is awaited.
    Complete,
}

/// A message of ours that is on its way.
#[derive(Clone, Debug)]
pub struct Outgoing {
    stage: Stage,
    order: u64,
    pkid: u16,
    message: Option<Kept>,
}

/// A message of ours that is kept until the broker has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// MQTT topic.
    pub topic: String,
    /// MQTT payload.
    pub payload: Vec<u8>,
    /// Quality of service, 0–2.
    pub qos: u8,
    /// MQTT retain flag.
    pub retain: bool,
}

/// A packet too large to be taken, of which this much is still to be thrown away.
#[derive(Clone, Copy, Debug, Default)]
struct Skipping {
    left: usize,
    /// Its quality of service and packet id.
    ack: (u8, u16),
    count: u64,
}

/// A connection with a broker.
pub struct Connection {
    broker: String,
    version: Version,
    with_login: bool,
    stream: Stream,
    poll: Poll,
    events: Events,
    input: BytesMut,
    out: BytesMut,
    max_packet_bytes: usize,
    skipping: Skipping,
    unacknowledged: BTreeMap<u16, Outgoing>,
    published: u64,
    refused: u64,
    keep: bool,
    last_pkid: u16,
    hold_acks: bool,
    /// Messages handed out and not yet acknowledged: quality of service and packet id.
    held: VecDeque<(u8, u16)>,
    received_qos2: BTreeSet<u16>,
    max_outgoing_bytes: usize,
    receive_maximum: usize,
    keep_alive: Option<Duration>,
    last_out: Instant,
    pinged: Option<Instant>,
    connack: Option<Welcome>,
    suback: Option<(u16, Vec<bool>)>,
    session_present: bool,
    early: Vec<Received>,
    /// Whether the end goes unsaid, so that the broker publishes the will.
    unsaid: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("broker", &self.broker)
            .field("unacknowledged", &self.unacknowledged.len())
            .field("waiting_bytes", &self.out.len())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects, logs in, and waits for the broker's welcome.
    ///
    /// # Errors
    /// [`WireError::Unreachable`], [`WireError::Tls`], [`WireError::CaFile`], [`WireError::Refused`],
    /// [`WireError::Silent`].
    pub fn connect(options: &ConnectOptions) -> Result<Self, WireError> {
        let broker = options.url.place();
        let deadline = Instant::now() + options.timeout;
        let tls = Tls { ca_file: options.ca_file.clone(), identity: options.identity.clone() };
        let config = options.url.tls.then(|| tls.config(&broker)).transpose()?;
        let mut stream = Stream::open(&options.url, config, options.timeout)?;
        let unusable = |e: std::io::Error| WireError::Lost { broker: broker.clone(), reason: e.to_string() };
        let poll = Poll::new().map_err(unusable)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(stream.source(), Token(0), interest).map_err(unusable)?;
        let mut connection = Self {
            broker: broker.clone(),
            version: options.version,
            with_login: options.url.login.is_some(),
            stream,
            poll,
            events: Events::with_capacity(4),
            input: BytesMut::new(),
            unsaid: false,
            out: BytesMut::new(),
            max_packet_bytes: options.max_packet_bytes,
            skipping: Skipping::default(),
            unacknowledged: BTreeMap::new(),
            published: 0,
            refused: 0,
            keep: options.keep,
            last_pkid: 0,
            hold_acks: options.hold_acks,
            held: VecDeque::new(),
            received_qos2: options.received_qos2.clone(),
            max_outgoing_bytes: MAX_PACKET_BYTES,
            receive_maximum: usize::from(u16::MAX),
            keep_alive: None,
            last_out: Instant::now(),
            pinged: None,
            connack: None,
            suback: None,
            session_present: false,
            early: Vec::new(),
        };
        versions::put_connect(&mut connection.out, options)?;
        let mut early = Vec::new();
        let welcomed = connection.wait_for(
            "the login",
            deadline,
            options.timeout,
            // A broker that remembers us may send what it has kept right behind its welcome.
            |received| early.push(received),
            |c| c.connack.take(),
        );
        let welcome = match welcomed {
            // A broker that closes before it says a word does not know the client yet: this is not a lost connection.
            Err(WireError::Lost { reason, .. }) => {
                let hint =
                    if options.url.tls { "it may not speak TLS" } else { "it may want TLS (`mqtts://`)" };
                return Err(WireError::Unreachable {
                    broker,
                    reason: format!("it ended the connection without an answer ({reason}); {hint}"),
                });
            }
            other => other?,
        };
        connection.early = early;
        connection.enter(welcome, options)?;
        Ok(connection)
    }

    fn enter(&mut self, welcome: Welcome, asked: &ConnectOptions) -> Result<(), WireError> {
        if let Some(refusal) = welcome.refusal {
            return Err(options::refused(&self.broker, refusal, self.with_login, self.version));
        }
        self.session_present = welcome.session_present;
        if !welcome.session_present {
            self.received_qos2.clear();
        }
        let keep_alive_s = welcome.keep_alive_s.unwrap_or(asked.keep_alive_s);
        self.keep_alive = (keep_alive_s > 0).then(|| Duration::from_secs(u64::from(keep_alive_s)));
        if let Some(most) = welcome.max_packet_bytes {
            self.max_outgoing_bytes = self.max_outgoing_bytes.min(most as usize);
        }
        if let Some(most) = welcome.receive_maximum {
            self.receive_maximum = usize::from(most);
        }
        Ok(())
    }

    /// The broker's `host:port`.
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// Whether the broker remembered this client id, with its subscriptions.
    pub fn session_present(&self) -> bool {
        self.session_present
    }

    /// Messages of ours of QoS 1 and 2 that the broker has not yet taken over.
    pub fn unacknowledged(&self) -> usize {
        self.unacknowledged.len()
    }

    /// How many more messages of QoS 1 and 2 the broker takes now.
    pub fn quota(&self) -> usize {
        self.receive_maximum.saturating_sub(self.unacknowledged.len())
    }

    /// Messages of ours that the broker acknowledged as refused; MQTT 3.1.1 has no such word.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Messages that were thrown away unread, as they were larger than we take.
    pub fn oversized(&self) -> u64 {
        self.skipping.count
    }

    /// Messages handed out whose acknowledgement is held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Packet ids of QoS 2 messages that were taken and that the broker has not yet released. Who holds acknowledgements
    /// back keeps these with the messages, so that none counts twice after a restart.
    pub fn received_qos2(&self) -> &BTreeSet<u16> {
        &self.received_qos2
    }

    /// Acknowledges the oldest `count` of the messages whose acknowledgement is held back; [`Self::pump`] sends it.
    pub fn acknowledge(&mut self, count: usize) {
        for (qos, pkid) in self.held.drain(..count.min(self.held.len())) {
            put_ack(&mut self.out, if qos == 1 { ack::PUBACK } else { ack::PUBREC }, pkid);
        }
    }

    /// What the broker has not acknowledged, in the order it was published, for [`Self::resume`] of the next connection.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        let mut all: Vec<Outgoing> = std::mem::take(&mut self.unacknowledged).into_values().collect();
        all.sort_by_key(|o| o.order);
        all
    }

    /// Sends again what an earlier connection had not brought home: as duplicates where the broker remembers us, else anew.
    /// To be called before anything is published.
    pub fn resume(&mut self, outgoing: Vec<Outgoing>) {
        for mut o in outgoing {
            self.published += 1;
            o.order = self.published;
            match (&o.message, o.stage) {
                (_, Stage::Complete) if self.session_present => {
                    put_ack(&mut self.out, ack::PUBREL, o.pkid);
                    self.last_pkid = o.pkid;
                    self.unacknowledged.insert(o.pkid, o);
                }
                (Some(m), Stage::Acknowledge | Stage::Receive) if self.session_present => {
                    let (topic, payload) = (m.topic.as_bytes(), &m.payload[..]);
                    let publish =
                        PublishRef { topic, payload, qos: m.qos, retain: m.retain, dup: true, pkid: o.pkid };
                    versions::put_message(self.version, &mut self.out, publish);
                    self.last_pkid = o.pkid;
                    self.unacknowledged.insert(o.pkid, o);
                }
                // The broker took it over, then forgot us: it is the broker's.
                (_, Stage::Complete) | (None, _) => {}
                (Some(m), _) => {
                    // It was published before, so nothing is wrong with it.
                    let _ = self.publish(&m.topic, &m.payload, m.qos, m.retain);
                }
            }
        }
    }

    /// Bytes that wait for the socket, [bytes].
    pub fn waiting_bytes(&self) -> usize {
        self.out.len()
    }

    /// Puts a message into the outgoing buffer; [`Self::pump`] sends it.
    ///
    /// # Errors
    /// [`WireError::BadMessage`] for a topic that cannot be published to, or when 65,535 messages are unacknowledged.
    pub fn publish(&mut self, topic: &str, payload: &[u8], qos: u8, retain: bool) -> Result<(), WireError> {
        let bad = |problem| WireError::BadMessage { topic: topic.to_owned(), problem };
        if !valid_topic(topic) {
            return Err(bad("a topic is 1 to 65535 bytes long, without `+`, `#` and NUL"));
        }
        if payload.len() + topic.len() + 5 > MAX_PACKET_BYTES {
            return Err(bad("MQTT carries at most 268,435,455 bytes"));
        }
        if payload.len() + topic.len() + 10 > self.max_outgoing_bytes {
            return Err(bad("it is larger than this broker takes"));
        }
        let stage = match qos {
            0 => None,
            1 => Some(Stage::Acknowledge),
            2 => Some(Stage::Receive),
            _ => return Err(bad("the quality of service is 0, 1 or 2")),
        };
        let pkid = match stage {
            None => 0,
            Some(stage) => {
                let pkid = self.free_pkid().ok_or_else(|| bad("too many are unacknowledged"))?;
                let kept = || Kept { topic: topic.to_owned(), payload: payload.to_vec(), qos, retain };
                let message = self.keep.then(kept);
                self.published += 1;
                self.unacknowledged.insert(pkid, Outgoing { stage, order: self.published, pkid, message });
                pkid
            }
        };
        let publish = PublishRef { topic: topic.as_bytes(), payload, qos, retain, dup: false, pkid };
        versions::put_message(self.version, &mut self.out, publish);
        Ok(())
    }

    /// Subscribes to filters, each with a quality of service, and waits for the broker's consent. Messages that come
    /// meanwhile are kept for the next [`Self::pump`].
    ///
    /// # Errors
    /// [`WireError::SubscriptionRefused`], [`WireError::Silent`], [`WireError::Lost`].
    pub fn subscribe(&mut self, filters: &[(&str, u8)], timeout: Duration) -> Result<(), WireError> {
        let pkid = self.free_pkid().unwrap_or(1);
        versions::put_subscribe(self.version, &mut self.out, pkid, filters).map_err(|e| self.lost(&e))?;
        let deadline = Instant::now() + timeout;
        let mut early = std::mem::take(&mut self.early);
        let answer = self.wait_for(
            "a subscription",
            deadline,
            timeout,
            |received| early.push(received),
            |c| c.suback.take_if(|(id, _)| *id == pkid).map(|(_, codes)| codes),
        );
        self.early = early;
        let codes = answer?;
        for (i, (filter, _)) in filters.iter().enumerate() {
            if codes.get(i) != Some(&true) {
                let filter = (*filter).to_owned();
                return Err(WireError::SubscriptionRefused { broker: self.broker.clone(), filter });
            }
        }
        Ok(())
    }

    /// Sends what waits and takes in what has come, each message to `on`; returns how many there were. If nothing has
    /// come, it waits for as long as `wait` says.
    ///
    /// # Errors
    /// [`WireError::Lost`] or [`WireError::Tls`] when the connection ends.
    pub fn pump(&mut self, wait: Option<Duration>, mut on: impl FnMut(Received)) -> Result<usize, WireError> {
        self.keep_alive()?;
        self.write()?;
        let (mut messages, mut packets) = self.read_early(&mut on);
        let read = self.read(&mut on)?;
        messages += read.0;
        packets += read.1;
        if packets == 0
            && let Some(wait) = wait
            && !wait.is_zero()
        {
            let wait = self.keep_alive.map_or(wait, |k| wait.min(k / 4));
            match self.poll.poll(&mut self.events, Some(wait)) {
                Err(e) if e.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(self.lost(&e.to_string()));
                }
                _ => {}
            }
            self.write()?;
            messages += self.read(&mut on)?.0;
        }
        // Acknowledgements of what came in.
        self.write()?;
        Ok(messages)
    }

    /// Sends until at most so many bytes wait, taking in what comes meanwhile. Unlike [`Self::pump`] it never waits for
    /// something to come in.
    ///
    /// # Errors
    /// [`WireError::Silent`] if the broker does not take them in time, and those of [`Self::pump`].
    pub fn make_room(
        &mut self,
        max_waiting_bytes: usize,
        timeout: Duration,
        mut on: impl FnMut(Received),
    ) -> Result<(), WireError> {
        self.write()?;
        let deadline = Instant::now() + timeout;
        let room = |c: &mut Self| (c.out.len() <= max_waiting_bytes).then_some(());
        self.wait_for("what was sent", deadline, timeout, &mut on, room)
    }

    /// Ends the connection without a word, as a power cut does: the broker publishes the will.
    pub fn cut(mut self) {
        self.unsaid = true;
    }

    /// Says good-bye, after what waits was sent.
    ///
    /// # Errors
    /// [`WireError::Silent`] if the broker does not take it in time.
    pub fn disconnect(mut self, timeout: Duration) -> Result<(), WireError> {
        let deadline = Instant::now() + timeout;
        let idle = |c: &mut Self| (c.unacknowledged.is_empty() && c.out.is_empty()).then_some(());
        self.wait_for("the last messages", deadline, timeout, |_| (), idle)?;
        versions::put_disconnect(&mut self.out);
        let written = |c: &mut Self| c.out.is_empty().then_some(());
        match self.wait_for("the end", deadline, timeout, |_| (), written) {
            // The broker closes first, or we do.
            Ok(()) | Err(WireError::Lost { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn wait_for<T>(
        &mut self,
        what: &'static str,
        deadline: Instant,
        after: Duration,
        mut on: impl FnMut(Received),
        mut done: impl FnMut(&mut Self) -> Option<T>,
    ) -> Result<T, WireError> {
        loop {
            // Written before it is looked at: the pump below waits for something to come in, which a good-bye does not bring.
            let written = self.write();
            if let Some(result) = done(self) {
                return Ok(result);
            }
            written?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(WireError::Silent { broker: self.broker.clone(), what, after });
            }
            let pumped = self.pump(Some(left), &mut on);
            // An answer counts even if the connection ended right behind it.
            if let Err(error) = pumped {
                return done(self).ok_or(error);
            }
        }
    }

    fn lost(&self, reason: &str) -> WireError {
        WireError::Lost { broker: self.broker.clone(), reason: reason.to_owned() }
    }

    fn free_pkid(&mut self) -> Option<u16> {
        for _ in 0..=u16::MAX {
            self.last_pkid = if self.last_pkid == u16::MAX { 1 } else { self.last_pkid + 1 };
            if !self.unacknowledged.contains_key(&self.last_pkid) {
                return Some(self.last_pkid);
            }
        }
        None
    }

    fn keep_alive(&mut self) -> Result<(), WireError> {
        let Some(limit) = self.keep_alive else { return Ok(()) };
        let now = Instant::now();
        match self.pinged {
            Some(since) if now - since > limit => Err(self.lost("it did not answer a ping")),
            None if now - self.last_out > limit / 2 => {
                self.pinged = Some(now);
                self.out.extend_from_slice(&[0xc0, 0]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), WireError> {
        if self.out.is_empty() && !self.stream.wants_write() {
            return Ok(());
        }
        match self.stream.write(&mut self.out) {
            Ok(true) => {
                self.last_out = Instant::now();
                Ok(())
            }
            Ok(false) => Ok(()),
            // The broker's last words, such as a refusal, may still wait to be read; the read finds the end too.
            Err(Transfer::Io(_)) if !self.input.is_empty() || self.connack.is_none() => {
                self.out.clear();
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Hands out what came while a subscription was waited for.
    fn read_early(&mut self, on: &mut impl FnMut(Received)) -> (usize, usize) {
        let count = self.early.len();
        self.early.drain(..).for_each(on);
        (count, count)
    }

    /// Messages and packets that were read.
    fn read(&mut self, on: &mut impl FnMut(Received)) -> Result<(usize, usize), WireError> {
        let (mut messages, mut packets, mut taken) = (0, 0, 0);
        loop {
            // Packets that came with an earlier read are handled even if the connection has ended since.
            loop {
                if self.skip() {
                    break;
                }
                let packet = versions::next(self.version, &mut self.input, self.max_packet_bytes)
                    .map_err(|e| self.lost(&e))?;
                let Some(packet) = packet else { break };
                packets += 1;
                messages += usize::from(self.handle(packet, on)?);
            }
            if taken >= READ_BUDGET_BYTES {
                // There may be more to read, of which the poll would not tell again.
                return Ok((messages, packets.max(1)));
            }
            match self.stream.read(&mut self.input) {
                Ok(0) => return Ok((messages, packets)),
                Ok(n) => taken += n,
                Err(_) if packets > 0 => return Ok((messages, packets)),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    fn failed(&self, error: Transfer) -> WireError {
        match error {
            Transfer::End => self.lost("the broker closed it"),
            Transfer::Io(error) => self.lost(&error.to_string()),
            Transfer::Tls(error) => tls::failure(&self.broker, &error),
            Transfer::WebSocket(reason) => self.lost(&reason),
        }
    }

    /// Throws away what has come of a message that is larger than we take, and acknowledges it: otherwise the broker would
    /// send it again for ever. Whether more of it, or of its head, is to come.
    fn skip(&mut self) -> bool {
        if self.skipping.left == 0 {
            match oversized(&self.input, self.max_packet_bytes) {
                Oversized::No => return false,
                Oversized::HeadToCome => return true,
                Oversized::Publish { length, qos, pkid } => {
                    self.skipping.count += 1;
                    (self.skipping.left, self.skipping.ack) = (length, (qos, pkid));
                }
            }
        }
        let gone = self.skipping.left.min(self.input.len());
        self.input.advance(gone);
        self.skipping.left -= gone;
        if self.skipping.left > 0 {
            return true;
        }
        match self.skipping.ack {
            (1, pkid) => put_ack(&mut self.out, ack::PUBACK, pkid),
            (2, pkid) => put_ack(&mut self.out, ack::PUBREC, pkid),
            _ => {}
        }
        // Another of its kind may follow.
        self.skip()
    }

    /// Handles one packet; whether it was a message for `on`.
    fn handle(&mut self, packet: Incoming, on: &mut impl FnMut(Received)) -> Result<bool, WireError> {
        match packet {
            Incoming::Publish { topic, payload, qos, retain, dup, pkid } => {
                return Ok(self.take(Received { topic, payload, qos, retain, dup }, pkid, on));
            }
            Incoming::PubAck(pkid, refused) => {
                self.refused += u64::from(refused);
                self.advance(pkid, Stage::Acknowledge, None);
            }
            Incoming::PubRec(pkid, true) => {
                self.refused += 1;
                self.advance(pkid, Stage::Receive, None);
            }
            Incoming::PubRec(pkid, false) => {
                self.advance(pkid, Stage::Receive, Some(Stage::Complete));
                put_ack(&mut self.out, ack::PUBREL, pkid);
            }
            Incoming::PubComp(pkid) => self.advance(pkid, Stage::Complete, None),
            Incoming::PubRel(pkid) => {
                self.received_qos2.remove(&pkid);
                put_ack(&mut self.out, ack::PUBCOMP, pkid);
            }
            Incoming::ConnAck(welcome) => self.connack = Some(welcome),
            Incoming::SubAck(pkid, granted) => self.suback = Some((pkid, granted)),
            Incoming::Pong => self.pinged = None,
            Incoming::UnsubAck => {}
            Incoming::Disconnect(reason) => return Err(self.lost(&format!("it said `{reason}`"))),
            Incoming::Foreign => return Err(self.lost("it sent a packet that only clients send")),
        }
        Ok(false)
    }

    fn take(&mut self, received: Received, pkid: u16, on: &mut impl FnMut(Received)) -> bool {
        let qos = received.qos;
        // What was taken before, whoever keeps it has it; its PUBREC went astray, or is still held back.
        let fresh = qos < 2 || self.received_qos2.insert(pkid);
        if qos > 0 {
            if self.hold_acks && fresh {
                self.held.push_back((qos, pkid));
            } else if !self.held.contains(&(qos, pkid)) {
                put_ack(&mut self.out, if qos == 1 { ack::PUBACK } else { ack::PUBREC }, pkid);
            }
        }
        if fresh {
            on(received);
        }
        fresh
    }

    fn advance(&mut self, pkid: u16, from: Stage, to: Option<Stage>) {
        let Some(outgoing) = self.unacknowledged.get_mut(&pkid).filter(|o| o.stage == from) else { return };
        match to {
            Some(to) => {
                outgoing.stage = to;
                outgoing.message = None;
            }
            None => {
                self.unacknowledged.remove(&pkid);
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Best effort: a broker that is told does not publish the will; one that is not told finds out.
        if self.out.is_empty() && !self.unsaid && !std::thread::panicking() {
            versions::put_disconnect(&mut self.out);
            self.stream.write(&mut self.out).ok();
        }
        self.out.advance(self.out.len());
    }
}
