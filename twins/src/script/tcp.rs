//! Streams between the devices of a run, and within one: a small TCP.
//!
//! A segment travels as a datagram does ([`super::udp`]): a message of the run on the topic of the device that it is for, through
//! the sender's link. It takes whole steps each way, so that a connection is there after two. What is lost is sent again, at
//! first after some steps, then at twice the time each; a side that is not heard of is given up. Who has no server at a port
//! refuses; a device that is off says nothing.

use super::udp::{Address, dotted};
use std::collections::{BTreeMap, VecDeque};
use twinfleet_engine::message::TopicFilter;

/// First level of the topics.
const TOPIC: &str = "twinfleet-tcp";
/// Bytes that a segment carries at most.
const PIECE: usize = 1_460;
/// Bytes that may be under way in a stream.
const WINDOW: usize = 16 << 10;
/// Bytes that wait for a script to read them; what comes beyond is not acknowledged.
const KEPT: usize = 64 << 10;
/// Connections that wait to be accepted, where the script says no number.
const BACKLOG: usize = 128;
/// Least time until something is sent again, and the same in steps, [ns].
const AGAIN_NS: u64 = 1_000_000_000;
const AGAIN_STEPS: u64 = 4;
/// How often something is sent again, at times that double up to the last: by steps of 1 s, two minutes while a connection is
/// made, a quarter of an hour once it is.
const OPENING_TRIES: u32 = 4;
const TRIES: u32 = 10;
const DOUBLED: u32 = 5;
/// First port of those that clients are given.
const CLIENTS: u16 = 49_152;

const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 4;
const RST: u8 = 8;
/// There is no room for more.
const FULL: u8 = 16;

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Segment {
    from: Address,
    source: u16,
    to: Address,
    port: u16,
    flags: u8,
    seq: u32,
    ack: u32,
    bytes: Vec<u8>,
}

impl Segment {
    /// What it takes of the stream's numbers.
    fn length(&self) -> u32 {
        self.bytes.len() as u32 + u32::from(self.flags & (SYN | FIN) != 0)
    }

    fn payload(&self) -> Vec<u8> {
        let mut all = Vec::from(self.from);
        all.extend(self.source.to_be_bytes());
        all.extend(self.port.to_be_bytes());
        all.push(self.flags);
        all.extend(self.seq.to_be_bytes());
        all.extend(self.ack.to_be_bytes());
        all.extend(&self.bytes);
        all
    }

    fn read(to: Address, payload: &[u8]) -> Option<Self> {
        let (from, rest) = payload.split_first_chunk::<4>()?;
        let (source, rest) = rest.split_first_chunk::<2>()?;
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let (flags, rest) = rest.split_first()?;
        let (seq, rest) = rest.split_first_chunk::<4>()?;
        let (ack, bytes) = rest.split_first_chunk::<4>()?;
        Some(Self {
            from: *from,
            source: u16::from_be_bytes(*source),
            to,
            port: u16::from_be_bytes(*port),
            flags: *flags,
            seq: u32::from_be_bytes(*seq),
            ack: u32::from_be_bytes(*ack),
            bytes: bytes.to_vec(),
        })
    }
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It is being made.
    Opening,
    /// Both sides hear each other.
    Open,
    /// It has failed, and why, in the protocol's words.
    Failed(&'static str),
}

#[derive(Debug)]
struct Stream {
    own_port: u16,
    peer: Address,
    port: u16,
    stands: Stands,
    /// Whether this side called.
    calls: bool,
    incoming: Vec<u8>,
    /// The other side says no more.
    ended: bool,
    expected: u32,
    next_seq: u32,
    unacked: VecDeque<Segment>,
    again_ns: u64,
    tries: u32,
    /// The script has let it go; what is left is to tell the other side.
    closing: bool,
    /// This side says no more.
    shut: bool,
    /// The other side waits to hear what has come.
    owes_ack: bool,
}

impl Stream {
    fn waiting_bytes(&self) -> usize {
        self.unacked.iter().map(|s| s.bytes.len()).sum()
    }
}

#[derive(Debug, Default)]
struct Listener {
    backlog: usize,
    queue: VecDeque<u32>,
}

/// The streams of a device.
#[derive(Debug, Default)]
pub struct Streams {
    own: Address,
    streams: BTreeMap<u32, Stream>,
    listeners: BTreeMap<u16, Listener>,
    /// Segments to itself.
    inward: VecDeque<Segment>,
    /// Segments for others: when, topic, payload.
    pub outward: Vec<(u64, String, Vec<u8>)>,
    /// Whether something has come that a script may wait for.
    pub news: bool,
    again_ns: u64,
    next_port: u16,
}

impl Streams {
    /// A device with this address.
    pub fn new(own: Address) -> Self {
        Self { own, again_ns: AGAIN_NS, ..Self::default() }
    }

