//! The network of one device: what its script's sockets lead to, and what becomes of them where there is none.
//!
//! A stream to a port of MQTT leads to the run's broker ([`super::mqtt`]), whatever name the script has for it; one to another
//! device leads there ([`super::tcp`]), as datagrams do ([`super::udp`]); other services there are none.
//!
//! A microcontroller has none before its script has joined one by Wi-Fi, nor after it has left it; as an access point it is
//! called, and calls nobody. While the device's link is down, nothing is reached and no name is known. What was connected depends
//! on the board: a microcontroller that loses its network loses its streams (`aborted`), under Linux they outlast it, and what is
//! sent meanwhile waits. The broker hears of neither: it cuts off who is silent for too long, or comes again by the same name, in
//! this device or in another ([`super::broker`]). The sessions of clients that are away lie here, and are told what comes.

use super::{
    broker::{Broker, Desk, Retained},
    machine::{hex, unhex},
    mqtt::{Came, Kept, Said, Session},
    tcp::{Stands, Streams},
    udp::{Address, Addresses, Ears},
};
use crate::wire::exchange::FOREIGN;
use rand::RngExt;
use std::{collections::BTreeMap, sync::Arc};
use twinfleet_engine::{
    link::availability::Availability,
    message::{Message, TopicFilter},
    rng::Rng,
    time::SimTime,
};

/// Until a handshake that meets no loss is over, [ns].
const HANDSHAKE_NS: u64 = 5_000_000;
/// When a call to the broker is tried, from the first, [s]; after the last it is given up.
const CALLS_S: [u64; 7] = [0, 1, 3, 7, 15, 31, 63];
/// Bytes that wait for the network, under Linux.
const HELD: usize = 64 << 10;
/// How long they wait at most, [ns].
const BEARS_NS: u64 = 924_000_000_000;
/// Streams of a device that the broker takes to be there, and the device does not.
const GHOSTS: usize = 64;
/// Sessions that are kept for clients of a device that are away.
const KEPT: usize = 64;

/// A stream to the broker, or to nobody.
#[derive(Debug)]
struct Wire {
    session: Session,
    /// From when on it is there; or when it has failed, and why.
    opens: Result<u64, (u64, &'static str)>,
    /// Bytes that wait for the network.
    held: Vec<u8>,
    /// When the broker last heard of it, and since when it knows its name.
    heard_ns: u64,
    since_ns: u64,
    /// The device has lost it, of which the broker knows nothing.
    lost: bool,
}

/// What a device's network hands to the run.
#[derive(Debug, Default)]
pub struct Out {
    /// What it sends: when, what; and whether it is the broker that says it in its name.
    pub said: Vec<(u64, Said, bool)>,
    /// What it wants to hear.
    pub filters: Vec<TopicFilter>,
    /// Messages that the broker had no room for.
    pub dropped: u64,
}

/// The network of a device.
pub struct Net {
    addresses: Arc<Addresses>,
    broker: Arc<Broker>,
    desk: Arc<Desk>,
    own: Address,
    ordinal: u32,
    link: Availability,
    /// Whether streams outlast the network.
    linux: bool,
    dice: Rng,
    ears: Ears,
    wires: BTreeMap<u32, Wire>,
    /// Streams that the broker still takes to be there, and the script has let go.
    ghosts: Vec<Wire>,
    /// Sessions of clients that are away, by their names.
    kept: BTreeMap<String, Kept>,
    streams: Streams,
    next_socket: u32,
    /// Until when it is known whether the network was lost.
    looked_ns: u64,
    /// Whether it hears, if only to refuse: its system runs.
    on: bool,
    called: bool,
    /// Whether its board has a network only when its script has joined one by Wi-Fi.
    pub joins: bool,
    /// Since when the script has wanted to be in its access point's network, and what joining that takes, each time that it is there
    /// again, [ns]; none: it does not, or has left it.
    joined_ns: Option<(u64, u64)>,
    /// Whether the board is an access point itself: it can be called.
    serves: bool,
    /// What is to be handed to the run.
    pub out: Out,
}

impl Net {
    /// The network of a device by its name and its place in the fleet.
    pub fn new(
        addresses: &Arc<Addresses>,
        broker: &Arc<Broker>,
        device: &str,
        ordinal: u32,
        link: Availability,
        linux: bool,
        dice: Rng,
    ) -> Self {
        let own = addresses.find(device);
        Self {
            addresses: Arc::clone(addresses),
            broker: Arc::clone(broker),
            desk: broker.desk(ordinal),
            own,
            ordinal,
            link,
            linux,
            dice,
            ears: Ears::new(own),
            wires: BTreeMap::new(),
            ghosts: Vec::new(),
            kept: BTreeMap::new(),
            streams: Streams::new(own),
            next_socket: 1,
            looked_ns: 0,
            on: false,
            called: false,
            joins: false,
            joined_ns: None,
            serves: false,
            out: Out::default(),
        }
    }

