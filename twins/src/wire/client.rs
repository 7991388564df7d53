//! One MQTT 3.1.1 connection of ours, driven by its caller's thread: what is published is gathered and leaves in one
//! write, what came in is taken in one read.
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

mod stream;

use super::{
    WireError,
    codec::{PublishRef, ack, next_packet, put_ack, put_publish, valid_topic},
    url::BrokerUrl,
};
use bytes::{Buf, Bytes, BytesMut};
use mio::{Events, Interest, Poll, Token};
use rumqttc::mqttbytes::{
    QoS,
    v4::{
        Connect, ConnectReturnCode, LastWill, Packet, Publish, Subscribe, SubscribeFilter,
        SubscribeReasonCode,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};
use stream::{Stream, Transfer};

/// Bytes taken from the socket before the caller has its turn again.
const READ_BUDGET_BYTES: usize = 1 << 20;

/// How to connect, and to what.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The broker.
    pub url: BrokerUrl,
    /// MQTT client id; brokers let one connection at a time have it.
    pub client_id: String,
    /// Whether the broker forgets what it knew of this client id, now and at the end.
    pub clean_session: bool,
    /// Longest silence between us and the broker, [s]; 0 for no limit. It has to be longer than the caller may stay away
    /// from [`Connection::pump`].
    pub keep_alive_s: u16,
    /// A PEM file of the certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// What the broker publishes for us when the connection breaks: topic, payload, quality of service, retain flag.
    pub will: Option<(String, Vec<u8>, u8, bool)>,
    /// Largest packet taken, [bytes].
    pub max_packet_bytes: usize,
    /// How long to wait for the connection and the broker's answer.
    pub timeout: Duration,
}

impl ConnectOptions {
    /// A clean session with the broker at this address, without TLS.
    pub fn new(address: SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self::to(BrokerUrl { host, port, tls: false, login: None })
    }

    /// A clean session with this broker.
    pub fn to(url: BrokerUrl) -> Self {
        Self {
            url,
            client_id: unique_client_id(),
            clean_session: true,
            keep_alive_s: 600,
            ca_file: None,
            will: None,
            max_packet_bytes: 64 << 20,
            timeout: Duration::from_secs(10),
        }
    }
}

/// A client id that no other process has, within the 23 characters that every broker accepts.
fn unique_client_id() -> String {
    // The standard library seeds its hasher from the system's entropy: no more is needed of a name.
    format!("twinfleet-{:012x}", RandomState::new().hash_one(std::process::id()) & 0xffff_ffff_ffff)
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    topic: Bytes,
    /// MQTT payload.
    pub payload: Bytes,
    /// Quality of service it was delivered with, 0–2.
    pub qos: u8,
    /// Set on what the broker had kept, not on what passes.
    pub retain: bool,
}

impl Received {
    /// MQTT topic.
    pub fn topic(&self) -> &str {
        // The codec has checked that topics are UTF-8.
        std::str::from_utf8(&self.topic).unwrap_or_default()
    }
}

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

