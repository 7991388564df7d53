//! One connection as a bare state machine: what waits to be written, what came in half, and what its role remembers.

use super::{
    codec,
    job::{DeviceSpec, SubscriberSpec},
    ledger::{Intervals, Marks, Receipt},
    stamp::Stamp,
    stream::Stream,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};
use twinfleet_engine::{load::Schedule, scenario::load::Protocol};

/// Bytes that may wait for a socket before a device holds its messages back.
pub const OUT_LIMIT_BYTES: usize = 64 << 10;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not open; it opens at its wake-up.
    Down,
    /// The socket opens.
    Opening,
    /// The welcome is awaited.
    Greeting,
    /// The consent to the subscription is awaited.
    Subscribing,
    /// All is well.
    Up,
    /// Given up.
    Failed,
}

/// A message of the device's own firmware, planned ahead.
#[derive(Clone, Debug)]
pub struct Planned {
    /// When it is meant to leave, [ns] since the start.
    pub at_ns: i64,
    /// Topic.
    pub topic: Arc<str>,
    /// Payload, without a stamp.
    pub payload: Arc<[u8]>,
    /// Quality of service.
    pub qos: u8,
    /// Retain flag.
    pub retain: bool,
}

/// A message of QoS 1 or 2 on its way.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Packet id.
    pub pkid: u16,
    /// The device's way that it takes.
    pub way: u16,
    /// Number of the message on that way.
    pub seq: u32,
    /// When it was meant to leave, [ns] since the start.
    pub intended_ns: i64,
    /// When it left for the first time, [ns] since the start: since then its acknowledgement is awaited.
    pub first_ns: i64,
    /// When it left last, [ns] since the start.
    pub sent_ns: i64,
    /// Whether PUBREC has come.
    pub received: bool,
    /// Its own topic and payload, where the firmware made them.
    pub own: Option<Box<Planned>>,
}

/// A topic of a device, at one quality of service, and what went there.
#[derive(Debug)]
pub struct Way {
    /// Topic; empty: the one that the scenario gives the device.
    pub topic: Arc<str>,
    /// Quality of service.
    pub qos: u8,
    /// Deliveries that each message should bring.
    pub fan_out: u32,
    /// Messages written.
    pub count: u32,
    /// Those acknowledged.
    pub acknowledged: Intervals,
    /// When they were written, where no schedule tells.
    pub marks: Marks,
}

impl Way {
    /// With nothing written yet.
    pub fn new(topic: Arc<str>, qos: u8, fan_out: u32) -> Self {
        Self { topic, qos, fan_out, count: 0, acknowledged: Intervals::default(), marks: Marks::default() }
    }
}

/// Last wills of a device: each of its connections has left one with the broker.
#[derive(Debug, Default)]
pub struct Wills {
    /// Number of the present one.
    pub number: u32,
    /// Number of the last that was left.
    pub last: u32,
    /// Those whose connection has ended: the broker may publish them.
    pub over: Intervals,
    /// Those that it must, and since when, [ns] by the clock.
    pub owed: Vec<(u32, i64)>,
}

/// Topics, each at a quality of service, that a device may have.
pub const MOST_WAYS: usize = 65_000;

/// A device that publishes.
#[derive(Debug)]
pub struct Device {
    /// Index in the job.
    pub spec: usize,
    /// Quality of service.
    pub qos: u8,
    /// Retain flag.
    pub retain: bool,
    /// Payload length, [bytes].
    pub payload_bytes: u32,
    /// Messages that may be in flight.
    pub window: u16,
    /// Where it publishes: one topic, or as many as its firmware has.
    pub ways: Vec<Way>,
    /// Instants to come.
    pub schedule: Schedule,
    /// The next of them.
    pub next_ns: Option<i64>,
    /// What the firmware planned.
    pub queue: VecDeque<Planned>,
    /// Whether the firmware goes on planning.
    pub fed: bool,
    /// Messages written, on all ways.
    pub seq: u32,
    /// Messages that its firmware has planned.
    pub planned: u32,
    /// Messages taken in time.
    pub kept: u32,
    /// How long after its instant a message was written at most, [ns].
    pub late_ns: i64,
    /// Packet id of the last.
    pub pkid: u16,
    /// Messages on their way, oldest first.
    pub in_flight: VecDeque<Flight>,
    /// Its last wills, if it has any.
    pub wills: Option<Box<Wills>>,
    /// Since when it could have sent, [ns] by the clock: what held it back ended then.
    pub free_ns: i64,
    /// Whether the window or the socket holds it back.
    pub held: bool,
    /// When it was last up, [ns] by the clock.
    pub left_ns: i64,
    /// Messages sent once more.
    pub resent: u64,
    /// Whether it has been counted as finished.
    pub finished: bool,
}