    /// The device has started: it can be called, where there is anybody else.
    pub fn start(&mut self, step_ns: u64) {
        self.streams.step(step_ns);
        if !self.called && self.addresses.scripted() > 1 {
            self.out.filters.push(self.streams.filter());
        }
        (self.called, self.on) = (true, true);
        (self.joined_ns, self.serves) = (None, false);
    }

    /// Whether anybody is reached: its link is up, and its script has joined, where that is its own affair.
    fn is_up(&self, at_ns: u64) -> bool {
        let Some(up) = self.link.up_since(time(at_ns)) else { return false };
        let up_ns = u64::try_from(up.0).unwrap_or(0);
        let joins = |(since_ns, takes_ns): (u64, u64)| since_ns.max(up_ns).saturating_add(takes_ns);
        !self.joins || self.joined_ns.is_some_and(|wants| joins(wants) <= at_ns)
    }

    /// Whether anybody reaches it: an access point too is called.
    fn is_heard(&self, at_ns: u64) -> bool {
        self.is_up(at_ns) || self.serves && self.link.up_since(time(at_ns)).is_some()
    }

    /// The script has left its network, or joins one anew: what it had is lost.
    fn leave(&mut self) {
        if self.joins && self.joined_ns.take().is_some() {
            self.wires.values_mut().for_each(|w| w.lost = true);
            self.streams.lose("aborted");
            self.streams.news = true;
        }
    }

    /// Whether something has come, or has ended, that a script may wait for.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.streams.news)
    }

    /// When something happens here by itself, [ns].
    pub fn next_ns(&self) -> u64 {
        if self.desk.has_news() {
            return 0;
        }
        let silent =
            self.wires.values().chain(&self.ghosts).filter_map(Wire::cut_ns).min().unwrap_or(u64::MAX);
        let idle = self.wires.is_empty() && self.streams.is_empty();
        let change = self.link.next_change(time(self.looked_ns));
        let change_ns = if idle { u64::MAX } else { u64::try_from(change.0).unwrap_or(u64::MAX) };
        silent.min(change_ns).min(self.streams.next_ns())
    }

    /// Brings it to an instant: what was lost, what waited, what the broker makes of silence, what is sent again.
    pub fn settle(&mut self, at_ns: u64) {
        self.lose(at_ns);
        let news = self.desk.take();
        self.out.dropped += news.dropped;
        for (taken_ns, client) in news.taken {
            self.take_over(at_ns, &client, |_, wire| wire.since_ns <= taken_ns);
        }
        let up = self.link.up_since(time(at_ns));
        let mut back = Vec::new();
        for (id, wire) in
            self.wires.iter_mut().map(|(id, w)| (*id, w)).chain(self.ghosts.iter_mut().map(|w| (0, w)))
        {
            let back_ns = up.map(|t| u64::try_from(t.0).unwrap_or(0).max(wire.heard_ns));
            if let Some(cut_ns) = wire.cut_ns().filter(|cut| *cut <= at_ns)
                && (wire.lost || wire.held.is_empty() || back_ns.is_none_or(|back| cut_ns < back))
            {
                let mut came = Came::default();
                wire.session.close(&mut came);
                self.out.said.extend(came.said.into_iter().map(|will| (cut_ns, will, true)));
                self.streams.news = true;
            }
            if let Some(back_ns) = back_ns.filter(|_| !wire.held.is_empty() && !wire.lost) {
                back.push((id, back_ns, std::mem::take(&mut wire.held)));
            }
        }
        for (id, back_ns, held) in back {
            self.broker_hears(back_ns, id, &held);
            self.streams.news = true;
        }
        self.put_by();
        self.ghosts.retain(|w| !w.session.closed);
        let heard = self.is_heard(at_ns);
        self.streams.send_again(at_ns, heard);
        self.hand_over();
    }

