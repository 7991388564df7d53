//! The broker's thread: one poll over all sockets, and the lists of connections that have something to do.

use super::{
    BrokerConfig, Shared,
    conn::{Conn, Took},
    router::{Router, SessionId},
    session::{Delivery, Limits, Session},
};
use crate::wire::codec::next_packet;
use mio::{Events, Interest, Poll, Token, Waker, event::Event, net::TcpListener};
use nix::sys::socket::{Backlog, listen};
use rumqttc::mqttbytes::v4::Packet;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
/// How often keep-alive and slow clients are looked at.
const SWEEP: Duration = Duration::from_millis(250);
/// How long a connection may take to say CONNECT.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// Reads of one connection before the others have their turn.
const READS_A_TURN: usize = 4;
/// Names of slow clients kept for the report.
const SLOW_NAMES: usize = 16;

/// Why a connection is closed by the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// The client said DISCONNECT: no will.
    Asked,
    /// The connection ended, or the client broke the protocol in a way that has its own answer.
    Gone,
    /// Bytes that are no MQTT 3.1.1.
    Malformed,
}

/// The whole state of the broker.
pub(super) struct Core {
    pub config: BrokerConfig,
    pub shared: Arc<Shared>,
    poll: Poll,
    waker: Arc<Waker>,
    listener: TcpListener,
    pub conns: Vec<Option<Conn>>,
    free_conns: Vec<usize>,
    open: usize,
    pub sessions: Vec<Option<Session>>,
    pub free_sessions: Vec<SessionId>,
    pub session_of: HashMap<Arc<str>, SessionId>,
    pub router: Router,
    pub retained: BTreeMap<Box<str>, Delivery>,
    pub named: u64,
    dirty: Vec<usize>,
    ready: Vec<usize>,
    stalled: Vec<usize>,
    found: Vec<(SessionId, u8)>,
    scratch: Vec<u8>,
}