impl Device {
    /// When its next message is meant to leave, [ns] since the start.
    pub fn next(&self) -> Option<i64> {
        self.queue.front().map(|p| p.at_ns).or(self.next_ns)
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.next().is_none() && self.in_flight.is_empty() && !self.fed
    }

    /// The way of a message that its firmware made; None: there are too many.
    pub fn way(&mut self, planned: &Planned, fan_out: impl FnOnce() -> u32) -> Option<u16> {
        let same = |w: &Way| w.qos == planned.qos && w.topic == planned.topic;
        let at = self.ways.iter().position(same).or_else(|| {
            (self.ways.len() < MOST_WAYS).then(|| {
                self.ways.push(Way::new(Arc::clone(&planned.topic), planned.qos, fan_out()));
                self.ways.len() - 1
            })
        });
        at.map(|i| i as u16)
    }

    /// A packet id that no message in flight has.
    pub fn take_pkid(&mut self) -> u16 {
        loop {
            self.pkid = if self.pkid == u16::MAX { 1 } else { self.pkid + 1 };
            // Ids come in turn: only one left over from a whole round ago could be the same.
            let oldest = self.in_flight.front().is_some_and(|f| f.pkid == self.pkid);
            if !oldest && (self.in_flight.len() < 1_000 || self.in_flight.iter().all(|f| f.pkid != self.pkid))
            {
                return self.pkid;
            }
        }
    }
}

/// A hasher for small dense numbers.
#[derive(Default)]
pub struct Dense(u64);

impl std::hash::Hasher for Dense {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.0 = self.0.rotate_left(8) ^ u64::from(*b));
    }
    fn write_u64(&mut self, n: u64) {
        // The table takes its buckets from the low and its tags from the high bits.
        self.0 = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
    }
}

/// Receipts by device and way.
pub type Receipts = HashMap<u64, Receipt, std::hash::BuildHasherDefault<Dense>>;
/// Topics of which a subscriber keeps how much came that nobody can have written.
pub const MOST_UNREADABLE: usize = 1_000;

/// A connection that listens.
#[derive(Debug)]
pub struct Subscriber {
    /// Index in the job.
    pub spec: usize,
    /// What it got.
    pub receipts: Receipts,
    /// Packet ids of QoS 2 that came and were not yet released.
    pub unreleased: Vec<u16>,
    /// Acknowledgements held back by a fault.
    pub withheld: Option<Vec<(u8, u16)>>,
    /// Bytes a second that a fault lets it read, what it may read now, and since when.
    pub slow: Option<Slow>,
    /// Since when either of these two holds it back, [ns] by the clock.
    pub held_back_ns: Option<i64>,
    /// The quality of service that the broker granted; None: it was never subscribed.
    pub granted: Option<u8>,
    /// Subscriptions asked for so far.
    pub subscriptions: u16,
    /// When it was away without a session, from and to, [ns] by the clock; an end of `i64::MAX`: it still is.
    pub away: Vec<(i64, i64)>,
    /// Times come back to a session.
    pub resumed: u32,
    /// Deliveries without a readable stamp, by topic.
    pub unreadable: BTreeMap<Box<str>, u64>,
    /// When it was last up, [ns] by the clock.
    pub left_ns: i64,
}