    /// A microcontroller that has been without a network since it was last looked at has lost what it had.
    fn lose(&mut self, at_ns: u64) {
        if at_ns < self.looked_ns {
            return;
        }
        let lost = self.link.was_down(time(self.looked_ns), time(at_ns));
        if at_ns > self.looked_ns
            && self.link.up_since(time(self.looked_ns)) != self.link.up_since(time(at_ns))
        {
            self.streams.news = true;
        }
        self.looked_ns = at_ns;
        if lost && !self.linux {
            self.wires.values_mut().for_each(|w| w.lost = true);
            self.put_by();
            self.streams.lose("aborted");
        }
    }

    fn hand_over(&mut self) {
        let sent = self.streams.outward.drain(..);
        self.out.said.extend(sent.map(|(at_ns, topic, bytes)| (at_ns, (topic, bytes, 0, false), false)));
    }

    /// Takes in a message of the run. Whether a script may have waited for it.
    pub fn hear(&mut self, at_ns: u64, m: &Message) -> bool {
        let own = m.publisher == self.ordinal;
        // What a broker outside had kept from before is told to those who subscribe, and not to those who are away.
        let from_before = m.retain && m.publisher == FOREIGN;
        if !from_before && !Ears::is_datagram(&m.topic) && !Streams::is_segment(&m.topic) {
            for kept in self.kept.values_mut() {
                self.out.dropped += u64::from(!kept.hear(&m.topic, &m.payload, m.qos, own));
            }
        }
        if !self.on {
            return false;
        }
        if Ears::is_datagram(&m.topic) {
            return self.is_heard(at_ns) && self.ears.hear(&m.topic, &m.payload);
        }
        if Streams::is_segment(&m.topic) {
            if self.is_heard(at_ns) {
                self.streams.hear(at_ns, &m.topic, &m.payload, &mut self.next_socket);
            }
            return false;
        }
        for Wire { session, .. } in self.wires.values_mut().filter(|w| !w.lost) {
            if !from_before {
                session.hear(&m.topic, &m.payload, m.qos, own);
            } else if let Some(wanted) = session.wants(&m.topic, own) {
                let (topic, payload) = (Arc::clone(&m.topic), Arc::clone(&m.payload));
                let retained = Retained { topic, payload, qos: m.qos };
                if !session.has(&retained) {
                    session.hand(&retained, wanted);
                }
            }
        }
        !self.wires.is_empty()
    }

    /// What has been heard is acknowledged.
    pub fn acknowledge(&mut self, at_ns: u64) {
        self.streams.acknowledge(at_ns);
        self.hand_over();
    }

    /// The script is over. Where it falls asleep or is reset, nobody hears of it; else its system is there, and refuses.
    pub fn end(&mut self, at_ns: u64, told: bool) {
        self.lose(at_ns);
        self.on = told;
        let told = told && self.is_heard(at_ns);
        for (_, mut wire) in std::mem::take(&mut self.wires) {
            if told && !wire.lost && !wire.session.closed {
                let mut came = Came::default();
                wire.session.close(&mut came);
                self.out.said.extend(came.said.into_iter().map(|will| (at_ns, will, true)));
            }
            self.let_go(wire);
        }
        self.streams.end(at_ns, told);
        self.ears.shut();
        self.hand_over();
    }

    /// The broker may not know that a stream is over.
    fn let_go(&mut self, mut wire: Wire) {
        self.keep(wire.session.leave());
        if !wire.session.closed && wire.session.has_will() && self.ghosts.len() < GHOSTS {
            wire.lost = true;
            self.ghosts.push(wire);
        }
    }