    /// The topic that it hears.
    pub fn filter(&self) -> TopicFilter {
        TopicFilter::new(&topic(self.own)).unwrap_or_else(|_| unreachable!("an address has no wildcards"))
    }

    /// How long a tick is, which no answer comes in less than.
    pub fn step(&mut self, step_ns: u64) {
        self.again_ns = AGAIN_NS.max(AGAIN_STEPS * step_ns);
    }

    /// Whether a topic is that of a segment.
    pub fn is_segment(topic: &str) -> bool {
        topic.starts_with(TOPIC)
    }

    /// Whether it has any.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether the script serves a port.
    pub fn serves(&self, port: u16) -> bool {
        self.listeners.contains_key(&port)
    }

    /// When something is due to be sent again, [ns].
    pub fn next_ns(&self) -> u64 {
        self.streams.values().filter(|s| !s.unacked.is_empty()).map(|s| s.again_ns).min().unwrap_or(u64::MAX)
    }

    /// Calls a port of a device, as the stream of this number.
    pub fn open(&mut self, at_ns: u64, id: u32, peer: Address, port: u16) {
        while self.streams.values().any(|s| s.own_port == CLIENTS + self.next_port) {
            self.next_port = (self.next_port + 1) % (u16::MAX - CLIENTS);
        }
        let own_port = CLIENTS + self.next_port;
        self.next_port = (self.next_port + 1) % (u16::MAX - CLIENTS);
        self.add(id, own_port, (peer, port), true);
        self.push(at_ns, id, SYN, Vec::new());
        self.settle(at_ns);
    }

    fn add(&mut self, id: u32, own_port: u16, (peer, port): (Address, u16), calls: bool) {
        let stream = Stream {
            own_port,
            peer,
            port,
            stands: Stands::Opening,
            calls,
            incoming: Vec::new(),
            ended: false,
            expected: 0,
            next_seq: 0,
            unacked: VecDeque::new(),
            again_ns: u64::MAX,
            tries: 0,
            closing: false,
            shut: false,
            owes_ack: false,
        };
        self.streams.insert(id, stream);
    }

    /// Serves a port.
    ///
    /// # Errors
    /// Where it is served already.
    pub fn listen(&mut self, port: u16, backlog: usize) -> Result<(), &'static str> {
        if self.serves(port) {
            return Err("inuse");
        }
        let backlog = if backlog == 0 { BACKLOG } else { backlog };
        self.listeners.insert(port, Listener { backlog, queue: VecDeque::new() });
        Ok(())
    }

    /// Serves it no longer; who waits is turned away.
    pub fn unlisten(&mut self, at_ns: u64, port: u16) {
        for id in self.listeners.remove(&port).map(|l| l.queue).unwrap_or_default() {
            self.break_off(at_ns, id);
        }
        self.settle(at_ns);
    }

    /// The next that has called a port: its number, the caller's address and port.
    pub fn accept(&mut self, port: u16) -> Option<(u32, String, u16)> {
        let id = self.listeners.get_mut(&port)?.queue.pop_front()?;
        let stream = self.streams.get(&id)?;
        Some((id, dotted(stream.peer), stream.port))
    }

    /// Whether somebody waits to be accepted.
    pub fn is_called(&self, port: u16) -> bool {
        self.listeners.get(&port).is_some_and(|l| !l.queue.is_empty())
    }

    /// How a stream stands; None: there is none of this number.
    pub fn stands(&self, id: u32) -> Option<Stands> {
        self.streams.get(&id).map(|s| s.stands)
    }