/// A slow reader's allowance.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// [bytes/s].
    pub rate: u32,
    /// What it may read now, [bytes].
    pub allowance: f64,
    /// When that was reckoned, [ns].
    pub at_ns: i64,
}

/// Somebody who does what clients must not.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// What it sends once it is connected.
    pub says: Vec<u8>,
    /// What it is there for.
    pub purpose: Purpose,
    /// The device (index in the job) whose certificate it shows, where each has its own; None: the first subscriber's.
    pub shows: Option<usize>,
    /// When it leaves by itself, [ns].
    pub until_ns: i64,
}

/// What a stranger is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It begins to speak and falls silent.
    HalfOpen,
    /// It sends what is no MQTT.
    Malformed {
        /// Whether the broker must close its connection, or may bear it.
        must_close: bool,
    },
    /// It has the client id of the device with this connection, which the broker is to close.
    Takeover {
        /// Index among the worker's connections.
        of: usize,
    },
}

impl Purpose {
    /// Whether the broker has to do something about it within a deadline.
    pub fn is_awaited(self) -> bool {
        !matches!(self, Self::HalfOpen)
    }
}

/// What a connection is for.
#[derive(Debug)]
pub enum Role {
    /// It publishes.
    Device(Box<Device>),
    /// It listens.
    Subscriber(Box<Subscriber>),
    /// It misbehaves.
    Stranger(Box<Stranger>),
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// What it is for.
    pub role: Role,
    /// Its socket.
    pub stream: Option<Stream>,
    /// How far it has come.
    pub state: State,
    /// What waits to be written, from `out_at` on.
    pub out: Vec<u8>,
    /// See `out`.
    pub out_at: usize,
    /// What came in half.
    pub partial: Vec<u8>,
    /// Whether the socket may take more.
    pub writable: bool,
    /// Whether the socket may have more.
    pub readable: bool,
    /// Whether it is in the worker's list of those to read.
    pub in_ready: bool,
    /// Whether it is in the worker's list of those to write.
    pub in_dirty: bool,
    /// When it wants its turn, [ns] by the clock.
    pub wake_ns: i64,
    /// When its socket began to open, [ns].
    pub opened_ns: i64,
    /// When it last wrote, [ns].
    pub last_out_ns: i64,
    /// Attempts since it was last up.
    pub attempts: u32,
    /// Whether it was ever up.
    pub known: bool,
    /// Whether it is there only for the broker to forget what an earlier run left under its client id.
    pub cleaning: bool,
    /// Whether the broker has.
    pub cleaned: bool,
    /// Whether a fault keeps it from reading and writing.
    pub stalled: bool,
    /// Whether a fault took it over and its closing is expected.
    pub taken: bool,
    /// Messages that the broker takes at a time.
    pub receive_maximum: u16,
    /// Longest silence that it bears, [s]; 0: any.
    pub keep_alive_s: u16,
    /// How long it said last that it keeps the session, if that is not what it was asked for, [s].
    pub session_expiry_s: Option<u32>,
}

impl Conn {
    /// A connection that opens at its wake-up.
    pub fn new(role: Role, wake_ns: i64) -> Self {
        Self {
            role,
            stream: None,
            state: State::Down,
            out: Vec::new(),
            out_at: 0,
            partial: Vec::new(),
            writable: false,
            readable: false,
            in_ready: false,
            in_dirty: false,
            wake_ns,
            opened_ns: 0,
            last_out_ns: 0,
            attempts: 0,
            known: false,
            cleaning: false,
            cleaned: false,
            stalled: false,
            taken: false,
            receive_maximum: u16::MAX,
            keep_alive_s: 0,
            session_expiry_s: None,
        }
    }

    /// Whether the broker keeps its session while it is away.
    pub fn is_persistent(&self, job: &super::job::Job) -> bool {
        match &self.role {
            Role::Device(d) => job.load.devices[job.devices[d.spec].group].persistent,
            Role::Subscriber(s) => job.subscribers[s.spec].persistent,
            Role::Stranger(_) => false,
        }
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.out.len() - self.out_at
    }