    /// Answers one question at its time. None: it is none of its own.
    pub fn serve(&mut self, at_ns: u64, words: &[&str]) -> Option<String> {
        self.lose(at_ns);
        let answer = match words {
            ["open", host, port] => self.open(at_ns, host, port),
            ["state", id] => self.stands(at_ns, number(id)),
            ["send", id, bytes] => self.send(at_ns, number(id), bytes),
            ["recv", id, most] => self.receive(at_ns, number(id), most.parse().unwrap_or(1)),
            ["ready", id] => self.is_ready(at_ns, number(id)),
            ["close", id] => self.close(at_ns, number(id)),
            ["shut", id] => {
                self.streams.shut(at_ns, number(id));
                Ok(String::new())
            }
            ["end-of", id] => {
                let end = self.streams.own_end(number(id));
                Ok(end.map_or_else(String::new, |(address, port)| format!("{address} {port}")))
            }
            ["link"] => {
                let up = self.link.up_since(time(at_ns));
                Ok(up.map_or_else(|| "down".to_owned(), |since| format!("up {}", since.0)))
            }
            ["join", since, takes] => {
                self.leave();
                self.joined_ns = since.parse().ok().zip(takes.parse().ok());
                Ok(String::new())
            }
            ["leave"] => {
                self.leave();
                Ok(String::new())
            }
            ["serves", on] => {
                self.serves = *on == "1";
                Ok(String::new())
            }
            ["listen", port, backlog] => {
                let listens = self.streams.listen(short(port), backlog.parse().unwrap_or(0));
                listens.map(|()| String::new()).map_err(str::to_owned)
            }
            ["unlisten", port] => {
                self.streams.unlisten(at_ns, short(port));
                Ok(String::new())
            }
            ["called", port] => Ok(u8::from(self.streams.is_called(short(port))).to_string()),
            ["accept", port] => {
                let next = self.streams.accept(short(port));
                Ok(next.map_or_else(String::new, |(id, host, port)| format!("{id} {host} {port}")))
            }
            ["address", name] if *name != "-" && !self.is_up(at_ns) && name.parse::<Address4>().is_err() => {
                Err("noname".to_owned())
            }
            ["usend", ..] if !self.is_heard(at_ns) => Err("unreachable".to_owned()),
            _ => {
                let mut came = Came::default();
                let answer = self.ears.serve(words, &self.addresses, &mut came)?;
                self.out.said.extend(came.said.into_iter().map(|said| (at_ns, said, false)));
                self.out.filters.extend(came.filters);
                return Some(answer);
            }
        };
        self.hand_over();
        Some(match answer {
            Ok(words) if words.is_empty() => "ok".to_owned(),
            Ok(words) => format!("ok {words}"),
            Err(why) => format!("err {why}"),
        })
    }

    fn open(&mut self, at_ns: u64, host: &str, port: &str) -> Result<String, String> {
        let inward = host.starts_with("127.") || host == "localhost";
        let device = if inward { Some(self.own) } else { self.addresses.device(host) };
        let number = short(port);
        let own = device == Some(self.own);
        if !own && !self.is_up(at_ns) {
            return Err("unreachable".to_owned());
        }
        let id = self.next_socket;
        // Whatever name a script has for its broker, the run is at the other end.
        let broker = matches!(number, 1883 | 8883) && !(own && self.streams.serves(number));
        match device.filter(|d| !broker && self.addresses.is_scripted(*d)) {
            Some(device) => self.streams.open(at_ns, id, device, number),
            None if !self.is_up(at_ns) => return Err("unreachable".to_owned()),
            None => {
                let opens = match self.calls(at_ns) {
                    Ok(then_ns) if !broker => Err((then_ns, "refused")),
                    answered => answered.map_err(|then_ns| (then_ns, "timeout")),
                };
                let session = Session::default();
                self.wires.insert(
                    id,
                    Wire { session, opens, held: Vec::new(), heard_ns: at_ns, since_ns: at_ns, lost: false },
                );
            }
        }
        self.next_socket += 1;
        Ok(id.to_string())
    }