impl Core {
    pub fn new(config: BrokerConfig, shared: Arc<Shared>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut listener = TcpListener::bind(config.listen)?;
        // As many may knock at once as the kernel lets wait. Of the 128 that `bind` allows, a fleet that comes back makes
        // thousands wait a second for their second packet.
        listen(&listener, Backlog::MAXALLOWABLE)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            config,
            shared,
            poll,
            waker,
            listener,
            conns: Vec::new(),
            free_conns: Vec::new(),
            open: 0,
            sessions: Vec::new(),
            free_sessions: Vec::new(),
            session_of: HashMap::new(),
            router: Router::default(),
            retained: BTreeMap::new(),
            named: 0,
            dirty: Vec::new(),
            ready: Vec::new(),
            stalled: Vec::new(),
            found: Vec::new(),
            scratch: vec![0; READ_BYTES],
        })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut next_sweep = Instant::now() + SWEEP;
        while !self.shared.stop.load(Relaxed) {
            let timeout = if self.ready.is_empty() {
                next_sweep.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != io::ErrorKind::Interrupted
            {
                break;
            }
            for event in &events {
                self.on_event(event);
            }
            for i in std::mem::take(&mut self.ready) {
                if let Some(conn) = self.conn(i) {
                    conn.ready = false;
                    self.read_turn(i);
                }
            }
            self.settle();
            if Instant::now() >= next_sweep {
                self.sweep(Instant::now());
                self.settle();
                next_sweep = Instant::now() + SWEEP;
            }
        }
        for conn in self.conns.iter_mut().flatten() {
            conn.write();
        }
    }

    fn on_event(&mut self, event: &Event) {
        match event.token() {
            LISTENER => self.accept(),
            WAKER => {}
            Token(i) => {
                let Some(conn) = self.conn(i) else { return };
                conn.writable |= event.is_writable();
                conn.read_closed |= event.is_read_closed() || event.is_error();
                conn.readable |= event.is_readable() || conn.read_closed;
                if conn.readable {
                    self.mark_ready(i);
                }
                self.mark_dirty(i);
            }
        }
    }

    fn accept(&mut self) {
        // Any error ends the round: would-block is the usual one, and when descriptors run out the sweep tries again.
        while let Ok((mut stream, _)) = self.listener.accept() {
            if self.open >= self.config.max_connections {
                self.shared.refused.fetch_add(1, Relaxed);
                continue;
            }
            let i = self.free_conns.pop().unwrap_or(self.conns.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            if stream.set_nodelay(true).is_err()
                || self.poll.registry().register(&mut stream, Token(i), interest).is_err()
            {
                if i < self.conns.len() {
                    self.free_conns.push(i);
                }
                continue;
            }
            let conn = Some(Conn::new(stream, Instant::now()));
            if i == self.conns.len() {
                self.conns.push(conn);
            } else {
                self.conns[i] = conn;
            }
            self.open += 1;
            self.shared.accepted.fetch_add(1, Relaxed);
            self.shared.connections.store(self.open as u64, Relaxed);
            self.mark_ready(i);
        }
    }

    pub fn conn(&mut self, i: usize) -> Option<&mut Conn> {
        self.conns.get_mut(i).and_then(Option::as_mut)
    }

    pub fn session(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(id as usize).and_then(Option::as_mut)
    }

    pub fn mark_dirty(&mut self, i: usize) {
        if let Some(Some(conn)) = self.conns.get_mut(i)
            && !conn.dirty
        {
            conn.dirty = true;
            self.dirty.push(i);
        }
    }

    fn mark_ready(&mut self, i: usize) {
        if let Some(Some(conn)) = self.conns.get_mut(i)
            && !conn.ready
        {
            conn.ready = true;
            self.ready.push(i);
        }
    }

    /// Reads a connection and handles what came, until it is empty, has had its turn, or has to wait for a subscriber.
    fn read_turn(&mut self, i: usize) {
        for _ in 0..READS_A_TURN {
            if let Err(why) = self.take_packets(i) {
                return self.close(i, why);
            }
            let hold_limit = self.config.out_limit_bytes;
            let mut scratch = std::mem::take(&mut self.scratch);
            let took = match self.conn(i) {
                Some(c) if c.readable && c.held_bytes < hold_limit && !c.closing => c.read(&mut scratch),
                _ => Took::Later,
            };
            self.scratch = scratch;
            match took {
                Took::Some => {}
                Took::Later => return,
                // A publisher may end its connection while what it sent still waits; it is delivered first.
                Took::End if self.conn(i).is_some_and(|c| !c.held.is_empty()) => {
                    if let Some(conn) = self.conn(i) {
                        conn.readable = false;
                        conn.closing = true;
                    }
                    return;
                }
                Took::End => return self.close(i, Close::Gone),
            }
        }
        if let Err(why) = self.take_packets(i) {
            return self.close(i, why);
        }
        let hold_limit = self.config.out_limit_bytes;
        if self.conn(i).is_some_and(|c| c.readable && c.held_bytes < hold_limit) {
            self.mark_ready(i);
        }
    }

    /// Handles the whole packets that have come in.
    fn take_packets(&mut self, i: usize) -> Result<(), Close> {
        let (max_packet_bytes, hold_limit) = (self.config.max_packet_bytes, self.config.out_limit_bytes);
        let mut read_some = false;
        loop {
            let Some(conn) = self.conn(i) else { return Ok(()) };
            if conn.held_bytes >= hold_limit {
                return Ok(());
            }
            let packet = match next_packet(&mut conn.input, max_packet_bytes) {
                Ok(Some(packet)) => packet,
                Ok(None) => {
                    if read_some {
                        conn.last_in = Instant::now();
                    }
                    return Ok(());
                }
                Err(error) => return Err(self.refuse_packet(i, &error)),
            };
            read_some = true;
            // What a subscriber waits for must not wait behind what waits for a subscriber.
            let passes = matches!(
                packet,
                Packet::PubAck(_)
                    | Packet::PubRec(_)
                    | Packet::PubRel(_)
                    | Packet::PubComp(_)
                    | Packet::PingReq
            );
            if conn.held.is_empty() || passes {
                if let Some(packet) = self.handle(i, packet)? {
                    self.hold(i, packet);
                }
            } else {
                self.hold(i, packet);
            }
        }
    }

    fn hold(&mut self, i: usize, packet: Packet) {
        let Some(conn) = self.conn(i) else { return };
        conn.held_bytes += packet.size();
        conn.held.push_back(packet);
        if conn.held.len() == 1 {
            self.stalled.push(i);
            self.shared.waits.fetch_add(1, Relaxed);
        }
    }

    /// Writes what there is to write, and lets publishers go on that had to wait, until neither changes anything.
    fn settle(&mut self) {
        loop {
            for i in std::mem::take(&mut self.dirty) {
                if let Some(conn) = self.conn(i) {
                    conn.dirty = false;
                    self.flush(i);
                }
            }
            for i in std::mem::take(&mut self.stalled) {
                self.retry(i);
            }
            if self.dirty.is_empty() {
                return;
            }
        }
    }

    fn flush(&mut self, i: usize) {
        loop {
            let limits = self.limits();
            let Some(Some(conn)) = self.conns.get_mut(i) else { return };
            if !conn.closing && !conn.write() {
                conn.closing = true;
                conn.readable = false;
            }
            if conn.closing {
                if conn.held.is_empty() {
                    self.close(i, Close::Gone);
                }
                return;
            }
            let session =
                conn.session.and_then(|id| self.sessions.get_mut(id as usize).and_then(Option::as_mut));
            let sent = session.map_or(0, |s| s.pump(&mut conn.out, limits));
            self.shared.messages_out.fetch_add(sent, Relaxed);
            if sent == 0 || !conn.writable {
                return;
            }
        }
    }

    /// Hands on what a publisher had to hold back, in order, as far as its subscribers have room.
    fn retry(&mut self, i: usize) {
        loop {
            let Some(conn) = self.conn(i) else { return };
            let Some(packet) = conn.held.pop_front() else { break };
            let bytes = packet.size();
            match self.handle(i, packet) {
                Ok(None) => {
                    if let Some(conn) = self.conn(i) {
                        conn.held_bytes -= bytes;
                    }
                }
                Ok(Some(packet)) => {
                    if let Some(conn) = self.conn(i) {
                        conn.held.push_front(packet);
                        self.stalled.push(i);
                    }
                    return;
                }
                Err(why) => return self.close(i, why),
            }
        }
        if let Err(why) = self.take_packets(i) {
            return self.close(i, why);
        }
        self.mark_dirty(i);
        self.mark_ready(i);
    }

    pub fn limits(&self) -> Limits {
        Limits { out_bytes: self.config.out_limit_bytes, in_flight: self.config.max_in_flight }
    }

    /// Hands a message to everyone who wants it; false, and nothing done, if one of them has no room and `may_wait`.
    pub fn route(&mut self, message: &Delivery, may_wait: bool) -> bool {
        let mut found = std::mem::take(&mut self.found);
        // The codec has checked that topics are UTF-8.
        let topic = std::str::from_utf8(&message.topic).unwrap_or_default();
        self.router.find(topic, &mut found);
        // Every one is looked at, so that each slow subscriber's clock runs.
        let mut full = false;
        if may_wait {
            for &(id, _) in &found {
                full |= self.is_full(id);
            }
        }
        if !full {
            for &(id, granted) in &found {
                let mut delivery = message.clone();
                delivery.qos = delivery.qos.min(granted);
                delivery.retain = false;
                self.deliver(id, delivery);
            }
            if message.retain {
                self.retain(topic, message);
            }
        }
        self.found = found;
        !full
    }

    fn is_full(&mut self, id: SessionId) -> bool {
        let (out_limit, max_queued) = (self.config.out_limit_bytes, self.config.max_queued);
        let Some(Some(session)) = self.sessions.get(id as usize) else { return false };
        let Some(i) = session.conn else { return false };
        let queued = session.queued();
        let Some(conn) = self.conn(i) else { return false };
        let full = !conn.closing && (conn.out.len() >= out_limit || queued >= max_queued);
        if full {
            conn.full_since.get_or_insert_with(Instant::now);
        }
        full
    }

    fn deliver(&mut self, id: SessionId, delivery: Delivery) {
        let (limits, max_queued) = (self.limits(), self.config.max_queued);
        let Some(Some(session)) = self.sessions.get_mut(id as usize) else { return };
        let Some(i) = session.conn else {
            if delivery.qos > 0 && session.queued() < max_queued {
                session.push(delivery.detached());
            } else if delivery.qos > 0 {
                self.shared.dropped_away.fetch_add(1, Relaxed);
            }
            return;
        };
        session.push(delivery);
        if let Some(Some(conn)) = self.conns.get_mut(i) {
            let sent = session.pump(&mut conn.out, limits);
            self.shared.messages_out.fetch_add(sent, Relaxed);
            self.mark_dirty(i);
        }
    }

    fn retain(&mut self, topic: &str, message: &Delivery) {
        if message.payload.is_empty() {
            self.retained.remove(topic);
        } else if self.retained.contains_key(topic) || self.retained.len() < self.config.max_retained {
            self.retained.insert(topic.into(), message.detached());
        } else {
            self.shared.not_retained.fetch_add(1, Relaxed);
        }
    }

    /// Keep-alive, clients that never say CONNECT, and subscribers that keep publishers waiting.
    fn sweep(&mut self, now: Instant) {
        self.accept();
        let (out_limit, max_queued) = (self.config.out_limit_bytes, self.config.max_queued);
        for i in 0..self.conns.len() {
            let Some(Some(conn)) = self.conns.get_mut(i) else { continue };
            let session = conn.session.and_then(|id| self.sessions[id as usize].as_ref());
            let queued = session.map_or(0, Session::queued);
            if conn.out.len() < out_limit && queued < max_queued {
                conn.full_since = None;
            }
            let slow = conn.full_since.is_some_and(|since| now - since > self.config.slow_after);
            let silent = match conn.silence_limit {
                // The broker itself does not read a publisher that has to wait.
                Some(limit) => conn.held.is_empty() && now - conn.last_in > limit,
                None => conn.session.is_none() && now - conn.opened > CONNECT_LIMIT,
            };
            if slow {
                let name = session.map_or_else(String::new, |s| s.client_id.to_string());
                self.shared.slow_disconnected.fetch_add(1, Relaxed);
                let mut names = self.shared.slow_clients.lock().unwrap_or_else(PoisonError::into_inner);
                if names.len() < SLOW_NAMES {
                    names.push(name);
                }
            }
            if slow || silent {
                self.close(i, Close::Gone);
            }
        }
    }

    /// Ends a connection; its session stays if it is a persistent one.
    pub fn close(&mut self, i: usize, why: Close) {
        let Some(mut conn) = self.conns.get_mut(i).and_then(Option::take) else { return };
        // A reason that was written for the client still goes out, if the socket takes it at once.
        conn.write();
        self.poll.registry().deregister(&mut conn.stream).ok();
        self.free_conns.push(i);
        self.open -= 1;
        self.shared.connections.store(self.open as u64, Relaxed);
        if why == Close::Malformed {
            self.shared.malformed.fetch_add(1, Relaxed);
        }
        if let Some(id) = conn.session
            && let Some(session) = self.session(id)
            && session.conn == Some(i)
        {
            session.disconnected();
            if session.clean {
                self.forget(id);
            }
        }
        if why != Close::Asked
            && let Some(will) = conn.will
        {
            let message = Delivery {
                topic: will.topic.into(),
                payload: will.message,
                qos: will.qos as u8,
                retain: will.retain,
            };
            self.route(&message, false);
        }
    }

    pub fn count_subscriptions(&self) {
        self.shared.subscriptions.store(self.router.len() as u64, Relaxed);
    }

    /// Ends a session.
    pub fn forget(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id as usize).and_then(Option::take) else { return };
        for filter in session.subscriptions.keys() {
            self.router.remove(filter, id);
        }
        self.count_subscriptions();
        self.session_of.remove(&session.client_id);
        self.free_sessions.push(id);
    }
}