    /// This side's address of a stream: address and port.
    pub fn own_end(&self, id: u32) -> Option<(String, u16)> {
        Some((dotted(self.own), self.streams.get(&id)?.own_port))
    }

    /// Sends what there is room for. How much that was.
    ///
    /// # Errors
    /// Why the stream takes no more, in the protocol's words.
    pub fn send(&mut self, at_ns: u64, id: u32, bytes: &[u8]) -> Result<usize, &'static str> {
        let stream = self.streams.get(&id).ok_or("pipe")?;
        match stream.stands {
            Stands::Failed(why) => return Err(why),
            Stands::Opening => return Ok(0),
            Stands::Open if stream.shut => return Err("pipe"),
            Stands::Open => {}
        }
        let n = bytes.len().min(WINDOW - stream.waiting_bytes().min(WINDOW));
        for piece in bytes[..n].chunks(PIECE) {
            self.push(at_ns, id, ACK, piece.to_vec());
        }
        self.settle(at_ns);
        Ok(n)
    }

    /// Takes up to so many bytes that have come. None: the other side has ended, and all is read.
    ///
    /// # Errors
    /// Why nothing comes any more, in the protocol's words.
    pub fn receive(&mut self, id: u32, most: usize) -> Result<Option<Vec<u8>>, &'static str> {
        let stream = self.streams.get_mut(&id).ok_or("pipe")?;
        if stream.incoming.is_empty() {
            return match stream.stands {
                Stands::Failed(why) => Err(why),
                _ if stream.ended => Ok(None),
                _ => Ok(Some(Vec::new())),
            };
        }
        let n = most.min(stream.incoming.len());
        Ok(Some(stream.incoming.drain(..n).collect()))
    }

    /// Whether there is something to read, an end or a failure too; and whether there is room to write.
    pub fn is_ready(&self, id: u32) -> (bool, bool) {
        let Some(stream) = self.streams.get(&id) else { return (true, true) };
        match stream.stands {
            Stands::Failed(_) => (true, true),
            Stands::Opening => (false, false),
            Stands::Open => {
                (stream.ended || !stream.incoming.is_empty(), stream.waiting_bytes() < WINDOW || stream.shut)
            }
        }
    }

    /// This side says no more.
    pub fn shut(&mut self, at_ns: u64, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.stands == Stands::Open && !stream.shut {
            stream.shut = true;
            self.push(at_ns, id, FIN | ACK, Vec::new());
        }
        self.settle(at_ns);
    }

    /// The script lets a stream go.
    pub fn close(&mut self, at_ns: u64, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.stands == Stands::Open && stream.incoming.is_empty() {
            stream.closing = true;
            self.shut(at_ns, id);
            self.forget_told(id);
        } else {
            // What was not read is told to be lost.
            self.break_off(at_ns, id);
            self.settle(at_ns);
        }
    }

    /// The script is over: its streams are closed by the system, which sends what is left; or all is gone without a word.
    pub fn end(&mut self, at_ns: u64, told: bool) {
        for port in self.listeners.keys().copied().collect::<Vec<_>>() {
            self.unlisten(at_ns, port);
        }
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            self.close(at_ns, id);
        }
        if !told {
            self.streams.clear();
            self.outward.clear();
        }
    }

    /// The network is gone: streams to others fail.
    pub fn lose(&mut self, why: &'static str) {
        let own = self.own;
        let lost =
            self.streams.iter().filter(|(_, s)| s.peer != own && !matches!(s.stands, Stands::Failed(_)));
        for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail(id, why);
        }
    }

    /// Sends again what is due, where there is a network.
    pub fn send_again(&mut self, at_ns: u64, up: bool) {
        let due: Vec<u32> =
            self.streams.iter().filter(|(_, s)| s.again_ns <= at_ns).map(|(id, _)| *id).collect();
        for id in due {
            let base_ns = self.again_ns;
            let Some(stream) = self.streams.get_mut(&id).filter(|s| !s.unacked.is_empty()) else { continue };
            let most = if stream.stands == Stands::Opening { OPENING_TRIES } else { TRIES };
            stream.tries += 1;
            if stream.tries > most {
                self.fail(id, "timeout");
                continue;
            }
            stream.again_ns = at_ns + (base_ns << stream.tries.min(DOUBLED));
            stream.owes_ack = false;
            let ack = stream.expected;
            let again: Vec<Segment> = stream.unacked.iter().cloned().map(|s| Segment { ack, ..s }).collect();
            if up {
                again.into_iter().for_each(|segment| self.transmit(at_ns, segment));
            }
        }
        self.settle(at_ns);
    }

    /// Acknowledges what has come and is not acknowledged yet.
    pub fn acknowledge(&mut self, at_ns: u64) {
        let owing: Vec<u32> = self.streams.iter().filter(|(_, s)| s.owes_ack).map(|(id, _)| *id).collect();
        owing.into_iter().for_each(|id| self.acknowledge_one(at_ns, id));
        self.settle(at_ns);
    }

    /// Takes in a message of the run; `next` gives a new stream its number. Whether it was a segment for this device.
    pub fn hear(&mut self, at_ns: u64, topic: &str, payload: &[u8], next: &mut u32) -> bool {
        if let Some(segment) = self.own_segment(topic, payload) {
            self.arrive(at_ns, segment, next);
            return true;
        }
        false
    }

    fn own_segment(&self, to: &str, payload: &[u8]) -> Option<Segment> {
        if to == topic(self.own) { Segment::read(self.own, payload) } else { None }
    }

    fn arrive(&mut self, at_ns: u64, segment: Segment, next: &mut u32) {
        let is =
            |s: &Stream| s.own_port == segment.port && s.peer == segment.from && s.port == segment.source;
        let found = self.streams.iter().find(|(_, s)| is(s)).map(|(id, _)| *id);
        match found {
            Some(id) => self.arrive_at(at_ns, id, segment),
            None if segment.flags & RST != 0 => {}
            None if segment.flags & (SYN | ACK) == SYN => self.called(at_ns, &segment, next),
            None => self.reset(at_ns, &segment),
        }
    }

    /// Somebody calls.
    fn called(&mut self, at_ns: u64, segment: &Segment, next: &mut u32) {
        let Some(listener) = self.listeners.get(&segment.port) else {
            self.reset(at_ns, segment);
            return;
        };
        let coming = self
            .streams
            .values()
            .filter(|s| !s.calls && s.own_port == segment.port && s.stands == Stands::Opening);
        if coming.count() + listener.queue.len() >= listener.backlog {
            // The caller tries again.
            return;
        }
        let id = *next;
        *next += 1;
        self.add(id, segment.port, (segment.from, segment.source), false);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.expected = 1;
        }
        self.push(at_ns, id, SYN | ACK, Vec::new());
    }

    fn arrive_at(&mut self, at_ns: u64, id: u32, segment: Segment) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if segment.flags & RST != 0 {
            let why = if stream.stands == Stands::Opening { "refused" } else { "reset" };
            self.fail(id, why);
            return;
        }
        if stream.closing && !segment.bytes.is_empty() {
            // Nobody is left to read it.
            self.break_off(at_ns, id);
            return;
        }
        if segment.flags & ACK != 0 {
            self.acked(at_ns, id, segment.ack, segment.flags & FULL != 0);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if segment.length() > 0 {
            let room = stream.incoming.len() + segment.bytes.len() <= KEPT;
            if segment.seq == stream.expected && room {
                stream.expected = stream.expected.wrapping_add(segment.length());
                stream.ended |= segment.flags & FIN != 0;
                stream.incoming.extend(&segment.bytes);
                self.news = true;
            }
            stream.owes_ack = true;
            if segment.from == self.own {
                self.acknowledge_one(at_ns, id);
            }
        }
        self.forget_told(id);
    }

    /// The other side has heard everything before this number.
    fn acked(&mut self, at_ns: u64, id: u32, ack: u32, full: bool) {
        let again_ns = at_ns + self.again_ns;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let before = stream.unacked.len();
        while stream.unacked.front().is_some_and(|s| s.seq + s.length() <= ack) {
            stream.unacked.pop_front();
        }
        if stream.unacked.len() < before {
            (stream.tries, stream.again_ns, self.news) = (0, again_ns, true);
        }
        if full {
            // It lives, and waits for its reader.
            stream.tries = 0;
        }
        if stream.stands == Stands::Opening && ack > 0 {
            stream.stands = Stands::Open;
            let (calls, port) = (stream.calls, stream.own_port);
            if let Some(listener) = self.listeners.get_mut(&port).filter(|_| !calls) {
                listener.queue.push_back(id);
            }
        }
    }

    fn acknowledge_one(&mut self, at_ns: u64, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.owes_ack = false;
        let full = if stream.incoming.len() + PIECE > KEPT { FULL } else { 0 };
        let segment = self.bare(id, ACK | full);
        segment.into_iter().for_each(|segment| self.transmit(at_ns, segment));
        self.forget_told(id);
    }

    /// A stream fails. One that nobody has accepted yet is nobody's.
    fn fail(&mut self, id: u32, why: &'static str) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let nobodys = stream.closing || !stream.calls && stream.stands == Stands::Opening;
        stream.stands = Stands::Failed(why);
        stream.unacked.clear();
        self.news = true;
        if nobodys {
            self.streams.remove(&id);
        }
    }

    /// A stream that the script has let go is gone when the other side has heard all of it, and is owed nothing.
    fn forget_told(&mut self, id: u32) {
        if self.streams.get(&id).is_some_and(|s| s.closing && s.unacked.is_empty() && !s.owes_ack) {
            self.streams.remove(&id);
        }
    }

    /// Ends a stream at once, and tells the other side.
    fn break_off(&mut self, at_ns: u64, id: u32) {
        let failed = self.streams.get(&id).is_none_or(|s| matches!(s.stands, Stands::Failed(_)));
        let segment = self.bare(id, RST | ACK).filter(|_| !failed);
        self.streams.remove(&id);
        segment.into_iter().for_each(|segment| self.transmit(at_ns, segment));
    }

    /// Answers a segment that belongs to nothing here.
    fn reset(&mut self, at_ns: u64, to: &Segment) {
        if to.flags & RST != 0 {
            return;
        }
        let segment = Segment {
            from: self.own,
            source: to.port,
            to: to.from,
            port: to.source,
            flags: RST | ACK,
            seq: to.ack,
            ack: to.seq.wrapping_add(to.length()),
            bytes: Vec::new(),
        };
        self.transmit(at_ns, segment);
    }

    /// A segment that takes no numbers.
    fn bare(&self, id: u32, flags: u8) -> Option<Segment> {
        let s = self.streams.get(&id)?;
        Some(Segment {
            from: self.own,
            source: s.own_port,
            to: s.peer,
            port: s.port,
            flags,
            seq: s.next_seq,
            ack: s.expected,
            bytes: Vec::new(),
        })
    }

    /// Sends the next segment of a stream, and keeps it until it is acknowledged.
    fn push(&mut self, at_ns: u64, id: u32, flags: u8, bytes: Vec<u8>) {
        let Some(segment) = self.bare(id, flags).map(|bare| Segment { bytes, ..bare }) else { return };
        let again_ns = at_ns + self.again_ns;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.next_seq += segment.length();
        stream.owes_ack = false;
        if stream.unacked.is_empty() {
            (stream.again_ns, stream.tries) = (again_ns, 0);
        }
        stream.unacked.push_back(segment.clone());
        self.transmit(at_ns, segment);
    }

    fn transmit(&mut self, at_ns: u64, segment: Segment) {
        if segment.to == self.own {
            self.inward.push_back(segment);
        } else {
            self.outward.push((at_ns, topic(segment.to), segment.payload()));
        }
    }

    /// Streams to itself: what was said is heard at once.
    fn settle(&mut self, at_ns: u64) {
        // Numbers from above, so that they meet none that the device gives.
        let mut next = self.streams.keys().next_back().map_or(INWARD, |id| (id + 1).max(INWARD));
        while let Some(segment) = self.inward.pop_front() {
            self.arrive(at_ns, segment, &mut next);
        }
    }
}

/// First number of the streams that a device has called itself by.
const INWARD: u32 = 1 << 31;

fn topic(to: Address) -> String {
    format!("{TOPIC}/{}", dotted(to))
}

#[cfg(test)]
mod tests;