    /// When a call is answered, or given up: it takes a transmission each way.
    fn calls(&mut self, at_ns: u64) -> Result<u64, u64> {
        let both = self.link.arrival().powi(2);
        for after_s in &CALLS_S[..CALLS_S.len() - 1] {
            let then_ns = at_ns + after_s * 1_000_000_000;
            if (both >= 1.0 || self.dice.random::<f64>() < both) && self.is_up(then_ns) {
                return Ok(then_ns + HANDSHAKE_NS);
            }
        }
        Err(at_ns + CALLS_S[CALLS_S.len() - 1] * 1_000_000_000)
    }

    fn stands(&mut self, at_ns: u64, id: u32) -> Result<String, String> {
        if let Some(wire) = self.wires.get(&id) {
            return match wire.opens {
                _ if wire.lost => Err("aborted".to_owned()),
                Ok(then_ns) if then_ns <= at_ns => Ok("open".to_owned()),
                Err((then_ns, why)) if then_ns <= at_ns => Err(why.to_owned()),
                Ok(then_ns) | Err((then_ns, _)) => Ok(format!("opening {then_ns}")),
            };
        }
        match self.streams.stands(id) {
            None => Err("pipe".to_owned()),
            Some(Stands::Failed(why)) => Err(why.to_owned()),
            Some(Stands::Open) => Ok("open".to_owned()),
            Some(Stands::Opening) => Ok(format!("opening {}", u64::MAX >> 1)),
        }
    }

    fn send(&mut self, at_ns: u64, id: u32, bytes: &str) -> Result<String, String> {
        let bytes = unhex(bytes)?;
        let up = self.link.up_since(time(at_ns)).map(|t| u64::try_from(t.0).unwrap_or(0));
        let Some(wire) = self.wires.get_mut(&id) else {
            return self.streams.send(at_ns, id, &bytes).map(|n| n.to_string()).map_err(str::to_owned);
        };
        if wire.lost {
            return Err("aborted".to_owned());
        }
        match wire.opens {
            Ok(then_ns) | Err((then_ns, _)) if then_ns > at_ns => return Ok("0".to_owned()),
            Err((_, why)) => return Err(why.to_owned()),
            Ok(_) if wire.session.closed => return Err("pipe".to_owned()),
            Ok(_) => {}
        }
        match up {
            Some(back_ns) => {
                // What waited goes first.
                let mut all = std::mem::take(&mut wire.held);
                let n = bytes.len();
                all.extend(bytes);
                self.broker_hears(at_ns.max(back_ns), id, &all);
                Ok(n.to_string())
            }
            None if !wire.held.is_empty() && at_ns.saturating_sub(wire.heard_ns) > BEARS_NS => {
                Err("timeout".to_owned())
            }
            None => {
                let n = bytes.len().min(HELD - wire.held.len().min(HELD));
                wire.held.extend(&bytes[..n]);
                Ok(n.to_string())
            }
        }
    }

    /// The broker hears bytes on a stream.
    fn broker_hears(&mut self, at_ns: u64, id: u32, bytes: &[u8]) {
        let mut bytes = bytes;
        while let Some(wire) = self.wires.get_mut(&id) {
            wire.heard_ns = at_ns;
            let came = wire.session.take(bytes);
            bytes = &[];
            self.out.said.extend(came.said.into_iter().map(|said| (at_ns, said, false)));
            self.out.filters.extend(came.filters);
            for (filter, wanted) in came.hands {
                self.broker.retained(&filter).iter().for_each(|r| wire.session.hand(r, wanted));
            }
            if !came.comes {
                break;
            }
            // What it sent after its CONNECT is heard once it is let in.
            let client = wire.session.client.clone();
            self.let_in(at_ns, id, &client);
        }
        self.put_by();
    }