    /// Its id, session and will as CONNECT says them: each has a will of its own. What an earlier run subscribed to under an id
    /// whose session lasts would come to this one, too: MQTT 5 begins anew and keeps what follows, MQTT 3.1.1 has to connect for
    /// it once more.
    pub fn hello<'a>(
        &mut self,
        job: &'a super::job::Job,
        will: &'a mut (String, Vec<u8>),
    ) -> Option<codec::Hello<'a>> {
        self.keep_alive_s = (job.load.keep_alive.as_secs_f64() as u16).max(1);
        let (client_id, persistent, session_expiry_s): (&str, bool, _) = match &self.role {
            Role::Device(d) => {
                let spec: &DeviceSpec = &job.devices[d.spec];
                (&spec.id, job.load.devices[spec.group].persistent, None)
            }
            Role::Subscriber(s) => {
                let spec: &SubscriberSpec = &job.subscribers[s.spec];
                (&spec.id, spec.persistent, spec.session_expiry_s)
            }
            Role::Stranger(_) => return None,
        };
        let first = persistent && !self.known;
        self.cleaning = first && !self.cleaned && job.load.protocol == Protocol::V311;
        let mut has_will = false;
        if !self.cleaning
            && let Role::Device(d) = &mut self.role
            && let Some(wills) = &mut d.wills
            && let Some(topic) = job.will_topic(&job.devices[d.spec])
        {
            let spec = &job.devices[d.spec];
            wills.last += 1;
            wills.number = wills.last;
            will.0 = topic;
            will.1.clear();
            let stamp = Stamp {
                run: job.run,
                kind: super::stamp::Kind::Will,
                qos: super::job::WILL_QOS,
                retain: false,
                way: 0,
                device: spec.ordinal,
                seq: wills.number,
                intended_ns: 0,
                sent_ns: 0,
            };
            stamp.put(&mut will.1, super::stamp::STAMP_BYTES);
            has_will = true;
        }
        Some(codec::Hello {
            protocol: job.load.protocol,
            client_id,
            clean: first && (self.cleaning || job.load.protocol == Protocol::V5) || !persistent,
            persistent: persistent && !self.cleaning,
            session_expiry_s,
            keep_alive_s: self.keep_alive_s,
            login: job.login.as_ref().map(|(u, p)| (u.as_str(), p.as_str())),
            will: has_will.then_some((will.0.as_str(), will.1.as_slice())),
        })
    }

    /// Sends acknowledgements that a fault held back.
    pub fn release(&mut self) {
        if let Role::Subscriber(s) = &mut self.role
            && let Some(held) = s.withheld.take()
        {
            held.into_iter().for_each(|(kind, pkid)| codec::put_ack(&mut self.out, kind, pkid));
        }
    }

    /// Appends one message of a device, which must be a device. `dup` where it may have been sent before.
    pub fn put_message(
        out: &mut Vec<u8>,
        protocol: Protocol,
        run: u32,
        spec: &DeviceSpec,
        device: &Device,
        flight: &Flight,
        dup: bool,
    ) {
        let (qos, retain) = match &flight.own {
            None => (device.qos, device.retain),
            Some(own) => (own.qos, own.retain),
        };
        let stamp = Stamp {
            run,
            kind: super::stamp::Kind::Message,
            qos,
            retain,
            way: flight.way,
            device: spec.ordinal,
            seq: flight.seq,
            intended_ns: flight.intended_ns,
            sent_ns: flight.sent_ns,
        };
        match &flight.own {
            None => {
                let topic = spec.topic.as_bytes();
                let head = codec::Outgoing { topic, qos, retain, dup, pkid: flight.pkid };
                codec::put_publish(out, protocol, head, device.payload_bytes as usize);
                stamp.put(out, device.payload_bytes as usize);
            }
            Some(own) => {
                let topic = own.topic.as_bytes();
                let head = codec::Outgoing { topic, qos, retain, dup, pkid: flight.pkid };
                codec::put_publish(out, protocol, head, Stamp::length_with(&own.payload));
                stamp.put_into(out, topic, &own.payload);
            }
        }
    }
}