/// A connection with a broker.
pub struct Connection {
    broker: String,
    stream: Stream,
    poll: Poll,
    events: Events,
    input: BytesMut,
    out: BytesMut,
    max_packet_bytes: usize,
    unacknowledged: BTreeMap<u16, Stage>,
    last_pkid: u16,
    received_qos2: BTreeSet<u16>,
    keep_alive: Option<Duration>,
    last_out: Instant,
    pinged: Option<Instant>,
    connack: Option<(ConnectReturnCode, bool)>,
    suback: Option<(u16, Vec<SubscribeReasonCode>)>,
    unsuback: Option<u16>,
    session_present: bool,
    early: Vec<Received>,
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
        let mut stream = Stream::open(&options.url, options.ca_file.as_deref(), options.timeout)?;
        let unusable = |e: std::io::Error| WireError::Lost { broker: broker.clone(), reason: e.to_string() };
        let poll = Poll::new().map_err(unusable)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(stream.source(), Token(0), interest).map_err(unusable)?;
        let mut connection = Self {
            broker: broker.clone(),
            stream,
            poll,
            events: Events::with_capacity(4),
            input: BytesMut::new(),
            out: BytesMut::new(),
            max_packet_bytes: options.max_packet_bytes,
            unacknowledged: BTreeMap::new(),
            last_pkid: 0,
            received_qos2: BTreeSet::new(),
            keep_alive: None,
            last_out: Instant::now(),
            pinged: None,
            connack: None,
            suback: None,
            unsuback: None,
            session_present: false,
            early: Vec::new(),
        };
        let packet = Packet::Connect(connect_packet(options)?);
        connection.put(&packet)?;
        let welcomed =
            connection.wait_for("the login", deadline, options.timeout, |_| (), |c| c.connack.take());
        let (code, present) = match welcomed {
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
        check_welcome(&broker, code, options.url.login.is_some())?;
        connection.session_present = present;
        connection.keep_alive =
            (options.keep_alive_s > 0).then(|| Duration::from_secs(u64::from(options.keep_alive_s)));
        Ok(connection)
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
        if payload.len() + topic.len() + 4 > 268_435_455 {
            return Err(bad("MQTT carries at most 268,435,455 bytes"));
        }
        let pkid = match qos {
            0 => 0,
            1 => self.next_pkid(Stage::Acknowledge).ok_or_else(|| bad("too many are unacknowledged"))?,
            2 => self.next_pkid(Stage::Receive).ok_or_else(|| bad("too many are unacknowledged"))?,
            _ => return Err(bad("the quality of service is 0, 1 or 2")),
        };
        let publish = PublishRef { topic: topic.as_bytes(), payload, qos, retain, dup: false, pkid };
        put_publish(&mut self.out, publish);
        Ok(())
    }