    /// A client comes in: whoever was there by its name goes, in this device now, in another when the tick is over.
    fn let_in(&mut self, at_ns: u64, id: u32, client: &str) {
        let mut kept = None;
        if !client.is_empty() {
            self.take_over(at_ns, client, |other, _| other != id);
            kept = self.kept.remove(client);
            if self.addresses.scripted() > 1 {
                self.broker.come(at_ns, self.ordinal, client);
            }
        }
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.since_ns = at_ns;
            wire.session.accept(kept);
        }
    }

    /// Who comes by a name ends the connections by that name that `ends` (by their numbers; 0: let go by the script).
    fn take_over(&mut self, at_ns: u64, client: &str, ends: impl Fn(u32, &Wire) -> bool) {
        let wires = self.wires.iter_mut().map(|(id, w)| (*id, w));
        for (id, wire) in wires.chain(self.ghosts.iter_mut().map(|w| (0, w))) {
            if wire.session.closed || wire.session.client != client || !ends(id, wire) {
                continue;
            }
            let mut came = Came::default();
            wire.session.close(&mut came);
            self.out.said.extend(came.said.into_iter().map(|will| (at_ns, will, true)));
            self.streams.news = true;
        }
        self.ghosts.retain(|w| !w.session.closed);
        self.put_by();
    }

    /// The sessions of those who are away are kept.
    fn put_by(&mut self) {
        let away = self.wires.values_mut().filter(|w| w.lost || w.session.closed);
        let left: Vec<_> = away.filter_map(|w| w.session.leave()).collect();
        left.into_iter().for_each(|session| self.keep(Some(session)));
    }

    fn keep(&mut self, session: Option<(String, Kept)>) {
        let Some((client, kept)) = session else { return };
        if self.kept.len() < KEPT || self.kept.contains_key(&client) {
            self.kept.insert(client, kept);
        } else {
            self.out.dropped += kept.waiting();
        }
    }

    fn receive(&mut self, at_ns: u64, id: u32, most: usize) -> Result<String, String> {
        let up = self.is_up(at_ns);
        let Some(wire) = self.wires.get_mut(&id) else {
            return match self.streams.receive(id, most.min(32_768))? {
                Some(bytes) => Ok(format!("open {}", hex(bytes))),
                None => Ok("closed -".to_owned()),
            };
        };
        if wire.lost {
            return Err("aborted".to_owned());
        }
        if let Err((then_ns, why)) = wire.opens
            && then_ns <= at_ns
        {
            return Err(why.to_owned());
        }
        if !up {
            return Ok("open -".to_owned());
        }
        let n = most.min(wire.session.outgoing.len()).min(32_768);
        let bytes = wire.session.outgoing.split_to(n);
        let open = if bytes.is_empty() && wire.session.closed { "closed" } else { "open" };
        Ok(format!("{open} {}", hex(bytes)))
    }

    /// Whether there is something to read, and whether there is room to write.
    fn is_ready(&self, at_ns: u64, id: u32) -> Result<String, String> {
        let (read, write) = match self.wires.get(&id) {
            Some(wire) => {
                let opened = matches!(wire.opens, Ok(then) | Err((then, _)) if then <= at_ns);
                let some = wire.session.closed || !wire.session.outgoing.is_empty() || wire.opens.is_err();
                let up = self.is_up(at_ns);
                (wire.lost || opened && up && some, wire.lost || opened && (up || wire.held.len() < HELD))
            }
            None => self.streams.is_ready(id),
        };
        Ok(format!("{} {}", u8::from(read), u8::from(write)))
    }

    fn close(&mut self, at_ns: u64, id: u32) -> Result<String, String> {
        let up = self.is_up(at_ns);
        match self.wires.remove(&id) {
            Some(mut wire) => {
                if up && !wire.lost && !wire.session.closed {
                    let mut came = Came::default();
                    wire.session.close(&mut came);
                    self.out.said.extend(came.said.into_iter().map(|will| (at_ns, will, true)));
                }
                self.let_go(wire);
            }
            None => self.streams.close(at_ns, id),
        }
        Ok(String::new())
    }
}

type Address4 = std::net::Ipv4Addr;

impl Wire {
    /// When the broker cuts it off, if nothing comes, [ns].
    fn cut_ns(&self) -> Option<u64> {
        let silent_ns = self.session.silent_ns().filter(|_| !self.session.closed)?;
        Some(self.heard_ns.saturating_add(silent_ns))
    }
}

fn time(ns: u64) -> SimTime {
    SimTime(i64::try_from(ns).unwrap_or(i64::MAX))
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

fn short(text: &str) -> u16 {
    text.parse().unwrap_or(0)
}