    /// Subscribes to filters, each with a quality of service, and waits for the broker's consent. Messages that come
    /// meanwhile are kept for the next [`Self::pump`].
    ///
    /// # Errors
    /// [`WireError::SubscriptionRefused`], [`WireError::Silent`], [`WireError::Lost`].
    pub fn subscribe(&mut self, filters: &[(&str, u8)], timeout: Duration) -> Result<(), WireError> {
        let wanted = filters.iter().map(|(path, qos)| SubscribeFilter::new((*path).to_owned(), qos_of(*qos)));
        let mut packet = Subscribe::new_many(wanted);
        packet.pkid = self.free_pkid().unwrap_or(1);
        let pkid = packet.pkid;
        self.put(&Packet::Subscribe(packet))?;
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
            if !matches!(codes.get(i), Some(SubscribeReasonCode::Success(_))) {
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

    /// Says good-bye, after what waits was sent.
    ///
    /// # Errors
    /// [`WireError::Silent`] if the broker does not take it in time.
    pub fn disconnect(mut self, timeout: Duration) -> Result<(), WireError> {
        let deadline = Instant::now() + timeout;
        let idle = |c: &mut Self| (c.unacknowledged.is_empty() && c.out.is_empty()).then_some(());
        self.wait_for("the last messages", deadline, timeout, |_| (), idle)?;
        self.put(&Packet::Disconnect)?;
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

    fn put(&mut self, packet: &Packet) -> Result<(), WireError> {
        match packet.write(&mut self.out, usize::MAX) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(&error.to_string())),
        }
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

    fn next_pkid(&mut self, stage: Stage) -> Option<u16> {
        let pkid = self.free_pkid()?;
        self.unacknowledged.insert(pkid, stage);
        Some(pkid)
    }

    fn keep_alive(&mut self) -> Result<(), WireError> {
        let Some(limit) = self.keep_alive else { return Ok(()) };
        let now = Instant::now();
        match self.pinged {
            Some(since) if now - since > limit => Err(self.lost("it did not answer a ping")),
            None if now - self.last_out > limit / 2 => {
                self.pinged = Some(now);
                self.put(&Packet::PingReq)
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
                let packet = next_packet(&mut self.input, self.max_packet_bytes)
                    .map_err(|e| self.lost(&format!("it sent bytes that are no MQTT 3.1.1 ({e})")))?;
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
            Transfer::Tls(error) => stream::tls_failure(&self.broker, &error),
        }
    }

    /// Handles one packet; whether it was a message for `on`.
    fn handle(&mut self, packet: Packet, on: &mut impl FnMut(Received)) -> Result<bool, WireError> {
        match packet {
            Packet::Publish(publish) => return Ok(self.take(publish, on)),
            Packet::PubAck(a) => self.advance(a.pkid, Stage::Acknowledge, None),
            Packet::PubRec(a) => {
                self.advance(a.pkid, Stage::Receive, Some(Stage::Complete));
                put_ack(&mut self.out, ack::PUBREL, a.pkid);
            }
            Packet::PubComp(a) => self.advance(a.pkid, Stage::Complete, None),
            Packet::PubRel(a) => {
                self.received_qos2.remove(&a.pkid);
                put_ack(&mut self.out, ack::PUBCOMP, a.pkid);
            }
            Packet::ConnAck(a) => self.connack = Some((a.code, a.session_present)),
            Packet::SubAck(a) => self.suback = Some((a.pkid, a.return_codes)),
            Packet::UnsubAck(a) => self.unsuback = Some(a.pkid),
            Packet::PingResp => self.pinged = None,
            _ => return Err(self.lost("it sent a packet that only clients send")),
        }
        Ok(false)
    }

    fn take(&mut self, publish: Publish, on: &mut impl FnMut(Received)) -> bool {
        let Publish { qos, retain, topic, pkid, payload, .. } = publish;
        let fresh = match qos {
            QoS::AtMostOnce => true,
            QoS::AtLeastOnce => {
                put_ack(&mut self.out, ack::PUBACK, pkid);
                true
            }
            QoS::ExactlyOnce => {
                put_ack(&mut self.out, ack::PUBREC, pkid);
                self.received_qos2.insert(pkid)
            }
        };
        if fresh {
            on(Received { topic, payload, qos: qos as u8, retain });
        }
        fresh
    }

    fn advance(&mut self, pkid: u16, from: Stage, to: Option<Stage>) {
        if self.unacknowledged.get(&pkid) == Some(&from) {
            match to {
                Some(to) => self.unacknowledged.insert(pkid, to),
                None => self.unacknowledged.remove(&pkid),
            };
        }
    }
}

fn qos_of(number: u8) -> QoS {
    match number {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

fn connect_packet(options: &ConnectOptions) -> Result<Connect, WireError> {
    let mut packet = Connect::new(options.client_id.clone());
    packet.keep_alive = options.keep_alive_s;
    packet.clean_session = options.clean_session;
    if let Some((user, password)) = &options.url.login {
        packet.set_credentials(user.clone(), password.clone());
    }
    if let Some((topic, payload, qos, retain)) = &options.will {
        if !valid_topic(topic) {
            let problem = "a will needs a topic without wildcards";
            return Err(WireError::BadMessage { topic: topic.clone(), problem });
        }
        packet.last_will = Some(LastWill::new(topic.clone(), payload.clone(), qos_of(*qos), *retain));
    }
    Ok(packet)
}

fn check_welcome(broker: &str, code: ConnectReturnCode, with_login: bool) -> Result<(), WireError> {
    let login_advice = if with_login {
        "Check user name and password in the URL"
    } else {
        "It may want a login: `mqtt://user:password@host`"
    };
    let (reason, advice) = match code {
        ConnectReturnCode::Success => return Ok(()),
        ConnectReturnCode::RefusedProtocolVersion => {
            ("it does not speak MQTT 3.1.1", "Enable version 3.1.1 (protocol level 4) there")
        }
        ConnectReturnCode::BadClientId => {
            ("it does not accept the client id", "Its rules may want certain ids, or a shorter keep-alive")
        }
        ConnectReturnCode::ServiceUnavailable => {
            ("the service is unavailable", "Look at its log; try again later")
        }
        ConnectReturnCode::BadUserNamePassword => ("wrong user name or password", login_advice),
        ConnectReturnCode::NotAuthorized => ("not authorised", login_advice),
    };
    Err(WireError::Refused { broker: broker.to_owned(), reason, advice })
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Best effort: a broker that is told does not publish the will; one that is not told finds out.
        if self.out.is_empty() && !std::thread::panicking() {
            self.out.extend_from_slice(&[0xe0, 0]);
            self.stream.write(&mut self.out).ok();
        }
        self.out.advance(self.out.len());
    }
}
